"""A whole desk and its exchanges: loopback servers on a generated market, `LiveDesk` as `kerb run --live` builds it, and keys to its API.

All on one event loop and over real sockets: so the venues' matching cores can be asked for the truth at the same moment as the desk.
With `limits` the venues hold the desk to their rate limits, and the desk spends its budgets; without, neither does.
`settings` are those of a desk that has less patience than by default, so that an episode takes seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from time import monotonic, time_ns
from typing import Any

from desk.clients.store import KeyStore
from desk.config.load import load
from desk.node import LiveDesk
from desk.orders.records import OrderRecord
from pricing.consolidated import BookStatus
from sim.instruments import TAKER_FEE_BPS
from sim.servers.faults import Fault, FaultOrder
from sim.servers.venues import Venues, start_venues
from tests.e2e.outside_client import Outsider
from tests.faults.desk import unlimited
from tests.faults.node.episode import OVER_SOCKET, PERPETUALS

SYMBOL = "BTC/USDT"
BASE, QUOTE = "BTC", "USDT"
MAX_AGE_MS = 1_500  # of a book
SOFT, HARD = Decimal("0.2"), Decimal(12)
READY_S = 60.0
CLIENT = "client"

CONFIG = f"""mode = "live"
state_dir = "{{state}}"
[api]
port = 0
[hedging]
retry_ms = 200
deadline_ms = 6000
[hedging.bands.{BASE}]
soft = "{SOFT}"
hard = "{HARD}"
[router]
child_timeout_ms = 700
resolve_retry_ms = 300
max_backoff_ms = 1000
[risk]
max_position = {{{{ {BASE} = "20" }}}}
[[instruments]]
symbol = "{SYMBOL}"
price_tick = "0.01"
max_quantity = "10"
"""
VENUE = """[[venues]]
venue = "{venue}"
exchange = "{exchange}"
symbols = ["{symbol}"]
rest_url = "{rest}"
ws_url = "{ws}"
taker_fee_bps = "{fee}"
depth = 100
max_age_ms = {max_age_ms}
audit_s = {audit_s}
reconcile_s = {reconcile_s}
order_timeout_ms = 900
order_rate_per_s = 50
orders_by = "{way}"
"""


def traded(venue: str) -> str:
    """What the desk has of a venue."""
    return PERPETUALS.get(venue, SYMBOL)


class Place:
    """Running servers and the running desk. `client`, `operator`: keys from outside; `spot`: the venues that are priced from."""

    def __init__(self, venues: tuple[str, ...], served: Venues, desk: LiveDesk, state: Path, limits: bool) -> None:
        self.venues = venues
        self.spot = tuple(venue for venue in venues if venue not in PERPETUALS)
        self.served = served
        self.servers: dict[str, Any] = served.servers
        self.desk = desk
        self.state = state
        self.opening = {venue: dict(server.core.balances) for venue, server in self.servers.items()}
        clients = [client for client in desk.node._clients()]  # type: ignore[union-attr]
        self.market = {client.exchange.venue: client for client in clients if hasattr(client.link, "status")}
        self.account = {client.exchange.venue: client for client in clients if hasattr(client.link, "prove")}
        for client in () if limits else clients:
            unlimited(client.link)
        url, store = f"http://127.0.0.1:{desk.port}", KeyStore(state)
        self.client, self.operator = (
            Outsider(url, made.key.key_id, made.secret, name)
            for name, scopes in ((CLIENT, ("quote", "trade", "read")), ("operator", ("operate", "read")))
            for made in [store.new(name, scopes, rate_per_s=500, burst=2000)]
        )

    @property
    def ledger_path(self) -> Path:
        """What is durable."""
        return self.state / "ledger.db"

    def disturb(self, venue: str, order: FaultOrder) -> None:
        """Order a fault."""
        self.servers[venue].disturb(order)

    def clear(self) -> None:
        """Nothing is disturbed any more."""
        for server in self.servers.values():
            server.disturb(FaultOrder(fault=Fault.CLEAR))

    def live(self, venue: str) -> bool:
        """Whether the desk uses the book of a venue now."""
        return self.desk.parts.market.books[traded(venue)].status(venue, time_ns()) is BookStatus.LIVE

    def connected(self, venue: str) -> bool:
        """Whether the desk's account is connected."""
        return bool(self.account[venue].link.connected)

    def working(self) -> list[Any]:
        """Runs of the router that are neither done nor resting orders of clients."""
        return [run for run in self.desk.parts.router._runs.working() if not run.work.parent.account]

    def orders_open(self) -> list[OrderRecord]:
        """Orders of clients that are being worked."""
        return list(self.desk.parts.orders._open.values())


@contextlib.asynccontextmanager
async def place(venues: tuple[str, ...], seed: int, state: Path, limits: bool = False) -> AsyncIterator[Place]:
    """Servers and desk, until every book is live and every account connected."""
    served = await start_venues(seed=seed, venues=venues, symbols=(SYMBOL,), limits=limits)
    try:
        desk = LiveDesk(load(_written(state, venues, served, limits), {}).config, state, _secrets(served))
        try:
            await desk.start(lambda _: None)
            made = Place(venues, served, desk, state, limits)
            await until(lambda: all(map(made.live, venues)) and all(map(made.connected, venues)), READY_S)
            yield made
        finally:
            await desk.stop()
    finally:
        await served.stop()


async def until(true: Callable[[], Any], deadline_s: float, step_s: float = 0.02) -> bool:
    """Whether it came true in time."""
    end = monotonic() + deadline_s
    while not true():
        if monotonic() > end:
            return False
        await asyncio.sleep(step_s)
    return True


def _written(state: Path, venues: tuple[str, ...], served: Venues, limits: bool) -> Path:
    text = CONFIG.format(state=state)
    text += "".join(f'[[contracts]]\nsymbol = "{PERPETUALS[venue]}"\n' for venue in venues if venue in PERPETUALS)
    for venue in venues:
        urls = served.urls[venue]
        text += VENUE.format(
            venue=venue,
            exchange=venue.lower(),
            symbol=traded(venue),
            rest=urls.rest,
            ws=urls.ws,
            fee=TAKER_FEE_BPS[venue],
            max_age_ms=MAX_AGE_MS,
            way="ws" if venue in OVER_SOCKET.get(venues, ()) else "rest",
            audit_s=15 if limits else 2,
            reconcile_s=30 if limits else 4,
        )
    path = state / "desk.toml"
    path.write_text(text)
    return path


def _secrets(served: Venues) -> dict[str, str]:
    found = {}
    for venue, key in served.credentials.items():
        found |= {f"{venue}_API_KEY": key.key, f"{venue}_API_SECRET": key.secret}
        if key.passphrase:
            found[f"{venue}_PASSPHRASE"] = key.passphrase
    return found
