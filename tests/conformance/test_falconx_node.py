"""FalconX inside a live node: RFQ over the bus, a FOK limit order that takes the quote, outcomes proven, ladders taken down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model.enums import OrderSide, OrderStatus, TimeInForce
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId
from nautilus_trader.model.objects import Currency
from nautilus_trader.model.orders import Order
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

from adapters.falconx.actor import FalconXActor
from adapters.falconx.factories import FalconXExecClientFactory, FalconXExecConfig
from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.lp import LpLadder, LpNoQuote, LpQuote, LpRfq
from adapters.nautilus.node import EmbeddedNode, NodeConfig
from adapters.nautilus.outcome import OrderOutcome, OrderState, ResolveOrder
from adapters.nautilus.safe import LoopSafe, Safe
from tests.conformance.falconx_venue import Venue, eventually, venue

BTC = InstrumentId.from_str("BTC/USDT.FALCONX")


class Taker(Safe, LoopSafe, Strategy):
    """Asks, takes, and remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(StrategyConfig(strategy_id="TAKER", order_id_tag="000"))
        self.events: list[Any] = []
        self.ladders: dict[str, LpLadder] = {}

    def on_start(self) -> None:
        self.bind_loop()
        self.bus = Bus(self)
        self.bus.subscribe(topics.LP_LADDER, self._on_ladder)

    def _on_ladder(self, ladder: LpLadder) -> None:
        self.ladders[ladder.symbol] = ladder

    def streaming(self, symbol: str = "BTC/USDT") -> bool:
        ladder = self.ladders.get(symbol)
        return ladder is not None and bool(ladder.rungs)

    def on_order_event(self, event: Any) -> None:
        self.events.append(event)

    async def ask(self, side: str = "two_way", quantity: str = "0.5", symbol: str = "BTC/USDT") -> LpQuote | LpNoQuote:
        answers: list[LpQuote | LpNoQuote] = []
        rfq = LpRfq(rfq_id="R1", symbol=symbol, side=side, quantity=Decimal(quantity), reply=answers.append)
        assert self.bus.send(topics.lp_rfq("FALCONX"), rfq)
        await eventually(lambda: bool(answers), "an answer to the RFQ")
        return answers[0]

    def take(self, quote_id: str, price: Decimal, *, side: OrderSide, quantity: str = "0.5", **kind: Any) -> Order:
        instrument = self.cache.instrument(BTC)
        order = self.order_factory.limit(
            BTC,
            side,
            instrument.make_qty(Decimal(quantity)),
            instrument.make_price(price),
            time_in_force=kind.get("time_in_force", TimeInForce.FOK),
            client_order_id=ClientOrderId(f"K{len(self.cache.orders()):06d}"),
        )
        self.submit_order(order, params={"quote_id": quote_id} if quote_id else None)
        return order

    async def resolve(self, client_order_id: str, quote_id: str = "") -> OrderOutcome:
        answers: list[OrderOutcome] = []
        request = ResolveOrder(
            client_order_id=client_order_id, symbol="BTC/USDT", reply=answers.append, quote_id=quote_id
        )
        assert self.bus.send(topics.resolve("FALCONX"), request)
        await eventually(lambda: bool(answers), "an outcome")
        return answers[0]


@asynccontextmanager
async def desk(live: Venue, **changes: Any) -> AsyncIterator[tuple[Taker, EmbeddedNode]]:
    config = live.config(**changes)
    taker = Taker()
    node = EmbeddedNode(
        NodeConfig(exec_clients={"FALCONX": FalconXExecConfig(falconx=config)}),
        actors=[FalconXActor(config)],
        strategies=[taker],
        exec_factories={"FALCONX": FalconXExecClientFactory},
    )
    await node.start(deadline_s=5.0)
    try:
        yield taker, node
    finally:
        await node.stop()


def test_rfq_and_fok_in_a_live_node() -> None:
    async def scene() -> None:
        async with venue() as live, desk(live) as (taker, node):
            await eventually(taker.streaming, "a ladder")
            quote = await taker.ask()
            assert isinstance(quote, LpQuote)
            assert quote.bid < Decimal(60_000) < quote.ask
            assert quote.quantity == Decimal("0.5")
            order = taker.take(quote.quote_id, quote.ask, side=OrderSide.BUY)
            await eventually(lambda: order.is_closed, "the order's end")
            assert order.status is OrderStatus.FILLED
            fill = taker.events[-1]
            assert fill.trade_id.value == quote.quote_id
            assert fill.last_px.as_decimal() == quote.ask
            assert fill.commission.as_decimal() == 0
            account = node.cache.account_for_venue(BTC.venue)
            await eventually(
                lambda: account.balance_total(Currency.from_str("BTC")).as_decimal() == Decimal("0.5"), "BTC"
            )
            assert account.balance_total(Currency.from_str("USDT")).as_decimal() == -Decimal("0.5") * quote.ask
            assert node.cache.quote_tick(BTC) is not None

            back = await taker.ask(side="sell")
            sale = taker.take(back.quote_id, back.bid, side=OrderSide.SELL)
            await eventually(lambda: sale.is_closed, "the sale's end")
            assert sale.status is OrderStatus.FILLED
            assert back.ask is None

    asyncio.run(scene())


def test_an_unknown_outcome_is_asked_for_and_filled_exactly_once() -> None:
    async def scene() -> None:
        async with venue() as live, desk(live, timeout_ms=150) as (taker, _):
            quote = await taker.ask()
            await live.fault("hang_after_execute")
            order = taker.take(quote.quote_id, quote.ask, side=OrderSide.BUY)
            outcome = await taker.resolve(order.client_order_id.value, quote.quote_id)
            assert outcome.state is OrderState.CLOSED
            assert [fill.trade_id for fill in outcome.fills] == [quote.quote_id]
            assert outcome.fills[0].price == quote.ask
            await eventually(lambda: order.is_closed, "the order's end")
            assert order.status is OrderStatus.FILLED
            assert [type(event).__name__ for event in taker.events].count("OrderFilled") == 1
            assert live.server.calls["POST /v1/quotes/execute"] == 1
            assert len(live.server.account.filled) == 1

    asyncio.run(scene())


def test_last_look_rejects_the_order_and_the_outcome_agrees() -> None:
    async def scene() -> None:
        async with venue() as live, desk(live) as (taker, _):
            quote = await taker.ask()
            await live.fault("reject")
            order = taker.take(quote.quote_id, quote.ask, side=OrderSide.BUY)
            await eventually(lambda: order.is_closed, "the order's end")
            assert order.status is OrderStatus.REJECTED
            assert "last look" in taker.events[-1].reason
            outcome = await taker.resolve(order.client_order_id.value)
            assert (outcome.state, outcome.fills) == (OrderState.CLOSED, ())

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quantity": "0.4"}, "all or none"),
        ({"price": Decimal(100)}, "beyond the limit"),
        ({"quote_id": ""}, "no quote"),
        ({"quote_id": "f" * 32}, "not known"),
        ({"time_in_force": TimeInForce.IOC}, "FOK"),
    ],
    ids=["size", "price", "no quote id", "foreign quote id", "not FOK"],
)
def test_an_order_that_is_not_its_quote_never_leaves(change: dict[str, Any], reason: str) -> None:
    async def scene() -> None:
        async with venue() as live, desk(live) as (taker, _):
            quote = await taker.ask()
            terms = {"quote_id": quote.quote_id, "price": quote.ask, "side": OrderSide.BUY} | change
            order = taker.take(terms.pop("quote_id"), terms.pop("price"), **terms)
            await eventually(lambda: order.is_closed, "the order's end")
            assert order.status is OrderStatus.REJECTED
            assert reason in taker.events[-1].reason
            assert live.server.calls["POST /v1/quotes/execute"] == 0

    asyncio.run(scene())


def test_one_quote_is_never_taken_by_two_orders() -> None:
    async def scene() -> None:
        async with venue() as live, desk(live) as (taker, _):
            quote = await taker.ask()
            orders = [taker.take(quote.quote_id, quote.ask, side=OrderSide.BUY) for _ in range(2)]
            await eventually(lambda: all(order.is_closed for order in orders), "both ends")
            assert sorted(order.status.name for order in orders) == ["FILLED", "REJECTED"]
            assert live.server.calls["POST /v1/quotes/execute"] == 1

    asyncio.run(scene())


def test_what_cannot_be_quoted_is_answered_in_words() -> None:
    async def scene() -> None:
        async with venue() as live, desk(live, timeout_ms=200) as (taker, _):
            assert "notional" in (await taker.ask(quantity="10000")).reason
            assert "not traded here" in (await taker.ask(symbol="BTC/USD")).reason
            await live.fault("slow", ms=2_000)
            assert "no answer" in (await taker.ask()).reason
            await eventually(taker.streaming, "a ladder")
            await live.server.stop()
            assert isinstance(await taker.ask(), LpNoQuote)
            await eventually(lambda: not taker.streaming(), "an empty ladder")

    asyncio.run(scene())


def test_an_order_of_an_earlier_run_is_resolved_by_its_quote() -> None:
    async def scene() -> None:
        async with venue() as live:
            async with desk(live) as (taker, _):
                quote = await taker.ask()
                order = taker.take(quote.quote_id, quote.ask, side=OrderSide.BUY)
                await eventually(lambda: order.is_closed, "the order's end")
            async with desk(live) as (taker, node):
                outcome = await taker.resolve("K-of-before", quote.quote_id)
                assert outcome.state is OrderState.CLOSED
                assert outcome.fills[0].client_order_id == "K-of-before"
                blind = await taker.resolve("K-of-before")
                assert blind.state is OrderState.OPEN  # without the quote nothing is proven, and nothing is claimed
                account = node.cache.account_for_venue(BTC.venue)
                held = lambda: account.balance_total(Currency.from_str("BTC")).as_decimal()  # noqa: E731
                await eventually(lambda: held() == Decimal("0.5"), "the venue's balances")

    asyncio.run(scene())


def test_the_node_starts_without_the_lp_and_the_lp_comes_later() -> None:
    async def scene() -> None:
        async with venue() as live:
            port = int(live.rest.rsplit(":", 1)[1])
            await live.server.stop()
            async with desk(live) as (taker, _):
                assert isinstance(await taker.ask(), LpNoQuote)
                await live.server.start(port)
                await eventually(taker.streaming, "a ladder")
                assert isinstance(await taker.ask(), LpQuote)

    asyncio.run(scene())
