"""Recorded depth messages as the loopback OKX tells them, through ccxt and the link: the venue's own book at every hundredth.

The tape is Binance's through the simulator's transform (another venue's ticks and lots). `KERB_LONG_TESTS=1`: 3,000 messages of both tapes.
"""

import asyncio
import os
from typing import Any

import orjson
import pytest

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import BookEventKind
from adapters.ccxt.market.link import MarketLink
from adapters.ccxt.symbols import market_of
from sim.events import EventKind
from sim.feed import binance_instrument_of, derived_events
from sim.instruments import OKX, VenueInstrument, okx_instrument
from sim.servers.base import Credentials
from sim.servers.matching import FeeIn, MatchingCore
from sim.servers.okx import wire as okx_wire
from sim.servers.okx.server import LEVELS, OkxServer
from sim.tape import scan
from tests.conformance.ccxt_venue import Recorder
from tests.recorded_data import TAPES

LONG = bool(os.environ.get("KERB_LONG_TESTS"))
NAMES = ("spot_ethusdt_20240808.gz", "spot_btcusdt_20240808.gz") if LONG else ("spot_ethusdt_20240808.gz",)
MESSAGES = 3_000 if LONG else 300
CHANNELS = ("books", "bbo-tbt", "trades")


class Wire:
    """A subscriber of the server that is ccxt's socket at its other end."""

    url = "ws://recorded/ws/v5/public"

    def __init__(self, link: MarketLink, symbol: str) -> None:
        self.topics = {f"{channel}:{symbol}" for channel in CHANNELS}
        self.subscriptions = dict.fromkeys(
            (f"books:{symbol}", f"trades:{symbol}", f"bidask::{symbol}"), True
        )  # as ccxt names them
        self.sent = dict.fromkeys(CHANNELS, 0)
        self._link = link

    def send(self, frame: str) -> None:
        message = orjson.loads(frame)
        self.sent[message["arg"]["channel"]] += 1
        self._link._exchange.handle_message(self, message)

    def resolve(self, result: Any, message_hash: str) -> Any:
        return result


def linked(instrument: VenueInstrument, consumer: Recorder) -> MarketLink:
    """A link as `start` would have made it, on this market, fed by hand."""
    link = MarketLink(ExchangeConfig(venue=OKX, exchange="okx", symbols=(instrument.symbol,)), consumer)
    exchange = link._made()
    exchange.set_markets(exchange.parse_markets([okx_wire.instrument_row(instrument)]))
    link.prepare({instrument.symbol: market_of(exchange.markets[instrument.symbol])})
    return link


@pytest.mark.parametrize("name", NAMES)
def test_recorded_depth_through_server_ccxt_and_link_is_the_venues_book(name: str) -> None:
    if not (TAPES / name).exists():
        pytest.skip(f"no recorded data at {TAPES}")

    async def main() -> None:
        tape = scan(TAPES / name)
        source = binance_instrument_of(tape)
        instrument, consumer = okx_instrument(source.symbol, source), Recorder()
        symbol, link = instrument.symbol, linked(instrument, consumer)
        core = MatchingCore(OKX, {symbol: instrument}, {}, fee_in=FeeIn.RECEIVED)
        server, wire = OkxServer(core, Credentials(key="k", secret="s")), Wire(link, instrument.symbol)
        server.peers.add(wire)  # type: ignore[arg-type]
        server._join(wire, "books", symbol)  # type: ignore[arg-type]
        shown, ours = core.books[symbol].shown, link._books[symbol].levels
        updates = compared = 0
        for event in derived_events(tape, 7, OKX):
            server.on_market(event)
            updates += event.kind is EventKind.UPDATE
            if event.kind is EventKind.UPDATE and updates % 100 == 0:
                for side in (1, -1):
                    top = shown.side(side).top(LEVELS)
                    assert ours.best(side, LEVELS + 1) == top
                    assert {price: size for (own, price), size in consumer.levels.items() if own == side} == dict(top)
                compared += 1
            if updates == MESSAGES:
                break
        assert (updates, compared) == (MESSAGES, MESSAGES // 100)
        assert (consumer.kinds(), consumer.crossed) == ([BookEventKind.SNAPSHOT], 0)
        told = {"books": len(consumer.books), "bbo-tbt": len(consumer.quotes), "trades": len(consumer.trades)}
        assert told == wire.sent
        assert min(told.values()) > MESSAGES // 3
        assert link.counters.frames_bad == link.counters.handler_faults == 0
        ccxts = link._exchange.orderbooks[symbol].limit()  # its own book, by its own rules
        assert [len(ccxts["bids"]), len(ccxts["asks"])] == [len(shown.bids), len(shown.asks)]
        await link._exchange.close()

    asyncio.run(main())
