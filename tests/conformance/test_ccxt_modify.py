"""Orders of the engine that are changed, that expire, and that a sweep cancels, at exchanges inside a live node."""

import asyncio
from decimal import Decimal

import pytest
from nautilus_trader.model.enums import OrderSide, OrderStatus, TimeInForce
from nautilus_trader.model.events import OrderCanceled, OrderModifyRejected, OrderUpdated
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId

from adapters.ccxt.factories import (
    CcxtDataClientConfig,
    CcxtDataClientFactory,
    CcxtExecClientConfig,
    CcxtExecClientFactory,
)
from adapters.nautilus import topics
from adapters.nautilus.node import EmbeddedNode, NodeConfig
from adapters.nautilus.sweep import SweepOrders, Swept
from desk.accounts import VenueAccounts
from desk.sweeper import HaltSweeper
from risk.state import Trading, TradingState
from tests.conformance.ccxt_venue import eventually, venue
from tests.conformance.test_ccxt_node import Trader

AMENDING = {"BINANCE": False, "BYBIT": True}  # whether a price moves in place


def quantity_of(order) -> Decimal:
    return order.quantity.as_decimal()


async def changed(trader: Trader, iid: InstrumentId, *, price_moves: bool) -> None:
    """Less, then another price."""
    order = trader.send(iid, "m-1", "0.5", -2000, TimeInForce.GTC)
    await eventually(lambda: order.status == OrderStatus.ACCEPTED, "acceptance")
    instrument, price = trader.cache.instrument(iid), order.price
    trader.modify_order(order, quantity=instrument.make_qty(Decimal("0.3")))
    await eventually(lambda: trader.kinds("m-1").count(OrderUpdated) == 1, "the smaller order")
    assert (quantity_of(order), order.price, order.status) == (Decimal("0.3"), price, OrderStatus.ACCEPTED)
    trader.modify_order(order, price=instrument.make_price(price.as_decimal() - 5))
    if price_moves:
        await eventually(lambda: trader.kinds("m-1").count(OrderUpdated) == 2, "the other price")
        assert order.price.as_decimal() == price.as_decimal() - 5
    else:
        await eventually(lambda: OrderModifyRejected in trader.kinds("m-1"), "the refusal")
        assert "does not change the price" in trader.told["m-1"][-1].reason
        assert (order.price, order.status) == (price, OrderStatus.ACCEPTED)
    trader.cancel_order(order)
    await eventually(lambda: order.is_closed, "the cancel")


async def grown_into_a_fill(trader: Trader, iid: InstrumentId, place) -> None:
    """An order that grows while it fills by its old quantity is not over."""
    core = place.running.servers[iid.venue.value].core
    order = trader.send(iid, "m-2", "0.2", -2000, TimeInForce.GTC)
    await eventually(lambda: order.status == OrderStatus.ACCEPTED, "acceptance")
    ask = trader.cache.order_book(iid).best_ask_price()
    instrument = trader.cache.instrument(iid)
    trader.modify_order(
        order, quantity=instrument.make_qty(Decimal("0.4")), price=instrument.make_price(ask.as_decimal() + 60)
    )
    await eventually(lambda: order.is_closed, "its end")
    assert order.status == OrderStatus.FILLED
    assert quantity_of(order) == order.filled_qty.as_decimal() == Decimal("0.4")
    assert sum(fill.size for fill in core.fills if fill.order_id == int(order.venue_order_id.value)) > 0


async def swept(node: EmbeddedNode, trader: Trader, iid: InstrumentId) -> None:
    """All of ours at once, by the endpoint."""
    orders = [trader.send(iid, f"m-s{n}", "0.1", -2000 - n, TimeInForce.GTC) for n in range(3)]
    await eventually(lambda: all(order.status == OrderStatus.ACCEPTED for order in orders), "acceptance")
    answers: list[Swept] = []
    node.msgbus.send(topics.sweep(iid.venue.value), SweepOrders(reply=answers.append))
    await eventually(lambda: answers, "an answer")
    assert answers == [Swept(venue=iid.venue.value)]
    await eventually(lambda: all(order.is_closed for order in orders), "their ends")


async def halted(trader: Trader, iid: InstrumentId, desk: list[Trading]) -> None:
    """After a halt that stands for a while what is left is swept."""
    order = trader.send(iid, "m-halt", "0.1", -2000, TimeInForce.GTC)
    await eventually(lambda: order.status == OrderStatus.ACCEPTED, "acceptance")
    desk[0] = Trading(TradingState.HALTED, "a test")
    await eventually(lambda: order.is_closed, "the sweep")
    assert trader.kinds("m-halt").count(OrderCanceled) == 1


@pytest.mark.parametrize("name", AMENDING)
def test_orders_are_changed_and_swept_in_a_live_node(name, monkeypatch):
    monkeypatch.setattr("desk.sweeper.GRACE_S", 0.2)
    alerts: list[tuple[str, str]] = []
    desk = [Trading()]

    async def main() -> None:
        async with venue(name, orders_by="ws") as place:
            iid = InstrumentId.from_str(f"{place.symbol}.{name}")
            trader = Trader([iid])
            sweeper = HaltSweeper((name, "NOBODY"), lambda: desk[0], lambda level, text: alerts.append((level, text)))
            accounts = VenueAccounts()
            node = EmbeddedNode(
                NodeConfig(
                    data_clients={f"CCXT-{name}": CcxtDataClientConfig(exchange=place.config)},
                    exec_clients={f"CCXT-{name}": CcxtExecClientConfig(exchange=place.config)},
                ),
                actors=[sweeper, accounts],
                strategies=[trader],
                data_factories={"CCXT": CcxtDataClientFactory},
                exec_factories={"CCXT": CcxtExecClientFactory},
            )
            try:
                await node.start(15.0)
                await eventually(lambda: (book := trader.cache.order_book(iid)) and book.best_ask_price(), "a best ask")
                await changed(trader, iid, price_moves=AMENDING[name])
                await eventually(lambda: accounts.standings(), "how the account stands")
                (standing,) = accounts.standings()
                assert (standing.venue, standing.connected, standing.orders_by) == (name, True, "ws")
                assert standing.used > 0 and standing.refused == 0
                if AMENDING[name]:
                    await grown_into_a_fill(trader, iid, place)
                await swept(node, trader, iid)
                await halted(trader, iid, desk)
                late = trader.order_factory.limit(
                    iid,
                    OrderSide.BUY,
                    trader.cache.instrument(iid).make_qty(Decimal("0.1")),
                    trader.cache.instrument(iid).make_price(Decimal(50_000)),
                    time_in_force=TimeInForce.GTD,
                    expire_time=trader.clock.utc_now().replace(year=2100),
                    client_order_id=ClientOrderId("m-gtd"),
                )
                trader.submit_order(late)
                await eventually(lambda: late.is_closed, "the refusal")
                assert late.status == OrderStatus.REJECTED
                assert "good till a date" in trader.told["m-gtd"][-1].reason
                assert alerts == []
            finally:
                await node.stop()

    asyncio.run(main())
