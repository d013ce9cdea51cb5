"""Plans that need no search: each venue or quote alone, and the plain greedy. No answer is ever worse than the best of them.

The greedy is what a router without this search does: levels in the order of their all-in price, quotes whole where they fit,
one an LP, children as they come, then cut to lots; who ends below its minimum gets nothing.
"""

from __future__ import annotations

from router.exact.problem import Problem

Taken = list[int]  # atoms of each block


def greedy(problem: Problem) -> Taken:
    """The plain greedy's plan; it breaks no rule."""
    blocks = problem.blocks
    taken, left = [0] * len(blocks), problem.quantity
    groups: dict[str, int] = {}
    children: set[int] = set()
    for _, v, i in sorted((slope, v, i) for v, block in enumerate(blocks) for i, slope in enumerate(block.slopes)):
        block = blocks[v]
        if v not in children and (len(children) == problem.max_children or groups.get(block.group, v) != v):
            continue
        more = min(block.ends[i] - taken[v], block.high - taken[v], left)
        if more <= 0 or (block.quote_id and block.low == block.high > more):
            continue
        children.add(v)
        if block.group:
            groups[block.group] = v
        taken[v] += more
        left -= more
    for v, block in enumerate(blocks):
        taken[v] -= (taken[v] - block.low) % block.lot
        if taken[v] < block.low:
            taken[v] = 0
    return taken


def value(problem: Problem, taken: Taken) -> tuple[int, int]:
    """(−filled, choice cost with fixed costs) of a plan: the lesser is the better."""
    used = [(block, atoms) for block, atoms in zip(problem.blocks, taken, strict=True) if atoms]
    return -sum(atoms for _, atoms in used), sum(block.cost(atoms) + block.fixed for block, atoms in used)


def best(problem: Problem) -> Taken:
    """The best plan that needs no search."""
    blocks = problem.blocks
    alone = [[block.high if block is each else 0 for each in blocks] for block in blocks]
    return min([*alone, greedy(problem)], key=lambda plan: value(problem, plan))


def cheapest(problem: Problem, atoms: int) -> int:
    """What `atoms` would cost without lots, minimums, tickets and rules of choice: no plan of that size is cheaper."""
    cost = 0
    for slope, size in sorted(
        (slope, min(end, block.high) - start)
        for block in problem.blocks
        for slope, start, end in zip(block.slopes, [0, *block.ends], block.ends, strict=False)
    ):
        more = min(size, atoms)
        cost += slope * more
        atoms -= more
    return cost
