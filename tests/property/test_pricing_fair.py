"""Fair value: the kernel against plain Python, and each rule of exclusion on its own."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.fair import QUOTE_NS, Verdict
from pricing.scale import Scale
from tests.oracles import fair as twin

SECOND = 10**9
SCALE = Scale("BTC/USDT", 1, 2)


def made(n: int, max_age_ns: int = SECOND) -> ConsolidatedBook:
    terms = [
        VenueTerms(
            venue=f"V{v}",
            taker_fee_bps=Decimal(1),
            tick=Decimal("0.1"),
            lot=Decimal("0.01"),
            price_decimals=1,
            size_decimals=2,
            max_age_ns=max_age_ns,
        )
        for v in range(n)
    ]
    return ConsolidatedBook("BTC/USDT", SCALE, terms)


def put(book: ConsolidatedBook, v: int, bid: int, bid_size: int, ask: int, ask_size: int, ts: int) -> None:
    rows = np.array([(1, bid, bid_size), (1, bid - 9, 5), (-1, ask, ask_size), (-1, ask + 9, 5)], dtype=np.int64)
    book.apply(f"V{v}", rows, True, ts)


venue = st.tuples(
    st.sampled_from((0, 0, 0, 1, 3, 20, 300, -40, 4_000, -9_000)),
    st.integers(1, 12),
    st.integers(1, 900),
    st.integers(1, 900),
    st.integers(0, 14 * SECOND // 10),
    st.sampled_from(("", "", "", "", "", "AWAITED", "CROSSED", "EMPTY")),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(venue, min_size=1, max_size=9))
def test_the_kernel_equals_its_twin(venues: list[tuple[int, int, int, int, int, str]]) -> None:
    book, now, tops = made(len(venues)), 10 * SECOND, []
    for v, (off, spread, bid_size, ask_size, age, out) in enumerate(venues):
        bid = 600_000 + off
        ask = bid + spread if out != "CROSSED" else bid - spread
        put(book, v, bid, bid_size, ask, ask_size, now - age)
        if out == "EMPTY":
            book.apply(f"V{v}", np.array([(-1, ask, 0), (-1, ask + 9, 0)], dtype=np.int64), False, now - age)
        if out == "AWAITED":
            book.clear(f"V{v}", "gap", now - age)
        tops.append(twin.Top(bid, bid_size, ask, ask_size, age, SECOND, out))
    want, verdicts = twin.fair(tops)
    got = book.explain_fair(now)
    assert [part.verdict.name for part in got.venues] == verdicts
    assert got.value == book.fair(now)
    if want is None:
        assert got.value is None and all(part.weight == 0 for part in got.venues)
    else:
        assert got.value is not None and abs(float(got.value) * 10 - want) <= 0.0051
        assert float(sum(part.weight for part in got.venues)) == pytest.approx(1.0, abs=1e-3)
        micros = [part.micro for part in got.venues if part.verdict is Verdict.USED and part.micro is not None]
        assert min(micros) <= got.value <= max(micros)


def test_one_venue_that_went_mad_is_left_out_and_said_so() -> None:
    book = made(4)
    for v in range(4):
        put(book, v, 600_000 + v, 50, 600_002 + v, 50, 0)
    before = book.fair(0)
    put(book, 2, 601_500, 50, 601_502, 50, 0)  # 25 bp away
    explained = book.explain_fair(0)
    assert explained.venues[2].verdict is Verdict.OUTLIER and explained.venues[2].weight == 0
    assert before is not None and explained.value is not None and abs(explained.value - before) < Decimal("0.1")


def test_venues_that_drift_apart_together_are_not_outliers() -> None:
    book = made(5)
    for v, off in enumerate((0, 400, 800, 1_200, 1_600)):  # 6.7 bp steps: a wide market, nobody is wrong
        put(book, v, 600_000 + off, 50, 600_002 + off, 50, 0)
    assert {part.verdict for part in book.explain_fair(0).venues} == {Verdict.USED}


def test_two_camps_and_two_that_disagree_have_no_fair_value() -> None:
    book = made(4)
    for v in range(4):
        put(book, v, 600_000 + 12_000 * (v % 2), 50, 600_002 + 12_000 * (v % 2), 50, 0)
    assert book.fair(0) is None and {part.verdict for part in book.explain_fair(0).venues} == {Verdict.DISPUTED}
    book.clear("V2", "gap", 0)
    book.clear("V3", "gap", 0)
    assert book.fair(0) is None
    book.clear("V1", "gap", 0)
    assert book.fair(0) == Decimal("60000.1")


def test_a_fresh_venue_weighs_more_than_one_about_to_go_stale() -> None:
    book = made(2)
    put(book, 0, 600_000, 50, 600_002, 50, 0)
    put(book, 1, 600_010, 50, 600_012, 50, 9 * SECOND // 10)
    old, new = book.explain_fair(9 * SECOND // 10).venues
    assert new.weight > 8 * old.weight > 0


def test_the_venues_own_top_runs_ahead_of_its_depth_stream() -> None:
    book = made(1)
    put(book, 0, 600_000, 50, 600_002, 50, 0)
    book.mark_top("V0", 600_001, 30, 600_002, 10, 5)  # a better bid than the book knows: nothing is inserted there
    assert book.best("V0") == (Decimal("60000.0"), Decimal("60000.2")) and book.fair(5) == Decimal("60000.175")
    late = 5 + QUOTE_NS + 1
    book.touch("V0", late)
    put(book, 0, 600_000, 50, 600_002, 50, late)
    assert book.fair(late) == Decimal("60000.100")  # the quote is old by now: the book's own top
    book.mark_top("V0", 600_001, 30, 600_002, 10, late)
    book.clear("V0", "gap", late)
    put(book, 0, 600_000, 50, 600_002, 50, late)
    assert book.fair(late) == Decimal("60000.100")  # nothing is left of the time before the gap
