"""kill -9 in the middle of trading, then start again: no accepted trade lost, none doubled, every execution booked once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from desk.client import ApiFault, KerbError, SyncKerbClient
from sim.demo.report import archive_rows
from tests.crash.demo_run import Demo, imbalance, ledger_fills, ledger_trades, open_children, venue_fills

SEED = 20_261_121
KILLS = ("kill_desk", "kill_tree", "kill_venues", "kill_all")
# How each run on the same state ends. `KERB_LONG_TESTS=1`: more of them, in an order of the seed's.
ENDS = ("kill_desk", "kill_tree", "interrupt")
if os.environ.get("KERB_LONG_TESTS"):
    ENDS = (*random.Random(SEED).choices(KILLS, k=15), "interrupt")


class EagerClient(threading.Thread):
    """A client that trades as fast as it is answered. `acked`: client order id → trade id it was told; `asked`: what it sent."""

    def __init__(self, state: Path, run: int) -> None:
        super().__init__(daemon=True)
        self._access = json.loads((state / "access.json").read_text())
        self._run = run
        self._stopping = threading.Event()
        self.asked: list[str] = []
        self.acked: dict[str, str] = {}

    def run(self) -> None:
        """Ask, accept, remember; end when the desk is gone or `halt` is called."""
        me = self._access["clients"][0]
        with SyncKerbClient(self._access["url"], me["key"], me["secret"], timeout_s=2.0) as desk:
            for number in range(10_000):
                if self._stopping.is_set():
                    return
                order_id = f"eager-{self._run}-{number}"
                try:
                    rfq = desk.request_quote("BTC/USDT", "buy" if number % 2 else "sell", "0.35")
                    self.asked.append(order_id)
                    self.acked[order_id] = desk.accept(rfq.quotes[0].quote_id, client_order_id=order_id).trade_id
                except ApiFault:
                    continue
                except (KerbError, OSError, TimeoutError):
                    return

    def has_traded(self, times: int, within_s: float = 30.0) -> None:
        """Wait until it was told of so many trades: the next thing happens in the middle of it."""
        until = time.monotonic() + within_s
        while len(self.acked) < times:
            assert time.monotonic() < until, f"{len(self.acked)} trades in {within_s:.0f} s"
            time.sleep(0.002)

    def halt(self) -> None:
        """Stop asking."""
        self._stopping.set()
        self.join(10)


@pytest.fixture
def running() -> Iterator[list[Demo]]:
    """Demos to be ended whatever happens."""
    demos: list[Demo] = []
    yield demos
    for demo in demos:
        if demo.process.poll() is None:
            demo.kill_all()


@pytest.mark.timeout(150 + 30 * len(ENDS))
def test_kill_at_any_moment_loses_and_doubles_nothing(tmp_path: Path, running: list[Demo]) -> None:
    state = tmp_path / "state"
    dice = random.Random(SEED)
    acked: dict[str, str] = {}
    for run, how in enumerate(ENDS):
        demo = Demo(state, "--seed", "7")
        running.append(demo)
        demo.says("quoting ")
        client = EagerClient(state, run)
        client.start()
        client.has_traded(dice.randrange(40, 150))
        if how == "interrupt":
            client.halt()
            _wait_for_hedges(state)
            assert demo.interrupt() < 5.0
            assert "stopped" in demo.tail()
        else:
            getattr(demo, how)()
            client.halt()
        acked.update(client.acked)
        held = ledger_trades(state)
        assert set(acked.items()) <= set(held), "an acknowledged trade is not in the ledger"
        assert max(by_order(held).values()) == 1, "one client order id has two trades"
        assert set(imbalance(state).values()) == {0}
        assert set(ledger_fills(state)) <= set(venue_fills(state)), "an execution was booked that never was"
    assert ledger_fills(state) == venue_fills(state)
    assert open_children(state) == []
    tapped = json.loads((state / "tapped.json").read_text())
    rows = asyncio.run(archive_rows(state))
    assert {table: rows[table] for table in tapped["tapped"]} == tapped["tapped"]
    assert tapped["dropped"] == 0


def by_order(held: dict[tuple[str, str], int]) -> dict[str, int]:
    """client order id → number of trades."""
    counts: dict[str, int] = {}
    for (order_id, _), number in held.items():
        counts[order_id] = counts.get(order_id, 0) + number
    return counts


def _wait_for_hedges(state: Path, within_s: float = 25.0) -> None:
    """Until every child order, those of the killed runs too, is proven and nothing is in flight."""
    until = time.monotonic() + within_s
    while open_children(state) or ledger_fills(state) != venue_fills(state):
        assert time.monotonic() < until, f"open: {open_children(state)}; {venue_fills(state) - ledger_fills(state)}"
        time.sleep(0.2)
