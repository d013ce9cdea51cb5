"""What the engine is told of a book's change is what the link said, price for price, in the engine's own words."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from nautilus_trader.model.data import BookOrder, OrderBookDelta
from nautilus_trader.model.enums import BookAction, OrderSide, RecordFlag
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price, Quantity

from adapters.ccxt.events import BookEvent, BookEventKind
from adapters.ccxt.instruments import Scale
from adapters.ccxt.market.data import book_deltas
from adapters.ccxt.symbols import Market
from adapters.nautilus.book import BookKind, levels_of

BTC = InstrumentId.from_str("BTC/USDT.BINANCE")
MARKET = Market(
    symbol="BTC/USDT", market_id="BTCUSDT", base="BTC", quote="USDT", tick=Decimal("0.01"), lot=Decimal("0.00001"),
    price_decimals=2, size_decimals=5, min_quantity=None, max_quantity=None, min_notional=None,
    taker_fee=Decimal(0), maker_fee=Decimal(0),
)  # fmt: skip
ROWS = [[1, 6000001, 150000], [1, 5999999, 0], [-1, 6000002, 1], [-1, 99_999_999_999, 900_000_000_000]]


def told(kind: BookEventKind, rows: list[list[int]], reason: str = "") -> BookEvent:
    levels = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return BookEvent(symbol="BTC/USDT", kind=kind, levels=levels, sequence=7, ts_event_ns=11, reason=reason)


@pytest.mark.parametrize("kind", [BookEventKind.UPDATE, BookEventKind.SNAPSHOT])
def test_levels_become_the_engines_deltas(kind: BookEventKind) -> None:
    snapshot = 0 if kind is BookEventKind.UPDATE else RecordFlag.F_SNAPSHOT
    expected = [] if kind is BookEventKind.UPDATE else [OrderBookDelta.clear(BTC, 7, 11, 13)]
    for row, (side, ticks, lots) in enumerate(ROWS):
        action = BookAction.UPDATE if kind is BookEventKind.UPDATE else BookAction.ADD
        order = BookOrder(
            OrderSide.BUY if side == 1 else OrderSide.SELL,
            Price.from_str(f"{Decimal(ticks).scaleb(-2):.2f}"),
            Quantity.from_str(f"{Decimal(lots).scaleb(-5):.5f}"),
            0,
        )
        flags = snapshot | (RecordFlag.F_LAST if row == 3 else 0)
        expected.append(OrderBookDelta(BTC, action if lots else BookAction.DELETE, order, flags, 7, 11, 13))
    made = book_deltas(told(kind, ROWS), BTC, Scale(MARKET), 13)
    assert [OrderBookDelta.to_dict(delta) for delta in made.deltas] == [OrderBookDelta.to_dict(d) for d in expected]
    assert made.kind is BookKind(str(kind))
    assert made.levels.tolist() == ROWS


def test_a_clear_is_told_with_its_reason() -> None:
    made = book_deltas(told(BookEventKind.CLEAR, [], "gap"), BTC, Scale(MARKET), 13)
    assert (made.kind, made.reason, len(made.deltas)) == (BookKind.CLEAR, "gap", 1)
    assert made.deltas[0].is_clear
    assert made.flags == RecordFlag.F_SNAPSHOT | RecordFlag.F_LAST
    assert levels_of(made, 2, 5)[1] is BookKind.CLEAR
