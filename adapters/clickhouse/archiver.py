"""The archiver: the one process that owns the database while a desk runs.

    python -m adapters.clickhouse.archiver --dsn DSN --spool DIR --socket PATH

It migrates, moves segments from the spool into the database, and answers read-only queries on a unix socket (an
embedded database lets no second process in); what was fetched of the venues' past comes in by the same door. A crash
of it never touches the desk: the spool is the queue. On SIGTERM it inserts what waits and ends with exit code 0 (3 when
something still waits, for the next start); it dies with its parent.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.ipc

from adapters.clickhouse.client import (
    ArchiveError,
    embedded_path,
    insert_rows,
    open_client,
    owner_file,
    run_query,
    short_socket,
)
from adapters.clickhouse.inserter import Inserter
from adapters.clickhouse.migrate import migrate
from adapters.clickhouse.spool import lock
from adapters.clickhouse.tables import HISTORY, SCHEMAS
from adapters.process import die_with_parent

if TYPE_CHECKING:
    from aiohttp import web
    from clickhouse_connect.driver.client import Client

log = logging.getLogger("kerb.archiver")

DRAIN_S = 3.0
QUERIES = 2  # at a time
MOST_SQL = 1_000_000  # bytes of a query
MOST_ROWS = 64_000_000  # bytes of an insert


class Archiver:
    """Inserter thread and query socket of one archive."""

    def __init__(self, dsn: str, spool: Path, socket: Path, every_s: float) -> None:
        self._dsn = dsn
        self._socket = socket
        self._every_s = every_s
        self._stop = threading.Event()
        self._inserter = Inserter(spool, self._connect)
        self._slots = asyncio.Semaphore(QUERIES)
        self.left = 0
        self.stopped_early = False  # a signal came before the loop could hear it

    def _connect(self) -> Client:
        client = open_client(self._dsn)
        for step in migrate(client):
            log.info("applied migration %d (%s)", step.version, step.name)
        return client

    async def run(self) -> None:
        """Work until a signal, then drain."""
        from aiohttp import web

        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        if self.stopped_early:
            stopping.set()
        app = web.Application(client_max_size=MOST_ROWS)
        app.add_routes(
            [web.post("/query", self.query), web.post("/insert", self.insert), web.get("/status", self.status)]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._socket.unlink(missing_ok=True)
        with short_socket(self._socket) as name:
            await web.UnixSite(runner, name).start()
        self._socket.chmod(0o600)
        work = asyncio.create_task(asyncio.to_thread(self._work))
        try:
            await asyncio.wait({work, asyncio.create_task(stopping.wait())}, return_when=asyncio.FIRST_COMPLETED)
            self._stop.set()
            await work
        finally:
            await runner.cleanup()
            self._socket.unlink(missing_ok=True)

    def _work(self) -> None:
        path = embedded_path(self._dsn)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            owner_file(path).write_text(json.dumps({"pid": os.getpid(), "socket": str(self._socket.absolute())}))
        inserter = self._inserter
        counted = False
        while not self._stop.is_set():
            inserter.round()
            if not counted and inserter.state == "ok":
                inserter.count()
                counted = True
            self._stop.wait(inserter.backoff_s or self._every_s)
        deadline = time.monotonic() + DRAIN_S
        while inserter.waiting() and time.monotonic() < deadline:
            inserter.round()
            if inserter.state != "ok":
                break
        self.left = inserter.waiting()
        inserter.close("stopped")
        if path is not None:
            owner_file(path).unlink(missing_ok=True)

    async def query(self, request: web.Request) -> web.Response:
        """`{"sql": …, "format": …}` → the result as text; errors as `{"error", "code", "retryable"}`."""
        from aiohttp import web

        try:
            body = json.loads(await request.read())
            sql, output = str(body["sql"]), str(body.get("format", "CSVWithNames"))
            if len(sql) > MOST_SQL:
                raise ValueError
        except (ValueError, KeyError, TypeError):
            return web.json_response({"error": 'expected {"sql": …, "format": …}', "code": 0}, status=400)
        return await self._answer(self._query, sql, output)

    async def insert(self, request: web.Request) -> web.Response:
        """Rows of `?table=` (one of `HISTORY`) as an Arrow stream, under `?token=`; answered when they are in the database."""
        from aiohttp import web

        table, token = request.query.get("table", ""), request.query.get("token", "")
        try:
            rows = pa.ipc.open_stream(await request.read()).read_all()
        except pa.ArrowInvalid:
            rows = None
        if table not in HISTORY or not token or rows is None or not rows.schema.equals(SCHEMAS[table]):
            return web.json_response({"error": f"expected rows of {', '.join(HISTORY)}", "code": 0}, status=400)
        return await self._answer(self._insert, table, rows, token)

    async def _answer(self, work: Callable[..., bytes], *what: Any) -> web.Response:
        """What `work` returns, off the loop; its refusal as `{"error", "code", "retryable"}`."""
        from aiohttp import web

        async with self._slots:
            try:
                result = await asyncio.to_thread(work, *what)
            except ArchiveError as error:
                body = {"error": str(error), "code": error.code, "retryable": error.retryable}
                return web.json_response(body, status=503 if error.retryable else 400)
        return web.Response(body=result, content_type="text/plain", charset="utf-8")

    def _query(self, sql: str, output: str) -> bytes:
        with contextlib.closing(self._client()) as client:
            return run_query(client, sql, output)

    def _insert(self, table: str, rows: pa.Table, token: str) -> bytes:
        with contextlib.closing(self._client()) as client:
            insert_rows(client, table, rows, token)
        known = self._inserter.rows
        known[table] = known.get(table, 0) + rows.num_rows
        return b""

    def _client(self) -> Client:
        # One of its own: one client serves one query at a time, and opening one costs a millisecond.
        import clickhouse_connect

        path = embedded_path(self._dsn)
        if path is None:
            return open_client(self._dsn)
        if self._inserter.state in ("ok", "stopped"):
            return clickhouse_connect.get_client(dsn=f"chdb://{path.absolute()}")  # this process holds the path
        raise ArchiveError(self._inserter.error or "the archive is still being opened", retryable=True)

    async def status(self, _request: web.Request) -> web.Response:
        """What the inserter is doing."""
        from aiohttp import web

        inserter = self._inserter
        waiting = await asyncio.to_thread(inserter.waiting)
        return web.json_response(
            {
                "state": inserter.state,
                "error": inserter.error,
                "rows": inserter.rows,
                "spool_segments": waiting,
                "quarantined": inserter.quarantined,
            }
        )


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m adapters.clickhouse.archiver", description=__doc__.splitlines()[0])
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--spool", required=True, type=Path)
    parser.add_argument("--socket", required=True, type=Path)
    parser.add_argument("--every-ms", type=int, default=1000, help="time between rounds of inserts")
    options = parser.parse_args(arguments)
    die_with_parent()
    logging.basicConfig(level=logging.INFO, format="kerb: archive: %(message)s", stream=sys.stderr)
    try:
        embedded_path(options.dsn)
    except ArchiveError as error:
        print(f"kerb: archive: {error}", file=sys.stderr)
        return 2
    options.spool.mkdir(parents=True, exist_ok=True)
    archiver = Archiver(options.dsn, options.spool, options.socket, options.every_ms / 1000)

    def stop(_number: int, _frame: object) -> None:
        archiver.stopped_early = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    # The engine leaves its temporary files behind when it is killed: they get a folder of their own, swept at each
    # start.
    scratch = options.spool / "tmp"
    held = None
    while not archiver.stopped_early and (held := lock(options.spool / "ARCHIVER.lock")) is None:
        time.sleep(0.1)  # the archiver of a desk that was killed is still draining
    if held is None:
        return 0
    scratch.mkdir(exist_ok=True)
    for leftover in scratch.iterdir():
        with contextlib.suppress(OSError):
            leftover.unlink()
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
    asyncio.run(archiver.run())
    return 3 if archiver.left else 0


if __name__ == "__main__":
    sys.exit(main())
