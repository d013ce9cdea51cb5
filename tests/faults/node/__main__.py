"""`python -m tests.faults.node NUMBER …`: these episodes on one node, each outcome as a line of JSON on stdout. One node a process.

Started by `python -m tests.faults --node N`, which spreads N episodes over the casts of venues and sums them up.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.faults.node.episode import cast_of, episode


async def _play(numbers: list[int], seed: int, limits: bool, state: Path, told: int) -> None:
    from tests.faults.node.run import LIMITED_SETTLE_S, SETTLE_S, node

    venues = cast_of(numbers[0])
    async with node(venues, seed, state, limits) as running:
        for number in numbers:
            outcome = await running.play(episode(number, seed, venues), LIMITED_SETTLE_S if limits else SETTLE_S)
            os.write(told, msgspec.json.encode(outcome) + b"\n")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.node", description=__doc__)
    parser.add_argument("numbers", type=int, nargs="+")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--limits", action="store_true", help="the venues hold the desk to their rate limits")
    options = parser.parse_args()
    if len({cast_of(number) for number in options.numbers}) > 1:
        parser.error("these episodes are of different nodes")
    told = os.dup(1)
    os.dup2(2, 1)  # the engine's own logger writes to stdout
    logging.disable(logging.ERROR)
    import uvloop

    with tempfile.TemporaryDirectory(prefix="kerb-node-") as folder:
        uvloop.run(_play(options.numbers, options.seed, options.limits, Path(folder), told))


if __name__ == "__main__":
    sys.exit(main())
