"""Raw sockets to the loopback exchanges: signed requests and frames as text, without any client library."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import itertools
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import orjson

from sim.servers.venues import Venues, start_venues
from tests.replay.tape_maker import tape_lines

_NONCE = itertools.count(time.time_ns() // 1_000)


def make_tape(folder: Path, seconds: float = 20.0, **options: object) -> Path:
    """A tape of one symbol in a folder of its own."""
    path = folder / "tape.txt"
    path.write_text("".join(f"{line}\n" for line in tape_lines(seconds=seconds, **options)))  # type: ignore[arg-type]
    return path


@contextlib.asynccontextmanager
async def running(venue: str, **options: object) -> AsyncIterator[tuple[Venues, aiohttp.ClientSession]]:
    """One loopback venue and a session to talk to it, once its book is live."""
    venues = await start_venues(venues=(venue,), seed=7, **options)  # type: ignore[arg-type]
    try:
        async with aiohttp.ClientSession() as session:
            core = venues.servers[venue].core
            await eventually(lambda: all(book.live for book in core.books.values()))
            yield venues, session
    finally:
        await venues.stop()


async def eventually(done: Callable[[], bool], within_s: float = 8.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


async def control(venues: Venues, session: aiohttp.ClientSession, venue: str, **fault: object) -> None:
    """Order a fault."""
    async with session.post(venues.urls[venue].rest + "/_control", json=fault) as answer:
        assert answer.status == 200, await answer.text()


async def binance(
    venues: Venues,
    session: aiohttp.ClientSession,
    method: str,
    path: str,
    *,
    secret: str = "",
    skew_ms: int = 0,
    **params: object,
) -> tuple[int, dict]:
    """A signed Binance request; answers (HTTP status, body)."""
    key = venues.credentials["BINANCE"]
    query = urlencode({"timestamp": time.time_ns() // 1_000_000 + skew_ms, **params})
    signature = hmac.new((secret or key.secret).encode(), query.encode(), hashlib.sha256).hexdigest()
    url = f"{venues.urls['BINANCE'].rest}{path}?{query}&signature={signature}"
    async with session.request(method, url, headers={"X-MBX-APIKEY": key.key}) as answer:
        return answer.status, orjson.loads(await answer.read())


async def kraken(
    venues: Venues, session: aiohttp.ClientSession, name: str, *, secret: str = "", nonce: int = 0, **params: object
) -> dict:
    """A signed Kraken request; answers the body."""
    key = venues.credentials["KRAKEN"]
    nonce = nonce or next(_NONCE)
    body = urlencode({"nonce": nonce, **params})
    path = f"/0/private/{name}"
    digest = hashlib.sha256(f"{nonce}{body}".encode()).digest()
    mac = hmac.new(base64.b64decode(secret or key.secret), path.encode() + digest, hashlib.sha512)
    headers = {
        "API-Key": key.key,
        "API-Sign": base64.b64encode(mac.digest()).decode(),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    async with session.post(venues.urls["KRAKEN"].rest + path, data=body, headers=headers) as answer:
        return orjson.loads(await answer.read())
