"""Orders over REST and WebSocket: place, follow, amend, pause, cancel; one order a client id, nobody else's in sight."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.api.fake_desk import SYMBOL
from tests.api.house import House, fault_of

ORDER = {
    "client_order_id": "w-1",
    "instrument": SYMBOL,
    "side": "buy",
    "type": "twap",
    "quantity": "2",
    "duration_ms": 5000,
}


def test_an_order_lives_through_its_commands(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            alice, bob = house.wire(), house.wire("bob")
            status, order, _ = await alice.call("POST", "/v1/orders", ORDER)
            assert status == 201
            assert (order["state"], order["filled"], order["average_price"]) == ("working", "0", None)
            assert (order["type"], order["capacity"], order["commission"]) == ("twap", "agency", "0")
            assert (await alice.call("POST", "/v1/orders", ORDER))[1]["order_id"] == order["order_id"]
            path = f"/v1/orders/{order['order_id']}"
            assert (await alice.call("GET", path))[1] == order
            assert (await alice.call("POST", f"{path}/pause", None))[1]["state"] == "paused"
            assert (await alice.call("POST", f"{path}/resume", None))[1]["state"] == "working"
            assert (await alice.call("POST", f"{path}/amend", {"quantity": "1"}))[1]["quantity"] == "1"
            assert (await alice.call("GET", "/v1/orders?state=working"))[1]["items"][0]["order_id"] == order["order_id"]
            for method, where in (("GET", path), ("DELETE", path)):
                status, answer, _ = await bob.call(method, where)
                assert status == 404, answer
            assert (await bob.call("GET", "/v1/orders"))[1]["items"] == []
            assert (await alice.call("DELETE", path))[1]["state"] == "cancelled"
            status, answer, _ = await alice.call("DELETE", path)
            assert (status, answer["error"]["code"]) == (409, "order_not_open")

    asyncio.run(run())


def test_a_malformed_order_is_told_by_field(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            wire = house.wire()
            for change in (
                {"type": "fastest"},
                {"quantity": 2},
                {"quantity": "-1"},
                {"quantity": "NaN"},
                {"side": "two_way"},
                {"duration_ms": 0},
                {"colour": "red"},
                {"time_in_force": "day"},
                {"client_order_id": ""},
            ):
                status, answer, _ = await wire.call("POST", "/v1/orders", {**ORDER, **change})
                assert status in (400, 422), (change, answer)
                assert answer["error"]["kind"] == "invalid"
            assert not house.orders.by_id

    asyncio.run(run())


def test_orders_over_the_socket_are_the_same_orders(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            async with house.wire().socket() as socket:
                opened = await socket.ask({"op": "subscribe", "id": "s", "channel": "orders"})
                assert opened["ok"] is True
                placed = await socket.ask({"op": "order", "id": "o", **ORDER})
                assert placed["data"]["client_order_id"] == "w-1"
                wrong = await socket.ask({"op": "order", "id": "x", "client_order_id": "w-2"})
                assert fault_of(wrong)[0] == "invalid"
            assert (await house.wire().call("GET", "/v1/orders?client_order_id=w-1"))[1]["items"][0] == placed["data"]

    asyncio.run(run())
