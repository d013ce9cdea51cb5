"""What venues and LPs do to our orders decides where the next ones go: learnt by the desk's own analysis, on the real engine."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from math import sqrt
from statistics import NormalDist
from typing import Any

import msgspec
import pytest

from desk.market import Market
from desk.tca.actor import TcaActor
from desk.tca.memory import TcaMemory
from router.costs.scorecards import Scorecards, TcaParameters, real_share
from router.costs.shortfall import CostLine, LineKind
from router.experience import MOST_HAIRCUT_PPM, Experience
from router.orders import ChildOrder
from router.parameters import RouterParameters
from tests.conformance.router_rig import MS, START, SYMBOL, D, Rig, Step, fills_whole, firm, rejects
from tests.conformance.test_router_internal import NothingOpen

REAL = D("0.4")  # of the bitcoin that KRAKEN shows
BOOKS = {
    "KRAKEN": ([("59990.00", "50")], [("60000.00", "1")]),
    "BINANCE": ([("59989.00", "50")], [("60001.00", "50")]),
}


def fades(order: Any, params: dict[str, Any], n: int) -> list[Step]:
    """Shows one, has less."""
    found = min(order.quantity.as_decimal(), REAL)
    fill = (f"{found}", str(order.price), f"t-{order.client_order_id}")
    return [(5, "accept", ()), (6, "fill", fill), (7, "cancel", ())] if found < order.quantity.as_decimal() else [
        (5, "accept", ()), (6, "fill", fill)
    ]  # fmt: skip


def taught(parents: int, quiet_s: int = 0, **more: Any) -> tuple[Rig, Scorecards]:
    """A rig with the desk's analysis in it, and parents of 1.2 every three seconds; one more after a quiet time."""
    memory = TcaMemory(TcaParameters(halflife_h=0.02, prior_n=2.0))  # 72 s
    rig: Rig
    market_sigma = more.pop("sigma", 0.0)
    rig = Rig(BOOKS, experience=Experience(memory.scorecards, lambda symbol: market_sigma, 20 * MS), **more)
    rig.engine.add_actor(TcaActor(memory, Market([rig.book]), NothingOpen()))
    for n in range(parents):
        rig.ask("1.2", at_ms=500 + 3_000 * n, parent_id=f"p-{n}")
    last_ms = 500 + 3_000 * parents + quiet_s * 1_000
    if quiet_s:
        rig.ask("1.2", at_ms=last_ms, parent_id="p-late")
    rig.run(last_ms + 5_000)
    return rig, memory.scorecards


def first_at(rig: Rig, venue: str, parent_id: str) -> ChildOrder | None:
    return next((child for child in rig.children_at(venue) if child.parent_id == parent_id), None)


def planned(rig: Rig, venue: str, parent_id: str) -> Decimal:
    child = first_at(rig, venue, parent_id)
    return D(0) if child is None else child.quantity


def test_a_venue_that_fades_gets_less_the_next_time_and_more_again_when_time_has_gone_by() -> None:
    rig, scores = taught(20, quiet_s=600, scripted={"KRAKEN": fades, "BINANCE": fills_whole})
    asked = [planned(rig, "KRAKEN", f"p-{n}") for n in range(20)]
    assert asked[0] == 1
    assert all(later < earlier for earlier, later in pairwise(asked[:5]))
    # about what is there, which is neither its square root nor ever less and less
    assert REAL <= sum(asked[10:]) / 10 < REAL + D("0.2")
    assert all(rig.parent(f"p-{n}").filled == D("1.2") for n in range(20))
    assert planned(rig, "KRAKEN", "p-late") > D("0.95")  # after eight halflives
    late = first_at(rig, "KRAKEN", "p-late")
    assert late is not None and abs(late.haircut_ppm - 1_000_000 * (1 - late.quantity)) < 10  # a lot
    assert scores.card("KRAKEN").filled.n() > 0


def test_with_the_switch_off_the_books_alone_decide() -> None:
    parameters = RouterParameters(scorecards=False)
    rig, _ = taught(6, scripted={"KRAKEN": fades, "BINANCE": fills_whole}, parameters=parameters)
    assert [planned(rig, "KRAKEN", f"p-{n}") for n in range(6)] == [D(1)] * 6


def test_an_lp_that_refuses_loses_its_edge() -> None:
    """Its quote is better by a hair; once its refusals are known, that is less than what they cost."""
    lps = {"LPX": firm("LPX", "60023")}  # all-in; the venue's best is 60024
    rig, scores = taught(
        12, sigma=2e-4, scripted={"KRAKEN": fills_whole, "BINANCE": fills_whole, "LPX": rejects}, lps=lps
    )
    assert first_at(rig, "LPX", "p-0") is not None
    assert first_at(rig, "LPX", "p-11") is None
    assert scores.reject_probability("LPX") > 0.3


def line(filled: str, haircut_ppm: int = 0, **more: Any) -> CostLine:
    known = {
        "kind": LineKind.CHILD, "parent_id": "p", "child_id": "c", "venue": "V", "symbol": SYMBOL, "side": "buy",
        "state": "filled", "quantity": D(1), "filled": D(filled), "notional": D(filled), "arrival": D(1), "mid": D(1),
        "created_ns": START, "ended_ns": START, "haircut_ppm": haircut_ppm, "latency_ns": 10 * MS, "hold_ns": 90 * MS,
    }  # fmt: skip
    return CostLine(**(known | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("filled", "haircut_ppm", "share"),
    [("0.5", 0, 0.5), ("0.5", 400_000, 0.3), ("1", 400_000, 1.0), ("0", 400_000, 0.0)],
)
def test_what_was_there_is_a_share_of_what_was_shown(filled: str, haircut_ppm: int, share: float) -> None:
    assert real_share(line(filled, haircut_ppm)) == pytest.approx(share)


def test_estimates_go_back_to_the_priors_without_any_order() -> None:
    scores = Scorecards(TcaParameters(halflife_h=1.0, prior_n=10.0))
    for _ in range(50):
        scores.child(line("0.1"))
        scores.child(line("0", venue="L", state="rejected"))
    hour = 3_600 * 10**9
    for n in (0, 1, 5, 30):
        weight = 50 * 0.5**n
        now = START + n * hour
        assert scores.fill_ratio("V", now) == pytest.approx((weight * 0.1 + 10) / (weight + 10))
        assert scores.reject_probability("L", now) == pytest.approx((weight + 10 * 0.02) / (weight + 10))
    assert scores.fade("V", START + 30 * hour) == pytest.approx(0.5, abs=1e-6)


def test_loading_is_the_learnt_part_of_the_noise() -> None:
    rig = Rig(BOOKS)
    scores = Scorecards(TcaParameters())
    experience = Experience(scores, lambda symbol: 1e-4, 20 * MS)
    now = START + 80 * MS
    noise = 0.3989422804014327 * 1e-4 * sqrt(0.1) * 1e4  # 80 ms old, 20 ms away
    assert float(experience.loading_bps(rig.book, "KRAKEN", now)) == pytest.approx(0.5 * noise, abs=1e-4)
    slip = msgspec.structs.replace(line("1", venue="KRAKEN").parts, fade=D("0.01"))  # 100 bps
    for _ in range(4_000):
        scores.child(line("1", venue="KRAKEN", parts=slip, noise_bps=100.0))
    nearer = 0.3989422804014327 * 1e-4 * sqrt(0.09) * 1e4  # its own answers take 10 ms
    assert float(experience.loading_bps(rig.book, "KRAKEN", now)) == pytest.approx(nearer, rel=0.01)
    assert experience.loading_bps(rig.book, "KRAKEN", now) > experience.loading_bps(rig.book, "BINANCE", now)


def test_a_haircut_never_writes_a_venue_off() -> None:
    scores = Scorecards(TcaParameters(prior_n=1.0))
    for _ in range(500):
        scores.child(line("0"))
    assert Experience(scores, lambda symbol: 0.0, 0).haircut_ppm("V", START) == MOST_HAIRCUT_PPM


def test_a_refusal_costs_the_move_it_is_conditional_on() -> None:
    """E[X | X > b] with P(X > b) = r: Monte Carlo's answer within its error, for the dearest LP."""
    scores = Scorecards(TcaParameters(prior_n=1e-9))
    for n in range(100):
        scores.child(line("0" if n < 10 else "1", venue="L", lp=True, state="rejected" if n < 10 else "filled"))
    experience = Experience(scores, lambda symbol: 1e-4, 0)
    cost = float(experience.refusal_cost_bps(SYMBOL, ["L"], 160 * MS, START))
    deviation = 1e-4 * sqrt(0.25) * 1e4  # 90 ms held, planned again 160 ms later
    draws = NormalDist(0, deviation).samples(200_000, seed=5)
    beyond = sorted(draws)[-20_000:]
    assert cost == pytest.approx(sum(beyond) / len(beyond), rel=0.01)
    assert experience.refusal("L", START) == D("0.100000")
    assert experience.refusal_cost_bps(SYMBOL, [], 0, START) == 0
