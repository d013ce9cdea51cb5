"""Endpoint `Exec.<VENUE>.resolve` of every simulated venue: in a replay the engine's own cache is the venue's truth."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nautilus_trader.common.actor import Actor
from nautilus_trader.config import ActorConfig
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import ClientOrderId

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.outcome import OrderOutcome, OrderState, ResolveOrder, VenueFill
from adapters.nautilus.safe import LoopSafe, Safe

ROUND_TRIP_NS = 20_000_000


class SimOutcomes(Safe, LoopSafe, Actor):
    """Answers what became of an order, one round trip after it is asked."""

    def __init__(self, venues: Iterable[str]) -> None:
        super().__init__(ActorConfig(component_id="SimOutcomes"))
        self._venues = tuple(venues)
        self._asked = 0

    def on_start(self) -> None:
        """Be the receiver of every venue's endpoint."""
        self.bind_loop()
        self._bus = Bus(self)
        for venue in self._venues:
            self._bus.register(topics.resolve(venue), self.on_resolve)

    def on_stop(self) -> None:
        """Leave the bus."""
        self._bus.close()

    def on_resolve(self, request: ResolveOrder) -> None:
        """Look at the order when the query would have come back."""
        self._asked += 1
        due_ns = self.clock.timestamp_ns() + ROUND_TRIP_NS
        self.at_ns(f"resolve:{self._asked}", due_ns, lambda _: request.reply(self._outcome(request)))

    def _outcome(self, request: ResolveOrder) -> OrderOutcome:
        order = self.cache.order(ClientOrderId(request.client_order_id))
        if order is None:
            return OrderOutcome(client_order_id=request.client_order_id, state=OrderState.NOT_FOUND)
        fills = tuple(_venue_fill(event) for event in order.events if isinstance(event, OrderFilled))
        state = OrderState.CLOSED if order.is_closed else OrderState.OPEN
        return OrderOutcome(client_order_id=request.client_order_id, state=state, fills=fills)


def _venue_fill(event: Any) -> VenueFill:
    commission = event.commission
    return VenueFill(
        venue=event.instrument_id.venue.value,
        symbol=event.instrument_id.symbol.value,
        client_order_id=event.client_order_id.value,
        trade_id=event.trade_id.value,
        side="buy" if event.order_side == OrderSide.BUY else "sell",
        price=event.last_px.as_decimal(),
        quantity=event.last_qty.as_decimal(),
        fee=commission.as_decimal(),
        fee_currency=commission.currency.code,
        ts_ns=event.ts_event,
        venue_order_id=event.venue_order_id.value,
    )
