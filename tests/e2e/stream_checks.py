"""CONTRACT 4 from outside, one coroutine a promise: `check(operator, client)` fails when the desk breaks it.

`STREAM_CHECKS` names them; `test_api_contract` runs them against its demo.
"""

from __future__ import annotations

import asyncio
import socket as sockets
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import aiohttp
import ccxt

from tests.e2e import contract_shapes as shapes
from tests.e2e.contract_shapes import DECIMAL, ERROR, FRAME, NANOSECONDS, QUOTE, RFQ, TEXT, TRADE, check
from tests.e2e.outside_client import Outsider, Socket
from tests.e2e.watched import symbols_in

Check = Callable[[Outsider, Outsider], Awaitable[None]]
STREAM_CHECKS: dict[str, Check] = {}
BOOK = {"venue": "BINANCE", "symbol": "BTC/USDT"}
ORDER_BOOK = {"symbol": ("BTC/USDT",), "bids": list, "asks": list, "timestamp": int, "datetime": TEXT, "nonce": int}
RUNG = {"quantity": DECIMAL, "bid": QUOTE, "ask": QUOTE}


def promise(coroutine: Check) -> Check:
    """Add a check under its name."""
    STREAM_CHECKS[coroutine.__name__] = coroutine
    return coroutine


def run(coroutine: Check, operator: Outsider, client: Outsider) -> None:
    """One check in a loop of its own."""
    asyncio.run(asyncio.wait_for(coroutine(operator, client), 30))


def refused(answer: dict[str, Any], code: str, kind: str = "invalid") -> None:
    """A refusal in the one error shape."""
    assert answer["ok"] is False, answer
    check(answer["error"], ERROR)
    assert (answer["error"]["code"], answer["error"]["kind"]) == (code, kind), answer


def without_holes(frames: list[dict[str, Any]], after: int = 0) -> None:
    """Every frame well-formed, numbered on from `after`."""
    check(frames, [FRAME])
    assert [frame["seq"] for frame in frames] == list(range(after + 1, after + 1 + len(frames)))


async def _connect(client: Outsider, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
    return await session.ws_connect(client.url.replace("http", "ws", 1) + "/v1/ws")


async def _asked(ws: Socket, client: Outsider, **fields: Any) -> dict[str, Any]:
    body = {
        "client_rfq_id": client.new_id("w"),
        "instrument": "BTC/USDT",
        "side": "two_way",
        "quantity": "0.01",
        **fields,
    }
    answer = await ws.ask("rfq", **body)
    assert answer["ok"] is True, answer
    check(answer["data"], RFQ)
    return dict(answer["data"])


# ---- authentication ----------------------------------------------------------------------------------------------------


@promise
async def silence_is_closed_within_about_five_seconds(_operator: Outsider, client: Outsider) -> None:
    async with aiohttp.ClientSession() as session:
        ws = await _connect(client, session)
        began = time.monotonic()
        message = await ws.receive(timeout=8)
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert ws.close_code == 4401
        assert 4.5 < time.monotonic() - began < 7


@promise
async def a_bad_first_frame_is_refused_and_closed(operator: Outsider, client: Outsider) -> None:
    replayed = client.auth_frame()
    late = str(time.time_ns() // 1_000_000 - 7000)
    frames: list[Any] = [
        client.auth_frame(sign="0" * 64),
        client.auth_frame(key=operator.key),
        client.auth_frame(nonce="changed"),
        client.auth_frame(timestamp=late),
        {**client.auth_frame(), "op": "subscribe"},
        {"op": "auth", "key": client.key},
        {"op": "auth", **{name: [1] for name in ("key", "timestamp", "nonce", "sign")}},
        {"op": "ping", "id": "1"},
        replayed,
    ]
    async with client.socket() as ws:  # uses up the nonce of `replayed` on a socket of its own
        await ws.ask("ping")
        async with aiohttp.ClientSession() as session:
            first = await _connect(client, session)
            await first.send_json(replayed)
            assert (await first.receive_json(timeout=5))["ok"] is True
            await first.close()
    async with aiohttp.ClientSession() as session:
        for frame in frames:
            bad = await _connect(client, session)
            await bad.send_json(frame)
            answer = await bad.receive_json(timeout=5)
            assert (answer["ok"], answer["op"]) == (False, "auth")
            check(answer["error"], ERROR)
            await bad.receive(timeout=5)
            assert bad.close_code == 4401, frame
        for text in ("", "{", "[]", "null", '"auth"', "\x00", '{"op":"auth"' * 50):
            bad = await _connect(client, session)
            await bad.send_str(text)
            check((await bad.receive_json(timeout=5))["error"], ERROR)
            await bad.close()


# ---- frames ------------------------------------------------------------------------------------------------------------


async def _basics(client: Outsider, msgpack: bool) -> None:
    async with client.socket(msgpack) as ws:
        check(ws.epoch, TEXT)
        pong = await ws.ask("ping")
        assert {name: pong[name] for name in ("ok", "op")} == {"ok": True, "op": "pong"}
        await ws.send({"op": "subscribe", "id": "s", "channel": "watch_order_book", "params": {**BOOK, "depth": 5}})
        answer = await ws.read(lambda: ws.answers.get("s"))
        assert (answer["ok"], answer["channel"], answer["mode"]) == (True, "watch_order_book", "native")
        assert type(answer["sub"]) is int
        frames = await ws.at_least(answer["sub"], 5)
        without_holes(frames)
        assert [frame["kind"] for frame in frames] == ["snapshot"] + ["update"] * (len(frames) - 1)
        done = await ws.ask("unsubscribe", sub=answer["sub"])
        assert done["ok"] is True
        told = len(ws.frames[answer["sub"]])
        await ws.ask("ping")
        assert len(ws.frames[answer["sub"]]) == told
        refused(await ws.ask("unsubscribe", sub=answer["sub"]), "unknown_subscription")


@promise
async def json_subscribe_unsubscribe_and_ping(_operator: Outsider, client: Outsider) -> None:
    await _basics(client, msgpack=False)


@promise
async def messagepack_subscribe_unsubscribe_and_ping(_operator: Outsider, client: Outsider) -> None:
    await _basics(client, msgpack=True)


@promise
async def every_second_a_heartbeat_has_the_last_seqs(_operator: Outsider, client: Outsider) -> None:
    async with client.socket() as ws:
        subs = [await ws.subscribe("watch_order_book", **BOOK), await ws.subscribe("trades")]
        await ws.read(lambda: len(ws.heartbeats) >= 3)
        for beat in ws.heartbeats[-2:]:
            assert set(beat["seqs"]) == {str(sub) for sub in subs}
            assert beat["epoch"] == ws.epoch
        last = ws.heartbeats[-1]
        for sub in subs:
            assert last["seqs"][str(sub)] == ws.frames[sub][-1]["seq"]
        apart = [(b["ts_ns"] - a["ts_ns"]) / 1e9 for a, b in zip(ws.heartbeats[1:], ws.heartbeats[2:], strict=False)]
        assert all(0.5 < seconds < 1.8 for seconds in apart), apart


@promise
async def malformed_frames_are_answered_one_by_one(_operator: Outsider, client: Outsider) -> None:
    async with client.socket() as ws:
        for number, text in enumerate(("{", "[1]", "null", '{"op":"rfq","op":"ping"}', '{"op":NaN}', "\x00"), 1):
            await ws.ws.send_str(text)
            answer = await ws.read(lambda: ws.answers.pop(None, None))
            refused(answer, "malformed_frame" if number != 4 else "duplicate_field")
        for frame, code in (
            ({"op": "fly"}, "unknown_op"),
            ({}, "unknown_op"),
            ({"op": ["ping"]}, "unknown_op"),
            ({"op": "ping", "extra": 1}, "unknown_field"),
            ({"op": "subscribe"}, "unknown_channel"),
            ({"op": "subscribe", "channel": "nothing"}, "unknown_channel"),
            ({"op": "subscribe", "channel": "trades", "params": [1]}, "invalid_field"),
            ({"op": "subscribe", "channel": "trades", "params": {"a": 1}}, "unknown_field"),
            ({"op": "subscribe", "channel": "watch_order_book"}, "missing_field"),
            ({"op": "subscribe", "channel": "watch_order_book", "params": {**BOOK, "venue": "MTGOX"}}, "unknown_venue"),
            (
                {"op": "subscribe", "channel": "watch_order_book", "params": {**BOOK, "symbol": "X/Y"}},
                "unknown_instrument",
            ),
            ({"op": "subscribe", "channel": "watch_order_book", "params": {**BOOK, "depth": 0}}, "invalid_field"),
            (
                {"op": "subscribe", "channel": "rfs", "params": {"instrument": "BTC/USDT", "quantities": ["NaN"]}},
                "invalid_field",
            ),
            (
                {"op": "subscribe", "channel": "rfs", "params": {"instrument": "X/Y", "quantities": ["1"]}},
                "unknown_instrument",
            ),
            ({"op": "unsubscribe", "sub": "1"}, "invalid_field"),
            ({"op": "resume", "sub": 1, "seq": 0}, "unknown_subscription"),
            ({"op": "auth"}, "already_authenticated"),
            ({"op": "order"}, "missing_field"),
            ({"op": "rfq"}, "missing_field"),
            (
                {"op": "rfq", "client_rfq_id": "x", "instrument": "BTC/USDT", "side": "buy", "quantity": 0.01},
                "invalid_field",
            ),
            ({"op": "accept"}, "missing_field"),
            ({"op": "accept", "quote_id": "nothing", "client_order_id": "x"}, "unknown_quote"),
        ):
            refused(
                await ws.ask(**frame) if "op" in frame and isinstance(frame["op"], str) else await _raw(ws, frame), code
            )


async def _raw(ws: Socket, frame: dict[str, Any]) -> dict[str, Any]:
    await ws.send({"id": "raw", **frame})
    return dict(await ws.read(lambda: ws.answers.pop("raw", None)))


@promise
async def every_channel_of_the_contract_is_served_or_refused_by_name(operator: Outsider, client: Outsider) -> None:
    params: dict[str, Any] = {"rfs": {"instrument": "BTC/USDT", "quantities": ["0.1"]}}
    public = shapes.MARKET_CHANNELS + shapes.DESK_CHANNELS
    async with operator.socket() as boss, client.socket() as ws:
        for channel in public + shapes.ACCOUNT_CHANNELS + shapes.OPERATOR_CHANNELS:
            asked = params.get(channel, BOOK if channel.startswith("watch_") else {})
            answer = await boss.ask("subscribe", channel=channel, params=asked)
            if channel in shapes.SERVED:
                assert answer["ok"] is True, answer
                assert answer["mode"] in ("native", "derived", "polled")
                without_holes(await boss.at_least(answer["sub"], 1))
                assert (await boss.ask("unsubscribe", sub=answer["sub"]))["ok"] is True
            else:
                refused(answer, "unsupported")
                assert (answer["channel"], answer["mode"]) == (channel, "unsupported")
            if channel not in public:
                refused(await ws.ask("subscribe", channel=channel, params=asked), "missing_scope")
        modes = client.get("/v1/capabilities").body["venues"]
        assert {venue: len(matrix) for venue, matrix in modes.items()} == dict.fromkeys(modes, 25)
        for venue, matrix in modes.items():
            for channel, mode in matrix.items():
                answer = await boss.ask("subscribe", channel=channel, params={"venue": venue, "symbol": "BTC/USDT"})
                assert answer["mode"] == mode, (venue, channel, answer)
                assert answer["ok"] is (mode != "unsupported")
                if answer["ok"]:
                    frames = await boss.at_least(answer["sub"], 1)
                    assert all(symbols_in(channel, frame["data"]) <= {"BTC/USDT"} for frame in frames)
                    await boss.ask("unsubscribe", sub=answer["sub"])


# ---- market data -------------------------------------------------------------------------------------------------------


@promise
async def order_books_are_ccxts_structure_sorted_and_uncrossed(_operator: Outsider, client: Outsider) -> None:
    async with client.socket() as ws:
        for venue in ("BINANCE", "KRAKEN"):
            sub = await ws.subscribe("watch_order_book", venue=venue, symbol="BTC/USDT", depth=8)
            frames = await ws.at_least(sub, 6)
            live = [frame["data"] for frame in frames if frame["data"]["bids"]]
            assert len(live) >= 4
            for book in live:
                check(book, ORDER_BOOK)
                assert set(book) - {"info"} == set(
                    ccxt.Exchange().parse_order_book({"bids": [], "asks": []}, "BTC/USDT")
                )
                assert book["datetime"] == ccxt.Exchange.iso8601(book["timestamp"])
                assert abs(book["timestamp"] / 1e3 - time.time()) < 60
                check(book["bids"] + book["asks"], [[DECIMAL]])
                bids, asks = ([Decimal(price) for price, _ in book[side]] for side in ("bids", "asks"))
                assert bids == sorted(set(bids), reverse=True)
                assert asks == sorted(set(asks))
                assert len(bids) <= 8 and len(asks) <= 8 and bids[0] < asks[0]
                assert all(Decimal(size) > 0 for _, size in book["bids"] + book["asks"])
            assert [book["nonce"] for book in live] == sorted(book["nonce"] for book in live)


@promise
async def trades_tickers_and_tops_are_ccxts_structures(_operator: Outsider, client: Outsider) -> None:
    oracle = ccxt.Exchange()
    ticker_keys = set(oracle.safe_ticker({})) | {"symbol", "timestamp", "datetime", "info"}
    trade_keys = {"id", "order", "info", "timestamp", "datetime", "symbol", "type", "side", "takerOrMaker"}
    trade_keys |= {"price", "amount", "cost", "fee", "fees"}
    async with client.socket() as ws:
        trades = await ws.subscribe("watch_trades", **BOOK)
        tops = await ws.subscribe("watch_bids_asks", **BOOK)
        ticker = await ws.subscribe("watch_ticker", **BOOK)
        for sub in (tops, ticker):
            for frame in await ws.at_least(sub, 3):
                top = frame["data"]
                assert set(top) == ticker_keys
                check(
                    top,
                    {
                        "symbol": ("BTC/USDT",),
                        "bid": DECIMAL,
                        "bidVolume": DECIMAL,
                        "ask": DECIMAL,
                        "askVolume": DECIMAL,
                    },
                )
                assert Decimal(top["bid"]) < Decimal(top["ask"])
                assert top["datetime"] == ccxt.Exchange.iso8601(top["timestamp"])
        frames = await ws.at_least(trades, 3)
        seen = [trade for frame in frames for trade in frame["data"]]
        assert len(seen) >= 2
        assert len({trade["id"] for trade in seen}) == len(seen)
        for trade in seen:
            assert set(trade) == trade_keys
            check(
                trade,
                {"id": TEXT, "symbol": ("BTC/USDT",), "side": ("buy", "sell"), "price": DECIMAL, "amount": DECIMAL},
            )
            assert Decimal(trade["cost"]) == Decimal(trade["price"]) * Decimal(trade["amount"])
            assert trade["datetime"] == ccxt.Exchange.iso8601(trade["timestamp"])
        last = await ws.read(lambda: ws.frames[ticker][-1]["data"]["last"])
        check(last, DECIMAL)


@promise
async def a_slow_consumer_of_market_data_is_conflated_and_told(_operator: Outsider, client: Outsider) -> None:
    def narrow(_address: Any) -> sockets.socket:
        socket = sockets.socket()
        socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        socket.setblocking(False)
        return socket

    async with client.socket() as fast:
        quick = await fast.subscribe("watch_order_book", **BOOK, depth=1, hz=50)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=narrow)) as session:
            slow = Socket(
                await session.ws_connect(client.url.replace("http", "ws", 1) + "/v1/ws", max_msg_size=0), False
            )
            await slow.send(client.auth_frame())
            assert (await slow.receive())["ok"] is True
            many = [
                await slow.subscribe("watch_order_book", venue=venue, symbol=symbol, depth=500, hz=50)
                for venue in ("BINANCE", "KRAKEN")
                for symbol in ("BTC/USDT", "ETH/USDT")
                for _ in range(8)
            ]
            told = len(await fast.at_least(quick, 1))
            await fast.at_least(quick, told + 40)  # meanwhile nothing is read on the other socket
            mark_ns = time.time_ns()
            await slow.read(lambda: all(slow.frames[sub] and slow.frames[sub][-1]["ts_ns"] > mark_ns for sub in many))
            for sub in many:
                without_holes(slow.frames[sub])
            worst = max(frame.get("conflated", 0) for sub in many for frame in slow.frames[sub])
            assert worst > 10, worst
            await slow.close()


# ---- the desk's channels -----------------------------------------------------------------------------------------------


@promise
async def streamed_rungs_are_executable_over_the_socket_and_over_rest(_operator: Outsider, client: Outsider) -> None:
    async with client.socket() as ws:
        sub = await ws.subscribe("rfs", instrument="BTC/USDT", quantities=["0.01", "0.5"])

        async def fresh() -> dict[str, Any]:
            now = len(ws.frames[sub])
            await ws.read(lambda: any(frame["data"]["rungs"] for frame in ws.frames[sub][now:]))
            return next(frame["data"] for frame in reversed(ws.frames[sub]) if frame["data"]["rungs"])

        ladder = await fresh()
        check(ladder["rungs"], [RUNG])
        assert [rung["quantity"] for rung in ladder["rungs"]] == ["0.01", "0.5"]
        for rung in ladder["rungs"]:
            assert (rung["bid"]["side"], rung["ask"]["side"]) == ("sell", "buy")
            assert Decimal(rung["bid"]["price"]) < Decimal(rung["ask"]["price"])
            assert rung["bid"]["quantity"] == rung["quantity"]
        old = ladder["rungs"][0]["ask"]

        quote = (await fresh())["rungs"][0]["ask"]
        order = client.new_id("o")
        answer = await ws.ask("accept", quote_id=quote["quote_id"], client_order_id=order)
        assert answer["ok"] is True, answer
        check(answer["data"], TRADE)
        assert (answer["data"]["price"], answer["data"]["quote_id"]) == (quote["price"], quote["quote_id"])
        found = await asyncio.to_thread(client.get, f"/v1/trades?client_order_id={order}")
        assert found.body["items"] == [answer["data"]]

        quote = (await fresh())["rungs"][0]["bid"]
        rest = await asyncio.to_thread(client.accept, quote["quote_id"], client_order_id=client.new_id("o"))
        assert rest.status == 200, rest.raw
        check(rest.body, TRADE)
        again = await asyncio.to_thread(client.accept, quote["quote_id"])
        assert (again.status, again.body["error"]["code"]) == (409, "quote_already_accepted")
        rfq = await asyncio.to_thread(client.get, f"/v1/rfqs/{rest.body['rfq_id']}")
        assert (rfq.status, rfq.body["state"]) == (200, "filled")

        await ws.read(lambda: ws.frames[sub][-1]["ts_ns"] > old["valid_until_ns"] + 2_000_000_000)
        refused(
            await ws.ask("accept", quote_id=old["quote_id"], client_order_id=client.new_id("o")),
            "quote_expired",
            "rejected",
        )
        without_holes(ws.frames[sub])


@promise
async def rfq_and_accept_take_the_rest_bodies_and_rfqs_and_trades_tell_every_step(
    _operator: Outsider, client: Outsider
) -> None:
    async with client.socket(msgpack=True) as ws:
        rfqs, trades = await ws.subscribe("rfqs"), await ws.subscribe("trades")
        asked = await _asked(ws, client, ttl_ms=4000)
        order = client.new_id("o")
        fields = {"quote_id": asked["quotes"][0]["quote_id"], "client_order_id": order, "quantity": "0.005"}
        first = await ws.ask("accept", **fields)
        assert first["ok"] is True, first
        check(first["data"], TRADE)
        assert (await ws.ask("accept", **fields))["data"] == first["data"]
        gone = await _asked(ws, client, side="sell", ttl_ms=50)

        def states(of: dict[str, Any]) -> list[str]:
            return [f["data"]["state"] for f in ws.frames[rfqs][1:] if f["data"]["rfq_id"] == of["rfq_id"]]

        await ws.read(lambda: "expired" in states(gone))
        assert states(asked) == ["received", "quoted", "accepted", "filled"]
        assert states(gone) == ["received", "quoted", "expired"]
        await ws.read(lambda: len(ws.frames[trades]) >= 2)
        assert ws.frames[trades][1]["data"] == first["data"]
        check(ws.frames[rfqs][0]["data"]["items"], [RFQ])
        check(ws.frames[trades][0]["data"]["items"], [TRADE])
        without_holes(ws.frames[rfqs])
        without_holes(ws.frames[trades])


@promise
async def after_a_reconnect_missed_rfqs_and_trades_are_sent_with_their_numbers(
    _operator: Outsider, client: Outsider
) -> None:
    async with client.socket() as first:
        rfqs, trades = await first.subscribe("rfqs"), await first.subscribe("trades")
        book = await first.subscribe("watch_order_book", **BOOK)
        await first.at_least(book, 3)
        await first.at_least(trades, 1)
        seqs = {sub: first.frames[sub][-1]["seq"] for sub in (rfqs, trades, book)}
        epoch = first.epoch
    asked = (await asyncio.to_thread(client.ask, "buy", ttl_ms=5000)).body
    trade = (await asyncio.to_thread(client.accept, asked["quotes"][0]["quote_id"])).body
    async with client.socket() as second:
        assert second.epoch == epoch
        for sub, seq in seqs.items():
            answer = await second.ask("resume", sub=sub, seq=seq)
            assert (answer["ok"], answer["sub"]) == (True, sub), answer
        await second.read(lambda: any(f["data"].get("trade_id") == trade["trade_id"] for f in second.frames[trades]))
        steps = [f["data"]["state"] for f in second.frames[rfqs] if f["data"].get("rfq_id") == asked["rfq_id"]]
        assert steps == ["received", "quoted", "accepted", "filled"]
        frames = await second.at_least(book, 2)
        assert frames[0]["kind"] == "snapshot"
        for sub, seq in seqs.items():
            without_holes(second.frames[sub], after=seq)
        refused(await second.ask("resume", sub=trades, seq=10**9), "bad_seq")
        refused(await second.ask("resume", sub=trades, seq=1, epoch="another"), "unknown_subscription")


@promise
async def the_desk_channel_feeds_the_operator(operator: Outsider, _client: Outsider) -> None:
    async with operator.socket(msgpack=True) as ws:
        sub = await ws.subscribe("desk", hz=10)
        frames = await ws.at_least(sub, 4)
        whole = frames[0]["data"]
        check(
            whole, {"epoch": (ws.epoch,), "trading": ("active",), "ts_ns": NANOSECONDS, "books": list, "blotter": list}
        )
        assert set(whole["ledger"]["imbalance"].values()) == {"0"}
        assert all(set(frame["data"]) <= set(whole) for frame in frames[1:])
        without_holes(frames)
