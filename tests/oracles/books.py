"""Plain-Python twins of the pricing kernels: books as dictionaries, sweeps as a sort. Slow and obvious."""

from __future__ import annotations


class DictBook:
    """One venue: price → size per side, in ticks and lots of the common scale; keeps the best `depth` levels a side
    like the kernel."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}

    def set(self, side: int, price: int, size: int) -> None:
        levels, sign = (self.bids, -1) if side == 1 else (self.asks, 1)
        if size == 0:
            levels.pop(price, None)
            return
        levels[price] = size
        if len(levels) > self.depth:
            del levels[max(levels, key=lambda p: sign * p)]

    def top(self, bid: int, bid_size: int, ask: int, ask_size: int) -> None:
        self.bids = {p: q for p, q in self.bids.items() if not bid or p <= bid}
        self.asks = {p: q for p, q in self.asks.items() if not ask or p >= ask}
        for levels, price, size in ((self.bids, bid, bid_size), (self.asks, ask, ask_size)):
            if price in levels and 0 < size < levels[price]:
                levels[price] = size

    def side(self, side: int) -> list[tuple[int, int]]:
        """Levels best first; 0 bids, 1 asks."""
        return sorted(self.bids.items(), reverse=True) if side == 0 else sorted(self.asks.items())


def merged(books: list[DictBook], fees_ppm: list[int], side: int) -> list[tuple[int, int, int]]:
    """(venue, ticks, lots) of every level of every book, cheapest all-in first, the lower venue first among equals."""
    sign = 1 if side == 1 else -1
    rows = [
        (sign * price * (1_000_000 + sign * fees_ppm[v]), v, price, size)
        for v, book in enumerate(books)
        for price, size in book.side(side)
    ]
    return [(v, price, size) for _, v, price, size in sorted(rows)]


def sweep(books: list[DictBook], fees_ppm: list[int], side: int, lots: int) -> list[tuple[int, int]] | None:
    """(lots, Σ ticks × lots) per venue for the cheapest fee-adjusted way to take `lots`; None when the books end."""
    taken = [(0, 0)] * len(books)
    for v, price, size in merged(books, fees_ppm, side):
        take = min(size, lots)
        taken[v] = (taken[v][0] + take, taken[v][1] + take * price)
        lots -= take
    return taken if lots == 0 else None
