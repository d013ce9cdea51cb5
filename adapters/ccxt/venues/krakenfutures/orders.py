"""Kraken Futures: the terms of an order, editing, cancelling many and all, the dead-man switch, and what the venue's answers mean.

1. **Types**: `lmt`, `post`, `ioc`, `fok`, and `mkt`, which is an IOC with a limit one per cent beyond the best price. ccxt makes of an
   IOC in capitals a resting order and knows no FOK, so the terms are our own.
2. **Refusals** come with HTTP 200 in `sendStatus.status`: anything but `placed` says that there is no order. That holds for an IOC with
   nothing to take (`iocWouldNotExecute`) and a post-only order that would take (`postWouldExecute`).
3. **Errors** are `result: error` with a code. `Server Error`, `unknownError` and `Unavailable` prove nothing of the order.
4. **Edit** (`editorder`) changes price and size in place, under both ids. Its size means the open part unless `qtyMode` is `ABSOLUTE`.
5. **Cancelling** is by `cliOrdId`, by tens in `batchorder`; `cancelallorders` takes a product or none.
6. **Dead-man switch**: `cancelallordersafter` counts down by seconds, 0 takes it off; each setting costs 25 of 500 in ten seconds.

Sources: the venue's documentation, ccxt 4.5.90.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any, ClassVar

from adapters.ccxt.dialect import Amending, AmendRequest, CancelRequest, Offers, OrderRequest, Switch
from adapters.ccxt.symbols import ClientIdError

_BATCH = 10
_GONE = ("notFound", "filled")
_UNKNOWN = ("Server Error", "unknownError", "Unavailable")
_TYPES = {"GTC": "lmt", "IOC": "ioc", "FOK": "fok"}
_PLAIN_100 = re.compile(r"[.A-Z:/a-z0-9_-]{1,100}")


class KrakenFuturesOrdering:
    """What `KrakenFuturesAccountDialect` offers beyond single orders; ids are its."""

    offers: ClassVar[Offers] = Offers(
        reduce_only=True,
        amending=Amending.FULL,
        cancel_batch=_BATCH,
        sweep=True,
        switch=Switch.TIMER,
        switch_s=(5, 86_400),
    )

    def encode_id(self, client_order_id: str) -> str:
        """As it is: the venue takes 100 characters, ours are those that need no escaping."""
        if not _PLAIN_100.fullmatch(client_order_id):
            raise ClientIdError(f"client order id {client_order_id!r} is not 1-100 of . A-Z : / a-z 0-9 _ -")
        return client_order_id

    def decode_id(self, sent: str) -> str:
        """As it is."""
        return sent

    def terms(self, product: str, request: OrderRequest) -> dict[str, Any]:
        """The body of `sendorder`."""
        terms: dict[str, Any] = {
            "cliOrdId": self.encode_id(request.client_order_id),
            "symbol": product,
            "side": request.side,
            "size": request.quantity,
        }
        if request.kind == "market":
            terms["orderType"] = "mkt"
        else:
            kind = "post" if request.post_only else _TYPES[request.time_in_force]
            terms |= {"orderType": kind, "limitPrice": request.price}
        return terms | ({"reduceOnly": "true"} if request.reduce_only else {})

    async def cancel(self, exchange: Any, client_order_id: str, symbol: str) -> None:
        """`cancelorder`; raises `OrderNotFound` for what has ended."""
        import ccxt

        with meant():
            answer = await exchange.private_post_cancelorder({"cliOrdId": self.encode_id(client_order_id)})
        status = answer["cancelStatus"]["status"]
        if status in _GONE:
            raise ccxt.OrderNotFound(f"krakenfutures: {client_order_id} is not cancelled: {status}")
        if status != "cancelled":
            raise ccxt.ExchangeError(f"krakenfutures: {client_order_id} is not cancelled: {status}")

    async def amend(self, exchange: Any, request: AmendRequest) -> None:
        """Rule 4."""
        terms = {
            "cliOrdId": self.encode_id(request.client_order_id),
            "size": request.quantity,
            "limitPrice": request.price,
            "qtyMode": "ABSOLUTE",
        }
        with meant():
            answer = await exchange.private_post_editorder(terms)
        refuse(exchange, answer["editStatus"]["status"], "edited")

    async def cancel_batch(self, exchange: Any, orders: list[CancelRequest]) -> None:
        """Rule 5; those that are gone already are no failure."""
        import ccxt

        rows = [{"order": "cancel", "cliOrdId": self.encode_id(order.client_order_id)} for order in orders]
        with meant():
            answer = await exchange.private_post_batchorder({"batchOrder": rows})
        kept = {row["status"] for row in answer["batchStatus"]} - {"cancelled", *_GONE}
        if kept:
            raise ccxt.OperationFailed(f"krakenfutures: not all cancelled: {', '.join(sorted(kept))}")

    async def sweep(self, exchange: Any, symbol: str | None, symbols: tuple[str, ...]) -> None:
        """`cancelallorders`, of one product or all."""
        with meant():
            await exchange.private_post_cancelallorders({"symbol": exchange.market_id(symbol)} if symbol else {})

    async def set_switch(self, exchange: Any, seconds: int) -> None:
        """Rule 6."""
        await exchange.private_post_cancelallordersafter({"timeout": seconds})


def refuse(exchange: Any, status: str, good: str) -> None:
    """Raise for any other status than the good one: by ccxt's class for it, or as a plain refusal."""
    import ccxt

    if status == good:
        return
    try:
        exchange.verify_order_action_success(status, "order")
    except ccxt.ExchangeNotAvailable as error:  # a market that is closed: the venue itself is there, and has said no
        raise ccxt.OperationRejected(str(error)) from error
    raise ccxt.ExchangeError(f"krakenfutures: refused: {status}")


@contextlib.contextmanager
def meant() -> Iterator[None]:
    """Rule 3, where ccxt's class for an error would call it a refusal."""
    import ccxt

    try:
        yield
    except ccxt.ExchangeError as error:
        if any(f'"{code}"' in str(error) for code in _UNKNOWN):
            raise ccxt.OperationFailed(str(error)) from error
        raise
