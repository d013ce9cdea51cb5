"""OKX's `books`, `trades` and `bbo-tbt` frames. Each begins with its channel: `{"arg":{"channel":"books","instId":"BTC-USDT"},…`."""

from __future__ import annotations

import msgspec

from adapters.ccxt.dialect import Decoded
from adapters.ccxt.events import Stream
from adapters.ccxt.market.frames import Row

BEGIN = '{"arg":{"channel":"'


class Argument(msgspec.Struct, frozen=True):
    """What a frame belongs to."""

    channel: str
    instId: str


class Book(Row, frozen=True):
    """One element of a `books` message."""

    asks: msgspec.Raw
    bids: msgspec.Raw
    ts: str
    seqId: int
    prevSeqId: int


class Trade(Row, frozen=True):
    """One element of a `trades` message."""

    tradeId: str
    px: str
    sz: str
    side: str
    ts: str


class Top(Row, frozen=True):
    """One element of a `bbo-tbt` message."""

    asks: list[list[str]]
    bids: list[list[str]]
    ts: str


class Books(msgspec.Struct, frozen=True):
    """`action`: snapshot or update."""

    arg: Argument
    action: str
    data: list[Book]


class Trades(msgspec.Struct, frozen=True):
    """Rows of a taker's matches."""

    arg: Argument
    data: list[Trade]


class Tops(msgspec.Struct, frozen=True):
    """Level 1."""

    arg: Argument
    data: list[Top]


_BOOKS, _TRADES, _TOPS = msgspec.json.Decoder(Books), msgspec.json.Decoder(Trades), msgspec.json.Decoder(Tops)


def read(text: str) -> list[Decoded] | None:
    """The pieces of a frame, or None. A best price that lacks a side is none."""
    if not text.startswith(BEGIN):
        return None
    end = text.find('"', len(BEGIN))
    try:
        match text[len(BEGIN) : end]:
            case "bbo-tbt":
                tops = _TOPS.decode(text)
                rows = (row for row in tops.data if row.bids and row.asks)
                return [Decoded(Stream.QUOTES, tops.arg.instId, row) for row in rows]
            case "trades":
                trades = _TRADES.decode(text)
                return [Decoded(Stream.TRADES, trades.arg.instId, row) for row in trades.data]
            case "books":
                books = _BOOKS.decode(text)
                return [Decoded(Stream.BOOK, books.arg.instId, (books.action, row)) for row in books.data]
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None
    return None
