"""Kernels over the venue books of an arena (`pricing.arena`): absolute level changes in place, snapshots, newer tops,
and whether a book may be used. Each change is told to the merged view (`pricing.merged`)."""

from __future__ import annotations

import numpy as np
from numba import njit

from pricing.arena import (
    CROSSED,
    DIRTY,
    H_DEPTH,
    H_ROWS,
    H_VENUES,
    H_VIEW,
    HEADER,
    ONE_SIDED,
    PPM,
    Q_ASK,
    Q_ASK_SIZE,
    Q_BID,
    Q_BID_SIZE,
    Q_NS,
    V_AWAIT,
    V_CONDITION,
    V_COUNT,
    V_CURSOR,
    V_FEE_PPM,
    V_KEY,
    V_LAST_NS,
    V_MAX_AGE_NS,
    V_NOTIONAL,
    V_OF_LEVEL,
    V_PRICE_FACTOR,
    V_SIZE_FACTOR,
    V_TAKEN,
    VENUE_WORDS,
    WHOLE,
    Array,
    new_arena,
    quote_base,
    side_base,
    words,
)
from pricing.merged import drop_row, set_row, spoil
from pricing.pointer import integers
from pricing.scale import MAX_LOTS, MAX_TICKS

__all__ = [
    "CROSSED",
    "HEADER",
    "H_DEPTH",
    "H_ROWS",
    "H_VENUES",
    "H_VIEW",
    "MALFORMED",
    "ONE_SIDED",
    "PPM",
    "VENUE_WORDS",
    "V_AWAIT",
    "V_CONDITION",
    "V_COUNT",
    "V_CURSOR",
    "V_FEE_PPM",
    "V_KEY",
    "V_LAST_NS",
    "V_MAX_AGE_NS",
    "V_NOTIONAL",
    "V_OF_LEVEL",
    "V_PRICE_FACTOR",
    "V_SIZE_FACTOR",
    "V_TAKEN",
    "WHOLE",
    "Array",
    "apply_levels",
    "clear_book",
    "condition",
    "live_mask",
    "mark_top",
    "new_arena",
    "set_level",
    "side_base",
    "words",
]

APPLY = "(int64[::1], int64, int64[:,::1], int64)"  # signature of `apply_levels`
MALFORMED = -1  # a level with a side other than ±1, a price ≤ 0, a negative size, or a number too large for the scale
U = np.uint64
ONE = U(1)
PROBES = U(8)  # linear steps from the top before the binary search: most changes are near the top


@njit(cache=True, nogil=True, forceinline=True)
def set_level(arena: Array, venue: int, side: int, key: int, size: int) -> None:
    """Set the absolute `size` (lots) at `key` (±ticks); size 0 removes. A full side keeps its best `depth` levels.

    The merged view is to be told afterwards.
    """
    count_at = U(HEADER + venue * VENUE_WORDS + V_COUNT + side)
    n = arena[count_at]
    depth = U(arena[H_DEPTH])
    base = U(side_base(arena, venue, side))  # unsigned indices spare a check for negative ones: a third of the time
    end = base + U(n)
    at = end  # where `key` belongs: after the last key that is not above it
    stop = end - PROBES if n > PROBES else base
    while at > stop and arena[at - ONE] > key:
        at -= ONE
    if at == stop and at > base and arena[at - ONE] > key:
        low = base
        while low < at:
            middle = (low + at) >> ONE
            if arena[middle] > key:
                at = middle
            else:
                low = middle + ONE
    if at > base and arena[at - ONE] == key:
        if size > 0:
            arena[at - ONE + depth] = size
            return
        while at < end:
            arena[at - ONE] = arena[at]
            arena[at - ONE + depth] = arena[at + depth]
            at += ONE
        arena[count_at] = n - 1
        return
    if size == 0:
        return
    if n == arena[H_DEPTH]:
        drop_row(arena, venue, side, key if at == base else arena[base])
        if at == base:
            return
        at -= ONE
        while base < at:
            arena[base] = arena[base + ONE]
            arena[base + depth] = arena[base + ONE + depth]
            base += ONE
    else:
        while end > at:
            arena[end] = arena[end - ONE]
            arena[end + depth] = arena[end - ONE + depth]
            end -= ONE
        arena[count_at] = n + 1
    arena[at] = key
    arena[at + depth] = size


@njit(cache=True, nogil=True, forceinline=True)
def condition(arena: Array, venue: int) -> int:
    """Look at a venue's tops again: bits `CROSSED` and `ONE_SIDED`, kept in the arena and returned."""
    head = HEADER + venue * VENUE_WORDS
    bids, asks = arena[head + V_COUNT], arena[head + V_COUNT + 1]
    found = 0
    if bids == 0 or asks == 0:
        found = ONE_SIDED
    elif arena[side_base(arena, venue, 0) + bids - 1] >= -arena[side_base(arena, venue, 1) + asks - 1]:
        found = CROSSED
    arena[head + V_CONDITION] = found
    return found


@njit(cache=True, nogil=True)
def apply_levels(arena: Array, venue: int, levels: Array, snapshot: int) -> int:
    """Apply rows (side ±1, price, size) in the venue's decimals; `snapshot` = 1 empties the book first.

    Returns the condition or `MALFORMED`. A malformed row stops at once: the caller must clear the book, since what was
    applied before is not to be trusted.
    """
    head = HEADER + venue * VENUE_WORDS
    if snapshot == 1:
        clear_book(arena, venue)
        arena[head + V_AWAIT] = 0
    price_factor, size_factor = arena[head + V_PRICE_FACTOR], arena[head + V_SIZE_FACTOR]
    price_bound = MAX_TICKS // price_factor
    size_bound = MAX_LOTS // size_factor if size_factor > 0 else MAX_LOTS
    book = integers(arena.ctypes.data)
    for row in range(levels.shape[0]):
        side, price, size = levels[row, 0], levels[row, 1], levels[row, 2]
        if side * side != 1 or price <= 0 or price >= price_bound or size < 0 or size >= size_bound:
            return MALFORMED
        scaled = size * size_factor if size_factor > 0 else size // -size_factor
        set_level(book, venue, (1 - side) >> 1, side * price * price_factor, scaled)
    if book[H_VIEW] != DIRTY or book[H_VIEW + 1] != DIRTY:
        for row in range(levels.shape[0]):
            side, size = levels[row, 0], levels[row, 2]
            scaled = size * size_factor if size_factor > 0 else size // -size_factor
            set_row(book, venue, (1 - side) >> 1, side * levels[row, 1] * price_factor, scaled)
    return condition(book, venue)


@njit(cache=True, nogil=True, forceinline=True)
def clear_book(arena: Array, venue: int) -> None:
    """Remove every level of a venue; updates are ignored until a snapshot."""
    head = HEADER + venue * VENUE_WORDS
    if arena[head + V_COUNT] or arena[head + V_COUNT + 1]:
        spoil(arena)
    arena[head + V_COUNT] = 0
    arena[head + V_COUNT + 1] = 0
    arena[head + V_CONDITION] = ONE_SIDED
    arena[head + V_AWAIT] = 1
    arena[quote_base(arena, venue) + Q_NS] = 0


@njit(cache=True, nogil=True)
def mark_top(arena: Array, venue: int, bid: int, bid_size: int, ask: int, ask_size: int, ts_ns: int) -> int:
    """Drop levels better than a newer best bid and ask (venue decimals; 0 = unknown side), shrink the best level, and
    keep the top for the fair value. Returns the condition; nothing happens when it is older than the book's last message.

    Nothing is inserted: a level that lives and dies between two depth messages is never removed by them and would stay
    for ever.
    """
    head = HEADER + venue * VENUE_WORDS
    if ts_ns < arena[head + V_LAST_NS] or arena[head + V_AWAIT]:
        return arena[head + V_CONDITION]
    arena[head + V_LAST_NS] = ts_ns
    depth = arena[H_DEPTH]
    factor = arena[head + V_SIZE_FACTOR]
    quote = quote_base(arena, venue)
    arena[quote + Q_NS] = ts_ns
    for side in range(2):
        price = bid if side == 0 else ask
        size = bid_size if side == 0 else ask_size
        if price <= 0:
            arena[quote + Q_NS] = 0
            continue
        price *= arena[head + V_PRICE_FACTOR]
        size = size * factor if factor > 0 else size // -factor
        arena[quote + (Q_BID if side == 0 else Q_ASK)] = price
        arena[quote + (Q_BID_SIZE if side == 0 else Q_ASK_SIZE)] = size
        key = price if side == 0 else -price
        base = side_base(arena, venue, side)
        n = arena[head + V_COUNT + side]
        while n > 0 and arena[base + n - 1] > key:
            n -= 1
            set_row(arena, venue, side, arena[base + n], 0)
        arena[head + V_COUNT + side] = n
        if n > 0 and arena[base + n - 1] == key and 0 < size < arena[base + depth + n - 1]:
            arena[base + depth + n - 1] = size
            set_row(arena, venue, side, key, size)
    return condition(arena, venue)


@njit(cache=True, nogil=True)
def live_mask(arena: Array, now_ns: int) -> int:
    """A bit for each venue whose book is whole, uncrossed and not stale."""
    mask = 0
    for venue in range(arena[H_VENUES]):
        head = HEADER + venue * VENUE_WORDS
        if (
            arena[head + V_CONDITION] == 0
            and arena[head + V_AWAIT] == 0
            and now_ns - arena[head + V_LAST_NS] <= arena[head + V_MAX_AGE_NS]
        ):
            mask |= 1 << venue
    return mask
