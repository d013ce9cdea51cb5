"""What a study says of its figures: differences within a seed, honest verdicts, losses told like wins."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from desk.errors import ConfigFault
from sim.studies.clients import Demand, requests_of
from sim.studies.parents import script_parents
from sim.studies.pool import spread
from sim.studies.study import Arm, Better, Difference, Measure, Study, compare, jsonable, sd
from sim.studies.tables import lines
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
