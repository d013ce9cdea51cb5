"""What requests cost at Binance.

Weight: 6,000 a minute an address; new orders: 100 in ten seconds, 200,000 a day. Headers X-MBX-USED-WEIGHT-1M and X-MBX-ORDER-
COUNT-10S, -1D tell what is used; 429 and 418 say for how long nothing is wanted (Retry-After).

Sources: the venue's documentation; the costs of an endpoint are ccxt's table of them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from adapters.ccxt.dialect import AmendRequest, OrderRequest
from adapters.ccxt.limits.budget import Budget, Kind, Limit, Spending, Window
from adapters.ccxt.limits.tariff import RETRY_S, Command, Tariff, kind_of


class BinanceTariff(Tariff):
    """Binance's weights. `scale`: weight of one of ccxt's units."""

    orders = frozenset({"order", "order/amend/keepPriority"})
    cancels = frozenset({"openOrders", "allOpenOrders", "countdownCancelAll"})
    scale: ClassVar[float] = 5.0
    windows: ClassVar[dict[str, tuple[float, float]]] = {
        "weight 1m": (6_000, 60.0),
        "orders 10s": (100, 10.0),
        "orders 1d": (200_000, 86_400.0),
    }
    headers: ClassVar[dict[str, str]] = {
        "x-mbx-used-weight-1m": "weight 1m",
        "x-mbx-order-count-10s": "orders 10s",
        "x-mbx-order-count-1d": "orders 1d",
    }

    def limit(self, name: str) -> Limit:
        """Of the table."""
        return Window(*self.windows[name])

    def rest(self, api: str, method: str, path: str, params: Any, cost: float) -> Spending:
        """Weight, and new orders by number."""
        kind = self.kind(api, method, path)
        if method == "GET" and path in self.cancels:
            kind = Kind.QUERY
        counted = self._order_counts() if (method, path) == ("POST", "order") else ()
        return Spending(kind, (("weight 1m", max(1.0, cost * self.scale)), *counted))

    def socket(self, request: Command, sent: str) -> Spending:
        """As by REST."""
        weight = ("weight 1m", 4.0 if isinstance(request, AmendRequest) else 1.0)
        counted = self._order_counts() if isinstance(request, OrderRequest) else ()
        return Spending(kind_of(request), (weight, *counted))

    def _order_counts(self) -> tuple[tuple[str, float], ...]:
        return tuple((name, 1.0) for name in self.windows if name.startswith("orders"))

    def heard(self, budget: Budget, status: int, path: str, headers: dict[str, str], body: str) -> None:
        """Counts in the headers; 429 and 418."""
        for header, name in self.headers.items():
            if header in headers:
                budget.told(name, float(headers[header]))
        if status in (418, 429):
            budget.close(float(headers.get("retry-after") or RETRY_S))
