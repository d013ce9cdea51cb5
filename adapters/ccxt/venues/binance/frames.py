"""Binance's `depthUpdate`, `trade` and `bookTicker` frames, spot and futures, bare or wrapped in a combined stream's `data`.

The kind is told from the first characters: event names stand in front, and a spot bookTicker, which has none, begins with its update id.
A frame that is ordered otherwise is not read here, and so goes the long way.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from adapters.ccxt.dialect import Decoded
from adapters.ccxt.events import Stream
from adapters.ccxt.market.frames import Row

HEAD = 120  # characters in which stream and event are named


class Depth(Row, frozen=True):
    """`pu`: futures only."""

    e: Literal["depthUpdate"]
    E: int
    s: str
    U: int
    u: int
    b: msgspec.Raw
    a: msgspec.Raw
    pu: int | None = None
    T: int | None = None


class Trade(Row, frozen=True):
    """`X`: futures only, such as MARKET or INSURANCE_FUND."""

    e: Literal["trade"]
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool
    E: int | None = None
    X: str | None = None


class Top(Row, frozen=True):
    """`e`, `E`, `T`: futures only."""

    u: int
    s: str
    b: str
    B: str
    a: str
    A: str
    e: Literal["bookTicker"] | None = None
    E: int | None = None
    T: int | None = None


class DepthIn(msgspec.Struct):
    """In a combined stream."""

    data: Depth


class TradeIn(msgspec.Struct):
    """In a combined stream."""

    data: Trade


class TopIn(msgspec.Struct):
    """In a combined stream."""

    data: Top


_DEPTH, _DEPTH_IN = msgspec.json.Decoder(Depth), msgspec.json.Decoder(DepthIn)
_TRADE, _TRADE_IN = msgspec.json.Decoder(Trade), msgspec.json.Decoder(TradeIn)
_TOP, _TOP_IN = msgspec.json.Decoder(Top), msgspec.json.Decoder(TopIn)


def read(text: str) -> list[Decoded] | None:
    """The piece of a frame, or None."""
    head = text[:HEAD]
    wrapped = head.startswith('{"stream":')
    try:
        if head.startswith('{"u":') or "ookTicker" in head:
            top = _TOP_IN.decode(text).data if wrapped else _TOP.decode(text)
            return [Decoded(Stream.QUOTES, top.s, top)]
        if '"depthUpdate"' in head:
            depth = _DEPTH_IN.decode(text).data if wrapped else _DEPTH.decode(text)
            return [Decoded(Stream.BOOK, depth.s, depth)]
        if '"trade"' in head:
            trade = _TRADE_IN.decode(text).data if wrapped else _TRADE.decode(text)
            return [Decoded(Stream.TRADES, trade.s, trade)]
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None
    return None
