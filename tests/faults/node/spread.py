"""N episodes over nodes: one process for each cast of venues in turn, a fresh node every `A_NODE` episodes; and the figures of all."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tests.faults.figures import percentile
from tests.faults.node.episode import CASTS
from tests.faults.node.run import Outcome

A_NODE = 25  # episodes that one node lives through
LINE = 1 << 20


def nodes(numbers: list[int]) -> Iterator[list[int]]:
    """Which episodes each node plays."""
    for cast in range(len(CASTS)):
        mine = [number for number in numbers if number % len(CASTS) == cast]
        for first in range(0, len(mine), A_NODE):
            yield mine[first : first + A_NODE]


async def play(
    numbers: list[int], seed: int, at_once: int, say: Callable[[Outcome], None], log: Path, *, limits: bool = False
) -> list[Outcome]:
    """Every episode's outcome. Raises when a node did not live to play its own; no more are begun then."""
    gate, outcomes, ended = asyncio.Semaphore(at_once), [], []
    options = ["--seed", str(seed), *(["--limits"] if limits else [])]

    async def one(mine: list[int]) -> None:
        async with gate:
            if ended:
                return
            with log.open("ab") as errors:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "tests.faults.node", *map(str, mine), *options),
                    stdout=asyncio.subprocess.PIPE,
                    stderr=errors,
                    limit=LINE,
                )
            assert process.stdout is not None
            left = list(mine)
            async for line in process.stdout:
                outcome = msgspec.json.decode(line, type=Outcome)
                left.remove(outcome.number)
                outcomes.append(outcome)
                say(outcome)
            if await process.wait() or left:
                ended.append(f"a node ended (exit {process.returncode}) before episodes {left}: see {log}")

    await asyncio.gather(*(one(mine) for mine in nodes(numbers)))
    if ended:
        raise RuntimeError("; ".join(ended))
    return outcomes


def summary(outcomes: list[Outcome]) -> dict[str, Any]:
    """The figures of a run."""
    spread = {
        name: [value for outcome in outcomes for value in getattr(outcome, name)]
        for name in ("recoveries_s", "half_open_s", "quotable_s", "accounts_s")
    }
    spread["settle_s"] = [outcome.settle_s for outcome in outcomes]
    slowest = sorted(((max(one.recoveries_s), one) for one in outcomes if one.recoveries_s), key=lambda row: -row[0])
    return {
        "episodes": len(outcomes),
        "struck": dict(Counter(one.struck for one in outcomes)),
        "faults": dict(Counter(fault for one in outcomes for fault in one.faults)),
        "failed": sum(bool(one.wrong) for one in outcomes),
        **{
            name: sum(getattr(one, name) for one in outcomes)
            for name in ("requests", "trades", "executions", "unknown")
        },
        "refused": dict(sum((Counter(one.refused) for one in outcomes), Counter())),
        "accepts_refused": dict(sum((Counter(one.accepts_refused) for one in outcomes), Counter())),
        "slowest": [f"{one.slowest}: {one.told}" for _, one in slowest[:8]],
        **{
            name: {"n": len(values)}
            | {f"p{int(100 * share)}": round(percentile(values, share), 3) for share in (0.5, 0.9, 0.99, 1)}
            for name, values in spread.items()
        },
    }
