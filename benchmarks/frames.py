"""Frames of a venue as its loopback server makes them from a recorded market (where there is one) or the generated one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from adapters.ccxt.symbols import Market
from sim.events import EventKind, VenueEvent
from sim.feed import binance_events, binance_instrument_of
from sim.generator import generated_events
from sim.instruments import BINANCE, BYBIT, DERIVED, KRAKEN, OKX, VenueInstrument, binance_instrument
from sim.servers.base import Credentials, VenueServer
from sim.servers.binance.server import BinanceServer
from sim.servers.bybit.server import BybitServer
from sim.servers.kraken.server import KrakenServer
from sim.servers.matching import FeeIn, MatchingCore
from sim.servers.okx.server import OkxServer
from sim.tape import TapeInfo, scan
from sim.transform import transform

TAPES = Path(os.environ.get("KERB_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data")) / "tapes"
EPOCH_NS = 1_700_000_000_000_000_000
SERVERS: dict[str, type[VenueServer]] = {
    BINANCE: BinanceServer,
    BYBIT: BybitServer,
    KRAKEN: KrakenServer,
    OKX: OkxServer,
}


class Frame(msgspec.Struct, frozen=True):
    """What is sent to the subscribers of a topic, and when it was received in the recording, ns."""

    due_ns: int
    topic: str
    text: str


class Recorder:
    """A subscriber of a server that writes down what it is sent; in place of a socket."""

    def __init__(self, topics: set[str]) -> None:
        self.topics = topics
        self.texts: list[str] = []

    def send(self, frame: str) -> None:
        """As `Peer.send`."""
        self.texts.append(frame)


@cache
def tape_of(symbol: str) -> TapeInfo | None:
    """The recorded spot market, where it is at hand."""
    found = sorted(TAPES.glob(f"spot_{symbol.replace('/', '').lower()}_*.gz"))
    return scan(found[0]) if found else None


def instrument_of(symbol: str, venue: str = BINANCE) -> VenueInstrument:
    """The market as the venue lists it."""
    tape = tape_of(symbol)
    source = binance_instrument_of(tape) if tape else binance_instrument(symbol)
    return DERIVED[venue](symbol, source) if venue in DERIVED else source


def events(symbol: str, venue: str = BINANCE, seed: int = 7) -> Iterator[VenueEvent]:
    """The venue's events: of the tape, else generated."""
    tape = tape_of(symbol)
    made = binance_events(tape) if tape else generated_events(symbol, seed)
    if venue not in DERIVED:
        return made
    return transform(made, seed, instrument_of(symbol), instrument_of(symbol, venue))


def serving(venue: str, symbols: tuple[str, ...]) -> Any:
    """A server of the venue whose numbers begin where those of any other made here do."""
    instruments = {symbol: instrument_of(symbol, venue) for symbol in symbols}
    core = MatchingCore(venue, instruments, {}, fee_in=FeeIn.RECEIVED, clock_ns=lambda: EPOCH_NS)
    return SERVERS[venue](core, Credentials(key="k", secret="s", passphrase="p"))


def market_of(symbol: str, venue: str) -> Market:
    """The market as the adapter knows it."""
    instrument = instrument_of(symbol, venue)
    return Market(
        symbol=symbol, market_id=symbol.replace("/", "-" if venue == OKX else ""), base=instrument.base, quote=instrument.quote,
        tick=Decimal(1).scaleb(-instrument.price_decimals), lot=Decimal(1).scaleb(-instrument.size_decimals),
        price_decimals=instrument.price_decimals, size_decimals=instrument.size_decimals,
        min_quantity=None, max_quantity=None, min_notional=None, taker_fee=Decimal(0), maker_fee=Decimal(0),
    )  # fmt: skip


def topics_of(venue: str, symbol: str) -> tuple[str, str, str]:
    """The venue's names of book, best prices and trades of a market."""
    match venue:
        case "OKX":
            return f"books:{symbol}", f"bbo-tbt:{symbol}", f"trades:{symbol}"
        case "KRAKEN":
            return f"book:{symbol}:500", f"ticker:{symbol}:bbo", f"trade:{symbol}"
        case "BYBIT":
            name = symbol.replace("/", "")
            return f"orderbook.1000.{name}", f"orderbook.1.{name}", f"publicTrade.{name}"
    name = symbol.replace("/", "").lower()
    return f"{name}@depth@100ms", f"{name}@bookTicker", f"{name}@trade"


def begun(server: Any, symbol: str, stream: Iterator[VenueEvent]) -> str:
    """Feed a server until its book stands; what a client is given to begin with: Binance's REST answer, the others' first frame."""
    for event in stream:
        server.on_market(event)
        if event.kind is EventKind.UPDATE and server.core.books[symbol].live:
            break
    book, *_ = topics_of(server.venue, symbol)
    wire = Recorder(set())
    match server.venue:
        case "BINANCE":
            return str(server._depth({"symbol": symbol.replace("/", ""), "limit": "1000"}))
        case "KRAKEN":
            server._join_book(wire, symbol, 500)
        case "OKX":
            server._join(wire, "books", symbol)
        case "BYBIT":
            server._join(wire, book)
    return wire.texts[0]


def recorded(server: Any, symbol: str, stream: Iterator[VenueEvent]) -> Iterator[Frame]:
    """Every frame that a subscriber of the market's three topics is sent."""
    named = [(topic, Recorder({topic})) for topic in topics_of(server.venue, symbol)]
    server.peers.update(wire for _, wire in named)
    for event in stream:
        server.on_market(event)
        for topic, wire in named:
            yield from (Frame(event.ts_init_ns, topic, text) for text in wire.texts)
            wire.texts.clear()
