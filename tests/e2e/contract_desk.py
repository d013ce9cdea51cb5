"""The demo under audit: started as a user starts it, with keys made by `kerb keys`, and what its answers must look like."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.crash.demo_run import Demo
from tests.e2e.contract_shapes import ERROR, RFQ, STATUS_OF_KIND, TRADE, check, one_unit
from tests.e2e.outside_client import Answer, Outsider

USDT_PRECISION = 6


class Desk:
    """The demo and its keys."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.start()
        self.alpha = self._of(self.access["clients"][0])
        self.beta = self._of(self.access["clients"][1])
        self.operator = self._of(self.access["operator"])

    def start(self) -> None:
        """Start, or start again on the same state."""
        self.demo = Demo(self.state)
        self.demo.says("kerb: quoting")
        self.access = json.loads((self.state / "access.json").read_text())
        self.url = self.access["url"]

    def stop(self) -> None:
        """Ctrl-C."""
        if self.demo.process.poll() is None:
            self.demo.interrupt()

    def _of(self, entry: dict[str, str]) -> Outsider:
        return Outsider(self.url, entry["key"], entry["secret"], entry.get("client_id", "operator"))

    def new_key(self, client: str, *options: str) -> Outsider:
        """`kerb keys new`; the running desk takes it within a second."""
        made = json.loads(self.keys("new", "--client", client, *options))
        known = Outsider(self.url, made["key"], made["secret"], client)
        eventually(lambda: known.get("/v1/time").status == 200)
        return known

    def keys(self, *arguments: str) -> str:
        """`kerb keys …` on the demo's state folder."""
        command = [
            sys.executable,
            "-m",
            "desk.cli",
            "keys",
            arguments[0],
            "--state",
            str(self.state),
            *arguments[1:],
            "--json",
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def eventually(holds: Callable[[], Any], within_s: float = 10.0) -> Any:
    """Ask again until it holds."""
    until = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def refused(
    answer: Answer, status: int | tuple[int, ...], kind: str = "invalid", code: str | None = None
) -> dict[str, Any]:
    """The error of a refusal, in the one shape with the right status."""
    statuses = (status,) if isinstance(status, int) else status
    assert answer.status in statuses, (answer.status, answer.raw[:300])
    error: dict[str, Any] = answer.body["error"]
    check(error, ERROR, "error")
    assert set(answer.body) == {"error"}
    assert (error["kind"], code or error["code"]) == (kind, error["code"])
    assert answer.status in STATUS_OF_KIND[kind]
    assert error["retryable"] is (kind in ("limited", "failed"))
    assert b"Traceback" not in answer.raw and b".py" not in answer.raw
    return error


def quoted(answer: Answer) -> dict[str, Any]:
    """The body of a quoted request."""
    assert answer.status == 201, answer.raw
    check(answer.body, RFQ)
    assert answer.body["state"] == "quoted"
    return dict(answer.body)


def traded(answer: Answer) -> dict[str, Any]:
    """The body of a trade, its numbers checked."""
    assert answer.status == 200, answer.raw
    trade = dict(answer.body)
    check(trade, TRADE)
    assert one_unit(trade["price"], trade["quantity"], trade["amount"], USDT_PRECISION)
    sign_ = 1 if trade["side"] == "buy" else -1
    legs = {leg["currency"]: Decimal(leg["amount"]) for leg in trade["settlement"]["legs"]}
    assert len(trade["settlement"]["legs"]) == 2
    assert legs == {"BTC": sign_ * Decimal(trade["quantity"]), "USDT": -sign_ * Decimal(trade["amount"])}
    assert trade["settlement"]["due_ns"] >= trade["traded_ns"]
    return trade


def side_of(rfq: dict[str, Any], side: str) -> dict[str, Any]:
    return next(quote for quote in rfq["quotes"] if quote["side"] == side)
