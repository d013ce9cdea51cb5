"""What the cards of a still market do to it, and what they wait for."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from adapters.ccxt.events import BookEventKind, StreamStatus
from adapters.ccxt.market.link import MarketLink
from sim.events import BID, EventKind
from tests.conformance.cards.stand import LEVELS, MID, Stand
from tests.conformance.ccxt_venue import Recorder, eventually

CLEAR, SNAPSHOT, UPDATE = BookEventKind.CLEAR, BookEventKind.SNAPSHOT, BookEventKind.UPDATE


def at_venue(s: Stand) -> dict[tuple[int, int], int]:
    """The levels that the venue shows, by (side, price)."""
    shown = s.core.books[s.symbol].shown
    found = {(1, price): size for price, size in shown.bids.top(LEVELS)}
    return found | {(-1, price): size for price, size in shown.asks.top(LEVELS)}


async def equal(s: Stand, seen: Recorder) -> None:
    """Our book is the venue's own."""
    await eventually(lambda: seen.levels == at_venue(s), "the venue's own book")


async def live(s: Stand, link: MarketLink) -> None:
    """The book is live again."""
    await eventually(lambda: link.status(s.symbol) is StreamStatus.LIVE, "a live book", 20.0)


def level(s: Stand, side: int, away: int, size: str) -> np.ndarray:
    """One level, so far from the best price of its side."""
    tick = 10**s.instrument.price_decimals
    price = (MID - 1 - away if side == BID else MID + 1 + away) * tick
    return np.array([[side, price, s._lots(Decimal(size))]], dtype=np.int64)


def trade(s: Stand, side: int, size: str = "0.25") -> None:
    """Somebody takes at the best price."""
    tick = 10**s.instrument.price_decimals
    price = (MID + 1 if side > 0 else MID - 1) * tick
    s.happens(EventKind.TRADE, price=price, size=s._lots(Decimal(size)), side=side, trade_id="1")
