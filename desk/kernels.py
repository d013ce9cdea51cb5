"""`warm`: every kernel loaded and proven on golden vectors before anything is priced.

The first time on a machine, and after an update, kernels are compiled: a minute or so, the exact split in a process beside.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack

from adapters.process import as_child, die_with_parent, is_child


def warm(say: Callable[[str], None] = lambda _: None) -> None:
    """Load or compile every kernel; `say` is told what is compiled. Raises `pricing.warm.StaleKernels` when one answers wrongly."""
    from pricing import kernel_cache
    from pricing.warm import warm as warm_pricing
    from router.warm import EXACT
    from router.warm import warm as warm_router

    new = kernel_cache.refresh()

    def step(name: str) -> None:
        if new:
            say(f"compiling kernels, once: {name}")

    with ExitStack() as stack:
        if EXACT in new:
            beside = stack.enter_context(subprocess.Popen([sys.executable, "-m", "desk.kernels"], env=as_child()))
            stack.callback(beside.terminate)
        warm_pricing(step)
        step("router: exact split")
        if EXACT in new:
            beside.wait()  # however it ended: what it has not left in the cache is compiled here
        warm_router(step)


def main() -> None:
    """Compile what is not compiled yet; for a process that runs `warm`, the kernels of the exact split only."""
    if not is_child():
        warm(lambda step: print(f"kerb: {step}", file=sys.stderr))
        return
    die_with_parent()
    from router.warm import warm_exact

    warm_exact()


if __name__ == "__main__":
    main()
