"""Binance USD-M's words: frames, order payloads, filters and error codes, built from a margin core's values.

Sources: Binance USDⓈ-M futures API documentation (REST, market streams, user data streams, error codes), the recorded feeds and examples
the adapter is tested against, and what ccxt reads. Numbers are strings with the market's own decimals, money with eight.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from sim.events import BID
from sim.instruments import VenueInstrument
from sim.servers.binance.wire import BinanceError, amount, symbol_id
from sim.servers.funding import FundingRate
from sim.servers.margin import ended_by_venue
from sim.servers.records import Change, OrderStatus, Refusal, RefusalKind, Tif, VenueFill, VenueOrder

ONBOARD_MS = 1_569_398_400_000
_STATUS = {
    OrderStatus.NEW: "NEW",
    OrderStatus.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
}


def refused(refusal: Refusal) -> BinanceError:
    """Binance's error for a refusal of the core."""
    match refusal.kind:
        case RefusalKind.UNKNOWN_SYMBOL:
            return BinanceError(-1121, "Invalid symbol.")
        case RefusalKind.PRICE_TICK:
            return BinanceError(-4014, "Price not increased by tick size.")
        case RefusalKind.QUANTITY_LOT:
            return BinanceError(-1111, "Precision is over the maximum defined for this asset.")
        case RefusalKind.MIN_QUANTITY:
            return BinanceError(-4003, "Quantity less than or equal to zero.")
        case RefusalKind.MIN_NOTIONAL:
            return BinanceError(-4164, "Order's notional must be no smaller than 100 (unless you choose reduce only).")
        case RefusalKind.INSUFFICIENT_FUNDS:
            return BinanceError(-2019, "Margin is insufficient.")
        case RefusalKind.POSITION_LIMIT:
            return BinanceError(-2027, "Exceeded the maximum allowable position at current leverage.")
        case RefusalKind.DUPLICATE_CLIENT_ID:
            return BinanceError(-4116, "ClientOrderId is duplicated.")
        case RefusalKind.WOULD_TAKE:
            return BinanceError(
                -5022, "Due to the order could not be executed as maker, the Post Only order will be rejected."
            )
        case RefusalKind.CANNOT_FILL:
            return BinanceError(
                -5021, "Due to the order could not be filled immediately, the FOK order has been rejected."
            )
        case RefusalKind.REDUCE_ONLY:
            return BinanceError(-2022, "ReduceOnly Order is rejected.")
        case RefusalKind.UNKNOWN_ORDER:
            return BinanceError(-2011, "Unknown order sent.")


def text(units: int, decimals: int) -> str:
    """An integer in units of 10^-decimals."""
    if not decimals:
        return str(units)
    digits = str(units).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


def pairs(rows: list[tuple[int, int]], instrument: VenueInstrument) -> str:
    """Levels (price, size) as a JSON array of string pairs."""
    price, size = instrument.price_decimals, instrument.size_decimals
    return "[" + ",".join([f'["{text(p, price)}","{text(s, size)}"]' for p, s in rows]) + "]"


# --- market streams --------------------------------------------------------------------------------------------------------------------


def depth_update(
    rows: list[tuple[int, int, int]],
    instrument: VenueInstrument,
    first_id: int,
    last_id: int,
    previous_id: int,
    event_ms: int,
) -> str:
    """A `depthUpdate` frame of rows (side, price, size)."""
    bids = pairs([(price, size) for side, price, size in rows if side == BID], instrument)
    asks = pairs([(price, size) for side, price, size in rows if side != BID], instrument)
    return (
        f'{{"e":"depthUpdate","E":{event_ms},"T":{event_ms},"s":"{symbol_id(instrument.symbol)}","U":{first_id},"u":{last_id},'
        f'"pu":{previous_id},"b":{bids},"a":{asks}}}'
    )


def book_ticker(
    instrument: VenueInstrument, update_id: int, bid: tuple[int, int], ask: tuple[int, int], event_ms: int
) -> str:
    """A `bookTicker` frame."""
    price, size = instrument.price_decimals, instrument.size_decimals
    return (
        f'{{"e":"bookTicker","u":{update_id},"s":"{symbol_id(instrument.symbol)}","b":"{text(bid[0], price)}",'
        f'"B":"{text(bid[1], size)}","a":"{text(ask[0], price)}","A":"{text(ask[1], size)}","T":{event_ms},"E":{event_ms}}}'
    )


def trade(
    instrument: VenueInstrument,
    trade_id: int,
    price: int,
    size: int,
    buyer_is_maker: bool,
    trade_ms: int,
    event_ms: int,
) -> str:
    """A `trade` frame."""
    return (
        f'{{"e":"trade","E":{event_ms},"T":{trade_ms},"s":"{symbol_id(instrument.symbol)}","t":{trade_id},'
        f'"p":"{text(price, instrument.price_decimals)}","q":"{text(size, instrument.size_decimals)}","X":"MARKET",'
        f'"m":{"true" if buyer_is_maker else "false"}}}'
    )


def agg_trade(
    instrument: VenueInstrument,
    trade_id: int,
    price: int,
    size: int,
    buyer_is_maker: bool,
    trade_ms: int,
    event_ms: int,
) -> str:
    """An `aggTrade` frame; each of our trades is an aggregate of its own."""
    return (
        f'{{"e":"aggTrade","E":{event_ms},"a":{trade_id},"s":"{symbol_id(instrument.symbol)}",'
        f'"p":"{text(price, instrument.price_decimals)}","q":"{text(size, instrument.size_decimals)}","f":{trade_id},"l":{trade_id},'
        f'"T":{trade_ms},"m":{"true" if buyer_is_maker else "false"}}}'
    )


def mark_price(symbol: str, mark: Decimal, index: Decimal, funding: FundingRate, now_ms: int) -> dict:
    """A `markPriceUpdate` event."""
    return {
        "e": "markPriceUpdate",
        "E": now_ms,
        "s": symbol_id(symbol),
        "p": amount(mark),
        "i": amount(index),
        "P": amount(mark),
        "r": amount(funding.rate),
        "T": funding.next_ns // 1_000_000,
    }


def premium_index(symbol: str, mark: Decimal, index: Decimal, funding: FundingRate, now_ms: int) -> dict:
    """`GET /fapi/v1/premiumIndex` of one symbol."""
    return {
        "symbol": symbol_id(symbol),
        "markPrice": amount(mark),
        "indexPrice": amount(index),
        "estimatedSettlePrice": amount(mark),
        "lastFundingRate": amount(funding.rate),
        "interestRate": "0.00010000",
        "nextFundingTime": funding.next_ns // 1_000_000,
        "time": now_ms,
    }


def force_order(order: VenueOrder, instrument: VenueInstrument, now_ms: int) -> str:
    """A `forceOrder` frame of a liquidation that has filled."""
    price, size = instrument.price_decimals, instrument.size_decimals
    filled, worst = text(order.filled, size), order.fills[-1]
    return (
        f'{{"e":"forceOrder","E":{now_ms},"o":{{"s":"{symbol_id(order.symbol)}","S":"{_side(order)}","o":"LIMIT","f":"IOC",'
        f'"q":"{text(order.quantity, size)}","p":"{text(worst.price, price)}","ap":"{_average(order, instrument)}","X":"FILLED",'
        f'"l":"{filled}","z":"{filled}","T":{order.updated_ns // 1_000_000}}}}}'
    )


def kline(instrument: VenueInstrument, interval: str, row: tuple[int, ...], closed: bool, now_ms: int) -> str:
    """A `kline` frame of (opening ms, closing ms, open, high, low, close, volume, trades, first id, last id)."""
    start, end, first, high, low, last, volume, count, first_id, last_id = row
    price, size, name = instrument.price_decimals, instrument.size_decimals, symbol_id(instrument.symbol)
    prices = {key: text(value, price) for key, value in (("o", first), ("c", last), ("h", high), ("l", low))}
    numbers = "".join(f'"{key}":"{value}",' for key, value in prices.items())
    return (
        f'{{"e":"kline","E":{now_ms},"s":"{name}","k":{{"t":{start},"T":{end},"s":"{name}","i":"{interval}","f":{first_id},"L":{last_id},'
        f'{numbers}"v":"{text(volume, size)}","n":{count},"x":{"true" if closed else "false"},"q":"0","V":"0","Q":"0","B":"0"}}}}'
    )


# --- listing ---------------------------------------------------------------------------------------------------------------------------


def exchange_info(instruments: dict[str, VenueInstrument], now_ms: int) -> dict:
    """`GET /fapi/v1/exchangeInfo`."""
    limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
    ]
    assets = [
        {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"}
        for asset in sorted({instrument.settle for instrument in instruments.values()})
    ]
    symbols = [_listed(instrument) for instrument in instruments.values()]
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": limits,
        "exchangeFilters": [],
        "assets": assets,
        "symbols": symbols,
    }


def _listed(instrument: VenueInstrument) -> dict:
    tick, lot = (f"{Decimal(1).scaleb(-n):f}" for n in (instrument.price_decimals, instrument.size_decimals))
    least = f"{instrument.min_quantity:f}"
    return {
        "symbol": symbol_id(instrument.symbol),
        "pair": symbol_id(instrument.symbol),
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": ONBOARD_MS,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.settle,
        "pricePrecision": instrument.price_decimals,
        "quantityPrecision": instrument.size_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "4529764", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": least, "maxQty": "1000", "stepSize": lot},
            {"filterType": "MARKET_LOT_SIZE", "minQty": least, "maxQty": "120", "stepSize": lot},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": f"{instrument.min_notional:f}"},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "1.0500",
                "multiplierDown": "0.9500",
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


# --- orders ----------------------------------------------------------------------------------------------------------------------------


def _side(order: VenueOrder) -> str:
    return "BUY" if order.side > 0 else "SELL"


def _tif(order: VenueOrder) -> str:
    if order.market:
        return "GTC"
    return "GTX" if order.post_only and order.tif is Tif.GTC else order.tif.value


def _average(order: VenueOrder, instrument: VenueInstrument) -> str:
    if not order.filled:
        return "0.00"
    contract = instrument.contract
    assert contract is not None
    done = instrument.size(order.filled) * contract.size
    price = done / order.cost if contract.inverse else order.cost / done
    return f"{price.quantize(Decimal(1).scaleb(-instrument.price_decimals - 3), ROUND_HALF_EVEN):f}"


def order_state(order: VenueOrder, instrument: VenueInstrument) -> dict:
    """An order as queries and RESULT answers tell it."""
    price, size = instrument.price_decimals, instrument.size_decimals
    kind = "MARKET" if order.market else "LIMIT"
    return {
        "orderId": order.order_id,
        "symbol": symbol_id(order.symbol),
        "status": _STATUS[order.status],
        "clientOrderId": order.client_id,
        "price": text(order.price, price),
        "avgPrice": _average(order, instrument),
        "origQty": text(order.quantity, size),
        "executedQty": text(order.filled, size),
        "cumQty": text(order.filled, size),
        "cumQuote": f"{order.cost:f}",
        "timeInForce": _tif(order),
        "type": kind,
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": _side(order),
        "positionSide": "BOTH",
        "stopPrice": "0.00",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": kind,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        "time": order.created_ns // 1_000_000,
        "updateTime": order.updated_ns // 1_000_000,
    }


def user_trade(fill: VenueFill, instrument: VenueInstrument) -> dict:
    """A fill as `GET /fapi/v1/userTrades` tells it."""
    return {
        "symbol": symbol_id(fill.symbol),
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": "BUY" if fill.side > 0 else "SELL",
        "price": text(fill.price, instrument.price_decimals),
        "qty": text(fill.size, instrument.size_decimals),
        "realizedPnl": amount(fill.realised),
        "quoteQty": f"{fill.cost:f}",
        "commission": amount(fill.fee),
        "commissionAsset": fill.fee_currency,
        "time": fill.ts_ns // 1_000_000,
        "positionSide": "BOTH",
        "buyer": fill.side > 0,
        "maker": fill.maker,
    }


def order_update(
    order: VenueOrder, instrument: VenueInstrument, change: Change, fill: VenueFill | None, done: int, now_ms: int
) -> dict:
    """An `ORDER_TRADE_UPDATE`; `done`: filled up to and including this execution. A liquidation's executions are CALCULATED."""
    price, size = instrument.price_decimals, instrument.size_decimals
    kind = "MARKET" if order.market and not ended_by_venue(order) else "LIMIT"
    execution, status = {
        Change.NEW: ("NEW", "NEW"),
        Change.TRADE: ("TRADE", "FILLED" if done == order.quantity else "PARTIALLY_FILLED"),
        Change.AMENDED: ("AMENDMENT", _STATUS[order.status]),
        Change.CANCELED: ("CANCELED", "CANCELED"),
        Change.EXPIRED: ("EXPIRED", "EXPIRED"),
    }[change]
    if ended_by_venue(order) and fill is not None:
        execution = "CALCULATED"
    said = {
        "s": symbol_id(order.symbol),
        "c": order.client_id,
        "S": _side(order),
        "o": kind,
        "f": "IOC" if ended_by_venue(order) else _tif(order),
        "q": text(order.quantity, size),
        "p": text(order.price, price),
        "ap": _average(order, instrument) if done else "0",
        "sp": "0",
        "x": execution,
        "X": status,
        "i": order.order_id,
        "l": text(fill.size if fill else 0, size),
        "z": text(done, size),
        "L": text(fill.price if fill else 0, price),
        "n": amount(fill.fee) if fill else "0",
        "N": instrument.settle,
        "T": (fill.ts_ns if fill else order.updated_ns) // 1_000_000,
        "t": fill.trade_id if fill else 0,
        "b": "0",
        "a": "0",
        "m": bool(fill and fill.maker),
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": kind,
        "ps": "BOTH",
        "cp": False,
        "rp": amount(fill.realised) if fill else "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "EXPIRE_MAKER",
        "pm": "NONE",
        "gtd": 0,
    }
    return {"e": "ORDER_TRADE_UPDATE", "T": said["T"], "E": now_ms, "o": said}
