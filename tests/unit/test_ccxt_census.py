"""Every recorded message of every venue: decoded into what the tables of `recorded/` say, or into nothing for the reason that they give.

A file that is recorded anew fails the census until it is in a table (`python -m tests.unit.recorded` writes them), and there says something
or why it does not; so does a table's file that is gone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.recorded_data import MESSAGES
from tests.unit.recorded.questions import decode
from tests.unit.recorded.venues import VENUES

TABLES = Path(__file__).parent / "recorded"
recorded = pytest.mark.skipif(not MESSAGES.is_dir(), reason="the recorded messages are not here")
PROSE = {"binance/README.md", "binance/SOURCES.md"}  # of no exchange of the folder


def table(exchange: str) -> dict[str, list[str]]:
    """By file: the lines of what it says, or one that begins with "- "."""
    out: dict[str, list[str]] = {}
    for text in (TABLES / f"{exchange}.txt").read_text().splitlines():
        if text.startswith("    "):
            out[next(reversed(out))].append(text.strip())
        else:
            out[text] = []
    return out


@recorded
def test_every_recorded_file_is_in_a_table() -> None:
    listed = [f"{venue.folder}/{name}" for exchange, venue in VENUES.items() for name in table(exchange)]
    assert len(listed) == len(set(listed))
    there = {str(path.relative_to(MESSAGES)) for path in MESSAGES.rglob("*") if path.is_file()}
    assert there - PROSE == set(listed)


@recorded
@pytest.mark.parametrize("exchange", VENUES)
def test_recorded_messages_say_what_the_table_says(exchange: str) -> None:
    venue, expected = VENUES[exchange], table(exchange)

    async def read() -> dict[str, list[str] | None]:
        told = {name: await decode(venue, name, MESSAGES) for name in expected}
        await venue.close()
        return told

    for name, told in asyncio.run(read()).items():
        reason = len(expected[name]) == 1 and expected[name][0].startswith("- ")
        assert (told or []) == ([] if reason else expected[name]), name


def test_what_says_nothing_has_its_reason() -> None:
    for exchange in VENUES:
        for name, said in table(exchange).items():
            assert said and said[0] != "- ?", (exchange, name)


# ---- the numbers ----------------------------------------------------------------------------------------------------------------------

NUMBER = re.compile(r"(?<![\w.-])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.-])")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?")
FIELD = re.compile(r"(\w+)=(-?\d+(?:\.\d+)?)(?= |$)")
LEVEL = re.compile(r"(?:bid:|ask:|[=,])(-?[\d.]+)×([\d.]+)")
OURS = {  # not the venue's words: what is asked with, counted or listed by ccxt
    "price_decimals", "size_decimals", "taker_fee", "maker_fee", "sequence", "parts", "maintenance", "contract_size", "client_order_id",
}  # fmt: skip
SUMMED = {"total", "quantity", "locked", "BTC"}  # of two numbers: free and held, open and filled
TIMES = {"ts_event_ns", "ts_ns", "next_ns", "start_ms", "now_ms"}
REQUESTED = (
    "http_add_order_spot",
    "http_place_order_response",
    "http_send_order_futures",
)  # the terms are those that were sent
RECKONED = {"http_futures_fills.json"}  # fees that the venue does not tell


def literals(text: str) -> Iterator[Decimal]:
    """Every number of a recorded message, quoted or not."""
    yield from (Decimal(found) for found in NUMBER.findall(text))


def moments(text: str, numbers: set[Decimal]) -> set[int]:
    """Every time of it, ns: of seconds, milliseconds, microseconds or nanoseconds, and written ones."""
    out = {int(number * scale) for number in numbers if number > 10**7 for scale in (1, 10**3, 10**6, 10**9)}
    for found in TIME.findall(text):
        head, _, fraction = found.replace(" ", "T").partition(".")
        seconds = int(datetime.fromisoformat(head + "+00:00").timestamp())
        out.add(seconds * 10**9 + int(fraction.ljust(9, "0")[:9] or 0))
    return out


@recorded
@pytest.mark.parametrize("exchange", VENUES)
def test_every_number_that_is_told_is_the_venues_own(exchange: str) -> None:
    checked = 0
    for name, said in table(exchange).items():
        if said[0].startswith("- ") or not name.endswith(".json") or name.startswith(REQUESTED):
            continue
        folder, before = MESSAGES / VENUES[exchange].folder, VENUES[exchange].after.get(name.removesuffix(".json"))
        text = (folder / name).read_text() + ((folder / f"{before}.json").read_text() if before else "")
        known = {abs(number) for number in literals(text)} | {Decimal(0)}
        steps = {Decimal(1).scaleb(-int(count)) for count in literals(text) if count == int(count) and abs(count) < 20}
        sums = {abs(a + sign * b) for a in known for b in known for sign in (1, -1)} if len(known) < 200 else known
        times = moments(text, known)
        for line in said:
            told = [(field, Decimal(value)) for field, value in FIELD.findall(line) if field not in OURS]
            told += [("level", Decimal(part)) for pair in LEVEL.findall(line) for part in pair]
            for field, value in told:
                checked += 1
                if field in TIMES:
                    ns = int(value) * (10**6 if field.endswith("_ms") else 1)
                    assert any(abs(ns - moment) < 1_000 for moment in times) or ns in (0, 1_700_000_000_000_000_000), (
                        name,
                        line,
                    )
                elif field != "fee" or name not in RECKONED:
                    assert abs(value) in (sums if field in SUMMED else known | steps if field == "lot" else known), (
                        name,
                        field,
                        value,
                    )
    assert checked > 10
