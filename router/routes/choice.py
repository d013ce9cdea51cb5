"""The choice of a route: the same exposure directly, through a third currency, split between the two, or by a perpetual.

A route is one or two legs, each of them an order in its own instrument; inventory is per currency, never per pair. Every
alternative is told with its whole cost in bps of one fair value (the direct book's, or without one that of the cheapest
cross), + = we pay, and the parts add up to the total exactly:

    sweep     all-in walk of the books without the fees, against the route's own fair value
    fees      taker fees of every leg
    basis     the route's own fair value against the reference: a triangle that does not close, a perpetual's expected move
    funding   of a perpetual, over the horizon
    close     of a perpetual: half-spread and fee to leave it again
    leg_risk  the second leg is worked while the first is filled: k·σ₂·√latency of its value

The direct side is solved by the exact splitter, the synthetic one is a convex virtual book (`router.routes.book`) that is
merged with the direct venues in the same exact split. Two routes never take from the same book in one plan. An expected
cost decides (`leg_risk`, `funding` and `basis` count); the least total wins, direct first, then fewer legs, on a tie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, localcontext
from enum import StrEnum
from fractions import Fraction
from math import sqrt
from typing import Any

import msgspec

from pricing.triangle import Form, form_of
from router.exact.request import Book, SplitRequest
from router.exact.result import SplitChild, SplitResult
from router.exact.split import NODE_LIMIT, split
from router.routes.book import (
    BPS,
    Piece,
    RouteBook,
    base_for,
    compose,
    decimal_of,
    spent,
    virtual_book,
    walk,
)
from router.routes.perpetual import Perpetual, carry

_NONE = Decimal(0)
_TINY = Decimal("1e-9")  # bps
_UNIT = Decimal("0.00000001")  # of a leg's quantity that another leg's money decides
_PART = Decimal("1e-12")
MAX_LOAD = 0.05  # of leg 2's price; more would be no market


class RouteKind(StrEnum):
    """How the exposure is got."""

    DIRECT = "direct"
    SYNTHETIC = "synthetic"
    SPLIT = "split"  # part direct, part synthetic
    PERPETUAL = "perpetual"


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Parts in bps of the reference value; + = we pay."""

    sweep: Decimal = _NONE
    fees: Decimal = _NONE
    basis: Decimal = _NONE
    funding: Decimal = _NONE
    close: Decimal = _NONE
    leg_risk: Decimal = _NONE

    @property
    def total(self) -> Decimal:
        """The sum of the parts, exactly."""
        return self.sweep + self.fees + self.basis + self.funding + self.close + self.leg_risk


class RouteLeg(msgspec.Struct, frozen=True, kw_only=True):
    """One order: `quantity` of the symbol's base. `children`: where it is expected to trade (venues, worst price)."""

    symbol: str
    side: str
    quantity: Decimal
    children: tuple[SplitChild, ...] = ()


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """One way to get the exposure; `refused` says why it cannot be taken (its price may be told all the same)."""

    kind: RouteKind
    name: str
    legs: tuple[RouteLeg, ...]
    cost: Cost
    price: Decimal | None  # all-in in `terms` per unit of base, without expected costs; None when it cannot fill
    refused: str = ""


class RouteChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked, what is taken, what else there was. `chosen` None: nothing can fill it; `reason` says why."""

    base: str
    terms: str
    side: str
    quantity: Decimal
    fair: Decimal | None
    chosen: Alternative | None
    alternatives: tuple[Alternative, ...]
    reason: str


class RouteRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The exposure: `quantity` of `base` against `terms`. `side` is ours. Times of legs and of the horizon in seconds."""

    base: str
    terms: str
    side: str
    quantity: Decimal
    max_children: int | None = None
    leg_risk_multiplier: float = 0.4
    leg_latency_s: float = 0.25
    horizon_s: int = 3600


class _Way(msgspec.Struct, frozen=True, kw_only=True):
    """A triangle: two books, how they compose, and their levels on the sides that are taken."""

    first: RouteBook
    second: RouteBook
    form: Form
    load: Fraction
    one: list[Piece]
    two: list[Piece]  # without the load
    virtual: Book

    @property
    def name(self) -> str:
        return f"{self.first.symbol}+{self.second.symbol}"

    @property
    def fair(self) -> Decimal:
        return self.first.fair / self.second.fair if self.form is Form.DIVIDE else self.first.fair * self.second.fair


def choose(
    request: RouteRequest,
    books: Mapping[str, RouteBook],
    *,
    perpetuals: Sequence[Perpetual] = (),
    node_limit: int = NODE_LIMIT,
) -> RouteChoice:
    """Price every route there is over `books` (by symbol) and take the cheapest that can be executed."""
    if request.side not in ("buy", "sell") or not request.quantity.is_finite() or request.quantity <= 0:
        raise ValueError(f"cannot route side {request.side!r}, quantity {request.quantity}")
    with localcontext(prec=60):
        direct = books.get(f"{request.base}/{request.terms}")
        ways = _triangles(request, books)
        fair = direct.fair if direct else min((way.fair for way in ways), default=None)
        found: list[Alternative] = []
        if fair is not None:
            if direct is not None:
                found.append(_alternative(RouteKind.DIRECT, request, fair, direct, None, node_limit))
            found += [_alternative(RouteKind.SYNTHETIC, request, fair, None, way, node_limit) for way in ways]
            if direct is not None:
                mixed = (_alternative(RouteKind.SPLIT, request, fair, direct, way, node_limit) for way in ways)
                found += [item for item in mixed if len(item.legs) > 2]
            found += [_by_perpetual(request, fair, item, node_limit) for item in perpetuals]
    return _chosen(request, fair, found)


def _triangles(request: RouteRequest, books: Mapping[str, RouteBook]) -> list[_Way]:
    """Every pair of books that makes base/terms, in order of their names."""
    found = []
    symbol, side = f"{request.base}/{request.terms}", request.side
    for first in sorted(books):
        for second in sorted(books):
            try:
                form = form_of(symbol, first, second)
            except ValueError:
                continue
            one, two = books[first], books[second]
            side_2 = second_side(form, side)
            risk = request.leg_risk_multiplier * two.sigma * sqrt(request.leg_latency_s)
            load = Decimal(str(min(max(risk, 0.0), MAX_LOAD)))
            need = request.quantity + one.lot  # a lot more, because a level's odd end goes on at the next
            pieces = walk(one, side, base=need)
            gross, fees, _ = spent(pieces, Fraction(need))
            reach: dict[str, Any] = (
                {"money": gross + fees} if form is Form.DIVIDE else {"base": _exactly(gross + fees, "buy")}
            )
            loaded = compose(pieces, walk(two, side_2, load, **reach), form, side, Fraction(need))
            found.append(
                _Way(
                    first=one,
                    second=two,
                    form=form,
                    load=Fraction(load),
                    one=pieces,
                    two=walk(two, side_2, **reach),
                    virtual=virtual_book(f"{first}+{second}", loaded, one.lot, side),
                )
            )
    return found


def second_side(form: Form, side: str) -> str:
    """The side of leg 2: B/X is sold to buy A, X/B is bought."""
    return ("sell" if side == "buy" else "buy") if form is Form.DIVIDE else side


def _alternative(
    kind: RouteKind, request: RouteRequest, fair: Decimal, direct: RouteBook | None, way: _Way | None, node_limit: int
) -> Alternative:
    """One split over the direct venues and the virtual one, told by legs and parts."""
    books = (direct.books(request.side) if direct else ()) + ((way.virtual,) if way else ())
    result = split(
        SplitRequest(side=request.side, quantity=request.quantity, books=books, max_children=request.max_children),
        node_limit=node_limit,
    )
    name = "+".join(part for part in (direct.symbol if direct else "", way.name if way else "") if part)
    if result.unfilled:
        why = f"only {result.filled:f} of {request.quantity:f} can be had"
        return Alternative(kind=kind, name=name, legs=(), cost=Cost(), price=None, refused=why)
    sign = 1 if request.side == "buy" else -1
    through = sum((child.quantity for child in result.children if way and child.venue == way.name), _NONE)
    own = request.quantity - through
    legs: list[RouteLeg] = []
    fees = risk = basis = money = _NONE  # in terms currency; money: all-in, without what is only expected
    if direct is not None and own > 0:
        children = [child for child in result.children if way is None or child.venue != way.name]
        paid, fee = _direct_cost(direct, result, children, way)
        money, fees = money + paid, fees + fee
        basis += sign * (direct.fair - fair) * own
        legs.append(RouteLeg(symbol=direct.symbol, side=request.side, quantity=own, children=tuple(children)))
    if way is not None and through > 0:
        leg_1, leg_2, paid, fee, risk = _synthetic_cost(way, request.side, through)
        money, fees = money + paid, fees + fee
        basis += sign * (way.fair - fair) * through
        legs += [leg_1, leg_2]
    value = fair * request.quantity
    whole, fee_bps, basis_bps = _bps(money - sign * value, value), _bps(fees, value), _bps(basis, value)
    cost = Cost(sweep=whole - fee_bps - basis_bps, fees=fee_bps, basis=basis_bps, leg_risk=_bps(risk, value))
    price = (abs(money) / request.quantity).quantize(_PART, ROUND_CEILING if sign > 0 else ROUND_FLOOR)
    return Alternative(kind=kind, name=name, legs=tuple(legs), cost=cost, price=price)


def _direct_cost(
    direct: RouteBook, result: SplitResult, children: Sequence[SplitChild], way: _Way | None
) -> tuple[Decimal, Decimal]:
    """(all-in money, fees) of the direct children: + paid, − received."""
    sign = 1 if result.side == "buy" else -1
    money = fees = _NONE
    for child in children:
        venue = next(item for item in direct.venues if item.venue == child.venue)
        levels = venue.asks if result.side == "buy" else venue.bids
        left, gross = child.quantity, _NONE
        for price, size in levels:
            take = min(size, left)
            gross, left = gross + price * take, left - take
            if left <= 0:
                break
        fee = gross * venue.taker_fee_bps * BPS
        money += sign * gross + fee + venue.fixed_cost
        fees += fee + venue.fixed_cost
    return money, fees


def _synthetic_cost(way: _Way, side: str, quantity: Decimal) -> tuple[RouteLeg, RouteLeg, Decimal, Decimal, Decimal]:
    """(leg 1, leg 2, all-in money, fees, leg risk) of `quantity` through a triangle, in terms currency."""
    sign = 1 if side == "buy" else -1
    side_2 = second_side(way.form, side)
    gross_1, fees_1, _ = spent(way.one, Fraction(quantity))
    amount = gross_1 + sign * fees_1  # X that leg 2 must bring (buy) or gets rid of (sell)
    size_2 = base_for(way.two, amount, side_2) if way.form is Form.DIVIDE else amount
    gross_2, fees_2, _ = spent(way.two, size_2)
    rate = Fraction(way.second.fair)
    if way.form is Form.DIVIDE:  # leg 2's base is the terms currency; its money is X
        money, fees = sign * size_2, fees_1 / rate + fees_2 / rate
        risk = size_2 * way.load
    else:
        money, fees = sign * gross_2 + fees_2, fees_1 * rate + fees_2
        risk = gross_2 * way.load
    legs = (
        RouteLeg(symbol=way.first.symbol, side=side, quantity=quantity),
        RouteLeg(symbol=way.second.symbol, side=side_2, quantity=_exactly(size_2, side)),
    )
    return *legs, _exactly(money, side), _exactly(fees, "buy"), _exactly(risk, "buy")


def _by_perpetual(request: RouteRequest, fair: Decimal, perpetual: Perpetual, node_limit: int) -> Alternative:
    """Sweep, fee and carry of a perpetual of base/terms; refused, with its price, while there is no venue for it."""
    book = perpetual.book
    if (book.base, book.quote) != (request.base, request.terms):
        why = f"{perpetual.symbol} is no perpetual of {request.base}/{request.terms}"
        return Alternative(
            kind=RouteKind.PERPETUAL, name=perpetual.symbol, legs=(), cost=Cost(), price=None, refused=why
        )
    entry = _alternative(RouteKind.DIRECT, request, perpetual.fair, book, None, node_limit)
    if entry.price is None:
        return msgspec.structs.replace(entry, kind=RouteKind.PERPETUAL)
    held = carry(perpetual, side=request.side, spot_fair=fair, horizon_s=request.horizon_s)
    scale = perpetual.fair / fair  # entry costs are in bps of the perpetual's own fair value
    return Alternative(
        kind=RouteKind.PERPETUAL,
        name=perpetual.symbol,
        legs=entry.legs,
        cost=Cost(
            sweep=_tiny(entry.cost.sweep * scale),
            fees=_tiny(entry.cost.fees * scale),
            basis=held.basis_bps,
            funding=held.funding_bps,
            close=held.close_bps,
        ),
        price=entry.price,
        refused="" if perpetual.executable else "no perpetual venue configured",
    )


def _chosen(request: RouteRequest, fair: Decimal | None, found: Sequence[Alternative]) -> RouteChoice:
    order = {kind: place for place, kind in enumerate(RouteKind)}
    usable = [item for item in found if item.price is not None and not item.refused]
    best = min(usable, key=lambda item: (item.cost.total, order[item.kind]), default=None)
    return RouteChoice(
        base=request.base,
        terms=request.terms,
        side=request.side,
        quantity=request.quantity,
        fair=None if fair is None else fair.quantize(_PART, ROUND_HALF_EVEN),
        chosen=best,
        alternatives=tuple(sorted(found, key=lambda item: (item.price is None, item.cost.total))),
        reason=_why(request, best, found),
    )


def _why(request: RouteRequest, best: Alternative | None, found: Sequence[Alternative]) -> str:
    if best is None:
        told = "; ".join(f"{item.kind} {item.name}: {item.refused}" for item in found)
        return told or f"no book of {request.base}/{request.terms}, and no two that make it"
    others = [item for item in found if item is not best and item.price is not None and not item.refused]
    text = f"{best.kind} {best.name} at {best.cost.total:.2f} bps"
    if others:
        second = min(others, key=lambda item: item.cost.total)
        text += f", {second.cost.total - best.cost.total:.2f} less than {second.kind} {second.name}"
    else:
        text += ", the only one that can be taken"
    cheaper = [item for item in found if item.refused and item.price is not None and item.cost.total < best.cost.total]
    for item in cheaper:
        text += f"; {item.kind} {item.name} would be {item.cost.total:.2f} bps, but {item.refused}"
    return text


def _bps(amount: Decimal, value: Decimal) -> Decimal:
    return _tiny(amount / value / BPS)


def _tiny(bps: Decimal) -> Decimal:
    return bps.quantize(_TINY, ROUND_HALF_EVEN)


def _exactly(value: Fraction, side: str) -> Decimal:
    """As a decimal with 18 decimals, rounded against us."""
    return decimal_of(value, ROUND_CEILING if side == "buy" else ROUND_FLOOR)
