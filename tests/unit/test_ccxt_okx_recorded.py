"""Recorded frames and answers of OKX (many of them of perpetual contracts), decoded into the right events."""

import asyncio
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import BookEventKind, OrderEvent, VenueOrderState
from adapters.ccxt.symbols import Market, market_of
from adapters.ccxt.venues.okx.dialect import OkxAccountDialect, OkxMarketDialect

DATA = Path(os.environ.get("KERB_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "venues" / "okx"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the recorded frames are not here")

CONFIG = ExchangeConfig(venue="OKX", exchange="okx", symbols=("BTC/USD",), api_key="k", secret="s", password="p")
SPOT = {"baseCcy": "BTC", "quoteCcy": "USDT", "instId": "BTC-USDT"}  # among the recorded listings there is BTC-USD only


def load(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())


@pytest.fixture
def exchange() -> Any:
    """ccxt's own with the recorded listings, and no connection."""
    made = OkxAccountDialect().create(CONFIG)
    listed = load("http_get_instruments_spot")["data"] + load("http_get_instruments_swap")["data"]
    made.set_markets(made.parse_markets([*listed, listed[0] | SPOT]))
    return made


def market(exchange: Any, symbol: str) -> Market:
    return market_of(exchange.markets[symbol])


def answered(exchange: Any, **answers: Any) -> Any:
    """The exchange with recorded answers in the place of requests."""
    for name, answer in answers.items():

        async def request(query: Any = None, answer: Any = answer) -> Any:
            return answer

        setattr(exchange, name, request)
    return exchange


def test_recorded_listings_are_markets_with_exact_steps(exchange):
    btc, xrp = market(exchange, "BTC/USD"), market(exchange, "XRP/USD")
    assert (btc.market_id, btc.tick, btc.lot) == ("BTC-USD", Decimal("0.1"), Decimal("1e-8"))
    assert (btc.price_decimals, btc.size_decimals, btc.min_quantity) == (1, 8, Decimal("0.00001"))
    assert (xrp.price_decimals, xrp.size_decimals, xrp.min_quantity) == (4, 6, Decimal(1))
    assert btc.min_notional is None


def test_recorded_book_begins_and_goes_on(exchange):
    dialect = OkxMarketDialect()
    listed = exchange.parse_market(load("http_get_instruments_spot")["data"][0] | SPOT | {"tickSz": "0.01"})
    book = dialect.book(market_of(listed), 100)
    (first,) = dialect.split(load("ws_books_snapshot"))
    event = dialect.book_event(book, first.raw)
    assert (event.kind, event.sequence, len(event.levels)) == (BookEventKind.SNAPSHOT, 123456, 16)
    assert event.levels[0].tolist() == [1, 847697, 256 * 10**8]
    assert event.levels[8].tolist() == [-1, 847698, 415 * 10**8]
    (second,) = dialect.split(load("ws_books_update"))
    event = dialect.book_event(book, second.raw)
    assert (event.kind, event.sequence, event.ts_event_ns) == (BookEventKind.UPDATE, 123457, 1597026383085 * 1_000_000)


def test_recorded_best_prices_and_trades(exchange):
    dialect = OkxMarketDialect()
    cents = market_of(
        exchange.parse_market(load("http_get_instruments_spot")["data"][1])
    )  # two decimals, as the frame has
    (piece,) = dialect.split(load("ws_bbo_tbt"))
    quote = dialect.quote(cents, piece.raw)
    assert (piece.market_id, quote.bid, quote.ask) == ("BTC-USDT", 847697, 847698)
    assert (quote.bid_size, quote.ask_size) == (256 * 10**6, 415 * 10**6)
    (piece,) = dialect.split(load("ws_trades"))
    (trade,) = dialect.trades(market(exchange, "BTC/USD"), piece.raw)
    assert (trade.trade_id, trade.price, trade.size, trade.side) == ("130639474", 422199, 12060306, "buy")
    assert dialect.split(load("ws_tickers")) == dialect.split(load("ws_funding_rate")) == []


# file: (symbol, state, kind, time in force, filled), and (trade id, price, quantity, fee, maker) of its execution
ORDERS = {
    "ws_orders": (
        ("BTC/USDT:USDT", "filled", "market", "IOC", "0.03"),
        ("1518905529", "103698.9", "0.03", "0.021776769", True),
    ),
    "ws_orders_ioc": (
        ("BTC/USDT", "open", "limit", "IOC", "0.02"),
        ("1518905531", "50100.5", "0.02", "0.1002", False),
    ),
    "ws_orders_fok": (
        ("BTC/USDT", "filled", "limit", "FOK", "0.05"),
        ("1518905530", "50000.0", "0.05", "0.25", False),
    ),
    "ws_orders_optimal_limit_ioc": (
        ("BTC/USDT:USDT", "filled", "market", "IOC", "0.1"),
        ("1518905532", "103750.25", "0.1", "0.051875125", True),
    ),
    "ws_orders_liquidation": (
        ("BTC/USDT:USDT", "filled", "market", "IOC", "0.5"),
        ("1518905999", "40000.0", "0.5", "20.0", False),
    ),
    "ws_orders_adl": (
        ("ETH/USDT:USDT", "filled", "market", "IOC", "0.3"),
        ("1518906000", "41000.0", "0.3", "12.3", False),
    ),
}


@pytest.mark.parametrize("name", ORDERS)
def test_recorded_order_frames_are_an_order_and_its_execution(exchange, name):
    message = load(name)
    raw = message["data"][0]
    (order,), (fill,) = (said := OkxAccountDialect().read(exchange, message)).orders, said.fills
    (symbol, state, kind, tif, filled), (trade_id, price, quantity, fee, maker) = ORDERS[name]
    assert (order.symbol, order.state, order.kind, order.time_in_force) == (symbol, state, kind, tif)
    assert (order.filled, order.client_order_id, order.venue_order_id) == (
        Decimal(filled),
        raw["clOrdId"],
        raw["ordId"],
    )
    assert (fill.trade_id, fill.price, fill.quantity) == (trade_id, Decimal(price), Decimal(quantity))
    assert (fill.fee, fill.fee_currency, fill.maker) == (Decimal(fee), raw["feeCcy"], maker)
    assert fill.venue_order_id == raw["ordId"]


def test_every_recorded_order_frame_is_read(exchange):
    frames = [load(path.stem) for path in sorted(DATA.glob("ws_orders*.json"))]
    assert len(frames) >= 8
    said = [OkxAccountDialect().read(exchange, message) for message in frames]
    read = [message["arg"]["channel"] for message, what in zip(frames, said, strict=True) if what is not None]
    assert read and set(read) == {"orders"}  # algo orders are no orders yet
    unloaded = [what for message, what in zip(frames, said, strict=True) if message["data"][0]["instType"] == "OPTION"]
    assert [(what.orders, what.fills) for what in unloaded] == [((), ())]  # a market that is not loaded


def test_recorded_balances(exchange):
    dialect = OkxAccountDialect()
    rows = {row.currency: row for row in dialect.read(exchange, load("ws_account")).balances}
    assert (rows["USDT"].total, rows["USDT"].locked) == (Decimal("100.52768569797846"), 0)
    assert rows["BTC"].total == Decimal("0.0000000051")
    assert dialect.read(exchange, load("ws_account_empty")).balances == ()

    async def main() -> None:
        asked = answered(exchange, private_get_account_balance=load("http_get_account_balance"))
        (row,) = await dialect.balances(asked)
        assert (row.currency, row.total, row.locked) == ("USDT", Decimal("94.42612990333333"), 0)

    asyncio.run(main())


def test_recorded_answers_about_orders_fees_and_executions(exchange):
    dialect = OkxAccountDialect()
    fill = load("http_transaction_detail")
    answered(
        exchange,
        private_get_trade_orders_pending=load("http_get_orders_pending"),
        private_get_trade_order=load("http_get_orders_history"),
        private_get_account_trade_fee=load("http_get_trade_fee_response"),
        private_get_trade_fills={
            "code": "0",
            "data": [fill, load("http_transaction_detail_empty_fee") | {"tradeId": "2"}],
        },
        load_time_difference=None,
    )

    async def main() -> None:
        (pending,) = await dialect.open_orders(exchange, ("BTC/USDT:USDT",))
        assert (pending.client_order_id, pending.price, pending.quantity) == (
            "client-order-1",
            Decimal(103500),
            Decimal("0.10"),
        )
        assert (pending.state, pending.filled) == (VenueOrderState.OPEN, 0)
        assert await dialect.open_orders(exchange, ("BTC/USDT",)) == []
        order = await dialect.order(exchange, "any", "BTC/USDT:USDT")
        assert (order.state, order.filled, order.venue_order_id) == ("filled", Decimal("0.03"), "2497956918703120384")
        assert await OkxMarketDialect().taker_fees(exchange, ("BTC/USDT",)) == {"BTC/USDT": Decimal("0.001")}
        asked = OrderEvent(
            symbol="BTC/USDT", client_order_id="", venue_order_id="987654321", state=VenueOrderState.FILLED
        )
        first, second = await dialect.fills_of(exchange, asked)
        assert (first.trade_id, first.venue_order_id, first.client_order_id) == ("123456789", "987654321", "client_123")
        assert (first.price, first.quantity, first.maker) == (Decimal("42000.5"), Decimal("0.001"), False)
        assert (first.fee, first.fee_currency) == (Decimal("-0.042"), "USDT")  # its example has the sign of a rebate
        assert second.fee == 0

    asyncio.run(main())
