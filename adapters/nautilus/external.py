"""Open orders of an account that the desk did not place: shown, never routed, never cancelled; no parent of ours hears of their fills."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class ExternalOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One of them, as the venue tells it. `price` and `quantity` are None where it does not say (market orders, orders by value)."""

    venue: str
    symbol: str
    venue_order_id: str
    client_order_id: str
    side: str  # "buy" | "sell"
    price: Decimal | None
    quantity: Decimal | None
    filled: Decimal
    ts_ns: int


class ExternalOrders(msgspec.Struct, frozen=True, kw_only=True):
    """All of one venue, as they are now."""

    venue: str
    orders: tuple[ExternalOrder, ...]
