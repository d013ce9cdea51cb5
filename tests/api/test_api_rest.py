"""RFQs, accepts, lookups and errors over REST (CONTRACT 3.2 to 3.4), spoken by a client written from the contract."""

from __future__ import annotations

import asyncio
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from desk.api.convert import text
from desk.api.decoding import refuse_duplicates
from desk.api.messages import ErrorAnswer, Rfq, Trade
from desk.errors import Invalid
from tests.api.fake_desk import SYMBOL
from tests.api.house import RFQ, House, fault_of

DECIMAL = re.compile(r"^-?\d+(\.\d+)?\Z")


def test_a_request_is_answered_in_the_contracts_shape(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            body = {**RFQ, "currency": "BTC", "ttl_ms": 2000}
            status, answer, headers = await house.wire().call("POST", "/v1/rfqs", body)
            assert status == 201 and headers["Content-Type"] == "application/json"
            assert answer["client_rfq_id"] == "c-1" and answer["state"] == "quoted"
            assert (answer["instrument"], answer["quantity"], answer["currency"]) == (SYMBOL, "1.5", "BTC")
            (quote,) = answer["quotes"]
            assert (quote["side"], quote["price"], quote["quantity"]) == ("buy", "60012.34", "1.5")
            assert quote["amount"] == "90018.51" and quote["firm"] is True
            assert quote["valid_until_ns"] - answer["created_ns"] == pytest.approx(2_000_000_000, abs=5_000_000)
            assert "fair" not in quote and "waterfall" not in quote, "the desk's side of the price stays inside"
            msgspec.json.decode(json.dumps(answer), type=Rfq)

    asyncio.run(run())


def test_the_same_client_id_is_the_same_request(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            alice, bob = house.wire(), house.wire("bob")
            answers = await asyncio.gather(*(alice.call("POST", "/v1/rfqs", RFQ) for _ in range(10)))
            assert {status for status, _, _ in answers} == {201}
            assert len({answer["rfq_id"] for _, answer, _ in answers}) == 1
            assert (await bob.call("POST", "/v1/rfqs", RFQ))[1]["rfq_id"] != answers[0][1]["rfq_id"]

    asyncio.run(run())


def test_an_accept_is_exactly_once_however_often_and_however_many_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            house.desk.delay_s = 0.02
            rfq = (await wire.call("POST", "/v1/rfqs", {**RFQ, "side": "two_way", "ttl_ms": 30_000}))[1]
            assert [quote["side"] for quote in rfq["quotes"]] == ["buy", "sell"]
            path = f"/v1/quotes/{rfq['quotes'][0]['quote_id']}/accept"
            same = await asyncio.gather(*(wire.call("POST", path, {"client_order_id": "o-1"}) for _ in range(12)))
            assert {status for status, _, _ in same} == {200}
            assert len({answer["trade_id"] for _, answer, _ in same}) == 1
            other = await wire.call("POST", path, {"client_order_id": "o-2"})
            assert (other[0], *fault_of(other[1])) == (409, "rejected", "quote_already_accepted")
            void = await wire.call(
                "POST", f"/v1/quotes/{rfq['quotes'][1]['quote_id']}/accept", {"client_order_id": "o-3"}
            )
            assert void[0] == 409, "accepting one side voids the other"
            assert len(house.desk.trade_ids) == 1
            found = (await wire.call("GET", "/v1/trades?client_order_id=o-1"))[1]
            assert found["items"] == [same[0][1]] and found["next_cursor"] is None

    asyncio.run(run())


def test_a_trade_carries_its_settlement_signed_for_the_client(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            for side, sign in (("buy", 1), ("sell", -1)):
                rfq = (await wire.call("POST", "/v1/rfqs", {**RFQ, "client_rfq_id": side, "side": side}))[1]
                path = f"/v1/quotes/{rfq['quotes'][0]['quote_id']}/accept"
                status, trade, _ = await wire.call("POST", path, {"client_order_id": side, "quantity": "0.5"})
                assert status == 200 and trade["state"] == "filled" and trade["quantity"] == "0.5", trade
                legs = {leg["currency"]: Decimal(leg["amount"]) for leg in trade["settlement"]["legs"]}
                assert legs == {"BTC": sign * Decimal("0.5"), "USDT": -sign * Decimal(trade["amount"])}
                msgspec.json.decode(json.dumps(trade), type=Trade)
                assert (await wire.call("GET", f"/v1/trades/{trade['trade_id']}"))[1] == trade

    asyncio.run(run())


def test_an_expired_quote_is_409(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            rfq = (await wire.call("POST", "/v1/rfqs", {**RFQ, "ttl_ms": 1}))[1]
            await asyncio.sleep(0.01)
            path = f"/v1/quotes/{rfq['quotes'][0]['quote_id']}/accept"
            status, answer, _ = await wire.call("POST", path, {"client_order_id": "o-1"})
            assert (status, *fault_of(answer)) == (409, "rejected", "quote_expired")

    asyncio.run(run())


def test_lookups_lists_and_cancel(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            alice, bob, operator = house.wire(), house.wire("bob"), house.operator()
            made = [(await alice.call("POST", "/v1/rfqs", {**RFQ, "client_rfq_id": f"c-{i}"}))[1] for i in range(5)]
            rfq_id = made[0]["rfq_id"]
            assert (await alice.call("GET", f"/v1/rfqs/{rfq_id}"))[1] == made[0]
            assert (await bob.call("GET", f"/v1/rfqs/{rfq_id}"))[0] == 404, "another client's is not there"
            assert (await operator.call("GET", f"/v1/rfqs/{rfq_id}"))[0] == 200
            by_id = (await alice.call("GET", "/v1/rfqs?client_rfq_id=c-3"))[1]
            assert [item["rfq_id"] for item in by_id["items"]] == [made[3]["rfq_id"]]
            seen: list[str] = []
            cursor = ""
            while True:
                page = (await alice.call("GET", f"/v1/rfqs?limit=2{cursor}"))[1]
                seen += [item["rfq_id"] for item in page["items"]]
                if page["next_cursor"] is None:
                    break
                cursor = f"&cursor={page['next_cursor']}"
            assert seen == [rfq["rfq_id"] for rfq in reversed(made)]
            assert (await alice.call("DELETE", f"/v1/rfqs/{rfq_id}"))[1]["state"] == "cancelled"
            again = await alice.call("DELETE", f"/v1/rfqs/{rfq_id}")
            assert (again[0], again[1]["error"]["kind"]) == (409, "rejected")
            assert len((await alice.call("GET", "/v1/rfqs?state=cancelled"))[1]["items"]) == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "limit=1&limit=2", "state=flying", "client_order=o-1", "cursor="]
)
def test_a_wrong_query_is_422_never_an_empty_list(tmp_path: Path, query: str) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            status, answer, _ = await house.wire().call("GET", f"/v1/rfqs?{query}")
            assert status == 422 and answer["error"]["kind"] == "invalid", answer

    asyncio.run(run())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quantity", quantity)
        for quantity in (
            1.5,
            1,
            True,
            None,
            [],
            {},
            "",
            "NaN",
            "nan",
            "Infinity",
            "-1",
            "+1",
            "1e3",
            "1E-2",
            ".5",
            "5.",
            "01",
            " 1",
            "1 ",
            "1\n",
            "1_000",
            "0x10",
            "１",
            "1,5",
            "9" * 22,
            "1." + "0" * 19,
            "0",
            "0.000",
        )
    ]
    + [
        ("side", "hold"),
        ("side", "BUY"),
        ("side", 1),
        ("instrument", "DOGE/MOON"),
        ("instrument", ""),
        ("instrument", 7),
        ("client_rfq_id", ""),
        ("client_rfq_id", "x" * 65),
        ("client_rfq_id", "a b"),
        ("client_rfq_id", "a\n"),
        ("client_rfq_id", 5),
        ("ttl_ms", 0),
        ("ttl_ms", -1),
        ("ttl_ms", "2000"),
        ("ttl_ms", 1.5),
        ("ttl_ms", 10**9),
        ("surprise", 1),
    ],
)
def test_a_wrong_field_is_422_with_a_reason(tmp_path: Path, field: str, value: Any) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            status, answer, _ = await house.wire().call("POST", "/v1/rfqs", {**RFQ, field: value})
            kind, _ = fault_of(answer)
            assert (status, kind) == (422, "invalid") and answer["error"]["retryable"] is False, answer
            assert not house.desk.by_id

    asyncio.run(run())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"quantity": NaN}',
        b'{"quantity": Infinity}',
        b"\xff\xfe{}",
        b'{"instrument":"\xff"}',
        b"{}{}",
        b'{"client_rfq_id":1,',
        b'{"surprise":1',
        b"[1,",
        b'{"client_rfq_id":"c","client_rfq_id"}',
    ],
)
def test_a_body_that_is_not_json_is_400(tmp_path: Path, raw: bytes) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            status, answer, _ = await house.wire().call("POST", "/v1/rfqs", raw=raw)
            assert (status, *fault_of(answer)) == (400, "invalid", "malformed_json")

    asyncio.run(run())


@pytest.mark.parametrize("raw", [b"[" * 60_000, b'{"a":' * 12_000, b'{"quantity":' + b"[" * 60_000])
def test_nesting_without_end_is_refused_and_does_no_harm(tmp_path: Path, raw: bytes) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            status, answer, _ = await wire.call("POST", "/v1/rfqs", raw=raw)
            assert status in (400, 422) and answer["error"]["kind"] == "invalid"
            assert (await wire.call("GET", "/v1/time"))[0] == 200

    asyncio.run(run())


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"text"', b"1", b"{}"])
def test_json_that_is_not_a_request_is_422(tmp_path: Path, raw: bytes) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            status, answer, _ = await house.wire().call("POST", "/v1/rfqs", raw=raw)
            assert (status, answer["error"]["kind"]) == (422, "invalid")

    asyncio.run(run())


def test_sizes_media_types_methods_and_routes(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            status, answer, _ = await wire.call("POST", "/v1/rfqs", raw=b" " * 70_000)
            assert (status, *fault_of(answer)) == (413, "invalid", "body_too_large")
            body = json.dumps(RFQ).encode()
            for name, value in (("Content-Type", "text/plain"), ("Content-Encoding", "gzip")):
                headers = {**wire.headers("POST", "/v1/rfqs", body), name: value}
                status, answer, _ = await wire.call("POST", "/v1/rfqs", raw=body, headers=headers)
                assert status in (400, 415) and answer["error"]["kind"] == "invalid", (name, answer)
            status, answer, headers = await wire.call("PUT", "/v1/rfqs", RFQ)
            assert (status, *fault_of(answer)) == (405, "invalid", "method_not_allowed")
            assert set(headers["Allow"].split(",")) == {"GET", "POST"}
            for path in ("/nope", "/v1/rfqs/", "/v1/quotes//accept", "/v1/..%2f..%2fetc/passwd"):
                status, answer, _ = await wire.call("GET", path)
                assert (status, *fault_of(answer)) == (404, "invalid", "no_such_route"), path
            status, answer, _ = await wire.call("GET", "/v1/ws")
            assert (status, *fault_of(answer)) == (426, "invalid", "upgrade_required")

    asyncio.run(run())


def test_a_business_refusal_keeps_its_details(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            status, answer, _ = await house.wire().call("POST", "/v1/rfqs", {**RFQ, "quantity": "250"})
            assert (status, *fault_of(answer)) == (422, "rejected", "limit_exceeded")
            assert answer["error"]["details"] == {"limit": "max_quantity", "value": "250", "max": "100"}
            msgspec.json.decode(json.dumps(answer), type=ErrorAnswer)

    asyncio.run(run())


def test_a_bug_of_ours_is_503_without_a_word_of_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            house.desk.broken = True
            status, answer, headers = await house.wire().call("POST", "/v1/rfqs", RFQ)
            assert (status, *fault_of(answer)) == (503, "failed", "failed")
            assert "secret" not in json.dumps(answer) and "Traceback" not in json.dumps(answer)
            assert answer["error"]["request_id"] == headers["KERB-REQUEST-ID"]

    asyncio.run(run())


def test_a_desk_that_does_not_answer_is_unknown_504(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path, reply_timeout_s=0.05) as house:
            house.desk.silent = True
            status, answer, _ = await house.wire().call("POST", "/v1/rfqs", RFQ)
            assert (status, *fault_of(answer)) == (504, "unknown", "outcome_unknown")

    asyncio.run(run())


def test_a_late_reply_after_504_breaks_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path, reply_timeout_s=0.05) as house:
            wire, house.desk.delay_s = house.wire(), 0.1
            assert (await wire.call("POST", "/v1/rfqs", RFQ))[0] == 504
            await asyncio.sleep(0.1)
            house.desk.delay_s = None
            status, answer, _ = await wire.call("POST", "/v1/rfqs", RFQ)
            assert status == 201 and len(house.desk.by_id) == 1, "asked again by its own id: the first answer"
            assert answer["client_rfq_id"] == "c-1"

    asyncio.run(run())


def test_a_halt_needs_the_word_and_the_operator(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            operator = house.operator()
            for body in ({"confirm": "halt"}, {"confirm": "RESUME"}, {}, {"confirm": "HALT", "reason": ""}):
                assert (await operator.call("POST", "/v1/desk/halt", body))[0] == 422
            assert not house.desk.halts
            status, answer, _ = await operator.call("POST", "/v1/desk/halt", {"confirm": "HALT", "reason": "drill"})
            assert status == 200 and answer == {"trading": "halted", "halt_reason": "drill"}
            assert house.desk.halts == [("ops", "drill")]
            assert (await operator.call("GET", "/readyz", headers={}))[0] == 503
            assert (await operator.call("GET", "/healthz", headers={}))[0] == 200
            status, answer, _ = await operator.call("POST", "/v1/desk/resume", {"confirm": "RESUME"})
            assert status == 200 and answer["trading"] == "active"

    asyncio.run(run())


def test_the_operators_state_has_the_imbalance_per_currency(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            status, answer, _ = await house.operator().call("GET", "/v1/desk/state")
            assert status == 200 and answer["ledger"]["imbalance"] == {"BTC": "0", "USDT": "0"}

    asyncio.run(run())


def test_instruments_are_those_the_key_may_trade(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            everything = (await house.wire().call("GET", "/v1/instruments"))[1]["items"]
            some = (await house.wire(instruments=["ETH/USDT"]).call("GET", "/v1/instruments"))[1]["items"]
            assert [item["symbol"] for item in everything] == [SYMBOL, "ETH/USDT"]
            assert [item["symbol"] for item in some] == ["ETH/USDT"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("1.50", "1.5"),
        ("1E+3", "1000"),
        ("1E-8", "0.00000001"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("60012.34", "60012.34"),
        ("100", "100"),
        ("-90018.510", "-90018.51"),
    ],
)
def test_decimals_are_plain_text(number: str, expected: str) -> None:
    assert text(Decimal(number)) == expected and DECIMAL.match(expected)


def test_a_field_given_twice_is_refused_wherever_it_is() -> None:
    for raw in (b'{"a":1,"a":1}', b'{"a":{"b":1,"b":2}}', b'[{"a":1},{"c":1,"c":2}]', b'{"\\u0061":1,"a":2}'):
        with pytest.raises(Invalid) as refused:
            refuse_duplicates(raw)
        assert (refused.value.code, refused.value.status) == ("duplicate_field", 422)
    refuse_duplicates(b'{"a":{"b":1},"c":{"b":1}}')


def test_stopping_twice_is_stopping_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            await house.server.stop()
            await house.server.stop()

    asyncio.run(run())


def test_operators_and_nobody_else_see_how_a_price_was_made(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            client, operator = house.wire(), house.operator()
            _, rfq, _ = await client.call("POST", "/v1/rfqs", RFQ)
            path = f"/v1/desk/rfqs/{rfq['rfq_id']}/waterfall"
            status, build, _ = await operator.call("GET", path)
            assert status == 200 and (build["rfq_id"], build["instrument"]) == (rfq["rfq_id"], SYMBOL)
            (quote,) = build["quotes"]
            assert quote["price"] == rfq["quotes"][0]["price"]
            assert Decimal(quote["fair"]) + sum(Decimal(step["amount"]) for step in quote["steps"]) == Decimal(
                quote["price"]
            )
            assert quote["steps"] == [{"step": "markup", "amount": "12.34", "bps": "2.057", "inputs": ""}]
            assert (await client.call("GET", path))[0] == 403
            assert (await operator.call("GET", "/v1/desk/rfqs/nothing/waterfall"))[0] == 404

    asyncio.run(run())
