"""Training: monotone quantile trees on the desk's own orders, judged on orders later than any they were trained on.

The library (extra `ml`) runs here, in a process of its own; the desk reads only the exported file. What is learnt is how many times σ·√w an
order costs beyond its walk of the book, at P50 and P90 (`router.slippage.trees`); both quantiles are then shifted by what the newest
`CALIBRATED` of the training rows, kept out of the fit, say they lack (split-conformal quantile regression, Romano et al., NeurIPS 2019:
a constant, so nothing stops growing with size).

**Walk-forward**: the rows in order of time are cut into `FOLDS` + what comes first; each fold is predicted by a model of everything before
it. Pinball loss and coverage are of these predictions only, beside the bare walk of the book and the theory. The model that is kept is
trained on all rows in the same way.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from desk.errors import KerbError
from router.slippage import features as kernel
from router.slippage.features import FEATURES, GROWING, SWEEP, WAIT, Floats
from router.slippage.trees import QUANTILES, ModelFile, Quantiles, Tree
from sim.learn.examples import Examples

FOLDS = 5
FIRST = 0.4  # of the rows, before the first fold
CALIBRATED = 0.15
LEAST_ROWS = 500
ROUNDS, DEPTH, RATE, LEAST_WEIGHT, SUBSAMPLE = 200, 4, 0.05, 60, 0.8
MARGIN = 0.1  # of each feature's span: how far beyond the training rows is still the same market
TOLERANCE = 1e-5  # between the library and the exported trees, in units of σ·√w


class TrainingFault(KerbError):
    """There is nothing to train on, or what came out may not be used."""


def train(examples: Examples, *, seed: int, expires_ns: int, created_ns: int, say: Callable[[str], None]) -> ModelFile:
    """The model of all rows with its walk-forward report. Raises `TrainingFault`."""
    n = len(examples.y)
    if n < LEAST_ROWS:
        raise TrainingFault(f"{n} orders are too few to learn from: at least {LEAST_ROWS} are needed")
    say(f"judging on {FOLDS} folds of {n:,} orders")
    report = walk_forward(examples, seed)
    say("training on all of them")
    base, trees, difference = _fit(examples.x, examples.y, seed)
    if difference > TOLERANCE:
        raise TrainingFault(f"the exported trees differ from the library's by {difference:.1e}")
    low, high = examples.x.min(axis=0), examples.x.max(axis=0)
    margin = MARGIN * (high - low)
    margin[:GROWING] = 0.0
    return ModelFile(
        base=base,
        trees=trees,
        ranges=[(float(a), float(b)) for a, b in zip(low - margin, high + margin, strict=True)],
        trained_on={
            "source": examples.source,
            "orders": n,
            "left_out": examples.left_out,
            "from_ns": int(examples.at_ns[0]),
            "to_ns": int(examples.at_ns[-1]),
            "sha256": examples.sha256,
            "seed": seed,
        },
        metrics={**report, "largest_export_difference": difference},
        created_ns=created_ns,
        expires_ns=expires_ns,
    )


def walk_forward(examples: Examples, seed: int) -> dict[str, Any]:
    """Coverage and pinball loss (bps) of predictions of rows later than their model's, by fold and together."""
    x, y, n = examples.x, examples.y, len(examples.y)
    cuts = [int(n * share) for share in np.linspace(FIRST, 1.0, FOLDS + 1)]
    predicted, folds = np.full((n, 2), np.nan), []
    for start, end in pairwise(cuts):
        base, trees, _ = _fit(x[:start], y[:start], seed)
        predicted[start:end] = _predict(base, trees, x[start:end])
        part = predicted[start:end]
        folds.append(
            {
                "from_ns": int(examples.at_ns[start]),
                "orders": end - start,
                "coverage": [_share(y[start:end] <= part[:, q]) for q in range(2)],
                "pinball_bps": [_pinball(y[start:end], part[:, q], QUANTILES[q]) for q in range(2)],
            }
        )
    held = slice(cuts[0], n)
    actual, walk = y[held], x[held, SWEEP]
    theory = np.array([walk + kernel.P50_WAIT * x[held, WAIT], walk + kernel.P90_WAIT * x[held, WAIT]]).T
    return {
        "held_out": n - cuts[0],
        "folds": folds,
        "model": _judged(actual, predicted[held]),
        "theory": _judged(actual, theory),
        "book_walk": _judged(actual, np.array([walk, walk]).T),
        "deciles": _deciles(actual, predicted[held, 0]),
    }


def _judged(actual: Floats, predicted: Floats) -> dict[str, Any]:
    return {
        "coverage": [_share(actual <= predicted[:, q]) for q in range(2)],
        "pinball_bps": [_pinball(actual, predicted[:, q], QUANTILES[q]) for q in range(2)],
    }


def _deciles(actual: Floats, predicted: Floats) -> list[dict[str, float]]:
    """Mean predicted and realised cost in each tenth of the predictions."""
    order = np.argsort(predicted, kind="stable")
    return [
        {
            "predicted_bps": round(float(predicted[part].mean()), 4),
            "realised_bps": round(float(np.median(actual[part])), 4),
        }
        for part in np.array_split(order, 10)
        if len(part)
    ]


def _pinball(actual: Floats, predicted: Floats, quantile: float) -> float:
    error = actual - predicted
    return round(float(np.maximum(quantile * error, (quantile - 1.0) * error).mean()), 5)


def _share(true: np.ndarray) -> float:
    return round(float(true.mean()), 4)


def _fit(x: Floats, y: Floats, seed: int) -> tuple[tuple[float, float], tuple[list[Tree], list[Tree]], float]:
    """Bases and trees of both quantiles, and how far the exported trees are from the library's own answers."""
    xgboost = _library()
    z = (y - x[:, SWEEP]) / x[:, WAIT]
    cut = int(len(z) * (1.0 - CALIBRATED))
    newest = xgboost.DMatrix(x[cut:])
    bases, trees, largest = [], [], 0.0
    for quantile in QUANTILES:
        start = float(np.float32(np.quantile(z[:cut], quantile)))
        booster = xgboost.train(
            {
                "objective": "reg:quantileerror",
                "quantile_alpha": quantile,
                "monotone_constraints": "(" + ",".join("1" if i < GROWING else "0" for i in range(len(FEATURES))) + ")",
                "max_depth": DEPTH,
                "eta": RATE,
                "min_child_weight": LEAST_WEIGHT,
                "subsample": SUBSAMPLE,
                "tree_method": "hist",
                "base_score": start,
                "seed": seed,
                "nthread": 1,  # one order of summation: the same rows give the same file
            },
            xgboost.DMatrix(x[:cut], z[:cut]),
            num_boost_round=ROUNDS,
        )
        exported = _exported(booster)
        told = booster.predict(newest)
        largest = max(largest, float(np.abs(told - _bracket(start, exported, x[cut:])).max()))
        lacking = float(np.quantile(z[cut:] - told, quantile))
        bases.append(float(np.float32(start + lacking)))
        trees.append(exported)
    return (bases[0], bases[1]), (trees[0], trees[1]), largest


def _exported(booster: Any) -> list[Tree]:
    """The library's trees as ours."""
    model = json.loads(booster.save_raw("json"))
    found = []
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        leaf = [child == -1 for child in tree["left_children"]]
        found.append(
            Tree(
                feature=[-1 if end else index for end, index in zip(leaf, tree["split_indices"], strict=True)],
                left=[0 if end else child for end, child in zip(leaf, tree["left_children"], strict=True)],
                right=[0 if end else child for end, child in zip(leaf, tree["right_children"], strict=True)],
                missing_left=[bool(way) for way in tree["default_left"]],
                value=[float(np.float32(value)) for value in tree["split_conditions"]],
            )
        )
    return found


def _bracket(base: float, trees: list[Tree], x: Floats) -> Floats:
    """base + Σ leaves of each row by the live kernel."""
    return (_predict((base, base), (trees, trees), x)[:, 0] - x[:, SWEEP]) / x[:, WAIT]


def _predict(base: tuple[float, float], trees: tuple[list[Tree], list[Tree]], x: Floats) -> Floats:
    """P50 and P90 of rows by the live kernel, ranges open."""
    bare = ModelFile(
        base=base,
        trees=trees,
        ranges=[(-1e300, 1e300)] * len(FEATURES),
        trained_on={},
        metrics={},
        created_ns=0,
        expires_ns=0,
    )
    model = Quantiles.sealed(bare)
    out = np.zeros((len(x), 2))
    for row, answer in zip(np.ascontiguousarray(x), out, strict=True):
        model.predict(row, answer)
    return out


def _library() -> Any:
    try:
        import xgboost
    except ImportError as fault:
        raise TrainingFault("training needs the extra ml: uv sync --extra ml") from fault
    return xgboost


def now_ns() -> int:
    """The wall clock: a model's birth and expiry are of the world, not of a tape."""
    return time.time_ns()
