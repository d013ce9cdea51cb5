"""The loopback Kraken Futures over raw sockets: signatures, challenges, numbered books, refusals with HTTP 200, the dead-man switch."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import aiohttp

from sim.servers.venues import Venues, start_venues
from tests.conformance.ccxt_venue import eventually

NAME = "KRAKENFUTURES"
PRODUCT = "PF_XBTUSD"


def seal(secret: str, message: str) -> str:
    """HMAC-SHA512 of a message's SHA-256."""
    digest = hashlib.sha256(message.encode()).digest()
    return base64.b64encode(hmac.digest(base64.b64decode(secret), digest, "sha512")).decode()


async def ask(venues: Venues, method: str, path: str, *, spoil: str = "", **query: Any) -> Any:
    """A signed request below `/derivatives`."""
    key, text = venues.credentials[NAME], urlencode(query)
    signed = seal(key.secret, f"{text}{spoil}/api/v3/{path}")
    url = f"{venues.urls[NAME].rest}/derivatives/api/v3/{path}" + (f"?{text}" if text else "")
    headers = {"APIKey": key.key, "Authent": signed}
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers) as answer:
        return await answer.json()


async def started() -> Venues:
    venues = await start_venues(seed=7, venues=(NAME,), symbols=("BTC/USD",))
    await eventually(lambda: venues.servers[NAME].core.books["BTC/USD:USD"].live, "a book")
    return venues


def test_signed_requests_and_no_others_are_answered():
    async def main() -> None:
        venues = await started()
        try:
            assert (await ask(venues, "GET", "openorders"))["openOrders"] == []
            assert (await ask(venues, "GET", "openorders", spoil="x"))["error"] == "authenticationError"
            terms = {"orderType": "lmt", "symbol": PRODUCT, "side": "buy", "size": "0.5", "limitPrice": "50000"}
            answer = await ask(venues, "POST", "sendorder", cliOrdId="raw-1", **terms)
            assert answer["result"] == "success"
            assert answer["sendStatus"]["status"] == "placed"
            again = await ask(venues, "POST", "sendorder", cliOrdId="raw-1", **terms)
            assert again["sendStatus"]["status"] == "clientOrderIdAlreadyExist"
            missing = await ask(venues, "POST", "sendorder", symbol=PRODUCT, side="buy", size="1")
            assert (missing["result"], missing["error"]) == ("error", "requiredArgumentMissing")
            core = venues.servers[NAME].core
            edited = await ask(venues, "POST", "editorder", cliOrdId="raw-1", size="0.7")
            assert edited["editStatus"]["status"] == "edited"
            assert core.by_client["raw-1"].quantity == 7_000
            assert (await ask(venues, "POST", "cancelallordersafter", timeout="1"))["status"]["triggerTime"] != "0"
            await eventually(lambda: not core.by_client["raw-1"].open, "the switch")
        finally:
            await venues.stop()

    asyncio.run(main())


def test_a_market_order_is_an_ioc_one_per_cent_beyond_the_best_price():
    async def main() -> None:
        venues = await started()
        try:
            core = venues.servers[NAME].core
            best = core.books["BTC/USD:USD"].shown.asks.best()
            answer = await ask(venues, "POST", "sendorder", orderType="mkt", symbol=PRODUCT, side="buy", size="0.01")
            (event,) = answer["sendStatus"]["orderEvents"]
            order = event["orderPriorExecution"]
            assert (event["type"], order["type"]) == ("EXECUTION", "ioc")
            assert order["limitPrice"] == int(best * Decimal("1.01"))
        finally:
            await venues.stop()

    asyncio.run(main())


def test_books_are_numbered_by_product_and_private_feeds_want_the_signed_challenge():
    async def main() -> None:
        venues = await started()
        key = venues.credentials[NAME]
        try:
            url = f"{venues.urls[NAME].ws}/ws/v1"
            async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
                assert (await socket.receive_json())["event"] == "info"
                await socket.send_json({"event": "subscribe", "feed": "book", "product_ids": [PRODUCT, "PI_XBTUSD"]})
                assert (await socket.receive_json())["event"] == "subscribed"
                numbers: dict[str, list[int]] = {PRODUCT: [], "PI_XBTUSD": []}
                while min(map(len, numbers.values())) < 20:
                    frame = await socket.receive_json(timeout=10)
                    numbers[frame["product_id"]].append(frame["seq"])
                for seen in numbers.values():
                    assert seen == list(range(seen[0], seen[0] + len(seen)))
            async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
                await socket.receive_json()
                await socket.send_json({"event": "challenge", "api_key": key.key})
                challenge = (await socket.receive_json())["message"]
                proof = {"api_key": key.key, "original_challenge": challenge}
                wanted = {"event": "subscribe", "feed": "fills", **proof}
                await socket.send_json({**wanted, "signed_challenge": seal(key.secret, "another")})
                assert (await socket.receive_json())["event"] == "alert"
                await socket.send_json({**wanted, "signed_challenge": seal(key.secret, challenge)})
                assert (await socket.receive_json())["event"] == "subscribed"
                assert (await socket.receive_json())["feed"] == "fills_snapshot"
                await socket.send_json({"event": "subscribe", "feed": "nothing"})
                assert (await socket.receive_json())["message"] == "Invalid feed"
        finally:
            await venues.stop()

    asyncio.run(main())


def test_a_restarted_venue_knows_its_orders_and_positions(tmp_path):
    async def main() -> None:
        for turn in range(2):
            venues = await start_venues(seed=7, venues=(NAME,), symbols=("BTC/USD",), state=tmp_path)
            core = venues.servers[NAME].core
            await eventually(lambda core=core: core.books["BTC/USD:USD"].live, "a book")
            if not turn:
                taken = await ask(
                    venues, "POST", "sendorder", orderType="mkt", symbol="PI_XBTUSD", side="sell", size="500"
                )
                assert taken["sendStatus"]["status"] == "placed"
            (position,) = (await ask(venues, "GET", "openpositions"))["openPositions"]
            assert (position["symbol"], position["side"], position["size"]) == ("PI_XBTUSD", "short", 500)
            wallet = (await ask(venues, "GET", "accounts"))["accounts"]["fi_xbtusd"]
            assert wallet["balances"]["pi_xbtusd"] == -500
            assert wallet["balances"]["xbt"] < 400  # the fee
            await venues.stop()

    asyncio.run(main())
