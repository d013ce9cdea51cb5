"""Commands of a backtest reach the venue at their time with the pump, and wait for the next tick without it."""

from __future__ import annotations

from typing import Any

import pytest
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import FillModel, LatencyModel
from nautilus_trader.config import LoggingConfig, StrategyConfig
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, BookType, OmsType, OrderSide, TimeInForce
from nautilus_trader.model.events import OrderCanceled, OrderFilled
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from adapters.nautilus.pump import Pump
from adapters.nautilus.safe import Alarm, LoopSafe, Safe
from tests.conformance.seam_clients import btc_usdt

MS = 1_000_000
LATENCY_NS = 20 * MS
INSTRUMENT = btc_usdt("X")


class Taker(Safe, LoopSafe, Strategy):
    """Buys at 150 ms; places an order that rests, and cancels it at 290 ms."""

    def __init__(self) -> None:
        super().__init__(StrategyConfig(strategy_id="TAKER", order_id_tag="001"))
        self.reports: list[tuple[str, int]] = []

    def on_start(self) -> None:
        self.bind_loop()
        self.subscribe_quote_ticks(INSTRUMENT.id)
        self.at_ns("buy", 150 * MS, self._buy)
        self.at_ns("cancel", 290 * MS, lambda _: self.cancel_order(self.resting))

    def _buy(self, _: Alarm) -> None:
        quantity = Quantity.from_str("1.00000")
        self.submit_order(
            self.order_factory.limit(
                INSTRUMENT.id, OrderSide.BUY, quantity, Price.from_str("101.00"), time_in_force=TimeInForce.IOC
            )
        )
        self.resting = self.order_factory.limit(INSTRUMENT.id, OrderSide.BUY, quantity, Price.from_str("90.00"))
        self.submit_order(self.resting)

    def on_order_event(self, event: Any) -> None:
        if isinstance(event, OrderFilled | OrderCanceled):
            self.reports.append((type(event).__name__, event.ts_event))


def _quote(ts_ns: int) -> QuoteTick:
    size = Quantity.from_str("5.00000")
    return QuoteTick(INSTRUMENT.id, Price.from_str("99.00"), Price.from_str("101.00"), size, size, ts_ns, ts_ns)


@pytest.mark.parametrize(
    ("pumped", "expected"),
    [
        (True, [("OrderFilled", 170 * MS), ("OrderCanceled", 310 * MS)]),
        (False, [("OrderFilled", 290 * MS), ("OrderCanceled", 5_000 * MS)]),  # whenever something comes by
    ],
)
def test_commands_arrive_after_the_latency_and_not_with_the_next_tick(
    pumped: bool, expected: list[tuple[str, int]]
) -> None:
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(log_level="OFF", bypass_logging=True)))
    engine.add_venue(
        venue=INSTRUMENT.id.venue,
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        base_currency=None,
        starting_balances=[Money(1_000_000, USDT), Money(10, BTC)],
        book_type=BookType.L1_MBP,
        fill_model=FillModel(random_seed=1),
        latency_model=LatencyModel(base_latency_nanos=LATENCY_NS),
    )
    engine.add_instrument(INSTRUMENT)
    engine.add_data([_quote(100 * MS), _quote(5_000 * MS), _quote(6_000 * MS)])
    taker = Taker()
    engine.add_strategy(taker)
    if pumped:
        engine.add_actor(Pump({"X": LATENCY_NS}))
    engine.run()
    assert taker.fault_count() == 0
    assert taker.reports == expected
    engine.dispose()
