"""Both sides of a venue's book as sorted int64 arrays, changed in place by kernels; the best level is each side's last.

One array a book: the number of bids and of asks, then for each side its keys (bids: prices, asks: prices negated, so that the best is the
largest) and their sizes, `capacity` of each. It grows when a side is full; nothing is dropped but by `trim`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pricing.entry import entry

Array = np.ndarray
Level = tuple[int, int, int]  # side +1 bid / -1 ask, price, size

NO_LEVELS = np.empty((0, 3), dtype=np.int64)
HEADER = 2
CAPACITY = 1_024  # levels a side at first
PROBES = 8  # steps from the best before the binary search: most changes are near it

POLYNOMIAL = 0xEDB88320  # of CRC-32 as in zlib

PUT = "(int64[::1], int64[:,::1], int64)"
TRIM = "(int64[::1], int64, int64[:,::1])"
SET = "(int64[::1], int64, int64, int64)"
CHECKSUM = "(int64[::1], int64)"


def _table() -> Array:
    """What a byte does to a CRC-32."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return np.array(table, dtype=np.int64)


TABLE = _table()


@njit(cache=True, nogil=True, forceinline=True)
def _place(keys: Array, count: int, key: int) -> int:
    """Where `key` belongs among the first `count` ascending keys: the first position whose key is not below it."""
    at = count
    stop = max(0, count - PROBES)
    while at > stop and keys[at - 1] >= key:
        at -= 1
    if at > stop or stop == 0 or keys[stop - 1] < key:
        return at
    low, high = 0, stop
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def set_level(book: Array, side: int, price: int, size: int) -> int:
    """The absolute size of a level, 0 removes it. 1 when it is set, 0 when there is no room for it."""
    capacity = (len(book) - HEADER) // 4
    index = 0 if side > 0 else 1
    count = book[index]
    base = HEADER + 2 * capacity * index
    keys, sizes = book[base : base + capacity], book[base + capacity : base + 2 * capacity]
    key = side * price
    at = _place(keys, count, key)
    if at < count and keys[at] == key:
        if size > 0:
            sizes[at] = size
            return 1
        for i in range(at, count - 1):
            keys[i] = keys[i + 1]
            sizes[i] = sizes[i + 1]
        book[index] = count - 1
        return 1
    if size == 0:
        return 1
    if count == capacity:
        return 0
    for i in range(count, at, -1):
        keys[i] = keys[i - 1]
        sizes[i] = sizes[i - 1]
    keys[at] = key
    sizes[at] = size
    book[index] = count + 1
    return 1


@njit(cache=True, nogil=True)
def put_levels(book: Array, levels: Array, begin: int) -> int:
    """Set `levels` from row `begin` on; the number of rows done, less than there are when a side is full."""
    for row in range(begin, len(levels)):
        if set_level(book, levels[row, 0], levels[row, 1], levels[row, 2]) == 0:
            return row
    return len(levels)


@njit(cache=True, nogil=True)
def trim_levels(book: Array, depth: int, out: Array) -> int:
    """Drop what is worse than the best `depth` of each side; removals (size 0), worst first, into `out`, which must hold
    them all (`HEADER` counts). Their number."""
    capacity = (len(book) - HEADER) // 4
    dropped = 0
    for index in range(2):
        count = book[index]
        over = count - depth
        if over <= 0:
            continue
        base = HEADER + 2 * capacity * index
        side = 1 - 2 * index
        for i in range(over):
            out[dropped, 0] = side
            out[dropped, 1] = side * book[base + i]
            out[dropped, 2] = 0
            dropped += 1
        for i in range(depth):
            book[base + i] = book[base + over + i]
            book[base + capacity + i] = book[base + capacity + over + i]
        book[index] = depth
    return dropped


@njit(cache=True, nogil=True, forceinline=True)
def _crc_of(number: int, crc: int) -> int:
    """The CRC after the decimal digits of a positive number."""
    unit = 1
    while number // unit >= 10:
        unit *= 10
    while unit > 0:
        crc = TABLE[(crc ^ (48 + number // unit % 10)) & 0xFF] ^ (crc >> 8)
        unit //= 10
    return crc


@njit(cache=True, nogil=True)
def checksum_levels(book: Array, count: int) -> int:
    """CRC-32 of the digits of price and size of the best `count` asks, then bids, best first."""
    capacity = (len(book) - HEADER) // 4
    crc = 0xFFFFFFFF
    for index in (1, 0):
        base = HEADER + 2 * capacity * index
        last = base + book[index] - 1
        for at in range(last, max(base - 1, last - count), -1):
            crc = _crc_of(book[at + capacity], _crc_of(abs(book[at]), crc))
    return crc ^ 0xFFFFFFFF


class Levels:
    """Sizes by price of both sides."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._book = np.zeros(HEADER + 4 * capacity, dtype=np.int64)
        self._capacity = capacity
        self._put: Any = entry(put_levels, PUT)
        self._trim: Any = entry(trim_levels, TRIM)
        self._set: Any = entry(set_level, SET)
        self._checksum: Any = entry(checksum_levels, CHECKSUM)

    def set(self, side: int, price: int, size: int) -> None:
        """Absolute size of a level; 0 removes it."""
        while not self._set(self._book, side, price, size):
            self._grow()

    def put(self, levels: Array) -> None:
        """Absolute sizes of many levels, int64 (n, 3), in their order."""
        done = self._put(self._book, levels, 0)
        while done < len(levels):
            self._grow()
            done = self._put(self._book, levels, done)

    def trim(self, depth: int) -> Array:
        """Drop what is worse than the best `depth` prices of each side; the removals, int64 (n, 3)."""
        item = self._book.item
        over = max(0, item(0) - depth) + max(0, item(1) - depth)
        if not over:
            return NO_LEVELS
        removed = np.empty((over, 3), dtype=np.int64)
        self._trim(self._book, depth, removed)
        return removed

    def checksum(self, count: int) -> int:
        """CRC-32 of the digits of price and size of the best `count` asks, then bids, best first."""
        return int(self._checksum(self._book, count))

    def cut(self, depth: int) -> list[Level]:
        """`trim`, as tuples."""
        return [(side, price, size) for side, price, size in self.trim(depth).tolist()]

    def clear(self) -> None:
        """Forget everything."""
        self._book[:HEADER] = 0

    def _grow(self) -> None:
        old, had = self._book, self._capacity
        self._capacity = 2 * had
        self._book = np.zeros(HEADER + 4 * self._capacity, dtype=np.int64)
        self._book[:HEADER] = old[:HEADER]
        for column in range(4):
            begin = HEADER + column * self._capacity
            self._book[begin : begin + had] = old[HEADER + column * had : HEADER + (column + 1) * had]

    def _side(self, side: int) -> tuple[Array, Array]:
        """Prices and sizes of one side, worst first: the book's own memory, keys as they are."""
        index = 0 if side == 1 else 1
        base, count = HEADER + 2 * self._capacity * index, self._book.item(index)
        sizes = base + self._capacity
        return self._book[base : base + count], self._book[sizes : sizes + count]

    @property
    def best_bid(self) -> int | None:
        """Highest bid price."""
        item = self._book.item  # a Python int, in half the time of an index
        count = item(0)
        return item(HEADER + count - 1) if count else None

    @property
    def best_ask(self) -> int | None:
        """Lowest ask price."""
        item = self._book.item
        count = item(1)
        return -item(HEADER + 2 * self._capacity + count - 1) if count else None

    @property
    def crossed(self) -> bool:
        """Whether the best bid is at or above the best ask."""
        bid, ask = self.best_bid, self.best_ask
        return bid is not None and ask is not None and bid >= ask

    @property
    def prices(self) -> dict[int, list[int]]:
        """A copy: the prices of each side, ascending."""
        return {1: self._side(1)[0].tolist(), -1: (-self._side(-1)[0][::-1]).tolist()}

    @property
    def sizes(self) -> dict[int, dict[int, int]]:
        """A copy: sizes by price of each side."""
        return {side: dict(self.best(side, self._book.item(0 if side == 1 else 1))) for side in (1, -1)}

    def best(self, side: int, count: int) -> list[tuple[int, int]]:
        """The best `count` (price, size) of one side, best first."""
        keys, sizes = self._side(side)
        first = max(0, len(keys) - count)
        prices = keys[first:][::-1] * side
        return list(zip(prices.tolist(), sizes[first:][::-1].tolist(), strict=True))

    def array(self) -> Array:
        """All levels, (n, 3), bids best first, then asks best first."""
        (bids, bid_sizes), (asks, ask_sizes) = self._side(1), self._side(-1)
        out = np.empty((len(bids) + len(asks), 3), dtype=np.int64)
        out[: len(bids), 0], out[len(bids) :, 0] = 1, -1
        out[: len(bids), 1], out[len(bids) :, 1] = bids[::-1], -asks[::-1]
        out[: len(bids), 2], out[len(bids) :, 2] = bid_sizes[::-1], ask_sizes[::-1]
        return out
