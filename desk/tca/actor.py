"""`TcaActor`: follows every order and every trade on the engine's clock and says what they cost and came to.

Listens to the router's topics and the desk's trades, publishes `CostLine` (topic COST) when an order is done and
`Markout` (MARKOUT) at each horizon, and keeps the `TcaMemory` that pricing, routing and the operator read. Markouts
have one timer between them, set for the next that is due; those that fall due within `GAP_NS` are taken together, and
each says when it really was taken. Decides nothing, sends no order, blocks nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Protocol

from nautilus_trader.common.actor import Actor

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.outcome import VenueFill
from adapters.nautilus.safe import Alarm, LoopSafe, Safe
from desk.market import Market
from desk.rfq.records import TradeRecord
from desk.tca.memory import TcaMemory
from desk.tca.sight import best_all_in, decision_of
from desk.tca.trail import KEPT, Trail
from router.costs.markouts import MarkoutQueue, Traced, look
from router.costs.scorecards import NOT_SENT
from router.costs.shortfall import CostLine, Decision, LineKind
from router.orders import INTERNAL, ChildOrder, ChildState, ParentOrder
from router.panel import LpRound

GAP_NS = 5_000_000
QUOTES_KEPT = 1_000
OTHER = {"buy": "sell", "sell": "buy"}


class Records(Protocol):
    """What the ledger is asked at a start."""

    def open_parents(self) -> list[tuple[ParentOrder, list[ChildOrder]]]:
        """Parents not done at the last stop, with their children."""

    def fills_of(self, parent_id: str) -> Sequence[VenueFill]:
        """The executions of a parent's children."""


class TcaActor(Safe, LoopSafe, Actor):
    """One for the desk. `memory` is filled, `market` and `records` are only read."""

    def __init__(self, memory: TcaMemory, market: Market, records: Records) -> None:
        super().__init__()
        self._memory = memory
        self._market = market
        self._records = records
        self._trail = Trail(self, market.traded)
        self._queue = MarkoutQueue(memory.parameters.markouts_open)
        self._armed_ns = 0  # 0: no timer
        self._quoted: dict[str, Decimal] = {}  # price of our side, by quote id
        self._parent_lines: dict[str, CostLine] = {}

    # ---- life ----------

    def on_start(self) -> None:
        """Listen, and go on with the orders of the last run."""
        self.bind_loop()
        now = self.clock.timestamp_ns()
        for parent, children in self._records.open_parents():
            self._trail.adopt(parent, children, list(self._records.fills_of(parent.parent_id)), now)
        self._bus = Bus(self)
        self._bus.subscribe(topics.PARENT, self.on_parent)
        self._bus.subscribe(topics.CHILD, self.on_child)
        self._bus.subscribe(topics.FILL, self.on_fill)
        self._bus.subscribe(topics.CLIENT_TRADE, self.on_client_trade)
        self._bus.subscribe(topics.LP_ROUND, self.on_lp_round)

    def on_stop(self) -> None:
        """Leave the bus; markouts that are not due yet are never taken."""
        self.cancel_all()
        self._bus.close()

    # ---- orders ----------

    def on_parent(self, parent: ParentOrder) -> None:
        """A parent order moved."""
        self._tell(self._trail.on_parent(parent, self.clock.timestamp_ns()))

    def on_child(self, child: ChildOrder) -> None:
        """A child order moved. The move of the market after a refusal is followed as well: last look may be one-sided."""
        now = self.clock.timestamp_ns()
        lines = self._trail.on_child(child, now)
        self._tell(lines)
        if lines and child.quote_id and child.state is ChildState.REJECTED and not child.reason.startswith(NOT_SENT):
            self._follow(
                "reject", child.child_id, child.venue, child.symbol, child.side, child.limit_price, child.quantity
            )

    def on_fill(self, fill: VenueFill) -> None:
        """An execution. Of an internal cross the desk is the other side."""
        self._tell(self._trail.on_fill(fill, self.clock.timestamp_ns()))
        side = OTHER[fill.side] if fill.venue == INTERNAL else fill.side
        ref = f"{fill.venue}|{fill.symbol}|{fill.trade_id}"
        self._follow("fill", ref, fill.venue, fill.symbol, side, fill.price, fill.quantity)

    def on_lp_round(self, told: LpRound) -> None:
        """A round of asking LPs is over: the prices are needed by the plan that follows at once."""
        self._memory.asked(told)
        for answer in told.answers:
            if answer.price is not None:
                self._quoted[answer.quote_id] = answer.price
        for quote_id in list(self._quoted)[:-QUOTES_KEPT]:
            del self._quoted[quote_id]

    def on_client_trade(self, trade: TradeRecord) -> None:
        """A trade with a client: the desk is the other side."""
        side = OTHER[trade.side]
        self._follow("client", trade.trade_id, trade.client_id, trade.symbol, side, trade.price, trade.quantity)

    # ---- what the trail sees (`desk.tca.trail.Sight`) ----------

    def decision(self, child: ChildOrder, now_ns: int) -> Decision:
        """What is to be seen of a new child."""
        latency_ns = self._memory.scorecards.latency_ns(child.venue)
        return decision_of(self._market, child, self._quoted.get(child.quote_id), latency_ns, now_ns)

    def fair(self, symbol: str, now_ns: int) -> Decimal | None:
        """Fair value from live books."""
        return self._market.fair(symbol, now_ns)

    def rate(self, currency: str, quote: str, now_ns: int) -> Decimal | None:
        """What a fee currency is worth, if its pair is watched."""
        return self._market.fair(f"{currency}/{quote}", now_ns)

    def elsewhere(self, symbol: str, side: str, now_ns: int) -> tuple[Decimal, Decimal] | None:
        """What a cross is held against."""
        return best_all_in(self._market, symbol, side, now_ns)

    # ---- inside ----------

    def _tell(self, lines: Iterable[CostLine]) -> None:
        for line in lines:
            before = None
            if line.kind is LineKind.PARENT:
                before = self._parent_lines.pop(line.parent_id, None) if line.revision else None
                self._parent_lines[line.parent_id] = line
                if len(self._parent_lines) > KEPT:
                    del self._parent_lines[next(iter(self._parent_lines))]
            self._memory.line(line, before)
            self._bus.publish(topics.COST, line)

    def _follow(
        self, source: str, ref: str, party: str, symbol: str, side: str, price: Decimal, quantity: Decimal
    ) -> None:
        now = self.clock.timestamp_ns()
        trade = Traced(
            source=source,
            ref=ref,
            party=party,
            symbol=symbol,
            side=side,
            price=price,
            quantity=quantity,
            fair=self._market.fair(symbol, now),
            ts_ns=now,
        )
        if self._queue.add(trade):
            self._mind(now)
        else:
            self._memory.skipped = self._queue.skipped

    def _mind(self, now_ns: int, earliest_ns: int = 0) -> None:
        """Set the timer for the next markout, unless it is set for an earlier one."""
        due = self._queue.next_ns
        if due is None or (self._armed_ns and self._armed_ns <= due):
            return
        self._armed_ns = max(due, earliest_ns, now_ns + 1)
        self.at_ns("markout", self._armed_ns, self._look)

    def _look(self, _: Alarm) -> None:
        now = self.clock.timestamp_ns()
        self._armed_ns = 0
        fair: dict[str, Decimal | None] = {}
        for trade, horizon_ms in self._queue.due(now):
            if trade.symbol not in fair:
                fair[trade.symbol] = self._market.fair(trade.symbol, now)
            markout = look(trade, horizon_ms, fair[trade.symbol], now)
            self._memory.markout(markout)
            self._bus.publish(topics.MARKOUT, markout)
        self._mind(now, now + GAP_NS)
