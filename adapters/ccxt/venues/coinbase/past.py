"""How the past of Coinbase is paged through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

from adapters.ccxt.past.pages import Ask, Market, WindowedCandles, candle_of, nanoseconds, younger
from adapters.ccxt.past.told import Candle, HistoryRefused, Page, PastTrade, Span
from adapters.ccxt.symbols import dec

_SUSPECT = 100  # trades: a page of so many that brings nothing new may be cut off
_LOOK_BACK_S = 86_400  # a trade of the day before proves that a span's beginning is told


class CoinbasePages(WindowedCandles):
    """Spot.

    1. `candles` answers what opens from `start` to `end` (seconds), up to 300, newest first; minutes without a trade have none.
    2. `ticker` answers the newest trades from `start` to `end` (seconds), up to 1000, newest first. It goes by whole seconds only: where
       one second has more trades than a page, they cannot be had. `side` is the maker's, as in its stream. How long trades are told is not
       promised: a beginning without any older trade is not whole, but for that of the market itself.
    """

    timeframes: ClassVar = {
        "1m": "ONE_MINUTE",
        "5m": "FIVE_MINUTE",
        "15m": "FIFTEEN_MINUTE",
        "30m": "THIRTY_MINUTE",
        "1h": "ONE_HOUR",
        "2h": "TWO_HOUR",
        "6h": "SIX_HOUR",
        "1d": "ONE_DAY",
    }
    most: ClassVar = 300
    page: ClassVar = 1_000

    async def now_ms(self, exchange: Any) -> int:
        """ccxt would ask another product's clock."""
        return int(await exchange.fetch_time({"method": "v3PublicGetBrokerageTime"}))

    async def window(self, ask: Ask, market: Market, timeframe: str, window: Span) -> list[Candle]:
        """Rule 1."""
        edges = {"start": str(window.start_ms // 1_000), "end": str((window.end_ms - 1) // 1_000)}
        query = {"product_id": market["id"], "granularity": self.timeframes[timeframe], **edges}
        rows = (await ask("v3_public_get_brokerage_market_products_product_id_candles", query))["candles"]
        names = ("open", "high", "low", "close", "volume")
        return [candle_of(int(row["start"]) * 1_000, [row[name] for name in names]) for row in rows]

    async def trades(self, ask: Ask, market: Market, span: Span) -> AsyncIterator[Page]:
        """Backward; the second where a page ends is asked for again."""
        start_s, end_s = span.start_ms // 1_000 - _LOOK_BACK_S, -(-span.end_ms // 1_000)
        known: set[str] = set()
        begin, oldest = span.end_ms, ""
        largest = _SUSPECT  # page: the venue's own limit may be less than ours
        while True:
            edges = {"start": str(start_s), "end": str(end_s), "limit": self.page}
            answer = await ask(
                "v3_public_get_brokerage_market_products_product_id_ticker", {"product_id": market["id"], **edges}
            )
            rows = [self._read(row) for row in answer["trades"]]
            first_ms = min((row.ts_ns // 1_000_000 for row in rows), default=0)
            older = bool(rows) and first_ms < span.start_ms
            ended = not rows or (not older and all(row.trade_id in known for row in rows))
            if ended and len(rows) >= largest:
                lost = Span(span.start_ms, first_ms + 1)
                raise HistoryRefused(f"COINBASE has more trades in the second {end_s - 1} than a page holds", lost)
            if ended and oldest != "1" and not younger(market, begin):
                raise HistoryRefused("COINBASE tells no trades before that", Span(span.start_ms, begin))
            over = older or ended
            begin = span.start_ms if over else min(first_ms + 1, span.end_ms)  # the last second reaches beyond the span
            yield Page(rows=rows, whole=Span(begin, span.end_ms))
            if over:
                return
            oldest = min(rows, key=lambda row: row.ts_ns).trade_id
            known, largest = {row.trade_id for row in rows}, max(largest, len(rows))
            end_s = min(end_s, first_ms // 1_000 + 1)

    def _read(self, row: dict[str, Any]) -> PastTrade:
        return PastTrade(
            trade_id=row["trade_id"],
            ts_ns=nanoseconds(row["time"]),
            side={"BUY": "sell", "SELL": "buy"}[row["side"]],
            price=dec(row["price"]),
            quantity=dec(row["size"]),
        )
