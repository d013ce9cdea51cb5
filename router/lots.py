"""The cheapest way to take an exact quantity from blocks with lots: the relaxation inside the exact splitter.

Lots that divide each other form a chain g₀ | g₁ | … . Blocks of one lot are a class; the cost H_c of a class is convex
on its grid, and

    V_c(R) = min over X in the grid of class c of  V_{c−1}(R − X) + H_c(X)

is convex on every progression of step g_{c+1} (infimal convolution of convex functions), so each minimum is found by a
short walk from the continuous solution: lots need no branching. A block whose lot is not in the chain is relaxed to the
largest chain lot that divides it. Everything is a Python integer: exact, of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import gcd

import numpy as np

from router.problem import Block
from router.threshold import COLUMNS, MOST_SLOPE, Array, select


class Item:
    """A block inside a relaxation: `low`..`high` in steps of `lot`.

    A block that is not decided yet costs its convex envelope: from nothing a straight line to its `knee`, the size of
    least average cost with `charge` (what using it costs at all) included and not below its minimum, then its own
    slopes. The line is made of integers: `slope` an atom, one more for the last `rest` atoms before the knee, so that
    it meets the true cost there exactly and is nowhere above it.
    """

    __slots__ = ("block", "high", "knee", "lot", "low", "rest", "slope")

    def __init__(self, block: Block, low: int, high: int, lot: int, charge: int | None = None) -> None:
        self.block, self.low, self.high, self.lot = block, low, high, lot
        self.knee = self.slope = self.rest = 0
        if charge is not None and (charge or block.low > block.ends[0]):
            self.knee = max(block.low, min(high, block.cheapest_average(charge)))
            self.slope, self.rest = divmod(charge + block.cost(self.knee), self.knee)
            if self.slope >= MOST_SLOPE:  # the kernel's integers end here: leave the charge out, which is still a bound
                self.knee = self.slope = self.rest = 0

    def cost(self, atoms: int) -> int:
        """Relaxed cost, `charge` included."""
        if not self.knee:
            return self.block.cost(atoms)
        if atoms <= self.knee:
            return self.slope * atoms + max(0, atoms - self.knee + self.rest)
        return self.slope * self.knee + self.rest + self.block.cost(atoms) - self.block.cost(self.knee)

    def upto(self, slope: int) -> int:
        """Atoms whose slope is at most `slope`, between low and high."""
        x = self.block.upto(slope)
        if self.knee:
            if slope < self.slope:
                x = 0
            elif slope == self.slope and self.rest:
                x = self.knee - self.rest
            else:
                x = max(x, self.knee)
        return min(self.high, max(self.low, x))


def allocate(items: Sequence[Item], total: int) -> list[int]:
    """Cheapest quantities with Σ = total, lots ignored. Needs Σ low ≤ total ≤ Σ high.

    Takes everything below a price λ found by bisection, nothing above it, and fills up at λ: optimal for separable
    convex costs.
    """
    low = min(min(item.block.slopes[0], item.slope if item.knee else item.block.slopes[0]) for item in items) - 1
    high = max(max(item.block.slopes[-1], item.slope + 1 if item.knee else item.block.slopes[-1]) for item in items)
    while high - low > 1:
        middle = (low + high) >> 1
        if sum(item.upto(middle) for item in items) >= total:
            high = middle
        else:
            low = middle
    taken = [item.upto(low) for item in items]
    left = total - sum(taken)
    for i, item in enumerate(items):
        if left <= 0:
            break
        more = min(left, item.upto(high) - taken[i])
        taken[i] += more
        left -= more
    return taken


class Part:
    """Items that are allocated together: by the kernel when there is an arena, else in Python integers."""

    __slots__ = ("_out", "_rows", "arena", "items")

    def __init__(self, items: Sequence[Item], arena: Array | None) -> None:
        self.items = items
        self.arena = arena
        if arena is not None:
            rows = [(i.block.index, i.low, i.high, i.knee, i.slope, i.rest) for i in items]
            self._rows = np.array(rows, dtype=np.int64).reshape(-1, COLUMNS)
            self._out = np.empty(len(items), dtype=np.int64)

    def allocate(self, total: int) -> list[int]:
        """Cheapest quantities with Σ = total, lots ignored."""
        if self.arena is None:
            return allocate(self.items, total)
        select(self.arena, self._rows, total, self._out)
        return self._out.tolist()


class LotPlan:
    """All items with a chain of lots. Finds the attainable totals and the cheapest quantities for one of them."""

    def __init__(self, items: Sequence[Item], arena: Array | None) -> None:
        self.items = items
        self.arena = arena
        base = reduce(gcd, (item.lot for item in items if item.high > item.low), 0) or 1
        self.chain = _longest_chain(base, items)
        self.classes: list[list[int]] = [[] for _ in self.chain]
        for i, item in enumerate(items):
            at = 0
            for c, lot in enumerate(self.chain):
                if item.high > item.low and item.lot % lot == 0:
                    at = c
            item.lot = self.chain[at]
            item.high = item.low + (item.high - item.low) // item.lot * item.lot
            self.classes[at].append(i)
        self.parts = [Part([items[i] for i in members], arena) for members in self.classes]
        self.lows = [sum(items[i].low for i in members) for members in self.classes]
        self.highs = [sum(items[i].high for i in members) for members in self.classes]
        self._spread: list[dict[int, tuple[int, list[int]]]] = [{} for _ in self.chain]
        self._value: list[dict[int, tuple[int, int] | None]] = [{} for _ in self.chain]
        self._guess: list[int] = [0] * len(self.chain)

    def most(self, quantity: int) -> int | None:
        """The largest attainable total not above `quantity`; None when even Σ low is.

        Coarse lots first is optimal: fine lots that add up to a coarse one can be exchanged for it, since each lot
        divides the next.
        """
        left = quantity - sum(self.lows)
        if left < 0:
            return None
        for c in reversed(range(len(self.chain))):
            left -= min(self.highs[c] - self.lows[c], left // self.chain[c] * self.chain[c])
        return quantity - left

    def solve(self, total: int) -> tuple[int, list[int]] | None:
        """(cost, quantity of each item) of the cheapest way to take exactly `total`; None when it cannot be
        attained."""
        if not self.items:
            return (0, []) if total == 0 else None
        rough = Part(self.items, self.arena).allocate(total)
        running = 0
        for c, members in enumerate(self.classes):
            self._guess[c] = running  # what the classes below c take in the continuous solution
            running += sum(rough[i] for i in members)
        top = len(self.chain) - 1
        best = self._cheapest(top, total)
        if best is None:
            return None
        taken = [0] * len(self.items)
        left = total
        for c in reversed(range(len(self.chain))):
            found = self._cheapest(c, left)
            assert found is not None
            below = found[1]
            for i, quantity in zip(self.classes[c], self._class_cost(c, left - below)[1], strict=True):
                taken[i] = quantity
            left = below
        return best[0], taken

    def _domain(self, c: int, residue: int, step: int) -> tuple[int, int] | None:
        """First and last total ≡ residue (mod step) that classes 0..c attain; step is a multiple of their lots."""
        if c == 0:
            first, last, lot = self.lows[0], self.highs[0], self.chain[0]
        else:
            below = self._domain(c - 1, residue - self.lows[c], self.chain[c])
            if below is None:
                return None
            first, last, lot = below[0] + self.lows[c], below[1] + self.highs[c], self.chain[c]
        shift = (residue - first) % step
        if shift % lot or first + shift > last:
            return None
        first += shift
        return first, first + (last - first) // step * step

    def _cheapest(self, c: int, total: int) -> tuple[int, int] | None:
        """V_c(total) and how much of it the classes below c take."""
        memo = self._value[c]
        if total in memo:
            return memo[total]
        found: tuple[int, int] | None = None
        if c == 0:
            if self.lows[0] <= total <= self.highs[0] and (total - self.lows[0]) % self.chain[0] == 0:
                found = self._class_cost(0, total)[0], 0
        else:
            lot = self.chain[c]
            span = self._domain(c - 1, total - self.lows[c], lot)
            if span is not None:
                first, last = max(span[0], total - self.highs[c]), min(span[1], total - self.lows[c])
                if first <= last:

                    def cost(k: int) -> int:
                        below = self._cheapest(c - 1, first + k * lot)
                        assert below is not None
                        return below[0] + self._class_cost(c, total - first - k * lot)[0]

                    k = _lowest(cost, (last - first) // lot, (self._guess[c] - first) // lot)
                    found = cost(k), first + k * lot
        memo[total] = found
        return found

    def _class_cost(self, c: int, total: int) -> tuple[int, list[int]]:
        """H_c(total): the cheapest quantities of one class in whole lots. No exchange of one lot improves it, so it is
        optimal (convexity)."""
        memo = self._spread[c]
        if total in memo:
            return memo[total]
        items = self.parts[c].items
        lot = self.chain[c]
        if len(items) <= 1:
            taken = [total] * len(items)
        else:
            taken = [
                item.low + (x - item.low) // lot * lot
                for item, x in zip(items, self.parts[c].allocate(total), strict=True)
            ]
            left = (total - sum(taken)) // lot
            while True:
                add = [
                    (item.cost(x + lot) - item.cost(x), i)
                    for i, (item, x) in enumerate(zip(items, taken, strict=True))
                    if x + lot <= item.high
                ]
                if left > 0:
                    taken[min(add)[1]] += lot
                    left -= 1
                    continue
                drop = [
                    (item.cost(x) - item.cost(x - lot), i)
                    for i, (item, x) in enumerate(zip(items, taken, strict=True))
                    if x - lot >= item.low
                ]
                if not add or not drop or min(add)[0] >= max(drop)[0]:
                    break
                taken[min(add)[1]] += lot
                taken[max(drop)[1]] -= lot
        found = sum(item.cost(x) for item, x in zip(items, taken, strict=True)), taken
        memo[total] = found
        return found


def _longest_chain(base: int, items: Sequence[Item]) -> list[int]:
    """`base` and the lots above it, each dividing the next, that leave the fewest items relaxed."""
    weight: dict[int, int] = {}
    for item in items:
        if item.high > item.low and item.block.low < item.block.high and item.lot > base:
            weight[item.lot] = weight.get(item.lot, 0) + 1
    best: dict[int, tuple[int, list[int]]] = {}
    for lot in sorted(weight):
        below = max(
            (best[other] for other in best if lot % other == 0), default=(0, [base]), key=lambda found: found[0]
        )
        best[lot] = (below[0] + weight[lot], [*below[1], lot])
    return max(best.values(), default=(0, [base]), key=lambda found: found[0])[1]


def _lowest(f: Callable[[int], int], last: int, start: int) -> int:
    """A minimiser of the convex `f` on 0..last, by galloping downhill from `start` and halving."""
    at = min(max(start, 0), last)
    if at < last and f(at + 1) < f(at):
        low, step = at + 1, 1
        while low + step <= last and f(low + step) < f(low + step - 1):
            low += step
            step *= 2
        high = min(low + step, last)
    elif at > 0 and f(at - 1) < f(at):
        high, step = at - 1, 1
        while high - step >= 0 and f(high - step) < f(high - step + 1):
            high -= step
            step *= 2
        low = max(high - step, 0)
    else:
        return at
    while low < high:
        middle = (low + high) >> 1
        if f(middle + 1) < f(middle):
            low = middle + 1
        else:
            high = middle
    return low
