"""What a plan stands on: what the venues list, what the accounts can spend, how much may be sent at once; and the split itself.

Reads the engine's cache and the live books, changes nothing, sends nothing. Loop-thread only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from nautilus_trader.model.identifiers import InstrumentId, Venue

from adapters.nautilus.lp import LpQuote
from pricing.consolidated import ConsolidatedBook
from risk.exact import BPS, EXACT, ZERO, add, times
from risk.gate import Gate
from risk.state import pair_of
from router.accounting import Work
from router.exact.request import SplitQuote
from router.live.baselines import POLICIES
from router.orders import ChildOrder, ChildState, ParentOrder
from router.parameters import RouterParameters
from router.plan import Plan, Terms, floor_to, plan_children, price_of, too_small, usable
from router.slippage.predictor import Predictor

if TYPE_CHECKING:
    from nautilus_trader.cache.base import CacheFacade

_ONE = Decimal(1)
_UNTAKEN = frozenset(
    {ChildState.NEW, ChildState.SENT, ChildState.UNKNOWN}
)  # the balance may not show their funds as taken


class Planner:
    """Plans over `books` (by symbol) and `lps`. With `slippage`, what a venue is expected to cost beyond its book decides too."""

    def __init__(
        self,
        parameters: RouterParameters,
        books: Mapping[str, ConsolidatedBook],
        gate: Gate,
        lps: Sequence[str],
        cache: CacheFacade,
        slippage: Predictor | None = None,
    ) -> None:
        self._parameters = parameters
        self._books = books
        self._gate = gate
        self._lps = tuple(lps)
        self._cache = cache
        self._split = POLICIES[parameters.policy]
        self._slippage = slippage

    def fair(self, symbol: str, now_ns: int) -> Decimal | None:
        """Fair value, None without a live book."""
        book = self._books.get(symbol)
        return None if book is None else book.fair(now_ns)

    def clip(self, work: Work, now_ns: int) -> Decimal:
        """What to plan now (base): all that is free, but no more than the gate lets one child be."""
        limits = self._gate.limits.of(work.parent.symbol)
        clip = min(work.free, limits.max_child_quantity)
        fair = self.fair(work.parent.symbol, now_ns)
        if fair is not None and fair > 0:
            highest = times(fair, add(_ONE, times(limits.child_collar_bps, BPS)))
            most = EXACT.divide(limits.max_child_notional, highest)
            if clip > most:
                lots = [item.lot for item in self.terms(work.parent.symbol).values()]
                clip = floor_to(most, max(lots, default=Decimal("0.00000001")))
        return clip

    def dust(self, work: Work, now_ns: int) -> bool:
        """Whether what is free is less than any venue or LP takes, or than is worth sending."""
        symbol, free = work.parent.symbol, work.free
        if free < self._parameters.min_clip.get(pair_of(symbol).base, ZERO):
            return True
        fair, terms = self.fair(symbol, now_ns), self.terms(symbol)
        if fair is None or not terms:
            return False
        return all(too_small(floor_to(free, item.lot), fair, item) is not None for item in terms.values())

    def sizes_to_ask(self, symbol: str, clip: Decimal, lps: Iterable[str], now_ns: int) -> list[Decimal]:
        """Sizes to ask LPs for: the whole and a part, in their lots; none when it is not worth asking."""
        fair, terms = self.fair(symbol, now_ns), self.terms(symbol)
        lots = [terms[lp].lot for lp in lps if lp in terms]
        if fair is None or not lots or times(clip, fair) < self._parameters.lp_min_notional:
            return []
        sizes = (floor_to(size, max(lots)) for size in (clip, times(clip, self._parameters.lp_part)))
        return [size for size in dict.fromkeys(sizes) if size > 0]

    def plan(
        self,
        work: Work,
        quotes: Iterable[LpQuote],
        *,
        working: Iterable[ChildOrder],
        without: frozenset[str],
        now_ns: int,
    ) -> Plan:
        """Split the clip over live books and firm quotes. `working`: all open children; `without`: venues and LPs left out."""
        parent, parameters = work.parent, self._parameters
        book, terms = self._books[parent.symbol], self.terms(parent.symbol)
        good = [quote for quote in usable(quotes, parent.side, now_ns, parameters.quote_margin_ns) if quote.lp in terms]
        reachable = {venue for venue in book.venues if venue in terms and self._account(venue) is not None}
        lent = list(working)
        quantity = self.clip(work, now_ns)
        result = self._split(
            book,
            side=parent.side,
            quantity=quantity,
            limit_price=parent.limit_price,
            quotes=[
                SplitQuote(
                    lp=quote.lp,
                    quote_id=quote.quote_id,
                    price=price,
                    quantity=quote.quantity,
                    min_quantity=quote.quantity,
                    lot=terms[quote.lp].lot,
                )
                for quote in good
                if (price := price_of(quote, parent.side)) is not None
            ],
            balances={venue: self.spendable(venue, parent, lent) for venue in reachable},
            max_children=parameters.max_children,
            exclude=without | (frozenset(book.venues) - reachable),
            now_ns=now_ns,
            slippage_bps=self._expected(parent, quantity, reachable - without, now_ns),
        )
        return plan_children(
            result.children,
            side=parent.side,
            terms=terms,
            quotes={quote.quote_id: quote for quote in good},
            limit_price=parent.limit_price,
            guard_bps=parameters.guard_bps,
        )

    def _expected(
        self, parent: ParentOrder, quantity: Decimal, venues: Iterable[str], now_ns: int
    ) -> dict[str, Decimal]:
        """bps by venue beyond its book; nothing without a predictor."""
        if self._slippage is None:
            return {}
        return self._slippage.loadings(self._books[parent.symbol], sorted(venues), parent.side, quantity, now_ns)

    def terms(self, symbol: str) -> dict[str, Terms]:
        """What each venue and LP that lists the symbol takes of it."""
        found: dict[str, Terms] = {}
        for venue in (*self._books[symbol].venues, *self._lps):
            instrument = self._cache.instrument(InstrumentId.from_str(f"{symbol}.{venue}"))
            if instrument is not None:
                found[venue] = Terms(
                    tick=instrument.price_increment.as_decimal(),
                    lot=instrument.size_increment.as_decimal(),
                    min_quantity=instrument.min_quantity.as_decimal() if instrument.min_quantity else ZERO,
                    min_notional=instrument.min_notional.as_decimal() if instrument.min_notional else ZERO,
                )
        return found

    def _account(self, venue: str) -> object | None:
        account: object | None = self._cache.account_for_venue(Venue(venue))
        return account

    def spendable(self, venue: str, parent: ParentOrder, working: Iterable[ChildOrder]) -> Decimal:
        """What the account can still spend: free funds less what orders of ours may be taking; a buy keeps room for the guard."""
        account = self._cache.account_for_venue(Venue(venue))
        instrument = self._cache.instrument(InstrumentId.from_str(f"{parent.symbol}.{venue}"))
        buy = parent.side == "buy"
        free = account.balance_free(instrument.quote_currency if buy else instrument.base_currency)
        left = ZERO if free is None else free.as_decimal()
        currency = _spent(parent.symbol, parent.side)
        for child in working:
            if child.venue == venue and child.state in _UNTAKEN and _spent(child.symbol, child.side) == currency:
                left = add(left, -(times(child.leaves, child.limit_price) if child.side == "buy" else child.leaves))
        if buy:
            left = EXACT.divide(left, add(_ONE, times(self._parameters.guard_bps, BPS)))
        return max(left, ZERO)


def _spent(symbol: str, side: str) -> str:
    """The currency an order pays with."""
    pair = pair_of(symbol)
    return pair.quote if side == "buy" else pair.base
