"""Levels of a book message from its text: the digits themselves, read in a kernel, without a Python object for any of them.

`read_levels` takes what msgspec left unparsed of `[["61837.63","3.78826",…],…]`: rows of strings, price and size first; `read_objects` of
`[{"price":61837.6,"qty":3.78826},…]`; `read_sided` of `[{"side":"bid","event_time":"…","price_level":"61837.63","new_quantity":"3.7"},…]`.
They read plain digits with at most one point and nothing else. Whatever they do not read (a sign, an exponent, an escape, a price with
more decimals than the market, more digits than an int64 or, of JSON numbers, a double surely holds) they give back, and the caller reads
the message the long way: that way alone decides whether it is an odd number or a bad message, so both ways know the same messages and say
the same of the bad ones.

Bytes are read without a check of their place: `_first` sees that the last one is a bracket, which no number, quote or comma is, so that
whatever walks over those stops there at the latest, and a byte that was one of them has another behind it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Raw
from numba import njit, types
from numba.extending import intrinsic

from pricing.entry import entry

Array = np.ndarray

NOT_READ = -1
DIGITS = 18  # what an int64 surely holds
EXACT_DIGITS = 15  # what a double surely holds: the long way reads JSON numbers as such
SHORTEST = len('["1","0"]')  # of a row
PRICE, QTY = (np.frombuffer(name, np.uint8) for name in (b'{"price":', b',"qty":'))

SIDE, MOMENT, PRICE_LEVEL, NEW_QUANTITY, BID, OFFER = (
    np.frombuffer(name, np.uint8)
    for name in (b'{"side":"', b'","event_time":"', b'","price_level":"', b'","new_quantity":"', b"bid", b"offer")
)
SHORTEST_SIDED = len('{"side":"bid","event_time":"","price_level":"1","new_quantity":"0"}')

TEXT = "Array(uint8, 1, 'C', readonly=True)"
READ_SIDED = f"({TEXT}, int64, int64, int64, int64[:,::1])"
READ = f"({TEXT}, {TEXT}, int64, int64, int64, int64[:,::1])"

_QUOTE, _COMMA, _POINT, _ZERO, _NINE, _OPEN, _CLOSE, _END, _ESCAPE, _BLANK = (ord(char) for char in '",.09[]}\\ ')


def _loaded(typing: Any, text: Any, at: Any) -> Any:
    """The byte at a place that the caller knows to be inside, as int64: numba's own index also looks for places from the end."""

    def load(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.zext(builder.load(builder.gep(data, [arguments[1]])), context.get_value_type(types.int64))

    return types.int64(text, types.int64), load


_byte: Any = intrinsic(_loaded)


@njit(cache=True, nogil=True, forceinline=True)
def _number(text: Array, at: int, most: int, decimals: int, floor: int) -> tuple[int, int]:
    """The position after the digits from `at` on, or NOT_READ; and their value in units of 10^-decimals."""
    begin, left, value = at, decimals, 0
    digit = _byte(text, at) - _ZERO
    while 0 <= digit <= 9:
        value = value * 10 + digit
        at += 1
        digit = _byte(text, at) - _ZERO
    if at == begin or at - begin + decimals > most:
        return NOT_READ, 0
    if digit == _POINT - _ZERO:
        at += 1
        begin = at
        digit = _byte(text, at) - _ZERO
        while 0 <= digit <= 9:
            if left > 0:
                value = value * 10 + digit
                left -= 1
            elif digit != 0 and floor == 0:
                return NOT_READ, 0
            at += 1
            digit = _byte(text, at) - _ZERO
        if at == begin:
            return NOT_READ, 0
    while left > 0:
        value *= 10
        left -= 1
    return at, value


@njit(cache=True, nogil=True, forceinline=True)
def _behind(text: Array, at: int, name: Array) -> int:
    """The position after `name`, which must stand at `at`, or NOT_READ."""
    if at + len(name) >= len(text):
        return NOT_READ
    for i in range(len(name)):
        if _byte(text, at + i) != _byte(name, i):
            return NOT_READ
    return at + len(name)


@njit(cache=True, nogil=True, forceinline=True)
def _first(text: Array) -> int:
    """Where the first row of a list begins, 0 when there is none; NOT_READ of anything but a list."""
    size = len(text)
    if size < 2 or _byte(text, 0) != _OPEN or _byte(text, size - 1) != _CLOSE:
        return NOT_READ
    if _byte(text, 1) != _CLOSE:
        return 1
    return 0 if size == 2 else NOT_READ


@njit(cache=True, nogil=True, forceinline=True)
def _next(text: Array, at: int) -> int:
    """Where the next row begins after one that ended before `at`, 0 when that was the last; NOT_READ of anything else."""
    if _byte(text, at) == _COMMA:
        return at + 1
    return 0 if _byte(text, at) == _CLOSE and at + 1 == len(text) else NOT_READ


@njit(cache=True, nogil=True, forceinline=True)
def _side(text: Array, side: int, price_decimals: int, size_decimals: int, floor: int, out: Array, row: int) -> int:
    """The rows of one side from `row` on; the row after the last, or NOT_READ."""
    at = _first(text)
    while at > 0:
        if _byte(text, at) != _OPEN or _byte(text, at + 1) != _QUOTE:
            return NOT_READ
        at, price = _number(text, at + 2, DIGITS, price_decimals, 0)
        if at < 0 or price == 0 or _byte(text, at) != _QUOTE or _byte(text, at + 1) != _COMMA:
            return NOT_READ
        if _byte(text, at + 2) != _QUOTE:
            return NOT_READ
        at, size = _number(text, at + 3, DIGITS, size_decimals, floor)
        if at < 0 or _byte(text, at) != _QUOTE:
            return NOT_READ
        at += 1
        char = _byte(text, at)
        while char != _CLOSE:  # further fields: plain, so that no bracket can be inside of one
            if not (_ZERO <= char <= _NINE or char in (_QUOTE, _COMMA, _POINT)):
                return NOT_READ
            at += 1
            char = _byte(text, at)
        if at + 1 == len(text):
            return NOT_READ
        out[row, 0], out[row, 1], out[row, 2] = side, price, size
        row += 1
        at = _next(text, at + 1)
    return row if at == 0 else NOT_READ


@njit(cache=True, nogil=True)
def read_levels(bids: Array, asks: Array, price_decimals: int, size_decimals: int, floor: int, out: Array) -> int:
    """Rows (side, price, size) of both sides into `out`, which holds a row for every `SHORTEST` bytes; their number, or NOT_READ.

    `floor`: sizes may have more decimals than `size_decimals`, which are cut off; prices may have zeros only.
    """
    row = _side(bids, 1, price_decimals, size_decimals, floor, out, 0)
    if row < 0:
        return NOT_READ
    return _side(asks, -1, price_decimals, size_decimals, floor, out, row)


@njit(cache=True, nogil=True, forceinline=True)
def _objects(text: Array, side: int, price_decimals: int, size_decimals: int, floor: int, out: Array, row: int) -> int:
    """The objects of one side from `row` on; the row after the last, or NOT_READ."""
    at = _first(text)
    while at > 0:
        at = _behind(text, at, PRICE)
        if at < 0:
            return NOT_READ
        at, price = _number(text, at, EXACT_DIGITS, price_decimals, 0)
        if at < 0 or price == 0:
            return NOT_READ
        at = _behind(text, at, QTY)
        if at < 0:
            return NOT_READ
        at, size = _number(text, at, EXACT_DIGITS, size_decimals, floor)
        if at < 0 or _byte(text, at) != _END:
            return NOT_READ
        out[row, 0], out[row, 1], out[row, 2] = side, price, size
        row += 1
        at = _next(text, at + 1)
    return row if at == 0 else NOT_READ


@njit(cache=True, nogil=True)
def read_objects(bids: Array, asks: Array, price_decimals: int, size_decimals: int, floor: int, out: Array) -> int:
    """As `read_levels`, of rows with names and JSON numbers."""
    row = _objects(bids, 1, price_decimals, size_decimals, floor, out, 0)
    if row < 0:
        return NOT_READ
    return _objects(asks, -1, price_decimals, size_decimals, floor, out, row)


@njit(cache=True, nogil=True)
def read_sided(text: Array, price_decimals: int, size_decimals: int, floor: int, out: Array) -> int:
    """As `read_levels`, of one list of rows that name their side and their time, which nobody reads."""
    length, row = len(text), 0
    at = _first(text)
    while at > 0:
        begin = _behind(text, at, SIDE)
        if begin < 0:
            return NOT_READ
        side, at = 1, _behind(text, begin, BID)
        if at < 0:
            side, at = -1, _behind(text, begin, OFFER)
        if at < 0:
            return NOT_READ
        at = _behind(text, at, MOMENT)
        if at < 0:
            return NOT_READ
        while at < length and _byte(text, at) != _QUOTE:
            if _byte(text, at) == _ESCAPE or _byte(text, at) < _BLANK:
                return NOT_READ
            at += 1
        at = _behind(text, at, PRICE_LEVEL)
        if at < 0:
            return NOT_READ
        at, price = _number(text, at, DIGITS, price_decimals, 0)
        if at < 0 or price == 0:
            return NOT_READ
        at = _behind(text, at, NEW_QUANTITY)
        if at < 0:
            return NOT_READ
        at, size = _number(text, at, DIGITS, size_decimals, floor)
        if at < 0 or _byte(text, at) != _QUOTE or _byte(text, at + 1) != _END:
            return NOT_READ
        out[row, 0], out[row, 1], out[row, 2] = side, price, size
        row += 1
        at = _next(text, at + 2)
    return row if at == 0 else NOT_READ


class LevelReader:
    """`read_levels` or `read_objects` for one market, with the scratch it needs."""

    def __init__(self, price_decimals: int, size_decimals: int, *, floor: bool, objects: bool = False) -> None:
        self._read: Any = entry(read_objects if objects else read_levels, READ)
        self._decimals = (price_decimals, size_decimals, int(floor))
        self._scratch = np.empty((256, 3), dtype=np.int64)

    def read(self, bids: Raw, asks: Raw) -> Array | None:
        """Levels of a message, int64 (n, 3), an array of its own; None when it is to be read the long way."""
        bid_text, ask_text = np.frombuffer(bids, np.uint8), np.frombuffer(asks, np.uint8)
        most = (len(bid_text) + len(ask_text)) // SHORTEST + 1
        if most > len(self._scratch):
            self._scratch = np.empty((2 * most, 3), dtype=np.int64)
        count = self._read(bid_text, ask_text, *self._decimals, self._scratch)
        return None if count < 0 else self._scratch[:count].copy()


class SidedReader:
    """`read_sided` for one market, with the scratch it needs."""

    def __init__(self, price_decimals: int, size_decimals: int, *, floor: bool) -> None:
        self._read: Any = entry(read_sided, READ_SIDED)
        self._decimals = (price_decimals, size_decimals, int(floor))
        self._scratch = np.empty((256, 3), dtype=np.int64)

    def read(self, updates: Raw) -> Array | None:
        """Levels of a message, int64 (n, 3), an array of its own; None when it is to be read the long way."""
        text = np.frombuffer(updates, np.uint8)
        most = len(text) // SHORTEST_SIDED + 1
        if most > len(self._scratch):
            self._scratch = np.empty((2 * most, 3), dtype=np.int64)
        count = self._read(text, *self._decimals, self._scratch)
        return None if count < 0 else self._scratch[:count].copy()
