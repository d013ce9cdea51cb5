"""`python -m tests.faults.day VENUE [VENUE …]`: a day at each, in one process after the other's end; exit 1 when anything does not hold.

What does not hold is said in words: an order or execution that is not the venue's, a request too many, a renewal that did not come, or
anything that grows: descriptors, sockets, tasks, clients, futures, or a container of the links beyond what it is meant to keep.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import time
from pathlib import Path

from tests.faults.day.clock import REAL_MONOTONIC_NS, Loop, install


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.day", description=__doc__)
    parser.add_argument("venues", nargs="+", metavar="VENUE")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--every", type=float, default=3_600.0, help="seconds between two measurements")
    parser.add_argument("--report", type=Path, help="write everything here, as JSON")
    parser.add_argument("--log", action="store_true", help="let warnings through")
    options = parser.parse_args()
    clock = install()  # before anything keeps a clock by its name
    import msgspec

    from tests.faults.day.growth import summary
    from tests.faults.day.life import live

    if not options.log:
        logging.disable(logging.ERROR)
    days = []
    for name in (venue.upper() for venue in options.venues):
        began_ns, began_jumps, began_cpu_s = REAL_MONOTONIC_NS(), clock.jumps, time.process_time()
        with asyncio.Runner(loop_factory=lambda: Loop(clock)) as runner:
            lived = runner.run(
                live(
                    name,
                    options.hours,
                    options.seed,
                    options.every,
                    clock,
                    lambda line, name=name: print(f"{name} {line}", file=sys.stderr, flush=True),
                )
            )
        real = {
            "took_s": round((REAL_MONOTONIC_NS() - began_ns) / 1e9, 1),
            "cpu_s": round(time.process_time() - began_cpu_s, 1),
            "jumps": clock.jumps - began_jumps,
        }
        days.append((lived, summary(lived) | real))
    print(json.dumps([figures for _, figures in days], indent=2))
    if options.report:
        options.report.write_bytes(msgspec.json.encode([{"day": lived, "summary": figures} for lived, figures in days]))
    sys.exit(any(figures["wrong"] for _, figures in days))


if __name__ == "__main__":
    main()
