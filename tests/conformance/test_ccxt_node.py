"""Every exchange inside a live node: data reach strategies, orders become events of the engine, each once."""

import asyncio
from collections import Counter
from decimal import Decimal

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.enums import OrderSide, OrderStatus, TimeInForce
from nautilus_trader.model.events import OrderAccepted, OrderCanceled, OrderFilled, OrderRejected, OrderSubmitted
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId
from nautilus_trader.model.objects import Price
from nautilus_trader.trading.strategy import Strategy

from adapters.ccxt.factories import (
    CcxtDataClientConfig,
    CcxtDataClientFactory,
    CcxtExecClientConfig,
    CcxtExecClientFactory,
)
from adapters.nautilus import topics
from adapters.nautilus.book import BookDeltas, BookKind
from adapters.nautilus.node import EmbeddedNode, NodeConfig
from adapters.nautilus.outcome import OrderOutcome, OrderState, ResolveOrder
from tests.conformance.ccxt_venue import Venue, account, eventually, every_venue, market_data, venue


class Trader(Strategy):
    """Subscribes everything and keeps what it is told."""

    def __init__(self, instruments: list[InstrumentId]) -> None:
        super().__init__(StrategyConfig(strategy_id="CARD", order_id_tag="001"))
        self.instruments = instruments
        self.ticks: Counter = Counter()
        self.books: dict[InstrumentId, list[BookDeltas]] = {iid: [] for iid in instruments}
        self.told: dict[str, list] = {}

    def on_start(self) -> None:
        for iid in self.instruments:
            self.subscribe_order_book_deltas(iid)
            self.subscribe_trade_ticks(iid)
            self.subscribe_quote_ticks(iid)

    def on_stop(self) -> None: ...

    def on_order_book_deltas(self, deltas) -> None:
        self.books[deltas.instrument_id].append(deltas)

    def on_trade_tick(self, tick) -> None:
        self.ticks["trades", tick.instrument_id] += 1

    def on_quote_tick(self, tick) -> None:
        self.ticks["quotes", tick.instrument_id] += 1

    def on_order_event(self, event) -> None:
        self.told.setdefault(event.client_order_id.value, []).append(event)

    def kinds(self, cid: str) -> list[type]:
        return [type(event) for event in self.told.get(cid, [])]

    def send(self, iid: InstrumentId, cid: str, quantity: str, through: int, tif: TimeInForce):
        """A buy `through` whole quote units beyond the best ask."""
        ask = self.cache.order_book(iid).best_ask_price()
        instrument = self.cache.instrument(iid)
        order = self.order_factory.limit(
            iid,
            OrderSide.BUY,
            instrument.make_qty(Decimal(quantity)),
            Price(ask.as_decimal() + through, instrument.price_precision),
            time_in_force=tif,
            client_order_id=ClientOrderId(cid),
        )
        self.submit_order(order)
        return order


def levels_of_engine(node: EmbeddedNode, iid: InstrumentId) -> set[tuple[int, Decimal, Decimal]]:
    book = node.cache.order_book(iid)
    return {
        (side, level.price.as_decimal(), Decimal(str(sum(order.size.as_decimal() for order in level.orders()))))
        for side, levels in ((1, book.bids()), (-1, book.asks()))
        for level in levels
    }


def levels_of_messages(
    books: list[BookDeltas], price_decimals: int, size_decimals: int
) -> set[tuple[int, Decimal, Decimal]]:
    levels: dict[tuple[int, int], int] = {}
    for message in books:
        if message.kind is not BookKind.UPDATE:
            levels.clear()
        for side, price, size in message.levels.tolist():
            levels[side, price] = size
    return {
        (side, Decimal(price).scaleb(-price_decimals), Decimal(size).scaleb(-size_decimals))
        for (side, price), size in levels.items()
        if size
    }


async def data_card(node: EmbeddedNode, trader: Trader, place: Venue, iid: InstrumentId) -> None:
    """What arrives, and a gap."""
    books = trader.books[iid]
    await eventually(lambda: books and books[0].kind is BookKind.SNAPSHOT, "a snapshot")
    await eventually(lambda: trader.ticks["trades", iid] and trader.ticks["quotes", iid] and len(books) > 5, "data")
    assert all(type(message) is BookDeltas for message in books)
    await place.fault("drop_updates", symbol=place.symbol)
    await eventually(lambda: any(message.kind is BookKind.CLEAR for message in books), "a CLEAR")
    cleared = next(message for message in books if message.kind is BookKind.CLEAR)
    assert cleared.reason
    assert len(cleared.levels) == 0
    count = len(books)
    await eventually(lambda: any(m.kind is BookKind.SNAPSHOT for m in books[count - 1 :]), "a whole book again")
    instrument = node.cache.instrument(iid)
    decimals = (instrument.price_precision, instrument.size_precision)
    assert levels_of_engine(node, iid) == levels_of_messages(books, *decimals)


async def order_card(node: EmbeddedNode, trader: Trader, place: Venue, iid: InstrumentId) -> None:
    """Fill, cancel, reject, unknown, resolve."""
    v = iid.venue.value[0].lower()
    await eventually(lambda: trader.cache.order_book(iid).best_ask_price() is not None, "a best ask")
    trader.send(iid, f"{v}-ioc", "8", 60, TimeInForce.IOC)
    await eventually(lambda: trader.cache.order(ClientOrderId(f"{v}-ioc")).is_closed, "the sweep's end")
    fills = [event for event in trader.told[f"{v}-ioc"] if isinstance(event, OrderFilled)]
    assert len({fill.trade_id for fill in fills}) == len(fills) >= 3
    assert trader.kinds(f"{v}-ioc")[1:3] == [OrderSubmitted, OrderAccepted]
    assert all(fill.commission.as_decimal() > 0 for fill in fills)

    resting = trader.send(iid, f"{v}-rest", "0.5", -2000, TimeInForce.GTC)
    await eventually(lambda: resting.status == OrderStatus.ACCEPTED, "acceptance")
    trader.cancel_order(resting)
    await eventually(lambda: resting.is_closed, "the cancel")
    assert trader.kinds(f"{v}-rest").count(OrderCanceled) == 1

    await place.fault("reject")
    refused = trader.send(iid, f"{v}-refused", "0.5", 20, TimeInForce.IOC)
    await eventually(lambda: refused.is_closed, "the rejection")
    assert trader.kinds(f"{v}-refused")[-1] is OrderRejected

    await place.fault("hang_after_accept")
    hanging = trader.send(iid, f"{v}-hang", "0.5", 20, TimeInForce.IOC)
    await eventually(lambda: hanging.is_closed, "the proof")
    assert hanging.status == OrderStatus.FILLED
    assert OrderRejected not in trader.kinds(f"{v}-hang")
    quantities = [event.last_qty.as_decimal() for event in trader.told[f"{v}-hang"] if isinstance(event, OrderFilled)]
    assert sum(quantities) == Decimal("0.5")

    answers: list[OrderOutcome] = []
    request = ResolveOrder(client_order_id=f"{v}-ioc", symbol=place.symbol, reply=answers.append)
    node.msgbus.send(topics.resolve(iid.venue.value), request)
    await eventually(lambda: answers, "an outcome")
    assert answers[0].state is OrderState.CLOSED
    told = {(fill.trade_id.value, fill.last_qty.as_decimal(), fill.last_px.as_decimal()) for fill in fills}
    assert {(fill.trade_id, fill.quantity, fill.price) for fill in answers[0].fills} == told


async def leave_open(place: Venue) -> None:
    """An order of an earlier session rests at the venue."""
    async with market_data(place) as data, account(place) as link:
        await link.place(place.limit(data, "c-earlier-1", "buy", "0.5", -2000, "GTC"))


async def found_again(node: EmbeddedNode, iid: InstrumentId) -> None:
    """The engine learnt of it at start; `resolve` cancels it, and the engine hears."""
    order = node.cache.order(ClientOrderId("c-earlier-1"))
    assert order is not None, "the open order was not found at start"
    answers: list[OrderOutcome] = []
    request = ResolveOrder(client_order_id="c-earlier-1", symbol=iid.symbol.value, reply=answers.append, cancel=True)
    node.msgbus.send(topics.resolve(iid.venue.value), request)
    await eventually(lambda: answers, "an outcome")
    assert (answers[0].state, answers[0].fills) == (OrderState.CLOSED, ())
    await eventually(lambda: order.is_closed, "the engine to hear of it")


@every_venue
def test_a_venue_in_a_live_node(name):
    async def main() -> None:
        async with venue(name, order_timeout_ms=700) as place:
            await leave_open(place)
            iid = InstrumentId.from_str(f"{place.symbol}.{name}")
            trader = Trader([iid])
            node = EmbeddedNode(
                NodeConfig(
                    data_clients={f"CCXT-{name}": CcxtDataClientConfig(exchange=place.config)},
                    exec_clients={f"CCXT-{name}": CcxtExecClientConfig(exchange=place.config)},
                ),
                strategies=[trader],
                data_factories={"CCXT": CcxtDataClientFactory},
                exec_factories={"CCXT": CcxtExecClientFactory},
            )
            try:
                await node.start(15.0)
                assert node.unconnected == ()
                await data_card(node, trader, place, iid)
                await order_card(node, trader, place, iid)
                await found_again(node, iid)
                assert node.running
            finally:
                await node.stop()

    asyncio.run(main())
