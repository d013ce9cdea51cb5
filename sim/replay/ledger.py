"""`MemoryLedger`: the desk's ledger without the disk, for replays.

The books are the ledger's own (`Totals`, `Pnl`, the double-entry postings of `desk.ledger.book`), and so are the rules: one trade per trade
id, client order id and quote, one booking per (venue, symbol, trade id), Σ over all accounts zero. What is left out is what a replay has no
use for: SQL, durability, recovery. Callbacks run at once, in the caller, as those of an inline ledger do; a test holds the two against
each other over a whole run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from decimal import Decimal

from adapters.nautilus.outcome import VenueFill
from desk.ledger.book import currencies, desk_part, fill_postings, trade_postings
from desk.ledger.memory import Books
from desk.ledger.records import GLOBAL, DuplicateTrade, Halt, LedgerSnapshot, VenueCounts
from desk.ledger.rows import Owner, owner_of
from desk.orders.records import OrderRecord
from desk.rfq.records import QuoteRecord, RfqRecord, RfqState, TradeRecord
from router.orders import ChildOrder, ChildState, ParentOrder

Then = Callable[[Exception | None], None]


def _nobody(_error: Exception | None) -> None:
    """Nobody waits for this write."""


class MemoryLedger(Books):
    """What `desk.ledger.Ledger` and `router.messages.Journal` offer, in memory and for one run."""

    waiting = 0

    def __init__(self, pnl_currency: str = "USDT") -> None:
        super().__init__(pnl_currency)
        self._rfqs: dict[str, RfqRecord] = {}
        self._reached: dict[str, set[RfqState]] = {}
        self._quotes: dict[str, QuoteRecord] = {}
        self._trades: dict[str, TradeRecord] = {}
        self._trade_of_order: dict[tuple[str, str], TradeRecord] = {}
        self._trade_of_quote: dict[str, TradeRecord] = {}
        self._parents: dict[str, ParentOrder] = {}
        self._children: dict[str, ChildState] = {}
        self._fills: set[tuple[str, str, str]] = set()
        self._orders: dict[str, OrderRecord] = {}

    # ---- the desk's records ----------------------------------------------------------------------------------------------

    def save_rfq(self, record: RfqRecord, then: Then = _nobody) -> None:
        """Remember a request's state."""
        self._remember(record)
        then(None)

    def save_rfq_state(self, record: RfqRecord, then: Then = _nobody, *, quotes_voided: Iterable[str] = ()) -> None:
        """Remember a request's new state."""
        self._remember(record)
        then(None)

    def save_quotes(self, record: RfqRecord | None, quotes: Sequence[QuoteRecord], then: Then = _nobody) -> None:
        """Remember a request and its firm quotes."""
        if record is not None:
            self._remember(record)
        for quote in quotes:
            self._quotes[quote.quote_id] = quote
        then(None)

    def save_trade(
        self, trade: TradeRecord, rfq: RfqRecord | None, quotes_voided: Iterable[str] = (), then: Then = _nobody
    ) -> None:
        """Book a client trade; `then(DuplicateTrade)` when its id, order id or quote has traded before."""
        known = (
            self._trades.get(trade.trade_id)
            or self._trade_of_order.get((trade.client_id, trade.client_order_id))
            or self._trade_of_quote.get(trade.quote_id)
        )
        if known is not None:
            then(None if known.trade_id == trade.trade_id else DuplicateTrade(known))
            return
        self._trades[trade.trade_id] = trade
        self._trade_of_order[trade.client_id, trade.client_order_id] = trade
        self._trade_of_quote[trade.quote_id] = trade
        self._totals.apply(trade_postings(trade))
        self._pnl.trade(trade)
        self._counts.trades += 1
        if rfq is not None:
            self._remember(rfq)
        then(None)

    def save_order(self, order: OrderRecord, then: Then = _nobody) -> None:
        """Remember the state of a client's order."""
        self._orders[order.order_id] = copy(order)
        then(None)

    # ---- the router's journal --------------------------------------------------------------------------------------------

    def parent(self, parent: ParentOrder, then: Callable[[], None] | None = None) -> None:
        """Remember a parent order's state."""
        self._counts.parents += parent.parent_id not in self._parents
        self._parents[parent.parent_id] = copy(parent)
        if then is not None:
            then()

    def child(self, child: ChildOrder, then: Callable[[], None] | None = None) -> None:
        """Remember a child order's state; the order is sent from `then`."""
        before = self._children.get(child.child_id)
        self._children[child.child_id] = after = child.state
        counts, venue = self._counts, self._venue(child.venue)
        if before is None:
            counts.children += 1
            venue.children += 1
        counts.open += (not after.terminal) - (before is not None and not before.terminal)
        counts.unknown += (after is ChildState.UNKNOWN) - (before is ChildState.UNKNOWN)
        venue.rejects += (after is ChildState.REJECTED) - (before is ChildState.REJECTED)
        if then is not None:
            then()

    def fill(self, fill: VenueFill, parent_id: str) -> bool:
        """Book an execution exactly once; False when it was booked before."""
        ref = (fill.venue, fill.symbol, fill.trade_id)
        if ref in self._fills:
            return False
        self._fills.add(ref)
        parent = self._parents.get(parent_id)
        owner = owner_of(parent) if parent else Owner(parent_id=parent_id)
        commission = owner.commission(fill)
        self._totals.apply(fill_postings(fill, owner.account, commission))
        own = desk_part(fill, owner.account)
        if own is not None:
            self._pnl.fill(own, owner.arrival if own is fill else fill.price)
        self._pnl.commission(currencies(fill.symbol)[1], commission)
        venue, base = self._venue(fill.venue), currencies(fill.symbol)[0]
        venue.fills += 1
        venue.quantity[base] = venue.quantity.get(base, Decimal(0)) + fill.quantity
        self._counts.fills += 1
        return True

    def cross(self, fill: VenueFill, parent: ParentOrder, child: ChildOrder) -> bool:
        """Book an internal cross with the child it fills and its parent."""
        if (fill.venue, fill.symbol, fill.trade_id) in self._fills:
            return False
        self.parent(parent)
        self.child(child)
        return self.fill(fill, parent.parent_id)

    def open_parents(self) -> list[tuple[ParentOrder, list[ChildOrder]]]:
        """A replay begins with nothing open."""
        return []

    # ---- halts -----------------------------------------------------------------------------------------------------------

    def set_halt(self, reason: str, ts_ns: int | None = None, *, scope: str = GLOBAL, then: Then = _nobody) -> None:
        """Stop trading in `scope`, or go on with an empty `reason`."""
        if reason:
            self._halts[scope] = Halt(scope=scope, reason=reason, since_ns=ts_ns or 0)
        else:
            self._halts.pop(scope, None)
        then(None)

    # ---- queries ---------------------------------------------------------------------------------------------------------

    def rfq(self, rfq_id: str) -> RfqRecord | None:
        """A request by its id."""
        return self._rfqs.get(rfq_id)

    def quote(self, quote_id: str) -> QuoteRecord | None:
        """A quote by its id."""
        return self._quotes.get(quote_id)

    def trade(self, trade_id: str) -> TradeRecord | None:
        """A trade by its id."""
        return self._trades.get(trade_id)

    def trade_by_order(self, client_id: str, client_order_id: str) -> TradeRecord | None:
        """The trade a client's order id made."""
        return self._trade_of_order.get((client_id, client_order_id))

    def trade_by_quote(self, quote_id: str) -> TradeRecord | None:
        """The trade a quote made."""
        return self._trade_of_quote.get(quote_id)

    def rfqs(
        self,
        client_id: str | None,
        *,
        client_rfq_id: str | None = None,
        state: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[RfqRecord], str | None]:
        """Requests, newest first; a replay has no pages."""
        found = [
            rfq
            for rfq in reversed(self._rfqs.values())
            if client_id in (None, rfq.client_id)
            and client_rfq_id in (None, rfq.client_rfq_id)
            and state in (None, rfq.state.value)
        ]
        return found[:limit], None

    def trades(
        self, client_id: str | None, *, client_order_id: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> tuple[list[TradeRecord], str | None]:
        """Trades, newest first; a replay has no pages."""
        found = [
            trade
            for trade in reversed(self._trades.values())
            if client_id in (None, trade.client_id) and client_order_id in (None, trade.client_order_id)
        ]
        return found[:limit], None

    def order(self, order_id: str) -> OrderRecord | None:
        """A client's order by the desk's id."""
        return self._orders.get(order_id)

    def order_by_token(self, client_id: str, client_order_id: str) -> OrderRecord | None:
        """A client's order by its own id."""
        return next((order for order in self._orders.values() if order.key == (client_id, client_order_id)), None)

    def orders(
        self,
        client_id: str | None,
        *,
        client_order_id: str | None = None,
        state: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> tuple[list[OrderRecord], str | None]:
        """Orders, newest first; a replay has no pages."""
        found = [
            order
            for order in reversed(self._orders.values())
            if client_id in (None, order.client_id)
            and client_order_id in (None, order.client_order_id)
            and state in (None, order.state.value)
        ]
        return found[:limit], None

    def parent_order(self, parent_id: str) -> ParentOrder | None:
        """A parent order of the router by its id."""
        return self._parents.get(parent_id)

    # ---- life ------------------------------------------------------------------------------------------------------------

    def load(self, now_ns: int | None = None) -> LedgerSnapshot:
        """A new desk: nothing to go on from."""
        return LedgerSnapshot(
            open_rfqs=[],
            live_quotes=[],
            trades_by_order={},
            rfqs_by_token={},
            open_orders=[],
            open_parents=[],
            counts=self._counts,
            balances={},
            positions={},
            imbalance={},
            halts={},
        )

    def on_fault(self, report: Callable[[str, Exception], None]) -> None:
        """Nothing is written that could fail later."""

    def close(self, timeout_s: float = 0.0) -> bool:
        """Nothing is open."""
        return True

    # ---- inside ----------------------------------------------------------------------------------------------------------

    def _remember(self, record: RfqRecord) -> None:
        self._rfqs[record.rfq_id] = copy(record)
        reached = self._reached.setdefault(record.rfq_id, set())
        for state in _passed(record.state):
            if state not in reached:
                reached.add(state)
                self._counts.rfqs[state.value] += 1

    def _venue(self, name: str) -> VenueCounts:
        return self._counts.by_venue.setdefault(name, VenueCounts())


def _passed(state: RfqState) -> tuple[RfqState, ...]:
    """The states a request in `state` has certainly been in."""
    match state:
        case RfqState.RECEIVED:
            return (state,)
        case RfqState.FILLED:
            return (RfqState.RECEIVED, RfqState.QUOTED, RfqState.ACCEPTED, state)
        case RfqState.ACCEPTED:
            return (RfqState.RECEIVED, RfqState.QUOTED, state)
        case _:
            return (RfqState.RECEIVED, state)
