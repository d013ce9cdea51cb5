"""What the engine's adapter of each exchange is made with. All spot; `None` URLs are the venue's own.

Market data are public, so no adapter is given a key. Left without one, all but Binance's would look for it in the environment, which is not
theirs to read: they get a word that is none.

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

NO_KEY = "none"
_NO_KEYS = {"api_key": NO_KEY, "api_secret": NO_KEY}
_ALL = InstrumentProviderConfig(load_all=True)


def data_client(config: ExchangeConfig, loop: Any, msgbus: MessageBus, cache: Cache, clock: LiveClock) -> Any:
    """The adapter's data client."""
    parts = {"loop": loop, "name": config.venue, "msgbus": msgbus, "cache": cache, "clock": clock}
    rest, ws = _bases(config)
    match config.exchange:
        case "binance":
            from nautilus_trader.adapters.binance import BinanceDataClientConfig, BinanceLiveDataClientFactory

            stream = None if ws is None else f"{ws}/stream"
            own = BinanceDataClientConfig(base_url_http=rest, base_url_ws=stream, instrument_provider=_ALL)
            return BinanceLiveDataClientFactory.create(config=own, **parts)
        case "okx":
            from nautilus_trader.adapters.okx import OKXDataClientConfig, OKXLiveDataClientFactory

            public = None if ws is None else f"{ws}/ws/v5/public"
            own = OKXDataClientConfig(
                **_NO_KEYS, api_passphrase=NO_KEY, base_url_http=rest, base_url_ws=public, instrument_provider=_ALL
            )
            client = OKXLiveDataClientFactory.create(config=own, **parts)
            client._ws_business_client = nautilus_pyo3.OKXWebSocketClient(  # for candles alone, and it would log in
                url=nautilus_pyo3.derive_okx_ws_url(client._ws_client.url, "business"), heartbeat=20
            )
            return client
        case "kraken":
            from nautilus_trader.adapters.kraken import KrakenDataClientConfig, KrakenLiveDataClientFactory

            v2 = None if ws is None else f"{ws}/v2"
            own = KrakenDataClientConfig(
                **_NO_KEYS, base_url_http_spot=rest, base_url_ws_spot=v2, instrument_provider=_ALL
            )
            return KrakenLiveDataClientFactory.create(config=own, **parts)
        case "bybit":
            from nautilus_trader.adapters.bybit import BybitDataClientConfig, BybitLiveDataClientFactory

            spot = nautilus_pyo3.BybitProductType.SPOT
            own = BybitDataClientConfig(**_NO_KEYS, product_types=(spot,), base_url_http=rest, instrument_provider=_ALL)
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
