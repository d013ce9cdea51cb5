"""The typed way of a frame and the long way through ccxt's JSON say the same: of every message of a tape, and of bad ones.

Binance's frames are the recorded ones, OKX's and Bybit's what the loopback servers make of the same recording.
`KERB_LONG_TESTS=1`: whole tapes.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import os
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import orjson
import pytest

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.contracts import Contract
from adapters.ccxt.events import BookEvent, QuoteEvent, TradeEvent
from adapters.ccxt.hook import Counters
from adapters.ccxt.market.link import MarketLink
from adapters.ccxt.symbols import Market
from adapters.ccxt.venues.binance import frames as binance_frames
from benchmarks.frames import begun, events, market_of, recorded, serving, topics_of
from sim.instruments import BYBIT, COINBASE, KRAKEN, KRAKENFUTURES, OKX
from tests.recorded_data import TAPES

LONG = bool(os.environ.get("KERB_LONG_TESTS"))
NAMES = ("spot_ethusdt_20240808.gz", "usdm_ethusdt_20240808.gz", "spot_btcusdt_20240808.gz", "usdm_btcusdt_20240808.gz")
FRAMES = 10**9 if LONG else 4_000
SERVED = 60_000 if LONG else 2_000
SYMBOL = "ETH/USDT"
PATHS = {OKX: "ws/v5/public", BYBIT: "v5/public/spot", KRAKEN: "v2", COINBASE: "", KRAKENFUTURES: "ws/v1"}
MUTATIONS = 4_000 if LONG else 200


class Said:
    """Everything a link says, comparable."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_markets(self, markets: list[Market]) -> None: ...

    def on_book(self, event: BookEvent) -> None:
        levels = event.levels.tolist()
        self.events.append((event.symbol, event.kind, levels, event.sequence, event.ts_event_ns, event.reason))

    def on_trade(self, event: TradeEvent) -> None:
        self.events.append(event)

    def on_quote(self, event: QuoteEvent) -> None:
        self.events.append(event)

    on_funding = on_liquidation = on_trade


class Way:
    """One link, fed with text through ccxt's own client; `typed` or the long way."""

    def __init__(self, exchange: str, market: Market, url: str, *, typed: bool) -> None:
        self.said, self.market = Said(), market
        config = ExchangeConfig(venue=exchange.upper(), exchange=exchange, symbols=(market.symbol,))
        self.link = MarketLink(config, self.said)
        ccxt = self.link._made()
        names = {"id": market.market_id, "symbol": market.symbol, "base": market.base, "quote": market.quote}
        swap = market.contract is not None
        kind = {"type": "swap" if swap else "spot", "spot": not swap, "swap": swap, "contract": swap, "option": False}
        ccxt.set_markets([names | kind | {"linear": True if swap else None, "inverse": None}])
        self.client = ccxt.client(url)
        topics = (f"books:{market.symbol}", f"trades:{market.symbol}", f"bidask::{market.symbol}")
        self.client.subscriptions = dict.fromkeys(topics, True)  # as ccxt names OKX's
        if exchange == "coinbase":
            self.link._dialect._learn(ccxt.market(market.symbol))
        if not typed:
            self.link._read = None
        self.prepare()

    def prepare(self) -> None:
        """Begin anew: an empty book, every stream subscribed."""
        self.link.prepare({self.market.symbol: self.market})
        self.said.events.clear()
        for state in self.link._states.values():
            state.subscribed = True

    def tell(self, text: str) -> None:
        """A frame as the socket gives it."""
        self.client.handle_text_or_binary_message(text)

    def book(self) -> tuple[bool, list[list[int]], str]:
        """Whether it is whole, its levels, and why it was lost."""
        (book,), (state, *_) = self.link._books.values(), self.link._states.values()
        return book.whole, book.levels.array().tolist(), state.reason


def pair(exchange: str, market: Market, url: str) -> tuple[Way, Way]:
    return Way(exchange, market, url, typed=True), Way(exchange, market, url, typed=False)


def counted(way: Way) -> Counters:
    """What it has counted, however it read."""
    assert (way.link.counters.frames_typed > 0) is (way.link._read is not None)
    return msgspec.structs.replace(way.link.counters, frames_typed=0)


async def closed(*ways: Way) -> None:
    for way in ways:
        await way.link._exchange.close()


def taped(name: str) -> Iterator[str]:
    if not (TAPES / name).exists():
        pytest.skip(f"no recorded data at {TAPES}")
    with gzip.open(TAPES / name, "rb") as file:
        for line in file:
            yield line.split(b" ", 1)[1].decode().strip()


def binance_ways(name: str) -> tuple[Way, Way]:
    spot = market_of(f"{name[5:8].upper()}/USDT", "BINANCE")
    if name.startswith("spot"):
        return pair("binance", spot, "ws://x/stream/ws/0")
    changed = {"symbol": f"{spot.symbol}:USDT", "contract": Contract(settle="USDT"), "size_decimals": 3}
    return pair("binanceusdm", msgspec.structs.replace(spot, **changed), "ws://x/public/ws")


def snapshot(way: Way, frame: str) -> None:
    way.link._exchange.parse_order_book(orjson.loads(frame), way.market.symbol)


@pytest.mark.parametrize("name", NAMES if LONG else NAMES[:2])
def test_every_recorded_binance_message_says_the_same_either_way(name: str) -> None:
    async def main() -> None:
        typed, long = binance_ways(name)
        frames = list(itertools.islice(taped(name), FRAMES))
        assert sum(binance_frames.read(frame) is None for frame in frames) == 1  # the snapshot
        for frame in frames:
            for way in (typed, long):
                snapshot(way, frame) if frame.startswith('{"lastUpdateId"') else way.tell(frame)
        assert typed.said.events == long.said.events
        assert typed.book() == long.book()
        assert counted(typed) == counted(long)
        assert typed.link.counters.frames_bad == 0
        assert len(typed.said.events) > min(FRAMES, 20_000) * 0.9
        await closed(typed, long)

    asyncio.run(main())


def served(venue: str) -> tuple[Market, list[str]]:
    """The venue's market, and its frames of the recording from a whole book on."""
    server, stream = serving(venue, (SYMBOL,)), events(SYMBOL, venue)
    first = begun(server, SYMBOL, stream)
    frames = (frame.text for frame in recorded(server, SYMBOL, stream))
    return market_of(SYMBOL, venue), [first, *itertools.islice(frames, SERVED)]


def venue_ways(venue: str, market: Market) -> tuple[Way, Way]:
    return pair(venue.lower(), market, f"ws://x/{PATHS[venue]}")


def kind(frame: str) -> str:
    """What a frame is of."""
    for mark in (
        '"l2_data"',
        '"market_trades"',
        '"book"',
        '"ticker"',
        "depthUpdate",
        "ookTicker",
        '"trade"',
        "bbo-tbt",
        '"books"',
        '"trades"',
        "orderbook.1.",
        "orderbook",
        "publicTrade",
    ):
        if mark in frame[:120]:
            return mark
    return "other"


@pytest.mark.parametrize("venue", PATHS)
def test_every_message_of_a_venue_says_the_same_either_way(venue: str) -> None:
    async def main() -> None:
        market, frames = served(venue)
        typed, long = venue_ways(venue, market)
        for frame in frames:
            typed.tell(frame)
            long.tell(frame)
        assert typed.said.events == long.said.events
        assert typed.book() == long.book()
        assert counted(typed) == counted(long)
        assert typed.link.counters.frames_bad == 0
        assert typed.book()[0]
        following = frames[1:] if venue == KRAKENFUTURES else frames  # its whole book is left to the long way
        assert len({kind(frame) for frame in following}) == len(topics_of(venue, SYMBOL))
        assert all(typed.link._read(frame) is not None for frame in following)
        await closed(typed, long)

    asyncio.run(main())


SPOILS = (
    ('"price":', '"price":-'), ('"qty":', '"qty":1e'), ('"qty":', '"qty": '), ('"checksum":', '"checksum":1'), ('"price"', '"prize"'),
    ('"qty":0', '"qty":00'), ('"price":', '"price":123456789012345678'), ('"symbol":"', '"symbol":"X'), ('"type":"', '"type":"x'),
    ("},{", "}, {"), ("}]", ',"x":1}]'),
    *((char, "") for char in '"][{}:,.'), (".", ".."), ("0", "x"), ("1", "-1"), ('"6', '"-6'), ('"2', '"2e3'), ('"0.', '"0.000000001'),
    ('","', '", "'), ("[[", "[ ["), ("true", "null"), ("false", '"no"'), ('"b"', '"c"'), ('"a"', '"A"'), ('"data"', '"date"'),
    ('"seqId"', '"seq"'), ('"u"', '"v"'), ('"U"', '"V"'), ('"p"', '"P"'), ('"bids"', '"bid"'), ('"ts"', '"t"'), ('"s"', '"z"'),
    ("snapshot", "shot"), ("update", "up"), ("delta", "d"), ('["', '["é'), ('["', '["\\u0031'), ('"s":"', '"s":"X'), ("buy", "bye"),
    ('"instId":"', '"instId":"X'), ('"px":"', '"px":"-'), ('"q":"', '"q":"1e'), ('"p":"', '"p":"0.00000000000000000000'),
    ('"]', '",null]'), ('"]', '"],[]'), ("[[", "[[],["),
)  # fmt: skip


def spoilt(frame: str, rng: random.Random) -> str:
    """The frame with one thing wrong, or only odd."""
    match rng.randrange(5):
        case 0:
            return frame[: rng.randrange(len(frame))]
        case 1:
            at = rng.randrange(len(frame))
            # no "e": a number beyond a double's range in a field that nobody reads is bad to ccxt's parser only
            return frame[:at] + rng.choice('0123456789"[]{},.:- x\\\x00é') + frame[at + 1 :]
        case 2:
            return msgspec.json.format(frame, indent=rng.choice((0, 2))) if rng.random() < 0.3 else frame + "}"
    for _ in range(20):
        old, new = rng.choice(SPOILS)
        places = [at for at in range(len(frame)) if frame.startswith(old, at)]
        if places:
            at = rng.choice(places)
            return frame[:at] + new + frame[at + len(old) :]
    return frame


def outcome(way: Way, begin: list[str], bad: str, after: list[str]) -> tuple[Any, ...]:
    """What a link says of a bad message in the middle of good ones, from an empty book on."""
    way.prepare()
    faults = way.link.counters.frames_bad
    for frame in (*begin, bad, *after):
        snapshot(way, frame) if frame.startswith('{"lastUpdateId"') else way.tell(frame)
    whole, levels, reason = way.book()
    return list(way.said.events), whole, levels, reason, way.link.counters.frames_bad - faults


def same_of_spoilt(typed: Way, long: Way, begin: list[str], following: list[str]) -> tuple[int, int]:
    """How many of the spoilt messages broke the book, and how many the link called bad."""
    rng, broke, bad = random.Random(5), 0, 0
    for number in range(MUTATIONS):
        at = rng.randrange(len(following) - 3)
        clean = following[: at + 1][-1:]
        frame = spoilt(clean[0], rng)
        ours = outcome(typed, begin + following[:at], frame, following[at + 1 : at + 3])
        theirs = outcome(long, begin + following[:at], frame, following[at + 1 : at + 3])
        assert ours == theirs, (number, frame)
        broke += not ours[1]
        bad += ours[4] > 0
    return broke, bad


def best_of(frame: str) -> str:
    """A whole book of Coinbase, cut to its best levels."""
    message = orjson.loads(frame)
    (event,) = message["events"]
    sides = ([row for row in event["updates"] if row["side"] == side] for side in ("bid", "offer"))
    event["updates"] = [row for side in sides for row in side[:20]]
    return orjson.dumps(message).decode()


def some_of_each(frames: list[str], count: int) -> list[str]:
    """A few frames of each kind."""
    taken, seen = [], dict.fromkeys(map(kind, frames), 0)
    for frame in frames:
        if seen[kind(frame)] < count:
            seen[kind(frame)] += 1
            taken.append(frame)
    return taken


@pytest.mark.parametrize("venue", ["BINANCE", *PATHS])
def test_a_malformed_message_does_the_same_either_way(venue: str) -> None:
    async def main() -> None:
        if venue == "BINANCE":
            typed, long = binance_ways(NAMES[0])
            frames = list(itertools.islice(taped(NAMES[0]), 3_000))
            at, rest = next((i, orjson.loads(f)) for i, f in enumerate(frames) if f.startswith('{"lastUpdateId"'))
            small = {**rest, "bids": rest["bids"][:20], "asks": rest["asks"][:20]}
            last = rest["lastUpdateId"]
            depth = [f for f in frames[:at] if "depthUpdate" in f[:99] and orjson.loads(f)["data"]["u"] > last]
            begin, following = [*depth, orjson.dumps(small).decode()], some_of_each(frames[at + 1 :], 9)
        else:
            market, frames = served(venue)
            typed, long = venue_ways(venue, market)
            begin, following = frames[:1], some_of_each(frames[1:], 9)
            if venue == COINBASE:  # whose numbers are those of all frames, and whose book is every level
                begin, following = [best_of(frames[0])], frames[1:16]
        broke, bad = same_of_spoilt(typed, long, begin, following)
        assert broke > MUTATIONS // 20
        assert bad > MUTATIONS // 4
        await closed(typed, long)

    asyncio.run(main())
