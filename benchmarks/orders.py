"""Ordinary orders for the splitter's benchmark: BTC-like synthetic books with mixed lots, fees, minimums and
all-or-none quotes; seeded."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import msgspec

from router.exact.request import Book, SplitQuote, SplitRequest

LOTS = ("0.00001", "0.00001", "0.0001", "0.001", "0.01")


def order(seed: int, venues: int, depth: int, quotes: int) -> SplitRequest:
    """A buy of 0.06 % to 56 % of the depth (log-uniform) over `venues` books of `depth` levels and `quotes` LP quotes
    of three LPs."""
    return orders(seed, venues, depth, quotes, 1)[0]


def orders(
    seed: int, venues: int, depth: int, quotes: int, count: int, lots: tuple[str, ...] = LOTS
) -> list[SplitRequest]:
    """`count` such orders over the same books, each with balances, quantity and quotes of its own."""
    r = Random(seed)
    books, total = [], 0
    for v in range(venues):
        price = 6_000_000 + r.randint(0, 400)
        levels = []
        for _ in range(depth):
            size = r.randint(100, 60_000)
            total += size
            levels.append((Decimal(price).scaleb(-2), Decimal(size).scaleb(-5)))
            price += r.randint(1, 60)
        books.append(
            Book(
                venue=f"V{v}",
                taker_fee_bps=Decimal(r.choice((1, 2, 4, 5, 8))) / 2,
                lot=Decimal(lots[r.randrange(len(lots))]) if v else Decimal(lots[0]),
                min_quantity=Decimal("0.0001"),
                min_notional=Decimal(r.choice((5, 10))),
                balance=None,
                fixed_cost=Decimal(0),
                levels=tuple(levels),
            )
        )
    return [_order(r, books, total, quotes) for _ in range(count)]


def _order(r: Random, books: list[Book], total: int, quotes: int) -> SplitRequest:
    funded = [
        msgspec.structs.replace(book, balance=Decimal(r.randint(20_000, 3_000_000))) if r.random() < 0.35 else book
        for book in books
    ]
    quantity = Decimal(max(20, int(total * 0.0006 * (0.56 / 0.0006) ** r.random()))).scaleb(-5)
    offers = tuple(
        SplitQuote(
            lp=f"L{j % 3}",
            quote_id=f"q{j}",
            price=Decimal(6_000_000 + r.randint(100, 3_000)).scaleb(-2),
            quantity=(quantity * Decimal(r.uniform(0.1, 0.6))).quantize(Decimal("0.00001")) + Decimal("0.00001"),
        )
        for j in range(quotes)
    )
    return SplitRequest(side="buy", quantity=quantity, books=tuple(funded), quotes=offers)
