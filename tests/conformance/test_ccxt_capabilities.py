"""The table of streams, held to four witnesses: the dialects, ccxt's flags, ccxt's own methods, and the cards that have run them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ccxt.pro
import pytest
from ccxt.async_support.base.exchange import Exchange as Base

from adapters.ccxt.capabilities import OF_ACCOUNT, SOURCES, Feed, source
from adapters.ccxt.catalogue import EXCHANGES, GENERIC, MARGIN
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import PrivateMessage
from adapters.ccxt.events import SPOT_STREAMS, Stream
from adapters.ccxt.venues.generic.dialect import GenericMarketDialect
from adapters.ccxt.venues.registry import VENUES as RULES
from desk.api.capabilities import ACCOUNT_CHANNELS, MARKET_CHANNELS, WATCH_CHANNELS
from tests.conformance import test_ccxt_krakenfutures, test_ccxt_perpetual
from tests.conformance.ccxt_venue import account as private_data
from tests.conformance.ccxt_venue import eventually, market_data, venue
from tests.e2e import contract_shapes

ROOT = Path(__file__).resolve().parents[2]
LONG = bool(os.environ.get("KERB_LONG_TESTS"))

STREAM_OF = {
    Feed.BOOK: Stream.BOOK,
    Feed.TRADES: Stream.TRADES,
    Feed.TOP: Stream.QUOTES,
    Feed.FUNDING: Stream.FUNDING,
    Feed.LIQUIDATIONS: Stream.LIQUIDATIONS,
}
# The card that has run a feed against the loopback server, as `just cards` wrote it down; of perpetuals' own feeds a test.
CARDS = {
    Feed.BOOK: "the_book_is_the_venues_level_for_level",
    Feed.TRADES: "a_trade_is_told_once_with_the_takers_side",
    Feed.TOP: "best_prices_follow_the_book",
    Feed.ORDERS: "a_limit_order_rests_and_is_told_as_open",
    Feed.FILLS: "a_limit_ioc_sweeps_levels_and_each_execution_is_told_once",
    Feed.BALANCE: "balances_follow_a_trade_to_the_last_digit",
}
RESULTS: dict[str, dict[str, dict[str, str]]] = json.loads((ROOT / "adapters" / "ccxt" / "cards.json").read_bytes())
OF_PERPETUALS = {
    "binanceusdm": {
        Feed.FUNDING: test_ccxt_perpetual.test_mark_prices_funding_and_its_payment_come_once,
        Feed.LIQUIDATIONS: test_ccxt_perpetual.test_a_liquidation_is_told_as_ours_and_as_the_markets_and_leaves_nothing_behind,
        Feed.POSITIONS: test_ccxt_perpetual.test_a_position_is_what_executions_add_up_to_and_reduce_only_never_turns_it_round,
        Feed.OWN_LIQUIDATIONS: test_ccxt_perpetual.test_a_liquidation_is_told_as_ours_and_as_the_markets_and_leaves_nothing_behind,
    },
    "krakenfutures": {
        Feed.FUNDING: test_ccxt_krakenfutures.test_funding_of_the_hour_comes_once_with_its_payment,
        Feed.LIQUIDATIONS: test_ccxt_krakenfutures.test_a_liquidation_is_told_as_ours_and_as_the_markets,
        Feed.POSITIONS: test_ccxt_krakenfutures.test_trades_by_other_hands_correct_the_position,
        Feed.OWN_LIQUIDATIONS: test_ccxt_krakenfutures.test_a_liquidation_is_told_as_ours_and_as_the_markets,
    },
}


def entries(mode: str) -> Iterator[Any]:
    for exchange, line in SOURCES.items():
        for feed, entry in line.items():
            if entry.mode == mode:
                yield pytest.param(exchange, feed, entry.method, id=f"{exchange}-{feed}")


def overridden(exchange: str, method: str) -> bool:
    """Whether ccxt's class for the venue has a method of its own, not the base's that raises or delegates."""
    kind = getattr(ccxt.pro, exchange)
    return getattr(kind, method) is not getattr(Base, method, None)


def flag(exchange: Any, method: str) -> Any:
    first, *rest = method.split("_")
    return exchange.has.get(first + "".join(word.upper() if word == "ohlcv" else word.capitalize() for word in rest))


@pytest.fixture(scope="module")
def instances() -> dict[str, Any]:
    return {name: getattr(ccxt.pro, name)() for name in EXCHANGES}


@pytest.mark.parametrize(("exchange", "feed", "method"), entries("native"))
def test_what_is_called_native_has_four_witnesses(
    instances: dict[str, Any], exchange: str, feed: Feed, method: str
) -> None:
    assert flag(instances[exchange], method) is True
    assert overridden(exchange, method)
    dialect = RULES[exchange].market
    if feed in OF_ACCOUNT:
        assert RULES[exchange].account is not None
    else:
        assert STREAM_OF[feed] in getattr(dialect, "streams", SPOT_STREAMS)
    if feed in CARDS:
        assert set(RESULTS[exchange.upper()][CARDS[feed]].values()) == {"passed"}
    else:
        assert callable(OF_PERPETUALS[exchange][feed])


def test_the_table_has_a_line_for_every_exchange_and_no_stream_less_than_its_dialect() -> None:
    assert set(SOURCES) == set(EXCHANGES) == set(RULES)
    for exchange, line in SOURCES.items():
        streams = getattr(RULES[exchange].market, "streams", SPOT_STREAMS)
        native = {STREAM_OF[feed] for feed, entry in line.items() if feed in STREAM_OF and entry.mode == "native"}
        derived = {STREAM_OF[feed] for feed, entry in line.items() if feed in STREAM_OF and entry.mode == "derived"}
        assert native <= set(streams) <= native | derived, exchange
        assert (Feed.POSITIONS in line) is (exchange in MARGIN)


@pytest.mark.parametrize("exchange", sorted(SOURCES) if LONG else ["coinbase", "okx"])
def test_executions_and_balances_come_with_the_stream_where_that_is_said(exchange: str) -> None:
    """What the private messages about an order that fills hold, and what they leave to be asked for."""
    name = exchange.upper()

    async def go() -> list[PrivateMessage]:
        async with venue(name) as place, market_data(place) as data, private_data(place) as link:
            heard: list[PrivateMessage] = []
            read = link._dialect.read

            def listening(exchange: Any, message: Any) -> PrivateMessage | None:
                found = read(exchange, message)
                heard.extend([found] if found is not None else [])
                return found

            link._dialect.read = listening
            await link.place(place.limit(data, "c-witness-1", "buy", "0.5", 50, "IOC"))
            await eventually(lambda: place.seen.ended("c-witness-1"), "the order's end")
            line = SOURCES[exchange]
            if line[Feed.BALANCE].mode == "native":
                await eventually(lambda: any(message.balances for message in heard), "balances by stream")
            return heard

    heard, line = asyncio.run(go()), SOURCES[exchange]
    assert any(message.orders for message in heard)
    assert any(message.fills for message in heard) is (line[Feed.FILLS].mode == "native")
    assert any(message.balances for message in heard) is (line[Feed.BALANCE].mode == "native")
    assert any(message.balances_stale for message in heard) or line[Feed.BALANCE].mode == "native"


def test_every_other_exchange_has_books_and_trades_of_its_own() -> None:
    """But for three, whose links refuse to be made."""
    lacking = set()
    for exchange in GENERIC:
        for feed, stream in ((Feed.BOOK, Stream.BOOK), (Feed.TRADES, Stream.TRADES)):
            assert source(exchange, feed).mode == "native"
            assert stream in GenericMarketDialect.streams
            if not overridden(exchange, source(exchange, feed).method):
                lacking.add(exchange)
        assert all(source(exchange, feed).mode == "unsupported" for feed in OF_ACCOUNT)
        assert source(exchange, Feed.TOP).mode == "derived"
    assert lacking == {"bydfi", "mudrex", "onetrading"}
    for exchange in lacking:
        with pytest.raises(ccxt.pro.NotSupported):
            GenericMarketDialect().create(ExchangeConfig(venue="X", exchange=exchange, symbols=("BTC/USDT",)))


def test_the_channels_are_the_contracts() -> None:
    assert set(MARKET_CHANNELS) == set(contract_shapes.MARKET_CHANNELS)
    assert set(ACCOUNT_CHANNELS) == set(contract_shapes.ACCOUNT_CHANNELS)
    assert len(WATCH_CHANNELS) == 25
    assert set(WATCH_CHANNELS.values()) == set(Feed)
