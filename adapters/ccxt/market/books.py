"""Order books as the venues define them, in ints, that know when they can no longer be trusted.

Binance (spot, diff depth)
1. Updates are buffered from before the REST snapshot is asked for; more than `BUFFER_MESSAGES` of them without one is trouble.
2. An update whose `u` ≤ `lastUpdateId` is old.
3. The first that is applied has `U` ≤ `lastUpdateId` + 1 ≤ `u`; a snapshot that joins none is too old.
4. From then on `U` is the `u` before it plus one, or there is a gap.
5. Sizes are absolute, 0 removes a level; decimals finer than today's lot (of orders older than its last change) are cut off.
6. A best bid at or above the best ask cannot be.
7. Ours: twice the snapshot's depth is kept; what is beyond the snapshot is known only once it changed.

Kraken (v2 `book`)
1. A snapshot replaces whatever was there; an update before the first one is nothing.
2. Sizes are absolute, 0 removes a level; then both sides are cut to the subscribed depth.
3. The CRC32 of the ten best asks and bids (digits of price and size, without point and leading zeros) is the message's `checksum`.
4. A best bid at or above the best ask cannot be.

A broken book says so in a CLEAR and stays empty until the next snapshot. Every rule of every venue is a row of one table:
`tests/unit/test_ccxt_book_rules.py`. Sources: the venues' documentation of these channels.
"""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

import msgspec
import numpy as np

from adapters.ccxt.events import BookEvent, BookEventKind
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.market.digits import LevelReader
from adapters.ccxt.market.levels import NO_LEVELS, Level, Levels
from adapters.ccxt.symbols import Market, exact, floored

BUFFER_MESSAGES = 2_000  # updates kept while a snapshot is on its way; more than this is a gap


class VenueBook:
    """What the venues' books have in common: `whole`, the CLEAR on trouble, and the events.

    `trouble`: why a new snapshot is needed, when the last message could not go on; "" once somebody has given the book up for it. `late`:
    the last message said only what the book had already; it is no sign that the book is as the venue has it. `headless`: the last message
    was a change of a book that has not begun, at a venue whose subscriptions begin with it: when more come, the beginning is lost.
    Rows of levels come decoded, or as the text that a typed frame leaves of them (`msgspec.Raw`), which a kernel reads.
    """

    objects: ClassVar[bool] = False  # rows are objects with JSON numbers, not lists of strings
    floors: ClassVar[bool] = False  # displayed sizes may have more decimals than today's lot: they are cut off

    def __init__(self, market: Market, depth: int) -> None:
        self.market = market
        self.depth = depth
        self.levels = Levels()
        self._reader = LevelReader(market.price_decimals, market.size_decimals, floor=self.floors, objects=self.objects)
        self.whole = False
        self.sequence = 0
        self.trouble = ""
        self.late = False
        self.headless = False

    def replay(self) -> BookEvent | None:
        """The whole book as a SNAPSHOT, for somebody who came later; None while it is not whole."""
        return self._event(BookEventKind.SNAPSHOT, self.levels.array(), 0) if self.whole else None

    def break_(self, reason: str) -> BookEvent | None:
        """The book cannot be trusted: empty it. The CLEAR to send, or None when it was empty already."""
        was_whole = self.whole
        self.whole = False
        self.trouble, self.late, self.headless = "", False, False
        self.levels.clear()
        self._forget()
        if not was_whole:
            return None
        return self._event(BookEventKind.CLEAR, NO_LEVELS, 0, reason)

    def reach(self, side: int) -> int | None:
        """The worst price up to which every level of a side is known; None: all of them are."""
        return self.levels.price_at(side, self.depth)

    def _forget(self) -> None:
        """Drop what belongs to the broken book."""

    def _broken(self, reason: str) -> BookEvent | None:
        """A message shows that the book cannot be trusted: the CLEAR, and `trouble`."""
        event = self.break_(reason)
        self.trouble = reason
        return event

    def _parse(self, bids: Any, asks: Any) -> np.ndarray:
        """Rows of a message as levels, int64 (n, 3); raises BadFrame on anything but non-negative exact numbers."""
        if isinstance(bids, msgspec.Raw):
            if (levels := self._reader.read(bids, asks)) is not None:
                return levels
            bids, asks = msgspec.json.decode(bids), msgspec.json.decode(asks)
        rows = [self._row(1, row) for row in bids] + [self._row(-1, row) for row in asks]
        return np.array(rows, dtype=np.int64).reshape(-1, 3)

    def _row(self, side: int, row: Any) -> Level:
        """Price and size of a decoded row."""
        return self._level(side, row[0], row[1])

    def _cut(self, changed: np.ndarray, depth: int) -> np.ndarray:
        """The changes and the removals that cutting the book to `depth` adds to them."""
        removed = self.levels.trim(depth)
        return np.concatenate((changed, removed)) if len(removed) else changed

    def _event(self, kind: BookEventKind, levels: np.ndarray, ts_event_ns: int, reason: str = "") -> BookEvent:
        return BookEvent(
            symbol=self.market.symbol,
            kind=kind,
            levels=levels,
            sequence=self.sequence,
            ts_event_ns=ts_event_ns,
            reason=reason,
        )

    def _level(self, side: int, price: Any, size: Any) -> Level:
        try:
            level = (side, exact(price, self.market.price_decimals), self._size(size))
        except ValueError as e:
            raise BadFrame(f"{self.market.symbol} level [{price}, {size}]: {e}") from e
        if level[1] <= 0 or level[2] < 0:
            raise BadFrame(f"{self.market.symbol} level [{price}, {size}] is not positive")
        return level

    def _size(self, size: Any) -> int:
        return (floored if self.floors else exact)(size, self.market.size_decimals)

    def _crossed(self) -> str:
        return f"crossed: bid {self.levels.best_bid} at or above ask {self.levels.best_ask} (in ticks of 10^-{self.market.price_decimals})"


class BinanceBook(VenueBook):
    """`update` takes raw `depthUpdate` messages, `snapshot` the raw REST body of `/depth`."""

    floors = True

    def __init__(self, market: Market, depth: int) -> None:
        super().__init__(market, depth)
        self._buffer: deque[dict[str, Any]] = deque()
        self._reach: dict[int, int | None] = {}

    def update(self, raw: dict[str, Any]) -> BookEvent | None:
        """One diff. None while it is buffered or old; a CLEAR on a gap or cross (then `trouble` says why)."""
        if not self.whole:
            self._buffer.append(raw)
            if len(self._buffer) > BUFFER_MESSAGES:
                self._buffer.clear()
                self.trouble = f"no snapshot within {BUFFER_MESSAGES} updates"
            return None
        self.late = self._old(raw)
        if self.late:
            return None
        if not self._joins(raw):
            event = self._broken(f"sequence gap: {self._gap(raw)}")
            self._buffer.append(raw)
            return event
        changed = self._parse(raw["b"], raw["a"])
        self._fresh = False
        self.sequence = int(raw["u"])
        self.levels.put(changed)
        if self.levels.crossed:
            return self._broken(self._crossed())
        return self._event(BookEventKind.UPDATE, self._cut(changed, 2 * self.depth), int(raw["E"]) * 1_000_000)

    def snapshot(self, raw: dict[str, Any]) -> BookEvent | None:
        """A REST snapshot: the whole book as SNAPSHOT, or None when it is too old for what came since (`trouble`)."""
        levels = self._parse(raw["bids"], raw["asks"])
        self.sequence = int(raw["lastUpdateId"])
        self.levels.clear()
        self.levels.put(levels)
        self._fresh, ts_event_ns, self.trouble = True, 0, ""
        pending, self._buffer = self._buffer, deque()
        for update in pending:
            if self._old(update):
                continue
            if not self._joins(update):
                self.trouble = f"snapshot {raw['lastUpdateId']} does not join: {self._gap(update)}"
                self.levels.clear()
                return None
            self.levels.put(self._parse(update["b"], update["a"]))
            self.sequence, self._fresh = int(update["u"]), False
            ts_event_ns = int(update["E"]) * 1_000_000
        if self.levels.crossed:
            self.trouble = self._crossed()
            self.levels.clear()
            return None
        self.whole = True
        self._reach = {side: _worst(levels, side, self.depth) for side in (1, -1)}
        return self._event(BookEventKind.SNAPSHOT, self.levels.array(), ts_event_ns)

    def reach(self, side: int) -> int | None:
        """As far as its snapshot went, or to where it was ever cut: of levels beyond, only those are known that have changed since."""
        return self._reach.get(side)

    def _cut(self, changed: np.ndarray, depth: int) -> np.ndarray:
        told = super()._cut(changed, depth)
        for side in (1, -1) if len(told) > len(changed) else ():
            if (kept := self.levels.price_at(side, depth)) is not None:
                end = self._reach.get(side)
                self._reach[side] = kept if end is None else max(end * side, kept * side) * side
        return told

    _fresh = True  # no update applied since the snapshot: the first may overlap it

    def _old(self, update: dict[str, Any]) -> bool:
        """Whether the book has all of an update already."""
        return int(update["u"]) <= self.sequence

    def _joins(self, update: dict[str, Any]) -> bool:
        """Whether nothing is missing between the book and an update that is not old."""
        first = int(update["U"])
        return first == self.sequence + 1 or (self._fresh and first <= self.sequence)

    def _gap(self, update: dict[str, Any]) -> str:
        return f"expected update {self.sequence + 1}, got {update['U']}"

    def _forget(self) -> None:
        self._buffer.clear()


def _worst(levels: np.ndarray, side: int, depth: int) -> int | None:
    """The worst price of a side of a snapshot that was cut at `depth`; None when it was not."""
    prices = levels[levels[:, 0] == side, 1]
    return None if len(prices) < depth else int((prices * side).min()) * side


class KrakenBook(VenueBook):
    """`message` takes one element of `data` of a v2 `book` message and its type."""

    objects = True

    def message(self, kind: str, raw: dict[str, Any], ts_event_ns: int) -> BookEvent | None:
        """Snapshot or update; a CLEAR when the checksum or the book contradicts it (then `trouble` says why)."""
        if kind == "snapshot":
            self.levels.clear()
            self.trouble = ""
            self.levels.put(self._parse(raw["bids"], raw["asks"]))
            self.levels.trim(self.depth)
            changed = None
        elif not self.whole:
            self.headless = True
            return None
        else:
            changed = self._parse(raw["bids"], raw["asks"])
            self.levels.put(changed)
            changed = self._cut(changed, self.depth)
        self.sequence += 1
        if (ours := self.checksum()) != int(raw["checksum"]):
            return self._broken(f"checksum: the venue says {raw['checksum']}, our book gives {ours}")
        if self.levels.crossed:
            return self._broken(self._crossed())
        if changed is None:
            self.whole = True
            return self._event(BookEventKind.SNAPSHOT, self.levels.array(), ts_event_ns)
        return self._event(BookEventKind.UPDATE, changed, ts_event_ns)

    def checksum(self) -> int:
        """Kraken's CRC32. An int's digits are the number without point and leading zeros, which is what the rule asks for."""
        return self.levels.checksum(10)

    def _row(self, side: int, row: Any) -> Level:
        return self._level(side, row["price"], row["qty"])
