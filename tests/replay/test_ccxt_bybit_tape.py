"""Recorded depth as the loopback Bybit tells it, through ccxt and the link: the venue's own book at every hundredth message."""

import asyncio
import os
from decimal import Decimal
from typing import Any

import orjson
import pytest

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import BookEventKind
from adapters.ccxt.market.link import MarketLink
from adapters.ccxt.symbols import Market
from sim.events import EventKind
from sim.feed import binance_instrument_of, derived_events
from sim.instruments import BYBIT, VenueInstrument, bybit_instrument
from sim.servers.base import Credentials
from sim.servers.bybit.server import BybitServer
from sim.servers.matching import FeeIn, MatchingCore
from sim.tape import scan
from tests.recorded_data import TAPES

NAMES = ("spot_ethusdt_20240808.gz", "spot_btcusdt_20240808.gz")
LONG = bool(os.environ.get("KERB_LONG_TESTS"))
MESSAGES, DEPTH = 3_000 if LONG else 300, 200


class Consumer:
    """What the link says."""

    def __init__(self) -> None:
        self.levels: dict[tuple[int, int], int] = {}
        self.kinds: list[BookEventKind] = []
        self.trades = self.quotes = 0

    def on_markets(self, markets: Any) -> None: ...

    def on_book(self, event: Any) -> None:
        self.kinds.append(event.kind)
        if event.kind is not BookEventKind.UPDATE:
            self.levels.clear()
        self.levels |= {(side, price): size for side, price, size in event.levels.tolist()}

    def on_trade(self, event: Any) -> None:
        self.trades += 1

    def on_quote(self, event: Any) -> None:
        self.quotes += 1


class Wire:
    """A subscriber of the server that is ccxt's socket at its other end."""

    url = "ws://recorded/v5/public/spot"

    def __init__(self, link: MarketLink, market_id: str) -> None:
        self.topics = {f"{name}.{market_id}" for name in (f"orderbook.{DEPTH}", "orderbook.1", "publicTrade")}
        self.subscriptions: dict[str, Any] = {}
        self.sent: dict[str, int] = dict.fromkeys(self.topics, 0)
        self._link = link

    def send(self, frame: str) -> None:
        message = orjson.loads(frame)
        self.sent[message["topic"]] += 1
        self._link._exchange.handle_message(self, message)

    def resolve(self, result: Any, message_hash: str) -> Any:
        return result


def linked(instrument: VenueInstrument, consumer: Consumer) -> MarketLink:
    """A link as `start` would have made it, on this market, fed by hand."""
    base, quote, symbol = instrument.base, instrument.quote, instrument.symbol
    config = ExchangeConfig(
        venue="BYBIT", exchange="bybit", symbols=(symbol,), depth=100
    )  # of the depths offered, 200 shows them
    link = MarketLink(config, consumer)
    market = Market(
        symbol=symbol, market_id=base + quote, base=base, quote=quote, tick=Decimal(1).scaleb(-instrument.price_decimals),
        lot=Decimal(1).scaleb(-instrument.size_decimals), price_decimals=instrument.price_decimals,
        size_decimals=instrument.size_decimals, min_quantity=None, max_quantity=None, min_notional=None,
        taker_fee=Decimal(0), maker_fee=Decimal(0),
    )  # fmt: skip
    link.prepare({symbol: market})
    kind = {"type": "spot", "spot": True, "contract": False, "linear": None, "inverse": None, "option": False}
    link._exchange.set_markets([{"id": base + quote, "symbol": symbol, "base": base, "quote": quote, **kind}])
    return link


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES if LONG else NAMES[:1])
def test_recorded_depth_through_server_ccxt_and_link_is_the_venues_book(name: str) -> None:
    if not (TAPES / name).exists():
        pytest.skip(f"no recorded data at {TAPES}")

    async def main() -> None:
        tape = scan(TAPES / name)
        source = binance_instrument_of(tape)
        instrument, consumer = bybit_instrument(source.symbol, source), Consumer()
        link = linked(instrument, consumer)
        core = MatchingCore(BYBIT, {instrument.symbol: instrument}, {}, fee_in=FeeIn.RECEIVED)
        server = BybitServer(core, Credentials(key="k", secret="s"))
        wire = Wire(link, instrument.base + instrument.quote)
        server.peers.add(wire)  # type: ignore[arg-type]
        server._join(wire, f"orderbook.{DEPTH}.{instrument.base}{instrument.quote}")  # type: ignore[arg-type]
        shown, ours = core.books[instrument.symbol].shown, link._books[instrument.symbol].levels
        updates = compared = 0
        for event in derived_events(tape, 7, BYBIT):
            server.on_market(event)
            updates += event.kind is EventKind.UPDATE
            if event.kind is EventKind.UPDATE and updates % 100 == 0:
                told = {key: size for key, size in consumer.levels.items() if size}
                for side in (1, -1):
                    top = shown.side(side).top(DEPTH)
                    assert ours.best(side, DEPTH + 1) == top
                    assert {price: size for (own, price), size in told.items() if own == side} == dict(top)
                compared += 1
            if updates == MESSAGES:
                break
        assert (updates, compared) == (MESSAGES, MESSAGES // 100)
        assert consumer.kinds.count(BookEventKind.SNAPSHOT) == 1
        assert BookEventKind.CLEAR not in consumer.kinds
        counts = {topic.split(".")[0] + topic.split(".")[1][:3]: count for topic, count in wire.sent.items()}
        assert len(consumer.kinds) == counts["orderbook200"] >= MESSAGES * 0.9  # a change beyond the depth is not told
        assert (consumer.quotes, consumer.trades) == (
            counts["orderbook1"],
            wire.sent[f"publicTrade.{instrument.base}{instrument.quote}"],
        )
        assert consumer.quotes > 100
        assert consumer.trades > 100
        assert link.counters.frames_bad == link.counters.handler_faults == 0
        await link._exchange.close()

    asyncio.run(main())
