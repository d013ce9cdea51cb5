"""Branch and bound over blocks in one kernel: first the most quantity, then the least cost, proven.

A node says of every block whether it is free, open (takes at least its low) or closed. Its bound relaxes what is not
decided (`router.exact.relax`: convex envelopes, the child count and one-quote-per-LP dropped or, for the count, priced by a
Lagrange multiplier) and keeps lots (`router.exact.chain`). A node whose relaxed solution breaks no rule at the bound's cost is
finished; otherwise it branches on a block that breaks one. Best bound first, so the bound on top is the bound of the whole
search. When everything is decided and lots outside the chain remain, their residues are tried one by one, depth first.

`solve(arena)` reads and writes the words that `router.exact.arena` lists. No allocation, no recursion, no exception; the GIL is
released; it ends after a[NODES] nodes with the best plan and its true bound.
"""

from __future__ import annotations

from numba import njit

from pricing.pointer import integers
from router.exact.arena import (
    ACTIVE,
    AMOUNT,
    BLOCK,
    BLOCKS,
    BOUND,
    C_FROM,
    C_HIGHS,
    C_LOT,
    C_LOWS,
    C_RESIDUE,
    C_TO,
    CAP,
    CHAIN,
    CHILDREN,
    CLASS_WORDS,
    CLASSES,
    CLOSED,
    COST,
    DONE,
    EFFORT,
    FILLED,
    FIXED,
    FREE,
    FRESH,
    GROUP,
    HEADER,
    HEAP,
    HIGH,
    HINT,
    HUGE,
    I_BLOCK,
    ITEM,
    ITEMS,
    KEPT,
    KINDS,
    KNEE,
    LEAST,
    LIMIT,
    LOST_BOUND,
    LOST_MOST,
    LOT,
    LOW,
    N_BOUND,
    N_CHOICE,
    N_MOST,
    N_PRICE,
    NODES,
    OPEN,
    PAID,
    PROVEN,
    QUANTITY,
    QUEUED,
    REACH,
    REACH_HERE,
    SEEN,
    SETTLED,
    STAMP,
    STATE,
    STATUS,
    STEP,
    TAKEN,
    TOLERANCE,
    TRIAL,
    UNIT,
    UNUSED,
    WANT,
    WITHIN,
    Array,
    X,
)
from router.exact.chain import attainable, chain_cost, classify, odd_cost, rough
from router.exact.relax import block_cost, build, divisor, item_cost, select, tired
from router.exact.tree import better, keep, queue, take

ROUGH, RESIDUES, NOTHING = -1, -2, -3  # what a node waits for instead of a block to decide
PRICE_STEPS = 12


@njit(cache=True, nogil=True)
def tolerated(a: Array) -> int:
    """Money units by which the best plan may miss the least cost."""
    return a[TOLERANCE] * a[FILLED]


@njit(cache=True, nogil=True)
def fits_lot(a: Array, v: int, x: int) -> bool:
    """Whether a block may take `x` > 0."""
    row = HEADER + v * BLOCK
    return a[row + LOW] <= x <= a[row + HIGH] and (x - a[row + LOW]) % a[row + LOT] == 0


@njit(cache=True, nogil=True)
def offer(a: Array, word: int) -> int:
    """Take the plan in the rows' `word` if it breaks no rule and is better than the best; its cost, −1 if it breaks one."""
    blocks, used, filled, cost = a[BLOCKS], 0, 0, 0
    for v in range(blocks):
        a[HEADER + v * BLOCK + SEEN] = 0
    for v in range(blocks):
        row = HEADER + v * BLOCK
        x = a[row + word]
        if x == 0:
            continue
        if not fits_lot(a, v, x):
            return -1
        group = a[row + GROUP]
        if group >= 0:
            if a[HEADER + group * BLOCK + SEEN] == 1:
                return -1
            a[HEADER + group * BLOCK + SEEN] = 1
        used += 1
        filled += x
        cost += block_cost(a, v, x) + a[row + FIXED]
    if used > a[CHILDREN] or filled > a[QUANTITY]:
        return -1
    if filled > a[FILLED] or (filled == a[FILLED] and cost < a[COST]):
        a[FILLED], a[COST] = filled, cost
        for v in range(blocks):
            a[HEADER + v * BLOCK + TAKEN] = a[HEADER + v * BLOCK + word]
    return cost


@njit(cache=True, nogil=True)
def amounts(a: Array, word: int) -> None:
    """Copy the items' AMOUNT into the rows' `word`."""
    for v in range(a[BLOCKS]):
        a[HEADER + v * BLOCK + word] = 0
    for i in range(a[ACTIVE]):
        item = a[ITEMS] + i * ITEM
        a[HEADER + a[item + I_BLOCK] * BLOCK + word] = a[item + AMOUNT]


@njit(cache=True, nogil=True)
def relaxed(a: Array, price: int) -> tuple[int, int, int]:
    """(most filled, bound without lots, by how many 1024ths of a child it exceeds the room) of the states at a child
    price; most −1 when they hold no plan. Leaves the items' AMOUNT."""
    if not build(a, price):
        return -1, 0, 0
    classify(a, 0)
    most = attainable(a, a[REACH_HERE], 0, 0)
    if most < a[FILLED] or a[ACTIVE] == 0:
        return -1, 0, 0
    select(a, 0, a[ACTIVE], most)
    bound, used = a[PAID], 0
    for i in range(a[ACTIVE]):
        item = a[ITEMS] + i * ITEM
        x = a[item + AMOUNT]
        bound += item_cost(a, item, x)
        if x > 0:
            row = HEADER + a[item + I_BLOCK] * BLOCK
            whole = a[item + KNEE] if a[item + KNEE] > 0 else a[row + LOW]
            used += 1024 if a[row + STATE] == OPEN or x >= whole else (x << 10) // whole
    return most, bound, used - (a[CHILDREN] << 10)


# plans near a relaxed solution


@njit(cache=True, nogil=True)
def floor(a: Array, word: int) -> None:
    """Offer the rows' `word` cut down to lots on the blocks marked in WANT, the rest placed coarse lots first."""
    blocks, left = a[BLOCKS], a[QUANTITY]
    a[EFFORT] += blocks >> 3
    for v in range(blocks):
        row = HEADER + v * BLOCK
        a[row + TRIAL] = 0
        if a[row + WANT] == 1:
            low = a[row + LOW]
            a[row + TRIAL] = low + max(0, a[row + word] - low) // a[row + LOT] * a[row + LOT]
            left -= a[row + TRIAL]
    while left > 0:
        coarse = -1
        a[EFFORT] += blocks >> 3
        for v in range(blocks):
            row = HEADER + v * BLOCK
            if a[row + WANT] == 1 and (coarse < 0 or a[row + LOT] > a[coarse + LOT]):
                coarse = row
        if coarse < 0:
            break
        more = max(0, min(left, a[coarse + HIGH] - a[coarse + TRIAL])) // a[coarse + LOT] * a[coarse + LOT]
        a[coarse + TRIAL] += more
        left -= more
        a[coarse + WANT] = 0
    offer(a, TRIAL)


@njit(cache=True, nogil=True)
def mark(a: Array, small: bool) -> int:
    """Mark in WANT the blocks that X suggests: open ones first, then by size, one a group, as many as may be; those below
    their minimum only if `small`. Returns a number that stands for the choice."""
    blocks, chosen, least, stamp = a[BLOCKS], 0, 0, 0
    for v in range(blocks):
        row = HEADER + v * BLOCK
        a[row + SEEN] = 0
        a[row + WANT] = 0 if a[row + X] > 0 else 2
    while chosen < a[CHILDREN]:
        pick = -1
        a[EFFORT] += blocks >> 3
        for v in range(blocks):
            row = HEADER + v * BLOCK
            if a[row + WANT] != 0:
                continue
            if pick < 0:
                pick = v
                continue
            other = HEADER + pick * BLOCK
            mine, theirs = a[row + STATE] == OPEN, a[other + STATE] == OPEN
            if (mine and not theirs) or (mine == theirs and a[row + X] > a[other + X]):
                pick = v
        if pick < 0:
            break
        row = HEADER + pick * BLOCK
        group = a[row + GROUP]
        a[row + WANT] = 2
        if a[row + STATE] != OPEN and a[row + X] < a[row + LOW] and not small:
            continue
        if least + a[row + LOW] > a[QUANTITY]:
            continue
        if group >= 0:
            if a[HEADER + group * BLOCK + SEEN] == 1:
                continue
            a[HEADER + group * BLOCK + SEEN] = 1
        a[row + WANT] = 1
        chosen += 1
        least += a[row + LOW]
        stamp += (pick + 1) * (pick * pick + 7919)
    return stamp


@njit(cache=True, nogil=True)
def settle(a: Array) -> None:
    """Offer the cheapest plan that uses exactly the blocks marked in WANT, or one near it when lots are odd."""
    keep(a, STATE, KEPT)
    for v in range(a[BLOCKS]):
        row = HEADER + v * BLOCK
        a[row + STATE] = OPEN if a[row + WANT] == 1 else CLOSED
    if build(a, 0):
        classify(a, 0)
        most = attainable(a, a[REACH_HERE], 0, 0)
        if most >= a[FILLED] and a[ACTIVE] > 0:
            select(a, 0, a[ACTIVE], most)
            rough(a, most, 0)
            cost = chain_cost(a, most)
            if 0 <= cost < a[HUGE]:
                amounts(a, SETTLED)
                if offer(a, SETTLED) < 0:
                    for v in range(a[BLOCKS]):
                        row = HEADER + v * BLOCK
                        a[row + WANT] = 1 if a[row + STATE] == OPEN else 0
                    floor(a, SETTLED)
    keep(a, KEPT, STATE)


# nodes


@njit(cache=True, nogil=True)
def price_children(a: Array, bound: int, price: int) -> tuple[int, int]:
    """(bound, price) raised by a price on children: doubled until the room suffices, then halved towards the best."""
    best, low, high = price, price, 0
    trial = max(2 * price, bound // 1_000_000 + 1)
    for _ in range(PRICE_STEPS):
        if trial > bound or trial > a[HUGE] // (8 * (a[BLOCKS] + 1)):
            break
        most, found, crowd = relaxed(a, trial)
        if most < 0:
            break
        if found > bound:
            bound, best = found, trial
        if crowd > 0:
            low = trial
        else:
            high = trial
        trial = (low + high) // 2 if high > 0 else 2 * low
    return bound, best


@njit(cache=True, nogil=True)
def push(a: Array, price: int, age: int) -> None:
    """Bound the states without lots, look for a quick plan, and queue them unless they cannot hold a better one."""
    most, bound, crowd = relaxed(a, price)
    if most < 0:
        return
    amounts(a, X)
    if offer(a, X) < 0 and better(a, most, bound):
        mark(a, False)
        floor(a, X)
    if crowd > 0 and better(a, most, bound):
        bound, price = price_children(a, bound, price)
    queue(a, most, bound, price, ROUGH, age)


@njit(cache=True, nogil=True)
def choose(a: Array, price: int) -> int:
    """What to decide next, from the relaxed solution in X and the items; NOTHING when it is a plan at the bound's cost."""
    loose, best = -1, -1
    pair, used, largest, amount = -1, 0, -1, -1
    for v in range(a[BLOCKS]):
        a[HEADER + v * BLOCK + SEEN] = 0
    for v in range(a[BLOCKS]):
        row = HEADER + v * BLOCK
        x = a[row + X]
        if x == 0:
            continue
        used += 1
        if a[row + STATE] == FREE:
            if not fits_lot(a, v, x) and min(x, a[row + LOW] - x) > best and x < a[row + LOW]:
                loose, best = v, min(x, a[row + LOW] - x)
            if x > amount:
                largest, amount = v, x
        group = a[row + GROUP]
        if group >= 0:
            if a[HEADER + group * BLOCK + SEEN] > 0 and pair < 0:
                pair = v if a[row + STATE] == FREE else a[HEADER + group * BLOCK + SEEN] - 1
            a[HEADER + group * BLOCK + SEEN] = v + 1
    if loose >= 0:
        return loose
    if pair >= 0:
        return pair
    if used > a[CHILDREN] and largest >= 0:
        return largest
    cheap, best = -1, 0
    undecided, widest, odd = -1, -1, False
    nonbinding = price == 0 and a[ACTIVE] <= a[CHILDREN]
    for i in range(a[ACTIVE]):
        item = a[ITEMS] + i * ITEM
        v = a[item + I_BLOCK]
        row = HEADER + v * BLOCK
        x = a[item + AMOUNT]
        if a[row + STATE] == FREE:
            if x > 0:
                missing = a[row + FIXED] + price + block_cost(a, v, x) - item_cost(a, item, x)
                if missing > best:
                    cheap, best = v, missing
            smooth = nonbinding and a[row + LOW] == a[row + LOT] and a[row + FIXED] == 0 and a[row + GROUP] < 0
            if not smooth and x + a[row + HIGH] > widest:
                undecided, widest = v, x + a[row + HIGH]
        if x > 0 and not fits_lot(a, v, x):
            odd = True
    if cheap >= 0:
        return cheap
    if odd:
        return undecided if undecided >= 0 else RESIDUES
    if price > 0:
        return largest if largest >= 0 else undecided if undecided >= 0 else NOTHING
    return NOTHING


@njit(cache=True, nogil=True)
def refine(a: Array, bound: int, price: int, age: int) -> None:
    """Bound the states with lots, look for plans near the solution, and queue them again with what to decide."""
    if not build(a, price):
        return
    classify(a, 0)
    most = attainable(a, a[REACH_HERE], 0, 0)
    if most < a[FILLED] or a[ACTIVE] == 0:
        return
    select(a, 0, a[ACTIVE], most)
    rough(a, most, 0)
    cost = chain_cost(a, most)
    if cost < 0 or cost == a[HUGE]:
        select(a, 0, a[ACTIVE], most)
        cost = bound - a[PAID]
    bound = max(bound, a[PAID] + cost)
    amounts(a, X)
    offer(a, X)
    if not better(a, most, bound):
        return
    choice = choose(a, price)
    if choice == NOTHING:
        if price > 0:  # all is decided, so the room for children is worth nothing
            push(a, 0, age)
        else:  # offered, and no dearer than its bound, unless the lots found no answer
            give_up(a, most, bound)
        return
    for small in range(2):
        stamp = mark(a, small == 1)
        if stamp != 0 and stamp != a[STAMP]:
            a[STAMP] = stamp
            settle(a)
    queue(a, most, bound, price, choice, age)


@njit(cache=True, nogil=True)
def give_up(a: Array, most: int, bound: int) -> None:
    """Remember what a node that cannot be settled may hold."""
    if not better(a, most, bound):
        return
    if a[LOST_MOST] < most or (a[LOST_MOST] == most and a[LOST_BOUND] > bound):
        a[LOST_MOST], a[LOST_BOUND] = most, bound


@njit(cache=True, nogil=True)
def decide(a: Array, v: int, price: int) -> None:
    """Two nodes: block v used (then no other of its group is), and not used."""
    row = HEADER + v * BLOCK
    keep(a, STATE, KEPT)
    a[row + STATE] = OPEN
    if a[row + GROUP] >= 0:
        for w in range(a[BLOCKS]):
            other = HEADER + w * BLOCK
            if w != v and a[other + GROUP] == a[row + GROUP]:
                a[other + STATE] = CLOSED
    push(a, price, 2 * a[DONE])
    keep(a, KEPT, STATE)
    a[row + STATE] = CLOSED
    push(a, price, 2 * a[DONE] + 1)


@njit(cache=True, nogil=True)
def residues(a: Array) -> bool:
    """Settle a node in which only lots outside the chain are left to decide: depth first over the residues of one odd lot
    after the other, those not yet fixed relaxed. False when that cannot be ended."""
    if not build(a, 0):
        return True
    classify(a, 0)
    odd, step = a[CLASSES] + KINDS * CLASS_WORDS, 1
    for c in range(a[CHAIN]):
        lot = a[a[CLASSES] + c * CLASS_WORDS + C_LOT]
        step = step // divisor(step, lot) * lot
    kinds = 0
    for i in range(a[ACTIVE]):
        item = a[ITEMS] + i * ITEM
        lot = a[item + UNIT]
        if a[item + CAP] == a[item + LEAST] or lot == a[item + STEP]:
            continue
        known = False
        for j in range(kinds):
            known = known or a[odd + j * CLASS_WORDS + C_LOT] == lot
        if known:
            continue
        if kinds == KINDS - 1:
            return False
        if step <= a[QUANTITY]:
            step //= divisor(step, lot)
            step = step * lot if step <= a[QUANTITY] // lot else a[QUANTITY] + 1
        a[odd + kinds * CLASS_WORDS + C_LOT] = lot
        kinds += 1
    if kinds == 0:
        return False
    if step > a[QUANTITY]:  # beyond it a residue is one total; the chain's own lots must still divide it
        step = a[a[CLASSES] + (a[CHAIN] - 1) * CLASS_WORDS + C_LOT]
        step = (a[QUANTITY] // step + 1) * step
    settled, depth, price_of = True, 0, a[PAID]
    a[odd + C_RESIDUE] = 0
    while depth >= 0:
        row = odd + depth * CLASS_WORDS
        turn = a[row + C_RESIDUE]
        a[row + C_RESIDUE] += 1
        if turn * a[row + C_LOT] >= step:
            depth -= 1
            continue
        if a[DONE] >= a[NODES] or tired(a):
            return False
        a[DONE] += 1
        classify(a, depth + 1)
        inside = True
        for j in range(depth + 1):
            each = odd + j * CLASS_WORDS
            first = a[each + C_LOWS] + (a[each + C_RESIDUE] - 1) * a[each + C_LOT]
            if first > a[each + C_HIGHS]:
                inside = False
                break
            a[each + C_FROM], a[each + C_TO] = first, first + (a[each + C_HIGHS] - first) // step * step
        if not inside:  # nor is any later turn
            depth -= 1
            continue
        most = attainable(a, a[REACH_HERE], depth + 1, step)
        if most < 0:
            depth -= 1
            continue
        if most < a[FILLED]:
            continue
        select(a, 0, a[ACTIVE], most)
        rough(a, most, depth + 1)
        cost = odd_cost(a, most, depth + 1, step)
        if cost == a[HUGE]:
            continue
        if cost >= 0 and not better(a, most, price_of + cost):
            continue
        if depth + 1 < kinds:
            depth += 1
            a[odd + depth * CLASS_WORDS + C_RESIDUE] = 0
            continue
        if cost < 0:
            settled = False
            continue
        amounts(a, TRIAL)
        if offer(a, TRIAL) < 0:
            settled = False
    return settled


@njit(cache=True, nogil=True)
def settled(a: Array, most: int, bound: int) -> bool:
    """Whether a node with this reach and bound, and so every node after it, cannot improve the best plan enough."""
    return most < a[FILLED] or (most == a[FILLED] and bound >= a[COST] - tolerated(a))


@njit(cache=True, nogil=True)
def solve(a: Array) -> int:
    """Search until the best plan is within the tolerance of the bound, or the nodes end; returns STATUS."""
    for word in (FILLED, COST, DONE, EFFORT, QUEUED, FRESH, UNUSED, HINT, STAMP):
        a[word] = 0
    a[LOST_MOST] = -1
    for v in range(a[BLOCKS]):
        a[HEADER + v * BLOCK + STATE] = FREE
        a[HEADER + v * BLOCK + TAKEN] = 0
    push(a, 0, 0)
    while a[QUEUED] > 0 and a[DONE] < a[NODES] and not tired(a):
        top = a[a[HEAP]]
        if settled(a, a[top + N_MOST], a[top + N_BOUND]):
            break
        a[DONE] += 1
        slot = take(a)
        most, bound, price, choice = a[slot + N_MOST], a[slot + N_BOUND], a[slot + N_PRICE], a[slot + N_CHOICE]
        a[slot] = a[UNUSED]
        a[UNUSED] = slot
        if choice == ROUGH:
            refine(a, bound, price, 2 * a[DONE])
        elif choice == RESIDUES:
            if not residues(a):
                give_up(a, most, bound)
        else:
            decide(a, choice, price)
    a[REACH], a[BOUND] = a[FILLED], a[COST]
    if a[QUEUED] > 0:
        top = a[a[HEAP]]
        _doubt(a, a[top + N_MOST], a[top + N_BOUND])
    if a[LOST_MOST] >= 0:
        _doubt(a, a[LOST_MOST], a[LOST_BOUND])
    a[STATUS] = LIMIT
    if a[REACH] == a[FILLED]:
        gap = a[COST] - a[BOUND]
        a[STATUS] = PROVEN if gap == 0 else WITHIN if gap <= tolerated(a) else LIMIT
    return a[STATUS]


@njit(cache=True, nogil=True)
def _doubt(a: Array, most: int, bound: int) -> None:
    """Lower the proven bound, or raise the reach, by what was left undecided."""
    a[REACH] = max(a[REACH], most)
    if most == a[FILLED]:
        a[BOUND] = min(a[BOUND], bound)


@njit(cache=True, nogil=True)
def solve_at(arena_at: int) -> int:
    """`solve` of the arena at an address, of an array that the caller keeps: a third faster (`pricing.pointer`)."""
    return solve(integers(arena_at))
