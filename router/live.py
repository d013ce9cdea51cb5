"""Splitting over live books by the certified kernel: the order laid out in integers straight from the books' arena.

`LiveSplitter.solve` answers what `router.fast` can certify, and None where the exact search has to decide; `verdict` says
why. Money comes out exact: integer notionals times exact fees.

Two things weigh in the choice and never in money: a venue's expected slippage (ppm of the price, as if its fee were higher)
and a quote's expected rejection (probability × `reject_cost_bps`; rounded up to 10^-8 of its price). A haircut takes a share
off every displayed size of a venue, rounded up to a lot of the scale: what is expected to be gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from enum import IntEnum
from math import ceil, gcd
from struct import Struct
from weakref import WeakKeyDictionary

from pricing.consolidated import FEE_ONE, ConsolidatedBook, VenueTerms
from pricing.scale import EXACT
from router import fast, layout
from router.request import SplitQuote
from router.result import SplitChild, SplitResult

FEE_DECIMALS = 8
ZERO = Decimal(0)
_TIMES = EXACT.multiply
_POWERS = [Decimal(1).scaleb(n) for n in range(64)]
_SHARES = [Decimal(1).scaleb(-n) for n in range(64)]
_TENS = [10**n for n in range(64)]
_NOTHING: dict[str, int] = {}
_BYTES = 8
_HEADER = Struct("=7q")  # W_SIDE … W_TOLERANCE
_ROW = Struct("=5q")  # CHOICE … USED of a venue
_RULES = Struct("=3q")  # LOT … MIN_NOTIONAL of a venue
_QUOTE = Struct("=3q")  # Q_KEY … Q_GROUP of a quote
_TAKEN = Struct("=3q")  # OUT_LOTS … OUT_WORST of a venue
_OUT = Struct("=2q")  # W_SUBSET, W_OPTIMAL
_GAP = Struct("=d")


class Verdict(IntEnum):
    """What became of an order in the kernel, and why it was left to the exact search."""

    CERTIFIED = fast.CERTIFIED
    TOO_LARGE = fast.TOO_LARGE  # numbers that int64 cannot sum
    UNFILLED = fast.UNFILLED  # books and quotes hold less than the order
    UNPLACED = fast.UNPLACED  # no plan near the relaxation: lots, minimums, children
    WIDE = fast.WIDE  # a plan, but its gap is above the tolerance
    FIXED_COST = 5
    PARTIAL_QUOTE = 6
    OFF_GRID = 7  # a number between the steps of the books' scale
    MANY_QUOTES = 8


class _Venue:
    """A venue's terms as integers, the last balance with the caps that came of it, and where its words are (in bytes)."""

    __slots__ = ("balance", "buying", "caps", "fee", "lot", "name", "out", "row", "rules", "terms", "verdict")

    def __init__(self, name: str, index: int) -> None:
        first = int(layout.HEAD) + index * int(layout.VENUE)
        self.name = name
        self.row, self.rules, self.out = (
            _BYTES * (first + int(word)) for word in (layout.CHOICE, layout.LOT, layout.OUT_LOTS)
        )
        self.caps = (layout.MOST, layout.MOST)
        self.terms: VenueTerms | None = None
        self.lot = self.fee = 0
        self.verdict = Verdict.OFF_GRID
        self.balance: Decimal | None = ZERO
        self.buying: bool | None = None


class LiveSplitter:
    """The kernel's arena for orders over one book, with its venues' terms as integers; one thread."""

    def __init__(self, book: ConsolidatedBook) -> None:
        self.scale = book.scale
        self.order = layout.new_order(len(book.venues), book.depth)
        self.verdict = Verdict.CERTIFIED
        self._words = memoryview(self.order).cast("B")  # the same memory, which structs fill faster than indices do
        self._venues = [_Venue(name, index) for index, name in enumerate(book.venues)]
        self._money = book.scale.price_decimals + book.scale.size_decimals
        self._fee_money = self._money + FEE_DECIMALS

    def solve(
        self,
        book: ConsolidatedBook,
        *,
        side: str,
        quantity: Decimal,
        limit_price: Decimal | None = None,
        quotes: Sequence[SplitQuote] = (),
        balances: Mapping[str, Decimal | None] = _NOTHING,  # type: ignore[assignment]
        max_children: int | None = None,
        exclude: frozenset[str] = frozenset(),
        now_ns: int,
        gap_bps: Decimal,
        slippage_ppm: Mapping[str, int] = _NOTHING,
        haircut_ppm: Mapping[str, int] = _NOTHING,
        reject_cost_bps: Decimal = ZERO,
    ) -> SplitResult | None:
        """A certified plan within `gap_bps`, or None and `verdict`."""
        self.verdict = Verdict.OFF_GRID
        buy = side == "buy"
        step = self._lay_venues(book, buy, balances, exclude, now_ns, slippage_ppm, haircut_ppm)
        if step < 0:
            return None
        total = self._floor(quantity, self.scale.size_decimals)
        if not 0 < total < layout.MOST_LOTS:
            return None
        rest = total % step if step else 0
        found = self._lay_quotes(quotes, buy, limit_price, total, step if rest else 1, reject_cost_bps)
        if found is None:
            return None
        limit = 0
        if limit_price is not None:
            limit = self._floor(limit_price, self.scale.price_decimals)
            limit += not buy and _TIMES(limit_price, _POWERS[self.scale.price_decimals]) > limit
            if limit <= 0:
                return None
        most = len(self._venues) + len(found) if max_children is None else max_children
        tolerance = int(gap_bps * 10**8)
        _HEADER.pack_into(self._words, 0, buy, len(self._venues), total - rest, limit, most, len(found), tolerance)
        verdict = fast.certify(book.arena, self.order)
        self.verdict = Verdict(verdict)
        if verdict != fast.CERTIFIED:
            return None
        return self._result(side, quantity, total - rest, found)

    # in

    def _lay_venues(
        self,
        book: ConsolidatedBook,
        buy: bool,
        balances: Mapping[str, Decimal | None],
        exclude: frozenset[str],
        now_ns: int,
        slippage_ppm: Mapping[str, int],
        haircut_ppm: Mapping[str, int],
    ) -> int:
        """Fill the venue rows; the greatest common lot of those that may be used (0: none), -1 when the kernel cannot decide."""
        words, live, step = self._words, book.live_mask(now_ns), 0
        for venue in self._venues:
            name, on = venue.name, live & 1
            live >>= 1
            if not on or name in exclude:
                _ROW.pack_into(words, venue.row, FEE_ONE, layout.PPM, 0, 0, 0)
                continue
            terms = book.terms(name)
            if venue.terms is not terms:
                self._adopt(venue, terms)
            if not venue.lot:
                self.verdict = venue.verdict
                return -1
            step = gcd(step, venue.lot)
            balance = balances.get(name)
            if buy is not venue.buying or balance != venue.balance:
                self._cap(venue, buy, balance)
            loading = venue.fee + 100 * slippage_ppm[name] if name in slippage_ppm else venue.fee
            choice = FEE_ONE + loading if buy else FEE_ONE - loading
            haircut = haircut_ppm.get(name, 0)
            if not 0 < choice <= layout.MOST_FACTOR or not 0 <= haircut <= layout.PPM:
                self.verdict = Verdict.TOO_LARGE
                return -1
            _ROW.pack_into(words, venue.row, choice, layout.PPM - haircut, *venue.caps, 1)
        return step

    def _adopt(self, venue: _Venue, terms: VenueTerms) -> None:
        """A venue's terms as integers, once."""
        scale = self.scale
        lot = self._exactly(terms.lot, scale.size_decimals)
        fee = self._exactly(terms.taker_fee_bps, 4)
        least = self._ceiling(terms.min_quantity, scale.size_decimals)
        notional = self._ceiling(terms.min_notional, self._money)
        venue.terms, venue.lot, venue.buying = terms, 0, None
        venue.verdict = Verdict.FIXED_COST if terms.fixed_cost else Verdict.OFF_GRID
        if terms.fixed_cost or lot is None or fee is None:
            return
        if 0 < lot < layout.MOST_LOTS and least < layout.MOST_LOTS and notional < layout.MOST:
            venue.lot, venue.fee = lot, fee
            _RULES.pack_into(self._words, venue.rules, lot, least, notional)

    def _cap(self, venue: _Venue, buy: bool, balance: Decimal | None) -> None:
        """What a balance allows: quote currency for a buy, with the fee; base for a sell."""
        lots = notional = layout.MOST
        if balance is not None and buy:
            factor = FEE_ONE + venue.fee
            notional = max(0, min(self._floor(balance, self._fee_money) // factor, layout.MOST))
        elif balance is not None:
            lots = max(0, min(self._floor(balance, self.scale.size_decimals), layout.MOST))
        venue.balance, venue.buying, venue.caps = balance, buy, (lots, notional)

    def _lay_quotes(
        self,
        quotes: Sequence[SplitQuote],
        buy: bool,
        limit_price: Decimal | None,
        total: int,
        step: int,
        reject_cost_bps: Decimal,
    ) -> list[tuple[SplitQuote, int, int]] | None:
        """Fill the quote rows with those that can be used at all: each with its price in 10^-8 of the books' tick and its lots.
        None when the kernel cannot decide about one."""
        words, power = self._words, _POWERS[self.scale.price_decimals + FEE_DECIMALS]
        sizes = _POWERS[self.scale.size_decimals]
        groups: dict[str, int] = {}
        found: list[tuple[SplitQuote, int, int]] = []
        row = _BYTES * int(layout.QUOTES)
        for quote in quotes:
            if not quote.all_or_none or quote.fixed_cost:
                self.verdict = Verdict.PARTIAL_QUOTE if not quote.all_or_none else Verdict.FIXED_COST
                return None
            exact_size, exact_key = _TIMES(quote.quantity, sizes), _TIMES(quote.price, power)
            size, key = int(exact_size), int(exact_key)
            if size != exact_size or key != exact_key or size % step:
                return None
            if size > total or (limit_price is not None and _beyond(quote.price, limit_price, buy)):
                continue
            if len(found) == layout.MAX_QUOTES:
                self.verdict = Verdict.MANY_QUOTES
                return None
            slope = key if buy else -key
            if reject_cost_bps and quote.reject_probability:
                loading = _TIMES(_TIMES(reject_cost_bps, quote.reject_probability), _POWERS[4])
                slope -= -key * int(loading.to_integral_value(ROUND_CEILING)) // FEE_ONE  # rounded up
            if not -layout.MOST < slope < layout.MOST:
                self.verdict = Verdict.TOO_LARGE
                return None
            _QUOTE.pack_into(words, row, slope, size, groups.setdefault(quote.lp, len(groups)))
            row += _BYTES * int(layout.QUOTE)
            found.append((quote, key, size))
        return found

    @staticmethod
    def _floor(value: Decimal, decimals: int) -> int:
        """`value` × 10^decimals, rounded towards zero."""
        return int(_TIMES(value, _POWERS[decimals]))

    @staticmethod
    def _ceiling(value: Decimal, decimals: int) -> int:
        scaled = _TIMES(value, _POWERS[decimals])
        whole = int(scaled)
        return whole + 1 if scaled > whole else whole

    @staticmethod
    def _exactly(value: Decimal, decimals: int) -> int | None:
        """`value` × 10^decimals; None when that is not whole."""
        scaled = _TIMES(value, _POWERS[decimals])
        whole = int(scaled)
        return whole if whole == scaled else None

    # out

    def _result(
        self, side: str, quantity: Decimal, filled: int, quotes: list[tuple[SplitQuote, int, int]]
    ) -> SplitResult:
        words, buy = self._words, side == "buy"
        sizes, prices = self.scale.size_decimals, _SHARES[self.scale.price_decimals]
        children, cost = [], 0
        for venue in self._venues:
            lots, notional, worst = _TAKEN.unpack_from(words, venue.out)
            if lots:
                cost += notional * (FEE_ONE + venue.fee) if buy else notional * (venue.fee - FEE_ONE)
                limit = _TIMES(Decimal(worst), prices)
                children.append(SplitChild(venue=venue.name, limit_price=limit, quantity=_plain(lots, sizes)))
        subset, optimal = _OUT.unpack_from(words, _BYTES * int(layout.W_SUBSET))
        for j, (quote, key, size) in enumerate(quotes):
            if subset >> j & 1:
                cost += key * size if buy else -key * size
                children.append(
                    SplitChild(
                        lp=quote.lp, quote_id=quote.quote_id, limit_price=quote.price, quantity=_plain(size, sizes)
                    )
                )
        gap, bound = ZERO, cost
        if not optimal:
            bound = cost - ceil(_GAP.unpack_from(words, _BYTES * int(layout.F_GAP))[0])
            gap = (Decimal(cost - bound) * 10_000 / abs(cost)).quantize(Decimal("1e-9"), ROUND_CEILING)
        money = _plain(cost, self._fee_money)
        taken = _plain(filled, sizes)
        return SplitResult(
            side=side,
            filled=taken,
            unfilled=ZERO if taken == quantity else _trimmed(EXACT.subtract(quantity, taken)),
            cost=money,
            bound=money if optimal else _plain(bound, self._fee_money),
            gap_bps=gap,
            optimal=bool(optimal),
            children=children,
            nodes=0,
        )


def _beyond(price: Decimal, limit: Decimal, buy: bool) -> bool:
    return price > limit if buy else price < limit


def _plain(units: int, decimals: int) -> Decimal:
    """units × 10^-decimals without trailing zeros and without an exponent."""
    whole, part = divmod(units, _TENS[decimals])
    if not part:
        return Decimal(whole)
    return EXACT.normalize(_TIMES(Decimal(units), _SHARES[decimals]))


def _trimmed(value: Decimal) -> Decimal:
    _, _, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    return _plain(int(value.scaleb(-exponent)), -exponent) if exponent < 0 else value


_SPLITTERS: WeakKeyDictionary[ConsolidatedBook, LiveSplitter] = WeakKeyDictionary()


def splitter(book: ConsolidatedBook) -> LiveSplitter:
    """The splitter of a book, made when it is first asked for."""
    found = _SPLITTERS.get(book)
    if found is None:
        found = _SPLITTERS[book] = LiveSplitter(book)
    return found
