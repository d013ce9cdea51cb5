"""What the past of a venue is told in: spans of time, candles, trades, and the pages they come by."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

TIMEFRAMES = {
    **{f"{count}m": count * 60_000 for count in (1, 3, 5, 15, 30)},
    **{f"{count}h": count * 3_600_000 for count in (1, 2, 4, 6, 8, 12)},
    "1d": 86_400_000,
}  # ms; they divide a day, so that all venues that follow UTC agree on where they begin


class Span(NamedTuple):
    """From `start_ms` on, until before `end_ms`."""

    start_ms: int
    end_ms: int


class Candle(msgspec.Struct, frozen=True, kw_only=True):
    """One closed candle; `volume` in base currency, of a perpetual in contracts."""

    start_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class PastTrade(msgspec.Struct, frozen=True, kw_only=True):
    """One public trade; `side` is the taker's. `parts`: how many trades of the venue the row stands for."""

    trade_id: str
    ts_ns: int
    side: str  # "buy" | "sell"
    price: Decimal
    quantity: Decimal
    parts: int = 1


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Rows, oldest first, and the part of the span that is whole with them and those of the pages before."""

    rows: list[Any]
    whole: Span


class HistoryRefused(Exception):
    """The venue cannot tell this part of its past; asking again will not help."""

    def __init__(self, reason: str, span: Span) -> None:
        super().__init__(reason)
        self.span = span
