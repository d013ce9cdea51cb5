"""Recorded USD-M depth through ccxt and the link, as it was sent and as the loopback venue tells it again: at every hundredth message the
book that an independent replay of the recording gives, in the link, in the engine and in the desk's arrays."""

import asyncio
import gzip
import os
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import orjson
import pytest
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.enums import BookType

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.contracts import Contract
from adapters.ccxt.events import BookEventKind, Stream
from adapters.ccxt.instruments import Scale, instrument_id
from adapters.ccxt.market.data import book_deltas
from adapters.ccxt.market.link import MarketLink
from adapters.ccxt.symbols import Market
from pricing.consolidated import ConsolidatedBook, VenueTerms
from pricing.scale import Scale as BookScale
from sim.events import EventKind
from sim.feed import binance_events, binanceusdm_instrument_of
from sim.instruments import BINANCEUSDM, VenueInstrument, binanceusdm_instrument
from sim.servers.base import Credentials
from sim.servers.binanceusdm.server import BinanceUsdmServer
from sim.servers.margin import MarginCore
from sim.servers.matching import FeeIn
from sim.tape import scan_all
from tests.recorded_data import TAPES

NAMES = ("usdm_btcusdt_20240808.gz", "usdm_ethusdt_20240808.gz")
LONG = bool(os.environ.get("KERB_LONG_TESTS"))
MESSAGES, DEPTH = 3_000 if LONG else 300, 500
TAPED = NAMES if LONG else NAMES[:1]

Book = dict[tuple[int, int], int]


class Independent:
    """The book by the venue's documentation alone, from the recording's raw text."""

    def __init__(self, instrument: VenueInstrument) -> None:
        self.levels: Book = {}
        self.depths = 0
        self._price, self._size = instrument.price_decimals, instrument.size_decimals
        self._last: int | None = None
        self._waiting: list[dict] = []

    def hear(self, raw: dict) -> None:
        if "lastUpdateId" in raw:
            self._last, self.levels = raw["lastUpdateId"], {}
            self._put(raw["bids"], raw["asks"])
            waiting, self._waiting = self._waiting, []
            for update in waiting:
                self._update(update)
        elif raw.get("e") == "depthUpdate":
            self.depths += 1
            if self._last is None:
                self._waiting.append(raw)
            else:
                self._update(raw)

    def _update(self, raw: dict) -> None:
        if raw["u"] >= self._last:
            assert raw["pu"] == self._last or raw["U"] <= self._last <= raw["u"], "the recording has a gap"
            self._put(raw["b"], raw["a"])
            self._last = raw["u"]

    def _put(self, bids: list, asks: list) -> None:
        for side, rows in ((1, bids), (-1, asks)):
            for price, size in rows:
                key = (side, int(Decimal(price).scaleb(self._price)))
                if lots := int(Decimal(size).scaleb(self._size)):
                    self.levels[key] = lots
                else:
                    self.levels.pop(key, None)

    def best(self, side: int, depth: int) -> list[tuple[int, int]]:
        rows = [(price, size) for (own, price), size in self.levels.items() if own == side]
        return sorted(rows, reverse=side == 1)[:depth]


class Consumer:
    """What the link says, in the engine's book and in the desk's arrays."""

    def __init__(self, market: Market) -> None:
        self.kinds: list[BookEventKind] = []
        self.trades = self.quotes = 0
        self._scale, self._id = Scale(market), instrument_id(market.symbol, BINANCEUSDM)
        self.engine = OrderBook(self._id, BookType.L2_MBP)
        terms = VenueTerms(
            venue=BINANCEUSDM, taker_fee_bps=Decimal(0), tick=market.tick, lot=market.lot,
            price_decimals=market.price_decimals, size_decimals=market.size_decimals, max_age_ns=10**18,
        )  # fmt: skip
        scale = BookScale(market.symbol, market.price_decimals, market.size_decimals)
        self.arrays = ConsolidatedBook(market.symbol, scale, [terms], depth=4_096)  # all levels: nothing falls out

    def on_markets(self, markets: Any) -> None: ...

    def on_book(self, event: Any) -> None:
        self.kinds.append(event.kind)
        ts_ns = event.ts_event_ns or 1
        if len(event.levels):
            self.engine.apply_deltas(book_deltas(event, self._id, self._scale, ts_ns))
            self.arrays.apply(BINANCEUSDM, event.levels, event.kind is BookEventKind.SNAPSHOT, ts_ns)

    def on_trade(self, event: Any) -> None:
        self.trades += 1

    def on_quote(self, event: Any) -> None:
        self.quotes += 1


class Wire:
    """ccxt's socket, and a subscriber of the server at its other end."""

    url = "ws://recorded/public/ws/0"

    def __init__(self, link: MarketLink, streams: tuple[str, ...] = ()) -> None:
        self.topics = set(streams)
        self.subscriptions: dict[str, Any] = {}
        self.futures: dict[str, Any] = {}
        self.rejections: dict[str, Any] = {}
        self._link = link

    def send(self, frame: str) -> None:
        self.hear(orjson.loads(frame))

    def hear(self, message: dict) -> None:
        self._link._exchange.handle_message(self, message)

    def resolve(self, result: Any, message_hash: str) -> Any:
        return result

    def reject(self, error: Any, message_hash: str = "") -> Any:
        return error


def linked(instrument: VenueInstrument) -> tuple[MarketLink, Consumer]:
    """A link as `start` would have made it, on this market, fed by hand."""
    pair, symbol = instrument.base + instrument.quote, instrument.symbol
    market = Market(
        symbol=symbol, market_id=pair, base=instrument.base, quote=instrument.quote,
        tick=Decimal(1).scaleb(-instrument.price_decimals), lot=Decimal(1).scaleb(-instrument.size_decimals),
        price_decimals=instrument.price_decimals, size_decimals=instrument.size_decimals, min_quantity=None,
        max_quantity=None, min_notional=None, taker_fee=Decimal(0), maker_fee=Decimal(0), contract=Contract(settle="USDT"),
    )  # fmt: skip
    consumer = Consumer(market)
    link = MarketLink(
        ExchangeConfig(venue=BINANCEUSDM, exchange="binanceusdm", symbols=(symbol,), depth=1000), consumer
    )
    link.prepare({symbol: market})
    kind = {
        "type": "swap",
        "spot": False,
        "swap": True,
        "contract": True,
        "linear": True,
        "inverse": False,
        "option": False,
    }
    link._exchange.set_markets([{"id": pair, "symbol": symbol, "base": "B", "quote": "Q", "settle": "Q", **kind}])
    return link, consumer


def frames(name: str) -> Iterator[dict]:
    if not (TAPES / name).exists():
        pytest.skip(f"no recorded data at {TAPES}")
    with gzip.open(TAPES / name, "rb") as file:
        for line in file:
            yield orjson.loads(line.split(b" ", 1)[1])


def compare(
    link: MarketLink, consumer: Consumer, wanted: Callable[[int, int], list[tuple[int, int]]], symbol: str
) -> None:
    """The top levels of the link's book, the engine's and the desk's."""
    ours, price_decimals = link._books[symbol].levels, link.markets[symbol].price_decimals
    size_decimals = link.markets[symbol].size_decimals
    told = consumer.arrays.levels(BINANCEUSDM, DEPTH)
    for side in (1, -1):
        top = wanted(side, DEPTH)
        assert ours.best(side, DEPTH) == top
        levels = (consumer.engine.bids() if side == 1 else consumer.engine.asks())[:DEPTH]
        engine = [(int(level.price.as_decimal().scaleb(price_decimals)), level.size()) for level in levels]
        assert [(price, round(size * 10**size_decimals)) for price, size in engine] == top
        decimals = [(Decimal(p).scaleb(-price_decimals), Decimal(s).scaleb(-size_decimals)) for p, s in top]
        assert told[0 if side == 1 else 1] == decimals


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", TAPED)
def test_the_recording_as_it_was_sent_joins_by_pu_and_is_the_independent_book(name: str) -> None:
    async def main() -> None:
        instrument = binanceusdm_instrument("BTC/USDT" if "btc" in name else "ETH/USDT")
        link, consumer = linked(instrument)
        wire, independent, compared = Wire(link), Independent(instrument), 0
        for frame in frames(name):
            said = frame.get("data", frame)
            independent.hear(said)
            if "lastUpdateId" in frame:
                link._exchange.parse_order_book(frame, instrument.symbol)
            else:
                wire.hear(frame)
            if said.get("e") == "depthUpdate" and independent.levels and independent.depths % 100 == 0:
                compare(link, consumer, independent.best, instrument.symbol)
                compared += 1
            if independent.depths == MESSAGES:
                break
        assert compared >= MESSAGES // 100 - 1
        assert consumer.kinds.count(BookEventKind.SNAPSHOT) == 1
        assert BookEventKind.CLEAR not in consumer.kinds
        assert consumer.trades > 100
        assert consumer.quotes > 100
        assert link.counters.frames_bad == link.counters.handler_faults == 0
        await link._exchange.close()

    asyncio.run(main())


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", TAPED)
def test_the_recording_as_the_loopback_venue_tells_it_is_the_venues_book(name: str) -> None:
    if not (TAPES / name).exists():
        pytest.skip(f"no recorded data at {TAPES}")

    async def main() -> None:
        (tape,) = scan_all(TAPES / name, limit=None if LONG else 5_000)
        instrument = binanceusdm_instrument_of(tape)
        assert instrument == binanceusdm_instrument(tape.symbol)  # the recording's decimals are the venue's
        symbol, link, consumer = instrument.symbol, *linked(instrument)
        core = MarginCore(BINANCEUSDM, {symbol: instrument}, {"USDT": Decimal(1000)}, fee_in=FeeIn.QUOTE)
        server = BinanceUsdmServer(core, Credentials(key="k", secret="s"))
        pair = (instrument.base + instrument.quote).lower()
        wire = Wire(link, tuple(f"{pair}@{stream}" for stream in ("depth@100ms", "bookTicker", "trade")))
        server.peers.add(wire)  # type: ignore[arg-type]
        updates = compared = 0
        shown = core.books[symbol].shown
        for event in binance_events(tape, instrument):
            server.on_market(event)
            if event.kind is EventKind.SNAPSHOT:  # the client asks for its own
                body = orjson.loads(server._depth({"symbol": pair.upper(), "limit": "1000"}))
                link._exchange.parse_order_book(body, symbol)
            updates += event.kind is EventKind.UPDATE
            if event.kind is EventKind.UPDATE and updates % 100 == 0:
                compare(link, consumer, lambda side, depth: shown.side(side).top(depth), symbol)
                compared += 1
            if updates == MESSAGES:
                break
        assert (updates, compared) == (MESSAGES, MESSAGES // 100)
        assert consumer.kinds.count(BookEventKind.SNAPSHOT) == 1
        assert BookEventKind.CLEAR not in consumer.kinds
        assert min(consumer.trades, consumer.quotes) > 100
        assert link.counters.frames_bad == link.counters.handler_faults == 0
        await link._exchange.close()

    asyncio.run(main())


def test_a_frame_lost_from_the_recording_clears_the_book_at_once() -> None:
    async def main() -> None:
        lost, said = False, []
        source = frames(NAMES[0])
        link, consumer = linked(binanceusdm_instrument("BTC/USDT"))
        for frame in source:
            raw = frame.get("data", frame)
            if not lost and len(consumer.kinds) > 50 and raw.get("e") == "depthUpdate":
                lost = True
                continue
            if "lastUpdateId" in frame:
                link._exchange.parse_order_book(frame, "BTC/USDT:USDT")
            else:
                Wire(link).hear(frame)
            said.append(raw)
            if consumer.kinds and consumer.kinds[-1] is BookEventKind.CLEAR:
                break
        assert consumer.kinds[-1] is BookEventKind.CLEAR
        state = link._states["BTC/USDT:USDT", Stream.BOOK]
        assert "sequence gap" in state.reason
        assert state.wake.is_set()
        await link._exchange.close()

    asyncio.run(main())
