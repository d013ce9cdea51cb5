"""Coinbase's order book: the numbers of a connection, the rules of its messages, and the told depth of a book that is kept whole."""

import random

import numpy as np
import pytest

from adapters.ccxt.events import BookEventKind
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.venues.coinbase.book import CoinbaseBook, Sequence
from tests.unit.coinbase_messages import book_event, market

CLEAR, SNAPSHOT, UPDATE = BookEventKind.CLEAR, BookEventKind.SNAPSHOT, BookEventKind.UPDATE
BIDS, ASKS = [("99.90", "1.5"), ("99.80", "2")], [("100.10", "1"), ("100.20", "3")]

NUMBERS = {
    "each is the last plus one": ([0, 1, 2], ["", "", ""]),
    "a hole is a loss": ([0, 1, 3, 4], ["", "", "sequence gap on the connection: expected message 2, got 3", ""]),
    "a repetition is not read": ([0, 1, 1, 2], ["", "", None, ""]),
    "what comes late is not read": ([0, 1, 3, 2, 4], ["", "", "sequence gap on the connection: expected message 2, got 3", None, ""]),
    "a new connection begins again": ([0, 1, 0, 1], ["", "", "", ""]),
    "we may come late": ([7, 8], ["", ""]),
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_a_connection(name):
    numbers, said = NUMBERS[name]
    sequence = Sequence()
    assert [sequence.follow(number) for number in numbers] == said


@pytest.mark.parametrize("number", [None, "1", 1.5, True])
def test_what_is_no_number_is_a_bad_frame(number):
    with pytest.raises(BadFrame):
        Sequence().follow(number)


def whole(depth: int = 100) -> CoinbaseBook:
    book = CoinbaseBook(market(), depth)
    assert book.message(book_event("snapshot", BIDS, ASKS), 5).kind is SNAPSHOT
    return book


def test_a_snapshot_is_the_whole_book_best_first():
    event = CoinbaseBook(market(size_decimals=3), 100).message(book_event("snapshot", BIDS, ASKS), 7)
    assert event.levels.tolist() == [[1, 9990, 1500], [1, 9980, 2000], [-1, 10010, 1000], [-1, 10020, 3000]]
    assert event.ts_event_ns == 7


RULES = {
    "sizes are absolute": ([book_event("update", [("99.90", "0"), ("99.85", "4")])], [UPDATE], ""),
    "a snapshot in the middle replaces": ([book_event("snapshot", BIDS[1:], ASKS[1:])], [SNAPSHOT], ""),
    "no levels is no book": ([book_event("snapshot")], [CLEAR], "there is no book"),
    "crossed": ([book_event("update", [("100.10", "1")])], [CLEAR], "crossed: bid 10010 at or above ask 10010"),
    "a crossed snapshot": ([book_event("snapshot", [("100.30", "1")], ASKS)], [CLEAR], "crossed"),
    "silence after trouble": ([book_event("snapshot"), book_event("update", BIDS)], [CLEAR], "there is no book"),
    "and whole again": ([book_event("snapshot"), book_event("snapshot", BIDS, ASKS)], [CLEAR, SNAPSHOT], ""),
}


@pytest.mark.parametrize("name", RULES)
def test_rules_of_messages(name):
    messages, kinds, trouble = RULES[name]
    book = whole()
    told = [event for event in (book.message(raw, 9) for raw in messages) if event is not None]
    assert [event.kind for event in told] == kinds
    assert trouble in book.trouble
    assert bool(book.trouble) is bool(trouble)


def test_a_loss_on_the_connection_breaks_a_book_once():
    book = whole()
    event = book.lost("sequence gap on the connection: expected message 4, got 6")
    assert (event.kind, len(event.levels)) == (CLEAR, 0)
    assert event.reason == book.trouble != ""
    assert book.lost("again") is None
    assert book.replay() is None


BAD = [
    book_event("update", [("99.901", "1")]),
    book_event("update", [("-1", "1")]),
    book_event("update", [("99.90", "-1")]),
    book_event("update", [("99.90", "much")]),
    book_event("sideways", BIDS),
    {"type": "update", "product_id": "BTC-USD", "updates": [{"side": "up", "price_level": "1", "new_quantity": "1"}]},
]


@pytest.mark.parametrize("raw", BAD)
def test_what_contradicts_the_market_is_a_bad_frame(raw):
    with pytest.raises(BadFrame):
        whole().message(raw, 0)


def test_displayed_sizes_are_cut_to_the_lot():
    event = CoinbaseBook(market(size_decimals=2), 9).message(book_event("snapshot", [("1.00", "0.019")], ASKS), 0)
    assert event.levels[0].tolist() == [1, 100, 1]


@pytest.mark.parametrize("seed", range(40))
def test_the_told_depth_is_the_best_of_a_book_that_forgets_nothing(seed):
    """Against a dictionary: after each message what was told so far is the best `depth` of each side, whatever left and came back."""
    rng = random.Random(seed)
    depth = rng.choice((1, 2, 5, 8))
    book, oracle, told = CoinbaseBook(market(), depth), {1: {}, -1: {}}, {}

    def row(side: int) -> tuple[str, str]:
        ticks = 1_000 - side * rng.randint(1, 14)
        size = rng.choice((0, 0, 1, 2, 3))
        oracle[side][ticks] = size
        return f"{ticks / 100:.2f}", str(size)

    for turn in range(60):
        kind = "snapshot" if turn in (0, 30) else "update"
        if kind == "snapshot":
            oracle[1].clear()
            oracle[-1].clear()
        sides = {side: [row(side) for _ in range(rng.randint(1 if turn == 0 else 0, 12))] for side in (1, -1)}
        was_whole = book.whole
        event = book.message(book_event(kind, sides[1], sides[-1]), turn)
        if event is None:
            assert kind == "update" or not was_whole
        elif event.kind is CLEAR:
            told.clear()
            continue
        else:
            if event.kind is SNAPSHOT:
                told.clear()
            told |= {(side, price): size for side, price, size in event.levels.tolist()}
        expected = {
            (side, price): size
            for side in (1, -1)
            for price, size in sorted(((p, s) for p, s in oracle[side].items() if s), key=lambda x: -x[0] * side)[
                :depth
            ]
        }
        if book.whole:
            assert {key: size * 100_000_000 for key, size in expected.items()} == {k: v for k, v in told.items() if v}
            assert np.array_equal(book.replay().levels, book.levels.array())
            assert len(book.replay().levels) == len(expected)
