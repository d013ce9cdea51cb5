"""Candles of a venue's public trades, for its kline stream and its klines call: the intervals in use, from when the server began.

A row is (opening ms, closing ms, open, high, low, close, volume, trades, first trade id, last trade id), integers in the instrument's
units. A candle without a trade is not told; the one that a trade closes is told once more, as closed.
"""

from __future__ import annotations

from collections import deque

INTERVALS = {"1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000, "4h": 14_400_000, "1d": 86_400_000}
_KEPT = 1_500

Row = tuple[int, ...]


class Candles:
    """One symbol's."""

    def __init__(self) -> None:
        self._rows: dict[str, deque[list[int]]] = {interval: deque(maxlen=_KEPT) for interval in INTERVALS}

    def hear(self, trade_id: int, price: int, size: int, trade_ms: int) -> list[tuple[str, Row, bool]]:
        """Take in a trade; the candles that it closed and changed: (interval, row, whether closed)."""
        out: list[tuple[str, Row, bool]] = []
        for interval, span in INTERVALS.items():
            rows, start = self._rows[interval], trade_ms - trade_ms % span
            if not rows or start > rows[-1][0]:
                if rows:
                    out.append((interval, tuple(rows[-1]), True))
                rows.append([start, start + span - 1, price, price, price, price, 0, 0, trade_id, trade_id])
            row = rows[-1]
            row[3], row[4], row[5] = max(row[3], price), min(row[4], price), price
            row[6], row[7], row[9] = row[6] + size, row[7] + 1, trade_id
            out.append((interval, tuple(row), False))
        return out

    def rows(self, interval: str, limit: int) -> list[Row]:
        """The newest candles, oldest first."""
        return [tuple(row) for row in list(self._rows[interval])[-limit:]]
