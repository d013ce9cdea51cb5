"""FalconX messages: the documented samples, both spellings of prices and errors, and what must be refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any

import pytest

from adapters.falconx.auth import Signer
from adapters.falconx.codec import (
    CodecFault,
    VenueError,
    decode_balances,
    decode_error,
    decode_quote,
    decode_stream,
    encode_rfq,
    encode_subscribe,
    parse_time,
)
from adapters.falconx.config import FalconXConfig

SAMPLE: dict[str, Any] = {
    "status": "success",
    "fx_quote_id": "00c884b056f949338788dfb59e495377",
    "buy_price": 12650,
    "sell_price": None,
    "platform": "api",
    "token_pair": {"base_token": "BTC", "quote_token": "USD"},
    "quantity_requested": {"token": "BTC", "value": "10"},
    "side_requested": "buy",
    "t_quote": "2019-06-27T11:59:21.875725+00:00",
    "t_expiry": "2019-06-27T11:59:22.875725+00:00",
    "is_filled": False,
    "side_executed": None,
    "price_executed": None,
    "t_execute": None,
    "trader_email": "trader@example.com",
    "error": None,
    "warnings": [],
    "client_order_id": "d6f3e1fa-e148-4009-9c07-a87f9ae78d1a",
}


def quote(**changes: Any) -> Any:
    return decode_quote(json.dumps(SAMPLE | changes).encode())


def test_the_documented_quote_sample_is_read() -> None:
    held = quote()
    assert (held.fx_quote_id, held.symbol) == ("00c884b056f949338788dfb59e495377", "BTC/USD")
    assert held.price("buy") == Decimal(12650)
    assert held.price("sell") is None
    assert held.t_expiry_ns - held.t_quote_ns == 1_000_000_000
    assert held.t_quote_ns == 1_561_636_761_875_725_000
    assert not held.is_filled


def test_usd_is_not_usdt() -> None:
    assert quote().symbol != "BTC/USDT"
    assert quote(token_pair={"base_token": "BTC", "quote_token": "USDT"}).symbol == "BTC/USDT"


@pytest.mark.parametrize("price", ['"12650.10"', "12650.10", "1.26501e4"])
def test_prices_come_as_numbers_or_as_text_and_stay_exact(price: str) -> None:
    body = json.dumps(SAMPLE).replace('"buy_price": 12650', f'"buy_price": {price}')
    assert decode_quote(body.encode()).buy_price == Decimal("12650.1")


def test_no_float_comes_between_the_wire_and_the_decimal() -> None:
    body = json.dumps(SAMPLE).replace('"buy_price": 12650', '"buy_price": 0.12345678901234567890123')
    assert decode_quote(body.encode()).buy_price == Decimal("0.12345678901234567890123")


@pytest.mark.parametrize(
    "broken",
    [
        {"fx_quote_id": ""},
        {"t_expiry": "soon"},
        {"t_expiry": "2019-06-27T11:59:22.875725"},  # no offset: whose clock?
        {"buy_price": "NaN"},
        {"buy_price": -1},
        {"buy_price": 0},
        {"buy_price": "Infinity"},
        {"quantity_requested": {"token": "BTC", "value": "0"}},
        {"token_pair": None},
        {"is_filled": True},  # filled without side and price
        {"is_filled": None},
    ],
    ids=str,
)
def test_a_quote_that_cannot_be_trusted_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(CodecFault):
        quote(**broken)


@pytest.mark.parametrize("missing", ["fx_quote_id", "t_expiry", "token_pair", "quantity_requested", "is_filled"])
def test_a_quote_without_its_essentials_is_refused(missing: str) -> None:
    body = {name: value for name, value in SAMPLE.items() if name != missing}
    with pytest.raises(CodecFault):
        decode_quote(json.dumps(body).encode())


@pytest.mark.parametrize("body", [b"", b"Bad Gateway", b"[]", b"null", b'{"status":"success"'])
def test_what_is_no_quote_is_refused(body: bytes) -> None:
    with pytest.raises(CodecFault):
        decode_quote(body)


@pytest.mark.parametrize(
    ("body", "code", "reason"),
    [
        ({"code": "QUOTE_EXPIRED", "reason": "too late"}, "QUOTE_EXPIRED", "too late"),
        ({"error_code": "E1", "message": "no"}, "E1", "no"),
        ({"error": {"code": "E2", "reason": "nested"}}, "E2", "nested"),
        ({"errors": [{"code": "E3", "message": "first of many"}, {"code": "E4"}]}, "E3", "first of many"),
        ({"status": "failure", "message": "no code at all"}, "error", "no code at all"),
        ({"success": False}, "error", "success is false"),
        ({"error": "plain words"}, "error", "plain words"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_every_spelling_of_an_error_is_understood(body: dict[str, Any], code: str, reason: str) -> None:
    assert decode_error(json.dumps(body).encode()) == VenueError(code, reason)


@pytest.mark.parametrize("body", [b"{}", b"not json", b'{"error":null}', b'{"status":"success","message":"fine"}'])
def test_no_error_is_seen_where_none_is(body: bytes) -> None:
    assert decode_error(body) is None


def item(**changes: Any) -> dict[str, Any]:
    fields = {
        "base_token": "ETH",
        "quote_token": "USDT",
        "quantity_token": "ETH",
        "quantity": 0.1,
        "buy_price": "3000.5",
        "sell_price": 2999.5,
        "t_create": 1700000000000,
    }
    return fields | changes


def test_a_stream_body_is_an_array_with_one_item_a_level() -> None:
    rungs = decode_stream([item(), item(quantity=1, buy_price=3001, sell_price="2999")])
    assert [(rung.symbol, rung.quantity, rung.bid, rung.ask) for rung in rungs] == [
        ("ETH/USDT", Decimal("0.1"), Decimal("2999.5"), Decimal("3000.5")),
        ("ETH/USDT", Decimal(1), Decimal(2999), Decimal(3001)),
    ]


def test_one_sided_and_crossed_rungs_are_left_out() -> None:
    assert decode_stream([item(buy_price=None), item(sell_price=3000.5), item(sell_price=3001)]) == []


@pytest.mark.parametrize("broken", [item(quantity=0), item(buy_price="NaN"), item(quantity_token="USDT"), {"a": 1}, 7])
def test_a_malformed_stream_body_raises(broken: Any) -> None:
    with pytest.raises(CodecFault):
        decode_stream([broken])


def test_requests_have_the_documented_shape() -> None:
    assert json.loads(encode_rfq("BTC/USDT", "two_way", Decimal("1E-7"), "r-1")) == {
        "token_pair": {"base_token": "BTC", "quote_token": "USDT"},
        "quantity": {"token": "BTC", "value": "0.0000001"},
        "side": "two_way",
        "client_order_id": "r-1",
    }
    frame = encode_subscribe("ETH/USDT", (Decimal("0.1"), Decimal(1)), "s")
    assert frame["quantity"] == {"token": "ETH", "levels": [Decimal("0.1"), Decimal(1)]}


def test_balances_are_summed_over_platforms_and_may_be_negative() -> None:
    body = b'[{"token":"BTC","balance":1.5,"platform":"api"},{"token":"BTC","balance":"-2","platform":"browser"}]'
    assert decode_balances(body) == {"BTC": Decimal("-0.5")}


def test_time_is_exact_to_the_microsecond() -> None:
    assert parse_time("1970-01-01T00:00:00.000001+00:00") == 1_000
    assert parse_time("2026-11-21T01:00:00.5+01:00") == parse_time("2026-11-21T00:00:00.5Z")


def test_the_signature_is_the_documented_one() -> None:
    secret = base64.b64encode(b"a secret of bytes").decode()
    signer = Signer("key", secret, "phrase")
    headers = signer.headers("POST", "/v1/quotes?a=1", b'{"b":2}', 1_700_000_000_123_456_789)
    text = '1700000000.123POST/v1/quotes?a=1{"b":2}'
    expected = base64.b64encode(hmac.new(b"a secret of bytes", text.encode(), hashlib.sha256).digest()).decode()
    assert headers["FX-ACCESS-SIGN"] == expected
    assert headers["FX-ACCESS-TIMESTAMP"] == "1700000000.123"
    frame = signer.auth_frame("/price.tickers", "1", 1_700_000_000_123_456_789)
    text = "1700000000GET/price.tickers"
    assert (
        frame["signature"]
        == base64.b64encode(hmac.new(b"a secret of bytes", text.encode(), "sha256").digest()).decode()
    )
    assert frame["timestamp"] == 1_700_000_000


def test_a_secret_that_is_not_base64_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="base64"):
        Signer("key", "not base64!", "phrase")


def test_the_config_does_not_print_its_secret() -> None:
    config = FalconXConfig(
        rest_url="http://h", ws_url="ws://h/p", api_key="K", secret="S3CR3T", passphrase="P4SS", symbols=("BTC/USDT",)
    )
    assert "S3CR3T" not in repr(config)
    assert "P4SS" not in repr(config)
    with pytest.raises(ValueError, match="spot"):
        FalconXConfig(rest_url="", ws_url="", api_key="", secret="", passphrase="", symbols=("BTC/USDT:USDT",))


def test_the_stream_path_is_filled_in_because_it_is_signed() -> None:
    for given in ("ws://h:1", "ws://h:1/", "ws://h:1/price.tickers"):
        config = FalconXConfig(rest_url="", ws_url=given, api_key="", secret="", passphrase="", symbols=())
        assert config.stream_url == "ws://h:1/price.tickers"
