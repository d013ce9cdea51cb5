"""A price-level book in plain integers: two sorted sides, updated in place by absolute sizes.

For the simulator's own books (tape, matching). The desk prices from `pricing`'s arrays, never from these.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

import numpy as np

from sim.events import ASK, BID


class LevelSide:
    """One side of a book. Prices are kept as keys `price × side`, ascending, so that the best is always the last key."""

    __slots__ = ("keys", "side", "sizes")

    def __init__(self, side: int) -> None:
        self.side = side
        self.keys: list[int] = []
        self.sizes: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.keys)

    def set(self, price: int, size: int) -> None:
        """Set the absolute size of a level; 0 removes it."""
        key = price * self.side
        sizes = self.sizes
        if size > 0:
            if key not in sizes:
                if not self.keys or key > self.keys[-1]:
                    self.keys.append(key)
                else:
                    insort(self.keys, key)
            sizes[key] = size
        elif sizes.pop(key, None) is not None:
            if key == self.keys[-1]:
                self.keys.pop()
            else:
                del self.keys[bisect_left(self.keys, key)]

    def size(self, price: int) -> int:
        """Size at a price, 0 when there is no such level."""
        return self.sizes.get(price * self.side, 0)

    def best(self) -> int | None:
        """The best price, or None when the side is empty."""
        return self.keys[-1] * self.side if self.keys else None

    def top(self, count: int) -> list[tuple[int, int]]:
        """The `count` best levels as (price, size), best first."""
        side, sizes = self.side, self.sizes
        return [(key * side, sizes[key]) for key in self.keys[: -count - 1 : -1]]

    def better_than(self, price: int) -> list[int]:
        """Prices strictly better than `price`, worst first."""
        at = bisect_left(self.keys, price * self.side + 1)
        return [key * self.side for key in self.keys[at:]]

    def clear(self) -> None:
        """Forget all levels."""
        self.keys.clear()
        self.sizes.clear()


class LevelBook:
    """Both sides of one book."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = LevelSide(BID)
        self.asks = LevelSide(ASK)

    def side(self, side: int) -> LevelSide:
        """The bids for +1, the asks for -1."""
        return self.bids if side == BID else self.asks

    def apply(self, levels: Iterable[tuple[int, int, int]] | np.ndarray) -> None:
        """Apply rows (side, price, absolute size)."""
        if isinstance(levels, np.ndarray):
            levels = levels.tolist()
        bids, asks = self.bids, self.asks
        for side, price, size in levels:
            (bids if side == BID else asks).set(price, size)

    def load(self, levels: Iterable[tuple[int, int, int]] | np.ndarray) -> None:
        """Replace the whole book."""
        self.clear()
        if isinstance(levels, np.ndarray):
            levels = levels.tolist()
        for side, price, size in levels:
            if size > 0:
                (self.bids if side == BID else self.asks).sizes[price * side] = size
        for book_side in (self.bids, self.asks):
            book_side.keys = sorted(book_side.sizes)

    def crossed(self) -> bool:
        """Whether the best bid is at or above the best ask."""
        return bool(self.bids.keys) and bool(self.asks.keys) and self.bids.keys[-1] >= -self.asks.keys[-1]

    def levels(self) -> Iterator[tuple[int, int, int]]:
        """All rows: bids best first, then asks best first."""
        for book_side in (self.bids, self.asks):
            side = book_side.side
            for key in reversed(book_side.keys):
                yield side, key * side, book_side.sizes[key]

    def array(self) -> np.ndarray:
        """All rows as one int64 array of shape (n, 3)."""
        return np.array(list(self.levels()), dtype=np.int64).reshape(-1, 3)

    def clear(self) -> None:
        """Forget both sides."""
        self.bids.clear()
        self.asks.clear()


def difference(before: LevelBook, after: LevelBook) -> np.ndarray:
    """The update (rows with absolute sizes) that carries `before` into `after`."""
    out: list[tuple[int, int, int]] = []
    for side in (BID, ASK):
        old, new = before.side(side).sizes, after.side(side).sizes
        out.extend((side, key * side, 0) for key in old if key not in new)
        out.extend((side, key * side, size) for key, size in new.items() if old.get(key) != size)
    return np.array(out, dtype=np.int64).reshape(-1, 3)
