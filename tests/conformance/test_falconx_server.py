"""The FalconX loopback server, spoken to by a client that shares no code with the adapter."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from tests.conformance.falconx_venue import Venue, venue

PAIR = {"base_token": "BTC", "quote_token": "USDT"}


class Wire:
    """Signs by the venue's documentation and reads JSON numbers exactly."""

    def __init__(self, live: Venue, http: aiohttp.ClientSession) -> None:
        self.live, self.http, self.held = live, http, live.server.credentials

    def sign(self, text: str) -> str:
        digest = hmac.new(base64.b64decode(self.held.secret), text.encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode()

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        text = "" if body is None else json.dumps(body)
        timestamp = str(time.time())
        headers = {
            "FX-ACCESS-KEY": self.held.key,
            "FX-ACCESS-SIGN": self.sign(timestamp + method + path + text),
            "FX-ACCESS-TIMESTAMP": timestamp,
            "FX-ACCESS-PASSPHRASE": self.held.passphrase,
            "Content-Type": "application/json",
        }
        async with self.http.request(method, self.live.rest + path, data=text or None, headers=headers) as answer:
            return answer.status, json.loads(await answer.text(), parse_float=Decimal, parse_int=Decimal)

    async def quote(self, side: str = "buy", token: str = "BTC", value: str = "1") -> Any:
        body = {
            "token_pair": PAIR,
            "quantity": {"token": token, "value": value},
            "side": side,
            "client_order_id": "c-1",
        }
        status, answer = await self.call("POST", "/v1/quotes", body)
        assert status == 200, answer
        return answer

    async def order(self, version: str, **terms: Any) -> tuple[int, Any]:
        return await self.call("POST", f"/{version}/order", {"token_pair": PAIR, "side": "buy"} | terms)


def play(scene: Any, **params: Any) -> None:
    async def run() -> None:
        async with venue(**params) as live, aiohttp.ClientSession() as http:
            await scene(live, Wire(live, http))

    asyncio.run(run())


def test_a_quote_object_has_the_documented_fields_before_and_after_execution() -> None:
    async def scene(live: Venue, wire: Wire) -> None:
        quote = await wire.quote("two-way")
        assert set(quote) == {
            *("status", "fx_quote_id", "buy_price", "sell_price", "platform", "token_pair", "quantity_requested"),
            *("side_requested", "t_quote", "t_expiry", "is_filled", "side_executed", "price_executed", "t_execute"),
            *("trader_email", "error", "warnings", "client_order_id"),
        }
        assert quote["side_requested"] == "two_way"
        assert quote["t_quote"].endswith("+00:00")
        assert len(quote["fx_quote_id"]) == 32
        status, filled = await wire.call(
            "POST", "/v1/quotes/execute", {"fx_quote_id": quote["fx_quote_id"], "side": "sell"}
        )
        assert status == 200
        assert filled["is_filled"] is True
        assert filled["price_executed"] == quote["sell_price"]
        assert filled["position_in"] == {"token": "USDT", "value": str(quote["sell_price"])}
        assert filled["position_out"] == {"token": "BTC", "value": "1"}
        other = await wire.call("POST", "/v1/quotes/execute", {"fx_quote_id": quote["fx_quote_id"], "side": "buy"})
        assert other[0] == 400
        assert len(live.server.account.filled) == 1

    play(scene)


def test_concurrent_executes_of_one_quote_fill_once() -> None:
    async def scene(live: Venue, wire: Wire) -> None:
        quote = await wire.quote("buy")
        body = {"fx_quote_id": quote["fx_quote_id"], "side": "buy"}
        answers = await asyncio.gather(*(wire.call("POST", "/v1/quotes/execute", body) for _ in range(8)))
        assert all(status == 200 and answer == answers[0][1] for status, answer in answers)
        assert live.server.account.balances["BTC"] == 1

    play(scene, hold_ns=(20_000_000, 20_000_000))


def test_a_quote_may_be_sized_in_quote_currency() -> None:
    async def scene(live: Venue, wire: Wire) -> None:
        quote = await wire.quote("buy", "USDT", "60000")
        assert quote["quantity_requested"] == {"token": "USDT", "value": "60000"}
        await wire.call("POST", "/v1/quotes/execute", {"fx_quote_id": quote["fx_quote_id"], "side": "buy"})
        assert live.server.account.balances["BTC"] == 1

    play(scene)


def test_size_costs_money() -> None:
    async def scene(live: Venue, wire: Wire) -> None:
        small, large = await wire.quote("buy", value="0.1"), await wire.quote("buy", value="22")
        assert large["buy_price"] > small["buy_price"] > live.mids["BTC/USDT"]
        assert large["warnings"][0]["side"] == "buy"
        assert small["warnings"] == []

    play(scene, lean_bps=0.0)


@pytest.mark.parametrize(("version", "value"), [("v1", "0.5"), ("v3", 0.5)])
def test_market_and_limit_orders_fill_or_are_killed(version: str, value: Any) -> None:
    async def scene(live: Venue, wire: Wire) -> None:
        size = {"token": "BTC", "value": value}
        _, market = await wire.order(version, quantity=size, order_type="market")
        assert market["is_filled"] is True
        assert {"gross_fee_bps", "fee_usd", "order_type", "limit_price"} <= set(market)
        limit = {"quantity": size, "order_type": "limit", "time_in_force": "fok"}
        _, killed = await wire.order(version, **limit, limit_price=50_000)
        assert (killed["is_filled"], killed["status"]) == (False, "failure")
        _, filled = await wire.order(version, **limit, limit_price=61_000)
        assert filled["is_filled"] is True
        status, found = await wire.call("GET", f"/v1/orders/{filled['fx_quote_id']}")
        assert (status, found) == (200, filled)
        assert (await wire.order(version, quantity=size, order_type="limit"))[0] == 400
        _, listed = await wire.call("GET", "/v1/orders?limit=10")
        assert [order["fx_quote_id"] for order in listed] == [filled["fx_quote_id"], market["fx_quote_id"]]

    play(scene)


def test_the_account_says_what_it_holds_and_may_do() -> None:
    async def scene(live: Venue, wire: Wire) -> None:
        quote = await wire.quote("buy")
        await wire.call("POST", "/v1/quotes/execute", {"fx_quote_id": quote["fx_quote_id"], "side": "buy"})
        _, balances = await wire.call("GET", "/v1/balances?platform=api")
        assert {row["token"]: row["balance"] for row in balances} == {"BTC": 1, "USDT": -quote["buy_price"]}
        _, totals = await wire.call("GET", "/v1/balances/total")
        assert {row["token"] for row in totals} == {"BTC", "USDT"}
        _, limits = await wire.call("GET", "/v1/get_trade_limits/api")
        for side in limits.values():
            assert side["available"] + side["used"] == side["total"]
        assert limits["gross_limits"]["used"] == 60_000 + quote["buy_price"]
        assert (await wire.call("GET", "/v1/rate_limit"))[1].keys() == {"per_hour", "per_minute", "per_second"}
        _, sizes = await wire.call("GET", "/v1/trade_sizes")
        assert all(row["trade_size_limits_in_quote_token"]["min"] > 0 for row in sizes)
        _, history = await wire.call("GET", "/v1/quotes?t_start=2020-01-01T00:00:00%2B00:00&platform=api")
        assert [row["fx_quote_id"] for row in history] == [quote["fx_quote_id"]]

    play(scene)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/quotes", {"side": "buy"}, 400),
        ("POST", "/v1/quotes", {"token_pair": PAIR, "quantity": {"token": "BTC", "value": "-1"}, "side": "buy"}, 400),
        ("POST", "/v1/quotes", {"token_pair": PAIR, "quantity": {"token": "BTC", "value": "NaN"}, "side": "buy"}, 400),
        ("POST", "/v1/quotes", {"token_pair": PAIR, "quantity": {"token": "ETH", "value": "1"}, "side": "buy"}, 400),
        ("POST", "/v1/quotes", {"token_pair": PAIR, "quantity": {"token": "BTC", "value": "1"}, "side": "x"}, 400),
        ("POST", "/v1/quotes/execute", {"fx_quote_id": "0" * 32, "side": "buy"}, 404),
        ("GET", "/v1/quotes/" + "0" * 32, None, 404),
        ("GET", "/v1/nothing", None, 404),
        ("GET", "/v1/orders?limit=x", None, 400),
        ("DELETE", "/v1/quotes", None, 405),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_requests_are_answered_with_an_error_object(method: str, path: str, body: Any, status: int) -> None:
    async def scene(live: Venue, wire: Wire) -> None:
        answered, error = await wire.call(method, path, body)
        assert answered == status
        assert set(error) == {"code", "reason"}

    play(scene)


def test_the_price_socket_speaks_the_documented_frames() -> None:
    async def scene(live: Venue, wire: Wire) -> None:
        async with wire.http.ws_connect(live.ws) as socket:
            timestamp = int(time.time())
            auth = {"action": "auth", "api_key": wire.held.key, "passphrase": wire.held.passphrase, "request_id": "1"}
            sign = wire.sign(f"{timestamp}GET/price.tickers")
            await socket.send_json(auth | {"signature": sign, "timestamp": timestamp})
            answer = await socket.receive_json(timeout=2)
            assert (answer["event"], answer["status"], answer["request_id"]) == ("auth_response", "success", "1")
            assert set(answer["body"]) == {"message", "session_id"}
            await socket.send_json({"action": "data_request", "request_type": "max_levels", "request_id": "2"})
            assert (await socket.receive_json(timeout=2))["event"] == "data_response"
            wanted = {
                "action": "subscribe",
                "request_id": "3",
                **PAIR,
                "quantity": {"token": "BTC", "levels": [0.1, 1]},
            }
            await socket.send_json(wanted)
            answer = await socket.receive_json(timeout=2)
            assert (answer["event"], answer["status"]) == ("subscribe_response", "success")
            stream = await socket.receive_json(timeout=2)
            assert (stream["event"], stream["status"], stream["request_id"]) == ("stream", "success", "3")
            assert [item["quantity"] for item in stream["body"]] == [0.1, 1]
            for item in stream["body"]:
                assert item["sell_price"] < 60_000 < item["buy_price"]
                assert item["quantity_token"] == "BTC"
            for broken in ({"quote_token": "USD"}, {"quantity": {"token": "BTC", "levels": [-1]}}):
                await socket.send_json(wanted | broken)
                while (answer := await socket.receive_json(timeout=2))["event"] == "stream":
                    pass
                assert (answer["event"], answer["status"]) == ("subscribe_response", "error")

    play(scene, lean_bps=0.0)


@pytest.mark.parametrize(
    "change", [{"timestamp": 1_000_000_000}, {"signature": "AAAA"}, {"action": "subscribe"}], ids=str
)
def test_a_socket_that_does_not_authenticate_is_closed(change: dict[str, Any]) -> None:
    async def scene(live: Venue, wire: Wire) -> None:
        async with wire.http.ws_connect(live.ws) as socket:
            timestamp = int(time.time())
            frame = {
                "action": "auth",
                "api_key": wire.held.key,
                "passphrase": wire.held.passphrase,
                "signature": wire.sign(f"{timestamp}GET/price.tickers"),
                "timestamp": timestamp,
            }
            await socket.send_json(frame | change)
            answer = await socket.receive_json(timeout=2)
            assert (answer["event"], answer["status"]) == ("auth_response", "error")
            assert (await socket.receive(timeout=2)).type is aiohttp.WSMsgType.CLOSE

    play(scene)
