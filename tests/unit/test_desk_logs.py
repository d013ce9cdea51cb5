"""The desk's log: every record in the file, plain words on stderr, and no flood of either."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from desk.logs import MAX_REMEMBERED, QUIET_S, PlainWords, start_logging


@pytest.fixture(autouse=True)
def _root_logger_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("adapters.ccxt.market.link", logging.WARNING, __file__, 1, message, arguments, None)


def test_a_problem_is_told_in_plain_words() -> None:
    out = io.StringIO()
    PlainWords(out).emit(record("BINANCE BTC/USDT.book lost: gap\nand a second line"))
    assert out.getvalue() == "kerb: warning: BINANCE BTC/USDT.book lost: gap\n"


def test_a_repeated_problem_is_told_once_and_counted() -> None:
    out, now = io.StringIO(), [0.0]
    handler = PlainWords(out, clock=lambda: now[0])
    for _ in range(5):
        handler.emit(record("KRAKEN account lost"))
    handler.emit(record("another problem"))
    now[0] = QUIET_S + 1
    handler.emit(record("KRAKEN account lost"))
    assert out.getvalue().splitlines() == [
        "kerb: warning: KRAKEN account lost",
        "kerb: warning: another problem",
        "kerb: warning: KRAKEN account lost (4 like it before)",
    ]


def test_streams_lost_together_are_one_line_a_venue() -> None:
    out = io.StringIO()
    handler = PlainWords(out, clock=lambda: 0.0)
    for venue in ("KRAKEN", "BINANCE"):
        for stream in ("book", "trades", "quotes"):
            handler.emit(record("%s BTC/USDT.%s lost: %s", venue, stream, "disconnected"))
    assert out.getvalue().splitlines() == [
        "kerb: warning: KRAKEN BTC/USDT.book lost: disconnected",
        "kerb: warning: BINANCE BTC/USDT.book lost: disconnected",
    ]


def test_what_is_remembered_is_bounded() -> None:
    handler = PlainWords(io.StringIO(), clock=lambda: 0.0)
    for number in range(MAX_REMEMBERED * 3):
        handler.emit(record(f"problem {number}"))
    assert len(handler._told) == MAX_REMEMBERED


def test_the_file_has_every_record_with_its_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("INFO", tmp_path / "desk.log")
    log = logging.getLogger("kerb.test")
    log.info("only for the file")
    try:
        raise ValueError("no such thing")
    except ValueError:
        log.exception("it failed")
        log.exception("it failed")
    rows = [json.loads(line) for line in (tmp_path / "desk.log").read_text().splitlines()]
    assert [row["message"] for row in rows] == ["only for the file", "it failed", "it failed"]
    assert "ValueError: no such thing" in rows[1]["exception"]
    assert capsys.readouterr().err == "kerb: error: it failed: ValueError('no such thing')\n"
