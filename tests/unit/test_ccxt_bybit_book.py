"""Bybit's order book: each rule of its update ids, and what its violation does."""

import pytest

from adapters.ccxt.events import BookEventKind
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.venues.bybit.book import BybitBook, offered_depth
from tests.unit.bybit_messages import ASKS, BIDS, frame, market

CLEAR, SNAPSHOT, UPDATE = BookEventKind.CLEAR, BookEventKind.SNAPSHOT, BookEventKind.UPDATE


def whole() -> BybitBook:
    book = BybitBook(market(), 200)
    assert book.message(frame("snapshot", 100, BIDS, ASKS)).kind is SNAPSHOT
    return book


def test_a_snapshot_is_the_whole_book_best_first_at_the_matching_engines_time():
    event = BybitBook(market(), 200).message(frame("snapshot", 100, BIDS, ASKS))
    assert event.levels.tolist() == [[1, 9990, 1500], [1, 9980, 2000], [-1, 10010, 1000], [-1, 10020, 3000]]
    assert (event.sequence, event.ts_event_ns) == (100, 1_700_000_000_005_000_000)


RULES = {
    "the next id joins": ([frame("delta", 101, [["99.90", "0"], ["99.85", "4"]])], [UPDATE], ""),
    "the same id again changes nothing": ([frame("delta", 100, [["99.95", "1"]])], [], ""),
    "a hole is a gap": ([frame("delta", 102, [["99.95", "1"]])], [CLEAR], "sequence gap: expected update 101, got 102"),
    "an older id is a gap": ([frame("delta", 99)], [CLEAR], "sequence gap: expected update 101, got 99"),
    "a snapshot in the middle replaces": ([frame("snapshot", 1, BIDS[1:], ASKS[1:])], [SNAPSHOT], ""),
    "ids go on after a restart": ([frame("snapshot", 1, BIDS, ASKS), frame("delta", 2, [["99.95", "1"]])], [SNAPSHOT, UPDATE], ""),
    "the old ids do not": ([frame("snapshot", 1, BIDS, ASKS), frame("delta", 101)], [SNAPSHOT, CLEAR], "sequence gap"),
    "no levels is no book": ([frame("snapshot", 1)], [CLEAR], "there is no book"),
    "crossed": ([frame("delta", 101, [["100.10", "1"]])], [CLEAR], "crossed"),
    "a crossed snapshot": ([frame("snapshot", 101, [["100.30", "1"]], ASKS)], [CLEAR], "crossed"),
    "silence after a gap": ([frame("delta", 105), frame("delta", 106)], [CLEAR], "sequence gap"),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_the_books_rules(name):
    messages, kinds, reason = RULES[name]
    book = whole()
    events = [event for message in messages if (event := book.message(message)) is not None]
    assert [event.kind for event in events] == kinds
    assert reason in (events[-1].reason if events else "")
    assert bool(book.trouble) is (CLEAR in kinds)
    assert book.whole is (CLEAR not in kinds)


def test_a_delta_changes_adds_and_removes_levels():
    book = whole()
    event = book.message(frame("delta", 101, [["99.90", "0"], ["99.85", "4"]], [["100.20", "0.0005"]]))
    assert event.levels.tolist() == [[1, 9990, 0], [1, 9985, 4000], [-1, 10020, 0]]  # less than a lot is not shown
    assert book.levels.best(1, 9) == [(9985, 4000), (9980, 2000)]
    assert book.levels.best(-1, 9) == [(10010, 1000)]


def test_levels_beyond_the_depth_are_told_as_gone():
    book = BybitBook(market(), 2)
    book.message(frame("snapshot", 1, BIDS, ASKS))
    event = book.message(frame("delta", 2, [["99.95", "1"]]))
    assert event.levels.tolist() == [[1, 9995, 1000], [1, 9980, 0]]
    assert book.levels.best(1, 9) == [(9995, 1000), (9990, 1500)]


@pytest.mark.parametrize("row", [["99.9", "-1"], ["99.90", "x"], ["99.905", "1"], ["0", "1"]])
def test_a_level_that_is_no_level_is_a_bad_frame(row):
    with pytest.raises(BadFrame):
        whole().message(frame("delta", 101, [row]))


def test_the_depth_asked_for_is_the_least_that_shows_enough():
    assert [offered_depth(n) for n in (10, 25, 50, 100, 500, 1000, 5000)] == [50, 50, 50, 200, 1000, 1000, 1000]
