"""How a node makes our clients: `data_clients={"CCXT-BINANCE": CcxtDataClientConfig(exchange=…)}`, factories under the key "CCXT".

The engine looks a factory up by the part before "-" and tells it that part only; id and venue come from the configuration.
"""

from __future__ import annotations

import asyncio

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.live.config import LiveDataClientConfig, LiveExecClientConfig
from nautilus_trader.live.factories import LiveDataClientFactory, LiveExecClientFactory

from adapters.ccxt.account.execution import CcxtExecutionClient
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.market.data import CcxtDataClient


class CcxtDataClientConfig(LiveDataClientConfig, frozen=True, kw_only=True):
    """Market data of one exchange."""

    exchange: ExchangeConfig


class CcxtExecClientConfig(LiveExecClientConfig, frozen=True, kw_only=True):
    """Execution at one exchange."""

    exchange: ExchangeConfig


class CcxtDataClientFactory(LiveDataClientFactory):
    """Makes data clients."""

    @staticmethod
    def create(
        loop: asyncio.AbstractEventLoop,
        name: str,
        config: CcxtDataClientConfig,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> CcxtDataClient:
        """One client; `name` is the factory's key, not the venue."""
        load_ccxt()
        return CcxtDataClient(loop, config.exchange, msgbus, cache, clock)


class CcxtExecClientFactory(LiveExecClientFactory):
    """Makes execution clients."""

    @staticmethod
    def create(
        loop: asyncio.AbstractEventLoop,
        name: str,
        config: CcxtExecClientConfig,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> CcxtExecutionClient:
        """One client; `name` is the factory's key, not the venue."""
        load_ccxt()
        return CcxtExecutionClient(loop, config.exchange, msgbus, cache, clock)


def load_ccxt() -> None:
    """Loading every exchange of ccxt takes seconds, and compiling the kernels of books some more, once: before anything runs (in a thread,
    if you can), not in the middle of connecting."""
    import ccxt.pro  # noqa: F401

    from adapters.ccxt.warm import warm

    warm()
