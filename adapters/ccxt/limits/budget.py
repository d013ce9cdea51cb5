"""What an account may still ask of a venue: its documented limits, counted here as the venue counts them.

1. A request of several limits takes of all of them at once, or waits. Who waits longer than allowed is not sent (`RateLimited`).
2. **Order of precedence** by shares of a limit that several kinds draw on: data stop at 60 % of it, queries at 85 %, orders at 95 %,
   cancels alone use all. So a burst of snapshots never delays an order, nor orders a cancel. Where an order's twentieth is the price of
   a cancel or two, the limit says how much more is `kept` for cancels.
3. Of one kind the first to ask is the first to be sent: a dear request is not overtaken by cheap ones for ever. One that waits for a limit
   holds up only those that need the same one.
4. What is sent evenly arrives in bunches: a request counts from when it is sent until an interval after its answer, before which the venue
   must have counted it. A tenth of every short window is left free as well.
5. **The venue's word counts**: where its headers say that more is used than we know of (another program on the account), more is used.
   After a 429 or 418 nothing leaves until its `Retry-After` is over.

`venues/*/tariff.py` says what each venue's requests cost. Market data and orders of one account share a budget.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from time import monotonic
from typing import Any, Protocol

import msgspec

from adapters.ccxt.limits.bucket import RateLimited

SPARE = 0.9
SHORT_S = 10.0
UNANSWERED_S = 0.02  # how often a limit that only answers can free is looked at again
TURN_S = 0.005  # until one that may be sent now has been


class Kind(StrEnum):
    """What a request is for, the least urgent first."""

    DATA = "data"
    QUERY = "query"
    ORDER = "order"
    CANCEL = "cancel"


SHARE = {Kind.DATA: 0.6, Kind.QUERY: 0.85, Kind.ORDER: 0.95, Kind.CANCEL: 1.0}
MAX_WAIT_S = {Kind.DATA: 120.0, Kind.QUERY: 60.0, Kind.ORDER: 4.0, Kind.CANCEL: 10.0}


class Limit(Protocol):
    """One limit of a venue. Times are monotonic seconds."""

    capacity: float

    def used(self, now: float) -> float:
        """What of it is used."""

    def wait_s(self, cost: float, share: float, now: float) -> float:
        """Seconds until `cost` more fits under `share` of it."""

    def take(self, cost: float, now: float) -> None:
        """Use it: a request is sent."""

    def answered(self, cost: float, took_s: float, now: float) -> None:
        """That request's answer is here (or will not come), so long after it was sent."""

    def told(self, used: float, now: float) -> None:
        """The venue says that so much is used."""


class Window:
    """At most `capacity` in any `interval_s`: as strict as a venue's fixed intervals, wherever they begin.

    `shared`: by several kinds; `kept`: the part that is left to cancels beyond what the order of precedence leaves them.
    """

    def __init__(self, capacity: float, interval_s: float, *, shared: bool = True, kept: float = 0.0) -> None:
        self.capacity = capacity
        self.interval_s = interval_s
        self._shared = shared
        self._kept = kept
        self._open = 0.0  # sent, and not answered
        self._taken: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    def used(self, now: float) -> float:
        """What is under way, and what was answered within the interval."""
        while self._taken and self._taken[0][0] <= now - self.interval_s:
            self._sum -= self._taken.popleft()[1]
        if not self._taken:
            self._sum = 0.0
        return self._open + self._sum

    def wait_s(self, cost: float, share: float, now: float) -> float:
        """Until enough of the oldest has left the interval."""
        spare = SPARE if self.interval_s <= SHORT_S else 1.0
        part = (share * (1.0 - self._kept) if share < 1.0 else 1.0) if self._shared else 1.0
        ceiling = max(1.0, cost, int(self.capacity * spare * part))
        over = self.used(now) + cost - ceiling
        if over <= 0:
            return 0.0
        for at, amount in self._taken:
            over -= amount
            if over <= 1e-9:
                return at + self.interval_s - now
        return UNANSWERED_S  # it hangs on answers

    def take(self, cost: float, now: float) -> None:
        """Under way."""
        self._open += cost

    def answered(self, cost: float, took_s: float, now: float) -> None:
        """From now on for an interval."""
        self._open -= cost
        self._count(cost, now)

    def _count(self, cost: float, now: float) -> None:
        self._taken.append((now, cost))
        self._sum += cost

    def told(self, used: float, now: float) -> None:
        """More than we know of is counted from now on; less may only be the venue's interval having begun anew."""
        if (more := used - self.used(now)) > 0:
            self._count(more, now)


class Counter:
    """A counter that goes down by `decay_per_s` and may not pass `capacity` (Kraken)."""

    def __init__(self, capacity: float, decay_per_s: float) -> None:
        self.capacity = capacity
        self._decay = decay_per_s
        self._level = 0.0
        self._at = 0.0

    def used(self, now: float) -> float:
        """Where it stands."""
        return max(0.0, self._level - self._decay * (now - self._at))

    def wait_s(self, cost: float, share: float, now: float) -> float:
        """Until it has gone down far enough."""
        ceiling = max(cost, (self.capacity - 1) * share)  # one is left free for what is counted late
        return max(0.0, (self.used(now) + cost - ceiling) / self._decay)

    def take(self, cost: float, now: float) -> None:
        """Now."""
        self._level, self._at = self.used(now) + cost, now

    def answered(self, cost: float, took_s: float, now: float) -> None:
        """What has decayed here meanwhile may not have begun to at the venue."""
        self._level, self._at = self.used(now) + min(cost, self._decay * took_s), now

    def told(self, used: float, now: float) -> None:
        """The venue's count, when it is higher."""
        self._level, self._at = max(self.used(now), used), now


class Spending(msgspec.Struct, frozen=True):
    """What one request takes: of which limits how much."""

    kind: Kind
    costs: tuple[tuple[str, float], ...]


class Budget:
    """The limits of one account at one venue, by name; `make(name)` makes one that is met for the first time."""

    def __init__(self, make: Callable[[str], Limit], clock: Callable[[], float] = monotonic) -> None:
        self.waited = dict.fromkeys(Kind, 0)  # requests that had to wait
        self.refused = 0  # by the venue, for too many: none, if all is well
        self._make = make
        self._clock = clock
        self._limits: dict[str, Limit] = {}
        self._lines: dict[Kind, dict[object, Spending]] = {kind: {} for kind in Kind}  # who waits, the first first
        self._closed_until = 0.0

    def limit(self, name: str) -> Limit:
        """A limit by its name."""
        if name not in self._limits:
            self._limits[name] = self._make(name)
        return self._limits[name]

    def wait_s(self, spending: Spending) -> float:
        """How long a request would have to wait now."""
        now, share = self._clock(), SHARE[spending.kind]
        waits = [self.limit(name).wait_s(cost, share, now) for name, cost in spending.costs]
        return max((*waits, self._closed_until - now, 0.0))

    @contextlib.asynccontextmanager
    async def spend(self, spending: Spending, max_wait_s: float | None = None) -> AsyncIterator[None]:
        """Around a request: take what it costs, when it is there. Raises `RateLimited`, taking nothing, when that would last too long."""
        await self._turn(spending, MAX_WAIT_S[spending.kind] if max_wait_s is None else max_wait_s)
        sent = self._clock()
        for name, cost in spending.costs:
            self.limit(name).take(cost, sent)
        try:
            yield
        finally:
            now = self._clock()
            for name, cost in spending.costs:
                self.limit(name).answered(cost, now - sent, now)

    async def _turn(self, spending: Spending, max_wait_s: float) -> None:
        """Until there is enough, and nobody is waiting for the same who asked before."""
        until = self._clock() + max_wait_s
        line, me, waited = self._lines[spending.kind], object(), False
        try:
            while (wait := self.wait_s(spending) or self._behind_s(spending, me)) > 0:
                if self._clock() + wait > until + UNANSWERED_S:
                    raise RateLimited(f"our account of the venue's limits: would wait {wait:.1f} s")
                line[me] = spending
                self.waited[spending.kind] += not waited
                waited = True
                await asyncio.sleep(wait)
        finally:
            line.pop(me, None)

    def _behind_s(self, spending: Spending, me: object) -> float:
        """How long the first who stands before `me` and waits for one of the same limits has to wait; 0 when there is nobody."""
        now, mine = self._clock(), {name for name, _ in spending.costs}
        for other, ahead in self._lines[spending.kind].items():
            if other is me:
                break
            waits = {name: self.limit(name).wait_s(cost, SHARE[ahead.kind], now) for name, cost in ahead.costs}
            if any(name in mine for name, wait in waits.items() if wait > 0 or not any(waits.values())):
                return max(*waits.values(), TURN_S)
        return 0.0

    def told(self, name: str, used: float) -> None:
        """What the venue says is used of a limit."""
        self.limit(name).told(used, self._clock())

    def close(self, seconds: float) -> None:
        """The venue wants no more for so long."""
        self.refused += 1
        self._closed_until = max(self._closed_until, self._clock() + seconds)

    def health(self) -> dict[str, Any]:
        """By limit: capacity, used, left; who had to wait, how often the venue refused, and for how long it wants nothing."""
        now = self._clock()
        limits = {
            name: {
                "capacity": limit.capacity,
                "used": round(limit.used(now), 1),
                "left": round(max(0.0, limit.capacity - limit.used(now)), 1),
            }
            for name, limit in sorted(self._limits.items())
        }
        waited = {str(kind): count for kind, count in self.waited.items()}
        closed_s = round(max(0.0, self._closed_until - now), 1)
        return {"limits": limits, "waited": waited, "refused": self.refused, "closed_s": closed_s}
