"""Coinbase's dialect: messages, rows and answers as the venue documents them, by tables of cases."""

import asyncio
from decimal import Decimal

import ccxt
import pytest

from adapters.ccxt.account.outcomes import Verdict, classify
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import Decoded, OrderRequest
from adapters.ccxt.events import Stream, VenueOrderState
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.symbols import ClientIdError
from adapters.ccxt.venues.coinbase.account import CoinbaseAccountDialect
from adapters.ccxt.venues.coinbase.dialect import CoinbaseMarketDialect, secret_of, time_ns
from tests.unit.coinbase_messages import FILL, ORDER, USER, answering, book_event, coinbase, market, message, trade

BIDS, ASKS = [("99.90", "1.5")], [("100.10", "1")]
OPEN, FILLED, CANCELED = VenueOrderState.OPEN, VenueOrderState.FILLED, VenueOrderState.CANCELED
EXPIRED, REJECTED = VenueOrderState.EXPIRED, VenueOrderState.REJECTED


@pytest.fixture(scope="module")
def exchange():
    return coinbase()


def following(exchange, *symbols: str) -> CoinbaseMarketDialect:
    """A dialect that knows the products of these symbols, as after their subscription."""
    dialect = CoinbaseMarketDialect()
    for symbol in symbols:
        dialect._learn(exchange.market(symbol))
    return dialect


# --- market data -----------------------------------------------------------------------------------------------------------------------


def test_a_message_is_told_to_the_book_of_its_product(exchange):
    dialect = following(exchange, "BTC/USD", "ETH/USD")
    event = book_event("snapshot", BIDS, ASKS)
    (piece,) = dialect.split(message("l2_data", 0, event))
    assert piece == Decoded(Stream.BOOK, "BTC-USD", (event, time_ns("2026-04-07T14:30:01.456789Z")))
    assert dialect.split(message("l2_data", 1, book_event("update", BIDS, product="SOL-USD"))) == []


def test_a_hole_breaks_every_book_of_the_connection_and_the_message_still_counts(exchange):
    dialect = following(exchange, "BTC/USD", "ETH/USD")
    dialect.split(message("l2_data", 0, book_event("snapshot", BIDS, ASKS)))
    pieces = dialect.split(message("market_trades", 2, {"type": "update", "trades": [trade(1)]}))
    assert [(p.stream, p.market_id) for p in pieces] == [
        (Stream.BOOK, "BTC-USD"),
        (Stream.BOOK, "ETH-USD"),
        (Stream.TRADES, "BTC-USD"),
    ]
    books = [dialect.book(market(), 10), dialect.book(market(symbol="ETH/USD"), 10)]
    for book, piece in zip(books, pieces, strict=False):
        dialect.book_event(book, (book_event("snapshot", BIDS, ASKS), 1))
        assert "expected message 1, got 2" in dialect.book_event(book, piece.raw).reason
    assert dialect.split(message("market_trades", 2, {"type": "update", "trades": [trade(1)]})) == []  # once is enough


def test_products_that_share_a_book_hear_it_under_the_name_of_either(exchange):
    dialect = following(exchange, "BTC/USDC")
    event = book_event("snapshot", BIDS, ASKS)
    assert [p.market_id for p in dialect.split(message("l2_data", 0, event))] == ["BTC-USDC"]
    both = following(exchange, "BTC/USDC", "BTC/USD", "BTC/USDT")
    assert sorted(p.market_id for p in both.split(message("l2_data", 0, event))) == ["BTC-USD", "BTC-USDC"]
    trades = both.split(message("market_trades", 1, {"type": "update", "trades": [trade(1)]}))
    assert sorted(p.market_id for p in trades) == ["BTC-USD", "BTC-USDC"]


def test_trades_come_oldest_first_with_the_takers_side_and_old_ones_not_at_all(exchange):
    dialect = following(exchange, "BTC/USD")
    late = "2026-04-07T14:30:03.000000001Z"
    rows = [trade(12, "SELL", time=late), trade(11, "BUY", time=late), trade(10, "BUY")]
    (piece,) = dialect.split(message("market_trades", 0, {"type": "update", "trades": rows}))
    events = dialect.trades(market(), piece.raw)
    assert [(event.trade_id, event.side) for event in events] == [("10", "sell"), ("11", "sell"), ("12", "buy")]
    assert (events[0].price, events[0].size) == (6_890_050, 150_000)
    assert events[2].ts_event_ns % 1_000_000_000 == 1
    (old,) = dialect.split(message("market_trades", 1, {"type": "snapshot", "trades": rows}))
    assert dialect.trades(market(), old.raw) == []


def test_a_heartbeat_vouches_for_quiet_books_but_not_after_a_trade_without_a_change(exchange):
    dialect = following(exchange, "BTC/USD", "ETH/USD")
    beat = {"current_time": "2026-04-07 14:30:10+00:00", "heartbeat_counter": 42}
    vouched = lambda number: [p.market_id for p in dialect.split(message("heartbeats", number, beat))]  # noqa: E731
    assert vouched(0) == ["BTC-USD", "ETH-USD"]
    dialect.split(message("market_trades", 1, {"type": "update", "trades": [trade(1)]}))
    assert vouched(2) == ["ETH-USD"]
    dialect.split(message("l2_data", 3, book_event("update", BIDS)))
    assert vouched(4) == ["BTC-USD", "ETH-USD"]
    book = dialect.book(market(), 10)
    assert dialect.book_event(book, None) is None


def test_what_is_not_numbered_is_not_read(exchange):
    dialect = following(exchange, "BTC/USD")
    for raw in ("text", [], {"type": "error", "message": "no"}, {"channel": "l2_data"}):
        assert dialect.split(raw) == []


PEM = "-----BEGIN EC PRIVATE KEY-----\nAA\n-----END EC PRIVATE KEY-----"
SECRETS = {
    PEM.replace("\n", "\\n") + "\\n": PEM,
    PEM + "\n": PEM,
    "A" * 86 + "==": "A" * 86 + "==",
    "A" * 43 + "=\n": "A" * 43 + "=",
    "": "",
}


def config(secret: str) -> ExchangeConfig:
    return ExchangeConfig(venue="COINBASE", exchange="coinbase", symbols=("BTC/USD",), api_key="k", secret=secret)


@pytest.mark.parametrize("secret", SECRETS)
def test_forms_of_keys(secret):
    assert secret_of(config(secret)) == SECRETS[secret]


@pytest.mark.parametrize("secret", ["hmac-secret", "A" * 64, "A" * 85 + "=="])
def test_other_keys_are_refused_before_anything_is_sent(secret):
    with pytest.raises(ccxt.AuthenticationError, match="neither the PEM nor the base64"):
        CoinbaseAccountDialect().create(config(secret))


def test_times():
    assert time_ns("2026-04-07T14:30:01Z") == 1_775_572_201_000_000_000
    assert time_ns("2026-04-07T14:30:01.000000001Z") == 1_775_572_201_000_000_001
    assert time_ns("2026-04-07 14:30:01.5+00:00") == 1_775_572_201_500_000_000
    for text in ("", "2026-04-07", "2026-04-07T14:30:01", "2026-04-07T14:30:01.1234567890Z"):
        with pytest.raises(BadFrame):
            time_ns(text)


# --- orders ----------------------------------------------------------------------------------------------------------------------------

# status, filled (of 1.5) → state by query, state by stream
STATES = {
    ("PENDING", "0"): (OPEN, OPEN),
    ("OPEN", "0.5"): (OPEN, OPEN),
    ("QUEUED", "0"): (OPEN, OPEN),
    ("CANCEL_QUEUED", "0"): (OPEN, OPEN),
    ("EDIT_QUEUED", "0"): (OPEN, OPEN),
    ("FILLED", "1.5"): (FILLED, FILLED),
    ("FILLED", "0.5"): (CANCELED, FILLED),  # the stream does not say of how much: the query corrects it
    ("CANCELLED", "0.5"): (CANCELED, CANCELED),
    ("EXPIRED", "0"): (EXPIRED, EXPIRED),
    ("FAILED", "0"): (REJECTED, REJECTED),
    ("FAILED", "0.5"): (CANCELED, REJECTED),
}


@pytest.mark.parametrize("case", STATES)
def test_states(exchange, case):
    status, filled = case
    by_query, by_stream = STATES[case]
    dialect = CoinbaseAccountDialect()
    order = dialect._order(exchange, ORDER | {"status": status, "filled_size": filled})
    assert (order.state, order.filled, order.quantity) == (by_query, Decimal(filled), Decimal("1.5"))
    row = USER | {"status": status, "cumulative_quantity": filled, "leaves_quantity": "0"}
    (told,) = dialect.read(exchange, message("user", 0, {"type": "update", "orders": [row]})).orders
    assert (told.state, told.filled) == (by_stream, Decimal(filled))
    assert (told.quantity is None) is (by_stream is not OPEN)


def test_an_unknown_status_is_not_guessed(exchange):
    dialect = CoinbaseAccountDialect()
    with pytest.raises(BadFrame, match="UNKNOWN_ORDER_STATUS"):
        dialect._order(exchange, ORDER | {"status": "UNKNOWN_ORDER_STATUS"})


CONFIGURATIONS = {
    "sor_limit_ioc": ("limit", "IMMEDIATE_OR_CANCEL", "IOC", Decimal("99.9")),
    "limit_limit_fok": ("limit", "FILL_OR_KILL", "FOK", Decimal("99.9")),
    "limit_limit_gtd": ("limit", "GOOD_UNTIL_DATE_TIME", "GTC", Decimal("99.9")),
    "market_market_ioc": ("market", "IMMEDIATE_OR_CANCEL", "IOC", None),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_terms_of_listed_orders(exchange, name):
    kind, tif, ours, price = CONFIGURATIONS[name]
    terms = {"base_size": "1.5"} | ({"limit_price": "99.90"} if kind == "limit" else {})
    raw = ORDER | {"order_configuration": {name: terms}, "time_in_force": tif, "order_type": kind.upper()}
    order = CoinbaseAccountDialect()._order(exchange, raw)
    assert (order.kind, order.time_in_force, order.price, order.quantity) == (kind, ours, price, Decimal("1.5"))


def test_an_order_by_value_has_no_quantity(exchange):
    raw = ORDER | {"order_configuration": {"market_market_ioc": {"quote_size": "100"}}, "order_type": "MARKET"}
    assert CoinbaseAccountDialect()._order(exchange, raw).quantity is None


REQUEST = OrderRequest(
    client_order_id="c-1",
    symbol="BTC/USD",
    side="buy",
    kind="limit",
    time_in_force="GTC",
    quantity="1.5",
    price="99.90",
)
PLACED = {"success": True, "order_id": "v-1", "success_response": {"order_id": "v-1", "client_order_id": "c-1"}}


def test_an_order_is_placed_with_our_id_and_exact_terms(exchange):
    dialect = CoinbaseAccountDialect()
    asked = answering(exchange, "post_brokerage_orders", PLACED)
    order, fills = asyncio.run(dialect.place(exchange, REQUEST))
    assert (order.venue_order_id, order.state, fills) == ("v-1", OPEN, [])
    assert asked[0] == {
        "client_order_id": "c-1",
        "product_id": "BTC-USD",
        "side": "BUY",
        "order_configuration": {"limit_limit_gtc": {"base_size": "1.5", "limit_price": "99.90", "post_only": False}},
    }


def test_market_buys_and_ids_that_cannot_be_sent_are_refused_here(exchange):
    import msgspec

    dialect, asked = CoinbaseAccountDialect(), answering(exchange, "post_brokerage_orders", PLACED)
    buy = msgspec.structs.replace(REQUEST, kind="market", price=None)
    with pytest.raises(Exception, match="by value only") as refused:
        asyncio.run(dialect.place(exchange, buy))
    assert classify(refused.value).verdict.outcome_known
    sell = msgspec.structs.replace(buy, side="sell")
    asyncio.run(dialect.place(exchange, sell))
    assert [row["order_configuration"] for row in asked] == [{"market_market_ioc": {"base_size": "1.5"}}]
    with pytest.raises(ClientIdError):
        dialect.encode_id("with a space")


def failed(error: str, preview: str = "", new: str = "") -> str:
    import json

    response = {"error": error, "message": "m", "error_details": ""}
    response |= {"preview_failure_reason": preview} if preview else {}
    response |= {"new_order_failure_reason": new} if new else {}
    return "coinbase " + json.dumps({"success": False, "error_response": response})


# what ccxt raises, and what it says of the order
ERRORS = [
    (ccxt.ExchangeError(failed("INVALID_LIMIT_PRICE_POST_ONLY")), Verdict.REFUSED),
    (ccxt.InsufficientFunds(failed("INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND")), Verdict.REFUSED),
    (ccxt.ExchangeError(failed("UNKNOWN_FAILURE_REASON", "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL")), Verdict.REFUSED),
    (ccxt.ExchangeError(failed("UNKNOWN_FAILURE_REASON")), Verdict.UNKNOWN),
    (ccxt.ExchangeError(failed("UNKNOWN_FAILURE_REASON", "UNKNOWN_PREVIEW_FAILURE_REASON")), Verdict.UNKNOWN),
    (ccxt.ExchangeError(failed("INTERNAL")), Verdict.UNKNOWN),
    (ccxt.ExchangeError('coinbase {"error":"INTERNAL","error_details":"","message":"x"}'), Verdict.UNKNOWN),
    (ccxt.ExchangeError('coinbase {"error":"UNAVAILABLE","message":"x"}'), Verdict.UNKNOWN),
    (ccxt.ExchangeError('coinbase {"errors":[{"id":"internal_server_error","message":"x"}]}'), Verdict.UNKNOWN),
    (ccxt.BadRequest('coinbase {"error":"INVALID_ARGUMENT","message":"x"}'), Verdict.REFUSED),
    (ccxt.RateLimitExceeded('coinbase {"error":"rate_limit_exceeded"}'), Verdict.REFUSED),
    (ccxt.AuthenticationError("coinbase POST https://x 401 Unauthorized Unauthorized"), Verdict.REFUSED),
    (ccxt.RequestTimeout("coinbase POST https://x"), Verdict.UNKNOWN),
    (ccxt.ExchangeNotAvailable("coinbase POST https://x 503 Service Unavailable"), Verdict.UNKNOWN),
]


@pytest.mark.parametrize("row", range(len(ERRORS)))
def test_what_an_error_says_of_an_order(exchange, row):
    error, verdict = ERRORS[row]
    answering(exchange, "post_brokerage_orders", error)
    with pytest.raises(ccxt.BaseError) as raised:
        asyncio.run(CoinbaseAccountDialect().place(exchange, REQUEST))
    assert classify(raised.value).verdict is verdict


def test_a_known_order_is_asked_by_its_id_and_cannot_turn_out_never_to_have_been(exchange):
    dialect = CoinbaseAccountDialect()
    answering(exchange, "post_brokerage_orders", PLACED)
    asyncio.run(dialect.place(exchange, REQUEST))
    asked = answering(exchange, "get_brokerage_orders_historical_order_id", {"order": ORDER})
    assert asyncio.run(dialect.order(exchange, "c-1", "BTC/USD")).venue_order_id == "v-1"
    assert asked == [{"order_id": "v-1"}]
    gone = 'coinbase {"error":"NOT_FOUND","message":"order with this orderID was not found"}'
    answering(exchange, "get_brokerage_orders_historical_order_id", ccxt.ExchangeError(gone))
    with pytest.raises(ccxt.OperationFailed, match="does not show its own order v-1"):
        asyncio.run(dialect.order(exchange, "c-1", "BTC/USD"))


def test_an_order_whose_answer_was_lost_is_looked_for_in_the_lists_from_when_it_was_sent(exchange):
    dialect = CoinbaseAccountDialect()
    answering(exchange, "post_brokerage_orders", ccxt.RequestTimeout("coinbase POST"))
    with pytest.raises(ccxt.RequestTimeout):
        asyncio.run(dialect.place(exchange, REQUEST))
    others = {"orders": [ORDER | {"client_order_id": "c-0"}], "has_next": False, "cursor": ""}
    first = {"orders": [ORDER | {"client_order_id": "c-2"}], "has_next": True, "cursor": "more"}
    second = {"orders": [ORDER], "has_next": True, "cursor": "more still"}
    asked = answering(exchange, "get_brokerage_orders_historical_batch", others, first, second)
    assert asyncio.run(dialect.order(exchange, "c-1", "BTC/USD")).client_order_id == "c-1"
    assert [query.get("order_status") for query in asked] == [["OPEN"], None, None]
    assert [query.get("cursor") for query in asked] == [None, None, "more"]
    assert all("start_date" in query for query in asked[1:])
    nothing = {"orders": [], "has_next": False, "cursor": ""}
    answering(exchange, "get_brokerage_orders_historical_batch", nothing)
    assert asyncio.run(dialect.order(exchange, "c-9", "BTC/USD")) is None


def test_a_list_without_an_end_is_no_proof(exchange):
    page = {"orders": [ORDER | {"client_order_id": "c-0"}], "has_next": True, "cursor": "more"}
    asked = answering(exchange, "get_brokerage_orders_historical_batch", page)
    with pytest.raises(ConnectionError, match="orders to look through"):
        asyncio.run(CoinbaseAccountDialect().order(exchange, "c-9", "BTC/USD"))
    assert len(asked) == 40


CANCELS = {
    "UNKNOWN_CANCEL_ORDER": Verdict.NOT_FOUND,
    "ORDER_IS_FULLY_FILLED": Verdict.NOT_FOUND,
    "DUPLICATE_CANCEL_REQUEST": Verdict.NOT_FOUND,
    "COMMANDER_REJECTED_CANCEL_ORDER": Verdict.REFUSED,
}


@pytest.mark.parametrize("reason", CANCELS)
def test_why_an_order_is_not_cancelled(exchange, reason):
    dialect = CoinbaseAccountDialect()
    dialect._learn("c-1", "v-1")
    result = {"success": False, "failure_reason": reason, "order_id": "v-1"}
    asked = answering(exchange, "post_brokerage_orders_batch_cancel", {"results": [result]})
    with pytest.raises(ccxt.ExchangeError) as raised:
        asyncio.run(dialect.cancel(exchange, "c-1", "BTC/USD"))
    assert classify(raised.value).verdict is CANCELS[reason]
    assert asked == [{"order_ids": ["v-1"]}]


def test_an_order_keeps_the_product_it_was_placed_on(exchange):
    import msgspec

    dialect = CoinbaseAccountDialect()
    answering(exchange, "post_brokerage_orders", PLACED)
    asyncio.run(dialect.place(exchange, msgspec.structs.replace(REQUEST, symbol="BTC/USDC")))
    assert dialect._order(exchange, ORDER).symbol == "BTC/USDC"  # told as BTC-USD
    assert dialect._order(exchange, ORDER | {"client_order_id": "c-5"}).symbol == "BTC/USD"


# --- executions and balances -----------------------------------------------------------------------------------------------------------


def test_fills_page_by_page_with_fees_in_the_quote_currency(exchange):
    dialect = CoinbaseAccountDialect()
    order = dialect._order(exchange, ORDER | {"filled_size": "126"})
    full = [FILL | {"trade_id": f"t-{number}"} for number in range(250)]
    last = [
        FILL | {"trade_id": "t-250", "liquidity_indicator": "MAKER"},
        FILL | {"trade_id": "t-251", "trade_type": "REVERSAL"},
    ]
    pages = [{"fills": full, "cursor": "more"}, {"fills": last, "cursor": "and more"}]
    asked = answering(exchange, "get_brokerage_orders_historical_fills", *pages)
    fills = asyncio.run(dialect.fills_of(exchange, order))
    assert [query.get("cursor") for query in asked] == [None, "more"]
    assert {query["order_ids"][0] for query in asked} == {"v-1"}
    assert len(fills) == 251  # the reversal is for a person to see
    assert (fills[0].fee, fills[0].fee_currency, fills[0].maker) == (Decimal("0.05"), "USD", False)
    assert fills[-1].maker
    assert {fill.client_order_id for fill in fills} == {"c-1"}


def test_fills_of_an_order_by_value_are_told_in_lots(exchange):
    row = FILL | {"size_in_quote": True, "size": "100", "price": "30000.01"}
    answering(exchange, "get_brokerage_orders_historical_fills", {"fills": [row], "cursor": ""})
    (fill,) = asyncio.run(CoinbaseAccountDialect().fills_since(exchange, ("BTC/USD",), 0))
    assert fill.quantity == Decimal("0.00333333")


def test_balances_of_every_account_and_page_are_added_up(exchange):
    def row(code: str, free: str, held: str) -> dict:
        return {"currency": code, "available_balance": {"value": free}, "hold": {"value": held}}

    pages = [
        {"accounts": [row("BTC", "1.5", "0.5"), row("USD", "10", "0")], "has_next": True, "cursor": "x"},
        {"accounts": [row("BTC", "1", "0"), row("ETH", "0", "0")], "has_next": False, "cursor": ""},
    ]
    asked = answering(exchange, "get_brokerage_accounts", *pages)
    balances = asyncio.run(CoinbaseAccountDialect().balances(exchange))
    assert {(row.currency, row.total, row.locked) for row in balances} == {
        ("BTC", Decimal(3), Decimal("0.5")),
        ("USD", Decimal(10), Decimal(0)),
    }
    assert [query.get("cursor") for query in asked] == [None, "x"]


# --- the private stream ----------------------------------------------------------------------------------------------------------------


def test_the_private_stream_says_what_it_lost_and_whether_it_was_refused(exchange):
    dialect = CoinbaseAccountDialect()
    read = lambda raw: dialect.read(exchange, raw)  # noqa: E731
    assert read(message("subscriptions", 0, {"subscriptions": {"heartbeats": ["heartbeats"]}})).subscribed is False
    assert read(message("subscriptions", 1, {"subscriptions": {"user": ["u"], "heartbeats": ["h"]}})).subscribed
    assert read(message("heartbeats", 2, {"heartbeat_counter": 1})) is None
    said = read(message("user", 4, {"type": "update", "orders": [USER]}))
    assert "expected message 3, got 4" in said.lost
    assert read(message("user", 3, {"type": "update", "orders": [USER]})) is None
    assert read({"type": "error", "message": "authentication failure"}).refused == "authentication failure"


def test_orders_of_the_stream_make_balances_stale_and_futures_are_not_ours(exchange):
    dialect = CoinbaseAccountDialect()
    rows = [USER, USER | {"product_type": "FUTURE", "product_id": "BIP-20DEC30-CDE"}]
    said = dialect.read(exchange, message("user", 0, {"type": "update", "orders": rows}))
    assert [order.client_order_id for order in said.orders] == ["c-1"]
    assert said.balances_stale
    empty = dialect.read(exchange, message("user", 1, {"type": "snapshot", "orders": []}))
    assert (empty.orders, empty.balances_stale) == ((), False)
