"""What the desk remembers of a client's order: what was asked, how far it is, what became of it.

    WORKING ⇄ PAUSED → FILLED · CANCELLED · EXPIRED · REJECTED (terminal)

An order that is worked as agent is one parent of the router (`parent_id`), whose fills are the client's own. An order
taken as principal is a quote taken at once: it is FILLED with a trade, or EXPIRED.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec


class OrderState(StrEnum):
    """Where an order stands."""

    WORKING = "working"
    PAUSED = "paused"
    FILLED = "filled"
    CANCELLED = "cancelled"  # by its client, or the desk was halted; what had filled stands
    EXPIRED = "expired"  # its time ended, or nothing (more) could be had within its limits
    REJECTED = "rejected"  # nothing of it was ever sent

    @property
    def terminal(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self not in (OrderState.WORKING, OrderState.PAUSED)


class Capacity(StrEnum):
    """Whom the client faces at the venue: itself with the desk as its agent, or the desk."""

    AGENCY = "agency"
    PRINCIPAL = "principal"


class OrderRecord(msgspec.Struct, kw_only=True):
    """An order and where it stands. Quantities in base currency; side is the client's."""

    order_id: str
    client_id: str
    client_order_id: str
    symbol: str
    side: str
    type: str
    time_in_force: str
    capacity: Capacity
    quantity: Decimal
    limit_price: Decimal | None
    end_ns: int  # nothing is sent for it after this
    created_ns: int
    updated_ns: int
    state: OrderState = OrderState.WORKING
    filled: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)  # Σ price × quantity of the fills
    commission_bps: Decimal = Decimal(0)
    parent_id: str = ""  # agency: the router's order
    trade_id: str = ""  # principal: the trade
    reason: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What the client knows it by."""
        return (self.client_id, self.client_order_id)
