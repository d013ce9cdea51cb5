"""Frames of a venue as its loopback server makes them from a recorded market (where there is one) or the generated one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import orjson

from adapters.ccxt.symbols import Market
from sim.events import EventKind, VenueEvent
from sim.feed import binance_events, binance_instrument_of
from sim.generator import generated_events
from sim.instruments import (
    BINANCE,
    BYBIT,
    COINBASE,
    DERIVED,
    KRAKEN,
    KRAKENFUTURES,
    OKX,
    VenueInstrument,
    binance_instrument,
)
from sim.servers.base import Credentials, VenueServer
from sim.servers.binance.server import BinanceServer
from sim.servers.bybit.server import BybitServer
from sim.servers.coinbase.auth import p256_credentials
from sim.servers.coinbase.server import GATHER_S, CoinbaseServer
from sim.servers.kraken.server import KrakenServer
from sim.servers.krakenfutures.server import KrakenFuturesServer
from sim.servers.krakenfutures.wire import product_id
from sim.servers.margin import MarginCore
from sim.servers.matching import FeeIn, MatchingCore
from sim.servers.okx.server import OkxServer
from sim.tape import TapeInfo, scan
from sim.transform import transform

TAPES = Path(os.environ.get("KERB_REAL_DATA", Path(__file__).parents[2] / "shared" / "data")) / "tapes"
EPOCH_NS = 1_700_000_000_000_000_000
SERVERS: dict[str, type[VenueServer]] = {
    BINANCE: BinanceServer,
    BYBIT: BybitServer,
    COINBASE: CoinbaseServer,
    KRAKEN: KrakenServer,
    KRAKENFUTURES: KrakenFuturesServer,
    OKX: OkxServer,
}

TOLD: dict[str, tuple[float, Callable[[Any], None]]] = {  # what a server tells from time to time
    COINBASE: (GATHER_S, CoinbaseServer.tell_trades),
    KRAKENFUTURES: (0.1, KrakenFuturesServer.second),  # ten times as often as it does, to have enough of them
}


class Frame(msgspec.Struct, frozen=True):
    """What is sent to the subscribers of a topic, and when it was received in the recording, ns."""

    due_ns: int
    topic: str
    text: str


class Recorder:
    """A subscriber of a server that writes down what it is sent; in place of a socket."""

    def __init__(self, topics: set[str], state: dict[str, Any]) -> None:
        self.topics = topics
        self.state = state  # a connection's: Coinbase numbers its messages
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
    instruments = {one.symbol: one for one in (instrument_of(symbol, venue) for symbol in symbols)}
    make = MarginCore if venue == KRAKENFUTURES else MatchingCore
    core = make(venue, instruments, {}, fee_in=FeeIn.RECEIVED, clock_ns=lambda: EPOCH_NS)
    keys = p256_credentials(bytes(64)) if venue == COINBASE else Credentials(key="k", secret="s", passphrase="p")
    return SERVERS[venue](core, keys)


def market_of(symbol: str, venue: str) -> Market:
    """The market as the adapter knows it."""
    instrument = instrument_of(symbol, venue)
    name = symbol.replace("/", "-" if venue in (COINBASE, OKX) else "")
    return Market(
        symbol=instrument.symbol, market_id=product_id(instrument) if instrument.contract else name,
        base=instrument.base, quote=instrument.quote, contract=instrument.contract,
        tick=Decimal(1).scaleb(-instrument.price_decimals), lot=Decimal(1).scaleb(-instrument.size_decimals),
        price_decimals=instrument.price_decimals, size_decimals=instrument.size_decimals,
        min_quantity=None, max_quantity=None, min_notional=None, taker_fee=Decimal(0), maker_fee=Decimal(0),
    )  # fmt: skip


def topics_of(venue: str, symbol: str) -> dict[str, str]:
    """The venue's names of a market's book, best prices (a perpetual's ticker) and trades, by kind."""
    match venue:
        case "OKX":
            return {"depth": f"books:{symbol}", "top": f"bbo-tbt:{symbol}", "trade": f"trades:{symbol}"}
        case "KRAKEN":
            return {"depth": f"book:{symbol}:500", "top": f"ticker:{symbol}:bbo", "trade": f"trade:{symbol}"}
        case "BYBIT":
            name = symbol.replace("/", "")
            return {"depth": f"orderbook.1000.{name}", "top": f"orderbook.1.{name}", "trade": f"publicTrade.{name}"}
        case "COINBASE":
            name = symbol.replace("/", "-")
            return {"depth": f"level2:{name}", "trade": f"market_trades:{name}"}
        case "KRAKENFUTURES":
            name = instrument_of(symbol, venue).symbol
            return {"depth": f"book:{name}", "ticker": f"ticker:{name}", "trade": f"trade:{name}"}
    name = symbol.replace("/", "").lower()
    return {"depth": f"{name}@depth@100ms", "top": f"{name}@bookTicker", "trade": f"{name}@trade"}


def begun(server: Any, symbol: str, stream: Iterator[VenueEvent]) -> str:
    """Feed a server until its book stands; what a client is given to begin with: Binance's REST answer, the others' first frame."""
    (book,) = server.core.books.values()
    for event in stream:
        server.on_market(event)
        if event.kind is EventKind.UPDATE and book.live:
            break
    topic, wire = topics_of(server.venue, symbol)["depth"], Recorder(set(), {})
    match server.venue:
        case "BINANCE":
            return str(server._depth({"symbol": symbol.replace("/", ""), "limit": "1000"}))
        case "KRAKEN":
            server._join_book(wire, symbol, 500)
        case "OKX":
            server._join(wire, "books", symbol)
        case "BYBIT":
            server._join(wire, topic)
        case "COINBASE":
            server._join(wire, "level2", topic)
        case "KRAKENFUTURES":
            wire.send(orjson.dumps(server._first("book", instrument_of(symbol, KRAKENFUTURES).symbol)).decode())
    return wire.texts[0]


def recorded(server: Any, symbol: str, stream: Iterator[VenueEvent]) -> Iterator[Frame]:
    """Every frame that a subscriber of the market's three topics is sent."""
    state: dict[str, Any] = {}
    named = [(topic, Recorder({topic}, state)) for topic in topics_of(server.venue, symbol).values()]
    server.peers.update(wire for _, wire in named)
    every_s, tell = TOLD.get(server.venue, (0.0, None))
    due_ns = 0
    for event in stream:
        server.on_market(event)
        if tell is not None and event.ts_init_ns >= due_ns:
            due_ns = event.ts_init_ns + int(every_s * 1e9)
            tell(server)
        for topic, wire in named:
            yield from (Frame(event.ts_init_ns, topic, text) for text in wire.texts)
            wire.texts.clear()
