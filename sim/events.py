"""`VenueEvent`: one thing a venue's market did, in integers, before anybody's dialect.

The tape reader, the transform and the generator produce these; the loopback servers turn them into wire frames and a replay turns them
into the engine's data. Pure: no sockets, no engine, no wall clock.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
import numpy as np

BID = 1
ASK = -1


class EventKind(StrEnum):
    """What happened."""

    SNAPSHOT = "snapshot"  # `levels` is the whole book: it is whole (or trusted) from now on
    UPDATE = "update"  # `levels` are absolute sizes of changed levels; size 0 removes the level
    CLEAR = "clear"  # the book cannot be trusted until the next snapshot; `reason` says why
    TRADE = "trade"  # a print: `price`, `size`, `side` of the aggressor, `trade_id`
    QUOTE = "quote"  # the venue's own top-of-book stream: `bid`, `bid_size`, `ask`, `ask_size`


class VenueEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One market event of one symbol on one venue.

    `levels`: int64, shape (n, 3), columns (side +1 bid / -1 ask, price, size). Prices are in units of 10^-price_decimals and sizes in
    10^-size_decimals of the venue's `VenueInstrument`. A snapshot lists bids best first, then asks best first.
    `ts_event_ns`: the venue's clock, ns (corrected for the recorder's clock error, so never after `ts_init_ns`);
    `ts_init_ns`: when it arrived, ns; never decreases within one stream. `side` of a trade: +1 the buyer was the aggressor, -1 the seller.
    """

    kind: EventKind
    symbol: str
    ts_event_ns: int
    ts_init_ns: int
    levels: np.ndarray | None = None
    reason: str = ""
    price: int = 0
    size: int = 0
    side: int = 0
    trade_id: str = ""
    bid: int = 0
    bid_size: int = 0
    ask: int = 0
    ask_size: int = 0


def rows(levels: list[tuple[int, int, int]]) -> np.ndarray:
    """Level rows (side, price, size) as the int64 array of an event."""
    return np.array(levels, dtype=np.int64).reshape(-1, 3)
