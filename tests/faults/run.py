"""One scenario over real sockets, and what must hold when it is over.

1. Every execution the venue has of an order of ours was told once, and nothing else was.
2. No order that the desk takes for never having been is open or filled at the venue.
3. Nothing was sent twice: the venue has each client order id once.
4. Our open orders are the venue's, and what has ended there has ended here.
5. No level was told of a book that is not whole, none of a crossed book, and while a book is not live nothing of it is left.
6. When the market stands still, the book is the venue's own.
7. Orders of somebody else are shown, and still there.
8. Where nothing disturbed a private stream that tells executions, it told every one, whatever queries told as well.
9. Where no level was told wrongly, no book was ever wrong: none was given up as crossed or stuck, or after an audit (which may find a
   book that a silent stream has left behind before its age does, or one whose next messages are all lost before the gap shows).

A recovery is counted from the moment the book was given up, or, if later, from the last moment the venue was disturbed, until the snapshot.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from decimal import Decimal
from time import monotonic
from typing import Any

import msgspec

from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.events import StreamStatus
from adapters.ccxt.market.link import MarketLink
from sim.servers.faults import Fault, FaultOrder
from sim.servers.matching import OrderRequest, Tif
from tests.conformance.ccxt_venue import venue
from tests.faults.desk import Desk, unlimited
from tests.faults.planted import Plant
from tests.faults.scenario import Scenario

SETTINGS: dict[str, Any] = {
    "max_age_ms": 1_000,
    "keepalive_s": 1.0,
    "order_timeout_ms": 800,
    "order_rate_per_s": 50.0,
    "reconcile_s": 1.0,
    "audit_s": 0.4,
    "dead_man_s": 0,
}
SETTLE_S = 20.0  # longer than the longest proof that an order never was
COMPARED = 20  # best levels of each side
STRANGER = "stranger"
SAMPLE_S = 0.02
AFTER_429_S = 1.0  # the venues' own Retry-After
AGES_MS = {"BINANCEUSDM": 1_500, "KRAKENFUTURES": 1_500}  # their funding comes each second


class Outcome(msgspec.Struct, kw_only=True):
    """What one scenario showed. `recoveries_s`: of each lost book; `wrong`: what does not hold."""

    scenario: Scenario
    wrong: list[str]
    recoveries_s: list[float]
    detections_s: list[float]  # from a half-open socket to a live book again, detection included
    fills: int = 0
    orders: int = 0
    rejected: int = 0
    unknown: int = 0
    duplicates: int = 0
    resyncs: int = 0
    fills_missed: int = 0
    took_s: float = 0.0


async def run(scenario: Scenario, plant: Plant | None = None, settle_s: float = SETTLE_S) -> Outcome:
    """Play a scenario; never raises for what it shows. `plant`: a bug to put into the desk before it starts."""
    began = monotonic()
    outcome = Outcome(scenario=scenario, wrong=[], recoveries_s=[], detections_s=[])
    try:
        async with asyncio.timeout(90):
            await _play(scenario, outcome, plant, settle_s)
    except Exception as error:
        outcome.wrong.append(f"the scenario itself failed: {type(error).__name__}: {error}")
    outcome.took_s = monotonic() - began
    return outcome


async def _play(scenario: Scenario, outcome: Outcome, plant: Plant | None, settle_s: float) -> None:
    settings = SETTINGS | {"max_age_ms": AGES_MS.get(scenario.venue, SETTINGS["max_age_ms"])}
    async with venue(scenario.venue, **settings) as place, _linked(place, plant) as desk:
        server, symbol = place.running.servers[scenario.venue], place.symbol
        disturbed: list[float] = []
        sampler = asyncio.create_task(_sampled(server, desk, disturbed))
        start = monotonic()
        work = [asyncio.create_task(_disturbed(server, one.order, start + one.at_s)) for one in scenario.disturbances]
        work += [asyncio.create_task(_later(start + one.at_s, desk.trade(one, symbol))) for one in scenario.trades]
        if scenario.stranger_s is not None:
            work.append(asyncio.create_task(_stranger(server, symbol, start + scenario.stranger_s)))
        await asyncio.sleep(scenario.active_s + 0.2)
        server.disturb(FaultOrder(fault=Fault.CLEAR))
        done = await asyncio.gather(*work, return_exceptions=True)
        outcome.wrong += [f"work ended by {error!r}" for error in done if isinstance(error, BaseException)]
        await _settled(scenario, place, server, desk, outcome, settle_s)
        sampler.cancel()
        _recoveries(scenario, desk, disturbed, start, outcome)
        _check(scenario, server, desk, outcome)


@contextlib.asynccontextmanager
async def _linked(place: Any, plant: Plant | None) -> AsyncIterator[Desk]:
    """A desk with both links up."""
    desk = Desk()
    desk.market, desk.account = MarketLink(place.config, desk), AccountLink(place.config, desk)
    desk.market._audit._settle_s = 0.15
    desk.market._audit._least_gap_s = 0.2
    unlimited(desk.market)
    unlimited(desk.account)
    desk.listen()
    if plant is not None:
        plant(desk)
    desk.market.start()
    desk.account.start()
    try:
        await _until(lambda: desk.whole and desk.account.ready.is_set(), 15.0, "a live book and a connected account")
        yield desk
    finally:
        await desk.market.stop()
        await desk.account.stop()


async def _until(true: Any, deadline_s: float, what: str) -> None:
    until = monotonic() + deadline_s
    while not true():
        if monotonic() > until:
            raise TimeoutError(f"{what} did not happen within {deadline_s:g} s")
        await asyncio.sleep(SAMPLE_S)


async def _later(when: float, work: Any) -> None:
    await asyncio.sleep(max(0.0, when - monotonic()))
    await work


async def _disturbed(server: Any, order: FaultOrder, when: float) -> None:
    await asyncio.sleep(max(0.0, when - monotonic()))
    server.disturb(order)


async def _stranger(server: Any, symbol: str, when: float) -> None:
    """Somebody else places an order far from the market."""
    await asyncio.sleep(max(0.0, when - monotonic()))
    core = server.core
    best = core.books[symbol].shown.bids.best()
    if best is None:
        return
    price = core.instruments[symbol].price(best) - 5_000
    request = OrderRequest(symbol=symbol, side=1, quantity=Decimal("0.1"), price=price, tif=Tif.GTC, client_id=STRANGER)
    core.place(request)


async def _sampled(server: Any, desk: Desk, moments: list[float]) -> None:
    """When the venue was disturbed, and that nothing is left of a book while it is not live (rule 5)."""
    assert desk.market is not None
    while True:
        if pending := server.faults.pending():
            moments.append(monotonic() + (AFTER_429_S if Fault.HTTP_429 in pending else 0.0))
        for symbol in desk.market.markets:
            if desk.market.status(symbol) is not StreamStatus.LIVE and desk.levels:
                desk.wrong.append("levels are left of a book that is not live")
        await asyncio.sleep(SAMPLE_S)


async def _settled(scenario: Scenario, place: Any, server: Any, desk: Desk, outcome: Outcome, settle_s: float) -> None:
    """Wait for a quiet end: connected, the book live, the market standing still and the same here as there."""
    assert desk.account is not None
    try:
        await _until(lambda: desk.whole and desk.account.connected, settle_s, "a live book and a connected account")
        for task in place.running._tasks:
            task.cancel()
        await _until(lambda: same_book(server, desk, place.symbol), settle_s, "the venue's own book")
        await _until(lambda: not differences(server, desk), settle_s, "the venue's own orders")
        await _until(lambda: not _unheard(scenario, desk), 2.0, "every execution by the private stream")
        if any(order.client_id == STRANGER for order in server.core.resting.values()):
            await _until(lambda: desk.external, settle_s, "somebody else's order")
    except TimeoutError as error:
        outcome.wrong.append(str(error))
        outcome.wrong += differences(server, desk)


def same_book(server: Any, desk: Desk, symbol: str) -> bool:
    shown = server.core.books[symbol].shown
    for side in (1, -1):
        ours = sorted((price * side for of, price in desk.levels if of == side), reverse=True)[:COMPARED]
        mine = [(price * side, desk.levels[side, price * side]) for price in ours]
        if [(price, size) for price, size in mine] != list(shown.side(side).top(COMPARED)):
            return False
    return desk.whole


def venue_orders(server: Any) -> dict[str, list[Any]]:
    """The venue's orders of ours by our client order id, strangers' left out."""
    found: dict[str, list[Any]] = {}
    for order in server.core.orders.values():
        if order.client_id != STRANGER:
            found.setdefault(order.client_id, []).append(order)
    return found


def differences(server: Any, desk: Desk) -> list[str]:
    """Rules 1 and 4, while they may still come true."""
    assert desk.account is not None
    orders = venue_orders(server)
    wrong = []
    theirs = sum(len(order.fills) for many in orders.values() for order in many)
    ours = sum(desk.fills.values())
    if ours != theirs:
        wrong.append(f"{ours} executions were told, the venue has {theirs}")
    for client_id, many in orders.items():
        size = sum(order.filled for order in many)
        quantity = server.core.instruments[many[0].symbol].size(size)
        if desk.filled.get(client_id, 0) != quantity:
            wrong.append(f"{client_id}: {desk.filled.get(client_id, 0)} was told as filled, the venue has {quantity}")
        if not any(order.open for order in many) and client_id not in desk.ended | desk.rejected.keys():
            wrong.append(f"{client_id} has ended at the venue and not here")
    open_there = {client_id for client_id, many in orders.items() if any(order.open for order in many)}
    if open_there != set(desk.account.live_orders()):
        wrong.append(f"open there: {sorted(open_there)}, here: {sorted(desk.account.live_orders())}")
    return wrong


def _unheard(scenario: Scenario, desk: Desk) -> set[str]:
    """Executions that an undisturbed private stream has not told (rule 8)."""
    assert desk.account is not None
    if scenario.touches_private_stream or not desk.account._streams_fills:
        return set()
    return {trade_id for client_id, trade_id in desk.fills if client_id} - desk.streamed


def _recoveries(scenario: Scenario, desk: Desk, disturbed: list[float], start: float, outcome: Outcome) -> None:
    for cleared, whole in desk.recoveries:
        before = [moment for moment in disturbed if moment < whole]
        outcome.recoveries_s.append(whole - max([cleared, *before[-1:]]))
    for one in scenario.disturbances:
        if one.order.fault is Fault.HALF_OPEN:
            after = [whole for cleared, whole in desk.recoveries if 0 < cleared - (start + one.at_s) < 1.5]
            outcome.detections_s += [whole - (start + one.at_s) for whole in itertools.islice(after, 1)]


def _check(scenario: Scenario, server: Any, desk: Desk, outcome: Outcome) -> None:
    """The rules that are decided only now, and the figures."""
    assert desk.account is not None
    assert desk.market is not None
    wrong = outcome.wrong
    wrong += desk.wrong[:5]
    wrong += [f"{key} was told {count} times" for key, count in desk.fills.items() if count > 1]
    for client_id, many in venue_orders(server).items():
        if len(many) > 1:
            wrong.append(f"{client_id} was sent {len(many)} times")
        if client_id in desk.rejected and any(order.open or order.filled for order in many):
            wrong.append(f"{client_id} was taken for never having been ({desk.rejected[client_id]}), the venue has it")
    found = desk.account.reconciliation.found
    faults = {one.order.fault for one in scenario.disturbances}
    if Fault.WRONG_LEVEL not in faults:
        silent = faults & {Fault.SILENCE, Fault.HALF_OPEN}
        never = ("crossed", "stuck") if silent else ("crossed", "stuck", "audit")
        wrong += [reason for reason in desk.reasons if reason.startswith(never) and reason not in desk.left_behind]
    if scenario.stranger_s is not None and any(
        order.client_id == STRANGER and not order.open and not order.filled for order in server.core.orders.values()
    ):
        wrong.append("an order of somebody else was cancelled")
    if dead := [task.get_name() for task in desk.market._tasks if task.done()]:
        wrong.append(f"ended: {', '.join(dead)}")
    outcome.fills = sum(desk.fills.values())
    outcome.orders = sum(len(many) for many in venue_orders(server).values())
    outcome.rejected = len(desk.rejected)
    outcome.unknown = desk.account.counters.unknown_orders
    outcome.duplicates = desk.account.counters.fills_duplicate
    outcome.resyncs = desk.market.counters.resyncs
    outcome.fills_missed = found.fills_missed
