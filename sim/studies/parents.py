"""Parent orders on a tape: the router alone, its venues and LPs, the engine's clock. What `kerb study router` and slippage training run.

The desk's own parts (market, gate, router) unchanged; instead of clients and hedger, a seeded script of parents. The outcome of a parent
is measured against the fair value when it arrived. What it could not fill is bought or sold at its end from the books as they are then,
taker fees in: a policy cannot look good by not trading (Perold's opportunity cost, and what finishing costs). Resting orders wait their
turn in the queue of their level.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.common.actor import Actor
from nautilus_trader.config import ActorConfig

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.outcome import VenueFill
from adapters.nautilus.safe import LoopSafe, Safe
from desk.compose import build_desk
from desk.config.model import DeskConfig
from desk.ids import base36
from desk.kernels import warm
from desk.market import Market
from pricing.consolidated import ConsolidatedBook
from risk.limits import Rate, RiskLimits, SymbolLimits
from router.algos.benchmark import AlgoReport
from router.algos.spec import AlgoSpec
from router.messages import ParentRequest
from router.orders import ParentOrder, ParentState
from sim.replay.data import TapeData
from sim.replay.fade import FadeParams
from sim.replay.ledger import MemoryLedger
from sim.replay.run import SEED_SPACE, venues_of
from sim.replay.throughput import run_timed
from sim.replay.venues import add_market_actors, build_engine

MS = 1_000_000
FIRST_NS = 3_000_000_000  # after the first event: books fill, volatility is measured
DEADLINE_MS = 4_000
DEPTH = 400  # rows of the merged book that a completion may take
WIDE = Decimal(10) ** 9


class ScriptedParent(msgspec.Struct, frozen=True, kw_only=True):
    """One parent. `at_ns` counts from the first event of the tape; `quantity` is base currency."""

    at_ns: int
    symbol: str
    side: str
    quantity: Decimal


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a parent. `cost_bps`: of the arrival value of the whole quantity, fees and the completion of what was not filled
    included, against the arrival fair value; `fee_bps`: the fees that were paid."""

    number: int
    symbol: str
    side: str
    quantity: Decimal
    filled: Decimal
    children: int
    arrival: float
    cost_bps: float
    fee_bps: float
    took_ms: float
    report: AlgoReport | None = None  # of a parent with an algo: against its own benchmarks, fees not in them


def script_parents(
    seed: int,
    sizes: dict[str, tuple[float, float]],
    *,
    duration_s: float,
    every_s: float,
    deadline_ms: int = DEADLINE_MS,
) -> list[ScriptedParent]:
    """Parents about `every_s` apart (half of it is jitter), log-uniform in `sizes` (base, by symbol); sides balanced by quantity so far."""
    dice = random.Random(f"parents|{seed}")
    net = dict.fromkeys(sizes, 0.0)
    found, at_s = [], FIRST_NS * 1e-9
    while at_s < duration_s - deadline_ms * 1e-3 - 1.0:
        symbol = dice.choice(sorted(sizes))
        low, high = sizes[symbol]
        size = math.exp(dice.uniform(math.log(low), math.log(high)))
        side = "buy" if dice.random() < 0.5 - 0.4 * math.tanh(net[symbol] / high) else "sell"
        net[symbol] += size if side == "buy" else -size
        quantity = Decimal(f"{size:.4f}")
        found.append(ScriptedParent(at_ns=int(at_s * 1e9), symbol=symbol, side=side, quantity=quantity))
        at_s += every_s * dice.uniform(0.5, 1.5)
    return found


class Algo(msgspec.Struct, frozen=True, kw_only=True):
    """How a study works its parents. `limited`: what rests needs a limit price; it is the fair value at arrival."""

    spec: AlgoSpec
    limited: bool = False


class ParentClient(Safe, LoopSafe, Actor):
    """Sends a script to the router and measures what comes back. `algo` works every parent; None sweeps it at once."""

    def __init__(
        self, market: Market, parents: Iterable[ScriptedParent], start_ns: int, *, deadline_ms: int, algo: Algo | None
    ) -> None:
        super().__init__(ActorConfig(component_id="Parents"))
        self._deadline_ms = deadline_ms
        self._algo = algo
        self._market = market
        self._parents = list(parents)
        self._start_ns = start_ns
        self._fees: dict[str, Decimal] = {}  # client order id -> fees in quote currency
        self._children: dict[str, set[str]] = {}
        self.outcomes: dict[int, Outcome] = {}

    def on_start(self) -> None:
        """Wait for the first parent's time."""
        self.bind_loop()
        self._bus = Bus(self)
        self._bus.subscribe(topics.PARENT, self.on_parent)
        self._bus.subscribe(topics.CHILD, self.on_child)
        self._bus.subscribe(topics.FILL, self.on_fill)
        for number, parent in enumerate(self._parents):
            at_ns = self._start_ns + parent.at_ns
            self.at_ns(f"parent:{number}", at_ns, lambda _, number=number, parent=parent: self._send(number, parent))

    def on_stop(self) -> None:
        """Leave the bus."""
        self._bus.close()

    def _send(self, number: int, parent: ScriptedParent) -> None:
        now_ns = self.clock.timestamp_ns()
        limit = None
        if self._algo is not None and self._algo.limited:
            fair = self._market.fair(parent.symbol, now_ns)
            limit = None if fair is None else fair.quantize(self._market.books[parent.symbol].scale.price(1))
        request = ParentRequest(
            parent_id=f"s-{number}",
            symbol=parent.symbol,
            side=parent.side,
            quantity=parent.quantity,
            limit_price=limit,
            deadline_ns=now_ns + self._deadline_ms * MS,
            reason="study",
            algo=self._algo.spec if self._algo is not None else None,
        )
        self._bus.send(topics.ROUTER_PARENT, request)

    def on_child(self, child: Any) -> None:
        """Children of a parent, for its fees."""
        self._children.setdefault(child.parent_id, set()).add(child.child_id)

    def on_fill(self, fill: VenueFill) -> None:
        """A fee, in quote currency (the simulated venues charge nothing else)."""
        self._fees[fill.client_order_id] = self._fees.get(fill.client_order_id, Decimal(0)) + fill.fee

    def on_parent(self, parent: ParentOrder) -> None:
        """A parent is done: measure it."""
        if parent.state is not ParentState.DONE or not parent.parent_id.startswith("s-") or not parent.arrival_mid:
            return
        now_ns = self.clock.timestamp_ns()
        end = self._market.fair(parent.symbol, now_ns) or parent.arrival_mid
        sign = 1 if parent.side == "buy" else -1
        children = self._children.pop(parent.parent_id, set())
        fees = sum((self._fees.pop(child, Decimal(0)) for child in children), Decimal(0))
        paid = parent.notional + completion(
            self._market.books[parent.symbol], parent.side, parent.quantity - parent.filled, now_ns, end
        )
        value = parent.quantity * parent.arrival_mid
        cost = sign * (paid - value) + fees
        number = int(parent.parent_id.removeprefix("s-"))
        self.outcomes[number] = Outcome(
            number=number,
            symbol=parent.symbol,
            side=parent.side,
            quantity=parent.quantity,
            filled=parent.filled,
            children=len(children),
            arrival=float(parent.arrival_mid),
            cost_bps=float(cost / value * 10_000),
            fee_bps=float(fees / value * 10_000),
            took_ms=(now_ns - parent.created_ns) / MS,
            report=None
            if parent.benchmark is None
            else parent.benchmark.report(
                side=parent.side, filled=parent.filled, notional=parent.notional, arrival=parent.arrival_mid
            ),
        )


def completion(book: ConsolidatedBook, side: str, quantity: Decimal, now_ns: int, fair: Decimal) -> Decimal:
    """What a sweep of the live books would pay (receive) now for `quantity` base, taker fees in; quote currency. Beyond the books, the
    last price they show; `fair` when they show none."""
    rows = book.ladder(DEPTH, now_ns)[1 if side == "buy" else 0] if quantity > 0 else []
    total, price = Decimal(0), fair
    for row in rows:
        taken, price = min(row.size, quantity), row.all_in
        total, quantity = total + taken * price, quantity - taken
        if not quantity:
            break
    return total + quantity * price


def sizes_of(config: DeskConfig) -> dict[str, tuple[float, float]]:
    """Sizes of parents by symbol: from a small clip to most of the largest client order of the configuration."""
    return {
        item.symbol: (0.002 * float(item.max_quantity), 0.6 * float(item.max_quantity)) for item in config.instruments
    }


def wide(config: DeskConfig) -> DeskConfig:
    """The configuration with limits that no study runs into: policies are compared, not limits."""
    free = SymbolLimits(
        max_quantity=WIDE,
        max_notional=WIDE * 1000,
        max_child_quantity=WIDE,
        max_child_notional=WIDE * 1000,
        child_collar_bps=Decimal(500),
    )
    bases = {item.base for item in config.instruments}
    limits = RiskLimits(
        default=free,
        child_rate=Rate(per_s=1000, burst=1000),
        max_position=dict.fromkeys(bases, WIDE),
        max_open_notional=WIDE * 1000,
    )
    return msgspec.structs.replace(config, risk=limits)


def run_parents(
    data: TapeData,
    config: DeskConfig,
    parents: Sequence[ScriptedParent],
    seed: int,
    *,
    fade: FadeParams | None,
    lps: bool,
    watch: Callable[[Market], Actor] | None = None,
    deadline_ms: int = DEADLINE_MS,
    algo: Algo | None = None,
    queue: bool = True,
) -> tuple[list[Outcome], Actor | None]:
    """Run the script over the tape. `watch` makes one more actor that sees the market and every topic; it is returned with the outcomes.
    `queue`: what rests waits its turn."""
    warm()
    if not lps:
        config = msgspec.structs.replace(config, lps=())
    venues = venues_of(config, (listing.symbol for listing in data.listings))
    venues = msgspec.structs.replace(venues, fade=fade, queue=queue)
    engine, models = build_engine(data, seed, venues)
    try:
        parts = build_desk(
            config,
            ledger=MemoryLedger(),  # type: ignore[arg-type]
            epoch=base36(seed % SEED_SPACE),
            now_ns=engine.kernel.clock.timestamp_ns,
            headline_prices=False,
        )
        client = ParentClient(parts.market, parents, data.first_ns, deadline_ms=deadline_ms, algo=algo)
        watcher = watch(parts.market) if watch is not None else None
        add_market_actors(engine, data, venues, models)
        for actor in (parts.market_actor, watcher, client):
            if actor is not None:
                engine.add_actor(actor)
        for strategy in parts.strategies:
            engine.add_strategy(strategy)
        run_timed(engine, data.messages)
        faults = sum(part.fault_count() for part in (parts.market_actor, parts.router, client))
        if faults:
            raise RuntimeError(f"{faults} handlers raised during a study: its figures would mean nothing")
        return [client.outcomes[number] for number in sorted(client.outcomes)], watcher
    finally:
        engine.dispose()
