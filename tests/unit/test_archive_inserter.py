"""Spool to database: exactly once whatever dies when, down and up again, bad segments put aside.

The database here is a model of what ClickHouse promises for tokens, so that every point of death can be tried; `tests/crash` does the
same on the real engine with kill -9.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from adapters.clickhouse import inserter as module
from adapters.clickhouse.client import ArchiveError
from adapters.clickhouse.inserter import Inserter
from adapters.clickhouse.rows import CONVERT
from adapters.clickhouse.spool import SpoolWriter, pending, read_status
from tests.oracles import ledger_records as make


class ModelDatabase:
    """Tables that remember insert tokens, as MergeTree does with a deduplication window."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.tokens: set[tuple[str, str]] = set()
        self.fault: Exception | None = None
        self.refuses: Callable[[pa.Table], bool] = lambda _rows: False
        self.inserts = 0

    def insert_arrow(self, table: str, rows: pa.Table, settings: dict[str, Any]) -> None:
        if self.fault is not None:
            raise self.fault
        if self.refuses(rows):
            raise RuntimeError("Code: 53. DB::Exception: Type mismatch. (TYPE_MISMATCH)")
        self.inserts += 1
        token = (table, settings["insert_deduplication_token"])
        if token not in self.tokens:
            self.tokens.add(token)
            self.rows.setdefault(table, []).extend(rows.to_pylist())

    def command(self, sql: str) -> int:
        if self.fault is not None:
            raise self.fault
        return len(self.rows.get(sql.rsplit(" ", 1)[1], []))

    def close(self) -> None:
        pass

    def ids(self) -> list[str]:
        return [row["trade_id"] for row in self.rows.get("fills", [])]


def put(writer: SpoolWriter, *numbers: int) -> None:
    writer.write("fills", CONVERT["fills"]([make.fill(n) for n in numbers]))


class Killed(BaseException):
    """The process ends here: nothing after it runs."""


@pytest.mark.parametrize("after", range(1, 40))
def test_a_death_at_any_step_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    database = ModelDatabase()
    writer = SpoolWriter(tmp_path)
    for n in range(0, 12, 3):
        put(writer, n, n + 1, n + 2)
    steps = 0

    def dying(name: str, owner: Any) -> None:
        real = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == after:
                raise Killed
            result = real(*args, **kwargs)
            steps += 1
            if steps == after:
                raise Killed
            return result

        monkeypatch.setattr(owner, name, call)

    with monkeypatch.context():
        dying("write_durably", module)
        dying("sync_folder", module)
        dying("insert_arrow", database)
        dying("unlink", Path)
        try:
            Inserter(tmp_path, lambda: database).round()
        except Killed:
            pass
        else:
            assert steps < after  # every step has been tried
        monkeypatch.undo()
    put(writer, 12, 13)  # the desk went on meanwhile
    again = Inserter(tmp_path, lambda: database)
    while again.waiting() or (tmp_path / "fills" / "INFLIGHT").exists():
        again.round()
    again.close("stopped")
    assert database.ids() == [str(n) for n in range(14)]
    status = read_status(tmp_path)
    assert status["rows"]["fills"] == 14 == status["inserted"]["fills"]


def test_down_then_up_keeps_the_order(tmp_path: Path) -> None:
    database = ModelDatabase()
    writer = SpoolWriter(tmp_path)
    inserter = Inserter(tmp_path, lambda: database)
    database.fault = ConnectionRefusedError(errno.ECONNREFUSED, "connection refused")
    waits = []
    for n in range(6):
        put(writer, n)
        assert inserter.round() == 0
        waits.append(inserter.backoff_s)
    assert inserter.state == "down"
    assert read_status(tmp_path)["state"] == "down"
    assert all(waits) and max(waits) > 2 * waits[0]
    database.fault = None
    while inserter.waiting():
        inserter.round()
    assert (inserter.state, inserter.backoff_s) == ("ok", 0.0)
    assert database.ids() == [str(n) for n in range(6)]
    assert database.inserts == 2  # what waited goes in together, after the batch that was begun


def test_a_database_that_cannot_be_opened_is_down_not_dead(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path)
    put(writer, 1)

    def connect() -> Any:
        raise ArchiveError("no route to host", retryable=True)

    inserter = Inserter(tmp_path, connect)
    inserter.round()
    inserter.close("stopped")
    assert read_status(tmp_path)["state"] == "down"
    assert len(pending(tmp_path, "fills")) == 1


def test_a_refused_segment_is_put_aside_and_the_others_go_in(tmp_path: Path) -> None:
    database = ModelDatabase()
    database.refuses = lambda rows: "3" in rows["trade_id"].to_pylist()
    writer = SpoolWriter(tmp_path)
    for n in range(6):
        put(writer, n)
    inserter = Inserter(tmp_path, lambda: database)
    for _ in range(20):
        inserter.round()
    assert inserter.waiting() == 0
    assert database.ids() == ["0", "1", "2", "4", "5"]
    assert inserter.quarantined == 1
    why = next((tmp_path / "quarantine" / "fills").glob("*.why"))
    assert "Type mismatch" in why.read_text()


def test_a_damaged_segment_is_put_aside(tmp_path: Path) -> None:
    database = ModelDatabase()
    writer = SpoolWriter(tmp_path)
    for n in range(3):
        put(writer, n)
    middle = pending(tmp_path, "fills")[1].path
    middle.write_bytes(middle.read_bytes()[:100])
    inserter = Inserter(tmp_path, lambda: database)
    for _ in range(4):
        inserter.round()
    assert database.ids() == ["0", "2"]
    assert inserter.quarantined == 1
    assert Inserter(tmp_path, lambda: database).quarantined == 1  # known after a restart


def test_big_backlogs_go_in_bounded_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 5)
    database = ModelDatabase()
    writer = SpoolWriter(tmp_path)
    for n in range(0, 12, 2):
        put(writer, n, n + 1)
    inserter = Inserter(tmp_path, lambda: database)
    assert inserter.round() == 4
    while inserter.waiting():
        inserter.round()
    assert database.inserts == 3
    assert database.ids() == [str(n) for n in range(12)]
