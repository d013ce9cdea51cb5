"""Is the exact split worth it? The same parents over the same books, split exactly, to the best single venue, and pro rata by depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from router.parameters import SPLITS
from sim.replay.command import prepare
from sim.replay.fade import FadeParams
from sim.studies.parents import Outcome, run_parents, script_parents, sizes_of, wide
from sim.studies.pool import spread
from sim.studies.study import Arm, Better, Measure, Study, compare
from sim.studies.windows import Window

EVERY_S = 1.0
MEASURES = (
    Measure(name="cost", unit="bps of arrival value, fees in", better=Better.LOWER),
    Measure(name="cost of the largest", unit="bps, quarter by quantity", better=Better.LOWER),
    Measure(name="fees", unit="bps", better=Better.NEITHER),
    Measure(name="filled", unit="%", better=Better.NEITHER),
    Measure(name="orders", unit="per parent", better=Better.NEITHER),
)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One seed: its piece of the tape, and the policies to run on it."""

    window: Window
    seed: int
    lps: bool
    fade: bool
    slippage_model: str
    scorecards: bool


def study(
    windows: Sequence[Window],
    seeds: Sequence[int],
    *,
    lps: bool,
    fade: bool,
    slippage_model: str,
    scorecards: bool,
    workers: int,
    say: Callable[[str], None],
) -> Study:
    """Run it. With `slippage_model` one more arm: the exact split that also expects slippage; with `scorecards` one without what
    venues and LPs were seen to do."""
    jobs = [
        Run(
            window=windows[n % len(windows)],
            seed=seed,
            lps=lps,
            fade=fade,
            slippage_model=slippage_model,
            scorecards=scorecards,
        )
        for n, seed in enumerate(seeds)
    ]
    results = spread(_run, jobs, workers=workers, what="seeds", say=say)
    arms = [
        Arm(name=name, values={m.name: [result[name][m.name] for result in results] for m in MEASURES})
        for name in results[0]
    ]
    orders = sum(result["exact"]["parents"] for result in results)
    tapes = sorted({Path(window.tape).name for window in windows})
    return compare(
        "router",
        "cost of the same parent orders by split policy",
        [
            f"{orders:,.0f} parents over {len(windows)} windows of {', '.join(tapes)}; second exchange derived from the tape by seed",
            "the market answers our orders by the model of sim.replay.fade (seeded, assumed)"
            if fade
            else "the market does not answer our orders beyond the liquidity they take",
            "simulated LP quotes are offered to every policy" if lps else "no LPs: the split over exchanges alone",
            "what a parent did not fill by its deadline is swept from the books then, fees in",
        ],
        seeds,
        MEASURES,
        arms,
        windows=[job.window.name for job in jobs],
    )


def _run(job: Run) -> dict[str, dict[str, float]]:
    """Measures by policy of one seed."""
    replay = prepare(Path(job.window.tape), start=job.window.start, end=job.window.end, seed=job.seed)
    config = wide(replay.config)
    duration_s = (replay.data.last_ns - replay.data.first_ns) * 1e-9
    parents = script_parents(job.seed, sizes_of(config), duration_s=duration_s, every_s=EVERY_S)
    arms = {name: msgspec.structs.replace(config.router, policy=name) for name in SPLITS}
    if job.slippage_model:
        arms["exact, slippage"] = msgspec.structs.replace(config.router, slippage_model=job.slippage_model)
    if job.scorecards:
        arms["exact, no scorecards"] = msgspec.structs.replace(config.router, scorecards=False)
    found = {}
    for name, parameters in arms.items():
        outcomes, _ = run_parents(
            replay.data,
            msgspec.structs.replace(config, router=parameters),
            parents,
            job.seed,
            fade=FadeParams() if job.fade else None,
            lps=job.lps,
        )
        found[name] = measured(outcomes)
    return found


def cost_bps(outcomes: Sequence[Outcome]) -> float:
    """Cost per value, bps: Σ cost / Σ arrival value."""
    values = [float(one.quantity) * one.arrival for one in outcomes]
    return sum(one.cost_bps * value for one, value in zip(outcomes, values, strict=True)) / sum(values)


def measured(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Measures of a run: costs and fees per value traded, so that large parents count for more."""
    value = sum(float(one.quantity) * one.arrival for one in outcomes)
    filled = sum(float(one.filled) * one.arrival for one in outcomes)
    largest = sorted(outcomes, key=lambda one: float(one.quantity) * one.arrival)[-max(1, len(outcomes) // 4) :]
    return {
        "cost": cost_bps(outcomes),
        "cost of the largest": cost_bps(largest),
        "fees": sum(one.fee_bps * float(one.quantity) * one.arrival for one in outcomes) / value,
        "filled": 100.0 * filled / value,
        "orders": sum(one.children for one in outcomes) / len(outcomes),
        "parents": float(len(outcomes)),
    }
