"""Binance USD-M's order book: a diff stream joined to a REST snapshot by `pu`.

1. Updates are buffered from before the snapshot is asked for.
2. One whose `u` is below the snapshot's `lastUpdateId` is old.
3. The first applied has `U` ≤ `lastUpdateId` ≤ `u`; or its `pu` is `lastUpdateId`, when the one before it ended exactly there.
4. From then on each one's `pu` is the `u` of the one before: ids are shared with other events, so `U` says nothing of a gap.
5. Sizes are absolute, 0 removes a level; removing one that is not there is normal.
6. A best bid at or above the best ask cannot be.

Sources: the venue's documentation "How to manage a local order book correctly" (USDⓈ-M futures); the second half of 3 follows from 4,
and ccxt reads it so.
"""

from __future__ import annotations

from typing import Any

from adapters.ccxt.market.books import BinanceBook


class BinanceUsdmBook(BinanceBook):
    """`update` takes raw `depthUpdate` messages with `pu`, `snapshot` the raw REST body of `/fapi/v1/depth`."""

    def _old(self, update: dict[str, Any]) -> bool:
        last = int(update["u"])
        return last < self.sequence if self._fresh else last <= self.sequence

    def _joins(self, update: dict[str, Any]) -> bool:
        return int(update["pu"]) == self.sequence or (self._fresh and int(update["U"]) <= self.sequence)

    def _gap(self, update: dict[str, Any]) -> str:
        return f"expected an update after {self.sequence}, got {update['U']} to {update['u']} after {update['pu']}"
