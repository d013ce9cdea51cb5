"""The FalconX price socket on loopback: auth frame, subscriptions with size levels, `stream` frames, one item a level.

A frame body is always an array. A market without a mid sends nothing: silence is how an LP says it has no price, and
the taker's staleness rule must notice. A reader too slow for two seconds is disconnected, never queued for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol
from uuid import uuid4

import msgspec
from aiohttp import WSMsgType, web

from sim.lp_model import LpModel
from sim.servers.falconx.auth import BadSignature, FalconXCredentials, check_frame

STREAM_PATH = "/price.tickers"
MAX_LEVELS = 20
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class Knobs(Protocol):
    """The pending faults of the server."""

    def take(self, name: str, path: str = "") -> bool: ...


class PriceStream:
    """Every price socket of one account."""

    def __init__(
        self,
        credentials: FalconXCredentials,
        model: LpModel,
        mid: Callable[[str], Decimal | None],
        symbols: Sequence[str],
        faults: Knobs,
    ) -> None:
        self._credentials = credentials
        self._model = model
        self._mid = mid
        self._symbols = frozenset(symbols)
        self._faults = faults
        self._sockets: set[web.WebSocketResponse] = set()
        self._refuse = 0
        self._silent_until = 0.0

    @property
    def connections(self) -> int:
        """Open price sockets."""
        return len(self._sockets)

    def silence(self, seconds: float) -> None:
        """Send no prices for a while; the sockets stay open."""
        self._silent_until = time.monotonic() + seconds

    async def disconnect(self, refuse: int) -> None:
        """Close every socket and refuse the next `refuse` connections."""
        self._refuse = refuse
        await self.close()

    async def close(self) -> None:
        """Close every socket."""
        for socket in list(self._sockets):
            await socket.close(code=1001, message=b"going away")

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection, from upgrade to close."""
        if self._refuse > 0:
            self._refuse -= 1
            return web.Response(status=503, text="Service Unavailable")
        socket = web.WebSocketResponse(heartbeat=None, max_msg_size=64 * 1024, timeout=0.5)
        await socket.prepare(request)
        wanted: dict[str, tuple[Decimal, ...]] = {}
        request_ids: dict[str, str] = {}
        self._sockets.add(socket)
        pump: asyncio.Task[None] | None = None
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    continue
                frame = _frame(message.data)
                if frame is None:
                    await _send(socket, {"event": "error_response", "status": "error", "error": _error("INVALID_JSON")})
                elif pump is None:
                    if not await self._authenticate(socket, frame):
                        break
                    pump = asyncio.create_task(self._pump(socket, wanted, request_ids))
                else:
                    await self._command(socket, frame, wanted, request_ids)
        finally:
            self._sockets.discard(socket)
            if pump is not None:
                pump.cancel()
                await asyncio.gather(pump, return_exceptions=True)
        return socket

    async def _authenticate(self, socket: web.WebSocketResponse, frame: Mapping[str, Any]) -> bool:
        answer: dict[str, Any] = {"event": "auth_response", "request_id": frame.get("request_id")}
        try:
            if frame.get("action") != "auth":
                raise BadSignature("authenticate first")
            check_frame(self._credentials, frame, STREAM_PATH)
        except BadSignature as fault:
            await _send(socket, answer | {"status": "error", "body": None, "error": _error("UNAUTHORIZED", str(fault))})
            await socket.close(code=1008, message=b"unauthorized")
            return False
        body = {"message": "Authentication successful", "session_id": uuid4().hex}
        await _send(socket, answer | {"status": "success", "body": body, "error": None})
        return True

    async def _command(
        self,
        socket: web.WebSocketResponse,
        frame: Mapping[str, Any],
        wanted: dict[str, tuple[Decimal, ...]],
        request_ids: dict[str, str],
    ) -> None:
        symbol = f"{frame.get('base_token')}/{frame.get('quote_token')}"
        answer = {"request_id": frame.get("request_id"), "status": "success", "error": None}
        match frame.get("action"):
            case "subscribe":
                levels = _levels(frame)
                answer["event"] = "subscribe_response"
                if symbol not in self._symbols or levels is None:
                    reason = (
                        "unknown market" if symbol not in self._symbols else "quantity.levels: 1 to 20 positive numbers"
                    )
                    answer |= {"status": "error", "error": _error("INVALID_SUBSCRIPTION", f"{symbol}: {reason}")}
                else:
                    wanted[symbol] = levels
                    request_ids[symbol] = str(frame.get("request_id"))
                    answer["body"] = {"message": f"Subscribed to {symbol}"}
            case "unsubscribe":
                wanted.pop(symbol, None)
                answer |= {"event": "unsubscribe_response", "body": {"message": f"Unsubscribed from {symbol}"}}
            case "data_request":
                facts: dict[Any, Any] = {
                    "max_levels": MAX_LEVELS,
                    "allowed_markets": sorted(self._symbols),
                    "max_connections": 10,
                }
                kind = frame.get("request_type")
                answer |= {"event": "data_response", "request_type": kind, "body": {kind: facts.get(kind)}}
            case action:
                reason = f"unknown action {action!r}"
                answer |= {"event": "error_response", "status": "error", "error": _error("INVALID_ACTION", reason)}
        await _send(socket, answer)

    async def _pump(
        self, socket: web.WebSocketResponse, wanted: dict[str, tuple[Decimal, ...]], request_ids: dict[str, str]
    ) -> None:
        """Send the ladder of every subscription each interval, until the socket closes."""
        interval_s = self._model.params.ladder_interval_ns / 1e9
        while not socket.closed:
            started = time.monotonic()
            for symbol, levels in list(wanted.items()):
                mid = self._mid(symbol)
                if mid is None or started < self._silent_until:
                    continue
                try:
                    async with asyncio.timeout(2.0):
                        if self._faults.take("garbage_frame"):
                            await socket.send_str('{"event":"stream","body":[{"base_tok')
                            continue
                        await _send(
                            socket,
                            {
                                "event": "stream",
                                "status": "success",
                                "request_id": request_ids[symbol],
                                "body": self._body(symbol, levels, mid),
                            },
                        )
                except (TimeoutError, ConnectionError):
                    await socket.close(code=1008, message=b"slow reader")
                    return
            await asyncio.sleep(max(0.0, interval_s - (time.monotonic() - started)))

    def _body(self, symbol: str, levels: tuple[Decimal, ...], mid: Decimal) -> list[dict[str, Any]]:
        base, quote = symbol.split("/")
        now_ns = time.time_ns()
        items = []
        for quantity in levels:
            if not self._model.params.min_notional <= quantity * mid <= self._model.params.max_notional:
                continue
            bid, ask = self._model.two_way(symbol, quantity, mid, now_ns)
            items.append(
                {
                    "base_token": base,
                    "quote_token": quote,
                    "quantity_token": base,
                    "quantity": quantity,
                    "buy_price": ask,
                    "sell_price": bid,
                    "t_create": now_ns // 1_000_000,
                }
            )
        return items


def _frame(text: str) -> dict[str, Any] | None:
    try:
        frame = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return frame if isinstance(frame, dict) else None


def _levels(frame: Mapping[str, Any]) -> tuple[Decimal, ...] | None:
    quantity = frame.get("quantity")
    if not isinstance(quantity, dict) or quantity.get("token") != frame.get("base_token"):
        return None
    try:
        levels = msgspec.convert(quantity.get("levels"), tuple[Decimal, ...])
    except msgspec.ValidationError:
        return None
    good = 0 < len(levels) <= MAX_LEVELS and all(level.is_finite() and level > 0 for level in levels)
    return levels if good else None


def _error(code: str, reason: str = "") -> dict[str, str]:
    return {"code": code, "reason": reason}


async def _send(socket: web.WebSocketResponse, frame: Mapping[str, Any]) -> None:
    if not socket.closed:
        await socket.send_str(_ENCODER.encode(frame).decode())
