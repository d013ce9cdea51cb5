"""OKX's book by its own rules: ids that name the message before, heartbeats, ids that begin again, 400 levels, cross."""

from decimal import Decimal

import pytest

from adapters.ccxt.events import BookEventKind
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.symbols import Market
from adapters.ccxt.venues.okx.book import LEVELS, OkxBook

CLEAR, SNAPSHOT, UPDATE = BookEventKind.CLEAR, BookEventKind.SNAPSHOT, BookEventKind.UPDATE
MARKET = Market(
    symbol="BTC/USDT", market_id="BTC-USDT", base="BTC", quote="USDT", tick=Decimal("0.1"), lot=Decimal("0.0001"),
    price_decimals=1, size_decimals=4, min_quantity=None, max_quantity=None, min_notional=None,
    taker_fee=Decimal("0.001"), maker_fee=Decimal("0.001"),
)  # fmt: skip


def row(sequence: int, before: int, bids=(), asks=(), checksum: int = 0) -> dict:
    sides = {name: [[price, size, "0", "1"] for price, size in rows] for name, rows in (("bids", bids), ("asks", asks))}
    return sides | {"ts": "1700000000123", "seqId": sequence, "prevSeqId": before, "checksum": checksum}


def begun() -> OkxBook:
    book = OkxBook(MARKET)
    event = book.message("snapshot", row(100, -1, [("99.9", "1.5"), ("99.8", "2")], [("100.1", "1"), ("100.2", "3")]))
    assert event.kind is SNAPSHOT
    return book


def test_a_snapshot_is_the_whole_book_best_first_in_ticks_and_lots():
    book = OkxBook(MARKET)
    assert book.message("update", row(99, 98, [("99.9", "1")])) is None  # nothing to apply it to
    event = book.message("snapshot", row(100, -1, [("99.8", "2"), ("99.9", "1.5")], [("100.1", "1")]))
    assert event.levels.tolist() == [[1, 999, 15000], [1, 998, 20000], [-1, 1001, 10000]]
    assert (event.sequence, event.ts_event_ns, book.whole) == (100, 1700000000123 * 1_000_000, True)


# what comes after the snapshot with id 100: (id, the id before it) of each message, and whether the book stays whole
CHAINS = [
    ("ids that jump", [(107, 100), (120, 107)], True),
    ("heartbeats keep the id", [(100, 100), (100, 100), (112, 100)], True),
    ("ids that begin again join by the id before", [(107, 100), (3, 107), (9, 3)], True),
    ("a lost message", [(107, 100), (130, 120)], False),
    ("a lost message before a heartbeat", [(107, 100), (120, 120)], False),
    ("a message twice", [(107, 100), (107, 100)], False),
    ("ids that begin again without joining", [(3, 99)], False),
]


@pytest.mark.parametrize(("chain", "whole"), [case[1:] for case in CHAINS], ids=[case[0] for case in CHAINS])
def test_ids_join_messages_or_the_book_is_cleared(chain, whole):
    book, kinds = begun(), []
    for sequence, before in chain:
        levels = [("99.9", str(sequence % 7 + 1))] if sequence != before else []
        event = book.message("update", row(sequence, before, levels))
        kinds += [event.kind] if event is not None else []
    assert (book.whole, CLEAR in kinds) == (whole, not whole)
    if not whole:
        assert book.trouble.startswith("sequence gap: expected a message after ")
        assert book.message("update", row(500, chain[-1][0], [("99.9", "1")])) is None  # until the next snapshot
        assert book.message("snapshot", row(600, -1, [("99.9", "1")], [("100.1", "1")])).kind is SNAPSHOT
        assert book.trouble == ""


def test_levels_are_set_and_removed_and_heartbeats_say_nothing():
    book = begun()
    event = book.message("update", row(101, 100, [("99.9", "0"), ("99.7", "4")], [("100.0", "0.5")]))
    assert event.kind is UPDATE
    assert event.levels.tolist() == [[1, 999, 0], [1, 997, 40000], [-1, 1000, 5000]]
    assert book.message("update", row(101, 101)) is None
    assert (book.levels.best_bid, book.levels.best_ask) == (998, 1000)


def test_a_checksum_is_not_looked_at():
    assert begun().message("update", row(101, 100, [("99.9", "1")], checksum=-855196043)).kind is UPDATE


def test_what_falls_out_of_the_400_is_removed_and_said():
    asks = [(f"{1000 + tick / 10:.1f}", "1") for tick in range(LEVELS)]
    book = OkxBook(MARKET)
    book.message("snapshot", row(1, -1, [("99.9", "1")], asks))
    event = book.message("update", row(2, 1, asks=[("999.5", "2")]))
    assert event.levels.tolist() == [[-1, 9995, 20000], [-1, 10399, 0]]
    assert len(book.levels.prices[-1]) == LEVELS


@pytest.mark.parametrize("ask", ["99.9", "99.8"])
def test_a_crossed_book_is_cleared(ask):
    book = begun()
    event = book.message("update", row(101, 100, asks=[(ask, "1")]))
    assert (event.kind, book.whole) == (CLEAR, False)
    assert event.reason.startswith("crossed")
    assert OkxBook(MARKET).message("snapshot", row(1, -1, [("100.0", "1")], [(ask, "1")])) is None


@pytest.mark.parametrize("level", [("99.95", "1"), ("-1", "1"), ("99.9", "-1"), ("99.9", "many"), ("", "1")])
def test_numbers_that_do_not_fit_the_market_are_bad(level):
    with pytest.raises(BadFrame):
        begun().message("update", row(101, 100, [level]))


def test_a_size_finer_than_the_lot_is_shown_smaller():
    assert begun().message("update", row(101, 100, [("99.9", "1.23456")])).levels.tolist() == [[1, 999, 12345]]


def test_an_unknown_action_is_bad():
    with pytest.raises(BadFrame):
        begun().message("delete", row(101, 100))
