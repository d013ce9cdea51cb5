"""What of the venues' past is in the archive, and how more comes in: no part of it is asked for twice.

A series is the candles of one timeframe, or the trades, of one instrument. `history_ranges` holds the parts of it that were asked for
and are whole; a part is written there only after its rows are in the database: a death in between costs a request, never a hole.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from adapters.ccxt.past.told import Span
from adapters.clickhouse.client import ArchiveError
from adapters.clickhouse.place import Place
from adapters.clickhouse.rows import CONVERT, candle_row, past_trade_row

_UNKNOWN_TABLE = 60  # the database's code
MS = 1_000_000


class Series(NamedTuple):
    """`kind`: "candles" or "trades"; `timeframe` is empty for trades."""

    kind: str
    venue: str
    symbol: str
    timeframe: str = ""


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same moments in as few spans as possible, in order."""
    out: list[Span] = []
    for span in sorted(span for span in spans if span.start_ms < span.end_ms):
        if out and span.start_ms <= out[-1].end_ms:
            out[-1] = Span(out[-1].start_ms, max(out[-1].end_ms, span.end_ms))
        else:
            out.append(span)
    return out


def missing(asked: Span, held: Iterable[Span]) -> list[Span]:
    """The parts of `asked` that are in none of `held`, in order."""
    out, at = [], asked.start_ms
    for span in merged(held):
        if span.start_ms >= asked.end_ms:
            break
        if span.start_ms > at:
            out.append(Span(at, span.start_ms))
        at = max(at, span.end_ms)
    if at < asked.end_ms:
        out.append(Span(at, asked.end_ms))
    return out


class HistoryStore:
    """The archive's side of fetching. Blocks; raises ArchiveError."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def held(self, series: Series) -> list[Span]:
        """The parts of a series that are whole."""
        names = ("kind", "venue", "symbol", "timeframe")
        where = " AND ".join(f"{name} = {_quoted(value)}" for name, value in zip(names, series, strict=True))
        edges = ", ".join(f"toUnixTimestamp64Milli({name}) AS {name}_ms" for name in ("since", "until"))
        try:
            answer = self._place.query(f"SELECT {edges} FROM history_ranges WHERE {where}", "JSONEachRow")
        except ArchiveError as error:
            if error.code == _UNKNOWN_TABLE or not self._place.exists():
                return []
            raise
        rows = [json.loads(line) for line in answer.splitlines()]
        return merged(Span(int(row["since_ms"]), int(row["until_ms"])) for row in rows)

    def write(self, series: Series, rows: list[Any], whole: Span) -> None:
        """Rows of a series, then that `whole` is whole with them."""
        fetched_ns = time.time_ns()
        kind, venue, symbol, timeframe = series
        if rows and kind == "candles":
            self._insert("candles", [candle_row(venue, symbol, timeframe, fetched_ns, row) for row in rows])
        elif rows:
            self._insert("history_trades", [past_trade_row(venue, symbol, fetched_ns, row) for row in rows])
        self._insert("history_ranges", [(*series, whole.start_ms * MS, whole.end_ms * MS, len(rows), fetched_ns)])

    def _insert(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        # Every attempt is one of its own: what is the same replaces itself.
        token = hashlib.sha256(repr((table, rows[0], rows[-1], len(rows))).encode()).hexdigest()
        self._place.insert(table, CONVERT[table](rows), token)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
