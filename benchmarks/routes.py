"""How long does it take to make a synthetic book, and to choose a route?

The peer of the kernel is the same composition in exact fractions (`router.routes.book.compose`), on the same two books.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from benchmarks.row import Row, at, side_by_side
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.cross import CrossBook
from pricing.scale import Scale
from pricing.triangle import Form
from router.routes.book import compose, from_live, walk
from router.routes.choice import RouteRequest, choose

NOW = 1_000_000_000
ROUNDS = 200


def _book(symbol: str, middle: int, levels: int, rng: np.random.Generator) -> ConsolidatedBook:
    """Two venues, `levels` a side each, prices with 2 decimals around `middle` ticks."""
    terms = [
        VenueTerms(
            venue=venue,
            taker_fee_bps=Decimal(fee),
            tick=Decimal("0.01"),
            lot=Decimal("0.0001"),
            price_decimals=2,
            size_decimals=4,
            max_age_ns=10**18,
        )
        for venue, fee in (("V", 4), ("W", 5))
    ]
    book = ConsolidatedBook(symbol, Scale(symbol, 2, 8), terms)
    for venue in book.venues:
        steps = np.cumsum(rng.integers(1, max(middle // 100_000, 2), size=(2, levels)), axis=1)
        sizes = rng.integers(1, 50_000, size=(2, levels))
        rows = [(1, middle - int(step), int(size)) for step, size in zip(steps[0], sizes[0], strict=True)]
        rows += [(-1, middle + int(step), int(size)) for step, size in zip(steps[1], sizes[1], strict=True)]
        book.apply(venue, np.array(rows, dtype=np.int64), True, NOW)
    return book


def synthetic() -> list[Row]:
    """Both sides of ETH/BTC from ETH/USDT and BTC/USDT: two venues a leg, 50 and 400 levels; then a whole choice."""
    rows = []
    for levels in (50, 400):
        rng = np.random.default_rng(levels)
        first, second = _book("ETH/USDT", 260_000, levels, rng), _book("BTC/USDT", 6_000_000, levels, rng)
        cross = CrossBook("ETH/BTC", Scale("ETH/BTC", 8, 8), [], (first, second))
        parts = [from_live(book, sigma=0.0, now_ns=NOW, depth=levels) for book in (first, second)]
        one, two = (part for part in parts if part is not None)

        def ours(cross: CrossBook = cross) -> object:
            return [cross._side(side, [3, 3]) for side in (0, 1)]

        def exactly(one: object = one, two: object = two) -> object:
            return [
                compose(walk(one, side), walk(two, other), Form.DIVIDE, side)  # type: ignore[arg-type]
                for side, other in (("buy", "sell"), ("sell", "buy"))
            ]

        mine, theirs = side_by_side([ours] * ROUNDS, {"fractions": [exactly] * 3}, 1)
        peer = at(theirs["fractions"], 0.5)
        rows.append(
            Row(
                name=f"synthetic book, 2 × 2 × {levels}",
                question="How long does a synthetic book take, both sides, from Python?",
                p50_ns=at(mine, 0.5),
                p99_ns=at(mine, 0.99),
                n=len(mine),
                peer="exact fractions",
                peer_p50_ns=peer,
                ratio=peer / max(at(mine, 0.5), 1),
                note="at most 512 levels a side; made when somebody asks, never on a tick",
            )
        )
    rows.append(_choice())
    return rows


def _choice() -> Row:
    """What the hedger waits for: 60 levels a venue, three books."""
    rng = np.random.default_rng(7)
    books = {}
    for symbol, middle in (("ETH/USDT", 260_000), ("BTC/USDT", 6_000_000), ("ETH/BTC", 433)):
        book = from_live(_book(symbol, middle, 60, rng), sigma=0.0, now_ns=NOW, depth=60)
        assert book is not None
        books[symbol] = book
    requests = [
        RouteRequest(base="ETH", terms="USDT", side=side, quantity=Decimal(size))
        for size in ("1", "5", "20", "60")
        for side in ("buy", "sell")
    ]
    times, _ = side_by_side([lambda r=r: choose(r, books, node_limit=60) for r in requests] * 5, {}, 1)
    return Row(
        name="choice of a route",
        question="How long does the hedger think about a route?",
        p50_ns=at(times, 0.5),
        p99_ns=at(times, 0.99),
        n=len(times),
        note="decimals and fractions, once a hedge; the event loop may not wait 20 ms",
    )
