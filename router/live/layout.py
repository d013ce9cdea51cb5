"""One order as the certified kernel reads it: the words of its arena, one flat int64 array.

    [0, QUOTES)            the order, and what came of it
    QUOTES + j·QUOTE       a row for each quote
    HEAD + v·VENUE         a row for each venue: four cache lines, the first is what a merge touches
    TREE                   loser tree: keys, then venues
    SUBSETS + s·SUBSET     admissible subsets of the quotes
    STEPS + i·STEP         the merge's prefix: what was reached at which slopes and cost

Words named F_ hold doubles: the same memory, read through a float64 view. Slopes are exact integers: ticks × (10^8 ± fee
and expected slippage in 10^-8), so no two levels are ever in the wrong order.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

U = np.uint64  # offsets are unsigned: compiled code then does not look for negative indices, a fifth of a merge
ONE = 10**8  # of a factor: fees and loadings are in 10^-8
MOST_FACTOR = 130_000_000
MOST_TICKS = 1 << 35  # × MOST_FACTOR stays below 2^62
NONE = 1 << 62  # key of a venue that has nothing more
MOST = 1 << 61  # no number of an order reaches it; as a cap: none
MOST_LOTS = 1 << 60
PPM = 1_000_000  # of a share of the displayed size
MAX_VENUES = 64
MAX_QUOTES = 32
FAST_QUOTES = 8  # more are left to the search: all their subsets would be looked at

W_SIDE, W_VENUES, W_TOTAL, W_LIMIT, W_CHILDREN, W_QUOTES = map(U, range(6))  # in
W_TOLERANCE = U(6)  # in: 10^-12 of the cost
W_SUBSET, W_OPTIMAL, W_STEPS = map(U, range(8, 11))  # out: quotes taken (bits), proven, steps of the prefix
F_GAP, F_BASE = U(11), U(12)  # out: cost over bound; least slope, from which costs are counted

Q_KEY, Q_SIZE, Q_GROUP = map(U, range(3))  # in: slope with sign, lots at most, the LP
Q_LOW, Q_LOT, Q_FIXED, Q_TAKEN = map(U, range(3, 7))  # in, of a quote that may be taken in part; out: lots taken
QUOTE = U(8)
QUOTES = U(16)

KEY, AT, END, TAKEN, SPENT = map(
    U, range(5)
)  # of a merge: slope of the level at AT; what was taken: lots, Σ ticks × lots
CHOICE, SHARE, CAP_LOTS = (
    U(5),
    U(6),
    U(7),
)  # in: factor of the slope; share of the displayed size that is counted on, ppm
CAP_NOTIONAL, USED, LOT, MIN_LOTS, MIN_NOTIONAL = map(U, range(8, 13))  # in; USED: may be traded at
LAST, PART, TOP, LOW = map(U, range(13, 17))  # last level taken from, lots of it; best level; minimum in whole lots
SKIP, FINAL, OTHER = map(U, range(17, 20))  # left out of the merge; lots to add to TAKEN for a plan, and for another
NEXT_AT, NEXT_TAKEN, NEXT_SPENT, NEXT_LAST, NEXT_PART = map(U, range(20, 25))  # after a sweep or a move
OUT_LOTS, OUT_NOTIONAL, OUT_WORST = map(U, range(25, 28))  # out
CHARGE, BLOCK_OF = U(28), U(29)  # in: fixed cost, for the search; scratch of `router.live.prove`
RELAXED, RESUME = U(30), U(31)  # what the relaxation takes; where a venue goes on after others were merged
VENUE = U(32)
HEAD = QUOTES + U(MAX_QUOTES) * QUOTE

TREE = HEAD + U(MAX_VENUES) * VENUE  # keys of the losers, then who they are, then 2 × as many winners while it is built
TREE_VENUES = TREE + U(MAX_VENUES)
TREE_WINNERS = TREE_VENUES + U(MAX_VENUES)

S_BITS, S_SIZE, S_GROUPS, S_CHILDREN, F_COST, F_BOUND, S_STATE = map(U, range(7))
SUBSET = U(8)
SUBSETS = TREE_WINNERS + U(2 * MAX_VENUES)

P_USED, P_FROM, P_TO, F_SUM = map(
    U, range(4)
)  # lots so far; no slope of the step is below FROM or above TO; cost so far
STEP = U(4)
STEPS = SUBSETS + U(1 << FAST_QUOTES) * SUBSET


def new_order(venues: int, depth: int) -> Array:
    """The arena of an order over books of that shape, on a cache line."""
    words = int(STEPS) + (venues * depth + 1) * int(STEP)
    memory = np.zeros(words + 8, dtype=np.int64)
    first = -memory.ctypes.data % 64 // 8
    return memory[first : first + words]
