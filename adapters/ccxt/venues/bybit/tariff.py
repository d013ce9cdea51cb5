"""What requests cost at Bybit.

Each endpoint by itself, a second at a time; headers X-Bapi-Limit and X-Bapi-Limit-Status (left) tell. 600 requests in five seconds an
address. Refusals: retCode 10006, HTTP 403 for the address.

Sources: the venue's documentation; the costs of an endpoint are ccxt's table of them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from adapters.ccxt.dialect import AmendRequest, CancelRequest, OrderRequest
from adapters.ccxt.limits.budget import Budget, Limit, Spending, Window
from adapters.ccxt.limits.tariff import RETRY_S, Command, Tariff, kind_of


class BybitTariff(Tariff):
    """Each endpoint by itself; a limit is named as its path."""

    orders = frozenset({"v5/order/create", "v5/order/amend"})
    cancels = frozenset(
        {"v5/order/cancel", "v5/order/cancel-batch", "v5/order/cancel-all", "v5/order/disconnected-cancel-all"}
    )
    units_per_s: ClassVar[float] = 50.0
    socket_paths: ClassVar[dict[type, tuple[str, float]]] = {
        OrderRequest: ("v5/order/create", 20.0),
        AmendRequest: ("v5/order/amend", 10.0),
        CancelRequest: ("v5/order/cancel", 20.0),
    }

    def __init__(self) -> None:
        self._per_s: dict[str, float] = {}  # path → requests a second: documented, then as the venue's header has it

    def limit(self, name: str) -> Limit:
        """Of a path, or of the address."""
        return Window(600, 5.0) if name == "address 5s" else Window(self._per_s[name], 1.0, shared=False)

    def rest(self, api: str, method: str, path: str, params: Any, cost: float) -> Spending:
        """One of the endpoint's, one of the address's."""
        self._per_s.setdefault(path, max(1.0, self.units_per_s / cost) if cost else self.units_per_s)
        return Spending(self.kind(api, method, path), ((path, 1.0), ("address 5s", 1.0)))

    def socket(self, request: Command, sent: str) -> Spending:
        """One of the same endpoint's."""
        path, per_s = self.socket_paths[type(request)]
        self._per_s.setdefault(path, per_s)
        return Spending(kind_of(request), ((path, 1.0),))

    def heard(self, budget: Budget, status: int, path: str, headers: dict[str, str], body: str) -> None:
        """What is left of the endpoint's second; refusals."""
        limit, left = headers.get("x-bapi-limit"), headers.get("x-bapi-limit-status")
        if limit and left:
            self._per_s[path] = budget.limit(path).capacity = float(limit)
            budget.told(path, float(limit) - float(left))
        if status == 403 or '"retCode":10006' in body.replace(" ", ""):
            budget.close(RETRY_S)
