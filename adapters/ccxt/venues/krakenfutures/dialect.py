"""Kraken Futures, market data of perpetuals: linear ones (PF_, settled in dollars) and inverse ones (PI_, settled in the coin).

All streams are feeds of one socket, subscribed by product; numbers are JSON numbers.

1. **Books** are numbered for each product (`book.py`).
2. **Trades**: `side` is the taker's. `type` "fill" is a trade of the book, "liquidation" and "partialLiquidation" as well, by positions
   that were closed by force: this is where liquidations are told. "assignment", "termination" and "block" are none. The snapshot of old
   trades is dropped.
3. **`ticker`** comes each second: mark and index price, best prices, and `relative_funding_rate`, the rate of the hour that ends at
   `next_funding_rate_time`; the one after it is only predicted. (`funding_rate` is the same in money for a contract.)
4. **Best prices** are those of the book: the venue's own come once a second. Where they are the book's own, a quiet book is not stale.
5. **Quantities** of PF_ contracts are coins, of PI_ contracts dollars (`contracts.py` makes worth of them).
6. **Fees**: the API's fee schedules no longer say what is charged (since June 2026), so the list price stays.
7. **Messages**: a hundred a second of a connection are taken (the venue's guide to its limits); ccxt would leave 600 ms between two.

Sources: the venue's documentation, ccxt 4.5.90, recorded frames; for "partialLiquidation" among trades, readers of the live feed.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, ClassVar

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import Decoded
from adapters.ccxt.events import BookEvent, FundingEvent, LiquidationEvent, QuoteEvent, Stream, TradeEvent
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.market.audit import Depth
from adapters.ccxt.symbols import Market, dec, exact, rewrite_hosts
from adapters.ccxt.venues.krakenfutures.book import MS, KrakenFuturesBook
from adapters.ccxt.venues.krakenfutures.frames import Book, Ticker, Trade, read

MESSAGE_COST = 0.02  # of ccxt's throttle, 600 ms each: the venue takes a hundred messages a second of a connection
FORCED = ("liquidation", "partialLiquidation")
_OF_THE_BOOK = ("fill", *FORCED)
_HASHES = {Stream.BOOK: "orderbook:{}", Stream.TRADES: "trade:{}", Stream.FUNDING: "ticker:{}"}
_FEEDS = {Stream.BOOK: "book", Stream.TRADES: "trade", Stream.FUNDING: "ticker"}


def instance(config: ExchangeConfig, *, throttle: bool, timeout_ms: int) -> Any:
    """ccxt's own Kraken Futures, its hosts rewritten; what REST answers keeps its digits."""
    import ccxt.pro

    keys = {"apiKey": config.api_key, "secret": config.secret}
    options = {"ws": {"cost": MESSAGE_COST}}
    exchange = ccxt.pro.krakenfutures({**keys, "enableRateLimit": throttle, "timeout": timeout_ms, "options": options})
    exchange.urls["api"] = rewrite_hosts(exchange.urls["api"], config.rest_url, config.ws_url)
    exchange.streaming = {**exchange.streaming, "keepAlive": int(config.keepalive_s * 1000)}
    exchange.on_json_response = _digits
    if str(config.rest_url).startswith("http:"):
        exchange.timeout_on_exit = 0  # only TLS connections need ccxt's pause after closing
    return exchange


def _digits(body: str) -> Any:
    """JSON with its fractions as the text they are: a balance may have more digits than a float."""
    return json.loads(body, parse_float=str)


class KrakenFuturesMarketDialect:
    """Market data, all on one socket; best prices are those of the book."""

    streams: ClassVar = (Stream.BOOK, Stream.TRADES, Stream.FUNDING, Stream.LIQUIDATIONS)

    def __init__(self) -> None:
        self._books: dict[str, KrakenFuturesBook] = {}

    def create(self, config: ExchangeConfig) -> Any:
        """The instance for market data."""
        return instance(config, throttle=True, timeout_ms=10_000)

    async def taker_fees(self, exchange: Any, symbols: tuple[str, ...]) -> dict[str, Decimal]:
        """Rule 6: not to be known here."""
        return {}

    def subscribe(self, exchange: Any, symbol: str, stream: Stream, depth: int) -> Any:
        """One product a message. Liquidations come with the trades."""
        match stream:
            case Stream.BOOK:
                return exchange.watch_order_book(symbol, depth)
            case Stream.TRADES | Stream.LIQUIDATIONS:
                return exchange.watch_trades(symbol)
            case Stream.FUNDING:
                return exchange.watch_ticker(symbol)
        raise ValueError(f"krakenfutures has no stream of {stream}")

    async def forget(self, exchange: Any, client: Any, symbol: str, stream: Stream, depth: int) -> None:
        """Unsubscribe at the venue, so that the next subscription begins with a snapshot; liquidations live with the trades."""
        if stream is Stream.LIQUIDATIONS:
            return
        product = exchange.market_id(symbol)
        await client.send({"event": "unsubscribe", "feed": _FEEDS[stream], "product_ids": [product]})
        key = _HASHES[stream].format(symbol)
        client.subscriptions.pop(key, None)
        client.rejections.pop(key, None)

    def frame(self, text: str) -> list[Decoded] | None:
        """Levels, trades and tickers, from their text."""
        match read(text):
            case Book() as row:
                return [Decoded(Stream.BOOK, row.product_id, row)]
            case Trade() as row:
                return self._traded(row.product_id, row)
            case Ticker() as row:
                return self._ticked(row.product_id, row)
        return None

    def split(self, message: Any) -> list[Decoded]:
        """By feed."""
        if not isinstance(message, dict) or "event" in message:
            return []
        product = str(message.get("product_id", ""))
        match message.get("feed"):
            case "book" | "book_snapshot":
                return [Decoded(Stream.BOOK, product, message)]
            case "trade":
                return self._traded(product, message)
            case "trade_snapshot":
                return [Decoded(Stream.TRADES, product, [])]
            case "ticker" if "relative_funding_rate" in message:
                return self._ticked(product, message)
        return []

    def _traded(self, product: str, row: Any) -> list[Decoded]:
        pieces = [Decoded(Stream.TRADES, product, [row])]
        return [*pieces, Decoded(Stream.LIQUIDATIONS, product, row)] if row["type"] in FORCED else pieces

    def _ticked(self, product: str, row: Any) -> list[Decoded]:
        pieces = [Decoded(Stream.FUNDING, product, row)]
        return [*pieces, Decoded(Stream.BOOK, product, None)] if self._confirms(product, row) else pieces

    def _confirms(self, product: str, ticker: Any) -> bool:
        """Whether the venue's best prices are our book's: then it is current, however quiet."""
        book = self._books.get(product)
        if book is None or not book.whole:
            return False
        decimals = book.market.price_decimals
        best = (exact(ticker["bid"], decimals), exact(ticker["ask"], decimals))
        return best == (book.levels.best_bid, book.levels.best_ask)

    def book(self, market: Market, depth: int) -> KrakenFuturesBook:
        """A book by this venue's rules."""
        book = self._books[market.market_id] = KrakenFuturesBook(market, depth)
        return book

    def book_event(self, book: KrakenFuturesBook, raw: Any) -> BookEvent | None:
        """Apply a snapshot or update; None is a ticker that confirms the book."""
        return None if raw is None else book.message(raw)

    async def whole_book(self, exchange: Any, symbol: str, levels: int) -> Depth:
        """`orderbook`, which has no number."""
        book = (await exchange.public_get_orderbook({"symbol": exchange.market_id(symbol)}))["orderBook"]
        bids, asks = ([[str(price), str(size)] for price, size, *_ in book[side]] for side in ("bids", "asks"))
        return Depth(bids=bids, asks=asks)

    def trades(self, market: Market, raw: Any) -> list[TradeEvent]:
        """Trades of the book."""
        return [
            TradeEvent(
                symbol=market.symbol,
                trade_id=row["uid"],
                price=exact(row["price"], market.price_decimals),
                size=exact(row["qty"], market.size_decimals),
                side=row["side"],
                ts_event_ns=int(row["time"]) * MS,
            )
            for row in raw
            if row["type"] in _OF_THE_BOOK
        ]

    def quote(self, market: Market, raw: Any) -> QuoteEvent:
        """There is no such stream here."""
        raise BadFrame("krakenfutures has no stream of best prices")

    def funding(self, market: Market, raw: Any) -> FundingEvent:
        """Rule 3."""
        return FundingEvent(
            symbol=market.symbol,
            mark=dec(raw["markPrice"]),
            index=dec(raw["index"]) if raw.get("index") else None,
            rate=dec(raw["relative_funding_rate"]),
            next_ns=int(raw["next_funding_rate_time"]) * MS,
            ts_event_ns=int(raw["time"]) * MS,
        )

    def liquidations(self, market: Market, raw: Any) -> list[LiquidationEvent]:
        """One execution of a closing order, whose side the taker's is."""
        return [
            LiquidationEvent(
                symbol=market.symbol,
                side=raw["side"],
                price=dec(raw["price"]),
                quantity=dec(raw["qty"]),
                ts_event_ns=int(raw["time"]) * MS,
            )
        ]
