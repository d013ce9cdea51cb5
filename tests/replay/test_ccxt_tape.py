"""A recorded feed through hook, ccxt and book equals a book kept independently, level for level; bursts lose nothing."""

import asyncio
import gzip
from decimal import Decimal

import orjson
import pytest

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.events import BookEventKind, Stream
from adapters.ccxt.market.link import MarketLink, StreamState
from adapters.ccxt.symbols import Market
from tests.recorded_data import TAPES

TAPE = TAPES / "spot_ethusdt_20240808.gz"
SYMBOL = "ETH/USDT"
FRAMES = 20_000  # includes a resting order with more decimals than today's lot


class Consumer:
    """Rebuilds a book from events alone, and counts."""

    def __init__(self) -> None:
        self.levels: dict[tuple[int, int], int] = {}
        self.kinds: list[BookEventKind] = []
        self.trades: list[str] = []
        self.quotes = 0

    def on_markets(self, markets) -> None: ...

    def on_book(self, event) -> None:
        self.kinds.append(event.kind)
        if event.kind is not BookEventKind.UPDATE:
            self.levels.clear()
        for side, price, size in event.levels.tolist():
            if size:
                self.levels[side, price] = size
            else:
                self.levels.pop((side, price), None)

    def on_trade(self, event) -> None:
        self.trades.append(event.trade_id)

    def on_quote(self, event) -> None:
        self.quotes += 1


class Socket:
    """What ccxt's handlers want of a client, without a socket."""

    url = "ws://recorded/stream/ws/0"

    def __init__(self) -> None:
        self.subscriptions: dict = {}
        self.futures: dict = {}
        self.rejections: dict = {}

    def resolve(self, result, message_hash):
        return result

    def reject(self, error, message_hash=None):
        return error


def recorded(limit: int = FRAMES) -> list[dict]:
    if not TAPE.exists():
        pytest.skip(f"no recorded data at {TAPES}")
    frames = []
    with gzip.open(TAPE, "rb") as file:
        for line, _ in zip(file, range(limit), strict=False):
            frames.append(orjson.loads(line.split(b" ", 1)[1]))
    return frames


def hooked_link(consumer: Consumer) -> MarketLink:
    """A link as `start` would have made it, on a market of the tape, fed by hand."""
    config = ExchangeConfig(venue="BINANCE", exchange="binance", symbols=(SYMBOL,), depth=1000)
    link = MarketLink(config, consumer)
    market = Market(
        symbol=SYMBOL, market_id="ETHUSDT", base="ETH", quote="USDT", tick=Decimal("0.01"), lot=Decimal("0.0001"),
        price_decimals=2, size_decimals=4, min_quantity=None, max_quantity=None, min_notional=None,
        taker_fee=Decimal(0), maker_fee=Decimal(0),
    )  # fmt: skip
    link.prepare({SYMBOL: market})
    kind = {"type": "spot", "spot": True, "contract": False, "linear": None, "inverse": None, "option": False}
    link._exchange.set_markets([{"id": "ETHUSDT", "symbol": SYMBOL, "base": "ETH", "quote": "USDT", **kind}])
    return link


def feed(link: MarketLink, client: Socket, frame: dict) -> None:
    if "lastUpdateId" in frame:
        link._exchange.parse_order_book(frame, SYMBOL)
    else:
        link._exchange.handle_message(client, frame)


def test_recorded_feed_equals_an_independent_book():
    async def main() -> None:
        frames, consumer = recorded(), Consumer()
        link = hooked_link(consumer)
        client, book, applied, trades, quotes = Socket(), {}, None, [], 0
        waiting: list[dict] = []
        for frame in frames:
            feed(link, client, frame)
            raw = frame.get("data", frame)
            if "lastUpdateId" in raw:
                book = {(1, p): s for p, s in raw["bids"]} | {(-1, p): s for p, s in raw["asks"]}
                applied = raw["lastUpdateId"]
            elif raw.get("e") == "depthUpdate":
                waiting.append(raw)
            elif raw.get("e") == "trade":
                trades.append(str(raw["t"]))
            else:
                quotes += 1
            while applied is not None and waiting:
                update = waiting.pop(0)
                if update["u"] <= applied:
                    continue
                for side, key in ((1, "b"), (-1, "a")):
                    for price, size in update[key]:
                        book[side, price] = size
        independent = {
            (side, int(Decimal(price) * 100)): int(Decimal(size) * 10_000)
            for (side, price), size in book.items()
            if Decimal(size)
        }
        assert consumer.levels == independent
        assert len(independent) > 1_000
        assert consumer.kinds.count(BookEventKind.SNAPSHOT) == 1
        assert BookEventKind.CLEAR not in consumer.kinds
        assert consumer.trades == trades
        assert consumer.quotes == quotes
        assert link.counters.frames_bad == link.counters.handler_faults == 0
        await link._exchange.close()

    asyncio.run(main())


def test_a_frame_lost_from_the_recording_clears_the_book_at_once():
    async def main() -> None:
        consumer = Consumer()
        link = hooked_link(consumer)
        state: StreamState = link._states[SYMBOL, Stream.BOOK]
        lost = False
        for frame in recorded():
            raw = frame.get("data", frame)
            if not lost and len(consumer.kinds) > 50 and raw.get("e") == "depthUpdate":
                lost = True
                continue
            feed(link, Socket(), frame)
            if consumer.kinds and consumer.kinds[-1] is BookEventKind.CLEAR:
                break
        assert consumer.kinds[-1] is BookEventKind.CLEAR
        assert not consumer.levels
        assert "sequence gap" in state.reason
        assert state.wake.is_set()
        await link._exchange.close()

    asyncio.run(main())
