"""The tape as the engine's data: two clocks, whole books, clears, a window of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nautilus_trader.model.data import OrderBookDeltas, QuoteTick, TradeTick
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.identifiers import InstrumentId

from adapters.nautilus.book import BookDeltas, BookKind, levels_of
from sim.events import EventKind
from sim.feed import binance_events, kraken_events
from sim.levels import LevelBook
from sim.replay.data import load
from sim.tape import discover
from tests.recorded_data import DATA
from tests.replay.tape_maker import START_NS, tape_lines, write_tape

BINANCE = InstrumentId.from_str("BTC/USDT.BINANCE")
KRAKEN = InstrumentId.from_str("BTC/USDT.KRAKEN")


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    return write_tape(tmp_path / "tape.gz", tape_lines())


def test_two_clocks_in_order_of_arrival(tape: Path) -> None:
    data = load(discover(tape), seed=7)
    arrivals = [event.ts_init for event in data.events]
    assert arrivals == sorted(arrivals)
    assert all(event.ts_event <= event.ts_init for event in data.events)
    prints = [event for event in data.events if isinstance(event, TradeTick) and event.instrument_id == BINANCE]
    assert prints
    assert len({event.ts_init - event.ts_event for event in prints}) >= 1
    assert any(event.ts_event < event.ts_init for event in prints)
    venues = {event.instrument_id for event in data.events}
    assert venues == {BINANCE, KRAKEN}
    assert {type(message) for message in data.first} == {OrderBookDeltas}  # exactly: the engine looks at the class


def test_the_engines_book_is_the_tapes_book(tape: Path) -> None:
    """Every book message twice: as the engine's deltas and as our array; both give the book of the events."""
    infos = discover(tape)
    data = load(infos, seed=7)
    for instrument_id, events in ((BINANCE, binance_events(infos[0])), (KRAKEN, kraken_events(infos[0], 7))):
        instrument = next(item for item in data.instruments if item.id == instrument_id)
        engine_book = _engine_book(instrument_id)
        from_arrays = LevelBook()
        messages = [m for m in (*data.first, *data.events) if m.instrument_id == instrument_id]
        for message in (m for m in messages if isinstance(m, OrderBookDeltas)):
            engine_book.apply_deltas(message)
            levels, kind = levels_of(message, instrument.price_precision, instrument.size_precision)
            from_arrays.apply(levels) if kind is BookKind.UPDATE else from_arrays.load(levels)
        expected = LevelBook()
        for event in events:
            if event.kind is EventKind.UPDATE:
                expected.apply(event.levels)
            elif event.kind is EventKind.SNAPSHOT:
                expected.load(event.levels)
        assert np.array_equal(from_arrays.array(), expected.array())
        for rows, side in ((engine_book.bids(), expected.bids), (engine_book.asks(), expected.asks)):
            seen = [
                (
                    int(r.price.as_decimal().scaleb(instrument.price_precision)),
                    round(r.size() * 10**instrument.size_precision),
                )
                for r in rows
            ]
            assert seen == side.top(10_000)


def test_a_gap_reaches_the_desk_as_a_clear_with_a_reason(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "gap.gz", tape_lines(seconds=12, gap_at=40))
    infos = discover(tape)
    assert [problem.kind for problem in infos[0].problems] == ["sequence_gap"]
    data = load(infos, seed=7)
    clears = [event for event in data.events if isinstance(event, BookDeltas) and event.kind is BookKind.CLEAR]
    assert {clear.instrument_id for clear in clears} == {BINANCE, KRAKEN}
    assert data.clears == len(clears) >= 2
    assert all(clear.reason and not len(clear.levels) for clear in clears)
    assert all(clear.ts_init >= START_NS + 4_000_000_000 for clear in clears)
    last = [event.kind for event in data.events if isinstance(event, BookDeltas) and event.instrument_id == BINANCE]
    assert BookKind.SNAPSHOT in last[last.index(BookKind.CLEAR) :], "the book is trusted again before the tape ends"


def test_a_window_starts_with_the_book_as_it_stood(tape: Path) -> None:
    infos = discover(tape)
    from_ns, to_ns = START_NS + 5_000_000_000, START_NS + 9_000_000_000
    data = load(infos, seed=7, from_ns=from_ns, to_ns=to_ns)
    assert from_ns <= data.first_ns <= data.last_ns <= to_ns
    whole, window = _engine_book(BINANCE), _engine_book(BINANCE)
    for part, book in ((load(infos, seed=7, to_ns=to_ns), whole), (data, window)):
        for message in (*part.first, *part.events):
            if isinstance(message, OrderBookDeltas) and message.instrument_id == BINANCE:
                book.apply_deltas(message)
    assert [(r.price, r.size()) for r in whole.bids()] == [(r.price, r.size()) for r in window.bids()]
    assert [(r.price, r.size()) for r in whole.asks()] == [(r.price, r.size()) for r in window.asks()]
    with pytest.raises(ValueError, match="no event"):
        load(infos, seed=7, from_ns=START_NS * 2)


@pytest.mark.skipif(not (DATA / "tapes").is_dir(), reason="no recorded data here")
def test_a_recorded_tape_is_loaded_whole() -> None:
    infos = discover(DATA / "tapes" / "spot_btcusdt_20240808.gz")
    data = load(infos, seed=7, to_ns=infos[0].first_ns + 60_000_000_000)
    book = _engine_book(BINANCE)
    crossed = tops = 0
    for message in (*data.first, *data.events):
        if message.instrument_id != BINANCE:
            continue
        if isinstance(message, OrderBookDeltas):
            book.apply_deltas(message)
        elif isinstance(message, QuoteTick):
            tops += 1
            crossed += bool(book.best_bid_price() and book.best_bid_price() >= book.best_ask_price())
    assert tops > 1_000
    assert crossed == 0


def _engine_book(instrument_id: InstrumentId) -> object:
    from nautilus_trader.model.book import OrderBook

    return OrderBook(instrument_id, BookType.L2_MBP)
