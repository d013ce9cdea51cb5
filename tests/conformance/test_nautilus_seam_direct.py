"""Market data in a live node: handled in the call that brings them, in order, from the loop's thread only."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from adapters.nautilus.node import EmbeddedNode, NodeConfig
from tests.conformance.seam_clients import HandData, HandDataConfig, HandDataFactory, btc_usdt
from tests.conformance.test_nautilus_seam_node import eventually


class Listener(Strategy):
    """Writes down what it hears, and where; guarded by nothing. `answers`: what it gives the engine when it hears a bid."""

    def __init__(self) -> None:
        super().__init__(StrategyConfig(strategy_id="LISTENER", order_id_tag="001"))
        self.bids: list[tuple[str, int]] = []
        self.answers: dict[str, list[QuoteTick]] = {}

    def on_start(self) -> None:
        self.subscribe_quote_ticks(btc_usdt("X").id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        bid = str(tick.bid_price)
        if bid == "13.00":
            raise RuntimeError("cannot bear this price")
        for answer in self.answers.get(bid, []):
            HandData.made["X"].feed(answer)
        self.bids.append((bid, threading.get_ident()))


def quote(bid: str) -> QuoteTick:
    one = Quantity.from_str("1.00000")
    return QuoteTick(btc_usdt("X").id, Price.from_str(bid), Price.from_str("101.00"), one, one, 0, 0)


async def started() -> tuple[EmbeddedNode, Listener, HandData]:
    listener = Listener()
    node = EmbeddedNode(
        NodeConfig(log_level="OFF", data_clients={"HAND-X": HandDataConfig(venue="X")}),
        strategies=[listener],
        data_factories={"HAND": HandDataFactory},
    )
    await node.start(deadline_s=5)
    return node, listener, HandData.made["X"]


def test_data_are_heard_before_the_call_that_brings_them_returns() -> None:
    async def scene() -> None:
        node, listener, client = await started()
        for bid in ("99.00", "98.00"):
            client.feed(quote(bid))
        assert [bid for bid, _ in listener.bids] == ["99.00", "98.00"]
        assert node._node.kernel.data_engine.data_qsize() == 0
        await node.stop()

    asyncio.run(scene())


def test_what_a_handler_gives_follows_what_it_was_given() -> None:
    async def scene() -> None:
        node, listener, client = await started()
        listener.answers = {"1.00": [quote("2.00"), quote("3.00")], "2.00": [quote("4.00")]}
        client.feed(quote("1.00"))
        assert [bid for bid, _ in listener.bids] == ["1.00", "2.00", "3.00", "4.00"]
        await node.stop()

    asyncio.run(scene())


def test_data_of_another_thread_are_handled_on_the_loops() -> None:
    async def scene() -> None:
        node, listener, client = await started()
        await asyncio.to_thread(client.feed, quote("99.00"))
        await eventually(lambda: bool(listener.bids))
        assert listener.bids == [("99.00", threading.get_ident())]
        await node.stop()

    asyncio.run(scene())


def test_an_exception_past_the_handlers_stops_the_node_in_order_and_not_the_client() -> None:
    async def scene() -> Any:
        node, listener, client = await started()
        client.feed(quote("13.00"))  # returns
        await eventually(lambda: not node.running)
        client.feed(quote("14.00"))  # nobody is there any more
        await node.stop()
        return listener.bids

    assert asyncio.run(scene()) == []
