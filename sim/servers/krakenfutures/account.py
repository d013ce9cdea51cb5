"""Kraken Futures' private answers about one account: orders, executions, wallets, positions, the histories, the dead-man switch.

Parameters are as they came over the wire (text). What the venue says no to is a status in a good answer; what it does not understand is
raised as `KrakenFuturesError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from sim.servers.dead_man import Countdown
from sim.servers.faults import Fault, Faults
from sim.servers.krakenfutures import wire
from sim.servers.krakenfutures.wire import KrakenFuturesError
from sim.servers.margin import AUTOCLOSE, MarginCore
from sim.servers.records import OrderRequest, OrderStatus, Refusal, RefusalKind, Tif, VenueOrder

_TYPES = {"lmt": Tif.GTC, "post": Tif.GTC, "ioc": Tif.IOC, "fok": Tif.FOK, "mkt": Tif.IOC}
_PROTECTION = Decimal("0.01")  # how far a market order may go beyond the best price
_FILLS_PAGE = 100
_KNOWN_NS = 5_000_000_000  # how long `orders/status` knows an order after its end
_EVENTS_PAGE = 1_000
_LOG_ROWS = 500

Params = Mapping[str, str]


class KrakenFuturesAccount:
    """The account of one loopback Kraken Futures."""

    def __init__(self, core: MarginCore, faults: Faults) -> None:
        self.core = core
        self.faults = faults
        self.dead_man = Countdown(core)
        self.products = {wire.product_id(one): symbol for symbol, one in core.instruments.items()}

    def symbol(self, params: Params) -> str:
        """The symbol that a request names; raises for a product that is not listed."""
        found = self.products.get(params.get("symbol", "").upper())
        if found is None:
            raise KrakenFuturesError("invalidArgument: symbol")
        return found

    # --- orders ---

    def place(self, params: Params) -> dict[str, Any]:
        """`POST sendorder`."""
        for name in ("orderType", "symbol", "side", "size"):
            if not params.get(name):
                raise KrakenFuturesError("requiredArgumentMissing")
        symbol, now = self.symbol(params), wire.moment(self.core.clock_ns())
        try:
            status, order = "placed", self._placed(symbol, params)
        except Refusal as refusal:
            status, order = wire.status_of(refusal), None
        answer: dict[str, Any] = {"status": status, "receivedTime": now, "orderEvents": []}
        if params.get("cliOrdId"):
            answer["cliOrdId"] = params["cliOrdId"]
        if order is not None:
            if not order.rests and not order.filled:  # nothing to take: refused, in effect
                answer["status"] = "iocWouldNotExecute"
            answer |= {"order_id": wire.order_id(order.order_id), "orderEvents": self._events(order)}
        return {"sendStatus": answer}

    def _placed(self, symbol: str, params: Params) -> VenueOrder:
        kind, side = params["orderType"], 1 if params["side"] == "buy" else -1
        if self.faults.take(Fault.REJECT, symbol=symbol):
            raise Refusal(RefusalKind.INSUFFICIENT_FUNDS)
        if kind not in _TYPES or params["side"] not in ("buy", "sell"):
            raise KrakenFuturesError("invalidArgument: orderType")
        client_id = params.get("cliOrdId", "")
        if len(client_id) > 100 or client_id.startswith(AUTOCLOSE):
            raise KrakenFuturesError("invalidArgument: cliOrdId")
        if client_id and client_id in self.core.by_client:  # unique for ever
            raise Refusal(RefusalKind.DUPLICATE_CLIENT_ID)
        try:
            price = self._protected(symbol, side) if kind == "mkt" else Decimal(params.get("limitPrice", ""))
            quantity = Decimal(params["size"])
        except InvalidOperation:
            raise KrakenFuturesError("invalidArgument: size or limitPrice") from None
        return self.core.place(
            OrderRequest(
                symbol=symbol,
                side=side,
                quantity=quantity,
                price=price,
                tif=_TYPES[kind],
                client_id=client_id,
                post_only=kind == "post",
                reduce_only=params.get("reduceOnly") == "true",
            )
        )

    def _protected(self, symbol: str, side: int) -> Decimal:
        """The limit of a market order: one per cent beyond the best price, on the tick."""
        instrument, book = self.core.instruments[symbol], self.core.books[symbol]
        best = book.shown.side(-side).best()
        if not book.live or best is None:
            raise Refusal(RefusalKind.CANNOT_FILL)
        return instrument.price(int(best * (1 + side * _PROTECTION)) // instrument.tick * instrument.tick)

    def _events(self, order: VenueOrder) -> list[dict[str, Any]]:
        """What happened at once: executions, else that it rests."""
        instrument, events, done = self.core.instruments[order.symbol], [], 0
        for fill in order.fills:
            executed = {
                "type": "EXECUTION",
                "executionId": wire.fill_id(fill.trade_id),
                "price": wire.number(instrument.price(fill.price)),
                "amount": wire.number(instrument.size(fill.size)),
                "orderPriorEdit": None,
                "orderPriorExecution": wire.order_json(order, instrument, done),
                "takerReducedQuantity": None,
            }
            events.append(executed)
            done += fill.size
        if order.open:
            placed = wire.order_json(order, instrument, done)
            events.append({"type": "PLACE", "order": placed, "reducedQuantity": None})
        elif not order.filled:
            row = wire.order_json(order, instrument, 0)
            events.append({"type": "REJECT", "uid": row["orderId"], "order": row, "reason": "IOC_WOULD_NOT_EXECUTE"})
        return events

    def _named(self, params: Params) -> VenueOrder | None:
        """The order that a request means, by either id."""
        if sent := params.get("cliOrdId"):
            return self.core.by_client.get(sent)
        return self.core.orders.get(wire.order_number(params.get("orderId") or params.get("order_id") or ""))

    def _cancelled(self, params: Params) -> dict[str, Any]:
        order, now = self._named(params), wire.moment(self.core.clock_ns())
        status = "notFound"
        if order is not None and order.open:
            self.core.cancel(order.order_id)
            status = "cancelled"
        elif order is not None and order.status is OrderStatus.FILLED:
            status = "filled"
        row = {"status": status, "receivedTime": now, "orderEvents": []}
        return row | ({"order_id": wire.order_id(order.order_id)} if order is not None else {})

    def cancel(self, params: Params) -> dict[str, Any]:
        """`POST cancelorder`."""
        if not (params.get("cliOrdId") or params.get("order_id")):
            raise KrakenFuturesError("requiredArgumentMissing")
        return {"cancelStatus": self._cancelled(params)}

    def batch(self, params: Params) -> dict[str, Any]:
        """`POST batchorder`, of cancels alone."""
        try:
            rows = orjson.loads(params["json"])["batchOrder"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise KrakenFuturesError("Json Parse Error") from None
        if any(row.get("order") != "cancel" for row in rows):
            raise KrakenFuturesError("invalidArgument: order")
        return {"batchStatus": [self._cancelled(row) for row in rows]}

    def cancel_all(self, params: Params) -> dict[str, Any]:
        """`POST cancelallorders`."""
        ended = self.core.cancel_all(self.symbol(params) if params.get("symbol") else None)
        rows = [{"order_id": wire.order_id(order.order_id)} for order in ended]
        status = "cancelled" if rows else "noOrdersToCancel"
        received = wire.moment(self.core.clock_ns())
        named = params.get("symbol") or "all"
        return {
            "cancelStatus": {
                "status": status,
                "receivedTime": received,
                "cancelOnly": named,
                "cancelledOrders": rows,
                "orderEvents": [],
            }
        }

    def edit(self, params: Params) -> dict[str, Any]:
        """`POST editorder`: in place; a post-only order that would take at its new price is cancelled."""
        order, now = self._named(params), wire.moment(self.core.clock_ns())
        status = "edited"
        if order is None or not order.open:
            return {"editStatus": {"status": "orderForEditNotFound", "receivedTime": now, "orderEvents": []}}
        instrument = self.core.instruments[order.symbol]
        try:
            price = Decimal(params["limitPrice"]) if params.get("limitPrice") else None
            size = Decimal(params["size"]) if params.get("size") else None
        except InvalidOperation:
            raise KrakenFuturesError("invalidArgument: size or limitPrice") from None
        if size is not None and params.get("qtyMode", "RELATIVE") == "RELATIVE":
            size += instrument.size(order.filled)
        try:
            self.core.amend(order.order_id, price=price, quantity=size)
        except Refusal as refusal:
            status = wire.status_of(refusal)
            if refusal.kind is RefusalKind.WOULD_TAKE:
                self.core.cancel(order.order_id)
        return {
            "editStatus": {
                "status": status,
                "orderId": wire.order_id(order.order_id),
                "receivedTime": now,
                "orderEvents": [],
            }
        }

    def open_orders(self, params: Params) -> dict[str, Any]:
        """`GET openorders`."""
        rows = [wire.open_order(one, self.core.instruments[one.symbol]) for one in self.core.resting.values()]
        return {"openOrders": rows}

    def order_status(self, params: Params) -> dict[str, Any]:
        """`orders/status` by client ids: open ones, and those that ended lately."""
        now, rows = self.core.clock_ns(), []
        order = self.core.by_client.get(params.get("cliOrdIds", ""))
        if order is not None and (order.open or now - order.updated_ns < _KNOWN_NS):
            row = wire.order_json(order, self.core.instruments[order.symbol], order.filled)
            status = "ENTERED_BOOK"
            if not order.open:
                untaken = not order.filled and not order.rests
                ended = "REJECTED" if untaken else "CANCELLED"
                status = "FULLY_EXECUTED" if order.status is OrderStatus.FILLED else ended
            rows.append({"order": row | {"type": "ORDER"}, "status": status, "updateReason": None, "error": None})
        return {"orders": rows}

    # --- executions ---

    def fills(self, params: Params) -> dict[str, Any]:
        """`GET fills`: the last hundred, or the hundred before a moment; the latest first."""
        before = params.get("lastFillTime")
        found = [one for one in self.core.fills if before is None or wire.moment(one.ts_ns) < before]
        page = found[-_FILLS_PAGE:][::-1]
        listed = self.core.instruments
        return {"fills": [wire.rest_fill(one, self.core.orders.get(one.order_id), listed[one.symbol]) for one in page]}

    # --- wallets and positions ---

    def accounts(self, params: Params) -> dict[str, Any]:
        """`GET accounts`."""
        return {"accounts": wire.accounts(self.core)}

    def positions(self, params: Params) -> dict[str, Any]:
        """`GET openpositions`."""
        return {"openPositions": wire.open_positions(self.core)}

    def count_down(self, params: Params) -> dict[str, Any]:
        """`POST cancelallordersafter`."""
        try:
            at_ns = self.dead_man.arm(int(params.get("timeout", "")))
        except ValueError:
            raise KrakenFuturesError("invalidArgument: timeout") from None
        now = wire.moment(self.core.clock_ns())
        return {"status": {"currentTime": now, "triggerTime": wire.moment(at_ns) if at_ns else "0"}}

    # --- histories ---

    def order_events(self, params: Params) -> dict[str, Any]:
        """`GET orders` of the history: the last event of each order, the latest first; its token is a place in that list."""
        since_ms, at = int(params.get("since", 0)), int(params.get("continuation_token") or 0)
        known = [one for one in self.core.orders.values() if one.updated_ns // 1_000_000 >= since_ms]
        known.sort(key=lambda one: (-one.updated_ns, -one.order_id))
        page = known[at : at + _EVENTS_PAGE]
        answer: dict[str, Any] = {"accountUid": wire.ACCOUNT, "elements": [self._element(one) for one in page]}
        answer["len"] = len(page)
        return answer | ({"continuationToken": str(at + _EVENTS_PAGE)} if len(known) > at + _EVENTS_PAGE else {})

    def _element(self, order: VenueOrder) -> dict[str, Any]:
        row = wire.history_order(order, self.core.instruments[order.symbol])
        untaken = not order.open and not order.filled and not order.rests
        if untaken:
            event = {"OrderRejected": {"order": row, "orderError": "IOC_WOULD_NOT_EXECUTE", "reason": "new_user_order"}}
        elif order.status in (OrderStatus.CANCELED, OrderStatus.EXPIRED) and order.rests:
            event = {"OrderCancelled": {"order": row, "reason": "cancelled_by_user"}}
        elif order.filled and order.rests:
            reason = "full_fill" if not order.open else "partial_fill"
            event = {"OrderUpdated": {"oldOrder": row, "newOrder": row, "reason": reason, "reducedQuantity": ""}}
        else:
            left = self.core.instruments[order.symbol].size(order.leaves)
            event = {"OrderPlaced": {"order": row | {"quantity": f"{left:f}"}, "reason": "new_user_order"}}
        return {"uid": row["uid"], "timestamp": order.updated_ns // 1_000_000, "event": event}

    def account_log(self, params: Params) -> dict[str, Any]:
        """`GET account-log`, of trades (their currency rows) and funding."""
        listed, info = self.core.instruments, params.get("info")
        rows = [wire.funding_log(one, listed[one.symbol]) for one in self.core.payments]
        rows += [wire.trade_log(one, listed[one.symbol]) for one in self.core.fills]
        since = wire.moment(int(params.get("since", 0)) * 1_000_000)
        found = [row for row in rows if row["date"] >= since and info in (None, row["info"])]
        found.sort(key=lambda row: (row["date"], row["id"]), reverse=params.get("sort", "desc") == "desc")
        return {"accountUid": wire.ACCOUNT, "logs": found[: int(params.get("count", _LOG_ROWS))]}
