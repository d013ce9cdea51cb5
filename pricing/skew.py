"""Inventory skew: how far both sides of a quote move to flatten the desk's position.

The rule in force is the linear asymptotics of Guéant–Lehalle–Fernandez-Tapia (arXiv:1105.3115): the reservation price
moves by −slope × inventory. The slope is stated at the band: `bps_at_band` of the fair value when inventory = band, and
the shift is bounded there. `glft` gives the slope the model asks for, to choose that parameter by.
"""

from __future__ import annotations

from decimal import Decimal
from math import log, sqrt

BPS = Decimal("0.0001")


def skew_shift(inventory: Decimal, band: Decimal, fair: Decimal, bps_at_band: Decimal) -> Decimal:
    """Shift of both sides in quote currency per base: −fair × bps_at_band × clip(inventory / band, −1, 1). Sign
    opposite to inventory."""
    if band <= 0 or inventory == 0 or bps_at_band == 0:
        return Decimal(0)
    share = max(Decimal(-1), min(Decimal(1), inventory / band))
    return -share * fair * bps_at_band * BPS


def glft(sigma: float, gamma: float, a: float, k: float, delta: float = 1.0) -> tuple[float, float]:
    """(half-spread at no inventory, price shift per unit of inventory) of the GLFT closed-form approximation, with ξ =
    γ.

    σ: price units per √s; γ: risk aversion, 1/quote currency; A: fills per s at zero distance; k: 1/price units; Δ:
    trade size, base. c1 = ln(1 + γΔ/k)/(γΔ), c2 = √(γ/(2AΔk) · (1 + γΔ/k)^(k/(γΔ) + 1)); δ± = c1 + ½Δσc2 ± qσc2.
    """
    scaled = gamma * delta
    c1 = log(1.0 + scaled / k) / scaled
    c2 = sqrt(gamma / (2.0 * a * delta * k) * (1.0 + scaled / k) ** (k / scaled + 1.0))
    return c1 + 0.5 * delta * sigma * c2, sigma * c2
