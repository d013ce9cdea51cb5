"""The loopback OKX over raw sockets: signatures, message ids of books, private channels, refusals in the venue's words, losses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import aiohttp
import orjson
import pytest

from sim.servers.okx.server import OkxServer
from sim.servers.venues import Venues
from tests.conformance.venue_probe import control, eventually, make_tape, okx, okx_login, running

ORDER = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "ioc", "px": "70000", "sz": "0.2"}
BOOKS = {"channel": "books", "instId": "BTC-USDT"}
Socket = aiohttp.ClientWebSocketResponse


@contextlib.asynccontextmanager
async def connected(
    tape: Path, access: str = "public", **options: object
) -> AsyncIterator[tuple[Venues, aiohttp.ClientSession, Socket]]:
    """A running OKX and a WebSocket to it."""
    async with (
        running("OKX", tape=tape, **options) as (venues, session),
        session.ws_connect(f"{venues.urls['OKX'].ws}/ws/v5/{access}") as socket,
    ):
        yield venues, session, socket


async def frame(socket: Socket) -> dict:
    """The next frame."""
    return orjson.loads((await socket.receive(timeout=8)).data)


async def pushed(socket: Socket, channel: str, action: str | None = None) -> dict:
    """The next frame of a channel with data (and of an action)."""
    while True:
        message = await frame(socket)
        ours = message.get("arg", {}).get("channel") == channel and "data" in message
        if ours and action in (None, message.get("action")):
            return message


async def joined(socket: Socket) -> tuple[dict, dict[str, dict[str, str]]]:
    """A subscription of `books`: its snapshot, and both sides by price as text."""
    await socket.send_json({"op": "subscribe", "args": [BOOKS]})
    answer = await frame(socket)
    assert (answer["event"], answer["arg"]) == ("subscribe", BOOKS)
    message = await pushed(socket, "books", "snapshot")
    [row] = message["data"]
    return row, {side: {level[0]: level[1] for level in row[side]} for side in ("bids", "asks")}


def test_messages_of_a_book_name_the_one_before_and_build_the_book_that_is_shown(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with connected(make_tape(tmp_path)) as (venues, session, socket):
            row, book = await joined(socket)
            assert (row["prevSeqId"], row["checksum"]) == (-1, 0)
            last = row["seqId"]
            for count in range(12):
                [row] = (await pushed(socket, "books", "update"))["data"]
                assert row["prevSeqId"] == last < row["seqId"]
                last = row["seqId"]
                for side in ("bids", "asks"):
                    for price, size, unused, _ in row[side]:
                        assert unused == "0"
                        book[side].pop(price, None)
                        if size != "0":
                            book[side][price] = size
                if count == 5:
                    status, answer = await okx(venues, session, "POST", "/api/v5/trade/batch-orders", [ORDER])
                    assert (status, answer["code"]) == (200, "0")
            core = venues.servers["OKX"].core
            instrument, shown = core.instruments["BTC/USDT"], core.books["BTC/USDT"].shown
            assert max(map(Decimal, book["bids"])) == instrument.price(shown.bids.best())
            assert min(map(Decimal, book["asks"])) == instrument.price(shown.asks.best())

    asyncio.run(scenario())


def test_a_dropped_message_and_a_lost_book_break_the_chain_and_a_new_subscription_mends_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with connected(make_tape(tmp_path, gap_at=12), speed=3.0) as (venues, session, socket):
            row, _ = await joined(socket)
            await control(venues, session, "OKX", fault="drop_updates")
            before, broken = row["seqId"], 0
            while broken < 2:  # the dropped one, then the tape's own gap
                [row] = (await pushed(socket, "books", "update"))["data"]
                broken += row["prevSeqId"] != before
                before = row["seqId"]
            core = venues.servers["OKX"].core
            assert not core.books["BTC/USDT"].live
            assert (row["bids"], row["asks"]) == ([], [])
            async with session.get(venues.urls["OKX"].rest + "/api/v5/market/books?instId=BTC-USDT") as answer:
                assert (answer.status, (await answer.json())["code"]) == (500, "50026")
            await socket.send_json({"op": "unsubscribe", "args": [BOOKS]})
            while (message := await frame(socket)).get("event") != "unsubscribe":
                pass
            assert message["arg"] == BOOKS
            row, book = await joined(socket)  # it comes when the book is whole
            assert core.books["BTC/USDT"].live and book["bids"] and book["asks"]
            [following] = (await pushed(socket, "books", "update"))["data"]
            assert following["prevSeqId"] == row["seqId"]

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_ids_may_begin_again_and_a_quiet_book_says_that_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OkxServer, "heartbeat_ns", 20_000_000)  # of a minute: the tape is never quiet for so long

    async def scenario() -> None:
        async with connected(make_tape(tmp_path)) as (venues, session, socket):
            row, _ = await joined(socket)
            await control(venues, session, "OKX", fault="restart_ids")
            last, restarted, beats = row["seqId"], 0, 0
            while not restarted or not beats:
                [row] = (await pushed(socket, "books", "update"))["data"]
                assert row["prevSeqId"] == last
                restarted += row["seqId"] < last
                if row["seqId"] == last:
                    assert row["bids"] == row["asks"] == []
                    beats += 1
                last = row["seqId"]

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_best_prices_trades_and_tickers_agree_with_rest(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with connected(make_tape(tmp_path)) as (venues, session, socket):
            wanted = [{"channel": name, "instId": "BTC-USDT"} for name in ("bbo-tbt", "books5", "trades", "tickers")]
            await socket.send_json({"op": "subscribe", "args": wanted})
            seen: dict[str, dict] = {}
            while len(seen) < 4 or seen["tickers"]["last"] == "0":
                message = await frame(socket)
                if "data" in message:
                    [seen[message["arg"]["channel"]]] = message["data"]
            assert [len(seen[name][side]) for name, side in (("bbo-tbt", "bids"), ("books5", "asks"))] == [1, 5]
            rest = venues.urls["OKX"].rest + "/api/v5/market/"
            async with session.get(rest + "trades?instId=BTC-USDT&limit=500") as answer:
                trades = {row["tradeId"]: row for row in (await answer.json())["data"]}
            told = seen["trades"]
            assert trades[told["tradeId"]] == {name: told[name] for name in trades[told["tradeId"]]}
            async with session.get(rest + "books?instId=BTC-USDT&sz=2") as answer:
                [book] = (await answer.json())["data"]
            assert [len(book["bids"]), len(book["asks"])] == [2, 2]
            assert Decimal(book["bids"][0][0]) < Decimal(book["asks"][0][0])
            await socket.send_json({"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-NOPE"}]})
            while (message := await frame(socket)).get("event") != "error":
                pass
            assert message["code"] == "60018"

    asyncio.run(scenario())


def test_keys_passphrases_signatures_and_clocks_are_checked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with connected(make_tape(tmp_path), "private") as (venues, session, socket):
            path = "/api/v5/account/balance"
            assert (await okx(venues, session, "GET", path, ccy="BTC"))[1]["data"][0]["details"][0]["cashBal"] == "400"
            for change, code in (
                ({"secret": "wrong"}, "50113"),
                ({"passphrase": "wrong"}, "50105"),
                ({"skew_s": -40}, "50102"),
            ):
                status, body = await okx(venues, session, "GET", path, **change)
                assert (status, body["code"], body["data"]) == (401, code, [])
            async with session.get(venues.urls["OKX"].rest + path) as answer:
                assert (answer.status, (await answer.json())["code"]) == (401, "50111")

            orders = {"op": "subscribe", "args": [{"channel": "orders", "instType": "SPOT"}]}
            await socket.send_json(orders)
            assert (await frame(socket))["code"] == "60011"
            for change, code in (({"secret": "wrong"}, "60007"), ({"passphrase": "wrong"}, "60024")):
                await socket.send_json(okx_login(venues, **change))
                assert (await frame(socket))["code"] == code
            await socket.send_str("ping")
            assert (await socket.receive(timeout=8)).data == "pong"
            await socket.send_json(okx_login(venues))
            assert (await frame(socket))["event"] == "login"
            await socket.send_json(orders)
            assert (await frame(socket))["event"] == "subscribe"

    asyncio.run(scenario())


REFUSED = [
    ({"instId": "BTC-NOPE"}, "51001"),
    ({"px": "60000.05"}, "51000"),
    ({"sz": "0.000000015"}, "51121"),
    ({"sz": "0.000001"}, "51020"),
    ({"sz": "5000"}, "51008"),
    ({"sz": "abc"}, "51000"),
    ({"ordType": "iceberg"}, "51000"),
    ({"side": "hold"}, "51000"),
    ({"tdMode": "cross"}, "51000"),
    ({"clOrdId": "with-a-hyphen"}, "51000"),
    ({"clOrdId": "x" * 33}, "51000"),
    ({"ordType": "market"}, "51000"),  # a market buy's size is in quote currency unless it says otherwise
]


def test_orders_the_venue_refuses(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("OKX", tape=make_tape(tmp_path)) as (venues, session):
            for change, code in REFUSED:
                _, answer = await okx(venues, session, "POST", "/api/v5/trade/order", ORDER | change)
                assert (answer["code"], answer["data"][0]["sCode"]) == ("1", code), change
            assert venues.servers["OKX"].core.orders == {}
            batch = [ORDER | {"sz": "5000"}, ORDER | {"clOrdId": "good1"}]
            _, answer = await okx(venues, session, "POST", "/api/v5/trade/batch-orders", batch)
            assert (answer["code"], [row["sCode"] for row in answer["data"]]) == ("2", ["51008", "0"])
            unknown = {"instId": "BTC-USDT", "clOrdId": "never"}
            _, answer = await okx(venues, session, "POST", "/api/v5/trade/cancel-order", unknown)
            assert answer["data"][0]["sCode"] == "51400"
            _, answer = await okx(venues, session, "GET", "/api/v5/trade/order", **unknown)
            assert (answer["code"], answer["data"]) == ("51603", [])

    asyncio.run(scenario())


def test_executions_on_the_private_channels_agree_with_rest(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with connected(make_tape(tmp_path), "private") as (venues, session, socket):
            await socket.send_json(okx_login(venues))
            await socket.send_json({"op": "subscribe", "args": [{"channel": "orders", "instType": "SPOT"}]})
            await socket.send_json({"op": "subscribe", "args": [{"channel": "account"}]})
            opening = await pushed(socket, "account")
            assert (opening["eventType"], opening["lastPage"]) == ("snapshot", True)
            order = ORDER | {"clOrdId": "K1"}
            [placed] = (await okx(venues, session, "POST", "/api/v5/trade/order", order))[1]["data"]
            states, filled, fees, trades = [], Decimal(0), Decimal(0), set()
            while states[-1:] != ["filled"]:
                [row] = (await pushed(socket, "orders"))["data"]
                states.append(row["state"])
                assert (row["ordId"], row["clOrdId"], row["ordType"]) == (placed["ordId"], "K1", "ioc")
                if row["tradeId"]:
                    filled += Decimal(row["fillSz"])
                    fees += Decimal(row["fillFee"])
                    trades.add(row["tradeId"])
                    assert (row["fillFeeCcy"], row["execType"]) == ("BTC", "T")
                    assert (Decimal(row["fee"]), Decimal(row["accFillSz"])) == (fees, filled)
            assert states[0] == "live" and filled == Decimal("0.2") and fees < 0
            query = {"instId": "BTC-USDT", "clOrdId": "K1"}
            [state] = (await okx(venues, session, "GET", "/api/v5/trade/order", **query))[1]["data"]
            assert (state["state"], Decimal(state["accFillSz"]), Decimal(state["fee"])) == ("filled", filled, fees)
            found: dict[str, Decimal] = {}
            after: dict[str, str] = {}
            while True:  # page by page, one row each
                query = {"instType": "SPOT", "ordId": placed["ordId"], "limit": 1} | after
                page = (await okx(venues, session, "GET", "/api/v5/trade/fills", **query))[1]["data"]
                if not page:
                    break
                found[page[0]["tradeId"]] = Decimal(page[0]["fillSz"])
                after = {"after": page[0]["billId"]}
            assert set(found) == trades and sum(found.values()) == filled
            core = venues.servers["OKX"].core
            changed = opening
            while Decimal(changed["data"][0]["details"][0]["cashBal"]) != core.balances["BTC"]:
                changed = await pushed(socket, "account")

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_orders_that_end_by_their_own_terms_say_why(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("OKX", tape=make_tape(tmp_path)) as (venues, session):
            for kind, size, source in (("post_only", "0.2", "31"), ("fok", "350", "13"), ("ioc", "350", "14")):
                order = ORDER | {"ordType": kind, "sz": size, "px": "60100", "clOrdId": f"k{source}"}
                _, answer = await okx(venues, session, "POST", "/api/v5/trade/order", order)
                assert answer["code"] == "0", answer  # accepted, then ended
                query = {"instId": "BTC-USDT", "clOrdId": f"k{source}"}
                [state] = (await okx(venues, session, "GET", "/api/v5/trade/order", **query))[1]["data"]
                assert (state["state"], state["cancelSource"], state["ordType"]) == ("canceled", source, kind)
                assert (Decimal(state["accFillSz"]) > 0) == (kind == "ioc")
            _, pending = await okx(venues, session, "GET", "/api/v5/trade/orders-pending", instType="SPOT")
            assert pending["data"] == []
            core = venues.servers["OKX"].core
            await eventually(lambda: core.locked() == {})

    asyncio.run(scenario())


def test_orders_by_socket_answer_like_rest(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with connected(make_tape(tmp_path), "private") as (venues, _, socket):
            rest = ORDER | {"ordType": "limit", "px": "1000", "clOrdId": "w1"}
            await socket.send_json({"id": "7", "op": "order", "args": [rest]})
            assert (await frame(socket))["code"] == "60011"
            await socket.send_json(okx_login(venues))
            await frame(socket)
            await socket.send_json({"id": "8", "op": "order", "args": [rest]})
            answer = await frame(socket)
            assert (answer["id"], answer["op"], answer["code"], answer["data"][0]["sCode"]) == ("8", "order", "0", "0")
            gone = {"instId": "BTC-USDT", "clOrdId": "w1"}
            for code in ("0", "1"):
                await socket.send_json({"id": "9", "op": "cancel-order", "args": [gone]})
                assert (await frame(socket))["code"] == code
            assert not venues.servers["OKX"].core.resting

    asyncio.run(scenario())
