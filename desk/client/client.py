"""`KerbClient`: the desk's API as typed calls. REST for questions and orders, one WebSocket for everything that
streams.

Prices and quantities go in as `Decimal` or text and come back as text in the structs of `desk.api.messages`; wrap
them in `Decimal` to count. Refusals raise the kinds of `desk.errors`. Requests and accepts carry ids of the client's
own, so that repeating them is safe.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp
import msgspec

from desk.api.desk_messages import DeskState, HaltRequest, RfqBuild, TradingState
from desk.api.frames import RfsLadder
from desk.api.messages import (
    AcceptRequest,
    AmendRequest,
    Capabilities,
    DeskTime,
    Instrument,
    InstrumentPage,
    Order,
    OrderPage,
    OrderRequest,
    Rfq,
    RfqPage,
    RfqRequest,
    Trade,
    TradePage,
)
from desk.client.credentials import Credentials
from desk.client.feed import Feed, Update
from desk.client.rest import Rest
from desk.client.states import DeskStates

Amount = Decimal | str


def _text(amount: Amount) -> str:
    return format(amount, "f") if isinstance(amount, Decimal) else amount


class KerbClient:
    """One client of one desk. Use it as `async with KerbClient(url, key, secret) as desk:`."""

    def __init__(
        self,
        url: str,
        key: str,
        secret: str,
        *,
        scheme: Literal["hmac", "ed25519"] = "hmac",
        codec: Literal["msgpack", "json"] = "msgpack",
        unix_path: str | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self.url = url.rstrip("/")
        self._credentials = Credentials(key, secret, scheme)
        self._codec: Literal["msgpack", "json"] = codec
        self._unix_path = unix_path
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._rest: Rest | None = None
        self._feed: Feed | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.UnixConnector(self._unix_path) if self._unix_path else aiohttp.TCPConnector(limit=32)
        self._session = aiohttp.ClientSession(connector=connector)
        self._rest = Rest(self.url, self._credentials, self._session, self._timeout_s)
        self._feed = Feed(self.url, self._credentials, self._session, codec=self._codec, timeout_s=self._timeout_s)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the feed and the connections."""
        if self._feed is not None:
            await self._feed.stop()
        if self._session is not None:
            await self._session.close()

    @property
    def feed(self) -> Feed:
        """The WebSocket: its `status`, `on_status`, `age_s()`, `subscribe`, `call`."""
        if self._feed is None:
            raise RuntimeError("KerbClient is used outside `async with`")
        return self._feed

    @property
    def rest(self) -> Rest:
        """Signed REST calls, for a route that has no method here."""
        if self._rest is None:
            raise RuntimeError("KerbClient is used outside `async with`")
        return self._rest

    # ---- requests, quotes, trades ----

    async def request_quote(
        self,
        instrument: str,
        side: Literal["buy", "sell", "two_way"],
        quantity: Amount,
        *,
        currency: str | None = None,
        ttl_ms: int | None = None,
        client_rfq_id: str | None = None,
    ) -> Rfq:
        """Ask for a firm price. Without an id of your own one is made; with it, asking again returns the first
        answer.
        """
        body = RfqRequest(
            client_rfq_id=client_rfq_id or uuid.uuid4().hex,
            instrument=instrument,
            side=side,
            quantity=_text(quantity),
            currency=currency,
            ttl_ms=ttl_ms,
        )
        return await self.rest.call("POST", "/v1/rfqs", Rfq, body=body, retry=True)

    async def accept(
        self, quote_id: str, *, client_order_id: str | None = None, quantity: Amount | None = None
    ) -> Trade:
        """Take a quote, exactly once: a lost answer is asked for again under the same `client_order_id`."""
        body = AcceptRequest(
            client_order_id=client_order_id or uuid.uuid4().hex,
            quantity=None if quantity is None else _text(quantity),
        )
        return await self.rest.call("POST", f"/v1/quotes/{quote_id}/accept", Trade, body=body, retry=True)

    async def cancel_rfq(self, rfq_id: str) -> Rfq:
        """Withdraw a request; its quotes are void."""
        return await self.rest.call("DELETE", f"/v1/rfqs/{rfq_id}", Rfq)

    async def rfq(self, rfq_id: str) -> Rfq:
        """One request."""
        return await self.rest.call("GET", f"/v1/rfqs/{rfq_id}", Rfq)

    async def rfqs(
        self,
        *,
        client_rfq_id: str | None = None,
        state: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> RfqPage:
        """Requests, newest first, a page at a time."""
        query = {"client_rfq_id": client_rfq_id, "state": state, "limit": limit, "cursor": cursor}
        return await self.rest.call("GET", "/v1/rfqs", RfqPage, query=query)

    async def trade(self, trade_id: str) -> Trade:
        """One trade."""
        return await self.rest.call("GET", f"/v1/trades/{trade_id}", Trade)

    async def trades(
        self, *, client_order_id: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> TradePage:
        """Trades, newest first, a page at a time. After a lost accept: ask with its `client_order_id`."""
        query = {"client_order_id": client_order_id, "limit": limit, "cursor": cursor}
        return await self.rest.call("GET", "/v1/trades", TradePage, query=query)

    # ---- orders ----

    async def place_order(
        self,
        instrument: str,
        side: Literal["buy", "sell"],
        kind: Literal["market", "limit", "twap", "vwap", "pov", "iceberg", "is"],
        quantity: Amount,
        *,
        client_order_id: str | None = None,
        limit_price: Amount | None = None,
        **terms: Any,
    ) -> Order:
        """Give the desk an order to work. `terms`: `time_in_force`, `duration_ms`, `participation`, … (`OrderRequest`)."""
        body = OrderRequest(
            client_order_id=client_order_id or uuid.uuid4().hex,
            instrument=instrument,
            side=side,
            type=kind,
            quantity=_text(quantity),
            limit_price=None if limit_price is None else _text(limit_price),
            **terms,
        )
        return await self.rest.call("POST", "/v1/orders", Order, body=body, retry=True)

    async def order(self, order_id: str) -> Order:
        """One order."""
        return await self.rest.call("GET", f"/v1/orders/{order_id}", Order)

    async def orders(
        self,
        *,
        client_order_id: str | None = None,
        state: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> OrderPage:
        """Orders, newest first, a page at a time."""
        query = {"client_order_id": client_order_id, "state": state, "limit": limit, "cursor": cursor}
        return await self.rest.call("GET", "/v1/orders", OrderPage, query=query)

    async def cancel_order(self, order_id: str) -> Order:
        """Stop working an order; its state says `cancelled` when nothing of it is open any more."""
        return await self.rest.call("DELETE", f"/v1/orders/{order_id}", Order)

    async def amend_order(
        self,
        order_id: str,
        *,
        quantity: Amount | None = None,
        limit_price: Amount | None = None,
        end_ns: int | None = None,
    ) -> Order:
        """Change quantity, limit or end of a working order; what is not given stays."""
        body = AmendRequest(
            quantity=None if quantity is None else _text(quantity),
            limit_price=None if limit_price is None else _text(limit_price),
            end_ns=end_ns,
        )
        return await self.rest.call("POST", f"/v1/orders/{order_id}/amend", Order, body=body)

    async def pause_order(self, order_id: str) -> Order:
        """Send nothing more for an order until it is resumed."""
        return await self.rest.call("POST", f"/v1/orders/{order_id}/pause", Order)

    async def resume_order(self, order_id: str) -> Order:
        """Go on with a paused order."""
        return await self.rest.call("POST", f"/v1/orders/{order_id}/resume", Order)

    async def instruments(self) -> list[Instrument]:
        """What may be asked for."""
        return (await self.rest.call("GET", "/v1/instruments", InstrumentPage)).items

    async def capabilities(self) -> Capabilities:
        """How each watch channel works at each venue."""
        return await self.rest.call("GET", "/v1/capabilities", Capabilities)

    async def time_ns(self) -> int:
        """The desk's clock."""
        return (await self.rest.call("GET", "/v1/time", DeskTime)).time_ns

    # ---- streams ----

    async def subscribe(self, channel: str, **params: Any) -> AsyncIterator[Update]:
        """Frames of any channel: `async for update in await desk.subscribe("watch_trades", venue=…, symbol=…)`."""
        return await self.feed.subscribe(channel, params)

    async def stream_quotes(self, instrument: str, quantities: list[Amount]) -> AsyncIterator[RfsLadder]:
        """Executable two-way prices for each size; accept a rung by its `quote_id`."""
        params = {"instrument": instrument, "quantities": [_text(quantity) for quantity in quantities]}
        subscription = await self.feed.subscribe("rfs", params)
        try:
            async for update in subscription:
                yield msgspec.convert(update.data, RfsLadder)
        finally:
            await subscription.close()

    # ---- the operator ----

    async def desk_states(self, hz: float = 2.0) -> AsyncIterator[DeskState]:
        """The desk's state, whole, at most `hz` (≤ 10) times a second. Goes on over reconnects: watch `feed.status`."""
        states = DeskStates(self.feed, hz)
        await self.feed.add(states)
        try:
            async for state in states:
                yield state
        finally:
            await states.close()

    async def desk_state(self) -> DeskState:
        """The desk's state once, over REST."""
        return await self.rest.call("GET", "/v1/desk/state", DeskState)

    async def waterfall(self, rfq_id: str) -> RfqBuild:
        """How each price of a request was made, step by step; for operators."""
        return await self.rest.call("GET", f"/v1/desk/rfqs/{rfq_id}/waterfall", RfqBuild)

    async def halt(self, reason: str) -> TradingState:
        """Stop quoting and sending. Cancels and reconciliation go on; the halt survives a restart."""
        body = HaltRequest(confirm="HALT", reason=reason)
        return await self.rest.call("POST", "/v1/desk/halt", TradingState, body=body, retry=True)

    async def resume(self, reason: str) -> TradingState:
        """Trade again."""
        body = HaltRequest(confirm="RESUME", reason=reason)
        return await self.rest.call("POST", "/v1/desk/resume", TradingState, body=body, retry=True)
