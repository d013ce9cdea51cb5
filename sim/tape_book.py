"""`TapeBook`: the recorded order book, and whether it can be believed.

    WAITING ──first delta──▶ FILLING ──proof──▶ TRUSTED ─┐
       └───────usable snapshot (any time)──────▶ WHOLE  ─┼─ gap, crossed, top disproved ─▶ FILLING (from nothing)
                     WHOLE, TRUSTED ──unreadable frame──▶ SUSPECT ──next delta follows──▶ as before

* WHOLE: synchronised from a REST snapshot by Binance's rules (the first delta after it must reach back to it).
* TRUSTED: there was no usable snapshot, so the book filled from deltas alone. Absolute sizes never make such a book wrong, only
  incomplete; it is believed once both sides have `TRUSTED_LEVELS` levels, it is not crossed, and its top has equalled the bookTicker
  stream's top of the same update id at `TRUSTED_CHECKS` consecutive deltas. On a tape without bookTicker: after `TRUSTED_AFTER_NS` of
  unbroken, uncrossed deltas. Levels better than the ticker's top are dropped: the deltas that removed them were not recorded.
* Only WHOLE and TRUSTED are live. While a book is not live nobody sees it; what is lost says why.

Pure; integers in the units of the instrument; sizes are floored to the lot.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from sim.events import ASK, BID, EventKind, rows
from sim.levels import LevelBook
from sim.tape import E8, Depth, Market, ProblemKind, Quote, Snapshot, TapeProblem, follows

TRUSTED_LEVELS = 20
TRUSTED_CHECKS = 20
TRUSTED_AFTER_NS = 5_000_000_000
DISPROVED_CHECKS = 50  # consecutive disagreements with the ticker that end the trust in a book without snapshot
_KEPT_DELTAS = 2_000  # deltas kept for a snapshot that comes late


class BookStatus(StrEnum):
    """How far the book can be believed."""

    WAITING = "waiting"
    FILLING = "filling"
    SUSPECT = "suspect"
    TRUSTED = "trusted"
    WHOLE = "whole"


class Step(NamedTuple):
    """What one frame did to what the outside sees: a snapshot, an update, or a clear with its reason."""

    kind: EventKind
    levels: np.ndarray | None = None
    reason: str = ""


class TapeBook:
    """The book of one (symbol, market) stream of a tape. Feed it frames in file order; it answers with `Step`s.

    `price_decimals`, `size_decimals`: units of the book. `has_quotes`: whether the tape has a bookTicker stream to prove the top with.
    """

    def __init__(self, symbol: str, price_decimals: int, size_decimals: int, *, has_quotes: bool = True) -> None:
        self.symbol = symbol
        self.book = LevelBook()
        self.status = BookStatus.WAITING
        self.reason = "no depth frame yet"
        self.update_id = 0
        self._price_unit = 10 ** (E8 - price_decimals)
        self._size_unit = 10 ** (E8 - size_decimals)
        self._has_quotes = has_quotes
        self._recent: deque[Depth] = deque(maxlen=_KEPT_DELTAS)
        self._after_snapshot = False
        self._before_suspect = BookStatus.WAITING
        self._filling_since = 0
        self._quote: Quote | None = None
        self._pending: tuple[int, int | None, int | None] | None = None  # update id, best bid, best ask to be proven
        self._agreed = self._disagreed = 0

    @property
    def live(self) -> bool:
        """Whether the book may be shown."""
        return self.status in (BookStatus.WHOLE, BookStatus.TRUSTED)

    # --- frames ------------------------------------------------------------------------------------------------------------------------

    def depth(self, frame: Depth) -> list[Step]:
        """A delta: apply it, or find that something is missing before it."""
        if self.status is BookStatus.WAITING:
            self._refill(frame, "filling from deltas: no snapshot yet")
            return self._filled(frame)
        if frame.last_id <= self.update_id:
            return []
        if self._after_snapshot:
            since = frame.previous_id if frame.market is Market.USDM else frame.first_id - 1
            continuous = since <= self.update_id
        else:
            continuous = follows(frame, self.update_id)
        if not continuous:
            reason = f"depth updates are missing before line {frame.line} of the tape"
            steps = self._lost(reason)
            self._refill(frame, reason)
            return steps + self._filled(frame)
        self._after_snapshot = False
        changed = self._apply(frame)
        if self.status is BookStatus.FILLING:
            return self._filled(frame)
        if self.book.crossed():
            reason = f"the book is crossed at line {frame.line} of the tape"
            steps = self._lost(reason)
            self._refill(frame, reason)
            return steps
        self._await_proof()
        if self.status is BookStatus.SUSPECT:
            self.status, self.reason = self._before_suspect, ""
            return [Step(EventKind.SNAPSHOT, self.book.array())]
        return [Step(EventKind.UPDATE, changed)] if len(changed) else []

    def snapshot(self, frame: Snapshot) -> list[Step]:
        """A REST snapshot: makes a book that is not live whole, if the deltas around it allow."""
        if self.live or self._foreign(frame):
            return []
        later = [delta for delta in self._recent if delta.last_id > frame.last_id]
        if later:
            first = later[0]
            since = first.previous_id if first.market is Market.USDM else first.first_id - 1
            if since > frame.last_id:
                return []  # older than what was recorded before it: there is a hole between them
        self.book.load(
            [(BID, price // self._price_unit, size // self._size_unit) for price, size in frame.bids]
            + [(ASK, price // self._price_unit, size // self._size_unit) for price, size in frame.asks]
        )
        self.update_id = frame.last_id
        for delta in later:
            self._apply(delta)
        if self.book.crossed() or not self.book.bids or not self.book.asks:
            self.book.clear()
            self.status, self.reason = BookStatus.WAITING, f"the snapshot on line {frame.line} gives no two-sided book"
            return []
        self._after_snapshot = not later
        self._pending = None
        self._agreed = self._disagreed = 0
        self._recent.clear()
        self.status, self.reason = BookStatus.WHOLE, ""
        return [Step(EventKind.SNAPSHOT, self.book.array())]

    def quote(self, frame: Quote) -> list[Step]:
        """The ticker: the last one at or before a delta's id shows that delta's top; proof comes with the first one after it."""
        before, self._quote = self._quote, frame
        pending = self._pending
        if pending is None or frame.update_id <= pending[0]:
            return []
        self._pending = None
        if before is None or before.update_id > pending[0]:
            return []
        bid, ask = before.bid // self._price_unit, before.ask // self._price_unit
        if (bid, ask) == pending[1:]:
            self._agreed, self._disagreed = self._agreed + 1, 0
        else:
            self._agreed, self._disagreed = 0, self._disagreed + 1
        match self.status:
            case BookStatus.FILLING:
                if self._disagreed:
                    self._drop_beyond(bid, ask)
                return self._maybe_trusted(self._agreed >= TRUSTED_CHECKS)
            case BookStatus.TRUSTED if self._disagreed >= DISPROVED_CHECKS:
                return self._lost(f"its top has differed from the ticker's {DISPROVED_CHECKS} times in a row")
        return []

    def unreadable(self, problem: TapeProblem) -> list[Step]:
        """A frame could not be read, and it may have been a delta: nobody may rely on the book until the next delta follows."""
        if not self.live:
            return []
        self._before_suspect, self.status = self.status, BookStatus.SUSPECT
        if problem.kind is ProblemKind.TRUNCATED:
            self.reason = f"the tape ends early after line {problem.line}"
        else:
            self.reason = f"line {problem.line} of the tape cannot be read"
        return [Step(EventKind.CLEAR, None, self.reason)]

    def _foreign(self, frame: Snapshot) -> bool:
        """Whether a snapshot, which names no symbol, cannot be of this stream: its price is another one's."""
        if self._quote is None or not frame.bids:
            return not frame.bids
        return abs(frame.bids[0][0] - self._quote.bid) > self._quote.bid // 5

    # --- inside ------------------------------------------------------------------------------------------------------------------------

    def _lost(self, reason: str) -> list[Step]:
        was_live = self.live
        self.book.clear()
        self.status, self.reason = BookStatus.WAITING, reason
        self._recent.clear()
        self._pending = None
        self._after_snapshot = False
        return [Step(EventKind.CLEAR, None, reason)] if was_live else []

    def _refill(self, frame: Depth, reason: str) -> None:
        self.book.clear()
        self.status, self.reason = BookStatus.FILLING, reason
        self._filling_since = frame.ts_ns
        self._agreed = self._disagreed = 0
        self._recent.clear()
        self._apply(frame)

    def _apply(self, frame: Depth) -> np.ndarray:
        price_unit, size_unit = self._price_unit, self._size_unit
        changed = [(BID, price // price_unit, size // size_unit) for price, size in frame.bids]
        changed += [(ASK, price // price_unit, size // size_unit) for price, size in frame.asks]
        self.book.apply(changed)
        self.update_id = frame.last_id
        if not self.live:
            self._recent.append(frame)
        return rows(changed)

    def _await_proof(self) -> None:
        if self._pending is None:
            self._pending = (self.update_id, self.book.bids.best(), self.book.asks.best())

    def _filled(self, frame: Depth) -> list[Step]:
        if self.book.crossed():
            self._refill(frame, f"the book is crossed at line {frame.line} of the tape")
            return []
        self._await_proof()
        if self._has_quotes:
            return []
        return self._maybe_trusted(frame.ts_ns - self._filling_since >= TRUSTED_AFTER_NS)

    def _maybe_trusted(self, proven: bool) -> list[Step]:
        if not proven or min(len(self.book.bids), len(self.book.asks)) < TRUSTED_LEVELS or self.book.crossed():
            return []
        self.status, self.reason = BookStatus.TRUSTED, ""
        self._recent.clear()
        return [Step(EventKind.SNAPSHOT, self.book.array())]

    def _drop_beyond(self, bid: int, ask: int) -> None:
        for price in self.book.bids.better_than(bid):
            self.book.bids.set(price, 0)
        for price in self.book.asks.better_than(ask):
            self.book.asks.set(price, 0)
