"""Scorecards: what a few orders say, what many do, and that memories of earlier runs join in."""

from __future__ import annotations

from decimal import Decimal as D
from random import Random

import pytest

from router.costs.decay import Decayed, Window
from router.costs.markouts import Traced, look
from router.costs.scorecards import Scorecards, TcaParameters
from router.costs.shortfall import CostLine, LineKind, Parts
from router.panel import LpAnswer, LpRound

S = 10**9
LONG = TcaParameters(halflife_h=1e9, prior_n=20.0)  # nothing fades


def order(
    n: int, *, venue: str = "V", filled: str = "1", state: str = "filled", slip_bps: float = 0.0, **more: object
) -> CostLine:
    notional = D(filled) * 100
    known = {
        "kind": LineKind.CHILD, "parent_id": "p", "child_id": f"c{n}", "venue": venue, "symbol": "BTC/USDT", "side": "buy",
        "state": state, "quantity": D(1), "filled": D(filled), "notional": notional, "arrival": D(100), "mid": D(100),
        "parts": Parts(fade=notional * D(str(slip_bps)) / 10_000), "created_ns": n * S, "ended_ns": n * S + 5,
        "latency_ns": 1_000 + n, "hold_ns": 2_000 + n,
    }  # fmt: skip
    return CostLine(**(known | more))  # type: ignore[arg-type]


def test_nothing_known_is_the_prior() -> None:
    cards = Scorecards(LONG)
    assert (cards.fade("V"), cards.fill_ratio("V"), cards.reject_probability("L")) == (0.5, 1.0, 0.02)
    assert cards.latency_ns("V") == 0
    assert cards.scores(0) == []


def test_orders_move_the_estimates_by_their_number() -> None:
    cards = Scorecards(LONG)
    for n in range(30):
        cards.child(order(n, filled="0.5"))
    for n in range(10):
        cards.child(order(30 + n, filled="0", state="rejected"))
    assert cards.fill_ratio("V") == pytest.approx((30 * 0.5 + 20 * 1.0) / 60)
    assert cards.reject_probability("V") == pytest.approx((10 + 20 * 0.02) / 60)
    (score,) = cards.scores(40 * S)
    assert score.orders == pytest.approx(40)
    assert (score.latency_ns_p50, score.hold_ns_p99) == (1_020, 2_039)
    assert cards.latency_ns("V") == 1_020


def test_what_says_nothing_of_a_venue_is_not_counted() -> None:
    cards = Scorecards(LONG)
    cards.child(order(1, state="rejected", filled="0", reason="not sent: halted"))
    cards.child(order(2, kind=LineKind.INTERNAL, venue="INTERNAL"))
    cards.child(order(3, kind=LineKind.PARENT))
    cards.child(order(4, revision=1))
    assert cards.scores(0) == []
    cards.child(order(5, resting=True, filled="0.1", state="cancelled"))
    (score,) = cards.scores(0)
    assert (score.orders, score.fill_ratio, score.latency_ns_p50) == (0.0, 1.0, 1_005)


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.9])
def test_fade_is_the_slope_of_slippage_on_noise(beta: float) -> None:
    rng, cards = Random(7), Scorecards(LONG)
    noise = [rng.uniform(0.1, 3.0) for _ in range(4_000)]
    slips = [beta * u + rng.gauss(0.0, 1.0) for u in noise]
    for n, (u, slip) in enumerate(zip(noise, slips, strict=True)):
        cards.child(order(n, slip_bps=slip, noise_bps=u))
    xx, xy = sum(u * u for u in noise), sum(u * s for u, s in zip(noise, slips, strict=True))
    prior = max(20 * xx, sum(s * s for s in slips) / 0.25) / len(noise)
    assert cards.fade("V") == pytest.approx(max(0.0, (xy + prior * 0.5) / (xx + prior)), abs=1e-6)
    assert cards.fade("V") == pytest.approx(beta, abs=0.05)


def test_a_few_wild_fills_of_a_quiet_market_say_little_of_fade() -> None:
    cards = Scorecards(LONG)
    for n, slip in enumerate((2.0, -2.0, -2.0, 2.5)):
        cards.child(order(n, slip_bps=slip, noise_bps=0.1))
    assert cards.fade("V") == pytest.approx(0.5, abs=0.01)


def test_fade_stays_between_none_and_all() -> None:
    for slip, end in ((-5.0, 0.0), (5.0, 1.0)):
        cards = Scorecards(LONG)
        for n in range(1_000):
            cards.child(order(n, slip_bps=slip, noise_bps=1.0))
        assert cards.fade("V") == end
    quiet = Scorecards(LONG)
    quiet.child(order(1, slip_bps=9.0, noise_bps=0.0))
    assert quiet.fade("V") == 0.5


def asked(n: int, *prices: str | None, lp: str = "LP", side: str = "buy") -> LpRound:
    answers = tuple(
        LpAnswer(
            lp=lp,
            rfq_id=f"{n}-{k}",
            quantity=D(1),
            price=None if price is None else D(price),
            asked_ns=n * S,
            answered_ns=0 if price is None else n * S + 40,
        )
        for k, price in enumerate(prices)
    )
    return LpRound(parent_id=f"p{n}", symbol="BTC/USDT", side=side, mid=D(100), answers=answers)


def test_an_lp_is_judged_by_its_quotes_and_how_often_they_win() -> None:
    cards = Scorecards(LONG)
    cards.asked(asked(1, "100.02", "100.04"))
    cards.asked(asked(2, None, "99.95", side="sell"))
    cards.asked(asked(3, None, None))
    cards.child(order(1, venue="LP", lp=True))
    (score,) = cards.scores(5 * S)
    assert score.lp
    assert score.quoted == pytest.approx(3 / 6)
    assert score.quote_spread_bps == pytest.approx((2 + 4 + 5) / 3)
    assert score.win_share == pytest.approx(1 / 2)  # of the two rounds in which it quoted
    assert score.quote_ns_p50 == 40


def test_markouts_of_fills_and_refusals_stay_apart() -> None:
    cards = Scorecards(LONG)
    for source, then in (("fill", "100.01"), ("reject", "100.05"), ("client", "300")):
        trade = Traced(
            source=source, ref="r", party="LP", symbol="BTC/USDT", side="buy", price=D(100), quantity=D(1), fair=D(100), ts_ns=0
        )  # fmt: skip
        cards.markout(look(trade, 1_000, D(then), S))
    (score,) = cards.scores(S)
    assert score.markout_bps == {1_000: pytest.approx(1.0)}
    assert score.after_reject_bps == pytest.approx(5.0)


def test_memories_of_two_runs_make_the_memory_of_both() -> None:
    rng, parameters = Random(3), TcaParameters(halflife_h=0.01, prior_n=3.0)
    whole, first, second = (Scorecards(parameters) for _ in range(3))
    for n in range(200):
        line = order(
            n, filled=rng.choice(("0", "0.5", "1")), slip_bps=rng.gauss(0, 2), noise_bps=rng.random(), lp=n % 2 == 0
        )
        told = asked(n, rng.choice((None, "100.03")), lp="V")
        for cards in (whole, first if n < 120 else second):
            cards.child(line)
            cards.asked(told)
    second.merge(first)
    (one,), (other,) = whole.scores(200 * S), second.scores(200 * S)
    for name in one.__struct_fields__:
        mine, theirs = getattr(one, name), getattr(other, name)
        assert mine == (pytest.approx(theirs) if isinstance(theirs, float) else theirs), name


def test_decay_halves_by_the_halflife_and_takes_late_news_for_what_it_is() -> None:
    memory = Decayed(halflife_s=10.0)
    memory.add(0, 8.0)
    memory.add(10 * S, 2.0)
    # 8 counts half: (0.5 × 8 + 2) / 1.5
    assert memory.mean == pytest.approx(4.0)
    assert memory.n() == pytest.approx(1.5)
    assert memory.n(20 * S) == pytest.approx(0.75)
    late = Decayed(halflife_s=10.0)
    late.add(10 * S, 2.0)
    late.add(0, 8.0)
    assert (late.mean, late.weight) == (pytest.approx(memory.mean), pytest.approx(memory.weight))
    assert memory.shrunk(1.0, 1.5) == pytest.approx(2.5)
    assert Decayed(1.0).shrunk(0.3, 0.0) == 0.3
    with pytest.raises(ValueError, match="halflife"):
        Decayed(0.0)


def test_a_window_keeps_the_last() -> None:
    window = Window(most=4)
    assert window.percentile(0.5) is None
    for value in range(10):
        window.add(value)
    assert [window.percentile(share) for share in (0.0, 0.5, 0.99, 1.0)] == [6, 8, 9, 9]
    newer = Window(most=4)
    newer.add(100)
    newer.merge_older(window)
    assert len(newer) == 4
    assert newer.percentile(1.0) == 100
    assert newer.percentile(0.0) == 7


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"halflife_h": 0.0}, "halflife_h"), ({"prior_fade": 1.5}, "prior_fade"), ({"markout_horizon_ms": 7}, "markout_horizon_ms")],
)  # fmt: skip
def test_parameters_that_make_no_sense_are_refused(changes: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        TcaParameters(**changes)  # type: ignore[arg-type]
