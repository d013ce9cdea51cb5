"""Any other exchange of ccxt.pro, by configuration alone: market data as ccxt reads it, under our own rules of exactness and doubt.

1. **Instruments** are spot pairs, and linear perpetuals whose contract is one unit of the base (sizes of others are not the same thing
   from venue to venue). Venues that count significant digits instead of naming a tick (Bitfinex, Hyperliquid) get the finest tick that
   a price may have down to a tenth of what it is at start.
2. **Books** are `watch_order_book`'s, looked at whenever ccxt resolves one (`book.py`): the integrity is the library's. What
   ccxt rejects, and what it says on a socket's end, breaks them.
3. **Trades** are those that ccxt appends to its cache, each as it is appended. Those of a subscription's first message are history,
   unless they were done in the last moment. Each is told once by its id.
4. **Best prices** are those of the book.
5. **Resubscribing** means a new socket: which venue unsubscribes how is ccxt's knowledge, and partly wrong. All streams of the socket
   are restored with it, and ccxt's book is forgotten first: some of its venues add a new snapshot to what is left of the old one.
6. **Orders** are refused before the desk starts: proving what became of one needs rules of the venue.

Source: ccxt 4.5.90, read and run against its venues' documented frames.
"""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal
from math import floor, log10
from typing import Any, ClassVar

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import Decoded
from adapters.ccxt.events import BookEvent, QuoteEvent, Stream, TradeEvent
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.market.audit import Depth
from adapters.ccxt.symbols import Market, dec, decimals_of, exact, floored, rewrite_hosts
from adapters.ccxt.venues.generic.book import GenericBook

MS = 1_000_000
MOMENT_MS = 2_000  # a trade of a first message that is older is history
SEEN_TRADES = 5_000  # ids kept of each symbol
BY_DIGITS = frozenset({"hyperliquid"})  # whose ticks go by the price's magnitude, though ccxt names one
_SPOT, _SWAP = "spot", ("swap", "linear", "contract")  # ccxt's words for what to load


class GenericMarketDialect:
    """Market data of an exchange that is named in the configuration only."""

    streams: ClassVar = (Stream.BOOK, Stream.TRADES)
    forgets: ClassVar[bool] = False  # a stream is restored on a new socket
    integrity: ClassVar[str] = "the library's"

    def __init__(self) -> None:
        self._markets: dict[str, str] = {}  # symbol → the venue's id, of what is subscribed
        self._appended: list[Decoded] = []
        self._began: dict[str, int | None] = {}  # symbol → the message that its trades began with
        self._seen: dict[str, OrderedDict[str, None]] = {}
        self._message = 0
        self._exchange: Any = None

    def create(self, config: ExchangeConfig) -> Any:
        """The instance, with its resolutions, rejections and caches of trades tapped. Raises `NotSupported` for what ccxt.pro has not."""
        import ccxt.pro

        if config.exchange not in ccxt.pro.exchanges:
            raise ccxt.NotSupported(f"ccxt.pro has no exchange {config.exchange!r}")
        exchange = getattr(ccxt.pro, config.exchange)({"enableRateLimit": True, "timeout": 10_000})
        exchange.has["fetchCurrencies"] = False  # nothing of it is used
        for method in ("watchOrderBook", "watchTrades"):
            if not exchange.has.get(method):
                raise ccxt.NotSupported(f"ccxt.pro has no {method} of {config.exchange}")
        _load_only(exchange, config.symbols)
        exchange.urls["api"] = rewrite_hosts(exchange.urls["api"], config.rest_url, config.ws_url)
        exchange.streaming = {**exchange.streaming, "keepAlive": int(config.keepalive_s * 1000)}
        if str(config.rest_url).startswith("http:"):
            exchange.timeout_on_exit = 0  # only TLS connections need ccxt's pause after closing
        exchange.trades = _Caches(self._on_trade)
        self._tap_clients(exchange)
        self._exchange = exchange
        return exchange

    def _tap_clients(self, exchange: Any) -> None:
        make = exchange.client

        def client(url: str) -> Any:
            known = url in (exchange.clients or {})
            made = make(url)
            if not known:
                self._tap(exchange, made)
            return made

        exchange.client = client

    def _tap(self, exchange: Any, client: Any) -> None:
        """See what ccxt resolves and rejects on a client, before who waits for it does."""
        resolve, reject = client.resolve, client.reject

        def resolved(result: Any, message_hash: Any) -> Any:
            self._resolved(exchange, client, result)
            return resolve(result, message_hash)

        def rejected(error: Any, message_hash: Any = None) -> Any:
            ended = error is client.error or type(error).__name__ == "NetworkError"  # the socket's end, told as such
            if message_hash is not None and not ended and exchange.clients.get(client.url) is client:
                exchange.on_pieces(client, self._rejected(error, message_hash))
            return reject(error, message_hash)

        client.resolve, client.reject = resolved, rejected

    def _resolved(self, exchange: Any, client: Any, result: Any) -> None:
        pieces, self._appended = self._appended, []
        if exchange.clients.get(client.url) is not client:
            return  # a socket that was given up: what is left of it counts no more
        if isinstance(result, dict) and hasattr(result, "cache") and "bids" in result:
            symbol = result.get("symbol") or _key_of(exchange.orderbooks, result)
            pieces.append(Decoded(Stream.BOOK, str(symbol), result))
        if pieces:
            exchange.on_pieces(client, pieces)

    def _rejected(self, error: Any, message_hash: Any) -> list[Decoded]:
        """Every book that a rejection may be of: one that it names, or all."""
        names = str(message_hash).lower()
        mine = {symbol for symbol, market_id in self._markets.items() if _named(names, symbol, market_id)}
        reason = f"ccxt gave it up: {type(error).__name__}: {error}"[:200]
        return [Decoded(Stream.BOOK, symbol, reason) for symbol in sorted(mine or self._markets)]

    async def rows(self, exchange: Any, rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """ccxt's markets of our symbols, with ticks where it counts digits. Raises ValueError on what is not read generically."""
        import ccxt

        for symbol, row in rows.items():
            linear = row.get("swap") and row.get("linear") and row.get("contractSize") == 1
            if not (row.get("spot") or linear):
                raise ValueError(f"{symbol} at {exchange.id} is neither a spot pair nor a linear perpetual of size one")
        if exchange.precisionMode == ccxt.TICK_SIZE and exchange.id not in BY_DIGITS:
            return rows
        out = {}
        for symbol, row in rows.items():
            price, amount = row["precision"]["price"], row["precision"]["amount"]
            match exchange.precisionMode:
                case ccxt.TICK_SIZE:  # of the price of this moment
                    price, amount = decimals_of(dec(price)) + 1, decimals_of(dec(amount))
                case ccxt.SIGNIFICANT_DIGITS:
                    last = (await exchange.fetch_ticker(symbol))["last"]
                    price = int(price or 5) - floor(log10(last))
            decimals = {"price": max(0, int(price)), "amount": int(amount or 0)}
            ticks = {name: float(Decimal(1).scaleb(-count)) for name, count in decimals.items()}
            out[symbol] = {**row, "precision": ticks}
        return out

    async def taker_fees(self, exchange: Any, symbols: tuple[str, ...]) -> dict[str, Decimal]:
        """Not asked: there is no account here."""
        return {}

    def subscribe(self, exchange: Any, symbol: str, stream: Stream, depth: int) -> Any:
        """The venue's own default depth: which others it takes differs from venue to venue."""
        self._markets[symbol] = str(exchange.market(symbol)["id"])
        if not exchange.clients:
            exchange.options["urls"] = {}  # addresses that were negotiated for a socket that has gone (KuCoin)
        match stream:
            case Stream.BOOK:
                exchange.orderbooks.pop(symbol, None)
                return exchange.watch_order_book(symbol)
            case Stream.TRADES:
                self._began[symbol] = None
                return exchange.watch_trades(symbol)
        raise ValueError(f"there is no generic stream of {stream}")

    async def forget(self, exchange: Any, client: Any, symbol: str, stream: Stream, depth: int) -> None:
        """Not used: see rule 5."""

    def split(self, message: Any) -> list[Decoded]:
        """Nothing: what ccxt makes of a message comes when it resolves it. Messages are only counted."""
        self._message += 1
        return []

    def _on_trade(self, symbol: str, trade: Any) -> None:
        """A trade that ccxt appends."""
        began = self._began.get(symbol)
        if began is None:
            began = self._began[symbol] = self._message
        old = began == self._message and trade["timestamp"] < self._exchange.milliseconds() - MOMENT_MS
        if not old:
            self._appended.append(Decoded(Stream.TRADES, symbol, trade))

    def book(self, market: Market, depth: int) -> GenericBook:
        """A book that ccxt keeps."""
        return GenericBook(market, depth)

    async def whole_book(self, exchange: Any, symbol: str, levels: int) -> Depth:
        """`fetch_order_book` at the venue's own default depth."""
        answer = await exchange.fetch_order_book(symbol)
        bids, asks = ([[_text(row[0]), _text(row[1])] for row in answer[side]] for side in ("bids", "asks"))
        return Depth(bids=bids, asks=asks, partial=True)

    def book_event(self, book: GenericBook, raw: Any) -> BookEvent | None:
        """Look at ccxt's book, or give it up."""
        return book.lost(raw) if isinstance(raw, str) else book.look(raw)

    def trades(self, market: Market, raw: Any) -> list[TradeEvent]:
        """One trade, once. A venue that gives no id gets one of the trade's own terms."""
        size = floored(_text(raw["amount"]), market.size_decimals)
        if raw["side"] not in ("buy", "sell"):
            raise BadFrame(f"a trade of {market.symbol} without a side")
        trade_id = str(raw["id"] or f"{raw['timestamp']}:{raw['price']}:{raw['amount']}:{raw['side']}")
        seen = self._seen.setdefault(market.symbol, OrderedDict())
        if trade_id in seen or not size:
            return []
        seen[trade_id] = None
        if len(seen) > SEEN_TRADES:
            seen.popitem(last=False)
        return [
            TradeEvent(
                symbol=market.symbol,
                trade_id=trade_id,
                price=exact(_text(raw["price"]), market.price_decimals),
                size=size,
                side=raw["side"],
                ts_event_ns=int(raw["timestamp"]) * MS,
            )
        ]

    def quote(self, market: Market, raw: Any) -> QuoteEvent:
        """There is no such stream here."""
        raise BadFrame("there is no generic stream of best prices")


class _Caches(dict[str, Any]):
    """ccxt's `trades`: each cache that is put in tells what is appended to it."""

    def __init__(self, told: Any) -> None:
        super().__init__()
        self._told = told

    def __setitem__(self, symbol: str, cache: Any) -> None:
        if self.get(symbol) is not cache and hasattr(cache, "append"):
            append = cache.append

            def appended(trade: Any) -> None:
                append(trade)
                self._told(symbol, trade)

            cache.append = appended
        super().__setitem__(symbol, cache)


def _load_only(exchange: Any, symbols: tuple[str, ...]) -> None:
    """Load the kinds of markets that our symbols are, where ccxt lets one say so."""
    options = exchange.options.get("fetchMarkets")
    if not isinstance(options, dict) or not isinstance(options.get("types"), list):
        return
    wanted = {_SPOT for symbol in symbols if ":" not in symbol}
    wanted |= {kind for symbol in symbols if ":" in symbol for kind in _SWAP}
    kept = [kind for kind in options["types"] if kind in wanted]
    if kept:
        exchange.options["fetchMarkets"] = {**options, "types": kept}


def _named(names: str, symbol: str, market_id: str) -> bool:
    return symbol.lower() in names or market_id.lower() in names


def _key_of(books: dict[str, Any], book: Any) -> str:
    return next((symbol for symbol, kept in books.items() if kept is book), "")


def _text(value: float | str) -> str:
    """Digits of a float, without an exponent."""
    return value if isinstance(value, str) else f"{Decimal(repr(value)):f}"
