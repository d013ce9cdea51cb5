"""What a parent is measured against while it works: running sums, journalled with it, and the figures they give.

    schedule    its own schedule executed on paper: each part that falls due, at the fair value of that moment
    TWAP        the mean of fair value over the time it worked          (interval TWAP)
    VWAP        turnover ÷ volume of what others traded meanwhile       (interval VWAP)
    arrival     fair value when it arrived
    tracking    root mean square over time, and the largest, of (filled − due) ÷ quantity
    part        filled ÷ (filled + what others traded)

Costs are in bps of the benchmark, positive: worse than it (paid more, got less), fees not in them. Between two observations what was seen
last holds. Statistics: floats; None where there is nothing to measure against.
"""

from __future__ import annotations

from decimal import Decimal
from math import sqrt

import msgspec

BPS = 1e4


class Benchmark(msgspec.Struct, kw_only=True):
    """Running sums since `since_ns`."""

    since_ns: int
    last_ns: int
    fair: float = 0.0  # at the last observation; 0: there was none
    due: float = -1.0  # share of the quantity that was due then; −1: no schedule
    filled: float = 0.0  # share of the quantity that was filled then
    seconds: float = 0.0  # with a fair value
    fair_seconds: float = 0.0
    tracked_seconds: float = 0.0
    off_seconds: float = 0.0  # Σ (filled − due)²·dt
    furthest: float = 0.0
    paper: float = 0.0  # base that fell due while there was a fair value
    paper_notional: float = 0.0
    volume: float = 0.0  # of others
    turnover: float = 0.0

    def observe(
        self,
        now_ns: int,
        *,
        fair: Decimal | None,
        due: Decimal | None,
        filled: Decimal,
        quantity: Decimal,
        volume: Decimal,
        turnover: Decimal,
    ) -> None:
        """Take in the moment `now_ns`. Amounts in base; `volume`, `turnover`: what others traded since the last observation."""
        elapsed = max(0, now_ns - self.last_ns) * 1e-9
        self.last_ns = max(now_ns, self.last_ns)
        if self.fair:
            self.seconds += elapsed
            self.fair_seconds += self.fair * elapsed
        if self.due >= 0:
            self.tracked_seconds += elapsed
            self.off_seconds += (self.filled - self.due) ** 2 * elapsed
        self.fair = float(fair) if fair is not None else self.fair
        self.volume += float(volume)
        self.turnover += float(turnover)
        whole = float(quantity)
        self.filled = float(filled) / whole if whole else 0.0
        if due is None or not whole:
            return
        before, self.due = max(self.due, 0.0), float(due) / whole
        fallen = (self.due - before) * whole
        if fallen > 0 and self.fair:
            self.paper += fallen
            self.paper_notional += fallen * self.fair
        self.furthest = max(self.furthest, abs(self.filled - self.due))

    def report(self, *, side: str, filled: Decimal, notional: Decimal, arrival: Decimal | None) -> AlgoReport:
        """The figures for what was filled (base) for `notional` (quote currency)."""
        average = float(notional / filled) if filled else None
        twap = self.fair_seconds / self.seconds if self.seconds else None
        vwap = self.turnover / self.volume if self.volume > 0 else None
        paper = self.paper_notional / self.paper if self.paper else None
        arrived = None if arrival is None else float(arrival)
        sign = 1.0 if side == "buy" else -1.0

        def cost(against: float | None) -> float | None:
            return None if average is None or not against else sign * (average / against - 1) * BPS

        others = max(0.0, self.volume)
        return AlgoReport(
            average=average,
            schedule=paper,
            twap=twap,
            vwap=vwap,
            arrival=arrived,
            schedule_bps=cost(paper),
            twap_bps=cost(twap),
            vwap_bps=cost(vwap),
            arrival_bps=cost(arrived),
            tracking_rms=sqrt(self.off_seconds / self.tracked_seconds) if self.tracked_seconds else None,
            tracking_worst=self.furthest if self.due >= 0 else None,
            participation=float(filled) / (float(filled) + others) if filled or others else None,
        )


class AlgoReport(msgspec.Struct, frozen=True, kw_only=True):
    """Prices in quote currency per base, costs in bps (positive: worse than the benchmark), tracking and participation as shares."""

    average: float | None
    schedule: float | None
    twap: float | None
    vwap: float | None
    arrival: float | None
    schedule_bps: float | None
    twap_bps: float | None
    vwap_bps: float | None
    arrival_bps: float | None
    tracking_rms: float | None
    tracking_worst: float | None
    participation: float | None
