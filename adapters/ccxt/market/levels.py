"""Both sides of a venue's book as sorted int64 arrays, changed in place by kernels; the best level is each side's last.

One array a book: the number of bids and of asks, then for each side its keys (bids: prices, asks: prices negated, so that the best is the
largest) and their sizes, `capacity` of each. It grows when a side is full; nothing is dropped but by `trim`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from pricing.entry import entry

Array = np.ndarray
Level = tuple[int, int, int]  # side +1 bid / -1 ask, price, size

NO_LEVELS = np.empty((0, 3), dtype=np.int64)
HEADER = 2
CAPACITY = 1_024  # levels a side at first
PROBES = 8  # steps from the best before the binary search: most changes are near it

LOWEST = np.iinfo(np.int64).min  # the key of a side's last told level, when all are told
CROSSED = -1

POLYNOMIAL = 0xEDB88320  # of CRC-32 as in zlib

PUT = "(int64[::1], int64[:,::1], int64)"
TRIM = "(int64[::1], int64, int64[:,::1])"
SET = "(int64[::1], int64, int64, int64)"
FOLLOW = "(int64[::1], int64[::1], int64[::1], int64[:,::1], int64, int64[:,::1])"
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


_memmove: Any = cgutils.raw_memmove


def _moved(typing: Any, array: Any, to: Any, begin: Any, count: Any) -> Any:
    """`array[to : to + count] = array[begin : begin + count]`, as C's memmove: a loop over the elements takes four times as long."""

    def move(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        target, source = builder.gep(data, [arguments[1]]), builder.gep(data, [arguments[2]])
        _memmove(builder, target, source, arguments[3], array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, types.int64), move


_move: Any = intrinsic(_moved)


@njit(cache=True, nogil=True, forceinline=True)
def set_level(book: Array, side: int, price: int, size: int) -> int:
    """The absolute size of a level, 0 removes it. 1 when it is set, 0 when there is no room for it."""
    capacity = (len(book) - HEADER) // 4
    index = 0 if side > 0 else 1
    count = book[index]
    keys = HEADER + 2 * capacity * index
    sizes = keys + capacity
    key = side * price
    at = _place(book[keys:sizes], count, key)
    if at < count and book[keys + at] == key:
        if size > 0:
            book[sizes + at] = size
            return 1
        _move(book, keys + at, keys + at + 1, count - 1 - at)
        _move(book, sizes + at, sizes + at + 1, count - 1 - at)
        book[index] = count - 1
        return 1
    if size == 0:
        return 1
    if count == capacity:
        return 0
    _move(book, keys + at + 1, keys + at, count - at)
    _move(book, sizes + at + 1, sizes + at, count - at)
    book[keys + at] = key
    book[sizes + at] = size
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
        _move(book, base, base + over, depth)
        _move(book, base + capacity, base + capacity + over, depth)
        book[index] = depth
    return dropped


@njit(cache=True, nogil=True)
def follow_levels(whole: Array, shown: Array, worst: Array, levels: Array, depth: int, out: Array) -> int:
    """Set `levels` in a whole book, and in `shown`, the best `depth` of each side of it, what that changes there; CROSSED when it crosses.

    Into `out`, which must hold twice as many: the rows that are shown, and what they let in or pushed out (size 0). Their number.
    `worst`: the keys of the last levels shown, of bids and asks. There must be room in both books.
    """
    for row in range(len(levels)):
        set_level(whole, levels[row, 0], levels[row, 1], levels[row, 2])
    capacity = (len(whole) - HEADER) // 4
    bids, asks = whole[0], whole[1]
    if bids and asks and whole[HEADER + bids - 1] >= -whole[HEADER + 2 * capacity + asks - 1]:
        return CROSSED
    told = 0
    for index in range(2):
        side, count = 1 - 2 * index, whole[index]
        base = HEADER + 2 * capacity * index
        before, after = worst[index], LOWEST
        if count > depth:
            after = whole[base + count - depth]
        worst[index] = after
        first = told
        for row in range(len(levels)):
            if levels[row, 0] != side:
                continue
            key = levels[row, 1] * side
            if key >= (after if levels[row, 2] > 0 else min(before, after)):
                out[told, 0], out[told, 1], out[told, 2] = side, levels[row, 1], levels[row, 2]
                told += 1
        low, high = min(before, after), max(before, after)
        at = count - 1 if low < high else -1
        while at >= 0 and whole[base + at] >= low:
            if whole[base + at] < high:
                out[told, 0], out[told, 1] = side, whole[base + at] * side
                out[told, 2] = whole[base + capacity + at] if after < before else 0
                told += 1
            at -= 1
        for row in range(first, told):
            set_level(shown, side, out[row, 1], out[row, 2])
    return told


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
        self._follow: Any = entry(follow_levels, FOLLOW)

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

    def follow(self, shown: Levels, worst: Array, levels: Array, depth: int) -> Array | None:
        """Put `levels`, int64 (n, 3), and show what they change of the best `depth` of each side: those rows; None when the book crosses.

        `worst`: int64 (2,), which this keeps: the price × side of the last bid and ask that `shown` has, LOWEST when it has all.
        """
        self._reserve(len(levels))
        shown._reserve(2 * len(levels))
        told = np.empty((2 * len(levels), 3), dtype=np.int64)
        count = self._follow(self._book, shown._book, worst, levels, depth, told)
        return None if count == CROSSED else told[:count]

    def _reserve(self, count: int) -> None:
        """Room for so many more levels on each side."""
        item = self._book.item
        while max(item(0), item(1)) + count > self._capacity:
            self._grow()
            item = self._book.item

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

    def top(self) -> tuple[int, int, int, int] | None:
        """Best bid and its size, best ask and its size; None when a side is empty."""
        item, capacity = self._book.item, self._capacity
        bids, asks = item(0), item(1)
        if not bids or not asks:
            return None
        bid, ask = HEADER + bids - 1, HEADER + 2 * capacity + asks - 1
        return item(bid), item(bid + capacity), -item(ask), item(ask + capacity)

    def price_at(self, side: int, place: int) -> int | None:
        """The price of a side's level by its place, 1 the best; None when there are not so many."""
        item = self._book.item
        index = 0 if side == 1 else 1
        count = item(index)
        return None if count < place else side * item(HEADER + 2 * self._capacity * index + count - place)

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
