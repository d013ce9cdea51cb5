"""How orders, amendments and cancels leave: by REST, or over the private socket where the venue has one and it is wanted.

Only this module sends them. A request goes once, over one way: when the socket is not up it goes by REST (nothing has left yet), and what
a lost socket leaves open is never tried again the other way.
"""

from __future__ import annotations

import logging
from typing import Any

from adapters.ccxt.account.requests import SocketRequests
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import AmendRequest, CancelRequest, Offers, OrderRequest, offers_of
from adapters.ccxt.events import FillEvent, OrderEvent
from adapters.ccxt.limits.bucket import TokenBucket
from adapters.ccxt.limits.purse import Purse

log = logging.getLogger(__name__)

CANCEL_WAIT_S = 30.0  # a cancel of many waits for its turn rather than fail


class OrderCommands:
    """The commands of one account. What ccxt or `NotSent` raises is for the caller to classify."""

    def __init__(self, config: ExchangeConfig, dialect: Any, purse: Purse | None) -> None:
        self.offers: Offers = offers_of(dialect)
        self.by_socket = config.orders_by == "ws" and self.offers.socket
        self._dialect = dialect
        self._purse = purse
        self._requests = SocketRequests(config.order_timeout_ms / 1000)
        self._client: Any = None

    async def connect(self, exchange: Any) -> None:
        """Open the socket for orders, where it is wanted; the private stream is up already."""
        if self.by_socket:
            await self._dialect.socket_login(exchange)
            self._client = (exchange.clients or {}).get(self._dialect.socket_url(exchange))

    def read(self, exchange: Any, message: Any) -> bool:
        """Whether a message of the venue answers a request of ours."""
        said = self._dialect.socket_answer(exchange, message) if self.by_socket else None
        return said is not None and self._requests.answered(*said)

    def lost(self, client: Any, reason: str) -> None:
        """A socket of the account is gone."""
        self._requests.lost(client, reason)
        if client is self._client:
            self._client = None

    @property
    def way(self) -> str:
        """How a request would leave now: "ws" or "rest"."""
        return "ws" if self._client is not None and not self._client.closed() else "rest"

    def refusal(self, request: OrderRequest) -> str:
        """Why an order cannot be sent at this venue at all, "" when it can."""
        if request.time_in_force == "GTD" and not self.offers.gtd:
            return "the venue has no orders good till a date"
        if request.reduce_only and not self.offers.reduce_only:
            return "the venue has no reduce-only orders on this market"
        return ""

    async def place(self, exchange: Any, request: OrderRequest) -> tuple[OrderEvent, list[FillEvent]]:
        """Send an order once."""
        if self.way == "rest":
            return await self._dialect.place(exchange, request)
        result = await self._ask(exchange, request)
        return self._dialect.socket_placed(exchange, request, result)

    async def amend(self, exchange: Any, request: AmendRequest) -> None:
        """Ask for new terms once."""
        if self.way == "rest":
            await self._dialect.amend(exchange, request)
        else:
            await self._ask(exchange, request)

    async def cancel(self, exchange: Any, client_order_id: str, symbol: str) -> None:
        """Ask for a cancel once."""
        if self.way == "rest":
            await self._dialect.cancel(exchange, client_order_id, symbol)
        else:
            await self._ask(exchange, CancelRequest(client_order_id=client_order_id, symbol=symbol))

    async def cancel_many(self, exchange: Any, orders: list[CancelRequest], bucket: TokenBucket) -> None:
        """Ask for the cancel of many orders, in batches where the venue has them; one that is refused does not keep the others."""
        size = max(1, self.offers.cancel_batch)
        for symbol in dict.fromkeys(order.symbol for order in orders):
            mine = [order for order in orders if order.symbol == symbol]
            for batch in (mine[at : at + size] for at in range(0, len(mine), size)):
                try:
                    await bucket.take(CANCEL_WAIT_S)
                    if len(batch) > 1:
                        await self._dialect.cancel_batch(exchange, batch)
                    else:
                        await self.cancel(exchange, batch[0].client_order_id, symbol)
                except Exception as e:
                    log.warning("%s: cancelling %d orders of %s: %s", exchange.id, len(batch), symbol, e)

    async def _ask(self, exchange: Any, request: OrderRequest | AmendRequest | CancelRequest) -> Any:
        if self._purse is None:
            return await self._send(exchange, request)
        async with self._purse.socket(request, self._dialect.encode_id(request.client_order_id)):
            try:
                return await self._send(exchange, request)
            except Exception as e:
                self._purse.refused(e)
                raise

    async def _send(self, exchange: Any, request: OrderRequest | AmendRequest | CancelRequest) -> Any:
        number = self._requests.number()
        frame = self._dialect.socket_frame(exchange, number, request)  # signed now: it may have waited
        return await self._requests.ask(self._client, number, frame)
