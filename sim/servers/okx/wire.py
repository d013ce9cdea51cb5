"""OKX v5's words for spot: listings, books, trades, orders, fills, balances and error codes, built from the matching core's values.

Sources: OKX's API v5 documentation (REST, WebSocket, error codes, `cancelSource`), ccxt's table of the same codes, and the recorded
frames it is tested against. Numbers are strings without trailing zeros; times are milliseconds as strings; fees are negative when charged.
The code for a price off the tick (51000) is ours: OKX does not document one.
"""

from __future__ import annotations

import zlib
from decimal import Decimal

from sim.instruments import VenueInstrument
from sim.servers.matching import EndedBy, MatchingCore, OrderStatus, Refusal, RefusalKind, Tif, VenueFill, VenueOrder

Rows = list[tuple[int, int]]

_BILL_OFFSET = 400_000_000_000_000  # bill ids are a series of their own


class OkxError(Exception):
    """A refusal: OKX's code and message. `status` is the HTTP status of a request that failed as a whole."""

    def __init__(self, code: str, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def refused(refusal: Refusal) -> OkxError:
    """OKX's error for a refusal of the matching core."""
    match refusal.kind:
        case RefusalKind.UNKNOWN_SYMBOL:
            return OkxError("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        case RefusalKind.PRICE_TICK:
            return OkxError("51000", "Parameter px error")
        case RefusalKind.QUANTITY_LOT:
            return OkxError("51121", "Order quantity must be a multiple of the lot size.")
        case RefusalKind.MIN_QUANTITY | RefusalKind.MIN_NOTIONAL:
            return OkxError("51020", "Your order should meet or exceed the minimum order amount.")
        case RefusalKind.INSUFFICIENT_FUNDS:
            return OkxError("51008", "Order failed. Insufficient balance in account.")
        case RefusalKind.DUPLICATE_CLIENT_ID:
            return OkxError("51016", "Client order ID already exists.")
        case RefusalKind.UNKNOWN_ORDER:
            return OkxError("51400", "Cancellation failed as the order has been filled, canceled or does not exist.")
        case RefusalKind.WOULD_TAKE:
            raise AssertionError("OKX accepts such an order and ends it")


def inst_id(symbol: str) -> str:
    """`BTC-USDT` of `BTC/USDT`."""
    return symbol.replace("/", "-")


def inst_id_code(symbol: str) -> int:
    """The number that stands for a market on sockets; the venue's own are not known, these are of its size."""
    return 10_000 + zlib.crc32(symbol.encode()) % 90_000


def text(units: int, decimals: int) -> str:
    """An integer in units of 10^-decimals, without trailing zeros."""
    if not decimals:
        return str(units)
    digits = str(units).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}".rstrip("0").rstrip(".")


def plain(value: Decimal) -> str:
    """A Decimal without exponent and trailing zeros."""
    out = f"{value:f}"
    return out.rstrip("0").rstrip(".") if "." in out else out


def ms(ns: int) -> str:
    """Milliseconds since the epoch."""
    return str(ns // 1_000_000)


# --- market data -----------------------------------------------------------------------------------------------------------------------


def levels(rows: Rows, instrument: VenueInstrument) -> str:
    """Levels as OKX writes them: price, size, a field that is always "0", number of orders (one a level here)."""
    price, size = instrument.price_decimals, instrument.size_decimals
    return "[" + ",".join(f'["{text(p, price)}","{text(s, size)}","0","{int(s > 0)}"]' for p, s in rows) + "]"


def book(
    action: str, instrument: VenueInstrument, bids: Rows, asks: Rows, *, before: int, sequence: int, ts_ns: int
) -> str:
    """A `books` frame; `action` is snapshot or update. The checksum is 0 since June 2026."""
    return (
        f'{{"arg":{{"channel":"books","instId":"{inst_id(instrument.symbol)}"}},"action":"{action}","data":[{{'
        f'"asks":{levels(asks, instrument)},"bids":{levels(bids, instrument)},"ts":"{ms(ts_ns)}","checksum":0,'
        f'"seqId":{sequence},"prevSeqId":{before}}}]}}'
    )


def top(channel: str, instrument: VenueInstrument, bids: Rows, asks: Rows, sequence: int, ts_ns: int) -> str:
    """A `books5` or `bbo-tbt` frame: the best levels as they are, no changes."""
    name = inst_id(instrument.symbol)
    return (
        f'{{"arg":{{"channel":"{channel}","instId":"{name}"}},"data":[{{"asks":{levels(asks, instrument)},'
        f'"bids":{levels(bids, instrument)},"instId":"{name}","ts":"{ms(ts_ns)}","seqId":{sequence}}}]}}'
    )


def trade(instrument: VenueInstrument, row: tuple[int, int, int, int, int]) -> dict:
    """A public trade of (id, price, size, aggressor side, ms)."""
    trade_id, price, size, side, trade_ms = row
    return {
        "instId": inst_id(instrument.symbol),
        "tradeId": str(trade_id),
        "px": text(price, instrument.price_decimals),
        "sz": text(size, instrument.size_decimals),
        "side": "buy" if side > 0 else "sell",
        "ts": str(trade_ms),
    }


# --- listings --------------------------------------------------------------------------------------------------------------------------


def instrument_row(instrument: VenueInstrument) -> dict:
    """`public/instruments` of a spot pair."""
    tick, lot = Decimal(1).scaleb(-instrument.price_decimals), Decimal(1).scaleb(-instrument.size_decimals)
    empty = (
        "alias",
        "auctionEndTime",
        "ctMult",
        "ctType",
        "ctVal",
        "ctValCcy",
        "expTime",
        "instFamily",
        "lever",
        "optType",
    )
    return dict.fromkeys((*empty, "settleCcy", "stk", "uly"), "") | {
        "baseCcy": instrument.base,
        "category": "1",
        "instId": inst_id(instrument.symbol),
        "instIdCode": inst_id_code(instrument.symbol),
        "instType": "SPOT",
        "listTime": "1548133413000",
        "lotSz": plain(lot),
        "maxIcebergSz": "9999999999",
        "maxLmtAmt": "20000000",
        "maxLmtSz": "9999999999",
        "maxMktAmt": "1000000",
        "maxMktSz": "1000000",
        "maxStopSz": "1000000",
        "maxTriggerSz": "9999999999",
        "maxTwapSz": "9999999999",
        "minSz": plain(instrument.min_quantity),
        "quoteCcy": instrument.quote,
        "ruleType": "normal",
        "state": "live",
        "tickSz": plain(tick),
    }


def currency_row(currency: str) -> dict:
    """`asset/currencies`: one chain a currency, nothing moves in or out."""
    return {
        "canDep": False,
        "canInternal": False,
        "canWd": False,
        "ccy": currency,
        "chain": f"{currency}-Loopback",
        "fee": "0",
        "logoLink": "",
        "mainNet": True,
        "maxFee": "0",
        "maxWd": "0",
        "minDep": "0",
        "minFee": "0",
        "minWd": "0",
        "name": currency,
        "wdTickSz": "8",
    }


def fee_row(instrument: VenueInstrument, now_ns: int) -> dict:
    """`account/trade-fee`: rates are negative where they are charged."""
    maker, taker = (plain(-bps / 10_000) for bps in (instrument.maker_fee_bps, instrument.taker_fee_bps))
    return {
        "category": "1",
        "delivery": "",
        "exercise": "",
        "instType": "SPOT",
        "level": "VIP5",
        "maker": maker,
        "makerU": "",
        "makerUSDC": maker,
        "taker": taker,
        "takerU": "",
        "takerUSDC": taker,
        "ts": ms(now_ns),
    }


# --- the account -----------------------------------------------------------------------------------------------------------------------


def balances(core: MatchingCore, currencies: list[str] | None = None) -> dict:
    """`account/balance` and a row of the `account` channel; `currencies` None = all."""
    locked, now = core.locked(), ms(core.clock_ns())
    details = [
        balance_row(currency, total, locked.get(currency, Decimal(0)), now)
        for currency, total in sorted(core.balances.items())
        if currencies is None or currency in currencies
    ]
    unused = ("adjEq", "availEq", "borrowFroz", "imr", "mgnRatio", "mmr", "notionalUsd", "ordFroz", "upl")
    return dict.fromkeys(unused, "") | {"details": details, "isoEq": "0", "totalEq": "", "uTime": now}


def balance_row(currency: str, total: Decimal, locked: Decimal, now: str) -> dict:
    """One currency of an account in spot mode."""
    unused = (
        "accAvgPx",
        "borrowFroz",
        "crossLiab",
        "interest",
        "isoLiab",
        "isoUpl",
        "liab",
        "maxLoan",
        "mgnRatio",
        "uplLiab",
    )
    return dict.fromkeys(unused, "") | {
        "availBal": plain(total - locked),
        "availEq": "",
        "cashBal": plain(total),
        "ccy": currency,
        "disEq": "0",
        "eq": plain(total),
        "eqUsd": "",
        "fixedBal": "0",
        "frozenBal": plain(locked),
        "imr": "0",
        "isoEq": "0",
        "mmr": "0",
        "notionalLever": "0",
        "ordFrozen": plain(locked),
        "rewardBal": "0",
        "spotBal": "",
        "stgyEq": "0",
        "twap": "0",
        "uTime": now,
        "upl": "0",
    }


def order_type(order: VenueOrder) -> str:
    """OKX folds post-only and time in force into the type."""
    if order.market:
        return "market"
    if order.post_only:
        return "post_only"
    return {Tif.GTC: "limit", Tif.IOC: "ioc", Tif.FOK: "fok"}[order.tif]


def cancel_source(order: VenueOrder) -> str:
    """Why an order ended before it was filled, in OKX's numbers."""
    match order.status:
        case OrderStatus.CANCELED:
            return {EndedBy.REQUEST: "1", EndedBy.SWITCH: "20", EndedBy.AMEND: "0"}[order.ended_by]
        case OrderStatus.EXPIRED if order.post_only:
            return "31"
        case OrderStatus.EXPIRED:
            return "13" if order.tif is Tif.FOK else "14"
    return ""


_STATES = {
    OrderStatus.NEW: "live",
    OrderStatus.PARTIALLY_FILLED: "partially_filled",
    OrderStatus.FILLED: "filled",
    OrderStatus.CANCELED: "canceled",
    OrderStatus.EXPIRED: "canceled",
}


def order_state(order: VenueOrder, instrument: VenueInstrument) -> dict:
    """An order as `trade/order`, `orders-pending` and `orders-history` tell it: the last execution's fields are the last one's."""
    last = order.fills[-1] if order.fills else None
    return _order(order, instrument, _STATES[order.status], order.fills, last, order.updated_ns)


def order_event(
    order: VenueOrder,
    instrument: VenueInstrument,
    state: str,
    upto: list[VenueFill],
    fill: VenueFill | None,
    ts_ns: int,
) -> dict:
    """A row of the `orders` channel; `upto` are the fills up to and including this event, `fill` the one it tells of."""
    return _order(order, instrument, state, upto, fill, ts_ns) | {
        "amendResult": "",
        "amendSource": "",
        "code": "0",
        "execType": "" if fill is None else "M" if fill.maker else "T",
        "fillFee": "0" if fill is None else plain(-fill.fee),
        "fillFeeCcy": "" if fill is None else fill.fee_currency,
        "fillNotionalUsd": "",
        "fillPnl": "0",
        "lastPx": "",
        "msg": "",
        "notionalUsd": "",
        "reqId": "",
    }


def _order(
    order: VenueOrder,
    instrument: VenueInstrument,
    state: str,
    upto: list[VenueFill],
    fill: VenueFill | None,
    ts_ns: int,
) -> dict:
    price, size = instrument.price_decimals, instrument.size_decimals
    done = sum(item.size for item in upto)
    cost = sum((item.cost for item in upto), Decimal(0))
    fees = sum((item.fee for item in upto), Decimal(0))
    source = cancel_source(order) if state == "canceled" else ""
    unused = (
        "algoClOrdId", "algoId", "attachAlgoClOrdId", "ccy", "lever", "posSide", "pxType", "pxUsd", "pxVol", "quickMgnType",
        "slOrdPx", "slTriggerPx", "slTriggerPxType", "source", "stpId", "tag", "tpOrdPx", "tpTriggerPx", "tpTriggerPxType",
    )  # fmt: skip
    return dict.fromkeys(unused, "") | {
        "accFillSz": text(done, size),
        "attachAlgoOrds": [],
        "avgPx": f"{cost / instrument.size(done):.{price + 4}f}" if done else "",
        "cTime": ms(order.created_ns),
        "cancelSource": source,
        "cancelSourceReason": "",
        "category": "normal",
        "clOrdId": order.client_id,
        "fee": plain(-fees),
        "feeCcy": upto[-1].fee_currency if upto else instrument.base if order.side > 0 else instrument.quote,
        "fillPx": "" if fill is None else text(fill.price, price),
        "fillSz": "0" if fill is None else text(fill.size, size),
        "fillTime": "" if fill is None else ms(fill.ts_ns),
        "instId": inst_id(order.symbol),
        "instType": "SPOT",
        "isTpLimit": "false",
        "linkedAlgoOrd": {"algoId": ""},
        "ordId": str(order.order_id),
        "ordType": order_type(order),
        "pnl": "0",
        "px": "" if order.market else text(order.price, price),
        "rebate": "0",
        "rebateCcy": instrument.quote if order.side > 0 else instrument.base,
        "reduceOnly": "false",
        "side": "buy" if order.side > 0 else "sell",
        "state": state,
        "stpMode": "cancel_maker",
        "sz": text(order.quantity, size),
        "tdMode": "cash",
        "tgtCcy": "base_ccy" if order.market else "",
        "tradeId": "" if fill is None else str(fill.trade_id),
        "uTime": ms(ts_ns),
    }


def bill_id(fill: VenueFill) -> int:
    """The ledger entry of an execution, by which listings are paged."""
    return _BILL_OFFSET + fill.trade_id


def fill_row(fill: VenueFill, client_id: str, instrument: VenueInstrument) -> dict:
    """An execution as `trade/fills` and `trade/fills-history` tell it."""
    return {
        "billId": str(bill_id(fill)),
        "clOrdId": client_id,
        "execType": "M" if fill.maker else "T",
        "fee": plain(-fill.fee),
        "feeCcy": fill.fee_currency,
        "feeRate": "",
        "fillIdxPx": "",
        "fillMarkPx": "",
        "fillMarkVol": "",
        "fillPnl": "0",
        "fillPx": text(fill.price, instrument.price_decimals),
        "fillPxUsd": "",
        "fillPxVol": "",
        "fillSz": text(fill.size, instrument.size_decimals),
        "fillTime": ms(fill.ts_ns),
        "instId": inst_id(fill.symbol),
        "instType": "SPOT",
        "ordId": str(fill.order_id),
        "posSide": "net",
        "side": "buy" if fill.side > 0 else "sell",
        "subType": "1" if fill.side > 0 else "2",
        "tag": "",
        "tradeId": str(fill.trade_id),
        "ts": ms(fill.ts_ns),
    }
