"""`Charges`: everything a price holds beside the sweep, worked out once for all sizes of one client at one moment.

In fine ticks (10^-4 of the book's price unit), whole numbers: costs are rounded up, so against the client; skew to the nearest.
`price_quote` and the ladder kernel both read them, so they charge the same.

    volatility   k·σ·√(TTL + hedge time)·fair. A firm quote is an option given away: E[(σ√T·Z)₊] = σ√T/√(2π) = 0.399·σ√T at the
                 money (Bachelier), which is k = 0.4
    impact       impact_bps·fair·√(size / displayed): the square-root law, scaled to the whole displayed depth
    skew         `pricing.skew` · adverse selection `pricing.adverse` · credit `pricing.credit`
    markup       tier × size bucket, or tuned by `pricing.winning`; between floor and ceiling; and min_ticket / size
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import ceil, floor, sqrt

import msgspec

from pricing.adverse import UNKNOWN, Estimate, adverse_bps
from pricing.credit import credit_bps
from pricing.parameters import PricingParameters
from pricing.scale import Scale
from pricing.skew import Skew, inventory_share, skew
from pricing.winning import WinModel, best_markup, decimal_bps

FINE = 4  # decimals of a fine tick beyond those of the price scale
FINE_ONE = 10**FINE
SLACK = 1e-3  # of a fine tick: a product of floats that is a whole number but for its last bits is that number
RATIO_ONE = 1 << 20  # fill ratios in the kernels


class Client(msgspec.Struct, frozen=True):
    """Who asks: tier, markout estimate (`pricing.adverse`), part of the credit line in use."""

    tier: str = "standard"
    markout: Estimate = UNKNOWN
    utilisation: float = 0.0


class Markup(msgspec.Struct, frozen=True):
    """A markup in bps, and how it came about."""

    bps: Decimal
    why: str


class Charges:
    """Charges of one client, instrument and moment. `fair`, `volatility`, … in fine ticks; `size` arguments in base."""

    def __init__(
        self,
        scale: Scale,
        *,
        fair: Decimal,
        ttl_ms: int,
        inventory: Decimal,
        band: Decimal,
        volatility: float,
        client: Client,
        parameters: PricingParameters,
        tick: Decimal,
        win: WinModel | None = None,
    ) -> None:
        self.parameters, self.client, self.win, self.band, self.sigma = parameters, client, win, band, volatility
        self.unit = 10.0 ** (scale.price_decimals + FINE)
        self.fair = round(fair.scaleb(scale.price_decimals + FINE))
        self.price = float(fair)
        self.bp = self.fair * 1e-4
        self.seconds = (max(ttl_ms, 0) + parameters.hedge_ms) / 1000.0
        self.sigma_bps = max(volatility, 0.0) * sqrt(self.seconds) * 1e4
        self.share = inventory_share(inventory, band)
        self.adverse_bps = adverse_bps(parameters, client.tier, client.markout)
        self.credit_bps = credit_bps(parameters, client.utilisation)
        half = float(parameters.min_spread_bps) / 2
        fixed = (self.sigma_bps * parameters.volatility_multiplier, float(self.adverse_bps), float(self.credit_bps))
        self.bps = (*fixed, float(parameters.impact_bps), half, float(parameters.max_deviation_bps))
        self.volatility, self.adverse, self.credit, self.impact, self.half_spread = (
            up(bps * self.bp) for bps in self.bps[:5]
        )
        self.collar = floor(self.bps[5] * self.bp)
        self.ticket = float(parameters.min_ticket) * self.unit
        self.tick = tick
        fine_tick = tick.scaleb(scale.price_decimals + FINE)
        self.fine_tick = int(fine_tick) if fine_tick == int(fine_tick) else 0  # 0: finer than a fine tick

    def skews(self, sizes: Sequence[Decimal | float]) -> Skew:
        """Shifts in bps for these sizes."""
        band = float(self.band)
        parts = [float(size) / band for size in sizes] if band > 0 else [0.0] * len(sizes)
        return skew(self.parameters, share=self.share, sigma=self.sigma, tier=self.client.tier, sizes=parts)

    def shift(self, bps: float) -> int:
        """A skew in fine ticks."""
        return round(bps * self.bp)

    def impact_of(self, lots: int, displayed: int) -> int:
        """Impact of taking `lots` of `displayed`."""
        return ceil(self.impact * sqrt(min(1.0, lots * (1.0 / max(displayed, 1)))) - SLACK)

    def markup(self, size: Decimal | float) -> Markup:
        """Markup at a size, without the ticket."""
        parameters, tier = self.parameters, self.client.tier
        notional = float(size) * self.price
        low, high = parameters.markup_floor_bps, parameters.markup_ceiling_bps
        curve = self.win.of(tier) if self.win is not None and parameters.tune_markup else None
        if curve is not None and self.sigma_bps > 0:
            costs = float(self.adverse_bps + self.credit_bps) + self.sigma_bps * parameters.volatility_multiplier
            tuned = best_markup(
                curve,
                cost_bps=costs,
                volatility_bps=self.sigma_bps,
                notional=notional,
                floor=float(low),
                ceiling=float(high),
            )
            why = f"{tier} tuned on {curve.n} quotes: trades with probability {tuned.probability:.2f}"
            return Markup(decimal_bps(tuned.bps), why)
        listed = parameters.markup(tier, Decimal(notional))
        clipped = min(max(listed, low), high)
        why = f"{tier} {plain(listed)} bps" + ("" if clipped == listed else f", clipped to {plain(low)}…{plain(high)}")
        return Markup(clipped, why)

    def markup_fine(self, markup: Markup) -> int:
        """A markup in fine ticks."""
        return up(float(markup.bps) * self.bp)

    def ticket_of(self, size: Decimal | float) -> int:
        """The minimum ticket per unit of a size."""
        return up(self.ticket / float(size)) if self.ticket else 0

    def inputs(
        self, swept: str, ratios: str, share: tuple[int, int], centre: float, markup: Markup, lifted: bool
    ) -> tuple[str, ...]:
        """From what each step of the waterfall came, in their order."""
        p, client = self.parameters, self.client
        bps, n = client.markout
        own = f"own {-bps:.3g} bps of {n:.3g} trades, " if n > 0 else ""
        ticket = f", ticket {plain(p.min_ticket)}" if p.min_ticket else ""
        return (
            swept,
            f"real depth {ratios}; {plain(p.impact_bps)} bps × √({share[0]}/{share[1]} lots)",
            f"{p.volatility_multiplier:g} × σ {self.sigma:.3g}/√s × √{self.seconds:g} s",
            f"{p.skew_model}, inventory {self.share:+.3g} of the band, centre {centre:+.3g} bps",
            f"{own}{client.tier} → {plain(self.adverse_bps)} bps",
            f"tenor {p.settlement_days:g} d, {client.utilisation:.0%} of the line used → {plain(self.credit_bps)} bps",
            f"{markup.why}{ticket}" + (", lifted to the least spread" if lifted else ""),
            f"tick {plain(self.tick)}",
        )


def up(amount: float) -> int:
    """A cost in whole fine ticks."""
    return ceil(amount - SLACK)


def plain(value: Decimal) -> str:
    """Plain decimal text without an exponent and without trailing zeros after the point."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
