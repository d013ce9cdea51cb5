"""`price_quote`: a firm price for one side and one size, with its waterfall; or the reason why there is none.

Never through: the ask is at least half the least spread above the skewed centre and the bid as much below it, so
bid < ask at any two sizes; at one moment a larger size is never cheaper per unit on books alone (sweep and impact grow
with size), unless its markup is configured to be smaller. All-or-none LP rungs may make their own size cheaper than a
smaller one: that is what they are for. Rounding is always against the client, by at most one tick.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

import msgspec
import numpy as np

from pricing import sweep as kernels
from pricing.adverse import UNKNOWN, Estimate
from pricing.book import Array
from pricing.charges import FINE, Charges, Client, plain
from pricing.consolidated import FEE_ONE, ConsolidatedBook
from pricing.haircut import VENUE_WORK, FillRatios, displayed, real_targets
from pricing.parameters import PricingParameters
from pricing.rungs import ROUNDS, set_venues
from pricing.scale import EXACT
from pricing.waterfall import build
from pricing.winning import WinModel

BASE_UNIT = Decimal("0.00000001")  # precision of a base quantity that is found from a quote-currency amount
MAX_PLANS = 512  # sizes made of LP rungs that are tried for one price

Rung = tuple[str, Decimal, Decimal, Decimal]  # (lp, quantity, bid, ask)


class NoPriceReason(StrEnum):
    """Why nothing can be quoted."""

    BAD_SIZE = "bad_size"
    NO_LIVE_VENUE = "no_live_venue"
    NO_FAIR_VALUE = "no_fair_value"
    NO_LIQUIDITY = "no_liquidity"
    DEVIATION = "deviation"
    TOO_LARGE = "too_large"
    BAND = "band"
    DEPEG = "depeg"  # a coin on the way is off its peg, or its peg cannot be seen


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
    inputs: tuple[str, ...]  # what each step came from, in words
    bare: Decimal  # the price without its ticket and rounding: what a larger size of a ladder is held to
    sigma_bps: float = 0.0  # σ·√(TTL + hedge time), bps


class _Swept(msgspec.Struct, frozen=True):
    """All-in averages of a size in quote currency, rounded against the client to fine ticks: as displayed, and as expected."""

    shown: Decimal
    real: Decimal
    share: tuple[int, int]  # lots swept on the books, lots displayed
    sources: tuple[str, ...]
    words: str  # what each of them gives, and its fee


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
    markout: Estimate = UNKNOWN,
    utilisation: float = 0.0,
    fill_ratios: FillRatios | None = None,
    win: WinModel | None = None,
    room: Decimal | None = None,
    bound: Decimal | None = None,
) -> Priced | NoPrice:
    """Price `quantity` of base, or as much base as `quote_amount` buys (sells for). `side` is the client's: "buy" |
    "sell".

    `volatility`: σ per √s, relative. `inventory`, `band`: base. `rungs`: all-or-none LP liquidity, at most one per LP
    is used. `fair` overrides the book's fair value. Quote-sized: the quantity has 8 decimals and is rounded against the
    client by at most one unit. `without` names a step to leave out, for a what-if; the least spread still holds.
    `markout`, `utilisation`: the client's, see `pricing.adverse` and `pricing.credit`; `fill_ratios`: learnt, by venue;
    `win`: what `tune_markup` tunes by; `room`: the most base that may be traded this way before the hard band.
    `bound`: `Priced.bare` of the next smaller size of a ladder; the price per unit is no better, the difference is markup.
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
    charges = Charges(
        book.scale,
        fair=fair,
        ttl_ms=ttl_ms,
        inventory=inventory,
        band=band,
        volatility=volatility,
        client=Client(tier, markout, utilisation),
        parameters=parameters,
        tick=tick,
        win=win,
    )
    one = _Pricer(book, side, live, fair, charges, rungs, fill_ratios)
    one.without, one.room, one.bound = without, room, bound
    return one.of_base(size) if quantity is not None else one.of_quote(size)


class _Pricer:
    """One side at one moment: prices sizes until the asked one is found."""

    def __init__(
        self,
        book: ConsolidatedBook,
        side: str,
        live: int,
        fair: Decimal,
        charges: Charges,
        rungs: Sequence[Rung],
        learnt: FillRatios | None,
    ) -> None:
        self.book, self.side, self.live, self.fair, self.charges, self.rungs = book, side, live, fair, charges, rungs
        self.sign = 1 if side == "buy" else -1
        self.without = ""
        self.room: Decimal | None = None
        self.bound: Decimal | None = None
        self.fine = -(book.scale.price_decimals + FINE)
        self.step = Decimal(1).scaleb(self.fine)
        self.book_side = 1 if side == "buy" else 0
        self.displayed = int(displayed(book.arena, self.book_side, live))
        self.work: Array = np.zeros(len(book.venues) * VENUE_WORK, dtype=np.int64)
        self.ratios = set_venues(book, self.work, charges.parameters, self.book_side, learnt)

    def _cost(self, fine: int) -> Decimal:
        return Decimal(self.sign * fine).scaleb(self.fine)

    def of_base(self, quantity: Decimal) -> Priced | NoPrice:
        """Price a base quantity."""
        return self._allowed(self._built(quantity, quantity))

    def _allowed(self, priced: Priced | NoPrice) -> Priced | NoPrice:
        """The price, unless it is too far from fair or its quantity passes the hard band."""
        if isinstance(priced, NoPrice):
            return priced
        charges, symbol = self.charges, self.book.symbol
        if self.room is not None and priced.quantity > self.room:
            left = max(self.room, Decimal(0))
            return NoPrice(NoPriceReason.BAND, f"{symbol}: {priced.quantity} asked, {left} left to the hard band")
        deviation = abs(EXACT.subtract(priced.price, Decimal(charges.fair).scaleb(self.fine)))
        if priced.price <= 0 or deviation > Decimal(charges.collar).scaleb(self.fine):
            bps, most = deviation / self.fair * 10_000, charges.parameters.max_deviation_bps
            return NoPrice(
                NoPriceReason.DEVIATION, f"{symbol}: {priced.price} is {bps:.1f} bps from fair {self.fair}, over {most}"
            )
        return priced

    def _built(self, quantity: Decimal, nominal: Decimal) -> Priced | NoPrice:
        """The price of a base quantity, wherever it comes out; `nominal`: the size that markup and skew go by."""
        swept = self._sweep(quantity)
        if isinstance(swept, NoPrice):
            return swept
        charges = self.charges
        skew = charges.skews((nominal,))
        shift = (skew.asks if self.side == "buy" else skew.bids)[0]
        steps = {
            "sweep": EXACT.subtract(swept.shown, self.fair),
            "impact": EXACT.add(EXACT.subtract(swept.real, swept.shown), self._cost(charges.impact_of(*swept.share))),
            "volatility": self._cost(charges.volatility),
            "skew": Decimal(charges.shift(shift)).scaleb(self.fine),
            "adverse_selection": self._cost(charges.adverse),
            "credit": self._cost(charges.credit),
        }
        if self.without in steps:
            steps[self.without] = Decimal(0)
        fair, raw = Decimal(charges.fair).scaleb(self.fine), EXACT.add(self.fair, sum(steps.values()))
        markup, marked = charges.markup(nominal, int(self.sign * EXACT.subtract(raw, fair).scaleb(-self.fine)))
        ticket = charges.ticket_of(quantity)
        if self.without == "markup":
            markup = ticket = 0
        centre = 0 if self.without == "skew" else charges.shift(skew.centre)
        least = EXACT.add(fair, Decimal(centre + self.sign * charges.half_spread).scaleb(self.fine))
        short = self.sign * EXACT.subtract(least, EXACT.add(raw, self._cost(markup)))
        bare = EXACT.add(EXACT.add(raw, self._cost(markup)), self.sign * max(short, Decimal(0)))
        held = self.bound is not None and self.sign * (self.bound - bare) > 0
        bare = self.bound if held and self.bound is not None else bare
        steps["markup"] = EXACT.add(EXACT.subtract(bare, raw), self._cost(ticket))
        marked += f", ticket {plain(charges.parameters.min_ticket)} a trade" if ticket else ""
        marked += (
            ", held to the price of a smaller size" if held else ", lifted to the least spread" if short > 0 else ""
        )
        price, waterfall = build(self.fair, steps, self.side, charges.tick)
        if self.without == "rounding":
            price, waterfall = EXACT.subtract(price, waterfall[-1][1]), (*waterfall[:-1], ("rounding", Decimal(0)))
        return Priced(
            side=self.side,
            price=price,
            quantity=quantity,
            amount=EXACT.multiply(price, quantity),
            fair=self.fair,
            waterfall=waterfall,
            sources=swept.sources,
            bare=bare,
            sigma_bps=charges.sigma_bps,
            inputs=charges.inputs(swept.words, self._depth(*swept.share), shift, skew.centre, marked),
        )

    def of_quote(self, amount: Decimal) -> Priced | NoPrice:
        """The quantity whose price × quantity comes closest to `amount`: not above it for a buy, not below it for a
        sell. When two prices imply each other, the one worse for the client is honest at its own, smaller size."""
        nominal = amount / self.fair
        price, before = self.fair, Decimal(0)
        limit: Decimal | None = None
        worse = max if self.side == "buy" else min
        for _ in range(ROUNDS):
            quantity = self._base_of(amount, price)
            if quantity <= 0:
                return NoPrice(NoPriceReason.BAD_SIZE, f"{amount} buys less than one unit of base at {price}")
            if price <= 0:
                break
            priced = self._built(quantity, nominal)
            if isinstance(priced, NoPrice) or priced.price == price:
                return self._allowed(priced)
            if limit is not None:
                if worse(priced.price, limit) == limit:
                    return self._allowed(self._at(priced, limit))
                limit = price = priced.price
            elif priced.price == before:
                limit = price = worse(price, priced.price)
            else:
                before, price = price, priced.price
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
        """What can be made of LP rungs, at most one of each LP, within `quantity`: (size, Σ price × size, LPs), the cheapest of
        each size; one plan is empty. LP by LP; when there are more than `MAX_PLANS` sizes those go on that, with the rest taken
        from the books at what these ask for all of it, cost least."""
        by_lp: dict[str, list[tuple[Decimal, Decimal]]] = {}
        for lp, size, bid, ask in self.rungs:
            price = ask if self.side == "buy" else bid
            if 0 < size <= quantity and price > 0:
                by_lp.setdefault(lp, []).append((size, EXACT.multiply(price, size)))
        plans: dict[Decimal, tuple[Decimal, tuple[str, ...]]] = {Decimal(0): (Decimal(0), ())}
        rest: Decimal | None = None
        for lp, options in by_lp.items():
            for have, (money, lps) in tuple(plans.items()):
                for more, cost in options:
                    size, whole = EXACT.add(have, more), EXACT.add(money, cost)
                    if size <= quantity and (size not in plans or self.sign * (plans[size][0] - whole) > 0):
                        plans[size] = (whole, (*lps, lp))
            if len(plans) > MAX_PLANS:
                rest = self._rest(quantity) if rest is None else rest
                best = sorted(plans, key=lambda size: self.sign * (plans[size][0] - rest * size))[:MAX_PLANS]
                plans = {size: plans[size] for size in (Decimal(0), *best)}
        return [(size, *plan) for size, plan in plans.items()]

    def _rest(self, quantity: Decimal) -> Decimal:
        """Average price of all of `quantity` on the books; where they end, one that nobody would trade at."""
        lots = self.book.scale.lots_up(quantity)
        out = np.empty((1, len(self.book.venues), 2), dtype=np.int64)
        if kernels.sweep_targets(self.book.arena, self.book_side, self.live, np.array([lots], dtype=np.int64), out):
            return self._average(self._money(out[0].tolist()), self.book.scale.size(lots))
        return self.fair * 10 if self.side == "buy" else Decimal(0)

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
        shown = np.empty((len(plans), len(book.venues), 2), dtype=np.int64)
        filled = int(kernels.sweep_targets(book.arena, self.book_side, self.live, targets, shown))
        if filled == 0:
            return self._short(quantity)
        real = np.empty_like(shown)
        real_targets(book.arena, self.work, self.book_side, self.live, targets[:filled], real)
        costs = [EXACT.add(self._money(real[row].tolist()), plans[row][1]) for row in range(filled)]
        row = min(range(filled), key=lambda at: self.sign * costs[at])
        size, money, lps = plans[row]
        swept = int(targets[row])
        taken = size + scale.size(swept)  # a base size finer than the scale is swept as the next lot up
        per_venue = shown[row].tolist()
        venues = tuple(venue for venue, (lots, _) in zip(book.venues, per_venue, strict=True) if lots)
        first = self._average(EXACT.add(self._money(per_venue), money), taken)
        words = self._words([lots for lots, _ in per_venue], lps, size)
        return _Swept(first, self._average(costs[row], taken), (swept, self.displayed), venues + lps, words)

    def _words(self, lots: list[int], lps: tuple[str, ...], size: Decimal) -> str:
        """Who gives how much of a size, and at what fee."""
        scale = self.book.scale
        said = [
            f"{venue} {plain(scale.size(n))} (fee {plain(Decimal(fee).scaleb(-4))} bps)"
            for venue, n, fee in zip(self.book.venues, lots, self.book.fees(), strict=True)
            if n
        ]
        return " + ".join((*said, f"{' + '.join(lps)} {plain(size)}") if lps else said)

    def _depth(self, swept: int, displayed: int) -> str:
        """What the impact came from."""
        scale, bps = self.book.scale, plain(self.charges.parameters.impact_bps)
        shown = plain(scale.size(displayed))
        return f"real share {self.ratios}; {bps} bps × √({plain(scale.size(swept))}/{shown} displayed)"

    def _money(self, per_venue: list[list[int]]) -> Decimal:
        """All-in cost of what each venue gives, exactly."""
        scale, fees = self.book.scale, self.book.fees()
        notional = sum(n * (FEE_ONE + self.sign * fee) for (_, n), fee in zip(per_venue, fees, strict=True))
        return EXACT.scaleb(Decimal(notional), Decimal(-8 - scale.price_decimals - scale.size_decimals))

    def _average(self, cost: Decimal, quantity: Decimal) -> Decimal:
        return (cost / quantity).quantize(self.step, ROUND_CEILING if self.side == "buy" else ROUND_FLOOR)

    def _short(self, quantity: Decimal) -> NoPrice:
        shown = self.book.scale.size(self.displayed)
        return NoPrice(NoPriceReason.NO_LIQUIDITY, f"{self.book.symbol}: {quantity} asked, live venues show {shown}")
