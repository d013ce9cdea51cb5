"""Running a suite, the machine it ran on, and its table."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.row import Row
from benchmarks.targets import duration


def machine() -> dict[str, str]:
    """Processor, load and versions that the figures belong to."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    found = {"cpu": processor, "cores": str(os.cpu_count()), "load": f"{os.getloadavg()[0]:.2f}"}
    found["python"] = platform.python_version()
    for package in ("numba", "numpy", "scipy", "nautilus_trader"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def run(target: str, **options: object) -> list[Row]:
    """Load "module:function" and call it."""
    module, function = target.split(":")
    return list(getattr(importlib.import_module(module), function)(**options))


def present(target: str) -> bool:
    """Whether the module of a suite is part of this installation (the dev-only ones may not be)."""
    return importlib.util.find_spec(target.split(":")[0]) is not None


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines for a terminal: the question, our times, then each peer's and how many times ours they are."""
    asked = ""
    for row in rows:
        note = f"; {row.note}" if row.note else ""
        if row.name != asked:
            asked = row.name
            yield f"{row.name}: {row.question}"
            yield f"    {_times(row)}, n {row.n}{note}{'' if row.peer else _target(row)}"
        if row.peer:
            yield f"    {row.peer}: p50 {duration(row.peer_p50_ns)}, {row.ratio:g} × ours{_target(row)}"


def _times(row: Row) -> str:
    worst = f", worst {duration(row.worst_ns)}" if row.worst_ns else ""
    return f"p50 {duration(row.p50_ns)}, p99 {duration(row.p99_ns)}{worst}"


def _target(row: Row) -> str:
    return f" [target {row.target}: {_met(row)}]" if row.target else ""


def _met(row: Row) -> str:
    return "met" if row.met else "NOT met"


def markdown(where: dict[str, str], suites: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """The page `docs/benchmarks.md`: what was run, the machine and the day, the targets, then every row."""
    yield "# Benchmarks"
    yield ""
    yield f"One run of `kerb bench {' '.join(suites)}`, written by `--page` (`just bench-page`: all suites)."
    yield "Absolute times belong to the machine; read the ratios."
    yield "Candidates and peers take turns in one run; the timer (about 50 ns) is in what is timed from Python."
    yield ""
    yield f"{datetime.now(UTC):%Y-%m-%d}: " + ", ".join(f"{key} {value}" for key, value in where.items()) + "."
    if float(where.get("load", 0)) > int(where.get("cores", 1)):
        yield "**The machine was busy**: the p99 of what is timed from Python is the scheduler's, medians are high, and ratios to peers"
        yield "that take milliseconds flatter us, since only those are interrupted. Measure again on a quiet one before believing a miss."
    yield ""
    yield "## Targets"
    yield ""
    yield "| row | target | measured | |"
    yield "|---|---|---|---|"
    for row in rows:
        if row.target:
            beside = f"; {row.peer}: {row.ratio:,.4g} × ours" if row.peer else ""
            yield f"| {row.name} | {row.target} | {_times(row)}{beside} | {_met(row)} |"
    yield ""
    yield "## Every row"
    yield ""
    yield "| question | ours | peer | × ours |"
    yield "|---|---|---|---|"
    asked = ""
    for row in rows:
        first = row.name != asked
        asked = row.name
        note = f" ({row.note})" if row.note and first else ""
        ours = f"{_times(row)}, n {row.n}" if first else ""
        peer = f"{row.peer}: p50 {duration(row.peer_p50_ns)}" if row.peer else ""
        question = f"**{row.name}** {row.question}{note}" if first else ""
        yield f"| {question} | {ours} | {peer} | {f'{row.ratio:,.4g}' if row.peer else ''} |"
