"""What the subscribers of one symbol's book of one depth have in hand, and what they must be told next.

A subscriber keeps `depth` levels a side and cuts off the rest itself, so a level that fell out of the depth is not
mentioned, one that comes back is sent again, and only a level that is really gone is sent with quantity 0. With
`tells_leaving` a level that fell out of the depth is sent with quantity 0 as well: nobody has to cut.
"""

from __future__ import annotations

from sim.levels import LevelBook

DEPTHS = (10, 25, 100, 500, 1000)

Rows = list[tuple[int, int]]


class PublishedBook:
    """The top `depth` levels as the subscribers have them; (price, size), best first."""

    def __init__(self, depth: int, *, tells_leaving: bool = False) -> None:
        self.depth = depth
        self.tells_leaving = tells_leaving
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}

    def reset(self, book: LevelBook) -> tuple[Rows, Rows]:
        """Start from a snapshot; answers its bids and asks."""
        self.bids, self.asks = dict(book.bids.top(self.depth)), dict(book.asks.top(self.depth))
        return list(self.bids.items()), list(self.asks.items())

    def advance(self, book: LevelBook) -> tuple[Rows, Rows]:
        """Follow the book; answers the bids and asks to send, empty when nothing in this depth changed."""
        out: list[Rows] = []
        for name, side in (("bids", book.bids), ("asks", book.asks)):
            old: dict[int, int] = getattr(self, name)
            new = dict(side.top(self.depth))
            gone = [price for price in old if price not in new]
            rows = [(price, 0) for price in gone if self.tells_leaving or not side.size(price)]
            rows += [(price, size) for price, size in new.items() if old.get(price) != size]
            setattr(self, name, new)
            out.append(rows)
        return out[0], out[1]
