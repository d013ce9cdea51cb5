"""Concentration against plain Python, and the life of a wall-sized level step by step."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.arena import HEADER, V_PRICE_FACTOR, V_SIZE_FACTOR, VENUE_WORDS, new_arena
from pricing.book import apply_levels, clear_book
from pricing.concentration import (
    FLICKERS,
    LEAST_LEVELS,
    R_BAND,
    ROW,
    SHORT_LIFE_S,
    STANDS_S,
    WALL,
    WALL_DOUBT,
    Concentration,
    Verdict,
)
from tests.oracles import concentration as twin

SECOND = 10**9


class Rig:
    """Two venues' books and their concentration; `step` lets time go on."""

    def __init__(self, levels: int = 120, seed: int = 1, venues: int = 1) -> None:
        self.arena = new_arena(venues, 512)
        self.names = [f"V{v}" for v in range(venues)]
        self.seen = Concentration(self.arena, self.names)
        self.now = 10**18
        dice = Random(seed)
        for v in range(venues):
            head = HEADER + v * VENUE_WORDS
            self.arena[head + V_PRICE_FACTOR] = self.arena[head + V_SIZE_FACTOR] = 1
            rows = [(s, 50_000 - s * (1 + 3 * i), dice.randint(50, 150)) for s in (1, -1) for i in range(levels)]
            self.put(rows, v, snapshot=True)

    def put(self, rows: list[tuple[int, int, int]], v: int = 0, snapshot: bool = False) -> None:
        apply_levels(self.arena, v, np.array(rows, dtype=np.int64), int(snapshot))

    def step(self, seconds: float = 0.2, venue: str = "V0") -> Verdict:
        self.now += int(seconds * SECOND)
        self.seen.scan(venue, self.now)
        return self.seen.read(venue, 0).verdict


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3_000), st.integers(1, 10**9)), min_size=LEAST_LEVELS, max_size=260),
    st.booleans(),
)
def test_the_measures_equal_their_twin(levels: list[tuple[int, int]], asks: bool) -> None:
    book = dict(levels)
    if len(book) < LEAST_LEVELS:
        return
    side, sign = int(asks), -1 if asks else 1
    rig = Rig(levels=20)
    rows = [(sign, 100_000 - sign * price, size) for price, size in book.items()]
    rows += [(-sign, 100_000 + sign * (1 + i), 5) for i in range(LEAST_LEVELS)]
    rig.put(rows, snapshot=True)
    rig.step()
    want = twin.measure(sorted(((sign * (100_000 - sign * p), q) for p, q in book.items()), reverse=True))
    got = rig.seen.read("V0", side)
    assert got.hhi == pytest.approx(want["hhi"], rel=1e-12)
    assert got.top_share == pytest.approx(want["top_share"], rel=1e-12)
    assert got.wall == pytest.approx(want["wall"], rel=1e-12)
    assert rig.seen.state[side * ROW + R_BAND] == pytest.approx(want["band"], rel=1e-12)


def test_a_level_becomes_a_wall_when_it_has_stood() -> None:
    rig = Rig()
    assert rig.step() is Verdict.CLEAR and rig.seen.haircut_ppm("V0", 0) == 0
    size = int(50 * rig.seen.state[R_BAND])
    rig.put([(1, 49_900, size)])
    assert rig.step() is Verdict.CLEAR
    for _ in range(int(STANDS_S / 0.2)):
        verdict = rig.step()
    reading = rig.seen.read("V0", 0)
    assert verdict is Verdict.WALL and reading.wall_ticks == 49_900 and reading.wall > 0.8 * 50
    share = WALL_DOUBT * (size - size / 50) / reading.depth
    assert reading.haircut_ppm == pytest.approx(1e6 * share, rel=0.05)
    assert rig.seen.read("V0", 1).verdict is Verdict.CLEAR and rig.seen.haircut_ppm("V0", 1) == 0
    rig.put([(1, 49_900, 60)])
    assert rig.step() is Verdict.CLEAR and rig.seen.haircut_ppm("V0", 0) == 0


def flash(rig: Rig, times: int, touch: bool = False, shown_s: float = 1.0) -> Verdict:
    size = int(50 * rig.seen.state[R_BAND])
    verdict = Verdict.CLEAR
    for _ in range(times):
        rig.put([(1, 49_900, size)])
        rig.step(0.2)
        rig.step(shown_s - 0.2)
        if touch:  # everything better goes first: it was there to be hit
            better = [(1, 50_000 - 1 - 3 * i, 0) for i in range(33)]
            rig.put([*better, (1, 49_900, 0)])
            rig.step(0.2)
            rig.put([(side, price, 100) for side, price, _ in better])
        else:
            rig.put([(1, 49_900, 0)])
        verdict = rig.step(0.5)
    return verdict


def test_what_is_cancelled_before_the_touch_again_and_again_flickers() -> None:
    rig = Rig()
    rig.step()
    assert flash(rig, int(FLICKERS) - 1) is Verdict.CLEAR
    assert flash(rig, 3) is Verdict.FLICKERING
    rig.put([(1, 49_900, int(50 * rig.seen.state[R_BAND]))])
    assert rig.step() is Verdict.FLICKERING
    reading = rig.seen.read("V0", 0)
    assert reading.wall_ticks == 49_900 and reading.haircut_ppm > 700_000  # none of it is counted on
    for _ in range(40):
        verdict = rig.step(5.0)
    assert verdict is Verdict.WALL  # it has stood for minutes: the past is forgotten


def test_what_was_touched_or_had_stood_long_does_not_flicker() -> None:
    rig = Rig()
    rig.step()
    assert flash(rig, 8, touch=True) is Verdict.CLEAR
    assert flash(rig, 8, shown_s=SHORT_LIFE_S + 1) is Verdict.CLEAR


def test_a_cleared_book_cancels_nothing_and_a_thin_one_is_not_judged() -> None:
    rig = Rig()
    rig.step()
    for _ in range(8):
        rig.put([(1, 49_900, int(50 * max(rig.seen.state[R_BAND], 100)))])
        rig.step()
        clear_book(rig.arena, 0)
        rig.seen.forget("V0")
        assert rig.step() is Verdict.CLEAR and rig.seen.read("V0", 0).levels == 0
        rig.put([(s, 50_000 - s * (1 + 3 * i), 100) for s in (1, -1) for i in range(60)], snapshot=True)
        rig.step()
    assert rig.step() is Verdict.CLEAR
    thin = Rig(levels=LEAST_LEVELS - 1)
    thin.put([(1, 49_999, 10**9)])
    for _ in range(60):
        assert thin.step() is Verdict.CLEAR and thin.seen.haircut_ppm("V0", 0) == 0


def test_consolidated_is_what_one_book_of_all_levels_would_say() -> None:
    rig = Rig(venues=3, levels=40)
    rig.put([(1, 49_900, int(WALL * 20_000))], 1)
    sizes: list[int] = []
    for name in rig.names:
        for _ in range(60):
            rig.step(venue=name)
    for v in range(3):
        base = HEADER + 3 * VENUE_WORDS + 4 * v * 512
        sizes += rig.arena[base + 512 : base + 512 + int(rig.arena[HEADER + v * VENUE_WORDS])].tolist()
    got, total = rig.seen.consolidated(0), sum(sizes)
    assert got.depth == total and got.hhi == pytest.approx(sum((q / total) ** 2 for q in sizes))
    assert got.top_share == pytest.approx(sum(sorted(sizes)[-5:]) / total)
    shares = [rig.seen.read(name, 0).depth / total for name in rig.names]
    assert got.venue_hhi == pytest.approx(sum(share**2 for share in shares))
    assert got.haircut_ppm == pytest.approx(rig.seen.haircut_ppm("V1", 0) * shares[1], abs=2)
    assert rig.seen.consolidated(0, lambda name: name != "V1").haircut_ppm == 0
