"""The engine's execution client of one exchange: a thin coat over `AccountLink`.

    submit    limit (GTC, IOC, FOK, post-only; GTD, reduce-only where offered) and market; refused or never sent → OrderRejected;
              unknown → stays SUBMITTED until proven
    modify    price and quantity where the venue changes them in place; OrderUpdated once the venue says so, else OrderModifyRejected
    events    accepted once; a fill for each execution (venue's trade id); the end only after every execution the venue counts, and an
              execution that comes after it all the same is told too
    sweep     endpoint `Exec.<VENUE>.sweep`: every order of ours at the venue is cancelled
    resolve   endpoint `Exec.<VENUE>.resolve`: what became of an order, also of one the engine has never heard of

`_connect` returns once the venue has answered with our balances; until then the link keeps trying, and `EmbeddedNode` starts without us.
Needs the engine's in-flight check off (`inflight_check_interval_ms=0`): it would declare unknown orders rejected.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from decimal import Decimal
from typing import Any

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.execution.reports import FillReport, OrderStatusReport, PositionStatusReport
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.model.enums import (
    AccountType,
    LiquiditySide,
    OmsType,
    OrderSide,
    TimeInForce,
    order_type_to_str,
    time_in_force_to_str,
)
from nautilus_trader.model.identifiers import AccountId, ClientId, ClientOrderId, TradeId, Venue, VenueOrderId
from nautilus_trader.model.objects import AccountBalance, MarginBalance
from nautilus_trader.model.orders import Order

from adapters.ccxt.account import amendments, reports
from adapters.ccxt.account.link import AccountLink, Proof
from adapters.ccxt.account.outcomes import Failure, Verdict
from adapters.ccxt.account.tracked import KINDS, Tracked
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import AmendRequest, CancelRequest, OrderRequest
from adapters.ccxt.events import (
    Balance,
    FillEvent,
    FundingPayment,
    LiquidationEvent,
    OrderEvent,
    PositionEvent,
    VenueOrderState,
)
from adapters.ccxt.instruments import Scale, instrument_id, instrument_of, money
from adapters.nautilus import topics
from adapters.nautilus.external import ExternalOrder, ExternalOrders
from adapters.nautilus.outcome import OrderOutcome, OrderState, ResolveOrder
from adapters.nautilus.perpetual import FundingPaid, Liquidation, VenuePositions
from adapters.nautilus.sweep import SweepOrders, Swept

_TIF = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.GTD: "GTD",
}
CHASE_PAUSES_S = (0.5, 0.5, 1.0, 2.0, 4.0)  # asking after an end or execution that the stream has not brought
CLOSED_KEPT = 10_000
STANDING_S = 1.0


class CcxtExecutionClient(LiveExecutionClient):
    """Execution at one exchange; netting, a cash account, or a margin account where the exchange has positions."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        config: ExchangeConfig,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> None:
        super().__init__(
            loop=loop,
            client_id=ClientId(config.venue),
            venue=Venue(config.venue),
            oms_type=OmsType.NETTING,
            account_type=AccountType.MARGIN if config.margin else AccountType.CASH,
            base_currency=None,
            instrument_provider=InstrumentProvider(),
            msgbus=msgbus,
            cache=cache,
            clock=clock,
        )
        self._set_account_id(AccountId(f"{config.venue}-master"))
        self.exchange = config
        self.link = AccountLink(config, self)
        self._tracked: OrderedDict[str, Tracked] = OrderedDict()
        self._scales: dict[str, Scale] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self._endpoint = topics.resolve(config.venue)
        msgbus.register(endpoint=self._endpoint, handler=self._on_resolve)
        msgbus.register(endpoint=topics.sweep(config.venue), handler=self._on_sweep)

    def health(self) -> dict[str, Any]:
        """Connection, live orders, counters (see `AccountLink.health`)."""
        return self.link.health()

    async def _connect(self) -> None:
        self.link.start()
        self._spawn(self._tell_standing())
        await self.link.ready.wait()
        await self._await_account_registered()

    async def _disconnect(self) -> None:
        for task in list(self._background):
            task.cancel()
        await self.link.stop()

    async def _tell_standing(self) -> None:
        while True:
            self._msgbus.publish(topics.STANDING, reports.standing(self.link.health()))
            await asyncio.sleep(STANDING_S)

    # -- commands -------------------------------------------------------------------------------------------------------

    async def _submit_order(self, command: Any) -> None:
        order: Order = command.order
        tracked = self._track(order)
        self.generate_order_submitted(*tracked.keys, self._clock.timestamp_ns())
        kind, tif = KINDS.get(order.order_type), _TIF.get(order.time_in_force)
        if kind is None or tif is None:
            what = f"{order_type_to_str(order.order_type)} {time_in_force_to_str(order.time_in_force)}"
            self._reject(tracked, f"{what} orders are not supported")
            return
        request = OrderRequest(
            client_order_id=tracked.cid,
            symbol=tracked.symbol,
            side="buy" if order.side == OrderSide.BUY else "sell",
            kind=kind,
            time_in_force=tif,
            quantity=f"{order.quantity.as_decimal():f}",
            price=f"{order.price.as_decimal():f}" if kind == "limit" else None,
            post_only=bool(getattr(order, "is_post_only", False)),
            reduce_only=order.is_reduce_only,
            expires_ns=order.expire_time_ns if tif == "GTD" else 0,
        )
        result = await self.link.place(request)
        if not isinstance(result, Failure):
            if tracked.immediate and not tracked.closed:
                self._chase(tracked)
        elif result.verdict.outcome_known:
            self._reject(tracked, result.reason)
        else:
            self._log.warning(f"{tracked.cid}: outcome unknown ({result.reason}); asking the venue")
            self._spawn(self._prove(tracked, result.reason))

    async def _submit_order_list(self, command: Any) -> None:
        for order in command.order_list.orders:
            tracked = self._track(order)
            self.generate_order_submitted(*tracked.keys, self._clock.timestamp_ns())
            self._reject(tracked, "order lists are not supported")

    async def _modify_order(self, command: Any) -> None:
        tracked = self._find(command.client_order_id.value)
        if tracked is None or tracked.closed or tracked.venue_order_id is None or tracked.wanted is not None:
            under_way = tracked is not None and tracked.wanted is not None
            self._keep_terms(command, "another change is under way" if under_way else "it is not open at the venue")
            return
        price = tracked.price if command.price is None else command.price.as_decimal()
        quantity = tracked.quantity if command.quantity is None else command.quantity.as_decimal()
        if price is None:
            self._keep_terms(command, "only limit orders are amended")
            return
        tracked.wanted = AmendRequest(
            client_order_id=tracked.cid,
            venue_order_id=tracked.venue_order_id.value,
            symbol=tracked.symbol,
            side="buy" if tracked.order.side == OrderSide.BUY else "sell",
            quantity=f"{quantity:f}",
            price=f"{price:f}",
        )
        try:
            result = await self.link.amend(tracked.wanted, tracked.known())
            if not isinstance(result, Failure) and not result.state.closed:
                self._updated(tracked)
        finally:
            tracked.wanted = None
        if isinstance(result, Failure):
            self._keep_terms(command, result.reason)
        elif result.state.closed and not tracked.closed:
            self._keep_terms(command, f"it ended: {result.reason or result.state}")
        held, tracked.held = tracked.held, []
        for fill in held:
            self.on_fill(fill)

    def _keep_terms(self, command: Any, reason: str) -> None:
        self.generate_order_modify_rejected(
            command.strategy_id,
            command.instrument_id,
            command.client_order_id,
            command.venue_order_id,
            reason,
            self._clock.timestamp_ns(),
        )

    async def _cancel_order(self, command: Any) -> None:
        await self._cancel(command.client_order_id)

    async def _cancel_all_orders(self, command: Any) -> None:
        wanted = self._cache.orders_open(instrument_id=command.instrument_id, strategy_id=command.strategy_id)
        side = command.order_side
        await self._cancel_many([o.client_order_id for o in wanted if side in (OrderSide.NO_ORDER_SIDE, o.side)])

    async def _batch_cancel_orders(self, command: Any) -> None:
        await self._cancel_many([cancel.client_order_id for cancel in command.cancels])

    async def _cancel_many(self, ids: list[ClientOrderId]) -> None:
        """In batches; what is still open after that is cancelled by itself, which tells why it is not."""
        found = [tracked for cid in ids if (tracked := self._find(cid.value)) is not None and not tracked.closed]
        if len(found) > 1:
            await self.link.cancel_many([CancelRequest(client_order_id=t.cid, symbol=t.symbol) for t in found])
        for tracked in found:
            if not tracked.closed and tracked.ending is None:
                await self._cancel(tracked.order.client_order_id)

    async def _cancel(self, client_order_id: ClientOrderId) -> None:
        tracked = self._find(client_order_id.value)
        if tracked is None or tracked.closed:
            self._log.warning(f"{client_order_id}: nothing to cancel")
            return
        failure = await self.link.cancel(tracked.cid, tracked.symbol)
        if failure is not None and failure.verdict is Verdict.UNKNOWN:
            await self.link.prove(tracked.cid, tracked.symbol, cancel=True)  # cancelling twice is harmless
        elif failure is not None and not tracked.closed:
            self.generate_order_cancel_rejected(
                *tracked.keys, tracked.venue_order_id, failure.reason, self._clock.timestamp_ns()
            )

    # -- AccountSink ----------------------------------------------------------------------------------------------------

    def on_order(self, event: OrderEvent) -> None:
        """Accepted, or an end that waits for its executions."""
        tracked = self._find(event.client_order_id)
        if tracked is None or tracked.closed:
            return
        if event.state is VenueOrderState.REJECTED and not (tracked.filled or event.filled):
            self._reject(tracked, event.reason or "rejected by the venue")
            return
        self._accept(tracked, event.venue_order_id, event.ts_event_ns)
        told = event.price is not None and event.quantity is not None
        if tracked.wanted is not None and told and amendments.in_force(tracked.wanted, event):
            self._updated(tracked)
        if event.state.closed:
            tracked.ending = event
            self._settle(tracked)

    def on_fill(self, event: FillEvent) -> None:
        """One execution."""
        tracked = self._find(event.client_order_id)
        if tracked is None:
            self.link.counters.fills_foreign += 1  # of another session: told by `resolve`
        elif event.trade_id in tracked.told:
            pass
        elif tracked.closed:
            self._log.warning(f"{tracked.cid}: an execution after its end: {event.trade_id}")
            self._filled(tracked, event)
            if tracked.filled < tracked.quantity:
                self._canceled(tracked, event.ts_event_ns)  # the engine holds it for open again
        elif tracked.ends_one_way(event):
            tracked.held.append(event)
        else:
            self._accept(tracked, event.venue_order_id, event.ts_event_ns)
            self._filled(tracked, event)
            if tracked.filled >= tracked.quantity:
                tracked.closed = True
            elif tracked.ending is not None:
                self._settle(tracked)

    def _filled(self, tracked: Tracked, event: FillEvent) -> None:
        order, scale = tracked.order, self._scale(tracked.symbol)
        tracked.filled += event.quantity
        self.generate_order_filled(
            *tracked.keys,
            tracked.venue_order_id or VenueOrderId(event.venue_order_id),
            None,
            TradeId(event.trade_id),
            order.side,
            order.order_type,
            scale.exact_quantity(event.quantity),
            scale.exact_price(event.price),
            self._cache.instrument(order.instrument_id).quote_currency,
            money(event.fee, event.fee_currency),
            LiquiditySide.MAKER if event.maker else LiquiditySide.TAKER,
            event.ts_event_ns or self._clock.timestamp_ns(),
            {"fee": str(event.fee), "fee_currency": event.fee_currency},
        )

    def on_balances(self, balances: list[Balance]) -> None:
        """The account as the venue reports it."""
        self._learn_instruments()
        rows, margins = [], []
        for row in balances:
            total = money(row.total, row.currency)
            locked = money(max(Decimal(0), min(row.locked, row.total)), row.currency)
            rows.append(AccountBalance(total, locked, total - locked))
            if self.exchange.margin:
                margins.append(MarginBalance(money(row.locked, row.currency), money(row.maintenance, row.currency)))
        self.generate_account_state(rows, margins, True, self._clock.timestamp_ns())

    def on_positions(self, positions: list[PositionEvent], agreed: bool) -> None:
        """To the desk; and to the engine where it holds something else (executions of others, forced closings)."""
        self._learn_instruments()
        venue = self.exchange.venue
        rows = tuple(reports.venue_position(row, self.link.markets[row.symbol]) for row in positions)
        self._msgbus.publish(topics.POSITIONS, VenuePositions(venue=venue, positions=rows))
        if not agreed or not self.link.ready.is_set():  # at start the engine asks by itself
            return
        for row in positions:
            held = self._cache.positions_open(instrument_id=instrument_id(row.symbol, venue))
            if sum((one.signed_decimal_qty() for one in held), Decimal(0)) != row.quantity:
                self._send_position_status_report(self._position_report(row))

    def on_funding_payment(self, payment: FundingPayment) -> None:
        """To the desk."""
        paid = FundingPaid(
            venue=self.exchange.venue,
            symbol=payment.symbol,
            payment_id=payment.payment_id,
            amount=payment.amount,
            currency=payment.currency,
            ts_ns=payment.ts_event_ns,
        )
        self._msgbus.publish(topics.FUNDING_PAID, paid)

    def on_liquidation(self, event: LiquidationEvent) -> None:
        """To the desk: the venue closed a position of ours."""
        closed = Liquidation(
            venue=self.exchange.venue,
            symbol=event.symbol,
            side=event.side,
            price=event.price,
            quantity=event.quantity,
            ts_ns=event.ts_event_ns,
            order_id=event.order_id,
        )
        self._msgbus.publish(topics.OWN_LIQUIDATION, closed)

    def on_external(self, orders: list[OrderEvent]) -> None:
        """Somebody else's open orders: the desk shows them, and nothing of ours touches them."""
        venue = self.exchange.venue
        rows = tuple(
            ExternalOrder(
                venue=venue,
                symbol=order.symbol,
                venue_order_id=order.venue_order_id,
                client_order_id=order.client_order_id,
                side=order.side,
                price=order.price,
                quantity=order.quantity,
                filled=order.filled or Decimal(0),
                ts_ns=order.ts_event_ns,
            )
            for order in orders
        )
        self._msgbus.publish(topics.EXTERNAL, ExternalOrders(venue=venue, orders=rows))

    def on_connected(self) -> None:
        """Nothing to add: the link has asked live orders again."""

    # -- what the engine is told ----------------------------------------------------------------------------------------

    def _accept(self, tracked: Tracked, venue_order_id: str, ts_ns: int) -> None:
        if tracked.accepted:
            return
        tracked.accepted = True
        tracked.venue_order_id = VenueOrderId(venue_order_id)
        self.generate_order_accepted(*tracked.keys, tracked.venue_order_id, ts_ns or self._clock.timestamp_ns())

    def _updated(self, tracked: Tracked) -> None:
        """The new terms that were asked for are in force; told once."""
        wanted = tracked.wanted
        if wanted is None or tracked.closed:
            return
        price, quantity = Decimal(wanted.price), Decimal(wanted.quantity)
        if (price, quantity) == (tracked.price, tracked.quantity):
            return
        tracked.price, tracked.quantity = price, quantity
        scale = self._scale(tracked.symbol)
        self.generate_order_updated(
            *tracked.keys,
            tracked.venue_order_id,
            scale.exact_quantity(quantity),
            scale.exact_price(price),
            None,
            self._clock.timestamp_ns(),
        )

    def _reject(self, tracked: Tracked, reason: str) -> None:
        if not tracked.closed:
            tracked.closed = True
            self.generate_order_rejected(*tracked.keys, reason, self._clock.timestamp_ns())

    def _gone(self, tracked: Tracked, reason: str) -> None:
        """The venue does not know it: it never had it, or (OKX, after two hours) has forgotten one that ended without a fill."""
        if not tracked.accepted:
            self._reject(tracked, reason)
        elif not tracked.closed:
            tracked.closed = True
            self._canceled(tracked, 0)

    def _settle(self, tracked: Tracked) -> None:
        """Tell an order's end once all executions the venue counts were told."""
        ending = tracked.ending
        assert ending is not None
        if tracked.closed:
            return
        counted = ending.filled
        if counted is None and ending.state is VenueOrderState.FILLED:
            counted = tracked.quantity
        if counted is None or tracked.filled < counted:
            self._chase(tracked)
            return
        tracked.closed = True
        if ending.state is VenueOrderState.EXPIRED and not tracked.immediate:
            ts_ns = ending.ts_event_ns or self._clock.timestamp_ns()
            self.generate_order_expired(*tracked.keys, tracked.venue_order_id, ts_ns)
        elif (
            tracked.filled < tracked.quantity
        ):  # also of one that is filled: the venue knows it with a smaller quantity
            self._canceled(tracked, ending.ts_event_ns)

    def _canceled(self, tracked: Tracked, ts_ns: int) -> None:
        self.generate_order_canceled(*tracked.keys, tracked.venue_order_id, ts_ns or self._clock.timestamp_ns())

    def _chase(self, tracked: Tracked) -> None:
        """Ask for what the stream should have brought by now, until the order's end is told."""
        if not tracked.chased:
            tracked.chased = True
            self._spawn(self._chased(tracked))

    async def _chased(self, tracked: Tracked) -> None:
        turn = 0
        while not tracked.closed:
            await asyncio.sleep(CHASE_PAUSES_S[min(turn, len(CHASE_PAUSES_S) - 1)])
            turn += 1
            if not tracked.closed:
                await self.link.refresh(tracked.cid, tracked.symbol)

    async def _prove(self, tracked: Tracked, reason: str) -> None:
        proof = await self.link.prove(tracked.cid, tracked.symbol)
        if proof.order is None:
            self._gone(tracked, f"the venue never had it; sending ended with: {reason}")
        elif tracked.immediate and not tracked.closed:
            self._chase(tracked)

    # -- sweep ----------------------------------------------------------------------------------------------------------

    def _on_sweep(self, request: SweepOrders) -> None:
        self._spawn(self._sweep(request))

    async def _sweep(self, request: SweepOrders) -> None:
        try:
            left = await self.link.cancel_all(request.symbol, others=request.others)
        except Exception as e:
            request.reply(Swept(venue=self.exchange.venue, fault=f"{type(e).__name__}: {e}"[:200]))
            return
        names = tuple(order.client_order_id or order.venue_order_id for order in left)
        request.reply(Swept(venue=self.exchange.venue, still_open=names))

    # -- resolve --------------------------------------------------------------------------------------------------------

    def _on_resolve(self, request: ResolveOrder) -> None:
        self._spawn(self._resolve(request))

    async def _resolve(self, request: ResolveOrder) -> None:
        proof = await self.link.prove(request.client_order_id, request.symbol, cancel=request.cancel)
        if proof.order is None and (tracked := self._find(request.client_order_id)):
            self._gone(tracked, "the venue never had it")
        request.reply(self._outcome(request.client_order_id, proof))

    def _outcome(self, client_order_id: str, proof: Proof) -> OrderOutcome:
        if proof.order is None:
            return OrderOutcome(client_order_id=client_order_id, state=OrderState.NOT_FOUND)
        return OrderOutcome(
            client_order_id=client_order_id,
            state=OrderState.CLOSED if proof.order.state.closed else OrderState.OPEN,
            fills=tuple(reports.venue_fill(fill, self.exchange.venue, client_order_id) for fill in proof.fills),
            reason=proof.order.reason or str(proof.order.state),
        )

    # -- reports for the engine's reconciliation ------------------------------------------------------------------------

    async def generate_order_status_report(self, command: Any) -> OrderStatusReport | None:
        """One order by client order id; None when the venue does not know it or cannot be asked."""
        cid, iid = command.client_order_id, command.instrument_id
        if cid is None or iid is None:
            return None
        proof = await self.link.refresh(cid.value, iid.symbol.value)
        return None if proof is None or proof.order is None else self._status_report(proof.order)

    async def generate_order_status_reports(self, command: Any) -> list[OrderStatusReport]:
        """Open orders at the venue on our instruments; not those of others whose price is no price, such as trailing stops."""
        orders = [order for order in await self.link.open_orders() if order.kind == "market" or order.price]
        return [self._status_report(order) for order in orders if _wanted(command, order.symbol)]

    async def generate_fill_reports(self, command: Any) -> list[FillReport]:
        """Executions of orders that are open; with `start`, all since then."""
        if command.start is not None:
            fills = await self.link.fills_since(int(command.start.timestamp() * 1e9))
        else:
            fills = [fill for order in await self.link.open_orders() for fill in await self.link.fills_of(order)]
        return [self._fill_report(fill) for fill in fills if _wanted(command, fill.symbol)]

    async def generate_position_status_reports(self, command: Any) -> list[PositionStatusReport]:
        """Of perpetuals, also where we are flat; a spot wallet has balances, not positions."""
        rows = [] if self.link.positions is None else self.link.positions.told()
        return [self._position_report(row) for row in rows if _wanted(command, row.symbol)]

    def _position_report(self, row: PositionEvent) -> PositionStatusReport:
        iid, scale = instrument_id(row.symbol, self.exchange.venue), self._scale(row.symbol)
        return reports.position_status(row, self.account_id, iid, scale, self._clock.timestamp_ns())

    def _status_report(self, order: OrderEvent) -> OrderStatusReport:
        iid, scale = instrument_id(order.symbol, self.exchange.venue), self._scale(order.symbol)
        return reports.order_status(order, self.account_id, iid, scale, self._clock.timestamp_ns())

    def _fill_report(self, fill: FillEvent) -> FillReport:
        iid, scale = instrument_id(fill.symbol, self.exchange.venue), self._scale(fill.symbol)
        return reports.fill(fill, self.account_id, iid, scale, self._clock.timestamp_ns())

    # -- bookkeeping ----------------------------------------------------------------------------------------------------

    def _track(self, order: Order) -> Tracked:
        tracked = self._tracked[order.client_order_id.value] = Tracked(order)
        if len(self._tracked) > CLOSED_KEPT:
            oldest = next(iter(self._tracked.values()))
            if oldest.closed:
                self._tracked.popitem(last=False)
            else:
                self._tracked.move_to_end(oldest.cid)
        return tracked

    def _find(self, cid: str) -> Tracked | None:
        """An order of ours, or one the engine knows from elsewhere (reconciliation)."""
        if not cid:
            return None
        if (tracked := self._tracked.get(cid)) is not None:
            return tracked
        order = self._cache.order(ClientOrderId(cid))
        return None if order is None else self._track(order)

    def _scale(self, symbol: str) -> Scale:
        self._learn_instruments()
        return self._scales[symbol]

    def _learn_instruments(self) -> None:
        """The engine refuses reports on instruments that it does not know: do not wait for the data client."""
        for symbol, market in self.link.markets.items():
            if symbol not in self._scales:
                self._scales[symbol] = Scale(market)
                if self._cache.instrument(instrument_id(symbol, self.exchange.venue)) is None:
                    self._cache.add_instrument(instrument_of(market, self.exchange.venue, self._clock.timestamp_ns()))

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.link.counters.handler_faults += 1
            self._log.exception("background task", error)


def _wanted(command: Any, symbol: str) -> bool:
    wanted = command.instrument_id
    return wanted is None or wanted.symbol.value == symbol
