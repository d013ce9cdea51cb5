"""What an order pays that rests: from the configuration, else from the venue's list, and where it is used."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nautilus_trader.model.identifiers import InstrumentId

from adapters.ccxt.symbols import market_of
from desk.config.model import VenueSection
from desk.market import Market, MarketActor
from desk.tca.sight import decision_of
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from router.orders import ChildOrder
from tests.conformance.router_rig import SYMBOL, Rig

D = Decimal
ROW: dict[str, Any] = {
    "symbol": SYMBOL, "id": "BTCUSDT", "base": "BTC", "quote": "USDT", "precision": {"price": 0.01, "amount": 0.00001},
    "limits": {"amount": {}, "cost": {}}, "taker": 0.001, "maker": 0.0004,
}  # fmt: skip


def market(maker: Decimal | None, taker: str = "10") -> Market:
    terms = VenueTerms(
        venue="KRAKEN", taker_fee_bps=D(taker), maker_fee_bps=maker, tick=D("0.01"), lot=D("0.00001"),
        price_decimals=2, size_decimals=8, max_age_ns=10**18,
    )  # fmt: skip
    return Market([ConsolidatedBook(SYMBOL, Scale(SYMBOL, 2, 8), [terms])])


@pytest.mark.parametrize(
    ("configured", "taker", "resting"),
    [
        (D("1.5"), "10", D("1.5")),
        (D("-0.5"), "10", D("-0.5")),  # a rebate
        (None, "10", D(4)),  # the list's
        (None, "3", D(3)),  # an account that takes for less than the list's maker
    ],
)
def test_the_configuration_comes_before_the_list(configured: Decimal | None, taker: str, resting: Decimal) -> None:
    known = market(configured, taker)
    assert known.books[SYMBOL].terms("KRAKEN").resting_fee_bps == (D(taker) if configured is None else configured)
    rig = Rig({"KRAKEN": ([("59999.00", "1")], [("60000.00", "1")])})  # which lists 4 bps
    rig.engine.add_actor(MarketActor(known, [(SYMBOL, "KRAKEN")]))
    rig.run(1_000)
    assert known.books[SYMBOL].best("KRAKEN") == (D("59999.00"), D("60000.00"))
    assert known.books[SYMBOL].terms("KRAKEN").resting_fee_bps == resting
    assert known.books[SYMBOL].terms("KRAKEN").taker_fee_bps == D(taker)


def test_what_the_account_pays_replaces_what_was_assumed_where_the_configuration_is_silent() -> None:
    known = market(None, "10")
    rig = Rig({"KRAKEN": ([("59999.00", "1")], [("60000.00", "1")])})
    instrument = rig.engine.cache.instrument(InstrumentId.from_str(f"{SYMBOL}.KRAKEN"))
    rig.engine.add_actor(MarketActor(known, [(SYMBOL, "KRAKEN")], own_fees=frozenset({"KRAKEN"})))
    rig.run(1_000)
    paid = known.books[SYMBOL].terms("KRAKEN").taker_fee_bps
    assert paid == instrument.taker_fee * 10_000 != 10
    _, (row, *_) = known.books[SYMBOL].ladder(1, 1_000_000_000)
    assert row.all_in == row.price * (1 + paid / 10_000)


def test_what_rests_is_held_against_the_makers_fee_and_what_takes_against_the_takers() -> None:
    known = market(D(1))
    child = ChildOrder(
        child_id="c", parent_id="p", venue="KRAKEN", symbol=SYMBOL, side="buy", quantity=D(1), limit_price=D(60_000)
    )
    assert decision_of(known, child, None, 0, 1).fee_bps == 10
    assert decision_of(known, msgspec.structs.replace(child, resting=True), None, 0, 1).fee_bps == 1


def test_list_prices_and_the_accounts_own() -> None:
    assert (market_of(ROW).taker_fee, market_of(ROW).maker_fee) == (D("0.001"), D("0.0004"))
    assert market_of(ROW, taker=D("0.0002")).maker_fee == D("0.0002")
    assert market_of(ROW, taker=D("0.0009")).maker_fee == D("0.0004")
    assert market_of(ROW, maker=D("-0.0001")).maker_fee == D("-0.0001")
    assert market_of({**ROW, "maker": None}).maker_fee == D("0.001")


def test_a_senseless_fee_is_refused() -> None:
    with pytest.raises(ValueError, match="maker_fee_bps"):
        VenueSection(venue="KRAKEN", exchange="kraken", maker_fee_bps=D(1000))
