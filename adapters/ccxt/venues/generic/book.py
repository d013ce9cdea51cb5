"""The order book of a venue that we have no rules of: ccxt keeps it, we look at what it keeps after each of its changes.

1. Its integrity is the library's: whether a change was lost is known as far as ccxt knows it for that venue. What it rejects breaks the
   book.
2. Its `nonce`, where it has one, never goes back.
3. A best bid at or above the best ask cannot be; a side's prices only get worse; sizes are positive; no levels are no book.
4. The best `depth` of each side are told, or fewer where the venue streams fewer.
5. ccxt's numbers are floats of the venue's digits. A price is taken when it is exactly the float of a multiple of the market's unit
   (which holds below 2^50 of them), or the book is broken; a size is cut to the lot.

Silence, and an audit against the venue's book by REST, are looked after as for every venue (`link.py`, `audit.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adapters.ccxt.events import BookEvent, BookEventKind
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.market.books import VenueBook
from adapters.ccxt.symbols import Market

EXACT = 2.0**50  # two roundings of a relative 2^-53 each stay below half a unit


def units(values: np.ndarray, decimals: int) -> np.ndarray:
    """Floats in units of 10^-decimals, int64; raises BadFrame when one is not exactly a float of so many decimals."""
    scale = 10.0**decimals
    scaled = np.rint(values * scale)
    if not (np.isfinite(values).all() and (np.abs(scaled) < EXACT).all() and (scaled / scale == values).all()):
        wrong = next((value for value in values.tolist() if not _fits(value, scale)), None)
        raise BadFrame(f"{wrong!r} does not fit {decimals} decimals")
    return scaled.astype(np.int64)


def _fits(value: float, scale: float) -> bool:
    scaled = np.rint(value * scale)
    return bool(np.isfinite(value) and abs(scaled) < EXACT and scaled / scale == value)


def floored_units(values: np.ndarray, decimals: int) -> np.ndarray:
    """Non-negative floats in units of 10^-decimals, int64, what is smaller cut off."""
    scale = 10.0**decimals
    scaled = np.rint(values * scale)
    if not (np.isfinite(values).all() and (values >= 0).all() and (scaled < EXACT).all()):
        raise BadFrame("a size that is no number, negative, or beyond what a float holds exactly")
    return (scaled - (scaled / scale > values)).astype(np.int64)


class GenericBook(VenueBook):
    """`look` takes ccxt's own book after a change of it."""

    def __init__(self, market: Market, depth: int) -> None:
        super().__init__(market, depth)
        self._nonce: int | None = None

    def look(self, kept: Any) -> BookEvent | None:
        """SNAPSHOT, or UPDATE with what changed since the last look; None when nothing did; a CLEAR on trouble."""
        nonce, ts_event_ns = kept.get("nonce"), int(kept.get("timestamp") or 0) * 1_000_000
        if isinstance(nonce, int) and isinstance(self._nonce, int) and nonce < self._nonce and self.whole:
            return self._broken(f"the book's nonce went back from {self._nonce} to {nonce}")
        bids, asks = self._side(1, kept["bids"]), self._side(-1, kept["asks"])
        if not len(bids) and not len(asks):
            return self._broken("the venue says that there is no book") if self.whole else None
        self._nonce = nonce
        if len(bids) and len(asks) and bids[0, 1] >= asks[0, 1]:
            return self._broken(
                f"crossed: bid {bids[0, 1]} at or above ask {asks[0, 1]} (in ticks of 10^-{self.market.price_decimals})"
            )
        now = np.concatenate((bids, asks))
        self.sequence += 1
        if not self.whole:
            self.whole, self.trouble = True, ""
            self.levels.put(now)
            return self._event(BookEventKind.SNAPSHOT, self.levels.array(), ts_event_ns)
        changed = self._changed(now)
        self.levels.put(changed)
        return self._event(BookEventKind.UPDATE, changed, ts_event_ns) if len(changed) else None

    def lost(self, reason: str) -> BookEvent | None:
        """ccxt has given the book up."""
        return self._broken(reason)

    def reach(self, side: int) -> int | None:
        """As far as it is told: the venue may stream no more."""
        known = self.levels.best(side, self.depth)
        return known[-1][0] if known else None

    def _side(self, side: int, rows: list[Any]) -> np.ndarray:
        """The best `depth` of one side, int64 (n, 3), without levels below the lot."""
        best = [row[:2] for row in rows[: self.depth]]
        values = np.array(best, dtype=np.float64).reshape(-1, 2)
        out = np.empty((len(values), 3), dtype=np.int64)
        out[:, 0] = side
        out[:, 1] = units(values[:, 0], self.market.price_decimals)
        out[:, 2] = floored_units(values[:, 1], self.market.size_decimals)
        if (np.diff(out[:, 1] * side) >= 0).any() or (out[:, 1] <= 0).any():
            raise BadFrame(f"{self.market.symbol}: prices of a side are not in order")
        return out[out[:, 2] > 0]

    def _changed(self, now: np.ndarray) -> np.ndarray:
        before = {(side, price): size for side, price, size in self.levels.array().tolist()}
        rows = [row for row in now.tolist() if before.pop((row[0], row[1]), 0) != row[2]]
        gone = [[side, price, 0] for side, price in before]
        return np.array(gone + rows, dtype=np.int64).reshape(-1, 3)

    def _forget(self) -> None:
        self._nonce = None
