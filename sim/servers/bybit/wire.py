"""Bybit spot's words (v5): envelopes, frames, order and execution rows, the wallet and error codes, built from the matching core's values.

Sources: Bybit v5 documentation (REST, public and private WebSocket, enums, error codes), the recorded frames it is tested against, and, for
the words of ended spot orders, published rows of live accounts: cancelled by request is `CancelByUser` with `EC_PerCancelRequest`, a
post-only order that would take is acknowledged and then `Rejected`. Numbers are strings in the market's own decimals; times milliseconds.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple
from urllib.parse import quote

from sim.instruments import VenueInstrument
from sim.servers.matching import (
    Change,
    EndedBy,
    MatchingCore,
    OrderStatus,
    Refusal,
    RefusalKind,
    Tif,
    VenueFill,
    VenueOrder,
)

CATEGORY = "spot"
DEPTHS = (1, 50, 200, 1000)
MS = 1_000_000

Rows = list[tuple[int, int]]


class BybitError(Exception):
    """An error answer: `retCode` and `retMsg`, in an HTTP 200."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def refused(refusal: Refusal) -> BybitError:
    """Bybit's error for a refusal of the matching core. A post-only order that would take is not refused here, but ended by the core."""
    match refusal.kind:
        case RefusalKind.UNKNOWN_SYMBOL:
            return BybitError(170121, "Invalid symbol.")
        case RefusalKind.PRICE_TICK:
            return BybitError(170134, "Order price has too many decimals.")
        case RefusalKind.QUANTITY_LOT:
            return BybitError(170137, "Order volume decimal too long")
        case RefusalKind.MIN_QUANTITY:
            return BybitError(170136, "Order quantity exceeded lower limit.")
        case RefusalKind.MIN_NOTIONAL:
            return BybitError(170140, "Order value exceeded lower limit.")
        case RefusalKind.INSUFFICIENT_FUNDS:
            return BybitError(170131, "Insufficient balance.")
        case RefusalKind.DUPLICATE_CLIENT_ID:
            return BybitError(170141, "Duplicate clientOrderId")
        case RefusalKind.WOULD_TAKE:
            return BybitError(170218, "The LIMIT-MAKER order is rejected due to invalid price.")
        case RefusalKind.UNKNOWN_ORDER:
            return BybitError(170213, "Order does not exist.")


def symbol_id(symbol: str) -> str:
    """`BTCUSDT` of `BTC/USDT`."""
    return symbol.replace("/", "")


def text(units: int, decimals: int) -> str:
    """An integer in units of 10^-decimals."""
    return f"{Decimal(units).scaleb(-decimals):f}"


def amount(value: Decimal) -> str:
    """An amount without needless zeros."""
    return f"{value.normalize():f}" if value else "0"


def envelope(result: object, now_ms: int, code: int = 0, message: str = "OK") -> dict:
    """The body of every REST answer; a batch's result comes with its `retExtInfo`."""
    result, extra = result if isinstance(result, tuple) else (result, {})
    return {"retCode": code, "retMsg": message, "result": result, "retExtInfo": extra, "time": now_ms}


def cursor(row_id: int, ts_ns: int) -> str:
    """`nextPageCursor`: percent-encoded, as the venue hands it out."""
    mark = f"{row_id}:{ts_ns // MS}"
    return quote(f"{mark},{mark}", safe="")


# --- market data -----------------------------------------------------------------------------------------------------------------------


def _pairs(rows: Rows, instrument: VenueInstrument) -> str:
    price, size = instrument.price_decimals, instrument.size_decimals
    return "[" + ",".join(f'["{text(p, price)}","{text(s, size) if s else "0"}"]' for p, s in rows) + "]"


def orderbook(
    instrument: VenueInstrument,
    depth: int,
    kind: str,
    bids: Rows,
    asks: Rows,
    update: int,
    seq: int,
    ms: tuple[int, int],
) -> str:
    """An `orderbook` frame; `ms`: when it is sent, when the matching engine made it."""
    name = symbol_id(instrument.symbol)
    return (
        f'{{"topic":"orderbook.{depth}.{name}","ts":{ms[0]},"type":"{kind}","data":{{"s":"{name}","b":{_pairs(bids, instrument)},'
        f'"a":{_pairs(asks, instrument)},"u":{update},"seq":{seq}}},"cts":{ms[1]}}}'
    )


def public_trade(
    instrument: VenueInstrument, trade_id: int, price: int, size: int, side: int, ms: tuple[int, int], seq: int
) -> str:
    """A `publicTrade` frame of one trade; `ms`: when it is sent, when it was done."""
    name = symbol_id(instrument.symbol)
    return (
        f'{{"topic":"publicTrade.{name}","ts":{ms[0]},"type":"snapshot","data":[{{"i":"{trade_id}","T":{ms[1]},'
        f'"p":"{text(price, instrument.price_decimals)}","v":"{text(size, instrument.size_decimals)}",'
        f'"S":"{"Buy" if side > 0 else "Sell"}","seq":{seq},"s":"{name}","BT":false,"RPI":false}}]}}'
    )


def instruments_info(instruments: list[VenueInstrument]) -> dict:
    """`result` of `/v5/market/instruments-info`."""
    return {"category": CATEGORY, "list": [_listed(instrument) for instrument in instruments]}


def _listed(instrument: VenueInstrument) -> dict:
    return {
        "symbol": symbol_id(instrument.symbol),
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "utaOnly",
        "lotSizeFilter": {
            "basePrecision": text(1, instrument.size_decimals),
            "quotePrecision": text(1, instrument.price_decimals + instrument.size_decimals),
            "minOrderQty": amount(instrument.min_quantity),
            "maxOrderQty": "9000",
            "minOrderAmt": amount(instrument.min_notional),
            "maxOrderAmt": "100000000",
        },
        "priceFilter": {"tickSize": text(1, instrument.price_decimals)},
        "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.05"},
    }


# --- orders ----------------------------------------------------------------------------------------------------------------------------


class Standing(NamedTuple):
    """Where an order stands at a moment: the executions it has had, Bybit's words for it, and since when."""

    fills: list[VenueFill]
    status: str
    cancel_type: str
    reject_reason: str
    ts_ns: int


def standing(order: VenueOrder) -> Standing:
    """Where an order stands now."""
    match order.status:
        case OrderStatus.NEW | OrderStatus.PARTIALLY_FILLED | OrderStatus.FILLED:
            return _working(order, order.fills, order.updated_ns)
        case OrderStatus.EXPIRED if order.post_only and not order.filled:
            words = ("Rejected", "UNKNOWN", "EC_PostOnlyWillTakeLiquidity")
        case OrderStatus.EXPIRED:
            short = "EC_NoEnoughQtyToFill" if order.tif is Tif.FOK else "EC_NoImmediateQtyToFill"
            words = (_ended(order), "UNKNOWN", short)
        case OrderStatus.CANCELED if order.ended_by is EndedBy.SWITCH:
            words = (_ended(order), "CancelByDCP", "EC_PerCancelRequest")
        case OrderStatus.CANCELED:
            words = (_ended(order), "CancelByUser", "EC_PerCancelRequest")
    return Standing(order.fills, *words, order.updated_ns)


def standing_at(order: VenueOrder, change: Change, fill: VenueFill | None) -> Standing:
    """Where an order stood at one of its changes; what came after it is not known yet."""
    match change:
        case Change.NEW:
            return _working(order, [], order.created_ns)
        case Change.TRADE:
            assert fill is not None
            return _working(order, order.fills[: order.fills.index(fill) + 1], fill.ts_ns)
        case Change.AMENDED:
            return _working(order, order.fills, order.updated_ns)
        case Change.CANCELED | Change.EXPIRED:
            return standing(order)


def _working(order: VenueOrder, fills: list[VenueFill], ts_ns: int) -> Standing:
    left = order.quantity - sum(fill.size for fill in fills)
    status = "New" if not fills else "PartiallyFilled" if left else "Filled"
    return Standing(fills, status, "UNKNOWN", "EC_NoError", ts_ns)


def _ended(order: VenueOrder) -> str:
    return "PartiallyFilledCanceled" if order.filled else "Cancelled"


def order_row(order: VenueOrder, instrument: VenueInstrument, at: Standing) -> dict:
    """An order as `order/realtime`, `order/history` and the stream tell it."""
    price, size = instrument.price_decimals, instrument.size_decimals
    filled, value = sum(fill.size for fill in at.fills), sum((fill.cost for fill in at.fills), Decimal(0))
    fees: dict[str, Decimal] = {}
    for fill in at.fills:
        fees[fill.fee_currency] = fees.get(fill.fee_currency, Decimal(0)) + fill.fee
    left = order.quantity - filled
    return {
        "symbol": symbol_id(order.symbol),
        "orderId": str(order.order_id),
        "orderLinkId": order.client_id,
        "blockTradeId": "",
        "side": "Buy" if order.side > 0 else "Sell",
        "positionIdx": 0,
        "orderStatus": at.status,
        "cancelType": at.cancel_type,
        "rejectReason": at.reject_reason,
        "timeInForce": "PostOnly" if order.post_only else order.tif.value,
        "isLeverage": "0",
        "price": "0" if order.market else text(order.price, price),
        "qty": text(order.quantity, size),
        "avgPrice": f"{value / instrument.size(filled):.{price + 2}f}" if filled else "",
        "leavesQty": text(left, size),
        "leavesValue": amount(instrument.price(order.price) * instrument.size(left)),
        "cumExecQty": text(filled, size),
        "cumExecValue": amount(value),
        "cumExecFee": amount(sum(fees.values(), Decimal(0))),
        "orderType": "Market" if order.market else "Limit",
        "orderIv": "",
        "triggerPrice": "0",
        "takeProfit": "0",
        "stopLoss": "0",
        **dict.fromkeys(("stopOrderType", "triggerBy", "tpTriggerBy", "slTriggerBy", "placeType", "basePrice"), ""),
        "triggerDirection": 0,
        "closeOnTrigger": False,
        "reduceOnly": False,
        "smpGroup": 0,
        "smpType": "None",
        "smpOrderId": "",
        "marketUnit": "baseCoin" if order.market else "",
        "createdTime": str(order.created_ns // MS),
        "updatedTime": str(at.ts_ns // MS),
        "cumFeeDetail": {currency: amount(fee) for currency, fee in fees.items()},
    }


def execution_row(fill: VenueFill, order: VenueOrder | None, instrument: VenueInstrument, seq: int = 0) -> dict:
    """A fill as `execution/list` and the stream tell it."""
    price, size = instrument.price_decimals, instrument.size_decimals
    bps = instrument.maker_fee_bps if fill.maker else instrument.taker_fee_bps
    left = 0 if order is None else order.quantity - sum(f.size for f in order.fills if f.trade_id <= fill.trade_id)
    return {
        "symbol": symbol_id(fill.symbol),
        "closedSize": "",
        "execFee": amount(fill.fee),
        "execId": str(fill.trade_id),
        "execPrice": text(fill.price, price),
        "execQty": text(fill.size, size),
        "execType": "Trade",
        "execValue": amount(fill.cost),
        "feeRate": amount(bps / 10_000),
        "feeCurrency": fill.fee_currency,
        "tradeIv": "",
        "markIv": "",
        "blockTradeId": "",
        "markPrice": "",
        "indexPrice": "",
        "underlyingPrice": "",
        "leavesQty": text(left, size),
        "orderId": str(fill.order_id),
        "orderLinkId": "" if order is None else order.client_id,
        "orderPrice": "0" if order is None or order.market else text(order.price, price),
        "orderQty": "" if order is None else text(order.quantity, size),
        "orderType": "Market" if order is not None and order.market else "Limit",
        "stopOrderType": "",
        "side": "Buy" if fill.side > 0 else "Sell",
        "execTime": str(fill.ts_ns // MS),
        "isLeverage": "0",
        "isMaker": fill.maker,
        "seq": seq,
    }


# --- account ---------------------------------------------------------------------------------------------------------------------------


def wallet(core: MatchingCore, currencies: list[str]) -> dict:
    """One account of `wallet-balance` and of the `wallet` topic. Its sums in dollars are not simulated."""
    locked = core.locked()
    coins = [_coin(currency, core.balances[currency], locked.get(currency, Decimal(0))) for currency in currencies]
    sums = ("totalEquity", "totalWalletBalance", "totalMarginBalance", "totalAvailableBalance", "totalPerpUPL")
    return {
        "accountType": "UNIFIED",
        "accountIMRate": "0",
        "accountMMRate": "0",
        "accountLTV": "0",
        **dict.fromkeys(sums, ""),
        "totalInitialMargin": "0",
        "totalMaintenanceMargin": "0",
        "coin": coins,
    }


def _coin(currency: str, total: Decimal, locked: Decimal) -> dict:
    zeros = ("borrowAmount", "accruedInterest", "totalOrderIM", "totalPositionIM", "totalPositionMM", "unrealisedPnl")
    return {
        "coin": currency,
        "equity": amount(total),
        "usdValue": "",
        "walletBalance": amount(total),
        "availableToWithdraw": "",
        "availableToBorrow": "",
        **dict.fromkeys((*zeros, "cumRealisedPnl", "bonus", "spotBorrow", "spotHedgingQty"), "0"),
        "locked": amount(locked),
        "collateralSwitch": True,
        "marginCollateral": True,
    }


def coins(core: MatchingCore) -> dict:
    """`result` of `/v5/asset/coin/query-info`; chains are not simulated."""
    rows = [
        {"name": currency, "coin": currency, "remainAmount": "0", "chains": []} for currency in sorted(core.balances)
    ]
    return {"rows": rows}


def api_key_info(key: str) -> dict:
    """`result` of `/v5/user/query-api`: a key that may trade spot, of a unified account."""
    permissions = {
        "ContractTrade": [],
        "Spot": ["SpotTrade"],
        "Wallet": [],
        "Options": [],
        "Derivatives": [],
        "Exchange": [],
    }
    return {
        "id": "1",
        "note": "loopback",
        "apiKey": key,
        "readOnly": 0,
        "secret": "",
        "permissions": permissions,
        "ips": ["*"],
        "type": 1,
        "unified": 0,
        "uta": 1,
        "userID": 1,
        "inviterID": 0,
        "vipLevel": "VIP-Supreme",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
    }


def account_info() -> dict:
    """`result` of `/v5/account/info`: UTA 2.0."""
    return {
        "marginMode": "REGULAR_MARGIN",
        "updatedTime": "1697078946000",
        "unifiedMarginStatus": 6,
        "dcpStatus": "OFF",
        "timeWindow": 10,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }
