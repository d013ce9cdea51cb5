"""The words of a loopback venue's account: orders, executions, requests and refusals, before any dialect writes them.

Prices and sizes are integers of the instrument, amounts `Decimal`; requests carry decimals as they came over the wire.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec


class OrderStatus(StrEnum):
    """Where an order stands."""

    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"  # by request
    EXPIRED = "expired"  # by its own terms: time in force, or post-only


OPEN = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


class Tif(StrEnum):
    """Time in force."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"


class FeeIn(StrEnum):
    """The currency fees are taken in."""

    RECEIVED = "received"
    QUOTE = "quote"


class PostOnly(StrEnum):
    """What becomes of a post-only order that would take."""

    REFUSE = "refuse"
    CANCEL = "cancel"


class EndedBy(StrEnum):
    """Who ended a cancelled order."""

    REQUEST = "request"
    SWITCH = "switch"  # the dead-man switch
    AMEND = "amend"  # amended to no more than had filled


class RefusalKind(StrEnum):
    """Why a venue refuses a request; each dialect has its own words for it."""

    UNKNOWN_SYMBOL = "unknown_symbol"
    PRICE_TICK = "price_tick"
    QUANTITY_LOT = "quantity_lot"
    MIN_QUANTITY = "min_quantity"
    MIN_NOTIONAL = "min_notional"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    DUPLICATE_CLIENT_ID = "duplicate_client_id"
    WOULD_TAKE = "would_take"
    CANNOT_FILL = "cannot_fill"  # fill-or-kill, where the venue refuses what it could only kill
    REDUCE_ONLY = "reduce_only"
    POSITION_LIMIT = "position_limit"  # of the leverage that is set
    UNKNOWN_ORDER = "unknown_order"


class Refusal(Exception):
    """The venue says no; nothing happened."""

    def __init__(self, kind: RefusalKind, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else str(kind))
        self.kind = kind


class VenueFill(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of one of our orders; price and size in the instrument's units."""

    trade_id: int
    order_id: int
    symbol: str
    side: int
    price: int
    size: int
    cost: Decimal
    fee: Decimal
    fee_currency: str
    maker: bool
    ts_ns: int
    realised: Decimal = Decimal(0)  # by closing a position; in the settlement currency


class VenueOrder(msgspec.Struct, kw_only=True):
    """One of our orders; `side` +1 buy, -1 sell; `price` 0 for market orders; `cost` in quote currency (of contracts: settlement)."""

    order_id: int
    client_id: str
    symbol: str
    side: int
    market: bool
    tif: Tif
    price: int
    quantity: int
    created_ns: int
    updated_ns: int
    status: OrderStatus = OrderStatus.NEW
    filled: int = 0
    cost: Decimal = Decimal(0)
    post_only: bool = False
    reduce_only: bool = False
    expires_ns: int = 0
    ended_by: EndedBy = EndedBy.REQUEST
    fills: list[VenueFill] = []

    @property
    def open(self) -> bool:
        """Whether it can still fill."""
        return self.status in OPEN

    @property
    def rests(self) -> bool:
        """Whether what does not fill at once stays in the book."""
        return self.tif in (Tif.GTC, Tif.GTD)

    @property
    def leaves(self) -> int:
        """What is not filled yet."""
        return self.quantity - self.filled


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for, in decimals as it came over the wire. `price` None = market order."""

    symbol: str
    side: int
    quantity: Decimal
    price: Decimal | None = None
    tif: Tif = Tif.GTC
    client_id: str = ""
    post_only: bool = False
    reduce_only: bool = False
    expires_ns: int = 0


class Change(StrEnum):
    """What a listener is told about an order."""

    NEW = "new"
    TRADE = "trade"
    AMENDED = "amended"
    CANCELED = "canceled"
    EXPIRED = "expired"
