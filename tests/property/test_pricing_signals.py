"""Streaming signals against sums over the whole history; closed cases of each; one by one and in a batch alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.book import apply_levels, new_arena
from pricing.signals import QUOTE, TRADE, Signals, depth_imbalance, observe, observe_all
from tests.oracles import signals as twin

START = 1_723_161_254_000_000_000
SECOND = 10**9

quote = st.tuples(
    st.just(QUOTE), st.integers(990, 1000), st.integers(0, 50), st.integers(1000, 1008), st.integers(0, 50)
)
trade = st.tuples(st.just(TRADE), st.sampled_from((1, -1)), st.integers(0, 90), st.just(0), st.just(0))
history = st.lists(st.tuples(st.integers(-(10**8), 3 * SECOND), st.one_of(quote, quote, trade)), max_size=60)


@settings(max_examples=400, deadline=None)
@given(history, st.floats(0.05, 60.0), st.integers(0, 5 * SECOND))
def test_streaming_equals_summing_everything(
    steps: list[tuple[int, tuple[int, int, int, int, int]]], tau_s: float, later: int
) -> None:
    now, events = START, []
    for step, event in steps:
        now += step
        events.append((now, *event))
    now = max([now, *[e[0] for e in events]]) + later
    live, batch = Signals(tau_s), Signals(tau_s)
    for ts, kind, a, b, c, d in events:
        if kind == QUOTE:
            live.quote(ts, a, b, c, d)
        else:
            live.trade(ts, a, b)
    observe_all(batch.state, np.array(events, dtype=np.int64).reshape(-1, 6))
    assert (live.state == batch.state).all()
    got, want = live.read(now), twin.read(events, tau_s, now)
    for name, value in want.items():
        assert getattr(got, name) == pytest.approx(value, rel=1e-9, abs=1e-12), name


def test_a_bid_that_grows_is_buying_and_one_that_falls_is_selling() -> None:
    up, down, still = Signals(), Signals(), Signals()
    for i in range(5):
        up.quote(START + i * SECOND, 1000 + i, 10, 1002 + i, 10)
        down.quote(START + i * SECOND, 1000 - i, 10, 1002 - i, 10)
        still.quote(START + i * SECOND, 1000, 10, 1002, 10)
    now = START + 4 * SECOND
    assert up.read(now).order_flow == 1.0 and down.read(now).order_flow == -1.0 and still.read(now).order_flow == 0.0
    assert up.read(now).drift_bps > 0 > down.read(now).drift_bps and still.read(now).sigma == 0.0
    up.trade(now, 1, 30)
    up.trade(now, -1, 10)
    assert up.read(now).trade_flow == pytest.approx(0.5) and up.read(now).trade_concentration == pytest.approx(0.625)
    assert up.read(now).queue_imbalance == 0.5


def test_quotes_that_cannot_be_and_empty_prints_are_counted_and_change_nothing() -> None:
    signals = Signals()
    signals.quote(START, 1000, 10, 1002, 10)
    before = signals.read(START)
    for bid, bid_size, ask, ask_size in ((1002, 1, 1002, 1), (0, 1, 5, 1), (1000, 0, 1002, 1), (1000, 1, 1002, 0)):
        signals.quote(START + 1, bid, bid_size, ask, ask_size)
    signals.trade(START + 1, 1, 0)
    assert signals.read(START) == before and signals.state[19] == 5


def test_depth_imbalance_is_the_bids_share() -> None:
    arena = new_arena(1, 8)
    arena[8 + 3], arena[8 + 4] = 1, 1
    assert depth_imbalance(arena, 0, 3) == 0.5
    rows = [(1, 10, 6), (1, 9, 2), (1, 8, 100), (-1, 12, 1), (-1, 13, 7), (-1, 14, 100)]
    apply_levels(arena, 0, np.array(rows, dtype=np.int64), 1)
    assert depth_imbalance(arena, 0, 1) == pytest.approx(6 / 7)
    assert depth_imbalance(arena, 0, 2) == pytest.approx(8 / 16)


def test_one_event_and_a_batch_are_the_same_kernel() -> None:
    one, many = Signals(), Signals()
    rows = [(START + i, QUOTE, 1000 + i % 3, 5 + i, 1004 + i % 2, 9) for i in range(50)]
    for row in rows:
        observe(one.state, *row)
    observe_all(many.state, np.array(rows, dtype=np.int64))
    assert (one.state == many.state).all()
