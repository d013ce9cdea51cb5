"""`kerb archive`: look into the tick archive, whether a desk is running on it or not.

An embedded archive that a running archiver holds is asked through its socket; otherwise the database is opened here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_FORMATS = {
    "table": "PrettyCompactNoEscapes",
    "json": "JSON",
    "jsonl": "JSONEachRow",
    "csv": "CSVWithNames",
    "tsv": "TSVWithNames",
}


@click.group()
def archive() -> None:
    """The tick archive: query, status, migrate."""


def _where(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--dsn", envvar="KERB__ARCHIVE__DSN", help="chdb:///path or clickhouse://user:pw@host/db")(
        command
    )
    return click.option(
        "--state",
        type=click.Path(path_type=Path, file_okay=False),
        help="the desk's state folder (default: ./state when it is there)",
    )(command)


@archive.command()
@click.argument("sql")
@_where
@click.option(
    "--format",
    "output",
    default="table",
    show_default=True,
    help=f"{', '.join(_FORMATS)}, or the database's name of one",
)
@click.option("--json", "as_json", is_flag=True, help="the same as --format json: an array of rows")
@click.pass_context
def query(context: click.Context, sql: str, dsn: str | None, state: Path | None, output: str, as_json: bool) -> None:
    """Run one reading SQL statement (`-` reads it from stdin)."""
    if sql == "-":
        sql = sys.stdin.read()
    wanted = _FORMATS.get("json" if as_json else output, output)
    place = _Place(dsn, state)
    _run(context, lambda: click.echo(place.query(sql, wanted), nl=False))


@archive.command()
@_where
@click.option("--json", "as_json", is_flag=True, help="as one JSON object")
@click.pass_context
def status(context: click.Context, dsn: str | None, state: Path | None, as_json: bool) -> None:
    """Rows by table, what waits in the spool, and who holds the database."""
    place = _Place(dsn, state)
    _run(context, lambda: _print_status(place.status(), as_json))


@archive.command()
@_where
@click.pass_context
def migrate(context: click.Context, dsn: str | None, state: Path | None) -> None:
    """Bring the database to the schema of this program."""
    place = _Place(dsn, state)

    def work() -> None:
        from adapters.clickhouse import client
        from adapters.clickhouse.migrate import migrate as apply

        opened = client.open_client(place.dsn)
        try:
            applied = apply(opened)
        finally:
            opened.close()
        for step in applied:
            click.echo(f"applied {step.version} {step.name}")
        if not applied:
            click.echo("nothing to apply", err=True)

    _run(context, work)


class _Place:
    """Which archive is meant, and how it is reached."""

    def __init__(self, dsn: str | None, state: Path | None) -> None:
        if state is None and dsn is None and Path("state").is_dir():
            state = Path("state")
        if state is None and dsn is None:
            raise click.UsageError("which archive? --state DIR of a desk, or --dsn")
        if state is not None and not state.is_dir():
            raise click.UsageError(f"there is no folder {state}")
        section = _archive_section(state) if state is not None else {}
        self.dsn = dsn or section.get("dsn") or f"chdb://{state.absolute() / 'archive'}"  # type: ignore[union-attr]
        spool = section.get("spool_dir") or (str(state / "spool") if state is not None else "")
        self.spool = Path(spool) if spool else None
        self._socket = str(state / "archive.sock") if state is not None and dsn is None else ""

    def query(self, sql: str, output: str) -> str:
        from adapters.clickhouse import client

        try:
            path = client.embedded_path(self.dsn)
            if path is not None and not path.exists():
                raise client.ArchiveError(f"there is no archive at {path}")
            opened = client.open_client(self.dsn)
        except client.ArchiveHeld as held:
            return _ask(held.socket or self._socket, held, "/query", {"sql": sql, "format": output})
        try:
            return client.run_query(opened, sql, output).decode()
        finally:
            opened.close()

    def status(self) -> dict[str, Any]:
        from adapters.clickhouse import client, spool
        from adapters.clickhouse.tables import SCHEMAS

        answer: dict[str, Any] = {"dsn": client.masked(self.dsn), "state": "at rest", "rows": {}, "spool_segments": 0}
        if self.spool is not None:
            answer["spool_segments"], answer["spool_bytes"] = spool.backlog(self.spool)
        try:
            path = client.embedded_path(self.dsn)
            if path is not None and not path.exists():
                return answer | {"state": "none yet"}
            opened = client.open_client(self.dsn)
        except client.ArchiveHeld as held:
            return answer | json.loads(_ask(held.socket or self._socket, held, "/status", None))
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


def _ask(socket: str, held: Exception, path: str, body: dict[str, str] | None) -> str:
    """Put a question to the archiver that holds the database."""
    import asyncio

    from adapters.clickhouse.client import ArchiveError, short_socket

    if not socket or not Path(socket).exists():
        raise ArchiveError(f"{held}, which answers no queries", retryable=True)

    async def ask() -> tuple[int, str]:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=120, connect=5)
        method = "GET" if body is None else "POST"
        with short_socket(socket) as name:
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(name), timeout=timeout) as session,
                session.request(method, f"http://archiver{path}", json=body) as answer,
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


def _print_status(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(answer))
        return
    click.echo(f"{answer['dsn']}: {answer['state']}" + (f" ({answer['error']})" if answer.get("error") else ""))
    for table, rows in answer["rows"].items():
        click.echo(f"  {table:<16}{rows:>14,}")
    click.echo(f"  spool: {answer['spool_segments']} segments waiting")
    if answer.get("quarantined"):
        click.echo(f"  quarantine: {answer['quarantined']} segments put aside")


def _run(context: click.Context, work: Callable[[], None]) -> None:
    """Run a command; the archive's refusals are one line on stderr, exit 1, or 3 when trying again may help."""
    from adapters.clickhouse.client import ArchiveError

    try:
        work()
    except ArchiveError as error:
        click.echo(f"kerb: archive: {error}", err=True)
        context.exit(3 if error.retryable else 1)
