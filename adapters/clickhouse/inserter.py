"""From the spool into the database, each row exactly once, oldest first.

A round takes what waits of a table, writes the list of files down (`INFLIGHT`, synced), inserts them as one batch
under a token made of their names, and removes the files only after the database has said yes. Whatever dies in
between, the next start finds the list and inserts the same bytes under the same token: the database knows it has
them. A list whose files are partly gone was inserted. The database slow or down: files wait, rounds back off. A
batch the database can never take is taken apart, the bad file goes to `quarantine/`, the others go in.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.ipc

from adapters.clickhouse.client import ArchiveError, explain, insert_rows
from adapters.clickhouse.spool import Segment, pending, read_status, segment, sync_folder, write_durably
from adapters.clickhouse.tables import SCHEMAS

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

log = logging.getLogger("kerb.archiver")

MOST_ROWS = 200_000  # of one insert
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.5, 30.0


class Inserter:
    """Moves segments of one spool into one database. `connect` opens a client and may raise ArchiveError. One thread
    uses it.
    """

    def __init__(self, root: Path, connect: Callable[[], Client]) -> None:
        self.root = root
        self._connect = connect
        self._client: Client | None = None
        self._one_by_one: set[str] = set()  # tables whose last batch was refused
        before = read_status(root)
        self.inserted: dict[str, int] = {table: int(n) for table, n in before.get("inserted", {}).items()}
        self.rows: dict[str, int] = {table: int(n) for table, n in before.get("rows", {}).items()}
        self.state = "starting"
        self.error = ""
        self.quarantined = len(list((root / "quarantine").glob("*/*.arrow")))
        self._failures = 0
        self._said = b""

    def round(self) -> int:
        """Insert one batch of every table that has something; returns rows inserted. Never raises: see `state` and
        `error`.
        """
        done = 0
        try:
            client = self._opened()
            for table in SCHEMAS:
                done += self._table(client, table)
            self._failures = 0
            self.state, self.error = "ok", ""
        except ArchiveError as error:
            self._failures += 1
            self._drop_client()
            if str(error) != self.error:
                log.warning("the archive is down, rows wait in the spool: %s", error)
            self.state, self.error = "down", str(error)
        self._say()
        return done

    def waiting(self) -> int:
        """Segments not in the database yet."""
        return sum(len(pending(self.root, table)) for table in SCHEMAS)

    @property
    def backoff_s(self) -> float:
        """How long to wait after failures, with jitter; 0 after a good round."""
        if not self._failures:
            return 0.0
        return random.uniform(0.5, 1.0) * min(FIRST_BACKOFF_S * 2 ** min(self._failures - 1, 10), LAST_BACKOFF_S)

    def count(self) -> None:
        """Ask the database how many rows each table holds."""
        try:
            client = self._opened()
            for table in SCHEMAS:
                self.rows[table] = int(client.command(f"SELECT count() FROM {table}"))
        except Exception as error:  # the driver's own tree
            self.state, self.error = "down", str(explain(error))
        self._say()

    def close(self, state: str) -> None:
        """Say goodbye in the status file and close the database."""
        if self.state == "ok":
            self.count()
        if self.state == "ok":
            self.state = state
        self._say()
        self._drop_client()

    # ---- one table -------------------------------------------------------------------------------

    def _table(self, client: Client, table: str) -> int:
        batch = self._batch(table)
        if not batch:
            self._one_by_one.discard(table)
            return 0
        readable: list[pa.Table] = []
        for one in batch:
            rows = _read(one)
            if rows is None:
                self._quarantine(one, "it cannot be read")
                (self.root / table / "INFLIGHT").unlink(missing_ok=True)
                return 0
            readable.append(rows)
        rows = pa.concat_tables(readable).combine_chunks()
        try:
            insert_rows(client, table, rows, _token(batch))
        except ArchiveError as error:
            if error.retryable:
                raise
            (self.root / table / "INFLIGHT").unlink(missing_ok=True)  # refused as a whole: nothing of it is in
            if len(batch) > 1:
                self._one_by_one.add(table)
                return 0
            self._quarantine(batch[0], str(error))
            return 0
        self.rows[table] = self.rows.get(table, 0) + rows.num_rows
        self._finish(table, batch)
        return rows.num_rows

    def _batch(self, table: str) -> list[Segment]:
        """The batch that was begun, or a new one, written down."""
        folder = self.root / table
        listed = folder / "INFLIGHT"
        try:
            names = json.loads(listed.read_bytes())["files"]
        except FileNotFoundError:
            names = None
        except (ValueError, KeyError):
            names = None  # written atomically: cannot be torn, only foreign
            listed.unlink()
        if names is not None:
            begun = [one for name in names if (one := segment(folder / name)) is not None]
            if begun and all(one.path.exists() for one in begun):
                return begun
            self._finish(table, begun)
        batch: list[Segment] = []
        rows = 0
        for one in pending(self.root, table):
            if batch and (rows + one.rows > MOST_ROWS or table in self._one_by_one):
                break
            batch.append(one)
            rows += one.rows
        if batch:
            write_durably(listed, json.dumps({"files": [one.path.name for one in batch]}).encode())
        return batch

    def _finish(self, table: str, batch: list[Segment]) -> None:
        """The batch is in the database: say so durably, then forget the files, then the list."""
        if batch:
            self.inserted[table] = max(self.inserted.get(table, 0), batch[-1].total)
            self._say()
        for one in batch:
            one.path.unlink(missing_ok=True)
        folder = self.root / table
        sync_folder(folder)  # the list goes last: a list with a file missing means inserted
        (folder / "INFLIGHT").unlink(missing_ok=True)

    def _quarantine(self, one: Segment, why: str) -> None:
        folder = self.root / "quarantine" / one.table
        folder.mkdir(parents=True, exist_ok=True)
        one.path.rename(folder / one.path.name)
        (folder / (one.path.name + ".why")).write_text(why + "\n", encoding="utf-8")
        self.quarantined += 1
        log.error("segment %s of %s is put aside (%d rows): %s", one.path.name, one.table, one.rows, why)

    # ---- the database ----------------------------------------------------------------------------

    def _opened(self) -> Client:
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _drop_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                client.close()
            except Exception as error:  # a broken connection may not even close
                log.info("closing the archive: %s", error)

    def _say(self) -> None:
        status: dict[str, Any] = {
            "state": self.state,
            "error": self.error,
            "rows": self.rows,
            "inserted": self.inserted,
            "quarantined": self.quarantined,
        }
        content = json.dumps(status).encode()
        if content == self._said:
            return
        try:
            write_durably(self.root / "status.json", content)
            self._said = content
        except OSError as error:
            log.warning("status.json: %s", error)


def _token(batch: list[Segment]) -> str:
    first, last = batch[0], batch[-1]
    return first.token if len(batch) == 1 else f"{first.token}..{last.epoch}-{last.seq}x{len(batch)}"


def _read(one: Segment) -> pa.Table | None:
    """The rows of a segment, None when the file is damaged or of another schema."""
    try:
        with pa.memory_map(str(one.path)) as source, pyarrow.ipc.open_file(source) as reader:
            rows = reader.read_all()
    except (pa.ArrowInvalid, OSError):
        return None
    return rows if rows.schema.equals(SCHEMAS[one.table]) and rows.num_rows == one.rows else None
