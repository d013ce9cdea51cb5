"""A timed schedule of faults for loopback exchanges, from a TOML file: `kerb serve VENUE --faults FILE`.

    seed = 7                    # of the jitter (default: the seed of the command)

    [[fault]]
    fault = "disconnect"        # one of sim/servers/faults.py, with its count, ms, symbol and scope
    at = "10s"                  # after the venues listen (default: at once)
    every = "30s"               # again and again, so long after the last time (default: once)
    jitter = "5s"               # each time up to so much later, drawn from the seed
    venue = "KRAKEN"            # which of the served exchanges (default: each)

The same file and seed disturb at the same moments. A file that is wrong in any way is told in one sentence, before anything is served.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from desk.errors import ConfigFault
from sim.servers.faults import FaultOrder

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
LEAST_EVERY_S = 0.1


class Disturbed(Protocol):
    """A server that does what a fault asks for."""

    def disturb(self, wanted: FaultOrder) -> None:
        """Do, or remember, what a fault asks for."""


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One fault and its moments, in seconds; `every_s` 0 = once."""

    order: FaultOrder
    at_s: float
    every_s: float = 0.0
    jitter_s: float = 0.0

    def moments(self, rng: random.Random) -> Iterator[float]:
        """When it happens: each base moment so much later as is drawn."""
        for turn in itertools.count():
            yield self.at_s + turn * self.every_s + rng.uniform(0.0, self.jitter_s)
            if not self.every_s:
                return


class FaultPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. `seed` None: whoever runs it has one."""

    faults: tuple[Planned, ...]
    seed: int | None = None

    def check(self, listed: Mapping[str, Collection[str]]) -> None:
        """Refuse a symbol that no exchange lists which its fault disturbs: that fault would never happen. Raises ConfigFault."""
        for planned in self.faults:
            symbol, venue = planned.order.symbol, planned.order.venue
            found = [symbols for name, symbols in listed.items() if venue in ("", name)]
            if symbol and not any(symbol in symbols for symbols in found):
                known = ", ".join(sorted({one for symbols in found for one in symbols}))
                raise ConfigFault(
                    f"{planned.order.fault}: {symbol} is listed by no exchange that it disturbs; there are {known}"
                )

    def timeline(self, venues: tuple[str, ...], seed: int) -> Iterator[tuple[float, str, FaultOrder]]:
        """(seconds, venue, fault) in order of time, endless when something repeats; each fault draws on its own."""
        streams = []
        for number, planned in enumerate(self.faults):
            for venue in (planned.order.venue,) if planned.order.venue else venues:
                rng = random.Random(f"{self.seed if self.seed is not None else seed} {number} {venue}")
                streams.append(self._stream(planned, venue, rng))
        return heapq.merge(*streams, key=lambda due: due[0])

    @staticmethod
    def _stream(planned: Planned, venue: str, rng: random.Random) -> Iterator[tuple[float, str, FaultOrder]]:
        latest = 0.0
        for moment in planned.moments(rng):
            latest = max(latest, moment)
            yield latest, venue, planned.order


def read_faults(path: Path, venues: tuple[str, ...]) -> FaultPlan:
    """The plan in a file for these exchanges; raises ConfigFault with the one sentence that says what is wrong with it."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigFault(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        if not venues:
            raise ValueError("there is no exchange to disturb")
        return _plan(tomllib.loads(text), venues)
    except ValueError as error:  # what msgspec, tomllib and our own rules raise
        raise ConfigFault(f"{path}: {error}") from error


async def run_faults(plan: FaultPlan, servers: Mapping[str, Disturbed], seed: int, say: Callable[[str], None]) -> None:
    """Disturb the servers by the plan, until it ends (or for ever)."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for due_s, venue, order in plan.timeline(tuple(servers), seed):
        await asyncio.sleep(max(0.0, began_s + due_s - loop.time()))
        servers[venue].disturb(order)
        say(f"{due_s:8.1f} s  {venue}: {described(order)}")


def described(order: FaultOrder) -> str:
    """A fault in one line."""
    parts = [f"{name} {value}" for name in ("ms", "symbol", "scope") if (value := getattr(order, name))]
    times = [f"{order.count} times"] if order.count > 1 else []
    return ", ".join([str(order.fault), *times, *parts])


def _plan(table: dict[str, Any], venues: tuple[str, ...]) -> FaultPlan:
    rows, seed = table.pop("fault", []), table.pop("seed", None)
    if table:
        raise ValueError(f"unknown key {next(iter(table))!r}: there are seed and [[fault]]")
    if seed is not None and type(seed) is not int:
        raise ValueError(f"seed: {seed!r} is no whole number")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ValueError("no [[fault]] in it")
    return FaultPlan(faults=tuple(_planned(dict(row), n, venues) for n, row in enumerate(rows, 1)), seed=seed)


def _planned(row: dict[str, Any], number: int, venues: tuple[str, ...]) -> Planned:
    try:
        times = {name: _seconds(name, row.pop(name, 0)) for name in ("at", "every", "jitter")}
        if 0 < times["every"] < LEAST_EVERY_S:
            raise ValueError(f"every: more often than each {LEAST_EVERY_S:g} s")
        if isinstance(row.get("venue"), str):
            row["venue"] = row["venue"].upper()
        order = msgspec.convert(row, FaultOrder)
    except ValueError as error:
        raise ValueError(f"fault {number}: {error}") from error
    if order.venue and order.venue not in venues:
        raise ValueError(f"fault {number}: venue: {order.venue} is not served; there are {', '.join(venues) or 'none'}")
    return Planned(order=order, at_s=times["at"], every_s=times["every"], jitter_s=times["jitter"])


def _seconds(name: str, value: Any) -> float:
    """A number of seconds, or a text such as 500ms, 10s, 2m."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{name}: {value!r} is no time")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", str(value))
    if match is None:
        raise ValueError(f"{name}: {value!r} is no time such as 500ms, 10s, 2m")
    return float(match[1]) * _SECONDS[match[2] or "s"]
