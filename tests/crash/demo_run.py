"""Runs `kerb demo` as a user does, kills what it is told to, and reads the truth from outside: venue journals, ledger, client answers."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any


class Demo:
    """One `kerb demo --headless` on a state folder. `log` is what it says."""

    def __init__(self, state: Path, *arguments: str) -> None:
        self.state = state
        self.log = state.parent / f"{state.name}.log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "desk.cli",
                    "demo",
                    "--headless",
                    "--port",
                    "0",
                    "--state",
                    str(state),
                    *arguments,
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._read_from = self.log.stat().st_size

    def says(self, text: str, within_s: float = 90.0) -> None:
        """Wait until the log of this run holds `text`."""
        until = time.monotonic() + within_s
        while text not in self.log.read_text()[self._read_from :]:
            assert self.process.poll() is None, f"the demo ended (exit {self.process.returncode}):\n{self.tail()}"
            assert time.monotonic() < until, f"{text!r} was not said in {within_s:.0f} s:\n{self.tail()}"
            time.sleep(0.05)

    def tail(self) -> str:
        """The end of the log."""
        return self.log.read_text()[-3000:]

    def _child(self, name: str) -> int:
        for pid in _children(self.process.pid):
            if name in command(pid):
                return pid
        raise AssertionError(f"the demo has no process {name}")

    def kill_desk(self) -> None:
        """kill -9 of the desk; the demo says so and ends with exit 1."""
        self._kill_child("desk.cli")

    def kill_venues(self) -> None:
        """kill -9 of the venues; the demo says so and ends with exit 1."""
        self._kill_child("sim.servers")

    def _kill_child(self, name: str) -> None:
        os.kill(self._child(name), signal.SIGKILL)
        assert self.process.wait(15) == 1, self.tail()
        assert "died (signal SIGKILL)" in self.tail()

    def kill_tree(self) -> None:
        """kill -9 of every process at once, as when the machine loses power."""
        for pid in [self.process.pid, *family(self.process.pid)]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(10)

    def kill_all(self) -> None:
        """kill -9 of the supervisor: everything it started must go with it."""
        everybody = [self.process.pid, *family(self.process.pid)]
        self.process.kill()
        self.process.wait(10)
        until = time.monotonic() + 15
        while left := [pid for pid in everybody if alive(pid)]:
            assert time.monotonic() < until, f"still alive: {[command(pid) for pid in left]}"
            time.sleep(0.05)

    def interrupt(self) -> float:
        """Ctrl-C; the seconds it took to end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(20) == 0, self.tail()
        return time.monotonic() - began


def venue_fills(state: Path) -> Counter[tuple[str, str]]:
    """(venue, trade id) of every execution the venues' own journals hold."""
    found: Counter[tuple[str, str]] = Counter()
    for venue in ("BINANCE", "KRAKEN"):
        for line in (state / "venues" / f"{venue.lower()}.jsonl").read_text().splitlines():
            row = json.loads(line)
            if row["k"] == "fill":
                found[(venue, str(row["trade_id"]))] += 1
    for line in (state / "venues" / "falconx.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["kind"] == "fill":
            found[("FALCONX", row["quote"]["fx_quote_id"])] += 1
    return found


def ledger_fills(state: Path) -> Counter[tuple[str, str]]:
    """(venue, trade id) of every execution the ledger holds."""
    found: Counter[tuple[str, str]] = Counter()
    for venue, trade_id in _rows(state, "SELECT venue, trade_id FROM fills"):
        # Kraken writes its ids as T#####-#####-###### in base 36; its journal counts.
        found[(venue, str(int(trade_id[1:].replace("-", ""), 36)) if venue == "KRAKEN" else trade_id)] += 1
    return found


def ledger_trades(state: Path) -> Counter[tuple[str, str]]:
    """(client order id, trade id) of every client trade the ledger holds."""
    return Counter(_rows(state, "SELECT client_order_id, trade_id FROM trades"))


def imbalance(state: Path) -> dict[str, int]:
    """Σ of all postings per currency in units of 10^-18, straight from the table."""
    query = "SELECT currency, SUM(units), SUM(nano), SUM(atto) FROM postings GROUP BY currency"
    return {currency: units * 10**18 + nano * 10**9 + atto for currency, units, nano, atto in _rows(state, query)}


def open_children(state: Path) -> list[tuple[str, str]]:
    """(child id, state) of children that are not finished."""
    query = "SELECT child_id, state FROM children WHERE state NOT IN ('filled','rejected','cancelled','expired')"
    return list(_rows(state, query))


def children(state: Path) -> list[dict[str, Any]]:
    """Every child order as the ledger holds it."""
    return [json.loads(body) for (body,) in _rows(state, "SELECT body FROM children")]


def orders_sent(state: Path) -> Counter[str]:
    """client order id (at the LP: the quote's id) → orders (executions) that the venues' own journals hold for it."""
    found: Counter[str] = Counter()
    for venue in ("BINANCE", "KRAKEN"):
        rows = [json.loads(line) for line in (state / "venues" / f"{venue.lower()}.jsonl").read_text().splitlines()]
        found.update({row["order_id"]: row["client_id"] for row in rows if row["k"] == "order"}.values())
    found.update(trade_id for venue, trade_id in venue_fills(state).elements() if venue == "FALCONX")
    return found


def _rows(state: Path, query: str) -> list[tuple]:
    connection = sqlite3.connect(f"file:{state / 'ledger.db'}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def family(pid: int) -> list[int]:
    """Children, grandchildren and so on."""
    direct = _children(pid)
    return direct + [grandchild for child in direct for grandchild in family(child)]


def _children(pid: int) -> list[int]:
    try:
        return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def command(pid: int) -> str:
    """The command line of a process; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and was not waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
