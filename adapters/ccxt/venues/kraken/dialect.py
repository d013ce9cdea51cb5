"""Kraken spot: what its messages mean, and what ccxt must be told.

WebSocket v2 `book` (with CRC32), `trade`, `ticker` on change of the best prices; private `executions` and `balances` with a token; orders
by REST with `cl_ord_id`. WebSocket numbers are JSON numbers, REST numbers strings. Fills come only as `executions` rows of type `trade`
(their `exec_id` is REST's trade id); ccxt routes such a frame by its first row, so every row is read here.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import OrderedDict
from datetime import datetime
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
from adapters.ccxt.market.books import KrakenBook
from adapters.ccxt.symbols import Market, dec, exact, kraken_client_id, kraken_original_id, rewrite_hosts
from adapters.ccxt.venues.kraken import frames as kraken_frames
from adapters.ccxt.venues.kraken.orders import KrakenOrdering

_WS_STATES = {
    "pending_new": VenueOrderState.OPEN,
    "new": VenueOrderState.OPEN,
    "partially_filled": VenueOrderState.OPEN,
    "filled": VenueOrderState.FILLED,
    "canceled": VenueOrderState.CANCELED,
    "expired": VenueOrderState.EXPIRED,
}
_REST_STATES = {
    "pending": VenueOrderState.OPEN,
    "open": VenueOrderState.OPEN,
    "closed": VenueOrderState.FILLED,
    "canceled": VenueOrderState.CANCELED,
    "expired": VenueOrderState.EXPIRED,
}
# errors that say nothing of the order, with whatever code behind them; ccxt takes those it does not know for refusals
_UNPROVEN = ("EService:Deadline elapsed", "EService:Timeout", "EGeneral:Internal error", "EDatabase:")
_PRICE = re.compile(r"[0-9.]+")
_PAGE = 50  # rows of TradesHistory at a time

_TXIDS_KEPT = 10_000
NONCE_TRIES = 6


def _create(config: ExchangeConfig, *, throttle: bool, timeout_ms: int) -> Any:
    import ccxt.pro

    exchange = ccxt.pro.kraken(
        {
            "apiKey": config.api_key,
            "secret": config.secret,
            "enableRateLimit": throttle,
            "timeout": timeout_ms,
            # ccxt's 1000 ms would also space every subscription by a second; we make three REST calls at start and none later
            "rateLimit": 200,
            "options": {"ws": {"cost": 0.1}},
        }
    )
    exchange.exceptions["broad"] = {
        **dict.fromkeys(_UNPROVEN, ccxt.pro.ExchangeNotAvailable),
        "EAPI:Invalid signature": ccxt.pro.AuthenticationError,
        "EAccount:Invalid permissions": ccxt.pro.PermissionDenied,
        "EService:Throttled": ccxt.pro.RateLimitExceeded,
        **exchange.exceptions["broad"],
    }
    exchange.urls["api"] = rewrite_hosts(exchange.urls["api"], config.rest_url, config.ws_url)
    exchange.streaming = {**exchange.streaming, "keepAlive": int(config.keepalive_s * 1000)}
    if str(config.rest_url).startswith("http:"):
        exchange.timeout_on_exit = 0  # only TLS connections need ccxt's pause after closing
    last = 0

    def nonce() -> int:
        """Strictly increasing: two requests of one millisecond would otherwise share a nonce."""
        nonlocal last
        last = max(last + 1, time.time_ns() // 1000)
        return last

    exchange.nonce = nonce
    _retry_overtaken(exchange)
    return exchange


def _retry_overtaken(exchange: Any) -> None:
    """Ask again, with a new nonce, when a request was overtaken on its way by a later one of ours.

    Kraken takes the nonces of a key in growing order; requests sent at once on several connections arrive in any order. "Invalid nonce"
    is Kraken's word that it did not act on the request, so asking again cannot do anything twice.
    """
    import ccxt.pro

    once = exchange.request

    async def request(*args: Any, **kwargs: Any) -> Any:
        for _ in range(NONCE_TRIES - 1):
            try:
                return await once(*args, **kwargs)
            except ccxt.pro.InvalidNonce:
                continue
        return await once(*args, **kwargs)

    exchange.request = request


class KrakenMarketDialect:
    """Market data, all on one socket."""

    _HASHES: ClassVar = {Stream.BOOK: "orderbook@{}", Stream.TRADES: "trade@{}", Stream.QUOTES: "ticker@{}"}
    _CHANNELS: ClassVar = {Stream.BOOK: "book", Stream.TRADES: "trade", Stream.QUOTES: "ticker"}

    def create(self, config: ExchangeConfig) -> Any:
        """The instance for market data."""
        return _create(config, throttle=True, timeout_ms=10_000)

    async def taker_fees(self, exchange: Any, symbols: tuple[str, ...]) -> dict[str, Decimal]:
        """`TradeVolume` of the account, in percent; needs keys."""
        if not exchange.apiKey:
            return {}
        markets = [exchange.market(symbol) for symbol in symbols]
        answer = await exchange.private_post_tradevolume({"pair": ",".join(market["id"] for market in markets)})
        fees = answer["result"].get("fees") or {}
        known = {}
        for market in markets:
            row = fees.get(market["id"]) or fees.get(market["info"].get("altname"))
            if row is not None:
                known[market["symbol"]] = dec(row["fee"]) / 100
        return known

    def subscribe(self, exchange: Any, symbol: str, stream: Stream, depth: int) -> Any:
        """`params` are given anew each time: ccxt writes into its defaults."""
        match stream:
            case Stream.BOOK:
                return exchange.watch_order_book(symbol, depth, {})
            case Stream.TRADES:
                return exchange.watch_trades(symbol, None, None, {})
            case Stream.QUOTES:
                return exchange.watch_bids_asks([symbol], {})

    async def forget(self, exchange: Any, client: Any, symbol: str, stream: Stream, depth: int) -> None:
        """Unsubscribe at the venue (it refuses a second subscription), then forget."""
        params: dict[str, Any] = {"channel": self._CHANNELS[stream], "symbol": [symbol]}
        if stream is Stream.BOOK:
            params["depth"] = depth
        if stream is Stream.QUOTES:
            params["event_trigger"] = "bbo"
        await client.send({"method": "unsubscribe", "params": params, "req_id": exchange.request_id()})
        key = self._HASHES[stream].format(symbol)
        client.subscriptions.pop(key, None)
        client.rejections.pop(key, None)

    def frame(self, text: str) -> list[Decoded] | None:
        """A frame of the three channels from its text."""
        return kraken_frames.read(text)

    def split(self, message: Any) -> list[Decoded]:
        """Rows of the three channels, each with its message's type."""
        if not isinstance(message, dict):
            return []
        match message.get("channel"):
            case "book":
                stream = Stream.BOOK
            case "trade":
                if message.get("type") == "snapshot":
                    return []  # the last fifty trades before we came: not events of ours
                stream = Stream.TRADES
            case "ticker":
                stream = Stream.QUOTES
            case _:
                return []
        return [Decoded(stream, row["symbol"], (message["type"], row)) for row in message["data"]]

    def book(self, market: Market, depth: int) -> KrakenBook:
        """A book by Kraken's checksum rules."""
        return KrakenBook(market, depth)

    def book_event(self, book: KrakenBook, raw: Any) -> BookEvent | None:
        """Apply a snapshot or update."""
        kind, row = raw
        return book.message(kind, row, _iso_ns(row.get("timestamp")))

    async def whole_book(self, exchange: Any, symbol: str, levels: int) -> Depth:
        """`Depth`, which has no id."""
        answer = await exchange.public_get_depth({"pair": exchange.market_id(symbol), "count": levels})
        (sides,) = answer["result"].values()
        return Depth(bids=sides["bids"], asks=sides["asks"])

    def trades(self, market: Market, raw: Any) -> list[TradeEvent]:
        """`side` is the taker's."""
        _, row = raw
        return [
            TradeEvent(
                symbol=market.symbol,
                trade_id=str(row["trade_id"]),
                price=exact(row["price"], market.price_decimals),
                size=exact(row["qty"], market.size_decimals),
                side=row["side"],
                ts_event_ns=_iso_ns(row.get("timestamp")),
            )
        ]

    def quote(self, market: Market, raw: Any) -> QuoteEvent:
        """Best prices of a ticker row."""
        _, row = raw
        return QuoteEvent(
            symbol=market.symbol,
            bid=exact(row["bid"], market.price_decimals),
            bid_size=exact(row["bid_qty"], market.size_decimals),
            ask=exact(row["ask"], market.price_decimals),
            ask_size=exact(row["ask_qty"], market.size_decimals),
            ts_event_ns=_iso_ns(row.get("timestamp")),
        )


class KrakenAccountDialect(KrakenOrdering):
    """Orders, fills, balances."""

    confirms: ClassVar[bool] = True

    def __init__(self) -> None:
        self._txids: OrderedDict[str, str] = OrderedDict()  # the venue's order ids by ours

    def knows(self, client_order_id: str, txid: str) -> None:
        """Remember the venue's id of an order of ours."""
        if client_order_id and txid:
            self._txids[client_order_id] = txid
            while len(self._txids) > _TXIDS_KEPT:
                self._txids.popitem(last=False)

    def create(self, config: ExchangeConfig) -> Any:
        """The instance for execution."""
        return _create(config, throttle=False, timeout_ms=config.order_timeout_ms)

    def encode_id(self, client_order_id: str) -> str:
        """Up to 18 characters as they are, more packed."""
        return kraken_client_id(client_order_id)

    def decode_id(self, sent: str) -> str:
        """The reverse."""
        return kraken_original_id(sent)

    async def prepare(self, exchange: Any) -> None:
        """Kraken's nonces need no common clock."""

    async def subscribe(self, exchange: Any) -> None:
        """Token and both channels; the venue's confirmation comes as a message (`read` → `subscribed`)."""
        token = self.token = await exchange.authenticate()
        url = exchange.urls["api"]["ws"]["privateV2"]
        for channel, params in (("executions", {"snap_trades": False, "snap_orders": True}), ("balances", {})):
            request = {
                "method": "subscribe",
                "params": {"channel": channel, "token": token, **params},
                "req_id": exchange.request_id(),
            }
            future = exchange.watch(url, f"confirmed:{channel}", request, channel)
            future.add_done_callback(_consumed)

    def forget(self, exchange: Any) -> None:
        """A token may have died with its connection: ask for a new one."""
        client = (exchange.clients or {}).get(exchange.urls["api"]["ws"]["private"])
        if client is not None:
            client.subscriptions.pop("authenticated", None)

    def carries(self, exchange: Any, client: Any) -> bool:
        """Not ccxt's keeper of the token, a client that is never dialled."""
        return bool(client.url != exchange.urls["api"]["ws"]["private"])

    def read(self, exchange: Any, message: Any) -> PrivateMessage | None:
        """`executions` (all rows), `balances`, and the answers to our subscriptions."""
        if not isinstance(message, dict):
            return None
        if message.get("method") == "subscribe":
            if not message.get("success"):
                return PrivateMessage(refused=str(message.get("error")))
            return PrivateMessage(subscribed=(message.get("result") or {}).get("channel") == "executions")
        match message.get("channel"):
            case "executions":
                orders, fills = [], []
                for row in message["data"]:
                    if (fill := self._execution(exchange, row)) is not None:
                        fills.append(fill)
                    if (order := self._state(row)) is not None:
                        orders.append(order)
                return PrivateMessage(orders=tuple(orders), fills=tuple(fills))
            case "balances":
                return PrivateMessage(balances_stale=True)
        return None

    def _state(self, row: dict[str, Any]) -> OrderEvent | None:
        if row.get("order_status") not in _WS_STATES:
            return None
        limit, cid = row.get("limit_price"), self.decode_id(row["cl_ord_id"]) if row.get("cl_ord_id") else ""
        self.knows(cid, row["order_id"])
        return OrderEvent(
            symbol=row.get("symbol", ""),
            client_order_id=cid,
            venue_order_id=row["order_id"],
            state=_WS_STATES[row["order_status"]],
            side=row.get("side", ""),
            kind=row.get("order_type", "limit"),
            time_in_force=str(row.get("time_in_force", "GTC")).upper(),
            price=None if limit is None else dec(limit),
            quantity=dec(row["order_qty"]) if "order_qty" in row else None,
            filled=dec(row["cum_qty"]) if "cum_qty" in row else None,
            reason=str(row.get("cancel_reason") or row.get("reason") or ""),
            ts_event_ns=_iso_ns(row.get("timestamp")),
        )

    def _execution(self, exchange: Any, row: dict[str, Any]) -> FillEvent | None:
        if row.get("exec_type") != "trade":
            return None
        fees = row.get("fees") or []
        if len({fee["asset"] for fee in fees}) > 1:
            raise ValueError(f"fees in several assets: {fees}")
        fee_asset = fees[0]["asset"] if fees else row["symbol"].split("/")[1]
        return FillEvent(
            symbol=row["symbol"],
            trade_id=row["exec_id"],
            venue_order_id=row["order_id"],
            client_order_id=self.decode_id(row["cl_ord_id"]) if row.get("cl_ord_id") else "",
            side=row["side"],
            price=dec(row["last_price"]),
            quantity=dec(row["last_qty"]),
            fee=sum((dec(fee["qty"]) for fee in fees), Decimal(0)),
            fee_currency=exchange.safe_currency_code(fee_asset),
            maker=row.get("liquidity_ind") == "m",
            ts_event_ns=_iso_ns(row.get("timestamp")),
        )

    async def place(self, exchange: Any, request: OrderRequest) -> tuple[OrderEvent, list[FillEvent]]:
        """The answer is the order's id and nothing else: fills come by stream or query."""
        params = self.order_params(request)
        answer = await exchange.create_order(
            request.symbol, request.kind, request.side, request.quantity, request.price, params
        )
        self.knows(request.client_order_id, answer["id"] or "")
        return acknowledged(request, answer["id"] or ""), []

    async def cancel(self, exchange: Any, client_order_id: str, symbol: str) -> None:
        """By `cl_ord_id`."""
        await exchange.private_post_cancelorder({"cl_ord_id": self.encode_id(client_order_id)})

    async def order(self, exchange: Any, client_order_id: str, symbol: str) -> OrderEvent | None:
        """By its txid where we know it; else, or when the venue does not (yet) know that, open orders first, then closed ones, both by
        `cl_ord_id`; open once more, as it may have moved between the two."""
        import ccxt

        if (txid := self._txids.get(client_order_id)) is not None:
            with contextlib.suppress(ccxt.OrderNotFound):
                answer = await exchange.private_post_queryorders({"txid": txid})
                if (raw := answer["result"].get(txid)) is not None:
                    return self._order(exchange, txid, {**raw, "cl_ord_id": self.encode_id(client_order_id)})
        query = {"cl_ord_id": self.encode_id(client_order_id)}
        for request, key in (
            (exchange.private_post_openorders, "open"),
            (exchange.private_post_closedorders, "closed"),
            (exchange.private_post_openorders, "open"),
        ):
            answer = await request(query)
            for order_id, raw in (answer["result"].get(key) or {}).items():
                if raw.get("cl_ord_id") == query["cl_ord_id"]:
                    return self._order(exchange, order_id, raw)
        return None

    async def fills_of(self, exchange: Any, order: OrderEvent) -> list[FillEvent]:
        """`TradesHistory` from just before the order opened, page by page, until its filled quantity is complete."""
        wanted = order.filled if order.filled is not None else Decimal("Infinity")
        found: list[FillEvent] = []
        start = {"start": f"{order.ts_event_ns / 1e9 - 1:.3f}"} if order.ts_event_ns else {}
        offset = 0
        while sum((fill.quantity for fill in found), Decimal(0)) < wanted:
            page = await exchange.fetch_my_trades(None, None, None, {**start, "ofs": offset})
            ours = (row for row in page if row["order"] == order.venue_order_id)
            found.extend(self._trade(exchange, row, order.client_order_id) for row in ours)
            offset += _PAGE
            if len(page) < _PAGE:
                break
        return found

    async def open_orders(self, exchange: Any, symbols: tuple[str, ...]) -> list[OrderEvent]:
        """All open orders of the account, ours by symbol."""
        answer = await exchange.private_post_openorders({})
        rows = (answer["result"].get("open") or {}).items()
        return [
            self._order(exchange, key, raw)
            for key, raw in rows
            if exchange.safe_symbol(raw["descr"]["pair"]) in symbols
        ]

    async def fills_since(self, exchange: Any, symbols: tuple[str, ...], since_ns: int) -> list[FillEvent]:
        """Every page of `TradesHistory` since then."""
        found: list[FillEvent] = []
        offset = 0
        while True:
            page = await exchange.fetch_my_trades(None, None, None, {"start": f"{since_ns / 1e9:.3f}", "ofs": offset})
            found += [self._trade(exchange, row, "") for row in page if row["symbol"] in symbols]
            offset += _PAGE
            if len(page) < _PAGE:
                return found

    async def balances(self, exchange: Any) -> list[Balance]:
        """`BalanceEx`: balance and what open orders hold of it."""
        answer = await exchange.private_post_balanceex()
        rows = [
            Balance(exchange.safe_currency_code(asset), dec(raw["balance"]), dec(raw.get("hold_trade") or "0"))
            for asset, raw in answer["result"].items()
        ]
        return [row for row in rows if row.total]

    def _order(self, exchange: Any, order_id: str, raw: dict[str, Any]) -> OrderEvent:
        descr = raw["descr"]
        state = _REST_STATES[raw["status"]]
        quantity, filled = dec(raw["vol"]), dec(raw["vol_exec"])
        if state is VenueOrderState.FILLED and filled < quantity:
            state = VenueOrderState.CANCELED
        return OrderEvent(
            symbol=exchange.safe_symbol(descr["pair"]),
            client_order_id=self.decode_id(raw["cl_ord_id"]) if raw.get("cl_ord_id") else "",
            venue_order_id=order_id,
            state=state,
            side=descr["type"],
            kind=descr["ordertype"],
            time_in_force=str(raw.get("timeinforce") or "GTC").upper(),
            price=dec(descr["price"]) if _PRICE.fullmatch(descr["price"]) else None,  # of a trailing stop: "+15.0000%"
            quantity=quantity,
            filled=filled,
            reason=str(raw.get("reason") or ""),
            ts_event_ns=_seconds_ns(raw["opentm"]),
        )

    def _trade(self, exchange: Any, row: dict[str, Any], client_order_id: str) -> FillEvent:
        raw = row["info"]
        return FillEvent(
            symbol=row["symbol"],
            trade_id=row["id"],
            venue_order_id=raw["ordertxid"],
            client_order_id=client_order_id,
            side=raw["type"],
            price=dec(raw["price"]),
            quantity=dec(raw["vol"]),
            fee=dec(raw["fee"]),
            fee_currency=exchange.market(row["symbol"])["quote"],
            maker=bool(raw.get("maker")),
            ts_event_ns=_seconds_ns(raw["time"]),
        )


def _iso_ns(text: str | None) -> int:
    """RFC 3339 with up to nanoseconds → ns; 0 when absent."""
    if not text:
        return 0
    head, _, fraction = text.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(head + "+00:00").timestamp()) * 1_000_000_000 + int(
        fraction.ljust(9, "0")[:9] or 0
    )


def _seconds_ns(value: Any) -> int:
    return int(dec(value) * 1_000_000_000)


def _consumed(future: Any) -> None:
    """Nobody awaits a confirmation future: its rejection is told by `on_down`."""
    if not future.cancelled():
        future.exception()
