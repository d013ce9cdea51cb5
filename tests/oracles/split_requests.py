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
