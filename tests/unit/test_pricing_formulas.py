"""The steps of the waterfall against something that does not share their code: integrals, linear programmes, closed cases."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import log, sqrt
from random import Random

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import linprog
from scipy.stats import beta, norm

from pricing.adverse import adverse_bps
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.credit import credit_bps
from pricing.day_profile import BUCKET_NS, BUCKETS, PRIOR_VISITS, DayProfile
from pricing.haircut import Depth, fill_ratio
from pricing.ladder import Priced, price_quote
from pricing.parameters import PricingParameters
from pricing.scale import Scale
from pricing.volatility import Volatility, observe_all
from pricing.winning import newton

NOW = 10**9
D = Decimal


# ---- sweep and impact ----------------------------------------------------------------------------------------------------


def drawn_book(r: Random) -> tuple[ConsolidatedBook, dict[str, list[list[tuple[float, float]]]], dict[str, float]]:
    """Three venues of ten levels a side, each with its fee; and the same as [bids, asks] of (price, size)."""
    fees = {f"V{v}": r.choice((-0.5, 1.0, 2.5, 10.0)) for v in range(3)}
    terms = [
        VenueTerms(
            venue=venue,
            taker_fee_bps=D(str(fee)),
            tick=D("0.01"),
            lot=D("0.0001"),
            price_decimals=2,
            size_decimals=4,
            max_age_ns=NOW,
        )
        for venue, fee in fees.items()
    ]
    book = ConsolidatedBook("ETH/USDT", Scale("ETH/USDT", 2, 4), terms)
    levels: dict[str, list[list[tuple[float, float]]]] = {}
    for venue in fees:
        rows, mid = [], 260_000 + r.randint(-20, 20)
        for side in (1, -1):
            at = mid - side * r.randint(1, 30)
            for _ in range(10):
                rows.append((side, at, r.randint(1, 90_000)))
                at -= side * r.randint(1, 60)
        book.apply(venue, np.array(rows, dtype=np.int64), True, NOW)
        levels[venue] = [[(p / 100, n / 1e4) for side, p, n in rows if side == which] for which in (1, -1)]
    return book, levels, fees


def cheapest(levels: list[tuple[float, float]], quantity: float, sign: int) -> float:
    """All-in average of the cheapest way to trade `quantity` from (all-in price, size), as a linear programme."""
    solved = linprog(
        [sign * price for price, _ in levels],
        A_eq=[[1.0] * len(levels)],
        b_eq=[quantity],
        bounds=[(0.0, size) for _, size in levels],
        method="highs",
    )
    assert solved.status == 0
    return float(sign * solved.fun / quantity)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_sweep_and_impact_are_linear_programmes_over_displayed_and_real_depth(seed: int, side: str) -> None:
    r = Random(seed)
    book, levels, fees = drawn_book(r)
    sign, which = (1, 1) if side == "buy" else (-1, 0)
    known = {venue: Depth(r.uniform(0.1, 1.0), r.choice((3.0, 200.0)), r.choice((0, 300_000))) for venue in fees}
    parameters = PricingParameters(fill_ratio=r.choice((0.4, 0.9, 1.0)), max_deviation_bps=D(2000), impact_bps=D(3))
    displayed, real = [], []
    for venue, fee in fees.items():
        ratio = fill_ratio(parameters, venue, known)
        for price, size in levels[venue][which]:
            displayed.append((price * (1 + sign * fee * 1e-4), size))
            real.append((price * (1 + sign * fee * 1e-4), size * ratio))
    whole = sum(size for _, size in displayed)
    worst = max(displayed, key=lambda level: sign * level[0])[0]
    for part in (0.02, 0.3, 0.999):
        quantity = D(round(whole * part * 1e4)).scaleb(-4)
        priced = price_quote(
            book,
            side=side,
            quantity=quantity,
            now_ns=NOW,
            ttl_ms=0,
            inventory=D(0),
            band=D(0),
            volatility=0.0,
            tier="standard",
            parameters=parameters,
            tick=D("0.01"),
            fill_ratios=known,
        )
        assert isinstance(priced, Priced)
        steps, fair = dict(priced.waterfall), float(priced.fair)
        shown = cheapest(displayed, float(quantity), sign)
        likely = cheapest(
            [*real, (worst, 1e9)], float(quantity), sign
        )  # beyond what is real: the worst displayed price
        assert float(steps["sweep"]) == pytest.approx(shown - fair, abs=2e-6 * fair * 1e-4 + 1e-5)
        root = 3e-4 * fair * sqrt(float(quantity) / whole)
        # a level is real in whole lots: at most 30 of them are cut by one, and taken at the worst price instead
        cut = 30 * 1e-4 / float(quantity) * abs(worst - levels["V0"][which][0][0]) * 1.5
        assert float(steps["impact"]) == pytest.approx(likely - shown + sign * root, abs=cut + 1e-5)


def test_the_square_root_law_by_hand() -> None:
    """A quarter of what is displayed costs half of what all of it does."""
    book = ConsolidatedBook("ETH/USDT", Scale("ETH/USDT", 2, 4), [drawn_book(Random(1))[0].terms("V0")])
    book.apply("V0", np.array([(1, 99_999, 4 * 10**4), (-1, 100_001, 4 * 10**4)], dtype=np.int64), True, NOW)
    for quantity, bps in ((D(1), 5), (D(4), 10), (D("0.04"), 1)):
        priced = price_quote(
            book,
            side="buy",
            quantity=quantity,
            now_ns=NOW,
            ttl_ms=0,
            inventory=D(0),
            band=D(0),
            volatility=0.0,
            tier="standard",
            parameters=PricingParameters(fill_ratio=1.0, impact_bps=D(10)),
            tick=D("0.01"),
        )
        assert isinstance(priced, Priced) and priced.fair == 1000
        assert dict(priced.waterfall)["impact"] == D(bps) / 10


# ---- what is learnt, shrunk ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mean", "n"), [(-3.0, 7.0), (-0.5, 120.0), (-11.0, 900.0), (-1.0, 0.5)])
def test_the_adverse_charge_is_the_posterior_mean_of_a_normal_prior(mean: float, n: float) -> None:
    """Summed up over a grid: markouts of spread s, the tier's mean μ known as well as n₀ trades would tell it."""
    prior_n, mu, s = 50.0, 1.4, 6.0
    parameters = PricingParameters(adverse_tier_bps={"gold": D(str(mu))}, adverse_prior_n=prior_n)

    low, high = min(mu, -mean) - 4, max(mu, -mean) + 4
    grid = np.linspace(low, high, 40_001)
    told = norm.logpdf(grid, mu, s / sqrt(prior_n)) + norm.logpdf(-mean, grid, s / sqrt(n))
    weights = np.exp(told - np.max(told))
    expected = float(
        np.sum(grid * weights) / np.sum(weights)
    )  # a sum over an even grid is exact enough for a bell curve
    assert float(adverse_bps(parameters, "gold", (mean, n))) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("filled", "n"), [(0.2, 4.0), (0.95, 60.0), (0.5, 1000.0)])
def test_the_fill_ratio_is_the_posterior_mean_of_a_beta_prior(filled: float, n: float) -> None:
    parameters = PricingParameters(fill_ratio=0.8, fill_prior_n=20.0)
    prior, total = beta(0.8 * 20, 0.2 * 20), 0.0

    def weight(x: float) -> float:
        return float(prior.pdf(x) * x ** (n * filled) * (1 - x) ** (n * (1 - filled)) / top)

    top = 1.0
    grid = np.linspace(1e-4, 1 - 1e-4, 2001)
    top = max(weight(float(x)) for x in grid)
    total = quad(weight, 0, 1, limit=400, points=[filled])[0]
    expected = quad(lambda x: x * weight(x), 0, 1, limit=400, points=[filled])[0] / total
    assert fill_ratio(parameters, "V", {"V": Depth(filled, n)}) == pytest.approx(expected, rel=1e-4)
    assert fill_ratio(parameters, "V", {"V": Depth(filled, n, 250_000)}) == pytest.approx(0.75 * expected, rel=1e-4)


def test_credit_against_fractions() -> None:
    for days, funding, line, fixed, used in ((0.0, 500, 5, 1, 0.0), (1.0, 730, 30, 0, 0.25), (30.0, 365, 7, 2, 1.0)):
        parameters = PricingParameters(
            credit_bps=D(fixed),
            settlement_days=days,
            funding_bps_per_year=D(funding),
            utilisation_bps=D(line),
        )
        exact = fixed + Fraction(days) / 365 * funding + Fraction(used) * line
        assert abs(Fraction(credit_bps(parameters, used)) - exact) <= Fraction(1, 20_000)


def test_a_logistic_fit_of_two_groups_is_their_log_odds() -> None:
    """The one case with a closed form: a saturated model. Without a penalty on it, the slope is the log odds ratio."""
    x = np.column_stack([np.ones(1000), np.repeat([0.0, 1.0], [600, 400])])
    won = np.concatenate([np.arange(600) < 450, np.arange(400) < 90]).astype(float)
    intercept, slope = newton(x, won, 0.0)
    assert intercept == pytest.approx(log(450 / 150), abs=1e-9)
    assert slope == pytest.approx(log(90 / 310) - log(450 / 150), abs=1e-9)


# ---- volatility ----------------------------------------------------------------------------------------------------------


def test_jumps_of_known_size_are_told_apart_from_the_diffusion() -> None:
    """60 % a year seen through 0.2 bp of noise, and eight jumps of 12 bp an hour: bipower reads the 60 %, the grid's variance reads
    both, and the jump share is Σ J² over all. 20 hours."""
    sigma, step_ns, n = 0.6 / sqrt(365.25 * 86_400), 100_000_000, 36_000
    bipower, whole, share = [], [], []
    for seed in range(20):
        dice = np.random.default_rng(seed)
        path = np.cumsum(dice.normal(0.0, sigma * sqrt(0.1), n))
        at = dice.choice(np.arange(100, n - 100), 8, replace=False)
        for jump, sign in zip(at, dice.choice([-1.0, 1.0], 8), strict=True):
            path[jump:] += sign * 12e-4
        v = Volatility(1e12, 0.0, short_s=1e12)
        observe_all(v.state, NOW, step_ns, np.exp(path + dice.normal(0.0, 0.2e-4, n)) * 60_000)
        bipower.append(v.bipower / sigma)
        whole.append(v.short / sigma)
        share.append(v.jump_share)
    jumped = 8 * 12e-4**2
    diffused = sigma**2 * n * 0.1
    assert np.mean(whole) == pytest.approx(sqrt(1 + jumped / diffused), rel=0.03)
    assert 0.97 < np.mean(bipower) < 1.12 < np.mean(whole)  # a jump beside a move still counts a little
    assert np.mean(share) == pytest.approx(jumped / (jumped + diffused), abs=0.08)


def test_the_day_profile_by_hand() -> None:
    """Two days of which the third half hour was four times as lively: f = (n·v/v̄ + n₀)/(n + n₀), scaled to a mean of 1."""
    profile = DayProfile()
    for day in range(2):
        for bucket in range(4):
            ts = (day * BUCKETS + bucket) * BUCKET_NS
            profile.observe(ts, (4e-9 if bucket == 2 else 1e-9) * 600, 600.0)
    profile.observe(10 * BUCKETS * BUCKET_NS, 0.0, 1.0)  # ends the last visit
    mean = Fraction(1 + 1 + 4 + 1, 4)
    raw = [Fraction(1)] * BUCKETS
    for bucket, v in enumerate((1, 1, 4, 1)):
        raw[bucket] = (2 * v / mean + int(PRIOR_VISITS)) / (2 + int(PRIOR_VISITS))
    level = sum(raw) / BUCKETS
    for bucket in (0, 1, 2, 3, 20):
        middle = bucket * BUCKET_NS + BUCKET_NS // 2
        assert profile.pace(middle) == pytest.approx(float(raw[bucket] / level), rel=1e-9)
    between = profile.pace(2 * BUCKET_NS)  # half way from the middle of the second half hour to that of the third
    assert between == pytest.approx(float((raw[1] + raw[2]) / level / 2), rel=1e-9)
