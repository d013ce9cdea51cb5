"""Many random routing requests of all kinds and sizes, answered by the splitter and by HiGHS, both judged in exact decimals.

    python -m tests.oracles.split_census 2000 --seconds 3

prints a progress line and then how often they agree, how often HiGHS ran out of time or was wrong once its plan is whole lots,
the largest gap of the default mode, and times. It fails if the splitter breaks a rule, is dearer than an allowed plan of HiGHS',
leaves more than `ALMOST` open in exact mode, or says a gap that is not true.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections import Counter
from decimal import Decimal
from math import exp, log
from random import Random
from time import perf_counter
from typing import Any, NamedTuple

from router.exact.explain import answer
from router.exact.request import parse
from router.exact.split import DEFAULT_GAP_BPS, SplitResult, split
from tests.oracles import split_check, split_milp, split_requests

EQUAL, EQUAL_AT_LIMIT, DEARER_AT_LIMIT, NO_PLAN, WRONG_DEARER, WRONG_BREAKS, OURS_WORSE = (
    "equal, HiGHS says proven",
    "equal, HiGHS at its limit",
    "HiGHS dearer, at its limit",
    "HiGHS without a plan at its limit",
    "HiGHS says proven, dearer in whole lots",
    "HiGHS' plan breaks a rule in whole lots",
    "ours worse",
)


ALMOST = Decimal(
    "0.0001"
)  # bp: what exact mode may leave open, and must tell, when numbers are too long to be compiled


class Judged(NamedTuple):
    """One request: what became of it, whether exact mode proved it, its shape, the default mode's gaps in bps (told, true), and
    seconds."""

    verdict: str
    proven: bool
    venues: int
    levels: int
    quotes: int
    nodes: int
    told: Decimal
    true: Decimal
    exact_s: float
    default_s: float
    highs_s: float


def drawn(seed: int, deepest: int = 400) -> dict[str, Any]:
    """A request of 2–20 venues, 1–`deepest` levels (every order of size as often), 0–8 quotes; a third of them hard."""
    r = Random(seed)
    venues, quotes = r.randint(2, 20), r.randint(0, 8)
    depth = round(exp(r.uniform(0, log(deepest))))
    return split_requests.request(seed, venues=venues, depth=depth, quotes=quotes, hard=r.random() < 1 / 3)


def checked(request: dict[str, Any], gap: Decimal) -> tuple[SplitResult, Decimal, float]:
    """The splitter's answer, its choice cost and the seconds it took; it must keep every rule and tell its cost exactly."""
    read = parse(json.dumps(request))
    start = perf_counter()
    result = split(read, gap_bps=gap)
    took = perf_counter() - start
    body = json.loads(answer(result))
    filled, cost = split_check.evaluate(request, body["children"])
    assert Decimal(body["filled"]) == filled and Decimal(body["cost"]) == cost
    assert filled + Decimal(body["unfilled"]) == Decimal(request["quantity"])
    assert Decimal(body["bound"]) <= cost
    return result, cost + split_check.expected(request, body["children"]), took


def judge(seed: int, seconds: float, deepest: int = 400) -> Judged:
    """Answer one request both ways and compare; AssertionError when the splitter is wrong in itself."""
    request = drawn(seed, deepest)
    exact, best, exact_s = checked(request, Decimal(0))
    rough, cost, default_s = checked(request, DEFAULT_GAP_BPS)
    assert exact.optimal or 0 < exact.gap_bps <= ALMOST, f"seed {seed}: not proven"
    assert rough.filled == exact.filled and rough.reach is None and rough.gap_bps <= DEFAULT_GAP_BPS, (
        f"seed {seed}: default mode"
    )
    slack = cost - rough.cost  # what is expected and not money; the bound is of a plan that carries as much
    assert rough.bound + slack <= best <= cost, f"seed {seed}: untrue bound"
    true = (cost - best) / abs(rough.cost) * 10_000 if cost != best else Decimal(0)
    start = perf_counter()
    plan, proven = split_milp.attempt(request, seconds)
    highs_s = perf_counter() - start
    return Judged(
        proven=exact.optimal,
        verdict=_verdict(request, plan, proven, exact.filled, best),
        venues=len(request["venues"]),
        levels=max(len(v["asks"]) for v in request["venues"]),
        quotes=len(request["quotes"]),
        nodes=exact.nodes,
        told=rough.gap_bps,
        true=true,
        exact_s=exact_s,
        default_s=default_s,
        highs_s=highs_s,
    )


def _verdict(
    request: dict[str, Any], plan: list[dict[str, Any]] | None, proven: bool, filled: Decimal, cost: Decimal
) -> str:
    if plan is None:
        return NO_PLAN
    try:
        theirs, dearer = split_check.evaluate(request, plan)
    except AssertionError:
        return WRONG_BREAKS
    ours, other = (-filled, cost), (-theirs, dearer + split_check.expected(request, plan))
    if ours > other:
        return OURS_WORSE
    if ours == other:
        return EQUAL if proven else EQUAL_AT_LIMIT
    return WRONG_DEARER if proven else DEARER_AT_LIMIT


def report(found: list[Judged]) -> str:
    """What came of all of them, as lines."""
    lines = [f"{len(found)} requests"]
    lines += [f"  {n:5d}  {verdict}" for verdict, n in Counter(each.verdict for each in found).most_common()]
    left = sum(not each.proven for each in found)
    lines.append(f"  exact mode: {len(found) - left} proven, {left} left open by less than {ALMOST} bp")
    lines.append(
        f"  default mode: largest gap told {max(x.told for x in found):.9f} bp, true {max(x.true for x in found):.9f} bp"
    )
    for name in ("exact_s", "default_s", "highs_s"):
        times = sorted(getattr(x, name) for x in found)
        middle, late, most = (times[min(len(times) - 1, int(len(times) * q))] for q in (0.5, 0.99, 1.0))
        lines.append(f"  {name[:-2]:8s} p50 {middle * 1e3:9.3f} ms  p99 {late * 1e3:9.3f} ms  max {most * 1e3:9.3f} ms")
    slow = max(found, key=lambda x: x.exact_s)
    lines.append(
        f"  slowest exact: {slow.venues} venues × {slow.levels} levels + {slow.quotes} quotes, {slow.nodes} branches"
    )
    small = [x for x in found if x.venues <= 5]
    lines.append(f"  shapes: {len(small)} of 2–5 venues, {sum(x.levels > 100 for x in found)} of more than 100 levels")
    return "\n".join(lines)


def main() -> None:
    """Command line; exit 1 when the splitter was worse once."""
    options = ArgumentParser(description=__doc__)
    options.add_argument("count", type=int)
    options.add_argument("--first", type=int, default=0, help="first seed")
    options.add_argument("--seconds", type=float, default=3.0, help="for each of HiGHS' two steps")
    asked = options.parse_args()
    checked(drawn(asked.first), Decimal(0))  # kernels are loaded with the first
    found, start = [], perf_counter()
    for seed in range(asked.first, asked.first + asked.count):
        found.append(judge(seed, asked.seconds))
        if found[-1].verdict not in (EQUAL, EQUAL_AT_LIMIT, DEARER_AT_LIMIT, NO_PLAN):
            print(f"seed {seed}: {found[-1].verdict}", flush=True)
        if len(found) % 50 == 0:
            print(f"{len(found)} of {asked.count}, {perf_counter() - start:.0f} s", flush=True)
    print(report(found))
    if any(each.verdict == OURS_WORSE for each in found):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
