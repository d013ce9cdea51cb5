"""How the past of OKX is paged through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

from adapters.ccxt.past.pages import Ask, Market, WindowedCandles, candle_of, younger
from adapters.ccxt.past.told import Candle, HistoryRefused, Page, PastTrade, Span
from adapters.ccxt.symbols import dec


class OkxPages(WindowedCandles):
    """Spot.

    1. `history-candles` answers what opens after `before` and before `after`, neither included, up to 300, newest first.
       Six hours and more begin at UTC's with "utc" behind the name.
    2. `history-trades` goes backward only, 100 a page: from a moment with type 2, from a trade's id with type 1; not beyond three months.
    """

    timeframes: ClassVar = {
        **{name: name for name in ("1m", "3m", "5m", "15m", "30m")},
        "1h": "1H",
        "2h": "2H",
        "4h": "4H",
        "6h": "6Hutc",
        "12h": "12Hutc",
        "1d": "1Dutc",
    }
    most: ClassVar = 300
    page: ClassVar = 100

    async def window(self, ask: Ask, market: Market, timeframe: str, window: Span) -> list[Candle]:
        """Rule 1; a row that is not confirmed is an open candle."""
        edges = {"before": str(window.start_ms - 1), "after": str(window.end_ms)}
        query = {"instId": market["id"], "bar": self.timeframes[timeframe], "limit": str(self.most), **edges}
        rows = (await ask("public_get_market_history_candles", query))["data"]
        return [candle_of(row[0], row[1:6]) for row in rows if row[8] != "0"]

    async def trades(self, ask: Ask, market: Market, span: Span) -> AsyncIterator[Page]:
        """Backward: to the last one by time, then by id, however many share a millisecond."""
        after, begin = {"type": "2", "after": str(span.end_ms)}, span.end_ms
        while True:
            answer = await ask(
                "public_get_market_history_trades", {"instId": market["id"], "limit": str(self.page), **after}
            )
            rows = [self._read(row) for row in answer["data"]]
            if not rows:
                if younger(market, begin):
                    yield Page(rows=[], whole=span)
                    return
                raise HistoryRefused(
                    "OKX tells no trades before that: three months are kept", Span(span.start_ms, begin)
                )
            first_ms = rows[-1].ts_ns // 1_000_000
            over = first_ms < span.start_ms
            begin = span.start_ms if over else min(first_ms + 1, span.end_ms)
            yield Page(rows=rows, whole=Span(begin, span.end_ms))
            if over:
                return
            after = {"type": "1", "after": rows[-1].trade_id}

    def _read(self, row: dict[str, Any]) -> PastTrade:
        return PastTrade(
            trade_id=row["tradeId"],
            ts_ns=int(row["ts"]) * 1_000_000,
            side=row["side"],
            price=dec(row["px"]),
            quantity=dec(row["sz"]),
        )
