"""Running a suite, the machine it ran on, and its table."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.row import Row


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


def run(target: str) -> list[Row]:
    """Load "module:function" and call it."""
    module, function = target.split(":")
    return list(getattr(importlib.import_module(module), function)())


def present(target: str) -> bool:
    """Whether the module of a suite is part of this installation (the dev-only ones may not be)."""
    return importlib.util.find_spec(target.split(":")[0]) is not None


def _duration(ns: int) -> str:
    for unit, size in (("s", 10**9), ("ms", 10**6), ("µs", 10**3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns} ns"


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines for a terminal: the question, our times, then each peer's and how many times ours they are."""
    asked = ""
    for row in rows:
        if row.name != asked:
            asked = row.name
            yield f"{row.name}: {row.question}"
            yield f"    p50 {_duration(row.p50_ns)}, p99 {_duration(row.p99_ns)}, n {row.n}"
        if row.peer:
            note = f"; {row.note}" if row.note else ""
            yield f"    {row.peer}: p50 {_duration(row.peer_p50_ns)}, {row.ratio:g} × ours{note}"
