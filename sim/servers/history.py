"""What the loopback exchanges answer when they are asked for candles and trades of the past: the venues' own limits, orders and edges.

    Binance    klines: the first `limit` (1000; USD-M 1500) from `startTime` on
               aggTrades: the first `limit` (1000) of less than an hour, or from `fromId` on
    Kraken     OHLC: the last 720 after `since`, and the open one · Trades: the first `count` (1000) after `since` ns
    OKX        candles, history-candles: the newest `limit` (300) between `before` and `after`, neither included
               history-trades: the newest `limit` (100) before a trade or, type 2, a moment
    Bybit      kline: the newest `limit` (1000) from `start` to `end`; no trades of the past
    Kraken Futures  charts: the first 2000 from `from` to `to`, and whether there are more (others measured that; the documentation has
               no number) · executions: the first or the newest `count` (1000) between `since` and `before`, and a token to go on by
    Coinbase   candles: all from `start` to `end`, 350 at most, none without a trade
               ticker: the newest `limit` (1000) trades from `start` to `end`

The open candle is told like any other. Sources: the venues' documentation; of the words of refusals only those with a code are theirs.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np

from sim.instruments import VenueInstrument
from sim.servers.binance import wire as binance_wire
from sim.servers.bybit import wire as bybit_wire
from sim.servers.coinbase import wire as coinbase_wire
from sim.servers.kraken import wire as kraken_wire
from sim.servers.krakenfutures import wire as futures_wire
from sim.servers.okx import wire as okx_wire
from sim.servers.past import Bars, Past, Prints

_MINUTES = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480}
_MINUTES |= {"12h": 720, "1d": 1_440}
HOUR_MS = 3_600_000
OKX_TRADES_MS = 90 * 86_400_000
_OKX_BARS = {name if name[-1] == "m" else name[:-1] + name[-1].upper(): minutes for name, minutes in _MINUTES.items()}
_OKX_BARS = {name + "utc" * (minutes >= 360): minutes for name, minutes in _OKX_BARS.items() if name != "8H"}
_BYBIT_BARS = {"D": 1_440} | {str(minutes): minutes for minutes in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)}
_FUTURES_BARS = {name: _MINUTES[name] for name in ("1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d")}
FUTURES_CANDLES = 2_000
_COINBASE_BARS = {"ONE_MINUTE": 1, "FIVE_MINUTE": 5, "FIFTEEN_MINUTE": 15, "THIRTY_MINUTE": 30, "ONE_HOUR": 60}
_COINBASE_BARS |= {"TWO_HOUR": 120, "SIX_HOUR": 360, "ONE_DAY": 1_440}


def _bars(past: Past, step_ms: int, first_ms: int, last_ms: int, most: int, *, newest: bool) -> Bars:
    """Candles that open from `first_ms` to `last_ms`, the first or the newest `most` of them."""
    first, last = -(-first_ms // step_ms) * step_ms, last_ms // step_ms * step_ms
    if newest:
        first = max(first, last - (most - 1) * step_ms)
    else:
        last = min(last, first + (most - 1) * step_ms)
    if last < first:
        return Bars(*(np.empty(0, dtype=np.int64) for _ in Bars._fields))
    return past.bars(step_ms, first, last)


# ---- Binance -----------------------------------------------------------------------------------------------------------------------------


def binance_klines(
    past: Past, one: VenueInstrument, query: dict[str, str], now_ms: int, most: int = 1_000
) -> list[list[object]]:
    """`GET /api/v3/klines` and its twin of USD-M."""
    minutes = _MINUTES.get(str(query.get("interval")))
    if minutes is None:
        raise binance_wire.BinanceError(-1120, "Invalid interval.")
    step, limit = minutes * 60_000, min(most, int(query.get("limit") or 500))
    last_ms = min(int(query.get("endTime") or now_ms), now_ms)
    first_ms = int(query["startTime"]) if "startTime" in query else last_ms - limit * step
    bars = _bars(past, step, first_ms, last_ms, limit, newest="startTime" not in query)
    price, size = one.price_decimals, one.size_decimals
    return [
        [
            start,
            *(binance_wire.text(value, price) for value in (opened, high, low, close)),
            binance_wire.text(volume, size),
            start + step - 1,
            binance_wire.text(turnover, price + size)
            if price + size <= 8
            else f"{turnover / 10 ** (price + size):.8f}",
            count,
            "0.00000000",
            "0.00000000",
            "0",
        ]
        for start, opened, high, low, close, volume, turnover, count in _rows(bars)
    ]


def binance_aggregates(past: Past, one: VenueInstrument, query: dict[str, str]) -> list[dict[str, object]]:
    """`GET /api/v3/aggTrades` and its twin of USD-M; each trade is an aggregate of its own."""
    limit = min(1_000, int(query.get("limit") or 500))
    timed = {name: int(query[name]) for name in ("startTime", "endTime") if name in query}
    if "fromId" in query:
        if timed:
            raise binance_wire.BinanceError(-1128, "Combination of optional parameters invalid.")
        first = int(query["fromId"])
        end = first + limit
    elif timed:
        begin_ms = timed.get("startTime", 0)
        end_ms = timed.get("endTime", begin_ms + HOUR_MS - 1)
        if end_ms - begin_ms >= HOUR_MS:
            raise binance_wire.BinanceError(-1127, "More than 1 hours between startTime and endTime.")
        first = past.first_at(begin_ms)
        end = min(first + limit, past.first_at(end_ms + 1))
    else:
        first, end = max(0, past.total - limit), past.total
    return [
        {
            "a": number,
            "p": binance_wire.text(price, one.price_decimals),
            "q": binance_wire.text(size, one.size_decimals),
            "f": trade_id,
            "l": trade_id,
            "T": ts_ns // 1_000_000,
            "m": side < 0,
            "M": True,
        }
        for number, trade_id, price, size, side, ts_ns in _rows(past.prints(first, end))
    ]


# ---- Kraken ------------------------------------------------------------------------------------------------------------------------------


def kraken_candles(past: Past, one: VenueInstrument, query: dict[str, str], now_ms: int) -> dict[str, object]:
    """`GET /0/public/OHLC`."""
    interval = str(query.get("interval") or 1)
    if interval not in ("1", "5", "15", "30", "60", "240", "1440"):
        raise kraken_wire.KrakenError("EGeneral:Invalid arguments:interval")
    step = int(interval) * 60_000
    open_ms = now_ms // step * step
    after_ms = int(Decimal(query.get("since") or 0) * 1_000) + 1
    bars = _bars(past, step, min(after_ms, open_ms), open_ms, 721, newest=True)
    price, size = one.price_decimals, one.size_decimals
    rows = [
        [
            start // 1_000,
            *(kraken_wire.text(value, price) for value in (opened, high, low, close)),
            kraken_wire.text(turnover // volume, price) if volume else "0.0",
            kraken_wire.text(volume, size),
            count,
        ]
        for start, opened, high, low, close, volume, turnover, count in _rows(bars)
    ]
    return {kraken_wire.pair_id(one.symbol): rows, "last": (open_ms - step) // 1_000}


def kraken_trades(past: Past, one: VenueInstrument, query: dict[str, str]) -> dict[str, object]:
    """`GET /0/public/Trades`."""
    count = min(1_000, int(query.get("count") or 1_000))
    since_ns = int(query["since"]) if query.get("since") else None
    if since_ns is None:
        trades = past.prints(max(0, past.total - count), past.total)
    else:
        since_ns *= 1 if since_ns > 10**14 else 10**9  # a time in seconds is taken as well
        first = past.first_at(since_ns // 1_000_000)
        trades = past.prints(first, first + 2_000)
        trades = Prints(*(column[trades.ts_ns > since_ns][:count] for column in trades))
    rows = [
        [
            kraken_wire.text(price, one.price_decimals),
            kraken_wire.text(size, one.size_decimals),
            ts_ns / 1e9,
            "b" if side > 0 else "s",
            "m",
            "",
            trade_id,
        ]
        for _, trade_id, price, size, side, ts_ns in _rows(trades)
    ]
    last_ns = int(trades.ts_ns[-1]) if rows else since_ns or 0
    return {kraken_wire.pair_id(one.symbol): rows, "last": str(last_ns)}


# ---- OKX ---------------------------------------------------------------------------------------------------------------------------------


def okx_candles(past: Past, one: VenueInstrument, query: dict[str, str], now_ms: int) -> list[list[str]]:
    """`GET /api/v5/market/candles` and `…/history-candles`."""
    minutes = _OKX_BARS.get(str(query.get("bar") or "1m"))
    if minutes is None:
        raise okx_wire.OkxError("51000", "Parameter bar error")
    step, limit = minutes * 60_000, min(300, int(query.get("limit") or 100))
    last_ms = min(int(query["after"]) - 1 if query.get("after") else now_ms, now_ms)
    first_ms = int(query["before"]) + 1 if query.get("before") else 0
    bars = _bars(past, step, first_ms, last_ms, limit, newest=True)
    price, size = one.price_decimals, one.size_decimals
    rows = [
        [
            str(start),
            *(okx_wire.text(value, price) for value in (opened, high, low, close)),
            okx_wire.text(volume, size),
            okx_wire.text(turnover, price + size),
            okx_wire.text(turnover, price + size),
            str(int(start + step <= now_ms)),
        ]
        for start, opened, high, low, close, volume, turnover, _ in _rows(bars)
    ]
    return rows[::-1]


def okx_trades(past: Past, one: VenueInstrument, query: dict[str, str], now_ms: int) -> list[dict[str, object]]:
    """`GET /api/v5/market/history-trades`."""
    limit = min(100, int(query.get("limit") or 100))
    end = past.total
    if query.get("after"):
        after = int(query["after"])
        end = past.first_at(after) if query.get("type") == "2" else past.number_of(after)
    begin = max(past.first_at(now_ms - OKX_TRADES_MS), end - limit)
    if query.get("before") and query.get("type") != "2":
        begin = max(begin, past.number_of(int(query["before"])) + 1)
    rows = [
        okx_wire.trade(one, (trade_id, price, size, side, ts_ns // 1_000_000))
        for _, trade_id, price, size, side, ts_ns in _rows(past.prints(begin, end))
    ]
    return rows[::-1]


# ---- Bybit -------------------------------------------------------------------------------------------------------------------------------


def bybit_klines(past: Past, one: VenueInstrument, query: dict[str, str], now_ms: int) -> list[list[str]]:
    """The `list` of `GET /v5/market/kline`."""
    minutes = _BYBIT_BARS.get(str(query.get("interval")))
    if minutes is None:
        raise bybit_wire.BybitError(10001, "Invalid period!")
    step, limit = minutes * 60_000, min(1_000, int(query.get("limit") or 200))
    last_ms = min(int(query.get("end") or now_ms), now_ms)
    bars = _bars(past, step, int(query.get("start") or 0), last_ms, limit, newest=True)
    price, size = one.price_decimals, one.size_decimals
    rows = [
        [
            str(start),
            *(bybit_wire.text(value, price) for value in (opened, high, low, close)),
            bybit_wire.text(volume, size),
            bybit_wire.amount(Decimal(turnover).scaleb(-price - size)),
        ]
        for start, opened, high, low, close, volume, turnover, _ in _rows(bars)
    ]
    return rows[::-1]


# ---- Coinbase ----------------------------------------------------------------------------------------------------------------------------


def coinbase_candles(past: Past, one: VenueInstrument, query: dict[str, str], now_ms: int) -> list[dict[str, str]]:
    """The `candles` of `GET …/products/{product_id}/candles`."""
    minutes = _COINBASE_BARS.get(str(query.get("granularity")))
    if minutes is None or not query.get("start") or not query.get("end"):
        raise coinbase_wire.CoinbaseError(400, "INVALID_ARGUMENT", "start, end and granularity are needed")
    step, first_ms, last_ms = minutes * 60_000, int(query["start"]) * 1_000, int(query["end"]) * 1_000
    if (last_ms - first_ms) // step >= 350:
        raise coinbase_wire.CoinbaseError(
            400, "INVALID_ARGUMENT", "number of candles requested should be less than 350"
        )
    bars = _bars(past, step, first_ms, min(last_ms, now_ms), 350, newest=True)
    price, size = one.price_decimals, one.size_decimals
    rows = [
        {
            "start": str(start // 1_000),
            "low": okx_wire.text(low, price),
            "high": okx_wire.text(high, price),
            "open": okx_wire.text(opened, price),
            "close": okx_wire.text(close, price),
            "volume": okx_wire.text(volume, size),
        }
        for start, opened, high, low, close, volume, _, count in _rows(bars)
        if count
    ]
    return rows[::-1]


def coinbase_trades(past: Past, one: VenueInstrument, query: dict[str, str]) -> list[dict[str, str]]:
    """The `trades` of `GET …/products/{product_id}/ticker`; `side` is the maker's."""
    limit = min(1_000, int(query.get("limit") or 100))
    begin = past.first_at(int(query["start"]) * 1_000) if query.get("start") else 0
    end = past.first_at(int(query["end"]) * 1_000 + 1) if query.get("end") else past.total
    rows = [
        {
            "trade_id": str(trade_id),
            "product_id": one.symbol.replace("/", "-"),
            "price": okx_wire.text(price, one.price_decimals),
            "size": okx_wire.text(size, one.size_decimals),
            "time": datetime.fromtimestamp(ts_ns // 1_000 / 1e6, UTC).isoformat(timespec="microseconds")[:26] + "Z",
            "side": "SELL" if side > 0 else "BUY",
            "bid": "",
            "ask": "",
            "exchange": "coinbase",
        }
        for _, trade_id, price, size, side, ts_ns in _rows(past.prints(max(begin, end - limit), end))
    ]
    return rows[::-1]


# ---- Kraken Futures ----------------------------------------------------------------------------------------------------------------------


def krakenfutures_candles(past: Past, one: VenueInstrument, query: dict[str, str], now_ms: int) -> dict[str, object]:
    """`GET /api/charts/v1/trade/{symbol}/{resolution}`; a name of a resolution is read in either case."""
    minutes = _FUTURES_BARS.get(str(query.get("interval")).lower())
    if minutes is None:
        raise futures_wire.KrakenFuturesError("Invalid resolution")
    step = minutes * 60_000
    last_ms = min(int(query["to"]) * 1_000 if query.get("to") else now_ms, now_ms)
    first_ms = int(query["from"]) * 1_000 if query.get("from") else last_ms - (FUTURES_CANDLES - 1) * step
    most = min(FUTURES_CANDLES, int(query.get("count") or FUTURES_CANDLES))
    bars = _bars(past, step, first_ms, last_ms, most, newest=False)
    names, price, size = ("open", "high", "low", "close"), one.price_decimals, one.size_decimals
    rows = [
        {
            "time": start,
            **{name: okx_wire.text(value, price) for name, value in zip(names, numbers, strict=True)},
            "volume": okx_wire.text(volume, size),
        }
        for start, *numbers, volume, _, _ in _rows(bars)
    ]
    return {"candles": rows, "more_candles": bool(rows) and rows[-1]["time"] + step <= last_ms}


def krakenfutures_executions(past: Past, one: VenueInstrument, query: dict[str, str]) -> dict[str, object]:
    """`GET /api/history/v3/market/{symbol}/executions`, `since` and `before` included; the orders of strangers have made-up ids."""
    forward, count = query.get("sort") == "asc", min(1_000, int(query.get("count") or 1_000))
    first = past.first_at(int(query["since"])) if query.get("since") else 0
    end = past.first_at(int(query["before"]) + 1) if query.get("before") else past.total
    if token := query.get("continuation_token"):
        number = _number_in(token)
        first, end = (number + 1, end) if forward else (first, number)
    prints = past.prints(first, min(end, first + count)) if forward else past.prints(max(first, end - count), end)
    rows = [
        futures_wire.execution(one, trade_id, price, size, side, ts_ns // 1_000_000)
        for _, trade_id, price, size, side, ts_ns in _rows(prints)
    ]
    answer: dict[str, object] = {"elements": rows if forward else rows[::-1], "len": len(rows)}
    if len(rows) == count:
        at = -1 if forward else 0
        told = f"{int(prints.ts_ns[at]) // 1_000_000}/{int(prints.number[at])}"
        answer["continuationToken"] = base64.b64encode(told.encode()).decode()
    return answer


def _number_in(token: str) -> int:
    try:
        return int(base64.b64decode(token, validate=True).decode().partition("/")[2])
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise futures_wire.KrakenFuturesError("invalidArgument: continuation_token") from None


def _rows(columns: Bars | Prints) -> list[tuple[int, ...]]:
    """Rows of plain integers."""
    return list(zip(*(column.tolist() for column in columns), strict=True))
