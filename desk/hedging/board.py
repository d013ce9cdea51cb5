"""The board of parent and child orders: what the blotter shows and the report counts, fed by the router's topics."""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal

from adapters.nautilus.outcome import VenueFill
from desk.api.desk_messages import ChildView, HedgeCounts, ParentView, VenueHedges
from router.algos.spec import name_of
from router.orders import ChildOrder, ChildState, ParentOrder

MAX_PARENTS = 100


class HedgeBoard:
    """Counts everything since the desk's first day (`start` carries what earlier runs did), keeps the newest parents."""

    def __init__(self) -> None:
        self.counts = HedgeCounts()
        self._parents: OrderedDict[str, ParentOrder] = OrderedDict()
        self._children: dict[str, OrderedDict[str, ChildOrder]] = {}
        self._states: dict[str, ChildState] = {}

    def start(self, counts: HedgeCounts, open_parents: list[tuple[ParentOrder, list[ChildOrder]]]) -> None:
        """Take over from the ledger at start."""
        self.counts = counts
        for parent, children in open_parents:
            self._parents[parent.parent_id] = parent
            self._children[parent.parent_id] = OrderedDict((child.child_id, child) for child in children)
            self._states.update({child.child_id: child.state for child in children})

    def on_parent(self, parent: ParentOrder) -> None:
        """A parent is new or has changed."""
        if parent.parent_id not in self._parents:
            self.counts.parents += 1
            self._children[parent.parent_id] = OrderedDict()
        self._parents[parent.parent_id] = parent
        self._parents.move_to_end(parent.parent_id)
        while len(self._parents) > MAX_PARENTS:
            gone, _ = self._parents.popitem(last=False)
            for child_id in self._children.pop(gone, {}):
                self._states.pop(child_id, None)

    def on_child(self, child: ChildOrder) -> None:
        """A child is new or has changed."""
        venue = self.counts.by_venue.setdefault(child.venue, VenueHedges())
        before = self._states.get(child.child_id)
        if before is None:
            self.counts.children += 1
            venue.children += 1
        if child.state is ChildState.REJECTED and before is not ChildState.REJECTED:
            venue.rejects += 1
        self._states[child.child_id] = child.state
        self._children.setdefault(child.parent_id, OrderedDict())[child.child_id] = child

    def on_fill(self, fill: VenueFill) -> None:
        """A child filled."""
        base = fill.symbol.split("/")[0]
        venue = self.counts.by_venue.setdefault(fill.venue, VenueHedges())
        self.counts.fills += 1
        venue.fills += 1
        venue.quantity[base] = f"{Decimal(venue.quantity.get(base, '0')) + fill.quantity:f}"

    def view(self) -> HedgeCounts:
        """The counts with what is open and unknown right now."""
        states = self._states.values()
        self.counts.open = sum(not state.terminal for state in states)
        self.counts.unknown = sum(state is ChildState.UNKNOWN for state in states)
        return self.counts

    def newest(self, n: int) -> list[ParentView]:
        """The last `n` parents with their children, newest first."""
        return [_parent_view(parent, self._children[key]) for key, parent in list(reversed(self._parents.items()))[:n]]


def _parent_view(parent: ParentOrder, children: OrderedDict[str, ChildOrder]) -> ParentView:
    return ParentView(
        parent_id=parent.parent_id,
        instrument=parent.symbol,
        side=parent.side,
        quantity=f"{parent.quantity:f}",
        filled=f"{parent.filled:f}",
        average_price=_average(parent.notional, parent.filled),
        arrival_price=f"{parent.arrival_mid:f}" if parent.arrival_mid is not None else None,
        state=parent.state.value,
        reason=parent.reason,
        created_ns=parent.created_ns,
        updated_ns=parent.updated_ns,
        children=[_child_view(child) for child in children.values()],
        algo=name_of(parent.algo),
        due=_due(parent),
        ends_ns=None if parent.standing is None else parent.standing.until_ns,
    )


def _due(parent: ParentOrder) -> str | None:
    """What the schedule wants filled by now, to eight decimals; None when there is none."""
    if parent.benchmark is None or parent.benchmark.due < 0:
        return None
    due = Decimal(str(parent.benchmark.due)) * parent.quantity
    return f"{due.quantize(Decimal('0.00000001')).normalize():f}"


def _child_view(child: ChildOrder) -> ChildView:
    return ChildView(
        child_id=child.child_id,
        parent_id=child.parent_id,
        venue=child.venue,
        instrument=child.symbol,
        side=child.side,
        quantity=f"{child.quantity:f}",
        filled=f"{child.filled:f}",
        limit_price=f"{child.limit_price:f}",
        average_price=_average(child.notional, child.filled),
        state=child.state.value,
        reason=child.reason,
        created_ns=child.created_ns,
        updated_ns=child.updated_ns,
        why=child.why,
    )


def _average(notional: Decimal, filled: Decimal) -> str | None:
    return f"{(notional / filled).quantize(Decimal('0.00000001')).normalize():f}" if filled else None
