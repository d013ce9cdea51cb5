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


class ExternalOrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An open order on one of the desk's accounts that the desk did not place."""

    venue: str
    instrument: str
    venue_order_id: str
    client_order_id: str  # "" where it has none
    side: str
    price: DecimalText | None
    quantity: DecimalText | None
    filled: DecimalText
    updated_ns: int


class ExternalOrderPage(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, by venue."""

    items: list[ExternalOrderView]
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


class FlowView(msgspec.Struct, kw_only=True):
    """Order flow at a venue over about ten seconds. Imbalances −1 (selling) … 1 (buying); `queue_imbalance` and `depth_imbalance`
    (best 20 levels) are the bids' share, 0 … 1; `trade_concentration` 1 when one print was all the volume."""

    order_flow: DecimalText
    queue_imbalance: DecimalText
    depth_imbalance: DecimalText
    trade_flow: DecimalText
    trade_concentration: DecimalText
    drift_bps: DecimalText
    tick_volatility_bps_per_sqrt_s: DecimalText


class DepthView(msgspec.Struct, kw_only=True):
    """One side of a venue's displayed depth. `hhi`: Σ of squared shares of its levels; `top_share`: the five largest; `wall`: the
    largest level over a median price band; `verdict`: clear, wall (at `wall_price`) or flickering; `haircut_ppm`: not counted on."""

    hhi: DecimalText
    top_share: DecimalText
    wall: DecimalText
    verdict: str
    wall_price: DecimalText | None
    haircut_ppm: int


class BookView(msgspec.Struct, kw_only=True):
    """One venue book. `status`: live, empty, gapped, stale, crossed or disconnected; only live books price and
    route. `fair_weight`: its share of the fair value, `fair_verdict`: used, or why it is not.
    """

    venue: str
    instrument: str
    status: str
    reason: str
    age_ms: int
    updates: int
    resyncs: int
    bid: DecimalText | None
    ask: DecimalText | None
    fair_weight: DecimalText = "0"
    fair_verdict: str = ""
    flow: FlowView | None = None
    bids: DepthView | None = None
    asks: DepthView | None = None


class LpView(msgspec.Struct, kw_only=True):
    """One liquidity provider."""

    lp: str
    instrument: str
    status: str
    age_ms: int
    rungs: int
    quotes: int
    fills: int
    rejects: int


class RfqCounts(msgspec.Struct, kw_only=True):
    """How many requests since the desk's first day reached each state, and how many were ever quoted or accepted."""

    received: int = 0
    quoted: int = 0
    accepted: int = 0
    filled: int = 0
    rejected: int = 0
    expired: int = 0
    cancelled: int = 0
    withdrawn: int = 0
    failed: int = 0
    unknown: int = 0


class VenueHedges(msgspec.Struct, kw_only=True):
    """What the router did at one venue or LP."""

    children: int = 0
    fills: int = 0
    rejects: int = 0
    quantity: dict[str, DecimalText] = msgspec.field(default_factory=dict)  # base currency -> filled


class HedgeCounts(msgspec.Struct, kw_only=True):
    """The router's work."""

    parents: int = 0
    children: int = 0
    fills: int = 0
    open: int = 0
    unknown: int = 0
    by_venue: dict[str, VenueHedges] = msgspec.field(default_factory=dict)


class LedgerView(msgspec.Struct, kw_only=True):
    """Sum of all postings per currency: zero, always."""

    imbalance: dict[str, DecimalText] = msgspec.field(default_factory=dict)


class InventoryView(msgspec.Struct, kw_only=True):
    """The desk's position in one currency. `band`: the hard band; `soft_band`: inside it nothing is hedged."""

    position: DecimalText
    soft_band: DecimalText
    band: DecimalText
    skew_bps: DecimalText = "0"


class PnlView(msgspec.Struct, kw_only=True):
    """Profit and loss in `currency`: total = spread + hedge + inventory + fees (skew is part of spread)."""

    currency: str
    total: DecimalText = "0"
    spread: DecimalText = "0"
    skew: DecimalText = "0"
    hedge: DecimalText = "0"
    inventory: DecimalText = "0"
    fees: DecimalText = "0"


class ArchiveView(msgspec.Struct, kw_only=True):
    """Rows offered to the archive and rows it holds, per table."""

    rows: dict[str, int] = msgspec.field(default_factory=dict)
    dropped: int = 0
    tapped: dict[str, int] = msgspec.field(default_factory=dict)
    spool_segments: int = 0
    status: str = "off"


class Latency(msgspec.Struct, kw_only=True):
    """A latency in nanoseconds since start."""

    p50: int = 0
    p99: int = 0
    n: int = 0


class RiskView(msgspec.Struct, kw_only=True):
    """Decisions of the gate since start."""

    approved: int = 0
    refused: dict[str, int] = msgspec.field(default_factory=dict)


class AlertView(msgspec.Struct, kw_only=True):
    """Something the operator should know."""

    alert_id: str
    severity: Literal["info", "warning", "critical"]
    source: str
    message: str
    ts_ns: int
    count: int = 1


class ChildView(msgspec.Struct, kw_only=True):
    """A child order as the blotter shows it. `why`: what the plan said of it; `reason`: how it ended, when not filled."""

    child_id: str
    parent_id: str
    venue: str
    instrument: str
    side: str
    quantity: DecimalText
    filled: DecimalText
    limit_price: DecimalText
    average_price: DecimalText | None
    state: str
    reason: str
    created_ns: int
    updated_ns: int
    why: str = ""


class ParentView(msgspec.Struct, kw_only=True):
    """A parent order with its children. `state`: working, paused, cancelling or done; `algo`: sweep, twap, vwap, is, arrival, pov,
    iceberg, pegged or sniper; `due`: base that its schedule wants filled by now; `ends_ns`: when the schedule ends."""

    parent_id: str
    instrument: str
    side: str
    quantity: DecimalText
    filled: DecimalText
    average_price: DecimalText | None
    arrival_price: DecimalText | None
    state: str
    reason: str
    created_ns: int
    updated_ns: int
    children: list[ChildView]
    algo: str = "sweep"
    due: DecimalText | None = None
    ends_ns: int | None = None


class BlotterRow(msgspec.Struct, kw_only=True):
    """One RFQ as the operator sees it, with the desk's side of the price."""

    rfq_id: str
    client_id: str
    tier: str
    instrument: str
    side: str
    quantity: DecimalText
    currency: str
    state: State
    bid: DecimalText | None
    ask: DecimalText | None
    fair: DecimalText | None
    edge_bps: DecimalText | None
    skew_bps: DecimalText | None
    valid_until_ns: int
    created_ns: int
    updated_ns: int
    reason: str


class PriceStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step from fair value to price, in quote currency per unit of base and in bps of fair; `inputs`: from what it came."""

    step: str
    amount: DecimalText
    bps: DecimalText
    inputs: str


class QuoteBuild(msgspec.Struct, frozen=True, kw_only=True):
    """How one price was made: fair + Σ steps = price, exactly. `side` is the client's."""

    quote_id: str
    side: Side
    quantity: DecimalText
    fair: DecimalText
    steps: list[PriceStep]
    price: DecimalText


class RfqBuild(msgspec.Struct, frozen=True, kw_only=True):
    """How the prices of one request were made: what operators may know and clients may not."""

    rfq_id: str
    client_id: str
    instrument: str
    quotes: list[QuoteBuild]


class LadderLevel(msgspec.Struct, kw_only=True):
    """One price of the consolidated book; `price` is the venue's, `all_in` has the taker fee in it."""

    side: Literal["bid", "ask"]
    price: DecimalText
    all_in: DecimalText
    quantity: DecimalText
    venue: str


class HeadlineRung(msgspec.Struct, kw_only=True):
    """What the desk would quote a standard client for this size now; None: no price."""

    quantity: DecimalText
    bid: DecimalText | None
    ask: DecimalText | None


class LadderView(msgspec.Struct, kw_only=True):
    """The consolidated, fee-adjusted top of all live books of one instrument, best level first on each side, and the desk's own prices."""

    instrument: str
    fair: DecimalText | None
    volatility_bps_per_sqrt_s: DecimalText
    bids: list[LadderLevel]
    asks: list[LadderLevel]
    noise_bps: DecimalText = "0"
    jump_share: DecimalText = "0"
    headline: list[HeadlineRung] = []


class ScoreView(msgspec.Struct, kw_only=True):
    """How a venue or LP has done with our orders, decayed. Shares lie in 0…1, times are ns; None: nothing known. `orders`: the effective
    number; `fade`: the part of the expected slippage that fills really cost; `markout_bps`: by horizon in ms, after fills, the desk's sign.
    """

    name: str
    lp: bool
    orders: float
    fill_ratio: float
    reject: float
    fade: float
    slippage_bps: float
    latency_ns_p50: int | None
    latency_ns_p99: int | None
    hold_ns_p50: int | None
    hold_ns_p99: int | None
    quoted: float | None
    quote_spread_bps: float | None
    quote_ns_p50: int | None
    win_share: float | None
    markout_bps: dict[int, float]
    after_reject_bps: float | None


class CostView(msgspec.Struct, kw_only=True):
    """What the parent orders of one instrument have cost since the desk was started, in basis points of their arrival value; positive:
    it cost the desk. `total` is the sum of `parts`; `amount` is the same in quote currency.
    """

    instrument: str
    orders: int
    basis: DecimalText
    amount: DecimalText
    saved: DecimalText
    total_bps: DecimalText
    parts_bps: dict[str, DecimalText]


class ClientMarkoutView(msgspec.Struct, kw_only=True):
    """Where fair value went after a client's trades: the mean move in the desk's favour at the horizon that is charged, over `n` trades
    (effective), and the same drawn to that of all clients.
    """

    client_id: str
    instrument: str
    n: float
    mean_bps: float
    shrunk_bps: float


class DeskState(msgspec.Struct, kw_only=True):
    """Everything an operator sees at a glance."""

    epoch: str
    mode: str
    ts_ns: int
    trading: Literal["active", "reducing", "halted"]
    halt_reason: str
    books: list[BookView]
    lps: list[LpView]
    rfqs: RfqCounts
    trades: int
    hedges: HedgeCounts
    ledger: LedgerView
    inventory: dict[str, InventoryView]
    pnl: PnlView
    archive: ArchiveView
    latency_ns: dict[str, Latency]
    risk: RiskView
    faults: int
    alerts: list[AlertView]
    ladders: list[LadderView]
    blotter: list[BlotterRow]
    parents: list[ParentView]
    scorecards: list[ScoreView] = []
    costs: list[CostView] = []
    client_markouts: list[ClientMarkoutView] = []


class HaltRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /v1/desk/halt` and `/resume`. `confirm` must be the word HALT or RESUME, typed by a person."""

    confirm: Literal["HALT", "RESUME"]
    reason: Annotated[str, Meta(min_length=1, max_length=200)] = "operator"


class TradingState(msgspec.Struct, frozen=True, kw_only=True):
    """What the desk is allowed to do after a halt or a resume."""

    trading: Literal["active", "reducing", "halted"]
    halt_reason: str
