"""Loopback Kraken Futures: REST v3, histories and WebSocket v1, as an unmodified client sees them.

* REST under `/derivatives/api/v3`, histories under `/api/history`, candles under `/api/charts`. Private requests are signed: HMAC-SHA512,
  keyed with the secret's bytes, of the SHA-256 of parameters, nonce (when there is one) and path; `result: error` with
  `authenticationError` otherwise. What is refused of an order is a status in a good answer.
* WebSocket `/ws/v1`: `book` (the whole book, then one level a message, numbered for each product), `trade` (the latest, then each),
  `ticker` and `heartbeat` each second; private feeds with a challenge and its signature: `open_orders`, `open_orders_verbose`, `fills`,
  `balances`, `open_positions`, `account_log`.
* Mark price: the middle of the shown book; index: the spot venue's middle where one is served beside it, else the mark price. Funding is
  settled at the end of each hour at the rate of `sim.servers.funding`; what margins and liquidations are is in `sim.servers.margin`.

Ours, where the venue documents nothing: an edited post-only order that would take is cancelled (its words of placing one say so); the HTTP
status of a refusal for too many requests; a lost book is told as a snapshot without levels. Not simulated: funding that is realised with
every trade, isolated margin, haircuts and conversion of collateral, its own margin levels, triggers, assignment, dated futures, charts of
mark and index prices.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import uuid
from collections.abc import Awaitable, Callable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, ClassVar

import orjson
from aiohttp import web

from sim.events import EventKind, VenueEvent
from sim.servers import history
from sim.servers.base import Credentials, Peer, VenueServer
from sim.servers.faults import Fault
from sim.servers.funding import FundingRate, premium
from sim.servers.krakenfutures import wire
from sim.servers.krakenfutures.account import KrakenFuturesAccount
from sim.servers.krakenfutures.wire import KrakenFuturesError
from sim.servers.limits import KrakenFuturesLimits
from sim.servers.margin import MarginCore, Payment, ended_by_venue
from sim.servers.records import Change, VenueFill, VenueOrder
from sim.servers.rolling import Rolling

API = "/derivatives/api/v3"
HISTORY = "/api/history"
CHARTS = "/api/charts/v1"
FUNDING_S = 3_600
_PUBLIC = ("book", "trade", "ticker", "heartbeat")
_PRIVATE = ("open_orders", "open_orders_verbose", "fills", "balances", "open_positions", "account_log")
_MARK = Decimal("0.00000001")
_KEPT_RATES = 1_000

Handler = Callable[[dict[str, str]], dict[str, Any]]


class KrakenFuturesServer(VenueServer):
    """The loopback Kraken Futures on a margin core.

    `index_of(symbol)`: the index price, None while there is none. `fundings[symbol]`: its rate and next settlement, which may be set.
    `pinned[symbol]`: a mark price to hold instead of the market's, to have a liquidation.
    """

    venue: ClassVar[str] = "KRAKENFUTURES"
    limits_of = KrakenFuturesLimits
    core: MarginCore

    def __init__(self, core: MarginCore, credentials: Credentials) -> None:
        super().__init__(core, credentials)
        self.account = KrakenFuturesAccount(core, self.faults)
        self.fundings = {symbol: FundingRate(core.clock_ns(), FUNDING_S) for symbol in core.instruments}
        self.rates: dict[str, list[tuple[int, Decimal, Decimal]]] = {symbol: [] for symbol in core.instruments}
        self.pinned: dict[str, Decimal] = {}
        self.index_of: Callable[[str], Decimal | None] = lambda symbol: None
        self._rolling = {symbol: Rolling(one, core.clock_ns()) for symbol, one in core.instruments.items()}
        self._numbers = dict.fromkeys(core.instruments, core.clock_ns() // 1_000_000)  # of the books' messages
        self._trades = dict.fromkeys(core.instruments, 0)
        self._told = 0  # messages of private feeds
        self._booked: set[int] = set()  # orders that were told as being in the book
        core.on_order.append(self._on_order)
        core.on_rows.append(lambda symbol, rows: self._publish_rows(symbol, rows, core.clock_ns()))
        core.on_print.append(self._on_own_print)
        core.on_payment.append(self._on_payment)
        self._routes()

    def _now_ms(self) -> int:
        return self.core.clock_ns() // 1_000_000

    def _product(self, symbol: str) -> str:
        return wire.product_id(self.core.instruments[symbol])

    def _say(self, feed: str, symbol: str, body: dict[str, Any], *, market: bool = True) -> None:
        topic = f"{feed}:{symbol}" if market else feed
        self.publish(topic, orjson.dumps(body).decode(), symbol=symbol, market=market)

    # --- market data -------------------------------------------------------------------------------------------------------------------

    def on_market(self, event: VenueEvent) -> None:
        """Take in an event and publish the frames for it."""
        symbol, ts_ns = event.symbol, event.ts_event_ns
        rows = self.core.apply(event)
        match event.kind:
            case EventKind.UPDATE:
                self._publish_rows(symbol, rows, ts_ns)
            case EventKind.SNAPSHOT | EventKind.CLEAR:
                self._numbers[symbol] += 1
                self._say("book", symbol, self._snapshot(symbol, ts_ns))
            case EventKind.TRADE:
                self._take_trade(symbol, self.core.next_trade_id(), event.price, event.size, event.side, ts_ns)

    def _publish_rows(self, symbol: str, rows: list[tuple[int, int, int]], ts_ns: int) -> None:
        """One message a level: first what is gone, so that the book is crossed at no moment."""
        if not self.core.books[symbol].live:
            return
        if rows and self.faults.take(Fault.DROP_UPDATES, symbol=symbol):
            self._numbers[symbol] += len(rows)
            return
        instrument = self.core.instruments[symbol]
        listened = any(f"book:{symbol}" in peer.topics for peer in self.peers)
        rows = sorted(rows, key=lambda row: row[2] > 0)
        for side, price, size in self.faults.spoiled(rows, symbol):  # type: ignore[arg-type,misc]
            self._numbers[symbol] += 1
            if listened:
                body = {
                    "feed": "book",
                    "product_id": wire.product_id(instrument),
                    "side": "buy" if side > 0 else "sell",
                    "seq": self._numbers[symbol],
                    **wire.level(instrument, price, size),
                    "timestamp": ts_ns // 1_000_000,
                }
                self._say("book", symbol, body)

    def _snapshot(self, symbol: str, ts_ns: int) -> dict[str, Any]:
        shown, instrument = self.core.books[symbol].shown, self.core.instruments[symbol]
        sides = {
            name: [wire.level(instrument, price, size) for price, size in side.top(len(side))]
            for name, side in (("bids", shown.bids), ("asks", shown.asks))
        }
        return {
            "feed": "book_snapshot",
            "product_id": wire.product_id(instrument),
            "timestamp": ts_ns // 1_000_000,
            "seq": self._numbers[symbol],
            "tickSize": None,
            **sides,
        }

    def _take_trade(
        self, symbol: str, trade_id: int, price: int, size: int, side: int, ts_ns: int, *, forced: bool = False
    ) -> None:
        ms = ts_ns // 1_000_000
        self._rolling[symbol].add(trade_id, price, size, side, ms)
        self._trades[symbol] += 1
        terms = (self.core.instruments[symbol], trade_id, self._trades[symbol], price, size, side, ms)
        self._say("trade", symbol, wire.trade(*terms, forced=forced))

    def _on_own_print(self, symbol: str, fill: VenueFill) -> None:
        order = self.core.orders.get(fill.order_id)
        forced = order is not None and ended_by_venue(order)
        aggressor = -fill.side if fill.maker else fill.side
        self._take_trade(symbol, fill.trade_id, fill.price, fill.size, aggressor, fill.ts_ns, forced=forced)

    async def background(self) -> None:
        """Each second: mark prices, funding, margins, tickers, heartbeats."""
        while True:
            await asyncio.sleep(1)
            self.second()

    def second(self) -> None:
        """What happens each second."""
        now_ns = self.core.clock_ns()
        settled: dict[str, tuple[Decimal, Decimal]] = {}
        for symbol, funding in self.fundings.items():
            if (index := self._remark(symbol)) is None:
                continue
            if (sampled := premium(self.core, symbol, index)) is not None:
                funding.sample(sampled)
            mark = self.core.marks[symbol]
            if (rate := funding.due(now_ns)) is not None:
                settled[symbol] = (rate, mark)
                self.rates[symbol] = [*self.rates[symbol], (now_ns // 1_000_000, rate, mark)][-_KEPT_RATES:]
            if (ticker := self._ticker(symbol)) is not None:
                self._say("ticker", symbol, ticker)
        self.publish("heartbeat", orjson.dumps({"feed": "heartbeat", "time": now_ns // 1_000_000}).decode())
        if settled:
            self.core.pay_funding(settled)
        self.core.check_margin()
        self._tell_positions()

    def _remark(self, symbol: str) -> Decimal | None:
        """A new mark price; the index price, None before there is any price."""
        middle = self.pinned.get(symbol) or self.core.mid(symbol)
        if middle is not None:
            self.core.marks[symbol] = middle.quantize(_MARK, ROUND_HALF_EVEN)
        known = self.core.marks.get(symbol)
        index = self.index_of(symbol)
        return known if known is None or index is None else index

    def _ticker(self, symbol: str) -> dict[str, Any] | None:
        """None while there is no two-sided book."""
        book, instrument = self.core.books[symbol], self.core.instruments[symbol]
        bids, asks = book.shown.bids.top(1), book.shown.asks.top(1)
        index = self._remark(symbol)
        if not book.live or not bids or not asks or index is None:
            return None
        rolling, prices = self._rolling[symbol], self._rolling[symbol].prices()
        known = wire.ticker(instrument, self.core.marks[symbol], index, self.fundings[symbol], self._now_ms())
        numbers = {
            "bid": bids[0][0],
            "ask": asks[0][0],
            **{key: prices[key] for key in ("last", "open", "high", "low")},
        }
        sizes = {
            "bid_size": bids[0][1],
            "ask_size": asks[0][1],
            "volume": rolling.volume,
            "volumeQuote": rolling.volume,
        }
        change = 100 * (rolling.last - rolling.first) / rolling.first if rolling.first else 0.0
        return (
            known
            | {name: wire.number(instrument.price(value)) for name, value in numbers.items()}
            | {name: wire.number(instrument.size(value)) for name, value in sizes.items()}
            | {"change": change}
        )

    # --- private feeds -----------------------------------------------------------------------------------------------------------------

    def _private(self, feed: str, body: dict[str, Any]) -> None:
        self._told += 1
        self._say(feed, "", {"feed": feed, **body}, market=False)

    def _on_order(self, order: VenueOrder, change: Change, fill: VenueFill | None) -> None:
        instrument, rests = self.core.instruments[order.symbol], order.order_id in self.core.resting
        done = order.filled
        if fill is not None:
            done = sum(one.size for one in order.fills[: order.fills.index(fill) + 1])
            row = wire.feed_fill(fill, order, instrument, order.quantity - done, self._told)
            self._private("fills", {"username": wire.ACCOUNT, "fills": [row]})
        told = order.order_id in self._booked
        match change:
            case Change.NEW if rests:
                self._booked.add(order.order_id)
                self._tell_order(order, done, "new_placed_order_by_user")
            case Change.AMENDED if told:
                self._tell_order(order, done, "edited_by_user")
            case Change.TRADE if told and fill is not None and (fill.maker or order.updated_ns > order.created_ns):
                whole = done == order.quantity
                self._tell_order(order, done, "full_fill" if whole else "partial_fill", gone=whole)
            case Change.CANCELED | Change.EXPIRED if told:
                for feed in ("open_orders", "open_orders_verbose"):
                    self._private(feed, wire.gone(order))
        if not order.open:
            self._booked.discard(order.order_id)
        self._private("balances", {"account": wire.ACCOUNT, "flex_futures": {"currencies": {}}, "seq": self._told})
        if fill is not None:
            self._tell_positions()

    def _tell_order(self, order: VenueOrder, done: int, reason: str, *, gone: bool = False) -> None:
        row = wire.feed_order(order, self.core.instruments[order.symbol], done)
        for feed in ("open_orders", "open_orders_verbose"):
            self._private(feed, {"order": row, "is_cancel": gone, "reason": reason})

    def _tell_positions(self) -> None:
        rows, now_ms = wire.feed_positions(self.core), self._now_ms()
        self._private(
            "open_positions", {"account": wire.ACCOUNT, "positions": rows, "seq": self._told, "timestamp": now_ms}
        )

    def _on_payment(self, payments: list[Payment]) -> None:
        for payment in payments:
            entry = wire.funding_log(payment, self.core.instruments[payment.symbol])
            self._private("account_log", {"new_entry": entry})

    # --- WebSocket ---------------------------------------------------------------------------------------------------------------------

    def greet(self, peer: Peer, path: str) -> None:
        """The venue names its version."""
        peer.send('{"event":"info","version":1}')

    def on_clock(self) -> None:
        """The dead-man switch."""
        self.account.dead_man.check()

    async def on_message(self, peer: Peer, message: dict, path: str) -> None:
        """A challenge, a subscription, or the end of one."""
        event, feed = message.get("event"), str(message.get("feed"))
        match event:
            case "challenge":
                peer.state["challenge"] = challenge = str(uuid.uuid4())
                peer.send(orjson.dumps({"event": "challenge", "message": challenge}).decode())
            case "subscribe" | "unsubscribe" if feed in _PRIVATE:
                self._change_private(peer, feed, message, joins=event == "subscribe")
            case "subscribe" | "unsubscribe" if feed in _PUBLIC:
                self._change(peer, feed, message, joins=event == "subscribe")
            case "subscribe" | "unsubscribe":
                peer.send('{"event":"error","message":"Invalid feed"}')
            case _:
                peer.send('{"event":"error","message":"Json Error"}')

    def _change(self, peer: Peer, feed: str, message: dict, *, joins: bool) -> None:
        products = [str(product) for product in message.get("product_ids") or []]
        symbols = [self.account.products.get(product) for product in products]
        if None in symbols or (feed != "heartbeat" and not symbols):
            peer.send('{"event":"error","message":"Invalid product id"}')
            return
        topics = [f"{feed}:{symbol}" for symbol in symbols] if feed != "heartbeat" else [feed]
        if joins and peer.topics.intersection(topics):
            peer.send('{"event":"alert","message":"Already subscribed to feed, re-requesting"}')
        word = "subscribed" if joins else "unsubscribed"
        peer.send(orjson.dumps({"event": word, "feed": feed, "product_ids": products}).decode())
        if not joins:
            peer.topics.difference_update(topics)
            return
        peer.topics.update(topics)
        for symbol in symbols:
            if symbol is not None and (first := self._first(feed, symbol)) is not None:
                peer.send(orjson.dumps(first).decode())

    def _first(self, feed: str, symbol: str) -> dict[str, Any] | None:
        """What a new subscriber is told first."""
        match feed:
            case "book" if self.core.books[symbol].live:
                return self._snapshot(symbol, self.core.clock_ns())
            case "trade":
                instrument, latest = self.core.instruments[symbol], self._rolling[symbol].latest(100)[::-1]
                rows = [wire.trade(instrument, row[0], 0, *row[1:], forced=False) for row in latest]
                return {"feed": "trade_snapshot", "product_id": self._product(symbol), "trades": rows}
            case "ticker":
                return self._ticker(symbol)
        return None

    def _change_private(self, peer: Peer, feed: str, message: dict, *, joins: bool) -> None:
        challenge = peer.state.get("challenge")
        known = str(message.get("api_key")) == self.credentials.key and message.get("original_challenge") == challenge
        signed = self._sealed(str(challenge).encode())
        if not known or challenge is None or not hmac.compare_digest(signed, str(message.get("signed_challenge"))):
            peer.send('{"event":"alert","message":"Failed to subscribe to authenticated feed"}')
            return
        word = "subscribed" if joins else "unsubscribed"
        peer.send(orjson.dumps({"event": word, "feed": feed}).decode())
        if not joins:
            peer.topics.discard(feed)
            return
        peer.topics.add(feed)
        peer.send(orjson.dumps(self._private_snapshot(feed)).decode())

    def _private_snapshot(self, feed: str) -> dict[str, Any]:
        listed, resting = self.core.instruments, self.core.resting.values()
        match feed:
            case "open_orders" | "open_orders_verbose":
                rows = [wire.feed_order(one, listed[one.symbol], one.filled) for one in resting]
                return {"feed": f"{feed}_snapshot", "account": wire.ACCOUNT, "orders": rows}
            case "fills":
                latest = self.core.fills[-100:]
                rows = [
                    wire.feed_fill(one, self.core.orders.get(one.order_id), listed[one.symbol], 0, 0) for one in latest
                ]
                return {"feed": "fills_snapshot", "account": wire.ACCOUNT, "fills": rows}
            case "open_positions":
                rows = wire.feed_positions(self.core)
                return {"feed": feed, "account": wire.ACCOUNT, "positions": rows, "seq": 0, "timestamp": self._now_ms()}
            case "balances":
                empty: dict[str, Any] = {"holding": {}, "futures": {}, "flex_futures": {"currencies": {}}}
                return {
                    "feed": "balances_snapshot",
                    "account": wire.ACCOUNT,
                    **empty,
                    "seq": 0,
                    "timestamp": self._now_ms(),
                }
        return {"feed": "account_log_snapshot", "logs": []}

    def _sealed(self, message: bytes) -> str:
        """The signature of a challenge or of a request."""
        secret = base64.b64decode(self.credentials.secret)
        return base64.b64encode(hmac.digest(secret, hashlib.sha256(message).digest(), "sha512")).decode()

    # --- REST --------------------------------------------------------------------------------------------------------------------------

    def _routes(self) -> None:
        add, account = self.app.router.add_route, self.account
        public: dict[str, Handler] = {
            f"{API}/instruments": lambda query: {"instruments": wire.instruments(self.core.instruments)},
            f"{API}/tickers": lambda query: {"tickers": self._tickers()},
            f"{API}/orderbook": self._order_book,
            f"{API}/instruments/status": lambda query: {"instrumentStatus": wire.statuses(self.core.instruments)},
            "/derivatives/api/v4/historicalfundingrates": self._past_rates,
        }
        bare: dict[str, Handler] = {
            f"{CHARTS}/trade/{{symbol}}/{{interval}}": self._candles,
            f"{HISTORY}/v3/market/{{symbol}}/executions": self._executions,
        }
        private: dict[tuple[str, str], Handler] = {
            ("POST", f"{API}/sendorder"): account.place,
            ("POST", f"{API}/editorder"): account.edit,
            ("POST", f"{API}/cancelorder"): account.cancel,
            ("POST", f"{API}/batchorder"): account.batch,
            ("POST", f"{API}/cancelallorders"): account.cancel_all,
            ("POST", f"{API}/cancelallordersafter"): account.count_down,
            ("GET", f"{API}/openorders"): account.open_orders,
            ("GET", f"{API}/orders/status"): account.order_status,
            ("POST", f"{API}/orders/status"): account.order_status,
            ("GET", f"{API}/fills"): account.fills,
            ("GET", f"{API}/accounts"): account.accounts,
            ("GET", f"{API}/openpositions"): account.positions,
            ("GET", f"{HISTORY}/v2/orders"): account.order_events,
            ("GET", f"{HISTORY}/v3/orders"): account.order_events,
            ("GET", f"{HISTORY}/v3/account-log"): account.account_log,
        }
        for path, handler in public.items():
            add("GET", path, self._answering(handler))
        for path, handler in bare.items():
            add("GET", path, self._answering(handler, bare=True))
        for (method, path), handler in private.items():
            add(method, path, self._signed(handler))
        add("*", "/{tail:.*}", self._other)

    async def _other(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket" and request.path == "/ws/v1":
            return await self.serve_socket(request)
        return _failed("notFound", 404)

    def unavailable(self) -> web.Response:
        """A gateway's 503: no JSON, so nothing that says whether the request was taken."""
        return web.Response(status=503, text="<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>")

    def too_many(self, request: web.Request) -> web.Response:
        """In the venue's words."""
        return _failed("apiLimitExceeded", 429)

    def is_order(self, request: web.Request) -> bool:
        """Whether a request places an order."""
        return request.method == "POST" and request.path == f"{API}/sendorder"

    def _answering(self, handler: Handler, *, bare: bool = False) -> Callable[[web.Request], Awaitable[web.Response]]:
        """`bare`: of those that tell nothing of a result or the time."""

        async def answer(request: web.Request) -> web.Response:
            params = {**request.query, **dict(await request.post()), **request.match_info}
            text = (await request.text()) if request.path.endswith("/batchorder") else ""
            if text.startswith("json="):
                params["json"] = text.removeprefix("json=")
            try:
                said = handler({key: str(value) for key, value in params.items()})
            except KrakenFuturesError as error:
                return _failed(error.code, 400 if bare else 200)
            body = said if bare else {"result": "success", **said, "serverTime": wire.moment(self.now_ns())}
            response = web.Response(body=orjson.dumps(body), content_type="application/json")
            scope = self.scope(request)
            if scope and self.hangs(scope, self.account.products.get(str(params.get("symbol", "")).upper(), "")):
                await self.hang()
            return response

        return answer

    def _signed(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        answered = self._answering(handler)

        async def answer(request: web.Request) -> web.Response:
            sent = request.rel_url.raw_query_string + await request.text()
            path = request.path.removeprefix("/derivatives")
            signed = self._sealed((sent + request.headers.get("Nonce", "") + path).encode())
            given = request.headers.get("Authent", "")
            if request.headers.get("APIKey") != self.credentials.key or not hmac.compare_digest(signed, given):
                return _failed("authenticationError")
            return await answered(request)

        return answer

    def _order_book(self, query: dict[str, str]) -> dict[str, Any]:
        symbol = self.account.symbol(query)
        book, instrument = self.core.books[symbol], self.core.instruments[symbol]
        if not book.live:
            raise KrakenFuturesError("marketUnavailable")
        sides = {
            name: [
                [wire.number(instrument.price(price)), wire.number(instrument.size(size))]
                for price, size in side.top(len(side))
            ]
            for name, side in (("bids", book.shown.bids), ("asks", book.shown.asks))
        }
        return {"orderBook": sides}

    def _tickers(self) -> list[dict[str, Any]]:
        names = {"bid_size": "bidSize", "ask_size": "askSize", "volume": "vol24h", "index": "indexPrice"}
        names |= {"funding_rate": "fundingRate", "funding_rate_prediction": "fundingRatePrediction", "open": "open24h"}
        names |= {"high": "high24h", "low": "low24h", "change": "change24h", "post_only": "postOnly"}
        kept = ("tag", "pair", "last", "markPrice", "bid", "ask", "volumeQuote", "openInterest", "suspended")
        found = []
        for symbol in self.core.instruments:
            if (row := self._ticker(symbol)) is not None:
                told = {name: row[name] for name in kept} | {theirs: row[ours] for ours, theirs in names.items()}
                found.append({"symbol": self._product(symbol), "lastTime": wire.moment(self.now_ns()), **told})
        return found

    def _candles(self, query: dict[str, str]) -> dict[str, Any]:
        symbol = self.account.symbol(query)
        return history.krakenfutures_candles(
            self._rolling[symbol].past, self.core.instruments[symbol], query, self.now_ns() // 1_000_000
        )

    def _executions(self, query: dict[str, str]) -> dict[str, Any]:
        symbol = self.account.symbol(query)
        return history.krakenfutures_executions(self._rolling[symbol].past, self.core.instruments[symbol], query)

    def _past_rates(self, query: dict[str, str]) -> dict[str, Any]:
        symbol = self.account.symbol(query)
        contract = self.core.contract(symbol)
        rates = [
            {
                "timestamp": wire.moment(at * 1_000_000),
                "fundingRate": wire.number(contract.value(mark, Decimal(1)) * rate),
                "relativeFundingRate": wire.number(rate),
            }
            for at, rate, mark in self.rates[symbol]
        ]
        return {"rates": rates}


def _failed(code: str, status: int = 200) -> web.Response:
    return web.json_response({"result": "error", "error": code}, status=status)
