"""The wire messages of the API (CONTRACT 3 and 4): what is decoded, encoded, and described in OpenAPI.

Prices, quantities and amounts are decimal strings; times are integer nanoseconds since the epoch, named `*_ns`.
Requests refuse unknown fields. Imported by the server, by the client SDK and, through it, by the blotter: nothing
heavy here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

DecimalText = Annotated[
    str,
    Meta(
        pattern=r"^-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,18})?$(?!\n)",  # `$` alone lets a trailing newline pass
        max_length=42,
        description="Decimal number as text, at most 21 digits before and 18 after the point.",
    ),
]
PositiveText = Annotated[
    str,
    Meta(
        pattern=r"^(0|[1-9][0-9]{0,20})(\.[0-9]{1,18})?$(?!\n)",
        max_length=42,
        description="Positive decimal number as text.",
    ),
]
ClientToken = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$(?!\n)")]
Symbol = Annotated[str, Meta(min_length=1, max_length=64)]
Side = Literal["buy", "sell"]
State = Literal[
    "received", "quoted", "accepted", "filled", "rejected", "expired", "cancelled", "withdrawn", "failed", "unknown"
]


class RfqRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /v1/rfqs`, and `{"op":"rfq"}` on the WebSocket."""

    client_rfq_id: ClientToken
    instrument: Symbol
    side: Literal["buy", "sell", "two_way"]
    quantity: PositiveText
    currency: Annotated[str, Meta(min_length=1, max_length=16)] | None = None
    ttl_ms: Annotated[int, Meta(ge=1, le=600_000)] | None = None


class AcceptRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /v1/quotes/{quote_id}/accept`. `quantity` (base currency) below the quoted one is a partial accept."""

    client_order_id: ClientToken
    quantity: PositiveText | None = None


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """A firm all-in price. `side` is the client's."""

    quote_id: str
    side: Side
    price: DecimalText
    quantity: DecimalText
    amount: DecimalText
    firm: bool
    valid_until_ns: int


class Rfq(msgspec.Struct, frozen=True, kw_only=True):
    """A request for quote as the client sees it."""

    rfq_id: str
    client_rfq_id: str
    state: State
    instrument: str
    side: Literal["buy", "sell", "two_way"]
    quantity: DecimalText
    currency: str
    quotes: list[Quote]
    created_ns: int
    updated_ns: int
    reason: str = ""
    trade_id: str | None = None


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """What settles, signed for the client: positive is received."""

    currency: str
    amount: DecimalText


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """When and what settles."""

    due_ns: int
    legs: list[Leg]


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """A trade. It is durable when a client sees it."""

    trade_id: str
    quote_id: str
    rfq_id: str
    client_order_id: str
    state: Literal["filled"]
    instrument: str
    side: Side
    price: DecimalText
    quantity: DecimalText
    amount: DecimalText
    traded_ns: int
    settlement: Settlement


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /v1/orders`, and `{"op":"order"}` on the WebSocket. `quantity` in base currency.

    `duration_ms`: of twap, vwap, pov and is. `participation`: of pov, share of the market's volume. `risk_aversion`: of is, per
    unit of quote currency, 0 as twap. `display_quantity`: of iceberg. `expire_ns`: of gtd. `capacity`: whom the client faces;
    default what it is entitled to.
    """

    client_order_id: ClientToken
    instrument: Symbol
    side: Side
    type: Literal["market", "limit", "twap", "vwap", "pov", "iceberg", "is"]
    quantity: PositiveText
    limit_price: PositiveText | None = None
    time_in_force: Literal["fok", "ioc", "gtc", "gtd"] | None = None
    expire_ns: Annotated[int, Meta(ge=0, le=2**62)] | None = None
    duration_ms: Annotated[int, Meta(ge=1_000, le=604_800_000)] | None = None
    participation: PositiveText | None = None
    risk_aversion: PositiveText | None = None
    display_quantity: PositiveText | None = None
    capacity: Literal["agency", "principal"] | None = None


class AmendRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /v1/orders/{order_id}/amend`: what is not given stays. `quantity` is the new whole, never below what is filled or open."""

    quantity: PositiveText | None = None
    limit_price: PositiveText | None = None
    end_ns: Annotated[int, Meta(ge=0, le=2**62)] | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as its client sees it. `commission`: quote currency, of what has filled."""

    order_id: str
    client_order_id: str
    instrument: str
    side: Side
    type: str
    time_in_force: str
    capacity: Literal["agency", "principal"]
    quantity: DecimalText
    limit_price: DecimalText | None
    state: Literal["working", "paused", "filled", "cancelled", "expired", "rejected"]
    filled: DecimalText
    average_price: DecimalText | None
    commission: DecimalText
    trade_id: str | None
    reason: str
    end_ns: int
    created_ns: int
    updated_ns: int


class DeskOrder(Order, frozen=True, kw_only=True):
    """An order as an operator sees it on the feed: with its client."""

    client_id: str


class OrderPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of orders, newest first."""

    items: list[Order]
    next_cursor: str | None = None


class RfqPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of requests, newest first."""

    items: list[Rfq]
    next_cursor: str | None = None


class TradePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of trades, newest first."""

    items: list[Trade]
    next_cursor: str | None = None


class DeskRfq(Rfq, frozen=True, kw_only=True):
    """A request as an operator sees it on the feed: with its client."""

    client_id: str


class DeskTrade(Trade, frozen=True, kw_only=True):
    """A trade as an operator sees it on the feed: with its client."""

    client_id: str


class DeskTime(msgspec.Struct, frozen=True, kw_only=True):
    """The desk's clock."""

    time_ns: int
    epoch: str


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, for programs (`code`, `details`) and people (`message`)."""

    code: str
    kind: Literal["invalid", "rejected", "limited", "failed", "unknown"]
    message: str
    retryable: bool
    details: dict[str, Any]
    request_id: str


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The one shape of every error (CONTRACT 3.4)."""

    error: ErrorBody


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """What can be asked for."""

    symbol: str
    base: str
    quote: str
    price_tick: DecimalText
    quantity_step: DecimalText
    base_precision: int
    quote_precision: int
    min_quantity: DecimalText
    max_quantity: DecimalText
    default_ttl_ms: int
    venues: list[str]
    lps: list[str]


class InstrumentPage(msgspec.Struct, frozen=True, kw_only=True):
    """All instruments the caller is entitled to."""

    items: list[Instrument]
    next_cursor: str | None = None


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """One limit of a venue, in its own units."""

    capacity: float
    used: float
    left: float


class RateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What an account may still ask of a venue. `waited`: requests that had to, by kind; `refused`: by the venue, for too many;
    `closed_s`: for so long it wants no more.
    """

    limits: dict[str, RateLimit]
    waited: dict[str, int]
    refused: int
    closed_s: float


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """Which watch channel works how: venue -> channel -> native, derived, polled or unsupported. `rate_limits`: of venues whose limits are
    counted here.
    """

    venues: dict[str, dict[str, Literal["native", "derived", "polled", "unsupported"]]]
    rate_limits: dict[str, RateLimits] = {}


# ---- the operator's view: GET /v1/desk/state and channel `desk` ----------------------------------------------------
