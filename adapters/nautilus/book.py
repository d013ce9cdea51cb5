"""`BookDeltas`: one order-book message that the engine and our kernels both read.

The engine matches on `OrderBookDeltas`; our books are int64 arrays. Walking the engine's delta objects costs 0.7 µs a level, so the
producer (a venue's data client, or the tape reader of a replay) attaches the same levels as one array. Nothing here prices.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from nautilus_trader.model.data import OrderBookDelta, OrderBookDeltas
from nautilus_trader.model.enums import BookAction, OrderSide
from nautilus_trader.model.objects import FIXED_PRECISION

if TYPE_CHECKING:
    from nautilus_trader.model.identifiers import InstrumentId


class BookKind(StrEnum):
    """What a book message does to the book."""

    SNAPSHOT = "snapshot"  # replaces the whole book: it is whole again
    UPDATE = "update"  # absolute sizes of changed levels; size 0 removes the level
    CLEAR = "clear"  # the book cannot be trusted (gap, checksum, disconnect): empty until the next snapshot


class BookDeltas(OrderBookDeltas):  # type: ignore[misc]
    """`OrderBookDeltas` with the same levels as an array.

    `levels`: int64, shape (n, 3), columns (side +1 bid / -1 ask, price, size), in units of 10^-price_precision and
    10^-size_precision of the venue's instrument. `reason`: why a CLEAR, in words for the operator.
    `ts_event`: the venue's clock, ns; `ts_init`: when we received it, ns.
    """

    def __init__(
        self,
        instrument_id: InstrumentId,
        deltas: list[OrderBookDelta],
        levels: np.ndarray,
        kind: BookKind,
        reason: str = "",
    ) -> None:
        super().__init__(instrument_id, deltas)
        self.levels = levels
        self.kind = kind
        self.reason = reason


def levels_of(deltas: OrderBookDeltas, price_precision: int, size_precision: int) -> tuple[np.ndarray, BookKind]:
    """Levels and kind of any engine book message, for producers that know nothing of `BookDeltas` (native adapters)."""
    if isinstance(deltas, BookDeltas):
        return deltas.levels, deltas.kind
    kind = BookKind.UPDATE
    price_unit, size_unit = 10 ** (FIXED_PRECISION - price_precision), 10 ** (FIXED_PRECISION - size_precision)
    rows: list[tuple[int, int, int]] = []
    for delta in deltas.deltas:
        if delta.action == BookAction.CLEAR:
            kind, rows = BookKind.SNAPSHOT, []
            continue
        order = delta.order
        size = 0 if delta.action == BookAction.DELETE else order.size.raw // size_unit
        side = 1 if order.side == OrderSide.BUY else -1
        rows.append((side, order.price.raw // price_unit, size))
    if kind is BookKind.SNAPSHOT and not rows:
        kind = BookKind.CLEAR
    return np.array(rows, dtype=np.int64).reshape(-1, 3), kind
