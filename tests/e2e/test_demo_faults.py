"""Bad weather at the venues while the demo trades: nothing doubled or lost, the unknown is found out, hedging goes on, books come back.

`KERB_LONG_TESTS=1` makes the weather last minutes instead of seconds.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
import tomllib
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from desk.client import ApiFault, DeskState, KerbError, SyncKerbClient
from tests.crash.demo_run import Demo, children, imbalance, ledger_fills, open_children, orders_sent, venue_fills

SEED = 7
WEATHER_S = 150.0 if os.environ.get("KERB_LONG_TESTS") else 12.0
EXCHANGES = ("BINANCE", "KRAKEN")
# Each exchange and the LP get all of theirs, in an order that is the seed's; counts are how often each strikes.
EXCHANGE_FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "hang_after_accept", "count": 2},
    {"fault": "reject", "count": 2},
    {"fault": "http_503", "count": 2, "scope": "order"},
    {"fault": "disconnect"},
    {"fault": "garbage_frame", "count": 2},
    {"fault": "drop_updates", "count": 1},
    {"fault": "silence", "count": 3},
)
LP_FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "hang_after_execute"},
    {"fault": "hang_before_execute"},
    {"fault": "http_503_after_execute"},
    {"fault": "reject", "count": 2},
    {"fault": "http_503", "count": 2, "path": "/v1/quotes"},
    {"fault": "http_429", "count": 1, "path": "/v1/quotes"},
    {"fault": "slow", "count": 2, "ms": 400},
    {"fault": "disconnect", "count": 1},
    {"fault": "silence", "ms": 2_000},
    {"fault": "garbage_frame", "count": 2},
)


class Venues:
    """The control endpoints of a running demo's venues."""

    def __init__(self, state: Path) -> None:
        config = tomllib.loads((state / "desk.toml").read_text())
        self._urls = {item["venue"]: item["rest_url"] for item in config["venues"]}
        self._urls |= {item["lp"]: item["rest_url"] for item in config["lps"]}

    def order(self, venue: str, fault: dict[str, Any]) -> None:
        """Ask for a fault."""
        body = json.dumps(fault).encode()
        request = urllib.request.Request(f"{self._urls[venue]}/_control", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status == 200

    def pending(self, venue: str) -> dict[str, int]:
        """Faults that have not struck yet."""
        with urllib.request.urlopen(f"{self._urls[venue]}/_control", timeout=5) as answer:
            return dict(json.loads(answer.read())["pending"])


class Leaning(threading.Thread):
    """A client that buys a few times, then sells a few times: every turn pushes the desk over its soft band, so that it must hedge."""

    def __init__(self, access: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self._access = access
        self._stopping = threading.Event()
        self.traded = 0
        self.refused: Counter[str] = Counter()

    def run(self) -> None:
        """Trade until halted; a refusal is noted and the next request made."""
        me = self._access["clients"][0]
        with SyncKerbClient(self._access["url"], me["key"], me["secret"], timeout_s=5.0) as desk:
            number = 0
            while not self._stopping.wait(0.12):
                number += 1
                symbol, size = (("BTC/USDT", "0.25"), ("ETH/USDT", "4"))[number // 12 % 2]
                try:
                    rfq = desk.request_quote(symbol, "buy" if number // 6 % 2 else "sell", size)
                    desk.accept(rfq.quotes[0].quote_id, client_order_id=f"leaning-{number}")
                    self.traded += 1
                except ApiFault as fault:
                    self.refused[fault.code] += 1

    def halt(self) -> None:
        """Stop asking."""
        self._stopping.set()
        self.join(10)
        assert not self.is_alive()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """A demo on a generated market."""
    running = Demo(tmp_path / "state", "--seed", str(SEED))
    yield running
    if running.process.poll() is None:
        running.kill_all()


@pytest.mark.timeout(120 + 2 * int(WEATHER_S))
def test_venue_faults_double_nothing_and_the_desk_comes_through(demo: Demo) -> None:
    demo.says("quoting ")
    access = json.loads((demo.state / "access.json").read_text())
    operator = access["operator"]
    with SyncKerbClient(access["url"], operator["key"], operator["secret"]) as desk:
        client = Leaning(access)
        client.start()
        weather(Venues(demo.state), lambda: desk.desk_state())
        lost = {book.venue for book in desk.desk_state().books if book.status != "live"}
        calm = eventually(
            desk.desk_state,
            lambda state: (
                all(book.status == "live" for book in state.books) and all(lp.status == "live" for lp in state.lps)
            ),
            f"every book and stream live again ({lost} were not)",
        )
        before = calm.hedges.fills
        eventually(desk.desk_state, lambda state: state.hedges.fills > before + 2, "hedging goes on")
        client.halt()
        state = eventually(
            desk.desk_state,
            lambda state: not open_children(demo.state) and ledger_fills(demo.state) == venue_fills(demo.state),
            f"every order proven, every execution booked: {open_children(demo.state)}",
        )
        # what happened is told
        books = [alert.message for alert in state.alerts if alert.source == "book"]
        for venue in EXCHANGES:
            told = [message for message in books if message.startswith(venue)]
            assert any("disconnected" in message for message in told), (venue, books)
            assert any("gap" in message or "checksum" in message for message in told), (venue, books)
        assert state.faults == 0, [alert.message for alert in state.alerts]
        assert client.traded > 20, client.refused
        for currency, held in state.inventory.items():
            assert abs(Decimal(held.position)) <= Decimal(held.band), currency
    assert demo.interrupt() < 5.0
    # once and only once, from outside
    assert max(ledger_fills(demo.state).values()) == max(venue_fills(demo.state).values()) == 1
    assert set(imbalance(demo.state).values()) == {0}
    sent = orders_sent(demo.state)
    assert max(sent.values()) == 1, "a client order id reached a venue as two orders"
    booked: Counter[str] = Counter()
    for child in children(demo.state):
        assert Decimal(child["filled"]) <= Decimal(child["quantity"]), child
        booked[child["state"]] += 1
    assert booked["rejected"] and booked["filled"], booked  # the weather was felt, and survived


def weather(venues: Venues, look: Callable[[], DeskState]) -> None:
    """Every fault at every venue, in seeded order, until it has lasted `WEATHER_S`; at the end what has not struck is taken back."""
    dice = random.Random(SEED)
    until = time.monotonic() + WEATHER_S
    turns = 0
    while time.monotonic() < until or turns == 0:
        turns += 1
        storms = [(venue, fault) for venue in EXCHANGES for fault in EXCHANGE_FAULTS]
        storms += [("FALCONX", fault) for fault in LP_FAULTS]
        dice.shuffle(storms)
        for venue, fault in storms:
            venues.order(venue, fault)
            # the next one comes when something was traded in this one, or after a moment
            children_before, moment = look().hedges.children, time.monotonic() + dice.uniform(0.2, 0.8)
            while time.monotonic() < moment and look().hedges.children < children_before + 2:
                time.sleep(0.02)
    for venue in EXCHANGES:
        venues.order(venue, {"fault": "clear"})
    for fault in LP_FAULTS:
        if fault["fault"] not in ("disconnect", "silence"):
            venues.order("FALCONX", {**fault, "count": 0})
    assert not any(venues.pending(venue) for venue in (*EXCHANGES, "FALCONX"))


def eventually(
    look: Callable[[], DeskState], true: Callable[[DeskState], bool], what: str, within_s: float = 30.0
) -> DeskState:
    """The first state of the desk in which `true` holds."""
    until = time.monotonic() + within_s
    while True:
        try:
            state = look()
            if true(state):
                return state
        except KerbError as fault:
            last: object = fault
        else:
            last = ([(book.venue, book.instrument, book.status) for book in state.books], state.hedges)
        assert time.monotonic() < until, f"not within {within_s:.0f} s: {what}; {last}"
        time.sleep(0.1)
