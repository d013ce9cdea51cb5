"""Do skew and bands pay? The same price-sensitive clients against desks that differ only in how they manage inventory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np

from desk.compose import DeskParts
from desk.config.model import Band, DeskConfig
from sim.replay.command import TAIL_S, prepare
from sim.replay.run import CLIENTS_START_NS, run_desk
from sim.studies.clients import Demand, PriceTakers, requests_of
from sim.studies.pool import spread
from sim.studies.study import Arm, Better, Measure, Study, compare
from sim.studies.windows import Window

MEASURES = (
    Measure(name="pnl", unit="quote currency", better=Better.HIGHER, spread=True),
    Measure(name="inventory", unit="rms, base", better=Better.LOWER),
    Measure(name="trades", unit="per run", better=Better.NEITHER),
    Measure(name="spread", unit="quote currency", better=Better.NEITHER),
    Measure(name="hedge", unit="quote currency, fees in", better=Better.NEITHER),
    Measure(name="inventory pnl", unit="quote currency", better=Better.NEITHER),
    Measure(name="closing", unit="quote currency", better=Better.NEITHER),
)
OURS = "skew and bands"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One seed. `soft_share`: the soft band as a part of the configuration's hard band; `models`: further skew models, with bands."""

    window: Window
    seed: int
    soft_share: Decimal
    demand: Demand
    models: tuple[str, ...]


def study(
    windows: Sequence[Window],
    seeds: Sequence[int],
    *,
    soft_share: Decimal,
    demand: Demand,
    models: Sequence[str],
    workers: int,
    say: Callable[[str], None],
) -> Study:
    """Run it: skew and bands against each alone, against neither, and against the same with other skew models."""
    jobs = [
        Run(window=windows[n % len(windows)], seed=seed, soft_share=soft_share, demand=demand, models=tuple(models))
        for n, seed in enumerate(seeds)
    ]
    results = spread(_run, jobs, workers=workers, what="seeds", say=say)
    arms = [
        Arm(name=name, values={m.name: [result[name][m.name] for result in results] for m in MEASURES})
        for name in results[0]
    ]
    asked = sum(result[OURS]["asked"] for result in results)
    tapes = sorted({Path(window.tape).name for window in windows})
    return compare(
        "skew",
        "P&L of the same desk with and without inventory skew and hedging bands",
        [
            f"{asked:,.0f} requests over {len(windows)} windows of {', '.join(tapes)}; second exchange and LP simulated",
            f"clients are simulated: half trade at {demand.at_bps:g} bps from fair, width {demand.width_bps:g} bps; buyers' share leans"
            f" by {demand.lean:g} with a half-life of {demand.lean_half_life_s:g} s",
            f"bands: soft = {soft_share} × hard; without bands nothing is hedged and the hard band alone stops the desk",
            "P&L is after closing what is left at the end by a sweep of the books, fees in",
        ],
        seeds,
        MEASURES,
        arms,
        windows=[job.window.name for job in jobs],
    )


def arms_of(config: DeskConfig, soft_share: Decimal, models: Sequence[str]) -> dict[str, DeskConfig]:
    """The desks that are compared, ours first."""
    hedging, pricing = config.hedging, config.pricing
    banded = {name: msgspec.structs.replace(band, soft=band.hard * soft_share) for name, band in hedging.bands.items()}
    open_ = {name: Band(soft=band.hard, hard=band.hard, target=band.target) for name, band in hedging.bands.items()}
    flat = msgspec.structs.replace(pricing, skew_model="linear", skew_bps_at_band=Decimal(0))

    def desk(bands: dict[str, Band], prices: object) -> DeskConfig:
        return msgspec.structs.replace(config, hedging=msgspec.structs.replace(hedging, bands=bands), pricing=prices)

    found = {
        OURS: desk(banded, pricing),
        "bands alone": desk(banded, flat),
        "skew alone": desk(open_, pricing),
        "neither": desk(open_, flat),
    }
    for model in models:
        found[f"{model} and bands"] = desk(banded, msgspec.structs.replace(pricing, skew_model=model))
    return found


def _run(job: Run) -> dict[str, dict[str, float]]:
    """Measures by arm of one seed."""
    replay = prepare(Path(job.window.tape), start=job.window.start, end=job.window.end, seed=job.seed)
    config, data = replay.config, replay.data
    item = config.instruments[0]
    sizes = {item.symbol: (0.002 * float(item.max_quantity), 0.3 * float(item.max_quantity))}
    duration_s = (data.last_ns - data.first_ns - CLIENTS_START_NS) * 1e-9 - TAIL_S
    requests = requests_of(job.seed, sizes, job.demand, duration_s)
    found = {}
    for name, desk in arms_of(config, job.soft_share, job.models).items():
        made: list[PriceTakers] = []

        def clients_of(parts: DeskParts, start_ns: int, made: list[PriceTakers] = made) -> PriceTakers:
            made.append(PriceTakers(parts, requests, start_ns, seed=job.seed, demand=job.demand, base=item.base))
            return made[0]

        result = run_desk(data, desk, requests, job.seed, clients_of=clients_of)
        if result.state.faults or result.sim_faults:
            raise RuntimeError("a handler raised during a study: its figures would mean nothing")
        pnl = result.state.pnl
        found[name] = {
            "pnl": float(pnl.total) - made[0].closing,
            "inventory": float(np.sqrt(np.mean(np.square(made[0].inventory)))),
            "trades": float(result.clients.get("traded", 0)),
            "spread": float(pnl.spread),
            "hedge": float(pnl.hedge) + float(pnl.fees),
            "inventory pnl": float(pnl.inventory),
            "closing": -made[0].closing,
            "asked": float(result.clients.get("asked", 0)),
        }
    return found
