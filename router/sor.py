"""`SmartOrderRouter`: the one strategy of the engine, and the only thing in the house that submits an order.

    parent journalled → LPs asked → split over live books and quotes → each child: gate → journal → submit → reports → accounting
    everything finished and something left → planned again, until filled, given up, or the deadline

    with an algo: its steps say when how much of that is due, or where an order is to rest, until its schedule ends
    commands: pause, resume, amend, cancel: on disk before they are in force

Promises: no order without an `Approved` and a durable record; an order whose outcome is unknown is queried and never sent again, its
leaves stay reserved; an execution is booked and published once, whenever it comes; after a halt nothing new leaves and what is open is
cancelled; after a restart every unfinished child is asked for before its parent goes on, and a schedule goes on where it stood.
Publishes copies of `ParentOrder` (topic PARENT) and `ChildOrder` (CHILD) at every transition, `VenueFill` (FILL) once per execution, and
the gate's decision on every child (RISK).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from decimal import Decimal
from random import Random
from typing import Any

from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.identifiers import InstrumentId

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.lp import LpLadder, LpQuote
from adapters.nautilus.safe import guarded
from pricing.consolidated import ConsolidatedBook
from risk.exact import EXACT, ZERO, add, measurable
from risk.gate import Gate
from risk.state import TradingState
from router import accounting
from router.accounting import Work
from router.algos.profile import VolumeProfile
from router.algos.step import Rest
from router.algos.volume import Tape
from router.children import MS, intent_of
from router.commands import decide, laid_anew, needs_limit
from router.experience import Experience
from router.messages import CommandKind, CommandRefused, CommandTaken, Crossing, Journal, ParentCommand, ParentRequest
from router.orders import ChildOrder, ChildState, ParentOrder, ParentState
from router.pace import Pace, Volatility, within
from router.panel import LpPanel
from router.parameters import RouterParameters
from router.plan import PlannedChild, floor_to, too_small
from router.planner import Planner
from router.run import Later, Phase, Run
from router.slippage.predictor import Predictor
from router.waves import Waves

_LOOK_NS = 1_000 * MS  # an algo looks at the market at least so often


class SmartOrderRouter(Waves):
    """Works parents over venues (`SYMBOL.VENUE`, limit IOC or resting) and LPs (`SYMBOL.LP`, limit FOK with a quote id).

    `books` by symbol, `lps` by name, `epoch` new at every start (it makes client order ids unique for ever), `seed` for the order in
    which LPs are asked and for the schedules of algos. `profiles` (of the day's volume) by symbol, `volatility` relative per √s: what
    algos may be settled with. `own_shown`: whether venue books hold our own orders (not on a tape, not on paper).
    `crossing`: who takes the other side of orders worked for others. `slippage`: expected cost beyond the books, `experience`: what own
    orders have taught of venues and LPs, both for the split.
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
        profiles: Mapping[str, VolumeProfile] | None = None,
        volatility: Volatility = lambda symbol: None,
        own_shown: bool = True,
        crossing: Crossing | None = None,
        slippage: Predictor | None = None,
        experience: Experience | None = None,
    ) -> None:
        super().__init__(parameters, gate, journal, epoch, crossing, books)
        self._learnt = (slippage, experience)
        self._lps = tuple(lps)
        self._panel = LpPanel(
            lps,
            send=self._ask_lp,
            new_id=self._ids.rfq,
            seed=seed,
            now_ns=lambda: self.clock.timestamp_ns(),
            fair=lambda symbol: self._planner.fair(symbol, self.clock.timestamp_ns()),
            told=lambda what: self._publish(topics.LP_ROUND, what),
        )
        self._schedules = (seed, profiles or {}, volatility, own_shown)

    # ---- life ----------

    def on_start(self) -> None:
        """Open the endpoints and take up the parents that the last run left."""
        self.bind_loop()
        seed, profiles, volatility, own_shown = self._schedules
        self._planner = Planner(
            self.parameters, self._books, self.gate, self._lps, self.cache, *self._learnt, seed=seed
        )
        self._pace = Pace(
            self._books,
            self._planner,
            self._tapes,
            seed=seed,
            profiles=profiles,
            volatility=volatility,
            own_shown=own_shown,
            min_clip=self.parameters.min_clip,
        )
        self._bus = Bus(self)
        self._bus.register(topics.ROUTER_PARENT, self.on_parent_request)
        self._bus.register(topics.ROUTER_COMMAND, self.on_command)
        self._bus.register(topics.ROUTER_HALT, self.on_halt)
        self._bus.subscribe(topics.LP_LADDER, self.on_lp_ladder)
        self._bus.subscribe(topics.STANDING, self.on_standing)
        self.recover()

    def on_stop(self) -> None:
        """Leave the bus. What is open stays in the journal and is found again at the next start."""
        self.cancel_all()
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    def stand_down(self) -> None:
        """Before a stop: send nothing new and take back what rests; parents stay as they are and go on after the next start."""
        for run in self._runs.working():
            run.held = "the desk is stopping"
            self._pull_resting(run, run.held)

    def recover(self) -> None:
        """Every unfinished child of the last run is unknown until its venue has answered; nothing is sent again."""
        now = self.clock.timestamp_ns()
        for parent, children in self._journal.open_parents():
            if self._runs.get(parent.parent_id) is not None:
                continue
            work = Work(parent=parent, children={child.child_id: child for child in children})
            run = Run(work=work, phase=Phase.WORKING, filled_before=parent.filled)
            for child in work.open:
                if child.leaves > 0:
                    self.gate.adopt(intent_of(run, child, child.leaves, now))
            accounting.recount(work)
            self._runs.add(run)
            if parent.state is ParentState.CANCELLING:
                run.stop = parent.stopped or "cancelled"
            if parent.algo is not None:
                self._follow(parent.symbol)
                if parent.standing is None:
                    self._pace.lay(run, now)
                self._pace.adopt(run)
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
            self._publish(topics.PARENT, self._told(known))
            return
        now = self.clock.timestamp_ns()
        parent = ParentOrder(
            parent_id=request.parent_id,
            symbol=request.symbol,
            side=request.side,
            quantity=max(request.quantity, ZERO) if measurable(request.quantity) else ZERO,
            limit_price=request.limit_price,
            deadline_ns=request.deadline_ns,
            reason=request.reason,
            rfq_id=request.rfq_id,
            route_id=request.route_id,
            route_reason=request.route_reason,
            account=request.account,
            commission_bps=request.commission_bps,
            algo=request.algo,
            arrival_mid=self._planner.fair(request.symbol, now),
            created_ns=now,
            updated_ns=now,
        )
        run = Run(work=Work(parent=parent))
        self._runs.add(run)
        if self._books.get(request.symbol) is None:
            run.stop = f"no book of {request.symbol}"
        elif request.side not in ("buy", "sell") or parent.quantity <= 0:
            run.stop = "side or quantity make no sense"
        elif needs_limit(parent.algo) and parent.limit_price is None:
            run.stop = "an iceberg needs a limit price"
        elif parent.algo is not None and not (reason := self._pace.settle(parent, now)):
            self._follow(parent.symbol)
            self._pace.lay(run, now)
        elif parent.algo is not None:
            run.stop = reason
        self._mind_deadline(run)
        self._publish(topics.PARENT, self._told(run))
        self._journal.parent(self._told(run), guarded(self, lambda: self._begin(run), "parent is durable"))

    def on_command(self, command: ParentCommand) -> None:
        """Pause, resume, amend or cancel a parent: refused at once, or answered when the change is on disk and in force."""
        reply = guarded(self, command.reply, "reply to a command")
        run = self._runs.get(command.parent_id)
        if run is None:
            reply(CommandRefused(command.parent_id, "no such parent order"))
        elif run.phase is Phase.RECORDED:
            reply(CommandRefused(command.parent_id, "it is still being written down"))
        elif run.held:
            reply(CommandRefused(command.parent_id, run.held))
        else:
            match decide(command, run.work, self.clock.timestamp_ns()):
                case CommandRefused() as refused:
                    reply(refused)
                case None:
                    reply(CommandTaken(command.parent_id))
                case ParentOrder() as changed:
                    self._change(run, command, changed)

    def on_halt(self, reason: str) -> None:
        """Nothing new leaves; what is open is cancelled; parents are given back as soon as nothing of them is open."""
        for run in self._runs.working():
            self._wind_down(run, f"halted: {reason}")

    def on_lp_ladder(self, ladder: LpLadder) -> None:
        """Who among the LPs is up."""
        self._panel.on_ladder(ladder)

    def on_trade_tick(self, tick: TradeTick) -> None:
        """What others trade, for algos that follow it."""
        tape = self._tapes.get(tick.instrument_id.symbol.value)
        if tape is not None:
            venue = tick.instrument_id.venue.value
            tape.on_trade(venue, tick.price.as_decimal(), tick.size.as_decimal(), tick.ts_event)

    # ---- commands ----------

    def _change(self, run: Run, command: ParentCommand, changed: ParentOrder) -> None:
        """Write the changed parent down; nothing is sent for it until it is on disk, then the change is in force."""
        before, parent = copy(run.work.parent), run.work.parent
        for name in ("quantity", "limit_price", "deadline_ns", "algo", "state", "stopped", "updated_ns"):
            setattr(parent, name, getattr(changed, name))
        run.held = f"a command ({command.kind.value}) is being written down"
        key = f"command:{parent.parent_id}"
        if command.kind is CommandKind.CANCEL:  # taking back what is open does not wait for a slow disk for ever
            at = self.clock.timestamp_ns() + self.parameters.child_timeout_ms * MS
            self.at_ns(key, at, lambda _: self._wind_down(run, parent.stopped))
        done = guarded(self, lambda: self._in_force(run, command, before), "command is durable")
        self._journal.parent(self._told(run), done)

    def _in_force(self, run: Run, command: ParentCommand, before: ParentOrder) -> None:
        """The command is on disk."""
        now, parent = self.clock.timestamp_ns(), run.work.parent
        self.cancel(f"command:{parent.parent_id}")
        run.held = ""
        if run.phase is not Phase.DONE:
            if parent.quantity < run.work.released:  # a late execution came in between
                parent.quantity = run.work.released
            match command.kind:
                case CommandKind.CANCEL:
                    self._publish(topics.PARENT, self._told(run))
                    self._wind_down(run, parent.stopped)
                case CommandKind.PAUSE:
                    self._record_parent(run)
                    self._pull_resting(run, "paused")
                case CommandKind.RESUME | CommandKind.AMEND:
                    self._mind_deadline(run)
                    if before.limit_price != parent.limit_price:
                        self._pull_resting(run, "amended")
                    if laid_anew(before, parent):
                        self._pace.lay(run, now)
                    self._record_parent(run)
        guarded(self, command.reply, "reply to a command")(CommandTaken(parent.parent_id))
        self._go_on(run)

    def _pull_resting(self, run: Run, reason: str) -> None:
        for child in run.work.open:
            if child.resting:
                self._pull(run, child, reason)

    # ---- planning ----------

    def _begin(self, run: Run) -> None:
        if run.phase is not Phase.RECORDED:
            return
        run.phase = Phase.WORKING
        if run.stop:
            self._go_on(run)
        elif run.algo is not None:
            self._step(run)
        else:
            self._attempt(run)

    def _step(self, run: Run) -> None:
        """Ask the algo what is to be done now, and do it."""
        if run.phase not in (Phase.WORKING, Phase.WAITING):
            return
        run.phase = Phase.WORKING
        run.work.ceiling = None
        now = self.clock.timestamp_ns()
        if (reason := self._must_stop(run, now)) is not None:
            self._wind_down(run, reason)
            return
        if run.quiet:
            self._pace.observe(run, now, self._planner.fair(run.work.parent.symbol, now), None)
            return
        run.step = step = self._pace.step(run, now, self._left_out(now))
        if step.finished:
            self._wind_down(run, step.finished)
            return
        for child in run.work.open:
            if child.child_id in step.pull:
                self._pull(run, child, "moved")
        if step.place is not None:
            self._rest(run, step.place, now)
        elif step.take > 0:
            run.work.ceiling = add(run.work.released, step.take)
            self._attempt(run)
            return
        if run.phase is Phase.WORKING:
            self._look_again(run, step.wake_ns)

    def _rest(self, run: Run, place: Rest, now: int) -> None:
        """Lay an order into a venue's book, no more of it than the gate lets one child be."""
        work, parent = run.work, run.work.parent
        terms = self._planner.terms(parent.symbol)[place.venue]
        work.ceiling = add(work.released, place.quantity)
        self._cross(run, now)
        if parent.filled >= parent.quantity:
            self._done(run)
            return
        quantity = floor_to(min(self._planner.clip(work, now), self._affordable(run, place)), terms.lot)
        work.ceiling = None
        if (reason := too_small(quantity, place.price, terms)) is not None:
            run.why_not = reason
            return
        child = PlannedChild(
            venue=place.venue,
            quantity=quantity,
            limit_price=place.price,
            resting=True,
            post_only=place.post_only,
        )
        self._make(run, child, now)

    def _affordable(self, run: Run, place: Rest) -> Decimal:
        """How much the account at the venue can pay for at the order's price, the fee in it; all that it holds to sell."""
        parent = run.work.parent
        working = [child for other in self._runs.working() for child in other.work.open]
        funds = self._planner.spendable(place.venue, parent, working)
        if parent.side == "sell":
            return funds
        return EXACT.divide(
            within(funds, self._books[parent.symbol].terms(place.venue).taker_fee_bps, "buy"), place.price
        )

    def _attempt(self, run: Run) -> None:
        """Plan what is free: ask the LPs first."""
        if run.phase not in (Phase.WORKING, Phase.WAITING):
            return
        run.phase = Phase.WORKING
        now = self.clock.timestamp_ns()
        if (reason := self._must_stop(run, now)) is not None:
            self._wind_down(run, reason)
            return
        if run.quiet:
            return
        parent, parameters = run.work.parent, self.parameters
        parent.attempts += 1
        run.filled_before = parent.filled
        self._cross(run, now)
        if run.work.free <= 0:
            self._go_on(run)
            return
        run.phase = Phase.ASKING
        self._record_parent(run)
        lps: list[tuple[str, Decimal]] = []
        if run.step is None or run.step.ask_lps:
            lps = self._panel.up(parent.symbol, now, parameters.lp_ladder_age_ms * MS, self._left_out(now))
        sizes = self._planner.sizes_to_ask(parent.symbol, self._planner.clip(run.work, now), [lp for lp, _ in lps], now)
        key = parent.parent_id
        if lps:
            self.at_ns(f"lp:{key}", now + parameters.lp_wait_ms * MS, lambda _: self._panel.expire(key))
        if not self._panel.ask(key, parent.symbol, parent.side, sizes, lps, lambda quotes: self._quoted(run, quotes)):
            self._quoted(run, [])

    def _quoted(self, run: Run, quotes: list[LpQuote]) -> None:
        """The LPs have answered, or the wait is over: split, and send what comes out."""
        if run.phase is not Phase.ASKING:
            return
        parent = run.work.parent
        self.cancel(f"lp:{parent.parent_id}")
        now = self.clock.timestamp_ns()
        run.phase = Phase.SENDING
        if (reason := self._must_stop(run, now)) is not None:
            run.phase = Phase.WORKING
            self._wind_down(run, reason)
            return
        run.why_not, run.sent = "", False
        if not run.quiet:
            run.sent = self._send(run, Later(quotes=tuple(quotes), without=frozenset()), now)
            if not run.sent:
                run.why_not = run.why_not or "no liquidity within the limits"
        run.phase = Phase.WORKING
        if not run.sent and not run.quiet and _at_once(parent):
            self._wind_down(run, run.why_not)
            return
        run.tried = True
        self._go_on(run)

    def _must_stop(self, run: Run, now: int) -> str | None:
        """Why nothing more may be sent for this parent, if so."""
        parent = run.work.parent
        if run.stop:
            return run.stop
        if self.gate.state.trading.state is TradingState.HALTED:
            return f"halted: {self.gate.state.trading.reason}"
        if now >= parent.deadline_ns:
            return "deadline"
        if run.algo is not None:  # it may wait for its price until its deadline; a slice may be as small as venues take
            whole = run.work.ceiling is None and not run.work.open
            return "the rest is below what any venue takes" if whole and self._planner.dust(run.work, now) else None
        if run.fruitless >= self.parameters.max_attempts:
            return f"{run.fruitless} plans in a row filled nothing: {run.why_not or 'orders were not filled'}"
        if self._planner.dust(run.work, now):
            return "the rest is below what any venue takes"
        return None

    # ---- what is next ----------

    def _go_on(self, run: Run) -> None:
        """Nothing but resting and unknown children left open: done, or plan the rest."""
        work, parent = run.work, run.work.parent
        if run.phase is Phase.WAITING and run.algo is not None:
            run.phase = Phase.WORKING
        if run.phase is not Phase.WORKING or any(_is_taking(child) for child in work.open):
            return
        if parent.filled >= parent.quantity or run.stop:
            self._done(run)
        elif run.later is not None:
            self._send_later(run)
        elif run.quiet:
            return
        elif run.algo is not None:
            self._look_again(run, self.clock.timestamp_ns() + self._pause(run))
        elif work.free > 0 and not (work.open and self._planner.dust(work, self.clock.timestamp_ns())):
            run.fruitless = 0 if parent.filled > run.filled_before else run.fruitless + 1
            run.phase = Phase.WAITING
            at = self.clock.timestamp_ns() + self._between(run)
            self.at_ns(f"plan:{parent.parent_id}", at, lambda _: self._attempt(run))

    def _between(self, run: Run) -> int:
        """The pause before a sweep's rest is planned, in ns: drawn from the seed, so that its waves keep no time."""
        if not run.sent:
            return self.parameters.retry_backoff_ms * MS
        parent = run.work.parent
        dice = Random(f"{self._schedules[0]}:{parent.parent_id}:{parent.attempts}:pause")
        return int(self.parameters.replan_ms * MS * (1 + self.parameters.wave_jitter * dice.random()))

    def _pause(self, run: Run) -> int:
        """How long an algo waits after something happened, in ns: longer with each plan in a row that found nothing to send.

        A venue that did not do what was planned has its own patience (`Backoff`): the others are tried at once.
        """
        if run.tried:
            run.tried = False
            run.fruitless = 0 if run.sent else run.fruitless + 1
            if run.fruitless:
                first, most = self.parameters.retry_backoff_ms, self.parameters.max_backoff_ms
                return min(first << min(run.fruitless - 1, 16), max(first, most)) * MS
        return self.parameters.replan_ms * MS

    def _look_again(self, run: Run, at_ns: int) -> None:
        """The next step of an algo: then, or a second from now, so that its benchmark sees the market in between."""
        run.phase = Phase.WAITING
        latest = self.clock.timestamp_ns() + max(_LOOK_NS, self.parameters.max_backoff_ms * MS if run.fruitless else 0)
        self.at_ns(f"plan:{run.work.parent.parent_id}", min(at_ns, latest), lambda _: self._step(run))

    def _wind_down(self, run: Run, reason: str) -> None:
        """Send nothing new, take back what has not left, cancel what is open, and be done when nothing is."""
        if run.phase is Phase.DONE:
            return
        parent = run.work.parent
        run.stop = run.stop or reason
        run.work.ceiling = None
        run.later = None
        if run.phase in (Phase.RECORDED, Phase.ASKING, Phase.WAITING):
            run.phase = Phase.WORKING
            self.cancel(f"plan:{parent.parent_id}")
            self.cancel(f"lp:{parent.parent_id}")
        for child in run.work.open:
            self._pull(run, child, run.stop)
        self._go_on(run)
        if parent.state in (ParentState.WORKING, ParentState.PAUSED):
            parent.state, parent.stopped = ParentState.CANCELLING, run.stop
            self._record_parent(run)

    def _mind_deadline(self, run: Run) -> None:
        parent = run.work.parent
        self.at_ns(f"deadline:{parent.parent_id}", parent.deadline_ns, lambda _: self._wind_down(run, "deadline"))

    def _done(self, run: Run) -> None:
        parent = run.work.parent
        now = self.clock.timestamp_ns()
        complete = parent.filled >= parent.quantity > 0
        why = "" if complete else f"{parent.reason}: {run.stop}"
        if run.work.open:
            return
        if run.algo is not None:
            due = None if run.step is None else run.step.target
            self._pace.observe(run, now, self._planner.fair(parent.symbol, now), due)
        parent.stopped = "" if complete else run.stop
        if accounting.close(run.work, now, why):
            run.phase = Phase.DONE
            for timer in ("deadline", "plan", "wave"):
                self.cancel(f"{timer}:{parent.parent_id}")
            self._runs.finished(run)
            self._record_parent(run)
            if run.algo is not None:
                self._unfollow(parent.symbol)

    # ---- the market's volume ----------

    def _follow(self, symbol: str) -> None:
        """Count what others trade in a symbol while an algo works there."""
        if symbol not in self._tapes:
            self._tapes[symbol] = Tape()
            for venue in self._books[symbol].venues:
                self.subscribe_trade_ticks(InstrumentId.from_str(f"{symbol}.{venue}"))

    def _unfollow(self, symbol: str) -> None:
        if any(run.algo is not None and run.work.parent.symbol == symbol for run in self._runs.working()):
            return
        if self._tapes.pop(symbol, None) is not None:
            for venue in self._books[symbol].venues:
                self.unsubscribe_trade_ticks(InstrumentId.from_str(f"{symbol}.{venue}"))

    def _ask_lp(self, lp: str, rfq: Any) -> bool:
        return self._bus is not None and self._bus.send(topics.lp_rfq(lp), rfq)


def _at_once(parent: ParentOrder) -> bool:
    """Whether what cannot be had within its limit now is not wanted: an order that somebody gave, and no hedge of ours."""
    return bool(parent.account) and parent.algo is None and parent.limit_price is not None


def _is_taking(child: ChildOrder) -> bool:
    """Whether a child will end by itself, soon."""
    return not child.resting and child.state is not ChildState.UNKNOWN
