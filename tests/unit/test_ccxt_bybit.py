"""Bybit's rules one by one: what each message and answer means, what is sent, and what a code says of an order."""

import asyncio
import json
from decimal import Decimal

import ccxt.pro
import pytest

from adapters.ccxt.account.outcomes import Verdict, classify
from adapters.ccxt.dialect import OrderRequest
from adapters.ccxt.events import Stream, VenueOrderState
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.symbols import ClientIdError
from adapters.ccxt.venues.bybit.dialect import BybitAccountDialect, BybitMarketDialect, _meant
from tests.unit.bybit_messages import ASKS, BIDS, EXECUTION, ORDER, answering, bybit, frame, market, page


@pytest.fixture(scope="module")
def exchange():
    return bybit()


def test_messages_are_told_apart_by_topic():
    split = BybitMarketDialect().split
    assert split(frame("delta", 2))[0].stream is Stream.BOOK
    assert (
        split({"op": "subscribe", "success": True})
        == split([1])
        == split({"topic": "tickers.BTCUSDT", "data": {}})
        == []
    )
    row = {"i": "9", "T": 5, "s": "BTCUSDT", "S": "Sell", "v": "0.0105", "p": "99.90", "BT": False}
    pieces = split(
        {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "data": [row, row | {"BT": True}, row | {"i": "10"}]}
    )
    assert [(piece.stream, piece.raw["i"]) for piece in pieces] == [(Stream.TRADES, "9"), (Stream.TRADES, "10")]
    (trade,) = BybitMarketDialect().trades(market(), row)
    assert (trade.side, trade.price, trade.size, trade.ts_event_ns) == ("sell", 9990, 10, 5_000_000)
    assert BybitMarketDialect().trades(market(), row | {"v": "0.0001"}) == []


def test_best_prices_are_kept_over_deltas_and_told_only_with_both_sides():
    dialect = BybitMarketDialect()

    def best(message: dict) -> list:
        return [dialect.quote(market(), piece.raw) for piece in dialect.split(message)]

    (quote,) = best(frame("snapshot", 5, BIDS[:1], ASKS[:1], depth=1))
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (9990, 1500, 10010, 1000)
    (quote,) = best(frame("delta", 6, [], [["100.05", "2"], ["100.10", "0"]], depth=1))
    assert (quote.bid, quote.ask, quote.ask_size) == (9990, 10005, 2000)
    assert best(frame("delta", 7, [], [["100.05", "0"]], depth=1)) == []
    assert best(frame("snapshot", 1, [], ASKS[:1], depth=1)) == []
    assert best(frame("delta", 2, [["99.70", "1"]], [], depth=1))[0].bid == 9970


STATES = [
    ({}, "open", "0", ""),
    ({"orderStatus": "PartiallyFilled", "cumExecQty": "0.5"}, "open", "0.5", ""),
    ({"orderStatus": "Filled", "cumExecQty": "1.5"}, "filled", "1.5", ""),
    ({"orderStatus": "Cancelled", "cancelType": "CancelByUser", "rejectReason": "EC_NoError"}, "canceled", "0", "CancelByUser"),
    ({"orderStatus": "PartiallyFilledCanceled", "cumExecQty": "0.7"}, "canceled", "0.7", ""),
    ({"orderStatus": "Cancelled", "rejectReason": "EC_NoImmediateQtyToFill"}, "canceled", "0", "EC_NoImmediateQtyToFill"),
    ({"orderStatus": "Rejected", "rejectReason": "EC_PostOnlyWillTakeLiquidity"}, "rejected", "0", "EC_PostOnlyWillTakeLiquidity"),
    ({"orderStatus": "Cancelled", "rejectReason": "EC_PostOnlyWillTakeLiquidity"}, "rejected", "0", "EC_PostOnlyWillTakeLiquidity"),
    ({"orderStatus": "Rejected", "cumExecQty": "0.4"}, "canceled", "0.4", ""),  # what it has had it keeps
    ({"orderStatus": "Untriggered"}, "open", "0", ""),
    ({"orderStatus": "Deactivated", "cancelType": "CancelByUser"}, "canceled", "0", "CancelByUser"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "state", "filled", "reason"), STATES)
def test_states_of_orders(exchange, change, state, filled, reason):
    (order,) = BybitAccountDialect().read(exchange, {"topic": "order.spot", "data": [ORDER | change]}).orders
    assert (order.state, order.filled, order.reason) == (state, Decimal(filled), reason)
    assert (order.symbol, order.client_order_id, order.price, order.quantity) == (
        "BTC/USDT",
        "c-1",
        Decimal("99.90"),
        Decimal("1.5"),
    )
    assert order.ts_event_ns == 1_700_000_000_500_000_000


def test_a_status_that_is_not_known_is_a_bad_frame(exchange):
    with pytest.raises(BadFrame, match="Sleeping"):
        BybitAccountDialect().read(exchange, {"topic": "order", "data": [ORDER | {"orderStatus": "Sleeping"}]})


def test_rows_of_other_categories_are_not_ours(exchange):
    dialect = BybitAccountDialect()
    assert dialect.read(exchange, {"topic": "order", "data": [ORDER | {"category": "linear"}]}).orders == ()
    assert dialect.read(exchange, {"topic": "order.linear", "data": [ORDER | {"category": "linear"}]}) is None
    (order,) = (
        BybitAccountDialect("linear")
        .read(exchange, {"topic": "order", "data": [ORDER | {"category": "linear"}]})
        .orders
    )
    assert order.symbol == "BTC/USDT:USDT"


def test_a_market_buy_by_value_has_no_quantity(exchange):
    def quantity(**change) -> Decimal | None:
        row = ORDER | {"orderType": "Market", "price": "0", "qty": "200"} | change
        return BybitAccountDialect().read(exchange, {"topic": "order", "data": [row]}).orders[0].quantity

    assert quantity() is quantity(marketUnit="quoteCoin") is None
    assert quantity(marketUnit="baseCoin") == quantity(side="Sell") == Decimal(200)


FEES = [
    ({}, "0.0005", "BTC"),
    ({"side": "Sell"}, "0.0005", "USDT"),
    ({"execFee": "-0.0005", "isMaker": True}, "-0.0005", "USDT"),
    ({"execFee": "-0.0005", "isMaker": True, "side": "Sell"}, "-0.0005", "BTC"),
    ({"feeCurrency": "MNT", "execFee": "0.12"}, "0.12", "MNT"),
]


@pytest.mark.parametrize(("change", "fee", "currency"), FEES)
def test_fees_are_in_what_is_received_or_what_the_row_names(exchange, change, fee, currency):
    (fill,) = BybitAccountDialect().read(exchange, {"topic": "execution.spot", "data": [EXECUTION | change]}).fills
    assert (fill.fee, fill.fee_currency) == (Decimal(fee), currency)
    assert (fill.trade_id, fill.client_order_id, fill.price, fill.quantity) == (
        "2100000000007764263",
        "c-1",
        Decimal("99.90"),
        Decimal("0.5"),
    )


def test_what_is_no_execution_is_no_fill(exchange):
    dialect = BybitAccountDialect("linear")
    rows = [
        EXECUTION | {"category": "linear", "execType": kind} for kind in ("Funding", "Trade", "Settle", "BustTrade")
    ]
    assert len(dialect.read(exchange, {"topic": "execution", "data": rows}).fills) == 2


def test_the_wallet_is_exact_and_a_debt_is_nothing_to_spend(exchange):
    coins = [
        {"coin": "BTC", "walletBalance": "0.30000001", "locked": "0.1", "spotBorrow": "0"},
        {"coin": "USDT", "walletBalance": "1200.00", "locked": "", "spotBorrow": "200.00"},
        {"coin": "ETH", "walletBalance": "0", "locked": "0", "spotBorrow": "0.06142"},
    ]
    said = BybitAccountDialect().read(exchange, {"topic": "wallet", "data": [{"coin": coins}]})
    assert [(row.currency, row.total, row.locked) for row in said.balances] == [
        ("BTC", Decimal("0.30000001"), Decimal("0.1")),
        ("USDT", Decimal(1000), Decimal(0)),
        ("ETH", Decimal(0), Decimal(0)),
    ]


def test_client_ids_go_as_they_are_or_not_at_all():
    dialect = BybitAccountDialect()
    for good in ("c-1", "O-20251001-164609-APEX_000-49", "x" * 36):
        assert dialect.decode_id(dialect.encode_id(good)) == good
    for bad in ("", "x" * 37, "a.b", "a b", "ä"):
        with pytest.raises(ClientIdError):
            dialect.encode_id(bad)


CODES = [
    (10000, Verdict.UNKNOWN),  # server timeout
    (10016, Verdict.UNKNOWN),  # server error
    (170007, Verdict.UNKNOWN),
    (170146, Verdict.UNKNOWN),  # order creation timeout
    (170131, Verdict.REFUSED),  # balance
    (170141, Verdict.REFUSED),  # duplicate id: what was sent now does not exist
    (170193, Verdict.REFUSED),  # price limit
    (10006, Verdict.REFUSED),  # too many visits
    (10002, Verdict.REFUSED),  # clock
    (10003, Verdict.REFUSED),  # key
    (999999, Verdict.REFUSED),  # a code of the venue is an answer
    (170213, Verdict.NOT_FOUND),
    (170142, Verdict.NOT_FOUND),  # cancelling what is cancelled already
    (170139, Verdict.NOT_FOUND),
]


@pytest.mark.parametrize(("code", "verdict"), CODES)
def test_what_a_code_says_of_an_order(exchange, code, verdict):
    body = {"retCode": code, "retMsg": "words", "result": {}, "retExtInfo": {}, "time": 1}
    with pytest.raises(ccxt.pro.BaseError) as caught, _meant():
        exchange.handle_errors(200, "OK", "https://x/v5/order/create", "POST", {}, json.dumps(body), body, {}, "")
    assert classify(caught.value).verdict is verdict
    assert classify(caught.value).retryable is (code == 10002)
    assert classify(caught.value).disables_venue is (code == 10003)


def sent_by(exchange, unified: bool, **change) -> dict:
    """The body of `/v5/order/create` for a request."""
    bodies: list[dict] = []

    async def create(body):
        bodies.append(body)
        return {"retCode": 0, "result": {"orderId": "77", "orderLinkId": body.get("orderLinkId", "")}}

    exchange.options |= {"enableUnifiedMargin": False, "enableUnifiedAccount": unified}
    exchange.privatePostV5OrderCreate = create
    request = {
        "client_order_id": "c-1",
        "symbol": "BTC/USDT",
        "side": "buy",
        "kind": "limit",
        "time_in_force": "IOC",
        "quantity": "0.1",
    }
    order, fills = asyncio.run(
        BybitAccountDialect().place(exchange, OrderRequest(**(request | {"price": "99.9"} | change)))
    )
    assert (order.state, order.venue_order_id, fills) == (VenueOrderState.OPEN, "77", [])
    return bodies[0]


def test_what_is_sent_for_an_order(exchange):
    limit = sent_by(exchange, True)
    assert limit == {
        "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "timeInForce": "IOC", "orderLinkId": "c-1", "price": "99.9",
        "smpType": "CancelMaker",
        "category": "spot", "qty": "0.1",
    }  # fmt: skip
    assert sent_by(exchange, True, post_only=True, time_in_force="GTC")["timeInForce"] == "PostOnly"
    market = sent_by(exchange, True, kind="market", price=None)
    assert (market["qty"], market["marketUnit"]) == ("0.1", "baseCoin")  # not a tenth of a dollar


def test_an_account_that_is_not_unified_is_refused(exchange):
    exchange.options |= {"enableUnifiedMargin": False, "enableUnifiedAccount": False}
    with pytest.raises(ccxt.pro.NotSupported, match="unified"):
        asyncio.run(BybitAccountDialect().subscribe(exchange))


def test_an_order_is_asked_of_the_history_when_the_open_ones_do_not_know_it(exchange):
    answering(exchange, "order_realtime", page())
    asked = answering(
        exchange,
        "order_history",
        page(ORDER | {"orderLinkId": "c-2"}, ORDER | {"orderStatus": "Filled", "cumExecQty": "1.5"}),
    )
    order = asyncio.run(BybitAccountDialect().order(exchange, "c-1", "BTC/USDT"))
    assert (order.client_order_id, order.state) == ("c-1", VenueOrderState.FILLED)
    assert asked == [{"category": "spot", "symbol": "BTCUSDT", "orderLinkId": "c-1"}]
    answering(exchange, "order_realtime", page())
    answering(exchange, "order_history", page())
    assert asyncio.run(BybitAccountDialect().order(exchange, "c-1", "BTC/USDT")) is None


def test_every_page_of_executions_is_asked_for(exchange):
    rows = [EXECUTION | {"execId": str(number)} for number in range(130)]
    asked = answering(
        exchange, "execution_list", page(*rows[:100], cursor="99%3A1"), page(*rows[100:], cursor="129%3A1")
    )
    (order,) = BybitAccountDialect().read(exchange, {"topic": "order", "data": [ORDER]}).orders
    fills = asyncio.run(BybitAccountDialect().fills_of(exchange, order))
    assert [fill.trade_id for fill in fills] == [str(number) for number in range(130)]
    assert [query.get("cursor") for query in asked] == [None, "99%3A1"]
    assert {query["orderId"] for query in asked} == {"2300182438032602112"}


def test_a_long_past_is_asked_a_week_at_a_time_and_each_execution_told_once(exchange):
    week = 7 * 24 * 3_600_000
    start = exchange.milliseconds() - 2 * week - 5_000
    late = EXECUTION | {"execId": "2", "symbol": "ETHUSDT"}
    asked = answering(
        exchange, "execution_list", page(EXECUTION), page(EXECUTION, late), page(EXECUTION | {"execId": "3"})
    )
    fills = asyncio.run(BybitAccountDialect().fills_since(exchange, ("BTC/USDT",), start * 1_000_000))
    assert [fill.trade_id for fill in fills] == ["2100000000007764263", "3"]
    assert [query["startTime"] for query in asked] == [start, start + week, start + 2 * week]
