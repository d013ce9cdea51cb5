"""Levels of a book message from its text: the digits themselves, read in a kernel, without a Python object for any of them.

`read_levels` takes what msgspec left unparsed of `[["61837.63","3.78826",…],…]`: rows of strings, price and size first; `read_objects` of
`[{"price":61837.6,"qty":3.78826},…]`. They read plain digits with at most one point and nothing else. Whatever they do not read (a sign, an
exponent, an escape, a price with more decimals than the market, more digits than an int64 or, of JSON numbers, a double surely holds) they
give back, and the caller reads the message the long way: that way alone decides whether it is an odd number or a bad message, so both ways
know the same messages and say the same of the bad ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Raw
from numba import njit

from pricing.entry import entry

Array = np.ndarray

NOT_READ = -1
DIGITS = 18  # what an int64 surely holds
EXACT_DIGITS = 15  # what a double surely holds: the long way reads JSON numbers as such
SHORTEST = len('["1","0"]')  # of a row
PRICE, QTY = (np.frombuffer(name, np.uint8) for name in (b'{"price":', b',"qty":'))

TEXT = "Array(uint8, 1, 'C', readonly=True)"
READ = f"({TEXT}, {TEXT}, int64, int64, int64, int64[:,::1])"

_QUOTE, _COMMA, _POINT, _ZERO, _NINE, _OPEN, _CLOSE, _END = (ord(char) for char in '",.09[]}')


@njit(cache=True, nogil=True, forceinline=True)
def _number(text: Array, at: int, most: int, decimals: int, floor: int, out: Array, row: int, column: int) -> int:
    """The digits from `at` on, in units of 10^-decimals; the position after them, or NOT_READ."""
    size = len(text)
    value = digits = fraction = 0
    while at < size and _ZERO <= text[at] <= _NINE:
        value = value * 10 + (text[at] - _ZERO)
        digits += 1
        at += 1
    if digits == 0 or digits + decimals > most:
        return NOT_READ
    if at < size and text[at] == _POINT:
        at += 1
        begin = at
        while at < size and _ZERO <= text[at] <= _NINE:
            if fraction < decimals:
                value = value * 10 + (text[at] - _ZERO)
                fraction += 1
            elif not floor and text[at] != _ZERO:
                return NOT_READ
            at += 1
        if at == begin:
            return NOT_READ
    while fraction < decimals:
        value *= 10
        fraction += 1
    out[row, column] = value
    return at


@njit(cache=True, nogil=True, forceinline=True)
def _string(text: Array, at: int, decimals: int, floor: int, out: Array, row: int, column: int) -> int:
    """The number in the string that opens at `at`; the position after it, or NOT_READ."""
    if at >= len(text) or text[at] != _QUOTE:
        return NOT_READ
    at = _number(text, at + 1, DIGITS, decimals, floor, out, row, column)
    return at + 1 if 0 <= at < len(text) and text[at] == _QUOTE else NOT_READ


@njit(cache=True, nogil=True, forceinline=True)
def _named(text: Array, at: int, name: Array, decimals: int, floor: int, out: Array, row: int, column: int) -> int:
    """The number behind `name`, which must stand at `at`; the position after it, or NOT_READ."""
    if at + len(name) >= len(text):
        return NOT_READ
    for i in range(len(name)):
        if text[at + i] != name[i]:
            return NOT_READ
    return _number(text, at + len(name), EXACT_DIGITS, decimals, floor, out, row, column)


@njit(cache=True, nogil=True, forceinline=True)
def _side(text: Array, side: int, price_decimals: int, size_decimals: int, floor: int, out: Array, row: int) -> int:
    """The rows of one side from `row` on; the row after the last, or NOT_READ."""
    size = len(text)
    if size < 2 or text[0] != _OPEN:
        return NOT_READ
    if text[1] == _CLOSE:
        return row if size == 2 else NOT_READ
    at = 1
    while True:
        if at >= size or text[at] != _OPEN:
            return NOT_READ
        at = _string(text, at + 1, price_decimals, 0, out, row, 1)
        if at < 0 or at >= size or text[at] != _COMMA:
            return NOT_READ
        at = _string(text, at + 1, size_decimals, floor, out, row, 2)
        if at < 0:
            return NOT_READ
        while at < size and text[at] != _CLOSE:  # further fields: plain, so that no bracket can be inside of one
            char = text[at]
            if not (_ZERO <= char <= _NINE or char in (_QUOTE, _COMMA, _POINT)):
                return NOT_READ
            at += 1
        if at + 1 >= size or out[row, 1] <= 0:
            return NOT_READ
        out[row, 0] = side
        row += 1
        at += 1
        if text[at] == _CLOSE:
            return row if at + 1 == size else NOT_READ
        if text[at] != _COMMA:
            return NOT_READ
        at += 1


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
    size = len(text)
    if size < 2 or text[0] != _OPEN:
        return NOT_READ
    if text[1] == _CLOSE:
        return row if size == 2 else NOT_READ
    at = 1
    while True:
        at = _named(text, at, PRICE, price_decimals, 0, out, row, 1)
        if at < 0:
            return NOT_READ
        at = _named(text, at, QTY, size_decimals, floor, out, row, 2)
        if at < 0 or at + 1 >= size or text[at] != _END or out[row, 1] <= 0:
            return NOT_READ
        out[row, 0] = side
        row += 1
        at += 1
        if text[at] == _CLOSE:
            return row if at + 1 == size else NOT_READ
        if text[at] != _COMMA:
            return NOT_READ
        at += 1


@njit(cache=True, nogil=True)
def read_objects(bids: Array, asks: Array, price_decimals: int, size_decimals: int, floor: int, out: Array) -> int:
    """As `read_levels`, of rows with names and JSON numbers."""
    row = _objects(bids, 1, price_decimals, size_decimals, floor, out, 0)
    if row < 0:
        return NOT_READ
    return _objects(asks, -1, price_decimals, size_decimals, floor, out, row)


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
