"""What waits to be sent on one socket, and the one task that sends it.

    replies and events   a queue in order, bounded; full means the consumer is too slow and is disconnected, never skipped
    market data          not queued at all: a subscription is marked ready once, and rendered when its turn comes, latest state
    heartbeat            a mark: a slow socket gets one, not a backlog of them

Sending waits when the socket's buffers are full, and that is what conflates: what changes meanwhile is rendered once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec
from aiohttp import web

from desk.api.codec import Codec
from desk.api.frames import Push
from desk.api.metrics import Metrics

_log = logging.getLogger(__name__)

MAX_QUEUED = 4_000  # frames
_YIELD_EVERY = 64  # frames sent before other tasks get a turn


class Rendered(Protocol):
    """What is rendered when its turn comes: a conflated subscription."""

    number: int
    channel: str

    def take(self) -> Push | None: ...


class Owner(Protocol):
    """The session an outbox belongs to."""

    def overflow(self) -> None: ...

    def render_failed(self, subscription: Rendered, fault: Exception) -> None: ...


class Outbox:
    """Sends frames of one socket. `put` and `ready` never block and may be called from any callback of the loop."""

    def __init__(self, ws: web.WebSocketResponse, codec: Codec, owner: Owner, metrics: Metrics) -> None:
        self.codec = codec
        self._ws = ws
        self._owner = owner
        self._metrics = metrics
        self._queue: deque[msgspec.Struct] = deque()
        self._ready: dict[int, Rendered] = {}
        self._heartbeat: Callable[[], msgspec.Struct] | None = None
        self._wake = asyncio.Event()
        self._sending_since = 0.0
        self._closed = False

    def put(self, frame: msgspec.Struct) -> None:
        """Queue a frame that must not be lost."""
        if self._closed:
            return
        if len(self._queue) >= MAX_QUEUED:
            self._closed = True
            self._owner.overflow()
            return
        self._queue.append(frame)
        self._wake.set()

    def ready(self, subscription: Rendered) -> None:
        """A conflated subscription has something new."""
        self._ready[subscription.number] = subscription
        self._wake.set()

    def forget(self, subscription: Rendered) -> None:
        """A subscription ended or moved to another socket."""
        self._ready.pop(subscription.number, None)

    def beat(self, make: Callable[[], msgspec.Struct]) -> None:
        """Send a heartbeat, made at the moment it is sent."""
        self._heartbeat = make
        self._wake.set()

    def stalled_s(self) -> float:
        """How long the frame now being sent has been waiting for the socket."""
        return time.monotonic() - self._sending_since if self._sending_since else 0.0

    def stop(self) -> None:
        """Queue nothing more."""
        self._closed = True

    async def run(self) -> None:
        """Send until cancelled or the connection is gone."""
        sent = 0
        while True:
            frame = self._next()
            if frame is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            self._sending_since = time.monotonic()
            await self._ws.send_frame(self.codec.encode(frame), self.codec.opcode)
            self._sending_since = 0.0
            sent += 1
            self._metrics.count("kerb_ws_frames_total")
            if sent % _YIELD_EVERY == 0:
                await asyncio.sleep(0)

    def _next(self) -> msgspec.Struct | None:
        if self._queue:
            return self._queue.popleft()
        if self._heartbeat is not None:
            make, self._heartbeat = self._heartbeat, None
            return make()
        while self._ready:
            subscription = self._ready.pop(next(iter(self._ready)))
            try:
                frame = subscription.take()
            except Exception as fault:
                _log.exception("rendering %s failed", subscription.channel)
                self._owner.render_failed(subscription, fault)
                return self._queue.popleft() if self._queue else None
            if frame is not None:
                if frame.conflated:
                    self._metrics.count("kerb_ws_conflated_total", by=frame.conflated)
                return frame
        return None
