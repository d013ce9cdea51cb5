"""How the past of Bybit is paged through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import ClassVar

from adapters.ccxt.past.pages import Ask, Market, WindowedCandles, candle_of
from adapters.ccxt.past.told import Candle, HistoryRefused, Page, Span


class BybitPages(WindowedCandles):
    """Spot and contracts.

    1. `kline` answers what opens from `start` to `end`, both included, up to 1000, newest first.
    2. `recent-trade` knows no time and no id: only the last 60 trades of a spot pair, 1000 of a contract.
    """

    timeframes: ClassVar = {
        **{name: name[:-1] for name in ("1m", "3m", "5m", "15m", "30m")},
        "1h": "60",
        "2h": "120",
        "4h": "240",
        "6h": "360",
        "12h": "720",
        "1d": "D",
    }
    no_trades: ClassVar = "tells only its latest trades by REST, with no way further back"
    most: ClassVar = 1_000

    async def window(self, ask: Ask, market: Market, timeframe: str, window: Span) -> list[Candle]:
        """Rule 1."""
        category = "spot" if market["spot"] else "linear" if market["linear"] else "inverse"
        edges = {"start": window.start_ms, "end": window.end_ms - 1, "limit": self.most}
        query = {"category": category, "symbol": market["id"], "interval": self.timeframes[timeframe], **edges}
        rows = (await ask("public_get_v5_market_kline", query))["result"]["list"]
        return [candle_of(row[0], row[1:6]) for row in rows]

    async def trades(self, ask: Ask, market: Market, span: Span) -> AsyncIterator[Page]:
        """Rule 2."""
        raise HistoryRefused(f"BYBIT {self.no_trades}", span)
        yield  # an iterator, like the others
