"""Who may call: signatures, clocks, nonces, scopes, addresses, rates (CONTRACT 3.1), over a real socket."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from desk.api.signing import Ed25519Signer, hmac_sign, signed_text
from desk.clients.limiter import TokenBucket
from desk.clients.nonces import Nonces
from tests.api.house import RFQ, House, fault_of, move_book


def test_the_contracts_vectors() -> None:
    rest = signed_text("1700000000000", "n-1", "POST", "/v1/rfqs?x=1", b'{"a":1}')
    socket = signed_text("1700000000000", "n-1", "WS", "/v1/ws")
    assert hmac_sign("s3cr3t", rest) == "6488ae2ca03b0da1b222ef9b6a703eeaf8b7fd7c106d73b958b1f99bc69c117f"
    assert hmac_sign("s3cr3t", socket) == "d14186a41a2e023919c12401485c976f99aa6deb31ba6c2552adb0b9f63cc166"


def test_a_signed_request_passes_with_its_query_as_sent(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            for path in ("/v1/instruments", "/v1/trades?limit=5", "/v1/rfqs?client_rfq_id=a%2Fb&limit=2"):
                status, answer, _ = await wire.call("GET", path)
                assert status == 200, answer

    asyncio.run(run())


@pytest.mark.parametrize("missing", ["KERB-KEY", "KERB-TIMESTAMP", "KERB-NONCE", "KERB-SIGN"])
def test_each_of_the_four_headers_is_needed(tmp_path: Path, missing: str) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            headers = wire.headers("GET", "/v1/time")
            del headers[missing]
            status, answer, _ = await wire.call("GET", "/v1/time", headers=headers)
            assert (status, *fault_of(answer)) == (401, "invalid", "auth_missing")

    asyncio.run(run())


def test_whatever_is_changed_after_signing_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire, other = house.wire(), house.wire("bob")
            body = b'{"client_rfq_id":"c","instrument":"BTC/USDT","side":"buy","quantity":"1"}'
            for method, path, content, change in (
                ("POST", "/v1/rfqs", body.replace(b'"1"', b'"9"'), {}),
                ("POST", "/v1/rfqs?x=1", body, {}),
                ("POST", "/v1/rfqs", body, {"KERB-NONCE": "another"}),
                ("POST", "/v1/rfqs", body, {"KERB-TIMESTAMP": str(time.time_ns() // 1_000_000 + 700)}),
                ("POST", "/v1/rfqs", body, {"KERB-KEY": other.key}),
                ("POST", "/v1/rfqs", body, {"KERB-KEY": "KNOBODY"}),
                ("POST", "/v1/rfqs", body, {"KERB-SIGN": "0" * 64}),
                ("POST", "/v1/rfqs", body, {"KERB-SIGN": "zz"}),
            ):
                headers = {**wire.headers("POST", "/v1/rfqs", body), **change}
                status, answer, _ = await wire.call(method, path, raw=content, headers=headers)
                assert (status, *fault_of(answer)) == (401, "invalid", "signature_invalid"), (path, change)
            headers = wire.headers("POST", "/v1/trades")
            status, answer, _ = await wire.call("GET", "/v1/trades", headers=headers)
            assert status == 401, "the method is signed"
            headers = wire.headers("GET", "/v1/time")
            headers["KERB-SIGN"] = headers["KERB-SIGN"].upper()
            assert (await wire.call("GET", "/v1/time", headers=headers))[0] == 401, "lower-case hex"
            assert not house.desk.by_id, "nothing reached the desk"

    asyncio.run(run())


@pytest.mark.parametrize("offset_ms", [-5_200, 5_200, -3_600_000, 10**12])
def test_a_timestamp_outside_five_seconds_is_refused_with_our_clock(tmp_path: Path, offset_ms: int) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire, now_ms = house.wire(), time.time_ns() // 1_000_000
            headers = wire.headers("GET", "/v1/time", timestamp=str(now_ms + offset_ms))
            status, answer, _ = await wire.call("GET", "/v1/time", headers=headers)
            assert (status, *fault_of(answer)) == (401, "invalid", "timestamp_out_of_window")
            assert abs(answer["error"]["details"]["server_time_ms"] - now_ms) < 2_000

    asyncio.run(run())


@pytest.mark.parametrize("timestamp", ["", "now", "1.7e12", "-1", "١٧٠٠٠٠٠٠٠٠٠٠٠", "1" * 40])
def test_a_timestamp_that_is_no_number_is_401_not_a_crash(tmp_path: Path, timestamp: str) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            headers = wire.headers("GET", "/v1/time", timestamp=timestamp)
            status, answer, _ = await wire.call("GET", "/v1/time", headers=headers)
            assert status == 401 and answer["error"]["kind"] == "invalid"

    asyncio.run(run())


def test_a_timestamp_four_seconds_off_is_good(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            for offset in (-4_000, 4_000):
                headers = wire.headers("GET", "/v1/time", timestamp=str(time.time_ns() // 1_000_000 + offset))
                assert (await wire.call("GET", "/v1/time", headers=headers))[0] == 200

    asyncio.run(run())


def test_a_replayed_request_is_refused_and_another_keys_nonce_is_free(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire, other = house.wire(), house.wire("bob")
            headers = wire.headers("GET", "/v1/time", nonce="n-1")
            assert (await wire.call("GET", "/v1/time", headers=headers))[0] == 200
            status, answer, _ = await wire.call("GET", "/v1/time", headers=headers)
            assert (status, *fault_of(answer)) == (401, "invalid", "nonce_reused")
            headers = other.headers("GET", "/v1/time", nonce="n-1")
            assert (await other.call("GET", "/v1/time", headers=headers))[0] == 200

    asyncio.run(run())


def test_a_bad_signature_does_not_use_up_the_nonce(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            bad = {**wire.headers("GET", "/v1/time", nonce="n-1"), "KERB-SIGN": "0" * 64}
            assert (await wire.call("GET", "/v1/time", headers=bad))[0] == 401
            good = wire.headers("GET", "/v1/time", nonce="n-1")
            assert (await wire.call("GET", "/v1/time", headers=good))[0] == 200

    asyncio.run(run())


def test_a_nonce_has_1_to_64_characters(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            assert (await wire.call("GET", "/v1/time", headers=wire.headers("GET", "/v1/time", nonce="x" * 64)))[
                0
            ] == 200
            status, answer, _ = await wire.call(
                "GET", "/v1/time", headers=wire.headers("GET", "/v1/time", nonce="x" * 65)
            )
            assert (status, *fault_of(answer)) == (401, "invalid", "auth_malformed")

    asyncio.run(run())


def test_a_revoked_key_stops(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            assert (await wire.call("GET", "/v1/time"))[0] == 200
            house.keys.revoke(wire.key)
            status, answer, _ = await wire.call("GET", "/v1/time")
            assert (status, *fault_of(answer)) == (401, "invalid", "key_revoked")

    asyncio.run(run())


def test_an_address_list_is_kept(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            near, far = house.wire(addresses=["127.0.0.0/8"]), house.wire(addresses=["10.1.2.3"])
            assert (await near.call("GET", "/v1/time"))[0] == 200
            status, answer, _ = await far.call("GET", "/v1/time")
            assert (status, *fault_of(answer)) == (403, "invalid", "address_not_allowed")

    asyncio.run(run())


def test_ed25519_keys_sign_the_same_text(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            made = house.keys.new("carol", ["quote", "read"], scheme="ed25519")
            wire = house.wire()
            wire.key = made.key.key_id
            body, timestamp = b'{"client_rfq_id":"c","instrument":"BTC/USDT","side":"sell","quantity":"1"}', ""
            timestamp = str(time.time_ns() // 1_000_000)
            sign = Ed25519Signer(made.secret).sign(signed_text(timestamp, "n", "POST", "/v1/rfqs", body))
            headers = wire.headers("POST", "/v1/rfqs", body, timestamp=timestamp, nonce="n", sign=sign)
            assert (await wire.call("POST", "/v1/rfqs", raw=body + b" ", headers=headers))[0] == 401
            status, answer, _ = await wire.call("POST", "/v1/rfqs", raw=body, headers=headers)
            assert status == 201 and answer["state"] == "quoted", answer

    asyncio.run(run())


def test_a_rate_limit_answers_429_and_when_to_come_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire(rate_per_s=2.0, burst=5)
            codes = [(await wire.call("GET", "/v1/time"))[0] for _ in range(5)]
            assert codes == [200] * 5
            status, answer, headers = await wire.call("GET", "/v1/time")
            assert (status, *fault_of(answer)) == (429, "limited", "rate_limited")
            assert int(headers["Retry-After"]) >= 1 and answer["error"]["retryable"]
            assert (await house.wire("bob").call("GET", "/v1/time"))[0] == 200, "another key has its own bucket"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("scopes", "method", "path", "body"),
    [
        ("read", "POST", "/v1/rfqs", RFQ),
        ("trade,read", "DELETE", "/v1/rfqs/r1", None),
        ("quote,read", "POST", "/v1/quotes/q1/accept", {"client_order_id": "o"}),
        ("quote,trade,read", "GET", "/v1/desk/state", None),
        ("quote,trade,read", "POST", "/v1/desk/halt", {"confirm": "HALT"}),
    ],
)
def test_a_key_without_the_scope_gets_403(
    tmp_path: Path, scopes: str, method: str, path: str, body: dict[str, str] | None
) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            status, answer, _ = await house.wire(scopes=scopes).call(method, path, body)
            assert (status, *fault_of(answer)) == (403, "invalid", "missing_scope")
            assert not house.desk.by_id and not house.desk.halts

    asyncio.run(run())


def test_public_routes_need_no_key_and_all_others_do(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            move_book(house.market)
            for path in ("/openapi.json", "/asyncapi.json", "/docs", "/healthz", "/readyz", "/metrics"):
                assert (await wire.call("GET", path, headers={}))[0] == 200, path
            document = (await wire.call("GET", "/openapi.json", headers={}))[1]
            for path, methods in document["paths"].items():
                for method in methods:
                    status, answer, _ = await wire.call(
                        method.upper(), path.replace("{", "").replace("}", ""), headers={}
                    )
                    assert (status, *fault_of(answer)) == (401, "invalid", "auth_missing"), (method, path)

    asyncio.run(run())


def test_the_unix_socket_serves_the_same_to_its_owner_only(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            assert Path(house.unix_path).stat().st_mode & 0o777 == 0o600
            async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(house.unix_path)) as session:
                wire.session, wire.url = session, "http://desk"
                assert (await wire.call("GET", "/v1/time"))[0] == 200

    asyncio.run(run())


def test_a_token_bucket_refills_at_its_rate_and_no_faster() -> None:
    bucket = TokenBucket(10.0, 2, now_ns=0)
    assert [bucket.take(0), bucket.take(0)] == [0.0, 0.0]
    assert bucket.take(0) == pytest.approx(0.1)
    assert bucket.take(-(10**9)) == pytest.approx(0.1), "a clock that goes back adds nothing"
    assert bucket.take(100_000_000) == 0.0
    assert [bucket.take(10**12) == 0.0 for _ in range(3)] == [True, True, False], "never more than the burst"


def test_nonces_are_bounded_and_never_forgotten_inside_the_window() -> None:
    nonces = Nonces(5_000, per_key=3)
    for name in "abc":
        nonces.add("k", name, now_ms=0)
    assert nonces.full("k", 9_999) and all(nonces.seen("k", name) for name in "abc")
    assert not nonces.full("k", 10_001) and not nonces.seen("k", "a")


def test_a_restart_forgets_no_nonce_inside_the_window(tmp_path: Path) -> None:
    journal = tmp_path / "nonces.log"
    first = Nonces(5_000, journal=journal, now_ms=0)
    first.add("k", "a b", now_ms=1_000)  # and then the process is gone, without a word
    journal.write_bytes(journal.read_bytes() + b"12000 k torn-li")
    second = Nonces(5_000, journal=journal, now_ms=10_000)
    assert second.seen("k", "a b") and not second.seen("other", "a b")
    second.add("k", "c", now_ms=10_000)
    third = Nonces(5_000, journal=journal, now_ms=11_001)
    assert not third.seen("k", "a b") and third.seen("k", "c")
    for nonces in (first, second, third):
        nonces.close()


def test_the_nonce_journal_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desk.clients.nonces.REWRITE_BYTES", 1_000)
    journal = tmp_path / "nonces.log"
    nonces = Nonces(5_000, journal=journal, now_ms=0)
    for step in range(1_000):
        nonces.add("k", f"n-{step}", now_ms=step * 1_000)
    assert journal.stat().st_size < 2_000
    nonces.close()
    again = Nonces(5_000, journal=journal, now_ms=999_000)
    assert again.seen("k", "n-999") and not again.seen("k", "n-900")
    again.close()


def test_a_request_sent_again_after_a_restart_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            headers = wire.headers("GET", "/v1/time")
            assert (await wire.call("GET", "/v1/time", headers=headers))[0] == 200
        async with House(tmp_path) as house:
            status, answer, _ = await house.wire().call("GET", "/v1/time", headers=headers)
            assert (status, answer["error"]["code"]) == (401, "nonce_reused")

    asyncio.run(run())
