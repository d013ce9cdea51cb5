"""A stream whose subscription the venue answered without data: it is lost with the socket like any other."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import Stream
from adapters.ccxt.market import link as under_test
from adapters.ccxt.market.link import MarketLink
from tests.unit.test_ccxt_link_stuck import MARKET, SYMBOL, Dialect


class Answering(Dialect):
    """Subscriptions are answered at once with something that is no event (Kraken's old trades)."""

    def __init__(self) -> None:
        self.subscribed: list[Stream] = []

    async def subscribe(self, exchange: Any, symbol: str, stream: Stream, depth: int) -> None:
        self.subscribed.append(stream)


class Sink:
    def on_markets(self, markets: list[Any]) -> None: ...

    def on_book(self, event: Any) -> None: ...

    def on_trade(self, event: Any) -> None: ...

    def on_quote(self, event: Any) -> None: ...


def test_trades_that_were_silent_before_a_disconnect_are_subscribed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "market_dialect", lambda exchange: Answering())

    async def main() -> None:
        link = MarketLink(ExchangeConfig(venue="KRAKEN", exchange="kraken", symbols=(SYMBOL,)), Sink())
        link.prepare({SYMBOL: MARKET})
        state = link._states[SYMBOL, Stream.TRADES]
        driver = asyncio.create_task(link._drive(state))
        while not state.subscribed:
            await asyncio.sleep(0)
        link._on_down(SimpleNamespace(isConnected=True), "closed by the venue, code 1006")
        while len(link._dialect.subscribed) < 2:
            await asyncio.sleep(0.01)
        assert link._dialect.subscribed == [Stream.TRADES, Stream.TRADES]
        driver.cancel()

    asyncio.run(asyncio.wait_for(main(), 10))


@pytest.mark.parametrize("by_socket", [False, True], ids=["its data", "its socket"])
def test_a_stream_that_is_wrong_again_at_once_is_tried_ever_less_often_unless_its_socket_was_to_blame(
    monkeypatch: pytest.MonkeyPatch, by_socket: bool
) -> None:
    """A tick that became finer, a checksum of another book: without this a venue is asked for a new book five times a second."""
    monkeypatch.setattr(under_test, "market_dialect", lambda exchange: Answering())
    waits: list[int] = []
    monkeypatch.setattr(under_test, "backoff_s", lambda attempt, rng: waits.append(attempt) or 0.0)  # type: ignore[func-returns-value]

    async def main() -> None:
        link = MarketLink(ExchangeConfig(venue="KRAKEN", exchange="kraken", symbols=(SYMBOL,)), Sink())
        link.prepare({SYMBOL: MARKET})
        state = link._states[SYMBOL, Stream.BOOK]
        driver = asyncio.create_task(link._drive(state))
        while len(waits) < 4:
            if state.subscribed and not state.wake.is_set():
                if by_socket:
                    link._on_down(SimpleNamespace(isConnected=True), "closed by the venue, code 1006")
                else:
                    link._lose(state, "checksum: the venue says 1, our book gives 2")
            await asyncio.sleep(0)
        driver.cancel()

    asyncio.run(asyncio.wait_for(main(), 10))
    assert waits[:4] == ([0, 0, 0, 0] if by_socket else [0, 1, 2, 3])
