"""The desk's view of the market: one consolidated book per instrument, kept by an actor from the engine's data.

`Market` is the shared, loop-thread-only object that pricing, routing and the API feeds read. It never decides anything.
`MarketActor` is the only writer: venue books from `BookDeltas`, tops from quotes, LP ladders from topic `lp.ladder`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

import msgspec
from nautilus_trader.common.actor import Actor
from nautilus_trader.model.data import (
    FundingRateUpdate,
    IndexPriceUpdate,
    MarkPriceUpdate,
    OrderBookDeltas,
    QuoteTick,
    TradeTick,
)
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import FIXED_PRECISION

from adapters.nautilus import topics
from adapters.nautilus.book import BookDeltas, BookKind, levels_of
from adapters.nautilus.bus import Bus
from adapters.nautilus.feed import Feed
from adapters.nautilus.lp import LpLadder
from adapters.nautilus.perpetual import Liquidation
from adapters.nautilus.safe import LoopSafe, Safe
from desk.latency import Histogram
from desk.tca.tape import TradedVolume
from pricing.arrivals import TAKE_TOP, take_top
from pricing.concentration import Concentration
from pricing.consolidated import ConsolidatedBook
from pricing.cross import CrossBook
from pricing.day_profile import DayProfile
from pricing.entry import entry
from pricing.rates import Rates
from pricing.signals import Signals
from pricing.volatility import Volatility

SAMPLE_NS = 100_000_000  # of the fair value, for the volatility: its slow scale is 25 of them
MAX_RATE_AGE_NS = 5_000_000_000
NO_AGGRESSOR, BUYER = int(AggressorSide.NO_AGGRESSOR), int(AggressorSide.BUYER)  # the engine's ticks say it as a number


class BookChanged(msgspec.Struct, frozen=True, kw_only=True):
    """The book of `venue` in `symbol` changed; when it was cleared, `reason` says why in words."""

    symbol: str
    venue: str
    reason: str
    ts_event_ns: int
    ts_init_ns: int


class Funding(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue says of a perpetual each second; `rate` is that of the settlement at `next_ns` as it stands (0: not told)."""

    symbol: str
    venue: str
    mark: Decimal | None
    index: Decimal | None
    rate: Decimal
    next_ns: int
    ts_ns: int


class Market:
    """Books, last quotes and LP ladders by instrument, and who wants to hear of changes.

    `books[symbol]`: the consolidated book. `volatility[symbol]`: σ per √s of its fair value. `concentration[symbol]`: walls and flicker
    in its venues' depth. `signals[(symbol, venue)]`: order flow. `traded`: public volume. `last_quote[(symbol, venue)]`,
    `funding[(symbol, venue)]`, `ladders[(symbol, lp)]`: the latest of each. Perpetuals are told by a ":" in their symbols; rates and
    conversions are made of spot books alone. Listeners are called synchronously after the change; they must be quick; `on_lost` only
    when a book was cleared.
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
        own = {
            symbol: book
            for symbol, book in self.books.items()
            if ":" not in symbol and (not isinstance(book, CrossBook) or book.direct)
        }
        self.rates = Rates(own, max_age_ns=max_rate_age_ns, pegs=pegs)
        self.volatility: dict[str, Volatility] = {symbol: Volatility(profile=DayProfile()) for symbol in self.books}
        self.concentration = {symbol: Concentration(book.arena, book.venues) for symbol, book in self.books.items()}
        self.signals = {(symbol, venue): Signals() for symbol, book in self.books.items() for venue in book.venues}
        self.traded = TradedVolume()
        self._next_sample_ns = dict.fromkeys(self.books, 0)
        self.last_quote: dict[tuple[str, str], QuoteTick] = {}
        self.funding: dict[tuple[str, str], Funding] = {}
        self.ladders: dict[tuple[str, str], LpLadder] = {}
        self.on_book: list[Callable[[BookChanged], None]] = []
        self.on_lost: list[Callable[[BookChanged], None]] = []
        self.on_trade: list[Callable[[TradeTick], None]] = []
        self.on_quote: list[Callable[[QuoteTick], None]] = []
        self.on_ladder: list[Callable[[LpLadder], None]] = []
        self.on_funding: list[Callable[[Funding], None]] = []
        self.on_liquidation: list[Callable[[Liquidation], None]] = []

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
            self.volatility[sampled].update(now_ns, self.books[sampled].mid(now_ns))

    def lots(self, symbol: str) -> list[Decimal]:
        """The lot of each venue that lists a symbol, base currency."""
        book = self.books.get(symbol)
        return [] if book is None else [book.terms(venue).lot for venue in book.venues]

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
    """One venue's stream of one instrument: hears its messages and gives them to its book, its signals and whoever listens.

    `reprice` is called after each book message, with the time from its arrival to the call's return into `tick_to_price`.
    Numbers come in the venue's units, which are known once the instrument is.
    """

    __slots__ = (
        "_actor",
        "_arena",
        "_index",
        "_index_price",
        "_known",
        "_mark_price",
        "_pair",
        "_price_precision",
        "_price_unit",
        "_signals",
        "_size_precision",
        "_size_unit",
        "_take_top",
        "_traded",
        "book",
        "market",
    )

    def __init__(self, symbol: str, venue: str, actor: MarketActor) -> None:
        self._actor, self.market = actor, actor.market
        self._pair = (symbol, venue)
        self.book = self.market.books[symbol]
        self._arena, self._index = self.book.arena, self.book.index(venue)
        self._signals = self.market.signals[self._pair]
        self._traded = self.market.traded.of(symbol)
        self._take_top = entry(take_top, TAKE_TOP)
        self._known = False
        self._mark_price: Decimal | None = None
        self._index_price: Decimal | None = None
        self._price_precision = self._size_precision = 0
        self._price_unit = self._size_unit = 1

    def _learn(self, instrument_id: InstrumentId) -> None:
        """The venue's own increments and limits replace what the configuration assumed."""
        instrument: Instrument = self._actor.cache.instrument(instrument_id)
        self._price_precision, self._size_precision = instrument.price_precision, instrument.size_precision
        self._price_unit = 10 ** (FIXED_PRECISION - self._price_precision)
        self._size_unit = 10 ** (FIXED_PRECISION - self._size_precision)
        terms = self.book.terms(self._pair[1])
        taker, maker = terms.taker_fee_bps, terms.maker_fee_bps
        if self._pair[1] in self._actor.own_fees:
            taker = instrument.taker_fee * 10_000
        if maker is None:  # a list price: whoever takes for less does not rest for more
            maker = min(taker, instrument.maker_fee * 10_000)
        self.book.set_terms(
            msgspec.structs.replace(
                terms,
                tick=instrument.price_increment.as_decimal(),
                lot=instrument.size_increment.as_decimal(),
                min_quantity=instrument.min_quantity.as_decimal() if instrument.min_quantity else Decimal(0),
                min_notional=instrument.min_notional.as_decimal() if instrument.min_notional else Decimal(0),
                price_decimals=self._price_precision,
                size_decimals=self._size_precision,
                taker_fee_bps=taker,
                maker_fee_bps=maker,
            )
        )
        self._known = True

    def on_order_book_deltas(self, deltas: OrderBookDeltas) -> None:
        """Apply one book message in place; a CLEAR takes the venue out of pricing at once."""
        if not self._known:
            self._learn(deltas.instrument_id)
        symbol, venue = self._pair
        market = self.market
        if isinstance(deltas, BookDeltas):
            levels, kind, reason = deltas.levels, deltas.kind, deltas.reason
        else:
            levels, kind = levels_of(deltas, self._price_precision, self._size_precision)
            reason = "cleared by the venue client"
        ts_init = deltas.ts_init
        if kind is BookKind.CLEAR:
            self.book.clear(venue, reason, ts_init)
            market.concentration[symbol].forget(venue)
        else:
            self.book.apply(venue, levels, kind is BookKind.SNAPSHOT, ts_init)
            reason = ""
            market.concentration[symbol].scan(venue, ts_init)
            market.sample(symbol, ts_init)
        actor = self._actor
        if actor.reprice is not None:
            actor.reprice(symbol, ts_init)
            actor.tick_to_price.record(actor.clock.timestamp_ns() - ts_init)
        if market.on_book or reason:
            change = BookChanged(
                symbol=symbol, venue=venue, reason=reason, ts_event_ns=deltas.ts_event, ts_init_ns=ts_init
            )
            for listener in (*market.on_book, *market.on_lost) if reason else market.on_book:
                listener(change)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """A top of book: trims levels the depth stream has not removed yet."""
        if not self._known:
            self._learn(tick.instrument_id)
        market = self.market
        market.last_quote[self._pair] = tick
        price_unit, size_unit = self._price_unit, self._size_unit
        self._take_top(
            self._arena,
            self._index,
            tick.bid_price.raw // price_unit,
            tick.bid_size.raw // size_unit,
            tick.ask_price.raw // price_unit,
            tick.ask_size.raw // size_unit,
            tick.ts_init,
            self._signals.state,
        )
        for listener in market.on_quote:
            listener(tick)

    def on_trade_tick(self, tick: TradeTick) -> None:
        """A public trade: for the volume, the signals and the feeds."""
        if not self._known:
            self._learn(tick.instrument_id)
        size = tick.size.raw
        self._traded.add(tick.price.raw, size)
        aggressor = tick.aggressor_side
        if aggressor != NO_AGGRESSOR:
            side = 1 if aggressor == BUYER else -1
            self._signals.trade(tick.ts_init, side, size // self._size_unit)
        for listener in self.market.on_trade:
            listener(tick)

    def on_mark_price(self, update: MarkPriceUpdate) -> None:
        """Of a perpetual; told with the funding rate that follows."""
        self._mark_price = update.value.as_decimal()

    def on_index_price(self, update: IndexPriceUpdate) -> None:
        """The same."""
        self._index_price = update.value.as_decimal()

    def on_funding_rate(self, update: FundingRateUpdate) -> None:
        """The rate of the next settlement as it stands."""
        symbol, venue = self._pair
        funding = Funding(
            symbol=symbol,
            venue=venue,
            mark=self._mark_price,
            index=self._index_price,
            rate=update.rate,
            next_ns=update.next_funding_ns or 0,
            ts_ns=update.ts_event,
        )
        self.market.funding[self._pair] = funding
        for listener in self.market.on_funding:
            listener(funding)


class MarketActor(Safe, LoopSafe, Actor):
    """Applies the engine's market data to `Market`.

    `reprice` is called after each book change with the symbol; the time from receipt to its return is recorded in `tick_to_price`.
    `own_fees`: the venues whose instruments say what the account pays.
    """

    def __init__(
        self,
        market: Market,
        sources: Iterable[tuple[str, str]],
        reprice: Callable[[str, int], None] | None = None,
        own_fees: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__()
        self.market = market
        self.own_fees = own_fees
        self.tick_to_price = Histogram()
        self.reprice = reprice
        self._sources = {
            InstrumentId.from_str(f"{symbol}.{venue}"): _Source(symbol, venue, self) for symbol, venue in sources
        }

    def on_start(self) -> None:
        """Subscribe to every venue book, trade and quote stream, and to the LP ladders."""
        self.bind_loop()
        self._feed = Feed(self)
        for instrument_id, source in self._sources.items():
            self._feed.open(
                instrument_id,
                book=source.on_order_book_deltas,
                quote=source.on_quote_tick,
                trade=source.on_trade_tick,
            )
            if ":" in instrument_id.symbol.value:
                self._feed.open_perpetual(
                    instrument_id,
                    mark=source.on_mark_price,
                    index=source.on_index_price,
                    funding=source.on_funding_rate,
                )
        self._bus = Bus(self)
        self._bus.subscribe(topics.LP_LADDER, self.on_lp_ladder)
        self._bus.subscribe(topics.LIQUIDATION, self.on_liquidated)

    def on_stop(self) -> None:
        """Leave the bus."""
        self._feed.close()
        self._bus.close()

    def on_liquidated(self, closed: Liquidation) -> None:
        """A position in a perpetual that a venue closed by force."""
        for listener in self.market.on_liquidation:
            listener(closed)

    def on_lp_ladder(self, ladder: LpLadder) -> None:
        """A streamed LP ladder; empty rungs take the LP out of pricing."""
        self.market.ladders[(ladder.symbol, ladder.lp)] = ladder
        for listener in self.market.on_ladder:
            listener(ladder)
