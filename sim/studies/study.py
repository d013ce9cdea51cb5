"""Comparing policies on the same orders: every seed runs every arm, and what counts is the difference within a seed.

`ours` is the first arm. A difference is told with its 95 % interval (bootstrap of the seeds, 10,000 resamples, seeded; Efron 1979) and with
how many seeds it won and lost. The verdict is "better" or "worse" only when the interval leaves zero out; a loss is printed like a win.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np

RESAMPLES = 10_000
TIE = 1e-9


class Better(StrEnum):
    """Which way a measure is good; NEITHER is shown and not judged."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured of a run. `spread` True: its standard deviation over the seeds is judged as well (lower is better)."""

    name: str
    unit: str
    better: Better
    spread: bool = False


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One policy's runs: `values` by measure, a number for each seed in order."""

    name: str
    values: dict[str, list[float]]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Ours less theirs in one measure, or (`of` = "sd") our standard deviation less theirs. `interval`: 95 %."""

    measure: str
    of: str  # "mean" | "sd"
    against: str
    mean: float
    interval: tuple[float, float]
    wins: int
    losses: int
    ties: int
    verdict: str  # "better" | "worse" | "no difference shown"


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """A finished comparison. `conditions` says on what, and what of it was simulated or assumed."""

    name: str
    question: str
    conditions: list[str]
    seeds: list[int]
    measures: list[Measure]
    arms: list[Arm]
    differences: list[Difference]


def compare(
    name: str,
    question: str,
    conditions: Sequence[str],
    seeds: Sequence[int],
    measures: Sequence[Measure],
    arms: Sequence[Arm],
) -> Study:
    """The study of arms that ran on the same seeds; the first is ours. Raises ValueError when they did not."""
    if any(len(arm.values[measure.name]) != len(seeds) for arm in arms for measure in measures):
        raise ValueError("every arm needs one value of every measure for every seed")
    ours, found = arms[0], []
    for measure in measures:
        if measure.better is Better.NEITHER:
            continue
        for other in arms[1:]:
            mine, theirs = np.array(ours.values[measure.name]), np.array(other.values[measure.name])
            found.append(_mean_difference(measure, other.name, mine, theirs))
            if measure.spread:
                found.append(_sd_difference(measure, other.name, mine, theirs))
    return Study(
        name=name,
        question=question,
        conditions=list(conditions),
        seeds=list(seeds),
        measures=list(measures),
        arms=list(arms),
        differences=found,
    )


def _resampled(n: int) -> np.ndarray:
    return np.random.default_rng(20_240_808).integers(0, n, size=(RESAMPLES, n))


def _mean_difference(measure: Measure, against: str, mine: np.ndarray, theirs: np.ndarray) -> Difference:
    difference = mine - theirs
    sign = 1.0 if measure.better is Better.HIGHER else -1.0
    low, high = np.quantile(difference[_resampled(len(mine))].mean(axis=1), (0.025, 0.975)).tolist()
    return Difference(
        measure=measure.name,
        of="mean",
        against=against,
        mean=float(difference.mean()),
        interval=(low, high),
        wins=int((sign * difference > TIE).sum()),
        losses=int((sign * difference < -TIE).sum()),
        ties=int((np.abs(difference) <= TIE).sum()),
        verdict=_verdict(sign, low, high),
    )


def _sd_difference(measure: Measure, against: str, mine: np.ndarray, theirs: np.ndarray) -> Difference:
    """Wins and losses are seeds further from their arm's mean: less far is a win."""
    drawn = _resampled(len(mine))
    low, high = np.quantile(mine[drawn].std(axis=1) - theirs[drawn].std(axis=1), (0.025, 0.975)).tolist()
    closer = np.abs(mine - mine.mean()) - np.abs(theirs - theirs.mean())
    return Difference(
        measure=measure.name,
        of="sd",
        against=against,
        mean=sd(mine) - sd(theirs),
        interval=(low, high),
        wins=int((closer < -TIE).sum()),
        losses=int((closer > TIE).sum()),
        ties=int((np.abs(closer) <= TIE).sum()),
        verdict=_verdict(-1.0, low, high),
    )


def against_zero(measure: str, arm: Arm, *, lower: bool) -> Difference:
    """An arm's measure that is a difference already, such as a cost against its own benchmark: held against nothing."""
    made = Measure(name=f"{arm.name}, {measure}", unit="", better=Better.LOWER if lower else Better.HIGHER)
    values = np.array(arm.values[measure])
    return _mean_difference(made, "zero", values, np.zeros(len(values)))


def _verdict(sign: float, low: float, high: float) -> str:
    if low <= 0.0 <= high:
        return "no difference shown"
    return "better" if sign * low > 0 else "worse"


def sd(values: Sequence[float] | np.ndarray) -> float:
    """Standard deviation over seeds (n − 1); 0 of one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def lines(study: Study) -> list[str]:
    """The study for a person."""
    found = [f"{study.name}: {study.question}", *(f"  {line}" for line in study.conditions), ""]
    names = [f"{measure.name} [{measure.unit}]" for measure in study.measures]
    widths = [max(20, len(name) + 2) for name in names]
    width = max(16, *(len(arm.name) + 2 for arm in study.arms))
    found.append(" " * width + "".join(f"{name:>{w}}" for name, w in zip(names, widths, strict=True)))
    for arm in study.arms:
        cells: list[str] = []
        for measure, w in zip(study.measures, widths, strict=True):
            values = arm.values[measure.name]
            cells.append(f"{f'{np.mean(values):,.3f} ± {sd(values):,.3f}':>{w}}")
        found.append(f"{arm.name:<{width}}" + "".join(cells))
    found += [
        "",
        f"mean ± standard deviation over {len(study.seeds)} seeds; {study.arms[0].name} less the other, within each seed:",
    ]
    for one in study.differences:
        low, high = one.interval
        found.append(
            f"  {one.measure} ({one.of}) against {one.against}: {one.mean:+,.4f}  [{low:+,.4f}, {high:+,.4f}] 95 %"
            f"  wins {one.wins}, losses {one.losses}, ties {one.ties}: {one.verdict}"
        )
    return found


def jsonable(study: Study) -> dict[str, Any]:
    """The study as JSON-ready values."""
    return dict(msgspec.to_builtins(study))
