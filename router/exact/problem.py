"""A split request as an integer programme: blocks with convex costs on a lattice.

Every venue and quote becomes a `Block`: take nothing, or `low + k·lot` up to `high` (atoms of base), at a convex
piecewise-linear cost plus `fixed`. Minimum notional, balance, limit price and depth are folded into `low` and `high`,
exactly: quantity × best price ≥ min_notional ⇔ quantity ≥ ⌈min_notional / best price⌉, and cost grows with quantity, so
a balance is a cap.

Two things weigh in the choice and are no money: what a venue is expected to slip beyond its book, and what a quote's possible
rejection is expected to cost. Both are a share of the amount, so slopes carry them; `Problem.expected` takes them out again.

Units: quantities in `atom` = 10^-quantity_decimals, money in 10^-money_decimals, both chosen so that every number of
the request is whole. Costs are signed: what a buy pays, the negative of what a sell receives. Python integers: nothing
overflows here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from decimal import Context, Decimal, Inexact

from pricing.scale import EXACT
from router.exact.request import Book, SplitQuote, SplitRequest

WIDE = Context(prec=400, traps=[Inexact])  # no number of a request needs more digits


class Block:
    """One venue or quote. `slopes[i]`: choice cost per atom of segment i, non-decreasing; `ends[i]`: atoms up to its
    end; `costs[i]`: cost there; `loading`: the share of the amount in them that is expected, not paid."""

    __slots__ = (
        "costs",
        "ends",
        "fixed",
        "group",
        "high",
        "index",
        "loading",
        "lot",
        "low",
        "name",
        "prices",
        "quote_id",
        "slopes",
    )

    def __init__(
        self,
        name: str,
        quote_id: str,
        group: str,
        low: int,
        high: int,
        lot: int,
        fixed: int,
        loading: int,
        segments: list[tuple[int, int, Decimal]],  # slope, atoms, price
    ) -> None:
        self.index, self.loading = 0, loading
        self.name, self.quote_id, self.group = name, quote_id, group
        self.low, self.high, self.lot, self.fixed = low, high, lot, fixed
        self.slopes: list[int] = []
        self.ends: list[int] = []
        self.costs: list[int] = []
        self.prices: list[Decimal] = []
        end = cost = 0
        for slope, atoms, price in segments:
            end += atoms
            cost += slope * atoms
            self.slopes.append(slope)
            self.ends.append(end)
            self.costs.append(cost)
            self.prices.append(price)
            if end >= high:
                break

    def cost(self, atoms: int) -> int:
        """Choice cost of `atoms`, without the fixed cost."""
        if atoms == 0:
            return 0
        i = bisect_left(self.ends, atoms)
        return self.costs[i] - self.slopes[i] * (self.ends[i] - atoms)

    def upto(self, slope: int) -> int:
        """Atoms whose slope is at most `slope`, not more than `high`."""
        i = bisect_right(self.slopes, slope)
        return min(self.ends[i - 1], self.high) if i else 0

    def cheapest_average(self, charge: int) -> int:
        """End of the level at which (charge + cost) / atoms is least: the first whose next slope is not below that
        average."""
        low, high = 0, len(self.slopes) - 1
        while low < high:
            middle = (low + high) >> 1
            if self.slopes[middle + 1] * self.ends[middle] - self.costs[middle] >= charge:
                high = middle
            else:
                low = middle + 1
        return self.ends[low]

    def worst(self, atoms: int) -> Decimal:
        """Price of the worst level that `atoms` touch."""
        return self.prices[bisect_left(self.ends, atoms)]


class Problem:
    """Blocks that can be used at all, the quantity in atoms, and how to turn integers into decimals again."""

    def __init__(self, request: SplitRequest) -> None:
        self.request = request
        self.sign = 1 if request.side == "buy" else -1
        books, quotes = request.books, request.quotes
        sizes = [request.quantity, *(size for book in books for _, size in book.levels)]
        sizes += [x for book in books for x in (book.lot, book.min_quantity)]
        sizes += [quote.quantity for quote in quotes]
        sizes += [x for quote in quotes if not quote.all_or_none for x in (quote.min_quantity, quote.lot)]
        if request.side == "sell":
            sizes += [book.balance for book in books if book.balance is not None]
        self.quantity_decimals = max(map(_decimals, sizes))
        rejections = [EXACT.multiply(request.reject_cost_bps, quote.reject_probability) for quote in quotes]
        rates = [rate for book in books for rate in (book.taker_fee_bps, book.slippage_bps)] + rejections
        self.rate_decimals = 4 + max(map(_decimals, rates), default=0)
        prices = [price for book in books for price, _ in book.levels] + [quote.price for quote in quotes]
        self.price_decimals = max(map(_decimals, prices), default=0)
        fixed = [book.fixed_cost for book in books] + [quote.fixed_cost for quote in quotes]
        fixed += [book.balance for book in books if book.balance is not None and request.side == "buy"]
        fixed += [book.min_notional for book in books]
        wanted = max(map(_decimals, fixed), default=0)
        self.price_decimals += max(0, wanted - self.price_decimals - self.quantity_decimals - self.rate_decimals)
        self.money_decimals = self.price_decimals + self.quantity_decimals + self.rate_decimals
        self.one = 10**self.rate_decimals
        self.quantity = self.atoms(request.quantity)
        self.blocks: list[Block] = []
        self.refused: list[tuple[str, str, str]] = []  # venue or LP, quote_id, why no plan can use it
        for book in books:
            self._keep(book.venue, "", self._venue(book))
        for quote, rejection in zip(quotes, rejections, strict=True):
            self._keep(quote.lp, quote.quote_id, self._quote(quote, rejection))
        self.max_children = len(self.blocks) if request.max_children is None else request.max_children

    def atoms(self, size: Decimal) -> int:
        return _scaled(size, self.quantity_decimals)

    def size(self, atoms: int) -> Decimal:
        return _unscaled(atoms, self.quantity_decimals)

    def ticks(self, price: Decimal) -> int:
        return _scaled(price, self.price_decimals)

    def money(self, units: int) -> Decimal:
        return _unscaled(units, self.money_decimals)

    def expected(self, taken: list[int]) -> int:
        """The part of a plan's choice cost that is expected slippage or rejection, not money."""
        return sum(self.loaded(block, atoms) for block, atoms in zip(self.blocks, taken, strict=True) if atoms)

    def loaded(self, block: Block, atoms: int) -> int:
        """The expected part of one block's choice cost."""
        if not block.loading:
            return 0
        amount = start = 0
        for price, end in zip(block.prices, block.ends, strict=True):
            amount += self.ticks(price) * (min(end, atoms) - start)
            start = end
            if start >= atoms:
                break
        return amount * block.loading

    def _within(self, price: Decimal) -> bool:
        limit = self.request.limit_price
        return limit is None or self.sign * price <= self.sign * limit

    def _keep(self, name: str, quote_id: str, found: Block | str) -> None:
        if isinstance(found, str):
            self.refused.append((name, quote_id, found))
        else:
            found.index = len(self.blocks)
            self.blocks.append(found)

    def _rate(self, bps: Decimal) -> int:
        return _scaled(bps, self.rate_decimals - 4)

    def _venue(self, book: Book) -> Block | str:
        """The venue as a block, or why nothing can be taken from it."""
        paid = self.sign * self.one + self._rate(book.taker_fee_bps)
        loading = self._rate(book.slippage_bps)
        if self.sign * (paid + loading) <= 0:
            return "fee and expected slippage leave nothing of the money"
        levels: list[tuple[int, int, Decimal]] = []
        depth = 0
        for price, size in book.levels:
            if not self._within(price) or depth >= self.quantity:
                break
            atoms = self.atoms(size)
            levels.append((self.ticks(price), atoms, price))
            depth += atoms
        if not book.levels:
            return "nothing on this side of its book"
        if not levels:
            return f"limit price: its best price is {book.levels[0][0]}"
        lot = self.atoms(book.lot)
        notional = _scaled(book.min_notional, self.money_decimals - self.rate_decimals, up=True)
        low = _up(max(self.atoms(book.min_quantity), -(-notional // levels[0][0]), 1), lot)
        affordable = self._affordable(book, levels, paid)
        high = _down(min(depth, self.quantity, affordable), lot)
        if high < low:
            deep = "its book holds" if self.request.limit_price is None else "its book within the limit price holds"
            scarce, has = min((affordable, "its balance affords"), (depth, deep), (self.quantity, "the order is"))
            least = f"{_text(self.size(low))} is the least by lot, minimum quantity and minimum notional"
            return f"too small: {least}, {has} {_text(self.size(scarce))}"
        fixed = _scaled(book.fixed_cost, self.money_decimals)
        segments = [(ticks * (paid + loading), atoms, price) for ticks, atoms, price in levels]
        return Block(book.venue, "", "", low, high, lot, fixed, loading, segments)

    def _affordable(self, book: Book, levels: list[tuple[int, int, Decimal]], paid: int) -> int:
        if book.balance is None:
            return self.quantity
        if self.sign < 0:
            return self.atoms(book.balance)
        left = _scaled(book.balance, self.money_decimals)
        total = 0
        for ticks, atoms, _ in levels:
            taken = min(atoms, left // (ticks * paid))
            total += taken
            left -= taken * ticks * paid
            if taken < atoms:
                break
        return total

    def _quote(self, quote: SplitQuote, rejection: Decimal) -> Block | str:
        """The quote as a block, or why it cannot be taken."""
        if not self._within(quote.price):
            return f"limit price: its price is {quote.price}"
        whole = self.atoms(quote.quantity)
        if quote.all_or_none:
            low = high = lot = whole
        else:
            lot = self.atoms(quote.lot)
            minimum = self.atoms(quote.min_quantity)
            low = minimum if minimum else lot
            high = low + _down(min(whole, self.quantity) - low, lot)
        if high < low or low > self.quantity:
            return f"too large: the least it takes is {_text(self.size(low))}, the order is {_text(self.size(self.quantity))}"
        if low == high:
            lot = low  # no step is left to take, however long
        loading = self._rate(rejection)
        slope = self.ticks(quote.price) * (self.sign * self.one + loading)
        fixed = _scaled(quote.fixed_cost, self.money_decimals)
        segments = [(slope, high, quote.price)]
        return Block(quote.lp, quote.quote_id, quote.lp, low, high, lot, fixed, loading, segments)


def _decimals(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _scaled(value: Decimal, decimals: int, *, up: bool = False) -> int:
    """`value` × 10^decimals as an integer of any size; digits beyond are cut off, or rounded up."""
    scaled = WIDE.scaleb(value, decimals)
    whole = int(scaled)
    return whole + 1 if up and scaled > whole else whole


def _unscaled(value: int, decimals: int) -> Decimal:
    return WIDE.scaleb(Decimal(value), -decimals)


def _text(value: Decimal) -> str:
    return f"{value.normalize(WIDE):f}"


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


def _down(value: int, step: int) -> int:
    return value // step * step
