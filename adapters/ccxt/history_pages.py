"""How each venue's past is paged through: one class a venue, its rules by number.

All of them yield a `Page` whose `whole` begins or ends where the span does and grows towards the other side, and may hold rows beyond the
span. `ask(method, query)` is one raw request of ccxt. Evidence: documentation of the venues, ccxt's source and, where it says so, what
others have measured; nothing here was run against a live venue.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from adapters.ccxt.hook import BadFrame
from adapters.ccxt.past import TIMEFRAMES, Candle, HistoryRefused, Page, PastTrade, Span
from adapters.ccxt.symbols import dec

Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]
Market = dict[str, Any]  # ccxt's

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
_SUSPECT = 100  # trades: a page of so many that brings nothing new may be cut off
_LOOK_BACK_S = 86_400  # a trade of the day before proves that a span's beginning is told
OFF_BOOK = frozenset(
    {"Assignment", "Block", "HedgeAssignment", "Rfq", "Unwind"}
)  # Kraken Futures' orders that trade elsewhere


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


def _younger(market: Market, oldest_ms: int) -> bool:
    """Whether a market began (as far as ccxt knows) about when its oldest trade was told."""
    created = market.get("created")
    return created is not None and oldest_ms <= int(created) + DAY_MS


def _candle(start_ms: Any, row: list[Any]) -> Candle:
    """Of a row that goes on with open, high, low, close, volume."""
    price = [dec(value) for value in row]
    return Candle(start_ms=int(start_ms), open=price[0], high=price[1], low=price[2], close=price[3], volume=price[4])


def _list(answer: Any) -> list[Any]:
    if not isinstance(answer, list):
        raise ValueError(f"a list was expected, not {str(answer)[:80]}")
    return answer


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
            rows = [_candle(row[0], row[1:6]) for row in _list(await ask(self.klines, query | {"limit": self.most}))]
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
        rows = _list(await ask(self.aggregates, {"symbol": market["id"], "limit": self.most, **query}))
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


class UsdmPages(BinancePages):
    """Binance USD-M perpetuals: the same rules on its own hosts; quantities are contracts."""

    klines: ClassVar = "fapipublic_get_klines"
    aggregates: ClassVar = "fapipublic_get_aggtrades"


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
        rows = [_candle(int(row[0]) * 1_000, [*row[1:5], row[6]]) for row in _of(await ask("public_get_ohlc", query))]
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


class _WindowedCandles(Pages):
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


class OkxPages(_WindowedCandles):
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
        return [_candle(row[0], row[1:6]) for row in rows if row[8] != "0"]

    async def trades(self, ask: Ask, market: Market, span: Span) -> AsyncIterator[Page]:
        """Backward: to the last one by time, then by id, however many share a millisecond."""
        after, begin = {"type": "2", "after": str(span.end_ms)}, span.end_ms
        while True:
            answer = await ask(
                "public_get_market_history_trades", {"instId": market["id"], "limit": str(self.page), **after}
            )
            rows = [self._read(row) for row in answer["data"]]
            if not rows:
                if _younger(market, begin):
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


class BybitPages(_WindowedCandles):
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
        return [_candle(row[0], row[1:6]) for row in rows]

    async def trades(self, ask: Ask, market: Market, span: Span) -> AsyncIterator[Page]:
        """Rule 2."""
        raise HistoryRefused(f"BYBIT {self.no_trades}", span)
        yield  # an iterator, like the others


class CoinbasePages(_WindowedCandles):
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
        return [_candle(int(row["start"]) * 1_000, [row[name] for name in names]) for row in rows]

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
            if ended and oldest != "1" and not _younger(market, begin):
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
            ts_ns=_nanoseconds(row["time"]),
            side={"BUY": "sell", "SELL": "buy"}[row["side"]],
            price=dec(row["price"]),
            quantity=dec(row["size"]),
        )


class KrakenFuturesPages(_WindowedCandles):
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
        return _nanoseconds((await exchange.public_get_instruments_status())["serverTime"]) // 1_000_000

    async def window(self, ask: Ask, market: Market, timeframe: str, window: Span) -> list[Candle]:
        """Rule 1."""
        named = {"price_type": "trade", "symbol": market["id"], "interval": self.timeframes[timeframe]}
        edges = {"from": window.start_ms // 1_000, "to": (window.end_ms - 1) // 1_000}
        answer = await ask("charts_get_price_type_symbol_interval", named | edges)
        if not answer["more_candles"]:
            names = ("open", "high", "low", "close", "volume")
            return [_candle(row["time"], [row[name] for name in names]) for row in answer["candles"]]
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
        if oldest_ms <= span.start_ms or _younger(market, oldest_ms):
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


def _nanoseconds(text: str) -> int:
    """Of an ISO 8601 time in UTC with up to nine decimals."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * 1_000_000_000 + int(
        fraction.ljust(9, "0")[:9] or 0
    )


PAGES: dict[str, type[Pages]] = {
    "binance": BinancePages,
    "binanceusdm": UsdmPages,
    "bybit": BybitPages,
    "coinbase": CoinbasePages,
    "kraken": KrakenPages,
    "krakenfutures": KrakenFuturesPages,
    "okx": OkxPages,
}
