"""`Ledger`: the desk's durable memory and its books. No client is told, and no order leaves, before it is here.

A trade, the state of its request, the fate of its quotes and its double-entry postings become durable in one
transaction; a trade id, a client's order id and a quote make one trade each, for ever. Money is exact, and Σ over
all accounts is zero in each currency, always. All methods are called from one thread (the loop); `then` callbacks
come back through `on_done`, in the order of the calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from sqlalchemy import Connection, and_, bindparam, or_, select

from adapters.nautilus.outcome import VenueFill
from desk.ledger import recovery, rows, schema
from desk.ledger.book import trade_postings
from desk.ledger.journal import RouterJournal
from desk.ledger.memory import Books
from desk.ledger.queries import Queries
from desk.ledger.records import GLOBAL, DuplicateTrade, Halt, LedgerSnapshot
from desk.ledger.store import Dispatch, Store, Write
from desk.orders.records import OrderRecord
from desk.rfq.records import QuoteRecord, RfqRecord, TradeRecord
from router.orders import ChildOrder, ParentOrder

Then = Callable[[Exception | None], None]

_RECORD = schema.journal.insert()
_POST = schema.postings.insert()
_REACHED = select(schema.rfqs.c.reached).where(schema.rfqs.c.rfq_id == bindparam("id"))
_TAKE = schema.quotes.update().where(schema.quotes.c.quote_id == bindparam("id")).values(state="traded")
_VOID = (
    schema.quotes.update()
    .where(schema.quotes.c.quote_id == bindparam("id"), schema.quotes.c.state == "live")
    .values(state="void")
)


def _nobody(_error: Exception | None) -> None:
    """Nobody waits for this write."""


class LedgerBroken(RuntimeError):
    """The books do not add up: a bug or a damaged file. Nothing may be traded on them."""


class Ledger(Books, Queries):
    """An open ledger. `url`: sqlite:///path, sqlite:// (memory) or postgresql://…; `inline`: commit in the caller
    (replay).
    """

    def __init__(
        self, url: str, *, inline: bool = False, on_done: Dispatch | None = None, pnl_currency: str = "USDT"
    ) -> None:
        Books.__init__(self, pnl_currency)
        Queries.__init__(self, Store(url, inline=inline, on_done=on_done))
        self._journal = RouterJournal(self._store, self._totals, self._pnl, self._counts)
        self._restore()

    # ---- the desk's records ----------------------------------------------------------------------

    def save_rfq(self, record: RfqRecord, then: Then = _nobody) -> None:
        """Write a request's state."""
        self.save_quotes(record, (), then)

    def save_rfq_state(self, record: RfqRecord, then: Then = _nobody, *, quotes_voided: Iterable[str] = ()) -> None:
        """Write a request's new state and void quotes that died with it."""
        write = self._rfq_write(record)
        voided = list(quotes_voided)

        def run(conn: Connection) -> object:
            fresh = write(conn)
            _void(conn, voided)
            return fresh

        self._submit(run, self._count_rfq, then)

    def save_quotes(self, record: RfqRecord | None, quotes: Sequence[QuoteRecord], then: Then = _nobody) -> None:
        """Write a request and its firm quotes with their waterfalls, together. `record` None: streamed quotes."""
        write = self._rfq_write(record) if record is not None else None
        quoted = [rows.quote_row(quote) for quote in quotes]
        events = [rows.event_row("quote", quote.quote_id, quote.created_ns, rows.body(quote)) for quote in quotes]

        def run(conn: Connection) -> object:
            fresh = write(conn) if write is not None else 0
            if quoted:
                schema.insert_new(conn, schema.quotes, quoted)
                conn.execute(_RECORD, events)
            return fresh

        self._submit(run, self._count_rfq, then)

    def save_trade(
        self, trade: TradeRecord, rfq: RfqRecord | None, quotes_voided: Iterable[str] = (), then: Then = _nobody
    ) -> None:
        """Book a client trade: trade, request state, quotes and postings in one transaction.

        `then(DuplicateTrade)` when the order id or the quote has traded before: its `trade` is the answer, nothing
        was written. The same trade id again is no error. `rfq` None: a trade on a streamed quote.
        """
        text = rows.body(trade)
        row = rows.trade_row(trade, text)
        lines = trade_postings(trade)
        posted = rows.posting_rows("trade", trade.trade_id, trade.traded_ns, lines)
        event = rows.event_row("trade", trade.trade_id, trade.traded_ns, text)
        write = self._rfq_write(rfq) if rfq is not None else None
        voided = list(quotes_voided)

        def run(conn: Connection) -> TradeRecord | int:
            if not schema.insert_new(conn, schema.trades, row):
                return _existing(conn, trade)
            fresh = write(conn) if write is not None else 0
            conn.execute(_TAKE, {"id": trade.quote_id})
            _void(conn, voided)
            conn.execute(_POST, posted)
            conn.execute(_RECORD, event)
            return fresh

        def done(result: object) -> None:
            if isinstance(result, TradeRecord):
                then(None if result.trade_id == trade.trade_id else DuplicateTrade(result))
                return
            self._totals.apply(lines)
            self._pnl.trade(trade)
            self._counts.trades += 1
            self._count_rfq(result)
            then(None)

        self._store.submit(Write(run, done, then))

    def save_order(self, order: OrderRecord, then: Then = _nobody) -> None:
        """Write the state of a client's order."""
        text = rows.body(order)
        row = rows.order_row(order, text)
        event = rows.event_row("order", order.order_id, order.updated_ns, text)

        def run(conn: Connection) -> None:
            schema.upsert(conn, schema.orders, row)
            conn.execute(_RECORD, event)

        self._submit(run, lambda _: None, then)

    # ---- the router's journal (router.messages.Journal) ------------------------------------------

    def parent(self, parent: ParentOrder, then: Callable[[], None] | None = None) -> None:
        """Write a parent order's state."""
        self._journal.parent(parent, then)

    def child(self, child: ChildOrder, then: Callable[[], None] | None = None) -> None:
        """Write a child order's state; the order is sent from `then`, never before."""
        self._journal.child(child, then)

    def fill(self, fill: VenueFill, parent_id: str) -> bool:
        """Book an execution exactly once; False: it was booked before."""
        return self._journal.fill(fill, parent_id)

    def cross(self, fill: VenueFill, parent: ParentOrder, child: ChildOrder) -> bool:
        """Book an internal cross with the child it fills and its parent, all three or none; False: booked before."""
        return self._journal.cross(fill, parent, child)

    def open_parents(self) -> list[tuple[ParentOrder, list[ChildOrder]]]:
        """Parents not done at the last stop, with their children."""
        return self._journal.open_parents()

    # ---- halts -----------------------------------------------------------------------------------

    def set_halt(self, reason: str, ts_ns: int | None = None, *, scope: str = GLOBAL, then: Then = _nobody) -> None:
        """Remember that trading is stopped in `scope`, or with an empty `reason` that it goes on.

        A halt is in force in memory at once, its end only when it is durable; `then` is called when either is.
        `ts_ns` None: the wall clock.
        """
        since_ns = time.time_ns() if ts_ns is None else ts_ns
        halt = Halt(scope=scope, reason=reason, since_ns=since_ns)
        event = rows.event_row("halt" if reason else "resume", scope, since_ns, rows.body(halt))
        if reason:
            self._halts[scope] = halt

        def run(conn: Connection) -> None:
            if reason:
                schema.upsert(conn, schema.halts, {"scope": scope, "reason": reason, "since_ns": since_ns})
            else:
                conn.execute(schema.halts.delete().where(schema.halts.c.scope == scope))
            conn.execute(_RECORD, event)

        def done(_result: object) -> None:
            if not reason:
                self._halts.pop(scope, None)

        self._submit(run, done, then)

    def verify(self) -> dict[str, Decimal]:
        """Compare memory with the disk, nothing waiting: the imbalance (all zero), or LedgerBroken."""
        self._store.flush()
        if recovery.sums(self._store).raw() != self._totals.raw():
            raise LedgerBroken("the running totals differ from the postings on disk")
        return self._imbalance_or_raise()

    # ---- life ------------------------------------------------------------------------------------

    def load(self, now_ns: int | None = None) -> LedgerSnapshot:
        """Everything a starting desk goes on from.

        `now_ns` (None: the wall clock) bounds the last 24 hours and the life of quotes.
        """
        moment = time.time_ns() if now_ns is None else now_ns
        return LedgerSnapshot(
            **recovery.recent(self._store, moment),
            open_parents=self.open_parents(),
            counts=self._counts,
            balances=self.balances(),
            positions=self.positions(),
            imbalance=self.imbalance(),
            halts=dict(self._halts),
        )

    def on_fault(self, report: Callable[[str, Exception], None]) -> None:
        """Who hears of writes that failed and nobody waits for. Called on the writer thread or the loop."""
        self._store.on_fault = report

    @property
    def waiting(self) -> int:
        """Writes that are not durable yet."""
        return self._store.waiting

    @property
    def commits(self) -> int:
        """Transactions made durable since the ledger was opened: fewer than writes when it was busy."""
        return self._store.commits

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything written so far is durable; False when it took longer."""
        return self._store.flush(timeout_s)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Make durable what is waiting, then close. False when it could not be done in time."""
        return self._store.close(timeout_s)

    # ---- inside ----------------------------------------------------------------------------------

    def _submit(self, run: Callable[[Connection], object], count: Callable[[object], None], then: Then) -> None:
        def done(result: object) -> None:
            count(result)
            then(None)

        self._store.submit(Write(run, done, then))

    def _rfq_write(self, record: RfqRecord) -> Callable[[Connection], int]:
        """A write of a request's state that returns the bits of the states it is in for the first time."""
        text = rows.body(record)
        bits = rows.reached(record.state)
        row = rows.rfq_row(record, text, bits)
        event = rows.event_row("rfq", record.rfq_id, record.updated_ns, text)

        def run(conn: Connection) -> int:
            before = conn.execute(_REACHED, {"id": row["rfq_id"]}).scalar() or 0
            schema.upsert(conn, schema.rfqs, row | {"reached": bits | before})
            conn.execute(_RECORD, event)
            return bits & ~before

        return run

    def _count_rfq(self, fresh: object) -> None:
        if isinstance(fresh, int) and fresh:
            for state, bit in rows.STATE_BITS.items():
                if fresh & bit:
                    self._counts.rfqs[state.value] += 1

    def _restore(self) -> None:
        """Fold the records into memory, and hold the result against what SQL sums up."""
        for trade in recovery.trades(self._store):
            self._totals.apply(trade_postings(trade))
            self._pnl.trade(trade)
            self._counts.trades += 1
        self._journal.restore()
        if recovery.sums(self._store).raw() != self._totals.raw():
            raise LedgerBroken("the postings on disk differ from the trades and executions they came from")
        self._imbalance_or_raise()
        self._counts.rfqs.update(recovery.reached(self._store))
        self._halts.update(recovery.halts(self._store))

    def _imbalance_or_raise(self) -> dict[str, Decimal]:
        imbalance = self.imbalance()
        if any(imbalance.values()):
            raise LedgerBroken(f"the postings do not add up to zero: {imbalance}")
        return imbalance


def _void(conn: Connection, quote_ids: list[str]) -> None:
    if quote_ids:
        conn.execute(_VOID, [{"id": quote_id} for quote_id in quote_ids])


def _existing(conn: Connection, trade: TradeRecord) -> TradeRecord:
    """The trade that stands in the way; the same trade id before the same order before the same quote."""
    table = schema.trades
    same_order = and_(table.c.client_id == trade.client_id, table.c.client_order_id == trade.client_order_id)
    found = conn.execute(
        select(table.c.body).where(
            or_(table.c.trade_id == trade.trade_id, same_order, table.c.quote_id == trade.quote_id)
        )
    ).fetchall()
    trades = [rows.trade_from(row.body) for row in found]
    own = (trade.client_id, trade.client_order_id)
    return min(
        trades, key=lambda other: (other.trade_id != trade.trade_id, (other.client_id, other.client_order_id) != own)
    )
