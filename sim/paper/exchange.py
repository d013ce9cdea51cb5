"""An exchange on paper: the engine's execution client that fills orders from the venue's real book, in this process. Nothing is sent.

    submit    limit IOC or FOK, or market: reaches the "venue" after `latency_ms` and takes what the book then shows, at the book's prices
    refused   whatever would have to rest (GTC, post-only), an account that cannot pay, a book that is not live (nobody knows the price)
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
from nautilus_trader.model.identifiers import AccountId, ClientId, InstrumentId, TradeId, Venue, VenueOrderId
from nautilus_trader.model.objects import AccountBalance
from nautilus_trader.model.orders import Order

from adapters.ccxt.instruments import instrument_id, money
from adapters.nautilus import topics
from adapters.nautilus.book import BookDeltas, levels_of
from adapters.nautilus.outcome import ResolveOrder
from adapters.nautilus.safe import Fault
from pricing.consolidated import BookStatus
from sim.instruments import opening_balances
from sim.paper.account import PaperAccount, PaperFill, PaperOrder, taker_fee
from sim.paper.book import PaperBook
from sim.paper.config import PaperExchangeConfig
from sim.paper.outcomes import outcome_of

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

        def end(reason: str, *, rejected: bool = False, fills: tuple[PaperFill, ...] = ()) -> PaperOrder:
            return PaperOrder(
                order_id=cid, symbol=symbol, side=side, ts_ns=now_ns, fills=fills, reason=reason, rejected=rejected
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
        currency = order.instrument_id.symbol.value.split(":")[0].split("/")[1]
        fills = tuple(
            PaperFill(
                trade_id=f"{cid}-{number}",
                price=take.price,
                quantity=take.quantity,
                fee=taker_fee(take.price, take.quantity, self.settings.taker_fee_bps),
                fee_currency=currency,
            )
            for number, take in enumerate(takes, start=1)
        )
        ended = end("" if found == quantity else "nothing more within the limit", fills=fills)
        if lacking := self.account.lacks(ended):
            return end(lacking, rejected=True)
        book.took(side, takes)
        return ended

    def _tell(self, order: Order, ended: PaperOrder) -> None:
        """The engine's events of an order that has ended."""
        if ended.rejected:
            self._reject(order, ended.reason)
            return
        instrument = self._cache.instrument(order.instrument_id)
        venue_order_id = VenueOrderId(f"P-{ended.order_id}")
        self.generate_order_accepted(*_keys(order), venue_order_id, ended.ts_ns)
        for fill in ended.fills:
            self.generate_order_filled(
                *_keys(order),
                venue_order_id,
                None,
                TradeId(fill.trade_id),
                order.side,
                order.order_type,
                instrument.make_qty(fill.quantity),
                instrument.make_price(fill.price),
                instrument.quote_currency,
                money(fill.fee, fill.fee_currency),
                LiquiditySide.TAKER,
                ended.ts_ns,
            )
        if ended.filled < order.quantity.as_decimal():
            self.generate_order_canceled(*_keys(order), venue_order_id, ended.ts_ns)
        self._report_balances()

    def _reject(self, order: Order, reason: str) -> None:
        self.generate_order_rejected(*_keys(order), reason, self._clock.timestamp_ns())

    def _report_balances(self) -> None:
        assert self.account is not None
        rows = []
        for currency, amount in sorted(self.account.balances.items()):
            total = money(amount, currency)
            rows.append(AccountBalance(total, total - total, total))
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
            "nothing rests here, so nothing can be modified",
            self._clock.timestamp_ns(),
        )

    async def _cancel_order(self, command: Any) -> None:
        """An immediate order has ended before a cancel could reach it: its own report says how."""

    async def _cancel_all_orders(self, command: Any) -> None:
        """See `_cancel_order`."""

    async def _batch_cancel_orders(self, command: Any) -> None:
        """See `_cancel_order`."""

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
        known = self.account.order(request.client_order_id)
        request.reply(outcome_of(self.settings.venue, request.client_order_id, known))

    async def generate_order_status_report(self, command: Any) -> OrderStatusReport | None:
        """None: outcomes are asked on endpoint `Exec.<VENUE>.resolve`."""
        return None

    async def generate_order_status_reports(self, command: Any) -> list[OrderStatusReport]:
        """None: nothing ever rests."""
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
    if not immediate or getattr(order, "is_post_only", False):
        return "nothing can rest on paper: IOC or FOK only"
    return ""
