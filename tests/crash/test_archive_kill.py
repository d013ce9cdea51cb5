"""`kill -9` of desk and archiver on the real engine: every row of a written segment is in the database once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from adapters.clickhouse.spool import SpoolWriter, pending, read_status

DEADLINE_S = 60
QUICK = not os.environ.get("KERB_LONG_TESTS")  # more lives when asked for

# Writes segments as fast as the disk takes them and says which numbers are durable.
DESK = """
import sys, time
from adapters.clickhouse.rows import CONVERT
from adapters.clickhouse.spool import SpoolWriter
from tests.oracles import ledger_records as make

writer = SpoolWriter(sys.argv[1])
n = int(sys.argv[2])
while True:
    writer.write("fills", CONVERT["fills"]([make.fill(n + i) for i in range(50)]))
    n += 50
    print(n, flush=True)
    time.sleep(0.01)
"""


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def archiver(root: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "adapters.clickhouse.archiver",
            "--dsn",
            f"chdb://{root / 'archive'}",
            "--spool",
            str(root / "spool"),
            "--socket",
            str(root / "archive.sock"),
            "--every-ms",
            "20",
            *more,
        ],
        stderr=subprocess.DEVNULL,
    )


def desk(root: Path, first: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", DESK, str(root / "spool"), str(first)], stdout=subprocess.PIPE, text=True
    )


def inserted(root: Path) -> int:
    return int(read_status(root / "spool").get("inserted", {}).get("fills", 0))


def test_segments_survive_kill_9_of_both_sides(tmp_path: Path) -> None:
    dice = random.Random(7)
    spool = tmp_path / "spool"
    durable: list[range] = []
    first = 0
    for _ in range(1 if QUICK else 5):
        writing = desk(tmp_path, first)
        inserting = archiver(tmp_path)
        before = inserted(tmp_path)
        assert writing.stdout is not None
        said = [int(writing.stdout.readline())]
        until(lambda before=before: inserted(tmp_path) > before, "the archiver inserts")
        time.sleep(dice.uniform(0, 0.2))  # the moment of death is the seed's
        os.kill(inserting.pid, signal.SIGKILL)
        inserting.wait()
        os.kill(writing.pid, signal.SIGKILL)
        said += [int(line) for line in writing.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        writing.wait()
        writing.stdout.close()
        durable.append(range(first, said[-1]))
        first = said[-1] + 1_000_000
    assert pending(spool, "fills")  # something was left for the last life

    last = archiver(tmp_path)
    until(lambda: not pending(spool, "fills"), "the backlog drains")
    last.send_signal(signal.SIGTERM)
    assert last.wait(20) == 0
    writer = SpoolWriter(spool)  # what the next desk counts on from
    written = writer.totals["fills"]
    writer.close()

    sql = "SELECT toUInt64(trade_id) AS n, count() AS times FROM fills GROUP BY n ORDER BY n"
    answer = subprocess.run(
        [sys.executable, "-m", "desk.cli", "archive", "query", sql, "--state", str(tmp_path), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = json.loads(answer.stdout)
    assert {row["times"] for row in rows} == {1}  # nothing doubled
    assert len(rows) == written == read_status(spool)["rows"]["fills"]
    found = {row["n"] for row in rows}
    assert all(set(numbers) <= found for numbers in durable)  # nothing that was durable is lost
