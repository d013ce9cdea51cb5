"""`DayProfile`: how much livelier the market is at this time of the day than on average, learnt and shrunk.

The day (UTC) has `BUCKETS` half hours. Each visit of a half hour gives one observation of its variance per second v; with
n visits of mean v_b and all visits' mean v̄:

    f_b = (n·v_b/v̄ + n₀)/(n + n₀), then scaled to a mean of 1 over the day

n₀ visits of "as on average" stand against one wild day: 5 equal visits are believed half. n is capped, so that old days
are forgotten. Between the middles of two half hours f is interpolated. Source of the idea: Andersen and Bollerslev,
*Intraday periodicity and volatility persistence in financial markets*, J. Empirical Finance 4 (1997) 115.
"""

from __future__ import annotations

BUCKETS = 48
BUCKET_NS = 1_800_000_000_000
PRIOR_VISITS = 5.0
MOST_VISITS = 30.0
LEAST_SECONDS = 300.0  # a shorter visit says too little
PACE_RANGE = (0.2, 5.0)


class DayProfile:
    """The curve of one instrument. `observe` while it runs or over an archive's moves in order; `pace` at any time."""

    def __init__(self) -> None:
        self._visits = [0.0] * BUCKETS
        self._means = [0.0] * BUCKETS
        self._curve = [1.0] * BUCKETS
        self._visit = -1  # half hours since the epoch
        self._squares = 0.0
        self._seconds = 0.0

    def observe(self, ts_ns: int, square: float, seconds: float) -> None:
        """A squared relative move that took `seconds` and ended at `ts_ns`."""
        visit = ts_ns // BUCKET_NS
        if visit != self._visit:
            self._close()
            self._visit, self._squares, self._seconds = visit, 0.0, 0.0
        self._squares += square
        self._seconds += seconds

    def pace(self, ts_ns: int) -> float:
        """Variance per second at `ts_ns` over that of the whole day; 1 until something was learnt."""
        at = ts_ns % (BUCKETS * BUCKET_NS) / BUCKET_NS - 0.5
        first = int(at // 1)
        part = at - first
        value = self._curve[first % BUCKETS] * (1.0 - part) + self._curve[(first + 1) % BUCKETS] * part
        return min(max(value, PACE_RANGE[0]), PACE_RANGE[1])

    def _close(self) -> None:
        """End the visit of a half hour: its variance counts as one observation."""
        if self._visit < 0 or self._seconds < LEAST_SECONDS:
            return
        bucket = self._visit % BUCKETS
        n = min(self._visits[bucket] + 1.0, MOST_VISITS)
        self._means[bucket] += (self._squares / self._seconds - self._means[bucket]) / n
        self._visits[bucket] = n
        seen = [mean for mean, visits in zip(self._means, self._visits, strict=True) if visits]
        average = sum(seen) / len(seen)
        if average <= 0.0:
            return
        curve = [
            (visits * mean / average + PRIOR_VISITS) / (visits + PRIOR_VISITS)
            for mean, visits in zip(self._means, self._visits, strict=True)
        ]
        level = sum(curve) / BUCKETS
        self._curve = [value / level for value in curve]
