"""How concentrated the displayed depth is, and how much of it to believe: walls, flicker, few hands.

Over the best `LEVELS` levels of each side of each venue (q sizes, Q their sum):

    concentration   HHI = Σ (q/Q)², 1/HHI "effective" levels; share of the five largest
    wall            a level of `WALL` × the median of `BANDS` equal price bands, that has stood for `STANDS_S`. Bands, not
                    levels: in real books the median level is dust (BTC spot: 0.0005 to 0.05 BTC, so that a natural level
                    can be 5,000 × the median level), while a band of a dozen levels is steady
    flicker         F ← e·F + 1 whenever a level of `FLASH` bands that lived less than `SHORT_LIFE_S` is gone although the
                    best price is still better than its own: cancelled before anybody could touch it. `FLICKERS` of them within
                    about `MEMORY_S`: what shows there is not meant to be traded
    haircut         ppm of a side's displayed size not to count on: what its wall-sized levels show beyond a median band, over
                    Q; all of it where they flicker, half of it where one stands

The thresholds lie where recorded spot books of BTC and ETH show neither: there the longest-lived level of 5 bands stood
3.5 s, and F stayed below 3.1. (Perpetuals do show walls: BTC USD-M held one of 270 bands.)

Consolidated: the same over all venues' levels, and the venues' shares of the depth (HHI). A verdict is shown and
discounts depth; nothing is ever traded on it alone. Float64 statistics of int64 books; keys and sizes of the book arena.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import msgspec
import numpy as np
import numpy.typing as npt
from numba import njit

from pricing.arena import H_DEPTH, HEADER, V_COUNT, VENUE_WORDS, Array, side_base
from pricing.entry import entry

Floats = npt.NDArray[np.float64]

U = np.uint64
LEVELS, LEAST_LEVELS = 200, 16  # levels looked at; below the least there is no verdict
BANDS, LEVELS_A_BAND = 16, 4
TOP = 5
WALL, FLASH = 5.0, 7.0
STANDS_S, SHORT_LIFE_S, MEMORY_S, FORGET_S = 8.0, 5.0, 60.0, 60.0
FLICKERS = 4.0
WALL_DOUBT = 0.5  # share of a standing wall that is not counted on
SLOTS = 8  # wall-sized levels followed a side; the oldest absent one makes room

R_TIME, R_LEVELS, R_TOTAL, R_HHI, R_BAND = 0, 1, 2, 3, 4
R_FLICKER, R_VERDICT, R_KEY, R_EXCESS = (
    5,
    6,
    7,
    8,
)  # of the flagged level: ±ticks; lots beyond a band, of all wall-sized levels
R_TOP = 9  # the largest sizes, descending
R_BANDS = R_TOP + TOP  # scratch
R_SLOTS = R_BANDS + BANDS
S_KEY, S_SIZE, S_BORN, S_SEEN, S_SHOWN = 0, 1, 2, 3, 4  # shown: 1 while it is in the book; size 0: free slot
SLOT = 5
ROW = R_SLOTS + SLOTS * SLOT


class Verdict(IntEnum):
    """What a side of a book is."""

    CLEAR = 0
    WALL = 1
    FLICKERING = 2


@njit(cache=True, nogil=True)
def _measure(arena: Array, state: Floats, row: int, first: int, n: int) -> None:
    """Sum, HHI, largest sizes and the median band of the `n` levels whose keys begin at `first`."""
    depth = U(arena[H_DEPTH])
    bins, tops = U(row + R_BANDS), row + R_TOP
    for i in range(R_TOP, R_SLOTS):
        state[row + i] = 0.0
    best, worst = arena[first + n - 1], arena[first]
    bands = min(BANDS, n // LEVELS_A_BAND)
    scale = bands / (best - worst + 1.0)
    total, squares, least = 0.0, 0.0, 0.0
    for at_level in range(U(first), U(first + n)):  # unsigned: no check for negative indices
        size = float(arena[at_level + depth])
        total += size
        squares += size * size
        state[bins + U((best - arena[at_level]) * scale)] += size
        if size > least:
            at = TOP - 1
            while at > 0 and state[tops + at - 1] < size:
                state[tops + at] = state[tops + at - 1]
                at -= 1
            state[tops + at] = size
            least = state[tops + TOP - 1]
    filled = 0
    for i in range(bands):  # insertion sort of the bands that hold anything
        size = state[row + R_BANDS + i]
        if size <= 0.0:
            continue
        at = filled
        while at > 0 and state[row + R_BANDS + at - 1] > size:
            state[row + R_BANDS + at] = state[row + R_BANDS + at - 1]
            at -= 1
        state[row + R_BANDS + at] = size
        filled += 1
    low, high = state[row + R_BANDS + (filled - 1) // 2], state[row + R_BANDS + filled // 2]
    state[row + R_LEVELS], state[row + R_TOTAL], state[row + R_HHI] = n, total, squares / (total * total)
    state[row + R_BAND] = 0.5 * (low + high)


@njit(cache=True, nogil=True)
def _size_at(arena: Array, first: int, n: int, key: int) -> int:
    """Size of the level with `key`, 0 when there is none."""
    low, high = first, first + n
    while low < high:
        middle = (low + high) >> 1
        if arena[middle] < key:
            low = middle + 1
        else:
            high = middle
    return arena[low + arena[H_DEPTH]] if low < first + n and arena[low] == key else 0


@njit(cache=True, nogil=True)
def _follow(arena: Array, state: Floats, row: int, base: int, count: int, now: float) -> None:
    """What became of the wall-sized levels known so far: still there, touched, or cancelled."""
    for slot in range(row + R_SLOTS, row + ROW, SLOT):
        if state[slot + S_SIZE] == 0.0:
            continue
        key = int(state[slot + S_KEY])
        shown = 2.0 * _size_at(arena, base, count, key) >= state[slot + S_SIZE]
        if shown and state[slot + S_SHOWN] == 0.0:
            state[slot + S_BORN] = now
        elif not shown and state[slot + S_SHOWN] == 1.0:
            untouched = count > 0 and arena[base + count - 1] > key
            flashed = state[slot + S_SIZE] >= FLASH * state[row + R_BAND]  # the band is still that of the scan before
            if untouched and flashed and now - state[slot + S_BORN] < SHORT_LIFE_S:
                state[row + R_FLICKER] += 1.0
        if shown:
            state[slot + S_SEEN] = now
        state[slot + S_SHOWN] = 1.0 if shown else 0.0
        if not shown and now - state[slot + S_SEEN] > FORGET_S:
            state[slot + S_SIZE] = 0.0


@njit(cache=True, nogil=True)
def _walls(arena: Array, state: Floats, row: int, first: int, n: int, now: float) -> None:
    """Find the levels that are wall-sized now, follow the new ones, and judge the side."""
    depth, band = arena[H_DEPTH], state[row + R_BAND]
    excess, standing, largest = 0.0, 0.0, 0.0
    for i in range(first, first + n):
        size = float(arena[i + depth])
        if size < WALL * band:
            continue
        excess += size - band
        key = float(arena[i])
        found, oldest = -1, row + R_SLOTS
        for slot in range(row + R_SLOTS, row + ROW, SLOT):
            if state[slot + S_SIZE] > 0.0 and state[slot + S_KEY] == key:
                found = slot
            elif state[slot + S_SIZE] == 0.0 or state[slot + S_SEEN] < state[oldest + S_SEEN]:
                oldest = slot
        if found < 0:
            found = oldest
            state[found + S_KEY], state[found + S_BORN] = key, now
        state[found + S_SIZE], state[found + S_SEEN], state[found + S_SHOWN] = size, now, 1.0
        if now - state[found + S_BORN] >= STANDS_S and size > standing:
            standing, state[row + R_KEY] = size, key
        elif standing == 0.0 and size > largest:
            largest, state[row + R_KEY] = size, key
    state[row + R_EXCESS] = excess
    if state[row + R_FLICKER] >= FLICKERS:
        state[row + R_VERDICT] = 2.0
    else:
        state[row + R_VERDICT] = 1.0 if standing > 0.0 else 0.0


@njit(cache=True, nogil=True)
def scan(arena: Array, venue: int, now_s: float, state: Floats) -> None:
    """Look at both sides of a venue's book at `now_s` (any clock that advances, in seconds)."""
    for side in range(2):
        row = (2 * venue + side) * ROW
        count = arena[HEADER + venue * VENUE_WORDS + V_COUNT + side]
        base = side_base(arena, venue, side)
        elapsed = max(now_s - state[row + R_TIME], 0.0)
        state[row + R_TIME] = max(now_s, state[row + R_TIME])
        state[row + R_FLICKER] *= np.exp(-elapsed / MEMORY_S)
        n = min(count, LEVELS)
        if n < LEAST_LEVELS:
            for i in range(R_LEVELS, R_BAND + 1):
                state[row + i] = 0.0
            state[row + R_VERDICT], state[row + R_EXCESS] = 0.0, 0.0
            continue
        _follow(arena, state, row, base, count, now_s)
        _measure(arena, state, row, base + count - n, n)
        if state[row + R_TOP] >= WALL * state[row + R_BAND]:
            _walls(arena, state, row, base + count - n, n, now_s)
        else:
            state[row + R_EXCESS] = 0.0
            state[row + R_VERDICT] = 2.0 if state[row + R_FLICKER] >= FLICKERS else 0.0


class SideReading(msgspec.Struct, frozen=True, kw_only=True):
    """One side of one venue. `depth` in lots; `wall_ticks`: price of the flagged level, 0 when none; `wall`: the largest
    level over a median band."""

    venue: str
    side: int
    levels: int
    depth: float
    hhi: float
    top_share: float
    wall: float
    verdict: Verdict
    wall_ticks: int
    haircut_ppm: int


class Consolidated(msgspec.Struct, frozen=True, kw_only=True):
    """One side over all venues: levels' HHI, share of the five largest levels, HHI of the venues' shares."""

    depth: float
    hhi: float
    top_share: float
    venue_hhi: float
    haircut_ppm: int


class Concentration:
    """The readings of one book's venues; `scan` after a book message, at most every `every_ns`."""

    def __init__(self, arena: Array, venues: list[str], every_ns: int = 100_000_000) -> None:
        self._arena = arena
        self._venues = {venue: index for index, venue in enumerate(venues)}
        self._every_ns = every_ns
        self.state = np.zeros(2 * len(venues) * ROW, dtype=np.float64)
        self._words = memoryview(self.state)
        self._scan = entry(scan, "(int64[::1], int64, float64, float64[::1])")
        self._next_ns = [0] * len(venues)
        self._first_ns = 0

    def scan(self, venue: str, now_ns: int) -> None:
        """Look at a venue's book, unless that was done a moment ago."""
        index = self._venues[venue]
        if now_ns < self._next_ns[index]:
            return
        self._next_ns[index] = now_ns + self._every_ns
        self._first_ns = self._first_ns or now_ns
        self._scan(self._arena, index, (now_ns - self._first_ns) * 1e-9, self.state)

    def forget(self, venue: str) -> None:
        """The book was cleared: what is gone was not cancelled."""
        first = 2 * self._venues[venue] * ROW
        for row in (first, first + ROW):
            self.state[row + R_LEVELS : row + R_BAND + 1] = 0.0
            self.state[row + R_VERDICT : row + R_EXCESS + 1] = 0.0
            self.state[row + R_SLOTS : row + ROW] = 0.0

    def haircut_ppm(self, venue: str, side: int) -> int:
        """Part of the size displayed on a side (0 bids, 1 asks) that is not to be counted on, in ppm."""
        row, words = (2 * self._venues[venue] + side) * ROW, self._words
        verdict = words[row + R_VERDICT]
        if verdict == 0.0 or words[row + R_TOTAL] <= 0.0:
            return 0
        doubt = 1.0 if verdict == 2.0 else WALL_DOUBT
        return int(1e6 * doubt * words[row + R_EXCESS] / words[row + R_TOTAL])

    def read(self, venue: str, side: int) -> SideReading:
        """What was last seen of a side."""
        row = (2 * self._venues[venue] + side) * ROW
        words = self.state[row : row + R_BANDS].tolist()
        total, band = words[R_TOTAL], words[R_BAND]
        verdict = Verdict(int(words[R_VERDICT]))
        return SideReading(
            venue=venue,
            side=side,
            levels=int(words[R_LEVELS]),
            depth=total,
            hhi=words[R_HHI],
            top_share=sum(words[R_TOP : R_TOP + TOP]) / total if total else 0.0,
            wall=words[R_TOP] / band if band else 0.0,
            verdict=verdict,
            wall_ticks=abs(int(words[R_KEY])) if verdict else 0,
            haircut_ppm=self.haircut_ppm(venue, side),
        )

    def consolidated(self, side: int, use: Callable[[str], bool] = lambda _: True) -> Consolidated:
        """One side over the venues that `use` allows."""
        rows = [(2 * index + side) * ROW for venue, index in self._venues.items() if use(venue)]
        parts = [self.state[row : row + R_BANDS].tolist() for row in rows]
        total = sum(part[R_TOTAL] for part in parts)
        if not total:
            return Consolidated(depth=0.0, hhi=0.0, top_share=0.0, venue_hhi=0.0, haircut_ppm=0)
        shares = [part[R_TOTAL] / total for part in parts]
        largest = sorted((size for part in parts for size in part[R_TOP : R_TOP + TOP]), reverse=True)[:TOP]
        cuts = [self.haircut_ppm(venue, side) for venue in self._venues if use(venue)]
        return Consolidated(
            depth=total,
            hhi=sum(part[R_HHI] * share**2 for part, share in zip(parts, shares, strict=True)),
            top_share=sum(largest) / total,
            venue_hhi=sum(share**2 for share in shares),
            haircut_ppm=int(sum(cut * share for cut, share in zip(cuts, shares, strict=True))),
        )
