"""What operators see and say over the API (CONTRACT 3.3 and 4): the desk's state, its books, hedges, costs and alerts.

The rules of `desk.api.messages` hold: decimals are text, times are nanoseconds, requests refuse unknown fields.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from desk.api.messages import DecimalText, Side, State


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


class PriceSource(msgspec.Struct, frozen=True, kw_only=True):
    """A venue or LP that a price counts on, as it stood then. `status`: of the venue's book; "streamed": an LP's ladder."""

    name: str
    status: str
    age_ms: int


class QuoteBuild(msgspec.Struct, frozen=True, kw_only=True):
    """How one price was made: fair + Σ steps = price, exactly. `side` is the client's."""

    quote_id: str
    side: Side
    quantity: DecimalText
    fair: DecimalText
    steps: list[PriceStep]
    price: DecimalText
    sources: list[PriceSource] = []


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


class AccountView(msgspec.Struct, kw_only=True):
    """The desk's account at a venue. `orders_by`: the way orders leave now; `switch`: "set", or why the venue's dead-man switch is not;
    `limit`: the rate limit of which the largest part is used, with what is used of its `capacity`; `refused`: requests too many;
    `refusing`: why no order can go there, "" while one can; `external_fills`: executions of orders that are not the desk's, so far.
    """

    venue: str
    connected: bool
    reason: str
    live_orders: int
    orders_by: str
    switch: str
    limit: str
    used: float
    capacity: float
    refused: int
    refusing: str = ""
    external_fills: int = 0


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
    accounts: list[AccountView] = []


class HaltRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /v1/desk/halt` and `/resume`. `confirm` must be the word HALT or RESUME, typed by a person."""

    confirm: Literal["HALT", "RESUME"]
    reason: Annotated[str, Meta(min_length=1, max_length=200)] = "operator"


class TradingState(msgspec.Struct, frozen=True, kw_only=True):
    """What the desk is allowed to do after a halt or a resume."""

    trading: Literal["active", "reducing", "halted"]
    halt_reason: str
