"""What does a market-data message cost, from the text of its frame to what the link says? Beside unmodified ccxt.pro on the same frames.

ccxt parses, keeps its own book and caches, and resolves whoever waits for the stream (here nobody does, which spares it a wake-up). Ours
keeps its book, checks it against the best prices, and tells a sink that does nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from time import perf_counter_ns
from typing import Any

import orjson

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.market.link import MarketLink
from adapters.ccxt.symbols import Market
from benchmarks.frames import begun, events, market_of, recorded, serving, topics_of
from benchmarks.row import Row, at, rows
from benchmarks.targets import CCXT
from sim.instruments import BINANCE, BYBIT, COINBASE, KRAKEN, KRAKENFUTURES, OKX

SYMBOL = "BTC/USDT"
FRAMES = 12_000
BLOCK = 200
VENUES = {
    BINANCE: "ws://recorded/stream/ws/0",
    OKX: "ws://recorded/ws/v5/public",
    BYBIT: "ws://recorded/v5/public/spot",
    KRAKEN: "ws://recorded/v2",
    COINBASE: "ws://recorded/",
    KRAKENFUTURES: "ws://recorded/ws/v1",
}


class Silent:
    """A sink."""

    def on_markets(self, markets: list[Market]) -> None:
        """Nothing."""

    on_book = on_trade = on_quote = on_funding = on_liquidation = on_markets  # type: ignore[assignment]


def _knows(exchange: Any, market: Market) -> None:
    """Make a ccxt instance list the market without asking the venue."""
    names = {"id": market.market_id, "symbol": market.symbol, "base": market.base, "quote": market.quote}
    swap = market.contract is not None
    kind = {"type": "swap" if swap else "spot", "spot": not swap, "swap": swap, "contract": swap, "option": False}
    exchange.set_markets([names | kind | {"linear": True if swap else None, "inverse": None}])


def _ours(venue: str, url: str, market: Market, first: str) -> tuple[Any, Any]:
    """A link with a whole book and its hooked ccxt client."""
    config = ExchangeConfig(venue=venue, exchange=venue.lower(), symbols=(market.symbol,), depth=500)
    link = MarketLink(config, Silent())  # type: ignore[arg-type]
    link.prepare({market.symbol: market})
    exchange = link._exchange
    _knows(exchange, market)
    client = exchange.client(url)
    for state in link._states.values():
        state.subscribed = True
    if venue == COINBASE:
        link._dialect._learn(exchange.market(market.symbol))  # type: ignore[attr-defined]
    if venue == BINANCE:
        exchange.parse_order_book(orjson.loads(first), market.symbol)
    else:
        client.handle_text_or_binary_message(first)
    return link, client


def _raw(venue: str, url: str, market: Market, first: str) -> tuple[Any, Any]:
    """An instance of ccxt.pro as it comes, its book begun, and its client."""
    import ccxt.pro

    exchange = getattr(ccxt.pro, venue.lower())()
    _knows(exchange, market)
    client = exchange.client(url)
    if venue == OKX:
        topics = (f"books:{market.symbol}", f"trades:{market.symbol}", f"bidask::{market.symbol}")
        client.subscriptions = dict.fromkeys(topics, True)
    if venue == BINANCE:
        raw = orjson.loads(first)
        snapshot = exchange.parse_order_book(raw, market.symbol) | {"nonce": raw["lastUpdateId"]}  # as its fetch does
        exchange.orderbooks[market.symbol] = exchange.order_book(snapshot, 1000)
    else:
        client.handle_text_or_binary_message(first)
    return exchange, client


def frames(venue: str, count: int) -> tuple[Market, str, list[tuple[str, str]]]:
    """The market, what a client begins with, and frames with their kind."""
    server, stream = serving(venue, (SYMBOL,)), events(SYMBOL, venue)
    first = begun(server, SYMBOL, stream)
    kinds = {topic: kind for kind, topic in topics_of(venue, SYMBOL).items()}
    every = recorded(server, SYMBOL, stream)
    return market_of(SYMBOL, venue), first, [(kinds[frame.topic], frame.text) for frame in islice(every, count)]


async def _measured(venue: str, url: str, count: int) -> Iterator[Row]:
    market, first, taken = frames(venue, count)
    link, client = _ours(venue, url, market, first)
    exchange, peer = _raw(venue, url, market, first)
    try:
        mine: dict[str, list[int]] = {kind: [] for kind in topics_of(venue, SYMBOL)}
        theirs: dict[str, list[int]] = {kind: [] for kind in mine}
        for begin in range(0, len(taken), BLOCK):
            block = taken[begin : begin + BLOCK]
            for times, handle in (
                (mine, client.handle_text_or_binary_message),
                (theirs, peer.handle_text_or_binary_message),
            ):
                for kind, text in block:
                    began = perf_counter_ns()
                    handle(text)
                    times[kind].append(perf_counter_ns() - began)
        assert link.counters.frames_bad == link.counters.handler_faults == 0
        assert link.counters.messages == len(taken) + (venue != BINANCE)
        book, theirs_book = link._books[market.symbol], exchange.orderbooks[market.symbol].limit()
        tick = 10**market.price_decimals
        assert book.whole and abs(theirs_book["bids"][0][0] * tick - (book.levels.best_bid or 0)) < 0.5
    finally:
        await link._exchange.close()
        await exchange.close()
    return iter(_rows(venue, mine, theirs))


def _rows(venue: str, mine: dict[str, list[int]], theirs: dict[str, list[int]]) -> list[Row]:
    made = []
    for kind, ours in mine.items():
        ccxts = theirs[kind]
        note = (
            f"all messages together {sum(ours) / sum(ccxts):.2f} × ccxt's time; its p99 {at(ccxts, 0.99) / 1e3:.0f} µs"
        )
        question = f"from the text of a {kind} message of {venue} to what the link says"
        made += rows(f"decode.{kind} {venue}", question, ours, {CCXT: ccxts}, note)
    return made


def decode(count: int = FRAMES) -> list[Row]:
    """A row for each kind of message of each venue with typed frames."""
    found: list[Row] = []
    for venue, url in VENUES.items():
        found += asyncio.run(_measured(venue, url, count))
    return found
