"""Parent and child accounting under arbitrary interleavings, duplicates and late reports, against a venue that never lies.

Invariants: Σ child filled = parent filled; an execution counts once; nothing finished opens again; filled + open + unknown ≤ parent
quantity as long as no venue reports the end of an order before its executions, and never more is planned than is free, whatever happens.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.nautilus.outcome import OrderOutcome, OrderState, VenueFill
from router import accounting
from router.accounting import FillKind, Work
from router.orders import ChildOrder, ChildState, ParentOrder, ParentState

D = Decimal
QUANTITY = 60
REPORTS = ("ack", "fill", "again", "cancel", "reject", "expire", "lose", "resolve", "not_found", "send")


def work_of(quantity: int = QUANTITY) -> Work:
    return Work(
        parent=ParentOrder(
            parent_id="p",
            symbol="BTC/USDT",
            side="buy",
            quantity=D(quantity),
            limit_price=None,
            deadline_ns=0,
            reason="hedge",
        )
    )


def child_of(n: int, quantity: Decimal) -> ChildOrder:
    return ChildOrder(
        child_id=f"c{n}",
        parent_id="p",
        venue="V",
        symbol="BTC/USDT",
        side="buy",
        quantity=quantity,
        limit_price=D(101),
    )


class TrueVenue:
    """What really happens to orders: executions never exceed an order, and stop when it ends."""

    def __init__(self) -> None:
        self.fills: dict[str, list[VenueFill]] = {}
        self.ended: set[str] = set()
        self.sent: set[str] = set()
        self._trades = 0

    def execute(self, child: ChildOrder, lots: int) -> VenueFill | None:
        done = sum((f.quantity for f in self.fills.get(child.child_id, [])), D(0))
        quantity = min(D(lots), child.quantity - done)
        if quantity <= 0 or child.child_id in self.ended or child.child_id not in self.sent:
            return None
        self._trades += 1
        execution = VenueFill(
            venue="V",
            symbol="BTC/USDT",
            client_order_id=child.child_id,
            trade_id=f"t{self._trades}",
            side="buy",
            price=D(100) + self._trades,
            quantity=quantity,
            fee=D(0),
            fee_currency="USDT",
            ts_ns=0,
        )
        self.fills.setdefault(child.child_id, []).append(execution)
        return execution


def check(work: Work) -> None:
    children = list(work.children.values())
    assert sum((c.filled for c in children), D(0)) == work.parent.filled
    assert sum((c.notional for c in children), D(0)) == work.parent.notional
    for child in children:
        assert 0 <= child.filled <= child.quantity
        assert (child.state is ChildState.FILLED) == (child.filled == child.quantity)
        assert child.leaves == (0 if child.state.terminal else child.quantity - child.filled)
    assert work.free >= 0


STEPS = st.lists(
    st.tuples(st.sampled_from(("plan", *REPORTS)), st.integers(0, 5), st.integers(1, 30), st.booleans()), max_size=80
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_reports_in_any_order_never_lose_or_double_an_execution(steps: list[tuple[str, int, int, bool]]) -> None:
    """`hold` delays the report of an execution: it comes after the end of its order, or twice, or only with the outcome."""
    work, venue = work_of(), TrueVenue()
    late: list[tuple[ChildOrder, VenueFill]] = []
    honest = True  # no order was called finished before all its executions were told
    terminal: dict[str, ChildState] = {}
    for what, index, lots, hold in steps:
        children = list(work.children.values())
        if what == "plan":
            quantity = min(D(lots), work.free)
            if quantity > 0:
                accounting.add_child(work, child_of(len(children), quantity))
            with pytest.raises(ValueError):
                accounting.add_child(work, child_of(len(children) + 1, work.free + 1))
            continue
        if not children:
            continue
        child = children[index % len(children)]
        match what:
            case "send":
                if accounting.send(child, 1):
                    venue.sent.add(child.child_id)
            case "ack":
                accounting.ack(child, 1)
            case "fill":
                if (execution := venue.execute(child, lots)) is not None:
                    if hold:
                        late.append((child, execution))
                    else:
                        finished = child.state.terminal
                        kind = accounting.fill(work, child, execution, 1)
                        assert kind is (FillKind.LATE if finished else FillKind.NEW)
            case "again":
                for execution in venue.fills.get(child.child_id, []):
                    if ("V", "BTC/USDT", execution.trade_id) in work.trades:
                        assert accounting.fill(work, child, execution, 1) is FillKind.DUPLICATE
            case "cancel" | "reject" | "expire":
                if child.child_id in venue.sent or what == "reject":
                    venue.ended.add(child.child_id)
                    honest = honest and not any(held is child for held, _ in late)
                    state = {
                        "cancel": ChildState.CANCELLED,
                        "reject": ChildState.REJECTED,
                        "expire": ChildState.EXPIRED,
                    }
                    accounting.finish(child, state[what], 1)
            case "lose":
                accounting.lose(child, 1, "timeout")
            case "resolve":
                venue.ended.add(child.child_id)
                told = tuple(venue.fills.get(child.child_id, []))
                answer = OrderOutcome(client_order_id=child.child_id, state=OrderState.CLOSED, fills=told)
                accounting.resolve(work, child, answer, 1)
                late = [(held, execution) for held, execution in late if held is not child or hold]
                assert child.state.terminal
            case "not_found":
                if child.child_id not in venue.sent:
                    venue.ended.add(child.child_id)
                    answer = OrderOutcome(client_order_id=child.child_id, state=OrderState.NOT_FOUND)
                    accounting.resolve(work, child, answer, 1)
        check(work)
        for other in work.children.values():
            before = terminal.get(other.child_id)
            assert before is None or other.state in (before, ChildState.FILLED)
            if other.state.terminal:
                terminal[other.child_id] = other.state
        if honest:
            assert work.parent.filled + work.reserved <= work.parent.quantity
    for child, execution in late:
        accounting.fill(work, child, execution, 1)
    for child in work.children.values():
        for execution in venue.fills.get(child.child_id, []):
            assert accounting.fill(work, child, execution, 1) is FillKind.DUPLICATE
    check(work)
    assert work.parent.filled == sum((f.quantity for fills in venue.fills.values() for f in fills), D(0))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 10), min_size=1, max_size=6), st.integers(0, 6), st.integers(0, 6))
def test_recovery_counts_each_execution_of_an_outcome_once(sizes: list[int], known: int, booked: int) -> None:
    """However many executions the journalled child knew of, the venue's full answer gives the same sums."""
    work, venue = work_of(sum(sizes)), TrueVenue()
    child = child_of(0, D(sum(sizes)))
    accounting.add_child(work, child)
    accounting.send(child, 1)
    venue.sent.add("c0")
    fills = [execution for size in sizes if (execution := venue.execute(child, size)) is not None]
    for execution in fills[:known]:
        accounting.fill(work, child, execution, 1)
    if child.state.terminal:
        return
    found = Work(parent=work.parent, children={child.child_id: child})
    accounting.recount(found)
    accounting.lose(child, 2, "restart")
    answer = OrderOutcome(client_order_id="c0", state=OrderState.CLOSED, fills=tuple(fills))
    accounting.resolve(found, child, answer, 3)
    accounting.resolve(found, child, answer, 4)
    assert child.filled == found.parent.filled == sum(sizes)
    assert child.notional == sum((f.price * f.quantity for f in fills), D(0))
    assert accounting.close(found, 5) and found.parent.state is ParentState.DONE
    assert not accounting.close(found, 6)


def test_an_unknown_order_stays_unknown_until_it_is_proven() -> None:
    work = work_of()
    child = child_of(0, D(10))
    accounting.add_child(work, child)
    accounting.send(child, 1)
    assert accounting.lose(child, 2, "timeout")
    assert not accounting.ack(child, 3)
    assert (child.state, work.reserved, work.free) == (ChildState.UNKNOWN, 10, 50)
    part = TrueVenue()
    part.sent.add("c0")
    execution = part.execute(child, 4)
    assert execution is not None
    accounting.fill(work, child, execution, 4)
    assert (child.state, work.reserved, work.free) == (ChildState.UNKNOWN, 6, 50)
    assert not accounting.close(work, 5)
    accounting.resolve(work, child, OrderOutcome(client_order_id="c0", state=OrderState.OPEN), 5)
    assert child.state is ChildState.UNKNOWN
    accounting.resolve(work, child, OrderOutcome(client_order_id="c0", state=OrderState.NOT_FOUND), 6)
    assert (child.state, work.free) == (ChildState.CANCELLED, 56)  # something traded: it was not "never there"


def test_more_than_was_ordered_is_counted_and_called_excess() -> None:
    work = work_of()
    child = child_of(0, D(10))
    accounting.add_child(work, child)
    fill = VenueFill(
        venue="V",
        symbol="BTC/USDT",
        client_order_id="c0",
        trade_id="x",
        side="buy",
        price=D(100),
        quantity=D(11),
        fee=D(0),
        fee_currency="USDT",
        ts_ns=0,
    )
    assert accounting.fill(work, child, fill, 1) is FillKind.EXCESS
    assert (child.filled, work.parent.filled, work.free) == (11, 11, 49)


def test_an_order_that_traded_was_not_rejected() -> None:
    work = work_of()
    child = child_of(0, D(10))
    accounting.add_child(work, child)
    accounting.send(child, 1)
    venue = TrueVenue()
    venue.sent.add("c0")
    execution = venue.execute(child, 3)
    assert execution is not None
    accounting.fill(work, child, execution, 1)
    assert accounting.finish(child, ChildState.REJECTED, 2, "too late")
    assert (child.state, child.reason) == (ChildState.CANCELLED, "too late")
    assert not accounting.finish(child, ChildState.EXPIRED, 3)
    assert not accounting.send(child, 4)
    with pytest.raises(ValueError):
        accounting.finish(child_of(1, D(1)), ChildState.FILLED, 1)
