"""The desk's view of the market: one consolidated book per instrument, kept by an actor from the engine's data.

`Market` is the shared, loop-thread-only object that pricing, routing and the API feeds read. It never decides anything.
`MarketActor` is the only writer: venue books from `BookDeltas`, tops from quotes, LP ladders from topic `lp.ladder`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

import msgspec
from nautilus_trader.common.actor import Actor
from nautilus_trader.model.data import OrderBookDeltas, QuoteTick, TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import FIXED_PRECISION

from adapters.nautilus import topics
from adapters.nautilus.book import BookDeltas, BookKind, levels_of
from adapters.nautilus.bus import Bus
from adapters.nautilus.lp import LpLadder
from adapters.nautilus.safe import LoopSafe, Safe
from desk.latency import Histogram
from pricing.concentration import Concentration
from pricing.consolidated import ConsolidatedBook
from pricing.cross import CrossBook
from pricing.day_profile import DayProfile
from pricing.rates import Rates
from pricing.signals import Signals
from pricing.volatility import Volatility

SAMPLE_NS = 100_000_000  # of the fair value, for the volatility: its slow scale is 25 of them
MAX_RATE_AGE_NS = 5_000_000_000


class BookChanged(msgspec.Struct, frozen=True, kw_only=True):
    """The book of `venue` in `symbol` changed; when it was cleared, `reason` says why in words."""

    symbol: str
    venue: str
    reason: str
    ts_event_ns: int
    ts_init_ns: int


class Market:
    """Books, last quotes and LP ladders by instrument, and who wants to hear of changes.

    `books[symbol]`: the consolidated book. `volatility[symbol]`: σ per √s of its fair value. `concentration[symbol]`: walls and flicker
    in its venues' depth. `signals[(symbol, venue)]`: order flow. `last_quote[(symbol, venue)]`,
    `ladders[(symbol, lp)]`: the latest of each. Listeners are called synchronously after the change; they must be quick.
    """

    def __init__(
        self,
        books: Iterable[ConsolidatedBook],
        *,
        max_rate_age_ns: int = MAX_RATE_AGE_NS,
        pegs: Mapping[str, Decimal] | None = None,
    ) -> None:
        self.books: dict[str, ConsolidatedBook] = {book.symbol: book for book in books}
        self.crosses: dict[str, list[str]] = {}  # leg -> the instruments that are priced through it
        for book in self.books.values():
            for leg in book.legs if isinstance(book, CrossBook) else ():
                self.crosses.setdefault(leg.symbol, []).append(book.symbol)
        own = {symbol: book for symbol, book in self.books.items() if not isinstance(book, CrossBook) or book.direct}
        self.rates = Rates(own, max_age_ns=max_rate_age_ns, pegs=pegs)
        self.volatility: dict[str, Volatility] = {symbol: Volatility(profile=DayProfile()) for symbol in self.books}
        self.concentration = {symbol: Concentration(book.arena, book.venues) for symbol, book in self.books.items()}
        self.signals = {(symbol, venue): Signals() for symbol, book in self.books.items() for venue in book.venues}
        self._next_sample_ns = dict.fromkeys(self.books, 0)
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

    def sample(self, symbol: str, now_ns: int) -> None:
        """After a book message of `symbol`: every `SAMPLE_NS`, show the volatility estimates its fair value and those of the
        instruments that are priced through it. They tell the market from the bounce by themselves."""
        if now_ns < self._next_sample_ns[symbol]:
            return
        self._next_sample_ns[symbol] = now_ns + SAMPLE_NS
        for sampled in (symbol, *self.crosses.get(symbol, ())):
            fair = self.fair(sampled, now_ns)
            if fair is not None:
                self.volatility[sampled].update(now_ns, float(fair))

    def venues(self, symbol: str) -> list[str]:
        """Venues that list the symbol; what is only priced through others has none."""
        book = self.books[symbol]
        return book.direct if isinstance(book, CrossBook) else book.venues

    def legs(self, symbol: str) -> list[str]:
        """The instruments a synthetic one is priced through; [] for any other."""
        book = self.books.get(symbol)
        return [leg.symbol for leg in book.legs] if isinstance(book, CrossBook) else []

    def through(self, symbol: str) -> list[str]:
        """The currency between the legs of a synthetic instrument; [] for any other."""
        return [leg.split("/")[1] for leg in self.legs(symbol)[:1]]

    def marks(self, currency: str, now_ns: int) -> dict[str, Decimal]:
        """What one unit of each currency is worth in `currency`, by live books; those without a rate are missing."""
        return self.rates.marks(currency, now_ns)

    def rungs(self, symbol: str, now_ns: int, max_age_ns: int) -> list[tuple[str, Decimal, Decimal, Decimal]]:
        """Streamed LP sizes that are fresh: (lp, quantity, bid, ask)."""
        return [
            (ladder.lp, rung.quantity, rung.bid, rung.ask)
            for (of, _), ladder in self.ladders.items()
            if of == symbol and now_ns - ladder.ts_ns <= max_age_ns
            for rung in ladder.rungs
        ]


class _Source:
    """One venue's stream of one instrument: its book, and the units its numbers come in once the instrument is known."""

    __slots__ = ("book", "known", "pair", "price_precision", "price_unit", "signals", "size_precision", "size_unit")

    def __init__(self, symbol: str, venue: str, market: Market) -> None:
        self.pair = (symbol, venue)
        self.book = market.books[symbol]
        self.signals = market.signals[self.pair]
        self.known = False
        self.price_precision = self.size_precision = 0
        self.price_unit = self.size_unit = 1

    def learn(self, instrument: Instrument) -> None:
        """The venue's own increments and limits replace what the configuration assumed."""
        self.price_precision, self.size_precision = instrument.price_precision, instrument.size_precision
        self.price_unit = 10 ** (FIXED_PRECISION - self.price_precision)
        self.size_unit = 10 ** (FIXED_PRECISION - self.size_precision)
        terms = self.book.terms(self.pair[1])
        maker = terms.maker_fee_bps
        if maker is None:  # a list price: whoever takes for less does not rest for more
            maker = min(terms.taker_fee_bps, instrument.maker_fee * 10_000)
        self.book.set_terms(
            msgspec.structs.replace(
                terms,
                tick=instrument.price_increment.as_decimal(),
                lot=instrument.size_increment.as_decimal(),
                min_quantity=instrument.min_quantity.as_decimal() if instrument.min_quantity else Decimal(0),
                min_notional=instrument.min_notional.as_decimal() if instrument.min_notional else Decimal(0),
                price_decimals=self.price_precision,
                size_decimals=self.size_precision,
                maker_fee_bps=maker,
            )
        )
        self.known = True


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
        self._sources = {
            InstrumentId.from_str(f"{symbol}.{venue}"): _Source(symbol, venue, market) for symbol, venue in sources
        }

    def on_start(self) -> None:
        """Subscribe to every venue book, trade and quote stream, and to the LP ladders."""
        self.bind_loop()
        for instrument_id in self._sources:
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
        source = self._source(deltas.instrument_id)
        symbol, venue = source.pair
        if isinstance(deltas, BookDeltas):
            levels, kind, reason = deltas.levels, deltas.kind, deltas.reason
        else:
            levels, kind = levels_of(deltas, source.price_precision, source.size_precision)
            reason = "cleared by the venue client"
        ts_init = deltas.ts_init
        if kind is BookKind.CLEAR:
            source.book.clear(venue, reason, ts_init)
            self.market.concentration[symbol].forget(venue)
        else:
            source.book.apply(venue, levels, kind is BookKind.SNAPSHOT, ts_init)
            reason = ""
            self.market.concentration[symbol].scan(venue, ts_init)
            self.market.sample(symbol, ts_init)
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
        source = self._source(tick.instrument_id)
        self.market.last_quote[source.pair] = tick
        price_unit, size_unit = source.price_unit, source.size_unit
        bid, bid_size = tick.bid_price.raw // price_unit, tick.bid_size.raw // size_unit
        ask, ask_size = tick.ask_price.raw // price_unit, tick.ask_size.raw // size_unit
        source.book.mark_top(source.pair[1], bid, bid_size, ask, ask_size, tick.ts_init)
        source.signals.quote(tick.ts_init, bid, bid_size, ask, ask_size)
        for listener in self.market.on_quote:
            listener(tick)

    def on_trade_tick(self, tick: TradeTick) -> None:
        """A public trade: for the signals and the feeds."""
        source = self._source(tick.instrument_id)
        if tick.aggressor_side != AggressorSide.NO_AGGRESSOR:
            side = 1 if tick.aggressor_side == AggressorSide.BUYER else -1
            source.signals.trade(tick.ts_init, side, tick.size.raw // source.size_unit)
        for listener in self.market.on_trade:
            listener(tick)

    def on_lp_ladder(self, ladder: LpLadder) -> None:
        """A streamed LP ladder; empty rungs take the LP out of pricing."""
        self.market.ladders[(ladder.symbol, ladder.lp)] = ladder
        for listener in self.market.on_ladder:
            listener(ladder)

    def _source(self, instrument_id: InstrumentId) -> _Source:
        source = self._sources[instrument_id]
        if not source.known:
            source.learn(self.cache.instrument(instrument_id))
        return source
