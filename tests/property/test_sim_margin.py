"""The margin core under arbitrary orders, marks and settlements: wallet and positions are what executions made, a restart knows both."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.ccxt.contracts import Contract
from sim.events import ASK, BID, EventKind, VenueEvent, rows
from sim.instruments import VenueInstrument, binanceusdm_instrument
from sim.servers.funding import CAP, DAMPING, INTEREST, FundingRate, premium
from sim.servers.margin import AUTOCLOSE, BRACKETS, MarginCore, bracket_of
from sim.servers.matching import FeeIn
from sim.servers.records import OrderRequest, OrderStatus, Refusal, RefusalKind, Tif

LINEAR = binanceusdm_instrument("BTC/USDT")
INVERSE = VenueInstrument(
    venue="TEST", symbol="BTC/USD:BTC", price_decimals=1, size_decimals=0, min_quantity=Decimal(1), min_notional=Decimal(0),
    taker_fee_bps=Decimal(5), maker_fee_bps=Decimal(2), contract=Contract(settle="BTC", size=Decimal(100), inverse=True),
)  # fmt: skip
MIDDLE = 600_000  # in ticks of 0.1
SYMBOL = LINEAR.symbol


def started(
    wallet: str = "100000", instrument: VenueInstrument = LINEAR, journal: Path | None = None, lots: int = 2_000
) -> MarginCore:
    """A core with ten levels on each side, a dollar apart."""
    opening = {instrument.settle: Decimal(wallet)}
    core = MarginCore("TEST", {instrument.symbol: instrument}, opening, fee_in=FeeIn.QUOTE, journal_path=journal)
    levels = [(side, MIDDLE - side * 10 * n, lots) for side in (BID, ASK) for n in range(1, 11)]
    core.apply(
        VenueEvent(kind=EventKind.SNAPSHOT, symbol=instrument.symbol, ts_event_ns=1, ts_init_ns=1, levels=rows(levels))
    )
    core.marks[instrument.symbol] = Decimal("60000")
    return core


def order(side: int, quantity: str, price: str | None = None, **terms: object) -> OrderRequest:
    limit = None if price is None else Decimal(price)
    return OrderRequest(symbol=SYMBOL, side=side, quantity=Decimal(quantity), price=limit, **terms)  # type: ignore[arg-type]


def wallet_adds_up(core: MarginCore, opening: Decimal, currency: str) -> bool:
    gained = sum((fill.realised - fill.fee for fill in core.fills), Decimal(0))
    return core.balances[currency] == opening + gained + sum((one.amount for one in core.payments), Decimal(0))


steps = st.lists(
    st.tuples(
        st.sampled_from(["order", "order", "order", "reduce", "mark", "fund", "rest"]),
        st.sampled_from([1, -1]),
        st.integers(1, 60),
    ),
    max_size=25,
)


@pytest.mark.parametrize("instrument", [LINEAR, INVERSE], ids=["linear", "inverse"])
@given(steps=steps)
@settings(max_examples=40, deadline=None)
def test_the_wallet_adds_up_positions_are_their_executions_and_a_restart_knows_both(instrument, steps):
    symbol, currency = instrument.symbol, instrument.settle
    opening = Decimal(1_000_000) if instrument is LINEAR else Decimal(20)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        core = started(str(opening), instrument, path, lots=200_000)
        for kind, side, size in steps:
            try:
                match kind:
                    case "mark":
                        core.marks[symbol] = Decimal(60_000) + side * size * 10
                    case "fund":
                        core.pay_funding({symbol: (Decimal(side * size).scaleb(-6), core.mark(symbol))})
                    case "rest":
                        price = Decimal(60_000) - side * (size + 20)
                        core.place(OrderRequest(symbol=symbol, side=side, quantity=Decimal(size), price=price))
                    case _:
                        request = OrderRequest(
                            symbol=symbol, side=side, quantity=Decimal(size), reduce_only=kind == "reduce"
                        )
                        before = core.holding(symbol).quantity
                        core.place(request)
                        if kind == "reduce":
                            after = core.holding(symbol).quantity
                            assert abs(after) < abs(before)
                            assert after * before >= 0
            except Refusal:
                pass
            assert wallet_adds_up(core, opening, currency)
            executed = sum((instrument.size(fill.size) * fill.side for fill in core.fills), Decimal(0))
            assert core.holding(symbol).quantity == executed
            position, orders = core.initial(symbol)
            assert position >= 0
            assert orders >= 0
        core.close()
        again = started(str(opening), instrument, path)
        assert again.balances == core.balances
        assert again.holding(symbol) == core.holding(symbol)
        assert [one.payment_id for one in again.payments] == [one.payment_id for one in core.payments]
        assert set(again.resting) == set(core.resting)
        again.close()


def test_margin_is_needed_for_the_worse_side_and_given_back():
    core = started("10000")
    core.place(order(1, "2", "59000", tif=Tif.GTC))  # 118,000 at twenty times
    assert core.initial(SYMBOL) == (0, Decimal(5_900))
    core.place(order(-1, "1", "61000", tif=Tif.GTC))  # the other side is covered by it
    assert core.initial(SYMBOL) == (0, Decimal(5_900))
    with pytest.raises(Refusal) as refused:
        core.place(order(1, "2", "59000", tif=Tif.GTC))
    assert refused.value.kind is RefusalKind.INSUFFICIENT_FUNDS
    core.cancel_all()
    assert core.free("USDT") == 10_000
    core.place(order(-1, "1"))
    position, rest = core.initial(SYMBOL)
    assert (position, rest) == (3_000, 0)
    closing = core.place(order(1, "1", "58000", tif=Tif.GTC))  # closes: nothing more is needed
    assert core.initial(SYMBOL) == (3_000, 0)
    assert closing.open


def test_leverage_is_bounded_by_the_brackets_and_by_what_is_free():
    core = started("1000000")
    with pytest.raises(Refusal) as refused:
        core.place(order(1, "1700", "59000", tif=Tif.GTC))  # 100.3 millions at twenty times
    assert refused.value.kind is RefusalKind.POSITION_LIMIT
    core.place(order(1, "10"))
    core.set_leverage(SYMBOL, 75)
    with pytest.raises(Refusal):
        core.set_leverage(SYMBOL, 126)
    core.balances["USDT"] = Decimal(20_000)
    with pytest.raises(Refusal):
        core.set_leverage(SYMBOL, 1)
    assert core.leverage(SYMBOL) == 75


def test_brackets_are_continuous():
    for lower, upper in pairwise(BRACKETS):
        edge = lower.cap
        assert edge * lower.rate - lower.deduction == edge * upper.rate - upper.deduction
    assert bracket_of(Decimal(299_999)) is BRACKETS[0]
    assert bracket_of(Decimal(10**12)) is BRACKETS[-1]


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("instrument", [LINEAR, INVERSE], ids=["linear", "inverse"])
def test_the_liquidation_price_is_where_equity_is_the_maintenance_margin(instrument, side):
    linear = instrument is LINEAR
    core = started("3000" if linear else "0.05", instrument, lots=10**9)
    symbol, currency = instrument.symbol, instrument.settle
    core.place(OrderRequest(symbol=symbol, side=side, quantity=Decimal("0.8" if linear else "480")))
    price = core.liquidation_price(symbol)
    assert (price < 60_000) == (side > 0)
    core.marks[symbol] = price
    assert abs(core.equity(currency) - core.maintenance(symbol)) <= Decimal("0.0001")
    core.marks[symbol] = price * (1 + side * Decimal("0.0005"))
    core.check_margin()
    assert core.holding(symbol).quantity
    warned, closed = [], []
    core.on_warning.append(warned.append)
    core.on_liquidated.append(closed.append)
    core.marks[symbol] = price * (1 - side * Decimal("0.0005"))
    core.check_margin()
    assert not core.holding(symbol).quantity
    (order_,) = closed
    assert order_.client_id.startswith(AUTOCLOSE)
    assert (order_.side, order_.status, order_.reduce_only) == (-side, OrderStatus.FILLED, True)


def test_what_a_liquidation_loses_beyond_the_wallet_is_the_venues():
    core = started("2500")
    core.place(order(1, "0.8"))
    levels = [(BID, 500_000, 2_000), (ASK, 500_010, 2_000)]
    core.apply(VenueEvent(kind=EventKind.SNAPSHOT, symbol=SYMBOL, ts_event_ns=1, ts_init_ns=1, levels=rows(levels)))
    core.marks[SYMBOL] = Decimal("50000")
    core.check_margin()
    assert not core.holding(SYMBOL).quantity
    assert core.balances["USDT"] == 0


def test_fill_or_kill_and_reduce_only_are_refused_where_they_can_do_nothing():
    core = started()
    for request, kind in (
        (order(1, "500", "60001", tif=Tif.FOK), RefusalKind.CANNOT_FILL),
        (order(1, "1", reduce_only=True), RefusalKind.REDUCE_ONLY),
        (order(1, "1", "60010", post_only=True), RefusalKind.WOULD_TAKE),
    ):
        with pytest.raises(Refusal) as refused:
            core.place(request)
        assert refused.value.kind is kind
    assert not core.orders


def test_a_resting_reduce_only_order_ends_with_the_position():
    core = started()
    core.place(order(1, "1"))
    resting = core.place(order(-1, "3", "60500", reduce_only=True, tif=Tif.GTC))
    assert resting.open
    core.place(order(-1, "1"))
    assert resting.status is OrderStatus.CANCELED
    assert core.holding(SYMBOL).quantity == 0


def test_funding_is_settled_on_the_clock_at_the_averaged_premium():
    hour = 3_600 * 10**9
    rate = FundingRate(now_ns=5 * hour)
    assert rate.next_ns == 8 * hour
    assert rate.rate == INTEREST
    for _ in range(10):
        rate.sample(Decimal(0))
    assert rate.rate == INTEREST  # no premium: the interest alone
    for _ in range(1_000):
        rate.sample(Decimal("0.003"))
    assert abs(rate.rate - (Decimal("0.003") - DAMPING)) < Decimal("0.00001")  # a large premium less the damping
    for _ in range(100_000):
        rate.sample(Decimal("0.9"))
    assert rate.rate == CAP
    assert rate.due(8 * hour - 1) is None
    assert rate.due(33 * hour) == CAP  # one settlement, also after a long sleep
    assert rate.next_ns == 40 * hour
    assert rate.due(33 * hour) is None


def test_the_premium_is_how_far_impact_prices_are_beyond_the_index():
    core = started()  # 25,000 USDT are 0.417 of the two that the best level has
    assert premium(core, SYMBOL, Decimal("60000")) == 0
    assert premium(core, SYMBOL, Decimal("59900")) == Decimal(99) / Decimal(59_900)
    assert premium(core, SYMBOL, Decimal("60100")) == -Decimal(99) / Decimal(60_100)
    core.apply(VenueEvent(kind=EventKind.CLEAR, symbol=SYMBOL, ts_event_ns=1, ts_init_ns=1, reason="lost"))
    assert premium(core, SYMBOL, Decimal("60000")) is None
