"""The public market channels: order book, bids and asks, ticker, trades of one venue and symbol.

One `MarketHub` listens to `desk.market.Market` and wakes the subscriptions concerned; nothing is rendered before a socket has room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from desk.api import ccxt_views
from desk.api.frames import Mode
from desk.api.subscriptions import Conflated
from desk.market import BookChanged, Market
from desk.service import Caller

if TYPE_CHECKING:
    from nautilus_trader.model.data import QuoteTick, TradeTick
    from nautilus_trader.model.identifiers import InstrumentId

    from adapters.nautilus.lp import LpLadder

Pair = tuple[str, str]  # (symbol, venue)

RECENT_TRADES = 200  # kept per venue and symbol for the snapshot
MAX_WAITING_TRADES = 2_000  # per subscription; beyond it the oldest are dropped and counted in `conflated`
DEFAULT_HZ = 20.0


class MarketParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`params` of the market channels. `depth` means something for `watch_order_book` only."""

    venue: Annotated[str, Meta(min_length=1, max_length=32)]
    symbol: Annotated[str, Meta(min_length=1, max_length=64)]
    depth: Annotated[int, Meta(ge=1, le=500)] = 20
    hz: Annotated[float, Meta(gt=0, le=50)] = DEFAULT_HZ


class MarketHub:
    """Fans market changes out to subscriptions. Loop-thread only."""

    def __init__(self, market: Market, clock_ns: Callable[[], int]) -> None:
        self.market = market
        self.clock_ns = clock_ns
        self.book_ts: dict[Pair, int] = {}  # the venue's clock at the last book change
        self._books: dict[Pair, set[Conflated]] = {}
        self._quotes: dict[Pair, set[Conflated]] = {}
        self._trades: dict[Pair, set[TradesFeed | TopFeed]] = {}
        self._symbols: dict[str, set[Conflated]] = {}
        self._recent: dict[Pair, deque[TradeTick]] = {}
        self._pairs: dict[InstrumentId, Pair] = {}
        market.on_book.append(self._on_book)
        market.on_trade.append(self._on_trade)
        market.on_quote.append(self._on_quote)
        market.on_ladder.append(self._on_ladder)

    def close(self) -> None:
        """Stop listening."""
        self.market.on_book.remove(self._on_book)
        self.market.on_trade.remove(self._on_trade)
        self.market.on_quote.remove(self._on_quote)
        self.market.on_ladder.remove(self._on_ladder)

    def watch_book(self, pair: Pair, feed: Conflated) -> None:
        self._books.setdefault(pair, set()).add(feed)

    def watch_quote(self, pair: Pair, feed: Conflated) -> None:
        self._quotes.setdefault(pair, set()).add(feed)

    def watch_trades(self, pair: Pair, feed: TradesFeed | TopFeed) -> None:
        self._trades.setdefault(pair, set()).add(feed)

    def watch_symbol(self, symbol: str, feed: Conflated) -> None:
        """Anything that may change a price of `symbol`: any venue's book, any LP's ladder, the legs it is priced through."""
        for watched in (symbol, *self.market.legs(symbol)):
            self._symbols.setdefault(watched, set()).add(feed)

    def forget(self, feed: Conflated) -> None:
        """Take a feed out of every list."""
        for table in (self._books, self._quotes, self._trades, self._symbols):
            for feeds in table.values():
                feeds.discard(feed)  # type: ignore[arg-type]

    def recent(self, pair: Pair) -> list[TradeTick]:
        """The last trades, oldest first."""
        return list(self._recent.get(pair, ()))

    def _on_book(self, change: BookChanged) -> None:
        pair = (change.symbol, change.venue)
        self.book_ts[pair] = change.ts_event_ns
        for feed in self._books.get(pair, ()):
            feed.changed()
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
            for feed in self._quotes.get(self._pair(tick.instrument_id), ()):
                feed.changed()

    def _on_trade(self, tick: TradeTick) -> None:
        pair = self._pair(tick.instrument_id)
        recent = self._recent.get(pair)
        if recent is None:
            recent = self._recent[pair] = deque(maxlen=RECENT_TRADES)
        recent.append(tick)
        for feed in self._trades.get(pair, ()):
            feed.on_trade(tick)


class MarketFeed(Conflated):
    """What the market channels have in common."""

    def __init__(
        self, number: int, channel: str, mode: Mode, caller: Caller, hub: MarketHub, params: MarketParams
    ) -> None:
        super().__init__(number, channel, mode, caller, hub.clock_ns, 1.0 / params.hz)
        self.hub = hub
        self.params = params
        self.pair: Pair = (params.symbol, params.venue)

    def detach(self) -> None:
        self.hub.forget(self)


class OrderBookFeed(MarketFeed):
    """`watch_order_book`: the whole top of the book in every frame."""

    def attach(self) -> None:
        self.hub.watch_book(self.pair, self)

    def render(self) -> dict[str, Any]:
        symbol, venue = self.pair
        book = self.hub.market.books[symbol]
        ts_event_ns = self.hub.book_ts.get(self.pair, 0)
        return ccxt_views.order_book(book, venue, self.params.depth, ts_event_ns, self._clock_ns())


class TopFeed(MarketFeed):
    """`watch_bids_asks` and `watch_ticker`: a ticker structure; the latter wakes on trades too."""

    def attach(self) -> None:
        self.hub.watch_quote(self.pair, self)
        self.hub.watch_book(self.pair, self)
        if self.channel == "watch_ticker":
            self.hub.watch_trades(self.pair, self)

    def on_trade(self, _tick: TradeTick) -> None:
        """The last price changed."""
        self.changed()

    def render(self) -> dict[str, Any]:
        symbol, venue = self.pair
        market = self.hub.market
        recent = self.hub.recent(self.pair) if self.channel == "watch_ticker" else []
        return ccxt_views.ticker(
            symbol,
            market.books.get(symbol),
            venue,
            market.last_quote.get(self.pair),
            recent[-1] if recent else None,
            self.hub.book_ts.get(self.pair, 0),
            self._clock_ns(),
        )


class TradesFeed(MarketFeed):
    """`watch_trades`: a list of the trades since the last frame, as ccxt gives them. The snapshot has the recent ones."""

    def __init__(
        self, number: int, channel: str, mode: Mode, caller: Caller, hub: MarketHub, params: MarketParams
    ) -> None:
        super().__init__(number, channel, mode, caller, hub, params)
        self._waiting: deque[TradeTick] = deque()
        self._dropped = 0

    def attach(self) -> None:
        self._waiting.clear()
        self._dropped = 0
        self.hub.watch_trades(self.pair, self)

    def on_trade(self, tick: TradeTick) -> None:
        """One more."""
        if len(self._waiting) >= MAX_WAITING_TRADES:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(tick)
        self.changed()

    def lost(self) -> int:
        dropped, self._dropped = self._dropped, 0
        return dropped

    def render(self) -> list[dict[str, Any]] | None:
        ticks = self.hub.recent(self.pair) if self.fresh else list(self._waiting)
        self._waiting.clear()
        if not ticks and not self.fresh:
            return None
        return [ccxt_views.trade(tick, self.pair[0]) for tick in ticks]
