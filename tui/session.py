"""The blotter's one connection to a desk: keeps the latest state, and says at any moment whether it is live.

Nothing here paints. The application looks at `state`, `version` and `feed()` when its timer ticks.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Protocol

import msgspec

from desk.client import ApiFault, DeskState, KerbClient, RfqBuild
from desk.client.states import DeskStates

LOST_AFTER_S = 2.5  # the desk's heartbeat comes each second
FROZEN_AFTER_S = 5.0  # heartbeats, but no state
RETRY_S = 1.0


class FeedView(msgspec.Struct, frozen=True, kw_only=True):
    """The feed as the operator must see it. `age_s`: since the last frame of any kind."""

    connected: bool
    age_s: float
    state_age_s: float
    reason: str = ""
    seq: int = 0
    reconnects: int = 0

    @property
    def live(self) -> bool:
        """Whether what is shown may be acted upon."""
        return self.connected and self.age_s <= LOST_AFTER_S and self.state_age_s <= FROZEN_AFTER_S

    @property
    def fault(self) -> str:
        """Why it is not live, in words."""
        if self.live:
            return ""
        if not self.connected:
            return self.reason or "not connected"
        return "nothing heard" if self.age_s > LOST_AFTER_S else "the desk sends no state"


class Session(Protocol):
    """What the application needs of a connection."""

    state: DeskState | None
    version: int  # grows with every state

    def feed(self) -> FeedView: ...

    async def run(self) -> None:
        """Stay connected until cancelled."""

    async def halt(self, reason: str) -> None:
        """Stop quoting and sending. Raises `ApiFault`."""

    async def resume(self, reason: str) -> None:
        """Trade again. Raises `ApiFault`."""

    async def waterfall(self, rfq_id: str) -> RfqBuild:
        """How the prices of a request were made. Raises `ApiFault`."""


class DeskSession:
    """A `Session` over the desk's API."""

    def __init__(self, url: str, key: str, secret: str, *, hz: float = 5.0) -> None:
        self.state: DeskState | None = None
        self.version = 0
        self._client = KerbClient(url, key, secret)
        self._open = False
        self._hz = hz
        self._seq = 0
        self._received = time.monotonic()
        self._refused = ""  # what the desk answered last, until the next state

    def feed(self) -> FeedView:
        """How the feed is now."""
        state_age = time.monotonic() - self._received
        if not self._open or self._refused:
            reason = self._refused or "connecting"
            return FeedView(connected=False, age_s=state_age, state_age_s=state_age, reason=reason)
        feed = self._client.feed
        return FeedView(
            connected=feed.status.connected,
            age_s=feed.age_s() if feed.status.connected else max(feed.age_s(), state_age),
            state_age_s=state_age,
            reason=feed.status.reason,
            seq=self._seq,
            reconnects=feed.status.reconnects,
        )

    async def run(self) -> None:
        """Follow channel `desk`; after a refusal try again, and say why it was refused."""
        async with contextlib.AsyncExitStack() as stack:
            self._client = await stack.enter_async_context(self._client)
            self._open = True
            while True:
                states = DeskStates(self._client.feed, self._hz)
                try:
                    await self._client.feed.add(states)
                    async for state in states:
                        self.state, self._seq = state, states.seq
                        self.version += 1
                        self._refused = ""
                        self._received = time.monotonic()
                except ApiFault as fault:
                    self._refused = f"{fault.code}: {fault.message}"
                finally:
                    with contextlib.suppress(ApiFault):
                        await states.close()
                await asyncio.sleep(RETRY_S)

    async def halt(self, reason: str) -> None:
        """Stop quoting and sending."""
        await self._client.halt(reason)

    async def resume(self, reason: str) -> None:
        """Trade again."""
        await self._client.resume(reason)

    async def waterfall(self, rfq_id: str) -> RfqBuild:
        """How the prices of a request were made."""
        return await self._client.waterfall(rfq_id)
