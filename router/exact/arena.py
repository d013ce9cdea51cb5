"""The split's arena: one flat int64 array that holds the order, the scratch, the tree and the answer of `router.exact.search`.

Whoever asks fills the header's first words and one row a block (a venue or a quote), with its levels beside it; nothing
else is needed, no decimals, no objects:

    a = new_arena(blocks, segments, node_limit)          # once; zeroed, reusable as long as the shape suffices
    a[BLOCKS], a[QUANTITY], a[CHILDREN] = …              # CHILDREN: most children; number of blocks = no limit
    a[TOLERANCE] = …                                     # money units an atom by which the answer may miss; 0 = exact
    a[NODES] = …                                         # nodes of the tree, at most the node_limit of new_arena
    a[PATIENCE] = …                                      # steps of work, about 5 ns each, after which it ends; 0 = no end
    row = HEADER + v * BLOCK                             # v = 0 … BLOCKS − 1
    a[row + LOW], a[row + HIGH], a[row + LOT]            # atoms: nothing, or LOW + k·LOT up to HIGH; 0 < LOW ≤ HIGH;
                                                         # all or none: LOW = HIGH = LOT
    a[row + FIXED], a[row + GROUP]                       # money units ≥ 0; same GROUP ≥ 0 = one of them; −1 = none
    a[row + AT], a[row + COUNT]                          # where its levels are: COUNT ≥ 1 words each of
        a[AT + i]              slope: money units an atom, ≥ 0, non-decreasing (subtract the least slope of all first)
        a[AT + COUNT + i]      end: atoms up to the end of level i, ascending; the last is ≥ HIGH
        a[AT + 2·COUNT + i]    cost there: Σ slope × atoms
    levels go anywhere from segments_at(a) on

Numbers must fit: QUANTITY × the greatest slope + Σ FIXED below `MOST_COST`, QUANTITY below `MOST_ATOMS`.

Answer: a[STATUS] (PROVEN, WITHIN the tolerance, LIMIT = the nodes or the patience ended first), a[FILLED], a[COST], a[BOUND]
(of any plan that fills as much; `COST − BOUND` is the gap), a[REACH] (no plan fills more), a[DONE] (nodes used), a[EFFORT]
(steps of work), and TAKEN of each row. A status LIMIT with REACH above FILLED: more might be filled, and the gap says nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.int64]

# header: in
BLOCKS, QUANTITY, CHILDREN, TOLERANCE, NODES, PATIENCE = 0, 1, 2, 3, 4, 5
# header: out
STATUS, FILLED, COST, BOUND, REACH, DONE, EFFORT = 8, 9, 10, 11, 12, 13, 14
LIMIT, WITHIN, PROVEN = 0, 1, 2
# header: where the parts lie, and scratch
HUGE, ITEMS, ORDER, LOTS, CLASSES, HEAP, SLOTS, SLOT, SEGMENTS = 16, 17, 18, 19, 20, 21, 22, 23, 24
ACTIVE, PAID, HINT, CHAIN, REACH_HERE, QUEUED, UNUSED, FRESH, STAMP = 25, 26, 27, 28, 29, 30, 31, 32, 33
LOST_MOST, LOST_BOUND, STRAY, MISSED, MISSING = 34, 35, 36, 37, 38
HEADER = 40

# a block's row: in, out, scratch
LOW, HIGH, LOT, FIXED, GROUP, AT, COUNT = 0, 1, 2, 3, 4, 5, 6
TAKEN = 7
STATE, X, TRIAL, SEEN, WANT, KEPT, SETTLED = 8, 9, 10, 11, 12, 13, 14
BLOCK = 15
FREE, OPEN, CLOSED = 0, 1, 2

# an item: a block inside a relaxation, LEAST..MOST atoms in steps of its STEP
I_BLOCK, LEAST, MOST, CAP, UNIT, STEP, KNEE, SLOPE, REST, AMOUNT = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
LINE, LEVELS, SPAN, LEFT, RIGHT, UPTO, BELOW, CLASS, ADD, DROP, WHOLE = 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20
ITEM = 22

# a kind of lot
KIND, WEIGHT, BEST, BEFORE = 0, 1, 2, 3
KINDS, KIND_WORDS = 24, 4

# a class of items of one lot, and the values of what it and the classes below cost around a guess
C_LOT, C_FIRST, C_COUNT, C_LOWS, C_HIGHS, C_GUESS, C_FROM, C_TO, C_WIDTH, C_USED, C_ROUGH = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
)
C_RESIDUE, C_TOTAL, C_LOW_T, C_HIGH_T, C_RIGHT, C_HERE, C_LEFT, C_KNOWN = 11, 12, 13, 14, 15, 16, 17, 18
VALUES = 20
WIDEST = 64
MEMORY = 60  # values of a class kept at once
CLASS_WORDS = VALUES + 2 * WIDEST + 1

# a slot of the tree
N_MOST, N_BOUND, N_PRICE, N_CHOICE, N_AGE, N_STATES = 0, 1, 2, 3, 4, 5
STATES_A_WORD = 30

MOST_COST = 1 << 60
MOST_ATOMS = 1 << 50


def words(blocks: int, segments: int, node_limit: int) -> int:
    """Size of an arena for `blocks` rows with `segments` levels in all."""
    return _parts(blocks, node_limit)[-1] + 3 * segments


def _parts(blocks: int, node_limit: int) -> list[int]:
    slot = N_STATES + -(-blocks // STATES_A_WORD)
    sizes = [
        HEADER + blocks * BLOCK,
        blocks * ITEM,
        blocks,
        KINDS * KIND_WORDS,
        2 * KINDS * CLASS_WORDS,
        node_limit + 4,
        (node_limit + 4) * slot,
    ]
    at, parts = 0, []
    for size in sizes:
        at += size
        parts.append(at)
    return parts


def prepare(a: Array | list[int], blocks: int, node_limit: int, huge: int) -> None:
    """Write where the parts of an arena lie. `huge`: above every cost."""
    items, order, lots, classes, heap, slots, segments = _parts(blocks, node_limit)
    a[HUGE], a[BLOCKS], a[NODES] = huge, blocks, node_limit
    a[ITEMS], a[ORDER], a[LOTS], a[CLASSES], a[HEAP], a[SLOTS], a[SEGMENTS] = (
        items,
        order,
        lots,
        classes,
        heap,
        slots,
        segments,
    )
    a[SLOT] = N_STATES + -(-blocks // STATES_A_WORD)


def new_arena(blocks: int, segments: int, node_limit: int) -> Array:
    """A zeroed arena for up to `blocks` rows and `segments` levels in all."""
    a = np.zeros(words(blocks, segments, node_limit), dtype=np.int64)
    prepare(a, blocks, node_limit, 1 << 62)
    return a


def segments_at(a: Array | list[int]) -> int:
    """First word that levels may use."""
    return int(a[SEGMENTS])
