"""`Place`: which archive is meant, and how it is reached, whether a desk is running on it or not.

An embedded archive that a running archiver holds is asked through its socket; otherwise the database is opened here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pyarrow as pa


class Place:
    """Which archive is meant, and how it is reached."""

    def __init__(self, dsn: str | None, state: Path | None) -> None:
        if state is None and dsn is None and Path("state").is_dir():
            state = Path("state")
        if state is None and dsn is None:
            raise click.UsageError("which archive? --state DIR of a desk, or --dsn")
        if state is not None and not state.is_dir():
            raise click.UsageError(f"there is no folder {state}")
        self.state = state
        section = _archive_section(state) if state is not None else {}
        self.dsn = dsn or section.get("dsn") or f"chdb://{state.absolute() / 'archive'}"  # type: ignore[union-attr]
        spool = section.get("spool_dir") or (str(state / "spool") if state is not None else "")
        self.spool = Path(spool) if spool else None
        self._socket = str(state / "archive.sock") if state is not None and dsn is None else ""
        self._migrated = False

    def exists(self) -> bool:
        """Whether there is an archive; of a server that is taken for granted."""
        from adapters.clickhouse import client

        path = client.embedded_path(self.dsn)
        return path is None or path.exists()

    def query(self, sql: str, output: str) -> str:
        """Run one reading statement; the result as text in a format of the database. Raises ArchiveError."""
        from adapters.clickhouse import client

        try:
            if not self.exists():
                raise client.ArchiveError(f"there is no archive at {client.embedded_path(self.dsn)}")
            opened = client.open_client(self.dsn)
        except client.ArchiveHeld as held:
            return ask_archiver(held.socket or self._socket, "/query", {"sql": sql, "format": output}, str(held))
        try:
            return client.run_query(opened, sql, output).decode()
        finally:
            opened.close()

    def insert(self, table: str, rows: pa.Table, token: str) -> None:
        """Rows of a table of `HISTORY` into the database, once under their token, by whoever holds it. Raises ArchiveError."""
        from adapters.clickhouse import client
        from adapters.clickhouse.migrate import migrate

        try:
            opened = client.open_client(self.dsn)
        except client.ArchiveHeld as held:
            insert_by_archiver(held.socket or self._socket, table, rows, token, str(held))
            return
        try:
            if not self._migrated:
                migrate(opened)
                self._migrated = True
            client.insert_rows(opened, table, rows, token)
        finally:
            opened.close()

    def status(self) -> dict[str, Any]:
        """Rows by table, what waits in the spool, and who holds the database. Raises ArchiveError."""
        from adapters.clickhouse import client, spool
        from adapters.clickhouse.tables import SCHEMAS

        answer: dict[str, Any] = {"dsn": client.masked(self.dsn), "state": "at rest", "rows": {}, "spool_segments": 0}
        if self.spool is not None:
            answer["spool_segments"], answer["spool_bytes"] = spool.backlog(self.spool)
        try:
            if not self.exists():
                return answer | {"state": "none yet"}
            opened = client.open_client(self.dsn)
        except client.ArchiveHeld as held:
            return answer | json.loads(ask_archiver(held.socket or self._socket, "/status", why=str(held)))
        try:
            for table in SCHEMAS:
                answer["rows"][table] = int(client.run_query(opened, f"SELECT count() FROM {table}", "TSV"))
        finally:
            opened.close()
        return answer


def _archive_section(state: Path) -> dict[str, Any]:
    """The `[archive]` section of the configuration in a state folder."""
    import tomllib

    for name in ("desk.toml", "kerb.toml"):
        try:
            return tomllib.loads((state / name).read_text(encoding="utf-8")).get("archive", {})
        except (FileNotFoundError, tomllib.TOMLDecodeError):
            continue
    return {}


def insert_by_archiver(socket: str, table: str, rows: pa.Table, token: str, why: str) -> None:
    """Have the archiver that holds the database insert rows; blocks. Raises ArchiveError."""
    from urllib.parse import urlencode

    import pyarrow as pa
    import pyarrow.ipc

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    path = "/insert?" + urlencode({"table": table, "token": token})
    ask_archiver(socket, path, sink.getvalue().to_pybytes(), why)


def ask_archiver(
    socket: str, path: str, body: dict[str, str] | bytes | None = None, why: str = "the archive is held"
) -> str:
    """Put a question to the archiver that holds the database; blocks. `why`: what to say when nobody listens. Raises ArchiveError."""
    import asyncio

    from adapters.clickhouse.client import ArchiveError, short_socket

    if not socket or not Path(socket).exists():
        raise ArchiveError(f"{why}, and answers no queries", retryable=True)

    async def ask() -> tuple[int, str]:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=120, connect=5)
        method = "GET" if body is None else "POST"
        what: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {"json": body}
        with short_socket(socket) as name:
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(name), timeout=timeout) as session,
                session.request(method, f"http://archiver{path}", **what) as answer,
            ):
                return answer.status, await answer.text()

    try:
        code, text = asyncio.run(ask())
    except (OSError, TimeoutError) as error:  # aiohttp's connection errors are OSErrors
        raise ArchiveError(f"the archiver does not answer: {error}", retryable=True) from error
    if code != 200:
        fault = json.loads(text)
        raise ArchiveError(fault["error"], code=fault.get("code", 0), retryable=bool(fault.get("retryable")))
    return text
