"""Keeps the desk's headline prices at hand: repriced on every book change, so that a tick's way to a price is short and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from desk.market import Market
from pricing.sweep import sweep_targets


class Repricer:
    """`reprice(symbol, ts_ns)` sweeps all live books to the headline sizes on both sides; `ladders[symbol]` has the latest prices.

    `ladders[symbol]`: float64, shape (n, 2): all-in bid and ask of `sizes[symbol]` (base currency, ascending); a size the books do not
    hold is NaN; None while nothing is live. For screens and latency only: a firm price is made from exact integers when somebody asks.
    """

    def __init__(self, market: Market, sizes: Mapping[str, Sequence[Decimal]]) -> None:
        self.ladders: dict[str, np.ndarray | None] = {}
        self._market = market
        self._targets: dict[str, np.ndarray] = {}
        self._fees: dict[str, np.ndarray] = {}
        self._out: dict[str, np.ndarray] = {}
        for symbol, book in market.books.items():
            lots = [int(size.scaleb(book.scale.size_decimals)) for size in sorted(sizes.get(symbol, ()))]
            self._targets[symbol] = np.array(lots, dtype=np.int64)
            self._fees[symbol] = np.array(book.fees(), dtype=np.float64) / 1e8
            self._out[symbol] = np.zeros((len(lots), len(book.venues), 2), dtype=np.int64)

    def reprice(self, symbol: str, now_ns: int) -> None:
        """One sweep a side over all live books."""
        book = self._market.books[symbol]
        live = book.live_mask(now_ns)
        targets, out, fees = self._targets[symbol], self._out[symbol], self._fees[symbol]
        if not live or not len(targets):
            self.ladders[symbol] = None
            return
        unit = 10.0**-book.scale.price_decimals
        ladder = np.full((len(targets), 2), np.nan)
        for side, sign in ((0, -1.0), (1, 1.0)):
            filled = sweep_targets(book.arena, side, live, targets, out)
            notional = out[:filled, :, 1] @ (1.0 + sign * fees)
            ladder[:filled, side] = notional / targets[:filled] * unit
        self.ladders[symbol] = ladder
