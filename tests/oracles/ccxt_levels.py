"""Plain twins of the kernels in `market.levels` and `market.digits`: dictionaries, sorted lists, Python's own ints and Decimals."""

from __future__ import annotations

from bisect import bisect_left, insort
from decimal import ROUND_FLOOR, Decimal

Level = tuple[int, int, int]


class PlainLevels:
    """Both sides of a book: sizes by price, prices ascending."""

    def __init__(self) -> None:
        self.sizes: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self.prices: dict[int, list[int]] = {1: [], -1: []}

    def set(self, side: int, price: int, size: int) -> None:
        """Absolute size of a level; 0 removes it."""
        sizes, prices = self.sizes[side], self.prices[side]
        if size:
            if price not in sizes:
                insort(prices, price)
            sizes[price] = size
        elif sizes.pop(price, None) is not None:
            del prices[bisect_left(prices, price)]

    def cut(self, depth: int) -> list[Level]:
        """Drop what is worse than the best `depth` prices of each side; the removals, worst first."""
        removed: list[Level] = []
        while len(self.prices[1]) > depth:
            removed.append((1, self.prices[1][0], 0))
            self.set(1, self.prices[1][0], 0)
        while len(self.prices[-1]) > depth:
            removed.append((-1, self.prices[-1][-1], 0))
            self.set(-1, self.prices[-1][-1], 0)
        return removed

    def best(self, side: int, count: int) -> list[tuple[int, int]]:
        """The best `count` (price, size) of one side, best first."""
        prices = self.prices[side][::-side]
        return [(price, self.sizes[side][price]) for price in prices[:count]]


def units(text: str, decimals: int, *, floor: bool) -> int | None:
    """The number in units of 10^-decimals; None where it has more decimals than that and `floor` is not asked for."""
    scaled = Decimal(text).scaleb(decimals)
    whole = scaled.to_integral_value(ROUND_FLOOR)
    return int(whole) if floor or whole == scaled else None
