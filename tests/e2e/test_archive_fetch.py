"""`kerb archive fetch`: into an archive that a desk holds, through its archiver, and into one at rest."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adapters.clickhouse.cli import archive
from adapters.clickhouse.client import ArchiveError
from adapters.clickhouse.place import Place
from adapters.clickhouse.spool import read_status
from adapters.clickhouse.tables import SCHEMAS
from desk.cli import section
from sim.servers.venues import Venues, start_venues

HOUR_MS = 3_600_000
EARLY = 1_700_000_000_000
DEADLINE_S = 60


@pytest.fixture(scope="module")
def exchange() -> Iterator[Venues]:
    """Loopback Bybit, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running = asyncio.run_coroutine_threadsafe(start_venues(venues=("BYBIT",), symbols=("BTC/USDT",)), loop).result(30)
    yield running
    asyncio.run_coroutine_threadsafe(running.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


@pytest.fixture(scope="module")
def state(exchange: Venues, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder whose configuration knows where the exchange is."""
    folder = tmp_path_factory.mktemp("desk")
    urls = exchange.urls["BYBIT"]
    venue = f'venue = "BYBIT"\nexchange = "bybit"\nrest_url = "{urls.rest}"\nws_url = "{urls.ws}"\n'
    (folder / "desk.toml").write_text(f"[[venues]]\n{venue}")
    return folder


def fetch(state: Path, kind: str, start_ms: int, end_ms: int, *more: str) -> Result:
    what = ("fetch", kind, "BYBIT", "BTC/USDT", "--from", str(start_ms), "--to", str(end_ms), "--state", str(state))
    return CliRunner().invoke(archive, [*what, "--json", *more], obj=section)


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def query(state: Path, sql: str) -> str:
    return CliRunner().invoke(archive, ["query", sql, "--state", str(state), "--format", "csv"], obj=section).stdout


def test_through_the_archiver_of_a_desk_and_then_at_rest(state: Path) -> None:
    end = time.time_ns() // 1_000_000 // HOUR_MS * HOUR_MS
    arguments = ("--dsn", f"chdb://{state / 'archive'}", "--spool", str(state / "spool"))
    process = subprocess.Popen(
        [sys.executable, "-m", "adapters.clickhouse.archiver", *arguments, "--socket", str(state / "archive.sock")]
    )
    try:
        deadline = time.monotonic() + DEADLINE_S
        while read_status(state / "spool").get("state") != "ok":
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        held = told(fetch(state, "candles", end - 2 * HOUR_MS, end))
        assert (held["rows"], held["missing"]) == (120, [])
        again = told(fetch(state, "candles", end - 2 * HOUR_MS, end))
        assert (again["rows"], again["requests"]) == (0, 0)
        with pytest.raises(ArchiveError, match="expected rows of candles"):
            Place(None, state).insert("fills", SCHEMAS["fills"].empty_table(), "token")
        with pytest.raises(ArchiveError, match="expected rows of candles"):
            Place(None, state).insert("candles", SCHEMAS["fills"].empty_table(), "token")
        assert Place(None, state).status()["rows"]["candles"] == 120
        assert query(state, "SELECT count(), min(low) > 0 FROM candles").splitlines()[1] == "120,1"
    finally:
        process.terminate()
        process.wait(20)
    rest = told(fetch(state, "candles", end - 3 * HOUR_MS, end, "--timeframe", "5m"))
    assert rest["rows"] == 36
    more = told(fetch(state, "candles", end - 3 * HOUR_MS, end))
    assert more["rows"] == 60
    assert query(state, "SELECT timeframe, count() FROM candles GROUP BY timeframe ORDER BY 1").splitlines()[1:] == [
        '"1m",180',
        '"5m",36',
    ]


def test_refusals_are_one_line_and_an_exit_code(state: Path) -> None:
    for result, code, words in (
        (fetch(state, "trades", EARLY, EARLY + HOUR_MS), 1, "latest trades"),
        (fetch(state, "candles", EARLY, EARLY + HOUR_MS, "--timeframe", "7m"), 1, "no candles of 7m"),
        (fetch(state, "candles", EARLY, EARLY), 2, "--from is not before --to"),
        (fetch(state, "candles", EARLY, 10**13), 2, "is not between 1970 and 2262"),
    ):
        assert result.exit_code == code
        assert result.stdout == ""
        assert words in result.stderr
    unknown = CliRunner().invoke(
        archive, ["fetch", "candles", "MTGOX", "BTC/USDT", "--from", "2014-01-01"], obj=section
    )
    assert unknown.exit_code == 2


def test_a_span_that_has_not_begun_is_nothing_rather_than_there(state: Path) -> None:
    future = time.time_ns() // 1_000_000 + 10 * HOUR_MS
    done = told(fetch(state, "candles", future, future + HOUR_MS))
    assert (done["rows"], done["to"], done["missing"]) == (0, done["from"], [])
