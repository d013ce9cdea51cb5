"""What requests cost at Binance USD-M.

Weight: 2,400 a minute; orders: 300 in ten seconds, 1,200 a minute, by X-MBX-ORDER-COUNT-10S, -1M.

Sources: the venue's documentation; the costs of an endpoint are ccxt's table of them.
"""

from __future__ import annotations

from typing import ClassVar

from adapters.ccxt.venues.binance.tariff import BinanceTariff


class BinanceUsdmTariff(BinanceTariff):
    """The same rules with its own numbers."""

    cancels = BinanceTariff.cancels | {"batchOrders"}
    scale = 1.0
    windows: ClassVar[dict[str, tuple[float, float]]] = {
        "weight 1m": (2_400, 60.0),
        "orders 10s": (300, 10.0),
        "orders 1m": (1_200, 60.0),
    }
    headers: ClassVar[dict[str, str]] = {
        "x-mbx-used-weight-1m": "weight 1m",
        "x-mbx-order-count-10s": "orders 10s",
        "x-mbx-order-count-1m": "orders 1m",
    }
