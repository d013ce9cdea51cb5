"""The trail of every order from its arrival to its end, and the cost lines that come of it.

    parent new → its children, each with what was seen when it was decided → executions → child done → its line
    parent done → its line: the children's parts summed, and the opportunity that was missed

An execution that comes after a line was made makes the line anew, and its parent's, with the next revision. Told of
everything in the order the router publishes it; memory is bounded: finished parents beyond `KEPT` are forgotten, the
oldest first. No clock, no bus.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

import msgspec

from adapters.nautilus.outcome import VenueFill
from desk.tca.tape import Mark, TradedVolume
from risk.exact import ZERO, add, times
from router.costs.shortfall import (
    CostLine,
    Decision,
    LineKind,
    Parts,
    Traded,
    child_parts,
    parent_parts,
    saved_by_cross,
)
from router.orders import INTERNAL, ChildOrder, ChildState, ParentOrder, ParentState

KEPT = 2_000


class Sight(Protocol):
    """What the trail must be able to see."""

    def decision(self, child: ChildOrder, now_ns: int) -> Decision:
        """What is seen of a new child now."""

    def fair(self, symbol: str, now_ns: int) -> Decimal | None:
        """Fair value now."""

    def rate(self, currency: str, quote: str, now_ns: int) -> Decimal | None:
        """What one unit of `currency` is worth in `quote`, None when nobody knows."""

    def elsewhere(self, symbol: str, side: str, now_ns: int) -> tuple[Decimal, Decimal] | None:
        """(price, fee bps) of the cheapest venue."""


class _Child(msgspec.Struct):
    order: ChildOrder
    decision: Decision | None
    elsewhere: tuple[Decimal, Decimal] | None
    start: Mark | None
    traded: Traded = msgspec.field(default_factory=Traded)
    sent_ns: int = 0
    heard_ns: int = 0
    line: CostLine | None = None


class _Parent(msgspec.Struct):
    order: ParentOrder
    start: Mark | None  # None: from an earlier run, what traded before is not known
    children: dict[str, _Child] = msgspec.field(default_factory=dict)
    line: CostLine | None = None
    done_ns: int = 0
    end: Decimal | None = None
    end_mark: Mark | None = None


class Trail:
    """`on_…` take the router's messages and give the lines that became due."""

    def __init__(self, sight: Sight, tape: TradedVolume) -> None:
        self._sight = sight
        self._tape = tape
        self._parents: OrderedDict[str, _Parent] = OrderedDict()
        self._of_child: dict[str, str] = {}
        self.strays = 0  # executions of orders that are not known here

    def adopt(self, parent: ParentOrder, children: list[ChildOrder], fills: list[VenueFill], now_ns: int) -> None:
        """Go on with a parent of an earlier run: what was seen then is gone, what was executed is not."""
        known = self._parents[parent.parent_id] = _Parent(parent, None)
        for order in children:
            known.children[order.child_id] = _Child(order, None, None, None)
            self._of_child[order.child_id] = parent.parent_id
        for fill in fills:
            child = known.children.get(fill.client_order_id)
            if child is not None:
                self._count(child, fill, now_ns)
        for child in known.children.values():
            if child.order.state.terminal:
                child.line = self._child_line(known, child, child.order.updated_ns)

    def on_parent(self, order: ParentOrder, now_ns: int) -> list[CostLine]:
        """A parent is new, has changed, or is done."""
        known = self._parents.get(order.parent_id)
        if known is None:
            known = self._parents[order.parent_id] = _Parent(order, self._tape.mark(order.symbol))
        known.order = order
        if order.state is not ParentState.DONE or known.line is not None:
            return []
        known.done_ns, known.end = now_ns, self._sight.fair(order.symbol, now_ns)
        known.end_mark = self._tape.mark(order.symbol)
        known.line = self._parent_line(known, 0)
        self._forget()
        return [known.line]

    def on_child(self, order: ChildOrder, now_ns: int) -> list[CostLine]:
        """A child is new, has changed, or is done."""
        parent = self._parents.get(order.parent_id)
        if parent is None:
            return []
        child = parent.children.get(order.child_id)
        if child is None:
            child = self._begin(parent, order, now_ns)
        child.order = order
        match order.state:
            case ChildState.NEW | ChildState.UNKNOWN:
                pass
            case ChildState.SENT:
                child.sent_ns = now_ns
            case _:
                child.heard_ns = child.heard_ns or now_ns
        if not order.state.terminal or child.line is not None:
            return []
        child.line = self._child_line(parent, child, now_ns)
        return [child.line]

    def on_fill(self, fill: VenueFill, now_ns: int) -> list[CostLine]:
        """An execution; lines only when it came late."""
        parent = self._parents.get(self._of_child.get(fill.client_order_id, ""))
        if parent is None:
            self.strays += 1
            return []
        child = parent.children[fill.client_order_id]
        child.heard_ns = child.heard_ns or now_ns
        self._count(child, fill, now_ns)
        if child.line is None:
            return []
        child.line = self._child_line(parent, child, child.line.ended_ns, child.line.revision + 1)
        if parent.line is None:
            return [child.line]
        parent.line = self._parent_line(parent, parent.line.revision + 1)
        return [child.line, parent.line]

    # ---- inside ----------

    def _begin(self, parent: _Parent, order: ChildOrder, now_ns: int) -> _Child:
        decision = self._sight.decision(order, now_ns) if order.state is ChildState.NEW else None
        elsewhere = self._sight.elsewhere(order.symbol, order.side, now_ns) if order.venue == INTERNAL else None
        child = parent.children[order.child_id] = _Child(order, decision, elsewhere, self._tape.mark(order.symbol))
        self._of_child[order.child_id] = order.parent_id
        return child

    def _count(self, child: _Child, fill: VenueFill, now_ns: int) -> None:
        base, _, quote = fill.symbol.partition("/")
        known = fill.fee_currency in (base, quote)
        rate = None if known else self._sight.rate(fill.fee_currency, quote, now_ns)
        child.traded.fill(fill.price, fill.quantity, fill.fee, fill.fee_currency, fill.symbol, rate)

    def _arrival(self, parent: _Parent) -> Decimal | None:
        """Fair value at arrival; without one, at the first decision."""
        if parent.order.arrival_mid is not None:
            return parent.order.arrival_mid
        seen = (child.decision.mid for child in parent.children.values() if child.decision is not None)
        return next((mid for mid in seen if mid is not None), None)

    def _child_line(self, parent: _Parent, child: _Child, ended_ns: int, revision: int = 0) -> CostLine:
        order, traded, decision = child.order, child.traded, child.decision
        arrival = self._arrival(parent)
        parts, expected, saved = Parts(fees=traded.fees), ZERO, ZERO
        if arrival is not None:
            parts, expected = child_parts(
                side=order.side, arrival=arrival, decision=decision, limit_price=order.limit_price, traded=traded
            )
        if child.elsewhere is not None and decision is not None and decision.mid is not None:
            saved = saved_by_cross(order.side, decision.mid, *child.elsewhere, traded.quantity)
        quantity, notional = self._market(child.start, self._tape.mark(order.symbol))
        return CostLine(
            kind=LineKind.INTERNAL if order.venue == INTERNAL else LineKind.CHILD,
            parent_id=order.parent_id,
            child_id=order.child_id,
            venue=order.venue,
            lp=bool(order.quote_id),
            resting=order.resting,
            quote_id=order.quote_id,
            symbol=order.symbol,
            side=order.side,
            account=parent.order.account,
            rfq_id=parent.order.rfq_id,
            algo=_algo(parent.order),
            state=order.state.value,
            reason=order.reason,
            quantity=order.quantity,
            filled=traded.quantity,
            notional=traded.notional,
            arrival=arrival,
            mid=None if decision is None else decision.mid,
            touch=None if decision is None else decision.touch,
            basis=ZERO if arrival is None else times(arrival, traded.quantity),
            parts=parts,
            expected=expected,
            saved=saved,
            unpriced=dict(traded.unpriced),
            market_quantity=quantity,
            market_notional=notional,
            noise_bps=0.0 if decision is None else decision.noise_bps,
            latency_ns=child.heard_ns - child.sent_ns if child.sent_ns and child.heard_ns else -1,
            hold_ns=ended_ns - child.sent_ns if child.sent_ns else -1,
            haircut_ppm=order.haircut_ppm,
            created_ns=order.created_ns,
            ended_ns=ended_ns,
            revision=revision,
        )

    def _parent_line(self, parent: _Parent, revision: int) -> CostLine:
        order, arrival = parent.order, self._arrival(parent)
        lines = [child.line for child in parent.children.values() if child.line is not None]
        unpriced: dict[str, Decimal] = {}
        for line in lines:
            for currency, fee in line.unpriced.items():
                unpriced[currency] = add(unpriced.get(currency, ZERO), fee)
        parts = Parts(fees=_total(lines, lambda line: line.parts.fees))
        if arrival is not None:
            parts = parent_parts(
                side=order.side, arrival=arrival, end=parent.end, quantity=order.quantity, children=lines
            )
        quantity, notional = self._market(parent.start, parent.end_mark)
        return CostLine(
            kind=LineKind.PARENT,
            parent_id=order.parent_id,
            symbol=order.symbol,
            side=order.side,
            account=order.account,
            rfq_id=order.rfq_id,
            algo=_algo(order),
            state=order.state.value,
            reason=order.reason,
            quantity=order.quantity,
            filled=_total(lines, lambda line: line.filled),
            notional=_total(lines, lambda line: line.notional),
            arrival=arrival,
            end=parent.end,
            basis=ZERO if arrival is None else times(arrival, order.quantity),
            parts=parts,
            expected=_total(lines, lambda line: line.expected),
            saved=_total(lines, lambda line: line.saved),
            unpriced=unpriced,
            market_quantity=quantity,
            market_notional=notional,
            benchmark=_benchmark(order),
            created_ns=order.created_ns,
            ended_ns=parent.done_ns,
            revision=revision,
        )

    def _market(self, start: Mark | None, end: Mark | None) -> tuple[Decimal, Decimal]:
        return (ZERO, ZERO) if start is None or end is None else self._tape.between(start, end)

    def _forget(self) -> None:
        """Keep the newest finished parents for late executions."""
        excess = len(self._parents) - KEPT
        if excess <= 0:
            return
        for parent_id in [key for key, parent in self._parents.items() if parent.line is not None][:excess]:
            for child_id in self._parents.pop(parent_id).children:
                self._of_child.pop(child_id, None)


def _total(lines: list[CostLine], value: Callable[[CostLine], Decimal]) -> Decimal:
    total = ZERO
    for line in lines:
        total = add(total, value(line))
    return total


def _algo(order: ParentOrder) -> str:
    """The name of the execution algorithm, "sweep" when there is none."""
    spec = order.algo
    return "sweep" if spec is None else str(spec.__struct_config__.tag)


def _benchmark(order: ParentOrder) -> dict[str, float]:
    """What an algorithm's parent came to against its schedule and the market, without what could not be measured."""
    if order.benchmark is None:
        return {}
    told = order.benchmark.report(
        side=order.side, filled=order.filled, notional=order.notional, arrival=order.arrival_mid
    )
    return {name: value for name, value in msgspec.structs.asdict(told).items() if value is not None}
