"""Where the desk's log goes: every record as one JSON line in a file, problems in plain words on stderr.

The file is bounded (three files of 8 MB). On stderr a kind of problem (the same sentence about the same venue, whatever stream
it names) is told once in `QUIET_S` seconds, with how many came in between: the file has each one. The log explains; what must
be proven later is in the ledger and the archive.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

FILE_BYTES = 8 * 2**20
FILES_KEPT = 2
QUIET_S = 10.0
MAX_REMEMBERED = 500  # kinds of problem whose repeats are counted; beyond that the oldest is forgotten


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        row = {
            "ts": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            row["exception"] = self.formatException(record.exc_info)
        return json.dumps(row)


class PlainWords(logging.Handler):
    """`kerb: warning: BINANCE BTC/USDT.book lost: …` for people; one line a problem, without tracebacks."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._out = out
        self._clock = clock
        self._told: dict[tuple[str, str], tuple[float, int]] = {}  # sentence and subject: when told, unsaid since

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record unless its like was written a moment ago."""
        try:
            lines = record.getMessage().splitlines()
            first = lines[0] if lines else ""
            subject = record.args[0] if isinstance(record.args, tuple) and record.args else ""
            key = (str(record.msg), str(subject))
            now = self._clock()
            told, unsaid = self._told.pop(key, (float("-inf"), 0))
            if now - told < QUIET_S:
                self._told[key] = (told, unsaid + 1)
                return
            self._told[key] = (now, 0)
            while len(self._told) > MAX_REMEMBERED:
                del self._told[next(iter(self._told))]
            again = f" ({unsaid} like it before)" if unsaid else ""
            cause = f": {record.exc_info[1]!r}" if record.exc_info and record.exc_info[1] is not None else ""
            self._out.write(f"kerb: {record.levelname.lower()}: {first}{cause}{again}\n")
            self._out.flush()
        except Exception:  # the logging module's own rule: a handler never raises into its caller
            self.handleError(record)


def start_logging(level: str, file: Path) -> None:
    """Send standard logging to `file` as JSON lines and warnings to stderr; replaces what was set up before."""
    kept = RotatingFileHandler(file, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8")
    kept.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[kept, PlainWords(sys.stderr)], force=True)
