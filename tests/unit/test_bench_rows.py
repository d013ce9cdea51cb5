"""The benchmark's arithmetic and registry: percentiles, ratios, names, and that the peers answer the same question."""

from __future__ import annotations

import msgspec
import pytest
from click.testing import CliRunner

from benchmarks import peers
from benchmarks.cli import SUITES, bench
from benchmarks.orders import order
from benchmarks.report import markdown, table
from benchmarks.row import Row, at, rows, side_by_side
from benchmarks.targets import GCC, judged
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
    assert turns[2:] == ["a", "b", "p", "a", "b"]


def test_what_comes_before_a_case_is_not_timed() -> None:
    turns: list[str] = []
    ours = [lambda: turns.append("a"), lambda: turns.append("b")]
    mine, _ = side_by_side(ours, {}, 1, [lambda: turns.append("0"), lambda: turns.append("1")])
    assert len(mine) == 2 and turns == ["0", "a", "0", "a", "1", "b"]


def test_a_row_is_judged_by_its_promise() -> None:
    slow = Row(name="split.kernel 5x50+6", question="", p50_ns=1_400, p99_ns=11_000, n=1)
    assert [(row.target, row.met) for row in judged([slow])] == [("p50 ≤ 1.5 µs, p99 ≤ 10 µs", False)]
    kept = msgspec.structs.replace(slow, p99_ns=10_000)
    assert judged([kept])[0].met
    beside = Row(name="split.fast 5x50", question="", p50_ns=100, p99_ns=1, n=1, peer=GCC, peer_p50_ns=66, ratio=0.66)
    assert judged([beside])[0].met is False
    assert judged([msgspec.structs.replace(beside, ratio=0.67)])[0].met
    plain = Row(name="fair 5x50", question="", p50_ns=1, p99_ns=1, n=1)
    assert judged([plain]) == [plain]
    assert "NOT met" in "".join(table(judged([slow]))) and "NOT met" not in "".join(table(judged([kept])))
    worst = Row(name="split.adversarial 5x50", question="", p50_ns=1, p99_ns=1, n=1, worst_ns=1_300_000)
    assert judged([worst])[0].met is False
    page = "\n".join(markdown({"cpu": "x"}, ["split"], judged([slow, worst])))
    assert page.count("NOT met") == 2 and "worst 1.3 ms" in page


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
