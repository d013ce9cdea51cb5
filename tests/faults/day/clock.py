"""Real time with the idle parts cut out: every clock of the process jumps to the next timer when nobody has anything to do.

1. `install` replaces `time.time`, `time_ns`, `monotonic` and `monotonic_ns` by the real ones plus what was skipped. It must come before
   any module is imported that keeps one of them under a name of its own (ours, ccxt's throttle, aiohttp's connector).
2. `Loop` asks its selector without waiting. Only when nothing is ready, nothing is on its way and no thread works for the loop, the wait
   until its next timer is added to what was skipped, and not waited for. So work takes as long as it takes, and only waiting costs nothing.
3. Sockets stay real. On loopback what was sent is in the receiver's queue when `send` returns, so both ends in one process and one
   selector see it at once; what a full buffer holds back shows as a transport that wants to write. Should the kernel still be late by a
   moment, the frame arrives after the next timer: a network that was slow by that much.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401  (threads must wait by the real clock, and keep it by its name)
import contextlib
import queue  # noqa: F401
import selectors
import threading  # noqa: F401
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

REAL_MONOTONIC_NS, REAL_TIME_NS = time.monotonic_ns, time.time_ns
BLOCKED_S = 0.002  # a real wait for what is on its way


class Clock:
    """What was skipped so far, for every clock of the process."""

    def __init__(self) -> None:
        self.skipped_ns = 0
        self.jumps = 0

    def skip(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self.skipped_ns += int(seconds * 1e9) + 1
        self.jumps += 1

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """What is done within takes no time."""
        began_ns = REAL_MONOTONIC_NS()
        try:
            yield
        finally:
            self.skipped_ns -= REAL_MONOTONIC_NS() - began_ns

    def monotonic_ns(self) -> int:
        """As `time.monotonic_ns`."""
        return REAL_MONOTONIC_NS() + self.skipped_ns

    def monotonic(self) -> float:
        """As `time.monotonic`."""
        return (REAL_MONOTONIC_NS() + self.skipped_ns) / 1e9

    def time_ns(self) -> int:
        """As `time.time_ns`."""
        return REAL_TIME_NS() + self.skipped_ns

    def time(self) -> float:
        """As `time.time`."""
        return (REAL_TIME_NS() + self.skipped_ns) / 1e9


def install() -> Clock:
    """Put one clock in place of the four."""
    clock = Clock()
    for name in ("monotonic", "monotonic_ns", "time", "time_ns"):
        setattr(time, name, getattr(clock, name))
    return clock


class Selector(selectors.BaseSelector):
    """A real selector that skips instead of waiting. `busy()`: whether a thread works for the loop."""

    def __init__(self, clock: Clock, busy: Callable[[], bool]) -> None:
        self._real = selectors.DefaultSelector()
        self._clock = clock
        self._busy = busy
        self._writing: set[int] = set()  # descriptors that wait to be written to

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; with nothing ready, the time until `timeout` is over at once."""
        ready = self._real.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            return self._real.select(None)
        if self._writing or self._busy():
            return self._real.select(min(timeout, BLOCKED_S))
        self._clock.skip(timeout)
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As the real one."""
        key = self._real.register(fileobj, events, data)
        self._noted(key)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As the real one."""
        key = self._real.modify(fileobj, events, data)
        self._noted(key)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """As the real one."""
        key = self._real.unregister(fileobj)
        self._writing.discard(key.fd)
        return key

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """As the real one's."""
        return self._real.get_map()

    def close(self) -> None:
        """Close the real one."""
        self._real.close()

    def _noted(self, key: selectors.SelectorKey) -> None:
        if key.events & selectors.EVENT_WRITE:
            self._writing.add(key.fd)
        else:
            self._writing.discard(key.fd)


class Loop(asyncio.SelectorEventLoop):
    """An event loop that never waits for a timer."""

    def __init__(self, clock: Clock) -> None:
        self._threads = 0
        super().__init__(Selector(clock, lambda: self._threads > 0))

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """As asyncio's; no time is skipped until the thread has answered."""
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._answered)
        return future

    def _answered(self, future: Any) -> None:
        self._threads -= 1
