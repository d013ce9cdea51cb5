"""What does the API cost? An RFQ round trip over REST (signed) and WebSocket, beside a bare aiohttp handler in the same run.

Server and client are two processes on loopback; the desk behind the API answers at once, so that the figures are the API's own: parsing,
signature, nonce, rate limit, validation, encoding. Closed loop: product and bare server take turns, one request at a time. Open loop: at
a fixed rate, latency counted from the moment a request was due, so that a stall is paid for by everybody who waited for it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import uvloop

from benchmarks.row import Row, rows
from desk.client.credentials import Credentials

BODY = b'{"client_rfq_id":"c-1","instrument":"BTC/USDT","side":"buy","quantity":"1.5"}'
ROUNDS = 1_000
WARM = 150
RATE_PER_S = 250
OPEN_S = 3.0
LEFT_OUT = "without pricing, gate and durable write; the peer checks nothing"


def rfq_round_trip() -> list[Row]:
    """REST and WebSocket beside a bare handler; then WebSocket at a fixed rate."""
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.api_server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            raise RuntimeError("the benchmark's server did not start")
        return uvloop.run(_measure(json.loads(line)))
    finally:
        assert server.stdin is not None
        server.stdin.close()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()


async def _measure(where: dict[str, Any]) -> list[Row]:
    credentials = Credentials(where["key"], where["secret"])
    url, bare = f"http://127.0.0.1:{where['port']}", f"http://127.0.0.1:{where['bare']}"
    async with aiohttp.ClientSession() as session:

        async def post(base: str, headers: dict[str, str]) -> None:
            async with session.post(f"{base}/v1/rfqs", data=BODY, headers=headers) as response:
                text = await response.read()
                assert response.status < 300, text

        plain = {"Content-Type": "application/json"}
        signed: list[dict[str, str]] = []

        async def ours_rest() -> None:
            await post(url, signed.pop())

        def sign() -> None:
            signed.append({**credentials.headers("POST", "/v1/rfqs", BODY), **plain})

        rest, bare_rest = await _in_turns(ours_rest, lambda: post(bare, plain), before=sign)
        async with session.ws_connect(f"{url}/v1/ws") as ws, session.ws_connect(f"{bare}/v1/ws") as bare_ws:
            await ws.send_str(json.dumps(credentials.auth_frame("/v1/ws")))
            assert json.loads((await ws.receive()).data)["ok"]
            numbers = itertools.count(1)

            async def ours_socket() -> None:
                number = next(numbers)
                await ws.send_str(f'{{"op":"rfq","id":{number},"params":{BODY.decode()}}}')
                while f'"id":{number},' not in (await ws.receive()).data:  # a heartbeat may come between
                    pass

            async def bare_socket() -> None:
                await bare_ws.send_str(f'{{"op":"rfq","id":1,"params":{BODY.decode()}}}')
                await bare_ws.receive()

            socket, bare_times = await _in_turns(ours_socket, bare_socket)
            due = await _open_loop(ws)
    closed = "one RFQ at a time, client and server on loopback"
    return [
        *rows("api.rest rfq", f"signed POST /v1/rfqs, {closed}", rest, {"bare aiohttp": bare_rest}, LEFT_OUT),
        *rows("api.ws rfq", f"op rfq on a WebSocket, {closed}", socket, {"bare aiohttp": bare_times}, LEFT_OUT),
        *rows("api.ws open loop", f"the same at {RATE_PER_S}/s, latency from the moment it was due", due, {}, LEFT_OUT),
    ]


async def _in_turns(
    ours: Callable[[], Awaitable[None]],
    peer: Callable[[], Awaitable[None]],
    before: Callable[[], None] = lambda: None,
) -> tuple[list[int], list[int]]:
    mine: list[int] = []
    theirs: list[int] = []
    for _ in range(WARM + ROUNDS):
        before()
        for call, times in ((ours, mine), (peer, theirs)):
            began = time.perf_counter_ns()
            await call()
            times.append(time.perf_counter_ns() - began)
    return mine[WARM:], theirs[WARM:]


async def _open_loop(ws: aiohttp.ClientWebSocketResponse) -> list[int]:
    """Send on schedule whatever comes back; ids carry which request an answer is for."""
    total = int(RATE_PER_S * OPEN_S)
    began = time.perf_counter_ns() + 20_000_000
    due = [began + i * 1_000_000_000 // RATE_PER_S for i in range(total)]
    latencies: list[int] = []

    async def read() -> None:
        while len(latencies) < total:
            frame = json.loads((await ws.receive()).data)
            if "ok" in frame:
                assert frame["ok"], frame
                latencies.append(time.perf_counter_ns() - due[frame["id"] - 1_000_000])

    reader = asyncio.create_task(read())
    for i, at_ns in enumerate(due):
        while (wait_ns := at_ns - time.perf_counter_ns()) > 0:
            # the loop's timers are a millisecond coarse: the last two are waited in turns of the loop
            await asyncio.sleep((wait_ns - 2_000_000) / 1e9 if wait_ns > 3_000_000 else 0)
        await ws.send_str(f'{{"op":"rfq","id":{1_000_000 + i},"params":{BODY.decode()}}}')
    await asyncio.wait_for(reader, 30)
    return latencies
