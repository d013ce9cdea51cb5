"""Implementation shortfall: the Almgren–Chriss schedule, least expected cost plus λ times its variance.

R. Almgren, N. Chriss, "Optimal execution of portfolio transactions", J. Risk 3 (2000), eqs. (16)–(21): holdings at t_j = jτ

    x_j = X·sinh(κ(T − t_j)) / sinh(κT),   2(cosh κτ − 1)/τ² = λσ²/η̃,   η̃ = η − γτ/2

λ → 0 gives κ → 0 and equal slices (TWAP). The holdings are time-consistent: laid anew for the rest they go on as before.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from math import acosh, exp, inf, isinf

from router.algos.schedule import Slices, slices_of
from router.algos.spec import ImplementationShortfall, Standing


def kappa(
    risk_aversion: float, volatility: float, impact: float, permanent: float = 0.0, interval: float = 1.0
) -> float:
    """κ in 1/time, from λ (1/money), σ (price per √time), η (price per unit at one unit a time), γ (price per unit), τ (time).

    inf when temporary impact is nothing beside permanent impact (η̃ ≤ 0): then everything is best sent at once.
    """
    effective = impact - permanent * interval / 2
    if risk_aversion * volatility == 0:
        return 0.0
    if effective <= 0:
        return inf
    return acosh(1 + risk_aversion * volatility**2 / effective * interval**2 / 2) / interval


def held(urgency: float, left: float) -> float:
    """Share still held when `left` (0…1) of the time is left: sinh(u·left)/sinh(u), `urgency` u = κT. Exact limits at u = 0 and ∞."""
    left = min(1.0, max(0.0, left))
    if isinf(urgency):
        return 1.0 if left == 1.0 else 0.0
    if urgency < 1e-6:
        return left
    # e^{−u(1−left)}·(1 − e^{−2u·left})/(1 − e^{−2u}) does not overflow where sinh does
    return exp(-urgency * (1 - left)) * (1 - exp(-2 * urgency * left)) / (1 - exp(-2 * urgency))


def shortfall(spec: ImplementationShortfall, standing: Standing, quantity: Decimal, unit: Decimal, seed: str) -> Slices:
    """Weights x_{j−1} − x_j of the optimal holdings."""
    n = slices_of(standing, spec.interval_ms)
    seconds = max(1, standing.until_ns - standing.since_ns) * 1e-9
    urgency = kappa(spec.risk_aversion, spec.volatility, spec.impact, spec.permanent, seconds / n) * seconds
    holdings = [held(urgency, 1 - j / n) for j in range(n + 1)]
    return Slices(
        spec,
        standing,
        quantity,
        unit,
        [before - after for before, after in pairwise(holdings)],
        seed,
    )
