"""The server side of the API benchmark, in a process of its own: the real `ApiServer` and a bare aiohttp application.

The desk behind the API answers at once with a record it has: pricing, the gate and the durable write are left out (they have their own
figures). Prints one line of JSON with the addresses and a key, serves until its stdin closes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import WSMsgType, web

from desk.api.messages import RfqRequest
from desk.api.server import ApiServer
from desk.clients.store import KeyStore
from desk.market import Market
from desk.rfq.records import QuoteRecord, RfqRecord, RfqState, Step
from desk.service import Caller


class FixedDesk:
    """Answers every request for quote with a fresh record at a fixed price."""

    def request_quote(self, caller: Caller, request: RfqRequest, reply: Callable[[Any], None]) -> None:
        now = time.time_ns()
        price, quantity = Decimal("60012.34"), Decimal(request.quantity)
        quote = QuoteRecord(
            quote_id="q-1",
            rfq_id="r-1",
            client_id=caller.client_id,
            symbol=request.instrument,
            side=request.side,
            price=price,
            quantity=quantity,
            amount=price * quantity,
            fair=price,
            waterfall=(Step("markup", Decimal(0)),),
            valid_until_ns=now + 2_000_000_000,
            created_ns=now,
        )
        reply(
            RfqRecord(
                rfq_id="r-1",
                client_id=caller.client_id,
                client_rfq_id=request.client_rfq_id,
                symbol=request.instrument,
                side=request.side,
                quantity=quantity,
                currency="BTC",
                ttl_ms=2_000,
                state=RfqState.QUOTED,
                created_ns=now,
                updated_ns=now,
                quotes=(quote,),
            )
        )


ANSWER = json.dumps({"rfq_id": "r-1", "state": "quoted", "padding": "x" * 280}).encode()


async def _bare_post(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=ANSWER, content_type="application/json")


async def _bare_socket(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            await ws.send_bytes(ANSWER)
    return ws


async def main() -> None:
    """Serve both until stdin closes."""
    with tempfile.TemporaryDirectory(prefix="kerb-bench-") as state:
        keys = KeyStore(Path(state), environment={})
        made = keys.new("bench", ["quote"], rate_per_s=1e9, burst=1_000_000_000)
        server = ApiServer(FixedDesk(), FixedDesk(), Market([]), keys, epoch="bench")  # type: ignore[arg-type]
        port = await server.start("127.0.0.1", 0)
        app = web.Application()
        app.router.add_post("/v1/rfqs", _bare_post)
        app.router.add_get("/v1/ws", _bare_socket)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        bare = runner.addresses[0][1]
        print(json.dumps({"port": port, "bare": bare, "key": made.key.key_id, "secret": made.secret}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await server.stop()
        await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(main())
