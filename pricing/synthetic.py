"""Synthetic books: what it costs to get A against B through a third currency X, as one convex book of A/B.

Leg 1 is A/X, leg 2 is B/X (`DIVIDE`, as BTC/EUR from BTC/USDT and EUR/USDT) or X/B (`MULTIPLY`). To buy Q of A, leg 1
needs C₁(Q) of X and leg 2 gives it up for C_syn(Q) = g(C₁(Q)) of B. Both are convex and increasing, so C_syn is convex:
a book of at most L₁ + L₂ levels, with the breakpoints of both legs and the product of their all-in slopes (Diamandis et
al., arXiv:2302.04938, on routing by marginal prices). It merges with direct books of A/B in the same splitter, as long
as nothing else takes from the same legs in the same plan.

Rounding, always against us: a level's price to one tick of the book outward; its size down to a lot; what remains of a
level of leg 2 down to a unit of that leg. So the book never says less than the legs cost, and more by at most one tick
and, a breakpoint, one lot at the next level's price. Fees finer than 1 ppm count as the next ppm. All in integers.

Scale: fee-adjusted prices are below 2^41 · 1.1·10^6 < 2^62; a quotient a·b/c is exact because its remainder is below
3·c in size, and 64-bit arithmetic that wraps keeps it (`_quotient`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pricing.book import H_DEPTH, H_VENUES, HEADER, PPM, V_COUNT, V_FEE_PPM, VENUE_WORDS, Array, side_base
from pricing.triangle import Form

MOST = 1 << 52  # lots of one level: above it a quotient could not be exact
BOUND = 1 << 61  # of every factor and divisor
NO_KEY = 1 << 62
TOO_LARGE = -1  # prices or sizes of these legs do not fit the scale

S_FORM, S_SIDE, S_LIVE_1, S_LIVE_2, S_LOAD_1, S_LOAD_2 = 0, 1, 2, 3, 4, 5
S_PRICE_UP, S_PRICE_DOWN, S_SIZE_UP, S_SIZE_DOWN = 6, 7, 8, 9
SPEC = 10  # words: form, side (0 bids, 1 asks), live masks, extra ppm of each leg, powers of ten of price and size
W_LEG, W_KEY = 128, 64  # scratch: cursor and key of each venue, leg by leg
WORK = 2 * W_LEG


def spec_of(form: Form, decimals_1: tuple[int, int], decimals_2: tuple[int, int], price_decimals: int) -> Array:
    """The constants of a pair of legs. `decimals_*`: (price, size) of a leg's scale; sizes of the cross are leg 1's.

    Raises ValueError when the powers of ten do not fit: choose fewer `price_decimals`.
    """
    spec = np.zeros(SPEC, dtype=np.int64)
    spec[S_FORM] = form
    if form is Form.DIVIDE:
        price = price_decimals - decimals_1[0] + decimals_2[0]
        size = decimals_1[0] + decimals_1[1] - decimals_2[0] - decimals_2[1]
    else:
        price = price_decimals - decimals_1[0] - decimals_2[0] - 12
        size = decimals_1[0] + decimals_1[1] + 6 - decimals_2[1]
    for power, up in ((price, S_PRICE_UP), (size, S_SIZE_UP)):
        if abs(power) > 18 or (form is Form.MULTIPLY and up == S_PRICE_UP and power > 0):
            raise ValueError(f"decimals {decimals_1}, {decimals_2} and {price_decimals} are too far apart")
        spec[up], spec[up + 1] = 10 ** max(power, 0), 10 ** max(-power, 0)
    return spec


@njit(cache=True, nogil=True)
def _quotient(a: int, b: int, c: int, up: int) -> int:
    """⌊a·b/c⌋, or ⌈a·b/c⌉ with `up` = 1, exactly, for 0 ≤ a, b, 0 < c < 2^61 and a result below `MOST` (else `MOST`).

    The estimate in floats is off by less than 2, so the remainder is found from products modulo 2^64.
    """
    estimate = float(a) * float(b) / float(c)
    if estimate >= MOST:
        return MOST
    q = int(estimate)
    r = a * b - q * c
    while r < 0:
        q -= 1
        r += c
    while r >= c:
        q += 1
        r -= c
    return q + 1 if up == 1 and r > 0 else q


@njit(cache=True, nogil=True)
def _load(arena: Array, venue: int, side: int, work: Array, at: int, extra: int) -> None:
    """Key of the level the venue's cursor is on: its all-in price, negative for bids, so that the least is the best."""
    cursor = work[at + venue]
    if cursor < 0:
        work[at + W_KEY + venue] = NO_KEY
        return
    sign = 1 if side == 1 else -1
    factor = PPM + sign * (arena[HEADER + venue * VENUE_WORDS + V_FEE_PPM] + extra)
    work[at + W_KEY + venue] = -arena[side_base(arena, venue, side) + cursor] * factor


@njit(cache=True, nogil=True)
def _start(arena: Array, side: int, live: int, work: Array, at: int, extra: int) -> None:
    for venue in range(arena[H_VENUES]):
        n = arena[HEADER + venue * VENUE_WORDS + V_COUNT + side]
        work[at + venue] = n - 1 if (live >> venue) & 1 else -1
        _load(arena, venue, side, work, at, extra)


@njit(cache=True, nogil=True)
def _best(arena: Array, work: Array, at: int) -> int:
    """The venue with the best all-in level, -1 when the leg is swept empty."""
    best, best_key = -1, NO_KEY
    for venue in range(arena[H_VENUES]):
        key = work[at + W_KEY + venue]
        if key < best_key:
            best, best_key = venue, key
    return best


@njit(cache=True, nogil=True)
def _size(arena: Array, side: int, work: Array, at: int, venue: int) -> int:
    return arena[side_base(arena, venue, side) + arena[H_DEPTH] + work[at + venue]]


@njit(cache=True, nogil=True)
def _next(arena: Array, side: int, work: Array, at: int, venue: int, extra: int) -> None:
    work[at + venue] -= 1
    _load(arena, venue, side, work, at, extra)


@njit(cache=True, nogil=True)
def compose(arena_1: Array, arena_2: Array, spec: Array, work: Array, out: Array) -> int:
    """Fill `out` (rows: side ±1, price in ticks, lots) with the synthetic levels of one side, worst first.

    Returns how many there are, at most `len(out)` (the best ones), or `TOO_LARGE`.
    """
    side, divide = spec[S_SIDE], spec[S_FORM] == 0
    side_2 = 1 - side if divide else side
    up = 1 if side == 1 else 0
    extra_1, extra_2 = spec[S_LOAD_1], spec[S_LOAD_2]
    _start(arena_1, side, spec[S_LIVE_1], work, 0, extra_1)
    _start(arena_2, side_2, spec[S_LIVE_2], work, W_LEG, extra_2)
    n = 0
    one = _best(arena_1, work, 0)
    two = _best(arena_2, work, W_LEG)
    if one < 0 or two < 0:
        return 0
    left_1 = _size(arena_1, side, work, 0, one)
    left_2 = _size(arena_2, side_2, work, W_LEG, two)
    while True:
        key_1, key_2 = abs(work[W_KEY + one]), abs(work[W_LEG + W_KEY + two])
        if (
            max(float(key_1) * spec[S_SIZE_DOWN], float(key_2) * spec[S_PRICE_DOWN] if divide else float(key_2))
            >= BOUND
        ):
            return TOO_LARGE
        if float(spec[S_SIZE_UP]) * float(key_2 if divide else 1) >= BOUND:
            return TOO_LARGE
        per = spec[S_SIZE_UP] * key_2 if divide else spec[S_SIZE_UP]
        cost = spec[S_SIZE_DOWN] * key_1
        reach = _quotient(left_2, per, cost, 0)  # lots of A that the rest of leg 2's level pays for
        take = min(left_1, reach)
        if take > 0:
            if divide:
                price = _quotient(key_1, spec[S_PRICE_UP], key_2 * spec[S_PRICE_DOWN], up)
            else:
                price = _quotient(key_1, key_2, spec[S_PRICE_DOWN], up)
            if price <= 0 or price >= MOST:
                return TOO_LARGE
            if n > 0 and out[n - 1, 1] == price:
                out[n - 1, 2] += take
            elif n == out.shape[0]:
                break
            else:
                out[n, 0] = -1 if side == 1 else 1
                out[n, 1] = price
                out[n, 2] = take
                n += 1
        left_1 -= take
        if left_1 == 0:
            if reach > take:
                left_2 -= min(left_2, _quotient(take, cost, per, 1))
            else:
                left_2 = 0
            _next(arena_1, side, work, 0, one, extra_1)
            one = _best(arena_1, work, 0)
            if one < 0:
                break
            left_1 = _size(arena_1, side, work, 0, one)
        else:
            left_2 = 0
        if left_2 == 0:
            _next(arena_2, side_2, work, W_LEG, two, extra_2)
            two = _best(arena_2, work, W_LEG)
            if two < 0:
                break
            left_2 = _size(arena_2, side_2, work, W_LEG, two)
    for i in range(n // 2):
        for word in range(3):
            out[i, word], out[n - 1 - i, word] = out[n - 1 - i, word], out[i, word]
    return n
