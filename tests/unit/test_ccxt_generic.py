"""What is read generically: floats taken exactly or not at all, ccxt's books under our rules, its trades once, its markets or a refusal."""

import asyncio
import math
from decimal import Decimal
from types import SimpleNamespace

import ccxt
import ccxt.pro
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.catalogue import EXCHANGES, GENERIC, known
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import Decoded
from adapters.ccxt.events import BookEventKind, Stream
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.venues.generic.book import GenericBook, floored_units, units
from adapters.ccxt.venues.generic.dialect import GenericMarketDialect
from tests.unit.coinbase_messages import market

CLEAR, SNAPSHOT, UPDATE = BookEventKind.CLEAR, BookEventKind.SNAPSHOT, BookEventKind.UPDATE


def config(exchange: str = "gate", *symbols: str) -> ExchangeConfig:
    return ExchangeConfig(venue=exchange.upper(), exchange=exchange, symbols=symbols or ("BTC/USDT",))


def test_the_catalogue_is_what_ccxt_pro_has():
    assert set(EXCHANGES) <= set(ccxt.pro.exchanges)
    assert set(GENERIC) == set(ccxt.pro.exchanges) - set(EXCHANGES)
    assert known("kucoin")
    assert known("kraken")
    assert not known("bitmex")
    with pytest.raises(ValueError, match="'bitmex' is not supported; there are binance"):
        config("bitmex")


# --- numbers ---------------------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 9), st.data())
def test_the_float_of_any_decimal_number_is_taken_as_that_number(decimals: int, data: st.DataObject):
    value = data.draw(st.integers(0, 2**50 - 1))
    text = Decimal(value).scaleb(-decimals)
    assert units(np.array([float(text)]), decimals).tolist() == [value]
    assert floored_units(np.array([float(text)]), decimals).tolist() == [value]


@given(st.floats(0, 1e6), st.integers(0, 8))
def test_sizes_are_cut_and_never_grow(value: float, decimals: int):
    (lots,) = floored_units(np.array([value]), decimals).tolist()
    assert lots / 10**decimals <= value < (lots + 1) / 10**decimals


@pytest.mark.parametrize("value", [0.001, 60000.123, math.nan, math.inf, 1e17, np.nextafter(0.1, 1)])
def test_a_price_between_ticks_is_no_price(value):
    with pytest.raises(BadFrame):
        units(np.array([1.25, value]), 2)


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 1e17])
def test_what_is_no_size(value):
    with pytest.raises(BadFrame):
        floored_units(np.array([value]), 2)


# --- books -----------------------------------------------------------------------------------------------------------------------------

BIDS, ASKS = [[99.9, 1.5], [99.8, 2.0]], [[100.1, 1.0, 7], [100.2, 3.0, 1]]  # some venues add a count


def kept(bids=BIDS, asks=ASKS, nonce: int | None = 5, timestamp: int | None = 1_700_000_000_000) -> dict:
    return {"bids": bids, "asks": asks, "nonce": nonce, "timestamp": timestamp}


def looked(*books: dict) -> tuple[GenericBook, list]:
    book = GenericBook(market(size_decimals=3), 10)
    return book, [event for event in map(book.look, books) if event is not None]


RULES = {
    "first a snapshot, then what changed": ([kept(), kept([[99.9, 2.5]], ASKS, 6)], [SNAPSHOT, UPDATE], ""),
    "nothing changed": ([kept(), kept(nonce=6)], [SNAPSHOT], ""),
    "the same nonce again": ([kept(), kept([[99.7, 1.0]])], [SNAPSHOT, UPDATE], ""),
    "a nonce that goes back": ([kept(), kept(nonce=4)], [SNAPSHOT, CLEAR], "nonce went back from 5 to 4"),
    "no nonce at all": ([kept(nonce=None), kept([[99.7, 1.0]], ASKS, None)], [SNAPSHOT, UPDATE], ""),
    "crossed": ([kept(), kept([[100.1, 1.0]], ASKS, 6)], [SNAPSHOT, CLEAR], "crossed: bid 10010 at or above ask 10010"),
    "crossed from the start": ([kept([[100.3, 1.0]], ASKS)], [], "crossed"),
    "empty": ([kept(), kept([], [], 6)], [SNAPSHOT, CLEAR], "there is no book"),
    "empty from the start": ([kept([], [])], [], ""),
    "one side only": ([kept([], ASKS)], [SNAPSHOT], ""),
    "dust is no level": ([kept([[99.9, 0.0004], [99.8, 2.0]], ASKS)], [SNAPSHOT], ""),
    "whole again": ([kept(), kept(nonce=4), kept(nonce=1)], [SNAPSHOT, CLEAR, SNAPSHOT], ""),
}


@pytest.mark.parametrize("name", RULES)
def test_rules_of_a_book_that_ccxt_keeps(name):
    books, kinds, trouble = RULES[name]
    book, events = looked(*books)
    assert [event.kind for event in events] == kinds
    assert trouble in book.trouble
    assert bool(book.trouble) is bool(trouble)


def test_only_what_changed_is_told_and_only_the_best():
    book = GenericBook(market(size_decimals=3), 2)
    book.look(kept([*BIDS, [99.7, 9.0]]))
    event = book.look(kept([[99.85, 1.0], [99.8, 2.0], [99.7, 9.0]], ASKS, 6))
    assert event.levels.tolist() == [[1, 9990, 0], [1, 9985, 1000]]
    assert event.ts_event_ns == 1_700_000_000_000_000_000
    assert book.levels.best(1, 9) == [(9985, 1000), (9980, 2000)]
    assert (book.reach(1), book.reach(-1)) == (9980, 10020)


@pytest.mark.parametrize(
    "bids", [[[99.8, 1.0], [99.9, 1.0]], [[99.9, 1.0], [99.9, 1.0]], [[0.0, 1.0]], [[99.905, 1.0]], [[99.9, -1.0]]]
)
def test_what_no_book_can_be(bids):
    with pytest.raises(BadFrame):
        looked(kept(bids))


# --- the dialect -----------------------------------------------------------------------------------------------------------------------


def test_an_exchange_without_a_stream_that_we_need_is_refused(monkeypatch):
    with pytest.raises(ccxt.NotSupported, match="no exchange"):
        GenericMarketDialect().create(SimpleNamespace(exchange="nowhere"))
    real = ccxt.pro.gate.describe
    monkeypatch.setattr(
        ccxt.pro.gate, "describe", lambda self: self.deep_extend(real(self), {"has": {"watchTrades": None}})
    )
    with pytest.raises(ccxt.NotSupported, match="no watchTrades of gate"):
        GenericMarketDialect().create(config())


def test_only_the_kinds_of_markets_that_are_wanted_are_loaded():
    spot = GenericMarketDialect().create(config("gate", "BTC/USDT"))
    both = GenericMarketDialect().create(config("gate", "BTC/USDT", "BTC/USDT:USDT"))
    assert spot.options["fetchMarkets"]["types"] == ["spot"]
    assert both.options["fetchMarkets"]["types"] == ["spot", "swap"]
    assert not spot.apiKey


ROWS = {
    "spot": ({"spot": True}, True),
    "linear perpetual of size one": ({"spot": False, "swap": True, "linear": True, "contractSize": 1.0}, True),
    "of another size": ({"spot": False, "swap": True, "linear": True, "contractSize": 0.0001}, False),
    "inverse": ({"spot": False, "swap": True, "linear": False, "contractSize": 1.0}, False),
    "option": ({"spot": False, "swap": False, "option": True}, False),
}


@pytest.mark.parametrize("name", ROWS)
def test_instruments_that_are_read_generically(name):
    row, good = ROWS[name]
    row = {**row, "precision": {"price": 0.1, "amount": 0.01}}
    exchange = SimpleNamespace(id="gate", precisionMode=ccxt.TICK_SIZE)
    asked = GenericMarketDialect().rows(exchange, {"X": row})
    if good:
        assert asyncio.run(asked) == {"X": row}
    else:
        with pytest.raises(ValueError, match="neither a spot pair nor a linear perpetual"):
            asyncio.run(asked)


@pytest.mark.parametrize(
    ("last", "tick"), [(60_123.0, 0.1), (9_999.0, 0.01), (123.4, 0.001), (1.5, 0.00001), (0.04, 0.0000001), (2e6, 1.0)]
)
def test_digits_instead_of_a_tick(last, tick):
    async def fetch_ticker(symbol):
        return {"last": last}

    exchange = SimpleNamespace(id="bitfinex", precisionMode=ccxt.SIGNIFICANT_DIGITS, fetch_ticker=fetch_ticker)
    row = {"spot": True, "precision": {"price": 5, "amount": 8}}
    rows = asyncio.run(GenericMarketDialect().rows(exchange, {"X": row}))
    assert rows["X"]["precision"] == {"price": tick, "amount": 1e-8}


def connected(dialect: GenericMarketDialect, *symbols: str):
    """An exchange of the dialect with a client, and what is told of it."""
    exchange = dialect.create(config("gate", *symbols))
    exchange.set_markets([
        {"id": symbol.replace("/", "_"), "symbol": symbol, "base": symbol[:3], "quote": "USDT", "spot": True, "type": "spot"}
        for symbol in symbols or ("BTC/USDT",)
    ])  # fmt: skip
    told: list[Decoded] = []
    exchange.on_pieces = lambda client, pieces: told.extend(pieces)
    dialect._markets = {symbol: symbol.replace("/", "_") for symbol in symbols or ("BTC/USDT",)}
    return exchange, exchange.client("ws://loopback"), told


def test_what_ccxt_resolves_is_looked_at_and_what_it_rejects_is_given_up():
    async def main():
        exchange, client, told = connected(GenericMarketDialect(), "BTC/USDT", "ETH/USDT")
        book = exchange.order_book({"bids": BIDS, "asks": [[100.1, 1.0]]})
        exchange.orderbooks["BTC/USDT"] = book
        client.resolve(book, "orderbook:BTC/USDT")
        client.resolve([], "trades:BTC/USDT")
        assert [(piece.market_id, piece.raw is book) for piece in told] == [("BTC/USDT", True)]
        told.clear()
        client.reject(ccxt.ChecksumError("gate: wrong"), "orderbook:ETH/USDT")
        client.reject(ccxt.InvalidNonce("gate: wrong"), "book.btc_usdt")
        assert [(p.market_id, p.raw) for p in told] == [
            ("ETH/USDT", "ccxt gave it up: ChecksumError: gate: wrong"),
            ("BTC/USDT", "ccxt gave it up: InvalidNonce: gate: wrong"),
        ]
        told.clear()
        client.reject(ccxt.ExchangeError("gate: something"), "whatever")
        assert sorted(piece.market_id for piece in told) == ["BTC/USDT", "ETH/USDT"]
        told.clear()
        client.reject(ccxt.NetworkError("closed"), "orderbook:BTC/USDT")  # the socket's end is told by another way
        exchange.clients.clear()
        client.resolve(book, "orderbook:BTC/USDT")  # a socket that was given up
        client.reject(ccxt.ChecksumError("gate: wrong"), "orderbook:BTC/USDT")
        assert told == []
        await exchange.close()

    asyncio.run(main())


def trade(number: int, age_ms: int = 0, **changes) -> dict:
    now = ccxt.Exchange.milliseconds()
    return {
        "id": str(number),
        "timestamp": now - age_ms,
        "price": 99.9,
        "amount": 0.5,
        "side": "buy",
        "symbol": "BTC/USDT",
    } | changes


def test_every_trade_that_ccxt_appends_is_told_once_and_history_not_at_all():
    async def main():
        from ccxt.async_support.base.ws.cache import ArrayCache

        dialect = GenericMarketDialect()
        exchange, client, told = connected(dialect)
        cache = exchange.trades["BTC/USDT"] = ArrayCache(2)  # smaller than what is appended between two looks
        dialect.split("a message")
        for row in (trade(1, 60_000), trade(2, 100)):
            cache.append(row)
        client.resolve(cache, "trades")
        dialect.split("another")
        for row in (trade(3, 60_000), trade(4), trade(4), trade(5), trade(6, id=None)):
            cache.append(row)
        client.resolve(cache, "trades")
        assert {piece.stream for piece in told} == {Stream.TRADES}
        events = [event for piece in told for event in dialect.trades(market(), piece.raw)]
        ids = [event.trade_id for event in events]
        assert ids[:4] == ["2", "3", "4", "5"]
        assert len(ids) == 5
        assert ":99.9:0.5:buy" in ids[4]
        assert (events[0].price, events[0].size) == (9990, 50_000_000)
        with pytest.raises(BadFrame, match="without a side"):
            dialect.trades(market(), trade(7, side=None))
        assert dialect.trades(market(size_decimals=0), trade(8)) == []  # dust
        await exchange.close()

    asyncio.run(main())


def test_the_audits_snapshot_is_text_and_says_that_it_ends():
    async def main():
        async def fetch_order_book(symbol):
            return {"bids": [[0.00001, 1e-7]], "asks": [[0.1, 30.0]]}

        depth = await GenericMarketDialect().whole_book(SimpleNamespace(fetch_order_book=fetch_order_book), "X", 100)
        assert (depth.bids, depth.asks, depth.partial) == ([["0.00001", "0.0000001"]], [["0.1", "30.0"]], True)

    asyncio.run(main())


def test_there_is_no_account_of_such_an_exchange():
    with pytest.raises(ValueError, match="KUCOIN: orders at kucoin are not supported"):
        AccountLink(config("kucoin"), SimpleNamespace())
