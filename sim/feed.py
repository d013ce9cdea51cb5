"""Market events of the simulated venues, from a tape or from the generator: what servers and replays both consume.

`binance_events` is the tape itself in integers; `derived_events` is the tape through `sim.transform`, for every other exchange. Both are
lazy, endless never (a server loops them itself), and pure functions of (tape, seed).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sim.events import EventKind, VenueEvent
from sim.instruments import (
    DERIVED,
    KRAKEN,
    VenueInstrument,
    binance_instrument,
    binanceusdm_instrument,
    kraken_instrument,
)
from sim.tape import E8, Depth, ProblemKind, Quote, Snapshot, TapeInfo, TapeProblem, Trade, read, scan
from sim.tape_book import Step, TapeBook
from sim.transform import transform


def _info(tape: TapeInfo | Path | str) -> TapeInfo:
    return tape if isinstance(tape, TapeInfo) else scan(tape)


def binance_instrument_of(tape: TapeInfo | Path | str) -> VenueInstrument:
    """The instrument whose units `binance_events` of this tape uses."""
    info = _info(tape)
    return binance_instrument(info.symbol, (info.price_decimals, info.size_decimals))


def kraken_instrument_of(tape: TapeInfo | Path | str) -> VenueInstrument:
    """The instrument whose units `kraken_events` of this tape uses."""
    return kraken_instrument(_info(tape).symbol, binance_instrument_of(tape))


def binance_events(tape: TapeInfo | Path | str, instrument: VenueInstrument | None = None) -> Iterator[VenueEvent]:
    """The tape as events of the simulated Binance: of the spot pair, or of another `instrument` with at least the tape's decimals.

    The exchange's times are shifted by the recorder's clock error, so that the least delay is 1 ms. Spot quotes carry no event time: both
    clocks are the arrival's. A USD-M tape gives the same kinds of events. A book is shown only while it is live (see `sim.tape_book`);
    at the end of a truncated tape it is cleared, because what came next is not known.
    """
    info = _info(tape)
    instrument = instrument or binance_instrument_of(info)
    symbol = instrument.symbol
    price_unit, size_unit = 10 ** (E8 - instrument.price_decimals), 10 ** (E8 - instrument.size_decimals)
    book = TapeBook(info.symbol, instrument.price_decimals, instrument.size_decimals, has_quotes=info.quotes > 0)
    skew = info.clock_skew_ns

    def shown(steps: list[Step], event_ns: int, ts_ns: int) -> Iterator[VenueEvent]:
        for step in steps:
            yield VenueEvent(
                kind=step.kind,
                symbol=symbol,
                ts_event_ns=min(event_ns, ts_ns),
                ts_init_ns=ts_ns,
                levels=step.levels,
                reason=step.reason,
            )

    for frame in read(info.path, info.symbol, info.market):
        ts = frame.ts_ns
        match frame:
            case Depth():
                yield from shown(book.depth(frame), frame.event_ns - skew, ts)
            case Quote():
                yield from shown(book.quote(frame), ts, ts)
                yield VenueEvent(
                    kind=EventKind.QUOTE,
                    symbol=symbol,
                    ts_event_ns=min(frame.event_ns - skew, ts) if frame.event_ns else ts,
                    ts_init_ns=ts,
                    bid=frame.bid // price_unit,
                    bid_size=frame.bid_size // size_unit,
                    ask=frame.ask // price_unit,
                    ask_size=frame.ask_size // size_unit,
                )
            case Trade():
                yield VenueEvent(
                    kind=EventKind.TRADE,
                    symbol=symbol,
                    ts_event_ns=min(frame.event_ns - skew, ts),
                    ts_init_ns=ts,
                    price=frame.price // price_unit,
                    size=frame.size // size_unit,
                    side=frame.side,
                    trade_id=str(frame.trade_id),
                )
            case Snapshot():
                yield from shown(book.snapshot(frame), ts, ts)
            case TapeProblem(kind=ProblemKind.CORRUPT_FRAME | ProblemKind.TRUNCATED):
                yield from shown(book.unreadable(frame), ts, ts)
            case TapeProblem():
                pass


def binanceusdm_instrument_of(tape: TapeInfo | Path | str) -> VenueInstrument:
    """The perpetual whose units the events of a USD-M tape have."""
    info = _info(tape)
    return binanceusdm_instrument(info.symbol, seen=(info.price_decimals, info.size_decimals))


def derived_events(
    tape: TapeInfo | Path | str, seed: int, venue: str, target: VenueInstrument | None = None
) -> Iterator[VenueEvent]:
    """The same tape as events of another simulated exchange: a synthetic transform of real data, a function of (tape, seed, venue).

    `target`: one of several contracts that the venue has on the pair.
    """
    info = _info(tape)
    source = binance_instrument_of(info)
    return transform(binance_events(info), seed, source, target or DERIVED[venue](info.symbol, source))


def kraken_events(tape: TapeInfo | Path | str, seed: int) -> Iterator[VenueEvent]:
    """The tape as events of the simulated Kraken."""
    return derived_events(tape, seed, KRAKEN)
