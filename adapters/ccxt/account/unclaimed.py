"""Executions that name the venue's order id only, until it is known whose order that is: ours by its answer or a query, or nobody's."""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic

from adapters.ccxt.events import FillEvent

ORDERS_KEPT = 10_000


class Unclaimed:
    """By venue order id, each execution once; of more than `ORDERS_KEPT` orders the oldest are given up."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, list[tuple[float, FillEvent]]] = OrderedDict()

    def hold(self, fill: FillEvent) -> list[FillEvent]:
        """Keep an execution; those that are given up for it."""
        held = self._held.setdefault(fill.venue_order_id, [])
        if all(other.trade_id != fill.trade_id for _, other in held):
            held.append((monotonic(), fill))
        given_up: list[FillEvent] = []
        while len(self._held) > ORDERS_KEPT:
            given_up += [one for _, one in self._held.popitem(last=False)[1]]
        return given_up

    def claim(self, venue_order_id: str) -> list[FillEvent]:
        """The executions of an order that is known now."""
        return [fill for _, fill in self._held.pop(venue_order_id, ())]

    def older(self, age_s: float) -> list[FillEvent]:
        """Executions of orders that nobody has claimed for so long: they are held no more."""
        now = monotonic()
        due = [key for key, held in self._held.items() if now - held[0][0] >= age_s]
        return [fill for key in due for fill in self.claim(key)]
