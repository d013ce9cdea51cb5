"""What the gate's refusals are called for programs."""

from __future__ import annotations

from decimal import Decimal

import pytest

from desk.rfq.checks import refusal_code
from risk.decision import Refused, Stage
from risk.state import TradingState
from tests.unit.test_risk_gate import Bench, Fixed


@pytest.mark.parametrize("seen", [Fixed(fair=None, age_ns=None), Fixed(fair=None), Fixed(age_ns=5_000_000_000)])
def test_a_quote_that_cannot_be_held_against_a_market_is_refused_for_that_and_not_for_a_limit(seen: Fixed) -> None:
    refused = Bench(references=seen).ask(Stage.TRADE)
    assert isinstance(refused, Refused)
    assert refusal_code(refused) == "no_live_venue"


def test_a_limit_is_called_one_and_a_halt_a_halt() -> None:
    bench = Bench()
    refused = bench.ask(Stage.TRADE, quantity=Decimal(11))
    assert isinstance(refused, Refused) and refusal_code(refused) == "limit_exceeded"
    refused = bench.ask(Stage.TRADE, price=Decimal(90))  # a client's buy far below fair
    assert isinstance(refused, Refused) and refusal_code(refused) == "limit_exceeded"
    bench.state.set_trading(TradingState.HALTED, "test")
    refused = bench.ask(Stage.TRADE)
    assert isinstance(refused, Refused) and refusal_code(refused) == "halted"
