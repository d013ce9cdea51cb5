"""Loopback Binance spot: REST, market streams and the WebSocket API, as an unmodified client sees them.

* REST under `/api/v3` and the few `/sapi/v1` calls that clients make at start; signed requests need the right `X-MBX-APIKEY`, an
  HMAC-SHA256 over exactly the bytes sent, and a `timestamp` within `recvWindow` (errors -2015, -1022, -1021).
* Market streams on any path under `/ws` or `/stream` (raw frames), combined frames on `/stream?streams=…`; `SUBSCRIBE`/`UNSUBSCRIBE`.
  Update ids of a symbol are continuous: each frame's `U` is the `u` before it plus one. A CLEAR of the tape shows as a hole in the ids and
  `503` from `/depth` until the book is whole again.
* WebSocket API on `/ws-api/v3`: `userDataStream.subscribe.signature`, `order.place`, `order.cancel`, `order.amend.keepPriority`,
  `openOrders.cancelAll`, `order.status`, `ping`, `time`.

Rate limits hold after `enforce()`. Not simulated: OCO, stop orders, `quoteOrderQty`, cancel-and-replace, self-trade prevention; streams of
tickers and candles (as at the venue any name may be subscribed: these stay silent). Our resting orders are not shown in the book.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from decimal import Decimal
from typing import ClassVar
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from sim.events import EventKind, VenueEvent
from sim.instruments import VenueInstrument
from sim.servers import history
from sim.servers.base import Credentials, Peer, VenueServer
from sim.servers.binance import wire
from sim.servers.binance.account import BinanceAccount
from sim.servers.binance.wire import BinanceError
from sim.servers.faults import Fault
from sim.servers.limits import BinanceLimits
from sim.servers.matching import Change, MatchingCore, VenueFill, VenueOrder
from sim.servers.past import Past
from sim.servers.rolling import Rolling

_DEPTH_STREAMS = ("depth", "depth@100ms", "depth@1000ms")
_HOLE = 1_000  # update ids that are missing when the tape's book is lost
_MOST_TRADES = 1_000


class BinanceServer(VenueServer):
    """The loopback Binance on a matching core. `start()` binds it; feed it with `on_market`."""

    venue: ClassVar[str] = "BINANCE"
    limits_of = BinanceLimits
    account_type: ClassVar[type[BinanceAccount]] = BinanceAccount

    def __init__(self, core: MatchingCore, credentials: Credentials) -> None:
        super().__init__(core, credentials)
        self._symbols = {wire.symbol_id(symbol): symbol for symbol in core.instruments}
        self._update_id = dict.fromkeys(core.instruments, core.clock_ns() // 1_000_000)
        self._top: dict[str, tuple[int, int, int, int]] = {}
        self._quoted: set[str] = set()
        self._rolling = {symbol: Rolling(one, core.clock_ns()) for symbol, one in core.instruments.items()}
        self._execution_id = core.clock_ns() // 1_000_000
        core.on_order.append(self._on_order)
        core.on_rows.append(self._on_rows)
        core.on_print.append(self._on_own_print)
        self.account = self.account_type(core, self.faults)
        self._routes()

    # --- market data -------------------------------------------------------------------------------------------------------------------

    def on_market(self, event: VenueEvent) -> None:
        """Take in an event of the tape and publish Binance's frames for it."""
        symbol = event.symbol
        event_ms = event.ts_event_ns // 1_000_000
        shown = self.core.apply(event)
        match event.kind:
            case EventKind.UPDATE if shown:
                self._publish_depth(symbol, shown, event_ms)
                if symbol not in self._quoted:
                    self._publish_top(symbol)
            case EventKind.QUOTE:
                self._quoted.add(symbol)
                self._publish_quote(event)
            case EventKind.TRADE:
                self._publish_trade(symbol, self.core.next_trade_id(), event.price, event.size, event.side, event_ms)
            case EventKind.SNAPSHOT:
                self._update_id[symbol] += 1
                self._publish_top(symbol)
            case EventKind.CLEAR:
                self._update_id[symbol] += _HOLE
                self._publish_depth(symbol, [], event_ms)

    def _publish(self, symbol: str, stream: str, frame: str) -> None:
        topic = f"{wire.symbol_id(symbol).lower()}@{stream}"
        self.publish(topic, frame, symbol=symbol)
        self.publish("/" + topic, f'{{"stream":"{topic}","data":{frame}}}', symbol=symbol)

    def _publish_depth(self, symbol: str, rows: list[tuple[int, int, int]], event_ms: int) -> None:
        first = self._update_id[symbol] + 1
        last = self._update_id[symbol] = first + max(1, len(rows)) - 1
        if self.faults.take(Fault.DROP_UPDATES, symbol=symbol):
            return
        rows = self.faults.spoiled(rows, symbol)
        frame = wire.depth_update(rows, self.core.instruments[symbol], first, last, event_ms)
        for stream in _DEPTH_STREAMS:
            self._publish(symbol, stream, frame)

    def _publish_quote(self, event: VenueEvent) -> None:
        """The tape's ticker, less what we took at its prices; when nothing is left there, the top that is left."""
        book = self.core.books[event.symbol]
        top = [event.bid, event.bid_size, event.ask, event.ask_size]
        for at, side in ((0, 1), (2, -1)):
            top[at + 1] -= book.taken[side].get(top[at], 0)
            if top[at + 1] <= 0:
                left = book.shown.side(side).top(1)
                if not left:
                    return
                top[at], top[at + 1] = left[0]
        self._send_top(event.symbol, (top[0], top[1], top[2], top[3]))

    def _publish_top(self, symbol: str) -> None:
        shown = self.core.books[symbol].shown
        bid, ask = shown.bids.top(1), shown.asks.top(1)
        if bid and ask:
            self._send_top(symbol, (*bid[0], *ask[0]))

    def _send_top(self, symbol: str, top: tuple[int, int, int, int]) -> None:
        if self._top.get(symbol) == top:
            return
        self._top[symbol] = top
        instrument = self.core.instruments[symbol]
        self._publish(symbol, "bookTicker", wire.book_ticker(instrument, self._update_id[symbol], top[:2], top[2:]))

    def _publish_trade(self, symbol: str, trade_id: int, price: int, size: int, side: int, trade_ms: int) -> None:
        instrument = self.core.instruments[symbol]
        self._rolling[symbol].add(trade_id, price, size, side, trade_ms)
        now_ms = max(trade_ms, self.core.clock_ns() // 1_000_000)
        self._publish(symbol, "trade", wire.trade(instrument, trade_id, price, size, side < 0, trade_ms, now_ms))

    def _on_rows(self, symbol: str, rows: list[tuple[int, int, int]]) -> None:
        self._publish_depth(symbol, rows, self.core.clock_ns() // 1_000_000)
        self._publish_top(symbol)

    def _on_own_print(self, symbol: str, fill: VenueFill) -> None:
        aggressor = -fill.side if fill.maker else fill.side
        self._publish_trade(symbol, fill.trade_id, fill.price, fill.size, aggressor, fill.ts_ns // 1_000_000)

    async def background(self) -> None:
        """The 24-hour ticker, each second."""
        while True:
            await asyncio.sleep(1)
            for symbol in self.core.instruments:
                if self._rolling[symbol].last:
                    self._publish(symbol, "ticker", orjson.dumps(self._ticker(symbol, stream=True)).decode())

    # --- WebSocket ---------------------------------------------------------------------------------------------------------------------

    def greet(self, peer: Peer, path: str) -> None:
        """Streams named in the URL are subscribed at once."""
        request = peer.socket._req
        streams = request.query.get("streams", "") if request is not None else ""
        peer.state["combined"] = bool(streams) or path.rstrip("/").endswith("/stream")
        named = streams.split("/") if streams else ([path.rsplit("/", 1)[1]] if "@" in path else [])
        self._subscribe(peer, named)

    def _subscribe(self, peer: Peer, streams: list[str]) -> None:
        prefix = "/" if peer.state.get("combined") else ""
        peer.topics.update(prefix + stream for stream in streams)

    async def on_message(self, peer: Peer, message: dict, path: str) -> None:
        """A request on a market socket or on the WebSocket API."""
        if "/ws-api" in path:
            self._api_message(peer, message)
            return
        params = message.get("params") or []
        match message.get("method"):
            case "SUBSCRIBE":
                self._subscribe(peer, [str(stream) for stream in params])
                result = None
            case "UNSUBSCRIBE":
                prefix = "/" if peer.state.get("combined") else ""
                peer.topics.difference_update(prefix + str(stream) for stream in params)
                result = None
            case "LIST_SUBSCRIPTIONS":
                result = sorted(topic.lstrip("/") for topic in peer.topics)
            case unknown:
                error = {"code": 2, "msg": f"Invalid request: unknown method {unknown!r}"}
                peer.send(orjson.dumps({"error": error, "id": message.get("id")}).decode())
                return
        peer.send(orjson.dumps({"result": result, "id": message.get("id")}).decode())

    def _api_message(self, peer: Peer, message: dict) -> None:
        params = dict(message.get("params") or {})
        hang = False
        try:
            if self.over_limit(str(message.get("method")), params):
                raise BinanceError(-1003, "Too much request weight used; current limit is 6000 per 1 MINUTE.", 429)
            match message.get("method"):
                case "ping":
                    result: object = {}
                case "time":
                    result = {"serverTime": self.now_ns() // 1_000_000}
                case "userDataStream.subscribe.signature":
                    self._check_api_signature(params)
                    peer.topics.add("user")
                    result = {"subscriptionId": 0}
                case "userDataStream.unsubscribe":
                    peer.topics.discard("user")
                    result = {}
                case "order.place":
                    self._check_api_signature(params)
                    result = self.account.place(params)
                    hang = self.hangs("order", self.account.unified(params))
                case "order.cancel":
                    self._check_api_signature(params)
                    result = self.account.cancel(params)
                case "order.amend.keepPriority":
                    self._check_api_signature(params)
                    result = self.account.amend(params)
                    hang = self.hangs("amend", self.account.unified(params))
                case "openOrders.cancelAll":
                    self._check_api_signature(params)
                    result = self.account.cancel_all(params)
                case "order.status":
                    self._check_api_signature(params)
                    result = wire.order_state(*self.account.find(params))
                case _:
                    raise BinanceError(-1099, "Not found, authenticated, or authorized", 404)
        except BinanceError as error:
            answer = {"id": message.get("id"), "status": error.status, "error": error.body(), "rateLimits": []}
        else:
            answer = {"id": message.get("id"), "status": 200, "result": result, "rateLimits": []}
        if not hang:
            peer.send(orjson.dumps(answer).decode())

    def _check_api_signature(self, params: dict) -> None:
        signature = str(params.pop("signature", ""))
        words = {True: "true", False: "false"}
        query = "&".join(
            f"{key}={words.get(params[key], params[key]) if isinstance(params[key], bool) else params[key]}"
            for key in sorted(params)
        )
        self._check_signature(query, signature, str(params.get("apiKey", "")), params)

    # --- user data ---------------------------------------------------------------------------------------------------------------------

    def _user(self, event: dict) -> None:
        self.publish("user", orjson.dumps({"subscriptionId": 0, "event": event}).decode(), market=False)

    def _on_order(self, order: VenueOrder, change: Change, fill: VenueFill | None) -> None:
        instrument = self.core.instruments[order.symbol]
        upto = order.fills if change in (Change.AMENDED, Change.CANCELED, Change.EXPIRED) else []
        if fill is not None:
            upto = order.fills[: order.fills.index(fill) + 1]
        self._execution_id += 1
        now_ms = self.core.clock_ns() // 1_000_000
        report = wire.execution_report(
            order,
            instrument,
            change,
            fill,
            sum(done.size for done in upto),
            sum((done.cost for done in upto), Decimal(0)),
            self._execution_id,
            now_ms,
            *self.account.names(order, change),
        )
        self._user(report)
        self._user(wire.account_position(self.core, {instrument.base, instrument.quote}, now_ms))

    # --- REST --------------------------------------------------------------------------------------------------------------------------

    def _routes(self) -> None:
        add = self.app.router.add_route
        public = {
            "ping": lambda query: {},
            "time": lambda query: {"serverTime": self.now_ns() // 1_000_000},
            "exchangeInfo": lambda query: wire.exchange_info(self.core.instruments, self.core.clock_ns() // 1_000_000),
            "depth": self._depth,
            "trades": self._trades,
            "aggTrades": lambda query: history.binance_aggregates(*self._past(query), query),
            "klines": lambda query: history.binance_klines(*self._past(query), query, self.now_ns() // 1_000_000),
            "ticker/24hr": self._tickers,
            "ticker/bookTicker": self._book_tickers,
            "ticker/price": self._prices,
        }
        for path, handler in public.items():
            add("GET", f"/api/v3/{path}", self._public(handler))
        signed = {
            ("GET", "/api/v3/account"): lambda query: wire.account(self.core, self.core.clock_ns() // 1_000_000),
            ("POST", "/api/v3/order"): self.account.place,
            ("GET", "/api/v3/order"): lambda query: wire.order_state(*self.account.find(query)),
            ("DELETE", "/api/v3/order"): self.account.cancel,
            ("PUT", "/api/v3/order/amend/keepPriority"): self.account.amend,
            ("GET", "/api/v3/openOrders"): self.account.open_orders,
            ("DELETE", "/api/v3/openOrders"): self.account.cancel_all,
            ("GET", "/api/v3/allOrders"): self.account.all_orders,
            ("GET", "/api/v3/myTrades"): self.account.my_trades,
            ("GET", "/api/v3/account/commission"): self.account.commission,
            ("GET", "/sapi/v1/capital/config/getall"): lambda query: self.account.coins(),
            ("GET", "/sapi/v1/asset/tradeFee"): self.account.trade_fees,
            ("GET", "/sapi/v1/margin/allPairs"): lambda query: [],
            ("GET", "/sapi/v1/margin/isolated/allPairs"): lambda query: [],
        }
        for (method, path), handler in signed.items():
            add(method, path, self._signed(handler))
        self.app.router.add_get("/{tail:.*}", self._get_other)

    async def _get_other(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.serve_socket(request)
        return web.json_response({"code": -1099, "msg": "Not found, authenticated, or authorized"}, status=404)

    def unavailable(self) -> web.Response:
        """503 as Binance sends it when a service cannot answer."""
        return web.json_response(
            {"code": -1001, "msg": "Internal error; unable to process your request. Please try again."}, status=503
        )

    def too_many(self, request: web.Request) -> web.Response:
        """429, with when to come back."""
        words = "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. Please use WebSocket Streams"
        body = {"code": -1003, "msg": f"{words} for live updates to avoid polling the API."}
        return web.json_response(body, status=429, headers={"Retry-After": "1"})

    def closed(self) -> web.Response:
        """The words ccxt knows of it; the status is ours."""
        return web.json_response({"code": 1, "msg": "System is under maintenance."}, status=503)

    def is_order(self, request: web.Request) -> bool:
        """Whether a request places an order."""
        return request.method == "POST" and request.path == "/api/v3/order"

    def _public(self, handler):
        async def answer(request: web.Request) -> web.Response:
            try:
                return json_answer(handler(dict(request.query)))
            except BinanceError as error:
                return json_answer(error.body(), error.status)

        return answer

    def _signed(self, handler):
        async def answer(request: web.Request) -> web.Response:
            query = request.raw_path.partition("?")[2]
            body = (await request.read()).decode()
            payload, _, signature = (query + body).rpartition("&signature=")
            params = dict(parse_qsl(payload, keep_blank_values=True))
            try:
                self._check_signature(payload, signature, request.headers.get("X-MBX-APIKEY", ""), params)
                result = handler(params)
                if (scope := self.scope(request)) and self.hangs(scope, self.account.unified(params)):
                    await self.hang()
                return json_answer(result)
            except BinanceError as error:
                return json_answer(error.body(), error.status)

        return answer

    def _check_key(self, key: str) -> None:
        if not key:
            raise BinanceError(-2014, "API-key format invalid.", 401)
        if not hmac.compare_digest(key, self.credentials.key):
            raise BinanceError(-2015, "Invalid API-key, IP, or permissions for action.", 401)

    def _check_signature(self, payload: str, signature: str, key: str, params: dict) -> None:
        self._check_key(key)
        if "timestamp" not in params:
            raise BinanceError(-1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.")
        try:
            stamp, window = int(params["timestamp"]), int(params.get("recvWindow", 5000))
        except ValueError:
            raise BinanceError(-1100, "Illegal characters found in parameter 'timestamp'.") from None
        if not 0 < window <= 60_000:
            raise BinanceError(-1131, "recvWindow must be less than 60000")
        now_ms = self.now_ns() // 1_000_000
        if stamp > now_ms + 1000:
            raise BinanceError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if now_ms - stamp > window:
            raise BinanceError(-1021, "Timestamp for this request is outside of the recvWindow.")
        good = hmac.new(self.credentials.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(good, signature):
            raise BinanceError(-1022, "Signature for this request is not valid.")

    # --- public answers ----------------------------------------------------------------------------------------------------------------

    def _depth(self, query: dict) -> object:
        symbol = self.account.unified(query)
        book = self.core.books[symbol]
        if not book.live:
            raise BinanceError(
                -1001, f"Internal error; unable to process your request. Please try again. ({book.reason})", 503
            )
        limit = min(5000, max(1, int(query.get("limit", 100))))
        instrument = self.core.instruments[symbol]
        bids, asks = (wire.pairs(side.top(limit), instrument) for side in (book.shown.bids, book.shown.asks))
        return f'{{"lastUpdateId":{self._update_id[symbol]},"bids":{bids},"asks":{asks}}}'

    def _past(self, query: dict) -> tuple[Past, VenueInstrument]:
        symbol = self.account.unified(query)
        return self._rolling[symbol].past, self.core.instruments[symbol]

    def _trades(self, query: dict) -> list[dict]:
        symbol = self.account.unified(query)
        instrument = self.core.instruments[symbol]
        return [
            {
                "id": trade_id,
                "price": wire.text(price, instrument.price_decimals),
                "qty": wire.text(size, instrument.size_decimals),
                "quoteQty": wire.amount(instrument.price(price) * instrument.size(size)),
                "time": trade_ms,
                "isBuyerMaker": side < 0,
                "isBestMatch": True,
            }
            for trade_id, price, size, side, trade_ms in self._rolling[symbol].latest(int(query.get("limit", 500)))
        ]

    def _ticker(self, symbol: str, *, stream: bool = False) -> dict:
        instrument, rolling = self.core.instruments[symbol], self._rolling[symbol]
        top = self._top.get(symbol, (0, 0, 0, 0))
        price = {name: wire.text(value, instrument.price_decimals) for name, value in rolling.prices().items()}
        bid, ask = wire.text(top[0], instrument.price_decimals), wire.text(top[2], instrument.price_decimals)
        bid_size, ask_size = wire.text(top[1], instrument.size_decimals), wire.text(top[3], instrument.size_decimals)
        volume = wire.text(rolling.volume, instrument.size_decimals)
        now_ms = self.core.clock_ns() // 1_000_000
        if stream:
            fields = {
                "e": "24hrTicker",
                "E": now_ms,
                "s": wire.symbol_id(symbol),
                "c": price["last"],
                "o": price["open"],
            }
            fields |= {
                "h": price["high"],
                "l": price["low"],
                "v": volume,
                "b": bid,
                "B": bid_size,
                "a": ask,
                "A": ask_size,
            }
            return fields | {"w": price["average"], "n": rolling.count, "O": rolling.since_ms, "C": now_ms}
        return {
            "symbol": wire.symbol_id(symbol),
            "lastPrice": price["last"],
            "openPrice": price["open"],
            "highPrice": price["high"],
            "lowPrice": price["low"],
            "weightedAvgPrice": price["average"],
            "volume": volume,
            "bidPrice": bid,
            "bidQty": bid_size,
            "askPrice": ask,
            "askQty": ask_size,
            "openTime": rolling.since_ms,
            "closeTime": now_ms,
            "count": rolling.count,
        }

    def _one_or_all(self, query: dict, make) -> object:
        if "symbol" in query:
            return make(self.account.unified(query))
        return [make(symbol) for symbol in self.core.instruments]

    def _tickers(self, query: dict) -> object:
        return self._one_or_all(query, self._ticker)

    def _book_tickers(self, query: dict) -> object:
        keys = ("symbol", "bidPrice", "bidQty", "askPrice", "askQty")
        return self._one_or_all(query, lambda symbol: {key: self._ticker(symbol)[key] for key in keys})

    def _prices(self, query: dict) -> object:
        return self._one_or_all(query, lambda s: {"symbol": wire.symbol_id(s), "price": self._ticker(s)["lastPrice"]})

    # --- private answers ---------------------------------------------------------------------------------------------------------------


def json_answer(body: object, status: int = 200) -> web.Response:
    """An answer from a body, or from JSON text that is ready."""
    text = body if isinstance(body, str) else orjson.dumps(body).decode()
    return web.Response(text=text, status=status, content_type="application/json")
