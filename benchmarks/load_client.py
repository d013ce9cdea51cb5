"""`python -m benchmarks.load_client desk|ccxt`: one end of the load: a node that keeps the desk's books, or raw ccxt.pro loops.

Both follow the same streams of as many venues as are asked for, count frames at the same place, and know when each was due. The desk's end
also says, of every book, best price and trade, when the desk's market had it; and what waited: bytes in sockets, frames in ccxt's buffers,
messages in the engine's queue.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
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
from adapters.ccxt.data import CcxtDataClient
from adapters.ccxt.factories import CcxtDataClientConfig, CcxtDataClientFactory, load_ccxt
from adapters.ccxt.venues.binance.dialect import _create
from adapters.nautilus.node import EmbeddedNode, NodeConfig
from adapters.process import die_with_parent
from benchmarks.frames import Frame
from benchmarks.load_server import SYMBOLS
from benchmarks.row import at
from desk.market import Market, MarketActor
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale

SAMPLE_S = 0.01
PRICE_DECIMALS = 2  # of both markets


class Backlog(msgspec.Struct, kw_only=True):
    """What waited somewhere, sampled every 10 ms: the most, and what was left at the end."""

    samples: int = 0
    socket_bytes: int = 0
    frames: int = 0
    messages: int = 0
    left: int = 0  # frames and messages


class Heard(msgspec.Struct, kw_only=True):
    """What one end says at the end. Times in ns; latencies of what was due after the lead."""

    frames: int  # of all streams, after the lead
    missed: int
    cpu_ns: int
    told: int = 0  # how many of them the desk's market heard of
    receive_p50: int = 0
    receive_p99: int = 0
    due_p50: int = 0
    due_p99: int = 0
    due_most: int = 0
    to_book: list[int] = []  # p50 by third of the run: a queue that grows would show
    resyncs: int = 0
    backlog: Backlog = msgspec.field(default_factory=Backlog)


class Ear:
    """Counts frames as they come, knows when they were due, and what the process had used at the first and the last of them."""

    def __init__(self, frames: list[Frame], lead_ns: int, venues: int) -> None:
        self.due: dict[str, int] = {}
        for frame in frames:
            self.due[frame.text] = -1 if frame.text in self.due else frame.due_ns  # told twice: which one is not known
        self.lead_ns = lead_ns
        self.awaited = venues * sum(due >= lead_ns for due in self.due.values())
        self.count = 0
        self.began_cpu_ns = self.ended_cpu_ns = 0
        self.all = asyncio.Event()
        self.current = (0, 0)  # due, received

    def listens(self, exchange: Any) -> None:
        """Hear every frame of an instance's clients, before anything else does."""
        inner = exchange.client

        def client(url: str) -> Any:
            known = url in (exchange.clients or {})
            made = inner(url)
            if not known:
                made.handle_text_or_binary_message = self._heard(made.handle_text_or_binary_message)
            return made

        exchange.client = client

    def _heard(self, handle: Callable[[Any], None]) -> Callable[[Any], None]:
        def heard(text: Any) -> None:
            received = time.time_ns()
            due = self.due.get(text, -1)
            self.current = (due, received)
            if due >= self.lead_ns:
                if not self.count:
                    self.began_cpu_ns = time.process_time_ns()
                self.count += 1
            handle(text)
            if self.count == self.awaited and not self.ended_cpu_ns:
                self.ended_cpu_ns = time.process_time_ns()
                self.all.set()

        return heard

    def heard_all(self) -> Heard:
        """The figures that both ends have."""
        ended = self.ended_cpu_ns or time.process_time_ns()
        return Heard(frames=self.count, missed=self.awaited - self.count, cpu_ns=ended - self.began_cpu_ns)


def venue_of(number: int) -> str:
    """Venues are one server under several names."""
    return f"LOAD{number}"


def config_of(number: int, rest: str, ws: str) -> ExchangeConfig:
    """One of them."""
    return ExchangeConfig(
        venue=venue_of(number), exchange="binance", symbols=SYMBOLS, rest_url=rest, ws_url=ws, max_age_ms=30_000
    )


async def desk(
    ear: Ear, configs: list[ExchangeConfig], ended: asyncio.Event
) -> tuple[Heard, list[tuple[int, int, int]]]:
    """The engine's node with the desk's market: what it heard, and (due, received, in the book) of every message."""
    origin: dict[int, tuple[int, int]] = {}
    told: list[tuple[int, int, int]] = []
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
            ear.listens(client.link._made())
            client._now = now
            links.append(client.link)
            return client

    def arrived(ts_init: int) -> None:
        due, received = origin.pop(ts_init, (-1, 0))
        if due >= ear.lead_ns:
            told.append((due, received, time.time_ns()))

    links: list[Any] = []
    books = []
    for symbol in SYMBOLS:
        terms = [_terms(config.venue) for config in configs]
        books.append(ConsolidatedBook(symbol, Scale(symbol, PRICE_DECIMALS, 8), terms))
    market = Market(books)
    market.on_book.append(lambda change: arrived(change.ts_init_ns))
    market.on_quote.append(lambda tick: arrived(tick.ts_init))
    market.on_trade.append(lambda tick: arrived(tick.ts_init))
    clients = {f"CCXT-{config.venue}": CcxtDataClientConfig(exchange=config) for config in configs}
    actor = MarketActor(market, [(symbol, config.venue) for symbol in SYMBOLS for config in configs])
    node = EmbeddedNode(NodeConfig(data_clients=clients), actors=[actor], data_factories={"CCXT": Factory})
    await node.start(30.0)
    backlog = Backlog()
    watch = asyncio.create_task(_watch(backlog, links, node))
    try:
        await _until(ear, ended)
        heard = ear.heard_all()
        await asyncio.sleep(0.2)  # nothing more comes: whatever still waits is left over
        backlog.left = _waiting(backlog, links, node)
    finally:
        watch.cancel()
        await node.stop()
    heard.backlog = backlog
    heard.resyncs = sum(link.counters.resyncs for link in links)
    return heard, told


def _terms(venue: str) -> VenueTerms:
    return VenueTerms(
        venue=venue, taker_fee_bps=Decimal(10), tick=Decimal(1).scaleb(-PRICE_DECIMALS), lot=Decimal("0.00000001"),
        price_decimals=PRICE_DECIMALS, size_decimals=8, max_age_ns=30_000_000_000,
    )  # fmt: skip


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
    exchanges = [_create(config, throttle=True, timeout_ms=10_000) for config in configs]
    loops = []
    for exchange in exchanges:
        ear.listens(exchange)
        await exchange.load_markets()
        for symbol in SYMBOLS:
            watches = (
                partial(exchange.watch_order_book, symbol, 500),
                partial(exchange.watch_trades, symbol),
                partial(exchange.watch_bids_asks, [symbol]),
            )
            loops += [asyncio.create_task(_for_ever(watch)) for watch in watches]
    await _until(ear, ended)
    heard = ear.heard_all()
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


def _latencies(heard: Heard, told: list[tuple[int, int, int]], start_ns: int) -> Heard:
    receive = [booked - received for _, received, booked in told]
    late = [booked - start_ns - due for due, _, booked in told]
    third = max(1, len(told) // 3)
    heard.receive_p50, heard.receive_p99 = at(receive, 0.5), at(receive, 0.99)
    heard.due_p50, heard.due_p99, heard.due_most = at(late, 0.5), at(late, 0.99), max(late)
    heard.told = len(told)
    heard.to_book = [at(late[i : i + third], 0.5) for i in range(0, 3 * third, third)]
    return heard


async def _run(options: argparse.Namespace) -> None:
    load_ccxt()
    where = json.loads(await _stdin())
    frames = msgspec.json.decode(options.frames.read_bytes(), type=list[Frame])
    ear = Ear(frames, int(options.lead * 1e9), options.venues)
    configs = [config_of(number, where["rest"], where["ws"]) for number in range(1, options.venues + 1)]
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
        heard = _latencies(heard, told, start_ns)
    print(msgspec.json.encode(heard).decode(), flush=True)


async def _stdin() -> str:
    return await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


def main() -> None:
    """Follow the streams. Stdin brings two lines: where the server is, and, when all was sent, when the first frame was due."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load_client", description="One end of the load.")
    parser.add_argument("end", choices=("desk", "ccxt"))
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--venues", type=int, required=True)
    parser.add_argument("--lead", type=float, required=True)
    die_with_parent()
    import uvloop

    uvloop.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
