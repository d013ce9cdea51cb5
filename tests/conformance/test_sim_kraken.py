"""The loopback Kraken over raw sockets: checksum by the documented algorithm, signatures, nonces, private channels, losses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import aiohttp
import orjson
import pytest

from sim.servers.venues import Venues
from tests.conformance.venue_probe import control, eventually, kraken, make_tape, running
from tests.oracles.kraken_checksum import TextBook

ORDER = {
    "pair": "XBTUSDT",
    "type": "buy",
    "ordertype": "limit",
    "timeinforce": "IOC",
    "volume": "0.2",
    "price": "70000",
}


@contextlib.asynccontextmanager
async def connected(
    tape: Path, **options: object
) -> AsyncIterator[tuple[Venues, aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]]:
    """A running Kraken and a WebSocket to it."""
    async with (
        running("KRAKEN", tape=tape, **options) as (venues, session),
        session.ws_connect(venues.urls["KRAKEN"].ws + "/v2") as socket,
    ):
        yield venues, session, socket


async def frame(socket: aiohttp.ClientWebSocketResponse, start: str) -> str:
    """The next frame of a channel, as text."""
    while True:
        text = (await socket.receive(timeout=8)).data
        if text.startswith(start):
            return text


def subscribe(channel: str, **params: object) -> dict:
    return {"method": "subscribe", "params": {"channel": channel, **params}, "req_id": 5}


@pytest.mark.parametrize("levels", [10, 25, 500])
def test_the_checksum_matches_the_documented_algorithm_at_every_update(tmp_path: Path, levels: int) -> None:
    async def scenario() -> None:
        async with connected(make_tape(tmp_path)) as (venues, session, socket):
            await socket.send_json(subscribe("book", symbol=["BTC/USDT"], depth=levels))
            book = TextBook(levels)
            for count in range(12):
                text = await frame(socket, '{"channel":"book"')
                assert ('"type":"snapshot"' in text) == (count == 0)
                assert book.apply(text) == book.checksum()
                if count == 5:
                    answer = await kraken(venues, session, "AddOrder", **ORDER)
                    assert answer["error"] == []
            core = venues.servers["KRAKEN"].core
            instrument, shown = core.instruments["BTC/USDT"], core.books["BTC/USDT"].shown
            best = max(book.bids, key=float), min(book.asks, key=float)
            assert tuple(map(Decimal, best)) == (
                instrument.price(shown.bids.best()),
                instrument.price(shown.asks.best()),
            )

    asyncio.run(scenario())


def test_a_lost_book_fails_its_checksum_and_comes_back_with_a_snapshot(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("KRAKEN", tape=make_tape(tmp_path, gap_at=12), speed=3.0) as (venues, session):
            core = venues.servers["KRAKEN"].core
            async with session.ws_connect(venues.urls["KRAKEN"].ws + "/v2") as socket:
                await socket.send_json(subscribe("book", symbol=["BTC/USDT"], depth=10))
                book = TextBook(10)
                while book.apply(await frame(socket, '{"channel":"book"')) == book.checksum():
                    pass
                assert not core.books["BTC/USDT"].live
                async with session.get(venues.urls["KRAKEN"].rest + "/0/public/Depth?pair=XBTUSDT") as answer:
                    assert (await answer.json())["error"] == ["EService:Unavailable"]
                await socket.send_json(subscribe("book", symbol=["BTC/USDT"], depth=10))  # as a client would
                text = await frame(socket, '{"channel":"book"')
                assert '"type":"snapshot"' in text and core.books["BTC/USDT"].live
                assert book.apply(text) == book.checksum()

    asyncio.run(scenario())


def test_a_dropped_update_is_found_by_the_checksum(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with connected(make_tape(tmp_path)) as (venues, session, socket):
            await socket.send_json(subscribe("book", symbol=["BTC/USDT"], depth=10))
            book = TextBook(10)
            assert book.apply(await frame(socket, '{"channel":"book"')) == book.checksum()
            await control(venues, session, "KRAKEN", fault="drop_updates")
            while book.apply(await frame(socket, '{"channel":"book"')) == book.checksum():
                pass

    asyncio.run(asyncio.wait_for(scenario(), 15))


def test_keys_signatures_and_nonces_are_checked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("KRAKEN", tape=make_tape(tmp_path)) as (venues, session):
            assert (await kraken(venues, session, "BalanceEx"))["error"] == []
            wrong = await kraken(venues, session, "BalanceEx", secret="d3Jvbmc=")
            assert wrong["error"] == ["EAPI:Invalid signature"]
            assert (await kraken(venues, session, "BalanceEx", nonce=5))["error"] == ["EAPI:Invalid nonce"]
            async with session.post(venues.urls["KRAKEN"].rest + "/0/private/BalanceEx", data="nonce=1") as answer:
                assert (await answer.json())["error"] == ["EAPI:Invalid key"]

    asyncio.run(scenario())


REFUSED = [
    ({"pair": "NOPE"}, "EQuery:Unknown asset pair"),
    ({"price": "60000.05"}, "EOrder:Invalid price"),
    ({"volume": "0.00001"}, "EGeneral:Invalid arguments:volume minimum not met"),
    ({"volume": "5000"}, "EOrder:Insufficient funds"),
    ({"volume": "abc"}, "EGeneral:Invalid arguments:volume"),
    ({"ordertype": "iceberg"}, "EGeneral:Invalid arguments:ordertype"),
    ({"cl_ord_id": "x" * 19}, "EGeneral:Invalid arguments:cl_ord_id"),
    ({"timeinforce": "NEVER"}, "EGeneral:Invalid arguments:timeinforce"),
]


def test_orders_the_venue_refuses(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("KRAKEN", tape=make_tape(tmp_path)) as (venues, session):
            for change, error in REFUSED:
                assert (await kraken(venues, session, "AddOrder", **(ORDER | change)))["error"] == [error]
            assert venues.servers["KRAKEN"].core.orders == {}

    asyncio.run(scenario())


def test_fills_arrive_on_the_private_channels_and_agree_with_rest(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with connected(make_tape(tmp_path)) as (venues, session, socket):
            await socket.send_json(subscribe("executions", token="made up"))
            refused = orjson.loads(await frame(socket, '{"method":"subscribe"'))
            assert (refused["success"], refused["error"]) == (False, "ESession:Invalid session")
            token = (await kraken(venues, session, "GetWebSocketsToken"))["result"]["token"]
            await socket.send_json(subscribe("executions", token=token))
            await frame(socket, '{"channel":"executions","type":"snapshot"')
            answer = await kraken(venues, session, "AddOrder", cl_ord_id="K1", **ORDER)
            [txid] = answer["result"]["txid"]
            kinds, filled, fees = [], Decimal(0), Decimal(0)
            while kinds[-1:] != ["filled"]:
                [row] = orjson.loads(await frame(socket, '{"channel":"executions"'))["data"]
                kinds.append(row["exec_type"])
                assert (row["order_id"], row["cl_ord_id"]) == (txid, "K1")
                if row["exec_type"] == "trade":
                    filled += Decimal(repr(row["last_qty"]))
                    fees += Decimal(repr(row["fees"][0]["qty"]))
            assert kinds[:3] == ["pending_new", "new", "trade"] and filled == Decimal("0.2")
            state = (await kraken(venues, session, "QueryOrders", txid=txid, trades="true"))["result"][txid]
            assert (state["status"], Decimal(state["vol_exec"]), Decimal(state["fee"])) == ("closed", filled, fees)
            history = (await kraken(venues, session, "TradesHistory"))["result"]["trades"]
            assert set(history) == set(state["trades"])
            assert sum(Decimal(trade["vol"]) for trade in history.values()) == filled
            closed = (await kraken(venues, session, "ClosedOrders", cl_ord_id="K1"))["result"]["closed"]
            assert list(closed) == [txid]
            core = venues.servers["KRAKEN"].core
            await eventually(lambda: core.locked() == {})

    asyncio.run(scenario())
