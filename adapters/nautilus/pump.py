"""`Pump`: a backtest actor that makes commands reach a venue at their time, and not with the next tick.

The engine's simulated venue looks at the commands on their way to it only when data or a timer comes by. With sparse
data an order sent at t with latency d is then executed seconds after t + d, and a run depends on ticks that have nothing
to do with the order. For each command under way the pump sets an empty alert at t + d, so that the engine comes by.

Use one latency per venue for insert, update and cancel: the engine takes commands from a heap as if it were a sorted
list, and mixed latencies reorder them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nautilus_trader.common.actor import Actor
from nautilus_trader.config import ActorConfig
from nautilus_trader.model.events import OrderPendingCancel, OrderPendingUpdate, OrderSubmitted

from adapters.nautilus.safe import Safe

UNDER_WAY = (OrderSubmitted, OrderPendingUpdate, OrderPendingCancel)


class Pump(Safe, Actor):
    """Add it to a backtest with `latency_ns` of each simulated venue (the sum of base and command latency)."""

    def __init__(self, latency_ns: Mapping[str, int]) -> None:
        super().__init__(ActorConfig(component_id="Pump"))
        self._latency_ns = dict(latency_ns)
        self._serial = 0

    def on_start(self) -> None:
        """Listen to the orders of every strategy."""
        self.msgbus.subscribe("events.order.*", self._follow)

    def on_stop(self) -> None:
        """Leave the bus."""
        self.msgbus.unsubscribe("events.order.*", self._follow)

    def _follow(self, event: Any) -> None:
        if not isinstance(event, UNDER_WAY):
            return
        latency_ns = self._latency_ns.get(event.instrument_id.venue.value)
        if latency_ns is None:
            return
        due_ns = self.clock.timestamp_ns() + latency_ns
        self._serial += 1
        self.clock.set_time_alert_ns(f"{due_ns}-{self._serial}", due_ns, _nothing)


def _nothing(_: Any) -> None:
    """Passing by is all that is needed."""
