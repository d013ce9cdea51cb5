"""Bybit spot: orders over the trade socket, amending, cancelling in batches and all, and disconnect protection.

1. **Amend** (`order/amend`) changes price and quantity in place; the quantity is the whole order's. The answer only says that it was
   taken: the order says whether it is in force.
2. **Trade socket** `/v5/trade`: a login of its own, then `order.create`, `order.amend`, `order.cancel` with a clock in their header; the
   answer has REST's `retCode`. It is a socket beside the private stream: what is done is told there, or asked for by REST.
3. **Disconnect protection** (`order/disconnected-cancel-all`, 3 to 300 s): the venue acts so long after the last private socket that
   subscribed `dcp.spot` was lost. The account must be enabled for it by the venue; a refusal is a reason in the health, not a failure.
   It is taken off by leaving the topic: there is no request for it.
4. **Own orders meeting**: unlike the other venues this one lets them trade with each other, unless the order that takes says otherwise.
   Both sides of such a trade may have one execution id, and would count once: the one that rests is cancelled (`smpType`).
5. **Cancel all** (`order/cancel-all`) by symbol or category; `order/cancel-batch` takes ten orders and answers each in its place.

Sources: Bybit's v5 documentation, a recorded answer of the trade socket, ccxt 4.5.90.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, ClassVar

from adapters.ccxt.dialect import Amending, AmendRequest, CancelRequest, Offers, OrderRequest, Switch, acknowledged
from adapters.ccxt.events import FillEvent, OrderEvent

_BATCH = 10
_LOGIN_MS = 10_000  # how long a login is good for
_TOPIC_S = 5.0
TOPIC = "kerb-dcp"  # the number of our subscription to the topic of rule 3


class BybitOrdering:
    """What `BybitAccountDialect` offers beyond single orders by REST; ids, `category` and `meant` are its."""

    offers: ClassVar[Offers] = Offers(
        amending=Amending.FULL,
        socket=True,
        cancel_batch=_BATCH,
        sweep=True,
        switch=Switch.DISCONNECT,
        switch_s=(3, 300),
    )
    _protected: asyncio.Future[str] | None = None

    def order_params(self, request: OrderRequest) -> dict[str, Any]:
        """What ccxt is told of an order, by REST and by socket."""
        params: dict[str, Any] = {"clientOrderId": self.encode_id(request.client_order_id), "smpType": "CancelMaker"}
        if request.kind == "limit":
            params |= {"postOnly": True} if request.post_only else {"timeInForce": request.time_in_force}
        return params

    def named(self, exchange: Any, request: AmendRequest | CancelRequest) -> dict[str, Any]:
        """How a request names an order."""
        sent = self.encode_id(request.client_order_id)
        return {"category": self.category, "symbol": exchange.market_id(request.symbol), "orderLinkId": sent}

    async def amend(self, exchange: Any, request: AmendRequest) -> None:
        """`order/amend` by `orderLinkId`."""
        terms = {"qty": request.quantity, "price": request.price}
        with self.meant():
            await exchange.private_post_v5_order_amend({**self.named(exchange, request), **terms})

    async def cancel_batch(self, exchange: Any, orders: list[CancelRequest]) -> None:
        """`order/cancel-batch`; each row is answered in `retExtInfo`."""
        rows = [self.named(exchange, order) for order in orders]
        for row in rows:
            row.pop("category")
        await exchange.private_post_v5_order_cancel_batch({"category": self.category, "request": rows})

    async def sweep(self, exchange: Any, symbol: str | None, symbols: tuple[str, ...]) -> None:
        """`order/cancel-all`."""
        query = {"symbol": exchange.market_id(symbol)} if symbol else {}
        await exchange.private_post_v5_order_cancel_all({"category": self.category, **query})

    async def set_switch(self, exchange: Any, seconds: int) -> None:
        """Rule 3."""
        import ccxt

        url = exchange.implode_hostname(exchange.urls["api"]["ws"]["private"]["contract"])
        client = (exchange.clients or {}).get(url)
        if client is None or client.closed():
            raise ccxt.NetworkError("the private socket is not connected")
        if not seconds:
            await client.send({"op": "unsubscribe", "args": ["dcp.spot"], "req_id": TOPIC})
            return
        await exchange.private_post_v5_order_disconnected_cancel_all({"product": "SPOT", "timeWindow": seconds})
        self._protected = asyncio.get_running_loop().create_future()
        await client.send({"op": "subscribe", "args": ["dcp.spot"], "req_id": TOPIC})
        if refused := await asyncio.wait_for(self._protected, _TOPIC_S):
            raise ccxt.PermissionDenied(f"the venue refused dcp.spot: {refused}")

    def topic_answered(self, message: dict[str, Any]) -> bool:
        """Whether a message answers our subscription to `dcp.spot`, which is no part of the private stream."""
        if message.get("req_id") != TOPIC:
            return False
        if message.get("op") == "subscribe" and self._protected is not None and not self._protected.done():
            self._protected.set_result("" if message.get("success") else str(message.get("ret_msg") or "refused"))
        return True

    # -- by WebSocket ---------------------------------------------------------------------------------------------------

    def socket_url(self, exchange: Any) -> str:
        """A socket of its own."""
        return str(exchange.implode_hostname(exchange.urls["api"]["ws"]["private"]["trade"]))

    async def socket_login(self, exchange: Any) -> None:
        """By the venue's clock, as the private stream."""
        await self.login(exchange, self.socket_url(exchange))

    async def login(self, exchange: Any, url: str) -> None:
        """Log in to a private socket; ccxt's own login takes our clock."""
        expires = str(exchange.nonce() + _LOGIN_MS)
        text, secret = exchange.encode(f"GET/realtime{expires}"), exchange.encode(exchange.secret)
        request = {"op": "auth", "args": [exchange.apiKey, expires, exchange.hmac(text, secret, hashlib.sha256)]}
        await exchange.watch(url, "authenticated", request, "authenticated")

    def socket_frame(self, exchange: Any, number: str, request: OrderRequest | AmendRequest | CancelRequest) -> Any:
        """Rule 2."""
        match request:
            case OrderRequest():
                op = "order.create"
                row = exchange.create_order_request(
                    request.symbol,
                    request.kind,
                    request.side,
                    request.quantity,
                    request.price,
                    self.order_params(request),
                    True,
                )
            case AmendRequest():
                op = "order.amend"
                row = {**self.named(exchange, request), "qty": request.quantity, "price": request.price}
            case CancelRequest():
                op, row = "order.cancel", self.named(exchange, request)
        header = {"X-BAPI-TIMESTAMP": str(exchange.nonce()), "X-BAPI-RECV-WINDOW": str(exchange.options["recvWindow"])}
        return {"reqId": number, "op": op, "header": header, "args": [row]}

    def socket_answer(self, exchange: Any, message: Any) -> tuple[str, Any] | None:
        """`reqId`, with `data`, or the exception of REST."""
        import ccxt

        if not isinstance(message, dict) or "reqId" not in message or not str(message.get("op")).startswith("order."):
            return None
        number = str(message["reqId"])
        if message.get("retCode") == 0:
            return number, message.get("data") or {}
        try:
            with self.meant():
                exchange.handle_errors(200, "", "/v5/order", "POST", {}, exchange.json(message), message, {}, {})
        except ccxt.BaseError as e:
            return number, e
        return number, ccxt.ExchangeError(f"{exchange.id} {exchange.json(message)}")

    def socket_placed(self, exchange: Any, request: OrderRequest, result: Any) -> tuple[OrderEvent, list[FillEvent]]:
        """The answer is the order's id and nothing else."""
        return acknowledged(request, str(result.get("orderId") or "")), []
