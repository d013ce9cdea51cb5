"""Seven exchanges that are read generically, each as far as an unmodified ccxt.pro needs it: instruments, one book, trades, in the venue's
own wire format (their documentation's frames, as ccxt's source and recorded files repeat them)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import Any
from zlib import crc32

import orjson
from aiohttp import WSMsgType, web

Rows = list[tuple[str, str]]
BIDS: Rows = [("6000.1", "1.5"), ("6000", "2"), ("5999.5", "0.25")]
ASKS: Rows = [("6000.4", "0.5"), ("6001", "3"), ("6002.5", "1.25")]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Script(ABC):
    """One venue. `rest` answers by (method, path); `answers` are the frames that follow a message of the client."""

    exchange = ""
    symbol = "BTC/USDT"
    tick, lot = "0.1", "0.000001"

    def __init__(self) -> None:
        self.host = ""
        self.sequence = 1_000
        self.bids, self.asks = dict(BIDS), dict(ASKS)

    @abstractmethod
    def rest(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        """The answer to a request."""

    def greeting(self) -> list[Any]:
        return []

    @abstractmethod
    def answers(self, message: Any) -> list[Any]:
        """Frames that follow a message of the client."""

    def update(self, bids: Rows, asks: Rows) -> list[Any]:
        """Frames of a change of the book; size "0" removes a level."""
        for side, rows in ((self.bids, bids), (self.asks, asks)):
            for price, size in rows:
                side.pop(price, None) if float(size) == 0 else side.update({price: size})
        self.sequence += 1
        return self.changed(bids, asks)

    @abstractmethod
    def changed(self, bids: Rows, asks: Rows) -> list[Any]:
        """Frames of a change that was just made."""

    @abstractmethod
    def trade(self, number: int, side: str, price: str, size: str) -> list[Any]:
        """Frames of one trade, done now; `side` is the taker's."""

    def sorted(self) -> tuple[Rows, Rows]:
        return (
            sorted(self.bids.items(), key=lambda row: -float(row[0])),
            sorted(self.asks.items(), key=lambda row: float(row[0])),
        )


class Bitget(Script):
    exchange = "bitget"
    tick = "0.01"

    def rest(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        rows: list[dict] = []
        if path == "/api/v2/spot/public/symbols":
            rows = [
                {"symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "minTradeAmount": "0", "maxTradeAmount": "900000000000",
                 "takerFeeRate": "0.002", "makerFeeRate": "0.002", "pricePrecision": "2", "quantityPrecision": "6",
                 "quotePrecision": "8", "status": "online", "minTradeUSDT": "1", "buyLimitPriceRatio": "0.05",
                 "sellLimitPriceRatio": "0.05"}
            ]  # fmt: skip
        if path == "/api/v2/spot/market/orderbook":
            bids, asks = self.sorted()
            return {"code": "00000", "data": {"asks": asks, "bids": bids, "ts": str(now_ms())}}
        if path == "/api/v2/public/time":
            return {"code": "00000", "msg": "success", "requestTime": now_ms(), "data": {"serverTime": str(now_ms())}}
        return {"code": "00000", "msg": "success", "requestTime": now_ms(), "data": rows}

    def _arg(self, channel: str) -> dict:
        return {"instType": "SPOT", "channel": channel, "instId": "BTCUSDT"}

    def answers(self, message: Any) -> list[Any]:
        if message == "ping":
            return ["pong"]
        (arg,) = message["args"]
        said: list[Any] = [{"event": message["op"], "arg": arg}]
        if message["op"] == "subscribe" and arg["channel"] == "books":
            said.append(self._book("snapshot", *self.sorted(), checksum=0))
        if message["op"] == "subscribe" and arg["channel"] == "trade":
            row = {"ts": str(now_ms() - 60_000), "price": "5900.1", "size": "1", "side": "buy", "tradeId": "1"}
            said.append({"action": "snapshot", "arg": arg, "data": [row], "ts": now_ms()})
        return said

    def _book(self, action: str, bids: Rows, asks: Rows, checksum: int) -> dict:
        data = {"asks": asks, "bids": bids, "checksum": checksum, "seq": self.sequence, "ts": str(now_ms())}
        return {"action": action, "arg": self._arg("books"), "data": [data], "ts": now_ms()}

    def changed(self, bids: Rows, asks: Rows) -> list[Any]:
        ours, theirs = self.sorted()
        parts = [text for at in range(25) for side in (ours, theirs) for text in (side[at] if at < len(side) else ())]
        checksum = crc32(":".join(parts).encode())
        return [self._book("update", bids, asks, checksum - 2**32 if checksum >= 2**31 else checksum)]

    def trade(self, number: int, side: str, price: str, size: str) -> list[Any]:
        row = {"ts": str(now_ms()), "price": price, "size": size, "side": side, "tradeId": str(number)}
        return [{"action": "update", "arg": self._arg("trade"), "data": [row], "ts": now_ms()}]


class Kucoin(Script):
    exchange = "kucoin"
    lot = "0.00000001"

    def rest(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        data: Any = []
        match path:
            case "/api/v2/symbols":
                data = [
                    {"symbol": "BTC-USDT", "name": "BTC-USDT", "baseCurrency": "BTC", "quoteCurrency": "USDT", "feeCurrency": "USDT",
                     "market": "USDS", "baseMinSize": "0.00001", "quoteMinSize": "0.1", "baseMaxSize": "10000000000",
                     "quoteMaxSize": "99999999", "baseIncrement": "0.00000001", "quoteIncrement": "0.000001",
                     "priceIncrement": "0.1", "priceLimitRate": "0.1", "minFunds": "0.1", "isMarginEnabled": True,
                     "enableTrading": True, "feeCategory": 1, "makerFeeCoefficient": "1.00", "takerFeeCoefficient": "1.00",
                     "st": False}
                ]  # fmt: skip
            case "/api/v1/bullet-public":
                place = {"endpoint": f"ws://{self.host}/endpoint", "encrypt": True, "protocol": "websocket"}
                data = {"token": "public", "instanceServers": [place | {"pingInterval": 18_000, "pingTimeout": 10_000}]}
            case "/api/v1/market/allTickers":
                data = {"time": now_ms(), "ticker": []}
            case _ if "orderbook" in path:
                bids, asks = self.sorted()
                data = {"time": now_ms(), "sequence": str(self.sequence), "bids": bids, "asks": asks}
        return {"code": "200000", "data": data}

    def greeting(self) -> list[Any]:
        return [{"id": "hQvf8jkno", "type": "welcome"}]

    def answers(self, message: Any) -> list[Any]:
        if message["type"] == "ping":
            return [{"id": message["id"], "type": "pong"}]
        said: list[Any] = [{"id": message["id"], "type": "ack"}]
        if message["type"] == "subscribe" and "level2" in message["topic"]:
            for _ in range(8):  # ccxt asks for the snapshot after a few changes
                said += self.update([("5990", "1")], [])
        return said

    def changed(self, bids: Rows, asks: Rows) -> list[Any]:
        changes = {
            name: [[*row, str(self.sequence)] for row in rows] for name, rows in (("asks", asks), ("bids", bids))
        }
        numbers = {"sequenceStart": self.sequence, "sequenceEnd": self.sequence}
        data = {"changes": changes, **numbers, "symbol": "BTC-USDT", "time": now_ms()}
        return [{"type": "message", "topic": "/market/level2:BTC-USDT", "subject": "trade.l2update", "data": data}]

    def trade(self, number: int, side: str, price: str, size: str) -> list[Any]:
        data = {
            "sequence": str(number), "symbol": "BTC-USDT", "side": side, "size": size, "price": price, "takerOrderId": "t",
            "time": str(now_ms() * 1_000_000), "type": "match", "makerOrderId": "m", "tradeId": str(number),
        }  # fmt: skip
        return [{"type": "message", "topic": "/market/match:BTC-USDT", "subject": "trade.l3match", "data": data}]


class Gate(Script):
    exchange = "gate"

    def rest(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        if path == "/api/v4/spot/currency_pairs":
            return [
                {"id": "BTC_USDT", "base": "BTC", "base_name": "Bitcoin", "quote": "USDT", "quote_name": "Tether", "fee": "0.2",
                 "min_base_amount": "0.000001", "min_quote_amount": "3", "max_quote_amount": "5000000", "amount_precision": 6,
                 "precision": 1, "trade_status": "tradable", "sell_start": 0, "buy_start": 0, "type": "normal"}
            ]  # fmt: skip
        if path == "/api/v4/spot/order_book":
            bids, asks = self.sorted()
            return {"current": now_ms(), "update": now_ms(), "id": self.sequence, "asks": asks, "bids": bids}
        if path == "/api/v4/spot/time":
            return {"server_time": now_ms()}
        return []

    def answers(self, message: Any) -> list[Any]:
        channel, event = message["channel"], message["event"]
        about = {"time": now_ms() // 1000, "time_ms": now_ms(), "id": message.get("id"), "channel": channel}
        said: list[Any] = [{**about, "event": event, "error": None, "result": {"status": "success"}}]
        if (channel, event) == ("spot.obu", "subscribe"):
            bids, asks = self.sorted()
            said.append(self._book({"full": True, "u": self.sequence, "b": bids, "a": asks}))
        return said

    def _book(self, result: dict) -> dict:
        result = {"t": now_ms(), "s": "ob.BTC_USDT.50", **result}
        return {"channel": "spot.obu", "result": result, "time_ms": now_ms(), "event": "update"}

    def changed(self, bids: Rows, asks: Rows) -> list[Any]:
        return [self._book({"U": self.sequence, "u": self.sequence, "b": bids, "a": asks})]

    def trade(self, number: int, side: str, price: str, size: str) -> list[Any]:
        row = {
            "id": number, "create_time": now_ms() // 1000, "create_time_ms": f"{now_ms()}.0", "side": side,
            "currency_pair": "BTC_USDT", "amount": size, "price": price,
        }  # fmt: skip
        return [{"time": now_ms() // 1000, "channel": "spot.trades", "event": "update", "result": row}]


class Deribit(Script):
    exchange = "deribit"
    symbol = "BTC/USDC"
    lot = "0.0001"

    def rest(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        result: Any = []
        if path.endswith("/public/get_instruments"):
            result = [
                {"price_index": "btc_usdc", "kind": "spot", "instrument_name": "BTC_USDC", "maker_commission": 0.0,
                 "taker_commission": 0.0, "instrument_type": "linear", "expiration_timestamp": 32503708800000,
                 "creation_timestamp": 1678096855000, "is_active": True, "tick_size": 0.1, "contract_size": 0.0001,
                 "instrument_id": 293171, "min_trade_amount": 0.0001, "settlement_currency": None, "base_currency": "BTC",
                 "counter_currency": "USDC", "quote_currency": "USDC", "tick_size_steps": []}
            ]  # fmt: skip
        if path.endswith("/public/get_order_book"):
            bids, asks = ([[float(p), float(s)] for p, s in rows] for rows in self.sorted())
            result = {
                "bids": bids,
                "asks": asks,
                "timestamp": now_ms(),
                "change_id": self.sequence,
                "instrument_name": "BTC_USDC",
            }
        return {"jsonrpc": "2.0", "result": result, "usIn": 0, "usOut": 0, "usDiff": 0, "testnet": False}

    def answers(self, message: Any) -> list[Any]:
        if message["method"] == "public/test":
            return [{"jsonrpc": "2.0", "id": message["id"], "result": {"version": "1.2.26"}}]
        (channel,) = message["params"]["channels"]
        said: list[Any] = [{"jsonrpc": "2.0", "id": message["id"], "result": [channel]}]
        if channel.startswith("book.") and message["method"] == "public/subscribe":
            said.append(self._book("snapshot", *self.sorted(), {}))
        return said

    def _book(self, kind: str, bids: Rows, asks: Rows, more: dict) -> dict:
        def rows(side: Rows) -> list:
            return [
                ["delete" if float(s) == 0 else "new" if kind == "snapshot" else "change", float(p), float(s)]
                for p, s in side
            ]

        data = {"type": kind, "timestamp": now_ms(), "instrument_name": "BTC_USDC", "change_id": self.sequence, **more}
        data |= {"bids": rows(bids), "asks": rows(asks)}
        return {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": "book.BTC_USDC.100ms", "data": data}}

    def changed(self, bids: Rows, asks: Rows) -> list[Any]:
        return [self._book("change", bids, asks, {"prev_change_id": self.sequence - 1})]

    def trade(self, number: int, side: str, price: str, size: str) -> list[Any]:
        row = {
            "timestamp": now_ms(), "price": float(price), "amount": float(size), "direction": side, "index_price": 6_000.0,
            "instrument_name": "BTC_USDC", "trade_seq": number, "mark_price": 6_000.0, "tick_direction": 2, "trade_id": str(number),
        }  # fmt: skip
        return [
            {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": "trades.BTC_USDC.100ms", "data": [row]}}
        ]


class Hyperliquid(Script):
    exchange = "hyperliquid"
    symbol = "HYPE/USDC"
    tick, lot = "0.01", "0.01"  # five significant digits, and one more
    coin = "@107"

    def rest(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        if body["type"] == "l2Book":
            return self._book()["data"]
        tokens = [
            {"name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": 0, "tokenId": "0x6d", "isCanonical": True},
            {"name": "HYPE", "szDecimals": 2, "weiDecimals": 8, "index": 1, "tokenId": "0x0d", "isCanonical": False},
        ]
        universe = [{"name": "@107", "tokens": [1, 0], "index": 0, "isCanonical": False}]
        return [
            {"tokens": tokens, "universe": universe},
            [{"dayNtlVlm": "1", "markPx": "6000", "midPx": "6000.25", "prevDayPx": "1"}],
        ]

    def answers(self, message: Any) -> list[Any]:
        if message["method"] == "ping":
            return [{"channel": "pong"}]
        wanted = message["subscription"]
        said: list[Any] = [{"channel": "subscriptionResponse", "data": message}]
        if message["method"] == "subscribe" and wanted["type"] == "l2Book":
            said.append(self._book())
        if message["method"] == "subscribe" and wanted["type"] == "trades":
            said.append({"channel": "trades", "data": [self._trade(1, "B", "5900", "1", now_ms() - 60_000)]})
        return said

    def _book(self) -> dict:
        levels = [[{"px": p, "sz": s, "n": 1} for p, s in rows] for rows in self.sorted()]
        return {"channel": "l2Book", "data": {"coin": self.coin, "time": now_ms(), "levels": levels}}

    def changed(self, bids: Rows, asks: Rows) -> list[Any]:
        return [self._book()]

    def _trade(self, number: int, side: str, price: str, size: str, at_ms: int) -> dict:
        return {"coin": self.coin, "side": side, "px": price, "sz": size, "time": at_ms, "hash": "0x0", "tid": number}

    def trade(self, number: int, side: str, price: str, size: str) -> list[Any]:
        row = self._trade(number, "B" if side == "buy" else "A", price, size, now_ms())
        return [{"channel": "trades", "data": [row]}]


class HyperliquidPerpetual(Hyperliquid):
    symbol = "BTC/USDC:USDC"
    tick, lot = "0.01", "0.00001"
    coin = "BTC"

    def rest(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        if body["type"] == "l2Book":
            return self._book()["data"]
        context = {"funding": "0.0000125", "openInterest": "688.11", "prevDayPx": "6000", "dayNtlVlm": "1169046.29", "premium": "0.0003",
                   "oraclePx": "6000.3", "markPx": "6000.2", "midPx": "6000.25", "impactPxs": ["6000.1", "6000.4"]}  # fmt: skip
        return [{"universe": [{"name": "BTC", "szDecimals": 5, "maxLeverage": 50}]}, [context]]


class Bitfinex(Script):
    exchange = "bitfinex"
    symbol = "BTC/USD"
    tick, lot = "0.01", "0.00000001"  # five significant digits, and one more

    def rest(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        if path.startswith("/v2/conf/"):
            limits = [None, None, None, "0.00004", "2000.0", None, None, None, 0.2, 0.1, None, None]
            return [[["BTCUSD", limits]], [], [], ["BTCUSD"]]
        if path.startswith("/v2/book/"):
            bids, asks = self.sorted()
            return [[float(p), 1, float(s)] for p, s in bids] + [[float(p), 1, -float(s)] for p, s in asks]
        return [6_000.1, 10, 6_000.4, 10, 100, 0.01, 6_000, 1_000, 6_100, 5_900]

    def answers(self, message: Any) -> list[Any]:
        if message["event"] in ("ping", "conf", "unsubscribe"):
            return [{"event": message["event"], "status": "OK"}]
        channel, number = message["channel"], {"book": 1, "trades": 2}[message["channel"]]
        said: list[Any] = [{**message, "event": "subscribed", "chanId": number, "pair": "BTCUSD"}]
        if channel == "book":
            bids, asks = self.sorted()
            said.append([1, [[float(p), 1, float(s)] for p, s in bids] + [[float(p), 1, -float(s)] for p, s in asks]])
        else:
            said.append([2, [[1, now_ms() - 6_000, 1.0, 5_900]]])
        return said

    def changed(self, bids: Rows, asks: Rows) -> list[Any]:
        rows = [(row, 1) for row in bids] + [(row, -1) for row in asks]
        return [[1, [float(p), int(float(s) != 0), side * (float(s) or 1.0)]] for (p, s), side in rows]

    def trade(self, number: int, side: str, price: str, size: str) -> list[Any]:
        row = [number, now_ms(), float(size) * (1 if side == "buy" else -1), float(price)]
        return [[2, "te", row], [2, "tu", row]]


class Bitstamp(Script):
    exchange = "bitstamp"
    symbol = "BTC/USD"
    tick, lot = "0.01", "0.00000001"

    def rest(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        if path.startswith("/api/v2/order_book/"):
            bids, asks = self.sorted()
            moment = {"timestamp": str(self.sequence), "microtimestamp": str(self.sequence * 1_000_000)}
            return {**moment, "bids": bids, "asks": asks}
        return [
            {"name": "BTC/USD", "market_symbol": "btcusd", "base_currency": "BTC", "base_decimals": 8, "counter_currency": "USD",
             "counter_decimals": 2, "minimum_order_value": "10", "trading": "Enabled", "instant_order_counter_decimals": 2,
             "instant_and_market_orders": "Enabled", "description": "Bitcoin / U.S. dollar", "market_type": "SPOT"}
        ]  # fmt: skip

    def answers(self, message: Any) -> list[Any]:
        channel = message["data"].get("channel", "")
        said: list[Any] = [{"event": "bts:subscription_succeeded", "channel": channel, "data": {}}]
        if message["event"] == "bts:subscribe" and channel.startswith("diff_order_book"):
            for _ in range(10):  # ccxt asks for the snapshot after a few changes
                said += self.update([("5990.00", "1")], [])
        return said

    def changed(self, bids: Rows, asks: Rows) -> list[Any]:
        moment = {"timestamp": str(self.sequence), "microtimestamp": str(self.sequence * 1_000_000)}
        return [{"event": "data", "channel": "diff_order_book_btcusd", "data": {**moment, "bids": bids, "asks": asks}}]

    def trade(self, number: int, side: str, price: str, size: str) -> list[Any]:
        data = {
            "id": number, "timestamp": str(now_ms() // 1000), "microtimestamp": str(now_ms() * 1000), "amount": float(size),
            "amount_str": size, "price": float(price), "price_str": price, "type": 0 if side == "buy" else 1,
            "buy_order_id": 1, "sell_order_id": 2,
        }  # fmt: skip
        return [{"event": "trade", "channel": "live_trades_btcusd", "data": data}]


SCRIPTS: dict[str, type[Script]] = {
    made.exchange: made for made in (Bitget, Kucoin, Gate, Deribit, Hyperliquid, Bitfinex, Bitstamp)
}


class Place:
    """A running script: what its clients asked, and a way to tell them more."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Any] = []
        self.sockets: set[web.WebSocketResponse] = set()

    async def tell(self, frames: list[Any]) -> None:
        for frame in frames:
            for socket in list(self.sockets):
                with contextlib.suppress(ConnectionError):
                    await socket.send_str(frame if isinstance(frame, str) else orjson.dumps(frame).decode())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        raw = await request.read()
        body = orjson.loads(raw) if raw else None
        self.asked.append((request.method, request.path))
        answer = self.script.rest(request.method, request.path, dict(request.query), body)
        return web.Response(body=orjson.dumps(answer), content_type="application/json")

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.add(socket)
        try:
            for frame in self.script.greeting():
                await socket.send_str(orjson.dumps(frame).decode())
            async for raw in socket:
                if raw.type is not WSMsgType.TEXT:
                    continue
                message = orjson.loads(raw.data) if raw.data.startswith(("{", "[")) else raw.data
                self.asked.append(message)
                for frame in self.script.answers(message):
                    await socket.send_str(frame if isinstance(frame, str) else orjson.dumps(frame).decode())
                    await asyncio.sleep(0)
        except ConnectionError:
            pass
        finally:
            self.sockets.discard(socket)
        return socket


@contextlib.asynccontextmanager
async def scripted(name: str, make: Callable[[], Script] | None = None) -> AsyncIterator[Place]:
    """One of the seven, on loopback."""
    place = Place((make or SCRIPTS[name])())
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", place.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    place.script.host = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield place
    finally:
        for socket in list(place.sockets):
            await socket.close()
        await runner.cleanup()
