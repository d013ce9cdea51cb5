"""Every card over every exchange. `KERB_CARDS=FILE` writes down what became of them (`just cards` makes the table of it)."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.ccxt.account import amendments, proofs
from adapters.ccxt.events import StreamStatus
from adapters.ccxt.limits import purse
from sim.events import EventKind
from tests.conformance.cards.stand import DATA, EXECUTION, LEVELS, Card, Stand
from tests.conformance.ccxt_venue import OVER_SOCKET, VENUES, eventually

WRITTEN: dict[str, dict[str, dict[str, str]]] = json.loads(
    (Path(__file__).parents[3] / "adapters/ccxt/cards.json").read_text()
)
WAYS = dict.fromkeys(OVER_SOCKET, ("rest", "ws"))
LONG = bool(os.environ.get("KERB_LONG_TESTS") or os.environ.get("KERB_CARDS"))
SLOW = {  # seconds each: not in the short form
    "silence_makes_a_book_stale_and_it_is_subscribed_again",
    "a_storm_of_disconnects_is_ridden_out",
    "a_venue_that_is_closed_for_maintenance_is_waited_for",
    "a_venue_that_is_down_at_our_start_is_found_later",
}
CASES = [
    (name, way, card)
    for name in VENUES
    for card in (EXECUTION | DATA).values()
    for way in (("data",) if card.kind == "data" else WAYS.get(name, ("rest",)) if card.ways else ("rest",))
    if LONG or card.name not in SLOW
]
RESULTS: dict[str, dict[str, dict[str, str]]] = {}


class Table:
    """One exchange, its stand, and the loop that both live in."""

    def __init__(self, name: str) -> None:
        self.runner = asyncio.Runner()
        self.stand = Stand(name)

    def open(self) -> None:
        self.runner.run(self._open())

    async def _open(self) -> None:
        await self.stand.start(order_timeout_ms=400)
        await self.stand.connect()

    def close(self) -> None:
        self.runner.run(self.stand.stop())
        self.runner.close()


@pytest.fixture(scope="module")
def tables() -> Iterator[dict[str, Table]]:
    opened: dict[str, Table] = {}
    patch = pytest.MonkeyPatch()
    patch.setattr(
        purse, "VENUES", {}
    )  # fifty cards a second are more than some venues allow: budgets have cards of their own
    for module in (amendments, proofs):
        patch.setattr(module, "SPAN_S", 0.5)
    yield opened
    for table in opened.values():
        table.close()
    patch.undo()
    if path := os.environ.get("KERB_CARDS"):
        write(Path(path))


def write(path: Path) -> None:
    """What was played now, and what was before of cards and exchanges that still are."""
    before = json.loads(path.read_text()) if path.exists() else {}
    rows: dict[str, dict[str, dict[str, str]]] = {}
    for name, way, card in CASES:
        for known in (before, RESULTS):
            if way in (ways := known.get(name, {}).get(card.name, {})):
                rows.setdefault(name, {}).setdefault(card.name, {})[way] = ways[way]
    path.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")


def opened(tables: dict[str, Table], name: str) -> Table:
    """The stand of a venue; that of the one before is put away."""
    if name not in tables:
        for other in tables.values():
            other.close()
        tables.clear()
        tables[name] = Table(name)
        tables[name].open()
    return tables[name]


async def begun(stand: Stand) -> None:
    """As every card finds the stand."""
    await stand.fault("clear")
    if not stand.core.books[stand.symbol].live:
        stand.happens(EventKind.SNAPSHOT)
    stand.refill()


async def _order(stand: Stand, way: str, card: Card) -> str | None:
    account = stand.accounts[way]
    await eventually(lambda: account.link.connected, "a connected account", 20.0)
    try:
        return await asyncio.wait_for(card.run(stand, account.link, account.seen), 20.0)
    finally:
        stand.core.cancel_all()


async def _watch(stand: Stand, card: Card) -> str | None:
    if stand.market is None:
        stand.market = await stand.watch(max_age_ms=60_000)
    link, seen = stand.market
    await eventually(lambda: link.status(stand.symbol) is StreamStatus.LIVE, "a live book", 20.0)
    await eventually(lambda: len(seen.levels) == 2 * LEVELS, "the whole book of the stand", 20.0)
    return await asyncio.wait_for(card.run(stand, link, seen), 30.0)


@pytest.mark.parametrize(("name", "way", "card"), CASES, ids=[f"{n}-{w}-{c.name}" for n, w, c in CASES])
def test_card(tables: dict[str, Table], name: str, way: str, card: Card) -> None:
    table = opened(tables, name)

    async def play() -> str | None:
        await begun(table.stand)
        return await (_watch(table.stand, card) if way == "data" else _order(table.stand, way, card))

    result = RESULTS.setdefault(name, {}).setdefault(card.name, {})
    result[way] = "failed"
    result[way] = table.runner.run(play()) or "passed"
    if not os.environ.get("KERB_CARDS"):  # a card that is not offered any more is a change of the table, not a success
        assert result[way] == WRITTEN[name][card.name][way]
