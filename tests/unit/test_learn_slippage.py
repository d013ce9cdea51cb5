"""Training slippage quantiles: the exported trees are the library's, coverage is honest, the same rows give the same file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from router.slippage.features import FEATURES, GROWING, SWEEP, WAIT
from router.slippage.trees import ModelFile, Quantiles, load, save
from sim.learn.examples import Examples
from sim.learn.report import lines
from sim.learn.slippage import TrainingFault, _exported, train, walk_forward

xgboost = pytest.importorskip("xgboost", reason="training is the extra ml")
DAY_NS = 86_400 * 10**9


def market(n: int, seed: int = 1) -> Examples:
    """Orders whose cost is known in law: sweep + σ√w · (0.3 + 0.5 · touch share + (1 + pressure) · |N|)."""
    r = np.random.default_rng(seed)
    x = np.zeros((n, len(FEATURES)))
    x[:, 0] = r.gamma(2.0, 0.5, n)
    x[:, 1] = r.uniform(0, 0.3, n)
    x[:, 2] = r.gamma(1.0, 1.0, n)
    x[:, 3] = r.uniform(0, 0.01, n)
    x[:, 4] = r.gamma(2.0, 0.1, n)
    x[:, 5] = r.uniform(0.1, 1.0, n)
    x[:, 6] = r.uniform(0.5, 2.0, n)
    x[:, 7:9] = r.uniform(-1, 1, (n, 2))
    x[:, 9] = r.normal(0, 1, n)
    x[:, 10] = r.uniform(0.1, 1, n)
    x[:, 11] = r.exponential(0.05, n)
    noise = np.abs(r.normal(0, 1, n))
    y = x[:, SWEEP] + x[:, WAIT] * (0.3 + 0.5 * np.minimum(x[:, 2], 3) + (1 + x[:, 7]) * noise)
    return Examples(x=x, y=y, at_ns=np.arange(n, dtype=np.int64) * 10**9, source="made up", left_out={})


@pytest.fixture(scope="module")
def trained() -> ModelFile:
    return train(market(4_000), seed=3, expires_ns=30 * DAY_NS, created_ns=1, say=lambda sentence: None)


def test_held_out_orders_lie_below_as_often_as_promised(trained: ModelFile) -> None:
    found = trained.metrics
    p50, p90 = found["model"]["coverage"]
    assert found["held_out"] == 2_400 and len(found["folds"]) == 5
    assert p50 == pytest.approx(0.50, abs=0.03) and p90 == pytest.approx(0.90, abs=0.03)
    for quantile in range(2):
        assert found["model"]["pinball_bps"][quantile] < 0.8 * found["theory"]["pinball_bps"][quantile]
        assert found["theory"]["pinball_bps"][quantile] < found["book_walk"]["pinball_bps"][quantile]
    told = [one["predicted_bps"] for one in found["deciles"]]
    realised = [one["realised_bps"] for one in found["deciles"]]
    assert told == sorted(told) and np.abs(np.array(told) / np.array(realised) - 1).max() < 0.15
    assert "4,000 orders" in "\n".join(lines({**found, "trained_on": trained.trained_on}))


def test_the_walk_forward_never_sees_the_future() -> None:
    rows = market(1_500)
    y = rows.y.copy()
    y[-180:] += 40.0  # the last fold is another world: a model that had seen it would cover it
    judged = walk_forward(Examples(x=rows.x, y=y, at_ns=rows.at_ns, source="", left_out={}), seed=1)
    assert judged["folds"][-1]["coverage"][1] < 0.3 < judged["folds"][0]["coverage"][1]


def test_exported_trees_answer_as_the_library_does_missing_values_too() -> None:
    rows = market(2_000)
    x = rows.x.copy()
    r = np.random.default_rng(5)
    x[r.random(x.shape) < 0.1] = np.nan
    constraints = "(" + ",".join("1" if i < GROWING else "0" for i in range(len(FEATURES))) + ")"
    options = {"objective": "reg:quantileerror", "quantile_alpha": 0.9, "max_depth": 5, "base_score": 1.0}
    booster = xgboost.train(
        {**options, "monotone_constraints": constraints}, xgboost.DMatrix(x, rows.y), num_boost_round=60
    )
    trees = _exported(booster)
    assert any(all(tree.missing_left) for tree in trees) or any(True in tree.missing_left for tree in trees)
    model = Quantiles.sealed(
        ModelFile(
            base=(1.0, 1.0),
            trees=(trees, trees),
            ranges=[(-1e9, 1e9)] * len(FEATURES),
            trained_on={},
            metrics={},
            created_ns=0,
            expires_ns=1,
        )
    )
    told, out = booster.predict(xgboost.DMatrix(x)), np.zeros(2)
    largest = 0.0
    for row, expected in zip(x, told, strict=True):
        bracket = row.copy()
        model.predict(bracket, out)
        if np.isnan(row[[SWEEP, WAIT]]).any():
            assert np.isnan(out[0])  # no walk of the book, no answer: and the row counts as outside
            continue
        largest = max(largest, abs((out[0] - row[SWEEP]) / row[WAIT] - float(expected)))
    assert largest < 1e-5


def test_the_same_rows_and_seed_are_the_same_file(trained: ModelFile, tmp_path: Path) -> None:
    again = train(market(4_000), seed=3, expires_ns=30 * DAY_NS, created_ns=1, say=lambda sentence: None)
    assert save(again, tmp_path / "a.json").file.sha256 == save(trained, tmp_path / "b.json").file.sha256
    assert load(tmp_path / "a.json").file == load(tmp_path / "b.json").file
    other = train(market(4_000), seed=4, expires_ns=30 * DAY_NS, created_ns=1, say=lambda sentence: None)
    assert save(other, tmp_path / "c.json").file.sha256 != trained.digest()


def test_a_trained_model_never_makes_a_bigger_order_cheaper(trained: ModelFile) -> None:
    model, out = Quantiles.sealed(trained), np.zeros(2)
    r = np.random.default_rng(9)
    for row in market(60, seed=8).x:
        steps = np.cumsum(r.uniform(0, 0.2, (25, GROWING)), axis=0)
        before = [-np.inf, -np.inf]
        for step in steps:
            bigger = row.copy()
            bigger[:GROWING] += step
            model.predict(bigger, out)
            assert out[0] >= before[0] and out[1] >= before[1] and out[1] >= out[0]
            before = out.tolist()


def test_too_few_orders_are_refused() -> None:
    with pytest.raises(TrainingFault, match="499 orders are too few"):
        train(market(499), seed=1, expires_ns=1, created_ns=0, say=lambda sentence: None)


def test_the_file_is_plain_json(trained: ModelFile, tmp_path: Path) -> None:
    save(trained, tmp_path / "model.json")
    told = json.loads((tmp_path / "model.json").read_bytes())
    assert told["trained_on"]["orders"] == 4_000 and told["trained_on"]["sha256"] == market(4_000).sha256
    assert told["expires_ns"] == 30 * DAY_NS and len(told["sha256"]) == 64
