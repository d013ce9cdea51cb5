"""Scorecards of venues and LPs: how far what they show can be trusted, learnt from what became of our own orders.

    fill ratio   Σ decayed share of displayed depth that was there for children that left, drawn to 1 (`real_share`)
    reject       share of children refused without a fill, drawn to a prior
    fade β       regression through the origin of what fills cost beyond the plan on the noise 0.399·σ·√(age + latency) that
                 a stale view is expected to miss (E[X⁺] of X ~ N(0, σ²τ)), drawn to a prior and clipped to [0, 1]:
                 β·noise is the expected slippage ρ of the split
    quotes       of an LP: answered, spread over fair value, how often its quote won, how long it held (last look)

All decay with one halflife; percentiles are of the last few hundred orders. One child counts once, however large: a
large order must not hide how the usual ones fare. Built live from cost lines, rounds of asking and markouts, and after
a restart from the archive's rows of the same, in any order (`merge`). Pure; one thread.
"""

from __future__ import annotations

import msgspec

from router.costs.decay import Decayed, Window
from router.costs.markouts import HORIZONS_MS, Averages, Markout
from router.costs.shortfall import CostLine, LineKind, planned_slippage_bps
from router.orders import ChildState
from router.panel import LpRound

NOT_SENT = "not sent"  # how the reason of a child begins that never left
AFTER_REJECT_MS = 1_000
FADE_DEVIATION = 0.5  # of β around its prior, before anything is known


class TcaParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What transaction cost analysis remembers, and what it believes before it has seen enough. Part of the desk's configuration."""

    halflife_h: float = 24.0  # after which an order or a markout counts half
    prior_n: float = 20.0  # how many orders a prior is worth
    prior_fade: float = 0.5  # β of a venue nothing is known of: half of the expected noise costs
    prior_fill_ratio: float = 1.0  # of displayed depth
    prior_reject: float = 0.02  # of orders and accepted quotes
    markout_horizon_ms: int = 10_000  # the horizon that clients are judged by: 100, 1000, 10000, 60000, 300000
    markouts_open: int = 20_000  # trades whose markouts are still to be taken; further ones are left out, counted

    def __post_init__(self) -> None:
        for name in ("halflife_h", "prior_n", "markouts_open"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be greater than zero")
        for name in ("prior_fade", "prior_fill_ratio", "prior_reject"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: must lie between 0 and 1")
        if self.markout_horizon_ms not in HORIZONS_MS:
            raise ValueError(f"markout_horizon_ms: must be one of {', '.join(map(str, HORIZONS_MS))}")


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """A scorecard at a moment, for people and the API. Times in ns; None: nothing known."""

    name: str
    lp: bool
    orders: float  # effective number
    fill_ratio: float
    reject: float
    fade: float
    slippage_bps: float
    latency_ns_p50: int | None
    latency_ns_p99: int | None
    hold_ns_p50: int | None
    hold_ns_p99: int | None
    quoted: float | None  # share of requests that were answered with a price
    quote_spread_bps: float | None
    quote_ns_p50: int | None
    win_share: float | None  # of rounds in which it quoted
    markout_bps: dict[int, float]  # by horizon in ms, after fills; the desk's sign
    after_reject_bps: (
        float | None
    )  # the move in our favour a second after a refusal: much above 0, and the last look is one-sided


class Scorecard:
    """What is remembered of one venue or LP."""

    def __init__(self, name: str, parameters: TcaParameters) -> None:
        halflife_s = parameters.halflife_h * 3600.0
        self.name = name
        self.lp = False
        self._parameters = parameters
        self.filled = Decayed(halflife_s)
        self.rejected = Decayed(halflife_s)
        self.slippage = Decayed(halflife_s)
        self.fade_xy = Decayed(halflife_s)
        self.fade_xx = Decayed(halflife_s)
        self.fade_yy = Decayed(halflife_s)
        self.answered = Decayed(halflife_s)
        self.spread = Decayed(halflife_s)
        self.rounds = Decayed(halflife_s)
        self.wins = Decayed(halflife_s)
        self.latency = Window()
        self.hold = Window()
        self.response = Window()
        self.markouts = Averages(halflife_s)

    def fill_ratio(self, now_ns: int = 0) -> float:
        """Expected share of what is displayed that is there for an order; `now_ns` 0: as it was at the last order."""
        return self.filled.shrunk(self._parameters.prior_fill_ratio, self._parameters.prior_n, now_ns)

    def reject(self, now_ns: int = 0) -> float:
        """Probability that an order is refused."""
        return self.rejected.shrunk(self._parameters.prior_reject, self._parameters.prior_n, now_ns)

    def fade(self, now_ns: int = 0) -> float:
        """β in [0, 1]: the posterior mean of the regression under a normal prior of deviation `FADE_DEVIATION`.

        (Σ x·y + λ·β₀) / (Σ x² + λ), λ = mean y² ÷ deviation²: slippage that scatters far more than the noise explains says little of
        β until there is much of it. λ is never less than `prior_n` orders of this place's own average noise.
        """
        noise = self.fade_xx.mean
        if noise <= 0.0:
            return self._parameters.prior_fade
        prior = max(self._parameters.prior_n * noise, self.fade_yy.mean / FADE_DEVIATION**2)
        known = self.fade_xx.n(now_ns)
        slope = (self.fade_xy.mean * known + prior * self._parameters.prior_fade) / (noise * known + prior)
        return max(0.0, min(1.0, slope))

    def child(self, line: CostLine) -> None:
        """Count a finished child that left the house."""
        ts_ns, filled = line.ended_ns, bool(line.filled)
        self.lp = self.lp or line.lp
        if line.latency_ns >= 0:
            self.latency.add(line.latency_ns)
        if line.resting:
            return  # it waited to be taken: that says nothing of what is there to take
        self.filled.add(ts_ns, real_share(line))
        self.rejected.add(ts_ns, float(line.state == ChildState.REJECTED and not filled))
        if line.lp:
            self.wins.add(line.created_ns, 1.0)
        if line.hold_ns >= 0:
            self.hold.add(line.hold_ns)
        slip = planned_slippage_bps(line)
        if slip is not None:
            self.slippage.add(ts_ns, slip)
            if line.noise_bps > 0.0:
                self.fade_xy.add(ts_ns, slip * line.noise_bps)
                self.fade_xx.add(ts_ns, line.noise_bps * line.noise_bps)
                self.fade_yy.add(ts_ns, slip * slip)

    def asked(self, told: LpRound) -> None:
        """Count this LP's answers in a round."""
        self.lp = True
        sign = 1 if told.side == "buy" else -1
        mine = [answer for answer in told.answers if answer.lp == self.name]
        for answer in mine:
            self.answered.add(answer.asked_ns, float(answer.price is not None))
            if answer.answered_ns and answer.price is not None:
                self.response.add(answer.answered_ns - answer.asked_ns)
            if answer.price is not None and told.mid:
                self.spread.add(answer.asked_ns, sign * float(answer.price / told.mid - 1) * 1e4)
        if any(answer.price is not None for answer in mine):
            self.rounds.add(mine[0].asked_ns, 1.0)

    def merge(self, older: Scorecard) -> None:
        """Take in what an earlier run knew."""
        self.lp = self.lp or older.lp
        for name in (
            "filled", "rejected", "slippage", "fade_xy", "fade_xx", "fade_yy", "answered", "spread", "rounds", "wins", "markouts",
        ):  # fmt: skip
            getattr(self, name).merge(getattr(older, name))
        for name in ("latency", "hold", "response"):
            getattr(self, name).merge_older(getattr(older, name))

    def score(self, now_ns: int) -> Score:
        """The card at this moment."""
        rounds = self.rounds.n(now_ns)
        known = {horizon: self.markouts.get(("fill",), horizon) for horizon in HORIZONS_MS}
        refused = self.markouts.get(("reject",), AFTER_REJECT_MS)
        return Score(
            name=self.name,
            lp=self.lp,
            orders=self.filled.n(now_ns),
            fill_ratio=self.fill_ratio(now_ns),
            reject=self.reject(now_ns),
            fade=self.fade(now_ns),
            slippage_bps=self.slippage.mean,
            latency_ns_p50=self.latency.percentile(0.5),
            latency_ns_p99=self.latency.percentile(0.99),
            hold_ns_p50=self.hold.percentile(0.5),
            hold_ns_p99=self.hold.percentile(0.99),
            quoted=self.answered.mean if self.answered.weight else None,
            quote_spread_bps=self.spread.mean if self.spread.weight else None,
            quote_ns_p50=self.response.percentile(0.5),
            win_share=min(1.0, self.wins.n(now_ns) / rounds) if rounds else None,
            markout_bps={horizon: memory.mean for horizon, memory in known.items() if memory.weight},
            after_reject_bps=refused.mean if refused.weight else None,
        )


class Scorecards:
    """All cards, by name; a place never heard of has the priors."""

    def __init__(self, parameters: TcaParameters) -> None:
        self._parameters = parameters
        self._cards: dict[str, Scorecard] = {}

    def fade(self, venue: str, now_ns: int = 0) -> float:
        """β of a venue: the part of the expected noise that its fills really cost. In [0, 1]."""
        return self.card(venue).fade(now_ns)

    def fill_ratio(self, venue: str, now_ns: int = 0) -> float:
        """Expected share of displayed depth that is there. In [0, 1]."""
        return self.card(venue).fill_ratio(now_ns)

    def reject_probability(self, lp: str, now_ns: int = 0) -> float:
        """Probability that an accepted quote (or an order) is refused. In [0, 1]."""
        return self.card(lp).reject(now_ns)

    def latency_ns(self, venue: str) -> int:
        """Median time from sending an order to the venue's first word, 0 when unknown."""
        return self.card(venue).latency.percentile(0.5) or 0

    def hold_ns(self, lp: str) -> int:
        """Median time from accepting a quote to its end, 0 when unknown."""
        return self.card(lp).hold.percentile(0.5) or 0

    def child(self, line: CostLine) -> None:
        """Count a finished child; what never left, internal crosses and corrections change nothing."""
        if line.kind is LineKind.CHILD and not line.revision and not line.reason.startswith(NOT_SENT) and line.quantity:
            self._card(line.venue).child(line)

    def asked(self, told: LpRound) -> None:
        """Count a round of asking LPs."""
        for lp in dict.fromkeys(answer.lp for answer in told.answers):
            self._card(lp).asked(told)

    def markout(self, markout: Markout) -> None:
        """Count a markout of one of our fills, or of a refusal."""
        if markout.source in ("fill", "reject"):
            self._card(markout.party).markouts.add((markout.source,), markout)

    def merge(self, older: Scorecards) -> None:
        """Take in what earlier runs knew."""
        for name, card in older._cards.items():
            self._card(name).merge(card)

    def scores(self, now_ns: int) -> list[Score]:
        """Every card, by name."""
        return [self._cards[name].score(now_ns) for name in sorted(self._cards)]

    def card(self, name: str) -> Scorecard:
        """The card of a venue or LP; an empty one when nothing is known."""
        return self._cards.get(name) or Scorecard(name, self._parameters)

    def _card(self, name: str) -> Scorecard:
        known = self._cards.get(name)
        if known is None:
            known = self._cards[name] = Scorecard(name, self._parameters)
        return known


def real_share(line: CostLine) -> float:
    """The share of displayed depth that a child found.

    A plan that counted on (1 − haircut) of it and got less saw filled/ordered of that part. One that got all it wanted says only that
    there was at least so much (the observation is censored): it counts as all, optimistically (Ganchev, Nevmyvaka, Kearns and Vaughan,
    "Censored exploration and the dark pool problem", 2009), or a haircut once made would confirm itself for ever.
    """
    share = float(line.filled / line.quantity)
    return share if share >= 1.0 else share * (1.0 - line.haircut_ppm * 1e-6)
