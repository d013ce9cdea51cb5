"""How long does a slippage prediction take, features and trees, beside the library that trained such trees?"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

import numpy as np

from benchmarks.kernels import NOW, books
from benchmarks.row import Case, Row, rows, side_by_side
from router.slippage.features import FEATURES, GROWING
from router.slippage.predictor import Predictor
from router.slippage.trees import ModelFile, Quantiles, Tree

TREES, DEPTH = 200, 4  # what `kerb learn slippage` makes, for each quantile


def predict() -> list[Row]:
    """From a live book to P50 and P90; and the trees alone."""
    book, model = books(5, 50), _model()
    predictor = Predictor(model, latency_s=0.025, sigma=lambda symbol: 1e-4)
    fair = book.fair(NOW)
    r = Random(3)
    orders = [(r.choice(book.venues), r.choice(("buy", "sell")), Decimal(r.randint(1, 500)) / 100) for _ in range(400)]

    def whole(venue: str, side: str, quantity: Decimal) -> None:
        row = predictor.features(book, venue, side, quantity, NOW, fair)
        if row is not None:
            predictor.predict(row, NOW)

    mine, _ = side_by_side([partial(whole, *one) for one in orders], {}, 10)
    report = rows(
        "slippage.predict", f"P50 and P90 of one order at one venue of 5 × 50 levels, {2 * TREES} trees", mine, {}
    )
    found = []
    for one in orders:
        row = predictor.features(book, one[0], one[1], one[2], NOW, fair)
        if row is not None:
            found.append(row.copy())
    out = np.zeros(2)
    ours = [partial(model.predict, row, out) for row in found]
    peers: dict[str, Sequence[Case]] = {}
    if importlib.util.find_spec("xgboost"):
        peers["xgboost inplace_predict, one quantile"] = _library(found)
    mine, theirs = side_by_side(ours, peers, 4)
    question = f"both quantiles of one row, {2 * TREES} trees of depth {DEPTH}, from Python"
    return report + rows("slippage.trees", question, mine, theirs, "the peer answers half of it")


def _model() -> Quantiles:
    r = Random(5)

    def tree() -> Tree:
        """A full tree on features that may go either way, so that any leaf may be anywhere."""
        inner = 2**DEPTH - 1
        nodes = 2 * inner + 1
        leaf = [node >= inner for node in range(nodes)]
        return Tree(
            feature=[-1 if end else r.randrange(GROWING, len(FEATURES)) for end in leaf],
            left=[0 if end else 2 * node + 1 for node, end in enumerate(leaf)],
            right=[0 if end else 2 * node + 2 for node, end in enumerate(leaf)],
            missing_left=[bool(r.getrandbits(1)) for _ in leaf],
            value=[r.uniform(-1, 1) for _ in leaf],
        )

    return Quantiles.sealed(
        ModelFile(
            base=(0.2, 0.5),
            trees=([tree() for _ in range(TREES)], [tree() for _ in range(TREES)]),
            ranges=[(-1e9, 1e9)] * len(FEATURES),
            trained_on={},
            metrics={},
            created_ns=0,
            expires_ns=2 * NOW,
        )
    )


def _library(found: Sequence[np.ndarray]) -> list[Case]:
    import xgboost

    r = np.random.default_rng(1)
    x = r.normal(size=(2_000, len(FEATURES)))
    options: dict[str, Any] = {
        "objective": "reg:quantileerror",
        "quantile_alpha": 0.9,
        "max_depth": DEPTH,
        "nthread": 1,
    }
    booster = xgboost.train(options, xgboost.DMatrix(x, x[:, 5] + r.normal(size=2_000)), num_boost_round=TREES)
    return [partial(booster.inplace_predict, row.reshape(1, -1)) for row in found]
