"""How long does the live splitter take, from books in hand to a certified plan, beside what one would use instead?

Each order of `benchmarks.orders` is laid out as live books; those that the kernel certifies are measured, and the note
says how many they are. Three figures: the kernel alone (`REPEAT` calls of one order inside compiled code, so predictors
are warm), the kernel called from Python, and the whole way from decimals to decimals as the router goes it.
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
from numba import njit

from benchmarks import peers
from benchmarks.orders import order
from benchmarks.row import Row, rows, side_by_side
from pricing.book import Array
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from router import fast
from router.live import LiveSplitter
from router.problem import Problem
from router.request import SplitRequest
from router.split import split

NOW = 1_000_000_000
ORDERS = 120
REPEAT = 50
GAP = Decimal("0.01")


@njit(cache=True, nogil=True)
def repeat(book: Array, work: Array, sums: fast.Floats, times: int) -> int:
    """The kernel `times` times on one order."""
    found = 0
    for _ in range(times):
        found += fast.certify(book, work, sums)
    return found


def live_book(request: SplitRequest) -> ConsolidatedBook:
    """The asks of a request as live books, with one bid far below."""
    terms = [
        VenueTerms(
            venue=book.venue,
            taker_fee_bps=book.taker_fee_bps,
            tick=Decimal("0.01"),
            lot=book.lot,
            min_quantity=book.min_quantity,
            min_notional=book.min_notional,
            price_decimals=2,
            size_decimals=5,
            max_age_ns=NOW,
        )
        for book in request.books
    ]
    made = ConsolidatedBook("BTC/USDT", Scale("BTC/USDT", 2, 5), terms)
    for book in request.books:
        levels = [(-1, made.scale.ticks(price), made.scale.lots(size)) for price, size in book.levels]
        made.apply(book.venue, np.array([(1, 5_000_000, 1), *levels], dtype=np.int64), True, NOW)
    return made


def live_split(
    shapes: tuple[tuple[int, int, int], ...] = ((5, 50, 6), (20, 400, 6)), orders: int = ORDERS
) -> list[Row]:
    """Kernel, kernel from Python, and decimals to decimals, for each shape."""
    report: list[Row] = []
    for venues, depth, quotes in shapes:
        label = f"{venues}x{depth}+{quotes}"
        wanted = [order(seed, venues, depth, quotes) for seed in range(orders)]
        cases = [(request, live_book(request)) for request in wanted]
        certified = [
            (request, book, found) for request, book in cases if (found := _certified(request, book)) is not None
        ]
        note = f"{len(certified)} of {orders} orders certified within {GAP} bp; the rest go to the exact search"
        inner = [partial(repeat, book.arena, one.work, one.sums, REPEAT) for _, book, one in certified]
        mine, _ = side_by_side(inner, {}, 20)
        question = (
            f"a certified plan for one order over {venues} live books × {depth} levels and {quotes} LP quotes, kernel"
        )
        report += rows(f"split.kernel {label}", question, mine, {}, note, per=REPEAT)
        kernel = [partial(fast.certify, book.arena, one.work, one.sums) for _, book, one in certified]
        problems = [Problem(request) for request, _, _ in certified]
        heap = [partial(peers.heap_split, problem) for problem in problems]
        sort = [partial(peers.sort_split, *peers.columns(problem), problem.quantity) for problem in problems]
        slow = [partial(peers.milp_split, problem) for problem in problems[: 4 if depth < 100 else 2]]
        others = {"python heap": heap, "numpy argsort": sort, "scipy milp (HiGHS)": slow}
        mine, theirs = side_by_side(kernel, others, 20)
        note = "heap and sort ignore lots, minimums, balances and quotes"
        report += rows(f"split.certified {label}", "the same, kernel called from Python", mine, theirs, note)
        whole = [partial(one.solve, book, **_arguments(request)) for request, book, one in certified]
        exact = [partial(split, request) for request, _, _ in certified]
        mine, theirs = side_by_side(whole, {"exact search in Python": exact}, 2)
        report += rows(f"split.live {label}", "the same from decimals to decimals, as the router asks it", mine, theirs)
    return report


def _arguments(request: SplitRequest) -> dict[str, Any]:
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


def _certified(request: SplitRequest, book: ConsolidatedBook) -> LiveSplitter | None:
    """A splitter with the order in its arrays; None when the kernel leaves it to the exact search."""
    one = LiveSplitter(book)
    return None if one.solve(book, **_arguments(request)) is None else one
