"""Opening the archive's database by DSN, embedded or a server, and telling its errors apart.

One process at a time may hold an embedded (`chdb://`) path: the engine locks it, and a second opener gets
`ArchiveHeld` here before the engine is asked. The holder leaves its socket's path in `<path>.owner`, so that others
can put their queries to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import pyarrow as pa
    from clickhouse_connect.driver.client import Client

# The engine's codes for "not now": timeouts, memory, disk, network, table being written, keeper. Everything else is
# the data's fault.
RETRYABLE = frozenset(
    {3, 32, 74, 76, 95, 159, 198, 202, 203, 209, 210, 236, 241, 242, 243, 252, 279, 285, 319, 425, 999}
)
_CODE = re.compile(r"Code: (\d+)\. DB::Exception: ")
_NOISE = re.compile(r"\s*\(version [^)]*\)|\s*Stack trace:.*", re.DOTALL)

QUERY_SETTINGS = {
    "readonly": 2,  # reading only, but with the settings below
    "final": 1,  # of rows that replace one another the last, whether they were merged yet or not
    "max_execution_time": 60,
    "max_memory_usage": 2_000_000_000,
    "max_result_bytes": 512_000_000,
    "result_overflow_mode": "throw",
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_decimals": 1,
    "output_format_json_escape_forward_slashes": 0,
}


class ArchiveError(Exception):
    """The database said no. `code`: its own number, 0 when it could not be reached; `retryable`: later may be
    better.
    """

    def __init__(self, message: str, *, code: int = 0, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


class ArchiveHeld(ArchiveError):
    """The embedded database is open in another process; `socket` is where that one answers, if it said so."""

    def __init__(self, path: Path, socket: str) -> None:
        super().__init__(f"the archive {path} is open in another process", code=76, retryable=True)
        self.socket = socket


def embedded_path(dsn: str) -> Path | None:
    """The folder of a `chdb://` DSN, None for a server."""
    parts = urlsplit(dsn)
    match parts.scheme:
        case "chdb":
            path = parts.netloc + parts.path
            if not path:
                raise ArchiveError(f"{dsn!r} names no folder: chdb:///path/to/archive")
            return Path(path)
        case "clickhouse" | "clickhouses" | "http" | "https":
            return None
        case _:
            raise ArchiveError(
                f"{dsn!r} is not an archive: chdb:///path or clickhouse://user:password@host:port/database"
            )


@contextlib.contextmanager
def short_socket(socket: Path | str) -> Iterator[str]:
    """A name for a unix socket that fits into the 107 bytes an address may have, however deep its folder lies."""
    path = Path(socket).absolute()
    if len(os.fsencode(path)) <= 100:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def owner_file(path: Path) -> Path:
    """Where the holder of an embedded path says how to reach it."""
    return path.with_name(path.name + ".owner")


def open_client(dsn: str) -> Client:
    """A client of the archive. Raises ArchiveHeld or ArchiveError."""
    path = embedded_path(dsn)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if _held(path):
            raise ArchiveHeld(path, _owner_socket(path))
    import clickhouse_connect

    try:
        if path is not None:
            return clickhouse_connect.get_client(dsn=f"chdb://{path.absolute()}")
        return clickhouse_connect.get_client(dsn=dsn, connect_timeout=5, send_receive_timeout=120)
    except Exception as error:  # the driver's own tree, and network errors from below it
        fault = explain(error)
        fault.retryable = True  # nothing was sent yet
        raise fault from error


def run_query(client: Client, sql: str, output: str) -> bytes:
    """Run one reading statement and return its result in a format of the database (CSVWithNames, JSONEachRow, …)."""
    settings: dict[str, Any] = dict(QUERY_SETTINGS)
    if output == "JSON":
        output = "JSONEachRow"
        settings["output_format_json_array_of_rows"] = 1
    if not output.isalnum():
        raise ArchiveError(f"{output!r} is no output format")
    try:
        return client.raw_query(sql.strip().rstrip(";"), fmt=output, settings=settings)
    except Exception as error:  # the driver's own tree, and network errors from below it
        raise explain(error) from error


def insert_rows(client: Client, table: str, rows: pa.Table, token: str) -> None:
    """Insert a batch; one that was inserted under this token before is not inserted again. Raises ArchiveError."""
    settings = {"insert_deduplication_token": token, "async_insert": 0, "max_insert_threads": 1}
    try:
        client.insert_arrow(table, rows, settings=settings)
    except Exception as error:  # the driver's own tree, and network errors from below it
        raise explain(error) from error


def explain(error: BaseException) -> ArchiveError:
    """The driver's error as one clear line."""
    if isinstance(error, ArchiveError):
        return error
    text = str(error)
    found = _CODE.search(text)
    code = getattr(error, "code", None) or (int(found.group(1)) if found else 0)
    line = _NOISE.sub("", text[found.end() :] if found else text)
    line = " ".join(line.split()) or type(error).__name__
    reached = code != 0 or type(error).__name__ in ("DataError", "NotSupportedError", "ArrowInvalid", "ArrowTypeError")
    return ArchiveError(line[:500], code=code, retryable=code in RETRYABLE if reached else True)


def _held(path: Path) -> bool:
    """Whether a process has the embedded engine open on `path`."""
    try:
        handle = os.open(path / "status", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def _owner_socket(path: Path) -> str:
    try:
        return str(json.loads(owner_file(path).read_bytes())["socket"])
    except (FileNotFoundError, ValueError, KeyError):
        return ""


def masked(dsn: str) -> str:
    """The DSN without its password."""
    return re.sub(r"(://[^:/@]*:)[^@]*@", r"\1***@", dsn)
