"""The router in a BacktestEngine: simulated venues, venues and LPs that follow a script, an in-memory journal, everything recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from decimal import Decimal
from typing import Any

import numpy as np
from nautilus_trader.accounting.factory import AccountFactory
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import LatencyModel
from nautilus_trader.common.actor import Actor
from nautilus_trader.config import ActorConfig, LoggingConfig
from nautilus_trader.execution.client import ExecutionClient
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas, TradeTick
from nautilus_trader.model.enums import (
    AccountType,
    AggressorSide,
    BookAction,
    BookType,
    LiquiditySide,
    OmsType,
    OrderSide,
)
from nautilus_trader.model.identifiers import AccountId, ClientId, InstrumentId, Symbol, TradeId, Venue, VenueOrderId
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import AccountBalance, Money, Price, Quantity

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.lp import LpLadder, LpNoQuote, LpQuote, LpRfq, LpRung
from adapters.nautilus.outcome import OrderOutcome, OrderState, ResolveOrder, VenueFill
from adapters.nautilus.pump import Pump
from adapters.nautilus.safe import LoopSafe, Safe
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from risk.gate import Gate
from risk.limits import RiskLimits
from risk.state import RiskState
from router.algos.profile import VolumeProfile
from router.algos.spec import AlgoSpec
from router.experience import Experience
from router.messages import CommandKind, CommandRefused, CommandTaken, Crossing, ParentCommand, ParentRequest
from router.orders import ChildOrder, ChildState, ParentOrder
from router.parameters import RouterParameters
from router.sor import SmartOrderRouter

MS = 1_000_000
START = 1_700_000_000_000_000_000
SYMBOL = "BTC/USDT"
LATENCY = 5 * MS
D = Decimal

Levels = tuple[list[tuple[str, str]], list[tuple[str, str]]]  # bids, asks, best first


class MemoryJournal:
    """`router.messages.Journal` in memory. `hold`: writes wait for `flush()`, as if the disk were slow."""

    def __init__(self, left: list[tuple[ParentOrder, list[ChildOrder]]] | None = None) -> None:
        self.left = left or []
        self.parents: dict[str, ParentOrder] = {}
        self.children: dict[str, ChildOrder] = {}
        self.written: list[tuple[str, str]] = []
        self.fills: dict[tuple[str, str, str], tuple[VenueFill, str]] = {}
        self.hold = False
        self._held: list[Callable[[], None]] = []

    def parent(self, parent: ParentOrder, then: Callable[[], None] | None = None) -> None:
        self.parents[parent.parent_id] = copy(parent)
        self._write("parent", parent.parent_id, then)

    def child(self, child: ChildOrder, then: Callable[[], None] | None = None) -> None:
        self.children[child.child_id] = copy(child)
        self._write("child", child.child_id, then)

    def fill(self, fill: VenueFill, parent_id: str) -> bool:
        key = (fill.venue, fill.symbol, fill.trade_id)
        if key in self.fills:
            return False
        self.fills[key] = (fill, parent_id)
        return True

    def cross(self, fill: VenueFill, parent: ParentOrder, child: ChildOrder) -> bool:
        self.parent(parent)
        self.child(child)
        return self.fill(fill, parent.parent_id)

    def open_parents(self) -> list[tuple[ParentOrder, list[ChildOrder]]]:
        return self.left

    def flush(self) -> None:
        held, self._held = self._held, []
        for then in held:
            then()

    def _write(self, kind: str, key: str, then: Callable[[], None] | None) -> None:
        self.written.append((kind, key))
        if then is None:
            return
        if self.hold:
            self._held.append(then)
        else:
            then()


Step = tuple[int, str, tuple[Any, ...]]  # after how many ms, what, with what


class Script(ExecutionClient):
    """A venue or LP that does to each order what `plan(order, params, n)` says: accept, fill, cancel, reject, or nothing.

    `outcome(order_id)`: its answer to a query, by endpoint `Exec.<VENUE>.resolve`.
    """

    def __init__(
        self,
        engine: BacktestEngine,
        venue: str,
        plan: Callable[[Any, dict[str, Any], int], list[Step]],
        outcome: Callable[[str], OrderOutcome] | None = None,
        balance: tuple[str, str] = ("10000000", "1000"),
    ) -> None:
        kernel = engine.kernel
        AccountFactory.deregister_cash_borrowing(venue)
        AccountFactory.register_cash_borrowing(venue)
        super().__init__(
            client_id=ClientId(venue),
            venue=Venue(venue),
            oms_type=OmsType.NETTING,
            account_type=AccountType.CASH,
            base_currency=None,
            msgbus=kernel.msgbus,
            cache=kernel.cache,
            clock=kernel.clock,
        )
        self._set_account_id(AccountId(f"{venue}-1"))
        self._time = kernel.clock
        self._plan = plan
        self._outcome = outcome
        self._balance = balance
        self.orders: list[tuple[Any, dict[str, Any]]] = []
        self.queries: list[str] = []
        self.cancels: list[str] = []
        if outcome is not None:
            kernel.msgbus.register(topics.resolve(venue), self.on_resolve)

    def _start(self) -> None:
        quote, base = self._balance
        money = [Money(D(quote), USDT), Money(D(base), BTC)]
        balances = [AccountBalance(item, Money(0, item.currency), item) for item in money]
        self.generate_account_state(balances, [], reported=True, ts_event=self._time.timestamp_ns())
        self._set_connected(True)

    def _stop(self) -> None:
        self._set_connected(False)

    def submit_order(self, command: Any) -> None:
        order, params = command.order, dict(command.params or {})
        self.orders.append((order, params))
        now = self._time.timestamp_ns()
        self.generate_order_submitted(order.strategy_id, order.instrument_id, order.client_order_id, now)
        for i, (after_ms, what, args) in enumerate(self._plan(order, params, len(self.orders))):
            name = f"{order.client_order_id.value}-{i}"
            self._time.set_time_alert_ns(
                name, now + after_ms * MS, lambda _, what=what, args=args: self.do(order, what, *args)
            )

    def cancel_order(self, command: Any) -> None:
        self.cancels.append(command.client_order_id.value)
        order = next(order for order, _ in self.orders if order.client_order_id == command.client_order_id)
        self.do(order, "cancel")

    def on_resolve(self, query: ResolveOrder) -> None:
        self.queries.append(query.client_order_id)
        assert self._outcome is not None
        answer = self._outcome(query.client_order_id)
        name = f"{query.client_order_id}-query-{len(self.queries)}"
        self._time.set_time_alert_ns(name, self._time.timestamp_ns() + 20 * MS, lambda _: query.reply(answer))

    def do(self, order: Any, what: str, *args: Any) -> None:
        now, ids = self._time.timestamp_ns(), (order.strategy_id, order.instrument_id, order.client_order_id)
        venue_id = VenueOrderId(f"V-{order.client_order_id.value}")
        match what:
            case "accept":
                self.generate_order_accepted(*ids, venue_id, now)
            case "cancel":
                self.generate_order_canceled(*ids, venue_id, now)
            case "expire":
                self.generate_order_expired(*ids, venue_id, now)
            case "reject":
                self.generate_order_rejected(*ids, args[0], now)
            case "fill":
                quantity, price, trade_id = args
                self.generate_order_filled(
                    *ids,
                    venue_id,
                    None,
                    TradeId(trade_id),
                    order.side,
                    order.order_type,
                    Quantity(D(quantity), 5),
                    Price(D(price), 2),
                    USDT,
                    Money(D("0.10"), USDT),
                    LiquiditySide.TAKER,
                    now,
                )


class ScriptedLp(Safe, LoopSafe, Actor):
    """An LP's quoting side: a ladder each 200 ms while `up`, and `quote(rfq, now)` after 10 ms."""

    def __init__(self, lp: str, quote: Callable[[LpRfq, int], LpQuote | LpNoQuote | None], largest: str = "10") -> None:
        super().__init__(ActorConfig(component_id=f"Lp-{lp}"))
        self.lp, self.quote, self.largest = lp, quote, D(largest)
        self.up = True
        self.asked: list[LpRfq] = []

    def on_start(self) -> None:
        self.bind_loop()
        self.bus = Bus(self)
        self.bus.register(topics.lp_rfq(self.lp), self.on_rfq)
        self.every_ns("ladder", 200 * MS, lambda _: self.stream())

    def on_stop(self) -> None:
        self.bus.close()

    def stream(self) -> None:
        rungs = (LpRung(self.largest, D(59_990), D(60_010)),) if self.up else ()
        self.bus.publish(
            topics.LP_LADDER, LpLadder(lp=self.lp, symbol=SYMBOL, rungs=rungs, ts_ns=self.clock.timestamp_ns())
        )

    def on_rfq(self, rfq: LpRfq) -> None:
        self.asked.append(rfq)
        now = self.clock.timestamp_ns()
        answer = self.quote(rfq, now)
        if answer is not None:
            self.at_ns(f"answer:{len(self.asked)}", now + 10 * MS, lambda _: rfq.reply(answer))


class Driver(Safe, LoopSafe, Actor):
    """Does what the test says at its time and remembers everything the router publishes."""

    def __init__(self) -> None:
        super().__init__(ActorConfig(component_id="Driver"))
        self.script: list[tuple[int, Callable[[], None]]] = []
        self.parents: list[ParentOrder] = []
        self.children: list[ChildOrder] = []
        self.fills: list[VenueFill] = []
        self.decisions: list[Any] = []
        self.faults: list[Any] = []

    def on_start(self) -> None:
        self.bind_loop()
        self.bus = Bus(self)
        for topic, into in (
            (topics.PARENT, self.parents),
            (topics.CHILD, self.children),
            (topics.FILL, self.fills),
            (topics.RISK, self.decisions),
            (topics.FAULT, self.faults),
        ):
            self.bus.subscribe(topic, into.append)
        for i, (at_ms, action) in enumerate(self.script):
            self.at_ns(f"do:{i}", START + at_ms * MS, lambda _, action=action: action())


class Rig:
    """One router, its venues and LPs. `run(for_ms)` runs once."""

    def __init__(
        self,
        books: Mapping[str, Levels],
        *,
        scripted: Mapping[str, Callable[[Any, dict[str, Any], int], list[Step]]] | None = None,
        outcomes: Mapping[str, Callable[[str], OrderOutcome]] | None = None,
        lps: Mapping[str, Callable[[LpRfq, int], LpQuote | LpNoQuote | None]] | None = None,
        parameters: RouterParameters | None = None,
        limits: RiskLimits | None = None,
        left: list[tuple[ParentOrder, list[ChildOrder]]] | None = None,
        journal: MemoryJournal | None = None,
        balances: tuple[str, str] = ("10000000", "1000"),
        epoch: str = "lq0",
        seed: int = 0,
        profiles: Mapping[str, VolumeProfile] | None = None,
        volatility: float | None = None,
        crossing: Crossing | None = None,
        experience: Experience | None = None,
    ) -> None:
        self.engine = BacktestEngine(
            BacktestEngineConfig(trader_id="T-1", logging=LoggingConfig(bypass_logging=True), run_analysis=False)
        )
        scripted, outcomes, lps = scripted or {}, outcomes or {}, lps or {}
        simulated = [venue for venue in books if venue not in scripted]
        terms = [
            VenueTerms(
                venue=venue,
                taker_fee_bps=D("4"),
                tick=D("0.01"),
                lot=D("0.00001"),
                min_notional=D(5),
                price_decimals=2,
                size_decimals=8,
                max_age_ns=3600 * 1_000_000_000,
            )
            for venue in books
        ]
        self.book = ConsolidatedBook(SYMBOL, Scale(SYMBOL, 2, 8), terms)
        for venue in simulated:
            money = [Money(D(balances[0]), USDT), Money(D(balances[1]), BTC)]
            self.engine.add_venue(
                Venue(venue),
                OmsType.NETTING,
                AccountType.CASH,
                money,
                book_type=BookType.L2_MBP,
                latency_model=LatencyModel(LATENCY),
                liquidity_consumption=True,
            )
        self.clients: dict[str, Script] = {}
        for venue in (*books, *lps):
            instrument = _instrument(venue)
            if venue in simulated:
                self.engine.add_instrument(instrument)
            else:
                self.engine.cache.add_instrument(instrument)
                client = Script(self.engine, venue, scripted.get(venue, fills_whole), outcomes.get(venue), balances)
                self.clients[venue] = client
                self.engine.kernel.exec_engine.register_client(client)
        for venue, (bids, asks) in books.items():
            self._show(venue, bids, asks, START)
            if venue in simulated:
                self.engine.add_data([_snapshot(venue, bids, asks, START)])
        self.simulated = simulated
        self.answers: list[CommandTaken | CommandRefused] = []
        self.journal = MemoryJournal(left) if journal is None else journal
        self.state = RiskState()
        self.gate = Gate(limits or RiskLimits(), self.state, BookReferences(self.book), "t")
        self.driver = Driver()
        self.books = {SYMBOL: self.book}
        self.lps = {lp: ScriptedLp(lp, quote) for lp, quote in lps.items()}
        self.router = SmartOrderRouter(
            parameters or RouterParameters(),
            books=self.books,
            gate=self.gate,
            journal=self.journal,
            lps=list(lps),
            epoch=epoch,
            seed=seed,
            profiles=profiles,
            volatility=lambda symbol: volatility,
            own_shown=False,
            crossing=crossing,
            experience=experience,
        )
        self.engine.add_actor(Pump({venue: LATENCY for venue in simulated}))
        for actor in (self.driver, *self.lps.values()):
            self.engine.add_actor(actor)
        self.engine.add_strategy(self.router)

    def at(self, at_ms: int, action: Callable[[], None]) -> None:
        """Do something at a time."""
        self.driver.script.append((at_ms, action))

    def ask(
        self,
        quantity: str,
        *,
        at_ms: int = 500,
        side: str = "buy",
        limit: str | None = None,
        for_ms: int = 20_000,
        parent_id: str = "p-1",
        algo: AlgoSpec | None = None,
        account: str = "",
    ) -> None:
        """Send a parent."""
        request = ParentRequest(
            parent_id=parent_id,
            symbol=SYMBOL,
            side=side,
            quantity=D(quantity),
            limit_price=None if limit is None else D(limit),
            deadline_ns=START + (at_ms + for_ms) * MS,
            reason="hedge",
            algo=algo,
            account=account,
        )
        self.at(at_ms, lambda: self.driver.bus.send(topics.ROUTER_PARENT, request))

    def command(self, at_ms: int, kind: CommandKind, parent_id: str = "p-1", **amended: Any) -> None:
        """Send a command; its answer goes to `answers`."""
        command = ParentCommand(parent_id=parent_id, kind=kind, reply=self.answers.append, **amended)
        self.at(at_ms, lambda: self.driver.bus.send(topics.ROUTER_COMMAND, command))

    def trade(self, at_ms: int, venue: str, price: str, quantity: str) -> None:
        """A public trade of others."""
        now, iid = START + at_ms * MS, InstrumentId.from_str(f"{SYMBOL}.{venue}")
        trade_id = TradeId(f"pub-{at_ms}-{venue}")
        size = Quantity(D(quantity), 5)
        tick = TradeTick(iid, Price.from_str(price), size, AggressorSide.BUYER, trade_id, now, now)
        if venue in self.simulated:
            self.engine.add_data([tick])
        else:
            self.at(at_ms, lambda: self.engine.kernel.msgbus.send("DataEngine.process", tick))

    def move(self, at_ms: int, venue: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> None:
        """The venue's book becomes another one."""
        now = START + at_ms * MS
        self.at(at_ms, lambda: self._show(venue, bids, asks, now))
        if venue in self.simulated:
            self.engine.add_data([_snapshot(venue, bids, asks, now)])

    def _show(self, venue: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]], now: int) -> None:
        rows = [(1, *row) for row in bids] + [(-1, *row) for row in asks]
        levels = np.array([(s, int(D(p) * 100), int(D(q) * 10**8)) for s, p, q in rows], dtype=np.int64)
        self.book.apply(venue, levels, True, now)

    def run(self, for_ms: int = 30_000) -> Rig:
        """Run the engine, check what must hold in every run, and give the rig back."""
        import pandas as pd

        self.engine.run(start=pd.Timestamp(START, tz="UTC"), end=pd.Timestamp(START + for_ms * MS, tz="UTC"))
        assert self.driver.faults == [], self.driver.faults
        assert self.router.fault_count() == 0
        self._check_never_too_much()
        told = [(fill.venue, fill.symbol, fill.trade_id) for fill in self.driver.fills]
        assert len(told) == len(set(told))
        assert set(told) <= set(self.journal.fills)
        for parent_id, parent in self.journal.parents.items():
            run = self.router._runs.get(parent_id)
            assert run is not None
            assert sum((child.filled for child in run.work.children.values()), D(0)) == parent.filled
        return self

    def _check_never_too_much(self) -> None:
        """At every transition that was told: filled + open + unknown ≤ quantity, unless a venue filled what it had called ended."""
        children: dict[str, ChildOrder] = {}
        parents = {parent.parent_id: parent.quantity for parent in self.driver.parents}
        largest: dict[str, Decimal] = {}
        for parent in self.driver.parents:
            largest[parent.parent_id] = max(parent.quantity, largest.get(parent.parent_id, D(0)))
        for child in self.driver.children:
            children[child.child_id] = child
            mine = [one for one in children.values() if one.parent_id == child.parent_id]
            late = any("late" in one.reason or "excess" in one.reason for one in mine)
            if child.parent_id in parents and not late:
                promised = sum((one.filled + one.leaves for one in mine), D(0))
                assert promised <= largest[child.parent_id], child

    def parent(self, parent_id: str = "p-1") -> ParentOrder:
        """Where a parent stands in the journal."""
        return self.journal.parents[parent_id]

    def children_at(self, venue: str) -> list[ChildOrder]:
        """The children of a venue, in the order they were made."""
        return [child for child in self.journal.children.values() if child.venue == venue]


class BookReferences:
    """`risk.state.References` over one book."""

    def __init__(self, book: ConsolidatedBook) -> None:
        self._book = book

    def fair(self, symbol: str, now_ns: int) -> Decimal | None:
        return self._book.fair(now_ns)

    def book_age_ns(self, symbol: str, venue: str, now_ns: int) -> int | None:
        return 0 if self._book.live(now_ns) else None


def left_behind(
    state: ChildState, venue: str, quantity: str, *, filled: str = "0"
) -> tuple[ParentOrder, list[ChildOrder]]:
    """A parent of 1 BTC that an earlier run left, with one child."""
    parent = ParentOrder(
        parent_id="p-old",
        symbol=SYMBOL,
        side="buy",
        quantity=D(1),
        limit_price=None,
        deadline_ns=START + 60_000 * MS,
        reason="hedge",
        filled=D(filled),
        notional=D(filled) * 60_000,
    )
    child = ChildOrder(
        child_id="KoldN1",
        parent_id="p-old",
        venue=venue,
        symbol=SYMBOL,
        side="buy",
        quantity=D(quantity),
        limit_price=D(60_010),
        state=state,
        filled=D(filled),
        notional=D(filled) * 60_000,
    )
    return parent, [child]


def venue_fill(
    venue: str, order_id: str, quantity: str, trade_id: str, price: str = "60000", side: str = "buy"
) -> VenueFill:
    """An execution as a venue reports it."""
    return VenueFill(
        venue=venue,
        symbol=SYMBOL,
        client_order_id=order_id,
        trade_id=trade_id,
        side=side,
        price=D(price),
        quantity=D(quantity),
        fee=D("0.10"),
        fee_currency="USDT",
        ts_ns=START,
    )


def closed(order_id: str, *fills: VenueFill) -> OrderOutcome:
    """The answer of a venue that is done with an order."""
    return OrderOutcome(client_order_id=order_id, state=OrderState.CLOSED, fills=fills)


def firm(lp: str, price: str, valid_ms: int = 2_000) -> Callable[[LpRfq, int], LpQuote]:
    """An LP that quotes every request at `price`."""
    count = iter(range(1_000_000))

    def quote(rfq: LpRfq, now: int) -> LpQuote:
        return LpQuote(
            lp=lp,
            rfq_id=rfq.rfq_id,
            quote_id=f"{lp}-q{next(count)}",
            symbol=rfq.symbol,
            bid=D(price),
            ask=D(price),
            quantity=rfq.quantity,
            valid_until_ns=now + valid_ms * MS,
            ts_ns=now,
        )

    return quote


def fills_whole(order: Any, params: dict[str, Any], n: int) -> list[Step]:
    """Accepted, then filled whole at the limit."""
    fill = (str(order.quantity), str(order.price), f"t-{order.client_order_id.value}")
    return [(5, "accept", ()), (6, "fill", fill)]


def rejects(order: Any, params: dict[str, Any], n: int) -> list[Step]:
    """Always rejected."""
    return [(5, "reject", ("insufficient funds",))]


def _instrument(venue: str) -> CurrencyPair:
    return CurrencyPair(
        instrument_id=InstrumentId(Symbol(SYMBOL), Venue(venue)),
        raw_symbol=Symbol(SYMBOL),
        base_currency=BTC,
        quote_currency=USDT,
        price_precision=2,
        size_precision=5,
        price_increment=Price.from_str("0.01"),
        size_increment=Quantity.from_str("0.00001"),
        min_notional=Money(5, USDT),
        maker_fee=D("0.0004"),
        taker_fee=D("0.0004"),
        ts_event=0,
        ts_init=0,
    )


def _snapshot(venue: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]], now: int) -> OrderBookDeltas:
    instrument_id = InstrumentId.from_str(f"{SYMBOL}.{venue}")
    rows = [(OrderSide.BUY, *row) for row in bids] + [(OrderSide.SELL, *row) for row in asks]
    deltas = [OrderBookDelta.clear(instrument_id, 0, now, now)]
    for i, (side, price, size) in enumerate(rows):
        order = BookOrder(side, Price.from_str(price), Quantity(D(size), 5), 0)
        flags = 128 if i == len(rows) - 1 else 0
        deltas.append(OrderBookDelta(instrument_id, BookAction.ADD, order, flags, i + 1, now, now))
    return OrderBookDeltas(instrument_id, deltas)
