"""Composes and runs a replay: the tape's venues, the LP and scripted clients around the desk's own, unchanged actors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.common.actor import Actor

from desk.api.desk_messages import DeskState
from desk.compose import DeskParts, build_desk
from desk.config.model import DeskConfig
from desk.ids import base36
from desk.kernels import warm
from desk.ledger import Ledger
from sim.clients import ScriptedRfq
from sim.lp_model import LpParams
from sim.replay.clients import ScriptedClients
from sim.replay.data import TapeData
from sim.replay.ledger import MemoryLedger
from sim.replay.recorder import Recorder
from sim.replay.throughput import Throughput, run_timed
from sim.replay.venues import SimVenues, add_market_actors, build_engine

CLIENTS_START_NS = 3_000_000_000  # after the tape's first event: books fill, volatility is measured
SEED_SPACE = 36**6
LADDER_NS = 500_000_000  # an indicative stream; hedges ask for firm quotes


class ReplayResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a replay. `clients`: what the scripted clients saw; `recorded`: lines on the record per topic."""

    state_hash: str
    state: DeskState
    clients: dict[str, int]
    recorded: dict[str, int]
    lp: dict[str, int]
    throughput: Throughput
    sim_faults: int


def venues_of(config: DeskConfig, symbols: Iterable[str]) -> SimVenues:
    """The simulated venues as a desk's configuration needs them: its LPs, with their ladder sizes."""
    symbols = set(symbols)
    lps = []
    for section in config.lps:
        if not section.enabled:
            continue
        known = LpParams().rungs
        wanted = {s: section.levels.get(s) or known.get(s, ()) for s in config.lp_symbols(section) if s in symbols}
        rungs = {symbol: sizes for symbol, sizes in wanted.items() if sizes}
        lps.append(LpParams(lp=section.lp, rungs=rungs, ladder_interval_ns=LADDER_NS))
    return SimVenues(lps=tuple(lps), trader_id=config.trader_id)


def run_desk(
    data: TapeData,
    config: DeskConfig,
    requests: Iterable[ScriptedRfq],
    seed: int,
    *,
    record: Path | None = None,
    ledger_url: str | None = None,
    clients_of: Callable[[DeskParts, int], ScriptedClients] | None = None,
    tap: Actor | None = None,
) -> ReplayResult:
    """Run the desk over loaded data. `record`: where to keep the canonical record as JSON lines; `ledger_url`: a ledger on disk or
    in a database instead of one in memory (slower, the same result). `clients_of` makes other clients than those that play `requests`
    as they are, given the desk and the time they begin; `tap` hears everything the desk says (an archive's)."""
    warm()
    venues = venues_of(config, (listing.symbol for listing in data.listings))
    engine, lps = build_engine(data, seed, venues)
    ledger: Any = Ledger(ledger_url, inline=True) if ledger_url else MemoryLedger()
    recorder = Recorder(record)
    try:
        parts = _desk(config, ledger, engine, seed, tap)
        start_ns = data.first_ns + CLIENTS_START_NS
        clients = clients_of(parts, start_ns) if clients_of else ScriptedClients(parts.desk, requests, start_ns)
        engine.add_actor(recorder)
        add_market_actors(engine, data, venues, lps)
        for actor in parts.actors:
            engine.add_actor(actor)
        for strategy in parts.strategies:
            engine.add_strategy(strategy)
        engine.add_actor(clients)
        throughput = run_timed(engine, data.messages)
        state = parts.desk.state()
        others = [actor for actor in engine.trader.actors() if actor not in parts.actors]
        return ReplayResult(
            state_hash=recorder.finish(ledger.balances()),
            state=state,
            clients=dict(sorted(clients.counts.items())),
            recorded=dict(sorted(recorder.counts.items())),
            lp={lp.name: len(lp.executed) for lp in lps},
            throughput=throughput,
            sim_faults=sum(actor.fault_count() for actor in others),
        )
    finally:
        engine.dispose()
        ledger.close()


def _desk(config: DeskConfig, ledger: Any, engine: BacktestEngine, seed: int, tap: Actor | None) -> DeskParts:
    return build_desk(
        config,
        ledger=ledger,
        epoch=base36(seed % SEED_SPACE),
        now_ns=engine.kernel.clock.timestamp_ns,
        headline_prices=False,
        extra=[] if tap is None else [tap],
    )
