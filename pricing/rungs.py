"""`ladder`: ask and bid for many sizes in one kernel call, for streams and scans; `price_quote` is the one that
explains itself.

Integers of ticks out. The sweep is exact; the terms are floats in ticks, and rounding to the tick is against the
client. Guards, per side from the smallest size up: a larger size is never cheaper than a smaller one, and ask − bid is
never below the least spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import ceil, floor, sqrt

import numpy as np
import numpy.typing as npt
from numba import njit

from pricing.book import H_VENUES, HEADER, PPM, V_FEE_PPM, V_NOTIONAL, V_TAKEN, VENUE_WORDS, Array
from pricing.consolidated import ConsolidatedBook
from pricing.parameters import PricingParameters
from pricing.sweep import displayed, start, sweep_to

Floats = npt.NDArray[np.float64]
T_FAIR, T_COST, T_SKEW, T_IMPACT, T_HALF, T_TICK, T_COLLAR = 0, 1, 2, 3, 4, 5, 6
TERMS = 7  # fair, fixed costs, skew, impact at full depth, least half-spread, tick, collar: all in ticks of the scale

__all__ = ["TERMS", "ladder", "ladder_kernel", "terms"]


@njit(cache=True, nogil=True)
def ladder_kernel(arena: Array, live: int, sizes: Array, costs: Floats, out: Array) -> int:
    """Fill `out` (n × 2: bid, ask in ticks of the scale; 0 = no price) for ascending `sizes` in lots. Returns how many
    asks and bids there are."""
    priced = 0
    venues = arena[H_VENUES]
    tick = costs[T_TICK]
    for side in range(2):
        sign = 1.0 if side == 1 else -1.0
        total = displayed(arena, side, live)
        start(arena, side, live)
        used = 0
        worst = 0.0
        for t in range(sizes.shape[0]):
            out[t, side] = 0
            used = sweep_to(arena, side, used, sizes[t])
            if used < sizes[t] or used == 0:
                continue
            cost = 0.0
            for venue in range(venues):
                head = HEADER + venue * VENUE_WORDS
                if arena[head + V_TAKEN] > 0:
                    cost += arena[head + V_NOTIONAL] * (PPM + sign * arena[head + V_FEE_PPM]) / PPM
            edge = sign * (cost / sizes[t] - costs[T_FAIR]) + costs[T_COST]
            edge += costs[T_IMPACT] * sqrt(min(1.0, sizes[t] / total))
            edge = max(edge, costs[T_HALF])
            price = costs[T_FAIR] + costs[T_SKEW] + sign * edge
            price = ceil(price / tick) * tick if side == 1 else floor(price / tick) * tick
            if worst != 0.0:
                price = max(price, worst) if side == 1 else min(price, worst)
            worst = price
            if price > 0.0 and abs(price - costs[T_FAIR]) <= costs[T_COLLAR]:
                out[t, side] = int(price)
                priced += 1
    return priced


def terms(
    book: ConsolidatedBook,
    *,
    fair: Decimal,
    ttl_ms: int,
    inventory: Decimal,
    band: Decimal,
    volatility: float,
    tier: str,
    parameters: PricingParameters,
    tick: Decimal,
) -> Floats:
    """The size-independent part of a ladder, once for all its rungs (row `T_*`, in ticks of the book's scale)."""
    unit = 10.0**book.scale.price_decimals
    centre = float(fair) * unit
    bps = centre * 1e-4
    seconds = (max(ttl_ms, 0) + parameters.hedge_ms) / 1000.0
    share = max(-1.0, min(1.0, float(inventory / band))) if band > 0 else 0.0
    fixed = float(parameters.adverse_bps + parameters.credit_bps + parameters.markup(tier)) * bps
    out = np.zeros(TERMS)
    out[T_FAIR] = centre
    out[T_COST] = fixed + max(volatility, 0.0) * parameters.volatility_multiplier * sqrt(seconds) * centre
    out[T_SKEW] = -share * float(parameters.skew_bps_at_band) * bps
    out[T_IMPACT] = float(parameters.impact_bps) * bps
    out[T_HALF] = float(parameters.min_spread_bps) * bps / 2
    out[T_TICK] = float(tick) * unit
    out[T_COLLAR] = float(parameters.max_deviation_bps) * bps
    return out


def ladder(book: ConsolidatedBook, sizes: Sequence[Decimal], costs: Floats, now_ns: int) -> Array:
    """Bids and asks (n × 2, ticks of the scale, 0 where there is no price) for ascending `sizes` over the live
    venues."""
    lots = np.array([book.scale.lots_up(size) for size in sizes], dtype=np.int64)
    if np.any(np.diff(lots) < 0) or np.any(lots <= 0):
        raise ValueError("ladder: sizes must be positive and ascending")
    out = np.zeros((len(lots), 2), dtype=np.int64)
    if book.scale.fits(int(lots[-1]), int(costs[T_FAIR]) * 4):
        ladder_kernel(book.arena, book.live_mask(now_ns), lots, costs, out)
    return out
