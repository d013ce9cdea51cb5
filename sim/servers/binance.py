"""Loopback Binance spot: REST, market streams and the WebSocket API, as an unmodified client sees them.

* REST under `/api/v3` and the few `/sapi/v1` calls that clients make at start; signed requests need the right `X-MBX-APIKEY`, an
  HMAC-SHA256 over exactly the bytes sent, and a `timestamp` within `recvWindow` (errors -2015, -1022, -1021).
* Market streams on any path under `/ws` or `/stream` (raw frames), combined frames on `/stream?streams=…`; `SUBSCRIBE`/`UNSUBSCRIBE`.
  Update ids of a symbol are continuous: each frame's `U` is the `u` before it plus one. A CLEAR of the tape shows as a hole in the ids and
  `503` from `/depth` until the book is whole again.
* WebSocket API on `/ws-api/v3`: `userDataStream.subscribe.signature`, `order.place`, `order.cancel`, `order.status`, `ping`, `time`.

Not simulated: OCO, stop orders, `quoteOrderQty`, self-trade prevention, rate limits. Our resting orders are not shown in the book.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from decimal import Decimal, InvalidOperation
from typing import ClassVar
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from sim.events import EventKind, VenueEvent
from sim.servers import binance_wire as wire
from sim.servers.base import Credentials, Peer, VenueServer
from sim.servers.binance_wire import BinanceError
from sim.servers.faults import Fault
from sim.servers.matching import Change, MatchingCore, OrderRequest, Refusal, Tif, VenueFill, VenueOrder
from sim.servers.rolling import Rolling

_DEPTH_STREAMS = ("depth", "depth@100ms", "depth@1000ms")
_HOLE = 1_000  # update ids that are missing when the tape's book is lost
_MOST_TRADES = 1_000


class BinanceServer(VenueServer):
    """The loopback Binance on a matching core. `start()` binds it; feed it with `on_market`."""

    venue: ClassVar[str] = "BINANCE"

    def __init__(self, core: MatchingCore, credentials: Credentials) -> None:
        super().__init__(core, credentials)
        self._symbols = {wire.symbol_id(symbol): symbol for symbol in core.instruments}
        self._update_id = dict.fromkeys(core.instruments, core.clock_ns() // 1_000_000)
        self._top: dict[str, tuple[int, int, int, int]] = {}
        self._quoted: set[str] = set()
        self._rolling = {symbol: Rolling() for symbol in core.instruments}
        self._cancel_ids: dict[int, str] = {}
        self._execution_id = core.clock_ns() // 1_000_000
        core.on_order.append(self._on_order)
        core.on_rows.append(self._on_rows)
        core.on_print.append(self._on_own_print)
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
                    result = self._place(params)
                    hang = self.faults.take(Fault.HANG_AFTER_ACCEPT, symbol=self._unified(params))
                case "order.cancel":
                    self._check_api_signature(params)
                    result = self._cancel(params)
                case "order.status":
                    self._check_api_signature(params)
                    result = wire.order_state(*self._find(params))
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
        upto = order.fills if change in (Change.CANCELED, Change.EXPIRED) else []
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
            self._cancel_ids.pop(order.order_id, "") if change is Change.CANCELED else "",
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
            "ticker/24hr": self._tickers,
            "ticker/bookTicker": self._book_tickers,
            "ticker/price": self._prices,
        }
        for path, handler in public.items():
            add("GET", f"/api/v3/{path}", self._public(handler))
        signed = {
            ("GET", "/api/v3/account"): lambda query: wire.account(self.core, self.core.clock_ns() // 1_000_000),
            ("POST", "/api/v3/order"): self._place,
            ("GET", "/api/v3/order"): lambda query: wire.order_state(*self._find(query)),
            ("DELETE", "/api/v3/order"): self._cancel,
            ("GET", "/api/v3/openOrders"): self._open_orders,
            ("DELETE", "/api/v3/openOrders"): self._cancel_all,
            ("GET", "/api/v3/allOrders"): self._all_orders,
            ("GET", "/api/v3/myTrades"): self._my_trades,
            ("GET", "/api/v3/account/commission"): self._commission,
            ("GET", "/sapi/v1/capital/config/getall"): lambda query: self._coins(),
            ("GET", "/sapi/v1/asset/tradeFee"): self._trade_fees,
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
        """429, with when to come back and the weight that was used up."""
        words = "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. Please use WebSocket Streams"
        body = {"code": -1003, "msg": f"{words} for live updates to avoid polling the API."}
        return web.json_response(body, status=429, headers={"Retry-After": "1", "X-MBX-USED-WEIGHT-1M": "6001"})

    def closed(self) -> web.Response:
        """The words ccxt knows of it; the status is ours."""
        return web.json_response({"code": 1, "msg": "System is under maintenance."}, status=503)

    def is_order(self, request: web.Request) -> bool:
        """Whether a request places an order."""
        return request.method == "POST" and request.path == "/api/v3/order"

    def _public(self, handler):
        async def answer(request: web.Request) -> web.Response:
            try:
                return _json(handler(dict(request.query)))
            except BinanceError as error:
                return _json(error.body(), error.status)

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
                if self.is_order(request) and self.faults.take(Fault.HANG_AFTER_ACCEPT, symbol=self._unified(params)):
                    await self.hang()
                return _json(result)
            except BinanceError as error:
                return _json(error.body(), error.status)

        return answer

    def _check_signature(self, payload: str, signature: str, key: str, params: dict) -> None:
        if not key:
            raise BinanceError(-2014, "API-key format invalid.", 401)
        if not hmac.compare_digest(key, self.credentials.key):
            raise BinanceError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
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

    def _unified(self, params: dict) -> str:
        symbol = self._symbols.get(str(params.get("symbol", "")))
        if symbol is None:
            raise BinanceError(-1121, "Invalid symbol.")
        return symbol

    def _depth(self, query: dict) -> object:
        symbol = self._unified(query)
        book = self.core.books[symbol]
        if not book.live:
            raise BinanceError(
                -1001, f"Internal error; unable to process your request. Please try again. ({book.reason})", 503
            )
        limit = min(5000, max(1, int(query.get("limit", 100))))
        instrument = self.core.instruments[symbol]
        bids, asks = (wire.pairs(side.top(limit), instrument) for side in (book.shown.bids, book.shown.asks))
        return f'{{"lastUpdateId":{self._update_id[symbol]},"bids":{bids},"asks":{asks}}}'

    def _trades(self, query: dict) -> list[dict]:
        symbol = self._unified(query)
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
            return make(self._unified(query))
        return [make(symbol) for symbol in self.core.instruments]

    def _tickers(self, query: dict) -> object:
        return self._one_or_all(query, self._ticker)

    def _book_tickers(self, query: dict) -> object:
        keys = ("symbol", "bidPrice", "bidQty", "askPrice", "askQty")
        return self._one_or_all(query, lambda symbol: {key: self._ticker(symbol)[key] for key in keys})

    def _prices(self, query: dict) -> object:
        return self._one_or_all(query, lambda s: {"symbol": wire.symbol_id(s), "price": self._ticker(s)["lastPrice"]})

    # --- private answers ---------------------------------------------------------------------------------------------------------------

    def _place(self, params: dict) -> dict:
        symbol = self._unified(params)
        if self.faults.take(Fault.REJECT, symbol=symbol):
            raise BinanceError(-2010, "Account has insufficient balance for requested action.")
        kind, tif = params.get("type"), params.get("timeInForce", "GTC")
        if kind not in ("LIMIT", "MARKET", "LIMIT_MAKER") or params.get("side") not in ("BUY", "SELL"):
            raise BinanceError(
                -1116, "Invalid orderType." if params.get("side") in ("BUY", "SELL") else "Invalid side."
            )
        if "quantity" not in params or (kind != "MARKET" and "price" not in params):
            raise BinanceError(-1102, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.")
        if tif not in ("GTC", "IOC", "FOK"):
            raise BinanceError(-1115, "Invalid timeInForce.")
        client_id = str(params.get("newClientOrderId") or f"k{self.core.clock_ns():x}")
        if len(client_id) > 36 or not all(c.isalnum() or c in "-_./:" for c in client_id):
            raise BinanceError(
                -1100,
                "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.",
            )
        try:
            request = OrderRequest(
                symbol=symbol,
                side=1 if params["side"] == "BUY" else -1,
                quantity=Decimal(str(params["quantity"])),
                price=None if kind == "MARKET" else Decimal(str(params["price"])),
                tif=Tif(tif),
                client_id=client_id,
                post_only=kind == "LIMIT_MAKER",
            )
            order = self.core.place(request)
        except InvalidOperation:
            raise BinanceError(-1100, "Illegal characters found in a parameter.") from None
        except Refusal as refusal:
            raise wire.refused(refusal) from None
        return wire.order_answer(order, self.core.instruments[symbol])

    def _find(self, params: dict) -> tuple:
        symbol = self._unified(params)
        order: VenueOrder | None = None
        if params.get("orderId"):
            order = self.core.orders.get(int(params["orderId"]))
        elif params.get("origClientOrderId"):
            order = self.core.by_client.get(str(params["origClientOrderId"]))
        else:
            raise BinanceError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        if order is None or order.symbol != symbol:
            raise BinanceError(-2013, "Order does not exist.")
        return order, self.core.instruments[symbol]

    def _cancel(self, params: dict) -> dict:
        try:
            order, instrument = self._find(params)
            cancel_id = str(params.get("newClientOrderId") or f"c{self.core.clock_ns():x}")
            if order.open:
                self._cancel_ids[order.order_id] = cancel_id
            return wire.cancel_answer(self.core.cancel(order.order_id), instrument, cancel_id)
        except Refusal as refusal:
            raise wire.refused(refusal) from None
        except BinanceError as error:
            raise (BinanceError(-2011, "Unknown order sent.") if error.code == -2013 else error) from None

    def _mine(self, query: dict) -> list[VenueOrder]:
        symbol = self._unified(query) if "symbol" in query else None
        return [order for order in self.core.orders.values() if symbol in (None, order.symbol)]

    def _open_orders(self, query: dict) -> list[dict]:
        return [
            wire.order_state(order, self.core.instruments[order.symbol]) for order in self._mine(query) if order.open
        ]

    def _cancel_all(self, query: dict) -> list[dict]:
        orders = [order for order in self._mine(query) if order.open]
        if not orders:
            raise BinanceError(-2011, "Unknown order sent.")
        return [self._cancel({"symbol": query["symbol"], "orderId": order.order_id}) for order in orders]

    def _all_orders(self, query: dict) -> list[dict]:
        self._unified(query)
        since, until = int(query.get("startTime", 0)) * 1_000_000, int(query.get("endTime", 1 << 43)) * 1_000_000
        found = [order for order in self._mine(query) if since <= order.created_ns < until + 1_000_000]
        if "orderId" in query:
            found = [order for order in found if order.order_id >= int(query["orderId"])]
        else:
            found = found[-int(query.get("limit", 500)) :] if since == 0 else found
        return [
            wire.order_state(order, self.core.instruments[order.symbol])
            for order in found[: int(query.get("limit", 500))]
        ]

    def _my_trades(self, query: dict) -> list[dict]:
        symbol, limit = self._unified(query), min(_MOST_TRADES, int(query.get("limit", 500)))
        since, until = int(query.get("startTime", 0)) * 1_000_000, int(query.get("endTime", 1 << 43)) * 1_000_000
        found = [fill for fill in self.core.fills if fill.symbol == symbol and since <= fill.ts_ns < until + 1_000_000]
        if "orderId" in query:
            found = [fill for fill in found if fill.order_id == int(query["orderId"])]
        if "fromId" in query:
            found = [fill for fill in found if fill.trade_id >= int(query["fromId"])][:limit]
        else:
            found = found[:limit] if since else found[-limit:]
        return [wire.my_trade(fill, self.core.instruments[symbol]) for fill in found]

    def _commission(self, query: dict) -> dict:
        symbol = self._unified(query)
        return {"symbol": wire.symbol_id(symbol), "standardCommission": self._fee(symbol, "maker", "taker")}

    def _trade_fees(self, query: dict) -> list[dict]:
        symbols = [self._unified(query)] if "symbol" in query else list(self.core.instruments)
        return [{"symbol": wire.symbol_id(s)} | self._fee(s, "makerCommission", "takerCommission") for s in symbols]

    def _fee(self, symbol: str, maker: str, taker: str) -> dict[str, str]:
        instrument = self.core.instruments[symbol]
        return {
            maker: wire.amount(instrument.maker_fee_bps / 10_000),
            taker: wire.amount(instrument.taker_fee_bps / 10_000),
        }

    def _coins(self) -> list[dict]:
        locked = self.core.locked()
        return [
            {
                "coin": currency,
                "depositAllEnable": False,
                "withdrawAllEnable": False,
                "free": wire.amount(total - locked.get(currency, Decimal(0))),
                "locked": wire.amount(locked.get(currency, Decimal(0))),
                "name": currency,
                "trading": True,
                "isLegalMoney": False,
                "networkList": [],
            }
            for currency, total in sorted(self.core.balances.items())
        ]


def _json(body: object, status: int = 200) -> web.Response:
    text = body if isinstance(body, str) else orjson.dumps(body).decode()
    return web.Response(text=text, status=status, content_type="application/json")
