"""Spot and perpetual recorded at the same moment: the basis as it was, and who is cheaper at which size."""

from __future__ import annotations

import os
from decimal import Decimal
from random import Random

import pytest

from sim.studies.perpetual import Setup, fit, study, told
from tests.recorded_data import TAPES

SPOT, PERPETUAL = TAPES / "spot_btcusdt_20240808.gz", TAPES / "usdm_btcusdt_20240808.gz"


@pytest.mark.skipif(not os.environ.get("KERB_LONG_TESTS"), reason="half a minute: KERB_LONG_TESTS=1")
@pytest.mark.skipif(not (SPOT.exists() and PERPETUAL.exists()), reason="recorded tapes are not here")
def test_small_orders_go_to_spot_and_large_ones_would_go_to_the_deeper_perpetual() -> None:
    found = study(SPOT, PERPETUAL, Setup(sizes=(Decimal("0.1"), Decimal(60)), horizons_s=(60,), step_s=20))
    assert found.basis.mean_usd == pytest.approx(-22.8, abs=0.3) and found.basis.sd_usd == pytest.approx(3.6, abs=0.3)
    small, large = found.rows
    assert small.perpetual_wins == 0.0 and large.perpetual_wins > 0.8
    assert small.perpetual_bps - small.spot_bps == pytest.approx(2.0, abs=0.2)  # in and out at 3 bps against 4 once
    assert large.perpetual_sweep_bps < 0.6 * large.spot_sweep_bps
    assert large.realised_choice_bps is not None and large.realised_spot_bps is not None
    assert large.realised_choice_bps < large.realised_spot_bps - 1
    assert 0 < found.basis.explained[60] < 1
    assert len(told(found)) == 5


def test_an_autoregression_finds_its_own_half_life_and_says_when_there_is_none() -> None:
    dice, values = Random(5), [10.0]
    for _ in range(6_000):
        values.append(3.0 + 0.9 * (values[-1] - 3.0) + dice.gauss(0, 0.5))
    mean, halflife = fit(values)
    assert mean == pytest.approx(3.0, abs=0.3) and halflife == pytest.approx(6.58, rel=0.25)
    assert fit([2.0 * (-1) ** step for step in range(50)])[1] is None  # it swings, it does not go back
