"""`RestingOrders`: limit orders that lie in a paper venue's book, imagined beside the real one.

An order fills when the other side's prices reach its limit: at its own price, as much as those levels show, the better price first. What
lies in front of it in the queue is not imagined: only a price that crosses fills, never one that merely trades beside it, so paper waits
longer than a venue would. Pure: whoever holds it makes the fills durable and tells them.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from pricing.scale import EXACT
from sim.paper.account import BPS
from sim.paper.book import PaperBook, Take


class RestingOrder(msgspec.Struct, kw_only=True):
    """An order that lies there. `leaves`: base not filled yet."""

    order_id: str
    symbol: str
    side: str
    price: Decimal
    leaves: Decimal
    fills: int = 0  # so far, for the ids of the next


class RestingOrders:
    """All resting orders of one account."""

    def __init__(self, fee_bps: Decimal) -> None:
        self._fee_bps = fee_bps
        self._orders: dict[str, RestingOrder] = {}

    def lay(self, order: RestingOrder) -> None:
        """It lies there from now on."""
        self._orders[order.order_id] = order

    def pull(self, order_id: str) -> RestingOrder | None:
        """It lies there no more; None: it did not."""
        return self._orders.pop(order_id, None)

    def all(self) -> list[RestingOrder]:
        """Every order, oldest first."""
        return list(self._orders.values())

    def crossed(self, symbol: str, book: PaperBook) -> list[tuple[RestingOrder, Decimal]]:
        """What the book of `symbol` fills now: order and quantity. Taken from the book and from the orders, which go when they are full."""
        orders = [order for order in self._orders.values() if order.symbol == symbol]
        orders.sort(key=lambda order: -order.price if order.side == "buy" else order.price)
        found = []
        for order in orders:
            takes: list[Take] = book.look(order.side, order.leaves, order.price)
            quantity = sum((take.quantity for take in takes), Decimal(0))
            if quantity > 0:
                book.took(order.side, takes)
                order.leaves -= quantity
                order.fills += 1
                found.append((order, quantity))
                if order.leaves <= 0:
                    del self._orders[order.order_id]
        return found

    def locked(self) -> dict[str, Decimal]:
        """What the orders may still spend, by currency, the fee in it."""
        held: dict[str, Decimal] = {}
        for order in self._orders.values():
            currency, amount = self.spends(order)
            held[currency] = EXACT.add(held.get(currency, Decimal(0)), amount)
        return held

    def spends(self, order: RestingOrder) -> tuple[str, Decimal]:
        """The currency an order pays with, and the most it may still pay."""
        base, quote = order.symbol.split(":")[0].split("/")
        if order.side == "sell":
            return base, order.leaves
        return quote, EXACT.multiply(EXACT.multiply(order.leaves, order.price), 1 + self._fee_bps * BPS)
