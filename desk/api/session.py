"""One WebSocket: authentication, then requests and subscriptions until either side closes.

    opened ──auth within 5 s──► ready ──► closed
       └──────────────────────────────────► closed 4401

Every request frame gets exactly one `Reply`. RFQs and accepts do not wait for each other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import aiohttp
import msgspec
from aiohttp import web

from desk.api.channels import Feeds, open_channel
from desk.api.codec import codec_of
from desk.api.context import Api, outcome_unknown
from desk.api.convert import order_of, rfq_of, trade_of
from desk.api.decoding import convert_fields
from desk.api.faults import error_body, new_request_id, unexpected
from desk.api.frames import AUTH_TIMEOUT_S, CloseCode, FrameId, Heartbeat, Reply
from desk.api.messages import AcceptRequest, OrderRequest, RfqRequest
from desk.api.outbox import Outbox, Rendered
from desk.api.routing import require
from desk.api.subscriptions import Registry, Subscription
from desk.errors import ApiFault, Invalid, Limited
from desk.service import Caller

MAX_SUBSCRIPTIONS = 200
MAX_IN_FLIGHT = 500  # RFQs and accepts of one socket waiting for the desk
MAX_MALFORMED = 20
CLOSE_WAIT_S = 3.0


class Host(Protocol):
    """Who holds all sockets of a server."""

    api: Api
    feeds: Feeds
    registry: Registry
    stall_s: float

    def detach(self, subscription: Subscription) -> None: ...


class Session:
    """Lives as long as its socket."""

    def __init__(self, ws: web.WebSocketResponse, request: web.Request, host: Host) -> None:
        self._ws = ws
        self._request = request
        self._host = host
        self._api: Api = host.api
        self.codec = codec_of(ws.ws_protocol)
        self.outbox = Outbox(ws, self.codec, self, self._api.metrics)
        self.caller: Caller | None = None
        self._subscriptions: dict[int, Subscription] = {}
        self._in_flight = 0
        self._malformed = 0
        self._closing: asyncio.Task[None] | None = None

    # ---- life ----

    async def run(self) -> None:
        """Serve the socket until it closes."""
        writer = asyncio.create_task(self._write(), name="kerb-ws-writer")
        try:
            if await self._authenticate():
                async for message in self._ws:
                    if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                        self._receive(message)
        finally:
            self.outbox.stop()
            for subscription in self._subscriptions.values():
                self._host.registry.park(subscription)
            self._subscriptions.clear()
            if self._closing is not None:
                await self._closing
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self.outbox.run()

    async def _authenticate(self) -> bool:
        try:
            async with asyncio.timeout(AUTH_TIMEOUT_S):
                message = await self._ws.receive()
        except TimeoutError:
            await self._close(CloseCode.UNAUTHORIZED, "no auth frame within 5 s")
            return False
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            return False
        request_id = new_request_id()
        frame: dict[str, Any] = {}
        try:
            frame = self.codec.decode(message)
            self.caller = self._check(frame)
        except ApiFault as fault:
            self._api.metrics.count("kerb_auth_failures_total", (("code", fault.code),))
            reply = Reply(ok=False, op="auth", id=_id_of(frame), error=error_body(fault, request_id))
            with contextlib.suppress(ConnectionError, RuntimeError):
                await self._ws.send_frame(self.codec.encode(reply), self.codec.opcode)
            await self._close(CloseCode.UNAUTHORIZED, fault.code)
            return False
        self.outbox.put(Reply(ok=True, op="auth", id=_id_of(frame), epoch=self._api.epoch))
        return True

    def _check(self, frame: Mapping[str, Any]) -> Caller:
        if frame.get("op") != "auth":
            raise Invalid("auth_missing", "the first frame is an auth frame", status=401)

        def field(name: str) -> str | None:
            value = frame.get(name)
            return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None

        return self._api.authenticator.check(
            field("key"),
            field("timestamp"),
            field("nonce"),
            field("sign"),
            method="WS",
            path=self._request.raw_path,
            address=self._request.remote or None,
        )

    def close_soon(self, code: CloseCode, reason: str) -> None:
        """Close with a reason; the connection is cut when the other side does not read it in time."""
        self.outbox.stop()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(code, reason), name="kerb-ws-close")

    async def _close(self, code: CloseCode, reason: str) -> None:
        try:
            async with asyncio.timeout(CLOSE_WAIT_S):
                await self._ws.close(code=code, message=reason.encode()[:120])
        except (TimeoutError, ConnectionError, RuntimeError):
            if (transport := self._request.transport) is not None:
                transport.abort()

    def overflow(self) -> None:
        """The outbox is full of frames that must not be dropped."""
        self._api.metrics.count("kerb_ws_slow_disconnects_total")
        self.close_soon(CloseCode.SLOW_CONSUMER, "slow consumer: events were not read in time")

    def render_failed(self, subscription: Rendered, _fault: Exception) -> None:
        """A feed has a bug: say so, end it, keep the others."""
        self._subscriptions.pop(subscription.number, None)
        self._host.registry.drop(subscription)
        fault = unexpected(f"channel {subscription.channel}", request_id := new_request_id())
        error = error_body(fault, request_id)
        self.outbox.put(Reply(ok=False, channel=subscription.channel, sub=subscription.number, error=error))

    def tick(self) -> None:
        """Once a second: heartbeat, revoked key, a peer that stopped reading."""
        if self.caller is None or self._closing is not None:
            return
        if self._api.authenticator.active(self.caller.key_id) is None:
            self.close_soon(CloseCode.REVOKED, "the key was revoked")
        elif self.outbox.stalled_s() > self._host.stall_s:
            self.overflow()
        else:
            self.outbox.beat(self._heartbeat)

    def _heartbeat(self) -> Heartbeat:
        seqs = {str(number): subscription.seq for number, subscription in self._subscriptions.items()}
        return Heartbeat(seqs=seqs, ts_ns=self._api.clock_ns(), epoch=self._api.epoch)

    # ---- requests ----

    def _receive(self, message: aiohttp.WSMessage) -> None:
        frame: dict[str, Any] = {}
        try:
            frame = self.codec.decode(message)
            self._handle(frame)
            self._malformed = 0
        except ApiFault as fault:
            self._refuse(frame, fault)
            self._malformed += fault.code == "malformed_frame"
            if self._malformed >= MAX_MALFORMED:
                self.close_soon(CloseCode.BAD_FRAME, "too many malformed frames")
        except Exception:
            self._refuse(frame, unexpected(f"op {frame.get('op')!r}", new_request_id()))

    def _refuse(self, frame: Mapping[str, Any], fault: ApiFault) -> None:
        op, channel = frame.get("op"), frame.get("channel")
        self.outbox.put(
            Reply(
                ok=False,
                id=_id_of(frame),
                op=op if isinstance(op, str) else None,
                channel=channel if isinstance(channel, str) else None,
                mode="unsupported" if fault.code == "unsupported" else None,
                error=error_body(fault, new_request_id()),
            )
        )

    def _handle(self, frame: dict[str, Any]) -> None:
        caller = self._me
        number = _id_of(frame)
        if number is None and frame.get("id") is not None:
            raise Invalid("invalid_field", "id is text or an integer", details={"field": "id"})
        op = frame.get("op")
        if op != "ping":
            self._api.authenticator.count(caller.key_id)
        match op:
            case "ping":
                _only(frame, ())
                self.outbox.put(Reply(ok=True, op="pong", id=number))
            case "subscribe":
                _only(frame, ("channel", "params"))
                self._subscribe(frame, number)
            case "unsubscribe":
                _only(frame, ("sub",))
                self._unsubscribe(frame, number)
            case "resume":
                _only(frame, ("sub", "seq", "epoch"))
                self._resume(frame, number)
            case "rfq":
                require(caller, ("quote",))
                body = convert_fields(_body(frame), RfqRequest)
                self._ask("rfq", number, lambda reply: self._api.service.request_quote(caller, body, reply), rfq_of)
            case "accept":
                require(caller, ("trade",))
                fields = _body(frame)
                quote_id = fields.pop("quote_id", None)
                if not isinstance(quote_id, str) or not quote_id:
                    raise Invalid("missing_field", "quote_id is missing", details={"field": "quote_id"})
                order = convert_fields(fields, AcceptRequest)
                service = self._api.service
                self._ask("accept", number, lambda reply: service.accept(caller, quote_id, order, reply), trade_of)
            case "auth":
                raise Invalid("already_authenticated", "this socket is authenticated", details={"field": "op"})
            case "order":
                require(caller, ("trade",))
                wanted = convert_fields(_body(frame), OrderRequest)
                self._ask("order", number, lambda reply: self._api.orders.place(caller, wanted, reply), order_of)
            case _:
                raise Invalid("unknown_op", f"no op {op!r}", details={"field": "op"})

    @property
    def _me(self) -> Caller:
        assert self.caller is not None
        return self.caller

    def _subscribe(self, frame: Mapping[str, Any], number: FrameId | None) -> None:
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            raise Limited("too_many_subscriptions", f"a socket carries {MAX_SUBSCRIPTIONS} subscriptions")
        registry = self._host.registry
        params = frame.get("params")
        subscription = open_channel(
            self._host.feeds, frame.get("channel"), {} if params is None else params, registry.number(), self._me
        )
        subscription.prepare()
        self._subscriptions[subscription.number] = subscription
        registry.add(subscription)
        self.outbox.put(
            Reply(
                ok=True,
                id=number,
                op="subscribe",
                channel=subscription.channel,
                sub=subscription.number,
                mode=subscription.mode,
            )
        )
        subscription.start(self.outbox)

    def _unsubscribe(self, frame: Mapping[str, Any], number: FrameId | None) -> None:
        subscription = self._subscriptions.pop(_integer(frame, "sub"), None)
        if subscription is None:
            raise Invalid("unknown_subscription", "no such subscription on this socket", status=404)
        self._host.registry.drop(subscription)
        self.outbox.put(
            Reply(ok=True, id=number, op="unsubscribe", channel=subscription.channel, sub=subscription.number)
        )

    def _resume(self, frame: Mapping[str, Any], number: FrameId | None) -> None:
        sub, seq = _integer(frame, "sub"), _integer(frame, "seq")
        epoch = frame.get("epoch")
        registry = self._host.registry
        subscription = registry.find(sub, self._me) if epoch in (None, self._api.epoch) else None
        if subscription is None:
            raise Invalid(
                "unknown_subscription",
                "this subscription is gone: subscribe again for a new snapshot",
                status=404,
                details={"sub": sub, "epoch": self._api.epoch},
            )
        subscription.check_resume(seq)
        self._host.detach(subscription)
        registry.unpark(subscription)
        self._subscriptions[sub] = subscription
        self.outbox.put(
            Reply(
                ok=True,
                id=number,
                op="resume",
                channel=subscription.channel,
                sub=sub,
                mode=subscription.mode,
                epoch=self._api.epoch,
            )
        )
        subscription.resume(self.outbox, seq)

    def release(self, subscription: Subscription) -> None:
        """Another socket of the same key takes this subscription over."""
        self._subscriptions.pop(subscription.number, None)

    def holds(self, subscription: Subscription) -> bool:
        """Whether the subscription is on this socket."""
        return subscription.number in self._subscriptions

    def _ask[R](
        self,
        op: str,
        number: FrameId | None,
        start: Callable[[Callable[[R | ApiFault], None]], None],
        convert: Callable[[R], msgspec.Struct],
    ) -> None:
        """Call the desk; its reply becomes the frame's answer. Nobody waits meanwhile."""
        if self._in_flight >= MAX_IN_FLIGHT:
            raise Limited("too_many_in_flight", f"{MAX_IN_FLIGHT} requests wait for the desk")
        self._in_flight += 1
        open_ = True

        def answer(result: R | ApiFault) -> None:
            nonlocal open_
            if not open_:
                return
            open_ = False
            self._in_flight -= 1
            timer.cancel()
            if isinstance(result, ApiFault):
                self._refuse({"op": op, "id": number}, result)
            else:
                self.outbox.put(Reply(ok=True, id=number, op=op, data=convert(result)))

        timeout_s = self._api.reply_timeout_s
        timer = asyncio.get_running_loop().call_later(timeout_s, lambda: answer(outcome_unknown(timeout_s)))
        try:
            start(answer)
        except ApiFault as fault:
            answer(fault)
        except Exception:
            answer(unexpected(f"op {op}", new_request_id()))


def _id_of(frame: Mapping[str, Any]) -> FrameId | None:
    number = frame.get("id")
    return number if isinstance(number, str | int) and not isinstance(number, bool) else None


def _integer(frame: Mapping[str, Any], name: str) -> int:
    value = frame.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Invalid("invalid_field", f"{name} is an integer", details={"field": name})
    return value


def _only(frame: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    unknown = sorted(set(frame) - {"op", "id", *allowed})
    if unknown:
        raise Invalid("unknown_field", f"unknown field {unknown[0]!r}", details={"field": unknown[0]})


def _body(frame: Mapping[str, Any]) -> dict[str, Any]:
    """The REST body in a frame: its `params`, and the fields beside `op` and `id`."""
    inline = {name: value for name, value in frame.items() if name not in ("op", "id", "params")}
    params = frame.get("params")
    if params is None:
        return inline
    if not isinstance(params, Mapping):
        raise Invalid("invalid_field", "params is an object", details={"field": "params"})
    twice = sorted(set(inline) & set(params))
    if twice:
        raise Invalid("invalid_field", f"{twice[0]} is given twice", details={"field": twice[0]})
    return {**inline, **params}
