"""What the desk's configuration names: `sim.paper.factories:PaperExchangeFactory` and its like, found by the engine's import of that path.

The desk knows no simulation; it hands these names and plain values to the engine (`desk.paper`), and the engine makes the clients.
"""

from __future__ import annotations

import asyncio

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.live.factories import LiveExecClientFactory

from sim.paper.config import PaperExchangeConfig, PaperFalconXConfig
from sim.paper.exchange import PaperExchangeClient
from sim.paper.falconx import PaperFalconXClient

__all__ = ["PaperExchangeConfig", "PaperExchangeFactory", "PaperFalconXConfig", "PaperFalconXFactory"]


class PaperExchangeFactory(LiveExecClientFactory):
    """Makes exchanges on paper."""

    @staticmethod
    def create(  # type: ignore[override]
        loop: asyncio.AbstractEventLoop,
        name: str,
        config: PaperExchangeConfig,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> PaperExchangeClient:
        """One client; `name` is the factory's key, not the venue."""
        return PaperExchangeClient(loop, config, msgbus, cache, clock)


class PaperFalconXFactory(LiveExecClientFactory):
    """Makes FalconX accounts on paper."""

    @staticmethod
    def create(  # type: ignore[override]
        loop: asyncio.AbstractEventLoop,
        name: str,
        config: PaperFalconXConfig,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> PaperFalconXClient:
        """One client; `name` is the factory's key, not the LP."""
        return PaperFalconXClient(loop, config, msgbus, cache, clock)
