"""How fast a replay is, beside the bare engine on the same data in the same process."""

from __future__ import annotations

import gc
import time

import msgspec
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

from sim.replay.data import TapeData
from sim.replay.venues import SimVenues, build_engine


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    """How fast one run was; the data was loaded before the clock started. `cpu_s`: of this process."""

    events: int
    wall_s: float
    cpu_s: float

    @property
    def events_per_s(self) -> float:
        """Events per second of wall time."""
        return self.events / self.wall_s


def run_bare(data: TapeData, seed: int) -> Throughput:
    """The same data through the same venues, with nobody but an empty strategy that is subscribed to all of it."""
    engine, _ = build_engine(data, seed, SimVenues(lps=()))
    try:
        engine.add_strategy(_Empty(data))
        return run_timed(engine, data.messages)
    finally:
        engine.dispose()


def run_timed(engine: BacktestEngine, events: int) -> Throughput:
    """Run an engine that is ready, and time nothing but the run."""
    gc.collect()
    gc.freeze()  # the tape's objects live to the end: the collector need not walk them again and again
    wall, cpu = time.perf_counter(), time.process_time()
    engine.run()
    spent = Throughput(events=events, wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu)
    gc.unfreeze()
    return spent


class _Empty(Strategy):
    """Subscribed to everything, does nothing."""

    def __init__(self, data: TapeData) -> None:
        super().__init__(StrategyConfig(strategy_id="EMPTY", order_id_tag="000"))
        self._data = data

    def on_start(self) -> None:
        for instrument in self._data.instruments:
            self.subscribe_order_book_deltas(instrument.id, managed=False)
            self.subscribe_trade_ticks(instrument.id)
            self.subscribe_quote_ticks(instrument.id)
