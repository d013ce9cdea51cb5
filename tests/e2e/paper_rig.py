"""Loopback venues in one process, a paper desk in another, as a user starts them; and what the venues themselves have written down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

START_S = 60.0


def environment() -> dict[str, str]:
    """This process's environment without any venue's keys or overlays."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.endswith(("_API_KEY", "_API_SECRET", "_PASSPHRASE")) and not name.startswith("KERB_")
    }


class Venues:
    """`python -m sim.servers` on a generated market. `at`: URLs and credentials by venue."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sim.servers", "--seed", "7", "--symbols", "BTC/USDT", "--state", str(state)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.at: dict[str, Any] = json.loads(self.process.stdout.readline())

    def orders(self) -> list[str]:
        """Journal lines of the exchanges that speak of an order or an execution, and the LP's executions."""
        found = []
        for path in self.state.glob("*.jsonl"):
            for line in path.read_text().splitlines():
                row = json.loads(line)
                if row.get("k", row.get("kind")) not in ("open", "balances", "quote"):
                    found.append(f"{path.name}: {line}")
        return found

    def lp_quotes(self) -> int:
        """Quotes the LP was asked for."""
        path = self.state / "falconx.jsonl"
        return sum(json.loads(line)["kind"] == "quote" for line in path.read_text().splitlines())

    def stop(self) -> None:
        """End them."""
        self.process.terminate()
        self.process.wait(10)


def write_config(state: Path, venues: Venues, *, mode: str = "paper") -> Path:
    """A desk.toml for these venues; the bands are narrow, so that every trade is hedged."""
    at = venues.at
    path = state.parent / f"{state.name}.toml"
    path.write_text(
        f"""
mode = "{mode}"
state_dir = "{state}"
[api]
port = 0
[[instruments]]
symbol = "BTC/USDT"
price_tick = "0.01"
[[venues]]
venue = "BINANCE"
exchange = "binance"
rest_url = "{at["BINANCE"]["rest"]}"
ws_url = "{at["BINANCE"]["ws"]}"
taker_fee_bps = "4"
[[venues]]
venue = "KRAKEN"
exchange = "kraken"
rest_url = "{at["KRAKEN"]["rest"]}"
ws_url = "{at["KRAKEN"]["ws"]}"
taker_fee_bps = "5"
[[lps]]
lp = "FALCONX"
rest_url = "{at["FALCONX"]["rest"]}"
ws_url = "{at["FALCONX"]["ws"]}"
levels = {{ "BTC/USDT" = ["0.1", "1", "5"] }}
[hedging.bands.BTC]
soft = "0.01"
hard = "10"
target = "0"
[paper.balances]
USDT = "1000000"
BTC = "8"
"""
    )
    return path


def make_key(state: Path, client: str, scopes: str) -> tuple[str, str]:
    """A key of `kerb keys new`."""
    said = subprocess.run(
        [
            sys.executable,
            "-m",
            "desk.cli",
            "keys",
            "new",
            "--state",
            str(state),
            "--client",
            client,
            "--scopes",
            scopes,
            "--json",
        ],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    made = json.loads(said.stdout)
    return made["key"], made["secret"]


class PaperDesk:
    """`kerb run --config` with the LP's credentials and nobody else's. `url` once it is up."""

    def __init__(self, config: Path, venues: Venues) -> None:
        lp = venues.at["credentials"]["FALCONX"]
        self.log = config.with_suffix(".log")
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("a") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "desk.cli", "run", "--config", str(config)],
                stdout=out,
                stderr=out,
                env={
                    **environment(),
                    "FALCONX_API_KEY": lp["key"],
                    "FALCONX_API_SECRET": lp["secret"],
                    "FALCONX_PASSPHRASE": lp["passphrase"],
                },
            )
        until = time.monotonic() + START_S
        while "desk up on " not in (said := self.log.read_text()[before:]):
            assert self.process.poll() is None, f"ended (exit {self.process.returncode}):\n{said}"
            assert time.monotonic() < until, f"not up:\n{said}"
            time.sleep(0.05)
        self.said = said
        self.url = said.split("desk up on ")[1].split()[0]

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(10)
