"""`Books`: what a ledger has in memory, on disk or not: exact totals, the P&L, counts and halts."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from desk.ledger.book import Totals
from desk.ledger.pnl import Pnl, PnlSplit
from desk.ledger.records import Halt, LedgerCounts
from desk.rfq.records import RfqState


class Books:
    """Who keeps a ledger folds into `_totals`, `_pnl`, `_counts` and `_halts`; everybody else asks here. Answers take no disk."""

    def __init__(self, pnl_currency: str) -> None:
        self._totals = Totals()
        self._pnl = Pnl(pnl_currency)
        self._counts = LedgerCounts(rfqs={state.value: 0 for state in RfqState})
        self._halts: dict[str, Halt] = {}

    @property
    def halts(self) -> Mapping[str, Halt]:
        """What is stopped now, by scope."""
        return self._halts

    def imbalance(self) -> dict[str, Decimal]:
        """Σ over all accounts in each currency: zero, always."""
        return self._totals.imbalance()

    def positions(self) -> dict[str, Decimal]:
        """What the desk is long (+) or short (−) in each currency: client trades, hedge fills, fees, commission."""
        return self._totals.positions()

    def position(self, currency: str) -> Decimal:
        """What the desk is long (+) or short (−) in one currency; constant time."""
        return self._totals.position(currency)

    def balance(self, account: str, currency: str) -> Decimal:
        """What an account holds of a currency; constant time."""
        return self._totals.balance(account, currency)

    def balances(self) -> dict[str, dict[str, Decimal]]:
        """account → currency → amount."""
        return self._totals.balances()

    def pnl(self, marks: Mapping[str, Decimal]) -> PnlSplit:
        """The P&L split at `marks`: a currency's or a symbol's price (`BTC` or `BTC/USDT`). See `desk.ledger.pnl`."""
        return self._pnl.split(marks)

    def counts(self) -> LedgerCounts:
        """Counts since the first day; live, do not change it."""
        return self._counts
