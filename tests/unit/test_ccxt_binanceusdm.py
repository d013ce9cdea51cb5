"""Binance USD-M: its book's rules as a table, its recorded frames and answers as events, and what the dialect asks of an account."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import ccxt.pro
import pytest

from adapters.ccxt.contracts import Contract
from adapters.ccxt.events import BookEventKind, Stream, VenueOrderState
from adapters.ccxt.symbols import Market
from adapters.ccxt.venues.binanceusdm.book import BinanceUsdmBook
from adapters.ccxt.venues.binanceusdm.dialect import BinanceUsdmAccountDialect, BinanceUsdmMarketDialect
from tests.recorded_data import MESSAGES

DATA = MESSAGES / "binance"
FUTURES = DATA / "futures"
recorded = pytest.mark.skipif(not FUTURES.is_dir(), reason="the recorded frames are not here")

SNAPSHOT, UPDATE, CLEAR = BookEventKind.SNAPSHOT, BookEventKind.UPDATE, BookEventKind.CLEAR


def market(price_decimals: int = 2, size_decimals: int = 3) -> Market:
    return Market(
        symbol="BTC/USDT:USDT", market_id="BTCUSDT", base="BTC", quote="USDT", tick=Decimal(1).scaleb(-price_decimals),
        lot=Decimal(1).scaleb(-size_decimals), price_decimals=price_decimals, size_decimals=size_decimals,
        min_quantity=None, max_quantity=None, min_notional=None, taker_fee=Decimal(0), maker_fee=Decimal(0),
        contract=Contract(settle="USDT"),
    )  # fmt: skip


def update(first: int, last: int, previous: int, bids: tuple = (), asks: tuple = ()) -> dict:
    return {
        "e": "depthUpdate",
        "E": 5,
        "T": 4,
        "s": "BTCUSDT",
        "U": first,
        "u": last,
        "pu": previous,
        "b": bids,
        "a": asks,
    }


def snapshot(last: int) -> dict:
    return {"lastUpdateId": last, "bids": [["99.90", "1.5"]], "asks": [["100.10", "1"]]}


RULES = {
    "2: older than the snapshot": ([update(90, 95, 89)], [], [SNAPSHOT]),
    "3: reaches back over it": ([update(95, 105, 94)], [], [SNAPSHOT]),
    "3: ends exactly with it": ([update(95, 100, 94)], [], [SNAPSHOT]),
    "3: the one before ended with it": ([], [update(107, 110, 100)], [SNAPSHOT, UPDATE]),
    "3: begins after it": ([update(103, 105, 101)], [], []),
    "3: begins after it, later": ([], [update(103, 105, 101)], [SNAPSHOT, CLEAR]),
    "4: joined by pu, ids jump": ([update(95, 105, 94)], [update(150, 160, 105)], [SNAPSHOT, UPDATE]),
    "4: not joined by pu": ([update(95, 105, 94)], [update(106, 110, 104)], [SNAPSHOT, CLEAR]),
    "4: one is missing": ([update(95, 105, 94)], [update(150, 160, 149)], [SNAPSHOT, CLEAR]),
    "4: told twice": ([update(95, 105, 94)], [update(95, 105, 94)], [SNAPSHOT]),
    "5: a level that is not there": ([], [update(101, 110, 100, [["50.00", "0"]])], [SNAPSHOT, UPDATE]),
    "6: crossed": ([], [update(101, 110, 100, [["100.20", "1"]])], [SNAPSHOT, CLEAR]),
}


@pytest.mark.parametrize("rule", RULES)
def test_the_rules_of_the_book(rule):
    before, after, kinds = RULES[rule]
    book = BinanceUsdmBook(market(), 100)
    events = [book.update(raw) for raw in before]
    assert events == [None] * len(before)
    events = [book.snapshot(snapshot(100)), *(book.update(raw) for raw in after)]
    assert [event.kind for event in events if event is not None] == kinds
    assert book.whole == (CLEAR not in kinds and bool(kinds))
    if not book.whole:
        assert book.trouble


@pytest.fixture(scope="module")
def exchange():
    async def make():
        made = ccxt.pro.binanceusdm()
        made.set_markets([made.parse_market(row) for row in LISTED])
        await made.close()
        return made

    return asyncio.run(make())


LISTED = [
    {"symbol": f"{base}USDT", "contractType": "PERPETUAL", "status": "TRADING", "baseAsset": base, "quoteAsset": "USDT",
     "marginAsset": "USDT", "deliveryDate": 4133404800000, "pricePrecision": 2, "quantityPrecision": 3, "filters": []}
    for base in ("BTC", "BNB")
]  # fmt: skip


def load(kind: str, name: str) -> Any:
    return json.loads((FUTURES / kind / f"{name}.json").read_text())


@recorded
def test_recorded_market_frames():
    dialect, read = BinanceUsdmMarketDialect(), {}
    for path in sorted((FUTURES / "market_data_json").glob("*.json")):
        for piece in dialect.split(json.loads(path.read_text())):
            read[path.stem] = piece
    assert {name: piece.stream for name, piece in read.items()} == {
        "book_ticker_stream": Stream.QUOTES,
        "depth_update_stream": Stream.BOOK,
        "liquidation_stream": Stream.LIQUIDATIONS,
        "mark_price_stream": Stream.FUNDING,
        "trade_stream": Stream.TRADES,
    }
    fine = market(8, 3)
    (trade,) = dialect.trades(fine, read["trade_stream"].raw)
    assert (trade.trade_id, trade.price, trade.size, trade.side) == ("5933014", 100_000, 100_000, "sell")
    quote = dialect.quote(fine, read["book_ticker_stream"].raw)
    assert (quote.bid, quote.ask_size, quote.ts_event_ns) == (2_535_190_000, 40_660, 1_568_014_460_893_000_000)
    funding = dialect.funding(fine, read["mark_price_stream"].raw)
    assert (funding.mark, funding.index, funding.rate) == (
        Decimal("11794.15000000"),
        Decimal("11784.62659091"),
        Decimal("0.00038167"),
    )
    assert funding.next_ns == 1_562_306_400_000_000_000
    (closed,) = dialect.liquidations(fine, read["liquidation_stream"].raw)
    assert (closed.side, closed.price, closed.quantity) == ("sell", Decimal("9910.12345678"), Decimal("0.014"))
    book = BinanceUsdmBook(fine, 100)
    assert book.snapshot({"lastUpdateId": 149, "bids": [["0.0001", "1"]], "asks": [["1", "1"]]}).kind is SNAPSHOT
    event = dialect.book_event(book, read["depth_update_stream"].raw)
    assert event.levels.tolist() == [[1, 240_000, 10_000], [-1, 260_000, 100_000]]


@recorded
def test_prints_that_are_no_trades_of_the_book_are_passed_over():
    raw = load("market_data_json", "trade_stream")
    dialect = BinanceUsdmMarketDialect()
    assert dialect.trades(market(8, 3), raw | {"X": "MARKET"})
    assert dialect.trades(market(8, 3), raw | {"X": "INSURANCE_FUND"}) == []
    assert dialect.trades(market(8, 3), raw | {"X": "ADL"}) == []


ORDERS = {
    "order_update_new": ("open", "0", None, False),
    "order_update_trade": ("open", "0.001", "7100.50", False),
    "order_update_trade_partial": ("open", "0.001", "7100.50", False),
    "order_update_calculated": ("filled", "0.014", "9910.12", True),
    "order_update_calculated_pending": ("open", "0", None, False),
    "order_update_insurance": ("open", "0.020", "45000.00", True),
    "order_update_adl": ("open", "0.005", "42000.00", True),
    "order_update_settlement": ("filled", "0.010", "50000.00", False),
}


@recorded
@pytest.mark.parametrize("name", ORDERS)
def test_recorded_order_frames(exchange, name):
    message = load("user_data_json", name)
    said = BinanceUsdmAccountDialect().read(exchange, message)
    (order,), raw = said.orders, message["o"]
    state, filled, price, forced = ORDERS[name]
    assert (order.state, order.filled) == (VenueOrderState(state), Decimal(filled))
    assert (order.symbol, order.client_order_id, order.venue_order_id) == ("BTC/USDT:USDT", raw["c"], str(raw["i"]))
    assert said.balances_stale
    assert [fill.price for fill in said.fills] == ([] if price is None else [Decimal(price)])
    for fill in said.fills:
        assert (fill.trade_id, fill.quantity, fill.fee) == (str(raw["t"]), Decimal(raw["l"]), Decimal(raw["n"]))
        assert (fill.fee_currency, fill.maker, fill.side) == ("USDT", raw["m"], raw["S"].lower())
    assert bool(said.liquidations) is forced
    for closed in said.liquidations:
        assert (closed.order_id, closed.quantity) == (order.venue_order_id, Decimal(raw["l"]))


@recorded
def test_orders_of_markets_that_are_not_loaded_are_not_ours(exchange):
    said = BinanceUsdmAccountDialect().read(exchange, load("user_data_json", "order_update_delivery"))
    assert (said.orders, said.fills, said.balances_stale) == ((), (), True)


@recorded
def test_recorded_account_frames(exchange):
    read = BinanceUsdmAccountDialect().read
    said = read(exchange, load("user_data_json", "account_update"))
    flat, long, short = said.positions
    assert (flat.quantity, flat.side, flat.margin_mode) == (0, "", "isolated")
    assert (long.quantity, long.entry, long.unrealised, long.side) == (
        20,
        Decimal("6563.6"),
        Decimal("2850.212"),
        "long",
    )
    assert (short.quantity, short.side) == (-10, "short")
    assert said.balances_stale
    assert not said.funding_stale
    funding = load("user_data_json", "account_update_bnfcr")
    funding["a"]["m"] = "FUNDING_FEE"
    said = read(exchange, funding)
    assert (said.positions, said.funding_stale) == ((), True)
    for name in ("trade_lite", "algo_update_new", "algo_update_canceled"):
        assert read(exchange, load("user_data_json", name)) is None
    assert read(exchange, {"e": "listenKeyExpired", "E": 1, "listenKey": "k"}).refused
    assert read(exchange, {"e": "MARGIN_CALL", "E": 1, "cw": "3.1", "p": []}).positions_stale


class Answers:
    """An instance that answers with recorded bodies."""

    def __init__(self, exchange: Any, **bodies: Any) -> None:
        self._exchange, self._bodies = exchange, bodies
        self.asked: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        if name not in self._bodies:
            return getattr(self._exchange, name)

        async def answer(query: Any = None) -> Any:
            self.asked.append((name, query))
            body = self._bodies[name]
            return body(query) if callable(body) else body

        return answer


@recorded
def test_recorded_answers(exchange):
    dialect = BinanceUsdmAccountDialect()
    rows = load("http_json", "position_risk")
    (held, flat) = asyncio.run(
        dialect.positions(Answers(exchange, fapiPrivateV3GetPositionRisk=rows), ("BTC/USDT:USDT", "BNB/USDT:USDT"))
    )
    assert (held.quantity, held.entry, held.mark) == (Decimal("0.001"), Decimal("50000.0"), Decimal("51000.0"))
    assert (held.liquidation, held.leverage, held.initial_margin) == (Decimal("45000.0"), 20, None)
    assert (flat.symbol, flat.quantity) == ("BNB/USDT:USDT", 0)
    body = load("http_json", "account_info_v2")
    (wallet,) = asyncio.run(dialect.balances(Answers(exchange, fapiPrivateV3GetAccount=body)))
    assert (wallet.currency, wallet.total, wallet.locked, wallet.maintenance) == ("USDT", Decimal("23.72469206"), 0, 0)
    order = dialect._order("BTC/USDT:USDT", load("http_json", "order_response"))
    assert (order.state, order.client_order_id, order.quantity) == (
        VenueOrderState.OPEN,
        "testOrder123",
        Decimal("0.001"),
    )


def test_executions_since_a_moment_are_read_by_pages(exchange):
    def page(query: dict) -> list[dict]:
        first = query.get("fromId", 1)
        count = 1_000 if first == 1 else 3
        return [
            {"id": first + n, "orderId": 7, "side": "BUY", "price": "1", "qty": "2", "commission": "0.1",
             "commissionAsset": "USDT", "time": 5, "maker": False}
            for n in range(count)
        ]  # fmt: skip

    answers = Answers(exchange, fapiPrivateGetUserTrades=page)
    fills = asyncio.run(BinanceUsdmAccountDialect().fills_since(answers, ("BTC/USDT:USDT",), 9_000_000))
    assert [int(fill.trade_id) for fill in fills] == list(range(1, 1_004))
    (_, first), (_, second) = answers.asked
    assert (first["startTime"], second["fromId"]) == (9, 1_001)
    assert "startTime" not in second


def test_hedge_mode_is_refused_in_words(exchange):
    answers = Answers(exchange, fapiPrivateGetPositionSideDual={"dualSidePosition": True})
    with pytest.raises(ccxt.NotSupported, match="hedge mode"):
        asyncio.run(BinanceUsdmAccountDialect().subscribe(answers))
    assert [name for name, _ in answers.asked] == ["fapiPrivateGetPositionSideDual"]
