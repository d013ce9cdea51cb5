"""What a route is priced from: the venues' books of one instrument, and the convex cost of taking from them.

`Walk` is a convex cost curve: pieces of rising all-in price. Two of them, one after the other, make the virtual book of
a synthetic route (`compose`), exactly, in fractions: C_syn(Q) = g(C₁(Q)) has the breakpoints of both legs and the
product of their slopes, so at most L₁ + L₂ levels. Only on the way out is it rounded, against us: a price to ten digits
(so that the splitter's integers stay short), a size down to the lot (what a rounding takes away goes on at the next, worse
level). Lots and minimums of the single legs are left to the legs' own plans.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from fractions import Fraction
from operator import itemgetter
from statistics import median

import msgspec

from pricing.consolidated import BookStatus, ConsolidatedBook
from pricing.cross import CrossBook
from pricing.offers import Venue
from pricing.scale import EXACT
from pricing.triangle import Form
from router.exact.request import Book

BPS = Decimal("0.0001")
PRICE_DECIMALS = 18  # of money told to people
PRICE_DIGITS = 10  # of a virtual level's price: it is off by less than 1e-5 bps
DEPTH = 400


class RouteBook(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument as a route sees it: live venues only. `sigma`: per √s, relative. Prices in quote per base."""

    symbol: str
    venues: tuple[Venue, ...]
    fair: Decimal
    sigma: float = 0.0

    @property
    def base(self) -> str:
        """What is bought and sold."""
        return self.symbol.split("/")[0]

    @property
    def quote(self) -> str:
        """What it is paid in."""
        return self.symbol.split("/")[1].split(":")[0]

    @property
    def lot(self) -> Decimal:
        """The finest lot of any venue."""
        return min((venue.lot for venue in self.venues), default=Decimal("0.00000001"))

    def books(self, side: str) -> tuple[Book, ...]:
        """The same for the splitter."""
        return tuple(
            Book(
                venue=venue.venue,
                taker_fee_bps=venue.taker_fee_bps,
                lot=venue.lot,
                min_quantity=venue.min_quantity,
                min_notional=venue.min_notional,
                balance=venue.balance,
                fixed_cost=venue.fixed_cost,
                levels=venue.asks if side == "buy" else venue.bids,
            )
            for venue in self.venues
        )


class Piece(msgspec.Struct, frozen=True):
    """A stretch of one slope: `size` of base at `price`, the fee (a share of price × size) apart. `price` fee excluded."""

    price: Fraction
    fee: Fraction
    size: Fraction


def fair_of(venues: Iterable[Venue]) -> Decimal | None:
    """The median mid of two-sided venues; None without one."""
    mids = [(venue.asks[0][0] + venue.bids[0][0]) / 2 for venue in venues if venue.asks and venue.bids]
    return median(mids) if mids else None


def from_live(book: ConsolidatedBook, *, sigma: float, now_ns: int, depth: int = DEPTH) -> RouteBook | None:
    """The live venues of a desk's book (the synthetic one left out); None when there is none, or no fair value."""
    fair = book.fair(now_ns)
    names = book.direct if isinstance(book, CrossBook) else book.venues
    live = [venue for venue in names if book.status(venue, now_ns) is BookStatus.LIVE]
    if not live or fair is None:
        return None
    venues = []
    for name in live:
        terms = book.terms(name)
        bids, asks = book.levels(name, depth)
        venues.append(
            Venue(
                venue=name,
                taker_fee_bps=terms.taker_fee_bps,
                lot=terms.lot,
                min_quantity=terms.min_quantity,
                min_notional=terms.min_notional,
                balance=None,
                fixed_cost=terms.fixed_cost,
                asks=tuple(asks),
                bids=tuple(bids),
            )
        )
    return RouteBook(symbol=book.symbol, venues=tuple(venues), fair=fair, sigma=sigma)


def walk(
    book: RouteBook,
    side: str,
    load: Decimal = Decimal(0),
    *,
    base: Decimal | None = None,
    money: Fraction | None = None,
) -> list[Piece]:
    """Every level of the book, cheapest all-in first. `load`: what is added to each venue's fee (leg risk). Ends when there is
    as much as `base`, or as moves `money` of quote currency."""
    sign = 1 if side == "buy" else -1
    levels = []
    with localcontext(prec=60):
        for venue in book.venues:
            fee = venue.taker_fee_bps * BPS + load
            factor = sign + fee
            taken = venue.asks if side == "buy" else venue.bids
            levels += [(price * factor, price, fee, size) for price, size in taken]
        levels.sort(key=itemgetter(0))
    pieces: list[Piece] = []
    size_left, money_left = base, money
    for _, price, fee, size in levels:
        piece = Piece(Fraction(price), Fraction(fee), Fraction(size))
        pieces.append(piece)
        if size_left is not None:
            size_left -= size
            if size_left <= 0:
                break
        if money_left is not None:
            money_left -= piece.price * (1 + sign * piece.fee) * piece.size
            if money_left <= 0:
                break
    return pieces


def compose(
    first: Sequence[Piece], second: Sequence[Piece], form: Form, side: str, most: Fraction | None = None
) -> list[tuple[Fraction, Fraction]]:
    """Levels (all-in price in B per A, size in A) of A/B through X, exact. `first` A/X; `second` B/X or X/B, each already
    on the side it is taken from: buying A takes asks of A/X, then bids of B/X (`DIVIDE`) or asks of X/B (`MULTIPLY`).
    Ends when `most` of A is there."""
    sign = 1 if side == "buy" else -1
    sign_2 = -sign if form is Form.DIVIDE else sign
    levels: list[tuple[Fraction, Fraction]] = []
    i = j = 0
    done = Fraction(0)
    left_1 = first[0].size if first else Fraction(0)
    left_2 = second[0].size if second else Fraction(0)
    while i < len(first) and j < len(second):
        per_a = first[i].price * (1 + sign * first[i].fee)  # X for one A
        rate = second[j].price * (1 + sign_2 * second[j].fee)
        # X that one unit of leg 2's base moves, and B that one X costs
        moved, cost = (rate, 1 / rate) if form is Form.DIVIDE else (Fraction(1), rate)
        take = min(left_1, left_2 * moved / per_a)
        if take > 0:
            levels.append((per_a * cost, take))
            done += take
            if most is not None and done >= most:
                break
        left_1 -= take
        left_2 -= take * per_a / moved
        if left_1 == 0:
            i += 1
            left_1 = first[i].size if i < len(first) else left_1
        if left_2 == 0:
            j += 1
            left_2 = second[j].size if j < len(second) else left_2
    return levels


def virtual_book(name: str, levels: Sequence[tuple[Fraction, Fraction]], lot: Decimal, side: str) -> Book:
    """Composed levels as one more venue of the splitter, rounded against us (see the module)."""
    rounding = ROUND_CEILING if side == "buy" else ROUND_FLOOR
    rows: list[tuple[Decimal, Decimal]] = []
    decimals = max(0, PRICE_DIGITS - 1 - Decimal(float(levels[0][0])).adjusted()) if levels else 0
    carry = Fraction(0)
    for price, size in levels:
        carry += size
        lots = carry // Fraction(lot)
        if lots:
            carry -= lots * Fraction(lot)
            rows.append((decimal_of(price, rounding, decimals), EXACT.multiply(Decimal(lots), lot)))
    return Book(
        venue=name,
        taker_fee_bps=Decimal(0),
        lot=lot,
        min_quantity=Decimal(0),
        min_notional=Decimal(0),
        balance=None,
        fixed_cost=Decimal(0),
        levels=tuple(rows),
    )


def decimal_of(value: Fraction, rounding: str, decimals: int = PRICE_DECIMALS) -> Decimal:
    """A fraction as a decimal with so many decimals, rounded that way."""
    scaled = value * 10**decimals
    whole = scaled.numerator // scaled.denominator
    if rounding == ROUND_CEILING and whole != scaled:
        whole += 1
    return EXACT.scaleb(Decimal(whole), Decimal(-decimals))


def spent(pieces: Sequence[Piece], quantity: Fraction) -> tuple[Fraction, Fraction, Fraction]:
    """Take `quantity` of base: (Σ price × size, Σ fee × price × size, what could be taken)."""
    gross = fees = done = Fraction(0)
    for piece in pieces:
        take = min(piece.size, quantity - done)
        if take <= 0:
            break
        gross += piece.price * take
        fees += piece.fee * piece.price * take
        done += take
    return gross, fees, done


def base_for(pieces: Sequence[Piece], amount: Fraction, side: str) -> Fraction:
    """Base that moves `amount` of quote currency, fees included (a buy spends it, a sell brings it); all there is when short."""
    sign = 1 if side == "buy" else -1
    base = Fraction(0)
    for piece in pieces:
        rate = piece.price * (1 + sign * piece.fee)
        if rate * piece.size >= amount:
            return base + amount / rate
        amount -= rate * piece.size
        base += piece.size
    return base
