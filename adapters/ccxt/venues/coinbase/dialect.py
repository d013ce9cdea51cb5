"""Coinbase Advanced Trade (spot), market data: what its messages mean, and what ccxt must be told.

1. **Sequence.** Messages are numbered over a whole connection (`book.py`), each counted by itself. A hole breaks every book of it.
2. **Heartbeats** are subscribed on each connection: without them the venue closes channels that are quiet for a minute or so.
3. **Best prices** come with matches only (`ticker`), so ours are those of the book.
4. **Trades** name the maker's side: the aggressor's is the other. They come gathered over 250 ms, in an order that is not promised.
5. **One book for USD and USDC.** A product with an `alias` (BTC-USDC → BTC-USD) is told under the alias's name; a subscriber of
   either hears both.
6. **Keys**: a CDP key is "organizations/…/apiKeys/…" with the PEM of a P-256 key (ES256; newlines may be written as backslash n), or
   an id with the base64 of an Ed25519 key (EdDSA). Each request is signed for its method and path, for two minutes from a moment by
   our clock, which is set by the venue's first. A wrong clock and a wrong key are both just "401 Unauthorized". The older keys with an
   HMAC are gone.

Sources: the venue's documentation, ccxt 4.5.90, recorded frames.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import Decoded
from adapters.ccxt.events import BookEvent, QuoteEvent, Stream, TradeEvent
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.market.audit import Depth
from adapters.ccxt.symbols import Market, dec, exact, floored, rewrite_hosts
from adapters.ccxt.venues.coinbase.book import CoinbaseBook, Sequence
from adapters.ccxt.venues.coinbase.frames import read

SECOND_NS = 1_000_000_000
MESSAGE_COST = 4  # of ccxt's throttle, 34 ms each: the venue takes eight messages a second of an address
_CHANNELS = {Stream.BOOK: "level2", Stream.TRADES: "market_trades"}
_ED25519 = re.compile(r"[0-9A-Za-z+/]{43}=|[0-9A-Za-z+/]{86}==")  # 32 bytes, or those and the public 32
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)")


def secret_of(config: ExchangeConfig) -> str:
    """The secret as ccxt takes it; raises `AuthenticationError` for what is no CDP key. Empty stays empty: public data only."""
    secret = config.secret.replace("\\n", "\n").strip()
    if not secret or secret.startswith("-----BEGIN") or _ED25519.fullmatch(secret):
        return secret
    import ccxt

    raise ccxt.AuthenticationError("coinbase: the secret is neither the PEM nor the base64 of a CDP key")


def instance(config: ExchangeConfig, *, throttle: bool, timeout_ms: int, keys: bool) -> Any:
    """ccxt's own Coinbase, its hosts rewritten; `keys`: whether it may sign."""
    import ccxt.pro

    secret = secret_of(config)
    exchange = ccxt.pro.coinbase(
        {
            "apiKey": config.api_key if keys else "",
            "secret": secret if keys else "",
            "enableRateLimit": throttle,
            "timeout": timeout_ms,
            "has": {"fetchCurrencies": False},  # three requests of which nothing is used
            "options": {
                "ws": {"cost": MESSAGE_COST},
                "v2CloudAPiKey": not secret.startswith("-----BEGIN"),
                "fetchTime": "v3PublicGetBrokerageTime",  # not that of another product
            },
        }
    )
    exchange.urls["api"] = rewrite_hosts(exchange.urls["api"], config.rest_url, config.ws_url)
    exchange.streaming = {**exchange.streaming, "keepAlive": int(config.keepalive_s * 1000)}
    if str(config.rest_url).startswith("http:"):
        exchange.timeout_on_exit = 0  # only TLS connections need ccxt's pause after closing
    return exchange


async def set_clock(exchange: Any) -> None:
    """Let what is signed be dated by the venue's clock: ccxt dates it by `seconds`, whatever the difference."""
    sent_ms = exchange.milliseconds()
    theirs_ms = int((await exchange.v3_public_get_brokerage_time())["epochMillis"])
    ahead_ms = theirs_ms - (sent_ms + exchange.milliseconds()) // 2
    exchange.seconds = lambda: (exchange.milliseconds() + ahead_ms) // 1000


def subscribe_heartbeats(exchange: Any) -> None:
    """Subscribe heartbeats on the connection, once for each."""
    request = {"type": "subscribe", "channel": "heartbeats", "product_ids": []}
    future = exchange.watch(exchange.urls["api"]["ws"], "heartbeats", request, "heartbeats")
    future.add_done_callback(consumed)


class CoinbaseMarketDialect:
    """Market data, all on one socket; best prices are those of the book."""

    streams: ClassVar = (Stream.BOOK, Stream.TRADES)

    def __init__(self) -> None:
        self._sequence = Sequence()
        self._connection: Any = None  # the ccxt client whose messages it counts
        self._followed: tuple[int, str | None] | None = (
            None  # the number of the frame that was just read, and what it told
        )
        self._config: ExchangeConfig | None = None
        self._names: dict[str, list[str]] = {}  # product as messages name it → products of ours that it is the book of
        self._traded: set[str] = set()  # products with a trade since their book last changed

    def create(self, config: ExchangeConfig) -> Any:
        """The instance for market data, without keys until the clock is set."""
        self._config = config
        return instance(config, throttle=True, timeout_ms=10_000, keys=False)

    async def taker_fees(self, exchange: Any, symbols: tuple[str, ...]) -> dict[str, Decimal]:
        """`taker_fee_rate` of the account's tier; needs keys. Pairs of stable coins have prices of their own: not told here."""
        config = self._config
        if config is None or not config.api_key:
            return {}
        await set_clock(exchange)
        exchange.apiKey, exchange.secret = config.api_key, secret_of(config)
        answer = await exchange.v3_private_get_brokerage_transaction_summary({"product_type": "SPOT"})
        rate, stable = dec(answer["fee_tier"]["taker_fee_rate"]), exchange.options["stablePairs"]
        return {symbol: rate for symbol in symbols if exchange.market(symbol)["id"] not in stable}

    def subscribe(self, exchange: Any, symbol: str, stream: Stream, depth: int) -> Any:
        """One product a message; heartbeats with the first of a connection."""
        self._learn(exchange.market(symbol))
        connection = exchange.client(exchange.urls["api"]["ws"])
        if connection is not self._connection:  # another one counts from 0, though its first message may be lost
            self._connection, self._sequence = connection, Sequence()
        subscribe_heartbeats(exchange)
        match stream:
            case Stream.BOOK:
                return exchange.watch_order_book(symbol)
            case Stream.TRADES:
                return exchange.watch_trades(symbol)
        raise ValueError(f"coinbase has no stream of {stream}")

    def _learn(self, market: dict[str, Any]) -> None:
        names = {market["id"], (market.get("info") or {}).get("alias") or market["id"]}
        for name in names:
            known = self._names.setdefault(name, [])
            if market["id"] not in known:
                known.append(market["id"])

    async def forget(self, exchange: Any, client: Any, symbol: str, stream: Stream, depth: int) -> None:
        """Unsubscribe at the venue, so that the next subscription begins with a snapshot; then forget."""
        channel, product = _CHANNELS[stream], exchange.market(symbol)["id"]
        await client.throttle(MESSAGE_COST)
        await client.send({"type": "unsubscribe", "product_ids": [product], "channel": channel})
        key = f"{channel}::{symbol}"
        client.subscriptions.pop(key, None)
        client.rejections.pop(key, None)

    def frame(self, text: str) -> list[Decoded] | None:
        """Levels and trades, from their text. Its number counts once: `split` may be given the same frame."""
        self._followed, message = None, read(text)
        if message is None:
            return None
        lost = self._sequence.follow(message.sequence_num)
        self._followed = (message.sequence_num, lost)
        return self._pieces(message, lost)

    def split(self, message: Any) -> list[Decoded]:
        """By channel."""
        if not isinstance(message, dict) or "sequence_num" not in message:
            return []
        number, followed = message["sequence_num"], self._followed
        lost = followed[1] if followed is not None and followed[0] == number else self._sequence.follow(number)
        return self._pieces(message, lost)

    def _pieces(self, message: Any, lost: str | None) -> list[Decoded]:
        """A hole in the connection's numbers is told to every book before the message."""
        if lost is None:
            return []
        pieces = [Decoded(Stream.BOOK, product, lost) for product in self._products()] if lost else []
        match message["channel"]:
            case "l2_data":
                ts_event_ns = time_ns(message["timestamp"])
                for event in message["events"]:
                    self._traded.discard(event["product_id"])
                    products = self._names.get(event["product_id"], ())
                    pieces += [Decoded(Stream.BOOK, product, (event, ts_event_ns)) for product in products]
            case "market_trades":
                for event in message["events"]:
                    pieces += self._trades(event)
            case "heartbeats":
                quiet = (name for name in self._names if name not in self._traded)
                pieces += [Decoded(Stream.BOOK, product, None) for name in quiet for product in self._names[name]]
        return pieces

    def _products(self) -> list[str]:
        return sorted({product for products in self._names.values() for product in products})

    def _trades(self, event: Any) -> list[Decoded]:
        """The trades of one event, oldest first; the snapshot of old trades only says that the subscription is up."""
        pieces = []
        for name in sorted({trade["product_id"] for trade in event["trades"]}):
            mine = [trade for trade in event["trades"] if trade["product_id"] == name]
            if event["type"] == "snapshot":
                mine = []
            elif name in self._names:
                self._traded.add(name)
            mine.sort(key=lambda trade: (time_ns(trade["time"]), _number(trade["trade_id"])))
            pieces += [Decoded(Stream.TRADES, product, mine) for product in self._names.get(name, ())]
        return pieces

    def book(self, market: Market, depth: int) -> CoinbaseBook:
        """A book by Coinbase's rules."""
        return CoinbaseBook(market, depth)

    def book_event(self, book: CoinbaseBook, raw: Any) -> BookEvent | None:
        """Apply a snapshot or update; a heartbeat changes nothing, a loss breaks it."""
        match raw:
            case None:
                return None
            case str():
                return book.lost(raw)
            case (event, ts_event_ns):
                return book.message(event, ts_event_ns)
        raise BadFrame(f"no piece of a book: {raw!r}")

    async def whole_book(self, exchange: Any, symbol: str, levels: int) -> Depth:
        """`market/product_book`, which has no id and may be a second old."""
        query = {"product_id": exchange.market_id(symbol), "limit": levels}
        book = (await exchange.v3_public_get_brokerage_market_product_book(query))["pricebook"]
        bids, asks = ([[row["price"], row["size"]] for row in book[side]] for side in ("bids", "asks"))
        return Depth(bids=bids, asks=asks)

    def trades(self, market: Market, raw: Any) -> list[TradeEvent]:
        """`side` is the maker's. The dust of an order older than today's lot is no trade."""
        events = [
            TradeEvent(
                symbol=market.symbol,
                trade_id=str(row["trade_id"]),
                price=exact(row["price"], market.price_decimals),
                size=floored(row["size"], market.size_decimals),
                side={"BUY": "sell", "SELL": "buy"}[row["side"]],
                ts_event_ns=time_ns(row["time"]),
            )
            for row in raw
        ]
        return [event for event in events if event.size]

    def quote(self, market: Market, raw: Any) -> QuoteEvent:
        """There is no such stream here."""
        raise BadFrame("coinbase has no stream of best prices")


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def time_ns(text: str) -> int:
    """RFC 3339 in UTC with up to nanoseconds → ns; raises BadFrame on anything else."""
    if (found := _TIME.match(text)) is None:
        raise BadFrame(f"{text!r} is no time")
    whole = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    return int(whole.timestamp()) * SECOND_NS + int((found[2] or "").ljust(9, "0"))


def consumed(future: Any) -> None:
    """Nobody awaits these futures: a rejection is told by `on_down`."""
    if not future.cancelled():
        future.exception()
