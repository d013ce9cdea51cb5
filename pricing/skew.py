"""Inventory skew: how far inventory moves each side of a quote, in bps of the fair value, by one of three models.

    linear   −skew_bps_at_band × q: the slope is chosen by hand
    glft     −q·σ·c₂: Guéant–Lehalle–Fernandez-Tapia's closed form (arXiv:1105.3115) for the flow of all tiers together
    bbg      δ(tier, size, q) − δ(tier, size, 0) of Barzykin–Bergault–Guéant (`pricing.inventory`): by tier and by size

q is inventory as a part of the hard band, clipped to ±1. A shift is never in the direction of the inventory, is nothing
without inventory, and is bounded by `skew_max_bps`. `centre` is the shift of an infinitely small size: the reference that
the least spread is held around, so that bid < ask at any two sizes whatever the model says.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from math import exp, log, sqrt

import msgspec

from pricing.inventory import DAY_S, best_distance, control, quote_distance, rows_of
from pricing.parameters import Flow, PricingParameters

SMALL = 1e-3  # a part of the band that stands for an infinitely small size


class Skew(msgspec.Struct, frozen=True):
    """Shifts in bps: `asks` and `bids` by size, `centre` for both. Positive is up."""

    centre: float
    asks: tuple[float, ...]
    bids: tuple[float, ...]


def inventory_share(inventory: Decimal, band: Decimal) -> float:
    """Inventory as a part of the hard band, within ±1; 0 without a band."""
    return max(-1.0, min(1.0, float(inventory / band))) if band > 0 else 0.0


def skew(
    parameters: PricingParameters, *, share: float, sigma: float, tier: str, sizes: Sequence[float] = (0.0,)
) -> Skew:
    """Shifts of both sides for `sizes` (parts of the band) at inventory `share` and volatility `sigma` (relative, per √s)."""
    n = len(sizes)
    if share == 0.0:
        return Skew(0.0, (0.0,) * n, (0.0,) * n)
    match parameters.skew_model:
        case "linear":
            shift = _opposite(-share * float(parameters.skew_bps_at_band), share, parameters)
            return Skew(shift, (shift,) * n, (shift,) * n)
        case "glft":
            shift = _opposite(-share * glft_slope(parameters.flow, sigma), share, parameters)
            return Skew(shift, (shift,) * n, (shift,) * n)
        case "bbg":
            found = [_bbg(parameters, share, sigma, tier, size) for size in (SMALL, *sizes)]
            centre = _opposite((found[0][0] + found[0][1]) / 2, share, parameters)
            return Skew(centre, tuple(ask for ask, _ in found[1:]), tuple(bid for _, bid in found[1:]))


def _opposite(shift: float, share: float, parameters: PricingParameters) -> float:
    """Bounded, and 0 rather than in the direction of the inventory."""
    most = float(parameters.skew_max_bps)
    return max(-most, min(0.0, shift)) if share > 0 else min(most, max(0.0, shift))


def _bbg(parameters: PricingParameters, share: float, sigma: float, tier: str, size: float) -> tuple[float, float]:
    theta, curve = control(parameters.flow, sigma).theta, parameters.flow.tier(tier)
    size = min(max(size, SMALL), 1.0)
    ask, flat_ask, bid, flat_bid = (
        quote_distance(theta, q, size, side, curve.alpha, curve.beta_per_bps)
        for side, q in ((1, share), (1, 0.0), (0, share), (0, 0.0))
    )
    return _opposite(ask - flat_ask, share, parameters), _opposite(flat_bid - bid, share, parameters)


def glft(sigma: float, gamma: float, a: float, k: float, delta: float = 1.0) -> tuple[float, float]:
    """(half-spread at no inventory, price shift per unit of inventory) of the GLFT closed-form approximation, with ξ = γ.

    σ: price units per √s; γ: risk aversion, 1/quote currency; A: fills per s at zero distance; k: 1/price units; Δ:
    trade size, base. c₁ = ln(1 + γΔ/k)/(γΔ), c₂ = √(γ/(2AΔk) · (1 + γΔ/k)^(k/(γΔ) + 1)); δ± = c₁ + ½Δσc₂ ± qσc₂.
    """
    scaled = gamma * delta
    c1 = log(1.0 + scaled / k) / scaled
    c2 = sqrt(gamma / (2.0 * a * delta * k) * (1.0 + scaled / k) ** (k / scaled + 1.0))
    return c1 + 0.5 * delta * sigma * c2, sigma * c2


@lru_cache(maxsize=64)
def exponential_flow(flow: Flow) -> tuple[float, float, float]:
    """(A per day, k per bps, Δ band): the exponential flow A·e^(−kδ) of one size that is all tiers' logistic flow where it is
    best quoted.

    At the δ where a dealer without inventory earns most from the pooled flow Λ(δ) = Σ λf: k = −Λ'/Λ and A = Λ·e^(kδ), so both
    flows agree there in level and slope. Found by bisection on δ·k(δ) = 1; k grows with δ where it matters.
    """
    rows = rows_of(flow).tolist()
    volume = sum(size * rate for size, rate, _, _ in rows)
    count = sum(rate for _, rate, _, _ in rows)

    def pooled(distance: float) -> tuple[float, float]:
        level = slope = 0.0
        for size, rate, alpha, beta in rows:
            f = 1.0 / (1.0 + exp(min(alpha + beta * distance, 700.0)))
            level += size * rate * f
            slope += size * rate * beta * f * (1.0 - f)
        return level, slope / level

    low, high = 0.0, max(best_distance(0.0, alpha, beta) for _, _, alpha, beta in rows) * 2.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle * pooled(middle)[1] < 1.0:
            low = middle
        else:
            high = middle
    level, k = pooled(low)
    size = volume / count
    return level / size * exp(k * low), k, size


def glft_slope(flow: Flow, sigma: float) -> float:
    """Shift in bps at a full band of inventory, by GLFT for the pooled flow. `sigma`: relative, per √s."""
    a, k, size = exponential_flow(flow)
    return glft(sigma * 1e4 * sqrt(DAY_S), flow.risk_aversion, a, k, size)[1]
