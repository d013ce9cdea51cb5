"""Runs the demo: venues, desk, scripted clients, blotter; tells what happens; stops everything, however it ends.

Every process is its own session, so that Ctrl-C reaches only the supervisor, which stops them in order; and each asks the kernel to end
it when its parent dies, so that nothing survives a kill -9 of the supervisor either.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

import aiohttp

from adapters.process import as_child
from desk.client import DeskState, KerbClient
from desk.errors import ConfigFault, KerbError, TemporaryFault
from sim.crosses import crosses
from sim.demo.crowd import Crowd
from sim.demo.report import archive_rows, build_report
from sim.demo.settings import desk_environment, write_access, write_config

READY_DEADLINE_S = 90.0
VENUES_DEADLINE_S = 60.0
SETTLE_S = 6.0
SUMMARY_EVERY_S = 5.0
STOP_S = 4.2


class ChildDied(KerbError):
    """A process of the demo ended by itself."""


@dataclass(slots=True)
class Options:
    """What the command line said. `duration_s` None: until it is stopped."""

    tape: Path | None
    seed: int
    state: Path
    port: int
    duration_s: float | None
    report: Path | None
    blotter: bool


@dataclass(slots=True)
class Child:
    """A process we started. `stopping`: its end is expected."""

    name: str
    process: asyncio.subprocess.Process
    stopping: bool = False


@dataclass
class Supervisor:
    """One run of the demo; `run()` returns the exit code."""

    options: Options
    say: Callable[[str], None]
    children: dict[str, Child] = field(default_factory=dict)

    async def run(self) -> int:
        """Start, watch, report, stop."""
        options = self.options
        lock = _lock(options.state)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(name, stop.set)
        log = (options.state / "demo.log").open("a") if options.blotter else None
        try:
            return await self._run(stop, log)
        finally:
            await self._stop_all()
            if log is not None:
                log.close()
            lock.close()

    async def _run(self, stop: asyncio.Event, log: TextIO | None) -> int:
        options = self.options
        self.say(f"state folder: {options.state}")
        interrupted = asyncio.create_task(stop.wait())
        try:
            venues = await _first(self._start_venues(log), interrupted)
            if venues is None:
                return 0
            port = _free_port(options.port, self.say)
            url = f"http://127.0.0.1:{port}"
            write_config(options.state, port=port, seed=options.seed, venues=venues, instruments=_instruments(venues))
            access = write_access(options.state, url)
            await self._start_desk(venues, log)
            self.say(f"desk: {url}   docs: {url}/docs   keys: {options.state / 'access.json'}")
            if await _first(self._ready(url, access), interrupted) is None:
                return 0
            return await self._trade(url, access, _instruments(venues), interrupted, log)
        finally:
            interrupted.cancel()

    async def _trade(
        self,
        url: str,
        access: dict[str, Any],
        instruments: list[dict[str, Any]],
        interrupted: asyncio.Task[Any],
        log: TextIO | None,
    ) -> int:
        options = self.options
        operator = access["operator"]
        async with KerbClient(url, operator["key"], operator["secret"]) as desk:
            offered = {item.symbol for item in await desk.instruments()}
            asked = [item for item in (*instruments, *_crosses(instruments)) if item["symbol"] in offered]
            crowd = Crowd(url, access["clients"], asked or instruments, options.seed)
            flow = asyncio.create_task(crowd.run(), name="clients")
            watch = asyncio.create_task(self._watch(), name="watch")
            ends = [interrupted, watch]
            if options.blotter:
                ends.append(asyncio.create_task(self._blotter(url), name="blotter"))
            else:
                ends.append(asyncio.create_task(self._summarise(desk), name="summary"))
            if options.duration_s is not None:
                ends.append(asyncio.create_task(asyncio.sleep(options.duration_s), name="clock"))
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            flow.cancel()
            await asyncio.gather(flow, return_exceptions=True)
            died = watch.exception() if watch.done() and not watch.cancelled() else None
            state: DeskState | None = None
            await crowd.finish(2.0 if died is None else 0.0)
            if died is None:
                state = await _settled(desk, SETTLE_S if not interrupted.done() else 0.3)
            for task in ends:
                if task is not interrupted:
                    task.cancel()
            await asyncio.gather(*(task for task in ends if task is not interrupted), return_exceptions=True)
        if died is not None:
            raise died
        self.say("stopping")
        await self._stop_all()
        if options.report is not None and state is not None:
            rows = await archive_rows(options.state)
            report = build_report(state, options.state, rows, crowd.faults)
            options.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
            self.say(f"report: {options.report}")
        return 0

    # ---- processes ----------------------------------------------------------------------------------------------------

    async def _start_venues(self, log: TextIO | None) -> dict[str, Any]:
        options = self.options
        arguments = ["-m", "sim.servers", "--seed", str(options.seed), "--state", str(options.state / "venues")]
        if options.tape is not None:
            arguments += ["--tape", str(options.tape)]
            self.say(f"reading {options.tape}")
        else:
            self.say("no tape given: the market is generated (seeded)")
        child = await self._spawn("venues", arguments, log, stdout=asyncio.subprocess.PIPE)
        assert child.process.stdout is not None
        try:
            async with asyncio.timeout(VENUES_DEADLINE_S):
                line = await child.process.stdout.readline()
        except TimeoutError:
            raise TemporaryFault(f"the venues did not start within {VENUES_DEADLINE_S:.0f} s") from None
        if not line:
            child.stopping = True
            code = await child.process.wait()
            if code == 2:
                raise ConfigFault("the tape cannot be used (see above)")
            raise ChildDied(f"the venues ended at start (exit {code})")
        return dict(json.loads(line))

    async def _start_desk(self, venues: dict[str, Any], log: TextIO | None) -> None:
        environment = {**os.environ, **desk_environment(venues)}
        arguments = ["-m", "desk.cli", "run", "--config", str(self.options.state / "desk.toml"), "--live"]
        await self._spawn("desk", arguments, log, environment=environment)

    async def _spawn(
        self,
        name: str,
        arguments: list[str],
        log: TextIO | None,
        *,
        stdout: int | TextIO | None = None,
        environment: dict[str, str] | None = None,
    ) -> Child:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout if stdout is not None else (log or sys.stderr),
            stderr=log or sys.stderr,
            env=as_child(environment),
            start_new_session=True,
        )
        self.children[name] = child = Child(name, process)
        return child

    async def _ready(self, url: str, access: dict[str, Any]) -> bool:
        """Wait until something can be quoted: every instrument has a live book, or one that will not come soon is said."""
        key = access["operator"]
        until = time.monotonic() + READY_DEADLINE_S
        patience: float | None = None
        async with KerbClient(url, key["key"], key["secret"]) as desk:
            while time.monotonic() < until:
                self._raise_if_dead()
                try:
                    state = await desk.desk_state()
                except (KerbError, aiohttp.ClientError, OSError, TimeoutError):
                    await asyncio.sleep(0.2)
                    continue
                live = {(book.venue, book.instrument) for book in state.books if book.status == "live"}
                symbols = {book.instrument for book in state.books}
                if state.books and len(live) == len(state.books) and all(lp.status == "live" for lp in state.lps):
                    self.say(f"quoting {', '.join(sorted(symbols))}: {len(live)} books live")
                    return True
                if live and symbols == {instrument for _, instrument in live}:
                    patience = patience or time.monotonic() + 10
                    if time.monotonic() > patience:
                        waiting = [f"{b.venue} {b.instrument} ({b.status})" for b in state.books if b.status != "live"]
                        self.say(f"quoting; not live yet: {', '.join(waiting) or 'an LP stream'}")
                        return True
                await asyncio.sleep(0.2)
        self.say("no book became live in time; the desk goes on and quotes when one does")
        return True

    async def _watch(self) -> None:
        """Ends with `ChildDied` when a process dies that nobody stopped."""
        waits = {asyncio.create_task(child.process.wait()): child for child in self.children.values()}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            child = waits[next(iter(done))]
            if not child.stopping:
                again = f"kerb demo --state {self.options.state}"
                raise ChildDied(f"the {child.name} process died ({_ending(child)}); `{again}` continues where it was")
        finally:
            for task in waits:
                task.cancel()

    def _raise_if_dead(self) -> None:
        for child in self.children.values():
            if child.process.returncode is not None and not child.stopping:
                raise ChildDied(f"the {child.name} process ended at start ({_ending(child)})")

    async def _blotter(self, url: str) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "desk.cli", "tui", "--url", url, "--state", str(self.options.state)
        )
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()

    async def _summarise(self, desk: KerbClient) -> None:
        """One line each few seconds."""
        while True:
            await asyncio.sleep(SUMMARY_EVERY_S)
            with contextlib.suppress(KerbError, aiohttp.ClientError, OSError, TimeoutError):
                self.say(summary(await desk.desk_state()))

    async def _stop_all(self) -> None:
        """Desk first, venues last: what is on the wire between them can still be answered. Never longer than about 5 s."""
        deadline = time.monotonic() + STOP_S
        for name in ("desk", "venues"):
            child = self.children.get(name)
            if child is None or child.process.returncode is not None:
                continue
            child.stopping = True
            with contextlib.suppress(ProcessLookupError):
                child.process.terminate()
            try:
                async with asyncio.timeout(max(deadline - time.monotonic(), 0.4)):
                    await child.process.wait()
            except TimeoutError:
                self.say(f"{name} did not stop in time: killed")
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.process.pid, signal.SIGKILL)
                await child.process.wait()


def summary(state: DeskState) -> str:
    """The desk in one line."""
    rfqs, hedges = state.rfqs, state.hedges
    inventory = "  ".join(f"{ccy} {Decimal(view.position):+.4f}" for ccy, view in state.inventory.items())
    venues = "  ".join(f"{venue} {view.fills}" for venue, view in sorted(hedges.by_venue.items()))
    live = sum(book.status == "live" for book in state.books)
    latency = state.latency_ns.get("rfq_to_quote")
    quote_ms = f"{latency.p50 / 1e6:.1f}/{latency.p99 / 1e6:.1f} ms" if latency and latency.n else "-"
    return (
        f"{state.trading}  rfqs {rfqs.received} quoted {rfqs.quoted} traded {state.trades}  |  hedge fills {venues or '-'}"
        f"  |  {inventory}  |  P&L {Decimal(state.pnl.total):+.2f} {state.pnl.currency}"
        f"  |  books {live}/{len(state.books)}  quote p50/p99 {quote_ms}  faults {state.faults}"
    )


async def _settled(desk: KerbClient, patience_s: float) -> DeskState | None:
    """The state once hedges are done and quotes have run out, or as it is when patience ends."""
    until = time.monotonic() + patience_s
    state: DeskState | None = None
    while True:
        with contextlib.suppress(KerbError, aiohttp.ClientError, OSError, TimeoutError):
            state = await desk.desk_state()
            quoted = any(row.state in ("quoted", "accepted", "received") for row in state.blotter)
            working = any(parent.state in ("working", "cancelling") for parent in state.parents)
            if not quoted and not working and not state.hedges.open:
                return state
        if time.monotonic() > until:
            return state
        await asyncio.sleep(0.1)


async def _first(work: Any, interrupted: asyncio.Task[Any]) -> Any:
    """The result of `work`, or None when the user stops it first."""
    task = asyncio.ensure_future(work)
    await asyncio.wait([task, interrupted], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return None


def _instruments(venues: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"symbol": item["symbol"], "price_tick": Decimal(item["price_tick"]), "price": Decimal(item["price"])}
        for item in venues["instruments"]
    ]


def _crosses(instruments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the desk may offer beside what its venues list."""
    return [
        {"symbol": cross.symbol, "price": cross.price}
        for cross in crosses({item["symbol"]: item["price"] for item in instruments})
    ]


def _lock(state: Path) -> TextIO:
    """Make the folder, or take it when it is nobody's now."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / "demo.lock").open("w")
    except OSError as fault:
        raise ConfigFault(f"the state folder {state} cannot be used: {fault.strerror}") from fault
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise TemporaryFault(f"another demo is running on {state}") from None
    return lock


def _free_port(wanted: int, say: Callable[[str], None]) -> int:
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found = int(probe.getsockname()[1])
            if wanted and found != wanted:
                say(f"port {wanted} is taken: using {found}")
            return found
    raise TemporaryFault("no free port on 127.0.0.1")


def _ending(child: Child) -> str:
    code = child.process.returncode
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit {code}"
