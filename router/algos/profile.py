"""`VolumeProfile`: how an instrument's volume is spread over the day (UTC), learnt from past trades.

Each part of the day has the mean volume of the days on which it was watched from its beginning to its end; a part that never was has the
mean of the others. Without any past a profile is flat and expects nothing in figures. Statistics: floats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import pairwise

import msgspec

PART_S = 300
_DAY_S = 86_400
_NS = 1_000_000_000
_CURVE_SCALE = 1_000_000


class VolumeProfile(msgspec.Struct, frozen=True, kw_only=True):
    """`volume[k]`: base traded on average in the k-th part of the day (equal parts, from midnight UTC); empty: flat, nothing known."""

    volume: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.volume and (_DAY_S % len(self.volume) or any(not 0 <= part < float("inf") for part in self.volume)):
            raise ValueError("a profile has equal parts of whole seconds, each with a volume of at least zero")

    def between(self, start_ns: int, end_ns: int) -> float:
        """Base volume expected from `start_ns` to `end_ns`; 0 when nothing is known."""
        if not self.volume or end_ns <= start_ns:
            return 0.0
        part_ns = _DAY_S // len(self.volume) * _NS
        days, rest = divmod(end_ns - start_ns, _DAY_S * _NS)
        expected = days * sum(self.volume)
        at, end = start_ns, start_ns + rest
        while at < end:
            edge = min((at // part_ns + 1) * part_ns, end)
            expected += self.volume[at // part_ns % len(self.volume)] * (edge - at) / part_ns
            at = edge
        return expected

    def curve(self, start_ns: int, end_ns: int, parts: int) -> tuple[int, ...]:
        """Relative volume of `parts` equal parts of the time between; empty when the profile says nothing about it."""
        edges = [start_ns + (end_ns - start_ns) * k // parts for k in range(parts + 1)]
        expected = [self.between(first, last) for first, last in pairwise(edges)]
        whole = sum(expected)
        return tuple(round(_CURVE_SCALE * part / whole) for part in expected) if whole > 0 else ()

    def expected(self, start_ns: int, end_ns: int) -> Decimal:
        """The same as `between`, to eight decimals."""
        return Decimal(str(round(self.between(start_ns, end_ns), 8)))


def profile_of(trades: Iterable[tuple[int, float]], part_s: int = PART_S) -> VolumeProfile:
    """The profile of past trades (time in ns, base quantity) of one instrument over all its venues, in any order."""
    totals: dict[int, float] = {}
    for ts_ns, quantity in trades:
        part = ts_ns // (part_s * _NS)
        totals[part] = totals.get(part, 0.0) + quantity
    return profile_from(totals, part_s)


def profile_from(totals: Mapping[int, float], part_s: int = PART_S) -> VolumeProfile:
    """The profile of volume by part of time since 1970 (part k begins at k·`part_s`); a part without trades is not in `totals`.

    A part counts when it and both its neighbours saw trades: then somebody watched it from its beginning to its end.
    """
    if part_s <= 0 or _DAY_S % part_s:
        raise ValueError("part_s must divide a day")
    parts = _DAY_S // part_s
    sums, days = [0.0] * parts, [0] * parts
    for part, volume in totals.items():
        if part - 1 in totals and part + 1 in totals:
            sums[part % parts] += volume
            days[part % parts] += 1
    known = [total / count for total, count in zip(sums, days, strict=True) if count]
    if not sum(known):
        return VolumeProfile()
    mean = sum(known) / len(known)
    return VolumeProfile(
        volume=tuple(total / count if count else mean for total, count in zip(sums, days, strict=True))
    )
