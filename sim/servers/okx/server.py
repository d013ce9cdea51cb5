"""Loopback OKX spot: REST and WebSocket v5, as an unmodified client sees them.

* Public REST under `/api/v5/public` and `/market`; private with `OK-ACCESS-KEY`, `-PASSPHRASE`, `-TIMESTAMP` (within 30 s) and `-SIGN`
  (base64 HMAC-SHA256 over timestamp, method, path with query, body), all checked. Errors as `{"code", "msg", "data"}`.
* WebSocket `/ws/v5/public`: `books` (400 levels, ids, a heartbeat each minute without change), `books5`, `bbo-tbt`, `trades`, `tickers`;
  `/ws/v5/private`, after a signed login: `orders`, `account`, and orders by `order`, `amend-order`, `cancel-order`, each in batches too.
  The text "ping" is answered by "pong".
* While a book of the tape is lost: a message whose `prevSeqId` nobody has, then silence on that book, 50026 from `market/books`; a new
  snapshot comes when it is whole again, to those who subscribed in between.

Books are published as the tape changes them (each 100 ms on a recorded one), not on a clock of their own. Not simulated: margin, contracts,
algo orders, orders by cost, the stream of candles, the venue's own disconnect of idle connections. Rate limits hold after `enforce()`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from typing import ClassVar
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from sim.events import EventKind, VenueEvent
from sim.instruments import VenueInstrument
from sim.servers import history
from sim.servers.base import Credentials, Peer, VenueServer
from sim.servers.faults import Fault
from sim.servers.kraken.book import PublishedBook
from sim.servers.limits import OkxLimits
from sim.servers.matching import Change, MatchingCore, VenueFill, VenueOrder
from sim.servers.okx import wire
from sim.servers.okx.account import OkxAccount
from sim.servers.okx.wire import OkxError
from sim.servers.past import Past
from sim.servers.rolling import Rolling

LEVELS = 400
_SKEW_S = 30
_PUBLIC = ("books", "books5", "bbo-tbt", "trades", "tickers")
_INST_TYPES = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "ANY")
_SECOND_NS = 1_000_000_000


class _Chain:
    """One book's messages: the window its subscribers have, and the ids that join them."""

    def __init__(self, first_id: int) -> None:
        self.window = PublishedBook(LEVELS)
        self.sequence = first_id
        self.sent_ns = 0
        self.waiting: set[Peer] = set()  # subscribed while the book was lost: told nothing before their snapshot

    def next(self, changes: int) -> tuple[int, int]:
        """(`prevSeqId`, `seqId`) of the next message: ids jump with what has changed."""
        before, self.sequence = self.sequence, self.sequence + max(1, changes)
        return before, self.sequence

    def restart(self) -> tuple[int, int]:
        """The same, when ids begin again after maintenance."""
        before, self.sequence = self.sequence, 1
        return before, self.sequence


class OkxServer(VenueServer):
    """The loopback OKX on a matching core. `start()` binds it; feed it with `on_market`."""

    venue: ClassVar[str] = "OKX"
    limits_of = OkxLimits
    heartbeat_ns: ClassVar[int] = 60 * _SECOND_NS

    def __init__(self, core: MatchingCore, credentials: Credentials) -> None:
        super().__init__(core, credentials)
        first_id = core.clock_ns() // 1_000_000
        self._chains = {symbol: _Chain(first_id) for symbol in core.instruments}
        self._rolling = {symbol: Rolling(one, core.clock_ns()) for symbol, one in core.instruments.items()}
        self._tops: dict[tuple[str, int], tuple] = {}
        core.on_order.append(self._on_order)
        core.on_rows.append(lambda symbol, rows: self._publish_book(symbol, core.clock_ns()))
        core.on_print.append(self._on_own_print)
        self.account = OkxAccount(core, self.faults)
        self._routes()

    # --- market data -------------------------------------------------------------------------------------------------------------------

    def on_market(self, event: VenueEvent) -> None:
        """Take in an event and publish OKX's frames for it. Best prices are derived from the book, as OKX's are."""
        self.core.apply(event)
        match event.kind:
            case EventKind.UPDATE | EventKind.SNAPSHOT:
                self._publish_book(event.symbol, event.ts_event_ns)
            case EventKind.CLEAR:
                chain = self._chains[event.symbol]
                chain.next(1)  # a message that nobody gets: the next one joins nothing
                before, sequence = chain.next(1)
                self._send_book(event.symbol, "update", [], [], before, sequence, event.ts_event_ns)
            case EventKind.TRADE:
                trade_ms = event.ts_event_ns // 1_000_000
                self._publish_trade(
                    event.symbol, self.core.next_trade_id(), event.price, event.size, event.side, trade_ms
                )

    def _publish_book(self, symbol: str, ts_ns: int) -> None:
        book, chain = self.core.books[symbol], self._chains[symbol]
        if not book.live:
            return
        bids, asks = chain.window.advance(book.shown)
        if bids or asks:
            restarted = self.faults.take(Fault.RESTART_IDS, symbol=symbol)
            before, sequence = chain.restart() if restarted else chain.next(len(bids) + len(asks))
            if not self.faults.take(Fault.DROP_UPDATES, symbol=symbol):
                self._send_book(symbol, "update", bids, asks, before, sequence, ts_ns)
        for peer in chain.waiting & self.peers:
            peer.topics.add(_topic("books", symbol))
            peer.send(self._snapshot(symbol))
        chain.waiting.clear()
        self._publish_tops(symbol, ts_ns)

    def _send_book(
        self, symbol: str, action: str, bids: wire.Rows, asks: wire.Rows, before: int, sequence: int, ts_ns: int
    ) -> None:
        instrument = self.core.instruments[symbol]
        self._chains[symbol].sent_ns = self.core.clock_ns()
        bids, asks = self.faults.spoiled(bids, symbol), self.faults.spoiled(asks, symbol)
        frame = wire.book(action, instrument, bids, asks, before=before, sequence=sequence, ts_ns=ts_ns)
        self.publish(_topic("books", symbol), frame, symbol=symbol)

    def _snapshot(self, symbol: str) -> str:
        chain, instrument = self._chains[symbol], self.core.instruments[symbol]
        bids, asks = list(chain.window.bids.items()), list(chain.window.asks.items())
        return wire.book(
            "snapshot", instrument, bids, asks, before=-1, sequence=chain.sequence, ts_ns=self.core.clock_ns()
        )

    def _publish_tops(self, symbol: str, ts_ns: int) -> None:
        """`bbo-tbt` and `books5` are whole each time, and come only when they changed."""
        for channel, depth in (("bbo-tbt", 1), ("books5", 5)):
            if (frame := self._top(channel, symbol, depth, ts_ns, changed=True)) is not None:
                self.publish(_topic(channel, symbol), frame, symbol=symbol)
                if channel == "bbo-tbt":
                    self.publish(_topic("tickers", symbol), self._ticker_frame(symbol), symbol=symbol)

    def _top(self, channel: str, symbol: str, depth: int, ts_ns: int, *, changed: bool) -> str | None:
        shown = self.core.books[symbol].shown
        bids, asks = shown.bids.top(depth), shown.asks.top(depth)
        if changed and self._tops.get((symbol, depth)) == (bids, asks):
            return None
        self._tops[symbol, depth] = (bids, asks)
        return wire.top(channel, self.core.instruments[symbol], bids, asks, self._chains[symbol].sequence, ts_ns)

    def _publish_trade(self, symbol: str, trade_id: int, price: int, size: int, side: int, trade_ms: int) -> None:
        row = (trade_id, price, size, side, trade_ms)
        self._rolling[symbol].add(*row)
        data = wire.trade(self.core.instruments[symbol], row) | {"count": "1", "source": "0", "seqId": trade_id}
        self.publish(
            _topic("trades", symbol), _push({"channel": "trades", "instId": wire.inst_id(symbol)}, data), symbol=symbol
        )
        self.publish(_topic("tickers", symbol), self._ticker_frame(symbol), symbol=symbol)

    def _on_own_print(self, symbol: str, fill: VenueFill) -> None:
        aggressor = -fill.side if fill.maker else fill.side
        self._publish_trade(symbol, fill.trade_id, fill.price, fill.size, aggressor, fill.ts_ns // 1_000_000)

    def _ticker(self, symbol: str) -> dict:
        instrument, rolling, shown = self.core.instruments[symbol], self._rolling[symbol], self.core.books[symbol].shown
        price, size = instrument.price_decimals, instrument.size_decimals
        sides = [
            [(wire.text(p, price), wire.text(s, size)) for p, s in side.top(1)] for side in (shown.bids, shown.asks)
        ]
        (bid, bid_size), (ask, ask_size) = (side[0] if side else ("", "") for side in sides)
        prices = {name: wire.text(value, price) for name, value in rolling.prices().items()}
        return {
            "instType": "SPOT",
            "instId": wire.inst_id(symbol),
            "last": prices["last"],
            "lastSz": wire.text(rolling.last_size, size),
            "askPx": ask,
            "askSz": ask_size,
            "bidPx": bid,
            "bidSz": bid_size,
            "open24h": prices["open"],
            "high24h": prices["high"],
            "low24h": prices["low"],
            "volCcy24h": wire.text(rolling.turnover, price + size),
            "vol24h": wire.text(rolling.volume, size),
            "sodUtc0": prices["open"],
            "sodUtc8": prices["open"],
            "ts": wire.ms(self.core.clock_ns()),
        }

    def _ticker_frame(self, symbol: str) -> str:
        return _push({"channel": "tickers", "instId": wire.inst_id(symbol)}, self._ticker(symbol))

    async def background(self) -> None:
        """A book without change says so each minute, by an empty message with both ids the same."""
        while True:
            await asyncio.sleep(min(1.0, self.heartbeat_ns / _SECOND_NS / 2))
            for symbol, chain in self._chains.items():
                now = self.core.clock_ns()
                if chain.sent_ns and now - chain.sent_ns >= self.heartbeat_ns and self.core.books[symbol].live:
                    self._send_book(symbol, "update", [], [], chain.sequence, chain.sequence, now)

    def on_clock(self) -> None:
        """The dead-man switch."""
        self.account.dead_man.check()

    # --- WebSocket ---------------------------------------------------------------------------------------------------------------------

    def keepalive(self, peer: Peer, text: str) -> bool:
        """The venue has no ping frames of its own: the word is "ping"."""
        if text == "ping" and not self.faults.silent:
            peer.send("pong")
        return text == "ping"

    async def on_message(self, peer: Peer, message: dict, path: str) -> None:
        """An operation: `login`, `subscribe`, `unsubscribe`, or an order."""
        op, args = message.get("op"), message.get("args")
        private = path.endswith("/private")
        try:
            if not isinstance(args, list) or not all(isinstance(arg, dict) for arg in args):
                raise OkxError("60012", f"Invalid request: {orjson.dumps(message).decode()}")
            match op:
                case "login":
                    self._login(peer, args[0] if args else {}, private=private)
                case "subscribe" | "unsubscribe":
                    for arg in args:
                        self._subscription(peer, str(op), arg, private=private)
                case (
                    "order"
                    | "batch-orders"
                    | "amend-order"
                    | "batch-amend-orders"
                    | "cancel-order"
                    | "batch-cancel-orders"
                ):
                    self._require_login(peer)
                    self._order_from_socket(peer, str(op), message, args)
                case _:
                    raise OkxError("60019", f"Invalid op {op}")
        except OkxError as error:
            answer = {"event": "error", "msg": error.message, "code": error.code, "connId": _conn(peer)}
            self._answer(peer, ({"id": message["id"]} if "id" in message else {}) | answer)

    def _answer(self, peer: Peer, body: dict) -> None:
        if not self.faults.silent:
            peer.send(orjson.dumps(body).decode())

    def _login(self, peer: Peer, arg: dict, *, private: bool) -> None:
        if not private:
            raise OkxError("60008", "Login is not supported for public channels.")
        if not hmac.compare_digest(str(arg.get("apiKey", "")), self.credentials.key):
            raise OkxError("60005", "Invalid OK_ACCESS_KEY")
        if not hmac.compare_digest(str(arg.get("passphrase", "")), self.credentials.passphrase):
            raise OkxError("60024", "Wrong passphrase")
        timestamp = str(arg.get("timestamp", ""))
        if not timestamp.isdigit() or abs(int(timestamp) - self.now_ns() / 1e9) > _SKEW_S:
            raise OkxError("60006", "Timestamp request expired")
        if not hmac.compare_digest(str(arg.get("sign", "")), self._sign(f"{timestamp}GET/users/self/verify")):
            raise OkxError("60007", "Invalid sign")
        peer.state["user"] = True
        self._answer(peer, {"event": "login", "msg": "", "code": "0", "connId": _conn(peer)})

    def _require_login(self, peer: Peer) -> None:
        if "user" not in peer.state:
            raise OkxError("60011", "Please log in")

    def _subscription(self, peer: Peer, op: str, arg: dict, *, private: bool) -> None:
        channel, symbol = str(arg.get("channel", "")), ""
        if channel in ("orders", "account"):
            if not private:
                raise OkxError("60018", f"Wrong URL or channel:{channel} doesn't exist. Please use the correct URL.")
            self._require_login(peer)
            if channel == "orders" and arg.get("instType") not in _INST_TYPES:
                raise OkxError("60018", f"Wrong URL or channel:{channel},instType:{arg.get('instType')} doesn't exist.")
            topic = _private_topic(arg)
        else:
            try:
                symbol = self.account.unified(arg)
            except OkxError:
                symbol = ""
            if private or channel not in _PUBLIC or not symbol:
                named = f"channel:{channel},instId:{arg.get('instId')}"
                raise OkxError(
                    "60018", f"Wrong URL or {named} doesn't exist. Please use the correct URL, channel and parameters."
                )
            topic = _topic(channel, symbol)
        wanted = op == "subscribe"
        (peer.topics.add if wanted else peer.topics.discard)(topic)
        self._answer(peer, {"event": op, "arg": arg, "connId": _conn(peer)})
        if wanted and channel == "account":
            self._answer(peer, self._account_push(arg, "snapshot", None))
        elif wanted and symbol:
            self._join(peer, channel, symbol)
        elif symbol and channel == "books":
            self._chains[symbol].waiting.discard(peer)

    def _join(self, peer: Peer, channel: str, symbol: str) -> None:
        """What a new subscriber of market data gets at once; a lost book's snapshot comes later."""
        book, chain = self.core.books[symbol], self._chains[symbol]
        now = self.core.clock_ns()
        match channel:
            case "books" if not book.live:
                peer.topics.discard(_topic(channel, symbol))
                chain.waiting.add(peer)
            case "books":
                if not chain.window.bids and not chain.window.asks:
                    chain.window.reset(book.shown)
                chain.sent_ns = now
                peer.send(self._snapshot(symbol))
            case "books5" | "bbo-tbt" if book.live:
                frame = self._top(channel, symbol, 5 if channel == "books5" else 1, now, changed=False)
                if frame is not None:
                    peer.send(frame)
            case "tickers":
                peer.send(self._ticker_frame(symbol))

    def _order_from_socket(self, peer: Peer, op: str, message: dict, args: list[dict]) -> None:
        if self.over_limit(op, message):
            raise OkxError(
                "50011", "Rate limit reached. Please refer to API documentation and throttle requests accordingly"
            )
        account, scope = self.account, "cancel" if "cancel" in op else "amend" if "amend" in op else "order"
        result = {"cancel": account.cancel, "amend": account.amend, "order": account.place}[scope](args)
        symbol = account.unified(args[0]) if result["code"] == "0" else ""
        if scope != "cancel" and self.hangs(scope, symbol):
            return
        self._answer(peer, {"id": str(message.get("id", "")), "op": op} | result)

    # --- private channels --------------------------------------------------------------------------------------------------------------

    def _on_order(self, order: VenueOrder, change: Change, fill: VenueFill | None) -> None:
        instrument, now = self.core.instruments[order.symbol], self.core.clock_ns()
        match change:
            case Change.NEW:
                state, upto = "live", []
            case Change.TRADE:
                assert fill is not None
                upto = order.fills[: order.fills.index(fill) + 1]
                state = "filled" if sum(item.size for item in upto) == order.quantity else "partially_filled"
            case Change.AMENDED:
                state, upto = "partially_filled" if order.filled else "live", order.fills
            case Change.CANCELED | Change.EXPIRED:
                state, upto = "canceled", order.fills
        row = wire.order_event(order, instrument, state, upto, fill, now)
        if change is Change.AMENDED:
            row |= {"amendResult": "0", "amendSource": "1"}
        for inst_type in ("SPOT", "ANY"):
            arg = {"channel": "orders", "instType": inst_type}
            for wanted in (arg, arg | {"instId": wire.inst_id(order.symbol)}):
                self.publish(_private_topic(wanted), _push(wanted, row), market=False)
        currencies = [instrument.base, instrument.quote]
        for wanted in ({"channel": "account"}, *({"channel": "account", "ccy": currency} for currency in currencies)):
            topic = _private_topic(wanted)
            if any(topic in peer.topics for peer in self.peers):
                body = self._account_push(wanted, "event_update", currencies)
                self.publish(topic, orjson.dumps(body).decode(), market=False)

    def _account_push(self, arg: dict, kind: str, currencies: list[str] | None) -> dict:
        wanted = [arg["ccy"]] if arg.get("ccy") else currencies
        data = [wire.balances(self.core, wanted)]
        return {"arg": arg, "eventType": kind, "curPage": 1, "lastPage": True, "data": data}

    # --- REST --------------------------------------------------------------------------------------------------------------------------

    def _routes(self) -> None:
        public: dict[str, Callable[[dict], list]] = {
            "public/time": lambda query: [{"ts": wire.ms(self.now_ns())}],
            "public/instruments": self._instruments,
            "market/books": self._books,
            "market/trades": self._trades,
            "market/candles": lambda query: history.okx_candles(*self._past(query)),
            "market/history-candles": lambda query: history.okx_candles(*self._past(query)),
            "market/history-trades": lambda query: history.okx_trades(*self._past(query)),
            "market/ticker": lambda query: [self._ticker(self.account.unified(query))],
            "market/tickers": lambda query: [self._ticker(symbol) for symbol in self.core.instruments],
        }
        asked: dict[str, Callable[[dict], list]] = {
            "account/balance": self.account.balances,
            "account/trade-fee": self.account.trade_fee,
            "asset/currencies": self.account.currencies,
            "trade/order": self.account.order,
            "trade/orders-pending": self.account.pending,
            "trade/orders-history": self.account.history,
            "trade/fills": self.account.fills,
            "trade/fills-history": self.account.fills,
        }
        done: dict[str, Callable[[list[dict]], dict]] = {
            "trade/order": self.account.place,
            "trade/batch-orders": self.account.place,
            "trade/amend-order": self.account.amend,
            "trade/amend-batch-orders": self.account.amend,
            "trade/cancel-all-after": self.account.cancel_after,
            "trade/cancel-order": self.account.cancel,
            "trade/cancel-batch-orders": self.account.cancel,
        }
        for path, query in public.items():
            self.app.router.add_get(f"/api/v5/{path}", self._answered(query, signed=False))
        for path, query in asked.items():
            self.app.router.add_get(f"/api/v5/{path}", self._answered(query, signed=True))
        for path, act in done.items():
            self.app.router.add_post(f"/api/v5/{path}", self._acted(act))
        self.app.router.add_route("*", "/{tail:.*}", self._other)

    async def _other(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.serve_socket(request)
        return _json({"code": "404", "data": [], "msg": "Not Found"}, 404)

    def unavailable(self) -> web.Response:
        """503 of the gateway in front of the venue: a page, no code of OKX."""
        return web.Response(
            text="<html><h1>503 Service Temporarily Unavailable</h1></html>", status=503, content_type="text/html"
        )

    def too_many(self, request: web.Request) -> web.Response:
        """429 with the venue's code."""
        return _json({"code": "50011", "data": [], "msg": "Too Many Requests"}, 429)

    def closed(self) -> web.Response:
        """503 with the code that means it."""
        return _json(
            {"code": "50001", "data": [], "msg": "Service temporarily unavailable. Please try again later"}, 503
        )

    def farewell(self, peer: Peer) -> None:
        """The venue tells a minute ahead; here at once."""
        said = "The connection will soon be closed for a service upgrade. Please reconnect."
        peer.send(orjson.dumps({"event": "notice", "code": "64008", "msg": said, "connId": _conn(peer)}).decode())

    def is_order(self, request: web.Request) -> bool:
        """Whether a request places an order."""
        return request.method == "POST" and request.path in ("/api/v5/trade/order", "/api/v5/trade/batch-orders")

    def _answered(self, query: Callable[[dict], list], *, signed: bool):
        async def answer(request: web.Request) -> web.Response:
            try:
                if signed:
                    self._check(request, b"")
                return _json({"code": "0", "data": query(dict(request.query)), "msg": ""})
            except OkxError as error:
                return _failed(error)

        return answer

    def _acted(self, act: Callable[[list[dict]], dict]):
        async def answer(request: web.Request) -> web.Response:
            body = await request.read()
            try:
                self._check(request, body)
                try:
                    params = orjson.loads(body or b"[]")
                except orjson.JSONDecodeError:
                    raise OkxError("50002", "JSON syntax error", 400) from None
                orders = params if isinstance(params, list) else [params]
                result = act(orders)
                scope = self.scope(request) if result["code"] == "0" else ""
                if scope and self.hangs(scope, self.account.unified(orders[0])):
                    await self.hang()
                return _json(result)
            except OkxError as error:
                return _failed(error)

        return answer

    def _check(self, request: web.Request, body: bytes) -> None:
        """Key, passphrase, clock and signature of a private request."""
        given = {
            name: request.headers.get(f"OK-ACCESS-{name}", "") for name in ("KEY", "PASSPHRASE", "TIMESTAMP", "SIGN")
        }
        if not hmac.compare_digest(given["KEY"], self.credentials.key):
            raise OkxError("50111", "Invalid OK-ACCESS-KEY", 401)
        if not hmac.compare_digest(given["PASSPHRASE"], self.credentials.passphrase):
            raise OkxError("50105", "Request header OK-ACCESS-PASSPHRASE incorrect.", 401)
        try:
            moment = datetime.fromisoformat(given["TIMESTAMP"]).timestamp()
        except ValueError:
            raise OkxError("50112", "Invalid OK-ACCESS-TIMESTAMP", 401) from None
        if abs(moment - self.now_ns() / 1e9) > _SKEW_S:
            raise OkxError("50102", "Timestamp request expired", 401)
        parts = urlsplit(request.raw_path)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        good = self._sign(given["TIMESTAMP"] + request.method + path + body.decode())
        if not hmac.compare_digest(given["SIGN"], good):
            raise OkxError("50113", "Invalid Sign", 401)

    def _sign(self, text: str) -> str:
        return base64.b64encode(
            hmac.new(self.credentials.secret.encode(), text.encode(), hashlib.sha256).digest()
        ).decode()

    # --- public answers ----------------------------------------------------------------------------------------------------------------

    def _instruments(self, query: dict) -> list[dict]:
        if query.get("instType") not in _INST_TYPES[:-1]:
            raise OkxError("51000", "Parameter instType error", 400)
        if query["instType"] != "SPOT":
            return []
        symbols = [self.account.unified(query)] if query.get("instId") else list(self.core.instruments)
        return [wire.instrument_row(self.core.instruments[symbol]) for symbol in symbols]

    def _books(self, query: dict) -> list[dict]:
        symbol = self.account.unified(query)
        book, instrument = self.core.books[symbol], self.core.instruments[symbol]
        if not book.live:
            raise OkxError("50026", "System error. Try again later", 500)
        count = min(LEVELS, max(1, int(query.get("sz") or 1)))
        bids, asks = (
            orjson.loads(wire.levels(side.top(count), instrument)) for side in (book.shown.bids, book.shown.asks)
        )
        return [
            {"asks": asks, "bids": bids, "ts": wire.ms(self.core.clock_ns()), "seqId": self._chains[symbol].sequence}
        ]

    def _past(self, query: dict) -> tuple[Past, VenueInstrument, dict, int]:
        symbol = self.account.unified(query)
        return self._rolling[symbol].past, self.core.instruments[symbol], query, self.now_ns() // 1_000_000

    def _trades(self, query: dict) -> list[dict]:
        symbol = self.account.unified(query)
        rows = self._rolling[symbol].latest(min(500, int(query.get("limit") or 100)))
        return [wire.trade(self.core.instruments[symbol], row) for row in reversed(rows)]


def _topic(channel: str, symbol: str) -> str:
    return f"{channel}:{symbol}"


def _private_topic(arg: dict) -> str:
    return ":".join(str(arg.get(name, "")) for name in ("channel", "instType", "instId", "ccy"))


def _push(arg: dict, row: dict) -> str:
    return orjson.dumps({"arg": arg, "data": [row]}).decode()


def _conn(peer: Peer) -> str:
    return f"{id(peer) & 0xFFFFFFFF:08x}"


def _json(body: dict, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def _failed(error: OkxError) -> web.Response:
    return _json({"code": error.code, "data": [], "msg": error.message}, error.status)
