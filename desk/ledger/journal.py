"""The router's durable memory (`router.messages.Journal`), kept in the ledger.

A child order is sent from `then`, after its record is on disk; a record that could not be written is never sent, and
a fault says so. An execution is a fact of the outside world: it counts in memory at once, is booked exactly once by
(venue, symbol, trade id), and its write is repeated until it succeeds.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from sqlalchemy import Connection, bindparam, func, select

from adapters.nautilus.outcome import VenueFill
from desk.ledger import rows, schema
from desk.ledger.book import INVENTORY, Totals, currencies, desk_part, fill_postings
from desk.ledger.pnl import Pnl
from desk.ledger.records import LedgerCounts, VenueCounts
from desk.ledger.store import Store, Write
from router.orders import ChildOrder, ChildState, ParentOrder, ParentState

_RECORD = schema.journal.insert()
_POST = schema.postings.insert()
_PARENT_STATE = select(schema.parents.c.state).where(schema.parents.c.parent_id == bindparam("id"))
_CHILD_STATE = select(schema.children.c.state).where(schema.children.c.child_id == bindparam("id"))
_FILL = select(schema.fills.c.ts_ns).where(
    schema.fills.c.venue == bindparam("venue"),
    schema.fills.c.symbol == bindparam("symbol"),
    schema.fills.c.trade_id == bindparam("trade_id"),
)


class RouterJournal:
    """Parents, children and executions. One thread calls it."""

    def __init__(self, store: Store, totals: Totals, pnl: Pnl, counts: LedgerCounts) -> None:
        self._store = store
        self._totals = totals
        self._pnl = pnl
        self.counts = counts
        self._owners: dict[str, rows.Owner] = {}  # of parents still working
        self._pending_fills: set[str] = set()  # counted in memory, not on disk yet

    def parent(self, parent: ParentOrder, then: Callable[[], None] | None = None) -> None:
        """Write a parent order's state."""
        if parent.state is ParentState.DONE:
            self._owners.pop(parent.parent_id, None)
        else:
            self._owners[parent.parent_id] = rows.owner_of(parent)
        text = rows.body(parent)
        row = rows.parent_row(parent, text)
        event = rows.event_row("parent", parent.parent_id, parent.updated_ns, text)

        def run(conn: Connection) -> bool:
            new = conn.execute(_PARENT_STATE, {"id": row["parent_id"]}).first() is None
            schema.upsert(conn, schema.parents, row)
            conn.execute(_RECORD, event)
            return new

        def done(new: object) -> None:
            self.counts.parents += bool(new)
            if then is not None:
                then()

        self._write(f"parent order {parent.parent_id} was not written", run, done)

    def child(self, child: ChildOrder, then: Callable[[], None] | None = None) -> None:
        """Write a child order's state; the order is sent from `then`, never before."""
        text = rows.body(child)
        row = rows.child_row(child, text)
        event = rows.event_row("child", child.child_id, child.updated_ns, text)
        venue, state = child.venue, child.state

        def run(conn: Connection) -> str | None:
            before = conn.execute(_CHILD_STATE, {"id": row["child_id"]}).scalar()
            schema.upsert(conn, schema.children, row)
            conn.execute(_RECORD, event)
            return before

        def done(before: object) -> None:
            self._count_child(venue, None if before is None else ChildState(before), state)
            if then is not None:
                then()

        self._write(f"child order {child.child_id} was not written and is not sent", run, done)

    def fill(self, fill: VenueFill, parent_id: str) -> bool:
        """Book an execution exactly once: the same (venue, symbol, trade_id) again changes nothing and gives False."""
        return self._book(fill, self._owner(parent_id))

    def cross(self, fill: VenueFill, parent: ParentOrder, child: ChildOrder) -> bool:
        """Book an internal cross with the child it fills and its parent, all three or none; False: booked before."""
        text, child_text = rows.body(parent), rows.body(child)
        parent_row, child_row = rows.parent_row(parent, text), rows.child_row(child, child_text)
        events = [
            rows.event_row("parent", parent.parent_id, parent.updated_ns, text),
            rows.event_row("child", child.child_id, child.updated_ns, child_text),
        ]

        def orders(conn: Connection) -> None:
            schema.upsert(conn, schema.parents, parent_row)
            schema.upsert(conn, schema.children, child_row)
            conn.execute(_RECORD, events)

        if not self._book(fill, rows.owner_of(parent), orders):
            return False
        self._count_child(child.venue, None, child.state)
        return True

    def _book(
        self, fill: VenueFill, owner: rows.Owner, orders: Callable[[Connection], None] = lambda _conn: None
    ) -> bool:
        """Count an execution in memory and write it down, `orders` with it; False: it was booked before."""
        ref = rows.fill_ref(fill)
        if ref in self._pending_fills or self._booked(fill):
            return False
        commission = owner.commission(fill)
        lines = fill_postings(fill, owner.account, commission)
        text = rows.body(fill)
        row = rows.fill_row(fill, owner, text)
        posted = rows.posting_rows("fill", ref, fill.ts_ns, lines)
        event = rows.event_row("fill", ref, fill.ts_ns, text)
        self._pending_fills.add(ref)
        self._totals.apply(lines)
        self._fold(fill, owner.account, owner.arrival, commission)

        def run(conn: Connection) -> bool:
            if not schema.insert_new(conn, schema.fills, row):
                return False
            orders(conn)
            conn.execute(_POST, posted)
            conn.execute(_RECORD, event)
            return True

        def done(_new: object) -> None:
            self._pending_fills.discard(ref)

        def failed(error: Exception) -> None:
            self._store.on_fault(f"execution {ref} is not on disk; memory and ledger differ until a restart", error)

        self._store.submit(Write(run, done, failed, fact=True))
        return True

    def open_parents(self) -> list[tuple[ParentOrder, list[ChildOrder]]]:
        """Parents not done at the last stop, with their children, for recovery; oldest first."""
        table = schema.parents
        found = self._store.read(
            select(table.c.body)
            .where(table.c.state != ParentState.DONE.value)
            .order_by(table.c.created_ns, table.c.parent_id)
        )
        parents = [rows.parent_from(row.body) for row in found]
        self._owners |= {parent.parent_id: rows.owner_of(parent) for parent in parents}
        return [(parent, self.children(parent.parent_id)) for parent in parents]

    def children(self, parent_id: str) -> list[ChildOrder]:
        """The children of a parent, in the order they were made."""
        table = schema.children
        found = self._store.read(
            select(table.c.body).where(table.c.parent_id == parent_id).order_by(table.c.created_ns, table.c.child_id)
        )
        return [rows.child_from(row.body) for row in found]

    def restore(self) -> None:
        """Fold what is on disk into totals, P&L and counts, once, when the ledger is opened."""
        fills = schema.fills.c
        for arrival, account, earned, text in self._store.read(
            select(fills.arrival, fills.account, fills.commission, fills.body)
        ):
            fill, account, commission = rows.fill_from(text), account or INVENTORY, Decimal(earned or 0)
            self._totals.apply(fill_postings(fill, account, commission))
            self._fold(fill, account, None if arrival is None else Decimal(arrival), commission)
        self.counts.parents = self._store.read(select(func.count()).select_from(schema.parents))[0][0]
        table = schema.children
        for name, state, number in self._store.read(
            select(table.c.venue, table.c.state, func.count()).group_by(table.c.venue, table.c.state)
        ):
            self._count_child(name, None, ChildState(state), number)

    # ---- counting --------------------------------------------------------------------------------

    def venue(self, name: str) -> VenueCounts:
        """The counts of one venue or LP."""
        return self.counts.by_venue.setdefault(name, VenueCounts())

    def _fold(self, fill: VenueFill, account: str, arrival: Decimal | None, commission: Decimal) -> None:
        """Count an execution, and its part in the desk's profit and loss."""
        own = desk_part(fill, account)
        if own is not None:
            self._pnl.fill(own, arrival if own is fill else fill.price)
        self._pnl.commission(currencies(fill.symbol)[1], commission)
        venue = self.venue(fill.venue)
        base = currencies(fill.symbol)[0]
        venue.fills += 1
        venue.quantity[base] = venue.quantity.get(base, Decimal(0)) + fill.quantity
        self.counts.fills += 1

    def _count_child(self, name: str, before: ChildState | None, after: ChildState, number: int = 1) -> None:
        counts, venue = self.counts, self.venue(name)
        if before is None:
            counts.children += number
            venue.children += number
        counts.open += number * ((not after.terminal) - (before is not None and not before.terminal))
        counts.unknown += number * ((after is ChildState.UNKNOWN) - (before is ChildState.UNKNOWN))
        venue.rejects += number * ((after is ChildState.REJECTED) - (before is ChildState.REJECTED))

    def _booked(self, fill: VenueFill) -> bool:
        key = {"venue": fill.venue, "symbol": fill.symbol, "trade_id": fill.trade_id}
        return bool(self._store.read(_FILL, key))

    def _owner(self, parent_id: str) -> rows.Owner:
        if parent_id in self._owners:
            return self._owners[parent_id]
        found = self._store.read(select(schema.parents.c.body).where(schema.parents.c.parent_id == parent_id))
        return rows.owner_of(rows.parent_from(found[0].body)) if found else rows.Owner(parent_id=parent_id)

    def _write(self, sentence: str, run: Callable[[Connection], object], done: Callable[[object], None]) -> None:
        self._store.submit(Write(run, done, lambda error: self._store.on_fault(sentence, error)))
