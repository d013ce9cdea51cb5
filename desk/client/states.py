"""The operator's state stream as whole `DeskState` values: the snapshot, then updates merged into it, latest wins."""

from __future__ import annotations

import asyncio
import copy
import typing

import msgspec

from desk.api.desk_messages import DeskState
from desk.client.feed import Feed, Subscription, Update
from desk.errors import ApiFault

_TYPES = typing.get_type_hints(DeskState, include_extras=True)


class DeskStates(Subscription):
    """Async iterator of `DeskState`.

    A reader that is slower than the feed skips states, never sees a mixed or stale one.
    """

    def __init__(self, feed: Feed, hz: float) -> None:
        super().__init__(feed, "desk", {"hz": hz})
        self._state: DeskState | None = None
        self._changed = asyncio.Event()
        self._fault: ApiFault | None = None

    def deliver(self, update: Update) -> None:
        """Merge one frame; only the fields that came are decoded."""
        self.seq = update.seq
        if update.kind == "snapshot" or self._state is None:
            self._state = msgspec.convert(update.data, DeskState)
        else:
            state = copy.copy(self._state)
            for name, value in update.data.items():
                if name in _TYPES:
                    setattr(state, name, msgspec.convert(value, _TYPES[name]))
            self._state = state
        self._changed.set()

    def fail(self, fault: ApiFault) -> None:
        self._feed.forget(self)
        self._fault = fault
        self._changed.set()

    def __aiter__(self) -> DeskStates:
        return self

    async def __anext__(self) -> DeskState:  # type: ignore[override]
        await self._changed.wait()
        self._changed.clear()
        if self._fault is not None:
            raise self._fault
        assert self._state is not None
        return self._state
