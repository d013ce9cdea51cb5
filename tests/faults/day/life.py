"""A day at one exchange from its first connection to its last order, over real sockets; what must hold, and what was held.

Links and rate budgets are those of the product, untouched; the venue holds them to its own documented limits. At each measurement and at
the end: executions and open orders are the venue's (`tests.faults.run`, rules 1 to 5), and in calm hours every renewal came by its clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Any

import msgspec

from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.market.link import MarketLink
from sim.servers import base
from sim.servers.faults import Fault, FaultOrder
from tests.conformance.ccxt_venue import venue
from tests.faults.day.clock import Clock
from tests.faults.day.held import Held, held
from tests.faults.day.trader import Trader
from tests.faults.day.weather import HOUR_S, QUIET_S, calm, weather
from tests.faults.desk import Desk
from tests.faults.run import differences, same_book, venue_orders
from tests.faults.scenario import Disturbance

MARKET_SPEED = 0.05  # of the generated market, which changes ten times a second: a change every two seconds
SERVER_TICK_S = 0.25  # how often the venue looks at its clock for what runs out
SETTLE_S = 300.0
TICK_S = 1.0
SETTINGS: dict[str, Any] = {"depth": 25}  # all else as a desk has it
AN_HOUR: dict[str, dict[str, tuple[int, int]]] = {  # requests in a calm hour, least and most
    "BINANCE": {"GET /api/v3/time": (5, 7)},
    "BINANCEUSDM": {
        "PUT /fapi/v1/listenKey": (5, 7),
        "POST /fapi/v1/listenKey": (0, 0),
        "POST /fapi/v1/countdownCancelAll": (230, 250),
    },
    "BYBIT": {"GET /v5/market/time": (5, 7)},
    "COINBASE": {"GET /api/v3/brokerage/time": (5, 7)},
    "KRAKEN": {"POST /0/private/GetWebSocketsToken": (0, 0), "POST /0/private/CancelAllOrdersAfter": (230, 250)},
    "KRAKENFUTURES": {"POST /derivatives/api/v3/cancelallordersafter": (230, 250)},
    "OKX": {"POST /api/v5/trade/cancel-all-after": (230, 250), "GET /api/v5/public/time": (5, 7)},
}

IN_CALM = {
    "market.reconnects": 0,
    "account.reconnects": 0,
    "audits.wrong": 0,
    "reconciled.failed": 1,  # the venue's clock was set right at its beginning
}


class Hour(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement, and how much had happened until then."""

    held: Held
    counters: dict[str, int]
    requests: dict[str, int]


class Lived(msgspec.Struct, kw_only=True):
    """A day. `wrong`: what does not hold, in words; `answers`: the venue's, by HTTP status."""

    venue: str
    seed: int
    hours: float
    disturbances: dict[str, int]
    rows: list[Hour] = []
    wrong: list[str] = []
    figures: dict[str, int] = {}
    answers: dict[str, int] = {}
    refusals: dict[str, int] = {}  # of orders, by the first words of the reason


class Heard:
    """Requests that reached a venue, by method and path without numbers, and its answers by status."""

    def __init__(self, server: Any) -> None:
        self.requests: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        answer = server._disturbed_rest

        async def counted(request: Any, handler: Any) -> Any:
            self.requests[f"{request.method} {re.sub(r'/[0-9a-fA-F-]{8,}', '/…', request.path)}"] += 1
            given = await answer(request, handler)
            self.answers[str(given.status)] += 1
            return given

        server._disturbed_rest = counted


async def live(name: str, hours: float, seed: int, every_s: float, clock: Clock, say: Callable[[str], None]) -> Lived:
    """Live a day at a venue, measured each `every_s`, which takes none of its time; never raises for what the day shows."""
    base.TICK_S = SERVER_TICK_S
    faults = weather(name, seed, hours, every_s)
    lived = Lived(
        venue=name, seed=seed, hours=hours, disturbances=dict(Counter(str(one.order.fault) for one in faults))
    )
    async with venue(name, speed=MARKET_SPEED, limits=True, **SETTINGS) as place:
        server = place.running.servers[name]
        desk = Desk()
        rng = random.Random(seed)
        desk.market, desk.account = MarketLink(place.config, desk, rng), AccountLink(place.config, desk, rng)
        day = _Day(lived, server, desk, place, clock, say)
        desk.market.start()
        desk.account.start()
        try:
            await day.settled("a first connection")
            await day.pass_by(faults, hours, every_s, seed)
        finally:
            await desk.market.stop()
            await desk.account.stop()
    return lived


class _Day:
    """The day while it goes on."""

    def __init__(
        self, lived: Lived, server: Any, desk: Desk, place: Any, clock: Clock, say: Callable[[str], None]
    ) -> None:
        self.lived, self.server, self.desk, self.place = lived, server, desk, place
        self.clock, self.say = clock, say
        self.heard = Heard(server)
        self.began_s = monotonic()
        self.links = {"market": desk.market, "account": desk.account}

    @property
    def now_s(self) -> float:
        """Into the day."""
        return monotonic() - self.began_s

    async def pass_by(self, faults: tuple[Disturbance, ...], hours: float, every_s: float, seed: int) -> None:
        """All of it."""
        self.began_s = monotonic()
        trader = Trader(self.desk, self.place.symbol, seed)
        storm = asyncio.create_task(self._disturb(faults), name="weather")
        trading = asyncio.create_task(trader.run(lambda: self.now_s % every_s < every_s - QUIET_S), name="trader")
        await self._measure(trader)
        for turn in range(1, round(hours * HOUR_S / every_s) + 1):
            await asyncio.sleep(max(0.0, turn * every_s - self.now_s))
            await self._measure(trader)
        for task in (trading, storm):
            task.cancel()
        await asyncio.gather(trading, storm, return_exceptions=True)
        await self._end(trader)

    async def _disturb(self, faults: tuple[Disturbance, ...]) -> None:
        for one in faults:
            await asyncio.sleep(max(0.0, one.at_s - self.now_s))
            self.server.disturb(one.order)

    async def _measure(self, trader: Trader) -> None:
        """A measurement in a quiet moment: both links up, nothing different here and there."""
        self.server.disturb(FaultOrder(fault=Fault.CLEAR))
        await self.settled(f"the quiet before {self.now_s / HOUR_S:.2f} h")
        market, account = self.desk.market, self.desk.account
        assert market is not None
        assert account is not None
        counters = {
            **{f"market.{key}": value for key, value in msgspec.structs.asdict(market.counters).items()},
            **{f"account.{key}": value for key, value in msgspec.structs.asdict(account.counters).items()},
            **{
                f"reconciled.{key}": value
                for key, value in msgspec.structs.asdict(account.reconciliation.found).items()
            },
            **{
                f"audits.{key}": getattr(tally, key)
                for tally in market._audit.tallies.values()
                for key in ("done", "wrong", "undecided")
            },
            "orders": trader.sent,
            "fills": sum(self.desk.fills.values()),
            "books_lost": len(self.desk.recoveries),
        }
        with self.clock.still():
            now = held(self.now_s, self.links, aside=len(trader.working))
        row = Hour(held=now, counters=counters, requests=dict(self.heard.requests))
        self._renewed(row)
        self.lived.rows.append(row)
        said = row.held
        self.say(
            f"{said.at_s / HOUR_S:5.2f} h  files {said.files} sockets {said.sockets} tasks {said.tasks} clients {said.clients} "
            f"futures {said.futures} objects {said.objects} rss {said.resident_kb} KiB ({said.trimmed_kb} trimmed)  "
            f"reconnects {counters['market.reconnects']}+{counters['account.reconnects']} orders {trader.sent} fills {counters['fills']}"
        )

    def _renewed(self, row: Hour) -> None:
        """In a calm hour everything that is renewed was renewed by its clock."""
        rows = self.lived.rows
        if not rows or row.held.at_s - rows[-1].held.at_s < 0.9 * HOUR_S or not calm(int(rows[-1].held.at_s // HOUR_S)):
            return
        for request, (least, most) in AN_HOUR[self.lived.venue].items():
            count = row.requests.get(request, 0) - rows[-1].requests.get(request, 0)
            if not least <= count <= most:
                self.lived.wrong.append(f"{request} in a calm hour: {count}, not {least} to {most}")
        for counter, most in IN_CALM.items():
            if (more := row.counters.get(counter, 0) - rows[-1].counters.get(counter, 0)) > most:
                self.lived.wrong.append(f"{counter} in a calm hour: {more}")

    async def settled(self, what: str) -> None:
        """Until both links are up and nothing differs; said as wrong when that takes too long."""
        until = monotonic() + SETTLE_S
        account = self.desk.account
        assert account is not None
        while not (self.desk.whole and account.connected and not differences(self.server, self.desk)):
            if monotonic() > until:
                up = [f"book whole: {self.desk.whole}, account connected: {account.connected} ({account.reason})"]
                self.lived.wrong += [
                    f"{what}: not within {SETTLE_S:g} s: {word}" for word in (*up, *differences(self.server, self.desk))
                ]
                return
            await asyncio.sleep(TICK_S)

    async def _end(self, trader: Trader) -> None:
        """Every order ended, the market standing still: the same here as there."""
        lived, desk, server = self.lived, self.desk, self.server
        assert desk.account is not None
        assert desk.market is not None
        server.disturb(FaultOrder(fault=Fault.CLEAR))
        if trader.working:
            await asyncio.wait(trader.working, timeout=1_000)
        lived.wrong += trader.failed
        with contextlib.suppress(Exception):
            await desk.account.cancel_all()
        for task in self.place.running._tasks:
            task.cancel()
        await self.settled("the end")
        until = monotonic() + SETTLE_S
        while not same_book(server, desk, self.place.symbol):
            if monotonic() > until:
                lived.wrong.append("the book is not the venue's at the end")
                break
            await asyncio.sleep(TICK_S)
        lived.wrong += [f"{word} (of {len(desk.wrong)})" for word in desk.wrong[:3]]
        lived.wrong += [f"{key} was told {count} times" for key, count in desk.fills.items() if count > 1]
        for client_id, many in venue_orders(server).items():
            if len(many) > 1:
                lived.wrong.append(f"{client_id} was sent {len(many)} times")
            if client_id in desk.rejected and any(order.open or order.filled for order in many):
                lived.wrong.append(f"{client_id} was taken for never having been, the venue has it")
        if server.limits is not None and server.limits.refused:
            lived.wrong.append(f"the venue refused {server.limits.refused} requests as too many")
        for link in (desk.market, desk.account):
            lived.wrong += [f"ended: {task.get_name()}" for task in link._tasks if task.done()]
        lived.answers = dict(self.heard.answers)
        lived.refusals = dict(Counter(reason[:60] for reason in desk.rejected.values()).most_common(12))
        lived.figures = dict(lived.rows[-1].counters) | {"external_orders": len(desk.external)}
