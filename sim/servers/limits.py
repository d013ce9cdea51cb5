"""The rate limits that loopback venues hold their clients to, when they are told to (`enforce`): as the venues document them.

    Binance        weight by address in minutes of the clock, new orders by account in ten seconds and days; every answer says what is used
    Binance USD-M  the same rules, 2,400 a minute, 300 orders in ten seconds and 1,200 a minute
    Bybit          each endpoint in rolling seconds by account; every answer says what is left
    Coinbase       30 private requests in a rolling second by account, 10 public ones by address; nothing is said
    OKX            each endpoint in rolling two seconds by account, new and amended orders in all 1,000; nothing is said
    Kraken         a decaying counter of private requests, and one of orders for each pair (tier "Pro"); nothing is said
    Kraken Futures 500 points of private requests in rolling ten seconds by account, 100 of histories in ten minutes; nothing is said

A request over a limit is answered with the venue's words and not done; it counts all the same. What is not listed costs as its like do.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Callable
from typing import ClassVar
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

Clock = Callable[[], float]


class Rolling:
    """At most `most` in any span of `seconds`."""

    def __init__(self, most: int, seconds: float, clock: Clock) -> None:
        self.most = most
        self._seconds = seconds
        self._clock = clock
        self._at: deque[float] = deque()

    def left(self) -> int:
        """How many more there may be now."""
        now = self._clock()
        while self._at and self._at[0] <= now - self._seconds:
            self._at.popleft()
        return self.most - len(self._at)

    def take(self, count: int = 1) -> bool:
        """Count, and whether it was allowed."""
        allowed = self.left() >= count
        self._at.extend([self._clock()] * count)
        return allowed


class Fixed:
    """At most `most` in each interval of the clock."""

    def __init__(self, most: int, seconds: int, clock: Clock) -> None:
        self.most = most
        self._seconds = seconds
        self._clock = clock
        self._began = 0
        self._used = 0

    @property
    def used(self) -> int:
        """In this interval."""
        began = int(self._clock()) // self._seconds
        if began != self._began:
            self._began, self._used = began, 0
        return self._used

    def take(self, count: int) -> bool:
        """Count, and whether it was allowed."""
        self._used = self.used + count
        return self._used <= self.most


class Decaying:
    """A counter that may not pass `most` and goes down by `per_s`."""

    def __init__(self, most: float, per_s: float, clock: Clock) -> None:
        self._most = most
        self._per_s = per_s
        self._clock = clock
        self._level = 0.0
        self._at = clock()

    def take(self, points: float) -> bool:
        """Count, and whether it was allowed."""
        now = self._clock()
        self._level = max(0.0, self._level - self._per_s * (now - self._at)) + points
        self._at = now
        return self._level <= self._most


class VenueLimits(ABC):
    """What one client may ask of one venue. `refused`: requests that were over a limit."""

    def __init__(self, clock: Clock = time.time) -> None:
        self.clock = clock
        self.refused = 0

    def allows(self, request: web.Request, body: bytes) -> bool:
        """Count a REST request, and whether it is within the limits."""
        allowed = self.rest(request, body)
        self.refused += not allowed
        return allowed

    def allows_socket(self, op: str, params: dict) -> bool:
        """The same of a request over a socket."""
        allowed = self.socket(op, params)
        self.refused += not allowed
        return allowed

    @abstractmethod
    def rest(self, request: web.Request, body: bytes) -> bool:
        """Count a REST request."""

    @abstractmethod
    def socket(self, op: str, params: dict) -> bool:
        """Count a request over a socket."""

    def headers(self, request: web.Request) -> dict[str, str]:
        """What the answer says of the limits."""
        return {}


class BinanceLimits(VenueLimits):
    """Weights of the spot API."""

    prefix: ClassVar[str] = "/api/v3/"
    weights: ClassVar[dict[tuple[str, str], int]] = {
        ("GET", "account"): 20,
        ("GET", "allOrders"): 20,
        ("GET", "exchangeInfo"): 20,
        ("GET", "myTrades"): 20,
        ("GET", "openOrders"): 6,
        ("GET", "order"): 4,
        ("PUT", "order/amend/keepPriority"): 4,
        ("GET", "trades"): 25,
    }
    socket_weights: ClassVar[dict[str, int]] = {"order.amend.keepPriority": 4, "order.status": 4}
    minute: ClassVar[int] = 6_000
    order_limits: ClassVar[dict[str, tuple[int, int]]] = {"10s": (100, 10), "1d": (200_000, 86_400)}

    def __init__(self, clock: Clock = time.time) -> None:
        super().__init__(clock)
        self.weight = Fixed(self.minute, 60, clock)
        self.orders = {name: Fixed(most, seconds, clock) for name, (most, seconds) in self.order_limits.items()}

    def rest(self, request: web.Request, body: bytes) -> bool:
        """Weight, and new orders by number."""
        path = request.path.removeprefix(self.prefix)
        weight = self.weights.get((request.method, path), 1)
        if path == "depth":
            weight = self.depth_weight(int(request.query.get("limit", 100)))
        return self._take(weight, order=(request.method, path) == ("POST", "order"))

    def depth_weight(self, levels: int) -> int:
        """A snapshot's, by its levels."""
        return next((weight for most, weight in ((100, 5), (500, 25), (1000, 50)) if levels <= most), 250)

    def socket(self, op: str, params: dict) -> bool:
        """As by REST."""
        return self._take(self.socket_weights.get(op, 1), order=op == "order.place")

    def _take(self, weight: int, *, order: bool) -> bool:
        taken = [self.weight.take(weight)] + [limit.take(1) for limit in self.orders.values() if order]
        return all(taken)

    def headers(self, request: web.Request) -> dict[str, str]:
        """What is used."""
        counts = {f"X-MBX-ORDER-COUNT-{name.upper()}": str(limit.used) for name, limit in self.orders.items()}
        is_order = request.method == "POST" and request.path.endswith("/order")
        return {"X-MBX-USED-WEIGHT-1M": str(self.weight.used), **(counts if is_order else {})}


class BinanceUsdmLimits(BinanceLimits):
    """Weights of the USD-M API."""

    prefix = "/fapi/v1/"
    weights: ClassVar[dict[tuple[str, str], int]] = {
        ("GET", "allOrders"): 5,
        ("GET", "userTrades"): 5,
        ("GET", "income"): 30,
        ("GET", "trades"): 5,
    }
    minute = 2_400
    order_limits: ClassVar[dict[str, tuple[int, int]]] = {"10s": (300, 10), "1m": (1_200, 60)}

    def depth_weight(self, levels: int) -> int:
        """A snapshot's, by its levels."""
        return next((weight for most, weight in ((50, 2), (100, 5), (500, 10)) if levels <= most), 20)


class BybitLimits(VenueLimits):
    """A second at a time; endpoints that are not listed allow fifty."""

    per_s: ClassVar[dict[str, int]] = {
        "order/create": 20,
        "order/amend": 10,
        "order/cancel": 20,
        "order/cancel-all": 1,
        "order/cancel-batch": 10,
        "order/disconnected-cancel-all": 10,
        "order/realtime": 10,
        "order/history": 10,
        "execution/list": 10,
        "account/fee-rate": 5,
    }
    sockets: ClassVar[dict[str, str]] = {
        "order.create": "order/create",
        "order.amend": "order/amend",
        "order.cancel": "order/cancel",
    }

    def __init__(self, clock: Clock = time.time) -> None:
        super().__init__(clock)
        self._address = Rolling(600, 5, clock)
        self._endpoints: dict[str, Rolling] = {}

    def _endpoint(self, path: str) -> Rolling:
        if path not in self._endpoints:
            self._endpoints[path] = Rolling(self.per_s.get(path, 50), 1, self.clock)
        return self._endpoints[path]

    def rest(self, request: web.Request, body: bytes) -> bool:
        """One of the endpoint's and one of the address's."""
        taken = [self._endpoint(request.path.removeprefix("/v5/")).take(), self._address.take()]
        return all(taken)

    def socket(self, op: str, params: dict) -> bool:
        """One of the same endpoint's."""
        return self._endpoint(self.sockets[op]).take()

    def socket_headers(self, op: str) -> dict[str, str]:
        """What the answer of the trade socket says."""
        return self._said(self._endpoint(self.sockets[op]))

    def headers(self, request: web.Request) -> dict[str, str]:
        """What is left of the second."""
        return self._said(self._endpoint(request.path.removeprefix("/v5/")))

    def _said(self, endpoint: Rolling) -> dict[str, str]:
        reset = str(int(self.clock() * 1000))
        left = str(max(0, endpoint.left()))
        return {"X-Bapi-Limit": str(endpoint.most), "X-Bapi-Limit-Status": left, "X-Bapi-Limit-Reset-Timestamp": reset}


class CoinbaseLimits(VenueLimits):
    """All private requests together, all public ones together; there are none over a socket."""

    def __init__(self, clock: Clock = time.time) -> None:
        super().__init__(clock)
        self._private = Rolling(30, 1, clock)
        self._public = Rolling(10, 1, clock)

    def rest(self, request: web.Request, body: bytes) -> bool:
        """One, of those that want a signature or of those that do not."""
        path = request.path.removeprefix("/api/v3/brokerage/")
        return (self._public if path == "time" or path.startswith("market/") else self._private).take()

    def socket(self, op: str, params: dict) -> bool:
        """Subscriptions are not counted."""
        return True


class OkxLimits(VenueLimits):
    """Two seconds at a time; endpoints that are not listed allow twenty."""

    per_2s: ClassVar[dict[tuple[str, str], int]] = {
        ("POST", "trade/order"): 60,
        ("POST", "trade/batch-orders"): 300,
        ("POST", "trade/cancel-order"): 60,
        ("POST", "trade/cancel-batch-orders"): 300,
        ("POST", "trade/amend-order"): 60,
        ("POST", "trade/amend-batch-orders"): 300,
        ("POST", "trade/cancel-all-after"): 2,
        ("GET", "trade/order"): 60,
        ("GET", "trade/orders-pending"): 60,
        ("GET", "trade/orders-history"): 40,
        ("GET", "trade/fills"): 60,
        ("GET", "trade/fills-history"): 10,
        ("GET", "account/balance"): 10,
        ("GET", "account/trade-fee"): 5,
        ("GET", "market/books"): 40,
        ("GET", "market/trades"): 100,
        ("GET", "public/time"): 10,
    }
    sockets: ClassVar[dict[str, str]] = {
        "order": "trade/order",
        "batch-orders": "trade/batch-orders",
        "amend-order": "trade/amend-order",
        "batch-amend-orders": "trade/amend-batch-orders",
        "cancel-order": "trade/cancel-order",
        "batch-cancel-orders": "trade/cancel-batch-orders",
    }

    def __init__(self, clock: Clock = time.time) -> None:
        super().__init__(clock)
        self._orders = Rolling(1_000, 2, clock)
        self._endpoints: dict[tuple[str, str], Rolling] = {}

    def rest(self, request: web.Request, body: bytes) -> bool:
        """One of the endpoint's, or one an order of a batch."""
        count = len(orjson.loads(body)) if body.startswith(b"[") else 1
        return self._take(request.method, request.path.removeprefix("/api/v5/"), count)

    def socket(self, op: str, params: dict) -> bool:
        """One of the same endpoint's."""
        return self._take("POST", self.sockets[op], len(params.get("args") or [0]))

    def _take(self, method: str, path: str, count: int) -> bool:
        key = (method, path)
        if key not in self._endpoints:
            self._endpoints[key] = Rolling(self.per_2s.get(key, 20), 2, self.clock)
        placing = method == "POST" and ("order" in path and "cancel" not in path)
        taken = [self._endpoints[key].take(count), self._orders.take(count) if placing else True]
        return all(taken)


class KrakenLimits(VenueLimits):
    """Counters. Public requests: fifteen at once, then one a second (the venue says only that one a second is fine)."""

    cancels: ClassVar[tuple[tuple[int, int], ...]] = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))
    amends: ClassVar[tuple[tuple[int, int], ...]] = ((5, 3), (10, 2), (15, 1))

    def __init__(self, clock: Clock = time.time) -> None:
        super().__init__(clock)
        self._requests = Decaying(20, 1.0, clock)
        self._public = Decaying(15, 1.0, clock)
        self._pairs: defaultdict[str, Decaying] = defaultdict(lambda: Decaying(180, 3.75, clock))
        self._orders: dict[str, tuple[str, float]] = {}  # cl_ord_id → pair, when it was placed or amended

    def rest(self, request: web.Request, body: bytes) -> bool:
        """Points of the request and of its orders."""
        name = request.path.rpartition("/")[2]
        if "/public/" in request.path:
            return self._public.take(1)
        json = body.startswith(b"{")
        params = orjson.loads(body) if json else dict(parse_qsl(body.decode()))
        match name:
            case "AddOrder":
                return self._add(str(params.get("cl_ord_id", "")), str(params.get("pair", "")))
            case "AmendOrder":
                return self._amend(str(params.get("cl_ord_id", "")))
            case "CancelOrder":
                return self._cancel(str(params.get("cl_ord_id", "")))
            case "CancelOrderBatch":
                return all([self._cancel(str(sent)) for sent in params.get("cl_ord_ids") or ()])
        return self._requests.take(2 if name in ("TradesHistory", "Ledgers") else 1)

    def socket(self, op: str, params: dict) -> bool:
        """Points of the orders alone."""
        match op:
            case "add_order":
                return self._add(str(params.get("cl_ord_id", "")), str(params.get("symbol", "")))
            case "amend_order":
                return self._amend(str(params.get("cl_ord_id", "")))
            case "cancel_order":
                return all([self._cancel(str(sent)) for sent in params.get("cl_ord_id") or ()])
        return True

    def _add(self, sent: str, pair: str) -> bool:
        pair = pair.replace("/", "").replace("XBT", "BTC")
        self._orders[sent] = (pair, self.clock())
        return self._pairs[pair].take(1)

    def _amend(self, sent: str) -> bool:
        pair, since = self._orders.get(sent, ("", self.clock()))
        self._orders[sent] = (pair, self.clock())
        return self._pairs[pair].take(1 + self._points(self.amends, since))

    def _cancel(self, sent: str) -> bool:
        pair, since = self._orders.get(sent, ("", self.clock()))
        return self._pairs[pair].take(self._points(self.cancels, since))

    def _points(self, table: tuple[tuple[int, int], ...], since: float) -> int:
        age = self.clock() - since
        return next((points for younger, points in table if age < younger), 0)


class KrakenFuturesLimits(VenueLimits):
    """Points by endpoint; public ones are free. The pool of histories fills up continuously."""

    costs: ClassVar[dict[str, int]] = {
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
    public: ClassVar[tuple[str, ...]] = (
        "instruments",
        "instruments/status",
        "tickers",
        "orderbook",
        "historicalfundingrates",
    )

    def __init__(self, clock: Clock = time.time) -> None:
        super().__init__(clock)
        self._points = Rolling(500, 10, clock)
        self._history = Decaying(100, 100 / 600, clock)

    def rest(self, request: web.Request, body: bytes) -> bool:
        """Points of the endpoint."""
        if request.path.startswith(("/api/charts/", "/api/history/v3/market/")):
            return True
        if request.path.startswith("/api/history/"):
            count = int(request.query.get("count", 500)) if request.path.endswith("account-log") else 0
            return self._history.take(1 if count <= 25 else 2 if count <= 50 else 3 if count <= 1_000 else 6)
        path = request.path.removeprefix("/derivatives/api/v3/").removeprefix("/derivatives/api/v4/")
        if path in self.public:
            return True
        if path == "batchorder":
            return self._points.take(9 + body.count(b'"order":'))
        if path == "fills":
            return self._points.take(25 if "lastFillTime" in request.query else 2)
        return self._points.take(self.costs.get(path, 10))

    def socket(self, op: str, params: dict) -> bool:
        """Orders do not go over a socket."""
        return True
