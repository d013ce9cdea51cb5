"""The relaxation under the split's search: convex pieces of what blocks cost, and the price λ that fills a total.

Everything cheaper than λ is taken, nothing dearer, and the rest at λ: optimal for separable convex costs. λ is selected
over the sorted slopes of all items at once, so the time does not grow with the depth swept.

A block that is not decided costs its convex envelope: from nothing a straight line to its knee, the size of least
average cost with everything that using it costs at all, then its own slopes. The line is made of integers: `SLOPE` an
atom, one more for the last `REST` atoms before the knee, so it meets the true cost there exactly and is nowhere above.

Integers only, so the same lines are right in int64 and, interpreted (`router.exact.wide`), in integers of any size.
"""

from __future__ import annotations

from numba import njit

from router.exact.arena import (
    ACTIVE,
    AMOUNT,
    AT,
    BELOW,
    BLOCK,
    BLOCKS,
    CAP,
    CHILDREN,
    CLOSED,
    COUNT,
    EFFORT,
    FIXED,
    FREE,
    GROUP,
    HEADER,
    HIGH,
    HINT,
    I_BLOCK,
    ITEM,
    ITEMS,
    KNEE,
    LEAST,
    LEFT,
    LEVELS,
    LINE,
    LOT,
    LOW,
    MOST,
    OPEN,
    ORDER,
    PAID,
    PATIENCE,
    QUANTITY,
    REACH_HERE,
    REST,
    RIGHT,
    SEEN,
    SLOPE,
    SPAN,
    STATE,
    UNIT,
    UPTO,
    WANT,
    WHOLE,
    Array,
)


@njit(cache=True, nogil=True)
def tired(a: Array) -> bool:
    """Whether the work done is all that was asked for."""
    return a[PATIENCE] > 0 and a[EFFORT] > a[PATIENCE]


@njit(cache=True, nogil=True)
def divisor(x: int, y: int) -> int:
    """Greatest common divisor."""
    while y:
        x, y = y, x % y
    return x


@njit(cache=True, nogil=True)
def block_cost(a: Array, v: int, atoms: int) -> int:
    """Cost of `atoms` of a block, without its fixed cost."""
    if atoms == 0:
        return 0
    at, n = a[HEADER + v * BLOCK + AT], a[HEADER + v * BLOCK + COUNT]
    low, high = at + n, at + 2 * n - 1
    while low < high:
        middle = (low + high) >> 1
        if a[middle] < atoms:
            low = middle + 1
        else:
            high = middle
    return a[low + n] - a[low - n] * (a[low] - atoms)


@njit(cache=True, nogil=True)
def item_cost(a: Array, item: int, atoms: int) -> int:
    """Relaxed cost of `atoms`, what using the block costs included."""
    knee = a[item + KNEE]
    if knee == 0:
        return block_cost(a, a[item + I_BLOCK], atoms)
    if atoms <= knee:
        return a[item + SLOPE] * atoms + max(0, atoms - knee + a[item + REST])
    v = a[item + I_BLOCK]
    return a[item + SLOPE] * knee + a[item + REST] + block_cost(a, v, atoms) - block_cost(a, v, knee)


@njit(cache=True, nogil=True)
def cheapest_average(a: Array, v: int, charge: int) -> int:
    """Atoms at which (charge + cost) / atoms is least: the end of the first level whose next slope is not below that
    average."""
    at, n = a[HEADER + v * BLOCK + AT], a[HEADER + v * BLOCK + COUNT]
    low, high = 0, n - 1
    while low < high:
        middle = (low + high) >> 1
        if a[at + middle + 1] * a[at + n + middle] - a[at + 2 * n + middle] >= charge:
            high = middle
        else:
            low = middle + 1
    return a[at + n + low]


@njit(cache=True, nogil=True)
def build(a: Array, price: int) -> bool:
    """Items of the blocks that the states leave, undecided ones charged `price` for being a child; False when they hold
    no plan.

    Fills ACTIVE, PAID (fixed costs of open blocks less what the room for children is worth) and REACH_HERE (no plan of
    these states fills more).
    """
    blocks, opened, left, paid = a[BLOCKS], 0, a[QUANTITY], 0
    for v in range(blocks):
        row = HEADER + v * BLOCK
        a[row + SEEN] = 0
        if a[row + STATE] == OPEN:
            opened += 1
            left -= a[row + LOW]
            paid += a[row + FIXED]
    room = a[CHILDREN] - opened
    if room < 0 or left < 0:
        return False
    n, reach = 0, 0
    for v in range(blocks):
        row = HEADER + v * BLOCK
        low, high, lot = a[row + LOW], a[row + HIGH], a[row + LOT]
        if a[row + STATE] == FREE and (room == 0 or low > left):
            a[row + STATE] = CLOSED
        a[row + WANT] = 0
        if a[row + STATE] == CLOSED:
            continue
        item = a[ITEMS] + n * ITEM
        n += 1
        at, levels = a[row + AT], a[row + COUNT]
        a[item + I_BLOCK] = v
        a[item + KNEE], a[item + SLOPE], a[item + REST] = 0, 0, 0
        a[item + LINE], a[item + LEVELS], a[item + SPAN] = 0, at, levels
        a[item + WHOLE] = 0
        if a[row + STATE] == OPEN:
            reach += high
            a[item + LEAST], a[item + UNIT] = low, lot
        else:
            group = a[row + GROUP]
            if group < 0:
                a[row + WANT] = high
            elif high > a[HEADER + group * BLOCK + SEEN]:
                a[HEADER + group * BLOCK + SEEN] = high
            whole = low == high
            high = min(high, left)
            a[item + LEAST] = 0
            a[item + UNIT] = low if whole else divisor(low, lot)
            a[item + WHOLE] = 1 if whole else 0
            charge = a[row + FIXED] + price
            if charge > 0 or low > a[at + levels]:
                knee = max(low, min(high, cheapest_average(a, v, charge)))
                cost = charge + block_cost(a, v, knee)
                a[item + KNEE], a[item + SLOPE], a[item + REST] = knee, cost // knee, cost % knee
                a[item + LINE] = 2
                skip, last = 0, levels  # the first level that ends above the knee
                while skip < last:
                    middle = (skip + last) >> 1
                    if a[at + levels + middle] <= knee:
                        skip = middle + 1
                    else:
                        last = middle
                a[item + LEVELS] = at + skip
                a[item + SPAN] = 2 + (levels - skip if knee < high else 0)
        a[item + CAP], a[item + MOST] = high, high
        a[a[ORDER] + n - 1] = n - 1
    a[ACTIVE], a[PAID] = n, paid - price * room
    a[REACH_HERE] = min(a[QUANTITY], reach + _largest(a, room))
    return True


@njit(cache=True, nogil=True)
def _largest(a: Array, room: int) -> int:
    """Sum of the `room` largest of what undecided blocks may fill, one a group (WANT and SEEN)."""
    blocks, many, total = a[BLOCKS], 0, 0
    for v in range(blocks):
        row = HEADER + v * BLOCK
        many += (1 if a[row + WANT] > 0 else 0) + (1 if a[row + SEEN] > 0 else 0)
        total += a[row + WANT] + a[row + SEEN]
    while many > room:
        least = -1
        a[EFFORT] += blocks >> 3
        for v in range(blocks):
            row = HEADER + v * BLOCK
            for word in (WANT, SEEN):
                if a[row + word] > 0 and (least < 0 or a[row + word] < a[least]):
                    least = row + word
        total -= a[least]
        a[least] = 0
        many -= 1
    return total


@njit(cache=True, nogil=True)
def segment(a: Array, item: int, j: int) -> int:
    """Slope of the j-th piece of an item: its line, the line's last atoms, then levels."""
    line = a[item + LINE]
    if j < line:
        return a[item + SLOPE] + (j if a[item + REST] > 0 else 0)
    return a[a[item + LEVELS] + j - line]


@njit(cache=True, nogil=True)
def reached(a: Array, item: int, pieces: int) -> int:
    """Atoms of an item that takes its first `pieces` pieces, between LEAST and MOST."""
    line = a[item + LINE]
    if pieces == 0:
        x = 0
    elif pieces > line:
        x = a[a[item + LEVELS] + a[HEADER + a[item + I_BLOCK] * BLOCK + COUNT] + pieces - line - 1]
    else:
        x = a[item + KNEE] - (a[item + REST] if pieces == 1 else 0)
    return min(a[item + MOST], max(a[item + LEAST], x))


@njit(cache=True, nogil=True)
def select(a: Array, first: int, count: int, total: int) -> int:
    """AMOUNT of `count` items from ORDER[first] on at the least relaxed cost with Σ = total; returns λ.

    Needs Σ LEAST ≤ total ≤ Σ MOST. Items of equal slope are filled in order. The search starts
    from λ of the last call and gallops: totals asked for one after the other are near each other.
    """
    items, order = a[ITEMS], a[ORDER] + first
    below = 0
    for p in range(count):
        item = items + a[order + p] * ITEM
        a[item + LEFT], a[item + RIGHT] = 0, a[item + SPAN]
        a[item + AMOUNT] = a[item + LEAST]
        below += a[item + LEAST]
    if below >= total:
        return 0
    pivot, side, reach = a[HINT], 0, 1
    while True:
        a[EFFORT] += 4 * count
        below, upto = 0, 0
        for p in range(count):
            item = items + a[order + p] * ITEM
            low, high = a[item + LEFT], a[item + RIGHT]
            if side > 0:  # λ is near the left border: gallop from there
                step = 1
                while low + step < high and segment(a, item, low + step - 1) <= pivot:
                    low += step
                    step += step
                high = min(high, low + step)
            elif side < 0:
                step = 1
                while high - step > low and segment(a, item, high - step) > pivot:
                    high -= step
                    step += step
                low = max(low, high - step)
            while low < high:
                middle = (low + high) >> 1
                if segment(a, item, middle) <= pivot:
                    low = middle + 1
                else:
                    high = middle
            a[item + UPTO] = low
            x = reached(a, item, low)
            upto += x
            while low > a[item + LEFT] and segment(a, item, low - 1) == pivot:
                low -= 1
            if low < a[item + UPTO]:
                x = reached(a, item, low)
            a[item + BELOW] = low
            below += x
            a[item + AMOUNT] = x
        if below <= total <= upto:
            break
        widest, pick = 0, 0
        for p in range(count):
            item = items + a[order + p] * ITEM
            if upto < total:
                a[item + LEFT] = a[item + UPTO]
            else:
                a[item + RIGHT] = a[item + BELOW]
            width = a[item + RIGHT] - a[item + LEFT]
            if width > widest:
                widest, pick = width, item
        if widest == 0:  # total above Σ MOST: the caller's fault
            return -1
        if upto < total:
            reach = 2 * reach if side >= 0 else widest
            side = 1
            pivot = segment(a, pick, a[pick + LEFT] + min(reach, widest >> 1))
        else:
            reach = 2 * reach if side <= 0 else widest
            side = -1
            pivot = segment(a, pick, a[pick + RIGHT] - 1 - min(reach, widest >> 1))
    a[HINT] = pivot
    left = total - below
    for p in range(count):
        if left <= 0:
            break
        item = items + a[order + p] * ITEM
        more = min(left, reached(a, item, a[item + UPTO]) - a[item + AMOUNT])
        a[item + AMOUNT] += more
        left -= more
    return pivot
