"""Requests over a socket, and what the venues' recorded answers to them say."""

import asyncio
import json
from decimal import Decimal

import ccxt.pro
import pytest

from adapters.ccxt.account.outcomes import NotSent, Verdict, classify
from adapters.ccxt.account.requests import SocketRequests
from adapters.ccxt.dialect import AmendRequest, CancelRequest, OrderRequest
from adapters.ccxt.venues.bybit.dialect import BybitAccountDialect
from adapters.ccxt.venues.kraken.account import KrakenAccountDialect
from tests.recorded_data import MESSAGES

recorded = pytest.mark.skipif(not MESSAGES.is_dir(), reason="no recorded data")
ORDER = OrderRequest(
    client_order_id="c-1",
    symbol="BTC/USD",
    side="buy",
    kind="limit",
    time_in_force="GTC",
    quantity="0.01",
    price="30000.0",
    post_only=True,
)


class Socket:
    """A ccxt client as far as requests use one."""

    def __init__(self, *, open_: bool = True) -> None:
        self.sent: list[object] = []
        self.rejections: dict[str, object] = {}
        self.open = open_

    def closed(self) -> bool:
        return not self.open

    async def send(self, frame: object) -> None:
        self.sent.append(frame)


def test_an_answer_finds_its_request_whatever_the_order():
    async def main() -> None:
        requests, socket = SocketRequests(1.0), Socket()
        one, two = requests.number(), requests.number()
        asked = [asyncio.create_task(requests.ask(socket, number, {"id": number})) for number in (one, two)]
        await asyncio.sleep(0)
        assert requests.answered(two, "second")
        assert requests.answered(one, ValueError("no"))
        assert await asked[1] == "second"
        with pytest.raises(ValueError, match="no"):
            await asked[0]
        assert requests.answered(one, "late")  # ours all the same: not for ccxt
        assert not requests.answered("17", "one of ccxt's own")

    asyncio.run(main())


def test_a_request_without_an_answer_is_unknown_and_without_a_socket_not_sent():
    async def main() -> None:
        requests, socket = SocketRequests(0.05), Socket()
        with pytest.raises(ccxt.pro.RequestTimeout) as late:
            await requests.ask(socket, requests.number(), {})
        assert classify(late.value).verdict is Verdict.UNKNOWN
        asked = asyncio.create_task(requests.ask(socket, requests.number(), {}))
        await asyncio.sleep(0)
        requests.lost(Socket(), "another one")
        requests.lost(socket, "torn")
        with pytest.raises(ccxt.pro.NetworkError, match="torn") as lost:
            await asked
        assert classify(lost.value).verdict is Verdict.UNKNOWN
        with pytest.raises(NotSent) as never:
            await requests.ask(Socket(open_=False), requests.number(), {})
        assert classify(never.value).verdict is Verdict.NOT_SENT
        assert len(socket.sent) == 2

    asyncio.run(main())


@recorded
def test_krakens_recorded_requests_are_ours_and_its_answers_are_read():
    dialect, exchange = KrakenAccountDialect(), ccxt.pro.kraken()
    dialect.token = "TESTTOKEN"
    known = json.loads((MESSAGES / "kraken/ws_add_order_request.json").read_text())
    ours = dialect.socket_frame(exchange, "42", ORDER)
    known["params"] |= {"cl_ord_id": "c-1", "symbol": "BTC/USD", "time_in_force": "gtc"}
    assert ours == known
    amend = AmendRequest(
        client_order_id="c-1", venue_order_id="", symbol="BTC/USD", side="buy", quantity="0.005", price="1"
    )
    assert dialect.socket_frame(exchange, "43", amend)["params"]["order_qty"] == 0.005
    cancel = CancelRequest(client_order_id="c-1", symbol="BTC/USD")
    assert dialect.socket_frame(exchange, "44", cancel)["params"]["cl_ord_id"] == ["c-1"]
    said = json.loads((MESSAGES / "kraken/ws_add_order_response_success.json").read_text())
    number, result = dialect.socket_answer(exchange, said)
    order, fills = dialect.socket_placed(exchange, ORDER, result)
    assert (number, order.venue_order_id, fills) == ("42", "OABCDE-12345-FGHIJ", [])
    number, error = dialect.socket_answer(
        exchange, json.loads((MESSAGES / "kraken/ws_add_order_response_failure.json").read_text())
    )
    assert number == "99"
    assert classify(error).verdict is Verdict.REFUSED
    assert isinstance(error, ccxt.pro.InsufficientFunds)


def test_a_number_that_a_float_cannot_carry_is_not_sent():
    dialect = KrakenAccountDialect()
    order = OrderRequest(
        client_order_id="c",
        symbol="X/Y",
        side="buy",
        kind="limit",
        time_in_force="GTC",
        quantity="12345678901.12345678",
        price="1",
    )
    assert Decimal(repr(float(order.quantity))) != Decimal(order.quantity)
    with pytest.raises(NotSent, match="more digits"):
        dialect.socket_frame(ccxt.pro.kraken(), "1", order)


@recorded
def test_bybits_recorded_answer_of_the_trade_socket_is_read():
    dialect, exchange = BybitAccountDialect(), ccxt.pro.bybit()
    said = json.loads((MESSAGES / "bybit/ws_order_response.json").read_text())
    number, result = dialect.socket_answer(exchange, said)
    order, _ = dialect.socket_placed(exchange, ORDER, result)
    assert (number, order.venue_order_id) == ("order-req-001", "1726025498520715008")
    refused = said | {"retCode": 170131, "retMsg": "Insufficient balance.", "data": {}}
    _, error = dialect.socket_answer(exchange, refused)
    assert classify(error).verdict is Verdict.REFUSED
    silent = said | {"retCode": 10016, "retMsg": "Server error."}
    _, error = dialect.socket_answer(exchange, silent)
    assert classify(error).verdict is Verdict.UNKNOWN
    assert dialect.socket_answer(exchange, {"op": "pong"}) is None
