"""Does a markup tuned by what clients answered earn more than a flat one? Learnt on the earlier windows, compared on the later ones.

In the earlier half of the windows desks with several flat markups quote the same kind of clients, so that answers to many distances from
fair are seen; `pricing.winning` is fitted on them. In the later half, with other seeds, the tuned desk meets the flat one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from desk.compose import DeskParts
from desk.config.model import DeskConfig
from desk.errors import ConfigFault
from pricing.winning import Outcome, WinModel, fit, paid_share
from sim.replay.command import TAIL_S, prepare
from sim.replay.data import TapeData
from sim.replay.run import CLIENTS_START_NS, ReplayResult, run_desk
from sim.studies.clients import Demand, PriceTakers, requests_of
from sim.studies.pool import spread
from sim.studies.study import Arm, Better, Measure, Study, compare
from sim.studies.windows import Window

LEARNT = 1_000_000  # seeds of the learning runs begin here: never those that are compared
TRIED = tuple(Decimal(factor) for factor in ("0.25", "1", "2", "4"))  # × the configured markups, while learning
MEASURES = (
    Measure(name="pnl", unit="quote currency", better=Better.HIGHER, spread=True),
    Measure(name="trades", unit="per run", better=Better.NEITHER),
    Measure(name="won", unit="% of quotes", better=Better.NEITHER),
    Measure(name="spread", unit="quote currency", better=Better.NEITHER),
)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One seed. `factor`: × the markups, while learning; `model`: the file to compare with, "" while learning."""

    window: Window
    seed: int
    demand: Demand
    factor: Decimal = Decimal(1)
    model: str = ""


def study(
    windows: Sequence[Window],
    seeds: Sequence[int],
    *,
    demand: Demand,
    learning_runs: int,
    workers: int,
    say: Callable[[str], None],
) -> Study:
    """Run it. Raises ConfigFault when there is nothing earlier to learn from, or the answers say nothing."""
    half = len(windows) // 2
    if not half:
        raise ConfigFault("learning needs a window before the one that is compared: give a shorter --window")
    ordered = sorted(windows, key=lambda window: (Decimal(window.start.lstrip("+")), window.tape))
    learning = [
        Run(window=ordered[n % half], seed=LEARNT + n, demand=demand, factor=TRIED[n % len(TRIED)])
        for n in range(learning_runs)
    ]
    runs = spread(_answers, learning, workers=workers, what="learning runs", say=say)
    seen = [one for run in runs for one in run.outcomes]
    paid = paid_share(sum(run.spent for run in runs), [one for run in runs for one in run.charged])
    model = msgspec.structs.replace(fit(seen), paid=paid)
    if not model.curves:
        raise ConfigFault(
            f"{len(seen)} answers do not tell how clients take prices: more, or longer, windows are needed"
        )
    later = ordered[half:]
    with tempfile.TemporaryDirectory(prefix="kerb-study-") as folder:
        path = Path(folder) / "winning.json"
        path.write_bytes(msgspec.json.encode(model))
        jobs = [
            Run(window=later[n % len(later)], seed=seed, demand=demand, model=str(path)) for n, seed in enumerate(seeds)
        ]
        results = spread(_run, jobs, workers=workers, what="seeds", say=say)
    arms = [
        Arm(name=name, values={m.name: [result[name][m.name] for result in results] for m in MEASURES})
        for name in results[0]
    ]
    return compare(
        "markup",
        "P&L with a markup tuned by the fitted win probability, against the configured flat one",
        [_conditions(model, len(seen), half, len(later), windows, demand)],
        seeds,
        MEASURES,
        arms,
        windows=[job.window.name for job in jobs],
    )


def _conditions(model: WinModel, seen: int, half: int, later: int, windows: Sequence[Window], demand: Demand) -> str:
    tapes = ", ".join(sorted({Path(window.tape).name for window in windows}))
    curves = ", ".join(f"{curve.tier} {curve.won} of {curve.n}" for curve in model.curves)
    return (
        f"learnt from {seen:,} answers ({curves}; {model.paid:.0%} of costs paid) of {half} windows of {tapes}, compared on the "
        f"{later} later; simulated clients, half of whom trade at {demand.at_bps:g} bps from fair, width {demand.width_bps:g} bps, not "
        "told to the desk"
    )


class Seen(msgspec.Struct, frozen=True):
    """What a learning run saw: every quote and its answer; what the trades were charged, and what hedging them cost, in money."""

    outcomes: list[Outcome]
    charged: list[float]
    spent: float


def _answers(job: Run) -> Seen:
    """What clients answered a desk with other flat markups, and what their trades cost it."""
    replay = prepare(Path(job.window.tape), start=job.window.start, end=job.window.end, seed=job.seed)
    pricing = replay.config.pricing
    markups = {tier: bps * job.factor for tier, bps in pricing.markup_bps.items()}
    config = msgspec.structs.replace(replay.config, pricing=msgspec.structs.replace(pricing, markup_bps=markups))
    result, clients = _desk(job, replay.data, config)
    pnl = result.state.pnl
    return Seen(clients.outcomes, clients.charged, clients.closing - float(pnl.hedge) - float(pnl.fees))


def _run(job: Run) -> dict[str, dict[str, float]]:
    """Measures of the tuned and the flat desk on one seed."""
    replay = prepare(Path(job.window.tape), start=job.window.start, end=job.window.end, seed=job.seed)
    tuned = msgspec.structs.replace(replay.config.pricing, tune_markup=True, win_model=job.model)
    found = {}
    for name, config in (("tuned", msgspec.structs.replace(replay.config, pricing=tuned)), ("flat", replay.config)):
        result, clients = _desk(job, replay.data, config)
        answered = clients.outcomes
        found[name] = {
            "pnl": float(result.state.pnl.total) - clients.closing,
            "trades": float(result.clients.get("traded", 0)),
            "won": 100.0 * sum(one.won for one in answered) / max(1, len(answered)),
            "spread": float(result.state.pnl.spread),
        }
    return found


def _desk(job: Run, data: TapeData, config: DeskConfig) -> tuple[ReplayResult, PriceTakers]:
    item = config.instruments[0]
    sizes = {item.symbol: (0.002 * float(item.max_quantity), 0.3 * float(item.max_quantity))}
    requests = requests_of(
        job.seed, sizes, job.demand, (data.last_ns - data.first_ns - CLIENTS_START_NS) * 1e-9 - TAIL_S
    )
    made: list[PriceTakers] = []

    def clients_of(parts: DeskParts, start_ns: int) -> PriceTakers:
        made.append(PriceTakers(parts, requests, start_ns, seed=job.seed, demand=job.demand, base=item.base))
        return made[0]

    result = run_desk(data, config, requests, job.seed, clients_of=clients_of)
    if result.state.faults or result.sim_faults:
        raise RuntimeError("a handler raised during a study: its figures would mean nothing")
    return result, made[0]
