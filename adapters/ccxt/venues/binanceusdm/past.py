"""How the past of Binance USD-M is paged through."""

from __future__ import annotations

from typing import ClassVar

from adapters.ccxt.venues.binance.past import BinancePages


class UsdmPages(BinancePages):
    """Binance USD-M perpetuals: the same rules on its own hosts; quantities are contracts."""

    klines: ClassVar = "fapipublic_get_klines"
    aggregates: ClassVar = "fapipublic_get_aggtrades"
