"""What the desk's own orders cost, beside what was known when each was decided: the rows a slippage model is trained on.

One row per child order at an exchange, from a run (`Watcher`, on the engine's clock) or from an archive (`sim.learn.archived`). Features
are taken in the moment of the decision by the very kernel that trades (`router.slippage.features`), the cost when the order has ended:

    cost = side · (Σ fill price · fill size + unfilled · what the rest costs at that venue by now − size · mid) / (size · mid)

in bps of the venue's mid at the decision, fees excluded. Pricing the unfilled rest keeps orders that missed from looking free. Quotes of
LPs are not in it (their price is what it is), nor orders that never left, nor orders whose venue had no whole book at either moment: these
are counted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import msgspec
import numpy as np
from nautilus_trader.common.actor import Actor
from nautilus_trader.config import ActorConfig

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.safe import Safe
from desk.market import Market
from pricing.consolidated import ConsolidatedBook
from router.orders import ChildOrder, ChildState
from router.slippage.features import FEATURES, SWEEP, Floats
from router.slippage.predictor import Predictor


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One order. `features` in the order of `FEATURES`; `cost_bps` as above; `decided_ns` on the desk's clock."""

    decided_ns: int
    symbol: str
    venue: str
    features: tuple[float, ...]
    cost_bps: float


class _Decided(msgspec.Struct, frozen=True):
    at_ns: int
    mid: float
    features: tuple[float, ...]


class Bench:
    """Turns decisions and endings of orders into examples; the books are the caller's, as they are at the moment of the call."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._open: dict[str, _Decided] = {}
        self.examples: list[Example] = []
        self.left_out: Counter[str] = Counter()

    def decided(self, child: ChildOrder, book: ConsolidatedBook, now_ns: int) -> None:
        """An order was made; `book` is what the decision saw."""
        row = self._predictor.features(book, child.venue, child.side, child.quantity, now_ns)
        best = book.best(child.venue)
        if row is None or best is None:
            self.left_out["no book at the decision"] += 1
            return
        crosses = child.limit_price >= best[1] if child.side == "buy" else child.limit_price <= best[0]
        if child.resting or not crosses:
            self.left_out["not marketable"] += 1
            return
        mid = float(best[0] + best[1]) / 2
        self._open[child.child_id] = _Decided(now_ns, mid, tuple(row.tolist()))

    def lost(self, child_id: str) -> None:
        """The books cannot tell of this order."""
        self._open.pop(child_id, None)
        self.left_out["no whole book"] += 1

    def ended(self, child: ChildOrder, book: ConsolidatedBook, now_ns: int) -> None:
        """An order has ended; `book` prices what it left."""
        decided = self._open.pop(child.child_id, None)
        if decided is None:
            return
        if child.reason.startswith(("not sent", "denied")):
            self.left_out["never left"] += 1
            return
        paid, rest = float(child.notional), child.quantity - child.filled
        if rest > 0:
            row = self._predictor.features(book, child.venue, child.side, rest, now_ns)
            best = book.best(child.venue)
            if row is None or best is None:
                self.left_out["no book at the end"] += 1
                return
            sign = 1.0 if child.side == "buy" else -1.0
            mid = float(best[0] + best[1]) / 2
            paid += float(rest) * mid * (1.0 + sign * float(row[SWEEP]) * 1e-4)
        value = float(child.quantity) * decided.mid
        sign = 1.0 if child.side == "buy" else -1.0
        self.examples.append(
            Example(
                decided_ns=decided.at_ns,
                symbol=child.symbol,
                venue=child.venue,
                features=decided.features,
                cost_bps=sign * (paid - value) / value * 1e4,
            )
        )


class Watcher(Safe, Actor):
    """Listens to the router beside the desk and makes examples of its orders at exchanges."""

    def __init__(self, market: Market, latency_s: float) -> None:
        super().__init__(ActorConfig(component_id="SlippageWatcher"))
        self._market = market
        self.bench = Bench(Predictor(latency_s=latency_s, sigma=lambda symbol: market.volatility[symbol].sigma))

    def on_start(self) -> None:
        """Listen."""
        self._bus = Bus(self)
        self._bus.subscribe(topics.CHILD, self.on_child)

    def on_stop(self) -> None:
        """Leave the bus."""
        self._bus.close()

    def on_child(self, child: Any) -> None:
        """A child's transition."""
        if child.quote_id:
            return
        book, now_ns = self._market.books[child.symbol], self.clock.timestamp_ns()
        if child.state is ChildState.NEW:
            self.bench.decided(child, book, now_ns)
        elif child.state.terminal:
            self.bench.ended(child, book, now_ns)


class Examples(msgspec.Struct, frozen=True, kw_only=True):
    """Rows in order of time: `x` (n × features), `y` bps, `at_ns`. `source` says in words where they come from."""

    x: Floats
    y: Floats
    at_ns: np.ndarray
    source: str
    left_out: dict[str, int]

    @property
    def sha256(self) -> str:
        """Hash of the numbers."""
        found = hashlib.sha256(",".join(FEATURES).encode())
        for array in (self.x, self.y, self.at_ns):
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


def collected(examples: list[Example], source: str, left_out: Counter[str]) -> Examples:
    """Examples as arrays, in order of time; rows that are not finite are left out and counted."""
    ordered = sorted(examples, key=lambda one: (one.decided_ns, one.symbol, one.venue, one.features, one.cost_bps))
    x = np.array([one.features for one in ordered], dtype=np.float64).reshape(-1, len(FEATURES))
    y = np.array([one.cost_bps for one in ordered], dtype=np.float64)
    at_ns = np.array([one.decided_ns for one in ordered], dtype=np.int64)
    whole = np.isfinite(x).all(axis=1) & np.isfinite(y)
    counts = dict(left_out)
    if not whole.all():
        counts["not finite"] = int((~whole).sum())
    return Examples(x=x[whole], y=y[whole], at_ns=at_ns[whole], source=source, left_out=counts)
