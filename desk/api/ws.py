"""`GET /v1/ws`: takes sockets in, beats their hearts, and hands subscriptions from a dead socket to its successor."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from aiohttp import web

from desk.api.channels import Feeds
from desk.api.codec import PROTOCOLS
from desk.api.context import Api
from desk.api.desk_feeds import StateSource
from desk.api.frames import HEARTBEAT_S, CloseCode
from desk.api.market_feeds import MarketHub
from desk.api.session import Session
from desk.api.subscriptions import Registry, Subscription
from desk.errors import Invalid, Limited

MAX_SOCKETS = 1_000
MAX_FRAME_BYTES = 64 * 1024
SEND_BUFFER_BYTES = (
    256 * 1024
)  # what a slow consumer may have in flight; beyond it market data is conflated, not queued
STALL_S = 10.0  # a socket that takes nothing for so long is cut
PING_S = 20.0
CLOSING_S = 3.5


class Sockets:
    """All WebSockets of a server. Loop-thread only."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.hub = MarketHub(api.market, api.clock_ns)
        self.feeds = Feeds(api, self.hub, StateSource(api))
        self.registry = Registry(api.epoch)
        self.stall_s = STALL_S
        self._sessions: set[Session] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._ticker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin the heartbeat."""
        self._ticker = asyncio.create_task(self._tick(), name="kerb-ws-heartbeat")

    def count(self) -> int:
        """Sockets open now."""
        return len(self._sessions)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket to its end."""
        ws = web.WebSocketResponse(
            protocols=PROTOCOLS, max_msg_size=MAX_FRAME_BYTES, heartbeat=PING_S, timeout=2.0, compress=False
        )
        if not ws.can_prepare(request).ok:
            raise Invalid("upgrade_required", "this route is a WebSocket", status=426)
        if len(self._sessions) >= MAX_SOCKETS:
            raise Limited("too_many_sockets", f"{MAX_SOCKETS} sockets are open", details={"retry_after_s": 5})
        await ws.prepare(request)
        _bound_send_buffer(request)
        session = Session(ws, request, self)
        self._sessions.add(session)
        self._empty.clear()
        try:
            await session.run()
        finally:
            self._sessions.discard(session)
            if not self._sessions:
                self._empty.set()
        return ws

    def detach(self, subscription: Subscription) -> None:
        """Take a subscription from the socket it is on, if it is on one."""
        for session in self._sessions:
            if session.holds(subscription):
                session.release(subscription)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + HEARTBEAT_S, loop.time())
            await asyncio.sleep(due - loop.time())
            for session in list(self._sessions):
                session.tick()

    async def close(self) -> None:
        """Say goodbye to every socket."""
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        for session in list(self._sessions):
            session.close_soon(CloseCode.GOING_AWAY, "the desk stops")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_S):
                await self._empty.wait()
        self.registry.close()
        self.hub.close()


def _bound_send_buffer(request: web.Request) -> None:
    transport = request.transport
    raw = transport.get_extra_info("socket") if transport is not None else None
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
