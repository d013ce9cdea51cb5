"""The benchmark's arithmetic and registry: percentiles, ratios, names, and that the peers answer the same question."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from benchmarks import peers
from benchmarks.cli import SUITES, bench
from benchmarks.orders import order
from benchmarks.report import table
from benchmarks.row import at, rows, side_by_side
from router.exact.arena import ACTIVE, AMOUNT, ITEM, ITEMS
from router.exact.problem import Problem
from router.exact.relax import select


def test_a_row_is_p50_p99_and_the_ratio_to_each_peer() -> None:
    mine = list(range(1, 101))
    (row,) = rows("x", "how long?", mine, {"peer": [500] * 10, "absent": []}, per=1)
    assert (row.p50_ns, row.p99_ns, row.n, row.peer, row.ratio) == (51, 100, 100, "peer", 9.8)
    assert at([3], 0.99) == 3
    assert any("9.8" in line for line in table([row]))


def test_candidates_take_turns() -> None:
    turns: list[str] = []
    mine, theirs = side_by_side(
        [lambda: turns.append("a"), lambda: turns.append("b")], {"p": [lambda: turns.append("p")]}, 2
    )
    assert len(mine) == 4 and len(theirs["p"]) == 1
    assert turns[2:] == ["a", "p", "b", "a", "b"]


def test_the_peers_of_the_splitter_find_the_same_cost() -> None:
    for seed in range(5):
        problem = Problem(order(seed, 4, 20, 0))
        if sum(block.high for block in problem.blocks) < problem.quantity:
            continue
        a = peers.convex(problem)
        select(a, 0, int(a[ACTIVE]), problem.quantity)
        taken = [int(a[a[ITEMS] + i * ITEM + AMOUNT]) for i in range(len(problem.blocks))]
        ours = sum(block.cost(x) for block, x in zip(problem.blocks, taken, strict=True))
        assert ours == peers.heap_split(problem)
        assert ours == pytest.approx(peers.sort_split(*peers.columns(problem), problem.quantity), rel=1e-12)


def test_an_unknown_suite_names_the_known_ones() -> None:
    result = CliRunner().invoke(bench, ["nothing"])
    assert result.exit_code == 2 and all(name in result.output for name in SUITES)
