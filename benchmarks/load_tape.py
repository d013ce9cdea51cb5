"""The busiest seconds of a recorded market as each venue would tell them: every recorded trade and best price in the venue's own frames.

Each venue lists the market in the recording's own units, and so tells as many messages as the recording has, when they were received
(Coinbase fewer: it has no stream of best prices, and gathers trades). The USD-M venue has a recording of its own. Without recordings the
generated market is told.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import numpy as np

from adapters.ccxt.contracts import Contract
from benchmarks.frames import EPOCH_NS, TAPES, TOLD, Frame, Recorder, tape_of, topics_of
from sim.events import ASK, BID, EventKind, VenueEvent
from sim.feed import binance_events, binance_instrument_of, binanceusdm_instrument_of
from sim.generator import generated_events
from sim.instruments import BINANCEUSDM, COINBASE, VenueInstrument, binance_instrument
from sim.levels import LevelBook
from sim.servers.base import Credentials
from sim.servers.bybit import wire as bybit
from sim.servers.coinbase.auth import p256_credentials
from sim.servers.okx import wire as okx
from sim.servers.venues import EXCHANGES
from sim.tape import Market as TapeMarket
from sim.tape import TapeInfo, scan

PAIR = "BTC/USDT"
SEED = 7
LOOKED_AT = 200_000  # events of a recording, for its busiest moment
WHOLE_NS = 2_000_000_000  # into a recording its book is whole


class Span(msgspec.Struct, frozen=True):
    """What a venue tells: its book at the beginning, and what happens after, times counted from there."""

    listed: VenueInstrument
    book: VenueEvent
    events: list[VenueEvent]


def most_within(due_ns: list[int], span_ns: int) -> tuple[int, int]:
    """The most frames within a span, and when it began."""
    best, begin, first = 0, due_ns[0], 0
    for last, now in enumerate(due_ns):
        while due_ns[first] < now - span_ns:
            first += 1
        if last - first + 1 > best:
            best, begin = last - first + 1, due_ns[first]
    return best, begin


def span_of(venue: str, seconds: float, lead_s: float, *, busiest: bool) -> Span:
    """`seconds` of the venue's market, its busiest moment in the middle of what follows `lead_s`, or its first seconds."""
    listed, _ = _market(venue)
    times = [event.ts_init_ns for event in itertools.islice(_events(venue), LOOKED_AT if busiest else 1)]
    begin = times[0] + WHOLE_NS
    if busiest:
        _, moment = most_within(times, 10_000_000)
        begin = max(begin, moment - int((lead_s + (seconds - lead_s) / 2) * 1e9))
    book, events = LevelBook(), []
    for event in itertools.takewhile(lambda event: event.ts_init_ns < begin + seconds * 1e9, _events(venue)):
        if event.ts_init_ns >= begin:
            events.append(event)
        elif event.kind is EventKind.SNAPSHOT:
            book.load(event.levels)  # type: ignore[arg-type]
        elif event.kind is EventKind.UPDATE:
            book.apply(event.levels)  # type: ignore[arg-type]
    rows = [(side, *level) for side in (BID, ASK) for level in book.side(side).top(10_000)]
    whole = VenueEvent(
        kind=EventKind.SNAPSHOT, symbol=listed.symbol, ts_event_ns=begin, ts_init_ns=begin, levels=np.array(rows, dtype=np.int64)
    )  # fmt: skip
    return Span(listed, whole, events)


@cache
def _market(venue: str) -> tuple[VenueInstrument, TapeInfo | None]:
    """The market as the venue lists it, and its recording."""
    if venue == BINANCEUSDM:
        found = sorted(TAPES.glob(f"usdm_{PAIR.replace('/', '').lower()}_*.gz"))
        if found:
            tape = scan(found[0])
            return binanceusdm_instrument_of(tape), tape
    spot = tape_of(PAIR)
    listed = binance_instrument_of(spot) if spot else binance_instrument(PAIR)
    if venue == BINANCEUSDM:
        listed = msgspec.structs.replace(listed, symbol=f"{PAIR}:USDT", contract=Contract(settle="USDT"))
    return msgspec.structs.replace(listed, venue=venue), spot


def _events(venue: str) -> Iterator[VenueEvent]:
    listed, tape = _market(venue)
    if tape is None:
        return (msgspec.structs.replace(event, symbol=listed.symbol) for event in generated_events(PAIR, SEED))
    return binance_events(tape, listed if tape.market is TapeMarket.USDM else None)


def standing(span: Span) -> Any:
    """The venue's server with the book of the beginning; any two of a span send and number the same."""
    venue, exchange = span.listed.venue, EXCHANGES[span.listed.venue]
    core = exchange.core(
        venue, {span.listed.symbol: span.listed}, {}, fee_in=exchange.fee_in, post_only=exchange.post_only, clock_ns=lambda: EPOCH_NS
    )  # fmt: skip
    keys = p256_credentials(bytes(64)) if venue == COINBASE else Credentials(key="k", secret="s", passphrase="p")
    server: Any = exchange.server(core, keys)
    server.on_market(span.book)
    printed = next((event for event in span.events if event.kind is EventKind.TRADE), None)
    if printed is not None:  # before anybody came: ccxt's loop ends at a snapshot of no trades, as Coinbase would send
        server.on_market(printed)
    return server


def frames_of(span: Span) -> list[Frame]:
    """Every frame that subscribers of book, trades and best prices are sent, `due_ns` from the beginning on."""
    server = standing(span)
    taken, begin = _taken(server, span.listed), span.book.ts_init_ns
    every_s, tell = TOLD.get(server.venue, (0.0, None))
    due_ns, frames = begin, []
    for event in span.events:
        server.on_market(event)
        if event.kind is EventKind.QUOTE:
            _tell_top(server, span.listed, event)
        if tell is not None and event.ts_init_ns >= due_ns:
            due_ns = event.ts_init_ns + int(every_s * 1e9)
            tell(server)
        frames += [Frame(event.ts_init_ns - begin, topic, text) for topic, text in taken]
        taken.clear()
    return frames


def _taken(server: Any, listed: VenueInstrument) -> list[tuple[str, str]]:
    """What a server publishes from now on, before it numbers it for a connection; as a subscriber of everything has it join."""
    topics, taken = topics_of(server.venue, PAIR), []
    wire = Recorder(set(topics.values()), {})
    match server.venue:
        case "KRAKEN":
            server._join_book(wire, listed.symbol, 500)
        case "BYBIT":
            server._join(wire, topics["depth"])
    server.peers.add(wire)

    def publish(topic: str, frame: str, **_: Any) -> None:
        if topic in wire.topics:
            taken.append((topic, frame))

    server.publish = publish
    return taken


def _tell_top(server: Any, listed: VenueInstrument, event: VenueEvent) -> None:
    """A recorded best price from servers that make them of their book, which is ten times slower."""
    bid, ask, symbol = (event.bid, event.bid_size), (event.ask, event.ask_size), listed.symbol
    topic = topics_of(server.venue, PAIR).get("top", "")
    match server.venue:
        case "OKX":
            sequence = server._chains[symbol].sequence
            server.publish(topic, okx.top("bbo-tbt", listed, [bid], [ask], sequence, event.ts_event_ns))
        case "BYBIT":
            update, seq = server._next(symbol, 1)
            times = (event.ts_event_ns // 1_000_000, event.ts_event_ns // 1_000_000)
            server.publish(topic, bybit.orderbook(listed, 1, "snapshot", [bid], [ask], update, seq, times))
        case "KRAKEN":
            server._top[symbol] = (*bid, *ask)
            server.publish(topic, server._ticker(symbol, "update"))
