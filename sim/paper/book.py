"""`PaperBook`: one exchange's real book of one instrument, with what we have already taken of it left out.

A real venue takes a filled level off its book; on paper nobody hears of our order, so the level stays. What was taken is remembered until
the level shows another size (or goes): then somebody has traded there since, and the new size is the truth. A level that comes back with
exactly the size it had counts as still taken: paper must not find more than a venue would give.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
import numpy as np

from adapters.nautilus.book import BookKind
from pricing.consolidated import BookStatus, ConsolidatedBook, VenueTerms
from pricing.scale import Scale

BIDS, ASKS = 0, 1
UNCHECKED = Decimal(0)  # minimums and fees are the client's business, not the book's


class Take(msgspec.Struct, frozen=True):
    """What one level gives; `shown`: its size in the venue's book, in lots."""

    price: Decimal
    quantity: Decimal
    shown: int


class PaperBook:
    """Fed with the engine's book messages (int64 levels in the venue's decimals); `look` and `took` are how it is filled from."""

    def __init__(self, symbol: str, venue: str, price_decimals: int, size_decimals: int, max_age_ns: int) -> None:
        terms = VenueTerms(
            venue=venue,
            taker_fee_bps=UNCHECKED,
            tick=Decimal(1).scaleb(-price_decimals),
            lot=Decimal(1).scaleb(-size_decimals),
            price_decimals=price_decimals,
            size_decimals=size_decimals,
            max_age_ns=max_age_ns,
        )
        self._venue = venue
        self._scale = Scale(symbol, price_decimals, size_decimals)
        self._book = ConsolidatedBook(symbol, self._scale, [terms], depth=1024)
        self._taken: tuple[dict[int, tuple[int, int]], dict[int, tuple[int, int]]] = ({}, {})  # ticks -> (shown, taken)

    def on_levels(self, levels: np.ndarray, kind: BookKind, reason: str, ts_ns: int) -> None:
        """A book message of the venue."""
        if kind is BookKind.CLEAR:
            self.clear(reason, ts_ns)
        else:
            self._book.apply(self._venue, levels, kind is BookKind.SNAPSHOT, ts_ns)

    def clear(self, reason: str, ts_ns: int) -> None:
        """The book cannot be trusted until the next snapshot."""
        self._book.clear(self._venue, reason, ts_ns)

    def on_top(self, bid: int, bid_size: int, ask: int, ask_size: int, ts_ns: int) -> None:
        """A newer best bid and ask (venue decimals): levels that are gone are dropped."""
        self._book.mark_top(self._venue, bid, bid_size, ask, ask_size, ts_ns)

    def status(self, now_ns: int) -> BookStatus:
        """Whether anything may be filled from this book."""
        return self._book.status(self._venue, now_ns)

    def look(self, side: str, quantity: Decimal, limit: Decimal | None) -> list[Take]:
        """What an order of `quantity` (a multiple of the lot) would get, from the best level on and none beyond `limit`.

        `side` is the taker's. Nothing is taken until `took` is told.
        """
        against, scale = ASKS if side == "buy" else BIDS, self._scale
        memory, left = self._taken[against], scale.lots(quantity)
        shown = dict(self._book.side_levels(self._venue, against))
        for ticks in [ticks for ticks, (size_then, _) in memory.items() if shown.get(ticks) != size_then]:
            del memory[ticks]
        found: list[Take] = []
        for ticks, lots in shown.items():
            price = scale.price(ticks)
            if left == 0 or (limit is not None and (price > limit if side == "buy" else price < limit)):
                break
            free = min(left, lots - memory.get(ticks, (lots, 0))[1])
            if free > 0:
                found.append(Take(price, scale.size(free), lots))
                left -= free
        return found

    def took(self, side: str, takes: list[Take]) -> None:
        """These levels were filled: leave them out until they change."""
        memory = self._taken[ASKS if side == "buy" else BIDS]
        for take in takes:
            ticks = self._scale.ticks(take.price)
            memory[ticks] = (take.shown, memory.get(ticks, (0, 0))[1] + self._scale.lots(take.quantity))
