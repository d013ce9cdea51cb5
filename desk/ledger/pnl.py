"""Where the money comes from: the desk's profit and loss, split into parts that add up to the total exactly.

With M_c the mark of currency c (what one unit is worth in the report currency now; the report currency's own mark is
1), s = +1 for a buy and −1 for a sell (the client's side in a trade, ours in a fill), q base quantity, symbol
base/quote:

    spread     Σ trades  s · (amount − fair · q) · M_quote      what the client paid over fair value when quoted
    skew       Σ trades  s · skew · q · M_quote                 what the inventory skew made of it: inside `spread`
    hedge      Σ fills   s · (arrival − price) · q · M_quote    fill against fair value when the parent arrived
    inventory  Σ trades −s · q · (M_base − fair · M_quote) + Σ fills s · q · (M_base − arrival · M_quote)
    fees      −Σ fills   fee · M_fee + Σ commissions · M_quote
    total      spread + hedge + inventory + fees  =  Σ_c position_c · M_c

A fill whose parent had no fair value counts its own price as arrival: its cost shows as inventory. A base currency
without a mark is held at its own reference prices (its inventory part is zero) and, like a quote or fee currency
without a mark, named in `unmarked`. Incremental: a view costs one pass over the currencies, never over the trades.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext

import msgspec

from adapters.nautilus.outcome import VenueFill
from desk.ledger.book import EXACT, currencies
from desk.rfq.records import TradeRecord

_ZERO = Decimal(0)


class PnlSplit(msgspec.Struct, frozen=True, kw_only=True):
    """Profit and loss in `currency`. `total = spread + hedge + inventory + fees`; `skew` is part of `spread`."""

    currency: str
    total: Decimal
    spread: Decimal
    skew: Decimal
    hedge: Decimal
    inventory: Decimal
    fees: Decimal
    unmarked: tuple[str, ...] = ()


class _Pair:
    """Sums of one base/quote pair, each in quote currency but `position`, which is in base."""

    __slots__ = ("hedge", "position", "reference", "skew", "spread")

    def __init__(self) -> None:
        self.spread = self.skew = self.hedge = _ZERO
        self.position = self.reference = _ZERO  # Σ Δq and Σ Δq · reference price


class Pnl:
    """Folds trades and fills, each exactly once, and answers for any set of marks."""

    def __init__(self, currency: str = "USDT") -> None:
        self.currency = currency
        self._pairs: dict[tuple[str, str], _Pair] = {}
        self._fees: dict[str, Decimal] = {}

    def trade(self, trade: TradeRecord) -> None:
        """Fold in a client trade."""
        pair = self._pair(trade.symbol)
        with localcontext(EXACT):
            quantity = trade.quantity if trade.side == "buy" else -trade.quantity
            amount = trade.amount if trade.side == "buy" else -trade.amount
            at_fair = trade.fair * quantity
            pair.spread += amount - at_fair
            pair.skew += trade.skew * quantity
            pair.position -= quantity
            pair.reference -= at_fair

    def fill(self, fill: VenueFill, arrival: Decimal | None) -> None:
        """Fold in an execution of the desk's own (`book.desk_part`); `arrival` is the fair value when its parent order arrived."""
        pair = self._pair(fill.symbol)
        with localcontext(EXACT):
            quantity = fill.quantity if fill.side == "buy" else -fill.quantity
            reference = fill.price if arrival is None else arrival
            pair.hedge += (reference - fill.price) * quantity
            pair.position += quantity
            pair.reference += reference * quantity
            if fill.fee:
                self._fees[fill.fee_currency] = self._fees.get(fill.fee_currency, _ZERO) + fill.fee

    def commission(self, currency: str, amount: Decimal) -> None:
        """Fold in what an order worked for somebody else earned: a negative fee."""
        if amount:
            with localcontext(EXACT):
                self._fees[currency] = self._fees.get(currency, _ZERO) - amount

    def split(self, marks: Mapping[str, Decimal]) -> PnlSplit:
        """The split at these marks: currency → worth in the report currency, or symbol → price in its quote currency.

        A symbol is used for a base currency that has no mark of its own, through its quote currency's mark.
        """
        marks = _by_currency(marks, self.currency)
        spread = skew = hedge = inventory = fees = _ZERO
        unmarked: set[str] = set()
        with localcontext(EXACT):
            for (base, quote), pair in self._pairs.items():
                rate = self._mark(quote, marks, unmarked)
                if rate is None:
                    continue
                spread += pair.spread * rate
                skew += pair.skew * rate
                hedge += pair.hedge * rate
                mark = self._mark(base, marks, unmarked if pair.position else set())
                if mark is not None:
                    inventory += pair.position * mark - pair.reference * rate
                elif not pair.position:
                    inventory -= pair.reference * rate
            for currency, fee in self._fees.items():
                rate = self._mark(currency, marks, unmarked)
                if rate is not None:
                    fees -= fee * rate
            total = spread + hedge + inventory + fees
        return PnlSplit(
            currency=self.currency,
            total=total,
            spread=spread,
            skew=skew,
            hedge=hedge,
            inventory=inventory,
            fees=fees,
            unmarked=tuple(sorted(unmarked)),
        )

    @staticmethod
    def _mark(currency: str, marks: Mapping[str, Decimal], unmarked: set[str]) -> Decimal | None:
        mark = marks.get(currency)
        if mark is None:
            unmarked.add(currency)
        return mark

    def _pair(self, symbol: str) -> _Pair:
        key = currencies(symbol)
        pair = self._pairs.get(key)
        if pair is None:
            pair = self._pairs[key] = _Pair()
        return pair


def _by_currency(marks: Mapping[str, Decimal], report: str) -> dict[str, Decimal]:
    """Marks of currencies, from marks of currencies and symbols."""
    rates = {name: mark for name, mark in marks.items() if "/" not in name}
    rates[report] = Decimal(1)
    for symbol, price in marks.items():
        if "/" not in symbol:
            continue
        base, quote = currencies(symbol)
        if base not in rates and quote in rates:
            rates[base] = EXACT.multiply(price, rates[quote])
    return rates
