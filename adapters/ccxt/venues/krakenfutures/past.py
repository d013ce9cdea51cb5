"""How the past of Kraken Futures is paged through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

from adapters.ccxt.hook import BadFrame
from adapters.ccxt.past.pages import Ask, Market, WindowedCandles, candle_of, nanoseconds, younger
from adapters.ccxt.past.told import TIMEFRAMES, Candle, HistoryRefused, Page, PastTrade, Span
from adapters.ccxt.symbols import dec

OFF_BOOK = frozenset(
    {"Assignment", "Block", "HedgeAssignment", "Rfq", "Unwind"}
)  # Kraken Futures' orders that trade elsewhere


class KrakenFuturesPages(WindowedCandles):
    """Perpetuals, linear and inverse.

    1. Charts of type `trade` answer what opens from `from` to `to` (seconds). `more_candles` says that the range holds more than were
       told, not which: it is asked for again by halves. Pages were measured by others to end at 2,000. Volume is in contracts.
    2. `executions` of a market go forward by a token, at most 1,000 a page. Whether `since` and `before` are included is not said: both
       are asked for with a millisecond to spare. `side` is the taker's. Of what kind a trade is, its orders alone say: what was not done
       on the book (`OFF_BOOK`) is passed over, as in the stream.
    3. How long trades are told is not promised (others have read them back to the market's first): a beginning without any is held
       against the oldest there is.
    4. ccxt has no clock of this venue: every answer about its instruments has it.
    """

    timeframes: ClassVar = {name: name for name in ("1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d")}
    most: ClassVar = 2_000
    page: ClassVar = 1_000

    async def now_ms(self, exchange: Any) -> int:
        """Rule 4."""
        return nanoseconds((await exchange.public_get_instruments_status())["serverTime"]) // 1_000_000

    async def window(self, ask: Ask, market: Market, timeframe: str, window: Span) -> list[Candle]:
        """Rule 1."""
        named = {"price_type": "trade", "symbol": market["id"], "interval": self.timeframes[timeframe]}
        edges = {"from": window.start_ms // 1_000, "to": (window.end_ms - 1) // 1_000}
        answer = await ask("charts_get_price_type_symbol_interval", named | edges)
        if not answer["more_candles"]:
            names = ("open", "high", "low", "close", "volume")
            return [candle_of(row["time"], [row[name] for name in names]) for row in answer["candles"]]
        step = TIMEFRAMES[timeframe]
        middle = window.start_ms + (window.end_ms - window.start_ms) // (2 * step) * step
        if middle == window.start_ms:
            raise BadFrame(f"{market['id']}: more than one candle opens at {middle}")
        first = await self.window(ask, market, timeframe, Span(window.start_ms, middle))
        return first + await self.window(ask, market, timeframe, Span(middle, window.end_ms))

    async def trades(self, ask: Ask, market: Market, span: Span) -> AsyncIterator[Page]:
        """Rule 2, from where trades are told (rule 3)."""
        begin = await self._told_from(ask, market, span)
        edges = {"since": begin - 1, "before": span.end_ms + 1, "count": self.page}
        query: dict[str, Any] = {"symbol": market["id"], "sort": "asc", **edges}
        while begin < span.end_ms:
            answer = await ask("history_get_market_symbol_executions", query)
            rows = answer["elements"]
            last_ms = int(rows[-1]["timestamp"]) if rows else span.end_ms
            token = answer.get("continuationToken")
            over = not rows or not token or last_ms >= span.end_ms
            whole = Span(begin, span.end_ms if over else max(begin, last_ms))
            yield Page(rows=[trade for row in rows if (trade := self._read(row)) is not None], whole=whole)
            if over:
                break
            if token == query.get("continuation_token"):
                raise BadFrame(f"{market['id']}: a page of executions leads back to itself")
            query = {**query, "continuation_token": token}
        if begin > span.start_ms:
            raise HistoryRefused(f"{market['id']}: older trades are no longer told", Span(span.start_ms, begin))

    async def _told_from(self, ask: Ask, market: Market, span: Span) -> int:
        """The moment in the span from which trades are told: its beginning, unless the oldest trade of an older market is younger."""
        query = {"symbol": market["id"], "sort": "asc", "since": 0, "count": 1}
        rows = (await ask("history_get_market_symbol_executions", query))["elements"]
        oldest_ms = int(rows[0]["timestamp"]) if rows else span.end_ms
        if oldest_ms <= span.start_ms or younger(market, oldest_ms):
            return span.start_ms
        return min(oldest_ms, span.end_ms)

    def _read(self, element: dict[str, Any]) -> PastTrade | None:
        row = element["event"]["Execution"]["execution"]
        orders = row["makerOrder"], row["takerOrder"]
        if any(order["orderType"] in OFF_BOOK for order in orders):
            return None
        return PastTrade(
            trade_id=row["uid"],
            ts_ns=int(row["timestamp"]) * 1_000_000,
            side={"Buy": "buy", "Sell": "sell"}[row["takerOrder"]["direction"]],
            price=dec(row["price"]),
            quantity=dec(row["quantity"]),
        )
