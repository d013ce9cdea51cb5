"""The tape as the engine's data, with two clocks: `ts_event` is the venue's, `ts_init` when it arrived, and that is when the desk sees it.

Every event of a simulated venue (`sim.events.VenueEvent`) becomes one engine object: book messages `BookDeltas` that carry the same levels
as an array, tops `QuoteTick`, prints `TradeTick`. Prices stay integers all the way: they are rescaled, never parsed or rounded.
"""

from __future__ import annotations

import gc
import heapq
from collections.abc import Iterable, Iterator
from itertools import takewhile
from operator import attrgetter

import msgspec
import numpy as np
from nautilus_trader.core.data import Data
from nautilus_trader.model.data import OrderBookDelta, OrderBookDeltas, QuoteTick, TradeTick
from nautilus_trader.model.enums import AggressorSide, BookAction, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, TradeId
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import FIXED_PRECISION, FIXED_SCALAR, Price, Quantity

from adapters.nautilus.book import BookDeltas, BookKind
from sim.events import EventKind, VenueEvent
from sim.feed import binance_events, binance_instrument_of, kraken_events, kraken_instrument_of
from sim.generator import generated_events
from sim.instruments import VenueInstrument, binance_instrument, kraken_instrument
from sim.replay.listing import engine_instrument
from sim.tape import TapeInfo
from sim.transform import transform

Market = tuple[VenueInstrument, Iterable[VenueEvent]]

GENERATED_START_NS = 1_700_000_000_000_000_000
F_SNAPSHOT = 32
F_LAST = 128
assert 10**FIXED_PRECISION == FIXED_SCALAR


class TapeData(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay runs on. `first` has one plain book message per instrument, which is how the engine learns that there is book data;
    `events` is everything else, by arrival. Times in ns of the tape's clock."""

    listings: tuple[VenueInstrument, ...]
    instruments: tuple[CurrencyPair, ...]
    first: tuple[OrderBookDeltas, ...]
    events: list[Data]
    clears: int
    first_ns: int
    last_ns: int

    @property
    def messages(self) -> int:
        """How many messages the engine is given."""
        return len(self.first) + len(self.events)


def load(tapes: Iterable[TapeInfo], seed: int, *, from_ns: int | None = None, to_ns: int | None = None) -> TapeData:
    """Both simulated venues of every tape, between two arrival times. What came before `from_ns` is given as one snapshot at `from_ns`.

    Raises ValueError when nothing is left.
    """
    markets: list[Market] = []
    for tape in tapes:
        markets.append((binance_instrument_of(tape), binance_events(tape)))
        markets.append((kraken_instrument_of(tape), kraken_events(tape, seed)))
    return assemble([(listing, _between(events, from_ns, to_ns)) for listing, events in markets])


def generated(symbol: str, seed: int, seconds: float, start_ns: int = GENERATED_START_NS) -> TapeData:
    """Both simulated venues of a generated market, for when there is no tape."""
    source = binance_instrument(symbol)
    target = kraken_instrument(symbol, source)
    end_ns = start_ns + int(seconds * 1e9)

    def events() -> Iterator[VenueEvent]:
        return takewhile(lambda event: event.ts_init_ns <= end_ns, generated_events(symbol, seed, start_ns=start_ns))

    return assemble([(source, events()), (target, transform(events(), seed, source, target))])


def assemble(markets: Iterable[Market]) -> TapeData:
    """Events of several listings as one stream. Raises ValueError when there is none."""
    listings: list[VenueInstrument] = []
    streams: list[Iterator[Data]] = []
    for listing, events in markets:
        listings.append(listing)
        streams.append(_Encoder(listing).encode(events))
    collecting = gc.isenabled()
    gc.disable()  # a million long-lived objects are about to be made, and none of them is garbage
    try:
        merged = list(heapq.merge(*streams, key=attrgetter("ts_init")))
    finally:
        if collecting:
            gc.enable()
    if not merged:
        raise ValueError("no event of the tape lies between these times")
    first, events = _split_first(listings, merged)
    return TapeData(
        listings=tuple(listings),
        instruments=tuple(engine_instrument(listing) for listing in listings),
        first=first,
        events=events,
        clears=sum(isinstance(event, BookDeltas) and event.kind is BookKind.CLEAR for event in merged),
        first_ns=merged[0].ts_init,
        last_ns=merged[-1].ts_init,
    )


class _Encoder:
    """Makes engine objects of one listing's events."""

    def __init__(self, listing: VenueInstrument) -> None:
        self._id = InstrumentId.from_str(f"{listing.symbol}.{listing.venue}")
        self._price_decimals = listing.price_decimals
        self._size_decimals = listing.size_decimals
        self._price_unit = 10 ** (FIXED_PRECISION - listing.price_decimals)
        self._size_unit = 10 ** (FIXED_PRECISION - listing.size_decimals)

    def encode(self, events: Iterable[VenueEvent]) -> Iterator[Data]:
        """One object per event; a book update without levels changes nothing and is left out."""
        for event in events:
            match event.kind:
                case EventKind.QUOTE:
                    yield self._quote(event)
                case EventKind.TRADE:
                    yield self._trade(event)
                case EventKind.UPDATE if event.levels is None or not len(event.levels):
                    pass
                case EventKind.UPDATE:
                    yield self._book(event, BookKind.UPDATE)
                case EventKind.SNAPSHOT:
                    yield self._book(event, BookKind.SNAPSHOT)
                case EventKind.CLEAR:
                    yield self._book(event, BookKind.CLEAR)

    def _quote(self, event: VenueEvent) -> QuoteTick:
        price, size = self._price_unit, self._size_unit
        return QuoteTick.from_raw(
            self._id,
            event.bid * price,
            event.ask * price,
            self._price_decimals,
            self._price_decimals,
            event.bid_size * size,
            event.ask_size * size,
            self._size_decimals,
            self._size_decimals,
            event.ts_event_ns,
            event.ts_init_ns,
        )

    def _trade(self, event: VenueEvent) -> TradeTick:
        return TradeTick(
            self._id,
            Price.from_raw(event.price * self._price_unit, self._price_decimals),
            Quantity.from_raw(event.size * self._size_unit, self._size_decimals),
            AggressorSide.BUYER if event.side > 0 else AggressorSide.SELLER,
            TradeId(event.trade_id),
            event.ts_event_ns,
            event.ts_init_ns,
        )

    def _book(self, event: VenueEvent, kind: BookKind) -> BookDeltas:
        levels = event.levels if event.levels is not None else np.empty((0, 3), dtype=np.int64)
        return BookDeltas(self._id, list(self._deltas(event, kind, levels)), levels, kind, event.reason)

    def _deltas(self, event: VenueEvent, kind: BookKind, levels: np.ndarray) -> Iterator[OrderBookDelta]:
        ts_event, ts_init, instrument_id = event.ts_event_ns, event.ts_init_ns, self._id
        price_decimals, size_decimals = self._price_decimals, self._size_decimals
        price_unit, size_unit = self._price_unit, self._size_unit
        if kind is not BookKind.UPDATE:
            yield OrderBookDelta.clear(instrument_id, 0, ts_event, ts_init)
        present, flags = (BookAction.UPDATE, 0) if kind is BookKind.UPDATE else (BookAction.ADD, F_SNAPSHOT)
        rows = levels.tolist()
        last = len(rows) - 1
        make, buy, sell, gone = OrderBookDelta.from_raw, OrderSide.BUY, OrderSide.SELL, BookAction.DELETE
        for index, (side, price, size) in enumerate(rows):
            yield make(
                instrument_id,
                present if size else gone,
                buy if side > 0 else sell,
                price * price_unit,
                price_decimals,
                size * size_unit,
                size_decimals,
                price,  # any id that is unique per price level does
                flags | F_LAST if index == last else flags,
                0,
                ts_event,
                ts_init,
            )


def _between(events: Iterable[VenueEvent], from_ns: int | None, to_ns: int | None) -> Iterator[VenueEvent]:
    """Events that arrive within [from_ns, to_ns]; the book as it stood at `from_ns` comes first, as a snapshot."""
    book: dict[tuple[int, int], int] = {}
    whole = False
    before: VenueEvent | None = None
    for event in events:
        if to_ns is not None and event.ts_init_ns > to_ns:
            break
        if from_ns is None or event.ts_init_ns >= from_ns:
            if before is not None and whole and event.kind is not EventKind.SNAPSHOT:
                yield _snapshot_of(book, before, from_ns or 0)
            before, whole = None, False
            from_ns = None
            yield event
            continue
        before = event
        match event.kind:
            case EventKind.SNAPSHOT | EventKind.CLEAR:
                book.clear()
                whole = event.kind is EventKind.SNAPSHOT
        if event.levels is not None:
            for side, price, size in event.levels.tolist():
                if size:
                    book[side, price] = size
                else:
                    book.pop((side, price), None)


def _snapshot_of(book: dict[tuple[int, int], int], before: VenueEvent, at_ns: int) -> VenueEvent:
    bids = sorted((key for key in book if key[0] > 0), key=lambda key: -key[1])
    asks = sorted((key for key in book if key[0] < 0), key=lambda key: key[1])
    levels = np.array([(side, price, book[side, price]) for side, price in (*bids, *asks)], dtype=np.int64)
    return VenueEvent(
        kind=EventKind.SNAPSHOT,
        symbol=before.symbol,
        ts_event_ns=before.ts_event_ns,
        ts_init_ns=at_ns,
        levels=levels.reshape(-1, 3),
    )


def _split_first(listings: list[VenueInstrument], merged: list[Data]) -> tuple[tuple[OrderBookDeltas, ...], list[Data]]:
    """Take the first snapshot of each instrument out of the stream and make it a plain message of the engine's own class.

    The engine registers book data by exact class of a list's first item. An instrument that never gets a book has an empty one.
    """
    firsts: dict[str, OrderBookDeltas] = {}
    taken: set[int] = set()
    wanted = {f"{listing.symbol}.{listing.venue}" for listing in listings}
    for index, event in enumerate(merged):
        if not wanted:
            break
        if isinstance(event, BookDeltas) and event.kind is BookKind.SNAPSHOT and event.instrument_id.value in wanted:
            wanted.discard(event.instrument_id.value)
            firsts[event.instrument_id.value] = OrderBookDeltas(event.instrument_id, event.deltas)
            taken.add(index)
    at_ns = merged[0].ts_init
    for name in sorted(wanted):
        instrument_id = InstrumentId.from_str(name)
        clear = OrderBookDelta.clear(instrument_id, 0, at_ns, at_ns)
        firsts[name] = OrderBookDeltas(instrument_id, [clear])
    rest = [event for index, event in enumerate(merged) if index not in taken] if taken else merged
    return tuple(firsts[name] for name in sorted(firsts)), rest
