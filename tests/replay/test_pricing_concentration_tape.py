"""A planted 50× wall is flagged "wall", a flickering one "flickering", and a clean tape neither: recorded and generated."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from pricing.arena import H_DEPTH, HEADER, V_COUNT, V_PRICE_FACTOR, V_SIZE_FACTOR, new_arena, side_base
from pricing.book import apply_levels
from pricing.concentration import R_BAND, ROW, Concentration, Verdict
from sim.events import EventKind
from sim.feed import binance_events
from sim.tape import TapeInfo, scan
from tests.recorded_data import DATA
from tests.replay.tape_maker import tape_lines, write_tape

SIDE, SIGN = 1, -1  # asks
AWAY = Decimal("0.0004")  # of the price, where it is planted
TIMES = 50

Plant = Callable[[float], bool]  # whether the planted level shows, by seconds since the first book


def verdicts(tape: TapeInfo, plant: Plant | None, seconds: float) -> tuple[dict[Verdict, int], int]:
    """How often each verdict was given on the asks (both sides without a plant), and the largest haircut."""
    arena = new_arena(1, 1024)
    arena[HEADER + V_PRICE_FACTOR] = arena[HEADER + V_SIZE_FACTOR] = 1
    seen = Concentration(arena, ["BINANCE"])
    counts = dict.fromkeys(Verdict, 0)
    first_ns = price = size = largest = 0
    shown = False
    for event in binance_events(tape):
        if event.kind not in (EventKind.SNAPSHOT, EventKind.UPDATE):
            continue
        apply_levels(arena, 0, event.levels, int(event.kind is EventKind.SNAPSHOT))
        first_ns = first_ns or event.ts_init_ns
        at = (event.ts_init_ns - first_ns) * 1e-9
        if at > seconds:
            break
        if plant is not None and seen.state[SIDE * ROW + R_BAND]:
            best = -int(arena[side_base(arena, 0, SIDE) + int(arena[HEADER + V_COUNT + SIDE]) - 1])
            if plant(at) and not shown:
                price, shown = int(best * (1 + AWAY)), True
                size = int(TIMES * seen.state[SIDE * ROW + R_BAND])
            elif shown and (not plant(at) or price - best > 3 * (best * (1 + AWAY) - best)):
                shown = False  # cancelled; or the market went away: the wall follows
                apply_levels(arena, 0, np.array([(SIGN, price, 0)]), 0)
            if shown:
                apply_levels(arena, 0, np.array([(SIGN, price, size)]), 0)
        seen.scan("BINANCE", event.ts_init_ns)
        for side in (0, 1) if plant is None else (SIDE,):
            counts[seen.read("BINANCE", side).verdict] += 1
            largest = max(largest, seen.haircut_ppm("BINANCE", side))
    assert int(arena[H_DEPTH]) == 1024 and sum(counts.values()) > 300
    return counts, largest


def stands(_: float) -> bool:
    return True


def flickers(at: float) -> bool:
    return at % 3.0 < 1.2


def check(path: Path, seconds: float) -> None:
    """The three replays of the promise."""
    tape = scan(path)
    clean, haircut = verdicts(tape, None, seconds)
    assert set(v for v, n in clean.items() if n) == {Verdict.CLEAR} and haircut == 0
    wall, haircut = verdicts(tape, stands, seconds)
    assert wall[Verdict.WALL] > 0.5 * sum(wall.values()) and wall[Verdict.FLICKERING] == 0
    assert 100_000 < haircut <= 500_000
    flicker, haircut = verdicts(tape, flickers, seconds)
    assert flicker[Verdict.FLICKERING] > 0.5 * sum(flicker.values()) and flicker[Verdict.WALL] == 0
    assert haircut > 500_000


@pytest.mark.parametrize("symbol", ["btcusdt", "ethusdt"])
def test_on_the_recorded_tape(symbol: str) -> None:
    tape = DATA / "tapes" / f"spot_{symbol}_20240808.gz"
    if not tape.exists():
        pytest.skip("recorded tapes are not here")
    check(tape, 120.0)


def test_on_a_generated_tape(tmp_path: Path) -> None:
    check(write_tape(tmp_path / "made.gz", tape_lines(seed=3, seconds=90.0)), 90.0)
