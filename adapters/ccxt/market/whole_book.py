"""A book of which the venue tells every level once and then only changes: all of it is kept, and the best `depth` of each side is told.

A level that comes into the told depth because a better one is gone is told again from what was kept; one pushed out is told as gone.
"""

from __future__ import annotations

import numpy as np

from adapters.ccxt.events import BookEvent, BookEventKind
from adapters.ccxt.market.books import VenueBook
from adapters.ccxt.market.levels import LOWEST, Levels
from adapters.ccxt.symbols import Market


class WholeBook(VenueBook):
    """`levels` are the best `depth` of each side: what was told."""

    def __init__(self, market: Market, depth: int) -> None:
        super().__init__(market, depth)
        self._all = Levels()
        self._worst = np.full(2, LOWEST)

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
        told = self._all.follow(self.levels, self._worst, rows, self.depth)
        if told is None:
            return self._broken(self._crossed())
        return self._event(BookEventKind.UPDATE, told, ts_event_ns) if len(told) else None

    def _show(self) -> None:
        self.levels.clear()
        self.levels.put(self._all.array())
        self.levels.trim(self.depth)
        for index, side in enumerate((1, -1)):
            keys, _ = self._all._side(side)
            self._worst[index] = keys[-self.depth] if len(keys) > self.depth else LOWEST

    def _forget(self) -> None:
        self._all.clear()

    def _crossed(self) -> str:
        bid, ask = self._all.best_bid, self._all.best_ask
        return f"crossed: bid {bid} at or above ask {ask} (in ticks of 10^-{self.market.price_decimals})"
