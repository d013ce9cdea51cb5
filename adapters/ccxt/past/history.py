"""The past of one exchange's markets by REST, exactly: closed candles and public trades of a span, page by page.

Each page says which part of the span is whole with it, so that whoever stores pages can stop anywhere and never ask for that part again.

1. Numbers are the venue's digits: answers are decoded without floats.
2. The open candle is never told, nor the trades of the last seconds: by the venue's own clock, what ended less than `SETTLE_MS` ago waits.
3. A candle that contradicts itself, lies off its timeframe or outside of what was asked is a `BadFrame`, not data.
4. Trades are told once by their id. A page that cannot be passed (more trades in one moment than a page holds) is refused, not skipped.
5. Requests go through ccxt's throttle with the venue's weights, slowed down to `share` of what the venue allows: a desk on the same host
   has the rest; where the venue's headers say that most of a limit is used, they wait. What fails for a moment is asked again (these
   requests change nothing); every attempt counts in `requests`.

What a venue cannot tell is a `HistoryRefused` in words, with the part of the span it is about. Imports nothing of the engine.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from typing import Any

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.limits.bucket import RateLimited
from adapters.ccxt.limits.purse import purse_of
from adapters.ccxt.pace import backoff_s
from adapters.ccxt.past.told import TIMEFRAMES, Candle, HistoryRefused, Page, Span
from adapters.ccxt.venues.registry import VENUES

SETTLE_MS = 2_000
TRIES = 6


class HistoryFault(Exception):
    """The venue did not answer, or with nonsense. `retryable`: it may do better later."""

    def __init__(self, reason: str, *, retryable: bool) -> None:
        super().__init__(reason)
        self.retryable = retryable


class History:
    """The past of one exchange. `share`: the part of the venue's rate limit that may be used. Use as `async with`."""

    def __init__(self, config: ExchangeConfig, *, share: float = 0.5) -> None:
        self.venue = config.venue
        self.requests = 0
        self._config = config
        self._share = share
        if config.exchange not in VENUES:
            told = ", ".join(name.upper() for name in VENUES)
            raise HistoryRefused(
                f"how to page through the past of {config.venue} is not known; it is of {told}", Span(0, 0)
            )
        self._pages = VENUES[config.exchange].past()
        self._purse = purse_of(config)
        self._exchange: Any = None
        self._rng = random.Random()

    async def __aenter__(self) -> History:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._exchange is not None:
            await self._exchange.close()

    def timeframes(self) -> list[str]:
        """Those of `TIMEFRAMES` that the venue has."""
        return [name for name in TIMEFRAMES if name in self._pages.timeframes]

    def tells(self, kind: str, timeframe: str, span: Span) -> None:
        """Refuse, without a request, what the venue never tells. Raises HistoryRefused."""
        if kind == "trades" and (never := self._pages.no_trades):
            raise HistoryRefused(f"{self.venue} {never}", span)
        if kind == "candles" and timeframe not in self.timeframes():
            raise HistoryRefused(f"{self.venue} has no candles of {timeframe}: {', '.join(self.timeframes())}", span)

    async def settled_ms(self) -> int:
        """What ended before this moment, by the venue's clock, changes no more."""
        exchange = await self._ready()
        return int(await self._tried(self._pages.now_ms, exchange)) - SETTLE_MS

    async def candles(self, symbol: str, timeframe: str, span: Span) -> AsyncIterator[Page]:
        """Candles that open in `span`, which ends where a settled candle does."""
        self.tells("candles", timeframe, span)
        market = await self._market(symbol, span)
        step = TIMEFRAMES[timeframe]
        async for page in readable(self.venue, self._pages.candles(self.ask, market, timeframe, span)):
            rows = sorted((row for row in page.rows if _within(row.start_ms, span)), key=lambda row: row.start_ms)
            for before, row in zip([None, *rows], rows, strict=False):
                check(row, step)
                if before is not None and before.start_ms == row.start_ms:
                    raise BadFrame(f"{self.venue} told the candle of {row.start_ms} twice")
            yield Page(rows=rows, whole=page.whole)

    async def trades(self, symbol: str, span: Span) -> AsyncIterator[Page]:
        """Public trades of `span`, which has settled."""
        self.tells("trades", "", span)
        market = await self._market(symbol, span)
        told: set[str] = set()  # of the last two pages: what overlaps is at the seam
        last: set[str] = set()
        async for page in readable(self.venue, self._pages.trades(self.ask, market, span)):
            rows = [row for row in page.rows if _within(row.ts_ns // 1_000_000, span)]
            fresh = {row.trade_id: row for row in rows if row.trade_id not in told and row.trade_id not in last}
            told, last = last, {row.trade_id for row in rows} | (last if not fresh else set())
            yield Page(rows=sorted(fresh.values(), key=lambda row: row.ts_ns), whole=page.whole)

    async def ask(self, method: str, query: dict[str, Any]) -> Any:
        """One of ccxt's raw REST methods, such as `public_get_klines`; the venue's answer with its numbers as text."""
        exchange = await self._ready()
        answer = await self._tried(getattr(exchange, method), query)
        if not isinstance(answer, dict | list):  # ccxt gives text back that is no JSON
            raise BadFrame(f"{self.venue}: {method} answered with what is no JSON")
        return answer

    async def _ready(self) -> Any:
        if self._exchange is None:
            exchange = VENUES[self._config.exchange].market().create(self._config)
            exchange.enableRateLimit = True
            listed = exchange.describe()["rateLimit"]  # of ccxt's class: the dialect may have lowered it for the link
            exchange.rateLimit = listed / self._share
            exchange.tokenBucket = None
            exchange.init_rest_rate_limiter()
            exchange.on_json_response = _digits
            fetch = exchange.fetch

            async def counted(*args: Any, **kwargs: Any) -> Any:
                self.requests += 1
                return await fetch(*args, **kwargs)

            exchange.fetch = counted
            exchange.on_snapshot = lambda symbol, raw: None
            if self._purse is not None:  # it hears from the venue what others on this address use
                self._purse.attach(exchange)
            self._exchange = exchange
        return self._exchange

    async def _market(self, symbol: str, span: Span) -> dict[str, Any]:
        exchange = await self._ready()
        await self._tried(exchange.load_markets)
        if symbol not in exchange.markets:
            raise HistoryRefused(f"{self.venue} does not list {symbol}", span)
        market: dict[str, Any] = exchange.markets[symbol]
        return market

    async def _tried(self, request: Any, *args: Any) -> Any:
        """The answer, asked for again after a passing fault. Raises HistoryFault."""
        import ccxt

        for attempt in range(TRIES):
            try:
                return await request(*args)
            except RateLimited as error:
                raise HistoryFault(f"{self.venue}: {error}", retryable=True) from error
            except ccxt.NetworkError as error:
                if attempt == TRIES - 1:
                    raise HistoryFault(f"{self.venue}: {_line(error)}", retryable=True) from error
                await asyncio.sleep(max(backoff_s(attempt + 1, self._rng), self._told_to_wait_s(error)))
            except ccxt.BaseError as error:
                raise HistoryFault(f"{self.venue}: {_line(error)}", retryable=False) from error
        raise AssertionError

    def _told_to_wait_s(self, error: Exception) -> float:
        """`Retry-After` of a refusal for too many requests, at most a minute."""
        import ccxt

        if not isinstance(error, ccxt.DDoSProtection):
            return 0.0
        headers = self._exchange.last_response_headers or {}
        wanted = next((value for name, value in headers.items() if name.lower() == "retry-after"), "1")
        return min(60.0, float(wanted)) if wanted.isdigit() else 1.0


async def readable(venue: str, pages: AsyncIterator[Page]) -> AsyncIterator[Page]:
    """Pages; an answer that is not of the form that the venue's rules give it is a `BadFrame`."""
    try:
        async for page in pages:
            yield page
    except BadFrame:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise BadFrame(f"{venue}: an answer that cannot be read: {_line(error)}") from error


def _within(ms: int, span: Span) -> bool:
    return span.start_ms <= ms < span.end_ms


def check(row: Candle, step_ms: int) -> None:
    """Raises `BadFrame` on a candle that cannot be."""
    if row.start_ms % step_ms:
        raise BadFrame(f"a candle of {row.start_ms} does not begin where its timeframe does")
    if not 0 < row.low <= min(row.open, row.close) <= max(row.open, row.close) <= row.high or row.volume < 0:
        raise BadFrame(f"the candle of {row.start_ms} contradicts itself: {row}")


def _digits(body: str) -> Any:
    """JSON with its fractions as the text they are."""
    return json.loads(body, parse_float=str)


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
