"""A parent under any interleaving of algo steps, reports, commands, unknowns and late fills: never more filled than asked for.

A small router without an engine: the algo says what is due, accounting says what may be made, a true venue executes. What holds after
every step: filled + open + unknown ≤ quantity, Σ children = filled, nothing above the algo's ceiling, an accepted amendment never below
what is released, nothing made while paused or after a cancel.
"""

from __future__ import annotations

from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from adapters.nautilus.outcome import OrderOutcome, OrderState, VenueFill
from router import accounting
from router.accounting import Work
from router.algos import build
from router.algos.spec import AlgoSpec, ArrivalPrice, Iceberg, Pegged, Pov, Sniper, Standing, Twap, Vwap
from router.algos.step import Algo, Offer, Progress, Resting, Top
from router.commands import decide, laid_anew
from router.messages import CommandKind, CommandRefused, ParentCommand
from router.orders import ChildOrder, ChildState, ParentOrder, ParentState

D = Decimal
S = 1_000_000_000
LOT = D("0.01")
SPECS: list[AlgoSpec] = [
    Twap(interval_ms=1_000),
    Vwap(interval_ms=2_000, curve=(1, 2, 1), expected=D(100)),
    ArrivalPrice(interval_ms=1_000, urgency=0.7, drift=1.0),
    Pov(participation=D("0.5")),
    Iceberg(display=D("0.7"), max_delay_ms=2_000),
    Pegged(min_interval_ms=0, display=D("1.3")),
    Sniper(trigger_price=D(101)),
]


class MovingView:
    """A market with one venue."""

    def __init__(self) -> None:
        self.now_ns = S
        self.mid = D(100)
        self.volume = D(0)

    @property
    def fair(self) -> Decimal:
        return self.mid

    def tops(self) -> list[Top]:
        bid, ask = (self.mid - 1, D(3)), (self.mid + 1, D(3))
        return [Top(venue="V", tick=LOT, lot=LOT, least=LOT, fee_bps=D(4), bids=(bid,), asks=(ask,))]

    def offers(self) -> list[Offer]:
        return [Offer("V", self.mid + 1, D(3), (self.mid + 1) * D("1.0004"))]


class Parent(RuleBasedStateMachine):
    """One parent, its children, and what really happened to them."""

    def __init__(self) -> None:
        super().__init__()
        self.view = MovingView()
        self.work = Work(
            parent=ParentOrder(
                parent_id="p",
                symbol="BTC/USDT",
                side="buy",
                quantity=D(10),
                limit_price=D(105),
                deadline_ns=100 * S,
                reason="test",
                arrival_mid=D(100),
            )
        )
        self.truth: dict[str, list[VenueFill]] = {}
        self.untold: list[tuple[ChildOrder, VenueFill]] = []
        self.over: set[str] = set()
        self.pulled: set[str] = set()
        self.trades = 0
        self.made_while_quiet = 0
        self.surprised = False  # a venue called an order ended and told of an execution afterwards

    # ---- helpers ----------

    def lay(self) -> None:
        parent = self.work.parent
        assert parent.algo is not None
        turn = 0 if parent.standing is None else parent.standing.turn + 1
        done = self.work.released
        parent.standing = Standing(since_ns=self.view.now_ns, until_ns=parent.deadline_ns - S, done=done, turn=turn)
        self.view.volume = D(0)
        rest = max(D(0), parent.quantity - done)
        self.algo: Algo = build(parent.algo, parent.standing, rest, LOT, "seed", own_shown=False)

    def progress(self) -> Progress:
        work, parent = self.work, self.work.parent
        return Progress(
            side="buy",
            quantity=parent.quantity,
            filled=parent.filled,
            reserved=work.reserved,
            limit_price=parent.limit_price,
            arrival=parent.arrival_mid,
            least=LOT,
            unit=LOT,
            resting=tuple(
                Resting(
                    child_id=child.child_id,
                    venue="V",
                    price=child.limit_price,
                    leaves=child.leaves,
                    since_ns=child.created_ns,
                    pulled=child.child_id in self.pulled or child.state is ChildState.UNKNOWN,
                )
                for child in work.open
                if child.resting
            ),
            placed=work.rested,
            ended_ns=work.rest_ended_ns,
            sent_since=work.sent_since,
        )

    def make(self, quantity: Decimal, price: Decimal, *, resting: bool) -> None:
        child = ChildOrder(
            child_id=f"c{len(self.work.children)}",
            parent_id="p",
            venue="V",
            symbol="BTC/USDT",
            side="buy",
            quantity=quantity,
            limit_price=price,
            resting=resting,
            created_ns=self.view.now_ns,
        )
        accounting.add_child(self.work, child)  # raises when it would be more than may be
        accounting.send(child, self.view.now_ns)
        self.truth[child.child_id] = []
        self.made_while_quiet += self.work.parent.state is not ParentState.WORKING

    @property
    def children(self) -> list[ChildOrder]:
        return list(self.work.children.values())

    # ---- what may happen ----------

    @initialize(spec=st.sampled_from(SPECS))
    def begin(self, spec: AlgoSpec) -> None:
        self.work.parent.algo = spec
        self.lay()

    @rule(move=st.integers(-2, 2))
    def price_moves(self, move: int) -> None:
        self.view.mid += move

    @rule(seconds=st.sampled_from([0, 1, 5, 15]), volume=st.sampled_from([0, 2, 10]))
    def step(self, seconds: int, volume: int) -> None:
        work = self.work
        self.view.now_ns += seconds * S
        self.view.volume += volume
        if work.parent.state is not ParentState.WORKING or any(
            not child.resting and child.state is not ChildState.UNKNOWN for child in work.open
        ):
            return
        work.ceiling = None
        step = self.algo.step(self.progress(), self.view)
        assert not (step.take > 0 and step.place is not None)
        assert step.take <= work.free
        self.pulled |= set(step.pull)
        if step.place is not None:
            assert not [child for child in work.open if child.resting]  # never two at once
            assert step.place.price <= work.parent.limit_price
            self.make(min(step.place.quantity, work.free), step.place.price, resting=True)
        elif step.take > 0:
            work.ceiling = work.released + step.take
            self.make(work.free, D(105), resting=False)
            assert work.released <= work.ceiling

    @rule(index=st.integers(0, 50), lots=st.integers(1, 300), told=st.booleans())
    def execute(self, index: int, lots: int, told: bool) -> None:
        alive = [child for child in self.children if child.child_id not in self.over]
        if not alive:
            return
        child = alive[index % len(alive)]
        done = sum((fill.quantity for fill in self.truth[child.child_id]), D(0))
        quantity = min(lots * LOT, child.quantity - done)
        if quantity <= 0:
            return
        self.trades += 1
        fill = VenueFill(
            venue="V",
            symbol="BTC/USDT",
            client_order_id=child.child_id,
            trade_id=f"t{self.trades}",
            side="buy",
            price=child.limit_price,
            quantity=quantity,
            fee=D(0),
            fee_currency="USDT",
            ts_ns=self.view.now_ns,
        )
        self.truth[child.child_id].append(fill)
        if told:
            accounting.fill(self.work, child, fill, self.view.now_ns)
        else:
            self.untold.append((child, fill))

    @rule(index=st.integers(0, 50), honest=st.booleans())
    def end(self, index: int, honest: bool) -> None:
        """An order ends; an honest venue has told of every execution before."""
        if not self.work.open:
            return
        child = self.work.open[index % len(self.work.open)]
        self.over.add(child.child_id)
        late = [fill for held, fill in self.untold if held is child]
        if honest:
            for fill in late:
                accounting.fill(self.work, child, fill, self.view.now_ns)
            self.untold = [(held, fill) for held, fill in self.untold if held is not child]
        elif late:
            self.surprised = True
        accounting.finish(child, ChildState.CANCELLED, self.view.now_ns)

    @rule(index=st.integers(0, 50))
    def lose(self, index: int) -> None:
        if self.work.open:
            accounting.lose(self.work.open[index % len(self.work.open)], self.view.now_ns, "timeout")

    @rule(index=st.integers(0, 50))
    def prove(self, index: int) -> None:
        """The venue is asked: it cancels what is open and tells all."""
        if not self.work.open:
            return
        child = self.work.open[index % len(self.work.open)]
        self.over.add(child.child_id)
        self.untold = [(held, fill) for held, fill in self.untold if held is not child]
        told = tuple(self.truth[child.child_id])
        answer = OrderOutcome(client_order_id=child.child_id, state=OrderState.CLOSED, fills=told)
        accounting.resolve(self.work, child, answer, self.view.now_ns)

    @rule()
    def told_late(self) -> None:
        for child, fill in self.untold:
            accounting.fill(self.work, child, fill, self.view.now_ns)
            accounting.fill(self.work, child, fill, self.view.now_ns)  # and once more
        self.untold.clear()

    @rule(
        kind=st.sampled_from([*CommandKind, CommandKind.AMEND, CommandKind.RESUME]),
        more=st.one_of(st.none(), st.integers(-100, 300)),
        participation=st.one_of(st.none(), st.decimals("0.01", "1", places=2)),
        certain=st.integers(0, 9),
    )
    def command(self, kind: CommandKind, more: int | None, participation: Decimal | None, certain: int) -> None:
        """`more`: an amendment to so many lots above (below) what is filled, open or unknown."""
        if kind is CommandKind.CANCEL and certain:
            return  # rarely: it ends the story
        work = self.work
        quantity = None if more is None else work.released + more * LOT
        asked = ParentCommand(
            parent_id="p", kind=kind, reply=lambda _: None, quantity=quantity, participation=participation
        )
        before = work.parent
        answer = decide(asked, work, self.view.now_ns)
        match answer:
            case ParentOrder():
                assert quantity is None or kind is not CommandKind.AMEND or answer.quantity == quantity >= work.released
                assert (answer.filled, answer.parent_id) == (before.filled, before.parent_id)
                work.parent = answer
                work.ceiling = None
                if laid_anew(before, answer):
                    self.lay()
            case CommandRefused():
                assert answer.reason and work.parent is before
            case None:
                assert work.parent is before

    # ---- what must hold ----------

    @invariant()
    def never_too_much(self) -> None:
        work, parent = self.work, self.work.parent
        assert sum((child.filled for child in self.children), D(0)) == parent.filled
        assert all(0 <= child.filled <= child.quantity for child in self.children)
        assert work.open == [child for child in self.children if not child.state.terminal]
        assert work.free >= 0
        if not self.surprised:
            assert work.released <= parent.quantity
        assert self.made_while_quiet == 0

    def teardown(self) -> None:
        self.told_late()
        while self.work.open:
            self.prove(0)
        truth = sum((fill.quantity for fills in self.truth.values() for fill in fills), D(0))
        assert self.work.parent.filled == truth
        if not self.surprised:
            assert truth <= self.work.parent.quantity


TestParent = Parent.TestCase
TestParent.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
