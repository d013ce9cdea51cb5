"""The engine's coat alone: what the engine is told of an order, whatever the order in which its account tells it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.core.fsm import InvalidStateTrigger
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import ModifyOrder, SubmitOrder
from nautilus_trader.model.enums import OrderSide, OrderStatus, TimeInForce
from nautilus_trader.model.events import OrderCanceled, OrderFilled, OrderRejected, OrderUpdated
from nautilus_trader.model.identifiers import ClientOrderId, StrategyId, TraderId
from nautilus_trader.model.orders import Order

from adapters.ccxt.account.execution import CcxtExecutionClient
from adapters.ccxt.account.proofs import Proof
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import AmendRequest, OrderRequest
from adapters.ccxt.events import FillEvent, OrderEvent, VenueOrderState
from adapters.ccxt.instruments import instrument_id, instrument_of
from adapters.ccxt.symbols import Market
from adapters.nautilus.outcome import OrderOutcome, OrderState, ResolveOrder
from router.children import _execution

SYMBOL = "BTC/USDT"
D = Decimal
MARKET = Market(
    symbol=SYMBOL,
    market_id="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick=D("0.01"),
    lot=D("0.001"),
    price_decimals=2,
    size_decimals=3,
    min_quantity=None,
    max_quantity=None,
    min_notional=None,
    taker_fee=D("0.001"),
    maker_fee=D("0.001"),
)
CONFIG = ExchangeConfig(venue="BINANCE", exchange="binance", symbols=(SYMBOL,))


class Coat:
    """A client whose account says what the test says; the engine is the order itself, which takes every event."""

    def __init__(self, market: Market = MARKET) -> None:
        trader, clock = TraderId("KERB-001"), LiveClock()
        self.bus, self.cache = MessageBus(trader_id=trader, clock=clock), Cache()
        self.cache.add_instrument(instrument_of(market, "BINANCE", 0))
        self.bus.register(endpoint="ExecEngine.process", handler=self._take)
        self.bus.register(endpoint="Portfolio.update_account", handler=lambda _: None)
        self.client = CcxtExecutionClient(asyncio.get_running_loop(), CONFIG, self.bus, self.cache, clock)
        self.client.link.markets = {SYMBOL: market}
        self.orders = OrderFactory(trader, StrategyId("S-001"), clock)
        self.instrument = self.cache.instrument(instrument_id(SYMBOL, "BINANCE"))
        self.events: list[Any] = []
        self._numbers = 0

    def _take(self, event: Any) -> None:
        self.events.append(event)
        with contextlib.suppress(InvalidStateTrigger):  # as the engine does, which tells its strategies all the same
            self.cache.order(event.client_order_id).apply(event)

    def kinds(self) -> list[type]:
        return [type(event) for event in self.events]

    async def placed(self, quantity: str = "0.4", price: str = "100", **more: Any) -> Order:
        """A limit order that the venue has taken."""
        instrument = self.instrument
        order = self.orders.limit(
            instrument.id,
            OrderSide.BUY,
            instrument.make_qty(D(quantity)),
            instrument.make_price(D(price)),
            client_order_id=ClientOrderId("c-1"),
            **more,
        )
        self.cache.add_order(order, None)

        async def place(request: OrderRequest) -> OrderEvent:
            self.sent = request
            told = self.said(VenueOrderState.OPEN, "0", quantity)
            self.client.on_order(told)
            return told

        self.client.link.place = place  # type: ignore[method-assign]
        await self.submit(order)
        return order

    async def submit(self, order: Order) -> None:
        command = SubmitOrder(TraderId("KERB-001"), StrategyId("S-001"), order, UUID4(), 0)
        await self.client._submit_order(command)

    async def modify(self, order: Order, quantity: str, amend: Callable[..., Awaitable[Any]]) -> None:
        """Ask for another quantity; `amend(request)` is what the account does meanwhile, and answers."""
        self.client.link.amend = lambda request, known: amend(request)  # type: ignore[method-assign]
        command = ModifyOrder(
            TraderId("KERB-001"),
            StrategyId("S-001"),
            order.instrument_id,
            order.client_order_id,
            order.venue_order_id,
            self.instrument.make_qty(D(quantity)),
            None,
            None,
            UUID4(),
            0,
        )
        await self.client._modify_order(command)

    def said(self, state: VenueOrderState, filled: str | None, quantity: str | None = None) -> OrderEvent:
        """What the venue says of the order."""
        return OrderEvent(
            symbol=SYMBOL,
            client_order_id="c-1",
            venue_order_id="v-1",
            state=state,
            side="buy",
            price=None if quantity is None else D(100),
            quantity=None if quantity is None else D(quantity),
            filled=None if filled is None else D(filled),
        )

    def fill(self, quantity: str) -> FillEvent:
        """One more execution."""
        self._numbers += 1
        return FillEvent(
            symbol=SYMBOL,
            trade_id=f"t-{self._numbers}",
            venue_order_id="v-1",
            client_order_id="c-1",
            side="buy",
            price=D(100),
            quantity=D(quantity),
            fee=D(0),
            fee_currency="USDT",
            maker=True,
            ts_event_ns=1,
        )


def test_an_execution_that_comes_after_the_end_is_told_and_the_order_stays_ended():
    async def main() -> None:
        coat = Coat()
        order = await coat.placed()
        coat.client.on_order(coat.said(VenueOrderState.CANCELED, "0"))
        assert order.status == OrderStatus.CANCELED
        coat.client.on_fill(coat.fill("0.1"))
        assert order.filled_qty.as_decimal() == D("0.1")
        assert order.status == OrderStatus.CANCELED
        coat.client.on_fill(coat.fill("0.3"))
        assert order.status == OrderStatus.FILLED

    asyncio.run(main())


def test_executions_that_the_engine_found_by_itself_are_not_counted_again():
    async def main() -> None:
        coat = Coat()
        order = await coat.placed()
        first = coat.fill("0.1")
        coat.client.on_fill(first)
        coat.client._tracked.clear()  # as after a restart: the order comes from the engine's own reconciliation
        coat.client.on_fill(first)
        coat.client.on_order(coat.said(VenueOrderState.CANCELED, "0.2"))
        assert not order.is_closed  # one execution is still to come
        coat.client.on_fill(coat.fill("0.1"))
        assert (order.status, order.filled_qty.as_decimal()) == (OrderStatus.CANCELED, D("0.2"))

    asyncio.run(main())


def test_numbers_leave_as_plain_digits_however_small_they_are():
    async def main() -> None:
        fine = msgspec.structs.replace(MARKET, tick=D("1e-8"), lot=D("1e-8"), price_decimals=8, size_decimals=8)
        coat = Coat(fine)
        await coat.placed("0.0000001", price="0.00000052")
        assert (coat.sent.quantity, coat.sent.price) == ("0.0000001", "0.00000052")

    asyncio.run(main())


def test_more_than_was_ordered_is_told_as_well():
    async def main() -> None:
        coat = Coat()
        order = await coat.placed()
        coat.client.on_fill(coat.fill("0.4"))
        coat.client.on_fill(coat.fill("0.1"))
        told = [event.last_qty.as_decimal() for event in coat.events if isinstance(event, OrderFilled)]
        assert (order.status, told) == (OrderStatus.FILLED, [D("0.4"), D("0.1")])

    asyncio.run(main())


def test_an_order_that_the_venue_has_forgotten_ends_when_that_is_proven():
    async def main() -> None:
        coat = Coat()
        order = await coat.placed()

        async def prove(client_order_id: str, symbol: str, *, cancel: bool = False) -> Proof:
            return Proof(order=None)

        coat.client.link.prove = prove  # type: ignore[method-assign]
        answers: list[OrderOutcome] = []
        await coat.client._resolve(ResolveOrder(client_order_id="c-1", symbol=SYMBOL, reply=answers.append))
        assert [answer.state for answer in answers] == [OrderState.NOT_FOUND]
        assert order.status == OrderStatus.CANCELED

    asyncio.run(main())


def test_an_order_that_is_called_rejected_after_a_fill_is_cancelled():
    async def main() -> None:
        coat = Coat()
        order = await coat.placed()
        coat.client.on_order(coat.said(VenueOrderState.REJECTED, "0.1"))
        coat.client.on_fill(coat.fill("0.1"))
        assert (order.status, order.filled_qty.as_decimal()) == (OrderStatus.CANCELED, D("0.1"))

    asyncio.run(main())


def test_an_order_that_fills_by_its_new_and_smaller_quantity_is_filled_whatever_is_heard_first():
    async def main() -> None:
        coat = Coat()
        order = await coat.placed()

        async def amend(request: AmendRequest) -> OrderEvent:
            coat.client.on_fill(coat.fill("0.2"))  # all of it, by the terms that nobody has confirmed yet
            end = coat.said(VenueOrderState.FILLED, "0.2", request.quantity)
            coat.client.on_order(end)
            return end

        await coat.modify(order, "0.2", amend)
        assert (order.status, order.filled_qty.as_decimal()) == (OrderStatus.FILLED, D("0.2"))
        assert coat.kinds().index(OrderUpdated) < coat.kinds().index(OrderFilled)

    asyncio.run(main())


def test_an_order_that_filled_with_a_smaller_quantity_than_we_knew_ends_all_the_same():
    async def main() -> None:
        coat = Coat()
        order = await coat.placed()
        coat.client.on_fill(coat.fill("0.2"))
        coat.client.on_order(coat.said(VenueOrderState.FILLED, "0.2"))  # of Kraken Futures: without its terms
        assert (order.status, order.filled_qty.as_decimal()) == (OrderStatus.CANCELED, D("0.2"))
        assert coat.kinds().count(OrderCanceled) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fee", "currency"), [("0.000000123456789", "BTC"), ("-0.00000000004", "USDT"), ("0.0000001", "BNB"), ("0", "USDT")]
)
def test_a_fee_reaches_the_books_to_its_last_digit_whatever_its_currency(fee, currency):
    async def main() -> None:
        coat = Coat()
        await coat.placed()
        coat.client.on_fill(msgspec.structs.replace(coat.fill("0.1"), fee=D(fee), fee_currency=currency))
        (filled,) = [event for event in coat.events if isinstance(event, OrderFilled)]
        booked = _execution(filled)
        assert (booked.fee, booked.fee_currency) == (D(fee), currency)

    asyncio.run(main())


def test_a_kind_of_order_that_is_not_supported_is_rejected_in_words():
    async def main() -> None:
        coat = Coat()
        instrument = coat.instrument
        order = coat.orders.stop_market(
            instrument.id,
            OrderSide.BUY,
            instrument.make_qty(D("0.4")),
            instrument.make_price(D(110)),
            time_in_force=TimeInForce.GTC,
        )
        coat.cache.add_order(order, None)
        await coat.submit(order)
        assert order.status == OrderStatus.REJECTED
        (rejected,) = [event for event in coat.events if isinstance(event, OrderRejected)]
        assert rejected.reason == "STOP_MARKET GTC orders are not supported"

    asyncio.run(main())
