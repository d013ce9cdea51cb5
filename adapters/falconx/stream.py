"""`FalconXStream`: the price socket of one account, in plain asyncio. No engine here.

A ladder is what the stream said within the last `stale_ms`, or nothing: on a lost connection, on silence and on a frame
that cannot be read the ladder is taken down at once (empty rungs), and comes back with the next good frame. The socket
reconnects by itself with jittered backoff, authenticates, and subscribes everything again. Our own clock judges age:
the unit of the venue's `t_create` is not documented.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from adapters.falconx.auth import Signer
from adapters.falconx.codec import CodecFault, StreamRung, decode_stream, encode_subscribe, venue_error
from adapters.falconx.config import FalconXConfig

LONGEST_BACKOFF_S = 30.0
HANDSHAKE_S = 10.0
PING_S = 10.0  # protocol-level pings: a half-open connection is noticed even while nothing is quoted
SILENT_RECONNECT = 4  # × stale_ms without any ladder: the socket is made anew


class StreamFault(Exception):
    """The socket is of no more use; the text says why."""


class FalconXStream:
    """`on_ladder(symbol, rungs, reason)`: rungs sorted by size; none while down, then `reason` says why."""

    def __init__(
        self,
        config: FalconXConfig,
        on_ladder: Callable[[str, tuple[StreamRung, ...], str], None],
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        seed: int = 0,
    ) -> None:
        self.config = config
        self.status = "down"
        self.reason = "not started"
        self.counters = {"frames": 0, "frames_bad": 0, "connects": 0, "losses": 0}
        self._on_ladder = on_ladder
        self._clock_ns = clock_ns
        self._dice = random.Random(seed)
        self._signer = Signer(config.api_key, config.secret, config.passphrase)
        self._heard: dict[str, float] = {}  # symbol -> monotonic time of its last good frame; absent while down
        self._up_s: float | None = None  # since when the present session is authenticated
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect in the background, and stay connected."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"{self.config.lp} stream")

    async def stop(self) -> None:
        """Disconnect; every ladder is taken down."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._down("stopped")

    async def _run(self) -> None:
        least = self.config.reconnect_ms / 1000
        backoff = least
        while True:
            self._up_s = None
            try:
                await self._session()
            except (StreamFault, CodecFault, aiohttp.ClientError, OSError, TimeoutError, ValueError) as fault:
                reason = str(fault) or type(fault).__name__
            else:
                reason = "the venue closed the connection"
            self.counters["losses"] += 1
            self._down(reason)
            if self._up_s is not None and time.monotonic() - self._up_s > backoff:
                backoff = least  # it was up for longer than we had waited for it: no reason to be shy
            await asyncio.sleep(backoff * self._dice.uniform(1.0, 1.5))
            backoff = min(backoff * 2, LONGEST_BACKOFF_S)

    async def _session(self) -> None:
        """One connection, from connect to loss."""
        async with aiohttp.ClientSession() as http:
            timeout = aiohttp.ClientWSTimeout(ws_close=1.0)
            async with asyncio.timeout(HANDSHAKE_S):
                socket = await http.ws_connect(self.config.stream_url, heartbeat=PING_S, timeout=timeout)
                await self._handshake(socket)
            self.counters["connects"] += 1
            self.status, self.reason = "live", ""
            self._up_s = time.monotonic()
            watch = asyncio.create_task(self._watch(socket))
            try:
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        self._frame(message.data)
            finally:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)
                await socket.close()

    async def _handshake(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        path = URL(self.config.stream_url).path
        await _send(socket, self._signer.auth_frame(path, "auth", self._clock_ns()))
        answer = msgspec.json.decode(await socket.receive_str())
        if answer.get("event") != "auth_response" or answer.get("status") != "success":
            raise StreamFault(f"not authenticated: {venue_error(answer.get('error')) or answer}")
        for symbol in self.config.symbols:
            await _send(socket, encode_subscribe(symbol, self.config.levels_of(symbol), symbol))

    def _frame(self, text: str) -> None:
        """One frame. What cannot be read takes every ladder down: there is no telling whose price it was."""
        self.counters["frames"] += 1
        try:
            frame = msgspec.json.decode(text, type=_Frame)
            if frame.event == "stream":
                rungs = decode_stream(frame.body)
            else:
                self._notice(frame)
                return
        except (msgspec.DecodeError, CodecFault, ArithmeticError) as fault:
            self.counters["frames_bad"] += 1
            self._down(f"unreadable frame: {fault}", status="live")
            return
        by_symbol: dict[str, list[StreamRung]] = {}
        for rung in rungs:
            if rung.symbol in self.config.symbols:
                by_symbol.setdefault(rung.symbol, []).append(rung)
        if not by_symbol and frame.request_id in self.config.symbols:  # a ladder without a usable rung is no price
            self._take_down(str(frame.request_id), "no two-sided rung")
        for symbol, found in by_symbol.items():
            self._heard[symbol] = time.monotonic()
            self._on_ladder(symbol, tuple(sorted(found, key=lambda rung: rung.quantity)), "")

    def _notice(self, frame: _Frame) -> None:
        if frame.status not in ("success", None):
            self.counters["frames_bad"] += 1
            reason = f"{frame.event}: {venue_error(frame.error) or 'refused'}"
            if frame.request_id in self.config.symbols:
                self._on_ladder(str(frame.request_id), (), reason)
            self.reason = reason

    async def _watch(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Take silent ladders down in time, and the socket when nothing is heard at all."""
        stale_s = self.config.stale_ms / 1000
        heard = time.monotonic()
        while True:
            await asyncio.sleep(stale_s / 4)
            now = time.monotonic()
            for symbol, at in list(self._heard.items()):
                heard = max(heard, at)
                if now - at > stale_s:
                    self._take_down(symbol, f"silent for more than {self.config.stale_ms} ms")
            if now - heard > stale_s * SILENT_RECONNECT:
                self.reason = "silent socket"
                await socket.close()
                return

    def _down(self, reason: str, status: str = "down") -> None:
        self.status, self.reason = status, reason
        for symbol in list(self._heard):
            self._take_down(symbol, reason)

    def _take_down(self, symbol: str, reason: str) -> None:
        if self._heard.pop(symbol, None) is not None:
            self._on_ladder(symbol, (), reason)


class _Frame(msgspec.Struct):
    event: str
    status: str | None = None
    request_id: Any = None
    body: Any = None
    error: Any = None


async def _send(socket: aiohttp.ClientWebSocketResponse, frame: dict[str, Any]) -> None:
    await socket.send_str(_ENCODER.encode(frame).decode())


_ENCODER = msgspec.json.Encoder(decimal_format="number")
