"""What a plan stands on: what the venues list, what the accounts can spend, how much may be sent at once; and the split itself.

Reads the engine's cache and the live books, changes nothing, sends nothing. Loop-thread only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import msgspec
from nautilus_trader.model.identifiers import InstrumentId, Venue

from adapters.nautilus.lp import LpQuote
from pricing.consolidated import ConsolidatedBook
from risk.exact import BPS, EXACT, ZERO, add, times
from risk.gate import Gate
from risk.state import pair_of
from router.accounting import Work
from router.exact.request import SplitQuote
from router.experience import Experience
from router.live.baselines import POLICIES
from router.orders import ChildOrder, ChildState, ParentOrder
from router.parameters import RouterParameters
from router.plan import Plan, Terms, floor_to, plan_children, price_of, too_small, usable
from router.slippage.predictor import Predictor

if TYPE_CHECKING:
    from nautilus_trader.cache.base import CacheFacade

_ONE = Decimal(1)
_NEARLY = Decimal("0.99")  # of the value at fair: what the prices of a plan may be less than it
_UNTAKEN = frozenset(
    {ChildState.NEW, ChildState.SENT, ChildState.UNKNOWN}
)  # the balance may not show their funds as taken


class Planner:
    """Plans over `books` (by symbol) and `lps`. With `slippage` and `experience`, what a venue is expected to cost beyond its book, how
    much of its depth is there and how often an LP refuses decide too. `seed`: of the sizes of clips."""

    def __init__(
        self,
        parameters: RouterParameters,
        books: Mapping[str, ConsolidatedBook],
        gate: Gate,
        lps: Sequence[str],
        cache: CacheFacade,
        slippage: Predictor | None = None,
        experience: Experience | None = None,
        seed: int = 0,
    ) -> None:
        self._parameters = parameters
        self._books = books
        self._gate = gate
        self._lps = tuple(lps)
        self._cache = cache
        self._split = POLICIES[parameters.policy]
        self._slippage = slippage
        self._experience = experience if parameters.scorecards else None
        self._seed = seed

    def fair(self, symbol: str, now_ns: int) -> Decimal | None:
        """Fair value, None without a live book."""
        book = self._books.get(symbol)
        return None if book is None else book.fair(now_ns)

    def clip(self, work: Work, now_ns: int) -> Decimal:
        """What to plan now (base): all that is free, but no more than the gate lets one child be; of an order that needs several
        plans a part drawn from the seed, the parent and the plan's number, so that its clips do not give it away."""
        limits = self._gate.limits.of(work.parent.symbol)
        clip = min(work.free, limits.max_child_quantity)
        fair = self.fair(work.parent.symbol, now_ns)
        if fair is not None and fair > 0:
            highest = times(fair, add(_ONE, times(limits.child_collar_bps, BPS)))
            most = EXACT.divide(limits.max_child_notional, highest)
            clip = min(clip, most)
        if clip >= work.free:
            return clip
        lots = [item.lot for item in self.terms(work.parent.symbol).values()]
        dice = Random(f"{self._seed}:{work.parent.parent_id}:{work.parent.attempts}:{work.rested}")
        share = Decimal(f"{1 - self._parameters.clip_jitter * dice.random():.6f}")
        return floor_to(times(clip, share), max(lots, default=Decimal("0.00000001")))

    def min_clip(self, symbol: str, quantity: Decimal, now_ns: int) -> Decimal:
        """The least value (quote currency) of a child when `quantity` is planned: as configured; about all of it when that is less."""
        least = self._parameters.min_clip.get(pair_of(symbol).quote, ZERO)
        fair = self.fair(symbol, now_ns) if least else None
        return least if fair is None else min(least, times(times(fair, quantity), _NEARLY))

    def dust(self, work: Work, now_ns: int) -> bool:
        """Whether what is free is less than any venue or LP takes."""
        symbol, free = work.parent.symbol, work.free
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
        asked = frozenset(quote.lp for quote in good)
        reachable = {venue for venue in book.venues if venue in terms and self._account(venue) is not None}
        lent = list(working)
        quantity = self.clip(work, now_ns)
        least = self.min_clip(parent.symbol, quantity, now_ns)
        cuts = self._haircuts(reachable - without, now_ns)
        refusal = {} if self._experience is None else {lp: self._experience.refusal(lp, now_ns) for lp in sorted(asked)}
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
                    reject_probability=refusal.get(quote.lp, ZERO),
                )
                for quote in good
                if (price := price_of(quote, parent.side)) is not None and times(price, quote.quantity) >= least
            ],
            balances={venue: self.spendable(venue, parent, lent) for venue in reachable},
            max_children=parameters.max_children,
            exclude=without | (frozenset(book.venues) - reachable),
            now_ns=now_ns,
            slippage_bps=self._expected(parent, quantity, reachable - without, now_ns),
            haircut_ppm=cuts,
            reject_cost_bps=self._refusal_cost(parent.symbol, asked, now_ns),
            min_notional=least,
        )
        plan = plan_children(
            result.children,
            side=parent.side,
            terms=terms,
            quotes={quote.quote_id: quote for quote in good},
            limit_price=parent.limit_price,
            guard_bps=parameters.guard_bps,
            haircut_ppm=cuts,
        )
        return msgspec.structs.replace(plan, refusal=refusal)

    def _haircuts(self, venues: Iterable[str], now_ns: int) -> dict[str, int]:
        """By venue, ppm of its displayed sizes that are not counted on; venues that are trusted are left out."""
        known = self._experience
        cuts = {} if known is None else {venue: known.haircut_ppm(venue, now_ns) for venue in sorted(venues)}
        return {venue: cut for venue, cut in cuts.items() if cut}

    def _refusal_cost(self, symbol: str, lps: frozenset[str], now_ns: int) -> Decimal:
        """What a refused quote costs, bps: the market moves until its part is planned again."""
        if self._experience is None or not lps:
            return ZERO
        again_ns = (self._parameters.replan_ms + self._parameters.lp_wait_ms) * 1_000_000
        return self._experience.refusal_cost_bps(symbol, lps, again_ns, now_ns)

    def _expected(
        self, parent: ParentOrder, quantity: Decimal, venues: Iterable[str], now_ns: int
    ) -> dict[str, Decimal]:
        """bps by venue beyond its book. A predictor's theory is weighed by how much of it a venue's fills really cost; its trained
        model has seen those fills, and nothing is added to it."""
        book, known = self._books[parent.symbol], self._experience
        if self._slippage is not None:
            fade = None if known is None else partial(known.fade, now_ns=now_ns)
            return self._slippage.loadings(book, sorted(venues), parent.side, quantity, now_ns, fade)
        return {} if known is None else {venue: known.loading_bps(book, venue, now_ns) for venue in sorted(venues)}

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
