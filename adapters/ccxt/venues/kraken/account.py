"""Kraken spot, our account: orders, executions, balances.

Private `executions` and `balances` with a token; orders by REST with `cl_ord_id`. Fills come only as `executions` rows of type `trade`
(their `exec_id` is REST's trade id); ccxt routes such a frame by its first row, so every row is read here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import OrderRequest, PrivateMessage, acknowledged
from adapters.ccxt.events import Balance, FillEvent, OrderEvent, VenueOrderState
from adapters.ccxt.symbols import dec, kraken_client_id, kraken_original_id
from adapters.ccxt.venues.kraken.dialect import instance, iso_ns
from adapters.ccxt.venues.kraken.lookup import KrakenLookup, execution_of, order_of, trade_pages
from adapters.ccxt.venues.kraken.orders import KrakenOrdering

_STATES = {
    "pending_new": VenueOrderState.OPEN,
    "new": VenueOrderState.OPEN,
    "partially_filled": VenueOrderState.OPEN,
    "filled": VenueOrderState.FILLED,
    "canceled": VenueOrderState.CANCELED,
    "expired": VenueOrderState.EXPIRED,
}


class KrakenAccountDialect(KrakenOrdering):
    """Orders, fills, balances."""

    confirms: ClassVar[bool] = True

    def __init__(self) -> None:
        self.lookup = KrakenLookup()

    def create(self, config: ExchangeConfig) -> Any:
        """The instance for execution."""
        return instance(config, throttle=False, timeout_ms=config.order_timeout_ms)

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
        self.lookup.heard(iso_ns(message.get("time_out")))
        if message.get("method") == "subscribe":
            if not message.get("success"):
                return PrivateMessage(refused=str(message.get("error")))
            return PrivateMessage(subscribed=(message.get("result") or {}).get("channel") == "executions")
        match message.get("channel"):
            case "executions":
                orders, fills = [], []
                for row in message["data"]:
                    self.lookup.heard(iso_ns(row.get("timestamp")))
                    if (fill := self._execution(exchange, row)) is not None:
                        fills.append(fill)
                    if (order := self._state(row)) is not None:
                        orders.append(order)
                return PrivateMessage(orders=tuple(orders), fills=tuple(fills))
            case "balances":
                return PrivateMessage(balances_stale=True)
        return None

    def _state(self, row: dict[str, Any]) -> OrderEvent | None:
        if row.get("order_status") not in _STATES:
            return None
        limit, cid = row.get("limit_price"), self.decode_id(row["cl_ord_id"]) if row.get("cl_ord_id") else ""
        self.lookup.knows(cid, row["order_id"])
        return OrderEvent(
            symbol=row.get("symbol", ""),
            client_order_id=cid,
            venue_order_id=row["order_id"],
            state=_STATES[row["order_status"]],
            side=row.get("side", ""),
            kind=row.get("order_type", "limit"),
            time_in_force=str(row.get("time_in_force", "GTC")).upper(),
            price=None if limit is None else dec(limit),
            quantity=dec(row["order_qty"]) if "order_qty" in row else None,
            filled=dec(row["cum_qty"]) if "cum_qty" in row else None,
            reason=str(row.get("cancel_reason") or row.get("reason") or ""),
            ts_event_ns=iso_ns(row.get("timestamp")),
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
            ts_event_ns=iso_ns(row.get("timestamp")),
        )

    async def place(self, exchange: Any, request: OrderRequest) -> tuple[OrderEvent, list[FillEvent]]:
        """The answer is the order's id and nothing else: fills come by stream or query."""
        params = self.order_params(request)
        self.lookup.sends(request.client_order_id)
        answer = await exchange.create_order(
            request.symbol, request.kind, request.side, request.quantity, request.price, params
        )
        self.lookup.knows(request.client_order_id, answer["id"] or "")
        return acknowledged(request, answer["id"] or ""), []

    async def cancel(self, exchange: Any, client_order_id: str, symbol: str) -> None:
        """By `cl_ord_id`."""
        await exchange.private_post_cancelorder({"cl_ord_id": self.encode_id(client_order_id)})

    async def order(self, exchange: Any, client_order_id: str, symbol: str) -> OrderEvent | None:
        """By one look for all who ask (`KrakenLookup`)."""
        return await self.lookup.order(exchange, client_order_id)

    async def fills_of(self, exchange: Any, order: OrderEvent) -> list[FillEvent]:
        """By one look for all who ask (`KrakenLookup`)."""
        return await self.lookup.fills_of(exchange, order)

    async def open_orders(self, exchange: Any, symbols: tuple[str, ...]) -> list[OrderEvent]:
        """All open orders of the account, ours by symbol."""
        answer = await exchange.private_post_openorders({})
        rows = (answer["result"].get("open") or {}).items()
        return [
            order_of(exchange, txid, raw) for txid, raw in rows if exchange.safe_symbol(raw["descr"]["pair"]) in symbols
        ]

    async def fills_since(self, exchange: Any, symbols: tuple[str, ...], since_ns: int) -> list[FillEvent]:
        """Every page of `TradesHistory` since then."""
        found: list[FillEvent] = []
        async for page in trade_pages(exchange, since_ns / 1e9):
            found += [execution_of(exchange, row, "") for row in page if row["symbol"] in symbols]
        return found

    async def balances(self, exchange: Any) -> list[Balance]:
        """`BalanceEx`: balance and what open orders hold of it."""
        answer = await exchange.private_post_balanceex()
        rows = [
            Balance(exchange.safe_currency_code(asset), dec(raw["balance"]), dec(raw.get("hold_trade") or "0"))
            for asset, raw in answer["result"].items()
        ]
        return [row for row in rows if row.total]


def _consumed(future: Any) -> None:
    """Nobody awaits a confirmation future: its rejection is told by `on_down`."""
    if not future.cancelled():
        future.exception()
