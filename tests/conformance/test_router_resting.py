"""Algorithms that rest inside the engine: icebergs and pegs lie at one venue, move, and are counted once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from nautilus_trader.model.enums import TimeInForce

from adapters.nautilus.outcome import OrderOutcome, OrderState
from router.algos.spec import (
    Iceberg,
    Peg,
    Pegged,
)
from router.messages import CommandKind
from router.orders import ChildState, ParentState
from tests.conformance.router_algos import BOTH, DEEP, made, rests
from tests.conformance.router_rig import (
    MS,
    START,
    D,
    Rig,
    Step,
)


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
