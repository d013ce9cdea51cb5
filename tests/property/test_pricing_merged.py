"""The merged view against sorting everything anew, after any sequence of messages, status changes and fees."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.arena import DIRTY, H_ROWS, H_VIEW, PARTIAL, ROWS, WHOLE, view_base
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.merged import LAST_VENUE, TICK_BITS, TICK_MASK, refill
from pricing.scale import Scale
from tests.oracles import books as twin

FEES = [1000, 250, -100, 0]
VENUES = len(FEES)
AGE = 1_000


class Market:
    """The book under test, its plain twin, and how the random messages come about."""

    def __init__(self, seed: int, depth: int, span: int) -> None:
        self.dice, self.depth, self.span = Random(seed), depth, span
        self.fees = list(FEES)
        self.now = 1
        terms = [self.terms(v) for v in range(VENUES)]
        self.book = ConsolidatedBook("GOLD/USD", Scale("GOLD/USD", 1, 2), terms, depth=depth)
        self.plain = [twin.DictBook(depth) for _ in FEES]
        self.whole = [False] * VENUES
        self.heard = [0] * VENUES
        for v in range(VENUES):
            self.snapshot(v)

    def terms(self, v: int) -> VenueTerms:
        return VenueTerms(
            venue=f"V{v}",
            taker_fee_bps=Decimal(self.fees[v]) / 100,
            tick=Decimal("0.1"),
            lot=Decimal("0.01"),
            price_decimals=1,
            size_decimals=2,
            max_age_ns=AGE,
        )

    def rows(self, n: int) -> list[tuple[int, int, int]]:
        dice, made = self.dice, []
        for _ in range(n):
            side = dice.choice((1, -1))
            away = int(dice.expovariate(8 / self.span)) if dice.random() < 0.7 else dice.randrange(self.span)
            made.append((side, 50_000 - side * (1 + away), 0 if dice.random() < 0.35 else dice.randint(1, 99)))
        return made

    def _apply(self, v: int, rows: list[tuple[int, int, int]], snapshot: bool) -> None:
        self.book.apply(f"V{v}", np.array(rows, dtype=np.int64).reshape(-1, 3), snapshot, self.now)
        if snapshot:
            self.plain[v], self.whole[v] = twin.DictBook(self.depth), True
        if self.whole[v]:
            self.heard[v] = self.now
            for side, price, size in rows:
                self.plain[v].set(side, price, size)

    def snapshot(self, v: int) -> None:
        self._apply(v, self.rows(2 * self.span), True)

    def step(self) -> None:
        dice, v = self.dice, self.dice.randrange(VENUES)
        self.now += dice.choice((0, 1, 40))
        chance = dice.random()
        if chance < 0.85:
            self._apply(v, self.rows(dice.randint(0, 30)), False)
        elif chance < 0.90:
            bid, ask = 50_000 - dice.randint(0, 12), 50_000 + dice.randint(0, 12)
            self.book.mark_top(f"V{v}", bid, 20, ask, 30, self.now)
            if self.whole[v]:
                self.plain[v].top(bid, 20, ask, 30)
                self.heard[v] = self.now
        elif chance < 0.94:
            self.snapshot(v)
        elif chance < 0.97:
            self.book.clear(f"V{v}", "gap", self.now)
            self.plain[v], self.whole[v] = twin.DictBook(self.depth), False
            self.heard[v] = self.now
        else:
            self.fees[v] = dice.choice((-500, 0, 250, 1000))
            self.book.set_terms(self.terms(v))

    def live(self) -> list[twin.DictBook]:
        """The books that may be used, the others empty."""
        shown = []
        for v, plain in enumerate(self.plain):
            bids, asks = plain.side(0), plain.side(1)
            usable = self.whole[v] and bids and asks and bids[0][0] < asks[0][0] and self.now - self.heard[v] <= AGE
            shown.append(plain if usable else twin.DictBook(1))
        return shown

    def view(self, side: int) -> list[tuple[int, int, int]]:
        """What the view holds, best first."""
        arena = self.book.arena
        base, n = view_base(arena, side), int(arena[H_ROWS + side])
        refs, sizes = (arena[base + k * ROWS : base + k * ROWS + n][::-1].tolist() for k in (1, 2))
        return [(LAST_VENUE - (ref >> TICK_BITS), ref & TICK_MASK, lots) for ref, lots in zip(refs, sizes, strict=True)]


@pytest.mark.parametrize(("depth", "span"), [(512, 300), (512, 20), (24, 60)])
def test_the_view_is_the_best_of_a_sorted_rebuild(depth: int, span: int) -> None:
    seen = {DIRTY: 0, PARTIAL: 0, WHOLE: 0}
    for seed in range(12):
        market = Market(seed, depth, span)
        for turn in range(80):
            market.step()
            if turn % 5 == 0:
                for side in (0, 1):
                    refill(market.book.arena, side)
            for side in (0, 1):
                state = int(market.book.arena[H_VIEW + side])
                seen[state] += 1
                if state != DIRTY:
                    rows, sorted_anew = market.view(side), twin.merged(market.plain, market.fees, side)
                    assert rows == sorted_anew[: len(rows)]
                    assert state == PARTIAL or len(rows) == len(sorted_anew)
    kind = PARTIAL if span == 300 else WHOLE
    assert seen[kind] > 300 and seen[DIRTY] > 50  # every fifth was refilled, the others had been updated in place


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([(512, 120), (10, 40)]), st.integers(1, 60))
def test_the_ladder_of_live_venues_is_the_sorted_one(seed: int, shape: tuple[int, int], rows: int) -> None:
    market = Market(seed, *shape)
    for _ in range(25):
        market.step()
        ladder = market.book.ladder(rows, market.now)
        for side in (0, 1):
            want = twin.merged(market.live(), market.fees, side)[:rows]
            got = [(int(row.venue[1:]), int(row.price * 10), int(row.size * 100)) for row in ladder[side]]
            assert got == want
            factors = [1 + (1 if side else -1) * Decimal(fee) / 1_000_000 for fee in market.fees]
            assert [row.all_in for row in ladder[side]] == [
                Decimal(price) / 10 * factors[venue] for venue, price, _ in want
            ]
            reach = [sum(lots for _, _, lots in want[: i + 1]) for i in range(len(want))]
            assert [row.cumulative for row in ladder[side]] == [Decimal(lots) / 100 for lots in reach]


def test_a_view_nobody_reads_stays_dirty() -> None:
    market = Market(5, 64, 40)
    assert [int(market.book.arena[H_VIEW + side]) for side in (0, 1)] == [DIRTY, DIRTY]
    market.book.ladder(3, market.now)
    assert all(int(market.book.arena[H_VIEW + side]) != DIRTY for side in (0, 1))
    market.book.set_terms(msgspec.structs.replace(market.terms(0), taker_fee_bps=Decimal(7)))
    assert [int(market.book.arena[H_VIEW + side]) for side in (0, 1)] == [DIRTY, DIRTY]
