"""Every bad answer to an order, row by row, from somebody who stands between us and the exchange: what is said of the order is true.

Each answer is given once after the order was carried out and once without it ever reaching the exchange, where that can be.
A known outcome must be the exchange's; an unknown one is proven, and nothing is sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, NamedTuple

import aiohttp
import msgspec
from aiohttp import web
from yarl import URL

from adapters.ccxt.account import proofs
from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.account.outcomes import Verdict
from adapters.ccxt.events import OrderEvent
from tests.conformance.cards.stand import Account, Stand
from tests.conformance.ccxt_venue import VENUES, Recorder, eventually
from tests.conformance.together import together
from tests.faults.desk import unlimited

LONG = bool(os.environ.get("KERB_LONG_TESTS"))
PATHS = {
    "BINANCE": "/api/v3/order",
    "BINANCEUSDM": "/fapi/v1/order",
    "BYBIT": "/v5/order/create",
    "COINBASE": "/brokerage/orders",
    "KRAKEN": "/0/private/AddOrder",
    "KRAKENFUTURES": "/sendorder",
    "OKX": "/trade/batch-orders",
}


class Bad(NamedTuple):
    """An answer. `done`: it is given after the order was carried out; `certain`: it proves that there is no order."""

    name: str
    done: bool
    status: int = 0  # 0: see `how`
    how: str = ""
    text: str = ""
    certain: bool = False


SHORT = (
    Bad("a bad gateway, and done", True, 502, text="<html>Bad Gateway</html>"),
    Bad("nothing in good order, and done", True, 200, text="{}"),
    Bad("half an answer, and done", True, how="half"),
    Bad("an answer that breaks off, and done", True, how="broken off"),
    Bad("too many", False, 429, text="Too many requests", certain=True),
)
ANSWERS = (
    *SHORT,
    *(Bad(f"{status}, and done", True, status, text="<html>?</html>") for status in (408, 500, 503, 504, 520, 524)),
    *(Bad(f"{text!r} in good order, and done", True, 200, text=text) for text in ("", "null", "[]", "<html>ok</html>")),
    Bad("a torn connection, and done", True, how="torn"),
    Bad("none at all, and done", True, how="none"),
    Bad("a bad gateway", False, 502, text="<html>Bad Gateway</html>"),
    Bad("the venue's 503", False, 503, text="Service Unavailable"),
    Bad("a torn connection", False, how="torn"),
    Bad("none at all", False, how="none"),
    *(Bad(f"{status}", False, status, text="<html>no</html>", certain=True) for status in (403, 404, 418, 451)),
)


class Between:
    """Hands everything on to the exchange, except that the next order is answered by `bad`."""

    def __init__(self, rest_url: str, path: str) -> None:
        self.bad: Bad | None = None
        self._rest_url, self._path = rest_url, path

    @contextlib.asynccontextmanager
    async def standing(self) -> AsyncIterator[str]:
        """Where it listens."""
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            async with aiohttp.ClientSession(auto_decompress=False) as self._session:
                site = web.TCPSite(runner, "127.0.0.1", 0)
                await site.start()
                assert site._server is not None
                yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body, bad = await request.read(), self.bad
        if bad is None or request.method != "POST" or not request.path.endswith(self._path):
            return await self._onward(request, body)
        self.bad = None
        done = await self._onward(request, body) if bad.done else web.Response()
        match bad.how:
            case "half":
                assert isinstance(done.body, bytes)
                return web.Response(body=done.body[: len(done.body) // 2], content_type="application/json")
            case "broken off":
                answer = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
                await answer.prepare(request)
                await answer.write(b'{"')
                assert request.transport is not None
                request.transport.close()
                return answer
            case "torn":
                assert request.transport is not None
                request.transport.abort()
            case "none":
                await asyncio.sleep(2.0)  # longer than an answer may take
        return web.Response(status=bad.status or 504, text=bad.text)

    async def _onward(self, request: web.Request, body: bytes) -> web.Response:
        url = URL(self._rest_url + request.raw_path, encoded=True)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
        async with self._session.request(request.method, url, data=body or None, headers=headers) as answer:
            kind = {"Content-Type": answer.headers.get("Content-Type", "application/json")}
            return web.Response(status=answer.status, body=await answer.read(), headers=kind)


async def answered(s: Stand, link: AccountLink, between: Between, bad: Bad, tif: str) -> None:
    """One order, and what is said of it."""
    s.refill()
    order = s.order("buy", "0.2", s.ask if tif == "IOC" else s.bid - 500, tif)
    count, between.bad = len(s.core.orders), bad
    answer: Any = await link.place(order)
    assert between.bad is None, "the order went another way"
    there = s.at_venue(order.client_order_id)
    assert (there is not None) == bad.done
    if bad.certain:
        assert answer.verdict is Verdict.REFUSED, answer
    else:
        assert not isinstance(answer, OrderEvent) and answer.verdict is Verdict.UNKNOWN, answer
        proof = await asyncio.wait_for(link.prove(order.client_order_id, s.symbol, cancel=True), 20)
        assert (proof.order is not None) == bad.done
        if there is not None:
            assert sum((fill.quantity for fill in proof.fills), Decimal(0)) == s.instrument.size(there.filled)
    assert len(s.core.orders) - count == int(bad.done)


async def every_answer(name: str) -> None:
    s = Stand(name)
    await s.start(order_timeout_ms=700)
    between = Between(s.config.rest_url or "", PATHS[name])
    async with between.standing() as url:
        config = msgspec.structs.replace(s.config, rest_url=url, reconcile_s=0, dead_man_s=0)
        seen = Recorder()
        link = AccountLink(config, seen)
        unlimited(link)
        s.accounts["rest"] = Account(link, seen)
        link.start()
        try:
            await eventually(link.ready.is_set, "a connected account", 20.0)
            for bad in ANSWERS if LONG else SHORT:
                for tif in ("GTC", "IOC") if LONG else ("IOC",):
                    try:
                        await answered(s, link, between, bad, tif)
                    except BaseException as error:
                        error.add_note(f"{bad.name}, {tif}")
                        raise
                    if link._purse is not None:
                        link._purse.budget._closed_until = 0.0  # a 429 closes the venue for a while
        finally:
            await s.stop()


def test_what_is_said_of_an_order_is_true_whatever_the_answer(monkeypatch):
    monkeypatch.setattr(proofs, "SPAN_S", 0.3)
    together(VENUES if LONG else ("BINANCE", "BYBIT", "OKX"))(every_answer)()
