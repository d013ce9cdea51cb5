"""How late a stream's messages are: queues are told from clocks, whatever the clocks say."""

from __future__ import annotations

import pytest

from adapters.ccxt.market.lag import Lag

S_NS = 1_000_000_000
EPOCH_NS = 1_790_000_000 * S_NS


def played(delays: list[tuple[float, float]], offset_s: float = 0.0) -> list[float]:
    """What is told after messages of (the venue's time, when they came); `offset_s`: how far its clock is ahead."""
    lag, told = Lag(), []
    for sent_s, came_s in delays:
        lag.heard(EPOCH_NS + int((sent_s + offset_s) * S_NS), came_s)
        told.append(round(lag.behind_s(), 3))
    return told


@pytest.mark.parametrize("offset_s", [0.0, -3600.0, 7.5])
def test_a_queue_that_grows_is_told_whatever_the_venues_clock_says(offset_s: float) -> None:
    assert played([(0.0, 0.1), (1.0, 1.1), (1.5, 2.1), (2.0, 3.1)], offset_s) == [0.0, 0.0, 0.5, 1.0]


def test_a_message_after_a_long_silence_is_late_by_what_it_waited() -> None:
    assert played([(0.0, 0.1), (1.0, 9.1)]) == [0.0, 8.0]


def test_a_quiet_market_is_not_late() -> None:
    assert played([(0.0, 0.1), (60.0, 60.1), (600.0, 600.1)]) == [0.0, 0.0, 0.0]


def test_a_quicker_message_shows_how_late_the_others_are() -> None:
    assert played([(0.0, 2.0), (2.0, 2.1), (3.0, 5.0)]) == [0.0, 0.0, 1.9]


def test_a_clock_that_is_set_back_is_no_queue() -> None:
    """The messages seem an hour older at once; from there on a queue is told again."""
    back = [(0.0, 0.1), (1.0, 1.1), (1.5 - 3600, 1.6), (2.5 - 3600, 2.6), (3.0 - 3600, 5.1)]
    assert played(back) == [0.0, 0.0, 0.5, 0.5, 2.5]


def test_messages_without_a_time_say_nothing() -> None:
    lag = Lag()
    lag.heard(0, 5.0)
    assert lag.behind_s() == 0.0
