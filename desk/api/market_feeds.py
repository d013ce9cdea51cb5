"""The public market channels: order books, bids and asks, tickers, trades, candles of one venue.

One `MarketHub` listens to `desk.market.Market` and wakes the subscriptions concerned; nothing is rendered before a socket has room.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from desk.api import ccxt_views
from desk.api.candles import KEPT, Candles, Timeframe
from desk.api.frames import Mode
from desk.api.subscriptions import Conflated
from desk.market import BookChanged, Funding, Market
from desk.service import Caller

if TYPE_CHECKING:
    from nautilus_trader.model.data import QuoteTick, TradeTick
    from nautilus_trader.model.identifiers import InstrumentId

    from adapters.nautilus.lp import LpLadder
    from adapters.nautilus.perpetual import Liquidation

Pair = tuple[str, str]  # (symbol, venue)
Listener = Callable[["TradeTick | None"], None]  # hears that something changed; of trades, which

RECENT_TRADES = 200  # kept per venue and symbol for the snapshot
MAX_SYMBOLS = 100  # of one subscription
MAX_WAITING_TRADES = 2_000  # per subscription; beyond it the oldest are dropped and counted in `conflated`
DEFAULT_HZ = 20.0


class MarketParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`params` of the channels for one symbol. `depth` means something for `watch_order_book` only."""

    venue: Annotated[str, Meta(min_length=1, max_length=32)]
    symbol: Annotated[str, Meta(min_length=1, max_length=64)]
    depth: Annotated[int, Meta(ge=1, le=500)] = 20
    hz: Annotated[float, Meta(gt=0, le=50)] = DEFAULT_HZ


class SymbolsParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`params` of the channels for several symbols: `symbols`, or one `symbol`; without either all that the venue has here."""

    venue: Annotated[str, Meta(min_length=1, max_length=32)]
    symbol: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    symbols: Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(max_length=MAX_SYMBOLS)] = []
    depth: Annotated[int, Meta(ge=1, le=500)] = 20
    hz: Annotated[float, Meta(gt=0, le=50)] = DEFAULT_HZ


class CandleParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`params` of `watch_ohlcv`. `limit`: candles of the snapshot."""

    venue: Annotated[str, Meta(min_length=1, max_length=32)]
    symbol: Annotated[str, Meta(min_length=1, max_length=64)]
    timeframe: Timeframe = "1m"
    limit: Annotated[int, Meta(ge=1, le=KEPT)] = 100
    hz: Annotated[float, Meta(gt=0, le=50)] = DEFAULT_HZ


class CandlesParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`params` of `watch_ohlcv_for_symbols`: symbols as in `SymbolsParams`."""

    venue: Annotated[str, Meta(min_length=1, max_length=32)]
    symbol: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    symbols: Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(max_length=MAX_SYMBOLS)] = []
    timeframe: Timeframe = "1m"
    limit: Annotated[int, Meta(ge=1, le=KEPT)] = 100
    hz: Annotated[float, Meta(gt=0, le=50)] = DEFAULT_HZ


Params = MarketParams | SymbolsParams | CandleParams | CandlesParams


class MarketHub:
    """Fans market changes out to subscriptions. Loop-thread only."""

    def __init__(self, market: Market, clock_ns: Callable[[], int]) -> None:
        self.market = market
        self.clock_ns = clock_ns
        self.book_ts: dict[Pair, int] = {}  # the venue's clock at the last book change
        self._lost_ns: dict[Pair, int] = {}  # when a book was cleared last
        self.candles: dict[Pair, Candles] = {}
        self._books: dict[Pair, set[Listener]] = {}
        self._quotes: dict[Pair, set[Listener]] = {}
        self._trades: dict[Pair, set[Listener]] = {}
        self._funding: dict[Pair, set[Listener]] = {}
        self._liquidations: dict[Pair, set[Callable[[Liquidation], None]]] = {}
        self._symbols: dict[str, set[Conflated]] = {}
        self._recent: dict[Pair, deque[TradeTick]] = {}
        self._closed: dict[Pair, deque[Liquidation]] = {}
        self._pairs: dict[InstrumentId, Pair] = {}
        market.on_book.append(self._on_book)
        market.on_trade.append(self._on_trade)
        market.on_quote.append(self._on_quote)
        market.on_ladder.append(self._on_ladder)
        market.on_funding.append(self._on_funding)
        market.on_liquidation.append(self._on_liquidation)

    def close(self) -> None:
        """Stop listening."""
        self.market.on_book.remove(self._on_book)
        self.market.on_trade.remove(self._on_trade)
        self.market.on_quote.remove(self._on_quote)
        self.market.on_ladder.remove(self._on_ladder)
        self.market.on_funding.remove(self._on_funding)
        self.market.on_liquidation.remove(self._on_liquidation)

    def watch_book(self, pair: Pair, listener: Listener) -> None:
        self._books.setdefault(pair, set()).add(listener)

    def watch_quote(self, pair: Pair, listener: Listener) -> None:
        self._quotes.setdefault(pair, set()).add(listener)

    def watch_trades(self, pair: Pair, listener: Listener) -> None:
        self._trades.setdefault(pair, set()).add(listener)

    def watch_funding(self, pair: Pair, listener: Listener) -> None:
        self._funding.setdefault(pair, set()).add(listener)

    def watch_liquidations(self, pair: Pair, listener: Callable[[Liquidation], None]) -> None:
        self._liquidations.setdefault(pair, set()).add(listener)

    def watch_symbol(self, symbol: str, feed: Conflated) -> None:
        """Anything that may change a price of `symbol`: any venue's book, any LP's ladder, the legs it is priced through."""
        for watched in (symbol, *self.market.legs(symbol)):
            self._symbols.setdefault(watched, set()).add(feed)

    def forget(self, listener: Listener | Conflated | Callable[[Liquidation], None]) -> None:
        """Take a listener out of every list."""
        tables = (self._books, self._quotes, self._trades, self._funding, self._liquidations, self._symbols)
        for table in tables:
            for listeners in table.values():
                listeners.discard(listener)  # type: ignore[attr-defined]

    def recent(self, pair: Pair) -> list[TradeTick]:
        """The last trades, oldest first."""
        return list(self._recent.get(pair, ()))

    def quote(self, pair: Pair) -> QuoteTick | None:
        """The venue's own best prices, unless its book was lost since: nobody knows whether they still hold."""
        quote = self.market.last_quote.get(pair)
        return quote if quote is not None and quote.ts_init > self._lost_ns.get(pair, -1) else None

    def closed(self, pair: Pair) -> list[Liquidation]:
        """The last liquidations, oldest first."""
        return list(self._closed.get(pair, ()))

    def _on_funding(self, funding: Funding) -> None:
        for listener in self._funding.get((funding.symbol, funding.venue), ()):
            listener(None)

    def _on_liquidation(self, closed: Liquidation) -> None:
        pair = (closed.symbol, closed.venue)
        self._closed.setdefault(pair, deque(maxlen=RECENT_TRADES)).append(closed)
        for listener in self._liquidations.get(pair, ()):
            listener(closed)

    def _on_book(self, change: BookChanged) -> None:
        pair = (change.symbol, change.venue)
        self.book_ts[pair] = change.ts_event_ns
        if change.reason:
            self._lost_ns[pair] = change.ts_init_ns
        for listener in self._books.get(pair, ()):
            listener(None)
        for feed in self._symbols.get(change.symbol, ()):
            feed.changed()

    def _on_ladder(self, ladder: LpLadder) -> None:
        for feed in self._symbols.get(ladder.symbol, ()):
            feed.changed()

    def _pair(self, instrument_id: InstrumentId) -> Pair:
        pair = self._pairs.get(instrument_id)
        if pair is None:
            pair = self._pairs[instrument_id] = (instrument_id.symbol.value, instrument_id.venue.value)
        return pair

    def _on_quote(self, tick: QuoteTick) -> None:
        if self._quotes:
            for listener in self._quotes.get(self._pair(tick.instrument_id), ()):
                listener(None)

    def _on_trade(self, tick: TradeTick) -> None:
        pair = self._pair(tick.instrument_id)
        recent = self._recent.get(pair)
        if recent is None:
            recent = self._recent[pair] = deque(maxlen=RECENT_TRADES)
            self.candles[pair] = Candles()
        recent.append(tick)
        self.candles[pair].hear(tick)
        for listener in self._trades.get(pair, ()):
            listener(tick)


class MarketFeed(Conflated):
    """What the market channels have in common. Data are of the symbols that changed since the last frame."""

    params: Any

    def __init__(self, number: int, channel: str, mode: Mode, caller: Caller, hub: MarketHub, params: Params) -> None:
        symbols = [params.symbol] if isinstance(params, MarketParams | CandleParams) else params.symbols
        super().__init__(number, channel, mode, caller, hub.clock_ns, 1.0 / params.hz)
        self.hub = hub
        self.params = params
        self.pairs: list[Pair] = [(symbol, params.venue) for symbol in symbols]
        self._changed: dict[Pair, int] = {}  # how often, in the order in which they changed first
        self._listeners: list[Listener] = []

    def attach(self) -> None:
        self._changed.clear()
        for pair in self.pairs:
            listener = partial(self._heard, pair)
            self._listeners.append(listener)
            self.watch(pair, listener)
            self._changed[pair] = 1

    @abstractmethod
    def watch(self, pair: Pair, listener: Listener) -> None:
        """Have `listener` hear what this feed is about."""

    def detach(self) -> None:
        for listener in self._listeners:
            self.hub.forget(listener)
        self._listeners.clear()

    def _heard(self, pair: Pair, _tick: TradeTick | None) -> None:
        self._changed[pair] = self._changed.get(pair, 0) + 1
        self.changed()


class OrderBookFeed(MarketFeed):
    """`watch_order_book` and `…_for_symbols`: the whole top of one book in every frame; those that wait take turns."""

    def __init__(self, number: int, channel: str, mode: Mode, caller: Caller, hub: MarketHub, params: Params) -> None:
        super().__init__(number, channel, mode, caller, hub, params)
        self.interval_s /= max(1, len(self.pairs))
        self._stands_for = 1

    def watch(self, pair: Pair, listener: Listener) -> None:
        self.hub.watch_book(pair, listener)

    def lost(self) -> int:
        return self._stands_for - 1

    def render(self) -> dict[str, Any] | None:
        if not self._changed:
            return None
        pair = next(iter(self._changed))
        self._stands_for = self._changed.pop(pair)
        if self._changed:
            self.changed()
        symbol, venue = pair
        book = self.hub.market.books[symbol]
        ts_event_ns = self.hub.book_ts.get(pair, 0)
        return ccxt_views.order_book(book, venue, self.params.depth, ts_event_ns, self._clock_ns())


class TopFeed(MarketFeed):
    """`watch_bids_asks`, `watch_ticker`: a ticker structure; `watch_tickers`: those that changed, by symbol. Tickers wake on trades too.

    Without prices while the venue's cannot be trusted.
    """

    def __init__(self, number: int, channel: str, mode: Mode, caller: Caller, hub: MarketHub, params: Params) -> None:
        super().__init__(number, channel, mode, caller, hub, params)
        self._told: dict[Pair, dict[str, Any]] = {}

    def attach(self) -> None:
        self._told.clear()
        super().attach()

    def watch(self, pair: Pair, listener: Listener) -> None:
        self.hub.watch_quote(pair, listener)
        self.hub.watch_book(pair, listener)
        if self.channel != "watch_bids_asks":
            self.hub.watch_trades(pair, listener)

    def render(self) -> dict[str, Any] | None:
        tickers = {pair: self._ticker(pair) for pair in self._changed}
        self._changed.clear()
        news = {
            pair: ticker for pair, ticker in tickers.items() if ticker != self._told.get(pair)
        }  # not of deeper levels
        self._told |= news
        if not news:
            return None
        return (
            {pair[0]: ticker for pair, ticker in news.items()}
            if self.channel == "watch_tickers"
            else next(iter(news.values()))
        )

    def _ticker(self, pair: Pair) -> dict[str, Any]:
        symbol, venue = pair
        market = self.hub.market
        recent = [] if self.channel == "watch_bids_asks" else self.hub.recent(pair)
        return ccxt_views.ticker(
            symbol,
            market.books.get(symbol),
            venue,
            self.hub.quote(pair),
            recent[-1] if recent else None,
            self.hub.book_ts.get(pair, 0),
            self._clock_ns(),
        )


class TradesFeed(MarketFeed):
    """`watch_trades` and `…_for_symbols`: the trades since the last frame, as ccxt gives them. The snapshot has the recent ones."""

    def __init__(self, number: int, channel: str, mode: Mode, caller: Caller, hub: MarketHub, params: Params) -> None:
        super().__init__(number, channel, mode, caller, hub, params)
        self._waiting: deque[tuple[Pair, TradeTick]] = deque()
        self._dropped = 0

    def attach(self) -> None:
        self._waiting.clear()
        self._dropped = 0
        super().attach()

    def watch(self, pair: Pair, listener: Listener) -> None:
        self.hub.watch_trades(pair, listener)

    def _heard(self, pair: Pair, tick: TradeTick | None) -> None:
        if tick is None:
            return
        if len(self._waiting) >= MAX_WAITING_TRADES:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append((pair, tick))
        self.changed()

    def lost(self) -> int:
        dropped, self._dropped = self._dropped, 0
        return dropped

    def render(self) -> list[dict[str, Any]] | None:
        ticks = list(self._waiting)
        if self.fresh:
            ticks = [(pair, tick) for pair in self.pairs for tick in self.hub.recent(pair)]
            ticks.sort(key=lambda item: item[1].ts_event)
        self._waiting.clear()
        if not ticks and not self.fresh:
            return None
        return [ccxt_views.trade(tick, pair[0]) for pair, tick in ticks]


class CandlesFeed(MarketFeed):
    """`watch_ohlcv`: rows; `watch_ohlcv_for_symbols`: rows by symbol and timeframe. After the snapshot, the rows that changed."""

    def __init__(self, number: int, channel: str, mode: Mode, caller: Caller, hub: MarketHub, params: Params) -> None:
        super().__init__(number, channel, mode, caller, hub, params)
        self._told_ms: dict[Pair, int] = {}  # the newest row that was told

    def attach(self) -> None:
        self._told_ms.clear()
        super().attach()

    def watch(self, pair: Pair, listener: Listener) -> None:
        self.hub.watch_trades(pair, listener)

    def render(self) -> Any:
        frame, self._changed = list(self._changed), {}
        rows = {pair[0]: self._rows(pair) for pair in frame}
        if not self.fresh and not any(rows.values()):
            return None
        if self.channel == "watch_ohlcv":
            return rows[self.pairs[0][0]]
        return {symbol: {self.params.timeframe: found} for symbol, found in rows.items()}

    def _rows(self, pair: Pair) -> list[Any]:
        candles = self.hub.candles.get(pair)
        if candles is None:
            return []
        rows = candles.rows(self.params.timeframe, self.params.limit)
        told_ms = self._told_ms.get(pair, 0)
        if rows:
            self._told_ms[pair] = rows[-1][0]
        return [row for row in rows if row[0] >= told_ms]
