"""Adverse selection: what a client's trades are expected to cost the desk after they are done.

A markout is how far the fair value moves in the desk's favour between a trade and the hedge horizon, in bps: negative when the
market goes where the client went. A client's own mean m over n trades is shrunk to its tier's μ (a cost in bps of the
configuration) with the weight of n₀ trades, as for a normal mean with a normal prior (Efron–Morris 1975):

    charge = clip((n·(−m) + n₀·μ)/(n + n₀), 0, adverse_max_bps)

A client whose flow gains the desk money is not paid for it.
"""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from typing import Protocol

from pricing.parameters import PricingParameters

DIGITS = Decimal("0.0001")  # of a bp


class Markouts(Protocol):
    """Who measures markouts."""

    def estimate(self, client_id: str, symbol: str) -> tuple[float, float]:
        """(mean markout in bps from the desk's side, trades it rests on; decayed counts may be fractions). (0, 0): unknown."""
        ...


Estimate = tuple[float, float]
UNKNOWN: Estimate = (0.0, 0.0)


def adverse_bps(parameters: PricingParameters, tier: str, markout: Estimate = UNKNOWN) -> Decimal:
    """The charge in bps, never negative."""
    prior = parameters.adverse_tier_bps.get(tier, parameters.adverse_bps)
    bps, n = markout
    if not (isfinite(bps) and isfinite(n)) or n <= 0:
        return prior
    weight = n / (n + parameters.adverse_prior_n) if n + parameters.adverse_prior_n > 0 else 1.0
    shrunk = Decimal(-bps * weight + float(prior) * (1.0 - weight)).quantize(DIGITS)
    return max(Decimal(0), min(parameters.adverse_max_bps, shrunk))
