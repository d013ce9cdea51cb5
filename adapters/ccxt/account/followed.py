"""Executions that the venue announces but does not stream (Coinbase): asked for with each growth of an order, until all are told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from decimal import Decimal
from typing import Any

from adapters.ccxt.events import FillEvent, OrderEvent

log = logging.getLogger(__name__)

PAUSES_S = (0.1, 0.25, 0.5, 1.0, 2.0)
TURNS = 100  # queries for executions that were announced; then reconciliation has to find them


class Followed:
    """Of one account. `ask(order)`: its executions; `tell(fill)`: each, perhaps again; `spawn(work, name)`: in the background."""

    def __init__(
        self,
        venue: str,
        ask: Callable[[OrderEvent], Awaitable[list[FillEvent]]],
        tell: Callable[[FillEvent], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
    ) -> None:
        self._venue = venue
        self._ask = ask
        self._tell = tell
        self._spawn = spawn
        self._orders: dict[str, tuple[Decimal, OrderEvent]] = {}  # by venue order id: announced, not yet told

    @property
    def open(self) -> int:
        """Orders whose announced executions are not all told yet."""
        return len(self._orders)

    def grew(self, order: OrderEvent) -> None:
        """An order has filled (more)."""
        known = self._orders.get(order.venue_order_id)
        if order.filled is None or (known is not None and order.filled <= known[0]):
            return
        self._orders[order.venue_order_id] = (order.filled, order)
        if known is None:
            self._spawn(self._follow(order.venue_order_id), f"executions of {order.venue_order_id}")

    async def _follow(self, venue_order_id: str) -> None:
        """Until every execution that was announced is told; what comes in between is waited for as well."""
        turn = 0
        while True:
            wanted, order = self._orders[venue_order_id]
            found = Decimal(0)
            try:
                for fill in await self._ask(order):
                    found += fill.quantity
                    self._tell(fill)
            except Exception as e:
                log.warning("%s: executions of %s: %s: %s", self._venue, venue_order_id, type(e).__name__, e)
            if found >= self._orders[venue_order_id][0]:
                del self._orders[venue_order_id]
                return
            if found < wanted:  # the venue announces before it lists
                await asyncio.sleep(PAUSES_S[min(turn, len(PAUSES_S) - 1)])
                turn += 1
            if turn == TURNS:
                log.error("%s: %s of %s executions of %s are listed", self._venue, found, wanted, venue_order_id)
                del self._orders[venue_order_id]
                return
