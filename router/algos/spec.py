"""`AlgoSpec`: which execution algorithm works a parent, with its numbers. A closed union; None in its place means: sweep now.

    sliced      twap · vwap · is · arrival    a schedule of slices, each taken through the router's plan over venues and LPs
    following   pov · sniper                  takes when the market gives reason to
    resting     iceberg · pegged              one limit order in a venue's book at a time

`end_ns` is where a schedule ends; 0: a little before the parent's deadline, so that what has not filled can be cleaned up. Times of a
schedule are nanoseconds of the engine's clock, fractions and jitters lie in 0…1, `*_bps` are of the price. A spec that makes no sense
cannot be made: ValueError (msgspec.ValidationError when decoded). Specs are journalled with their parent and hold nothing that changes.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from math import isfinite

import msgspec

from risk.exact import ZERO, measurable

LONGEST_CURVE = 1_500


class _Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    end_ns: int = 0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, float) and not (
                (isfinite(value) and value >= 0) or (name == "drift" and isfinite(value))
            ):
                raise ValueError(f"{name}: must be a number of at least zero")
            if isinstance(value, int) and value < (1 if name == "interval_ms" else 0):
                raise ValueError(f"{name}: must be {'greater than' if name == 'interval_ms' else 'at least'} zero")
            if isinstance(value, Decimal) and not (measurable(value) and (value >= 0 or name == "offset_bps")):
                raise ValueError(f"{name}: must be a number of at least zero")


class Sliced(_Spec, frozen=True, kw_only=True):
    """What every schedule of slices has."""

    interval_ms: int = 10_000  # a slice each; longer when there would be more slices than a schedule holds
    time_jitter: float = 0.5  # how much of its interval a slice may come late, drawn from the seed
    size_jitter: float = 0.2  # how far a slice's size may be from its share, drawn from the seed; the sum stays exact
    catch_up: float = 2.0  # at most so many average slices in one interval, however far behind

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.time_jitter > 1 or self.size_jitter > 1:
            raise ValueError("time_jitter, size_jitter: must be at most 1")
        if self.catch_up < 1:
            raise ValueError("catch_up: must be at least 1")


class Twap(Sliced, frozen=True, kw_only=True, tag="twap"):
    """The same amount in every interval."""


class Vwap(Sliced, frozen=True, kw_only=True, tag="vwap"):
    """In proportion to the market's volume, as a curve expects it and as it turns out.

    `curve`: relative volume of equal parts of the schedule (empty: the router's profile of the time of day, flat where it has none).
    `expected`: base volume the market is expected to trade during the schedule (0: unknown, the curve alone counts). `trust`: how much
    realised volume it takes to believe that the day is not an ordinary one, as a share of `expected`.
    """

    curve: tuple[int, ...] = ()
    expected: Decimal = ZERO
    trust: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        if (
            len(self.curve) > LONGEST_CURVE
            or any(part < 0 for part in self.curve)
            or (self.curve and not any(self.curve))
        ):
            raise ValueError(f"curve: at most {LONGEST_CURVE} numbers of at least zero, not all of them zero")


class ImplementationShortfall(Sliced, frozen=True, kw_only=True, tag="is"):
    """The Almgren–Chriss schedule of least cost + `risk_aversion` × variance.

    `risk_aversion` λ: 1/quote currency. `volatility` σ: quote currency per base and √s. `impact` η: quote currency per base at one base
    a second. `permanent` γ: quote currency per base and base. 0 for `volatility` or `impact`: the router's own estimate at arrival.
    """

    risk_aversion: float = 1e-6
    volatility: float = 0.0
    impact: float = 0.0
    permanent: float = 0.0


class ArrivalPrice(Sliced, frozen=True, kw_only=True, tag="arrival"):
    """Against the price at arrival: the more `urgency`, the more of it early; the pace answers to where the price goes.

    `drift` in −1…1: positive is faster while the price is better than at arrival and slower while it is worse (aggressive in the money),
    negative the other way round; `drift_bps`: the move at which the answer is at its full strength.
    """

    urgency: float = 0.5
    drift: float = 0.0
    drift_bps: float = 20.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.urgency > 1 or not -1 <= self.drift <= 1 or self.drift_bps <= 0:
            raise ValueError("urgency lies in 0…1, drift in −1…1, drift_bps above 0")


class Pov(_Spec, frozen=True, kw_only=True, tag="pov"):
    """`participation` × the volume others trade since the start: never ahead of it, and what is left at the end is given back."""

    participation: Decimal = Decimal("0.1")
    interval_ms: int = 1_000
    clip: Decimal | None = None  # base, the most to send at once

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.participation <= 1:
            raise ValueError("participation: must be above 0 and at most 1")
        _positive("clip", self.clip)


class Iceberg(_Spec, frozen=True, kw_only=True, tag="iceberg"):
    """Rests at the parent's limit price, showing `display` (base) at a time. `display` = the whole quantity is an ordinary limit order."""

    display: Decimal
    size_jitter: float = 0.2  # what is shown varies by so much
    min_delay_ms: int = 50  # before the next part is shown, drawn from the seed
    max_delay_ms: int = 500
    venue: str = ""  # "": where the fee is least, then where most lies at the best price
    post_only: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive("display", self.display)
        if self.size_jitter >= 1 or self.max_delay_ms < self.min_delay_ms:
            raise ValueError("size_jitter must be below 1, max_delay_ms at least min_delay_ms")


class Peg(StrEnum):
    """What a pegged order follows, at its own venue."""

    PRIMARY = "primary"  # the best price of its own side
    MID = "mid"  # the middle of the spread
    MARKET = "market"  # the best price of the other side


class Pegged(_Spec, frozen=True, kw_only=True, tag="pegged"):
    """A resting order that follows its venue's prices, never beyond the parent's limit price (the cap)."""

    peg: Peg = Peg.PRIMARY
    offset_bps: Decimal = ZERO  # away from the other side; negative: towards it
    display: Decimal | None = None  # base, None: all of it
    size_jitter: float = 0.2  # a displayed part is drawn from display × (1 ± this)
    min_move_bps: Decimal = Decimal("0.5")  # it moves when it is off by so much (and by a tick)
    min_interval_ms: int = 500  # and has lain this long
    venue: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive("display", self.display)
        if not 0 <= self.size_jitter < 1:
            raise ValueError("size_jitter: must be at least zero and less than one")
        if abs(self.offset_bps) >= 10_000:
            raise ValueError("offset_bps: must be less than the price itself")


class Sniper(_Spec, frozen=True, kw_only=True, tag="sniper"):
    """Shows nothing; takes when the all-in price is at `trigger_price` or better, or when `depth` (base) lies within the limit."""

    trigger_price: Decimal | None = None
    depth: Decimal | None = None
    interval_ms: int = 100  # between two looks
    clip: Decimal | None = None  # base, the most to take at once

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trigger_price is None and self.depth is None:
            raise ValueError("a sniper needs a trigger_price or a depth")
        for name in ("trigger_price", "depth", "clip"):
            _positive(name, getattr(self, name))


AlgoSpec = Twap | Vwap | ImplementationShortfall | ArrivalPrice | Pov | Iceberg | Pegged | Sniper


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where an algo's schedule stands; journalled with its parent, so that a restart goes on where it was.

    A schedule is laid over what was neither filled nor open at `since_ns`; it is laid anew (`turn` + 1) after a pause and an amendment.
    """

    since_ns: int
    until_ns: int
    done: Decimal = ZERO  # base, filled or open when it was laid
    volume: Decimal = ZERO  # base, what others have traded since then
    turn: int = 0


def name_of(spec: AlgoSpec | None) -> str:
    """The algo's word: "twap" … "sniper"; "sweep" for None."""
    return "sweep" if spec is None else str(spec.__struct_config__.tag)


def _positive(name: str, value: Decimal | None) -> None:
    if value is not None and value <= 0:
        raise ValueError(f"{name}: must be greater than zero")
