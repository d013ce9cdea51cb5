"""The merged view: the best rows of every venue's book in one fee-adjusted order, kept up to date as levels change.

A row is (key, reference, lots): key = ± ticks × (10^6 ∓ fee in ppm), so that a larger key is better on either side;
reference = (63 − venue) × 2^41 + ticks, so that of two rows with one key the lower venue comes first. Rows ascend, best
last, in the very order that sorting all levels of all books gives.

What it promises: unless it is DIRTY, the view is a prefix (best first) of that sort, the whole of it when WHOLE. It
holds venues whatever their status: a reader passes over those that may not be used now, so going stale costs nothing.
An update worse than the last row costs one comparison; a clear or snapshot only marks it DIRTY, and the next reader
refills half of it by a merge. A view nobody reads stays dirty and costs nothing.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pricing.arena import (
    DIRTY,
    H_DEPTH,
    H_ROWS,
    H_VENUES,
    H_VIEW,
    HEADER,
    PARTIAL,
    PPM,
    ROWS,
    V_COUNT,
    V_CURSOR,
    V_FEE_PPM,
    V_KEY,
    VENUE_WORDS,
    WHOLE,
    Array,
    side_base,
    view_base,
)

FILL = ROWS // 2  # rows of a refill
LEAST = ROWS // 8  # a partial view with fewer rows is refilled when it is read
TICK_BITS = 41  # `scale.MAX_TICKS`
TICK_MASK = (1 << TICK_BITS) - 1
LAST_VENUE = 63
NO_KEY = -(1 << 62)
U = np.uint64
ONE, STRIDE, HALF = U(1), U(ROWS), U(ROWS - FILL)
PROBES = U(12)  # linear steps from the top before the binary search


@njit(cache=True, nogil=True, forceinline=True)
def set_row(arena: Array, venue: int, side: int, key: int, lots: int) -> None:
    """Tell the view that the level with `key` (±ticks) of a venue now has `lots`; 0: it is gone."""
    state = arena[H_VIEW + side]
    if state == DIRTY:
        return
    fee = arena[HEADER + venue * VENUE_WORDS + V_FEE_PPM]
    n = arena[H_ROWS + side]
    base = U(view_base(arena, side))
    adjusted = key * (PPM - fee if side == 0 else PPM + fee)
    ref = (LAST_VENUE - venue) << TICK_BITS | (key if side == 0 else -key)
    if n > 0 and (arena[base] > adjusted or (arena[base] == adjusted and arena[base + STRIDE] > ref)):
        if state == PARTIAL or lots == 0:
            return
        if n == ROWS:
            arena[H_VIEW + side] = PARTIAL
            return
    end = base + U(n)
    at = end
    stop = end - PROBES if n > PROBES else base
    while at > stop and arena[at - ONE] > adjusted:
        at -= ONE
    if at == stop and at > base and arena[at - ONE] > adjusted:
        low = base
        while low < at:
            middle = (low + at) >> ONE
            if arena[middle] > adjusted:
                at = middle
            else:
                low = middle + ONE
    while at > base and arena[at - ONE] == adjusted and arena[at - ONE + STRIDE] > ref:
        at -= ONE
    if at > base and arena[at - ONE] == adjusted and arena[at - ONE + STRIDE] == ref:
        if lots > 0:
            arena[at - ONE + STRIDE + STRIDE] = lots
            return
        while at < end:
            arena[at - ONE] = arena[at]
            arena[at - ONE + STRIDE] = arena[at + STRIDE]
            arena[at - ONE + STRIDE + STRIDE] = arena[at + STRIDE + STRIDE]
            at += ONE
        arena[H_ROWS + side] = n - 1
        if state == PARTIAL and n <= LEAST:
            arena[H_VIEW + side] = DIRTY
        return
    if lots == 0:
        return
    if n == ROWS:
        halve(arena, side)
        end -= HALF
        if at <= base + HALF:
            return
        at -= HALF
    while end > at:
        arena[end] = arena[end - ONE]
        arena[end + STRIDE] = arena[end - ONE + STRIDE]
        arena[end + STRIDE + STRIDE] = arena[end - ONE + STRIDE + STRIDE]
        end -= ONE
    arena[at] = adjusted
    arena[at + STRIDE] = ref
    arena[at + STRIDE + STRIDE] = lots
    arena[H_ROWS + side] += 1


@njit(cache=True, nogil=True)
def drop_row(arena: Array, venue: int, side: int, key: int) -> None:
    """A full book has no place for the level with `key` (any more): the view is DIRTY if that could be in it."""
    fee = arena[HEADER + venue * VENUE_WORDS + V_FEE_PPM]
    adjusted = key * (PPM - fee if side == 0 else PPM + fee)
    if arena[H_VIEW + side] == WHOLE or adjusted >= arena[view_base(arena, side)]:
        arena[H_VIEW + side] = DIRTY


@njit(cache=True, nogil=True)
def halve(arena: Array, side: int) -> None:
    """Keep the better half of a full side."""
    base = view_base(arena, side)
    for column in range(3):
        first = base + column * ROWS
        for i in range(FILL):
            arena[first + i] = arena[first + i + ROWS - FILL]
    arena[H_ROWS + side] = FILL
    arena[H_VIEW + side] = PARTIAL


@njit(cache=True, nogil=True, forceinline=True)
def spoil(arena: Array) -> None:
    """Mark both sides DIRTY: a book was emptied, or a fee changed."""
    arena[H_VIEW] = DIRTY
    arena[H_VIEW + 1] = DIRTY


@njit(cache=True, nogil=True)
def refill(arena: Array, side: int) -> None:
    """Make a DIRTY side right again: the best `FILL` rows of all books, by a merge of their heads."""
    if arena[H_VIEW + side] != DIRTY:
        return
    depth, venues = arena[H_DEPTH], arena[H_VENUES]
    total = 0
    for venue in range(venues):
        head = HEADER + venue * VENUE_WORDS
        n = arena[head + V_COUNT + side]
        total += n
        arena[head + V_CURSOR] = n - 1
        fee = arena[head + V_FEE_PPM]
        factor = PPM - fee if side == 0 else PPM + fee
        arena[head + V_KEY] = arena[side_base(arena, venue, side) + n - 1] * factor if n > 0 else NO_KEY
    wanted = min(total, FILL)
    base = view_base(arena, side)
    for at in range(wanted - 1, -1, -1):
        best, best_key = 0, NO_KEY
        for venue in range(venues):
            key = arena[HEADER + venue * VENUE_WORDS + V_KEY]
            if key > best_key:
                best, best_key = venue, key
        head = HEADER + best * VENUE_WORDS
        cursor = arena[head + V_CURSOR]
        first = side_base(arena, best, side)
        arena[base + at] = best_key
        arena[base + ROWS + at] = (LAST_VENUE - best) << TICK_BITS | abs(arena[first + cursor])
        arena[base + 2 * ROWS + at] = arena[first + depth + cursor]
        arena[head + V_CURSOR] = cursor - 1
        fee = arena[head + V_FEE_PPM]
        factor = PPM - fee if side == 0 else PPM + fee
        arena[head + V_KEY] = arena[first + cursor - 1] * factor if cursor > 0 else NO_KEY
    arena[H_ROWS + side] = wanted
    arena[H_VIEW + side] = WHOLE if wanted == total else PARTIAL
