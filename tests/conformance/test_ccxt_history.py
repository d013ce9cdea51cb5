"""The past of each loopback exchange, over its wire: candles and trades as the market had them, into an archive, once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.past.history import History, HistoryFault
from adapters.ccxt.past.told import HistoryRefused, Span
from adapters.clickhouse.fetch import Fetched, fetch
from adapters.clickhouse.history import HistoryStore, Series
from adapters.clickhouse.place import Place
from sim.servers.faults import Fault, FaultOrder
from sim.servers.krakenfutures.wire import trade_uid
from sim.servers.past import Past
from tests.conformance.ccxt_venue import VENUES, Venue, eventually, market_data, venue

MINUTE = 60_000
HOUR = 60 * MINUTE
WITH_PAST = list(VENUES)
LONG = bool(os.environ.get("KERB_LONG_TESTS"))
SPEED = 1_000.0  # times the venue's rate limit: loopback has none


def past_of(place: Venue) -> Past:
    past: Past = place.running.servers[place.config.venue]._rolling[place.symbol].past
    return past


def ids_of(name: str, past: Past, span: Span) -> list[str]:
    """The ids that the venue tells: its trades', or the numbers of its aggregates."""
    prints = past.prints(past.first_at(span.start_ms), past.first_at(span.end_ms))
    numbers = (prints.number if name.startswith("BINANCE") else prints.trade_id).tolist()
    return [trade_uid(number) if name == "KRAKENFUTURES" else str(number) for number in numbers]


@pytest.mark.parametrize("name", WITH_PAST)
def test_candles_and_trades_are_those_of_the_market(name: str) -> None:
    async def go() -> None:
        async with venue(name) as place, History(place.config, share=SPEED) as history:
            end = await history.settled_ms() // HOUR * HOUR
            span, market = Span(end - 3 * HOUR, end), (await history._market(place.symbol, Span(0, 1)))
            minutes = [row async for page in history.candles(place.symbol, "1m", span) for row in page.rows]
            hours = [row async for page in history.candles(place.symbol, "1h", span) for row in page.rows]
            assert [row.start_ms for row in hours] == [end - 3 * HOUR, end - 2 * HOUR, end - HOUR]
            for hour in hours:
                inside = [row for row in minutes if row.start_ms // HOUR * HOUR == hour.start_ms]
                assert hour.high == max(row.high for row in inside if row.volume)
                assert hour.volume == sum(row.volume for row in inside)
            assert len(minutes) == 180 or name == "COINBASE"
            assert market["symbol"] == place.symbol
            past = past_of(place)
            if name == "BYBIT":
                with pytest.raises(HistoryRefused, match="latest trades"):
                    [page async for page in history.trades(place.symbol, span)]
                return
            trades = [row async for page in history.trades(place.symbol, span) for row in page.rows]
            assert sorted(row.trade_id for row in trades) == sorted(ids_of(name, past, span))
            assert sum(row.quantity for row in trades) == sum(row.volume for row in minutes)

    asyncio.run(go())


@pytest.mark.parametrize("name", [name for name in WITH_PAST if name != "BYBIT"] if LONG else ["KRAKEN"])
def test_trades_that_were_told_live_are_in_the_history(name: str) -> None:
    async def go() -> None:
        async with venue(name) as place, History(place.config, share=SPEED) as history:
            async with market_data(place) as link:
                await eventually(lambda: len(place.seen.trades) >= 3, "three trades")
            times = [trade.ts_event_ns // 1_000_000 for trade in place.seen.trades]
            span, market = Span(min(times), max(times) + 1), link.markets[place.symbol]
            told = [row async for page in history.trades(place.symbol, span) for row in page.rows]
            live = {
                (Decimal(trade.price).scaleb(-market.price_decimals), trade.side, trade.ts_event_ns // 1_000_000)
                for trade in place.seen.trades
            }
            assert live <= {(row.price, row.side, row.ts_ns // 1_000_000) for row in told}
            if not name.startswith("BINANCE"):  # whose rows are aggregates, with numbers of their own
                assert {trade.trade_id for trade in place.seen.trades} <= {row.trade_id for row in told}

    asyncio.run(go())


class Archive:
    """An archive on disk, filled and asked in the test's own loop."""

    def __init__(self, folder: Path, place: Venue) -> None:
        self._place = Place(f"chdb://{folder / 'archive'}", None)
        self._venue = place

    async def fetch(self, asked: Span, kind: str = "candles", timeframe: str = "1m") -> Fetched:
        """One run."""
        config = self._venue.config
        series = Series(kind, config.venue, self._venue.symbol, timeframe if kind == "candles" else "")
        async with History(config, share=SPEED) as history:
            store = HistoryStore(self._place)
            return await fetch(series, asked, history, store, lambda _done, _out: None)

    def ask(self, sql: str) -> list[str]:
        """A query; its lines."""
        return self._place.query(sql, "TSV").splitlines()


@pytest.mark.parametrize("name", ["BINANCE", "KRAKENFUTURES"])
def test_what_is_in_the_archive_is_not_asked_for_again(name: str, tmp_path: Path) -> None:
    async def go() -> None:
        async with venue(name) as place:
            archive = Archive(tmp_path, place)
            end = place.running.servers[name].now_ns() // 1_000_000 // HOUR * HOUR
            first = await archive.fetch(Span(end - 40 * HOUR, end - 30 * HOUR))
            assert (first.rows, first.missing, first.requests) == (600, [], 3)  # markets, time, one page
            again = await archive.fetch(Span(end - 40 * HOUR, end - 30 * HOUR))
            assert (again.rows, again.requests) == (0, 0)
            hole = await archive.fetch(Span(end - 20 * HOUR, end - 10 * HOUR))
            whole = await archive.fetch(Span(end - 45 * HOUR, end - 5 * HOUR))
            assert (hole.rows, whole.rows, whole.requests) == (600, 1_200, 5)  # three holes, a page each
            assert archive.ask("SELECT count(), uniqExact(ts) FROM candles") == ["2400\t2400"]
            trades = await archive.fetch(Span(end - 2 * HOUR, end - HOUR), "trades")
            ids = ids_of(name, past_of(place), Span(end - 2 * HOUR, end - HOUR))
            assert trades.rows == len(ids)
            assert archive.ask("SELECT trade_id FROM history_trades ORDER BY length(trade_id), trade_id") == ids
            assert (await archive.fetch(Span(end - 2 * HOUR, end - HOUR), "trades")).requests == 0

    asyncio.run(go())


@pytest.mark.parametrize("dies_at", range(6) if LONG else (1, 2))
def test_a_death_at_any_insert_costs_requests_and_never_a_row(tmp_path: Path, dies_at: int) -> None:
    """Of six inserts, rows and range of three flushes: whichever is not answered, done (even numbers) or not, the next run ends whole."""

    async def go() -> None:
        async with venue("BINANCE") as place:
            archive = Archive(tmp_path, place)
            end = place.running.servers["BINANCE"].now_ns() // 1_000_000 // HOUR * HOUR
            asked, insert, inserts = Span(end - 40 * HOUR, end), Place.insert, iter(range(100))

            def dying(self: Place, table: str, rows: Any, token: str) -> None:
                number = next(inserts)
                if number != dies_at or number % 2 == 0:
                    insert(self, table, rows, token)
                if number == dies_at:
                    raise KeyboardInterrupt

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr("adapters.clickhouse.fetch.MOST_ROWS", 1)
                patched.setattr(Place, "insert", dying)
                with pytest.raises(KeyboardInterrupt):
                    await archive.fetch(asked)
            again = await archive.fetch(asked)
            assert again.missing == []
            assert archive.ask("SELECT count(), uniqExact(ts) FROM candles") == ["2400\t2400"]
            assert (await archive.fetch(asked)).requests == 0

    asyncio.run(go())


def test_a_day_has_its_candles_of_every_timeframe(tmp_path: Path) -> None:
    async def go() -> None:
        async with venue("OKX") as place:
            archive = Archive(tmp_path, place)
            day = 24 * HOUR
            end = place.running.servers["OKX"].now_ns() // 1_000_000 // day * day
            for timeframe in ("1d", "4h", "1h", "15m"):
                await archive.fetch(Span(end - 2 * day, end), timeframe=timeframe)
            sql = "SELECT timeframe, toDate(ts) AS day, count() FROM candles GROUP BY ALL ORDER BY count()"
            rows = [row.split("\t") for row in archive.ask(sql)]
            assert [(row[0], int(row[2])) for row in rows] == [
                *2 * [("1d", 1)],
                *2 * [("4h", 6)],
                *2 * [("1h", 24)],
                *2 * [("15m", 96)],
            ]

    asyncio.run(go())


@pytest.mark.parametrize("fault", ["http_429", "http_503", "http_502"])
def test_a_passing_refusal_is_waited_out(fault: str) -> None:
    async def go() -> None:
        async with venue("OKX") as place, History(place.config, share=SPEED) as history:
            end = await history.settled_ms() // HOUR * HOUR
            before = history.requests
            await place.fault(fault, count=1)
            span = Span(end - 2 * HOUR, end)
            rows = [row async for page in history.candles(place.symbol, "1m", span) for row in page.rows]
            assert len(rows) == 120
            assert history.requests == before + 3  # the refused one, the markets, the page

    asyncio.run(go())


def test_a_venue_that_stays_away_is_a_fault_that_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.ccxt.past.history.TRIES", 2)

    async def go() -> None:
        async with venue("KRAKEN") as place, History(place.config, share=SPEED) as history:
            await place.fault("http_503", count=50)
            with pytest.raises(HistoryFault) as fault:
                await history.settled_ms()
            assert fault.value.retryable

    asyncio.run(go())


def test_what_has_settled_is_said_by_the_venues_clock() -> None:
    async def go() -> None:
        async with venue("BYBIT") as place, History(place.config, share=SPEED) as history:
            server = place.running.servers["BYBIT"]
            now_ms = server.now_ns() // 1_000_000
            async with place_skewed(place, -600_000):
                settled = await history.settled_ms()
            assert now_ms - 660_000 < settled < now_ms - 590_000

    asyncio.run(go())


@contextlib.asynccontextmanager
async def place_skewed(place: Venue, ms: int) -> AsyncIterator[None]:
    """The venue's clock wrong for a while."""
    server = place.running.servers[place.config.venue]
    server.disturb(FaultOrder(fault=Fault.CLOCK_SKEW, ms=ms))
    yield
    server.disturb(FaultOrder(fault=Fault.CLOCK_SKEW, ms=0))


def test_an_instrument_or_an_exchange_that_is_not_known_is_refused() -> None:
    with pytest.raises(HistoryRefused, match="how to page through the past of BITGET is not known"):
        History(ExchangeConfig(venue="BITGET", exchange="bitget", symbols=("BTC/USDT",)))

    async def go() -> None:
        async with venue("BINANCE") as place, History(place.config, share=SPEED) as history:
            with pytest.raises(HistoryRefused, match="does not list NO/SUCH"):
                [page async for page in history.candles("NO/SUCH", "1m", Span(0, HOUR))]
            with pytest.raises(HistoryRefused, match="no candles of 7m"):
                [page async for page in history.candles(place.symbol, "7m", Span(0, HOUR))]

    asyncio.run(go())


def test_share_slows_requests_down_to_its_part_of_the_venues_limit() -> None:
    async def go() -> None:
        async with venue("KRAKEN") as place, History(place.config, share=2.0) as history:
            began = time.monotonic()
            for _ in range(3):
                await history.ask("public_get_ohlc", {"pair": "XBTUSDT", "interval": "1"})
            assert (
                time.monotonic() - began > 0.9 * 2 * 1.2 / 2.0
            )  # Kraken: 1.2 of a request each second, the first at once

    asyncio.run(go())
