"""The balances of one account: told whole after every change, whether the venue streams them or has to be asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal

from adapters.ccxt.events import Balance

log = logging.getLogger(__name__)

PAUSE_S = 0.5


class Balances:
    """`ask`: every balance the venue names; `ours`: currencies we trade; `tell`: all that is known; `failed` hears what a query raised."""

    def __init__(
        self,
        venue: str,
        ask: Callable[[], Awaitable[list[Balance]]],
        ours: Callable[[], Iterable[str]],
        tell: Callable[[list[Balance]], None],
        failed: Callable[[Exception], Awaitable[None]],
    ) -> None:
        self._venue = venue
        self._ask = ask
        self._ours = ours
        self._tell = tell
        self._failed = failed
        self._known: dict[str, Balance] = {}
        self._due = asyncio.Event()

    def stale(self) -> None:
        """They have changed: to be asked for soon."""
        self._due.set()

    def said(self, rows: Iterable[Balance]) -> None:
        """Some, as the venue's stream has them."""
        self._known.update({row.currency: row for row in rows})
        self._tell(list(self._known.values()))

    async def reconcile(self) -> None:
        """All: now when none are known yet, else soon."""
        if self._known:
            self.stale()
        else:
            await self.fetch()

    async def fetch(self) -> None:
        """All, now. What the venue no longer names is zero: the engine keeps what it is not told about."""
        rows = await self._ask()
        zero = Decimal(0)
        self._known = {code: Balance(code, zero, zero) for code in (*self._ours(), *self._known)}
        self.said(rows)

    async def run(self) -> None:
        """Ask after executions and changes, not more often than twice a second, for ever."""
        while True:
            await self._due.wait()
            await asyncio.sleep(PAUSE_S)
            self._due.clear()
            try:
                await self.fetch()
            except Exception as e:
                log.warning("%s: balances: %s", self._venue, e)
                await self._failed(e)
                await asyncio.sleep(3 * PAUSE_S)
                self._due.set()  # what changed is not known yet
