"""What requests cost at Kraken Futures.

Points by endpoint, 500 in ten seconds; histories by themselves, 100 that fill up again in ten minutes; what is public is free. No
headers; refusals: apiLimitExceeded.

Sources: the venue's documentation; the costs of an endpoint are ccxt's table of them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from adapters.ccxt.limits.budget import Budget, Counter, Kind, Limit, Spending, Window
from adapters.ccxt.limits.tariff import RETRY_S, Tariff


class KrakenFuturesTariff(Tariff):
    """Two pools; ccxt's table of costs says one for everything."""

    orders = frozenset({"sendorder", "editorder"})
    cancels = frozenset({"cancelorder", "batchorder", "cancelallorders", "cancelallordersafter"})
    points: ClassVar[dict[str, float]] = {
        "sendorder": 10,
        "editorder": 10,
        "cancelorder": 10,
        "cancelallorders": 25,
        "cancelallordersafter": 25,
        "accounts": 2,
        "openpositions": 2,
        "openorders": 2,
        "orders/status": 1,
    }

    def limit(self, name: str) -> Limit:
        """Of private requests, of histories; what is public is held to our own ten a second."""
        match name:
            case "points 10s":
                return Window(500, 10.0, kept=0.2)  # a cancel costs as much as an order
            case "histories":
                return Counter(100, 100 / 600)
        return Window(10, 1.0, shared=False)

    def rest(self, api: str, method: str, path: str, params: Any, cost: float) -> Spending:
        """Points of the endpoint."""
        given = params if isinstance(params, dict) else {}
        if api in ("public", "charts") or (api, path.partition("/")[0]) == ("history", "market"):
            return Spending(Kind.DATA, (("public 1s", 1.0),))
        kind = self.kind(api, method, path)
        if api == "history":
            count = float(given.get("count", 500)) if path == "account-log" else 0.0
            return Spending(kind, (("histories", 1.0 if count <= 25 else 2.0 if count <= 50 else 3.0),))
        points = self.points.get(path, 10.0)
        if path == "batchorder":
            points = 9.0 + len(given.get("batchOrder") or ())
        elif path == "fills":
            points = 25.0 if "lastFillTime" in given else 2.0
        return Spending(kind, (("points 10s", points),))

    def heard(self, budget: Budget, status: int, path: str, headers: dict[str, str], body: str) -> None:
        """Refusals."""
        if status == 429 or '"apiLimitExceeded"' in body:
            budget.close(RETRY_S)
