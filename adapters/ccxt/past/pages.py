"""How a venue's past is paged through: one class a venue, in its own folder, its rules by number.

All of them yield a `Page` whose `whole` begins or ends where the span does and grows towards the other side, and may hold rows beyond the
span. `ask(method, query)` is one raw request of ccxt. Evidence: documentation of the venues, ccxt's source and, where it says so, what
others have measured; nothing here was run against a live venue.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from adapters.ccxt.past.told import TIMEFRAMES, Candle, Page, Span
from adapters.ccxt.symbols import dec

Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]


Market = dict[str, Any]  # ccxt's


DAY_MS = 86_400_000


class Pages(ABC):
    """The pages of one venue. `timeframes`: its words for them. `no_trades`: why its trades of the past cannot be had, if so."""

    timeframes: ClassVar[Mapping[str, str]]
    no_trades: ClassVar[str] = ""

    async def now_ms(self, exchange: Any) -> int:
        """The venue's clock."""
        return int(await exchange.fetch_time())

    @abstractmethod
    def candles(self, ask: Ask, market: Market, timeframe: str, span: Span) -> AsyncIterator[Page]:
        """Candles that open in `span`."""

    @abstractmethod
    def trades(self, ask: Ask, market: Market, span: Span) -> AsyncIterator[Page]:
        """Trades of `span`."""


def younger(market: Market, oldest_ms: int) -> bool:
    """Whether a market began (as far as ccxt knows) about when its oldest trade was told."""
    created = market.get("created")
    return created is not None and oldest_ms <= int(created) + DAY_MS


def candle_of(start_ms: Any, row: list[Any]) -> Candle:
    """Of a row that goes on with open, high, low, close, volume."""
    price = [dec(value) for value in row]
    return Candle(start_ms=int(start_ms), open=price[0], high=price[1], low=price[2], close=price[3], volume=price[4])


def list_of(answer: Any) -> list[Any]:
    if not isinstance(answer, list):
        raise ValueError(f"a list was expected, not {str(answer)[:80]}")
    return answer


class WindowedCandles(Pages):
    """Candles of venues that answer the newest of a window, newest first.

    A window holds as many candles as a page may. Where it begins later than asked, it is asked for again up to there, until nothing comes:
    the page was smaller than thought, or the market younger.
    """

    most: ClassVar[int]

    @abstractmethod
    async def window(self, ask: Ask, market: Market, timeframe: str, window: Span) -> list[Candle]:
        """Up to a page of candles that open in `window`, in any order."""

    async def candles(self, ask: Ask, market: Market, timeframe: str, span: Span) -> AsyncIterator[Page]:
        """Forward, a window at a time."""
        at, step = span.start_ms, TIMEFRAMES[timeframe]
        while at < span.end_ms:
            end = left = min(at + self.most * step, span.end_ms)
            found: dict[int, Candle] = {}
            while left > at:
                rows = await self.window(ask, market, timeframe, Span(at, left))
                rows = [row for row in rows if at <= row.start_ms < left]
                if not rows:
                    break
                found |= {row.start_ms: row for row in rows}
                left = min(found)
            yield Page(rows=list(found.values()), whole=Span(at, end))
            at = end


def nanoseconds(text: str) -> int:
    """Of an ISO 8601 time in UTC with up to nine decimals."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * 1_000_000_000 + int(
        fraction.ljust(9, "0")[:9] or 0
    )
