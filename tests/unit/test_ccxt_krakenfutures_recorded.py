"""Recorded frames and answers of Kraken Futures, decoded into the right events; and its rules of a book, a case each."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import BookEventKind, OrderEvent, Stream, VenueOrderState
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.symbols import Market, market_of
from adapters.ccxt.venues.krakenfutures.account import KrakenFuturesAccountDialect, symbol_of
from adapters.ccxt.venues.krakenfutures.book import KrakenFuturesBook
from adapters.ccxt.venues.krakenfutures.dialect import KrakenFuturesMarketDialect, instance
from tests.recorded_data import MESSAGES

DATA = MESSAGES / "kraken"
recorded = pytest.mark.skipif(not DATA.is_dir(), reason="the recorded frames are not here")
INVERSE, LINEAR = "BTC/USD:BTC", "ETH/USD:USD"
INSTRUMENTS = [
    {
        "symbol": "PI_XBTUSD",
        "type": "futures_inverse",
        "tickSize": 0.5,
        "contractSize": 1,
        "contractValueTradePrecision": 0,
    },
    {
        "symbol": "PI_ETHUSD",
        "type": "futures_inverse",
        "tickSize": 0.05,
        "contractSize": 1,
        "contractValueTradePrecision": 0,
    },
    {
        "symbol": "PF_ETHUSD",
        "type": "flexible_futures",
        "tickSize": 0.1,
        "contractSize": 1,
        "contractValueTradePrecision": 3,
    },
    {
        "symbol": "PF_XBTUSD",
        "type": "flexible_futures",
        "tickSize": 1,
        "contractSize": 1,
        "contractValueTradePrecision": 4,
    },
]


def load(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())


def digits(name: str) -> Any:
    """An answer as the instance reads it: fractions as text."""
    return json.loads((DATA / f"{name}.json").read_text(), parse_float=str)


def listed(rows: list[dict[str, Any]]) -> Any:
    """An instance that knows these instruments."""
    exchange = instance(
        ExchangeConfig(venue="KF", exchange="krakenfutures", symbols=(LINEAR,)), throttle=False, timeout_ms=1_000
    )

    async def answer(params: Any = None) -> Any:
        return {"result": "success", "instruments": rows}

    exchange.publicGetInstruments = answer
    exchange.set_markets(asyncio.run(exchange.fetch_markets()))
    return exchange


@pytest.fixture(scope="module")
def exchange() -> Any:
    return listed([row | {"tradeable": True} for row in INSTRUMENTS])


def market(exchange: Any, symbol: str = INVERSE) -> Market:
    return market_of(exchange.markets[symbol])


def answering(exchange: Any, **answers: Any) -> Any:
    """The instance, whose raw methods answer with these."""
    for method, body in answers.items():

        async def say(params: Any = None, body: Any = body) -> Any:
            return body

        setattr(exchange, method, say)
    return exchange


# ---- public ---------------------------------------------------------------------------------------------------------------------------


@recorded
def test_recorded_instruments_are_contracts_with_their_terms():
    known = listed(load("http_futures_instruments")["instruments"])
    inverse, linear = market(known, INVERSE), market(known, LINEAR)
    assert (inverse.market_id, inverse.tick, inverse.lot) == ("PI_XBTUSD", Decimal("0.5"), 1)
    assert (linear.market_id, linear.tick, linear.lot) == ("PF_ETHUSD", Decimal("0.1"), Decimal("0.001"))
    assert (inverse.contract.settle, inverse.contract.inverse) == ("BTC", True)
    assert (linear.contract.settle, linear.contract.inverse) == ("USD", False)
    assert inverse.contract.value(Decimal(50_000), Decimal(10_000)) == Decimal("0.2")


@recorded
def test_a_product_is_found_in_whichever_case_it_is_written():
    known = listed(load("http_futures_instruments")["instruments"])
    for product, symbol in (("AAPLxUSD", "AAPLX/USD:USD"), ("ETHUSD", LINEAR)):
        names = {product, product.upper(), product.lower()}
        assert {symbol_of(known, f"{kind}{name}") for kind in ("PF_", "pf_") for name in names} == {symbol}
    assert symbol_of(known, "PF_NEWUSD") is None


@recorded
def test_the_recorded_book(exchange):
    dialect = KrakenFuturesMarketDialect()
    book = dialect.book(market(exchange), 100)
    (piece,) = dialect.split(load("ws_futures_book_snapshot"))
    event = dialect.book_event(book, piece.raw)
    assert (event.kind, event.sequence, event.ts_event_ns) == (
        BookEventKind.SNAPSHOT,
        326_072_249,
        1_612_269_825_817_000_000,
    )
    assert event.levels.tolist() == [
        [1, 348_925, 6385],
        [1, 348_920, 10_924],
        [-1, 349_115, 20_598],
        [-1, 349_120, 2300],
    ]
    (piece,) = dialect.split(load("ws_futures_book_delta"))  # 21,885 messages later
    event = dialect.book_event(book, piece.raw)
    assert event.kind is BookEventKind.CLEAR
    assert "expected message 326072250, got 326094134" in event.reason


@recorded
def test_levels_of_nothing_in_the_recorded_snapshot_are_none(exchange):
    book = KrakenFuturesBook(market(exchange), 100)
    event = book.message(load("ws_futures_book_snapshot_with_zero_qty"))
    assert event.levels.tolist() == [[1, 348_925, 6385], [1, 348_915, 100], [-1, 349_120, 2300]]


@recorded
def test_the_recorded_ticker_is_mark_index_and_the_hours_rate(exchange):
    dialect = KrakenFuturesMarketDialect()
    (piece,) = dialect.split(load("ws_futures_ticker"))
    event = dialect.funding(market(exchange), piece.raw)
    assert (piece.stream, event.mark, event.index) == (
        Stream.FUNDING,
        Decimal("21979.68641534714"),
        Decimal("21984.54"),
    )
    assert event.rate == Decimal("-0.000001380384722222")
    assert (event.next_ns, event.ts_event_ns) == (1_676_394_000_000_000_000, 1_676_393_235_406_000_000)
    book = dialect.book(market(exchange), 100)
    rows = {"bids": [{"price": 21978.5, "qty": 1}], "asks": [{"price": 21987, "qty": 1}]}
    book.message({"feed": "book_snapshot", "seq": 1, "timestamp": 1, **rows})
    confirmed = dialect.split(load("ws_futures_ticker"))
    assert [(one.stream, one.raw is None) for one in confirmed] == [(Stream.FUNDING, False), (Stream.BOOK, True)]


@recorded
def test_recorded_trades_and_which_of_them_are_liquidations(exchange):
    dialect, known = KrakenFuturesMarketDialect(), market(exchange)
    row = load("ws_futures_trade")
    (piece,) = dialect.split(row)
    (trade,) = dialect.trades(known, piece.raw)
    assert (trade.trade_id, trade.side, trade.price, trade.size) == (row["uid"], "sell", 349_695, 15_000)
    for kind in ("liquidation", "partialLiquidation"):
        trades, forced = dialect.split(row | {"type": kind})
        assert len(dialect.trades(known, trades.raw)) == 1
        (closed,) = dialect.liquidations(known, forced.raw)
        assert (forced.stream, closed.side, closed.quantity) == (Stream.LIQUIDATIONS, "sell", 15_000)
    for kind in ("block", "assignment", "termination"):
        (piece,) = dialect.split(row | {"type": kind})
        assert dialect.trades(known, piece.raw) == []
    (old,) = dialect.split(load("ws_futures_trade_snapshot"))
    assert dialect.trades(known, old.raw) == []


@recorded
def test_the_recorded_whole_book(exchange):
    asked = answering(exchange, public_get_orderbook=digits("http_futures_orderbook"))
    depth = asyncio.run(KrakenFuturesMarketDialect().whole_book(asked, INVERSE, 100))
    assert depth.bids == [["105900.0", "0.5"], ["105850.0", "1.2"], ["105800.0", "0.8"]]
    assert depth.sequence is None


# ---- private --------------------------------------------------------------------------------------------------------------------------


@recorded
@pytest.mark.parametrize(
    ("name", "state", "quantity", "filled"),
    [
        ("delta", VenueOrderState.OPEN, Decimal(304), Decimal(0)),
        ("delta_full_fill", VenueOrderState.FILLED, None, Decimal("0.0001")),
        ("cancel", VenueOrderState.CANCELED, None, None),
        ("cancel_post_only", VenueOrderState.REJECTED, None, None),
    ],
)
def test_recorded_open_orders(exchange, name, state, quantity, filled):
    frame = load(f"ws_futures_open_orders_{name}") | {"feed": "open_orders_verbose"}
    (order,) = KrakenFuturesAccountDialect().read(exchange, frame).orders
    assert (order.state, order.quantity, order.filled) == (state, quantity, filled)


@recorded
def test_an_order_that_was_in_the_book_is_cancelled_and_not_refused(exchange):
    dialect = KrakenFuturesAccountDialect()
    placed = load("ws_futures_open_orders_delta") | {"feed": "open_orders_verbose"}
    dialect.read(exchange, placed)
    gone = load("ws_futures_open_orders_cancel_post_only") | {
        "feed": "open_orders_verbose",
        "order_id": placed["order"]["order_id"],
    }
    (order,) = dialect.read(exchange, gone).orders
    assert (order.state, order.filled) == (VenueOrderState.CANCELED, 0)
    assert "post order failed" in order.reason


@recorded
def test_recorded_fills_of_the_feed(exchange):
    dialect = KrakenFuturesAccountDialect()
    said = dialect.read(exchange, load("ws_futures_fills_delta"))
    (fill,), (order,) = said.fills, said.orders
    assert (fill.symbol, fill.side, fill.price, fill.quantity) == (LINEAR, "buy", Decimal("3162.0"), Decimal("0.001"))
    assert (fill.fee, fill.fee_currency, fill.maker) == (Decimal("0.001581"), "USD", False)
    assert fill.client_order_id == order.client_order_id == "b661bad0-7037-4b73-9e07-a65b515e4ef7"
    assert order.state is VenueOrderState.FILLED  # nothing remains
    assert dialect.read(exchange, load("ws_futures_fills_snapshot")) is None
    assert dialect._fees["cad76f07-814e-4dc6-8478-7867407b6bff"] == (Decimal("-0.00009142857"), "BTC")


@recorded
def test_recorded_fills_by_query(exchange):
    asked = answering(exchange, private_get_fills=digits("http_futures_fills"))
    fills = asyncio.run(KrakenFuturesAccountDialect().fills_since(asked, (INVERSE,), 0))
    assert [(fill.price, fill.quantity, fill.fee, fill.fee_currency) for fill in fills] == [
        (Decimal("27937.5"), 5000, Decimal("0.00008957"), "BTC"),
        (Decimal(28050), 2500, Decimal("0.00004456"), "BTC"),
    ]
    assert all(fill.maker for fill in fills)


@recorded
def test_recorded_open_orders_by_query(exchange):
    asked = answering(exchange, private_get_openorders=digits("http_futures_open_orders"))
    orders = asyncio.run(KrakenFuturesAccountDialect().open_orders(asked, (INVERSE,)))
    (order,) = orders
    assert (order.client_order_id, order.side, order.price) == ("my-client-order-123", "sell", Decimal(28_500))
    assert (order.quantity, order.filled) == (7000, 2000)  # what is open, and what has filled


@recorded
def test_recorded_positions(exchange):
    asked = answering(exchange, private_get_openpositions=digits("http_futures_open_positions"))
    rows = asyncio.run(KrakenFuturesAccountDialect().positions(asked, (INVERSE, LINEAR)))
    assert [(row.symbol, row.quantity) for row in rows] == [(INVERSE, -8000), (LINEAR, 0)]
    assert rows[0].entry == Decimal("27523.749993345933")


@recorded
def test_the_recorded_answer_to_an_order_is_its_id_alone(exchange):
    from adapters.ccxt.dialect import OrderRequest

    asked = answering(exchange, private_post_sendorder=digits("http_send_order_futures"))
    request = OrderRequest(
        client_order_id="t-1", symbol=INVERSE, side="buy", kind="limit", time_in_force="IOC", quantity="10", price="9"
    )
    order, fills = asyncio.run(KrakenFuturesAccountDialect().place(asked, request))
    assert isinstance(order, OrderEvent)
    assert (order.state, order.filled, fills) == (VenueOrderState.OPEN, None, [])  # without its events nothing is known


def test_positions_are_told_when_a_quantity_changes_and_not_with_every_price(exchange):
    dialect = KrakenFuturesAccountDialect()
    row = {"instrument": "PI_XBTUSD", "balance": 500.0, "pnl": -0.1, "entry_price": 30_000.5, "mark_price": 29_000.1}

    def said(*rows: dict[str, Any]) -> Any:
        message = {"feed": "open_positions", "account": "a", "positions": list(rows), "seq": 1, "timestamp": 1}
        return dialect.read(exchange, message)

    assert [one.quantity for one in said(row).positions] == [500]
    quiet = said(row | {"mark_price": 28_000.0})
    assert (quiet.positions, quiet.positions_stale) == ((), False)
    assert [one.quantity for one in said(row | {"balance": -20.0}).positions] == [-20]
    flat = said()
    assert (flat.positions, flat.positions_stale) == ((), True)


# ---- the book's rules -----------------------------------------------------------------------------------------------------------------


def change(seq: int, side: str, price: float, qty: float) -> dict[str, Any]:
    return {"feed": "book", "seq": seq, "timestamp": 2, "side": side, "price": price, "qty": qty}


def whole(exchange: Any, depth: int = 100) -> KrakenFuturesBook:
    book = KrakenFuturesBook(market(exchange), depth)
    bids = [{"price": 100.5 - n / 2, "qty": 10 + n} for n in range(4)]
    asks = [{"price": 101 + n / 2, "qty": 20 + n} for n in range(4)]
    book.message({"feed": "book_snapshot", "seq": 7, "timestamp": 1, "bids": bids, "asks": asks})
    return book


def test_rule_2_old_and_repeated_messages_change_nothing(exchange):
    book = whole(exchange)
    assert book.message(change(7, "buy", 100.5, 99)) is None
    assert book.message(change(8, "buy", 100.5, 99)).levels.tolist() == [[1, 1005, 99]]
    assert book.message(change(8, "buy", 100.5, 1)) is None
    assert book.levels.best(1, 1) == [(1005, 99)]


def test_rule_2_a_hole_breaks_the_book_until_a_snapshot(exchange):
    book = whole(exchange)
    event = book.message(change(9, "sell", 101, 0))
    assert (event.kind, book.whole) == (BookEventKind.CLEAR, False)
    assert book.message(change(10, "sell", 101, 5)) is None


def test_rule_3_what_is_pushed_out_of_the_told_depth_comes_back(exchange):
    book = whole(exchange, depth=2)
    assert book.levels.best(1, 5) == [(1005, 10), (1000, 11)]
    event = book.message(change(8, "buy", 100.5, 0))
    assert sorted(event.levels.tolist()) == [[1, 995, 12], [1, 1005, 0]]
    assert book.message(change(9, "buy", 99.0, 7)) is None  # below what is told


NOTHING = {"bids": [], "asks": []}
CROSSED = {"bids": [{"price": 9, "qty": 1}], "asks": [{"price": 9, "qty": 1}]}


@pytest.mark.parametrize(("rows", "reason"), [(NOTHING, "no book"), (CROSSED, "crossed")])
def test_rule_4_snapshots_that_cannot_be(exchange, rows, reason):
    book = whole(exchange)
    event = book.message({"feed": "book_snapshot", "seq": 1, "timestamp": 1, **rows})
    assert event.kind is BookEventKind.CLEAR
    assert reason in book.trouble


@pytest.mark.parametrize("spoiled", [{"side": "both"}, {"price": 100.25}, {"qty": 0.5}, {"qty": -1}])
def test_numbers_that_do_not_fit_the_market_are_no_levels(exchange, spoiled):
    with pytest.raises(BadFrame):
        whole(exchange).message(change(8, "buy", 100.5, 1) | spoiled)
