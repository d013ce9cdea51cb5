"""What orders cost, worked out again from the archive's plain rows: dictionaries for books, rationals for money.

Shares no code with `router.costs.shortfall` or `desk.tca`. Rows are dictionaries by column name, times in ns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, NamedTuple

Row = dict[str, Any]


class Costs(NamedTuple):
    """Of one child: quantity, money, fees (quote currency), best opposite price and planned money of the filled part."""

    filled: Fraction
    notional: Fraction
    fees: Fraction
    touch: Fraction | None
    plan: Fraction


class PlainBook:
    """One venue's book from its archived messages."""

    def __init__(self) -> None:
        self.sides: dict[int, dict[Fraction, Fraction]] = {1: {}, -1: {}}

    def message(self, rows: list[Row]) -> None:
        if rows[0]["kind"] != "update":
            self.sides = {1: {}, -1: {}}
        for row in rows:
            if row["side"]:
                levels, price = self.sides[row["side"]], Fraction(row["price"])
                if row["size"]:
                    levels[price] = Fraction(row["size"])
                else:
                    levels.pop(price, None)

    def top(self, row: Row) -> None:
        """A best bid and ask: what is better is gone, and no more than shown is left at the best."""
        for side, price, size in ((1, row["bid_price"], row["bid_size"]), (-1, row["ask_price"], row["ask_size"])):
            best, levels = Fraction(price), self.sides[side]
            for known in [level for level in levels if side * level > side * best]:
                del levels[known]
            if best in levels and 0 < size < levels[best]:
                levels[best] = Fraction(size)

    def opposite(self, side: str) -> list[tuple[Fraction, Fraction]]:
        """What a buy or a sell takes, best first."""
        levels = self.sides[-1 if side == "buy" else 1]
        return sorted(levels.items(), reverse=side == "sell")


def books_at(moments: dict[str, tuple[str, int]], deltas: list[Row], quotes: list[Row]) -> dict[str, list[PlainBook]]:
    """For each key: its instrument's book just before that moment, and just after. `moments`: key → (instrument, ns)."""
    events: dict[str, list[tuple[int, int, list[Row]]]] = defaultdict(list)
    messages: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in deltas:
        messages[row["instrument_id"], row["seq"]].append(row)
    for (instrument, _), rows in messages.items():
        events[instrument].append((rows[0]["ts_init"], 0, rows))
    for row in quotes:
        events[row["instrument_id"]].append((row["ts_init"], 1, [row]))
    found: dict[str, list[PlainBook]] = {}
    for key, (instrument, at_ns) in moments.items():
        found[key] = [_book(events[instrument], at_ns, last) for last in (at_ns - 1, at_ns)]
    return found


def _book(events: list[tuple[int, int, list[Row]]], _at_ns: int, last_ns: int) -> PlainBook:
    book = PlainBook()
    for ts_ns, kind, rows in sorted(events, key=lambda event: event[:2]):
        if ts_ns <= last_ns:
            book.top(rows[0]) if kind else book.message(rows)
    return book


def child_costs(child: Row, fills: Iterable[Row], book: PlainBook | None, quote_price: Fraction | None) -> Costs:
    """A child from its last row of `order_events` and its `fills`. `book`: its venue's when it was decided; None: an LP."""
    mine = list(fills)
    quantity = sum((Fraction(row["quantity"]) for row in mine), Fraction(0))
    notional = sum((Fraction(row["quantity"]) * Fraction(row["price"]) for row in mine), Fraction(0))
    base, quote = child["symbol"].split("/")
    fees = Fraction(0)
    for row in mine:
        assert row["fee_currency"] in (base, quote)
        fees += Fraction(row["fee"]) * (Fraction(row["price"]) if row["fee_currency"] == base else 1)
    limit, left, plan = Fraction(child["limit_price"]), quantity, Fraction(0)
    levels = [] if book is None else book.opposite(child["side"])
    touch = levels[0][0] if levels else None
    if quote_price is not None:
        levels = [(quote_price, quantity)]
    for price, size in levels:
        if quote_price is None and (price > limit if child["side"] == "buy" else price < limit):
            break
        taken = min(left, size)
        plan, left = plan + taken * price, left - taken
    return Costs(quantity, notional, fees, touch, plan + left * limit)


def traded_between(trades: list[Row], symbol: str, after_ns: int, until_ns: int) -> tuple[Fraction, Fraction]:
    """(quantity, money) of public trades later than one moment and not later than another."""
    mine = [
        row for row in trades if row["instrument_id"].split(".")[0] == symbol and after_ns < row["ts_init"] <= until_ns
    ]
    quantity = sum((Fraction(row["size"]) for row in mine), Fraction(0))
    return quantity, sum((Fraction(row["size"]) * Fraction(row["price"]) for row in mine), Fraction(0))
