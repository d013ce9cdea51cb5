"""`SmartOrderRouter`: the one strategy of the engine, and the only thing in the house that submits an order.

    parent journalled → LPs asked → split over live books and quotes → each child: gate → journal → submit → reports → accounting
    everything finished and something left → planned again, until filled, given up, or the deadline

Promises: no order without an `Approved` and a durable record; an order whose outcome is unknown is queried and never sent again, its
leaves stay reserved; an execution is booked and published once, whenever it comes; after a halt nothing new leaves and what is open is
cancelled; after a restart every unfinished child is asked for before its parent goes on.
Publishes copies of `ParentOrder` (topic PARENT) and `ChildOrder` (CHILD) at every transition, `VenueFill` (FILL) once per execution, and
the gate's decision on every child (RISK).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from decimal import Decimal
from typing import Any

from nautilus_trader.model.enums import OrderSide, TimeInForce
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.lp import LpLadder, LpQuote
from adapters.nautilus.outcome import OrderOutcome, ResolveOrder, VenueFill
from adapters.nautilus.safe import LoopSafe, Safe, guarded
from pricing.consolidated import ConsolidatedBook
from risk.decision import Approved, Intent, Refused, Stage
from risk.exact import ZERO, measurable
from risk.gate import Gate
from risk.state import TradingState
from router import accounting
from router.accounting import FillKind, Work
from router.backoff import Backoff
from router.ids import OrderIds
from router.messages import Journal, ParentRequest
from router.orders import ChildOrder, ChildState, ParentOrder
from router.panel import LpPanel
from router.parameters import RouterParameters
from router.plan import PlannedChild
from router.planner import Planner
from router.run import Phase, Run, Runs

_MS = 1_000_000
_LOST_REPLY_NS = 30_000 * _MS  # a query for an outcome that was never answered is made again


class SmartOrderRouter(Safe, LoopSafe, Strategy):
    """Works parents over venues (`SYMBOL.VENUE`, limit IOC) and LPs (`SYMBOL.LP`, limit FOK with a quote id).

    `books` by symbol, `lps` by name, `epoch` new at every start (it makes client order ids unique for ever), `seed` for the order in
    which LPs are asked.
    """

    def __init__(
        self,
        parameters: RouterParameters,
        *,
        books: Mapping[str, ConsolidatedBook],
        gate: Gate,
        journal: Journal,
        lps: Sequence[str],
        epoch: str,
        seed: int = 0,
    ) -> None:
        super().__init__(
            StrategyConfig(
                strategy_id="ROUTER", order_id_tag=parameters.order_id_tag, oms_type="NETTING", log_events=False
            )
        )
        self.parameters = parameters
        self.gate = gate
        self._books = books
        self._journal = journal
        self._lps = tuple(lps)
        self._ids = OrderIds(epoch)
        self._runs = Runs()
        self._backoff = Backoff(parameters.retry_backoff_ms * _MS, parameters.max_backoff_ms * _MS)
        self._panel = LpPanel(
            lps,
            send=self._ask_lp,
            new_id=self._ids.rfq,
            seed=seed,
            now_ns=lambda: self.clock.timestamp_ns(),
            fair=lambda symbol: self._planner.fair(symbol, self.clock.timestamp_ns()),
            told=lambda what: self._publish(topics.LP_ROUND, what),
        )
        self._bus: Bus | None = None

    # ---- life ----------

    def on_start(self) -> None:
        """Open the endpoints and take up the parents that the last run left."""
        self.bind_loop()
        self._planner = Planner(self.parameters, self._books, self.gate, self._lps, self.cache)
        self._bus = Bus(self)
        self._bus.register(topics.ROUTER_PARENT, self.on_parent_request)
        self._bus.register(topics.ROUTER_HALT, self.on_halt)
        self._bus.subscribe(topics.LP_LADDER, self.on_lp_ladder)
        self.recover()

    def on_stop(self) -> None:
        """Leave the bus. What is open stays in the journal and is found again at the next start."""
        self.cancel_all()
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    def recover(self) -> None:
        """Every unfinished child of the last run is unknown until its venue has answered; nothing is sent again."""
        now = self.clock.timestamp_ns()
        for parent, children in self._journal.open_parents():
            if self._runs.get(parent.parent_id) is not None:
                continue
            work = Work(parent=parent, children={child.child_id: child for child in children})
            for child in work.open:
                if child.leaves > 0:
                    self.gate.adopt(_intent(child, child.leaves, now))
            accounting.recount(work)
            run = Run(work=work, phase=Phase.WORKING, filled_before=parent.filled)
            self._runs.add(run)
            self._mind_deadline(run)
            for child in work.open:
                accounting.lose(child, now, "found unfinished after a restart")
                self._record_child(child)
                self._resolve(run, child)
            self._record_parent(run)
            self._go_on(run)

    # ---- what others say ----------

    def on_parent_request(self, request: ParentRequest) -> None:
        """Take a parent on. The same `parent_id` again changes nothing and publishes where it stands."""
        known = self._runs.get(request.parent_id)
        if known is not None:
            self._publish(topics.PARENT, copy(known.work.parent))
            return
        now = self.clock.timestamp_ns()
        book = self._books.get(request.symbol)
        parent = ParentOrder(
            parent_id=request.parent_id,
            symbol=request.symbol,
            side=request.side,
            quantity=max(request.quantity, ZERO) if measurable(request.quantity) else ZERO,
            limit_price=request.limit_price,
            deadline_ns=request.deadline_ns,
            reason=request.reason,
            rfq_id=request.rfq_id,
            arrival_mid=self._planner.fair(request.symbol, now),
            created_ns=now,
            updated_ns=now,
        )
        run = Run(work=Work(parent=parent))
        self._runs.add(run)
        if book is None:
            run.stop = f"no book of {request.symbol}"
        elif request.side not in ("buy", "sell") or parent.quantity <= 0:
            run.stop = "side or quantity make no sense"
        self._mind_deadline(run)
        self._publish(topics.PARENT, copy(parent))
        self._journal.parent(copy(parent), guarded(self, lambda: self._begin(run), "parent is durable"))

    def on_halt(self, reason: str) -> None:
        """Nothing new leaves; what is open is cancelled; parents are given back as soon as nothing of them is open."""
        for run in self._runs.working():
            self._wind_down(run, f"halted: {reason}")

    def on_lp_ladder(self, ladder: LpLadder) -> None:
        """Who among the LPs is up."""
        self._panel.on_ladder(ladder)

    # ---- planning ----------

    def _begin(self, run: Run) -> None:
        if run.phase is not Phase.RECORDED:
            return
        run.phase = Phase.WORKING
        if run.stop:
            self._go_on(run)
            return
        self._attempt(run)

    def _attempt(self, run: Run) -> None:
        """Plan what is free: ask the LPs first."""
        if run.phase not in (Phase.WORKING, Phase.WAITING):
            return
        run.phase = Phase.WORKING
        now = self.clock.timestamp_ns()
        if (reason := self._must_stop(run, now)) is not None:
            self._wind_down(run, reason)
            return
        parent, parameters = run.work.parent, self.parameters
        parent.attempts += 1
        run.filled_before = parent.filled
        run.phase = Phase.ASKING
        self._record_parent(run)
        lps = self._panel.up(parent.symbol, now, parameters.lp_ladder_age_ms * _MS, self._left_out(now))
        sizes = self._planner.sizes_to_ask(parent.symbol, self._planner.clip(run.work, now), [lp for lp, _ in lps], now)
        key = parent.parent_id
        if lps:
            self.at_ns(f"lp:{key}", now + parameters.lp_wait_ms * _MS, lambda _: self._panel.expire(key))
        if not self._panel.ask(key, parent.symbol, parent.side, sizes, lps, lambda quotes: self._quoted(run, quotes)):
            self._quoted(run, [])

    def _quoted(self, run: Run, quotes: list[LpQuote]) -> None:
        """The LPs have answered, or the wait is over: split, and send what comes out."""
        if run.phase is not Phase.ASKING:
            return
        work, parent = run.work, run.work.parent
        self.cancel(f"lp:{parent.parent_id}")
        now = self.clock.timestamp_ns()
        run.phase = Phase.SENDING
        if (reason := self._must_stop(run, now)) is None:
            run.why_not = ""
            known = len(work.children)
            for planned in self._plan(run, quotes, now):
                self._make(run, planned, now)
            run.sent = len(work.children) > known
            if not run.sent:
                run.why_not = run.why_not or "no liquidity within the limits"
            run.phase = Phase.WORKING
            self._go_on(run)
        else:
            run.phase = Phase.WORKING
            self._wind_down(run, reason)

    def _plan(self, run: Run, quotes: list[LpQuote], now: int) -> tuple[PlannedChild, ...]:
        working = [child for other in self._runs.working() for child in other.work.open]
        plan = self._planner.plan(run.work, quotes, working=working, without=self._left_out(now), now_ns=now)
        if plan.dropped:
            run.why_not = "; ".join(f"{piece.venue} {piece.quantity:f}: {piece.reason}" for piece in plan.dropped)
        return plan.children

    def _left_out(self, now: int) -> frozenset[str]:
        """Venues and LPs that failed just now, or that the operator has halted."""
        states = self.gate.state.venues.items()
        return self._backoff.out(now) | {name for name, trading in states if trading.state is TradingState.HALTED}

    def _must_stop(self, run: Run, now: int) -> str | None:
        """Why nothing more may be sent for this parent, if so."""
        parent = run.work.parent
        if run.stop:
            return run.stop
        if self.gate.state.trading.state is TradingState.HALTED:
            return f"halted: {self.gate.state.trading.reason}"
        if now >= parent.deadline_ns:
            return "deadline"
        if run.fruitless >= self.parameters.max_attempts:
            return f"{run.fruitless} plans in a row filled nothing: {run.why_not or 'orders were not filled'}"
        if self._planner.dust(run.work, now):
            return "the rest is below what any venue takes"
        return None

    # ---- children ----------

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
            created_ns=now,
            updated_ns=now,
        )
        decision = self.gate.decide(_intent(child, child.quantity, now))
        self._publish(topics.RISK, decision)
        if isinstance(decision, Refused):
            run.why_not = f"{decision.check}: {decision.message}"
            return
        accounting.add_child(run.work, child)
        self._runs.add_child(run, child.child_id)
        self._publish(topics.CHILD, copy(child))
        self.at_ns(
            f"child:{child.child_id}",
            now + self.parameters.child_timeout_ms * _MS,
            lambda _: self._overdue(run, child),
        )
        send = guarded(self, lambda: self._leave(run, child, decision, planned.valid_until_ns), "child is durable")
        self._journal.child(copy(child), send)

    def _leave(self, run: Run, child: ChildOrder, approved: Approved, valid_until_ns: int) -> None:
        """The record is durable: a last look, then the order leaves."""
        now = self.clock.timestamp_ns()
        if child.state is not ChildState.NEW:
            return
        if run.stop or self.gate.state.trading.state is TradingState.HALTED or not self.gate.holds(approved):
            self._finish(run, child, ChildState.REJECTED, f"not sent: {run.stop or 'halted'}")
        elif valid_until_ns and now >= valid_until_ns:
            self._finish(run, child, ChildState.REJECTED, "not sent: the quote has ended")
        elif accounting.send(child, now):
            self._record_child(child)
            self.submit(approved, child)

    def submit(self, approved: Approved, child: ChildOrder) -> None:
        """The one place where an order goes to the engine. Takes what the gate approved, and nothing else."""
        intent = approved.intent
        instrument = self.cache.instrument(InstrumentId.from_str(f"{intent.symbol}.{intent.venue}"))
        order = self.order_factory.limit(
            instrument_id=instrument.id,
            order_side=OrderSide.BUY if intent.side == "buy" else OrderSide.SELL,
            quantity=Quantity.from_str(f"{intent.quantity:.{instrument.size_precision}f}"),
            price=Price.from_str(f"{intent.price:.{instrument.price_precision}f}"),
            time_in_force=TimeInForce.FOK if child.quote_id else TimeInForce.IOC,
            tags=[f"parent={child.parent_id}"],
            client_order_id=ClientOrderId(intent.intent_id),
        )
        self.submit_order(order, params={"quote_id": child.quote_id} if child.quote_id else None)

    def _finish(self, run: Run, child: ChildOrder, state: ChildState, reason: str) -> None:
        """A child can fill no more: give its rest back, and see what is next."""
        if not accounting.finish(child, state, self.clock.timestamp_ns(), reason):
            return
        self._ended(child)
        self._record_child(child)
        self._go_on(run)

    def _ended(self, child: ChildOrder) -> None:
        """Let the reservation go, and remember how the venue did."""
        self.cancel(f"child:{child.child_id}")
        self.cancel(f"resolve:{child.child_id}")
        self.gate.release(child.child_id)
        now = self.clock.timestamp_ns()
        if child.filled >= child.quantity:
            self._backoff.worked(child.venue)
        elif child.filled > 0:
            self._backoff.disappointed(child.venue, now)
        elif not child.reason.startswith("not sent"):
            self._backoff.failed(child.venue, now)

    # ---- unknown outcomes ----------

    def _overdue(self, run: Run, child: ChildOrder) -> None:
        """No final report in time: unknown, reserved, queried. The rest of the parent goes on."""
        if child.state is ChildState.NEW:
            self._finish(run, child, ChildState.REJECTED, "not sent: its record did not become durable in time")
            return
        if accounting.lose(
            child, self.clock.timestamp_ns(), f"no final report within {self.parameters.child_timeout_ms} ms"
        ):
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
        again = _LOST_REPLY_NS if asked else self.parameters.resolve_retry_ms * _MS
        if not child.state.terminal:  # the answer may have come at once
            self._ask_again(run, child, again)

    def _ask_again(self, run: Run, child: ChildOrder, after_ns: int) -> None:
        at = self.clock.timestamp_ns() + after_ns
        self.at_ns(f"resolve:{child.child_id}", at, lambda _: self._resolve(run, child))

    def _resolved(self, run: Run, child: ChildOrder, outcome: OrderOutcome) -> None:
        finished = child.state.terminal
        for execution, kind in accounting.resolve(run.work, child, outcome, self.clock.timestamp_ns()):
            self._book(run.work.parent.parent_id, child, execution, kind)
        self._record_parent(run)
        self._record_child(child)
        if not child.state.terminal:
            self._ask_again(run, child, self.parameters.resolve_retry_ms * _MS)
        elif not finished:
            self._ended(child)
        self._go_on(run)

    # ---- what is next ----------

    def _go_on(self, run: Run) -> None:
        """Nothing but unknown children left open: done, or plan the rest."""
        work, parent = run.work, run.work.parent
        if run.phase is not Phase.WORKING or any(child.state is not ChildState.UNKNOWN for child in work.open):
            return
        if parent.filled >= parent.quantity or run.stop:
            self._done(run)
        elif work.free > 0 and not (work.open and self._planner.dust(work, self.clock.timestamp_ns())):
            run.fruitless = 0 if parent.filled > run.filled_before else run.fruitless + 1
            run.phase = Phase.WAITING
            pause = self.parameters.replan_ms if run.sent else self.parameters.retry_backoff_ms
            at = self.clock.timestamp_ns() + pause * _MS
            self.at_ns(f"plan:{parent.parent_id}", at, lambda _: self._attempt(run))

    def _wind_down(self, run: Run, reason: str) -> None:
        """Send nothing new, take back what has not left, cancel what is open, and be done when nothing is."""
        if run.phase is Phase.DONE:
            return
        run.stop = run.stop or reason
        if run.phase in (Phase.RECORDED, Phase.ASKING, Phase.WAITING):
            run.phase = Phase.WORKING
            self.cancel(f"plan:{run.work.parent.parent_id}")
            self.cancel(f"lp:{run.work.parent.parent_id}")
        for child in run.work.open:
            match child.state:
                case ChildState.NEW:
                    self._finish(run, child, ChildState.REJECTED, f"not sent: {run.stop}")
                case ChildState.SENT | ChildState.ACKED | ChildState.PARTIAL:
                    order = self.cache.order(ClientOrderId(child.child_id))
                    if order is not None and not order.is_closed:
                        self.cancel_order(order)
                case _:
                    pass  # unknown: its query cancels it
        self._go_on(run)

    def _mind_deadline(self, run: Run) -> None:
        parent = run.work.parent
        self.at_ns(f"deadline:{parent.parent_id}", parent.deadline_ns, lambda _: self._wind_down(run, "deadline"))

    def _done(self, run: Run) -> None:
        parent = run.work.parent
        complete = parent.filled >= parent.quantity > 0
        why = "" if complete else f"{parent.reason}: {run.stop}"
        if accounting.close(run.work, self.clock.timestamp_ns(), why):
            run.phase = Phase.DONE
            self.cancel(f"deadline:{parent.parent_id}")
            self._runs.finished(run)
            self._record_parent(run)

    # ---- reports of the engine ----------

    def on_order_accepted(self, event: Any) -> None:
        """The venue has the order."""
        run, child = self._found(event)
        if run is not None and child is not None and accounting.ack(child, event.ts_event):
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
        self._book(run.work.parent.parent_id, child, execution, kind)
        self._record_parent(run)
        if child.state.terminal:
            self._ended(child)
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

    def _ended_by(self, event: Any, state: ChildState, reason: str) -> None:
        run, child = self._found(event)
        if run is not None and child is not None:
            self._finish(run, child, state, reason)

    def _found(self, event: Any) -> tuple[Run | None, ChildOrder | None]:
        child_id = event.client_order_id.value
        run = self._runs.of_child(child_id)
        return run, None if run is None else run.work.children[child_id]

    # ---- records ----------

    def _book(self, parent_id: str, child: ChildOrder, execution: VenueFill, kind: FillKind) -> None:
        """Book and publish an execution, once ever: the journal knows those of earlier runs."""
        if kind is FillKind.DUPLICATE or not self._journal.fill(execution, parent_id):
            return
        if not self.gate.fill(child.child_id, execution.quantity):
            self.gate.state.book(_intent(child, execution.quantity, execution.ts_ns), execution.quantity)
        if kind is not FillKind.NEW:
            child.reason = f"{kind} execution {execution.trade_id}"
            self.log.warning(f"{child.child_id} at {child.venue}: {child.reason}")
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
        told = copy(run.work.parent)
        self._journal.parent(told)
        self._publish(topics.PARENT, told)

    def _record_child(self, child: ChildOrder) -> None:
        told = copy(child)
        self._journal.child(told)
        self._publish(topics.CHILD, told)

    def _publish(self, topic: str, message: object) -> None:
        if self._bus is not None:
            self._bus.publish(topic, message)

    def _ask_lp(self, lp: str, rfq: Any) -> bool:
        return self._bus is not None and self._bus.send(topics.lp_rfq(lp), rfq)


def _intent(child: ChildOrder, quantity: Decimal, now_ns: int) -> Intent:
    return Intent(
        stage=Stage.CHILD,
        intent_id=child.child_id,
        symbol=child.symbol,
        side=child.side,
        quantity=quantity,
        price=child.limit_price,
        now_ns=now_ns,
        venue=child.venue,
    )


def _execution(event: Any) -> VenueFill:
    return VenueFill(
        venue=event.instrument_id.venue.value,
        symbol=event.instrument_id.symbol.value,
        client_order_id=event.client_order_id.value,
        trade_id=event.trade_id.value,
        side="buy" if event.order_side == OrderSide.BUY else "sell",
        price=event.last_px.as_decimal(),
        quantity=event.last_qty.as_decimal(),
        fee=event.commission.as_decimal(),
        fee_currency=event.commission.currency.code,
        ts_ns=event.ts_event,
    )
