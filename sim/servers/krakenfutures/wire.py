"""Kraken Futures' words: instruments, feeds, order and fill rows, wallets, log rows and refusals, built from a margin core's values.

Sources: the venue's documentation (REST v3, history, WebSocket v1), the recorded frames the adapter is tested against, ccxt's source.
Numbers are JSON numbers with their own digits; times are ISO 8601 by REST, milliseconds on the socket and in the history.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from sim.instruments import VenueInstrument
from sim.servers.funding import FundingRate
from sim.servers.margin import MarginCore, Payment, ended_by_venue
from sim.servers.records import EndedBy, Refusal, RefusalKind, Tif, VenueFill, VenueOrder

ACCOUNT = str(uuid.UUID(int=7))
_ORDERS, _FILLS, _TRADES, _EVENTS, _STRANGERS = (
    0xA0,
    0xF0,
    0x70,
    0xE0,
    0x50,
)  # the first byte of an id says of what it is
_STATUSES = {
    RefusalKind.UNKNOWN_SYMBOL: "invalidOrderType",
    RefusalKind.PRICE_TICK: "invalidPrice",
    RefusalKind.QUANTITY_LOT: "invalidSize",
    RefusalKind.MIN_QUANTITY: "invalidSize",
    RefusalKind.MIN_NOTIONAL: "tooManySmallOrders",
    RefusalKind.INSUFFICIENT_FUNDS: "insufficientAvailableFunds",
    RefusalKind.POSITION_LIMIT: "maxPositionViolation",
    RefusalKind.DUPLICATE_CLIENT_ID: "clientOrderIdAlreadyExist",
    RefusalKind.WOULD_TAKE: "postWouldExecute",
    RefusalKind.CANNOT_FILL: "iocWouldNotExecute",
    RefusalKind.REDUCE_ONLY: "wouldNotReducePosition",
    RefusalKind.UNKNOWN_ORDER: "notFound",
}


class KrakenFuturesError(Exception):
    """A request that was not understood or not allowed: `result: error` with a code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def status_of(refusal: Refusal) -> str:
    """The word of an answer's status for a refusal."""
    return _STATUSES[refusal.kind]


def number(amount: Decimal) -> orjson.Fragment:
    """A JSON number with exactly these digits."""
    return orjson.Fragment(f"{amount.normalize():f}".encode())


def product_id(instrument: VenueInstrument) -> str:
    """PF_XBTUSD of a linear contract on bitcoin, PI_XBTUSD of an inverse one."""
    assert instrument.contract is not None
    base = {"BTC": "XBT"}.get(instrument.base, instrument.base)
    return f"{'PI' if instrument.contract.inverse else 'PF'}_{base}USD"


def coin(code: str) -> str:
    """A currency as wallets and logs name it."""
    return {"BTC": "xbt"}.get(code, code.lower())


def moment(ts_ns: int) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return f"{datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%S}.{ts_ns // 1_000_000 % 1_000:03d}Z"


def _uid(kind: int, count: int) -> str:
    return str(uuid.UUID(int=(kind << 120) | count))


def order_id(count: int) -> str:
    """The venue's id of an order of the core."""
    return _uid(_ORDERS, count)


def order_number(text: str) -> int:
    """The core's number of an order id; -1 when it is none."""
    try:
        found = uuid.UUID(text).int
    except ValueError:
        return -1
    return found & ((1 << 120) - 1) if found >> 120 == _ORDERS else -1


def fill_id(count: int) -> str:
    """The venue's id of an execution."""
    return _uid(_FILLS, count)


def trade_uid(count: int) -> str:
    """The venue's id of a public trade."""
    return _uid(_TRADES, count)


# --- market data -----------------------------------------------------------------------------------------------------------------------


def instruments(listed: dict[str, VenueInstrument]) -> list[dict[str, Any]]:
    """`GET instruments`."""
    rows = []
    for one in listed.values():
        assert one.contract is not None
        inverse = one.contract.inverse
        levels = "contracts" if inverse else "numNonContractUnits"
        base = {
            "symbol": product_id(one),
            "type": "futures_inverse" if inverse else "flexible_futures",
            "tickSize": number(one.price(one.tick)),
            "contractSize": number(one.contract.size),
            "tradeable": True,
            "impactMidSize": 1,
            "maxPositionSize": 75_000_000 if inverse else 16_000,
            "openingDate": "2022-03-22T13:18:45Z",
            "marginLevels": [{levels: 0, "initialMargin": 0.02, "maintenanceMargin": 0.01}],
            "fundingRateCoefficient": 24,
            "maxRelativeFundingRate": 0.0025,
            "contractValueTradePrecision": one.size_decimals,
            "postOnly": False,
            "mtf": True,
            "base": one.base,
            "quote": "USD",
            "pair": f"{one.base}:USD",
        }
        rows.append(base | ({"underlying": f"rr_{coin(one.base)}usd"} if inverse else {}))
    return rows


def statuses(listed: dict[str, VenueInstrument]) -> list[dict[str, Any]]:
    """`GET instruments/status`: nothing is dislocated here."""
    calm = {
        "experiencingDislocation": False,
        "priceDislocationDirection": None,
        "experiencingExtremeVolatility": False,
        "extremeVolatilityInitialMarginMultiplier": 1,
    }
    return [{"tradeable": product_id(one), **calm} for one in listed.values()]


def level(instrument: VenueInstrument, price: int, size: int) -> dict[str, Any]:
    """One level of the book."""
    return {"price": number(instrument.price(price)), "qty": number(instrument.size(size))}


def trade(
    instrument: VenueInstrument, count: int, seq: int, price: int, size: int, side: int, ms: int, *, forced: bool
) -> dict[str, Any]:
    """A `trade`; `side` is the taker's."""
    return {
        "feed": "trade",
        "product_id": product_id(instrument),
        "uid": trade_uid(count),
        "side": "buy" if side > 0 else "sell",
        "type": "liquidation" if forced else "fill",
        "seq": seq,
        "time": ms,
        **level(instrument, price, size),
    }


def execution(instrument: VenueInstrument, count: int, price: int, size: int, side: int, ms: int) -> dict[str, Any]:
    """An element of a market's executions; whose orders they were is not told."""
    terms = {"tradeable": product_id(instrument), "quantity": f"{instrument.size(size):f}", "timestamp": ms}
    terms |= {"limitPrice": f"{instrument.price(price):f}", "reduceOnly": False, "lastUpdateTimestamp": ms}
    maker, taker = ("Sell", "Buy") if side > 0 else ("Buy", "Sell")
    return {
        "uid": _uid(_EVENTS, count),
        "timestamp": ms,
        "event": {
            "Execution": {
                "execution": {
                    "uid": trade_uid(count),
                    "makerOrder": {
                        "uid": _uid(_STRANGERS, 2 * count),
                        "direction": maker,
                        "orderType": "Post",
                        **terms,
                    },
                    "takerOrder": {
                        "uid": _uid(_STRANGERS, 2 * count + 1),
                        "direction": taker,
                        "orderType": "IoC",
                        **terms,
                    },
                    "timestamp": ms,
                    "quantity": terms["quantity"],
                    "price": terms["limitPrice"],
                    "markPrice": terms["limitPrice"],
                    "limitFilled": False,
                    "usdValue": "",
                },
                "takerReducedQuantity": "",
            }
        },
    }


def ticker(
    instrument: VenueInstrument, mark: Decimal, index: Decimal, funding: FundingRate, now_ms: int
) -> dict[str, Any]:
    """What of a `ticker` does not come from the book and the last trades."""
    assert instrument.contract is not None
    absolute = instrument.contract.value(mark, Decimal(1)) * funding.rate
    return {
        "feed": "ticker",
        "time": now_ms,
        "product_id": product_id(instrument),
        "funding_rate": float(absolute),
        "funding_rate_prediction": float(absolute),
        "relative_funding_rate": number(funding.rate),
        "relative_funding_rate_prediction": number(funding.rate),
        "next_funding_rate_time": funding.next_ns // 1_000_000,
        "index": number(index),
        "markPrice": number(mark),
        "premium": float(100 * (mark - index) / index),
        "suspended": False,
        "tag": "perpetual",
        "pair": f"{product_id(instrument)[3:-3]}:USD",
        "leverage": "50x",
        "dtm": 0,
        "maturityTime": 0,
        "post_only": False,
        "openInterest": 0,
    }


# --- orders ----------------------------------------------------------------------------------------------------------------------------


def kind_of(order: VenueOrder) -> str:
    """`lmt`, `post`, `ioc`, `fok`; a market order is an IOC by then."""
    if order.post_only:
        return "post"
    return {Tif.IOC: "ioc", Tif.FOK: "fok"}.get(order.tif, "lmt")


def order_json(order: VenueOrder, instrument: VenueInstrument, done: int) -> dict[str, Any]:
    """An order in the events of an answer; `done`: what had filled of it."""
    return {
        "orderId": order_id(order.order_id),
        "cliOrdId": order.client_id or None,
        "type": kind_of(order),
        "symbol": product_id(instrument),
        "side": "buy" if order.side > 0 else "sell",
        "quantity": number(instrument.size(order.quantity)),
        "filled": number(instrument.size(done)),
        "limitPrice": number(instrument.price(order.price)),
        "reduceOnly": order.reduce_only,
        "timestamp": moment(order.created_ns),
        "lastUpdateTimestamp": moment(order.updated_ns),
    }


def open_order(order: VenueOrder, instrument: VenueInstrument) -> dict[str, Any]:
    """A row of `openorders`."""
    row = {
        "order_id": order_id(order.order_id),
        "symbol": product_id(instrument),
        "side": "buy" if order.side > 0 else "sell",
        "orderType": "lmt",
        "limitPrice": number(instrument.price(order.price)),
        "unfilledSize": number(instrument.size(order.leaves)),
        "receivedTime": moment(order.created_ns),
        "status": "partiallyFilled" if order.filled else "untouched",
        "filledSize": number(instrument.size(order.filled)),
        "reduceOnly": order.reduce_only,
        "lastUpdateTime": moment(order.updated_ns),
    }
    return row | ({"cliOrdId": order.client_id} if order.client_id else {})


def feed_order(order: VenueOrder, instrument: VenueInstrument, done: int) -> dict[str, Any]:
    """An order as `open_orders` tells it: `qty` is what is open of it."""
    row = {
        "instrument": product_id(instrument),
        "time": order.created_ns // 1_000_000,
        "last_update_time": order.updated_ns // 1_000_000,
        "qty": number(instrument.size(order.quantity - done)),
        "filled": number(instrument.size(done)),
        "limit_price": number(instrument.price(order.price)),
        "stop_price": 0,
        "type": "limit",
        "order_id": order_id(order.order_id),
        "direction": 0 if order.side > 0 else 1,
        "reduce_only": order.reduce_only,
    }
    return row | ({"cli_ord_id": order.client_id} if order.client_id else {})


def gone(order: VenueOrder) -> dict[str, Any]:
    """An order that left the book without an execution, as `open_orders` tells it."""
    reason = "dead_man_switch" if order.ended_by is EndedBy.SWITCH else "cancelled_by_user"
    row = {"order_id": order_id(order.order_id), "is_cancel": True, "reason": reason}
    return row | ({"cli_ord_id": order.client_id} if order.client_id else {})


def history_order(order: VenueOrder, instrument: VenueInstrument) -> dict[str, Any]:
    """An order in the history; `quantity` is what is open of it."""
    kind = {"post": "Post", "ioc": "IoC", "fok": "IoC"}.get(kind_of(order), "Limit")
    return {
        "uid": order_id(order.order_id),
        "accountUid": ACCOUNT,
        "tradeable": product_id(instrument),
        "direction": "Buy" if order.side > 0 else "Sell",
        "quantity": f"{instrument.size(order.leaves):f}",
        "filled": f"{instrument.size(order.filled):f}",
        "timestamp": order.created_ns // 1_000_000,
        "limitPrice": f"{instrument.price(order.price):f}",
        "orderType": kind,
        "clientId": order.client_id,
        "reduceOnly": order.reduce_only,
        "lastUpdateTimestamp": order.updated_ns // 1_000_000,
    }


# --- executions ------------------------------------------------------------------------------------------------------------------------


def fill_type(fill: VenueFill, order: VenueOrder | None) -> str:
    """maker, taker, liquidation."""
    if order is not None and ended_by_venue(order):
        return "liquidation"
    return "maker" if fill.maker else "taker"


def feed_fill(
    fill: VenueFill, order: VenueOrder | None, instrument: VenueInstrument, left: int, seq: int
) -> dict[str, Any]:
    """A row of the `fills` feed; `left`: what is open of its order after it."""
    row = {
        "instrument": product_id(instrument),
        "time": fill.ts_ns // 1_000_000,
        "price": number(instrument.price(fill.price)),
        "seq": seq,
        "buy": fill.side > 0,
        "qty": number(instrument.size(fill.size)),
        "remaining_order_qty": number(instrument.size(left)),
        "order_id": order_id(fill.order_id),
        "fill_id": fill_id(fill.trade_id),
        "fill_type": fill_type(fill, order),
        "fee_paid": number(fill.fee),
        "fee_currency": fill.fee_currency,
        "taker_order_type": "ioc",
        "order_type": "limit",
    }
    mine = order is not None and order.client_id and not ended_by_venue(order)
    return row | ({"cli_ord_id": order.client_id} if mine and order is not None else {})


def rest_fill(fill: VenueFill, order: VenueOrder | None, instrument: VenueInstrument) -> dict[str, Any]:
    """A row of `GET fills`, which tells no fee."""
    row = {
        "fill_id": fill_id(fill.trade_id),
        "symbol": product_id(instrument),
        "side": "buy" if fill.side > 0 else "sell",
        "order_id": order_id(fill.order_id),
        "fillTime": moment(fill.ts_ns),
        "size": number(instrument.size(fill.size)),
        "price": number(instrument.price(fill.price)),
        "fillType": fill_type(fill, order),
    }
    mine = order is not None and order.client_id and not ended_by_venue(order)
    return row | ({"cliOrdId": order.client_id} if mine and order is not None else {})


# --- account log -----------------------------------------------------------------------------------------------------------------------


def trade_log(fill: VenueFill, instrument: VenueInstrument) -> dict[str, Any]:
    """The currency row of an execution in the account log."""
    return {
        "id": fill.trade_id,
        "date": moment(fill.ts_ns),
        "asset": coin(fill.fee_currency),
        "contract": product_id(instrument).lower(),
        "info": "futures trade",
        "booking_uid": _uid(_EVENTS, fill.trade_id),
        "margin_account": wallet_of(instrument),
        "execution": fill_id(fill.trade_id),
        "fee": number(fill.fee),
        "realized_pnl": number(fill.realised),
        "realized_funding": None,
        "trade_price": number(instrument.price(fill.price)),
    }


def funding_log(payment: Payment, instrument: VenueInstrument) -> dict[str, Any]:
    """A funding payment in the account log."""
    return {
        "id": payment.payment_id,
        "date": moment(payment.ts_ns),
        "asset": coin(payment.currency),
        "contract": product_id(instrument).lower(),
        "info": "funding rate change",
        "booking_uid": _uid(_EVENTS, payment.payment_id),
        "margin_account": wallet_of(instrument),
        "execution": None,
        "fee": 0,
        "funding_rate": number(payment.rate),
        "realized_funding": number(payment.amount),
        "realized_pnl": None,
        "trade_price": None,
    }


# --- wallets and positions -------------------------------------------------------------------------------------------------------------


def wallet_of(instrument: VenueInstrument) -> str:
    """The wallet that a contract stands on."""
    assert instrument.contract is not None
    return f"fi_{coin(instrument.base)}usd" if instrument.contract.inverse else "flex"


def accounts(core: MarginCore) -> dict[str, Any]:
    """`GET accounts`: the multi-collateral wallet, and one of each coin that inverse contracts stand on."""
    inverse = {one.base: one for one in core.instruments.values() if one.contract is not None and one.contract.inverse}
    currencies = {
        coin(code).upper(): {
            "quantity": number(total),
            "value": number(total),
            "collateral": number(total),
            "available": number(max(Decimal(0), core.free(code))),
        }
        for code, total in core.balances.items()
        if code not in inverse
    }
    position, orders, maintenance = margins(core, "USD")
    gains = core.equity("USD") - core.balances.get("USD", Decimal(0))
    flex = {
        "type": "multiCollateralMarginAccount",
        "currencies": currencies,
        "initialMargin": number(position),
        "initialMarginWithOrders": number(position + orders),
        "maintenanceMargin": number(maintenance),
        "balanceValue": number(core.balances.get("USD", Decimal(0))),
        "portfolioValue": number(core.equity("USD")),
        "collateralValue": number(core.balances.get("USD", Decimal(0))),
        "pnl": number(gains),
        "unrealizedFunding": 0,
        "totalUnrealized": number(gains),
        "totalUnrealizedAsMargin": number(gains),
        "availableMargin": number(core.free("USD")),
        "marginEquity": number(core.equity("USD")),
    }
    return {"flex": flex} | {wallet_of(one): _single(core, one) for one in inverse.values()}


def margins(core: MarginCore, currency: str) -> tuple[Decimal, Decimal, Decimal]:
    """Initial margin of the positions of a wallet, what open orders need beyond it, and maintenance margin."""
    zero = Decimal(0)
    needs = [core.initial(symbol) for symbol in core.of(currency)]
    position, orders = (sum((need[part] for need in needs), zero) for part in (0, 1))
    return position, orders, sum((core.maintenance(symbol) for symbol in core.of(currency)), zero)


def _single(core: MarginCore, instrument: VenueInstrument) -> dict[str, Any]:
    code, zero = instrument.base, Decimal(0)
    position, orders, maintenance = margins(core, code)
    held = {product_id(core.instruments[symbol]).lower(): core.holding(symbol).quantity for symbol in core.of(code)}
    balance = core.balances.get(code, zero)
    return {
        "type": "marginAccount",
        "currency": coin(code),
        "balances": {coin(code): number(balance), **{name: number(quantity) for name, quantity in held.items()}},
        "auxiliary": {
            "usd": 0,
            "pv": number(core.equity(code)),
            "pnl": number(core.equity(code) - balance),
            "af": number(core.free(code)),
            "funding": 0,
        },
        "marginRequirements": {
            "im": number(position + orders),
            "mm": number(maintenance),
            "lt": number(maintenance),
            "tt": number(maintenance),
        },
    }


def open_positions(core: MarginCore) -> list[dict[str, Any]]:
    """`GET openpositions`: those that are not flat, without their margins."""
    return [
        {
            "side": "long" if held.quantity > 0 else "short",
            "symbol": product_id(core.instruments[symbol]),
            "price": number(held.entry),
            "fillTime": moment(core.clock_ns()),
            "size": number(abs(held.quantity)),
            "unrealizedFunding": 0,
        }
        for symbol, held in core.holdings.items()
        if held.quantity
    ]


def feed_positions(core: MarginCore) -> list[dict[str, Any]]:
    """The rows of an `open_positions` message."""
    rows = []
    for symbol, held in core.holdings.items():
        if held.quantity:
            position, orders = core.initial(symbol)
            rows.append(
                {
                    "instrument": product_id(core.instruments[symbol]),
                    "balance": number(held.quantity),
                    "pnl": number(core.unrealised(symbol)),
                    "entry_price": number(held.entry),
                    "mark_price": number(core.mark(symbol)),
                    "liquidation_threshold": number(core.liquidation_price(symbol)),
                    "unrealized_funding": 0,
                    "initial_margin": number(position),
                    "initial_margin_with_orders": number(position + orders),
                    "maintenance_margin": number(core.maintenance(symbol)),
                    "pnl_currency": core.contract(symbol).settle,
                }
            )
    return rows
