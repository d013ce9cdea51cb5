"""A slice of the fault suite, and that the suite sees the bugs it is there for. All of it: `just faults` (`python -m tests.faults`)."""

import asyncio

import pytest

from sim.servers.faults import Fault
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


def test_every_exchange_comes_through_and_every_planted_bug_is_seen():
    others = ("COINBASE", "KRAKENFUTURES")  # where no bug is planted
    sound = [scenario(5, SEED, (name,), faults=(Fault.SILENCE, Fault.HTTP_502), active_s=1.2) for name in others]
    planted = []
    for number, (plant, faults, venue) in enumerate(BUGS.values()):
        sound.append(scenario(number, SEED, (venue,), faults=faults, active_s=1.2))
        planted.append(run(sound[-1], plant, 2.0))
    assert {one.venue for one in sound} == set(VENUES)
    outcomes = asyncio.run(some_at_once([*planted, *map(run, sound)]))
    seen = dict(zip(BUGS, outcomes, strict=False))
    assert [(outcome.scenario.told(), outcome.wrong) for outcome in outcomes[len(BUGS) :] if outcome.wrong] == []
    assert [name for name, outcome in seen.items() if not outcome.wrong] == []
    assert [word for outcome in seen.values() for word in outcome.wrong if "itself failed" in word] == []
    assert sum(outcome.fills for outcome in outcomes) > 0


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_described_where_it_is_planted(name):
    assert BUGS[name][0].__doc__.startswith("Seam: ")
