"""Our own order rate limit: a token bucket a kind of request, because ccxt's throttle queues an order behind every snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic


class RateLimited(Exception):
    """The request would have waited longer than allowed: it was not sent."""


class TokenBucket:
    """`rate_per_s` requests a second, bursts of one second's worth, first come first served, waiting bounded."""

    def __init__(self, rate_per_s: float, clock: Callable[[], float] = monotonic) -> None:
        self._interval = 1.0 / rate_per_s
        self._burst = max(0.0, 1.0 - self._interval)
        self._clock = clock
        self._next = clock() - 1.0

    def reserve(self, max_wait_s: float) -> float:
        """Take one token; the seconds to wait before using it. Raises `RateLimited`, taking none, above `max_wait_s`."""
        now = self._clock()
        due = max(self._next, now - self._burst)
        wait = max(0.0, due - now)
        if wait > max_wait_s:
            raise RateLimited(f"our own limit of {1 / self._interval:g} requests/s: would wait {wait:.1f} s")
        self._next = due + self._interval
        return wait

    async def take(self, max_wait_s: float) -> None:
        """Wait for a token."""
        if (wait := self.reserve(max_wait_s)) > 0:
            await asyncio.sleep(wait)
