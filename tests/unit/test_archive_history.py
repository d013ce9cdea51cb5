"""Spans of time: what is held, what is missing, and rows whose part is called whole only after they are stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ccxt.hook import BadFrame
from adapters.ccxt.past.history import HistoryFault, check
from adapters.ccxt.past.told import Candle, HistoryRefused, Page, Span
from adapters.clickhouse import fetch as module
from adapters.clickhouse.client import ArchiveError
from adapters.clickhouse.fetch import fetch
from adapters.clickhouse.history import Series, merged, missing

MINUTE = 60_000
spans = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda ends: Span(*sorted(ends))), max_size=8)


def moments(of: list[Span]) -> set[int]:
    return {moment for span in of for moment in range(*span)}


@given(held=spans, asked=st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda ends: Span(*sorted(ends))))
def test_what_is_missing_is_what_was_asked_and_is_not_held(held: list[Span], asked: Span) -> None:
    found = missing(asked, held)
    assert moments(found) == moments([asked]) - moments(held)
    for parts in (found, merged(held)):
        assert all(one.start_ms < one.end_ms for one in parts)
        assert all(one.end_ms < other.start_ms for one, other in pairwise(parts))
    assert moments(merged(held)) == moments(held)


class Shop:
    """A store in memory that can die at a write."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.ranges: list[Span] = []
        self.writes_left = 10**9

    def held(self, _series: Series) -> list[Span]:
        return merged(self.ranges)

    def write(self, _series: Series, rows: list[Any], whole: Span) -> None:
        self.writes_left -= 1
        if self.writes_left < 0:
            raise ArchiveError("the disk is full", retryable=True)
        self.rows += rows
        self.ranges.append(whole)


def candle(start_ms: int) -> Candle:
    one = Decimal(1)
    return Candle(start_ms=start_ms, open=one, high=one, low=one, close=one, volume=one)


class Told:
    """A venue that tells minutes in pages of three, stops at `fault_ms` and knows nothing before `first_ms`."""

    def __init__(self, settled_ms: int, *, fault_ms: int = 1 << 60, first_ms: int = 0) -> None:
        self.requests = 0
        self._settled_ms, self._fault_ms, self._first_ms = settled_ms, fault_ms, first_ms

    async def settled_ms(self) -> int:
        self.requests += 1
        return self._settled_ms

    async def candles(self, _symbol: str, _timeframe: str, span: Span) -> AsyncIterator[Page]:
        at = max(span.start_ms, self._first_ms)
        while at < span.end_ms:
            self.requests += 1
            if at >= self._fault_ms:
                raise HistoryFault("no answer", retryable=True)
            end = min(at + 3 * MINUTE, span.end_ms)
            yield Page(rows=[candle(ms) for ms in range(at, end, MINUTE)], whole=Span(at, end))
            at = end
        if span.start_ms < self._first_ms:
            raise HistoryRefused("older is gone", Span(span.start_ms, self._first_ms))


SERIES = Series("candles", "V", "A/B", "1m")


def run(shop: Shop, venue: Told, start: int, end: int) -> module.Fetched:
    return asyncio.run(fetch(SERIES, Span(start, end), venue, shop, lambda _done, _out: None))  # type: ignore[arg-type]


def test_only_holes_are_asked_for_and_the_open_candle_never() -> None:
    shop, venue = Shop(), Told(100 * MINUTE + 30_000)
    shop.ranges = [Span(10 * MINUTE, 20 * MINUTE), Span(30 * MINUTE, 40 * MINUTE)]
    out = run(shop, venue, 5 * MINUTE + 1, 1 << 50)
    stored = [row.start_ms // MINUTE for row in shop.rows]
    assert stored == [*range(6, 10), *range(20, 30), *range(40, 100)]
    assert (out.rows, out.until_ms, out.missing) == (len(stored), 100 * MINUTE, [])
    again = Told(100 * MINUTE + 59_000)
    assert run(shop, again, 6 * MINUTE, 100 * MINUTE).requests == 0
    assert run(shop, again, 6 * MINUTE, 1 << 50).rows == 0


def test_what_came_before_a_fault_is_stored_and_not_asked_for_again() -> None:
    shop = Shop()
    with pytest.raises(HistoryFault):
        run(shop, Told(1 << 40, fault_ms=12 * MINUTE), 0, 30 * MINUTE)
    assert shop.held(SERIES) == [Span(0, 12 * MINUTE)]
    out = run(shop, Told(1 << 40), 0, 30 * MINUTE)
    assert sorted(row.start_ms // MINUTE for row in shop.rows) == list(range(30))
    assert out.rows == 18


def test_a_store_that_fails_leaves_no_part_called_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 1)
    shop = Shop()
    shop.writes_left = 2
    with pytest.raises(ArchiveError):
        run(shop, Told(1 << 40), 0, 30 * MINUTE)
    held = shop.held(SERIES)
    assert held == [Span(0, 6 * MINUTE)]
    assert {row.start_ms for row in shop.rows} == set(range(0, 6 * MINUTE, MINUTE))


def test_rows_of_a_moment_that_is_not_whole_yet_are_kept_for_the_pages_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue that tells the newest first: its first page lies in the last moment alone."""
    monkeypatch.setattr(module, "MOST_S", -1.0)  # stored at every page

    class Backward(Told):
        async def candles(self, _symbol: str, _timeframe: str, span: Span) -> AsyncIterator[Page]:
            yield Page(rows=[candle(span.end_ms - MINUTE)], whole=Span(span.end_ms, span.end_ms))
            rows = [candle(ms) for ms in range(span.start_ms, span.end_ms - MINUTE, MINUTE)]
            yield Page(rows=rows, whole=span)

    shop = Shop()
    assert run(shop, Backward(1 << 40), 0, 30 * MINUTE).rows == 30
    assert len(shop.rows) == 30


def test_what_a_venue_cannot_tell_is_said_and_the_rest_is_stored() -> None:
    shop = Shop()
    out = run(shop, Told(1 << 40, first_ms=20 * MINUTE), 0, 30 * MINUTE)
    assert out.missing == [(Span(0, 20 * MINUTE), "older is gone")]
    assert shop.held(SERIES) == [Span(20 * MINUTE, 30 * MINUTE)]


def test_a_candle_that_contradicts_itself_is_refused() -> None:
    good = candle(MINUTE)
    check(good, MINUTE)
    for wrong in (
        {"start_ms": 1},
        {"low": Decimal(2)},
        {"high": Decimal("0.5")},
        {"volume": Decimal(-1)},
        {"low": Decimal(0)},
    ):
        with pytest.raises(BadFrame):
            check(msgspec.structs.replace(good, **wrong), MINUTE)
