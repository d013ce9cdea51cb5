"""Coinbase Advanced Trade: the terms of an order, editing and cancelling many, and what the venue's words of an error say of an order.

1. **Terms** stand under the name of their kind: `sor_limit_ioc`, `limit_limit_fok`, `limit_limit_gtc`, `limit_limit_gtd`,
   `market_market_ioc`.
2. **Market buys** are by value only: refused here (a limit IOC through the book does the same, and by quantity).
3. **Editing** (`orders/edit`) changes price and size of a resting GTC limit order in place, under its ids; the size is the whole
   order's.
4. **Cancelling** is by the venue's ids, up to a hundred at once; each answer says why not (`failure_reason`). There is no cancel-all:
   open orders are listed and cancelled in batches.
5. **Errors** are the gateway's (`error`), an order's (`error_response`) or an edit's (`errors`); one that names no reason proves
   nothing.

Sources: the venue's documentation (create, edit, batch cancel, list orders, their enums), ccxt 4.5.90.
"""

from __future__ import annotations

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

from adapters.ccxt.account.outcomes import NotSent
from adapters.ccxt.dialect import Amending, AmendRequest, CancelRequest, Offers, OrderRequest

_BATCH = 100
_UNKNOWN = ("INTERNAL", "UNKNOWN", "UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "internal_server_error")
GONE = ("UNKNOWN_CANCEL_ORDER", "ORDER_IS_FULLY_FILLED", "DUPLICATE_CANCEL_REQUEST")


class CoinbaseOrdering(ABC):
    """What `CoinbaseAccountDialect` offers beyond single orders; ids are its."""

    offers: ClassVar[Offers] = Offers(gtd=True, amending=Amending.FULL, cancel_batch=_BATCH, sweep=True)

    async def amend(self, exchange: Any, request: AmendRequest) -> None:
        """`orders/edit` by the venue's id."""
        import ccxt

        body = {"order_id": request.venue_order_id, "price": request.price, "size": request.quantity}
        with meant():
            answer = await exchange.v3_private_post_brokerage_orders_edit(body)
        if answer.get("success"):
            return
        reasons = [str(reason) for error in answer.get("errors") or [] for reason in error.values()]
        reason = next((said for said in reasons if not said.startswith("UNKNOWN_")), "")
        if reason == "ORDER_NOT_FOUND":
            raise ccxt.OrderNotFound("coinbase: not edited: there is no such open order")
        raise (ccxt.ExchangeError if reason else ccxt.OperationFailed)(f"coinbase: not edited: {reason or answer}")

    async def cancel_batch(self, exchange: Any, orders: list[CancelRequest]) -> None:
        """`batch_cancel` of those whose ids the venue has told, the others one by one."""
        import ccxt

        ids = [order_id for order in orders if (order_id := self.venue_id(order.client_order_id))]
        if ids:
            await _cancel(exchange, ids)
        for order in orders:
            if not self.venue_id(order.client_order_id):
                with contextlib.suppress(ccxt.OrderNotFound):
                    await self.cancel(exchange, order.client_order_id, order.symbol)

    async def sweep(self, exchange: Any, symbol: str | None, symbols: tuple[str, ...]) -> None:
        """Every open order, listed and cancelled in batches."""
        orders = await self.open_orders(exchange, symbols if symbol is None else (symbol,))
        ids = [order.venue_order_id for order in orders]
        for at in range(0, len(ids), _BATCH):
            await _cancel(exchange, ids[at : at + _BATCH])

    @abstractmethod
    def venue_id(self, client_order_id: str) -> str:
        """The venue's id of an order of ours, "" while it is not known."""

    @abstractmethod
    async def cancel(self, exchange: Any, client_order_id: str, symbol: str) -> None:
        """Cancel one."""

    @abstractmethod
    async def open_orders(self, exchange: Any, symbols: tuple[str, ...]) -> list[Any]:
        """Open orders."""


async def _cancel(exchange: Any, ids: list[str]) -> None:
    """Those that are gone already are no failure; raises what the venue says of another one."""
    import ccxt

    with meant():
        answer = await exchange.v3_private_post_brokerage_orders_batch_cancel({"order_ids": ids})
    kept = {row["failure_reason"] for row in answer["results"] if not row["success"]} - set(GONE)
    if kept:
        raise ccxt.ExchangeError(f"coinbase: not all cancelled: {', '.join(sorted(kept))}")


def configuration(request: OrderRequest) -> dict[str, dict[str, Any]]:
    """`order_configuration`: the terms, under the name of their kind."""
    if request.kind == "market":
        if request.side == "buy":
            raise NotSent("coinbase takes market buys by value only: send a limit IOC")
        return {"market_market_ioc": {"base_size": request.quantity}}
    terms: dict[str, Any] = {"base_size": request.quantity, "limit_price": request.price}
    match request.time_in_force:
        case "IOC":
            return {"sor_limit_ioc": terms}
        case "FOK":
            return {"limit_limit_fok": terms}
        case "GTD":
            return {
                "limit_limit_gtd": {**terms, "end_time": _moment(request.expires_ns), "post_only": request.post_only}
            }
    return {"limit_limit_gtc": {**terms, "post_only": request.post_only}}


@contextlib.contextmanager
def meant() -> Iterator[None]:
    """What the venue's words of an error say of the order, where ccxt's class for them says another thing."""
    import ccxt

    try:
        yield
    except ccxt.ExchangeError as error:
        said = _said(str(error))
        if "was not found" in str(error) or said == "NOT_FOUND":
            raise ccxt.OrderNotFound(str(error)) from error
        if said in _UNKNOWN:
            raise ccxt.OperationFailed(str(error)) from error
        raise


def _said(text: str) -> str:
    """The code in an error's body: of the gateway, or the reason why an order failed. A failure without any reason proves nothing."""
    try:
        body = json.loads(text[text.index("{") :])
    except ValueError:
        return ""
    if not isinstance(body, dict):
        return ""
    response = body.get("error_response")
    if not isinstance(response, dict):
        return str(body.get("error", "")) or str((body.get("errors") or [{}])[0].get("id", ""))
    names = ("error", "new_order_failure_reason", "preview_failure_reason")
    reasons = [str(response.get(name) or "") for name in names]
    return next((said for said in reasons if said and not said.startswith("UNKNOWN_")), "UNKNOWN")


def _moment(ts_ns: int) -> str:
    return (
        f"{datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%S}.{ts_ns % 1_000_000_000 // 1_000:06d}Z"
    )
