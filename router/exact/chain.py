"""Whole lots inside the relaxation: the cheapest way to take an exact total when every item moves in its own lot.

Lots that divide each other form a chain g₀ | g₁ | … . Items of one lot are a class; its cost H_c is convex on its grid, and

    V_c(R) = min over X in the grid of class c of  V_{c−1}(R − X) + H_c(X)

is convex on every progression of step g_{c+1} (infimal convolution of convex functions). So V_{c−1}, sampled in steps of
g_c around where the continuous solution puts it, is one more convex item of class c, and no exchange of one lot between two
items proves an optimum. Outside its window V_{c−1} is continued with the slope of the window's border, which is nowhere
above it: a solution that stays inside every window is the least of all; else the windows widen, and when that does not
help soon, values are worked out one by one where they are asked for.

Lots outside the chain are relaxed to the largest chain lot that divides them, or (`odd_cost`) held in one residue of the
least common multiple of all lots, on whose progression their classes are convex again: trying each residue is exact.
"""

from __future__ import annotations

from numba import njit

from router.exact.arena import (
    ACTIVE,
    ADD,
    AMOUNT,
    BEFORE,
    BELOW,
    BEST,
    C_COUNT,
    C_FIRST,
    C_FROM,
    C_GUESS,
    C_HERE,
    C_HIGH_T,
    C_HIGHS,
    C_KNOWN,
    C_LEFT,
    C_LOT,
    C_LOW_T,
    C_LOWS,
    C_RESIDUE,
    C_RIGHT,
    C_ROUGH,
    C_TO,
    C_TOTAL,
    C_USED,
    C_WIDTH,
    CAP,
    CHAIN,
    CLASS,
    CLASS_WORDS,
    CLASSES,
    DROP,
    EFFORT,
    HINT,
    HUGE,
    ITEM,
    ITEMS,
    KIND,
    KIND_WORDS,
    KINDS,
    LEAST,
    LOTS,
    MEMORY,
    MISSED,
    MISSING,
    MOST,
    ORDER,
    STEP,
    STRAY,
    UNIT,
    UPTO,
    VALUES,
    WEIGHT,
    WHOLE,
    WIDEST,
    Array,
)
from router.exact.relax import divisor, item_cost, select, tired

LOST = -1  # no answer: neither a cost nor impossible
TURNS = 3  # windows of 1, 4 and 16 steps
WALK = 40  # exchanges in one class after which its windows are given up
NEAR = 12  # lots by which the last solution may miss a total to be walked from
ATTEMPTS = 20_000
EXCHANGES = 500


@njit(cache=True, nogil=True)
def classify(a: Array, fixed: int) -> None:
    """Sort the items into the chain's classes; the lots of the first `fixed` odd classes get their own.

    The chain is the one that leaves the fewest items relaxed. Sets CHAIN, each item's STEP, MOST and place in ORDER.
    """
    n, items, lots, classes = a[ACTIVE], a[ITEMS], a[LOTS], a[CLASSES]
    base, kinds = 0, 0
    for i in range(n):
        item = items + i * ITEM
        a[item + CLASS] = -1
        for j in range(fixed):
            if a[item + UNIT] == a[classes + (KINDS + j) * CLASS_WORDS + C_LOT] and a[item + CAP] > a[item + LEAST]:
                a[item + CLASS] = KINDS + j
        if base != 1 and a[item + CLASS] < 0 and a[item + CAP] > a[item + LEAST]:
            base = divisor(base, a[item + UNIT])
    base = max(base, 1)
    for i in range(n):
        item = items + i * ITEM
        lot = a[item + UNIT]
        if a[item + CLASS] >= 0 or a[item + CAP] == a[item + LEAST] or a[item + WHOLE] == 1 or lot == base:
            continue
        at = kinds
        while at > 0 and a[lots + (at - 1) * KIND_WORDS + KIND] >= lot:
            at -= 1
        if at < kinds and a[lots + at * KIND_WORDS + KIND] == lot:
            a[lots + at * KIND_WORDS + WEIGHT] += 1
        elif kinds < KINDS - 1:
            for k in range(kinds, at, -1):
                a[lots + k * KIND_WORDS + KIND] = a[lots + (k - 1) * KIND_WORDS + KIND]
                a[lots + k * KIND_WORDS + WEIGHT] = a[lots + (k - 1) * KIND_WORDS + WEIGHT]
            a[lots + at * KIND_WORDS + KIND] = lot
            a[lots + at * KIND_WORDS + WEIGHT] = 1
            kinds += 1
    best, chain = -1, 1
    for k in range(kinds):
        row = lots + k * KIND_WORDS
        a[row + BEST], a[row + BEFORE] = a[row + WEIGHT], -1
        for j in range(k):
            under = lots + j * KIND_WORDS
            if a[row + KIND] % a[under + KIND] == 0 and a[under + BEST] + a[row + WEIGHT] > a[row + BEST]:
                a[row + BEST], a[row + BEFORE] = a[under + BEST] + a[row + WEIGHT], j
        if best < 0 or a[row + BEST] > a[lots + best * KIND_WORDS + BEST]:
            best = k
    k = best
    while k >= 0:
        chain += 1
        k = a[lots + k * KIND_WORDS + BEFORE]
    a[CHAIN] = chain
    a[classes + C_LOT] = base
    k = best
    for c in range(chain - 1, 0, -1):
        a[classes + c * CLASS_WORDS + C_LOT] = a[lots + k * KIND_WORDS + KIND]
        k = a[lots + k * KIND_WORDS + BEFORE]
    for i in range(n):  # the largest chain lot that divides its own
        item = items + i * ITEM
        if a[item + CLASS] < 0:
            c = chain - 1 if a[item + CAP] > a[item + LEAST] else 0
            while c > 0 and a[item + UNIT] % a[classes + c * CLASS_WORDS + C_LOT] != 0:
                c -= 1
            a[item + CLASS] = c
    at = 0
    for turn in range(chain + fixed):
        c = turn if turn < chain else KINDS + turn - chain
        row = classes + c * CLASS_WORDS
        lot = a[row + C_LOT]
        a[row + C_FIRST], a[row + C_LOWS], a[row + C_HIGHS] = at, 0, 0
        for i in range(n):
            item = items + i * ITEM
            if a[item + CLASS] == c:
                a[item + STEP] = lot
                a[item + MOST] = a[item + LEAST] + (a[item + CAP] - a[item + LEAST]) // lot * lot
                a[row + C_LOWS] += a[item + LEAST]
                a[row + C_HIGHS] += a[item + MOST]
                a[a[ORDER] + at] = i
                at += 1
        a[row + C_COUNT] = at - a[row + C_FIRST]


@njit(cache=True, nogil=True)
def attainable(a: Array, reach: int, fixed: int, step: int) -> int:
    """The largest total not above `reach` of the chain and the first `fixed` odd classes in steps of `step`; −1 when even
    the least is.

    Coarse lots first is optimal: fine lots that add up to a coarse one can be exchanged for it.
    """
    left = reach
    for c in range(a[CHAIN]):
        left -= a[a[CLASSES] + c * CLASS_WORDS + C_LOWS]
    more = 0
    for j in range(fixed):
        row = a[CLASSES] + (KINDS + j) * CLASS_WORDS
        left -= a[row + C_FROM]
        more += a[row + C_TO] - a[row + C_FROM]
    if left < 0:
        return -1
    if fixed > 0:
        left -= min(more, left // step * step)
    for c in range(a[CHAIN] - 1, -1, -1):
        row = a[CLASSES] + c * CLASS_WORDS
        left -= min(a[row + C_HIGHS] - a[row + C_LOWS], left // a[row + C_LOT] * a[row + C_LOT])
    return reach - left


@njit(cache=True, nogil=True)
def rough(a: Array, total: int, count: int) -> None:
    """Guess what each class, and `count` odd ones, take of `total`, from the solution without lots: each item goes to the
    lot that is cheaper at λ, and the class of the item that is cut at λ takes what is left."""
    price, marginal, left = a[HINT], 0, total
    for turn in range(a[CHAIN] + count):
        row = a[CLASSES] + (turn if turn < a[CHAIN] else KINDS + turn - a[CHAIN]) * CLASS_WORDS
        lot = a[row + C_LOT]
        a[row + C_ROUGH] = 0
        for p in range(a[row + C_COUNT]):
            item = a[ITEMS] + a[a[ORDER] + a[row + C_FIRST] + p] * ITEM
            x = a[item + AMOUNT]
            if a[item + UPTO] != a[item + BELOW] and x > a[item + LEAST]:
                marginal = turn
            over = (x - a[item + LEAST]) % lot
            x -= over
            a[item + AMOUNT] = x
            if over > 0 and x + lot <= a[item + MOST]:
                more = item_cost(a, item, x + lot) - item_cost(a, item, x)
                if more < price * lot:
                    x += lot
            a[row + C_ROUGH] += x
        left -= a[row + C_ROUGH]
    row = a[CLASSES] + (marginal if marginal < a[CHAIN] else KINDS + marginal - a[CHAIN]) * CLASS_WORDS
    a[row + C_ROUGH] += left


@njit(cache=True, nogil=True)
def _weigh(a: Array, item: int, lot: int) -> None:
    """What one lot more and one lot less would change."""
    x = a[item + AMOUNT]
    cost = item_cost(a, item, x)
    a[item + ADD] = item_cost(a, item, x + lot) - cost if x + lot <= a[item + MOST] else a[HUGE]
    a[item + DROP] = cost - item_cost(a, item, x - lot) if x - lot >= a[item + LEAST] else -a[HUGE]


@njit(cache=True, nogil=True)
def _floored(a: Array, item: int, lot: int) -> int:
    """Cut an item's AMOUNT to whole lots."""
    a[item + AMOUNT] -= (a[item + AMOUNT] - a[item + LEAST]) % lot
    return a[item + AMOUNT]


@njit(cache=True, nogil=True)
def _value(a: Array, row: int, t: int) -> int:
    """V of a class at its guess and `t` steps: sampled, continued outside the window, or remembered. What is not
    remembered yet is asked for in MISSING."""
    if a[row + C_KNOWN] >= 0:
        want = a[row + C_GUESS] + t * a[row + CLASS_WORDS + C_LOT]
        at = row + VALUES
        for _ in range(min(a[row + C_KNOWN], MEMORY)):
            if a[at] == want:
                return a[at + 1]
            at += 2
        a[MISSED], a[MISSING] = 1, want
        return 0
    low, high = a[row + C_LOW_T], a[row + C_HIGH_T]
    zero = row + VALUES + WIDEST
    if t > high:
        return a[zero + high] + (t - high) * (a[zero + high] - a[zero + high - 1])
    if t < low:
        return a[zero + low] - (low - t) * (a[zero + low + 1] - a[zero + low])
    return a[zero + t]


@njit(cache=True, nogil=True)
def _remember(a: Array, row: int, total: int, value: int) -> None:
    """Keep V of a class at a total; the oldest of `MEMORY` goes."""
    at = row + VALUES + 2 * (a[row + C_KNOWN] % MEMORY)
    a[at], a[at + 1] = total, value
    a[row + C_KNOWN] += 1


@njit(cache=True, nogil=True)
def _centre(a: Array, c: int, total: int) -> None:
    """Guess what the classes below c take of `total`, by the solution without lots."""
    row = a[CLASSES] + c * CLASS_WORDS
    under, lot = row - CLASS_WORDS, a[row + C_LOT]
    select(a, 0, a[row + C_FIRST] + a[row + C_COUNT], total)
    guess = 0
    for p in range(a[row + C_FIRST]):
        guess += a[a[ITEMS] + a[a[ORDER] + p] * ITEM + AMOUNT]
    low = max(a[under + C_FROM], total - a[row + C_HIGHS])
    high = min(a[under + C_TO], total - a[row + C_LOWS])
    a[under + C_GUESS] = min(high, max(low, low + (2 * (guess - low) + lot) // (2 * lot) * lot))


@njit(cache=True, nogil=True)
def evaluate(a: Array, c: int, total: int, stacked: bool) -> int:
    """Cost of `total` from class c and, if `stacked`, what the classes below it give; HUGE when impossible. Leaves the
    items' AMOUNT and C_USED, or sets MISSED when a value of the classes below is not known, STRAY when the walk is long."""
    row = a[CLASSES] + c * CLASS_WORDS
    lot, count, lows, highs = a[row + C_LOT], a[row + C_COUNT], a[row + C_LOWS], a[row + C_HIGHS]
    huge, order = a[HUGE], a[ORDER] + a[row + C_FIRST]
    t, low_t, high_t, under, rest = 0, 0, 0, row - CLASS_WORDS, total
    remembered = stacked and a[under + C_KNOWN] >= 0
    if stacked:
        if remembered:
            _centre(a, c, total)
        guess = a[under + C_GUESS]
        low_t = max((a[under + C_FROM] - guess) // lot, -((highs + guess - total) // lot))
        high_t = min((a[under + C_TO] - guess) // lot, (total - guess - lows) // lot)
        if low_t > high_t:
            return huge
        t = min(max(0, low_t), high_t)
        rest = total - guess - t * lot
    elif total < lows or total > highs or (total - lows) % lot != 0:
        return huge
    left = rest
    cheap, dear = huge, -huge
    for p in range(count):
        item = a[ITEMS] + a[order + p] * ITEM
        left -= _floored(a, item, lot)
        _weigh(a, item, lot)
        cheap, dear = min(cheap, a[item + ADD]), max(dear, a[item + DROP])
    if stacked and not remembered and abs(left) > NEAR * lot and low_t < high_t:  # the classes below may take it all
        more = min(high_t, t + left // lot) - t if left > 0 else max(low_t, t + left // lot) - t
        if left > 0 and _value(a, under, a[under + C_HIGH_T] + 1) - _value(a, under, a[under + C_HIGH_T]) > cheap:
            more = 0
        if left < 0 and _value(a, under, a[under + C_LOW_T]) - _value(a, under, a[under + C_LOW_T] - 1) < dear:
            more = 0
        t += more
        rest -= more * lot
        left -= more * lot
    if count == 1 and left != 0:
        a[a[ITEMS] + a[order] * ITEM + AMOUNT] = rest
        left = 0
        _weigh(a, a[ITEMS] + a[order] * ITEM, lot)
    elif count > 1 and not remembered and abs(left) > NEAR * lot:
        select(a, a[row + C_FIRST], count, rest)
        left = rest
        for p in range(count):
            item = a[ITEMS] + a[order + p] * ITEM
            left -= _floored(a, item, lot)
            _weigh(a, item, lot)
    steps = 0
    a[EFFORT] += 16 * count
    while count > 0:
        a[EFFORT] += 4 + count
        cheap, dear, to, out = huge, -huge, -1, -1
        for p in range(count):
            item = a[ITEMS] + a[order + p] * ITEM
            if a[item + ADD] < cheap:
                cheap, to = a[item + ADD], item
            if a[item + DROP] > dear:
                dear, out = a[item + DROP], item
        if left != 0:
            item = to if left > 0 else out
            more = lot if left > 0 else -lot
            a[item + AMOUNT] += more
            left -= more
            _weigh(a, item, lot)
            continue
        if stacked and low_t < high_t:
            here = _value(a, under, t)
            if t < high_t:
                rise = _value(a, under, t + 1) - here
                if rise < cheap:
                    cheap, to = rise, -1
            if t > low_t:
                rise = here - _value(a, under, t - 1)
                if rise > dear:
                    dear, out = rise, -1
            if a[MISSED] == 1:
                return 0
        if cheap >= dear or cheap == huge or dear == -huge:
            break
        steps += 1
        if steps > WALK and not remembered:
            a[STRAY] = 1
            break
        if to < 0:
            t += 1
        else:
            a[to + AMOUNT] += lot
            _weigh(a, to, lot)
        if out < 0:
            t -= 1
        else:
            a[out + AMOUNT] -= lot
            _weigh(a, out, lot)
    a[row + C_USED] = t
    cost = _value(a, under, t) if stacked else 0
    for p in range(count):
        item = a[ITEMS] + a[order + p] * ITEM
        cost += item_cost(a, item, a[item + AMOUNT])
    return cost


@njit(cache=True, nogil=True)
def domain(a: Array, total: int, step: int) -> bool:
    """First and last total (C_FROM, C_TO) that classes 0…c attain in steps of the next lot, so that the chain's total is
    ≡ `total` modulo `step`; of the last class too if `step` > 0. False when there is none."""
    chain = a[CHAIN]
    residue = total
    for c in range(chain - 1, -1, -1):
        row = a[CLASSES] + c * CLASS_WORDS
        a[row + C_RESIDUE] = residue
        residue -= a[row + C_LOWS]
    for c in range(chain if step > 0 else chain - 1):
        row = a[CLASSES] + c * CLASS_WORDS
        first, last, lot = a[row + C_LOWS], a[row + C_HIGHS], a[row + C_LOT]
        if c > 0:
            first += a[row - CLASS_WORDS + C_FROM]
            last += a[row - CLASS_WORDS + C_TO]
        wide = a[row + CLASS_WORDS + C_LOT] if c < chain - 1 else step
        shift = (a[row + C_RESIDUE] - first) % wide
        if shift % lot != 0 or first + shift > last:
            return False
        first += shift
        a[row + C_FROM], a[row + C_TO] = first, first + (last - first) // wide * wide
    return True


@njit(cache=True, nogil=True)
def chain_cost(a: Array, total: int) -> int:
    """Least relaxed cost of exactly `total` from the chain's classes in whole lots; HUGE when impossible, LOST when it
    was not found. Leaves the items' AMOUNT. Needs C_ROUGH near `total`, else it is slower."""
    chain, classes = a[CHAIN], a[CLASSES]
    if not domain(a, total, 0):
        return a[HUGE]
    if chain == 1:
        return evaluate(a, 0, total, False)
    running, above = 0, total
    for c in range(chain - 1):
        running += a[classes + c * CLASS_WORDS + C_ROUGH]
        a[classes + c * CLASS_WORDS + C_GUESS] = running
    for c in range(chain - 2, -1, -1):
        row = classes + c * CLASS_WORDS
        step = a[row + CLASS_WORDS + C_LOT]
        low = max(a[row + C_FROM], above - a[row + CLASS_WORDS + C_HIGHS])
        high = min(a[row + C_TO], above - a[row + CLASS_WORDS + C_LOWS])
        if low > high:
            return a[HUGE]
        guess = low + (2 * (a[row + C_GUESS] - low) + step) // (2 * step) * step
        above = min(high, max(low, guess))
        a[row + C_GUESS], a[row + C_WIDTH], a[row + C_KNOWN] = above, 1, -1
    a[STRAY], a[MISSED] = 0, 0
    for _ in range(TURNS):
        for c in range(chain - 1):
            row = classes + c * CLASS_WORDS
            guess, step, width = a[row + C_GUESS], a[row + CLASS_WORDS + C_LOT], a[row + C_WIDTH]
            low = max(-width, (a[row + C_FROM] - guess) // step)
            high = min(width, (a[row + C_TO] - guess) // step)
            a[row + C_LOW_T], a[row + C_HIGH_T] = low, high
            for t in range(low, high + 1):
                a[row + VALUES + WIDEST + t] = evaluate(a, c, guess + t * step, c > 0)
            if a[STRAY] == 1:
                break
        if a[STRAY] == 1:
            break
        cost = evaluate(a, chain - 1, total, True)
        moved = a[STRAY] == 1
        for c in range(chain - 2, -1, -1):
            row = classes + c * CLASS_WORDS
            t = a[row + CLASS_WORDS + C_USED]
            if t < a[row + C_LOW_T] or t > a[row + C_HIGH_T]:
                moved = True
                a[row + C_WIDTH] = 4 * a[row + C_WIDTH]
            evaluate(a, c, a[row + C_GUESS] + t * a[row + CLASS_WORDS + C_LOT], c > 0)
        if not moved:
            return cost
    return _remembering(a, total)


@njit(cache=True, nogil=True)
def _remembering(a: Array, total: int) -> int:
    """`chain_cost` without windows: a value of the classes below that is missing is worked out first, around its own
    guess, and remembered. Slower, and right wherever the solution lies."""
    chain, classes = a[CHAIN], a[CLASSES]
    for c in range(chain - 1):
        a[classes + c * CLASS_WORDS + C_KNOWN] = 0
    cost = _work_out(a, chain - 1, total)
    for c in range(chain - 2, -1, -1):  # the items of the classes below, at what the class above took of them
        row = classes + c * CLASS_WORDS
        want = a[row + C_GUESS] + a[row + CLASS_WORDS + C_USED] * a[row + CLASS_WORDS + C_LOT]
        if _work_out(a, c, want) == LOST:
            return LOST
    return cost


@njit(cache=True, nogil=True)
def _work_out(a: Array, top: int, total: int) -> int:
    """Cost of `total` from the classes up to `top`; LOST when it takes too long."""
    c = top
    a[a[CLASSES] + c * CLASS_WORDS + C_TOTAL] = total
    for _ in range(ATTEMPTS):
        if tired(a):
            break
        row = a[CLASSES] + c * CLASS_WORDS
        a[MISSED] = 0
        value = evaluate(a, c, a[row + C_TOTAL], c > 0)
        if a[MISSED] == 1:
            c -= 1
            a[row - CLASS_WORDS + C_TOTAL] = a[MISSING]
        elif c == top:
            return value
        else:
            _remember(a, row, a[row + C_TOTAL], value)
            c += 1
    return LOST


@njit(cache=True, nogil=True)
def _near(a: Array, total: int) -> int:
    """`chain_cost` for a total that the solution without lots has not seen."""
    last = a[CLASSES] + (a[CHAIN] - 1) * CLASS_WORDS
    select(a, 0, a[last + C_FIRST] + a[last + C_COUNT], total)
    rough(a, total, 0)
    return chain_cost(a, total)


@njit(cache=True, nogil=True)
def _sides(a: Array, j: int, step: int) -> None:
    """Costs of an odd class at its total, and one step to either side."""
    row = a[CLASSES] + (KINDS + j) * CLASS_WORDS
    total = a[row + C_TOTAL]
    a[row + C_HERE] = evaluate(a, KINDS + j, total, False)
    a[row + C_RIGHT] = evaluate(a, KINDS + j, total + step, False) if total + step <= a[row + C_TO] else a[HUGE]
    a[row + C_LEFT] = evaluate(a, KINDS + j, total - step, False) if total - step >= a[row + C_FROM] else a[HUGE]


@njit(cache=True, nogil=True)
def odd_cost(a: Array, total: int, fixed: int, step: int) -> int:
    """Like `chain_cost` with the first `fixed` odd classes held in the residues C_RESIDUE of `step`, a multiple of every
    lot. Convex on that progression, so the walk by exchanges ends at the least."""
    odd, huge = a[CLASSES] + KINDS * CLASS_WORDS, a[HUGE]
    rest = total
    for j in range(fixed):
        row = odd + j * CLASS_WORDS
        guess = a[row + C_FROM] + (2 * (a[row + C_ROUGH] - a[row + C_FROM]) + step) // (2 * step) * step
        a[row + C_TOTAL] = min(a[row + C_TO], max(a[row + C_FROM], guess))
        rest -= a[row + C_TOTAL]
    if not domain(a, rest, step):
        return huge
    last = a[CLASSES] + (a[CHAIN] - 1) * CLASS_WORDS
    first, most = a[last + C_FROM], a[last + C_TO]
    for j in range(fixed):
        row = odd + j * CLASS_WORDS
        shift = 0
        if rest > most:
            shift = min(rest - most, a[row + C_TO] - a[row + C_TOTAL])
        elif rest < first:
            shift = max(rest - first, a[row + C_FROM] - a[row + C_TOTAL])
        a[row + C_TOTAL] += shift
        rest -= shift
    if rest > most or rest < first:
        return huge
    for j in range(fixed):
        _sides(a, j, step)
    here, right, left = _near(a, rest), huge, huge
    stale = True
    for _ in range(EXCHANGES):
        if tired(a):
            break
        if stale:
            right = _near(a, rest + step) if rest + step <= most else huge
            left = _near(a, rest - step) if rest - step >= first else huge
            stale = False
        if here < 0 or right < 0 or left < 0 or here == huge:
            return LOST
        cheap, to = right - here if right < huge else huge, -1
        dear, out = here - left if left < huge else -huge, -1
        for j in range(fixed):
            row = odd + j * CLASS_WORDS
            if a[row + C_RIGHT] < huge and a[row + C_RIGHT] - a[row + C_HERE] < cheap:
                cheap, to = a[row + C_RIGHT] - a[row + C_HERE], j
            if a[row + C_LEFT] < huge and a[row + C_HERE] - a[row + C_LEFT] > dear:
                dear, out = a[row + C_HERE] - a[row + C_LEFT], j
        if cheap >= dear or cheap == huge or dear == -huge:
            cost = _near(a, rest)
            for j in range(fixed):
                cost += evaluate(a, KINDS + j, a[odd + j * CLASS_WORDS + C_TOTAL], False)
            return cost
        if to < 0:
            rest += step
            here, stale = right, True
        if out < 0:
            rest -= step
            here, stale = left, True
        if to >= 0:
            a[odd + to * CLASS_WORDS + C_TOTAL] += step
            _sides(a, to, step)
        if out >= 0:
            a[odd + out * CLASS_WORDS + C_TOTAL] -= step
            _sides(a, out, step)
    return LOST
