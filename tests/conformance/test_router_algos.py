"""Execution algorithms inside the engine that slice or follow the market: rejects, partial fills and unknowns on the way."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest

from adapters.nautilus.outcome import OrderOutcome, OrderState
from router.algos.spec import (
    AlgoSpec,
    Iceberg,
    Pov,
    Sniper,
    Twap,
)
from router.orders import ChildState, ParentState
from tests.conformance.router_algos import BOTH, DEEP, SLICED, TWAP, made
from tests.conformance.router_rig import (
    MS,
    START,
    D,
    Rig,
    Step,
    closed,
    fills_whole,
    firm,
    rejects,
    venue_fill,
)


@pytest.mark.parametrize("algo", SLICED, ids=lambda algo: type(algo).__name__)
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_schedule_is_worked_in_slices_and_fills_whole(algo: AlgoSpec, side: str) -> None:
    rig = Rig(BOTH)
    rig.state.set_position("BTC", D(2))
    rig.ask("2", side=side, algo=algo, for_ms=20_000)
    rig.run()
    parent = rig.parent()
    assert (parent.state, parent.filled) == (ParentState.DONE, D(2))
    assert parent.reason == "hedge"
    times = sorted({child.created_ns for child in made(rig)})
    assert 12 <= len(times) <= 40  # 19 intervals of a second, a slice each
    assert times[-1] - times[0] > 15_000 * MS
    report = parent.benchmark.report(
        side=side, filled=parent.filled, notional=parent.notional, arrival=parent.arrival_mid
    )
    assert report.schedule_bps is not None and abs(report.schedule_bps) < 3  # the books stand still: the spread alone
    assert report.tracking_rms is not None and report.tracking_rms < 0.08


def test_no_slice_is_sent_before_its_time() -> None:
    rig = Rig(BOTH)
    rig.ask("2", algo=Twap(interval_ms=2_000, time_jitter=0.9, size_jitter=0.5), for_ms=20_000)
    seen: list[Any] = []
    rig.at(600, lambda: seen.append(rig.router._runs.get("p-1").algo.schedule))
    rig.run()
    (plan,) = seen
    sent = Decimal(0)
    for child in sorted(made(rig), key=lambda child: child.created_ns):
        sent += child.quantity
        k = plan.index(child.created_ns)
        assert k >= 0 and sent <= plan.due[k]
    assert rig.parent().filled == D(2)


def test_the_same_seed_makes_the_same_orders_and_another_seed_others() -> None:
    def story(seed: int) -> list[Any]:
        rig = Rig(BOTH, seed=seed)
        rig.ask("1", algo=TWAP)
        rig.ask("1", algo=Iceberg(display=D("0.2")), limit="60000.00", parent_id="p-2")
        rig.run()
        return [*rig.driver.children, *rig.driver.parents, *rig.driver.fills]

    assert story(1) == story(1)
    assert story(1) != story(2)


def test_slices_go_through_the_plan_over_venues_and_lps() -> None:
    rig = Rig(BOTH, lps={"LPX": firm("LPX", "60000.20")})
    rig.ask("4", algo=Twap(interval_ms=5_000))
    rig.run()
    assert rig.parent().filled == D(4)
    assert {child.venue for child in made(rig)} >= {"LPX"}
    assert max(child.quantity for child in made(rig)) < D(2)


def test_a_schedule_behind_its_time_catches_up_within_its_limit() -> None:
    """Nothing can be had for eight seconds; afterwards no interval sends more than twice its slice."""
    rig = Rig({"BINANCE": DEEP})
    rig.ask("2", algo=Twap(interval_ms=1_000, time_jitter=0.0, size_jitter=0.0), limit="60000.50", for_ms=40_000)
    rig.move(600, "BINANCE", [("60100.00", "50")], [("60101.00", "50")])
    rig.move(8_700, "BINANCE", *DEEP)
    rig.run(45_000)
    parent = rig.parent()
    assert parent.filled == D(2)
    share = D(2) / 38
    by_interval: dict[int, Decimal] = {}
    for child in made(rig):
        k = (child.created_ns - START - 500 * MS) // (1_000 * MS)
        by_interval[k] = by_interval.get(k, D(0)) + child.filled
    assert max(by_interval.values()) < share * D("2.1")
    assert parent.filled == sum(by_interval.values())
    assert len([k for k in by_interval if by_interval[k] > share * D("1.5")]) > 3


def test_a_reject_and_a_partial_fill_leave_the_schedule_whole() -> None:
    def half(order: Any, params: dict[str, Any], n: int) -> list[Step]:
        part = f"{order.quantity.as_decimal() / 2:.5f}"
        return [(5, "accept", ()), (6, "fill", (part, str(order.price), f"t{n}")), (7, "cancel", ())]

    rig = Rig(BOTH, scripted={"BINANCE": rejects, "KRAKEN": half})
    rig.ask("1", algo=TWAP, for_ms=30_000)
    rig.run(40_000)
    parent = rig.parent()
    assert parent.state is ParentState.DONE
    assert abs(parent.filled - D("0.975")) <= D("0.025")  # what is left after many halves may be dust


def test_an_unknown_slice_stays_reserved_and_is_never_sent_again() -> None:
    """The third order is never heard of again; its outcome is found out eight seconds later: it had filled."""
    lost: list[Any] = []

    def third_lost(order: Any, params: dict[str, Any], n: int) -> list[Step]:
        if n == 3:
            lost.append(order)
            return []
        return fills_whole(order, params, n)

    def outcome(order_id: str) -> OrderOutcome:
        if rig.driver.clock.timestamp_ns() < START + 11_000 * MS:
            return OrderOutcome(client_order_id=order_id, state=OrderState.OPEN)
        return closed(order_id, venue_fill("BINANCE", order_id, str(lost[0].quantity), "late"))

    rig = Rig({"BINANCE": DEEP}, scripted={"BINANCE": third_lost}, outcomes={"BINANCE": outcome})
    rig.ask("2", algo=TWAP)
    rig.run()
    orders = [order for order, _ in rig.clients["BINANCE"].orders]
    assert rig.parent().filled == D(2)
    assert sum(order.quantity.as_decimal() for order in orders) == D(2)  # what was unknown was not planned again
    assert len({order.client_order_id for order in orders}) == len(orders)
    assert ChildState.UNKNOWN in {child.state for child in rig.driver.children}


def test_pov_is_never_ahead_of_the_market() -> None:
    rig = Rig(BOTH, scripted=dict.fromkeys(BOTH, fills_whole))
    dice = Random(3)
    volume: list[tuple[int, Decimal]] = []
    for k in range(60):
        at, size = 700 + 300 * k, D(dice.randint(1, 60)) / 10
        rig.trade(at, "KRAKEN" if k % 2 else "BINANCE", "60500.00", str(size))
        volume.append((START + at * MS, size))
    end = START + 19_500 * MS
    rig.ask("40", algo=Pov(participation=D("0.1"), interval_ms=500, end_ns=end), for_ms=25_000)
    rig.run()
    parent = rig.parent()
    assert parent.state is ParentState.DONE and parent.reason == "hedge: the end of its schedule"
    done = Decimal(0)
    for child in sorted(made(rig), key=lambda child: child.created_ns):
        done += child.filled
        # (a timer the engine meets while it advances to an event may go off after that event: the tape's 300 ms)
        assert done <= D("0.1") * sum((size for at, size in volume if at <= child.created_ns + 300 * MS), D(0))
    whole = sum((size for _, size in volume), D(0))
    assert parent.filled > D("0.08") * whole
    assert parent.filled <= D("0.1") * whole
    assert parent.standing.volume == whole
    report = parent.benchmark.report(side="buy", filled=parent.filled, notional=parent.notional, arrival=None)
    assert report.participation == pytest.approx(0.09, abs=0.02)


def test_pov_does_not_follow_its_own_prints() -> None:
    """The venue prints our own executions a moment later, at their price."""
    rig = Rig({"BINANCE": DEEP}, scripted={"BINANCE": fills_whole})
    rig.trade(700, "BINANCE", "60500.00", "10")
    for k in range(30):
        rig.trade(1_000 + 400 * k, "BINANCE", "60006.00", "1")  # the limit a child is filled at in this rig

    rig.ask("20", algo=Pov(participation=D("0.5"), interval_ms=400), limit="60006.00", for_ms=15_000)
    rig.run()
    # 10 of others; each of our own executions at 60006 is printed and must not be answered with another
    prices = {fill.price for fill in rig.driver.fills}
    assert prices == {D("60006.00")}
    parent = rig.parent()
    own = sum((fill.quantity for fill in rig.driver.fills), D(0))
    assert own == parent.filled
    printed = D(10) + 30
    assert parent.filled < D("0.5") * printed - D("0.5")  # with its own prints counted it would be there


def test_a_sniper_waits_and_takes_at_once() -> None:
    rig = Rig(BOTH)
    rig.ask("3", algo=Sniper(trigger_price=D("59950"), interval_ms=100), for_ms=15_000)
    rig.move(5_030, "KRAKEN", [("59890.00", "5")], [("59900.00", "1.2"), ("59930.00", "5")])
    rig.run()
    parent = rig.parent()
    first = min(child.created_ns for child in made(rig))
    assert START + 5_030 * MS <= first <= START + 5_130 * MS
    assert {child.venue for child in made(rig)} == {"KRAKEN"}
    assert parent.filled == D("1.2")  # 59 900 with 4 bps is within the trigger, 59 930 is not
    assert all(fill.price * (1 + D("0.0004")) <= D("59950") for fill in rig.driver.fills)
    assert all(child.limit_price * (1 + D("0.0004")) <= D("59950") for child in made(rig))
    assert parent.state is ParentState.DONE and parent.reason == "hedge: deadline"


def test_a_sniper_waits_for_depth() -> None:
    rig = Rig({"BINANCE": ([("59999.00", "5")], [("60000.00", "0.5"), ("60400.00", "9")])})
    rig.ask("2", algo=Sniper(depth=D(4)), limit="60001.00", for_ms=15_000)
    rig.move(4_000, "BINANCE", [("59999.00", "5")], [("60000.00", "1"), ("60001.00", "3")])
    rig.run()
    assert rig.parent().filled == D(2)
    assert min(child.created_ns for child in made(rig)) >= START + 4_000 * MS
