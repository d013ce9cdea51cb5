"""Order books by the venues' own rules: sequence, checksum, cross, depth; each rule's violation empties the book with a reason."""

from decimal import Decimal
from zlib import crc32

import pytest

from adapters.ccxt.events import BookEventKind
from adapters.ccxt.hook import BadFrame
from adapters.ccxt.market.books import BUFFER_MESSAGES, BinanceBook, KrakenBook
from adapters.ccxt.symbols import Market


def market(price_decimals: int, size_decimals: int) -> Market:
    return Market(
        symbol="BTC/USDT",
        market_id="BTCUSDT",
        base="BTC",
        quote="USDT",
        tick=Decimal(1).scaleb(-price_decimals),
        lot=Decimal(1).scaleb(-size_decimals),
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        min_quantity=None,
        max_quantity=None,
        min_notional=None,
        taker_fee=Decimal("0.001"),
        maker_fee=Decimal("0.001"),
    )


def update(first: int, last: int, bids=(), asks=()) -> dict:
    return {"e": "depthUpdate", "E": 1700000000000 + last, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": asks}


SNAPSHOT = {"lastUpdateId": 100, "bids": [["99.90", "1.5"], ["99.80", "2"]], "asks": [["100.10", "1"], ["100.20", "3"]]}


def binance() -> BinanceBook:
    book = BinanceBook(market(2, 5), 100)
    event = book.snapshot(SNAPSHOT)
    assert event.kind is BookEventKind.SNAPSHOT
    return book


def test_binance_snapshot_is_the_whole_book_best_first():
    book = BinanceBook(market(2, 5), 100)
    event = book.snapshot(SNAPSHOT)
    expected = [[1, 9990, 150000], [1, 9980, 200000], [-1, 10010, 100000], [-1, 10020, 300000]]
    assert event.levels.tolist() == expected
    assert (event.sequence, book.whole) == (100, True)


def test_binance_buffers_until_the_snapshot_then_joins_it():
    book = BinanceBook(market(2, 5), 100)
    assert book.update(update(95, 99, asks=[["100.10", "9"]])) is None  # older than the snapshot: dropped
    assert book.update(update(99, 102, bids=[["99.95", "0.5"]])) is None  # overlaps it: the first to apply
    assert book.update(update(103, 104, asks=[["100.10", "0"]])) is None
    event = book.snapshot(SNAPSHOT)
    assert event.levels.tolist() == [[1, 9995, 50000], [1, 9990, 150000], [1, 9980, 200000], [-1, 10020, 300000]]
    assert (event.sequence, event.ts_event_ns) == (104, 1700000000104 * 1_000_000)


def test_binance_snapshot_older_than_the_first_update_is_refused():
    book = BinanceBook(market(2, 5), 100)
    book.update(update(103, 104))
    assert book.snapshot(SNAPSHOT) is None
    assert not book.whole
    assert "does not join" in book.trouble


def test_binance_first_update_may_overlap_the_snapshot_later_ones_may_not():
    book = binance()
    assert book.update(update(99, 101, bids=[["99.90", "2"]])).levels.tolist() == [[1, 9990, 200000]]
    cleared = book.update(update(101, 103))
    assert cleared.kind is BookEventKind.CLEAR
    assert "expected update 102, got 101" in cleared.reason


def test_binance_old_updates_change_nothing():
    book = binance()
    assert book.update(update(90, 100, bids=[["99.90", "77"]])) is None
    assert book.levels.sizes[1][9990] == 150000


def test_binance_gap_clears_at_once_and_a_snapshot_makes_it_whole():
    book = binance()
    cleared = book.update(update(102, 103, bids=[["99.90", "2"]]))
    assert (cleared.kind, len(cleared.levels)) == (BookEventKind.CLEAR, 0)
    assert "sequence gap: expected update 101, got 102" in cleared.reason
    assert book.trouble == cleared.reason
    assert book.update(update(104, 105, bids=[["99.70", "1"]])) is None
    again = book.snapshot({**SNAPSHOT, "lastUpdateId": 103})
    assert again.kind is BookEventKind.SNAPSHOT
    assert [1, 9970, 100000] in again.levels.tolist()
    assert book.trouble == ""


def test_binance_crossed_book_clears():
    book = binance()
    cleared = book.update(update(101, 101, bids=[["100.10", "1"]]))
    assert cleared.kind is BookEventKind.CLEAR
    assert "crossed" in cleared.reason


@pytest.mark.parametrize(
    "row",
    [["99.905", "1"], ["99.90", "1e-7"], ["99.90", "0.00001x"], ["-1", "1"], ["nan", "1"], ["99.90", "-1"], ["0", "1"]],
)
def test_binance_numbers_that_do_not_fit_the_market_are_no_message(row):
    with pytest.raises(BadFrame):
        binance().update(update(101, 101, bids=[row]))


def test_binance_sizes_finer_than_todays_lot_are_cut_not_refused():
    event = binance().update(update(101, 101, asks=[["100.30", "2292.2297299"], ["100.20", "0.000001"]]))
    assert event.levels.tolist() == [[-1, 10030, 229222972], [-1, 10020, 0]]


def test_binance_levels_far_from_the_touch_are_removed_and_said():
    book = BinanceBook(market(2, 5), 2)
    book.snapshot(SNAPSHOT)
    event = book.update(update(101, 101, bids=[["99.70", "1"], ["99.60", "1"], ["99.50", "1"]]))
    assert [1, 9950, 0] in event.levels.tolist()
    assert len(book.levels.prices[1]) == 4


def test_binance_buffer_is_bounded():
    book = BinanceBook(market(2, 5), 100)
    for number in range(BUFFER_MESSAGES + 1):
        book.update(update(number, number))
    assert "no snapshot" in book.trouble


# Kraken's own example of the checksum, in its documentation of the v2 book channel
KRAKEN_ASKS = [
    ("45285.2", "0.00100000"), ("45286.4", "1.54571953"), ("45286.6", "1.54571109"), ("45289.6", "1.54560911"),
    ("45290.2", "0.15890660"), ("45291.8", "1.54553491"), ("45294.7", "0.04454749"), ("45296.1", "0.35380000"),
    ("45297.5", "0.09945542"), ("45299.5", "0.18772827"),
]  # fmt: skip
KRAKEN_BIDS = [
    ("45283.5", "0.10000000"), ("45283.4", "1.54582015"), ("45282.1", "0.10000000"), ("45281.0", "0.10000000"),
    ("45280.3", "1.54592586"), ("45279.0", "0.07990000"), ("45277.6", "0.03310103"), ("45277.5", "0.30000000"),
    ("45277.3", "1.54602737"), ("45276.6", "0.15445238"),
]  # fmt: skip
KRAKEN_CHECKSUM = 3310070434


def rows(pairs) -> list[dict]:
    return [{"price": float(price), "qty": float(qty)} for price, qty in pairs]


def kraken(depth: int = 10) -> KrakenBook:
    book = KrakenBook(market(1, 8), depth)
    raw = {"symbol": "BTC/USDT", "bids": rows(KRAKEN_BIDS), "asks": rows(KRAKEN_ASKS), "checksum": KRAKEN_CHECKSUM}
    assert book.message("snapshot", raw, 1).kind is BookEventKind.SNAPSHOT
    return book


def test_kraken_checksum_of_the_documented_example():
    assert kraken().checksum() == KRAKEN_CHECKSUM


def checksum(asks, bids) -> int:
    """The rule written down anew, on text."""
    parts = [x.replace(".", "").lstrip("0") for side in (asks[:10], bids[:10]) for row in side for x in row]
    return crc32("".join(parts).encode())


def test_kraken_update_is_cut_to_the_depth_and_the_cut_is_said():
    book = kraken()
    better = ("45284.0", "2.00000000")
    expected = checksum(KRAKEN_ASKS, [better, *KRAKEN_BIDS][:10])
    event = book.message("update", {"bids": rows([better]), "asks": [], "checksum": expected}, 2)
    assert event.levels.tolist() == [[1, 452840, 200000000], [1, 452766, 0]]


def test_kraken_wrong_checksum_clears_and_later_updates_wait_for_a_snapshot():
    book = kraken()
    cleared = book.message("update", {"bids": [], "asks": rows([("45285.2", "0.5")]), "checksum": 1}, 2)
    assert cleared.kind is BookEventKind.CLEAR
    assert "checksum" in cleared.reason
    assert book.trouble
    assert book.message("update", {"bids": rows([("45284.0", "1")]), "asks": [], "checksum": 2}, 3) is None
    assert not book.levels.sizes[1]


def test_kraken_crossed_book_clears_although_its_checksum_is_right():
    book = kraken()
    through = ("45285.2", "1.00000000")
    expected = checksum(KRAKEN_ASKS, [through, *KRAKEN_BIDS])
    cleared = book.message("update", {"bids": rows([through]), "asks": [], "checksum": expected}, 2)
    assert cleared.kind is BookEventKind.CLEAR
    assert "crossed" in cleared.reason


def test_breaking_an_empty_book_says_nothing():
    assert BinanceBook(market(2, 5), 100).break_("disconnected") is None
    assert binance().break_("disconnected").reason == "disconnected"
