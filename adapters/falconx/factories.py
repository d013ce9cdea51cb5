"""How a node makes the execution client: `exec_clients={"FALCONX": FalconXExecConfig(falconx=…)}`, factory key "FALCONX"."""

from __future__ import annotations

import asyncio

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.config import LiveExecClientConfig
from nautilus_trader.live.factories import LiveExecClientFactory

from adapters.falconx.config import FalconXConfig
from adapters.falconx.execution import FalconXExecutionClient


class FalconXExecConfig(LiveExecClientConfig, frozen=True, kw_only=True):
    """Carries the account to the client. Never printed: it holds the secret."""

    falconx: FalconXConfig


class FalconXExecClientFactory(LiveExecClientFactory):
    """Makes one client an account; ids come from the config, not from the factory key."""

    @staticmethod
    def create(  # type: ignore[override]
        loop: asyncio.AbstractEventLoop,
        name: str,
        config: FalconXExecConfig,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> FalconXExecutionClient:
        """The client of `config.falconx`."""
        return FalconXExecutionClient(loop, config.falconx, msgbus, cache, clock)
