"""Impact haircut: displayed depth is not all real, so a sweep is expected to walk further than the books show.

Each venue has a fill ratio ρ: the share of its displayed depth that is there when an order arrives. The expected cost of a size
sweeps the books with every level cut to ⌊ρ × size⌋, in the same all-in order; what that depth cannot give is taken at the
worst displayed all-in price, so that every size the books show has a price and the average never falls with size. ρ is
learnt by the desk from its own fills, and shrunk to the configured prior with the weight of n₀ observations:
ρ = (n·learnt + n₀·prior)/(n + n₀) × (1 − what the book's shape makes doubtful).

One flat int64 array `work` holds all a kernel needs, venue by venue: [W_FEE] taker fee in 1e-8, [W_RATIO] ρ of bids and of asks in
2^-20, and the scratch of the running sweep.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import NamedTuple

from numba import njit

from pricing.book import H_DEPTH, H_VENUES, HEADER, PPM, V_COUNT, V_FEE_PPM, VENUE_WORDS, Array, side_base
from pricing.charges import FINE_ONE, RATIO_ONE
from pricing.consolidated import FEE_ONE
from pricing.parameters import PricingParameters

W_FEE, W_RATIO, W_CURSOR, W_LEFT, W_TAKEN, W_NOTIONAL, W_BASE, W_FACTOR, W_USED_RATIO = 0, 1, 3, 4, 5, 6, 7, 8, 9
VENUE_WORK = 10  # words a venue
NO_KEY = 1 << 62
LEAST_RATIO = 1e-3
RATIO_BITS = 20
MASK = RATIO_ONE - 1
MOST_LOTS = 1 << 45  # of a size: above it an average could not be divided exactly
MOST_MONEY = float(1 << 60)  # ticks × lots of a size
MOST_ROUGH = 1e8 * MOST_MONEY


class Depth(NamedTuple):
    """What is known of a venue's displayed depth: the share of it that filled over `n` orders, and the part of it that the
    shape of the book says not to count on now (`pricing.concentration`)."""

    filled: float = 0.0
    n: float = 0.0
    cut_ppm: int = 0


FillRatios = Mapping[str, Depth]  # by venue; one that is missing: nothing is known
UNKNOWN = Depth()


def fill_ratio(parameters: PricingParameters, venue: str, learnt: FillRatios | None) -> float:
    """ρ of a venue in (0, 1]."""
    known = (learnt or {}).get(venue, UNKNOWN)
    ratio = parameters.fill_ratio
    if isfinite(known.filled) and known.n > 0:
        weight = 1.0 if known.n == float("inf") else known.n / (known.n + parameters.fill_prior_n)
        ratio = weight * known.filled + (1.0 - weight) * parameters.fill_ratio
    return min(1.0, max(LEAST_RATIO, ratio * (1.0 - known.cut_ppm * 1e-6)))


@njit(cache=True, nogil=True)
def real(lots: int, ratio: int) -> int:
    """⌊lots × ratio / 2^20⌋, exactly, for lots below 2^60."""
    return (lots >> RATIO_BITS) * ratio + (((lots & MASK) * ratio) >> RATIO_BITS)


@njit(cache=True, nogil=True)
def start(arena: Array, work: Array, at: int, side: int, live: int) -> None:
    """Put every live venue on its best level; `at`: where the venues' words begin in `work`."""
    depth = arena[H_DEPTH]
    for venue in range(arena[H_VENUES]):
        w = at + venue * VENUE_WORK
        n = arena[HEADER + venue * VENUE_WORDS + V_COUNT + side] if (live >> venue) & 1 else 0
        base = side_base(arena, venue, side)
        work[w + W_BASE] = base
        work[w + W_CURSOR] = n - 1
        work[w + W_TAKEN] = 0
        work[w + W_NOTIONAL] = 0
        work[w + W_LEFT] = real(arena[base + depth + n - 1], work[w + W_RATIO + side]) if n > 0 else 0


@njit(cache=True, nogil=True)
def take(arena: Array, work: Array, at: int, side: int, used: int, lots: int) -> int:
    """Go on from `used` real lots until `lots` are taken; returns what is taken in all (less when the real depth ends)."""
    depth, venues = arena[H_DEPTH], arena[H_VENUES]
    while used < lots:
        best, best_key, second = -1, NO_KEY, NO_KEY
        for venue in range(venues):
            w = at + venue * VENUE_WORK
            cursor = work[w + W_CURSOR]
            if cursor >= 0:
                fee = arena[HEADER + venue * VENUE_WORDS + V_FEE_PPM]
                key = -arena[work[w + W_BASE] + cursor] * (PPM + fee if side == 1 else PPM - fee)
                if key < best_key:
                    second = best_key
                    best, best_key = venue, key
                elif key < second:
                    second = key
        if best < 0:
            return used
        w = at + best * VENUE_WORK
        fee = arena[HEADER + best * VENUE_WORDS + V_FEE_PPM]
        factor = PPM + fee if side == 1 else PPM - fee
        base, cursor, left, ratio = work[w + W_BASE], work[w + W_CURSOR], work[w + W_LEFT], work[w + W_RATIO + side]
        taken, notional = work[w + W_TAKEN], work[w + W_NOTIONAL]
        while True:  # levels of one venue for as long as none of another's is better
            here = min(left, lots - used)
            used += here
            left -= here
            taken += here
            notional += here * abs(arena[base + cursor])
            if left > 0:
                break
            cursor -= 1
            if cursor < 0:
                break
            left = real(arena[base + depth + cursor], ratio)
            if used == lots or -arena[base + cursor] * factor >= second:
                break
        work[w + W_CURSOR], work[w + W_LEFT] = cursor, left
        work[w + W_TAKEN], work[w + W_NOTIONAL] = taken, notional
    return used


@njit(cache=True, nogil=True)
def displayed(arena: Array, side: int, live: int) -> int:
    """Lots shown on one side of the live books."""
    depth = arena[H_DEPTH]
    low = high = 0
    for venue in range(arena[H_VENUES]):
        if (live >> venue) & 1:
            first = side_base(arena, venue, side) + depth
            for i in range(first, first + arena[HEADER + venue * VENUE_WORDS + V_COUNT + side]):
                low += arena[i] & 0xFFFFFFFF
                high += arena[i] >> 32
    return min((high << 32) + low, NO_KEY) if high < 1 << 28 else NO_KEY


@njit(cache=True, nogil=True)
def worst(arena: Array, side: int, live: int) -> tuple[int, int, float]:
    """(venue, ticks) of the worst displayed all-in price on one side of the live books, and the highest ticks there; (-1, 0, 0)
    when there is none."""
    found, ticks, key, peak = -1, 0, -NO_KEY, 0.0
    for venue in range(arena[H_VENUES]):
        head = HEADER + venue * VENUE_WORDS
        if (live >> venue) & 1 and arena[head + V_COUNT + side] > 0:
            base = side_base(arena, venue, side)
            price = abs(arena[base])
            peak = max(peak, float(price), float(abs(arena[base + arena[head + V_COUNT + side] - 1])))
            fee = arena[head + V_FEE_PPM]
            mine = price * (PPM + fee) if side == 1 else -price * (PPM - fee)
            if mine > key:
                found, ticks, key = venue, price, mine
    return found, ticks, peak


@njit(cache=True, nogil=True, forceinline=True)
def divided(exact: int, rough: float, lots: int, up: int) -> int:
    """Σ n·(10^8 ± fee) over lots in fine ticks, rounded up (`up` = 1) or down; -1 when it does not fit.

    `exact`: the sum modulo 2^64, `rough`: the same in floats. The estimate by floats is off by a few units at most, so the
    remainder is small and products modulo 2^64 give it exactly.
    """
    if rough >= MOST_ROUGH:
        return -1
    divisor = FINE_ONE * lots
    q = int(rough / float(divisor))
    r = exact - q * divisor
    while r < 0:
        q -= 1
        r += divisor
    while r >= divisor:
        q += 1
        r -= divisor
    return q + 1 if up == 1 and r > 0 else q


@njit(cache=True, nogil=True)
def average(arena: Array, work: Array, at: int, side: int, lots: int, rest: int, venue: int, ticks: int) -> int:
    """All-in price of `lots` in fine ticks, rounded against the client: what the venues gave and `rest` lots at the worst
    level. -1 when it does not fit. The caller has held lots × the highest price below `MOST_MONEY`."""
    sign = 1 if side == 1 else -1
    exact = 0
    rough = 0.0
    for v in range(arena[H_VENUES]):
        w = at + v * VENUE_WORK
        money = work[w + W_NOTIONAL]
        factor = FEE_ONE + sign * work[w + W_FEE]
        if v == venue and rest > 0:
            money += rest * ticks
        exact += money * factor
        rough += float(money) * float(factor)
    return divided(exact, rough, lots, side)


@njit(cache=True, nogil=True)
def real_targets(arena: Array, work: Array, side: int, live: int, targets: Array, out: Array) -> None:
    """Sweep the real depth to each of the ascending `targets` (lots). `out` (T × K × 2) gets lots and Σ ticks × lots per
    venue, what the real depth cannot give included at the worst level. The displayed depth must cover the targets."""
    start(arena, work, 0, side, live)
    venue, ticks, _ = worst(arena, side, live)
    used = 0
    for t in range(targets.shape[0]):
        used = take(arena, work, 0, side, used, targets[t])
        for v in range(arena[H_VENUES]):
            out[t, v, 0] = work[v * VENUE_WORK + W_TAKEN]
            out[t, v, 1] = work[v * VENUE_WORK + W_NOTIONAL]
        if used < targets[t] and venue >= 0:
            out[t, venue, 0] += targets[t] - used
            out[t, venue, 1] += (targets[t] - used) * ticks
