"""One call a message does exactly what its parts do one by one; what is worked out when it is read is what was worked out at once."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.arrivals import TAKE_TOP, take_top
from pricing.book import mark_top
from pricing.consolidated import BookStatus, ConsolidatedBook, VenueTerms
from pricing.entry import entry
from pricing.scale import Scale
from pricing.signals import Signals
from pricing.volatility import Volatility

START = 1_723_161_254_000_000_000
MAX_AGE_NS = 10**9


def book() -> ConsolidatedBook:
    terms = [
        VenueTerms(
            venue=venue,
            taker_fee_bps=Decimal(5),
            tick=Decimal("0.01"),
            lot=Decimal("0.001"),
            price_decimals=decimals,
            size_decimals=3,
            max_age_ns=MAX_AGE_NS,
        )
        for venue, decimals in (("A", 2), ("B", 1))
    ]
    return ConsolidatedBook("X/Y", Scale("X/Y", 2, 3), terms, depth=12)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_a_top_taken_at_once_is_a_marked_book_and_a_signal(seed: int, n: int) -> None:
    r, one, two = Random(seed), book(), book()
    seen, alone = Signals(), Signals()
    take, now = entry(take_top, TAKE_TOP), START
    for _ in range(n):
        now += r.randrange(-(10**8), 10**9)
        venue, price = r.choice("AB"), r.randrange(90, 110)
        if r.random() < 0.4:
            rows = [(r.choice((1, -1)), r.randrange(90, 110), r.choice((0, 1, 7, 9))) for _ in range(r.randrange(1, 9))]
            snapshot = r.random() < 0.3
            assert len({of.apply(venue, np.array(rows), snapshot, now) for of in (one, two)}) == 1
        else:
            top = (price, r.randrange(0, 9), price + r.randrange(-1, 4), r.randrange(0, 9))
            take(one.arena, one.index(venue), *top, now, seen.state)
            mark_top(two.arena, two.index(venue), *top, now)
            alone.quote(now, *top)
    assert (one.arena == two.arena).all()
    assert (seen.state == alone.state).all()
    fair = one.fair(now)
    assert one.mid(now) == (0.0 if fair is None else float(fair))
    for venue in "AB":
        bids, asks = one.levels(venue, 1)
        assert one.best(venue) == ((bids[0][0], asks[0][0]) if bids and asks else None)


def test_a_message_that_comes_too_late_finds_a_stale_book_and_one_before_a_snapshot_changes_nothing() -> None:
    one = book()
    rows = np.array([[1, 99, 5], [-1, 101, 5]], dtype=np.int64)
    assert one.apply("A", rows, False, START) is BookStatus.EMPTY
    assert one.best("A") is None and one.age_ns("A", START) == START, "an update without a snapshot is not heard"
    assert one.apply("A", rows, True, START) is BookStatus.LIVE
    one.touch("A", START + 3 * MAX_AGE_NS)
    assert one.apply("A", rows, False, START + MAX_AGE_NS) is BookStatus.LIVE, "an older stamp does not make it older"
    assert one.age_ns("A", START + 3 * MAX_AGE_NS) == 0
    crossed = np.array([[1, 102, 5]], dtype=np.int64)
    assert one.apply("A", crossed, False, START + 3 * MAX_AGE_NS) is BookStatus.CROSSED
    assert one.apply("A", np.array([[1, 0, 5]]), False, START + 3 * MAX_AGE_NS) is BookStatus.GAPPED


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_volatility_read_at_the_end_is_volatility_read_every_time(seed: int) -> None:
    r, often, once, mid, now = Random(seed), Volatility(), Volatility(), 60_000.0, START
    read = []
    for _ in range(120):
        now += r.randrange(10**7, 10**9)
        mid *= 1 + r.gauss(0.0, 1e-4)
        often.update(now, mid)
        once.update(now, mid)
        read.append(often.sigma)
    assert once.sigma == read[-1]
    assert len(set(read)) > 1
