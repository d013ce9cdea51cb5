"""Many runs side by side in processes of their own, each a pure function of its arguments; results in the order of the arguments.

Progress goes to `say`, one line every few seconds at most. Ctrl-C, or a run that raises, ends them all.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from adapters.process import die_with_parent

SAY_EVERY_S = 5.0


def spread[Job, Result](
    run: Callable[[Job], Result], jobs: Sequence[Job], *, workers: int, what: str, say: Callable[[str], None]
) -> list[Result]:
    """`run` of every job. It must be a function of a module, jobs and results must pickle. One worker: here, without a process."""
    began = time.monotonic()
    told = began

    def progress(done: int) -> None:
        nonlocal told
        now = time.monotonic()
        if done == len(jobs) or now - told >= SAY_EVERY_S:
            told = now
            left = (now - began) / done * (len(jobs) - done)
            say(f"{done} of {len(jobs)} {what}" + (f", about {left:.0f} s left" if left >= 1 else ""))

    if workers == 1 or len(jobs) == 1:
        results = []
        for job in jobs:
            results.append(run(job))
            progress(len(results))
        return results
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=_start) as pool:
        futures = {pool.submit(run, job): number for number, job in enumerate(jobs)}
        found: dict[int, Result] = {}
        try:
            for future in as_completed(futures):
                found[futures[future]] = future.result()
                progress(len(found))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list((pool._processes or {}).values()):
                process.terminate()
            raise
    return [found[number] for number in range(len(jobs))]


def _start() -> None:
    """A worker ends with who started it, and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
