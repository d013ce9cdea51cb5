"""Recorded depth as the loopback Coinbase tells it, through ccxt and the link: the venue's own book at every hundredth message."""

import asyncio
import os
from decimal import Decimal
from typing import Any

import orjson
import pytest

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import BookEventKind, QuoteEvent
from adapters.ccxt.market.link import MarketLink
from adapters.ccxt.symbols import Market
from sim.events import EventKind
from sim.feed import binance_instrument_of, derived_events
from sim.instruments import COINBASE, VenueInstrument, coinbase_instrument
from sim.servers.coinbase.auth import p256_credentials
from sim.servers.coinbase.server import CoinbaseServer
from sim.servers.matching import FeeIn, MatchingCore
from sim.tape import scan
from tests.recorded_data import TAPES

NAMES = ("spot_ethusdt_20240808.gz", "spot_btcusdt_20240808.gz")
LONG = bool(os.environ.get("KERB_LONG_TESTS"))
MESSAGES, DEPTH = 3_000 if LONG else 300, 100


class Consumer:
    """What the link says."""

    def __init__(self) -> None:
        self.levels: dict[tuple[int, int], int] = {}
        self.kinds: list[BookEventKind] = []
        self.quotes: list[QuoteEvent] = []
        self.trades = 0

    def on_markets(self, markets: Any) -> None: ...

    def on_book(self, event: Any) -> None:
        self.kinds.append(event.kind)
        if event.kind is not BookEventKind.UPDATE:
            self.levels.clear()
        self.levels |= {(side, price): size for side, price, size in event.levels.tolist()}

    def on_trade(self, event: Any) -> None:
        self.trades += 1

    def on_quote(self, event: Any) -> None:
        self.quotes.append(event)


class Wire:
    """A subscriber of the server that is ccxt's socket at its other end."""

    url = "ws://recorded"

    def __init__(self, link: MarketLink, product: str) -> None:
        self.topics = {f"level2:{product}", f"market_trades:{product}"}
        self.state: dict[str, Any] = {}
        self.subscriptions: dict[str, Any] = {}
        self._link = link

    def send(self, frame: str) -> None:
        self._link._exchange.handle_message(self, orjson.loads(frame))

    def resolve(self, result: Any, message_hash: str) -> Any:
        return result


def linked(instrument: VenueInstrument, consumer: Consumer) -> MarketLink:
    """A link as `start` would have made it, on this market, fed by hand."""
    base, quote, symbol = instrument.base, instrument.quote, instrument.symbol
    config = ExchangeConfig(venue="COINBASE", exchange="coinbase", symbols=(symbol,), depth=DEPTH)
    link = MarketLink(config, consumer)
    market = Market(
        symbol=symbol, market_id=f"{base}-{quote}", base=base, quote=quote, tick=Decimal(1).scaleb(-instrument.price_decimals),
        lot=Decimal(1).scaleb(-instrument.size_decimals), price_decimals=instrument.price_decimals,
        size_decimals=instrument.size_decimals, min_quantity=None, max_quantity=None, min_notional=None,
        taker_fee=Decimal(0), maker_fee=Decimal(0),
    )  # fmt: skip
    link.prepare({symbol: market})
    kind = {"type": "spot", "spot": True, "contract": False, "linear": None, "inverse": None, "option": False}
    link._exchange.set_markets([{"id": f"{base}-{quote}", "symbol": symbol, "base": base, "quote": quote, **kind}])
    link._dialect._learn(link._exchange.market(symbol))
    return link


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES if LONG else NAMES[:1])
def test_recorded_depth_through_server_ccxt_and_link_is_the_venues_book(name: str) -> None:
    if not (TAPES / name).exists():
        pytest.skip(f"no recorded data at {TAPES}")

    async def main() -> None:
        tape = scan(TAPES / name)
        source = binance_instrument_of(tape)
        instrument, consumer = coinbase_instrument(source.symbol, source), Consumer()
        link = linked(instrument, consumer)
        core = MatchingCore(COINBASE, {instrument.symbol: instrument}, {}, fee_in=FeeIn.QUOTE)
        server = CoinbaseServer(core, p256_credentials(bytes(64)))
        wire = Wire(link, f"{instrument.base}-{instrument.quote}")
        server.peers.add(wire)  # type: ignore[arg-type]
        shown, book = core.books[instrument.symbol].shown, link._books[instrument.symbol]
        updates = compared = 0
        for event in derived_events(tape, 7, COINBASE):
            server.on_market(event)
            updates += event.kind is EventKind.UPDATE
            if event.kind is EventKind.UPDATE and updates % 100 == 0:
                told = {key: size for key, size in consumer.levels.items() if size}
                for side in (1, -1):
                    top = shown.side(side).top(DEPTH)
                    assert book.levels.best(side, DEPTH + 1) == top
                    assert {price: size for (own, price), size in told.items() if own == side} == dict(top)
                    assert book._all.best(side, 10_000) == shown.side(side).top(
                        10_000
                    )  # the whole of it, not only what is told
                last, (bid, bid_size), (ask, ask_size) = (
                    consumer.quotes[-1],
                    *(shown.side(s).top(1)[0] for s in (1, -1)),
                )
                assert (last.bid, last.bid_size, last.ask, last.ask_size) == (bid, bid_size, ask, ask_size)
                compared += 1
            if updates == MESSAGES:
                break
        assert (updates, compared) == (MESSAGES, MESSAGES // 100)
        assert consumer.kinds.count(BookEventKind.SNAPSHOT) == 1
        assert BookEventKind.CLEAR not in consumer.kinds
        assert len(consumer.quotes) > 100
        server._gathered.clear()
        assert link.counters.frames_bad == link.counters.handler_faults == 0
        await link._exchange.close()

    asyncio.run(main())
