"""Candles of a venue's public trades for its kline stream: the intervals in use, from when the server began.

A row is (opening ms, closing ms, open, high, low, close, volume, trades, first trade id, last trade id), integers in the instrument's
units. A candle without a trade is not told; the one that a trade closes is told once more, as closed.
"""

from __future__ import annotations

INTERVALS = {"1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000, "4h": 14_400_000, "1d": 86_400_000}

Row = tuple[int, ...]


class Candles:
    """One symbol's."""

    def __init__(self) -> None:
        self._open: dict[str, list[int]] = {}

    def hear(self, trade_id: int, price: int, size: int, trade_ms: int) -> list[tuple[str, Row, bool]]:
        """Take in a trade; the candles that it closed and changed: (interval, row, whether closed)."""
        out: list[tuple[str, Row, bool]] = []
        for interval, span in INTERVALS.items():
            row, start = self._open.get(interval), trade_ms - trade_ms % span
            if row is None or start > row[0]:
                if row is not None:
                    out.append((interval, tuple(row), True))
                row = self._open[interval] = [
                    start,
                    start + span - 1,
                    price,
                    price,
                    price,
                    price,
                    0,
                    0,
                    trade_id,
                    trade_id,
                ]
            row[3], row[4], row[5] = max(row[3], price), min(row[4], price), price
            row[6], row[7], row[9] = row[6] + size, row[7] + 1, trade_id
            out.append((interval, tuple(row), False))
        return out
