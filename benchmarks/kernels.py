"""How long do the kernels take, beside what one would use instead? Synthetic BTC-like books; each function answers
named questions."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from random import Random

import numpy as np

from benchmarks import peers
from benchmarks.live_split import live_split
from benchmarks.orders import order
from benchmarks.row import Row, rows, side_by_side
from pricing.book import APPLY, apply_levels
from pricing.charges import Charges, Client
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.entry import entry
from pricing.haircut import displayed
from pricing.ladder import price_quote
from pricing.parameters import PricingParameters
from pricing.rungs import LADDER, Ladder, ladder_kernel
from pricing.scale import Scale
from router.exact.arena import ACTIVE
from router.exact.pack import Packed
from router.exact.problem import Problem
from router.exact.relax import select
from router.exact.search import solve_at
from router.exact.split import split as split_request

NOW = 1_000_000_000
SHAPES = ((5, 50, 6), (20, 400, 6))


def split() -> list[Row]:
    """The splitter: its kernel, the exact search (gap 0), and from decimals to decimals; beside heap, sort
    and HiGHS."""
    report: list[Row] = []
    for venues, depth, quotes in SHAPES:
        label = f"{venues}x{depth}+{quotes}"
        orders = [order(seed, venues, depth, quotes) for seed in range(40)]
        problems = [Problem(request) for request in orders]
        arrays = [peers.columns(problem) for problem in problems]
        heap = [partial(peers.heap_split, problem) for problem in problems]
        sort = [
            partial(peers.sort_split, *array, problem.quantity) for array, problem in zip(arrays, problems, strict=True)
        ]
        convex = [peers.convex(problem) for problem in problems]
        kernel = [
            partial(select, a, 0, int(a[ACTIVE]), problem.quantity) for a, problem in zip(convex, problems, strict=True)
        ]
        mine, theirs = side_by_side(kernel, {"python heap": heap, "numpy argsort": sort}, 20)
        question = (
            f"cheapest quantities of one order over {venues} books × {depth} levels, convex part, kernel from Python"
        )
        report += rows(f"split.threshold {label}", question, mine, theirs, "peers do the same work")
        exact = [Packed(problem, 20_000) for problem in problems]
        search = [partial(solve_at, packed.arena.ctypes.data) for packed in exact]
        slow = [partial(peers.milp_split, problem) for problem in problems[: 4 if depth < 100 else 2]]
        mine, theirs = side_by_side(search, {"python heap": heap, "scipy milp (HiGHS)": slow}, 2)
        question = f"exact split (gap 0) of one order over {venues} books × {depth} levels and {quotes} LP quotes"
        report += rows(f"split.search {label}", question, mine, theirs, "the heap ignores lots, minimums and quotes")
        whole = [partial(split_request, request) for request in orders]
        mine, _ = side_by_side(whole, {}, 2)
        question = "the same from decimals in to decimals out, as kerb split does it"
        report += rows(f"split.request {label}", question, mine, {})
    return report + live_split()


def books(venues: int, depth: int, seed: int = 1) -> ConsolidatedBook:
    """A consolidated book with `venues` × `depth` levels a side."""
    r = Random(seed)
    all_terms = [
        VenueTerms(
            venue=f"V{v}",
            taker_fee_bps=Decimal(v + 1) / 2,
            tick=Decimal("0.01"),
            lot=Decimal("0.00001"),
            price_decimals=2,
            size_decimals=5,
            max_age_ns=NOW,
        )
        for v in range(venues)
    ]
    book = ConsolidatedBook("BTC/USDT", Scale("BTC/USDT", 2, 5), all_terms)
    for v in range(venues):
        levels = []
        for side in (1, -1):
            price = 6_000_000 - side * r.randint(1, 200)
            for _ in range(depth):
                levels.append((side, price, r.randint(100, 60_000)))
                price -= side * r.randint(1, 60)
        book.apply(f"V{v}", np.array(levels, dtype=np.int64), True, NOW)
    return book


_TERMS = {
    "ttl_ms": 2000,
    "inventory": Decimal(3),
    "band": Decimal(10),
    "volatility": 2e-5,
    "parameters": PricingParameters(),
    "tick": Decimal("0.01"),
}


def ladder() -> list[Row]:
    """Ten rungs on both sides, in one kernel call; and one explained quote."""
    report: list[Row] = []
    for venues, depth in ((3, 20), (5, 50), (10, 100)):
        book = books(venues, depth)
        live = book.live_mask(NOW)
        shown = displayed(book.arena, 1, live)
        sizes = np.array(
            [max(1, shown * share // 400) for share in (1, 2, 4, 8, 16, 30, 45, 60, 80, 100)], dtype=np.int64
        )
        rungs = Ladder(book, [book.scale.size(size) for size in sizes.tolist()])
        fair = book.fair(NOW) or Decimal(60_000)
        rungs.set_charges(Charges(book.scale, fair=fair, client=Client("gold"), **_TERMS))
        ours = partial(entry(ladder_kernel, LADDER), book.arena, live, rungs.work)
        slopes, lots, fees = [], [], []
        for v, name in enumerate(book.venues):
            for ticks, size in book.side_levels(name, 1):
                slopes.append(ticks * (1_000_000 + 50 * (v + 1)))
                lots.append(size)
                fees.append(v)
        columns = np.array(slopes, dtype=np.int64), np.array(lots, dtype=np.int64)

        def by_sort(columns: tuple[np.ndarray, np.ndarray] = columns, sizes: np.ndarray = sizes) -> None:
            keys, amounts = columns
            first = np.argsort(keys)
            reach = np.cumsum(amounts[first])
            money = np.cumsum((amounts * keys)[first])
            at = np.searchsorted(reach, sizes)
            (money[at] - (reach[at] - sizes) * keys[first][at]) / sizes

        mine, theirs = side_by_side([ours], {"numpy argsort, one side, no guards": [by_sort]}, 4000)
        question = f"ten rungs on both sides over {venues} books × {depth} levels, largest a quarter of the depth"
        report += rows(f"ladder {venues}x{depth}", question, mine, theirs)
        quote = partial(price_quote, book, side="buy", quantity=Decimal("1.5"), now_ns=NOW, tier="gold", **_TERMS)
        mine, _ = side_by_side([quote], {}, 400)
        report += rows(f"quote {venues}x{depth}", "one firm price with its waterfall, in decimals", mine, {})
    return report


def _updates(book: ConsolidatedBook, depth: int, n: int) -> np.ndarray:
    """`n` absolute level changes near the top: sizes, deletions, insertions."""
    r = Random(7)
    changes = []
    for _ in range(n):
        side = r.choice((1, -1))
        ticks, _ = book.side_levels("V0", 0 if side == 1 else 1)[min(int(r.expovariate(0.15)), depth - 3)]
        changes.append(
            (side, ticks + (0 if r.random() < 0.7 else -side), 0 if r.random() < 0.2 else r.randint(1, 9_000))
        )
    return np.array(changes, dtype=np.int64)


def book_update() -> list[Row]:
    """Absolute level updates, in batches of 20 as a venue's message brings them, beside a dictionary with a sorted
    price list."""
    report = []
    for depth in (50, 400):
        book = books(1, depth)
        changes = _updates(book, depth, 4000)
        batches = [np.ascontiguousarray(changes[i : i + 20]) for i in range(0, 4000, 20)]
        sides = {1: peers.SortedBook(), -1: peers.SortedBook()}
        for index, side in ((0, 1), (1, -1)):
            for ticks, size in book.side_levels("V0", index):
                sides[side].set(ticks, size)
        plain = [[tuple(row) for row in batch.tolist()] for batch in batches]

        def by_dict(batch: list[tuple[int, int, int]], sides: dict[int, peers.SortedBook] = sides) -> None:
            for side, price, size in batch:
                sides[side].set(price, size)

        kernel = [partial(entry(apply_levels, APPLY), book.arena, 0, batch, 0) for batch in batches]
        mine, theirs = side_by_side(kernel, {"dict + sorted list": [partial(by_dict, batch) for batch in plain]}, 10)
        question = f"one level update of a {depth}-level book, kernel from Python in a batch of 20"
        report += rows(f"book.update {depth}", question, mine, theirs, per=20)
        message = [partial(book.apply, "V0", batch, False, NOW) for batch in batches]
        mine, _ = side_by_side(message, {}, 10)
        report += rows(f"book.message {depth}", "one message of 20 levels through ConsolidatedBook.apply", mine, {})
    return report


def tick_to_price() -> list[Row]:
    """From a book message in hand to fresh prices: the message applied, then ten rungs on both sides."""
    book = books(5, 50)
    changes = _updates(book, 50, 4000)
    batches = [np.ascontiguousarray(changes[i : i + 20]) for i in range(0, 4000, 20)]
    rungs = Ladder(book, [Decimal(k) for k in range(1, 11)])
    rungs.set_charges(Charges(book.scale, fair=book.fair(NOW) or Decimal(60_000), client=Client("gold"), **_TERMS))

    def tick(batch: np.ndarray) -> None:
        book.apply("V0", batch, False, NOW)
        fair = book.fair(NOW)
        if fair is not None:
            rungs.set_fair(fair)
            rungs.price(NOW)

    mine, _ = side_by_side([partial(tick, batch) for batch in batches], {}, 5)
    question = "20 levels applied, fair value, ten rungs on both sides over 5 books × 50 (no parsing, no socket)"
    return rows("tick_to_price 5x50", question, mine, {})
