"""Orders and venue accounts behind the API without an engine."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from adapters.nautilus.outcome import VenueFill
from desk.accounts import VenueAccounts, VenueOrder
from desk.api.events import Events
from desk.api.messages import AmendRequest, OrderRequest
from desk.errors import Invalid, Rejected
from desk.orders.records import Capacity, OrderRecord, OrderState
from desk.service import Caller, Page
from router.messages import CommandKind


class FakeOrders:
    """Takes every order and leaves it working; a command does what it says at once."""

    def __init__(self, events: Events, clock_ns: Callable[[], int]) -> None:
        self.events = events
        self.clock_ns = clock_ns
        self.by_id: dict[str, OrderRecord] = {}
        self._ids = itertools.count(1)

    def place(self, caller: Caller, request: OrderRequest, reply: Callable[[Any], None]) -> None:
        known = [order for order in self.by_id.values() if order.key == (caller.client_id, request.client_order_id)]
        if known:
            reply(known[0])
            return
        now = self.clock_ns()
        order = OrderRecord(
            order_id=f"o-{next(self._ids)}",
            client_id=caller.client_id,
            client_order_id=request.client_order_id,
            symbol=request.instrument,
            side=request.side,
            type=request.type,
            time_in_force=request.time_in_force or "ioc",
            capacity=Capacity.AGENCY,
            quantity=Decimal(request.quantity),
            limit_price=None if request.limit_price is None else Decimal(request.limit_price),
            end_ns=now + 10**9,
            created_ns=now,
            updated_ns=now,
            commission_bps=Decimal(1),
        )
        self.by_id[order.order_id] = order
        self.events.order(order)
        reply(order)

    def command(self, caller: Caller, order_id: str, kind: CommandKind, reply: Callable[[Any], None]) -> None:
        try:
            order = self.order(caller, order_id)
        except Invalid as fault:
            reply(fault)
            return
        if order.state.terminal:
            reply(Rejected("order_not_open", f"the order is {order.state}"))
            return
        match kind:
            case CommandKind.PAUSE:
                order.state = OrderState.PAUSED
            case CommandKind.RESUME:
                order.state = OrderState.WORKING
            case _:
                order.state = OrderState.CANCELLED
        self.events.order(order)
        reply(order)

    def amend(self, caller: Caller, order_id: str, request: AmendRequest, reply: Callable[[Any], None]) -> None:
        order = self.order(caller, order_id)
        if request.quantity is not None:
            order.quantity = Decimal(request.quantity)
        reply(order)

    def order(self, caller: Caller, order_id: str) -> OrderRecord:
        order = self.by_id.get(order_id)
        if order is None or not (caller.operator or order.client_id == caller.client_id):
            raise Invalid("unknown_order", f"no order {order_id!r}", status=404)
        return order

    def orders(self, caller: Caller, **wanted: Any) -> Page[OrderRecord]:
        state, token = wanted.get("state"), wanted.get("client_order_id")
        found = [
            order
            for order in reversed(self.by_id.values())
            if (caller.operator or order.client_id == caller.client_id)
            and state in (None, order.state.value)
            and token in (None, order.client_order_id)
        ]
        return Page(found[: wanted.get("limit", 100)])


class FakeAccounts(VenueAccounts):
    """Accounts without an engine: what tests put into `open`, `executions` and `held`."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[VenueOrder] = []
        self.executions: list[VenueFill] = []
        self.held: dict[str, tuple[Decimal, Decimal, Decimal]] = {}

    def orders(self, venue: str) -> list[VenueOrder]:
        return [one for one in self.open if one.child.venue == venue]

    def fills(self, venue: str) -> list[VenueFill]:
        return [one for one in self.executions if one.venue == venue]

    def balances(self, venue: str) -> dict[str, tuple[Decimal, Decimal, Decimal]] | None:
        return dict(self.held) or None
