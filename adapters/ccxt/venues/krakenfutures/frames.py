"""Kraken Futures' `book`, `trade` and `ticker` frames. Numbers are JSON's.

A change of a book and a trade begin with their feed: `{"feed":"book","product_id":…`; of a ticker it stands anywhere. Whole books and the
snapshot of old trades, which come once, are left to the long way.
"""

from __future__ import annotations

import msgspec

from adapters.ccxt.market.frames import Row

BOOK, TRADE, TICKER = '{"feed":"book",', '{"feed":"trade",', '"feed":"ticker",'


class Book(Row, frozen=True):
    """A level of a book."""

    feed: str
    product_id: str
    side: str
    seq: int
    price: float | int
    qty: float | int
    timestamp: int


class Trade(Row, frozen=True):
    """A trade."""

    product_id: str
    uid: str
    side: str
    type: str
    time: int
    price: float | int
    qty: float | int


class Ticker(Row, frozen=True):
    """Of a perpetual: what funding goes by, and best prices."""

    product_id: str
    time: int
    relative_funding_rate: float | int
    next_funding_rate_time: int
    markPrice: float | int
    bid: float | int
    ask: float | int
    index: float | int | None = None


_BOOK, _TRADE, _TICKER = msgspec.json.Decoder(Book), msgspec.json.Decoder(Trade), msgspec.json.Decoder(Ticker)


def read(text: str) -> Book | Trade | Ticker | None:
    """What a frame says, or None."""
    try:
        if text.startswith(BOOK):
            return _BOOK.decode(text)
        if text.startswith(TRADE):
            return _TRADE.decode(text)
        if TICKER in text:
            return _TICKER.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None
    return None
