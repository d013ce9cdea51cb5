"""Loopback Binance USD-M futures: REST, market streams and the user stream, as an unmodified client sees them.

* REST under `/fapi/v1`, `v2`, `v3`; signed as on spot (`sim.servers.binance.server`), listen keys by the API key alone.
* Market streams on any path that ends in `/ws` or `/ws/<n>` below `/public` or `/market`. Depth frames are joined by `pu`: update ids
  are shared with other events, so between frames some are missing. `markPrice@1s` every second, `forceOrder` of liquidations, klines.
* User stream on `/private/ws?listenKey=…`: `ACCOUNT_UPDATE`, `ORDER_TRADE_UPDATE`, `MARGIN_CALL`, `listenKeyExpired`. A listen key that is
  not good is refused by closing the socket (what the venue does then is not documented).
* Mark price: the middle of the shown book. Index: the spot venue's middle where one is served beside it, else the mark price. Funding is
  settled every eight hours of the clock at the rate of `sim.servers.funding`; what margins and liquidations are is in `sim.servers.margin`.

Rate limits hold after `enforce()`. Not simulated: hedge mode, isolated margin, conditional (algo) orders, multi-assets mode, the insurance
fund's own orders, streams of tickers and candles; the spot account behind `/sapi` is empty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, ClassVar

import orjson
from aiohttp import WSCloseCode, web

from sim.servers import history
from sim.servers.base import Credentials, Peer
from sim.servers.binance.server import BinanceServer, json_answer
from sim.servers.binance.wire import BinanceError, amount, symbol_id
from sim.servers.binanceusdm import wallet, wire
from sim.servers.binanceusdm.account import BinanceUsdmAccount
from sim.servers.candles import Candles
from sim.servers.faults import Fault
from sim.servers.funding import FundingRate, premium
from sim.servers.limits import BinanceUsdmLimits
from sim.servers.margin import MarginCore, Payment
from sim.servers.matching import Change, VenueFill, VenueOrder

_DEPTH_STREAMS = ("depth", "depth@0ms", "depth@100ms", "depth@250ms", "depth@500ms")
_OTHER_EVENTS = 7  # update ids of a frame's share of other symbols' and best-price events
_MARK = Decimal("0.00000001")
_KEPT_RATES = 1_000


class BinanceUsdmServer(BinanceServer):
    """The loopback USD-M market on a margin core.

    `index_of(symbol)`: the index price, None while there is none. `fundings[symbol]`: its rate and next settlement, which may be set.
    `pinned[symbol]`: a mark price to hold instead of the market's, to have a margin call or a liquidation.
    """

    venue: ClassVar[str] = "BINANCEUSDM"
    limits_of = BinanceUsdmLimits
    account_type = BinanceUsdmAccount
    account: BinanceUsdmAccount
    core: MarginCore

    def __init__(self, core: MarginCore, credentials: Credentials) -> None:
        self.fundings = {symbol: FundingRate(core.clock_ns()) for symbol in core.instruments}
        self.rates: dict[str, list[tuple[int, Decimal, Decimal]]] = {symbol: [] for symbol in core.instruments}
        self.pinned: dict[str, Decimal] = {}
        self.index_of: Callable[[str], Decimal | None] = lambda symbol: None
        self._candles = {symbol: Candles() for symbol in core.instruments}
        super().__init__(core, credentials)
        core.on_payment.append(self._on_payment)
        core.on_warning.append(self._on_warning)
        core.on_liquidated.append(self._on_liquidated)

    # --- market data -------------------------------------------------------------------------------------------------------------------

    def _publish_depth(self, symbol: str, rows: list[tuple[int, int, int]], event_ms: int) -> None:
        previous = self._update_id[symbol]
        first = previous + _OTHER_EVENTS
        last = self._update_id[symbol] = first + max(1, len(rows)) - 1
        if self.faults.take(Fault.DROP_UPDATES, symbol=symbol):
            return
        rows = self.faults.spoiled(rows, symbol)
        frame = wire.depth_update(rows, self.core.instruments[symbol], first, last, previous, event_ms)
        for stream in _DEPTH_STREAMS:
            self._publish(symbol, stream, frame)

    def _send_top(self, symbol: str, top: tuple[int, int, int, int]) -> None:
        if self._top.get(symbol) == top:
            return
        self._top[symbol] = top
        instrument, now_ms = self.core.instruments[symbol], self.core.clock_ns() // 1_000_000
        frame = wire.book_ticker(instrument, self._update_id[symbol], top[:2], top[2:], now_ms)
        self._publish(symbol, "bookTicker", frame)

    def _publish_trade(self, symbol: str, trade_id: int, price: int, size: int, side: int, trade_ms: int) -> None:
        instrument = self.core.instruments[symbol]
        self._rolling[symbol].add(trade_id, price, size, side, trade_ms)
        now_ms = max(trade_ms, self.core.clock_ns() // 1_000_000)
        terms = (instrument, trade_id, price, size, side < 0, trade_ms, now_ms)
        self._publish(symbol, "trade", wire.trade(*terms))
        self._publish(symbol, "aggTrade", wire.agg_trade(*terms))
        for interval, row, closed in self._candles[symbol].hear(trade_id, price, size, trade_ms):
            self._publish(symbol, f"kline_{interval}", wire.kline(instrument, interval, row, closed, now_ms))

    async def background(self) -> None:
        """Each second: mark prices, funding, margins, the 24-hour ticker."""
        while True:
            await asyncio.sleep(1)
            self.second()

    def second(self) -> None:
        """What happens each second."""
        now_ns = self.core.clock_ns()
        settled: dict[str, tuple[Decimal, Decimal]] = {}
        told = []
        for symbol, funding in self.fundings.items():
            index = self._remark(symbol)
            if index is None:
                continue
            mark = self.core.marks[symbol]
            if (sampled := premium(self.core, symbol, index)) is not None:
                funding.sample(sampled)
            if (rate := funding.due(now_ns)) is not None:
                settled[symbol] = (rate, mark)
                self.rates[symbol] = [*self.rates[symbol], (now_ns // 1_000_000, rate, mark)][-_KEPT_RATES:]
            event = wire.mark_price(symbol, mark, index, funding, now_ns // 1_000_000)
            told.append(event)
            frame = orjson.dumps(event).decode()
            for stream in ("markPrice", "markPrice@1s"):
                self._publish(symbol, stream, frame)
            if self._rolling[symbol].last:
                self._publish(symbol, "ticker", orjson.dumps(self._ticker(symbol, stream=True)).decode())
        for topic in ("!markPrice@arr", "!markPrice@arr@1s") if told else ():
            self.publish(topic, orjson.dumps(told).decode())
        if settled:
            self.core.pay_funding(settled)
        self.core.check_margin()

    def _remark(self, symbol: str) -> Decimal | None:
        """A new mark price; the index price, None before there is any price."""
        middle = self.pinned.get(symbol) or self.core.mid(symbol)
        if middle is not None:
            self.core.marks[symbol] = middle.quantize(_MARK, ROUND_HALF_EVEN)
        known = self.core.marks.get(symbol)
        index = self.index_of(symbol)
        return known if known is None or index is None else index

    # --- user data ---------------------------------------------------------------------------------------------------------------------

    def greet(self, peer: Peer, path: str) -> None:
        """The user stream by its listen key; streams named in the URL are subscribed at once."""
        if not path.startswith("/private"):
            super().greet(peer, path)
            return
        request = peer.socket._req
        given = request.query.get("listenKey", "") if request is not None else ""
        if given and given == self.account.listen_key:
            peer.topics.add("user")
        else:
            asyncio.get_running_loop().create_task(peer.socket.close(code=WSCloseCode.POLICY_VIOLATION))

    async def on_message(self, peer: Peer, message: dict, path: str) -> None:
        """A request on a market socket."""
        if not path.startswith("/private"):
            await super().on_message(peer, message, path)

    def on_clock(self) -> None:
        """Countdowns that run out, and the end of a listen key that was not kept."""
        account = self.account
        account.run_out()
        if account.listen_key and self.core.clock_ns() >= account.listen_until_ns:
            self._user({"e": "listenKeyExpired", "E": self._now_ms(), "listenKey": account.listen_key})
            account.listen_key = ""
            for peer in self.peers:
                peer.topics.discard("user")

    def _user(self, event: dict) -> None:
        self.publish("user", orjson.dumps(event).decode(), market=False)

    def _on_order(self, order: VenueOrder, change: Change, fill: VenueFill | None) -> None:
        core, currency = self.core, self.core.contract(order.symbol).settle
        done = order.filled
        if change is Change.NEW:
            done = 0
        if fill is not None:
            done = sum(one.size for one in order.fills[: order.fills.index(fill) + 1])
            self._user(wallet.account_update(core, "ORDER", Decimal(0), currency, [order.symbol], self._now_ms()))
        instrument = core.instruments[order.symbol]
        self._user(wire.order_update(order, instrument, change, fill, done, self._now_ms()))

    def _on_payment(self, payments: list[Payment]) -> None:
        for currency in sorted({payment.currency for payment in payments}):
            paid = sum((payment.amount for payment in payments if payment.currency == currency), Decimal(0))
            self._user(wallet.account_update(self.core, "FUNDING_FEE", paid, currency, [], self._now_ms()))

    def _on_warning(self, symbols: list[str]) -> None:
        self._user(wallet.margin_call(self.core, symbols, self._now_ms()))

    def _on_liquidated(self, order: VenueOrder) -> None:
        frame = wire.force_order(order, self.core.instruments[order.symbol], self._now_ms())
        self._publish(order.symbol, "forceOrder", frame)
        self.publish("!forceOrder@arr", frame)

    def _now_ms(self) -> int:
        return self.core.clock_ns() // 1_000_000

    # --- REST --------------------------------------------------------------------------------------------------------------------------

    def _routes(self) -> None:
        add, account = self.app.router.add_route, self.account
        public = {
            "v1/ping": lambda query: {},
            "v1/time": lambda query: {"serverTime": self.now_ns() // 1_000_000},
            "v1/exchangeInfo": lambda query: wire.exchange_info(self.core.instruments, self._now_ms()),
            "v1/depth": self._depth,
            "v1/trades": self._trades,
            "v1/aggTrades": lambda query: history.binance_aggregates(*self._past(query), query),
            "v1/klines": lambda query: history.binance_klines(*self._past(query), query, self._now_ms(), most=1_500),
            "v1/premiumIndex": self._premium_index,
            "v1/fundingRate": self._funding_rates,
            "v1/fundingInfo": lambda query: [],
            "v1/ticker/24hr": self._tickers,
            "v1/ticker/bookTicker": self._book_tickers,
            "v2/ticker/price": self._prices,
        }
        for path, handler in public.items():
            add("GET", f"/fapi/{path}", self._public(handler))
        signed = {
            ("POST", "v1/order"): account.place,
            ("GET", "v1/order"): account.order,
            ("DELETE", "v1/order"): account.cancel,
            ("PUT", "v1/order"): account.modify,
            ("DELETE", "v1/batchOrders"): account.cancel_some,
            ("POST", "v1/countdownCancelAll"): account.count_down,
            ("GET", "v1/openOrder"): account.open_order,
            ("GET", "v1/openOrders"): account.open_orders,
            ("DELETE", "v1/allOpenOrders"): account.cancel_everything,
            ("GET", "v1/allOrders"): account.all_orders,
            ("GET", "v1/userTrades"): account.user_trades,
            ("GET", "v1/forceOrders"): account.force_orders,
            ("GET", "v3/account"): account.account,
            ("GET", "v2/account"): account.account,
            ("GET", "v3/balance"): account.balance,
            ("GET", "v2/balance"): account.balance,
            ("GET", "v3/positionRisk"): lambda query: account.positions(query, 3),
            ("GET", "v2/positionRisk"): lambda query: account.positions(query, 2),
            ("GET", "v1/leverageBracket"): account.brackets,
            ("GET", "v1/commissionRate"): account.commission,
            ("GET", "v1/income"): account.income,
            ("POST", "v1/leverage"): account.set_leverage,
            ("POST", "v1/marginType"): account.set_margin_type,
            ("GET", "v1/positionSide/dual"): lambda query: {"dualSidePosition": False},
            ("POST", "v1/positionSide/dual"): account.set_mode,
            ("GET", "v1/multiAssetsMargin"): lambda query: {"multiAssetsMargin": False},
        }
        for (method, path), handler in signed.items():
            add(method, f"/fapi/{path}", self._signed(handler))
        for path in (
            "capital/config/getall",
            "margin/allPairs",
            "margin/isolated/allPairs",
        ):  # ccxt asks the spot side at start
            add("GET", f"/sapi/v1/{path}", self._signed(lambda query: []))
        keys = {"POST": account.open_listen_key, "PUT": account.keep_listen_key, "DELETE": account.close_listen_key}
        for method, act in keys.items():
            add(method, "/fapi/v1/listenKey", self._keyed(act))
        self.app.router.add_get("/{tail:.*}", self._get_other)

    def is_order(self, request: web.Request) -> bool:
        """Whether a request places an order."""
        return request.method == "POST" and request.path == "/fapi/v1/order"

    def scope(self, request: web.Request) -> str:
        """An order is amended at its own path."""
        amends = request.method == "PUT" and request.path == "/fapi/v1/order"
        return "amend" if amends else super().scope(request)

    def _keyed(self, act: Callable[[], dict]) -> Any:
        """A request that needs the API key and no signature."""

        async def answer(request: web.Request) -> web.Response:
            try:
                self._check_key(request.headers.get("X-MBX-APIKEY", ""))
                return json_answer(act())
            except BinanceError as error:
                return json_answer(error.body(), error.status)

        return answer

    def _depth(self, query: dict) -> object:
        symbol = self.account.unified(query)
        book, instrument = self.core.books[symbol], self.core.instruments[symbol]
        if not book.live:
            raise BinanceError(-1001, f"Internal error; unable to process your request. ({book.reason})", 503)
        if (limit := int(query.get("limit", 500))) not in (5, 10, 20, 50, 100, 500, 1000):
            raise BinanceError(-4021, f"{limit} is not valid depth limit.")
        bids, asks = (wire.pairs(side.top(limit), instrument) for side in (book.shown.bids, book.shown.asks))
        now_ms, last = self._now_ms(), self._update_id[symbol]
        return f'{{"lastUpdateId":{last},"E":{now_ms},"T":{now_ms},"bids":{bids},"asks":{asks}}}'

    def _premium_index(self, query: dict) -> object:
        def row(symbol: str) -> dict:
            index = self._remark(symbol)
            if index is None:
                raise BinanceError(-1001, "Internal error; unable to process your request.", 503)
            return wire.premium_index(symbol, self.core.marks[symbol], index, self.fundings[symbol], self._now_ms())

        return self._one_or_all(query, row)

    def _funding_rates(self, query: dict) -> list[dict]:
        symbols = [self.account.unified(query)] if "symbol" in query else list(self.core.instruments)
        since, until = int(query.get("startTime", 0)), int(query.get("endTime", 1 << 43))
        rows = [
            {"symbol": symbol_id(symbol), "fundingTime": at, "fundingRate": amount(rate), "markPrice": amount(mark)}
            for symbol in symbols
            for at, rate, mark in self.rates[symbol]
            if since <= at <= until
        ]
        limit = min(1000, int(query.get("limit", 100)))
        return rows[:limit] if "startTime" in query else rows[-limit:]
