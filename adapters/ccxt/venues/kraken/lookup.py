"""Kraken spot: what REST says of our orders and executions, at the price of few requests.

Private requests are few here (twenty, then one a second), and an order whose outcome is unknown is asked for again and again. So all who
ask at the same time share one look at the account, however many orders it is about:

1. **An order**: those whose txid we know by `QueryOrders`, together. Those the venue does not (yet) know, or whose id was never told: open
   orders first, then closed ones.
2. **Closed orders** back to `BACK_S` before the latest moment that the venue had told of when we sent the oldest of those wanted: no clock
   of ours is believed, and "not there" is never said of a list that goes on. An order of an earlier run is asked for by itself.
3. **Executions** by `TradesHistory` from just before the oldest of the orders opened (the venue's own time), page by page, until the filled
   quantity of each is complete.
"""

from __future__ import annotations

import contextlib
import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from decimal import Decimal
from functools import partial
from typing import Any

from adapters.ccxt.account.together import Together
from adapters.ccxt.events import FillEvent, OrderEvent, VenueOrderState
from adapters.ccxt.symbols import dec, kraken_client_id, kraken_original_id

KEPT = 10_000
BACK_S = 120.0
_STATES = {
    "pending": VenueOrderState.OPEN,
    "open": VenueOrderState.OPEN,
    "closed": VenueOrderState.FILLED,
    "canceled": VenueOrderState.CANCELED,
    "expired": VenueOrderState.EXPIRED,
}
_PRICE = re.compile(r"[0-9.]+")
_QUERY = 50  # orders of one QueryOrders
_PAGE = 50  # rows of TradesHistory at a time


class KrakenLookup:
    """Of one account."""

    def __init__(self) -> None:
        self._txids: OrderedDict[str, str] = OrderedDict()  # the venue's order ids by ours
        self._sent: OrderedDict[str, int] = OrderedDict()  # by our ids: `_now_ns` when it was sent
        self._now_ns = 0  # the latest moment that the venue has told of
        self._orders: Together[str, OrderEvent] = Together()
        self._executions: Together[OrderEvent, list[FillEvent]] = Together()

    def heard(self, venue_ns: int) -> None:
        """A moment of the venue that is past."""
        self._now_ns = max(self._now_ns, venue_ns)

    def sends(self, client_order_id: str) -> None:
        """An order is about to be sent."""
        if self._now_ns:
            self._sent.setdefault(client_order_id, self._now_ns)
            _keep(self._sent)

    def knows(self, client_order_id: str, txid: str) -> None:
        """Remember the venue's id of an order of ours."""
        if client_order_id and txid:
            self._txids[client_order_id] = txid
            _keep(self._txids)

    async def order(self, exchange: Any, client_order_id: str) -> OrderEvent | None:
        """Rules 1 and 2."""
        return await self._orders.ask(client_order_id, partial(self._look, exchange))

    async def fills_of(self, exchange: Any, order: OrderEvent) -> list[FillEvent]:
        """Rule 3."""
        return await self._executions.ask(order, partial(_walk, exchange)) or []

    async def _look(self, exchange: Any, wanted: list[str]) -> dict[str, OrderEvent]:
        found = await self._by_txid(exchange, [(cid, self._txids[cid]) for cid in wanted if cid in self._txids])
        if missing := [cid for cid in wanted if cid not in found]:
            answer = await exchange.private_post_openorders({})
            found |= _among(exchange, answer["result"].get("open"), missing)
        if missing := [cid for cid in missing if cid not in found]:
            found |= await self._closed(exchange, missing)
        return found

    async def _closed(self, exchange: Any, wanted: list[str]) -> dict[str, OrderEvent]:
        found: dict[str, OrderEvent] = {}
        ours = [cid for cid in wanted if cid in self._sent]
        since = min((self._sent[cid] for cid in ours), default=0) / 1e9 - BACK_S
        offset, more = 0, bool(ours)
        while more:
            answer = await exchange.private_post_closedorders({"start": f"{since:.3f}", "ofs": offset})
            rows = answer["result"].get("closed") or {}
            found |= _among(exchange, rows, ours)
            offset += len(rows)
            more = bool(rows) and offset < int(answer["result"]["count"]) and len(found) < len(ours)
        for cid in wanted:
            if cid not in self._sent:
                answer = await exchange.private_post_closedorders({"cl_ord_id": kraken_client_id(cid)})
                found |= _among(exchange, answer["result"].get("closed"), [cid])
        return found

    async def _by_txid(self, exchange: Any, known: list[tuple[str, str]]) -> dict[str, OrderEvent]:
        import ccxt

        found: dict[str, OrderEvent] = {}
        for at in range(0, len(known), _QUERY):
            some = known[at : at + _QUERY]
            with contextlib.suppress(ccxt.OrderNotFound):
                answer = await exchange.private_post_queryorders({"txid": ",".join(txid for _, txid in some)})
                for cid, txid in some:
                    if (raw := answer["result"].get(txid)) is not None:
                        found[cid] = order_of(exchange, txid, {**raw, "cl_ord_id": kraken_client_id(cid)})
        return found


def _among(exchange: Any, rows: dict[str, Any] | None, wanted: list[str]) -> dict[str, OrderEvent]:
    """Of the orders wanted, those that are among the rows of a list."""
    sent = {kraken_client_id(cid): cid for cid in wanted}
    return {
        sent[raw["cl_ord_id"]]: order_of(exchange, txid, raw)
        for txid, raw in (rows or {}).items()
        if raw.get("cl_ord_id") in sent
    }


def _keep(newest: OrderedDict[str, Any]) -> None:
    while len(newest) > KEPT:
        newest.popitem(last=False)


async def _walk(exchange: Any, orders: list[OrderEvent]) -> dict[OrderEvent, list[FillEvent]]:
    by_txid = {order.venue_order_id: order for order in orders}
    left = {txid: order.filled if order.filled is not None else Decimal("Infinity") for txid, order in by_txid.items()}
    found: dict[str, list[FillEvent]] = {txid: [] for txid in by_txid}
    since = min(order.ts_event_ns for order in orders) / 1e9 - 1
    async for page in trade_pages(exchange, since if since > 0 else None):
        for row in page:
            if (order := by_txid.get(row["order"])) is not None:
                fill = execution_of(exchange, row, order.client_order_id)
                found[order.venue_order_id].append(fill)
                left[order.venue_order_id] -= fill.quantity
        if all(quantity <= 0 for quantity in left.values()):
            break
    return {order: found[order.venue_order_id] for order in orders}


async def trade_pages(exchange: Any, since_s: float | None) -> AsyncIterator[list[dict[str, Any]]]:
    """`TradesHistory`, the newest first, back to a moment of the venue's."""
    start = {} if since_s is None else {"start": f"{since_s:.3f}"}
    offset = 0
    while True:
        page = await exchange.fetch_my_trades(None, None, None, {**start, "ofs": offset})
        yield page
        offset += _PAGE
        if len(page) < _PAGE:
            return


def order_of(exchange: Any, txid: str, raw: dict[str, Any]) -> OrderEvent:
    """A row of OpenOrders, ClosedOrders or QueryOrders."""
    descr = raw["descr"]
    state = _STATES[raw["status"]]
    quantity, filled = dec(raw["vol"]), dec(raw["vol_exec"])
    if state is VenueOrderState.FILLED and filled < quantity:
        state = VenueOrderState.CANCELED
    return OrderEvent(
        symbol=exchange.safe_symbol(descr["pair"]),
        client_order_id=kraken_original_id(raw["cl_ord_id"]) if raw.get("cl_ord_id") else "",
        venue_order_id=txid,
        state=state,
        side=descr["type"],
        kind=descr["ordertype"],
        time_in_force=str(raw.get("timeinforce") or "GTC").upper(),
        price=dec(descr["price"]) if _PRICE.fullmatch(descr["price"]) else None,  # of a trailing stop: "+15.0000%"
        quantity=quantity,
        filled=filled,
        reason=str(raw.get("reason") or ""),
        ts_event_ns=_seconds_ns(raw["opentm"]),
    )


def execution_of(exchange: Any, row: dict[str, Any], client_order_id: str) -> FillEvent:
    """A row of TradesHistory, as ccxt parsed it."""
    raw = row["info"]
    return FillEvent(
        symbol=row["symbol"],
        trade_id=row["id"],
        venue_order_id=raw["ordertxid"],
        client_order_id=client_order_id,
        side=raw["type"],
        price=dec(raw["price"]),
        quantity=dec(raw["vol"]),
        fee=dec(raw["fee"]),
        fee_currency=exchange.market(row["symbol"])["quote"],
        maker=bool(raw.get("maker")),
        ts_event_ns=_seconds_ns(raw["time"]),
    )


def _seconds_ns(value: Any) -> int:
    return int(dec(value) * 1_000_000_000)
