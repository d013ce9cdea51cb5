"""The engine's data client of an exchange that is followed through one of the engine's own adapters."""

from __future__ import annotations

from adapters.ccxt.market.data import CcxtDataClient
from adapters.native.market import NativeMarket


class NativeDataClient(CcxtDataClient):
    """As the ccxt one in everything that the engine and the desk see of it; `link` is a `NativeMarket`."""

    def _linked(self) -> NativeMarket:  # type: ignore[override]
        return NativeMarket(self.exchange, self, loop=self._loop, clock=self._clock, trader_id=self._msgbus.trader_id)
