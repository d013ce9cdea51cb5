"""The first messages of a subscription are lost, or all of them: noticed by what follows, and done about where it was subscribed."""

from __future__ import annotations

import asyncio
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import Stream, StreamStatus
from adapters.ccxt.market import link as under_test
from adapters.ccxt.market.books import KrakenBook
from adapters.ccxt.market.link import AGAIN_MESSAGE_S, HEADLESS_S, MarketLink
from adapters.ccxt.venues.bybit.book import BybitBook
from adapters.ccxt.venues.coinbase.book import CoinbaseBook
from adapters.ccxt.venues.coinbase.dialect import CoinbaseMarketDialect
from adapters.ccxt.venues.krakenfutures.book import KrakenFuturesBook
from adapters.ccxt.venues.okx.book import OkxBook
from tests.unit.test_ccxt_link_late import FUTURES, LEVELS, Coinbase
from tests.unit.test_ccxt_link_stuck import MARKET, SYMBOL, Dialect, Exchange

ROWS = [{"side": "bid", "price_level": "99.90", "new_quantity": "1"}]
CHANGE = {"bids": [["99.90", "1"]], "asks": [], "ts": "1", "seqId": 9, "prevSeqId": 8}
CHANGES = {
    "bybit": (BybitBook(MARKET, 50), lambda book: book.message({"type": "delta", "ts": 1, "data": {"u": 5, **LEVELS}})),
    "coinbase": (CoinbaseBook(MARKET, 50), lambda book: book.message({"type": "update", "updates": ROWS}, 1)),
    "kraken": (KrakenBook(MARKET, 25), lambda book: book.message("update", {"bids": [], "asks": [], "checksum": 1}, 1)),
    "krakenfutures": (KrakenFuturesBook(MARKET, 50), lambda book: book.message({**FUTURES, "seq": 4})),
    "okx": (OkxBook(MARKET), lambda book: book.message("update", CHANGE)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_a_book_that_has_not_begun_is_known_for_one(name: str) -> None:
    book, change = CHANGES[name]
    assert not book.headless
    assert change(book) is None
    assert book.headless
    book.break_("for another reason")
    assert not book.headless


def test_a_book_whose_snapshot_was_lost_is_subscribed_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waited three seconds for a snapshot that the venue believed it had sent, while changes came."""
    clock = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(under_test, "monotonic", lambda: clock.now)
    monkeypatch.setattr(under_test, "market_dialect", lambda exchange: Coinbase())
    sink = SimpleNamespace(on_book=lambda event: None, on_quote=lambda quote: None)
    link = MarketLink(ExchangeConfig(venue="COINBASE", exchange="coinbase", symbols=(SYMBOL,)), sink)  # type: ignore[arg-type]
    link.prepare({SYMBOL: MARKET})
    state = link._states[SYMBOL, Stream.BOOK]
    state.proven = True
    for _ in range(2):  # heartbeats prove nothing
        clock.now += HEADLESS_S
        link._on_message(None, None)
        link._check(state, clock.now)
    assert not state.wake.is_set()
    began = clock.now
    while not state.wake.is_set() and clock.now < began + AGAIN_MESSAGE_S:
        link._on_message(None, ({"type": "update", "updates": ROWS}, 1))
        link._check(state, clock.now)
        clock.now += 0.1
    assert clock.now - began < 2 * HEADLESS_S
    assert link.status(SYMBOL) is StreamStatus.DOWN
    assert "no snapshot" in state.reason


class Connections:
    """A ccxt instance whose connections are objects; subscribing does nothing."""

    def __init__(self) -> None:
        self.urls = {"api": {"ws": "ws://x"}}
        self.connection = object()

    def client(self, url: str) -> Any:
        return self.connection

    def market(self, symbol: str) -> dict[str, Any]:
        return {"id": "BTC-USDT", "info": {}}

    def watch(self, *args: Any) -> Any:
        return SimpleNamespace(add_done_callback=lambda done: None)

    def watch_order_book(self, symbol: str) -> None: ...


def test_a_connection_whose_first_message_is_lost_is_read_all_the_same() -> None:
    """Its numbers were held against those of the connection before: all of them repetitions, until they had passed the last."""
    dialect, exchange = CoinbaseMarketDialect(), Connections()
    message = {"channel": "l2_data", "timestamp": "2026-01-01T00:00:00Z", "events": [{"product_id": "BTC-USDT"}]}
    dialect.subscribe(exchange, SYMBOL, Stream.BOOK, 50)
    assert all(dialect.split({**message, "sequence_num": number}) for number in (0, 1))
    assert not dialect.split({**message, "sequence_num": 1})
    assert len(dialect.split({**message, "sequence_num": 90_000})) == 2  # what was lost, and it
    dialect.subscribe(exchange, SYMBOL, Stream.BOOK, 50)  # again on the same connection
    assert not dialect.split({**message, "sequence_num": 89_999})
    exchange.connection = object()
    dialect.subscribe(exchange, SYMBOL, Stream.BOOK, 50)
    assert dialect.split({**message, "sequence_num": 3})
    assert not dialect.split({**message, "sequence_num": 3})


class Mute:
    """A ccxt client whose socket is open and dead."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ended = False

    def handle_text_or_binary_message(self, data: Any) -> None: ...

    def closed(self) -> bool:
        return self.ended

    async def close(self) -> None:
        self.ended = True


class Dialled(Exchange):
    """Makes one client a URL, as ccxt does."""

    def client(self, url: str) -> Any:
        return self.clients.setdefault(url, Mute(url))


class Unanswered(Dialect):
    """Subscribing goes out, and nothing ever comes."""

    def create(self, config: ExchangeConfig) -> Exchange:
        return Dialled()

    async def subscribe(self, exchange: Any, symbol: str, stream: Stream, depth: int) -> None:
        exchange.client("ws://x")
        await asyncio.Event().wait()


def test_a_socket_that_was_dead_before_a_stream_brought_anything_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knew where it had been subscribed: it was asked for again and again on the dead socket, which ccxt took for subscribed."""
    monkeypatch.setattr(under_test, "market_dialect", lambda exchange: Unanswered())
    monkeypatch.setattr(under_test, "FIRST_MESSAGE_S", 0.01)
    monkeypatch.setattr(under_test, "WATCHDOG_S", 0.01)

    async def main() -> None:
        sink = SimpleNamespace(on_book=lambda event: None, on_quote=lambda quote: None)
        config = ExchangeConfig(venue="BINANCE", exchange="binance", symbols=(SYMBOL,), max_age_ms=10, audit_s=0)
        link = MarketLink(config, sink)  # type: ignore[arg-type]
        link.prepare({SYMBOL: MARKET})
        clients, state = link._exchange.clients, link._states[SYMBOL, Stream.BOOK]
        drive = asyncio.create_task(link._drive(state))
        try:
            async with asyncio.timeout(10):
                while not clients:
                    await asyncio.sleep(0)
                dead = clients["ws://x"]
                while clients.get("ws://x") in (dead, None):
                    link._check(state, monotonic())
                    await asyncio.sleep(0.005)
                assert dead.ended
        finally:
            drive.cancel()
            await asyncio.gather(drive, return_exceptions=True)

    asyncio.run(main())
