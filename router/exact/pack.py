"""A split problem as an arena, solved: by the compiled kernel when every number fits, else by the same lines interpreted.

Slopes are taken relative to the least one and divided by the greatest common divisor of all money in the problem. Both are
exact, since every plan that fills as much carries the same multiple of the least slope, and leave most requests inside
int64.

What money is still too long is first solved in coarser units, every slope and fixed cost rounded down: no plan is cheaper than
that bound, which misses the truth by less than one unit an atom, and the plan's cost is worked out exactly. Only when this is
not near enough (a proof is asked for), or quantities are too long, are the kernel's lines interpreted.
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
from router.exact.floor import value
from router.exact.problem import Problem
from router.exact.search import solve_at

LONGEST = 1_000  # bits by which money may be too long
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

    def within(self, problem: Problem, gap_ppb: int) -> bool:
        """Whether the bound is within `gap_ppb` of the money that the plan costs."""
        return (self.cost - self.bound) * 10**9 <= self.money(problem) * gap_ppb

    def money(self, problem: Problem) -> int:
        """What the plan costs or brings, without what is only expected."""
        return abs(self.cost - problem.expected(self.taken))


class Packed:
    """The arena of a problem, and how its money reads: `unit` × words + `base` × atoms, at most when `coarse` > 1.

    The search ends after `node_limit` nodes or `PATIENT` steps of work, whichever is first: seconds at the most.
    """

    def __init__(self, problem: Problem, node_limit: int, coarse: int = 1) -> None:
        self.coarse = coarse
        self.problem, blocks = problem, problem.blocks
        self.blocks = len(blocks)
        self.base = min((block.slopes[0] for block in blocks), default=0)
        self.unit = gcd(*(block.fixed for block in blocks), *(s - self.base for block in blocks for s in block.slopes))
        self.unit = (self.unit or 1) * coarse
        self.least = min((abs(s) for block in blocks for s in (block.slopes[0], block.slopes[-1])), default=0)
        levels = [self._levels(block.slopes, block.ends, block.high) for block in blocks]
        segments = sum(len(slopes) for slopes, _, _ in levels)
        self.excess = excess(problem, levels, self.unit)
        self.wide = self.excess > 0
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
                solve_at(a.ctypes.data)
            found = self._solution()
            if found.reach > found.filled or found.within(self.problem, gap_ppb):
                break
        return found

    def _solution(self) -> Solution:
        a = self.arena
        filled = int(a[FILLED])
        taken = [int(a[HEADER + v * BLOCK + TAKEN]) for v in range(self.blocks)]
        cost, bound = (int(a[word]) * self.unit + self.base * filled for word in (COST, BOUND))
        if self.coarse > 1:
            _, cost = value(self.problem, taken)
        proven = bool(a[STATUS] == PROVEN) and cost == bound
        return Solution(taken, filled, int(a[REACH]), cost, bound, proven, int(a[DONE]))


def search(problem: Problem, node_limit: int, gap_ppb: int) -> Solution:
    """The best plan within `gap_ppb` of its cost that nodes and patience find."""
    packed = Packed(problem, node_limit)
    if not packed.wide or packed.excess > LONGEST:
        return packed.solve(gap_ppb)
    coarse = Packed(problem, node_limit, 1 << packed.excess)
    rough = coarse.solve(gap_ppb)
    lost = (rough.filled + coarse.blocks) * coarse.unit  # by rounding, at the most
    if lost * 10**9 <= rough.money(problem) * gap_ppb or (
        rough.reach == rough.filled and rough.within(problem, gap_ppb)
    ):
        return rough  # the same lines interpreted would not find more in as many nodes
    found = packed.solve(gap_ppb)
    if found.filled == rough.filled:
        if rough.cost < found.cost:
            found.taken, found.cost = rough.taken, rough.cost
        found.bound, found.reach = max(found.bound, rough.bound), min(found.reach, rough.reach)
        found.proven = found.bound == found.cost and found.reach == found.filled
        return found
    return found if found.filled > rough.filled else rough


def excess(problem: Problem, levels: list[tuple[list[int], list[int], list[int]]], unit: int) -> int:
    """By how many bits the money of the search is too long for int64, 0 when every sum and product fits; more than `LONGEST`
    when quantities do not."""
    blocks = problem.blocks
    if problem.quantity >= MOST_ATOMS or (len(blocks) + 1) * problem.quantity >= 1 << 61:
        return LONGEST + 1
    dearest = max((slopes[-1] for slopes, _, _ in levels), default=0)
    most = dearest * problem.quantity + sum(block.fixed // unit for block in blocks)
    return 0 if most < MOST_COST else min(LONGEST, (most // MOST_COST).bit_length())
