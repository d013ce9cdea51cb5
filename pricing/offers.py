"""What an offline request offers to trade against: venue books and LP quotes, as `kerb split` and `kerb price` read them.

A number is a plain decimal string, below 10^18 with at most 18 decimals: no exponent, no NaN, no sign unless a sign
makes sense (a fee may be a rebate). Unknown fields, unsorted levels, a crossed book and duplicate names are refused.
Every refusal is a `RequestFault` of one line that names the place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?\Z")
DEFAULT_LOT = "0.00000001"
MAX_FEE_BPS = Decimal(10_000)
MAX_LEVELS = 20_000  # a side
MAX_NAME = 200  # characters

Level = tuple[Decimal, Decimal]  # price, quantity


class RequestFault(ValueError):
    """The request cannot be understood; the message is for the person who wrote it."""


class Venue(msgspec.Struct, frozen=True, kw_only=True):
    """One venue: both sides of its book, best first, and its rules. `balance`: what its account can spend; None = unlimited."""

    venue: str
    taker_fee_bps: Decimal
    lot: Decimal
    min_quantity: Decimal
    min_notional: Decimal
    balance: Decimal | None
    fixed_cost: Decimal
    asks: tuple[Level, ...]
    bids: tuple[Level, ...]


class Quote(msgspec.Struct, frozen=True, kw_only=True):
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


class VenueJson(msgspec.Struct, forbid_unknown_fields=True):
    """A venue as it is written."""

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


class QuoteJson(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A quote as it is written."""

    lp: str
    quote_id: str
    price: str
    quantity: str
    all_or_none: bool = True
    min_quantity: str = "0"
    lot: str = DEFAULT_LOT
    fixed_cost: str = "0"
    reject_probability: str = "0"


def decode[Wire: msgspec.Struct](text: bytes | str, kind: type[Wire], what: str) -> Wire:
    """JSON text → `kind`; `what` names the request in the refusal ("a routing request")."""
    if not text.strip():
        raise RequestFault("the request is empty")
    try:
        found = msgspec.json.decode(text, type=kind)
        json.loads(text, object_pairs_hook=partial(_no_duplicates, what))
        return found
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise RequestFault(f"not {what}: {fault}") from None


def _no_duplicates(what: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of one JSON object, each given once: of two prices one would be dropped without a word."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RequestFault(f"not {what}: field {twice[:40]!r} is given twice")
    return found


def number(text: str, where: str, *, positive: bool = False, signed: bool = False) -> Decimal:
    """A plain decimal: not negative unless `signed`, above zero if `positive`."""
    if not NUMBER.match(text):
        raise RequestFault(f"{where}: {text[:40]!r} is not a plain decimal below 10^18 with at most 18 decimals")
    value = Decimal(text)
    if positive and value <= 0:
        raise RequestFault(f"{where}: {text} is not above zero")
    if value < 0 and not signed:
        raise RequestFault(f"{where}: {text} is negative")
    return value


def named(name: str, where: str) -> str:
    """A name as people write them: not empty, printable, of at most `MAX_NAME` characters."""
    if not name.strip():
        raise RequestFault(f"{where}: the name is empty")
    if len(name) > MAX_NAME or not name.isprintable():
        raise RequestFault(f"{where}: {name[:40]!r} is not a name of at most {MAX_NAME} printable characters")
    return name


def venues(wires: Sequence[VenueJson]) -> tuple[Venue, ...]:
    """Checked venues, in the order given."""
    _distinct((wire.venue for wire in wires), "venues")
    return tuple(_venue(wire, f"venues[{i}]") for i, wire in enumerate(wires))


def quotes(wires: Sequence[QuoteJson]) -> tuple[Quote, ...]:
    """Checked quotes, in the order given."""
    for i, wire in enumerate(wires):
        if not wire.lp.strip() or not wire.quote_id.strip():
            raise RequestFault(f"quotes[{i}]: lp or quote_id is empty")
    _distinct((f"{wire.lp} {wire.quote_id}" for wire in wires), "quotes")
    return tuple(_quote(wire, f"quotes[{i}]") for i, wire in enumerate(wires))


def _distinct(names: Iterable[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        named(name, where)
        if name in seen:
            raise RequestFault(f"{where}: {name} is there twice")
        seen.add(name)


def _levels(rows: Sequence[tuple[str, str]], where: str, sign: int) -> tuple[Level, ...]:
    if len(rows) > MAX_LEVELS:
        raise RequestFault(f"{where}: more than {MAX_LEVELS} levels")
    levels = tuple(
        (number(price, f"{where}[{i}] price", positive=True), number(size, f"{where}[{i}] quantity", positive=True))
        for i, (price, size) in enumerate(rows)
    )
    for i in range(1, len(levels)):
        if sign * levels[i][0] < sign * levels[i - 1][0]:
            raise RequestFault(f"{where}[{i}]: {levels[i][0]} is better than the level before it; best first, please")
    return levels


def _venue(wire: VenueJson, where: str) -> Venue:
    asks, bids = _levels(wire.asks, f"{where}.asks", 1), _levels(wire.bids, f"{where}.bids", -1)
    if asks and bids and bids[0][0] >= asks[0][0]:
        raise RequestFault(f"{where}: crossed book, bid {bids[0][0]} ≥ ask {asks[0][0]}")
    fee = number(wire.taker_fee_bps, f"{where}.taker_fee_bps", signed=True)
    if abs(fee) >= MAX_FEE_BPS:
        raise RequestFault(f"{where}.taker_fee_bps: {fee} is not a fee")
    if wire.tick is not None:
        number(wire.tick, f"{where}.tick", positive=True)
    return Venue(
        venue=wire.venue,
        taker_fee_bps=fee,
        lot=number(wire.lot, f"{where}.lot", positive=True),
        min_quantity=number(wire.min_quantity, f"{where}.min_quantity"),
        min_notional=number(wire.min_notional, f"{where}.min_notional"),
        balance=None if wire.balance is None else number(wire.balance, f"{where}.balance"),
        fixed_cost=number(wire.fixed_cost, f"{where}.fixed_cost"),
        asks=asks,
        bids=bids,
    )


def _quote(wire: QuoteJson, where: str) -> Quote:
    quantity = number(wire.quantity, f"{where}.quantity", positive=True)
    minimum = number(wire.min_quantity, f"{where}.min_quantity")
    if minimum > quantity:
        raise RequestFault(f"{where}.min_quantity: {minimum} is above the quantity {quantity}")
    probability = number(wire.reject_probability, f"{where}.reject_probability")
    if probability > 1:
        raise RequestFault(f"{where}.reject_probability: {probability} is above 1")
    return Quote(
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
