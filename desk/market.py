"""The desk's view of the market: one consolidated book per instrument, kept by an actor from the engine's data.

`Market` is the shared, loop-thread-only object that pricing, routing and the API feeds read. It never decides anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from nautilus_trader.model.data import QuoteTick, TradeTick

    from adapters.nautilus.lp import LpLadder
    from pricing.consolidated import ConsolidatedBook


class BookChanged(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `market.book`: the book of `venue` in `symbol` changed (or was cleared: then `reason` says why)."""

    symbol: str
    venue: str
    reason: str
    ts_event_ns: int
    ts_init_ns: int


class Market:
    """Books, last quotes and LP ladders by instrument, and who wants to hear of changes.

    `books[symbol]`: the consolidated book. `last_quote[(symbol, venue)]`, `ladders[(symbol, lp)]`: the latest of each.
    Listeners are called synchronously after the change; they must be quick and must not raise.
    """

    def __init__(self) -> None:
        self.books: dict[str, ConsolidatedBook] = {}
        self.last_quote: dict[tuple[str, str], QuoteTick] = {}
        self.ladders: dict[tuple[str, str], LpLadder] = {}
        self.on_book: list[Callable[[BookChanged], None]] = []
        self.on_trade: list[Callable[[TradeTick], None]] = []
        self.on_quote: list[Callable[[QuoteTick], None]] = []
        self.on_ladder: list[Callable[[LpLadder], None]] = []
