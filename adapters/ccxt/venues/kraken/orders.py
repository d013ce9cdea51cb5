"""Kraken spot: orders over WebSocket v2, amending, cancelling all, and the dead-man switch.

1. **Amend** (`AmendOrder`, `amend_order`) changes price and quantity in place, under both ids; the quantity is the whole order's. One that
   has filled already ends the order. (`EditOrder` is a cancel and a new order with a new id: not used.)
2. **WebSocket v2**: the private socket takes `add_order`, `amend_order`, `cancel_order`, each with the token of the login and a number
   (`req_id`); refusals carry REST's texts. Its numbers are JSON numbers: one whose digits a float cannot carry is not sent.
3. **Dead-man switch**: `CancelAllOrdersAfter` counts down by seconds, 0 takes it off; the venue asks for 60 s, set again each 15 to 30 s.
4. **Cancel all** has no pair: the orders of one symbol are listed and cancelled in batches.
5. **GTD** by `expiretm` (REST, seconds since the epoch) and `expire_time` (socket, RFC 3339).

Sources: Kraken's documentation (AmendOrder, "Spot Atomic Amends", CancelAllOrdersAfter, CancelOrderBatch, WebSocket v2), recorded example
messages, ccxt 4.5.90.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from adapters.ccxt.account.outcomes import NotSent
from adapters.ccxt.dialect import Amending, AmendRequest, CancelRequest, Offers, OrderRequest, Switch, acknowledged
from adapters.ccxt.events import FillEvent, OrderEvent
from adapters.ccxt.venues.kraken.lookup import KrakenLookup

_BATCH = 15  # of fifty that the venue takes: each of a young order counts eight of 180
_SECOND_NS = 1_000_000_000


class KrakenOrdering:
    """What `KrakenAccountDialect` offers beyond single orders by REST; ids are its.

    `token`: of the last login; `lookup`: knows the venue's ids of our orders.
    """

    offers: ClassVar[Offers] = Offers(
        gtd=True,
        amending=Amending.FULL,
        socket=True,
        cancel_batch=_BATCH,
        sweep=True,
        switch=Switch.TIMER,
        switch_s=(1, 86_400),
    )
    token: str = ""
    lookup: KrakenLookup

    async def amend(self, exchange: Any, request: AmendRequest) -> None:
        """`AmendOrder` by `cl_ord_id`."""
        terms = {"order_qty": request.quantity, "limit_price": request.price}
        await exchange.private_post_amendorder({"cl_ord_id": self.encode_id(request.client_order_id), **terms})

    async def cancel_batch(self, exchange: Any, orders: list[CancelRequest]) -> None:
        """`CancelOrderBatch`; it says how many it cancelled, not which."""
        import ccxt

        try:
            sent = [self.encode_id(order.client_order_id) for order in orders]
            await exchange.private_post_cancelorderbatch({"cl_ord_ids": sent})
        except ccxt.OrderNotFound:
            return

    async def sweep(self, exchange: Any, symbol: str | None, symbols: tuple[str, ...]) -> None:
        """`CancelAll`, or rule 4."""
        import ccxt

        if symbol is None:
            await exchange.private_post_cancelall({})
            return
        answer = await exchange.private_post_openorders({})
        rows = answer["result"].get("open") or {}
        named = [key for key, raw in rows.items() if exchange.safe_symbol(raw["descr"]["pair"]) == symbol]
        for at in range(0, len(named), _BATCH):
            try:
                await exchange.private_post_cancelorderbatch({"orders": named[at : at + _BATCH]})
            except ccxt.OrderNotFound:
                continue

    async def set_switch(self, exchange: Any, seconds: int) -> None:
        """`CancelAllOrdersAfter`."""
        await exchange.private_post_cancelallordersafter({"timeout": seconds})

    # -- by WebSocket ---------------------------------------------------------------------------------------------------

    def order_params(self, request: OrderRequest) -> dict[str, Any]:
        """What ccxt is told of an order by REST."""
        params: dict[str, Any] = {"clientOrderId": self.encode_id(request.client_order_id)}
        if request.kind == "limit":
            params |= {"postOnly": True} if request.post_only else {"timeInForce": request.time_in_force}
        if request.time_in_force == "GTD":
            params |= {"timeInForce": "GTD", "expiretm": str(-(-request.expires_ns // _SECOND_NS))}
        return params

    def socket_url(self, exchange: Any) -> str:
        """The private stream's own."""
        return str(exchange.urls["api"]["ws"]["privateV2"])

    async def socket_login(self, exchange: Any) -> None:
        """The token of the private stream is used."""

    def socket_frame(self, exchange: Any, number: str, request: OrderRequest | AmendRequest | CancelRequest) -> Any:
        """Rule 2."""
        cid = self.encode_id(request.client_order_id)
        match request:
            case OrderRequest():
                self.lookup.sends(request.client_order_id)
                method, params = "add_order", {"cl_ord_id": cid, **_add_order(request)}
            case AmendRequest():
                terms = {"order_qty": _number(request.quantity), "limit_price": _number(request.price)}
                method, params = "amend_order", {"cl_ord_id": cid, **terms}
            case CancelRequest():
                method, params = "cancel_order", {"cl_ord_id": [cid]}
        return {"method": method, "params": {**params, "token": self.token}, "req_id": int(number)}

    def socket_answer(self, exchange: Any, message: Any) -> tuple[str, Any] | None:
        """`req_id`, with `result` or `error`."""
        import ccxt

        methods = ("add_order", "amend_order", "cancel_order")
        if not isinstance(message, dict) or message.get("method") not in methods or "req_id" not in message:
            return None
        number = str(message["req_id"])
        if message.get("success"):
            return number, message.get("result") or {}
        said = {"error": [str(message.get("error"))]}
        try:
            exchange.handle_errors(200, "", "", "POST", {}, exchange.json(said), said, {}, {})
        except ccxt.BaseError as e:
            return number, e
        return number, ccxt.ExchangeError(f"{exchange.id} {said['error'][0]}")

    def socket_placed(self, exchange: Any, request: OrderRequest, result: Any) -> tuple[OrderEvent, list[FillEvent]]:
        """The answer is the order's id and nothing else."""
        self.lookup.knows(request.client_order_id, str(result.get("order_id") or ""))
        return acknowledged(request, str(result.get("order_id") or "")), []


def _add_order(request: OrderRequest) -> dict[str, Any]:
    params: dict[str, Any] = {
        "order_type": request.kind,
        "side": request.side,
        "order_qty": _number(request.quantity),
        "symbol": request.symbol,
    }
    if request.price is not None:
        params |= {"limit_price": _number(request.price), "time_in_force": request.time_in_force.lower()}
    if request.post_only:
        params["post_only"] = True
    if request.time_in_force == "GTD":
        params["expire_time"] = f"{datetime.fromtimestamp(request.expires_ns / 1e9, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
    return params


def _number(text: str) -> float:
    """A JSON number of exactly these digits; raises `NotSent` where there is none."""
    number = float(text)
    if Decimal(repr(number)) != Decimal(text):
        raise NotSent(f"{text} has more digits than a number of the socket carries")
    return number
