"""The demo's settings fit any coin: sizes by value, decimals that int64 can sum, an LP that trades what is listed."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from sim.demo.settings import instrument_sizes
from sim.servers.venues import lp_params

COINS = [
    ("BTC/USDT", "61837.63", "0.01"),
    ("ETH/USDT", "2683.8", "0.01"),
    ("XRP/USDT", "0.5821", "0.0001"),
    ("DOGE/USDT", "0.10123", "0.00001"),
    ("PEPE/USDT", "0.00001411", "0.00000001"),
    ("ODD/USDT", "154.593075", "0.000001"),
]


@pytest.mark.parametrize(("symbol", "price", "tick"), COINS)
def test_ten_times_the_largest_size_can_be_summed_exactly(symbol: str, price: str, tick: str) -> None:
    sizing = instrument_sizes(symbol, Decimal(price))
    decimals = sizing.book_size_decimals(Decimal(price), Decimal(tick))
    ticks, lots = Decimal(price) / Decimal(tick), sizing.largest * 10
    assert ticks * lots.scaleb(decimals) * 4 < 2**62
    assert sizing.soft < sizing.hard <= sizing.limit


@pytest.mark.parametrize(("symbol", "price", "tick"), COINS)
def test_the_lp_trades_whatever_is_listed_in_its_finest_tick(symbol: str, price: str, tick: str) -> None:
    params = lp_params({symbol: (Decimal(tick), Decimal(price))})
    assert len(params.rungs[symbol]) == 5
    assert params.price_step <= Decimal(tick)


def test_sizes_finer_than_the_book_are_rounded_down_never_up() -> None:
    terms = VenueTerms(
        venue="V",
        taker_fee_bps=Decimal(0),
        tick=Decimal("0.01"),
        lot=Decimal("0.00000001"),
        price_decimals=2,
        size_decimals=8,
        max_age_ns=10**9,
    )
    book = ConsolidatedBook("PEPE/USDT", Scale("PEPE/USDT", 2, 3), [terms])
    levels = np.array([[1, 100, 123_456_789], [1, 99, 99_999], [-1, 101, 200_000]], dtype=np.int64)
    book.apply("V", levels, True, 1)
    bids, asks = book.levels("V", 5)
    assert bids == [(Decimal("1.00"), Decimal("1.234"))]  # 0.00099999 is less than a lot of the book: not there
    assert asks == [(Decimal("1.01"), Decimal("0.002"))]
