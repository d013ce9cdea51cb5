"""Kernels over the book arena: one flat int64 array per instrument holds every venue's book and the scratch of the
sweeps.

Why one flat array: call cost grows with every argument, and numba's on-disk cache silently mixes up structured dtypes.
Layout, in words:

    [0, HEADER)                     K (venues), D (levels a side), words in use
    HEADER + v·VENUE_WORDS          per venue: see the V_* offsets (counts, fee, scratch of a running sweep)
    BOOKS + (2·v + side)·2·D        per venue and side (0 bid, 1 ask): D keys, then D sizes

A key is the price in ticks for bids and minus the price for asks, so both sides are ascending with the **best level
last**: changes near the top move few words. Sizes are lots, absolute and positive. Kernels never raise: they return
codes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.int64]

HEADER = 8
VENUE_WORDS = 16
H_VENUES, H_DEPTH = 0, 1
V_COUNT = 0  # +0 bids, +1 asks: number of levels
V_FEE_PPM = 2  # taker fee, ppm of the notional (ordering of levels only; money uses the exact fee)
V_PRICE_FACTOR, V_SIZE_FACTOR = 3, 4  # venue decimals → common scale; a negative size factor divides, rounding down
V_CURSOR, V_KEY, V_TAKEN, V_NOTIONAL, V_OF_LEVEL = 5, 6, 7, 8, 9  # scratch of a sweep
PPM = 1_000_000
PROBES = 8  # linear steps from the top before the binary search: most changes are near the top

CROSSED, ONE_SIDED = 1, 2  # bits of a book's condition
MALFORMED = -1  # a level with a side other than ±1, a price ≤ 0, a negative size, or a number too large for the scale


def words(venues: int, depth: int) -> int:
    """Length of the arena of `venues` books of `depth` levels a side."""
    return HEADER + venues * VENUE_WORDS + venues * 4 * depth


@njit(cache=True, nogil=True)
def side_base(arena: Array, venue: int, side: int) -> int:
    """First word of the keys of one side of a venue's book."""
    return HEADER + arena[H_VENUES] * VENUE_WORDS + (2 * venue + side) * 2 * arena[H_DEPTH]


@njit(cache=True, nogil=True)
def set_level(arena: Array, venue: int, side: int, price: int, size: int) -> None:
    """Set the absolute `size` (lots) at `price` (ticks); size 0 removes. A full side keeps its best `depth` levels."""
    depth = arena[H_DEPTH]
    count_at = HEADER + venue * VENUE_WORDS + V_COUNT + side
    n = arena[count_at]
    base = side_base(arena, venue, side)
    key = price if side == 0 else -price
    at = n  # where `key` belongs: after the last key that is not above it
    probes = 0
    while at > 0 and probes < PROBES and arena[base + at - 1] > key:
        at -= 1
        probes += 1
    if at > 0 and arena[base + at - 1] > key:
        low, high = 0, at
        while low < high:
            middle = (low + high) >> 1
            if arena[base + middle] > key:
                high = middle
            else:
                low = middle + 1
        at = low
    if at > 0 and arena[base + at - 1] == key:
        if size > 0:
            arena[base + depth + at - 1] = size
            return
        for i in range(base + at - 1, base + n - 1):
            arena[i] = arena[i + 1]
            arena[i + depth] = arena[i + depth + 1]
        arena[count_at] = n - 1
        return
    if size == 0:
        return
    if n == depth:
        if at == 0:
            return
        for i in range(base, base + at - 1):
            arena[i] = arena[i + 1]
            arena[i + depth] = arena[i + depth + 1]
        arena[base + at - 1] = key
        arena[base + depth + at - 1] = size
        return
    for i in range(base + n, base + at, -1):
        arena[i] = arena[i - 1]
        arena[i + depth] = arena[i + depth - 1]
    arena[base + at] = key
    arena[base + depth + at] = size
    arena[count_at] = n + 1


@njit(cache=True, nogil=True)
def condition(arena: Array, venue: int) -> int:
    """Bits `CROSSED` and `ONE_SIDED` of a venue's book."""
    head = HEADER + venue * VENUE_WORDS
    bids, asks = arena[head + V_COUNT], arena[head + V_COUNT + 1]
    if bids == 0 or asks == 0:
        return ONE_SIDED
    bid = arena[side_base(arena, venue, 0) + bids - 1]
    ask = -arena[side_base(arena, venue, 1) + asks - 1]
    return CROSSED if bid >= ask else 0


@njit(cache=True, nogil=True)
def apply_levels(arena: Array, venue: int, levels: Array, snapshot: int, max_ticks: int, max_lots: int) -> int:
    """Apply rows (side ±1, price, size) in the venue's decimals; `snapshot` = 1 empties the book first.

    Returns the condition or `MALFORMED`. A malformed row stops at once: the caller must clear the book, since what was
    applied before is not to be trusted.
    """
    head = HEADER + venue * VENUE_WORDS
    if snapshot == 1:
        arena[head + V_COUNT] = 0
        arena[head + V_COUNT + 1] = 0
    price_factor, size_factor = arena[head + V_PRICE_FACTOR], arena[head + V_SIZE_FACTOR]
    price_bound = max_ticks // price_factor
    size_bound = max_lots // size_factor if size_factor > 0 else max_lots
    for row in range(levels.shape[0]):
        side, price, size = levels[row, 0], levels[row, 1], levels[row, 2]
        if side * side != 1 or price <= 0 or price >= price_bound or size < 0 or size >= size_bound:
            return MALFORMED
        scaled = size * size_factor if size_factor > 0 else size // -size_factor
        set_level(arena, venue, 0 if side == 1 else 1, price * price_factor, scaled)
    return condition(arena, venue)


@njit(cache=True, nogil=True)
def clear_book(arena: Array, venue: int) -> None:
    """Remove every level of a venue."""
    arena[HEADER + venue * VENUE_WORDS + V_COUNT] = 0
    arena[HEADER + venue * VENUE_WORDS + V_COUNT + 1] = 0


@njit(cache=True, nogil=True)
def trim_to_top(arena: Array, venue: int, bid: int, bid_size: int, ask: int, ask_size: int) -> int:
    """Drop levels better than a newer best bid and ask (venue decimals; 0 = unknown side), shrink the best level.
    Returns the condition.

    Nothing is inserted: a level that lives and dies between two depth messages is never removed by them and would stay
    for ever.
    """
    head = HEADER + venue * VENUE_WORDS
    depth = arena[H_DEPTH]
    for side in range(2):
        price = bid if side == 0 else ask
        size = bid_size if side == 0 else ask_size
        if price <= 0:
            continue
        price *= arena[head + V_PRICE_FACTOR]
        factor = arena[head + V_SIZE_FACTOR]
        size = size * factor if factor > 0 else size // -factor
        key = price if side == 0 else -price
        base = side_base(arena, venue, side)
        n = arena[head + V_COUNT + side]
        while n > 0 and arena[base + n - 1] > key:
            n -= 1
        arena[head + V_COUNT + side] = n
        if n > 0 and arena[base + n - 1] == key and 0 < size < arena[base + depth + n - 1]:
            arena[base + depth + n - 1] = size
    return condition(arena, venue)


@njit(cache=True, nogil=True)
def tops(arena: Array, out: Array) -> None:
    """Fill `out` (K × 4) with best bid, its size, best ask, its size; zeros where a side is empty."""
    depth = arena[H_DEPTH]
    for venue in range(arena[H_VENUES]):
        head = HEADER + venue * VENUE_WORDS
        for side in range(2):
            n = arena[head + V_COUNT + side]
            base = side_base(arena, venue, side)
            out[venue, 2 * side] = 0 if n == 0 else abs(arena[base + n - 1])
            out[venue, 2 * side + 1] = 0 if n == 0 else arena[base + depth + n - 1]


def new_arena(venues: int, depth: int) -> Array:
    """An empty arena."""
    arena = np.zeros(words(venues, depth), dtype=np.int64)
    arena[H_VENUES], arena[H_DEPTH] = venues, depth
    return arena
