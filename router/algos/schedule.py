"""Schedules: when how much of a quantity is due. Non-negative, sums exactly to the quantity, a function of its arguments and the seed.

`apportion` gives whole lots by largest remainders (Hamilton's method: each part is its share rounded down or up), in exact fractions.
`lay` puts a slice into each interval of a grid, jittered in time and size. `Slices` is the algo of every schedule of slices: it sends
what is due and not yet filled or open, at most `catch_up` average slices an interval (or the least that can be sent), and all of it
once the schedule has ended.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from math import isfinite
from random import Random

import msgspec

from risk.exact import EXACT, ZERO, add, times
from router.algos.spec import Sliced, Standing
from router.algos.step import FOREVER, Progress, Step, View, clip

MOST_SLICES = 1_000
_MS = 1_000_000


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """`at_ns` rising; `due[k]`: base due from `at_ns[k]` on, never falling, the last one the whole quantity."""

    at_ns: tuple[int, ...]
    due: tuple[Decimal, ...]

    def slice(self, k: int) -> Decimal:
        """The k-th slice."""
        return self.due[k] if k == 0 else add(self.due[k], -self.due[k - 1])

    def index(self, now_ns: int) -> int:
        """The interval `now_ns` lies in: the last slice that is due, −1 before the first."""
        return bisect_right(self.at_ns, now_ns) - 1


def apportion(total: int, weights: Sequence[float]) -> list[int]:
    """`total` in whole numbers proportional to `weights`, by largest remainders (the earlier one first when they are equal).

    Raises ValueError when a weight is negative or no number, or all are zero.
    """
    if total < 0 or not weights or any(not isfinite(weight) or weight < 0 for weight in weights):
        raise ValueError("weights must be numbers of at least zero, and the total as well")
    parts = [Fraction(weight) for weight in weights]
    whole = sum(parts)
    if whole == 0:
        raise ValueError("at least one weight must be above zero")
    shares = [total * part / whole for part in parts]
    given = [int(share) for share in shares]
    order = sorted(range(len(shares)), key=lambda k: (given[k] - shares[k], k))
    for k in order[: total - sum(given)]:
        given[k] += 1
    return given


def slices_of(standing: Standing, interval_ms: int) -> int:
    """How many slices the schedule has: one an interval, at least one, at most `MOST_SLICES`."""
    length = max(1, standing.until_ns - standing.since_ns)
    return max(1, min(MOST_SLICES, -(-length // (interval_ms * _MS))))


def lay(
    quantity: Decimal, unit: Decimal, standing: Standing, weights: Sequence[float], spec: Sliced, seed: str
) -> Schedule:
    """A slice in each of `len(weights)` equal intervals; `quantity` (base) in lots of `unit`, what is finer goes with the last slice."""
    dice = Random(seed)
    n = len(weights)
    length = standing.until_ns - standing.since_ns
    edges = [standing.since_ns + length * k // n for k in range(n + 1)]
    late = [int((edges[k + 1] - edges[k]) * spec.time_jitter * dice.random()) for k in range(n)]
    sized = [weight * (1 + spec.size_jitter * (2 * dice.random() - 1)) for weight in weights]
    if not any(sized):
        sized = list(weights)
    lots = apportion(int(EXACT.divide_int(quantity, unit)), sized)
    due = [times(Decimal(total), unit) for total in accumulate(lots)]
    due[-1] = quantity
    return Schedule(at_ns=tuple(edges[k] + late[k] for k in range(n)), due=tuple(due))


class Slices:
    """A schedule at work. `quantity`: base that was neither filled nor open when it was laid."""

    def __init__(
        self, spec: Sliced, standing: Standing, quantity: Decimal, unit: Decimal, weights: Sequence[float], seed: str
    ) -> None:
        self.spec = spec
        self.standing = standing
        self.schedule = lay(quantity, unit, standing, weights, spec, seed)
        self._mean = EXACT.divide(quantity, Decimal(len(weights)))
        self._catch_up = Decimal(str(spec.catch_up))

    def due(self, k: int, progress: Progress, view: View) -> Decimal:
        """Base due once slice `k` is, of the quantity the schedule was laid over. Algos that answer to the market replace it."""
        return self.schedule.due[k] if k >= 0 else ZERO

    def step(self, progress: Progress, view: View) -> Step:
        """What is due less what is filled or open, within the catch-up limit."""
        now, plan = view.now_ns, self.schedule
        if now >= self.standing.until_ns:
            return Step(
                take=clip(progress.free, progress.free, progress, join=True), wake_ns=FOREVER, target=progress.quantity
            )
        k = plan.index(now)
        target = min(progress.quantity, add(self.standing.done, self.due(k, progress, view)))
        wake = plan.at_ns[k + 1] if k + 1 < len(plan.at_ns) else self.standing.until_ns
        if k < 0:
            return Step(wake_ns=wake, target=target)
        allowed = max(times(self._catch_up, max(self._mean, plan.slice(k))), progress.least)
        left = max(ZERO, add(allowed, -progress.sent_since(plan.at_ns[k])))
        take = clip(add(target, -progress.released), left, progress, join=True)
        return Step(take=take, wake_ns=wake, target=target)
