"""`python -m benchmarks.load_server`: a loopback Binance that plays the busiest seconds of a market at their real speed.

The frames are made beforehand, so that what is measured at the other end is not this process encoding them. It starts when as many
streams as were announced are subscribed, and writes down when; every frame goes out at its own time, however late the ones before were.
On stdout, a JSON line each: where it listens and what it will send; at the end, what it sent and how late.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from adapters.process import die_with_parent
from benchmarks.frames import Frame, begun, events, recorded, serving
from benchmarks.row import at
from sim.events import VenueEvent
from sim.instruments import BINANCE

SYMBOLS = ("BTC/USDT", "ETH/USDT")
WHOLE_NS = 2_000_000_000  # into a recording its book is whole
START_S = 0.5  # between the last subscription and the first frame


class Played(msgspec.Struct, frozen=True):
    """What was sent. `start_ns`: when the first frame was due, by the clock; lateness of the writes to the sockets."""

    start_ns: int
    late_ns_p50: int
    late_ns_p99: int
    late_ns_most: int


def most_within(due_ns: list[int], span_ns: int) -> tuple[int, int]:
    """The most frames within a span, and when it began."""
    best, begin, first = 0, due_ns[0], 0
    for last, now in enumerate(due_ns):
        while due_ns[first] < now - span_ns:
            first += 1
        if last - first + 1 > best:
            best, begin = last - first + 1, due_ns[first]
    return best, begin


def busiest_ns(seconds: float, lead_s: float) -> int:
    """Where in the first market's recording to begin, so that its busiest moment falls into the middle of what is measured."""
    times = [event.ts_init_ns for event in itertools.islice(events(SYMBOLS[0]), 200_000)]
    _, busiest = most_within(times, 10_000_000)
    return max(times[0], busiest - int((lead_s + (seconds - lead_s) / 2) * 1e9))


class _Kept:
    """A stream whose next event can be looked at."""

    def __init__(self, stream: Iterator[VenueEvent]) -> None:
        self._stream = stream
        self.next = next(stream, None)

    def __iter__(self) -> Iterator[VenueEvent]:
        while self.next is not None:
            event, self.next = self.next, next(self._stream, None)
            yield event


def prepared(seconds: float, lead_s: float, *, busiest: bool) -> tuple[object, list[Frame]]:
    """The server as it stands at the beginning, and the frames from there, in the order they are due, from 0 on."""
    begin = busiest_ns(seconds, lead_s) if busiest else next(events(SYMBOLS[0])).ts_init_ns + WHOLE_NS
    server, maker = serving(BINANCE, SYMBOLS), serving(BINANCE, SYMBOLS)
    markets = []
    for symbol in SYMBOLS:
        for taker in (server, maker):
            stream = _Kept(events(symbol))
            begun(taker, symbol, iter(stream))
            while stream.next is not None and stream.next.ts_init_ns < begin:
                taker.on_market(next(iter(stream)))
        due = itertools.takewhile(lambda event: event.ts_init_ns < begin + seconds * 1e9, stream)
        markets.append(list(recorded(maker, symbol, due)))
    merged = heapq.merge(*markets, key=lambda frame: frame.due_ns)
    return server, [Frame(frame.due_ns - begin, frame.topic, frame.text) for frame in merged]


async def _play(server: object, frames: list[Frame], subscriptions: int) -> Played:
    topics = {frame.topic for frame in frames}
    while sum(len(peer.topics & topics) for peer in server.peers) < subscriptions:  # type: ignore[attr-defined]
        await asyncio.sleep(0.05)
    start_ns, late, begun_ns = time.time_ns() + int(START_S * 1e9), [], time.perf_counter_ns() + int(START_S * 1e9)
    for frame in frames:
        wait_ns = begun_ns + frame.due_ns - time.perf_counter_ns()
        if wait_ns > 0:
            await asyncio.sleep(wait_ns / 1e9)
        elif -wait_ns > 5_000_000:
            await asyncio.sleep(0)  # late: let the sockets be written to
        server.publish(frame.topic, frame.text)  # type: ignore[attr-defined]
        late.append(time.perf_counter_ns() - begun_ns - frame.due_ns)
    return Played(start_ns, at(late, 0.5), at(late, 0.99), max(late))


async def _serve(options: argparse.Namespace) -> None:
    server, frames = prepared(options.seconds, options.lead, busiest=not options.first)
    options.frames.write_bytes(msgspec.json.encode(frames))
    rest, ws = await server.start()  # type: ignore[attr-defined]
    due = [frame.due_ns for frame in frames]
    second, burst = most_within(due, 1_000_000_000)[0], most_within(due, 10_000_000)[0]
    about = {"rest": rest, "ws": ws, "frames": len(frames), "most_in_1s": second, "most_in_10ms": burst}
    print(msgspec.json.encode(about).decode(), flush=True)
    played = await _play(server, frames, options.subscriptions)
    print(msgspec.json.encode(played).decode(), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until nobody needs us any more
    await server.stop()  # type: ignore[attr-defined]


def main() -> None:
    """Serve, play once, wait for the end of stdin."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load_server", description="A market at its real speed.")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--lead", type=float, required=True, help="seconds before what is measured")
    parser.add_argument("--subscriptions", type=int, required=True, help="how many streams are waited for")
    parser.add_argument("--first", action="store_true", help="the recording's first seconds, not its busiest")
    parser.add_argument("--frames", type=Path, required=True, help="where to write the frames and their times")
    die_with_parent()
    import uvloop

    uvloop.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
