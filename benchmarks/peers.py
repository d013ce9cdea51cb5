"""What somebody would use instead of Kerb's kernels: a heap in Python, a sort in numpy, HiGHS, dictionaries and sorted
lists.

The heap and `sort_split` solve the convex part only (no lots, minimums, quotes): they do less work than the splitter they
stand beside. `SortSplit` does the whole job but for quotes and the proof.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from copy import copy
from heapq import heapify, heapreplace
from typing import Any

import numpy as np

from router.exact.arena import Array
from router.exact.chain import classify
from router.exact.pack import Packed
from router.exact.problem import Problem
from router.exact.relax import build
from router.exact.request import SplitRequest


def convex(problem: Problem) -> Array:
    """The search's arena of a problem with lots and minimums of one atom, its items ready for `router.exact.relax.select`."""
    loose = copy(problem)
    loose.blocks = [copy(block) for block in problem.blocks]
    for block in loose.blocks:
        block.low, block.lot, block.high = 1, 1, min(block.ends[-1], problem.quantity)
    a = Packed(loose, 4).arena
    assert isinstance(a, np.ndarray)
    build(a, 0)
    classify(a, 0)
    return a


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


class SortSplit:
    """A buy over venue books as numpy does it: fees, balances, one argsort, lots, minimums, and the rest where it is cheapest.

    Arrays of each venue's ticks and sizes are made before the clock starts, as a numpy book would hold them.
    """

    def __init__(self, request: SplitRequest, price_decimals: int = 2, size_decimals: int = 5) -> None:
        def whole(value: Any, decimals: int) -> int:
            return int(value.scaleb(decimals))

        books = request.books
        self.total = whole(request.quantity, size_decimals)
        self.ticks = [np.array([whole(p, price_decimals) for p, _ in book.levels], dtype=np.int64) for book in books]
        self.sizes = [np.array([whole(q, size_decimals) for _, q in book.levels], dtype=np.int64) for book in books]
        self.factors = [10**8 + whole(book.taker_fee_bps, 4) for book in books]
        self.lots = np.array([whole(book.lot, size_decimals) for book in books], dtype=np.int64)
        scale = price_decimals + size_decimals
        self.least = np.array(
            [
                max(whole(b.min_quantity, size_decimals), -(-whole(b.min_notional, scale) // int(t[0])))
                for b, t in zip(books, self.ticks, strict=True)
            ],
            dtype=np.int64,
        )
        self.money = [
            None if book.balance is None else whole(book.balance, scale + 8) // factor
            for book, factor in zip(books, self.factors, strict=True)
        ]
        self.venue = np.repeat(np.arange(len(books)), [len(ticks) for ticks in self.ticks])
        self.unit = 10 ** (scale + 8)

    def run(self) -> Any:
        """Lots of each venue."""
        sizes = []
        for ticks, amounts, money in zip(self.ticks, self.sizes, self.money, strict=True):
            if money is not None:
                spent = np.cumsum(ticks * amounts)
                k = int(np.searchsorted(spent, money, side="right"))
                if k < len(amounts):
                    left = money - (int(spent[k - 1]) if k else 0)
                    amounts = amounts.copy()
                    amounts[k] = left // int(ticks[k])
                    amounts[k + 1 :] = 0
            sizes.append(amounts)
        slopes = np.concatenate([ticks * factor for ticks, factor in zip(self.ticks, self.factors, strict=True)])
        amounts = np.concatenate(sizes)
        first = np.argsort(slopes)
        reach = np.cumsum(amounts[first])
        k = int(np.searchsorted(reach, self.total))
        used = first[: k + 1]
        taken = amounts[used]
        taken[-1] -= int(reach[min(k, len(reach) - 1)]) - self.total
        lots = np.bincount(self.venue[used], weights=taken, minlength=len(self.lots)).astype(np.int64)
        lots[lots < self.least] = 0
        lots -= lots % self.lots
        rest = self.total - int(lots.sum())
        if rest:
            ends = np.cumsum([len(ticks) for ticks in self.ticks])
            spare = [int(a.sum()) for a in sizes] - lots
            fits = (rest % self.lots == 0) & (lots + rest >= self.least) & (spare >= rest)
            nexts = np.bincount(self.venue[used], minlength=len(self.lots)) + np.r_[0, ends[:-1]]
            price = np.where(fits, slopes[np.minimum(nexts, ends - 1)], np.iinfo(np.int64).max)
            lots[int(np.argmin(price))] += rest
        return lots

    def cost(self) -> float:
        """What `run`'s plan costs, all-in; infinite when it breaks a rule (it does not look again at what it has placed)."""
        plan, total = self.run(), 0
        if int(plan.sum()) != self.total or (plan % self.lots).any() or ((plan > 0) & (plan < self.least)).any():
            return float("inf")
        for lots, ticks, sizes, factor in zip(plan.tolist(), self.ticks, self.sizes, self.factors, strict=True):
            for price, size in zip(ticks.tolist(), sizes.tolist(), strict=True):
                total += min(lots, size) * price * factor
                lots -= min(lots, size)
            if lots:
                return float("inf")
        return total / self.unit


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
