"""How the past of Kraken is paged through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, ClassVar

from adapters.ccxt.past.pages import Ask, Market, Pages, candle_of
from adapters.ccxt.past.told import HistoryRefused, Page, PastTrade, Span
from adapters.ccxt.symbols import dec


class KrakenPages(Pages):
    """Spot.

    1. `OHLC` tells the last 720 candles of a timeframe and none before, whatever `since` says, and the open one.
    2. `Trades` goes forward from `since` (ns), at most 1000 a page; `last` is where the next page begins. Times are floats of seconds,
       which are good for microseconds.
    """

    timeframes: ClassVar = {
        "1m": "1",
        "5m": "5",
        "15m": "15",
        "30m": "30",
        "1h": "60",
        "4h": "240",
        "1d": "1440",
    }
    most: ClassVar = 1_000
    kept: ClassVar = 720

    async def candles(self, ask: Ask, market: Market, timeframe: str, span: Span) -> AsyncIterator[Page]:
        """One request tells all there is."""
        query = {"pair": market["id"], "interval": self.timeframes[timeframe]}
        rows = [candle_of(int(row[0]) * 1_000, [*row[1:5], row[6]]) for row in _of(await ask("public_get_ohlc", query))]
        first_ms = rows[0].start_ms if len(rows) >= self.kept else span.start_ms  # fewer: the market is younger
        if first_ms < span.end_ms:
            yield Page(rows=rows, whole=Span(max(first_ms, span.start_ms), span.end_ms))
        if first_ms > span.start_ms:
            lost = Span(span.start_ms, min(first_ms, span.end_ms))
            raise HistoryRefused(f"KRAKEN tells the last {self.kept} candles of {timeframe} and none before", lost)

    async def trades(self, ask: Ask, market: Market, span: Span) -> AsyncIterator[Page]:
        """Forward by nanosecond."""
        since = str(span.start_ms * 1_000_000 - 1)
        while True:
            answer = await ask("public_get_trades", {"pair": market["id"], "since": since, "count": self.most})
            rows = [self._read(row) for row in _of(answer)]
            last_ms = rows[-1].ts_ns // 1_000_000 if rows else span.end_ms
            over = not rows or last_ms >= span.end_ms
            yield Page(rows=rows, whole=Span(span.start_ms, span.end_ms if over else last_ms))
            if over:
                return
            if (following := str(answer["result"]["last"])) == since:
                raise HistoryRefused(f"KRAKEN has more than a page of trades at {since} ns", Span(last_ms, span.end_ms))
            since = following

    def _read(self, row: list[Any]) -> PastTrade:
        ts_ns = int(Decimal(str(row[2])).scaleb(6).to_integral_value()) * 1_000
        return PastTrade(
            trade_id=str(row[6]),
            ts_ns=ts_ns,
            side="buy" if row[3] == "b" else "sell",
            price=dec(row[0]),
            quantity=dec(row[1]),
        )


def _of(answer: dict[str, Any]) -> list[list[Any]]:
    """The rows of Kraken's answer, whose name is the pair's, in one of its spellings."""
    named: list[list[list[Any]]] = [value for name, value in answer["result"].items() if name != "last"]
    return named[0]
