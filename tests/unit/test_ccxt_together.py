"""Questions asked together: one look for all of them, none older than its question."""

from __future__ import annotations

import asyncio

import pytest

from adapters.ccxt.account.together import Together


def test_those_who_ask_while_a_look_is_under_way_share_the_next_one():
    looks: list[list[int]] = []

    async def play() -> list[int | None]:
        together: Together[int, int] = Together()

        async def look(keys: list[int]) -> dict[int, int]:
            looks.append(keys)
            await asyncio.sleep(0.05)
            return {key: key * 10 for key in keys if key != 3}

        first = asyncio.ensure_future(together.ask(1, look))
        await asyncio.sleep(0.005)
        rest = [asyncio.ensure_future(together.ask(key, look)) for key in (1, 2, 3, 2)]
        return list(await asyncio.gather(first, *rest))

    assert asyncio.run(play()) == [10, 10, 20, None, 20]
    assert looks == [[1], [1, 2, 3]]


def test_a_failure_is_told_to_all_and_the_next_look_is_a_new_one():
    async def play() -> None:
        together: Together[int, int] = Together()
        turns = 0

        async def look(keys: list[int]) -> dict[int, int]:
            nonlocal turns
            turns += 1
            await asyncio.sleep(0)
            if turns == 1:
                raise ConnectionError("away")
            return dict.fromkeys(keys, turns)

        answers = await asyncio.gather(*(together.ask(key, look) for key in (1, 2)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [ConnectionError, ConnectionError]
        assert await together.ask(1, look) == 2

    asyncio.run(play())


@pytest.mark.parametrize("cancelled", [0, 1])
def test_a_look_goes_on_for_the_others_when_one_is_cancelled(cancelled: int):
    async def play() -> list[object]:
        together: Together[int, int] = Together()

        async def look(keys: list[int]) -> dict[int, int]:
            await asyncio.sleep(0.01)
            return dict.fromkeys(keys, 7)

        tasks = [asyncio.ensure_future(together.ask(key, look)) for key in (1, 2, 3)]
        await asyncio.sleep(0.001)
        tasks[cancelled].cancel()
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    answers = asyncio.run(play())
    assert isinstance(answers.pop(cancelled), asyncio.CancelledError)
    assert answers == [7, 7]
