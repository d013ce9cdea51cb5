"""Binance USD-M's private answers about one account: orders, trades, positions, leverage, income, listen keys.

Parameters are as they came over the wire (text); what the venue says no to is raised as `BinanceError`. One-way mode and cross margin
are what there is: asking for the other is refused, asking for the same is the venue's "no need to change".
"""

from __future__ import annotations

import secrets
from decimal import Decimal, InvalidOperation

import orjson

from sim.servers.binance.account import BinanceAccount
from sim.servers.binance.wire import BinanceError, amount, symbol_id
from sim.servers.binanceusdm import wallet, wire
from sim.servers.faults import Fault, Faults
from sim.servers.margin import AUTOCLOSE, MarginCore, ended_by_venue, most_worth
from sim.servers.records import EndedBy, OrderRequest, Refusal, RefusalKind, Tif

LISTEN_KEY_S = 3_600  # how long one is good for
_TIFS = {"GTC": Tif.GTC, "IOC": Tif.IOC, "FOK": Tif.FOK, "GTX": Tif.GTC}
_MOST_ROWS = 1_000
_BATCH = 10


class BinanceUsdmAccount(BinanceAccount):
    """The account of one loopback Binance USD-M. `listen_key`: the one that is good now, "" when none is."""

    core: MarginCore

    def __init__(self, core: MarginCore, faults: Faults) -> None:
        super().__init__(core, faults)
        self.listen_key = ""
        self.listen_until_ns = 0
        self.countdowns: dict[str, int] = {}  # by symbol: when its orders are cancelled

    # --- orders ---

    def place(self, params: dict) -> dict:
        """`POST order`."""
        symbol = self.unified(params)
        if self.faults.take(Fault.REJECT, symbol=symbol):
            raise BinanceError(-2019, "Margin is insufficient.")
        kind, side = params.get("type"), params.get("side")
        if kind not in ("LIMIT", "MARKET") or side not in ("BUY", "SELL"):
            raise (
                BinanceError(-1116, "Invalid orderType.")
                if side in ("BUY", "SELL")
                else BinanceError(-1117, "Invalid side.")
            )
        for name in ("quantity",) if kind == "MARKET" else ("quantity", "price", "timeInForce"):
            if not params.get(name):
                raise BinanceError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        if params.get("positionSide", "BOTH") != "BOTH":
            raise BinanceError(-4061, "Order's position side does not match user's setting.")
        if (tif := _TIFS.get(params.get("timeInForce", "GTC"))) is None:
            raise BinanceError(-1115, "Invalid timeInForce.")
        client_id = str(params.get("newClientOrderId") or f"k{self.core.clock_ns():x}")
        legal = len(client_id) <= 36 and all(c.isalnum() or c in "-_./:" for c in client_id)
        if not legal or client_id.startswith(AUTOCLOSE):
            raise BinanceError(-4015, "Client order id is not valid.")
        try:
            order = self.core.place(
                OrderRequest(
                    symbol=symbol,
                    side=1 if side == "BUY" else -1,
                    quantity=Decimal(str(params["quantity"])),
                    price=None if kind == "MARKET" else Decimal(str(params["price"])),
                    tif=tif,
                    client_id=client_id,
                    post_only=params.get("timeInForce") == "GTX",
                    reduce_only=params.get("reduceOnly") == "true",
                )
            )
        except InvalidOperation:
            raise BinanceError(-1100, "Illegal characters found in a parameter.") from None
        except Refusal as refusal:
            raise wire.refused(refusal) from None
        return wire.order_state(order, self.core.instruments[symbol])

    def order(self, params: dict) -> dict:
        """`GET order`."""
        return wire.order_state(*self.find(params))

    def cancel(self, params: dict) -> dict:
        """`DELETE order`."""
        try:
            order, instrument = self.find(params)
            return wire.order_state(self.core.cancel(order.order_id), instrument)
        except Refusal as refusal:
            raise wire.refused(refusal) from None
        except BinanceError as error:
            raise (BinanceError(-2011, "Unknown order sent.") if error.code == -2013 else error) from None

    def modify(self, params: dict) -> dict:
        """`PUT order`: price and quantity, in place; a post-only order that would take at its new price is cancelled."""
        order, instrument = self.find(params)
        if not order.open:
            raise BinanceError(-2013, "Order does not exist.")
        for name in ("quantity", "price", "side"):
            if not params.get(name):
                raise BinanceError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        if params["side"] != ("BUY" if order.side > 0 else "SELL"):
            raise BinanceError(-4061, "Order's position side does not match user's setting.")
        try:
            price, quantity = Decimal(str(params["price"])), Decimal(str(params["quantity"]))
            if (price, quantity) == (instrument.price(order.price), instrument.size(order.quantity)):
                raise BinanceError(-5027, "No need to modify the order.")
            self.core.amend(order.order_id, price=price, quantity=quantity)
        except InvalidOperation:
            raise BinanceError(-1100, "Illegal characters found in a parameter.") from None
        except Refusal as refusal:
            if refusal.kind is not RefusalKind.WOULD_TAKE:
                raise wire.refused(refusal) from None
            self.core.cancel(order.order_id)
        return wire.order_state(order, instrument)

    def cancel_some(self, params: dict) -> list[dict]:
        """`DELETE batchOrders`: up to ten of a symbol, each answered in its place. (ccxt writes the lists' names small.)"""
        self.unified(params)
        lists = {key.lower(): value for key, value in params.items()}
        name = "origClientOrderId" if "origclientorderidlist" in lists else "orderId"
        try:
            wanted = orjson.loads(str(lists.get(f"{name}List".lower(), "")))
        except orjson.JSONDecodeError:
            raise BinanceError(
                -1102, f"Mandatory parameter '{name}List' was not sent, was empty/null, or malformed."
            ) from None
        if not isinstance(wanted, list) or not 0 < len(wanted) <= _BATCH:
            raise BinanceError(-4082, "Invalid number of batch orders.")
        answers = []
        for one in wanted:
            try:
                answers.append(self.cancel({"symbol": params["symbol"], name: str(one)}))
            except BinanceError as error:
                answers.append(error.body())
        return answers

    def count_down(self, params: dict) -> dict:
        """`POST countdownCancelAll`: cancels every order of a symbol when it has run out; 0 takes it off."""
        symbol = self.unified(params)
        try:
            span_ms = int(params.get("countdownTime", ""))
        except ValueError:
            raise BinanceError(
                -1102, "Mandatory parameter 'countdownTime' was not sent, was empty/null, or malformed."
            ) from None
        self.countdowns.pop(symbol, None)
        if span_ms > 0:
            self.countdowns[symbol] = self.core.clock_ns() + span_ms * 1_000_000
        return {"symbol": params["symbol"], "countdownTime": str(span_ms)}

    def run_out(self) -> None:
        """Countdowns that nobody has set again."""
        now_ns = self.core.clock_ns()
        for symbol in [symbol for symbol, at_ns in self.countdowns.items() if at_ns <= now_ns]:
            del self.countdowns[symbol]
            self.core.cancel_all(symbol, EndedBy.SWITCH)

    def open_orders(self, query: dict) -> list[dict]:
        """`GET openOrders`."""
        return [wire.order_state(one, self.core.instruments[one.symbol]) for one in self.mine(query) if one.open]

    def open_order(self, query: dict) -> dict:
        """`GET openOrder`: one that is open, or -2013."""
        order, instrument = self.find(query)
        if not order.open:
            raise BinanceError(-2013, "Order does not exist.")
        return wire.order_state(order, instrument)

    def cancel_everything(self, query: dict) -> dict:
        """`DELETE allOpenOrders` of a symbol."""
        self.core.cancel_all(self.unified(query))
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def all_orders(self, query: dict) -> list[dict]:
        """`GET allOrders` of a symbol."""
        self.unified(query)
        found = [one for one in self.mine(query) if _within(query, one.created_ns)]
        found = [one for one in found if one.order_id >= int(query.get("orderId", 0))]
        limit = min(_MOST_ROWS, int(query.get("limit", 500)))
        found = found[:limit] if "orderId" in query or "startTime" in query else found[-limit:]
        return [wire.order_state(one, self.core.instruments[one.symbol]) for one in found]

    def user_trades(self, query: dict) -> list[dict]:
        """`GET userTrades` of a symbol."""
        symbol, limit = self.unified(query), min(_MOST_ROWS, int(query.get("limit", 500)))
        found = [fill for fill in self.core.fills if fill.symbol == symbol and _within(query, fill.ts_ns)]
        if "orderId" in query:
            found = [fill for fill in found if fill.order_id == int(query["orderId"])]
        found = [fill for fill in found if fill.trade_id >= int(query.get("fromId", 0))]
        found = found[:limit] if "fromId" in query or "startTime" in query else found[-limit:]
        return [wire.user_trade(fill, self.core.instruments[symbol]) for fill in found]

    def force_orders(self, query: dict) -> list[dict]:
        """`GET forceOrders`: what the venue closed of ours."""
        found = [one for one in self.mine(query) if ended_by_venue(one) and _within(query, one.created_ns)]
        return [wire.order_state(one, self.core.instruments[one.symbol]) for one in found[-100:]]

    # --- wallet and positions ---

    def account(self, query: dict) -> dict:
        """`GET account`."""
        return wallet.account(self.core, self._now_ms())

    def balance(self, query: dict) -> list[dict]:
        """`GET balance`."""
        return wallet.balances(self.core, self._now_ms())

    def positions(self, query: dict, version: int) -> list[dict]:
        """`GET positionRisk`."""
        rows = wallet.position_risk(self.core, self._now_ms(), version=version)
        wanted = symbol_id(self.unified(query)) if "symbol" in query else None
        return [row for row in rows if wanted in (None, row["symbol"])]

    def brackets(self, query: dict) -> object:
        """`GET leverageBracket`."""
        rows = wallet.leverage_brackets(self.core)
        return rows if "symbol" not in query else [row for row in rows if row["symbol"] == query["symbol"]]

    def commission(self, query: dict) -> dict:
        """`GET commissionRate`."""
        instrument = self.core.instruments[self.unified(query)]
        maker, taker = instrument.maker_fee_bps / 10_000, instrument.taker_fee_bps / 10_000
        return {"symbol": query["symbol"], "makerCommissionRate": f"{maker:f}", "takerCommissionRate": f"{taker:f}"}

    def income(self, query: dict) -> list[dict]:
        """`GET income`: funding, realised gains and fees, oldest first."""
        kind = query.get("incomeType")
        rows = [wallet.funding_income(payment) for payment in self.core.payments]
        for fill in self.core.fills:
            rows += [wallet.fill_income(fill, "REALIZED_PNL")] if fill.realised else []
            rows += [wallet.fill_income(fill, "COMMISSION")] if fill.fee else []
        wanted = symbol_id(self.unified(query)) if "symbol" in query else None
        found = [
            row
            for row in rows
            if kind in (None, row["incomeType"])
            and wanted in (None, row["symbol"])
            and _within(query, row["time"] * 1_000_000)
        ]
        found.sort(key=lambda row: (row["time"], row["tranId"]))
        limit = min(_MOST_ROWS, int(query.get("limit", 100)))
        return found[:limit] if "startTime" in query else found[-limit:]

    # --- settings ---

    def set_leverage(self, params: dict) -> dict:
        """`POST leverage`."""
        symbol = self.unified(params)
        try:
            self.core.set_leverage(symbol, leverage := int(params.get("leverage", "0")))
        except ValueError:
            raise BinanceError(-4028, "Leverage is not valid") from None
        except Refusal:
            raise BinanceError(
                -4161, "Leverage reduction is not supported in Isolated Margin Mode with open positions."
            ) from None
        return {
            "symbol": params["symbol"],
            "leverage": leverage,
            "maxNotionalValue": amount(most_worth(leverage)),
        }

    def set_margin_type(self, params: dict) -> dict:
        """`POST marginType`."""
        self.unified(params)
        if params.get("marginType") == "CROSSED":
            raise BinanceError(-4046, "No need to change margin type.")
        raise BinanceError(-4067, "Position side cannot be changed if there exists open orders.")

    def set_mode(self, params: dict) -> dict:
        """`POST positionSide/dual`."""
        if str(params.get("dualSidePosition", "")).lower() == "false":
            raise BinanceError(-4059, "No need to change position side.")
        raise BinanceError(-4068, "Position side cannot be changed if there exists position.")

    # --- listen keys ---

    def open_listen_key(self) -> dict:
        """`POST listenKey`: the one there is, good for another hour, or a new one."""
        now_ns = self.core.clock_ns()
        if not self.listen_key or now_ns >= self.listen_until_ns:
            self.listen_key = secrets.token_urlsafe(48)
        self.listen_until_ns = now_ns + LISTEN_KEY_S * 1_000_000_000
        return {"listenKey": self.listen_key}

    def keep_listen_key(self) -> dict:
        """`PUT listenKey`."""
        if not self.listen_key or self.core.clock_ns() >= self.listen_until_ns:
            raise BinanceError(-1125, "This listenKey does not exist.")
        return self.open_listen_key()

    def close_listen_key(self) -> dict:
        """`DELETE listenKey`."""
        self.listen_key = ""
        return {}

    def _now_ms(self) -> int:
        return self.core.clock_ns() // 1_000_000


def _within(query: dict, ts_ns: int) -> bool:
    since, until = int(query.get("startTime", 0)), int(query.get("endTime", 1 << 43))
    return since <= ts_ns // 1_000_000 <= until
