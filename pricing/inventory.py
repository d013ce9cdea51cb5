"""Inventory control after Barzykin–Bergault–Guéant: what a position is worth, how it moves quotes, when to hedge it.

The dealer of arXiv:2112.02269 (tiers × ladder × hedging rate) and arXiv:2106.06974 (the same control, with its published
example): clients of tier n ask for size z at rate λ_n(z) a side and trade with probability f_n(δ) = 1/(1 + e^(α_n + β_n δ))
when quoted δ from the reference price; the dealer may hedge at rate v for L(v) = ηv² + ψ|v| and moves the price by k·v;
inventory q costs γσ²q²/2 a day. The stationary value θ and the gain g a day solve

    g = −γσ²q²/2 + Σ_n,z λ_n(z)·z·[H_n((θ(q) − θ(q+z))/z) + H_n((θ(q) − θ(q−z))/z)] + 𝓗(θ'(q) + kq)
    H_n(p) = sup_δ f_n(δ)(δ − p) = W(e^−(1+α+βp))/β  at  δ* = p + (1 + W)/β        (W: Lambert)
    𝓗(p) = (|p| − ψ)₊²/4η  at  v* = sign(p)(|p| − ψ)₊/2η: no hedging while |θ'(q) + kq| ≤ ψ (pure internalisation)

Solved on a grid by Howard's policy iteration with upwind differences (a monotone scheme). Hedging never adds to the inventory:
where hedges are cheap and move the price, the equation would else pay for moving it. Units: inventory and sizes as parts
of the hard band, prices in bps, time in days; so θ is in bps × band. No trade beyond ±1 band is admitted.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, exp, gcd, log, sqrt

import msgspec
import numpy as np
import numpy.typing as npt
from numba import njit

from pricing.parameters import Flow

Floats = npt.NDArray[np.float64]

GRID = 201  # points from −1 to +1 band
ROUNDS = 100  # policy iterations at most; a dozen are usual
SETTLED = 1e-9  # bps × band
DAY_S = 86_400.0


@njit(cache=True, nogil=True)
def omega(x: float) -> float:
    """W(eˣ), the w > 0 with w + ln w = x, by Newton on y = ln w: any finite x, to the last digits."""
    y = x if x < 1.0 else log(x)
    for _ in range(40):
        e = exp(y)
        step = (y + e - x) / (1.0 + e)
        y -= step
        if abs(step) <= 1e-15 * (1.0 + abs(y)):
            break
    return exp(y)


@njit(cache=True, nogil=True)
def best_distance(p: float, alpha: float, beta: float) -> float:
    """δ* = argmax_δ (δ − p)/(1 + e^(α + βδ)): the best distance when a trade costs `p`. Same unit as p and 1/β."""
    return p + (1.0 + omega(-(1.0 + alpha + beta * p))) / beta


@njit(cache=True, nogil=True)
def at(theta: Floats, q: float) -> float:
    """θ at `q` (band), linear between grid points, and on with the last slope beyond ±1."""
    last = theta.shape[0] - 1
    place = (q + 1.0) * 0.5 * last
    low = min(max(int(place), 0), last - 1)
    part = place - low
    return theta[low] + part * (theta[low + 1] - theta[low])


@njit(cache=True, nogil=True)
def quote_distance(theta: Floats, q: float, size: float, side: int, alpha: float, beta: float) -> float:
    """δ(tier, size, q), bps from the reference price, of the dealer's bid (side 0) or ask (side 1); it may be negative."""
    after = q - size if side == 1 else q + size
    return best_distance((at(theta, q) - at(theta, after)) / size, alpha, beta)


@njit(cache=True, nogil=True)
def _improve(theta: Floats, flow: Floats, costs: Floats, rates: Floats, gain: Floats, drift: Floats) -> None:
    """The best controls against θ. `flow`: rows (size, rate a side, α, β). `costs`: γσ², ψ, η, k.

    Fills `rates` (q × row × side: trades a day), `gain` (q: reward a day) and `drift` (q: hedging, band a day, signed).
    """
    n = theta.shape[0]
    dx = 2.0 / (n - 1)
    penalty, psi, eta, impact = costs[0], costs[1], costs[2], costs[3]
    for i in range(n):
        q = -1.0 + i * dx
        reward = -0.5 * penalty * q * q
        for row in range(flow.shape[0]):
            size, rate, alpha, beta = flow[row, 0], flow[row, 1], flow[row, 2], flow[row, 3]
            for side in range(2):
                rates[i, row, side] = 0.0
                after = q - size if side == 1 else q + size
                if abs(after) <= 1.0 + 1e-12:
                    distance = best_distance((theta[i] - at(theta, after)) / size, alpha, beta)
                    trades = rate / (1.0 + exp(alpha + beta * distance))
                    rates[i, row, side] = trades
                    reward += trades * size * distance
        drift[i] = 0.0
        if i < n // 2:
            drift[i] = max(0.0, (theta[i + 1] - theta[i]) / dx + impact * q - psi) / (2.0 * eta)
        elif i > n // 2:
            drift[i] = -max(0.0, (theta[i - 1] - theta[i]) / dx - impact * q - psi) / (2.0 * eta)
        gain[i] = reward + drift[i] * impact * q - eta * drift[i] * drift[i] - psi * abs(drift[i])


@njit(cache=True, nogil=True)
def _generator(flow: Floats, rates: Floats, drift: Floats, band: Floats) -> None:
    """The chain that the controls make of the inventory, as a matrix on θ, by diagonals: `band[i, w + j − i]` is entry (i, j).
    A size between grid points goes to both."""
    n, w = drift.shape[0], band.shape[1] // 2
    dx = 2.0 / (n - 1)
    band[:, :] = 0.0
    for i in range(n):
        q = -1.0 + i * dx
        for row in range(flow.shape[0]):
            for side in range(2):
                rate = rates[i, row, side]
                if rate > 0.0:
                    after = q - flow[row, 0] if side == 1 else q + flow[row, 0]
                    place = (after + 1.0) * 0.5 * (n - 1)
                    low = min(max(int(place), 0), n - 2)
                    part = min(max(place - low, 0.0), 1.0)
                    band[i, w + low - i] += rate * (1.0 - part)
                    band[i, w + low + 1 - i] += rate * part
                    band[i, w] -= rate
        if drift[i] > 0.0:
            band[i, w + 1] += drift[i] / dx
            band[i, w] -= drift[i] / dx
        elif drift[i] < 0.0:
            band[i, w - 1] -= drift[i] / dx
            band[i, w] += drift[i] / dx


@njit(cache=True, nogil=True)
def _value(band: Floats, gain: Floats, one: Floats, found: Floats) -> float:
    """Solve (chain)·θ + reward = g with θ(0) = 0; `found` gets θ, the result is g. `band` is used up.

    With the row of no inventory set to θ = 0 the matrix is that of a chain that stops there, so elimination without pivots is
    stable (an M-matrix) and stays within the band: θ = x + g·y for (chain)x = −reward and (chain)y = 1, and that row gives g.
    """
    n, w = gain.shape[0], band.shape[1] // 2
    middle = n // 2
    kept = band[middle].copy()
    reward = gain[middle]
    for i in range(n):
        found[i], one[i] = -gain[i], 1.0
    band[middle, :] = 0.0
    band[middle, w] = 1.0
    found[middle] = one[middle] = 0.0
    for i in range(n):
        for k in range(i + 1, min(n, i + w + 1)):
            if band[k, w + i - k] != 0.0:
                factor = band[k, w + i - k] / band[i, w]
                for j in range(i, min(n, i + w + 1)):
                    band[k, w + j - k] -= factor * band[i, w + j - i]
                found[k] -= factor * found[i]
                one[k] -= factor * one[i]
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, min(n, i + w + 1)):
            found[i] -= band[i, w + j - i] * found[j]
            one[i] -= band[i, w + j - i] * one[j]
        found[i] /= band[i, w]
        one[i] /= band[i, w]
    flow_x = flow_y = 0.0
    for j in range(max(0, middle - w), min(n, middle + w + 1)):
        flow_x += kept[w + j - middle] * found[j]
        flow_y += kept[w + j - middle] * one[j]
    g = (flow_x + reward) / (1.0 - flow_y)
    for i in range(n):
        found[i] += g * one[i]
    return g


@njit(cache=True, nogil=True)
def _iterate(theta: Floats, flow: Floats, costs: Floats, drift: Floats, w: int) -> tuple[float, float]:
    """Howard's iteration from θ on, in place: (gain a day, last move of θ). It has settled when that is small."""
    n = theta.shape[0]
    rates, gain = np.zeros((n, flow.shape[0], 2)), np.zeros(n)
    band, one, found = np.zeros((n, 2 * w + 1)), np.zeros(n), np.zeros(n)
    daily = moved = 0.0
    for _ in range(ROUNDS):
        _improve(theta, flow, costs, rates, gain, drift)
        _generator(flow, rates, drift, band)
        daily = _value(band, gain, one, found)
        moved = most = 0.0
        for i in range(n):
            moved = max(moved, abs(found[i] - theta[i]))
            most = max(most, abs(found[i]))
            theta[i] = found[i]
        if not moved > SETTLED * (1.0 + most):
            break
    _improve(theta, flow, costs, rates, gain, drift)
    return daily, moved


class Control(msgspec.Struct, frozen=True):
    """A solved model: `theta` on the grid (0 at no inventory), `gain` in bps × band a day, `drift`: hedging, band a day."""

    flow: Flow
    theta: Floats
    gain: float
    drift: Floats

    def distance(self, tier: str, size: float, q: float, side: int) -> float:
        """δ(tier, size, q) in bps: the dealer's bid (side 0) is at reference − δ, its ask (side 1) at reference + δ."""
        curve = self.flow.tier(tier)
        return float(quote_distance(self.theta, q, size, side, curve.alpha, curve.beta_per_bps))

    def hedge_rate(self, q: float) -> float:
        """Best hedging at inventory `q`, band a second, signed (positive buys); 0 inside the no-hedge zone."""
        return float(at(self.drift, q)) / DAY_S

    @property
    def no_hedge_zone(self) -> float:
        """The largest inventory (part of the band) up to which it is best to wait for clients; 1.0: always."""
        half = self.theta.shape[0] // 2
        hedged = np.flatnonzero(self.drift[half:] < 0.0)
        return 1.0 if len(hedged) == 0 else max(0.0, float(hedged[0] - 1) / half)


def rows_of(flow: Flow) -> Floats:
    """(size, requests a day and side, α, β) for every tier × size."""
    rows = [
        (size, flow.requests_per_day * tier.share * share, tier.alpha, tier.beta_per_bps)
        for tier in flow.tiers
        for size, share in zip(flow.sizes, flow.size_shares, strict=True)
    ]
    return np.array(rows, dtype=np.float64)


def curvature(flow: Flow, sigma_bps_day: float) -> float:
    """a of the quadratic approximation θ(q) ≈ −a·q² of a dealer who never hedges: bps a band.

    H(p) ≈ H(0) + H'(0)p + ½H''(0)p² turns the equation into γσ²/2 = 4a²·Σ λ z H''(0) in its q² terms (arXiv:2207.04100, one
    currency). With w = W(e^−(1+α)): H'(p) = −w/(1+w), H''(0) = β·w/(1+w)³.
    """
    total = 0.0
    for size, rate, alpha, beta in rows_of(flow).tolist():
        w = omega(-(1.0 + alpha))
        total += rate * size * beta * w / (1.0 + w) ** 3
    return sigma_bps_day * sqrt(flow.risk_aversion / (8.0 * total))


def solve(flow: Flow, sigma_bps_day: float, grid: int = GRID) -> Control:
    """Solve for the stationary controls at volatility σ (bps per √day). Some milliseconds; `ArithmeticError` if it does not
    settle. When all sizes are multiples of some steps of the grid, the grid is made as coarse as that: trades would never
    lead from one inventory to the ones between, and each set of them would have a gain of its own."""
    rows = rows_of(flow)
    half = grid // 2
    steps = gcd(*(max(1, round(size * half)) for size in flow.sizes))
    grid = 2 * round(half / steps) + 1
    q = np.linspace(-1.0, 1.0, grid)
    costs = np.array(
        [flow.risk_aversion * sigma_bps_day**2, flow.hedge_cost_bps, flow.hedge_impact, flow.permanent_impact_bps]
    )
    theta, drift = -curvature(flow, sigma_bps_day) * q * q, np.zeros(grid)
    daily, moved = _iterate(theta, rows, costs, drift, ceil(max(flow.sizes) * (grid // 2)) + 1)
    if not moved <= 1e3 * SETTLED * (1.0 + float(np.max(np.abs(theta)))):
        raise ArithmeticError(f"inventory control did not settle in {ROUNDS} rounds (last move {moved})")
    return Control(flow=flow, theta=theta, gain=daily, drift=drift)


@lru_cache(maxsize=64)
def _solved(flow: Flow, octave: int) -> Control:
    return solve(flow, 2.0 ** (octave / 4.0))


def control(flow: Flow, sigma_per_sqrt_s: float) -> Control:
    """The solution at volatility σ (relative, per √s), on a grid of quarter octaves: solved once for each, then kept."""
    bps_day = max(sigma_per_sqrt_s, 1e-9) * 1e4 * sqrt(DAY_S)
    return _solved(flow, round(4.0 * log(bps_day) / log(2.0)))
