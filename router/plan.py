"""From a split to child orders: exact lots and ticks, limits with a little room, quotes that are still good when the order arrives.

A venue child's limit is the worst level the split touches, moved outward by the guard and onto the tick, never beyond the parent's
limit: rounding inward would leave planned levels out. An LP child takes its quote as it is. What a venue's lots and minimums do not
allow is dropped and said; it stays with the parent. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from adapters.nautilus.lp import LpQuote
from risk.exact import BPS, EXACT, ZERO, add, times
from router.exact.split import SplitChild

NO_HAIRCUT: Mapping[str, int] = {}


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue takes of an instrument: price step, quantity step, least quantity (base) and value (quote currency)."""

    tick: Decimal
    lot: Decimal
    min_quantity: Decimal = ZERO
    min_notional: Decimal = ZERO


class PlannedChild(msgspec.Struct, frozen=True, kw_only=True):
    """A child order to be: marketable limit, IOC at a venue, FOK at an LP (`quote_id`, useless after `valid_until_ns`).

    `resting`: a limit order that lies in the venue's book until it fills or is taken back; `post_only`: it may not take.
    """

    venue: str
    quantity: Decimal
    limit_price: Decimal
    quote_id: str = ""
    valid_until_ns: int = 0
    resting: bool = False
    post_only: bool = False
    why: str = ""  # its part in the plan, and why it leaves before or after the others
    haircut_ppm: int = 0  # of what the venue displays, not counted on


class Dropped(msgspec.Struct, frozen=True):
    """A slice that cannot be sent, and why."""

    venue: str
    quantity: Decimal
    reason: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a split comes to as orders. `refusal`: probability that an LP refuses, where anything is known of it."""

    children: tuple[PlannedChild, ...]
    dropped: tuple[Dropped, ...] = ()
    refusal: Mapping[str, Decimal] = {}


def usable(quotes: Iterable[LpQuote], side: str, now_ns: int, margin_ns: int) -> list[LpQuote]:
    """Quotes that price our side and are good for longer than an order takes to arrive."""
    priced = (quote for quote in quotes if price_of(quote, side) is not None)
    return [quote for quote in priced if quote.valid_until_ns > now_ns + margin_ns and quote.quantity > 0]


def price_of(quote: LpQuote, side: str) -> Decimal | None:
    """The quote's all-in price for our side, None when it does not quote it (or not above zero)."""
    price = quote.ask if side == "buy" else quote.bid
    return price if price is not None and price > 0 else None


def plan_children(
    slices: Iterable[SplitChild],
    *,
    side: str,
    terms: Mapping[str, Terms],
    quotes: Mapping[str, LpQuote],
    limit_price: Decimal | None,
    guard_bps: Decimal,
    haircut_ppm: Mapping[str, int] = NO_HAIRCUT,
) -> Plan:
    """Turn the children of a split into orders. `terms` by venue or LP, `quotes` by quote id, `haircut_ppm` by venue."""
    children: list[PlannedChild] = []
    dropped: list[Dropped] = []
    for piece in slices:
        where = piece.venue or piece.lp
        known = terms.get(where)
        if known is None:
            dropped.append(Dropped(where, piece.quantity, "no such instrument"))
            continue
        quantity = floor_to(piece.quantity, known.lot)
        if (reason := too_small(quantity, piece.limit_price, known)) is not None:
            dropped.append(Dropped(where, piece.quantity, reason))
        elif not piece.quote_id:
            limit = limit_of(piece.limit_price, side, known.tick, guard_bps, limit_price)
            cut = haircut_ppm.get(where, 0)
            children.append(PlannedChild(venue=where, quantity=quantity, limit_price=limit, haircut_ppm=cut))
        elif (quote := quotes.get(piece.quote_id)) is None or quantity != piece.quantity:
            dropped.append(Dropped(where, piece.quantity, "the quote is gone or its size is no multiple of the lot"))
        else:
            price = price_of(quote, side)
            assert price is not None
            price = _onto(price, known.tick, outward=True, side=side)
            if limit_price is not None and (price > limit_price if side == "buy" else price < limit_price):
                dropped.append(Dropped(where, piece.quantity, "on a tick its price is beyond the limit"))
                continue
            children.append(
                PlannedChild(
                    venue=where,
                    quantity=quantity,
                    limit_price=price,
                    quote_id=piece.quote_id,
                    valid_until_ns=quote.valid_until_ns,
                )
            )
    return Plan(children=tuple(children), dropped=tuple(dropped))


def too_small(quantity: Decimal, price: Decimal, terms: Terms) -> str | None:
    """Why a venue would not take the quantity at that price; None when it would."""
    if quantity <= 0 or quantity < terms.min_quantity:
        return f"below the least quantity {terms.min_quantity or terms.lot:f}"
    if times(quantity, price) < terms.min_notional:
        return f"below the least value {terms.min_notional:f}"
    return None


def limit_of(worst: Decimal, side: str, tick: Decimal, guard_bps: Decimal, limit_price: Decimal | None) -> Decimal:
    """The limit of a venue child: `worst` moved outward by the guard, on a tick, not beyond the parent's limit."""
    room = times(worst, times(guard_bps, BPS))
    limit = _onto(add(worst, room if side == "buy" else -room), tick, outward=False, side=side)
    nearest = _onto(
        worst, tick, outward=True, side=side
    )  # the guard may be less than a tick: the planned level itself must fit
    limit = max(limit, nearest) if side == "buy" else min(limit, nearest)
    if limit_price is None:
        return limit
    bound = _onto(limit_price, tick, outward=False, side=side)
    return min(limit, bound) if side == "buy" else max(limit, bound)


def floor_to(quantity: Decimal, lot: Decimal) -> Decimal:
    """The largest multiple of `lot` not above `quantity`, exact."""
    return times(EXACT.divide(quantity, lot).to_integral_value(ROUND_FLOOR, EXACT), lot)


def _onto(price: Decimal, tick: Decimal, *, outward: bool, side: str) -> Decimal:
    up = (side == "buy") is outward
    return times(EXACT.divide(price, tick).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR, EXACT), tick)
