"""A book and the venue's own best prices: given up when it stays in contradiction to them, left alone when the depth follows in its
next batch or when a quiet book is what they say; and what is torn down when a stream is silent."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import Decoded
from adapters.ccxt.events import BookEvent, BookEventKind, QuoteEvent, Stream, StreamStatus
from adapters.ccxt.market import link as under_test
from adapters.ccxt.market.books import BinanceBook
from adapters.ccxt.market.link import MarketLink
from adapters.ccxt.market.witness import STUCK_S
from adapters.ccxt.symbols import Market

SYMBOL = "BTC/USDT"
MARKET = Market(
    symbol=SYMBOL, market_id="BTCUSDT", base="BTC", quote="USDT", tick=Decimal("0.01"), lot=Decimal("0.00001"),
    price_decimals=2, size_decimals=5, min_quantity=None, max_quantity=None, min_notional=None,
    taker_fee=Decimal(0), maker_fee=Decimal(0),
)  # fmt: skip


class Exchange:
    """What the hook wraps of a ccxt instance; it never connects."""

    id = "none"
    clients: dict[str, Any]

    def __init__(self) -> None:
        self.clients = {}
        self.options: dict[str, Any] = {}

    def handle_message(self, client: Any, message: Any) -> None: ...

    def on_error(self, client: Any, error: Any) -> None: ...

    def on_close(self, client: Any, code: Any) -> None: ...

    def on_connected(self, client: Any, message: Any = None) -> None: ...

    def client(self, url: str) -> Any: ...


class Dialect:
    """The venue's words are the pieces themselves: `(stream, raw)`."""

    def create(self, config: ExchangeConfig) -> Exchange:
        return Exchange()

    def book(self, market: Market, depth: int) -> BinanceBook:
        return BinanceBook(market, depth)

    def split(self, message: Any) -> list[Decoded]:
        return [Decoded(message[0], SYMBOL, message[1])]

    def book_event(self, book: BinanceBook, raw: Any) -> BookEvent | None:
        return book.update(raw)

    def quote(self, market: Market, raw: Any) -> QuoteEvent:
        bid, ask = raw
        return QuoteEvent(symbol=SYMBOL, bid=bid, bid_size=1, ask=ask, ask_size=1, ts_event_ns=0)


class Feed:
    """A link whose clock and frames are ours. The book starts at bid 99.90, ask 100.10."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.told: list[BookEvent] = []
        sink = SimpleNamespace(on_book=self.told.append, on_quote=lambda quote: None)
        self.link = MarketLink(ExchangeConfig(venue="BINANCE", exchange="binance", symbols=(SYMBOL,)), sink)  # type: ignore[arg-type]
        self.link._dialect = Dialect()  # type: ignore[assignment]
        self.link.prepare({SYMBOL: MARKET})
        self._update_id = 100
        self.link._on_snapshot(SYMBOL, {"lastUpdateId": 100, "bids": [["99.90", "1"]], "asks": [["100.10", "1"]]})
        assert self.link.status(SYMBOL) is StreamStatus.LIVE

    def quote(self, bid: int, ask: int) -> None:
        self.link._on_message(None, (Stream.QUOTES, (bid, ask)))

    def depth(self, bids: list[list[str]] = (), asks: list[list[str]] = ()) -> None:  # type: ignore[assignment]
        self._update_id += 1
        raw = {"U": self._update_id, "u": self._update_id, "E": int(self.now * 1000), "b": bids, "a": asks}
        self.link._on_message(None, (Stream.BOOK, raw))

    def passes(self, seconds: float) -> None:
        """Time goes by and the watchdog looks; the streams are not silent meanwhile."""
        self.now += seconds
        for state in self.link._states.values():
            state.last_s = self.now
            self.link._check(state, self.now)

    @property
    def status(self) -> StreamStatus:
        return self.link.status(SYMBOL)


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    clock = SimpleNamespace(made=None)
    monkeypatch.setattr(under_test, "monotonic", lambda: clock.made.now if clock.made else 1_000.0)
    clock.made = made = Feed()
    yield made


@pytest.mark.parametrize(
    "top", [(10015, 10020), (9970, 9985)], ids=["asks stuck below the bid", "bids stuck above the ask"]
)
def test_a_side_that_stays_through_the_venues_best_price_is_given_up_with_its_reason(
    feed: Feed, top: tuple[int, int]
) -> None:
    feed.quote(*top)
    feed.passes(STUCK_S)
    assert feed.status is StreamStatus.LIVE  # a moment's difference between two streams is no fault
    feed.quote(*top)  # said again: the clock goes on from the first time
    feed.passes(0.1)
    assert feed.status is StreamStatus.DOWN
    assert feed.told[-1].kind is BookEventKind.CLEAR
    assert feed.told[-1].reason.startswith("stuck")
    assert feed.link._states[SYMBOL, Stream.BOOK].wake.is_set()  # it will be subscribed again


def test_a_side_is_given_up_although_other_levels_go_on_changing(feed: Feed) -> None:
    feed.quote(10015, 10020)
    for number in range(5):
        feed.passes(STUCK_S / 4)
        feed.depth(bids=[[f"99.8{number}", "2"]])
    assert feed.status is StreamStatus.DOWN


def test_a_depth_batch_that_explains_the_best_price_ends_the_suspicion_although_no_quote_follows(feed: Feed) -> None:
    feed.quote(10015, 10020)
    feed.passes(0.1)
    feed.depth(bids=[["100.15", "1"]], asks=[["100.10", "0"], ["100.20", "1"]])
    for _ in range(8):  # a quiet market: no best price is told for long
        feed.passes(STUCK_S / 2)
    assert feed.status is StreamStatus.LIVE
    assert [event.kind for event in feed.told] == [BookEventKind.SNAPSHOT, BookEventKind.UPDATE]


def test_contradictions_that_each_end_in_time_never_add_up(feed: Feed) -> None:
    for step in range(1, 7):
        low, high = 10000 + 30 * step, 10020 + 30 * step
        feed.quote(low, high)
        feed.passes(0.6 * STUCK_S)
        bid, ask = f"{low / 100:.2f}", f"{high / 100:.2f}"
        old = "100.10" if step == 1 else f"{(high - 30) / 100:.2f}"
        feed.depth(bids=[[bid, "1"]], asks=[[old, "0"], [ask, "1"]])
    assert feed.status is StreamStatus.LIVE


def test_a_restored_book_is_not_suspected_for_what_was_before(feed: Feed) -> None:
    feed.quote(10015, 10020)
    feed.passes(STUCK_S)
    feed.passes(0.1)
    assert feed.status is StreamStatus.DOWN
    feed.link._states[SYMBOL, Stream.BOOK].wake.clear()  # the driver subscribes again
    feed.link._on_snapshot(SYMBOL, {"lastUpdateId": 200, "bids": [["100.15", "1"]], "asks": [["100.20", "1"]]})
    feed.passes(2 * STUCK_S)
    assert feed.status is StreamStatus.LIVE


def looks(feed: Feed, seconds: float) -> None:
    """Time goes by without a message, and the watchdog looks."""
    feed.now += seconds
    for state in feed.link._states.values():
        feed.link._check(state, feed.now)


def test_a_quiet_book_that_the_best_prices_confirm_is_not_stale(feed: Feed) -> None:
    for _ in range(5):
        feed.quote(9990, 10010)  # told again, as venues do while nothing changes
        looks(feed, 3.0)
    assert feed.status is StreamStatus.LIVE


def test_a_quiet_book_beside_other_best_prices_is_stale(feed: Feed) -> None:
    for _ in range(2):
        feed.quote(9991, 10010)
        looks(feed, 3.0)
    assert feed.status is StreamStatus.DOWN
    assert feed.told[-1].reason.startswith("stale")


@pytest.mark.parametrize("shared", [True, False], ids=["one socket for both", "a socket each"])
def test_a_silent_stream_tears_its_socket_down_only_when_nothing_else_comes_over_it(feed: Feed, shared: bool) -> None:
    mine, other = object(), object()
    book = feed.link._states[SYMBOL, Stream.BOOK]
    feed.link._on_message(mine, (Stream.BOOK, {"U": 101, "u": 101, "E": 1, "b": [], "a": []}))
    for _ in range(2):
        feed.link._on_message(mine if shared else other, (Stream.QUOTES, (9991, 10009)))
        looks(feed, 3.0)
    assert feed.status is StreamStatus.DOWN
    assert book.hard is not shared
