"""`PricingParameters`: what the desk may choose about its prices. Basis points are of the fair value, per unit of
base. Whatever is unknown about a venue, a client or a flow has its prior here.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from math import isfinite
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TIERS = ("standard", "silver", "gold")
SkewModel = Literal["linear", "glft", "bbg"]


class TierFlow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one tier's clients answer a price δ bps from fair: they trade with probability 1 / (1 + e^(alpha + beta·δ))."""

    tier: str  # of clients; a tier that is not listed counts as the first
    share: float = 1.0  # of all requests
    alpha: float = -1.0  # at fair value 1/(1 + e^alpha) of the requests trade
    beta_per_bps: float = 1.0  # how fast they stop trading when the price gets worse


class Flow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `skew_model` glft and bbg weigh: clients' requests, and what hedging costs. Sizes are parts of the hard band.
    The defaults are the published example of a currency dealer (arXiv:2106.06974, 2112.02269) at ten times its spreads."""

    requests_per_day: float = 1000.0  # on each side
    sizes: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2)  # of requests, parts of the hard band
    size_shares: tuple[float, ...] = (0.76, 0.15, 0.075, 0.015)  # of those sizes among the requests
    tiers: tuple[TierFlow, ...] = (
        TierFlow(tier="standard", share=0.3, alpha=-0.3, beta_per_bps=0.5),
        TierFlow(tier="silver", share=0.3, alpha=-1.0, beta_per_bps=1.0),
        TierFlow(tier="gold", share=0.4, alpha=-1.9, beta_per_bps=1.5),
    )
    risk_aversion: float = 0.01  # γ, per bps and band: the price of variance
    hedge_cost_bps: float = 2.0  # ψ: half the spread and the fee of a hedge
    hedge_impact: float = 0.01  # η, bps × day per band: what hedging faster costs
    permanent_impact_bps: float = 1.0  # how far hedging a whole band moves the price for good

    def __post_init__(self) -> None:
        rates = (self.requests_per_day, self.risk_aversion, self.hedge_impact, *self.sizes, *self.size_shares)
        if not self.sizes or len(self.sizes) != len(self.size_shares) or not self.tiers:
            raise ValueError("pricing.flow: sizes and size_shares must be as many, and there must be a tier")
        if any(not isfinite(x) or x <= 0 for x in (*rates, *(t.beta_per_bps for t in self.tiers))):
            raise ValueError(
                "pricing.flow: rates, sizes, shares, beta, risk_aversion and hedge_impact must be positive"
            )
        if any(not isfinite(x) or x < 0 for x in (self.hedge_cost_bps, self.permanent_impact_bps)):
            raise ValueError("pricing.flow: hedge_cost_bps and permanent_impact_bps must not be negative")
        if (
            any(not isfinite(t.alpha) or not isfinite(t.share) or t.share < 0 for t in self.tiers)
            or max(self.sizes) > 1
        ):
            raise ValueError("pricing.flow: shares must not be negative, sizes not above the band")
        if abs(sum(t.share for t in self.tiers) - 1) > 1e-6 or abs(sum(self.size_shares) - 1) > 1e-6:
            raise ValueError("pricing.flow: the shares of the tiers and of the sizes must each add up to 1")

    def tier(self, name: str) -> TierFlow:
        """A tier's curve; the first one's for a tier that is not listed."""
        return next((tier for tier in self.tiers if tier.tier == name), self.tiers[0])


class SizeBucket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From `notional` (quote currency) on, a tier's markup is multiplied."""

    notional: Decimal  # quote currency, from here on
    multiplier: Decimal  # of the tier's markup


class PricingParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults are those of a liquid major against a stablecoin."""

    volatility_multiplier: float = 0.4  # × σ·√(TTL + hedge time): 0.4 is an at-the-money option on the quote's life
    hedge_ms: int = 800  # from acceptance to the last hedge fill
    fill_ratio: Annotated[float, Meta(gt=0, le=1)] = (
        0.9  # share of displayed depth that is real, where nothing is learnt
    )
    fill_prior_n: float = 20.0  # observations a venue's learnt share needs to count as much as fill_ratio
    impact_bps: Decimal = Decimal("1")  # for sweeping the whole displayed depth; × √(size / displayed)
    markup_bps: dict[str, Decimal] = msgspec.field(  # by client tier; an unknown tier pays the standard one
        default_factory=lambda: {"standard": Decimal("2.0"), "silver": Decimal("1.2"), "gold": Decimal("0.6")}
    )
    size_buckets: tuple[SizeBucket, ...] = ()  # markup by size; below the first one × 1
    markup_floor_bps: Decimal = Decimal("0")  # markup, tuned or not, is at least this
    markup_ceiling_bps: Decimal = Decimal("50")  # and at most this; what a client's own terms say is not clipped
    min_ticket: Decimal = Decimal("0")  # quote currency a trade on top of the markup: makes small sizes dearer per unit
    tune_markup: bool = (
        False  # markup that maximises expected profit by the fitted win probability, between floor and ceiling
    )
    win_model: str = ""  # file of the fitted win probabilities; "" = none, so nothing is tuned
    skew_model: SkewModel = "linear"  # linear in the band; glft: Guéant–Lehalle–Fernandez-Tapia; bbg: by tier and size
    skew_bps_at_band: Decimal = Decimal("3")  # linear: shift of both sides when inventory is at its band
    skew_max_bps: Decimal = Decimal("25")  # no model shifts a price by more
    flow: Flow = Flow()
    adverse_bps: Decimal = Decimal(
        "0.2"
    )  # expected markout against us at the hedge horizon, of a client nothing is known of
    adverse_tier_bps: dict[str, Decimal] = {}  # the same by tier, instead
    adverse_prior_n: float = 50.0  # trades a client needs for its own markout to count as much as its tier's
    adverse_max_bps: Decimal = Decimal("20")  # no client's markout is charged higher
    credit_bps: Decimal = Decimal("0.1")  # settlement, whatever the tenor
    settlement_days: float = 0.0  # tenor to fund; 0 = clients are prefunded
    funding_bps_per_year: Decimal = Decimal("500")  # what funding costs
    utilisation_bps: Decimal = Decimal("0.5")  # charge of a client whose credit is all in use; in proportion below
    min_spread_bps: Decimal = Decimal("0.5")  # least distance of the two sides
    max_deviation_bps: Decimal = Decimal("150")  # a price further from fair is not quoted
    ttl_ms: int = 2000  # life of a quote when the client does not say

    def __post_init__(self) -> None:
        amounts = (
            *(self.impact_bps, self.skew_bps_at_band, self.skew_max_bps, self.adverse_bps, self.adverse_max_bps),
            *(self.credit_bps, self.funding_bps_per_year, self.utilisation_bps, self.min_spread_bps, self.min_ticket),
            *(self.markup_floor_bps, self.markup_ceiling_bps, *self.markup_bps.values()),
            *(self.adverse_tier_bps.values()),
        )
        if any(not amount.is_finite() or amount < 0 for amount in amounts):
            raise ValueError("pricing: basis points and min_ticket must be finite and not negative")
        if self.max_deviation_bps <= 0 or self.ttl_ms <= 0 or self.hedge_ms < 0:
            raise ValueError("pricing: max_deviation_bps and ttl_ms must be positive, hedge_ms not negative")
        counts = (self.volatility_multiplier, self.settlement_days, self.fill_prior_n, self.adverse_prior_n)
        if any(not isfinite(count) or count < 0 for count in counts):
            raise ValueError("pricing: volatility_multiplier, settlement_days and the priors' n must not be negative")
        if self.markup_floor_bps > self.markup_ceiling_bps:
            raise ValueError("pricing: markup_floor_bps is above markup_ceiling_bps")
        if any(a.notional >= b.notional for a, b in pairwise(self.size_buckets)) or any(
            not b.notional.is_finite() or not b.multiplier.is_finite() or b.notional < 0 or b.multiplier < 0
            for b in self.size_buckets
        ):
            raise ValueError("pricing: size_buckets must ascend by notional and not be negative")
        if "standard" not in self.markup_bps:
            raise ValueError("pricing: markup_bps needs the tier standard, which unknown tiers fall back to")

    def markup(self, tier: str, notional: Decimal = Decimal(0)) -> Decimal:
        """Markup of a tier at a size (quote currency), bps, before floor and ceiling; an unknown tier pays the standard
        one."""
        bps = self.markup_bps.get(tier, self.markup_bps["standard"])
        for bucket in reversed(self.size_buckets):
            if notional >= bucket.notional:
                return bps * bucket.multiplier
        return bps
