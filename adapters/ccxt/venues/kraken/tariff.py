"""What requests cost at Kraken.

A counter of private requests that decays (20, 1 a second: the tier "Pro"), histories count two; a counter of a pair's orders (180, 3.75
a second): 1 a new order, 1 and up to 3 an amendment, up to 8 a cancel, less the longer the order has rested. No headers; refusals:
EAPI: and EOrder:Rate limit exceeded.

Sources: the venue's documentation; the costs of an endpoint are ccxt's table of them.
Ten public requests at once, then one a second, is ours: it says one.
"""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic
from typing import Any, ClassVar

from adapters.ccxt.dialect import AmendRequest, CancelRequest, OrderRequest
from adapters.ccxt.limits.budget import Budget, Counter, Kind, Limit, Spending
from adapters.ccxt.limits.tariff import RETRY_S, Command, Tariff, kind_of

_PLACED_KEPT = 10_000
_CANCEL_COSTS = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))  # an order younger than s seconds, points
_AMEND_COSTS = ((5, 3), (10, 2), (15, 1))


class KrakenTariff(Tariff):
    """Two kinds of counters; when an order was placed is remembered here."""

    orders = frozenset({"AddOrder", "AmendOrder"})
    cancels = frozenset({"CancelOrder", "CancelOrderBatch", "CancelAll", "CancelAllOrdersAfter"})
    units: ClassVar[float] = 3.0  # ccxt's, of one point

    def __init__(self) -> None:
        self._placed: OrderedDict[str, tuple[str, float]] = (
            OrderedDict()
        )  # our id as sent → pair, when placed or amended

    def limit(self, name: str) -> Limit:
        """Of the pair's orders, of private requests, of public ones."""
        if name.startswith("orders "):
            return Counter(180, 3.75)
        return Counter(20, 1.0) if name == "requests" else Counter(10, 1.0)

    def rest(self, api: str, method: str, path: str, params: Any, cost: float) -> Spending:
        """Points of the request, and of the orders it is about."""
        kind, given = self.kind(api, method, path), params if isinstance(params, dict) else {}
        if api.lower() == "public":
            return Spending(Kind.DATA, (("public", 1.0),))
        if path == "BalanceEx":
            kind = Kind.DATA  # balances can wait: no order depends on them
        if path == "GetWebSocketsToken":
            kind = Kind.ORDER  # ahead of the queries: the private stream tells most of what they would ask for
        costs = [("requests", cost / self.units)] if cost else []
        sent = str(given.get("cl_ord_id", ""))
        match path:
            case "AddOrder":
                costs.append(self._add(sent, str(given.get("pair", ""))))
            case "AmendOrder":
                costs.append(self._amend(sent))
            case "CancelOrder":
                costs.append(self._cancel(sent))
            case "CancelOrderBatch":
                costs += self._batch([str(name) for name in given.get("cl_ord_ids") or given.get("orders") or ()])
        return Spending(kind, tuple(costs))

    def socket(self, request: Command, sent: str) -> Spending:
        """The pair's points alone: the counter of requests is REST's."""
        match request:
            case OrderRequest():
                cost = self._add(sent, request.symbol)
            case AmendRequest():
                cost = self._amend(sent)
            case CancelRequest():
                cost = self._cancel(sent)
        return Spending(kind_of(request), (cost,))

    def _add(self, sent: str, pair: str) -> tuple[str, float]:
        pair = pair.replace("/", "").replace("XBT", "BTC")  # the same by both names
        self._placed[sent] = (pair, monotonic())
        while len(self._placed) > _PLACED_KEPT:
            self._placed.popitem(last=False)
        return f"orders {pair}", 1.0

    def _amend(self, sent: str) -> tuple[str, float]:
        pair, since = self._placed.get(sent, ("", monotonic()))
        self._placed[sent] = (pair, monotonic())
        return f"orders {pair}", 1.0 + _by_age(_AMEND_COSTS, since)

    def _cancel(self, sent: str) -> tuple[str, float]:
        pair, since = self._placed.get(sent, ("", monotonic()))
        return f"orders {pair}", _by_age(_CANCEL_COSTS, since)

    def _batch(self, sent: list[str]) -> list[tuple[str, float]]:
        points: dict[str, float] = {}
        for name, cost in map(self._cancel, sent):
            points[name] = points.get(name, 0.0) + cost
        return list(points.items())

    def heard(self, budget: Budget, status: int, path: str, headers: dict[str, str], body: str) -> None:
        """Refusals: the counter is full."""
        if "EAPI:Rate limit exceeded" in body:
            budget.refused += 1
            budget.told("requests", 20.0)
        if "EOrder:Rate limit exceeded" in body or status == 429:
            budget.close(RETRY_S)


def _by_age(table: tuple[tuple[int, int], ...], since_s: float) -> float:
    age = monotonic() - since_s
    return float(next((points for younger, points in table if age < younger), 0))
