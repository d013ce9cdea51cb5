"""A token bucket per key: `rate_per_s` on average, `burst` at once.

A refused request says when the next one will be let in.
"""

from __future__ import annotations

from desk.errors import Limited


class TokenBucket:
    """Times are integer nanoseconds of any monotonic clock; one bucket costs a few hundred nanoseconds a request."""

    __slots__ = ("_burst", "_last_ns", "_rate_per_ns", "_tokens")

    def __init__(self, rate_per_s: float, burst: int, now_ns: int) -> None:
        self._rate_per_ns = rate_per_s / 1e9
        self._burst = float(burst)
        self._tokens = float(burst)
        self._last_ns = now_ns

    def take(self, now_ns: int) -> float:
        """0.0 when a token was taken; else the seconds until there is one. A clock that goes back adds nothing."""
        elapsed_ns = max(0, now_ns - self._last_ns)
        self._last_ns = max(self._last_ns, now_ns)
        self._tokens = min(self._burst, self._tokens + elapsed_ns * self._rate_per_ns)
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / (self._rate_per_ns * 1e9)


class RateLimits:
    """The buckets of all keys. A key whose limits changed starts a new bucket."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, int, TokenBucket]] = {}

    def take(self, key_id: str, rate_per_s: float, burst: int, now_ns: int) -> None:
        """Count one request of the key; raises `Limited` with `retry_after_s` when it is one too many."""
        held = self._buckets.get(key_id)
        if held is None or held[0] != rate_per_s or held[1] != burst:
            held = (rate_per_s, burst, TokenBucket(rate_per_s, burst, now_ns))
            self._buckets[key_id] = held
        wait_s = held[2].take(now_ns)
        if wait_s > 0:
            raise Limited(
                "rate_limited",
                f"more than {rate_per_s:g} requests a second",
                details={"retry_after_s": round(wait_s, 3), "limit_per_s": rate_per_s, "burst": burst},
            )
