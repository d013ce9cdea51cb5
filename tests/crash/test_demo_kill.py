"""kill -9 in the middle of trading, then start again: no accepted trade lost, none doubled, every execution booked once."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from desk.client import ApiFault, KerbError, SyncKerbClient
from tests.crash.demo_run import Demo, imbalance, ledger_fills, ledger_trades, open_children, venue_fills

SEED = 20_261_121


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


@pytest.mark.timeout(240)
def test_kill_at_any_moment_loses_and_doubles_nothing(tmp_path: Path, running: list[Demo]) -> None:
    state = tmp_path / "state"
    dice = random.Random(SEED)
    acked: dict[str, str] = {}
    for run, how in enumerate(("kill_desk", "kill_all", "interrupt")):
        demo = Demo(state, "--seed", "7")
        running.append(demo)
        demo.says("quoting ")
        client = EagerClient(state, run)
        client.start()
        time.sleep(3.0 + 2.0 * dice.random())
        if how == "interrupt":
            client.halt()
            _wait_for_hedges(state)
        getattr(demo, how)()
        client.halt()
        assert client.acked, "the client never traded: this run proves nothing"
        acked.update(client.acked)
        held = ledger_trades(state)
        assert set(acked.items()) <= set(held), "an acknowledged trade is not in the ledger"
        assert max(by_order(held).values()) == 1, "one client order id has two trades"
    assert ledger_fills(state) == venue_fills(state)
    assert open_children(state) == []
    assert set(imbalance(state).values()) == {0}


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


@pytest.mark.timeout(120)
def test_ctrl_c_stops_everything_within_five_seconds(tmp_path: Path, running: list[Demo]) -> None:
    demo = Demo(tmp_path / "state", "--seed", "3")
    running.append(demo)
    demo.says("quoting ")
    time.sleep(1.0)
    assert demo.interrupt() < 5.0
    assert "stopped" in demo.tail()
