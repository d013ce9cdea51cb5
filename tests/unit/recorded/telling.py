"""What a recorded message is told as: a line an event, every field of it that says something, numbers as the venue's decimals.

Frames go as text through the hook of a real ccxt client, both from their text (where the venue has typed frames) and through ccxt's JSON;
answers go in the place of the HTTP request, so that ccxt builds the request, signs it and reads the body as always.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec
import numpy as np

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import BookEvent, QuoteEvent, Stream, TradeEvent
from adapters.ccxt.market.link import MarketLink, market_dialect
from adapters.ccxt.past.history import _digits
from adapters.ccxt.past.told import Span
from adapters.ccxt.symbols import Market, market_of
from adapters.ccxt.venues.registry import VENUES as RULES

GENERIC = ("deribit", "hyperliquid")
SHOWN = 12  # levels of a book
URLS = {"okx": "ws://recorded/ws/v5/public", "bybit": "ws://recorded/v5/public/spot", "kraken": "ws://recorded/v2"}


def row(symbol: str, market_id: str, price: int, size: int, **more: Any) -> dict[str, Any]:
    """A ccxt market with so many decimals."""
    pair, _, settle = symbol.partition(":")
    base, quote = pair.split("/")
    swap = bool(settle)
    kinds = {"type": "swap" if swap else "spot", "spot": not swap, "swap": swap, "future": False, "option": False}
    kinds |= {"contract": swap, "linear": swap and settle != base, "inverse": swap and settle == base}
    precision = {"price": float(f"1e-{price}"), "amount": float(f"1e-{size}")}
    return {
        "id": market_id, "symbol": symbol, "base": base, "quote": quote, "settle": settle or None, "baseId": base, "quoteId": quote,
        "contractSize": 1 if swap else None, "active": True, "precision": precision, "taker": 0.001, "maker": 0.001, "info": {},
        "limits": {"amount": {}, "cost": {}, "price": {}}, **kinds, **more,
    }  # fmt: skip


def compact(text: str) -> str:
    """JSON without the blanks it was laid out with; digits and their order stay as they are."""
    parts = re.split(r'("(?:[^"\\]|\\.)*")', text)
    return "".join(part if part.startswith('"') else re.sub(r"\s", "", part) for part in parts)


# ---- lines ----------------------------------------------------------------------------------------------------------------------------


def line(event: Any, market: Market | None = None) -> str:
    """An event and what it says."""
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    if market is not None and isinstance(event, TradeEvent | QuoteEvent):
        for name in fields.keys() & {"price", "bid", "ask"}:
            fields[name] = Decimal(fields[name]).scaleb(-market.price_decimals)
        for name in fields.keys() & {"size", "bid_size", "ask_size"}:
            fields[name] = Decimal(fields[name]).scaleb(-market.size_decimals)
    if market is not None and isinstance(event, BookEvent):
        fields["levels"] = _levels(event.levels.tolist(), market)
    if fields.get("contract") is not None:
        fields |= {f"contract_{name}": getattr(event.contract, name) for name in event.contract.__struct_fields__}
        del fields["contract"]
    told = [f"{name}={_text(value)}" for name, value in fields.items() if _says(value)]
    return " ".join([type(event).__name__, *told])


def _levels(rows: list[list[int]], market: Market) -> str:
    def number(units: int, decimals: int) -> str:
        return _text(Decimal(units).scaleb(-decimals))

    told = [
        f"{'bid' if side > 0 else 'ask'}:{number(price, market.price_decimals)}×{number(size, market.size_decimals)}"
        for side, price, size in rows
    ]
    return ",".join(told[:SHOWN]) + (f",and_{len(told) - SHOWN}_more" if len(told) > SHOWN else "")


def _says(value: Any) -> bool:
    return not (
        value is None or value is False or (isinstance(value, str | tuple | list | np.ndarray) and not len(value))
    )


def _text(value: Any) -> str:
    match value:
        case Enum():
            return str(value.value)
        case Decimal():
            return f"{value.normalize():f}" if value else "0"
        case str() if " " in value:
            return json.dumps(value, ensure_ascii=False)
    return str(value)


def lines(told: Any) -> list[str]:
    """What a dialect answers: events, alone or in a list or a tuple; anything else as its text."""
    match told:
        case None:
            return []
        case list() | tuple():
            return [said for one in told for said in lines(one)]
        case dict():
            return [f"{name}={_text(value)}" for name, value in told.items()]
        case msgspec.Struct() if hasattr(told, "rows") and hasattr(told, "whole"):
            return lines(told.rows)
        case msgspec.Struct() if type(told).__name__ == "PrivateMessage":
            named = {name: getattr(told, name) for name in told.__struct_fields__}
            events = [said for value in named.values() if isinstance(value, tuple) for said in lines(value)]
            flags = [name for name, value in named.items() if value is True]
            words = [f"{name}={json.dumps(value)}" for name, value in named.items() if isinstance(value, str) and value]
            return events + flags + words
        case msgspec.Struct():
            return [line(told)]
    return [_text(told)]


# ---- frames ---------------------------------------------------------------------------------------------------------------------------


class Heard:
    """A sink of lines."""

    def __init__(self, markets: dict[str, Market]) -> None:
        self.markets = markets
        self.lines: list[str] = []

    def on_markets(self, markets: Any) -> None: ...

    def _told(self, event: Any) -> None:
        self.lines.append(line(event, self.markets[event.symbol]))

    on_book = on_trade = on_quote = on_funding = on_liquidation = _told


class Public:
    """The market-data link of an exchange that knows `rows`, fed with frames by hand."""

    def __init__(self, exchange: str, rows: list[dict[str, Any]]) -> None:
        self.markets = {one["symbol"]: market_of(one) for one in rows}
        self.heard = Heard(self.markets)
        symbols = tuple(self.markets)
        self.link = MarketLink(ExchangeConfig(venue=exchange.upper(), exchange=exchange, symbols=symbols), self.heard)
        self.exchange = self.link._made()
        self.exchange.set_markets(rows)
        self.url = URLS.get(exchange, f"ws://recorded/{exchange}")

    def hear(self, texts: list[str], *, typed: bool) -> list[str]:
        """What the last of these frames is told as, from an empty book on."""
        self.exchange.clients.clear()
        client = self.exchange.client(self.url)
        if self.exchange.id not in GENERIC:  # whose dialect is tied to its instance
            self.link._dialect = market_dialect(self.exchange.id)
        else:
            self.link._dialect._began = dict.fromkeys(self.markets, -1)  # trades of a first message would be history
            self.link._dialect._seen.clear()
        self.link._read = getattr(self.link._dialect, "frame", None) if typed else None
        self.link._tops.clear()
        self.link.prepare(self.markets)
        for state in self.link._states.values():
            state.subscribed = True
        for symbol in self.markets:
            if hasattr(self.link._dialect, "_learn"):
                self.link._dialect._learn(self.exchange.market(symbol))
        faults = self.link.counters.frames_bad
        for text in texts:
            self.heard.lines.clear()
            client.handle_text_or_binary_message(text)
        bad = ["a bad frame"] * (self.link.counters.frames_bad - faults)
        broken = (state for state in self.link._states.values() if state.stream is Stream.BOOK and state.reason)
        return self.heard.lines + bad + [f"book of {state.symbol} lost: {state.reason}" for state in broken]

    async def close(self) -> None:
        """Nothing was opened, but ccxt wants it."""
        await self.exchange.close()


# ---- answers --------------------------------------------------------------------------------------------------------------------------

Ask = Callable[[Any, Any], Awaitable[Any]]


def answering(exchange: Any, *texts: str) -> Any:
    """The instance, whose requests are answered with these bodies, the last of them for ever."""
    bodies = list(texts)

    async def fetch(url: str, *_: Any, **__: Any) -> Any:
        text = bodies.pop(0) if len(bodies) > 1 else bodies[0]
        exchange.last_response_headers = {}
        return exchange.on_json_response(text)

    exchange.fetch = fetch
    return exchange


async def asked(dialect: Any, exchange: Any, ask: Ask, *texts: str) -> list[str]:
    """What a question to the venue is answered with."""
    return lines(await ask(dialect, answering(exchange, *texts)))


async def past(exchange: str, kind: str, timeframe: str, span: Span, *texts: str) -> list[str]:
    """Rows of the past, as `History` reads numbers."""
    bodies = [_digits(text) for text in texts]

    async def ask(_method: str, _query: dict[str, Any]) -> Any:
        return bodies.pop(0) if len(bodies) > 1 else bodies[0]

    def within(one: Any) -> bool:
        ms = one.start_ms if kind == "candles" else one.ts_ns // 1_000_000
        return span.start_ms <= ms < span.end_ms

    pages, market = RULES[exchange].past(), {"id": "X", "created": 1 << 50, "spot": True, "linear": False}
    found = pages.trades(ask, market, span) if kind == "trades" else pages.candles(ask, market, timeframe, span)
    return lines([one async for page in found for one in page.rows if within(one)])
