"""Private messages and answers of both venues, as their documentation and recordings have them, read exactly."""

import asyncio
from decimal import Decimal
from types import SimpleNamespace

import ccxt
import pytest

from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.account.outcomes import Verdict, classify
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import Stream, VenueOrderState
from adapters.ccxt.venues.binance.dialect import BinanceAccountDialect, BinanceMarketDialect
from adapters.ccxt.venues.kraken.account import KrakenAccountDialect
from adapters.ccxt.venues.kraken.dialect import KrakenMarketDialect
from adapters.ccxt.venues.kraken.lookup import order_of

EXCHANGE = SimpleNamespace(
    safe_symbol=lambda market_id, *_: {"ETHUSDT": "ETH/USDT", "XBTUSDT": "BTC/USDT"}[market_id],
    safe_currency_code=lambda asset: {"XXBT": "BTC"}.get(asset, asset),
    market=lambda symbol: {"quote": symbol.split("/")[1]},
)

REPORT = {
    "e": "executionReport", "E": 1709654401000, "s": "ETHUSDT", "c": "c-1", "S": "BUY", "o": "LIMIT", "f": "IOC",
    "q": "1.00000000", "p": "2500.00000000", "x": "TRADE", "X": "PARTIALLY_FILLED", "r": "NONE", "i": 12345678,
    "l": "0.40000000", "z": "0.40000000", "L": "2499.99000000", "n": "0.00040000", "N": "ETH", "T": 1709654401000,
    "t": 98765432, "m": False, "C": "",
}  # fmt: skip


def test_binance_execution_report_is_an_order_and_a_fill():
    said = BinanceAccountDialect().read(EXCHANGE, {"subscriptionId": 0, "event": REPORT})
    (order,), (fill,) = said.orders, said.fills
    assert (order.state, order.filled, order.quantity) == (VenueOrderState.OPEN, Decimal("0.4"), Decimal(1))
    assert (fill.trade_id, fill.client_order_id, fill.price) == ("98765432", "c-1", Decimal("2499.99"))
    assert (fill.quantity, fill.fee, fill.fee_currency, fill.maker) == (Decimal("0.4"), Decimal("0.0004"), "ETH", False)
    assert fill.ts_event_ns == 1709654401000 * 1_000_000


def test_binance_cancel_report_names_the_original_order():
    raw = REPORT | {"x": "CANCELED", "X": "CANCELED", "c": "cancel-request-7", "C": "c-1", "N": None, "n": "0"}
    said = BinanceAccountDialect().read(EXCHANGE, raw)
    assert said.orders[0].client_order_id == "c-1"
    assert said.orders[0].state is VenueOrderState.CANCELED
    assert said.fills == ()


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("NEW", "open"),
        ("FILLED", "filled"),
        ("EXPIRED", "expired"),
        ("EXPIRED_IN_MATCH", "expired"),
        ("REJECTED", "rejected"),
    ],
)
def test_binance_states(status, state):
    raw = REPORT | {"x": "NEW", "X": status}
    assert BinanceAccountDialect().read(EXCHANGE, raw).orders[0].state == state


def test_binance_account_position_is_exact():
    raw = {"e": "outboundAccountPosition", "B": [{"a": "XXBT", "f": "0.10000000", "l": "0.20000001"}]}
    (row,) = BinanceAccountDialect().read(EXCHANGE, raw).balances
    assert (row.currency, row.total, row.locked) == ("BTC", Decimal("0.30000001"), Decimal("0.20000001"))


def test_binance_market_messages_are_told_apart():
    split = BinanceMarketDialect().split
    assert split({"e": "depthUpdate", "s": "BTCUSDT"})[0].stream is Stream.BOOK
    assert split({"stream": "x", "data": {"e": "trade", "s": "BTCUSDT"}})[0].stream is Stream.TRADES
    assert split({"u": 1, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1"})[0].stream is Stream.QUOTES
    assert split({"result": None, "id": 1}) == split([1]) == []


def execution(**changes) -> dict:
    row = {
        "order_id": "O6NTZC-K6FRH-ATWBCK", "exec_id": "T5DIUI-5N4KO-Z5BPXK", "exec_type": "trade", "trade_id": 8253473,
        "symbol": "USDC/USD", "side": "sell", "last_qty": 15.44, "last_price": 1.0002, "liquidity_ind": "t", "cost": 15.443088,
        "order_status": "filled", "order_type": "market", "fees": [{"asset": "USD", "qty": 0.3458}],
        "timestamp": "2023-09-22T10:33:05.709950Z",
    }  # fmt: skip
    return row | changes


def test_kraken_reads_every_row_of_an_executions_frame():
    """ccxt takes the kind of the whole frame from its first row."""
    new = {"order_id": "OA", "cl_ord_id": "c-1", "exec_type": "new", "order_status": "new", "symbol": "USDC/USD"}
    first = execution(order_id="OA", exec_id="T1", cl_ord_id="c-1", order_status="partially_filled", cum_qty=15.44)
    second = execution(order_id="OA", exec_id="T2", cl_ord_id="c-1", fees=[])
    said = KrakenAccountDialect().read(
        EXCHANGE, {"channel": "executions", "type": "update", "data": [new, first, second]}
    )
    assert [fill.trade_id for fill in said.fills] == ["T1", "T2"]
    assert [order.state for order in said.orders] == ["open", "open", "filled"]
    assert (said.fills[0].fee, said.fills[0].fee_currency) == (Decimal("0.3458"), "USD")
    assert said.fills[0].ts_event_ns == 1695378785709950000


def test_kraken_subscription_answers():
    read = KrakenAccountDialect().read
    yes = {"method": "subscribe", "success": True, "result": {"channel": "executions"}}
    assert read(EXCHANGE, yes).subscribed
    no = {"method": "subscribe", "success": False, "error": "ESession:Invalid session"}
    assert read(EXCHANGE, no).refused == "ESession:Invalid session"
    assert read(EXCHANGE, {"channel": "heartbeat"}) is None


@pytest.fixture(scope="module")
def kraken():
    return KrakenAccountDialect().create(ExchangeConfig(venue="KRAKEN", exchange="kraken", symbols=("BTC/USDT",)))


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        ("EGeneral:Internal error", Verdict.UNKNOWN),
        ("EGeneral:Internal error:107", Verdict.UNKNOWN),
        ("EService:Deadline elapsed", Verdict.UNKNOWN),
        ("EService:Busy", Verdict.UNKNOWN),
        ("EService:Throttled: 1795297336", Verdict.REFUSED),
        ("EService:Market in cancel_only mode", Verdict.REFUSED),
        ("EAPI:Invalid signature", Verdict.REFUSED),
        ("EOrder:Post only order", Verdict.REFUSED),
        ("EAccount:Invalid permissions:BTC/USDT trading restricted", Verdict.REFUSED),
    ],
)
def test_what_an_error_of_kraken_says_of_an_order(kraken, error, verdict):
    body = {"error": [error]}
    with pytest.raises(ccxt.BaseError) as caught:
        kraken.handle_errors(200, "", "", "POST", {}, kraken.json(body), body, {}, {})
    failure = classify(caught.value)
    assert (failure.verdict, failure.retryable) == (verdict, False)
    assert failure.disables_venue is (error == "EAPI:Invalid signature")


def test_kraken_closed_but_not_filled_is_cancelled():
    raw = {
        "cl_ord_id": "c-1", "status": "closed", "opentm": 1688583840.8648, "vol": "0.5", "vol_exec": "0.2", "reason": None,
        "descr": {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "price": "29500.0"},
    }  # fmt: skip
    order = order_of(EXCHANGE, "OX", raw)
    assert (order.state, order.filled, order.symbol) == (VenueOrderState.CANCELED, Decimal("0.2"), "BTC/USDT")
    assert order.ts_event_ns == 1688583840864800000


def test_kraken_lists_somebody_elses_trailing_stop_without_a_price():
    def row(kind: str, price: str, pair: str = "XBTUSDT") -> dict:
        return {
            "cl_ord_id": "", "status": "open", "opentm": 1688583840.8648, "vol": "0.5", "vol_exec": "0",
            "descr": {"pair": pair, "type": "buy", "ordertype": kind, "price": price, "price2": "0"},
        }  # fmt: skip

    async def openorders(_: dict) -> dict:
        rows = {
            "O1": row("trailing-stop", "+15.0000%"),
            "O2": row("limit", "29500.0"),
            "O3": row("limit", "1", "ETHUSDT"),
        }
        return {"error": [], "result": {"open": rows}}

    exchange = SimpleNamespace(**vars(EXCHANGE), private_post_openorders=openorders)
    orders = asyncio.run(KrakenAccountDialect().open_orders(exchange, ("BTC/USDT",)))
    assert [(order.venue_order_id, order.price) for order in orders] == [("O1", None), ("O2", Decimal("29500.0"))]


def test_kraken_trades_of_before_we_came_are_not_events():
    row = {"symbol": "BTC/USDT"}
    assert KrakenMarketDialect().split({"channel": "trade", "type": "snapshot", "data": [row]}) == []
    assert len(KrakenMarketDialect().split({"channel": "trade", "type": "update", "data": [row, row]})) == 2


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


def account_link() -> tuple[AccountLink, Sink]:
    sink = Sink()
    link = AccountLink(ExchangeConfig(venue="KRAKEN", exchange="kraken", symbols=("USDC/USD",)), sink)
    link._exchange = EXCHANGE
    return link, sink


def frame(*rows) -> dict:
    return {"channel": "executions", "type": "update", "data": list(rows)}


def test_a_fill_that_comes_before_the_answer_naming_its_order_is_kept_and_told_once():
    async def main() -> None:
        link, sink = account_link()
        link._live["c-1"] = "USDC/USD"
        link._on_message(None, frame(execution(exec_id="T1")))
        assert sink.fills == []
        named = {"order_id": "O6NTZC-K6FRH-ATWBCK", "cl_ord_id": "c-1", "order_status": "filled", "symbol": "USDC/USD"}
        link._on_message(None, frame(named))
        assert [(fill.trade_id, fill.client_order_id) for fill in sink.fills] == [("T1", "c-1")]
        link._on_message(None, frame(execution(exec_id="T1")))
        assert len(sink.fills) == 1
        assert link.counters.fills_duplicate == 1

    asyncio.run(main())


def test_a_burst_of_fills_in_one_frame_loses_none():
    async def main() -> None:
        link, sink = account_link()
        rows = [execution(exec_id=f"T{number}", cl_ord_id="c-1") for number in range(2_500)]
        link._on_message(None, frame(*rows))
        assert [fill.trade_id for fill in sink.fills] == [f"T{number}" for number in range(2_500)]

    asyncio.run(main())


def test_a_cancel_row_without_symbol_finds_its_order():
    async def main() -> None:
        link, sink = account_link()
        link._on_message(
            None, frame({"order_id": "OA", "cl_ord_id": "c-1", "order_status": "new", "symbol": "USDC/USD"})
        )
        link._on_message(None, frame({"order_id": "OA", "order_status": "canceled", "cum_qty": 0}))
        assert [(order.client_order_id, order.symbol, order.state) for order in sink.orders][-1] == (
            "c-1",
            "USDC/USD",
            VenueOrderState.CANCELED,
        )

    asyncio.run(main())
