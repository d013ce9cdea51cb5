"""The book arena: one flat int64 array per instrument holds every venue's book, its status, the merged view and the
scratch of the sweeps.

Why one flat array: call cost grows with every argument, and numba's on-disk cache silently mixes up structured dtypes.
Layout, in words:

    [0, HEADER)                     K (venues), D (levels a side); rows and state of the merged view, per side
    HEADER + v·VENUE_WORDS          per venue: see the V_* offsets (counts, fee, status, scratch of a running sweep)
    … + (2·v + side)·2·D            per venue and side (0 bid, 1 ask): D keys, then D sizes
    … + side·3·ROWS                 merged view per side: ROWS keys, ROWS references, ROWS sizes (`pricing.merged`)
    … + v·QUOTE_WORDS               the venue's newest own top of book, when it has such a stream: see the Q_* offsets

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
H_ROWS = 2  # +0 bids, +1 asks: rows of the merged view
H_VIEW = 4  # +0 bids, +1 asks: DIRTY, PARTIAL or WHOLE
V_COUNT = 0  # +0 bids, +1 asks: number of levels
V_FEE_PPM = 2  # taker fee, ppm of the notional (ordering of levels only; money uses the exact fee)
V_PRICE_FACTOR, V_SIZE_FACTOR = 3, 4  # venue decimals → common scale; a negative size factor divides, rounding down
V_CURSOR, V_KEY, V_TAKEN, V_NOTIONAL, V_OF_LEVEL = 5, 6, 7, 8, 9  # scratch of a sweep
V_CONDITION = 10  # bits CROSSED and ONE_SIDED
V_AWAIT = 11  # 1: updates are ignored until a snapshot
V_LAST_NS, V_MAX_AGE_NS = 12, 13  # when anything was last heard, and for how long that holds
Q_BID, Q_BID_SIZE, Q_ASK, Q_ASK_SIZE, Q_NS = 0, 1, 2, 3, 4  # ticks and lots of the scale; Q_NS 0: none
QUOTE_WORDS = 5
PPM = 1_000_000
ROWS = 256  # most rows of one side of the merged view

CROSSED, ONE_SIDED = 1, 2  # bits of a book's condition
DIRTY, PARTIAL, WHOLE = 0, 1, 2  # view: to be refilled · the best rows of more · every row there is


def words(venues: int, depth: int) -> int:
    """Length of the arena of `venues` books of `depth` levels a side."""
    return HEADER + venues * VENUE_WORDS + venues * 4 * depth + 6 * ROWS + venues * QUOTE_WORDS


@njit(cache=True, nogil=True, forceinline=True)
def side_base(arena: Array, venue: int, side: int) -> int:
    """First word of the keys of one side of a venue's book."""
    return HEADER + arena[H_VENUES] * VENUE_WORDS + (2 * venue + side) * 2 * arena[H_DEPTH]


@njit(cache=True, nogil=True, forceinline=True)
def view_base(arena: Array, side: int) -> int:
    """First word of the keys of one side of the merged view."""
    venues = arena[H_VENUES]
    return HEADER + venues * VENUE_WORDS + venues * 4 * arena[H_DEPTH] + side * 3 * ROWS


@njit(cache=True, nogil=True, forceinline=True)
def quote_base(arena: Array, venue: int) -> int:
    """First word of a venue's newest own top of book."""
    return view_base(arena, 2) + venue * QUOTE_WORDS


def new_arena(venues: int, depth: int) -> Array:
    """An empty arena: every book one-sided and waiting for its snapshot."""
    arena = np.zeros(words(venues, depth), dtype=np.int64)
    arena[H_VENUES], arena[H_DEPTH] = venues, depth
    for venue in range(venues):
        head = HEADER + venue * VENUE_WORDS
        arena[head + V_CONDITION], arena[head + V_AWAIT] = ONE_SIDED, 1
    return arena
