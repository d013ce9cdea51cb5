"""A book of which the venue tells every level once and then only changes: all of it is kept, and the best `depth` of each side is told.

A level that comes into the told depth because a better one is gone is told again from what was kept; one pushed out is told as gone.
"""

from __future__ import annotations

import numpy as np

from adapters.ccxt.books import VenueBook
from adapters.ccxt.events import BookEvent, BookEventKind
from adapters.ccxt.levels import Levels
from adapters.ccxt.symbols import Market

LOWEST = np.iinfo(np.int64).min


class WholeBook(VenueBook):
    """`levels` are the best `depth` of each side: what was told."""

    def __init__(self, market: Market, depth: int) -> None:
        super().__init__(market, depth)
        self._all = Levels()
        self._worst = {
            1: LOWEST,
            -1: LOWEST,
        }  # by side: price × side of the last level that is told, LOWEST when all are

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

    def _forget(self) -> None:
        self._all.clear()

    def _crossed(self) -> str:
        bid, ask = self._all.best_bid, self._all.best_ask
        return f"crossed: bid {bid} at or above ask {ask} (in ticks of 10^-{self.market.price_decimals})"
