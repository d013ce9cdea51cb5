"""OKX spot: orders over the private WebSocket, amending, cancelling in batches, and the dead-man switch.

1. **Amend** (`trade/amend-order`, op `amend-order`) changes price and size in place; `newSz` is the whole order's size, what has filled
   included. The answer only says that it was taken: the order says whether it is in force.
2. **WebSocket**: the logged-in private socket takes `order`, `amend-order`, `cancel-order`, one row each; the answer has REST's `sCode`.
   An instrument is named by `instIdCode` where the listing has one, else by `instId`.
3. **Dead-man switch**: `trade/cancel-all-after` counts down by 10 to 120 s, 0 takes it off; what it cancels has `cancelSource` 20.
4. **Cancel all** exists for options only: pending orders are listed and cancelled in batches of 20.

Sources: OKX's API v5 documentation, ccxt 4.5.90 (`instIdCode`, codes).
"""

from __future__ import annotations

from typing import Any, ClassVar

from adapters.ccxt.dialect import Amending, AmendRequest, CancelRequest, Offers, OrderRequest, Switch, acknowledged
from adapters.ccxt.events import FillEvent, OrderEvent

_BATCH = 20
_PAGE = 100


class OkxOrdering:
    """What `OkxAccountDialect` offers beyond single orders by REST; ids are its."""

    offers: ClassVar[Offers] = Offers(
        amending=Amending.FULL,
        socket=True,
        cancel_batch=_BATCH,
        sweep=True,
        switch=Switch.TIMER,
        switch_s=(10, 120),
    )

    def order_params(self, request: OrderRequest) -> dict[str, Any]:
        """What ccxt is told of an order, by REST and by socket."""
        params: dict[str, Any] = {"clOrdId": self.encode_id(request.client_order_id)}
        if request.kind == "limit":
            params |= {"postOnly": True} if request.post_only else {"timeInForce": request.time_in_force}
        return params

    def _amended(self, request: AmendRequest) -> dict[str, Any]:
        sent = self.encode_id(request.client_order_id)
        return {"clOrdId": sent, "newSz": request.quantity, "newPx": request.price}

    async def amend(self, exchange: Any, request: AmendRequest) -> None:
        """`trade/amend-order` by `clOrdId`."""
        named = {"instId": exchange.market_id(request.symbol)}
        await exchange.private_post_trade_amend_order(named | self._amended(request))

    async def cancel_batch(self, exchange: Any, orders: list[CancelRequest]) -> None:
        """`trade/cancel-batch-orders`; each row is answered in its place."""
        rows = [
            {"instId": exchange.market_id(order.symbol), "clOrdId": self.encode_id(order.client_order_id)}
            for order in orders
        ]
        await _cancelled(exchange, rows)

    async def sweep(self, exchange: Any, symbol: str | None, symbols: tuple[str, ...]) -> None:
        """Rule 4."""
        query = {"instType": "SPOT"} | ({"instId": exchange.market_id(symbol)} if symbol else {})
        while True:
            rows = (await exchange.private_get_trade_orders_pending({**query, "limit": str(_PAGE)}))["data"]
            named = [{"instId": row["instId"], "ordId": row["ordId"]} for row in rows]
            for at in range(0, len(named), _BATCH):
                await _cancelled(exchange, named[at : at + _BATCH])
            if len(rows) < _PAGE:
                return

    async def set_switch(self, exchange: Any, seconds: int) -> None:
        """`trade/cancel-all-after`."""
        await exchange.private_post_trade_cancel_all_after({"timeOut": str(seconds)})

    # -- by WebSocket ---------------------------------------------------------------------------------------------------

    def socket_url(self, exchange: Any) -> str:
        """The private stream's own."""
        return str(exchange.get_url("orders", "private"))

    async def socket_login(self, exchange: Any) -> None:
        """The private stream is logged in."""

    def socket_frame(self, exchange: Any, number: str, request: OrderRequest | AmendRequest | CancelRequest) -> Any:
        """Rule 2."""
        match request:
            case OrderRequest():
                op = "order"
                row = exchange.create_order_request(
                    request.symbol,
                    request.kind,
                    request.side,
                    request.quantity,
                    request.price,
                    self.order_params(request),
                )
                row.pop("instId", None)
            case AmendRequest():
                op, row = "amend-order", self._amended(request)
            case CancelRequest():
                op, row = "cancel-order", {"clOrdId": self.encode_id(request.client_order_id)}
        return {"id": number, "op": op, "args": [_instrument(exchange, request.symbol) | row]}

    def socket_answer(self, exchange: Any, message: Any) -> tuple[str, Any] | None:
        """`id`, with a row whose `sCode` is 0, or the exception of REST."""
        import ccxt

        if not isinstance(message, dict) or "id" not in message or "op" not in message:
            return None
        number = str(message["id"])
        if message.get("code") == "0" and message.get("data"):
            return number, message["data"][0]
        try:
            exchange.handle_errors(200, "", "", "POST", {}, exchange.json(message), message, {}, {})
        except ccxt.BaseError as e:
            return number, e
        return number, ccxt.ExchangeError(f"{exchange.id} {exchange.json(message)}")

    def socket_placed(self, exchange: Any, request: OrderRequest, result: Any) -> tuple[OrderEvent, list[FillEvent]]:
        """The answer is the order's id and nothing else."""
        return acknowledged(request, str(result.get("ordId") or "")), []


def _instrument(exchange: Any, symbol: str) -> dict[str, Any]:
    """How the socket names a market."""
    market = exchange.market(symbol)
    code = (market.get("info") or {}).get("instIdCode")
    return {"instId": market["id"]} if code in (None, "") else {"instIdCode": int(code)}


async def _cancelled(exchange: Any, rows: list[dict[str, Any]]) -> None:
    """Cancel a batch; rows that are gone already are no failure, another refusal of one is."""
    import ccxt

    if not rows:
        return
    try:
        await exchange.private_post_trade_cancel_batch_orders(rows)
    except ccxt.OrderNotFound:
        return
