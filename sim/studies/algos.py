"""Does an algorithm keep to its benchmark, and is it worth more than a sweep? The same parents, worked at once and by every algorithm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from router.algos.spec import ArrivalPrice, Iceberg, ImplementationShortfall, Peg, Pegged, Pov, Sniper, Twap, Vwap
from sim.replay.command import prepare
from sim.replay.fade import FadeParams
from sim.studies.parents import Algo, Outcome, run_parents, script_parents, wide
from sim.studies.pool import spread
from sim.studies.router import cost_bps
from sim.studies.study import Arm, Better, Measure, Study, against_zero, compare
from sim.studies.windows import Window, recorded_alone

EVERY_S = 8.0
SLICE_MS = 1_000
SWEEP = "sweep"
MEASURES = (
    Measure(name="cost", unit="bps against arrival, fees in", better=Better.LOWER),
    Measure(name="own benchmark", unit="bps, fees out", better=Better.NEITHER),
    Measure(name="tracking", unit="rms, % of quantity", better=Better.NEITHER),
    Measure(name="filled", unit="%", better=Better.NEITHER),
    Measure(name="orders", unit="per parent", better=Better.NEITHER),
)
# name → (how, the figure of `AlgoReport` it is held against)
ALGOS: Mapping[str, tuple[Algo, str]] = {
    "twap": (Algo(spec=Twap(interval_ms=SLICE_MS)), "twap_bps"),
    "vwap": (Algo(spec=Vwap(interval_ms=SLICE_MS)), "vwap_bps"),
    "pov": (Algo(spec=Pov(participation=Decimal("0.25"), interval_ms=500)), "vwap_bps"),
    "is": (Algo(spec=ImplementationShortfall(interval_ms=SLICE_MS, risk_aversion=1e-4)), "arrival_bps"),
    "arrival": (Algo(spec=ArrivalPrice(interval_ms=SLICE_MS, urgency=0.6)), "arrival_bps"),
    "sniper": (Algo(spec=Sniper(depth=Decimal("0.05"), clip=Decimal("0.25"))), "arrival_bps"),
    "pegged": (Algo(spec=Pegged(peg=Peg.PRIMARY, display=Decimal("0.1"))), "twap_bps"),
    "iceberg": (Algo(spec=Iceberg(display=Decimal("0.1")), limited=True), "arrival_bps"),
}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One seed, and how long its parents may take. `alone`: only the recorded exchange."""

    window: Window
    seed: int
    seconds: float
    fade: bool
    alone: bool
    algos: tuple[str, ...]


def study(
    windows: Sequence[Window],
    seeds: Sequence[int],
    *,
    seconds: float,
    fade: bool,
    alone: bool,
    algos: Sequence[str] = (),
    workers: int,
    say: Callable[[str], None],
) -> Study:
    """Run it. The first arm is the sweep that the desk makes without an algorithm; `algos`: which of `ALGOS`, all when empty."""
    named = tuple(algos) or tuple(ALGOS)
    jobs = [
        Run(window=windows[n % len(windows)], seed=seed, seconds=seconds, fade=fade, alone=alone, algos=named)
        for n, seed in enumerate(seeds)
    ]
    results = spread(_run, jobs, workers=workers, what="seeds", say=say)
    arms = [Arm(name=name, values=_complete([result[name] for result in results])) for name in results[0]]
    parents = sum(result[SWEEP]["parents"] for result in results)
    tapes = sorted({Path(window.tape).name for window in windows})
    found = compare(
        "algos",
        "cost of the same parent orders swept at once and worked over time; each algorithm against its own benchmark",
        [
            f"{parents:,.0f} parents of up to {seconds:g} s over {len(windows)} windows of {', '.join(tapes)}",
            "the market answers our marketable orders by the model of sim.replay.fade (seeded, assumed)"
            if fade
            else "the market does not answer our orders beyond the liquidity they take",
            "one exchange: only what was recorded"
            if alone
            else "two exchanges, the second derived from the tape: patience finds the cheaper of the two, by construction",
            "resting orders wait in the queue of their level; what was not filled is swept from the books at the end, fees in",
            "no volume curve is known for so short a time: vwap works a flat one, as twap does",
            "own benchmark: " + ", ".join(f"{name} {ALGOS[name][1].removesuffix('_bps')}" for name in named),
        ],
        seeds,
        MEASURES,
        arms,
        windows=[job.window.name for job in jobs],
        baseline=True,
    )
    held = [arm for arm in arms if "own benchmark" in arm.values]
    own = [against_zero("own benchmark", arm, found.windows, lower=True) for arm in held]
    return msgspec.structs.replace(found, differences=[*found.differences, *own])


def _complete(runs: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Values by measure; a measure that a seed does not have (nothing filled, no schedule) is left out."""
    return {m.name: [run[m.name] for run in runs] for m in MEASURES if all(m.name in run for run in runs)}


def _run(job: Run) -> dict[str, dict[str, float]]:
    """Measures by arm of one seed."""
    replay = prepare(Path(job.window.tape), start=job.window.start, end=job.window.end, seed=job.seed)
    replay = recorded_alone(replay) if job.alone else replay
    config = wide(replay.config)
    duration_s = (replay.data.last_ns - replay.data.first_ns) * 1e-9
    sizes = {
        item.symbol: (0.01 * float(item.max_quantity), 0.2 * float(item.max_quantity)) for item in config.instruments
    }
    deadline_ms = int(job.seconds * 1_000)
    parents = script_parents(job.seed, sizes, duration_s=duration_s, every_s=EVERY_S, deadline_ms=deadline_ms)
    found = {}
    for name in (SWEEP, *job.algos):
        algo, figure = ALGOS.get(name, (None, ""))
        outcomes, _ = run_parents(
            replay.data,
            config,
            parents,
            job.seed,
            fade=FadeParams() if job.fade else None,
            lps=False,
            deadline_ms=deadline_ms,
            algo=algo,
        )
        found[name] = _measured(outcomes, figure)
    return found


def _measured(outcomes: Sequence[Outcome], figure: str) -> dict[str, float]:
    """Per value traded; the benchmark over what was filled, and only where there is one."""
    value = sum(float(one.quantity) * one.arrival for one in outcomes)
    filled = sum(float(one.filled) * one.arrival for one in outcomes)
    found = {
        "cost": cost_bps(outcomes),
        "filled": 100.0 * filled / value,
        "orders": sum(one.children for one in outcomes) / len(outcomes),
        "parents": float(len(outcomes)),
    }
    reports = [(float(one.filled) * one.arrival, one.report) for one in outcomes if one.report is not None]
    against = [(weight, bps) for weight, report in reports if figure and (bps := getattr(report, figure)) is not None]
    if against:
        found["own benchmark"] = sum(weight * bps for weight, bps in against) / sum(weight for weight, _ in against)
    tracked = [report.tracking_rms for _, report in reports if report.tracking_rms is not None]
    if tracked:
        found["tracking"] = 100.0 * sum(tracked) / len(tracked)
    return found
