"""Binance USD-M futures, perpetuals in one-way mode with cross margin: what its messages mean, and what ccxt must be told.

Market streams `<symbol>@depth@100ms`, `@trade`, `@bookTicker` (at `/public`), `@markPrice@1s`, `@forceOrder` (at `/market`), a socket
each. The private stream is at `/private`, named by a listen key, which is ours for an hour after it was last asked for; that it is up
is said by nothing but the socket. Orders by REST with our own `newClientOrderId`. Numbers are strings, quantities contracts of one coin.

1. Fills come from `ORDER_TRADE_UPDATE` with execution type TRADE, or CALCULATED when the venue closed a position by force, under the
   venue's own ids (`autoclose-…`, `adl_autoclose…`): those are liquidations of ours as well.
2. `ACCOUNT_UPDATE` says wallets and positions, not what is locked: that is asked. Its reason FUNDING_FEE names no position: which one paid
   how much is asked of the income history.
3. An order is answered with its state, not with its executions. A fill-or-kill that cannot fill (-5021) and a post-only order that would
   take (-5022) are refused; no order of theirs exists afterwards.
4. Prints of the insurance fund and of auto-deleveraging (`X` other than MARKET) are no trades of the book.
5. `TRADE_LITE` repeats a fill without its fee, `ALGO_UPDATE` is about conditional orders: neither is read.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any, ClassVar

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import Decoded, OrderRequest, PrivateMessage
from adapters.ccxt.events import (
    Balance,
    FillEvent,
    FundingEvent,
    FundingPayment,
    LiquidationEvent,
    OrderEvent,
    PositionEvent,
    Stream,
    TradeEvent,
    VenueOrderState,
)
from adapters.ccxt.market.audit import Depth
from adapters.ccxt.symbols import Market, dec, rewrite_hosts
from adapters.ccxt.venues.binance.dialect import MS, BinanceAccountDialect, BinanceMarketDialect, executions
from adapters.ccxt.venues.binanceusdm.book import BinanceUsdmBook
from adapters.ccxt.venues.binanceusdm.orders import BinanceUsdmOrdering

FORCED = ("autoclose-", "adl_autoclose")  # client order ids of the venue's own closing orders
_PAGE = 1_000
_SNAPSHOTS = (5, 10, 20, 50, 100, 500, 1_000)  # levels a side of a depth snapshot; no other number is taken
_EXECUTIONS = ("TRADE", "CALCULATED")
_STATES = {
    "NEW": VenueOrderState.OPEN,
    "PARTIALLY_FILLED": VenueOrderState.OPEN,
    "FILLED": VenueOrderState.FILLED,
    "CANCELED": VenueOrderState.CANCELED,
    "EXPIRED": VenueOrderState.EXPIRED,
    "EXPIRED_IN_MATCH": VenueOrderState.EXPIRED,
    "REJECTED": VenueOrderState.REJECTED,
    "NEW_INSURANCE": VenueOrderState.OPEN,  # a liquidation that the insurance fund takes over
    "NEW_ADL": VenueOrderState.OPEN,  # one that goes against other traders
}


def _create(config: ExchangeConfig, *, throttle: bool, timeout_ms: int) -> Any:
    import ccxt.pro

    exchange = ccxt.pro.binanceusdm(
        {
            "apiKey": config.api_key,
            "secret": config.secret,
            "enableRateLimit": throttle,
            "timeout": timeout_ms,
            "options": {"fetchCurrencies": False, "warnOnFetchOpenOrdersWithoutSymbol": False},
        }
    )
    exchange.urls["api"] = rewrite_hosts(exchange.urls["api"], config.rest_url, config.ws_url)
    exchange.streaming = {**exchange.streaming, "keepAlive": int(config.keepalive_s * 1000)}
    if str(config.rest_url).startswith("http:"):
        exchange.timeout_on_exit = 0  # only TLS connections need ccxt's pause after closing
    return exchange


class BinanceUsdmMarketDialect(BinanceMarketDialect):
    """Market data."""

    streams: ClassVar = tuple(Stream)
    _HASHES: ClassVar = {
        **BinanceMarketDialect._HASHES,
        Stream.FUNDING: "markPrice:markPrice@{}",
        Stream.LIQUIDATIONS: "liquidations::{}",
    }

    def create(self, config: ExchangeConfig) -> Any:
        """The instance for market data, with the hook on the raw REST snapshot."""
        return self._hooked(_create(config, throttle=True, timeout_ms=10_000))

    async def taker_fees(self, exchange: Any, symbols: tuple[str, ...]) -> dict[str, Decimal]:
        """`commissionRate` of each symbol; needs keys."""
        if not exchange.apiKey:
            return {}
        await exchange.load_time_difference()
        known = {}
        for symbol in symbols:
            rates = await exchange.fapiPrivateGetCommissionRate({"symbol": exchange.market_id(symbol)})
            known[symbol] = dec(rates["takerCommissionRate"])
        return known

    def subscribe(self, exchange: Any, symbol: str, stream: Stream, depth: int) -> Any:
        """One socket a stream, so that a fault of one is not a fault of all."""
        match stream:
            case Stream.FUNDING:
                return exchange.watch_mark_prices([symbol])
            case Stream.LIQUIDATIONS:
                return exchange.watch_liquidations_for_symbols([symbol])
            case Stream.BOOK:
                return exchange.watch_order_book(symbol, next(size for size in _SNAPSHOTS if size >= depth))
            case _:
                return super().subscribe(exchange, symbol, stream, depth)

    def split(self, message: Any) -> list[Decoded]:
        """Beside spot's: `markPriceUpdate` and `forceOrder`."""
        if isinstance(message, dict):
            raw = message["data"] if "stream" in message else message
            match raw.get("e") if isinstance(raw, dict) else None:
                case "markPriceUpdate":
                    return [Decoded(Stream.FUNDING, raw["s"], raw)]
                case "forceOrder":
                    return [Decoded(Stream.LIQUIDATIONS, raw["o"]["s"], raw["o"])]
                case "bookTicker":
                    return [Decoded(Stream.QUOTES, raw["s"], raw)]
        return super().split(message)

    def book(self, market: Market, depth: int) -> BinanceUsdmBook:
        """A book by the futures' sequence rules."""
        return BinanceUsdmBook(market, depth)

    async def whole_book(self, exchange: Any, symbol: str, levels: int) -> Depth:
        """`/fapi/v1/depth`: its `lastUpdateId` is an id of the diff stream."""
        raw = await exchange.fapipublic_get_depth({"symbol": exchange.market_id(symbol), "limit": levels})
        return Depth(bids=raw["bids"], asks=raw["asks"], sequence=int(raw["lastUpdateId"]))

    def trades(self, market: Market, raw: Any) -> list[TradeEvent]:
        """Trades of the book."""
        return super().trades(market, raw) if raw.get("X", "MARKET") == "MARKET" else []

    def funding(self, market: Market, raw: Any) -> FundingEvent:
        """`r` is the rate of the settlement at `T`, as it stands now."""
        return FundingEvent(
            symbol=market.symbol,
            mark=dec(raw["p"]),
            index=dec(raw["i"]) if raw.get("i") else None,
            rate=dec(raw["r"]),
            next_ns=int(raw["T"]) * MS,
            ts_event_ns=int(raw["E"]) * MS,
        )

    def liquidations(self, market: Market, raw: Any) -> list[LiquidationEvent]:
        """`z` of the closing order has filled at `ap` on average; the venue tells the last one of a second at most."""
        quantity = dec(raw["z"])
        if not quantity:
            return []
        return [
            LiquidationEvent(
                symbol=market.symbol,
                side=raw["S"].lower(),
                price=dec(raw["ap"]),
                quantity=quantity,
                ts_event_ns=int(raw["T"]) * MS,
            )
        ]


class BinanceUsdmAccountDialect(BinanceUsdmOrdering, BinanceAccountDialect):
    """Orders, fills, wallet, positions, funding."""

    def __init__(self) -> None:
        self._listen_key = ""

    def create(self, config: ExchangeConfig) -> Any:
        """The instance for execution."""
        exchange = _create(config, throttle=False, timeout_ms=config.order_timeout_ms)
        exchange.balance["linear"] = {}  # ccxt's own handler fails without it
        self.remember(config)
        return exchange

    async def prepare(self, exchange: Any) -> None:
        """The clock difference, and the listen key kept ours; when that fails, the private stream is made anew."""
        import ccxt

        await exchange.load_time_difference()
        if not self._listen_key:
            return
        try:
            await exchange.fapiPrivatePutListenKey()
        except ccxt.ExchangeError as e:
            for client in list((exchange.clients or {}).values()):
                client.on_error(ccxt.NetworkError(f"the listen key could not be kept: {e}"))

    async def subscribe(self, exchange: Any) -> None:
        """Returns when the socket of the private stream is open. Raises NotSupported in hedge mode: a quantity would be of one half."""
        import ccxt

        mode = await exchange.fapiPrivateGetPositionSideDual()
        if mode["dualSidePosition"] is True or mode["dualSidePosition"] == "true":
            raise ccxt.NotSupported("binanceusdm: the account is in hedge mode; set it to one-way at the venue")
        self._listen_key = (await exchange.fapiPrivatePostListenKey())["listenKey"]
        url = exchange.get_private_ws_url("linear", self._listen_key)
        lost = exchange.watch(url, "linear:account", None, "linear")
        await asyncio.wait((lost, exchange.client(url).connected), return_when=asyncio.FIRST_COMPLETED)
        if lost.done():
            await lost
        lost.add_done_callback(_consumed)

    def forget(self, exchange: Any) -> None:
        """The listen key is asked for anew."""
        self._listen_key = ""

    def read(self, exchange: Any, message: Any) -> PrivateMessage | None:
        """`ORDER_TRADE_UPDATE`, `ACCOUNT_UPDATE`, and the end of the listen key."""
        if not isinstance(message, dict):
            return None
        match message.get("e"):
            case "ORDER_TRADE_UPDATE":
                return self._update(exchange, message["o"])
            case "ACCOUNT_UPDATE":
                return self._account(exchange, message)
            case "MARGIN_CALL":
                return PrivateMessage(positions_stale=True, balances_stale=True)
            case "listenKeyExpired":
                return PrivateMessage(refused="the listen key has expired")
        return None

    def _update(self, exchange: Any, raw: dict[str, Any]) -> PrivateMessage:
        if raw["s"] not in exchange.markets_by_id:
            return PrivateMessage(balances_stale=True)  # of a market that was listed after we loaded them
        symbol = exchange.safe_symbol(raw["s"], None, None, "swap")
        client_order_id = self.decode_id(raw["c"])
        order = OrderEvent(
            symbol=symbol,
            client_order_id=client_order_id,
            venue_order_id=str(raw["i"]),
            state=_STATES[raw["X"]],
            side=raw["S"].lower(),
            kind="limit" if raw["o"] == "LIMIT" else "market",
            time_in_force=_tif(raw["f"]),
            price=dec(raw["p"]),
            quantity=dec(raw["q"]),
            filled=dec(raw["z"]),
            ts_event_ns=int(raw["T"]) * MS,
        )
        if raw["x"] not in _EXECUTIONS or not (quantity := dec(raw["l"])):
            return PrivateMessage(orders=(order,), balances_stale=True)
        fill = FillEvent(
            symbol=symbol,
            trade_id=str(raw["t"]),
            venue_order_id=order.venue_order_id,
            client_order_id=client_order_id,
            side=order.side,
            price=dec(raw["L"]),
            quantity=quantity,
            fee=dec(raw.get("n", "0")),
            fee_currency=exchange.safe_currency_code(raw.get("N")) or exchange.market(symbol)["settle"],
            maker=bool(raw["m"]),
            ts_event_ns=int(raw["T"]) * MS,
        )
        forced = client_order_id.startswith(FORCED)
        liquidation = LiquidationEvent(
            symbol=symbol,
            side=fill.side,
            price=fill.price,
            quantity=quantity,
            ts_event_ns=fill.ts_event_ns,
            order_id=fill.venue_order_id,
        )
        return PrivateMessage(
            orders=(order,), fills=(fill,), liquidations=(liquidation,) if forced else (), balances_stale=True
        )

    def _account(self, exchange: Any, message: dict[str, Any]) -> PrivateMessage:
        said = message["a"]
        positions = tuple(
            PositionEvent(
                symbol=exchange.safe_symbol(row["s"], None, None, "swap"),
                quantity=dec(row["pa"]),
                entry=dec(row["ep"]),
                unrealised=dec(row["up"]),
                margin_mode="isolated" if row["mt"] == "isolated" else "cross",
                side="" if row["ps"] == "BOTH" else row["ps"].lower(),
                ts_event_ns=int(message["T"]) * MS,
            )
            for row in said.get("P", ())
        )
        return PrivateMessage(positions=positions, balances_stale=True, funding_stale=said.get("m") == "FUNDING_FEE")

    async def place(self, exchange: Any, request: OrderRequest) -> tuple[OrderEvent, list[FillEvent]]:
        """`newOrderRespType=RESULT`: the answer carries the state; executions come by the stream."""
        params = self.order_params(request)
        answer = await exchange.create_order(
            request.symbol, request.kind, request.side, request.quantity, request.price, params
        )
        return self._order(request.symbol, answer["info"]), []

    async def fills_of(self, exchange: Any, order: OrderEvent) -> list[FillEvent]:
        """`userTrades` of one order, every page. That `fromId` goes with `orderId` is not documented: asked for only when it must be."""
        ask = exchange.fapiPrivateGetUserTrades
        query = {"symbol": exchange.market_id(order.symbol), "orderId": order.venue_order_id, "limit": _PAGE}
        if len(rows := await ask(query)) >= _PAGE:
            rows = await executions(ask, query, {"fromId": 0})
        return [self._trade(exchange, row, order.symbol, order.client_order_id) for row in rows]

    async def fills_since(self, exchange: Any, symbols: tuple[str, ...], since_ns: int) -> list[FillEvent]:
        """`userTrades` by pages; it names the venue's order id only."""
        found = []
        for symbol in symbols:
            query = {"symbol": exchange.market_id(symbol)}
            rows = await executions(exchange.fapiPrivateGetUserTrades, query, {"startTime": since_ns // MS})
            found += [self._trade(exchange, row, symbol, "") for row in rows]
        return found

    async def balances(self, exchange: Any) -> list[Balance]:
        """Wallets of `/fapi/v3/account`; what is locked is their initial margin."""
        answer = await exchange.fapiPrivateV3GetAccount()
        rows = [
            Balance(
                exchange.safe_currency_code(row["asset"]),
                dec(row["walletBalance"]),
                dec(row["initialMargin"]),
                dec(row["maintMargin"]),
            )
            for row in answer["assets"]
        ]
        return [row for row in rows if row.total or row.locked]

    async def positions(self, exchange: Any, symbols: tuple[str, ...]) -> list[PositionEvent]:
        """`/fapi/v3/positionRisk`, which leaves out what is flat."""
        rows = await exchange.fapiPrivateV3GetPositionRisk()
        found = {
            symbol: self._position(symbol, row)
            for row in rows
            if (symbol := exchange.safe_symbol(row["symbol"], None, None, "swap")) in symbols
        }
        zero = Decimal(0)
        return [found.get(symbol) or PositionEvent(symbol=symbol, quantity=zero, entry=zero) for symbol in symbols]

    async def funding_since(self, exchange: Any, symbols: tuple[str, ...], since_ns: int) -> list[FundingPayment]:
        """`income` of type FUNDING_FEE."""
        ids = {exchange.market_id(symbol): symbol for symbol in symbols}
        query = {"incomeType": "FUNDING_FEE", "startTime": since_ns // MS, "limit": _PAGE}
        return [
            FundingPayment(
                symbol=ids[row["symbol"]],
                payment_id=str(row["tranId"]),
                amount=dec(row["income"]),
                currency=exchange.safe_currency_code(row["asset"]),
                ts_event_ns=int(row["time"]) * MS,
            )
            for row in await exchange.fapiPrivateGetIncome(query)
            if row["symbol"] in ids
        ]

    def _position(self, symbol: str, raw: dict[str, Any]) -> PositionEvent:
        """A row of `positionRisk`: version 3 says no leverage, version 2 no margins."""

        def number(name: str) -> Decimal | None:
            return dec(raw[name]) if raw.get(name) else None

        return PositionEvent(
            symbol=symbol,
            quantity=dec(raw["positionAmt"]),
            entry=dec(raw["entryPrice"]),
            unrealised=number("unRealizedProfit"),
            mark=number("markPrice"),
            liquidation=number("liquidationPrice") or None,
            initial_margin=number("initialMargin"),
            maintenance_margin=number("maintMargin"),
            leverage=number("leverage"),
            margin_mode="isolated" if dec(raw.get("isolatedMargin") or "0") else "cross",
            side="" if raw["positionSide"] == "BOTH" else raw["positionSide"].lower(),
            ts_event_ns=int(raw["updateTime"]) * MS,
        )

    def _order(self, symbol: str, raw: dict[str, Any]) -> OrderEvent:
        return OrderEvent(
            symbol=symbol,
            client_order_id=self.decode_id(raw["clientOrderId"]),
            venue_order_id=str(raw["orderId"] or ""),
            state=_STATES[raw["status"]],
            side=raw["side"].lower(),
            kind="limit" if raw["type"] == "LIMIT" else "market",
            time_in_force=_tif(raw["timeInForce"]),
            price=dec(raw["price"]),
            quantity=dec(raw["origQty"]),
            filled=dec(raw["executedQty"]),
            ts_event_ns=int(raw.get("updateTime") or raw.get("time") or 0) * MS,
        )

    def _trade(self, exchange: Any, raw: dict[str, Any], symbol: str, client_order_id: str) -> FillEvent:
        return FillEvent(
            symbol=symbol,
            trade_id=str(raw["id"]),
            venue_order_id=str(raw["orderId"]),
            client_order_id=client_order_id,
            side=raw["side"].lower(),
            price=dec(raw["price"]),
            quantity=dec(raw["qty"]),
            fee=dec(raw["commission"]),
            fee_currency=exchange.safe_currency_code(raw["commissionAsset"]),
            maker=bool(raw["maker"]),
            ts_event_ns=int(raw["time"]) * MS,
        )


def _tif(text: str) -> str:
    """GTX is post-only GTC."""
    return "GTC" if text == "GTX" else text


def _consumed(future: asyncio.Future[Any]) -> None:
    """The loss of the socket is told by the hook."""
    if not future.cancelled():
        future.exception()
