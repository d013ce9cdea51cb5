"""The embedded node: venues that cannot connect, signals, unknown orders, an orderly stop."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from nautilus_trader.config import StrategyConfig
from nautilus_trader.live.config import LiveExecEngineConfig
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import OrderSide, OrderStatus, TimeInForce
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from adapters.nautilus import node as node_module
from adapters.nautilus.node import EmbeddedNode, NodeConfig
from adapters.nautilus.safe import LoopSafe, Safe
from tests.conformance.seam_clients import (
    HandData,
    HandDataConfig,
    HandDataFactory,
    HandExec,
    HandExecConfig,
    HandExecFactory,
    btc_usdt,
)


async def eventually(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until `condition` holds; fail after `within_s`."""
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, "condition did not come true in time"
        await asyncio.sleep(0.005)


class Buyer(Safe, LoopSafe, Strategy):
    """Sends one limit order when told."""

    def __init__(self) -> None:
        super().__init__(StrategyConfig(strategy_id="BUYER", order_id_tag="001"))
        self.events: list[str] = []
        self.quotes = 0

    def on_start(self) -> None:
        self.subscribe_quote_ticks(btc_usdt("X").id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.quotes += 1

    def on_order_event(self, event: Any) -> None:
        self.events.append(type(event).__name__)

    def buy(self) -> Any:
        order = self.order_factory.limit(
            btc_usdt("X").id,
            OrderSide.BUY,
            Quantity.from_str("1.00000"),
            Price.from_str("100.00"),
            time_in_force=TimeInForce.IOC,
        )
        self.submit_order(order)
        return order


def node_with(strategy: Strategy, **how: str) -> EmbeddedNode:
    """A node with venues X and Y whose clients connect, fail or hang as `how` says ("data_y", "exec_y")."""
    return EmbeddedNode(
        NodeConfig(
            log_level="OFF",
            data_clients={
                "HAND-X": HandDataConfig(venue="X"),
                "HAND-Y": HandDataConfig(venue="Y", how=how.get("data_y", "connects")),
            },
            exec_clients={
                "HAND-X": HandExecConfig(venue="X"),
                "HAND-Y": HandExecConfig(venue="Y", how=how.get("exec_y", "connects")),
            },
        ),
        strategies=[strategy],
        data_factories={"HAND": HandDataFactory},
        exec_factories={"HAND": HandExecFactory},
    )


def tick() -> QuoteTick:
    """A quote of venue X."""
    one = Quantity.from_str("1.00000")
    return QuoteTick(btc_usdt("X").id, Price.from_str("99.00"), Price.from_str("101.00"), one, one, 0, 0)


@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_the_desk_trades_while_another_venue_cannot_be_reached(how: str) -> None:
    async def scene() -> None:
        buyer = Buyer()
        node = node_with(buyer, data_y=how, exec_y=how)
        started = time.monotonic()
        await node.start(deadline_s=0.3)
        assert time.monotonic() - started < 2.0
        assert node.running
        assert node.unconnected == ("Y", "Y")
        HandData.made["X"].feed(tick())
        await eventually(lambda: buyer.quotes == 1)
        order = buyer.buy()
        await eventually(lambda: bool(HandExec.made["X"].orders))
        HandExec.made["X"].fill(order, "100.00")
        await eventually(lambda: order.status == OrderStatus.FILLED)
        if how == "hangs":  # back later: the engine hears what that venue knows
            HandExec.made["Y"].gate.set()
            await eventually(lambda: HandExec.made["Y"].reports_asked > 0)
        await node.stop()
        assert not node.running

    asyncio.run(scene())


def test_without_the_remedy_the_trader_never_starts() -> None:
    """The engine's own start, for as long as ours needs: it says it runs, and does not."""

    async def scene() -> None:
        buyer = Buyer()
        node = node_with(buyer, data_y="fails")
        engine = node._node
        engine.build()
        running = asyncio.create_task(engine.run_async())
        await asyncio.sleep(0.5)
        assert engine.is_running()
        assert not engine.trader.is_running
        running.cancel()
        await engine.stop_async()
        engine.kernel.dispose()

    asyncio.run(scene())


def test_an_order_of_unknown_fate_is_not_declared_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(remedy: bool) -> list[str]:
        if not remedy:  # the engine's default check, quickened
            original = LiveExecEngineConfig

            def hasty(**kwargs: Any) -> LiveExecEngineConfig:
                kwargs.update(
                    reconciliation=False,  # it would wait for the engine's own start
                    inflight_check_interval_ms=20,
                    inflight_check_threshold_ms=20,
                    inflight_check_retries=1,
                    reconciliation_startup_delay_secs=0.01,
                )
                return original(**kwargs)

            monkeypatch.setattr(node_module, "LiveExecEngineConfig", hasty)
        buyer = Buyer()
        node = node_with(buyer)
        await node.start(deadline_s=2)
        await eventually(lambda: buyer.cache.account_for_venue(btc_usdt("X").id.venue) is not None)
        if remedy:
            assert node._node.kernel.exec_engine.get_reconciliation_task() is None
        order = buyer.buy()
        await eventually(lambda: bool(HandExec.made["X"].orders))
        if remedy:
            await asyncio.sleep(0.3)
        else:
            await eventually(lambda: "OrderRejected" in buyer.events)
        assert order.status == (OrderStatus.SUBMITTED if remedy else OrderStatus.REJECTED)
        HandExec.made["X"].fill(order, "100.00")  # the venue had it all along
        await eventually(lambda: "OrderFilled" in buyer.events)
        await node.stop()
        return [name for name in buyer.events if name in ("OrderRejected", "OrderFilled")]

    assert asyncio.run(scene(remedy=True)) == ["OrderFilled"]
    assert asyncio.run(scene(remedy=False)) == ["OrderRejected", "OrderFilled"]


def test_a_node_that_runs_for_days_forgets_old_states_of_accounts_and_keeps_the_days_orders() -> None:
    async def scene() -> None:
        buyer = Buyer()
        node = node_with(buyer)
        await node.start(deadline_s=2)
        engine = node._node.kernel.exec_engine
        timers = {
            "ExecEngine_PURGE_ACCOUNT_EVENTS",
            "ExecEngine_PURGE_CLOSED_ORDERS",
            "ExecEngine_PURGE_CLOSED_POSITIONS",
        }
        assert timers <= set(node.clock.timer_names)
        order = buyer.buy()
        await eventually(lambda: bool(HandExec.made["X"].orders))
        HandExec.made["X"].fill(order, "100.00")
        await eventually(lambda: order.status == OrderStatus.FILLED)
        account = buyer.cache.account_for_venue(btc_usdt("X").id.venue)
        young, hours_ago = account.event_count, node.clock.timestamp_ns() - 3 * 3_600_000_000_000
        for _ in range(50):
            HandExec.made["X"].generate_account_state(account.last_event.balances, [], True, hours_ago)
        await eventually(lambda: account.event_count == young + 50)
        engine._purge_account_events(None)
        engine._purge_closed_orders(None)
        assert account.event_count == young
        assert buyer.cache.order(order.client_order_id) is order
        await node.stop()

    asyncio.run(scene())


def test_signals_and_the_loop_stay_the_callers() -> None:
    heard: list[str] = []

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, heard.append, "mine")
        guest = asyncio.create_task(asyncio.sleep(60), name="guest")
        node = node_with(Buyer(), exec_y="hangs")
        await node.start(deadline_s=0.1)
        signal.raise_signal(signal.SIGTERM)
        await eventually(lambda: heard == ["mine"])
        assert node.running
        await node.stop()
        await node.stop()
        others = asyncio.all_tasks() - {asyncio.current_task(), guest}
        assert others == set(), [task.get_name() for task in others]
        assert not guest.done()
        guest.cancel()
        assert await asyncio.to_thread(threading.get_ident) != threading.get_ident()  # the loop still has an executor

    asyncio.run(scene())
    assert heard == ["mine"]


def test_a_strategy_that_cannot_start_is_said_at_once() -> None:
    class Broken(Buyer):
        def on_start(self) -> None:
            raise RuntimeError("no configuration")

    async def scene() -> None:
        node = node_with(Broken())
        with pytest.raises(RuntimeError, match="no configuration"):
            await node.start(deadline_s=1)
        await node.stop()

    asyncio.run(scene())
