"""How soon something is tried again: patient at first, never more than ten seconds, one pace a URL, and no outage too long for it."""

import random
from types import SimpleNamespace

import pytest

from adapters.ccxt import pace as under_test
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.pace import MOST_S, PATIENT_ATTEMPTS, PATIENT_S, YOUNG_S, DialPace, backoff_s


def test_a_short_outage_is_tried_again_within_a_second_and_a_long_one_within_ten():
    rng = random.Random(7)
    waits = [backoff_s(attempt, rng) for attempt in range(PATIENT_ATTEMPTS)]
    assert max(waits) <= PATIENT_S
    assert sum(waits) > 20  # patient for some time, not for ever
    assert all(backoff_s(attempt, rng) <= MOST_S for attempt in (100, 1_100, 10**6))  # hours of outage


@pytest.fixture
def clock(monkeypatch):
    made = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(under_test, "monotonic", lambda: made.now)
    return made


def client(url: str, lived_s: float | None, clock) -> SimpleNamespace:
    made = SimpleNamespace(url=url)
    if lived_s is not None:
        DialPace.connected(made)
        clock.now += lived_s
    return made


def test_sockets_that_die_young_are_dialled_ever_later_and_others_not_at_all_later(clock):
    pace = DialPace(random.Random(7))
    waits = []
    for _ in range(12):
        pace.down(client("a", 0.01, clock))
        waits.append(pace.delay_s("a"))
        clock.now += waits[-1]
    assert pace.delay_s("b") == 0.0
    assert waits[0] <= 0.2
    assert max(waits) > 0.4
    assert max(waits) <= PATIENT_S
    pace.down(client("a", YOUNG_S + 1, clock))  # a connection that lived: no row any more
    assert 0 < pace.delay_s("a") <= 0.2


def test_a_connection_that_ends_twice_counts_once_and_the_venue_may_ask_for_time(clock):
    pace = DialPace(random.Random(7))
    one = client("a", None, clock)
    one.last_retry_after = 30.0
    pace.down(one)
    pace.down(one)
    assert pace.delay_s("a") == pytest.approx(30.0)
    assert pace._next["a"][0] == 1


def test_a_venue_that_counts_dials_of_an_address_is_never_dialled_more_often(clock):
    """Each stream of Binance has its socket: all of them die again and again, and are dialled as soon as they may be."""
    count, span_s = 20, 300.0
    pace = DialPace(random.Random(7), (count, span_s))
    urls, dialled = [f"wss://one/{number}" for number in range(6)], []
    while clock.now < 1_000.0 + 2 * span_s:
        for url in urls:
            pace.down(client(url, None, clock))
        waits = sorted((pace.delay_s(url), url) for url in urls)
        dialled += [clock.now + wait for wait, _ in waits]
        clock.now += waits[-1][0]
    dialled.sort()
    assert len(dialled) > count
    assert all(later - first >= span_s - 1e-6 for first, later in zip(dialled, dialled[count:], strict=False))


def test_dials_are_counted_at_the_venues_own_hosts_alone():
    own = ExchangeConfig(venue="BINANCE", exchange="binance", symbols=("BTC/USDT",))
    assert own.dials == (240, 300.0)
    elsewhere = ExchangeConfig(venue="BINANCE", exchange="binance", symbols=("BTC/USDT",), ws_url="ws://127.0.0.1:1")
    assert elsewhere.dials is None
