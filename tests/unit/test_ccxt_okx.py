"""OKX's messages as the documentation and recordings have them, read exactly; what they leave out is left to a query."""

import asyncio
from decimal import Decimal
from typing import Any

import ccxt.pro
import pytest

from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.account.outcomes import Verdict, classify
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import Stream, VenueOrderState
from adapters.ccxt.venues.okx.dialect import OkxAccountDialect, OkxMarketDialect

CONFIG = ExchangeConfig(
    venue="OKX",
    exchange="okx",
    symbols=("BTC/USDT",),
    api_key="k",
    secret="s",
    password="p",
    rest_url="http://127.0.0.1:1",
)
LISTED = {
    "instType": "SPOT",
    "state": "live",
    "lever": "",
    "settleCcy": "",
    "maxLmtSz": "9999999999",
    "maxMktSz": "1000000",
}
ROW = {
    "instId": "BTC-USDT", "instType": "SPOT", "ordId": "37025", "clOrdId": "c1", "side": "buy", "ordType": "ioc", "px": "60000.1",
    "sz": "1", "state": "partially_filled", "accFillSz": "0.5", "tradeId": "77", "fillPx": "59999.9", "fillSz": "0.2",
    "fillTime": "1700000000100", "fillFee": "-0.0002", "fillFeeCcy": "BTC", "fee": "-0.0005", "feeCcy": "BTC", "execType": "T",
    "tgtCcy": "", "cancelSource": "", "cancelSourceReason": "", "uTime": "1700000000123",
}  # fmt: skip


def instrument(base: str, quote: str) -> dict[str, str]:
    name = {"instId": f"{base}-{quote}", "baseCcy": base, "quoteCcy": quote}
    return LISTED | name | {"lotSz": "0.00000001", "tickSz": "0.1", "minSz": "0.00001"}


@pytest.fixture(scope="module")
def exchange() -> Any:
    """ccxt's own, with two spot markets and no connection."""
    made = OkxAccountDialect().create(CONFIG)
    made.set_markets(made.parse_markets([instrument("BTC", "USDT"), instrument("ETH", "USDT")]))
    return made


def orders(*rows: dict) -> dict:
    return {"arg": {"channel": "orders", "instType": "SPOT"}, "data": list(rows)}


def test_a_row_is_an_order_and_one_execution(exchange):
    said = OkxAccountDialect().read(exchange, orders(ROW))
    (order,), (fill,) = said.orders, said.fills
    assert (order.symbol, order.client_order_id, order.venue_order_id) == ("BTC/USDT", "c1", "37025")
    assert (order.state, order.filled, order.quantity) == (VenueOrderState.OPEN, Decimal("0.5"), Decimal(1))
    assert (order.price, order.time_in_force, order.kind) == (Decimal("60000.1"), "IOC", "limit")
    assert (fill.trade_id, fill.venue_order_id, fill.client_order_id, fill.side) == ("77", "37025", "c1", "buy")
    assert (fill.price, fill.quantity, fill.maker) == (Decimal("59999.9"), Decimal("0.2"), False)
    assert (fill.fee, fill.fee_currency) == (Decimal("0.0002"), "BTC")
    assert (order.ts_event_ns, fill.ts_event_ns) == (1700000000123 * 1_000_000, 1700000000100 * 1_000_000)


def test_every_row_of_a_frame_is_read(exchange):
    rows = [ROW | {"tradeId": str(number), "accFillSz": f"{number / 10}"} for number in range(1, 6)]
    said = OkxAccountDialect().read(exchange, orders(*rows))
    assert [fill.trade_id for fill in said.fills] == ["1", "2", "3", "4", "5"]
    assert len(said.orders) == 5


# a row as it differs from ROW, and (fee, currency, maker) of its execution, or None where it tells of none
EXECUTIONS = [
    ({"fillFee": "0.0001", "execType": "M"}, (Decimal("-0.0001"), "BTC", True)),  # a rebate
    ({"fillFee": "0", "fillFeeCcy": ""}, (Decimal(0), "BTC", False)),
    ({"fillFee": "0", "fillFeeCcy": "", "side": "sell"}, (Decimal(0), "USDT", False)),
    ({"fillFee": "", "accFillSz": "0.2"}, (Decimal("0.0005"), "BTC", False)),  # the only one: all fees are its own
    ({"fillFee": ""}, None),  # one of several, its own fee not told: the query will tell
    ({"tradeId": ""}, None),
    ({"tradeId": "0"}, None),
    ({"fillSz": "0"}, None),  # a cancel that repeats the last trade's id
    ({"fillSz": ""}, None),
]


@pytest.mark.parametrize(("change", "expected"), EXECUTIONS)
def test_an_execution_is_told_with_its_own_fee_or_not_at_all(exchange, change, expected):
    said = OkxAccountDialect().read(exchange, orders(ROW | change))
    assert [(fill.fee, fill.fee_currency, fill.maker) for fill in said.fills] == ([expected] if expected else [])
    assert len(said.orders) == 1


STATES = [
    ({"state": "live"}, VenueOrderState.OPEN, ""),
    ({"state": "filled"}, VenueOrderState.FILLED, ""),
    ({"state": "canceled", "cancelSource": "1"}, VenueOrderState.CANCELED, "canceled by the user"),
    ({"state": "canceled", "cancelSource": "31"}, VenueOrderState.CANCELED, "post-only that would have taken"),
    ({"state": "canceled", "cancelSource": "77"}, VenueOrderState.CANCELED, "cancelSource 77"),
    ({"state": "mmp_canceled", "cancelSourceReason": "protected"}, VenueOrderState.CANCELED, "protected"),
]


@pytest.mark.parametrize(("change", "state", "reason"), STATES)
def test_states_and_reasons(exchange, change, state, reason):
    (order,) = OkxAccountDialect().read(exchange, orders(ROW | change)).orders
    assert (order.state, order.reason) == (state, reason)


KINDS = [
    ({"ordType": "limit"}, ("limit", "GTC", Decimal(1))),
    ({"ordType": "post_only"}, ("limit", "GTC", Decimal(1))),
    ({"ordType": "fok"}, ("limit", "FOK", Decimal(1))),
    ({"ordType": "market", "px": "", "tgtCcy": "base_ccy"}, ("market", "IOC", Decimal(1))),
    ({"ordType": "market", "px": "", "tgtCcy": "quote_ccy"}, ("market", "IOC", None)),  # its size is an amount of USDT
]


@pytest.mark.parametrize(("change", "expected"), KINDS)
def test_kinds_of_orders(exchange, change, expected):
    (order,) = OkxAccountDialect().read(exchange, orders(ROW | change)).orders
    assert (order.kind, order.time_in_force, order.quantity) == expected
    assert (order.price is None) == (order.kind == "market")


def test_rows_of_markets_that_are_not_loaded_are_not_ours(exchange):
    said = OkxAccountDialect().read(exchange, orders(ROW | {"instId": "BTC-USDT-SWAP", "instType": "SWAP"}, ROW))
    assert [order.symbol for order in said.orders] == ["BTC/USDT"]
    assert len(said.fills) == 1


def test_packed_ids_come_back_and_others_stay(exchange):
    dialect = OkxAccountDialect()
    sent = dialect.encode_id("O-20240808-235414-001-001-12")
    assert sent.isalnum() and len(sent) <= 32
    rows = [ROW | {"clOrdId": sent}, ROW | {"clOrdId": "6b9ad766b55dBCDE0123"}, ROW | {"clOrdId": ""}]
    names = [order.client_order_id for order in dialect.read(exchange, orders(*rows)).orders]
    assert names == ["O-20240808-235414-001-001-12", "6b9ad766b55dBCDE0123", ""]


def test_balances_are_cash_and_what_of_it_is_not_available(exchange):
    details = [{"ccy": "USDT", "cashBal": "100.5", "availBal": "90.25"}, {"ccy": "BTC", "cashBal": "", "availBal": ""}]
    said = OkxAccountDialect().read(exchange, {"arg": {"channel": "account"}, "data": [{"details": details}]})
    assert [(row.currency, row.total, row.locked) for row in said.balances] == [
        ("USDT", Decimal("100.5"), Decimal("10.25")),
        ("BTC", Decimal(0), Decimal(0)),
    ]


def test_answers_to_subscriptions(exchange):
    read = OkxAccountDialect().read
    assert read(exchange, {"event": "subscribe", "arg": {"channel": "orders", "instType": "SPOT"}}).subscribed
    assert not read(exchange, {"event": "subscribe", "arg": {"channel": "account"}}).subscribed
    assert read(exchange, {"event": "error", "code": "60011", "msg": "Please log in"}).refused == "60011 Please log in"
    assert read(exchange, {"event": "channel-conn-count-error", "channel": "orders"}).refused
    for other in (
        "pong",
        {"event": "login", "code": "0"},
        {"event": "notice", "code": "64008"},
        {"arg": {"channel": "x"}},
    ):
        assert read(exchange, other) is None


# what the venue answers to an order, and what is known of it then
ANSWERS = [
    ("51008", Verdict.REFUSED, False),  # insufficient balance
    ("51016", Verdict.REFUSED, False),  # client order id already exists
    ("51121", Verdict.REFUSED, False),  # not a multiple of the lot
    ("51400", Verdict.NOT_FOUND, False),  # nothing to cancel
    ("51603", Verdict.NOT_FOUND, False),  # no such order
    ("50011", Verdict.REFUSED, False),  # too many requests
    ("50102", Verdict.REFUSED, True),  # our clock: may go once more
    ("50004", Verdict.UNKNOWN, False),  # "does not indicate success or failure of the order"
    ("50001", Verdict.UNKNOWN, False),  # not available now
    ("50013", Verdict.UNKNOWN, False),  # busy
    ("51149", Verdict.UNKNOWN, False),  # "order timed out"
    ("50026", Verdict.UNKNOWN, False),  # system error
    ("51410", Verdict.UNKNOWN, False),  # already being cancelled
]


@pytest.mark.parametrize(("code", "verdict", "retryable"), ANSWERS)
def test_error_codes_say_what_is_known_of_the_order(exchange, code, verdict, retryable):
    body = f'{{"code":"1","data":[{{"clOrdId":"c1","ordId":"","sCode":"{code}","sMsg":"x"}}],"msg":""}}'
    if code.startswith("50"):
        body = f'{{"code":"{code}","data":[],"msg":"x"}}'
    with pytest.raises(ccxt.BaseError) as caught:
        exchange.handle_errors(200, "", "", "POST", {}, body, exchange.parse_json(body), {}, body)
    failure = classify(caught.value)
    assert (failure.verdict, failure.retryable) == (verdict, retryable)
    assert not failure.disables_venue


def test_a_duplicate_after_a_second_try_may_be_our_own_first(exchange):
    body = '{"code":"1","data":[{"clOrdId":"c1","ordId":"","sCode":"51016","sMsg":"x"}],"msg":""}'
    with pytest.raises(ccxt.DuplicateOrderId):  # the account link asks about those, by this name
        exchange.handle_errors(200, "", "", "POST", {}, body, exchange.parse_json(body), {}, body)


def test_market_messages_are_told_apart():
    split = OkxMarketDialect().split

    def message(channel: str, **fields: Any) -> dict:
        return {"arg": {"channel": channel, "instId": "BTC-USDT"}, **fields}

    (piece,) = split(message("books", action="update", data=[{"seqId": 1}]))
    assert (piece.stream, piece.market_id, piece.raw) == (Stream.BOOK, "BTC-USDT", ("update", {"seqId": 1}))
    assert [piece.stream for piece in split(message("trades", data=[{}, {}]))] == [Stream.TRADES, Stream.TRADES]
    level = [["1", "2", "0", "1"]]
    assert split(message("bbo-tbt", data=[{"bids": level, "asks": level}]))[0].stream is Stream.QUOTES
    assert split(message("bbo-tbt", data=[{"bids": [], "asks": level}])) == []  # no best bid: no quote
    assert split(message("books", event="subscribe")) == split("pong") == split(message("tickers", data=[{}])) == []


class Client:
    """A socket that keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[dict] = []
        self.subscriptions = {"books:BTC/USDT": True, "trades:BTC/USDT": True}
        self.rejections: dict = {}
        self.errors: list[Exception] = []

    def on_error(self, error: Exception) -> None:
        self.errors.append(error)

    async def send(self, message: dict) -> None:
        self.sent.append(message)


def test_a_subscription_is_forgotten_only_when_the_venue_says_that_it_has_ended(exchange):
    async def main() -> None:
        dialect, client = OkxMarketDialect(), Client()
        arg = {"channel": "books", "instId": "BTC-USDT"}
        leaving = asyncio.create_task(dialect.forget(exchange, client, "BTC/USDT", Stream.BOOK, 100))
        await asyncio.sleep(0)
        assert client.sent == [{"op": "unsubscribe", "args": [arg]}]
        dialect.split({"event": "unsubscribe", "arg": {"channel": "trades", "instId": "BTC-USDT"}})
        dialect.split({"event": "unsubscribe", "arg": {"channel": "books", "instId": "ETH-USDT"}})
        await asyncio.sleep(0)
        assert not leaving.done()
        dialect.split({"event": "unsubscribe", "arg": arg})
        await leaving
        assert list(client.subscriptions) == ["trades:BTC/USDT"]

    asyncio.run(main())


def test_a_socket_that_does_not_say_so_is_given_up(exchange, monkeypatch):
    monkeypatch.setattr("adapters.ccxt.venues.okx.dialect.LEAVE_S", 0.01)
    client = Client()
    asyncio.run(OkxMarketDialect().forget(exchange, client, "BTC/USDT", Stream.TRADES, 100))
    assert [type(error) for error in client.errors] == [ccxt.RequestTimeout]


class Sink:
    def __init__(self) -> None:
        self.fills: list = []
        self.orders: list = []

    def on_order(self, event) -> None:
        self.orders.append(event)

    def on_fill(self, event) -> None:
        self.fills.append(event)

    def on_balances(self, balances) -> None: ...

    def on_connected(self) -> None: ...


def test_an_execution_told_by_stream_and_query_counts_once(exchange):
    async def main() -> None:
        sink = Sink()
        link = AccountLink(CONFIG, sink)
        link._exchange = exchange
        link._on_message(None, orders(ROW))
        link._on_message(None, orders(ROW))  # the stream again, after a reconnect
        listed = ROW | {"fee": "-0.0002", "feeCcy": "BTC", "billId": "1", "ts": "1700000000100"}
        link._fill(link._dialect._trade(exchange, "BTC/USDT", listed))
        assert [fill.trade_id for fill in sink.fills] == ["77"]
        assert link.counters.fills_duplicate == 2

    asyncio.run(main())
