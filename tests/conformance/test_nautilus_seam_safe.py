"""Handlers that raise and timers on foreign threads: each remedy of the seam beside the trap it is there for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.common.actor import Actor
from nautilus_trader.common.component import TestClock
from nautilus_trader.config import ActorConfig
from nautilus_trader.test_kit.stubs.component import TestComponentStubs
from nautilus_trader.test_kit.stubs.identifiers import TestIdStubs

from adapters.nautilus import topics
from adapters.nautilus.bus import Bus, UnknownTopic
from adapters.nautilus.node import EmbeddedNode, NodeConfig
from adapters.nautilus.safe import Alarm, Fault, LoopSafe, Safe

ROOT = Path(__file__).resolve().parents[2]


async def eventually(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until `condition` holds; fail after `within_s`."""
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, "condition did not come true in time"
        await asyncio.sleep(0.005)


class Listener(Safe, LoopSafe, Actor):
    """Keeps what it hears."""

    def __init__(self) -> None:
        super().__init__(ActorConfig(component_id="Listener"))
        self.faults: list[Fault] = []
        self.rings: list[tuple[int, int, int]] = []  # (set for, called at, thread)
        self.raw_threads: set[int] = set()

    def on_start(self) -> None:
        self.bind_loop()
        self.bus = Bus(self)
        self.bus.subscribe(topics.FAULT, self.faults.append)
        self.bus.subscribe(topics.ALERT, self.fail)

    def fail(self, message: Any) -> None:
        raise LookupError(f"cannot handle {message}")

    def on_data(self, data: Any) -> None:
        self.fail(data)

    def ring(self, alarm: Alarm) -> None:
        self.rings.append((alarm.ts_event, self.clock.timestamp_ns(), threading.get_ident()))


def backtest_listener() -> Listener:
    """A started listener on a backtest's clock and a bare bus."""
    clock = TestClock()
    listener = Listener()
    listener.register_base(
        portfolio=TestComponentStubs.portfolio(),
        msgbus=TestComponentStubs.msgbus(),
        cache=TestComponentStubs.cache(),
        clock=clock,
    )
    assert TestIdStubs.trader_id()
    listener.start()
    return listener


def test_a_raising_handler_is_counted_and_published() -> None:
    listener = backtest_listener()
    listener.on_data("tick")
    listener.bus.publish(topics.ALERT, "news")
    assert listener.fault_count() == 2
    assert [f.error for f in listener.faults] == ["LookupError: cannot handle tick", "LookupError: cannot handle news"]
    assert listener.faults == list(listener.last_faults)
    assert listener.faults[0].component == "Listener"
    assert listener.faults[0].handler == "on_data"


def test_a_fault_while_publishing_a_fault_does_not_recurse() -> None:
    listener = backtest_listener()
    listener.bus.subscribe(topics.FAULT, listener.fail)
    listener.on_data("tick")
    assert listener.fault_count() == 2  # the handler, and the subscriber of its fault
    assert len(listener.faults) == 1


def test_handlers_of_mixins_are_guarded_too() -> None:
    class Mixin:
        def on_data(self, data: Any) -> None:
            raise ValueError("in the mixin")

    class Mixed(Mixin, Listener): ...

    mixed = Mixed()
    mixed.register_base(
        portfolio=TestComponentStubs.portfolio(),
        msgbus=TestComponentStubs.msgbus(),
        cache=TestComponentStubs.cache(),
        clock=TestClock(),
    )
    mixed.on_data("tick")
    assert mixed.fault_count() == 1


def test_the_bus_takes_only_the_fixed_names() -> None:
    bus = backtest_listener().bus
    for wrong in ("desk.rfq.R-1", "*", "market.*", ""):
        with pytest.raises(UnknownTopic):
            bus.publish(wrong, 1)
        with pytest.raises(UnknownTopic):
            bus.subscribe(wrong, print)
    for wrong in ("LP.falconx.rfq", "LP..rfq", "LP.FALCONX.rfq.R-1", "Router"):
        with pytest.raises(UnknownTopic):
            bus.send(wrong, 1)
    heard: list[int] = []
    assert bus.send(topics.lp_rfq("FALCONX"), 1) is False
    bus.register(topics.lp_rfq("FALCONX"), heard.append)
    assert bus.send(topics.lp_rfq("FALCONX"), 2) is True
    with pytest.raises(KeyError):
        bus.register(topics.lp_rfq("FALCONX"), print)
    bus.close()
    assert bus.send(topics.lp_rfq("FALCONX"), 3) is False
    assert heard == [2]


def test_backtest_timers_follow_the_engines_clock() -> None:
    listener = backtest_listener()
    clock = listener.clock
    listener.at_ns("once", 50, listener.ring)
    listener.at_ns("moved", 60, listener.ring)
    listener.at_ns("moved", 70, listener.ring)
    listener.at_ns("dropped", 80, listener.ring)
    assert listener.cancel("dropped")
    assert not listener.cancel("dropped")
    listener.every_ns("beat", 40, listener.ring)
    for handler in clock.advance_time(100):
        handler.handle()
    assert [set_for for set_for, _, _ in listener.rings] == [40, 50, 70, 80]
    listener.stop()
    for handler in clock.advance_time(200):
        handler.handle()
    assert len(listener.rings) == 4  # nothing rings after the stop


def test_live_timers_run_on_the_loops_thread_and_never_early() -> None:
    listener = Listener()

    async def scene() -> None:
        node = EmbeddedNode(NodeConfig(log_level="OFF"), actors=[listener])
        await node.start()
        now_ns = listener.clock.timestamp_ns()
        listener.clock.set_time_alert_ns(
            "raw", now_ns + 1_000_000, lambda _: listener.raw_threads.add(threading.get_ident())
        )
        for n in range(20):
            listener.at_ns(f"once:{n}", now_ns + n * 1_700_000, listener.ring)
        listener.at_ns("dropped", now_ns + 5_000_000, listener.fail)
        listener.cancel("dropped")
        listener.at_ns("raises", now_ns + 5_000_000, listener.fail)
        hopped: list[int] = []
        listener.every_ns("beat", 4_000_000, lambda _: hopped.append(0))
        await asyncio.to_thread(listener.hop, lambda: hopped.append(threading.get_ident()))
        await eventually(lambda: len(listener.rings) == 20 and len(hopped) > 3 and bool(listener.raw_threads))
        assert threading.get_ident() in hopped
        await node.stop()
        beats = len(hopped)
        await asyncio.sleep(0.02)  # time in which a forgotten timer would ring
        assert len(hopped) == beats

    asyncio.run(scene())
    assert listener.raw_threads.isdisjoint({threading.get_ident()}), "the engine's own timers call on foreign threads"
    assert {thread for _, _, thread in listener.rings} == {threading.get_ident()}
    assert all(called_ns >= set_for_ns for set_for_ns, called_ns, _ in listener.rings)
    assert listener.fault_count() == 1  # "raises", and nothing else


@pytest.mark.parametrize(("bases", "survives"), [("Safe, Actor", True), ("Actor", False)])
def test_only_safe_keeps_the_desk_alive_when_a_handler_raises(bases: str, survives: bool) -> None:
    script = textwrap.dedent(f"""
        import asyncio
        from nautilus_trader.common.actor import Actor
        from nautilus_trader.config import ActorConfig
        from nautilus_trader.model.data import QuoteTick
        from nautilus_trader.model.objects import Price, Quantity
        from adapters.nautilus.node import EmbeddedNode, NodeConfig
        from adapters.nautilus.safe import Safe
        from tests.conformance.seam_clients import *

        class Clumsy({bases}):
            def on_start(self):
                self.subscribe_quote_ticks(btc_usdt("X").id)
            def on_quote_tick(self, tick):
                raise KeyError("boom")

        async def scene():
            clumsy = Clumsy(ActorConfig(component_id="Clumsy"))
            node = EmbeddedNode(
                NodeConfig(log_level="OFF", data_clients={{"HAND-X": HandDataConfig(venue="X")}}),
                actors=[clumsy], data_factories={{"HAND": HandDataFactory}},
            )
            await node.start()
            one = Quantity.from_str("1.00000")
            tick = QuoteTick(btc_usdt("X").id, Price.from_str("1.00"), Price.from_str("2.00"), one, one, 0, 0)
            HandData.made["X"].feed(tick)
            await asyncio.sleep(0.3)
            HandData.made["X"].feed(tick)
            await asyncio.sleep(0.3)
            print("running", node.running, "faults", getattr(clumsy, "fault_count", int)())
            await node.stop()

        asyncio.run(scene())
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr  # even without `Safe` the node ends in order, not the process
    assert done.stdout.strip() == ("running True faults 2" if survives else "running False faults 0")


def test_the_bare_engine_ends_the_process_when_a_handler_raises() -> None:
    script = textwrap.dedent("""
        import asyncio
        from nautilus_trader.config import TradingNodeConfig, LoggingConfig
        from nautilus_trader.live.node import TradingNode

        async def scene():
            node = TradingNode(TradingNodeConfig(logging=LoggingConfig(log_level="OFF")), loop=asyncio.get_running_loop())
            node.build()
            task = asyncio.create_task(node.run_async())
            while not node.trader.is_running:
                await asyncio.sleep(0.01)
            node.kernel.data_engine.process("not data")
            node.kernel.msgbus.subscribe("events.order.x", lambda e: 1 / 0)
            class Raises:
                def __getattr__(self, name): raise KeyError(name)
            node.kernel.exec_engine.process(Raises())
            await asyncio.sleep(0.5)
            print("alive")

        asyncio.run(scene())
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, ""), "the trap is gone: the guard may be simplified"
