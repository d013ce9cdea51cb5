"""`python -m benchmarks.load_client desk|ccxt`: one end of the load: a node that keeps the desk's books, or raw ccxt.pro loops.

Both follow the same streams of the same venues, count frames at the same place, and know when each was due. The desk's end also says, of
every book, best price and trade, when the desk's market had it; and what waited: bytes in sockets, frames in ccxt's buffers, messages in
the engine's queue. What the process holds when it is connected is left to the collector of garbage no more, as `kerb run` does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import gc
import struct
import sys
import termios
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import SPOT_STREAMS, Stream
from adapters.ccxt.factories import CcxtDataClientConfig, CcxtDataClientFactory, load_ccxt
from adapters.ccxt.market.data import CcxtDataClient
from adapters.ccxt.market.link import market_dialect
from adapters.nautilus.node import EmbeddedNode, NodeConfig
from adapters.process import die_with_parent
from benchmarks.load_ear import Backlog, Ear, Heard, Told, with_latencies
from benchmarks.load_server import About, VenueFrame
from desk.market import Market, MarketActor
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from sim.instruments import COINBASE

SAMPLE_S = 0.01
DEPTH = 500
PRICE_DECIMALS, SIZE_DECIMALS = 2, 8  # no market of the load has finer ones


def config_of(venue: str, about: About) -> ExchangeConfig:
    """One of the venues."""
    offered = about.venues[venue]
    return ExchangeConfig(
        venue=venue, exchange=venue.lower(), symbols=(offered.symbol,), rest_url=offered.rest, ws_url=offered.ws,
        depth=DEPTH, max_age_ms=30_000, audit_s=0.0,
    )  # fmt: skip


class Pauses:
    """How long the collector of garbage takes."""

    def __init__(self) -> None:
        self.most_ns = self._began_ns = 0
        gc.callbacks.append(self._called)

    def _called(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._began_ns = time.perf_counter_ns()
        else:
            self.most_ns = max(self.most_ns, time.perf_counter_ns() - self._began_ns)


async def desk(ear: Ear, configs: list[ExchangeConfig], ended: asyncio.Event) -> tuple[Heard, list[Told]]:
    """The engine's node with the desk's market: what it heard, and (due, received, in the book) of every message."""
    origin: dict[int, tuple[str, int, int]] = {}
    told: list[Told] = []
    last = 0

    def now() -> int:
        nonlocal last
        last = max(time.time_ns(), last + 1)  # of its own for every message, so that it names the message
        origin[last] = ear.current
        return last

    class Factory(CcxtDataClientFactory):
        @staticmethod
        def create(**parts: Any) -> CcxtDataClient:  # type: ignore[override]
            client = CcxtDataClientFactory.create(**parts)
            ear.listens(client.link._made(), client.exchange.venue)
            client._now = now
            links.append(client.link)
            return client

    def arrived(ts_init: int) -> None:
        venue, due, received = origin.pop(ts_init, ("", -1, 0))
        if due >= ear.lead_ns:
            told.append(Told(venue, due, received, time.time_ns()))

    links: list[Any] = []
    market = Market(_books(configs))
    market.on_book.append(lambda change: arrived(change.ts_init_ns))
    market.on_quote.append(lambda tick: arrived(tick.ts_init))
    market.on_trade.append(lambda tick: arrived(tick.ts_init))
    clients = {f"CCXT-{config.venue}": CcxtDataClientConfig(exchange=config) for config in configs}
    actor = MarketActor(market, [(symbol, config.venue) for config in configs for symbol in config.symbols])
    node = EmbeddedNode(NodeConfig(data_clients=clients), actors=[actor], data_factories={"CCXT": Factory})
    await node.start(60.0)
    pauses, backlog = _settled(), Backlog()
    watch = asyncio.create_task(_watch(backlog, links, node))
    try:
        await _until(ear, ended)
        heard = ear.heard_all()
        await asyncio.sleep(0.2)  # nothing more comes: whatever still waits is left over
        backlog.left = _waiting(backlog, links, node)
    finally:
        watch.cancel()
        await node.stop()
    heard.backlog, heard.pause_most = backlog, pauses.most_ns
    heard.resyncs = sum(link.counters.resyncs for link in links)
    return heard, _one_a_frame(told)


def _one_a_frame(told: list[Told]) -> list[Told]:
    """Of frames that say several things (a book and its best prices, many trades) the last."""
    return list({(one.venue, one.due_ns, one.received_ns): one for one in told}.values())


def _books(configs: list[ExchangeConfig]) -> list[ConsolidatedBook]:
    by_symbol: dict[str, list[VenueTerms]] = {}
    for config in configs:
        for symbol in config.symbols:
            by_symbol.setdefault(symbol, []).append(_terms(config.venue))
    return [
        ConsolidatedBook(symbol, Scale(symbol, PRICE_DECIMALS, SIZE_DECIMALS), terms)
        for symbol, terms in by_symbol.items()
    ]


def _terms(venue: str) -> VenueTerms:
    return VenueTerms(
        venue=venue, taker_fee_bps=Decimal(10), tick=Decimal(1).scaleb(-PRICE_DECIMALS), lot=Decimal(1).scaleb(-SIZE_DECIMALS),
        price_decimals=PRICE_DECIMALS, size_decimals=SIZE_DECIMALS, max_age_ns=30_000_000_000,
    )  # fmt: skip


def _settled() -> Pauses:
    """Nothing of what stands is looked at again by the collector."""
    gc.collect()
    gc.freeze()
    return Pauses()


async def _watch(backlog: Backlog, links: list[Any], node: Any) -> None:
    while True:
        await asyncio.sleep(SAMPLE_S)
        _waiting(backlog, links, node)
        backlog.samples += 1


def _waiting(backlog: Backlog, links: list[Any], node: Any) -> int:
    frames = unread = 0
    for client in (client for link in links for client in link._exchange.clients.values()):
        frames += len(client.buffer or ())
        if client.connection is not None and not client.closed():
            handle = client.connection.get_extra_info("socket")
            size = fcntl.ioctl(handle.fileno(), termios.FIONREAD, b"\0\0\0\0") if handle is not None else b"\0\0\0\0"
            unread += struct.unpack("i", size)[0]
    messages = node._node.kernel.data_engine.data_qsize()
    backlog.socket_bytes = max(backlog.socket_bytes, unread)
    backlog.frames = max(backlog.frames, frames)
    backlog.messages = max(backlog.messages, messages)
    return int(frames + messages)


async def ccxt(ear: Ear, configs: list[ExchangeConfig], ended: asyncio.Event) -> Heard:
    """ccxt.pro as it comes, its URLs rewritten, and a loop for each stream that does nothing with what it is given."""
    exchanges, loops = [], []
    for config in configs:
        dialect = market_dialect(config.exchange)
        exchange = dialect.create(config)
        exchange.on_snapshot = exchange.on_pieces = lambda *_: None
        exchanges.append(exchange)
        ear.listens(exchange, config.venue)
        await exchange.load_markets()
        streams = SPOT_STREAMS if config.venue != COINBASE else (Stream.BOOK, Stream.TRADES)
        for symbol in config.symbols:
            watches = (partial(dialect.subscribe, exchange, symbol, stream, DEPTH) for stream in streams)
            loops += [asyncio.create_task(_for_ever(watch)) for watch in watches]
    pauses = _settled()
    await _until(ear, ended)
    heard = ear.heard_all()
    heard.pause_most = pauses.most_ns
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
    for exchange in exchanges:
        await exchange.close()
    return heard


async def _for_ever(watch: Callable[[], Any]) -> None:
    while True:
        await watch()


async def _until(ear: Ear, ended: asyncio.Event) -> None:
    """Until everything was heard, or a moment after everything was sent."""
    await asyncio.wait(
        {asyncio.ensure_future(ear.all.wait()), asyncio.ensure_future(ended.wait())}, return_when="FIRST_COMPLETED"
    )
    if not ear.all.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ear.all.wait(), 3.0)


async def _run(options: argparse.Namespace) -> None:
    load_ccxt()
    about = msgspec.json.decode(await _stdin(), type=About)
    frames = msgspec.json.decode(options.frames.read_bytes(), type=list[VenueFrame])
    ear = Ear(frames, int(options.lead * 1e9))
    configs = [config_of(venue, about) for venue in about.venues]
    ended, start_ns = asyncio.Event(), 0

    async def listen() -> None:
        nonlocal start_ns
        start_ns = int(await _stdin())
        ended.set()

    listening = asyncio.create_task(listen())
    if options.end == "ccxt":
        heard = await ccxt(ear, configs, ended)
        await listening
    else:
        heard, told = await desk(ear, configs, ended)
        await listening
        heard = with_latencies(heard, told, start_ns)
    print(msgspec.json.encode(heard).decode(), flush=True)


async def _stdin() -> str:
    return await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


def main() -> None:
    """Follow the streams. Stdin brings two lines: where the servers are, and, when all was sent, when the first frame was due."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load_client", description="One end of the load.")
    parser.add_argument("end", choices=("desk", "ccxt"))
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--lead", type=float, required=True)
    die_with_parent()
    import uvloop

    uvloop.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
