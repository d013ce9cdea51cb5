"""The tree under the split's search: nodes as slots of the arena, a heap that has the best bound on top.

A node keeps what its blocks' states are, two bits each, its reach, its bound and what to decide next. The best bound first
means that the bound on top is the bound of the whole search.
"""

from __future__ import annotations

from numba import njit

from router.exact.arena import (
    BLOCK,
    BLOCKS,
    COST,
    FILLED,
    FRESH,
    HEADER,
    HEAP,
    N_AGE,
    N_BOUND,
    N_CHOICE,
    N_MOST,
    N_PRICE,
    N_STATES,
    QUEUED,
    SLOT,
    SLOTS,
    STATE,
    STATES_A_WORD,
    UNUSED,
    Array,
)


@njit(cache=True, nogil=True)
def better(a: Array, most: int, bound: int) -> bool:
    """Whether a node with this reach and bound may hold a better plan than the best."""
    return most > a[FILLED] or (most == a[FILLED] and bound < a[COST])


@njit(cache=True, nogil=True)
def lower(a: Array, x: int, y: int) -> bool:
    """Whether slot x comes before slot y: more filled, then the lesser bound, then the older."""
    if a[x + N_MOST] != a[y + N_MOST]:
        return a[x + N_MOST] > a[y + N_MOST]
    if a[x + N_BOUND] != a[y + N_BOUND]:
        return a[x + N_BOUND] < a[y + N_BOUND]
    return a[x + N_AGE] < a[y + N_AGE]


@njit(cache=True, nogil=True)
def queue(a: Array, most: int, bound: int, price: int, choice: int, age: int) -> None:
    """Keep the states as a node, if it may hold a better plan."""
    if not better(a, most, bound):
        return
    if a[UNUSED] > 0:
        slot = a[UNUSED]
        a[UNUSED] = a[slot]
    else:
        slot = a[SLOTS] + a[FRESH] * a[SLOT]  # each node leaves at most one more behind: NODES + 2 are enough
        a[FRESH] += 1
    heap = a[HEAP]
    a[slot + N_MOST], a[slot + N_BOUND], a[slot + N_PRICE] = most, bound, price
    a[slot + N_CHOICE], a[slot + N_AGE] = choice, age
    blocks, v, word = a[BLOCKS], 0, slot + N_STATES
    while v < blocks:
        packed = 0
        last = min(v + STATES_A_WORD, blocks)
        for w in range(last - 1, v - 1, -1):
            packed = packed * 4 + a[HEADER + w * BLOCK + STATE]
        a[word] = packed
        word += 1
        v = last
    at = a[QUEUED]
    a[QUEUED] += 1
    while at > 0 and lower(a, slot, a[heap + (at - 1) // 2]):
        a[heap + at] = a[heap + (at - 1) // 2]
        at = (at - 1) // 2
    a[heap + at] = slot


@njit(cache=True, nogil=True)
def take(a: Array) -> int:
    """Remove the best node and unpack its states; its slot, whose header words stay until the next `queue`."""
    heap = a[HEAP]
    slot = a[heap]
    a[QUEUED] -= 1
    n = a[QUEUED]
    moved, at = a[heap + n], 0
    while 2 * at + 1 < n:
        child = 2 * at + 1
        if child + 1 < n and lower(a, a[heap + child + 1], a[heap + child]):
            child += 1
        if not lower(a, a[heap + child], moved):
            break
        a[heap + at] = a[heap + child]
        at = child
    if n > 0:
        a[heap + at] = moved
    v, word = 0, slot + N_STATES
    while v < a[BLOCKS]:
        packed = a[word]
        last = min(v + STATES_A_WORD, a[BLOCKS])
        for w in range(v, last):
            a[HEADER + w * BLOCK + STATE] = packed % 4
            packed //= 4
        word += 1
        v = last
    return slot


@njit(cache=True, nogil=True)
def keep(a: Array, source: int, target: int) -> None:
    """Copy one word of every row to another."""
    for v in range(a[BLOCKS]):
        a[HEADER + v * BLOCK + target] = a[HEADER + v * BLOCK + source]
