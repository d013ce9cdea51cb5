"""The hedger: quiet inside the soft band, exact outside it, one parent at a time, patient after failures."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.config.model import Band, HedgingSection, InstrumentSection
from desk.hedging.hedger import Hedger, hedge_quantity, internalisation_band, whole_lot
from desk.ids import IdSource
from router.messages import ParentRequest
from router.orders import ChildOrder, ChildState, ParentOrder, ParentState

BAND = Band(soft=Decimal(1), hard=Decimal(10))


class Bench:
    """A hedger whose surroundings are lists."""

    def __init__(self, lots: list[Decimal] | None = None) -> None:
        self.position = Decimal(0)
        self.price: Decimal | None = Decimal(60_000)
        self.sent: list[ParentRequest] = []
        self.later: list[tuple[int, str]] = []
        self.alerts: list[str] = []
        self.hedger = Hedger(
            HedgingSection(bands={"BTC": BAND}),
            [InstrumentSection(symbol="BTC/USDT")],
            IdSource("e"),
            position=lambda _: self.position,
            fair=lambda _: self.price,
            send=self.sent.append,
            later=lambda delay, symbol: self.later.append((delay, symbol)),
            now_ns=lambda: 5_000,
            alert=lambda severity, message: self.alerts.append(f"{severity} {message}"),
            lots=lambda _: lots or [],
        )

    def done(self, request: ParentRequest, filled: Decimal) -> None:
        self.at(request, filled, ParentState.DONE)

    def at(self, request: ParentRequest, filled: Decimal, state: ParentState) -> None:
        self.hedger.on_parent(
            ParentOrder(
                parent_id=request.parent_id,
                symbol=request.symbol,
                side=request.side,
                quantity=request.quantity,
                limit_price=request.limit_price,
                deadline_ns=request.deadline_ns,
                reason="hedge",
                state=state,
                filled=filled,
            )
        )

    def child(self, request: ParentRequest, quantity: str, state: ChildState) -> None:
        self.hedger.on_child(
            ChildOrder(
                child_id="K1",
                parent_id=request.parent_id,
                venue="BINANCE",
                symbol=request.symbol,
                side=request.side,
                quantity=Decimal(quantity),
                limit_price=Decimal(60_000),
                state=state,
            )
        )


@given(st.decimals(min_value=-100, max_value=100, places=8))
def test_hedge_brings_the_position_to_its_target_or_leaves_it(position: Decimal) -> None:
    quantity = hedge_quantity(position, BAND)
    if abs(position) <= BAND.soft:
        assert quantity == 0
    else:
        assert abs(position + quantity) == BAND.soft * BAND.target
        assert (quantity > 0) == (position < 0)


def test_a_no_hedge_zone_replaces_the_soft_band() -> None:
    band = internalisation_band(BAND, 0.33)
    assert (band.soft, band.hard, band.target) == (Decimal("3.3"), Decimal(10), Decimal(1))
    assert hedge_quantity(Decimal("-3.3"), band) == 0 and hedge_quantity(Decimal(5), band) == Decimal("-1.7")
    assert hedge_quantity(Decimal(100), internalisation_band(BAND, 1.0)) == -90


def test_sends_nothing_inside_the_band_and_one_parent_outside() -> None:
    bench = Bench()
    bench.position = Decimal("0.9")
    bench.hedger.check("BTC/USDT")
    assert bench.sent == []
    bench.position = Decimal("-3")
    bench.hedger.check("BTC/USDT")
    bench.hedger.check("BTC/USDT")
    assert [(request.side, request.quantity) for request in bench.sent] == [("buy", Decimal("2.5"))]
    assert bench.sent[0].limit_price == Decimal("60180.00")


def test_what_only_the_finest_venue_takes_stays_in_inventory() -> None:
    """Lots of 0.00001 and 0.00000001; a contract of 0.1 is too coarse to leave its part open."""
    bench = Bench([Decimal("0.00001"), Decimal("0.00000001"), Decimal("0.1")])
    bench.position = Decimal("5.67235020")
    bench.hedger.check("BTC/USDT")
    (request,) = bench.sent
    goal = BAND.soft * BAND.target
    assert request.quantity == (bench.position - goal).quantize(Decimal("0.00001"), rounding=ROUND_DOWN)
    bench.position -= request.quantity
    bench.done(request, request.quantity)
    bench.hedger.check("BTC/USDT")
    assert len(bench.sent) == 1  # the crumb is no reason for another
    assert whole_lot([Decimal("0.1")], Decimal("0.001")) == whole_lot([], Decimal(1)) == Decimal("0.00000001")


def test_no_fair_value_means_no_order_but_another_look() -> None:
    bench = Bench()
    bench.position, bench.price = Decimal(5), None
    bench.hedger.check("BTC/USDT")
    assert bench.sent == []
    assert bench.later == [(500, "BTC/USDT")]


def test_failures_wait_longer_and_alert() -> None:
    bench = Bench()
    bench.position = Decimal(5)
    for _ in range(3):
        bench.hedger.check("BTC/USDT")
        bench.done(bench.sent[-1], Decimal(0))
    assert [delay for delay, _ in bench.later] == [500, 1_000, 1_500]
    assert len(bench.alerts) == 1
    assert "3 times" in bench.alerts[0]


def test_a_full_fill_is_looked_at_again_at_once() -> None:
    bench = Bench()
    bench.position = Decimal(5)
    bench.hedger.check("BTC/USDT")
    bench.done(bench.sent[0], bench.sent[0].quantity)
    assert bench.later == [(0, "BTC/USDT")]
    assert not bench.hedger.working("BTC/USDT")


def test_inventory_is_hedged_while_an_order_of_the_hedge_before_is_unknown() -> None:
    """One order at a venue that answers nothing kept the whole currency unhedged until the venue was back."""
    bench = Bench()
    bench.position = Decimal(-2)
    bench.hedger.check("BTC/USDT")
    (first,) = bench.sent
    assert first.quantity == Decimal("1.5")
    bench.child(first, "0.4", ChildState.UNKNOWN)
    bench.position = Decimal(-8)  # clients go on
    bench.hedger.check("BTC/USDT")
    assert len(bench.sent) == 1  # while it is worked it is the one
    bench.at(first, Decimal(0), ParentState.CANCELLING)
    assert bench.later == [(0, "BTC/USDT")]
    assert bench.hedger.pending("BTC") == Decimal("0.4")  # of 1.5, what may still fill
    bench.hedger.check("BTC/USDT")
    second = bench.sent[1]
    assert second.quantity == Decimal("7.1")  # 8 less half a soft band, less what may still fill
    bench.hedger.check("BTC/USDT")
    assert len(bench.sent) == 2
    bench.position = Decimal("-0.9")
    bench.done(second, Decimal("7.1"))
    bench.child(first, "0.4", ChildState.REJECTED)  # proven never to have been
    bench.done(first, Decimal(0))
    assert bench.hedger.pending("BTC") == 0
    bench.hedger.check("BTC/USDT")
    assert len(bench.sent) == 2


def test_paused_sends_nothing() -> None:
    bench = Bench()
    bench.position = Decimal(5)
    bench.hedger.paused = True
    bench.hedger.check("BTC/USDT")
    assert bench.sent == []


@pytest.mark.parametrize("symbol", ["ETH/USDT", "XRP/USDT"])
def test_without_a_band_nothing_is_hedged(symbol: str) -> None:
    bench = Bench()
    bench.position = Decimal(500)
    bench.hedger.check(symbol)
    assert bench.sent == []
