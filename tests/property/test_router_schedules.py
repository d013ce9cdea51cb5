"""Schedules: non-negative, sums exact, the same for the same seed, Almgren–Chriss against the paper and an independent optimum."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from math import cosh, exp, sinh

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.algos import build
from router.algos.profile import VolumeProfile, profile_of
from router.algos.schedule import Schedule, Slices, apportion, lay, slices_of
from router.algos.shortfall import held, kappa
from router.algos.spec import (
    AlgoSpec,
    ArrivalPrice,
    Iceberg,
    ImplementationShortfall,
    Pov,
    Sliced,
    Sniper,
    Standing,
    Twap,
    Vwap,
    name_of,
)
from router.algos.step import FOREVER, Offer, Progress, Step, Top
from router.algos.volume import WINDOW_NS, Tape

D = Decimal
S = 1_000_000_000
UNIT = D("0.00001")


class StillView:
    """A market that stands where it is told to."""

    def __init__(self, now_ns: int, fair: Decimal | None = None, volume: Decimal = D(0)) -> None:
        self.now_ns = now_ns
        self.fair = fair
        self.volume = volume

    def tops(self) -> list[Top]:
        return []

    def offers(self) -> list[Offer]:
        return []


def progress_of(quantity: Decimal, released: Decimal = D(0), side: str = "buy") -> Progress:
    return Progress(
        side=side,
        quantity=quantity,
        filled=released,
        reserved=D(0),
        limit_price=None,
        arrival=D(60_000),
        least=UNIT,
        unit=UNIT,
    )


# ---- the core ----------


@given(
    st.integers(0, 10**12),
    st.lists(st.floats(0, 1e9, allow_nan=False), min_size=1, max_size=40).filter(lambda weights: sum(weights) > 0),
)
def test_apportioned_parts_sum_exactly_and_are_their_share_rounded_down_or_up(total: int, weights: list[float]) -> None:
    parts = apportion(total, weights)
    assert sum(parts) == total
    whole = sum(map(D, weights))
    for part, weight in zip(parts, weights, strict=True):
        share = D(total) * D(weight) / whole
        assert share - 1 - D("1e-6") < part < share + 1 + D("1e-6")
        assert part == 0 or weight > 0


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [-1.0, 2.0], [float("nan")], [float("inf"), 1.0]])
def test_weights_that_make_no_sense_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError):
        apportion(10, weights)


SPECS: st.SearchStrategy[Sliced] = st.one_of(
    st.builds(
        Twap,
        interval_ms=st.integers(1, 5_000),
        time_jitter=st.floats(0, 1),
        size_jitter=st.floats(0, 1),
    ),
    st.builds(
        Vwap,
        interval_ms=st.integers(1, 5_000),
        curve=st.lists(st.integers(0, 10**6), min_size=0, max_size=30).map(tuple).filter(lambda c: not c or any(c)),
        size_jitter=st.floats(0, 1),
    ),
    st.builds(
        ImplementationShortfall,
        interval_ms=st.integers(1, 5_000),
        risk_aversion=st.floats(0, 1e3),
        volatility=st.floats(0, 1e4),
        impact=st.floats(0, 1e4),
        permanent=st.floats(0, 1e2),
    ),
    st.builds(ArrivalPrice, interval_ms=st.integers(1, 5_000), urgency=st.floats(0, 1)),
)
LENGTHS = st.integers(1, 3_600 * S)
QUANTITIES = st.decimals("0.00001", "1000000", places=8)


@settings(max_examples=300, deadline=None)
@given(SPECS, LENGTHS, QUANTITIES, st.text(max_size=8))
def test_a_schedule_is_never_negative_sums_exactly_and_is_a_function_of_the_seed(
    spec: Sliced, length: int, quantity: Decimal, seed: str
) -> None:
    standing = Standing(since_ns=7 * S, until_ns=7 * S + length)
    algo = build(spec, standing, quantity, UNIT, seed)
    assert isinstance(algo, Slices)
    plan = algo.schedule
    assert plan.due[-1] == quantity
    assert all(plan.slice(k) >= 0 for k in range(len(plan.due)))
    assert sum((plan.slice(k) for k in range(len(plan.due))), D(0)) == quantity
    assert all(due % UNIT == 0 for due in plan.due[:-1])
    assert all(standing.since_ns <= at < standing.until_ns for at in plan.at_ns)
    assert all(before <= after for before, after in pairwise(plan.at_ns))
    again = build(spec, standing, quantity, UNIT, seed)
    assert isinstance(again, Slices) and again.schedule == plan


def test_another_seed_and_another_turn_draw_anew() -> None:
    standing = Standing(since_ns=0, until_ns=60 * S)
    plans = [
        build(Twap(interval_ms=1_000), turned, D(10), UNIT, seed).schedule  # type: ignore[attr-defined]
        for turned, seed in (
            (standing, "a"),
            (standing, "b"),
            (msgspec.structs.replace(standing, turn=1), "a"),
        )
    ]
    assert len({plan.at_ns for plan in plans}) == 3 and len({plan.due for plan in plans}) == 3


@settings(max_examples=200, deadline=None)
@given(
    SPECS,
    st.lists(st.tuples(st.integers(0, 70), st.integers(0, 3), st.floats(0.9, 1.1)), max_size=30),
    st.decimals("0", "500", places=3),
)
def test_what_is_sent_never_passes_what_is_due_and_ends_whole(
    spec: Sliced, looks: list[tuple[int, int, float]], volume: Decimal
) -> None:
    """Looked at whenever, with every third step not filled: released ≤ target ≤ quantity, and all of it after the end."""
    quantity = D(5)
    standing = Standing(since_ns=0, until_ns=60 * S)
    algo = build(spec, standing, quantity, UNIT, "s")
    released = D(0)
    for second, outcome, move in sorted(looks):
        view = StillView(second * S, D(60_000) * D(str(round(move, 4))), volume)
        step: Step = algo.step(progress_of(quantity, released), view)
        assert step.target is not None and 0 <= step.target <= quantity
        assert 0 <= step.take <= quantity - released
        if second < 60:
            assert released + step.take <= max(step.target, released)
            assert step.wake_ns > view.now_ns
        if outcome:
            released += step.take
    last = algo.step(progress_of(quantity, released), StillView(60 * S))
    assert last.take == quantity - released and last.wake_ns == FOREVER


# ---- Almgren–Chriss ----------


def test_kappa_of_the_papers_example() -> None:
    """Almgren & Chriss (2000), section 3.4: S=50 $, X=10⁶, T=5 d, N=5, σ=0.95 $/√d, η=2.5e-6, γ=2.5e-7, λ=1e-6: κ ≈ 0.61/d."""
    found = kappa(1e-6, 0.95, 2.5e-6, 2.5e-7, 1.0)
    assert found == pytest.approx(0.6067, abs=5e-4)
    assert 1 / found == pytest.approx(1.65, abs=0.01)  # the half-life of the trade, in days
    assert 2 * (cosh(found) - 1) == pytest.approx(1e-6 * 0.95**2 / (2.5e-6 - 2.5e-7 / 2), rel=1e-12)


@given(st.floats(1e-3, 600), st.floats(0, 1))
def test_holdings_are_the_hyperbolic_sines_ratio_and_do_not_overflow(urgency: float, left: float) -> None:
    share = held(urgency, left)
    assert 0 <= share <= 1
    assert share == pytest.approx(sinh(urgency * left) / sinh(urgency), rel=1e-9, abs=1e-12)
    assert held(5e4, 0.999) == pytest.approx(exp(-50.0), rel=1e-6)
    assert held(0.0, left) == left


@settings(max_examples=60, deadline=None)
@given(
    st.floats(1e-7, 1e-4),
    st.floats(0.1, 50),
    st.floats(1e-4, 10),
    st.integers(2, 60),
)
def test_the_schedule_is_the_optimum_of_cost_and_variance(aversion: float, sigma: float, eta: float, n: int) -> None:
    """An independent solution: minimise Σ η̃ n_j²/τ + λσ²τ Σ x_j² over the holdings, a tridiagonal linear system."""
    tau = 2.0
    urgency = kappa(aversion, sigma, eta, 0.0, tau) * tau * n
    holdings = np.array([held(urgency, 1 - j / n) for j in range(n + 1)])
    a, b = eta / tau, aversion * sigma**2 * tau
    matrix = np.diag([2 * a + b] * (n - 1)) + np.diag([-a] * (n - 2), 1) + np.diag([-a] * (n - 2), -1)
    wanted = np.zeros(n - 1)
    wanted[0] = a
    assert holdings[1:-1] == pytest.approx(np.linalg.solve(matrix, wanted), rel=1e-6, abs=1e-12)


def test_without_risk_aversion_it_is_twap() -> None:
    standing = Standing(since_ns=0, until_ns=100 * S)
    neutral = ImplementationShortfall(interval_ms=1_000, risk_aversion=0.0, volatility=10.0, impact=1.0)
    one = build(neutral, standing, D("123.456789"), UNIT, "x")
    two = build(Twap(interval_ms=1_000), standing, D("123.456789"), UNIT, "x")
    assert isinstance(one, Slices) and isinstance(two, Slices)
    for left, right in zip(one.schedule.due, two.schedule.due, strict=True):
        assert abs(left - right) <= UNIT  # the weights are equal up to the rounding of 1 − j/n
    assert one.schedule.at_ns == two.schedule.at_ns


def test_a_schedule_laid_anew_for_the_rest_goes_on_as_before() -> None:
    """Time-consistency: the optimum of the rest is the rest of the optimum."""
    urgency, n, k = 3.0, 100, 37
    before = [held(urgency, 1 - j / n) for j in range(k, n + 1)]
    after = [before[0] * held(urgency * (n - k) / n, 1 - j / (n - k)) for j in range(n - k + 1)]
    assert after == pytest.approx(before, rel=1e-9)


def test_more_risk_aversion_is_never_later() -> None:
    standing = Standing(since_ns=0, until_ns=100 * S)
    plans: list[Schedule] = []
    for aversion in (0.0, 1e-7, 1e-6, 1e-5, 1e-3):
        spec = ImplementationShortfall(
            interval_ms=1_000, risk_aversion=aversion, volatility=20.0, impact=0.5, size_jitter=0.0
        )
        algo = build(spec, standing, D(10), UNIT, "x")
        assert isinstance(algo, Slices)
        plans.append(algo.schedule)
    for slower, faster in pairwise(plans):
        assert all(fast >= slow for slow, fast in zip(slower.due, faster.due, strict=True))
    assert plans[-1].due[10] > 5 * plans[0].due[10]


# ---- answers to the market ----------


def test_arrival_is_faster_in_the_money_or_out_of_it_as_asked() -> None:
    standing = Standing(since_ns=0, until_ns=100 * S)

    def due(drift: float, fair: str, side: str = "buy") -> Decimal:
        algo = build(ArrivalPrice(interval_ms=1_000, urgency=0.3, drift=drift), standing, D(10), UNIT, "x")
        target = algo.step(progress_of(D(10), side=side), StillView(30 * S, D(fair))).target
        assert target is not None
        return target

    assert due(0.5, "59940") > due(0.5, "60000") > due(0.5, "60060")
    assert due(-0.5, "59940") < due(-0.5, "60000") < due(-0.5, "60060")
    assert due(0.5, "59940", "sell") < due(0.5, "60060", "sell")
    assert due(0.5, "60120") == due(0.5, "61000")  # its answer has an end


def vwap_due(spec: Vwap, second: int, volume: str, length: int = 100) -> Decimal:
    algo = build(spec, Standing(since_ns=0, until_ns=length * S), D(100), D("0.001"), "x")
    target = algo.step(progress_of(D(100)), StillView(second * S, D(60_000), D(volume))).target
    assert target is not None
    return target


def test_vwap_follows_its_curve_and_the_market_when_it_is_not_an_ordinary_day() -> None:
    curve = Vwap(interval_ms=1_000, curve=(3, 1), time_jitter=0.0, size_jitter=0.0)
    assert vwap_due(curve, 50, "0") == pytest.approx(D("75.5"), abs=D("0.01"))
    assert vwap_due(curve, 24, "999") == pytest.approx(D("37.5"), abs=D("0.01"))
    known = msgspec.structs.replace(curve, expected=D(1_000), trust=0.25)
    ordinary = vwap_due(known, 24, "360")
    assert ordinary == pytest.approx(D("37.5"), abs=D("0.2"))
    # busier so far than the curve expects, and shrunk: more is due now, for what is to come grows less than what was
    assert vwap_due(known, 24, "720") > ordinary > vwap_due(known, 24, "180") > 0
    # without trust in the level of the day the curve alone counts
    alone = msgspec.structs.replace(known, trust=0.0)
    assert vwap_due(alone, 24, "720") == pytest.approx(ordinary, abs=D("0.8"))
    # by hand: V=720, passed W=.36, r=(720+250)/(360+250); soon: to W=.375
    busy = 970 / 610
    by_hand = 100 * (720 + busy * 1_000 * 0.015) / (720 + busy * 1_000 * 0.64)
    assert float(vwap_due(known, 24, "720")) == pytest.approx(by_hand, abs=0.002)


@given(st.integers(0, 200), st.decimals("0.01", "1", places=2), st.decimals("0", "1000", places=3), st.integers(0, 10))
def test_participation_is_never_ahead(second: int, share: Decimal, volume: Decimal, released: int) -> None:
    algo = build(Pov(participation=share), Standing(since_ns=0, until_ns=100 * S, done=D(1)), D(50), UNIT, "x")
    step = algo.step(progress_of(D(50), D(released)), StillView(second * S, None, volume))
    if second >= 100:
        assert step.finished and step.take == 0
    else:
        assert step.take == 0 or D(released) + step.take <= 1 + share * volume
        assert 0 < step.wake_ns - second * S <= 2 * S


@given(st.integers(0, 500))
def test_an_icebergs_parts_are_drawn_within_their_range_and_the_same_again(shown: int) -> None:
    spec = Iceberg(display=D(2), size_jitter=0.25, min_delay_ms=10, max_delay_ms=90)
    algo, again = (build(spec, Standing(since_ns=0, until_ns=S), D(50), UNIT, "x") for _ in range(2))
    size, pause = algo.part(shown)  # type: ignore[attr-defined]
    assert D("1.5") <= size <= D("2.5")
    assert pause == 0 if shown == 0 else 10_000_000 <= pause <= 90_000_000
    assert (size, pause) == again.part(shown)  # type: ignore[attr-defined]


# ---- specs ----------


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"twap","interval_ms":0}',
        '{"type":"twap","size_jitter":1.5}',
        '{"type":"twap","catch_up":0.5}',
        '{"type":"twap","display":"1"}',
        '{"type":"vwap","curve":[0,0]}',
        '{"type":"vwap","curve":[1,-1]}',
        '{"type":"pov","participation":"0"}',
        '{"type":"pov","participation":"NaN"}',
        '{"type":"is","volatility":-1}',
        '{"type":"arrival","urgency":2}',
        '{"type":"arrival","drift":-1.5}',
        '{"type":"iceberg"}',
        '{"type":"iceberg","display":"0"}',
        '{"type":"iceberg","display":"1","min_delay_ms":9,"max_delay_ms":1}',
        '{"type":"pegged","peg":"best"}',
        '{"type":"pegged","offset_bps":"10000"}',
        '{"type":"sniper"}',
        '{"type":"sniper","trigger_price":"-1"}',
        '{"type":"dark"}',
    ],
)
def test_a_spec_that_makes_no_sense_cannot_be_decoded(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=AlgoSpec)


@given(SPECS)
def test_a_spec_survives_the_journal(spec: Sliced) -> None:
    assert msgspec.json.decode(msgspec.json.encode(spec), type=AlgoSpec) == spec
    assert name_of(spec) in ("twap", "vwap", "is", "arrival")
    assert name_of(None) == "sweep" and name_of(Sniper(depth=D(1))) == "sniper"


# ---- volume ----------

PRINTS = st.lists(
    st.tuples(
        st.booleans(),  # ours, or another's
        st.sampled_from(["100.0", "100.5"]),
        st.integers(1, 9),
        st.booleans(),  # printed before it is reported to us
        st.integers(0, 900),  # ms between the two
    ),
    max_size=40,
)


@given(PRINTS)
def test_a_tape_counts_what_others_trade_whichever_report_comes_first(
    prints: list[tuple[bool, str, int, bool, int]],
) -> None:
    """Our prints may come in two parts and among those of others at other prices."""
    tape, others, now = Tape(), D(0), 0
    for ours, price, size, printed_first, apart in prints:
        now += 3 * WINDOW_NS
        if not ours:
            tape.on_trade("V", D(price), D(size), now)
            others += size
            continue
        reports = [lambda at, p=price, q=size: tape.on_own("V", D(p), D(q), at)]
        pieces = [D(size) / 2, D(size) / 2]
        public = [lambda at, p=price, q=piece: tape.on_trade("V", D(p), q, at) for piece in pieces]
        for k, tell in enumerate(public + reports if printed_first else reports + public):
            tell(now + k * apart * 1_000_000 // 2)
    assert tape.volume == others


def test_a_tape_leaves_out_no_more_than_we_executed() -> None:
    tape = Tape()
    tape.on_own("V", D(100), D(2), 0)
    tape.on_trade("V", D(100), D(5), 10)
    tape.on_trade("W", D(100), D(7), 20)
    tape.on_trade("V", D(100), D(1), 30)
    assert (tape.volume, tape.turnover) == (11, 1_100)
    tape.on_own("V", D(100), D(4), WINDOW_NS * 2)  # too late: those prints were another's
    assert tape.volume == 11


def test_a_profile_is_the_mean_of_the_days_it_watched() -> None:
    day, part = 86_400 * S, 3_600 * S
    trades = [(k * part + 1, 2.0 if k % 24 == 9 else 1.0) for k in range(24 * 3)]
    trades += [(24 * 3 * part, 0.5)]
    profile = profile_of(trades, part_s=3_600)
    assert profile.volume == tuple(2.0 if hour == 9 else 1.0 for hour in range(24))
    assert profile.between(9 * part, 10 * part) == 2.0
    assert profile.between(8 * part + part // 2, 9 * part + part // 2) == pytest.approx(1.5)
    assert profile.between(0, 2 * day) == pytest.approx(50.0)
    assert profile.curve(8 * part, 10 * part, 2) == (333_333, 666_667)
    assert profile.curve(day - part, day + part, 2) == (500_000, 500_000)


def test_a_profile_of_little_is_the_mean_where_it_did_not_watch_and_flat_of_nothing() -> None:
    part = 3_600 * S
    watched = profile_of([(0, 7.0), (part, 1.0), (2 * part, 3.0), (3 * part, 9.0)], part_s=3_600)
    assert watched.volume[1:3] == (1.0, 3.0) and {watched.volume[0], *watched.volume[3:]} == {2.0}
    for trades in ([], [(5, 1.0)], [(5, 1.0), (2 * part, 1.0)]):
        assert profile_of(trades) == VolumeProfile()
    assert VolumeProfile().curve(0, part, 4) == () and VolumeProfile().expected(0, part) == 0


def test_how_many_slices() -> None:
    standing = Standing(since_ns=0, until_ns=60 * S)
    assert slices_of(standing, 1_000) == 60 and slices_of(standing, 7_000) == 9
    assert slices_of(standing, 1) == 1_000 and slices_of(standing, 100_000) == 1
    plan = lay(D("0.00000001"), UNIT, standing, [1.0, 1.0], Twap(), "x")
    assert plan.due == (0, D("0.00000001"))
