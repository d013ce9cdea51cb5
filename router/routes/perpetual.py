"""The same exposure by a perpetual instead of spot: what it costs to get it, hold it over the horizon, and get out again.

A perpetual gives the price move without the coin, so its price is a cost of carry beside a cost of trading, in bps of
the spot fair value, + = we pay (s = +1 when we want to be long, −1 short; F spot fair, P perpetual fair, h horizon):

    sweep     s·(VWAP − P)/F, the perpetual's own half-spread and depth
    fees      taker fee in, and again out
    close     half-spread on the way out: the perpetual has to be left (or rolled into spot) at the horizon
    basis     s·(B₀ − E[B_h])/F with B = P − F and E[B_h] = B̄ + (B₀ − B̄)·2^(−h/halflife): what the basis is expected to
              give back or take while it moves towards its mean; nothing when no halflife is known
    funding   s·rate·(payments inside the horizon): longs pay a positive rate at each funding time (Binance USD-M: every
              8 h, rate × mark × size). With the next time known whole payments count, otherwise the part of an interval

Spot has none of these but its own sweep and fee; so a perpetual wins where its book is so much deeper or its fee so much
lower that going in and out costs less than going into spot once. Expected values: its risk is the basis' own.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from pricing.offers import Venue
from router.routes.book import BPS, RouteBook

_TINY = Decimal("1e-9")


class Perpetual(msgspec.Struct, frozen=True, kw_only=True):
    """A linear perpetual (`BTC/USDT:USDT`, sizes in base) and what its carry is expected to be."""

    symbol: str
    venues: tuple[Venue, ...]
    fair: Decimal
    funding_rate: Decimal  # of the notional, per interval; longs pay when positive
    funding_interval_s: int = 28_800
    next_funding_s: int | None = None  # seconds to the next payment; None: payments accrue evenly
    mean_basis_bps: Decimal | None = None  # where the basis goes back to; None: it stays where it is
    basis_halflife_s: Decimal | None = None
    executable: bool = False  # whether the desk has a venue to trade it on

    @property
    def book(self) -> RouteBook:
        """Its venues as a route sees them."""
        return RouteBook(symbol=self.symbol, venues=self.venues, fair=self.fair)


class Carry(msgspec.Struct, frozen=True, kw_only=True):
    """The holding costs of a perpetual in bps of spot fair; + = we pay."""

    basis_bps: Decimal
    funding_bps: Decimal
    close_bps: Decimal
    payments: Decimal


def carry(perpetual: Perpetual, *, side: str, spot_fair: Decimal, horizon_s: int) -> Carry:
    """What holding `side` ("buy" = long) for `horizon_s` is expected to cost beyond getting in."""
    sign = 1 if side == "buy" else -1
    basis = perpetual.fair - spot_fair
    expected = basis
    if perpetual.mean_basis_bps is not None and perpetual.basis_halflife_s:
        mean = perpetual.mean_basis_bps * BPS * spot_fair
        left = Decimal(2) ** -(Decimal(horizon_s) / perpetual.basis_halflife_s)
        expected = mean + (basis - mean) * left
    payments = payments_in(perpetual, horizon_s)
    per_bp = spot_fair * BPS
    bids = [venue.bids[0][0] for venue in perpetual.venues if venue.bids]
    asks = [venue.asks[0][0] for venue in perpetual.venues if venue.asks]
    half = max(min(asks) - max(bids), Decimal(0)) / 2
    fee = min(venue.taker_fee_bps for venue in perpetual.venues)
    return Carry(
        basis_bps=_round(sign * (basis - expected) / per_bp),
        funding_bps=_round(sign * perpetual.funding_rate * payments * perpetual.fair / per_bp),
        close_bps=_round((half + perpetual.fair * fee * BPS) / per_bp),
        payments=payments,
    )


def payments_in(perpetual: Perpetual, horizon_s: int) -> Decimal:
    """Funding payments inside the horizon: whole ones when the next time is known, else the part of an interval."""
    if perpetual.next_funding_s is None:
        return Decimal(horizon_s) / perpetual.funding_interval_s
    if horizon_s < perpetual.next_funding_s:
        return Decimal(0)
    return Decimal(1 + (horizon_s - perpetual.next_funding_s) // perpetual.funding_interval_s)


def _round(bps: Decimal) -> Decimal:
    return bps.quantize(_TINY, ROUND_HALF_EVEN)
