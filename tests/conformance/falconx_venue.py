"""A FalconX server that answers at once, and the config that reaches it: what the FalconX tests share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from adapters.falconx.config import FalconXConfig
from sim.lp_model import LpParams
from sim.servers.falconx.server import FalconXServer

MIDS = {"BTC/USDT": Decimal(60_000), "ETH/USDT": Decimal(3_000)}


def swift(**changes: Any) -> LpParams:
    """An LP without chance: answers in a millisecond, never refuses by dice."""
    settings: dict[str, Any] = {
        "latency_ns": (1_000_000, 1_000_000),
        "hold_ns": (1_000_000, 1_000_000),
        "reject_rate": 0.0,
        "no_quote_rate": 0.0,
        "ladder_interval_ns": 20_000_000,
    }
    return LpParams(**(settings | changes))


class Venue:
    """A running server with its mids, and hands on its fault knobs."""

    def __init__(self, server: FalconXServer, rest: str, ws: str, mids: dict[str, Decimal | None]) -> None:
        self.server, self.rest, self.ws, self.mids = server, rest, ws, mids

    def config(self, **changes: Any) -> FalconXConfig:
        held = self.server.credentials
        settings: dict[str, Any] = {
            "rest_url": self.rest,
            "ws_url": self.ws,
            "api_key": held.key,
            "secret": held.secret,
            "passphrase": held.passphrase,
            "symbols": ("BTC/USDT", "ETH/USDT"),
            "timeout_ms": 400,
            "stale_ms": 200,
            "prove_ms": 300,
            "reconnect_ms": 30,
        }
        return FalconXConfig(**(settings | changes))

    async def fault(self, name: str, **knobs: Any) -> None:
        async with aiohttp.ClientSession() as http:
            answer = await http.post(f"{self.rest}/_control", json={"fault": name, **knobs})
            assert answer.status == 200, await answer.text()


@asynccontextmanager
async def venue(state: Path | None = None, **params: Any) -> AsyncIterator[Venue]:
    """A started server; stopped afterwards."""
    mids: dict[str, Decimal | None] = dict(MIDS)
    server = FalconXServer(lambda symbol: mids.get(symbol), 7, state, params=swift(**params))
    rest, ws = await server.start()
    try:
        yield Venue(server, rest, ws, mids)
    finally:
        await server.stop()


async def eventually(condition: Callable[[], bool], what: str, within_s: float = 5.0) -> None:
    """Wait until `condition` holds."""
    try:
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s: {what}") from None
