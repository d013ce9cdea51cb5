"""The desk's ledger and the venues' matching cores, read from outside: rows of the database file as they are on disk, orders and
executions as the cores hold them. Nothing here asks the desk.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sim.instruments import COINBASE, KRAKEN, KRAKENFUTURES
from sim.servers.coinbase.wire import order_uuid
from sim.servers.kraken.wire import trade_txid
from sim.servers.krakenfutures.wire import fill_id
from tests.faults.node.place import BASE, QUOTE, Place

OURS = "K"  # how the desk's client order ids begin
HOUSE = ("desk:inventory", "desk:fees", "desk:commission")
EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)
ENDED = ("filled", "rejected", "cancelled", "expired")
TRADE_IDS: dict[str, Callable[[int], str]] = {KRAKEN: trade_txid, COINBASE: order_uuid, KRAKENFUTURES: fill_id}


class Execution(NamedTuple):
    """One execution of an order of ours."""

    venue: str
    trade_id: str
    order_id: str  # the client's: ours
    side: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str


class Ledger:
    """The database of a running desk, read only. Rows that are only ever added are read once."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self._fills: list[Execution] = []
        self._trades: list[dict[str, Any]] = []
        self._upto = {"fills": 0, "trades": 0}

    def close(self) -> None:
        """Leave it."""
        self._database.close()

    def _new(self, table: str) -> list[Any]:
        rows = self._rows(f"SELECT rowid, body FROM {table} WHERE rowid > ? ORDER BY rowid", self._upto[table])
        if rows:
            self._upto[table] = rows[-1][0]
        return [msgspec.json.decode(body) for _, body in rows]

    def _rows(self, query: str, *values: object) -> list[Any]:
        return self._database.execute(query, values).fetchall()

    def fills(self) -> list[Execution]:
        """Every execution that is booked."""
        for row in self._new("fills"):
            self._fills.append(
                Execution(
                    row["venue"],
                    row["trade_id"],
                    row["client_order_id"],
                    row["side"],
                    Decimal(row["price"]),
                    Decimal(row["quantity"]),
                    Decimal(row["fee"]),
                    row["fee_currency"],
                )
            )
        return self._fills

    def trades(self) -> list[dict[str, Any]]:
        """Every client trade."""
        self._trades += self._new("trades")
        return self._trades

    def quotes_since(self, ts_ns: int) -> list[dict[str, Any]]:
        """Quotes made at or after a moment."""
        return [
            msgspec.json.decode(body)
            for (body,) in self._rows("SELECT body FROM quotes WHERE created_ns >= ? ORDER BY created_ns", ts_ns)
        ]

    def children_open(self) -> list[dict[str, Any]]:
        """Child orders that may still fill."""
        marks = ",".join("?" * len(ENDED))
        return [
            msgspec.json.decode(body)
            for (body,) in self._rows(f"SELECT body FROM children WHERE state NOT IN ({marks})", *ENDED)
        ]

    def parents(self) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
        """Parent of each child order, and every parent order."""
        of = dict(self._rows("SELECT child_id, parent_id FROM children"))
        bodies = self._rows("SELECT parent_id, body FROM parents")
        return of, {parent: msgspec.json.decode(body) for parent, body in bodies}

    def sums(self) -> dict[tuple[str, str], int]:
        """Σ of the postings of each (account, currency), in units of 10⁻¹⁸."""
        query = "SELECT account, currency, SUM(units), SUM(nano), SUM(atto) FROM postings GROUP BY account, currency"
        return {
            (account, currency): units * 10**18 + nano * 10**9 + atto
            for account, currency, units, nano, atto in self._rows(query)
        }


def orders_there(place: Place, venue: str) -> dict[str, list[Any]]:
    """The orders of ours that a venue has, by client order id."""
    found: dict[str, list[Any]] = defaultdict(list)
    for order in place.servers[venue].core.orders.values():
        if order.client_id.startswith(OURS):
            found[order.client_id].append(order)
    return found


def executions_there(place: Place) -> list[Execution]:
    """Every execution of an order of ours that a venue has."""
    found = []
    for venue in place.venues:
        core, named = place.servers[venue].core, TRADE_IDS.get(venue, str)
        for fill in core.fills:
            order, instrument = core.orders[fill.order_id], core.instruments[fill.symbol]
            if order.client_id.startswith(OURS):
                found.append(
                    Execution(
                        venue,
                        named(fill.trade_id),
                        order.client_id,
                        "buy" if fill.side > 0 else "sell",
                        instrument.price(fill.price),
                        instrument.size(fill.size),
                        fill.fee,
                        fill.fee_currency,
                    )
                )
    return found


def position_due(executions: list[Execution], trades: list[dict[str, Any]]) -> dict[str, Decimal]:
    """What the desk must be long of each currency: all its executions, and the other side of its clients' trades."""
    out = {BASE: Decimal(0), QUOTE: Decimal(0)}
    with localcontext(EXACT):
        for one in executions:
            sign = 1 if one.side == "buy" else -1
            out[BASE] += sign * one.quantity
            out[QUOTE] -= sign * one.quantity * one.price
            out[one.fee_currency] = out.get(one.fee_currency, Decimal(0)) - one.fee
        for trade in trades:
            sign = 1 if trade["side"] == "buy" else -1
            out[BASE] -= sign * Decimal(trade["quantity"])
            out[QUOTE] += sign * Decimal(trade["amount"])
    return out


def atto(amount: Decimal) -> int:
    """In units of 10⁻¹⁸."""
    return int(amount.scaleb(18, EXACT))
