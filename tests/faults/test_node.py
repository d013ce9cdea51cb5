"""Faults through a whole node, a slice: what must hold does, and the suite sees the bugs it is there for.

All of it: `just faults --node 150` (`python -m tests.faults --node 150`).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.instruments import BINANCE, KRAKEN
from sim.servers.faults import Fault
from tests.conformance.ccxt_venue import VENUES
from tests.faults.node.episode import CASTS, PERPETUALS, Struck, cast_of, episode
from tests.faults.node.planted import BUGS, planted
from tests.faults.node.run import Outcome, node
from tests.faults.node.spread import nodes

SEED = 7
ACTIVE_S = 0.9
SEEN_WITHIN_S = 0.6


@pytest.fixture
def switching() -> Iterator[None]:
    """A live desk has its own interval between threads."""
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


def test_an_episode_is_a_function_of_its_seed_and_number() -> None:
    first, again = (episode(12, SEED, cast_of(12)) for _ in range(2))
    assert first == again
    assert episode(12, SEED + 1, cast_of(12)) != first


def test_every_exchange_is_in_a_node_and_every_episode_in_one() -> None:
    assert {venue for cast in CASTS for venue in cast} == set(VENUES)
    assert all(len([venue for venue in cast if venue not in PERPETUALS]) >= 2 for cast in CASTS)
    spread = list(nodes(list(range(200))))
    assert sorted(number for mine in spread for number in mine) == list(range(200))
    assert all(len({cast_of(number) for number in mine}) == 1 for mine in spread)


async def a_slice(state: Path) -> tuple[list[Outcome], dict[str, Outcome]]:
    """Two sound episodes, then one with each bug, on one node."""
    venues, seen = (BINANCE, KRAKEN), {}
    async with node(venues, SEED, state) as running:
        away = episode(1, SEED, venues, struck=Struck.ALL, faults=(Fault.DISCONNECT_STORM,), active_s=ACTIVE_S)
        hang = episode(2, SEED, venues, struck=Struck.ALL, faults=(Fault.HANG_AFTER_ACCEPT,), active_s=ACTIVE_S)
        sound = [await running.play(one) for one in (away, hang)]
        for number, (name, (bug, faults, _)) in enumerate(BUGS.items()):
            struck = episode(number, SEED, venues, struck=Struck.ALL, faults=faults, active_s=ACTIVE_S)
            with planted(bug):
                seen[name] = await running.play(struck, SEEN_WITHIN_S)
    return sound, seen


def test_a_desk_that_is_disturbed_loses_and_doubles_nothing_and_every_planted_bug_is_seen(
    tmp_path: Path, switching: None
) -> None:
    sound, seen = asyncio.run(a_slice(tmp_path))
    assert [(outcome.told, outcome.wrong) for outcome in sound if outcome.wrong] == []
    assert sum(outcome.trades for outcome in sound) > 0 and sum(outcome.executions for outcome in sound) > 0
    assert sum(outcome.unknown for outcome in sound) > 0
    assert sum(outcome.refused.get("no_live_venue", 0) for outcome in sound) > 0
    blind = {name: seen[name].wrong for name, (_, _, word) in BUGS.items() if word not in " ".join(seen[name].wrong)}
    assert blind == {}


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_described_where_it_is_planted(name: str) -> None:
    doc = BUGS[name][0].__doc__
    assert doc is not None and doc.startswith("Seam: ")
