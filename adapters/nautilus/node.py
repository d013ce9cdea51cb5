"""`EmbeddedNode`: the engine's live node inside an event loop that we own, beside an HTTP server and other guests.

What it promises, and the engine alone does not:

1. The trader starts even when a venue or LP cannot be reached: `start` waits `deadline_s` for clients to connect, then
   goes on without those that did not; they connect in the background. (The engine would wait for all, spinning, and
   then never start, while it reports to be running.)
2. Signals stay the caller's. (The engine installs handlers of its own for SIGINT, SIGTERM and SIGABRT.)
3. An exception that gets past `safe` stops the node in order and is seen in `running`, it does not end the process.
4. An order whose fate is unknown is never declared rejected: the engine's in-flight check, which does that, is off.
   `Exec.<VENUE>.resolve` proves outcomes instead.
5. `stop` ends every task and thread of the node and leaves the loop running. (The engine's `dispose` cancels all tasks
   of the loop and stops it.)
6. Market data are handled in the call that brings them. (The engine would queue each message; see `direct`.)

One node per process: the engine keeps process-wide state.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec
from nautilus_trader.cache.config import CacheConfig
from nautilus_trader.config import LoggingConfig, TradingNodeConfig
from nautilus_trader.live.config import LiveDataEngineConfig, LiveExecEngineConfig, LiveRiskEngineConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.system.kernel import NautilusKernel

from adapters.nautilus.direct import Direct

if TYPE_CHECKING:
    from nautilus_trader.cache.base import CacheFacade
    from nautilus_trader.common.actor import Actor
    from nautilus_trader.common.component import LiveClock, MessageBus
    from nautilus_trader.live.factories import LiveDataClientFactory, LiveExecClientFactory
    from nautilus_trader.trading.strategy import Strategy

POLL_S = 0.01
FORGET_EVERY_MIN = 15  # the engine keeps every order and every state of an account for ever unless it is told not to:
ORDERS_KEPT_MIN = 1_440  # closed orders and positions (the ledger knows them all),
STATES_KEPT_MIN = 60  # and states of accounts, one or more with each execution


class NodeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a node is made of. `data_clients`, `exec_clients`: "<factory name>-<venue>" to the client's own config.

    `log_level`: of the engine's logger on stdout; `submit_rate`: orders and changes per second the engine lets through,
    well above what our own gate allows, so that the gate decides.
    """

    trader_id: str = "KERB-001"
    data_clients: Mapping[str, Any] = {}
    exec_clients: Mapping[str, Any] = {}
    log_level: str = "ERROR"
    log_directory: str | None = None
    submit_rate: int = 2_000
    queue_size: int = 100_000
    reconciliation: bool = True
    stop_deadline_s: float = 3.0


class NodeFault(RuntimeError):
    """The node could not be started at all, or ended by itself."""


class EmbeddedNode:
    """A live node with our actors and strategies. Create it, `start` it and `stop` it in the running loop."""

    def __init__(
        self,
        config: NodeConfig,
        *,
        actors: Sequence[Actor] = (),
        strategies: Sequence[Strategy] = (),
        data_factories: Mapping[str, type[LiveDataClientFactory]] | None = None,
        exec_factories: Mapping[str, type[LiveExecClientFactory]] | None = None,
    ) -> None:
        self._config = config
        loop = asyncio.get_running_loop()
        with _signals_left_alone():
            self._node = TradingNode(_engine_config(config), loop=loop)
        for name, data_factory in (data_factories or {}).items():
            self._node.add_data_client_factory(name, data_factory)
        for name, exec_factory in (exec_factories or {}).items():
            self._node.add_exec_client_factory(name, exec_factory)
        for actor in actors:
            self._node.trader.add_actor(actor)
        for strategy in strategies:
            self._node.trader.add_strategy(strategy)
        self._queues: asyncio.Task[None] | None = None
        self._late: asyncio.Task[None] | None = None
        self._stopped = False
        self.unconnected: tuple[str, ...] = ()  # clients that were not connected when the trader started

    @property
    def trader_id(self) -> str:
        """The trader's id."""
        return str(self._node.trader_id)

    @property
    def cache(self) -> CacheFacade:
        """The engine's cache; loop thread only."""
        return self._node.cache

    @property
    def msgbus(self) -> MessageBus:
        """The engine's message bus; loop thread only."""
        return self._node.kernel.msgbus

    @property
    def clock(self) -> LiveClock:
        """The node's clock."""
        return self._node.kernel.clock

    @property
    def running(self) -> bool:
        """Whether actors and strategies are running and every queue of the engine is served."""
        queues = self._queues
        return bool(self._node.trader.is_running and queues is not None and not queues.done())

    async def start(self, deadline_s: float = 10.0) -> None:
        """Build clients, connect, reconcile, start the trader. Raises `NodeFault` when the trader cannot run."""
        self._node.build()
        kernel = self._node.kernel
        Direct(kernel.data_engine, kernel.msgbus)
        kernel._ts_started = kernel.clock.timestamp_ns()
        kernel._is_running = True
        kernel._register_executor()
        kernel._start_engines()
        self._queues = asyncio.create_task(self._serve_queues(), name="engine queues")
        kernel._connect_clients()
        self.unconnected = await self._await_connected(deadline_s)
        if self._config.reconciliation:
            connected = [c for c in self._exec_clients() if c.is_connected]
            await asyncio.gather(*(self._reconcile(client, deadline_s) for client in connected))
        kernel._emulator.start()
        kernel._initialize_portfolio()
        kernel._trader.start()
        if not self.running:
            error = self._queues.exception() if self._queues.done() and not self._queues.cancelled() else None
            await self.stop()
            raise NodeFault("the engine stopped while it was starting") from error
        if self.unconnected:
            self._late = asyncio.create_task(self._reconcile_late(deadline_s), name="late clients")

    async def stop(self) -> None:
        """Stop trader, clients, engines, timers and threads. Safe to call twice, and after a failed start."""
        if self._stopped:
            return
        self._stopped = True
        kernel = self._node.kernel
        if self._late is not None:
            self._late.cancel()
        if not kernel._is_stopping:  # the engine may already be stopping by itself
            await self._node.stop_async()
        if self._queues is not None:
            await asyncio.wait([self._queues], timeout=self._config.stop_deadline_s)
            self._queues.cancel()
        await self._end_leftovers()
        kernel.dispose()
        # The engine had made its executor the loop's own; guests of the loop still need one.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        kernel.executor.shutdown(wait=False, cancel_futures=True)

    async def _serve_queues(self) -> None:
        engine = self._node.kernel
        tasks = [
            engine.data_engine.get_cmd_queue_task(),
            engine.data_engine.get_req_queue_task(),
            engine.data_engine.get_res_queue_task(),
            engine.data_engine.get_data_queue_task(),
            engine.risk_engine.get_cmd_queue_task(),
            engine.risk_engine.get_evt_queue_task(),
            engine.exec_engine.get_cmd_queue_task(),
            engine.exec_engine.get_evt_queue_task(),
        ]
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)

    def _exec_clients(self) -> list[Any]:
        return list(self._node.kernel.exec_engine._clients.values())

    def _clients(self) -> list[Any]:
        return [*self._node.kernel.data_engine._clients.values(), *self._exec_clients()]

    async def _await_connected(self, deadline_s: float) -> tuple[str, ...]:
        until = time.monotonic() + deadline_s
        while waiting := tuple(str(client.id) for client in self._clients() if not client.is_connected):
            if time.monotonic() >= until:
                self._node.kernel.logger.warning(f"starting without {', '.join(waiting)}")
                return waiting
            await asyncio.sleep(POLL_S)
        return ()

    async def _reconcile(self, client: Any, deadline_s: float) -> None:
        """Let the engine learn of the orders and fills a venue knows; one that cannot tell does not stop the start."""
        logger = self._node.kernel.logger
        try:
            async with asyncio.timeout(deadline_s):
                status = await client.generate_mass_status(None)
            if status is not None:
                self._node.kernel.exec_engine.reconcile_execution_mass_status(status)
        except Exception as error:
            logger.error(f"reconciliation of {client.id} failed: {type(error).__name__}: {error}")

    async def _reconcile_late(self, deadline_s: float) -> None:
        """Do for clients that connect after the start what `start` did for the others."""
        waiting = [client for client in self._exec_clients() if not client.is_connected]
        while waiting:
            await asyncio.sleep(POLL_S * 10)
            for client in [c for c in waiting if c.is_connected]:
                waiting.remove(client)
                await self._reconcile(client, deadline_s)

    async def _end_leftovers(self) -> None:
        """Workers of actors, and clients still trying to connect, outlive the engine's own stop."""
        left = [task for client in self._clients() for task in client._tasks if not task.done()]
        left += [task for task in asyncio.all_tasks() if _is_actor_worker(task)]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=self._config.stop_deadline_s)


def _is_actor_worker(task: asyncio.Task[Any]) -> bool:
    return getattr(task.get_coro(), "__qualname__", "").startswith("ActorExecutor.")


@contextlib.contextmanager
def _signals_left_alone() -> Iterator[None]:
    """Keep the engine from installing signal handlers while it is constructed; there is no option for it."""
    original = NautilusKernel._setup_loop
    NautilusKernel._setup_loop = lambda self: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        NautilusKernel._setup_loop = original  # type: ignore[method-assign]


def _engine_config(config: NodeConfig) -> TradingNodeConfig:
    rate = f"{config.submit_rate}/00:00:01"
    return TradingNodeConfig(
        trader_id=config.trader_id,
        cache=CacheConfig(),
        data_engine=LiveDataEngineConfig(qsize=config.queue_size, graceful_shutdown_on_exception=True),
        risk_engine=LiveRiskEngineConfig(
            qsize=config.queue_size,
            graceful_shutdown_on_exception=True,
            max_order_submit_rate=rate,
            max_order_modify_rate=rate,
        ),
        exec_engine=LiveExecEngineConfig(
            qsize=config.queue_size,
            graceful_shutdown_on_exception=True,
            reconciliation=config.reconciliation,
            inflight_check_interval_ms=0,
            allow_overfills=True,  # what a venue has executed is so: the router counts it and alerts
            purge_closed_orders_interval_mins=FORGET_EVERY_MIN,
            purge_closed_orders_buffer_mins=ORDERS_KEPT_MIN,
            purge_closed_positions_interval_mins=FORGET_EVERY_MIN,
            purge_closed_positions_buffer_mins=ORDERS_KEPT_MIN,
            purge_account_events_interval_mins=FORGET_EVERY_MIN,
            purge_account_events_lookback_mins=STATES_KEPT_MIN,
        ),
        data_clients=dict(config.data_clients),
        exec_clients=dict(config.exec_clients),
        logging=LoggingConfig(
            log_level=config.log_level,
            log_level_file="INFO" if config.log_directory else None,
            log_directory=config.log_directory,
            print_config=False,
        ),
        timeout_disconnection=config.stop_deadline_s,
        timeout_post_stop=0.1,
    )
