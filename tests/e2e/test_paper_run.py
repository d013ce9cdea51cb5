"""`kerb run` in paper mode: real market data and quotes, imagined execution; the venues never see an order."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from desk.client import DeskState, KerbClient, Rejected
from tests.e2e.paper_rig import PaperDesk, Venues, environment, make_key, write_config

HEDGED_S = 20.0


@pytest.fixture(scope="module")
def venues(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venues]:
    running = Venues(tmp_path_factory.mktemp("venues"))
    yield running
    running.stop()


async def trade(client: KerbClient, side: str, quantity: str, order_id: str) -> None:
    """Ask until the desk quotes (its books may still be filling), and take it."""
    until = time.monotonic() + 30
    while True:
        try:
            rfq = await client.request_quote("BTC/USDT", side, quantity)
            break
        except Rejected as refusal:
            assert time.monotonic() < until, refusal
            await asyncio.sleep(0.2)
    assert (await client.accept(rfq.quotes[0].quote_id, client_order_id=order_id)).state == "filled"


async def state_when(operator: KerbClient, true: Callable[[DeskState], bool], what: str) -> DeskState:
    until = time.monotonic() + HEDGED_S
    while not true(state := await operator.desk_state()):
        assert time.monotonic() < until, f"{what}: {state.hedges} {state.inventory} {[a.message for a in state.alerts]}"
        await asyncio.sleep(0.1)
    return state


def everything_up(state: DeskState) -> bool:
    """Both books are live and the LP streams."""
    return all(book.status == "live" for book in state.books) and all(lp.rungs for lp in state.lps)


def hedged(state: DeskState) -> bool:
    """Nothing is being worked, and no more than the soft band is held."""
    return not state.hedges.open and abs(Decimal(state.inventory["BTC"].position)) <= Decimal("0.01")


def fills_in(state: Path) -> Counter[tuple[str, str]]:
    connection = sqlite3.connect(f"file:{state / 'ledger.db'}?mode=ro", uri=True)
    try:
        return Counter(connection.execute("SELECT venue, trade_id FROM fills").fetchall())
    finally:
        connection.close()


def paper_fills(state: Path) -> Counter[tuple[str, str]]:
    """What the paper accounts hold."""
    found: Counter[tuple[str, str]] = Counter()
    for path in (state / "paper").glob("*.jsonl"):
        for line in path.read_text().splitlines():
            for fill in json.loads(line).get("order", {}).get("fills", []):
                found[(path.stem.upper(), fill["trade_id"])] += 1
    return found


def test_a_paper_desk_trades_and_hedges_and_no_venue_sees_an_order(venues: Venues, tmp_path: Path) -> None:
    state = tmp_path / "state"
    client_key, operator_key = make_key(state, "alpha", "quote,trade,read"), make_key(state, "op", "read,operate")
    config = write_config(state, venues)
    asked_before = venues.lp_quotes()
    desk = PaperDesk(config, venues)
    assert "PAPER" in desk.said

    async def play() -> DeskState:
        async with KerbClient(desk.url, *client_key) as client, KerbClient(desk.url, *operator_key) as operator:
            await state_when(operator, everything_up, "books and LP")
            for number, (side, quantity) in enumerate([("buy", "0.8"), ("sell", "1.5"), ("buy", "4"), ("sell", "4")]):
                await trade(client, side, quantity, f"o-{number}")
                state_now = await state_when(operator, hedged, f"hedge of trade {number}")
            return state_now

    try:
        seen = asyncio.run(play())
    finally:
        code = desk.stop()
    assert code == 0, desk.log.read_text()
    assert seen.mode == "paper"
    assert seen.faults == 0
    assert seen.hedges.fills >= 3
    assert {currency: Decimal(amount) for currency, amount in seen.ledger.imbalance.items()} == {"BTC": 0, "USDT": 0}
    assert venues.orders() == []
    assert venues.lp_quotes() > asked_before  # quotes are real
    booked = fills_in(state)
    assert booked == paper_fills(state)
    assert set(booked.values()) == {1}
    assert len({venue for venue, _ in booked}) >= 2, booked


def test_a_killed_paper_desk_finds_its_orders_and_accounts_again(venues: Venues, tmp_path: Path) -> None:
    state = tmp_path / "state"
    client_key, operator_key = make_key(state, "alpha", "quote,trade,read"), make_key(state, "op", "read,operate")
    config = write_config(state, venues)
    desk = PaperDesk(config, venues)

    async def eager() -> None:
        async with KerbClient(desk.url, *client_key) as client:
            for number in range(4):
                await trade(client, "buy", "0.3", f"k-{number}")

    asyncio.run(eager())
    desk.kill()  # hedges are on their way
    again = PaperDesk(config, venues)

    async def settle() -> DeskState:
        async with KerbClient(again.url, *operator_key) as operator:
            return await state_when(operator, hedged, "hedged after the restart")

    try:
        seen = asyncio.run(settle())
    finally:
        code = again.stop()
    assert code == 0
    assert seen.trades == 4
    assert fills_in(state) == paper_fills(state)
    assert {currency: Decimal(amount) for currency, amount in seen.ledger.imbalance.items()} == {"BTC": 0, "USDT": 0}
    assert venues.orders() == []


@pytest.mark.parametrize(("first", "then"), [("paper", "live"), ("live", "paper")])
def test_a_state_folder_is_never_continued_in_the_other_mode(
    venues: Venues, tmp_path: Path, first: str, then: str
) -> None:
    from desk.state import open_state

    state = tmp_path / "state"
    open_state(state, first).close()
    config = write_config(state, venues, mode=then)
    said = subprocess.run(
        [sys.executable, "-m", "desk.cli", "run", "--config", str(config), *(["--live"] if then == "live" else [])],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert said.returncode == 2
    assert f"is the state of a {first} desk" in said.stderr
    assert not (state / "ledger.db").exists()


def test_a_paper_desk_without_the_lps_credentials_says_what_is_missing(venues: Venues, tmp_path: Path) -> None:
    config = write_config(tmp_path / "state", venues)
    said = subprocess.run(
        [sys.executable, "-m", "desk.cli", "run", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert said.returncode == 2
    assert "FALCONX_API_KEY" in said.stderr
    assert "BINANCE_API_KEY" not in said.stderr


def test_the_doctor_reaches_the_venues_and_their_clocks(venues: Venues, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from desk.commands import doctor

    config = write_config(tmp_path / "state", venues)
    lp = venues.at["credentials"]["FALCONX"]
    secrets = {"FALCONX_API_KEY": lp["key"], "FALCONX_API_SECRET": lp["secret"]}
    said = CliRunner().invoke(doctor, ["--config", str(config), "--json"], standalone_mode=False, env=secrets)
    grades = {item["check"]: item["grade"] for item in json.loads(said.output)["items"]}
    for check in (
        "BINANCE reach",
        "BINANCE clock",
        "KRAKEN reach",
        "KRAKEN clock",
        "FALCONX REST reach",
        "FALCONX keys",
    ):
        assert grades[check] == "ok", said.output
    assert lp["secret"] not in said.output
