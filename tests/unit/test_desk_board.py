"""The board of parents and children: what an operator sees of a schedule, in every state of a parent."""

from __future__ import annotations

from decimal import Decimal

import pytest

from desk.hedging.board import HedgeBoard
from router.algos.benchmark import Benchmark
from router.algos.spec import AlgoSpec, Iceberg, Standing, Twap
from router.orders import ChildOrder, ChildState, ParentOrder, ParentState

D = Decimal


def parent_of(state: ParentState, algo: AlgoSpec | None = None, due: float = -1.0) -> ParentOrder:
    return ParentOrder(
        parent_id="p",
        symbol="BTC/USDT",
        side="buy",
        quantity=D("1.5"),
        limit_price=None,
        deadline_ns=9,
        reason="order twap",
        state=state,
        algo=algo,
        standing=None if algo is None else Standing(since_ns=1, until_ns=8),
        benchmark=None if algo is None else Benchmark(since_ns=1, last_ns=1, due=due),
    )


@pytest.mark.parametrize("state", list(ParentState))
def test_a_sweep_shows_no_schedule(state: ParentState) -> None:
    board = HedgeBoard()
    board.on_parent(parent_of(state))
    (view,) = board.newest(5)
    assert (view.state, view.algo, view.due, view.ends_ns) == (state.value, "sweep", None, None)


def test_a_schedule_shows_its_name_its_end_and_what_is_due() -> None:
    board = HedgeBoard()
    board.on_parent(parent_of(ParentState.PAUSED, Twap(), due=1 / 3))
    (view,) = board.newest(5)
    assert (view.algo, view.due, view.ends_ns) == ("twap", "0.5", 8)
    board.on_parent(parent_of(ParentState.WORKING, Iceberg(display=D(1))))
    assert [(view.algo, view.due) for view in board.newest(5)] == [("iceberg", None)]


def test_a_resting_child_counts_as_open_until_it_has_ended() -> None:
    board = HedgeBoard()
    board.on_parent(parent_of(ParentState.WORKING, Iceberg(display=D(1))))
    child = ChildOrder(
        child_id="c",
        parent_id="p",
        venue="A",
        symbol="BTC/USDT",
        side="buy",
        quantity=D(1),
        limit_price=D(100),
        resting=True,
        state=ChildState.ACKED,
    )
    board.on_child(child)
    assert (board.view().open, board.view().unknown) == (1, 0)
    child.state = ChildState.CANCELLED
    board.on_child(child)
    assert (board.view().open, board.view().children) == (0, 1)
