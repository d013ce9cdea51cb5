"""Algos on a recorded tape, through the desk's own parts: whole, deterministic, and measured against their benchmarks."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any

import pytest
from nautilus_trader.common.actor import Actor
from nautilus_trader.config import ActorConfig

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.safe import LoopSafe, Safe
from desk.compose import build_desk
from desk.kernels import warm
from router.algos.spec import (
    AlgoSpec,
    ArrivalPrice,
    Iceberg,
    ImplementationShortfall,
    Peg,
    Pegged,
    Pov,
    Sniper,
    Twap,
    Vwap,
)
from router.messages import CommandKind, ParentCommand, ParentRequest
from router.orders import ChildOrder, ParentOrder, ParentState
from sim.replay.command import prepare
from sim.replay.ledger import MemoryLedger
from sim.replay.run import venues_of
from sim.replay.venues import add_market_actors, build_engine
from sim.studies.parents import wide
from tests.conformance.router_rig import D
from tests.recorded_data import DATA

TAPE = DATA / "tapes" / "spot_btcusdt_20240808.gz"
S = 1_000_000_000
SYMBOL = "BTC/USDT"
FOR_S = 30

pytestmark = pytest.mark.skipif(not TAPE.is_file(), reason="no recorded data here")

SPECS: dict[str, AlgoSpec] = {
    "twap": Twap(interval_ms=1_000),
    "vwap": Vwap(interval_ms=1_000, curve=(1, 2, 1), expected=D(20)),
    "is": ImplementationShortfall(interval_ms=1_000, risk_aversion=1e-4),
    "arrival": ArrivalPrice(interval_ms=1_000, urgency=0.6, drift=0.5),
    "pov": Pov(participation=D("0.2"), interval_ms=500),
    "pegged": Pegged(peg=Peg.PRIMARY, display=D("0.05")),
    "sniper": Sniper(depth=D("0.01")),
    "iceberg": Iceberg(display=D("0.1")),
}


class Asker(Safe, LoopSafe, Actor):
    """Starts every algo at once, pauses and resumes one on the way, and keeps what it hears."""

    def __init__(self, market: Any, start_ns: int) -> None:
        super().__init__(ActorConfig(component_id="Asker"))
        self._market = market
        self._start_ns = start_ns
        self.parents: dict[str, ParentOrder] = {}
        self.children: dict[str, ChildOrder] = {}
        self.answers: list[Any] = []

    def on_start(self) -> None:
        self.bind_loop()
        self.bus = Bus(self)
        self.bus.subscribe(topics.PARENT, self.on_parent)
        self.bus.subscribe(topics.CHILD, self.on_child)
        self.at_ns("ask", self._start_ns, lambda _: self.ask())
        for at_s, kind in ((10, CommandKind.PAUSE), (14, CommandKind.RESUME)):
            self.at_ns(kind.value, self._start_ns + at_s * S, lambda _, kind=kind: self.command("arrival", kind))

    def on_parent(self, parent: ParentOrder) -> None:
        self.parents[parent.parent_id] = copy(parent)

    def on_child(self, child: ChildOrder) -> None:
        self.children[child.child_id] = child

    def command(self, name: str, kind: CommandKind) -> None:
        self.bus.send(topics.ROUTER_COMMAND, ParentCommand(parent_id=name, kind=kind, reply=self.answers.append))

    def ask(self) -> None:
        now = self.clock.timestamp_ns()
        fair = self._market.fair(SYMBOL, now)
        for name, spec in SPECS.items():
            request = ParentRequest(
                parent_id=name,
                symbol=SYMBOL,
                side="buy",
                quantity=D("0.6"),
                limit_price=(fair * D("1.01")).quantize(D("0.01")) if name in ("sniper",) else None,
                deadline_ns=now + FOR_S * S,
                reason="test",
                algo=spec,
            )
            if name == "iceberg":
                request = ParentRequest(
                    parent_id=name,
                    symbol=SYMBOL,
                    side="buy",
                    quantity=D("0.6"),
                    limit_price=fair.quantize(D("0.01")),
                    deadline_ns=now + FOR_S * S,
                    reason="test",
                    algo=spec,
                )
            self.bus.send(topics.ROUTER_PARENT, request)


def run(seed: int) -> Asker:
    """The desk's router on 45 s of the tape."""
    warm()
    job = prepare(TAPE, start="+0", end="+45", seed=seed)
    config = wide(job.config)
    venues = venues_of(config, [SYMBOL])
    engine, models = build_engine(job.data, seed, venues)
    ledger = MemoryLedger()
    try:
        parts = build_desk(
            config,
            ledger=ledger,  # type: ignore[arg-type]
            epoch="tape",
            now_ns=engine.kernel.clock.timestamp_ns,
            headline_prices=False,
        )
        asker = Asker(parts.market, job.data.first_ns + 8 * S)
        add_market_actors(engine, job.data, venues, models)
        for actor in (parts.market_actor, asker):
            engine.add_actor(actor)
        for strategy in parts.strategies:
            engine.add_strategy(strategy)
        engine.run()
        assert parts.router.fault_count() == asker.fault_count() == 0
        assert parts.gate.state.reservations == {}
        assert ledger.position("BTC") == sum((parent.filled for parent in asker.parents.values()), D(0))
        assert not any(ledger.imbalance().values())
        return asker
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def worked() -> Asker:
    return run(1)


def of(worked: Asker, name: str) -> list[ChildOrder]:
    return [child for child in worked.children.values() if child.parent_id == name]


def test_every_algo_ends_and_schedules_are_filled_whole(worked: Asker) -> None:
    assert set(worked.parents) == set(SPECS)
    for name, parent in worked.parents.items():
        assert parent.state is ParentState.DONE, name
        assert parent.filled == sum((child.filled for child in of(worked, name)), D(0))
    for name in ("twap", "vwap", "is", "arrival", "sniper"):
        assert worked.parents[name].filled == D("0.6"), name
    assert len(worked.answers) == 2
    paused = range(worked.parents["arrival"].created_ns + 10 * S + 1, worked.parents["arrival"].created_ns + 14 * S)
    assert not [child for child in of(worked, "arrival") if child.created_ns in paused]


def test_pov_took_its_share_of_what_the_tape_traded(worked: Asker) -> None:
    parent = worked.parents["pov"]
    assert parent.standing is not None and parent.standing.volume > 0
    assert parent.filled <= D("0.2") * parent.standing.volume
    assert parent.filled >= min(D("0.6"), D("0.2") * parent.standing.volume) * D("0.5")


def test_what_rests_rests_and_is_gone_at_the_end(worked: Asker) -> None:
    for name in ("pegged", "iceberg"):
        children = of(worked, name)
        assert children and all(child.resting and child.state.terminal for child in children)
    assert len(of(worked, "pegged")) > 1  # the tape's price moved


def test_every_parent_is_measured_against_its_benchmarks(worked: Asker) -> None:
    rows: list[tuple[str, Iterable[float | None]]] = []
    for name, parent in worked.parents.items():
        assert parent.benchmark is not None
        report = parent.benchmark.report(
            side=parent.side, filled=parent.filled, notional=parent.notional, arrival=parent.arrival_mid
        )
        if parent.filled:
            assert report.arrival_bps is not None and abs(report.arrival_bps) < 30
            assert report.twap_bps is not None and abs(report.twap_bps) < 30
        if name in ("twap", "vwap", "is", "arrival"):
            assert report.schedule_bps is not None and abs(report.schedule_bps) < 10
            assert report.tracking_rms is not None and report.tracking_rms < 0.25
            assert report.vwap is not None and abs(report.vwap / float(parent.arrival_mid or 1) - 1) < 0.01
        rows.append(
            (name, (report.arrival_bps, report.twap_bps, report.vwap_bps, report.schedule_bps, report.tracking_rms))
        )
    print()
    for name, figures in rows:
        print(f"{name:10}", *("      -" if x is None else f"{x:7.2f}" for x in figures), worked.parents[name].filled)


def test_the_same_tape_and_seed_give_the_same_orders(worked: Asker) -> None:
    again = run(1)
    assert again.parents == worked.parents and again.children == worked.children
