"""Our positions in perpetuals at one venue: as the venue says them, held against what our executions add up to; and their funding.

The venue's word is what is told. From the first query on, executions are counted onto it, so that each later query must say the same. An
execution may be on its way while the venue answers, so a query during which one came compares nothing, and one that says otherwise is
doubted until the next ones have said so for `DOUBT_S` without any: then a trade was made by other hands, or missed; that is counted and
logged, and the venue is right. Funding is asked for when the venue announces a settlement and from time to time, and each payment told
once by the venue's own id.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal
from time import monotonic
from typing import Any, Protocol

import msgspec

from adapters.ccxt.dialect import PerpetualAccountDialect
from adapters.ccxt.events import FillEvent, FundingPayment, LiquidationEvent, PositionEvent

log = logging.getLogger(__name__)

DOUBT_S = 3.0
PAUSE_S = 0.5  # between queries
RETRY_S = 1.5  # after a query that failed: what it was asked for has changed
EVERY_S = 15.0  # marks, margins and liquidation prices move by themselves
FUNDING_S = 24 * 3600  # how far back funding is told at the first connection
FUNDING_EVERY_S = 600.0  # an announcement may be lost, and the payments of one settlement listed one after the other
FUNDING_OVERLAP_NS = 3600 * 1_000_000_000  # a payment may be listed after one that is younger
FUNDING_PAUSES_S = (0.2, 1.0, 2.0, 5.0, 10.0)  # a settlement may be in the history only after it was announced
SEEN_PAYMENTS = 20_000


class PositionSink(Protocol):
    """Who hears of positions; called synchronously on the loop thread."""

    def on_positions(self, positions: list[PositionEvent], agreed: bool) -> None:
        """Every position on our symbols, those that are flat as well. `agreed`: and that is what our executions add up to by now."""

    def on_funding_payment(self, payment: FundingPayment) -> None:
        """Funding of a position of ours, once."""

    def on_liquidation(self, event: LiquidationEvent) -> None:
        """The venue closed a position of ours by force: one execution of it."""


class Positions:
    """Of one account. `counted`: what the last query said and executions since; `corrections`: how often a query said otherwise."""

    def __init__(self, venue: str, dialect: PerpetualAccountDialect, sink: PositionSink) -> None:
        self.corrections = 0
        self.counted: dict[str, Decimal] = {}
        self._venue = venue
        self._dialect = dialect
        self._sink = sink
        self._told: dict[str, PositionEvent] = {}
        self._paid: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._funded_ns = 0  # of the youngest payment that was told
        self._due = asyncio.Event()
        self._funding_due = asyncio.Event()
        self._executed = 0
        self._doubted: dict[str, tuple[float, int]] = {}  # since when, and after how many executions

    def told(self) -> list[PositionEvent]:
        """What was told last."""
        return list(self._told.values())

    def health(self) -> dict[str, Any]:
        """Quantities and corrections, for operators."""
        return {
            "quantities": {symbol: str(row.quantity) for symbol, row in self._told.items() if row.quantity},
            "corrections": self.corrections,
        }

    def filled(self, fill: FillEvent) -> None:
        """One execution of ours."""
        self._executed += 1
        if fill.symbol in self.counted:
            self.counted[fill.symbol] += fill.quantity if fill.side == "buy" else -fill.quantity
        self._due.set()

    def said(self, rows: tuple[PositionEvent, ...]) -> None:
        """What the private stream says: quantity and entry at once, the rest by query."""
        for row in rows:
            if row.symbol in self._told:
                known = self._told[row.symbol]
                self._told[row.symbol] = msgspec.structs.replace(
                    known,
                    quantity=row.quantity,
                    entry=row.entry,
                    unrealised=row.unrealised,
                    margin_mode=row.margin_mode,
                    ts_event_ns=row.ts_event_ns,
                )
        if rows:
            self._sink.on_positions(self.told(), False)
            self._due.set()

    def stale(self) -> None:
        """Ask soon."""
        self._due.set()

    def funding_settled(self) -> None:
        """Ask soon which payments there were."""
        self._funding_due.set()

    async def fetch(self, exchange: Any, symbols: tuple[str, ...]) -> list[PositionEvent]:
        """Ask, compare and tell; raises what ccxt raises."""
        before = self._executed
        rows = await self._dialect.positions(exchange, symbols)
        self._told = {row.symbol: row for row in rows}
        compared = self._executed == before
        agreed = compared and all([self._agrees(row) for row in rows])
        if not agreed:
            self._due.set()
        self._sink.on_positions(rows, agreed)
        return rows

    def _agrees(self, row: PositionEvent) -> bool:
        """Whether a queried position is what executions add up to: by definition at first, and when doubt has lasted."""
        counted = self.counted.setdefault(row.symbol, row.quantity)
        if counted == row.quantity:
            self._doubted.pop(row.symbol, None)
            return True
        since_s, executed = self._doubted.setdefault(row.symbol, (monotonic(), self._executed))
        if executed != self._executed:
            self._doubted[row.symbol] = (monotonic(), self._executed)
            return False
        if monotonic() - since_s < DOUBT_S:
            return False
        del self._doubted[row.symbol]
        self.corrections += 1
        words = "%s: the venue holds %s %s for us, executions add up to %s: the venue is right"
        log.warning(words, self._venue, row.quantity, row.symbol, counted)
        self.counted[row.symbol] = row.quantity
        return True

    async def fetch_funding(self, exchange: Any, symbols: tuple[str, ...]) -> int:
        """Ask for payments and tell those that are new; how many."""
        since = self._funded_ns - FUNDING_OVERLAP_NS if self._funded_ns else time.time_ns() - FUNDING_S * 1_000_000_000
        new = 0
        for payment in await self._dialect.funding_since(exchange, symbols, since):
            key = (payment.symbol, payment.payment_id)
            if key in self._paid:
                continue
            self._paid[key] = None
            if len(self._paid) > SEEN_PAYMENTS:
                self._paid.popitem(last=False)
            self._funded_ns = max(self._funded_ns, payment.ts_event_ns)
            self._sink.on_funding_payment(payment)
            new += 1
        return new

    async def run(self, ask: Callable[[], tuple[Any, tuple[str, ...]] | None]) -> None:
        """Keep both current, for ever. `ask()`: the instance and symbols to ask with, None while not connected."""
        await asyncio.gather(self._keep(ask), self._keep_funding(ask))

    async def _keep(self, ask: Callable[[], tuple[Any, tuple[str, ...]] | None]) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), EVERY_S)
            await asyncio.sleep(PAUSE_S)
            self._due.clear()
            if (place := ask()) is None:
                continue
            try:
                await self.fetch(*place)
            except Exception as e:
                log.warning("%s: positions: %s", self._venue, e)
                await asyncio.sleep(RETRY_S)
                self._due.set()

    async def _keep_funding(self, ask: Callable[[], tuple[Any, tuple[str, ...]] | None]) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._funding_due.wait(), FUNDING_EVERY_S)
            announced = self._funding_due.is_set()
            self._funding_due.clear()
            for pause_s in FUNDING_PAUSES_S if announced else FUNDING_PAUSES_S[:1]:
                await asyncio.sleep(pause_s)
                if (place := ask()) is None:
                    continue
                try:
                    if await self.fetch_funding(*place):
                        break
                except Exception as e:
                    log.warning("%s: funding: %s", self._venue, e)
