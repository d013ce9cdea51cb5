"""Our account at one exchange, in plain asyncio: orders out, executions in, and the proof of what became of an order.

Each execution is told once, by the venue's trade id, whether it comes by stream, by the answer to the order, or by query.
A request whose outcome is unknown is never sent again: `prove` asks the venue by client order id until the answer is certain.
`NOT_FOUND` needs three misses over at least five seconds. At start, after every reconnect of the private stream and on a timer the account
is reconciled (`reconciliation.py`): what happened in a gap is not sent twice, and others may trade on the same account.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import OrderedDict
from time import monotonic
from typing import Any, cast

import msgspec

from adapters.ccxt.account import amendments, proofs
from adapters.ccxt.account.balances import Balances
from adapters.ccxt.account.commands import OrderCommands
from adapters.ccxt.account.followed import Followed
from adapters.ccxt.account.outcomes import Failure, Verdict, classify
from adapters.ccxt.account.permission import Permission
from adapters.ccxt.account.positions import Positions
from adapters.ccxt.account.proofs import Proof
from adapters.ccxt.account.reconciliation import Reconciliation
from adapters.ccxt.account.sinks import AccountSink, PerpetualSink
from adapters.ccxt.account.switch import DeadManSwitch
from adapters.ccxt.account.unclaimed import Unclaimed
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import (
    AmendRequest,
    CancelRequest,
    Offers,
    OrderRequest,
    PerpetualAccountDialect,
    PrivateMessage,
)
from adapters.ccxt.events import FillEvent, OrderEvent, VenueOrderState
from adapters.ccxt.hook import Counters, attach
from adapters.ccxt.limits.bucket import TokenBucket
from adapters.ccxt.limits.purse import purse_of
from adapters.ccxt.pace import backoff_s
from adapters.ccxt.symbols import Market, market_of
from adapters.ccxt.venues.registry import VENUES

log = logging.getLogger(__name__)

SEEN_TRADES = 200_000  # trade ids kept to tell each execution once; the desk's ledger dedupes for ever
CLOSED_KEPT = 10_000
PREPARE_EVERY_S = 600.0
SUBSCRIBE_S = 5.0
HEAR_S = 0.5  # how long the stream may take to tell the end of an order that was cancelled
REFUSED_PAUSE_S = 60.0  # venues lock out keys that knock too often


class AccountLink:
    """One account. `start` returns at once; `ready` is set once the venue has answered and the private stream is up."""

    def __init__(self, config: ExchangeConfig, sink: AccountSink, rng: random.Random | None = None) -> None:
        self.config = config
        self.counters = Counters()
        self.markets: dict[str, Market] = {}
        self.connected = False
        self.reason = "not started"
        self.ready = asyncio.Event()
        self._sink = sink
        self._rng = rng or random.Random()
        if config.exchange not in VENUES:
            raise ValueError(
                f"{config.venue}: orders at {config.exchange} are not supported: their outcome could not be proven"
            )
        self._dialect = VENUES[config.exchange].account()
        self._purse = purse_of(config)
        self._commands = OrderCommands(config, self._dialect, self._purse)
        self.switch = DeadManSwitch(config.venue, self.offers, config.dead_man_s, self._put_switch)
        self.reconciliation = Reconciliation(config.venue, config.reconcile_s, self)
        self._orders_bucket = TokenBucket(config.order_rate_per_s)
        self._cancels_bucket = TokenBucket(config.order_rate_per_s)  # its own: a cancel never waits behind orders
        self._live: dict[str, str] = {}  # client order id → symbol, while it may still fill
        self._placing: set[str] = set()  # requests that are under way: not finding these proves nothing
        self._ids: OrderedDict[str, tuple[str, str]] = OrderedDict()  # venue order id → client order id, symbol
        self._unclaimed = Unclaimed()
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._streams_fills = getattr(self._dialect, "streams_fills", True)
        self._followed = Followed(config.venue, self.fills_of, lambda fill: self._fill(fill), self._spawn)
        self.positions: Positions | None = None  # of a venue of perpetuals
        if config.margin:
            self.positions = Positions(
                config.venue, cast("PerpetualAccountDialect", self._dialect), cast("PerpetualSink", sink)
            )
        self._balances = Balances(
            config.venue,
            lambda: self._dialect.balances(self._exchange),
            lambda: (code for market in self.markets.values() for code in market.currencies),
            sink.on_balances,
            self.learn_clock,
        )
        self._down = asyncio.Event()
        self._confirmed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._exchange: Any = None
        self._started_ns = time.time_ns()
        self._permission = Permission(config.symbols)

    def start(self) -> None:
        """Connect in the background, for ever."""
        self._spawn(self._run(), "account")
        self._spawn(self._balances.run(), "balances")
        self._spawn(self.reconciliation.run(), "reconciliation")
        self._spawn(self.switch.run(), "dead-man switch")
        if self.positions is not None:
            self._spawn(self.positions.run(self._asking), "positions")

    async def stop(self) -> None:
        """Leave the venue. Orders that live stay at the venue."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.switch.off()  # after its task: what sets it must not come behind
        self.connected = False
        if self._exchange is not None:
            await self._exchange.close()

    def health(self) -> dict[str, Any]:
        """For operators and the desk."""
        return {
            "venue": self.config.venue,
            "connected": self.connected,
            "reason": self._permission.refused or self.reason,
            "refusing": self._permission.refusal_everywhere(),
            "live_orders": len(self._live),
            "orders_by": self._commands.way,
            "dead_man": self.switch.health(),
            "budget": {} if self._purse is None else self._purse.budget.health(),
            **({} if self.positions is None else {"positions": self.positions.health()}),
            "reconciliation": self.reconciliation.health(),
            "counters": {name: getattr(self.counters, name) for name in self.counters.__struct_fields__},
        }

    @property
    def offers(self) -> Offers:
        """What orders can have at this venue beyond the plain ones."""
        return self._commands.offers

    # -- orders ---------------------------------------------------------------------------------------------------------

    async def place(self, request: OrderRequest) -> OrderEvent | Failure:
        """Send an order, once. A `Failure` with verdict UNKNOWN leaves the order live: `prove` it."""
        cid = request.client_order_id
        if not self.markets or self._exchange is None:
            return self._away()
        if refusal := self._permission.refusal(request.symbol) or self._commands.refusal(request):
            return Failure(verdict=Verdict.NOT_SENT, reason=refusal)
        self.reconciliation.claim(cid)
        self._live[cid] = request.symbol
        self._placing.add(cid)
        try:
            return await self._place(request)
        finally:
            self._placing.discard(cid)

    async def _place(self, request: OrderRequest) -> OrderEvent | Failure:
        for attempt in (0, 1):
            try:
                await self._orders_bucket.take(self.config.order_timeout_ms / 1000)
                order, fills = await self._commands.place(self._exchange, request)
                break
            except Exception as e:
                failure = classify(e)
                if attempt == 0 and (
                    failure.retryable or failure.disables_venue
                ):  # not executed: the same id may go once more
                    await self._prepare()
                    continue
                if attempt == 1 and "DuplicateOrder" in failure.reason:
                    failure = msgspec.structs.replace(failure, verdict=Verdict.UNKNOWN)
                return self._failed(request, failure)
        if not order.venue_order_id:
            failure = Failure(verdict=Verdict.UNKNOWN, reason="the venue's answer names no order")
            return self._failed(request, failure)
        self._learn(order)
        for fill in fills:
            self._fill(fill)
        self._order(order)
        return order

    def _away(self) -> Failure:
        return Failure(verdict=Verdict.NOT_SENT, reason=f"not connected: {self._permission.refused or self.reason}")

    def _failed(self, request: OrderRequest, failure: Failure) -> Failure:
        if failure.verdict is Verdict.NOT_FOUND:  # no answer to a submit: treat as what it may be
            failure = msgspec.structs.replace(failure, verdict=Verdict.UNKNOWN)
        if failure.verdict is Verdict.UNKNOWN:
            self.counters.unknown_orders += 1
        else:
            self.counters.orders_refused += 1
            self._live.pop(request.client_order_id, None)
        self._permission.heard(failure, request.symbol)
        return failure

    async def cancel(self, client_order_id: str, symbol: str) -> Failure | None:
        """Cancel; None when the venue took it. What became of the order is told by events."""
        self.reconciliation.claim(client_order_id)
        for attempt in (0, 1):
            try:
                await self._cancels_bucket.take(self.config.order_timeout_ms / 1000)
                await self._commands.cancel(self._exchange, client_order_id, symbol)
                break
            except Exception as e:
                failure = classify(e)
                if attempt == 0 and (failure.retryable or failure.disables_venue):  # the venue did nothing
                    await self._prepare()
                    continue
                if failure.verdict in (Verdict.UNKNOWN, Verdict.NOT_FOUND):  # it may be gone already
                    await self.refresh(client_order_id, symbol)
                return failure
        await self._hear([CancelRequest(client_order_id=client_order_id, symbol=symbol)])
        return None

    async def _hear(self, orders: list[CancelRequest]) -> None:
        """The ends of orders that were cancelled: by the stream, which is asked for nothing, else by query."""
        until = monotonic() + HEAR_S
        while monotonic() < until and any(order.client_order_id in self._live for order in orders):
            await asyncio.sleep(0.01)
        for order in orders:
            if order.client_order_id in self._live:
                await self.refresh(order.client_order_id, order.symbol)

    async def amend(self, request: AmendRequest, known: OrderEvent) -> OrderEvent | Failure:
        """Ask for new terms of an open order (`known`: as we know it), once, and prove what became of it.

        The order with the new terms, or ended meanwhile; a `Failure` when it certainly keeps its old ones. Lasts until that is certain.
        """
        if not self.connected:
            return self._away()
        if refusal := amendments.refusal(self.offers, request, known):
            return Failure(verdict=Verdict.NOT_SENT, reason=refusal)
        self.reconciliation.claim(request.client_order_id)

        async def send() -> None:
            await self._orders_bucket.take(self.config.order_timeout_ms / 1000)
            await self._commands.amend(self._exchange, request)

        async def ask() -> OrderEvent | None:
            return (await self._ask(request.client_order_id, request.symbol)).order

        return await amendments.amended(self.config.venue, request, send, ask, self.counters)

    async def cancel_all(self, symbol: str | None = None, *, others: bool = False) -> list[OrderEvent]:
        """Cancel every open order of ours, on a symbol or on all; what is still open after that is the answer.

        `others`: also orders of the account that are not ours, on the symbols we know. Raises when the venue cannot be asked.
        """
        if not self.markets:
            raise ConnectionError(f"not connected: {self.reason}")
        ours = [CancelRequest(client_order_id=cid, symbol=of) for cid, of in self._live.items() if symbol in (None, of)]
        if others and self.offers.sweep:
            await self._cancels_bucket.take(self.config.order_timeout_ms / 1000)
            await self._dialect.sweep(self._exchange, symbol, tuple(self.markets))
            await self._hear(ours)
        else:
            await self.cancel_many(ours)
        return [
            order
            for order in await self.open_orders()
            if symbol in (None, order.symbol) and (others or self.reconciliation.owns(order.client_order_id))
        ]

    async def cancel_many(self, orders: list[CancelRequest]) -> None:
        """Cancel orders of ours, in batches where the venue has them; what became of each is told by events."""
        await self._commands.cancel_many(self._exchange, orders, self._cancels_bucket)
        await self._hear(orders)

    async def _put_switch(self, seconds: int) -> None:
        if self._exchange is not None:
            await self._dialect.set_switch(self._exchange, seconds)

    async def refresh(self, client_order_id: str, symbol: str) -> Proof | None:
        """Ask once for an order and its executions, and tell what is new. None: the venue could not be asked or does not know it."""
        try:
            proof = await self._ask(client_order_id, symbol)
        except Exception as e:
            log.warning("%s: order %s could not be asked: %s", self.config.venue, client_order_id, e)
            await self.learn_clock(e)
            return None
        return None if proof.order is None else proof

    async def prove(self, client_order_id: str, symbol: str, *, cancel: bool = False) -> Proof:
        """Ask until it is certain what became of an order. `cancel`: an open one is cancelled first, so the proof is final.

        Lasts as long as the venue cannot be asked. Executions found are told to the sink as well (each once).
        """
        self.reconciliation.claim(client_order_id)

        async def ask() -> Proof | None:
            proof = await self._ask(client_order_id, symbol)
            return None if proof.order is None and client_order_id in self._placing else proof

        async def end() -> None:
            await self._dialect.cancel(self._exchange, client_order_id, symbol)

        what = f"{self.config.venue}: {client_order_id}"
        proof = await proofs.proven(what, ask, self.learn_clock, end if cancel else None)
        if proof.order is None:
            self._live.pop(client_order_id, None)
        return proof

    async def _ask(self, client_order_id: str, symbol: str) -> Proof:
        """One query: the order, and its executions when it has any."""
        if not self.markets:
            raise ConnectionError(f"not connected: {self.reason}")
        order = await self._dialect.order(self._exchange, client_order_id, symbol)
        if order is None:
            return Proof(order=None)
        self._learn(order)
        if order.state is VenueOrderState.OPEN and self.reconciliation.owns(client_order_id):
            self._live.setdefault(client_order_id, symbol)  # of another session: to be asked after a reconnect as well
        fills = await self._dialect.fills_of(self._exchange, order) if order.filled else []
        for fill in fills:
            self._fill(fill)
        self._order(order)
        return Proof(order=order, fills=tuple(fills))

    async def open_orders(self) -> list[OrderEvent]:
        """Open orders at the venue on our symbols."""
        orders = await self._dialect.open_orders(self._exchange, tuple(self.markets))
        for order in orders:
            self._learn(order)
        return orders

    def live_orders(self) -> dict[str, str]:
        """Symbols by client order id of our orders that may still fill and whose requests are not under way."""
        return {cid: symbol for cid, symbol in self._live.items() if cid not in self._placing}

    async def fills_since(self, since_ns: int) -> list[FillEvent]:
        """Executions on our symbols since a moment, with client order ids where we know them."""
        fills = await self._dialect.fills_since(self._exchange, tuple(self.markets), since_ns)
        return [self._named(fill) for fill in fills]

    async def fills_of(self, order: OrderEvent) -> list[FillEvent]:
        """Every execution of an order."""
        return await self._dialect.fills_of(self._exchange, order) if order.filled else []

    def tell_missed(self, fills: list[FillEvent]) -> int:
        """Tell those of these executions that were not told (but none from before our start of an order that is not ours yet); how many."""
        before = self.counters.fills
        for fill in fills:
            ours = fill.ts_event_ns >= self._started_ns or self.reconciliation.owns(self._named(fill).client_order_id)
            if ours and (fill.symbol, fill.trade_id) not in self._seen:
                self._fill(fill)
        return self.counters.fills - before

    def tell_open(self, orders: list[OrderEvent]) -> None:
        """Tell how orders of ours stand that the venue lists as open, unless they have ended meanwhile."""
        for order in orders:
            if order.client_order_id in self._live:
                self._order(order)

    def tell_unclaimed(self, held_s: float) -> None:
        """Executions of orders that nobody has claimed for so long are somebody else's."""
        for fill in [] if self._placing else self._unclaimed.older(held_s):
            self._tell(fill)

    def tell_external(self, orders: list[OrderEvent]) -> None:
        """Open orders that are not ours, when they changed."""
        self._sink.on_external(orders)

    # -- what the venue says --------------------------------------------------------------------------------------------

    def _on_message(self, client: Any, message: Any) -> bool:
        """Whether a message answers a request of ours: ccxt knows nothing of it."""
        if self._commands.read(self._exchange, message):
            return True
        self._heard(message)
        return False

    def _heard(self, message: Any) -> None:
        said = self._dialect.read(self._exchange, message)
        if said is None:
            return
        if said.refused:
            self._lose(f"the venue refused the private stream: {said.refused}")
        if said.lost:
            self._lose(said.lost)
        if said.subscribed:
            self._confirmed.set()
        for order in said.orders:
            self._learn(order)
        for fill in said.fills:
            self._fill(fill)
        for order in said.orders:
            named = self._completed(order)
            if order.filled and not self._streams_fills:
                self._followed.grew(named)
            self._order(named)
        if said.balances:
            self._balances.said(said.balances)
        if said.balances_stale:
            self._balances.stale()
        if self.positions is not None:
            self._positions_said(self.positions, said)

    def _positions_said(self, positions: Positions, said: PrivateMessage) -> None:
        positions.said(tuple(row for row in said.positions if row.symbol in self.markets))
        if said.positions_stale:
            positions.stale()
        if said.funding_stale:
            positions.funding_settled()
        for event in said.liquidations:
            if event.symbol in self.markets:
                cast("PerpetualSink", self._sink).on_liquidation(event)

    def _asking(self) -> tuple[Any, tuple[str, ...]] | None:
        return (self._exchange, tuple(self.markets)) if self.connected else None

    def _on_down(self, client: Any, reason: str) -> None:
        self._commands.lost(client, reason)
        if self._dialect.carries(self._exchange, client):
            self._lose(f"disconnected: {reason}")

    def _learn(self, order: OrderEvent) -> None:
        """Remember which of our orders a venue order id is; executions that came before are told now."""
        if not (order.venue_order_id and order.client_order_id):
            return
        self._ids[order.venue_order_id] = (order.client_order_id, order.symbol)
        while len(self._ids) > CLOSED_KEPT + len(self._live):
            self._ids.popitem(last=False)
        for fill in self._unclaimed.claim(order.venue_order_id):
            self._fill(fill)

    def _completed(self, order: OrderEvent) -> OrderEvent:
        """Kraken's later rows name the venue's order id only."""
        known = self._ids.get(order.venue_order_id)
        if known is None or (order.client_order_id and order.symbol):
            return order
        return msgspec.structs.replace(order, client_order_id=known[0], symbol=known[1])

    def _named(self, fill: FillEvent) -> FillEvent:
        known = self._ids.get(fill.venue_order_id)
        if fill.client_order_id or known is None:
            return fill
        return msgspec.structs.replace(fill, client_order_id=known[0])

    def _fill(self, fill: FillEvent) -> None:
        """Tell an execution, once. One of an order that is just being placed waits for the answer that names it."""
        fill = self._named(fill)
        if not fill.client_order_id and self._live:
            for oldest in self._unclaimed.hold(fill):
                self._tell(oldest)
            return
        self._tell(fill)

    def _tell(self, fill: FillEvent) -> None:
        key = (fill.symbol, fill.trade_id)
        if key in self._seen:
            self.counters.fills_duplicate += 1
            return
        self._seen[key] = None
        if len(self._seen) > SEEN_TRADES:
            self._seen.popitem(last=False)
        self.counters.fills += 1
        self.reconciliation.saw_fill(fill)
        if self.positions is not None:
            self.positions.filled(fill)
        self._balances.stale()
        self._sink.on_fill(fill)

    def _order(self, order: OrderEvent) -> None:
        if not order.client_order_id:
            return
        if order.state.closed:
            self._live.pop(order.client_order_id, None)
        self._sink.on_order(order)

    # -- connection -----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Markets and clock, then the private stream, again and again."""
        attempt = 0
        while True:
            try:
                self._down.clear()
                await self._connect()
                attempt = 0
                while not self._down.is_set():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._down.wait(), PREPARE_EVERY_S)
                        break
                    await self._prepare()
                self.counters.reconnects += 1
            except Exception as e:
                failure = classify(e)
                self._lose(failure.reason)
                log.warning("%s account: %s", self.config.venue, failure.reason)
                self._permission.heard(failure)
                if failure.disables_venue:
                    await asyncio.sleep(REFUSED_PAUSE_S)
            await self._drop_clients()
            await asyncio.sleep(backoff_s(attempt, self._rng))
            attempt += 1

    async def _connect(self) -> None:
        if self._exchange is None:
            exchange = self._dialect.create(self.config)
            attach(exchange, self.counters, self._on_message, self._on_down, rng=self._rng, dials=self.config.dials)
            if self._purse is not None:
                self._purse.attach(exchange)
            self._exchange = exchange
        exchange = self._exchange
        await self._prepare()
        if not self.markets:
            await exchange.load_markets()
            missing = [symbol for symbol in self.config.symbols if symbol not in exchange.markets]
            if missing:
                raise ValueError(f"{self.config.venue} does not list {', '.join(missing)}")
            self.markets = {symbol: market_of(exchange.markets[symbol]) for symbol in self.config.symbols}
        self._confirmed.clear()
        await asyncio.wait_for(self._subscribed(), SUBSCRIBE_S)
        self._permission.admitted()
        await self.reconciliation.once()
        if self.positions is not None:
            await self.positions.fetch(exchange, tuple(self.markets))
            await self.positions.fetch_funding(exchange, tuple(self.markets))
        if self._down.is_set():
            raise ConnectionError(self.reason)
        await self._commands.connect(exchange)
        self.connected, self.reason = True, ""
        self.switch.connected()
        self.ready.set()
        self._sink.on_connected()

    async def _subscribed(self) -> None:
        """The private stream is confirmed by the venue, or lost."""
        await self._dialect.subscribe(self._exchange)
        if self._dialect.confirms:
            confirmed, down = (asyncio.ensure_future(event.wait()) for event in (self._confirmed, self._down))
            try:
                await asyncio.wait((confirmed, down), return_when=asyncio.FIRST_COMPLETED)
            finally:
                confirmed.cancel()
                down.cancel()
        if self._down.is_set():
            raise ConnectionError(self.reason)

    async def _prepare(self) -> None:
        """Clock difference; a failure here shows in the next request."""
        try:
            await self._dialect.prepare(self._exchange)
        except Exception as e:
            log.warning("%s: clock difference is not known: %s", self.config.venue, e)

    async def learn_clock(self, error: BaseException) -> None:
        """After a request refused for its time, or (Coinbase) for its signature: a clock has jumped, and the difference is another."""
        failure = classify(error)
        if failure.retryable or failure.disables_venue:
            await self._prepare()

    async def _drop_clients(self) -> None:
        """Close what is left of the private sockets, and forget the token."""
        if self._exchange is None:
            return
        self._dialect.forget(self._exchange)
        clients, self._exchange.clients = list((self._exchange.clients or {}).values()), {}
        for client in clients:
            with contextlib.suppress(Exception):
                await client.close()

    def _lose(self, reason: str) -> None:
        if self.connected:
            log.warning("%s account lost: %s", self.config.venue, reason)
        self.connected, self.reason = False, reason
        self.switch.lost()
        self._down.set()

    async def reconcile_balances(self) -> None:
        """All balances: now when none are known, else soon."""
        await self._balances.reconcile()

    def _spawn(self, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=f"{self.config.venue} {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
