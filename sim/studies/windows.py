"""Pieces of tapes for studies: seeds take turns on them, so that a study is not of one minute's market."""

from __future__ import annotations

from pathlib import Path

import msgspec

from desk.errors import ConfigFault
from sim.tape import TapeFault, discover

LEAST_S = 15.0


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """`start` and `end` in the words of `kerb replay --from` and `--to`."""

    tape: str
    start: str
    end: str


def windows_of(tape: Path, seconds: float) -> list[Window]:
    """Non-overlapping windows of about `seconds` of every tape; the whole of a tape that is shorter. Raises ConfigFault."""
    if seconds < LEAST_S:
        raise ConfigFault(f"--window {seconds:g}s: at least {LEAST_S:g}s are needed to fill books and measure")
    try:
        tapes = discover(tape)
    except TapeFault as fault:
        raise ConfigFault(str(fault)) from fault
    found = []
    for info in tapes:
        length = (info.last_ns - info.first_ns) * 1e-9
        if length < LEAST_S:
            raise ConfigFault(f"{info.path.name} lasts {length:.1f} s: at least {LEAST_S:g} s are needed")
        count = max(1, int(length / seconds))
        step = length / count
        for number in range(count):
            start, end = number * step, (number + 1) * step
            found.append(Window(tape=str(info.path), start=f"+{start:.3f}", end=f"+{end:.3f}"))
    return found
