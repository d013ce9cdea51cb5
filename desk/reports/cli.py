"""`kerb report`: what happened, from the archive, whether a desk is running on it or not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from desk.reports.evidence import Evidence

FORMATS = ("table", "json", "csv", "html")
DIMENSIONS = ("parent", "venue", "lp", "client", "algo")
UNKNOWN_TABLE = 60
LAST_NS = 9_000_000_000_000_000_000  # what the archive's times can hold, rounded down


@click.group()
def report() -> None:
    """Reports from the archive: tca."""


@report.command()
@click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False), help="A desk's state folder (default: ./state)."
)
@click.option("--dsn", envvar="KERB__ARCHIVE__DSN", help="chdb:///path or clickhouse://user:pw@host/db")
@click.option(
    "--from", "start", metavar="TIME", help="Orders done since: ISO time (UTC), nanoseconds, or 90m, 24h, 7d ago."
)
@click.option("--to", "end", metavar="TIME", help="Orders done before; the same forms.")
@click.option("--by", "by", type=click.Choice(DIMENSIONS), default="parent", show_default=True)
@click.option(
    "--format", "output", type=click.Choice(FORMATS), help="Default: table, or what the name of --out ends with."
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file instead of stdout.")
def tca(
    state: Path | None,
    dsn: str | None,
    start: str | None,
    end: str | None,
    by: str,
    output: str | None,
    out: Path | None,
) -> int:
    """What orders cost, and why: implementation shortfall by cause, markouts, scorecards.

    Costs are positive when they cost the desk; basis points are of the value at arrival.
    """
    import time

    from adapters.clickhouse.client import ArchiveError
    from adapters.clickhouse.place import Place
    from desk.errors import ConfigFault
    from desk.reports.evidence import Evidence

    now_ns = time.time_ns()
    since, until = _moment(start, now_ns, "--from") or 0, _moment(end, now_ns, "--to")
    until = now_ns + 1 if until is None else until
    if since >= until:
        raise ConfigFault(f"--from {start} is not before --to {end or 'now'}")
    form = output or (out.suffix[1:] if out is not None and out.suffix[1:] in FORMATS else "table")
    place = Place(dsn, state)
    evidence = Evidence(lambda sql: place.query(sql, "JSONEachRow"), since, until)
    try:
        text, rows = _made(evidence, by, form)
    except ArchiveError as error:
        told = f"{error}"
        if error.code == UNKNOWN_TABLE:
            told = "it was written before costs were kept; `kerb archive migrate` adds the tables, costs are kept from then on"
        click.echo(f"kerb: archive: {told}", err=True)
        return 3 if error.retryable else 1
    if not rows:
        click.echo(f"kerb: nothing by {by} in this time", err=True)
    if out is None:
        click.echo(text)
        return 0
    try:
        out.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    except OSError as fault:
        raise ConfigFault(f"cannot write {out}: {fault.strerror}") from fault
    click.echo(f"kerb: wrote {out}", err=True)
    return 0


def _made(evidence: Evidence, by: str, form: str) -> tuple[str, int]:
    """The report as text, and how many rows its first table has."""
    from desk.reports.render import as_csv, as_html, as_json, as_text
    from desk.reports.tca import BY

    table = BY[by](evidence)
    match form:
        case "json":
            text = as_json(table, {"report": "tca", "from_ns": evidence.from_ns, "to_ns": evidence.to_ns})
        case "csv":
            text = as_csv(table)
        case "html":
            others = [make(evidence) for name, make in BY.items() if name != by]
            lead = (
                f"Orders done from {_utc(evidence.from_ns)} to {_utc(evidence.to_ns)} (UTC). Costs are positive when they cost "
                "the desk and are the sum of their parts; basis points are of the value at arrival. Hold the pointer over a "
                "column's title to read what it is."
            )
            text = as_html([table, *others], "Transaction costs", lead)
        case _:
            text = as_text(table) if table.rows else ""
    return text, len(table.rows)


def _utc(ns: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S") if ns else "the beginning"


def _moment(text: str | None, now_ns: int, option: str) -> int | None:
    """A moment in ns: nanoseconds, an ISO time (UTC when it names no zone), or so long ago. Raises ConfigFault."""
    from datetime import UTC, datetime

    from desk.errors import ConfigFault

    if text is None:
        return None
    units = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
    try:
        if text.isascii() and text.isdigit():
            found = int(text)
        elif text[-1:] in units and text[:-1].isascii() and text[:-1].isdigit():
            found = max(0, now_ns - int(text[:-1]) * units[text[-1]] * 10**9)
        else:
            at = datetime.fromisoformat(text)
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
            since = at - datetime(1970, 1, 1, tzinfo=UTC)
            found = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000
        if not 0 <= found < LAST_NS:
            raise ValueError(text)
    except ValueError as error:
        raise ConfigFault(f"{option} {text[:40]}: give an ISO time, nanoseconds, or 90m, 24h, 7d ago") from error
    return found
