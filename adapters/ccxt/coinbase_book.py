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

import numpy as np

from adapters.ccxt.books import VenueBook
from adapters.ccxt.events import BookEvent, BookEventKind
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.levels import Levels
from adapters.ccxt.symbols import Market

LOWEST = np.iinfo(np.int64).min
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


class CoinbaseBook(VenueBook):
    """`message` takes one event of an `l2_data` message. `levels` are the best `depth` of each side: what was told."""

    floors = True
    trouble = ""  # why a new subscription is needed

    def __init__(self, market: Market, depth: int) -> None:
        super().__init__(market, depth)
        self._all = Levels()
        self._worst = {
            1: LOWEST,
            -1: LOWEST,
        }  # by side: price × side of the last level that is told, LOWEST when all are

    def message(self, event: dict[str, Any], ts_event_ns: int) -> BookEvent | None:
        """SNAPSHOT or UPDATE; None when nothing of the told depth changed; a CLEAR on a cross (then `trouble` says why)."""
        rows = self._parse_updates(event["updates"])
        self.sequence += 1
        match event["type"]:
            case "snapshot":
                return self._begin(rows, ts_event_ns)
            case "update" if not self.whole:
                return None
            case "update":
                return self._change(rows, ts_event_ns)
        raise BadFrame(f"{self.market.symbol}: unknown type of book message {event['type']!r}")

    def lost(self, reason: str) -> BookEvent | None:
        """Rule 1: something was lost on the connection."""
        return self._broken(reason)

    def _begin(self, rows: np.ndarray, ts_event_ns: int) -> BookEvent | None:
        if not len(rows):
            return self._broken("the venue says that there is no book")
        self._all.clear()
        self._all.put(rows)
        if self._all.crossed:
            return self._broken(self._crossed())
        self._show()
        self.whole, self.trouble = True, ""
        return self._event(BookEventKind.SNAPSHOT, self.levels.array(), ts_event_ns)

    def _change(self, rows: np.ndarray, ts_event_ns: int) -> BookEvent | None:
        self._all.put(rows)
        if self._all.crossed:
            return self._broken(self._crossed())
        told = np.concatenate([self._told(side, rows) for side in (1, -1)])
        self.levels.put(told)
        return self._event(BookEventKind.UPDATE, told, ts_event_ns) if len(told) else None

    def _told(self, side: int, rows: np.ndarray) -> np.ndarray:
        """What one side of the told depth changes by, after `rows` went into the whole book: they, and what they pushed out or let in."""
        before, after = self._worst[side], self._boundary(side)
        self._worst[side] = after
        mine = rows[rows[:, 0] == side]
        keys = mine[:, 1] * side
        mine = mine[keys >= np.where(mine[:, 2] > 0, after, min(before, after))]
        if before == after:
            return mine
        all_keys, all_sizes = self._all._side(side)
        low, high = np.searchsorted(all_keys, (min(before, after), max(before, after)))
        moved = np.empty((high - low, 3), dtype=np.int64)
        moved[:, 0], moved[:, 1] = side, all_keys[low:high] * side
        moved[:, 2] = all_sizes[low:high] if after < before else 0
        return np.concatenate((mine, moved))

    def _boundary(self, side: int) -> int:
        keys, _ = self._all._side(side)
        return int(keys[-self.depth]) if len(keys) > self.depth else LOWEST

    def _show(self) -> None:
        self.levels.clear()
        self.levels.put(self._all.array())
        self.levels.trim(self.depth)
        self._worst = {side: self._boundary(side) for side in (1, -1)}

    def _parse_updates(self, updates: list[dict[str, Any]]) -> np.ndarray:
        rows = []
        for row in updates:
            if (side := SIDES.get(row["side"])) is None:
                raise BadFrame(f"{self.market.symbol}: unknown side of a level {row['side']!r}")
            rows.append(self._level(side, row["price_level"], row["new_quantity"]))
        return np.array(rows, dtype=np.int64).reshape(-1, 3)

    def _broken(self, reason: str) -> BookEvent | None:
        event = self.break_(reason)
        self.trouble = reason
        return event

    def _forget(self) -> None:
        self._all.clear()
        self.trouble = ""

    def _crossed(self) -> str:
        bid, ask = self._all.best_bid, self._all.best_ask
        return f"crossed: bid {bid} at or above ask {ask} (in ticks of 10^-{self.market.price_decimals})"
