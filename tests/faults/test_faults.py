"""A slice of the fault suite, and that the suite sees the bugs it is there for. All of it: `just faults` (`python -m tests.faults`)."""

import asyncio

import pytest

from tests.conformance.ccxt_venue import VENUES
from tests.faults.planted import BUGS
from tests.faults.run import run
from tests.faults.scenario import scenario

SEED = 7
AT_ONCE = 3  # more would wait for the processor, not for the venue


async def some_at_once(plays: list) -> list:
    """The outcomes of all plays, in order."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(play):
        async with gate:
            return await play

    return await asyncio.gather(*map(one, plays))


def test_a_scenario_is_a_function_of_its_seed_and_number():
    first, again = (scenario(12, SEED, tuple(VENUES)) for _ in range(2))
    assert first == again
    assert scenario(12, SEED + 1, tuple(VENUES)) != first


def test_every_exchange_comes_through_a_disturbance_of_its_own():
    plays = [run(scenario(n, SEED, tuple(VENUES), active_s=1.2)) for n in range(len(VENUES))]
    outcomes = asyncio.run(some_at_once(plays))
    assert {outcome.scenario.venue for outcome in outcomes} == set(VENUES)
    assert [(outcome.scenario.told(), outcome.wrong) for outcome in outcomes if outcome.wrong] == []
    assert sum(outcome.fills for outcome in outcomes) > 0


def test_the_suite_sees_five_planted_bugs_and_nothing_wrong_without_them():
    plays = []
    for number, (plant, faults, venue) in enumerate(BUGS.values()):
        one = scenario(number, SEED, (venue,), faults=faults, active_s=1.2)
        plays += [run(one, plant, 2.0), run(one)]
    outcomes = asyncio.run(some_at_once(plays))
    for name, planted, sound in zip(BUGS, outcomes[::2], outcomes[1::2], strict=True):
        assert sound.wrong == [], name
        assert planted.wrong, f"{name} was not seen"
        assert not any("itself failed" in word for word in planted.wrong), planted.wrong


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_described_where_it_is_planted(name):
    assert BUGS[name][0].__doc__.startswith("Seam: ")
