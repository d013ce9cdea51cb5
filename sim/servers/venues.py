"""Start the loopback venues together: one market, several dialects, one state folder.

`start_venues` is what `python -m sim.servers`, `kerb serve` and tests use. Credentials are made from the seed (or read back from the state
folder), ports are remembered there, accounts are journalled there: killed and started again, every venue knows its orders and balances.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import importlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from sim.events import EventKind, VenueEvent
from sim.feed import binance_events, binance_instrument_of, binanceusdm_instrument_of, derived_events
from sim.generator import START_PRICES, generated_events
from sim.instruments import (
    BINANCE,
    BINANCEUSDM,
    BYBIT,
    COINBASE,
    DERIVED,
    KRAKEN,
    KRAKENFUTURES,
    OKX,
    VenueInstrument,
    binance_instrument,
    krakenfutures_inverse,
    lists,
    opening_balances,
)
from sim.lp_model import LpParams
from sim.servers.base import Credentials, VenueServer
from sim.servers.binance.server import BinanceServer
from sim.servers.binanceusdm.server import BinanceUsdmServer
from sim.servers.bybit.server import BybitServer
from sim.servers.coinbase.auth import p256_credentials
from sim.servers.coinbase.server import CoinbaseServer
from sim.servers.fault_file import FaultPlan, run_faults
from sim.servers.kraken.server import KrakenServer
from sim.servers.krakenfutures.server import KrakenFuturesServer
from sim.servers.margin import MarginCore
from sim.servers.matching import FeeIn, MatchingCore, PostOnly
from sim.servers.okx.server import OkxServer
from sim.servers.pacing import deliver, looped
from sim.tape import Market, TapeFault, TapeInfo, discover
from sim.transform import transform

FALCONX = "FALCONX"
DEFAULT_SYMBOLS = ("BTC/USDT", "ETH/USDT")
DEFAULT_VENUES = (BINANCE, KRAKEN, FALCONX)
_BTC_PRICE = Decimal(60_000)


class Exchange(msgspec.Struct, frozen=True):
    """How a loopback exchange is served: its dialect, and what its matching core does differently from the others'."""

    server: type[VenueServer]
    fee_in: FeeIn = FeeIn.RECEIVED
    post_only: PostOnly = PostOnly.REFUSE
    core: type[MatchingCore] = MatchingCore


EXCHANGES = {
    BINANCE: Exchange(BinanceServer),
    KRAKEN: Exchange(KrakenServer, fee_in=FeeIn.QUOTE),
    BINANCEUSDM: Exchange(BinanceUsdmServer, fee_in=FeeIn.QUOTE, core=MarginCore),
    BYBIT: Exchange(BybitServer, post_only=PostOnly.CANCEL),
    COINBASE: Exchange(CoinbaseServer, fee_in=FeeIn.QUOTE),
    KRAKENFUTURES: Exchange(KrakenFuturesServer, fee_in=FeeIn.QUOTE, core=MarginCore),
    OKX: Exchange(OkxServer, post_only=PostOnly.CANCEL),
}
VENUES = (*EXCHANGES, FALCONX)


class Urls(msgspec.Struct, frozen=True, kw_only=True):
    """Where a venue listens."""

    rest: str
    ws: str


class Venues:
    """Running loopback venues. `urls` and `credentials` by venue; `narration`: sentences about the tapes, for the operator."""

    def __init__(self) -> None:
        self.urls: dict[str, Urls] = {}
        self.credentials: dict[str, Credentials] = {}
        self.servers: dict[str, VenueServer] = {}
        self.symbols: tuple[str, ...] = ()
        self.listed: dict[str, tuple[str, ...]] = {}  # by venue, as it lists them
        self.instruments: dict[str, tuple[Decimal, Decimal]] = {}  # finest tick of the venues, roughly where it trades
        self.narration: list[str] = []
        self._falconx: object | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def ready_line(self) -> str:
        """The JSON line that tells a parent process where everything is."""
        body: dict[str, object] = {venue: msgspec.to_builtins(urls) for venue, urls in self.urls.items()}
        body["credentials"] = {venue: _public(key) for venue, key in self.credentials.items()}
        body["symbols"] = list(self.symbols)
        body["listed"] = {venue: list(symbols) for venue, symbols in self.listed.items()}
        body["instruments"] = [
            {"symbol": symbol, "price_tick": f"{tick:f}", "price": f"{price:f}"}
            for symbol, (tick, price) in self.instruments.items()
        ]
        return msgspec.json.encode(body).decode()

    def failed(self) -> asyncio.Task[BaseException]:
        """A task that ends when a feed fails, with its error; it waits for ever while all is well."""

        async def watch() -> BaseException:
            waiting = set(self._tasks)
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if not task.cancelled() and (error := task.exception()) is not None:
                        return error
            await asyncio.Event().wait()
            raise AssertionError

        return asyncio.create_task(watch(), name="feeds")

    async def stop(self) -> None:
        """Stop the feeds, then the servers."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError, Exception):  # a feed's error is told by `failed`
                await task
        for server in self.servers.values():
            await server.stop()
        if self._falconx is not None:
            await self._falconx.stop()


async def start_venues(
    *,
    tape: Path | str | None = None,
    seed: int = 0,
    state: Path | str | None = None,
    symbols: tuple[str, ...] | None = None,
    venues: tuple[str, ...] = DEFAULT_VENUES,
    speed: float = 1.0,
    say: Callable[[str], None] = lambda sentence: None,
    balances: dict[str, Decimal] | None = None,
    faults: FaultPlan | None = None,
    limits: bool = False,
) -> Venues:
    """Start the venues on 127.0.0.1 and feed them, until `stop()`.

    `tape`: a file or a folder (None: the seeded generator). `symbols`: what to list (default: what the tapes hold, else BTC and ETH);
    a venue of perpetuals lists those on the pairs, from a USD-M tape where there is one.
    `state`: folder for accounts, credentials and ports (None: nothing is kept). `say` hears each sentence about the tapes and each of the
    planned `faults` as it happens. `limits`: clients are held to the venues' rate limits.
    Raises `TapeFault` when `tape` is none, or does not hold a wanted symbol; ValueError on a venue that is not among `VENUES`;
    `ConfigFault` on a fault of a symbol that nobody lists.
    """
    if strangers := [venue for venue in venues if venue not in VENUES]:
        raise ValueError(f"{', '.join(strangers)}: no such loopback venue; there are {', '.join(VENUES)}")
    folder = Path(state) if state is not None else None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    out = Venues()
    if symbols is not None:
        symbols = tuple(dict.fromkeys(symbol.partition(":")[0] for symbol in symbols))
    tapes = _tapes(tape, symbols, out, say)
    out.symbols = tuple(tapes) if tapes else (symbols or DEFAULT_SYMBOLS)
    listed = {
        BINANCE: {s: binance_instrument_of(tapes[s]) if tapes else binance_instrument(s) for s in out.symbols},
    }
    for venue, make in DERIVED.items():
        if venue in venues:
            listed[venue] = {s: make(s, listed[BINANCE][s]) for s in out.symbols if lists(venue, s)}
    if KRAKENFUTURES in venues:
        listed[KRAKENFUTURES] = _with_inverse(listed[KRAKENFUTURES])
    perpetual = _perpetual_tapes(tape, out, say) if tape is not None and BINANCEUSDM in venues else {}
    for symbol, info in perpetual.items():
        listed[BINANCEUSDM][symbol] = binanceusdm_instrument_of(info)
    out.listed = {
        venue: tuple(one.symbol for one in by_pair.values()) for venue, by_pair in listed.items() if venue in venues
    }
    if faults is not None:
        faults.check({venue: symbols for venue, symbols in out.listed.items() if venue in EXCHANGES})
    for symbol in out.symbols:
        decimals = max(by_pair[symbol].price_decimals for by_pair in listed.values() if symbol in by_pair)
        price = tapes[symbol].first_price if tapes else Decimal(str(START_PRICES.get(symbol, 100.0)))
        out.instruments[symbol] = (Decimal(1).scaleb(-decimals), price)
    out.credentials = {venue: _credentials(venue, seed, folder) for venue in venues}
    ports = _Ports(folder)
    names = [one.symbol for by_pair in listed.values() for one in by_pair.values()]
    opening = balances if balances is not None else opening_balances([*out.symbols, *names])
    for venue, exchange in EXCHANGES.items():
        if venue not in venues:
            continue
        journal = folder / f"{venue.lower()}.jsonl" if folder is not None else None
        instruments = {one.symbol: one for one in listed[venue].values()}
        held = {code for one in instruments.values() for code in one.currencies}
        rules = {"fee_in": exchange.fee_in, "post_only": exchange.post_only}
        wallet = {code: amount for code, amount in opening.items() if code in held}
        core = exchange.core(venue, instruments, wallet, journal_path=journal, **rules)
        server = exchange.server(core, out.credentials[venue])
        if limits and server.limits_of is not None:
            server.enforce()
        rest, ws = await server.start(ports.wanted(venue))
        ports.bound(venue, server.port)
        out.servers[venue], out.urls[venue] = server, Urls(rest=rest, ws=ws)
    _point_to_index(out.servers)
    _feed(out, tapes, perpetual, listed, seed, speed, say)
    if FALCONX in venues:
        await _start_falconx(out, seed, folder, ports)
    if faults is not None:
        out._tasks.append(asyncio.create_task(run_faults(faults, out.servers, seed, say), name="faults"))
    return out


def _tapes(
    tape: Path | str | None, symbols: tuple[str, ...] | None, out: Venues, say: Callable[[str], None]
) -> dict[str, TapeInfo]:
    if tape is None:
        return {}
    found = {info.symbol: info for info in discover(tape)}
    for info in found.values():
        out.narration.append(
            f"{info.path.name}: {info.symbol} {info.market}, {info.messages} messages in {(info.last_ns - info.first_ns) / 1e9:.0f} s, "
            f"{'with' if info.has_snapshot else 'without'} a depth snapshot"
        )
        out.narration.extend(info.notes)
        out.narration.extend(problem.message for problem in info.problems)
    wanted = [symbol for symbol in symbols if symbol in found] if symbols else list(found)
    if symbols:
        missing = [symbol for symbol in symbols if symbol not in found]
        if missing:
            out.narration.append(f"{', '.join(missing)}: no tape of it in {tape}; it is not listed")
    if not wanted:
        raise TapeFault(f"{tape} holds {', '.join(found)}, and none of {', '.join(symbols or ())}")
    for sentence in out.narration:
        say(sentence)
    return {symbol: found[symbol] for symbol in wanted}


def _perpetual_tapes(tape: Path | str, out: Venues, say: Callable[[str], None]) -> dict[str, TapeInfo]:
    """USD-M tapes of the pairs that are listed, by pair."""
    found = {
        info.symbol: info
        for info in discover(tape, Market.USDM)
        if info.market is Market.USDM and info.symbol in out.symbols and lists(BINANCEUSDM, info.symbol)
    }
    for symbol in out.symbols:
        source = (
            found[symbol].path.name
            if symbol in found
            else "the spot market, by a transform: there is no USD-M tape of it"
        )
        say(sentence := f"{BINANCEUSDM} {symbol}: from {source}")
        out.narration.append(sentence)
    return found


def _with_inverse(linear: dict[str, VenueInstrument]) -> dict[str, VenueInstrument]:
    """Linear contracts by the pair they are made from, one of each base, and the inverse ones beside them, as "BTC/USDT:BTC"."""
    out = dict({one.symbol: (pair, one) for pair, one in linear.items()}.values())
    for pair, one in list(out.items()):
        if (inverse := krakenfutures_inverse(pair)) is not None:
            out[f"{pair}:{one.base}"] = inverse
    return out


def _point_to_index(servers: Mapping[str, VenueServer]) -> None:
    """The index of a perpetual is the spot venue's middle, where that is served as well."""
    spot, perpetuals = servers.get(BINANCE), servers.get(BINANCEUSDM)
    if spot is not None and isinstance(perpetuals, BinanceUsdmServer):
        perpetuals.index_of = lambda symbol: spot.core.mid(symbol.partition(":")[0])
    if spot is not None and isinstance(dollars := servers.get(KRAKENFUTURES), KrakenFuturesServer):
        pairs = {one.base: pair for pair, one in spot.core.instruments.items() if lists(KRAKENFUTURES, pair)}
        dollars.index_of = lambda symbol: spot.core.mid(pairs.get(symbol.partition("/")[0], ""))


def _feed(
    out: Venues,
    tapes: dict[str, TapeInfo],
    perpetual: dict[str, TapeInfo],
    listed: dict[str, dict[str, VenueInstrument]],
    seed: int,
    speed: float,
    say: Callable[[str], None],
) -> None:
    start_ns = time.time_ns()
    together = min((info.first_ns for info in tapes.values()), default=0)
    for venue, server in out.servers.items():
        streams = []
        for name, instrument in listed[venue].items():
            symbol = name.partition(":")[0]
            if tapes:
                info = tapes[symbol]
                if venue == BINANCEUSDM and symbol in perpetual:
                    info = perpetual[symbol]
                # tapes of the same moment keep their distance, others start together
                origin = together if info.first_ns - together < 60_000_000_000 else info.first_ns
                make = _tape_source(venue, info, seed, instrument)
                streams.append(looped(make, origin_ns=origin, start_ns=start_ns, speed=speed))
            else:
                events = generated_events(symbol, seed)
                if venue in DERIVED:
                    events = transform(events, seed, listed[BINANCE][symbol], instrument)
                once = itertools.chain([events])
                streams.append(
                    looped(lambda once=once: next(once, iter(())), origin_ns=0, start_ns=start_ns, speed=speed)
                )
        out._tasks.append(asyncio.create_task(deliver(streams, _telling(server, say)), name=f"feed {venue}"))


def _telling(server: VenueServer, say: Callable[[str], None]) -> Callable[[VenueEvent], None]:
    """The server's sink, which also says when a book is lost and when it is back."""
    lost: set[str] = set()

    def sink(event: VenueEvent) -> None:
        server.on_market(event)
        if event.kind is EventKind.CLEAR:
            lost.add(event.symbol)
            say(f"{server.venue} {event.symbol}: the book is not to be trusted: {event.reason}")
        elif event.kind is EventKind.SNAPSHOT and event.symbol in lost:
            lost.discard(event.symbol)
            say(f"{server.venue} {event.symbol}: the book is whole again")

    return sink


def _tape_source(
    venue: str, info: TapeInfo, seed: int, instrument: VenueInstrument
) -> Callable[[], Iterator[VenueEvent]]:
    recorded = venue == BINANCE or (venue == BINANCEUSDM and info.market is Market.USDM)
    return lambda: binance_events(info, instrument) if recorded else derived_events(info, seed, venue, instrument)


async def _start_falconx(out: Venues, seed: int, folder: Path | None, ports: _Ports) -> None:
    """FalconX prices from Binance's middle, or another exchange's when there is no Binance."""
    module = importlib.import_module("sim.servers.falconx.server")
    source = next(iter(out.servers.values()), None)
    mid = source.core.mid if source is not None else (lambda symbol: None)
    server = module.FalconXServer(
        mid, seed, folder, out.credentials[FALCONX], params=lp_params(out.instruments), symbols=out.symbols
    )
    try:
        rest, ws = await server.start(ports.wanted(FALCONX))
    except OSError:  # the remembered port is taken
        await server.stop()
        rest, ws = await server.start()
    ports.bound(FALCONX, int(rest.rpartition(":")[2]))
    out._falconx = server
    out.urls[FALCONX] = Urls(rest=rest, ws=ws)


def lp_params(instruments: Mapping[str, tuple[Decimal, Decimal]]) -> LpParams:
    """The LP trades whatever is listed, in its finest tick: ladder sizes of the table, or as many units as are worth the same as BTC's."""
    known = LpParams()
    model = known.rungs["BTC/USDT"]
    rungs = {
        symbol: known.rungs.get(symbol)
        or tuple(max(Decimal(1), (size * _BTC_PRICE / price).quantize(Decimal(1))) for size in model)
        for symbol, (_, price) in instruments.items()
        if price > 0
    }
    steps = [tick for tick, _ in instruments.values()]
    return LpParams(rungs=rungs, price_step=min([known.price_step, *steps]))


def _public(credentials: Credentials) -> dict[str, str]:
    return {name: value for name, value in msgspec.to_builtins(credentials).items() if value}


def _credentials(venue: str, seed: int, folder: Path | None) -> Credentials:
    """Keys of a loopback venue: from the state folder, else derived from the seed. They open nothing but this process."""
    path = folder / f"{venue.lower()}.key.json" if folder is not None else None
    if path is not None and path.exists():
        return msgspec.json.decode(path.read_bytes(), type=Credentials)

    def derive(purpose: str) -> bytes:
        return hashlib.sha512(f"kerb loopback {venue} {seed} {purpose}".encode()).digest()

    # Kraken's secrets are base64 of 64 bytes; the same form does for the others
    made = Credentials(
        key=f"{venue.lower()}-{derive('key').hex()[:24]}",
        secret=base64.b64encode(derive("secret")).decode(),
        passphrase=derive("passphrase").hex()[:16] if venue in (FALCONX, OKX) else "",
    )
    if venue == COINBASE:  # a named P-256 key
        made = p256_credentials(derive("key"))
    if path is not None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(made))
    return made


class _Ports:
    """Ports by venue, remembered in the state folder."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / "ports.json" if folder is not None else None
        self._ports: dict[str, int] = {}
        if self._path is not None and self._path.exists():
            with contextlib.suppress(msgspec.MsgspecError):
                self._ports = msgspec.json.decode(self._path.read_bytes(), type=dict[str, int])

    def wanted(self, venue: str) -> int:
        return self._ports.get(venue, 0)

    def bound(self, venue: str, port: int) -> None:
        self._ports[venue] = port
        if self._path is not None:
            part = self._path.with_suffix(".part")
            part.write_bytes(msgspec.json.encode(self._ports))
            part.replace(self._path)
