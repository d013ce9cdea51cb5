"""Recorded frames and answers of Coinbase, decoded into the right events."""

import asyncio
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.ccxt.events import BookEventKind, Stream, VenueOrderState
from adapters.ccxt.symbols import market_of
from adapters.ccxt.venues.coinbase.account import CoinbaseAccountDialect
from adapters.ccxt.venues.coinbase.dialect import CoinbaseMarketDialect
from tests.unit.coinbase_messages import answering, coinbase, market

DATA = Path(os.environ.get("KERB_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "venues" / "coinbase"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the recorded frames are not here")


@pytest.fixture(scope="module")
def exchange():
    return coinbase()


def load(name: str) -> dict:
    return json.loads((DATA / f"{name}.json").read_text())


@pytest.fixture
def dialect(exchange):
    made = CoinbaseMarketDialect()
    made._learn(exchange.market("BTC/USD"))
    return made


def test_recorded_book_frames(dialect):
    book = dialect.book(market(), 100)
    (piece,) = dialect.split(load("ws_l2_data_snapshot"))
    event = dialect.book_event(book, piece.raw)
    assert (event.kind, len(event.levels)) == (BookEventKind.SNAPSHOT, 6)
    assert event.levels[0].tolist() == [1, 6_890_000, 150_000_000]
    (piece,) = dialect.split(load("ws_l2_data_update"))
    event = dialect.book_event(book, piece.raw)
    assert event.levels.tolist() == [[1, 6_890_000, 200_000_000], [-1, 6_890_100, 0]]
    assert event.ts_event_ns == 1_775_572_201_456_789_000
    assert book.levels.best_ask == 6_890_150


def test_recorded_trades(dialect):
    (piece,) = dialect.split(load("ws_market_trades"))
    events = dialect.trades(market(), piece.raw)
    assert [(event.trade_id, event.side, event.price, event.size) for event in events] == [
        ("995098700", "sell", 6_890_050, 150_000),
        ("995098701", "buy", 6_890_000, 5_000_000),
    ]


def test_recorded_heartbeats_vouch_and_other_channels_say_nothing(dialect):
    (piece,) = dialect.split(load("ws_heartbeats"))
    assert (piece.stream, piece.market_id, piece.raw) == (Stream.BOOK, "BTC-USD", None)
    for name in ("ws_subscriptions", "ws_candles", "ws_ticker"):
        fresh = CoinbaseMarketDialect()
        assert fresh.split(load(name)) == []


def test_the_recorded_user_frame(exchange):
    said = CoinbaseAccountDialect().read(exchange, load("ws_user"))
    (order,) = said.orders
    assert (order.symbol, order.state, order.side, order.kind) == ("BTC/USD", VenueOrderState.OPEN, "buy", "limit")
    assert (order.quantity, order.filled) == (Decimal("0.001"), 0)
    assert order.venue_order_id == "a1b2c3d4-e5f6-7890-abcd-ef1234567890"


def test_the_recorded_order_and_lists(exchange):
    dialect = CoinbaseAccountDialect()
    order = dialect._order(exchange, load("http_order")["order"])
    assert (order.state, order.price, order.quantity) == (VenueOrderState.OPEN, Decimal(10_000), Decimal("0.001"))
    listed = [dialect._order(exchange, row) for row in load("http_orders_list")["orders"]]
    assert [(o.symbol, o.state, o.kind) for o in listed] == [
        ("BTC/USD", VenueOrderState.OPEN, "limit"),
        ("ETH/USD", VenueOrderState.FILLED, "market"),
    ]
    assert listed[1].quantity is None  # by value


def test_recorded_fills_and_accounts(exchange):
    dialect = CoinbaseAccountDialect()
    answering(exchange, "get_brokerage_orders_historical_fills", load("http_fills"))
    fills = asyncio.run(dialect.fills_since(exchange, ("BTC/USD", "ETH/USD"), 0))
    assert [(f.symbol, f.side, f.quantity, f.fee, f.fee_currency, f.maker) for f in fills] == [
        ("BTC/USD", "buy", Decimal("0.005"), Decimal("1.14"), "USD", True),
        ("ETH/USD", "sell", Decimal("0.0325"), Decimal("0.50"), "USD", False),
    ]
    answering(exchange, "get_brokerage_accounts", load("http_accounts"))
    rows = {row.currency: row for row in asyncio.run(dialect.balances(exchange))}
    assert (rows["BTC"].total, rows["BTC"].locked) == (Decimal("1.23956789"), Decimal("0.005"))
    assert rows["USD"].total == Decimal("10450.5")


def test_recorded_products_are_exact_markets(exchange):
    rows = [exchange.parse_spot_market(row, {}) for row in load("http_products")["products"]]
    usd, usdc = (market_of(row) for row in rows)
    assert (usd.symbol, usd.price_decimals, usd.size_decimals) == ("BTC/USD", 2, 8)
    assert (usd.min_notional, usd.max_quantity) == (Decimal(1), Decimal(3400))
    assert (usdc.symbol, rows[1]["info"]["alias"]) == ("BTC/USDC", "BTC-USD")
