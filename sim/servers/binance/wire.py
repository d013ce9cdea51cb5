"""Binance spot's words: frames, order payloads, filters and error codes, built from the matching core's values.

Sources: Binance spot API documentation (REST, WebSocket streams, user data stream, errors) and the recorded frames it is tested against.
Numbers are strings with eight decimals; times are milliseconds.
"""

from __future__ import annotations

from decimal import Decimal

from sim.events import BID
from sim.instruments import VenueInstrument
from sim.servers.matching import Change, MatchingCore, OrderStatus, Refusal, RefusalKind, VenueFill, VenueOrder

_STATUS = {
    OrderStatus.NEW: "NEW",
    OrderStatus.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
}


class BinanceError(Exception):
    """An error answer: HTTP status, Binance's code and message."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status

    def body(self) -> dict:
        """The JSON body."""
        return {"code": self.code, "msg": self.message}


def refused(refusal: Refusal) -> BinanceError:
    """Binance's error for a refusal of the matching core."""
    match refusal.kind:
        case RefusalKind.UNKNOWN_SYMBOL:
            return BinanceError(-1121, "Invalid symbol.")
        case RefusalKind.PRICE_TICK:
            return BinanceError(-1013, "Filter failure: PRICE_FILTER")
        case RefusalKind.QUANTITY_LOT | RefusalKind.MIN_QUANTITY:
            return BinanceError(-1013, "Filter failure: LOT_SIZE")
        case RefusalKind.MIN_NOTIONAL:
            return BinanceError(-1013, "Filter failure: NOTIONAL")
        case RefusalKind.INSUFFICIENT_FUNDS:
            return BinanceError(-2010, "Account has insufficient balance for requested action.")
        case RefusalKind.DUPLICATE_CLIENT_ID:
            return BinanceError(-2010, "Duplicate order sent.")
        case RefusalKind.WOULD_TAKE:
            return BinanceError(-2010, "Order would immediately match and take.")
        case RefusalKind.UNKNOWN_ORDER:
            return BinanceError(-2011, "Unknown order sent.")


def symbol_id(symbol: str) -> str:
    """`BTCUSDT` of `BTC/USDT` and of the perpetual `BTC/USDT:USDT`."""
    return symbol.partition(":")[0].replace("/", "")


def text(units: int, decimals: int) -> str:
    """An integer in units of 10^-decimals as Binance writes it: eight decimals."""
    digits = str(units).rjust(decimals + 1, "0")
    whole, fraction = (digits[:-decimals], digits[-decimals:]) if decimals else (digits, "")
    return f"{whole}.{fraction.ljust(8, '0')}"


def amount(value: Decimal) -> str:
    """A Decimal with eight decimals."""
    return f"{value:.8f}"


def pairs(rows: list[tuple[int, int]], instrument: VenueInstrument) -> str:
    """Levels (price, size) as a JSON array of string pairs."""
    price, size = instrument.price_decimals, instrument.size_decimals
    return "[" + ",".join([f'["{text(p, price)}","{text(s, size)}"]' for p, s in rows]) + "]"


def depth_update(
    rows: list[tuple[int, int, int]], instrument: VenueInstrument, first_id: int, last_id: int, event_ms: int
) -> str:
    """A `depthUpdate` frame of rows (side, price, size)."""
    bids = pairs([(price, size) for side, price, size in rows if side == BID], instrument)
    asks = pairs([(price, size) for side, price, size in rows if side != BID], instrument)
    name = symbol_id(instrument.symbol)
    return f'{{"e":"depthUpdate","E":{event_ms},"s":"{name}","U":{first_id},"u":{last_id},"b":{bids},"a":{asks}}}'


def book_ticker(instrument: VenueInstrument, update_id: int, bid: tuple[int, int], ask: tuple[int, int]) -> str:
    """A `bookTicker` frame; spot's has no event type and no time."""
    price, size = instrument.price_decimals, instrument.size_decimals
    return (
        f'{{"u":{update_id},"s":"{symbol_id(instrument.symbol)}","b":"{text(bid[0], price)}","B":"{text(bid[1], size)}",'
        f'"a":"{text(ask[0], price)}","A":"{text(ask[1], size)}"}}'
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
        f'{{"e":"trade","E":{event_ms},"s":"{symbol_id(instrument.symbol)}","t":{trade_id},'
        f'"p":"{text(price, instrument.price_decimals)}","q":"{text(size, instrument.size_decimals)}",'
        f'"T":{trade_ms},"m":{"true" if buyer_is_maker else "false"},"M":true}}'
    )


def exchange_info(instruments: dict[str, VenueInstrument], now_ms: int) -> dict:
    """`GET /api/v3/exchangeInfo`."""
    limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200000},
    ]
    symbols = [_listed(instrument) for instrument in instruments.values()]
    return {"timezone": "UTC", "serverTime": now_ms, "rateLimits": limits, "exchangeFilters": [], "symbols": symbols}


def _listed(instrument: VenueInstrument) -> dict:
    tick = amount(Decimal(1).scaleb(-instrument.price_decimals))
    lot = amount(Decimal(1).scaleb(-instrument.size_decimals))
    least = amount(instrument.min_quantity)
    return {
        "symbol": symbol_id(instrument.symbol),
        "status": "TRADING",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": False,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": least, "maxQty": "9000.00000000", "stepSize": lot},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": "0.00000000",
                "maxQty": "9000.00000000",
                "stepSize": "0.00000000",
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": amount(instrument.min_notional),
                "applyMinToMarket": True,
                "maxNotional": "100000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
    }


# --- orders ----------------------------------------------------------------------------------------------------------------------------


def _order_type(order: VenueOrder) -> str:
    return "MARKET" if order.market else "LIMIT"


def order_answer(order: VenueOrder, instrument: VenueInstrument) -> dict:
    """The FULL answer to a placed order."""
    price, size = instrument.price_decimals, instrument.size_decimals
    return {
        "symbol": symbol_id(order.symbol),
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "transactTime": order.updated_ns // 1_000_000,
        "price": text(order.price, price),
        "origQty": text(order.quantity, size),
        "executedQty": text(order.filled, size),
        "origQuoteOrderQty": "0.00000000",
        "cummulativeQuoteQty": amount(order.cost),
        "status": _STATUS[order.status],
        "timeInForce": order.tif.value if not order.market else "GTC",
        "type": _order_type(order),
        "side": "BUY" if order.side > 0 else "SELL",
        "workingTime": order.created_ns // 1_000_000,
        "fills": [
            {
                "price": text(fill.price, price),
                "qty": text(fill.size, size),
                "commission": amount(fill.fee),
                "commissionAsset": fill.fee_currency,
                "tradeId": fill.trade_id,
            }
            for fill in order.fills
        ],
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def order_state(order: VenueOrder, instrument: VenueInstrument) -> dict:
    """An order as `GET /api/v3/order` tells it."""
    answer = order_answer(order, instrument)
    del answer["fills"], answer["transactTime"]
    return answer | {
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": order.created_ns // 1_000_000,
        "updateTime": order.updated_ns // 1_000_000,
        "isWorking": True,
    }


def cancel_answer(order: VenueOrder, instrument: VenueInstrument, cancel_id: str) -> dict:
    """The answer to a cancel: `clientOrderId` is the cancel's own id."""
    answer = order_answer(order, instrument)
    del answer["fills"]
    return answer | {"origClientOrderId": order.client_id, "clientOrderId": cancel_id}


def amend_answer(order: VenueOrder, instrument: VenueInstrument, original_id: str) -> dict:
    """The answer to `order/amend/keepPriority`."""
    whole = order_answer(order, instrument)
    kept = ("symbol", "orderId", "orderListId", "clientOrderId", "price", "executedQty", "status", "timeInForce")
    amended = {name: whole[name] for name in (*kept, "type", "side", "workingTime", "selfTradePreventionMode")}
    amended |= {"origClientOrderId": original_id, "qty": whole["origQty"], "preventedQty": "0.00000000"}
    amended |= {"quoteOrderQty": "0.00000000", "cumulativeQuoteQty": whole["cummulativeQuoteQty"]}
    return {"transactTime": whole["transactTime"], "executionId": order.updated_ns, "amendedOrder": amended}


def my_trade(fill: VenueFill, instrument: VenueInstrument) -> dict:
    """A fill as `GET /api/v3/myTrades` tells it."""
    return {
        "symbol": symbol_id(fill.symbol),
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": text(fill.price, instrument.price_decimals),
        "qty": text(fill.size, instrument.size_decimals),
        "quoteQty": amount(fill.cost),
        "commission": amount(fill.fee),
        "commissionAsset": fill.fee_currency,
        "time": fill.ts_ns // 1_000_000,
        "isBuyer": fill.side > 0,
        "isMaker": fill.maker,
        "isBestMatch": True,
    }


def execution_report(
    order: VenueOrder,
    instrument: VenueInstrument,
    change: Change,
    fill: VenueFill | None,
    done: int,
    done_cost: Decimal,
    execution_id: int,
    now_ms: int,
    own_id: str,
    original_id: str,
) -> dict:
    """An `executionReport`; `done`, `done_cost`: quantity and cost filled up to and including this execution."""
    price, size = instrument.price_decimals, instrument.size_decimals
    kind, status = {
        Change.NEW: ("NEW", "NEW"),
        Change.TRADE: ("TRADE", "FILLED" if done == order.quantity else "PARTIALLY_FILLED"),
        Change.AMENDED: ("REPLACED", _STATUS[order.status]),
        Change.CANCELED: ("CANCELED", "CANCELED"),
        Change.EXPIRED: ("EXPIRED", "EXPIRED"),
    }[change]
    return {
        "e": "executionReport",
        "E": now_ms,
        "s": symbol_id(order.symbol),
        "c": own_id,
        "S": "BUY" if order.side > 0 else "SELL",
        "o": _order_type(order),
        "f": order.tif.value if not order.market else "GTC",
        "q": text(order.quantity, size),
        "p": text(order.price, price),
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": original_id,
        "x": kind,
        "X": status,
        "r": "NONE",
        "i": order.order_id,
        "l": text(fill.size if fill else 0, size),
        "z": text(done, size),
        "L": text(fill.price if fill else 0, price),
        "n": amount(fill.fee) if fill else "0",
        "N": fill.fee_currency if fill else None,
        "T": (fill.ts_ns if fill else order.updated_ns) // 1_000_000,
        "t": fill.trade_id if fill else -1,
        "v": 0,
        "I": execution_id,
        "w": change is Change.NEW and order.open,
        "m": bool(fill and fill.maker),
        "M": False,
        "O": order.created_ns // 1_000_000,
        "Z": amount(done_cost),
        "Y": amount(fill.cost) if fill else "0.00000000",
        "Q": "0.00000000",
        "W": order.created_ns // 1_000_000,
        "V": "EXPIRE_MAKER",
    }


def account(core: MatchingCore, now_ms: int) -> dict:
    """`GET /api/v3/account`."""
    locked = core.locked()
    balances = [
        {
            "asset": currency,
            "free": amount(total - locked.get(currency, Decimal(0))),
            "locked": amount(locked.get(currency, Decimal(0))),
        }
        for currency, total in sorted(core.balances.items())
    ]
    any_instrument = next(iter(core.instruments.values()))
    maker, taker = any_instrument.maker_fee_bps / 10_000, any_instrument.taker_fee_bps / 10_000
    return {
        "makerCommission": int(any_instrument.maker_fee_bps),
        "takerCommission": int(any_instrument.taker_fee_bps),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": amount(maker),
            "taker": amount(taker),
            "buyer": "0.00000000",
            "seller": "0.00000000",
        },
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": now_ms,
        "accountType": "SPOT",
        "balances": balances,
        "permissions": ["SPOT"],
        "uid": 1,
    }


def account_position(core: MatchingCore, currencies: set[str], now_ms: int) -> dict:
    """An `outboundAccountPosition` event: balances that may have changed."""
    locked = core.locked()
    balances = [
        {
            "a": currency,
            "f": amount(core.balances.get(currency, Decimal(0)) - locked.get(currency, Decimal(0))),
            "l": amount(locked.get(currency, Decimal(0))),
        }
        for currency in sorted(currencies)
    ]
    return {"e": "outboundAccountPosition", "E": now_ms, "u": now_ms, "B": balances}
