"""`python -m tests.faults N --seed S`: N seeded disturbances over every loopback exchange; what did not hold, and how long books were lost.

Exit 1 when anything did not hold. A scenario that failed is played again by `--only NUMBER` with the same seed.
`--node N` instead: N episodes of a whole desk that trades (`tests/faults/node`), with `--limits` under the venues' rate limits.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from tests.conformance.ccxt_venue import VENUES
from tests.faults.figures import percentile
from tests.faults.run import Outcome, run
from tests.faults.scenario import scenario


async def play(
    numbers: range | list[int], seed: int, venues: tuple[str, ...], at_once: int, say: object
) -> list[Outcome]:
    """Play scenarios, some at once; `say` hears each as it ends."""
    gate, outcomes = asyncio.Semaphore(at_once), []

    async def one(number: int) -> None:
        async with gate:
            outcome = await run(scenario(number, seed, venues))
            outcomes.append(outcome)
            if callable(say):
                say(outcome)

    await asyncio.gather(*(one(number) for number in numbers))
    return outcomes


def slowest(outcomes: list[Outcome], count: int = 12) -> list[str]:
    """The longest recoveries, each with its scenario."""
    rows = [
        (value, outcome.scenario.told())
        for outcome in outcomes
        for value in (*outcome.recoveries_s, *outcome.detections_s)
    ]
    return [f"{value:.2f} s {told}" for value, told in sorted(rows, reverse=True)[:count]]


def summary(outcomes: list[Outcome]) -> dict[str, object]:
    """The figures of a run."""
    recoveries = [value for outcome in outcomes for value in outcome.recoveries_s]
    detections = [value for outcome in outcomes for value in outcome.detections_s]
    totals = {
        name: sum(getattr(outcome, name) for outcome in outcomes)
        for name in ("orders", "fills", "rejected", "unknown", "duplicates", "resyncs", "fills_missed")
    }
    return {
        "scenarios": len(outcomes),
        "venues": dict(Counter(outcome.scenario.venue for outcome in outcomes)),
        "faults": dict(Counter(str(one.order.fault) for outcome in outcomes for one in outcome.scenario.disturbances)),
        "failed": sum(bool(outcome.wrong) for outcome in outcomes),
        **totals,
        "books_lost": len(recoveries),
        "slowest": slowest(outcomes),
        "recovery_s": {
            f"p{int(100 * share)}": round(percentile(recoveries, share), 3) for share in (0.5, 0.9, 0.99, 1)
        },
        "half_open_s": {f"p{int(100 * share)}": round(percentile(detections, share), 3) for share in (0.5, 0.99, 1)},
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("scenarios", type=int, nargs="?", default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--only", type=int, nargs="*", help="numbers of scenarios")
    parser.add_argument("--venues", default=",".join(VENUES), help="comma-separated")
    parser.add_argument("--node", type=int, help="so many episodes through whole nodes instead")
    parser.add_argument(
        "--limits", action="store_true", help="with --node: the venues hold the desk to their rate limits"
    )
    parser.add_argument("--report", type=Path, help="write figures and every failure here, as JSON")
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    if options.node is not None:
        sys.exit(_nodes(options.only or list(range(options.node)), options))
    venues = tuple(options.venues.upper().split(","))
    numbers = options.only or range(options.scenarios)

    def say(outcome: Outcome) -> None:
        if outcome.wrong:
            print(f"FAILED {outcome.scenario.told()}\n       " + "\n       ".join(outcome.wrong), flush=True)

    outcomes = asyncio.run(play(numbers, options.seed, venues, options.at_once, say))
    figures = summary(outcomes)
    print(json.dumps(figures, indent=2))
    if options.report:
        failures = [
            {"scenario": outcome.scenario.told(), "wrong": outcome.wrong} for outcome in outcomes if outcome.wrong
        ]
        options.report.write_bytes(msgspec.json.encode({"seed": options.seed, **figures, "failures": failures}))
    sys.exit(1 if figures["failed"] else 0)


def _nodes(numbers: list[int], options: argparse.Namespace) -> int:
    """Episodes through whole nodes; the exit code."""
    from tests.faults.node import spread

    def say(outcome: Any) -> None:
        if outcome.wrong:
            print(f"FAILED {outcome.told}\n       " + "\n       ".join(outcome.wrong), flush=True)

    log = Path(tempfile.gettempdir()) / f"kerb-nodes-{os.getpid()}.log"
    outcomes = asyncio.run(spread.play(numbers, options.seed, options.at_once, say, log, limits=options.limits))
    figures = spread.summary(outcomes)
    print(json.dumps(figures, indent=2))
    if options.report:
        failures = [{"episode": one.told, "wrong": one.wrong} for one in outcomes if one.wrong]
        options.report.write_bytes(msgspec.json.encode({"seed": options.seed, **figures, "failures": failures}))
    return 1 if figures["failed"] else 0


if __name__ == "__main__":
    main()
