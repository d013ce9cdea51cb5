"""What one end of the load hears: every frame of every venue, counted at the same place at both ends, with what it cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.load_server import VenueFrame
from benchmarks.row import at
from sim.instruments import COINBASE


class Backlog(msgspec.Struct, kw_only=True):
    """What waited somewhere, sampled every 10 ms: the most, and what was left at the end."""

    samples: int = 0
    socket_bytes: int = 0
    frames: int = 0
    messages: int = 0
    left: int = 0  # frames and messages


class VenueHeard(msgspec.Struct, kw_only=True):
    """What an end heard of one venue after the lead. Times in ns; `told`: of how many frames the desk's market heard."""

    frames: int = 0
    missed: int = 0
    told: int = 0
    receive_p50: int = 0
    receive_p99: int = 0
    cpu_ns: int = 0  # the share of the process's that its frames took while they were handled


class Heard(msgspec.Struct, kw_only=True):
    """What one end says at the end. Times in ns; latencies of what was due after the lead."""

    venues: dict[str, VenueHeard]
    frames: int  # of all venues, after the lead
    missed: int
    cpu_ns: int
    told: int = 0
    receive_p50: int = 0
    receive_p99: int = 0
    due_p50: int = 0
    due_p99: int = 0
    due_most: int = 0
    to_book: list[int] = []  # p50 by third of the run: a queue that grows would show
    resyncs: int = 0
    pause_most: int = 0  # the longest that the collector of garbage took
    backlog: Backlog = msgspec.field(default_factory=Backlog)


class Told(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A frame that reached the desk's market: when it was due, received, and there."""

    venue: str
    due_ns: int
    received_ns: int
    told_ns: int


def key_of(venue: str, text: str) -> str:
    """What a frame is known by: its text, without the number that Coinbase gives it on each connection."""
    return text[text.find(',"events":') :] if venue == COINBASE else text


class Ear:
    """Counts frames as they come, knows when they were due, and what the process had used at the first and the last of them."""

    def __init__(self, frames: list[VenueFrame], lead_ns: int) -> None:
        self.lead_ns = lead_ns
        self._due: dict[str, dict[str, int]] = {}
        for frame in frames:
            known, key = self._due.setdefault(frame.venue, {}), key_of(frame.venue, frame.text)
            known[key] = -1 if key in known else frame.due_ns  # told twice: which one is not known
        self.awaited = {venue: sum(due >= lead_ns for due in known.values()) for venue, known in self._due.items()}
        self.counts = dict.fromkeys(self._due, 0)
        self._spent = dict.fromkeys(self._due, 0)
        self._left = sum(self.awaited.values())
        self._began_cpu_ns = self._ended_cpu_ns = 0
        self.all = asyncio.Event()
        self.current = ("", 0, 0)  # venue, due, received

    def listens(self, exchange: Any, venue: str) -> None:
        """Hear every frame of an instance's clients, before anything else does."""
        inner = exchange.client

        def client(url: str) -> Any:
            known = url in (exchange.clients or {})
            made = inner(url)
            if not known:
                made.handle_text_or_binary_message = self._heard(venue, made.handle_text_or_binary_message)
            return made

        exchange.client = client

    def _heard(self, venue: str, handle: Callable[[Any], None]) -> Callable[[Any], None]:
        known, lead_ns, counts, spent, now = self._due[venue], self.lead_ns, self.counts, self._spent, time.time_ns

        def heard(text: Any) -> None:
            received = now()
            due = known.get(key_of(venue, text), -1) if isinstance(text, str) else -1
            self.current = (venue, due, received)
            if due < lead_ns:
                handle(text)
                return
            if not self._began_cpu_ns:
                self._began_cpu_ns = time.process_time_ns()
            counts[venue] += 1
            self._left -= 1
            began = now()
            handle(text)
            spent[venue] += now() - began
            if not self._left:
                self._ended_cpu_ns = time.process_time_ns()
                self.all.set()

        return heard

    def heard_all(self) -> Heard:
        """The figures that both ends have."""
        ended = self._ended_cpu_ns or time.process_time_ns()
        cpu_ns, spent = ended - self._began_cpu_ns, max(1, sum(self._spent.values()))
        venues = {
            venue: VenueHeard(
                frames=count, missed=self.awaited[venue] - count, cpu_ns=cpu_ns * self._spent[venue] // spent
            )
            for venue, count in self.counts.items()
        }
        frames = sum(self.counts.values())
        return Heard(venues=venues, frames=frames, missed=sum(self.awaited.values()) - frames, cpu_ns=cpu_ns)


def with_latencies(heard: Heard, told: list[Told], start_ns: int) -> Heard:
    """The same with what the desk's market heard, and when."""
    receive = [one.told_ns - one.received_ns for one in told]
    late = [one.told_ns - start_ns - one.due_ns for one in told]
    third = max(1, len(told) // 3)
    heard.receive_p50, heard.receive_p99 = at(receive, 0.5), at(receive, 0.99)
    heard.due_p50, heard.due_p99, heard.due_most = at(late, 0.5), at(late, 0.99), max(late)
    heard.told = len(told)
    heard.to_book = [at(late[i : i + third], 0.5) for i in range(0, 3 * third, third)]
    for venue, one in heard.venues.items():
        mine = [
            told_ns - received_ns for of, _, received_ns, told_ns in map(msgspec.structs.astuple, told) if of == venue
        ]
        if mine:
            one.told, one.receive_p50, one.receive_p99 = len(mine), at(mine, 0.5), at(mine, 0.99)
    return heard
