"""Examples from a tape: the router works seeded parents in the simulator, and every order at an exchange becomes a row.

What the market does while an order is under way is recorded; how it answers our own orders is the model of `sim.replay.fade`, so rows of
this source teach that model's world and say so. Seeds differ in the parents, in the second exchange and in the split policy, so that small
shares and whole orders at one venue are both seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from router.parameters import SPLITS
from sim.learn.examples import Example, Examples, Watcher, collected
from sim.replay.command import prepare
from sim.replay.fade import FadeParams
from sim.studies.parents import run_parents, script_parents, sizes_of, wide
from sim.studies.pool import spread
from sim.tape import discover

EVERY_S = 0.5


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One seed of one tape, with the latency that features assume."""

    tape: Path
    seed: int
    latency_s: float
    start: str | None
    end: str | None


def examples_of(
    tape: Path,
    seeds: Sequence[int],
    *,
    latency_s: float,
    start: str | None,
    end: str | None,
    workers: int,
    say: Callable[[str], None],
) -> Examples:
    """Examples of every seed on every tape of `tape` (a file or a folder)."""
    jobs = [
        Run(tape=info.path, seed=seed, latency_s=latency_s, start=start, end=end)
        for info in discover(tape)
        for seed in seeds
    ]
    found: list[Example] = []
    left_out: Counter[str] = Counter()
    for examples, out in spread(_run, jobs, workers=workers, what="runs", say=say):
        found += examples
        left_out += Counter(out)
    names = ", ".join(sorted({job.tape.name for job in jobs}))
    source = f"simulated fills with modelled fade and impact on {names}, {len(seeds)} seeds"
    return collected(found, source, left_out)


def _run(job: Run) -> tuple[list[Example], dict[str, int]]:
    replay = prepare(job.tape, start=job.start, end=job.end, seed=job.seed)
    config = wide(replay.config)
    policy = SPLITS[job.seed % len(SPLITS)]
    config = msgspec.structs.replace(config, router=msgspec.structs.replace(config.router, policy=policy))
    duration_s = (replay.data.last_ns - replay.data.first_ns) * 1e-9
    parents = script_parents(job.seed, sizes_of(config), duration_s=duration_s, every_s=EVERY_S)
    _, watcher = run_parents(
        replay.data,
        config,
        parents,
        job.seed,
        fade=FadeParams(),
        lps=False,
        watch=lambda market: Watcher(market, job.latency_s),
    )
    assert isinstance(watcher, Watcher)
    return watcher.bench.examples, dict(watcher.bench.left_out)
