"""What is known of a marketable order before it is sent, and what it should cost by theory alone.

One kernel for training and for trading: it reads the book's arena and writes one row of floats, so that a row made from an archived book
and a row made live are the same bits. Costs are in basis points of the venue's own mid, outward positive, fees excluded (they are exact
and known); sizes are lots of the book's scale.

The prior, for when there is no model to trust (half-spread and impact stand in the sweep):

    P50 = sweep + 0.399·σ·√w          E[max(X, 0)], X ~ N(0, σ²w): the adverse half of what the market does while the order is under way
    P90 = sweep + 1.2816·σ·√w         the 90th percentile of the same X
    w   = age of the book + latency of the order, seconds; σ per √s

`sweep` walks the visible levels; what is beyond them costs the worst level moved by Y·σ_day·√(beyond / ADV), the square-root law (Tóth et
al., Phys. Rev. X 1, 021006, 2011; Y of order one; σ_day = σ·√86400). Without an ADV the visible side counts as `TURNOVER` of it.
Every feature that grows with the size never falls with it, which is what keeps a bigger order from being predicted cheaper.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt
from numba import njit

from pricing.book import H_DEPTH, HEADER, V_COUNT, VENUE_WORDS, Array, side_base

Floats = npt.NDArray[np.float64]

FEATURES = (
    "sweep_bps",  # cost of walking the book for the size, half-spread and impact beyond the book included
    "depth_share",  # size / everything visible on that side
    "touch_share",  # size / the best level
    "participation",  # √(size / ADV)
    "half_spread_bps",
    "wait_bps",  # σ·√w
    "sigma_bps",  # σ per √s
    "touch_pressure",  # (other best − our best) / sum: above zero the price leans away from us
    "depth_pressure",  # the same over the best `NEAR` levels
    "lead_bps",  # how far the consolidated fair value is beyond this venue's mid, in our direction
    "concentration",  # Herfindahl index of the best `NEAR` levels of our side: 1 / effective levels
    "age_s",
)
GROWING = 4  # the first so many features never fall when the size grows
SWEEP, WAIT = 0, 5
NEAR = 10
P50_WAIT = 0.39894228040143268  # 1/√(2π)
P90_WAIT = 1.2815515655446004  # Φ⁻¹(0.9)
DAY_SQRT = 293.93876913398137  # √86400
TURNOVER = 2880.0  # visible sides a day: a whole one every half minute
M_FAIR, M_SIGMA, M_AGE, M_LATENCY, M_ADV, M_Y = range(6)  # market row: ticks, per √s, s, s, lots a day (0: unknown), Y
MARKET = 6
OK, NO_BOOK = 0, -1


@njit(cache=True, nogil=True)
def features(arena: Array, venue: int, side: int, lots: int, market: Floats, out: Floats) -> int:
    """Fill `out` (len(FEATURES)) for an order of `lots` > 0 that takes `side` (1 asks: we buy, 0 bids: we sell) of `venue`.

    Returns `OK`, or `NO_BOOK` when a side is empty.
    """
    head = HEADER + venue * VENUE_WORDS
    depth = arena[H_DEPTH]
    ours, others = arena[head + V_COUNT + side], arena[head + V_COUNT + 1 - side]
    if ours == 0 or others == 0:
        return NO_BOOK
    base, other = side_base(arena, venue, side), side_base(arena, venue, 1 - side)
    best = float(abs(arena[base + ours - 1]))
    mid = 0.5 * (best + float(abs(arena[other + others - 1])))
    sign = 1.0 if side == 1 else -1.0
    visible = 0.0
    paid = 0.0
    left = float(lots)
    worst = best
    for i in range(base + ours - 1, base - 1, -1):
        size = float(arena[i + depth])
        visible += size
        if left > 0.0:
            take = min(size, left)
            worst = float(abs(arena[i]))
            paid += take * worst
            left -= take
    sigma = market[M_SIGMA]
    volume = market[M_ADV] if market[M_ADV] > 0.0 else TURNOVER * visible
    if left > 0.0:
        paid += left * worst * (1.0 + sign * market[M_Y] * sigma * DAY_SQRT * sqrt(left / volume))
    near = near_other = squares = 0.0
    for i in range(base + ours - 1, max(base, base + ours - NEAR) - 1, -1):
        near += float(arena[i + depth])
    for i in range(base + ours - 1, max(base, base + ours - NEAR) - 1, -1):
        share = float(arena[i + depth]) / near
        squares += share * share
    for i in range(other + others - 1, max(other, other + others - NEAR) - 1, -1):
        near_other += float(arena[i + depth])
    touch, touch_other = float(arena[base + ours - 1 + depth]), float(arena[other + others - 1 + depth])
    to_bps = sign * 1e4 / mid
    age = max(market[M_AGE], 0.0)
    out[0] = (paid / float(lots) - mid) * to_bps
    out[1] = float(lots) / visible
    out[2] = float(lots) / touch
    out[3] = sqrt(float(lots) / volume)
    out[4] = (best - mid) * to_bps
    out[5] = sigma * sqrt(age + max(market[M_LATENCY], 0.0)) * 1e4
    out[6] = sigma * 1e4
    out[7] = (touch_other - touch) / (touch_other + touch)
    out[8] = (near_other - near) / (near_other + near)
    out[9] = (market[M_FAIR] - mid) * to_bps
    out[10] = squares
    out[11] = age
    return OK


@njit(cache=True, nogil=True)
def prior(row: Floats, out: Floats) -> None:
    """P50 and P90 of a row by theory alone, bps; `out` (2)."""
    out[0] = row[SWEEP] + P50_WAIT * row[WAIT]
    out[1] = row[SWEEP] + P90_WAIT * row[WAIT]
