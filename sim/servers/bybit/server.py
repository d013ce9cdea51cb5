"""Loopback Bybit spot (v5, a unified account): REST and WebSocket, as an unmodified client sees them.

* REST under `/v5`: answers are HTTP 200 with `retCode`. Private requests need `X-BAPI-API-KEY`, `-TIMESTAMP`, `-RECV-WINDOW` and `-SIGN`:
  HMAC-SHA256 over timestamp, key, window and the query or body exactly as sent (10003, 10004); the timestamp not older than the window and
  less than a second ahead (10002).
* Public WebSocket `/v5/public/spot`: `orderbook.{1,50,200,1000}` (depth 1: snapshots only, again every three seconds; others a snapshot,
  then deltas whose `u` has no holes), `publicTrade`, `tickers`. Private `/v5/private` after `auth` (HMAC over `GET/realtime` and its
  expiry): `order`, `execution`, `wallet`, all or `.spot`, and `dcp.spot`, whose loss starts disconnect protection when it is enabled.
  `/v5/trade` takes orders (`trade.py`). `ping` is answered in each socket's own way.
* When the tape's book is lost: a snapshot without levels and `u` = 1, no answer from `/v5/market/orderbook`; when it is whole again, a
  snapshot with `u` = 1, as after a restart of the service, also to those who subscribed in between.

Ours, where the venue documents nothing: every change is sent at once (the venue gathers 10 to 200 ms); a level that leaves the depth is
sent as gone; an order that never rested is not told as `New`; a repeated subscription is confirmed and changes nothing; some texts.
A socket that leaves `dcp.spot` by its own will starts no protection: the venue does not say.
Not simulated: other categories, margin, batches of orders, conditional orders, market buys by value, the stream of candles.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from sim.events import EventKind, VenueEvent
from sim.servers import history
from sim.servers.base import Credentials, Peer, VenueServer
from sim.servers.bybit import wire
from sim.servers.bybit.account import BybitAccount
from sim.servers.bybit.trade import TradeSocket
from sim.servers.bybit.wire import BybitError
from sim.servers.faults import Fault
from sim.servers.kraken.book import PublishedBook
from sim.servers.limits import BybitLimits
from sim.servers.matching import Change, MatchingCore, VenueFill, VenueOrder
from sim.servers.rolling import Rolling

_ARGS = 10  # topics of one subscription request
_AGAIN_S = 3  # the best prices are sent again after so long without a change
_AHEAD_MS = 1_000
_PRIVATE = ("order", "execution", "wallet")
_DCP = "dcp.spot"

Handler = Callable[[dict], object]


class BybitServer(VenueServer):
    """The loopback Bybit on a matching core. `start()` binds it; feed it with `on_market`."""

    venue: ClassVar[str] = "BYBIT"
    limits_of = BybitLimits

    def __init__(self, core: MatchingCore, credentials: Credentials) -> None:
        super().__init__(core, credentials)
        self.account = BybitAccount(core, self.faults)
        self._books: dict[tuple[str, int], PublishedBook] = {}
        self._update: dict[tuple[str, int], int] = {}  # the last `u` of each, for ever: also while nobody listens
        self._tops: dict[str, tuple[int, int, int, int]] = {}
        self._top_frames: dict[str, tuple[str, float]] = {}  # the last frame of depth 1, and when it was sent
        self._rolling = {symbol: Rolling(one, core.clock_ns()) for symbol, one in core.instruments.items()}
        self._seq = core.clock_ns() // wire.MS
        core.on_order.append(self._on_order)
        core.on_rows.append(lambda symbol, rows: self._publish_book(symbol, core.clock_ns()))
        core.on_print.append(self._on_own_print)
        self._trade = TradeSocket(self.account, self._now_ms, self.hangs)
        self._routes()

    def _now_ms(self) -> int:
        return (self.core.clock_ns() + self.faults.skew_ns) // wire.MS

    # --- market data -------------------------------------------------------------------------------------------------------------------

    def on_market(self, event: VenueEvent) -> None:
        """Take in an event and publish Bybit's frames for it. Best prices are derived from the book."""
        symbol, ts_ns = event.symbol, event.ts_event_ns
        self.core.apply(event)
        match event.kind:
            case EventKind.UPDATE:
                self._publish_book(symbol, ts_ns)
            case EventKind.SNAPSHOT | EventKind.CLEAR:
                for (known, depth), published in self._books.items():
                    if known == symbol:
                        self._send_snapshot(symbol, depth, published, ts_ns)
                self._publish_top(symbol, ts_ns)
            case EventKind.TRADE:
                trade_ms = ts_ns // wire.MS
                self._publish_trade(symbol, self.core.next_trade_id(), event.price, event.size, event.side, trade_ms)

    def _next(self, symbol: str, depth: int, *, restart: bool = False) -> tuple[int, int]:
        """The next `u` of a book and the next `seq`."""
        self._seq += 1
        last = 0 if restart else self._update.get((symbol, depth), self._seq)
        self._update[symbol, depth] = last + 1
        return last + 1, self._seq

    def _publish_book(self, symbol: str, ts_ns: int) -> None:
        book = self.core.books[symbol]
        if not book.live:
            return
        instrument = self.core.instruments[symbol]
        for (known, depth), published in list(self._books.items()):
            if known != symbol:
                continue
            topic = f"orderbook.{depth}.{wire.symbol_id(symbol)}"
            if not any(topic in peer.topics for peer in self.peers):
                del self._books[known, depth]
                continue
            bids, asks = published.advance(book.shown)
            if not bids and not asks:
                continue
            update, seq = self._next(symbol, depth)
            if self.faults.take(Fault.DROP_UPDATES, symbol=symbol):
                continue
            times = (self._now_ms(), ts_ns // wire.MS)
            bids, asks = self.faults.spoiled(bids, symbol), self.faults.spoiled(asks, symbol)
            frame = wire.orderbook(instrument, depth, "delta", bids, asks, update, seq, times)
            self.publish(topic, frame, symbol=symbol)
        self._publish_top(symbol, ts_ns)

    def _send_snapshot(self, symbol: str, depth: int, published: PublishedBook, ts_ns: int) -> None:
        """After a loss, and when the book is whole again: the service starts over."""
        bids, asks = published.reset(self.core.books[symbol].shown)
        update, seq = self._next(symbol, depth, restart=True)
        times = (self._now_ms(), ts_ns // wire.MS)
        frame = wire.orderbook(self.core.instruments[symbol], depth, "snapshot", bids, asks, update, seq, times)
        self.publish(f"orderbook.{depth}.{wire.symbol_id(symbol)}", frame, symbol=symbol)

    def _publish_top(self, symbol: str, ts_ns: int) -> None:
        shown = self.core.books[symbol].shown
        bid, ask = shown.bids.top(1), shown.asks.top(1)
        if not bid or not ask or self._tops.get(symbol) == (*bid[0], *ask[0]):
            return
        self._tops[symbol] = (*bid[0], *ask[0])
        update, seq = self._next(symbol, 1)
        times = (self._now_ms(), ts_ns // wire.MS)
        frame = wire.orderbook(self.core.instruments[symbol], 1, "snapshot", bid, ask, update, seq, times)
        self._send_top(symbol, frame)

    def _send_top(self, symbol: str, frame: str) -> None:
        self._top_frames[symbol] = (frame, time.monotonic())
        self.publish(f"orderbook.1.{wire.symbol_id(symbol)}", frame, symbol=symbol)

    def _publish_trade(self, symbol: str, trade_id: int, price: int, size: int, side: int, trade_ms: int) -> None:
        self._rolling[symbol].add(trade_id, price, size, side, trade_ms)
        self._seq += 1
        times = (max(trade_ms, self._now_ms()), trade_ms)
        instrument = self.core.instruments[symbol]
        frame = wire.public_trade(instrument, trade_id, price, size, side, times, self._seq)
        self.publish(f"publicTrade.{wire.symbol_id(symbol)}", frame, symbol=symbol)

    def _on_own_print(self, symbol: str, fill: VenueFill) -> None:
        aggressor = -fill.side if fill.maker else fill.side
        self._publish_trade(symbol, fill.trade_id, fill.price, fill.size, aggressor, fill.ts_ns // wire.MS)

    async def background(self) -> None:
        """Best prices that have not changed for three seconds are sent again; the day's ticker each second."""
        while True:
            await asyncio.sleep(1)
            for symbol, (frame, sent_s) in list(self._top_frames.items()):
                if time.monotonic() - sent_s >= _AGAIN_S and self.core.books[symbol].live:
                    self._send_top(symbol, frame)
            for symbol, rolling in self._rolling.items():
                if rolling.last:
                    self.publish(f"tickers.{wire.symbol_id(symbol)}", self._ticker_frame(symbol), symbol=symbol)

    def _ticker_frame(self, symbol: str) -> str:
        row = self._ticker(symbol)
        data = {name: row[name] for name in row if not name.startswith(("bid1", "ask1"))}
        topic = f"tickers.{wire.symbol_id(symbol)}"
        frame = {"topic": topic, "ts": self._now_ms(), "type": "snapshot", "cs": self._seq, "data": data}
        return orjson.dumps(frame).decode()

    # --- WebSocket ---------------------------------------------------------------------------------------------------------------------

    async def on_message(self, peer: Peer, message: dict, path: str) -> None:
        """A request on the public or the private socket."""
        private = path.startswith(("/v5/private", "/v5/trade"))
        if path.startswith("/v5/trade"):
            self._trade_message(peer, message)
            return
        args = [str(arg) for arg in message.get("args") or []]
        match message.get("op"):
            case "ping" if private:
                self._answer(peer, message, op="pong", args=[str(self._now_ms())])
            case "ping":
                self._answer(peer, message, success=True, ret_msg="pong")
            case "auth" if private:
                self._login(peer, message)
            case "subscribe":
                self._subscribe(peer, message, args, private=private)
            case "unsubscribe":
                peer.topics.difference_update(args)
                if _DCP in args:
                    self.account.protection.left(self._protected())
                self._answer(peer, message, success=True, ret_msg="")
            case _:
                self._answer(peer, message, success=False, ret_msg="error:invalid op")

    def _trade_message(self, peer: Peer, message: dict) -> None:
        """The trade socket: login and keepalive have answers of REST's form."""
        conn = {"connId": f"loopback-{id(peer):x}"}
        match op := message.get("op"):
            case "ping":
                body: dict | None = {"retCode": 0, "retMsg": "OK", "op": "pong", "data": [str(self._now_ms())], **conn}
            case "auth":
                code, said = self._login_fault(message)
                peer.state["authorized"] = not code
                body = {"retCode": code, "retMsg": said or "OK", "op": "auth", **conn}
            case _ if self._trade.knows(op):
                body = self._trade.answer(peer, message, self._allowance(str(op), message))
            case _:
                body = {"retCode": 10404, "retMsg": "op type is not found", "op": op, **conn}
        if body is not None and not self.faults.silent:
            peer.send(orjson.dumps(body).decode())

    def _allowance(self, op: str, message: dict) -> dict[str, str]:
        """What the answer of the trade socket says of the limits; nothing left when it is one too many."""
        if not isinstance(self.limits, BybitLimits):
            return {}
        over = self.over_limit(op, message)
        return self.limits.socket_headers(op) | ({"X-Bapi-Limit-Status": "-1"} if over else {})

    def _protected(self) -> int:
        """Private sockets that want disconnect protection."""
        return sum(_DCP in peer.topics for peer in self.peers)

    def on_clock(self) -> None:
        """Disconnect protection."""
        self.account.protection.check(self._protected())

    def _answer(self, peer: Peer, message: dict, **fields: object) -> None:
        body: dict[str, object] = {"op": message.get("op"), "conn_id": f"loopback-{id(peer):x}", **fields}
        if "req_id" in message:
            body["req_id"] = str(message["req_id"])
        if not self.faults.silent:
            peer.send(orjson.dumps(body).decode())

    def _login_fault(self, message: dict) -> tuple[int, str]:
        """Code and words against a login, (0, "") when there is nothing against it."""
        key, expires, signature = ([str(arg) for arg in message.get("args") or []] + ["", "", ""])[:3]
        if not hmac.compare_digest(key, self.credentials.key):
            return 10003, "Invalid apikey"
        if not expires.isdigit() or int(expires) <= self._now_ms():
            return 10002, "Request has expired"
        if not hmac.compare_digest(self._sign(f"GET/realtime{expires}"), signature):
            return 10004, "Invalid sign"
        return 0, ""

    def _login(self, peer: Peer, message: dict) -> None:
        code, said = self._login_fault(message)
        if code:
            self._answer(peer, message, success=False, retCode=code, retMsg=said)
        else:
            peer.state["authorized"] = True
            self._answer(peer, message, success=True, ret_msg="")

    def _subscribe(self, peer: Peer, message: dict, args: list[str], *, private: bool) -> None:
        known = self._private_topics() if private else self._public_topics()
        strangers = [arg for arg in args if arg not in known]
        if private and not peer.state.get("authorized"):
            self._answer(peer, message, success=False, ret_msg="Request not authorized")
        elif len(args) > _ARGS:
            self._answer(peer, message, success=False, ret_msg="args size >10")
        elif strangers or not args:
            self._answer(peer, message, success=False, ret_msg=f"Invalid topic: {', '.join(strangers)}")
        else:
            fresh = [arg for arg in args if arg not in peer.topics]
            peer.topics.update(args)
            self._answer(peer, message, success=True, ret_msg="" if private else "subscribe")
            if _DCP in fresh:
                self.account.protection.joined()
            for topic in fresh:
                self._join(peer, topic)

    def _private_topics(self) -> set[str]:
        return {*_PRIVATE, *(f"{name}.{wire.CATEGORY}" for name in _PRIVATE if name != "wallet"), _DCP}

    def _public_topics(self) -> set[str]:
        names = [f"orderbook.{depth}" for depth in wire.DEPTHS] + ["publicTrade", "tickers"]
        return {f"{name}.{wire.symbol_id(symbol)}" for name in names for symbol in self.core.instruments}

    def _join(self, peer: Peer, topic: str) -> None:
        """A new subscriber of a book gets what the others have; when the book is lost, its snapshot comes later."""
        name, _, rest = topic.partition(".")
        depth, _, market_id = rest.partition(".")
        if name == "tickers" and self._rolling[symbol := self.account.unified({"symbol": rest})].last:
            peer.send(self._ticker_frame(symbol))
        if name != "orderbook":
            return
        symbol = self.account.unified({"symbol": market_id})
        if depth == "1":
            if symbol in self._top_frames and self.core.books[symbol].live:
                peer.send(self._top_frames[symbol][0])
            return
        fresh = (symbol, int(depth)) not in self._books
        published = self._books.setdefault((symbol, int(depth)), PublishedBook(int(depth), tells_leaving=True))
        if not self.core.books[symbol].live:
            return
        if fresh:
            published.reset(self.core.books[symbol].shown)
            self._next(symbol, int(depth))
        bids, asks = list(published.bids.items()), list(published.asks.items())
        now, update = self._now_ms(), self._update[symbol, int(depth)]
        instrument = self.core.instruments[symbol]
        peer.send(wire.orderbook(instrument, int(depth), "snapshot", bids, asks, update, self._seq, (now, now)))

    # --- private topics ----------------------------------------------------------------------------------------------------------------

    def _on_order(self, order: VenueOrder, change: Change, fill: VenueFill | None) -> None:
        instrument = self.core.instruments[order.symbol]
        if fill is not None:
            self._seq += 1
            self._private("execution", wire.execution_row(fill, order, instrument, self._seq))
        if change is not Change.NEW or order.order_id in self.core.resting:
            at = wire.standing_at(order, change, fill)
            row = wire.order_row(order, instrument, at)
            self._private("order", row | {"feeCurrency": fill.fee_currency if fill is not None else ""})
        currencies = sorted({instrument.base, instrument.quote} & set(self.core.balances))
        self._send("wallet", "wallet", [wire.wallet(self.core, currencies)])

    def _private(self, name: str, row: dict) -> None:
        rows = [{"category": wire.CATEGORY, **row}]
        for topic in (name, f"{name}.{wire.CATEGORY}"):
            self._send(name, topic, rows)

    def _send(self, name: str, topic: str, rows: list[dict]) -> None:
        self._seq += 1
        frame = {"id": f"loopback_{name}_{self._seq}", "topic": topic, "creationTime": self._now_ms(), "data": rows}
        self.publish(topic, orjson.dumps(frame).decode(), market=False)

    # --- REST --------------------------------------------------------------------------------------------------------------------------

    def _routes(self) -> None:
        account = self.account
        public: dict[str, Handler] = {
            "market/time": lambda query: self._time(),
            "market/instruments-info": self._instruments,
            "market/orderbook": self._orderbook,
            "market/kline": self._klines,
            "market/recent-trade": self._recent_trades,
            "market/tickers": self._tickers,
        }
        private: dict[tuple[str, str], Handler] = {
            ("GET", "user/query-api"): lambda query: wire.api_key_info(self.credentials.key),
            ("GET", "asset/coin/query-info"): lambda query: wire.coins(self.core),
            ("GET", "account/info"): lambda query: wire.account_info(),
            ("GET", "account/wallet-balance"): account.wallet,
            ("GET", "account/fee-rate"): self._of_spot(account.fee_rates),
            ("GET", "order/realtime"): self._of_spot(account.realtime),
            ("GET", "order/history"): self._of_spot(account.history),
            ("GET", "execution/list"): self._of_spot(account.executions),
            ("POST", "order/create"): self._of_spot(account.place),
            ("POST", "order/cancel"): self._of_spot(account.cancel),
            ("POST", "order/amend"): self._of_spot(account.amend),
            ("POST", "order/cancel-batch"): self._of_spot(account.cancel_batch),
            ("POST", "order/cancel-all"): self._of_spot(account.cancel_all),
            ("POST", "order/disconnected-cancel-all"): account.protect,
        }
        for path, handler in public.items():
            needs_category = path != "market/time"
            self.app.router.add_get(f"/v5/{path}", self._public(self._of_spot(handler) if needs_category else handler))
        for (method, path), handler in private.items():
            self.app.router.add_route(method, f"/v5/{path}", self._signed(handler))
        self.app.router.add_route("*", "/{tail:.*}", self._other)

    def _of_spot(self, handler: Handler) -> Handler:
        def checked(params: dict) -> object:
            if params.get("category") != wire.CATEGORY:
                raise BybitError(10001, "Illegal category")
            return handler(params)

        return checked

    async def _other(self, request: web.Request) -> web.StreamResponse:
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        if upgrade and request.path in (f"/v5/public/{wire.CATEGORY}", "/v5/private", "/v5/trade"):
            return await self.serve_socket(request)
        return web.Response(status=404, text="404 page not found")

    def unavailable(self) -> web.Response:
        """A gateway's 503: no JSON, so nothing that says whether the request was taken."""
        return web.Response(status=503, text="503 Service Temporarily Unavailable")

    def too_many(self, request: web.Request) -> web.Response:
        """HTTP 200 with the venue's code, and in the headers the limit of the endpoint and when it is there again."""
        now = self._now_ms()
        headers = {"X-Bapi-Limit": "20", "X-Bapi-Limit-Status": "0", "X-Bapi-Limit-Reset-Timestamp": str(now + 1_000)}
        body = wire.envelope({}, now, 10006, "Too many visits!")
        return web.Response(body=orjson.dumps(body), content_type="application/json", headers=headers)

    def is_order(self, request: web.Request) -> bool:
        """Whether a request places an order."""
        return request.path == "/v5/order/create"

    def _public(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            return self._answered(lambda: handler(dict(request.query)))

        return answer

    def _signed(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            body = (await request.read()).decode()
            payload = body if request.method == "POST" else request.raw_path.partition("?")[2]

            def checked() -> object:
                self._check_signature(request, payload)
                if request.method != "POST":
                    return handler(dict(parse_qsl(payload, keep_blank_values=True)))
                params = orjson.loads(payload)
                return handler(params)

            said = self._answered(checked)
            if (scope := self.scope(request)) and self.hangs(scope, self._symbol_of(payload)):
                await self.hang()
            return said

        return answer

    def _symbol_of(self, payload: str) -> str:
        try:
            return self.account.unified(orjson.loads(payload))
        except (BybitError, orjson.JSONDecodeError):
            return ""

    def _answered(self, work: Callable[[], object]) -> web.Response:
        try:
            body = wire.envelope(work(), self._now_ms())
        except BybitError as error:
            body = wire.envelope({}, self._now_ms(), error.code, error.message)
        except orjson.JSONDecodeError:
            body = wire.envelope({}, self._now_ms(), 10001, "params error: the body is no JSON")
        return web.Response(body=orjson.dumps(body), content_type="application/json")

    def _sign(self, text: str) -> str:
        return hmac.new(self.credentials.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    def _check_signature(self, request: web.Request, payload: str) -> None:
        names = ("API-KEY", "TIMESTAMP", "RECV-WINDOW", "SIGN")
        key, stamp, window, signature = (request.headers.get(f"X-BAPI-{name}", "") for name in names)
        if not hmac.compare_digest(key, self.credentials.key):
            raise BybitError(10003, "API key is invalid.")
        if not stamp.isdigit() or not (window or "5000").isdigit():
            raise BybitError(10001, "params error: timestamp or recv_window")
        if not hmac.compare_digest(self._sign(stamp + key + window + payload), signature):
            raise BybitError(10004, "error sign! please check your signature generation algorithm.")
        now = self._now_ms()
        if not now - int(window or 5_000) <= int(stamp) < now + _AHEAD_MS:
            times = f"req_timestamp[{stamp}],server_timestamp[{now}],recv_window[{window}]"
            said = "invalid request, please check your server timestamp or recv_window param."
            raise BybitError(10002, f"{said} {times}")

    # --- public answers ----------------------------------------------------------------------------------------------------------------

    def _time(self) -> dict:
        now = self.now_ns()
        return {"timeSecond": str(now // 1_000_000_000), "timeNano": str(now)}

    def _instruments(self, query: dict) -> dict:
        symbols = [self.account.unified(query)] if query.get("symbol") else list(self.core.instruments)
        return wire.instruments_info([self.core.instruments[symbol] for symbol in symbols])

    def _orderbook(self, query: dict) -> dict:
        symbol = self.account.unified(query)
        book, instrument = self.core.books[symbol], self.core.instruments[symbol]
        if not book.live:
            raise BybitError(10016, "Server error.")
        count, now = min(200, max(1, int(query.get("limit") or 1))), self._now_ms()
        sides = {
            name: [
                [wire.text(price, instrument.price_decimals), wire.text(size, instrument.size_decimals)]
                for price, size in side.top(count)
            ]
            for name, side in (("b", book.shown.bids), ("a", book.shown.asks))
        }
        update = self._update.get((symbol, 200), 1)
        return {"s": wire.symbol_id(symbol), **sides, "ts": now, "u": update, "seq": self._seq, "cts": now}

    def _klines(self, query: dict) -> dict:
        symbol = self.account.unified(query)
        past, now_ms = self._rolling[symbol].past, self.now_ns() // 1_000_000
        rows = history.bybit_klines(past, self.core.instruments[symbol], query, now_ms)
        return {"category": wire.CATEGORY, "symbol": wire.symbol_id(symbol), "list": rows}

    def _recent_trades(self, query: dict) -> dict:
        symbol = self.account.unified(query)
        instrument = self.core.instruments[symbol]
        rows = [
            {
                "execId": str(trade_id),
                "symbol": wire.symbol_id(symbol),
                "price": wire.text(price, instrument.price_decimals),
                "size": wire.text(size, instrument.size_decimals),
                "side": "Buy" if side > 0 else "Sell",
                "time": str(trade_ms),
                "isBlockTrade": False,
            }
            for trade_id, price, size, side, trade_ms in self._rolling[symbol].latest(int(query.get("limit") or 60))
        ]
        return {"category": wire.CATEGORY, "list": rows[::-1]}

    def _tickers(self, query: dict) -> dict:
        symbols = [self.account.unified(query)] if query.get("symbol") else list(self.core.instruments)
        return {"category": wire.CATEGORY, "list": [self._ticker(symbol) for symbol in symbols]}

    def _ticker(self, symbol: str) -> dict:
        instrument, rolling = self.core.instruments[symbol], self._rolling[symbol]
        price, size = instrument.price_decimals, instrument.size_decimals
        bid, bid_size, ask, ask_size = self._tops.get(symbol, (0, 0, 0, 0))
        prices = {name: wire.text(value, price) for name, value in rolling.prices().items()}
        change = (rolling.last - rolling.first) / rolling.first if rolling.first else 0.0
        return {
            "symbol": wire.symbol_id(symbol),
            "bid1Price": wire.text(bid, price),
            "bid1Size": wire.text(bid_size, size),
            "ask1Price": wire.text(ask, price),
            "ask1Size": wire.text(ask_size, size),
            "lastPrice": prices["last"],
            "prevPrice24h": prices["open"],
            "price24hPcnt": f"{change:.4f}",
            "highPrice24h": prices["high"],
            "lowPrice24h": prices["low"],
            "turnover24h": wire.amount(instrument.price(1) * instrument.size(1) * rolling.turnover),
            "volume24h": wire.text(rolling.volume, size),
            "usdIndexPrice": prices["last"],
        }
