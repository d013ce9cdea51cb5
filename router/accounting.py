"""What reports do to parent and child orders: pure state transitions, in any order, any number of times.

Promises: an execution counts once by its (venue, symbol, trade id), also when it comes after the order was called finished (it is then
`late`: the truth beats the state); a finished order never opens again; what is filled, open or unknown is never planned a second time.
Amounts are exact. Nothing here has a clock or sends anything.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from adapters.nautilus.outcome import OrderOutcome, OrderState, VenueFill
from risk.exact import ZERO, add, times
from router.orders import ChildOrder, ChildState, ParentOrder, ParentState


class FillKind(StrEnum):
    """What an execution report turned out to be."""

    NEW = "new"
    DUPLICATE = "duplicate"  # counted before
    LATE = "late"  # new, for an order that was finished: counted, and worth an alert
    EXCESS = "excess"  # new, and more than was ordered: counted, and worth an alert


class Work(msgspec.Struct, kw_only=True):
    """A parent with its children and the executions counted so far."""

    parent: ParentOrder
    children: dict[str, ChildOrder] = msgspec.field(default_factory=dict)
    trades: set[tuple[str, str, str]] = msgspec.field(default_factory=set)
    alive: list[ChildOrder] = msgspec.field(default_factory=list)  # those not finished when last looked at
    ceiling: Decimal | None = None  # an algo's: no more than this may be filled, open or unknown for now

    rested: int = 0  # resting children so far
    rest_ended_ns: int = 0  # when the last of them was found to have ended

    def __post_init__(self) -> None:
        self.alive = list(self.children.values())
        self.rested = sum(child.resting for child in self.alive)

    @property
    def reserved(self) -> Decimal:
        """What open and unknown children may still fill."""
        total = ZERO
        for child in self.open:
            total = add(total, max(child.leaves, ZERO))
        return total

    @property
    def released(self) -> Decimal:
        """Filled, open or unknown."""
        return add(self.parent.filled, self.reserved)

    @property
    def free(self) -> Decimal:
        """What may be planned now: neither filled nor reserved, and below the ceiling. Never negative, even after an excess."""
        whole = self.parent.quantity if self.ceiling is None else min(self.parent.quantity, self.ceiling)
        return max(ZERO, add(whole, -self.released))

    @property
    def open(self) -> list[ChildOrder]:
        """Children that are not finished, oldest first. What is finished stays so: it is never looked at again."""
        alive = []
        for child in self.alive:
            if not child.state.terminal:
                alive.append(child)
            elif child.resting:
                self.rest_ended_ns = max(self.rest_ended_ns, child.updated_ns)
        self.alive = alive
        return list(alive)

    def sent_since(self, ts_ns: int) -> Decimal:
        """What children made at or after `ts_ns` have filled or may still fill."""
        total = ZERO
        for child in reversed(self.children.values()):
            if child.created_ns < ts_ns:
                break
            total = add(total, add(child.filled, max(child.leaves, ZERO)))
        return total


def add_child(work: Work, child: ChildOrder) -> None:
    """Take a new child in. Raises ValueError when it is more than may be planned: that would be a bug of the planner."""
    if child.child_id in work.children:
        raise ValueError(f"child {child.child_id} twice")
    if child.quantity <= 0 or child.quantity > work.free:
        raise ValueError(f"child {child.child_id} of {child.quantity} when {work.free} may be planned")
    work.children[child.child_id] = child
    work.alive.append(child)
    work.rested += child.resting


def send(child: ChildOrder, now_ns: int) -> bool:
    """The order leaves. False: it must not (it is no longer new)."""
    if child.state is not ChildState.NEW:
        return False
    _move(child, ChildState.SENT, now_ns)
    return True


def ack(child: ChildOrder, now_ns: int) -> bool:
    """The venue has it. Changes nothing once more is known; an unknown order stays unknown until it is proven finished."""
    if child.state not in (ChildState.NEW, ChildState.SENT):
        return False
    _move(child, ChildState.ACKED, now_ns)
    return True


def fill(work: Work, child: ChildOrder, execution: VenueFill, now_ns: int) -> FillKind:
    """Count an execution once, in the child and in the parent."""
    key = (execution.venue, execution.symbol, execution.trade_id)
    if key in work.trades:
        return FillKind.DUPLICATE
    work.trades.add(key)
    finished = child.state.terminal
    notional = times(execution.price, execution.quantity)
    child.filled = add(child.filled, execution.quantity)
    child.notional = add(child.notional, notional)
    work.parent.filled = add(work.parent.filled, execution.quantity)
    work.parent.notional = add(work.parent.notional, notional)
    work.parent.updated_ns = now_ns
    if child.filled >= child.quantity:
        child.reason = ""  # whatever was wrong with it (unknown, said to be cancelled): it filled
        _move(child, ChildState.FILLED, now_ns)
    elif not finished and child.state is not ChildState.UNKNOWN:
        _move(child, ChildState.PARTIAL, now_ns)
    else:
        child.updated_ns = now_ns
    if child.filled > child.quantity:
        return FillKind.EXCESS
    return FillKind.LATE if finished else FillKind.NEW


def finish(child: ChildOrder, state: ChildState, now_ns: int, reason: str = "") -> bool:
    """The order can fill no more: rejected, cancelled or expired. Changes nothing when it was finished before."""
    if child.state.terminal:
        return False
    if not state.terminal or state is ChildState.FILLED:
        raise ValueError(f"{state} does not finish an order; executions do")
    if state is ChildState.REJECTED and child.filled > 0:
        state = ChildState.CANCELLED  # something traded: it was not rejected, whatever the venue calls it
    child.reason = reason or child.reason
    _move(child, state, now_ns)
    return True


def lose(child: ChildOrder, now_ns: int, reason: str) -> bool:
    """Nobody knows what became of it: reserved until proven, never sent again."""
    if child.state.terminal or child.state is ChildState.UNKNOWN:
        return False
    child.reason = reason
    _move(child, ChildState.UNKNOWN, now_ns)
    return True


def resolve(work: Work, child: ChildOrder, outcome: OrderOutcome, now_ns: int) -> list[tuple[VenueFill, FillKind]]:
    """Take the venue's proven answer: its executions first, then the end of the order unless it is still open."""
    told = [(execution, fill(work, child, execution, now_ns)) for execution in outcome.fills]
    match outcome.state:
        case OrderState.NOT_FOUND:
            finish(child, ChildState.REJECTED, now_ns, outcome.reason or "the venue never had it")
        case OrderState.CLOSED:
            finish(child, ChildState.CANCELLED, now_ns, outcome.reason or "closed at the venue")
        case OrderState.OPEN:
            pass
    return told


def recount(work: Work) -> None:
    """Before recovery: forget the executions of unfinished children, because their proven outcome brings all of them again.

    The parent's sums are made anew from the children.
    """
    for child in work.open:
        child.filled = ZERO
        child.notional = ZERO
    parent = work.parent
    parent.filled = parent.notional = ZERO
    for child in work.children.values():
        parent.filled = add(parent.filled, child.filled)
        parent.notional = add(parent.notional, child.notional)


def close(work: Work, now_ns: int, reason: str = "") -> bool:
    """The parent is done. Only when no child can fill any more: False otherwise, or when it was done before."""
    parent = work.parent
    if parent.state is ParentState.DONE or work.open:
        return False
    parent.state = ParentState.DONE
    parent.reason = reason or parent.reason
    parent.updated_ns = now_ns
    return True


def _move(child: ChildOrder, state: ChildState, now_ns: int) -> None:
    child.state = state
    child.updated_ns = now_ns
