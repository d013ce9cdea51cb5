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
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import orjson
from yarl import URL

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


async def bybit(
    venues: Venues,
    session: aiohttp.ClientSession,
    method: str,
    path: str,
    *,
    secret: str = "",
    key: str = "",
    skew_ms: int = 0,
    **params: object,
) -> dict:
    """A signed Bybit request (of spot, unless told otherwise); answers the body."""
    known = venues.credentials["BYBIT"]
    params = {"category": "spot"} | params
    payload = orjson.dumps(params).decode() if method == "POST" else urlencode(params)
    stamp = str(time.time_ns() // 1_000_000 + skew_ms)
    text = f"{stamp}{key or known.key}5000{payload}"
    headers = {
        "X-BAPI-API-KEY": key or known.key,
        "X-BAPI-TIMESTAMP": stamp,
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": hmac.new((secret or known.secret).encode(), text.encode(), hashlib.sha256).hexdigest(),
        "Content-Type": "application/json",
    }
    url = venues.urls["BYBIT"].rest + path + ("" if method == "POST" else "?" + payload)
    body = payload if method == "POST" else None
    async with session.request(method, URL(url, encoded=True), data=body, headers=headers) as answer:
        assert answer.status == 200
        return orjson.loads(await answer.read())


async def okx(
    venues: Venues,
    session: aiohttp.ClientSession,
    method: str,
    path: str,
    body: object = None,
    *,
    secret: str = "",
    passphrase: str = "",
    skew_s: float = 0,
    **params: object,
) -> tuple[int, dict]:
    """A signed OKX request; answers (HTTP status, body)."""
    key = venues.credentials["OKX"]
    query = f"{path}?{urlencode(params)}" if params else path
    text = orjson.dumps(body).decode() if body is not None else ""
    moment = datetime.fromtimestamp(time.time() + skew_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    headers = {
        "OK-ACCESS-KEY": key.key,
        "OK-ACCESS-PASSPHRASE": passphrase or key.passphrase,
        "OK-ACCESS-TIMESTAMP": moment,
        "OK-ACCESS-SIGN": _okx_sign(secret or key.secret, moment + method + query + text),
        "Content-Type": "application/json",
    }
    url = venues.urls["OKX"].rest + query
    async with session.request(method, url, data=text or None, headers=headers) as answer:
        return answer.status, orjson.loads(await answer.read())


def okx_login(venues: Venues, *, secret: str = "", passphrase: str = "") -> dict:
    """The signed login of OKX's private socket."""
    key, now = venues.credentials["OKX"], str(int(time.time()))
    arg = {
        "apiKey": key.key,
        "passphrase": passphrase or key.passphrase,
        "timestamp": now,
        "sign": _okx_sign(secret or key.secret, f"{now}GET/users/self/verify"),
    }
    return {"op": "login", "args": [arg]}


def _okx_sign(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()
