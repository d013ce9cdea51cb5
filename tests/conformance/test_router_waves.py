"""LPs before, with and after venues on the real engine; what waits is planned anew, and nothing is ever taken twice."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from adapters.nautilus.lp import LpQuote, LpRfq
from adapters.nautilus.outcome import OrderOutcome, OrderState
from router.costs.scorecards import Scorecards, TcaParameters
from router.costs.shortfall import CostLine, LineKind
from router.experience import Experience
from router.messages import CommandKind
from router.orders import ChildOrder, ChildState, ParentState
from router.parameters import RouterParameters
from tests.conformance.router_rig import MS, START, D, Rig, Step, fills_whole, rejects

BOTH = {
    "BINANCE": ([("59999.00", "50")], [("60000.00", "0.3"), ("60100.00", "50")]),
    "KRAKEN": ([("59998.00", "50")], [("60000.50", "0.3"), ("60101.00", "50")]),
}


def two_sizes(half: str = "60020", whole: str = "60035", valid_ms: int = 2_000) -> Callable[[LpRfq, int], LpQuote]:
    """An LP whose whole size is dearer than its half: a plan for both venues and the half is the best."""

    def quote(rfq: LpRfq, now: int) -> LpQuote:
        price = D(whole) if rfq.quantity == 1 else D(half)
        return LpQuote(
            lp="LPX", rfq_id=rfq.rfq_id, quote_id=f"q-{rfq.rfq_id}", symbol=rfq.symbol, bid=price, ask=price,
            quantity=rfq.quantity, valid_until_ns=now + valid_ms * MS, ts_ns=now,
        )  # fmt: skip

    return quote


def after(ms: int) -> Callable[[Any, dict[str, Any], int], list[Step]]:
    """Accepted, and filled whole at the limit after a while."""

    def plan(order: Any, params: dict[str, Any], n: int) -> list[Step]:
        return [(5, "accept", ()), (ms, "fill", (str(order.quantity), str(order.price), f"t-{order.client_order_id}"))]

    return plan


def silent(order: Any, params: dict[str, Any], n: int) -> list[Step]:
    return []


def refusing(n: int = 30) -> Experience:
    """LPX has refused before."""
    scores = Scorecards(TcaParameters())
    for i in range(n):
        scores.child(
            CostLine(
                kind=LineKind.CHILD, parent_id="p", child_id=f"c{i}", venue="LPX", lp=True, symbol="BTC/USDT", side="buy",
                state="rejected", quantity=D(1), filled=D(0), notional=D(0), arrival=None, created_ns=START, ended_ns=START,
                hold_ns=80 * MS,
            )
        )  # fmt: skip
    return Experience(scores, lambda symbol: 0.0, 0)


def a_rig(**more: Any) -> Rig:
    """Venues that answer in 40 ms unless the test says otherwise, and the LP."""
    scripted = {"BINANCE": after(40), "KRAKEN": after(40), "LPX": fills_whole} | more.pop("scripted", {})
    rig = Rig(BOTH, scripted=scripted, lps={"LPX": more.pop("quote", two_sizes())}, **more)
    rig.ask("1")
    return rig


def whole(rig: Rig) -> dict[str, list[ChildOrder]]:
    assert rig.parent().state is ParentState.DONE and rig.parent().filled == 1, rig.parent()
    assert rig.state.reservations == {}
    return {name: rig.children_at(name) for name in ("BINANCE", "KRAKEN", "LPX")}


def test_a_firm_quote_waits_for_the_venues_and_is_taken_without_asking_again() -> None:
    made = whole(rig := a_rig().run())
    assert [sum(child.filled for child in at) for at in made.values()] == [D("0.3"), D("0.2"), D("0.5")]
    ended = max(child.updated_ns for name in ("BINANCE", "KRAKEN") for child in made[name])
    assert made["LPX"][0].created_ns == ended  # at once, without a pause
    assert len(rig.lps["LPX"].asked) == 2 and rig.parent().attempts == 1
    assert {made["LPX"][0].why, made["BINANCE"][0].why} == {
        "LPX last: its quote is good for 1990 ms, and for 1 should venues fall short"
    }


def test_when_the_venues_fall_short_the_larger_quote_is_taken() -> None:
    rig = a_rig(scripted={"BINANCE": rejects, "KRAKEN": rejects}).run()
    made = whole(rig)
    assert [child.filled for child in made["LPX"]] == [1]
    assert len(rig.lps["LPX"].asked) == 2 and rig.parent().attempts == 1


def test_venues_that_were_just_swept_are_not_believed_in_the_same_breath() -> None:
    """Their books still show what was taken; only the LP may give the rest, and a plan of its own the remainder."""

    def some(order: Any, params: dict[str, Any], n: int) -> list[Step]:
        if n > 1:
            return fills_whole(order, params, n)
        return [
            (5, "accept", ()),
            (6, "fill", ("0.1", str(order.price), f"t-{order.client_order_id}")),
            (7, "cancel", ()),
        ]

    rig = a_rig(scripted={"BINANCE": some, "KRAKEN": some}).run()
    made = whole(rig)
    assert made["LPX"][0].quantity == D("0.5")
    assert not [c for name in ("BINANCE", "KRAKEN") for c in made[name] if c.created_ns == made["LPX"][0].created_ns]
    assert rig.parent().attempts == 2


def test_an_lp_that_refuses_often_is_asked_first_and_the_venues_wait() -> None:
    rig = a_rig(experience=refusing(), scripted={"LPX": after(80)}).run()
    made = whole(rig)
    assert "first: it refuses" in made["LPX"][0].why
    assert all(child.created_ns == made["LPX"][0].updated_ns for name in ("BINANCE", "KRAKEN") for child in made[name])


def test_its_refusal_goes_to_the_venues_at_once() -> None:
    rig = a_rig(experience=refusing(), scripted={"LPX": rejects}).run()
    made = whole(rig)
    assert made["LPX"][0].state is ChildState.REJECTED
    assert made["BINANCE"][0].created_ns == made["LPX"][0].updated_ns
    assert rig.parent().attempts == 1


def test_the_venues_wait_no_longer_than_agreed_and_what_the_lp_holds_stays_reserved() -> None:
    def outcome(order_id: str) -> OrderOutcome:
        return OrderOutcome(client_order_id=order_id, state=OrderState.NOT_FOUND)

    rig = a_rig(
        experience=refusing(),
        scripted={"LPX": silent},
        outcomes={"LPX": outcome},
        parameters=RouterParameters(lp_hold_ms=120, child_timeout_ms=600),
    ).run()
    made = whole(rig)
    lost = made["LPX"][0]
    assert {child.created_ns - lost.created_ns for name in ("BINANCE", "KRAKEN") for child in made[name][:1]} == {
        120 * MS
    }
    early = [c for name in ("BINANCE", "KRAKEN") for c in made[name] if c.created_ns < lost.created_ns + 600 * MS]
    assert sum(child.quantity for child in early) <= D("0.5")  # the rest was the LP's until proven otherwise
    assert len(rig.clients["LPX"].orders) == 1


def test_a_slow_venue_does_not_cost_the_quote() -> None:
    rig = a_rig(scripted={"KRAKEN": after(1_990)}).run()
    made = whole(rig)
    assert made["LPX"][0].created_ns < made["KRAKEN"][0].updated_ns
    assert made["LPX"][0].filled == D("0.5")
    # quoted at 500 ms for 2 s: it leaves while an order can still arrive
    assert made["LPX"][0].created_ns == START + (2_500 - 60 - 1) * MS


def test_a_pause_drops_what_waits_and_the_resume_plans_anew() -> None:
    rig = a_rig()
    rig.command(530, CommandKind.PAUSE)
    rig.command(1_500, CommandKind.RESUME)
    rig.run()
    made = whole(rig)
    assert all(child.created_ns >= START + 1_500 * MS for child in made["LPX"])
    assert rig.parent().attempts == 2 and len(rig.lps["LPX"].asked) > 2


@pytest.mark.parametrize("how", ["cancel", "halt", "deadline"])
def test_what_waits_is_not_sent_once_the_parent_ends(how: str) -> None:
    scripted = {"BINANCE": after(40), "KRAKEN": after(40), "LPX": fills_whole}
    rig = Rig(BOTH, scripted=scripted, lps={"LPX": two_sizes()})
    rig.ask("1", for_ms=30 if how == "deadline" else 20_000)
    if how == "cancel":
        rig.command(530, CommandKind.CANCEL)
    elif how == "halt":
        rig.at(530, lambda: rig.router.on_halt("test"))
    rig.run()
    assert rig.parent().state is ParentState.DONE
    assert not rig.children_at("LPX") and rig.state.reservations == {}


@pytest.mark.parametrize("order", ["first", "together", "last"])
def test_the_configured_order_is_kept(order: str) -> None:
    made = whole(a_rig(parameters=RouterParameters(lp_order=order)).run())
    lp, venues = made["LPX"][0].created_ns, {c.created_ns for name in ("BINANCE", "KRAKEN") for c in made[name]}
    match order:
        case "first":
            assert lp < min(venues)
        case "together":
            assert venues == {lp}
        case _:
            assert lp > max(venues)


def test_an_amendment_between_the_waves_is_kept_to() -> None:
    rig = a_rig()
    rig.command(530, CommandKind.AMEND, quantity=D("0.7"))
    rig.run()
    assert rig.parent().state is ParentState.DONE and rig.parent().filled == D("0.7")
    assert sum((child.filled for child in rig.children_at("LPX")), D(0)) <= D("0.2")


def notional(child: ChildOrder) -> Decimal:
    return child.quantity * child.limit_price


TINY = {
    "BINANCE": ([("59999.00", "50")], [("60000.00", "0.001"), ("60001.00", "50")]),
    "KRAKEN": ([("59998.00", "50")], [("60000.50", "50")]),
}


@pytest.mark.parametrize("least", ["0", "1000"])
def test_no_child_is_worth_less_than_the_least_clip(least: str) -> None:
    rig = Rig(TINY, parameters=RouterParameters(min_clip={"USDT": D(least)}))
    rig.ask("1")
    rig.run()
    assert rig.parent().filled == 1
    small = [child for child in rig.journal.children.values() if notional(child) < 1_000]
    assert bool(small) is (least == "0")


def test_what_finishes_a_parent_may_be_less_than_the_least_clip() -> None:
    rig = Rig(TINY, parameters=RouterParameters(min_clip={"USDT": D(1_000)}))
    rig.ask("0.002")
    rig.run()
    assert rig.parent().filled == D("0.002")
    assert len(rig.journal.children) == 1


def test_a_dust_quote_of_an_lp_is_left_alone() -> None:
    rig = a_rig(quote=two_sizes("59000", "60090"), parameters=RouterParameters(min_clip={"USDT": D(40_000)}))
    rig.run()
    assert rig.parent().filled == 1
    assert all(child.quantity == 1 for child in rig.children_at("LPX"))  # a half is worth 29,500
