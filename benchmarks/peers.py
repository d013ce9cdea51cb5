"""What somebody would use instead of Kerb's kernels: a heap in Python, a sort in numpy, HiGHS, dictionaries and sorted
lists.

The heap and the sort solve the convex part only (no lots, minimums, quotes): they do less work than the splitter they
stand beside.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from heapq import heapify, heapreplace
from typing import Any

import numpy as np

from router.problem import Problem


def heap_split(problem: Problem) -> int:
    """Cheapest levels first, one venue head each in a binary heap; returns the cost."""
    blocks = problem.blocks
    heads = [(block.slopes[0], i, 0) for i, block in enumerate(blocks)]
    heapify(heads)
    left, cost = problem.quantity, 0
    while left > 0 and heads:
        slope, i, level = heads[0]
        block = blocks[i]
        size = block.ends[level] - (block.ends[level - 1] if level else 0)
        take = min(size, left)
        cost += slope * take
        left -= take
        if level + 1 < len(block.slopes):
            heapreplace(heads, (block.slopes[level + 1], i, level + 1))
        else:
            heads[0] = heads[-1]
            heads.pop()
            heapify(heads)
    return cost


def columns(problem: Problem) -> tuple[Any, Any]:
    """Slopes and sizes of all levels in two arrays, for `sort_split`."""
    slopes = np.array([slope for block in problem.blocks for slope in block.slopes], dtype=np.int64)
    sizes = np.concatenate([np.diff(np.array([0, *block.ends], dtype=np.int64)) for block in problem.blocks])
    return slopes, sizes


def sort_split(slopes: Any, sizes: Any, quantity: int) -> float:
    """All levels by argsort, taken until the quantity is reached; returns the cost."""
    order = np.argsort(slopes)
    reach = np.cumsum(sizes[order])
    taken = np.minimum(sizes[order], np.maximum(0, quantity - reach + sizes[order]))
    return float(np.dot(taken.astype(np.float64), slopes[order].astype(np.float64)))


def milp_split(problem: Problem, seconds: float = 5.0) -> float | None:
    """The whole problem in HiGHS (lots, minimums, balances, one quote per LP), at full quantity; the cost, or None."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    cost: list[float] = []
    upper: list[float] = []
    whole: list[int] = []
    entries: list[tuple[int, int, float]] = []
    low: list[float] = []
    high: list[float] = []
    groups: dict[str, int] = {}
    unit = float(problem.one)

    def row(least: float, most: float) -> int:
        low.append(least)
        high.append(most)
        return len(low) - 1

    fill = row(problem.quantity, problem.quantity)
    for block in problem.blocks:
        used = len(cost)
        cost.append(block.fixed / unit)
        upper.append(1.0)
        whole.append(1)
        if block.group:
            group = groups.setdefault(block.group, -1)
            if group < 0:
                group = groups[block.group] = row(-np.inf, 1.0)
            entries.append((group, used, 1.0))
        lots = len(cost)
        cost.append(0.0)
        upper.append(float((block.high - block.low) // block.lot))
        whole.append(1)
        balance, cap = row(0.0, 0.0), row(-np.inf, 0.0)
        entries += [(balance, used, -float(block.low)), (balance, lots, -float(block.lot))]
        entries += [(cap, lots, 1.0), (cap, used, -upper[-1])]
        before = 0
        for slope, end in zip(block.slopes, block.ends, strict=True):
            entries += [(balance, len(cost), 1.0), (fill, len(cost), 1.0)]
            cost.append(slope / unit)
            upper.append(float(end - before))
            whole.append(0)
            before = end
    at = np.array([(i, j) for i, j, _ in entries]).T
    matrix = csr_array((np.array([value for _, _, value in entries]), at), shape=(len(low), len(cost)))
    result = milp(
        np.array(cost),
        integrality=whole,
        bounds=Bounds(np.zeros(len(cost)), np.array(upper)),
        constraints=LinearConstraint(matrix, np.array(low), np.array(high)),
        options={"time_limit": seconds, "mip_rel_gap": 0.0},
    )
    return None if result.x is None else float(result.fun)


class SortedBook:
    """A book as most Python programs keep it: a dictionary of sizes and a sorted list of prices."""

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}
        self.prices: list[int] = []

    def set(self, price: int, size: int) -> None:
        if size == 0:
            if self.sizes.pop(price, None) is not None:
                del self.prices[bisect_left(self.prices, price)]
            return
        if price not in self.sizes:
            insort(self.prices, price)
        self.sizes[price] = size
