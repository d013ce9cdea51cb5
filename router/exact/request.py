"""The offline routing request of `kerb split`: exact decimals in, every fault named.

Venues and quotes are read by `pricing.offers`, which says what a number is; every refusal is a `SplitFault` of one line.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from pricing.offers import DEFAULT_LOT, MAX_FEE_BPS, QuoteJson, Venue, VenueJson, decode, number, quotes, venues
from pricing.offers import Quote as SplitQuote
from pricing.offers import RequestFault as SplitFault

MAX_BLOCKS = 512  # venues + quotes

__all__ = ["DEFAULT_LOT", "Book", "SplitFault", "SplitQuote", "SplitRequest", "number", "parse"]


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """One venue: levels as (price, quantity), best first; `balance` in quote currency for a buy, base for a sell; None
    = unlimited. `slippage_bps`: what a fill is expected to cost beyond the book; it weighs in the choice, not in the cost."""

    venue: str
    taker_fee_bps: Decimal
    lot: Decimal
    min_quantity: Decimal
    min_notional: Decimal
    balance: Decimal | None
    fixed_cost: Decimal
    slippage_bps: Decimal = Decimal(0)
    levels: tuple[tuple[Decimal, Decimal], ...]  # the side that the request takes


class SplitRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to fill, and from what. `side` is ours: "buy" takes asks, "sell" takes bids."""

    side: str
    quantity: Decimal
    books: tuple[Book, ...]
    quotes: tuple[SplitQuote, ...] = ()
    limit_price: Decimal | None = None
    max_children: int | None = None
    reject_cost_bps: Decimal = Decimal(0)


class _VenueJson(VenueJson, forbid_unknown_fields=True):
    slippage_bps: str = "0"


class _RequestJson(msgspec.Struct, forbid_unknown_fields=True):
    side: str
    quantity: str
    limit_price: str | None = None
    max_children: int | None = None
    reject_cost_bps: str = "0"
    venues: list[_VenueJson] = []
    quotes: list[QuoteJson] = []


def parse(text: bytes | str) -> SplitRequest:
    """Decode and check a request; raises `SplitFault`."""
    wire = decode(text, _RequestJson, "a routing request")
    if wire.side not in ("buy", "sell"):
        raise SplitFault(f"side: {wire.side!r} is neither buy nor sell")
    if not wire.venues and not wire.quotes:
        raise SplitFault("venues: there is neither a venue nor a quote")
    if not wire.quotes and not any(venue.asks or venue.bids for venue in wire.venues):
        raise SplitFault("venues: every book is empty, and there is no quote")
    if len(wire.venues) + len(wire.quotes) > MAX_BLOCKS:
        raise SplitFault(f"venues: more than {MAX_BLOCKS} venues and quotes")
    if wire.max_children is not None and wire.max_children < 1:
        raise SplitFault(f"max_children: {wire.max_children} is less than 1")
    return SplitRequest(
        side=wire.side,
        quantity=number(wire.quantity, "quantity", positive=True),
        limit_price=None if wire.limit_price is None else number(wire.limit_price, "limit_price", positive=True),
        max_children=wire.max_children,
        reject_cost_bps=number(wire.reject_cost_bps, "reject_cost_bps"),
        books=tuple(
            _book(venue, wire.side, _slippage(each.slippage_bps, venue, f"venues[{i}].slippage_bps"))
            for i, (venue, each) in enumerate(zip(venues(wire.venues), wire.venues, strict=True))
        ),
        quotes=quotes(wire.quotes),
    )


def _slippage(text: str, venue: Venue, where: str) -> Decimal:
    slippage = number(text, where)
    if slippage + max(venue.taker_fee_bps, Decimal(0)) >= MAX_FEE_BPS:
        raise SplitFault(f"{where}: {slippage} with the fee is not a share of the price")
    return slippage


def _book(venue: Venue, side: str, slippage: Decimal) -> Book:
    return Book(
        venue=venue.venue,
        taker_fee_bps=venue.taker_fee_bps,
        lot=venue.lot,
        min_quantity=venue.min_quantity,
        min_notional=venue.min_notional,
        balance=venue.balance,
        fixed_cost=venue.fixed_cost,
        slippage_bps=slippage,
        levels=venue.asks if side == "buy" else venue.bids,
    )
