"""Loopback Kraken spot: REST and WebSocket v2, as an unmodified client sees them.

* Public REST under `/0/public`, private under `/0/private`: `API-Key`, `API-Sign` (HMAC-SHA512 over path and SHA-256
  of nonce and body) and a strictly growing nonce are checked. Business errors are HTTP 200 with `error: ["E…"]`.
* WebSocket v2 on any path: `status`, `heartbeat`, `book` (with CRC32), `trade`, `ticker`, `instrument`, and with a
  token `executions` and `balances`; `add_order`, `amend_order`, `cancel_order`, `cancel_all`,
  `cancel_all_orders_after`, `ping`.
* While a book of the tape is lost: an update whose checksum cannot match, then silence on that book,
  `EService:Unavailable` from `Depth`; a new snapshot comes when it is whole again, also to those who subscribed in
  between.

Not simulated: margin, stops, batches of orders. A filter by `cl_ord_id` works in QueryOrders, OpenOrders,
ClosedOrders and TradesHistory alike (Kraken documents it for the two in the middle).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from decimal import Decimal
from typing import ClassVar
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from sim.events import EventKind, VenueEvent
from sim.instruments import VenueInstrument
from sim.servers import history
from sim.servers.base import Credentials, Peer, VenueServer
from sim.servers.faults import Fault
from sim.servers.kraken import wire
from sim.servers.kraken.account import KrakenAccount
from sim.servers.kraken.book import DEPTHS, PublishedBook
from sim.servers.kraken.wire import KrakenError
from sim.servers.limits import KrakenLimits
from sim.servers.matching import Change, MatchingCore, VenueFill, VenueOrder
from sim.servers.past import Past
from sim.servers.rolling import Rolling

_TOKEN_LIFE_S = 900
_PAGE = 50


class KrakenServer(VenueServer):
    """The loopback Kraken on a matching core. `start()` binds it; feed it with `on_market`."""

    venue: ClassVar[str] = "KRAKEN"
    limits_of = KrakenLimits

    def __init__(self, core: MatchingCore, credentials: Credentials) -> None:
        super().__init__(core, credentials)
        self._symbols = {name: symbol for symbol in core.instruments for name in wire.pair_names(symbol)}
        self._books: dict[tuple[str, int], PublishedBook] = {}
        self._rolling = {symbol: Rolling(one, core.clock_ns()) for symbol, one in core.instruments.items()}
        self._top: dict[str, tuple[int, int, int, int]] = {}
        self._tokens: dict[str, float] = {}
        self._nonce = 0
        self._sequence = 0
        core.on_order.append(self._on_order)
        core.on_rows.append(lambda symbol, rows: self._publish_book(symbol, core.clock_ns()))
        core.on_print.append(self._on_own_print)
        self.account = KrakenAccount(core, self.faults, self._symbols)
        self._routes()

    # --- market data -------------------------------------------------------------------------------------------------------------------

    def on_market(self, event: VenueEvent) -> None:
        """Take in an event and publish Kraken's frames for it. Quotes are derived from the book, as Kraken's are."""
        symbol = event.symbol
        self.core.apply(event)
        match event.kind:
            case EventKind.UPDATE:
                self._publish_book(symbol, event.ts_event_ns)
            case EventKind.SNAPSHOT:
                for (known, depth), published in self._books.items():
                    if known == symbol:
                        self._send_snapshot(symbol, depth, published, event.ts_event_ns)
                self._publish_top(symbol)
            case EventKind.CLEAR:
                self._publish_loss(symbol, event.ts_event_ns)
            case EventKind.TRADE:
                ms = event.ts_event_ns // 1_000_000
                self._publish_trade(symbol, self.core.next_trade_id(), event.price, event.size, event.side, ms)

    def _publish_book(self, symbol: str, ts_ns: int) -> None:
        book = self.core.books[symbol]
        if not book.live:
            return
        instrument = self.core.instruments[symbol]
        for (known, depth), published in list(self._books.items()):
            if known != symbol:
                continue
            topic = f"book:{symbol}:{depth}"
            if not any(topic in peer.topics for peer in self.peers):
                del self._books[known, depth]
                continue
            bids, asks = published.advance(book.shown)
            if not bids and not asks:
                continue
            if self.faults.take(Fault.DROP_UPDATES, symbol=symbol):
                continue
            crc = wire.checksum(list(published.bids.items())[:10], list(published.asks.items())[:10])
            bids, asks = self.faults.spoiled(bids, symbol), self.faults.spoiled(asks, symbol)
            self.publish(topic, wire.book("update", instrument, bids, asks, crc, ts_ns), symbol=symbol)
        self._publish_top(symbol)

    def _publish_loss(self, symbol: str, ts_ns: int) -> None:
        """What a subscriber sees when the venue's own feed lost updates: a checksum that does not match its book."""
        for (known, depth), published in self._books.items():
            if known == symbol:
                crc = wire.checksum(list(published.bids.items())[:10], list(published.asks.items())[:10]) ^ 1
                frame = wire.book("update", self.core.instruments[symbol], [], [], crc, ts_ns)
                self.publish(f"book:{symbol}:{depth}", frame, symbol=symbol)

    def _send_snapshot(self, symbol: str, depth: int, published: PublishedBook, ts_ns: int) -> None:
        bids, asks = published.reset(self.core.books[symbol].shown)
        frame = wire.book("snapshot", self.core.instruments[symbol], bids, asks, wire.checksum(bids, asks), ts_ns)
        self.publish(f"book:{symbol}:{depth}", frame, symbol=symbol)

    def _publish_top(self, symbol: str) -> None:
        shown = self.core.books[symbol].shown
        bid, ask = shown.bids.top(1), shown.asks.top(1)
        if bid and ask and self._top.get(symbol) != (*bid[0], *ask[0]):
            self._top[symbol] = (*bid[0], *ask[0])
            self.publish(f"ticker:{symbol}:bbo", self._ticker(symbol, "update"), symbol=symbol)

    def _publish_trade(self, symbol: str, trade_id: int, price: int, size: int, side: int, trade_ms: int) -> None:
        self._rolling[symbol].add(trade_id, price, size, side, trade_ms)
        rows = self._rolling[symbol].latest(1)
        self.publish(f"trade:{symbol}", wire.trades("update", self.core.instruments[symbol], rows), symbol=symbol)
        self.publish(f"ticker:{symbol}:trades", self._ticker(symbol, "update"), symbol=symbol)

    def _on_own_print(self, symbol: str, fill: VenueFill) -> None:
        aggressor = -fill.side if fill.maker else fill.side
        self._publish_trade(symbol, fill.trade_id, fill.price, fill.size, aggressor, fill.ts_ns // 1_000_000)

    def _ticker(self, symbol: str, kind: str) -> str:
        instrument, rolling = self.core.instruments[symbol], self._rolling[symbol]
        price, size = instrument.price_decimals, instrument.size_decimals
        bid, bid_size, ask, ask_size = self._top.get(symbol, (0, 0, 0, 0))
        prices = {name: wire.text(value, price) for name, value in rolling.prices().items()}
        change = rolling.last - rolling.first
        sign = "-" if change < 0 else ""
        percent = round(100 * change / rolling.first, 2) if rolling.first else 0
        return (
            f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{symbol}","bid":{wire.text(bid, price)},'
            f'"bid_qty":{wire.text(bid_size, size)},"ask":{wire.text(ask, price)},"ask_qty":{wire.text(ask_size, size)},'
            f'"last":{prices["last"]},"volume":{wire.text(rolling.volume, size)},"vwap":{prices["average"]},"low":{prices["low"]},'
            f'"high":{prices["high"]},"change":{sign}{wire.text(abs(change), price)},"change_pct":{percent},'
            f'"timestamp":"{wire.stamp(self.core.clock_ns())}"}}]}}'
        )

    async def background(self) -> None:
        """A heartbeat each second, as Kraken sends to whoever subscribed to something."""
        while True:
            await asyncio.sleep(1)
            for peer in list(self.peers):
                if peer.topics and not self.faults.silent:
                    peer.send('{"channel":"heartbeat"}')

    def on_clock(self) -> None:
        """The dead-man switch."""
        self.account.dead_man.check()

    # --- WebSocket ---------------------------------------------------------------------------------------------------------------------

    def greet(self, peer: Peer, path: str) -> None:
        """The status message that opens every connection."""
        body = {"version": "2.0.10", "system": "online", "api_version": "v2", "connection_id": id(peer)}
        peer.send(orjson.dumps({"channel": "status", "data": [body], "type": "update"}).decode())

    async def on_message(self, peer: Peer, message: dict, path: str) -> None:
        """A v2 request."""
        came = self.core.clock_ns()
        method, params = message.get("method"), message.get("params") or {}
        try:
            if self.over_limit(str(method), params):
                raise KrakenError("EOrder:Rate limit exceeded")
            match method:
                case "ping":
                    self._answer(peer, message, came, method="pong")
                case "subscribe" | "unsubscribe":
                    self._subscription(peer, message, params, came)
                case "add_order":
                    self._check_token(params)
                    order = self.account.place_from_socket(params)
                    result = {
                        "order_id": wire.order_txid(order.order_id),
                        "cl_ord_id": order.client_id,
                        "order_userref": 0,
                    }
                    if not self.hangs("order", order.symbol):
                        self._answer(peer, message, came, success=True, result=result)
                case "amend_order":
                    self._check_token(params)
                    name = "order_id" if params.get("order_id") else "cl_ord_id"
                    value = str(params.get(name, ""))
                    order = self.account.one({"txid": value} if name == "order_id" else {name: value})
                    terms = (params.get("order_qty"), params.get("limit_price"))
                    amend_id = self.account.amend(order, *terms, post_only=bool(params.get("post_only")))
                    if not self.hangs("amend", order.symbol):
                        self._answer(peer, message, came, success=True, result={"amend_id": amend_id, name: value})
                case "cancel_all":
                    self._check_token(params)
                    self._answer(peer, message, came, success=True, result=self.account.cancel_all(params))
                case "cancel_all_orders_after":
                    self._check_token(params)
                    self._answer(
                        peer, message, came, success=True, result=self.account.cancel_after(params.get("timeout"))
                    )
                case "cancel_order":
                    self._check_token(params)
                    wanted = [("order_id", str(txid)) for txid in params.get("order_id", [])]
                    wanted += [("cl_ord_id", str(client_id)) for client_id in params.get("cl_ord_id", [])]
                    for name, value in wanted:
                        order = self.account.one({"txid": value} if name == "order_id" else {"cl_ord_id": value})
                        self.account.cancel_order(order)
                        self._answer(peer, message, came, success=True, result={name: value})
                case _:
                    raise KrakenError(f"Unsupported method: {method}")
        except KrakenError as error:
            self._answer(peer, message, came, success=False, error=error.text)

    def _answer(self, peer: Peer, message: dict, came_ns: int, **fields: object) -> None:
        body: dict[str, object] = {"method": message.get("method"), **fields}
        body |= {"time_in": wire.stamp(came_ns), "time_out": wire.stamp(self.core.clock_ns())}
        if "req_id" in message:
            body["req_id"] = message["req_id"]
        if not self.faults.silent:
            peer.send(orjson.dumps(body).decode())

    def _check_token(self, params: dict) -> None:
        if self._tokens.get(str(params.get("token")), 0) < time.monotonic():
            raise KrakenError("ESession:Invalid session")

    def _subscription(self, peer: Peer, message: dict, params: dict, came: int) -> None:
        channel, wanted = params.get("channel"), message.get("method") == "subscribe"
        symbols = params.get("symbol") or []
        for symbol in symbols:
            if symbol not in self.core.instruments:
                raise KrakenError(f"Currency pair not supported {symbol}")
        match channel:
            case "book" | "trade" | "ticker":
                for symbol in symbols:
                    self._market_subscription(peer, message, params, symbol, came, wanted=wanted)
            case "instrument":
                self._answer(peer, message, came, success=True, result={"channel": channel, "snapshot": True})
                if wanted:
                    peer.send(orjson.dumps(wire.instrument_snapshot(self.core)).decode())
            case "executions" | "balances":
                self._check_token(params)
                self._toggle(peer, str(channel), wanted=wanted)
                result = {"channel": channel, "snapshot": True}
                self._answer(peer, message, came, success=True, result=result)
                if wanted and channel == "balances":
                    peer.send(self._balances_snapshot())
                elif wanted:
                    self._executions_snapshot(peer, params)
            case "status" | "heartbeat":
                self._answer(peer, message, came, success=True, result={"channel": channel})
            case _:
                raise KrakenError(f"Unsupported channel: {channel}")

    def _toggle(self, peer: Peer, topic: str, *, wanted: bool) -> None:
        (peer.topics.add if wanted else peer.topics.discard)(topic)

    def _market_subscription(
        self, peer: Peer, message: dict, params: dict, symbol: str, came: int, *, wanted: bool
    ) -> None:
        channel = str(params["channel"])
        result: dict[str, object] = {"channel": channel, "symbol": symbol}
        snapshot = wanted and params.get("snapshot", True)
        topic = f"{channel}:{symbol}"
        match channel:
            case "book":
                depth = params.get("depth", 10)
                if depth not in DEPTHS:
                    raise KrakenError("Subscription depth not supported")
                result |= {"depth": depth, "snapshot": bool(snapshot)}
                topic += f":{depth}"
            case "ticker":
                trigger = params.get("event_trigger", "trades")
                result |= {"event_trigger": trigger, "snapshot": bool(snapshot)}
                topic += f":{trigger}"
            case _:
                result |= {"snapshot": bool(snapshot)}
        self._answer(peer, message, came, success=True, result=result)
        self._toggle(peer, topic, wanted=wanted)
        if channel == "book" and wanted:
            self._join_book(peer, symbol, int(params.get("depth", 10)))
        elif channel == "ticker" and snapshot and symbol in self._top:
            peer.send(self._ticker(symbol, "snapshot"))
        elif channel == "trade" and snapshot:
            rows = self._rolling[symbol].latest(_PAGE)
            if rows:
                peer.send(wire.trades("snapshot", self.core.instruments[symbol], rows))

    def _join_book(self, peer: Peer, symbol: str, depth: int) -> None:
        """A new subscriber gets what the others have; when the book is lost, its snapshot comes later."""
        book = self.core.books[symbol]
        fresh = (symbol, depth) not in self._books
        published = self._books.setdefault((symbol, depth), PublishedBook(depth))
        if not book.live:
            return
        if fresh:
            published.reset(book.shown)
        bids, asks = list(published.bids.items()), list(published.asks.items())
        crc, instrument = wire.checksum(bids, asks), self.core.instruments[symbol]
        peer.send(wire.book("snapshot", instrument, bids, asks, crc, self.core.clock_ns()))

    # --- private channels --------------------------------------------------------------------------------------------------------------

    def _on_order(self, order: VenueOrder, change: Change, fill: VenueFill | None) -> None:
        instrument, now = self.core.instruments[order.symbol], self.core.clock_ns()
        upto = order.fills if change in (Change.AMENDED, Change.CANCELED, Change.EXPIRED) else []
        if fill is not None:
            upto = order.fills[: order.fills.index(fill) + 1]
        done = sum(item.size for item in upto) == order.quantity
        match change:
            case Change.NEW:
                kinds = [("pending_new", "pending_new"), ("new", "new")]
            case Change.TRADE:
                kinds = [("trade", "filled" if done else "partially_filled")] + ([("filled", "filled")] if done else [])
            case Change.AMENDED:
                kinds = [("amended", "partially_filled" if upto else "new")]
            case Change.EXPIRED if order.expires_ns:
                kinds = [("expired", "expired")]
            case Change.CANCELED | Change.EXPIRED:
                kinds = [("canceled", "canceled")]
        for kind, status in kinds:
            row = wire.execution(order, instrument, kind, status, fill if kind == "trade" else None, upto, now)
            self._private("executions", "update", row)
        if fill is not None:
            for currency in dict.fromkeys((instrument.base, instrument.quote, fill.fee_currency)):
                self._private("balances", "update", self._balance_row(currency, fill))

    def _private(self, channel: str, kind: str, row: str) -> None:
        self._sequence += 1
        frame = f'{{"channel":"{channel}","type":"{kind}","data":[{row}],"sequence":{self._sequence}}}'
        self.publish(channel, frame, market=False)

    def _balance_row(self, currency: str, fill: VenueFill) -> str:
        instrument = self.core.instruments[fill.symbol]
        amount = instrument.size(fill.size) * fill.side if currency == instrument.base else -fill.cost * fill.side
        fee = fill.fee if currency == fill.fee_currency else Decimal(0)
        return (
            f'{{"asset":"{currency}","asset_class":"currency","amount":{amount:.8f},"fee":{fee:.8f},'
            f'"balance":{self.core.balances[currency]:.8f},"ledger_id":"{wire.trade_txid(fill.trade_id).replace("T", "L", 1)}",'
            f'"ref_id":"{wire.trade_txid(fill.trade_id)}","type":"trade","category":"trade","subtype":"","wallet_type":"spot",'
            f'"wallet_id":"main","timestamp":"{wire.stamp(fill.ts_ns)}"}}'
        )

    def _balances_snapshot(self) -> str:
        rows = [
            f'{{"asset":"{currency}","asset_class":"currency","balance":{total:.8f},'
            f'"wallets":[{{"type":"spot","id":"main","balance":{total:.8f}}}]}}'
            for currency, total in sorted(self.core.balances.items())
        ]
        return f'{{"channel":"balances","type":"snapshot","data":[{",".join(rows)}],"sequence":1}}'

    def _executions_snapshot(self, peer: Peer, params: dict) -> None:
        now = self.core.clock_ns()
        rows: list[str] = []
        if params.get("snap_orders", True):
            for order in self.core.resting.values():
                state = "partially_filled" if order.filled else "new"
                instrument = self.core.instruments[order.symbol]
                rows.append(wire.execution(order, instrument, "new", state, None, order.fills, order.updated_ns))
        peer.send(f'{{"channel":"executions","type":"snapshot","data":[{",".join(rows)}],"sequence":1}}')
        if params.get("snap_trades", False) and self.core.fills:
            rows = []
            for fill in self.core.fills[-_PAGE:]:
                order = self.core.orders.get(fill.order_id)
                if order is not None:
                    instrument = self.core.instruments[fill.symbol]
                    upto = order.fills[: order.fills.index(fill) + 1]
                    state = "filled" if sum(item.size for item in upto) == order.quantity else "partially_filled"
                    rows.append(wire.execution(order, instrument, "trade", state, fill, upto, now))
            peer.send(f'{{"channel":"executions","type":"snapshot","data":[{",".join(rows)}],"sequence":2}}')

    # --- REST --------------------------------------------------------------------------------------------------------------------------

    def _routes(self) -> None:
        public: dict[str, Callable[[dict], object]] = {
            "Time": lambda query: {
                "unixtime": self.now_ns() // 1_000_000_000,
                "rfc1123": time.strftime("%a, %d %b %y %H:%M:%S +0000", time.gmtime()),
            },
            "SystemStatus": lambda query: {"status": "online", "timestamp": wire.stamp(self.core.clock_ns())},
            "Assets": lambda query: wire.assets(self.core),
            "AssetPairs": self._asset_pairs,
            "Ticker": self._tickers,
            "Depth": self._depth,
            "Trades": lambda query: history.kraken_trades(*self._past(query), query),
            "OHLC": lambda query: history.kraken_candles(*self._past(query), query, self.now_ns() // 1_000_000),
        }
        private: dict[str, Callable[[dict], object]] = {
            "GetWebSocketsToken": lambda params: self._token(),
            "Balance": lambda params: {wire.asset_id(c): f"{total:.8f}" for c, total in self.core.balances.items()},
            "BalanceEx": lambda params: self.account.balances(),
            "TradeVolume": self.account.trade_volume,
            "AddOrder": self.account.add_order,
            "CancelOrder": self.account.cancel,
            "CancelOrderBatch": self.account.cancel_batch,
            "CancelAll": self.account.cancel_all,
            "CancelAllOrdersAfter": lambda params: self.account.cancel_after(params.get("timeout")),
            "AmendOrder": self.account.amend_order,
            "QueryOrders": self.account.query_orders,
            "OpenOrders": self.account.open_orders,
            "ClosedOrders": self.account.closed_orders,
            "TradesHistory": self.account.trades_history,
            "QueryTrades": self.account.query_trades,
        }
        for name, handler in public.items():
            self.app.router.add_get(f"/0/public/{name}", self._public(handler))
            self.app.router.add_post(f"/0/public/{name}", self._public(handler))
        for name, handler in private.items():
            self.app.router.add_post(f"/0/private/{name}", self._signed(handler))
        self.app.router.add_route("*", "/{tail:.*}", self._other)

    async def _other(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.serve_socket(request)
        return _failed("EGeneral:Unknown method")

    def unavailable(self) -> web.Response:
        """503 with Kraken's words for it."""
        return web.json_response({"error": ["EService:Unavailable"]}, status=503)

    def too_many(self, request: web.Request) -> web.Response:
        """HTTP 200 like every refusal; the trading engine's counter has words of its own."""
        kind = "EOrder" if self.is_order(request) else "EAPI"
        return _failed(f"{kind}:Rate limit exceeded")

    def farewell(self, peer: Peer) -> None:
        """The status channel says it."""
        peer.send(
            '{"channel":"status","type":"update","data":[{"api_version":"v2","system":"maintenance","version":"2.0.10"}]}'
        )

    def is_order(self, request: web.Request) -> bool:
        """Whether a request places an order."""
        return request.path == "/0/private/AddOrder"

    def _public(self, handler: Callable[[dict], object]):
        async def answer(request: web.Request) -> web.Response:
            try:
                return _result(handler(dict(request.query)))
            except KrakenError as error:
                return _failed(error.text)

        return answer

    def _signed(self, handler: Callable[[dict], object]):
        async def answer(request: web.Request) -> web.Response:
            body = await request.read()
            try:
                params = self._checked(request, body)
                result = handler(params)
                if (scope := self.scope(request)) and self.hangs(scope, self.account.symbol_of(params)):
                    await self.hang()
                return _result(result)
            except KrakenError as error:
                return _failed(error.text)

        return answer

    def _checked(self, request: web.Request, body: bytes) -> dict:
        """Parameters of a private request whose key, signature and nonce are right."""
        if not hmac.compare_digest(request.headers.get("API-Key", ""), self.credentials.key):
            raise KrakenError("EAPI:Invalid key")
        text = body.decode()
        if request.content_type == "application/json":
            said = orjson.loads(body)
            params = {key: value if isinstance(value, list) else str(value) for key, value in said.items()}
        else:
            params = dict(parse_qsl(text, keep_blank_values=True))
        nonce = params.get("nonce", "")
        digest = hashlib.sha256((nonce + text).encode()).digest()
        secret = base64.b64decode(self.credentials.secret)
        good = base64.b64encode(hmac.new(secret, request.path.encode() + digest, hashlib.sha512).digest()).decode()
        if not hmac.compare_digest(good, request.headers.get("API-Sign", "")):
            raise KrakenError("EAPI:Invalid signature")
        if not nonce.isdigit() or int(nonce) <= self._nonce:
            raise KrakenError("EAPI:Invalid nonce")
        self._nonce = int(nonce)
        return params

    # --- public answers ----------------------------------------------------------------------------------------------------------------

    def _asset_pairs(self, query: dict) -> dict:
        if query.get("aclass_base", "currency") != "currency":
            return {}  # no tokenized shares here
        wanted = query.get("pair")
        symbols = (
            [self.account.unified({"pair": name}) for name in wanted.split(",")]
            if wanted
            else list(self.core.instruments)
        )
        return wire.asset_pairs({symbol: self.core.instruments[symbol] for symbol in symbols})

    def _tickers(self, query: dict) -> dict:
        wanted = query.get("pair")
        symbols = (
            [self.account.unified({"pair": name}) for name in wanted.split(",")]
            if wanted
            else list(self.core.instruments)
        )
        out = {}
        for symbol in symbols:
            instrument, rolling = self.core.instruments[symbol], self._rolling[symbol]
            price, size = instrument.price_decimals, instrument.size_decimals
            bid, bid_size, ask, ask_size = self._top.get(symbol, (0, 0, 0, 0))
            prices = {name: wire.text(value, price) for name, value in rolling.prices().items()}
            volume = wire.text(rolling.volume, size)
            out[wire.pair_id(symbol)] = {
                "a": [wire.text(ask, price), "1", wire.text(ask_size, size)],
                "b": [wire.text(bid, price), "1", wire.text(bid_size, size)],
                "c": [prices["last"], wire.text(rolling.last_size, size)],
                "v": [volume, volume],
                "p": [prices["average"], prices["average"]],
                "t": [rolling.count, rolling.count],
                "l": [prices["low"], prices["low"]],
                "h": [prices["high"], prices["high"]],
                "o": prices["open"],
            }
        return out

    def _depth(self, query: dict) -> dict:
        symbol = self.account.unified(query)
        book = self.core.books[symbol]
        if not book.live:
            raise KrakenError("EService:Unavailable")
        instrument, now = self.core.instruments[symbol], int(time.time())
        count = min(500, max(1, int(query.get("count", 100))))
        sides = {
            name: [
                [wire.text(price, instrument.price_decimals), wire.text(size, instrument.size_decimals), now]
                for price, size in side.top(count)
            ]
            for name, side in (("asks", book.shown.asks), ("bids", book.shown.bids))
        }
        return {wire.pair_id(symbol): sides}

    def _past(self, query: dict) -> tuple[Past, VenueInstrument]:
        symbol = self.account.unified(query)
        return self._rolling[symbol].past, self.core.instruments[symbol]

    # --- tokens --------------------------------------------------------------------------------------------------------------------------

    def _token(self) -> dict:
        token = secrets.token_urlsafe(32)
        now = time.monotonic()
        self._tokens = {known: until for known, until in self._tokens.items() if until > now}
        self._tokens[token] = now + _TOKEN_LIFE_S
        return {"token": token, "expires": _TOKEN_LIFE_S}


def _result(result: object) -> web.Response:
    return web.Response(body=orjson.dumps({"error": [], "result": result}), content_type="application/json")


def _failed(text: str) -> web.Response:
    return web.Response(body=orjson.dumps({"error": [text], "result": {}}), content_type="application/json")
