"""Exchanges followed through the engine's own adapters inside a live node, their orders through our own: the desk sees one venue."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from nautilus_trader.model.identifiers import InstrumentId

from adapters.ccxt.factories import CcxtExecClientConfig, CcxtExecClientFactory
from adapters.native.catalogue import EXCHANGES
from adapters.native.factories import NativeDataClientConfig, NativeDataClientFactory
from adapters.nautilus.book import BookDeltas, BookKind
from adapters.nautilus.node import EmbeddedNode, NodeConfig
from tests.conformance.ccxt_venue import SYMBOL, eventually, venue
from tests.conformance.test_ccxt_node import (
    Trader,
    found_again,
    leave_open,
    levels_of_engine,
    levels_of_messages,
    order_card,
)

NAMES = [exchange.upper() for exchange in EXCHANGES] if os.environ.get("KERB_LONG_TESTS") else ["OKX"]


@pytest.mark.parametrize("name", NAMES)
def test_a_native_venue_in_a_live_node(name: str) -> None:
    async def main() -> None:
        async with venue(name, order_timeout_ms=700) as place:
            await leave_open(place)
            iid = InstrumentId.from_str(f"{SYMBOL}.{name}")
            trader = Trader([iid])
            node = EmbeddedNode(
                NodeConfig(
                    data_clients={f"NATIVE-{name}": NativeDataClientConfig(exchange=place.config)},
                    exec_clients={f"CCXT-{name}": CcxtExecClientConfig(exchange=place.config)},
                ),
                strategies=[trader],
                data_factories={"NATIVE": NativeDataClientFactory},
                exec_factories={"CCXT": CcxtExecClientFactory},
            )
            try:
                await node.start(20.0)
                assert node.unconnected == ()
                await followed(node, trader, iid)
                await order_card(node, trader, place, iid)
                await found_again(node, iid)
                assert node.running
            finally:
                await node.stop()

    asyncio.run(main())


async def followed(node: EmbeddedNode, trader: Any, iid: InstrumentId) -> None:
    """What arrives, under our name, and that the engine's own book is what the messages say."""
    books = trader.books[iid]
    await eventually(lambda: trader.ticks["trades", iid] and trader.ticks["quotes", iid] and len(books) > 5, "data")
    assert all(type(message) is BookDeltas for message in books)
    assert [message.kind for message in books if message.kind is not BookKind.UPDATE] == [BookKind.SNAPSHOT]
    instrument = node.cache.instrument(iid)
    assert (str(instrument.base_currency), str(instrument.quote_currency)) == ("BTC", "USDT")
    decimals = (instrument.price_precision, instrument.size_precision)
    assert levels_of_engine(node, iid) == levels_of_messages(books, *decimals)
