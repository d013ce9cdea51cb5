"""Market data in ccxt's unified structures, with decimals as text: order book, trade, ticker, bids and asks.

Fields a venue's streams do not tell are null, never invented. `info.status` and `info.reason` say whether the book
can be trusted: a book that cannot is shown empty.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from desk.api.convert import text

if TYPE_CHECKING:
    from nautilus_trader.model.data import QuoteTick, TradeTick

    from pricing.consolidated import ConsolidatedBook

_MS = 1_000_000


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
