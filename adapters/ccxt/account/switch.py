"""The dead-man switch of an account: the venue cancels every open order when it has heard no more of us for so long.

Where the venue counts down (`Switch.TIMER`) it is set again at a quarter of its span, but only while the private stream is up: a desk that
no longer hears of its executions is not live. Where the venue watches the private socket itself (`Switch.DISCONNECT`) it is set once
after each login, however short the loss was. A clean stop takes it off, so that orders outlive it, also when nobody knows whether the
venue heard the last request. It cancels the whole account's orders, also those of others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from adapters.ccxt.dialect import Offers, Switch

log = logging.getLogger(__name__)

RENEWALS = 4  # times that a span is renewed before it would run out
RETRY_S, RETRY_MOST_S = 1.0, 60.0  # a venue that refuses is asked again ever more seldom
TAKE_OFF_S = 2.0


class DeadManSwitch:
    """`seconds`: the span, 0 = not wanted. `put(seconds)` tells the venue."""

    def __init__(self, venue: str, offers: Offers, seconds: int, put: Callable[[int], Awaitable[None]]) -> None:
        least, most = offers.switch_s
        self.kind = offers.switch if seconds else Switch.NONE
        self.seconds = min(max(seconds, least), most) if self.kind is not Switch.NONE else 0
        self.reason = "" if self.kind is not Switch.NONE else "not wanted" if offers.switch_s[1] else "not offered"
        self._venue = venue
        self._put = put
        self._asked = False  # the venue may have heard of it
        self._set_s: float | None = None
        self._connected = asyncio.Event()
        self._login = asyncio.Event()  # a login since it was set

    def connected(self) -> None:
        """The private stream is up (again)."""
        self._connected.set()
        self._login.set()

    def lost(self) -> None:
        """The private stream is down: the venue's clock runs."""
        self._connected.clear()

    @property
    def armed(self) -> bool:
        """Whether the venue would act when it hears no more of us."""
        if self._set_s is None:
            return False
        return self.kind is Switch.DISCONNECT or monotonic() - self._set_s < self.seconds

    def health(self) -> dict[str, Any]:
        """Kind, span, whether it is set, the seconds it has left (None where nothing runs), and why it is not set."""
        left = None
        if self.armed and self.kind is Switch.TIMER and self._set_s is not None:
            left = round(self.seconds - (monotonic() - self._set_s), 1)
        return {
            "kind": str(self.kind),
            "seconds": self.seconds,
            "armed": self.armed,
            "left_s": left,
            "reason": self.reason,
        }

    async def run(self) -> None:
        """Set it, and keep it set, until cancelled."""
        renew_s = None if self.kind is Switch.DISCONNECT else self.seconds / RENEWALS
        pause_s = RETRY_S
        while self.kind is not Switch.NONE:
            await self._connected.wait()
            self._login.clear()
            try:
                began, self._asked = monotonic(), True
                await self._put(self.seconds)
            except Exception as e:
                if self.reason != str(e):
                    log.warning("%s: the dead-man switch is not set: %s", self._venue, e)
                self.reason = str(e)[:200]
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_MOST_S)
                continue
            pause_s = RETRY_S
            self._set_s, self.reason = began, ""
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._login.wait(), renew_s)

    async def off(self) -> None:
        """Take it off, once `run` was cancelled; a venue that does not answer in time will act on its own clock."""
        if not self._asked:
            return
        try:
            await asyncio.wait_for(self._put(0), TAKE_OFF_S)
            self._set_s, self.reason = None, "stopped"
        except Exception as e:
            log.warning("%s: the dead-man switch could not be taken off: %s", self._venue, e)
