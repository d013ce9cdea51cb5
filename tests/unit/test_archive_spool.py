"""The way of a row to the disk: whole segments, names used once, and every loss counted."""

from __future__ import annotations

import errno
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from adapters.clickhouse import spool
from adapters.clickhouse.buffers import Buffers
from adapters.clickhouse.config import ArchiveConfig
from adapters.clickhouse.rows import BookMessage, fill_row, md_deltas, money, rfq_row
from adapters.clickhouse.spool import SpoolBusy, SpoolWriter, pending
from adapters.clickhouse.tables import SCHEMAS
from adapters.nautilus.book import BookKind
from tests.oracles import ledger_records as make


def config(root: Path, **changes: Any) -> ArchiveConfig:
    return ArchiveConfig(dsn="chdb:///nowhere", spool_dir=str(root), **changes)


def deltas(n: int, levels: int, kind: BookKind = BookKind.UPDATE) -> BookMessage:
    array = np.array([[1, 6_000_000 + i, i] for i in range(levels)], dtype=np.int64).reshape(-1, 3)
    return BookMessage("BTC/USDT.BINANCE", n, n, n, kind, array, 2, 5)


def rows_in(root: Path, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for one in pending(root, table):
        with pa.ipc.open_file(str(one.path)) as reader:
            content = reader.read_all()
        assert content.num_rows == one.rows
        rows += content.to_pylist()
    return rows


def test_what_is_tapped_is_in_the_segments(tmp_path: Path) -> None:
    buffers = Buffers(config(tmp_path), live=False)
    for n in range(5):
        assert buffers.buffers["md_deltas"].offer(deltas(n, 3), 3)
        buffers.buffers["fills"].offer(make.fill(n))
        buffers.flush()
    buffers.buffers["md_deltas"].offer(deltas(9, 0, BookKind.CLEAR), 1)
    assert buffers.close()
    assert buffers.tapped()["md_deltas"] == 16 == len(rows_in(tmp_path, "md_deltas"))
    assert buffers.tapped()["fills"] == 5 == len(rows_in(tmp_path, "fills"))
    assert buffers.dropped() == 0
    last = rows_in(tmp_path, "md_deltas")[-1]
    assert (last["kind"], last["side"], last["price"]) == ("clear", 0, 0)


def test_the_flush_thread_takes_while_the_loop_offers(tmp_path: Path) -> None:
    buffers = Buffers(config(tmp_path, flush_ms=1))
    for n in range(20_000):
        buffers.buffers["md_deltas"].offer(deltas(n, 1), 1)
    assert buffers.close()
    found = [row["seq"] for row in rows_in(tmp_path, "md_deltas")]
    assert found == list(range(20_000))  # none lost, none twice, in order
    assert len(pending(tmp_path, "md_deltas")) > 1


def test_a_full_buffer_drops_and_says_so(tmp_path: Path) -> None:
    buffers = Buffers(config(tmp_path, max_buffer_rows=10), live=False)
    taken = [buffers.buffers["md_deltas"].offer(deltas(n, 4), 4) for n in range(5)]
    assert taken == [True, True, False, False, False]
    buffers.close()
    assert buffers.dropped() == 12
    assert buffers.tapped()["md_deltas"] == 8 == len(rows_in(tmp_path, "md_deltas"))
    told = rows_in(tmp_path, "feed_events")
    assert [(row["kind"], row["detail"], row["count"]) for row in told] == [("drop", "md_deltas", 12)]
    assert buffers.tapped()["feed_events"] == 1


def test_over_quota_market_data_goes_business_stays(tmp_path: Path) -> None:
    buffers = Buffers(config(tmp_path, spool_quota_bytes=1), live=False)
    buffers.buffers["md_deltas"].offer(deltas(1, 2), 2)
    buffers.flush()  # fits: nothing was waiting
    buffers.buffers["md_deltas"].offer(deltas(2, 2), 2)
    buffers.buffers["fills"].offer(make.fill(1))
    buffers.flush()
    assert buffers.view()["status"] == "spool full"
    assert buffers.tapped()["md_deltas"] == 2 == len(rows_in(tmp_path, "md_deltas"))
    assert len(rows_in(tmp_path, "fills")) == 1
    assert [row["count"] for row in rows_in(tmp_path, "feed_events")] == [2]
    for one in pending(tmp_path, "md_deltas"):
        one.path.unlink()  # the database took them
    for one in pending(tmp_path, "fills") + pending(tmp_path, "feed_events"):
        one.path.unlink()
    buffers._look()
    buffers.buffers["md_deltas"].offer(deltas(3, 2), 2)
    buffers.close()
    assert [row["seq"] for row in rows_in(tmp_path, "md_deltas")] == [3, 3]


def test_a_disk_without_room_delays_and_then_delivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffers = Buffers(config(tmp_path), live=False)
    real = SpoolWriter.write

    def full(_self: SpoolWriter, _table: str, _rows: pa.Table) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SpoolWriter, "write", full)
    for n in range(3):
        buffers.buffers["fills"].offer(make.fill(n))
        buffers.flush()
    assert buffers.view()["status"] == "spool: No space left on device"
    monkeypatch.setattr(SpoolWriter, "write", real)
    buffers.flush()
    assert buffers.view()["status"] == "starting"
    assert buffers.close()
    assert [row["trade_id"] for row in rows_in(tmp_path, "fills")] == ["0", "1", "2"]
    assert buffers.dropped() == 0


def test_what_the_disk_never_takes_is_counted_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffers = Buffers(config(tmp_path), live=False)

    def full(_self: SpoolWriter, _table: str, _rows: pa.Table) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SpoolWriter, "write", full)
    buffers.buffers["fills"].offer(make.fill(1))
    assert not buffers.close()
    assert buffers.dropped() == 1
    assert buffers.tapped()["fills"] == 0


def test_a_bad_record_does_not_take_its_neighbours(tmp_path: Path) -> None:
    buffers = Buffers(config(tmp_path), live=False)
    for fill in (make.fill(1), object(), make.fill(2)):
        buffers.buffers["fills"].offer(fill)
    buffers.close()
    assert [row["trade_id"] for row in rows_in(tmp_path, "fills")] == ["1", "2"]
    assert buffers.tapped()["fills"] == 2
    assert buffers.dropped() == 1
    assert [row["detail"] for row in rows_in(tmp_path, "feed_events")] == ["fills"]


def test_a_spool_has_one_writer_and_never_repeats_a_token(tmp_path: Path) -> None:
    rows = md_deltas([deltas(1, 3)])
    tokens: list[str] = []
    totals: list[int] = []
    for life in range(4):
        writer = SpoolWriter(tmp_path)
        with pytest.raises(SpoolBusy):
            SpoolWriter(tmp_path)
        one = writer.write("md_deltas", rows)
        tokens.append(one.token)
        totals.append(one.total)
        writer.close()
        if life == 1:
            for waiting in pending(tmp_path, "md_deltas"):
                waiting.path.unlink()  # inserted
            spool.write_durably(tmp_path / "status.json", b'{"inserted": {"md_deltas": 6}}')
        if life == 2:
            (tmp_path / "EPOCH").unlink()  # a lost counter must not repeat either
    assert len(set(tokens)) == 4
    assert totals == [3, 6, 9, 12]


def test_a_torn_segment_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / "fills").mkdir()
    (tmp_path / "fills" / "000001-00000001-1-1-abc.tmp").write_bytes(b"ARROW1")
    (tmp_path / "fills" / "notes.arrow").write_bytes(b"mine")
    SpoolWriter(tmp_path).close()
    assert pending(tmp_path, "fills") == []
    assert not (tmp_path / "fills" / "000001-00000001-1-1-abc.tmp").exists()


def test_a_record_that_changes_later_is_archived_as_it_was() -> None:
    record = make.rfq(1)
    row = rfq_row(record)
    record.reason = "changed"
    assert "changed" not in row


def test_money_no_column_can_hold_is_null() -> None:
    assert [money(Decimal(text)) for text in ("NaN", "Infinity", "1e20", "-1e25")] == [None] * 4
    assert money(Decimal("1.0000000000000000005")) == Decimal("1.000000000000000000")
    assert fill_row(make.fill(1))[5] == Decimal("60001.25")


def test_every_table_has_a_migration_with_its_columns() -> None:
    from adapters.clickhouse.migrate import migrations

    sql = "\n".join(step.sql for step in migrations())
    for table, schema in SCHEMAS.items():
        start = sql.index(f"CREATE TABLE IF NOT EXISTS {table} (")
        block = sql[start : sql.index(") ENGINE", start)].splitlines()[1:]
        columns = [line.split()[0] for line in block]
        added = re.findall(rf"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS (\w+) [^;]* AFTER (\w+);", sql)
        for column, before in added:
            columns.insert(columns.index(before) + 1, column)
        assert columns == schema.names, table
