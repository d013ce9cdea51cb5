"""One measured figure, and how two things are measured side by side.

Candidates and peers take turns on the same inputs, a round of each (A A … B B … A A …), so that a busy machine slows
both and each has its own data and branches at hand. Figures are per call, timed from Python, warm; the timer's own cost
(about 50 ns) is included for both. Read the ratios; absolute times belong to the machine printed with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter_ns

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report. `ratio`: the peer's p50 over ours, so above 1 we are faster. `note` says what the peer
    leaves out, or what a good figure is. `target`: what is promised of it (`benchmarks.targets`), and whether it was `met`.
    `worst_ns`: where the worst is promised."""

    name: str
    question: str
    p50_ns: int
    p99_ns: int
    n: int
    peer: str = ""
    peer_p50_ns: int = 0
    ratio: float = 0.0
    note: str = ""
    target: str = ""
    met: bool | None = None
    worst_ns: int = 0


Case = Callable[[], object]


def side_by_side(
    ours: Sequence[Case], peers: dict[str, Sequence[Case]], rounds: int, before: Sequence[Case] = ()
) -> tuple[list[int], dict[str, list[int]]]:
    """Times in ns: each round runs all our cases, then those of each peer. Peers with fewer cases (slow ones) run in the
    first round alone. `before`: what is done ahead of each of our cases, not timed."""
    for case in (*before[:1], ours[0], *(cases[0] for cases in peers.values() if cases)):
        case()
    mine: list[int] = []
    theirs: dict[str, list[int]] = {name: [] for name in peers}
    for turn in range(rounds):
        mine += _timed(ours, before)
        for name, cases in peers.items():
            if turn == 0 or len(cases) == len(ours):
                theirs[name] += _timed(cases, ())
    return mine, theirs


def _timed(cases: Sequence[Case], before: Sequence[Case]) -> list[int]:
    times = []
    for i, case in enumerate(cases):
        if before:
            before[i]()
        began = perf_counter_ns()
        case()
        times.append(perf_counter_ns() - began)
    return times


def at(times: Sequence[int], share: float) -> int:
    """A percentile of times."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def rows(
    name: str, question: str, mine: list[int], theirs: dict[str, list[int]], note: str = "", per: int = 1
) -> list[Row]:
    """A row for each peer (or one without a peer); `per`: operations inside each timed call."""
    p50, p99 = at(mine, 0.5) // per, at(mine, 0.99) // per
    made = []
    for peer, times in theirs.items():
        if times:
            other = at(times, 0.5) // per
            ratio = round(other / max(p50, 1), 2)
            row = Row(name=name, question=question, p50_ns=p50, p99_ns=p99, n=len(mine), note=note)
            made.append(msgspec.structs.replace(row, peer=peer, peer_p50_ns=other, ratio=ratio))
    return made or [Row(name=name, question=question, p50_ns=p50, p99_ns=p99, n=len(mine), note=note)]
