"""Every frame of every ccxt client, synchronously and losslessly; faults are counted and never end a receive loop.

What `watch_*` returns conflates (partial fills vanish, quiet symbols starve), and one bad frame or one exception in a parser ends
ccxt's receive loop without a word. So each client is wrapped as it is made: the decoded message goes to `on_message` first, then to
ccxt's own handler, each guarded by itself; a closed or failed client is told to `on_down` at once. Before any of that the text itself
goes to `on_frame`: what it takes is neither decoded nor handled by ccxt.

ccxt makes a task for every frame, and hands out all that have come before anything else has its turn. Here a socket is read by one task,
which lets the others have theirs after `TURN_FRAMES`: an answer to an order does not wait for a burst of market data.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import WSMsgType

from adapters.ccxt.pace import DialPace

log = logging.getLogger(__name__)

TURN_FRAMES = 50  # of one socket before the loop's other work has its turn: a millisecond or two

ROWS_KEPT = 100  # of orders, executions and public trades, by ccxt's caches, which nobody here reads: its thousand of each are 10 MB


class Counters(msgspec.Struct, kw_only=True):
    """What a link has lived through since it was made."""

    messages: int = 0  # decoded frames
    frames_typed: int = 0  # of them read from their text, without ccxt; few of many: the venue writes its frames in another way than it did
    frames_bad: int = 0  # not JSON, or not what the venue's rules say
    handler_faults: int = 0  # exceptions in ccxt's own parsing (its caches are not our source of truth)
    resyncs: int = 0  # books and streams restored
    reconnects: int = 0  # sockets lost
    unknown_orders: int = 0  # orders whose outcome had to be proven
    fills: int = 0
    fills_duplicate: int = 0
    fills_foreign: int = 0  # executions of orders we do not track
    orders_refused: int = 0


class BadFrame(ValueError):
    """A message that contradicts the venue's own rules."""


def attach(
    exchange: Any,
    counters: Counters,
    on_message: Callable[[Any, Any], None],
    on_down: Callable[[Any, str], None],
    on_frame: Callable[[Any, Any], bool] | None = None,
    rng: random.Random | None = None,
    on_asked: Callable[[Any], None] | None = None,
    dials: tuple[int, float] | None = None,
) -> None:
    """Hook an exchange instance before its first connection. `on_message(client, message)`, `on_down(client, reason)`,
    `on_frame(client, text)`: whether that is all there is to do with it. `on_asked(client)`: through which client ccxt is going to ask,
    in the context of whoever subscribes. Sockets are dialled at our own pace, drawn from `rng`, and no more often than `dials`
    (`pace.DIALS`)."""
    original_message = exchange.handle_message
    original_error, original_close = exchange.on_error, exchange.on_close
    original_client, original_connected = exchange.client, exchange.on_connected
    pace = DialPace(rng or random.Random(), dials)
    complaints = 0
    exchange.options.update(ordersLimit=ROWS_KEPT, tradesLimit=ROWS_KEPT)

    def complain(what: str, error: Exception) -> None:
        nonlocal complaints
        complaints += 1
        if complaints <= 20 or complaints % 1000 == 0:  # a venue gone mad must not fill the disk
            log.warning("%s: %s (%d so far): %s: %s", exchange.id, what, complaints, type(error).__name__, error)

    def handle_message(client: Any, message: Any) -> None:
        counters.messages += 1
        taken = False
        try:
            taken = on_message(client, message) is True
        except Exception as e:
            counters.frames_bad += 1
            complain("bad message", e)
        if taken:
            return
        try:
            original_message(client, message)
        except Exception as e:
            counters.handler_faults += 1
            complain("ccxt could not handle a message", e)

    def on_error(client: Any, error: Any) -> None:
        original_error(client, error)
        down(client, f"{type(error).__name__}: {error}"[:200])

    def on_connected(client: Any, message: Any = None) -> None:
        pace.connected(client)
        original_connected(client, message)

    def on_close(client: Any, code: Any) -> None:
        original_close(client, code)
        down(client, f"closed by the venue, code {code}")

    def down(client: Any, reason: str) -> None:
        pace.down(client)
        try:
            on_down(client, reason)
        except Exception as e:
            counters.handler_faults += 1
            complain("connection loss", e)

    def make_client(url: str) -> Any:
        known = url in (exchange.clients or {})
        client = original_client(url)
        if not known:
            _guard(client, counters, complain, on_frame)
        if on_asked is not None:
            on_asked(client)
        return client

    exchange.handle_message = handle_message
    exchange.on_error = on_error
    exchange.on_close = on_close
    exchange.on_connected, exchange.ws_dial_delay = on_connected, pace.delay_s
    exchange.client = make_client


def _guard(
    client: Any,
    counters: Counters,
    complain: Callable[[str, Exception], None],
    on_frame: Callable[[Any, Any], bool] | None,
) -> None:
    """A frame that is taken by its text goes no further; one that cannot be decoded is counted, not raised into the receive loop."""
    decode = client.handle_text_or_binary_message

    def handle_text_or_binary_message(data: Any) -> None:
        try:
            taken = on_frame is not None and on_frame(client, data)
        except Exception as e:
            counters.messages += 1
            counters.frames_bad += 1
            complain("bad message", e)
            return
        if taken:
            counters.messages += 1
            counters.frames_typed += 1
            return
        try:
            decode(data)
        except Exception as e:
            counters.frames_bad += 1
            complain("frame that is no message", e)

    def receive_loop() -> None:
        client.receiving = asyncio.ensure_future(_receive(client))

    client.handle_text_or_binary_message = handle_text_or_binary_message
    client.receive_loop = receive_loop  # begun by ccxt when the socket is open


async def _receive(client: Any) -> None:
    """Give ccxt's client every frame until its socket is closed; what cannot be received is told as ccxt tells it."""
    left = TURN_FRAMES
    try:
        while not client.closed():
            message = await client.receive()
            client.handle_message(message)
            left -= 1
            # a socket that is being closed says so again and again without a wait
            if not left or message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                left = TURN_FRAMES
                await asyncio.sleep(0)
        client.on_close(1006)  # as ccxt has it: gone without a code
    except Exception as e:
        import ccxt

        client.reject(ccxt.NetworkError(str(e)))
