"""Bybit's order book (topic `orderbook.{depth}.{symbol}`, depths 50, 200 and 1000 for spot), joined by the update id `u` of its messages.

1. A `snapshot` is the whole book of that depth and replaces whatever was there, also in the middle of a stream: the venue sends one again
   when something was wrong on its side, with `u` = 1 after a restart of its service.
2. A `delta` is joined when its `u` is the last one plus one. One with the same `u` is a repetition and changes nothing; any other is a gap.
3. Size 0 removes a level, any other size replaces or adds it.
4. A level that left the depth may have changed unseen: both sides are cut to the depth after every message.
5. A snapshot without a single level says that there is no book (delisted, auction): the book is cleared.
6. A best bid at or above the best ask cannot be.

Sources: 1 and 3 the venue's documentation of the topic; 2 its older page of the same topic ("always in sequence"), its SBE page ("used to
check continuity") and barter-data's reader, which holds live streams to it; 5 its table of what `u` = 1 may mean; 4 is ours (the venue
does not say whether it deletes what leaves the depth; cutting is right either way). `seq` compares depths and is not used.
"""

from __future__ import annotations

from typing import Any

from adapters.ccxt.events import BookEvent, BookEventKind
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.market.books import VenueBook

DEPTHS = (50, 200, 1000)


def offered_depth(wanted: int) -> int:
    """The least depth the venue streams that shows `wanted` levels; its deepest when none does."""
    return next((depth for depth in DEPTHS if depth >= wanted), DEPTHS[-1])


class BybitBook(VenueBook):
    """`message` takes a whole `orderbook` message. `depth` is the one subscribed to."""

    floors = True

    def message(self, raw: dict[str, Any]) -> BookEvent | None:
        """SNAPSHOT or UPDATE; None for a repetition, or while there is no book; a CLEAR on a gap or cross (then `trouble` says why)."""
        data, ts_event_ns = raw["data"], int(raw.get("cts") or raw["ts"]) * 1_000_000
        match raw["type"]:
            case "snapshot":
                return self._begin(data, ts_event_ns)
            case "delta":
                self.headless = not self.whole
                return None if self.headless else self._join(data, ts_event_ns)
        raise BadFrame(f"{self.market.symbol}: unknown type of book message {raw['type']!r}")

    def _begin(self, data: dict[str, Any], ts_event_ns: int) -> BookEvent | None:
        levels = self._parse(data["b"], data["a"])
        if not len(levels):
            return self._broken("the venue says that there is no book")
        self.levels.clear()
        self.levels.put(levels)
        self.levels.trim(self.depth)
        self.sequence, self.trouble = int(data["u"]), ""
        if self.levels.crossed:
            return self._broken(self._crossed())
        self.whole = True
        return self._event(BookEventKind.SNAPSHOT, self.levels.array(), ts_event_ns)

    def _join(self, data: dict[str, Any], ts_event_ns: int) -> BookEvent | None:
        update = int(data["u"])
        self.late = update == self.sequence
        if self.late:
            return None
        if update != self.sequence + 1:
            return self._broken(f"sequence gap: expected update {self.sequence + 1}, got {update}")
        changed = self._parse(data["b"], data["a"])
        self.sequence = update
        self.levels.put(changed)
        if self.levels.crossed:
            return self._broken(self._crossed())
        return self._event(BookEventKind.UPDATE, self._cut(changed, self.depth), ts_event_ns)
