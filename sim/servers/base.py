"""What the exchange servers share: sockets on loopback, WebSocket peers with bounded queues, the control endpoint, faults.

A server binds 127.0.0.1 only. Frames to one peer keep their order; a peer that falls `QUEUE_FRAMES` behind is disconnected, as venues do.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import ClassVar

import msgspec
import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from sim.events import VenueEvent
from sim.servers.faults import Fault, FaultOrder, Faults
from sim.servers.limits import VenueLimits
from sim.servers.matching import MatchingCore

QUEUE_FRAMES = 20_000
TICK_S = 0.05


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """An API key of a loopback venue."""

    key: str
    secret: str
    passphrase: str = ""


class Peer:
    """One WebSocket client: what it subscribed to, and the frames that wait for it."""

    def __init__(self, socket: web.WebSocketResponse, faults: Faults) -> None:
        self.socket = socket
        self.topics: set[str] = set()
        self.state: dict[str, object] = {}
        self.half_open = False  # its other end hears nothing of us any more, and we nothing of it
        self._faults = faults
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(QUEUE_FRAMES)

    def send(self, frame: str) -> None:
        """Queue a frame; a peer that is too slow loses its connection."""
        if self.half_open or self._faults.silent:
            return
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            self.abort()

    def abort(self) -> None:
        """Tear the connection down without a close frame."""
        request_transport = self.socket._req.transport if self.socket._req is not None else None
        if request_transport is not None:
            request_transport.abort()

    async def pump(self) -> None:
        """Write queued frames until the socket closes."""
        while (frame := await self._queue.get()) is not None:
            await self.socket.send_str(frame)
        await self.socket.close(code=WSCloseCode.GOING_AWAY)

    def finish(self) -> None:
        """Close once what is queued has been written."""
        try:
            self._queue.put_nowait(None)
        except asyncio.QueueFull:
            self.abort()


class VenueServer(ABC):
    """Base of a loopback exchange. Subclasses add routes and turn market events and order changes into their dialect."""

    venue: ClassVar[str]
    limits_of: ClassVar[type[VenueLimits] | None] = None

    def __init__(self, core: MatchingCore, credentials: Credentials) -> None:
        self.core = core
        self.credentials = credentials
        self.faults = Faults()
        self.limits: VenueLimits | None = None
        self.peers: set[Peer] = set()
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._hanging = asyncio.Event()
        self._late: dict[str, list[str]] = {}  # by topic: frames that go after the next one
        self.app = web.Application(middlewares=[self._fault_middleware], client_max_size=1 << 20)
        self.app.router.add_post("/_control", self._control)
        self.app.router.add_get("/_control", self._control_state)

    def enforce(self) -> None:
        """Hold clients to the venue's documented rate limits from now on."""
        if self.limits_of is None:
            raise ValueError(f"the limits of {self.venue} are not modelled")
        self.limits = self.limits_of()

    def over_limit(self, op: str, params: dict) -> bool:
        """Whether a request over a socket is one too many."""
        return self.limits is not None and not self.limits.allows_socket(op, params)

    # --- for subclasses ----------------------------------------------------------------------------------------------------------------

    @abstractmethod
    def on_market(self, event: VenueEvent) -> None:
        """Take in a market event and publish what follows from it."""

    @abstractmethod
    async def on_message(self, peer: Peer, message: dict, path: str) -> None:
        """A JSON message of a WebSocket client."""

    @abstractmethod
    def unavailable(self) -> web.Response:
        """The venue's answer when it is in trouble."""

    def too_many(self, request: web.Request) -> web.Response:
        """The venue's answer to one request too many; here as most gateways say it."""
        return web.Response(status=429, text="Too Many Requests", headers={"Retry-After": "1"})

    def closed(self) -> web.Response:
        """The venue's answer while it is closed for maintenance."""
        return self.unavailable()

    def farewell(self, peer: Peer) -> None:
        """What the venue says on a socket before it ends it for maintenance."""

    def greet(self, peer: Peer, path: str) -> None:
        """Called when a WebSocket has opened."""

    def keepalive(self, peer: Peer, text: str) -> bool:
        """Whether a text frame is the venue's own keepalive word (and was answered), not a message."""
        return False

    async def background(self) -> None:
        """Periodic work while the server runs."""

    def on_clock(self) -> None:
        """Called every `TICK_S`: what runs out by the venue's clock."""

    def now_ns(self) -> int:
        """The venue's clock, for what it tells the time of and what it holds signed requests to."""
        return time.time_ns() + self.faults.skew_ns

    # --- life --------------------------------------------------------------------------------------------------------------------------

    async def start(self, port: int = 0) -> tuple[str, str]:
        """Bind 127.0.0.1 (`port` when it is free, else any) and serve; answers (REST base URL, WebSocket base URL)."""
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        try:
            site = web.TCPSite(self._runner, "127.0.0.1", port)
            await site.start()
        except OSError:
            site = web.TCPSite(self._runner, "127.0.0.1", 0)
            await site.start()
        self.port = self._runner.addresses[0][1]
        self._task = asyncio.create_task(self._work())
        return f"http://127.0.0.1:{self.port}", f"ws://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """Close every socket and the journal."""
        self._hanging.set()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        for peer in list(self.peers):
            peer.abort()
        if self._runner is not None:
            await self._runner.cleanup()
        self.core.close()

    async def _work(self) -> None:
        """The venue's own periodic work, and its clock."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.background())
            tasks.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.core.expire()
            self.on_clock()

    # --- sockets -----------------------------------------------------------------------------------------------------------------------

    async def serve_socket(self, request: web.Request) -> web.WebSocketResponse:
        """One WebSocket connection, from its opening to its end."""
        socket = web.WebSocketResponse(autoping=False, max_msg_size=1 << 20)
        await socket.prepare(request)
        peer = Peer(socket, self.faults)
        self.peers.add(peer)
        pump = asyncio.create_task(peer.pump())
        try:
            if self.faults.lasting(Fault.DISCONNECT_STORM):
                peer.abort()
            self.greet(peer, request.path)
            async for raw in socket:
                match raw.type:
                    case _ if peer.half_open:
                        pass
                    case WSMsgType.PING:
                        if not self.faults.silent:
                            await socket.pong(raw.data)
                    case WSMsgType.TEXT if self.keepalive(peer, raw.data):
                        pass
                    case WSMsgType.TEXT | WSMsgType.BINARY:
                        try:
                            message = orjson.loads(raw.data)
                        except orjson.JSONDecodeError:
                            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Invalid JSON")
                            break
                        if isinstance(message, dict):
                            await self.on_message(peer, message, request.path)
        except ConnectionError:
            pass
        finally:
            self.peers.discard(peer)
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError, RuntimeError):
                await pump
        return socket

    def publish(self, topic: str, frame: str, *, symbol: str = "", market: bool = True) -> None:
        """Send a frame to every subscriber of a topic, unless a fault says otherwise."""
        to = [peer for peer in self.peers if topic in peer.topics]
        if not to or self.faults.silent:
            return
        for said in self._disturbed(topic, frame, symbol, "market" if market else "private"):
            for peer in to:
                peer.send(said)

    def _disturbed(self, topic: str, frame: str, symbol: str, scope: str) -> list[str]:
        """What is really sent when a frame is due on a topic."""

        def due(fault: Fault) -> bool:
            return self.faults.take(fault, symbol=symbol, scope=scope) is not None

        if due(Fault.DROP_FRAMES):
            return []
        if due(Fault.TRUNCATE_FRAME):
            frame = frame[: len(frame) // 2]
        if due(Fault.GARBAGE_FRAME):
            frame = "{" + frame[::-1]
        frames = [frame, frame] if due(Fault.DUPLICATE_FRAMES) else [frame]
        if topic in self._late:
            return frames + self._late.pop(topic)
        if due(Fault.REORDER_FRAMES):
            self._late[topic] = frames
            return []
        return frames

    async def hang(self) -> None:
        """Never answer: wait until the client has gone or the server stops."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hanging.wait(), 120)

    # --- control -----------------------------------------------------------------------------------------------------------------------

    @web.middleware
    async def _fault_middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path == "/_control":
            return await handler(request)
        upgrade = "upgrade" in request.headers.get("Connection", "").lower()
        if self.faults.lasting(Fault.MAINTENANCE):
            return self.closed()
        return await handler(request) if upgrade else await self._disturbed_rest(request, handler)

    async def _disturbed_rest(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        faults, scope = self.faults, self.scope(request)
        if slow := faults.take(Fault.SLOW_REST, scope=scope):
            await asyncio.sleep(slow.ms / 1000)
        if faults.take(Fault.HTTP_503, scope=scope):
            return self.unavailable()
        if faults.take(Fault.HTTP_502, scope=scope):
            return _bad_gateway()
        if faults.take(Fault.HTTP_429, scope=scope):
            return self.too_many(request)
        if self.limits is not None and not self.limits.allows(request, await request.read()):
            answer: web.StreamResponse = self.too_many(request)
        else:
            answer = await handler(request)
        if self.limits is not None and not answer.prepared:
            answer.headers.update(self.limits.headers(request))
        if faults.take(Fault.HTTP_502_AFTER, scope=scope):
            return _bad_gateway()
        if faults.take(Fault.RESET_AFTER, scope=scope) and request.transport is not None:
            request.transport.abort()
        return answer

    def hangs(self, scope: str, symbol: str) -> bool:
        """Whether the answer to a request that was done ("order", "amend") is to be withheld."""
        return self.faults.take(Fault.HANG_AFTER_ACCEPT, symbol=symbol, scope=scope)

    def scope(self, request: web.Request) -> str:
        """The scope of a REST request for faults: "order", "amend", or "" of all others."""
        changes = any(word in request.path.lower() for word in ("amend", "/edit"))
        return "order" if self.is_order(request) else "amend" if changes else ""

    def is_order(self, request: web.Request) -> bool:
        """Whether a REST request places an order (scope "order" of faults)."""
        return False

    async def _control(self, request: web.Request) -> web.Response:
        try:
            wanted = msgspec.json.decode(await request.read(), type=FaultOrder)
        except msgspec.MsgspecError as error:
            return web.json_response({"error": str(error)}, status=400)
        if wanted.venue and wanted.venue != self.venue:
            return web.json_response({"error": f"this is {self.venue}"}, status=400)
        self.disturb(wanted)
        return web.json_response({"ok": True, "pending": self.faults.pending()})

    def disturb(self, wanted: FaultOrder) -> None:
        """Do, or remember, what a fault asks for."""
        self.faults.order(wanted)
        match wanted.fault:
            case Fault.DISCONNECT | Fault.DISCONNECT_STORM:
                for peer in list(self.peers):
                    peer.abort()
            case Fault.HALF_OPEN:
                for peer in self.peers:
                    peer.half_open = True
            case Fault.MAINTENANCE:
                for peer in list(self.peers):
                    self.farewell(peer)
                    peer.finish()

    async def _control_state(self, request: web.Request) -> web.Response:
        books = {
            symbol: {"live": book.live, "reason": book.reason, "levels": [len(book.shown.bids), len(book.shown.asks)]}
            for symbol, book in self.core.books.items()
        }
        body = {"venue": self.venue, "pending": self.faults.pending(), "peers": len(self.peers), "books": books}
        body["subscriptions"] = sum(len(peer.topics) for peer in self.peers)
        return web.json_response(body)


def _bad_gateway() -> web.Response:
    page = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
    return web.Response(status=502, text=page, content_type="text/html")
