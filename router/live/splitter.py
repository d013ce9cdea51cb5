"""Splitting over live books in integers alone: the order laid out beside the books' arena, answered by compiled code.

`LiveSplitter.solve` asks `router.live.fast`, which certifies most orders in a microsecond or two; where it cannot (`verdict` says
why) `router.live.prove` searches the same words, and tells the true gap when its nodes end. None is left for the search in
Python's integers: numbers off the books' grid or too large for it. Money comes out exact: integer notionals times fees.

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
from pricing.entry import entry
from pricing.scale import EXACT
from router.exact import arena
from router.exact.request import SplitQuote
from router.exact.result import SplitChild, SplitResult
from router.live import fast, layout, prove

FEE_DECIMALS = 8
ZERO = Decimal(0)
NODE_LIMIT = 2_000  # of the search, which ends sooner by `prove.PATIENT`
_TIMES = EXACT.multiply
_POWERS = [Decimal(1).scaleb(n) for n in range(64)]
_SHARES = [Decimal(1).scaleb(-n) for n in range(64)]
_TENS = [10**n for n in range(64)]
_NOTHING: dict[str, int] = {}
_BYTES = 8
_HEADER = Struct("=7q")  # W_SIDE … W_TOLERANCE
_ROW = Struct("=5q")  # CHOICE … USED of a venue
_RULES = Struct("=3q")  # LOT … MIN_NOTIONAL of a venue
_QUOTE = Struct("=6q")  # Q_KEY … Q_FIXED of a quote
_CHARGE = Struct("=q")  # CHARGE of a venue
_TAKEN = Struct("=3q")  # OUT_LOTS … OUT_WORST of a venue
_OUT = Struct("=2q")  # W_SUBSET, W_OPTIMAL
_GAP = Struct("=d")


class Verdict(IntEnum):
    """What became of an order in the certified kernel, and why it was left to the search."""

    CERTIFIED = fast.CERTIFIED
    TOO_LARGE = fast.TOO_LARGE  # numbers that int64 cannot sum
    UNFILLED = fast.UNFILLED  # books and quotes hold less than the order
    UNPLACED = fast.UNPLACED  # no plan near the relaxation: lots, minimums, children
    WIDE = fast.WIDE  # a plan, but its gap is above the tolerance
    FIXED_COST = 5
    PARTIAL_QUOTE = 6
    MANY_QUOTES = 7
    OFF_GRID = 8  # a number between the steps of the books' scale


_Quote = tuple[SplitQuote, int, int, int, int]  # price in 10^-8 ticks, slope, lots at most, fixed cost


class _Venue:
    """A venue's terms as integers, the last balance with the caps that came of it, and where its words are (in bytes)."""

    __slots__ = (
        "balance", "buying", "caps", "charge", "fee", "first", "floor", "least", "lot", "name", "notional", "out", "row",
        "rules", "terms",
    )  # fmt: skip

    def __init__(self, name: str, index: int) -> None:
        self.first = first = int(layout.HEAD) + index * int(layout.VENUE)
        self.name = name
        self.row, self.rules, self.out = (
            _BYTES * (first + int(word)) for word in (layout.CHOICE, layout.LOT, layout.OUT_LOTS)
        )
        self.caps = (layout.MOST, layout.MOST)
        self.terms: VenueTerms | None = None
        self.lot = self.fee = self.charge = 0  # no lot: off the grid
        self.least = self.notional = self.floor = 0  # the venue's minimums; the order's own of a child's notional
        self.balance: Decimal | None = ZERO
        self.buying: bool | None = None


class LiveSplitter:
    """The kernel's arena for orders over one book, with its venues' terms as integers; one thread."""

    def __init__(self, book: ConsolidatedBook) -> None:
        self.scale = book.scale
        self.order = layout.new_order(len(book.venues), book.depth)
        self._books = book.arena  # kept alive: kernels are given addresses
        self._book_at, self._order_at = book.arena.ctypes.data, self.order.ctypes.data
        self._certify, self._prove = entry(fast.certify, fast.CERTIFY), entry(prove.prove, prove.PROVE)
        self.unit = 1  # divides all money of the last order that was searched
        self.verdict = Verdict.CERTIFIED
        self._words = memoryview(self.order).cast("B")  # the same memory, which structs fill faster than indices do
        self._venues = [_Venue(name, index) for index, name in enumerate(book.venues)]
        self._money = book.scale.price_decimals + book.scale.size_decimals
        self._fee_money = self._money + FEE_DECIMALS
        self._search: arena.Array | None = None
        self._nodes = 0

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
        min_notional: Decimal = ZERO,
        node_limit: int = NODE_LIMIT,
    ) -> SplitResult | None:
        """A plan within `gap_bps`, or with its true gap when `node_limit` ends the search; None: it does not fit the grid."""
        self.verdict = Verdict.CERTIFIED
        buy = side == "buy"
        floor = self._ceiling(min_notional, self._money) if min_notional else 0
        step = self._lay_venues(
            book, buy, balances, exclude, now_ns, slippage_ppm, haircut_ppm, min(floor, layout.MOST - 1)
        )
        total = self._floor(quantity, self.scale.size_decimals)
        if step < 0 or not 0 < total < layout.MOST_LOTS:
            self.verdict = Verdict.OFF_GRID
            return None
        rest = total % step if step else 0
        found = self._lay_quotes(quotes, buy, limit_price, total, step if rest else 1, reject_cost_bps)
        if found is None:
            self.verdict = Verdict.OFF_GRID
            return None
        limit = 0
        if limit_price is not None:
            limit = self._floor(limit_price, self.scale.price_decimals)
            limit += not buy and _TIMES(limit_price, _POWERS[self.scale.price_decimals]) > limit
            if limit <= 0:
                self.verdict = Verdict.OFF_GRID
                return None
        most = len(self._venues) + len(found) if max_children is None else max_children
        tolerance = int(gap_bps * 10**8)
        _HEADER.pack_into(self._words, 0, buy, len(self._venues), total - rest, limit, most, len(found), tolerance)
        if self.verdict is Verdict.CERTIFIED:
            verdict = self._certify(self._book_at, self._order_at)
            if verdict == fast.CERTIFIED:
                return self._certified(side, quantity, found)
            self.verdict = Verdict(verdict)
        return self._proven(book, side, quantity, total, found, gap_bps, node_limit)

    def _proven(
        self,
        book: ConsolidatedBook,
        side: str,
        quantity: Decimal,
        total: int,
        quotes: list[_Quote],
        gap_bps: Decimal,
        node_limit: int,
    ) -> SplitResult | None:
        """What the search finds for the order that is laid out."""
        if self._search is None or self._nodes < node_limit:
            self._search = prove.new_search(len(self._venues), book.depth, layout.MAX_QUOTES, node_limit)
            self._nodes = node_limit
        order, found = self.order, self._search
        used = [venue for venue in self._venues if order[venue.first + int(layout.USED)]]
        unit = gcd(*(int(order[venue.first + int(layout.CHOICE)]) for venue in used), *(v.charge for v in used))
        for _, _, slope, _, charge in quotes:
            unit = gcd(unit, slope, charge)
        self.unit = max(unit, 1)
        order[layout.W_TOTAL] = total
        best, patience = None, prove.PATIENT
        for tolerance in (int(gap_bps * 10**8), 0):  # fixed costs of a sell lower its value: the first may be too wide
            order[layout.W_TOLERANCE] = tolerance
            at = found.ctypes.data
            status = self._prove(self._book_at, self._order_at, at, self.unit, node_limit, patience)
            if status == prove.WIDE_NUMBERS:
                self.verdict = Verdict.OFF_GRID
                return None
            gap = (int(found[arena.COST]) - int(found[arena.BOUND])) * self.unit
            result = self._result(side, quantity, quotes, gap, status == arena.PROVEN, int(found[arena.DONE]))
            if best is None or (result.unfilled, result.gap_bps) < (best.unfilled, best.gap_bps):
                best = result
            patience = max(1, prove.PATIENT - int(found[arena.EFFORT]))  # what the first has left
            if status != arena.WITHIN or result.gap_bps <= gap_bps:
                break
        return best

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
        floor: int,
    ) -> int:
        """Fill the venue rows; the greatest common lot of those that may be used (0: none), -1: off the grid."""
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
                return -1
            if venue.floor != floor:
                venue.floor = floor
                _RULES.pack_into(words, venue.rules, venue.lot, venue.least, max(venue.notional, floor))
            if venue.charge:
                self.verdict = Verdict.FIXED_COST
            step = gcd(step, venue.lot)
            balance = balances.get(name)
            if buy is not venue.buying or balance != venue.balance:
                self._cap(venue, buy, balance)
            loading = venue.fee + 100 * slippage_ppm[name] if name in slippage_ppm else venue.fee
            choice = FEE_ONE + loading if buy else FEE_ONE - loading
            haircut = haircut_ppm.get(name, 0)
            if not 0 < choice <= layout.MOST_FACTOR or not 0 <= haircut <= layout.PPM:
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
        charge = self._exactly(terms.fixed_cost, self._fee_money)
        venue.terms, venue.lot, venue.buying = terms, 0, None
        if lot is None or fee is None or charge is None:
            return
        if 0 < lot < layout.MOST_LOTS and least < layout.MOST_LOTS and max(notional, charge) < layout.MOST:
            venue.lot, venue.fee, venue.charge = lot, fee, charge
            venue.least, venue.notional, venue.floor = least, notional, 0
            _RULES.pack_into(self._words, venue.rules, lot, least, notional)
            _CHARGE.pack_into(self._words, _BYTES * (venue.first + int(layout.CHARGE)), charge)

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
    ) -> list[_Quote] | None:
        """Fill the quote rows with those that can be used at all; None: one is off the grid."""
        words, tick, lot = self._words, self.scale.price_decimals + FEE_DECIMALS, self.scale.size_decimals
        prices, sizes = _POWERS[tick], _POWERS[lot]
        groups: dict[str, int] = {}
        found: list[_Quote] = []
        row = _BYTES * int(layout.QUOTES)
        for quote in quotes:
            exact_size, exact_key = _TIMES(quote.quantity, sizes), _TIMES(quote.price, prices)
            size, key, charge = int(exact_size), int(exact_key), 0
            if size != exact_size or key != exact_key:
                return None
            low, each = size, 1
            if not quote.all_or_none or quote.fixed_cost:
                partial = self._partial(quote)
                if partial is None:
                    return None
                low, each, charge = partial
                self.verdict = Verdict.FIXED_COST if quote.all_or_none else Verdict.PARTIAL_QUOTE
            elif size % step:
                self.verdict = Verdict.UNPLACED
            if low > total or low > size or (limit_price is not None and _beyond(quote.price, limit_price, buy)):
                continue
            slope = key if buy else -key
            if reject_cost_bps and quote.reject_probability:
                loading = _TIMES(_TIMES(reject_cost_bps, quote.reject_probability), _POWERS[4])
                slope -= -key * int(loading.to_integral_value(ROUND_CEILING)) // FEE_ONE  # rounded up
            if not -layout.MOST < slope < layout.MOST or len(found) == layout.MAX_QUOTES:
                return None
            _QUOTE.pack_into(words, row, slope, size, groups.setdefault(quote.lp, len(groups)), low, each, charge)
            row += _BYTES * int(layout.QUOTE)
            found.append((quote, key, slope, size, charge))
        if len(found) > layout.FAST_QUOTES:
            self.verdict = Verdict.MANY_QUOTES
        return found

    def _partial(self, quote: SplitQuote) -> tuple[int, int, int] | None:
        """Least lots, steps in lots and fixed cost of a quote; None: off the grid."""
        lot = self._exactly(quote.lot, self.scale.size_decimals)
        low = self._exactly(quote.quantity if quote.all_or_none else quote.min_quantity, self.scale.size_decimals)
        charge = self._exactly(quote.fixed_cost, self._fee_money)
        if not lot or low is None or charge is None or charge >= layout.MOST:
            return None
        return low or lot, lot, charge

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

    def _certified(self, side: str, quantity: Decimal, quotes: list[_Quote]) -> SplitResult:
        """The certified kernel's plan."""
        words = self._words
        subset, optimal = _OUT.unpack_from(words, _BYTES * int(layout.W_SUBSET))
        row = _BYTES * int(layout.QUOTES + layout.Q_TAKEN)
        for j, (_, _, _, size, _) in enumerate(quotes):
            _CHARGE.pack_into(words, row, size if subset >> j & 1 else 0)
            row += _BYTES * int(layout.QUOTE)
        gap = 0 if optimal else ceil(_GAP.unpack_from(words, _BYTES * int(layout.F_GAP))[0])
        return self._result(side, quantity, quotes, gap, bool(optimal), 0)

    def _result(
        self, side: str, quantity: Decimal, quotes: list[_Quote], gap: int, optimal: bool, nodes: int
    ) -> SplitResult:
        """The plan in the OUT words as decimals; `gap` in 10^-8 ticks × lots."""
        words, buy = self._words, side == "buy"
        sizes, prices = self.scale.size_decimals, _SHARES[self.scale.price_decimals]
        children, cost, filled = [], 0, 0
        for venue in self._venues:
            lots, notional, worst = _TAKEN.unpack_from(words, venue.out)
            if lots:
                filled += lots
                cost += notional * (FEE_ONE + venue.fee) if buy else notional * (venue.fee - FEE_ONE)
                cost += venue.charge
                limit = _TIMES(Decimal(worst), prices)
                children.append(SplitChild(venue=venue.name, limit_price=limit, quantity=_plain(lots, sizes)))
        row = _BYTES * int(layout.QUOTES + layout.Q_TAKEN)
        for quote, key, _, _, charge in quotes:
            (lots,) = _CHARGE.unpack_from(words, row)
            row += _BYTES * int(layout.QUOTE)
            if lots:
                filled += lots
                cost += (key if buy else -key) * lots + charge
                taken = _plain(lots, sizes)
                children.append(
                    SplitChild(lp=quote.lp, quote_id=quote.quote_id, limit_price=quote.price, quantity=taken)
                )
        money, taken = _plain(cost, self._fee_money), _plain(filled, sizes)
        gap_bps = ZERO
        if gap and cost:
            gap_bps = (Decimal(gap) * 10_000 / abs(cost)).quantize(Decimal("1e-9"), ROUND_CEILING)
        return SplitResult(
            side=side,
            filled=taken,
            unfilled=ZERO if taken == quantity else _trimmed(EXACT.subtract(quantity, taken)),
            cost=money,
            bound=_plain(cost - gap, self._fee_money) if gap else money,
            gap_bps=gap_bps,
            optimal=optimal,
            children=children,
            nodes=nodes,
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
