"""Volatility against simulated markets whose truth is known: the table of estimators, jumps, the time of day."""

from __future__ import annotations

from math import exp, sqrt
from random import Random

import numpy as np
import pytest

from pricing.day_profile import BUCKET_NS, BUCKETS, MOST_VISITS, PRIOR_VISITS, DayProfile
from pricing.volatility import SCALE, Volatility, observe_all
from tests.oracles import volatility as twin

YEAR = 365.25 * 86_400
SIGMA = 0.6 / sqrt(YEAR)  # per √s: 60 % a year
TICK_NS, TICKS = 100_000_000, 36_000  # an hour of 0.1 s ticks
START = 1_723_161_254_000_000_000


def walk(seed: int, noise_bps: float, n: int = TICKS) -> np.ndarray:
    """Log mids of a Brownian motion at 60 %, seen through independent noise."""
    dice = np.random.default_rng(seed)
    path = np.cumsum(dice.normal(0.0, SIGMA * sqrt(TICK_NS * 1e-9), n))
    return np.asarray(np.log(60_000.0) + path + dice.normal(0.0, noise_bps * 1e-4, n))


def percent(variance_per_tick: float) -> float:
    return 100.0 * sqrt(max(variance_per_tick, 0.0) / (TICK_NS * 1e-9) * YEAR)


# noise in bp → what each estimator reads, in % a year, of 60 % true volatility
TABLE = {
    0.0: {"tick": 60, "bipower": 60, "5s": 60, "60s": 60, "two": 60, "pre": 60},
    0.2: {"tick": 78, "bipower": 79, "5s": 60, "60s": 60, "two": 60, "pre": 60},
    0.5: {"tick": 139, "bipower": 145, "5s": 62, "60s": 60, "two": 60, "pre": 60},
    1.0: {"tick": 258, "bipower": 272, "5s": 70, "60s": 61, "two": 60, "pre": 60},
}
ALLOWED = {"tick": 1.5, "bipower": 2.0, "5s": 1.5, "60s": 2.6, "two": 1.0, "pre": 1.0}  # about 3 sd/√20
SEEDS = 20


@pytest.mark.parametrize("noise_bps", sorted(TABLE))
def test_estimators_read_what_theory_says(noise_bps: float) -> None:
    read: dict[str, list[float]] = {name: [] for name in (*ALLOWED, "ours", "noise", "ours bipower")}
    for seed in range(SEEDS):
        x = walk(seed, noise_bps)
        read["tick"].append(percent(twin.realised(x)))
        read["bipower"].append(percent(twin.bipower(x)))
        read["5s"].append(percent(twin.realised(x, 50)))
        read["60s"].append(percent(twin.realised(x, 600)))
        read["two"].append(percent(twin.two_scale(x, SCALE)))
        read["pre"].append(percent(twin.pre_averaged(x, 60)))
        ours = Volatility(1e12, 0.0, short_s=1e12)
        observe_all(ours.state, START, TICK_NS, np.exp(x))
        read["ours"].append(100 * ours.two_scale * sqrt(YEAR))
        read["ours bipower"].append(100 * ours.bipower * sqrt(YEAR))
        read["noise"].append(ours.noise_bps)
        assert read["ours"][-1] == pytest.approx(read["two"][-1], rel=3e-3)  # edges of the series apart, the same sum
    for name, expected in TABLE[noise_bps].items():
        assert np.mean(read[name]) == pytest.approx(expected, abs=ALLOWED[name]), name
    assert np.std(read["two"], ddof=1) < 2.2 and np.std(read["60s"], ddof=1) > 2.5
    assert np.mean(read["ours bipower"]) == pytest.approx(60.0, abs=3.5)  # without its noise correction: 60 … 86
    assert np.mean(read["noise"]) == pytest.approx(noise_bps, abs=0.05)


@pytest.mark.parametrize("noise_bps", [0.0, 0.5, 1.0])
def test_what_is_quoted_is_never_far_below_the_truth_nor_fooled_by_bounce(noise_bps: float) -> None:
    quoted = []
    for seed in range(10):
        v = Volatility()
        mids = np.exp(walk(seed, noise_bps))
        for minute in range(5, 60):
            observe_all(v.state, START + minute * 600 * TICK_NS, TICK_NS, mids[minute * 600 : minute * 600 + 599])
            last = minute * 600 + 599
            v.update(START + last * TICK_NS, float(mids[last]))
            quoted.append(v.sigma / SIGMA)
    settled = np.array(quoted)
    assert 1.0 < np.mean(settled) < 1.15 and np.quantile(settled, 0.02) > 0.8


def test_a_jump_goes_to_the_short_memory_not_to_the_bipower() -> None:
    x = walk(3, 0.0, 6_000)
    x[4_000:] += 0.003  # 30 bp at once
    v, calm = Volatility(), Volatility()
    for i in range(6_000):
        v.update(START + i * TICK_NS, exp(x[i]))
        calm.update(START + i * TICK_NS, exp(x[i] - (0.003 if i >= 4_000 else 0.0)))
        if i == 4_030:
            assert v.sigma == v.short > 3 * calm.sigma and v.jump_share > 0.5 > calm.jump_share
            assert v.bipower < 2.0 * calm.bipower
    assert v.short < 1.3 * calm.sigma  # 200 s later it is forgotten


def test_gaps_repeats_and_nonsense_change_nothing() -> None:
    v = Volatility(120.0, 1e-6)
    for i in range(600):
        v.update(START + i * TICK_NS, 100.0 * exp(1e-5 * (i % 7)))
    before = v.state.copy()
    for ts, mid in ((START, 90.0), (START + 599 * TICK_NS, 90.0), (START + 10**12, 0.0), (START + 10**12, -1.0)):
        v.update(ts, mid)
    for mid in (float("nan"), float("inf")):
        v.update(START + 10**12, mid)
    assert (v.state == before).all()
    lively = v.sigma
    v.update(START + 3_600 * 10**9, 100.0)  # an hour of silence, and next to no move over it
    assert v.sigma < 0.6 * lively


def test_the_day_profile_learns_a_curve_and_one_wild_day_is_half_believed() -> None:
    dice, profile = Random(4), DayProfile()
    true = [3.0 if 28 <= bucket < 34 else 0.75 for bucket in range(BUCKETS)]
    base = 4e-10
    for visit in range(BUCKETS * 40 + 1):
        for second in range(0, 1_800, 60):
            move = dice.gauss(0.0, sqrt(base * true[visit % BUCKETS] * 60))
            profile.observe(visit * BUCKET_NS + second * 10**9, move * move, 60.0)
    level = sum(true) / BUCKETS
    read = [profile.pace(bucket * BUCKET_NS + BUCKET_NS // 2) * level for bucket in range(BUCKETS)]
    believed = MOST_VISITS / (MOST_VISITS + PRIOR_VISITS)
    for got, truth in zip(read, true, strict=True):
        assert got == pytest.approx(1 + believed * (truth - 1), rel=0.2)
    assert sum(profile.pace(b * BUCKET_NS + BUCKET_NS // 2) for b in range(BUCKETS)) == pytest.approx(BUCKETS, rel=0.02)
    fresh = DayProfile()
    assert fresh.pace(START) == 1.0
    for visit in range(4):
        for second in range(0, 1_800, 60):
            fresh.observe(visit * BUCKET_NS + second * 10**9, 60 * (5e-9 if visit == 2 else 1e-9), 60.0)
    assert 1.05 < fresh.pace(2 * BUCKET_NS + BUCKET_NS // 2) < 1.3 and fresh.pace(20 * BUCKET_NS) == pytest.approx(
        1.0, abs=0.1
    )


def test_with_a_profile_a_lively_hour_is_expected_not_a_surprise() -> None:
    profile = DayProfile()
    dice = Random(8)

    def variance(bucket: int) -> float:
        return SIGMA**2 * (4.0 if bucket % BUCKETS >= 24 else 1.0)

    for visit in range(BUCKETS * 30):
        for second in range(0, 1_800, 30):
            move = dice.gauss(0.0, sqrt(variance(visit) * 30))
            profile.observe(visit * BUCKET_NS + second * 10**9, move * move, 30.0)
    plain, aware = Volatility(600.0, 0.0, short_s=600.0), Volatility(600.0, 0.0, short_s=600.0, profile=profile)
    x, start = 0.0, 30 * BUCKETS * BUCKET_NS + 23 * BUCKET_NS
    ratios: list[tuple[float, float]] = []
    for second in range(3_600):
        x += dice.gauss(0.0, sqrt(variance(23 + second // 1_800)))
        ts = start + second * 10**9
        plain.update(ts, exp(x))
        aware.update(ts, exp(x))
        if (
            second == 1_800 + 120
        ):  # two minutes into the lively half of the day; the curve is interpolated over half an hour
            ratios.append((plain.two_scale, aware.two_scale))
    ((without, with_profile),) = ratios
    assert with_profile > 1.1 * without
