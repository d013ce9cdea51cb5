"""The SDK against a served desk: typed answers, typed errors, retries that are safe, a feed that comes back by itself."""

from __future__ import annotations

import asyncio
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest

from desk.api.server import ApiServer
from desk.client import (
    FeedStatus,
    Invalid,
    KerbClient,
    Limited,
    Rejected,
    Rfq,
    SyncKerbClient,
    Trade,
    Unknown,
)
from desk.client import feed as feed_module
from tests.api.fake_desk import EPOCH, SYMBOL
from tests.api.house import House, eventually, move_book
from tests.api.wire import Wire


def client(wire: Wire, **options: Any) -> KerbClient:
    return KerbClient(wire.url, wire.key, wire.secret, **options)


def test_a_quote_and_a_trade(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house, client(house.wire()) as desk:
            rfq = await desk.request_quote(SYMBOL, "two_way", Decimal("1.50"), client_rfq_id="c-1")
            assert isinstance(rfq, Rfq) and [quote.side for quote in rfq.quotes] == ["buy", "sell"]
            assert await desk.request_quote(SYMBOL, "two_way", "1.50", client_rfq_id="c-1") == rfq
            trade = await desk.accept(rfq.quotes[0].quote_id, client_order_id="o-1", quantity=Decimal("0.5"))
            assert isinstance(trade, Trade) and trade.quantity == "0.5"
            assert (await desk.trades(client_order_id="o-1")).items == [trade]
            assert await desk.trade(trade.trade_id) == trade
            assert (await desk.rfq(rfq.rfq_id)).state == "filled"
            assert [item.symbol for item in await desk.instruments()] == [SYMBOL, "ETH/USDT"]
            assert (await desk.capabilities()).venues["BINANCE"]["watch_order_book"] == "native"
            assert await desk.time_ns() > 10**18

    asyncio.run(run())


def test_refusals_are_raised_by_kind(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            async with client(house.wire()) as desk:
                with pytest.raises(Rejected) as rejected:
                    await desk.request_quote(SYMBOL, "buy", "250")
                assert rejected.value.code == "limit_exceeded" and rejected.value.status == 422
                assert rejected.value.details["max"] == "100" and rejected.value.details["request_id"]
                with pytest.raises(Invalid) as invalid:
                    await desk.accept("q-none")
                assert (invalid.value.code, invalid.value.status) == ("unknown_quote", 404)
                with pytest.raises(Invalid):
                    await desk.feed.subscribe("watch_flights")
            async with client(house.wire(rate_per_s=0.5, burst=1)) as desk:
                await desk.instruments()
                with pytest.raises(Limited):
                    await desk.instruments()
            wrong = house.wire()
            wrong.secret = "wrong"
            async with client(wrong) as desk:
                with pytest.raises(Invalid):
                    await desk.instruments()
                with pytest.raises(Invalid):
                    await desk.feed.subscribe("rfqs")

    asyncio.run(run())


def test_a_lost_answer_is_asked_for_again_and_makes_one_trade(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house, client(house.wire(), timeout_s=0.2) as desk:
            rfq = await desk.request_quote(SYMBOL, "buy", "1", ttl_ms=30_000)
            house.desk.silent = True
            asyncio.get_running_loop().call_later(0.3, lambda: setattr(house.desk, "silent", False))
            trade = await desk.accept(rfq.quotes[0].quote_id, client_order_id="o-1")
            assert list(house.desk.trade_ids) == [trade.trade_id]
            house.desk.silent = True
            with pytest.raises(Unknown) as unknown:
                await desk.accept(rfq.quotes[0].quote_id, client_order_id="o-1")
            assert unknown.value.outcome_known is False

    asyncio.run(run())


@pytest.mark.parametrize("codec", ["msgpack", "json"])
def test_streams(tmp_path: Path, codec: Literal["msgpack", "json"]) -> None:
    async def run() -> None:
        async with House(tmp_path) as house, client(house.wire(), codec=codec) as desk:
            move_book(house.market)
            books = await desk.subscribe("watch_order_book", venue="BINANCE", symbol=SYMBOL)
            first = await anext(books)
            assert (first.kind, first.seq, first.data["bids"][0][0]) == ("snapshot", 1, "60000")
            async for ladder in desk.stream_quotes(SYMBOL, [Decimal("1")]):
                assert ladder.rungs[0].ask is not None
                trade = await desk.accept(ladder.rungs[0].ask.quote_id)
                assert trade.quantity == "1"
                break
            assert (await desk.feed.call("ping"))["op"] == "pong"
            rfq = await desk.feed.call("rfq", client_rfq_id="w-1", instrument=SYMBOL, side="buy", quantity="1")
            assert rfq["state"] == "quoted"

    asyncio.run(run())


def test_the_feed_comes_back_and_nothing_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "BACKOFF_S", (0.05,))

    async def run() -> None:
        async with House(tmp_path) as house, client(house.wire()) as desk:
            told: list[FeedStatus] = []
            desk.feed.on_status.append(told.append)
            rfqs = await desk.subscribe("rfqs")
            assert (await anext(rfqs)).kind == "snapshot"
            for number in range(3):
                await desk.request_quote(SYMBOL, "buy", "1", client_rfq_id=f"a-{number}")
                (held,) = house.server.sockets._sessions  # type: ignore[union-attr]
                held._request.transport.abort()  # type: ignore[union-attr]
                await desk.request_quote(SYMBOL, "buy", "1", client_rfq_id=f"b-{number}")
                updates = [await asyncio.wait_for(anext(rfqs), 5) for _ in range(2)]
                assert [update.data["client_rfq_id"] for update in updates] == [f"a-{number}", f"b-{number}"]
                assert [update.seq for update in updates] == [2 * number + 2, 2 * number + 3]
                await eventually(lambda: desk.feed.status.connected)
            assert [status.connected for status in told] == [True, False] * 3 + [True]
            assert desk.feed.status.reconnects == 3 and desk.feed.age_s() < 2

    asyncio.run(run())


def test_a_restarted_desk_gives_a_new_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "BACKOFF_S", (0.05,))

    async def run() -> None:
        async with House(tmp_path) as house, client(house.operator()) as desk:
            states = desk.desk_states(hz=10)
            first = await anext(states)
            assert first.epoch == EPOCH and first.ledger.imbalance == {"BTC": "0", "USDT": "0"}
            port = int(house.url.rsplit(":", 1)[1])
            await house.server.stop()
            await eventually(lambda: not desk.feed.status.connected)
            assert desk.feed.status.reason
            house.server = ApiServer(
                house.desk, house.orders, house.market, house.keys, epoch="e-2", events=house.events
            )
            house.desk.mode = "halted"
            await house.server.start("127.0.0.1", port)
            async with asyncio.timeout(5):
                async for state in states:
                    if state.trading == "halted":
                        break
            assert desk.feed.status.epoch == "e-2"
            await states.aclose()

    asyncio.run(run())


def test_desk_states_are_whole_and_the_operator_can_stop_the_desk(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house, client(house.operator()) as desk:
            seen = 0
            async for state in desk.desk_states(hz=10):
                assert state.books[0].venue == "BINANCE", "fields that did not change are still there"
                seen += 1
                if seen == 2:
                    assert (await desk.halt("drill")).trading == "halted"
                if state.trading == "halted":
                    break
            assert state.halt_reason == "drill"
            assert (await desk.resume("over")).trading == "active"
            assert (await desk.desk_state()).trading == "active"
        async with client(house.wire()) as desk:
            with pytest.raises(Exception, match=r"scope|connection"):
                await desk.halt("no")

    asyncio.run(run())


def test_a_wrong_clock_is_corrected_by_the_desks(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            desk = client(house.wire())
            desk._credentials._clock_ns = lambda: 1_700_000_000_000_000_000
            async with desk:
                assert await desk.instruments()
                await desk.subscribe("rfqs")

    asyncio.run(run())


def test_ed25519_and_the_unix_socket(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            made = house.keys.new("carol", ["read", "quote"], scheme="ed25519")
            options: dict[str, Any] = {"scheme": "ed25519", "unix_path": house.unix_path}
            async with KerbClient("http://desk", made.key.key_id, made.secret, **options) as desk:
                assert await desk.instruments()
                assert (await anext(await desk.subscribe("rfqs"))).kind == "snapshot"

    asyncio.run(run())


def test_the_sync_client_is_the_same_without_a_loop(tmp_path: Path) -> None:
    ready, done = threading.Event(), threading.Event()
    served: dict[str, Any] = {}

    def serve() -> None:
        async def run() -> None:
            async with House(tmp_path) as house:
                served["wire"] = house.wire()
                ready.set()
                await eventually(done.is_set, within_s=20)

        asyncio.run(run())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert ready.wait(10)
        wire: Wire = served["wire"]
        with SyncKerbClient(wire.url, wire.key, wire.secret) as desk:
            rfq = desk.request_quote(SYMBOL, "buy", "0.5")
            assert desk.accept(rfq.quotes[0].quote_id).quantity == "0.5"
            assert next(desk.stream_quotes(SYMBOL, ["1"])).rungs
            assert next(desk.subscribe("trades")).data["items"]
            with pytest.raises(AttributeError):
                desk.no_such_call()
    finally:
        done.set()
        thread.join()
