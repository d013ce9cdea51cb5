"""A subscription: one channel of one client, with its own sequence without holes.

Two kinds, by what a slow consumer may lose:
    Reliable    RFQs, trades, alerts. Every event is a frame; the last ones are kept, so that `resume` can send them again.
    Conflated   prices and states. A frame is the latest state when there is room to send it, and says how many it stands for.

After a disconnect a subscription is parked for a minute: a reliable one goes on collecting, a conflated one sleeps.
"""

from __future__ import annotations

import asyncio
import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from desk.api.frames import Mode, Push
from desk.api.outbox import Outbox
from desk.errors import Invalid
from desk.service import Caller

REPLAY_FRAMES = 2_000
PARK_S = 60.0
MAX_PARKED = 2_000


class Subscription(ABC):
    """`number` is unique within an epoch. `outbox` is None while parked."""

    def __init__(self, number: int, channel: str, mode: Mode, caller: Caller, clock_ns: Callable[[], int]) -> None:
        self.number = number
        self.channel = channel
        self.mode = mode
        self.caller = caller
        self.seq = 0
        self.outbox: Outbox | None = None
        self._clock_ns = clock_ns

    def prepare(self) -> None:
        """What can fail, before the client is told that it is subscribed. Nothing may happen between this and `start`."""

    @abstractmethod
    def start(self, outbox: Outbox) -> None:
        """Begin with a snapshot as the next frame."""

    @abstractmethod
    def park(self) -> None:
        """The socket is gone; it may come back."""

    @abstractmethod
    def resume(self, outbox: Outbox, seq: int) -> None:
        """Go on after frame `seq`, on this socket."""

    @abstractmethod
    def stop(self) -> None:
        """Leave every source, for good."""

    def _push(self, kind: Literal["snapshot", "update"], data: Any, conflated: int = 0) -> Push:
        self.seq += 1
        return Push(
            sub=self.number, seq=self.seq, kind=kind, ts_ns=self._clock_ns(), data=data, conflated=max(0, conflated)
        )

    def check_resume(self, seq: int) -> None:
        """Raise `Invalid` when it is impossible to go on after frame `seq`."""
        if not 0 <= seq <= self.seq:
            raise Invalid("bad_seq", f"this subscription has sent up to {self.seq}", details={"seq": self.seq})


class Reliable(Subscription):
    """Subclasses attach `publish` to a source in `attach` and say what the snapshot is."""

    def __init__(self, number: int, channel: str, mode: Mode, caller: Caller, clock_ns: Callable[[], int]) -> None:
        super().__init__(number, channel, mode, caller, clock_ns)
        self._replay: deque[Push] = deque(maxlen=REPLAY_FRAMES)
        self._first: Any = None

    @abstractmethod
    def snapshot(self) -> Any:
        """What there is now."""

    @abstractmethod
    def attach(self) -> None:
        """Listen to the source."""

    def prepare(self) -> None:
        self._first = self.snapshot()

    def start(self, outbox: Outbox) -> None:
        self.outbox = outbox
        first, self._first = self._first, None
        self._emit("snapshot", first)
        self.attach()

    def publish(self, data: Any) -> None:
        """One event."""
        self._emit("update", data)

    def park(self) -> None:
        self.outbox = None

    def check_resume(self, seq: int) -> None:
        super().check_resume(seq)
        oldest = self._replay[0].seq if self._replay else self.seq + 1
        if seq + 1 < oldest:
            raise Invalid(
                "resume_too_old", f"frames before {oldest} are gone: subscribe again", details={"oldest": oldest}
            )

    def resume(self, outbox: Outbox, seq: int) -> None:
        self.outbox = outbox
        for frame in [frame for frame in self._replay if frame.seq > seq]:
            outbox.put(frame)

    def _emit(self, kind: Literal["snapshot", "update"], data: Any) -> None:
        frame = self._push(kind, data)
        self._replay.append(frame)
        if self.outbox is not None:
            self.outbox.put(frame)


class Conflated(Subscription):
    """Subclasses say what the state is in `render`, and call `changed` when it is another. At most one frame in `interval_s`."""

    def __init__(
        self,
        number: int,
        channel: str,
        mode: Mode,
        caller: Caller,
        clock_ns: Callable[[], int],
        interval_s: float,
    ) -> None:
        super().__init__(number, channel, mode, caller, clock_ns)
        self.interval_s = interval_s
        self.fresh = True  # the next frame is a snapshot
        self._pending = 0
        self._scheduled = False
        self._next_at = 0.0
        self._loop = asyncio.get_running_loop()

    @abstractmethod
    def attach(self) -> None:
        """Listen to the source."""

    @abstractmethod
    def detach(self) -> None:
        """Stop listening."""

    @abstractmethod
    def render(self) -> Any | None:
        """The state as it is now, or what of it changed; None when there is nothing to say."""

    def lost(self) -> int:
        """How many changes the frame now rendered stands for beyond its own."""
        return self._pending - 1

    def start(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.fresh = True
        self._next_at = 0.0
        self.attach()
        self.changed()

    def park(self) -> None:
        self.stop()

    def resume(self, outbox: Outbox, seq: int) -> None:
        self.stop()
        self.seq = seq  # nothing is sent again: a snapshot is the frame after the last one seen
        self._scheduled = False
        self._pending = 0
        self.start(outbox)

    def stop(self) -> None:
        if self.outbox is not None:
            self.outbox.forget(self)
            self.outbox = None
            self.detach()

    def changed(self) -> None:
        """Something is new. Cheap; called for every tick."""
        self._pending += 1
        if self._scheduled or self.outbox is None:
            return
        self._scheduled = True
        wait_s = self._next_at - self._loop.time()
        if wait_s <= 0:
            self.outbox.ready(self)
        else:
            self._loop.call_later(wait_s, self._due)

    def _due(self) -> None:
        if self.outbox is not None and self._scheduled:
            self.outbox.ready(self)

    def take(self) -> Push | None:
        """The frame to send now. Called by the outbox when the socket has room."""
        if self.outbox is None:
            return None
        self._scheduled = False
        self._next_at = self._loop.time() + self.interval_s
        data = self.render()
        lost, self._pending = self.lost(), 0
        if data is None:
            return None
        kind: Literal["snapshot", "update"] = "snapshot" if self.fresh else "update"
        self.fresh = False
        return self._push(kind, data, lost)


class Registry:
    """Numbers subscriptions and keeps the parked ones. Numbers of different epochs do not meet."""

    def __init__(self, epoch: str) -> None:
        self._last = zlib.crc32(epoch.encode()) % 1_000_000 * 1_000
        self._live: dict[int, Subscription] = {}
        self._parked: dict[int, asyncio.TimerHandle] = {}

    def number(self) -> int:
        """A number for a new subscription."""
        self._last += 1
        return self._last

    def add(self, subscription: Subscription) -> None:
        """It is on a socket now."""
        self._live[subscription.number] = subscription

    def count(self) -> dict[str, int]:
        """Subscriptions by channel, parked ones too."""
        counts: dict[str, int] = {}
        for subscription in self._live.values():
            counts[subscription.channel] = counts.get(subscription.channel, 0) + 1
        return counts

    def find(self, number: int, caller: Caller) -> Subscription | None:
        """The caller's subscription of that number, parked or still on a socket that does not know it is dead."""
        found = self._live.get(number)
        return found if found is not None and found.caller.key_id == caller.key_id else None

    def park(self, subscription: Subscription) -> None:
        """Keep it for a minute; the oldest go first when there are too many."""
        subscription.park()
        loop = asyncio.get_running_loop()
        self._parked[subscription.number] = loop.call_later(PARK_S, self.drop, subscription)
        while len(self._parked) > MAX_PARKED:
            self.drop(self._live[next(iter(self._parked))])

    def unpark(self, subscription: Subscription) -> None:
        """It is back on a socket."""
        timer = self._parked.pop(subscription.number, None)
        if timer is not None:
            timer.cancel()

    def drop(self, subscription: Subscription) -> None:
        """It ends."""
        self.unpark(subscription)
        self._live.pop(subscription.number, None)
        subscription.stop()

    def close(self) -> None:
        """Everything ends."""
        for subscription in list(self._live.values()):
            self.drop(subscription)
