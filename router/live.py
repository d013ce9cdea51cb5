"""Splitting over live books by the certified kernel: the order laid out in integers straight from the books' arena.

`LiveSplitter.solve` answers what `router.fast` can certify, and None where the exact search has to decide: fixed costs,
quotes with one or that may be taken in part, numbers off the books' grid or too large for it, more than
`fast.MAX_QUOTES` quotes, or an order that cannot be filled whole. Money comes out exact: integer notionals times exact
fees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from math import ceil, gcd
from weakref import WeakKeyDictionary

from pricing.consolidated import FEE_ONE, ConsolidatedBook, VenueTerms
from pricing.scale import EXACT
from router import fast
from router.request import SplitQuote
from router.result import SplitChild, SplitResult

FEE_DECIMALS = 8
MAX_LOTS = 1 << 60


class LiveSplitter:
    """The work arrays of one book, with its venues' terms as integers; one thread."""

    def __init__(self, book: ConsolidatedBook) -> None:
        self.scale = book.scale
        self.work, self.sums = fast.new_work(len(book.venues), book.depth)
        self._words = memoryview(self.work)  # the same memory; single words are read and written faster this way
        self._terms: dict[str, VenueTerms] = {}
        self._lots: dict[str, int] = {}  # 0: this venue is beyond the kernel
        self._fees: list[int] = [0] * len(book.venues)
        self._money = book.scale.price_decimals + book.scale.size_decimals

    def solve(
        self,
        book: ConsolidatedBook,
        *,
        side: str,
        quantity: Decimal,
        limit_price: Decimal | None,
        quotes: Sequence[SplitQuote],
        balances: Mapping[str, Decimal | None],
        max_children: int | None,
        exclude: frozenset[str],
        now_ns: int,
        gap_bps: Decimal,
    ) -> SplitResult | None:
        """A certified plan within `gap_bps`, or None."""
        work, scale = self._words, self.scale
        sign = 1 if side == "buy" else -1
        step = self._venues(book, sign, balances, exclude, now_ns)
        total = self._integer(quantity, scale.size_decimals, down=True)
        if not step or total is None or not step <= total < MAX_LOTS:
            return None
        rest = total % step
        found = self._quotes(quotes, sign, limit_price, total, step if rest else 1)
        if found is None:
            return None
        limit = 0
        if limit_price is not None:
            ticks = self._integer(limit_price, scale.price_decimals, down=sign > 0)
            if ticks is None or ticks <= 0:
                return None
            limit = ticks
        venues = len(book.venues)
        work[fast.W_SIDE] = 1 if sign > 0 else 0
        work[fast.W_VENUES] = venues
        work[fast.W_TOTAL] = total - rest
        work[fast.W_LIMIT] = limit
        work[fast.W_CHILDREN] = venues + len(found) if max_children is None else max_children
        work[fast.W_QUOTES] = len(found)
        self.sums[fast.F_TOLERANCE] = float(gap_bps) * 1e-4
        if fast.certify(book.arena, self.work, self.sums) != fast.CERTIFIED:
            return None
        return self._result(book, sign, side, quantity, total - rest, found)

    # in

    def _venues(
        self,
        book: ConsolidatedBook,
        sign: int,
        balances: Mapping[str, Decimal | None],
        exclude: frozenset[str],
        now_ns: int,
    ) -> int:
        """Fill the venue rows; the greatest common lot of those that may be used, 0 when the kernel cannot decide."""
        work, live, step = self._words, book.live_mask(now_ns), 0
        for index, venue in enumerate(book.venues):
            row = fast.HEAD + index * fast.VENUE
            work[row + fast.USED] = 0
            if not live >> index & 1 or venue in exclude:
                continue
            terms = book.terms(venue)
            if self._terms.get(venue) is not terms:
                self._adopt(index, venue, terms)
            lot = self._lots[venue]
            if not lot:
                return 0
            step = gcd(step, lot)
            factor = FEE_ONE + sign * self._fees[index]
            lots, notional = fast.MOST, fast.MOST
            balance = balances.get(venue)
            if balance is not None and sign > 0:
                notional = min(self._whole(balance, self._money + FEE_DECIMALS) // factor, fast.MOST)
            elif balance is not None:
                lots = min(self._whole(balance, self.scale.size_decimals), fast.MOST)
            work[row + fast.CAP_LOTS] = max(lots, 0)
            work[row + fast.CAP_NOTIONAL] = max(notional, 0)
            work[row + fast.FACTOR] = factor
            work[row + fast.USED] = 1
        return step

    def _adopt(self, index: int, venue: str, terms: VenueTerms) -> None:
        """A venue's terms as integers, once."""
        row, scale = fast.HEAD + index * fast.VENUE, self.scale
        lot = self._integer(terms.lot, scale.size_decimals)
        fee = self._integer(terms.taker_fee_bps, 4)
        least = self._whole(terms.min_quantity, scale.size_decimals, up=True)
        notional = self._whole(terms.min_notional, self._money, up=True)
        fits = lot is not None and fee is not None and 0 < lot < MAX_LOTS and least < MAX_LOTS and notional < fast.MOST
        self._terms[venue] = terms
        self._lots[venue] = 0
        if fits and not terms.fixed_cost:
            assert lot is not None and fee is not None
            self._lots[venue], self._fees[index] = lot, fee
            self._words[row + fast.LOT] = lot
            self._words[row + fast.MIN_LOTS] = least
            self._words[row + fast.MIN_NOTIONAL] = notional

    def _quotes(
        self, quotes: Sequence[SplitQuote], sign: int, limit_price: Decimal | None, total: int, step: int
    ) -> list[SplitQuote] | None:
        """Fill the quote rows with those that can be used at all; None when the kernel cannot decide about one."""
        work, scale = self._words, self.scale
        groups: dict[str, int] = {}
        found: list[SplitQuote] = []
        for quote in quotes:
            if not quote.all_or_none or quote.fixed_cost:
                return None
            size = self._integer(quote.quantity, scale.size_decimals)
            key = self._integer(quote.price, scale.price_decimals + FEE_DECIMALS)
            if size is None or key is None or key >= fast.MOST or size % step:
                return None
            if size > total or (limit_price is not None and sign * quote.price > sign * limit_price):
                continue
            if len(found) == fast.MAX_QUOTES:
                return None
            row = fast.QUOTES + len(found) * fast.QUOTE
            work[row + fast.Q_KEY] = sign * key
            work[row + fast.Q_SIZE] = size
            work[row + fast.Q_GROUP] = groups.setdefault(quote.lp, len(groups))
            found.append(quote)
        return found

    @staticmethod
    def _whole(value: Decimal, decimals: int, *, up: bool = False) -> int:
        scaled = EXACT.scaleb(value, decimals)
        whole = int(scaled)
        return whole + 1 if up and scaled > whole else whole

    @staticmethod
    def _integer(value: Decimal, decimals: int, *, down: bool | None = None) -> int | None:
        """`value` × 10^decimals; None when that is not whole (`down` False: rounded up, True: down instead)."""
        scaled = EXACT.scaleb(value, decimals)
        whole = int(scaled)
        if whole == scaled:
            return whole
        return None if down is None else whole + (not down)

    # out

    def _result(
        self, book: ConsolidatedBook, sign: int, side: str, quantity: Decimal, filled: int, quotes: list[SplitQuote]
    ) -> SplitResult:
        work, scale = self._words, self.scale
        venues = book.venues
        first = fast.HEAD
        rows = work[first : first + len(venues) * fast.VENUE].tolist()
        children, cost = [], 0
        for index, venue in enumerate(venues):
            row = index * fast.VENUE
            lots = rows[row + fast.OUT_LOTS]
            if not lots:
                continue
            cost += sign * rows[row + fast.OUT_NOTIONAL] * rows[row + fast.FACTOR]
            limit = scale.price(rows[row + fast.OUT_WORST])
            children.append(SplitChild(venue=venue, limit_price=limit, quantity=_plain(lots, scale.size_decimals)))
        subset = int(work[fast.W_SUBSET])
        for j, quote in enumerate(quotes):
            if subset >> j & 1:
                row = fast.QUOTES + j * fast.QUOTE
                cost += int(work[row + fast.Q_KEY]) * int(work[row + fast.Q_SIZE])
                children.append(
                    SplitChild(
                        lp=quote.lp,
                        quote_id=quote.quote_id,
                        limit_price=quote.price,
                        quantity=_plain(int(work[row + fast.Q_SIZE]), scale.size_decimals),
                    )
                )
        optimal = bool(work[fast.W_OPTIMAL])
        bound = cost if optimal else cost - ceil(float(self.sums[fast.F_GAP]))
        gap = Decimal(0)
        if not optimal:
            gap = (Decimal(cost - bound) * 10_000 / abs(cost)).quantize(Decimal("1e-9"), ROUND_CEILING)
        decimals = self._money + FEE_DECIMALS
        taken = _plain(filled, scale.size_decimals)
        return SplitResult(
            side=side,
            filled=taken,
            unfilled=_trimmed(EXACT.subtract(quantity, taken)),
            cost=_plain(cost, decimals),
            bound=_plain(bound, decimals),
            gap_bps=gap,
            optimal=optimal,
            children=children,
            nodes=0,
        )


def _plain(units: int, decimals: int) -> Decimal:
    """units × 10^-decimals without trailing zeros and without an exponent."""
    while decimals >= 4 and not units % 10_000:
        units, decimals = units // 10_000, decimals - 4
        if not units:
            return Decimal(0)
    while decimals and not units % 10:
        units, decimals = units // 10, decimals - 1
    return EXACT.scaleb(Decimal(units), -decimals)


def _trimmed(value: Decimal) -> Decimal:
    if not value:
        return Decimal(0)
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
