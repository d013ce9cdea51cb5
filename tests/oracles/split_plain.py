"""The exact splitter in plain Python: a second, slower reading of the same problem, to hold the kernel against.

Best-first branch and bound over `router.exact.problem` blocks. It differs from `router.exact.search` where it matters most: lots are
combined by recursion over remembered values, and lots outside the chain are only branched on, so that rare odd requests
end at the node limit unproven.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from heapq import heappop, heappush
from math import gcd

from router.exact.problem import Block, Problem

FREE, OPEN, CLOSED = 0, 1, 2
CHILD_PRICE_STEPS = 12


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


class LotPlan:
    """All items with a chain of lots. Finds the attainable totals and the cheapest quantities for one of them."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
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
        self.parts = [[items[i] for i in members] for members in self.classes]
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
        rough = allocate(self.items, total)
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
        items = self.parts[c]
        lot = self.chain[c]
        if len(items) <= 1:
            taken = [total] * len(items)
        else:
            taken = [
                item.low + (x - item.low) // lot * lot for item, x in zip(items, allocate(items, total), strict=True)
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


class Solution:
    """Quantities by block, the total, its choice cost with fixed costs, and a lower bound of that cost at this
    total."""

    __slots__ = ("bound", "cost", "filled", "nodes", "proven", "taken")

    def __init__(self, taken: list[int], filled: int, cost: int) -> None:
        self.taken, self.filled, self.cost = taken, filled, cost
        self.bound = cost
        self.proven = True
        self.nodes = 0


class _Node:
    __slots__ = ("bound", "child_price", "highs", "lows", "states")

    def __init__(self, states: list[int], lows: list[int], highs: list[int], child_price: int = 0) -> None:
        self.states, self.lows, self.highs = states, lows, highs
        self.child_price = child_price  # money units, ≥ 0: the Lagrange multiplier of the child count
        self.bound = 0

    def copy(self) -> _Node:
        return _Node(self.states[:], self.lows[:], self.highs[:], self.child_price)


class Search:
    """One search. `tolerance(cost)`: how far above the bound a plan may stay (0 proves the optimum); `node_limit` ends
    it honestly."""

    def __init__(self, problem: Problem, gap_ppb: int, node_limit: int) -> None:
        self.blocks: list[Block] = problem.blocks
        self.quantity = problem.quantity
        self.children = problem.max_children
        self.gap_ppb = gap_ppb
        self.node_limit = node_limit
        self.best = Solution([0] * len(self.blocks), 0, 0)
        self.heap: list[tuple[int, int, int, _Node, list[int] | None]] = []
        self.pushed = 0
        self.tried: set[tuple[int, ...]] = set()

    def tolerance(self) -> int:
        """Money units by which the answer may miss the optimum."""
        return abs(self.best.cost) * self.gap_ppb // 10**9

    def run(self) -> Solution:
        """Search until the best plan is within the tolerance of the bound."""
        blocks = self.blocks
        self._push(_Node([FREE] * len(blocks), [0] * len(blocks), [block.high for block in blocks]))
        nodes = 0
        while self.heap:
            entry = self.heap[0]
            if self._settled(-entry[0], entry[1]) or nodes >= self.node_limit:
                break
            nodes += 1
            heappop(self.heap)
            if entry[4] is None:
                self._refine(entry[3])
            else:
                for child in self._branch(entry[3], entry[4]):
                    self._push(child)
        best = self.best
        best.nodes = nodes
        best.bound, best.proven = best.cost, True
        if self.heap:
            most, bound = -self.heap[0][0], self.heap[0][1]
            if most == best.filled:
                best.bound = min(best.cost, bound)
            best.proven = most < best.filled or (most == best.filled and best.bound == best.cost)
        return best

    def _settled(self, most: int, bound: int) -> bool:
        """Whether a node with this reach and bound, and so every node after it, cannot improve the best plan enough."""
        best = self.best
        return most < best.filled or (most == best.filled and bound >= best.cost - self.tolerance())

    # one node

    def _items(self, node: _Node) -> tuple[list[int], list[Item], int, int] | None:
        """Relaxed blocks of a node: (their numbers, items, fixed costs paid, most they may fill); None when it holds no
        plan. `child_price` is charged for every undecided block and given back for the room: a bound at any price ≥ 0.
        """
        child_price = node.child_price
        blocks, states = self.blocks, node.states
        opened = [v for v, state in enumerate(states) if state == OPEN]
        room = self.children - len(opened)
        left = self.quantity - sum(node.lows[v] for v in opened)
        if room < 0 or left < 0:
            return None
        for v, state in enumerate(states):
            if state == FREE and (room == 0 or blocks[v].low > left):
                states[v] = CLOSED
        active = [v for v, state in enumerate(states) if state != CLOSED]
        items = []
        for v in active:
            block = blocks[v]
            if states[v] == OPEN:
                items.append(Item(block, node.lows[v], node.highs[v], block.lot))
            else:
                high = min(node.highs[v], left)
                lot = gcd(block.low, block.lot) if block.low < block.high else block.low
                items.append(Item(block, 0, high, lot, block.fixed + child_price))
        paid = sum(blocks[v].fixed for v in opened) - child_price * room
        return active, items, paid, min(self.quantity, self._reach(node, opened, room))

    def _push(self, node: _Node) -> None:
        """Bound a node without lots and queue it, unless it cannot hold a better plan."""
        found = self._relaxed(node)
        if found is None:
            return
        most, bound, taken, crowd = found
        if not self._offer(taken) and (most > self.best.filled or bound < self.best.cost):
            self._place(node, taken)
        if crowd > 0.0 and self._open(most, bound):
            bound = self._price_children(node, bound, crowd)
        self._queue(most, bound, node, None)

    def _relaxed(self, node: _Node) -> tuple[int, int, list[int], float] | None:
        """(most filled, bound without lots, quantities, by how many children it exceeds the room) at the node's child
        price."""
        found = self._items(node)
        if found is None:
            return None
        active, items, paid, reach = found
        most = LotPlan(items).most(reach)
        if most is None or most < self.best.filled or not items:
            return None
        rough = allocate(items, most)
        bound = paid + sum(item.cost(x) for item, x in zip(items, rough, strict=True))
        taken = [0] * len(self.blocks)
        used = 0.0
        for v, item, x in zip(active, items, rough, strict=True):
            taken[v] = x
            if x:
                used += min(1.0, x / (item.knee or self.blocks[v].low)) if node.states[v] == FREE else 1.0
        return most, bound, taken, used - self.children

    def _price_children(self, node: _Node, bound: int, crowd: float) -> int:
        """Raise the bound by a price on children: doubled until the room suffices, then halved towards the best. Keeps
        the best price."""
        best_price = node.child_price
        low, high = best_price, 0
        price = max(2 * best_price, abs(bound) // 10**6 + 1)
        for _ in range(CHILD_PRICE_STEPS):
            if price > abs(bound):
                break
            node.child_price = price
            found = self._relaxed(node)
            if found is None:
                break
            if found[1] > bound:
                bound, best_price = found[1], price
            if found[3] > 0.0:
                low = price
            else:
                high = price
            price = (low + high) // 2 if high else 2 * low
        node.child_price = best_price
        return bound

    def _refine(self, node: _Node) -> None:
        """Bound a node with lots, look for plans near its relaxed solution, and queue it again."""
        found = self._items(node)
        if found is None:
            return
        active, items, paid, reach = found
        plan = LotPlan(items)
        most = plan.most(reach)
        solved = None if most is None else plan.solve(most)
        if most is None or solved is None:
            return
        bound = paid + solved[0]
        taken = [0] * len(self.blocks)
        for v, x in zip(active, solved[1], strict=True):
            taken[v] = x
        self._offer(taken)
        if most > self.best.filled or bound < self.best.cost:
            self._round(node, taken)
        self._queue(most, bound, node, taken)

    def _open(self, most: int, bound: int) -> bool:
        return most > self.best.filled or (most == self.best.filled and bound < self.best.cost)

    def _queue(self, most: int, bound: int, node: _Node, taken: list[int] | None) -> None:
        node.bound = bound
        if self._open(most, bound):
            self.pushed += 1
            heappush(self.heap, (-most, bound, self.pushed, node, taken))

    def _reach(self, node: _Node, opened: list[int], room: int) -> int:
        """No plan of this node fills more: what is open, and the `room` largest of what is free, one per LP."""
        largest: dict[str, int] = {}
        for v, state in enumerate(node.states):
            if state == FREE:
                group = self.blocks[v].group or f"#{v}"
                largest[group] = max(largest.get(group, 0), node.highs[v])
        return sum(node.highs[v] for v in opened) + sum(sorted(largest.values(), reverse=True)[:room])

    # plans

    def _fits(self, v: int, x: int) -> bool:
        block = self.blocks[v]
        return block.low <= x <= block.high and (x - block.low) % block.lot == 0

    def _offer(self, taken: list[int]) -> bool:
        """Take the plan if it breaks no rule and is better than the best so far; says whether it breaks none."""
        used = [v for v, x in enumerate(taken) if x]
        groups = [self.blocks[v].group for v in used if self.blocks[v].group]
        filled = sum(taken)
        if len(used) > self.children or len(groups) != len(set(groups)) or filled > self.quantity:
            return False
        if not all(self._fits(v, taken[v]) for v in used):
            return False
        cost = sum(self.blocks[v].cost(taken[v]) + self.blocks[v].fixed for v in used)
        if (-filled, cost) < (-self.best.filled, self.best.cost):
            self.best = Solution(taken[:], filled, cost)
        return True

    def _round(self, node: _Node, taken: list[int]) -> None:
        """Plans near a relaxed solution: its blocks opened, once with those below their minimum raised and once with
        them dropped."""
        blocks = self.blocks
        ranked = sorted((v for v, x in enumerate(taken) if x), key=lambda v: (node.states[v] != OPEN, -taken[v], v))
        for raise_small in (False, True):
            chosen: list[int] = []
            groups: set[str] = set()
            floor = 0
            for v in ranked:
                block = blocks[v]
                small = taken[v] < block.low
                if len(chosen) == self.children or (block.group and block.group in groups):
                    continue
                if (small and not raise_small and node.states[v] != OPEN) or floor + block.low > self.quantity:
                    continue
                chosen.append(v)
                groups.add(block.group)
                floor += block.low
            key = tuple(sorted(chosen))
            if key and key not in self.tried:
                self.tried.add(key)
                self._settle(list(key))

    def _settle(self, chosen: list[int]) -> None:
        """The cheapest plan that uses exactly these blocks, or one near it when lots do not divide each other."""
        items = [Item(self.blocks[v], self.blocks[v].low, self.blocks[v].high, self.blocks[v].lot) for v in chosen]
        plan = LotPlan(items)
        total = plan.most(self.quantity)
        solved = None if total is None else plan.solve(total)
        if solved is None:
            return
        taken = [0] * len(self.blocks)
        for v, x in zip(chosen, solved[1], strict=True):
            taken[v] = x
        if self._offer(taken):
            return
        self._floor(chosen, taken)

    def _place(self, node: _Node, taken: list[int]) -> None:
        """A quick plan: the relaxed quantities cut to whole lots, what is left placed where it fits. Often within the
        tolerance."""
        groups: set[str] = set()
        chosen: list[int] = []
        for v in sorted((v for v, x in enumerate(taken) if x), key=lambda v: (node.states[v] != OPEN, -taken[v], v)):
            block = self.blocks[v]
            if node.states[v] == OPEN or (taken[v] >= block.low and not (block.group and block.group in groups)):
                chosen.append(v)
                groups.add(block.group)
        self._floor(chosen[: self.children], taken)

    def _floor(self, chosen: list[int], wanted: list[int]) -> None:
        """Offer `wanted` cut down to lots on the chosen blocks, the rest placed coarse lots first."""
        taken = [0] * len(self.blocks)
        left = self.quantity
        for v in chosen:
            block = self.blocks[v]
            taken[v] = block.low + (wanted[v] - block.low) // block.lot * block.lot
            left -= taken[v]
        for v in sorted(chosen, key=lambda v: (-self.blocks[v].lot, v)):
            block = self.blocks[v]
            more = max(0, min(left, block.high - taken[v])) // block.lot * block.lot
            taken[v] += more
            left -= more
        self._offer(taken)

    # branching

    def _branch(self, node: _Node, taken: list[int]) -> list[_Node]:
        blocks, states = self.blocks, node.states
        free = [v for v, x in enumerate(taken) if x and states[v] == FREE]
        loose = [v for v in free if not self._fits(v, taken[v])]
        if loose:  # below its minimum, or a part of an all-or-none quote: decide the largest
            return self._decide(node, max(loose, key=lambda v: (min(taken[v], blocks[v].low - taken[v]), -v)))
        by_group: dict[str, int] = {}
        for v, x in enumerate(taken):
            group = blocks[v].group
            if x and group:
                if group in by_group:
                    other = by_group[group]
                    return self._decide(node, v if states[v] == FREE else other)
                by_group[group] = v
        if sum(1 for x in taken if x) > self.children:
            return self._decide(node, max(free, key=lambda v: (taken[v], -v)))
        charged = [v for v in free if blocks[v].fixed]
        if charged:
            return self._decide(node, max(charged, key=lambda v: (blocks[v].fixed, -taken[v], -v)))
        for v, x in enumerate(taken):
            if x and states[v] == OPEN and not self._fits(v, x):
                return self._narrow(node, v, x)
        undecided = free or [v for v, state in enumerate(states) if state == FREE]
        if undecided and node.child_price:  # a plan, but dearer than its bound: the child price was too high for it
            return self._decide(node, max(undecided, key=lambda v: (taken[v], -v)))
        return []  # the relaxed solution is a plan, and it has been offered

    def _decide(self, node: _Node, v: int) -> list[_Node]:
        """Two nodes: `v` used (then no other quote of its LP is), and not used."""
        block = self.blocks[v]
        used, unused = node.copy(), node.copy()
        used.states[v] = OPEN
        used.lows[v] = block.low
        if block.group:
            for other, each in enumerate(self.blocks):
                if other != v and each.group == block.group:
                    used.states[other] = CLOSED
        unused.states[v] = CLOSED
        return [used, unused]

    def _narrow(self, node: _Node, v: int, x: int) -> list[_Node]:
        """An open block between two of its lots: at most the one below, or at least the one above."""
        block = self.blocks[v]
        below = block.low + (x - block.low) // block.lot * block.lot
        under, over = node.copy(), node.copy()
        under.highs[v] = below
        over.lows[v] = below + block.lot
        return [each for each in (under, over) if each.lows[v] <= each.highs[v]]
