"""Kraken Futures, our account: orders, executions, wallets, positions and funding of perpetuals; cross margin, one way.

The private feeds are on the public socket's address, each subscribed with a challenge of the venue and our signature of it.

1. **Placing** is answered with what happened at once: an IOC, FOK or market order is over with its answer, whose EXECUTION events say how
   much of it has filled. A resting order is told by `open_orders_verbose`: what is open (`qty`), what has filled, and why it left the book.
2. **Executions** come with `fills`, once by `fill_id`; the one that leaves nothing of its order (`remaining_order_qty`) ends it. Those of
   type liquidation, partialLiquidation, assignor and unwindBankrupt are closings by force. The snapshots of both feeds are not read:
   the account is reconciled at each connection.
3. **Order by our id**: in `openorders`, which alone says what is open of it; else in `orders/status`, which knows orders for five seconds
   after their end; else in the history of order events. One that the venue has named to us cannot turn out never to have been.
4. **Executions by query** (`fills`) are told a hundred at a time, backward from a moment, and without their fees: those are remembered from
   the feed, else read in the account log, else (told as such) reckoned at the list price.
5. **Wallets**: PF_ contracts stand on the multi-collateral wallet, margins in dollars; PI_ contracts each on the wallet of their coin.
6. **Positions** by query have no margins: those are of the last message of `open_positions`, while it says the same quantity.
7. **Funding** is settled at the end of each hour, announced by `account_log`, and asked for there, once by its id.

Sources: the venue's documentation, ccxt 4.5.90, recorded frames. That `execution` in the account log is the `fill_id` is read from the
names alone; what does not match is reckoned.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from decimal import Decimal
from typing import Any, ClassVar

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import OrderRequest, PrivateMessage
from adapters.ccxt.events import (
    Balance,
    FillEvent,
    FundingPayment,
    LiquidationEvent,
    OrderEvent,
    PositionEvent,
    VenueOrderState,
)
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.symbols import dec, market_of
from adapters.ccxt.venues.coinbase.dialect import consumed, time_ns
from adapters.ccxt.venues.krakenfutures.dialect import MS, instance
from adapters.ccxt.venues.krakenfutures.orders import KrakenFuturesOrdering, meant, refuse

log = logging.getLogger(__name__)

FEEDS = ("open_orders_verbose", "fills", "balances", "open_positions", "account_log")
FORCED = ("liquidation", "partialLiquidation", "assignor", "unwindBankrupt")
FUNDING = "funding rate change"
KEPT = 20_000
_PAGES_MOST = 40
_PAGE = 100
_LOG_ROWS = 1_000
LOOK_BACK_MS = 120_000  # before an order was sent: clocks differ
DAY_MS = 86_400_000
_ZERO = Decimal(0)
_REFUSED = ("post_order_failed_because_it_would_filled", "ioc_order_failed_because_it_would_not_be_executed")
_ENDED = {
    "FULLY_EXECUTED": VenueOrderState.FILLED,
    "CANCELLED": VenueOrderState.CANCELED,
    "REJECTED": VenueOrderState.REJECTED,
}
_IMMEDIATE = ("ioc", "IoC", "fok", "Market")


class KrakenFuturesAccountDialect(KrakenFuturesOrdering):
    """Orders, fills, wallets, positions, funding."""

    confirms: ClassVar[bool] = True

    def __init__(self) -> None:
        self._subscribed: set[str] = set()
        self._ids: OrderedDict[str, str] = OrderedDict()  # client order id → the venue's
        self._sent_ms: OrderedDict[str, int] = OrderedDict()  # client order id → when it was sent, by our clock
        self._booked: OrderedDict[str, Decimal | None] = (
            OrderedDict()
        )  # the venue's id → filled, of what was in the book
        self._fees: OrderedDict[str, tuple[Decimal, str]] = OrderedDict()  # by fill id
        self._positions: dict[str, PositionEvent] = {}  # as the stream told them last

    def create(self, config: ExchangeConfig) -> Any:
        """The instance for execution."""
        return instance(config, throttle=False, timeout_ms=config.order_timeout_ms)

    async def prepare(self, exchange: Any) -> None:
        """Signatures carry no time."""

    async def subscribe(self, exchange: Any) -> None:
        """Every private feed; a query before it says whether the keys are good, which the socket says late."""
        await exchange.private_get_openpositions()
        self._subscribed.clear()
        await exchange.authenticate()
        challenge, signed = exchange.options["challenge"], exchange.options["signedChallenge"]
        proof = {"api_key": exchange.apiKey, "original_challenge": challenge, "signed_challenge": signed}
        for feed in FEEDS:
            request = {"event": "subscribe", "feed": feed, **proof}
            exchange.watch(exchange.urls["api"]["ws"], f"private:{feed}", request, feed).add_done_callback(consumed)

    def forget(self, exchange: Any) -> None:
        """What the stream told of positions; challenges live on the client, which goes with its socket."""
        self._positions.clear()

    def carries(self, exchange: Any, client: Any) -> bool:
        """One socket carries it all."""
        return True

    # -- what the private feeds say -------------------------------------------------------------------------------------

    def read(self, exchange: Any, message: Any) -> PrivateMessage | None:
        """Subscriptions and refusals by `event`, everything else by `feed`."""
        if not isinstance(message, dict):
            return None
        match message.get("event"):
            case "subscribed":
                self._subscribed.add(str(message.get("feed")))
                return PrivateMessage(subscribed=self._subscribed.issuperset(FEEDS))
            case "error" | "alert" if "Already subscribed" not in str(message.get("message")):
                return PrivateMessage(refused=str(message.get("message")))
        match message.get("feed"):
            case "open_orders_verbose":
                order = self._told(exchange, message)
                return None if order is None else PrivateMessage(orders=(order,), balances_stale=True)
            case "fills":
                return self._filled(exchange, message["fills"])
            case "fills_snapshot":
                for row in message["fills"]:
                    self._remember_fee(exchange, row["fill_id"], row)
            case "balances":
                return PrivateMessage(balances_stale=True)
            case "open_positions":
                return self._held(exchange, message)
            case "account_log" if "new_entry" in message:
                settled = message["new_entry"].get("info") == FUNDING
                return PrivateMessage(funding_stale=settled, balances_stale=settled)
        return None

    def _told(self, exchange: Any, message: dict[str, Any]) -> OrderEvent | None:
        """Rule 1: a row of the book's orders, or the bare word that one has left it."""
        row, reason, gone = message.get("order"), str(message.get("reason") or ""), bool(message["is_cancel"])
        order_id = message["order_id"] if row is None else row["order_id"]
        sent = (message if row is None else row).get("cli_ord_id") or ""
        self._learn(sent, order_id)
        state = self._state(order_id, reason) if gone else VenueOrderState.OPEN
        if row is None:
            return OrderEvent(
                symbol="",
                client_order_id=sent,
                venue_order_id=order_id,
                state=state,
                filled=self._booked.get(order_id),
                reason=_words(reason, state),
            )
        if (symbol := symbol_of(exchange, row["instrument"])) is None:
            return None  # of a market that was listed after we loaded them
        filled = dec(row["filled"])
        _keep(self._booked, order_id, filled)
        return OrderEvent(
            symbol=symbol,
            client_order_id=sent,
            venue_order_id=order_id,
            state=state,
            side="sell" if row["direction"] else "buy",
            price=dec(row["limit_price"]) if row.get("limit_price") else None,
            quantity=None if gone else dec(row["qty"]) + filled,
            filled=filled,
            reason=_words(reason, state),
            ts_event_ns=int(row["last_update_time"]) * MS,
        )

    def _state(self, order_id: str, reason: str) -> VenueOrderState:
        """Why an order left the book; refused are only those that never were in it."""
        if reason == "full_fill":
            return VenueOrderState.FILLED
        if reason == "contract_expired":
            return VenueOrderState.EXPIRED
        if reason in _REFUSED and order_id not in self._booked:
            return VenueOrderState.REJECTED
        return VenueOrderState.CANCELED

    def _filled(self, exchange: Any, rows: list[dict[str, Any]]) -> PrivateMessage:
        fills: list[FillEvent] = []
        orders: list[OrderEvent] = []
        forced: list[LiquidationEvent] = []
        for row in rows:
            self._learn(row.get("cli_ord_id") or "", row["order_id"])
            if (symbol := symbol_of(exchange, row["instrument"])) is None:
                continue
            fee, currency = self._remember_fee(exchange, row["fill_id"], row)
            fill = FillEvent(
                symbol=symbol,
                trade_id=row["fill_id"],
                venue_order_id=row["order_id"],
                client_order_id=row.get("cli_ord_id") or "",
                side="buy" if row["buy"] else "sell",
                price=dec(row["price"]),
                quantity=dec(row["qty"]),
                fee=fee,
                fee_currency=currency,
                maker=row["fill_type"] == "maker",
                ts_event_ns=int(row["time"]) * MS,
            )
            fills.append(fill)
            if row["fill_type"] in FORCED:
                forced.append(_liquidation(fill))
            if not row["remaining_order_qty"]:
                orders.append(_whole(fill))
        return PrivateMessage(
            orders=tuple(orders),
            fills=tuple(fills),
            liquidations=tuple(forced),
            balances_stale=True,
            positions_stale=True,
        )

    def _held(self, exchange: Any, message: dict[str, Any]) -> PrivateMessage:
        """Rule 6: told when a quantity has changed; the messages come with every price."""
        before, now = self._positions, {}
        for row in message["positions"]:
            if (symbol := symbol_of(exchange, row["instrument"])) is not None:
                now[symbol] = _position(symbol, row, int(message["timestamp"]) * MS)
        self._positions = now
        changed = [
            row for symbol, row in now.items() if symbol not in before or before[symbol].quantity != row.quantity
        ]
        if not changed and now.keys() == before.keys():
            return PrivateMessage()
        return PrivateMessage(positions=tuple(changed), positions_stale=True, balances_stale=True)

    def _learn(self, client_order_id: str, venue_order_id: str) -> None:
        if client_order_id and venue_order_id:
            _keep(self._ids, client_order_id, venue_order_id)

    def _remember_fee(self, exchange: Any, fill_id: str, row: dict[str, Any]) -> tuple[Decimal, str]:
        fee = (dec(row["fee_paid"]), str(exchange.safe_currency_code(row["fee_currency"])))
        _keep(self._fees, fill_id, fee)
        return fee

    # -- orders ---------------------------------------------------------------------------------------------------------

    async def place(self, exchange: Any, request: OrderRequest) -> tuple[OrderEvent, list[FillEvent]]:
        """Rules 1 and 2 of `orders.py`; executions come by the stream, with their fees."""
        _keep(self._sent_ms, self.encode_id(request.client_order_id), exchange.milliseconds())
        terms = self.terms(exchange.market_id(request.symbol), request)
        with meant():
            answer = (await exchange.private_post_sendorder(terms))["sendStatus"]
        refuse(exchange, answer["status"], "placed")
        order_id = str(answer.get("order_id") or "")
        self._learn(request.client_order_id, order_id)
        state, filled = VenueOrderState.OPEN, None
        quantity = Decimal(request.quantity)
        if terms["orderType"] in ("ioc", "fok", "mkt") and (events := answer.get("orderEvents")):
            filled = sum((dec(event["amount"]) for event in events if event["type"] == "EXECUTION"), _ZERO)
            state = VenueOrderState.FILLED if filled >= quantity else VenueOrderState.CANCELED
        order = OrderEvent(
            symbol=request.symbol,
            client_order_id=request.client_order_id,
            venue_order_id=order_id,
            state=state,
            side=request.side,
            kind=request.kind,
            time_in_force=request.time_in_force,
            price=None if request.price is None else Decimal(request.price),
            quantity=quantity,
            filled=filled,
        )
        return order, []

    async def order(self, exchange: Any, client_order_id: str, symbol: str) -> OrderEvent | None:
        """Rule 3. Raises `OperationFailed` when the venue's lists do not agree yet: the order is somewhere."""
        import ccxt

        cid = self.encode_id(client_order_id)
        for row in (await exchange.private_get_openorders())["openOrders"]:
            if _cid(row) == cid:
                return self._open(symbol, row)
        for row in (await exchange.private_get_orders_status({"cliOrdIds": cid})).get("orders") or []:
            order = row["order"]
            self._learn(cid, order["orderId"])
            if (state := _ENDED.get(row["status"])) is not None:
                return OrderEvent(
                    symbol=symbol,
                    client_order_id=client_order_id,
                    venue_order_id=order["orderId"],
                    state=state,
                    side=order["side"],
                    filled=None if order.get("filled") is None else dec(order["filled"]),
                    reason=str(row.get("updateReason") or row.get("error") or ""),
                    ts_event_ns=time_ns(order["lastUpdateTimestamp"]),
                )
            raise ccxt.OperationFailed(f"krakenfutures: order {cid} is open, and not among the open orders")
        if (known := await self._past(exchange, cid, symbol)) is not None:
            return known
        if cid in self._ids:
            raise ccxt.OperationFailed(f"krakenfutures does not show its own order {self._ids[cid]} now")
        return None

    def _open(self, symbol: str, row: dict[str, Any]) -> OrderEvent:
        """A row of `openorders`."""
        filled = dec(row["filledSize"])
        self._learn(_cid(row), row["order_id"])
        _keep(self._booked, row["order_id"], filled)
        return OrderEvent(
            symbol=symbol,
            client_order_id=_cid(row),
            venue_order_id=row["order_id"],
            state=VenueOrderState.OPEN,
            side=row["side"],
            price=dec(row["limitPrice"]) if row.get("limitPrice") else None,
            quantity=dec(row["unfilledSize"]) + filled,
            filled=filled,
            ts_event_ns=time_ns(row["lastUpdateTime"]),
        )

    async def _past(self, exchange: Any, cid: str, symbol: str) -> OrderEvent | None:
        """The newest event of an order in the account's history."""
        import ccxt

        since_ms = self._sent_ms.get(cid, exchange.milliseconds() - DAY_MS) - LOOK_BACK_MS
        query: dict[str, Any] = {"since": since_ms, "sort": "desc"}
        for _ in range(_PAGES_MOST):
            answer = await exchange.history_get_orders(query)
            for element in answer["elements"]:
                for kind, event in element["event"].items():
                    row = event.get("newOrder") or event.get("order") or {}
                    if row.get("clientId") == cid and kind != "OrderEditRejected":
                        return self._event(kind, event, row, cid, symbol)
            if not answer.get("continuationToken") or not answer["elements"]:
                return None
            query = {**query, "continuation_token": answer["continuationToken"]}
        raise ccxt.OperationFailed(f"krakenfutures: more than {_PAGES_MOST} pages of order events to look through")

    def _event(self, kind: str, event: dict[str, Any], row: dict[str, Any], cid: str, symbol: str) -> OrderEvent:
        """Its `quantity` is what is open of it."""
        import ccxt

        left, filled = dec(row["quantity"]), dec(row["filled"])
        self._learn(cid, row["uid"])
        match kind:
            case "OrderRejected":
                state = VenueOrderState.REJECTED
            case "OrderCancelled":
                state = VenueOrderState.CANCELED
            case "OrderPlaced" | "OrderUpdated" if filled and not left:
                state = VenueOrderState.FILLED
            case "OrderPlaced" | "OrderUpdated" if row["orderType"] in _IMMEDIATE:
                state = VenueOrderState.CANCELED
            case "OrderPlaced" | "OrderUpdated":
                raise ccxt.OperationFailed(f"krakenfutures: order {cid} is open, and not among the open orders")
            case _:
                raise BadFrame(f"unknown event {kind} of order {cid}")
        return OrderEvent(
            symbol=symbol,
            client_order_id=cid,
            venue_order_id=row["uid"],
            state=state,
            side=row["direction"].lower(),
            price=dec(row["limitPrice"]) if row.get("limitPrice") else None,
            quantity=filled if state is VenueOrderState.FILLED else None,
            filled=filled,
            reason=str(event.get("orderError") or event.get("reason") or ""),
            ts_event_ns=int(row["lastUpdateTimestamp"]) * MS,
        )

    async def open_orders(self, exchange: Any, symbols: tuple[str, ...]) -> list[OrderEvent]:
        """`openorders` of our symbols."""
        rows = (await exchange.private_get_openorders())["openOrders"]
        named = [(symbol_of(exchange, row["symbol"]), row) for row in rows]
        return [self._open(symbol, row) for symbol, row in named if symbol is not None and symbol in symbols]

    # -- executions -----------------------------------------------------------------------------------------------------

    async def fills_of(self, exchange: Any, order: OrderEvent) -> list[FillEvent]:
        """Rule 4: back until there is as much as the venue counts."""
        wanted = order.filled or _ZERO
        mine: list[dict[str, Any]] = []
        async for rows in self._pages(exchange):
            mine += [row for row in rows if row["order_id"] == order.venue_order_id]
            if sum((dec(row["size"]) for row in mine), _ZERO) >= wanted:
                break
        return await self._fills(exchange, mine, order.client_order_id)

    async def fills_since(self, exchange: Any, symbols: tuple[str, ...], since_ns: int) -> list[FillEvent]:
        """Rule 4: back until then."""
        found: list[dict[str, Any]] = []
        async for rows in self._pages(exchange):
            found += [row for row in rows if time_ns(row["fillTime"]) >= since_ns // MS * MS]
            if time_ns(rows[-1]["fillTime"]) < since_ns:
                break
        mine = [row for row in found if symbol_of(exchange, row["symbol"]) in symbols]
        return await self._fills(exchange, mine, "")

    async def _pages(self, exchange: Any) -> Any:
        """Pages of new rows of `fills`, the latest first. Pages overlap by a millisecond, so that none is lost between them."""
        import ccxt

        seen: set[str] = set()
        query: dict[str, Any] = {}
        for _ in range(_PAGES_MOST):
            rows = (await exchange.private_get_fills(query))["fills"]
            fresh = [row for row in rows if row["fill_id"] not in seen]
            seen.update(row["fill_id"] for row in fresh)
            if fresh:
                yield fresh
            if len(rows) < _PAGE or not fresh:
                return
            last_ms = time_ns(rows[-1]["fillTime"]) // MS
            query = {"lastFillTime": exchange.iso8601(last_ms + 1)}
        raise ccxt.OperationFailed(f"krakenfutures: more than {_PAGES_MOST * _PAGE} executions to look through")

    async def _fills(self, exchange: Any, rows: list[dict[str, Any]], client_order_id: str) -> list[FillEvent]:
        for row in rows:
            if row.get("fee_paid") is not None:
                self._remember_fee(exchange, row["fill_id"], row)
        if unknown := [row for row in rows if row["fill_id"] not in self._fees]:
            await self._read_fees(exchange, min(time_ns(row["fillTime"]) for row in unknown) // MS)
        return [self._fill(exchange, row, client_order_id) for row in rows]

    async def _read_fees(self, exchange: Any, since_ms: int) -> None:
        """Fees of executions in the account log; of the two rows of each, the one in a currency."""
        query = {"info": "futures trade", "since": since_ms - 1_000, "sort": "asc", "count": _LOG_ROWS}
        for row in (await exchange.history_get_account_log(query))["logs"]:
            if row.get("execution") and row.get("fee") is not None and row.get("asset") != row.get("contract"):
                currency = str(exchange.safe_currency_code(row["asset"].upper()))
                _keep(self._fees, row["execution"], (dec(row["fee"]), currency))

    def _fill(self, exchange: Any, row: dict[str, Any], client_order_id: str) -> FillEvent:
        market, maker = market_of(exchange.markets[symbol_of(exchange, row["symbol"])]), row["fillType"] == "maker"
        price, quantity = dec(row["price"]), dec(row["size"])
        assert market.contract is not None
        if (known := self._fees.get(row["fill_id"])) is None:
            rate = market.maker_fee if maker else market.taker_fee
            known = (market.contract.value(price, quantity) * rate, market.contract.settle)
            log.warning("krakenfutures: the fee of execution %s is reckoned: %s %s", row["fill_id"], *known)
        return FillEvent(
            symbol=market.symbol,
            trade_id=row["fill_id"],
            venue_order_id=row["order_id"],
            client_order_id=client_order_id or _cid(row),
            side=row["side"],
            price=price,
            quantity=quantity,
            fee=known[0],
            fee_currency=known[1],
            maker=maker,
            ts_event_ns=time_ns(row["fillTime"]),
        )

    # -- wallets, positions, funding ------------------------------------------------------------------------------------

    async def balances(self, exchange: Any) -> list[Balance]:
        """Rule 5. A coin may be in several wallets."""
        accounts = (await exchange.private_get_accounts())["accounts"]
        found: dict[str, list[Decimal]] = {}

        def add(name: str, total: Any, locked: Any = 0, maintenance: Any = 0) -> None:
            row = found.setdefault(str(exchange.safe_currency_code(name.upper())), [_ZERO] * 3)
            for at, value in enumerate((total, locked, maintenance)):
                row[at] += dec(value or 0)

        for wallet in accounts.values():
            match wallet["type"]:
                case "multiCollateralMarginAccount":
                    for name, held in wallet["currencies"].items():
                        add(name, held["quantity"])
                    add("usd", 0, wallet["initialMarginWithOrders"], wallet["maintenanceMargin"])
                case "marginAccount":
                    margins = wallet["marginRequirements"]
                    name = wallet["currency"]
                    add(name, wallet["balances"].get(name), margins["im"], margins["mm"])
        return [Balance(code, *row) for code, row in found.items() if any(row)]

    async def positions(self, exchange: Any, symbols: tuple[str, ...]) -> list[PositionEvent]:
        """Rule 6; what is flat is not listed."""
        found: dict[str, PositionEvent] = {}
        for row in (await exchange.private_get_openpositions())["openPositions"]:
            if (symbol := symbol_of(exchange, row["symbol"])) is None:
                continue
            quantity = dec(row["size"]) * (1 if row["side"] == "long" else -1)
            told = self._positions.get(symbol)
            agrees = told is not None and told.quantity == quantity
            found[symbol] = PositionEvent(
                symbol=symbol,
                quantity=quantity,
                entry=dec(row["price"]),
                unrealised=told.unrealised if told and agrees else None,
                mark=told.mark if told and agrees else None,
                liquidation=told.liquidation if told and agrees else None,
                initial_margin=told.initial_margin if told and agrees else None,
                maintenance_margin=told.maintenance_margin if told and agrees else None,
                leverage=dec(row["maxFixedLeverage"]) if row.get("maxFixedLeverage") else None,
                margin_mode="isolated" if row.get("maxFixedLeverage") else "cross",
                ts_event_ns=exchange.milliseconds() * MS,
            )
        return [found.get(symbol) or PositionEvent(symbol=symbol, quantity=_ZERO, entry=_ZERO) for symbol in symbols]

    async def funding_since(self, exchange: Any, symbols: tuple[str, ...], since_ns: int) -> list[FundingPayment]:
        """Rule 7."""
        query = {"info": FUNDING, "since": since_ns // MS, "sort": "asc", "count": _LOG_ROWS}
        found = []
        for row in (await exchange.history_get_account_log(query))["logs"]:
            symbol = symbol_of(exchange, row["contract"])
            if symbol in symbols and row.get("realized_funding") is not None:
                payment = FundingPayment(
                    symbol=symbol,
                    payment_id=str(row["id"]),
                    amount=dec(row["realized_funding"]),
                    currency=str(exchange.safe_currency_code(row["asset"].upper())),
                    ts_event_ns=time_ns(row["date"]),
                )
                found.append(payment)
        return found


def symbol_of(exchange: Any, product: str) -> str | None:
    """The symbol of a product, whose name the venue writes in either case (PF_AAPLxUSD has both); None of one that was listed after we
    loaded them."""
    listed = exchange.markets_by_id
    if (known := listed.get(product) or listed.get(product.upper())) is None:
        known = next((found for name, found in listed.items() if name.lower() == product.lower()), None)
    return str(known[0]["symbol"]) if known else None


def _cid(row: dict[str, Any]) -> str:
    return str(row.get("cliOrdId") or row.get("cli_ord_id") or "")


def _keep(kept: OrderedDict[str, Any], key: str, value: Any) -> None:
    kept[key] = value
    while len(kept) > KEPT:
        kept.popitem(last=False)


def _words(reason: str, state: VenueOrderState) -> str:
    return "" if state in (VenueOrderState.OPEN, VenueOrderState.FILLED) else reason.replace("_", " ")


def _whole(fill: FillEvent) -> OrderEvent:
    """The end of an order whose last execution this is."""
    return OrderEvent(
        symbol=fill.symbol,
        client_order_id=fill.client_order_id,
        venue_order_id=fill.venue_order_id,
        state=VenueOrderState.FILLED,
        side=fill.side,
        ts_event_ns=fill.ts_event_ns,
    )


def _liquidation(fill: FillEvent) -> LiquidationEvent:
    return LiquidationEvent(
        symbol=fill.symbol,
        side=fill.side,
        price=fill.price,
        quantity=fill.quantity,
        ts_event_ns=fill.ts_event_ns,
        order_id=fill.venue_order_id,
    )


def _position(symbol: str, row: dict[str, Any], ts_ns: int) -> PositionEvent:
    def number(name: str) -> Decimal | None:
        return dec(row[name]) if row.get(name) is not None else None

    return PositionEvent(
        symbol=symbol,
        quantity=dec(row["balance"]),
        entry=dec(row["entry_price"]),
        unrealised=number("pnl"),
        mark=number("mark_price"),
        liquidation=number("liquidation_threshold") or None,
        initial_margin=number("initial_margin"),
        maintenance_margin=number("maintenance_margin"),
        ts_event_ns=ts_ns,
    )
