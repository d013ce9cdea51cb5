"""A client of the desk written from the contract's text alone: it signs, speaks HTTP and WebSocket by itself, and imports nothing of Kerb.

What it shares with the product is only the wire. REST goes over `http.client`, so that every byte of path and body is as given; a
`Socket` sorts what it receives: answers by request id, frames by subscription, heartbeats by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import http.client
import itertools
import json
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec

MSGPACK = "kerb.msgpack.v1"
PATIENCE_S = 10.0


def sign(secret: str, timestamp: str, nonce: str, method: str, path: str, body: bytes = b"") -> str:
    """CONTRACT 3.1: five lines joined by newlines, HMAC-SHA256, lower-case hex."""
    text = "\n".join((timestamp, nonce, method, path, hashlib.sha256(body).hexdigest()))
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def now_ms() -> str:
    return str(time.time_ns() // 1_000_000)


class Answer(NamedTuple):
    """What came back. `body` is the decoded JSON, None when it is none."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    body: Any


class Outsider:
    """One key. Every call opens a connection of its own: calls of many threads are truly concurrent."""

    def __init__(self, url: str, key: str, secret: str, client_id: str = "") -> None:
        self.url = url
        self.key = key
        self.secret = secret
        self.client_id = client_id
        self._ids = itertools.count(1)
        self._run = secrets.token_hex(4)

    def new_id(self, prefix: str) -> str:
        """An id no other test uses."""
        return f"{prefix}-{self._run}-{next(self._ids)}"

    def headers(self, method: str, path: str, body: bytes = b"", **changed: str) -> dict[str, str]:
        """The four headers; `changed` (`timestamp`, `nonce`, `secret`, `key`) goes into the signature too."""
        timestamp, nonce = changed.get("timestamp", now_ms()), changed.get("nonce", secrets.token_hex(8))
        return {
            "KERB-KEY": changed.get("key", self.key),
            "KERB-TIMESTAMP": timestamp,
            "KERB-NONCE": nonce,
            "KERB-SIGN": sign(changed.get("secret", self.secret), timestamp, nonce, method, path, body),
        }

    def call(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        content_type: str | None = "application/json",
    ) -> Answer:
        """One request. `headers` replaces the signature; `body` is sent as it is when it is bytes."""
        raw = json.dumps(body).encode() if isinstance(body, Mapping) else body or b""
        sent = dict(self.headers(method, path, raw) if headers is None else headers)
        if raw and content_type is not None:
            sent["Content-Type"] = content_type
        return send(self.url, method, path, raw, sent)

    def get(self, path: str) -> Answer:
        return self.call("GET", path)

    def post(self, path: str, body: bytes | Mapping[str, Any]) -> Answer:
        return self.call("POST", path, body)

    def delete(self, path: str) -> Answer:
        return self.call("DELETE", path)

    # ---- the words of CONTRACT 3.2 ----

    def ask(self, side: str = "two_way", quantity: str = "0.01", **fields: Any) -> Answer:
        """`POST /v1/rfqs` with a new `client_rfq_id` unless one is given."""
        body = {"client_rfq_id": self.new_id("c"), "instrument": "BTC/USDT", "side": side, "quantity": quantity}
        return self.post("/v1/rfqs", {**body, **fields})

    def accept(self, quote_id: str, **fields: Any) -> Answer:
        """`POST /v1/quotes/{quote_id}/accept` with a new `client_order_id` unless one is given."""
        return self.post(f"/v1/quotes/{quote_id}/accept", {"client_order_id": self.new_id("o"), **fields})

    # ---- CONTRACT 4 ----

    def auth_frame(self, **changed: Any) -> dict[str, Any]:
        """The first frame."""
        timestamp, nonce = now_ms(), secrets.token_hex(8)
        signature = sign(self.secret, timestamp, nonce, "WS", "/v1/ws")
        return {
            "op": "auth",
            "key": self.key,
            "timestamp": timestamp,
            "nonce": nonce,
            "sign": signature,
            **changed,
        }

    @contextlib.asynccontextmanager
    async def socket(self, msgpack: bool = False) -> AsyncIterator[Socket]:
        """An authenticated socket."""
        async with aiohttp.ClientSession() as session:
            ws = await session.ws_connect(
                self.url.replace("http", "ws", 1) + "/v1/ws", protocols=(MSGPACK,) if msgpack else ()
            )
            socket = Socket(ws, msgpack)
            await socket.send(self.auth_frame())
            answer = await socket.receive()
            assert answer["ok"] is True, answer
            socket.epoch = answer["epoch"]
            try:
                yield socket
            finally:
                await socket.close()


def send(url: str, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """One HTTP request on a connection of its own; an answer without JSON has `body` None."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=PATIENCE_S)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body or method in ("POST", "PUT"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        response = connection.getresponse()
        raw = response.read()
        told = {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()
    decoded = None
    if told.get("content-type", "").startswith("application/json"):
        decoded = json.loads(raw)
    return Answer(response.status, told, raw, decoded)


class Socket:
    """Frames of one WebSocket. `read` sorts until what is waited for is there; nothing is read by itself."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, msgpack: bool) -> None:
        self.ws = ws
        self.epoch = ""
        self.answers: dict[Any, dict[str, Any]] = {}
        self.frames: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self.heartbeats: list[dict[str, Any]] = []
        self._msgpack = msgpack
        self._ids = itertools.count(1)

    async def send(self, frame: Mapping[str, Any]) -> None:
        """One frame, in the codec of this socket."""
        if self._msgpack:
            await self.ws.send_bytes(msgspec.msgpack.encode(frame))
        else:
            await self.ws.send_str(json.dumps(frame))

    async def receive(self) -> dict[str, Any]:
        """The next frame, whatever it is. A frame in the other codec, or a close, fails."""
        message = await self.ws.receive(timeout=PATIENCE_S)
        wanted = aiohttp.WSMsgType.BINARY if self._msgpack else aiohttp.WSMsgType.TEXT
        assert message.type is wanted, (message.type, message.data, message.extra)
        frame = msgspec.msgpack.decode(message.data) if self._msgpack else json.loads(message.data)
        return dict(frame)

    async def read(self, until: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
        """Sort frames until `until()` is true; its value."""
        async with asyncio.timeout(within_s):
            while not (found := until()):
                frame = await self.receive()
                if "seq" in frame and "sub" in frame and "ok" not in frame:
                    self.frames[frame["sub"]].append(frame)
                elif frame.get("kind") == "heartbeat":
                    self.heartbeats.append(frame)
                else:
                    self.answers[frame.get("id")] = frame
        return found

    async def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send one request and wait for its one answer."""
        number = str(next(self._ids))
        await self.send({"op": op, "id": number, **fields})
        answer: dict[str, Any] = await self.read(lambda: self.answers.get(number))
        return answer

    async def subscribe(self, channel: str, **params: Any) -> int:
        """Subscribe, or fail; the subscription's number."""
        answer = await self.ask("subscribe", channel=channel, params=params)
        assert answer["ok"] is True, answer
        assert answer["channel"] == channel
        number: int = answer["sub"]
        return number

    async def at_least(self, sub: int, count: int, within_s: float = PATIENCE_S) -> list[dict[str, Any]]:
        """The frames of a subscription once there are `count`."""
        await self.read(lambda: len(self.frames[sub]) >= count, within_s)
        return self.frames[sub]

    async def close(self) -> None:
        """Hang up."""
        await self.ws.close()
