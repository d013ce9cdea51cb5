"""Credit and settlement: what it costs to wait for a client's money, and to have lent to it already.

    credit_bps + settlement_days/365 × funding_bps_per_year + utilisation × utilisation_bps

Utilisation is the part of the client's credit line that open quotes and unsettled trades use, 0 to 1: the charge for the
last unit of a line rises towards its limit, as the chance of a refused trade does.
"""

from __future__ import annotations

from decimal import Decimal
from math import isfinite

from pricing.parameters import PricingParameters

DIGITS = Decimal("0.0001")  # of a bp


def credit_bps(parameters: PricingParameters, utilisation: float = 0.0) -> Decimal:
    """The charge in bps; a utilisation that is not a number counts as all of the line."""
    used = min(1.0, max(0.0, utilisation)) if isfinite(utilisation) else 1.0
    funding = Decimal(parameters.settlement_days) / 365 * parameters.funding_bps_per_year
    return (parameters.credit_bps + funding + Decimal(used) * parameters.utilisation_bps).quantize(DIGITS)
