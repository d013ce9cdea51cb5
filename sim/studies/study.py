"""Comparing policies on the same orders: every seed runs every arm, and what counts is the difference within a seed.

A difference is told with its 95 % interval, with how many seeds it won and lost, and in how many windows of the tape its mean is a win.
Seeds of one window share a market, so the interval resamples windows first and then seeds within each (two-stage bootstrap, 10,000
resamples, seeded; Davison and Hinkley, *Bootstrap Methods and their Application* (1997), 3.8). The verdict is "better" or "worse" only
when the interval leaves zero out; a loss is printed like a win.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np

RESAMPLES = 10_000
TIE = 1e-9


class Better(StrEnum):
    """Which way a measure is good; NEITHER is shown and not judged."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured of a run. `spread` True: its standard deviation over the seeds is judged as well (lower is better)."""

    name: str
    unit: str
    better: Better
    spread: bool = False


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One policy's runs: `values` by measure, a number for each seed in order. A measure that is not judged may be missing."""

    name: str
    values: dict[str, list[float]]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Ours less theirs in one measure, or (`of` = "sd") our standard deviation less theirs. `interval`: 95 %; `windows_won`: of `windows`,
    by the mean over a window's seeds (0 of an "sd")."""

    ours: str
    measure: str
    of: str  # "mean" | "sd"
    against: str
    mean: float
    interval: tuple[float, float]
    wins: int
    losses: int
    ties: int
    windows_won: int
    windows: int
    verdict: str  # "better" | "worse" | "no difference shown"


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """A finished comparison. `conditions` says on what, and what of it was simulated or assumed; `windows`: each seed's piece of tape."""

    name: str
    question: str
    conditions: list[str]
    seeds: list[int]
    windows: list[str]
    measures: list[Measure]
    arms: list[Arm]
    differences: list[Difference]


def compare(
    name: str,
    question: str,
    conditions: Sequence[str],
    seeds: Sequence[int],
    measures: Sequence[Measure],
    arms: Sequence[Arm],
    *,
    windows: Sequence[str] | None = None,
    baseline: bool = False,
) -> Study:
    """The study of arms that ran on the same seeds. The first arm is held against each other one; with `baseline` each other one against
    the first. `windows` None: every seed had a market of its own. Raises ValueError when arms did not run on the same seeds."""
    judged = [measure for measure in measures if measure.better is not Better.NEITHER]
    shown = [measure for measure in measures if measure.better is Better.NEITHER]
    if any(len(arm.values.get(measure.name, ())) != len(seeds) for arm in arms for measure in judged) or any(
        len(arm.values.get(measure.name, seeds)) != len(seeds) for arm in arms for measure in shown
    ):
        raise ValueError("every arm needs one value of every measure for every seed")
    of = [str(seed) for seed in seeds] if windows is None else list(windows)
    pairs = [(other, arms[0]) if baseline else (arms[0], other) for other in arms[1:]]
    found = []
    for measure in judged:
        for ours, theirs in pairs:
            found.append(_mean_difference(measure, ours, theirs.name, _values(theirs, measure), of))
            if measure.spread:
                found.append(_sd_difference(measure, ours, theirs, of))
    return Study(
        name=name,
        question=question,
        conditions=list(conditions),
        seeds=list(seeds),
        windows=of,
        measures=list(measures),
        arms=list(arms),
        differences=found,
    )


def against_zero(measure: str, arm: Arm, windows: Sequence[str], *, lower: bool) -> Difference:
    """An arm's measure that is a difference already, such as a cost against its own benchmark: held against nothing."""
    made = Measure(name=measure, unit="", better=Better.LOWER if lower else Better.HIGHER)
    return _mean_difference(made, arm, "zero", np.zeros(len(windows)), windows)


def _values(arm: Arm, measure: Measure) -> np.ndarray:
    return np.array(arm.values[measure.name])


def _resampled(windows: Sequence[str]) -> np.ndarray:
    """(RESAMPLES, n) places of seeds: each place keeps its window, which is drawn anew, and draws a seed of the drawn one."""
    dice = np.random.default_rng(20_240_808)
    _, of, counts = np.unique(list(windows), return_inverse=True, return_counts=True)
    ordered = np.argsort(of, kind="stable")
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    drawn = dice.integers(0, len(counts), size=(RESAMPLES, len(counts)))[:, of]
    return np.asarray(ordered[first[drawn] + (dice.random(drawn.shape) * counts[drawn]).astype(np.int64)])


def _mean_difference(
    measure: Measure, ours: Arm, against: str, theirs: np.ndarray, windows: Sequence[str]
) -> Difference:
    difference = _values(ours, measure) - theirs
    sign = 1.0 if measure.better is Better.HIGHER else -1.0
    low, high = np.quantile(difference[_resampled(windows)].mean(axis=1), (0.025, 0.975)).tolist()
    _, of = np.unique(list(windows), return_inverse=True)
    by_window = np.bincount(of, weights=sign * difference)
    return Difference(
        ours=ours.name,
        measure=measure.name,
        of="mean",
        against=against,
        mean=float(difference.mean()),
        interval=(low, high),
        wins=int((sign * difference > TIE).sum()),
        losses=int((sign * difference < -TIE).sum()),
        ties=int((np.abs(difference) <= TIE).sum()),
        windows_won=int((by_window > TIE).sum()),
        windows=len(by_window),
        verdict=_verdict(sign, low, high),
    )


def _sd_difference(measure: Measure, ours: Arm, theirs: Arm, windows: Sequence[str]) -> Difference:
    """Wins and losses are seeds further from their arm's mean: less far is a win."""
    mine, other = _values(ours, measure), _values(theirs, measure)
    drawn = _resampled(windows)
    low, high = np.quantile(mine[drawn].std(axis=1, ddof=1) - other[drawn].std(axis=1, ddof=1), (0.025, 0.975)).tolist()
    closer = np.abs(mine - mine.mean()) - np.abs(other - other.mean())
    return Difference(
        ours=ours.name,
        measure=measure.name,
        of="sd",
        against=theirs.name,
        mean=sd(mine) - sd(other),
        interval=(low, high),
        wins=int((closer < -TIE).sum()),
        losses=int((closer > TIE).sum()),
        ties=int((np.abs(closer) <= TIE).sum()),
        windows_won=0,
        windows=0,
        verdict=_verdict(-1.0, low, high),
    )


def _verdict(sign: float, low: float, high: float) -> str:
    if low <= 0.0 <= high:
        return "no difference shown"
    return "better" if sign * low > 0 else "worse"


def sd(values: Sequence[float] | np.ndarray) -> float:
    """Standard deviation over seeds (n − 1); 0 of one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def jsonable(study: Study) -> dict[str, Any]:
    """The study as JSON-ready values."""
    return dict(msgspec.to_builtins(study))
