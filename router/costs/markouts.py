"""Markouts: where fair value went after a trade, signed from the desk's side, and what that says of who we traded with.

    move   s·(F(t + h) − F(t)) / F(t)     s = +1 when the desk bought: negative means the flow was right and we were not
    edge   s·(F(t + h) − price) / price   the same from the price that was paid: what the trade is worth after h

for h of 100 ms, 1 s, 10 s, 60 s and 5 min. t is when the desk knew of the trade; F is the desk's own fair value, from
live books only; without one at t + h there is no markout, and that is on record too. `MarkoutQueue` says when to look,
without a timer per trade and within a bound. `ClientMarkouts` keeps decayed averages of `move`, the plainest measure of
toxic flow (Cartea, Duran-Martin & Sánchez-Betancourt, "Detecting toxic flow", arXiv:2312.05827). Pure: no clock, no engine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from router.costs.decay import Decayed

MS = 1_000_000
HORIZONS_MS = (100, 1_000, 10_000, 60_000, 300_000)
CHARGED_MS = 10_000  # the horizon that adverse selection is charged by: about how long a hedge takes
CLIPPED_BPS = 200.0  # one glitch of fair value must not dominate an average


class Traced(msgspec.Struct, frozen=True, kw_only=True):
    """A trade whose markouts are to be taken. `party`: client, venue or LP; `side`: the desk's."""

    source: str  # "client" | "fill"
    ref: str  # trade id, or venue|symbol|trade id of a fill
    party: str
    symbol: str
    side: str
    price: Decimal
    quantity: Decimal
    fair: Decimal | None
    ts_ns: int


class Markout(msgspec.Struct, frozen=True, kw_only=True):
    """One look at fair value after a trade. `fair_then` None: there was none. `taken_ns` − `ts_ns` is the horizon and how late."""

    source: str
    ref: str
    party: str
    symbol: str
    side: str
    price: Decimal
    quantity: Decimal
    fair: Decimal | None
    ts_ns: int
    horizon_ms: int
    fair_then: Decimal | None
    taken_ns: int

    @property
    def move_bps(self) -> float | None:
        """The move of fair value in the desk's favour, in basis points; None when either fair value is missing."""
        return self._gain(self.fair)

    @property
    def edge_bps(self) -> float | None:
        """What the trade is worth after the horizon, in basis points of its price."""
        return self._gain(self.price)

    def _gain(self, start: Decimal | None) -> float | None:
        if start is None or self.fair_then is None or start <= 0:
            return None
        gain = float((self.fair_then - start) / start) * 1e4
        return gain if self.side == "buy" else -gain


class MarkoutQueue:
    """Trades waiting for their next look, one queue per horizon: all of a queue wait equally long, so the first is due first.

    `most`: trades followed at a time; a further one is not followed, and counted in `skipped`.
    """

    def __init__(self, most: int = 20_000, horizons_ms: Iterable[int] = HORIZONS_MS) -> None:
        self._most = most
        self._queues = [(horizon, deque[Traced]()) for horizon in sorted(horizons_ms)]
        self.skipped = 0

    def add(self, trade: Traced) -> bool:
        """Follow a trade; False when there are too many."""
        if len(self) >= self._most:
            self.skipped += 1
            return False
        for _, queue in self._queues:
            queue.append(trade)
        return True

    @property
    def next_ns(self) -> int | None:
        """When the next look is due, None when nothing waits."""
        return min((queue[0].ts_ns + horizon * MS for horizon, queue in self._queues if queue), default=None)

    def due(self, now_ns: int) -> list[tuple[Traced, int]]:
        """The (trade, horizon in ms) whose time has come, taken off; in order of their time."""
        found = []
        for horizon, queue in self._queues:
            while queue and queue[0].ts_ns + horizon * MS <= now_ns:
                found.append((queue.popleft(), horizon))
        return sorted(found, key=lambda item: item[0].ts_ns + item[1] * MS)

    def __len__(self) -> int:
        return len(self._queues[-1][1])


def look(trade: Traced, horizon_ms: int, fair: Decimal | None, now_ns: int) -> Markout:
    """The markout of a trade at one horizon."""
    return Markout(**msgspec.structs.asdict(trade), horizon_ms=horizon_ms, fair_then=fair, taken_ns=now_ns)


class Averages:
    """Decayed averages of `move` in basis points by key and horizon, the desk's sign."""

    def __init__(self, halflife_s: float) -> None:
        self._halflife_s = halflife_s
        self._by_key: dict[tuple[tuple[str, ...], int], Decayed] = {}

    def add(self, key: tuple[str, ...], markout: Markout) -> None:
        """Count a markout; one without fair values changes nothing."""
        move = markout.move_bps
        if move is not None:
            clipped = max(-CLIPPED_BPS, min(CLIPPED_BPS, move))
            self._of(key, markout.horizon_ms).add(markout.taken_ns, clipped)

    def get(self, key: tuple[str, ...], horizon_ms: int) -> Decayed:
        """The average, an empty one when there was never a markout."""
        return self._by_key.get((key, horizon_ms)) or Decayed(self._halflife_s)

    def merge(self, other: Averages) -> None:
        """Take in an earlier memory of the same."""
        for (key, horizon), memory in other._by_key.items():
            self._of(key, horizon).merge(memory)

    @property
    def keys(self) -> list[tuple[str, ...]]:
        """Keys with at least one markout, sorted."""
        return sorted({key for key, _ in self._by_key})

    def _of(self, key: tuple[str, ...], horizon_ms: int) -> Decayed:
        known = self._by_key.get((key, horizon_ms))
        if known is None:
            known = self._by_key[key, horizon_ms] = Decayed(self._halflife_s)
        return known


class ClientMarkouts:
    """What trading with each client costs afterwards, by symbol. One thread."""

    def __init__(self, halflife_s: float, prior_n: float, horizon_ms: int = CHARGED_MS) -> None:
        self._averages = Averages(halflife_s)
        self._prior_n = prior_n
        self._horizon_ms = horizon_ms

    def add(self, markout: Markout) -> None:
        """Count a markout of a client trade."""
        self._averages.add((markout.party, markout.symbol), markout)
        self._averages.add(("", markout.symbol), markout)

    def estimate(self, client_id: str, symbol: str) -> tuple[float, float]:
        """(bps, n): the mean move after this client's trades, the desk's sign (negative: adverse), and how many tell so.

        The plain decayed mean: whoever charges it shrinks it. (0, 0): nothing is known.
        """
        memory = self._averages.get((client_id, symbol), self._horizon_ms)
        return memory.mean, memory.weight

    def shrunk(self, client_id: str, symbol: str) -> float:
        """The estimate drawn to that of all clients of the symbol, which is itself drawn to zero; for people to compare clients by."""
        everybody = self._averages.get(("", symbol), self._horizon_ms).shrunk(0.0, self._prior_n)
        return self._averages.get((client_id, symbol), self._horizon_ms).shrunk(everybody, self._prior_n)

    def move(self, client_id: str, symbol: str, horizon_ms: int) -> Decayed:
        """The average move at one horizon, the desk's sign."""
        return self._averages.get((client_id, symbol), horizon_ms)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(client, symbol) with markouts."""
        return [(key[0], key[1]) for key in self._averages.keys if key[0]]

    def merge(self, other: ClientMarkouts) -> None:
        """Take in an earlier memory of the same."""
        self._averages.merge(other._averages)
