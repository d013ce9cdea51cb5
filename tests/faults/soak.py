"""A day of reconnects without the day: `python -m tests.faults.soak N` loses and restores everything N times a kind.

    disconnect     every socket of market data and account is torn down
    resync         a book update is lost; one stream is subscribed anew on the socket that lives
    maintenance    sockets end with a notice, dials and requests are refused for a moment

Only the waiting is left out (`FAST`): pauses between attempts are a fiftieth. What is measured after each round of a kind: open file
descriptors, tasks, ccxt clients and futures, resident memory, and live Python objects.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator
from time import monotonic
from typing import Any

import msgspec

from adapters.ccxt import pace
from adapters.ccxt.account import balances
from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.market import link
from adapters.ccxt.market.link import MarketLink
from sim.servers.faults import Fault, FaultOrder
from tests.conformance.ccxt_venue import venue
from tests.faults.desk import Desk, unlimited

KINDS = {
    "disconnect": FaultOrder(fault=Fault.DISCONNECT),
    "resync": FaultOrder(fault=Fault.DROP_UPDATES),
    "maintenance": FaultOrder(fault=Fault.MAINTENANCE, ms=60),
}
ROUNDS = 20  # measurements a kind
NOTICED_S, RESTORED_S = 1.0, 30.0
SETTLED_S = 0.6  # what is being closed gets this long before a measurement


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What is held at one moment. `reconnects` and `resyncs`: so far."""

    kind: str
    done: int
    files: int
    tasks: int
    clients: int
    futures: int
    objects: int
    resident_kb: int
    reconnects: int
    resyncs: int


@contextlib.contextmanager
def fast() -> Iterator[None]:
    """No waiting between attempts, and no connection is too young to count."""
    kept = (pace.LEAST_S, pace.PATIENT_S, pace.YOUNG_S, link.WATCHDOG_S, balances.PAUSE_S)
    pace.LEAST_S, pace.PATIENT_S, pace.YOUNG_S, link.WATCHDOG_S, balances.PAUSE_S = 0.002, 0.02, 0.0, 0.05, 0.01
    try:
        yield
    finally:
        pace.LEAST_S, pace.PATIENT_S, pace.YOUNG_S, link.WATCHDOG_S, balances.PAUSE_S = kept


@contextlib.asynccontextmanager
async def linked(name: str) -> AsyncIterator[tuple[Any, Desk]]:
    """A venue's server and a desk at it, both links up."""
    async with venue(name, audit_s=0, reconcile_s=0, keepalive_s=1.0, dead_man_s=0, depth=25) as place:
        desk = Desk()
        desk.market, desk.account = MarketLink(place.config, desk), AccountLink(place.config, desk)
        unlimited(desk.market)
        unlimited(desk.account)
        desk.market.start()
        desk.account.start()
        try:
            await _whole(desk, 0, 0, RESTORED_S)
            yield place.running.servers[name], desk
        finally:
            await desk.market.stop()
            await desk.account.stop()


async def lose(server: Any, desk: Desk, kind: str, times: int) -> None:
    """Lose and restore so many times."""
    assert desk.market is not None
    assert desk.account is not None
    for _ in range(times):
        lost = len(desk.recoveries)
        connected = desk.account.reconciliation.found.done
        until = monotonic() + RESTORED_S
        while True:
            server.disturb(KINDS[kind])
            try:
                await _whole(
                    desk, lost + 1, connected + (kind != "resync"), NOTICED_S if kind == "resync" else RESTORED_S
                )
                break
            except TimeoutError:  # a checksum of ten levels does not see every loss: lose another
                if monotonic() > until or kind != "resync":
                    raise


async def _whole(desk: Desk, recoveries: int, reconciled: int, within_s: float) -> None:
    assert desk.account is not None
    until = monotonic() + within_s
    while not (
        desk.whole
        and desk.account.connected
        and len(desk.recoveries) >= recoveries
        and desk.account.reconciliation.found.done >= reconciled
    ):
        if monotonic() > until:
            raise TimeoutError(f"not restored within {within_s:g} s")
        await asyncio.sleep(0.005)


async def measure(desk: Desk, kind: str, done: int) -> Measured:
    """What is held now."""
    await asyncio.sleep(SETTLED_S)
    gc.collect()
    assert desk.market is not None
    assert desk.account is not None
    clients = [one for held in (desk.market, desk.account) for one in held._exchange.clients.values()]
    with open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    return Measured(
        kind=kind,
        done=done,
        files=len(os.listdir("/proc/self/fd")),
        tasks=len(asyncio.all_tasks()),
        clients=len(clients),
        futures=sum(len(one.futures) + len(one.subscriptions) + len(one.rejections) for one in clients),
        objects=len(gc.get_objects()),
        resident_kb=resident,
        reconnects=desk.market.counters.reconnects + desk.account.counters.reconnects,
        resyncs=desk.market.counters.resyncs,
    )


async def soak(name: str, times: int, rounds: int = ROUNDS) -> list[Measured]:
    """Measurements of every kind at one venue, in one process."""
    found = []
    with fast():
        async with linked(name) as (server, desk):
            for kind in KINDS:
                for turn in range(rounds + 1):
                    if turn:
                        await lose(server, desk, kind, max(1, times // rounds))
                    found.append(await measure(desk, kind, turn * max(1, times // rounds)))
                    desk.recoveries.clear()
                    desk.reasons.clear()
    return found


def slope(values: list[float], at: list[int]) -> float:
    """Least squares: growth a thousand reconnects."""
    mean_x, mean_y = sum(at) / len(at), sum(values) / len(values)
    spread = sum((x - mean_x) ** 2 for x in at)
    return 1000 * sum((x - mean_x) * (y - mean_y) for x, y in zip(at, values, strict=True)) / spread if spread else 0.0


def growth(found: list[Measured]) -> dict[str, dict[str, float]]:
    """By kind: growth a thousand, over the second half of the measurements (the first fills caches)."""
    out = {}
    for kind in KINDS:
        rows = [row for row in found if row.kind == kind]
        rows = rows[len(rows) // 2 :]
        names = ("files", "tasks", "clients", "futures", "objects", "resident_kb")
        out[kind] = {
            name: round(slope([getattr(row, name) for row in rows], [row.done for row in rows]), 2) for name in names
        }
        out[kind]["times"] = rows[-1].done
    return out


def main() -> None:
    """Run from the command line; exit 1 when file descriptors, tasks, clients or futures grow."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("times", type=int, nargs="?", default=2_000)
    parser.add_argument("--venue", default="KRAKEN")
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    found = asyncio.run(soak(options.venue.upper(), options.times))
    grown = growth(found)
    print(
        json.dumps(
            {"venue": options.venue.upper(), "last": msgspec.structs.asdict(found[-1]), "growth_per_1000": grown},
            indent=2,
        )
    )
    sys.exit(any(abs(row[name]) > 1 for row in grown.values() for name in ("files", "tasks", "clients", "futures")))


if __name__ == "__main__":
    main()
