"""Binance USD-M: amending, cancelling in batches and all, and the dead-man switch.

1. **Amend** (`PUT order`) changes price and quantity in place, under the order's ids; both are always sent. An order whose new quantity
   is no more than has filled is cancelled, and so is a post-only one that would take at its new price.
2. **Cancel in batches** takes ten client order ids of one symbol; each is answered in its place. **Cancel all** is by symbol.
3. **Dead-man switch**: `countdownCancelAll` is a timer of each symbol, so it is set for every one of ours; 0 takes it off. It cancels what
   others have open on these symbols as well.

Orders by the WebSocket API and GTD (at least ten minutes, whole seconds) are not offered through us.
Sources: Binance's USDⓈ-M futures documentation ("Modify Order", "Cancel Multiple Orders", "Auto-Cancel All Open Orders"), ccxt 4.5.90.
"""

from __future__ import annotations

from typing import Any, ClassVar

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import Amending, AmendRequest, CancelRequest, Offers, OrderRequest, Switch

_BATCH = 10
_GONE = -2011  # "Unknown order sent.": it has ended already


class BinanceUsdmOrdering:
    """What `BinanceUsdmAccountDialect` offers beyond single orders by REST; ids are its. `symbols`: those the switch is set for."""

    offers: ClassVar[Offers] = Offers(
        reduce_only=True,
        amending=Amending.FULL,
        cancel_batch=_BATCH,
        sweep=True,
        switch=Switch.TIMER,
        switch_s=(5, 600),
    )
    symbols: tuple[str, ...] = ()

    def order_params(self, request: OrderRequest) -> dict[str, Any]:
        """What ccxt is told of an order."""
        params: dict[str, Any] = {"newClientOrderId": self.encode_id(request.client_order_id)}
        if request.kind == "limit":
            params |= {"postOnly": True} if request.post_only else {"timeInForce": request.time_in_force}
        if request.reduce_only:
            params["reduceOnly"] = "true"
        return params

    async def amend(self, exchange: Any, request: AmendRequest) -> None:
        """Rule 1."""
        terms = {
            "symbol": exchange.market_id(request.symbol),
            "side": request.side.upper(),
            "origClientOrderId": self.encode_id(request.client_order_id),
            "quantity": request.quantity,
            "price": request.price,
        }
        await exchange.fapiPrivatePutOrder(terms)

    async def cancel_batch(self, exchange: Any, orders: list[CancelRequest]) -> None:
        """Rule 2."""
        import ccxt

        sent = [self.encode_id(order.client_order_id) for order in orders]
        query = {"symbol": exchange.market_id(orders[0].symbol), "origClientOrderIdList": sent}
        for row in await exchange.fapiPrivateDeleteBatchOrders(query):
            code = int(row.get("code", 0))
            if code and code not in (200, _GONE):
                raise ccxt.OperationFailed(f"{exchange.id} {exchange.json(row)}")

    async def sweep(self, exchange: Any, symbol: str | None, symbols: tuple[str, ...]) -> None:
        """`DELETE allOpenOrders`, a symbol at a time."""
        for wanted in (symbol,) if symbol else symbols:
            await exchange.fapiPrivateDeleteAllOpenOrders({"symbol": exchange.market_id(wanted)})

    async def set_switch(self, exchange: Any, seconds: int) -> None:
        """Rule 3."""
        for symbol in self.symbols:
            timer = {"symbol": exchange.market_id(symbol), "countdownTime": seconds * 1_000}
            await exchange.fapiPrivatePostCountdownCancelAll(timer)

    def remember(self, config: ExchangeConfig) -> None:
        """Which symbols are ours."""
        self.symbols = config.symbols
