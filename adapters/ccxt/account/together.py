"""Questions that are under way together are asked in one: for venues whose limits do not allow one for each order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable


class _Round[K, V]:
    def __init__(self) -> None:
        self.keys: dict[K, None] = {}
        self.answers: dict[K, V] | None = None
        self.error: Exception | None = None


class Together[K: Hashable, V]:
    """One look at a time, for all who asked before it began; whoever asks later waits for the next: no answer is older than its question.

    The first of those who wait takes the look for all of them. Is it cancelled meanwhile, the next one does.
    """

    def __init__(self) -> None:
        self._next: _Round[K, V] = _Round()
        self._looking = asyncio.Lock()

    async def ask(self, key: K, look: Callable[[list[K]], Awaitable[dict[K, V]]]) -> V | None:
        """What a `look` at this and the others' keys answers, None where it has no answer. Raises what the look raises, to all of them."""
        mine = self._next
        mine.keys[key] = None
        await asyncio.sleep(0)  # those who ask at once are in one look
        async with self._looking:
            if mine is self._next:
                self._next = _Round()
            if mine.answers is None and mine.error is None:
                try:
                    mine.answers = await look(list(mine.keys))
                except Exception as e:
                    mine.error = e
        if mine.error is not None:
            raise mine.error
        assert mine.answers is not None
        return mine.answers.get(key)
