"""Amending, cancelling many, and the dead-man switch on the loopback exchanges, by signed requests without any client library."""

import asyncio
import time
from decimal import Decimal

import pytest

from tests.conformance.venue_probe import (
    binance,
    bybit,
    control,
    eventually,
    kraken,
    okx,
    okx_login,
    running,
)

SECOND_NS = 1_000_000_000


def run(venue, card):
    async def main() -> None:
        async with running(venue, symbols=("BTC/USDT",)) as (venues, session):
            await card(venues, session, venues.servers[venue].core)

    asyncio.run(main())


def test_binance_takes_a_quantity_down_in_place_and_nothing_else():
    async def card(venues, session, core):
        terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        placed = {"quantity": "1", "price": "30000", "newClientOrderId": "a-1"}
        await binance(venues, session, "POST", "/api/v3/order", **terms, **placed)
        path, named = "/api/v3/order/amend/keepPriority", {"symbol": "BTCUSDT", "origClientOrderId": "a-1"}
        status, said = await binance(venues, session, "PUT", path, **named, newClientOrderId="a-1", newQty="0.4")
        assert status == 200
        assert set(said) == {"transactTime", "executionId", "amendedOrder"}
        amended = said["amendedOrder"]
        assert (amended["clientOrderId"], amended["origClientOrderId"]) == ("a-1", "a-1")
        assert (amended["qty"], amended["executedQty"], amended["status"]) == ("0.40000000", "0.00000000", "NEW")
        for quantity, words in (("0.4", "quantity increase"), ("2", "quantity increase"), ("0", "below")):
            status, said = await binance(venues, session, "PUT", path, **named, newQty=quantity)
            assert (status, said["code"]) == (400, -2038)
            assert words in said["msg"]
        status, said = await binance(
            venues, session, "PUT", path, **named, newQty="0.3"
        )  # without a new id: a random one
        assert said["amendedOrder"]["clientOrderId"] != "a-1"
        status, said = await binance(venues, session, "GET", "/api/v3/order", **named)
        assert said["code"] == -2013
        status, said = await binance(venues, session, "DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
        assert [row["status"] for row in said] == ["CANCELED"]
        assert not core.resting

    run("BINANCE", card)


def test_kraken_amends_cancels_in_batches_and_counts_down_on_its_own_clock():
    async def card(venues, session, core):
        order = {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "volume": "1", "price": "30000"}
        await kraken(venues, session, "AddOrder", **order, cl_ord_id="k-1")
        said = await kraken(venues, session, "AmendOrder", cl_ord_id="k-1", order_qty="1.5", limit_price="30001")
        assert said["error"] == []
        assert said["result"]["amend_id"].startswith("T")
        row = (await kraken(venues, session, "OpenOrders"))["result"]["open"]
        (known,) = row.values()
        assert (Decimal(known["vol"]), Decimal(known["descr"]["price"])) == (Decimal("1.5"), Decimal(30001))
        said = await kraken(venues, session, "AmendOrder", cl_ord_id="nobody", order_qty="1")
        assert said["error"] == ["EOrder:Unknown order"]
        said = await kraken(venues, session, "CancelAllOrdersAfter", timeout=60)
        assert set(said["result"]) == {"currentTime", "triggerTime"}
        true_clock = core.clock_ns
        core.clock_ns = lambda: time.time_ns() + 61 * SECOND_NS
        await eventually(lambda: not core.resting)
        core.clock_ns = true_clock
        await kraken(venues, session, "AddOrder", **order, cl_ord_id="k-2")
        assert (await kraken(venues, session, "CancelAllOrdersAfter", timeout=0))["result"]["triggerTime"] == "0"
        assert (await kraken(venues, session, "CancelAll"))["result"] == {"count": 1}
        until = str(int(time.time()) + 1)
        gtd = {"timeinforce": "GTD", "expiretm": until}
        await kraken(venues, session, "AddOrder", **order, cl_ord_id="k-3", **gtd)
        await eventually(lambda: not core.resting)
        (closed, *_) = (await kraken(venues, session, "ClosedOrders", cl_ord_id="k-3"))["result"]["closed"].values()
        assert (closed["status"], closed["expiretm"]) == ("expired", float(until))
        past = {"timeinforce": "GTD", "expiretm": "1000000000"}
        said = await kraken(venues, session, "AddOrder", **order, **past)
        assert said["error"] == ["EGeneral:Invalid arguments:expiretm"]

    run("KRAKEN", card)


def test_a_kraken_amendment_to_what_has_filled_ends_the_order():
    async def card(venues, session, core):
        ask = core.books["BTC/USDT"].shown.asks.top(1)[0]
        instrument = core.instruments["BTC/USDT"]
        price, volume = str(instrument.price(ask[0])), str(instrument.size(ask[1]) * 2)
        order = {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "price": price}
        await kraken(venues, session, "AddOrder", **order, volume=volume, cl_ord_id="k-1")
        known = core.by_client["k-1"]
        assert known.filled
        await kraken(venues, session, "AmendOrder", cl_ord_id="k-1", order_qty="0.001")
        assert not known.open
        assert known.quantity == known.filled

    run("KRAKEN", card)


def test_okx_amends_by_the_sockets_number_of_a_market_and_counts_down():
    async def card(venues, session, core):
        order = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "1", "px": "30000"}
        await okx(venues, session, "POST", "/api/v5/trade/order", order | {"clOrdId": "o1"})
        change = {"instId": "BTC-USDT", "clOrdId": "o1", "newSz": "2", "newPx": "30001"}
        _, said = await okx(venues, session, "POST", "/api/v5/trade/amend-order", change)
        assert (said["code"], said["data"][0]["sCode"], said["data"][0]["clOrdId"]) == ("0", "0", "o1")
        _, listed = await okx(venues, session, "GET", "/api/v5/public/instruments", instType="SPOT")
        code = listed["data"][0]["instIdCode"]
        async with session.ws_connect(venues.urls["OKX"].ws + "/ws/v5/private") as socket:
            await socket.send_json(okx_login(venues))
            assert (await socket.receive_json())["code"] == "0"
            row = {"instIdCode": code, "clOrdId": "o1", "newSz": "3"}
            await socket.send_json({"id": "7", "op": "amend-order", "args": [row]})
            answer = await socket.receive_json()
            assert (answer["id"], answer["op"], answer["code"]) == ("7", "amend-order", "0")
        (known,) = core.resting.values()
        assert core.instruments["BTC/USDT"].size(known.quantity) == 3
        gone = {"instId": "BTC-USDT", "clOrdId": "nobody", "newSz": "2"}
        _, said = await okx(venues, session, "POST", "/api/v5/trade/amend-order", gone)
        assert (said["code"], said["data"][0]["sCode"]) == ("1", "51503")
        for seconds, code in (("9", "51000"), ("60", "0")):
            _, said = await okx(venues, session, "POST", "/api/v5/trade/cancel-all-after", {"timeOut": seconds})
            assert said["code"] == code
        core.clock_ns = lambda: time.time_ns() + 61 * SECOND_NS
        await eventually(lambda: not core.resting)
        del core.clock_ns
        core.clock_ns = time.time_ns
        _, said = await okx(venues, session, "GET", "/api/v5/trade/order", instId="BTC-USDT", clOrdId="o1")
        assert (said["data"][0]["state"], said["data"][0]["cancelSource"]) == ("canceled", "20")

    run("OKX", card)


def test_bybit_amends_cancels_in_batches_and_protects_a_lost_socket():
    async def card(venues, session, core):
        order = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "1", "price": "30000"}
        for n in range(3):
            await bybit(venues, session, "POST", "/v5/order/create", **order, orderLinkId=f"b-{n}")
        named = {"symbol": "BTCUSDT", "orderLinkId": "b-0"}
        said = await bybit(venues, session, "POST", "/v5/order/amend", **named, qty="2", price="30001")
        assert (said["retCode"], set(said["result"])) == (0, {"orderId", "orderLinkId"})
        rows = [{"symbol": "BTCUSDT", "orderLinkId": link} for link in ("b-1", "nobody")]
        said = await bybit(venues, session, "POST", "/v5/order/cancel-batch", request=rows)
        assert [row["code"] for row in said["retExtInfo"]["list"]] == [0, 170213]
        said = await bybit(venues, session, "POST", "/v5/order/cancel-all", symbol="BTCUSDT")
        assert {row["orderLinkId"] for row in said["result"]["list"]} == {"b-0", "b-2"}
        await bybit(venues, session, "POST", "/v5/order/create", **order, orderLinkId="b-9")
        path = "/v5/order/disconnected-cancel-all"
        assert (await bybit(venues, session, "POST", path, product="SPOT", timeWindow=2))["retCode"] == 10001
        assert (await bybit(venues, session, "POST", path, product="SPOT", timeWindow=3))["retCode"] == 0
        server = venues.servers["BYBIT"]
        async with session.ws_connect(venues.urls["BYBIT"].ws + "/v5/private") as socket:
            expires = str(int(time.time() * 1000) + 10_000)
            key = venues.credentials["BYBIT"]
            login = [key.key, expires, server._sign(f"GET/realtime{expires}")]
            await socket.send_json({"op": "auth", "args": login})
            assert (await socket.receive_json())["success"]
            await socket.send_json({"op": "subscribe", "args": ["dcp.spot"]})
            assert (await socket.receive_json())["success"]
        await eventually(lambda: not server.peers)
        assert core.resting  # not yet: three seconds
        core.clock_ns = lambda: time.time_ns() + 4 * SECOND_NS
        await eventually(lambda: not core.resting)
        core.clock_ns = time.time_ns
        said = await bybit(venues, session, "GET", "/v5/order/realtime", symbol="BTCUSDT", orderLinkId="b-9")
        assert said["result"]["list"][0]["cancelType"] == "CancelByDCP"

    run("BYBIT", card)


def test_bybits_trade_socket_answers_by_number_and_asks_for_a_login_first():
    async def card(venues, session, core):
        server, key = venues.servers["BYBIT"], venues.credentials["BYBIT"]
        order = {
            "category": "spot",
            "symbol": "BTCUSDT",
            "side": "Buy",
            "orderType": "Limit",
            "qty": "1",
            "price": "30000",
        }

        def request(number: str, row: dict) -> dict:
            header = {"X-BAPI-TIMESTAMP": str(int(time.time() * 1000))}
            return {"reqId": number, "op": "order.create", "header": header, "args": [row]}

        async with session.ws_connect(venues.urls["BYBIT"].ws + "/v5/trade") as socket:
            await socket.send_json(request("1", order))
            assert (await socket.receive_json())["retCode"] == 10003
            expires = str(int(time.time() * 1000) + 10_000)
            login = [key.key, expires, server._sign(f"GET/realtime{expires}")]
            await socket.send_json({"op": "auth", "args": login})
            assert (await socket.receive_json())["retCode"] == 0
            await socket.send_json(request("2", order | {"orderLinkId": "t-1"}))
            answer = await socket.receive_json()
            assert (answer["reqId"], answer["retCode"], answer["op"]) == ("2", 0, "order.create")
            assert answer["data"]["orderLinkId"] == "t-1"
            assert set(answer["header"]) >= {"Traceid", "Timenow"}
            await socket.send_json(request("3", order | {"category": "linear"}))
            assert (await socket.receive_json())["retCode"] == 10001
        assert "t-1" in core.by_client

    run("BYBIT", card)


@pytest.mark.parametrize(
    ("venue", "path", "words"),
    [
        ("BINANCE", "/api/v3/depth?symbol=BTCUSDT&limit=5000", "-1003"),
        ("BYBIT", "/v5/market/orderbook?category=spot&symbol=BTCUSDT", "10006"),
        ("KRAKEN", "/0/public/Depth?pair=XBTUSDT", "Rate limit exceeded"),
        ("OKX", "/api/v5/market/books?instId=BTC-USDT", "50011"),
    ],
)
def test_who_asks_too_much_is_told_so_in_the_venues_words(venue, path, words):
    async def card(venues, session, core):
        server = venues.servers[venue]
        server.enforce()
        for _ in range(200):
            async with session.get(venues.urls[venue].rest + path) as answer:
                said = (await answer.read()).decode()
            if server.limits.refused:
                break
        assert server.limits.refused == 1
        assert words in said

    run(venue, card)


def test_an_amendment_survives_a_restart_of_the_venue(tmp_path):
    async def main() -> None:
        for again in (False, True):
            async with running("OKX", symbols=("BTC/USDT",), state=tmp_path) as (venues, session):
                core = venues.servers["OKX"].core
                if not again:
                    order = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit"}
                    order |= {"sz": "1", "px": "30000", "clOrdId": "o1"}
                    await okx(venues, session, "POST", "/api/v5/trade/order", order)
                    change = {"instId": "BTC-USDT", "clOrdId": "o1", "newSz": "0.7", "newPx": "29999"}
                    await okx(venues, session, "POST", "/api/v5/trade/amend-order", change)
                known = core.by_client["o1"]
                instrument = core.instruments["BTC/USDT"]
                assert (instrument.size(known.quantity), instrument.price(known.price)) == (Decimal("0.7"), 29999)
                assert core.locked()["USDT"] == Decimal("0.7") * 29999

    asyncio.run(main())


def test_an_answer_to_an_amendment_can_be_withheld():
    async def card(venues, session, core):
        order = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "1", "px": "30000"}
        await okx(venues, session, "POST", "/api/v5/trade/order", order | {"clOrdId": "o1"})
        await control(venues, session, "OKX", fault="hang_after_accept", scope="amend")
        change = {"instId": "BTC-USDT", "clOrdId": "o1", "newSz": "2"}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(okx(venues, session, "POST", "/api/v5/trade/amend-order", change), 0.3)
        assert core.instruments["BTC/USDT"].size(core.by_client["o1"].quantity) == 2

    run("OKX", card)
