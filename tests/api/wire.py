"""An independent client: it signs by itself from the contract's text; nothing of the product's signing or SDK is used in it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec


class Wire:
    """A client written from the contract alone: aiohttp, hashlib, json."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str, secret: str) -> None:
        self.session = session
        self.url = url
        self.key = key
        self.secret = secret
        self._nonces = itertools.count(1)

    def signature(self, method: str, path: str, body: bytes, timestamp: str, nonce: str) -> str:
        text = "\n".join((timestamp, nonce, method, path, hashlib.sha256(body).hexdigest()))
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    def headers(self, method: str, path: str, body: bytes = b"", **given: str) -> dict[str, str]:
        timestamp = given.get("timestamp", str(time.time_ns() // 1_000_000))
        nonce = given.get("nonce", f"n{id(self)}-{next(self._nonces)}")
        return {
            "KERB-KEY": self.key,
            "KERB-TIMESTAMP": timestamp,
            "KERB-NONCE": nonce,
            "KERB-SIGN": given.get("sign") or self.signature(method, path, body, timestamp, nonce),
        }

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any, Any]:
        """(status, decoded answer, headers). `headers` given: exactly these, for tampered requests."""
        content = raw if raw is not None else (json.dumps(body).encode() if body is not None else b"")
        sent = dict(headers if headers is not None else self.headers(method, path, content))
        if content:
            sent.setdefault("Content-Type", "application/json")
        url = aiohttp.client.URL(self.url + path, encoded=True)
        async with self.session.request(method, url, data=content or None, headers=sent) as response:
            text = await response.read()
            decoded = json.loads(text) if response.content_type == "application/json" and text else text.decode()
            return response.status, decoded, response.headers

    @contextlib.asynccontextmanager
    async def socket(self, *, msgpack: bool = False, auth: bool = True) -> AsyncIterator[Socket]:
        """An authenticated WebSocket."""
        protocols = ("kerb.msgpack.v1",) if msgpack else ()
        async with self.session.ws_connect(self.url + "/v1/ws", protocols=protocols, max_msg_size=0) as ws:
            socket = Socket(ws, msgpack)
            if auth:
                await socket.send(self.auth_frame())
                answer = await socket.receive()
                assert answer["ok"] and answer["op"] == "auth", answer
                socket.epoch = answer["epoch"]
            yield socket

    def auth_frame(self, **given: str) -> dict[str, str]:
        headers = self.headers("WS", "/v1/ws", **given)
        names = {"key": "KERB-KEY", "timestamp": "KERB-TIMESTAMP", "nonce": "KERB-NONCE", "sign": "KERB-SIGN"}
        return {"op": "auth", **{name: headers[header] for name, header in names.items()}}


class Socket:
    """Frames of one WebSocket; pushes and replies are kept apart, heartbeats are kept too."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, msgpack: bool) -> None:
        self.ws = ws
        self.msgpack = msgpack
        self.epoch = ""
        self.pushes: list[dict[str, Any]] = []
        self.heartbeats: list[dict[str, Any]] = []

    async def send(self, frame: Any) -> None:
        if self.msgpack:
            await self.ws.send_bytes(msgspec.msgpack.encode(frame))
        else:
            await self.ws.send_str(json.dumps(frame))

    async def receive(self, timeout_s: float = 5.0) -> dict[str, Any]:
        message = await self.ws.receive(timeout=timeout_s)
        if message.type is aiohttp.WSMsgType.TEXT:
            return json.loads(message.data)
        assert message.type is aiohttp.WSMsgType.BINARY, message
        return msgspec.msgpack.decode(message.data)

    async def ask(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return its reply; what comes between is kept."""
        await self.send(frame)
        while True:
            answer = await self.receive()
            if "ok" in answer:
                return answer
            self._keep(answer)

    async def push(self) -> dict[str, Any]:
        """The next frame of any subscription."""
        async with asyncio.timeout(10):
            while not self.pushes:
                self._keep(await self.receive())
        return self.pushes.pop(0)

    async def heartbeat(self) -> dict[str, Any]:
        """The next heartbeat."""
        while not self.heartbeats:
            self._keep(await self.receive())
        return self.heartbeats.pop(0)

    def _keep(self, frame: dict[str, Any]) -> None:
        (self.heartbeats if frame.get("kind") == "heartbeat" else self.pushes).append(frame)
