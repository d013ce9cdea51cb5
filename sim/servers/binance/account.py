"""Binance's private answers about one account: placing, amending, cancelling and asking for orders and trades.

Parameters are as they came over the wire (text); what the venue says no to is raised as `BinanceError` with its code and words. That an
amendment below the executed quantity is refused is documented, its words are ours.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from sim.servers.binance import wire
from sim.servers.binance.wire import BinanceError
from sim.servers.faults import Fault, Faults
from sim.servers.matching import Change, MatchingCore, OrderRequest, Refusal, Tif, VenueOrder

_MOST_TRADES = 1_000


class BinanceAccount:
    """The spot account of one loopback Binance."""

    def __init__(self, core: MatchingCore, faults: Faults) -> None:
        self.core = core
        self.faults = faults
        self._symbols = {wire.symbol_id(symbol): symbol for symbol in core.instruments}
        self._cancel_ids: dict[int, str] = {}  # by order id, until the report of the cancel is out
        self._amended: dict[int, str] = {}  # the client order id before an amendment, until its report is out

    def names(self, order: VenueOrder, change: Change) -> tuple[str, str]:
        """`c` and `C` of a report: the id of the request, and the order's own where the request has another."""
        match change:
            case Change.CANCELED if order.order_id in self._cancel_ids:
                return self._cancel_ids.pop(order.order_id), order.client_id
            case Change.AMENDED:
                return order.client_id, self._amended.pop(order.order_id, "")
        return order.client_id, ""

    def unified(self, params: dict) -> str:
        """The unified symbol of the `symbol` parameter."""
        symbol = self._symbols.get(str(params.get("symbol", "")))
        if symbol is None:
            raise BinanceError(-1121, "Invalid symbol.")
        return symbol

    # --- orders ---

    def place(self, params: dict) -> dict:
        """A new order: `POST order`, `order.place`."""
        symbol = self.unified(params)
        if self.faults.take(Fault.REJECT, symbol=symbol):
            raise BinanceError(-2010, "Account has insufficient balance for requested action.")
        kind, tif = params.get("type"), params.get("timeInForce", "GTC")
        if kind not in ("LIMIT", "MARKET", "LIMIT_MAKER") or params.get("side") not in ("BUY", "SELL"):
            raise BinanceError(
                -1116, "Invalid orderType." if params.get("side") in ("BUY", "SELL") else "Invalid side."
            )
        if "quantity" not in params or (kind != "MARKET" and "price" not in params):
            raise BinanceError(-1102, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.")
        if tif not in ("GTC", "IOC", "FOK"):
            raise BinanceError(-1115, "Invalid timeInForce.")
        client_id = str(params.get("newClientOrderId") or f"k{self.core.clock_ns():x}")
        if len(client_id) > 36 or not all(c.isalnum() or c in "-_./:" for c in client_id):
            raise BinanceError(
                -1100,
                "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.",
            )
        try:
            request = OrderRequest(
                symbol=symbol,
                side=1 if params["side"] == "BUY" else -1,
                quantity=Decimal(str(params["quantity"])),
                price=None if kind == "MARKET" else Decimal(str(params["price"])),
                tif=Tif(tif),
                client_id=client_id,
                post_only=kind == "LIMIT_MAKER",
            )
            order = self.core.place(request)
        except InvalidOperation:
            raise BinanceError(-1100, "Illegal characters found in a parameter.") from None
        except Refusal as refusal:
            raise wire.refused(refusal) from None
        return wire.order_answer(order, self.core.instruments[symbol])

    def find(self, params: dict) -> tuple:
        """(order, its instrument) of an `orderId` or `origClientOrderId`."""
        symbol = self.unified(params)
        order: VenueOrder | None = None
        if params.get("orderId"):
            order = self.core.orders.get(int(params["orderId"]))
        elif params.get("origClientOrderId"):
            order = self.core.by_client.get(str(params["origClientOrderId"]))
        else:
            raise BinanceError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        if order is None or order.symbol != symbol:
            raise BinanceError(-2013, "Order does not exist.")
        return order, self.core.instruments[symbol]

    def cancel(self, params: dict) -> dict:
        """`DELETE order`, `order.cancel`."""
        try:
            order, instrument = self.find(params)
            cancel_id = str(params.get("newClientOrderId") or f"c{self.core.clock_ns():x}")
            if order.open:
                self._cancel_ids[order.order_id] = cancel_id
            return wire.cancel_answer(self.core.cancel(order.order_id), instrument, cancel_id)
        except Refusal as refusal:
            raise wire.refused(refusal) from None
        except BinanceError as error:
            raise (BinanceError(-2011, "Unknown order sent.") if error.code == -2013 else error) from None

    def amend(self, params: dict) -> dict:
        """Only to less, in place; the client order id becomes the new one that is named, or a random one."""
        try:
            order, instrument = self.find(params)
            quantity = Decimal(str(params.get("newQty", "")))
            if not order.open:
                raise BinanceError(-2038, "Unknown order sent.")
            if quantity >= instrument.size(order.quantity):
                raise BinanceError(-2038, "Order amend (quantity increase) is not supported.")
            if quantity <= instrument.size(order.filled):
                raise BinanceError(-2038, "Order amend (quantity below the executed one) is not supported.")
            before = order.client_id
            self._amended[order.order_id] = before
            renamed = str(params.get("newClientOrderId") or f"a{self.core.clock_ns():x}")
            self.core.amend(order.order_id, quantity=quantity, client_id=renamed)
            return wire.amend_answer(order, instrument, before)
        except InvalidOperation:
            raise BinanceError(-1100, "Illegal characters found in parameter 'newQty'.") from None
        except Refusal as refusal:
            raise wire.refused(refusal) from None

    def mine(self, query: dict) -> list[VenueOrder]:
        """Our orders, of a symbol or of all."""
        symbol = self.unified(query) if "symbol" in query else None
        return [order for order in self.core.orders.values() if symbol in (None, order.symbol)]

    def open_orders(self, query: dict) -> list[dict]:
        """`GET openOrders`."""
        return [
            wire.order_state(order, self.core.instruments[order.symbol]) for order in self.mine(query) if order.open
        ]

    def cancel_all(self, query: dict) -> list[dict]:
        """`DELETE openOrders`, `openOrders.cancelAll`: every order of a symbol."""
        orders = [order for order in self.mine(query) if order.open]
        if not orders:
            raise BinanceError(-2011, "Unknown order sent.")
        return [self.cancel({"symbol": query["symbol"], "orderId": order.order_id}) for order in orders]

    def all_orders(self, query: dict) -> list[dict]:
        """`GET allOrders`."""
        self.unified(query)
        since, until = int(query.get("startTime", 0)) * 1_000_000, int(query.get("endTime", 1 << 43)) * 1_000_000
        found = [order for order in self.mine(query) if since <= order.created_ns < until + 1_000_000]
        if "orderId" in query:
            found = [order for order in found if order.order_id >= int(query["orderId"])]
        else:
            found = found[-int(query.get("limit", 500)) :] if since == 0 else found
        return [
            wire.order_state(order, self.core.instruments[order.symbol])
            for order in found[: int(query.get("limit", 500))]
        ]

    def my_trades(self, query: dict) -> list[dict]:
        """`GET myTrades`."""
        symbol, limit = self.unified(query), min(_MOST_TRADES, int(query.get("limit", 500)))
        since, until = int(query.get("startTime", 0)) * 1_000_000, int(query.get("endTime", 1 << 43)) * 1_000_000
        found = [fill for fill in self.core.fills if fill.symbol == symbol and since <= fill.ts_ns < until + 1_000_000]
        if "orderId" in query:
            found = [fill for fill in found if fill.order_id == int(query["orderId"])]
        if "fromId" in query:
            found = [fill for fill in found if fill.trade_id >= int(query["fromId"])][:limit]
        else:
            found = found[:limit] if since else found[-limit:]
        return [wire.my_trade(fill, self.core.instruments[symbol]) for fill in found]

    def commission(self, query: dict) -> dict:
        """`GET account/commission`."""
        symbol = self.unified(query)
        return {"symbol": wire.symbol_id(symbol), "standardCommission": self._fee(symbol, "maker", "taker")}

    def trade_fees(self, query: dict) -> list[dict]:
        """`GET asset/tradeFee`."""
        symbols = [self.unified(query)] if "symbol" in query else list(self.core.instruments)
        return [{"symbol": wire.symbol_id(s)} | self._fee(s, "makerCommission", "takerCommission") for s in symbols]

    def _fee(self, symbol: str, maker: str, taker: str) -> dict[str, str]:
        instrument = self.core.instruments[symbol]
        return {
            maker: wire.amount(instrument.maker_fee_bps / 10_000),
            taker: wire.amount(instrument.taker_fee_bps / 10_000),
        }

    def coins(self) -> list[dict]:
        """`GET capital/config/getall`."""
        locked = self.core.locked()
        return [
            {
                "coin": currency,
                "depositAllEnable": False,
                "withdrawAllEnable": False,
                "free": wire.amount(total - locked.get(currency, Decimal(0))),
                "locked": wire.amount(locked.get(currency, Decimal(0))),
                "name": currency,
                "trading": True,
                "isLegalMoney": False,
                "networkList": [],
            }
            for currency, total in sorted(self.core.balances.items())
        ]
