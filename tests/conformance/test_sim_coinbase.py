"""The loopback Coinbase over raw sockets: tokens, numbered messages, orders and what the user channel says of them, pages, losses."""

from __future__ import annotations

import asyncio
import base64
import time
import uuid
from collections import OrderedDict
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.pro
import orjson
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sim.servers.base import Credentials
from sim.servers.coinbase.auth import LIFE_S, Unauthorized, Verifier, ed25519_credentials, p256_credentials
from sim.servers.venues import Venues
from tests.conformance.venue_probe import control, eventually, make_tape, running

API = "/api/v3/brokerage"
PRODUCT = "BTC-USDT"
IOC = {"sor_limit_ioc": {"base_size": "0.3", "limit_price": "70000"}}
RESTING = {"limit_limit_gtc": {"base_size": "0.3", "limit_price": "50000", "post_only": False}}


def _part(value: object) -> str:
    raw = value if isinstance(value, bytes) else orjson.dumps(value)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(key: Credentials, request: str = "", *, now: float = 0, life: int = LIFE_S, **changes: object) -> str:
    """An ES256 token by the rules, or with some of its claims and headers changed."""
    begins = int(now or time.time())
    header = {"alg": "ES256", "typ": "JWT", "kid": key.key, "nonce": "00"} | {
        name: changes.pop(name) for name in ("alg", "kid", "nonce") if name in changes
    }
    claims = {"iss": "cdp", "sub": key.key, "nbf": begins, "exp": begins + life, "uri": request} | changes
    text = f"{_part(header)}.{_part(claims)}"
    private = load_pem_private_key(key.secret.encode(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    r, s = utils.decode_dss_signature(private.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{_part(r.to_bytes(32) + s.to_bytes(32))}"


async def ask(
    venues: Venues, session: aiohttp.ClientSession, method: str, path: str, body: object = None, **query: Any
) -> tuple[int, Any]:
    """A signed request; answers (HTTP status, body)."""
    rest = venues.urls["COINBASE"].rest
    signed = token(venues.credentials["COINBASE"], f"{method} {rest.removeprefix('http://')}{API}{path}")
    headers = {"Authorization": f"Bearer {signed}"}
    params = [
        (name, str(one)) for name, value in query.items() for one in (value if isinstance(value, list) else [value])
    ]
    data = orjson.dumps(body) if body is not None else None
    async with session.request(method, rest + API + path, params=params, data=data, headers=headers) as answer:
        text = await answer.read()
        return answer.status, orjson.loads(text) if answer.content_type == "application/json" else text.decode()


async def place(
    venues: Venues, session: aiohttp.ClientSession, cid: str, terms: dict, side: str = "BUY", **changes: Any
) -> dict:
    body = {"client_order_id": cid, "product_id": PRODUCT, "side": side, "order_configuration": terms} | changes
    status, answer = await ask(venues, session, "POST", "/orders", body)
    assert status == 200, answer
    return answer


class Socket:
    """A connection whose numbers are checked as they come."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.next = 0

    async def subscribe(self, channel: str, *products: str, **more: object) -> None:
        await self.socket.send_json({"type": "subscribe", "channel": channel, "product_ids": list(products), **more})

    async def told(self, channel: str) -> dict:
        """The next message of a channel ("": of any); every message has the next number."""
        while True:
            message = orjson.loads((await self.socket.receive(timeout=8)).data)
            if message.get("type") == "error":
                assert channel == "error", message
                return message
            assert message["sequence_num"] == self.next, "a hole"
            self.next += 1
            if channel in ("", message["channel"]):
                return message


def connected(venues: Venues, session: aiohttp.ClientSession) -> Any:
    return session.ws_connect(venues.urls["COINBASE"].ws)


KEY = p256_credentials(bytes(range(64)))
NOW = 1_700_000_000
TOKENS = {
    "right": ({}, "GET h/p", True),
    "of a moment ago": ({"now": NOW - 100}, "GET h/p", True),
    "expired": ({"now": NOW - 130}, "GET h/p", False),
    "of the future": ({"now": NOW + 30}, "GET h/p", False),
    "for three minutes": ({"life": 180}, "GET h/p", False),
    "of another request": ({}, "POST h/p", False),
    "with a scheme, as ccxt claims it": ({"uri": "GET http://h/p"}, "GET h/p", True),
    "of another key": ({"kid": "organizations/x/apiKeys/y"}, "GET h/p", False),
    "for another account": ({"sub": "somebody"}, "GET h/p", False),
    "by somebody else": ({"iss": "mallory"}, "GET h/p", False),
    "without a nonce": ({"nonce": ""}, "GET h/p", False),
    "unsigned": ({"alg": "none"}, "GET h/p", False),
    "of a message": ({"uri": ""}, "", True),
}


@pytest.mark.parametrize("name", TOKENS)
def test_tokens(name: str) -> None:
    changes, request, good = TOKENS[name]
    made = token(KEY, **{"request": "GET h/p", "now": NOW, **changes})
    if good:
        Verifier(KEY).check(made, request, NOW)
    else:
        with pytest.raises(Unauthorized):
            Verifier(KEY).check(made, request, NOW)


def test_a_signature_of_another_key_or_text_is_none() -> None:
    made = token(KEY, "GET h/p", now=NOW)
    other = p256_credentials(bytes(range(1, 65)))
    for wrong in (
        token(Credentials(key=KEY.key, secret=other.secret), "GET h/p", now=NOW),
        made[:-4] + "AAAA",
        made.replace(".", "x.", 1),
        made.rpartition(".")[0] + ".",
        "no token",
    ):
        with pytest.raises(Unauthorized):
            Verifier(KEY).check(wrong, "GET h/p", NOW)


def test_both_kinds_of_keys_are_the_same_for_the_same_entropy() -> None:
    assert p256_credentials(bytes(64)) == p256_credentials(bytes(64))
    assert KEY.key.startswith("organizations/")
    assert KEY.secret.startswith("-----BEGIN EC PRIVATE KEY-----")
    assert len(base64.b64decode(ed25519_credentials(bytes(64)).secret)) == 64


def test_what_is_not_signed_is_unauthorized_and_nothing_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("COINBASE", tape=make_tape(tmp_path)) as (venues, session):
            url = venues.urls["COINBASE"].rest + API + "/accounts"
            stranger = token(p256_credentials(bytes(64)), f"GET {url.removeprefix('http://')}")
            for headers in ({}, {"Authorization": "Bearer x.y.z"}, {"Authorization": f"Bearer {stranger}"}):
                async with session.get(url, headers=headers) as answer:
                    assert (answer.status, await answer.text()) == (401, "Unauthorized\n")
            async with connected(venues, session) as raw:
                socket = Socket(raw)
                await socket.subscribe("user", jwt=stranger)
                assert (await socket.told("error"))["message"] == "authentication failure"
                for channel, products in (("level3", [PRODUCT]), ("level2", ["NO-PE"]), ("level2", [])):
                    await socket.subscribe(channel, *products)
                    await socket.told("error")

    asyncio.run(scenario())


def test_every_message_of_a_connection_has_the_next_number_and_the_book_is_the_venues(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            running("COINBASE", tape=make_tape(tmp_path)) as (venues, session),
            connected(venues, session) as raw,
        ):
            socket, server = Socket(raw), venues.servers["COINBASE"]
            for channel in ("heartbeats", "level2", "market_trades", "ticker"):
                await socket.subscribe(channel, *([PRODUCT] if channel != "heartbeats" else []))
            book: dict[tuple[str, Decimal], Decimal] = {}
            latest: dict[str, dict] = {}
            updates = 0

            async def follow() -> None:
                """One message more, whatever it is."""
                nonlocal updates
                message = await socket.told("")
                latest[message["channel"]] = event = message["events"][0]
                if message["channel"] == "l2_data":
                    assert event["type"] == ("update" if book else "snapshot")
                    updates += event["type"] == "update"
                    for row in event["updates"]:
                        book[row["side"], Decimal(row["price_level"])] = Decimal(row["new_quantity"])

            while updates < 20 or len(latest["subscriptions"]["subscriptions"]) < 4:
                await follow()
            assert latest["subscriptions"]["subscriptions"]["level2"] == [PRODUCT]
            for task in venues._tasks:  # the market stands still from here on
                task.cancel()
            latest.pop("market_trades")
            await place(venues, session, "k0", IOC)  # our own taking is a change like any other
            shown, instrument = server.core.books["BTC/USDT"].shown, server.core.instruments["BTC/USDT"]
            expected = {
                (name, instrument.price(price)): instrument.size(size)
                for name, side in (("bid", shown.bids), ("offer", shown.asks))
                for price, size in side.top(len(side))
            }
            fills = {str(fill.trade_id) for fill in server.core.fills}

            def ours() -> list[dict]:
                return [row for row in latest.get("market_trades", {}).get("trades", []) if row["trade_id"] in fills]

            while {key: size for key, size in book.items() if size} != expected or not ours():
                await follow()
            assert ours()[0]["side"] == "SELL"  # our buy met an offer
            (ticker,) = latest["ticker"]["tickers"]
            assert Decimal(ticker["best_bid"]) < Decimal(ticker["best_ask"])
            latest.pop("heartbeats", None)
            while "heartbeats" not in latest:
                await follow()
            assert latest["heartbeats"]["heartbeat_counter"] > 0

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_a_lost_update_is_a_hole_and_a_lost_book_has_no_levels(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("COINBASE", tape=make_tape(tmp_path, gap_at=12), speed=3.0) as (venues, session):
            async with connected(venues, session) as raw:
                socket = Socket(raw)
                await socket.subscribe("level2", PRODUCT)
                event = {"updates": ["some"]}
                while event["updates"]:
                    event = (await socket.told("l2_data"))["events"][0]
                assert event["type"] == "snapshot"
                async with session.get(
                    f"{venues.urls['COINBASE'].rest}{API}/market/product_book?product_id={PRODUCT}"
                ) as answer:
                    assert answer.status == 503
                event = (await socket.told("l2_data"))["events"][0]
                assert (event["type"], bool(event["updates"])) == ("snapshot", True)
            async with connected(venues, session) as raw:
                socket = Socket(raw)
                await socket.subscribe("level2", PRODUCT)
                await socket.told("subscriptions")
                await control(venues, session, "COINBASE", fault="drop_updates", symbol="BTC/USDT")
                with pytest.raises(AssertionError, match="a hole"):
                    while True:
                        await socket.told("l2_data")

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_a_frame_sent_twice_or_late_keeps_its_number(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            running("COINBASE", tape=make_tape(tmp_path)) as (venues, session),
            connected(venues, session) as raw,
        ):
            socket = Socket(raw)
            await socket.subscribe("level2", PRODUCT)
            await socket.told("subscriptions")
            await control(venues, session, "COINBASE", fault="duplicate_frames")
            await control(venues, session, "COINBASE", fault="reorder_frames")
            numbers = [orjson.loads((await raw.receive(timeout=8)).data)["sequence_num"] for _ in range(8)]
            assert len(set(numbers)) == 7
            assert numbers != sorted(numbers)
            assert sorted(set(numbers)) == list(range(min(numbers), min(numbers) + 7))

    asyncio.run(asyncio.wait_for(scenario(), 20))


REFUSED = [
    ({"product_id": "NO-PE"}, IOC, "INVALID_PRODUCT_ID"),
    ({"side": "HOLD"}, IOC, "INVALID_SIDE"),
    ({}, {"stop_limit_stop_limit_gtc": {}}, "UNSUPPORTED_ORDER_CONFIGURATION"),
    ({}, {"market_market_ioc": {"base_size": "1"}}, "UNSUPPORTED_ORDER_CONFIGURATION"),
    ({}, {"sor_limit_ioc": {"base_size": "0.3", "limit_price": "60000.001"}}, "INVALID_PRICE_PRECISION"),
    ({}, {"sor_limit_ioc": {"base_size": "0.000000001", "limit_price": "60000"}}, "INVALID_SIZE_PRECISION"),
    ({}, {"sor_limit_ioc": {"base_size": "abc", "limit_price": "60000"}}, "INVALID_REQUEST"),
    ({}, {"sor_limit_ioc": {"base_size": "5000", "limit_price": "60000"}}, "INSUFFICIENT_FUND"),
    (
        {},
        {"limit_limit_gtc": {"base_size": "1", "limit_price": "70000", "post_only": True}},
        "INVALID_LIMIT_PRICE_POST_ONLY",
    ),
]


def test_orders_the_venue_does_not_take(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("COINBASE", tape=make_tape(tmp_path)) as (venues, session):
            for number, (changes, terms, reason) in enumerate(REFUSED):
                answer = await place(venues, session, f"k{number}", terms, **changes)
                assert (answer["success"], answer["order_id"]) == (False, "")
                assert answer["error_response"]["error"] == reason, answer
                assert answer["order_configuration"] == terms
            status, answer = await ask(venues, session, "POST", "/orders", {"side": "BUY"})
            assert (status, answer["error"]) == (400, "INVALID_ARGUMENT")
            status, answer = await ask(venues, session, "GET", f"/orders/historical/{uuid.uuid4()}")
            assert (status, answer["message"]) == (404, "order with this orderID was not found")
            assert venues.servers["COINBASE"].core.orders == {}

    asyncio.run(scenario())


ENDS = OrderedDict(
    {
        "filled": (IOC, "FILLED"),
        "through nobody": ({"sor_limit_ioc": {"base_size": "0.3", "limit_price": "50000"}}, "CANCELLED"),
        "killed": ({"limit_limit_fok": {"base_size": "300", "limit_price": "70000"}}, "CANCELLED"),
        "by request": (RESTING, "CANCELLED"),
        "in part": ({"sor_limit_ioc": {"base_size": "300", "limit_price": "70000"}}, "CANCELLED"),
    }
)


def test_what_becomes_of_an_order_is_told_by_channel_query_and_list(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            running("COINBASE", tape=make_tape(tmp_path)) as (venues, session),
            connected(venues, session) as raw,
        ):
            socket = Socket(raw)
            await socket.subscribe("user", jwt=token(venues.credentials["COINBASE"]))
            assert (await socket.told("user"))["events"][0] == {"type": "snapshot", "orders": []}
            assert "user" in (await socket.told("subscriptions"))["events"][0]["subscriptions"]
            for cid, (terms, status) in ENDS.items():
                answer = await place(venues, session, cid, terms)
                order_id = answer["success_response"]["order_id"]
                assert answer["order_id"] == order_id
                if terms is RESTING:
                    _, accounts = await ask(venues, session, "GET", "/accounts")
                    held = {row["currency"]: row["hold"]["value"] for row in accounts["accounts"]}
                    assert Decimal(held["USDT"]) > 15_000
                    _, said = await ask(venues, session, "POST", "/orders/batch_cancel", {"order_ids": [order_id]})
                    assert said["results"][0]["success"]
                row = {"client_order_id": "", "status": ""}
                while (row["client_order_id"], row["status"]) != (cid, status):
                    (row,) = (await socket.told("user"))["events"][0]["orders"]
                _, found = await ask(venues, session, "GET", f"/orders/historical/{order_id}")
                assert (found["order"]["status"], found["order"]["filled_size"]) == (status, row["cumulative_quantity"])
                assert row["leaves_quantity"] == "0"
                _, fills = await ask(venues, session, "GET", "/orders/historical/fills", order_ids=[order_id])
                assert sum(Decimal(fill["size"]) for fill in fills["fills"]) == Decimal(row["cumulative_quantity"])
                assert sum(Decimal(fill["commission"]) for fill in fills["fills"]) == Decimal(row["total_fees"])
            again = await place(venues, session, "filled", IOC)
            first = venues.servers["COINBASE"].core.by_client["filled"]
            assert uuid.UUID(again["order_id"]).int == first.order_id  # the same order: nothing was placed
            _, said = await ask(
                venues, session, "POST", "/orders/batch_cancel", {"order_ids": [again["order_id"], "x"]}
            )
            assert [row["failure_reason"] for row in said["results"]] == [
                "ORDER_IS_FULLY_FILLED",
                "UNKNOWN_CANCEL_ORDER",
            ]

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_lists_come_in_pages_and_open_orders_by_themselves(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("COINBASE", tape=make_tape(tmp_path)) as (venues, session):
            for number in range(5):
                await place(venues, session, f"open{number}", RESTING)
            await place(venues, session, "sweep", {"sor_limit_ioc": {"base_size": "6", "limit_price": "70000"}})

            async def pages(path: str, name: str, **query: Any) -> list[dict]:
                rows: list[dict] = []
                cursor: dict[str, str] = {}
                while True:
                    status, body = await ask(venues, session, "GET", path, limit=2, **query, **cursor)
                    assert status == 200, body
                    assert len(body[name]) <= 2
                    rows += body[name]
                    if not body["cursor"]:
                        return rows
                    cursor = {"cursor": body["cursor"]}

            batch = "/orders/historical/batch"
            opened = await pages(batch, "orders", order_status=["OPEN"], product_ids=[PRODUCT])
            assert [row["client_order_id"] for row in opened] == [f"open{number}" for number in (4, 3, 2, 1, 0)]
            assert len(await pages(batch, "orders")) == 6
            assert await pages(batch, "orders", start_date="2999-01-01T00:00:00Z") == []
            core = venues.servers["COINBASE"].core
            found = await pages("/orders/historical/fills", "fills", product_ids=[PRODUCT])
            assert [uuid.UUID(row["trade_id"]).int for row in found] == [fill.trade_id for fill in reversed(core.fills)]
            assert len(found) > 2
            assert {row["currency"] for row in await pages("/accounts", "accounts")} == set(core.balances)
            for query in ({"order_status": ["OPEN", "FILLED"]}, {"limit": 0}, {"order_status": "WHAT"}):
                assert (await ask(venues, session, "GET", batch, **query))[0] == 400
            _, said = await ask(
                venues,
                session,
                "POST",
                "/orders/edit",
                {"order_id": opened[0]["order_id"], "price": "50001", "size": "0.4"},
            )
            assert said["success"]
            assert core.by_client["open4"].price == 5_000_100

    asyncio.run(scenario())


def test_an_order_that_hangs_is_live_and_is_found(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("COINBASE", tape=make_tape(tmp_path)) as (venues, session):
            await control(venues, session, "COINBASE", fault="hang_after_accept")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await place(venues, session, "h1", IOC)
            _, body = await ask(venues, session, "GET", "/orders/historical/batch")
            assert [(row["client_order_id"], row["status"]) for row in body["orders"]] == [("h1", "FILLED")]
            await control(venues, session, "COINBASE", fault="http_429", scope="order")
            status, body = await ask(venues, session, "POST", "/orders", {})
            assert (status, body["error"]) == (429, "rate_limit_exceeded")

    asyncio.run(scenario())


def test_unmodified_ccxt_trades_on_the_loopback_venue(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running("COINBASE", tape=make_tape(tmp_path)) as (venues, _):
            key, urls, core = venues.credentials["COINBASE"], venues.urls["COINBASE"], venues.servers["COINBASE"].core
            exchange = ccxt.pro.coinbase({"apiKey": key.key, "secret": key.secret, "enableRateLimit": False})
            exchange.urls["api"] = {"rest": urls.rest, "ws": urls.ws}
            symbol = "BTC/USDT"
            try:
                markets = await exchange.load_markets()
                assert list(markets) == [symbol]
                assert markets[symbol]["taker"] == 0.0005
                for _ in range(5):
                    book = await exchange.watch_order_book(symbol)
                    assert book["bids"][0][0] < book["asks"][0][0]
                assert (await exchange.fetch_order_book(symbol, 5))["asks"][0][0] > book["bids"][0][0]
                assert (await exchange.watch_ticker(symbol))["bid"] > 0
                assert await exchange.watch_orders() == []  # none is open
                orders = asyncio.create_task(exchange.watch_orders())
                await eventually(lambda: any("user" in peer.topics for peer in venues.servers["COINBASE"].peers))
                placed = await exchange.create_order(symbol, "limit", "buy", "0.1", "70000", {"timeInForce": "IOC"})
                assert (await asyncio.wait_for(orders, 8))[-1]["id"]
                found = await exchange.fetch_order(placed["id"], symbol)
                assert (found["status"], found["filled"]) == ("closed", 0.1)
                trades = await exchange.fetch_my_trades(symbol)
                assert sum(Decimal(str(trade["amount"])) for trade in trades) == Decimal("0.1")
                resting = await exchange.create_order(symbol, "limit", "sell", "0.5", "90000")
                assert [order["id"] for order in await exchange.fetch_open_orders(symbol)] == [resting["id"]]
                await exchange.cancel_order(resting["id"], symbol)
                assert await exchange.fetch_open_orders(symbol) == []
                with pytest.raises(ccxt.InsufficientFunds):
                    await exchange.create_order(symbol, "limit", "sell", "5000", "90000")
                total = (await exchange.fetch_balance({"v3": True}))["total"]
                assert {code: Decimal(str(total[code])).quantize(Decimal("1e-8")) for code in core.balances} == {
                    code: amount.quantize(Decimal("1e-8")) for code, amount in core.balances.items()
                }
            finally:
                await exchange.close()

    asyncio.run(scenario())
