"""What a venue's requests cost, and what its answers say of it. The costs of an endpoint are ccxt's table of them, in the venue's units.

    BINANCE      weight: 6,000 a minute an address; new orders: 100 in ten seconds, 200,000 a day. Headers X-MBX-USED-WEIGHT-1M and
                 X-MBX-ORDER-COUNT-10S, -1D tell what is used; 429 and 418 say for how long nothing is wanted (Retry-After).
    BINANCEUSDM  weight: 2,400 a minute; orders: 300 in ten seconds, 1,200 a minute, by X-MBX-ORDER-COUNT-10S, -1M
    BYBIT        each endpoint by itself, a second at a time; headers X-Bapi-Limit and X-Bapi-Limit-Status (left) tell. 600 requests in five
                 seconds an address. Refusals: retCode 10006, HTTP 403 for the address
    COINBASE     30 private requests a second an account, 10 public ones an address. No headers; refusals: HTTP 429
    OKX          each endpoint by itself, two seconds at a time; new and amended orders together 1,000 in two seconds an account. No
                 headers; refusals: code 50011 (endpoint), 50061 (account)
    KRAKEN       a counter of private requests that decays (20, 1 a second: the tier "Pro"), histories count two; a counter of a pair's
                 orders (180, 3.75 a second): 1 a new order, 1 and up to 3 an amendment, up to 8 a cancel, less the longer the order has
                 rested. No headers; refusals: EAPI: and EOrder:Rate limit exceeded
    KRAKENFUTURES  points by endpoint, 500 in ten seconds; histories by themselves, 100 that fill up again in ten minutes; what is public
                 is free. No headers; refusals: apiLimitExceeded

Sources: the venues' documentation, ccxt 4.5.90. Ten public requests of Kraken at once, then one a second, is ours: it says one.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections import OrderedDict
from time import monotonic
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from adapters.ccxt.budget import Budget, Counter, Kind, Limit, Spending, Window
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import AmendRequest, CancelRequest, OrderRequest
from adapters.ccxt.orders import NotSent

_PLACED_KEPT = 10_000
_CANCEL_COSTS = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))  # an order younger than s seconds, points
_AMEND_COSTS = ((5, 3), (10, 2), (15, 1))
_RETRY_S = 1.0


Command = OrderRequest | AmendRequest | CancelRequest


class Tariff(ABC):
    """One venue's. Stateless but for what its rules need to remember."""

    orders: ClassVar[frozenset[str]] = frozenset()  # paths of REST requests that place or amend
    cancels: ClassVar[frozenset[str]] = frozenset()  # paths of those that cancel, and of the dead-man switch

    @abstractmethod
    def limit(self, name: str) -> Limit:
        """A limit that is met for the first time; its name is as `rest` and `socket` gave it."""

    @abstractmethod
    def rest(self, api: str, method: str, path: str, params: Any, cost: float) -> Spending:
        """What a REST request takes. `cost`: of ccxt's table."""

    def socket(self, request: Command, sent: str) -> Spending:
        """What a request over the private socket takes; `sent`: our order id as the venue has it. Not sent where none takes orders."""
        raise NotSent("this venue takes no orders over a socket")

    def heard(self, budget: Budget, status: int, path: str, headers: dict[str, str], body: str) -> None:
        """What an answer says of the limits."""

    def kind(self, api: str, method: str, path: str) -> Kind:
        """What a REST request is for."""
        if path in self.cancels or (method == "DELETE" and path in self.orders):
            return Kind.CANCEL
        if path in self.orders and method != "GET":
            return Kind.ORDER
        return Kind.DATA if api.lower().endswith("public") else Kind.QUERY


def _kind_of(request: Command) -> Kind:
    return Kind.CANCEL if isinstance(request, CancelRequest) else Kind.ORDER


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
        return Spending(_kind_of(request), (weight, *counted))

    def _order_counts(self) -> tuple[tuple[str, float], ...]:
        return tuple((name, 1.0) for name in self.windows if name.startswith("orders"))

    def heard(self, budget: Budget, status: int, path: str, headers: dict[str, str], body: str) -> None:
        """Counts in the headers; 429 and 418."""
        for header, name in self.headers.items():
            if header in headers:
                budget.told(name, float(headers[header]))
        if status in (418, 429):
            budget.close(float(headers.get("retry-after") or _RETRY_S))


class BinanceUsdmTariff(BinanceTariff):
    """The same rules with its own numbers."""

    cancels = BinanceTariff.cancels | {"batchOrders"}
    scale = 1.0
    windows: ClassVar[dict[str, tuple[float, float]]] = {
        "weight 1m": (2_400, 60.0),
        "orders 10s": (300, 10.0),
        "orders 1m": (1_200, 60.0),
    }
    headers: ClassVar[dict[str, str]] = {
        "x-mbx-used-weight-1m": "weight 1m",
        "x-mbx-order-count-10s": "orders 10s",
        "x-mbx-order-count-1m": "orders 1m",
    }


class BybitTariff(Tariff):
    """Each endpoint by itself; a limit is named "path n/s"."""

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
        self._told: dict[str, float] = {}  # path → requests a second, as the venue's header has it

    def limit(self, name: str) -> Limit:
        """By the number in its name."""
        if name == "address 5s":
            return Window(600, 5.0)
        return Window(float(name.rpartition(" ")[2].removesuffix("/s")), 1.0, shared=False)

    def _named(self, path: str, per_s: float) -> str:
        return f"{path} {self._told.get(path, per_s):g}/s"

    def rest(self, api: str, method: str, path: str, params: Any, cost: float) -> Spending:
        """One of the endpoint's, one of the address's."""
        per_s = max(1.0, self.units_per_s / cost) if cost else self.units_per_s
        return Spending(self.kind(api, method, path), ((self._named(path, per_s), 1.0), ("address 5s", 1.0)))

    def socket(self, request: Command, sent: str) -> Spending:
        """One of the same endpoint's."""
        return Spending(_kind_of(request), ((self._named(*self.socket_paths[type(request)]), 1.0),))

    def heard(self, budget: Budget, status: int, path: str, headers: dict[str, str], body: str) -> None:
        """What is left of the endpoint's second; refusals."""
        limit, left = headers.get("x-bapi-limit"), headers.get("x-bapi-limit-status")
        if limit and left:
            self._told[path] = float(limit)
            budget.told(self._named(path, float(limit)), float(limit) - float(left))
        if status == 403 or '"retCode":10006' in body.replace(" ", ""):
            budget.close(_RETRY_S)


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
            budget.close(float(headers.get("retry-after") or _RETRY_S))


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
        return Spending(_kind_of(request), ((self.socket_paths[type(request)], 1.0), *counted))

    def heard(self, budget: Budget, status: int, path: str, headers: dict[str, str], body: str) -> None:
        """Refusals."""
        if status == 429 or '"50011"' in body or '"50061"' in body:
            budget.close(2.0)


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
        return Spending(_kind_of(request), (cost,))

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
            budget.close(_RETRY_S)


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
            budget.close(_RETRY_S)


def _by_age(table: tuple[tuple[int, int], ...], since_s: float) -> float:
    age = monotonic() - since_s
    return float(next((points for younger, points in table if age < younger), 0))


TARIFFS: dict[str, type[Tariff]] = {
    "binance": BinanceTariff,
    "binanceusdm": BinanceUsdmTariff,
    "bybit": BybitTariff,
    "coinbase": CoinbaseTariff,
    "kraken": KrakenTariff,
    "krakenfutures": KrakenFuturesTariff,
    "okx": OkxTariff,
}


class Purse:
    """A budget and the tariff it is spent by: one an account at a venue, shared by its links."""

    def __init__(self, tariff: Tariff) -> None:
        self.tariff = tariff
        self.budget = Budget(tariff.limit)

    def attach(self, exchange: Any, *, throttled: bool = True) -> None:
        """Let every REST request of a ccxt instance be paid for before it leaves, once, and read what the answers say.

        `throttled`: ccxt may space them as well. It does so evenly, first come first served, also those that nobody waits for any more.
        """
        if getattr(exchange, "paid_from", None) is self:
            return
        exchange.paid_from = self
        if not throttled:
            exchange.throttle = _at_once  # of REST only: sockets have a throttle of their own
        fetch, respond = exchange.fetch2, exchange.on_rest_response

        async def fetch2(
            path: str, api: Any = "public", method: str = "GET", params: Any = None, config: Any = None
        ) -> Any:
            given, table = params or {}, config or {}
            cost = float(exchange.calculate_rate_limiter_cost(api, method, path, given, table))
            name = api if isinstance(api, str) else api[0]
            async with self.budget.spend(self.tariff.rest(name, method, path, given, cost)):
                return await fetch(path, api, method, given, table)

        def on_rest_response(code: int, reason: str, url: str, method: str, headers: Any, body: str, *rest: Any) -> str:
            lower = {str(key).lower(): str(value) for key, value in dict(headers or {}).items()}
            path = url.partition("?")[0].partition("://")[2].partition("/")[2]
            self.tariff.heard(self.budget, code, path, lower, body if isinstance(body, str) else "")
            return str(respond(code, reason, url, method, headers, body, *rest))

        exchange.fetch2, exchange.on_rest_response = fetch2, on_rest_response

    def refused(self, error: Exception) -> None:
        """A request over the socket was refused; if for too many, nothing leaves for a while."""
        import ccxt

        if isinstance(error, ccxt.RateLimitExceeded | ccxt.DDoSProtection):
            self.budget.close(_RETRY_S)

    def socket(self, request: Command, sent: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Around a request over the private socket: pay for it; `sent`: our order id as the venue has it."""
        return self.budget.spend(self.tariff.socket(request, sent))


async def _at_once(cost: float | None = None) -> None:
    """In place of ccxt's throttle: what a request costs is paid already."""


_PURSES: WeakValueDictionary[tuple[str, str, str], Purse] = WeakValueDictionary()


def purse_of(config: ExchangeConfig) -> Purse | None:
    """The purse of an account at a venue, the same for all its links; None for a venue whose tariff is not known: ccxt's throttle stays."""
    if config.exchange not in TARIFFS:
        return None
    key = (config.exchange, config.rest_url or "", config.api_key)
    purse = _PURSES.get(key)
    if purse is None:
        purse = _PURSES[key] = Purse(TARIFFS[config.exchange]())
    return purse
