"""The offline routing request of `kerb split`: exact decimals in, every fault named.

A number is a plain decimal string, below 10^18 with at most 18 decimals: no exponent, no NaN, no sign unless a sign
makes sense (a fee may be a rebate). Unknown fields, unsorted levels, a crossed book and duplicate names are refused.
Every refusal is a `SplitFault` of one line.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?\Z")
DEFAULT_LOT = "0.00000001"
MAX_FEE_BPS = Decimal(10_000)
MAX_BLOCKS = 512  # venues + quotes
MAX_LEVELS = 20_000  # a side


class SplitFault(ValueError):
    """The request cannot be understood; the message is for the person who wrote it."""


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """One venue: levels as (price, quantity), best first; `balance` in quote currency for a buy, base for a sell; None
    = unlimited."""

    venue: str
    taker_fee_bps: Decimal
    lot: Decimal
    min_quantity: Decimal
    min_notional: Decimal
    balance: Decimal | None
    fixed_cost: Decimal
    levels: tuple[tuple[Decimal, Decimal], ...]  # the side that the request takes


class SplitQuote(msgspec.Struct, frozen=True, kw_only=True):
    """One LP quote: whole, or from `min_quantity` up to `quantity` in steps of `lot`. `price` is all-in."""

    lp: str
    quote_id: str
    price: Decimal
    quantity: Decimal
    all_or_none: bool = True
    min_quantity: Decimal = Decimal(0)
    lot: Decimal = Decimal(DEFAULT_LOT)
    fixed_cost: Decimal = Decimal(0)
    reject_probability: Decimal = Decimal(0)


class SplitRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to fill, and from what. `side` is ours: "buy" takes asks, "sell" takes bids."""

    side: str
    quantity: Decimal
    books: tuple[Book, ...]
    quotes: tuple[SplitQuote, ...] = ()
    limit_price: Decimal | None = None
    max_children: int | None = None
    reject_cost_bps: Decimal = Decimal(0)


class _VenueJson(msgspec.Struct, forbid_unknown_fields=True):
    venue: str
    taker_fee_bps: str = "0"
    lot: str = DEFAULT_LOT
    tick: str | None = None
    min_quantity: str = "0"
    min_notional: str = "0"
    balance: str | None = None
    fixed_cost: str = "0"
    asks: list[tuple[str, str]] = []
    bids: list[tuple[str, str]] = []


class _QuoteJson(msgspec.Struct, forbid_unknown_fields=True):
    lp: str
    quote_id: str
    price: str
    quantity: str
    all_or_none: bool = True
    min_quantity: str = "0"
    lot: str = DEFAULT_LOT
    fixed_cost: str = "0"
    reject_probability: str = "0"


class _RequestJson(msgspec.Struct, forbid_unknown_fields=True):
    side: str
    quantity: str
    limit_price: str | None = None
    max_children: int | None = None
    reject_cost_bps: str = "0"
    venues: list[_VenueJson] = []
    quotes: list[_QuoteJson] = []


def parse(text: bytes | str) -> SplitRequest:
    """Decode and check a request; raises `SplitFault`."""
    if not text.strip():
        raise SplitFault("the request is empty")
    try:
        wire = msgspec.json.decode(text, type=_RequestJson)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise SplitFault(f"not a routing request: {fault}") from None
    if wire.side not in ("buy", "sell"):
        raise SplitFault(f"side: {wire.side!r} is neither buy nor sell")
    if not wire.venues and not wire.quotes:
        raise SplitFault("venues: there is neither a venue nor a quote")
    if len(wire.venues) + len(wire.quotes) > MAX_BLOCKS:
        raise SplitFault(f"venues: more than {MAX_BLOCKS} venues and quotes")
    if wire.max_children is not None and wire.max_children < 1:
        raise SplitFault(f"max_children: {wire.max_children} is less than 1")
    _distinct([v.venue for v in wire.venues], "venues")
    for i, quote in enumerate(wire.quotes):
        if not quote.lp.strip() or not quote.quote_id.strip():
            raise SplitFault(f"quotes[{i}]: lp or quote_id is empty")
    _distinct([f"{quote.lp} {quote.quote_id}" for quote in wire.quotes], "quotes")
    return SplitRequest(
        side=wire.side,
        quantity=number(wire.quantity, "quantity", positive=True),
        limit_price=None if wire.limit_price is None else number(wire.limit_price, "limit_price", positive=True),
        max_children=wire.max_children,
        reject_cost_bps=number(wire.reject_cost_bps, "reject_cost_bps"),
        books=tuple(_book(venue, wire.side, f"venues[{i}]") for i, venue in enumerate(wire.venues)),
        quotes=tuple(_quote(quote, f"quotes[{i}]") for i, quote in enumerate(wire.quotes)),
    )


def number(text: str, where: str, *, positive: bool = False, signed: bool = False) -> Decimal:
    """A plain decimal: not negative unless `signed`, above zero if `positive`."""
    if not NUMBER.match(text):
        raise SplitFault(f"{where}: {text[:40]!r} is not a plain decimal below 10^18 with at most 18 decimals")
    value = Decimal(text)
    if positive and value <= 0:
        raise SplitFault(f"{where}: {text} is not above zero")
    if value < 0 and not signed:
        raise SplitFault(f"{where}: {text} is negative")
    return value


def _distinct(names: list[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if not name.strip():
            raise SplitFault(f"{where}: a name is empty")
        if name in seen:
            raise SplitFault(f"{where}: {name} is there twice")
        seen.add(name)


def _levels(rows: list[tuple[str, str]], where: str, sign: int) -> tuple[tuple[Decimal, Decimal], ...]:
    if len(rows) > MAX_LEVELS:
        raise SplitFault(f"{where}: more than {MAX_LEVELS} levels")
    levels = tuple(
        (number(price, f"{where}[{i}] price", positive=True), number(size, f"{where}[{i}] quantity", positive=True))
        for i, (price, size) in enumerate(rows)
    )
    for i in range(1, len(levels)):
        if sign * levels[i][0] < sign * levels[i - 1][0]:
            raise SplitFault(f"{where}[{i}]: {levels[i][0]} is better than the level before it; best first, please")
    return levels


def _book(wire: _VenueJson, side: str, where: str) -> Book:
    asks, bids = _levels(wire.asks, f"{where}.asks", 1), _levels(wire.bids, f"{where}.bids", -1)
    if asks and bids and bids[0][0] >= asks[0][0]:
        raise SplitFault(f"{where}: crossed book, bid {bids[0][0]} ≥ ask {asks[0][0]}")
    fee = number(wire.taker_fee_bps, f"{where}.taker_fee_bps", signed=True)
    if abs(fee) >= MAX_FEE_BPS:
        raise SplitFault(f"{where}.taker_fee_bps: {fee} is not a fee")
    if wire.tick is not None:
        number(wire.tick, f"{where}.tick", positive=True)
    return Book(
        venue=wire.venue,
        taker_fee_bps=fee,
        lot=number(wire.lot, f"{where}.lot", positive=True),
        min_quantity=number(wire.min_quantity, f"{where}.min_quantity"),
        min_notional=number(wire.min_notional, f"{where}.min_notional"),
        balance=None if wire.balance is None else number(wire.balance, f"{where}.balance"),
        fixed_cost=number(wire.fixed_cost, f"{where}.fixed_cost"),
        levels=asks if side == "buy" else bids,
    )


def _quote(wire: _QuoteJson, where: str) -> SplitQuote:
    quantity = number(wire.quantity, f"{where}.quantity", positive=True)
    minimum = number(wire.min_quantity, f"{where}.min_quantity")
    if minimum > quantity:
        raise SplitFault(f"{where}.min_quantity: {minimum} is above the quantity {quantity}")
    probability = number(wire.reject_probability, f"{where}.reject_probability")
    if probability > 1:
        raise SplitFault(f"{where}.reject_probability: {probability} is above 1")
    return SplitQuote(
        lp=wire.lp,
        quote_id=wire.quote_id,
        price=number(wire.price, f"{where}.price", positive=True),
        quantity=quantity,
        all_or_none=wire.all_or_none,
        min_quantity=minimum,
        lot=number(wire.lot, f"{where}.lot", positive=True),
        fixed_cost=number(wire.fixed_cost, f"{where}.fixed_cost"),
        reject_probability=probability,
    )
