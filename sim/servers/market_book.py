"""The tape's book of one symbol, and what is left of it after our own takings.

What was taken from a level stays taken until the tape next changes that level: a row with another size than the tape's last one restores
it, a row that repeats the old size does not.
"""

from __future__ import annotations

import numpy as np

from sim.events import ASK, BID
from sim.levels import LevelBook


class MarketBook:
    """The tape's book of one symbol, and what is left of it (`shown`) after our own takings."""

    def __init__(self) -> None:
        self.live = False
        self.reason = "the venue is starting"
        self.shown = LevelBook()
        self._tape: dict[int, dict[int, int]] = {BID: {}, ASK: {}}
        self.taken: dict[int, dict[int, int]] = {BID: {}, ASK: {}}

    def load(self, levels: np.ndarray) -> None:
        """A snapshot: nothing of what we took is remembered."""
        self.shown.load(levels)
        self.taken = {BID: {}, ASK: {}}
        self._tape = {BID: {}, ASK: {}}
        for side, price, size in levels.tolist():
            self._tape[side][price] = size
        self.live, self.reason = True, ""

    def apply(self, levels: np.ndarray) -> list[tuple[int, int, int]]:
        """The tape's rows in, the shown rows out."""
        out: list[tuple[int, int, int]] = []
        for side, price, size in levels.tolist():
            tape, taken = self._tape[side], self.taken[side]
            left = size
            if price in taken:
                if tape.get(price) == size:
                    left = max(0, size - taken[price])
                else:
                    del taken[price]
            if size:
                tape[price] = size
            else:
                tape.pop(price, None)
            self.shown.side(side).set(price, left)
            out.append((side, price, left))
        return out

    def take(self, side: int, price: int, size: int) -> tuple[int, int, int]:
        """Take from a shown level; answers the row as it is now."""
        left = self.shown.side(side).size(price) - size
        assert left >= 0, "took more than is shown"
        self.taken[side][price] = self.taken[side].get(price, 0) + size
        self.shown.side(side).set(price, left)
        return side, price, left

    def clear(self, reason: str) -> None:
        """The tape's book is not to be believed."""
        self.shown.clear()
        self.taken = {BID: {}, ASK: {}}
        self._tape = {BID: {}, ASK: {}}
        self.live, self.reason = False, reason
