"""OKX's order book (channel `books`): 400 levels a side, changes every 100 ms, joined by the ids of the messages.

1. A subscription begins with a `snapshot`: the whole book, `prevSeqId` -1. It replaces whatever was there.
2. Each `update` names the message before it: its `prevSeqId` must be the `seqId` we have, or something is missing. Ids jump, so a gap tells
   that something was lost, not how much.
3. An update without levels and with `seqId` = `prevSeqId` says only that nothing has changed for about a minute: the book is alive.
4. After maintenance ids start again: a `seqId` below its `prevSeqId` that joins what we have is in order.
5. `checksum` is not looked at: since 23 June 2026 the venue sends 0 in every message and says that ids take its place.
6. A level that fell out of the 400 may have changed unseen: both sides are cut to 400 after every message.
7. A best bid at or above the best ask cannot be.

Sources: the venue's documentation of the channel and its notice of 21 May 2026 on the checksum; 4 as other readers of that documentation
report it; 6 is ours (the venue does not say whether it deletes what leaves the 400; cutting is right either way).
"""

from __future__ import annotations

from typing import Any

from adapters.ccxt.events import BookEvent, BookEventKind
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.market.books import VenueBook
from adapters.ccxt.symbols import Market

LEVELS = 400


class OkxBook(VenueBook):
    """`message` takes one element of `data` of a `books` message and its action. Depth is always the channel's own 400."""

    floors = True

    def __init__(self, market: Market) -> None:
        super().__init__(market, LEVELS)

    def message(self, action: str, raw: dict[str, Any]) -> BookEvent | None:
        """SNAPSHOT or UPDATE; None for a heartbeat, or while there is no book; a CLEAR on a gap or cross (then `trouble` says why)."""
        sequence, before = int(raw["seqId"]), int(raw["prevSeqId"])
        ts_event_ns = int(raw["ts"]) * 1_000_000
        match action:
            case "snapshot":
                return self._begin(raw, sequence, ts_event_ns)
            case "update" if not self.whole:
                self.headless = True
                return None
            case "update":
                return self._update(raw, sequence, before, ts_event_ns)
        raise BadFrame(f"{self.market.symbol}: unknown action {action!r}")

    def _begin(self, raw: dict[str, Any], sequence: int, ts_event_ns: int) -> BookEvent | None:
        levels = self._parse(raw["bids"], raw["asks"])
        self.levels.clear()
        self.trouble = ""
        self.levels.put(levels)
        self.levels.trim(self.depth)
        self.sequence = sequence
        if self.levels.crossed:
            return self._broken(self._crossed())
        self.whole = True
        return self._event(BookEventKind.SNAPSHOT, self.levels.array(), ts_event_ns)

    def _update(self, raw: dict[str, Any], sequence: int, before: int, ts_event_ns: int) -> BookEvent | None:
        if before != self.sequence:
            return self._broken(f"sequence gap: expected a message after {self.sequence}, got one after {before}")
        changed = self._parse(raw["bids"], raw["asks"])
        self.sequence = sequence
        if not len(changed):
            return None
        self.levels.put(changed)
        if self.levels.crossed:
            return self._broken(self._crossed())
        return self._event(BookEventKind.UPDATE, self._cut(changed, self.depth), ts_event_ns)
