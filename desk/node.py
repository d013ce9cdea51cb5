"""The live desk: node, API and archive in one event loop, started in order and stopped in order.

start   kernels warm → ledger → archiver → node (venues connect in the background) → API (only now can anybody ask)
stop    API (nobody asks any more) → router gives back what is open → node → ledger (all durable) → spool → archiver (all inserted)
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from adapters.ccxt.config import MARGIN, ExchangeConfig
from adapters.ccxt.factories import (
    CcxtDataClientConfig,
    CcxtDataClientFactory,
    CcxtExecClientConfig,
    CcxtExecClientFactory,
    load_ccxt,
)
from adapters.ccxt.limits.purse import purse_of
from adapters.clickhouse.client import ArchiveError
from adapters.clickhouse.config import ArchiveConfig
from adapters.clickhouse.place import ask_archiver
from adapters.clickhouse.tap import ArchiveTap
from adapters.falconx.actor import FalconXActor
from adapters.falconx.config import FalconXConfig
from adapters.falconx.factories import FalconXExecClientFactory, FalconXExecConfig
from adapters.native.catalogue import DERIVES_TOP
from adapters.native.factories import NativeDataClientConfig, NativeDataClientFactory
from adapters.nautilus.node import EmbeddedNode, NodeConfig
from adapters.process import as_child
from desk.accounts import VenueAccounts
from desk.api.context import Venues
from desk.api.messages import RateLimits
from desk.api.server import ApiServer
from desk.clients.store import KeyStore
from desk.compose import DeskParts, build_desk
from desk.config.model import DeskConfig
from desk.config.secrets import Credentials, credentials
from desk.errors import ConfigFault, TemporaryFault
from desk.ids import base36
from desk.kernels import warm
from desk.ledger import Ledger
from desk.paper import paper_clients
from desk.sweeper import HaltSweeper
from desk.tca.history import recall
from desk.volumes import recall_volumes

log = logging.getLogger("kerb.desk")

NO_CREDENTIALS = Credentials("", "")
CONNECT_DEADLINE_S = 8.0
ARCHIVER_STOP_S = 2.5
ORDERS_STOP_S = 1.0
SWITCH_INTERVAL_S = (
    0.001  # the ledger's writer and the spool's flusher are Python threads: they must not keep the loop waiting
)


class LiveDesk:
    """One running desk. `start()`, then wait on `stopping`, then `stop()`; both are called once, in the running loop."""

    def __init__(self, config: DeskConfig, state_dir: Path, environ: Mapping[str, str] = os.environ) -> None:
        self.config = config
        self.state_dir = state_dir
        self.epoch = base36(time.time_ns() // 1_000_000)
        self.port = 0
        self._environ = environ
        self.api: ApiServer | None = None
        self.node: EmbeddedNode | None = None
        self.ledger: Ledger | None = None
        self._archiver: asyncio.subprocess.Process | None = None
        self._tap: ArchiveTap | None = None
        self._watch: asyncio.Task[None] | None = None
        self._recall: asyncio.Task[None] | None = None

    async def start(self, say: Callable[[str], None]) -> None:
        """Bring everything up; `say` is told each step in words. May be cancelled; `stop` ends what was started."""
        config = self.config
        loop = asyncio.get_running_loop()
        keys = KeyStore(self.state_dir)
        exchanges, lps = self._exchanges(), self._lps()  # a missing secret is told before anything takes time
        say("warming kernels")
        await _aside(load_ccxt)  # seconds that the loop would not hear a signal in
        await _aside(lambda: warm(lambda step: loop.call_soon_threadsafe(say, step)))
        ledger_url = config.ledger.url or f"sqlite:///{self.state_dir / 'ledger.db'}"
        self.ledger = Ledger(ledger_url, on_done=loop.call_soon_threadsafe)
        margin = [venue.venue for venue in config.venues if venue.enabled and venue.exchange in MARGIN]
        accounts = VenueAccounts(
            frozenset(margin if config.mode == "live" else ())
        )  # paper imagines cash accounts alone
        extra: list[Any] = [accounts]
        if config.archive is not None:
            await self._start_archiver(config.archive)
            self._tap = ArchiveTap(config.archive, self._sources())
            extra.append(self._tap)
        exec_clients, exec_factories = self._execution(exchanges, lps)
        self.parts: DeskParts = build_desk(
            config,
            ledger=self.ledger,
            epoch=self.epoch,
            now_ns=time.time_ns,
            archive=self._tap.view if self._tap else dict,
            extra=[*extra, *(FalconXActor(lp) for lp in lps.values())],
            tiers=lambda client_id: _tier(keys, client_id),
            accounts=accounts.standings,
        )
        gate, alerts = self.parts.gate, self.parts.alerts
        self.parts.extra.append(HaltSweeper(tuple(exchanges), lambda: gate.state.trading, alerts.raise_))
        self.node = EmbeddedNode(
            NodeConfig(
                trader_id=config.trader_id,
                data_clients=_data_clients(config, exchanges),
                exec_clients=exec_clients,
                log_level="ERROR" if config.log_level == "WARNING" else config.log_level,
            ),
            actors=self.parts.actors,
            strategies=self.parts.strategies,
            data_factories={"CCXT": CcxtDataClientFactory, "NATIVE": NativeDataClientFactory},
            exec_factories=exec_factories,
        )
        self.ledger.on_fault(lambda what, error: loop.call_soon_threadsafe(self._ledger_fault, what, error))
        say("connecting to venues")
        if config.archive is not None:
            self._recall = asyncio.create_task(self._remember(time.time_ns()), name="recall")
        await self.node.start(CONNECT_DEADLINE_S)
        for client in self.node.unconnected:
            self.parts.alerts.raise_("warning", f"{client} is not connected yet; it is tried again in the background")
        self.api = ApiServer(
            self.parts.desk,
            self.parts.orders,
            self.parts.market,
            keys,
            epoch=self.epoch,
            events=self.parts.events,
            accounts=accounts,
            venues=_venues(config, exchanges),
        )
        unix_socket = Path(config.api.unix_socket) if config.api.unix_socket else None
        try:
            self.port = await self.api.start(config.api.host, config.api.port, unix_path=unix_socket)
        except OSError as fault:
            raise TemporaryFault(f"cannot listen on {config.api.host}:{config.api.port}: {fault.strerror}") from fault
        self._watch = asyncio.create_task(self._watch_archiver(), name="archiver watch")
        gc.collect()
        gc.freeze()
        sys.setswitchinterval(SWITCH_INTERVAL_S)

    async def stop(self) -> None:
        """Stop in order; what was promised is durable when this returns."""
        for task in (self._watch, self._recall):
            if task is not None:
                task.cancel()
        if self.api is not None:
            await self.api.stop()
        if self.node is not None:
            await self._finish_orders()
            await self.node.stop()
        if self.ledger is not None:
            await asyncio.to_thread(self.ledger.close)
        if self._tap is not None:
            await asyncio.to_thread(self._tap.close)
            final = self.state_dir / "tapped.json"
            final.write_bytes(msgspec.json.encode(self._tap.view()))
        await self._stop_archiver()

    def _ledger_fault(self, what: str, error: Exception) -> None:
        self.parts.alerts.raise_("critical", f"{what}: {error}", "ledger")

    async def _finish_orders(self) -> None:
        """No new hedges; what is on the wire gets a moment to end. What is not proven by then is asked for at the next start."""
        self.parts.desk.hedger.paused = True
        self.parts.router.stand_down()
        until = time.monotonic() + ORDERS_STOP_S
        while self.parts.board.view().open and time.monotonic() < until:
            await asyncio.sleep(0.02)

    def _exchanges(self) -> dict[str, ExchangeConfig]:
        """The exchanges by venue. Paper trading looks on only: its clients are given no keys, even if there are some."""
        found = {}
        for venue in self.config.venues:
            if not venue.enabled:
                continue
            secret = NO_CREDENTIALS if self.config.mode == "paper" else self._secret(venue.venue)
            found[venue.venue] = ExchangeConfig(
                venue=venue.venue,
                exchange=venue.exchange,
                rest_url=venue.rest_url or None,
                ws_url=venue.ws_url or None,
                symbols=self.config.venue_symbols(venue),
                api_key=secret.key,
                secret=secret.secret,
                password=secret.passphrase,
                taker_fee_bps=venue.assumed_fee_bps if self.config.mode == "paper" else venue.taker_fee_bps,
                depth=venue.depth,
                max_age_ms=venue.max_age_ms,
                max_quotes_age_ms=venue.max_quotes_age_ms,
                max_trades_age_ms=venue.max_trades_age_ms,
                audit_s=venue.audit_s,
                reconcile_s=venue.reconcile_s,
                order_timeout_ms=venue.order_timeout_ms,
                order_rate_per_s=venue.order_rate_per_s,
                orders_by=venue.orders_by,
                dead_man_s=venue.dead_man_s,
            )
        return found

    def _lps(self) -> dict[str, FalconXConfig]:
        """The LPs by name; each quotes to a known account only, on paper as well."""
        found = {}
        for lp in self.config.lps:
            if not lp.enabled:
                continue
            if not (lp.rest_url and lp.ws_url):
                raise ConfigFault(f"{lp.lp} is enabled, but its rest_url and ws_url are not configured")
            secret = self._secret(lp.lp)
            found[lp.lp] = FalconXConfig(
                lp=lp.lp,
                rest_url=lp.rest_url,
                ws_url=lp.ws_url,
                api_key=secret.key,
                secret=secret.secret,
                passphrase=secret.passphrase,
                symbols=self.config.lp_symbols(lp),
                levels=lp.levels,
                timeout_ms=lp.timeout_ms,
            )
        return found

    def _execution(
        self, exchanges: Mapping[str, ExchangeConfig], lps: Mapping[str, FalconXConfig]
    ) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Who executes, and who makes them: the venues, or their imagination."""
        if self.config.mode == "paper":
            return paper_clients(self.config, self.state_dir, lps)
        clients: dict[str, Any] = {}
        for name, exchange in exchanges.items():
            clients[f"CCXT-{name}"] = CcxtExecClientConfig(exchange=exchange)
        for name, lp in lps.items():
            clients[f"FALCONX-{name}"] = FalconXExecConfig(falconx=lp)
        return clients, {"CCXT": CcxtExecClientFactory, "FALCONX": FalconXExecClientFactory}

    def _secret(self, venue: str) -> Credentials:
        found = credentials(venue, self._environ)
        if found is None:
            raise ConfigFault(
                f"{venue} is enabled, but {venue}_API_KEY and {venue}_API_SECRET are not in the environment"
                + (" (an LP quotes to its clients only, on paper as well)" if self.config.mode == "paper" else "")
            )
        return found

    def _sources(self) -> list[tuple[str, str]]:
        config = self.config
        return [
            (symbol, venue.venue) for venue in config.venues if venue.enabled for symbol in config.venue_symbols(venue)
        ]

    # ---- the archiver: a process of its own, started again when it dies; the spool waits for it ---------------------------

    async def _start_archiver(self, archive: ArchiveConfig) -> None:
        self._archiver = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "adapters.clickhouse.archiver",
            "--dsn",
            archive.dsn,
            "--spool",
            archive.spool_dir,
            "--socket",
            str(self.state_dir / "archive.sock"),
            stdin=asyncio.subprocess.DEVNULL,
            env=as_child(),
            start_new_session=True,
        )

    async def _watch_archiver(self) -> None:
        while self._archiver is not None and self.config.archive is not None:
            code = await self._archiver.wait()
            self.parts.alerts.raise_("warning", f"the archiver ended (exit {code}); starting it again", "archive")
            await asyncio.sleep(1.0)
            await self._start_archiver(self.config.archive)

    async def _remember(self, start_ns: int) -> None:
        """Go on with what earlier runs learnt of clients, venues, LPs and volumes, as soon as the archiver answers."""
        socket, found, volumes = str(self.state_dir / "archive.sock"), [], []

        def ask(sql: str) -> str:
            return ask_archiver(socket, "/query", {"sql": sql, "format": "JSONEachRow"})

        for pause_s in (0.5, 1, 2, 4, 8, 15, 30):
            try:
                await _aside(lambda: found.append(recall(ask, self.config.tca, start_ns)))
                await _aside(lambda: volumes.append(recall_volumes(ask, list(self.parts.market.books), start_ns)))
            except ArchiveError as error:
                fault = str(error)
                if not error.retryable:
                    break
                await asyncio.sleep(pause_s)
            else:
                self.parts.tca.merge(found[0])
                self.parts.volumes.update(volumes[0])
                return
        self.parts.alerts.raise_("warning", f"scorecards begin from nothing: {fault}", "tca")

    async def _stop_archiver(self) -> None:
        archiver, self._archiver = self._archiver, None
        if archiver is None or archiver.returncode is not None:
            return
        archiver.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(ARCHIVER_STOP_S):
                await archiver.wait()
        except TimeoutError:
            log.warning("the archiver is still inserting; what is left waits in the spool")
            with contextlib.suppress(ProcessLookupError):
                archiver.kill()
            await archiver.wait()


def _venues(config: DeskConfig, exchanges: Mapping[str, ExchangeConfig]) -> Venues:
    """What the API says of the venues: an account's purse is one for its data and its orders."""
    purses = {name: purse for name, exchange in exchanges.items() if (purse := purse_of(exchange)) is not None}
    return Venues(
        exchanges={name: exchange.exchange for name, exchange in exchanges.items()},
        paper=config.mode == "paper",
        derived_tops=frozenset(v.venue for v in config.venues if v.kind == "nautilus" and v.exchange in DERIVES_TOP),
        rate_limits=lambda: {
            name: msgspec.convert(purse.budget.health(), RateLimits) for name, purse in sorted(purses.items())
        },
    )


def _data_clients(config: DeskConfig, exchanges: Mapping[str, ExchangeConfig]) -> dict[str, Any]:
    """Who brings each venue's market data."""
    kinds = {venue.venue: venue.kind for venue in config.venues}
    native = [name for name in exchanges if kinds[name] == "nautilus"]
    clients: dict[str, Any] = {f"NATIVE-{name}": NativeDataClientConfig(exchange=exchanges[name]) for name in native}
    return clients | {
        f"CCXT-{name}": CcxtDataClientConfig(exchange=item) for name, item in exchanges.items() if name not in native
    }


def _tier(keys: KeyStore, client_id: str) -> str:
    """The tier of a client's newest active key."""
    return next((key.tier for key in reversed(keys.keys()) if key.client_id == client_id and key.active), "standard")


async def _aside(work: Callable[[], None]) -> None:
    """Run `work` in a thread that nobody waits for when the desk is stopped meanwhile: the loop's own threads are waited for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, error)

    threading.Thread(target=run, name=work.__name__, daemon=True).start()
    await done
