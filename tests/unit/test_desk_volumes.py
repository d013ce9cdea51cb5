"""The day's volume out of the archive: rows of an embedded database as a router's VWAP takes them."""

from __future__ import annotations

import pytest

from adapters.clickhouse import client
from adapters.clickhouse.migrate import migrate
from adapters.clickhouse.place import Place
from desk.volumes import recall_volumes

S = 1_000_000_000
DAY = 86_400
TODAY = 20_000 * DAY  # a midnight, s


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two venues, two days of four watched hours: one base every 100 s at A, and three more at B in the second hour."""
    dsn = f"chdb://{tmp_path_factory.mktemp('volumes') / 'archive'}"
    opened = client.open_client(dsn)
    migrate(opened)
    trades = []
    for day in (TODAY - 2 * DAY, TODAY - DAY):
        for second in range(0, 4 * 3_600, 100):
            trades.append(("BTC/USDT.A", day + second, 1))
            if 3_600 <= second < 7_200:
                trades.append(("BTC/USDT.B", day + second, 3))
    trades += [("BTC/USDT.A", TODAY - 90 * DAY + second, 1_000) for second in range(0, 7_200, 100)]  # too long ago
    trades += [("BTC/USDT.A", TODAY + second, 1_000) for second in range(0, 7_200, 100)]  # after the start
    trades += [("BTC/USDTX.A", TODAY - DAY + second, 1_000) for second in range(0, 7_200, 100)]  # another instrument
    rows = ", ".join(
        f"('{name}', fromUnixTimestamp64Nano({at * S}), fromUnixTimestamp64Nano({at * S}), '{n}', 'buy', 100, {size})"
        for n, (name, at, size) in enumerate(trades)
    )
    opened.command(f"INSERT INTO md_trades VALUES {rows}")
    opened.close()
    return Place(dsn, None)


def test_the_profile_is_the_mean_of_the_days_over_all_venues(archive: Place) -> None:
    found = recall_volumes(lambda sql: archive.query(sql, "JSONEachRow"), ["BTC/USDT", "ETH/USDT"], TODAY * S)
    assert list(found) == ["BTC/USDT"]
    volume = found["BTC/USDT"].volume
    assert len(volume) == 288
    assert volume[1:12] == (3.0,) * 11
    assert volume[12:24] == (12.0,) * 12
    assert volume[24:47] == (3.0,) * 23
    mean = (11 * 3 + 12 * 12 + 23 * 3) / 46
    assert {round(part, 9) for part in (volume[0], *volume[47:])} == {round(mean, 9)}  # never watched whole


def test_fetched_candles_are_the_profile_where_they_are_more_than_was_heard(archive: Place) -> None:
    """Two venues were fetched; the one with more of the days counts, by the timeframe that has more of them, with its quiet stretches."""
    opened = client.open_client(archive.dsn)
    days, minutes = (TODAY - 3 * DAY, TODAY - 2 * DAY), range(0, DAY, 60)
    rows = [("A", "1m", day + second, 2 if second < DAY // 2 else 0) for day in days for second in minutes]
    rows += [("B", "1m", TODAY - DAY + second, 1_000) for second in minutes]  # less of the days
    rows += [("A", "5m", TODAY - DAY + second, 1_000) for second in range(0, DAY, 300)]
    rows += [("A", "1m", TODAY - 60 * DAY + second, 1_000) for second in minutes]  # too long ago
    values = ", ".join(
        f"('{venue}', 'BTC/USDT', '{timeframe}', fromUnixTimestamp64Nano({at * S}), 1, 1, 1, 1, {volume}, now())"
        for venue, timeframe, at, volume in rows
    )
    opened.command(f"INSERT INTO candles VALUES {values}")
    opened.close()
    found = recall_volumes(lambda sql: archive.query(sql, "JSONEachRow"), ["BTC/USDT"], TODAY * S)
    assert found["BTC/USDT"].volume == (10.0,) * 144 + (0.0,) * 144


def test_an_archive_without_trades_gives_none(archive: Place) -> None:
    assert recall_volumes(lambda sql: archive.query(sql, "JSONEachRow"), ["ETH/USDT"], TODAY * S) == {}
