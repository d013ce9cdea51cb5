"""Scripted clients over real sockets: every request and accept goes through the API like anybody's."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from decimal import ROUND_DOWN, Decimal
from typing import Any

from desk.client import ApiFault, KerbClient, KerbError
from sim.clients import ScriptedRfq, script

log = logging.getLogger(__name__)

RATE_PER_S = 1.6
_STEP = Decimal("0.00000001")


class Crowd:
    """Plays `sim.clients.script` in real time. `seen` counts what clients got; `faults` what no client should ever get."""

    def __init__(
        self, url: str, clients: Sequence[dict[str, str]], instruments: Sequence[dict[str, Any]], seed: int
    ) -> None:
        self._url = url
        self._clients = clients
        self._requests = script(
            seed,
            [item["symbol"] for item in instruments],
            prices={item["symbol"]: item["price"] for item in instruments},
            rate_per_s=RATE_PER_S,
        )
        self._desks: dict[str, KerbClient] = {}
        self._stack = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self.seen: Counter[str] = Counter()
        self.faults = 0

    async def run(self) -> None:
        """Ask until cancelled. Requests under way go on; `finish` waits for them."""
        for client in self._clients:
            desk = KerbClient(self._url, client["key"], client["secret"])
            self._desks[client["client_id"]] = await self._stack.enter_async_context(desk)
        began = asyncio.get_running_loop().time()
        for request in self._requests:
            await asyncio.sleep(began + request.at_ns / 1e9 - asyncio.get_running_loop().time())
            task = asyncio.create_task(self._one(request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def finish(self, patience_s: float = 2.0) -> None:
        """Let what is under way end, then hang up."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=patience_s)
        for task in list(self._tasks):
            task.cancel()
        await self._stack.aclose()

    async def _one(self, request: ScriptedRfq) -> None:
        self.seen["asked"] += 1
        try:
            await self._play(self._desks[request.client], request)
        except ApiFault as fault:
            self.seen[fault.code] += 1
            if fault.kind in ("invalid", "failed"):
                self.faults += 1
                log.error("a scripted client was told %s: %s", fault.code, fault)
        except (KerbError, OSError, TimeoutError) as fault:  # the desk is stopping or was stopped
            self.seen["unanswered"] += 1
            log.warning("a scripted client got no answer: %s", fault)

    async def _play(self, desk: KerbClient, request: ScriptedRfq) -> None:
        rfq = await desk.request_quote(
            request.instrument,
            request.side,  # type: ignore[arg-type]
            request.quantity,
            currency=request.currency,
            ttl_ms=request.ttl_ms,
        )
        self.seen["quoted"] += 1
        if request.accept_after_ms is None:
            return
        await asyncio.sleep(request.accept_after_ms / 1e3)
        quote = next((item for item in rfq.quotes if item.side == request.accept_side), rfq.quotes[0])
        quantity = None
        if request.accept_ratio < 1:
            quantity = (Decimal(quote.quantity) * request.accept_ratio).quantize(_STEP, rounding=ROUND_DOWN)
        await desk.accept(quote.quote_id, quantity=quantity)
        self.seen["traded"] += 1
