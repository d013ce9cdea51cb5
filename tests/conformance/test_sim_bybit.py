"""The loopback Bybit over raw sockets: update ids, signatures, acknowledged orders and what the topics say of them, losses, pages."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from sim.servers.venues import Venues
from tests.conformance.venue_probe import bybit, control, make_tape, running

LIMIT = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "timeInForce": "IOC", "qty": "0.3", "price": "70000"}
RESTING = LIMIT | {"timeInForce": "GTC", "price": "50000"}
CREATE, CANCEL, REALTIME = "/v5/order/create", "/v5/order/cancel", "/v5/order/realtime"
HISTORY, EXECUTIONS = "/v5/order/history", "/v5/execution/list"


async def heard(socket: aiohttp.ClientWebSocketResponse, **wanted: object) -> dict:
    """The next message with these fields."""
    while True:
        message = orjson.loads((await socket.receive(timeout=8)).data)
        if all(message.get(name) == value for name, value in wanted.items()):
            return message


async def told(socket: aiohttp.ClientWebSocketResponse, topic: str) -> dict:
    """The next message of a topic."""
    return await heard(socket, topic=topic)


def public(venues: Venues, session: aiohttp.ClientSession) -> Any:
    return session.ws_connect(venues.urls["BYBIT"].ws + "/v5/public/spot")


def private(venues: Venues, session: aiohttp.ClientSession) -> Any:
    return session.ws_connect(venues.urls["BYBIT"].ws + "/v5/private")


def login(venues: Venues, *, expires_in_ms: int = 5_000, secret: str = "", key: str = "") -> dict:
    known = venues.credentials["BYBIT"]
    expires = str(time.time_ns() // 1_000_000 + expires_in_ms)
    mac = hmac.new((secret or known.secret).encode(), f"GET/realtime{expires}".encode(), hashlib.sha256)
    return {"op": "auth", "args": [key or known.key, expires, mac.hexdigest()]}


def subscribe(*topics: str) -> dict:
    return {"op": "subscribe", "req_id": "7", "args": list(topics)}


class Book:
    """A client's book, by the documented rules and no others: no cutting."""

    def __init__(self, message: dict) -> None:
        assert message["type"] == "snapshot"
        self.sides = {side: {Decimal(p): Decimal(q) for p, q in message["data"][side]} for side in ("b", "a")}
        self.update = message["data"]["u"]

    def apply(self, message: dict) -> None:
        assert (message["type"], message["data"]["u"]) == ("delta", self.update + 1), "a hole in the update ids"
        self.update += 1
        for side, levels in self.sides.items():
            for price, size in message["data"][side]:
                if Decimal(size):
                    levels[Decimal(price)] = Decimal(size)
                else:
                    del levels[Decimal(price)]


@pytest.mark.parametrize("depth", [50, 200])
def test_a_client_that_follows_the_rules_has_the_venues_book(tmp_path: Path, depth: int) -> None:
    async def scenario() -> None:
        async with running("BYBIT", tape=make_tape(tmp_path)) as (venues, session), public(venues, session) as socket:
            topic = f"orderbook.{depth}.BTCUSDT"
            await socket.send_json(subscribe(topic))
            assert (await heard(socket, op="subscribe"))["success"] is True
            book = Book(await told(socket, topic))
            for count in range(12):
                book.apply(await told(socket, topic))
                if count == 5:  # our own taking is a change like any other
                    assert (await bybit(venues, session, "POST", CREATE, **LIMIT))["retCode"] == 0
            server = venues.servers["BYBIT"]
            assert server._update["BTC/USDT", depth] == book.update
            shown, instrument = server.core.books["BTC/USDT"].shown, server.core.instruments["BTC/USDT"]
            for side, levels in (("b", shown.bids), ("a", shown.asks)):
                expected = {instrument.price(p): instrument.size(q) for p, q in levels.top(depth)}
                assert book.sides[side] == expected

    asyncio.run(scenario())


def test_best_prices_are_snapshots_and_come_again_when_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.servers.bybit.server._AGAIN_S", 0.1)

    async def scenario() -> None:
        async with running("BYBIT", tape=make_tape(tmp_path)) as (venues, session), public(venues, session) as socket:
            server = venues.servers["BYBIT"]
            await socket.send_json(subscribe("orderbook.1.BTCUSDT"))
            first, second = [await told(socket, "orderbook.1.BTCUSDT") for _ in range(2)]
            assert {first["type"], second["type"]} == {"snapshot"}
            assert second["data"]["u"] > first["data"]["u"]
            for task in venues._tasks:  # the market stands still from here on
                task.cancel()
            frame = last = await told(socket, "orderbook.1.BTCUSDT")
            while frame["data"]["u"] != server._update["BTC/USDT", 1]:
                frame = last = await told(socket, "orderbook.1.BTCUSDT")
            assert (await told(socket, "orderbook.1.BTCUSDT"))["data"] == last["data"]

    asyncio.run(scenario())


def test_a_lost_book_is_told_as_none_and_comes_back_from_update_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("BYBIT", tape=make_tape(tmp_path, gap_at=12), speed=3.0) as (venues, session):
            core, rest = venues.servers["BYBIT"].core, venues.urls["BYBIT"].rest
            async with public(venues, session) as socket:
                await socket.send_json(subscribe("orderbook.50.BTCUSDT"))
                while (message := await told(socket, "orderbook.50.BTCUSDT"))["data"]["u"] != 1:
                    pass
                assert (message["type"], message["data"]["b"], message["data"]["a"]) == ("snapshot", [], [])
                assert not core.books["BTC/USDT"].live
                async with session.get(rest + "/v5/market/orderbook?category=spot&symbol=BTCUSDT") as answer:
                    assert (await answer.json())["retCode"] == 10016
                await socket.send_json({"op": "unsubscribe", "args": ["orderbook.50.BTCUSDT"]})
                await socket.send_json(subscribe("orderbook.50.BTCUSDT"))  # as a client would
                whole = await told(socket, "orderbook.50.BTCUSDT")
                assert (whole["type"], whole["data"]["u"]) == ("snapshot", 1)
                assert core.books["BTC/USDT"].live and whole["data"]["b"] and whole["data"]["a"]
                Book(whole).apply(await told(socket, "orderbook.50.BTCUSDT"))

    asyncio.run(scenario())


def test_a_dropped_update_is_a_hole(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("BYBIT", tape=make_tape(tmp_path)) as (venues, session), public(venues, session) as socket:
            await socket.send_json(subscribe("orderbook.200.BTCUSDT"))
            book = Book(await told(socket, "orderbook.200.BTCUSDT"))
            await control(venues, session, "BYBIT", fault="drop_updates", symbol="BTC/USDT")
            with pytest.raises(AssertionError, match="a hole"):
                while True:
                    book.apply(await told(socket, "orderbook.200.BTCUSDT"))

    asyncio.run(asyncio.wait_for(scenario(), 15))


def test_keys_signatures_times_and_categories_are_checked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("BYBIT", tape=make_tape(tmp_path)) as (venues, session):

            async def code(**changes: object) -> int:
                wanted = {"accountType": "UNIFIED"} | changes
                return (await bybit(venues, session, "GET", "/v5/account/wallet-balance", **wanted))["retCode"]

            assert await code() == 0
            assert await code(key="stranger") == 10003
            assert await code(secret="wrong") == 10004
            assert await code(skew_ms=-6_000) == await code(skew_ms=2_000) == 10002
            assert await code(accountType="SPOT") == 10001
            for path in (REALTIME, EXECUTIONS, "/v5/account/fee-rate"):
                assert (await bybit(venues, session, "GET", path, category="linear"))["retCode"] == 10001

    asyncio.run(scenario())


def test_the_private_socket_wants_a_login(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("BYBIT", tape=make_tape(tmp_path)) as (venues, session), private(venues, session) as socket:
            await socket.send_json(subscribe("order"))
            assert (await heard(socket, op="subscribe"))["success"] is False
            for wrong, code in (
                (login(venues, key="stranger"), 10003),
                (login(venues, secret="wrong"), 10004),
                (login(venues, expires_in_ms=-1), 10002),
            ):
                await socket.send_json(wrong)
                answer = await heard(socket, op="auth")
                assert (answer["success"], answer["retCode"]) == (False, code)
            await socket.send_json(login(venues))
            assert (await heard(socket, op="auth"))["success"] is True
            await socket.send_json(subscribe("order", "nonsense"))
            assert "nonsense" in (await heard(socket, op="subscribe"))["ret_msg"]
            await socket.send_json({"op": "ping", "req_id": "9"})
            assert (await heard(socket, op="pong"))["req_id"] == "9"
            async with public(venues, session) as other:
                await other.send_json({"op": "ping", "req_id": "9"})
                assert (await heard(other, op="ping"))["ret_msg"] == "pong"
                await other.send_json(subscribe(*["tickers.BTCUSDT"] * 11))
                assert (await heard(other, op="subscribe"))["ret_msg"] == "args size >10"

    asyncio.run(scenario())


REFUSED = [
    ({"symbol": "NOPE"}, 170121),
    ({"price": "60000.001"}, 170134),
    ({"qty": "0.0000001"}, 170137),
    ({"qty": "0.000001", "price": "60000"}, 170140),
    ({"qty": "abc"}, 170130),
    ({"qty": "5000"}, 170131),
    ({"side": "buy"}, 170117),
    ({"orderType": "Stop"}, 170116),
    ({"timeInForce": "NEVER"}, 170115),
    ({"orderType": "Market"}, 170227),  # without marketUnit its quantity would be dollars
    ({"orderLinkId": "x" * 37}, 10001),
    ({"orderLinkId": "a.b"}, 10001),
]


def test_orders_the_venue_refuses(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("BYBIT", tape=make_tape(tmp_path)) as (venues, session):
            for change, code in REFUSED:
                body = await bybit(venues, session, "POST", CREATE, **(LIMIT | change))
                assert (body["retCode"], body["result"]) == (code, {}), change
            assert venues.servers["BYBIT"].core.orders == {}
            assert (await bybit(venues, session, "POST", CANCEL, symbol="BTCUSDT", orderLinkId="no"))[
                "retCode"
            ] == 170213

    asyncio.run(scenario())


def test_an_order_id_is_taken_once_for_ever(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("BYBIT", tape=make_tape(tmp_path), state=tmp_path / "state") as (venues, session):
            assert (await bybit(venues, session, "POST", CREATE, orderLinkId="k1", **LIMIT))["retCode"] == 0
            assert (await bybit(venues, session, "POST", CREATE, orderLinkId="k1", **LIMIT))["retCode"] == 170141
        async with running("BYBIT", tape=make_tape(tmp_path), state=tmp_path / "state") as (venues, session):
            assert (await bybit(venues, session, "POST", CREATE, orderLinkId="k1", **LIMIT))["retCode"] == 170141
            found = (await bybit(venues, session, "GET", REALTIME, orderLinkId="k1"))["result"]["list"]
            assert [(row["orderStatus"], row["cumExecQty"]) for row in found] == [("Filled", "0.300000")]

    asyncio.run(scenario())


ENDS = [
    (LIMIT, "Filled", "EC_NoError"),
    (LIMIT | {"timeInForce": "PostOnly"}, "Rejected", "EC_PostOnlyWillTakeLiquidity"),
    (LIMIT | {"orderType": "Market", "marketUnit": "baseCoin"}, "Filled", "EC_NoError"),
    (LIMIT | {"price": "50000"}, "Cancelled", "EC_NoImmediateQtyToFill"),
    (RESTING, "Cancelled", "EC_PerCancelRequest"),
    (LIMIT | {"qty": "300", "timeInForce": "FOK"}, "Cancelled", "EC_NoEnoughQtyToFill"),
    (LIMIT | {"qty": "300"}, "PartiallyFilledCanceled", "EC_NoImmediateQtyToFill"),  # last: it leaves no offer
]


async def until(socket: aiohttp.ClientWebSocketResponse, link: str, status: str) -> tuple[dict, Decimal]:
    """The order's row that has this status, and what its executions until then add up to."""
    filled = Decimal(0)
    while True:
        message = await heard(socket)
        for row in message.get("data", []):
            if row.get("orderLinkId") != link:
                continue
            assert row["category"] == "spot"
            if message["topic"] == "execution.spot":
                assert (row["feeCurrency"], row["isMaker"]) == ("BTC", False)
                filled += Decimal(row["execQty"])
            elif row["orderStatus"] == status:
                return row, filled


def test_an_order_is_acknowledged_and_its_end_is_told_by_topic_query_and_history(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("BYBIT", tape=make_tape(tmp_path)) as (venues, session), private(venues, session) as socket:
            await socket.send_json(login(venues))
            await socket.send_json(subscribe("order.spot", "execution.spot", "wallet"))
            assert (await heard(socket, op="subscribe"))["success"] is True
            for number, (order, status, reason) in enumerate(ENDS):
                link = f"k{number}"
                answer = await bybit(venues, session, "POST", CREATE, orderLinkId=link, **order)
                assert set(answer["result"]) == {"orderId", "orderLinkId"}, "nothing but its ids"
                if order is RESTING:
                    await until(socket, link, "New")
                    [wallet] = (await told(socket, "wallet"))["data"]
                    assert {coin["coin"]: coin["locked"] for coin in wallet["coin"]} == {"BTC": "0", "USDT": "15000"}
                    await bybit(venues, session, "POST", CANCEL, symbol="BTCUSDT", orderLinkId=link)
                end, filled = await until(socket, link, status)
                assert (end["rejectReason"], Decimal(end["cumExecQty"])) == (reason, filled)
                for path in (REALTIME, HISTORY):
                    [row] = (await bybit(venues, session, "GET", path, orderLinkId=link))["result"]["list"]
                    assert (row["orderId"], row["orderStatus"]) == (answer["result"]["orderId"], status)
                    assert Decimal(row["cumExecQty"]) == filled
                trades = await bybit(venues, session, "GET", EXECUTIONS, orderId=end["orderId"], limit=100)
                assert sum(Decimal(trade["execQty"]) for trade in trades["result"]["list"]) == filled

    asyncio.run(scenario())


def test_open_orders_ended_orders_and_executions_come_in_pages(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("BYBIT", tape=make_tape(tmp_path)) as (venues, session):
            for number in range(5):
                await bybit(venues, session, "POST", CREATE, orderLinkId=f"open{number}", **RESTING)
            for _ in range(3):
                await bybit(venues, session, "POST", CREATE, **(LIMIT | {"qty": "2"}))

            async def pages(path: str, **query: object) -> list[dict]:
                rows: list[dict] = []
                follow: dict[str, str] = {}
                while True:
                    body = await bybit(venues, session, "GET", path, limit=2, **query, **follow)
                    rows += body["result"]["list"]
                    assert len(body["result"]["list"]) <= 2
                    if not body["result"]["nextPageCursor"]:
                        return rows
                    follow = {"cursor": body["result"]["nextPageCursor"].replace("%3A", ":").replace("%2C", ",")}

            opened = await pages(REALTIME, symbol="BTCUSDT")
            assert [row["orderLinkId"] for row in opened] == [f"open{number}" for number in (4, 3, 2, 1, 0)]
            assert len(await pages(HISTORY)) == len(await pages(REALTIME, openOnly=1)) == 3
            core = venues.servers["BYBIT"].core
            found = await pages(EXECUTIONS)
            assert [row["execId"] for row in found] == [str(fill.trade_id) for fill in reversed(core.fills)]
            now = time.time_ns() // 1_000_000
            assert await pages(EXECUTIONS, startTime=now - 10 * 86_400_000) == []  # the week that began then
            too_long = await bybit(venues, session, "GET", EXECUTIONS, startTime=now - 8 * 86_400_000, endTime=now)
            assert too_long["retCode"] == 10001

    asyncio.run(scenario())


def test_an_order_that_hangs_is_live_and_can_be_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("BYBIT", tape=make_tape(tmp_path)) as (venues, session):
            await control(venues, session, "BYBIT", fault="hang_after_accept")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await bybit(venues, session, "POST", CREATE, orderLinkId="h1", **LIMIT)
            [row] = (await bybit(venues, session, "GET", REALTIME, orderLinkId="h1"))["result"]["list"]
            assert row["orderStatus"] == "Filled"
            await control(venues, session, "BYBIT", fault="reject")
            assert (await bybit(venues, session, "POST", CREATE, **LIMIT))["retCode"] == 170131
            await control(venues, session, "BYBIT", fault="http_503", scope="order")
            with pytest.raises(AssertionError):
                await bybit(venues, session, "POST", CREATE, orderLinkId="h2", **LIMIT)
            assert "h2" not in venues.servers["BYBIT"].core.by_client

    asyncio.run(scenario())
