"""Bybit's `orderbook.{depth}` and `publicTrade` frames. Each begins with its topic: `{"topic":"orderbook.50.BTCUSDT",…`."""

from __future__ import annotations

from typing import Any

import msgspec

from adapters.ccxt.market.frames import Row

BOOK, TRADES = '{"topic":"orderbook.', '{"topic":"publicTrade.'


class Levels(Row, frozen=True):
    """`data` of a deep book's frame."""

    b: msgspec.Raw
    a: msgspec.Raw
    u: int


class Book(Row, frozen=True):
    """`type`: snapshot or delta."""

    topic: str
    type: str
    ts: int
    data: Levels
    cts: int | None = None


class TopLevels(Row, frozen=True):
    """`data` of an `orderbook.1` frame."""

    b: list[list[str]]
    a: list[list[str]]


class Top(Row, frozen=True):
    """An `orderbook.1` frame."""

    topic: str
    type: str
    ts: int
    data: TopLevels
    cts: int | None = None


class Trade(Row, frozen=True):
    """One trade; `BT`: agreed elsewhere."""

    i: str
    T: int
    p: str
    v: str
    S: str
    s: str
    BT: bool = False


class Trades(msgspec.Struct, frozen=True):
    """Trades of one topic."""

    topic: str
    data: list[Trade]


_BOOK, _TOP, _TRADES = msgspec.json.Decoder(Book), msgspec.json.Decoder(Top), msgspec.json.Decoder(Trades)


def read(text: str) -> Any:
    """A `Book`, `Top` or `Trades`, or None."""
    try:
        if text.startswith(TRADES):
            return _TRADES.decode(text)
        if text.startswith(BOOK):
            return (_TOP if text.startswith("1.", len(BOOK)) else _BOOK).decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None
    return None
