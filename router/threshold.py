"""The λ-threshold kernel: the cheapest quantities of convex blocks that add up to a total, lots ignored.

Everything cheaper than a price λ is taken, nothing dearer, and the rest at λ: optimal for separable convex costs. λ is
found by bisection on sorted slopes, so the cost does not grow with the depth swept. One flat int64 arena holds every
block; `allocate` in `router.lots` is the same in Python integers and takes over when a number would not fit (`fits`).

Arena, in words: [B | start and length of each block | slopes and ends of each block, one after the other].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from numba import njit

if TYPE_CHECKING:
    from router.problem import Block

Array = npt.NDArray[np.int64]
LIMIT = 1 << 61
MOST_SLOPE = LIMIT >> 1  # of a block, and of an envelope's line
BLOCK, LOW, HIGH, KNEE, SLOPE, REST = 0, 1, 2, 3, 4, 5  # columns of an item row, see `router.lots.Item`
COLUMNS = 6


@njit(cache=True, nogil=True)
def upto(arena: Array, block: int, slope: int) -> int:
    """Atoms of a block whose slope is at most `slope`."""
    first, n = arena[1 + 2 * block], arena[2 + 2 * block]
    low, high = 0, n
    while low < high:
        middle = (low + high) >> 1
        if arena[first + middle] <= slope:
            low = middle + 1
        else:
            high = middle
    return arena[first + n + low - 1] if low > 0 else 0


@njit(cache=True, nogil=True)
def taken_at(arena: Array, items: Array, i: int, slope: int) -> int:
    """Atoms of an item at the price `slope`: its line up to the knee, then its block, between its low and high."""
    x = upto(arena, items[i, BLOCK], slope)
    knee = items[i, KNEE]
    if knee > 0:
        if slope < items[i, SLOPE]:
            x = 0
        elif slope == items[i, SLOPE] and items[i, REST] > 0:
            x = knee - items[i, REST]
        else:
            x = max(x, knee)
    return min(items[i, HIGH], max(items[i, LOW], x))


@njit(cache=True, nogil=True)
def select(arena: Array, items: Array, total: int, out: Array) -> int:
    """Fill `out` with quantities, Σ = total, of `items` (rows of `COLUMNS`). Returns λ.

    Needs Σ low ≤ total ≤ Σ high. Items of equal slope are filled in order.
    """
    n = items.shape[0]
    low, high = LIMIT, -LIMIT
    for i in range(n):
        block = items[i, BLOCK]
        first, length = arena[1 + 2 * block], arena[2 + 2 * block]
        cheapest, dearest = arena[first], arena[first + length - 1]
        if items[i, KNEE] > 0:
            cheapest, dearest = min(cheapest, items[i, SLOPE]), max(dearest, items[i, SLOPE] + 1)
        low, high = min(low, cheapest - 1), max(high, dearest)
    while high - low > 1:
        middle = low + ((high - low) >> 1)
        taken = 0
        for i in range(n):
            taken += taken_at(arena, items, i, middle)
        if taken >= total:
            high = middle
        else:
            low = middle
    left = total
    for i in range(n):
        out[i] = taken_at(arena, items, i, low)
        left -= out[i]
    for i in range(n):
        if left > 0:
            more = min(left, taken_at(arena, items, i, high) - out[i])
            out[i] += more
            left -= more
    return high


def fits(blocks: Sequence[Block], quantity: int) -> bool:
    """Whether every sum and key of these blocks stays inside int64."""
    if (len(blocks) + 1) * quantity >= LIMIT:
        return False
    return all(
        max(abs(block.slopes[0]), abs(block.slopes[-1])) < MOST_SLOPE and block.ends[-1] < LIMIT for block in blocks
    )


def pack(blocks: Sequence[Block]) -> Array:
    """The arena of these blocks."""
    words = [len(blocks)]
    at = 1 + 2 * len(blocks)
    for block in blocks:
        words += [at, len(block.slopes)]
        at += 2 * len(block.slopes)
    for block in blocks:
        words += block.slopes
        words += block.ends
    return np.array(words, dtype=np.int64)
