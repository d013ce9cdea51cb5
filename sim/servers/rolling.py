"""Rolling statistics of a venue's public trades: what its 24-hour ticker and its latest-trades call answer from.

Kept since the server started; the latest trades are bounded. What happened before is in `past`.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

from sim.instruments import VenueInstrument
from sim.servers.past import Past


class Rolling:
    """Trades of one symbol as (id, price, size, aggressor side, ms), integers in the instrument's units."""

    def __init__(self, instrument: VenueInstrument, start_ns: int) -> None:
        self.past = Past(instrument, start_ns // 1_000_000)
        self._latest: deque[tuple[int, int, int, int, int]] = deque(maxlen=1_000)
        self.last = self.first = self.high = self.low = 0
        self.volume = self.turnover = self.count = self.since_ms = 0
        self.last_size = 0

    def add(self, trade_id: int, price: int, size: int, side: int, trade_ms: int) -> None:
        """Take in a trade."""
        self._latest.append((trade_id, price, size, side, trade_ms))
        self.past.add(trade_id, price, size, side, trade_ms)
        if not self.count:
            self.first = self.high = self.low = price
            self.since_ms = trade_ms
        self.last, self.last_size = price, size
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.volume += size
        self.turnover += price * size
        self.count += 1

    def latest(self, limit: int) -> list[tuple[int, int, int, int, int]]:
        """The latest trades, oldest first."""
        return list(islice(self._latest, max(0, len(self._latest) - limit), None))

    def prices(self) -> dict[str, int]:
        """Last, open, high, low and volume-weighted average price."""
        average = self.turnover // self.volume if self.volume else self.last
        return {"last": self.last, "open": self.first, "high": self.high, "low": self.low, "average": average}
