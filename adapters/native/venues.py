"""What the engine's adapter of each exchange is made with. All spot; `None` URLs are the venue's own.

Binance's and Kraken's, OKX's public and private hosts can be pointed elsewhere by their configuration. Bybit's takes its HTTP host for the
public WebSocket's as well, so that one is made here. OKX derives its other sockets from the public one's path.
"""

from __future__ import annotations

from typing import Any

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.config import InstrumentProviderConfig
from nautilus_trader.core import nautilus_pyo3

from adapters.ccxt.config import ExchangeConfig
from adapters.native.catalogue import unknown

NO_KEY = "none"  # without one OKX's adapter looks into the environment and fails; public data need none
_ALL = InstrumentProviderConfig(load_all=True)


def data_client(config: ExchangeConfig, loop: Any, msgbus: MessageBus, cache: Cache, clock: LiveClock) -> Any:
    """The adapter's data client."""
    parts = {"loop": loop, "name": config.venue, "msgbus": msgbus, "cache": cache, "clock": clock}
    rest, ws = _bases(config)
    match config.exchange:
        case "binance":
            from nautilus_trader.adapters.binance import BinanceDataClientConfig, BinanceLiveDataClientFactory

            own = BinanceDataClientConfig(
                api_key=config.api_key or None, api_secret=config.secret or None, base_url_http=rest,
                base_url_ws=None if ws is None else f"{ws}/stream", instrument_provider=_ALL,
            )  # fmt: skip
            return BinanceLiveDataClientFactory.create(config=own, **parts)
        case "okx":
            from nautilus_trader.adapters.okx import OKXDataClientConfig, OKXLiveDataClientFactory

            own = OKXDataClientConfig(
                api_key=config.api_key or NO_KEY, api_secret=config.secret or NO_KEY, api_passphrase=config.password or NO_KEY,
                base_url_http=rest, base_url_ws=None if ws is None else f"{ws}/ws/v5/public", instrument_provider=_ALL,
            )  # fmt: skip
            client = OKXLiveDataClientFactory.create(config=own, **parts)
            client._ws_business_client = nautilus_pyo3.OKXWebSocketClient(  # for candles alone, and it would log in
                url=nautilus_pyo3.derive_okx_ws_url(client._ws_client.url, "business"), heartbeat=20
            )
            return client
        case "kraken":
            from nautilus_trader.adapters.kraken import KrakenDataClientConfig, KrakenLiveDataClientFactory

            own = KrakenDataClientConfig(
                base_url_http_spot=rest, base_url_ws_spot=None if ws is None else f"{ws}/v2", instrument_provider=_ALL
            )
            return KrakenLiveDataClientFactory.create(config=own, **parts)
        case "bybit":
            from nautilus_trader.adapters.bybit import BybitDataClientConfig, BybitLiveDataClientFactory

            spot = nautilus_pyo3.BybitProductType.SPOT
            own = BybitDataClientConfig(product_types=(spot,), base_url_http=rest, instrument_provider=_ALL)
            client = BybitLiveDataClientFactory.create(config=own, **parts)
            if ws is not None:
                client._ws_clients[spot] = nautilus_pyo3.BybitWebSocketClient.new_public(
                    product_type=spot, environment=nautilus_pyo3.BybitEnvironment.MAINNET, url=f"{ws}/v5/public/spot"
                )
            return client
    raise ValueError(f"{config.venue}: {unknown(config.exchange)}")


def _bases(config: ExchangeConfig) -> tuple[str | None, str | None]:
    """REST and WebSocket bases without a slash at the end."""
    rest, ws = config.rest_url, config.ws_url
    return (None if rest is None else rest.rstrip("/"), None if ws is None else ws.rstrip("/"))
