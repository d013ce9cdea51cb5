"""Winning: how likely a client trades on a quote, by how far it is from fair; and the markup that earns most by it.

For each tier, with d = (price − fair on the client's side)/fair in bps, v = volatility in bps and s = ln(1 + notional/10⁴):

    P(trade) = 1 / (1 + e^−(b₀ + b₁·d + b₂·d/v + b₃·s)),      b₁, b₂ ≤ 0: a worse price is never likelier to trade

Some clients bear more distance when the market moves more (b₂), some do not look at it (b₁): their answers tell. With d/v alone the
second kind looks indifferent to price in a wild market, and is quoted far away. Coefficients by ridge-penalised maximum likelihood, found
by Newton's method (iteratively reweighted least squares, as in Hastie–Tibshirani–Friedman 4.4.1) with halved steps; one that would be
positive is held at nothing. The distance of a quote is known when it is made, so nothing looks ahead.
With m the markup, c everything else between fair and the price (sweep, impact, volatility, skew, adverse selection, credit) and κ
the share of c that trades really cost the desk (what it holds inside its bands, or crosses, is never hedged), the expected profit is
P(c + m)·(m + (1 − κ)·c), whose maximum over m is in closed form (the H of `pricing.inventory`):

    m* = (1 + W(e^(a − βκc − 1)))/β − (1 − κ)·c,   β = −b₁ − b₂/v,  a: the log odds at fair,  W: Lambert

c is known only after the sweep, so the maximum is a kernel (`tuned_markup`) that quotes and ladders call for each size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, exp, isfinite, log1p

import msgspec
import numpy as np
from numba import njit

from pricing.inventory import omega

RIDGE = 1.0  # pseudo-observations that pull the slopes to nothing; the intercept is free
LEAST = 50  # quotes a tier needs before anything is tuned by it
NOTIONAL = 10_000.0  # quote currency: sizes far below it are all alike
STEPS = 100
SETTLED = 1e-10
ODDS_ONE = 1 << 32  # log odds in the kernels
SLOPE_ONE = 1 << 56  # what the log odds lose a fine tick, in the kernels
PAID_ONE = 1_000_000  # a share of costs in the kernels
MOST_ODDS = 700.0  # e^700 is still a float


class Outcome(msgspec.Struct, frozen=True):
    """One quote and whether it was traded on. `distance_bps`: how much worse than fair it was for the client;
    `volatility_bps`: σ√(life + hedge time) when it was made; `notional` in quote currency."""

    tier: str
    distance_bps: float
    volatility_bps: float
    notional: float
    won: bool


class WinCurve(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tier's fitted curve: log odds = intercept + bps × d + distance × d/v + size × s; from `n` quotes of which `won` traded."""

    tier: str
    intercept: float
    distance: float
    size: float
    n: int
    won: int
    bps: float = 0.0

    def slope(self, volatility_bps: float) -> float:
        """What the log odds lose a basis point."""
        return -self.bps - self.distance / volatility_bps

    def odds(self, distance_bps: float, volatility_bps: float, notional: float) -> float:
        """Log odds of a trade."""
        return self.intercept - self.slope(volatility_bps) * distance_bps + self.size * log1p(notional / NOTIONAL)

    def probability(self, distance_bps: float, volatility_bps: float, notional: float) -> float:
        """Chance of a trade, 0 to 1."""
        return 1.0 / (1.0 + exp(-max(-MOST_ODDS, min(MOST_ODDS, self.odds(distance_bps, volatility_bps, notional)))))


class WinModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Curves by tier; a tier that had too few quotes has none. As JSON it is the file that `win_model` names. `paid`: the share,
    0 to 1, of what prices charge beside the markup that trades really cost the desk."""

    curves: tuple[WinCurve, ...] = ()
    paid: float = 1.0

    def of(self, tier: str) -> WinCurve | None:
        """A tier's curve, or None."""
        return next((curve for curve in self.curves if curve.tier == tier), None)


def fit(outcomes: Iterable[Outcome], ridge: float = RIDGE, least: int = LEAST) -> WinModel:
    """Curves of all tiers with at least `least` quotes, some won and some lost, whose odds fall with distance. Quotes whose
    numbers are not finite, or whose volatility is not positive, are left out."""
    by_tier: dict[str, list[Outcome]] = {}
    for one in outcomes:
        if isfinite(one.distance_bps) and isfinite(one.notional) and 0 < one.volatility_bps < float("inf"):
            by_tier.setdefault(one.tier, []).append(one)
    curves = []
    for tier, rows in sorted(by_tier.items()):
        won = sum(row.won for row in rows)
        if len(rows) < least or won in (0, len(rows)):
            continue
        b = _falling(rows, ridge)
        if b is not None:
            of = dict(zip(("intercept", "bps", "distance", "size"), b.tolist(), strict=True))
            curves.append(WinCurve(tier=tier, n=len(rows), won=won, **of))
    return WinModel(curves=tuple(curves))


def paid_share(spent: float, charged: Sequence[float]) -> float:
    """What trades cost, as a share of what they were charged beside the markup: `spent` in all, `charged` a trade, in one currency.
    Shrunken to all of it by `LEAST` trades of average charge; between 0 and 1."""
    total = sum(charged)
    if total <= 0:
        return 1.0
    doubt = LEAST * total / len(charged)
    return min(1.0, max(0.0, (spent + doubt) / (total + doubt)))


def _falling(rows: list[Outcome], ridge: float) -> np.ndarray | None:
    """(b₀ … b₃) of least penalised loss with b₁, b₂ ≤ 0; None when the odds do not fall with distance."""
    features = np.array(
        [
            (1.0, one.distance_bps, one.distance_bps / one.volatility_bps, log1p(max(one.notional, 0.0) / NOTIONAL))
            for one in rows
        ]
    )
    won = np.array([one.won for one in rows], dtype=np.float64)
    best: tuple[float, np.ndarray] | None = None
    for kept in ([0, 1, 2, 3], [0, 1, 3], [0, 2, 3]):
        found = newton(features[:, kept], won, ridge)
        if not np.all(found[1:-1] < 0):
            continue
        b = np.zeros(4)
        b[kept] = found
        at = _loss(features, won, b, ridge)
        if best is None or at < best[0]:
            best = at, b
    return None if best is None else best[1]


def _loss(features: np.ndarray, won: np.ndarray, b: np.ndarray, ridge: float) -> float:
    z = features @ b
    return float(np.sum(np.logaddexp(0.0, z) - won * z) + 0.5 * ridge * np.sum(b[1:] * b[1:]))


def newton(features: np.ndarray, won: np.ndarray, ridge: float) -> np.ndarray:
    """argmin_b Σ ln(1 + e^(xb)) − y·xb + ½·ridge·Σ_{j>0} b_j²; the first column of `features` is the intercept's ones."""
    penalty = np.full(features.shape[1], ridge)
    penalty[0] = 0.0

    b = np.zeros(features.shape[1])
    for _ in range(STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(features @ b, -700, 700)))
        gradient = features.T @ (p - won) + penalty * b
        curvature = (features * (p * (1 - p))[:, None]).T @ features + np.diag(penalty + 1e-12)
        step = np.linalg.solve(curvature, gradient)
        before, length = _loss(features, won, b, ridge), 1.0
        while length > 1e-8 and _loss(features, won, b - length * step, ridge) > before:
            length /= 2
        b = b - length * step
        if np.max(np.abs(length * step)) < SETTLED * (1.0 + np.max(np.abs(b))):
            break
    return b


@njit(cache=True, nogil=True)
def tuned_markup(odds: int, slope: int, cost: int, paid: int, floor: int, ceiling: int) -> int:
    """The markup in whole fine ticks between `floor` and `ceiling` that maximises P(cost + m)·(m + what of `cost` is not paid).
    `odds`: at fair, in 1/`ODDS_ONE`; `slope` > 0: what they lose a fine tick, in 1/`SLOPE_ONE`; `cost`: of everything else, fine
    ticks; `paid`: the share of it that the desk pays, in 1/`PAID_ONE`. A cost below nothing is a gift to the client, and paid in full.

    The profit has one peak, so the nearer bound is best when the peak is outside.
    """
    beta, spent = slope / SLOPE_ONE, cost
    if cost > 0:
        spent = cost // PAID_ONE * paid + cost % PAID_ONE * paid // PAID_ONE
    free = (1.0 + omega(odds / ODDS_ONE - beta * spent - 1.0)) / beta - (cost - spent)
    if free >= ceiling:
        return ceiling
    return max(floor, ceil(free))


def loads(text: bytes) -> WinModel:
    """A model from its file; `msgspec.ValidationError` when it is none."""
    model = msgspec.json.decode(text, type=WinModel)
    if not 0 <= model.paid <= 1:
        raise msgspec.ValidationError("win_model: paid is a share, 0 to 1")
    if any(
        max(curve.distance, curve.bps) > 0
        or not curve.distance + curve.bps < 0
        or not isfinite(curve.intercept + curve.size + curve.distance + curve.bps)
        for curve in model.curves
    ):
        raise msgspec.ValidationError("win_model: a curve whose odds do not fall with distance")
    return model
