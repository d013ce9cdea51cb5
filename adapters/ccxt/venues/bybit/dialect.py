"""Bybit spot (v5, unified account): what its messages mean, and what ccxt must be told.

1. **Category.** v5 is one protocol for spot, linear, inverse and option; every request names its category and every private row carries it.
   Ours is `CATEGORY`, said once here; rows of another category are not read.
2. **Best prices** are the topic `orderbook.1`: snapshots, again every three seconds when nothing changes. (ccxt keeps this topic and the
   deep one in the same book: ours are apart.) A side taken out by a delta is waited for.
3. **Placing is asynchronous.** The answer to `/v5/order/create` is the order's id; the stream, or a query, says what became of it: also
   that it was refused (`Rejected`, such as a post-only order that would take). Codes such as "server timeout" say nothing of it: unknown.
4. **Spot ends.** `PartiallyFilledCanceled` is spot's word for cancelled after fills; `Rejected` with fills is a cancel too.
5. **Market buys** name a quantity only because ccxt says `marketUnit` = `baseCoin`, which unified accounts alone can: others are refused.
6. **Fees** of spot are in the currency received, in the other one for a maker's rebate, or in what `feeCurrency` names.
7. **Order ids of ours** are up to 36 of `0-9 A-Z a-z - _`, unique for ever: the venue refuses a repetition even of an order that has ended.

WebSocket v5: private topics `order.spot`, `execution.spot`, `wallet` after `auth`. All numbers are strings.
Sources: the venue's documentation, ccxt 4.5.90, recorded frames; 3 for post-only orders also a public log of live spot orders of
September 2026.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import Decoded, OrderRequest, PrivateMessage, acknowledged
from adapters.ccxt.events import (
    Balance,
    BookEvent,
    FillEvent,
    OrderEvent,
    QuoteEvent,
    Stream,
    TradeEvent,
    VenueOrderState,
)
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.market.audit import Depth
from adapters.ccxt.symbols import ClientIdError, Market, dec, exact, floored, rewrite_hosts
from adapters.ccxt.venues.bybit import frames as bybit_frames
from adapters.ccxt.venues.bybit.book import BybitBook, offered_depth
from adapters.ccxt.venues.bybit.orders import BybitOrdering

MS = 1_000_000
CATEGORY = "spot"
_MARKET_TYPES = {"spot": "spot", "linear": "swap"}  # ccxt's words

_STATES = {
    "New": VenueOrderState.OPEN,
    "PartiallyFilled": VenueOrderState.OPEN,
    "Untriggered": VenueOrderState.OPEN,
    "Triggered": VenueOrderState.OPEN,
    "Filled": VenueOrderState.FILLED,
    "Cancelled": VenueOrderState.CANCELED,
    "PartiallyFilledCanceled": VenueOrderState.CANCELED,
    "Deactivated": VenueOrderState.CANCELED,
    "Rejected": VenueOrderState.REJECTED,
}
_EXECUTIONS = (
    "Trade",
    "AdlTrade",
    "BustTrade",
    "BlockTrade",
    "MovePosition",
    "FutureSpread",
)  # not Funding, Delivery, Settle
_UNKNOWN = (
    "10000",
    "10016",
    "170001",
    "170007",
    "170032",
    "170146",
    "170147",
    "170234",
)  # timeouts and errors of its servers
_GONE = ("110008", "110010", "170139", "170142", "170190")  # cancelling: it has been filled or cancelled already
_NO_REASON = ("", "EC_NoError", "UNKNOWN")
_CLIENT_ID = re.compile(r"[0-9A-Za-z_-]{1,36}")
_RET_CODE = re.compile(r'"retCode":\s*(\d+)')
_ORDERS_PAGE, _FILLS_PAGE = 50, 100
_WEEK_MS = 7 * 24 * 3_600_000  # the longest span of one query for executions


def _create(config: ExchangeConfig, *, throttle: bool, timeout_ms: int) -> Any:
    import ccxt.pro

    kind = _MARKET_TYPES[CATEGORY]
    exchange = ccxt.pro.bybit(
        {
            "apiKey": config.api_key,
            "secret": config.secret,
            "enableRateLimit": throttle,
            "timeout": timeout_ms,
            "has": {"fetchCurrencies": False},  # nothing of it is used, and it asks for a permission more
            "options": {"defaultType": kind, "fetchMarkets": {"types": [CATEGORY]}},
        }
    )
    exchange.urls["api"] = rewrite_hosts(exchange.urls["api"], config.rest_url, config.ws_url)
    exchange.streaming = {**exchange.streaming, "keepAlive": int(config.keepalive_s * 1000)}
    if str(config.rest_url).startswith("http:"):
        exchange.timeout_on_exit = 0  # only TLS connections need ccxt's pause after closing
    return exchange


class BybitMarketDialect:
    """Market data, all on one socket."""

    _HASHES: ClassVar = {Stream.BOOK: "orderbook:{}", Stream.TRADES: "trade:{}", Stream.QUOTES: "bidask:{}"}

    def __init__(self) -> None:
        self._tops: dict[str, dict[str, list[str] | None]] = {}  # market id → side "b", "a" → its best [price, size]

    def create(self, config: ExchangeConfig) -> Any:
        """The instance for market data."""
        return _create(config, throttle=True, timeout_ms=10_000)

    async def taker_fees(self, exchange: Any, symbols: tuple[str, ...]) -> dict[str, Decimal]:
        """`takerFeeRate` of the account, a symbol a request; needs keys."""
        if not exchange.apiKey:
            return {}
        await exchange.load_time_difference()
        fees = {}
        for symbol in symbols:
            query = {"category": CATEGORY, "symbol": exchange.market(symbol)["id"]}
            for row in (await exchange.private_get_v5_account_fee_rate(query))["result"]["list"]:
                fees[symbol] = dec(row["takerFeeRate"])
        return fees

    def subscribe(self, exchange: Any, symbol: str, stream: Stream, depth: int) -> Any:
        """The depth is the least the venue offers that shows `depth` levels."""
        match stream:
            case Stream.BOOK:
                return exchange.watch_order_book(symbol, offered_depth(depth))
            case Stream.TRADES:
                return exchange.watch_trades(symbol)
            case Stream.QUOTES:
                return exchange.watch_bids_asks([symbol])

    async def forget(self, exchange: Any, client: Any, symbol: str, stream: Stream, depth: int) -> None:
        """Unsubscribe at the venue, so that the next subscription begins with a snapshot; then forget."""
        topics = {
            Stream.BOOK: f"orderbook.{offered_depth(depth)}",
            Stream.TRADES: "publicTrade",
            Stream.QUOTES: "orderbook.1",
        }
        topic = f"{topics[stream]}.{exchange.market(symbol)['id']}"
        await client.send({"op": "unsubscribe", "req_id": str(exchange.request_id()), "args": [topic]})
        key = self._HASHES[stream].format(symbol)
        client.subscriptions.pop(key, None)
        client.rejections.pop(key, None)

    def frame(self, text: str) -> list[Decoded] | None:
        """A frame of the three topics from its text."""
        frame = bybit_frames.read(text)
        match frame and frame.topic.split("."):
            case ["orderbook", "1", market_id]:
                return self._top(market_id, frame)
            case ["orderbook", _, market_id]:
                return [Decoded(Stream.BOOK, market_id, frame)]
            case ["publicTrade", _]:
                return [Decoded(Stream.TRADES, row.s, row) for row in frame.data if not row.BT]
        return None

    def split(self, message: Any) -> list[Decoded]:
        """By topic. A block trade is agreed elsewhere: it is no trade of this book."""
        if not isinstance(message, dict):
            return []
        match str(message.get("topic", "")).split("."):
            case ["orderbook", "1", market_id]:
                return self._top(market_id, message)
            case ["orderbook", _, market_id]:
                return [Decoded(Stream.BOOK, market_id, message)]
            case ["publicTrade", _]:
                rows = (row for row in message["data"] if not row.get("BT"))
                return [Decoded(Stream.TRADES, row["s"], row) for row in rows]
        return []

    def _top(self, market_id: str, message: Any) -> list[Decoded]:
        """The best prices after this message, when both are there."""
        data = message["data"]
        if message["type"] == "snapshot":
            self._tops[market_id] = {side: data[side][0] if data[side] else None for side in ("b", "a")}
        top = self._tops.setdefault(market_id, {"b": None, "a": None})
        if message["type"] == "delta":
            for side in ("b", "a"):
                for price, size in data[side]:
                    known = top[side]
                    if Decimal(size):
                        top[side] = [price, size]
                    elif known is not None and known[0] == price:
                        top[side] = None
        if top["b"] is None or top["a"] is None:
            return []
        return [Decoded(Stream.QUOTES, market_id, (*top["b"], *top["a"], message.get("cts") or message["ts"]))]

    def book(self, market: Market, depth: int) -> BybitBook:
        """A book by Bybit's sequence rules."""
        return BybitBook(market, offered_depth(depth))

    def book_event(self, book: BybitBook, raw: Any) -> BookEvent | None:
        """Apply a snapshot or delta."""
        return book.message(raw)

    async def whole_book(self, exchange: Any, symbol: str, levels: int) -> Depth:
        """`market/orderbook`: its `u` is another depth's, so it has no id for us."""
        query = {"category": CATEGORY, "symbol": exchange.market_id(symbol), "limit": levels}
        result = (await exchange.public_get_v5_market_orderbook(query))["result"]
        return Depth(bids=result["b"], asks=result["a"])

    def trades(self, market: Market, raw: Any) -> list[TradeEvent]:
        """`S` is the taker's side. The dust of an order older than today's lot is no trade."""
        size = floored(raw["v"], market.size_decimals)
        if not size:
            return []
        return [
            TradeEvent(
                symbol=market.symbol,
                trade_id=str(raw["i"]),
                price=exact(raw["p"], market.price_decimals),
                size=size,
                side=raw["S"].lower(),
                ts_event_ns=int(raw["T"]) * MS,
            )
        ]

    def quote(self, market: Market, raw: Any) -> QuoteEvent:
        """Best prices as `split` keeps them."""
        bid, bid_size, ask, ask_size, ts_ms = raw
        return QuoteEvent(
            symbol=market.symbol,
            bid=exact(bid, market.price_decimals),
            bid_size=floored(bid_size, market.size_decimals),
            ask=exact(ask, market.price_decimals),
            ask_size=floored(ask_size, market.size_decimals),
            ts_event_ns=int(ts_ms) * MS,
        )


class BybitAccountDialect(BybitOrdering):
    """Orders, fills, balances. `category`: whose rows are read."""

    confirms: ClassVar[bool] = True

    def __init__(self, category: str = CATEGORY) -> None:
        self.category = category

    def create(self, config: ExchangeConfig) -> Any:
        """The instance for execution."""
        return _create(config, throttle=False, timeout_ms=config.order_timeout_ms)

    def encode_id(self, client_order_id: str) -> str:
        """As it is."""
        if not _CLIENT_ID.fullmatch(client_order_id):
            raise ClientIdError(f"client order id {client_order_id!r} is not 1-36 of 0-9 A-Z a-z - _")
        return client_order_id

    def decode_id(self, sent: str) -> str:
        """As it is."""
        return sent

    async def prepare(self, exchange: Any) -> None:
        """Requests carry our clock: learn the difference, or the venue refuses them (10002)."""
        await exchange.load_time_difference()

    async def subscribe(self, exchange: Any) -> None:
        """Log in by the venue's clock, then subscribe all topics at once; the confirmation comes as a message (`read` → `subscribed`)."""
        import ccxt

        if not (await exchange.is_unified_enabled())[1]:
            raise ccxt.NotSupported("bybit: this is no unified account; upgrade it at the venue")
        url = exchange.urls["api"]["ws"]["private"]["contract"]
        url = exchange.implode_hostname(url)  # nothing to fill in when the hosts are ours
        await self.login(exchange, url)
        topics = [f"order.{self.category}", f"execution.{self.category}", "wallet"]
        request = {"op": "subscribe", "req_id": str(exchange.request_id()), "args": topics}
        future = exchange.watch(url, "confirmed:private", request, "private")
        future.add_done_callback(_consumed)

    def forget(self, exchange: Any) -> None:
        """Login and subscriptions live on the client, which goes with its socket."""

    def carries(self, exchange: Any, client: Any) -> bool:
        """One socket carries it all."""
        return True

    def read(self, exchange: Any, message: Any) -> PrivateMessage | None:
        """Rows of `order`, `execution` and `wallet`, and the answer to our subscription."""
        if not isinstance(message, dict):
            return None
        if self.topic_answered(message):
            return None
        if message.get("op") == "subscribe":
            if not message.get("success"):
                return PrivateMessage(refused=str(message.get("ret_msg")))
            return PrivateMessage(subscribed=True)
        name, _, category = str(message.get("topic", "")).partition(".")
        if category not in ("", self.category):  # also `execution.fast`, which says nothing of fees
            return None
        rows = message.get("data") or []
        match name:
            case "order":
                return PrivateMessage(orders=tuple(self._order(exchange, row) for row in self._ours(rows)))
            case "execution":
                fills = (self._fill(exchange, row) for row in self._ours(rows))
                return PrivateMessage(fills=tuple(fill for fill in fills if fill is not None))
            case "wallet":
                coins = [coin for row in rows for coin in row["coin"]]
                if not all("locked" in coin for coin in coins):
                    return PrivateMessage(balances_stale=True)
                return PrivateMessage(balances=tuple(_balance(exchange, coin) for coin in coins))
        return None

    def _ours(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for row in rows if row.get("category", self.category) == self.category]

    def _symbol(self, exchange: Any, market_id: str) -> str:
        return str(exchange.safe_symbol(market_id, None, None, _MARKET_TYPES[self.category]))

    def _order(self, exchange: Any, raw: dict[str, Any]) -> OrderEvent:
        if (state := _STATES.get(raw["orderStatus"])) is None:
            raise BadFrame(f"order {raw['orderId']} has the unknown status {raw['orderStatus']!r}")
        filled, said = dec(raw["cumExecQty"] or "0"), (raw.get("rejectReason"), raw.get("cancelType"))
        if state is VenueOrderState.REJECTED and filled:
            state = VenueOrderState.CANCELED
        if state is VenueOrderState.CANCELED and not filled and said[0] == "EC_PostOnlyWillTakeLiquidity":
            state = VenueOrderState.REJECTED
        market, tif = raw["orderType"] == "Market", raw["timeInForce"]
        by_value = market and self.category == "spot" and _by_value(raw)
        return OrderEvent(
            symbol=self._symbol(exchange, raw["symbol"]),
            client_order_id=self.decode_id(raw["orderLinkId"]),
            venue_order_id=raw["orderId"],
            state=state,
            side=raw["side"].lower(),
            kind="market" if market else "limit",
            time_in_force=tif if tif in ("IOC", "FOK") else "GTC",
            price=None if market or not raw["price"] else dec(raw["price"]),
            quantity=None if by_value else dec(raw["qty"]),
            filled=filled,
            reason=next((text for text in said if text and text not in _NO_REASON), ""),
            ts_event_ns=int(raw["updatedTime"] or raw["createdTime"]) * MS,
        )

    def _fill(self, exchange: Any, raw: dict[str, Any]) -> FillEvent | None:
        if raw["execType"] not in _EXECUTIONS:
            return None
        symbol, side, fee = self._symbol(exchange, raw["symbol"]), raw["side"].lower(), dec(raw["execFee"] or "0")
        return FillEvent(
            symbol=symbol,
            trade_id=raw["execId"],
            venue_order_id=raw["orderId"],
            client_order_id=self.decode_id(raw["orderLinkId"]),
            side=side,
            price=dec(raw["execPrice"]),
            quantity=dec(raw["execQty"]),
            fee=fee,
            fee_currency=exchange.safe_currency_code(raw.get("feeCurrency") or None)
            or _fee_currency(symbol, side, fee),
            maker=bool(raw["isMaker"]),
            ts_event_ns=int(raw["execTime"]) * MS,
        )

    async def place(self, exchange: Any, request: OrderRequest) -> tuple[OrderEvent, list[FillEvent]]:
        """The answer is the order's id and nothing else: its end and its fills come by stream or query."""
        params = self.order_params(request)
        with _meant():
            answer = await exchange.create_order(
                request.symbol, request.kind, request.side, request.quantity, request.price, params
            )
        return acknowledged(request, answer["id"] or ""), []

    def meant(self) -> contextlib.AbstractContextManager[None]:
        """Around a request about an order: what a refusal's code says of it."""
        return _meant()

    async def cancel(self, exchange: Any, client_order_id: str, symbol: str) -> None:
        """By `orderLinkId`. Raises `OrderNotFound` as well when the order has ended: what became of it is to be asked."""
        with _meant():
            await exchange.cancel_order(None, symbol, {"orderLinkId": self.encode_id(client_order_id)})

    async def order(self, exchange: Any, client_order_id: str, symbol: str) -> OrderEvent | None:
        """Open orders and the last 500 ended ones, then the history, which has all that the first forgot in a restart."""
        sent = self.encode_id(client_order_id)
        query = {"category": self.category, "symbol": exchange.market(symbol)["id"], "orderLinkId": sent}
        for ask in (exchange.private_get_v5_order_realtime, exchange.private_get_v5_order_history):
            rows = [row for row in (await ask(query))["result"]["list"] if row["orderLinkId"] == sent]
            if rows:
                return self._order(exchange, max(rows, key=lambda row: int(row["createdTime"])))
        return None

    async def fills_of(self, exchange: Any, order: OrderEvent) -> list[FillEvent]:
        """`execution/list` by order id, every page."""
        return await self._executions(exchange, {"orderId": order.venue_order_id}, order.client_order_id)

    async def open_orders(self, exchange: Any, symbols: tuple[str, ...]) -> list[OrderEvent]:
        """A symbol at a time, every page."""
        found = []
        for symbol in symbols:
            query = {"category": self.category, "symbol": exchange.market(symbol)["id"], "openOnly": 0}
            rows = await _pages(exchange.private_get_v5_order_realtime, query, _ORDERS_PAGE)
            found += [self._order(exchange, row) for row in rows]
        return [order for order in found if order.state is VenueOrderState.OPEN]

    async def fills_since(self, exchange: Any, symbols: tuple[str, ...], since_ns: int) -> list[FillEvent]:
        """`execution/list`, a week and a page at a time: the venue answers the seven days from `startTime` on."""
        start_ms, now_ms = since_ns // MS, exchange.milliseconds()
        found: dict[tuple[str, str], FillEvent] = {}
        while start_ms <= now_ms:
            for fill in await self._executions(exchange, {"startTime": start_ms}, ""):
                found[fill.symbol, fill.trade_id] = fill
            start_ms += _WEEK_MS
        return [fill for fill in found.values() if fill.symbol in symbols]

    async def _executions(self, exchange: Any, query: dict[str, Any], client_order_id: str) -> list[FillEvent]:
        ask = exchange.private_get_v5_execution_list
        rows = await _pages(ask, {"category": self.category, **query}, _FILLS_PAGE)
        named = [row if row.get("orderLinkId") else {**row, "orderLinkId": client_order_id} for row in rows]
        return [fill for row in named if (fill := self._fill(exchange, row)) is not None]

    async def balances(self, exchange: Any) -> list[Balance]:
        """The unified wallet, with what spot orders hold of it."""
        answer = await exchange.private_get_v5_account_wallet_balance({"accountType": "UNIFIED"})
        rows = [_balance(exchange, coin) for row in answer["result"]["list"] for coin in row["coin"]]
        return [row for row in rows if row.total]


async def _pages(ask: Any, query: dict[str, Any], limit: int) -> list[dict[str, Any]]:
    """Every row of a query that is answered in pages."""
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        result = (await ask({**query, "limit": limit, **cursor}))["result"]
        rows += result["list"]
        if len(result["list"]) < limit or not result.get("nextPageCursor"):
            return rows
        cursor = {"cursor": result["nextPageCursor"]}


@contextlib.contextmanager
def _meant() -> Iterator[None]:
    """What the venue's code of a refusal says of the order, where ccxt's class for it says another thing."""
    import ccxt

    try:
        yield
    except ccxt.ExchangeError as error:
        found = _RET_CODE.search(str(error))
        match found and found[1]:
            case code if code in _UNKNOWN:
                raise ccxt.OperationFailed(str(error)) from error
            case None if type(error) is ccxt.ExchangeError:  # an answer without any code is no refusal
                raise ccxt.BadResponse(str(error)) from (error.__cause__ or error)
            case code if code in _GONE:
                raise ccxt.OrderNotFound(str(error)) from error
        raise


def _by_value(raw: dict[str, Any]) -> bool:
    """Whether `qty` of a spot market order is an amount of quote currency."""
    unit = raw.get("marketUnit") or ("quoteCoin" if raw["side"] == "Buy" else "baseCoin")
    return bool(unit == "quoteCoin")


def _fee_currency(symbol: str, side: str, fee: Decimal) -> str:
    """The venue's rule where a row does not name it: spot in what is received (a rebate in the other), contracts in what they settle in."""
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    return settle or (base if (side == "buy") is (fee >= 0) else quote)


def _balance(exchange: Any, coin: dict[str, Any]) -> Balance:
    """What is ours of a coin; one that is borrowed on balance is told as zero: there is nothing of it to spend."""
    total = dec(coin["walletBalance"] or "0") - dec(coin.get("spotBorrow") or "0")
    return Balance(exchange.safe_currency_code(coin["coin"]), max(total, Decimal(0)), dec(coin["locked"] or "0"))


def _consumed(future: Any) -> None:
    """Nobody awaits the confirmation's future: its rejection is told by `on_down`."""
    if not future.cancelled():
        future.exception()
