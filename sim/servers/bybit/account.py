"""Bybit's private answers about one account: placing, cancelling and asking for orders, executions and the wallet.

Parameters are as they came over the wire (text, or a JSON body's values); what the venue says no to is raised as `BybitError`.
An `orderLinkId` is taken once for ever, also after its order has ended, as the venue documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from itertools import dropwhile, islice

from sim.servers.bybit import wire
from sim.servers.bybit.wire import BybitError
from sim.servers.dead_man import Disconnect
from sim.servers.faults import Fault, Faults
from sim.servers.matching import MatchingCore, OrderRequest, Refusal, RefusalKind, Tif, VenueFill, VenueOrder

_CLIENT_ID = re.compile(r"[0-9A-Za-z_-]{1,36}")
_BATCH = 10
_CLOSED_KEPT = 500  # ended orders that `order/realtime` still knows
_WEEK_MS = 7 * 24 * 3_600_000
_TIFS = {"GTC": Tif.GTC, "IOC": Tif.IOC, "FOK": Tif.FOK, "PostOnly": Tif.GTC}


class BybitAccount:
    """The unified account of one loopback Bybit, spot only."""

    def __init__(self, core: MatchingCore, faults: Faults) -> None:
        self.core = core
        self.faults = faults
        self.protection = Disconnect(core)
        self._symbols = {wire.symbol_id(symbol): symbol for symbol in core.instruments}

    def unified(self, params: dict) -> str:
        """The unified symbol of the `symbol` parameter."""
        symbol = self._symbols.get(str(params.get("symbol", "")))
        if symbol is None:
            raise BybitError(170121, "Invalid symbol.")
        return symbol

    # --- orders ------------------------------------------------------------------------------------------------------------------------

    def place(self, params: dict) -> dict:
        """`/v5/order/create`: the answer is the order's id and no more."""
        symbol = self.unified(params)
        kind, side, link = params.get("orderType"), params.get("side"), str(params.get("orderLinkId") or "")
        tif = _TIFS.get(str(params.get("timeInForce") or ("IOC" if kind == "Market" else "GTC")))
        if side not in ("Buy", "Sell"):
            raise BybitError(170117, "Invalid side.")
        if kind not in ("Limit", "Market") or params.get("orderFilter", "Order") != "Order":
            raise BybitError(170116, "Invalid orderType.")
        if tif is None:
            raise BybitError(170115, "Invalid timeInForce.")
        if kind == "Market" and side == "Buy" and params.get("marketUnit") != "baseCoin":
            raise BybitError(170227, "This feature is not supported.")  # by value: not simulated
        if link and not _CLIENT_ID.fullmatch(link):
            raise BybitError(10001, "params error: OrderLinkId Illegal")
        if self.faults.take(Fault.REJECT, symbol=symbol):
            raise BybitError(170131, "Insufficient balance.")
        if link in self.core.by_client:
            raise wire.refused(Refusal(RefusalKind.DUPLICATE_CLIENT_ID))
        try:
            request = OrderRequest(
                symbol=symbol,
                side=1 if side == "Buy" else -1,
                quantity=Decimal(str(params.get("qty", ""))),
                price=None if kind == "Market" else Decimal(str(params.get("price", ""))),
                tif=tif,
                client_id=link,
                post_only=params.get("timeInForce") == "PostOnly",
            )
            order = self.core.place(request)
        except InvalidOperation:
            raise BybitError(170130, "Data sent for paramter 'qty' or 'price' is not valid.") from None
        except Refusal as refusal:
            raise wire.refused(refusal) from None
        return {"orderId": str(order.order_id), "orderLinkId": order.client_id}

    def cancel(self, params: dict) -> dict:
        """`/v5/order/cancel`."""
        self.unified(params)
        order = next(iter(self._named(params) or ()), None)
        try:
            if order is None:
                raise Refusal(RefusalKind.UNKNOWN_ORDER)
            self.core.cancel(order.order_id)
        except Refusal as refusal:
            raise wire.refused(refusal) from None
        return {"orderId": str(order.order_id), "orderLinkId": order.client_id}

    def amend(self, params: dict) -> dict:
        """`/v5/order/amend`: quantity, price or both, in place."""
        self.unified(params)
        order = next(iter(self._named(params) or ()), None)
        if order is None or not order.open:
            raise wire.refused(Refusal(RefusalKind.UNKNOWN_ORDER))
        try:
            terms = {
                name: Decimal(str(params[key]))
                for name, key in (("quantity", "qty"), ("price", "price"))
                if params.get(key)
            }
            if not terms:
                raise BybitError(10001, "params error: nothing to amend")
            if terms.get("quantity", order.quantity) <= self.core.instruments[order.symbol].size(order.filled):
                raise BybitError(170136, "Order quantity exceeded lower limit.")
            self.core.amend(order.order_id, **terms)
        except InvalidOperation:
            raise BybitError(170130, "Data sent for paramter 'qty' or 'price' is not valid.") from None
        except Refusal as refusal:
            raise wire.refused(refusal) from None
        return {"orderId": str(order.order_id), "orderLinkId": order.client_id}

    def cancel_batch(self, params: dict) -> tuple[dict, dict]:
        """`/v5/order/cancel-batch`: (result, retExtInfo), an order a row."""
        wanted = params.get("request")
        if not isinstance(wanted, list) or not 1 <= len(wanted) <= _BATCH:
            raise BybitError(10001, f"params error: request must hold 1 to {_BATCH} orders")
        rows, said = [], []
        for row in wanted:
            named = {"category": wire.CATEGORY, "symbol": row.get("symbol", ""), "orderId": "", "orderLinkId": ""}
            try:
                rows.append(named | self.cancel(row))
                said.append({"code": 0, "msg": "OK"})
            except BybitError as error:
                rows.append(named | {key: row[key] for key in ("orderId", "orderLinkId") if key in row})
                said.append({"code": error.code, "msg": error.message})
        return {"list": rows}, {"list": said}

    def cancel_all(self, params: dict) -> dict:
        """`/v5/order/cancel-all`, of a symbol or of the category."""
        symbol = self.unified(params) if params.get("symbol") else None
        done = self.core.cancel_all(symbol)
        rows = [{"orderId": str(order.order_id), "orderLinkId": order.client_id} for order in done]
        return {"list": rows, "success": "1"}

    def protect(self, params: dict) -> dict:
        """`/v5/order/disconnected-cancel-all`."""
        window = str(params.get("timeWindow", ""))
        if params.get("product") != "SPOT" or not window.isdigit() or not 3 <= int(window) <= 300:
            raise BybitError(10001, "params error: timeWindow must be between 3 and 300")
        self.protection.window_s = int(window)
        return {}

    def realtime(self, query: dict) -> dict:
        """`/v5/order/realtime`: open orders, or with `openOnly` 1 the last 500 ended ones; by id both."""
        named = self._named(query)
        recent = self._newest(query)
        if named is not None:
            known = {order.order_id for order in islice((o for o in recent if not o.open), _CLOSED_KEPT)}
            found = [order for order in named if order.open or order.order_id in known]
        elif str(query.get("openOnly", "0")) == "0":
            found = [order for order in recent if order.open]
        else:
            found = list(islice((order for order in recent if not order.open), _CLOSED_KEPT))
        return self._orders_page(query, found)

    def history(self, query: dict) -> dict:
        """`/v5/order/history`: ended orders, newest first."""
        found = self._named(query)
        if found is None:
            found = list(self._newest(query))
        return self._orders_page(query, [order for order in found if not order.open])

    def _named(self, query: dict) -> list[VenueOrder] | None:
        """The order an `orderId` or, after it, an `orderLinkId` names; None when neither is given."""
        if query.get("orderId"):
            number = str(query["orderId"])
            order = self.core.orders.get(int(number)) if number.isdigit() else None
        elif query.get("orderLinkId"):
            order = self.core.by_client.get(str(query["orderLinkId"]))
        else:
            return None
        return [] if order is None else [order]

    def _newest(self, query: dict) -> Iterator[VenueOrder]:
        symbol = self.unified(query) if query.get("symbol") else None
        return (order for order in reversed(self.core.orders.values()) if symbol in (None, order.symbol))

    def _orders_page(self, query: dict, found: list[VenueOrder]) -> dict:
        limit = _limit(query, most=50, default=20)
        page = list(islice(_after(query, found, lambda order: order.order_id), limit))
        rows = [wire.order_row(order, self.core.instruments[order.symbol], wire.standing(order)) for order in page]
        follow = wire.cursor(page[-1].order_id, page[-1].created_ns) if len(page) == limit else ""
        return {"list": rows, "nextPageCursor": follow, "category": wire.CATEGORY}

    # --- executions --------------------------------------------------------------------------------------------------------------------

    def executions(self, query: dict) -> dict:
        """`/v5/execution/list`, newest first: of an order, or of a span of at most a week (by default the last one)."""
        limit = _limit(query, most=100, default=50)
        named = self._named(query)
        if named is not None:
            ids = {order.order_id for order in named}
            found = [fill for fill in reversed(self.core.fills) if fill.order_id in ids]
        else:
            first, last = self._span(query)
            symbol = self.unified(query) if query.get("symbol") else None
            found = [
                fill
                for fill in reversed(self.core.fills)
                if first <= fill.ts_ns // wire.MS <= last and symbol in (None, fill.symbol)
            ]
        page = list(islice(_after(query, found, lambda fill: fill.trade_id), limit))
        follow = wire.cursor(page[-1].trade_id, page[-1].ts_ns) if len(page) == limit else ""
        return {"list": [self._row(fill) for fill in page], "nextPageCursor": follow, "category": wire.CATEGORY}

    def _span(self, query: dict) -> tuple[int, int]:
        try:
            first, last = (int(query[name]) if query.get(name) else None for name in ("startTime", "endTime"))
        except ValueError:
            raise BybitError(10001, "params error: startTime or endTime is invalid") from None
        if first is None:
            last = last if last is not None else self.core.clock_ns() // wire.MS
            first = last - _WEEK_MS
        if last is None:
            last = first + _WEEK_MS
        if last - first > _WEEK_MS:
            raise BybitError(10001, "The time range between startTime and endTime cannot exceed 7 days")
        return first, last

    def _row(self, fill: VenueFill) -> dict:
        return wire.execution_row(fill, self.core.orders.get(fill.order_id), self.core.instruments[fill.symbol])

    # --- wallet ------------------------------------------------------------------------------------------------------------------------

    def wallet(self, query: dict) -> dict:
        """`/v5/account/wallet-balance`."""
        if query.get("accountType") != "UNIFIED":
            raise BybitError(10001, "accountType only support UNIFIED.")
        wanted = str(query.get("coin") or "").split(",")
        coins = sorted(coin for coin in self.core.balances if wanted == [""] or coin in wanted)
        return {"list": [wire.wallet(self.core, coins)]}

    def fee_rates(self, query: dict) -> dict:
        """`/v5/account/fee-rate`."""
        symbols = [self.unified(query)] if query.get("symbol") else list(self.core.instruments)
        rows = []
        for symbol in symbols:
            instrument = self.core.instruments[symbol]
            rates = {
                "takerFeeRate": wire.amount(instrument.taker_fee_bps / 10_000),
                "makerFeeRate": wire.amount(instrument.maker_fee_bps / 10_000),
            }
            rows.append({"symbol": wire.symbol_id(symbol), "baseCoin": "", **rates})
        return {"list": rows}


def _limit(query: dict, *, most: int, default: int) -> int:
    text = str(query.get("limit") or default)
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise BybitError(10001, f"params error: limit must be between 1 and {most}")
    return int(text)


def _after[Row](query: dict, rows: Iterable[Row], row_id) -> Iterator[Row]:  # type: ignore[no-untyped-def]
    """The rows behind the one that the cursor names, newest first."""
    if not query.get("cursor"):
        return iter(rows)
    last = str(query["cursor"]).partition(":")[0]
    return islice(dropwhile(lambda row: str(row_id(row)) != last, rows), 1, None)
