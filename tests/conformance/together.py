"""One test that plays a card at several venues at once: while one waits, another works."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable

Card = Callable[[str], Awaitable[None]]


def together(names: Iterable[str]) -> Callable[[Card], Callable[[], None]]:
    """Make a test of a card `async def test_…(name)`; every venue's failure is told, with its name."""
    venues = tuple(names)

    async def play(card: Card) -> None:
        ended = await asyncio.gather(*map(card, venues), return_exceptions=True)
        failures = []
        for name, error in zip(venues, ended, strict=True):
            if isinstance(error, Exception):
                error.add_note(f"at {name}")
                failures.append(error)
        if failures:
            raise ExceptionGroup(f"not at {len(failures)} of {len(venues)} venues", failures)

    def made(card: Card) -> Callable[[], None]:
        def everywhere() -> None:
            asyncio.run(play(card))

        functools.update_wrapper(
            everywhere, card, assigned=("__module__", "__name__", "__qualname__", "__doc__"), updated=()
        )
        del everywhere.__wrapped__  # pytest would take its arguments for fixtures
        return everywhere

    return made
