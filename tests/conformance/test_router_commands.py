"""Pause, resume, amend and cancel inside the engine: on disk before they are in force, refused with a reason, answered once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from adapters.nautilus.outcome import OrderOutcome, OrderState
from router.algos.spec import ArrivalPrice, Iceberg, Pov, Twap
from router.messages import CommandKind, CommandRefused, CommandTaken
from router.orders import ChildState, ParentState
from tests.conformance.router_algos import BOTH, DEEP, TWAP, made, rests, slow_to_cancel
from tests.conformance.router_rig import MS, START, D, Rig, Step, closed, fills_whole, venue_fill

PAUSE, RESUME, CANCEL, AMEND = CommandKind.PAUSE, CommandKind.RESUME, CommandKind.CANCEL, CommandKind.AMEND


def refusals(rig: Rig) -> list[str]:
    return [answer.reason for answer in rig.answers if isinstance(answer, CommandRefused)]


def test_a_paused_schedule_sends_nothing_and_goes_on_without_a_burst() -> None:
    rig = Rig(BOTH)
    rig.ask("2", algo=TWAP)
    rig.command(5_000, PAUSE)
    states: list[Any] = []
    rig.at(9_000, lambda: states.append((rig.parent().state, rig.journal.parents["p-1"].filled)))
    rig.command(10_000, RESUME)
    rig.run()
    assert rig.answers == [CommandTaken("p-1"), CommandTaken("p-1")]
    times = [child.created_ns - START for child in made(rig)]
    assert not [at for at in times if 5_000 * MS < at < 10_000 * MS]
    assert states[0][0] is ParentState.PAUSED and states[0][1] < D("0.7")
    assert rig.parent().filled == D(2)
    assert rig.parent().standing.turn == 1  # laid anew over what was left
    assert max(child.quantity for child in made(rig)) < D("0.4")
    assert [told.state for told in rig.driver.parents].count(ParentState.PAUSED) >= 1


def test_a_sweep_can_be_paused_and_resumed() -> None:
    rig = Rig({"BINANCE": ([("59999.00", "5")], [("60000.00", "0.4"), ("60001.00", "5")])})
    rig.ask("1", limit="60000.00")
    rig.command(700, PAUSE)
    rig.move(3_000, "BINANCE", [("59999.00", "5")], [("60000.00", "5")])
    rig.command(6_000, RESUME)
    rig.run()
    assert rig.parent().filled == D(1)
    assert not [c for c in made(rig) if START + 700 * MS < c.created_ns < START + 6_000 * MS]


def test_a_pause_takes_back_what_rests() -> None:
    rig = Rig({"KRAKEN": DEEP}, scripted={"KRAKEN": rests})
    rig.ask("1", algo=Iceberg(display=D("0.5")), limit="59999.00", for_ms=20_000)
    rig.command(3_000, PAUSE)
    open_at: list[Any] = []
    rig.at(5_000, lambda: open_at.append([c for c in made(rig) if not c.state.terminal]))
    rig.command(6_000, RESUME)
    rig.run()
    assert open_at == [[]]
    assert len(made(rig)) == 2 and made(rig)[1].created_ns >= START + 6_000 * MS


def test_a_cancel_waits_for_what_is_open_and_what_is_unknown() -> None:
    """One venue is slow to cancel, an order at the other is never heard of again."""
    rig = Rig(
        {"KRAKEN": DEEP},
        scripted={"KRAKEN": rests},
        outcomes={"KRAKEN": lambda order_id: closed(order_id, venue_fill("KRAKEN", order_id, "0.1", "found"))},
    )
    rig.clients["KRAKEN"].cancel_order = lambda command: None  # the cancel is lost
    rig.ask("1", algo=Iceberg(display=D("0.5")), limit="59999.00", for_ms=20_000)
    rig.command(2_000, CANCEL)
    seen: list[Any] = []
    for at in (2_500, 4_900, 5_500):
        rig.at(at, lambda: seen.append((rig.parent().state, made(rig)[0].state)))
    rig.run()
    assert seen[0] == (ParentState.CANCELLING, ChildState.ACKED)
    assert seen[1] == (ParentState.CANCELLING, ChildState.ACKED)
    assert seen[2] == (ParentState.DONE, ChildState.CANCELLED)  # 3 s without an answer: asked, and proven
    assert ChildState.UNKNOWN in {child.state for child in rig.driver.children}
    assert rig.parent().filled == D("0.1") and rig.parent().reason == "hedge: cancelled"
    assert rig.answers == [CommandTaken("p-1")]


def test_a_cancelled_schedule_sends_nothing_more() -> None:
    rig = Rig(BOTH)
    rig.ask("2", algo=TWAP)
    rig.command(5_000, CANCEL)
    rig.command(6_000, CANCEL)
    rig.run()
    assert rig.parent().state is ParentState.DONE and 0 < rig.parent().filled < D(1)
    assert max(child.created_ns for child in made(rig)) <= START + 5_000 * MS
    assert rig.answers[0] == CommandTaken("p-1") and refusals(rig) == ["it is done"]


def test_a_command_is_in_force_only_once_it_is_on_disk() -> None:
    rig = Rig(BOTH)
    rig.ask("2", algo=TWAP)
    rig.at(4_990, lambda: setattr(rig.journal, "hold", True))
    rig.command(5_000, AMEND, quantity=D("1.5"))
    seen: list[Any] = []
    rig.at(5_200, lambda: seen.append((list(rig.answers), len(made(rig)))))
    rig.command(5_300, PAUSE)
    rig.at(8_000, lambda: (seen.append((list(rig.answers), len(made(rig)))), setattr(rig.journal, "hold", False)))
    rig.at(8_010, rig.journal.flush)
    rig.run()
    assert seen[0][0] == [] and seen[1][1] == seen[0][1]  # nothing was sent while it was being written down
    assert "being written down" in refusals(rig)[0]
    assert rig.answers[1] == CommandTaken("p-1")
    assert rig.parent().filled == D("1.5")


def test_a_child_that_waits_for_the_disk_does_not_leave_once_a_pause_is_asked_for() -> None:
    rig = Rig(BOTH)
    rig.ask("2", algo=TWAP)
    rig.at(4_900, lambda: setattr(rig.journal, "hold", True))
    rig.at(5_800, lambda: held.append([child for child in made(rig) if child.state is ChildState.NEW]))
    held: list[Any] = []
    rig.command(5_900, PAUSE)
    rig.at(6_500, lambda: (setattr(rig.journal, "hold", False), rig.journal.flush()))
    rig.run(12_000)
    (waiting,) = held
    assert waiting and all(rig.journal.children[c.child_id].reason.startswith("not sent") for c in waiting)
    assert not {c.child_id for c in waiting} & {o.client_order_id.value for o in rig.engine.cache.orders()}
    assert rig.answers == [CommandTaken("p-1")]


def test_a_cancel_does_not_wait_for_a_disk_that_does_not_answer() -> None:
    rig = Rig({"KRAKEN": DEEP}, scripted={"KRAKEN": rests})
    rig.ask("1", algo=Iceberg(display=D("0.5")), limit="59999.00", for_ms=60_000)
    rig.at(1_990, lambda: setattr(rig.journal, "hold", True))
    rig.command(2_000, CANCEL)
    rig.run(10_000)
    assert rig.clients["KRAKEN"].cancels == [made(rig)[0].child_id]
    assert rig.parent().state is ParentState.DONE
    assert rig.answers == []  # it was never told to be on disk


def test_an_amended_quantity_is_never_below_what_is_filled_open_or_unknown() -> None:
    def first_lost(order: Any, params: dict[str, Any], n: int) -> list[Step]:
        return [] if n == 2 else fills_whole(order, params, n)

    def outcome(order_id: str) -> OrderOutcome:
        now = rig.driver.clock.timestamp_ns()
        state = OrderState.OPEN if now < START + 12_000 * MS else OrderState.NOT_FOUND
        return OrderOutcome(client_order_id=order_id, state=state)

    rig = Rig({"KRAKEN": DEEP}, scripted={"KRAKEN": first_lost}, outcomes={"KRAKEN": outcome})
    rig.ask("2", algo=Twap(interval_ms=2_000, size_jitter=0.0, time_jitter=0.0))
    rig.command(7_000, AMEND, quantity=D("0.7"))  # 0.6 is filled, 0.2 unknown
    rig.command(7_100, AMEND, quantity=D("1"))
    rig.run()
    assert len(refusals(rig)) == 1 and "filled, open or unknown" in refusals(rig)[0]
    assert rig.answers[1] == CommandTaken("p-1")
    assert (rig.parent().quantity, rig.parent().filled) == (D(1), D(1))


def test_an_amended_limit_pulls_what_rests_and_lays_it_anew() -> None:
    rig = Rig({"KRAKEN": DEEP}, scripted={"KRAKEN": rests})
    slow_to_cancel(rig, "KRAKEN")
    rig.ask("1", algo=Iceberg(display=D("0.5")), limit="59999.00", for_ms=20_000)
    rig.command(3_000, AMEND, limit_price=D("59990.00"))
    rig.run(10_000)
    one, two = made(rig)
    assert (one.state, two.limit_price) == (ChildState.CANCELLED, D("59990.00"))
    assert two.created_ns >= one.updated_ns


def test_end_urgency_and_participation_can_be_amended_where_there_are_any() -> None:
    rig = Rig(BOTH)
    rig.ask("2", algo=TWAP, for_ms=60_000)
    rig.ask("2", algo=ArrivalPrice(interval_ms=1_000, urgency=0.1), for_ms=60_000, parent_id="p-2")
    rig.ask("2", algo=Pov(), for_ms=20_000, parent_id="p-3")
    rig.command(4_000, AMEND, end_ns=START + 10_000 * MS)
    rig.command(4_000, AMEND, "p-2", urgency=1.0)
    rig.command(4_000, AMEND, "p-3", participation=D("0.3"))
    rig.command(4_100, AMEND, urgency=0.5)
    rig.command(4_100, AMEND, "p-2", participation=D("0.3"))
    rig.command(4_100, AMEND, "p-3", participation=D("1.3"))
    rig.command(4_100, AMEND, "p-2", end_ns=START)
    rig.run(70_000)
    assert rig.answers[:3] == [CommandTaken("p-1"), CommandTaken("p-2"), CommandTaken("p-3")]
    assert len(refusals(rig)) == 4
    assert rig.parent().filled == D(2)
    assert max(child.created_ns for child in made(rig)) < START + 10_500 * MS
    early = sum((c.filled for c in made(rig, "p-2") if c.created_ns < START + 25_000 * MS), D(0))
    assert early > D("1.8")
    algo = rig.parent("p-3").algo
    assert isinstance(algo, Pov) and algo.participation == D("0.3")


def test_a_deadline_amended_while_it_is_paused_holds() -> None:
    rig = Rig(BOTH)
    rig.ask("2", algo=TWAP, for_ms=60_000)
    rig.command(3_000, PAUSE)
    rig.command(4_000, AMEND, deadline_ns=START + 8_000 * MS)
    rig.run(20_000)
    parent = rig.parent()
    assert parent.state is ParentState.DONE and parent.updated_ns == START + 8_000 * MS
    assert parent.reason == "hedge: deadline"


@pytest.mark.parametrize(
    ("amended", "why"),
    [
        ({"quantity": D("NaN")}, "greater than zero"),
        ({"quantity": D("-1")}, "greater than zero"),
        ({"limit_price": D(0)}, "greater than zero"),
        ({"limit_price": D("Infinity")}, "greater than zero"),
        ({"deadline_ns": START}, "future"),
        ({"end_ns": START + 90_000 * MS}, "not after the deadline"),
        ({"urgency": float("nan")}, "urgency"),
    ],
)
def test_a_senseless_amendment_changes_nothing(amended: dict[str, Any], why: str) -> None:
    rig = Rig(BOTH)
    rig.ask("2", algo=ArrivalPrice(interval_ms=1_000) if "urgency" in amended else TWAP)
    rig.command(3_000, AMEND, **amended)
    rig.run()
    (reason,) = refusals(rig)
    assert why in reason
    assert (rig.parent().quantity, rig.parent().filled) == (D(2), D(2))


def test_commands_to_nobody_are_refused() -> None:
    rig = Rig(BOTH)
    rig.command(1_000, PAUSE, "nobody")
    rig.ask("0.1")
    rig.command(3_000, RESUME)
    rig.run(5_000)
    assert refusals(rig) == ["no such parent order", "it is done"]


def test_asking_again_for_what_is_so_is_taken() -> None:
    rig = Rig(BOTH)
    rig.ask("2", algo=TWAP)
    rig.command(3_000, RESUME)
    rig.command(4_000, PAUSE)
    rig.command(5_000, PAUSE)
    rig.command(6_000, RESUME)
    rig.command(6_500, AMEND, quantity=D(2))
    rig.run()
    assert rig.answers == [CommandTaken("p-1")] * 5
    assert rig.parent().filled == D(2)


def test_a_paused_parent_is_still_paused_after_a_restart() -> None:
    from tests.conformance.test_router_algo_ends import restarted

    first = Rig(BOTH)
    first.ask("2", algo=TWAP, for_ms=25_000)
    first.command(5_000, PAUSE)
    first.run(6_000)
    second = restarted(first)
    second.command(12_000, RESUME)
    second.run(40_000)
    new = [child for child in made(second) if child.created_ns > START + 6_000 * MS]
    assert min(child.created_ns for child in new) >= START + 12_000 * MS
    assert second.parent().filled == D(2)
    ordered = sum((order.quantity.as_decimal() for order in second.engine.cache.orders()), Decimal(0))
    assert ordered == D(2) - first.parent().filled


def test_a_cancel_that_was_under_way_goes_on_after_a_restart() -> None:
    from tests.conformance.test_router_algo_ends import restarted

    first = Rig({"KRAKEN": DEEP}, scripted={"KRAKEN": rests})
    first.clients["KRAKEN"].cancel_order = lambda command: None
    first.ask("1", algo=Iceberg(display=D("0.5")), limit="59999.00", for_ms=60_000)
    first.command(2_000, CANCEL)
    first.run(2_500)
    assert first.parent().state is ParentState.CANCELLING
    second = restarted(first, books={"KRAKEN": DEEP}, scripted={"KRAKEN": rests}, outcomes={"KRAKEN": closed})
    second.run(5_000)
    assert second.parent().state is ParentState.DONE and second.parent().reason == "hedge: cancelled"
    assert second.clients["KRAKEN"].orders == []
