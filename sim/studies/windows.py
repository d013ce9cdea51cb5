"""Pieces of tapes for studies: seeds take turns on them, so that a study is not of one minute's market; and what is on them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec

from desk.errors import ConfigFault
from sim.instruments import BINANCE
from sim.replay.command import Replay
from sim.tape import TapeFault, discover

LEAST_S = 15.0


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """`start` and `end` in the words of `kerb replay --from` and `--to`."""

    tape: str
    start: str
    end: str

    @property
    def name(self) -> str:
        """The tape's name and where the window begins on it."""
        return f"{Path(self.tape).name} {self.start}"


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


def recorded_alone(replay: Replay) -> Replay:
    """The replay without the second exchange that is derived from the tape, and without LPs: only what was recorded is left."""
    data = replay.data
    kept = {f"{listing.symbol}.{BINANCE}" for listing in data.listings}
    narrow = msgspec.structs.replace(
        data,
        listings=tuple(listing for listing in data.listings if listing.venue == BINANCE),
        instruments=tuple(item for item in data.instruments if item.id.value in kept),
        first=tuple(message for message in data.first if message.instrument_id.value in kept),
        events=[event for event in data.events if event.instrument_id.value in kept],
    )
    venues = tuple(section for section in replay.config.venues if section.venue == BINANCE)
    config = msgspec.structs.replace(replay.config, venues=venues, lps=())
    return dataclasses.replace(replay, data=narrow, config=config)
