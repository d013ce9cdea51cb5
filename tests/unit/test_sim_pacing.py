"""The endless market: tapes that start again without a seam, and the generator."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from sim.events import EventKind, VenueEvent, rows
from sim.feed import binance_events
from sim.generator import generated_events
from sim.instruments import binance_instrument, kraken_instrument
from sim.levels import LevelBook
from sim.servers.pacing import looped
from sim.transform import transform
from tests.replay.tape_maker import START_NS, tape_lines


def follow(events: list[VenueEvent]) -> LevelBook:
    """The book after these events; never crossed on the way, and updated only while it is live."""
    book, live = LevelBook(), False
    for event in events:
        match event.kind:
            case EventKind.SNAPSHOT:
                book.load(event.levels)
                live = True
            case EventKind.UPDATE:
                assert live
                book.apply(event.levels)
            case EventKind.CLEAR:
                book.clear()
                live = False
        assert not book.crossed()
    return book


def test_a_tape_starts_again_without_a_seam(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("".join(f"{line}\n" for line in tape_lines(seconds=4)))
    once = list(binance_events(path))
    first = next(event for event in once if event.kind is EventKind.SNAPSHOT)
    passes = list(islice(looped(lambda: binance_events(path), origin_ns=START_NS, start_ns=10**18), 3 * len(once)))
    assert [event.kind for event in passes].count(EventKind.SNAPSHOT) == 1, "a client would have to synchronise again"
    assert EventKind.CLEAR not in {event.kind for event in passes}
    arrivals = [event.ts_init_ns for event in passes]
    assert arrivals == sorted(arrivals) and arrivals[0] >= 10**18
    assert all(event.ts_event_ns <= event.ts_init_ns for event in passes)
    # the event after the first pass carries the last book into the first one
    seam = follow(passes[: len(once) + 1])
    start = LevelBook()
    start.load(first.levels)
    assert list(seam.levels()) == list(start.levels())
    follow(passes)


def test_a_tape_that_ends_without_a_book_comes_back_with_a_snapshot() -> None:
    levels = rows([(1, 100, 5), (-1, 101, 5)])
    tape = [
        VenueEvent(kind=EventKind.SNAPSHOT, symbol="X/Y", ts_event_ns=10, ts_init_ns=10, levels=levels),
        VenueEvent(kind=EventKind.CLEAR, symbol="X/Y", ts_event_ns=20, ts_init_ns=20, reason="the tape ends early"),
    ]
    kinds = [event.kind for event in islice(looped(lambda: iter(tape), origin_ns=0, start_ns=0), 6)]
    assert kinds == ["snapshot", "clear"] * 3


def test_an_empty_tape_ends_at_once() -> None:
    assert list(looped(lambda: iter(()), origin_ns=0, start_ns=0)) == []


@pytest.mark.parametrize("symbol", ["BTC/USDT", "ETH/USDT", "NEW/USDT"])
def test_the_generated_market_is_sound(symbol: str) -> None:
    events = list(islice(generated_events(symbol, 7), 1_500))
    book = follow(events)
    assert 150 <= len(book.bids) <= 260 and 150 <= len(book.asks) <= 260
    kinds = {event.kind for event in events}
    assert kinds == {EventKind.SNAPSHOT, EventKind.UPDATE, EventKind.TRADE, EventKind.QUOTE}
    assert [e.ts_init_ns for e in events] == sorted(e.ts_init_ns for e in events)
    source = binance_instrument(symbol)
    follow(list(transform(events, 7, source, kraken_instrument(symbol, source))))


def test_the_generated_market_is_a_function_of_its_seed() -> None:
    def told(seed: int) -> list[tuple]:
        return [(e.kind, e.price, e.bid, e.ask, e.ts_init_ns) for e in islice(generated_events("BTC/USDT", seed), 400)]

    assert told(1) == told(1) != told(2)
