"""The desk's headline prices, kept at hand: repriced on every book change, so that a tick's way to a price is short and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import numpy as np

from desk.config.model import DeskConfig
from desk.market import Market
from pricing.rungs import ladder_kernel, terms

HEADLINE_TIER = "standard"
_FLAT = Decimal(0)


class Repricer:
    """`reprice(symbol, ts_ns)` prices the headline sizes of an instrument on both sides in one kernel call; `headline` shows them.

    For screens: a firm price is made from exact integers, for its client, when somebody asks (`desk.rfq.pricer`).
    """

    def __init__(
        self,
        config: DeskConfig,
        market: Market,
        position: Callable[[str], Decimal],
        sizes: Mapping[str, Sequence[Decimal]],
    ) -> None:
        self._config = config
        self._market = market
        self._position = position
        self._sizes = {symbol: sorted(sizes.get(symbol, ())) for symbol in market.books}
        self._instruments = {item.symbol: item for item in config.instruments}
        self._lots = {
            symbol: np.array([market.books[symbol].scale.lots_up(size) for size in wanted], dtype=np.int64)
            for symbol, wanted in self._sizes.items()
        }
        self._prices = {symbol: np.zeros((len(wanted), 2), dtype=np.int64) for symbol, wanted in self._sizes.items()}

    def reprice(self, symbol: str, now_ns: int) -> None:
        """One kernel call over all live books, both sides, every headline size; zeros where nothing can be priced."""
        book, prices, item = self._market.books[symbol], self._prices[symbol], self._instruments[symbol]
        fair = book.fair(now_ns)
        if fair is None:
            prices[:] = 0
            return
        band = self._config.hedging.bands.get(item.base)
        costs = terms(
            book,
            fair=fair,
            ttl_ms=self._config.pricing.ttl_ms,
            inventory=self._position(item.base),
            band=band.hard if band else _FLAT,
            volatility=self._market.volatility[symbol].sigma,
            tier=HEADLINE_TIER,
            parameters=self._config.pricing,
            tick=item.price_tick,
        )
        ladder_kernel(book.arena, book.live_mask(now_ns), self._lots[symbol], costs, prices)

    def headline(self, symbol: str) -> list[tuple[Decimal, Decimal | None, Decimal | None]]:
        """(size, bid, ask) of the last repricing, sizes ascending; None where there is no price."""
        scale = self._market.books[symbol].scale
        return [
            (size, scale.price(int(bid)) if bid else None, scale.price(int(ask)) if ask else None)
            for size, (bid, ask) in zip(self._sizes[symbol], self._prices[symbol], strict=True)
        ]
