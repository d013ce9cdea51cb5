"""Win probability and the markup tuned by it; adverse selection and credit: against independent fits, closed cases, bounds."""

from __future__ import annotations

import json
from decimal import Decimal
from math import exp, pi, sqrt
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from scipy.integrate import quad
from scipy.optimize import minimize

from desk.ledger import Ledger
from desk.rfq.outcomes import paid
from desk.rfq.records import RfqState
from pricing.adverse import adverse_bps
from pricing.charges import Charges, Client, odds_of, slope_of
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.credit import credit_bps
from pricing.ladder import Priced, price_quote
from pricing.parameters import PricingParameters, SizeBucket
from pricing.scale import Scale
from pricing.winning import PAID_ONE, Outcome, WinCurve, WinModel, fit, loads, newton, paid_share, tuned_markup
from sim.learn.cli import learn
from tests.oracles import ledger_records as make

CURVE = WinCurve(tier="gold", intercept=1.5, distance=-0.8, size=-0.2, n=500, won=200)
D = Decimal


def answered(n: int, seed: int, curve: WinCurve) -> list[Outcome]:
    """Quotes of random distance and size, traded on by chance."""
    r = Random(seed)
    made = []
    for _ in range(n):
        distance, volatility, notional = r.uniform(-1, 8), r.uniform(0.5, 3), 10 ** r.uniform(3, 6)
        won = r.random() < curve.probability(distance, volatility, notional)
        made.append(Outcome(curve.tier, distance, volatility, notional, won))
    return made


@pytest.mark.parametrize("ridge", [0.0, 1.0, 50.0])
def test_newton_finds_what_a_general_minimiser_finds(ridge: float) -> None:
    r = np.random.default_rng(4)
    x = np.column_stack([np.ones(400), r.normal(size=400), r.exponential(size=400)])
    y = (r.random(400) < 1 / (1 + np.exp(-(x @ [0.3, -1.2, 0.5])))).astype(float)

    def loss(b: np.ndarray) -> float:
        return float(np.sum(np.logaddexp(0, x @ b) - y * (x @ b)) + ridge / 2 * (b[1] ** 2 + b[2] ** 2))

    assert np.allclose(newton(x, y, ridge), minimize(loss, np.zeros(3), method="BFGS", tol=1e-10).x, atol=2e-5)


def test_newton_survives_outcomes_that_a_line_separates() -> None:
    x = np.column_stack([np.ones(100), np.linspace(-1, 1, 100)])
    b = newton(x, (x[:, 1] < 0).astype(float), 1.0)
    assert np.all(np.isfinite(b)) and b[1] < -1


def test_a_fit_finds_the_curve_that_made_the_outcomes() -> None:
    (curve,) = fit(answered(20_000, 7, CURVE)).curves
    assert curve.intercept == pytest.approx(1.5, abs=0.15) and curve.distance == pytest.approx(-0.8, abs=0.05)
    assert curve.size == pytest.approx(-0.2, abs=0.04) and curve.n == 20_000


@pytest.mark.parametrize(("bps", "distance"), [(-0.9, 0.0), (0.0, -0.9), (-0.5, -0.4)])
def test_clients_who_do_not_look_at_volatility_are_told_from_those_who_do(bps: float, distance: float) -> None:
    """Learnt while the market was calm, the slope in a wild one is theirs all the same."""
    true = WinCurve(tier="gold", intercept=4.0, bps=bps, distance=distance, size=0.0, n=500, won=200)
    r = Random(11)
    made = []
    for _ in range(6_000):
        d, v = r.uniform(1, 10), r.uniform(0.6, 1.6)
        made.append(Outcome("gold", d, v, 20_000.0, r.random() < true.probability(d, v, 20_000.0)))
    (curve,) = fit(made).curves
    assert curve.bps <= 0 and curve.distance <= 0
    for volatility in (0.7, 1.2, 3.0):
        assert curve.slope(volatility) == pytest.approx(true.slope(volatility), rel=0.15)


def test_what_teaches_nothing_is_left_out() -> None:
    good = answered(200, 1, CURVE)
    odd = [
        Outcome("gold", float("nan"), 1, 1, True),
        Outcome("gold", 1, 0, 1, True),
        Outcome("gold", 1, 1, float("inf"), True),
    ]
    assert fit(good + odd) == fit(good)
    assert fit(good[:49]).curves == ()
    assert fit([msgspec.structs.replace(one, won=True) for one in good]).curves == ()
    backwards = [msgspec.structs.replace(one, distance_bps=-one.distance_bps) for one in good]
    assert fit(backwards).curves == () and fit([]).of("gold") is None


@pytest.mark.parametrize("distance", [-0.05, -0.8, -6.0])
@pytest.mark.parametrize("cost", [-3.0, 0.0, 4.0, 25.0])
@pytest.mark.parametrize("paid", [1.0, 0.3, 0.0])
def test_the_tuned_markup_is_the_best_of_a_grid_of_markups(distance: float, cost: float, paid: float) -> None:
    """P(cost + m)·(m + what of the cost is not paid) for every m of a grid, in bps of 60,000 at 6·10⁶ fine ticks each."""
    curve, bp = msgspec.structs.replace(CURVE, distance=distance), 6e6
    odds, slope = odds_of(curve.odds(0.0, 2.0, 50_000.0)), slope_of(-distance / 2.0, bp)
    for floor, ceiling in ((0.0, 60.0), (0.0, 0.4), (7.0, 60.0)):
        share = round(paid * PAID_ONE)
        best = tuned_markup(odds, slope, round(cost * bp), share, round(floor * bp), round(ceiling * bp)) / bp
        grid = np.linspace(floor, ceiling, 20_001)
        spared = max(cost, 0.0) * (1 - paid)
        profits = [(m + spared) * curve.probability(cost + m, 2.0, 50_000.0) for m in grid]
        assert floor <= best <= ceiling
        assert (best + spared) * curve.probability(cost + best, 2.0, 50_000.0) >= max(profits) * (1 - 1e-9)
        assert best == pytest.approx(grid[int(np.argmax(profits))], abs=1.01 * (ceiling - floor) / 20_000)


def test_the_share_of_costs_that_is_paid_is_doubted_until_there_are_many_trades() -> None:
    assert paid_share(0.0, []) == 1.0
    assert paid_share(30.0, [1.0] * 100) == pytest.approx((30 + 50) / 150)
    assert paid_share(30_000.0, [1.0] * 100_000) == pytest.approx(0.3, abs=1e-3)
    assert paid_share(-500.0, [1.0] * 100) == 0.0 and paid_share(500.0, [1.0] * 100) == 1.0


VENUE = VenueTerms(
    venue="V",
    taker_fee_bps=D(0),
    tick=D("0.01"),
    lot=D("0.00000001"),
    price_decimals=2,
    size_decimals=8,
    max_age_ns=10**9,
)


def charges(parameters: PricingParameters, tier: str = "gold", win: WinModel | None = None) -> Charges:
    return Charges(
        Scale("BTC/USDT", 2, 8),
        fair=D(60_000),
        ttl_ms=2000,
        inventory=D(0),
        band=D(10),
        volatility=2e-5,
        client=Client(tier),
        parameters=parameters,
        tick=D("0.01"),
        win=win,
    )


def bps_of(one: Charges, cost_bps: float = 1.0) -> tuple[float, str]:
    """The markup of one coin whose price without it is so far from fair."""
    markup, why = one.markup(D(1), round(cost_bps * one.bp))
    return round(markup / one.bp, 6), why


def test_the_markup_is_tuned_only_behind_its_flag_and_says_so() -> None:
    model = WinModel(curves=(CURVE,))
    tuned = PricingParameters(tune_markup=True, markup_floor_bps=D("0.3"), markup_ceiling_bps=D(4))
    assert bps_of(charges(PricingParameters(), win=model)) == (0.6, "gold 0.6 bps")
    bps, why = bps_of(charges(tuned, win=model))
    assert 0.3 <= bps <= 4 and bps != 0.6 and "tuned on 500 quotes" in why
    assert bps_of(charges(tuned, tier="silver", win=model))[0] == 1.2  # no curve: its listed markup
    low = PricingParameters(tune_markup=True, markup_floor_bps=D(9), markup_ceiling_bps=D(9))
    assert bps_of(charges(low, win=model))[0] == 9


def test_the_tuned_markup_counts_all_that_the_client_pays_not_the_charges_alone() -> None:
    """A dearer sweep leaves less to earn: the client looks at the whole distance from fair."""
    tuned = charges(PricingParameters(tune_markup=True, markup_ceiling_bps=D(40)), win=WinModel(curves=(CURVE,)))
    markups = [bps_of(tuned, cost)[0] for cost in (0.0, 2.0, 5.0, 10.0)]
    assert markups == sorted(markups, reverse=True) and markups[0] > 1.5 * markups[-1]
    book = ConsolidatedBook("BTC/USDT", Scale("BTC/USDT", 2, 8), [VENUE])
    book.apply("V", np.array([(1, 5_999_900, 10**10), (-1, 6_000_100, 10**10)], dtype=np.int64), True, 1)
    quoted = {}
    for fee in (D(0), D(10)):
        book.set_terms(msgspec.structs.replace(VENUE, taker_fee_bps=fee))
        priced = price_quote(
            book,
            side="buy",
            quantity=D(1),
            now_ns=1,
            ttl_ms=2000,
            inventory=D(0),
            band=D(10),
            volatility=2e-5,
            tier="gold",
            parameters=tuned.parameters,
            tick=D("0.01"),
            win=WinModel(curves=(CURVE,)),
        )
        assert isinstance(priced, Priced)
        steps = dict(priced.waterfall)
        cost = sum(amount for step, amount in priced.waterfall if step not in ("markup", "rounding")) / 6
        assert float(steps["markup"] / 6) == pytest.approx(bps_of(tuned, float(cost))[0], abs=1e-6)
        quoted[fee] = steps["markup"]
    assert quoted[D(10)] < quoted[D(0)]


def test_markup_by_size_between_floor_and_ceiling_and_the_ticket() -> None:
    parameters = PricingParameters(
        size_buckets=(
            SizeBucket(notional=D(1000), multiplier=D(3)),
            SizeBucket(notional=D(100_000), multiplier=D("0.1")),
        ),
        markup_floor_bps=D("0.2"),
        markup_ceiling_bps=D("1.5"),
        min_ticket=D(6),
    )
    one = charges(parameters)
    assert [one.listed(D(size)) for size in ("0.01", "0.1", "10")] == [D("0.6"), D("1.5"), D("0.2")]
    assert one.markup(D("0.1"), 0) == (9 * 10**6, "gold 1.8 bps, clipped to 0.2…1.5")
    assert one.ticket_of(D(3)) == 2 * 10**6  # fine ticks: 2 USDT a coin
    for wrong in ({"size_buckets": parameters.size_buckets[::-1]}, {"markup_floor_bps": D(60)}, {"fill_prior_n": -1.0}):
        with pytest.raises(ValueError, match="pricing"):
            PricingParameters(**wrong)  # type: ignore[arg-type]


def test_the_volatility_charge_is_the_value_of_the_option_given_away() -> None:
    """E[(σ√T·Z)₊] = σ√T/√(2π) = 0.399·σ√T, numerically; the default k pays for it and hardly more."""
    value, _ = quad(lambda z: z * exp(-z * z / 2) / sqrt(2 * pi), 0, 12)
    assert value == pytest.approx(0.3989, abs=1e-4)
    one = charges(PricingParameters())
    sigma = 2e-5 * sqrt(2.8) * 60_000
    assert value * sigma <= one.volatility * 1e-6 <= 1.01 * value * sigma
    assert one.sigma_bps == pytest.approx(sigma / 6)


def test_a_markout_is_shrunk_to_the_tier_and_never_paid() -> None:
    parameters = PricingParameters(adverse_tier_bps={"gold": D(1)}, adverse_prior_n=50.0)
    assert adverse_bps(parameters, "gold") == 1 and adverse_bps(parameters, "silver") == D("0.2")
    assert adverse_bps(parameters, "gold", (-3.0, 50.0)) == 2  # half his own 3, half the tier's 1
    assert adverse_bps(parameters, "gold", (-3.0, 1e9)) == pytest.approx(D(3))
    assert adverse_bps(parameters, "gold", (8.0, 500.0)) == 0 and adverse_bps(parameters, "gold", (-900.0, 1e6)) == 20
    for unknown in ((float("nan"), 5.0), (-3.0, 0.0), (-3.0, float("inf"))):
        assert adverse_bps(parameters, "gold", unknown) == 1


def test_credit_is_tenor_times_funding_and_use_of_the_line() -> None:
    parameters = PricingParameters(settlement_days=2.0, funding_bps_per_year=D(730), utilisation_bps=D(3))
    assert credit_bps(parameters) == D("4.1") and credit_bps(parameters, 0.5) == D("5.6")
    assert credit_bps(parameters, 7.0) == credit_bps(parameters, float("nan")) == D("7.1")


def test_a_model_file_is_read_or_refused() -> None:
    text = msgspec.json.encode(WinModel(curves=(CURVE,)))
    assert loads(text).of("gold") == CURVE
    rising = msgspec.json.encode(WinModel(curves=(msgspec.structs.replace(CURVE, distance=0.1),)))
    for wrong in (b"", b"{", b"[]", b'{"curves":[{}]}', rising):
        with pytest.raises(msgspec.DecodeError):
            loads(wrong)


def test_curves_are_learnt_from_the_ledger(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    r = Random(5)
    for n in range(1, 161):
        half = r.uniform(0, 40)
        quote = msgspec.structs.replace(make.quote(n), price=D(60_000) + D(round(half, 2)), tier="gold", sigma_bps=2.0)
        won = r.random() < CURVE.probability(half / 6, 2.0, 15_000)
        request = msgspec.structs.replace(make.rfq(n, quotes=(quote,)), side="two_way" if n % 40 == 0 else "buy")
        ledger.save_quotes(request, [quote])
        state = RfqState.WITHDRAWN if n % 41 == 0 else RfqState.FILLED if won else RfqState.EXPIRED
        ledger.save_rfq(msgspec.structs.replace(request, state=state))
    assert ledger.flush() and ledger.close()
    out = tmp_path / "win.json"
    result = CliRunner().invoke(learn, ["winning", "--state", str(tmp_path), "--out", str(out), "--json"])
    assert result.exit_code == 0, result.output
    (curve,) = loads(out.read_bytes()).curves
    assert curve.tier == "gold" and curve.n == 160 - 4 - 3 and 0 < curve.won < curve.n and curve.distance < 0
    assert json.loads(result.stdout)["curves"][0]["n"] == curve.n
    empty = CliRunner().invoke(learn, ["winning", "--ledger", f"sqlite:///{tmp_path / 'no.db'}", "--out", str(out)])
    assert empty.exit_code != 0


def test_what_trades_cost_is_learnt_from_the_ledger(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(url)
    for n in range(1, 61):  # half a dollar a coin is charged, a quarter of a coin each
        quote = make.quote(n)
        ledger.save_quotes(make.rfq(n, quotes=(quote,)), [quote])
        ledger.save_trade(make.trade(n), make.rfq(n, RfqState.FILLED, (quote,), trade_id=f"t{n}"))
    mine, theirs = make.parent(1), msgspec.structs.replace(make.parent(2), account="client:acme")
    for n, parent in enumerate((mine, theirs), 1):
        ledger.parent(parent)
        ledger.child(make.child(n, n))
        ledger.fill(make.fill(n), parent.parent_id)
    assert ledger.flush() and ledger.close()
    spent, charged, doubt = 1.25 * 0.125 + 1.5, 60 * 0.125, 50 * 0.125  # the client's own fill is no cost of the desk's
    assert paid(url) == pytest.approx((spent + doubt) / (charged + doubt))
    assert paid(url, since_ns=10**6) == 1.0
