"""The RFQ table, ids and the latency histogram."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.ids import IdSource, base36
from desk.latency import Histogram
from desk.rfq.machine import TRANSITIONS, IllegalTransition, advance, terminal
from desk.rfq.records import RfqRecord, RfqState


def record(state: RfqState) -> RfqRecord:
    return RfqRecord(
        rfq_id="r-1",
        client_id="c",
        client_rfq_id="x",
        symbol="BTC/USDT",
        side="buy",
        quantity=Decimal(1),
        currency="BTC",
        ttl_ms=1,
        state=state,
        created_ns=0,
        updated_ns=0,
    )


@pytest.mark.parametrize("before", list(RfqState))
@pytest.mark.parametrize("after", list(RfqState))
def test_only_the_table_moves_a_request(before: RfqState, after: RfqState) -> None:
    item = record(before)
    if after in TRANSITIONS[before]:
        advance(item, after, 7, "why")
        assert (item.state, item.updated_ns, item.reason) == (after, 7, "why")
    else:
        with pytest.raises(IllegalTransition):
            advance(item, after, 7)
        assert (item.state, item.updated_ns) == (before, 0)


def test_every_state_is_in_the_table_and_ends_are_ends() -> None:
    assert set(TRANSITIONS) == set(RfqState)
    assert {state for state in RfqState if terminal(state)} == {
        RfqState.FILLED,
        RfqState.REJECTED,
        RfqState.EXPIRED,
        RfqState.CANCELLED,
        RfqState.WITHDRAWN,
        RfqState.FAILED,
    }


@given(st.integers(min_value=0, max_value=10**18))
def test_base36_reads_back(number: int) -> None:
    assert int(base36(number), 36) == number


def test_ids_count_by_prefix_and_carry_the_epoch() -> None:
    ids = IdSource("z9")
    assert [ids.new("r"), ids.new("r"), ids.new("q")] == ["r-z9-1", "r-z9-2", "q-z9-1"]


@given(st.lists(st.integers(min_value=0, max_value=10**13), min_size=1, max_size=300), st.floats(0.01, 1.0))
def test_histogram_is_within_three_percent_of_the_exact_percentile(values: list[int], fraction: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    exact = sorted(values)[max(1, round(len(values) * fraction)) - 1]
    assert exact <= histogram.percentile(fraction) <= exact * 1.04 + 1
