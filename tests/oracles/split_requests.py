"""Seeded random routing requests of every kind that a routing request may be, as JSON-able dicts."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

LOTS = ("0.00001", "0.0001", "0.001", "0.01")
ODD_LOTS = ("0.0003", "0.0005", "0.002")


def request(
    seed: int, *, venues: int | None = None, depth: int | None = None, quotes: int | None = None, hard: bool = False
) -> dict[str, Any]:
    """One request. `hard`: lots that do not divide each other, high minimums, fixed costs and few children are common."""
    r = Random(seed)
    side = r.choice(("buy", "sell"))
    count = venues or r.randint(2, 6)
    books = []
    total = Decimal(0)
    for i in range(count):
        levels = depth or r.randint(1, 25)
        mid = 6_000_000 + r.randint(-600, 600)
        lots = LOTS + ODD_LOTS if hard else LOTS
        lot = r.choice(lots)
        rows: dict[str, list[list[str]]] = {"asks": [], "bids": []}
        for name, sign in (("asks", 1), ("bids", -1)):
            price = mid + sign * r.randint(1, 40)
            for _ in range(levels):
                size = (
                    Decimal(r.randint(1, 30_000)).scaleb(-5)
                    if r.random() < 0.5
                    else Decimal(r.randint(1, 30)).scaleb(-2)
                )
                rows[name].append([str(Decimal(price).scaleb(-2)), str(size)])
                total += size if (side == "buy") == (name == "asks") else 0
                price += sign * r.randint(1, 300)
        books.append(
            {
                "venue": f"V{i}",
                "taker_fee_bps": str(Decimal(r.choice((-5, 0, 10, 25, 40, 75, 100))).scaleb(-1)),
                "lot": lot,
                "tick": "0.01",
                "min_quantity": r.choice((lot, lot, "0.01", "0.15" if hard else "0.001")),
                "min_notional": r.choice(("0", "5", "10", "9000" if hard else "100")),
                "balance": None if r.random() < 0.65 else str(r.randint(1, 60_000 if side == "buy" else 3)),
                "fixed_cost": str(Decimal(r.randint(0, 3000)).scaleb(-2))
                if r.random() < (0.4 if hard else 0.1)
                else "0",
                **rows,
            }
        )
    quantity = max(
        Decimal(1).scaleb(-5), (total * Decimal(r.uniform(0.02, 0.8 if hard else 0.6))).quantize(Decimal("1e-5"))
    )
    edge = 1 if side == "buy" else -1
    offers = []
    lps = 2 if quotes is None else 4
    few = r.choice((0, 0, 1, 3, 5))
    for i in range(few if quotes is None else quotes):
        size = max(Decimal("0.01"), (quantity * Decimal(r.uniform(0.05, 0.9))).quantize(Decimal("0.01")))
        whole = r.random() < 0.6
        offers.append(
            {
                "lp": f"LP{r.randint(0, lps)}",
                "quote_id": f"q{i}",
                "price": str(Decimal(6_000_000 + edge * r.randint(0, 2500)).scaleb(-2)),
                "quantity": str(size),
                "all_or_none": whole,
                "min_quantity": str(size if whole else (size / 4).quantize(Decimal("0.001"))),
                "lot": r.choice(("0.00000001", "0.0001", "0.001")),
                "fixed_cost": r.choice(("0", "0", "2.5")),
                "reject_probability": r.choice(("0", "0", "0.1")),
            }
        )
    found = {
        "side": side,
        "quantity": str(quantity),
        "limit_price": None if r.random() < 0.7 else str(Decimal(6_000_000 + edge * r.randint(100, 4000)).scaleb(-2)),
        "max_children": r.choice((None, 2, 3, 8)) if hard else r.choice((None, None, 3, 8)),
        "reject_cost_bps": r.choice(("0", "5")),
        "venues": books,
        "quotes": offers,
    }
    for book in books:
        book["slippage_bps"] = str(Decimal(r.choice((0, 0, 3, 12, 40))).scaleb(-1))
    return found


def wild(seed: int) -> dict[str, Any]:
    """A small request whose numbers have any length that a request may carry: up to 18 digits and 18 decimals."""
    r = Random(seed)
    side = r.choice(("buy", "sell"))
    sign = 1 if side == "buy" else -1
    spread = r.choice((0, 1, 6, 17))  # how differently long numbers of one kind are

    def number(digits: int, decimals: int, least: int = 1) -> Decimal:
        digits, decimals = max(1, digits - r.randint(0, spread)), max(0, decimals - r.randint(0, spread))
        return Decimal(max(least, r.randrange(10 ** (digits + decimals)))).scaleb(-decimals)

    long, fine = r.randint(1, 18), r.choice((0, 0, 2, 8, 18))
    size = (r.randint(1, 18), r.choice((0, 0, 1, 4, 8, 18)))
    lots = [number(max(1, size[0] - r.randint(0, 18)), size[1]) for _ in range(r.randint(1, 3))]
    venues = []
    for i in range(r.randint(1, 3)):
        levels = sorted((number(long, fine) for _ in range(r.randint(1, 4))), reverse=sign < 0)
        venues.append(
            {
                "venue": f"V{i}",
                "taker_fee_bps": text(number(r.randint(1, 3), r.choice((0, 1, 18)), 0) * r.choice((1, 1, -1))),
                "slippage_bps": r.choice(("0", "0", text(number(2, r.choice((0, 2, 18)))))),
                "lot": text(r.choice(lots)),
                "min_quantity": r.choice(("0", text(number(*size)))),
                "min_notional": r.choice(("0", text(number(min(18, long + size[0]), r.choice((0, 2, 18)))))),
                "balance": r.choice((None, None, text(number(18, r.choice((0, 2, 18)))))),
                "fixed_cost": r.choice(("0", "0", text(number(r.randint(1, 18), r.choice((0, 2, 18)))))),
                "asks" if sign > 0 else "bids": [[text(price), text(number(*size))] for price in levels],
            }
        )
    quotes = []
    for i in range(r.randint(0, 3)):
        whole = number(*size)
        quotes.append(
            {
                "lp": f"L{r.randint(0, 2)}",
                "quote_id": f"q{i}",
                "price": text(number(long, fine)),
                "quantity": text(whole),
                "all_or_none": r.random() < 0.5,
                "min_quantity": text(min(whole, r.choice((Decimal(0), number(*size))))),
                "lot": text(r.choice((*lots, number(18, 18)))),
                "fixed_cost": r.choice(("0", text(number(r.randint(1, 18), 2)))),
                "reject_probability": r.choice(("0", "0.1", "0.123456789012345678", "1")),
            }
        )
    return {
        "side": side,
        "quantity": text(number(*size)),
        "limit_price": r.choice((None, None, text(number(long, fine)))),
        "max_children": r.choice((None, None, 1, 2)),
        "reject_cost_bps": r.choice(("0", "5", text(number(r.randint(1, 18), 18)))),
        "venues": venues,
        "quotes": quotes,
    }


def text(value: Decimal) -> str:
    """Without an exponent."""
    return format(value, "f")


KINDS = ("subset sum", "fixed costs", "coprime lots", "high minimums", "part quotes", "few children", "all")


def adversarial(seed: int, kind: str, *, blocks: int = 30, depth: int = 8) -> dict[str, Any]:
    """A request made to be hard to prove, of one of `KINDS`: blocks alike in price, so that no choice among them is clear.

    subset sum: quotes that are taken whole, all of other sizes, to be filled exactly. fixed costs: the cheapest set of tickets.
    coprime lots: lots without a common divisor. high minimums: a few of many. part quotes: from high minimums, several an LP.
    few children: the number of children binds. all: everything at once.
    """
    r = Random(seed)
    every = kind == "all"
    quoted = blocks if kind in ("subset sum", "part quotes") else blocks // 3 if every else 0
    primes = (7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47)
    venues, total = [], Decimal(0)
    for i in range(blocks - quoted):
        lot = Decimal(r.choice(primes)).scaleb(-4) if kind == "coprime lots" or every else Decimal("0.0001")
        price, asks = 6_000_000 + r.randint(0, 200), []
        for _ in range(depth):
            size = Decimal(r.randint(1_000, 30_000)).scaleb(-4)
            asks.append([text(Decimal(price).scaleb(-2)), text(size)])
            price += r.randint(1, 200)
            total += size
        venues.append(
            {
                "venue": f"V{i}",
                "taker_fee_bps": text(Decimal(r.randint(10, 12)).scaleb(-1)),
                "lot": text(lot),
                "min_notional": "0",
                "min_quantity": text(Decimal(r.randint(5_000, 40_000)).scaleb(-4))
                if kind == "high minimums" or every
                else "0",
                "fixed_cost": text(Decimal(r.randint(1_000, 9_000)).scaleb(-2))
                if kind == "fixed costs" or every
                else "0",
                "asks": asks,
            }
        )
    quotes = []
    for i in range(quoted):
        size = Decimal(r.randint(10_000, 99_999)).scaleb(-4)
        part = kind == "part quotes" or (every and i % 2 == 0)
        quotes.append(
            {
                "lp": f"L{i // 3 if part else i}",
                "quote_id": f"q{i}",
                "price": text(Decimal(6_000_500 + r.randint(0, 300)).scaleb(-2)),
                "quantity": text(size),
                "all_or_none": not part,
                "min_quantity": text((size * Decimal("0.6")).quantize(Decimal("0.0001"))),
                "lot": text(Decimal(r.choice(primes)).scaleb(-4)) if part else "0.0001",
                "fixed_cost": text(Decimal(r.randint(0, 900)).scaleb(-2)),
            }
        )
        total += size
    few = kind in ("few children", "fixed costs") or every
    return {
        "side": "buy",
        "quantity": text((total * Decimal(r.uniform(0.1, 0.5))).quantize(Decimal("0.0001"))),
        "max_children": r.randint(2, max(3, blocks // 4)) if few else None,
        "venues": venues,
        "quotes": quotes,
    }
