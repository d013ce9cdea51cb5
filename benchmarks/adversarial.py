"""What do orders cost that the certified kernel leaves open, at worst, and are their gaps true?

Odd lots that do not divide one another, minimums of thousands, fixed costs, few children, many quotes to be taken whole or in
part. The search ends by counted steps (`router.live.prove.PATIENT`), so its time is bounded whatever the order. Times are of
the whole call, from decimals to decimals, on the thread's own clock: what other processes take of a shared machine is not
in them. Each of the worst is asked three times and keeps its least.

The gap of every order that stayed open is held against the exact search without that limit: our bound may not be above what
that search finds, nor our cost below what it proves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from random import Random
from time import thread_time_ns
from typing import Any

import msgspec

from benchmarks.live_orders import arguments, live_book
from benchmarks.orders import orders
from benchmarks.row import Row, rows
from router.exact.request import SplitRequest
from router.exact.result import SplitResult
from router.exact.split import split
from router.live.splitter import LiveSplitter

SHAPES = ((5, 50, 12), (20, 400, 20))  # venues, levels, quotes
ORDERS = 3_000
EACH = 100  # orders over one set of books
WORST = 30  # asked again
CHECKED = 20  # open orders held against the exact search
NODES = 200_000
GRID = Decimal("0.00001")
LOTS = ("0.00001", "0.00003", "0.00007", "0.0003", "0.001", "0.0025", "0.01", "0.03")


def adversarial(count: int = ORDERS) -> list[Row]:
    """The worst of `count` such orders for each shape."""
    return [row for shape in SHAPES for row in _worst(*shape, count)]


def _worst(venues: int, depth: int, quotes: int, count: int) -> list[Row]:
    r = Random(11)
    times: list[int] = []
    again: list[tuple[int, Callable[[], object]]] = []
    left: list[tuple[SplitRequest, SplitResult]] = []
    verdicts: Counter[str] = Counter()
    for seed in range(max(1, count // EACH)):
        wanted = [_hard(r, request) for request in orders(seed, venues, depth, quotes, min(EACH, count), LOTS)]
        charges = _charges(r, venues)
        wanted = [_charged(charges, request) for request in wanted]
        book = live_book(wanted[0], depth)
        one = LiveSplitter(book)
        for request in wanted:
            solve = partial(one.solve, book, **arguments(request))
            took = _thread_ns(solve)
            times.append(took)
            again.append((took, solve))
            result = solve()
            verdicts[one.verdict.name.lower()] += 1
            if result is not None and not result.optimal and result.gap_bps > Decimal("0.01"):
                left.append((request, result))
    again.sort(key=lambda pair: -pair[0])
    worst = max(min(took, *(_thread_ns(solve) for _ in range(3))) for took, solve in again[:WORST])
    left.sort(key=lambda pair: -pair[1].gap_bps)
    largest = left[0][1].gap_bps if left else Decimal(0)
    truest = max((_checked(request, result) for request, result in left[:CHECKED]), default=Decimal(0))
    said = ", ".join(f"{n} {name}" for name, n in verdicts.most_common())
    note = (
        f"{said}; {len(left)} stayed open, the widest reported gap is {largest:.3g} bp; of the {min(len(left), CHECKED)} widest "
        f"the exact search found {truest:.3g} bp at most"
    )
    question = f"an order made to be hard over {venues}x{depth} levels and {quotes} quotes, decimals to decimals, worst of {len(times)}"
    return [
        msgspec.structs.replace(row, worst_ns=worst)
        for row in rows(f"split.adversarial {venues}x{depth}", question, times, {}, note)
    ]


def _hard(r: Random, request: SplitRequest) -> SplitRequest:
    """Few children, six LPs, three quotes in ten to be taken in part, some of those with a ticket."""
    quotes = []
    for j, quote in enumerate(request.quotes):
        changes: dict[str, Any] = {"lp": f"L{j % 6}"}
        if r.random() < 0.3:
            changes |= {"all_or_none": False, "lot": GRID, "min_quantity": (quote.quantity / 4).quantize(GRID)}
            changes |= {"fixed_cost": Decimal(r.choice((0, 0, 3, 12)))}
        quotes.append(msgspec.structs.replace(quote, **changes))
    return msgspec.structs.replace(request, quotes=tuple(quotes), max_children=r.randint(2, 5))


def _charges(r: Random, venues: int) -> list[tuple[Decimal, Decimal]]:
    """A fixed cost and a least notional for each venue."""
    return [(Decimal(r.choice((0, r.randint(1, 30)))), Decimal(r.choice((5, 1_000, 20_000)))) for _ in range(venues)]


def _charged(charges: list[tuple[Decimal, Decimal]], request: SplitRequest) -> SplitRequest:
    books = tuple(
        msgspec.structs.replace(book, fixed_cost=cost, min_notional=least)
        for book, (cost, least) in zip(request.books, charges, strict=True)
    )
    return msgspec.structs.replace(request, books=books)


def _thread_ns(case: Callable[[], object]) -> int:
    began = thread_time_ns()
    case()
    return thread_time_ns() - began


def _checked(request: SplitRequest, found: SplitResult) -> Decimal:
    """The true gap in basis points; raises when the bound or the cost we reported is not true."""
    exact = split(request, gap_bps=Decimal(0), node_limit=NODES)
    if exact.filled != found.filled or found.bound > exact.cost or found.cost < exact.bound:
        raise AssertionError(
            f"a reported gap is not true: {found.cost} ≥ {found.bound}, exact {exact.cost} ≥ {exact.bound}"
        )
    return (found.cost - exact.cost) * 10_000 / abs(exact.cost)
