"""The offline request of `kerb route`, and its answer: exact decimals in, every fault named in one line.

    {"side":"buy","quantity":"20","base":"BTC","terms":"EUR","horizon_s":3600,"leg_latency_ms":250,"leg_risk_multiplier":"0.4",
     "books":[{"symbol":"BTC/EUR","volatility_per_sqrt_s":"0.00002","venues":[…as in a routing request…]},…],
     "perpetuals":[{"symbol":"BTC/EUR:EUR","venues":[…],"funding_rate":"0.0001","funding_interval_s":28800,"next_funding_s":600,
                    "mean_basis_bps":"-3.9","basis_halflife_s":"1800","executable":false}],
     "pegs":{"USDC/USDT":"30"}}

Only books with both sides are used for fair values; a book with one side is refused. A book's fair value is the median mid
of its venues. `pegs`: further than so many bps from one, nothing is routed through the coins of that book.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec

from pricing.offers import RequestFault, Venue, VenueJson, decode, number, venues
from router.routes.book import RouteBook, fair_of
from router.routes.choice import Alternative, RouteChoice, RouteRequest
from router.routes.perpetual import Perpetual

SPOT = re.compile(r"[A-Z0-9]{1,12}/[A-Z0-9]{1,12}\Z")
PERPETUAL = re.compile(r"[A-Z0-9]{1,12}/([A-Z0-9]{1,12}):\1\Z")
CURRENCY = re.compile(r"[A-Z0-9]{1,12}\Z")
MAX_BOOKS = 24
YEAR_S = 31_536_000
BPS = Decimal("0.0001")


class RouteInput(msgspec.Struct, frozen=True, kw_only=True):
    """A checked request; `refused`: books that a broken peg keeps out, with the reason."""

    request: RouteRequest
    books: dict[str, RouteBook]
    perpetuals: tuple[Perpetual, ...]
    refused: tuple[str, ...] = ()


class _BookJson(msgspec.Struct, forbid_unknown_fields=True):
    symbol: str
    venues: list[VenueJson]
    volatility_per_sqrt_s: str = "0"


class _PerpetualJson(msgspec.Struct, forbid_unknown_fields=True):
    symbol: str
    venues: list[VenueJson]
    funding_rate: str
    funding_interval_s: int = 28_800
    next_funding_s: int | None = None
    mean_basis_bps: str | None = None
    basis_halflife_s: str | None = None
    executable: bool = False


class _RouteJson(msgspec.Struct, forbid_unknown_fields=True):
    side: str
    quantity: str
    base: str
    terms: str
    books: list[_BookJson]
    perpetuals: list[_PerpetualJson] = []
    horizon_s: int = 3600
    leg_latency_ms: int = 250
    leg_risk_multiplier: str = "0.4"
    max_children: int | None = None
    pegs: dict[str, str] = {}


def parse(text: bytes | str) -> RouteInput:
    """Decode and check a request; raises `RequestFault`."""
    wire = decode(text, _RouteJson, "a route request")
    if wire.side not in ("buy", "sell"):
        raise RequestFault(f"side: {wire.side!r} is neither buy nor sell")
    for name in ("base", "terms"):
        if not CURRENCY.match(getattr(wire, name)):
            raise RequestFault(f"{name}: {getattr(wire, name)[:40]!r} is no currency such as BTC")
    if wire.base == wire.terms:
        raise RequestFault(f"terms: {wire.terms} is the base as well")
    if not wire.books or len(wire.books) > MAX_BOOKS or len(wire.perpetuals) > MAX_BOOKS:
        raise RequestFault(f"books: between 1 and {MAX_BOOKS}, please")
    if not 0 <= wire.horizon_s <= YEAR_S or not 0 <= wire.leg_latency_ms <= 60_000:
        raise RequestFault("horizon_s or leg_latency_ms is out of range")
    if wire.max_children is not None and wire.max_children < 1:
        raise RequestFault(f"max_children: {wire.max_children} is less than 1")
    books: dict[str, RouteBook] = {}
    for i, item in enumerate(wire.books):
        book = _book(item, f"books[{i}]")
        if book.symbol in books:
            raise RequestFault(f"books: {book.symbol} is there twice")
        books[book.symbol] = book
    kept, refused = _pegged(books, wire.pegs)
    return RouteInput(
        request=RouteRequest(
            base=wire.base,
            terms=wire.terms,
            side=wire.side,
            quantity=number(wire.quantity, "quantity", positive=True),
            max_children=wire.max_children,
            leg_risk_multiplier=float(number(wire.leg_risk_multiplier, "leg_risk_multiplier")),
            leg_latency_s=wire.leg_latency_ms / 1000,
            horizon_s=wire.horizon_s,
        ),
        books=kept,
        perpetuals=tuple(_perpetual(item, f"perpetuals[{i}]") for i, item in enumerate(wire.perpetuals)),
        refused=refused,
    )


def answer(choice: RouteChoice, refused: tuple[str, ...] = ()) -> str:
    """The answer as one line of JSON; decimals as plain strings."""
    tree: dict[str, Any] = {
        "side": choice.side,
        "quantity": f"{choice.quantity:f}",
        "base": choice.base,
        "terms": choice.terms,
        "fair": None if choice.fair is None else _plain(choice.fair),
        "reason": choice.reason,
        "chosen": None if choice.chosen is None else _alternative(choice.chosen),
        "alternatives": [_alternative(item) for item in choice.alternatives],
        "refused": list(refused),
    }
    return msgspec.json.encode(tree).decode()


def narrate(choice: RouteChoice, refused: tuple[str, ...] = ()) -> list[str]:
    """The table of `--explain`: every alternative with its parts in bps, the chosen one marked."""
    fair = "none" if choice.fair is None else f"{_plain(choice.fair)} {choice.terms}"
    lines = [f"{choice.side} {choice.quantity:f} {choice.base} against {choice.terms}; fair value {fair}", ""]
    heads = ("sweep", "fees", "basis", "funding", "close", "leg_risk", "total")
    lines.append(f"  {'bps of fair':34}" + "".join(f"{head:>10}" for head in heads))
    for item in choice.alternatives:
        mark = "→" if item is choice.chosen else " "
        label = f"{item.kind} {item.name}"
        if item.price is None:
            lines.append(f"{mark} {label:34} {item.refused}")
            continue
        parts = "".join(f"{getattr(item.cost, head):>10.3f}" for head in heads)
        lines.append(f"{mark} {label:34}{parts}" + (f"  ({item.refused})" if item.refused else ""))
        lines += [f"      {leg.side} {leg.quantity.normalize():f} {leg.symbol}" for leg in item.legs]
    lines += ["", choice.reason, *refused]
    return lines


def _alternative(item: Alternative) -> dict[str, Any]:
    cost = {name: _plain(getattr(item.cost, name)) for name in item.cost.__struct_fields__}
    return {
        "kind": item.kind.value,
        "name": item.name,
        "price": None if item.price is None else _plain(item.price),
        "cost_bps": None if item.price is None else {**cost, "total": _plain(item.cost.total)},
        "legs": [
            {
                "symbol": leg.symbol,
                "side": leg.side,
                "quantity": _plain(leg.quantity),
                "children": [
                    {"venue": c.venue, "limit_price": f"{c.limit_price:f}", "quantity": f"{c.quantity:f}"}
                    for c in leg.children
                ],
            }
            for leg in item.legs
        ],
        "refused": item.refused,
    }


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _two_sided(wires: list[VenueJson], where: str) -> tuple[tuple[Venue, ...], Decimal]:
    found = venues(wires)
    fair = fair_of(found)
    if fair is None or any(not (venue.asks and venue.bids) for venue in found):
        raise RequestFault(f"{where}.venues: every venue needs bids and asks")
    return found, fair


def _book(wire: _BookJson, where: str) -> RouteBook:
    if not SPOT.match(wire.symbol) or len(set(wire.symbol.split("/"))) == 1:
        raise RequestFault(f"{where}.symbol: {wire.symbol[:40]!r} is not a spot symbol such as BTC/USDT")
    found, fair = _two_sided(wire.venues, where)
    sigma = number(wire.volatility_per_sqrt_s, f"{where}.volatility_per_sqrt_s")
    return RouteBook(symbol=wire.symbol, venues=found, fair=fair, sigma=float(sigma))


def _perpetual(wire: _PerpetualJson, where: str) -> Perpetual:
    if not PERPETUAL.match(wire.symbol):
        raise RequestFault(f"{where}.symbol: {wire.symbol[:40]!r} is not a linear perpetual such as BTC/USDT:USDT")
    if wire.funding_interval_s < 1 or (wire.next_funding_s is not None and wire.next_funding_s < 0):
        raise RequestFault(f"{where}: funding_interval_s or next_funding_s is out of range")
    found, fair = _two_sided(wire.venues, where)
    halflife = wire.basis_halflife_s
    mean = wire.mean_basis_bps
    rate = number(wire.funding_rate, f"{where}.funding_rate", signed=True)
    if abs(rate) >= 1:
        raise RequestFault(f"{where}.funding_rate: {rate} is no funding rate")
    return Perpetual(
        symbol=wire.symbol,
        venues=found,
        fair=fair,
        funding_rate=rate,
        funding_interval_s=wire.funding_interval_s,
        next_funding_s=wire.next_funding_s,
        mean_basis_bps=None if mean is None else number(mean, f"{where}.mean_basis_bps", signed=True),
        basis_halflife_s=None if halflife is None else number(halflife, f"{where}.basis_halflife_s", positive=True),
        executable=wire.executable,
    )


def _pegged(books: dict[str, RouteBook], pegs: dict[str, str]) -> tuple[dict[str, RouteBook], tuple[str, ...]]:
    """The books that may be used, and why others may not: a coin off its peg takes every book of it along."""
    kept, refused = dict(books), []
    for symbol, text in pegs.items():
        limit = number(text, f"pegs.{symbol[:40]}", positive=True)
        peg = books.get(symbol)
        if not SPOT.match(symbol) or peg is None:
            raise RequestFault(f"pegs: there is no book of {symbol[:40]!r}")
        off = abs(peg.fair - 1) / BPS
        if off > limit:
            coins = set(symbol.split("/"))
            gone = sorted(name for name in kept if coins & set(name.split("/")))
            kept = {name: book for name, book in kept.items() if name not in gone}
            refused.append(
                f"{symbol} is {off:.1f} bps off its peg, over {limit:f}: not routed through {', '.join(gone)}"
            )
    return kept, tuple(refused)
