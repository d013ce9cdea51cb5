"""A ladder offline: the books of a request are laid out as the desk keeps its own, and every size is priced as the desk would.

The price of a size is `pricing.ladder.price_quote`'s, so fair + Σ steps = price exactly. A ladder is monotone: when an LP
quote would make a larger size cheaper per unit than a smaller one, the larger one costs the same (tickets apart). Lots,
minimums, balances, fixed costs and reject probabilities are rules of routing (`kerb split`): they are checked here, and a
quote's fixed cost is part of its price, but they do not change the sweep.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from pricing.adverse import adverse_bps
from pricing.charges import plain as text
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.ladder import NoPrice, Priced, Rung, price_quote
from pricing.offers import Level, Quote, RequestFault, Venue
from pricing.price_request import PRICED_BPS, PriceRequest
from pricing.scale import Scale, ScaleFault

NOW = 1  # the one moment at which everything is fresh
ZERO = Decimal(0)
MAX_DECIMALS = 15
FINE_SIZES, ROOMY = 8, 11  # decimals of a size; digits of a price or size before and after its point, less one


class OfflineRung(msgspec.Struct, frozen=True, kw_only=True):
    """One size: a price, or the reason why there is none, for each side asked (the client's)."""

    quantity: Decimal
    sides: dict[str, Priced | NoPrice]


class OfflineLadder(msgspec.Struct, frozen=True, kw_only=True):
    """All sizes at one moment, in the request's order, and how each LP quote was taken (lp, quote id, our side)."""

    fair: Decimal
    rungs: tuple[OfflineRung, ...]
    quotes: tuple[tuple[str, str, str], ...]


class NoFairValue(Exception):
    """The request is well formed, but nothing in it says what the instrument is worth."""


class OfflinePricer:
    """The books of one request; prices its ladder, as it is or with one step left out."""

    def __init__(self, request: PriceRequest) -> None:
        self.request = request
        self.book = _book(request)
        fair = self.book.fair(NOW)
        if fair is None or fair <= 0:
            live = ", ".join(f"{venue} {self.book.status(venue, NOW)}" for venue in self.book.venues)
            raise NoFairValue(f"{request.instrument}: no venue has two sides, or the venues disagree ({live})")
        self.fair = fair
        self.offers = [(quote, side or ("buy" if quote.price >= fair else "sell")) for quote, side in request.quotes]

    def ladder(self, without: str = "") -> OfflineLadder:
        """Every size on every side; `without` names a step of the waterfall to leave out, for a what-if."""
        request = self.request
        found: dict[Decimal, dict[str, Priced | NoPrice]] = {}
        bounds: dict[str, Decimal] = {}
        for quantity in sorted(set(request.quantities)):
            sides: dict[str, Priced | NoPrice] = {}
            for side in request.sides:
                sides[side] = priced = self._price(side, quantity, without, bounds.get(side))
                if isinstance(priced, Priced):
                    bounds[side] = priced.bare
            found[quantity] = sides
        return OfflineLadder(
            fair=self.fair,
            rungs=tuple(OfflineRung(quantity=quantity, sides=found[quantity]) for quantity in request.quantities),
            quotes=tuple((quote.lp, quote.quote_id, side) for quote, side in self.offers),
        )

    def _price(self, side: str, quantity: Decimal, without: str, bound: Decimal | None) -> Priced | NoPrice:
        request = self.request
        try:
            return price_quote(
                self.book,
                side=side,
                quantity=None if request.money else quantity,
                quote_amount=quantity if request.money else None,
                now_ns=NOW,
                ttl_ms=request.ttl_ms,
                inventory=request.inventory,
                band=request.band,
                volatility=float(request.volatility),
                tier=request.tier,
                parameters=request.parameters,
                tick=request.tick,
                rungs=self._rungs(side, quantity / self.fair if request.money else quantity),
                fair=self.fair,
                without=without,
                bound=bound,
                utilisation=float(request.utilisation),
            )
        except ScaleFault as fault:
            raise RequestFault(f"quantities: {fault}") from None

    def _rungs(self, side: str, quantity: Decimal) -> list[Rung]:
        """LP liquidity for one size. A quote that may be taken in part is offered whole, at the size asked, and at the size
        where the books become cheaper: each is a size it allows."""
        rungs: list[Rung] = []
        for quote, ours in self.offers:
            if ours != side:
                continue
            sizes = {quote.quantity}
            if not quote.all_or_none:
                sizes |= {_within(quote, quantity), _within(quote, quantity - self._cheaper(side, quote.price))}
            for size in sorted(sizes):
                if 0 < size <= quantity:
                    extra = quote.fixed_cost / size
                    price = quote.price + (extra if side == "buy" else -extra)
                    price = price.quantize(Decimal(1).scaleb(-MAX_DECIMALS)) if extra else price
                    rungs.append((quote.lp, size, price, price))
        return rungs

    def _cheaper(self, side: str, price: Decimal) -> Decimal:
        """What the books show at a better all-in price."""
        sign = 1 if side == "buy" else -1
        total = ZERO
        for venue in self.request.venues:
            factor = 1 + sign * venue.taker_fee_bps / 10_000
            for level, size in venue.asks if side == "buy" else venue.bids:
                if sign * level * factor >= sign * price:
                    break
                total += size
        return total


def answer(pricer: OfflinePricer, ladder: OfflineLadder) -> dict[str, Any]:
    """The answer of CONTRACT section 7. A size without a price has null there and says why under `reasons`."""
    request = pricer.request
    rungs = []
    for rung in ladder.rungs:
        row: dict[str, Any] = {"quantity": text(rung.quantity)}
        waterfall: dict[str, list[dict[str, str]]] = {}
        reasons: dict[str, str] = {}
        bought: dict[str, str] = {}
        for side, name in (("sell", "bid"), ("buy", "ask")):
            if (priced := rung.sides.get(side)) is None:
                continue
            if isinstance(priced, NoPrice):
                row[name], waterfall[name], reasons[name] = None, [], priced.message
            else:
                row[name] = format(priced.price, "f")  # with the decimals of its tick
                waterfall[name] = [{"step": step, "amount": text(amount)} for step, amount in priced.waterfall]
                if request.money:
                    bought[name] = text(priced.quantity)
        row["waterfall"] = waterfall
        if reasons:
            row["reasons"] = reasons
        if bought:
            row["base"] = bought
        rungs.append(row)
    model = request.parameters
    parameters = {
        "ttl_ms": request.ttl_ms,
        "hedge_ms": model.hedge_ms,
        "volatility_per_sqrt_s": text(request.volatility),
        "volatility_multiplier": text(Decimal(str(model.volatility_multiplier))),
        "inventory": text(request.inventory),
        "band": text(request.band),
        "tier": request.tier,
        "utilisation": text(request.utilisation),
        "markup_bps": text(model.markup(request.tier)),
        "markout_bps": text(adverse_bps(model, request.tier)),
        "fill_ratio": text(Decimal(str(model.fill_ratio))),
        "skew_model": model.skew_model,
        "min_ticket": text(model.min_ticket),
        **{name: text(getattr(model, name)) for name in PRICED_BPS},
    }
    body: dict[str, Any] = {"fair": text(ladder.fair), "rungs": rungs, "parameters": parameters}
    if ladder.quotes:
        body["quotes"] = [{"lp": lp, "quote_id": name, "side": side} for lp, name, side in ladder.quotes]
    return body


def _within(quote: Quote, wanted: Decimal) -> Decimal:
    """A size that a partial quote allows, the largest not above `wanted` (its least when that is larger)."""
    low = quote.min_quantity or quote.lot
    high = max(low, min(wanted, quote.quantity))
    return low + (high - low) // quote.lot * quote.lot


def _book(request: PriceRequest) -> ConsolidatedBook:
    """The venues as the desk keeps them: on the finest grid that any of them and the prices quoted use."""
    levels = [level for venue in request.venues for level in (*venue.asks, *venue.bids)]
    price_decimals = max((_decimals(price) for price, _ in levels), default=0)
    highest = max((price.adjusted() for price, _ in levels), default=0)
    price_decimals = max(price_decimals, min(_decimals(request.tick), ROOMY - highest))
    size_decimals = max((_decimals(size) for _, size in levels), default=0)
    largest = max((size.adjusted() for _, size in levels), default=0)
    size_decimals = max(
        size_decimals, min(FINE_SIZES, ROOMY - largest)
    )  # a part of a level is told finely, where it fits
    scale = Scale(request.instrument, price_decimals, size_decimals)
    depth = max((len(side) for venue in request.venues for side in (venue.asks, venue.bids)), default=0)
    terms = [
        VenueTerms(
            venue=venue.venue,
            taker_fee_bps=venue.taker_fee_bps,
            tick=Decimal(1).scaleb(-price_decimals),
            lot=venue.lot,
            min_quantity=venue.min_quantity,
            min_notional=venue.min_notional,
            price_decimals=price_decimals,
            size_decimals=size_decimals,
            max_age_ns=NOW,
            fixed_cost=venue.fixed_cost,
        )
        for venue in request.venues
    ]
    try:
        book = ConsolidatedBook(request.instrument, scale, terms, max(depth, 1))
        for i, venue in enumerate(request.venues):
            rows = _rows(venue, scale, f"venues[{i}]")
            book.apply(venue.venue, np.array(rows, dtype=np.int64).reshape(-1, 3), True, NOW)
    except ScaleFault as fault:
        raise RequestFault(f"venues: {fault}; pricing's integers end there") from None
    except ValueError as fault:
        raise RequestFault(f"venues: {fault}") from None
    return book


def _rows(venue: Venue, scale: Scale, where: str) -> list[tuple[int, int, int]]:
    """Levels as the book takes them; sizes at one price are added up."""
    sides: tuple[tuple[int, tuple[Level, ...]], ...] = ((1, venue.bids), (-1, venue.asks))
    rows: list[tuple[int, int, int]] = []
    for side, levels in sides:
        sizes: dict[int, int] = {}
        for price, size in levels:
            try:
                ticks, lots = scale.ticks(price), scale.lots(size)
            except ScaleFault as fault:
                raise RequestFault(f"{where}: {fault}; pricing's integers end there") from None
            sizes[ticks] = sizes.get(ticks, 0) + lots
        rows += [(side, ticks, lots) for ticks, lots in sizes.items()]
    return rows


def _decimals(value: Decimal) -> int:
    """Digits after the point that matter."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
