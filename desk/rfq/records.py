"""What the desk remembers of a request, a quote and a trade: the same structs go to the ledger, the archive and the feed."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec


class RfqState(StrEnum):
    """The life of a request for quote (CONTRACT 3.2). The transitions are in `desk.rfq.machine`."""

    RECEIVED = "received"
    QUOTED = "quoted"
    ACCEPTED = "accepted"
    FILLED = "filled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Step(msgspec.Struct, frozen=True):
    """One step of a price build-up, in quote currency per unit of base, signed as it moves the price; and from what it came."""

    step: str
    amount: Decimal
    inputs: str = ""


class Source(msgspec.Struct, frozen=True):
    """A venue or LP whose liquidity a price counts on, as it stood then. `status`: of the venue's book (a price is made of live ones
    alone), "streamed" for an LP's ladder; `age_ns`: since it was last heard of."""

    name: str
    status: str
    age_ns: int


class QuoteRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A firm price for one side. `fair + Σ waterfall = price`, exactly."""

    quote_id: str
    rfq_id: str
    client_id: str
    symbol: str
    side: str  # the client's: "buy" | "sell"
    price: Decimal
    quantity: Decimal  # base
    amount: Decimal  # quote currency
    fair: Decimal
    waterfall: tuple[Step, ...]
    valid_until_ns: int
    created_ns: int
    streamed: bool = False  # from `rfs`: not an answer to a request
    tier: str = ""  # the client's then
    sigma_bps: float = (
        0.0  # volatility over the quote's life and hedge, bps: what its distance from fair is measured in
    )
    sources: tuple[Source, ...] = ()  # what its sweep takes from; () on record from before this was kept


class RfqRecord(msgspec.Struct, kw_only=True):
    """A request for quote and where it stands."""

    rfq_id: str
    client_id: str
    client_rfq_id: str
    symbol: str
    side: str  # "buy" | "sell" | "two_way"
    quantity: Decimal  # as asked, in `currency`
    currency: str
    ttl_ms: int
    state: RfqState
    created_ns: int
    updated_ns: int
    reason: str = ""
    quotes: tuple[QuoteRecord, ...] = ()
    trade_id: str = ""


class TradeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A trade with a client: durable before anybody hears of it. Side and amounts are the client's."""

    trade_id: str
    quote_id: str
    rfq_id: str
    client_id: str
    client_order_id: str
    symbol: str
    side: str
    price: Decimal
    quantity: Decimal
    amount: Decimal
    fair: Decimal  # fair value when it was quoted, for the P&L split
    skew: Decimal  # the quote's skew step, for the P&L split
    traded_ns: int
    settle_due_ns: int
