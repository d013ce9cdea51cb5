"""Distinct ordinary orders laid out for the live splitter's kernel, so that compiled code can time them one after the other.

Orders of `benchmarks.orders` over a few sets of books that fit the processor's caches, as a live desk's do. Each order is
laid out by the product itself (`LiveSplitter`), and its input words are kept.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import numpy as np
from numba import njit

from benchmarks.orders import LOTS, orders
from benchmarks.tsc import ticks
from pricing.book import Array
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from router.exact.request import SplitRequest
from router.exact.result import SplitResult
from router.live import fast, layout, prove
from router.live.splitter import NODE_LIMIT, LiveSplitter, Verdict

NOW = 1_000_000_000
GAP = Decimal("0.01")


class LiveOrders:
    """`count` orders over `sets` sets of books. `books`: a row a set; `rows`: the input words of each order; `which`: its set;
    `units`: what divides its money, for the search; `certified`, `verdicts`: how often the kernel certified, and why not."""

    def __init__(
        self, venues: int, depth: int, quotes: int, *, count: int, sets: int, lots: tuple[str, ...] = LOTS
    ) -> None:
        self.shape = (venues, depth)
        self.requests: list[SplitRequest] = []
        self.made: list[ConsolidatedBook] = []
        self.splitters: list[LiveSplitter] = []
        self.results: list[SplitResult | None] = []
        self.verdicts: Counter[str] = Counter()
        rows, which, units, certified = [], [], [], []
        words = int(layout.HEAD) + venues * int(layout.VENUE)
        for each in range(sets):
            wanted = orders(each, venues, depth, quotes, count // sets, lots)
            book = live_book(wanted[0], depth)
            one = LiveSplitter(book)
            self.made.append(book)
            self.splitters.append(one)
            for request in wanted:
                found = one.solve(book, **arguments(request))
                self.verdicts[one.verdict.name.lower()] += 1
                certified.append(one.verdict is Verdict.CERTIFIED)
                units.append(one.unit)
                rows.append(one.order[:words].copy())
                which.append(each)
                self.results.append(found)
                self.requests.append(request)
        self.books = np.array([book.arena for book in self.made])
        self.rows, self.which = np.array(rows), np.array(which, dtype=np.int64)
        for v in range(venues):  # the kernel clears it where nothing can be had; every book of these is live
            self.rows[:, int(layout.HEAD) + v * int(layout.VENUE) + int(layout.USED)] = 1
        self.units, self.certified = np.array(units, dtype=np.int64), np.array(certified)
        self.work = layout.new_order(venues, depth)
        self.search = prove.new_search(venues, depth, layout.MAX_QUOTES, NODE_LIMIT)

    def lay(self, index: int, work: Array) -> Array:
        """Order `index` in `work`; the arena of its books."""
        row = self.rows[index]
        work[: len(row)] = row
        return self.made[int(self.which[index])].arena

    def timed(self) -> tuple[Array, Array]:
        """Ticks of each order, with the search where the certified kernel leaves it open, and its verdict."""
        cycles, verdicts = np.zeros(len(self.rows), dtype=np.int64), np.zeros(len(self.rows), dtype=np.int64)
        timed(self.books, self.which, self.rows, self.units, self.work, self.search, cycles, verdicts)
        return cycles, verdicts


@njit(nogil=True)  # not cached: numba would not notice that what it calls has changed
def timed(
    books: Array, which: Array, rows: Array, units: Array, work: Array, search: Array, cycles: Array, verdicts: Array
) -> None:
    """Each order laid into `work`, then solved; ticks of the processor's clock for the second alone."""
    order_at, search_at = work.ctypes.data, search.ctypes.data
    for i in range(rows.shape[0]):
        for word in range(rows.shape[1]):
            work[word] = rows[i, word]
        book_at = books[which[i]].ctypes.data
        began = ticks()
        verdict = fast.certify(book_at, order_at)
        if verdict != fast.CERTIFIED:
            prove.prove(book_at, order_at, search_at, units[i], NODE_LIMIT, prove.PATIENT)
        cycles[i] = ticks() - began
        verdicts[i] = verdict


def live_book(request: SplitRequest, depth: int) -> ConsolidatedBook:
    """The asks of a request as live books, with one bid far below."""
    terms = [
        VenueTerms(
            venue=book.venue,
            taker_fee_bps=book.taker_fee_bps,
            tick=Decimal("0.01"),
            lot=book.lot,
            min_quantity=book.min_quantity,
            min_notional=book.min_notional,
            fixed_cost=book.fixed_cost,
            price_decimals=2,
            size_decimals=5,
            max_age_ns=NOW,
        )
        for book in request.books
    ]
    made = ConsolidatedBook("BTC/USDT", Scale("BTC/USDT", 2, 5), terms, depth=depth)
    for book in request.books:
        levels = [(-1, made.scale.ticks(price), made.scale.lots(size)) for price, size in book.levels]
        made.apply(book.venue, np.array([(1, 5_000_000, 1), *levels], dtype=np.int64), True, NOW)
    return made


def arguments(request: SplitRequest) -> dict[str, Any]:
    """A request as the router asks the live splitter."""
    return {
        "side": request.side,
        "quantity": request.quantity,
        "limit_price": request.limit_price,
        "quotes": request.quotes,
        "balances": {book.venue: book.balance for book in request.books},
        "max_children": request.max_children,
        "exclude": frozenset(),
        "now_ns": NOW,
        "gap_bps": GAP,
    }
