"""A study for a person: on a terminal, or as the Markdown that `docs/studies.md` is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.studies.study import Arm, Difference, Measure, Study, sd


def lines(study: Study) -> list[str]:
    """The study on a terminal."""
    found = [f"{study.name}: {study.question}", *(f"  {line}" for line in study.conditions), ""]
    names = [f"{measure.name} [{measure.unit}]" for measure in study.measures]
    widths = [max(20, len(name) + 2) for name in names]
    width = max(16, *(len(arm.name) + 2 for arm in study.arms))
    found.append(" " * width + "".join(f"{name:>{w}}" for name, w in zip(names, widths, strict=True)))
    for arm in study.arms:
        cells = [f"{_cell(arm, measure):>{w}}" for measure, w in zip(study.measures, widths, strict=True)]
        found.append(f"{arm.name:<{width}}" + "".join(cells))
    found += ["", f"mean ± standard deviation over {len(study.seeds)} seeds; differences are within each seed:"]
    for one in study.differences:
        low, high = one.interval
        found.append(
            f"  {one.ours} less {one.against}, {one.measure} ({one.of}): {one.mean:+,.4f}  [{low:+,.4f}, {high:+,.4f}] 95 %"
            f"  wins {one.wins}, losses {one.losses}, ties {one.ties}{_windows(one)}: {one.verdict}"
        )
    return found


def markdown(study: Study) -> list[str]:
    """The study as two Markdown tables under its conditions."""
    found = [*(f"* {line}" for line in study.conditions), ""]
    found += table(
        ["", *(f"{measure.name}, {measure.unit}" for measure in study.measures)],
        [[arm.name, *(_cell(arm, measure) for measure in study.measures)] for arm in study.arms],
    )
    found += ["", f"Mean ± standard deviation over {len(study.seeds)} seeds. Differences within each seed:", ""]
    rows = []
    for one in study.differences:
        low, high = one.interval
        rows.append(
            [
                f"{one.ours} less {one.against}",
                f"{one.measure}{', sd' if one.of == 'sd' else ''}",
                f"{one.mean:+,.3f}",
                f"{low:+,.3f} … {high:+,.3f}",
                f"{one.wins} / {one.losses} / {one.ties}",
                f"{one.windows_won} of {one.windows}" if one.windows else "–",
                one.verdict if one.verdict != "worse" else "**worse**",
            ]
        )
    return found + table(["", "of", "mean", "95 %", "seeds won / lost / tied", "windows won", "verdict"], rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, its first column to the left and the others to the right."""
    return [
        "| " + " | ".join(head) + " |",
        "|---|" + "---:|" * (len(head) - 1),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def _cell(arm: Arm, measure: Measure) -> str:
    values = arm.values.get(measure.name)
    return "–" if values is None else f"{np.mean(values):,.3f} ± {sd(values):,.3f}"


def _windows(one: Difference) -> str:
    return f", windows {one.windows_won} of {one.windows}" if one.windows else ""
