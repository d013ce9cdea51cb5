"""`PricingParameters`: what the desk may choose about its prices. Basis points are of the fair value, per unit of
base."""

from __future__ import annotations

from decimal import Decimal

import msgspec

TIERS = ("standard", "silver", "gold")


class PricingParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults are those of a liquid major against a stablecoin."""

    volatility_multiplier: float = 0.4  # × σ·√(TTL + hedge time): 0.4 is an at-the-money option on the quote's life
    hedge_ms: int = 800  # from acceptance to the last hedge fill
    impact_bps: Decimal = Decimal("2")  # haircut for sweeping the whole displayed depth; × √(size / displayed)
    markup_bps: dict[str, Decimal] = msgspec.field(  # by client tier; an unknown tier pays the standard one
        default_factory=lambda: {"standard": Decimal("2.0"), "silver": Decimal("1.2"), "gold": Decimal("0.6")}
    )
    skew_bps_at_band: Decimal = Decimal("3")  # shift of both sides when inventory is at its band
    adverse_bps: Decimal = Decimal("0.2")  # expected markout of client flow at the hedge horizon
    credit_bps: Decimal = Decimal("0.1")  # settlement tenor and funding
    min_spread_bps: Decimal = Decimal("0.5")  # least distance of the two sides
    max_deviation_bps: Decimal = Decimal("150")  # a price further from fair is not quoted
    ttl_ms: int = 2000  # life of a quote when the client does not say

    def __post_init__(self) -> None:
        amounts = (self.impact_bps, self.skew_bps_at_band, self.adverse_bps, self.credit_bps, self.min_spread_bps)
        if any(not amount.is_finite() or amount < 0 for amount in (*amounts, *self.markup_bps.values())):
            raise ValueError("pricing: basis points must be finite and not negative")
        if self.max_deviation_bps <= 0 or self.ttl_ms <= 0 or self.hedge_ms < 0 or self.volatility_multiplier < 0:
            raise ValueError(
                "pricing: max_deviation_bps and ttl_ms must be positive, hedge_ms and volatility_multiplier not negative"
            )
        if "standard" not in self.markup_bps:
            raise ValueError("pricing: markup_bps needs the tier standard, which unknown tiers fall back to")

    def markup(self, tier: str) -> Decimal:
        """Markup of a tier, bps; an unknown tier pays the standard one."""
        return self.markup_bps.get(tier, self.markup_bps["standard"])
