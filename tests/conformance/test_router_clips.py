"""Sizes and pauses that give nothing away: drawn from the seed, the same for the same seed, never too much, in whole lots."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from risk.limits import RiskLimits, SymbolLimits
from router.algos.spec import AlgoSpec, Iceberg, Pegged, Twap
from router.orders import ChildOrder, ParentState
from router.parameters import RouterParameters
from tests.conformance.router_rig import MS, D, Rig, Step, fills_whole

DEEP = {"BINANCE": ([("59999.00", "50")], [("60000.00", "50")])}
LIMITS = RiskLimits(default=SymbolLimits(max_child_quantity=D("0.3")))


def swept(seed: int, **parameters: float) -> list[ChildOrder]:
    rig = Rig(
        DEEP, limits=LIMITS, seed=seed, parameters=RouterParameters(**parameters), scripted={"BINANCE": fills_whole}
    )
    rig.ask("2")
    rig.run()
    assert rig.parent().state is ParentState.DONE and rig.parent().filled == 2
    return rig.children_at("BINANCE")


def test_clips_and_pauses_are_drawn_from_the_seed() -> None:
    made = swept(1)
    sizes = [child.quantity for child in made]
    assert sizes == [child.quantity for child in swept(1)] and [c.created_ns for c in made] == [
        c.created_ns for c in swept(1)
    ]
    assert sizes != [child.quantity for child in swept(2)]
    assert all(D("0.24") <= size <= D("0.3") and size % D("0.00001") == 0 for size in sizes[:-1])
    assert len(set(sizes)) > 4
    pauses = [later.created_ns - earlier.updated_ns for earlier, later in pairwise(made)]
    assert all(50 * MS <= pause < 75 * MS for pause in pauses) and len(set(pauses)) > 4


def test_without_jitter_they_keep_time_and_size() -> None:
    made = swept(1, clip_jitter=0.0, wave_jitter=0.0)
    assert [child.quantity for child in made[:-1]] == [D("0.3")] * 6
    assert {later.created_ns - earlier.updated_ns for earlier, later in pairwise(made)} == {50 * MS}


def resting(order: object, params: object, n: int) -> list[Step]:
    return [(5, "accept", ()), (400, "fill", (str(order.quantity), str(order.price), f"t-{n}"))]  # type: ignore[attr-defined]


@pytest.mark.parametrize("algo", [Iceberg(display=D("0.2")), Pegged(display=D("0.2"))], ids=["iceberg", "pegged"])
def test_displayed_parts_are_drawn_from_the_seed(algo: AlgoSpec) -> None:
    def shown(seed: int) -> list[Decimal]:
        rig = Rig(DEEP, seed=seed, scripted={"BINANCE": resting})
        rig.ask("1", algo=algo, limit="59999.00", for_ms=25_000)
        rig.run()
        assert rig.parent().filled == 1
        return [child.quantity for child in rig.children_at("BINANCE")]

    first = shown(1)
    assert first == shown(1) != shown(2)
    assert all(D("0.16") <= size <= D("0.24") for size in first[:-1]) and len(set(first)) > 3


def test_slices_wait_until_they_are_worth_a_child() -> None:
    rig = Rig(DEEP, parameters=RouterParameters(min_clip={"USDT": D(6_000)}), scripted={"BINANCE": fills_whole})
    rig.ask("0.55", algo=Twap(interval_ms=500), for_ms=20_000)  # slices of about 850
    rig.run()
    made = rig.children_at("BINANCE")
    assert rig.parent().filled == D("0.55")
    assert all(child.quantity * child.limit_price >= D(6_000) for child in made[:-1])
    assert 2 <= len(made) <= 6


@pytest.mark.parametrize("seed", range(3))
def test_clips_leave_nothing_behind_that_no_venue_takes(seed: int) -> None:
    """Two clips and a crumb: whatever is drawn, the parent ends whole or with less than the venue's least."""
    rig = Rig(DEEP, limits=LIMITS, seed=seed, scripted={"BINANCE": fills_whole})
    rig.ask("0.60005")
    rig.run()
    left = rig.parent().quantity - rig.parent().filled
    assert left == 0 or left * 60_000 < 5
