"""CONTRACT 3.1, 3.2, 3.4 and 4, to the letter, from outside: a real `kerb demo --headless` and a client that shares no code with it.

The demo's own scripted clients trade meanwhile. Tests use keys of their own where they count rows; the last one restarts the desk.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.contract_desk import USDT_PRECISION, Desk, eventually, quoted, refused, side_of, traded
from tests.e2e.contract_shapes import (
    DECIMAL,
    ERROR,
    GOOD_RFQ,
    NOT_A_REQUEST,
    NOT_JSON,
    RFQ,
    check,
    one_unit,
)
from tests.e2e.outside_client import Answer, Outsider, send, sign
from tests.e2e.stream_checks import STREAM_CHECKS, run

VENUES = ("BINANCE", "KRAKEN")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    running = Desk(tmp_path_factory.mktemp("contract") / "state")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def auditor(desk: Desk) -> Outsider:
    """A client nobody else trades for."""
    return desk.new_key("auditor")


# ---- 3.2 asking --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["buy", "sell", "two_way"])
@pytest.mark.parametrize(("quantity", "currency"), [("0.02", None), ("0.02", "BTC"), ("1234.5", "USDT")])
def test_a_request_is_answered_with_firm_quotes(desk: Desk, side: str, quantity: str, currency: str | None) -> None:
    fields = {} if currency is None else {"currency": currency}
    before_ns = time.time_ns()
    rfq = quoted(desk.alpha.ask(side, quantity, ttl_ms=3000, **fields))
    assert (rfq["instrument"], rfq["quantity"], rfq["currency"]) == ("BTC/USDT", quantity, currency or "BTC")
    assert {quote["side"] for quote in rfq["quotes"]} == ({"buy", "sell"} if side == "two_way" else {side})
    assert len(rfq["quotes"]) == (2 if side == "two_way" else 1)
    for quote in rfq["quotes"]:
        assert one_unit(quote["price"], quote["quantity"], quote["amount"], USDT_PRECISION)
        assert before_ns + 2_500_000_000 < quote["valid_until_ns"] < time.time_ns() + 3_100_000_000
        if currency == "USDT":
            assert abs(Decimal(quote["amount"]) - Decimal(quantity)) <= Decimal(quote["price"]) * Decimal("0.00000001")
        else:
            assert quote["quantity"] == quantity
    if side == "two_way":
        assert Decimal(side_of(rfq, "sell")["price"]) < Decimal(side_of(rfq, "buy")["price"])
    found = desk.alpha.get(f"/v1/rfqs/{rfq['rfq_id']}").body
    assert {name: found[name] for name in RFQ} == {name: rfq[name] for name in RFQ}


def test_the_same_client_rfq_id_is_the_first_answer_again_whatever_became_of_it(auditor: Outsider) -> None:
    mine = auditor.new_id("c")
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: auditor.ask(client_rfq_id=mine, ttl_ms=1500), range(12)))
    first = quoted(answers[0])
    assert all(answer.status == 201 and answer.body == first for answer in answers)
    assert auditor.ask(client_rfq_id=mine, ttl_ms=1500).body == first
    traded(auditor.accept(first["quotes"][0]["quote_id"]))
    assert auditor.ask(client_rfq_id=mine, ttl_ms=1500).body == first
    assert [item["rfq_id"] for item in auditor.get(f"/v1/rfqs?client_rfq_id={mine}").body["items"]] == [first["rfq_id"]]
    assert auditor.get(f"/v1/rfqs/{first['rfq_id']}").body["state"] == "filled"


def test_another_client_may_use_the_same_client_rfq_id(desk: Desk) -> None:
    mine = desk.alpha.new_id("c")
    assert quoted(desk.alpha.ask(client_rfq_id=mine))["rfq_id"] != quoted(desk.beta.ask(client_rfq_id=mine))["rfq_id"]


def test_requests_are_listed_newest_first_in_pages_and_by_state(desk: Desk) -> None:
    lister = desk.new_key("lister")
    asked = [quoted(lister.ask("buy", ttl_ms=60_000))["rfq_id"] for _ in range(5)]
    assert lister.delete(f"/v1/rfqs/{asked[1]}").status == 200
    seen: list[str] = []
    cursor = ""
    while True:
        page = lister.get(f"/v1/rfqs?limit=2{cursor}")
        assert page.status == 200 and set(page.body) == {"items", "next_cursor"} and len(page.body["items"]) <= 2
        check(page.body["items"], [RFQ])
        seen += [item["rfq_id"] for item in page.body["items"]]
        if page.body["next_cursor"] is None:
            break
        cursor = f"&cursor={page.body['next_cursor']}"
    assert seen == asked[::-1]
    for state, expected in (("quoted", {*asked} - {asked[1]}), ("cancelled", {asked[1]}), ("filled", set())):
        listed = lister.get(f"/v1/rfqs?state={state}&limit=10").body
        assert ({item["rfq_id"] for item in listed["items"]}, listed["next_cursor"]) == (expected, None)
        assert all(item["state"] == state for item in listed["items"])
    assert lister.get("/v1/rfqs?client_rfq_id=never-sent").body == {"items": [], "next_cursor": None}
    for query in (
        "state=open",
        "limit=0",
        "limit=501",
        "limit=x",
        "cursor=%00",
        "cursor=AAAA",
        "colour=red",
        "limit=1&limit=2",
    ):
        refused(lister.get(f"/v1/rfqs?{query}"), 422)


def test_a_cancelled_request_cannot_be_traded(desk: Desk) -> None:
    rfq = quoted(desk.alpha.ask(ttl_ms=5000))
    cancelled = desk.alpha.delete(f"/v1/rfqs/{rfq['rfq_id']}")
    assert (cancelled.status, cancelled.body["state"]) == (200, "cancelled")
    assert desk.alpha.delete(f"/v1/rfqs/{rfq['rfq_id']}").body["state"] == "cancelled"
    refused(desk.alpha.accept(rfq["quotes"][0]["quote_id"]), 409, "rejected", "quote_cancelled")
    filled = quoted(desk.alpha.ask())
    traded(desk.alpha.accept(filled["quotes"][0]["quote_id"]))
    refused(desk.alpha.delete(f"/v1/rfqs/{filled['rfq_id']}"), 409, "rejected")


def test_what_belongs_to_another_client_is_404(desk: Desk, auditor: Outsider) -> None:
    rfq = quoted(desk.alpha.ask(ttl_ms=4000))
    quote_id = rfq["quotes"][0]["quote_id"]
    refused(auditor.get(f"/v1/rfqs/{rfq['rfq_id']}"), 404)
    refused(auditor.delete(f"/v1/rfqs/{rfq['rfq_id']}"), 404)
    refused(auditor.accept(quote_id), 404)
    trade = traded(desk.alpha.accept(quote_id))
    refused(auditor.accept(quote_id), 404)  # taken or not: to others it is not there
    refused(auditor.accept(rfq["quotes"][1]["quote_id"]), 404)
    refused(auditor.get(f"/v1/trades/{trade['trade_id']}"), 404)
    assert auditor.get(f"/v1/trades?client_order_id={trade['client_order_id']}").body["items"] == []
    for path in ("/v1/rfqs/nothing", "/v1/trades/nothing", "/v1/rfqs/%2e%2e", "/v1/trades/" + "x" * 500):
        refused(auditor.get(path), 404)
    refused(auditor.accept("nothing"), 404)


# ---- 3.2 trading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_an_accept_is_a_trade_at_the_quoted_price_and_found_again(auditor: Outsider, side: str) -> None:
    rfq = quoted(auditor.ask(side, "0.015"))
    quote, order = rfq["quotes"][0], auditor.new_id("o")
    trade = traded(auditor.accept(quote["quote_id"], client_order_id=order))
    for name in ("quote_id", "side", "price", "quantity", "amount"):
        assert trade[name] == quote[name]
    assert (trade["rfq_id"], trade["client_order_id"]) == (rfq["rfq_id"], order)
    assert rfq["created_ns"] <= trade["traded_ns"] <= quote["valid_until_ns"]
    assert auditor.get(f"/v1/trades?client_order_id={order}").body == {"items": [trade], "next_cursor": None}
    assert auditor.get(f"/v1/trades/{trade['trade_id']}").body == trade
    assert trade in auditor.get("/v1/trades?limit=500").body["items"]
    assert auditor.accept(quote["quote_id"], client_order_id=order).body == trade
    assert auditor.accept("another-quote", client_order_id=order).body == trade
    refused(auditor.accept(quote["quote_id"]), 409, "rejected", "quote_already_accepted")
    assert auditor.get(f"/v1/rfqs/{rfq['rfq_id']}").body["state"] == "filled"


def test_many_accepts_at_once_make_one_trade(auditor: Outsider) -> None:
    rfq = quoted(auditor.ask("two_way", ttl_ms=8000))
    sides = [quote["quote_id"] for quote in rfq["quotes"]]
    orders = [auditor.new_id("o") for _ in range(6)]
    calls = [(sides[n % 2], orders[n % 6]) for n in range(24)]  # both sides, each order id four times
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda call: auditor.accept(call[0], client_order_id=call[1]), calls))
    won = [traded(answer) for answer in answers if answer.status == 200]
    assert len({trade["trade_id"] for trade in won}) == 1
    assert len(won) == 4  # the same order id is told the same trade, every time
    for answer in answers:
        if answer.status != 200:
            refused(answer, 409, "rejected", "quote_already_accepted")
    listed = auditor.get("/v1/trades?limit=500").body["items"]
    assert sum(trade["rfq_id"] == rfq["rfq_id"] for trade in listed) == 1


def test_one_side_taken_voids_the_other(auditor: Outsider) -> None:
    rfq = quoted(auditor.ask("two_way"))
    traded(auditor.accept(side_of(rfq, "sell")["quote_id"]))
    refused(auditor.accept(side_of(rfq, "buy")["quote_id"]), 409, "rejected")


def test_less_than_quoted_is_a_partial_and_more_is_refused(auditor: Outsider) -> None:
    rfq = quoted(auditor.ask("buy", "0.03", ttl_ms=8000))
    quote_id = rfq["quotes"][0]["quote_id"]
    for wrong in ("0.03000001", "0", "-0.01", "NaN", "1e-2", "0.000000001"):
        refused(auditor.accept(quote_id, quantity=wrong), 422, "rejected" if wrong == "0.03000001" else "invalid")
    for wrong in (0.01, None, [], True):
        body = json.dumps({"client_order_id": auditor.new_id("o"), "quantity": wrong}).encode()
        if wrong is not None:
            refused(auditor.post(f"/v1/quotes/{quote_id}/accept", body), 422)
    for body in NOT_JSON.values():
        refused(auditor.post(f"/v1/quotes/{quote_id}/accept", body), 400)
    refused(auditor.post(f"/v1/quotes/{quote_id}/accept", {}), 422)
    refused(auditor.accept(quote_id, price="1"), 422, code="unknown_field")
    trade = traded(auditor.accept(quote_id, quantity="0.01234567"))
    assert (trade["quantity"], trade["price"]) == ("0.01234567", rfq["quotes"][0]["price"])


def test_after_its_deadline_a_quote_is_expired(auditor: Outsider) -> None:
    rfq = quoted(auditor.ask("sell", ttl_ms=1))
    eventually(lambda: time.time_ns() > rfq["quotes"][0]["valid_until_ns"])
    refused(auditor.accept(rfq["quotes"][0]["quote_id"]), 409, "rejected", "quote_expired")
    eventually(lambda: auditor.get(f"/v1/rfqs/{rfq['rfq_id']}").body["state"] == "expired")
    refused(auditor.accept(rfq["quotes"][0]["quote_id"]), 409, "rejected", "quote_expired")


# ---- 3.1 signatures ----------------------------------------------------------------------------------------------------


def test_the_contracts_vectors() -> None:
    vector = ("s3cr3t", "1700000000000", "n-1")
    rest = sign(*vector, "POST", "/v1/rfqs?x=1", b'{"a":1}')
    assert rest == "6488ae2ca03b0da1b222ef9b6a703eeaf8b7fd7c106d73b958b1f99bc69c117f"
    assert sign(*vector, "WS", "/v1/ws") == "d14186a41a2e023919c12401485c976f99aa6deb31ba6c2552adb0b9f63cc166"


def test_whatever_is_changed_after_signing_is_refused(desk: Desk) -> None:
    me = desk.alpha
    path, body = "/v1/rfqs?limit=3", b""
    good = me.headers("GET", path)
    sent = [
        ("GET", "/v1/rfqs?limit=4", body, good),
        ("GET", "/v1/rfqs?limit=3&", body, good),
        ("GET", "/v1/rfqs", body, good),
        ("GET", "/v1/trades?limit=3", body, good),
        ("DELETE", "/v1/rfqs/3", body, me.headers("GET", "/v1/rfqs/3")),
        ("POST", "/v1/rfqs", GOOD_RFQ.replace(b"0.01", b"0.02"), me.headers("POST", "/v1/rfqs", GOOD_RFQ)),
        ("POST", "/v1/rfqs", GOOD_RFQ + b" ", me.headers("POST", "/v1/rfqs", GOOD_RFQ)),
        ("GET", path, body, {**good, "KERB-TIMESTAMP": str(int(good["KERB-TIMESTAMP"]) + 1)}),
        ("GET", path, body, {**good, "KERB-NONCE": "another"}),
        ("GET", path, body, {**good, "KERB-KEY": desk.beta.key}),
        ("GET", path, body, {**good, "KERB-KEY": "K0"}),
        ("GET", path, body, {**good, "KERB-KEY": good["KERB-KEY"].lower()}),
        ("GET", path, body, {**good, "KERB-SIGN": good["KERB-SIGN"].upper()}),
        ("GET", path, body, {**good, "KERB-SIGN": good["KERB-SIGN"][:-1]}),
        ("GET", path, body, {**good, "KERB-SIGN": "é" * 64}),
        ("GET", path, body, me.headers("GET", path, secret=me.secret + " ")),
        ("GET", path, body, me.headers("GET", path, nonce="x" * 65)),
        ("GET", path, body, me.headers("GET", path, timestamp="now")),
        ("GET", path, body, me.headers("GET", path, timestamp="-1")),
        ("GET", path, body, me.headers("GET", path, timestamp=f"{time.time():.3f}")),
        *(("GET", path, body, {name: value for name, value in good.items() if name != left}) for left in good),
        ("GET", path, body, {}),
    ]
    for method, target, raw, headers in sent:
        refused(send(desk.url, method, target, raw, headers), 401)
    assert send(desk.url, "GET", path, b"", good).status == 200  # none of the refusals used the nonce up


def test_a_request_is_taken_once_and_only_inside_the_window(desk: Desk) -> None:
    me, path = desk.alpha, "/v1/trades?limit=1"
    headers = me.headers("GET", path, nonce=secrets.token_hex(32))
    assert send(desk.url, "GET", path, b"", headers).status == 200
    refused(send(desk.url, "GET", path, b"", headers), 401, code="nonce_reused")
    reused = me.headers("GET", "/v1/time", nonce=headers["KERB-NONCE"])
    refused(send(desk.url, "GET", "/v1/time", b"", reused), 401, code="nonce_reused")
    other = desk.beta.headers("GET", path, nonce=headers["KERB-NONCE"])
    assert send(desk.url, "GET", path, b"", other).status == 200
    for offset_ms in (-6000, 6000, -3_600_000):
        moved = me.headers("GET", path, timestamp=str(time.time_ns() // 1_000_000 + offset_ms))
        error = refused(send(desk.url, "GET", path, b"", moved), 401)
        assert abs(error["details"]["server_time_ms"] - time.time() * 1000) < 2000
    for offset_ms in (-4000, 4000):
        moved = me.headers("GET", path, timestamp=str(time.time_ns() // 1_000_000 + offset_ms))
        assert send(desk.url, "GET", path, b"", moved).status == 200


def test_a_replay_of_an_accept_trades_nothing(auditor: Outsider) -> None:
    rfq = quoted(auditor.ask("buy", ttl_ms=5000))
    path = f"/v1/quotes/{rfq['quotes'][0]['quote_id']}/accept"
    body = json.dumps({"client_order_id": auditor.new_id("o")}).encode()
    headers = auditor.headers("POST", path, body)
    trade = traded(send(auditor.url, "POST", path, body, headers))
    refused(send(auditor.url, "POST", path, body, headers), 401, code="nonce_reused")
    assert auditor.post(path, body).body == trade


def test_a_revoked_key_stops_within_a_second_and_an_unknown_one_never_worked(desk: Desk) -> None:
    doomed = desk.new_key("doomed")
    assert json.loads(desk.keys("revoke", doomed.key)) == {"key": doomed.key, "active": False}
    eventually(lambda: doomed.get("/v1/time").status == 401, within_s=3)
    refused(doomed.ask(), 401, code="key_revoked")
    refused(Outsider(desk.url, "KFFFFFFFFFFFFFFF", doomed.secret).ask(), 401)


def test_scopes_and_entitlements_are_kept(desk: Desk, auditor: Outsider) -> None:
    reader = desk.new_key("reader", "--scopes", "read", "--instruments", "ETH/USDT")
    quoter = desk.new_key("quoter", "--scopes", "quote", "--instruments", "ETH/USDT")
    assert reader.get("/v1/rfqs").status == 200
    refused(reader.ask(), 403)
    refused(reader.accept("any"), 403)
    refused(reader.delete("/v1/rfqs/any"), 403)
    refused(quoter.ask(), 403, code="not_entitled")
    assert [item["symbol"] for item in quoter.get("/v1/instruments").body["items"]] == ["ETH/USDT"]
    rfq = quoted(quoter.ask(instrument="ETH/USDT"))
    refused(quoter.accept(rfq["quotes"][0]["quote_id"]), 403)
    for method, path in (("GET", "state"), ("POST", "halt"), ("POST", "resume")):
        body = b'{"confirm":"HALT"}' if method == "POST" else None
        refused(auditor.call(method, f"/v1/desk/{path}", body), 403)
    assert auditor.ask().status == 201  # and nothing was halted


# ---- 3.4 errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", NOT_JSON.values(), ids=NOT_JSON)
def test_a_body_that_is_not_json_is_400(auditor: Outsider, raw: bytes) -> None:
    refused(auditor.post("/v1/rfqs", raw), 400)


@pytest.mark.parametrize("raw", NOT_A_REQUEST.values(), ids=NOT_A_REQUEST)
def test_json_that_is_not_a_request_is_422(auditor: Outsider, raw: bytes) -> None:
    answer = auditor.post("/v1/rfqs", raw)
    size = answer.body["error"]["code"] == "limit_exceeded"  # well-formed, and the desk says no
    refused(answer, 422, "rejected" if size else "invalid")


def test_sizes_media_types_methods_and_routes(desk: Desk, auditor: Outsider) -> None:
    refused(auditor.post("/v1/rfqs", GOOD_RFQ + b" " * 100_000), 413)
    for content_type in ("text/plain", "application/xml", "application/msgpack", "multipart/form-data; boundary=x"):
        refused(auditor.call("POST", "/v1/rfqs", GOOD_RFQ, content_type=content_type), 415)
    refused(
        send(
            desk.url,
            "POST",
            "/v1/rfqs",
            GOOD_RFQ,
            {**auditor.headers("POST", "/v1/rfqs", GOOD_RFQ), "Content-Encoding": "gzip"},
        ),
        415,
    )
    for method, path in (
        ("PUT", "/v1/rfqs"),
        ("PATCH", "/v1/rfqs"),
        ("DELETE", "/v1/trades"),
        ("GET", "/v1/quotes/x/accept"),
        ("POST", "/v1/desk/state"),
    ):
        refused(auditor.call(method, path), 405)
    for path in (
        "/",
        "/v2/rfqs",
        "/v1/rfqs/",
        "/v1/rfq",
        "/v1//rfqs",
        "/V1/rfqs",
        "/v1/rfqs/a/b",
        "/favicon.ico",
        "/v1/..%2f..%2fetc/passwd",
    ):
        refused(auditor.get(path), 404)
    refused(auditor.get("/v1/ws"), 426)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS on the plain port
        b"BREW /v1/rfqs HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/rfqs HTTP/9.9\r\n\r\n",
        b"POST /v1/rfqs HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"GET /v1/time HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 40_000 + b"\r\n\r\n",
        b"POST /v1/rfqs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["tls", "method", "version", "length", "header", "chunk"],
)
def test_what_is_not_http_gets_the_same_error_shape(desk: Desk, raw: bytes) -> None:
    host, port = desk.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as wire:
        wire.sendall(raw)
        wire.shutdown(socket.SHUT_WR)
        heard = b"".join(iter(lambda: wire.recv(65_536), b""))
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")), head
    check(json.loads(body)["error"], ERROR)
    assert json.loads(body)["error"]["kind"] == "invalid"


def test_too_many_requests_are_told_when_to_come_back(desk: Desk) -> None:
    slow = desk.new_key("slow", "--rate", "0.5", "--burst", "3")
    answers = [slow.get("/v1/time") for _ in range(5)]
    limited = next(answer for answer in answers if answer.status != 200)
    refused(limited, 429, "limited")
    assert 1 <= int(limited.headers["retry-after"]) <= 3


# ---- what is public, and the operator's view ----------------------------------------------------------------------------


def test_public_routes_need_no_key_and_the_documents_hold_together(desk: Desk) -> None:
    def public(path: str) -> Answer:
        return send(desk.url, "GET", path, b"", {})

    assert public("/healthz").body["status"] == "ok"
    assert public("/readyz").body["status"] == "ready"
    assert b"# TYPE kerb_api_requests_total counter" in public("/metrics").raw
    page = public("/docs")
    assert page.status == 200 and b"acceptQuote" in page.raw
    assert not any(word in page.raw for word in (b"http://", b"https://", b"<script", b"@import", b"url("))
    openapi, asyncapi = public("/openapi.json").body, public("/asyncapi.json").body
    assert (openapi["openapi"][:4], asyncapi["asyncapi"][:2]) == ("3.1.", "3.")
    for document in (openapi, asyncapi):
        for reference in _references(document):
            assert reference.startswith("#/")
            _at(document, reference)
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            assert operation["responses"] and operation["operationId"]
            if "/v1/" in path:
                target = path.replace("{", "").replace("}", "")
                refused(send(desk.url, method.upper(), target, b"", {}), 401)
    assert {"/v1/rfqs", "/v1/rfqs/{rfq_id}", "/v1/quotes/{quote_id}/accept", "/v1/trades", "/v1/desk/state"} <= set(
        openapi["paths"]
    )
    example = openapi["paths"]["/v1/rfqs"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    for case in example.values():
        quoted(
            desk.alpha.post(
                "/v1/rfqs",
                {**case["value"], "client_rfq_id": desk.alpha.new_id("c"), "quantity": "0.01", "currency": "BTC"},
            )
        )


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "$ref")
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _at(document: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document


def test_the_operators_state_has_the_imbalance_of_every_currency(desk: Desk, auditor: Outsider) -> None:
    traded(auditor.accept(quoted(auditor.ask("buy"))["quotes"][0]["quote_id"]))
    state = desk.operator.get("/v1/desk/state")
    assert state.status == 200
    imbalance = state.body["ledger"]["imbalance"]
    assert {"BTC", "USDT"} <= set(imbalance)
    assert set(imbalance.values()) == {"0"}
    check(list(state.body["inventory"].values()), [{"position": DECIMAL, "band": DECIMAL}])
    assert state.body["faults"] == 0


def test_the_capabilities_name_every_channel_of_every_venue(auditor: Outsider) -> None:
    venues = auditor.get("/v1/capabilities").body["venues"]
    assert {"BINANCE", "KRAKEN", "FALCONX"} <= set(venues)
    assert {mode for modes in venues.values() for mode in modes.values()} <= {
        "native",
        "derived",
        "polled",
        "unsupported",
    }
    assert venues["BINANCE"]["watch_order_book"] == "native"


def test_many_subscribers_are_one_stream_at_the_venue(desk: Desk, auditor: Outsider) -> None:
    ports = json.loads((desk.state / "venues" / "ports.json").read_text())

    def upstream() -> dict[str, tuple[int, int]]:
        told = {venue: send(f"http://127.0.0.1:{ports[venue]}", "GET", "/_control", b"", {}).body for venue in VENUES}
        return {venue: (one["peers"], one["subscriptions"]) for venue, one in told.items()}

    async def watch() -> None:
        for _ in range(3):
            async with auditor.socket() as ws:
                for venue in VENUES:
                    for channel in ("watch_order_book", "watch_trades", "watch_bids_asks", "watch_ticker"):
                        await ws.at_least(await ws.subscribe(channel, venue=venue, symbol="BTC/USDT"), 1)
                assert await asyncio.to_thread(upstream) == before

    before = upstream()
    assert all(peers >= 1 and subscriptions >= 6 for peers, subscriptions in before.values())
    asyncio.run(watch())
    assert upstream() == before


# ---- 4 the WebSocket: each check is a coroutine in stream_checks -------------------------------------------------------


@pytest.mark.parametrize("name", STREAM_CHECKS)
def test_stream(desk: Desk, auditor: Outsider, name: str) -> None:
    run(STREAM_CHECKS[name], desk.operator, auditor)


# ---- halt, resume, restart: last, since nothing is quoted meanwhile ------------------------------------------------------


def test_a_halt_withdraws_refuses_survives_a_restart_and_ends(desk: Desk, auditor: Outsider) -> None:
    rfq = quoted(auditor.ask(ttl_ms=60_000))
    refused(desk.operator.post("/v1/desk/halt", {"confirm": "halt"}), 422)
    halted = desk.operator.post("/v1/desk/halt", {"confirm": "HALT", "reason": "audit"})
    assert (halted.status, halted.body["trading"]) == (200, "halted")
    assert auditor.get(f"/v1/rfqs/{rfq['rfq_id']}").body["state"] == "withdrawn"
    refused(auditor.accept(rfq["quotes"][0]["quote_id"]), 409, "rejected")
    refused(auditor.ask(), 409, "rejected")
    refused(send(desk.url, "GET", "/readyz", b"", {}), 503, "failed")
    replayed = auditor.headers("GET", "/v1/time")
    assert send(desk.url, "GET", "/v1/time", b"", replayed).status == 200

    desk.stop()
    desk.start()
    for client in (desk.alpha, desk.beta, desk.operator, auditor):
        client.url = desk.url
    refused(send(desk.url, "GET", "/v1/time", b"", replayed), 401)
    assert desk.operator.get("/v1/desk/state").body["trading"] == "halted"
    refused(auditor.ask(), 409, "rejected")
    refused(auditor.accept(rfq["quotes"][0]["quote_id"]), 409, "rejected")
    first = auditor.ask(client_rfq_id=rfq["client_rfq_id"])
    assert (first.status, first.body) == (201, rfq)  # the first answer again, after a restart too
    resumed = desk.operator.post("/v1/desk/resume", {"confirm": "RESUME"})
    assert (resumed.status, resumed.body["trading"]) == (200, "active")
    trade = traded(auditor.accept(quoted(auditor.ask("buy"))["quotes"][0]["quote_id"]))
    assert auditor.get(f"/v1/trades/{trade['trade_id']}").body == trade
    desk.stop()
