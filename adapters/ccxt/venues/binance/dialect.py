"""Binance spot: what its messages mean, and what ccxt must be told.

WebSocket market streams `<symbol>@depth@100ms`, `@trade`, `@bookTicker`, one socket each; private events through the WebSocket API's
`userDataStream.subscribe.signature`; orders by REST with our own `newClientOrderId`. All numbers are strings.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any, ClassVar

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import Decoded, OrderRequest, PrivateMessage
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
from adapters.ccxt.market.books import BinanceBook
from adapters.ccxt.symbols import Market, binance_client_id, dec, exact, floored, rewrite_hosts
from adapters.ccxt.venues.binance import frames as binance_frames
from adapters.ccxt.venues.binance.orders import BinanceOrdering

MS = 1_000_000
_PAGE = 1_000  # executions that one request tells

_STATES = {
    "PENDING_NEW": VenueOrderState.OPEN,
    "NEW": VenueOrderState.OPEN,
    "PARTIALLY_FILLED": VenueOrderState.OPEN,
    "PENDING_CANCEL": VenueOrderState.OPEN,
    "FILLED": VenueOrderState.FILLED,
    "CANCELED": VenueOrderState.CANCELED,
    "EXPIRED": VenueOrderState.EXPIRED,
    "EXPIRED_IN_MATCH": VenueOrderState.EXPIRED,
    "REJECTED": VenueOrderState.REJECTED,
}


def _create(config: ExchangeConfig, *, throttle: bool, timeout_ms: int) -> Any:
    import ccxt.pro

    exchange = ccxt.pro.binance(
        {
            "apiKey": config.api_key,
            "secret": config.secret,
            "enableRateLimit": throttle,
            "timeout": timeout_ms,
            "options": {
                "defaultType": "spot",
                "fetchMarkets": {"types": ["spot"]},
                "fetchMargins": False,
                "fetchCurrencies": False,
                "warnOnFetchOpenOrdersWithoutSymbol": False,
            },
        }
    )
    api = rewrite_hosts(exchange.urls["api"], config.rest_url, config.ws_url)
    if config.ws_url is not None:
        api["ws"]["spot"] = (
            config.ws_url.rstrip("/") + "/stream/ws"
        )  # ccxt tells spot from futures by "/stream" in the URL
    exchange.urls["api"] = api
    exchange.streaming = {**exchange.streaming, "keepAlive": int(config.keepalive_s * 1000)}
    if str(config.rest_url).startswith("http:"):
        exchange.timeout_on_exit = 0  # only TLS connections need ccxt's pause after closing
    return exchange


class BinanceMarketDialect:
    """Market data."""

    _HASHES: ClassVar = {
        Stream.BOOK: "orderbook::{}",
        Stream.TRADES: "trade::{}",
        Stream.QUOTES: "bidask:bookTicker@{}",
    }

    def create(self, config: ExchangeConfig) -> Any:
        """The instance for market data, with a hook on the raw REST snapshot (`exchange.on_snapshot(symbol, raw)`)."""
        return self._hooked(_create(config, throttle=True, timeout_ms=10_000))

    def _hooked(self, exchange: Any) -> Any:
        """The hook, and one request for a snapshot of a symbol at a time: the one before was for a subscription that is lost, and would
        be waited for, and paid, first."""
        parse = exchange.parse_order_book

        def parse_order_book(raw: Any, symbol: str, *args: Any, **kwargs: Any) -> Any:
            if isinstance(raw, dict) and "lastUpdateId" in raw:
                exchange.on_snapshot(symbol, raw)
            return parse(raw, symbol, *args, **kwargs)

        fetch, asked = exchange.fetch_order_book_snapshot, dict[str, asyncio.Task[Any]]()

        async def fetch_order_book_snapshot(client: Any, message: Any, subscription: Any) -> None:
            symbol = subscription["symbol"]
            if (before := asked.get(symbol)) is not None:
                before.cancel()
            asked[symbol] = mine = asyncio.ensure_future(fetch(client, message, subscription))
            try:
                await mine
            finally:
                if asked.get(symbol) is mine:
                    del asked[symbol]

        exchange.parse_order_book, exchange.fetch_order_book_snapshot = parse_order_book, fetch_order_book_snapshot
        return exchange

    async def taker_fees(self, exchange: Any, symbols: tuple[str, ...]) -> dict[str, Decimal]:
        """`commissionRates.taker` of the account; needs keys."""
        if not exchange.apiKey:
            return {}
        await exchange.load_time_difference()
        account = await exchange.private_get_account()
        rate = (account.get("commissionRates") or {}).get("taker")
        return {} if rate is None else dict.fromkeys(symbols, dec(rate))

    def subscribe(self, exchange: Any, symbol: str, stream: Stream, depth: int) -> Any:
        """One socket a stream, so that a fault of one is not a fault of all."""
        match stream:
            case Stream.BOOK:
                return exchange.watch_order_book(symbol, depth)
            case Stream.TRADES:
                return exchange.watch_trades(symbol)
            case Stream.QUOTES:
                return exchange.watch_bids_asks([symbol])

    async def forget(self, exchange: Any, client: Any, symbol: str, stream: Stream, depth: int) -> None:
        """Forget the subscription; subscribing again on the same socket brings a new snapshot."""
        key = self._HASHES[stream].format(symbol)
        client.subscriptions.pop(key, None)
        client.rejections.pop(key, None)
        if stream is Stream.BOOK:
            exchange.orderbooks.pop(symbol, None)

    def frame(self, text: str) -> list[Decoded] | None:
        """A frame of the three streams from its text."""
        return binance_frames.read(text)

    def split(self, message: Any) -> list[Decoded]:
        """`depthUpdate`, `trade`, and bookTicker, which has no event name."""
        if not isinstance(message, dict):
            return []
        raw = message["data"] if "stream" in message else message
        match raw.get("e"):
            case "depthUpdate":
                return [Decoded(Stream.BOOK, raw["s"], raw)]
            case "trade":
                return [Decoded(Stream.TRADES, raw["s"], raw)]
            case None if "u" in raw and "B" in raw and "A" in raw:
                return [Decoded(Stream.QUOTES, raw["s"], raw)]
        return []

    def book(self, market: Market, depth: int) -> BinanceBook:
        """A book by Binance's sequence rules."""
        return BinanceBook(market, depth)

    def book_event(self, book: BinanceBook, raw: Any) -> BookEvent | None:
        """Apply a diff."""
        return book.update(raw)

    async def whole_book(self, exchange: Any, symbol: str, levels: int) -> Depth:
        """`/depth`: its `lastUpdateId` is an id of the diff stream."""
        raw = await exchange.public_get_depth({"symbol": exchange.market_id(symbol), "limit": levels})
        return Depth(bids=raw["bids"], asks=raw["asks"], sequence=int(raw["lastUpdateId"]))

    def trades(self, market: Market, raw: Any) -> list[TradeEvent]:
        """`m`: the buyer was the maker, so the aggressor sold. The dust of an order older than today's lot is no trade."""
        size = floored(raw["q"], market.size_decimals)
        if not size:
            return []
        return [
            TradeEvent(
                symbol=market.symbol,
                trade_id=str(raw["t"]),
                price=exact(raw["p"], market.price_decimals),
                size=size,
                side="sell" if raw["m"] else "buy",
                ts_event_ns=int(raw["T"]) * MS,
            )
        ]

    def quote(self, market: Market, raw: Any) -> QuoteEvent:
        """Spot bookTicker carries no time."""
        return QuoteEvent(
            symbol=market.symbol,
            bid=exact(raw["b"], market.price_decimals),
            bid_size=floored(raw["B"], market.size_decimals),
            ask=exact(raw["a"], market.price_decimals),
            ask_size=floored(raw["A"], market.size_decimals),
            ts_event_ns=int(raw.get("E", 0)) * MS,
        )


class BinanceAccountDialect(BinanceOrdering):
    """Orders, fills, balances."""

    confirms: ClassVar[bool] = False

    def create(self, config: ExchangeConfig) -> Any:
        """The instance for execution."""
        return _create(config, throttle=False, timeout_ms=config.order_timeout_ms)

    def encode_id(self, client_order_id: str) -> str:
        """As it is."""
        return binance_client_id(client_order_id)

    def decode_id(self, sent: str) -> str:
        """As it is."""
        return sent

    async def prepare(self, exchange: Any) -> None:
        """Requests carry our clock: learn the difference, or the venue refuses them (-1021)."""
        await exchange.load_time_difference()

    async def subscribe(self, exchange: Any) -> None:
        """Returns when the venue has confirmed the user data stream."""
        exchange.balance.setdefault("spot", {})  # ccxt's own handler fails without it
        try:
            await exchange.authenticate()
        except (
            KeyError
        ) as e:  # ccxt trips over its own clean-up when the venue refuses; what it refused with is the context
            raise (e.__context__ or e) from None

    def forget(self, exchange: Any) -> None:
        """The flag that says "subscribed" lives on the client, which goes with its socket."""

    def carries(self, exchange: Any, client: Any) -> bool:
        """One socket carries it all."""
        return True

    def read(self, exchange: Any, message: Any) -> PrivateMessage | None:
        """`executionReport` and `outboundAccountPosition`, bare or wrapped in `event`."""
        if not isinstance(message, dict):
            return None
        raw = message.get("event") or message
        match raw.get("e") if isinstance(raw, dict) else None:
            case "executionReport":
                return self._report(exchange, raw)
            case "outboundAccountPosition":
                rows = tuple(_balance(exchange, row["a"], row["f"], row["l"]) for row in raw["B"])
                return PrivateMessage(balances=rows)
            case "balanceUpdate" | "externalLockUpdate":
                return PrivateMessage(balances_stale=True)
            case "eventStreamTerminated":
                return PrivateMessage(refused="the venue ended the user data stream")
        return None

    def _report(self, exchange: Any, raw: dict[str, Any]) -> PrivateMessage:
        symbol = exchange.safe_symbol(raw["s"], None, None, "spot")
        client_order_id = self.decode_id(raw.get("C") or raw["c"])  # C: the original id, on cancels
        order = OrderEvent(
            symbol=symbol,
            client_order_id=client_order_id,
            venue_order_id=str(raw["i"]),
            state=_STATES[raw["X"]],
            side=raw["S"].lower(),
            kind="market" if raw["o"] == "MARKET" else "limit",
            time_in_force=raw["f"],
            price=dec(raw["p"]),
            quantity=dec(raw["q"]),
            filled=dec(raw["z"]),
            reason="" if raw.get("r", "NONE") == "NONE" else raw["r"],
            ts_event_ns=int(raw["T"]) * MS,
        )
        if raw["x"] != "TRADE":
            return PrivateMessage(orders=(order,))
        fill = FillEvent(
            symbol=symbol,
            trade_id=str(raw["t"]),
            venue_order_id=order.venue_order_id,
            client_order_id=client_order_id,
            side=order.side,
            price=dec(raw["L"]),
            quantity=dec(raw["l"]),
            fee=dec(raw["n"]),
            fee_currency=exchange.safe_currency_code(raw["N"]) if raw["N"] else exchange.market(symbol)["quote"],
            maker=bool(raw["m"]),
            ts_event_ns=int(raw["T"]) * MS,
        )
        return PrivateMessage(orders=(order,), fills=(fill,))

    async def place(self, exchange: Any, request: OrderRequest) -> tuple[OrderEvent, list[FillEvent]]:
        """`newOrderRespType=FULL`: the answer carries state and executions."""
        params = self.order_params(request)
        answer = await exchange.create_order(
            request.symbol, request.kind, request.side, request.quantity, request.price, params
        )
        return self.placed(exchange, request, answer["info"])

    def placed(self, exchange: Any, request: OrderRequest, raw: dict[str, Any]) -> tuple[OrderEvent, list[FillEvent]]:
        """A FULL answer, by REST or by socket."""
        order = self._order(request.symbol, raw)
        fills = [
            FillEvent(
                symbol=request.symbol,
                trade_id=str(row["tradeId"]),
                venue_order_id=order.venue_order_id,
                client_order_id=request.client_order_id,
                side=request.side,
                price=dec(row["price"]),
                quantity=dec(row["qty"]),
                fee=dec(row["commission"]),
                fee_currency=exchange.safe_currency_code(row["commissionAsset"]),
                maker=False,
                ts_event_ns=order.ts_event_ns,
            )
            for row in raw.get("fills", ())
        ]
        return order, fills

    async def cancel(self, exchange: Any, client_order_id: str, symbol: str) -> None:
        """By `origClientOrderId`."""
        await exchange.cancel_order(None, symbol, {"origClientOrderId": self.encode_id(client_order_id)})

    async def order(self, exchange: Any, client_order_id: str, symbol: str) -> OrderEvent | None:
        """By `origClientOrderId`."""
        import ccxt

        try:
            answer = await exchange.fetch_order(None, symbol, {"origClientOrderId": self.encode_id(client_order_id)})
        except ccxt.OrderNotFound:
            return None
        return self._order(symbol, answer["info"])

    async def fills_of(self, exchange: Any, order: OrderEvent) -> list[FillEvent]:
        """`myTrades` of one order, every page."""
        query = {"symbol": exchange.market_id(order.symbol), "orderId": order.venue_order_id}
        rows = await executions(exchange.private_get_mytrades, query, {"fromId": 0})
        return [self._trade(exchange, row, order.symbol, order.client_order_id) for row in rows]

    async def open_orders(self, exchange: Any, symbols: tuple[str, ...]) -> list[OrderEvent]:
        """One request a symbol."""
        return [
            self._order(symbol, row["info"]) for symbol in symbols for row in await exchange.fetch_open_orders(symbol)
        ]

    async def fills_since(self, exchange: Any, symbols: tuple[str, ...], since_ns: int) -> list[FillEvent]:
        """`myTrades` by pages; it names the venue's order id only."""
        found = []
        for symbol in symbols:
            query = {"symbol": exchange.market_id(symbol)}
            rows = await executions(exchange.private_get_mytrades, query, {"startTime": since_ns // MS})
            found += [self._trade(exchange, row, symbol, "") for row in rows]
        return found

    async def balances(self, exchange: Any) -> list[Balance]:
        """From `/account`."""
        answer = await exchange.fetch_balance()
        rows = [_balance(exchange, row["asset"], row["free"], row["locked"]) for row in answer["info"]["balances"]]
        return [row for row in rows if row.total]

    def _order(self, symbol: str, raw: dict[str, Any]) -> OrderEvent:
        return OrderEvent(
            symbol=symbol,
            client_order_id=self.decode_id(raw.get("origClientOrderId") or raw["clientOrderId"]),
            venue_order_id=str(raw["orderId"] or ""),
            state=_STATES[raw["status"]],
            side=raw["side"].lower(),
            kind="market" if raw["type"] == "MARKET" else "limit",
            time_in_force=raw["timeInForce"],
            price=dec(raw["price"]),
            quantity=dec(raw["origQty"]),
            filled=dec(raw["executedQty"]),
            ts_event_ns=int(raw.get("updateTime") or raw.get("transactTime") or raw.get("time") or 0) * MS,
        )

    def _trade(self, exchange: Any, raw: dict[str, Any], symbol: str, client_order_id: str) -> FillEvent:
        return FillEvent(
            symbol=symbol,
            trade_id=str(raw["id"]),
            venue_order_id=str(raw["orderId"]),
            client_order_id=client_order_id,
            side="buy" if raw["isBuyer"] else "sell",
            price=dec(raw["price"]),
            quantity=dec(raw["qty"]),
            fee=dec(raw["commission"]),
            fee_currency=exchange.safe_currency_code(raw["commissionAsset"]),
            maker=bool(raw["isMaker"]),
            ts_event_ns=int(raw["time"]) * MS,
        )


async def executions(ask: Any, query: dict[str, Any], first: dict[str, int]) -> list[dict[str, Any]]:
    """Every row of a list of executions, oldest first: the page that `first` names, then page after page by their ids."""
    rows: list[dict[str, Any]] = []
    page, last = first, -1
    while batch := [row for row in await ask({**query, **page, "limit": _PAGE}) if int(row["id"]) > last]:
        rows += batch
        if len(batch) < _PAGE:
            break
        last = int(batch[-1]["id"])
        page = {"fromId": last + 1}
    return rows


def _balance(exchange: Any, asset: str, free: str, locked: str) -> Balance:
    return Balance(exchange.safe_currency_code(asset), dec(free) + dec(locked), dec(locked))
