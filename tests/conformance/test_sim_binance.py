"""The loopback Binance over raw sockets: sequence, signatures, filters, faults, restart."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import aiohttp
import orjson
import pytest

from tests.conformance.venue_probe import binance, control, eventually, make_tape, running

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "IOC", "quantity": "0.3", "price": "70000"}


async def depth(socket: aiohttp.ClientWebSocketResponse) -> dict:
    """The next depth update."""
    while True:
        frame = orjson.loads((await socket.receive(timeout=8)).data)
        if frame.get("e") == "depthUpdate":
            return frame


def subscribe(*streams: str) -> dict:
    return {"method": "SUBSCRIBE", "params": list(streams), "id": 1}


def test_a_client_that_follows_the_rules_has_the_venues_book(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("BINANCE", tape=make_tape(tmp_path)) as (venues, session):
            urls = venues.urls["BINANCE"]
            async with session.ws_connect(urls.ws + "/stream/ws/1") as socket:
                await socket.send_json(subscribe("btcusdt@depth@100ms"))
                first = await depth(socket)
                async with session.get(urls.rest + "/api/v3/depth?symbol=BTCUSDT&limit=1000") as answer:
                    snapshot = orjson.loads(await answer.read())
                sides = {name: {Decimal(p): Decimal(q) for p, q in snapshot[name]} for name in ("bids", "asks")}
                last, done = first["u"], 0
                while done < 12:
                    update = await depth(socket)
                    assert update["U"] == last + 1, "a hole in the update ids"
                    last = update["u"]
                    if last > snapshot["lastUpdateId"]:
                        for name, key in (("bids", "b"), ("asks", "a")):
                            for price, size in update[key]:
                                sides[name][Decimal(price)] = Decimal(size)
                        done += 1
                    if done == 6:  # our own taking is an update like any other
                        status, order = await binance(venues, session, "POST", "/api/v3/order", **ORDER)
                        assert (status, order["status"]) == (200, "FILLED")
                core = venues.servers["BINANCE"].core
                assert venues.servers["BINANCE"]._update_id["BTC/USDT"] == last
                shown, instrument = core.books["BTC/USDT"].shown, core.instruments["BTC/USDT"]
                for name, side in (("bids", shown.bids), ("asks", shown.asks)):
                    ours = {price: size for price, size in sides[name].items() if size}
                    assert ours == {instrument.price(p): instrument.size(q) for p, q in side.top(10_000)}

    asyncio.run(scenario())


def test_signatures_times_and_keys_are_checked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("BINANCE", tape=make_tape(tmp_path)) as (venues, session):
            path = "/api/v3/account"
            assert (await binance(venues, session, "GET", path))[0] == 200
            assert await binance(venues, session, "GET", path, secret="wrong") == (
                400,
                {"code": -1022, "msg": "Signature for this request is not valid."},
            )
            for skew_ms in (-6_000, 2_000):
                status, body = await binance(venues, session, "GET", path, skew_ms=skew_ms)
                assert (status, body["code"]) == (400, -1021)
            assert (await binance(venues, session, "GET", path, skew_ms=-6_000, recvWindow=10_000))[0] == 200
            async with session.get(venues.urls["BINANCE"].rest + path) as answer:
                assert (answer.status, (await answer.json())["code"]) == (401, -2014)
            headers = {"X-MBX-APIKEY": "stranger"}
            async with session.get(
                venues.urls["BINANCE"].rest + path + "?timestamp=1&signature=a", headers=headers
            ) as answer:
                assert (answer.status, (await answer.json())["code"]) == (401, -2015)

    asyncio.run(scenario())


REFUSED = [
    ({"symbol": "NOPE"}, -1121),
    ({"price": "60000.001"}, -1013),
    ({"quantity": "0.000001"}, -1013),
    ({"quantity": "0.00001", "price": "60000"}, -1013),
    ({"quantity": "-1"}, -1013),
    ({"quantity": "NaN"}, -1013),
    ({"quantity": "abc"}, -1100),
    ({"quantity": "5000"}, -2010),
    ({"timeInForce": "NEVER"}, -1115),
    ({"type": "OCO"}, -1116),
    ({"newClientOrderId": "x" * 37}, -1100),
]


def test_orders_the_venue_refuses(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("BINANCE", tape=make_tape(tmp_path)) as (venues, session):
            for change, code in REFUSED:
                status, body = await binance(venues, session, "POST", "/api/v3/order", **(ORDER | change))
                assert (status, body["code"]) == (400, code), change
            assert venues.servers["BINANCE"].core.orders == {}

    asyncio.run(scenario())


def test_unknown_orders_have_their_codes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("BINANCE", tape=make_tape(tmp_path, seconds=4)) as (venues, session):
            wanted = {"symbol": "BTCUSDT", "origClientOrderId": "never"}
            assert (await binance(venues, session, "GET", "/api/v3/order", **wanted))[1]["code"] == -2013
            assert (await binance(venues, session, "DELETE", "/api/v3/order", **wanted))[1]["code"] == -2011

    asyncio.run(scenario())


def test_a_gap_of_the_tape_is_a_hole_in_the_ids_and_503_until_the_book_is_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        said: list[str] = []
        tape = make_tape(tmp_path, gap_at=12)
        async with running("BINANCE", tape=tape, say=said.append, speed=3.0) as (venues, session):
            urls, core = venues.urls["BINANCE"], venues.servers["BINANCE"].core
            assert any("missing before line" in sentence for sentence in said)
            async with session.ws_connect(urls.ws + "/ws/btcusdt@depth@100ms") as socket:
                last = (await depth(socket))["u"]
                while (update := await depth(socket))["U"] == last + 1:
                    last = update["u"]
                assert not core.books["BTC/USDT"].live
                async with session.get(urls.rest + "/api/v3/depth?symbol=BTCUSDT") as answer:
                    assert answer.status == 503
                await eventually(lambda: core.books["BTC/USDT"].live)
                async with session.get(urls.rest + "/api/v3/depth?symbol=BTCUSDT") as answer:
                    snapshot = orjson.loads(await answer.read())
                update = await depth(socket)
                while update["u"] <= snapshot["lastUpdateId"]:
                    update = await depth(socket)
                assert update["U"] <= snapshot["lastUpdateId"] + 1, "no way to synchronise"
            assert [s for s in said if "not to be trusted" in s] and [s for s in said if "whole again" in s]

    asyncio.run(scenario())


def test_an_order_that_hangs_is_live_and_can_be_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("BINANCE", tape=make_tape(tmp_path)) as (venues, session):
            await control(venues, session, "BINANCE", fault="hang_after_accept")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await binance(venues, session, "POST", "/api/v3/order", newClientOrderId="h1", **ORDER)
            found = {"symbol": "BTCUSDT", "origClientOrderId": "h1"}
            status, order = await binance(venues, session, "GET", "/api/v3/order", **found)
            assert (status, order["status"], order["executedQty"]) == (200, "FILLED", "0.30000000")
            trades = (
                await binance(venues, session, "GET", "/api/v3/myTrades", symbol="BTCUSDT", orderId=order["orderId"])
            )[1]
            assert sum(Decimal(trade["qty"]) for trade in trades) == Decimal("0.3")

    asyncio.run(scenario())


def test_other_faults_do_what_they_say(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("BINANCE", tape=make_tape(tmp_path)) as (venues, session):
            urls = venues.urls["BINANCE"]
            await control(venues, session, "BINANCE", fault="reject")
            assert (await binance(venues, session, "POST", "/api/v3/order", **ORDER))[1]["code"] == -2010
            await control(venues, session, "BINANCE", fault="http_503", scope="order")
            assert (await binance(venues, session, "GET", "/api/v3/account"))[0] == 200
            assert (await binance(venues, session, "POST", "/api/v3/order", **ORDER))[0] == 503
            assert venues.servers["BINANCE"].core.orders == {}
            async with session.ws_connect(urls.ws + "/ws/btcusdt@depth@100ms") as socket:
                last = (await depth(socket))["u"]
                await control(venues, session, "BINANCE", fault="drop_updates", symbol="BTC/USDT")
                while (update := await depth(socket))["U"] == last + 1:
                    last = update["u"]
                await control(venues, session, "BINANCE", fault="garbage_frame")
                with pytest.raises(orjson.JSONDecodeError):
                    while True:
                        await depth(socket)
                await control(venues, session, "BINANCE", fault="silence", count=1)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(socket.receive(), 0.5)
                await control(venues, session, "BINANCE", fault="clear")
            async with session.ws_connect(urls.ws + "/ws/btcusdt@depth@100ms") as socket:
                await depth(socket)
                await control(venues, session, "BINANCE", fault="disconnect")
                kinds = {(await socket.receive(timeout=5)).type for _ in range(2)}
                assert kinds & {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE}
            async with session.post(urls.rest + "/_control", json={"fault": "nonsense"}) as answer:
                assert answer.status == 400

    asyncio.run(scenario())


def test_accounts_orders_credentials_and_ports_survive_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        tape, state = make_tape(tmp_path), tmp_path / "state"
        async with running("BINANCE", tape=tape, state=state) as (venues, session):
            await binance(venues, session, "POST", "/api/v3/order", newClientOrderId="k1", **ORDER)
            resting = ORDER | {"timeInForce": "GTC", "price": "50000", "newClientOrderId": "k2"}
            assert (await binance(venues, session, "POST", "/api/v3/order", **resting))[1]["status"] == "NEW"
            before = (await binance(venues, session, "GET", "/api/v3/account"))[1]["balances"]
            first = (venues.urls, venues.credentials)
        async with running("BINANCE", tape=tape, state=state) as (venues, session):
            assert (venues.urls, venues.credentials) == first
            assert (await binance(venues, session, "GET", "/api/v3/account"))[1]["balances"] == before
            [order] = (await binance(venues, session, "GET", "/api/v3/openOrders", symbol="BTCUSDT"))[1]
            assert order["clientOrderId"] == "k2"
            found = {"symbol": "BTCUSDT", "origClientOrderId": "k1"}
            assert (await binance(venues, session, "GET", "/api/v3/order", **found))[1]["status"] == "FILLED"
            again = (await binance(venues, session, "POST", "/api/v3/order", **(resting | {"newClientOrderId": "k2"})))[
                1
            ]
            assert again["code"] == -2010

    asyncio.run(scenario())
