"""What a study says of its figures: differences within a seed, honest verdicts, losses told like wins."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from desk.errors import ConfigFault
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from sim.studies.clients import Demand, requests_of
from sim.studies.fair import Venues, judged
from sim.studies.parents import completion, script_parents
from sim.studies.pool import spread
from sim.studies.study import Arm, Better, Difference, Measure, Study, against_zero, compare, jsonable, sd
from sim.studies.tables import lines, markdown
from sim.studies.windows import windows_of
from tests.replay.tape_maker import tape_lines, write_tape

COST = Measure(name="cost", unit="bps", better=Better.LOWER)
PNL = Measure(name="pnl", unit="USDT", better=Better.HIGHER, spread=True)
SEEDS = range(40)


def study_of(measure: Measure, **arms: Any) -> Study:
    made = [Arm(name=name, values={measure.name: [float(v) for v in values]}) for name, values in arms.items()]
    return compare("made up", "who wins?", ["by hand"], list(SEEDS), [measure], made)


def found(study: Study, of: str = "mean") -> Difference:
    return next(one for one in study.differences if one.of == of)


NOISE = np.random.default_rng(1).normal(0, 5, len(SEEDS))  # common to both arms: pairing takes it out
LITTLE = np.random.default_rng(2).normal(0, 0.2, len(SEEDS))


def test_a_win_and_the_same_figures_as_a_loss() -> None:
    win = found(study_of(COST, ours=NOISE - 1 + LITTLE, theirs=NOISE))
    assert win.verdict == "better" and win.wins == 40 and win.losses == 0
    assert win.mean == pytest.approx(-1 + LITTLE.mean())
    loss_study = study_of(COST, ours=NOISE, theirs=NOISE - 1 + LITTLE)
    loss = found(loss_study)
    assert loss.verdict == "worse" and loss.losses == 40 and loss.wins == 0
    assert any("losses 40" in line and line.endswith("worse") for line in lines(loss_study))
    assert found(study_of(PNL, ours=NOISE - 1 + LITTLE, theirs=NOISE)).verdict == "worse"  # less money is worse


def test_the_interval_is_that_of_theory() -> None:
    low, high = found(study_of(COST, ours=NOISE + LITTLE, theirs=NOISE)).interval
    half = 1.96 * LITTLE.std() / math.sqrt(len(LITTLE))
    assert (low, high) == (
        pytest.approx(LITTLE.mean() - half, abs=0.15 * half),
        pytest.approx(LITTLE.mean() + half, abs=0.15 * half),
    )


def test_no_difference_is_claimed_where_none_is_shown() -> None:
    one = found(study_of(COST, ours=NOISE + LITTLE - LITTLE.mean(), theirs=NOISE))
    assert one.verdict == "no difference shown" and one.interval[0] < 0 < one.interval[1]
    same = found(study_of(COST, ours=NOISE, theirs=NOISE))
    assert (same.ties, same.wins, same.losses, same.verdict) == (40, 0, 0, "no difference shown")


def test_spread_over_seeds_is_judged_by_itself() -> None:
    calm = found(study_of(PNL, ours=NOISE / 4, theirs=NOISE), of="sd")
    assert calm.verdict == "better" and calm.wins == 40
    assert calm.mean == pytest.approx(sd(NOISE / 4) - sd(NOISE))
    assert found(study_of(PNL, ours=NOISE, theirs=NOISE / 4), of="sd").verdict == "worse"


def test_arms_of_other_seeds_are_refused_and_the_rest_is_json() -> None:
    with pytest.raises(ValueError, match="for every seed"):
        study_of(COST, ours=NOISE, theirs=NOISE[:-1])
    told = jsonable(study_of(COST, ours=NOISE, theirs=NOISE))
    assert told["seeds"] == list(SEEDS) and len(told["arms"]) == 2


def test_seeds_that_share_a_market_are_not_counted_as_so_many_markets() -> None:
    """Four windows with a difference of their own each: forty seeds of them say hardly more than four."""
    of = [f"window {n % 4}" for n in SEEDS]
    by_window = np.array([-1.5, 1.0, -1.0, 0.7])
    mine = by_window[np.arange(len(SEEDS)) % 4] + LITTLE - 0.1
    arms = [
        Arm(name="ours", values={"cost": mine.tolist()}),
        Arm(name="theirs", values={"cost": [0.0] * len(SEEDS)}),
    ]
    alone = found(compare("made up", "?", [], list(SEEDS), [COST], arms))
    shared = found(compare("made up", "?", [], list(SEEDS), [COST], arms, windows=of))
    assert (shared.windows, shared.windows_won) == (4, 2) and alone.windows == len(SEEDS)
    width = [one.interval[1] - one.interval[0] for one in (alone, shared)]
    theory = 2 * 1.96 * by_window.std() / math.sqrt(4)
    assert width[1] == pytest.approx(theory, rel=0.2) and width[0] < 0.5 * width[1]
    assert shared.verdict == "no difference shown"


def test_a_baseline_is_what_the_others_are_held_against_and_what_is_only_shown_may_be_missing() -> None:
    shown = Measure(name="tracking", unit="%", better=Better.NEITHER)
    arms = [
        Arm(name="sweep", values={"cost": [2.0] * 40}),
        Arm(name="twap", values={"cost": [1.0] * 40, "tracking": [3.0] * 40}),
        Arm(name="pov", values={"cost": [4.0] * 40, "tracking": [5.0] * 40}),
    ]
    made = compare("made up", "?", ["by hand"], list(SEEDS), [COST, shown], arms, baseline=True)
    assert [(one.ours, one.against, one.mean, one.verdict) for one in made.differences] == [
        ("twap", "sweep", -1.0, "better"),
        ("pov", "sweep", 2.0, "worse"),
    ]
    zero = against_zero("tracking", arms[1], made.windows, lower=True)
    assert (zero.ours, zero.against, zero.mean, zero.losses) == ("twap", "zero", 3.0, 40)
    body = markdown(made)
    assert "* by hand" in body and "| sweep | 2.000 ± 0.000 | – |" in body
    assert any("pov less sweep" in row and row.endswith("| **worse** |") for row in body)
    with pytest.raises(ValueError, match="for every seed"):
        compare("made up", "?", [], list(SEEDS), [COST], [arms[0], Arm(name="none", values={})])


def test_what_was_not_filled_is_swept_from_the_books_with_fees() -> None:
    terms = VenueTerms(
        venue="X",
        taker_fee_bps=Decimal(10),
        tick=Decimal("0.01"),
        lot=Decimal("0.01"),
        price_decimals=2,
        size_decimals=2,
        max_age_ns=10**9,
    )
    book = ConsolidatedBook("A/B", Scale("A/B", 2, 2), [terms])
    empty = completion(book, "buy", Decimal(3), 1, Decimal(99))
    assert empty == 297  # no book: fair
    rows = [(1, 9_900, 100), (1, 9_800, 100), (-1, 10_000, 100), (-1, 10_100, 100)]
    book.apply("X", np.array(rows, dtype=np.int64), True, 1)
    fair = Decimal("99.5")
    assert completion(book, "buy", Decimal(0), 1, fair) == 0
    assert completion(book, "buy", Decimal("1.5"), 1, fair) == (100 + Decimal("50.5")) * Decimal("1.001")
    assert completion(book, "sell", Decimal("1.5"), 1, fair) == (99 + 49) * Decimal("0.999")
    assert completion(book, "buy", Decimal(5), 1, fair) == (100 + 4 * 101) * Decimal("1.001")  # the last price shown


def test_a_forecast_is_judged_by_what_came() -> None:
    dice = np.random.default_rng(3)
    mid = 60_000 * np.exp(np.cumsum(dice.normal(0, 1e-5, 3_000)))
    ahead = np.append(mid[1:], np.nan)
    knows = judged(Venues.RECORDED, mid, ahead, 100)
    assert (
        knows.r2 == pytest.approx(1)
        and knows.error_bps == pytest.approx(0, abs=1e-9)
        and knows.told == pytest.approx(1)
    )
    assert knows.mid_error_bps == pytest.approx(0.1, rel=0.1) and knows.moments == 2_999
    timid = judged(Venues.RECORDED, mid, mid + (ahead - mid) / 4, 100)  # says a quarter of what comes
    assert timid.slope == pytest.approx(4) and timid.told == pytest.approx(1)
    assert timid.r2 == pytest.approx(1 - 0.75**2) and timid.interval[0] < timid.r2 < timid.interval[1]
    noise = judged(Venues.DERIVED, mid, mid * (1 + dice.normal(0, 1e-5, 3_000)), 1_000)
    assert noise.r2 == pytest.approx(-0.1, abs=0.05) and abs(noise.slope) < 0.3 and noise.told < 0.01
    same = judged(Venues.RECORDED, mid, mid.copy(), 100)
    assert (same.r2, same.slope, same.told) == (0, 0, 0)


def _square(number: int) -> int:
    if number == 13:
        raise ValueError("thirteen")
    return number * number


def test_runs_come_back_in_order_whoever_is_first_and_a_fault_ends_them_all() -> None:
    said: list[str] = []
    assert spread(_square, [3, 1, 2], workers=2, what="squares", say=said.append) == [9, 1, 4]
    assert said[-1] == "3 of 3 squares"
    assert spread(_square, [5, 4], workers=1, what="squares", say=said.append) == [25, 16]
    with pytest.raises(ValueError, match="thirteen"):
        spread(_square, [1, 13, 2], workers=2, what="squares", say=said.append)


def test_windows_cover_a_tape_without_overlap(tmp_path: Any) -> None:
    tape = write_tape(tmp_path / "tape.gz", tape_lines(seconds=65))
    found_ = windows_of(tape, 20.0)
    edges = [(float(one.start), float(one.end)) for one in found_]
    assert len(edges) == 3 and edges[0][0] == 0.0 and edges[-1][1] == pytest.approx(64.9, abs=0.2)
    assert all(a[1] == pytest.approx(b[0]) for a, b in itertools.pairwise(edges))
    assert len(windows_of(tape, 600.0)) == 1
    with pytest.raises(ConfigFault, match="at least 15s"):
        windows_of(tape, 5.0)


def test_flow_differs_by_seed_and_leans_for_a_while() -> None:
    sizes = {"BTC/USDT": (0.01, 2.0)}
    one = requests_of(1, sizes, Demand(), 600.0)
    assert one == requests_of(1, sizes, Demand(), 600.0) != requests_of(2, sizes, Demand(), 600.0)
    assert len(one) == pytest.approx(720, rel=0.15)
    assert all(0.01 <= float(item.quantity) <= 2.0 for item in one)
    shares = []
    for seed in range(60):
        items = requests_of(seed, sizes, Demand(), 30.0)
        shares.append(sum(item.side == "buy" for item in items) / len(items))
    assert np.std(shares) > 1.4 * math.sqrt(0.25 / 36)  # more than tossing a coin for each


def test_parents_are_balanced_and_of_their_seed() -> None:
    sizes = {"BTC/USDT": (0.02, 6.0)}
    parents = script_parents(3, sizes, duration_s=400.0, every_s=0.5)
    assert parents == script_parents(3, sizes, duration_s=400.0, every_s=0.5)
    net = sum(float(one.quantity) * (1 if one.side == "buy" else -1) for one in parents)
    assert abs(net) < 0.1 * sum(float(one.quantity) for one in parents)
    assert max(one.at_ns for one in parents) < 395e9
