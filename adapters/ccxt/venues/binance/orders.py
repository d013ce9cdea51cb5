"""Binance spot: orders over the WebSocket API, amending, and cancelling all.

1. **Amend** is `order/amend/keepPriority`: it takes the quantity down, in place, and nothing else. A price, or more, is a new order
   (`cancelReplace` has a new id and may leave none): not offered. The id stays ours only if it is named as the new one too.
2. **WebSocket API**: the socket of the user data stream takes `order.place`, `order.cancel`, `order.amend.keepPriority`; parameters are
   sorted and signed as by REST; an error carries REST's code and HTTP status.
3. **Cancel all** is by symbol; "-2011 Unknown order" says that there was none. There is no dead-man switch on spot.

Sources: Binance's spot API documentation (REST, WebSocket API, "Order Amend Keep Priority"), ccxt 4.5.90.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from adapters.ccxt.dialect import Amending, AmendRequest, CancelRequest, Offers, OrderRequest


class BinanceOrdering:
    """What `BinanceAccountDialect` offers beyond single orders by REST; ids and `placed` are its."""

    offers: ClassVar[Offers] = Offers(amending=Amending.REDUCE, socket=True, sweep=True)

    async def amend(self, exchange: Any, request: AmendRequest) -> None:
        """`PUT order/amend/keepPriority`; ccxt has no method of its own for it."""
        await exchange.request(
            "order/amend/keepPriority", ["private"], "PUT", self._amend_params(exchange, request), {"cost": 0.8}
        )

    def _amend_params(self, exchange: Any, request: AmendRequest) -> dict[str, Any]:
        sent = self.encode_id(request.client_order_id)
        market_id = exchange.market_id(request.symbol)
        return {
            "symbol": market_id,
            "origClientOrderId": sent,
            "newClientOrderId": sent,
            "newQty": f"{Decimal(request.quantity):f}",
        }

    async def cancel_batch(self, exchange: Any, orders: list[CancelRequest]) -> None:
        """One: there is no request for several."""
        import ccxt

        for order in orders:
            try:
                await exchange.cancel_order(
                    None, order.symbol, {"origClientOrderId": self.encode_id(order.client_order_id)}
                )
            except ccxt.OrderNotFound:
                continue

    async def sweep(self, exchange: Any, symbol: str | None, symbols: tuple[str, ...]) -> None:
        """`DELETE openOrders`, a symbol at a time."""
        import ccxt

        for wanted in (symbol,) if symbol else symbols:
            try:
                await exchange.cancel_all_orders(wanted)
            except ccxt.OrderNotFound:
                continue

    # -- by WebSocket ---------------------------------------------------------------------------------------------------

    def socket_url(self, exchange: Any) -> str:
        """The user data stream's own."""
        return str(exchange.urls["api"]["ws"]["ws-api"]["spot"])

    async def socket_login(self, exchange: Any) -> None:
        """Each request is signed by itself."""

    def order_params(self, request: OrderRequest) -> dict[str, Any]:
        """What ccxt is told of an order, by REST and by socket."""
        params: dict[str, Any] = {"newClientOrderId": self.encode_id(request.client_order_id)}
        if request.kind == "limit":
            params |= {"postOnly": True} if request.post_only else {"timeInForce": request.time_in_force}
        return params

    def socket_frame(self, exchange: Any, number: str, request: OrderRequest | AmendRequest | CancelRequest) -> Any:
        """Rule 2."""
        match request:
            case OrderRequest():
                method = "order.place"
                params = exchange.create_order_request(
                    request.symbol,
                    request.kind,
                    request.side,
                    request.quantity,
                    request.price,
                    self.order_params(request),
                )
            case AmendRequest():
                method, params = "order.amend.keepPriority", self._amend_params(exchange, request)
            case CancelRequest():
                sent = self.encode_id(request.client_order_id)
                params = {"symbol": exchange.market_id(request.symbol), "origClientOrderId": sent}
                method = "order.cancel"
        return {"id": number, "method": method, "params": exchange.sign_params(params)}

    def socket_answer(self, exchange: Any, message: Any) -> tuple[str, Any] | None:
        """`id`, and `result` or `error` with REST's code and status."""
        if not isinstance(message, dict) or "status" not in message or "id" not in message:
            return None
        if "error" not in message:
            return str(message["id"]), message.get("result")
        return str(message["id"]), _error(exchange, int(message["status"]), message["error"])

    def socket_placed(self, exchange: Any, request: OrderRequest, result: Any) -> Any:
        """As REST's answer."""
        return self.placed(exchange, request, result)


def _error(exchange: Any, status: int, error: dict[str, Any]) -> Exception:
    """The exception that REST raises for a status and error."""
    import ccxt

    text = exchange.json(error)
    if status >= 500:
        return ccxt.ExchangeNotAvailable(f"{exchange.id} {status} {text}")
    try:
        exchange.handle_errors(status, "", exchange.urls["api"]["private"], "POST", {}, text, error, {}, {})
    except ccxt.BaseError as e:
        return e
    return ccxt.ExchangeError(f"{exchange.id} {text}")
