"""The smart order router inside the engine: sweeps, LP quotes, re-routing, unknown outcomes, halts, recovery."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from nautilus_trader.model.enums import OrderSide, TimeInForce

from adapters.nautilus import topics
from adapters.nautilus.outcome import OrderOutcome, OrderState
from adapters.nautilus.standing import AccountStanding
from risk.decision import Refused
from risk.limits import RiskLimits, SymbolLimits
from risk.state import TradingState
from router.orders import ChildState, ParentState
from router.parameters import RouterParameters
from tests.conformance.router_rig import (
    MS,
    START,
    SYMBOL,
    D,
    Rig,
    Step,
    closed,
    fills_whole,
    firm,
    left_behind,
    rejects,
    venue_fill,
)

BINANCE = ([("59999.00", "5")], [("60000.00", "0.4"), ("60001.00", "0.3"), ("60010.00", "5")])
KRAKEN = ([("59998.00", "5")], [("60000.50", "0.5"), ("60002.00", "5")])
BOTH = {"BINANCE": BINANCE, "KRAKEN": KRAKEN}
TERMINAL = {ChildState.FILLED, ChildState.CANCELLED, ChildState.REJECTED, ChildState.EXPIRED}


def test_a_sweep_takes_the_best_levels_of_two_venues() -> None:
    rig = Rig(BOTH)
    rig.ask("1.2")
    rig.run()
    parent = rig.parent()
    assert (parent.state, parent.filled, parent.attempts) == (ParentState.DONE, D("1.2"), 1)
    assert sum(c.filled for c in rig.children_at("BINANCE")) == D("0.7")
    assert sum(c.filled for c in rig.children_at("KRAKEN")) == D("0.5")
    assert parent.notional == D("0.4") * 60_000 + D("0.3") * 60_001 + D("0.5") * D("60000.50")
    assert parent.arrival_mid is not None
    assert {fill.fee_currency for fill in rig.driver.fills} == {"USDT"}
    assert all(fill.fee > 0 for fill in rig.driver.fills)
    assert all(len(child.child_id) <= 18 and child.child_id.isalnum() for child in rig.driver.children)


def test_no_order_leaves_before_its_record_is_durable() -> None:
    rig = Rig(BOTH)
    rig.journal.hold = True
    rig.ask("0.5")
    rig.at(600, rig.journal.flush)  # the parent is durable: its child is made and waits
    rig.at(900, lambda: seen.append(len(rig.engine.cache.orders())))
    rig.at(1_000, rig.journal.flush)
    seen: list[int] = []
    rig.run()
    assert seen == [0]
    assert rig.parent().filled == D("0.5")


def test_an_lp_takes_its_whole_quote_and_the_venues_the_rest() -> None:
    rig = Rig(
        {"BINANCE": ([("59999.00", "5")], [("60000.00", "0.6"), ("60050.00", "5")])}, lps={"LPX": firm("LPX", "60040")}
    )
    rig.ask("1")
    rig.run()
    (child,) = rig.children_at("LPX")
    order, params = rig.clients["LPX"].orders[0]
    assert child.state is ChildState.FILLED and params == {"quote_id": child.quote_id}
    assert order.time_in_force == TimeInForce.FOK
    assert child.quantity == D("0.5")  # half from the LP, half from the venue's first level
    assert sum(c.filled for c in rig.children_at("BINANCE")) == D("0.5")
    assert rig.parent().filled == D(1)
    assert {rfq.quantity for rfq in rig.lps["LPX"].asked} == {D(1), D("0.5")}


def test_an_lp_whose_ladder_is_down_is_not_asked() -> None:
    rig = Rig(BOTH, lps={"LPX": firm("LPX", "50000")})
    rig.lps["LPX"].up = False
    rig.ask("0.5")
    rig.run()
    assert rig.lps["LPX"].asked == []
    assert rig.parent().filled == D("0.5")


def test_a_silent_lp_delays_a_plan_no_longer_than_agreed() -> None:
    rig = Rig(BOTH, lps={"LPX": lambda rfq, now: None}, parameters=RouterParameters(lp_wait_ms=120))
    rig.ask("0.5")
    rig.run()
    assert rig.lps["LPX"].asked
    first = next(child for child in rig.driver.children if child.state is ChildState.NEW)
    assert first.created_ns == START + 620 * MS
    assert rig.parent().filled == D("0.5")


def test_a_quote_that_ends_too_soon_is_not_used() -> None:
    rig = Rig(BOTH, lps={"LPX": firm("LPX", "50000", valid_ms=40)}, parameters=RouterParameters(quote_margin_ms=60))
    rig.ask("0.5")
    rig.run()
    assert rig.children_at("LPX") == []
    assert rig.parent().filled == D("0.5")


def test_a_partial_fill_is_routed_again() -> None:
    def half(order: Any, params: dict[str, Any], n: int) -> list[Step]:
        part = f"{order.quantity.as_decimal() / 2:.5f}"
        return [(5, "accept", ()), (6, "fill", (part, str(order.price), f"t{n}")), (7, "cancel", ())]

    rig = Rig(BOTH, scripted={"KRAKEN": half, "BINANCE": fills_whole})
    rig.ask("1.2")
    rig.run()
    parent = rig.parent()
    assert parent.filled == D("1.2") and parent.attempts >= 2
    first = rig.children_at("KRAKEN")[0]
    assert (first.state, first.filled) == (ChildState.CANCELLED, D("0.25"))


def test_a_reject_is_routed_elsewhere() -> None:
    rig = Rig(BOTH, scripted={"BINANCE": rejects, "KRAKEN": fills_whole})
    rig.ask("1.2")
    rig.run()
    assert rig.parent().filled == D("1.2")
    assert sum(c.filled for c in rig.children_at("KRAKEN")) == D("1.2")
    assert rig.children_at("BINANCE")[0].reason == "insufficient funds"
    rejected = rig.children_at("BINANCE")[0]
    later = [c for c in rig.children_at("KRAKEN") if c.created_ns > rejected.updated_ns]
    assert sum(c.quantity for c in later) == rejected.quantity


def test_a_last_look_reject_of_an_lp_goes_to_the_venues() -> None:
    rig = Rig(BOTH, scripted={"LPX": rejects}, lps={"LPX": firm("LPX", "59000")})
    rig.ask("0.5")
    rig.run()
    assert rig.children_at("LPX")[0].state is ChildState.REJECTED
    assert rig.parent().filled == D("0.5")
    assert len(rig.clients["LPX"].orders) == 1  # left out while the rest was planned


def test_a_timeout_is_unknown_nothing_is_sent_again_and_the_late_fill_counts_once() -> None:
    def silent(order: Any, params: dict[str, Any], n: int) -> list[Step]:
        return [(9_000, "fill", ("0.50000", "60000.50", "late"))]  # long after the query has told of it

    def outcome(order_id: str) -> OrderOutcome:
        now = rig.driver.clock.timestamp_ns()
        if now < START + 6_000 * MS:
            return OrderOutcome(client_order_id=order_id, state=OrderState.OPEN)
        return closed(order_id, venue_fill("KRAKEN", order_id, "0.5", "late", "60000.50"))

    rig = Rig(BOTH, scripted={"KRAKEN": silent, "BINANCE": fills_whole}, outcomes={"KRAKEN": outcome})
    rig.ask("1.2")
    unknown: list[Any] = []
    rig.at(4_000, lambda: unknown.append((rig.children_at("KRAKEN")[0].state, rig.parent().filled)))
    rig.run()
    assert unknown == [(ChildState.UNKNOWN, D("0.7"))]
    assert len(rig.clients["KRAKEN"].orders) == 1
    assert len(rig.clients["KRAKEN"].queries) >= 2  # still open the first time: asked again
    parent, (child,) = rig.parent(), rig.children_at("KRAKEN")
    assert (parent.state, parent.filled) == (ParentState.DONE, D("1.2"))
    assert (child.state, child.filled) == (ChildState.FILLED, D("0.5"))
    assert [fill.trade_id for fill in rig.driver.fills].count("late") == 1
    assert rig.state.position("BTC") == D("1.2")
    assert sum(len(client.orders) for client in rig.clients.values()) == 2


def test_an_unknown_order_that_the_venue_never_had_frees_its_leaves() -> None:
    def not_found(order_id: str) -> OrderOutcome:
        return OrderOutcome(client_order_id=order_id, state=OrderState.NOT_FOUND)

    def first_lost(order: Any, params: dict[str, Any], n: int) -> list[Step]:
        return [] if n == 1 else fills_whole(order, params, n)

    rig = Rig({"KRAKEN": KRAKEN}, scripted={"KRAKEN": first_lost}, outcomes={"KRAKEN": not_found})
    rig.ask("0.5")
    rig.run()
    first, second = rig.children_at("KRAKEN")
    assert (first.state, first.filled) == (ChildState.REJECTED, 0)
    assert second.created_ns > first.updated_ns and second.filled == D("0.5")
    assert rig.parent().filled == D("0.5")


def test_the_engines_word_unknown_is_not_a_rejection() -> None:
    def called_unknown(order: Any, params: dict[str, Any], n: int) -> list[Step]:
        return [(5, "reject", ("UNKNOWN",))]

    def outcome(order_id: str) -> OrderOutcome:
        return closed(order_id, venue_fill("KRAKEN", order_id, "0.5", "x1"))

    rig = Rig({"KRAKEN": KRAKEN}, scripted={"KRAKEN": called_unknown}, outcomes={"KRAKEN": outcome})
    rig.ask("0.5")
    rig.run()
    assert ChildState.UNKNOWN in {child.state for child in rig.driver.children}
    assert len(rig.clients["KRAKEN"].orders) == 1
    assert rig.parent().filled == D("0.5")


def test_a_fill_after_the_end_of_an_order_still_counts_once() -> None:
    def cancelled_then_filled(order: Any, params: dict[str, Any], n: int) -> list[Step]:
        if n > 1:
            return fills_whole(order, params, n)
        return [(5, "accept", ()), (6, "cancel", ())]

    rig = Rig({"KRAKEN": KRAKEN}, scripted={"KRAKEN": cancelled_then_filled})
    rig.ask("0.5")

    def late() -> None:
        order, _ = rig.clients["KRAKEN"].orders[0]
        rig.clients["KRAKEN"].do(order, "fill", "0.5", "60000", "late")
        rig.clients["KRAKEN"].do(order, "fill", "0.5", "60000", "late")

    rig.at(5_000, late)
    rig.run()
    first = rig.children_at("KRAKEN")[0]
    assert (first.state, first.filled) == (ChildState.FILLED, D("0.5"))
    assert "late" in first.reason
    assert rig.parent().filled == D(1)  # more than was asked: the truth
    assert rig.state.position("BTC") == D(1)
    assert [fill.trade_id for fill in rig.driver.fills].count("late") == 1


def test_a_halt_cancels_what_is_open_and_sends_nothing_new() -> None:
    def resting(order: Any, params: dict[str, Any], n: int) -> list[Step]:
        return [(5, "accept", ())]

    rig = Rig(BOTH, scripted={"KRAKEN": resting, "BINANCE": rejects})
    rig.ask("1.2")

    def halt() -> None:
        rig.state.set_trading(TradingState.HALTED, "operator")
        rig.driver.bus.send(topics.ROUTER_HALT, "operator")

    rig.at(520, halt)
    rig.ask("0.3", at_ms=2_000, parent_id="p-2")
    rig.run()
    assert rig.clients["KRAKEN"].cancels == [rig.children_at("KRAKEN")[0].child_id]
    assert {child.state for child in rig.journal.children.values()} <= TERMINAL
    assert all(child.created_ns <= START + 520 * MS for child in rig.journal.children.values())
    assert rig.parent().state is ParentState.DONE and "halted: operator" in rig.parent().reason
    assert rig.parent("p-2").state is ParentState.DONE and rig.parent("p-2").filled == 0
    assert rig.state.reservations == {}


def test_a_child_waiting_for_the_disk_does_not_leave_after_a_halt() -> None:
    rig = Rig(BOTH)
    rig.journal.hold = True
    rig.ask("0.5")
    rig.at(600, rig.journal.flush)
    rig.at(700, lambda: rig.driver.bus.send(topics.ROUTER_HALT, "operator"))
    rig.at(800, rig.journal.flush)
    rig.run()
    assert rig.engine.cache.orders() == []
    assert {child.state for child in rig.journal.children.values()} == {ChildState.REJECTED}
    assert rig.state.reservations == {}


def test_a_child_whose_record_is_not_written_in_time_never_leaves() -> None:
    rig = Rig(BOTH)
    rig.ask("0.5", for_ms=6_000)
    rig.at(499, lambda: setattr(rig.journal, "hold", True))
    rig.at(600, rig.journal.flush)
    rig.at(8_000, rig.journal.flush)  # much too late
    rig.run()
    assert rig.engine.cache.orders() == []
    assert {child.state for child in rig.journal.children.values()} == {ChildState.REJECTED}
    assert all("durable" in child.reason or "deadline" in child.reason for child in rig.journal.children.values())


def test_a_parent_whose_record_is_not_written_is_given_back_at_its_deadline() -> None:
    rig = Rig(BOTH)
    rig.journal.hold = True
    rig.ask("0.5", for_ms=2_000)
    rig.at(5_000, rig.journal.flush)
    rig.run()
    assert rig.parent().state is ParentState.DONE and rig.journal.children == {}


def test_a_halted_venue_and_a_halted_lp_are_left_out() -> None:
    rig = Rig(BOTH, lps={"LPX": firm("LPX", "50000")})
    for name in ("BINANCE", "LPX"):
        rig.state.set_trading(TradingState.HALTED, "maintenance", venue=name)
    rig.ask("0.5")
    rig.run()
    assert rig.lps["LPX"].asked == []
    assert {child.venue for child in rig.journal.children.values()} == {"KRAKEN"}
    assert rig.parent().filled == D("0.5")


def test_a_venue_that_takes_no_orders_of_ours_is_left_out_until_it_does() -> None:
    rig = Rig(BOTH)

    def tell(refusing: str) -> None:
        standing = AccountStanding(
            venue="BINANCE", connected=True, reason="", live_orders=0, orders_by="rest", switch="", refusing=refusing
        )
        rig.driver.bus.publish(topics.STANDING, standing)

    rig.at(100, lambda: tell("credentials refused: no trade permission"))
    rig.ask("0.5")
    rig.at(3_000, lambda: tell(""))
    rig.ask("1.5", at_ms=3_500, parent_id="p-2")
    rig.run(10_000)
    venues = [(child.parent_id, child.venue) for child in rig.journal.children.values()]
    assert {venue for parent, venue in venues if parent == "p-1"} == {"KRAKEN"}
    assert "BINANCE" in {venue for parent, venue in venues if parent == "p-2"}


def test_the_deadline_gives_the_rest_back() -> None:
    rig = Rig({"BINANCE": ([("59999.00", "5")], [("60000.00", "0.4")])})
    rig.ask("1", for_ms=1_500)
    rig.run(5_000)
    parent = rig.parent()
    assert (parent.state, parent.filled) == (ParentState.DONE, D("0.4"))
    assert parent.reason == "hedge: deadline"
    assert parent.updated_ns == START + 2_000 * MS


def test_a_parent_that_finds_nothing_is_given_back_with_the_reason() -> None:
    rig = Rig({"BINANCE": ([("59999.00", "5")], [("60000.00", "0.4")])}, parameters=RouterParameters(max_attempts=3))
    rig.ask("1")
    rig.run(10_000)
    parent = rig.parent()
    assert (parent.state, parent.filled) == (ParentState.DONE, D("0.4"))
    assert "3 plans in a row filled nothing" in parent.reason


def test_the_limit_of_the_parent_is_never_crossed() -> None:
    rig = Rig(BOTH)
    rig.ask("3", limit="60000.60", for_ms=2_000)
    rig.run(5_000)
    assert rig.parent().filled == D("0.9")
    assert all(child.limit_price <= D("60000.60") for child in rig.journal.children.values())
    assert all(fill.price <= D("60000.60") for fill in rig.driver.fills)


def test_what_the_gate_refuses_is_not_sent() -> None:
    rig = Rig(BOTH, limits=RiskLimits(max_position={"BTC": D("0.1")}))
    rig.ask("1", for_ms=2_000)
    rig.run(5_000)
    assert rig.engine.cache.orders() == []
    refused = [decision for decision in rig.driver.decisions if isinstance(decision, Refused)]
    assert refused and {decision.check for decision in refused} == {"position"}
    assert "position" in rig.parent().reason or "deadline" in rig.parent().reason


def test_a_parent_larger_than_one_child_may_be_is_worked_in_clips() -> None:
    rig = Rig(BOTH, limits=RiskLimits(default=SymbolLimits(max_child_quantity=D("0.5"))))
    rig.ask("1.2")
    rig.run()
    assert rig.parent().filled == D("1.2") and rig.parent().attempts >= 3
    assert max(child.quantity for child in rig.journal.children.values()) <= D("0.5")


def test_dust_is_given_back_at_once() -> None:
    rig = Rig(BOTH)
    rig.ask("0.00005")  # 3 USDT, where 5 is the least
    rig.run(5_000)
    assert rig.journal.children == {}
    assert rig.parent().state is ParentState.DONE and "below" in rig.parent().reason


def test_a_child_costs_no_more_than_the_account_has() -> None:
    rig = Rig(BOTH, balances=("20000", "0"))
    rig.ask("1.2", for_ms=2_000)
    rig.run(5_000)
    assert {child.state for child in rig.journal.children.values()} <= {ChildState.FILLED, ChildState.CANCELLED}
    assert D("0.6") < rig.parent().filled < D("0.67")  # 2 × 20 000 USDT


def test_a_sale_hits_the_bids() -> None:
    rig = Rig(BOTH)
    rig.state.set_position("BTC", D(2))
    rig.ask("2", side="sell")
    rig.run()
    assert rig.parent().filled == D(2)
    assert {fill.side for fill in rig.driver.fills} == {"sell"}
    assert rig.parent().notional == D(2) * 59_999
    assert rig.state.position("BTC") == 0


def test_a_new_child_of_the_last_run_is_queried_and_never_sent_again() -> None:
    def not_found(order_id: str) -> OrderOutcome:
        return OrderOutcome(client_order_id=order_id, state=OrderState.NOT_FOUND)

    rig = Rig(
        BOTH,
        scripted={"KRAKEN": fills_whole},
        outcomes={"KRAKEN": not_found},
        left=[left_behind(ChildState.NEW, "KRAKEN", "0.5")],
    )
    held: list[Any] = []
    rig.at(10, lambda: held.append(rig.state.firm.ahead("BTC", D(1))))
    rig.run()
    assert held[0] >= D("0.5")  # reserved while it is unknown
    assert rig.clients["KRAKEN"].queries == ["KoldN1"]
    assert rig.journal.children["KoldN1"].state is ChildState.REJECTED
    assert "KoldN1" not in [order.client_order_id.value for order, _ in rig.clients["KRAKEN"].orders]
    assert rig.parent("p-old").filled == D(1)
    assert sum(child.filled for child in rig.journal.children.values()) == D(1)


def test_fills_found_at_recovery_are_booked_once_also_when_they_were_booked_before() -> None:
    first, second = venue_fill("KRAKEN", "KoldN1", "0.2", "a"), venue_fill("KRAKEN", "KoldN1", "0.3", "b")
    rig = Rig(
        {"BINANCE": BINANCE, "KRAKEN": KRAKEN},
        scripted={"KRAKEN": fills_whole},
        outcomes={"KRAKEN": lambda order_id: closed(order_id, first, second)},
        left=[left_behind(ChildState.PARTIAL, "KRAKEN", "0.5", filled="0.2")],
    )
    rig.journal.fill(first, "p-old")  # the crash came after this one
    rig.state.set_position("BTC", D("0.2"))
    rig.run()
    child = rig.journal.children["KoldN1"]
    assert (child.state, child.filled) == (ChildState.FILLED, D("0.5"))
    assert [fill.trade_id for fill in rig.driver.fills if fill.client_order_id == "KoldN1"] == ["b"]
    assert rig.parent("p-old").filled == D(1)
    assert rig.state.position("BTC") == D(1)
    assert rig.state.reservations == {}


def test_a_parent_found_after_its_deadline_is_closed_once_its_child_is_proven() -> None:
    parent, children = left_behind(ChildState.SENT, "KRAKEN", "0.5")
    parent.deadline_ns = START - 1
    rig = Rig(
        BOTH,
        scripted={"KRAKEN": fills_whole},
        outcomes={"KRAKEN": lambda order_id: closed(order_id, venue_fill("KRAKEN", order_id, "0.5", "a"))},
        left=[(parent, children)],
    )
    rig.run(5_000)
    assert (rig.parent("p-old").state, rig.parent("p-old").filled) == (ParentState.DONE, D("0.5"))
    assert rig.clients["KRAKEN"].orders == []


def test_the_same_parent_twice_is_worked_once() -> None:
    rig = Rig(BOTH)
    rig.ask("0.5")
    rig.ask("0.5", at_ms=700)
    rig.run()
    assert rig.parent().filled == D("0.5")
    assert rig.state.position("BTC") == D("0.5")


def test_two_runs_with_the_same_epoch_do_the_same() -> None:
    def story() -> list[Any]:
        rig = Rig(BOTH, lps={"LPX": firm("LPX", "60003")})
        rig.ask("1")
        rig.ask("0.7", at_ms=1_200, side="sell", parent_id="p-2")
        rig.run()
        return [*rig.driver.children, *rig.driver.parents, *rig.driver.fills]

    assert story() == story()


@pytest.mark.parametrize(("quantity", "side"), [("NaN", "buy"), ("0", "buy"), ("-1", "buy"), ("1", "short")])
def test_a_senseless_parent_is_given_back(quantity: str, side: str) -> None:
    rig = Rig(BOTH)
    rig.ask(quantity, side=side)
    rig.run(2_000)
    assert rig.parent().state is ParentState.DONE and "no sense" in rig.parent().reason
    assert rig.journal.children == {}


@pytest.mark.parametrize("seed", range(8))
def test_whatever_venues_do_nothing_is_sent_twice_or_filled_twice(seed: int) -> None:
    """Venues and an LP that accept, fill in parts, cancel, reject, fall silent and report late, but never lie about what happened."""
    dice = Random(seed)
    truth: dict[str, list[Any]] = {}
    ended: dict[str, int] = {}
    rig: Rig

    def behave(order: Any, params: dict[str, Any], n: int) -> list[Step]:
        order_id, quantity, price = order.client_order_id.value, order.quantity.as_decimal(), str(order.price)
        assert order_id not in truth
        truth[order_id] = []
        whole = bool(params.get("quote_id"))
        if dice.random() < 0.25:
            return [(5, "reject", ("no",))]
        steps: list[Step] = [(5, "accept", ())]
        parts = (
            [quantity] if whole else [(quantity * D(dice.randint(1, 9)) / 20).quantize(D("0.00001")) for _ in range(2)]
        )
        silent = dice.random() < 0.3
        for i, part in enumerate(parts):
            if part <= 0 or dice.random() < 0.2:
                continue
            trade = f"{order_id}-{i}"
            side = "buy" if order.side == OrderSide.BUY else "sell"
            venue = order.instrument_id.venue.value
            truth[order_id].append(venue_fill(venue, order_id, f"{part}", trade, price, side))
            told = 10 + i if not silent else 3_500 + dice.randint(0, 8_000)
            steps.append((told, "fill", (f"{part}", price, trade)))
        if not silent:
            steps.append((50, "cancel", ()))
        ended[order_id] = n
        return steps

    def outcome(order_id: str) -> OrderOutcome:
        return closed(order_id, *truth[order_id])

    venues = {"BINANCE": behave, "KRAKEN": behave, "LPX": behave}
    rig = Rig(BOTH, scripted=venues, outcomes=dict.fromkeys(venues, outcome), lps={"LPX": firm("LPX", "60002")})
    for n in range(5):
        rig.ask("1.2", at_ms=500 + 1_500 * n, side="buy" if n % 2 else "sell", parent_id=f"p-{n}")
    rig.run(40_000)
    orders = [order.client_order_id.value for client in rig.clients.values() for order, _ in client.orders]
    assert len(orders) == len(set(orders)) >= 5
    filled = sum((fill.quantity for fills in truth.values() for fill in fills), D(0))
    assert sum((fill.quantity for fill in rig.driver.fills), D(0)) == filled
    assert sum((parent.filled for parent in rig.journal.parents.values()), D(0)) == filled
    for parent in rig.journal.parents.values():
        assert parent.state is ParentState.DONE and parent.filled <= parent.quantity
    signed = sum((fill.quantity if fill.side == "buy" else -fill.quantity for fill in rig.driver.fills), D(0))
    assert rig.state.position("BTC") == signed
    assert {child.state for child in rig.journal.children.values()} <= TERMINAL
    assert rig.state.reservations == {}


def test_a_symbol_without_a_book_is_given_back() -> None:
    rig = Rig(BOTH)
    rig.ask("1")
    rig.books.pop(SYMBOL)
    rig.run(3_000)
    assert rig.parent().state is ParentState.DONE and "no book" in rig.parent().reason
