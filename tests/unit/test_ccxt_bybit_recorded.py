"""Recorded frames and answers of Bybit (most of them of linear contracts), decoded into the right events."""

import asyncio
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.ccxt.events import VenueOrderState
from adapters.ccxt.venues.bybit.book import BybitBook
from adapters.ccxt.venues.bybit.dialect import BybitAccountDialect, BybitMarketDialect
from tests.unit.bybit_messages import answering, bybit, market, page

DATA = Path(os.environ.get("KERB_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "venues" / "bybit"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the recorded frames are not here")


@pytest.fixture(scope="module")
def exchange():
    return bybit()


def load(name: str) -> dict:
    return json.loads((DATA / f"{name}.json").read_text())


ORDERS = {
    "ws_account_order": ("canceled", "0", "CancelByUser"),
    "ws_account_order_filled": ("filled", "0.100", ""),
    "ws_account_order_partially_filled_rejected": ("canceled", "50.0", ""),
    "ws_account_order_stop_limit": ("open", "0", ""),
}


@pytest.mark.parametrize("name", ORDERS)
def test_recorded_order_frames(exchange, name):
    message = load(name)
    raw = message["data"][0]
    (order,) = BybitAccountDialect(raw["category"]).read(exchange, message).orders
    state, filled, reason = ORDERS[name]
    assert (order.state, order.filled, order.reason) == (state, Decimal(filled), reason)
    assert (order.venue_order_id, order.client_order_id) == (raw["orderId"], raw["orderLinkId"])
    assert (order.price, order.quantity) == (Decimal(raw["price"]), Decimal(raw["qty"]))


def test_every_recorded_order_frame_is_read(exchange):
    frames = [load(path.stem) for path in DATA.glob("ws_account_order*.json")]
    assert len(frames) >= 10
    for message in frames:
        for row in message["data"]:
            assert BybitAccountDialect(row["category"]).read(exchange, message).orders


def test_recorded_execution_frames(exchange):
    dialect = BybitAccountDialect("linear")
    (fill,) = dialect.read(exchange, load("ws_account_execution")).fills
    assert (fill.symbol, fill.side, fill.price, fill.quantity) == (
        "BTC/USDT:USDT",
        "sell",
        Decimal("95900.1"),
        Decimal("0.5"),
    )
    assert (fill.fee, fill.fee_currency, fill.maker) == (Decimal("26.3725275"), "USDT", False)
    assert (fill.trade_id, fill.client_order_id) == ("0ab1bdf7-4219-438b-b30a-32ec863018f7", "test-order-link-001")
    (adl,) = dialect.read(exchange, load("ws_account_execution_adl")).fills
    assert (adl.quantity, adl.fee) == (Decimal("0.5"), 0)
    assert dialect.read(exchange, load("ws_account_execution_fast")) is None  # says nothing of fees


def test_recorded_wallet_and_answers(exchange):
    read = BybitAccountDialect().read
    assert read(
        exchange, load("ws_account_wallet")
    ).balances_stale  # an account without spot orders names nothing locked
    assert read(exchange, load("ws_subscription_ack")).subscribed
    assert read(exchange, load("ws_subscription_failure")).refused == "Invalid topic: invalid.topic.BTCUSDT"
    for name in ("ws_auth_success", "ws_auth_failure", "ws_order_response", "ws_account_position", "ws_kline"):
        assert read(exchange, load(name)) is None


def test_recorded_public_frames():
    dialect = BybitMarketDialect()
    snapshot, delta = load("ws_orderbook_snapshot"), load("ws_orderbook_delta")
    (best,) = dialect.split(snapshot)
    quote = dialect.quote(market(), best.raw)
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (2745000, 500, 2745100, 750)
    assert dialect.split(delta) == []  # its ask is gone
    book = BybitBook(market(), 50)
    assert book.message(snapshot).levels.tolist()[0] == [1, 2745000, 500]
    event = book.message(delta)
    assert (event.sequence, event.levels.tolist()) == (123456790, [[1, 2745000, 400], [-1, 2745100, 0]])
    # the file names a topic that the venue's documentation does not have; the rows are the documented ones
    (piece,) = dialect.split(load("ws_public_trade") | {"topic": "publicTrade.BTCUSDT"})
    (trade,) = dialect.trades(market(), piece.raw)
    assert (trade.side, trade.price, trade.size) == ("buy", 2745100, 10)
    assert trade.trade_id == "9dc75fca-4bdd-4773-9f78-6f5d7ab2a110"
    assert dialect.split(load("ws_ticker_linear")) == dialect.split(load("ws_kline")) == []


def test_recorded_answers(exchange):
    dialect = BybitAccountDialect("linear")
    answering(exchange, "order_realtime", load("http_get_orders_realtime"), page())
    orders = asyncio.run(dialect.open_orders(exchange, ("ETH/USDT:USDT", "BTC/USDT:USDT")))
    assert [(order.client_order_id, order.side, order.state) for order in orders] == [
        ("client-open-1", "buy", VenueOrderState.OPEN),
        ("client-open-2", "sell", VenueOrderState.OPEN),
    ]
    answering(exchange, "order_realtime", page())
    answering(exchange, "order_history", load("http_get_orders_history_with_duplicate"))
    order = asyncio.run(dialect.order(exchange, "client-closed-1", "BTC/USDT:USDT"))
    assert (order.venue_order_id, order.state) == ("closed-order-1", VenueOrderState.CANCELED)
    answering(exchange, "order_realtime", load("http_get_order_partially_filled_rejected"))
    order = asyncio.run(dialect.order(exchange, "O-20251001-164609-APEX-000-49", "BTC/USDT:USDT"))
    assert (order.state, order.filled, order.reason) == (
        VenueOrderState.CANCELED,
        Decimal("0.005"),
        "INSUFFICIENT_MARGIN",
    )
    answering(exchange, "execution_list", load("http_get_executions"))
    fills = asyncio.run(dialect.fills_of(exchange, order))
    assert [(fill.symbol, fill.fee, fill.maker) for fill in fills] == [
        ("BTC/USDT:USDT", Decimal("0.0150"), True),
        ("ETH/USDT:USDT", Decimal("0.9000"), False),
    ]


WALLETS = {
    "http_get_wallet_balance": [("USDT", "1000.50")],
    "http_get_wallet_balance_spot_short": [("USDT", "2500.00")],
    "http_get_wallet_balance_with_spot_borrow": [("USDT", "1000.00")],
}


@pytest.mark.parametrize("name", WALLETS)
def test_recorded_wallets(exchange, name):
    answering(exchange, "account_wallet_balance", load(name))
    rows = asyncio.run(BybitAccountDialect().balances(exchange))
    assert [(row.currency, row.total) for row in rows] == [(code, Decimal(total)) for code, total in WALLETS[name]]


def test_recorded_fee_rates(exchange):
    async def clock() -> None: ...

    exchange.apiKey, exchange.load_time_difference = "k", clock
    answer = load("http_get_fee_rate")
    asked = answering(exchange, "account_fee_rate", page(answer["result"]["list"][2]))
    assert asyncio.run(BybitMarketDialect().taker_fees(exchange, ("BTC/USDT",))) == {"BTC/USDT": Decimal("0.00075")}
    assert asked == [{"category": "spot", "symbol": "BTCUSDT"}]
