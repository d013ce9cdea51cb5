"""OKX's private answers about one account: placing, cancelling and asking for orders, fills and balances.

Parameters are as they came over the wire (text). What the venue says no to is raised as `OkxError`; an order of a batch
that it says no to is answered in its place (`sCode`, `sMsg`), as on the venue.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from sim.servers.dead_man import Countdown
from sim.servers.faults import Fault, Faults
from sim.servers.matching import MatchingCore, OrderRequest, Refusal, RefusalKind, Tif, VenueFill, VenueOrder
from sim.servers.okx import wire
from sim.servers.okx.wire import OkxError

_PAGE = 100
_BATCH = 20
_SWITCH_S = (10, 120)
_CLIENT_ID = re.compile(r"[0-9A-Za-z]{1,32}")
_TIFS = {"limit": Tif.GTC, "post_only": Tif.GTC, "ioc": Tif.IOC, "fok": Tif.FOK, "market": Tif.IOC}
Row = TypeVar("Row", VenueOrder, VenueFill)


class OkxAccount:
    """The account of one loopback OKX."""

    def __init__(self, core: MatchingCore, faults: Faults) -> None:
        self.core = core
        self.faults = faults
        self.dead_man = Countdown(core)
        self._symbols = {wire.inst_id(symbol): symbol for symbol in core.instruments}
        self._symbols |= {str(wire.inst_id_code(symbol)): symbol for symbol in core.instruments}

    def unified(self, params: dict) -> str:
        """The unified symbol of `instId`, or of `instIdCode` (which sockets take)."""
        symbol = self._symbols.get(str(params.get("instId") or params.get("instIdCode") or ""))
        if symbol is None:
            raise OkxError("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        return symbol

    # --- orders ------------------------------------------------------------------------------------------------------------------------

    def place(self, orders: list[dict]) -> dict:
        """`trade/order` (one) and `trade/batch-orders`."""
        return self._batch(orders, self._place)

    def cancel(self, orders: list[dict]) -> dict:
        """`trade/cancel-order` (one) and `trade/cancel-batch-orders`."""
        return self._batch(orders, self._cancel)

    def amend(self, orders: list[dict]) -> dict:
        """`trade/amend-order` (one) and `trade/amend-batch-orders`."""
        return self._batch(orders, self._amend)

    def cancel_after(self, orders: list[dict]) -> dict:
        """`trade/cancel-all-after`."""
        seconds = str(orders[0].get("timeOut", "")) if orders else ""
        if not seconds.isdigit() or not (seconds == "0" or _SWITCH_S[0] <= int(seconds) <= _SWITCH_S[1]):
            raise OkxError("51000", "Parameter timeOut error")
        trigger_ns = self.dead_man.arm(int(seconds))
        row = {"triggerTime": wire.ms(trigger_ns), "tag": "", "ts": wire.ms(self.core.clock_ns())}
        return {"code": "0", "data": [row], "msg": ""}

    def _amend(self, params: dict) -> VenueOrder:
        order = self._named(params)
        if order is None or not order.open:
            raise OkxError(
                "51503", "Order modification failed as the order has been filled, canceled or does not exist."
            )
        terms = {
            name: _number(params, key) for name, key in (("quantity", "newSz"), ("price", "newPx")) if params.get(key)
        }
        if not terms:
            raise OkxError("50014", "Parameter newSz or newPx can not be empty")
        try:
            return self.core.amend(order.order_id, **terms)
        except Refusal as refusal:
            if refusal.kind is RefusalKind.WOULD_TAKE:
                raise OkxError("51510", "Modification failed as a post-only order would take") from None
            raise wire.refused(refusal) from None

    def _batch(self, orders: list[dict], do: Callable[[dict], VenueOrder]) -> dict:
        if not orders:
            raise OkxError("50000", "Body for POST request cannot be empty.", 400)
        if len(orders) > _BATCH:
            raise OkxError("51111", f"Maximum {_BATCH} orders can be placed in bulk")
        rows, failed = [], 0
        for params in orders:
            now = wire.ms(self.core.clock_ns())
            row = {
                "clOrdId": str(params.get("clOrdId") or ""),
                "ordId": str(params.get("ordId") or ""),
                "tag": "",
                "ts": now,
            }
            try:
                order = do(params)
                row |= {"ordId": str(order.order_id), "clOrdId": order.client_id, "sCode": "0", "sMsg": ""}
            except OkxError as error:
                failed += 1
                row |= {"sCode": error.code, "sMsg": error.message}
            rows.append(row)
        code = "0" if not failed else "1" if failed == len(rows) else "2"
        said = {"0": "", "1": "All operations failed", "2": "Bulk operations partially succeeded."}[code]
        return {"code": code, "data": rows, "msg": said}

    def _place(self, params: dict) -> VenueOrder:
        symbol = self.unified(params)
        kind, side, client_id = params.get("ordType"), params.get("side"), str(params.get("clOrdId") or "")
        if self.faults.take(Fault.REJECT, symbol=symbol):
            raise OkxError("51008", "Order failed. Insufficient balance in account.")
        if kind not in _TIFS:
            raise OkxError("51000", "Parameter ordType error")
        if side not in ("buy", "sell"):
            raise OkxError("51000", "Parameter side error")
        if params.get("tdMode") != "cash":
            raise OkxError("51000", "Parameter tdMode error")
        if client_id and not _CLIENT_ID.fullmatch(client_id):
            raise OkxError("51000", "Parameter clOrdId error")
        by_cost = params.get("tgtCcy", "quote_ccy" if side == "buy" else "base_ccy") == "quote_ccy"
        if kind == "market" and by_cost:
            raise OkxError("51000", "Parameter tgtCcy error: orders by cost are not simulated")
        request = OrderRequest(
            symbol=symbol,
            side=1 if side == "buy" else -1,
            quantity=_number(params, "sz"),
            price=None if kind == "market" else _number(params, "px"),
            tif=_TIFS[str(kind)],
            client_id=client_id,
            post_only=kind == "post_only",
        )
        try:
            return self.core.place(request)
        except Refusal as refusal:
            raise wire.refused(refusal) from None

    def _cancel(self, params: dict) -> VenueOrder:
        gone = OkxError("51400", "Cancellation failed as the order has been filled, canceled or does not exist.")
        order = self._named(params)
        if order is None:
            raise gone
        try:
            return self.core.cancel(order.order_id)
        except Refusal:
            raise gone from None

    def _named(self, params: dict) -> VenueOrder | None:
        """By `ordId`, else by `clOrdId` the latest."""
        symbol = self.unified(params)
        number, client_id = str(params.get("ordId") or ""), str(params.get("clOrdId") or "")
        if number:
            order = self.core.orders.get(int(number)) if number.isdigit() else None
        elif client_id:
            order = self.core.by_client.get(client_id)
        else:
            raise OkxError("51003", "Either client order ID or order ID is required.")
        return order if order is not None and order.symbol == symbol else None

    def _state(self, order: VenueOrder) -> dict:
        return wire.order_state(order, self.core.instruments[order.symbol])

    def order(self, params: dict) -> list[dict]:
        """`GET trade/order`."""
        order = self._named(params)
        if order is None:
            raise OkxError("51603", "Order does not exist")
        return [self._state(order)]

    def pending(self, params: dict) -> list[dict]:
        """`trade/orders-pending`, newest first."""
        found = [order for order in reversed(self.core.orders.values()) if order.open]
        return [self._state(order) for order in self._listed(found, params, lambda order: order.order_id)]

    def history(self, params: dict) -> list[dict]:
        """`trade/orders-history`, newest first."""
        found = [order for order in reversed(self.core.orders.values()) if not order.open]
        return [self._state(order) for order in self._listed(found, params, lambda order: order.order_id)]

    def fills(self, params: dict) -> list[dict]:
        """`trade/fills` and `trade/fills-history`, newest first."""
        since, until = int(params.get("begin") or 0) * 1_000_000, int(params.get("end") or 1 << 43) * 1_000_000
        found = [fill for fill in reversed(self.core.fills) if since <= fill.ts_ns < until + 1_000_000]
        if params.get("ordId"):
            found = [fill for fill in found if str(fill.order_id) == params["ordId"]]
        return [self._fill(fill) for fill in self._listed(found, params, wire.bill_id)]

    def _fill(self, fill: VenueFill) -> dict:
        order = self.core.orders.get(fill.order_id)
        return wire.fill_row(fill, order.client_id if order is not None else "", self.core.instruments[fill.symbol])

    def _listed(self, found: list[Row], params: dict, key: Callable[[Row], int]) -> list[Row]:
        """One page: `after` asks for what is older than an id, `before` for what is newer."""
        if params.get("instType", "SPOT") != "SPOT":
            return []
        if params.get("instId"):
            symbol = self.unified(params)
            found = [row for row in found if row.symbol == symbol]
        if params.get("after"):
            found = [row for row in found if key(row) < int(params["after"])]
        if params.get("before"):
            found = [row for row in found if key(row) > int(params["before"])]
        return found[: min(_PAGE, int(params.get("limit") or _PAGE))]

    # --- money -------------------------------------------------------------------------------------------------------------------------

    def balances(self, params: dict) -> list[dict]:
        """`account/balance`."""
        wanted = params.get("ccy")
        return [wire.balances(self.core, wanted.split(",") if wanted else None)]

    def trade_fee(self, params: dict) -> list[dict]:
        """`account/trade-fee`: of a pair, or of any."""
        symbol = self.unified(params) if params.get("instId") else next(iter(self.core.instruments))
        return [wire.fee_row(self.core.instruments[symbol], self.core.clock_ns())]

    def currencies(self, params: dict) -> list[dict]:
        """`asset/currencies`."""
        return [wire.currency_row(currency) for currency in sorted(self.core.balances)]


def _number(params: dict, name: str) -> Decimal:
    try:
        return Decimal(str(params[name]))
    except (KeyError, InvalidOperation):
        raise OkxError("51000", f"Parameter {name} error") from None
