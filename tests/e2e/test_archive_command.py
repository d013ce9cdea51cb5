"""`kerb archive` against a running archiver (through its socket) and against the database at rest."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from adapters.clickhouse.rows import CONVERT
from adapters.clickhouse.spool import SpoolWriter, read_status
from tests.oracles import ledger_records as make

DEADLINE_S = 60


class Running(NamedTuple):
    state: Path
    process: subprocess.Popen[bytes]


def kerb(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "desk.cli", "archive", *arguments], capture_output=True, text=True, timeout=60
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An archiver with four fills and a quote; its folder is too deep for a plain unix socket address."""
    state = tmp_path_factory.mktemp("x" * 90) / "state"
    spool = state / "spool"
    writer = SpoolWriter(spool)
    writer.write("fills", CONVERT["fills"]([make.fill(n) for n in range(4)]))
    writer.write("rfq_quotes", CONVERT["rfq_quotes"]([make.quote(5)]))
    process = subprocess.Popen(
        [
            sys.executable,
            *("-m", "adapters.clickhouse.archiver", "--every-ms", "50"),
            *("--dsn", f"chdb://{state / 'archive'}"),
            *("--spool", str(spool)),
            *("--socket", str(state / "archive.sock")),
        ]
    )
    deadline = time.monotonic() + DEADLINE_S
    while read_status(spool).get("state") != "ok":
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    yield Running(state, process)
    writer.close()
    if process.poll() is None:
        process.kill()
        process.wait()


def test_queries_go_through_the_archiver_while_it_runs(running: Running) -> None:
    answer = kerb(
        "query", "SELECT count() AS n, sum(quantity) AS q FROM fills", "--state", str(running.state), "--json"
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == [{"n": 4, "q": "0.5"}]
    by_dsn = kerb(
        "query", "SELECT trade_id FROM fills ORDER BY ts", "--dsn", f"chdb://{running.state}/archive", "--format", "csv"
    )
    assert by_dsn.stdout.split() == ['"trade_id"', '"0"', '"1"', '"2"', '"3"']
    status = kerb("status", "--state", str(running.state), "--json")
    told = json.loads(status.stdout)
    assert (told["state"], told["rows"]["fills"], told["spool_segments"]) == ("ok", 4, 0)


@pytest.mark.parametrize("sql", ["SELECT nope FROM fills", "SELEKT 1", "DROP TABLE fills"])
def test_a_bad_query_is_one_clear_line(running: Running, sql: str) -> None:
    answer = kerb("query", sql, "--state", str(running.state))
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr.startswith("kerb: archive: ")
    assert answer.stderr.count("\n") == 1


def test_without_an_archive_the_answer_is_usage_or_one_line(tmp_path: Path) -> None:
    assert kerb("query", "SELECT 1", "--state", str(tmp_path / "none")).returncode == 2
    empty = kerb("query", "SELECT 1", "--state", str(tmp_path))
    assert (empty.returncode, empty.stderr.count("\n")) == (1, 1)
    wrong = kerb("query", "SELECT 1", "--dsn", "mysql://x")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)


def test_at_rest_the_database_is_opened_directly(running: Running) -> None:
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(20) == 0
    assert not (running.state / "archive.sock").exists()
    assert read_status(running.state / "spool")["rows"]["rfq_quotes"] == 1
    sql = "SELECT steps, fair + arraySum(amounts) = price AS adds_up FROM rfq_quotes"
    answer = kerb("query", sql, "--state", str(running.state), "--format", "jsonl")
    assert json.loads(answer.stdout) == {"steps": ["sweep", "skew"], "adds_up": 1}
    again = kerb("migrate", "--state", str(running.state))
    assert (again.returncode, again.stderr) == (0, "nothing to apply\n")
