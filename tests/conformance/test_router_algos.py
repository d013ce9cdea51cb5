"""Execution algorithms inside the engine: each works its schedule; rejects, partial fills, unknowns, halts and restarts on the way."""

from __future__ import annotations

from copy import copy
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest
from nautilus_trader.model.enums import TimeInForce

from adapters.nautilus import topics
from adapters.nautilus.outcome import OrderOutcome, OrderState
from risk.state import TradingState
from router.algos.profile import VolumeProfile
from router.algos.spec import (
    AlgoSpec,
    ArrivalPrice,
    Iceberg,
    ImplementationShortfall,
    Peg,
    Pegged,
    Pov,
    Sniper,
    Twap,
    Vwap,
)
from router.messages import CommandKind
from router.orders import ChildOrder, ChildState, ParentState
from router.parameters import RouterParameters
from tests.conformance.router_rig import (
    MS,
    START,
    SYMBOL,
    D,
    MemoryJournal,
    Rig,
    Step,
    closed,
    fills_whole,
    firm,
    rejects,
    venue_fill,
)

DEEP = ([("59999.00", "50")], [("60000.00", "50"), ("60010.00", "50")])
BOTH = {"BINANCE": DEEP, "KRAKEN": ([("59998.00", "50")], [("60000.50", "50")])}
TERMINAL = {ChildState.FILLED, ChildState.CANCELLED, ChildState.REJECTED, ChildState.EXPIRED}
TWAP = Twap(interval_ms=1_000)
SLICED: list[AlgoSpec] = [
    TWAP,
    Vwap(interval_ms=1_000, curve=(1, 3, 2, 1)),
    ImplementationShortfall(interval_ms=1_000, risk_aversion=1e-5, volatility=20.0, impact=0.5),
    ArrivalPrice(interval_ms=1_000, urgency=0.4, drift=0.5),
]


def rests(order: Any, params: dict[str, Any], n: int) -> list[Step]:
    """Accepted, and then it lies there."""
    return [(5, "accept", ())]


def slow_to_cancel(rig: Rig, venue: str, after_ms: int = 200) -> None:
    """The venue takes its time with a cancel."""
    client = rig.clients[venue]

    def cancel_order(command: Any) -> None:
        client.cancels.append(command.client_order_id.value)
        order = next(order for order, _ in client.orders if order.client_order_id == command.client_order_id)
        due = rig.driver.clock.timestamp_ns() + after_ms * MS
        rig.driver.at_ns(f"cancel:{order.client_order_id}", due, lambda _: client.do(order, "cancel"))

    client.cancel_order = cancel_order


def made(rig: Rig, parent_id: str = "p-1") -> list[ChildOrder]:
    """The children of a parent in the order they were made, as they are now."""
    return [child for child in rig.journal.children.values() if child.parent_id == parent_id]


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


def test_no_shareis_sent_before_its_time() -> None:
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


def test_an_unknown_sharestays_reserved_and_is_never_sent_again() -> None:
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


# ---- following the market ----------


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


# ---- resting ----------


def test_an_iceberg_shows_one_part_at_a_time() -> None:
    def slowly(order: Any, params: dict[str, Any], n: int) -> list[Step]:
        return [(5, "accept", ()), (400, "fill", (str(order.quantity), str(order.price), f"t{n}"))]

    rig = Rig({"KRAKEN": DEEP}, scripted={"KRAKEN": slowly})
    rig.ask("2", algo=Iceberg(display=D("0.3"), size_jitter=0.3), limit="59999.00", for_ms=30_000)
    rig.run()
    parent, parts = rig.parent(), made(rig)
    assert (parent.state, parent.filled) == (ParentState.DONE, D(2))
    assert all(D("0.21") <= part.quantity <= D("0.39") for part in parts[:-1])
    assert len({part.quantity for part in parts[:-1]}) > 3
    assert {part.limit_price for part in parts} == {D("59999.00")}
    orders = [order for order, _ in rig.clients["KRAKEN"].orders]
    assert {order.time_in_force for order in orders} == {TimeInForce.GTC}
    for before, after in pairwise(parts):
        assert after.created_ns >= before.updated_ns + 50 * MS  # the last one's end, and the pause


def test_an_iceberg_fills_from_the_market_of_a_simulated_venue() -> None:
    rig = Rig({"BINANCE": DEEP})
    rig.ask("1", algo=Iceberg(display=D("0.4")), limit="59999.50", for_ms=25_000)
    for k in range(8):
        rig.move(2_000 + 2_500 * k, "BINANCE", [("59990.00", "5")], [("59999.50", "0.2"), ("60010.00", "5")])
        rig.move(3_000 + 2_500 * k, "BINANCE", *DEEP)
    rig.run()
    assert rig.parent().filled > D("0.7")
    assert {fill.price for fill in rig.driver.fills} == {D("59999.50")}


def test_a_resting_child_is_no_timeout() -> None:
    rig = Rig({"KRAKEN": DEEP}, scripted={"KRAKEN": rests})
    rig.ask("1", algo=Iceberg(display=D(1)), limit="59999.00", for_ms=10_000)
    states: list[Any] = []
    rig.at(9_000, lambda: states.append([child.state for child in made(rig)]))
    rig.run()
    assert states == [[ChildState.ACKED]]
    assert ChildState.UNKNOWN not in {child.state for child in rig.driver.children}
    assert rig.clients["KRAKEN"].cancels == [made(rig)[0].child_id]  # at its deadline
    assert rig.parent().state is ParentState.DONE


def test_a_resting_child_that_is_never_accepted_is_unknown() -> None:
    rig = Rig(
        {"KRAKEN": DEEP},
        scripted={"KRAKEN": lambda order, params, n: [] if n == 1 else rests(order, params, n)},
        outcomes={"KRAKEN": lambda order_id: OrderOutcome(client_order_id=order_id, state=OrderState.NOT_FOUND)},
    )
    rig.ask("1", algo=Iceberg(display=D(1)), limit="59999.00", for_ms=10_000)
    rig.run()
    first, second = made(rig)
    assert first.state is ChildState.REJECTED and second.created_ns > first.updated_ns
    assert rig.clients["KRAKEN"].queries == [first.child_id]


@pytest.mark.parametrize(
    ("peg", "side", "first", "second"),
    [
        (Peg.PRIMARY, "buy", "59999.00", "60005.00"),
        (Peg.PRIMARY, "sell", "60000.00", "60007.00"),
        (Peg.MID, "buy", "59999.50", "60006.00"),
        (Peg.MARKET, "sell", "59999.00", "60005.00"),
    ],
)
def test_a_peg_follows_its_venue(peg: Peg, side: str, first: str, second: str) -> None:
    rig = Rig({"KRAKEN": DEEP}, scripted={"KRAKEN": rests})
    rig.state.set_position("BTC", D(2))
    rig.ask("1", side=side, algo=Pegged(peg=peg), for_ms=10_000)
    rig.move(4_000, "KRAKEN", [("60005.00", "9")], [("60007.00", "9")])
    rig.run()
    one, two = made(rig)
    assert (str(one.limit_price), str(two.limit_price)) == (first, second)
    assert one.state is ChildState.CANCELLED
    assert two.created_ns >= one.updated_ns  # never two at once
    assert two.created_ns < START + 5_000 * MS
    order, _ = rig.clients["KRAKEN"].orders[0]
    assert order.is_post_only is (peg is not Peg.MARKET)


def test_it_rests_where_resting_is_cheapest_not_where_taking_is() -> None:
    rig = Rig(BOTH, scripted={"BINANCE": rests, "KRAKEN": rests})
    for venue, taker, maker in (("BINANCE", D(4), None), ("KRAKEN", D(9), D(1))):
        terms = rig.book.terms(venue)
        rig.book.set_terms(msgspec.structs.replace(terms, taker_fee_bps=taker, maker_fee_bps=maker))
    rig.ask("1", algo=Pegged(peg=Peg.PRIMARY, min_interval_ms=0), for_ms=2_000)
    rig.run(3_000)
    assert [child.resting for child in rig.children_at("KRAKEN")] == [True]
    assert not rig.children_at("BINANCE")


def test_a_peg_moves_no_more_often_than_agreed_and_never_beyond_its_cap() -> None:
    rig = Rig({"KRAKEN": DEEP}, scripted={"KRAKEN": rests})
    rig.ask("1", algo=Pegged(min_interval_ms=2_000), limit="60041.00", for_ms=20_000)
    for k in range(60):
        low = 59_990 + k
        rig.move(1_000 + 250 * k, "KRAKEN", [(f"{low}.00", "9")], [(f"{low + 5}.00", "9")])
    rig.run()
    children = made(rig)
    assert 4 <= len(children) <= 9
    gaps = [after.created_ns - before.created_ns for before, after in pairwise(children)]
    assert min(gaps) >= 2_000 * MS
    assert all(child.limit_price <= D("60041.00") for child in children)
    assert children[-1].limit_price == D("60041.00")


def test_what_fills_while_a_peg_moves_counts_once_and_the_next_order_is_less() -> None:
    """The fill crosses with the cancel; the new order is for the rest alone."""
    rig = Rig({"KRAKEN": DEEP}, scripted={"KRAKEN": rests})
    client = rig.clients["KRAKEN"]

    def cancel_after_a_part(command: Any) -> None:
        order, _ = client.orders[-1]
        client.cancels.append(command.client_order_id.value)
        client.do(order, "fill", "0.25000", "59999.00", f"crossed-{len(client.cancels)}")
        client.do(order, "cancel")

    client.cancel_order = cancel_after_a_part
    rig.ask("1", algo=Pegged(), for_ms=6_000)
    rig.move(3_000, "KRAKEN", [("60005.00", "9")], [("60007.00", "9")])
    rig.run()
    one, two = made(rig)
    assert (one.filled, one.state, two.quantity) == (D("0.25"), ChildState.CANCELLED, D("0.75"))
    assert rig.parent().filled == D("0.5")  # and once more at its end


def test_a_late_fill_of_a_pulled_order_is_counted_and_not_asked_for_again() -> None:
    rig = Rig({"KRAKEN": DEEP}, scripted={"KRAKEN": rests})
    rig.ask("1", algo=Iceberg(display=D("0.4"), size_jitter=0.0), limit="59999.00", for_ms=20_000)
    rig.command(3_000, CommandKind.PAUSE)

    def late() -> None:
        order, _ = rig.clients["KRAKEN"].orders[0]
        rig.clients["KRAKEN"].do(order, "fill", "0.40000", "59999.00", "late")

    rig.at(5_000, late)
    rig.command(7_000, CommandKind.RESUME)
    rig.run()
    first = made(rig)[0]
    assert (first.state, first.filled) == (ChildState.FILLED, D("0.4"))
    asked = sum((child.quantity for child in made(rig)[1:]), D(0))
    assert asked <= D("0.6")
    assert rig.parent().filled == D("0.4")


def test_a_peg_without_a_live_book_is_taken_back() -> None:
    rig = Rig({"KRAKEN": DEEP}, scripted={"KRAKEN": rests})
    rig.ask("1", algo=Pegged(), for_ms=10_000)
    rig.at(3_000, lambda: rig.book.clear("KRAKEN", "gap", START + 3_000 * MS))
    rig.run()
    (child,) = made(rig)
    assert child.state is ChildState.CANCELLED
    assert child.updated_ns < START + 5_000 * MS


# ---- halts, ends, restarts ----------


@pytest.mark.parametrize("algo", [TWAP, Iceberg(display=D("0.5"))], ids=["twap", "iceberg"])
def test_a_halt_in_the_middle_ends_it(algo: AlgoSpec) -> None:
    rig = Rig({"KRAKEN": DEEP}, scripted={"KRAKEN": rests if isinstance(algo, Iceberg) else fills_whole})
    slow_to_cancel(rig, "KRAKEN")

    def halt() -> None:
        rig.state.set_trading(TradingState.HALTED, "operator")
        rig.driver.bus.send(topics.ROUTER_HALT, "operator")

    rig.ask("2", algo=algo, limit="60020.00")
    rig.at(6_000, halt)
    rig.run()
    parent = rig.parent()
    assert parent.state is ParentState.DONE and parent.reason == "hedge: halted: operator"
    assert all(child.created_ns <= START + 6_000 * MS for child in made(rig))
    assert {child.state for child in made(rig)} <= TERMINAL
    assert rig.state.reservations == {}
    if isinstance(algo, Iceberg):
        assert ParentState.CANCELLING in {told.state for told in rig.driver.parents}


def test_an_iceberg_without_a_limit_is_given_back() -> None:
    rig = Rig(BOTH)
    rig.ask("1", algo=Iceberg(display=D("0.5")))
    rig.run(2_000)
    assert rig.parent().state is ParentState.DONE and "limit price" in rig.parent().reason


def test_estimates_that_are_not_given_are_made_from_book_and_volatility() -> None:
    rig = Rig(BOTH, volatility=3e-5)
    rig.ask("2", algo=ImplementationShortfall(interval_ms=1_000, risk_aversion=1e-5))
    rig.run()
    spec = rig.parent().algo
    assert isinstance(spec, ImplementationShortfall)
    assert spec.volatility == pytest.approx(60_000 * 3e-5, rel=1e-3) and spec.impact > 0
    assert rig.parent().filled == D(2)
    unknown = Rig(BOTH)
    unknown.ask("2", algo=ImplementationShortfall(risk_aversion=1e-5))
    unknown.run(3_000)
    assert unknown.parent().state is ParentState.DONE and "no estimate" in unknown.parent().reason


def test_a_vwap_takes_its_curve_from_the_profile_of_the_day() -> None:
    start_part = START // 1_000_000_000 % 86_400 // 10
    volume = [0.0] * 8_640
    for k in range(3):
        volume[start_part + k] = (1.0, 8.0, 1.0)[k]
    rig = Rig(BOTH, profiles={SYMBOL: VolumeProfile(volume=tuple(volume))})
    rig.ask("2", algo=Vwap(interval_ms=1_000, trust=0.0), for_ms=20_000)
    rig.run(40_000)
    parent = rig.parent()
    assert isinstance(parent.algo, Vwap) and parent.algo.curve and parent.algo.expected > 8
    busy = (START + (10 - START // 1_000_000_000 % 10) * 1_000 * MS, START + 19_500 * MS)
    within = sum((child.filled for child in made(rig) if busy[0] <= child.created_ns < busy[1]), D(0))
    assert parent.filled == D(2) and within > D("1.4")


def restarted(first: Rig, **kwargs: Any) -> Rig:
    """Another router on what the first one wrote down."""
    left = [(copy(parent), [copy(child) for child in made(first)]) for parent in first.journal.parents.values()]
    journal = MemoryJournal(left)
    journal.fills = dict(first.journal.fills)
    journal.children = {child.child_id: copy(child) for child in first.journal.children.values()}
    again = Rig(kwargs.pop("books", BOTH), journal=journal, epoch="lq1", **kwargs)
    again.state.set_position("BTC", first.state.position("BTC"))
    return again


def test_a_restart_goes_on_where_the_schedule_stands() -> None:
    first = Rig(BOTH)
    first.ask("2", algo=TWAP)
    first.run(8_300)
    stood = first.parent()
    assert D("0.5") < stood.filled < D("1.1")
    second = restarted(first)
    second.run(30_000)
    parent = second.parent()
    assert (parent.state, parent.filled) == (ParentState.DONE, D(2))
    assert parent.standing.since_ns == stood.standing.since_ns and parent.standing.turn == 0
    new = [child for child in second.driver.children if child.state is ChildState.NEW]
    assert sum((child.quantity for child in new), D(0)) == D(2) - stood.filled
    assert max(child.quantity for child in new) < D("0.3")  # no burst
    assert second.state.position("BTC") == D(2)


def test_a_resting_child_of_the_last_run_is_proven_ended_before_another_is_laid() -> None:
    first = Rig({"KRAKEN": DEEP}, scripted={"KRAKEN": rests})
    spec = Iceberg(display=D("0.5"), size_jitter=0.0)
    first.ask("2", algo=spec, limit="59999.00", for_ms=20_000)
    first.run(3_000)
    (old,) = made(first)
    second = restarted(
        first,
        books={"KRAKEN": DEEP},
        scripted={"KRAKEN": rests},
        outcomes={"KRAKEN": lambda order_id: closed(order_id, venue_fill("KRAKEN", order_id, "0.2", "while-away"))},
    )
    second.run(30_000)
    assert second.clients["KRAKEN"].queries == [old.child_id]
    assert second.journal.children[old.child_id].filled == D("0.2")
    (new,) = [child for child in made(second) if child.child_id != old.child_id]
    assert new.created_ns >= second.journal.children[old.child_id].updated_ns
    assert second.parent().filled == D("0.2")


def test_before_a_stop_what_rests_is_taken_back_and_the_parent_goes_on_later() -> None:
    first = Rig({"KRAKEN": DEEP}, scripted={"KRAKEN": rests})
    spec = Iceberg(display=D("0.5"), size_jitter=0.0)
    first.ask("2", algo=spec, limit="59999.00", for_ms=20_000)
    first.at(2_900, first.router.stand_down)
    first.run(3_500)
    assert {child.state for child in made(first)} == {ChildState.CANCELLED}
    assert first.parent().state is ParentState.WORKING
    second = restarted(first, books={"KRAKEN": DEEP}, scripted={"KRAKEN": fills_whole})
    second.run(30_000)
    assert second.parent().filled == D(2)


@pytest.mark.parametrize("seed", range(10))
def test_whatever_venues_and_operators_do_no_more_is_filled_than_asked_for(seed: int) -> None:
    """Venues that accept, fill in parts, reject, fall silent and report late; commands at any time. Nobody lies about what happened."""
    dice = Random(seed)
    truth: dict[str, list[Any]] = {}
    over: set[str] = set()

    def behave(order: Any, params: dict[str, Any], n: int) -> list[Step]:
        order_id, quantity, price = order.client_order_id.value, order.quantity.as_decimal(), str(order.price)
        assert order_id not in truth
        truth[order_id] = []
        if dice.random() < 0.2:
            return [(5, "reject", ("no",))]
        steps: list[Step] = [(5, "accept", ())] if dice.random() < 0.9 else []
        rest = order.time_in_force == TimeInForce.GTC
        at, left = 6, quantity
        for i in range(dice.randint(0, 3)):
            part = min(left, (quantity * D(dice.randint(1, 9)) / 15).quantize(D("0.00001")))
            at += dice.randint(1, 900 if rest else 20)
            if part > 0:
                left -= part
                steps.append((at, "trade", (f"{part}", price, f"{order_id}-{i}")))
        if not rest and dice.random() < 0.8:
            steps.append((at + 5, "over", ()))
        return steps

    rig = Rig(
        BOTH,
        scripted=dict.fromkeys(BOTH, behave),
        outcomes={venue: lambda order_id, venue=venue: proven(venue, order_id) for venue in BOTH},
        parameters=RouterParameters(child_timeout_ms=800, resolve_retry_ms=300),
        seed=seed,
    )

    def proven(venue: str, order_id: str) -> OrderOutcome:
        over.add(order_id)
        return closed(order_id, *truth.get(order_id, []))

    for client in rig.clients.values():
        plain = client.do

        def do(order: Any, what: str, *args: Any, client: Any = client, plain: Any = plain) -> None:
            """A venue: after the end of an order nothing of it trades; a report may be lost or late."""
            order_id = order.client_order_id.value
            if order_id in over or order.is_closed:
                return
            match what:
                case "trade":
                    quantity, price, trade_id = args
                    side = "buy" if order.is_buy else "sell"
                    truth[order_id].append(venue_fill(client.venue.value, order_id, quantity, trade_id, price, side))
                    if dice.random() < 0.85:
                        plain(order, "fill", quantity, price, trade_id)
                case "over" | "cancel":
                    over.add(order_id)
                    told = sum((fill.quantity for fill in truth[order_id]), D(0))
                    if told == order.filled_qty.as_decimal() and not order.is_closed and dice.random() < 0.8:
                        plain(order, "cancel")
                case _:
                    plain(order, what, *args)

        client.do = do

    specs: list[AlgoSpec] = [
        TWAP,
        Iceberg(display=D("0.3")),
        Pegged(peg=Peg.MID, min_interval_ms=300),
        ArrivalPrice(interval_ms=700, urgency=0.8, drift=-0.5),
        Pov(participation=D("0.3"), interval_ms=300),
    ]
    for n, spec in enumerate(specs):
        rig.ask("1.5", at_ms=500 + 40 * n, parent_id=f"p-{n}", algo=spec, limit="60001.00", for_ms=15_000)
    for k in range(40):
        rig.trade(600 + 350 * k, "KRAKEN", "60500.00", "1.5")
        shift = dice.randint(-1, 1)
        bids, asks = [(f"{59_999 + shift}.00", "50")], [(f"{60_000 + shift}.00", "50")]
        rig.move(650 + 350 * k, "BINANCE", bids, asks)
    kinds = [CommandKind.PAUSE, CommandKind.RESUME, CommandKind.RESUME, CommandKind.AMEND, CommandKind.AMEND]
    for _ in range(40):
        kind = CommandKind.CANCEL if dice.random() < 0.03 else dice.choice(kinds)
        amended: dict[str, Any] = {}
        if kind is CommandKind.AMEND:
            amended["quantity"] = D(dice.randint(1, 20)) / 10
        rig.command(dice.randint(600, 14_000), kind, f"p-{dice.randint(0, 4)}", **amended)
    rig.run(60_000)
    executed = {fill.trade_id: fill for fills in truth.values() for fill in fills}
    filled = sum((fill.quantity for fill in executed.values()), D(0))
    assert sum((fill.quantity for fill in rig.driver.fills), D(0)) == filled
    assert len(rig.answers) == 40
    for parent in rig.journal.parents.values():
        assert parent.state is ParentState.DONE, parent
        assert parent.filled <= parent.quantity
        assert parent.filled == sum((child.filled for child in made(rig, parent.parent_id)), D(0))
    assert {child.state for child in rig.journal.children.values()} <= TERMINAL
    assert rig.state.reservations == {}
    assert rig.state.position("BTC") == filled
