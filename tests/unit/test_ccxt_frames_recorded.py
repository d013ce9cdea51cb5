"""Recorded public frames of the venues are read from their text, field for field what the long way makes of them."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import orjson
import pytest

from adapters.ccxt.dialect import Decoded
from adapters.ccxt.events import Stream
from adapters.ccxt.venues.binanceusdm.dialect import BinanceUsdmMarketDialect
from adapters.ccxt.venues.bybit.dialect import BybitMarketDialect
from adapters.ccxt.venues.kraken.dialect import KrakenMarketDialect
from adapters.ccxt.venues.krakenfutures.dialect import KrakenFuturesMarketDialect
from adapters.ccxt.venues.okx.dialect import OkxMarketDialect
from tests.recorded_data import MESSAGES

pytestmark = pytest.mark.skipif(not MESSAGES.is_dir(), reason="the recorded frames are not here")

FRAMES = [
    (BinanceUsdmMarketDialect, "binance/futures/market_data_json/book_ticker_stream", Stream.QUOTES),
    (BinanceUsdmMarketDialect, "binance/futures/market_data_json/depth_update_stream", Stream.BOOK),
    (BinanceUsdmMarketDialect, "binance/futures/market_data_json/trade_stream", Stream.TRADES),
    (BybitMarketDialect, "bybit/ws_orderbook_snapshot", Stream.QUOTES),
    (KrakenMarketDialect, "kraken/ws_book_snapshot", Stream.BOOK),
    (KrakenMarketDialect, "kraken/ws_book_update", Stream.BOOK),
    (KrakenMarketDialect, "kraken/ws_ticker_snapshot", Stream.QUOTES),
    (KrakenMarketDialect, "kraken/ws_trade_update", Stream.TRADES),
    (KrakenFuturesMarketDialect, "kraken/ws_futures_book_delta", Stream.BOOK),
    (KrakenFuturesMarketDialect, "kraken/ws_futures_ticker", Stream.FUNDING),
    (KrakenFuturesMarketDialect, "kraken/ws_futures_trade", Stream.TRADES),
    (OkxMarketDialect, "okx/ws_bbo_tbt", Stream.QUOTES),
    (OkxMarketDialect, "okx/ws_books_snapshot", Stream.BOOK),
    (OkxMarketDialect, "okx/ws_books_update", Stream.BOOK),
    (OkxMarketDialect, "okx/ws_trades", Stream.TRADES),
]
OTHERS = [
    "okx/ws_tickers",
    "okx/ws_orders",
    "okx/ws_candle",
    "kraken/ws_ohlc_update",
    "kraken/ws_pong",
    "bybit/ws_kline",
]
DIALECTS = {"okx": OkxMarketDialect, "kraken": KrakenMarketDialect, "bybit": BybitMarketDialect}


def compact(name: str) -> str:
    """The file without the blanks it was laid out with; digits and their order stay as they are."""
    parts = re.split(r'("(?:[^"\\]|\\.)*")', (MESSAGES / f"{name}.json").read_text())
    return "".join(part if part.startswith('"') else re.sub(r"\s", "", part) for part in parts)


def plain(value: Any, like: Any) -> Any:
    """A typed piece as the long way would give it, in the fields it has."""
    match value:
        case tuple() | list():
            return [plain(one, other) for one, other in zip(value, like, strict=True)]
        case msgspec.Raw():
            return orjson.loads(bytes(value))
        case msgspec.Struct():
            fields = {name: getattr(value, name) for name in value.__struct_fields__}
            assert all(name in like for name, one in fields.items() if one is not None)
            return {name: plain(one, like.get(name)) for name, one in fields.items() if name in like}
    return value


def kept(value: Any, like: Any) -> Any:
    """Of the long way's piece what the typed one has."""
    match like:
        case tuple() | list() if isinstance(value, tuple | list):
            return [kept(one, other) for one, other in zip(value, like, strict=True)]
        case msgspec.Struct():
            return {name: kept(value[name], getattr(like, name)) for name in like.__struct_fields__ if name in value}
    return value


@pytest.mark.parametrize(("dialect", "name", "stream"), FRAMES, ids=[name for _, name, _ in FRAMES])
def test_a_recorded_frame_says_the_same_either_way(dialect: type, name: str, stream: Stream) -> None:
    text = compact(name)
    typed: list[Decoded] = dialect().frame(text)
    long: list[Decoded] = dialect().split(orjson.loads(text))
    assert typed and [(piece.stream, piece.market_id) for piece in typed] == [(p.stream, p.market_id) for p in long]
    assert {piece.stream for piece in typed} == {stream}
    for ours, theirs in zip(typed, long, strict=True):
        assert plain(ours.raw, theirs.raw) == kept(theirs.raw, ours.raw)


@pytest.mark.parametrize("name", OTHERS)
def test_frames_of_other_streams_are_not_read(name: str) -> None:
    assert DIALECTS[name.split("/")[0]]().frame(compact(name)) is None
