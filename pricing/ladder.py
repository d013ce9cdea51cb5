"""`price_quote`: a firm price for one side and one size, with its waterfall; or the reason why there is none.

Never through: the ask is at least half the least spread above the skewed fair value and the bid as much below it, so
bid < ask at any two sizes; at one moment a larger size is never cheaper per unit on books alone (sweep and impact grow
with size). All-or-none LP rungs may make their own size cheaper than a smaller one: that is what they are for. Rounding
is always against the client, by at most one tick.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from itertools import product
from math import sqrt

import msgspec
import numpy as np

from pricing import sweep as kernels
from pricing.consolidated import FEE_ONE, ConsolidatedBook
from pricing.parameters import PricingParameters
from pricing.rungs import ladder, terms
from pricing.scale import EXACT
from pricing.skew import BPS, skew_shift
from pricing.waterfall import build

__all__ = ["NoPrice", "NoPriceReason", "Priced", "Rung", "ladder", "price_quote", "terms"]

BASE_UNIT = Decimal("0.00000001")  # precision of a base quantity that is found from a quote-currency amount
FINE = 4  # decimals of a step beyond those of the price scale
MAX_PLANS = 512  # combinations of LP rungs tried for one price
ROUNDS = 12  # of the fixed point price ↔ quantity for quote-currency sizes

Rung = tuple[str, Decimal, Decimal, Decimal]  # (lp, quantity, bid, ask)


class NoPriceReason(StrEnum):
    """Why nothing can be quoted."""

    BAD_SIZE = "bad_size"
    NO_LIVE_VENUE = "no_live_venue"
    NO_FAIR_VALUE = "no_fair_value"
    NO_LIQUIDITY = "no_liquidity"
    DEVIATION = "deviation"
    TOO_LARGE = "too_large"


class NoPrice(msgspec.Struct, frozen=True):
    """A refusal to quote: a code for programs, a sentence for people."""

    reason: NoPriceReason
    message: str


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """A price for `quantity` of base. `side` is the client's; `amount` = price × quantity, exact, not rounded to a
    currency's precision."""

    side: str
    price: Decimal
    quantity: Decimal
    amount: Decimal
    fair: Decimal
    waterfall: tuple[tuple[str, Decimal], ...]  # fair + Σ = price
    sources: tuple[str, ...]  # venues and LPs the sweep uses


class _Swept(msgspec.Struct, frozen=True):
    """All-in sweep price of a size, rounded against the client to `FINE` decimals beyond the scale."""

    vwap: Decimal
    sources: tuple[str, ...]


def price_quote(
    book: ConsolidatedBook,
    *,
    side: str,
    quantity: Decimal | None = None,
    quote_amount: Decimal | None = None,
    now_ns: int,
    ttl_ms: int,
    inventory: Decimal,
    band: Decimal,
    volatility: float,
    tier: str,
    parameters: PricingParameters,
    tick: Decimal,
    rungs: Sequence[Rung] = (),
    fair: Decimal | None = None,
    without: str = "",
) -> Priced | NoPrice:
    """Price `quantity` of base, or as much base as `quote_amount` buys (sells for). `side` is the client's: "buy" |
    "sell".

    `volatility`: σ per √s, relative. `inventory`, `band`: base. `rungs`: all-or-none LP liquidity, at most one per LP
    is used. `fair` overrides the book's fair value. Quote-sized: the quantity has 8 decimals and is rounded against the
    client by at most one unit. `without` names a step to leave out, for a what-if; the least spread still holds.
    """
    size = quantity if quantity is not None else quote_amount
    if side not in ("buy", "sell") or size is None or not size.is_finite() or size <= 0:
        return NoPrice(NoPriceReason.BAD_SIZE, f"cannot price side {side!r}, size {size}")
    live = book.live_mask(now_ns)
    if not live:
        states = ", ".join(f"{venue} {book.status(venue, now_ns)}" for venue in book.venues)
        return NoPrice(NoPriceReason.NO_LIVE_VENUE, f"{book.symbol}: no live venue ({states})")
    fair = book.fair(now_ns) if fair is None else fair
    if fair is None or fair <= 0:
        return NoPrice(NoPriceReason.NO_FAIR_VALUE, f"{book.symbol}: venues disagree, no fair value")
    one = _Pricer(book, side, live, fair, ttl_ms, inventory, band, volatility, tier, parameters, tick, rungs)
    one.without = without
    return one.of_base(size) if quantity is not None else one.of_quote(size)


class _Pricer:
    """One side at one moment: prices sizes until the asked one is found."""

    def __init__(
        self,
        book: ConsolidatedBook,
        side: str,
        live: int,
        fair: Decimal,
        ttl_ms: int,
        inventory: Decimal,
        band: Decimal,
        volatility: float,
        tier: str,
        parameters: PricingParameters,
        tick: Decimal,
        rungs: Sequence[Rung],
    ) -> None:
        self.book, self.side, self.live, self.fair, self.tick = book, side, live, fair, tick
        self.sign = Decimal(1) if side == "buy" else Decimal(-1)
        self.rungs = rungs
        self.without = ""
        self.parameters = parameters
        self.step = Decimal(1).scaleb(-(book.scale.price_decimals + FINE))
        self.book_side = 1 if side == "buy" else 0
        self.displayed = int(kernels.displayed(book.arena, self.book_side, live))
        seconds = (max(ttl_ms, 0) + parameters.hedge_ms) / 1000.0
        sigma = max(volatility, 0.0) * parameters.volatility_multiplier * sqrt(seconds)
        self.volatility = self._cost(Decimal(sigma) * fair)
        self.skew = skew_shift(inventory, band, fair, parameters.skew_bps_at_band).quantize(self.step, ROUND_HALF_EVEN)
        self.adverse = self._bps(parameters.adverse_bps)
        self.credit = self._bps(parameters.credit_bps)
        self.markup = self._bps(parameters.markup(tier))
        self.half_spread = abs(self._bps(parameters.min_spread_bps / 2))

    def _cost(self, amount: Decimal) -> Decimal:
        return self.sign * amount.quantize(self.step, ROUND_CEILING)

    def _bps(self, bps: Decimal) -> Decimal:
        return self._cost(self.fair * bps * BPS)

    def of_base(self, quantity: Decimal) -> Priced | NoPrice:
        swept = self._sweep(quantity)
        if isinstance(swept, NoPrice):
            return swept
        share = min(1.0, float(quantity.scaleb(self.book.scale.size_decimals)) / max(self.displayed, 1))
        impact = self._cost(self.fair * self.parameters.impact_bps * BPS * Decimal(sqrt(share)))
        steps = {
            "sweep": EXACT.subtract(swept.vwap, self.fair),
            "impact": impact,
            "volatility": self.volatility,
            "skew": self.skew,
            "adverse_selection": self.adverse,
            "credit": self.credit,
            "markup": self.markup,
        }
        if self.without in steps:
            steps[self.without] = Decimal(0)
        edge = self.sign * (sum(steps.values()) - steps["skew"])
        if edge < self.half_spread:
            steps["markup"] += self.sign * (self.half_spread - edge)
        price, waterfall = build(self.fair, steps, self.side, self.tick)
        if self.without == "rounding":
            price, waterfall = EXACT.subtract(price, waterfall[-1][1]), (*waterfall[:-1], ("rounding", Decimal(0)))
        deviation = abs(price - self.fair)
        if price <= 0 or deviation > self.fair * self.parameters.max_deviation_bps * BPS:
            bps = deviation / self.fair / BPS
            return NoPrice(
                NoPriceReason.DEVIATION,
                f"{self.book.symbol}: {price} is {bps:.1f} bps from fair {self.fair}, over "
                f"{self.parameters.max_deviation_bps}",
            )
        return Priced(
            side=self.side,
            price=price,
            quantity=quantity,
            amount=EXACT.multiply(price, quantity),
            fair=self.fair,
            waterfall=waterfall,
            sources=swept.sources,
        )

    def of_quote(self, amount: Decimal) -> Priced | NoPrice:
        """The quantity whose price × quantity comes closest to `amount`: not above it for a buy, not below it for a
        sell."""
        price = self.fair
        worst: Decimal | None = None
        seen: set[Decimal] = set()
        for _ in range(ROUNDS):
            quantity = self._base_of(amount, price)
            if quantity <= 0:
                return NoPrice(NoPriceReason.BAD_SIZE, f"{amount} buys less than one unit of base at {price}")
            priced = self.of_base(quantity)
            if isinstance(priced, NoPrice):
                return priced
            if priced.price == price:
                return priced
            if (
                priced.price in seen
            ):  # two prices imply each other: the one worse for the client is honest at its own, smaller size
                worse = max if self.side == "buy" else min
                worst = priced.price if worst is None else worse(worst, priced.price)
                quantity = self._base_of(amount, worst)
                settled = self.of_base(quantity)
                if isinstance(settled, NoPrice):
                    return settled
                if self.sign * settled.price <= self.sign * worst:
                    return self._at(settled, worst)
                worst = settled.price
            seen.add(priced.price)
            price = priced.price if worst is None else worst
        return NoPrice(NoPriceReason.NO_LIQUIDITY, f"{self.book.symbol}: no size settles to {amount}")

    def _base_of(self, amount: Decimal, price: Decimal) -> Decimal:
        return (amount / price).quantize(BASE_UNIT, ROUND_FLOOR if self.side == "buy" else ROUND_CEILING)

    def _at(self, priced: Priced, price: Decimal) -> Priced:
        """The same quantity at a price that is worse for the client by what the tick grid asks: booked as rounding."""
        *steps, (name, rounding) = priced.waterfall
        rounding = EXACT.add(rounding, EXACT.subtract(price, priced.price))
        return msgspec.structs.replace(
            priced,
            price=price,
            amount=EXACT.multiply(price, priced.quantity),
            waterfall=(*steps, (name, rounding)),
        )

    def _plans(self, quantity: Decimal) -> list[tuple[Decimal, Decimal, tuple[str, ...]]]:
        """Combinations of LP rungs not larger than `quantity`: (size, Σ price × size, LPs); the first is the empty
        one."""
        by_lp: dict[str, list[tuple[Decimal, Decimal]]] = {}
        for lp, size, bid, ask in self.rungs:
            price = ask if self.side == "buy" else bid
            if 0 < size <= quantity and price > 0:
                by_lp.setdefault(lp, []).append((size, price))
        plans: list[tuple[Decimal, Decimal, tuple[str, ...]]] = []
        choices = [[None, *options] for options in by_lp.values()]
        for chosen in product(*choices):
            size = sum((option[0] for option in chosen if option), Decimal(0))
            if size <= quantity:
                money = sum((EXACT.multiply(*option) for option in chosen if option), Decimal(0))
                plans.append((size, money, tuple(lp for lp, option in zip(by_lp, chosen, strict=True) if option)))
            if len(plans) >= MAX_PLANS:
                break
        return plans

    def _sweep(self, quantity: Decimal) -> _Swept | NoPrice:
        book, scale = self.book, self.book.scale
        reach = scale.size(self.displayed) + sum((rung[1] for rung in self.rungs), Decimal(0))
        if quantity > reach:
            return self._short(quantity)
        if not scale.fits(
            min(scale.lots_up(quantity), self.displayed), int(self.fair.scaleb(scale.price_decimals)) * 4
        ):
            return NoPrice(NoPriceReason.TOO_LARGE, f"{book.symbol}: {quantity} is too large to be summed exactly")
        plans = sorted(self._plans(quantity), key=lambda plan: -plan[0])
        targets = np.array(
            [
                max(0, int((quantity - size).scaleb(scale.size_decimals).to_integral_value(ROUND_CEILING)))
                for size, _, _ in plans
            ],
            dtype=np.int64,
        )
        out = np.empty((len(plans), len(book.venues), 2), dtype=np.int64)
        filled = int(kernels.sweep_targets(book.arena, self.book_side, self.live, targets, out))
        best: tuple[Decimal, int] | None = None
        sign = 1 if self.side == "buy" else -1
        fees = book.fees()
        for row, (_, money, _) in enumerate(plans[:filled]):
            notional = sum(n * (FEE_ONE + sign * fee) for (_, n), fee in zip(out[row].tolist(), fees, strict=True))
            cost = EXACT.add(
                EXACT.scaleb(Decimal(notional), Decimal(-8 - scale.price_decimals - scale.size_decimals)), money
            )
            if best is None or sign * cost < sign * best[0]:
                best = (cost, row)
        if best is None:
            return self._short(quantity)
        cost, row = best
        swept_lots = int(targets[row])
        taken = plans[row][0] + scale.size(swept_lots)  # a base size finer than the scale is swept as the next lot up
        vwap = (cost / taken).quantize(self.step, ROUND_CEILING if self.side == "buy" else ROUND_FLOOR)
        venues = tuple(venue for venue, (lot, _) in zip(book.venues, out[row].tolist(), strict=True) if lot)
        return _Swept(vwap, venues + plans[row][2])

    def _short(self, quantity: Decimal) -> NoPrice:
        shown = self.book.scale.size(self.displayed)
        return NoPrice(NoPriceReason.NO_LIQUIDITY, f"{self.book.symbol}: {quantity} asked, live venues show {shown}")
