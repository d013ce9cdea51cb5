"""Rows between the event loop and the spool: bounded queues in memory, emptied by a thread.

The loop thread only appends, the flush thread only takes: neither waits for the other. A row is offered, then
dropped (counted, market data and overflow only) or written; `offered − dropped + added` of a table is what the
database will hold in the end. A write that fails for want of space is tried again; what does not fit into memory
meanwhile is dropped and counted, never silently: each loss becomes a row of `feed_events`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import pyarrow as pa

from adapters.clickhouse.config import ArchiveConfig
from adapters.clickhouse.rows import CONVERT, BookMessage, message_rows
from adapters.clickhouse.spool import SpoolWriter, backlog, read_status
from adapters.clickhouse.tables import MARKET, SCHEMAS

log = logging.getLogger("kerb.archive")

STATUS_EVERY_S = 1.0


class Buffer:
    """The rows of one table in memory. `offered` and `refused` belong to the loop thread, the rest to the flush
    thread.
    """

    __slots__ = ("added", "items", "lost", "most", "offered", "refused", "table", "taken")

    def __init__(self, table: str, most: int) -> None:
        self.table = table
        self.most = most
        self.items: deque[Any] = deque()
        self.offered = 0  # rows appended
        self.refused = 0  # rows not appended: the buffer was full
        self.taken = 0  # rows that left it
        self.lost = 0  # rows that left it and were dropped
        self.added = 0  # rows the flush thread made itself

    def offer(self, item: Any, rows: int = 1) -> bool:
        """Append an item worth `rows`; False and counted when there is no room."""
        if self.offered - self.taken + rows > self.most:
            self.refused += rows
            return False
        self.items.append(item)
        self.offered += rows
        return True


class Buffers:
    """All tables' buffers, the thread that empties them, and the counts."""

    def __init__(self, config: ArchiveConfig, *, live: bool = True) -> None:
        self._config = config
        self._spool = SpoolWriter(config.spool_dir)
        self.epoch = self._spool.epoch
        self._before = dict(self._spool.totals)  # rows of earlier runs
        self.buffers = {table: Buffer(table, config.max_buffer_rows) for table in SCHEMAS}
        self._reported: dict[str, int] = dict.fromkeys(SCHEMAS, 0)  # losses told in feed_events
        self._carried: dict[str, tuple[pa.Table, int]] = {}  # converted, but the disk did not take them
        self._stop = threading.Event()
        self._closed = False
        self._status: dict[str, Any] = read_status(config.spool_dir)
        self._segments, self._bytes = backlog(Path(config.spool_dir))
        self._looked = 0.0
        self._fault = ""
        self._thread: threading.Thread | None = None
        if live:
            self._thread = threading.Thread(target=self._run, name="archive-flush", daemon=True)
            self._thread.start()

    # ---- what others see -------------------------------------------------------------------------

    def tapped(self) -> dict[str, int]:
        """table → rows written or to be written, earlier runs on this spool included."""
        return {table: self._before[table] + one.offered - one.lost + one.added for table, one in self.buffers.items()}

    def dropped(self) -> int:
        """Rows dropped by this run."""
        return sum(one.refused + one.lost for one in self.buffers.values())

    def view(self) -> dict[str, Any]:
        """`tapped`, `dropped`, `rows` in the database as the archiver last said, `spool_segments`, and `status` in a
        word.
        """
        state = str(self._status.get("state", "starting"))
        if self._fault:
            state = self._fault
        elif self._bytes > self._config.spool_quota_bytes:
            state = "spool full"
        return {
            "rows": {table: int(n) for table, n in self._status.get("rows", {}).items()},
            "dropped": self.dropped(),
            "tapped": self.tapped(),
            "spool_segments": self._segments,
            "status": state,
        }

    def close(self) -> bool:
        """Write what is in memory and stop; False when some of it could not be written (it is counted as dropped)."""
        if self._closed:
            return True
        self._closed = True
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()
        clean = not self._carried
        for table in list(self._carried):
            rows, taken = self._carried.pop(table)
            self.buffers[table].lost += rows.num_rows
            self.buffers[table].taken += taken
        self._look()
        self._spool.close()
        return clean

    # ---- the flush thread ------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.wait(self._config.flush_ms / 1000):
            try:
                self.flush()
            except Exception as error:  # the thread is the only way out of memory: it must live
                self._fault = f"flush failed: {error}"
                log.exception("flush failed")

    def flush(self) -> None:
        """Empty every buffer into segments. Only the flush thread calls it (or the owner, when there is none)."""
        full = self._bytes > self._config.spool_quota_bytes
        self._fault = ""
        for table, buffer in self.buffers.items():
            if table != "feed_events":
                self._flush_table(buffer, full and table in MARKET)
        self._report_losses()
        self._flush_table(self.buffers["feed_events"], False)
        if time.monotonic() - self._looked >= STATUS_EVERY_S or full:
            self._look()

    def _flush_table(self, buffer: Buffer, drop: bool) -> None:
        carried = self._carried.pop(buffer.table, None)
        if carried is not None and not self._write(buffer, *carried):
            return  # no room on the disk: new rows wait in the buffer, bounded by it
        items = [buffer.items.popleft() for _ in range(len(buffer.items))]
        if not items:
            return
        taken = sum(_rows_of(item) for item in items)
        if drop:
            buffer.lost += taken
            buffer.taken += taken
            return
        rows = self._convert(buffer, items)
        if rows.num_rows:
            self._write(buffer, rows, taken)
        else:
            buffer.taken += taken

    def _convert(self, buffer: Buffer, items: list[Any]) -> pa.Table:
        convert = CONVERT[buffer.table]
        try:
            return convert(items)
        except Exception as error:  # one bad record must not take its neighbours along
            log.error("%s: a record does not fit its table: %s", buffer.table, error)
        good: list[pa.Table] = []
        for item in items:
            try:
                good.append(convert([item]))
            except Exception:  # counted here, reported in feed_events
                buffer.lost += _rows_of(item)
        return pa.concat_tables(good) if good else SCHEMAS[buffer.table].empty_table()

    def _write(self, buffer: Buffer, rows: pa.Table, taken: int) -> bool:
        try:
            segment = self._spool.write(buffer.table, rows)
        except OSError as error:
            self._carried[buffer.table] = (rows, taken)
            self._fault = f"spool: {error.strerror or error}"
            return False
        buffer.taken += taken
        self._segments += 1
        self._bytes += segment.path.stat().st_size if segment.path.exists() else 0
        return True

    def _report_losses(self) -> None:
        events = self.buffers["feed_events"]
        for table, buffer in self.buffers.items():
            new = buffer.refused + buffer.lost - self._reported[table]
            if new <= 0:
                continue
            # Written straight away: it needs no room in a buffer that may be full.
            try:
                self._spool.write("feed_events", CONVERT["feed_events"]([(time.time_ns(), "drop", "", "", table, new)]))
            except OSError as error:
                self._fault = f"spool: {error.strerror or error}"
                return
            self._reported[table] += new
            events.added += 1
            log.error("%d rows of %s were dropped", new, table)

    def _look(self) -> None:
        self._looked = time.monotonic()
        root = Path(self._config.spool_dir)
        self._status = read_status(root)
        self._segments, self._bytes = backlog(root)


def _rows_of(item: Any) -> int:
    return message_rows(item.levels, item.kind) if type(item) is BookMessage else 1
