"""`kerb archive`: look into the tick archive, whether a desk is running on it or not.

An embedded archive that a running archiver holds is asked through its socket; otherwise the database is opened here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapters.clickhouse.fetch import fetch_command
from adapters.clickhouse.place import Place

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
    """The tick archive: query, status, migrate, fetch."""


archive.add_command(fetch_command)


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
    place = Place(dsn, state)
    _run(context, lambda: click.echo(place.query(sql, wanted), nl=False))


@archive.command()
@_where
@click.option("--json", "as_json", is_flag=True, help="as one JSON object")
@click.pass_context
def status(context: click.Context, dsn: str | None, state: Path | None, as_json: bool) -> None:
    """Rows by table, what waits in the spool, and who holds the database."""
    place = Place(dsn, state)
    _run(context, lambda: _print_status(place.status(), as_json))


@archive.command()
@_where
@click.pass_context
def migrate(context: click.Context, dsn: str | None, state: Path | None) -> None:
    """Bring the database to the schema of this program."""
    place = Place(dsn, state)

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
