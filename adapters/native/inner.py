"""A bus and a cache of its own for a client of the engine's.

The adapter registers nothing and knows nobody: what it sends to the engine's endpoints comes to us, who translate it; what it looks up in
the cache are its own instruments and orders. So it works unchanged, with its own symbols, inside a node where instruments have ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.model.identifiers import TraderId

Handler = Callable[[Any], None]

DATA = "DataEngine.process"
RESPONSE = "DataEngine.response"
EVENT = "ExecEngine.process"
REPORT = "ExecEngine.reconcile_execution_report"
ACCOUNT = "Portfolio.update_account"


class Inner:
    """`msgbus` and `cache` for the adapter; `on` says who hears what it sends to an endpoint of the engine."""

    def __init__(self, trader_id: TraderId, clock: LiveClock) -> None:
        self.msgbus = MessageBus(trader_id=trader_id, clock=clock)
        self.cache = Cache()

    def on(self, endpoint: str, handler: Handler) -> None:
        """One handler an endpoint."""
        self.msgbus.register(endpoint=endpoint, handler=handler)
