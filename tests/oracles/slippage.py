"""The slippage kernels in plain Python, from lists of levels and nested trees instead of arenas."""

from __future__ import annotations

from math import isnan, sqrt

import numpy as np

from router.slippage.features import DAY_SQRT, FEATURES, GROWING, NEAR, TURNOVER
from router.slippage.trees import ModelFile, Tree

Levels = list[tuple[int, int]]  # (ticks, lots), best first


def features(
    taken: Levels,
    other: Levels,
    buy: bool,
    lots: int,
    *,
    fair: float,
    sigma: float,
    age_s: float,
    latency_s: float,
    adv: float,
    impact: float,
) -> list[float] | None:
    """A row; `taken` is the side the order takes."""
    if not taken or not other:
        return None
    sign = 1.0 if buy else -1.0
    mid = 0.5 * (taken[0][0] + other[0][0])
    left, paid, worst = float(lots), 0.0, float(taken[0][0])
    for price, size in taken:
        if left > 0:
            take = min(float(size), left)
            worst = float(price)
            paid += take * price
            left -= take
    visible = float(sum(size for _, size in taken))
    volume = adv if adv > 0 else TURNOVER * visible
    if left > 0:
        paid += left * worst * (1.0 + sign * impact * sigma * DAY_SQRT * sqrt(left / volume))
    near = [float(size) for _, size in taken[:NEAR]]
    far = float(sum(size for _, size in other[:NEAR]))
    total = 0.0
    for size in near:
        total += size
    squares = 0.0
    for size in near:
        squares += (size / total) * (size / total)
    return [
        (paid / lots - mid) * (sign * 1e4 / mid),
        lots / visible,
        lots / taken[0][1],
        sqrt(lots / volume),
        (taken[0][0] - mid) * (sign * 1e4 / mid),
        sigma * sqrt(max(age_s, 0.0) + max(latency_s, 0.0)) * 1e4,
        sigma * 1e4,
        (other[0][1] - taken[0][1]) / (other[0][1] + taken[0][1]),
        (far - total) / (far + total),
        (fair - mid) * (sign * 1e4 / mid),
        squares,
        max(age_s, 0.0),
    ]


def predict(file: ModelFile, row: list[float]) -> tuple[float, float, bool, bool]:
    """P50, P90 in bps; whether a feature is outside its range; whether only the size is beyond it."""
    answers = []
    for quantile in range(2):
        total = np.float32(file.base[quantile])
        for tree in file.trees[quantile]:
            total = np.float32(total + np.float32(_leaf(tree, row)))
        answers.append(row[0] + row[FEATURES.index("wait_bps")] * float(total))
    beyond = [not low <= value <= high for value, (low, high) in zip(row, file.ranges, strict=True)]
    too_large = [beyond[i] and row[i] > file.ranges[i][1] for i in range(GROWING)]
    outside = any(beyond[GROWING:]) or any(b and not large for b, large in zip(beyond, too_large, strict=False))
    return answers[0], max(answers), outside, any(too_large) and not outside


def _leaf(tree: Tree, row: list[float]) -> float:
    node = 0
    while tree.feature[node] != -1:
        value = np.float32(row[tree.feature[node]])
        goes_left = tree.missing_left[node] if isnan(value) else bool(value < np.float32(tree.value[node]))
        node = tree.left[node] if goes_left else tree.right[node]
    return tree.value[node]
