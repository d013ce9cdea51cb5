"""A venue's own record: one append-only file of JSON lines, durable before the venue answers.

`append` returns after fsync. A line that was torn by a crash is cut off when the file is opened again; everything before it stands.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import orjson


class VenueJournal:
    """Append-only JSON lines at `path`; without a path nothing is kept and nothing is written."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._file: int | None = None

    def load(self) -> list[dict]:
        """All whole records, oldest first; the file is open for appending afterwards."""
        if self.path is None:
            return []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        data = self.path.read_bytes()
        records: list[dict] = []
        good = 0
        for line in data.splitlines(keepends=True):
            try:
                if not line.endswith(b"\n"):
                    break
                records.append(orjson.loads(line))
            except orjson.JSONDecodeError:
                break
            good += len(line)
        if good < len(data):
            os.ftruncate(self._file, good)
            os.fsync(self._file)
        return records

    def append(self, records: Iterable[dict]) -> None:
        """Write a group of records and wait until they are on disk."""
        if self._file is None:
            return
        os.write(self._file, b"".join(orjson.dumps(record) + b"\n" for record in records))
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file; further appends are lost silently, so close last."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
