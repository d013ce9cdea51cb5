"""Kraken Futures' order book (feed `book`), numbered for each product.

1. `book_snapshot` is the whole book, every level of it; each `book` after it has one level with its absolute size, 0 removes it.
2. `seq` grows by one with each message of a product: a number that is missing is a lost change. One that is not above the last is old, or
   a repetition.
3. There is no depth to subscribe: all levels are kept, because the venue never repeats one; what is told is the best `depth` of each side.
4. A snapshot without levels says that there is no book. A best bid at or above the best ask cannot be.

Sources: 1 the venue's documentation and its recorded frames, 2 the same, and public readers of the live feed for "by one"; 3 follows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adapters.ccxt.events import BookEvent
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.market.levels import Level
from adapters.ccxt.market.whole_book import WholeBook

MS = 1_000_000
SIDES = {"buy": 1, "sell": -1}


class KrakenFuturesBook(WholeBook):
    """`message` takes raw `book_snapshot` and `book` messages."""

    def message(self, raw: dict[str, Any]) -> BookEvent | None:
        """SNAPSHOT or UPDATE; None when it is old or nothing of the told depth changed; a CLEAR on a hole or a cross (`trouble`)."""
        number, ts_event_ns = int(raw["seq"]), int(raw["timestamp"]) * MS
        if raw["feed"] == "book_snapshot":
            levels = self._parse([row for row in raw["bids"] if row["qty"]], [row for row in raw["asks"] if row["qty"]])
            self.sequence = number
            return self._begin(levels, ts_event_ns)
        self.late, self.headless = self.whole and number <= self.sequence, not self.whole
        if self.late or self.headless:
            return None
        if number != self.sequence + 1:
            return self._broken(f"sequence gap: expected message {self.sequence + 1}, got {number}")
        if (side := SIDES.get(raw["side"])) is None:
            raise BadFrame(f"{self.market.symbol}: unknown side of a level {raw['side']!r}")
        self.sequence = number
        return self._change(np.array([self._level(side, raw["price"], raw["qty"])], dtype=np.int64), ts_event_ns)

    def _row(self, side: int, row: Any) -> Level:
        return self._level(side, row["price"], row["qty"])
