"""`Children`: the engine's side of the router: one child order from its approval to its proven end.

    crossed with the desk's own inventory, in one record: an order worked for somebody else meets it before any venue
    planned → gate → journal → submit → accepted · filled · rejected · cancelled · expired
                                      ↘ no report in time, or the engine's word UNKNOWN → queried until proven, never sent again

A child that takes (IOC, or FOK with a quote) must end within `child_timeout_ms`. A child that rests must be accepted within it, lies as
long as it is wanted, and must end within it once its cancel has been sent; otherwise it is unknown like any other.
Promises: no order without an `Approved` and a durable record; an execution is booked and published once, whenever it comes; a cancel is
no end: only the venue's report or the proven outcome is.
"""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model.enums import LiquiditySide, OrderSide, TimeInForce
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.outcome import OrderOutcome, ResolveOrder, VenueFill
from adapters.nautilus.safe import LoopSafe, Safe, guarded
from risk.decision import Approved, Intent, Refused, Stage
from risk.exact import ZERO
from risk.gate import Gate
from risk.state import TradingState, pair_of
from router import accounting
from router.accounting import FillKind
from router.algos.volume import Tape
from router.backoff import Backoff
from router.ids import OrderIds
from router.messages import Crossing, Journal
from router.orders import INTERNAL, ChildOrder, ChildState, ParentOrder
from router.parameters import RouterParameters
from router.plan import PlannedChild
from router.run import Run, Runs

MS = 1_000_000
_LOST_REPLY_NS = 30_000 * MS  # a query for an outcome that was never answered is made again


class Children(Safe, LoopSafe, Strategy):
    """Children of every run. Who plans them (`SmartOrderRouter`) is told by `_go_on(run)` whenever one has changed."""

    def __init__(
        self, parameters: RouterParameters, gate: Gate, journal: Journal, epoch: str, crossing: Crossing | None
    ) -> None:
        super().__init__(
            StrategyConfig(
                strategy_id="ROUTER", order_id_tag=parameters.order_id_tag, oms_type="NETTING", log_events=False
            )
        )
        self.parameters = parameters
        self.gate = gate
        self._journal = journal
        self._crossing = crossing
        self._ids = OrderIds(epoch)
        self._runs = Runs()
        self._backoff = Backoff(parameters.retry_backoff_ms * MS, parameters.max_backoff_ms * MS)
        self._tapes: dict[str, Tape] = {}  # of symbols an algo follows
        self._bus: Bus | None = None

    @abstractmethod
    def _go_on(self, run: Run) -> None:
        """A child of `run` has changed: see what is next."""

    # ---- internalisation first ----------

    def _cross(self, run: Run, now: int) -> None:
        """Meet the desk's own opposing inventory before any venue is asked: no order leaves, and nothing is unknown."""
        parent = run.work.parent
        if self._crossing is None or not parent.account or run.work.free <= 0:
            return
        offer = self._crossing.offer(parent.symbol, parent.side, run.work.free, parent.limit_price)
        if offer is None:
            return
        child = ChildOrder(
            child_id=self._ids.order(),
            parent_id=parent.parent_id,
            venue=INTERNAL,
            symbol=parent.symbol,
            side=parent.side,
            quantity=offer.quantity,
            limit_price=offer.price,
            created_ns=now,
            updated_ns=now,
        )
        execution = VenueFill(
            venue=INTERNAL,
            symbol=parent.symbol,
            client_order_id=child.child_id,
            trade_id=child.child_id,
            side=parent.side,
            price=offer.price,
            quantity=offer.quantity,
            fee=ZERO,
            fee_currency=pair_of(parent.symbol).quote,
            ts_ns=now,
        )
        accounting.add_child(run.work, child)
        self._runs.add_child(run, child.child_id)
        decided = copy(child)  # told first, as of any child: its costs are held against what is seen at that moment
        accounting.fill(run.work, child, execution, now)
        told = self._told(run)
        if not self._journal.cross(execution, told, copy(child)):
            raise RuntimeError(f"cross {child.child_id} was booked before")  # ids are new for ever: a bug
        ours = msgspec.structs.replace(intent_of(run, child, offer.quantity, now), account="", side=_other(parent.side))
        self.gate.state.book(ours, offer.quantity)
        self._publish(topics.CHILD, decided)
        self._publish(topics.FILL, execution)
        self._publish(topics.CHILD, copy(child))
        self._publish(topics.PARENT, told)

    # ---- from the plan to the venue ----------

    def _make(self, run: Run, planned: PlannedChild, now: int) -> None:
        """Gate, then journal; the order leaves when its record is durable."""
        parent = run.work.parent
        child = ChildOrder(
            child_id=self._ids.order(),
            parent_id=parent.parent_id,
            venue=planned.venue,
            symbol=parent.symbol,
            side=parent.side,
            quantity=planned.quantity,
            limit_price=planned.limit_price,
            quote_id=planned.quote_id,
            resting=planned.resting,
            post_only=planned.post_only,
            created_ns=now,
            updated_ns=now,
            why=planned.why,
            haircut_ppm=planned.haircut_ppm,
        )
        decision = self.gate.decide(intent_of(run, child, child.quantity, now))
        self._publish(topics.RISK, decision)
        if isinstance(decision, Refused):
            run.why_not = f"{decision.check}: {decision.message}"
            return
        accounting.add_child(run.work, child)
        self._runs.add_child(run, child.child_id)
        self._publish(topics.CHILD, copy(child))
        self._expect_report(run, child)
        send = guarded(self, lambda: self._leave(run, child, decision, planned.valid_until_ns), "child is durable")
        self._journal.child(copy(child), send)

    def _leave(self, run: Run, child: ChildOrder, approved: Approved, valid_until_ns: int) -> None:
        """The record is durable: a last look, then the order leaves."""
        now = self.clock.timestamp_ns()
        if child.state is not ChildState.NEW:
            return
        if run.stop or self.gate.state.trading.state is TradingState.HALTED or not self.gate.holds(approved):
            self._finish(run, child, ChildState.REJECTED, f"not sent: {run.stop or 'halted'}")
        elif run.quiet:
            self._finish(run, child, ChildState.REJECTED, f"not sent: {run.quiet}")
        elif valid_until_ns and now >= valid_until_ns:
            self._finish(run, child, ChildState.REJECTED, "not sent: the quote has ended")
        elif accounting.send(child, now):
            self._record_child(child)
            self.submit(approved, child)

    def submit(self, approved: Approved, child: ChildOrder) -> None:
        """The one place where an order goes to the engine. Takes what the gate approved, and nothing else."""
        intent = approved.intent
        instrument = self.cache.instrument(InstrumentId.from_str(f"{intent.symbol}.{intent.venue}"))
        if child.quote_id:
            lasts = TimeInForce.FOK
        else:
            lasts = TimeInForce.GTC if child.resting else TimeInForce.IOC
        order = self.order_factory.limit(
            instrument_id=instrument.id,
            order_side=OrderSide.BUY if intent.side == "buy" else OrderSide.SELL,
            quantity=Quantity.from_str(f"{intent.quantity:.{instrument.size_precision}f}"),
            price=Price.from_str(f"{intent.price:.{instrument.price_precision}f}"),
            time_in_force=lasts,
            post_only=child.post_only,
            tags=[f"parent={child.parent_id}"],
            client_order_id=ClientOrderId(intent.intent_id),
        )
        self.submit_order(order, params={"quote_id": child.quote_id} if child.quote_id else None)

    def _pull(self, run: Run, child: ChildOrder, reason: str) -> None:
        """Take a child back: at once while it has not left, by a cancel at its venue afterwards. Its end is the venue's to tell."""
        match child.state:
            case ChildState.NEW:
                self._finish(run, child, ChildState.REJECTED, f"not sent: {reason}")
            case ChildState.SENT | ChildState.ACKED | ChildState.PARTIAL:
                if child.child_id in run.cancelling:
                    return
                run.cancelling.add(child.child_id)
                self._expect_report(run, child)
                order = self.cache.order(ClientOrderId(child.child_id))
                if order is not None and not order.is_closed:
                    self.cancel_order(order)
            case _:
                pass  # unknown: its query cancels it

    # ---- ends ----------

    def _finish(self, run: Run, child: ChildOrder, state: ChildState, reason: str) -> None:
        """A child can fill no more: give its rest back, and see what is next."""
        if not accounting.finish(child, state, self.clock.timestamp_ns(), reason):
            return
        self._ended(run, child)
        self._record_child(child)
        self._go_on(run)

    def _ended(self, run: Run, child: ChildOrder) -> None:
        """Let the reservation go, and remember how the venue did."""
        self.cancel(f"child:{child.child_id}")
        self.cancel(f"resolve:{child.child_id}")
        self.gate.release(child.child_id)
        wanted = child.child_id in run.cancelling
        run.cancelling.discard(child.child_id)
        now = self.clock.timestamp_ns()
        if child.filled >= child.quantity:
            self._backoff.worked(child.venue)
        elif wanted and child.state is ChildState.CANCELLED:
            pass  # we took it back: no disappointment
        elif child.filled > 0:
            self._backoff.disappointed(child.venue, now)
        elif not child.reason.startswith("not sent"):
            self._backoff.failed(child.venue, now)

    # ---- unknown outcomes ----------

    def _expect_report(self, run: Run, child: ChildOrder) -> None:
        """From now on the child has `child_timeout_ms` to end (or, if it is to rest, to be accepted)."""
        at = self.clock.timestamp_ns() + self.parameters.child_timeout_ms * MS
        self.at_ns(f"child:{child.child_id}", at, lambda _: self._overdue(run, child))

    def _rests(self, run: Run, child: ChildOrder) -> None:
        """The venue has shown that it has a resting child: it may lie there as long as it is wanted."""
        if child.resting and child.child_id not in run.cancelling and not child.state.terminal:
            self.cancel(f"child:{child.child_id}")

    def _overdue(self, run: Run, child: ChildOrder, why: str = "") -> None:
        """No final report in time: unknown, reserved, queried. The rest of the parent goes on."""
        if child.state is ChildState.NEW:
            self._finish(run, child, ChildState.REJECTED, "not sent: its record did not become durable in time")
            return
        why = why or f"no final report within {self.parameters.child_timeout_ms} ms"
        if accounting.lose(child, self.clock.timestamp_ns(), why):
            self.cancel(f"child:{child.child_id}")
            self.log.warning(f"{child.child_id} at {child.venue} is unknown: {child.reason}")
            self._record_child(child)
            self._resolve(run, child)
            self._go_on(run)

    def _resolve(self, run: Run, child: ChildOrder) -> None:
        """Ask the venue what became of an unknown child; ask again when nobody can answer or no answer comes."""
        if child.state.terminal:
            return
        query = ResolveOrder(
            client_order_id=child.child_id,
            symbol=child.symbol,
            reply=guarded(self, lambda outcome: self._resolved(run, child, outcome), "outcome"),
            quote_id=child.quote_id,
        )
        asked = self._bus is not None and self._bus.send(topics.resolve(child.venue), query)
        again = _LOST_REPLY_NS if asked else self.parameters.resolve_retry_ms * MS
        if not child.state.terminal:  # the answer may have come at once
            self._ask_again(run, child, again)

    def _ask_again(self, run: Run, child: ChildOrder, after_ns: int) -> None:
        at = self.clock.timestamp_ns() + after_ns
        self.at_ns(f"resolve:{child.child_id}", at, lambda _: self._resolve(run, child))

    def _resolved(self, run: Run, child: ChildOrder, outcome: OrderOutcome) -> None:
        finished = child.state.terminal
        for execution, kind in accounting.resolve(run.work, child, outcome, self.clock.timestamp_ns()):
            self._book(run, child, execution, kind)
        self._record_parent(run)
        self._record_child(child)
        if not child.state.terminal:
            self._ask_again(run, child, self.parameters.resolve_retry_ms * MS)
        elif not finished:
            self._ended(run, child)
        self._go_on(run)

    # ---- reports of the engine ----------

    def on_order_accepted(self, event: Any) -> None:
        """The venue has the order."""
        run, child = self._found(event)
        if run is not None and child is not None and accounting.ack(child, event.ts_event):
            self._rests(run, child)
            self._record_child(child)

    def on_order_filled(self, event: Any) -> None:
        """An execution."""
        execution = _execution(event)
        run, child = self._found(event)
        if run is None or child is None:
            self._book_stray(execution)
            return
        kind = accounting.fill(run.work, child, execution, self.clock.timestamp_ns())
        if kind is FillKind.DUPLICATE:
            return
        self._book(run, child, execution, kind)
        self._record_parent(run)
        if child.state.terminal:
            self._ended(run, child)
        elif child.state is ChildState.PARTIAL:
            self._rests(run, child)
        self._record_child(child)
        self._go_on(run)

    def on_order_denied(self, event: Any) -> None:
        """The engine's own risk check said no: the order never left."""
        self._ended_by(event, ChildState.REJECTED, f"denied: {event.reason}")

    def on_order_rejected(self, event: Any) -> None:
        """The venue said no. The engine's word UNKNOWN is no answer: the order may still be filled."""
        run, child = self._found(event)
        if event.reason == "UNKNOWN" and run is not None and child is not None:
            self._overdue(run, child)
        else:
            self._ended_by(event, ChildState.REJECTED, event.reason)

    def on_order_canceled(self, event: Any) -> None:
        """What was not filled is gone."""
        self._ended_by(event, ChildState.CANCELLED, "")

    def on_order_expired(self, event: Any) -> None:
        """What was not filled has run out."""
        self._ended_by(event, ChildState.EXPIRED, "")

    def on_order_cancel_rejected(self, event: Any) -> None:
        """The venue would not cancel: it has ended already, or never was. Nobody knows until the venue is asked."""
        run, child = self._found(event)
        if run is not None and child is not None and child.state is not ChildState.NEW:
            self._overdue(run, child, f"its cancel was refused: {event.reason}")

    def _ended_by(self, event: Any, state: ChildState, reason: str) -> None:
        run, child = self._found(event)
        if run is not None and child is not None:
            self._finish(run, child, state, reason)

    def _found(self, event: Any) -> tuple[Run | None, ChildOrder | None]:
        child_id = event.client_order_id.value
        run = self._runs.of_child(child_id)
        return run, None if run is None else run.work.children[child_id]

    # ---- records ----------

    def _book(self, run: Run, child: ChildOrder, execution: VenueFill, kind: FillKind) -> None:
        """Book and publish an execution, once ever: the journal knows those of earlier runs."""
        if kind is FillKind.DUPLICATE or not self._journal.fill(execution, child.parent_id):
            return
        if not self.gate.fill(child.child_id, execution.quantity):
            self.gate.state.book(intent_of(run, child, execution.quantity, execution.ts_ns), execution.quantity)
        if kind is not FillKind.NEW:
            child.reason = f"{kind} execution {execution.trade_id}"
            self.log.warning(f"{child.child_id} at {child.venue}: {child.reason}")
        if not child.quote_id and (tape := self._tapes.get(execution.symbol)) is not None:
            tape.on_own(execution.venue, execution.price, execution.quantity, execution.ts_ns)
        self._publish(topics.FILL, execution)

    def _book_stray(self, execution: VenueFill) -> None:
        """An execution of an order of ours that is no longer remembered: still ours, still booked once."""
        order = self.cache.order(ClientOrderId(execution.client_order_id))
        tags = [] if order is None or order.tags is None else order.tags
        parent_id = next((tag.removeprefix("parent=") for tag in tags if tag.startswith("parent=")), "")
        if self._journal.fill(execution, parent_id):
            self.log.warning(
                f"execution {execution.trade_id} at {execution.venue} of forgotten {execution.client_order_id}"
            )
            self._publish(topics.FILL, execution)

    def _record_parent(self, run: Run) -> None:
        told = self._told(run)
        self._journal.parent(told)
        self._publish(topics.PARENT, told)

    def _told(self, run: Run) -> ParentOrder:
        """The parent as it is now: what others keep does not change under them."""
        told = copy(run.work.parent)
        told.benchmark = copy(told.benchmark)
        return told

    def _record_child(self, child: ChildOrder) -> None:
        told = copy(child)
        self._journal.child(told)
        self._publish(topics.CHILD, told)

    def _publish(self, topic: str, message: object) -> None:
        if self._bus is not None:
            self._bus.publish(topic, message)


def intent_of(run: Run, child: ChildOrder, quantity: Decimal, now_ns: int) -> Intent:
    """What the gate is asked about a child."""
    return Intent(
        stage=Stage.CHILD,
        intent_id=child.child_id,
        symbol=child.symbol,
        side=child.side,
        quantity=quantity,
        price=child.limit_price,
        now_ns=now_ns,
        venue=child.venue,
        account=run.work.parent.account,
    )


_MAKER = {LiquiditySide.MAKER: True, LiquiditySide.TAKER: False}


def _other(side: str) -> str:
    return "sell" if side == "buy" else "buy"


def _execution(event: Any) -> VenueFill:
    """The engine's money is rounded to the decimals it gives a currency; a venue's own fee stands beside it where it was told."""
    told = event.info or {}
    return VenueFill(
        venue=event.instrument_id.venue.value,
        symbol=event.instrument_id.symbol.value,
        client_order_id=event.client_order_id.value,
        trade_id=event.trade_id.value,
        side="buy" if event.order_side == OrderSide.BUY else "sell",
        price=event.last_px.as_decimal(),
        quantity=event.last_qty.as_decimal(),
        fee=Decimal(told["fee"]) if "fee" in told else event.commission.as_decimal(),
        fee_currency=event.commission.currency.code,
        ts_ns=event.ts_event,
        venue_order_id=event.venue_order_id.value,
        maker=_MAKER.get(event.liquidity_side),
    )
