"""Keeps a two-sided ladder of each instrument at hand: repriced on every book change, so that a tick's way to a price can be measured."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from desk.config.model import DeskConfig
from desk.market import Market


class Repricer:
    """`reprice(symbol, ts_ns)` recomputes the headline ladder; `ladders[symbol]` is the latest (None while nothing can be priced)."""

    def __init__(self, config: DeskConfig, market: Market, position: Callable[[str], Decimal]) -> None:
        self._market = market
        self._position = position
        self._config = config
        self.ladders: dict[str, object | None] = {}

    def reprice(self, symbol: str, ts_ns: int) -> None:
        """One kernel call over all live books, both sides, every headline size."""
        raise NotImplementedError
