"""Bringing the database to the schema this code writes: numbered SQL files, each applied once.

What was applied is kept in `schema_migrations` with its checksum; a file that changed after it was applied is
refused. Every statement is idempotent, so that a run that died half-way is simply run again.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from adapters.clickhouse.client import ArchiveError, explain

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_FOLDER = Path(__file__).parent / "migrations"
_LOG = (
    "CREATE TABLE IF NOT EXISTS schema_migrations (version UInt32, name String, sha256 String, applied_ns Int64)"
    " ENGINE = MergeTree ORDER BY version"
)


class Migration(NamedTuple):
    """One numbered file."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations(folder: Path = _FOLDER) -> list[Migration]:
    """All migrations, in order."""
    found = []
    for path in sorted(folder.glob("[0-9]*.sql")):
        number, _, name = path.stem.partition("_")
        found.append(Migration(int(number), name, path.read_text(encoding="utf-8")))
    return found


def migrate(client: Client, folder: Path = _FOLDER) -> list[Migration]:
    """Apply what is missing; returns what was applied now. Raises ArchiveError."""
    try:
        client.command(_LOG)
        rows = client.query("SELECT version, sha256 FROM schema_migrations ORDER BY version").result_rows
    except Exception as error:  # the driver's own tree
        raise explain(error) from error
    known = {int(version): str(digest) for version, digest in rows}
    wanted = migrations(folder)
    newest = wanted[-1].version if wanted else 0
    if known and max(known) > newest:
        raise ArchiveError(f"the archive has schema {max(known)}, newer than this program's {newest}")
    applied = []
    for step in wanted:
        if step.version in known:
            if known[step.version] != step.sha256:
                raise ArchiveError(f"migration {step.version} ({step.name}) was changed after it was applied")
            continue
        try:
            for statement in _statements(step.sql):
                client.command(statement)
            client.insert(
                "schema_migrations",
                [[step.version, step.name, step.sha256, time.time_ns()]],
                column_names=["version", "name", "sha256", "applied_ns"],
                settings={"async_insert": 0},
            )
        except Exception as error:  # the driver's own tree
            raise explain(error) from error
        applied.append(step)
    return applied


def _statements(sql: str) -> list[str]:
    lines = [line for line in sql.splitlines() if not line.lstrip().startswith("--")]
    return [statement.strip() for statement in "\n".join(lines).split(";\n") if statement.strip().rstrip(";")]
