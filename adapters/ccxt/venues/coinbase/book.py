"""Coinbase's order book (channel `level2`, messages `l2_data`), whose integrity is that of its connection.

1. Every message of a connection, whatever its channel, has the number `sequence_num`: the first is 0, each next is the last plus one. A
   number that is missing says that something was lost, not of which product: every book of the connection is broken.
2. A number that was there before is a repetition or comes late: the message is not read (its loss was told when it was missed).
3. A `snapshot` of a product is its whole book, every level of it; an `update` has absolute sizes, 0 removes a level.
4. All levels are kept, because the venue never repeats one; what is told is the best `depth` of each side.
5. `heartbeats` come each second. One in sequence proves that a book that was not told anything is as the venue has it, unless a trade was
   told since the book's last change: then the channel has fallen silent, and the book grows stale.
6. A best bid at or above the best ask cannot be.

Sources: 1, 3 and 5 the venue's documentation (overview, channels, guide) and its recorded frames; that the number counts over all channels
of a connection is what the recorded frames and public readers of live streams show. 2 and 4 follow from them; the second half of 5 is ours.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from adapters.ccxt.events import BookEvent
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.market.digits import SidedReader
from adapters.ccxt.market.whole_book import WholeBook
from adapters.ccxt.symbols import Market

SIDES = {"bid": 1, "offer": -1, "ask": -1}


class Sequence:
    """Rules 1 and 2 over one connection, and over the next one when it begins again with 0."""

    def __init__(self) -> None:
        self._last: int | None = None

    def follow(self, number: Any) -> str | None:
        """None: the message is a repetition, or late. "": it is the next one. Else what was lost before it, in words."""
        if not isinstance(number, int) or isinstance(number, bool):
            raise BadFrame(f"sequence_num {number!r} is no number")
        last, self._last = self._last, number
        if number == 0 or last is None or number == last + 1:
            return ""
        if number <= last:
            self._last = last
            return None
        return f"sequence gap on the connection: expected message {last + 1}, got {number}"


class CoinbaseBook(WholeBook):
    """`message` takes one event of an `l2_data` message. `levels` are the best `depth` of each side: what was told."""

    floors = True

    def __init__(self, market: Market, depth: int) -> None:
        super().__init__(market, depth)
        self._sided = SidedReader(market.price_decimals, market.size_decimals, floor=self.floors)

    def message(self, event: Any, ts_event_ns: int) -> BookEvent | None:
        """SNAPSHOT or UPDATE; None when nothing of the told depth changed; a CLEAR on a cross (then `trouble` says why)."""
        rows = self._parse_updates(event["updates"])
        self.sequence += 1
        match event["type"]:
            case "snapshot":
                return self._begin(rows, ts_event_ns)
            case "update" if not self.whole:
                self.headless = True
                return None
            case "update":
                return self._change(rows, ts_event_ns)
        raise BadFrame(f"{self.market.symbol}: unknown type of book message {event['type']!r}")

    def lost(self, reason: str) -> BookEvent | None:
        """Rule 1: something was lost on the connection."""
        return self._broken(reason)

    def _parse_updates(self, updates: Any) -> np.ndarray:
        if isinstance(updates, msgspec.Raw):
            if (levels := self._sided.read(updates)) is not None:
                return levels
            updates = msgspec.json.decode(updates)
        rows = []
        for row in updates:
            if (side := SIDES.get(row["side"])) is None:
                raise BadFrame(f"{self.market.symbol}: unknown side of a level {row['side']!r}")
            rows.append(self._level(side, row["price_level"], row["new_quantity"]))
        return np.array(rows, dtype=np.int64).reshape(-1, 3)
