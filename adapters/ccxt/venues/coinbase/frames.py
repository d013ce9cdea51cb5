"""Coinbase's `l2_data` and `market_trades` frames. Each begins with its channel: `{"channel":"l2_data",…`."""

from __future__ import annotations

import msgspec

from adapters.ccxt.market.frames import Row

BOOK, TRADES = '{"channel":"l2_data",', '{"channel":"market_trades",'


class Book(Row, frozen=True):
    """Levels of one product; `type`: snapshot or update."""

    type: str
    product_id: str
    updates: msgspec.Raw


class Books(Row, frozen=True):
    """An `l2_data` frame."""

    channel: str
    timestamp: str
    sequence_num: int
    events: list[Book]


class Trade(Row, frozen=True):
    """One trade."""

    trade_id: str
    product_id: str
    price: str
    size: str
    side: str
    time: str


class Traded(Row, frozen=True):
    """Trades of any products; `type`: snapshot (of the past) or update."""

    type: str
    trades: list[Trade]


class Trades(Row, frozen=True):
    """A `market_trades` frame."""

    channel: str
    sequence_num: int
    events: list[Traded]


_BOOKS, _TRADES = msgspec.json.Decoder(Books), msgspec.json.Decoder(Trades)


def read(text: str) -> Books | Trades | None:
    """What a frame says, or None."""
    try:
        if text.startswith(BOOK):
            return _BOOKS.decode(text)
        if text.startswith(TRADES):
            return _TRADES.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None
    return None
