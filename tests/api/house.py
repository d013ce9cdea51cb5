"""A served fake desk, its keys and clients, and what the tests of the API ask of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from desk.api.events import Events
from desk.api.server import ApiServer
from desk.clients.store import KeyStore
from desk.market import BookChanged, Market
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from tests.api.fake_desk import EPOCH, SYMBOL, FakeDesk
from tests.api.fake_orders import FakeAccounts, FakeOrders
from tests.api.wire import Socket, Wire

BOOK = {"venue": "BINANCE", "symbol": SYMBOL}


RFQ = {"client_rfq_id": "c-1", "instrument": SYMBOL, "side": "buy", "quantity": "1.5"}


def market() -> Market:
    """One instrument on two venues; BINANCE has a book, KRAKEN none yet."""
    terms = [
        VenueTerms(
            venue=venue,
            taker_fee_bps=Decimal(1),
            tick=Decimal("0.01"),
            lot=Decimal("0.00001"),
            price_decimals=2,
            size_decimals=5,
            max_age_ns=3_600_000_000_000,
        )
        for venue in ("BINANCE", "KRAKEN")
    ]
    return Market([ConsolidatedBook(SYMBOL, Scale(SYMBOL, 2, 5), terms)])


def move_book(market: Market, best_bid: int = 6_000_000, *, venue: str = "BINANCE") -> None:
    """Set three bids and asks around `best_bid` (in cents), and tell the listeners."""
    rows = [
        (side, best_bid + (0 if side > 0 else 100) - side * 10 * i, 50_000 + i) for side in (1, -1) for i in range(3)
    ]
    now = time.time_ns()
    market.books[SYMBOL].apply(venue, np.array(rows, dtype=np.int64), True, now)
    change = BookChanged(symbol=SYMBOL, venue=venue, reason="", ts_event_ns=now, ts_init_ns=now)
    for listener in list(market.on_book):
        listener(change)


class House:
    """A served fake desk with three keys: alice and bob may quote, trade and read; the operator operates."""

    def __init__(self, state: Path, *, epoch: str = EPOCH, clock_ns: Callable[[], int] = time.time_ns, **options: Any):
        self.keys = KeyStore(state, environment={})
        self.events = Events()
        self.desk = FakeDesk(self.events, clock_ns)
        self.orders = FakeOrders(self.events, clock_ns)
        self.market = market()
        self.accounts = FakeAccounts()
        self.server = ApiServer(
            self.desk,
            self.orders,
            self.market,
            self.keys,
            clock_ns=clock_ns,
            epoch=epoch,
            events=self.events,
            accounts=self.accounts,
            **options,
        )
        self.url = ""
        self.unix_path = str(state / "api.sock")
        self.session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> House:
        port = await self.server.start("127.0.0.1", 0, self.unix_path)
        self.url = f"http://127.0.0.1:{port}"
        self.session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.session is not None
        await self.session.close()
        await self.server.stop()

    def wire(self, client_id: str = "alice", scopes: str = "quote,trade,read", **options: Any) -> Wire:
        """A new key and its client."""
        made = self.keys.new(client_id, scopes.split(","), **options)
        assert self.session is not None
        return Wire(self.session, self.url, made.key.key_id, made.secret)

    def operator(self) -> Wire:
        """An operator's client."""
        return self.wire("ops", "operate,read")


def within(tmp_path: Path, body: Callable[[House], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with House(tmp_path, **options) as house:
            await body(house)

    asyncio.run(run())


async def subscribe(socket: Socket, channel: str, **params: Any) -> int:
    answer = await socket.ask({"op": "subscribe", "id": "s", "channel": channel, "params": params})
    assert answer["ok"] and answer["id"] == "s" and answer["channel"] == channel, answer
    return answer["sub"]


async def eventually(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until `condition` holds, or fail."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.005)


def fault_of(answer: Any) -> tuple[str, str]:
    """(kind, code) of an error answer, checked to have the one shape."""
    error = answer["error"]
    assert set(error) == {"code", "kind", "message", "retryable", "details", "request_id"}, error
    return error["kind"], error["code"]
