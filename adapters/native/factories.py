"""How a node makes our clients: `data_clients={"NATIVE-BINANCE": NativeDataClientConfig(exchange=…)}`, factories under the key "NATIVE"."""

from __future__ import annotations

import asyncio

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.live.config import LiveDataClientConfig
from nautilus_trader.live.factories import LiveDataClientFactory

from adapters.ccxt.config import ExchangeConfig
from adapters.native.data import NativeDataClient


class NativeDataClientConfig(LiveDataClientConfig, frozen=True, kw_only=True):
    """Market data of one exchange."""

    exchange: ExchangeConfig


class NativeDataClientFactory(LiveDataClientFactory):
    """Makes data clients."""

    @staticmethod
    def create(
        loop: asyncio.AbstractEventLoop,
        name: str,
        config: NativeDataClientConfig,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> NativeDataClient:
        """One client; `name` is the factory's key, not the venue."""
        return NativeDataClient(loop, config.exchange, msgbus, cache, clock)
