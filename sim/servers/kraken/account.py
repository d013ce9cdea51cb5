"""Kraken's private answers about one account: placing, cancelling and asking for orders, fills and balances.

Parameters are as they came over the wire (text); what the venue says no to is raised as `KrakenError` with Kraken's words.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from decimal import Decimal, InvalidOperation

from sim.servers.dead_man import Countdown
from sim.servers.faults import Fault, Faults
from sim.servers.kraken import wire
from sim.servers.kraken.wire import KrakenError
from sim.servers.matching import MatchingCore, OrderRequest, Refusal, Tif, VenueFill, VenueOrder

_PAGE = 50
_BATCH = 50
_DAY_S = 86_400


class KrakenAccount:
    """The account of one loopback Kraken. `symbols`: every name a pair goes by."""

    def __init__(self, core: MatchingCore, faults: Faults, symbols: dict[str, str]) -> None:
        self.core = core
        self.faults = faults
        self.dead_man = Countdown(core)
        self._symbols = symbols

    def unified(self, params: dict) -> str:
        """The unified symbol of the `pair` parameter."""
        symbol = self._symbols.get(str(params.get("pair", "")))
        if symbol is None:
            raise KrakenError("EQuery:Unknown asset pair")
        return symbol

    def symbol_of(self, params: dict) -> str:
        """The market that a request is about, by its pair or its order."""
        return self.unified(params) if params.get("pair") else self.one(params).symbol

    def balances(self) -> dict:
        """BalanceEx."""
        locked = self.core.locked()
        return {
            wire.asset_id(currency): {
                "balance": f"{total:.8f}",
                "hold_trade": f"{locked.get(currency, Decimal(0)):.8f}",
            }
            for currency, total in sorted(self.core.balances.items())
        }

    def add_order(self, params: dict) -> dict:
        """AddOrder."""
        symbol = self.unified(params)
        kind, side = params.get("ordertype"), params.get("type")
        if kind not in ("limit", "market") or side not in ("buy", "sell"):
            raise KrakenError(
                "EGeneral:Invalid arguments:ordertype" if side in ("buy", "sell") else "EGeneral:Invalid arguments:type"
            )
        if "viqc" in params.get("oflags", ""):
            raise KrakenError("EGeneral:Invalid arguments:viqc is not simulated")
        order = self._place(
            symbol=symbol,
            side=side,
            volume=params.get("volume", ""),
            price=params.get("price", "") if kind == "limit" else None,
            tif=params.get("timeinforce", "GTC"),
            client_id=params.get("cl_ord_id", ""),
            post_only="post" in params.get("oflags", "").split(","),
            expires_ns=self._expiry(params.get("expiretm", "")),
        )
        return {
            "descr": wire.described(order, self.core.instruments[symbol]),
            "txid": [wire.order_txid(order.order_id)],
        }

    def place_from_socket(self, params: dict) -> VenueOrder:
        """`add_order` of the WebSocket."""
        symbol, kind = str(params.get("symbol")), params.get("order_type")
        if symbol not in self.core.instruments:
            raise KrakenError("EQuery:Unknown asset pair")
        if kind not in ("limit", "market"):
            raise KrakenError("EGeneral:Invalid arguments:order_type")
        return self._place(
            symbol=symbol,
            side=str(params.get("side")),
            volume=repr(params.get("order_qty")),
            price=repr(params.get("limit_price")) if kind == "limit" else None,
            tif=str(params.get("time_in_force", "gtc")),
            client_id=str(params.get("cl_ord_id", "")),
            post_only=bool(params.get("post_only", False)),
            expires_ns=_moment(str(params.get("expire_time", ""))),
        )

    def _place(
        self,
        *,
        symbol: str,
        side: str,
        volume: str,
        price: str | None,
        tif: str,
        client_id: str,
        post_only: bool,
        expires_ns: int,
    ) -> VenueOrder:
        if tif.upper() == "GTD" and expires_ns <= self.core.clock_ns():
            raise KrakenError("EGeneral:Invalid arguments:expiretm")
        if self.faults.take(Fault.REJECT, symbol=symbol):
            raise KrakenError("EOrder:Insufficient funds")
        if client_id and len(client_id) > 18 and len(client_id.replace("-", "")) != 32:
            raise KrakenError("EGeneral:Invalid arguments:cl_ord_id")
        try:
            request = OrderRequest(
                symbol=symbol,
                side=1 if side == "buy" else -1,
                quantity=Decimal(volume),
                price=None if price is None else Decimal(price),
                tif=Tif(tif.upper()),
                client_id=client_id,
                post_only=post_only,
                expires_ns=expires_ns,
            )
            return self.core.place(request)
        except InvalidOperation:
            raise KrakenError("EGeneral:Invalid arguments:volume") from None
        except ValueError:
            raise KrakenError("EGeneral:Invalid arguments:timeinforce") from None
        except Refusal as refusal:
            raise wire.refused(refusal) from None

    def one(self, params: dict) -> VenueOrder:
        """The order a txid or cl_ord_id names."""
        order: VenueOrder | None = None
        if params.get("cl_ord_id"):
            order = self.core.by_client.get(params["cl_ord_id"])
        elif (number := wire.order_number(params.get("txid", ""))) is not None:
            order = self.core.orders.get(number)
        if order is None:
            raise KrakenError("EOrder:Unknown order")
        return order

    def cancel_order(self, order: VenueOrder) -> None:
        """Cancel an order."""
        try:
            self.core.cancel(order.order_id)
        except Refusal as refusal:
            raise wire.refused(refusal) from None

    def cancel(self, params: dict) -> dict:
        """CancelOrder."""
        self.cancel_order(self.one(params))
        return {"count": 1}

    def _expiry(self, text: str) -> int:
        """`expiretm`: Unix seconds, or `+n` seconds from now."""
        if not text or text == "0":
            return 0
        if not text.removeprefix("+").isdigit():
            raise KrakenError("EGeneral:Invalid arguments:expiretm")
        seconds = int(text.removeprefix("+"))
        return (self.core.clock_ns() if text.startswith("+") else 0) + seconds * 1_000_000_000

    def amend(self, order: VenueOrder, quantity: object, price: object, *, post_only: bool) -> str:
        """AmendOrder and `amend_order`: the id of the amendment."""
        try:
            wanted = [None if value in (None, "") else Decimal(str(value)) for value in (quantity, price)]
            self.core.amend(order.order_id, quantity=wanted[0], price=wanted[1], post_only=post_only)
        except InvalidOperation:
            raise KrakenError("EGeneral:Invalid arguments") from None
        except Refusal as refusal:
            raise wire.refused(refusal) from None
        return wire.trade_txid(self.core.next_trade_id())

    def amend_order(self, params: dict) -> dict:
        """AmendOrder."""
        post_only = params.get("post_only", "").lower() == "true"
        order = self.one(params)
        return {"amend_id": self.amend(order, params.get("order_qty"), params.get("limit_price"), post_only=post_only)}

    def cancel_all(self, params: dict) -> dict:
        """CancelAll."""
        return {"count": len(self.core.cancel_all())}

    def cancel_batch(self, params: dict) -> dict:
        """CancelOrderBatch: by txid or by cl_ord_id, at most fifty; what is not open is not counted."""
        named = [{"txid": str(txid)} for txid in params.get("orders") or ()]
        named += [{"cl_ord_id": str(client_id)} for client_id in params.get("cl_ord_ids") or ()]
        if not 1 <= len(named) <= _BATCH:
            raise KrakenError("EGeneral:Invalid arguments:orders")
        count = 0
        for name in named:
            with contextlib.suppress(KrakenError):
                self.cancel_order(self.one(name))
                count += 1
        if not count:
            raise KrakenError("EOrder:Unknown order")
        return {"count": count}

    def cancel_after(self, seconds: object) -> dict:
        """CancelAllOrdersAfter and `cancel_all_orders_after`."""
        if not str(seconds).isdigit() or int(str(seconds)) > _DAY_S:
            raise KrakenError("EGeneral:Invalid arguments:timeout")
        trigger_ns = self.dead_man.arm(int(str(seconds)))
        now = wire.stamp(self.core.clock_ns())[:19] + "Z"
        return {"currentTime": now, "triggerTime": wire.stamp(trigger_ns)[:19] + "Z" if trigger_ns else "0"}

    def _state(self, order: VenueOrder, params: dict) -> dict:
        with_trades = params.get("trades", "").lower() == "true"
        return wire.order_state(order, self.core.instruments[order.symbol], with_trades=with_trades)

    def query_orders(self, params: dict) -> dict:
        """QueryOrders."""
        if params.get("cl_ord_id"):
            found = [self.core.by_client.get(params["cl_ord_id"])]
        else:
            numbers = [wire.order_number(txid) for txid in params.get("txid", "").split(",")]
            found = [self.core.orders.get(number) for number in numbers if number is not None]
        known = [order for order in found if order is not None]
        if not known:
            raise KrakenError("EOrder:Unknown order")
        return {wire.order_txid(order.order_id): self._state(order, params) for order in known}

    def _mine(self, params: dict) -> list[VenueOrder]:
        client_id = params.get("cl_ord_id")
        return [order for order in self.core.orders.values() if not client_id or order.client_id == client_id]

    def open_orders(self, params: dict) -> dict:
        """OpenOrders."""
        return {"open": {wire.order_txid(o.order_id): self._state(o, params) for o in self._mine(params) if o.open}}

    def closed_orders(self, params: dict) -> dict:
        """ClosedOrders."""
        since, until = _bounds(params)
        found = [o for o in reversed(self._mine(params)) if not o.open and since <= o.updated_ns <= until]
        page = found[int(params.get("ofs", 0)) :][:_PAGE]
        return {"closed": {wire.order_txid(o.order_id): self._state(o, params) for o in page}, "count": len(found)}

    def _trade_row(self, fill: VenueFill) -> dict:
        return wire.trade_state(fill, self.core.orders.get(fill.order_id), self.core.instruments[fill.symbol])

    def trades_history(self, params: dict) -> dict:
        """TradesHistory."""
        since, until = _bounds(params)
        found = [fill for fill in reversed(self.core.fills) if since <= fill.ts_ns <= until]
        if params.get("cl_ord_id"):
            order = self.core.by_client.get(params["cl_ord_id"])
            found = [fill for fill in found if order is not None and fill.order_id == order.order_id]
        page = found[int(params.get("ofs", 0)) :][:_PAGE]
        return {"trades": {wire.trade_txid(f.trade_id): self._trade_row(f) for f in page}, "count": len(found)}

    def trade_volume(self, params: dict) -> dict:
        """TradeVolume: the account's fees on the pairs asked for, in percent."""
        wanted = [name for name in params.get("pair", "").split(",") if name]
        found = [self.core.instruments[symbol] for name in wanted if (symbol := self._symbols.get(name))]
        return {
            "currency": "ZUSD",
            "volume": "600000000.0000",
            "fees": {wire.pair_id(one.symbol): wire.fee(one.taker_fee_bps) for one in found},
            "fees_maker": {wire.pair_id(one.symbol): wire.fee(one.maker_fee_bps) for one in found},
        }

    def query_trades(self, params: dict) -> dict:
        """QueryTrades."""
        wanted = set(params.get("txid", "").split(","))
        found = {
            wire.trade_txid(f.trade_id): self._trade_row(f)
            for f in self.core.fills
            if wire.trade_txid(f.trade_id) in wanted
        }
        if not found:
            raise KrakenError("EOrder:Unknown trade")
        return found


def _moment(text: str) -> int:
    """RFC 3339 in ns, 0 when absent."""
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1e6) * 1000 if text else 0
    except ValueError:
        raise KrakenError("EGeneral:Invalid arguments:expire_time") from None


def _bounds(params: dict) -> tuple[int, int]:
    """`start` and `end` (Unix seconds, exclusive and inclusive) in ns."""
    try:
        since = int(Decimal(params.get("start") or 0) * 1_000_000_000)
        until = int(Decimal(params.get("end") or 1 << 33) * 1_000_000_000)
    except InvalidOperation:
        raise KrakenError("EGeneral:Invalid arguments") from None
    return since, until
