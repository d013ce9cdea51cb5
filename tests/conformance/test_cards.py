"""Every card over every exchange. `KERB_CARDS=FILE` writes down what became of them (`just cards` makes the table of it)."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.ccxt import tariffs
from tests.conformance import cards_execution  # noqa: F401  (registers its cards)
from tests.conformance.cards import EXECUTION, Card, Stand
from tests.conformance.ccxt_venue import VENUES, eventually

TARIFFS = dict(tariffs.TARIFFS)
WAYS = {"BINANCE": ("rest", "ws"), "BYBIT": ("rest", "ws"), "KRAKEN": ("rest", "ws"), "OKX": ("rest", "ws")}
CASES = [
    (name, way, card)
    for name in VENUES
    for card in EXECUTION.values()
    for way in (WAYS.get(name, ("rest",)) if card.ways else ("rest",))
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
        tariffs, "TARIFFS", {}
    )  # fifty cards a second are more than some venues allow: budgets have cards of their own
    for name in ("adapters.ccxt.account", "adapters.ccxt.amendments"):
        patch.setattr(f"{name}.{'PROOF_SPAN_S' if 'account' in name else 'SPAN_S'}", 0.5)
    yield opened
    for table in opened.values():
        table.close()
    patch.undo()
    if path := os.environ.get("KERB_CARDS"):
        Path(path).write_text(json.dumps(RESULTS, indent=1, sort_keys=True) + "\n")


@pytest.mark.parametrize(("name", "way", "card"), CASES, ids=[f"{n}-{w}-{c.name}" for n, w, c in CASES])
def test_execution(tables: dict[str, Table], name: str, way: str, card: Card) -> None:
    if name not in tables:
        for other in list(tables.values()):
            other.close()
        tables.clear()
        tables[name] = Table(name)
        tables[name].open()
    table = tables[name]
    stand, account = table.stand, table.stand.accounts[way]

    async def play() -> str | None:
        stand.server.faults.order_clear() if hasattr(stand.server.faults, "order_clear") else None
        await stand.fault("clear")
        stand.refill()
        await eventually(lambda: account.link.connected, "a connected account", 20.0)
        try:
            return await asyncio.wait_for(card.run(stand, account.link, account.seen), 20.0)
        finally:
            stand.core.cancel_all()

    outcome = table.runner.run(play()) or "passed"
    RESULTS.setdefault(name, {}).setdefault(card.name, {})[way] = outcome
