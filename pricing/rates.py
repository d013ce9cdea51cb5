"""Rates between currencies, each with its source: which books, which side, how old. No rate, no price.

USD, USDT and USDC are three currencies. One is worth some of another only by a book that trades them, never by name. A
rate over several books (at most `max_legs`) takes the way that costs least: for `SELL` and `BUY` the best all-in tops
(fees included) multiplied, for `FAIR` the way with the least half-spreads and fees, because its middle is the best known.
Only live venue books count, not synthetic ones (they are made of these), and none older than `max_age_ns`.

A peg says how far a book may be from one before nothing is priced through its currencies any more: a stablecoin that
loses its peg, or whose peg nobody can see, stops quoting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from pricing.scale import EXACT

if TYPE_CHECKING:
    from pricing.consolidated import ConsolidatedBook

_ONE = Decimal(1)
_BPS = Decimal("0.0001")
_DIGITS = Decimal("1e-12")  # of a rate that a division does not end
MAX_LEGS = 3


class RateSide(StrEnum):
    """What the rate is for."""

    FAIR = "fair"  # a mark: what it is worth
    SELL = "sell"  # what one unit brings, fees paid
    BUY = "buy"  # what one unit costs, fees paid


class NoRateReason(StrEnum):
    """Why there is no rate."""

    NO_WAY = "no_way"  # no live book joins the currencies
    TOO_OLD = "too_old"  # books join them, but what they say is older than allowed
    DEPEG = "depeg"  # a currency on the way has lost its peg, or its peg cannot be seen


class RateLeg(msgspec.Struct, frozen=True, kw_only=True):
    """One book on the way. `value`: what one unit of the currency before becomes; `venue` "" = several (a fair value)."""

    symbol: str
    venue: str
    side: str  # "bid" or "ask" that was taken, "fair" for a fair value
    value: Decimal
    age_ns: int


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """One unit of `base` is `value` units of `quote`; `legs` say why. `loss_bps`: half-spreads and fees of the way."""

    base: str
    quote: str
    side: RateSide
    value: Decimal
    legs: tuple[RateLeg, ...]
    loss_bps: Decimal
    at_ns: int

    @property
    def source(self) -> str:
        """The books in words: `EUR/USDT (KRAKEN, ask, 120 ms)`."""
        if not self.legs:
            return "the same currency"
        return ", ".join(
            f"{leg.symbol} ({f'{leg.venue}, ' if leg.venue else ''}{leg.side}, {leg.age_ns // 1_000_000} ms)"
            for leg in self.legs
        )


class NoRate(msgspec.Struct, frozen=True):
    """A refusal: a code for programs, a sentence for people."""

    reason: NoRateReason
    message: str


class _Edge(msgspec.Struct, frozen=True):
    """From one currency to the next through one book."""

    to: str
    leg: RateLeg
    loss_bps: Decimal


class Rates:
    """Rates over `books` (by symbol). `pegs`: symbol → the most its fair value may be from one, in bps."""

    def __init__(
        self,
        books: Mapping[str, ConsolidatedBook],
        *,
        max_age_ns: int = 5_000_000_000,
        max_legs: int = MAX_LEGS,
        pegs: Mapping[str, Decimal] | None = None,
    ) -> None:
        self._books = dict(books)
        self._max_age_ns = max_age_ns
        self._max_legs = max_legs
        self._pegs = dict(pegs or {})
        self._forked = _forked(self._books)
        self._currencies = sorted({currency for symbol in self._books for currency in symbol.split("/")})
        for symbol in self._pegs:
            if symbol not in self._books:
                raise ValueError(f"pegs: there is no book of {symbol}")

    @property
    def currencies(self) -> list[str]:
        """Every currency there is a book of."""
        return list(self._currencies)

    def rate(self, base: str, quote: str, side: RateSide, now_ns: int) -> Rate | NoRate:
        """How many `quote` one `base` is, brings or costs, by the cheapest way."""
        if base == quote:
            return Rate(base=base, quote=quote, side=side, value=_ONE, legs=(), loss_bps=Decimal(0), at_ns=now_ns)
        edges = self._edges(side, now_ns)
        best: tuple[Decimal, int, Rate] | None = None
        for way in _ways(edges, base, quote, self._max_legs):
            value, loss = _ONE, Decimal(0)
            for edge in way:
                value *= edge.leg.value
                loss += edge.loss_bps
            rank = {RateSide.FAIR: loss, RateSide.SELL: -value, RateSide.BUY: value}[side]
            if best is None or (rank, len(way)) < best[:2]:
                legs = tuple(edge.leg for edge in way)
                value = value.quantize(_DIGITS, ROUND_HALF_EVEN) if len(way) > 1 else value
                found = Rate(base=base, quote=quote, side=side, value=value, legs=legs, loss_bps=loss, at_ns=now_ns)
                best = (rank, len(way), found)
        if best is None:
            return self._why_not(base, quote, now_ns)
        return self.broken_peg(_currencies(best[2]), now_ns) or best[2]

    def broken_peg(self, currencies: Iterable[str], now_ns: int) -> NoRate | None:
        """The refusal when one of the currencies is off its peg (or the peg cannot be seen); None while all hold."""
        wanted = set(currencies)
        for symbol, limit_bps in self._pegs.items():
            if wanted.isdisjoint(symbol.split("/")):
                continue
            fair = self._books[symbol].fair(now_ns)
            if fair is None:
                return NoRate(NoRateReason.DEPEG, f"no live book of {symbol}: its peg cannot be seen")
            off = abs(fair - 1) / _BPS
            if off > limit_bps:
                return NoRate(
                    NoRateReason.DEPEG, f"{symbol} at {fair:f} is {off:.1f} bps off its peg, over {limit_bps:f}"
                )
        return None

    def marks(self, quote: str, now_ns: int) -> dict[str, Decimal]:
        """What one unit of each currency is worth in `quote`, where that is known. Marks ignore pegs: a loss is a loss."""
        edges = self._edges(RateSide.FAIR, now_ns, weighed=self._forked)
        found = {quote: _ONE}
        for currency in self._currencies:
            ways = [
                (sum((edge.loss_bps for edge in way), Decimal(0)), len(way), way)
                for way in _ways(edges, currency, quote, self._max_legs)
            ]
            if ways and currency != quote:
                value = _ONE
                for edge in min(ways, key=lambda way: way[:2])[2]:
                    value *= edge.leg.value
                found[currency] = value
        return found

    def _edges(self, side: RateSide, now_ns: int, *, weighed: bool = True) -> dict[str, list[_Edge]]:
        """What each currency becomes by one book. Fair values not `weighed` cost nothing: where there is one way at most,
        nobody asks what it costs."""
        edges: dict[str, list[_Edge]] = {}
        for symbol, book in self._books.items():
            base, quote = symbol.split("/")
            ages = {
                venue: age for venue in book.live(now_ns) if (age := book.age_ns(venue, now_ns)) <= self._max_age_ns
            }
            if not ages:
                continue
            loss = Decimal(0)
            if weighed:
                tops = _tops(book, ages)
                if not tops:
                    continue
                sold, bought = max(tops, key=lambda top: top.net_bid), min(tops, key=lambda top: top.all_in_ask)
                loss = (bought.all_in_ask - sold.net_bid) / (bought.all_in_ask + sold.net_bid) / _BPS
            if side is RateSide.FAIR:
                fair = book.fair(now_ns)
                if fair is None or fair <= 0:
                    continue
                age = min(ages.values())
                there = RateLeg(symbol=symbol, venue="", side="fair", value=fair, age_ns=age)
                back = RateLeg(symbol=symbol, venue="", side="fair", value=_ONE / fair, age_ns=age)
            else:
                # To sell the base is to hit bids; to buy a base with a quote is to lift asks. A rate for BUY is read
                # the other way round: what one unit costs.
                selling = side is RateSide.SELL
                out, into = (sold, bought) if selling else (bought, sold)
                out_value = sold.net_bid if selling else bought.all_in_ask
                into_value = _ONE / (bought.all_in_ask if selling else sold.net_bid)
                there = _leg(symbol, out, "bid" if selling else "ask", out_value)
                back = _leg(symbol, into, "ask" if selling else "bid", into_value)
            edges.setdefault(base, []).append(_Edge(quote, there, loss))
            edges.setdefault(quote, []).append(_Edge(base, back, loss))
        return edges

    def _why_not(self, base: str, quote: str, now_ns: int) -> NoRate:
        stale = [
            symbol
            for symbol, book in self._books.items()
            if (live := book.live(now_ns)) and all(book.age_ns(venue, now_ns) > self._max_age_ns for venue in live)
        ]
        if stale:
            return NoRate(
                NoRateReason.TOO_OLD, f"no rate {base}/{quote}: {', '.join(sorted(stale))} said nothing lately"
            )
        return NoRate(NoRateReason.NO_WAY, f"no rate {base}/{quote}: no live books join them in {self._max_legs} steps")


class _Top(msgspec.Struct, frozen=True):
    venue: str
    net_bid: Decimal
    all_in_ask: Decimal
    age_ns: int


def _tops(book: ConsolidatedBook, ages: Mapping[str, int]) -> list[_Top]:
    """Best bid and ask of these live venues, fees taken."""
    found = []
    for venue, age_ns in ages.items():
        best, fee = book.best(venue), book.terms(venue).taker_fee_bps * _BPS
        if best is not None:
            bid, ask = EXACT.multiply(best[0], 1 - fee), EXACT.multiply(best[1], 1 + fee)
            found.append(_Top(venue, bid, ask, age_ns))
    return found


def _forked(symbols: Iterable[str]) -> bool:
    """Whether some currency can be reached from another in two ways: a cycle among the books."""
    group: dict[str, str] = {}  # currency -> one that is nearer to the name of its group

    def name(currency: str) -> str:
        while (nearer := group.setdefault(currency, currency)) != currency:
            currency = nearer
        return currency

    for symbol in symbols:
        one, other = (name(currency) for currency in symbol.split("/"))
        if one == other:
            return True
        group[one] = other
    return False


def _leg(symbol: str, top: _Top, side: str, value: Decimal) -> RateLeg:
    return RateLeg(symbol=symbol, venue=top.venue, side=side, value=value, age_ns=top.age_ns)


def _ways(edges: Mapping[str, list[_Edge]], base: str, quote: str, legs: int) -> Iterable[list[_Edge]]:
    """Every way without a currency twice, of at most `legs` steps."""
    stack: list[tuple[str, list[_Edge]]] = [(base, [])]
    while stack:
        at, way = stack.pop()
        if at == quote:
            yield way
            continue
        if len(way) == legs:
            continue
        passed = {base, *(edge.to for edge in way)}
        stack += [(edge.to, [*way, edge]) for edge in edges.get(at, ()) if edge.to not in passed]


def _currencies(rate: Rate) -> set[str]:
    return {rate.base, rate.quote, *(currency for leg in rate.legs for currency in leg.symbol.split("/"))}
