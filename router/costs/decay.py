"""Time-decayed sums and their shrunken means: what scorecards and markouts remember.

S ← e·S + w·x and W ← e·W + w with e = 2^(−Δt/halflife), so that the mean S/W forgets and W is the effective number of
observations. A mean over few of them is drawn to a prior that counts as `prior_n` more: (S + n₀·μ₀)/(W + n₀), which is
the usual n/(n + n₀) weight on the data. Sums are linear, so two memories of one thing merge into the memory of both,
in any order of arrival; an observation older than the last one counts as much less as it is older. Floats: statistics,
not money. Pure.
"""

from __future__ import annotations

from collections import deque

NS = 1e-9


class Decayed:
    """A decayed mean of `x` with weights. `halflife_s`: after which an observation counts half."""

    __slots__ = ("_last_ns", "_rate", "total", "weight")

    def __init__(self, halflife_s: float) -> None:
        if not halflife_s > 0:
            raise ValueError("halflife_s must be positive")
        self._rate = NS / halflife_s
        self._last_ns = 0
        self.total = 0.0
        self.weight = 0.0

    def add(self, ts_ns: int, x: float, weight: float = 1.0) -> None:
        """One observation."""
        if ts_ns >= self._last_ns:
            self._fade_to(ts_ns)
        else:
            weight *= self._fade(self._last_ns - ts_ns)
        self.total += weight * x
        self.weight += weight

    def merge(self, other: Decayed) -> None:
        """Take in what another memory of the same thing holds."""
        if other._last_ns > self._last_ns:
            self._fade_to(other._last_ns)
            fade = 1.0
        else:
            fade = self._fade(self._last_ns - other._last_ns)
        self.total += fade * other.total
        self.weight += fade * other.weight

    @property
    def mean(self) -> float:
        """The decayed mean, 0 without observations."""
        return self.total / self.weight if self.weight > 0.0 else 0.0

    def n(self, now_ns: int = 0) -> float:
        """The effective number of observations at `now_ns` (at the last one when that is later or not given)."""
        return self.weight * (self._fade(now_ns - self._last_ns) if now_ns > self._last_ns else 1.0)

    def shrunk(self, prior: float, prior_n: float, now_ns: int = 0) -> float:
        """The mean drawn to `prior`, which counts as `prior_n` observations: the more, the longer ago at `now_ns` the last one was."""
        since = self.n(now_ns)
        weight = since + prior_n
        return (self.mean * since + prior_n * prior) / weight if weight > 0.0 else prior

    def _fade(self, elapsed_ns: int) -> float:
        return float(2.0 ** (-elapsed_ns * self._rate))

    def _fade_to(self, ts_ns: int) -> None:
        fade = self._fade(ts_ns - self._last_ns)
        self.total *= fade
        self.weight *= fade
        self._last_ns = ts_ns


class Window:
    """The last `most` values, for percentiles."""

    __slots__ = ("_values",)

    def __init__(self, most: int = 512) -> None:
        self._values: deque[int] = deque(maxlen=most)

    def add(self, value: int) -> None:
        """One value."""
        self._values.append(value)

    def merge_older(self, other: Window) -> None:
        """Put what another window holds before what this one does."""
        both = [*other._values, *self._values]
        self._values.clear()
        self._values.extend(both)

    def percentile(self, share: float) -> int | None:
        """Nearest-rank percentile, None without values."""
        if not self._values:
            return None
        ordered = sorted(self._values)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def __len__(self) -> int:
        return len(self._values)
