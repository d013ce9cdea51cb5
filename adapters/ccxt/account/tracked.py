"""One order of the engine, as far as the engine was told of it: its terms, those that were asked for, its executions and its end."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model.enums import OrderType, TimeInForce
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.orders import Order

from adapters.ccxt.dialect import AmendRequest
from adapters.ccxt.events import FillEvent, OrderEvent, VenueOrderState

KINDS = {OrderType.LIMIT: "limit", OrderType.MARKET: "market"}


class Tracked:
    """`closed`: the engine was told its end. `ending`: the venue has ended it, and not every execution that it counts was told yet."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.cid = order.client_order_id.value
        self.symbol = order.instrument_id.symbol.value
        self.quantity: Decimal = order.quantity.as_decimal()
        self.filled: Decimal = order.filled_qty.as_decimal()
        self.immediate = order.order_type == OrderType.MARKET or order.time_in_force in (
            TimeInForce.IOC,
            TimeInForce.FOK,
        )
        self.told = {one.value for one in order.trade_ids}  # executions that the engine's own reconciliation found
        self.venue_order_id = order.venue_order_id
        self.accepted = order.venue_order_id is not None
        self.closed = order.is_closed
        self.price: Decimal | None = order.price.as_decimal() if order.has_price else None
        self.wanted: AmendRequest | None = None  # new terms that were asked for and are not decided yet
        self.held: list[FillEvent] = []  # executions that would end it by its old terms or its new ones, until then
        self.ending: OrderEvent | None = None
        self.chased = False

    def known(self) -> OrderEvent:
        """The order as the engine knows it."""
        return OrderEvent(
            symbol=self.symbol,
            client_order_id=self.cid,
            venue_order_id="" if self.venue_order_id is None else self.venue_order_id.value,
            state=VenueOrderState.OPEN,
            kind=KINDS.get(self.order.order_type, "limit"),
            price=self.price,
            quantity=self.quantity,
            filled=self.filled,
        )

    @property
    def keys(self) -> tuple[Any, Any, ClientOrderId]:
        """What every engine event begins with."""
        return self.order.strategy_id, self.order.instrument_id, self.order.client_order_id

    def ends_one_way(self, event: FillEvent) -> bool:
        """Whether an execution ends the order by its old quantity and not by the one that was asked for, or the other way round."""
        if self.wanted is None or (wanted := Decimal(self.wanted.quantity)) == self.quantity:
            return False
        return self.filled + event.quantity >= min(wanted, self.quantity)
