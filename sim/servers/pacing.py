"""Market events in real time: re-based to now, paced by the recording's own receive times, endless.

When a tape ends it starts again without a seam: one update carries the last book into the first one, so that a client sees an unbroken
stream. When the last book was not live, the first one comes as a snapshot. A venue's clock and arrival keep their distance.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Iterator

import msgspec

from sim.events import EventKind, VenueEvent
from sim.levels import LevelBook, difference

_SEAM_NS = 100_000_000
_RECOVERY_NS = 1_000_000_000  # after a tape that ended without a live book
_BATCH = 64  # events delivered before the loop may serve others


def looped(
    make: Callable[[], Iterator[VenueEvent]], *, origin_ns: int, start_ns: int, speed: float = 1.0
) -> Iterator[VenueEvent]:
    """The events of `make()` over and over. `origin_ns` of the recording falls on `start_ns`; `speed` 2.0 = twice as fast.

    A stream without events ends at once.
    """

    def at(event: VenueEvent, base_ns: int, on_ns: int) -> VenueEvent:
        init = on_ns + int((event.ts_init_ns - base_ns) / speed)
        return msgspec.structs.replace(
            event, ts_init_ns=init, ts_event_ns=init - (event.ts_init_ns - event.ts_event_ns)
        )

    book, live = LevelBook(), False
    first: VenueEvent | None = None
    base, on, last = origin_ns, start_ns, start_ns
    while True:
        delivered = False
        waiting = first is not None  # later passes join the tape where its first live book is
        for event in make():
            if waiting:
                if event.kind is not EventKind.SNAPSHOT:
                    continue
                waiting = False
                base, on = event.ts_init_ns, last + (_SEAM_NS if live else _RECOVERY_NS)
                if live:
                    start = LevelBook()
                    start.load(event.levels)
                    event = msgspec.structs.replace(event, kind=EventKind.UPDATE, levels=difference(book, start))
            match event.kind:
                case EventKind.SNAPSHOT:
                    book.load(event.levels)
                    live = True
                    first = first or event
                case EventKind.UPDATE:
                    book.apply(event.levels)
                case EventKind.CLEAR:
                    book.clear()
                    live = False
            moved = at(event, base, on)
            last = moved.ts_init_ns
            delivered = True
            yield moved
        if not delivered:
            return
        if first is None:
            base, on = origin_ns, last + _SEAM_NS


async def deliver(streams: list[Iterator[VenueEvent]], sink: Callable[[VenueEvent], None]) -> None:
    """Hand the events of several streams to `sink`, each when it is due on the wall clock; runs until cancelled or all streams end."""
    served = 0
    for event in heapq.merge(*streams, key=lambda event: event.ts_init_ns):
        wait_s = (event.ts_init_ns - time.time_ns()) / 1e9
        served += 1
        if wait_s > 0 or served >= _BATCH:
            served = 0
            await asyncio.sleep(max(0.0, wait_s))
        sink(event)
