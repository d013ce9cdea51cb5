"""What lots cost on their own: the relaxation with one more rule, that venues of coarse lots take whole ones.

For a lot L the fine venues are those whose lot is no multiple of L. All others take multiples of it, so the fine ones
together take t ≡ total (mod L), and their least minimum if anything. Costs are convex, so the best t is next to what the
relaxation gives them: the cheaper of the two ways, fine and coarse merged on their own, bounds every plan from below, and
is mostly a plan itself.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from router.live.layout import (
    AT,
    END,
    HEAD,
    LOT,
    LOW,
    NONE,
    RELAXED,
    RESUME,
    SKIP,
    SPENT,
    TAKEN,
    TOP,
    USED,
    VENUE,
    W_VENUES,
    Array,
    Floats,
    U,
)
from router.live.merge import PLAIN, batches, cost_of, merge, reset
from router.live.place import EXCHANGED, PLACED, STRAIGHT, exchange, settle, whole, write


@njit(cache=True, nogil=True, error_model="numpy")
def keep_relaxed(work: Array) -> None:
    """Remember what the relaxation gives each venue, before a plan is made of it."""
    for v in range(work[W_VENUES]):
        row = HEAD + U(v) * VENUE
        work[row + RELAXED] = work[row + TAKEN]


@njit(cache=True, nogil=True, error_model="numpy")
def onward(book: Array, work: Array, sums: Floats, used: int, total: int) -> int:
    """The cheapest levels from where the venues stand, without a record. Returns what is taken."""
    used = merge(book, work, sums, used, total, False, PLAIN)
    if used < total:
        used = batches(book, work, sums, used, total, False)
        used = merge(book, work, sums, used, total, False, NONE)
    return used


@njit(cache=True, nogil=True, error_model="numpy")
def apart(book: Array, work: Array, sums: Floats, lot: int, fine: int, total: int) -> float:
    """The cost of `fine` lots from the venues that are finer than `lot` and the rest of `total` from the others; infinite when
    they hold less. What each gives is in its row, as after a merge of all."""
    venues = work[W_VENUES]
    for v in range(venues):
        row = HEAD + U(v) * VENUE
        work[row + SKIP] = 1 if work[row + LOT] % lot == 0 else 0
    reset(work)
    used = onward(book, work, sums, 0, fine)
    for v in range(venues):
        row = HEAD + U(v) * VENUE
        work[row + RESUME] = work[row + AT]
        work[row + AT] = work[row + TOP] if work[row + SKIP] == 1 else work[row + END] - 1
    if used == fine:
        used = onward(book, work, sums, used, total)
    cost = 0.0
    for v in range(venues):
        row = HEAD + U(v) * VENUE
        if work[row + SKIP] == 0:
            work[row + AT] = work[row + RESUME]
        work[row + SKIP] = 0
        if work[row + TAKEN] > 0:
            cost += cost_of(work, sums, v, work[row + TAKEN], work[row + SPENT])
    return cost if used == total else np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def beside(work: Array, lot: int, total: int) -> tuple[int, int]:
    """What the venues finer than `lot` may take together, next below and above what the relaxation gives them (-1: nothing);
    both −1 when that is a way already, or no venue is finer."""
    relaxed, least = 0, NONE
    for v in range(work[W_VENUES]):
        row = HEAD + U(v) * VENUE
        if work[row + USED] == 1 and work[row + LOT] % lot != 0:
            relaxed += work[row + RELAXED]
            least = min(least, work[row + LOW])
    below = relaxed - (relaxed - total) % lot
    if least == NONE or (below == relaxed and (below == 0 or below >= least)):
        return -1, -1
    above = below + lot if below < relaxed else below
    if above < least:
        above += (least - above + lot - 1) // lot * lot
    if below < least:
        below = 0 if total % lot == 0 else -1
    return below, above if above <= total else -1


@njit(cache=True, nogil=True, error_model="numpy")
def near(book: Array, work: Array, sums: Floats, total: int, room: int) -> tuple[float, int]:
    """The cost of a plan of `total` lots on at most `room` venues near what stands in the rows, and which it is."""
    cost, plan = whole(work, sums, room)
    if plan:
        return cost, STRAIGHT
    cost, rest = settle(book, work, sums, total, room)
    if rest > 0:
        other = exchange(book, work, sums, rest, room)
        if other < cost:
            return other, EXCHANGED
    return cost, PLACED


@njit(cache=True, nogil=True, error_model="numpy")
def by_lots(book: Array, work: Array, sums: Floats, total: int, room: int, best: float) -> tuple[float, float]:
    """For every lot among the venues: a lower bound of the cost of `total` lots (the greatest of all), and the cost of the
    cheapest plan found, which is written in the OUT words when it is below `best`. RELAXED is known."""
    bound = 0.0
    for v in range(work[W_VENUES]):
        row = HEAD + U(v) * VENUE
        lot = work[row + LOT]
        if work[row + USED] == 0 or lot == 1:
            continue
        known = False
        for w in range(v):
            other = HEAD + U(w) * VENUE
            known = known or (work[other + USED] == 1 and work[other + LOT] == lot)
        if known:
            continue
        below, above = beside(work, lot, total)
        if below < 0 and above < 0:
            continue
        least = np.inf
        for fine in (below, above):
            if fine >= 0:
                cost = apart(book, work, sums, lot, fine, total)
                least = min(least, cost)
                if cost < best:
                    cost, plan = near(book, work, sums, total, room)
                    if cost < best:
                        best = cost
                        write(book, work, sums, plan)
        bound = max(bound, least)
    return bound, best
