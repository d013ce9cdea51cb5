"""What the gate compares prices with: the desk's own live books."""

from __future__ import annotations

from decimal import Decimal

from desk.market import Market
from pricing.consolidated import BookStatus


class BookReferences:
    """Implements `risk.state.References` over `Market`."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def fair(self, symbol: str, now_ns: int) -> Decimal | None:
        """Fair value from live books only."""
        return self._market.fair(symbol, now_ns)

    def book_age_ns(self, symbol: str, venue: str, now_ns: int) -> int | None:
        """Age of the venue's live book; of the youngest live book when `venue` is empty or has no book (an LP)."""
        book = self._market.books.get(symbol)
        if book is None:
            return None
        if venue in book.venues:
            return book.age_ns(venue, now_ns) if book.status(venue, now_ns) is BookStatus.LIVE else None
        return min((book.age_ns(name, now_ns) for name in book.live(now_ns)), default=None)
