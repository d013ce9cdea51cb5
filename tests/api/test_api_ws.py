"""The WebSocket (CONTRACT 4): authentication, sequences, conflation, slow consumers, resume, refusals, both encodings."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from desk.api import channels, outbox, session, subscriptions
from desk.api.capabilities import ACCOUNT_CHANNELS, MARKET_CHANNELS
from tests.api.fake_desk import SYMBOL
from tests.api.house import BOOK, RFQ, House, eventually, fault_of, move_book, subscribe, within


@pytest.mark.parametrize("msgpack", [False, True])
def test_subscribe_gives_a_snapshot_then_updates_without_holes(tmp_path: Path, msgpack: bool) -> None:
    async def body(house: House) -> None:
        move_book(house.market)
        async with house.wire().socket(msgpack=msgpack) as socket:
            assert socket.epoch == "e-1"
            assert socket.ws.protocol == ("kerb.msgpack.v1" if msgpack else None)
            frame = {"op": "subscribe", "id": "1", "channel": "watch_order_book", "params": {**BOOK, "depth": 2}}
            answer = await socket.ask(frame)
            assert (answer["id"], answer["ok"], answer["channel"], answer["mode"]) == ("1", True, *frame_channel(frame))
            first = await socket.push()
            assert (first["sub"], first["seq"], first["kind"]) == (answer["sub"], 1, "snapshot")
            assert first["data"]["bids"] == [["60000", "0.5"], ["59999.9", "0.50001"]]
            assert first["data"]["symbol"] == SYMBOL and first["data"]["datetime"].endswith("Z")
            for step in range(1, 6):
                move_book(house.market, 6_000_000 + step)
                update = await socket.push()
                assert (update["seq"], update["kind"]) == (step + 1, "update")
                assert update["data"]["bids"][0][0] == f"60000.0{step}"
            done = await socket.ask({"op": "unsubscribe", "id": 2, "sub": answer["sub"]})
            assert done["ok"] and done["id"] == 2
            move_book(house.market)
            assert await socket.ask({"op": "ping", "id": "3"}) == {"ok": True, "id": "3", "op": "pong"}
            assert not socket.pushes

    within(tmp_path, body)


def frame_channel(frame: dict[str, Any]) -> tuple[str, str]:
    return frame["channel"], "native"


def test_heartbeats_carry_the_last_seq_of_every_subscription(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        async with house.wire().socket() as socket:
            book, rfqs = await subscribe(socket, "watch_order_book", **BOOK), await subscribe(socket, "rfqs")
            await socket.push()
            await socket.push()
            socket.heartbeats.clear()
            beat = await socket.heartbeat()
            assert beat["seqs"] == {str(book): 1, str(rfqs): 1} and beat["epoch"] == "e-1"
            began = time.monotonic()
            await socket.heartbeat()
            assert 0.5 < time.monotonic() - began < 1.6

    within(tmp_path, body)


@pytest.mark.parametrize("inline", [True, False])
def test_rfq_and_accept_take_the_rest_bodies(tmp_path: Path, inline: bool) -> None:
    async def body(house: House) -> None:
        def frame(op: str, number: str, **fields: Any) -> dict[str, Any]:
            return {"op": op, "id": number, **(fields if inline else {"params": fields})}

        async with house.wire().socket() as socket:
            answer = await socket.ask(frame("rfq", "4", **RFQ))
            assert (answer["ok"], answer["id"], answer["op"]) == (True, "4", "rfq")
            quote = answer["data"]["quotes"][0]
            await socket.send(frame("accept", "5", quote_id=quote["quote_id"], client_order_id="o-1"))
            await socket.send(frame("accept", "6", quote_id=quote["quote_id"], client_order_id="o-1"))
            first, second = await socket.receive(), await socket.receive()
            assert first["data"] == second["data"] and {first["id"], second["id"]} == {"5", "6"}
            assert len(house.desk.trade_ids) == 1
            other = await socket.ask(frame("accept", "7", quote_id=quote["quote_id"], client_order_id="o-2"))
            assert other["ok"] is False and fault_of(other) == ("rejected", "quote_already_accepted")
            for wrong in (
                frame("rfq", "8", **{**RFQ, "quantity": 1.5}),
                frame("rfq", "9", **{**RFQ, "quantity": "NaN"}),
                frame("rfq", "10", **{**RFQ, "surprise": 1}),
                frame("accept", "11", client_order_id="o-3"),
                frame("accept", "12", quote_id=7, client_order_id="o-3"),
            ):
                answer = await socket.ask(wrong)
                assert answer["ok"] is False and answer["id"] == wrong["id"], answer
                assert answer["error"]["kind"] == "invalid"

    within(tmp_path, body)


def test_requests_on_one_socket_do_not_wait_for_each_other(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        async with house.wire().socket() as socket:
            house.desk.delay_s = 0.2
            await socket.send({"op": "rfq", "id": "slow", **RFQ})
            assert (await socket.ask({"op": "ping", "id": "quick"}))["id"] == "quick"
            assert (await socket.receive())["id"] == "slow"
            house.desk.silent = True
            answer = await socket.ask({"op": "rfq", "id": "lost", **RFQ, "client_rfq_id": "c-2"})
            assert fault_of(answer) == ("unknown", "outcome_unknown")

    within(tmp_path, body, reply_timeout_s=0.3)


def test_a_consumer_that_stops_reading_costs_no_memory_and_gets_the_latest_when_it_returns(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        move_book(house.market)
        async with house.wire().socket() as socket:
            await subscribe(socket, "watch_order_book", **BOOK, depth=3, hz=50)
            await socket.push()
            socket.ws._conn.transport.pause_reading()  # type: ignore[union-attr]
            (held,) = house.server.sockets._sessions  # type: ignore[union-attr]
            filler = {"op": "subscribe", "id": 1, "channel": "nope" * 3_000}
            await socket.send(filler)
            step, deadline = 0, time.monotonic() + 8
            while held.outbox.stalled_s() < 0.05:  # refusals fill the buffers until sending has to wait
                assert time.monotonic() < deadline
                await socket.send(filler)
                await asyncio.sleep(0)
            for step in range(200):
                move_book(house.market, 6_000_000 + step)
            assert len(held.outbox._ready) <= 1, "market data does not queue"
            socket.ws._conn.transport.resume_reading()  # type: ignore[union-attr]
            while True:
                frame = await socket.receive()
                if frame.get("kind") == "update" and frame["data"]["bids"][0][0] == f"{60000 + step / 100:.2f}":
                    break
            assert frame["conflated"] > 100

    within(tmp_path, body)


def test_events_that_must_not_be_lost_disconnect_a_slow_consumer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_QUEUED", 50)

    async def body(house: House) -> None:
        wire = house.wire()
        rfq = (await wire.call("POST", "/v1/rfqs", RFQ))[1]
        record = house.desk.by_id[rfq["rfq_id"]]
        async with wire.socket() as socket:
            await subscribe(socket, "rfqs")
            await socket.push()
            for _ in range(60):  # more than fits before the writer gets a turn
                house.events.rfq(record)
            seqs = []
            while True:
                message = await socket.ws.receive(timeout=5)
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                seqs.append(json.loads(message.data)["seq"])
            assert socket.ws.close_code == 4408, message
            assert seqs == list(range(2, 2 + len(seqs))), "what came had no holes"
        assert "kerb_ws_slow_disconnects_total 1" in house.server.metrics.text()

    within(tmp_path, body)


def test_resume_sends_what_was_missed_with_its_numbers(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        wire, other = house.wire(), house.wire()
        async with wire.socket() as socket:
            sub = await subscribe(socket, "rfqs")
            await socket.push()
            await wire.call("POST", "/v1/rfqs", {**RFQ, "client_rfq_id": "c-1"})
            assert (await socket.push())["seq"] == 2
        for number in range(2, 5):
            await wire.call("POST", "/v1/rfqs", {**RFQ, "client_rfq_id": f"c-{number}"})
        async with other.socket() as thief:
            answer = await thief.ask({"op": "resume", "id": 1, "sub": sub, "seq": 1})
            assert fault_of(answer) == ("invalid", "unknown_subscription"), "another key's"
        async with wire.socket() as socket:
            answer = await socket.ask({"op": "resume", "id": 1, "sub": sub, "seq": 2})
            assert answer["ok"] and answer["sub"] == sub and answer["epoch"] == "e-1"
            missed = [await socket.push() for _ in range(3)]
            assert [frame["seq"] for frame in missed] == [3, 4, 5]
            assert [frame["data"]["client_rfq_id"] for frame in missed] == ["c-2", "c-3", "c-4"]
            await wire.call("POST", "/v1/rfqs", {**RFQ, "client_rfq_id": "c-5"})
            assert (await socket.push())["seq"] == 6
            for wrong in (99, -1, "x", None):
                answer = await socket.ask({"op": "resume", "id": 1, "sub": sub, "seq": wrong})
                assert answer["ok"] is False, answer

    within(tmp_path, body)


def test_a_socket_that_does_not_know_it_is_dead_gives_its_subscription_up(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        wire = house.wire()
        async with wire.socket() as old, wire.socket() as new:
            sub = await subscribe(old, "rfqs")
            await old.push()
            assert (await new.ask({"op": "resume", "id": 1, "sub": sub, "seq": 1}))["ok"]
            await wire.call("POST", "/v1/rfqs", RFQ)
            assert (await new.push())["seq"] == 2
            await old.ask({"op": "ping", "id": 1})
            assert not old.pushes

    within(tmp_path, body)


def test_resumed_market_data_starts_with_a_snapshot_after_the_last_frame_seen(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        move_book(house.market)
        wire = house.wire()
        async with wire.socket() as socket:
            sub = await subscribe(socket, "watch_order_book", **BOOK)
            assert (await socket.push())["seq"] == 1
        await eventually(lambda: house.server.sockets.count() == 0)  # type: ignore[union-attr]
        move_book(house.market, 6_000_700)
        async with wire.socket() as socket:
            assert (await socket.ask({"op": "resume", "id": 1, "sub": sub, "seq": 1}))["ok"]
            frame = await socket.push()
            assert (frame["sub"], frame["seq"], frame["kind"]) == (sub, 2, "snapshot")
            assert frame["data"]["bids"][0][0] == "60007"

    within(tmp_path, body)


def test_what_is_too_old_to_resume_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "REPLAY_FRAMES", 3)

    async def body(house: House) -> None:
        wire = house.wire()
        async with wire.socket() as socket:
            sub = await subscribe(socket, "rfqs")
            await socket.push()
        for number in range(6):
            await wire.call("POST", "/v1/rfqs", {**RFQ, "client_rfq_id": f"c-{number}"})
        async with wire.socket() as socket:
            answer = await socket.ask({"op": "resume", "id": 1, "sub": sub, "seq": 1})
            assert fault_of(answer) == ("invalid", "resume_too_old")

    within(tmp_path, body)


def test_a_new_epoch_does_not_know_the_old_subscriptions(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            async with wire.socket() as socket:
                sub = await subscribe(socket, "rfqs")
        async with House(tmp_path, epoch="e-2") as house:
            wire.session, wire.url = house.session, house.url  # type: ignore[assignment]
            async with wire.socket() as socket:
                assert socket.epoch == "e-2"
                for frame in ({"sub": sub, "seq": 1}, {"sub": sub, "seq": 1, "epoch": "e-1"}):
                    answer = await socket.ask({"op": "resume", "id": 1, **frame})
                    assert fault_of(answer) == ("invalid", "unknown_subscription")
                assert await subscribe(socket, "rfqs") != sub, "numbers of different epochs do not meet"
                assert (await socket.push())["kind"] == "snapshot"

    asyncio.run(run())


@pytest.mark.parametrize("fault", ["sign", "timestamp", "key", "not_auth", "not_json", "replayed"])
def test_a_bad_first_frame_closes_with_4401(tmp_path: Path, fault: str) -> None:
    async def body(house: House) -> None:
        wire = house.wire()
        frame: Any = wire.auth_frame()
        match fault:
            case "sign":
                frame["sign"] = "0" * 64
            case "timestamp":
                frame = wire.auth_frame(timestamp="1700000000000")
            case "key":
                frame["key"] = "KNOBODY"
            case "not_auth":
                frame = {"op": "ping", "id": "1"}
            case "replayed":
                async with wire.socket(auth=False) as first:
                    assert (await first.ask(frame))["ok"]
        async with wire.socket(auth=False) as socket:
            if fault == "not_json":
                await socket.ws.send_str("{nonsense")
                answer = await socket.receive()
            else:
                answer = await socket.ask(frame)
            assert answer["ok"] is False and answer["error"]["kind"] == "invalid"
            if fault == "timestamp":
                assert answer["error"]["details"]["server_time_ms"] > 1_700_000_000_000
            assert (await socket.ws.receive(timeout=3)).type is aiohttp.WSMsgType.CLOSE
            assert socket.ws.close_code == 4401

    within(tmp_path, body)


def test_silence_after_the_handshake_closes_with_4401(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "AUTH_TIMEOUT_S", 0.1)

    async def body(house: House) -> None:
        async with house.wire().socket(auth=False) as socket:
            assert (await socket.ws.receive(timeout=3)).type is aiohttp.WSMsgType.CLOSE
            assert socket.ws.close_code == 4401

    within(tmp_path, body)


def test_a_numeric_timestamp_is_as_good_as_text(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        wire = house.wire()
        async with wire.socket(auth=False) as socket:
            frame: dict[str, Any] = wire.auth_frame()
            frame["timestamp"] = int(frame["timestamp"])
            assert await socket.ask(frame) == {"ok": True, "op": "auth", "epoch": "e-1"}

    within(tmp_path, body)


def test_every_channel_of_the_contract_answers_something(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        wire = house.wire("ops", "operate,read,quote,trade")
        served = {name for name, channel in channels.CHANNELS.items() if channel.make is not None}
        assert served == {
            *("rfs", "rfqs", "orders", "trades", "desk", "alerts"),
            *("watch_order_book", "watch_trades", "watch_bids_asks", "watch_ticker", "watch_tickers", "watch_ohlcv"),
            *(f"watch_{name}_for_symbols" for name in ("order_book", "trades", "ohlcv", "orders", "my_trades")),
            *("watch_orders", "watch_my_trades", "watch_balance"),
            *(f"watch_{name}" for name in ("funding_rate", "funding_rates", "liquidations", "my_liquidations")),
            *(f"watch_{name}_for_symbols" for name in ("funding_rates", "liquidations", "my_liquidations", "position")),
            *("watch_position", "watch_positions", "watch_funding_rate_for_my_position"),
        }
        matrix = (await wire.call("GET", "/v1/capabilities"))[1]["venues"]
        assert set(matrix) == {"BINANCE", "KRAKEN", "FALCONX"}
        assert set(matrix["BINANCE"]) == {*MARKET_CHANNELS, *ACCOUNT_CHANNELS}
        assert matrix["BINANCE"]["watch_ticker"] == matrix["FALCONX"]["watch_orders"] == "derived"
        assert matrix["FALCONX"]["watch_balance"] == matrix["BINANCE"]["watch_funding_rate"] == "unsupported"
        async with wire.socket() as socket:
            for name in (*MARKET_CHANNELS, *ACCOUNT_CHANNELS, "balances", "settlements", "audit"):
                answer = await socket.ask({"op": "subscribe", "id": name, "channel": name, "params": BOOK})
                if (name in served and not name.startswith("watch_")) or matrix["BINANCE"].get(name) not in (
                    None,
                    "unsupported",
                ):
                    assert answer["ok"] and answer["mode"] == matrix["BINANCE"][name], answer
                else:
                    assert fault_of(answer) == ("invalid", "unsupported") and answer["mode"] == "unsupported"
            for channel, params, code in (
                ("watch_flights", {}, "unknown_channel"),
                (None, {}, "unknown_channel"),
                ("watch_order_book", {"venue": "FALCONX", "symbol": SYMBOL}, "unsupported"),
                ("watch_order_book", {"venue": "NASDAQ", "symbol": SYMBOL}, "unknown_venue"),
                ("watch_order_book", {"venue": "BINANCE", "symbol": "DOGE/MOON"}, "unknown_instrument"),
                ("watch_order_book", {"venue": "BINANCE"}, "missing_field"),
                ("watch_order_book", {**BOOK, "depth": 0}, "invalid_field"),
                ("watch_order_book", {**BOOK, "depht": 5}, "unknown_field"),
                ("watch_order_book", [1], "invalid_field"),
                ("rfs", {"instrument": SYMBOL, "quantities": []}, "invalid_field"),
                ("rfs", {"instrument": SYMBOL, "quantities": [1]}, "invalid_field"),
                ("rfs", {"instrument": "DOGE/MOON", "quantities": ["1"]}, "unknown_instrument"),
                ("desk", {"hz": 11}, "invalid_field"),
            ):
                answer = await socket.ask({"op": "subscribe", "id": 1, "channel": channel, "params": params})
                assert answer["ok"] is False and answer["error"]["code"] == code, answer

    within(tmp_path, body)


def test_channels_have_scopes(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        async with house.wire().socket() as client, house.wire(scopes="read").socket() as reader:
            for socket, channel in ((client, "desk"), (client, "alerts"), (client, "watch_balance"), (reader, "rfs")):
                answer = await socket.ask({"op": "subscribe", "id": 1, "channel": channel})
                assert fault_of(answer) == ("invalid", "missing_scope"), channel
            assert fault_of(await reader.ask({"op": "rfq", "id": 1, **RFQ})) == ("invalid", "missing_scope")

    within(tmp_path, body)


def test_malformed_frames_are_answered_and_end_the_socket_when_they_do_not_stop(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        async with house.wire().socket() as socket:
            for frame in ({"op": "fly"}, {"op": 7}, {}, {"op": "ping", "id": {}}, {"op": "ping", "x": 1}):
                assert (await socket.ask(frame))["ok"] is False
            for frame in ({"op": "unsubscribe", "sub": 12345}, {"op": "unsubscribe"}, {"op": "auth"}, {"op": "order"}):
                assert (await socket.ask(frame))["error"]["kind"] == "invalid"
            assert (await socket.ask({"op": "ping", "id": 1}))["ok"], "still open"
            for _ in range(session.MAX_MALFORMED):
                await socket.ws.send_str("[")
            while (await socket.ws.receive(timeout=3)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert socket.ws.close_code == 4400

    within(tmp_path, body)


def test_frames_count_against_the_keys_rate(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        async with house.wire(rate_per_s=1.0, burst=3).socket() as socket:
            answers = [await socket.ask({"op": "rfq", "id": i, **RFQ}) for i in range(3)]
            assert [answer["ok"] for answer in answers] == [True, True, False]
            assert fault_of(answers[2]) == ("limited", "rate_limited")
            assert answers[2]["error"]["details"]["retry_after_s"] > 0

    within(tmp_path, body)


def test_a_key_revoked_while_connected_is_disconnected(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        wire = house.wire()
        async with wire.socket() as socket:
            house.keys.revoke(wire.key)
            while (await socket.ws.receive(timeout=3)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert socket.ws.close_code == 4403

    within(tmp_path, body)


def test_stopping_says_goodbye(tmp_path: Path) -> None:
    async def body(house: House) -> None:
        async with house.wire().socket() as socket:
            await subscribe(socket, "rfqs")
            began = time.monotonic()
            stopping = asyncio.create_task(house.server.stop())
            while (await socket.ws.receive(timeout=3)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert socket.ws.close_code == 1001
            await stopping
            assert time.monotonic() - began < 3
        assert not house.market.on_book and not house.events.on_rfq, "nothing listens any more"

    within(tmp_path, body)
