"""Latency histograms that cost a tenth of a microsecond to feed: log-linear buckets, 32 to the octave (3 % resolution)."""

from __future__ import annotations

_SUB = 32
_SUB_BITS = 5
_OCTAVES = 44  # up to about five hours in nanoseconds


class Histogram:
    """Counts of durations in nanoseconds. Negative durations count as zero (clocks of two processes may disagree)."""

    __slots__ = ("_counts", "n")

    def __init__(self) -> None:
        self._counts = [0] * (_SUB * _OCTAVES)
        self.n = 0

    def record(self, duration_ns: int) -> None:
        """Count one duration."""
        value = max(duration_ns, 0)
        shift = max(value.bit_length() - _SUB_BITS - 1, 0)
        index = (shift << _SUB_BITS) + (value >> shift)
        self._counts[min(index, len(self._counts) - 1)] += 1
        self.n += 1

    def percentile(self, fraction: float) -> int:
        """Upper edge, in nanoseconds, of the bucket that holds the given fraction; 0 when nothing was counted."""
        if not self.n:
            return 0
        wanted = max(1, round(self.n * fraction))
        seen = 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                shift = max((index >> _SUB_BITS) - 1, 0)
                return ((index - (shift << _SUB_BITS) + 1) << shift) - 1
        return 0
