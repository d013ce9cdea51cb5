"""Loopback Coinbase Advanced Trade (spot): REST and WebSocket, as an unmodified client sees them.

* REST under `/api/v3/brokerage`, public under `/market`. Private requests need a bearer token signed for their method and path
  (`auth.py`): "401 Unauthorized" otherwise, and nothing more. Errors are HTTP statuses with `error` and `message`; an order
  that is not taken is HTTP 200 with `success` false.
* WebSocket `/`: `subscribe` and `unsubscribe`, one channel a message: `level2` (told as `l2_data`: the whole book, then changes),
  `market_trades` (the latest, then gathered over 250 ms, newest first, with the maker's side), `ticker` with each trade, `heartbeats`
  each second, `user` with a token: open orders, then each change of one. Every message has the connection's next `sequence_num`, from
  0.
* A product whose book is another's too (BTC-USDC, told as BTC-USD) is subscribed under both names and told under the other's.

Ours, where the venue documents nothing: changes of the book are sent at once; a lost book is told as a snapshot without levels; the
words of some errors and of a cancel's reason; a client that subscribes nothing within five seconds is closed with 1008. Not simulated:
other products than spot, portfolios, order previews, market buys by value, stop, bracket and TWAP orders, the channels `candles` and
`ticker_batch` (which ends ccxt's receive loop, as every refusal does), `best_bid_ask`, accounts of v2,
channels that close when they are quiet.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import ClassVar

import orjson
from aiohttp import WSCloseCode, web

from sim.events import ASK, BID, EventKind, VenueEvent
from sim.servers import history
from sim.servers.base import Credentials, Peer, VenueServer
from sim.servers.coinbase import wire
from sim.servers.coinbase.account import CoinbaseAccount
from sim.servers.coinbase.auth import Unauthorized, Verifier
from sim.servers.coinbase.wire import CoinbaseError
from sim.servers.faults import Fault
from sim.servers.limits import CoinbaseLimits
from sim.servers.matching import Change, MatchingCore, VenueFill, VenueOrder
from sim.servers.rolling import Rolling

API = "/api/v3/brokerage"
GATHER_S = 0.25
FIRST_SUBSCRIPTION_S = 5.0
NUMBERS_KEPT = 64
_PUBLIC = ("level2", "market_trades", "ticker", "heartbeats")
_MARK = re.compile(r"@(\d+)@")

Handler = Callable[[web.Request, dict], object]


class CoinbaseServer(VenueServer):
    """The loopback Coinbase on a matching core. `start()` binds it; feed it with `on_market`. The key's secret says which kind it is."""

    venue: ClassVar[str] = "COINBASE"
    limits_of = CoinbaseLimits

    def __init__(self, core: MatchingCore, credentials: Credentials) -> None:
        super().__init__(core, credentials)
        self.account = CoinbaseAccount(core, self.faults)
        self._verifier = Verifier(credentials)
        listed = list(core.instruments)
        self._told_as = {symbol: wire.alias_of(symbol, listed) for symbol in listed}
        self._rolling = {symbol: Rolling(one, core.clock_ns()) for symbol, one in core.instruments.items()}
        self._gathered: dict[str, list[dict]] = {symbol: [] for symbol in listed}
        self._marks = 0
        self._heartbeats = 0
        core.on_order.append(self._on_order)
        core.on_rows.append(lambda symbol, rows: self._publish_rows(symbol, rows, self._now_ns()))
        core.on_print.append(self._on_own_print)
        self._routes()

    def _now_ns(self) -> int:
        return self.core.clock_ns() + self.faults.skew_ns

    # --- numbered messages -------------------------------------------------------------------------------------------------------------

    def publish(self, topic: str, frame: str, *, symbol: str = "", market: bool = True) -> None:
        """Send a frame to every subscriber under its connection's next number, which is used up whatever a fault does to the frame."""
        self._marks += 1
        mark = f"@{self._marks}@"
        to = [peer for peer in self.peers if topic in peer.topics]
        for peer in to:
            numbers: OrderedDict[str, int] = peer.state.setdefault("numbers", OrderedDict())  # type: ignore[assignment]
            numbers[mark] = self._next(peer)
            if len(numbers) > NUMBERS_KEPT:
                numbers.popitem(last=False)
        if not to or self.faults.silent:
            return
        for said in self._disturbed(
            topic, frame.replace(wire.SEQUENCE, mark), symbol, "market" if market else "private"
        ):
            for peer in to:
                numbers = peer.state["numbers"]  # type: ignore[assignment]
                peer.send(_MARK.sub(lambda found, known=numbers: str(known.get(found[0], found[0])), said))

    def _next(self, peer: Peer) -> int:
        number = peer.state.get("sequence", 0)
        assert isinstance(number, int)
        peer.state["sequence"] = number + 1
        return number

    def _tell(self, peer: Peer, channel: str, events: str) -> None:
        """One peer's own message."""
        frame = wire.envelope(channel, events, self._now_ns())
        peer.send(frame.replace(wire.SEQUENCE, str(self._next(peer))))

    # --- market data -------------------------------------------------------------------------------------------------------------------

    def on_market(self, event: VenueEvent) -> None:
        """Take in an event and publish Coinbase's frames for it."""
        symbol, ts_ns = event.symbol, event.ts_event_ns
        rows = self.core.apply(event)
        match event.kind:
            case EventKind.UPDATE:
                self._publish_rows(symbol, rows, ts_ns)
            case EventKind.SNAPSHOT | EventKind.CLEAR:
                self.publish(self._topic("level2", symbol), self._snapshot(symbol, ts_ns), symbol=symbol)
            case EventKind.TRADE:
                self._take_trade(symbol, self.core.next_trade_id(), event.price, event.size, event.side, ts_ns)

    def _topic(self, channel: str, symbol: str) -> str:
        return f"{channel}:{self._told_as[symbol]}"

    def _publish_rows(self, symbol: str, rows: list[tuple[int, int, int]], ts_ns: int) -> None:
        if not rows or not self.core.books[symbol].live:
            return
        topic = self._topic("level2", symbol)
        if self.faults.take(Fault.DROP_UPDATES, symbol=symbol):
            for peer in self.peers:
                if topic in peer.topics:
                    self._next(peer)
            return
        rows = self.faults.spoiled(rows, symbol)  # type: ignore[arg-type,assignment]
        instrument = self.core.instruments[symbol]
        events = wire.level2(self._told_as[symbol], "update", rows, instrument, ts_ns)
        self.publish(topic, wire.envelope("l2_data", events, self._now_ns()), symbol=symbol)

    def _snapshot(self, symbol: str, ts_ns: int) -> str:
        shown = self.core.books[symbol].shown
        rows = [
            (side, price, size)
            for side, levels in ((BID, shown.bids), (ASK, shown.asks))
            for price, size in levels.top(len(levels))
        ]
        events = wire.level2(self._told_as[symbol], "snapshot", rows, self.core.instruments[symbol], ts_ns)
        return wire.envelope("l2_data", events, self._now_ns())

    def _take_trade(self, symbol: str, trade_id: int, price: int, size: int, side: int, ts_ns: int) -> None:
        self._rolling[symbol].add(trade_id, price, size, side, ts_ns // 1_000_000)
        row = self._trade_row(symbol, trade_id, price, size, side, ts_ns)
        self._gathered[symbol].append(row)
        topic = self._topic("ticker", symbol)
        if any(topic in peer.topics for peer in self.peers):
            events = wire.events("update", "tickers", [self._ticker(symbol)])
            self.publish(topic, wire.envelope("ticker", events, self._now_ns()), symbol=symbol)

    def _trade_row(self, symbol: str, trade_id: int, price: int, size: int, side: int, ts_ns: int) -> dict:
        instrument = self.core.instruments[symbol]
        return wire.market_trade(self._told_as[symbol], trade_id, price, size, side, ts_ns, instrument)

    def _on_own_print(self, symbol: str, fill: VenueFill) -> None:
        aggressor = -fill.side if fill.maker else fill.side
        self._take_trade(symbol, fill.trade_id, fill.price, fill.size, aggressor, fill.ts_ns)

    def _ticker(self, symbol: str) -> dict:
        instrument, rolling = self.core.instruments[symbol], self._rolling[symbol]
        price, size = instrument.price_decimals, instrument.size_decimals
        shown, prices = self.core.books[symbol].shown, rolling.prices()
        bid, ask = (shown.bids.top(1) or [(0, 0)])[0], (shown.asks.top(1) or [(0, 0)])[0]
        change = 100 * (rolling.last - rolling.first) / rolling.first if rolling.first else 0.0
        return {
            "type": "ticker",
            "product_id": self._told_as[symbol],
            "price": wire.text(rolling.last, price),
            "volume_24_h": wire.text(rolling.volume, size),
            "low_24_h": wire.text(prices["low"], price),
            "high_24_h": wire.text(prices["high"], price),
            "low_52_w": wire.text(prices["low"], price),
            "high_52_w": wire.text(prices["high"], price),
            "price_percent_chg_24_h": f"{change:.8f}",
            "best_bid": wire.text(bid[0], price),
            "best_bid_quantity": wire.text(bid[1], size),
            "best_ask": wire.text(ask[0], price),
            "best_ask_quantity": wire.text(ask[1], size),
        }

    async def background(self) -> None:
        """Trades four times a second; heartbeats each second."""
        turn = 0
        while True:
            await asyncio.sleep(GATHER_S)
            turn += 1
            self.tell_trades()
            if turn % round(1 / GATHER_S) == 0:
                self._beat()
                self.core.expire()

    def tell_trades(self) -> None:
        """Those that were gathered since the last time."""
        for symbol, gathered in self._gathered.items():
            if gathered:
                events = wire.events("update", "trades", gathered[::-1])
                gathered.clear()
                frame = wire.envelope("market_trades", events, self._now_ns())
                self.publish(self._topic("market_trades", symbol), frame, symbol=symbol)

    def _beat(self) -> None:
        self._heartbeats += 1
        now = wire.moment(self._now_ns()).replace("T", " ").replace("Z", "+00:00")
        body = orjson.dumps([{"current_time": now, "heartbeat_counter": self._heartbeats}]).decode()
        self.publish("heartbeats", wire.envelope("heartbeats", body, self._now_ns()))

    # --- WebSocket ---------------------------------------------------------------------------------------------------------------------

    def greet(self, peer: Peer, path: str) -> None:
        """Who subscribes nothing is not kept."""

        def look() -> None:
            if not peer.topics and peer in self.peers:
                closing = asyncio.ensure_future(peer.socket.close(code=WSCloseCode.POLICY_VIOLATION))
                closing.add_done_callback(lambda done: done.cancelled() or done.exception())

        asyncio.get_running_loop().call_later(FIRST_SUBSCRIPTION_S, look)

    async def on_message(self, peer: Peer, message: dict, path: str) -> None:
        """A subscription, or the end of one."""
        channel, kind = str(message.get("channel")), message.get("type")
        products = [str(product) for product in message.get("product_ids") or []]
        if kind not in ("subscribe", "unsubscribe"):
            self._refuse(peer, f"unknown message type {kind}")
        elif channel not in (*_PUBLIC, "user"):
            self._refuse(peer, f"unknown channel {channel}")
        elif channel == "user" and not self._signed_in(message):
            self._refuse(peer, "authentication failure")
        elif strangers := [product for product in products if not self._symbols(product)]:
            self._refuse(peer, f"unknown product {', '.join(strangers)}")
        elif channel in ("level2", "market_trades", "ticker") and not products:
            self._refuse(peer, "product_ids are required")
        else:
            self._change(peer, channel, products, joins=kind == "subscribe")

    def _refuse(self, peer: Peer, reason: str) -> None:
        peer.send(orjson.dumps({"type": "error", "message": reason}).decode())

    def _signed_in(self, message: dict) -> bool:
        try:
            self._verifier.check(str(message.get("jwt", "")), "", self._now_ns() / 1e9)
        except Unauthorized:
            return False
        return True

    def _symbols(self, product: str) -> list[str]:
        """The symbols that a product names: its own, or those that are told under its name."""
        own = self.account.products.get(product)
        return [own] if own else [symbol for symbol, name in self._told_as.items() if name == product]

    def _change(self, peer: Peer, channel: str, products: list[str], *, joins: bool) -> None:
        names = [self._told_as[symbol] for product in products for symbol in self._symbols(product)]
        topics = [channel] if channel in ("user", "heartbeats") else [f"{channel}:{name}" for name in names]
        if joins:
            fresh = [topic for topic in topics if topic not in peer.topics]
            for topic in fresh:
                self._join(peer, channel, topic)
            peer.topics.update(topics)
        else:
            peer.topics.difference_update(topics)
        self._tell(peer, "subscriptions", orjson.dumps([{"subscriptions": self._subscriptions(peer)}]).decode())

    def _subscriptions(self, peer: Peer) -> dict[str, list[str]]:
        out: dict[str, list[str]] = {}
        for topic in sorted(peer.topics):
            channel, _, product = topic.partition(":")
            out.setdefault(channel, []).append(product or {"user": "loopback"}.get(channel, channel))
        return out

    def _join(self, peer: Peer, channel: str, topic: str) -> None:
        """What a new subscriber is told first."""
        symbol = next((symbol for symbol in self._told_as if topic == self._topic(channel, symbol)), "")
        match channel:
            case "level2" if self.core.books[symbol].live:
                frame = self._snapshot(symbol, self._now_ns())
                peer.send(frame.replace(wire.SEQUENCE, str(self._next(peer))))
            case "market_trades":
                latest = self._rolling[symbol].latest(100)[::-1]
                rows = [self._trade_row(symbol, *row[:4], row[4] * 1_000_000) for row in latest]
                self._tell(peer, "market_trades", wire.events("snapshot", "trades", rows))
            case "ticker" if self._rolling[symbol].last:
                self._tell(peer, "ticker", wire.events("snapshot", "tickers", [self._ticker(symbol)]))
            case "user":
                resting = list(self.core.resting.values())
                rows = [wire.user_row(o, o.fills, "OPEN", self.core.instruments[o.symbol]) for o in resting]
                for begin in range(0, len(rows) + 1, 50):  # fifty a message; the last one has fewer
                    self._tell(peer, "user", wire.events("snapshot", "orders", rows[begin : begin + 50]))

    def _on_order(self, order: VenueOrder, change: Change, fill: VenueFill | None) -> None:
        match change:
            case Change.NEW:
                fills, status = [], "OPEN"
            case Change.AMENDED:
                fills, status = order.fills, "OPEN"
            case Change.TRADE:
                assert fill is not None
                fills = order.fills[: order.fills.index(fill) + 1]
                status = "FILLED" if sum(row.size for row in fills) == order.quantity else "OPEN"
            case _:
                fills, status = order.fills, wire.status_of(order)
        row = wire.user_row(order, fills, status, self.core.instruments[order.symbol])
        events = wire.events("update", "orders", [row])
        self.publish("user", wire.envelope("user", events, self._now_ns()), symbol=order.symbol, market=False)

    # --- REST --------------------------------------------------------------------------------------------------------------------------

    def _routes(self) -> None:
        account, add = self.account, self.app.router.add_route
        public: dict[str, Handler] = {
            f"{API}/time": lambda request, body: self._time(),
            f"{API}/market/products": lambda request, body: self._products(request),
            f"{API}/market/products/{{product}}": lambda request, body: self._product(self._symbol(request)),
            f"{API}/market/products/{{product}}/ticker": lambda request, body: self._latest(request),
            f"{API}/market/products/{{product}}/candles": lambda request, body: self._candles(request),
            f"{API}/market/product_book": lambda request, body: self._product_book(request),
            "/v2/currencies": lambda request, body: {"data": []},
            "/v2/currencies/crypto": lambda request, body: {"data": self._currencies()},
            "/v2/exchange-rates": lambda request, body: {"data": {"currency": "USD", "rates": {}}},
        }
        private: dict[tuple[str, str], Handler] = {
            ("GET", f"{API}/products"): lambda request, body: self._products(request),
            ("GET", f"{API}/product_book"): lambda request, body: self._product_book(request),
            ("GET", f"{API}/accounts"): lambda request, body: account.accounts(request.query),
            ("GET", f"{API}/transaction_summary"): lambda request, body: account.summary(request.query),
            ("GET", f"{API}/orders/historical/batch"): lambda request, body: account.orders(request.query),
            ("GET", f"{API}/orders/historical/fills"): lambda request, body: account.fills(request.query),
            ("GET", f"{API}/orders/historical/{{order}}"): lambda request, body: account.order(
                request.match_info["order"]
            ),
            ("POST", f"{API}/orders"): lambda request, body: account.place(body),
            ("POST", f"{API}/orders/edit"): lambda request, body: account.edit(body),
            ("POST", f"{API}/orders/batch_cancel"): lambda request, body: account.cancel(body),
        }
        for path, handler in public.items():
            add("GET", path, self._answering(handler))
        for (method, path), handler in private.items():
            add(method, path, self._signed(handler))
        add("*", "/{tail:.*}", self._other)

    async def _other(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket" and request.path == "/":
            return await self.serve_socket(request)
        return web.Response(status=404, text="404 page not found")

    def unavailable(self) -> web.Response:
        """A gateway's 503: no JSON, so nothing that says whether the request was taken."""
        return web.Response(status=503, text="upstream connect error or disconnect/reset before headers")

    def too_many(self, request: web.Request) -> web.Response:
        """HTTP 429 with the venue's code."""
        body = {
            "error": "rate_limit_exceeded",
            "error_details": "Rate limit exceeded",
            "message": "Rate limit exceeded",
        }
        return web.Response(status=429, body=orjson.dumps(body), content_type="application/json")

    def is_order(self, request: web.Request) -> bool:
        """Whether a request places an order."""
        return request.method == "POST" and request.path == f"{API}/orders"

    def _answering(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            try:
                body = orjson.loads(await request.read()) if request.method == "POST" else {}
                if not isinstance(body, dict):
                    raise CoinbaseError(400, "INVALID_ARGUMENT", "the body is no object")
                said, status = handler(request, body), 200
            except CoinbaseError as error:
                said, status = error.body(), error.status
            except orjson.JSONDecodeError:
                said, status = CoinbaseError(400, "INVALID_ARGUMENT", "the body is no JSON").body(), 400
            response = web.Response(status=status, body=orjson.dumps(said), content_type="application/json")
            if (scope := self.scope(request)) and self.hangs(scope, self._symbol_of(body)):
                await self.hang()
            return response

        return answer

    def _symbol_of(self, body: object) -> str:
        return self.account.products.get(str(body.get("product_id")), "") if isinstance(body, dict) else ""

    def _signed(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        answered = self._answering(handler)

        async def answer(request: web.Request) -> web.Response:
            kind, _, token = request.headers.get("Authorization", "").partition(" ")
            try:
                if kind != "Bearer":
                    raise Unauthorized("no token")
                self._verifier.check(token, f"{request.method} {request.host}{request.path}", self._now_ns() / 1e9)
            except Unauthorized:
                return web.Response(status=401, text="Unauthorized\n")
            return await answered(request)

        return answer

    # --- public answers ----------------------------------------------------------------------------------------------------------------

    def _time(self) -> dict:
        now = self._now_ns()
        return {
            "iso": wire.moment(now),
            "epochSeconds": str(now // 1_000_000_000),
            "epochMillis": str(now // 1_000_000),
        }

    def _symbol(self, request: web.Request) -> str:
        product = request.match_info.get("product") or request.query.get("product_id", "")
        symbols = self._symbols(product)
        if not symbols:
            raise CoinbaseError(404, "NOT_FOUND", "valid product_id is required")
        return symbols[0]

    def _product(self, symbol: str) -> dict:
        instrument, rolling = self.core.instruments[symbol], self._rolling[symbol]
        last = wire.text(rolling.last, instrument.price_decimals) if rolling.last else ""
        return wire.product(
            instrument, self._told_as[symbol], last, wire.text(rolling.volume, instrument.size_decimals)
        )

    def _products(self, request: web.Request) -> dict:
        spot = request.query.get("product_type", "SPOT") == "SPOT"
        rows = [self._product(symbol) for symbol in self.core.instruments] if spot else []
        return {"products": rows, "num_products": len(rows), "pagination": None}

    def _latest(self, request: web.Request) -> dict:
        symbol = self._symbol(request)
        ticker, past = self._ticker(symbol), self._rolling[symbol].past
        return {
            "trades": history.coinbase_trades(past, self.core.instruments[symbol], dict(request.query)),
            "best_bid": ticker["best_bid"],
            "best_ask": ticker["best_ask"],
        }

    def _candles(self, request: web.Request) -> dict:
        symbol = self._symbol(request)
        past, now_ms = self._rolling[symbol].past, self._now_ns() // 1_000_000
        return {"candles": history.coinbase_candles(past, self.core.instruments[symbol], dict(request.query), now_ms)}

    def _product_book(self, request: web.Request) -> dict:
        symbol = self._symbol(request)
        book, instrument = self.core.books[symbol], self.core.instruments[symbol]
        if not book.live:
            raise CoinbaseError(503, "UNAVAILABLE", "the book is not available")
        count = int(request.query.get("limit") or 0) or max(len(book.shown.bids), len(book.shown.asks))
        sides = {
            name: [
                {
                    "price": wire.text(price, instrument.price_decimals),
                    "size": wire.text(size, instrument.size_decimals),
                }
                for price, size in side.top(count)
            ]
            for name, side in (("bids", book.shown.bids), ("asks", book.shown.asks))
        }
        bid, ask = book.shown.bids.best() or 0, book.shown.asks.best() or 0
        mid = instrument.price(bid + ask) / 2
        return {
            "pricebook": {"product_id": wire.product_id(symbol), **sides, "time": wire.moment(self._now_ns())},
            "last": wire.amount(mid),
            "mid_market": wire.amount(mid),
            "spread_bps": wire.amount(_bps(instrument.price(ask - bid), mid)),
            "spread_absolute": wire.text(ask - bid, instrument.price_decimals),
        }

    def _currencies(self) -> list[dict]:
        names = sorted(self.core.balances)
        return [
            {"asset_id": wire.order_uuid(number), "code": name, "name": name, "exponent": 8, "type": "crypto"}
            for number, name in enumerate(names, 1)
        ]


def _bps(spread: Decimal, mid: Decimal) -> Decimal:
    return (spread / mid * 10_000).quantize(Decimal("1e-12")) if mid else Decimal(0)
