"""Candles from trades: the same rows as ccxt builds from them, and nothing that was not heard whole."""

from __future__ import annotations

import ccxt
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import InstrumentId, TradeId
from nautilus_trader.model.objects import Price, Quantity

from desk.api.candles import MINUTE_NS, TIMEFRAMES, Candles

START_NS = 1_700_006_400_000_000_000  # the first moment of a day


def tick(at_ns: int, cents: int, lots: int) -> TradeTick:
    return TradeTick(
        InstrumentId.from_str("BTC/USDT.BINANCE"),
        Price.from_str(f"{cents / 100:.2f}"),
        Quantity.from_str(f"{lots / 1000:.3f}"),
        AggressorSide.BUYER,
        TradeId("1"),
        at_ns,
        at_ns,
    )


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 9999), st.integers(1, 500)), min_size=2, max_size=60),
    timeframe=st.sampled_from(sorted(TIMEFRAMES)),
)
def test_candles_are_those_that_ccxt_builds(steps: list[tuple[int, int, int]], timeframe: str) -> None:
    candles, trades, at_ns = Candles(), [], START_NS
    candles.hear(tick(START_NS - MINUTE_NS, 100, 1))  # so that the first minute of the test is whole
    for seconds, cents, lots in steps:
        at_ns += seconds * 1_000_000_000
        candles.hear(tick(at_ns, cents, lots))
        trades.append({"timestamp": at_ns // 1_000_000, "price": cents / 100, "amount": lots / 1000})
    expected = ccxt.Exchange().build_ohlcvc(trades, timeframe)
    rows = [row for row in candles.rows(timeframe, 2_000) if row[0] * 1_000_000 >= START_NS]
    assert [row[0] for row in rows] == [row[0] for row in expected]
    for row, want in zip(rows, expected, strict=True):
        assert [float(value) for value in row[1:5]] == want[1:5]
        assert abs(float(row[5]) - want[5]) < 1e-9


def test_what_was_not_heard_from_its_beginning_is_told_while_it_lasts_and_never_afterwards() -> None:
    candles = Candles()
    candles.hear(tick(START_NS + 30_000_000_000, 100, 1))
    assert [row[0] for row in candles.rows("1m", 9)] == [START_NS // 1_000_000]
    candles.hear(tick(START_NS + MINUTE_NS, 200, 1))
    assert [row[1] for row in candles.rows("1m", 9)] == ["2"]
    assert [row[1] for row in candles.rows("1h", 9)] == ["1"]
    for hour in (1, 2):
        candles.hear(tick(START_NS + hour * 60 * MINUTE_NS, 300, 1))
    assert [row[0] // 3_600_000 for row in candles.rows("1h", 9)] == [START_NS // (60 * MINUTE_NS) + n for n in (1, 2)]


def test_a_late_trade_counts_where_it_belongs_and_opens_nothing() -> None:
    candles = Candles()
    for at_s, cents in ((-60, 1), (0, 500), (60, 600), (30, 900)):
        candles.hear(tick(START_NS + at_s * 1_000_000_000, cents, 1))
    assert candles.rows("1m", 2) == [
        (START_NS // 1_000_000, "5", "9", "5", "5", "0.002"),
        (START_NS // 1_000_000 + 60_000, "6", "6", "6", "6", "0.001"),
    ]
    candles.hear(tick(START_NS - 10 * MINUTE_NS, 1, 1))
    assert len(candles.rows("1m", 9)) == 2
