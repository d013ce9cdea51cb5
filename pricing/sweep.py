"""Sweeping the consolidated book: which venue takes how much of a size, cheapest all-in first.

One pass merges the live venues' levels on fee-adjusted price and stops at each of the ascending target sizes, so a
whole ladder costs one sweep to its largest rung. Quantities and notionals are exact integers; the fee in ppm only
orders the levels. Merging is optimal because within a venue a proportional fee keeps the order of levels, and the
problem is separable and convex.
"""

from __future__ import annotations

from numba import njit

from pricing.book import (
    H_DEPTH,
    H_VENUES,
    HEADER,
    PPM,
    V_COUNT,
    V_CURSOR,
    V_FEE_PPM,
    V_KEY,
    V_NOTIONAL,
    V_OF_LEVEL,
    V_TAKEN,
    VENUE_WORDS,
    Array,
    side_base,
)

NO_KEY = 1 << 62


@njit(cache=True, nogil=True)
def start(arena: Array, side: int, live: int) -> None:
    """Put every live venue's cursor on its best level. `side`: 0 sweeps bids (we sell), 1 sweeps asks (we buy); `live`:
    bit per venue."""
    for venue in range(arena[H_VENUES]):
        head = HEADER + venue * VENUE_WORDS
        arena[head + V_TAKEN] = 0
        arena[head + V_NOTIONAL] = 0
        arena[head + V_OF_LEVEL] = 0
        n = arena[head + V_COUNT + side]
        arena[head + V_CURSOR] = n - 1
        arena[head + V_KEY] = NO_KEY
        if n > 0 and (live >> venue) & 1:
            fee = arena[head + V_FEE_PPM] if side == 1 else -arena[head + V_FEE_PPM]
            arena[head + V_KEY] = -arena[side_base(arena, venue, side) + n - 1] * (PPM + fee)


@njit(cache=True, nogil=True)
def sweep_to(arena: Array, side: int, used: int, lots: int) -> int:
    """Go on from `used` lots on the current cursors until `lots` are taken; returns what is taken in all (less when the
    books end)."""
    depth = arena[H_DEPTH]
    venues = arena[H_VENUES]
    while used < lots:
        best = -1
        best_key = NO_KEY
        for venue in range(venues):
            key = arena[HEADER + venue * VENUE_WORDS + V_KEY]
            if key < best_key:
                best, best_key = venue, key
        if best < 0:
            return used
        head = HEADER + best * VENUE_WORDS
        base = side_base(arena, best, side)
        cursor = arena[head + V_CURSOR]
        available = arena[base + depth + cursor] - arena[head + V_OF_LEVEL]
        take = min(available, lots - used)
        used += take
        arena[head + V_TAKEN] += take
        arena[head + V_NOTIONAL] += take * abs(arena[base + cursor])
        if take == available:
            arena[head + V_OF_LEVEL] = 0
            arena[head + V_CURSOR] = cursor - 1
            if cursor == 0:
                arena[head + V_KEY] = NO_KEY
            else:
                fee = arena[head + V_FEE_PPM] if side == 1 else -arena[head + V_FEE_PPM]
                arena[head + V_KEY] = -arena[base + cursor - 1] * (PPM + fee)
        else:
            arena[head + V_OF_LEVEL] += take
    return used


@njit(cache=True, nogil=True)
def sweep_targets(arena: Array, side: int, live: int, targets: Array, out: Array) -> int:
    """Sweep to each of the ascending `targets` (lots). `out` (T × K × 2) gets lots and Σ ticks × lots per venue at each
    target.

    Returns how many targets the books could fill; the rows after that hold the whole of the books.
    """
    start(arena, side, live)
    venues = arena[H_VENUES]
    used = 0
    filled = 0
    for t in range(targets.shape[0]):
        used = sweep_to(arena, side, used, targets[t])
        if used >= targets[t]:
            filled += 1
        for venue in range(venues):
            head = HEADER + venue * VENUE_WORDS
            out[t, venue, 0] = arena[head + V_TAKEN]
            out[t, venue, 1] = arena[head + V_NOTIONAL]
    return filled
