"""OKX spot: what its messages mean, and what ccxt must be told.

WebSocket v5: `books`, `trades` and `bbo-tbt` on the public socket; `orders` and `account` on the private one, after a login signed with key
and passphrase. Orders by REST with our own `clOrdId`, one at a time through `trade/batch-orders` (ccxt's choice: the wider rate limit).
All numbers are strings; fees are negative when they are charged. Keepalive is the text "ping", answered by "pong".

An executed order's row carries one execution (`tradeId`, `fillPx`, `fillSz`, `fillFee`). A row without `fillFee` tells the fee of all
executions so far: it is this one's only while there is no other, else the execution is left to the query. Rows of markets that are not
loaded (futures of the same account, new listings) are not ours; ccxt's own handler fails on them, which the hook survives.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
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
from adapters.ccxt.market.audit import Depth
from adapters.ccxt.symbols import Market, dec, exact, floored, okx_client_id, okx_original_id, rewrite_hosts
from adapters.ccxt.venues.okx import frames as okx_frames
from adapters.ccxt.venues.okx.book import LEVELS, OkxBook
from adapters.ccxt.venues.okx.orders import OkxOrdering

MS = 1_000_000
LEAVE_S = 3.0  # how long the venue may take to confirm that a subscription has ended
RECENT_MS = 70 * 3_600_000  # `trade/fills` goes back three days
_PAGE = 100

# "service temporarily unavailable", "order timed out": nothing in these says that there is no order (nor do Nautilus' adapter and 50004)
_UNPROVEN = ("50001", "51054", "51149")

_STATES = {
    "live": VenueOrderState.OPEN,
    "partially_filled": VenueOrderState.OPEN,
    "filled": VenueOrderState.FILLED,
    "canceled": VenueOrderState.CANCELED,
    "mmp_canceled": VenueOrderState.CANCELED,
}
_TIF = {"ioc": "IOC", "fok": "FOK", "market": "IOC", "optimal_limit_ioc": "IOC"}
_CANCEL_SOURCES = {
    "0": "canceled by the system",
    "1": "canceled by the user",
    "13": "fill-or-kill that could not be filled",
    "14": "immediate-or-cancel remainder",
    "15": "price beyond the venue's limit",
    "20": "cancel-all-after was triggered",
    "31": "post-only that would have taken",
    "32": "self-trade prevention",
}


def _create(config: ExchangeConfig, *, throttle: bool, timeout_ms: int) -> Any:
    import ccxt.pro

    exchange = ccxt.pro.okx(
        {
            "apiKey": config.api_key,
            "secret": config.secret,
            "password": config.password,
            "enableRateLimit": throttle,
            "timeout": timeout_ms,
            "options": {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}},
        }
    )
    exchange.has["fetchCurrencies"] = False  # a private request before the clock difference is known
    exchange.exceptions["exact"] |= {
        "51016": ccxt.pro.DuplicateOrderId,  # "client order ID already exists"
        "50120": ccxt.pro.PermissionDenied,  # "this API key doesn't have permission to use this function"
        **dict.fromkeys(_UNPROVEN, ccxt.pro.ExchangeNotAvailable),
    }
    exchange.seconds = lambda: int(
        exchange.nonce() // 1000
    )  # the login's clock: the venue's, as in every other request
    exchange.urls["api"] = rewrite_hosts(exchange.urls["api"], config.rest_url, config.ws_url)
    exchange.streaming = {**exchange.streaming, "keepAlive": int(config.keepalive_s * 1000)}
    if str(config.rest_url).startswith("http:"):
        exchange.timeout_on_exit = 0  # only TLS connections need ccxt's pause after closing
    return exchange


class OkxMarketDialect:
    """Market data, all on one socket."""

    _CHANNELS: ClassVar = {Stream.BOOK: "books", Stream.TRADES: "trades", Stream.QUOTES: "bbo-tbt"}
    _HASHES: ClassVar = {Stream.BOOK: "books:{}", Stream.TRADES: "trades:{}", Stream.QUOTES: "bidask::{}"}
    _STREAMS: ClassVar = {channel: stream for stream, channel in _CHANNELS.items()}

    def __init__(self) -> None:
        self._leaving: dict[tuple[str, str], asyncio.Future[None]] = {}  # by channel and market id, until confirmed

    def create(self, config: ExchangeConfig) -> Any:
        """The instance for market data."""
        return _create(config, throttle=True, timeout_ms=10_000)

    async def taker_fees(self, exchange: Any, symbols: tuple[str, ...]) -> dict[str, Decimal]:
        """`account/trade-fee` of each symbol, its sign turned; markets in USDC have a fee of their own. Needs keys."""
        if not exchange.apiKey:
            return {}
        await exchange.load_time_difference()
        known = {}
        for symbol in symbols:
            market = exchange.market(symbol)
            answer = await exchange.private_get_account_trade_fee({"instType": "SPOT", "instId": market["id"]})
            for row in answer["data"][:1]:
                taker = (market["quote"] == "USDC" and row.get("takerUSDC")) or row.get("taker")
                if taker:
                    known[symbol] = -dec(taker)
        return known

    def subscribe(self, exchange: Any, symbol: str, stream: Stream, depth: int) -> Any:
        """`books` has 400 levels whatever depth is wanted."""
        match stream:
            case Stream.BOOK:
                return exchange.watch_order_book(symbol, LEVELS, {})
            case Stream.TRADES:
                return exchange.watch_trades(symbol, None, None, {})
            case Stream.QUOTES:
                return exchange.watch_bids_asks([symbol], {})

    async def forget(self, exchange: Any, client: Any, symbol: str, stream: Stream, depth: int) -> None:
        """Unsubscribe and wait for the venue's word: a new snapshot comes only to a new subscription, and ccxt ends on this word whatever
        is subscribed by then. Without it the socket is given up, with all its streams."""
        import ccxt

        channel, market_id = self._CHANNELS[stream], exchange.market_id(symbol)
        confirmed = self._leaving[channel, market_id] = asyncio.get_running_loop().create_future()
        try:
            await client.send({"op": "unsubscribe", "args": [{"channel": channel, "instId": market_id}]})
            await asyncio.wait_for(confirmed, LEAVE_S)
        except TimeoutError:
            client.on_error(
                ccxt.RequestTimeout(f"okx did not say within {LEAVE_S:g} s that {channel} {market_id} has ended")
            )
            return
        finally:
            self._leaving.pop((channel, market_id), None)
        key = self._HASHES[stream].format(symbol)
        client.subscriptions.pop(key, None)
        client.rejections.pop(key, None)
        if stream is Stream.BOOK:
            exchange.orderbooks.pop(symbol, None)

    def frame(self, text: str) -> list[Decoded] | None:
        """A frame of the three channels from its text."""
        return okx_frames.read(text)

    def split(self, message: Any) -> list[Decoded]:
        """Rows of the three channels, a book's with its action. A best price that lacks a side is none."""
        if not isinstance(message, dict):
            return []
        arg = message.get("arg") or {}
        stream, market_id = self._STREAMS.get(arg.get("channel")), arg.get("instId")
        if stream is None:
            return []
        if "event" in message:
            waiting = self._leaving.get((arg["channel"], market_id))
            if message["event"] == "unsubscribe" and waiting is not None and not waiting.done():
                waiting.set_result(None)
            return []
        match stream:
            case Stream.BOOK:
                return [Decoded(stream, market_id, (message["action"], row)) for row in message["data"]]
            case Stream.QUOTES:
                return [Decoded(stream, market_id, row) for row in message["data"] if row["bids"] and row["asks"]]
            case Stream.TRADES:
                return [Decoded(stream, market_id, row) for row in message["data"]]
        raise AssertionError(stream)

    def book(self, market: Market, depth: int) -> OkxBook:
        """A book by OKX's sequence rules."""
        return OkxBook(market)

    def book_event(self, book: OkxBook, raw: Any) -> BookEvent | None:
        """Apply a snapshot or update."""
        action, row = raw
        return book.message(action, row)

    async def whole_book(self, exchange: Any, symbol: str, levels: int) -> Depth:
        """`market/books`. That its ids are the stream's is nowhere said: it has none for us."""
        answer = await exchange.public_get_market_books({"instId": exchange.market_id(symbol), "sz": levels})
        row = answer["data"][0]
        return Depth(bids=row["bids"], asks=row["asks"])

    def trades(self, market: Market, raw: Any) -> list[TradeEvent]:
        """`side` is the taker's; one row may be several matches of one taker at one price. Less than a lot is no trade."""
        size = floored(raw["sz"], market.size_decimals)
        if not size:
            return []
        return [
            TradeEvent(
                symbol=market.symbol,
                trade_id=raw["tradeId"],
                price=exact(raw["px"], market.price_decimals),
                size=size,
                side=raw["side"],
                ts_event_ns=int(raw["ts"]) * MS,
            )
        ]

    def quote(self, market: Market, raw: Any) -> QuoteEvent:
        """Level 1 of both sides."""
        bid, ask = raw["bids"][0], raw["asks"][0]
        return QuoteEvent(
            symbol=market.symbol,
            bid=exact(bid[0], market.price_decimals),
            bid_size=floored(bid[1], market.size_decimals),
            ask=exact(ask[0], market.price_decimals),
            ask_size=floored(ask[1], market.size_decimals),
            ts_event_ns=int(raw["ts"]) * MS,
        )


class OkxAccountDialect(OkxOrdering):
    """Orders, fills, balances."""

    confirms: ClassVar[bool] = True

    def create(self, config: ExchangeConfig) -> Any:
        """The instance for execution."""
        return _create(config, throttle=False, timeout_ms=config.order_timeout_ms)

    def encode_id(self, client_order_id: str) -> str:
        """Letters and digits as they are, others packed."""
        return okx_client_id(client_order_id)

    def decode_id(self, sent: str) -> str:
        """The reverse."""
        return okx_original_id(sent)

    async def prepare(self, exchange: Any) -> None:
        """Requests carry our clock: learn the difference, or the venue refuses them (50102)."""
        await exchange.load_time_difference()

    async def subscribe(self, exchange: Any) -> None:
        """Log in, then ask for both channels; the venue confirms each by a message (`read` → `subscribed`)."""
        await exchange.authenticate()
        url = exchange.get_url("orders", "private")
        wanted = [{"channel": "orders", "instType": "SPOT"}, {"channel": "account"}]
        future = exchange.watch(url, "confirmed", {"op": "subscribe", "args": wanted}, "confirmed")
        future.add_done_callback(_consumed)

    def forget(self, exchange: Any) -> None:
        """The login lives on the client, which goes with its socket."""

    def carries(self, exchange: Any, client: Any) -> bool:
        """One socket carries it all."""
        return True

    def read(self, exchange: Any, message: Any) -> PrivateMessage | None:
        """`orders`, `account`, and the answers to our subscriptions."""
        if not isinstance(message, dict):
            return None
        channel = (message.get("arg") or {}).get("channel")
        match message.get("event"):
            case "error" | "channel-conn-count-error":
                return PrivateMessage(
                    refused=f"{message.get('code', '')} {message.get('msg', message['event'])}".strip()
                )
            case "subscribe":
                return PrivateMessage(subscribed=channel == "orders")
            case None:
                return self._said(exchange, channel, message)
        return None

    def _said(self, exchange: Any, channel: str | None, message: dict[str, Any]) -> PrivateMessage | None:
        match channel:
            case "orders":
                known = [(symbol, row) for row in message["data"] if (symbol := _symbol(exchange, row["instId"]))]
                fills = [fill for symbol, row in known if (fill := self._execution(exchange, symbol, row))]
                return PrivateMessage(
                    orders=tuple(self._order(symbol, row) for symbol, row in known), fills=tuple(fills)
                )
            case "account":
                return PrivateMessage(balances=tuple(_balances(exchange, message["data"])))
        return None

    def _execution(self, exchange: Any, symbol: str, row: dict[str, Any]) -> FillEvent | None:
        """The execution that an `orders` row tells of, None when it tells of none or not of its fee."""
        if row.get("tradeId") in (None, "", "0") or not dec(row.get("fillSz") or "0"):
            return None
        fee, currency = row.get("fillFee"), row.get("fillFeeCcy")
        if not fee and dec(row["fillSz"]) == dec(row["accFillSz"]):
            fee, currency = row.get("fee"), row.get("feeCcy")
        if not fee:
            return None
        return self._fill(exchange, symbol, row, fee, currency or "", int(row["fillTime"]))

    def _fill(
        self, exchange: Any, symbol: str, row: dict[str, Any], fee: str, currency: str, time_ms: int
    ) -> FillEvent:
        market = exchange.market(symbol)
        received = market["base"] if row["side"] == "buy" else market["quote"]
        return FillEvent(
            symbol=symbol,
            trade_id=row["tradeId"],
            venue_order_id=row["ordId"],
            client_order_id=self.decode_id(row.get("clOrdId") or ""),
            side=row["side"],
            price=dec(row["fillPx"]),
            quantity=dec(row["fillSz"]),
            fee=-dec(fee) if fee else Decimal(0),
            fee_currency=exchange.safe_currency_code(currency) if currency else received,
            maker=row.get("execType") == "M",
            ts_event_ns=time_ms * MS,
        )

    def _order(self, symbol: str, row: dict[str, Any]) -> OrderEvent:
        kind, source = row["ordType"], row.get("cancelSource") or ""
        in_quote = row.get("tgtCcy") == "quote_ccy"  # somebody's market order by cost: its quantity is not known
        reason = (
            row.get("cancelSourceReason") or _CANCEL_SOURCES.get(source) or (f"cancelSource {source}" if source else "")
        )
        return OrderEvent(
            symbol=symbol,
            client_order_id=self.decode_id(row.get("clOrdId") or ""),
            venue_order_id=row["ordId"],
            state=_STATES[row["state"]],
            side=row["side"],
            kind="market" if kind in ("market", "optimal_limit_ioc") else "limit",
            time_in_force=_TIF.get(kind, "GTC"),
            price=dec(row["px"]) if row.get("px") else None,
            quantity=None if in_quote else dec(row["sz"]),
            filled=dec(row.get("accFillSz") or "0"),
            reason=reason,
            ts_event_ns=int(row["uTime"]) * MS,
        )

    async def place(self, exchange: Any, request: OrderRequest) -> tuple[OrderEvent, list[FillEvent]]:
        """The answer is the order's id and nothing else: fills come by stream or query. Market orders are sized in base currency."""
        params = self.order_params(request)
        answer = await exchange.create_order(
            request.symbol, request.kind, request.side, request.quantity, request.price, params
        )
        return acknowledged(request, answer["id"] or ""), []

    async def cancel(self, exchange: Any, client_order_id: str, symbol: str) -> None:
        """By `clOrdId`."""
        await exchange.cancel_order(None, symbol, {"clOrdId": self.encode_id(client_order_id)})

    async def order(self, exchange: Any, client_order_id: str, symbol: str) -> OrderEvent | None:
        """By `clOrdId`. The venue forgets orders that ended without a fill after two hours."""
        import ccxt

        query = {"instId": exchange.market_id(symbol), "clOrdId": self.encode_id(client_order_id)}
        try:
            answer = await exchange.private_get_trade_order(query)
        except ccxt.OrderNotFound:
            return None
        return self._order(symbol, answer["data"][0]) if answer["data"] else None

    async def fills_of(self, exchange: Any, order: OrderEvent) -> list[FillEvent]:
        """`trade/fills` of the order (three days), and where that is less than its filled quantity `trade/fills-history` (three months)."""
        query = {"instType": "SPOT", "instId": exchange.market_id(order.symbol), "ordId": order.venue_order_id}
        found: dict[str, FillEvent] = {}
        for request in (exchange.private_get_trade_fills, exchange.private_get_trade_fills_history):
            async for row in _rows(request, query, "billId"):
                found[row["tradeId"]] = self._trade(exchange, order.symbol, row)
            if order.filled is None or sum(fill.quantity for fill in found.values()) >= order.filled:
                break
        return list(found.values())

    async def open_orders(self, exchange: Any, symbols: tuple[str, ...]) -> list[OrderEvent]:
        """All pending orders of the account, ours by symbol."""
        rows = _rows(exchange.private_get_trade_orders_pending, {"instType": "SPOT"}, "ordId")
        return [
            self._order(symbol, row) async for row in rows if (symbol := _symbol(exchange, row["instId"])) in symbols
        ]

    async def fills_since(self, exchange: Any, symbols: tuple[str, ...], since_ns: int) -> list[FillEvent]:
        """Every page of `trade/fills` since then, or of `trade/fills-history` when that is longer ago."""
        recent = exchange.milliseconds() - since_ns // MS < RECENT_MS
        request = exchange.private_get_trade_fills if recent else exchange.private_get_trade_fills_history
        rows = _rows(request, {"instType": "SPOT", "begin": str(since_ns // MS)}, "billId")
        return [
            self._trade(exchange, symbol, row)
            async for row in rows
            if (symbol := _symbol(exchange, row["instId"])) in symbols
        ]

    async def balances(self, exchange: Any) -> list[Balance]:
        """`account/balance`: cash, and what of it is not available."""
        answer = await exchange.private_get_account_balance()
        return [row for row in _balances(exchange, answer["data"]) if row.total]

    def _trade(self, exchange: Any, symbol: str, row: dict[str, Any]) -> FillEvent:
        return self._fill(
            exchange, symbol, row, row.get("fee") or "", row.get("feeCcy") or "", int(row.get("fillTime") or row["ts"])
        )


async def _rows(request: Any, query: dict[str, str], key: str) -> AsyncIterator[dict[str, Any]]:
    """Rows of a listing, newest first, page by page: each page begins after the last one's `key`."""
    after: dict[str, str] = {}
    while True:
        page = (await request({**query, "limit": str(_PAGE), **after}))["data"]
        for row in page:
            yield row
        if len(page) < _PAGE:
            return
        after = {"after": page[-1][key]}


def _symbol(exchange: Any, market_id: str) -> str:
    """The unified symbol of a loaded market, "" of any other."""
    markets = (exchange.markets_by_id or {}).get(market_id)
    return markets[0]["symbol"] if markets else ""


def _balances(exchange: Any, accounts: list[dict[str, Any]]) -> list[Balance]:
    """`details` of an account: cash is the total; what is not available of it is locked."""
    rows = []
    for raw in (row for account in accounts for row in account["details"]):
        cash, available = dec(raw["cashBal"] or "0"), dec(raw["availBal"] or "0")
        rows.append(Balance(exchange.safe_currency_code(raw["ccy"]), cash, max(Decimal(0), cash - available)))
    return rows


def _consumed(future: Any) -> None:
    """Nobody awaits a confirmation future: its rejection is told by `on_down`."""
    if not future.cancelled():
        future.exception()
