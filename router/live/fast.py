"""The certified fast path: an ordinary order over live books and all-or-none quotes, in one kernel call without allocation.

1. The relaxation takes the cheapest levels of all venues first (`router.live.merge`). When it is a plan already and there are
   no quotes it is the optimum, and nothing more is done.
2. Its prefix bounds every admissible subset of the quotes from below: LB(S) = prefix(total − size of S) + cost of S. The
   tangent at the end of the prefix bounds that again; only subsets that could still be best pay for the search.
3. The subset of the least bound is turned into a plan (`router.live.place`): merge what it leaves, drop venues below their
   minimum or beyond the child count and merge again, cut to whole lots and place the rest where it is cheapest.
4. Where that leaves a gap, venues of coarse and of fine lots are merged on their own (`router.live.lots`): a better bound, and
   mostly a better plan.
5. A plan whose cost is within the tolerance of the least bound is certified. Otherwise the next subsets are tried, and
   when none certifies the answer says why, and the exact search decides.

Costs are doubles, only compared, never paid: `MARGIN` is far above their rounding error, and a plan is called optimal only
when every other subset is dearer by more than it. Money is made of the integer notionals.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pricing.pointer import doubles, integers
from router.live.layout import (
    CHOICE,
    END,
    F_BASE,
    F_BOUND,
    F_COST,
    F_GAP,
    F_SUM,
    HEAD,
    LOT,
    LOW,
    MIN_LOTS,
    MIN_NOTIONAL,
    MOST,
    MOST_TICKS,
    NONE,
    OUT_LOTS,
    P_FROM,
    P_TO,
    P_USED,
    Q_GROUP,
    Q_KEY,
    Q_SIZE,
    QUOTE,
    QUOTES,
    S_BITS,
    S_CHILDREN,
    S_GROUPS,
    S_SIZE,
    S_STATE,
    SKIP,
    STEP,
    STEPS,
    SUBSET,
    SUBSETS,
    TOP,
    USED,
    VENUE,
    W_CHILDREN,
    W_OPTIMAL,
    W_QUOTES,
    W_STEPS,
    W_SUBSET,
    W_TOLERANCE,
    W_TOTAL,
    W_VENUES,
    Array,
    Floats,
    U,
)
from router.live.lots import by_lots, keep_relaxed
from router.live.merge import cut, locate, relax, relaxed
from router.live.place import EXCHANGED, NOWHERE, PLACED, STRAIGHT, exchange, settle, whole, write

CERTIFIED = 0
TOO_LARGE, UNFILLED, UNPLACED, WIDE = 1, 2, 3, 4  # numbers; books and quotes hold too little; no plan; gap too wide
MARGIN = 1e-12  # of the order's value: above the rounding of the double sums, below everything that matters
CERTIFY = "(int64, int64)"  # signature of `certify`
TRIES = 6  # subsets turned into plans
BY_TANGENT, BY_PREFIX, TRIED = 0, 1, 2


@njit(cache=True, nogil=True, error_model="numpy")
def prepare(book: Array, work: Array, sums: Floats) -> int:
    """Where the venues' levels are, least slope, minimums in whole lots; `CERTIFIED` when every number fits."""
    total, best = work[W_TOTAL], NONE
    for v in range(work[W_VENUES]):
        row = HEAD + U(v) * VENUE
        work[row + OUT_LOTS], work[row + SKIP] = 0, 0
        if work[row + USED] == 0 or locate(book, work, v) <= 0:
            work[row + USED], work[row + TOP], work[row + END] = 0, 0, 1
            continue
        top = book[U(work[row + TOP])]
        ticks = abs(top)
        worst = max(ticks, abs(book[U(work[row + END])]))
        if worst >= MOST_TICKS or total > MOST // worst:
            return TOO_LARGE
        lot, low = work[row + LOT], max(work[row + MIN_LOTS], 1)
        if work[row + MIN_NOTIONAL] > 0:
            low = max(low, (work[row + MIN_NOTIONAL] + ticks - 1) // ticks)
        work[row + LOW] = (low + lot - 1) // lot * lot if lot > 1 else low
        best = min(best, -top * work[row + CHOICE])
    if best == NONE and work[W_QUOTES] > 0:  # quotes alone
        best = work[QUOTES + Q_KEY]
    sums[F_BASE] = float(best)
    return CERTIFIED if best != NONE else UNFILLED


@njit(cache=True, nogil=True, error_model="numpy")
def subsets(work: Array, sums: Floats, used: int, reached: float, slope: float) -> int:
    """Every admissible subset of the quotes (one of an LP, no more children than allowed, not more than the order) with its
    bound by the tangent at the end of the prefix: `used` lots at cost `reached` and slope `slope`. How many there are."""
    total, most, base = work[W_TOTAL], work[W_CHILDREN], sums[F_BASE]
    work[SUBSETS + S_BITS], work[SUBSETS + S_SIZE], work[SUBSETS + S_GROUPS] = 0, 0, 0
    work[SUBSETS + S_CHILDREN], sums[SUBSETS + F_COST] = 0, 0.0
    n = 1
    for j in range(work[W_QUOTES]):
        row = QUOTES + U(j) * QUOTE
        size, group = work[row + Q_SIZE], 1 << work[row + Q_GROUP]
        cost = (float(work[row + Q_KEY]) - base) * float(size)
        at = SUBSETS + U(n) * SUBSET
        for i in range(n):
            of = SUBSETS + U(i) * SUBSET
            if work[of + S_GROUPS] & group or work[of + S_SIZE] + size > total or work[of + S_CHILDREN] >= most:
                continue
            work[at + S_BITS] = work[of + S_BITS] | 1 << j
            work[at + S_SIZE] = work[of + S_SIZE] + size
            work[at + S_GROUPS] = work[of + S_GROUPS] | group
            work[at + S_CHILDREN] = work[of + S_CHILDREN] + 1
            sums[at + F_COST] = sums[of + F_COST] + cost
            at += SUBSET
            n += 1
    for i in range(n):
        at = SUBSETS + U(i) * SUBSET
        short = used - (total - work[at + S_SIZE])  # lots that the books keep
        work[at + S_STATE] = BY_TANGENT
        sums[at + F_BOUND] = np.inf if short < 0 else max(reached - slope * float(short), 0.0) + sums[at + F_COST]
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def least_of(work: Array, sums: Floats, n: int) -> tuple[int, float, float]:
    """The subset of the least bound among those not tried (ties: the first; -1: none), its bound, and the least of all."""
    best, least, tried = -1, np.inf, np.inf
    for i in range(n):
        at = SUBSETS + U(i) * SUBSET
        bound = sums[at + F_BOUND]
        if work[at + S_STATE] == TRIED:
            tried = min(tried, bound)
        elif bound < least:
            best, least = i, bound
    return best, least, min(least, tried)


@njit(cache=True, nogil=True, error_model="numpy")
def choose(book: Array, work: Array, sums: Floats, used: int) -> int:
    """Over all subsets of the quotes, after the relaxation of the whole order with its prefix: the plan in the OUT words."""
    total, steps, base = work[W_TOTAL], work[W_STEPS], sums[F_BASE]
    reached, slope = 0.0, 0.0
    if steps > 0:
        end = STEPS + U(steps - 1) * STEP
        reached, slope = sums[end + F_SUM], float(work[end + P_TO]) - base
    n = subsets(work, sums, used, reached, slope)
    value = abs(base) * float(total)
    margin, tolerance = value * MARGIN, 0.0
    incumbent, chosen, pure, tries = np.inf, -1, False, 0
    while True:
        best, least, lowest = least_of(work, sums, n)
        if lowest == np.inf:
            return UNFILLED
        tolerance = max(0.0, (value - abs(lowest)) * 1e-12 * float(work[W_TOLERANCE]) * 0.99)
        if best < 0 or least >= incumbent - margin or incumbent - lowest + margin <= tolerance:
            break
        at = SUBSETS + U(best) * SUBSET
        lots, room, quoted = total - work[at + S_SIZE], work[W_CHILDREN] - work[at + S_CHILDREN], sums[at + F_COST]
        if work[at + S_STATE] == BY_TANGENT:
            sums[at + F_BOUND] = max(least, relaxed(work, sums, lots) + quoted)
            work[at + S_STATE] = BY_PREFIX
            continue
        if tries == TRIES:
            break
        tries += 1
        work[at + S_STATE] = TRIED
        cost, straight, plan = 0.0, True, NOWHERE
        if lots > 0:
            if tries > 1 or lots != used:  # else the relaxation is there still
                cut(book, work, sums, lots)
            cost, straight = whole(work, sums, room)
            sums[at + F_BOUND] = cost + quoted  # exact, also within a batch
            plan = STRAIGHT
            if not straight:
                keep_relaxed(work)
                cost, rest = settle(book, work, sums, lots, room)
                plan = PLACED
                if rest > 0 and cost + quoted - lowest + margin > tolerance:
                    other = exchange(book, work, sums, rest, room)
                    if other < cost:
                        cost, plan = other, EXCHANGED
        if cost + quoted < incumbent:
            incumbent, chosen, pure = cost + quoted, best, straight
            write(book, work, sums, plan)
        if not straight and incumbent - sums[at + F_BOUND] + margin > tolerance:
            least, cost = by_lots(book, work, sums, lots, room, incumbent - quoted)
            sums[at + F_BOUND] = max(sums[at + F_BOUND], least + quoted)
            if cost + quoted < incumbent:
                incumbent, chosen, pure = cost + quoted, best, False
    if chosen < 0:
        return UNPLACED
    bound, rival = sums[SUBSETS + U(chosen) * SUBSET + F_BOUND], np.inf  # what it, and any other subset, costs at least
    for i in range(n):
        at = SUBSETS + U(i) * SUBSET
        if i != chosen:
            least = sums[at + F_BOUND]
            if least <= incumbent + margin and work[at + S_STATE] == BY_TANGENT:
                least = max(least, relaxed(work, sums, total - work[at + S_SIZE]) + sums[at + F_COST])
            rival = min(rival, least)
    work[W_SUBSET] = work[SUBSETS + U(chosen) * SUBSET + S_BITS]
    work[W_OPTIMAL] = 1 if pure and rival > incumbent + margin else 0
    sums[F_GAP] = max(0.0, incumbent - min(bound, rival)) + margin
    return CERTIFIED if work[W_OPTIMAL] == 1 or sums[F_GAP] <= tolerance else WIDE


@njit(cache=True, nogil=True, error_model="numpy")
def certify(book_at: int, order_at: int) -> int:
    """Solve the order of the arena at `order_at` over the books of the one at `book_at`: `CERTIFIED` with OUT words, W_SUBSET,
    W_OPTIMAL and F_GAP, else why not. Addresses, of arrays that the caller keeps (`pricing.pointer`)."""
    book, work, sums = integers(book_at), integers(order_at), doubles(order_at)
    work[W_SUBSET], work[W_OPTIMAL] = 0, 0
    verdict = prepare(book, work, sums)
    if verdict != CERTIFIED:
        return verdict
    total, quotes = work[W_TOTAL], work[W_QUOTES]
    used = relax(book, work, sums, total, quotes > 0)
    if quotes == 0:
        if used < total:
            return UNFILLED
        cost, plan = whole(work, sums, work[W_CHILDREN])
        if plan:
            write(book, work, sums, STRAIGHT)
            work[W_OPTIMAL] = 1
            sums[F_GAP] = 0.0
            return CERTIFIED
        work[W_STEPS], work[STEPS + P_USED], work[STEPS + P_FROM], work[STEPS + P_TO] = 1, used, 0, 0
        sums[STEPS + F_SUM] = cost  # nothing but the end of the prefix is asked for
    return choose(book, work, sums, used)
