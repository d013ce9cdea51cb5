"""How the router works its parents: waits, limits and patience. Part of the desk's configuration."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class RouterParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All times in milliseconds on the engine's clock; `*_bps` of the price."""

    max_children: int = 8  # per attempt, venues and LP quotes together
    max_attempts: int = 12  # plans in a row that filled nothing, then the parent is given back
    lp_wait_ms: int = 120  # how long a plan waits for LP quotes
    lp_ladder_age_ms: int = 5_000  # an LP whose last ladder is older is not asked
    lp_part: Decimal = Decimal("0.5")  # beside the whole size LPs are asked for this part of it (0: for the whole only)
    lp_min_notional: Decimal = Decimal(0)  # below it (quote currency) LPs are not asked
    quote_margin_ms: int = 60  # a quote that ends sooner than this is not used: the order would come too late
    lp_order: str = "rule"  # LPs beside venues: by rule (see docs/routing.md), or always first, together, last
    lp_hold_ms: int = 250  # venues wait no longer than this for an LP that goes first
    last_look_reject: Decimal = Decimal("0.05")  # an LP that refuses this share of what it quoted goes first
    venue_round_trip_ms: int = (
        100  # from sending an IOC to its end: an LP goes last when its quote outlives two of them
    )
    child_timeout_ms: int = 3_000  # without a final report the child is UNKNOWN: reserved, queried, never sent again
    resolve_retry_ms: int = 1_000  # between two queries for an outcome that could not be found out
    retry_backoff_ms: int = (
        250  # a venue or LP that rejected is left out for this long; doubles with each rejection in a row
    )
    max_backoff_ms: int = 8_000  # the longest that it is left out
    replan_ms: int = 50  # pause before the rest is planned again (`retry_backoff_ms` when there was nothing to send)
    wave_jitter: float = 0.5  # that pause is longer by up to this share, drawn from the seed
    clip_jitter: float = (
        0.2  # an order too large for one plan is cut into clips, each smaller by up to this share, from the seed
    )
    guard_bps: Decimal = Decimal("1")  # how far beyond the worst planned level a child's limit may reach
    min_clip: dict[str, Decimal] = msgspec.field(
        default_factory=dict  # quote currency -> the least value of a child, unless it finishes its parent
    )
    order_id_tag: str = "001"  # of the one strategy, in the engine
    policy: str = "exact"  # how an order is split: exact; best_venue and pro_rata are there to be compared with
    scorecards: bool = (
        True  # fade, filled share and refusals learnt from own orders weigh in a plan; false: books and quotes alone
    )
    slippage_model: str = ""  # expected slippage: "" none, "prior" theory alone, or a file of `kerb learn slippage`
    slippage_latency_ms: int = 25  # from decision to a venue's match, for what the market does meanwhile
    slippage_impact: Decimal = Decimal("1")  # Y of the square-root impact of what is beyond the visible book
    daily_volume: dict[str, Decimal] = msgspec.field(default_factory=dict)  # symbol -> base currency a day, for impact

    @property
    def quote_margin_ns(self) -> int:
        """`quote_margin_ms` in ns."""
        return self.quote_margin_ms * 1_000_000

    def __post_init__(self) -> None:
        if self.policy not in SPLITS:
            raise ValueError(f"policy: {self.policy!r} is none of {', '.join(SPLITS)}")
        if self.lp_order not in LP_ORDERS:
            raise ValueError(f"lp_order: {self.lp_order!r} is none of {', '.join(LP_ORDERS)}")
        for name in ("wave_jitter", "clip_jitter"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least zero and less than one")
        for currency, value in self.min_clip.items():
            if not value.is_finite() or value < 0:
                raise ValueError(f"min_clip.{currency}: must be a number of at least zero")
        for symbol, volume in self.daily_volume.items():
            if not volume.is_finite() or volume <= 0:
                raise ValueError(f"daily_volume.{symbol}: must be a number greater than zero")
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, int) and not isinstance(value, bool) and value < (1 if name in POSITIVE else 0):
                raise ValueError(f"{name}: must be {'greater than' if name in POSITIVE else 'at least'} zero")
            if isinstance(value, Decimal) and not (value.is_finite() and value >= 0):
                raise ValueError(f"{name}: must be a number of at least zero")


SPLITS = ("exact", "best_venue", "pro_rata")
LP_ORDERS = ("rule", "first", "together", "last")
POSITIVE = frozenset({"max_children", "max_attempts", "child_timeout_ms", "resolve_retry_ms"})
