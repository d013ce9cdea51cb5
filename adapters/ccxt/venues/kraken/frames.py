"""Kraken's v2 `book`, `trade` and `ticker` frames. Each begins with its channel: `{"channel":"book",…`. Numbers are JSON's."""

from __future__ import annotations

import msgspec

from adapters.ccxt.dialect import Decoded
from adapters.ccxt.events import Stream
from adapters.ccxt.market.frames import Row

BOOK, TRADE, TICKER = '{"channel":"book"', '{"channel":"trade"', '{"channel":"ticker"'


class Book(Row, frozen=True):
    """One element of a `book` message."""

    symbol: str
    bids: msgspec.Raw
    asks: msgspec.Raw
    checksum: int
    timestamp: str | None = None


class Trade(Row, frozen=True):
    """One element of a `trade` message."""

    symbol: str
    side: str
    price: float
    qty: float
    trade_id: int
    timestamp: str | None = None


class Ticker(Row, frozen=True):
    """One element of a `ticker` message."""

    symbol: str
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float
    timestamp: str | None = None


class Books(msgspec.Struct, frozen=True):
    """`type`: snapshot or update."""

    type: str
    data: list[Book]


class Trades(msgspec.Struct, frozen=True):
    """`type`: snapshot (of the past) or update."""

    type: str
    data: list[Trade]


class Tickers(msgspec.Struct, frozen=True):
    """`type`: snapshot or update."""

    type: str
    data: list[Ticker]


_BOOKS, _TRADES, _TICKERS = (
    msgspec.json.Decoder(Books),
    msgspec.json.Decoder(Trades),
    msgspec.json.Decoder(Tickers),
)


def read(text: str) -> list[Decoded] | None:
    """The pieces of a frame, each with its message's type, or None. Trades before we came are left to the long way, which drops them."""
    try:
        if text.startswith(TICKER):
            tickers = _TICKERS.decode(text)
            return [Decoded(Stream.QUOTES, row.symbol, (tickers.type, row)) for row in tickers.data]
        if text.startswith(TRADE):
            trades = _TRADES.decode(text)
            if trades.type == "snapshot":
                return None
            return [Decoded(Stream.TRADES, row.symbol, (trades.type, row)) for row in trades.data]
        if text.startswith(BOOK):
            books = _BOOKS.decode(text)
            return [Decoded(Stream.BOOK, row.symbol, (books.type, row)) for row in books.data]
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None
    return None
