"""Halts, restarts and chaos while an algorithm works: no more is filled than asked for, and nothing is left lying."""

from __future__ import annotations

from copy import copy
from random import Random
from typing import Any

import pytest
from nautilus_trader.model.enums import TimeInForce

from adapters.nautilus import topics
from adapters.nautilus.outcome import OrderOutcome
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
    Vwap,
)
from router.messages import CommandKind
from router.orders import ChildState, ParentState
from router.parameters import RouterParameters
from tests.conformance.router_algos import BOTH, DEEP, TERMINAL, TWAP, made, rests, slow_to_cancel
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
    venue_fill,
)


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
