"""Postings, amounts and the P&L split: exact, and each part what its formula says."""

from __future__ import annotations

from decimal import Decimal

import pytest

from desk.ledger.book import Posting, Totals, fill_postings, from_atto, from_limbs, to_atto, to_limbs, trade_postings
from desk.ledger.pnl import Pnl
from tests.oracles import ledger_records as make


@pytest.mark.parametrize(
    "text", ["0", "1", "-1", "0.000000000000000001", "-0.1", "-123456789012345678901.5", "90018.51"]
)
def test_an_amount_survives_atto_and_limbs(text: str) -> None:
    atto = to_atto(Decimal(text))
    units, nano, low = to_limbs(atto)
    assert 0 <= nano < 10**9
    assert 0 <= low < 10**9
    assert from_limbs(units, nano, low) == atto
    assert from_atto(atto) == Decimal(text)
    assert format(from_atto(atto), "f") == text


def test_what_is_no_number_is_not_booked() -> None:
    for text in ("NaN", "Infinity"):
        with pytest.raises(ValueError, match="cannot be booked"):
            to_atto(Decimal(text))


def test_a_client_buy_moves_base_to_the_client_and_cash_to_the_desk() -> None:
    assert trade_postings(make.trade(1)) == [
        Posting("client:acme", "BTC", to_atto(Decimal("0.25"))),
        Posting("desk:inventory", "BTC", to_atto(Decimal("-0.25"))),
        Posting("client:acme", "USDT", to_atto(Decimal("-15000.125"))),
        Posting("desk:inventory", "USDT", to_atto(Decimal("15000.125"))),
    ]


def test_a_fee_in_base_currency_shortens_the_position() -> None:
    totals = Totals()
    totals.apply(fill_postings(make.fill(1, fee="0.001", currency="BTC")))
    assert totals.position("BTC") == Decimal("0.124")
    assert totals.positions() == {"BTC": Decimal("0.124"), "USDT": Decimal("-7500.15625")}
    assert totals.balances()["desk:fees"] == {"BTC": Decimal("-0.001")}
    assert totals.imbalance() == {"BTC": 0, "USDT": 0}


def test_pnl_parts_of_one_trade_and_its_hedge() -> None:
    pnl = Pnl()
    pnl.trade(make.trade(1))  # sold 0.25 at 60000.5, fair 60000, 0.1 of it skew
    pnl.fill(make.fill(1), Decimal("60000"))  # bought 0.125 at 60001.25, fee 1.5
    split = pnl.split({"BTC": Decimal("60010")})
    assert split.spread == Decimal("0.125")
    assert split.skew == Decimal("0.025")
    assert split.hedge == Decimal("-0.15625")
    assert split.inventory == Decimal("-1.25")  # still short 0.125 from 60000
    assert split.fees == Decimal("-1.5")
    assert split.total == Decimal("-2.78125")
    assert split.unmarked == ()


def test_pnl_takes_symbol_marks_through_their_quote_currency() -> None:
    pnl = Pnl()
    pnl.trade(make.trade(1))
    assert pnl.split({"BTC/USDT": Decimal("60010")}) == pnl.split({"BTC": Decimal("60010")})
    usd = Pnl("USD")
    usd.trade(make.trade(1))
    crossed = usd.split({"BTC/USDT": Decimal("60010"), "USDT": Decimal("0.5")})
    assert crossed.total == pnl.split({"BTC": Decimal("60010")}).total / 2


def test_pnl_names_what_it_cannot_value() -> None:
    pnl = Pnl()
    pnl.trade(make.trade(1))
    pnl.fill(make.fill(1, fee="0.01", currency="BNB"), None)
    split = pnl.split({})
    assert split.unmarked == ("BNB", "BTC")
    assert split.inventory == 0
    assert split.total == split.spread
