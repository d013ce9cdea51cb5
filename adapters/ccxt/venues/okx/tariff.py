"""What requests cost at OKX.

Each endpoint by itself, two seconds at a time; new and amended orders together 1,000 in two seconds an account. No headers; refusals:
code 50011 (endpoint), 50061 (account).

Sources: the venue's documentation; the costs of an endpoint are ccxt's table of them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from adapters.ccxt.dialect import AmendRequest, CancelRequest, OrderRequest
from adapters.ccxt.limits.budget import Budget, Kind, Limit, Spending, Window
from adapters.ccxt.limits.tariff import Command, Tariff, kind_of


class OkxTariff(Tariff):
    """Each endpoint by itself; a limit is named "path n/2s"."""

    orders = frozenset({"trade/order", "trade/batch-orders", "trade/amend-order", "trade/amend-batch-orders"})
    cancels = frozenset({"trade/cancel-order", "trade/cancel-batch-orders", "trade/cancel-all-after"})
    units_per_2s: ClassVar[float] = 20.0
    socket_paths: ClassVar[dict[type, str]] = {
        OrderRequest: "trade/order 60/2s",
        AmendRequest: "trade/amend-order 60/2s",
        CancelRequest: "trade/cancel-order 60/2s",
    }

    def limit(self, name: str) -> Limit:
        """By the number in its name."""
        if name == "orders 2s":
            return Window(1_000, 2.0)
        return Window(float(name.rpartition(" ")[2].removesuffix("/2s")), 2.0, shared=False)

    def rest(self, api: str, method: str, path: str, params: Any, cost: float) -> Spending:
        """One request of the endpoint's, or one an order of a batch."""
        number = float(len(params)) if isinstance(params, list) else 1.0
        per_2s = max(1.0, round(self.units_per_2s / cost)) if cost else 60.0
        kind = self.kind(api, method, path)
        counted = (("orders 2s", number),) if kind is Kind.ORDER else ()
        return Spending(kind, ((f"{path} {per_2s:g}/2s", number), *counted))

    def socket(self, request: Command, sent: str) -> Spending:
        """One of the same endpoint's."""
        counted = () if isinstance(request, CancelRequest) else (("orders 2s", 1.0),)
        return Spending(kind_of(request), ((self.socket_paths[type(request)], 1.0), *counted))

    def heard(self, budget: Budget, status: int, path: str, headers: dict[str, str], body: str) -> None:
        """Refusals."""
        if status == 429 or '"50011"' in body or '"50061"' in body:
            budget.close(2.0)
