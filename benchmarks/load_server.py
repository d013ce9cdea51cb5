"""`python -m benchmarks.load_server`: loopback venues that play the busiest seconds of a market at their real speed, all at once.

The frames are made beforehand, so that what is measured at the other end is not this process encoding them. It starts when as many
streams as were announced are subscribed, and writes down when; every frame goes out at its own time, however late the ones before were,
and those that are due at once go to a socket in one piece, not compressed: a burst of the recording is a burst on the wire.
On stdout, a JSON line each: where it listens and what it will send; at the end, what it sent and how late.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from adapters.process import die_with_parent
from benchmarks.load_tape import PAIR, frames_of, most_within, span_of, standing, topics_of
from benchmarks.row import at
from sim.instruments import COINBASE

START_S = 0.5  # between the last subscription and the first frame
TEXT = 0x81  # the first byte of a whole text frame (RFC 6455)


class VenueFrame(msgspec.Struct, frozen=True, array_like=True):
    """What subscribers of a venue's topic are sent, and when, ns from the beginning."""

    due_ns: int
    venue: str
    topic: str
    text: str


class Offered(msgspec.Struct, frozen=True):
    """What a venue is going to send: where, of which market, how many frames, and the most of them in a second and in 10 ms."""

    rest: str
    ws: str
    symbol: str
    frames: int
    most_in_1s: int
    most_in_10ms: int


class About(msgspec.Struct, frozen=True):
    """What the servers are going to send, by venue, and together."""

    venues: dict[str, Offered]
    frames: int
    most_in_1s: int
    most_in_10ms: int


class Played(msgspec.Struct, frozen=True):
    """What was sent. `start_ns`: when the first frame was due, by the clock; how late the writes were; the most bytes left here."""

    start_ns: int
    late_ns_p50: int
    late_ns_p99: int
    late_ns_most: int
    unsent_bytes: int


def framed(text: str) -> bytes:
    """A text frame as a server sends it: unmasked, in one piece."""
    body = text.encode()
    size = len(body)
    if size < 126:
        return bytes((TEXT, size)) + body
    if size < 1 << 16:
        return bytes((TEXT, 126)) + size.to_bytes(2) + body
    return bytes((TEXT, 127)) + size.to_bytes(8) + body


def prepared(
    venues: Sequence[str], seconds: float, lead_s: float, *, busiest: bool
) -> tuple[dict[str, Any], list[VenueFrame]]:
    """The servers as they stand at the beginning, and the frames from there in the order they are due."""
    servers, told = {}, []
    for venue in venues:
        span = span_of(venue, seconds, lead_s, busiest=busiest)
        servers[venue] = standing(span)
        told.append([VenueFrame(frame.due_ns, venue, frame.topic, frame.text) for frame in frames_of(span)])
    return servers, list(heapq.merge(*told, key=lambda frame: frame.due_ns))


class _Line:
    """A subscribed client's socket, and what is to be written to it next."""

    def __init__(self, peer: Any) -> None:
        self.transport = peer.socket._req.transport
        self.due: list[bytes] = []

    def write(self) -> int:
        """Write what is due; bytes that the socket did not take."""
        self.transport.write(b"".join(self.due))
        self.due.clear()
        return int(self.transport.get_write_buffer_size())


async def _play(servers: dict[str, Any], frames: list[VenueFrame], subscriptions: int) -> Played:
    while sum(_subscribed(servers)) < subscriptions:
        await asyncio.sleep(0.05)
    lines = {peer: _Line(peer) for server in servers.values() for peer in server.peers if peer.topics}
    ready = [(frame, framed(frame.text)) for frame in frames]
    late, unsent = [], 0
    start_ns, begun_ns = time.time_ns() + int(START_S * 1e9), time.perf_counter_ns() + int(START_S * 1e9)
    place = 0
    while place < len(ready):
        wait_ns = begun_ns + ready[place][0].due_ns - time.perf_counter_ns()
        await asyncio.sleep(max(0, wait_ns) / 1e9)
        now_ns = time.perf_counter_ns() - begun_ns
        first = place
        while place < len(ready) and ready[place][0].due_ns <= now_ns:
            frame, wire = ready[place]
            place += 1
            server = servers[frame.venue]
            if frame.venue == COINBASE:  # numbers each connection's frames, its own heartbeats among them
                server.publish(frame.topic, frame.text)
                continue
            for peer in server.peers:
                if frame.topic in peer.topics:
                    lines[peer].due.append(wire)
        unsent = max(unsent, *(line.write() for line in lines.values() if line.due), 0, 0)
        done_ns = time.perf_counter_ns() - begun_ns
        late += [done_ns - frame.due_ns for frame, _ in ready[first:place]]
    return Played(start_ns, at(late, 0.5), at(late, 0.99), max(late), unsent)


def _subscribed(servers: dict[str, Any]) -> Iterator[int]:
    for venue, server in servers.items():
        wanted = set(topics_of(venue, PAIR).values())
        yield from (len(peer.topics & wanted) for peer in server.peers)


async def _serve(options: argparse.Namespace) -> None:
    venues = options.venues.split(",")
    servers, frames = prepared(venues, options.seconds, options.lead, busiest=not options.first)
    options.frames.write_bytes(msgspec.json.encode(frames))
    offered = {}
    for venue, server in servers.items():
        rest, ws = await server.start()
        (symbol,) = server.core.instruments
        offered[venue] = Offered(rest, ws, symbol, *_rates([f.due_ns for f in frames if f.venue == venue]))
    print(msgspec.json.encode(About(offered, *_rates([frame.due_ns for frame in frames]))).decode(), flush=True)
    subscriptions = 2 * sum(len(topics_of(venue, PAIR)) for venue in venues)  # of both ends
    played = await _play(servers, frames, subscriptions)
    print(msgspec.json.encode(played).decode(), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until nobody needs us any more
    for server in servers.values():
        await server.stop()


def _rates(due_ns: list[int]) -> tuple[int, int, int]:
    return len(due_ns), most_within(due_ns, 1_000_000_000)[0], most_within(due_ns, 10_000_000)[0]


def main() -> None:
    """Serve, play once, wait for the end of stdin."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load_server", description="A market at its real speed.")
    parser.add_argument("--venues", required=True, help="names, separated by commas")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--lead", type=float, required=True, help="seconds before what is measured")
    parser.add_argument("--first", action="store_true", help="the recording's first seconds, not its busiest")
    parser.add_argument("--frames", type=Path, required=True, help="where to write the frames and their times")
    die_with_parent()
    import uvloop

    uvloop.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
