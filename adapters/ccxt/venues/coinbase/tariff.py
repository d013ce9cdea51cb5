"""What requests cost at Coinbase.

30 private requests a second an account, 10 public ones an address. No headers; refusals: HTTP 429.

Sources: the venue's documentation; the costs of an endpoint are ccxt's table of them.
"""

from __future__ import annotations

from typing import Any

from adapters.ccxt.limits.budget import Budget, Kind, Limit, Spending, Window
from adapters.ccxt.limits.tariff import RETRY_S, Tariff


class CoinbaseTariff(Tariff):
    """A second at a time, by who is asked for; a batch is one request."""

    orders = frozenset({"brokerage/orders", "brokerage/orders/edit"})
    cancels = frozenset({"brokerage/orders/batch_cancel"})

    def limit(self, name: str) -> Limit:
        """Of the account, of the address (only data are public)."""
        return Window(30, 1.0) if name == "private 1s" else Window(10, 1.0, shared=False)

    def rest(self, api: str, method: str, path: str, params: Any, cost: float) -> Spending:
        """One; which is public is told by the path, ccxt's name of the API being that of its version."""
        if path == "brokerage/time" or path.startswith("brokerage/market/"):
            return Spending(Kind.DATA, (("public 1s", 1.0),))
        return Spending(self.kind(api, method, path), (("private 1s", 1.0),))

    def heard(self, budget: Budget, status: int, path: str, headers: dict[str, str], body: str) -> None:
        """Refusals."""
        if status == 429:
            budget.close(float(headers.get("retry-after") or RETRY_S))
