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
from pricing.winning import MOST_ODDS, ODDS_ONE, PAID_ONE, SLOPE_ONE, WinModel, tuned_markup

FINE = 4  # decimals of a fine tick beyond those of the price scale
FINE_ONE = 10**FINE
SLACK = 1e-3  # of a fine tick: a product of floats that is a whole number but for its last bits is that number
RATIO_ONE = 1 << 20  # fill ratios in the kernels
MOST_SLOPE = 1 << 62


class Client(msgspec.Struct, frozen=True):
    """Who asks: tier, markout estimate (`pricing.adverse`), part of the credit line in use."""

    tier: str = "standard"
    markout: Estimate = UNKNOWN
    utilisation: float = 0.0


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
        self.parameters, self.client, self.band, self.sigma = parameters, client, band, volatility
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
        bounds = float(parameters.markup_floor_bps), float(parameters.markup_ceiling_bps)
        tuned = win is not None and parameters.tune_markup and self.sigma_bps > 0
        self.curve = win.of(client.tier) if win is not None and tuned else None
        slope = self.curve.slope(self.sigma_bps) if self.curve is not None else 0.0
        paid = win.paid if win is not None else 1.0
        self.bps = (
            *fixed,
            float(parameters.impact_bps),
            half,
            float(parameters.max_deviation_bps),
            slope,
            *bounds,
            paid,
        )
        self.volatility, self.adverse, self.credit, self.impact, self.half_spread = (
            up(bps * self.bp) for bps in self.bps[:5]
        )
        self.collar = floor(self.bps[5] * self.bp)
        self.slope = slope_of(slope, self.bp)
        self.paid = round(paid * PAID_ONE)
        self.floor, self.ceiling = up(bounds[0] * self.bp), up(bounds[1] * self.bp)
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

    def listed(self, size: Decimal | float) -> Decimal:
        """The tier's markup at a size, in bps, between floor and ceiling; without the ticket."""
        p = self.parameters
        return min(max(p.markup(self.client.tier, self._notional(size)), p.markup_floor_bps), p.markup_ceiling_bps)

    def by_size(self, size: Decimal | float) -> float:
        """What the ladder needs to mark a size up: bps, or the log odds at fair when the markup is tuned."""
        if self.curve is None:
            return float(self.listed(size))
        return self.curve.odds(0.0, self.sigma_bps, float(self._notional(size)))

    def markup(self, size: Decimal | float, cost: int) -> tuple[int, str]:
        """Markup of a size that costs `cost` without it, in fine ticks and without the ticket; and how it came about."""
        p, tier, curve = self.parameters, self.client.tier, self.curve
        if curve is None:
            listed, bps = p.markup(tier, self._notional(size)), self.listed(size)
            bounds = f"{plain(p.markup_floor_bps)}…{plain(p.markup_ceiling_bps)}"
            clipped = "" if bps == listed else f", clipped to {bounds}"
            return up(float(bps) * self.bp), f"{tier} {plain(listed)} bps{clipped}"
        odds = odds_of(self.by_size(size))
        markup = int(tuned_markup(odds, self.slope, cost, self.paid, self.floor, self.ceiling))
        chance = curve.probability((cost + markup) / self.bp, self.sigma_bps, float(self._notional(size)))
        why = f"{tier} {markup / self.bp:.3f} bps, tuned on {curve.n} quotes, {self.paid / PAID_ONE:.0%} of costs paid"
        return markup, f"{why}: trades with probability {chance:.2f} {(cost + markup) / self.bp:.2f} bps from fair"

    def _notional(self, size: Decimal | float) -> Decimal:
        return Decimal(float(size) * self.price)

    def ticket_of(self, size: Decimal | float) -> int:
        """The minimum ticket per unit of a size."""
        return up(self.ticket / float(size)) if self.ticket else 0

    def inputs(self, swept: str, depth: str, skew: float, centre: float, markup: str) -> tuple[str, ...]:
        """From what each step of the waterfall came, in their order, in the numbers of its formula. `skew`, `centre`: shift of
        the size and of an infinitely small one, bps."""
        p, client = self.parameters, self.client
        bps, n = client.markout
        own = f"own {-bps:.3g} bps of {n:.3g} trades, " if n > 0 else ""
        shift = {
            "linear": f"linear, −{plain(p.skew_bps_at_band)} bps × {self.share:+.3g} of the band",
            "glft": f"glft, inventory {self.share:+.3g} of the band",
            "bbg": f"bbg, inventory {self.share:+.3g} of the band, centre {centre:+.3f} bps",
        }[p.skew_model]
        credit = f"{plain(p.credit_bps)} bps + {p.settlement_days:g} d × {plain(p.funding_bps_per_year)} bps a year"
        return (
            swept,
            depth,
            f"{p.volatility_multiplier:g} × σ {self.sigma * 1e4:.3g} bps/√s × √{self.seconds:g} s",
            f"{shift} → {skew:+.3f} bps",
            f"{own}{client.tier} → {plain(self.adverse_bps)} bps",
            f"{credit} + {client.utilisation:.0%} of the line × {plain(p.utilisation_bps)} bps → {plain(self.credit_bps)} bps",
            markup,
            f"tick {plain(self.tick)}",
        )


def odds_of(odds: float) -> int:
    """Log odds as the kernels take them."""
    return round(min(max(odds, -MOST_ODDS), MOST_ODDS) * ODDS_ONE)


def slope_of(slope: float, bp: float) -> int:
    """A slope per bp as the kernels take it, a fine tick; `bp`: a bp in fine ticks. 0: nothing is tuned."""
    return min(max(round(slope / bp * SLOPE_ONE), 1), MOST_SLOPE) if slope > 0 else 0


def up(amount: float) -> int:
    """A cost in whole fine ticks."""
    return ceil(amount - SLACK)


def plain(value: Decimal) -> str:
    """Plain decimal text without an exponent and without trailing zeros after the point."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
