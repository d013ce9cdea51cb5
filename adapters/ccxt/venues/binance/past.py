"""How the past of Binance is paged through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

from adapters.ccxt.hook import BadFrame
from adapters.ccxt.past.pages import Ask, Market, Pages, candle_of, list_of
from adapters.ccxt.past.told import TIMEFRAMES, HistoryRefused, Page, PastTrade, Span
from adapters.ccxt.symbols import dec

HOUR_MS = 3_600_000


class BinancePages(Pages):
    """Spot.

    1. `klines` answers up to 1000 candles from `startTime` on, oldest first; minutes without a trade have one, of volume 0.
    2. Single trades of the past need a key and ten times the weight: rows are aggregate trades (one taker order at one price).
    3. `aggTrades` goes by time over less than an hour, or by id. Whether a window of more than 1000 answers its first or its last ones is
       told both ways: the first page is searched by time and then walked back by id until it begins before the span.
    4. Ids of aggregate trades have no holes: pages by id can neither skip nor repeat, however many trades share a millisecond.
    5. How long trades are told is not promised (of contracts a year or less): an empty beginning is held against the oldest id there is.
    """

    timeframes: ClassVar = {name: name for name in TIMEFRAMES}
    most: ClassVar = 1_000
    klines: ClassVar = "public_get_klines"
    aggregates: ClassVar = "public_get_aggtrades"

    async def candles(self, ask: Ask, market: Market, timeframe: str, span: Span) -> AsyncIterator[Page]:
        """Forward by time."""
        at, step = span.start_ms, TIMEFRAMES[timeframe]
        while at < span.end_ms:
            query = {"symbol": market["id"], "interval": timeframe, "startTime": at, "endTime": span.end_ms - 1}
            rows = [
                candle_of(row[0], row[1:6]) for row in list_of(await ask(self.klines, query | {"limit": self.most}))
            ]
            end = rows[-1].start_ms + step if rows else span.end_ms
            if end <= at:
                raise BadFrame(f"{market['id']}: candles from {at} on end before it")
            yield Page(rows=rows, whole=Span(at, min(end, span.end_ms)))
            at = end

    async def trades(self, ask: Ask, market: Market, span: Span) -> AsyncIterator[Page]:
        """To the first id, then forward by id."""
        first, kept_ms = await self._first(ask, market, span)
        begin = min(max(span.start_ms, kept_ms), span.end_ms)
        if first is None:
            yield Page(rows=[], whole=Span(begin, span.end_ms))
        while first is not None:
            rows = await self._aggregates(ask, market, {"fromId": first})
            if rows and int(rows[0]["a"]) != first:
                raise BadFrame(f"{market['id']}: asked for aggregate trade {first}, got {rows[0]['a']}")
            over = not rows or int(rows[-1]["T"]) >= span.end_ms
            end = span.end_ms if over else max(begin, int(rows[-1]["T"]))
            yield Page(rows=self._read(rows), whole=Span(begin, end))
            first = None if over else int(rows[-1]["a"]) + 1
        if begin > span.start_ms:
            raise HistoryRefused(f"{market['id']}: older trades are no longer told", Span(span.start_ms, begin))

    async def _first(self, ask: Ask, market: Market, span: Span) -> tuple[int | None, int]:
        """The id of the span's first trade (None: it has none), and the moment before which no trades are told, if that is later than
        the span's beginning."""
        first, at = None, span.start_ms
        while at < span.end_ms and first is None:
            end = min(at + HOUR_MS, span.end_ms)
            if rows := await self._aggregates(ask, market, {"startTime": at, "endTime": end - 1}):
                first = int(rows[0]["a"])
            elif at == span.start_ms and (rows := await self._aggregates(ask, market, {"fromId": 0, "limit": 1})):
                oldest, oldest_ms = int(rows[0]["a"]), int(rows[0]["T"])
                if oldest_ms > at:  # the market is younger, or the venue forgets
                    return oldest if oldest_ms < span.end_ms else None, oldest_ms if oldest > 1 else 0
            at = end
        while first is not None and first > 0:
            before = max(0, first - self.most)
            rows = await self._aggregates(ask, market, {"fromId": before})
            if not rows:
                raise BadFrame(f"{market['id']}: no aggregate trades from {before} on, but {first} was told")
            if (
                int(rows[0]["a"]) > max(before, 1) and int(rows[0]["T"]) >= span.start_ms
            ):  # what was asked for is forgotten
                return int(rows[0]["a"]), int(rows[0]["T"])
            earlier = [int(row["a"]) for row in rows if int(row["a"]) < first and int(row["T"]) >= span.start_ms]
            if not earlier:
                break
            first = earlier[0]
        return first, 0

    async def _aggregates(self, ask: Ask, market: Market, query: dict[str, int]) -> list[dict[str, Any]]:
        rows = list_of(await ask(self.aggregates, {"symbol": market["id"], "limit": self.most, **query}))
        ids = [int(row["a"]) for row in rows]
        if ids and ids != list(range(ids[0], ids[0] + len(ids))):
            raise BadFrame(f"{market['id']}: the ids of aggregate trades {ids[0]} to {ids[-1]} have holes")
        return rows

    def _read(self, rows: list[dict[str, Any]]) -> list[PastTrade]:
        return [
            PastTrade(
                trade_id=str(row["a"]),
                ts_ns=int(row["T"]) * 1_000_000,
                side="sell" if row["m"] else "buy",
                price=dec(row["p"]),
                quantity=dec(row["q"]),
                parts=int(row["l"]) - int(row["f"]) + 1,
            )
            for row in rows
        ]
