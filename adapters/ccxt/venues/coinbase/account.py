"""Coinbase Advanced Trade (spot), our account: orders, fills and balances of the key's own portfolio. Keys and clock: `dialect.py`.

1. **Sequence.** A hole in the private connection's numbers makes doubtful whatever we believe of our orders: the connection is made
   anew and the account reconciled.
2. **Placing** answers with the order's id; the `user` channel, or a query, says what became of it. A client order id that was used
   before places nothing: the venue answers with the order that has it.
3. **No query by client order id.** An order whose id is not known is looked for in the lists, open ones first, back to when it was
   sent. One whose id the venue has told cannot turn out never to have been.
4. **Executions** are not streamed, only how much of an order is filled: with each growth they are asked for by the order's id.
   Fees are in the quote currency.
5. **Orders keep the product** they were placed on, under whichever name of one book (BTC-USD, BTC-USDC) they are told.

Sources: the venue's documentation, ccxt 4.5.90, recorded frames, and for 2 (repeated ids) and 3 Nautilus' adapter as well.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any, ClassVar

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import OrderRequest, PrivateMessage, acknowledged
from adapters.ccxt.events import Balance, FillEvent, OrderEvent, VenueOrderState
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.symbols import binance_client_id, dec, decimals_of
from adapters.ccxt.venues.coinbase.book import Sequence
from adapters.ccxt.venues.coinbase.dialect import (
    SECOND_NS,
    consumed,
    instance,
    set_clock,
    subscribe_heartbeats,
    time_ns,
)
from adapters.ccxt.venues.coinbase.orders import GONE, CoinbaseOrdering, configuration, meant

log = logging.getLogger(__name__)

SENT_KEPT = 10_000
LOOK_BACK_S = 120  # before an order was sent: clocks differ
_ORDERS_PAGE, _FILLS_PAGE, _ACCOUNTS_PAGE = 250, 250, 250
_PAGES_MOST = 40
_STATES = {
    "PENDING": VenueOrderState.OPEN,
    "OPEN": VenueOrderState.OPEN,
    "QUEUED": VenueOrderState.OPEN,
    "CANCEL_QUEUED": VenueOrderState.OPEN,
    "EDIT_QUEUED": VenueOrderState.OPEN,
    "FILLED": VenueOrderState.FILLED,
    "CANCELLED": VenueOrderState.CANCELED,
    "EXPIRED": VenueOrderState.EXPIRED,
    "FAILED": VenueOrderState.REJECTED,
}
_TIFS = {"IMMEDIATE_OR_CANCEL": "IOC", "FILL_OR_KILL": "FOK"}
_NOTHING_SAID = ("", "REJECT_REASON_UNSPECIFIED", "UNKNOWN_FAILURE_REASON")


class CoinbaseAccountDialect(CoinbaseOrdering):
    """Orders, fills, balances of one portfolio, the key's own."""

    confirms: ClassVar[bool] = True
    streams_fills: ClassVar[bool] = False

    def __init__(self) -> None:
        self._sequence = Sequence()
        self._ids: OrderedDict[str, str] = OrderedDict()  # client order id → the venue's
        self._sent: OrderedDict[str, int] = OrderedDict()  # client order id → when it was sent, in the venue's seconds
        self._symbols: dict[str, str] = {}  # client order id → the symbol it was placed on

    def create(self, config: ExchangeConfig) -> Any:
        """The instance for execution."""
        return instance(config, throttle=False, timeout_ms=config.order_timeout_ms, keys=True)

    def encode_id(self, client_order_id: str) -> str:
        """As it is: the venue names no limits, so ours are the narrowest of the others'."""
        return binance_client_id(client_order_id)

    def decode_id(self, sent: str) -> str:
        """As it is."""
        return sent

    async def prepare(self, exchange: Any) -> None:
        """Signatures carry a time."""
        await set_clock(exchange)

    async def subscribe(self, exchange: Any) -> None:
        """The `user` channel of all products, signed by itself: ccxt keeps a token until it has expired, and has none for EdDSA."""
        self._sequence = Sequence()
        token = exchange.create_auth_token(exchange.seconds(), None, None, not exchange.secret.startswith("-----BEGIN"))
        request = {"type": "subscribe", "channel": "user", "product_ids": [], "jwt": token}
        future = exchange.watch(exchange.urls["api"]["ws"], "confirmed:user", request, "user")
        future.add_done_callback(consumed)
        subscribe_heartbeats(exchange)

    def forget(self, exchange: Any) -> None:
        """Subscriptions live on the client, which goes with its socket."""

    def carries(self, exchange: Any, client: Any) -> bool:
        """One socket carries it all."""
        return True

    def read(self, exchange: Any, message: Any) -> PrivateMessage | None:
        """Orders of `user`, the answer to our subscription, and what was lost between them."""
        if not isinstance(message, dict):
            return None
        if message.get("type") == "error":
            return PrivateMessage(refused=str(message.get("message")))
        if "sequence_num" not in message:
            return None
        lost = self._sequence.follow(message["sequence_num"])
        if lost is None:
            return None
        if lost:
            return PrivateMessage(lost=lost)
        match message["channel"]:
            case "subscriptions":
                return PrivateMessage(subscribed="user" in message["events"][0]["subscriptions"])
            case "user":
                ts_ns = time_ns(message["timestamp"])
                rows = [row for event in message["events"] for row in event.get("orders") or ()]
                orders = tuple(self._told(exchange, row, ts_ns) for row in rows if _spot(row))
                return PrivateMessage(orders=orders, balances_stale=bool(orders))
        return None

    def _told(self, exchange: Any, row: dict[str, Any], ts_ns: int) -> OrderEvent:
        """A row of the `user` channel. What it does not fill counts only while the order is open: later it is zero."""
        state = _state(row["order_id"], row["status"])
        filled = dec(row["cumulative_quantity"] or "0")
        market, limit = row["order_type"].upper() == "MARKET", row.get("limit_price")
        self._learn(row["client_order_id"], row["order_id"])
        return OrderEvent(
            symbol=self._symbol(exchange, row),
            client_order_id=row["client_order_id"],
            venue_order_id=row["order_id"],
            state=state,
            side=row["order_side"].lower(),
            kind="market" if market else "limit",
            time_in_force=_TIFS.get(row.get("time_in_force", ""), "GTC"),
            price=dec(limit) if limit and not market else None,
            quantity=filled + dec(row["leaves_quantity"] or "0") if state is VenueOrderState.OPEN else None,
            filled=filled,
            reason=_reason(row.get("reject_reason"), row.get("cancel_reason")),
            ts_event_ns=ts_ns,
        )

    def _order(self, exchange: Any, raw: dict[str, Any]) -> OrderEvent:
        """A row of the order queries."""
        state, filled = _state(raw["order_id"], raw["status"]), dec(raw["filled_size"] or "0")
        terms: dict[str, Any] = next(iter((raw.get("order_configuration") or {}).values()), {})
        if edits := raw.get(
            "edit_history"
        ):  # whether the terms are those of the last edit or of the first day is not documented
            last = max(edits, key=lambda edit: edit["replace_accept_timestamp"])
            terms = {**terms, "base_size": last["size"], "limit_price": last["price"]}
        quantity = dec(terms["base_size"]) if terms.get("base_size") else None
        if state is VenueOrderState.FILLED and quantity is not None and filled < quantity:
            state = VenueOrderState.CANCELED
        if state is VenueOrderState.REJECTED and filled:
            state = VenueOrderState.CANCELED
        limit, market = terms.get("limit_price"), raw["order_type"].upper() == "MARKET"
        self._learn(raw["client_order_id"], raw["order_id"])
        return OrderEvent(
            symbol=self._symbol(exchange, raw),
            client_order_id=raw["client_order_id"],
            venue_order_id=raw["order_id"],
            state=state,
            side=raw["side"].lower(),
            kind="market" if market else "limit",
            time_in_force=_TIFS.get(raw.get("time_in_force") or "", "GTC"),
            price=dec(limit) if limit else None,
            quantity=quantity,
            filled=filled,
            reason=_reason(raw.get("reject_reason"), raw.get("reject_message"), raw.get("cancel_message")),
            ts_event_ns=time_ns(raw.get("last_fill_time") or raw["created_time"]),
        )

    def _symbol(self, exchange: Any, row: dict[str, Any]) -> str:
        """What an order was placed on: a product with an alias may be told under either name."""
        placed = self._symbols.get(row["client_order_id"])
        return placed or str(exchange.safe_symbol(row["product_id"], None, "-"))

    def venue_id(self, client_order_id: str) -> str:
        """The venue's id of an order of ours, "" while it is not known."""
        return self._ids.get(self.encode_id(client_order_id), "")

    def _learn(self, client_order_id: str, venue_order_id: str) -> None:
        if client_order_id and venue_order_id:
            self._ids[client_order_id] = venue_order_id
            while len(self._ids) > SENT_KEPT:
                self._ids.popitem(last=False)

    async def place(self, exchange: Any, request: OrderRequest) -> tuple[OrderEvent, list[FillEvent]]:
        """The answer is the order's id and nothing else. The body is our own: ccxt invents client order ids."""
        cid = self.encode_id(request.client_order_id)
        body = {
            "client_order_id": cid,
            "product_id": exchange.market(request.symbol)["id"],
            "side": request.side.upper(),
            "order_configuration": configuration(request),
        }
        self._sent.setdefault(cid, exchange.seconds())
        self._symbols[cid] = request.symbol
        while len(self._sent) > SENT_KEPT:
            self._symbols.pop(self._sent.popitem(last=False)[0], None)
        with meant():
            answer = await exchange.v3_private_post_brokerage_orders(body)
        order_id = str((answer.get("success_response") or {}).get("order_id") or "")
        self._learn(cid, order_id)
        return acknowledged(request, order_id), []

    async def cancel(self, exchange: Any, client_order_id: str, symbol: str) -> None:
        """By the venue's id, looked for when it is not known."""
        import ccxt

        cid = self.encode_id(client_order_id)
        if cid not in self._ids and await self.order(exchange, client_order_id, symbol) is None:
            raise ccxt.OrderNotFound(f"coinbase knows no order {client_order_id}")
        with meant():
            answer = await exchange.v3_private_post_brokerage_orders_batch_cancel({"order_ids": [self._ids[cid]]})
        (result,) = answer["results"]
        if result["success"]:
            return
        reason = result["failure_reason"]
        raise (ccxt.OrderNotFound if reason in GONE else ccxt.ExchangeError)(f"coinbase: not cancelled: {reason}")

    async def order(self, exchange: Any, client_order_id: str, symbol: str) -> OrderEvent | None:
        """By the venue's id when it is known, else in the lists (rule 8)."""
        import ccxt

        cid = self.encode_id(client_order_id)
        if (order_id := self._ids.get(cid)) is not None:
            try:
                with meant():
                    answer = await exchange.v3_private_get_brokerage_orders_historical_order_id({"order_id": order_id})
            except ccxt.OrderNotFound as error:  # the venue has told its id: it is somewhere
                raise ccxt.OperationFailed(f"coinbase does not show its own order {order_id} now: {error}") from error
            return self._order(exchange, answer["order"])
        query: dict[str, Any] = {"product_ids": [exchange.market(symbol)["id"]]}
        since = {"start_date": _moment(sent - LOOK_BACK_S)} if (sent := self._sent.get(cid)) is not None else {}
        for asked in ({**query, "order_status": ["OPEN"]}, {**query, **since}):
            async for row in self._listed(exchange, asked):
                if row["client_order_id"] == cid:
                    return self._order(exchange, row)
        return None

    async def _listed(self, exchange: Any, query: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Rows of the order list, newest first, page by page. Raises when there are more pages than can be asked in good time."""
        cursor: dict[str, str] = {}
        for _ in range(_PAGES_MOST):
            answer = await exchange.v3_private_get_brokerage_orders_historical_batch(
                {**query, "limit": _ORDERS_PAGE, **cursor}
            )
            for row in answer["orders"]:
                yield row
            if not answer.get("has_next") or not answer.get("cursor"):
                return
            cursor = {"cursor": answer["cursor"]}
        raise ConnectionError(f"coinbase: more than {_PAGES_MOST * _ORDERS_PAGE} orders to look through")

    async def fills_of(self, exchange: Any, order: OrderEvent) -> list[FillEvent]:
        """The fills by order id, every page."""
        query = {"order_ids": [order.venue_order_id]}
        return [
            fill
            for row in await self._pages(exchange, query)
            if (fill := self._fill(exchange, row, order.client_order_id, order.symbol)) is not None
        ]

    async def open_orders(self, exchange: Any, symbols: tuple[str, ...]) -> list[OrderEvent]:
        """All of the products asked for, every page."""
        products = [exchange.market(symbol)["id"] for symbol in symbols]
        query = {"product_ids": products, "order_status": ["OPEN"]}
        orders = [self._order(exchange, row) async for row in self._listed(exchange, query)]
        return [order for order in orders if order.state is VenueOrderState.OPEN and order.symbol in symbols]

    async def fills_since(self, exchange: Any, symbols: tuple[str, ...], since_ns: int) -> list[FillEvent]:
        """The fills of our products since then, every page."""
        products = [exchange.market(symbol)["id"] for symbol in symbols]
        query = {"product_ids": products, "start_sequence_timestamp": _moment(since_ns / SECOND_NS)}
        names = {order_id: cid for cid, order_id in self._ids.items()}
        found = []
        for row in await self._pages(exchange, query):
            fill = self._fill(exchange, row, names.get(row["order_id"], ""), "")
            if fill is not None and fill.symbol in symbols:
                found.append(fill)
        return found

    async def _pages(self, exchange: Any, query: dict[str, Any]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            answer = await exchange.v3_private_get_brokerage_orders_historical_fills(
                {**query, "limit": _FILLS_PAGE, **cursor}
            )
            rows += answer["fills"]
            following = answer.get("cursor") or ""
            if len(answer["fills"]) < _FILLS_PAGE or not following or following == cursor.get("cursor"):
                return rows
            cursor = {"cursor": following}

    def _fill(self, exchange: Any, row: dict[str, Any], client_order_id: str, symbol: str) -> FillEvent | None:
        if row["trade_type"] != "FILL":  # reversals and corrections are the venue's bookkeeping: a person must see them
            log.error("coinbase: %s of order %s: %s", row["trade_type"], row["order_id"], row)
            return None
        price, size = dec(row["price"]), dec(row["size"])
        market = exchange.market(symbol or exchange.safe_symbol(row["product_id"], None, "-"))
        if row.get("size_in_quote"):  # of an order by value, which none of ours is
            lot = Decimal(1).scaleb(-decimals_of(dec(market["precision"]["amount"])))
            size = (size / price).quantize(lot, ROUND_DOWN)
        return FillEvent(
            symbol=market["symbol"],
            trade_id=row["trade_id"],
            venue_order_id=row["order_id"],
            client_order_id=client_order_id,
            side=row["side"].lower(),
            price=price,
            quantity=size,
            fee=dec(row["commission"] or "0"),
            fee_currency=market["quote"],
            maker=row["liquidity_indicator"] == "MAKER",
            ts_event_ns=time_ns(row["trade_time"]),
        )

    async def balances(self, exchange: Any) -> list[Balance]:
        """Every account of the portfolio, page by page: what is available and what orders hold."""
        totals: dict[str, Balance] = {}
        cursor: dict[str, str] = {}
        while True:
            answer = await exchange.v3_private_get_brokerage_accounts({"limit": _ACCOUNTS_PAGE, **cursor})
            for row in answer["accounts"]:
                code = exchange.safe_currency_code(row["currency"])
                free, held = dec(row["available_balance"]["value"]), dec(row["hold"]["value"])
                known = totals.get(code, Balance(code, Decimal(0), Decimal(0)))
                totals[code] = Balance(code, known.total + free + held, known.locked + held)
            if not answer.get("has_next") or not answer.get("cursor"):
                return [row for row in totals.values() if row.total]
            cursor = {"cursor": answer["cursor"]}


def _state(order_id: str, status: str) -> VenueOrderState:
    if (state := _STATES.get(status)) is None:
        raise BadFrame(f"order {order_id} has the unknown status {status!r}")
    return state


def _reason(*said: str | None) -> str:
    return next((text for text in said if text and text not in _NOTHING_SAID), "")


def _spot(row: dict[str, Any]) -> bool:
    return row.get("product_type", "SPOT") == "SPOT"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
