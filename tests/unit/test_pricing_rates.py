"""Rates: read from books that trade the currencies, never from names; told with their source; refused when old or off a peg."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.rates import NoRate, NoRateReason, Rate, Rates, RateSide
from pricing.scale import Scale

NOW = 10_000_000_000
SECOND = 1_000_000_000


def book(
    symbol: str, bid: str, ask: str, *, fee_bps: str = "0", at_ns: int = NOW, venue: str = "V"
) -> ConsolidatedBook:
    terms = VenueTerms(
        venue=venue,
        taker_fee_bps=Decimal(fee_bps),
        tick=Decimal("0.0001"),
        lot=Decimal("0.01"),
        price_decimals=4,
        size_decimals=2,
        max_age_ns=60 * SECOND,
    )
    made = ConsolidatedBook(symbol, Scale(symbol, 4, 2), [terms])
    rows = [[1, int(Decimal(bid) * 10_000), 100], [-1, int(Decimal(ask) * 10_000), 100]]
    made.apply(venue, np.array(rows, dtype=np.int64), True, at_ns)
    return made


def rates(*books: ConsolidatedBook, pegs: dict[str, Decimal] | None = None) -> Rates:
    return Rates({item.symbol: item for item in books}, max_age_ns=5 * SECOND, pegs=pegs)


def found(answer: Rate | NoRate) -> Rate:
    assert isinstance(answer, Rate), answer
    return answer


def refused(answer: Rate | NoRate) -> NoRate:
    assert isinstance(answer, NoRate), answer
    return answer


def test_currencies_that_look_alike_are_not_equal() -> None:
    known = rates(book("BTC/USDT", "60000", "60001"))
    for other in ("USD", "USDC"):
        answer = refused(known.rate("USDT", other, RateSide.FAIR, NOW))
        assert answer.reason is NoRateReason.NO_WAY and other in answer.message


def test_a_rate_has_the_side_that_it_is_for_and_names_its_book() -> None:
    known = rates(book("EUR/USDT", "1.0900", "1.0910", fee_bps="10"))
    sell, buy = (found(known.rate("EUR", "USDT", side, NOW)) for side in (RateSide.SELL, RateSide.BUY))
    assert sell.value == Decimal("1.0900") * Decimal("0.999") and buy.value == Decimal("1.0910") * Decimal("1.001")
    back = found(known.rate("USDT", "EUR", RateSide.SELL, NOW))
    assert back.value == 1 / buy.value  # selling USDT is buying EUR
    assert found(known.rate("USDT", "EUR", RateSide.BUY, NOW)).value == 1 / sell.value
    assert sell.source == "EUR/USDT (V, bid, 0 ms)" and back.legs[0].side == "ask"
    assert found(known.rate("EUR", "EUR", RateSide.FAIR, NOW)).value == 1


def test_the_cheapest_way_wins_whatever_its_length() -> None:
    wide = book("BTC/EUR", "50000", "60000")
    tight = (book("BTC/USDT", "60000", "60010"), book("EUR/USDT", "1.0900", "1.0901"))
    known = rates(wide, *tight)
    sell = found(known.rate("BTC", "EUR", RateSide.SELL, NOW))
    assert [leg.symbol for leg in sell.legs] == ["BTC/USDT", "EUR/USDT"]
    assert sell.value == (Decimal(60_000) / Decimal("1.0901")).quantize(Decimal("1e-12"))
    fair = found(known.rate("BTC", "EUR", RateSide.FAIR, NOW))
    assert len(fair.legs) == 2 and fair.loss_bps < 2
    assert found(rates(wide).rate("BTC", "EUR", RateSide.SELL, NOW)).value == 50_000


def test_no_way_is_longer_than_three_books() -> None:
    chain = [book(f"{a}/{b}", "2", "2.0001") for a, b in ("AB", "BC", "CD", "DE")]
    known = rates(*chain)
    assert found(known.rate("A", "D", RateSide.FAIR, NOW)).value == pytest.approx(Decimal(8), rel=Decimal("0.001"))
    assert refused(known.rate("A", "E", RateSide.FAIR, NOW)).reason is NoRateReason.NO_WAY


def test_an_old_book_is_no_rate() -> None:
    known = rates(book("EUR/USDT", "1.0900", "1.0910", at_ns=NOW - 6 * SECOND))
    answer = refused(known.rate("EUR", "USDT", RateSide.FAIR, NOW))
    assert answer.reason is NoRateReason.TOO_OLD and "EUR/USDT" in answer.message
    assert known.marks("USDT", NOW) == {"USDT": 1}


def test_a_broken_peg_stops_every_way_through_the_coin_and_so_does_one_that_cannot_be_seen() -> None:
    pegs = {"USDC/USDT": Decimal(30)}
    btc = book("BTC/USDC", "60000", "60010")
    held = rates(btc, book("USDC/USDT", "0.9990", "0.9992"), pegs=pegs)
    assert found(held.rate("BTC", "USDT", RateSide.SELL, NOW)).value == Decimal("59940")
    lost = rates(btc, book("USDC/USDT", "0.9500", "0.9502"), pegs=pegs)
    answer = refused(lost.rate("BTC", "USDT", RateSide.SELL, NOW))
    assert answer.reason is NoRateReason.DEPEG and "499.0 bps" in answer.message
    assert lost.marks("USDT", NOW)["BTC"] == Decimal("60005") * Decimal("0.9501")  # a loss is a loss
    unseen = book("USDC/USDT", "0.9990", "0.9992")
    unseen.clear("V", "gap", NOW)
    blind = rates(btc, unseen, pegs=pegs)
    assert blind.broken_peg({"BTC", "USDC"}, NOW) is not None
    assert blind.broken_peg({"BTC", "EUR"}, NOW) is None
    with pytest.raises(ValueError, match="no book of USDC/USDT"):
        rates(btc, pegs=pegs)


def test_marks_over_books_without_a_cycle_are_the_fair_rates_that_were_weighed() -> None:
    tree = rates(book("EUR/USD", "1.09", "1.11"), book("BTC/USD", "59000", "61000"), book("ETH/BTC", "0.05", "0.06"))
    round_ = rates(
        book("EUR/USD", "1.09", "1.11"), book("BTC/USD", "59000", "61000"), book("BTC/EUR", "50000", "60000")
    )
    for made in (tree, round_):
        marks = made.marks("USD", NOW)
        assert set(marks) == set(made.currencies)
        for currency, mark in marks.items():
            rate = found(made.rate(currency, "USD", RateSide.FAIR, NOW))
            assert abs(mark - rate.value) < Decimal("1e-9")
            assert all(leg.symbol != "BTC/EUR" for leg in rate.legs), "the wide book is the dearer way"
    assert tree.marks("USD", NOW + 6 * SECOND) == {"USD": Decimal(1)}, "what is too old marks nothing"
