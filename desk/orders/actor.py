"""Clients' orders: taken once, durable before they are answered, worked through the router as agent or taken as principal.

What it promises
    1. One `client_order_id` makes one order, however often it is sent, over restarts too.
    2. Nothing leaves before the order is durable; an agency order's fills are its client's, at the price they were made.
    3. What a client may still owe for an open order is reserved against its limit until it fills or ends.
    4. After a halt nothing new is taken and what works is cancelled (by the router); what had filled stands.
It runs on the loop thread (live) or the backtest clock (replay).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from copy import copy
from decimal import Decimal

from nautilus_trader.common.actor import Actor

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.safe import LoopSafe, Safe
from desk.api.events import Events
from desk.api.messages import AcceptRequest, AmendRequest, OrderRequest, RfqRequest
from desk.config.model import DeskConfig
from desk.errors import ApiFault, Failed, Invalid, Rejected
from desk.ids import IdSource
from desk.ledger import Ledger
from desk.ledger.book import currencies
from desk.market import Market
from desk.orders.checks import accepted, amended
from desk.orders.instructions import algo_of
from desk.orders.records import Capacity, OrderRecord, OrderState
from desk.rfq.answers import bound
from desk.rfq.checks import instrument_for, require_scope
from desk.rfq.records import RfqRecord, TradeRecord
from desk.service import Caller, DeskService, Page
from risk.decision import Intent, Refused, Stage
from risk.gate import Gate
from router.messages import CommandKind, CommandRefused, CommandTaken, ParentCommand, ParentRequest
from router.orders import ParentOrder, ParentState

OrderReply = Callable[[OrderRecord | ApiFault], None]

MAX_REMEMBERED = 20_000  # finished orders in memory; older ones are looked up in the ledger
_SLIP_BPS = Decimal(100)  # an order is held against the client's limits at most this much beyond fair


class OrderDesk(Safe, LoopSafe, Actor):
    """Implements `desk.service.OrderService`. `desk` prices what is taken as principal."""

    def __init__(
        self,
        config: DeskConfig,
        *,
        desk: DeskService,
        market: Market,
        ledger: Ledger,
        gate: Gate,
        ids: IdSource,
        events: Events,
    ) -> None:
        super().__init__()
        self._config = config
        self._desk = desk
        self._market = market
        self._ledger = ledger
        self._gate = gate
        self._ids = ids
        self._events = events
        self._open: dict[str, OrderRecord] = {}
        self._by_parent: dict[str, OrderRecord] = {}
        self._by_key: OrderedDict[tuple[str, str], OrderRecord] = OrderedDict()
        self._waiting: dict[tuple[str, str], list[OrderReply]] = {}

    # ---- life ----------

    def on_start(self) -> None:
        """Take up the orders that the last run left; one whose parent was never durable is sent now."""
        self.bind_loop()
        self._bus = Bus(self)
        self._bus.subscribe(topics.PARENT, self.on_parent)
        now = self.clock.timestamp_ns()
        for order in self._ledger.load(now).open_orders:
            self._keep(order)
            if order.capacity is Capacity.PRINCIPAL:
                self._end(order, OrderState.EXPIRED, "the desk was restarted")
                continue
            self._adopt(order, now)
            parent = self._ledger.parent_order(order.parent_id)
            if parent is not None and parent.state is ParentState.DONE:
                self.on_parent(parent)
            elif parent is None:
                self._end(order, OrderState.REJECTED, "the desk was restarted before it was sent")

    def on_stop(self) -> None:
        """Leave the bus. What is open goes on at the next start."""
        self._bus.close()

    # ---- requests ----------

    def place(self, caller: Caller, request: OrderRequest, reply: OrderReply) -> None:
        """Take an order; the answer comes when it is durable. The same `client_order_id` again: the order as it stands."""
        now = self.clock.timestamp_ns()
        key = (caller.client_id, request.client_order_id)
        try:
            require_scope(caller, "trade")
            if (waiting := self._waiting.get(key)) is not None:
                waiting.append(reply)
                return
            if (known := self._known(key)) is not None:
                reply(known)
                return
            if self._ledger.trade_by_order(*key) is not None:
                raise Rejected("order_id_used", "this client_order_id made a trade on a quote", details={"id": key[1]})
            instrument = instrument_for(self._config, caller, request.instrument)
            terms = accepted(request, instrument, self._config.orders, caller.client_id, now)
            order = OrderRecord(
                order_id=self._ids.new("o"),
                client_id=caller.client_id,
                client_order_id=request.client_order_id,
                symbol=instrument.symbol,
                side=request.side,
                type=request.type,
                time_in_force=terms.time_in_force,
                capacity=terms.capacity,
                quantity=terms.quantity,
                limit_price=terms.limit_price,
                end_ns=terms.end_ns,
                created_ns=now,
                updated_ns=now,
            )
            if terms.capacity is Capacity.AGENCY:
                order.parent_id = self._ids.new("p")
                order.commission_bps = self._config.orders.commission(caller.tier)
                algo = algo_of(request, order.time_in_force, order.quantity)
                self._reserve(order, order.quantity, now)
        except ApiFault as fault:
            reply(fault)
            return
        self._waiting[key] = [reply]
        self._keep(order)
        if order.capacity is Capacity.PRINCIPAL:
            self._ledger.save_order(
                copy(order), lambda error: self._taken(order, error, lambda: self._deal(caller, order))
            )
            return
        parent = ParentRequest(
            parent_id=order.parent_id,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            limit_price=order.limit_price,
            deadline_ns=order.end_ns,
            reason=f"order {order.type}",
            account=f"client:{order.client_id}",
            commission_bps=order.commission_bps,
            algo=algo,
        )
        self._ledger.save_order(copy(order), lambda error: self._taken(order, error, lambda: self._work(order, parent)))

    def order(self, caller: Caller, order_id: str) -> OrderRecord:
        """One order of the caller's; raises `Invalid(404)`."""
        found = self._open.get(order_id) or self._ledger.order(order_id)
        if found is None or not (caller.operator or found.client_id == caller.client_id):
            raise Invalid("unknown_order", f"no order {order_id!r}", status=404, details={"order_id": order_id})
        return found

    def orders(
        self,
        caller: Caller,
        *,
        client_order_id: str | None = None,
        state: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[OrderRecord]:
        """Orders of the caller, newest first; of everybody for an operator."""
        found, following = self._ledger.orders(
            None if caller.operator else caller.client_id,
            client_order_id=client_order_id,
            state=state,
            limit=limit,
            cursor=cursor,
        )
        return Page([self._open.get(order.order_id, order) for order in found], following)

    def command(self, caller: Caller, order_id: str, kind: CommandKind, reply: OrderReply) -> None:
        """Cancel, pause or resume a working order; answered with the order once the router has taken it."""
        try:
            order = self._workable(caller, order_id)
        except ApiFault as fault:
            reply(fault)
            return
        self._send(
            order, ParentCommand(parent_id=order.parent_id, kind=kind, reply=self._answered(order, reply)), reply
        )

    def amend(self, caller: Caller, order_id: str, request: AmendRequest, reply: OrderReply) -> None:
        """Change a working order's quantity, limit or end; held against the client's limits anew."""
        now = self.clock.timestamp_ns()
        try:
            order = self._workable(caller, order_id)
            wanted = amended(
                request, order, instrument_for(self._config, caller, order.symbol), self._config.orders, now
            )
            self._reserve(order, wanted.quantity - order.filled, now)
        except ApiFault as fault:
            reply(fault)
            return
        command = ParentCommand(
            parent_id=order.parent_id,
            kind=CommandKind.AMEND,
            reply=self._answered(order, reply),
            quantity=wanted.quantity,
            limit_price=wanted.limit_price,
            deadline_ns=wanted.end_ns,
        )
        self._send(order, command, reply)

    def _workable(self, caller: Caller, order_id: str) -> OrderRecord:
        require_scope(caller, "trade")
        order = self.order(caller, order_id)
        if order.state.terminal or order.capacity is Capacity.PRINCIPAL:
            state = order.state.value if order.state.terminal else "being dealt"
            raise Rejected("order_not_open", f"the order is {state}", details={"state": state})
        return order

    def _send(self, order: OrderRecord, command: ParentCommand, reply: OrderReply) -> None:
        if not self._bus.send(topics.ROUTER_COMMAND, command):
            reply(Failed("router_away", "the router is not there; nothing happened"))

    def _answered(self, order: OrderRecord, reply: OrderReply) -> Callable[[CommandTaken | CommandRefused], None]:
        def answered(answer: CommandTaken | CommandRefused) -> None:
            if isinstance(answer, CommandTaken):
                reply(order)
                return
            if not order.state.terminal:  # an amendment that was not taken: hold what is there
                self._adopt(order, self.clock.timestamp_ns())
            reply(Rejected("command_refused", answer.reason, details={"state": order.state.value}))

        return answered

    # ---- inside: taking ----------

    def _known(self, key: tuple[str, str]) -> OrderRecord | None:
        return self._by_key.get(key) or self._ledger.order_by_token(*key)

    def _keep(self, order: OrderRecord) -> None:
        self._open[order.order_id] = order
        self._by_key[order.key] = order
        bound(self._by_key, MAX_REMEMBERED)
        if order.parent_id:
            self._by_parent[order.parent_id] = order

    def _intent(self, order: OrderRecord, quantity: Decimal, price: Decimal, now: int) -> Intent:
        return Intent(
            stage=Stage.TRADE,
            intent_id=order.order_id,
            symbol=order.symbol,
            side=order.side,
            quantity=quantity,
            price=price,
            now_ns=now,
            client_id=order.client_id,
            account=f"client:{order.client_id}",
        )

    def _held_at(self, order: OrderRecord, now: int) -> Decimal | None:
        """The price that the client's limits are held against: about the most it may come to pay now."""
        fair = self._market.fair(order.symbol, now)
        if fair is None or order.side == "sell":
            return fair
        dear = fair * (1 + _SLIP_BPS / 10_000)
        return dear if order.limit_price is None else max(fair, min(dear, order.limit_price))

    def _reserve(self, order: OrderRecord, quantity: Decimal, now: int) -> None:
        """Hold `quantity` of an order against the client's limits, in place of what was held; raises `Rejected`."""
        price = self._held_at(order, now)
        if price is None:
            raise Rejected("no_fair_value", f"{order.symbol} has no live price", details={"instrument": order.symbol})
        self._gate.release(order.order_id, stage=Stage.TRADE)
        decision = self._gate.decide(self._intent(order, quantity, price, now))
        self._bus.publish(topics.RISK, decision)
        if isinstance(decision, Refused):
            if order.order_id in self._open:
                self._adopt(order, now)
            raise Rejected(
                "halted" if decision.check == "kill_switch" else "limit_exceeded",
                decision.message,
                details={"limit": decision.check, "value": decision.value, "max": decision.limit},
            )

    def _adopt(self, order: OrderRecord, now: int) -> None:
        """Hold what is left of an order that is being worked, whatever the limits say now."""
        price = self._held_at(order, now) or order.limit_price or Decimal(0)
        self._gate.adopt(self._intent(order, order.quantity - order.filled, price, now))

    def _taken(self, order: OrderRecord, error: Exception | None, go: Callable[[], None]) -> None:
        """The order is durable (or could not be made so): now it may leave, and its client may know of it."""
        if error is None:
            self._tell(order)
            go()
            return
        self._forget(order)
        self._by_key.pop(order.key, None)
        for reply in self._waiting.pop(order.key, []):
            reply(Failed("not_durable", "the order could not be recorded; nothing happened"))

    def _answer(self, order: OrderRecord) -> None:
        for reply in self._waiting.pop(order.key, []):
            reply(order)

    def _work(self, order: OrderRecord, parent: ParentRequest) -> None:
        self._answer(order)
        if not self._bus.send(topics.ROUTER_PARENT, parent):
            self._end(order, OrderState.REJECTED, "the router is not there")

    # ---- inside: principal ----------

    def _deal(self, caller: Caller, order: OrderRecord) -> None:
        """A quote for the whole, taken at once when it is within the limit."""
        both = Caller(
            client_id=caller.client_id,
            key_id=caller.key_id,
            scopes=caller.scopes | {"quote", "trade"},
            tier=caller.tier,
            instruments=caller.instruments,
        )
        ask = RfqRequest(
            client_rfq_id=f"order:{order.order_id}",
            instrument=order.symbol,
            side="buy" if order.side == "buy" else "sell",
            quantity=f"{order.quantity:f}",
        )

        def quoted(answer: RfqRecord | ApiFault) -> None:
            if isinstance(answer, ApiFault):
                self._end(order, OrderState.REJECTED, answer.message)
                return
            [quote] = answer.quotes
            limit, sign = order.limit_price, 1 if order.side == "buy" else -1
            if limit is not None and sign * quote.price > sign * limit:
                self._desk.cancel_rfq(both, answer.rfq_id, lambda _: None)
                self._end(order, OrderState.EXPIRED, f"the desk's price {quote.price:f} is beyond the limit")
                return
            accept = AcceptRequest(client_order_id=order.client_order_id)
            self._desk.accept(both, quote.quote_id, accept, lambda answer: self._dealt(order, answer))

        self._desk.request_quote(both, ask, quoted)

    def _dealt(self, order: OrderRecord, answer: TradeRecord | ApiFault) -> None:
        if isinstance(answer, ApiFault):
            self._end(order, OrderState.REJECTED, answer.message)
            return
        order.trade_id = answer.trade_id
        order.filled, order.notional = answer.quantity, answer.amount
        self._end(order, OrderState.FILLED, "")

    # ---- what the router says ----------

    def on_parent(self, parent: ParentOrder) -> None:
        """The router's order moved on: what newly filled is owed by the client from now on, not reserved."""
        order = self._by_parent.get(parent.parent_id)
        if order is None or order.state.terminal:
            return
        if (fresh := parent.filled - order.filled) > 0:
            order.filled, order.notional = parent.filled, parent.notional
            self._gate.fill(order.order_id, fresh, stage=Stage.TRADE)
            quote = currencies(order.symbol)[1]
            owed = self._ledger.balance(f"client:{order.client_id}", quote)
            self._gate.state.set_exposure(order.client_id, quote, -owed)
        order.quantity = max(parent.quantity, order.filled)  # an amendment
        order.limit_price = parent.limit_price
        match parent.state:
            case ParentState.DONE:
                self._end(order, _ended_as(parent), parent.reason)
            case ParentState.PAUSED:
                self._move(order, OrderState.PAUSED)
            case _:
                self._move(order, OrderState.WORKING, told=fresh > 0)

    def _move(self, order: OrderRecord, state: OrderState, *, told: bool = False) -> None:
        changed = order.state is not state
        order.state, order.updated_ns = state, self.clock.timestamp_ns()
        if changed:
            self._ledger.save_order(copy(order))
        if changed or told:
            self._tell(order)

    def _end(self, order: OrderRecord, state: OrderState, reason: str) -> None:
        """Nothing more can happen to it: durable, then told."""
        order.state, order.reason, order.updated_ns = state, reason, self.clock.timestamp_ns()
        self._gate.release(order.order_id, stage=Stage.TRADE)
        self._forget(order)

        def durable(_error: Exception | None) -> None:
            self._tell(order)
            self._answer(order)

        self._ledger.save_order(copy(order), durable)

    def _forget(self, order: OrderRecord) -> None:
        self._open.pop(order.order_id, None)
        self._by_parent.pop(order.parent_id, None)

    def _tell(self, order: OrderRecord) -> None:
        told = copy(order)
        self._bus.publish(topics.ORDER, told)
        self._events.order(told)


def _ended_as(parent: ParentOrder) -> OrderState:
    if parent.filled >= parent.quantity > 0:
        return OrderState.FILLED
    cancelled = parent.stopped.startswith(("cancelled", "halted"))
    return OrderState.CANCELLED if cancelled else OrderState.EXPIRED
