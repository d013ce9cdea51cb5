"""Inventory control and skew: against published figures, an independent solution of the same equation, and closed cases."""

from __future__ import annotations

from math import exp, log, sqrt

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import minimize_scalar
from scipy.special import wrightomega

from pricing.inventory import DAY_S, Control, best_distance, control, curvature, omega, solve
from pricing.parameters import Flow, PricingParameters, TierFlow
from pricing.skew import exponential_flow, glft, glft_slope, skew

# The dealer of arXiv:2106.06974, section 4.1, with a band of 100 M$: γ = 0.0005/bps/M$, η = 1e-5 bps·day/M$, k = 0.005 bps/M$
PUBLISHED = Flow(
    requests_per_day=1000.0,
    sizes=(0.01, 0.05, 0.1, 0.2),
    size_shares=(0.76, 0.15, 0.075, 0.015),
    tiers=(TierFlow(tier="all", alpha=-1.0, beta_per_bps=10.0),),
    risk_aversion=0.05,
    hedge_cost_bps=0.2,
    hedge_impact=1e-3,
    permanent_impact_bps=0.5,
)
SIGMA = 50.0  # bps per √day
BAND = 100.0  # M$
# The two tiers that arXiv:2112.02269 fits to EURUSD clients
TIERED = msgspec.structs.replace(
    PUBLISHED,
    tiers=(
        TierFlow(tier="calm", share=0.5, alpha=-0.3, beta_per_bps=5.0),
        TierFlow(tier="keen", share=0.5, alpha=-1.9, beta_per_bps=15.0),
    ),
)


def changed(**fields: float) -> Control:
    return solve(msgspec.structs.replace(PUBLISHED, **fields), SIGMA)


def test_lambert_of_any_argument() -> None:
    for x in (-800.0, -30.0, -1.0, 0.0, 0.3, 1.0, 5.0, 700.0, 1e6):
        assert omega(x) == pytest.approx(float(wrightomega(x).real), rel=1e-13)


@pytest.mark.parametrize(("alpha", "beta"), [(-1.0, 10.0), (-0.3, 0.5), (2.0, 3.0)])
def test_the_best_distance_maximises_expected_gain(alpha: float, beta: float) -> None:
    for p in (-3.0, -0.1, 0.0, 0.7, 4.0):
        found = minimize_scalar(
            lambda d, p=p: -(d - p) / (1 + exp(alpha + beta * d)), bounds=(p, p + 40 / beta), method="bounded"
        )
        gain = (best_distance(p, alpha, beta) - p) / (1 + exp(alpha + beta * best_distance(p, alpha, beta)))
        assert gain == pytest.approx(-found.fun, rel=1e-9)
        assert gain == pytest.approx(omega(-(1 + alpha + beta * p)) / beta, rel=1e-12)  # H(p)


def test_the_published_dealer() -> None:
    """Section 4.2: 0.32 bps of spread for 1 M$; figures 1 and 4: θ from about 10 down to about −50 at ±100 M$ after T = 0.05
    days; figure 2: about 0.2 M$/s of hedging at the limits and a plateau around zero."""
    solved = solve(PUBLISHED, SIGMA)
    assert 2 * solved.distance("all", 0.01, 0.0, 1) == pytest.approx(0.32, abs=0.005)
    top = solved.gain * 0.05 * BAND
    assert 9 < top < 12 and -55 < top + solved.theta[0] * BAND < -45
    assert 0.2 < -solved.hedge_rate(1.0) * BAND < 0.25 and 5 < solved.no_hedge_zone * BAND < 50
    quotes = [solved.distance("all", 0.01, q, 1) for q in (-0.75, 0.75)]
    assert -0.25 < quotes[1] < 0.0 and 0.75 < quotes[0] < 1.0  # figure 3


def test_published_comparative_statics_of_the_no_hedge_zone() -> None:
    """Figures 5 to 8: costs, impact and a larger franchise widen it, risk aversion narrows it; the rates at the limits."""
    base = solve(PUBLISHED, SIGMA).no_hedge_zone
    assert changed(hedge_cost_bps=0.4).no_hedge_zone > base
    assert changed(permanent_impact_bps=1.0).no_hedge_zone > base
    averse, large = changed(risk_aversion=0.5), changed(requests_per_day=3000.0)
    assert averse.no_hedge_zone < base < large.no_hedge_zone
    assert 0.75 < -averse.hedge_rate(1.0) * BAND < 0.95  # figure 7's axis: 0.75 M$/s and a little
    assert 0.12 < -large.hedge_rate(1.0) * BAND < 0.16  # figure 8's: 0.15


def independent(flow: Flow, sigma: float, days: float, step: float, n: int = 101) -> np.ndarray:
    """θ(0, ·) of the finite-horizon equation by explicit steps back in time: distances from a table, no closed form of H, the
    rate of hedging from a table too, sizes as whole grid steps. Shares nothing with `pricing.inventory`."""
    q = np.linspace(-1.0, 1.0, n)
    dx = q[1] - q[0]
    table = {}
    for tier in flow.tiers:
        d = np.linspace(-3.0, 3.0, 12_001)
        f = 1.0 / (1.0 + np.exp(tier.alpha + tier.beta_per_bps * d))
        p = np.linspace(-1.5, 1.5, 3001)
        table[tier.tier] = p, np.array([np.max(f * (d - x)) for x in p])
    rates = np.linspace(0.0, 300.0, 301)
    theta = np.zeros(n)
    for _ in range(round(days / step)):
        change = -0.5 * flow.risk_aversion * sigma**2 * q * q
        for tier in flow.tiers:
            p, gain = table[tier.tier]
            for size, share in zip(flow.sizes, flow.size_shares, strict=True):
                shift = round(size / dx)
                weight = flow.requests_per_day * tier.share * share * size
                change[:-shift] += weight * np.interp((theta[:-shift] - theta[shift:]) / size, p, gain)
                change[shift:] += weight * np.interp((theta[shift:] - theta[:-shift]) / size, p, gain)
        slope = np.diff(theta) / dx
        up = np.append(slope, -np.inf) + flow.permanent_impact_bps * q
        down = np.insert(slope, 0, np.inf) + flow.permanent_impact_bps * q
        cost = flow.hedge_impact * rates**2 + flow.hedge_cost_bps * rates
        with np.errstate(invalid="ignore"):
            buy = np.nan_to_num(np.max(rates * up[:, None] - cost, axis=1), nan=0.0, neginf=0.0)
            sell = np.nan_to_num(np.max(-rates * down[:, None] - cost, axis=1), nan=0.0, neginf=0.0)
        theta = theta + step * (change + np.maximum(buy, sell))
    return theta


@pytest.mark.parametrize("flow", [PUBLISHED, TIERED], ids=["published", "two tiers"])
def test_an_independent_solution_agrees(flow: Flow) -> None:
    flow = msgspec.structs.replace(flow, sizes=(0.02, 0.06, 0.1, 0.2))
    theta = independent(flow, SIGMA, days=0.05, step=1e-4)
    solved = solve(flow, SIGMA, grid=101)
    shape = theta - theta[50]
    assert np.max(np.abs(solved.theta - shape)) < 0.01 * np.max(np.abs(shape))
    assert np.max(np.abs(solved.theta - shape)[30:71]) < 0.002
    # what the desk uses of it: where hedging begins, and what quotes move by
    q = np.linspace(-1.0, 1.0, 101)
    price = np.abs(np.diff(theta) / (q[1] - q[0]) + flow.permanent_impact_bps * (q[1:] + q[:-1]) / 2)
    assert abs(q[50 + int(np.argmax(price[50:] > flow.hedge_cost_bps))] - solved.no_hedge_zone) < 0.041
    for tier in flow.tiers:
        for size, at in ((0.1, 50), (0.02, 65), (0.2, 40)):
            cost = (theta[at] - theta[at - round(size * 50)]) / size
            far = np.linspace(-3.0, 3.0, 60_001)
            best = far[np.argmax((far - cost) / (1.0 + np.exp(tier.alpha + tier.beta_per_bps * far)))]
            assert solved.distance(tier.tier, size, q[at], 1) == pytest.approx(best, abs=0.004)
    later = independent(flow, SIGMA, days=0.0510, step=1e-4)
    assert (later[50] - theta[50]) / 0.001 == pytest.approx(solved.gain, rel=0.01)


def test_quotes_are_symmetric_ordered_and_monotone() -> None:
    solved = solve(TIERED, SIGMA)
    assert np.allclose(solved.theta, solved.theta[::-1], atol=1e-9) and np.all(np.diff(solved.theta[100:]) < 0)
    inventories = np.linspace(-0.9, 0.9, 37)
    for tier in ("calm", "keen"):
        for size in TIERED.sizes:
            asks = [solved.distance(tier, size, q, 1) for q in inventories]
            bids = [solved.distance(tier, size, q, 0) for q in inventories]
            assert np.all(np.diff(asks) < 1e-9) and np.allclose(asks, bids[::-1], atol=1e-9)
            assert all(ask + bid > 0 for ask, bid in zip(asks, bids, strict=True))
        flat = [solved.distance(tier, size, 0.0, 1) for size in TIERED.sizes]
        assert flat == sorted(flat)
    assert solved.distance("keen", 0.01, 0.0, 1) < solved.distance("calm", 0.01, 0.0, 1)


def test_hedging_begins_where_its_cost_ends() -> None:
    """|θ'(q) + kq| ≤ ψ is the zone; outside the rate is (|θ' + kq| − ψ)/2η, against the inventory."""
    solved = solve(PUBLISHED, SIGMA)
    q = np.linspace(-1.0, 1.0, 201)
    price = np.gradient(solved.theta, q) + PUBLISHED.permanent_impact_bps * q
    assert np.all((solved.drift == 0) | (np.sign(solved.drift) == -np.sign(q)))
    inside = np.abs(q) <= solved.no_hedge_zone
    assert np.all(solved.drift[inside] == 0) and np.all(solved.drift[~inside] != 0)
    assert np.max(np.abs(price[inside])) < PUBLISHED.hedge_cost_bps + 0.02
    outside = (np.abs(q) > solved.no_hedge_zone + 0.02) & (np.abs(q) < 0.98)
    rate = (np.abs(price) - PUBLISHED.hedge_cost_bps) / (2 * PUBLISHED.hedge_impact)
    assert np.allclose(np.abs(solved.drift)[outside], rate[outside], rtol=0.05, atol=3.0)


def test_a_dealer_who_never_hedges_is_quadratic_near_nothing() -> None:
    flow = msgspec.structs.replace(PUBLISHED, hedge_cost_bps=1e6, risk_aversion=0.002)
    solved = solve(flow, SIGMA)
    assert solved.no_hedge_zone == 1.0 and solved.hedge_rate(0.9) == 0.0
    assert -solved.theta[110] / 0.01 == pytest.approx(curvature(flow, SIGMA), rel=0.03)


def test_units_do_not_matter() -> None:
    """Ten times wider spreads, ten times the volatility and a tenth of the risk aversion per bp: everything in tens of bps."""
    tens = msgspec.structs.replace(
        PUBLISHED,
        tiers=(TierFlow(tier="all", alpha=-1.0, beta_per_bps=1.0),),
        risk_aversion=0.005,
        hedge_cost_bps=2.0,
        hedge_impact=1e-2,
        permanent_impact_bps=5.0,
    )
    small, large = solve(PUBLISHED, SIGMA), solve(tens, 10 * SIGMA)
    assert np.allclose(large.theta, 10 * small.theta, rtol=1e-7, atol=1e-9)
    assert np.allclose(large.drift, small.drift, rtol=1e-6, atol=1e-6)


def test_a_solution_is_kept_for_a_quarter_octave_of_volatility() -> None:
    assert control(Flow(), 6e-5) is control(Flow(), 6.1e-5)
    assert control(Flow(), 6e-5) is not control(Flow(), 9e-5)
    for sigma in (0.0, 1e-6, 1e-3):
        assert control(Flow(), sigma).gain > 0


def exact_glft(sigma: float, gamma: float, a: float, k: float, most: int) -> np.ndarray:
    """Stationary δ_b(q), q = −most … most − 1, of arXiv:1105.3115 from its spectral characterisation: the least eigenvector of
    αq² and the walk η (theorem 2), δ_b = ln(f(q)/f(q+1))/k + ln(1 + γ/k)/γ."""
    q = np.arange(-most, most + 1)
    eta = a * (1 + gamma / k) ** (-(1 + k / gamma))
    _, vectors = eigh_tridiagonal(
        0.5 * k * gamma * sigma**2 * q**2, np.full(2 * most, -eta), select="i", select_range=(0, 0)
    )
    f = np.abs(vectors[:, 0])
    return np.log(f[:-1] / f[1:]) / k + log(1 + gamma / k) / gamma


def test_glft_against_its_spectral_solution_and_the_equation_in_time() -> None:
    sigma, gamma, a, k = 0.3, 0.01, 0.9, 0.3  # the parameters of the paper's figures
    half, slope = glft(sigma, gamma, a, k)
    exact = exact_glft(sigma, gamma, a, k, 30)
    q = np.arange(-30, 30)
    near = np.abs(q + 0.5) < 12
    closed = half + slope * q  # δ_b(q) = c₁ + ½σc₂ + qσc₂
    assert np.max(np.abs(closed - exact)[near]) < 0.03 * np.max(np.abs(exact[near]))
    assert np.diff(exact)[30] == pytest.approx(slope, rel=0.02)
    # and the system of linear equations in time, from v(T) = 1, settles to the same quotes
    states = np.arange(-30, 31)
    eta = a * (1 + gamma / k) ** (-(1 + k / gamma))
    square = 0.5 * k * gamma * sigma**2 * states**2

    def back(_: float, v: np.ndarray) -> np.ndarray:
        near = np.zeros_like(v)
        near[:-1] += v[1:]
        near[1:] += v[:-1]
        return -square * v + eta * near

    v = solve_ivp(back, (0, 600), np.ones(61), rtol=1e-9, atol=1e-30).y[:, -1]
    assert np.allclose(np.log(v[:-1] / v[1:]) / k + log(1 + gamma / k) / gamma, exact, rtol=1e-4, atol=1e-5)


def test_glft_in_its_other_published_form() -> None:
    sigma, gamma, a, k = 0.3, 0.01, 0.9, 0.3
    half, slope = glft(sigma, gamma, a, k)
    expected = sqrt(sigma**2 * gamma / (2 * k * a) * (1 + gamma / k) ** (1 + k / gamma))
    assert slope == pytest.approx(expected) and half == pytest.approx(log(1 + gamma / k) / gamma + expected / 2)


def test_the_exponential_flow_touches_the_logistic_one_where_it_is_best_quoted() -> None:
    single = msgspec.structs.replace(PUBLISHED, sizes=(0.05,), size_shares=(1.0,))
    a, k, size = exponential_flow(single)
    best = best_distance(0.0, -1.0, 10.0)
    f = 1 / (1 + exp(-1 + 10 * best))
    assert size == 0.05 and k == pytest.approx(10 * (1 - f)) and k * best == pytest.approx(1.0)
    assert a * exp(-k * best) == pytest.approx(1000 * f)
    sigma = SIGMA / 1e4 / sqrt(DAY_S)
    hedgeless = solve(msgspec.structs.replace(single, hedge_cost_bps=1e6), SIGMA)
    bbg = hedgeless.distance("all", 0.05, 0.0, 1) - hedgeless.distance("all", 0.05, 0.1, 1)
    assert 0.1 * glft_slope(single, sigma) == pytest.approx(bbg, rel=0.35)  # two models of one dealer


@settings(max_examples=150, deadline=None)
@given(
    model=st.sampled_from(("linear", "glft", "bbg")),
    share=st.floats(-1, 1),
    more=st.floats(0, 1),
    sigma=st.sampled_from((0.0, 2e-5, 1e-4, 5e-4)),
    tier=st.sampled_from(("standard", "silver", "gold", "unknown")),
)
@example(model="bbg", share=0.80078125, more=0.0625, sigma=0.0, tier="standard")
@example(model="bbg", share=0.8046875, more=0.0625, sigma=0.0, tier="standard")
def test_skew_is_against_the_inventory_bounded_and_monotone(
    model: str, share: float, more: float, sigma: float, tier: str
) -> None:
    parameters = PricingParameters(skew_model=model)  # type: ignore[arg-type]
    sizes = (0.0, 0.01, 0.2, 3.0)
    low, high = sorted((share, max(-1.0, min(1.0, share + more))))
    one, two = (skew(parameters, share=q, sigma=sigma, tier=tier, sizes=sizes) for q in (low, high))
    for q, found in ((low, one), (high, two)):
        assert all(shift * q <= 0 and abs(shift) <= 25 for shift in (found.centre, *found.asks, *found.bids))
        mirrored = skew(parameters, share=-q, sigma=sigma, tier=tier, sizes=sizes)
        assert np.allclose(mirrored.bids, [-shift for shift in found.asks], atol=1e-6)
    # Near the band quotes that would pass it are not made, which bends the solution where nothing else moves it.
    bend = {0.0: 0.25, 2e-5: 0.02}.get(sigma, 1e-9) if model == "bbg" else 1e-9
    assert two.centre <= one.centre + bend
    assert all(b <= a + bend for a, b in zip((*one.asks, *one.bids), (*two.asks, *two.bids), strict=True))
    assert skew(parameters, share=0.0, sigma=sigma, tier=tier, sizes=sizes).asks == (0.0,) * 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"sizes": (0.1,)},
        {"sizes": (0.1, 0.2, 0.3, 2.0)},
        {"size_shares": (0.5, 0.5, 0.5, 0.5)},
        {"tiers": ()},
        {"tiers": (TierFlow(tier="a", share=0.4),)},
        {"risk_aversion": 0.0},
        {"hedge_cost_bps": -1.0},
        {"requests_per_day": float("nan")},
    ],
)
def test_a_flow_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"pricing\.flow"):
        Flow(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "flow",
    [
        Flow(),
        Flow(hedge_cost_bps=0.0),
        Flow(hedge_impact=1e-6),
        Flow(requests_per_day=0.1),
        Flow(requests_per_day=1e6),
        Flow(risk_aversion=10.0),
        Flow(sizes=(0.03,), size_shares=(1.0,)),
        Flow(sizes=(1.0,), size_shares=(1.0,)),
    ],
)
def test_any_flow_and_volatility_has_a_solution(flow: Flow) -> None:
    for octave in range(-10, 15, 3):
        theta = solve(flow, 2.0**octave).theta
        assert np.all(np.isfinite(theta)) and np.all(np.diff(theta[len(theta) // 2 :]) <= 1e-9)
