"""Kraken spot's words: pair and asset names, REST orders and trades, WebSocket v2 frames and the book checksum.

Sources: Kraken's REST and WebSocket v2 documentation and the recorded frames it is tested against. v2 writes prices
and quantities as JSON numbers with exactly the pair's decimals; here they are written from integers, so that nothing
is rounded.

Checksum (Kraken, "Spot WebSocket v2 book checksum"): of the ten best asks from low to high, then the ten best bids
from high to low, take price and quantity as written without the decimal point and without leading zeros, join
everything, CRC32.
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from decimal import Decimal

from sim.instruments import VenueInstrument
from sim.servers.matching import EndedBy, MatchingCore, OrderStatus, Refusal, RefusalKind, VenueFill, VenueOrder

_LEGACY_ASSET = {"BTC": "XXBT", "ETH": "XETH", "XRP": "XXRP", "USD": "ZUSD", "EUR": "ZEUR", "GBP": "ZGBP"}
_ALTNAME = {"BTC": "XBT"}
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CHECKSUM_LEVELS = 10


class KrakenError(Exception):
    """An error answer: Kraken's text, e.g. `EOrder:Insufficient funds`."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def refused(refusal: Refusal) -> KrakenError:
    """Kraken's error for a refusal of the matching core. The text for a repeated cl_ord_id is ours: Kraken does not document it."""
    match refusal.kind:
        case RefusalKind.UNKNOWN_SYMBOL:
            return KrakenError("EQuery:Unknown asset pair")
        case RefusalKind.PRICE_TICK:
            return KrakenError("EOrder:Invalid price")
        case RefusalKind.QUANTITY_LOT:
            return KrakenError("EGeneral:Invalid arguments:volume")
        case RefusalKind.MIN_QUANTITY:
            return KrakenError("EGeneral:Invalid arguments:volume minimum not met")
        case RefusalKind.MIN_NOTIONAL:
            return KrakenError("EOrder:Cost minimum not met")
        case RefusalKind.INSUFFICIENT_FUNDS:
            return KrakenError("EOrder:Insufficient funds")
        case RefusalKind.DUPLICATE_CLIENT_ID:
            return KrakenError("EGeneral:Invalid arguments:cl_ord_id already in use")
        case RefusalKind.WOULD_TAKE:
            return KrakenError("EOrder:Post only order")
        case RefusalKind.UNKNOWN_ORDER:
            return KrakenError("EOrder:Unknown order")


# --- names -----------------------------------------------------------------------------------------------------------------------------


def asset_id(currency: str) -> str:
    """`XXBT` of `BTC`, as REST names assets."""
    return _LEGACY_ASSET.get(currency, currency)


def altname(currency: str) -> str:
    """`XBT` of `BTC`."""
    return _ALTNAME.get(currency, currency)


def pair_id(symbol: str) -> str:
    """`XBTUSDT` of `BTC/USDT`."""
    base, _, quote = symbol.partition("/")
    return altname(base) + altname(quote)


def fee(bps: Decimal) -> dict:
    """A row of TradeVolume, in percent; there are no tiers here."""
    percent = f"{bps / 100:.4f}"
    return {
        "fee": percent,
        "minfee": percent,
        "maxfee": percent,
        "nextfee": None,
        "nextvolume": None,
        "tiervolume": None,
    }


def pair_names(symbol: str) -> tuple[str, ...]:
    """Every name under which REST accepts a pair."""
    base, _, quote = symbol.partition("/")
    return (
        pair_id(symbol),
        symbol,
        base + quote,
        f"{altname(base)}/{altname(quote)}",
        asset_id(base) + asset_id(quote),
    )


def _letters(prefix: str, number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    digits = digits.rjust(16, "0")
    return f"{prefix}{digits[:5]}-{digits[5:10]}-{digits[10:]}"


def order_txid(order_id: int) -> str:
    """An order id in Kraken's form, e.g. `O00000-0E2XK-5LM2QR`."""
    return _letters("O", order_id)


def trade_txid(trade_id: int) -> str:
    """A trade id in Kraken's form."""
    return _letters("T", trade_id)


def order_number(txid: str) -> int | None:
    """The order id of a txid, None when it is none of ours."""
    try:
        return int(txid[1:].replace("-", ""), 36) if txid[:1] == "O" else None
    except ValueError:
        return None


def text(units: int, decimals: int) -> str:
    """An integer in units of 10^-decimals with exactly these decimals."""
    if not decimals:
        return str(units)
    digits = str(units).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


def stamp(ns: int) -> str:
    """RFC 3339 with microseconds."""
    return datetime.fromtimestamp(ns // 1000 / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# --- book ------------------------------------------------------------------------------------------------------------------------------


def checksum(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> int:
    """Kraken's CRC32 of a book; levels (price, size) best first. Integers print as the documented digits do."""
    digits = [f"{price}{size}" for price, size in asks[:CHECKSUM_LEVELS]]
    digits += [f"{price}{size}" for price, size in bids[:CHECKSUM_LEVELS]]
    return zlib.crc32("".join(digits).encode())


def levels(rows: list[tuple[int, int]], instrument: VenueInstrument) -> str:
    """Levels (price, size) as v2 writes them."""
    price, size = instrument.price_decimals, instrument.size_decimals
    return "[" + ",".join([f'{{"price":{text(p, price)},"qty":{text(s, size)}}}' for p, s in rows]) + "]"


def book(
    kind: str,
    instrument: VenueInstrument,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    crc: int,
    ts_ns: int,
) -> str:
    """A `book` frame; `kind` is snapshot or update."""
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{instrument.symbol}","bids":{levels(bids, instrument)},'
        f'"asks":{levels(asks, instrument)},"checksum":{crc},"timestamp":"{stamp(ts_ns)}"}}]}}'
    )


def trades(kind: str, instrument: VenueInstrument, rows: list[tuple[int, int, int, int, int]]) -> str:
    """A `trade` frame of (id, price, size, aggressor side, ms)."""
    data = [
        f'{{"symbol":"{instrument.symbol}","side":"{"buy" if side > 0 else "sell"}","price":{text(price, instrument.price_decimals)},'
        f'"qty":{text(size, instrument.size_decimals)},"ord_type":"market","trade_id":{trade_id},"timestamp":"{stamp(ms * 1_000_000)}"}}'
        for trade_id, price, size, side, ms in rows
    ]
    return f'{{"channel":"trade","type":"{kind}","data":[{",".join(data)}]}}'


# --- orders ----------------------------------------------------------------------------------------------------------------------------


def status(order: VenueOrder) -> str:
    """REST's word for where an order stands."""
    match order.status:
        case OrderStatus.NEW | OrderStatus.PARTIALLY_FILLED:
            return "open"
        case OrderStatus.FILLED:
            return "closed"
        case OrderStatus.EXPIRED if order.expires_ns:
            return "expired"
        case OrderStatus.CANCELED | OrderStatus.EXPIRED:
            return "canceled"


def reason(order: VenueOrder) -> str | None:
    """Why an order ended before it was filled."""
    match order.status:
        case OrderStatus.CANCELED:
            return "User requested" if order.ended_by is EndedBy.REQUEST else "Order cancelled by the venue"
        case OrderStatus.EXPIRED:
            return "Expired" if order.rests else "Order could not be filled at once"
    return None


def described(order: VenueOrder, instrument: VenueInstrument) -> dict:
    """The `descr` of an order."""
    side, kind = ("buy" if order.side > 0 else "sell"), ("market" if order.market else "limit")
    price = text(order.price, instrument.price_decimals) if order.price else "0"
    volume = text(order.quantity, instrument.size_decimals)
    pair = pair_id(order.symbol)
    words = f"{side} {volume} {pair} @ {kind}" + ("" if order.market else f" {price}")
    return {
        "pair": pair,
        "type": side,
        "ordertype": kind,
        "price": price,
        "price2": "0",
        "leverage": "none",
        "order": words,
        "close": "",
    }


def order_state(order: VenueOrder, instrument: VenueInstrument, *, with_trades: bool) -> dict:
    """An order as QueryOrders, OpenOrders and ClosedOrders tell it."""
    fees = sum((fill.fee for fill in order.fills), Decimal(0))
    average = order.cost / instrument.size(order.filled) if order.filled else Decimal(0)
    out = {
        "refid": None,
        "userref": None,
        "cl_ord_id": order.client_id or None,
        "status": status(order),
        "reason": reason(order),
        "opentm": order.created_ns / 1e9,
        "starttm": 0,
        "expiretm": order.expires_ns / 1e9 if order.expires_ns else 0,
        "descr": described(order, instrument),
        "vol": text(order.quantity, instrument.size_decimals),
        "vol_exec": text(order.filled, instrument.size_decimals),
        "cost": f"{order.cost:.8f}",
        "fee": f"{fees:.8f}",
        "price": f"{average:.{instrument.price_decimals + 4}f}",
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": "fciq",
        "timeinforce": order.tif.value,
    }
    if not order.open:
        out["closetm"] = order.updated_ns / 1e9
    if with_trades:
        out["trades"] = [trade_txid(fill.trade_id) for fill in order.fills]
    return out


def trade_state(fill: VenueFill, order: VenueOrder | None, instrument: VenueInstrument) -> dict:
    """A fill as TradesHistory and QueryTrades tell it."""
    return {
        "ordertxid": order_txid(fill.order_id),
        "postxid": order_txid(fill.order_id),
        "pair": pair_id(fill.symbol),
        "time": fill.ts_ns / 1e9,
        "type": "buy" if fill.side > 0 else "sell",
        "ordertype": "market" if order is not None and order.market else "limit",
        "price": text(fill.price, instrument.price_decimals),
        "cost": f"{fill.cost:.8f}",
        "fee": f"{fill.fee:.8f}",
        "vol": text(fill.size, instrument.size_decimals),
        "margin": "0.00000",
        "leverage": "0",
        "misc": "",
        "trade_id": fill.trade_id,
        "maker": fill.maker,
        "ledgers": [],
        "cl_ord_id": order.client_id if order is not None else None,
    }


def _number(value: Decimal) -> str:
    return f"{value:.8f}"


def execution(
    order: VenueOrder,
    instrument: VenueInstrument,
    kind: str,
    order_status: str,
    fill: VenueFill | None,
    upto: list[VenueFill],
    ts_ns: int,
) -> str:
    """One row of an `executions` frame; `upto` are the fills up to and including this event."""
    done = sum(item.size for item in upto)
    cost = sum((item.cost for item in upto), Decimal(0))
    fees = sum((item.fee for item in upto), Decimal(0))
    price, size = instrument.price_decimals, instrument.size_decimals
    fields = {
        "order_id": f'"{order_txid(order.order_id)}"',
        "exec_type": f'"{kind}"',
        "order_status": f'"{order_status}"',
        "symbol": f'"{order.symbol}"',
        "side": '"buy"' if order.side > 0 else '"sell"',
        "order_type": '"market"' if order.market else '"limit"',
        "order_qty": text(order.quantity, size),
        "cum_qty": text(done, size),
        "cum_cost": _number(cost),
        "fee_usd_equiv": _number(fees),
        "fee_ccy_pref": '"fciq"',
        "time_in_force": f'"{order.tif.value}"',
        "timestamp": f'"{stamp(ts_ns)}"',
        "order_userref": "0",
    }
    if order.client_id:
        fields["cl_ord_id"] = f'"{order.client_id}"'
    if not order.market:
        fields["limit_price"] = text(order.price, price)
        fields["limit_price_type"] = '"static"'
    if done:
        fields["avg_price"] = f"{cost / instrument.size(done):.{price + 4}f}"
    if fill is not None:
        fields |= {
            "exec_id": f'"{trade_txid(fill.trade_id)}"',
            "trade_id": str(fill.trade_id),
            "last_qty": text(fill.size, size),
            "last_price": text(fill.price, price),
            "liquidity_ind": '"m"' if fill.maker else '"t"',
            "cost": _number(fill.cost),
            "fees": f'[{{"asset":"{fill.fee_currency}","qty":{_number(fill.fee)}}}]',
        }
    elif kind == "canceled":
        fields["reason"] = f'"{reason(order) or ""}"'
        fields["cancel_reason"] = fields["reason"]
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"


# --- listings --------------------------------------------------------------------------------------------------------------------------


def asset_pairs(instruments: dict[str, VenueInstrument]) -> dict:
    """`GET /0/public/AssetPairs`."""
    out = {}
    for symbol, instrument in instruments.items():
        out[pair_id(symbol)] = {
            "altname": pair_id(symbol),
            "wsname": f"{altname(instrument.base)}/{altname(instrument.quote)}",
            "aclass_base": "currency",
            "base": asset_id(instrument.base),
            "aclass_quote": "currency",
            "quote": asset_id(instrument.quote),
            "lot": "unit",
            "cost_decimals": 5,
            "pair_decimals": instrument.price_decimals,
            "lot_decimals": instrument.size_decimals,
            "lot_multiplier": 1,
            "leverage_buy": [],
            "leverage_sell": [],
            "fees": [[0, float(instrument.taker_fee_bps / 100)]],
            "fees_maker": [[0, float(instrument.maker_fee_bps / 100)]],
            "fee_volume_currency": "ZUSD",
            "margin_call": 80,
            "margin_stop": 40,
            "ordermin": str(instrument.min_quantity),
            "costmin": str(instrument.min_notional),
            "tick_size": str(Decimal(1).scaleb(-instrument.price_decimals)),
            "status": "online",
        }
    return out


def assets(core: MatchingCore) -> dict:
    """`GET /0/public/Assets`."""
    return {
        asset_id(currency): {
            "aclass": "currency",
            "altname": altname(currency),
            "decimals": 10 if currency in ("BTC", "ETH") else 8,
            "display_decimals": 5,
            "status": "enabled",
        }
        for currency in sorted(core.balances)
    }


def instrument_snapshot(core: MatchingCore) -> dict:
    """The snapshot of the v2 `instrument` channel."""
    pairs = [
        {
            "symbol": symbol,
            "base": instrument.base,
            "quote": instrument.quote,
            "status": "online",
            "qty_precision": instrument.size_decimals,
            "qty_increment": float(Decimal(1).scaleb(-instrument.size_decimals)),
            "price_precision": instrument.price_decimals,
            "price_increment": float(Decimal(1).scaleb(-instrument.price_decimals)),
            "cost_precision": 5,
            "marginable": False,
            "has_index": False,
            "cost_min": float(instrument.min_notional),
            "qty_min": float(instrument.min_quantity),
        }
        for symbol, instrument in core.instruments.items()
    ]
    listed = [
        {
            "id": currency,
            "status": "enabled",
            "precision": 8,
            "precision_display": 5,
            "borrowable": False,
            "collateral_value": 0.0,
        }
        for currency in sorted(core.balances)
    ]
    return {"channel": "instrument", "type": "snapshot", "data": {"assets": listed, "pairs": pairs}}
