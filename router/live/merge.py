"""The cheapest levels of all venues first: the relaxation of a split, which knows no lots, minimums or children.

Merging convex costs by slope is optimal; caps from balances, limit price and depth only cut a venue's book short. The
first `PLAIN` levels are merged one by one by a loser tree. An order that goes deeper takes whole batches of levels below a
pivot slope, which need no ordering inside, and merges only the last batch: about 2 ns a level instead of 10.

Costs are sums of (slope − least slope) × lots in doubles, only compared, never paid. What is paid is made of SPENT, the
exact Σ ticks × lots.
"""

from __future__ import annotations

from numba import njit

from pricing.book import H_DEPTH, HEADER, V_COUNT, VENUE_WORDS, side_base
from router.live.layout import (
    AT,
    CAP_LOTS,
    CAP_NOTIONAL,
    CHOICE,
    END,
    F_BASE,
    F_SUM,
    HEAD,
    KEY,
    LAST,
    MOST,
    NEXT_AT,
    NEXT_LAST,
    NEXT_PART,
    NEXT_SPENT,
    NEXT_TAKEN,
    NONE,
    P_FROM,
    P_TO,
    P_USED,
    PART,
    PPM,
    SHARE,
    SKIP,
    SPENT,
    STEP,
    STEPS,
    TAKEN,
    TOP,
    TREE,
    TREE_VENUES,
    TREE_WINNERS,
    USED,
    VENUE,
    W_LIMIT,
    W_SIDE,
    W_STEPS,
    W_VENUES,
    Array,
    Floats,
    U,
)

PLAIN = 64  # levels merged one by one before batches are tried
STRIDE = 16  # levels of one venue that a batch takes at most
FEW = 16  # a step no further than this is reached by merging from the top


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def shown(size: int, share: int) -> int:
    """What is counted on of a displayed size: size × share, rounded down, without overflow."""
    if share == PPM:
        return size
    return size // PPM * share + size % PPM * share // PPM


@njit(cache=True, nogil=True, error_model="numpy")
def locate(book: Array, work: Array, venue: int) -> int:
    """Where a venue's side lies in the arena, and how far the limit price lets it be used; how many levels that leaves."""
    row, side, limit = HEAD + U(venue) * VENUE, work[W_SIDE], work[W_LIMIT]
    n = book[U(HEADER + venue * VENUE_WORDS + V_COUNT + side)]
    base = side_base(book, venue, side)
    low = 0
    if limit > 0:  # the best level is last: find the first that is within the limit
        least = -limit if side == 1 else limit
        high = n
        while low < high:
            middle = (low + high) >> 1
            if book[U(base + middle)] < least:
                low = middle + 1
            else:
                high = middle
    share = work[row + SHARE]
    if share < PPM:
        depth = book[U(H_DEPTH)]
        while n > low and shown(book[U(base + depth + n - 1)], share) == 0:
            n -= 1
    work[row + END], work[row + TOP] = base + low, base + n - 1
    return n - low


@njit(cache=True, nogil=True, error_model="numpy")
def reset(work: Array) -> None:
    """Every venue that may be used and is not skipped at its best level, nothing taken."""
    for v in range(work[W_VENUES]):
        row = HEAD + U(v) * VENUE
        work[row + TAKEN], work[row + SPENT] = 0, 0
        work[row + LAST], work[row + PART] = work[row + TOP] + 1, 0
        work[row + AT] = work[row + TOP] if work[row + USED] == 1 and work[row + SKIP] == 0 else work[row + END] - 1


@njit(cache=True, nogil=True, error_model="numpy")
def build(book: Array, work: Array, leaves: int) -> int:
    """Keys of all venues, and the loser tree over `leaves` (a power of two); returns the winner."""
    venues, winners = work[W_VENUES], TREE_WINNERS + U(leaves)
    for v in range(leaves):
        row = HEAD + U(v) * VENUE
        key = NONE
        if v < venues and work[row + AT] >= work[row + END]:
            key = -book[U(work[row + AT])] * work[row + CHOICE]  # bids are kept as ticks, asks as −ticks: −key ascends
        work[row + KEY] = key
        work[winners + U(v)] = v
    for node in range(leaves - 1, 0, -1):
        two = TREE_WINNERS + U(2 * node)
        a, b = work[two], work[two + U(1)]
        key, rival = work[HEAD + U(a) * VENUE + KEY], work[HEAD + U(b) * VENUE + KEY]
        if rival < key:
            a, b, rival = b, a, key
        work[TREE_WINNERS + U(node)] = a
        work[TREE_VENUES + U(node)] = b
        work[TREE + U(node)] = rival
    return work[TREE_WINNERS + U(1)] if leaves > 1 else 0


@njit(cache=True, nogil=True, error_model="numpy")
def merge(book: Array, work: Array, sums: Floats, used: int, total: int, record: bool, most: int) -> int:
    """Go on from where the venues stand, `used` lots taken, to `total` lots or for `most` levels. Returns what is taken.

    `record` writes the prefix, a step a level.
    """
    depth, base = book[U(H_DEPTH)], sums[F_BASE]
    at = STEPS + U(work[W_STEPS]) * STEP
    cost = sums[at - STEP + F_SUM] if record and at > STEPS else 0.0
    leaves = 1
    while leaves < work[W_VENUES]:
        leaves <<= 1
    winner = build(book, work, leaves)
    row = HEAD + U(winner) * VENUE
    key = work[row + KEY]
    while used < total and key != NONE and most > 0:
        most -= 1
        level = work[row + AT]
        ticks = abs(book[U(level)])
        size = shown(book[U(level + depth)], work[row + SHARE])
        take = min(size, work[row + CAP_LOTS] - work[row + TAKEN])
        cap = work[row + CAP_NOTIONAL]
        if cap < MOST:
            take = min(take, (cap - work[row + SPENT]) // ticks)
        capped = take < size
        take = min(take, total - used)
        if take > 0:
            used += take
            work[row + TAKEN] += take
            work[row + SPENT] += take * ticks
            work[row + LAST], work[row + PART] = level, take
            if record:
                cost += (float(key) - base) * float(take)
                work[at + P_USED], work[at + P_FROM], work[at + P_TO] = used, key, key
                sums[at + F_SUM] = cost
                at += STEP
        if capped:
            level = work[row + END] - 1
        elif take == size:
            level -= 1
        work[row + AT] = level
        key = NONE
        if level >= work[row + END]:
            key = -book[U(level)] * work[row + CHOICE]
        node = (leaves + winner) >> 1
        while node > 0:
            rival, other = work[TREE + U(node)], work[TREE_VENUES + U(node)]
            if rival < key or (rival == key and other < winner):
                work[TREE + U(node)] = key
                work[TREE_VENUES + U(node)] = winner
                winner, key = other, rival
            node >>= 1
        row = HEAD + U(winner) * VENUE
    if record:
        work[W_STEPS] = (at - STEPS) // STEP
    return used


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def sweep(book: Array, work: Array, venue: int, pivot: int, total: int) -> int:
    """What a venue offers from where it stands at slopes below `pivot`, within its caps, into its NEXT words; lots, or some
    number above `total`."""
    row, depth = HEAD + U(venue) * VENUE, book[U(H_DEPTH)]
    level, end, choice, share = work[row + AT], work[row + END], work[row + CHOICE], work[row + SHARE]
    taken, spent, last, part = work[row + TAKEN], work[row + SPENT], work[row + LAST], work[row + PART]
    lots, money = work[row + CAP_LOTS], work[row + CAP_NOTIONAL]
    while level >= end and taken <= total:
        key = -book[U(level)]
        if key * choice >= pivot:
            break
        ticks = abs(key)
        size = shown(book[U(level + depth)], share)
        take = min(size, lots - taken, total + 1)
        if money < MOST:
            take = min(take, (money - spent) // ticks)
        if take > 0:
            taken += take
            spent += take * ticks
            last, part = level, take
        level = level - 1 if take == size else end - 1
    work[row + NEXT_AT], work[row + NEXT_LAST], work[row + NEXT_PART] = level, last, part
    work[row + NEXT_TAKEN], work[row + NEXT_SPENT] = taken, spent
    return taken - work[row + TAKEN]


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def advance(work: Array, venue: int) -> None:
    """A venue goes to where its sweep ended."""
    row = HEAD + U(venue) * VENUE
    work[row + AT], work[row + LAST], work[row + PART] = (
        work[row + NEXT_AT],
        work[row + NEXT_LAST],
        work[row + NEXT_PART],
    )
    work[row + TAKEN], work[row + SPENT] = work[row + NEXT_TAKEN], work[row + NEXT_SPENT]


@njit(cache=True, nogil=True, error_model="numpy")
def batches(book: Array, work: Array, sums: Floats, used: int, total: int, record: bool) -> int:
    """Go on as `merge` does, a batch of levels below a pivot at a time, while whole batches fit. Returns what is taken.

    `record` writes a step a batch, of which only the ends are known.
    """
    venues, base = work[W_VENUES], sums[F_BASE]
    at = STEPS + U(work[W_STEPS]) * STEP
    stride = STRIDE
    while stride > 1:
        pivot = NONE
        for v in range(venues):
            row = HEAD + U(v) * VENUE
            level = work[row + AT] - stride
            if level >= work[row + END]:
                pivot = min(pivot, -book[U(level)] * work[row + CHOICE])
        if pivot == NONE:
            stride >>= 1
            continue
        lots, cost = 0, 0.0
        for v in range(venues):
            row = HEAD + U(v) * VENUE
            lots += sweep(book, work, v, pivot, total)
            if used + lots > total:
                break
            cost += float(work[row + NEXT_SPENT] - work[row + SPENT]) * float(work[row + CHOICE])
        if used + lots > total:
            stride >>= 1
            continue
        for v in range(venues):
            advance(work, v)
        used += lots
        if record and lots > 0:
            if work[W_SIDE] == 0:
                cost = -cost
            work[at + P_USED], work[at + P_FROM], work[at + P_TO] = used, work[at - STEP + P_TO], pivot
            sums[at + F_SUM] = sums[at - STEP + F_SUM] + cost - base * float(lots)
            at += STEP
    if record:
        work[W_STEPS] = (at - STEPS) // STEP
    return used


@njit(cache=True, nogil=True, error_model="numpy")
def relax(book: Array, work: Array, sums: Floats, total: int, record: bool) -> int:
    """The relaxation of `total` lots in the venues' rows; `record`: with its prefix. Returns what could be taken."""
    reset(work)
    work[W_STEPS] = 0
    used = merge(book, work, sums, 0, total, record, PLAIN)
    if used < total:
        used = batches(book, work, sums, used, total, record)
        used = merge(book, work, sums, used, total, record, NONE)
    return used


@njit(cache=True, nogil=True, error_model="numpy")
def step_of(work: Array, lots: int) -> int:
    """Which step reaches `lots` (above 0, and reached)."""
    low, high = 0, work[W_STEPS] - 1
    while low < high:
        middle = (low + high) >> 1
        if work[STEPS + U(middle) * STEP + P_USED] < lots:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True, error_model="numpy")
def relaxed(work: Array, sums: Floats, lots: int) -> float:
    """A lower bound of the cost of `lots` (reached by the prefix) from the books: exact within a step of one slope, above the
    tangents at both ends within a batch."""
    if lots == 0:
        return 0.0
    at, base = STEPS + U(step_of(work, lots)) * STEP, sums[F_BASE]
    least = sums[at + F_SUM] - (float(work[at + P_TO]) - base) * float(work[at + P_USED] - lots)
    if work[at + P_FROM] < work[at + P_TO]:
        before = sums[at - STEP + F_SUM] + (float(work[at + P_FROM]) - base) * float(lots - work[at - STEP + P_USED])
        least = max(least, before)
    return least


@njit(cache=True, nogil=True, error_model="numpy")
def cut(book: Array, work: Array, sums: Floats, total: int) -> int:
    """The relaxation of `total` lots when the prefix is known and nothing is skipped: each venue up to the slopes of the step
    that reaches it, which needs no ordering, and a merge of the rest. Returns what was taken."""
    reset(work)
    step, used = step_of(work, total), 0
    if step > FEW:
        pivot = work[STEPS + U(step) * STEP + P_FROM]
        for v in range(work[W_VENUES]):
            used += sweep(book, work, v, pivot, total)
            advance(work, v)
    return merge(book, work, sums, used, total, False, NONE)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def cost_of(work: Array, sums: Floats, venue: int, lots: int, notional: int) -> float:
    """Cost of what a venue gives, counted from the least slope."""
    money = float(notional) * float(work[HEAD + U(venue) * VENUE + CHOICE])
    return (money if work[W_SIDE] == 1 else -money) - sums[F_BASE] * float(lots)
