"""The certified fast path: an ordinary order over live books and all-or-none quotes, in one kernel call without allocation.

The relaxation takes the cheapest levels of all venues first (a loser tree over the venues' heads; caps from balances,
limit price and depth checked on the way). Merging convex costs by slope is optimal, so

1. the merge's prefix sums bound every admissible subset of the quotes from below: LB(S) = prefix(total − size of S) +
   cost of S, one binary search each;
2. the subset of the least bound is turned into a plan: merge what it leaves, drop venues below their minimum or beyond
   the child count and merge again, cut to whole lots and place the rest where it is cheapest;
3. a plan whose cost is within the tolerance of the least bound is certified. Otherwise the next subsets are tried, and
   when none certifies the answer is `UNCERTIFIED` and the exact search decides.

Slopes are exact integers: ticks × (10^8 ± fee in 10^-8), so no two levels are ever in the wrong order. Costs are sums
of (slope − least slope) × lots in doubles, only compared, never paid: `MARGIN` is far above their rounding error, and a
plan is called optimal only when every other subset is dearer by more than it. Money is made of the integer notionals.

Words: `work` = header | venue rows | quote rows | loser tree | subsets | prefix; `sums` = header | subsets | prefix.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pricing.book import H_DEPTH, HEADER, V_COUNT, VENUE_WORDS, Array, side_base

Floats = npt.NDArray[np.float64]

CERTIFIED, UNCERTIFIED = 1, 0
NONE = 1 << 62  # key of a venue that has nothing more
MOST = 1 << 61
MOST_TICKS = 1 << 35  # × (10^8 + fee) stays below 2^62
MARGIN = 1e-12  # of the order's value: above the rounding of the double sums, below everything that matters
TRIES = 6  # subsets turned into plans
ROUNDS = 6  # merges for one plan
PAIRS = 10  # venues up to which pairs of them are tried

W_SIDE, W_VENUES, W_TOTAL, W_LIMIT, W_CHILDREN, W_QUOTES = 0, 1, 2, 3, 4, 5  # in
W_SUBSET, W_OPTIMAL, W_STEPS = 8, 9, 10  # out: quotes taken (bits), proven, steps of the prefix
F_GAP, F_TOLERANCE, F_BASE = 0, 1, 2  # cost over bound (out); relative tolerance (in); scratch
HEAD = 16
LOT, MIN_LOTS, MIN_NOTIONAL, CAP_LOTS, CAP_NOTIONAL, FACTOR, USED = 0, 1, 2, 3, 4, 5, 6  # in; USED: may be traded at
LOW, KEY, CURSOR, TAKEN, SPENT, SKIP, FINAL = 7, 8, 9, 10, 11, 12, 13  # scratch
OUT_LOTS, OUT_NOTIONAL, OUT_WORST = 14, 15, 16  # out
BASE, END = 17, 18  # scratch: first word of the side's keys, and the cursor of its last level within the limit price
OTHER = 19  # scratch: a second placement
VENUE = 20
MAX_VENUES = 64
MAX_QUOTES = 8
Q_KEY, Q_SIZE, Q_GROUP = 0, 1, 2
QUOTE = 4
QUOTES = HEAD + MAX_VENUES * VENUE
TREE = QUOTES + MAX_QUOTES * QUOTE  # losers, then 2 × as many winners while it is built
SUBSETS = TREE + 3 * MAX_VENUES  # size of each subset (-1: not admissible), then its LPs as bits
PREFIX = SUBSETS + 2 * (1 << MAX_QUOTES)
F_SUBSETS = 8  # cost of the quotes of each subset, then its bound
F_PREFIX = F_SUBSETS + 2 * (1 << MAX_QUOTES)
BOUNDS = F_SUBSETS + (1 << MAX_QUOTES)


def new_work(venues: int, depth: int) -> tuple[Array, Floats]:
    """Work arrays for books of that shape."""
    steps = venues * depth + 1
    return np.zeros(PREFIX + 2 * steps, dtype=np.int64), np.zeros(F_PREFIX + steps, dtype=np.float64)


@njit(cache=True, nogil=True)
def locate(book: Array, work: Array, venue: int) -> int:
    """Where a venue's side lies in the arena, and how far the limit price lets it be used; how many levels that leaves."""
    row, side, limit = HEAD + venue * VENUE, work[W_SIDE], work[W_LIMIT]
    n = book[HEADER + venue * VENUE_WORDS + V_COUNT + side]
    base = side_base(book, venue, side)
    low = 0
    if limit > 0:  # the best level is last: find the first that is within the limit
        least = -limit if side == 1 else limit
        high = n
        while low < high:
            middle = (low + high) >> 1
            if book[base + middle] < least:
                low = middle + 1
            else:
                high = middle
    work[row + BASE], work[row + END], work[row + CURSOR] = base, low, n - 1
    return n - low


@njit(cache=True, nogil=True)
def head_key(book: Array, work: Array, row: int) -> int:
    """Slope of the level under a venue's cursor; `NONE` at the end of the book or beyond the limit price."""
    cursor = work[row + CURSOR]
    if cursor < work[row + END]:
        return NONE
    return -book[work[row + BASE] + cursor] * work[row + FACTOR]  # bids are kept as ticks, asks as −ticks: −key ascends


@njit(cache=True, nogil=True)
def replay(work: Array, leaves: int, leaf: int) -> int:
    """The winner after the key of `leaf` (the last winner) changed."""
    key = work[HEAD + leaf * VENUE + KEY]
    node = (leaves + leaf) >> 1
    while node > 0:
        other = work[TREE + node]
        rival = work[HEAD + other * VENUE + KEY]
        if rival < key or (rival == key and other < leaf):
            work[TREE + node] = leaf
            leaf, key = other, rival
        node >>= 1
    return leaf


@njit(cache=True, nogil=True)
def build(work: Array, leaves: int) -> int:
    """Fill the loser tree over `leaves` (a power of two); returns the winner."""
    winners = TREE + leaves
    for leaf in range(leaves):
        work[winners + leaves + leaf] = leaf
    for node in range(leaves - 1, 0, -1):
        a, b = work[winners + 2 * node], work[winners + 2 * node + 1]
        if work[HEAD + b * VENUE + KEY] < work[HEAD + a * VENUE + KEY]:
            a, b = b, a
        work[winners + node] = a
        work[TREE + node] = b
    return work[winners + 1] if leaves > 1 else 0


@njit(cache=True, nogil=True)
def merge(book: Array, work: Array, sums: Floats, total: int, record: bool) -> int:
    """Take `total` lots, cheapest first, from the venues that are not skipped; fills TAKEN and SPENT. Returns what was taken.

    `record` writes the prefix: lots, slope and cost up to each step.
    """
    venues, depth, side = work[W_VENUES], book[H_DEPTH], work[W_SIDE]
    leaves = 1
    while leaves < venues:
        leaves <<= 1
    for v in range(leaves):
        row = HEAD + v * VENUE
        work[row + TAKEN] = 0
        work[row + SPENT] = 0
        work[row + KEY] = NONE
        if v < venues and work[row + USED] == 1 and work[row + SKIP] == 0:
            work[row + CURSOR] = book[HEADER + v * VENUE_WORDS + V_COUNT + side] - 1
            work[row + KEY] = head_key(book, work, row)
    steps_at = PREFIX + (work.shape[0] - PREFIX) // 2
    base, cost, used, steps = sums[F_BASE], 0.0, 0, 0
    winner = build(work, leaves)
    while used < total:
        row = HEAD + winner * VENUE
        key = work[row + KEY]
        if key == NONE:
            break
        at = work[row + BASE] + work[row + CURSOR]
        ticks = abs(book[at])
        size = book[at + depth]
        take = size
        if take > work[row + CAP_LOTS] - work[row + TAKEN]:
            take = work[row + CAP_LOTS] - work[row + TAKEN]
        left = work[row + CAP_NOTIONAL] - work[row + SPENT]
        if left < MOST >> 1 and take > left // ticks:
            take = left // ticks
        capped = take < size
        if take > total - used:
            take = total - used
        if take > 0:
            used += take
            work[row + TAKEN] += take
            work[row + SPENT] += take * ticks
            cost += (float(key) - base) * float(take)
            if record:
                work[PREFIX + steps] = used
                work[steps_at + steps] = key
                sums[F_PREFIX + steps] = cost
                steps += 1
        if capped:
            work[row + KEY] = NONE
        elif take == size:
            work[row + CURSOR] -= 1
            work[row + KEY] = head_key(book, work, row)
        winner = replay(work, leaves, winner)
    if record:
        work[W_STEPS] = steps
    return used


@njit(cache=True, nogil=True)
def step_of(work: Array, lots: int) -> int:
    """The step of the prefix that reaches `lots` (above 0); -1 when the books do not hold so much."""
    n = work[W_STEPS]
    if n == 0 or work[PREFIX + n - 1] < lots:
        return -1
    low, high = 0, n - 1
    while low < high:
        middle = (low + high) >> 1
        if work[PREFIX + middle] < lots:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def relaxed(work: Array, sums: Floats, lots: int) -> float:
    """Least cost of `lots` from the books, by the prefix; infinite when they do not hold so much."""
    if lots == 0:
        return 0.0
    step = step_of(work, lots)
    if step < 0:
        return np.inf
    steps_at = PREFIX + (work.shape[0] - PREFIX) // 2
    slope = float(work[steps_at + step]) - sums[F_BASE]
    return sums[F_PREFIX + step] - slope * float(work[PREFIX + step] - lots)


@njit(cache=True, nogil=True)
def cut(book: Array, work: Array, total: int) -> bool:
    """The merge of `total` lots once the prefix is known: every venue up to the slope that reaches it, which needs no
    ordering. Fills TAKEN; False when the books do not hold so much."""
    step = step_of(work, total)
    if step < 0:
        return False
    slope = work[PREFIX + (work.shape[0] - PREFIX) // 2 + step]
    venues, depth, side = work[W_VENUES], book[H_DEPTH], work[W_SIDE]
    left = total
    for v in range(venues):  # cheaper than the slope
        row = HEAD + v * VENUE
        taken, spent, open_ = 0, 0, work[row + USED] == 1
        base, end, factor = work[row + BASE], work[row + END], work[row + FACTOR]
        cap, money = work[row + CAP_LOTS], work[row + CAP_NOTIONAL]
        cursor = book[HEADER + v * VENUE_WORDS + V_COUNT + side] - 1
        while open_ and cursor >= end:
            key = -book[base + cursor]
            ticks = abs(key)
            if key * factor >= slope:
                break
            size = book[base + depth + cursor]
            take = min(size, cap - taken, total)
            if take * ticks > money - spent:
                take = (money - spent) // ticks
            open_ = take == size
            taken += take
            spent += take * ticks
            cursor -= 1
        work[row + TAKEN], work[row + SPENT] = taken, spent
        work[row + CURSOR] = cursor if open_ else -1
        left -= taken
    for v in range(venues):  # at the slope itself, in order
        row = HEAD + v * VENUE
        base, cursor = work[row + BASE], work[row + CURSOR]
        while left > 0 and cursor >= 0 and head_key(book, work, row) == slope:
            ticks, size = abs(book[base + cursor]), book[base + depth + cursor]
            take = min(size, work[row + CAP_LOTS] - work[row + TAKEN], total)
            take = min(take, (work[row + CAP_NOTIONAL] - work[row + SPENT]) // ticks)
            cursor = cursor - 1 if take == size else -1
            take = min(take, left)
            work[row + TAKEN] += take
            work[row + SPENT] += take * ticks
            work[row + CURSOR] = cursor
            left -= take
    return left == 0


@njit(cache=True, nogil=True)
def walk(book: Array, work: Array, sums: Floats, venue: int, lots: int, out: bool) -> float:
    """Cost of `lots` at one venue from its best level on; infinite when book, limit or caps do not allow it. `out` writes the
    OUT words."""
    row = HEAD + venue * VENUE
    if lots > work[row + CAP_LOTS]:
        return np.inf
    side, depth = work[W_SIDE], book[H_DEPTH]
    base, end, factor = work[row + BASE], work[row + END], work[row + FACTOR]
    cursor = book[HEADER + venue * VENUE_WORDS + V_COUNT + side] - 1
    left, notional, worst, cost = lots, 0, 0, 0.0
    while left > 0:
        if cursor < end:
            return np.inf
        key = -book[base + cursor]
        ticks = abs(key)
        take = min(left, book[base + depth + cursor])
        notional += take * ticks
        cost += (float(key * factor) - sums[F_BASE]) * float(take)
        worst = ticks
        left -= take
        cursor -= 1
    if notional > work[row + CAP_NOTIONAL]:
        return np.inf
    if out:
        work[row + OUT_LOTS] = lots
        work[row + OUT_NOTIONAL] = notional
        work[row + OUT_WORST] = worst
    return cost


@njit(cache=True, nogil=True)
def settle(book: Array, work: Array, sums: Floats, total: int, room: int) -> tuple[float, bool]:
    """A plan of exactly `total` lots on at most `room` venues near the relaxation, in FINAL: (cost, whether it is the
    relaxation itself). Infinite when none was found."""
    venues = work[W_VENUES]
    if total == 0:
        for v in range(venues):
            work[HEAD + v * VENUE + FINAL] = 0
        return 0.0, True
    pure = True
    for v in range(venues):
        work[HEAD + v * VENUE + SKIP] = 0
    for turn in range(ROUNDS):
        if turn == 0:
            if not cut(book, work, total):
                return np.inf, False
        elif merge(book, work, sums, total, False) < total:
            return np.inf, False
        count, smallest, changed = 0, -1, False
        for v in range(venues):
            row = HEAD + v * VENUE
            if work[row + TAKEN] == 0:
                continue
            if work[row + TAKEN] < work[row + LOW]:
                work[row + SKIP] = 1
                changed = True
                continue
            count += 1
            if smallest < 0 or work[row + TAKEN] < work[HEAD + smallest * VENUE + TAKEN]:
                smallest = v
        if not changed and count > room:
            work[HEAD + smallest * VENUE + SKIP] = 1
            changed = True
        if not changed:
            break
        pure = False
    if changed:
        return np.inf, False
    rest, cost = 0, 0.0
    for v in range(venues):
        row = HEAD + v * VENUE
        over = work[row + TAKEN] % work[row + LOT] if work[row + TAKEN] > 0 else 0
        rest += over
        work[row + FINAL] = work[row + TAKEN] - over
    if rest > 0:
        pure = False
        best, cheapest = -1, np.inf
        for v in range(venues):
            row = HEAD + v * VENUE
            if work[row + USED] == 0 or rest % work[row + LOT] != 0:
                continue
            now = work[row + FINAL]
            if now + rest < work[row + LOW] or (now == 0 and count >= room):
                continue
            more = walk(book, work, sums, v, now + rest, False)
            if more < np.inf:
                more -= walk(book, work, sums, v, now, False)
                if more < cheapest:
                    best, cheapest = v, more
        if best < 0:
            return np.inf, False
        work[HEAD + best * VENUE + FINAL] += rest
    for v in range(venues):
        row = HEAD + v * VENUE
        if work[row + FINAL] > 0:
            if work[row + FINAL] < work[row + LOW]:
                return np.inf, False
            cost += walk(book, work, sums, v, work[row + FINAL], False)
    return cost, pure


@njit(cache=True, nogil=True)
def exchange(book: Array, work: Array, sums: Floats, total: int, room: int) -> float:
    """After `settle`: another way to place what the lots leave over. One venue gives back some lots, so that with the rest
    they are whole lots of another, and its minimum. Fills OTHER; returns the cost, infinite when no pair can."""
    venues, count, rest, cost = work[W_VENUES], 0, 0, 0.0
    for v in range(venues):
        row = HEAD + v * VENUE
        total -= work[row + TAKEN]
        if 0 < work[row + TAKEN] < work[row + LOW]:
            return np.inf  # `settle` ended before its merge was a plan but for the lots
        over = work[row + TAKEN] % work[row + LOT] if work[row + TAKEN] > 0 else 0
        rest += over
        work[row + OTHER] = work[row + TAKEN] - over
        if work[row + OTHER] > 0:
            count += 1
            cost += walk(book, work, sums, v, work[row + OTHER], False)
    if rest == 0 or total != 0 or count > room:
        return np.inf
    giver, taker, moved, cheapest = -1, -1, 0, np.inf
    for w in range(venues):
        to = HEAD + w * VENUE
        if work[to + USED] == 0 or (work[to + OTHER] == 0 and count >= room):
            continue
        now, lot = work[to + OTHER], work[to + LOT]
        before = walk(book, work, sums, w, now, False)
        for u in range(venues):
            row = HEAD + u * VENUE
            if u == w or work[row + OTHER] == 0:
                continue
            if rest % lot == 0:  # what the minimum asks for
                back = -(-max(work[to + LOW] - now - rest, 0) // work[row + LOT]) * work[row + LOT]
            else:  # what a whole lot asks for
                back = -rest % lot
            left = work[row + OTHER] - back
            if back % work[row + LOT] != 0 or (rest + back) % lot != 0:
                continue
            if left < work[row + LOW] or now + rest + back < work[to + LOW]:
                continue
            change = walk(book, work, sums, w, now + rest + back, False) - before
            change += walk(book, work, sums, u, left, False) - walk(book, work, sums, u, work[row + OTHER], False)
            if change < cheapest:
                giver, taker, moved, cheapest = u, w, back, change
    if taker < 0:
        return np.inf
    work[HEAD + giver * VENUE + OTHER] -= moved
    work[HEAD + taker * VENUE + OTHER] += rest + moved
    return cost + cheapest


@njit(cache=True, nogil=True)
def prepare(book: Array, work: Array, sums: Floats) -> bool:
    """Least slope, minimums; whether every number fits."""
    venues, total = work[W_VENUES], work[W_TOTAL]
    best = NONE
    for v in range(venues):
        row = HEAD + v * VENUE
        work[row + OUT_LOTS] = 0
        if work[row + USED] == 0:
            continue
        if locate(book, work, v) <= 0:
            work[row + USED] = 0
            continue
        key = head_key(book, work, row)
        n, base = work[row + CURSOR] + 1, work[row + BASE]
        worst = max(abs(book[base]), abs(book[base + n - 1]))
        if worst >= MOST_TICKS or total > MOST // worst:
            return False
        ticks, lot = abs(book[base + n - 1]), work[row + LOT]
        low = max(work[row + MIN_LOTS], -(-work[row + MIN_NOTIONAL] // ticks), 1)
        work[row + LOW] = -(-low // lot) * lot
        best = min(best, key)
    sums[F_BASE] = float(best)
    return best != NONE


@njit(cache=True, nogil=True)
def certify(book: Array, work: Array, sums: Floats) -> int:
    """Solve the order in `work`: `CERTIFIED` with OUT words, W_SUBSET, W_OPTIMAL and F_GAP, else `UNCERTIFIED`."""
    work[W_SUBSET], work[W_OPTIMAL] = 0, 0
    if not prepare(book, work, sums):
        return UNCERTIFIED
    total, quotes, venues = work[W_TOTAL], work[W_QUOTES], work[W_VENUES]
    for v in range(venues):
        work[HEAD + v * VENUE + SKIP] = 0
    merge(book, work, sums, total, True)
    lps = SUBSETS + (1 << MAX_QUOTES)
    count_of = work[W_CHILDREN]
    work[SUBSETS], work[lps] = 0, 0
    sums[F_SUBSETS] = 0.0
    for j in range(quotes):
        row = QUOTES + j * QUOTE
        group = 1 << work[row + Q_GROUP]
        for m in range(1 << j):
            subset = m | (1 << j)
            work[SUBSETS + subset] = -1
            size = work[SUBSETS + m] + work[row + Q_SIZE]
            if work[SUBSETS + m] < 0 or work[lps + m] & group or size > total:
                continue
            work[SUBSETS + subset] = size
            work[lps + subset] = work[lps + m] | group
            sums[F_SUBSETS + subset] = sums[F_SUBSETS + m] + (float(work[row + Q_KEY]) - sums[F_BASE]) * float(
                work[row + Q_SIZE]
            )
    first, bound, second = -1, np.inf, np.inf
    for subset in range(1 << quotes):
        sums[BOUNDS + subset] = np.inf
        if work[SUBSETS + subset] < 0:
            continue
        children, bits = 0, work[lps + subset]
        while bits:
            bits &= bits - 1
            children += 1
        if children > count_of:
            continue
        least = relaxed(work, sums, total - work[SUBSETS + subset]) + sums[F_SUBSETS + subset]
        sums[BOUNDS + subset] = least
        if least < bound:
            first, bound, second = subset, least, bound
        elif least < second:
            second = least
    if first < 0 or bound == np.inf:
        return UNCERTIFIED
    value = abs(sums[F_BASE]) * float(total)
    margin = value * MARGIN
    tolerance = max(0.0, (value - abs(bound)) * sums[F_TOLERANCE] * 0.99)
    incumbent = np.inf
    for turn in range(TRIES):
        best, least = -1, np.inf
        for subset in range(1 << quotes):
            if sums[BOUNDS + subset] < least:
                best, least = subset, sums[BOUNDS + subset]
        if best < 0 or least >= incumbent - margin:
            break
        sums[BOUNDS + best] = np.inf
        children, bits = 0, work[lps + best]
        while bits:
            bits &= bits - 1
            children += 1
        cost, pure = settle(book, work, sums, total - work[SUBSETS + best], count_of - children)
        if cost + sums[F_SUBSETS + best] - bound + margin > tolerance and venues <= PAIRS:
            other = exchange(book, work, sums, total - work[SUBSETS + best], count_of - children)
            if other < cost:
                cost, pure = other, False
                for v in range(venues):
                    work[HEAD + v * VENUE + FINAL] = work[HEAD + v * VENUE + OTHER]
        cost += sums[F_SUBSETS + best]
        if cost < incumbent:
            incumbent = cost
            work[W_SUBSET] = best
            work[W_OPTIMAL] = 1 if pure and turn == 0 and second > cost + margin else 0
            for v in range(venues):
                work[HEAD + v * VENUE + OUT_LOTS] = work[HEAD + v * VENUE + FINAL]
            if cost - bound + margin <= tolerance:
                break
    sums[F_GAP] = max(0.0, incumbent - bound) + margin
    if work[W_OPTIMAL] == 0 and sums[F_GAP] > tolerance:
        return UNCERTIFIED
    if incumbent == np.inf:
        return UNCERTIFIED
    for v in range(venues):
        row = HEAD + v * VENUE
        if work[row + OUT_LOTS] > 0:
            walk(book, work, sums, v, work[row + OUT_LOTS], True)
    return CERTIFIED
