"""From the relaxation to a plan: minimums, the child count, and what lots leave over.

A plan is the relaxation's TAKEN plus a few lots more or less at each venue: `move` says what that costs by walking from
where the venue stands, whatever the depth.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pricing.book import H_DEPTH
from router.live.layout import (
    AT,
    CAP_LOTS,
    CAP_NOTIONAL,
    END,
    FINAL,
    HEAD,
    LAST,
    LOT,
    LOW,
    NEXT_LAST,
    NEXT_SPENT,
    NONE,
    OTHER,
    OUT_LOTS,
    OUT_NOTIONAL,
    OUT_WORST,
    PART,
    SHARE,
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
from router.live.merge import cost_of, merge, reset, shown

ROUNDS = 6  # merges for one plan
NOWHERE, STRAIGHT, PLACED, EXCHANGED = 0, 1, 2, 3


@njit(cache=True, nogil=True, error_model="numpy")
def whole(work: Array, sums: Floats, room: int) -> tuple[float, bool]:
    """The cost of what the venues have taken, and whether that is a plan already: whole lots, not below the minimums, on at
    most `room` venues."""
    count, cost, plan = 0, 0.0, True
    for v in range(work[W_VENUES]):
        row = HEAD + U(v) * VENUE
        taken = work[row + TAKEN]
        if taken > 0:
            lot = work[row + LOT]
            plan = plan and taken >= work[row + LOW] and (lot == 1 or taken % lot == 0)
            count += 1
            cost += cost_of(work, sums, v, taken, work[row + SPENT])
    return cost, plan and count <= room


@njit(cache=True, nogil=True, error_model="numpy")
def move(book: Array, work: Array, sums: Floats, venue: int, lots: int) -> float:
    """Cost of `lots` more (or less) than what the venue has taken; NEXT_SPENT and NEXT_LAST say how. Infinite when book, limit
    or caps do not allow it."""
    row, depth = HEAD + U(venue) * VENUE, book[U(H_DEPTH)]
    share, spent, level, part = work[row + SHARE], work[row + SPENT], work[row + LAST], work[row + PART]
    left = lots
    while left < 0:  # give back from the worst level up
        take = min(-left, part)
        spent -= take * abs(book[U(level)])
        left += take
        part -= take
        while part == 0 and level < work[row + TOP]:
            level += 1
            part = shown(book[U(level + depth)], share)
        if part == 0 and left < 0:
            return np.inf
    if left > 0:
        if work[row + TAKEN] + left > work[row + CAP_LOTS]:
            return np.inf
        if work[row + AT] != level:
            level, part = work[row + AT], 0
        end = work[row + END]
        while True:
            if level < end:
                return np.inf
            take = min(left, shown(book[U(level + depth)], share) - part)
            spent += take * abs(book[U(level)])
            left -= take
            if left == 0:
                break
            level, part = level - 1, 0
        if spent > work[row + CAP_NOTIONAL]:
            return np.inf
    work[row + NEXT_SPENT], work[row + NEXT_LAST] = spent, level
    return cost_of(work, sums, venue, work[row + TAKEN] + lots, spent)


@njit(cache=True, nogil=True, error_model="numpy")
def shed(work: Array, room: int) -> bool:
    """Skip the venues below their minimum; when there are none and more venues than `room`, the smallest. Whether any was."""
    count, smallest, changed = 0, -1, False
    for v in range(work[W_VENUES]):
        row = HEAD + U(v) * VENUE
        if work[row + TAKEN] == 0:
            continue
        if work[row + TAKEN] < work[row + LOW]:
            work[row + SKIP] = 1
            changed = True
            continue
        count += 1
        if smallest < 0 or work[row + TAKEN] < work[HEAD + U(smallest) * VENUE + TAKEN]:
            smallest = v
    if not changed and count > room:
        work[HEAD + U(smallest) * VENUE + SKIP] = 1
        changed = True
    return changed


@njit(cache=True, nogil=True, error_model="numpy")
def settle(book: Array, work: Array, sums: Floats, total: int, room: int) -> tuple[float, int]:
    """After the relaxation of `total` lots: the cost of a plan of exactly as many on at most `room` venues near it, in FINAL
    (infinite when none was found), and the lots that had to be placed (-1: no merge came near)."""
    venues, near = work[W_VENUES], False
    for _ in range(ROUNDS):
        near = not shed(work, room)
        if near:
            break
        reset(work)
        if merge(book, work, sums, 0, total, False, NONE) < total:
            break
    rest, count = 0, 0
    for v in range(venues):
        row = HEAD + U(v) * VENUE
        taken, lot = work[row + TAKEN], work[row + LOT]
        if work[row + SKIP] == 1:  # may still take what lots leave over
            work[row + SKIP], work[row + AT] = 0, work[row + TOP]
        work[row + FINAL] = 0
        if taken > 0:
            count += 1
            if lot > 1:
                work[row + FINAL] = -(taken % lot)
                rest += taken % lot
    if not near:
        return np.inf, -1
    if rest > 0:
        best, cheapest = -1, np.inf
        for v in range(venues):
            row = HEAD + U(v) * VENUE
            if work[row + USED] == 0 or (work[row + LOT] > 1 and rest % work[row + LOT] != 0):
                continue
            now = work[row + FINAL]
            lots = work[row + TAKEN] + now
            if lots + rest < work[row + LOW] or (lots == 0 and count >= room):
                continue
            more = move(book, work, sums, v, now + rest)
            if more < cheapest:  # infinite: not possible
                more -= move(book, work, sums, v, now)
                if more < cheapest:
                    best, cheapest = v, more
        if best < 0:
            return np.inf, rest
        work[HEAD + U(best) * VENUE + FINAL] += rest
    return price(book, work, sums, False), rest


@njit(cache=True, nogil=True, error_model="numpy")
def price(book: Array, work: Array, sums: Floats, other: bool) -> float:
    """Cost of the plan in FINAL, or in OTHER; infinite when it breaks a rule."""
    cost = 0.0
    for v in range(work[W_VENUES]):
        row = HEAD + U(v) * VENUE
        more = work[row + OTHER] if other else work[row + FINAL]
        lots = work[row + TAKEN] + more
        if lots > 0:
            if lots < work[row + LOW]:
                return np.inf
            cost += move(book, work, sums, v, more)
    return cost


@njit(cache=True, nogil=True, error_model="numpy")
def exchange(book: Array, work: Array, sums: Floats, rest: int, room: int) -> float:
    """After `settle`: another way to place what the lots leave over. One venue gives back some lots, so that with the rest
    they are whole lots of another, and its minimum. Fills OTHER; returns the cost, infinite when no pair can."""
    venues, count = work[W_VENUES], 0
    for v in range(venues):
        row = HEAD + U(v) * VENUE
        work[row + OTHER] = -(work[row + TAKEN] % work[row + LOT]) if work[row + TAKEN] > 0 else 0
        count += work[row + TAKEN] + work[row + OTHER] > 0
    if count > room:
        return np.inf
    giver, taker, moved, cheapest = -1, -1, 0, np.inf
    for w in range(venues):
        to = HEAD + U(w) * VENUE
        now, lot = work[to + TAKEN] + work[to + OTHER], work[to + LOT]
        if work[to + USED] == 0 or (now == 0 and count >= room):
            continue
        before = move(book, work, sums, w, work[to + OTHER]) if now > 0 else 0.0
        needed = -rest % lot  # what a whole lot asks for
        if needed == 0:
            needed = max(work[to + LOW] - now - rest, 0)  # what the minimum asks for
        if needed == 0:
            continue  # `settle` saw it
        for u in range(venues):
            row = HEAD + U(u) * VENUE
            has = work[row + TAKEN] + work[row + OTHER]
            if u == w or has == 0:
                continue
            back = -(-needed // work[row + LOT]) * work[row + LOT]
            if has - back < work[row + LOW] or now + rest + back < work[to + LOW] or (rest + back) % lot != 0:
                continue
            change = move(book, work, sums, w, work[to + OTHER] + rest + back) - before
            if change < np.inf:
                change += move(book, work, sums, u, work[row + OTHER] - back) - move(
                    book, work, sums, u, work[row + OTHER]
                )
            if change < cheapest:
                giver, taker, moved, cheapest = u, w, back, change
    if taker < 0:
        return np.inf
    work[HEAD + U(giver) * VENUE + OTHER] -= moved
    work[HEAD + U(taker) * VENUE + OTHER] += rest + moved
    return price(book, work, sums, True)


@njit(cache=True, nogil=True, error_model="numpy")
def write(book: Array, work: Array, sums: Floats, plan: int) -> None:
    """A plan in the OUT words: `STRAIGHT` is TAKEN alone, `PLACED` adds FINAL, `EXCHANGED` adds OTHER, `NOWHERE` is nothing."""
    for v in range(work[W_VENUES]):
        row = HEAD + U(v) * VENUE
        more = 0
        if plan == PLACED:
            more = work[row + FINAL]
        elif plan == EXCHANGED:
            more = work[row + OTHER]
        lots = work[row + TAKEN] + more if plan != NOWHERE else 0
        work[row + OUT_LOTS] = lots
        if lots > 0:
            work[row + NEXT_SPENT], work[row + NEXT_LAST] = work[row + SPENT], work[row + LAST]
            if more != 0:
                move(book, work, sums, v, more)
            work[row + OUT_NOTIONAL] = work[row + NEXT_SPENT]
            work[row + OUT_WORST] = abs(book[U(work[row + NEXT_LAST])])
