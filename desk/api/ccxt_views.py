"""Market data and the desk's own accounts in ccxt's unified structures, with decimals as text.

Fields a venue's streams do not tell are null, never invented. `info.status` and `info.reason` say whether the book
can be trusted: a book that cannot is shown empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any

from desk.api.convert import text
from router.orders import ChildState

if TYPE_CHECKING:
    from nautilus_trader.model.data import QuoteTick, TradeTick

    from adapters.nautilus.outcome import VenueFill
    from desk.accounts import VenueOrder
    from pricing.consolidated import ConsolidatedBook

_MS = 1_000_000
_PRICE = Decimal("0.00000001")  # averages are no market's prices: as many digits as amounts have
_STATUS = {
    ChildState.NEW: "open",
    ChildState.SENT: "open",
    ChildState.ACKED: "open",
    ChildState.PARTIAL: "open",
    ChildState.UNKNOWN: "open",
    ChildState.FILLED: "closed",
    ChildState.CANCELLED: "canceled",
    ChildState.EXPIRED: "expired",
    ChildState.REJECTED: "rejected",
}


def iso(ts_ns: int) -> str:
    """ISO 8601 with milliseconds and Z, as ccxt writes `datetime`."""
    return datetime.fromtimestamp(ts_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def order_book(book: ConsolidatedBook, venue: str, depth: int, ts_event_ns: int, now_ns: int) -> dict[str, Any]:
    """`watch_order_book`: best level first on each side, at most `depth` levels."""
    status = book.status(venue, now_ns).value
    bids, asks = book.levels(venue, depth) if status == "live" else ([], [])
    return {
        "symbol": book.symbol,
        "bids": [[text(price), text(size)] for price, size in bids],
        "asks": [[text(price), text(size)] for price, size in asks],
        "timestamp": ts_event_ns // _MS or None,
        "datetime": iso(ts_event_ns) if ts_event_ns else None,
        "nonce": book.updates(venue),
        "info": {"venue": venue, "status": status, "reason": book.reason(venue)},
    }


def trade(tick: TradeTick, symbol: str) -> dict[str, Any]:
    """One public trade."""
    price, amount = tick.price.as_decimal(), tick.size.as_decimal()
    side = {1: "buy", 2: "sell"}.get(int(tick.aggressor_side))
    return {
        "id": tick.trade_id.value,
        "order": None,
        "timestamp": tick.ts_event // _MS,
        "datetime": iso(tick.ts_event),
        "symbol": symbol,
        "type": None,
        "side": side,
        "takerOrMaker": None,
        "price": text(price),
        "amount": text(amount),
        "cost": text(price * amount),
        "fee": None,
        "fees": [],
        "info": {},
    }


def ticker(
    symbol: str,
    book: ConsolidatedBook | None,
    venue: str,
    quote: QuoteTick | None,
    last: TradeTick | None,
    ts_event_ns: int,
    now_ns: int,
) -> dict[str, Any]:
    """Best bid and ask from the venue's own top-of-book stream or else its book, last price from its trades.

    Day statistics are null: they would need a day of the venue's trades.
    """
    bid = bid_size = ask = ask_size = None
    if quote is not None:
        bid, bid_size = text(quote.bid_price.as_decimal()), text(quote.bid_size.as_decimal())
        ask, ask_size = text(quote.ask_price.as_decimal()), text(quote.ask_size.as_decimal())
        ts_event_ns = quote.ts_event
    elif book is not None and book.status(venue, now_ns).value == "live":
        bids, asks = book.levels(venue, 1)
        if bids and asks:
            bid, bid_size, ask, ask_size = (text(value) for value in (*bids[0], *asks[0]))
    close = text(last.price.as_decimal()) if last is not None else None
    return {
        "symbol": symbol,
        "timestamp": ts_event_ns // _MS or None,
        "datetime": iso(ts_event_ns) if ts_event_ns else None,
        "high": None,
        "low": None,
        "bid": bid,
        "bidVolume": bid_size,
        "ask": ask,
        "askVolume": ask_size,
        "vwap": None,
        "open": None,
        "close": close,
        "last": close,
        "previousClose": None,
        "change": None,
        "percentage": None,
        "average": None,
        "baseVolume": None,
        "quoteVolume": None,
        "indexPrice": None,
        "markPrice": None,
        "info": {"venue": venue},
    }


def order(view: VenueOrder) -> dict[str, Any]:
    """One order of ours. An order whose outcome is unknown is open until it is proven otherwise; `info.state` says so."""
    child = view.child
    resting = child.resting or child.post_only
    fees = [{"currency": currency, "cost": text(cost)} for currency, cost in view.fees.items()]
    return {
        "id": view.venue_order_id,
        "clientOrderId": child.child_id,
        "timestamp": child.created_ns // _MS,
        "datetime": iso(child.created_ns),
        "lastTradeTimestamp": view.last_fill_ns // _MS or None,
        "lastUpdateTimestamp": child.updated_ns // _MS or None,
        "symbol": child.symbol,
        "type": "limit",
        "timeInForce": "GTC" if resting else "FOK" if child.quote_id else "IOC",
        "postOnly": child.post_only,
        "reduceOnly": None,
        "side": child.side,
        "price": text(child.limit_price),
        "triggerPrice": None,
        "stopPrice": None,
        "stopLossPrice": None,
        "takeProfitPrice": None,
        "amount": text(child.quantity),
        "filled": text(child.filled),
        "remaining": text(child.quantity - child.filled),
        "cost": text(child.notional),
        "average": text((child.notional / child.filled).quantize(_PRICE, ROUND_HALF_EVEN)) if child.filled else None,
        "status": _STATUS[child.state],
        "fee": fees[0] if len(fees) == 1 else None,
        "fees": fees,
        "trades": [],
        "info": {
            "venue": child.venue,
            "parent_id": child.parent_id,
            "state": child.state.value,
            "reason": child.reason,
            "quote_id": child.quote_id,
        },
    }


def my_trade(fill: VenueFill) -> dict[str, Any]:
    """One execution of ours."""
    fee = {"currency": fill.fee_currency, "cost": text(fill.fee)}
    return {
        "id": fill.trade_id,
        "order": fill.venue_order_id or None,
        "clientOrderId": fill.client_order_id,
        "timestamp": fill.ts_ns // _MS,
        "datetime": iso(fill.ts_ns),
        "symbol": fill.symbol,
        "type": None,
        "side": fill.side,
        "takerOrMaker": None if fill.maker is None else "maker" if fill.maker else "taker",
        "price": text(fill.price),
        "amount": text(fill.quantity),
        "cost": text(fill.price * fill.quantity),
        "fee": fee,
        "fees": [fee],
        "info": {"venue": fill.venue},
    }


def balance(account: Mapping[str, tuple[Decimal, Decimal, Decimal]], now_ns: int) -> dict[str, Any]:
    """A whole account: by currency, and the same by kind. `account`: total, free, locked."""
    rows = {
        currency: {"free": text(free), "used": text(locked), "total": text(total)}
        for currency, (total, free, locked) in account.items()
    }
    kinds = {kind: {currency: row[kind] for currency, row in rows.items()} for kind in ("free", "used", "total")}
    return {**rows, **kinds, "timestamp": now_ns // _MS, "datetime": iso(now_ns), "info": {}}
