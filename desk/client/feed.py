"""The WebSocket half of the SDK: one socket, many subscriptions, reconnecting by itself.

After a lost connection each subscription is resumed from its last `seq`; where the desk cannot (another epoch, too
long away) it is made anew and starts with a snapshot. The desk's heartbeat comes each second: 3.5 s of silence count
as a lost connection. Whoever shows numbers must look at `status` and `age_s()`: a feed that is down is never an old
number that looks live.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec

from desk.api.frames import MSGPACK_PROTOCOL
from desk.client.credentials import Credentials
from desk.client.faults import fault_of
from desk.errors import ApiFault, Failed, Unknown

PATH = "/v1/ws"
SILENCE_S = 3.5
BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0)
QUEUE_FRAMES = 10_000


class FeedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the feed is live. `reason` says why it is not; `since_ns`: our clock, when this became so."""

    connected: bool
    epoch: str = ""
    reason: str = "not started"
    since_ns: int = 0
    reconnects: int = 0


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """One frame of a subscription; `data` as the channel's type describes it, in plain Python values."""

    kind: Literal["snapshot", "update"]
    seq: int
    ts_ns: int
    data: Any
    conflated: int = 0


class Subscription:
    """An async iterator of `Update`. A snapshot may come again at any time (reconnect): it replaces what came
    before.
    """

    def __init__(self, feed: Feed, channel: str, params: dict[str, Any]) -> None:
        self.channel = channel
        self.params = params
        self.mode: str = ""
        self.sub = 0  # the desk's number; 0 while not subscribed
        self.seq = 0
        self.epoch = ""
        self._feed = feed
        self._queue: asyncio.Queue[Update | ApiFault] = asyncio.Queue(QUEUE_FRAMES)

    def deliver(self, update: Update) -> None:
        """Called by the feed. A reader that is 10 000 frames behind gets a fault, not a hole."""
        self.seq = update.seq
        try:
            self._queue.put_nowait(update)
        except asyncio.QueueFull:
            self.fail(Failed("slow_reader", f"{QUEUE_FRAMES} frames of {self.channel} were not read in time"))

    def fail(self, fault: ApiFault) -> None:
        """End the iteration with `fault`."""
        self._feed.forget(self)
        while self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(fault)

    def __aiter__(self) -> AsyncIterator[Update]:
        return self

    async def __anext__(self) -> Update:
        item = await self._queue.get()
        if isinstance(item, ApiFault):
            raise item
        return item

    async def close(self) -> None:
        """Unsubscribe; quiet when the socket is already gone."""
        self._feed.forget(self)
        if self.sub and self._feed.status.connected:
            with contextlib.suppress(ApiFault):
                await self._feed.call("unsubscribe", sub=self.sub)


class Feed:
    """The socket. Started by the first subscription or call; `stop` ends it."""

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        session: aiohttp.ClientSession,
        *,
        codec: Literal["msgpack", "json"] = "msgpack",
        timeout_s: float = 10.0,
    ) -> None:
        parts = urlsplit(url)
        scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
        self._url = urlunsplit((scheme, parts.netloc, PATH, "", ""))
        self._credentials = credentials
        self._session = session
        self._wants_msgpack = codec == "msgpack"
        self._msgpack = False
        self._timeout_s = timeout_s
        self._ids = itertools.count(1)
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._runner: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._expecting: dict[int, Subscription] = {}  # request id -> subscription the answer is for
        self._subscriptions: list[Subscription] = []
        self._by_sub: dict[int, Subscription] = {}
        self._failures = 0
        self._last_frame = time.monotonic()
        self._fatal: ApiFault | None = None
        self.status = FeedStatus(connected=False)
        self.on_status: list[Callable[[FeedStatus], None]] = []

    # ---- what a user calls ----

    def age_s(self) -> float:
        """Seconds since the last frame of any kind; a healthy feed stays below about 1.1."""
        return time.monotonic() - self._last_frame

    async def call(self, op: str, **fields: Any) -> Any:
        """Send one request frame and return `data` of its answer (or the whole answer, where it has no data)."""
        await self._ready()
        answer = await self._request({"op": op, **fields})
        return answer.get("data", answer)

    async def subscribe(self, channel: str, params: dict[str, Any] | None = None) -> Subscription:
        """Subscribe now and after every reconnect; raises what the desk answers the first time."""
        await self._ready()
        return await self.add(Subscription(self, channel, params or {}))

    async def add(self, subscription: Subscription) -> Subscription:
        """Subscribe with a subscription object of the caller's own kind."""
        await self._ready()
        await self._subscribe(subscription)
        if subscription not in self._subscriptions:
            self._subscriptions.append(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """Do not bring this subscription back after a reconnect."""
        with contextlib.suppress(ValueError):
            self._subscriptions.remove(subscription)
        self._by_sub.pop(subscription.sub, None)

    async def stop(self) -> None:
        """Close the socket and end the reconnecting."""
        if self._runner is not None:
            self._runner.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._runner
            self._runner = None
        if self._ws is not None:
            await self._ws.close()
        self._tell(False, "stopped")
        for subscription in list(self._subscriptions):
            subscription.fail(Failed("feed_stopped", "the feed was stopped"))

    # ---- the connection ----

    async def _ready(self) -> None:
        if self._runner is None:
            self._runner = asyncio.create_task(self._run(), name="kerb-feed")
        await self._up.wait()
        if self._fatal is not None:
            raise self._fatal

    def _tell(self, connected: bool, reason: str, epoch: str = "") -> None:
        if connected == self.status.connected and reason == self.status.reason:
            return
        lost = self.status.connected and not connected
        self.status = FeedStatus(
            connected=connected,
            epoch=epoch or self.status.epoch,
            reason=reason,
            since_ns=time.time_ns(),
            reconnects=self.status.reconnects + lost,
        )
        for listener in self.on_status:
            listener(self.status)

    async def _run(self) -> None:
        while True:
            try:
                await self._connected()
                reason = "closed by the desk"
            except ApiFault as fault:
                if not self._credentials.learn(fault) and fault.kind == "invalid":
                    self._give_up(fault)
                    return
                reason = fault.message
            except TimeoutError:
                reason = "the desk is silent"
            except (aiohttp.ClientError, OSError, msgspec.DecodeError) as lost:
                reason = f"{type(lost).__name__}: {lost}".removesuffix(": ")
            finally:
                self._ws = None
            self._drop(reason)
            pause = BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)]
            self._failures += 1
            await asyncio.sleep(pause * random.uniform(0.7, 1.3))

    def _give_up(self, fault: ApiFault) -> None:
        self._fatal = fault
        self._tell(False, fault.message)
        self._up.set()
        for subscription in list(self._subscriptions):
            subscription.fail(fault)

    def _drop(self, reason: str) -> None:
        if self._fatal is None:
            self._up.clear()
        self._tell(False, reason)
        self._by_sub.clear()
        waiting, self._waiting = self._waiting, {}
        self._expecting.clear()
        for future in waiting.values():
            if not future.done():
                future.set_exception(Unknown("no_answer", f"the connection was lost before an answer: {reason}"))

    async def _connected(self) -> None:
        """Connect, authenticate, bring the subscriptions back, read until the end."""
        protocols = (MSGPACK_PROTOCOL,) if self._wants_msgpack else ()
        async with self._session.ws_connect(
            self._url, protocols=protocols, max_msg_size=0, compress=0, timeout=aiohttp.ClientWSTimeout(ws_close=1.0)
        ) as ws:
            self._msgpack = ws.protocol == MSGPACK_PROTOCOL
            await self._send(ws, self._credentials.auth_frame(PATH))
            answer = self._decode(await ws.receive(timeout=self._timeout_s))
            if answer is None:
                raise Failed("no_answer", "the desk closed the socket during authentication")
            if not answer.get("ok"):
                raise fault_of(answer.get("error", {}), 401)
            self._ws = ws
            self._failures = 0
            self._last_frame = time.monotonic()
            self._tell(True, "", answer["epoch"])
            restoring = asyncio.create_task(self._restore(), name="kerb-feed-restore")
            try:
                while (frame := self._decode(await ws.receive(timeout=SILENCE_S))) is not None:
                    self._last_frame = time.monotonic()
                    self._take(frame)
            finally:
                restoring.cancel()

    async def _restore(self) -> None:
        for subscription in list(self._subscriptions):
            try:
                if not (subscription.epoch == self.status.epoch and await self._resume(subscription)):
                    await self._subscribe(subscription)
            except Unknown:
                return
            except ApiFault as fault:
                subscription.fail(fault)
        self._up.set()

    async def _resume(self, subscription: Subscription) -> bool:
        frame = {"op": "resume", "sub": subscription.sub, "seq": subscription.seq, "epoch": subscription.epoch}
        try:
            await self._request(frame, subscription)
        except Unknown:
            raise
        except ApiFault:
            return False
        return True

    async def _subscribe(self, subscription: Subscription) -> None:
        frame = {"op": "subscribe", "channel": subscription.channel, "params": subscription.params}
        await self._request(frame, subscription)

    # ---- frames ----

    async def _request(self, frame: dict[str, Any], subscription: Subscription | None = None) -> dict[str, Any]:
        ws = self._ws
        if ws is None:
            raise Failed("not_connected", f"the feed is down: {self.status.reason}")
        number = next(self._ids)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        if subscription is not None:
            self._expecting[number] = subscription
        try:
            await self._send(ws, {**frame, "id": number})
            answer = await asyncio.wait_for(future, self._timeout_s)
        except TimeoutError:
            raise Unknown("no_answer", f"no answer to {frame['op']} within {self._timeout_s:g} s") from None
        except (aiohttp.ClientError, ConnectionError) as lost:
            raise Unknown("no_answer", f"the connection was lost: {lost}") from lost
        finally:
            self._waiting.pop(number, None)
            self._expecting.pop(number, None)
        if not answer.get("ok"):
            raise fault_of(answer.get("error", {}))
        return answer

    async def _send(self, ws: aiohttp.ClientWebSocketResponse, frame: dict[str, Any]) -> None:
        if self._msgpack:
            await ws.send_bytes(msgspec.msgpack.encode(frame))
        else:
            await ws.send_str(msgspec.json.encode(frame).decode())

    @staticmethod
    def _decode(message: aiohttp.WSMessage) -> dict[str, Any] | None:
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                return msgspec.json.decode(message.data)
            case aiohttp.WSMsgType.BINARY:
                return msgspec.msgpack.decode(message.data)
            case _:
                return None

    def _take(self, frame: dict[str, Any]) -> None:
        if "ok" in frame:
            number = frame.get("id")
            subscription = self._expecting.get(number)
            if subscription is not None and frame["ok"]:
                self._bind(subscription, frame)  # before its first frame, which follows at once
            future = self._waiting.get(number)
            if future is not None and not future.done():
                future.set_result(frame)
        elif "sub" in frame:
            subscription = self._by_sub.get(frame["sub"])
            if subscription is None:
                return
            if frame["kind"] == "update" and frame["seq"] != subscription.seq + 1:
                subscription.fail(Failed("sequence", f"seq {frame['seq']} after {subscription.seq}"))
                return
            subscription.deliver(msgspec.convert(frame, Update))

    def _bind(self, subscription: Subscription, answer: dict[str, Any]) -> None:
        subscription.sub = answer["sub"]
        subscription.mode = answer.get("mode", subscription.mode)
        subscription.epoch = self.status.epoch
        if answer.get("op") != "resume":
            subscription.seq = 0
        self._by_sub[subscription.sub] = subscription
