"""A look at the whole book from time to time: ours against the venue's own REST snapshot, level by level.

Ids prove that no message was lost, checksums cover ten levels; neither finds a level that the venue told wrongly or that we never had.

1. Only levels are compared that did not change from `SETTLE_S` before the request until `SETTLE_S` after its answer, so that neither the
   answer's way nor the stream's matters; and only as far from the best price as both books reach all that time.
2. Where the snapshot has an id, it must lie between the book's ids at both ends of that time, or it says nothing.
3. Such a level must have the same size in both, or be in neither. With an id one difference is enough; without (venues may serve an older
   snapshot) a second audit at once must find the same level wrong again.
4. A wrong book is given up with its reason, and restored like any other. What cannot be decided is counted, and tried again next time.
5. Each symbol is looked at once every `every_s`, the symbols of a venue one after another, never two at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import msgspec
import numpy as np

from adapters.ccxt.events import BookEvent, BookEventKind
from adapters.ccxt.symbols import Market, exact, floored

log = logging.getLogger(__name__)

SETTLE_S = 1.0
LEVELS = 100  # a side of the snapshot
LEAST_GAP_S = 2.0  # between two audits of one venue
NAMED = 3  # wrong levels that a reason names

Level = tuple[int, int]  # side, price


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """A REST snapshot in the venue's own words: rows of [price, size, …] as text, best first; its id, where the venue has one."""

    bids: list[Any]
    asks: list[Any]
    sequence: int | None = None
    partial: bool = False  # it ends before the book may, however few its rows are


class AuditedBook(Protocol):
    """What an audit needs of a book."""

    market: Market
    whole: bool
    sequence: int
    levels: Any

    def reach(self, side: int) -> int | None:
        """The worst price up to which the book knows every level of a side; None: all of it."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one comparison shows: `wrong` by level: (our size, the venue's)."""

    compared: int
    wrong: dict[Level, tuple[int, int]]


class Tally(msgspec.Struct, kw_only=True):
    """What the audits of one symbol have found so far."""

    done: int = 0
    undecided: int = 0
    wrong: int = 0
    compared: int = 0  # levels, in the last one that was decided


class Audit:
    """The audits of one venue. `ask(symbol, levels)`: a snapshot now; `wrong(symbol, reason)`: the book must be given up."""

    def __init__(
        self,
        venue: str,
        every_s: float,
        *,
        ask: Callable[[str, int], Awaitable[Depth]],
        wrong: Callable[[str, str], None],
        settle_s: float = SETTLE_S,
    ) -> None:
        self.tallies: dict[str, Tally] = {}
        self._venue = venue
        self._every_s = every_s
        self._ask = ask
        self._wrong = wrong
        self._settle_s, self._least_gap_s = settle_s, LEAST_GAP_S
        self._symbol = ""  # whose book is looked at now
        self._touched: set[Level] = set()
        self._disturbed = False

    @property
    def window_s(self) -> float:
        """How long one comparison watches the stream, at least."""
        return 2 * self._settle_s

    def saw(self, event: BookEvent) -> None:
        """The book of `event` has changed."""
        if event.symbol != self._symbol:
            return
        if event.kind is BookEventKind.UPDATE:
            self._touched.update((side, price) for side, price, _ in event.levels.tolist())
        else:
            self._disturbed = True

    async def run(self, books: Callable[[], Iterable[AuditedBook]]) -> None:
        """Look at one book after the other, for ever; at none when `every_s` is 0."""
        while self._every_s > 0:
            known = list(books())
            pause = max(self._least_gap_s, self._every_s / max(1, len(known)))
            for book in known:
                await asyncio.sleep(pause)
                try:
                    await self.look(book)
                except Exception as e:
                    log.warning("%s %s: audit: %s: %s", self._venue, book.market.symbol, type(e).__name__, e)
            if not known:
                await asyncio.sleep(pause)

    async def look(self, book: AuditedBook) -> bool | None:
        """Audit one book now: whether it is right, None when that cannot be said. A wrong one has been given up by then."""
        symbol = book.market.symbol
        tally = self.tallies.setdefault(symbol, Tally())
        finding, certain = await self._compared(book)
        if finding is not None and finding.wrong and not certain:
            first = finding.wrong
            finding, _ = await self._compared(book)
            if finding is not None:
                again = {level: sizes for level, sizes in finding.wrong.items() if level in first}
                finding = msgspec.structs.replace(finding, wrong=again) if again else None  # gone meanwhile: who knows
        if finding is None or not finding.compared:
            tally.undecided += 1
            return None
        tally.done += 1
        tally.compared = finding.compared
        if not finding.wrong:
            return True
        tally.wrong += 1
        self._wrong(symbol, _reason(book.market, finding))
        return False

    async def _compared(self, book: AuditedBook) -> tuple[Finding | None, bool]:
        """One comparison, and whether it needs no second; None when the book was not whole or the snapshot of another time."""
        if not book.whole:
            return None, False
        self._symbol, self._touched, self._disturbed = book.market.symbol, set(), False
        try:
            before, first_id = book.levels.array(), book.sequence
            first_reach = {side: book.reach(side) for side in (1, -1)}
            await asyncio.sleep(self._settle_s)
            depth = await self._ask(book.market.symbol, LEVELS)
            await asyncio.sleep(self._settle_s)
            if self._disturbed or not book.whole:
                return None, False
            if depth.sequence is not None and not first_id <= depth.sequence <= book.sequence:
                return None, False
            reach = {side: _nearer(side, first_reach[side], book.reach(side)) for side in (1, -1)}
            return compare(book.market, before, self._touched, depth, reach), depth.sequence is not None
        finally:
            self._symbol = ""


def compare(
    market: Market, ours: np.ndarray, touched: set[Level], depth: Depth, reach: dict[int, int | None]
) -> Finding:
    """Our levels, int64 (n, 3), against a snapshot, without those that were touched. Raises ValueError on what is no number."""
    compared, wrong = 0, {}
    for side, rows in ((1, depth.bids), (-1, depth.asks)):
        theirs = {exact(row[0], market.price_decimals): floored(row[1], market.size_decimals) for row in rows[:LEVELS]}
        mine = {price: size for of, price, size in ours.tolist() if of == side}
        ends = [
            price
            for price in (
                reach[side],
                min(theirs, key=lambda p: p * side) if theirs and (depth.partial or len(rows) >= LEVELS) else None,
            )
            if price
        ]
        end = max((price * side for price in ends), default=None)
        for price in mine.keys() | theirs.keys():
            if (side, price) in touched or (end is not None and price * side < end):
                continue
            sizes = (mine.get(price, 0), theirs.get(price, 0))
            compared += 1
            if sizes[0] != sizes[1]:
                wrong[side, price] = sizes
    return Finding(compared=compared, wrong=wrong)


def _nearer(side: int, *prices: int | None) -> int | None:
    """Of reaches the one nearer to the best price: beyond it the venue may have said nothing of a change."""
    return max((price for price in prices if price is not None), key=lambda price: price * side, default=None)


def _reason(market: Market, finding: Finding) -> str:
    """Such as: audit: 2 of 180 levels are not the venue's: bid 59990.1 is 2.5 there, 5 here."""
    nearest = sorted(finding.wrong.items(), key=lambda item: -item[0][0] * item[0][1])[:NAMED]
    named = [
        f"{'bid' if side == 1 else 'ask'} {_text(price, market.price_decimals)} is {_text(theirs, market.size_decimals)} there, "
        f"{_text(ours, market.size_decimals)} here"
        for (side, price), (ours, theirs) in nearest
    ]
    return f"audit: {len(finding.wrong)} of {finding.compared} levels are not the venue's: {'; '.join(named)}"


def _text(units: int, decimals: int) -> str:
    return f"{units / 10**decimals:.{decimals}f}"
