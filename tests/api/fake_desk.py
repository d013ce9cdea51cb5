"""A deterministic desk behind the API, and an independent client in front of it.

`FakeDesk` keeps the promises of `desk.service.DeskService` (exactly-once, expiry, void on accept) with fixed prices, so that the API is
tested alone. `Wire` signs by itself from the contract's text: nothing of the product's signing or SDK is used in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np

from adapters.nautilus.outcome import VenueFill
from desk.accounts import VenueAccounts, VenueOrder
from desk.api.desk_messages import (
    AlertView,
    ArchiveView,
    BookView,
    DeskState,
    HedgeCounts,
    InventoryView,
    LedgerView,
    PnlView,
    RfqCounts,
    RiskView,
    TradingState,
)
from desk.api.events import Events
from desk.api.messages import AcceptRequest, AmendRequest, Instrument, OrderRequest, RfqRequest
from desk.api.server import ApiServer
from desk.clients.store import KeyStore
from desk.errors import Invalid, Rejected
from desk.market import BookChanged, Market
from desk.orders.records import Capacity, OrderRecord, OrderState
from desk.rfq.records import QuoteRecord, RfqRecord, RfqState, Step, TradeRecord
from desk.service import Caller, Page
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from router.messages import CommandKind

PRICES = {"buy": Decimal("60012.34"), "sell": Decimal("59990.10")}
SYMBOL = "BTC/USDT"
EPOCH = "e-1"


class FakeDesk:
    """Prices are `PRICES`. `delay_s` postpones replies, `silent` swallows them, `broken` raises a bug, `unpriced` refuses."""

    def __init__(self, events: Events, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.events = events
        self.clock_ns = clock_ns
        self.delay_s: float | None = None
        self.silent = False
        self.broken = False
        self.unpriced = False
        self.price_shift = Decimal(0)
        self.mode = "active"
        self.halt_reason = ""
        self.alerts: list[AlertView] = []
        self.halts: list[tuple[str, str]] = []
        self.requests: dict[tuple[str, str], RfqRecord] = {}
        self.orders: dict[tuple[str, str], TradeRecord] = {}
        self.by_id: dict[str, RfqRecord] = {}
        self.quotes: dict[str, QuoteRecord] = {}
        self.trade_ids: dict[str, TradeRecord] = {}
        self.ladder_calls = 0
        self._ids = itertools.count(1)

    def _say(self, reply: Callable[[Any], None], answer: Any) -> None:
        if self.silent:
            return
        if self.delay_s is None:
            reply(answer)
        else:
            asyncio.get_running_loop().call_later(self.delay_s, reply, answer)

    def instruments(self) -> list[Instrument]:
        return [
            Instrument(
                symbol=symbol,
                base=symbol.split("/")[0],
                quote="USDT",
                price_tick="0.01",
                quantity_step="0.0001",
                base_precision=8,
                quote_precision=2,
                min_quantity="0.001",
                max_quantity="100",
                default_ttl_ms=2000,
                venues=["BINANCE"],
                lps=["FALCONX"],
            )
            for symbol in (SYMBOL, "ETH/USDT")
        ]

    def _quote(self, caller: Caller, rfq_id: str, side: str, quantity: Decimal, ttl_ms: int) -> QuoteRecord:
        now, price = self.clock_ns(), PRICES[side] + self.price_shift
        quote = QuoteRecord(
            quote_id=f"q{next(self._ids)}",
            rfq_id=rfq_id,
            client_id=caller.client_id,
            symbol=SYMBOL,
            side=side,
            price=price,
            quantity=quantity,
            amount=(price * quantity).quantize(Decimal("0.01")),
            fair=Decimal("60000"),
            waterfall=(Step("markup", price - 60000),),
            valid_until_ns=now + ttl_ms * 1_000_000,
            created_ns=now,
        )
        self.quotes[quote.quote_id] = quote
        return quote

    def request_quote(self, caller: Caller, request: RfqRequest, reply: Callable[[Any], None]) -> None:
        if self.broken:
            raise RuntimeError("a bug with a secret in it")
        known = self.requests.get((caller.client_id, request.client_rfq_id))
        if known is not None:
            self._say(reply, known)
            return
        quantity = Decimal(request.quantity)
        if request.instrument not in (SYMBOL, "ETH/USDT"):
            self._say(reply, Invalid("unknown_instrument", f"{request.instrument} is not traded here"))
            return
        if quantity <= 0:
            self._say(reply, Invalid("bad_quantity", "quantity must be above zero"))
            return
        if quantity > 100:
            limits = {"limit": "max_quantity", "value": request.quantity, "max": Decimal(100)}
            self._say(reply, Rejected("limit_exceeded", "over the maximum", status=422, details=limits))
            return
        now, rfq_id, ttl_ms = self.clock_ns(), f"r{next(self._ids)}", request.ttl_ms or 2000
        sides = ("buy", "sell") if request.side == "two_way" else (request.side,)
        record = RfqRecord(
            rfq_id=rfq_id,
            client_id=caller.client_id,
            client_rfq_id=request.client_rfq_id,
            symbol=request.instrument,
            side=request.side,
            quantity=quantity,
            currency=request.currency or "BTC",
            ttl_ms=ttl_ms,
            state=RfqState.QUOTED,
            created_ns=now,
            updated_ns=now,
            quotes=tuple(self._quote(caller, rfq_id, side, quantity, ttl_ms) for side in sides),
        )
        self.requests[caller.client_id, request.client_rfq_id] = record
        self.by_id[rfq_id] = record
        self.events.rfq(record)
        self._say(reply, record)

    def accept(self, caller: Caller, quote_id: str, request: AcceptRequest, reply: Callable[[Any], None]) -> None:
        known = self.orders.get((caller.client_id, request.client_order_id))
        if known is not None:
            self._say(reply, known)
            return
        quote = self.quotes.get(quote_id)
        if quote is None or quote.client_id != caller.client_id:
            self._say(reply, Invalid("unknown_quote", "no such quote", status=404))
            return
        if self.clock_ns() > quote.valid_until_ns:
            self._say(reply, Rejected("quote_expired", "the quote is no longer valid"))
            return
        record = self.by_id.get(quote.rfq_id)
        if record is not None and record.state is not RfqState.QUOTED:
            self._say(reply, Rejected("quote_already_accepted", "traded"))
            return
        quantity = Decimal(request.quantity) if request.quantity else quote.quantity
        trade = TradeRecord(
            trade_id=f"t{next(self._ids)}",
            quote_id=quote_id,
            rfq_id=quote.rfq_id,
            client_id=caller.client_id,
            client_order_id=request.client_order_id,
            symbol=quote.symbol,
            side=quote.side,
            price=quote.price,
            quantity=quantity,
            amount=(quote.price * quantity).quantize(Decimal("0.01")),
            fair=quote.fair,
            skew=Decimal(0),
            traded_ns=self.clock_ns(),
            settle_due_ns=self.clock_ns() + 86_400_000_000_000,
        )
        self.orders[caller.client_id, request.client_order_id] = trade
        self.trade_ids[trade.trade_id] = trade
        if record is not None:
            record.state, record.trade_id = RfqState.FILLED, trade.trade_id
            self.events.rfq(record)
        self.events.trade(trade)
        self._say(reply, trade)

    def cancel_rfq(self, caller: Caller, rfq_id: str, reply: Callable[[Any], None]) -> None:
        record = self.rfq(caller, rfq_id)
        if record.state is not RfqState.QUOTED:
            self._say(reply, Rejected("rfq_not_open", f"the RFQ is {record.state}"))
            return
        record.state = RfqState.CANCELLED
        self.events.rfq(record)
        self._say(reply, record)

    def rfq(self, caller: Caller, rfq_id: str) -> RfqRecord:
        record = self.by_id.get(rfq_id)
        if record is None or (record.client_id != caller.client_id and not caller.operator):
            raise Invalid("unknown_rfq", "no such RFQ", status=404)
        return record

    def rfqs(
        self,
        caller: Caller,
        *,
        client_rfq_id: str | None = None,
        state: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[RfqRecord]:
        found = [
            record
            for record in reversed(self.by_id.values())
            if (caller.operator or record.client_id == caller.client_id)
            and client_rfq_id in (None, record.client_rfq_id)
            and state in (None, record.state.value)
        ]
        start = int(cursor or 0)
        more = start + limit < len(found)
        return Page(found[start : start + limit], str(start + limit) if more else None)

    def trade(self, caller: Caller, trade_id: str) -> TradeRecord:
        trade = self.trade_ids.get(trade_id)
        if trade is None or (trade.client_id != caller.client_id and not caller.operator):
            raise Invalid("unknown_trade", "no such trade", status=404)
        return trade

    def trades(
        self, caller: Caller, *, client_order_id: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[TradeRecord]:
        found = [
            trade
            for trade in reversed(self.trade_ids.values())
            if (caller.operator or trade.client_id == caller.client_id)
            and client_order_id in (None, trade.client_order_id)
        ]
        return Page(found[:limit], None)

    def stream_ladder(self, caller: Caller, symbol: str, quantities: Sequence[Decimal]) -> list[QuoteRecord]:
        self.ladder_calls += 1
        if symbol != SYMBOL:
            raise Invalid("unknown_instrument", f"{symbol} is not traded here")
        if self.unpriced:
            raise Rejected("no_price", "no live book")
        return [self._quote(caller, "", side, size, 1500) for size in quantities for side in ("buy", "sell")]

    def state(self) -> DeskState:
        return DeskState(
            epoch=EPOCH,
            mode="paper",
            ts_ns=self.clock_ns(),
            trading=self.mode,  # type: ignore[arg-type]
            halt_reason=self.halt_reason,
            books=[
                BookView(
                    venue="BINANCE",
                    instrument=SYMBOL,
                    status="live",
                    reason="",
                    age_ms=1,
                    updates=1,
                    resyncs=1,
                    bid="60000",
                    ask="60001",
                )
            ],
            lps=[],
            rfqs=RfqCounts(received=len(self.by_id)),
            trades=len(self.trade_ids),
            hedges=HedgeCounts(),
            ledger=LedgerView(imbalance={"BTC": "0", "USDT": "0"}),
            inventory={"BTC": InventoryView(position="0", soft_band="1", band="5")},
            pnl=PnlView(currency="USDT"),
            archive=ArchiveView(),
            latency_ns={},
            risk=RiskView(),
            faults=0,
            alerts=self.alerts,
            ladders=[],
            blotter=[],
            parents=[],
        )

    def trading(self) -> TradingState:
        return TradingState(trading=self.mode, halt_reason=self.halt_reason)  # type: ignore[arg-type]

    def halt(self, caller: Caller, reason: str, reply: Callable[[Any], None]) -> None:
        self.halts.append((caller.client_id, reason))
        self.mode, self.halt_reason = "halted", reason
        self._say(reply, self.trading())

    def resume(self, caller: Caller, reason: str, reply: Callable[[Any], None]) -> None:
        self.mode, self.halt_reason = "active", ""
        self._say(reply, self.trading())


def market() -> Market:
    """One instrument on two venues; BINANCE has a book, KRAKEN none yet."""
    terms = [
        VenueTerms(
            venue=venue,
            taker_fee_bps=Decimal(1),
            tick=Decimal("0.01"),
            lot=Decimal("0.00001"),
            price_decimals=2,
            size_decimals=5,
            max_age_ns=3_600_000_000_000,
        )
        for venue in ("BINANCE", "KRAKEN")
    ]
    return Market([ConsolidatedBook(SYMBOL, Scale(SYMBOL, 2, 5), terms)])


def move_book(market: Market, best_bid: int = 6_000_000, *, venue: str = "BINANCE") -> None:
    """Set three bids and asks around `best_bid` (in cents), and tell the listeners."""
    rows = [
        (side, best_bid + (0 if side > 0 else 100) - side * 10 * i, 50_000 + i) for side in (1, -1) for i in range(3)
    ]
    now = time.time_ns()
    market.books[SYMBOL].apply(venue, np.array(rows, dtype=np.int64), True, now)
    change = BookChanged(symbol=SYMBOL, venue=venue, reason="", ts_event_ns=now, ts_init_ns=now)
    for listener in list(market.on_book):
        listener(change)


class Wire:
    """A client written from the contract alone: aiohttp, hashlib, json."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str, secret: str) -> None:
        self.session = session
        self.url = url
        self.key = key
        self.secret = secret
        self._nonces = itertools.count(1)

    def signature(self, method: str, path: str, body: bytes, timestamp: str, nonce: str) -> str:
        text = "\n".join((timestamp, nonce, method, path, hashlib.sha256(body).hexdigest()))
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    def headers(self, method: str, path: str, body: bytes = b"", **given: str) -> dict[str, str]:
        timestamp = given.get("timestamp", str(time.time_ns() // 1_000_000))
        nonce = given.get("nonce", f"n{id(self)}-{next(self._nonces)}")
        return {
            "KERB-KEY": self.key,
            "KERB-TIMESTAMP": timestamp,
            "KERB-NONCE": nonce,
            "KERB-SIGN": given.get("sign") or self.signature(method, path, body, timestamp, nonce),
        }

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any, Any]:
        """(status, decoded answer, headers). `headers` given: exactly these, for tampered requests."""
        content = raw if raw is not None else (json.dumps(body).encode() if body is not None else b"")
        sent = dict(headers if headers is not None else self.headers(method, path, content))
        if content:
            sent.setdefault("Content-Type", "application/json")
        url = aiohttp.client.URL(self.url + path, encoded=True)
        async with self.session.request(method, url, data=content or None, headers=sent) as response:
            text = await response.read()
            decoded = json.loads(text) if response.content_type == "application/json" and text else text.decode()
            return response.status, decoded, response.headers

    @contextlib.asynccontextmanager
    async def socket(self, *, msgpack: bool = False, auth: bool = True) -> AsyncIterator[Socket]:
        """An authenticated WebSocket."""
        protocols = ("kerb.msgpack.v1",) if msgpack else ()
        async with self.session.ws_connect(self.url + "/v1/ws", protocols=protocols, max_msg_size=0) as ws:
            socket = Socket(ws, msgpack)
            if auth:
                await socket.send(self.auth_frame())
                answer = await socket.receive()
                assert answer["ok"] and answer["op"] == "auth", answer
                socket.epoch = answer["epoch"]
            yield socket

    def auth_frame(self, **given: str) -> dict[str, str]:
        headers = self.headers("WS", "/v1/ws", **given)
        names = {"key": "KERB-KEY", "timestamp": "KERB-TIMESTAMP", "nonce": "KERB-NONCE", "sign": "KERB-SIGN"}
        return {"op": "auth", **{name: headers[header] for name, header in names.items()}}


class Socket:
    """Frames of one WebSocket; pushes and replies are kept apart, heartbeats are kept too."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, msgpack: bool) -> None:
        self.ws = ws
        self.msgpack = msgpack
        self.epoch = ""
        self.pushes: list[dict[str, Any]] = []
        self.heartbeats: list[dict[str, Any]] = []

    async def send(self, frame: Any) -> None:
        if self.msgpack:
            await self.ws.send_bytes(msgspec.msgpack.encode(frame))
        else:
            await self.ws.send_str(json.dumps(frame))

    async def receive(self, timeout_s: float = 5.0) -> dict[str, Any]:
        message = await self.ws.receive(timeout=timeout_s)
        if message.type is aiohttp.WSMsgType.TEXT:
            return json.loads(message.data)
        assert message.type is aiohttp.WSMsgType.BINARY, message
        return msgspec.msgpack.decode(message.data)

    async def ask(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return its reply; what comes between is kept."""
        await self.send(frame)
        while True:
            answer = await self.receive()
            if "ok" in answer:
                return answer
            self._keep(answer)

    async def push(self) -> dict[str, Any]:
        """The next frame of any subscription."""
        async with asyncio.timeout(10):
            while not self.pushes:
                self._keep(await self.receive())
        return self.pushes.pop(0)

    async def heartbeat(self) -> dict[str, Any]:
        """The next heartbeat."""
        while not self.heartbeats:
            self._keep(await self.receive())
        return self.heartbeats.pop(0)

    def _keep(self, frame: dict[str, Any]) -> None:
        (self.heartbeats if frame.get("kind") == "heartbeat" else self.pushes).append(frame)


class FakeOrders:
    """Takes every order and leaves it working; a command does what it says at once."""

    def __init__(self, events: Events, clock_ns: Callable[[], int]) -> None:
        self.events = events
        self.clock_ns = clock_ns
        self.by_id: dict[str, OrderRecord] = {}
        self._ids = itertools.count(1)

    def place(self, caller: Caller, request: OrderRequest, reply: Callable[[Any], None]) -> None:
        known = [order for order in self.by_id.values() if order.key == (caller.client_id, request.client_order_id)]
        if known:
            reply(known[0])
            return
        now = self.clock_ns()
        order = OrderRecord(
            order_id=f"o-{next(self._ids)}",
            client_id=caller.client_id,
            client_order_id=request.client_order_id,
            symbol=request.instrument,
            side=request.side,
            type=request.type,
            time_in_force=request.time_in_force or "ioc",
            capacity=Capacity.AGENCY,
            quantity=Decimal(request.quantity),
            limit_price=None if request.limit_price is None else Decimal(request.limit_price),
            end_ns=now + 10**9,
            created_ns=now,
            updated_ns=now,
            commission_bps=Decimal(1),
        )
        self.by_id[order.order_id] = order
        self.events.order(order)
        reply(order)

    def command(self, caller: Caller, order_id: str, kind: CommandKind, reply: Callable[[Any], None]) -> None:
        try:
            order = self.order(caller, order_id)
        except Invalid as fault:
            reply(fault)
            return
        if order.state.terminal:
            reply(Rejected("order_not_open", f"the order is {order.state}"))
            return
        match kind:
            case CommandKind.PAUSE:
                order.state = OrderState.PAUSED
            case CommandKind.RESUME:
                order.state = OrderState.WORKING
            case _:
                order.state = OrderState.CANCELLED
        self.events.order(order)
        reply(order)

    def amend(self, caller: Caller, order_id: str, request: AmendRequest, reply: Callable[[Any], None]) -> None:
        order = self.order(caller, order_id)
        if request.quantity is not None:
            order.quantity = Decimal(request.quantity)
        reply(order)

    def order(self, caller: Caller, order_id: str) -> OrderRecord:
        order = self.by_id.get(order_id)
        if order is None or not (caller.operator or order.client_id == caller.client_id):
            raise Invalid("unknown_order", f"no order {order_id!r}", status=404)
        return order

    def orders(self, caller: Caller, **wanted: Any) -> Page[OrderRecord]:
        state, token = wanted.get("state"), wanted.get("client_order_id")
        found = [
            order
            for order in reversed(self.by_id.values())
            if (caller.operator or order.client_id == caller.client_id)
            and state in (None, order.state.value)
            and token in (None, order.client_order_id)
        ]
        return Page(found[: wanted.get("limit", 100)])


class FakeAccounts(VenueAccounts):
    """Accounts without an engine: what tests put into `open`, `executions` and `held`."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[VenueOrder] = []
        self.executions: list[VenueFill] = []
        self.held: dict[str, tuple[Decimal, Decimal, Decimal]] = {}

    def orders(self, venue: str) -> list[VenueOrder]:
        return [one for one in self.open if one.child.venue == venue]

    def fills(self, venue: str) -> list[VenueFill]:
        return [one for one in self.executions if one.venue == venue]

    def balances(self, venue: str) -> dict[str, tuple[Decimal, Decimal, Decimal]] | None:
        return dict(self.held) or None


class House:
    """A served fake desk with three keys: alice and bob may quote, trade and read; the operator operates."""

    def __init__(self, state: Path, *, epoch: str = EPOCH, clock_ns: Callable[[], int] = time.time_ns, **options: Any):
        self.keys = KeyStore(state, environment={})
        self.events = Events()
        self.desk = FakeDesk(self.events, clock_ns)
        self.orders = FakeOrders(self.events, clock_ns)
        self.market = market()
        self.accounts = FakeAccounts()
        self.server = ApiServer(
            self.desk,
            self.orders,
            self.market,
            self.keys,
            clock_ns=clock_ns,
            epoch=epoch,
            events=self.events,
            accounts=self.accounts,
            **options,
        )
        self.url = ""
        self.unix_path = str(state / "api.sock")
        self.session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> House:
        port = await self.server.start("127.0.0.1", 0, self.unix_path)
        self.url = f"http://127.0.0.1:{port}"
        self.session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.session is not None
        await self.session.close()
        await self.server.stop()

    def wire(self, client_id: str = "alice", scopes: str = "quote,trade,read", **options: Any) -> Wire:
        """A new key and its client."""
        made = self.keys.new(client_id, scopes.split(","), **options)
        assert self.session is not None
        return Wire(self.session, self.url, made.key.key_id, made.secret)

    def operator(self) -> Wire:
        """An operator's client."""
        return self.wire("ops", "operate,read")


BOOK = {"venue": "BINANCE", "symbol": SYMBOL}
RFQ = {"client_rfq_id": "c-1", "instrument": SYMBOL, "side": "buy", "quantity": "1.5"}


def within(tmp_path: Path, body: Callable[[House], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with House(tmp_path, **options) as house:
            await body(house)

    asyncio.run(run())


async def subscribe(socket: Socket, channel: str, **params: Any) -> int:
    answer = await socket.ask({"op": "subscribe", "id": "s", "channel": channel, "params": params})
    assert answer["ok"] and answer["id"] == "s" and answer["channel"] == channel, answer
    return answer["sub"]


async def eventually(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until `condition` holds, or fail."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.005)


def fault_of(answer: Any) -> tuple[str, str]:
    """(kind, code) of an error answer, checked to have the one shape."""
    error = answer["error"]
    assert set(error) == {"code", "kind", "message", "retryable", "details", "request_id"}, error
    return error["kind"], error["code"]
