"""Finding out what became of an order whose outcome is unknown (timeout, 5xx, lost connection, our own restart).

Every execution client registers endpoint `Exec.<VENUE>.resolve`. It asks the venue by client order id until the answer is proven:
`NOT_FOUND` only after repeated queries over at least five seconds. It never sends the order again.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum

import msgspec


class OrderState(StrEnum):
    """What the venue says of an order."""

    NOT_FOUND = "not_found"  # proven: the venue never had it
    OPEN = "open"
    CLOSED = "closed"  # filled, cancelled, expired or rejected: it can fill no more


class VenueFill(msgspec.Struct, frozen=True, kw_only=True):
    """One execution as the venue reports it. `trade_id` is the venue's own and unique per venue and symbol.

    `venue_order_id` is "" and `maker` None where the venue (or who answers for it) does not tell.
    """

    venue: str
    symbol: str
    client_order_id: str
    trade_id: str
    side: str  # "buy" | "sell"
    price: Decimal
    quantity: Decimal
    fee: Decimal  # positive: we pay
    fee_currency: str
    ts_ns: int
    venue_order_id: str = ""
    maker: bool | None = None


class OrderOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The proven state of one order, with every fill it has had."""

    client_order_id: str
    state: OrderState
    fills: tuple[VenueFill, ...] = ()
    reason: str = ""


class ResolveOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for an outcome; `reply` is called once, on the loop thread. `cancel`: an order still open is cancelled first.

    `quote_id`: the quote an LP child accepts. Whoever has it must give it: LPs that know an execution by its quote alone (FalconX)
    cannot be asked by client order id after a restart of ours.
    """

    client_order_id: str
    symbol: str
    reply: Callable[[OrderOutcome], None]
    cancel: bool = True
    quote_id: str = ""
