"""Kraken spot, market data: what its messages mean, and what ccxt must be told.

WebSocket v2 `book` (with CRC32), `trade`, `ticker` on change of the best prices. WebSocket numbers are JSON numbers, REST numbers strings.
"""

from __future__ import annotations

import time
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import Decoded
from adapters.ccxt.events import (
    BookEvent,
    QuoteEvent,
    Stream,
    TradeEvent,
)
from adapters.ccxt.market.audit import Depth
from adapters.ccxt.market.books import KrakenBook
from adapters.ccxt.symbols import Market, dec, exact, rewrite_hosts
from adapters.ccxt.venues.kraken import frames as kraken_frames

# errors that say nothing of the order, with whatever code behind them; ccxt takes those it does not know for refusals
_UNPROVEN = ("EService:Deadline elapsed", "EService:Timeout", "EGeneral:Internal error", "EDatabase:")
NONCE_TRIES = 6


def instance(config: ExchangeConfig, *, throttle: bool, timeout_ms: int) -> Any:
    import ccxt.pro

    exchange = ccxt.pro.kraken(
        {
            "apiKey": config.api_key,
            "secret": config.secret,
            "enableRateLimit": throttle,
            "timeout": timeout_ms,
            # ccxt's 1000 ms would also space every subscription by a second; we make three REST calls at start and none later
            "rateLimit": 200,
            "options": {"ws": {"cost": 0.1}},
        }
    )
    exchange.exceptions["broad"] = {
        **dict.fromkeys(_UNPROVEN, ccxt.pro.ExchangeNotAvailable),
        "EAPI:Invalid signature": ccxt.pro.AuthenticationError,
        "EAccount:Invalid permissions": ccxt.pro.PermissionDenied,
        "EService:Throttled": ccxt.pro.RateLimitExceeded,
        **exchange.exceptions["broad"],
    }
    exchange.urls["api"] = rewrite_hosts(exchange.urls["api"], config.rest_url, config.ws_url)
    exchange.streaming = {**exchange.streaming, "keepAlive": int(config.keepalive_s * 1000)}
    if str(config.rest_url).startswith("http:"):
        exchange.timeout_on_exit = 0  # only TLS connections need ccxt's pause after closing
    last = 0

    def nonce() -> int:
        """Strictly increasing: two requests of one millisecond would otherwise share a nonce."""
        nonlocal last
        last = max(last + 1, time.time_ns() // 1000)
        return last

    exchange.nonce = nonce
    _retry_overtaken(exchange)
    return exchange


def _retry_overtaken(exchange: Any) -> None:
    """Ask again, with a new nonce, when a request was overtaken on its way by a later one of ours.

    Kraken takes the nonces of a key in growing order; requests sent at once on several connections arrive in any order. "Invalid nonce"
    is Kraken's word that it did not act on the request, so asking again cannot do anything twice.
    """
    import ccxt.pro

    once = exchange.request

    async def request(*args: Any, **kwargs: Any) -> Any:
        for _ in range(NONCE_TRIES - 1):
            try:
                return await once(*args, **kwargs)
            except ccxt.pro.InvalidNonce:
                continue
        return await once(*args, **kwargs)

    exchange.request = request


class KrakenMarketDialect:
    """Market data, all on one socket."""

    _HASHES: ClassVar = {Stream.BOOK: "orderbook@{}", Stream.TRADES: "trade@{}", Stream.QUOTES: "ticker@{}"}
    _CHANNELS: ClassVar = {Stream.BOOK: "book", Stream.TRADES: "trade", Stream.QUOTES: "ticker"}

    def create(self, config: ExchangeConfig) -> Any:
        """The instance for market data."""
        return instance(config, throttle=True, timeout_ms=10_000)

    async def taker_fees(self, exchange: Any, symbols: tuple[str, ...]) -> dict[str, Decimal]:
        """`TradeVolume` of the account, in percent; needs keys."""
        if not exchange.apiKey:
            return {}
        markets = [exchange.market(symbol) for symbol in symbols]
        answer = await exchange.private_post_tradevolume({"pair": ",".join(market["id"] for market in markets)})
        fees = answer["result"].get("fees") or {}
        known = {}
        for market in markets:
            row = fees.get(market["id"]) or fees.get(market["info"].get("altname"))
            if row is not None:
                known[market["symbol"]] = dec(row["fee"]) / 100
        return known

    def subscribe(self, exchange: Any, symbol: str, stream: Stream, depth: int) -> Any:
        """`params` are given anew each time: ccxt writes into its defaults."""
        match stream:
            case Stream.BOOK:
                return exchange.watch_order_book(symbol, depth, {})
            case Stream.TRADES:
                return exchange.watch_trades(symbol, None, None, {})
            case Stream.QUOTES:
                return exchange.watch_bids_asks([symbol], {})

    async def forget(self, exchange: Any, client: Any, symbol: str, stream: Stream, depth: int) -> None:
        """Unsubscribe at the venue (it refuses a second subscription), then forget."""
        params: dict[str, Any] = {"channel": self._CHANNELS[stream], "symbol": [symbol]}
        if stream is Stream.BOOK:
            params["depth"] = depth
        if stream is Stream.QUOTES:
            params["event_trigger"] = "bbo"
        await client.send({"method": "unsubscribe", "params": params, "req_id": exchange.request_id()})
        key = self._HASHES[stream].format(symbol)
        client.subscriptions.pop(key, None)
        client.rejections.pop(key, None)

    def frame(self, text: str) -> list[Decoded] | None:
        """A frame of the three channels from its text."""
        return kraken_frames.read(text)

    def split(self, message: Any) -> list[Decoded]:
        """Rows of the three channels, each with its message's type."""
        if not isinstance(message, dict):
            return []
        match message.get("channel"):
            case "book":
                stream = Stream.BOOK
            case "trade":
                if message.get("type") == "snapshot":
                    return []  # the last fifty trades before we came: not events of ours
                stream = Stream.TRADES
            case "ticker":
                stream = Stream.QUOTES
            case _:
                return []
        return [Decoded(stream, row["symbol"], (message["type"], row)) for row in message["data"]]

    def book(self, market: Market, depth: int) -> KrakenBook:
        """A book by Kraken's checksum rules."""
        return KrakenBook(market, depth)

    def book_event(self, book: KrakenBook, raw: Any) -> BookEvent | None:
        """Apply a snapshot or update."""
        kind, row = raw
        return book.message(kind, row, iso_ns(row.get("timestamp")))

    async def whole_book(self, exchange: Any, symbol: str, levels: int) -> Depth:
        """`Depth`, which has no id."""
        answer = await exchange.public_get_depth({"pair": exchange.market_id(symbol), "count": levels})
        (sides,) = answer["result"].values()
        return Depth(bids=sides["bids"], asks=sides["asks"])

    def trades(self, market: Market, raw: Any) -> list[TradeEvent]:
        """`side` is the taker's."""
        _, row = raw
        return [
            TradeEvent(
                symbol=market.symbol,
                trade_id=str(row["trade_id"]),
                price=exact(row["price"], market.price_decimals),
                size=exact(row["qty"], market.size_decimals),
                side=row["side"],
                ts_event_ns=iso_ns(row.get("timestamp")),
            )
        ]

    def quote(self, market: Market, raw: Any) -> QuoteEvent:
        """Best prices of a ticker row."""
        _, row = raw
        return QuoteEvent(
            symbol=market.symbol,
            bid=exact(row["bid"], market.price_decimals),
            bid_size=exact(row["bid_qty"], market.size_decimals),
            ask=exact(row["ask"], market.price_decimals),
            ask_size=exact(row["ask_qty"], market.size_decimals),
            ts_event_ns=iso_ns(row.get("timestamp")),
        )


def iso_ns(text: str | None) -> int:
    """RFC 3339 with up to nanoseconds → ns; 0 when absent."""
    if not text:
        return 0
    head, _, fraction = text.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(head + "+00:00").timestamp()) * 1_000_000_000 + int(
        fraction.ljust(9, "0")[:9] or 0
    )
