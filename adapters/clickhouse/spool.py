"""The spool: rows on their way to the database, as Arrow files that are whole or absent.

    EPOCH                                               producer id and start counter, synced before anything is written
    <table>/<epoch>-<seq>-<rows>-<total>-<producer>.arrow
    <table>/INFLIGHT                                    what the archiver is inserting, see `inserter`
    quarantine/<table>/                                 segments the database will never take
    status.json                                         what the archiver last said

A segment is written as `.tmp`, synced, renamed, and its folder synced: a reader sees it whole or not at all, and
after a crash it is there or was never counted. A name is never used twice, so it can serve as the database's
deduplication token. `total` counts the rows ever written to the table through this spool, this segment included.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.ipc

from adapters.clickhouse.tables import SCHEMAS

_OPTIONS = pyarrow.ipc.IpcWriteOptions(compression="lz4")


class SpoolBusy(RuntimeError):
    """Another process writes to this spool."""


class Segment(NamedTuple):
    """One file of rows."""

    path: Path
    table: str
    epoch: int
    seq: int
    rows: int
    total: int  # rows ever written to this table, with these
    producer: str

    @property
    def token(self) -> str:
        """Unique for ever."""
        return f"{self.producer}:{self.table}:{self.epoch}-{self.seq}"


def segment(path: Path) -> Segment | None:
    """What a file name says, or None if it is not a segment's."""
    parts = path.name.removesuffix(".arrow").split("-")
    if not path.name.endswith(".arrow") or len(parts) != 5:
        return None
    try:
        epoch, seq, rows, total = (int(part) for part in parts[:4])
    except ValueError:
        return None
    return Segment(path, path.parent.name, epoch, seq, rows, total, parts[4])


def pending(root: Path, table: str) -> list[Segment]:
    """Segments of a table that wait for the database, oldest first."""
    try:
        names = [Path(entry.path) for entry in os.scandir(root / table)]
    except FileNotFoundError:
        return []
    found = [one for path in names if (one := segment(path)) is not None]
    return sorted(found, key=lambda one: (one.epoch, one.seq))


def backlog(root: Path) -> tuple[int, int]:
    """(segments, bytes) that wait for the database."""
    count = size = 0
    for table in SCHEMAS:
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(root / table):
                if entry.name.endswith(".arrow"):
                    count += 1
                    with contextlib.suppress(FileNotFoundError):  # inserted meanwhile
                        size += entry.stat().st_size
    return count, size


def read_status(root: Path | str) -> dict[str, Any]:
    """What the archiver last said: `state`, `rows` (table → rows in the database), `inserted`, `error`. Empty when
    it never ran.
    """
    try:
        return json.loads((Path(root) / "status.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return {}


def write_durably(path: Path, content: bytes) -> None:
    """Replace a small file so that a crash leaves the old or the new one."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lock(path: Path) -> int | None:
    """Take an advisory lock that dies with this process; None when somebody else has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


class SpoolWriter:
    """The one writer of a spool. Raises SpoolBusy when there is one already."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        handle = lock(self.root / "WRITER.lock")
        if handle is None:
            raise SpoolBusy(f"another desk writes to the spool {self.root}")
        self._lock = handle
        self.producer, self.epoch = self._next_epoch()
        self._seq = 0
        self.totals: dict[str, int] = {}  # rows ever written, by table
        inserted = read_status(self.root).get("inserted", {})
        for table in SCHEMAS:
            folder = self.root / table
            folder.mkdir(exist_ok=True)
            for leftover in folder.glob("*.tmp"):
                leftover.unlink()
            waiting = [one.total for one in pending(self.root, table)]
            self.totals[table] = max([*waiting, int(inserted.get(table, 0))])

    def write(self, table: str, rows: pa.Table) -> Segment:
        """Write rows as one segment; they are durable when this returns. OSError leaves nothing behind."""
        self._seq += 1
        total = self.totals[table] + rows.num_rows
        name = f"{self.epoch:06d}-{self._seq:08d}-{rows.num_rows}-{total}-{self.producer}.arrow"
        path = self.root / table / name
        temporary = path.with_suffix(".tmp")
        try:
            with temporary.open("wb") as file:
                with pyarrow.ipc.new_file(file, SCHEMAS[table], options=_OPTIONS) as writer:
                    writer.write_table(rows)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
        self.totals[table] = total
        return Segment(path, table, self.epoch, self._seq, rows.num_rows, total, self.producer)

    def close(self) -> None:
        """Let another writer in."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _next_epoch(self) -> tuple[str, int]:
        path = self.root / "EPOCH"
        try:
            state = json.loads(path.read_bytes())
            producer, epoch = str(state["producer"]), int(state["epoch"]) + 1
        except (FileNotFoundError, ValueError, KeyError):
            # A lost counter starts under a new name: a token is never used twice.
            producer, epoch = uuid.uuid4().hex[:12], 1
        write_durably(path, json.dumps({"producer": producer, "epoch": epoch}).encode())
        return producer, epoch
