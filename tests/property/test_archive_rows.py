"""Book levels and engine ticks reach the archive's decimals exactly."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model.data import QuoteTick, TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import InstrumentId, TradeId
from nautilus_trader.model.objects import Price, Quantity

from adapters.clickhouse.rows import BookMessage, md_deltas, md_quotes, md_trades, message_rows
from adapters.nautilus.book import BookKind

levels = st.lists(
    st.tuples(st.sampled_from([1, -1]), st.integers(0, 10**15), st.integers(0, 10**15)), min_size=0, max_size=6
)
messages = st.lists(
    st.tuples(levels, st.sampled_from(list(BookKind)), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=6
)


@settings(max_examples=60, deadline=None)
@given(messages)
def test_levels_are_exact_and_counted(drawn: list[tuple[list[tuple[int, int, int]], BookKind, int, int]]) -> None:
    book = [
        BookMessage(f"X{n % 2}", n, n + 1, n, kind, np.array(rows, dtype=np.int64).reshape(-1, 3), prices, sizes)
        for n, (rows, kind, prices, sizes) in enumerate(drawn)
    ]
    expected = []
    for one in book:
        rows = one.levels.tolist() or ([[0, 0, 0]] if one.kind is not BookKind.UPDATE else [])
        assert message_rows(one.levels, one.kind) == len(rows)
        expected += [
            (
                one.instrument_id,
                one.seq,
                i,
                one.kind.value,
                side,
                Decimal(price).scaleb(-one.price_precision),
                Decimal(size).scaleb(-one.size_precision),
            )
            for i, (side, price, size) in enumerate(rows)
        ]
    found = [
        (row["instrument_id"], row["seq"], row["i"], row["kind"], row["side"], row["price"], row["size"])
        for row in md_deltas(book).to_pylist()
    ]
    assert found == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 10**12), st.integers(0, 10**12)), min_size=1, max_size=5))
def test_ticks_are_exact(drawn: list[tuple[int, int]]) -> None:
    iid = InstrumentId.from_str("BTC/USDT.BINANCE")
    pairs = [
        (Price.from_str(str(Decimal(price).scaleb(-4))), Quantity.from_str(str(Decimal(size).scaleb(-6))))
        for price, size in drawn
    ]
    trades = [
        TradeTick(iid, price, Quantity(1, 0), AggressorSide.SELLER, TradeId(str(n)), n, n + 5)
        for n, (price, _) in enumerate(pairs)
    ]
    assert [(row["price"], row["side"], row["trade_id"]) for row in md_trades(trades).to_pylist()] == [
        (price.as_decimal(), "sell", str(n)) for n, (price, _) in enumerate(pairs)
    ]
    quotes = [QuoteTick(iid, price, price, size, size, n, n) for n, (price, size) in enumerate(pairs)]
    assert [(row["bid_price"], row["ask_size"]) for row in md_quotes(quotes).to_pylist()] == [
        (price.as_decimal(), size.as_decimal()) for price, size in pairs
    ]
