"""Messages of a book that change nothing of it: repetitions and late ones are no sign of life, a venue's proof that it is current is one
for everybody."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import Decoded
from adapters.ccxt.events import BookEventKind, QuoteEvent, Stream, StreamStatus
from adapters.ccxt.market import link as under_test
from adapters.ccxt.market.link import CONFIRM_S, MarketLink
from adapters.ccxt.venues.bybit.book import BybitBook
from adapters.ccxt.venues.coinbase.book import CoinbaseBook
from adapters.ccxt.venues.coinbase.dialect import CoinbaseMarketDialect
from adapters.ccxt.venues.krakenfutures.book import KrakenFuturesBook
from adapters.ccxt.venues.okx.book import OkxBook
from pricing.consolidated import BookStatus, ConsolidatedBook, VenueTerms
from pricing.scale import Scale
from tests.unit.test_ccxt_link_stuck import MARKET, SYMBOL, Exchange, Feed

S_NS = 1_000_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    made = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(under_test, "monotonic", lambda: made.now)
    return made


@pytest.fixture
def feed(clock: SimpleNamespace) -> Iterator[Feed]:
    made = Feed()
    made.clock = clock  # type: ignore[attr-defined]
    yield made


def test_a_book_whose_venue_began_its_ids_again_is_given_up_however_much_comes(
    feed: Feed, clock: SimpleNamespace
) -> None:
    """Every message is below what the book has: without this it would stand still for ever, and look alive."""
    state = feed.link._states[SYMBOL, Stream.BOOK]
    for number in range(60):
        clock.now += 0.1
        feed.link._on_message(None, (Stream.BOOK, {"U": number, "u": number, "E": 1, "b": [["99.95", "1"]], "a": []}))
        feed.link._check(state, clock.now)
    assert feed.link.status(SYMBOL) is StreamStatus.DOWN
    assert feed.told[-1].kind is BookEventKind.CLEAR
    assert feed.told[-1].reason.startswith("stale")


def test_a_book_that_goes_on_changing_from_a_queue_of_old_messages_is_given_up_with_its_socket(
    feed: Feed, clock: SimpleNamespace
) -> None:
    """Ids in order, no age: only the venue's own times tell that what comes is of half a minute ago."""
    state = feed.link._states[SYMBOL, Stream.BOOK]
    feed.now = 0.0
    for number in range(100):
        clock.now += 0.1
        feed.now += 0.1 if number < 20 else 0.02  # worked off at a fifth of the pace it grows by
        feed.depth(bids=[["99.80", str(number + 1)]])
        feed.link._check(state, clock.now)
    assert feed.link.status(SYMBOL) is StreamStatus.DOWN
    assert feed.told[-1].reason.startswith("late: what comes is 5")
    assert state.hard


def test_repetitions_between_changes_are_no_harm(feed: Feed, clock: SimpleNamespace) -> None:
    state = feed.link._states[SYMBOL, Stream.BOOK]
    for _ in range(60):
        feed.now = clock.now = clock.now + 0.1
        feed.depth(bids=[["99.80", "1"]])
        feed.link._on_message(None, (Stream.BOOK, {"U": 100, "u": 100, "E": 1, "b": [], "a": []}))
        feed.link._check(state, clock.now)
    assert feed.link.status(SYMBOL) is StreamStatus.LIVE


BID, ASK = {"price": 99.9, "qty": 1.0}, {"price": 100.1, "qty": 1.0}
LEVELS = {"b": [["99.90", "1"]], "a": [["100.10", "1"]]}
FUTURES = {"feed": "book", "timestamp": 1, "side": "buy", "price": 99.9, "qty": 1.0}
LATE = {
    "bybit: the same again": (
        BybitBook(MARKET, 50),
        [{"type": "snapshot", "ts": 1, "data": {"u": 5, **LEVELS}}, {"type": "delta", "ts": 1, "data": {"u": 5, **LEVELS}}],
    ),
    "krakenfutures: numbers began again": (
        KrakenFuturesBook(MARKET, 50),
        [
            {"feed": "book_snapshot", "seq": 90, "timestamp": 1, "bids": [BID], "asks": [ASK]},
            {**FUTURES, "seq": 1},
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LATE)
def test_a_message_that_the_book_has_already_is_late_and_the_next_one_is_not(name: str) -> None:
    book, messages = LATE[name]
    told = [(book.message(message), book.late) for message in messages]  # type: ignore[attr-defined]
    assert told[0][0] is not None
    assert told[-1] == (None, True)
    book.break_("for another reason")
    assert not book.late


def test_an_update_of_the_old_subscription_does_not_begin_the_resubscription_again() -> None:
    """What made the book wrong is known and done about: a straggler before the new snapshot must find no trouble to report."""
    book = OkxBook(MARKET)
    rows = {"bids": [["99.90", "1"]], "asks": [["100.10", "1"]], "ts": "1"}
    book.message("snapshot", {**rows, "seqId": 5, "prevSeqId": -1})
    book.message("update", {**rows, "seqId": 9, "prevSeqId": 7})
    assert book.trouble
    book.break_(book.trouble)  # as the link does
    assert book.message("update", {**rows, "seqId": 10, "prevSeqId": 9}) is None
    assert not book.trouble


class Coinbase(CoinbaseMarketDialect):
    """Never connects."""

    def create(self, config: ExchangeConfig) -> Exchange:
        return Exchange()

    def split(self, message: Any) -> list[Decoded]:
        return [Decoded(Stream.BOOK, SYMBOL, message)]

    def book(self, market: Any, depth: int) -> CoinbaseBook:
        return CoinbaseBook(MARKET, depth)


def test_a_quiet_book_that_heartbeats_prove_current_stays_in_pricing(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no stream of best prices here: unless somebody tells of the heartbeats, pricing drops the book by its age."""
    monkeypatch.setattr(under_test, "market_dialect", lambda exchange: Coinbase())
    terms = VenueTerms(
        venue="COINBASE", taker_fee_bps=MARKET.taker_fee, tick=MARKET.tick, lot=MARKET.lot,
        price_decimals=2, size_decimals=5, max_age_ns=5 * S_NS,
    )  # fmt: skip
    priced = ConsolidatedBook(SYMBOL, Scale(SYMBOL, 2, 5), [terms])

    def on_book(event: Any) -> None:
        now_ns = int(clock.now * S_NS)
        if event.kind is BookEventKind.CLEAR:
            priced.clear("COINBASE", event.reason, now_ns)
        else:
            priced.apply("COINBASE", event.levels, event.kind is BookEventKind.SNAPSHOT, now_ns)

    def on_quote(quote: QuoteEvent) -> None:
        told.append(clock.now)
        priced.mark_top("COINBASE", quote.bid, quote.bid_size, quote.ask, quote.ask_size, int(clock.now * S_NS))

    told: list[float] = []
    sink = SimpleNamespace(on_book=on_book, on_quote=on_quote)
    link = MarketLink(ExchangeConfig(venue="COINBASE", exchange="coinbase", symbols=(SYMBOL,)), sink)  # type: ignore[arg-type]
    link.prepare({SYMBOL: MARKET})
    levels = [("bid", "99.90", "1"), ("offer", "100.10", "1")]
    rows = [{"side": side, "price_level": price, "new_quantity": size} for side, price, size in levels]
    link._on_message(None, ({"type": "snapshot", "updates": rows}, 1))
    state = link._states[SYMBOL, Stream.BOOK]
    for _ in range(40):
        clock.now += 0.5
        link._on_message(None, None)  # a heartbeat, in sequence
        link._check(state, clock.now)
    assert link.status(SYMBOL) is StreamStatus.LIVE
    assert priced.status("COINBASE", int(clock.now * S_NS)) is BookStatus.LIVE
    assert all(after - before >= CONFIRM_S for before, after in itertools.pairwise(told))
    clock.now += 6.0  # and when they cease
    link._check(state, clock.now)
    assert link.status(SYMBOL) is StreamStatus.DOWN
    assert priced.status("COINBASE", int(clock.now * S_NS)) is not BookStatus.LIVE


def test_a_book_that_waits_for_its_snapshot_does_not_ask_for_another_while_its_changes_come(
    feed: Feed, clock: SimpleNamespace
) -> None:
    """The snapshot may have to wait for the rate limit: asking again puts it at the end of the queue, for ever."""
    state = feed.link._states[SYMBOL, Stream.BOOK]
    feed.link._lose(state, "disconnected")
    state.wake.clear()  # as the driver does when it subscribes again
    state.began_s = state.heard_s = clock.now
    for _ in range(100):
        feed.now = clock.now = clock.now + 0.1
        feed.depth(bids=[["99.80", "1"]])
        feed.link._check(state, clock.now)
    assert not state.wake.is_set()
    clock.now += under_test.AGAIN_MESSAGE_S + 0.1  # and when the changes cease
    feed.link._check(state, clock.now)
    assert state.reason == f"nothing within {under_test.AGAIN_MESSAGE_S:g} s of subscribing"
