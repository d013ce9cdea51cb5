"""A split problem as an arena, solved: by the compiled kernel when every number fits, else by the same lines interpreted.

Slopes are taken relative to the least one and divided by the greatest common divisor of all money in the problem. Both are
exact, since every plan that fills as much carries the same multiple of the least slope, and leave most requests inside
int64.
"""

from __future__ import annotations

from math import gcd

from router.exact import wide
from router.exact.arena import (
    AT,
    BLOCK,
    BOUND,
    CHILDREN,
    COST,
    COUNT,
    DONE,
    FILLED,
    FIXED,
    GROUP,
    HEADER,
    HIGH,
    LOT,
    LOW,
    MOST_ATOMS,
    MOST_COST,
    PATIENCE,
    PROVEN,
    QUANTITY,
    REACH,
    STATUS,
    TAKEN,
    TOLERANCE,
    Array,
    new_arena,
    prepare,
    segments_at,
    words,
)
from router.exact.problem import Problem
from router.exact.search import solve

PATIENT, PATIENT_WIDE = 100_000_000, 1_000_000  # steps of work: 20 to 50 ns compiled, some µs interpreted


class Solution:
    """Quantities by block, their total and the most that any plan might fill, the plan's choice cost with fixed costs and a
    lower bound of that cost at this total, and whether it is proven the best."""

    __slots__ = ("bound", "cost", "filled", "nodes", "proven", "reach", "taken")

    def __init__(
        self, taken: list[int], filled: int, reach: int, cost: int, bound: int, proven: bool, nodes: int
    ) -> None:
        self.taken, self.filled, self.reach, self.cost, self.bound = taken, filled, reach, cost, bound
        self.proven, self.nodes = proven, nodes


class Packed:
    """The arena of a problem, and how its money reads: `unit` × words + `base` × atoms.

    The search ends after `node_limit` nodes or `PATIENT` steps of work, whichever is first: seconds at the most.
    """

    def __init__(self, problem: Problem, node_limit: int) -> None:
        self.problem, blocks = problem, problem.blocks
        self.blocks = len(blocks)
        self.base = min((block.slopes[0] for block in blocks), default=0)
        self.unit = gcd(*(block.fixed for block in blocks), *(s - self.base for block in blocks for s in block.slopes))
        self.unit = self.unit or 1
        self.least = min((abs(s) for block in blocks for s in (block.slopes[0], block.slopes[-1])), default=0)
        levels = [self._levels(block.slopes, block.ends, block.high) for block in blocks]
        segments = sum(len(slopes) for slopes, _, _ in levels)
        self.wide = not fits(problem, levels, self.unit)
        self.arena: Array | list[int]
        if self.wide:
            most = sum(costs[-1] + block.fixed for block, (_, _, costs) in zip(blocks, levels, strict=True))
            huge = 1 << (64 + 4 * (most + problem.quantity).bit_length())
            self.arena = [0] * words(self.blocks, segments, node_limit)
            prepare(self.arena, self.blocks, node_limit, huge)
        else:
            self.arena = new_arena(self.blocks, segments, node_limit)
        a, at = self.arena, segments_at(self.arena)
        groups: dict[str, int] = {}
        for v, (block, (slopes, ends, costs)) in enumerate(zip(blocks, levels, strict=True)):
            row = HEADER + v * BLOCK
            group = groups.setdefault(block.group, len(groups)) if block.group else -1
            a[row + LOW], a[row + HIGH], a[row + LOT] = block.low, block.high, block.lot
            a[row + FIXED], a[row + GROUP] = block.fixed // self.unit, group
            a[row + AT], a[row + COUNT] = at, len(slopes)
            for part in (slopes, ends, costs):
                a[at : at + len(part)] = part
                at += len(part)
        a[QUANTITY], a[CHILDREN] = problem.quantity, min(problem.max_children, self.blocks)
        a[PATIENCE] = PATIENT_WIDE if self.wide else PATIENT

    def _levels(self, slopes: list[int], ends: list[int], high: int) -> tuple[list[int], list[int], list[int]]:
        """Relative slopes, ends and costs up to `high`, equal slopes as one level."""
        kept: tuple[list[int], list[int], list[int]] = [], [], []
        start = cost = 0
        for slope, end in zip(slopes, ends, strict=True):
            end = min(end, high)
            relative = (slope - self.base) // self.unit
            cost += relative * (end - start)
            if kept[0] and kept[0][-1] == relative:
                kept[1][-1], kept[2][-1] = end, cost
            else:
                for part, value in zip(kept, (relative, end, cost), strict=True):
                    part.append(value)
            start = end
            if end == high:
                break
        return kept

    def solve(self, gap_ppb: int) -> Solution:
        """Search until the plan is within `gap_ppb` of the money it costs, or the nodes end."""
        a = self.arena
        # fixed costs of a sell lower its value: then the first tolerance was too wide
        for share in (gap_ppb, gap_ppb // 2, 0):
            tolerance = self.least * share // 10**9 // self.unit
            if isinstance(a, list):
                a[TOLERANCE] = tolerance
                wide.solve(a)
            else:
                a[TOLERANCE] = min(tolerance, MOST_COST // max(self.problem.quantity, 1))
                solve(a)
            found = self._solution()
            money = abs(found.cost - self.problem.expected(found.taken))
            if found.reach > found.filled or (found.cost - found.bound) * 10**9 <= money * gap_ppb:
                break
        return found

    def _solution(self) -> Solution:
        a = self.arena
        filled = int(a[FILLED])
        return Solution(
            [int(a[HEADER + v * BLOCK + TAKEN]) for v in range(self.blocks)],
            filled,
            int(a[REACH]),
            int(a[COST]) * self.unit + self.base * filled,
            int(a[BOUND]) * self.unit + self.base * filled,
            bool(a[STATUS] == PROVEN),
            int(a[DONE]),
        )


def fits(problem: Problem, levels: list[tuple[list[int], list[int], list[int]]], unit: int) -> bool:
    """Whether every sum and product of the search stays inside int64."""
    blocks = problem.blocks
    if problem.quantity >= MOST_ATOMS or (len(blocks) + 1) * problem.quantity >= 1 << 61:
        return False
    dearest = max((slopes[-1] for slopes, _, _ in levels), default=0)
    return dearest * problem.quantity + sum(block.fixed // unit for block in blocks) < MOST_COST
