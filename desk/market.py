"""The desk's view of the market: one consolidated book per instrument, kept by an actor from the engine's data.

`Market` is the shared, loop-thread-only object that pricing, routing and the API feeds read. It never decides anything.
`MarketActor` is the only writer: venue books from `BookDeltas`, tops from quotes, LP ladders from topic `lp.ladder`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec
from nautilus_trader.common.actor import Actor
from nautilus_trader.model.data import OrderBookDeltas, QuoteTick, TradeTick
from nautilus_trader.model.identifiers import InstrumentId

from adapters.nautilus import topics
from adapters.nautilus.book import BookDeltas, BookKind, levels_of
from adapters.nautilus.bus import Bus
from adapters.nautilus.lp import LpLadder
from adapters.nautilus.safe import LoopSafe, Safe
from desk.latency import Histogram
from pricing.consolidated import ConsolidatedBook
from pricing.volatility import Volatility


class BookChanged(msgspec.Struct, frozen=True, kw_only=True):
    """The book of `venue` in `symbol` changed; when it was cleared, `reason` says why in words."""

    symbol: str
    venue: str
    reason: str
    ts_event_ns: int
    ts_init_ns: int


class Market:
    """Books, last quotes and LP ladders by instrument, and who wants to hear of changes.

    `books[symbol]`: the consolidated book. `volatility[symbol]`: σ per √s of its fair value. `last_quote[(symbol, venue)]`,
    `ladders[(symbol, lp)]`: the latest of each. Listeners are called synchronously after the change; they must be quick.
    """

    def __init__(self, books: Iterable[ConsolidatedBook]) -> None:
        self.books: dict[str, ConsolidatedBook] = {book.symbol: book for book in books}
        self.volatility: dict[str, Volatility] = {symbol: Volatility() for symbol in self.books}
        self.last_quote: dict[tuple[str, str], QuoteTick] = {}
        self.ladders: dict[tuple[str, str], LpLadder] = {}
        self.on_book: list[Callable[[BookChanged], None]] = []
        self.on_trade: list[Callable[[TradeTick], None]] = []
        self.on_quote: list[Callable[[QuoteTick], None]] = []
        self.on_ladder: list[Callable[[LpLadder], None]] = []

    def fair(self, symbol: str, now_ns: int) -> Decimal | None:
        """Fair value from live books only, or None."""
        book = self.books.get(symbol)
        return book.fair(now_ns) if book else None

    def rungs(self, symbol: str, now_ns: int, max_age_ns: int) -> list[tuple[str, Decimal, Decimal, Decimal]]:
        """Streamed LP sizes that are fresh: (lp, quantity, bid, ask)."""
        return [
            (ladder.lp, rung.quantity, rung.bid, rung.ask)
            for (of, _), ladder in self.ladders.items()
            if of == symbol and now_ns - ladder.ts_ns <= max_age_ns
            for rung in ladder.rungs
        ]


class MarketActor(Safe, LoopSafe, Actor):
    """Applies the engine's market data to `Market`.

    `reprice` is called after each book change with the symbol; the time from receipt to its return is recorded in `tick_to_price`.
    """

    def __init__(
        self, market: Market, sources: Iterable[tuple[str, str]], reprice: Callable[[str, int], None] | None = None
    ) -> None:
        super().__init__()
        self.market = market
        self.tick_to_price = Histogram()
        self._reprice = reprice
        self._ids = {InstrumentId.from_str(f"{symbol}.{venue}"): (symbol, venue) for symbol, venue in sources}
        self._precisions: dict[InstrumentId, tuple[int, int]] = {}
        self._sampled_ns: dict[str, int] = {}

    def on_start(self) -> None:
        """Subscribe to every venue book, trade and quote stream, and to the LP ladders."""
        self.bind_loop()
        for instrument_id in self._ids:
            self.subscribe_order_book_deltas(instrument_id, managed=False)
            self.subscribe_trade_ticks(instrument_id)
            self.subscribe_quote_ticks(instrument_id)
        self._bus = Bus(self)
        self._bus.subscribe(topics.LP_LADDER, self.on_lp_ladder)

    def on_stop(self) -> None:
        """Leave the bus."""
        self._bus.close()

    def on_order_book_deltas(self, deltas: OrderBookDeltas) -> None:
        """Apply one book message in place; a CLEAR takes the venue out of pricing at once."""
        symbol, venue = self._ids[deltas.instrument_id]
        book = self.market.books[symbol]
        if deltas.instrument_id not in self._precisions:
            self._precision(deltas.instrument_id)
        if isinstance(deltas, BookDeltas):
            levels, kind, reason = deltas.levels, deltas.kind, deltas.reason
        else:
            levels, kind = levels_of(deltas, *self._precision(deltas.instrument_id))
            reason = "cleared by the venue client"
        ts_init = deltas.ts_init
        if kind is BookKind.CLEAR:
            book.clear(venue, reason, ts_init)
        else:
            book.apply(venue, levels, kind is BookKind.SNAPSHOT, ts_init)
            reason = ""
            if ts_init - self._sampled_ns.get(symbol, 0) >= 1_000_000_000:
                self._sample(symbol, ts_init)
        if self._reprice is not None:
            self._reprice(symbol, ts_init)
            self.tick_to_price.record(self.clock.timestamp_ns() - ts_init)
        if self.market.on_book:
            change = BookChanged(
                symbol=symbol, venue=venue, reason=reason, ts_event_ns=deltas.ts_event, ts_init_ns=ts_init
            )
            for listener in self.market.on_book:
                listener(change)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """A top of book: trims levels the depth stream has not removed yet."""
        pair = self._ids[tick.instrument_id]
        symbol, venue = pair
        self.market.last_quote[pair] = tick
        self.market.books[symbol].mark_top(venue, *_top_of(tick, *self._precision(tick.instrument_id)), tick.ts_init)
        for listener in self.market.on_quote:
            listener(tick)

    def on_trade_tick(self, tick: TradeTick) -> None:
        """A public trade: for the feeds only."""
        for listener in self.market.on_trade:
            listener(tick)

    def on_lp_ladder(self, ladder: LpLadder) -> None:
        """A streamed LP ladder; empty rungs take the LP out of pricing."""
        self.market.ladders[(ladder.symbol, ladder.lp)] = ladder
        for listener in self.market.on_ladder:
            listener(ladder)

    def _precision(self, instrument_id: InstrumentId) -> tuple[int, int]:
        found = self._precisions.get(instrument_id)
        if found is None:
            found = self._precisions[instrument_id] = self._adopt(instrument_id)
        return found

    def _adopt(self, instrument_id: InstrumentId) -> tuple[int, int]:
        """The venue's own increments and limits replace what the configuration assumed."""
        symbol, venue = self._ids[instrument_id]
        instrument = self.cache.instrument(instrument_id)
        book = self.market.books[symbol]
        book.set_terms(
            msgspec.structs.replace(
                book.terms(venue),
                tick=instrument.price_increment.as_decimal(),
                lot=instrument.size_increment.as_decimal(),
                min_quantity=instrument.min_quantity.as_decimal() if instrument.min_quantity else Decimal(0),
                min_notional=instrument.min_notional.as_decimal() if instrument.min_notional else Decimal(0),
                price_decimals=instrument.price_precision,
                size_decimals=instrument.size_precision,
            )
        )
        return instrument.price_precision, instrument.size_precision

    def _sample(self, symbol: str, now_ns: int) -> None:
        """Feed the volatility estimate once a second: tick-level variance would measure the bounce, not the market."""
        self._sampled_ns[symbol] = now_ns
        fair = self.market.fair(symbol, now_ns)
        if fair is not None:
            self.market.volatility[symbol].update(now_ns, float(fair))


def _top_of(tick: QuoteTick, price_precision: int, size_precision: int) -> tuple[int, int, int, int]:
    """Bid, bid size, ask, ask size in units of the venue's precisions. Engine raws are fixed-point with 16 decimals."""
    price_unit = 10 ** (16 - price_precision)
    size_unit = 10 ** (16 - size_precision)
    return (
        tick.bid_price.raw // price_unit,
        tick.bid_size.raw // size_unit,
        tick.ask_price.raw // price_unit,
        tick.ask_size.raw // size_unit,
    )
