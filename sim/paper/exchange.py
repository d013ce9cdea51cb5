"""An exchange on paper: the engine's execution client that fills orders from the venue's real book, in this process. Nothing is sent.

    submit    limit or market: reaches the "venue" after `latency_ms` and takes what the book then shows, at the book's prices
    rest      what is left of a limit GTC lies there (`resting`): filled at its price when the book's other side reaches it, until cancelled
    refused   post-only that would take, an account that cannot pay, a book that is not live (nobody knows the price)
    account   opening balances from the configuration, taker fee in quote currency, kept in one file and continued after a restart
    resolve   endpoint `Exec.<VENUE>.resolve`: at once and for certain, of an earlier run as well: what is not in the file never arrived

Not imagined: queue position, other people's reaction to our size, hidden liquidity, and refusals for reasons of the venue's own.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.common.data_topics import TopicCache
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.execution.reports import FillReport, OrderStatusReport
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.model.data import OrderBookDeltas, QuoteTick
from nautilus_trader.model.enums import AccountType, LiquiditySide, OmsType, OrderSide, OrderType, TimeInForce
from nautilus_trader.model.identifiers import (
    AccountId,
    ClientId,
    ClientOrderId,
    InstrumentId,
    TradeId,
    Venue,
    VenueOrderId,
)
from nautilus_trader.model.objects import AccountBalance
from nautilus_trader.model.orders import Order

from adapters.ccxt.instruments import instrument_id, money
from adapters.nautilus import topics
from adapters.nautilus.book import BookDeltas, levels_of
from adapters.nautilus.outcome import ResolveOrder
from adapters.nautilus.safe import Fault
from pricing.consolidated import BookStatus
from sim.instruments import opening_balances
from sim.paper.account import BPS, PaperAccount, PaperFill, PaperOrder, fee_of
from sim.paper.book import PaperBook
from sim.paper.config import PaperExchangeConfig
from sim.paper.outcomes import outcome_of
from sim.paper.resting import RestingOrder, RestingOrders

RAW_DECIMALS = 16  # of the engine's fixed-point raws


class PaperExchangeClient(LiveExecutionClient):
    """Execution at one exchange, imagined; cash account, netting."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        config: PaperExchangeConfig,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> None:
        super().__init__(
            loop=loop,
            client_id=ClientId(config.venue),
            venue=Venue(config.venue),
            oms_type=OmsType.NETTING,
            account_type=AccountType.CASH,
            base_currency=None,
            instrument_provider=InstrumentProvider(),
            msgbus=msgbus,
            cache=cache,
            clock=clock,
        )
        self._set_account_id(AccountId(f"{config.venue}-paper"))
        self.settings = config
        self.account: PaperAccount | None = None
        self._books: dict[InstrumentId, PaperBook] = {}
        self._arriving: dict[str, asyncio.Task[Any]] = {}  # orders on their way, by client order id
        self._resting = RestingOrders(config.taker_fee_bps)
        self._telling: set[asyncio.Task[Any]] = (
            set()
        )  # fills and ends of resting orders on their way to disk and engine
        self._writing = asyncio.Lock()
        self._subscriptions: list[tuple[str, Any]] = []
        self._endpoint = topics.resolve(config.venue)

    async def _connect(self) -> None:
        config = self.settings
        opening = config.balances or opening_balances(config.symbols)
        self.account = await asyncio.to_thread(PaperAccount, config.file, opening)
        names = TopicCache()
        for symbol in config.symbols:
            iid = instrument_id(symbol, config.venue)
            self._listen(names.get_deltas_topic(iid), self._on_book)
            self._listen(names.get_quotes_topic(iid), self._on_top)
        self._msgbus.register(self._endpoint, self._on_resolve)
        self._report_balances()
        await self._await_account_registered(log_registered=False)

    async def _disconnect(self) -> None:
        for topic, handler in self._subscriptions:
            self._msgbus.unsubscribe(topic, handler)
        self._subscriptions.clear()
        if self._endpoint in self._msgbus.endpoints():
            self._msgbus.deregister(self._endpoint, self._on_resolve)
        if self._arriving:  # on its way: it arrives, and is on disk, before the file is closed
            await asyncio.wait(list(self._arriving.values()))
        for order in self._resting.all():
            self._end_resting(order.order_id, "the desk stopped: nothing rests on paper without it")
        if self._telling:
            await asyncio.wait(list(self._telling))
        if self.account is not None:
            self.account.close()

    # ---- the venue's market ----

    def _listen(self, topic: str, handler: Any) -> None:
        self._msgbus.subscribe(topic, handler)
        self._subscriptions.append((topic, handler))

    def _on_book(self, deltas: OrderBookDeltas) -> None:
        try:
            book = self._book(deltas.instrument_id)
            if isinstance(deltas, BookDeltas):
                book.on_levels(deltas.levels, deltas.kind, deltas.reason, deltas.ts_init)
            else:
                instrument = self._cache.instrument(deltas.instrument_id)
                levels, kind = levels_of(deltas, instrument.price_precision, instrument.size_precision)
                book.on_levels(levels, kind, "cleared by the venue client", deltas.ts_init)
            self._fill_resting(deltas.instrument_id, deltas.ts_init)
        except Exception as error:  # one that gets out of a bus handler ends the process
            if (known := self._books.get(deltas.instrument_id)) is not None:
                known.clear(f"{type(error).__name__}: {error}", deltas.ts_init)
            self._fault("book", error)

    def _on_top(self, tick: QuoteTick) -> None:
        try:
            price_unit = 10 ** (RAW_DECIMALS - tick.bid_price.precision)
            size_unit = 10 ** (RAW_DECIMALS - tick.bid_size.precision)
            self._book(tick.instrument_id).on_top(
                tick.bid_price.raw // price_unit,
                tick.bid_size.raw // size_unit,
                tick.ask_price.raw // price_unit,
                tick.ask_size.raw // size_unit,
                tick.ts_init,
            )
            self._fill_resting(tick.instrument_id, tick.ts_init)
        except Exception as error:
            self._fault("top of book", error)

    def _book(self, iid: InstrumentId) -> PaperBook:
        found = self._books.get(iid)
        if found is None:
            instrument = self._cache.instrument(iid)
            found = self._books[iid] = PaperBook(
                iid.symbol.value,
                self.settings.venue,
                instrument.price_precision,
                instrument.size_precision,
                self.settings.max_age_ms * 1_000_000,
            )
        return found

    # ---- orders ----

    async def _submit_order(self, command: Any) -> None:
        order: Order = command.order
        cid = order.client_order_id.value
        self.generate_order_submitted(*_keys(order), self._clock.timestamp_ns())
        if refusal := _unsupported(order):
            self._reject(order, refusal)
            return
        arrival = self._arriving[cid] = self._loop.create_task(self._arrive(order), name=f"paper {cid}")
        try:
            await asyncio.shield(arrival)  # the engine may give up on us; an order that has left arrives all the same
        finally:
            arrival.add_done_callback(lambda _: self._arriving.pop(cid, None))

    async def _arrive(self, order: Order) -> None:
        """After the way there: match, make it durable, tell the engine."""
        assert self.account is not None
        await asyncio.sleep(self.settings.latency_ms / 1000)
        if (earlier := self.account.order(order.client_order_id.value)) is not None:
            self._reject(order, f"{earlier.order_id} is known already: {earlier.reason or 'filled'}")
            return
        ended = self._match(order)
        self.account.apply(ended)
        async with self._writing:
            await asyncio.to_thread(self.account.record, ended)
        self._tell(order, ended)

    def _match(self, order: Order) -> PaperOrder:
        """What the venue does with it now; its book gives what was taken, the account is not touched."""
        assert self.account is not None
        now_ns, cid = self._clock.timestamp_ns(), order.client_order_id.value
        symbol, side = order.instrument_id.symbol.value, "buy" if order.side == OrderSide.BUY else "sell"

        def end(
            reason: str, *, rejected: bool = False, fills: tuple[PaperFill, ...] = (), resting: bool = False
        ) -> PaperOrder:
            return PaperOrder(
                order_id=cid,
                symbol=symbol,
                side=side,
                ts_ns=now_ns,
                fills=fills,
                reason=reason,
                rejected=rejected,
                resting=resting,
            )

        book, quantity = self._book(order.instrument_id), order.quantity.as_decimal()
        status = book.status(now_ns)
        if status is not BookStatus.LIVE:
            return end(f"the book of {symbol} is {status.value}: nobody knows the price", rejected=True)
        limit = order.price.as_decimal() if order.order_type == OrderType.LIMIT else None
        takes = book.look(side, quantity, limit)
        found = sum((take.quantity for take in takes), Decimal(0))
        if order.time_in_force == TimeInForce.FOK and found < quantity:
            return end(f"the book holds {found:f} within the limit, not all of it")
        if takes and getattr(order, "is_post_only", False):
            return end("it is post-only and would take", rejected=True)
        currency = order.instrument_id.symbol.value.split(":")[0].split("/")[1]
        fills = tuple(
            PaperFill(
                trade_id=f"{cid}-{number}",
                price=take.price,
                quantity=take.quantity,
                fee=fee_of(take.price, take.quantity, self.settings.taker_fee_bps),
                fee_currency=currency,
            )
            for number, take in enumerate(takes, start=1)
        )
        rest = None
        if found < quantity and order.time_in_force == TimeInForce.GTC and limit is not None:
            rest = RestingOrder(
                order_id=cid, symbol=symbol, side=side, price=limit, leaves=quantity - found, fills=len(fills)
            )
            ended = end("", fills=fills, resting=True)
        else:
            ended = end("" if found == quantity else "nothing more within the limit", fills=fills)
        if lacking := self.account.lacks(ended) or (self._lacks_for(rest) if rest is not None else ""):
            return end(lacking, rejected=True)
        book.took(side, takes)
        if rest is not None:
            self._resting.lay(rest)
        return ended

    def _tell(self, order: Order, ended: PaperOrder) -> None:
        """The engine's events of an order that has ended."""
        if ended.rejected:
            self._reject(order, ended.reason)
            return
        venue_order_id = VenueOrderId(f"P-{ended.order_id}")
        self.generate_order_accepted(*_keys(order), venue_order_id, ended.ts_ns)
        for fill in ended.fills:
            self._tell_fill(order, fill, ended.ts_ns, maker=False)
        if ended.filled < order.quantity.as_decimal() and not ended.resting:
            self.generate_order_canceled(*_keys(order), venue_order_id, ended.ts_ns)
        self._report_balances()

    def _tell_fill(self, order: Order, fill: PaperFill, ts_ns: int, *, maker: bool) -> None:
        instrument = self._cache.instrument(order.instrument_id)
        self.generate_order_filled(
            *_keys(order),
            VenueOrderId(f"P-{order.client_order_id.value}"),
            None,
            TradeId(fill.trade_id),
            order.side,
            order.order_type,
            instrument.make_qty(fill.quantity),
            instrument.make_price(fill.price),
            instrument.quote_currency,
            money(fill.fee, fill.fee_currency),
            LiquiditySide.MAKER if maker else LiquiditySide.TAKER,
            ts_ns,
        )

    # ---- what rests ----

    def _lacks_for(self, rest: RestingOrder) -> str:
        """What the account has too little of for everything that rests and this."""
        assert self.account is not None
        currency, amount = self._resting.spends(rest)
        needed = self._resting.locked().get(currency, Decimal(0)) + amount
        held = self.account.balances.get(currency, Decimal(0))
        return "" if held >= needed else f"insufficient balance: needs {needed:f} {currency}, holds {held:f}"

    def _fill_resting(self, iid: InstrumentId, now_ns: int) -> None:
        """The book has changed: fill what it reaches. In memory at once, told once it is on disk."""
        book = self._books.get(iid)
        if book is None or not self._resting.all() or book.status(now_ns) is not BookStatus.LIVE:
            return
        assert self.account is not None
        quote = iid.symbol.value.split(":")[0].split("/")[1]
        for rest, quantity in self._resting.crossed(iid.symbol.value, book):
            fill = PaperFill(
                trade_id=f"{rest.order_id}-{rest.fills}",
                price=rest.price,
                quantity=quantity,
                fee=fee_of(rest.price, quantity, self._maker_fee_bps(iid)),
                fee_currency=quote,
            )
            part = PaperOrder(
                order_id=rest.order_id,
                symbol=rest.symbol,
                side=rest.side,
                ts_ns=now_ns,
                fills=(fill,),
                resting=rest.leaves > 0,
            )
            if lacking := self.account.lacks(part):
                self._end_resting(rest.order_id, lacking)
                continue
            self.account.apply(part)
            self._tell_later(part)

    def _maker_fee_bps(self, iid: InstrumentId) -> Decimal:
        """As configured, else as listed; nobody who takes for less rests for more."""
        settings, instrument = self.settings, self._cache.instrument(iid)
        if settings.maker_fee_bps is not None:
            return settings.maker_fee_bps
        return settings.taker_fee_bps if instrument is None else min(settings.taker_fee_bps, instrument.maker_fee / BPS)

    def _end_resting(self, order_id: str, reason: str) -> None:
        """It lies there no more, and has ended."""
        assert self.account is not None
        rest, known = self._resting.pull(order_id), self.account.order(order_id)
        if known is None or not known.resting:
            return
        assert rest is None or rest.order_id == order_id
        ended = PaperOrder(
            order_id=order_id,
            symbol=known.symbol,
            side=known.side,
            ts_ns=self._clock.timestamp_ns(),
            reason=reason,
        )
        self.account.apply(ended)
        self._tell_later(ended)

    def _tell_later(self, part: PaperOrder) -> None:
        """On disk, then to the engine; in the order in which it happened."""
        task = self._loop.create_task(self._made_durable(part), name=f"paper {part.order_id}")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _made_durable(self, part: PaperOrder) -> None:
        assert self.account is not None
        async with self._writing:
            await asyncio.to_thread(self.account.record, part)
        order = self._cache.order(ClientOrderId(part.order_id))
        if order is None:
            return
        for fill in part.fills:
            self._tell_fill(order, fill, part.ts_ns, maker=True)
        if not part.resting and not part.fills:
            self.generate_order_canceled(*_keys(order), VenueOrderId(f"P-{part.order_id}"), part.ts_ns)
        self._report_balances()

    def _reject(self, order: Order, reason: str) -> None:
        self.generate_order_rejected(*_keys(order), reason, self._clock.timestamp_ns())

    def _report_balances(self) -> None:
        assert self.account is not None
        rows = []
        resting = self._resting.locked()
        for currency, amount in sorted(self.account.balances.items()):
            total = money(amount, currency)
            locked = money(max(min(resting.get(currency, Decimal(0)), amount), Decimal(0)), currency)
            rows.append(AccountBalance(total, locked, total - locked))
        self.generate_account_state(rows, [], True, self._clock.timestamp_ns())

    async def _submit_order_list(self, command: Any) -> None:
        for order in command.order_list.orders:
            self.generate_order_submitted(*_keys(order), self._clock.timestamp_ns())
            self._reject(order, "order lists are not supported")

    async def _modify_order(self, command: Any) -> None:
        self.generate_order_modify_rejected(
            command.strategy_id,
            command.instrument_id,
            command.client_order_id,
            command.venue_order_id,
            "modification is not supported: cancel and place anew",
            self._clock.timestamp_ns(),
        )

    async def _cancel_order(self, command: Any) -> None:
        """Takes back what rests; an immediate order has ended before a cancel could reach it: its own report says how."""
        cid = command.client_order_id.value
        await asyncio.sleep(self.settings.latency_ms / 1000)
        if (arrival := self._arriving.get(cid)) is not None:
            await asyncio.wait([arrival])
        self._end_resting(cid, "cancelled")

    async def _cancel_all_orders(self, command: Any) -> None:
        """Everything of the instrument that rests."""
        wanted = command.instrument_id.symbol.value
        for rest in [rest for rest in self._resting.all() if rest.symbol == wanted]:
            self._end_resting(rest.order_id, "cancelled")

    async def _batch_cancel_orders(self, command: Any) -> None:
        """Each as if it came alone."""
        for cancel in command.cancels:
            await self._cancel_order(cancel)

    async def _query_account(self, command: Any) -> None:
        self._report_balances()

    # ---- outcomes and reports ----

    def _on_resolve(self, request: ResolveOrder) -> None:
        self.create_task(self._resolve(request), log_msg=f"resolve {request.client_order_id}")

    async def _resolve(self, request: ResolveOrder) -> None:
        """An order on its way is waited for; after that the account knows, for certain."""
        if (arrival := self._arriving.get(request.client_order_id)) is not None:
            await asyncio.wait([arrival])
        assert self.account is not None
        if request.cancel:
            self._end_resting(request.client_order_id, "cancelled")
        known = self.account.order(request.client_order_id)
        request.reply(outcome_of(self.settings.venue, request.client_order_id, known))

    async def generate_order_status_report(self, command: Any) -> OrderStatusReport | None:
        """None: outcomes are asked on endpoint `Exec.<VENUE>.resolve`."""
        return None

    async def generate_order_status_reports(self, command: Any) -> list[OrderStatusReport]:
        """None: what rests is told as it happens, and does not outlive the desk."""
        return []

    async def generate_fill_reports(self, command: Any) -> list[FillReport]:
        """None: fills of an earlier run are the ledger's, and are asked for by order."""
        return []

    async def generate_position_status_reports(self, command: Any) -> list[Any]:
        """A spot wallet has balances, not positions."""
        return []

    def _fault(self, handler: str, error: Exception) -> None:
        """Say it, and go on."""
        self._log.exception(f"fault in {handler}", error)
        fault = Fault(
            component=f"{self.settings.venue} on paper",
            handler=handler,
            error=f"{type(error).__name__}: {error}",
            ts_ns=self._clock.timestamp_ns(),
        )
        self._msgbus.publish(topics.FAULT, fault)


def _keys(order: Order) -> tuple[Any, Any, Any]:
    """What every engine event begins with."""
    return order.strategy_id, order.instrument_id, order.client_order_id


def _unsupported(order: Order) -> str:
    if order.order_type not in (OrderType.LIMIT, OrderType.MARKET):
        return f"{order.order_type_string()} orders are not supported on paper"
    immediate = order.order_type == OrderType.MARKET or order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
    if not immediate and order.time_in_force != TimeInForce.GTC:
        return "on paper an order is IOC, FOK or GTC"
    return ""
