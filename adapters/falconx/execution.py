"""The LP as the engine's execution venue: a FOK limit order that carries `params={"quote_id": …}` accepts that quote.

Rules, in the order they matter:

1. An execute is sent at most once per order, and at most one order may take a quote.
2. Rejected only on evidence: refused before sending (no quote id, expired, price or size beyond the order), refused by
   the venue in words, or proven by asking (`link.prove`). A timeout, a lost connection or a 5xx leaves the order SUBMITTED.
3. A fill has the quote's price, its whole quantity, no fee (the price is all-in) and trade id = `fx_quote_id`.

The account is CASH with borrowing and calculated balances: what the LP owes us or we owe it until settlement.
Endpoint `Exec.<ID>.resolve` answers for orders of an earlier run as well, by the quote id in the request.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal

from nautilus_trader.accounting.factory import AccountFactory
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.execution.messages import (
    BatchCancelOrders,
    CancelAllOrders,
    CancelOrder,
    GenerateFillReports,
    GenerateOrderStatusReport,
    GenerateOrderStatusReports,
    GeneratePositionStatusReports,
    ModifyOrder,
    QueryAccount,
    SubmitOrder,
    SubmitOrderList,
)
from nautilus_trader.execution.reports import FillReport, OrderStatusReport, PositionStatusReport
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.model.enums import AccountType, LiquiditySide, OmsType, OrderSide, OrderType, TimeInForce
from nautilus_trader.model.identifiers import AccountId, ClientId, TradeId, Venue, VenueOrderId
from nautilus_trader.model.objects import AccountBalance, Currency, Money, Price, Quantity
from nautilus_trader.model.orders import Order

from adapters.falconx.codec import CodecFault, FxQuote
from adapters.falconx.config import FalconXConfig
from adapters.falconx.instruments import currency_pair
from adapters.falconx.link import Execution, FalconXLink, LinkFault, Verdict
from adapters.falconx.shared import acquire, release
from adapters.nautilus import topics
from adapters.nautilus.outcome import OrderOutcome, OrderState, ResolveOrder, VenueFill

KEPT_ORDERS = 10_000


class FalconXExecutionClient(LiveExecutionClient):
    """Executes quotes of one FalconX account."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, config: FalconXConfig, msgbus: MessageBus, cache: Cache, clock: LiveClock
    ) -> None:
        register_account_rules(config.lp)
        super().__init__(
            loop=loop,
            client_id=ClientId(config.lp),
            venue=Venue(config.lp),
            oms_type=OmsType.NETTING,
            account_type=AccountType.CASH,
            base_currency=None,
            instrument_provider=InstrumentProvider(),
            msgbus=msgbus,
            cache=cache,
            clock=clock,
        )
        self._set_account_id(AccountId(f"{config.lp}-master"))
        self._settings = config
        self._quote_of: dict[str, str] = {}  # client order id -> quote id
        self._order_of: dict[str, str] = {}  # quote id -> client order id
        self._refused: set[str] = set()  # quote ids whose execute was refused in words
        self._endpoint = topics.resolve(config.lp)

    async def _connect(self) -> None:
        """Instruments, an account from zero, the endpoint; the venue's balances follow in the background."""
        self._link = await self._open_link()
        for symbol in self._settings.symbols:
            self._cache.add_instrument(currency_pair(self._settings, symbol, self._clock.timestamp_ns()))
        self._report_balances({})
        await self._await_account_registered(log_registered=False)
        if self._endpoint not in self._msgbus.endpoints():
            self._msgbus.register(self._endpoint, self._on_resolve)
        self.create_task(self._fetch_balances())

    async def _disconnect(self) -> None:
        if self._endpoint in self._msgbus.endpoints():
            self._msgbus.deregister(self._endpoint, self._on_resolve)
        await self._close_link(self._link)

    async def _open_link(self) -> FalconXLink:
        """What executes and asks; paper trading puts one here that sends nothing."""
        return acquire(self._settings)

    async def _close_link(self, link: FalconXLink) -> None:
        await release(link)

    def health(self) -> dict[str, object]:
        """Counters of the link, and how many orders wait for proof."""
        return {"connected": self.is_connected, **self._link.counters}

    async def _fetch_balances(self) -> None:
        try:
            balances = await self._link.balances()
        except (LinkFault, CodecFault) as fault:
            self._log.warning(f"balances not known, counting from zero: {fault}")
            return
        self._report_balances(balances)

    def _report_balances(self, held: dict[str, Decimal]) -> None:
        tokens = {token for symbol in self._settings.symbols for token in symbol.split("/")} | held.keys()
        balances = []
        for token in sorted(tokens):
            currency = Currency.from_str(token)
            total = Money(held.get(token, Decimal(0)), currency)
            balances.append(AccountBalance(total, Money(0, currency), total))
        self.generate_account_state(balances, [], reported=True, ts_event=self._clock.timestamp_ns())

    # ---- accepting a quote ----

    async def _submit_order(self, command: SubmitOrder) -> None:
        order: Order = command.order
        quote_id = str((command.params or {}).get("quote_id", ""))
        self.generate_order_submitted(
            order.strategy_id, order.instrument_id, order.client_order_id, self._clock.timestamp_ns()
        )
        refusal = self._refusal(order, quote_id) or await self._mismatch(order, quote_id)
        if refusal:
            self._reject(order, refusal)
            return
        self._keep(order.client_order_id.value, quote_id)
        side = _side(order)
        result = await self._link.execute(quote_id, side)
        if result.verdict is Verdict.UNKNOWN:
            self._log.warning(f"{order.client_order_id}: outcome unknown ({result.reason}); asking")
            if result.refused:
                self._refused.add(quote_id)
            result = await self._prove(quote_id, side)
        self._conclude(order, quote_id, result)

    async def _prove(self, quote_id: str, side: str) -> Execution:
        """Ask for as long as this process lives: the order stays SUBMITTED until the outcome is proven."""
        while True:
            result = await self._link.prove(quote_id, side, refused=quote_id in self._refused)
            if result.verdict is not Verdict.UNKNOWN or self._link.closed:
                return result

    def _conclude(self, order: Order, quote_id: str, result: Execution) -> None:
        match result.verdict:
            case Verdict.FILLED:
                assert result.quote is not None
                self._fill(order, result.quote)
            case Verdict.UNKNOWN:
                self._log.error(f"{order.client_order_id}: outcome still unknown: {result.reason}")
            case Verdict.REFUSED | Verdict.NOT_SENT | Verdict.NOT_FILLED | Verdict.NOT_FOUND:
                self._reject(order, f"{result.verdict}: {result.reason}")

    def _refusal(self, order: Order, quote_id: str) -> str:
        """Why this order cannot accept this quote, seen without asking anybody; "" when it can."""
        if order.order_type != OrderType.LIMIT or order.time_in_force != TimeInForce.FOK:
            return "an LP takes FOK limit orders only"
        if not quote_id:
            return 'no quote: params={"quote_id": …} is missing'
        taken_by = self._order_of.get(quote_id)
        if taken_by is not None:
            return f"quote {quote_id} was taken by order {taken_by}"
        held = self._link.quotes.get(quote_id)
        if held is not None and self._clock.timestamp_ns() > held.valid_until_ns:
            return "quote expired before it was sent"
        return ""

    async def _mismatch(self, order: Order, quote_id: str) -> str:
        """Why the quote is not what the order says; a quote this process has not seen is asked for first."""
        held = self._link.quotes.get(quote_id)
        try:
            quote = held.quote if held is not None else await self._link.query(quote_id)
        except (LinkFault, CodecFault) as fault:
            return f"quote {quote_id} is not known: {fault}"
        price, limit = quote.price(_side(order)), order.price.as_decimal()
        if quote.symbol != order.instrument_id.symbol.value:
            return f"quote is for {quote.symbol}"
        if quote.quantity_token != quote.symbol.split("/")[0] or quote.quantity != order.quantity.as_decimal():
            return f"quote is for {quote.quantity} {quote.quantity_token}, all or none"
        if price is None:
            return f"quote has no {_side(order)} price"
        if price > limit if order.side == OrderSide.BUY else price < limit:
            return f"quoted {price} is beyond the limit {limit}"
        if quote.is_filled:
            return "quote was executed before"
        return ""

    def _reject(self, order: Order, reason: str) -> None:
        self.generate_order_rejected(
            order.strategy_id, order.instrument_id, order.client_order_id, reason, self._clock.timestamp_ns()
        )

    def _fill(self, order: Order, quote: FxQuote) -> None:
        ts_ns = self._clock.timestamp_ns()
        venue_order_id = VenueOrderId(quote.fx_quote_id)
        instrument = self._cache.instrument(order.instrument_id)
        self.generate_order_accepted(
            order.strategy_id, order.instrument_id, order.client_order_id, venue_order_id, ts_ns
        )
        self.generate_order_filled(
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            venue_order_id=venue_order_id,
            venue_position_id=None,
            trade_id=TradeId(quote.fx_quote_id),
            order_side=order.side,
            order_type=order.order_type,
            last_qty=Quantity.from_str(f"{quote.quantity:.{self._settings.size_precision}f}"),
            last_px=Price.from_str(f"{quote.price_executed:.{self._settings.price_precision}f}"),
            quote_currency=instrument.quote_currency,
            commission=Money(0, instrument.quote_currency),
            liquidity_side=LiquiditySide.TAKER,
            ts_event=quote.t_execute_ns or ts_ns,
        )

    def _keep(self, client_order_id: str, quote_id: str) -> None:
        self._quote_of[client_order_id] = quote_id
        self._order_of[quote_id] = client_order_id
        while len(self._quote_of) > KEPT_ORDERS:
            self._order_of.pop(self._quote_of.pop(next(iter(self._quote_of))), None)

    # ---- outcomes ----

    def _on_resolve(self, request: ResolveOrder) -> None:
        self.create_task(self._resolve(request), log_msg=f"resolve {request.client_order_id}")

    async def _resolve(self, request: ResolveOrder) -> None:
        """Answer once. OPEN means: not proven within `give_up_ms`, ask again."""
        quote_id = request.quote_id or self._quote_of.get(request.client_order_id, "")
        if not quote_id:
            request.reply(
                _outcome(request, OrderState.OPEN, "FalconX knows an execution by its quote: no quote_id, no proof")
            )
            return
        result = await self._link.prove(quote_id, "", refused=quote_id in self._refused)
        match result.verdict:
            case Verdict.FILLED:
                assert result.quote is not None
                request.reply(_outcome(request, OrderState.CLOSED, fill=self._venue_fill(request, result.quote)))
            case Verdict.NOT_FOUND:
                request.reply(_outcome(request, OrderState.NOT_FOUND, result.reason))
            case Verdict.REFUSED | Verdict.NOT_FILLED | Verdict.NOT_SENT:
                request.reply(_outcome(request, OrderState.CLOSED, result.reason))
            case Verdict.UNKNOWN:
                request.reply(_outcome(request, OrderState.OPEN, result.reason))

    def _venue_fill(self, request: ResolveOrder, quote: FxQuote) -> VenueFill:
        assert quote.price_executed is not None
        return VenueFill(
            venue=self._settings.lp,
            symbol=quote.symbol,
            client_order_id=request.client_order_id,
            trade_id=quote.fx_quote_id,
            side=quote.side_executed or "",
            price=quote.price_executed,
            quantity=quote.quantity,
            fee=Decimal(0),
            fee_currency=quote.symbol.split("/")[1],
            ts_ns=quote.t_execute_ns or self._clock.timestamp_ns(),
        )

    # ---- what an LP does not have ----

    async def _submit_order_list(self, command: SubmitOrderList) -> None:
        for order in command.order_list.orders:
            self.generate_order_submitted(
                order.strategy_id, order.instrument_id, order.client_order_id, self._clock.timestamp_ns()
            )
            self._reject(order, "an LP takes single orders only")

    async def _modify_order(self, command: ModifyOrder) -> None:
        self._log.warning(f"{command.client_order_id}: an accepted quote cannot be modified")

    async def _cancel_order(self, command: CancelOrder) -> None:
        self._log.warning(
            f"{command.client_order_id}: an accepted quote cannot be cancelled; its outcome is being asked"
        )

    async def _cancel_all_orders(self, command: CancelAllOrders) -> None:
        self._log.warning("an accepted quote cannot be cancelled")

    async def _batch_cancel_orders(self, command: BatchCancelOrders) -> None:
        self._log.warning("an accepted quote cannot be cancelled")

    async def _query_account(self, command: QueryAccount) -> None:
        await self._fetch_balances()

    async def generate_order_status_report(self, command: GenerateOrderStatusReport) -> OrderStatusReport | None:
        """None: an order's outcome is asked on endpoint `Exec.<ID>.resolve`, where "not yet" is an answer."""
        return None

    async def generate_order_status_reports(self, command: GenerateOrderStatusReports) -> list[OrderStatusReport]:
        """None are ever open: a quote is taken or not."""
        return []

    async def generate_fill_reports(self, command: GenerateFillReports) -> list[FillReport]:
        """None: fills of an earlier run are the ledger's, and are asked for by quote."""
        return []

    async def generate_position_status_reports(
        self, command: GeneratePositionStatusReports
    ) -> list[PositionStatusReport]:
        """None: a spot LP has balances, not positions."""
        return []


def register_account_rules(lp: str) -> None:
    """Tell the engine that balances at `lp` follow from fills and may be negative. Safe to repeat."""
    AccountFactory.register_calculated_account(lp)
    try:
        AccountFactory.register_cash_borrowing(lp)
    except KeyError:
        return  # registered by an earlier node of this process


def _side(order: Order) -> str:
    return "buy" if order.side == OrderSide.BUY else "sell"


def _outcome(request: ResolveOrder, state: OrderState, reason: str = "", fill: VenueFill | None = None) -> OrderOutcome:
    return OrderOutcome(
        client_order_id=request.client_order_id, state=state, fills=(fill,) if fill else (), reason=reason
    )
