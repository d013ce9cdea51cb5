"""What the venue has of our account, against what we think it has: at start, after each reconnect of the private stream, and on a timer.

1. Open orders. One of ours that we think live is told as the venue lists it; one that it does not list is asked for by itself: its end and
   executions are told. One that we think ended and the venue lists is `external` from then on: nobody here will miss it, so somebody must
   see it.
2. Executions since a watermark: the start of the last reconciliation that went through, less `OVERLAP_S` for clocks and late rows. Each is
   told once, whoever brings it.
3. Balances: these are waited for at start alone, as no order depends on them.
4. An order is ours when this run asked for it: placed, cancelled, amended or proven by its client order id. An order of an earlier run
   is claimed that way when the desk recovers, and has one interval for it. Any other is external: told to the sink, never to the desk's
   orders, and never cancelled or counted among ours.
5. Executions that name an order nobody has claimed for an interval are external too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from time import monotonic
from typing import Any, Protocol

import msgspec

from adapters.ccxt.events import FillEvent, OrderEvent

log = logging.getLogger(__name__)

OVERLAP_S = 60.0
OURS_KEPT = 50_000


class Account(Protocol):
    """What a reconciliation asks of an account, and tells it."""

    connected: bool

    async def open_orders(self) -> list[OrderEvent]:
        """Open orders at the venue on our symbols."""

    async def fills_since(self, since_ns: int) -> list[FillEvent]:
        """Executions on our symbols since a moment."""

    async def reconcile_balances(self) -> None:
        """Ask for all balances, and tell them: at once when none were told yet, else soon."""

    async def refresh(self, client_order_id: str, symbol: str) -> Any:
        """Ask for an order of ours that may have ended, and tell what is new."""

    def live_orders(self) -> dict[str, str]:
        """Symbols by client order id of ours that may still fill and whose requests are not under way."""

    def tell_missed(self, fills: list[FillEvent]) -> int:
        """Tell those of these executions that were not told; their number."""

    def tell_open(self, orders: list[OrderEvent]) -> None:
        """Tell how orders of ours stand that the venue lists as open."""

    def tell_unclaimed(self, held_s: float) -> None:
        """Tell executions of orders that nobody has claimed for so long."""

    async def learn_clock(self, error: BaseException) -> None:
        """After a request that the venue refused for its time."""

    def tell_external(self, orders: list[OrderEvent]) -> None:
        """The external orders that are open now."""


class Reconciled(msgspec.Struct, kw_only=True):
    """How often, when last, and what was found."""

    done: int = 0
    failed: int = 0
    last_ns: int = 0
    orders_ended: int = 0  # ended without our hearing of it
    fills_missed: int = 0  # told by a reconciliation first
    external_fills: int = 0


class Reconciliation:
    """One account's. `every_s` 0: only at start and after reconnects. `external`: by venue order id, what is told of it."""

    def __init__(self, venue: str, every_s: float, account: Account) -> None:
        self.found = Reconciled()
        self.external: dict[str, OrderEvent] = {}
        self._venue = venue
        self._every_s = every_s
        self._account = account
        self._ours: OrderedDict[str, None] = OrderedDict()
        self._first_seen: dict[str, float] = {}  # by venue order id: open at the venue, and not ours as far as we know
        self._watermark_ns = time.time_ns()
        self._lock = asyncio.Lock()

    def claim(self, client_order_id: str) -> None:
        """This order is ours."""
        self._ours[client_order_id] = None
        self._ours.move_to_end(client_order_id)
        while len(self._ours) > OURS_KEPT:
            self._ours.popitem(last=False)
        for venue_order_id, order in list(self.external.items()):
            if order.client_order_id == client_order_id:
                del self.external[venue_order_id]
                self._tell()

    def owns(self, client_order_id: str) -> bool:
        """Whether an order is ours."""
        return client_order_id in self._ours

    def saw_fill(self, fill: FillEvent) -> None:
        """An execution is told: is it ours?"""
        if not self.owns(fill.client_order_id):
            self.found.external_fills += 1
            log.warning("%s: an execution of an order that is not ours: %s %s", self._venue, fill.symbol, fill.trade_id)

    async def run(self) -> None:
        """Reconcile on the timer, for ever; a failure is told and tried again the next time."""
        while self._every_s:
            await asyncio.sleep(self._every_s)
            if not self._account.connected:
                continue
            try:
                await self.once()
            except Exception as e:
                self.found.failed += 1
                log.warning("%s: reconciliation: %s: %s", self._venue, type(e).__name__, e)
                await self._account.learn_clock(e)

    async def once(self) -> None:
        """Reconcile now. Raises what the venue's answers raise; what was found before that is told."""
        async with self._lock:
            began_ns = time.time_ns()
            account = self._account
            expected = account.live_orders()
            orders = await account.open_orders()
            fills = await account.fills_since(self._watermark_ns - int(OVERLAP_S * 1e9))
            self.found.fills_missed += account.tell_missed(fills)
            account.tell_open([order for order in orders if order.client_order_id in expected])
            await self._compare(expected, orders)
            account.tell_unclaimed(self._every_s)
            await account.reconcile_balances()
            self._watermark_ns = began_ns
            self.found.done += 1
            self.found.last_ns = began_ns

    async def _compare(self, expected: dict[str, str], orders: list[OrderEvent]) -> None:
        listed = {order.client_order_id for order in orders}
        live = self._account.live_orders()
        ended = [(cid, symbol) for cid, symbol in expected.items() if cid not in listed and cid in live]
        self.found.orders_ended += len(ended)
        await asyncio.gather(*(self._account.refresh(cid, symbol) for cid, symbol in ended))
        now, live = monotonic(), self._account.live_orders()
        foreign = {order.venue_order_id: order for order in orders if not self._is_live(order, expected, live)}
        self._first_seen = {key: self._first_seen.get(key, now) for key in foreign}
        known = {key: order for key, order in foreign.items() if now - self._first_seen[key] >= self._every_s}
        if known != self.external:
            self.external = known
            self._tell()

    def _is_live(self, order: OrderEvent, expected: dict[str, str], live: dict[str, str]) -> bool:
        """Ours, and not taken for ended: by now, or when the venue was asked."""
        return self.owns(order.client_order_id) and (order.client_order_id in expected or order.client_order_id in live)

    def _tell(self) -> None:
        self._account.tell_external(list(self.external.values()))

    def health(self) -> dict[str, Any]:
        """For operators and the desk."""
        return msgspec.structs.asdict(self.found) | {"external_orders": len(self.external)}
