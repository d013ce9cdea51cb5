"""`python -m sim.servers`: the loopback venues as one process, for a supervisor that is their parent.

One JSON line on stdout when everything listens (URLs, credentials, symbols); sentences about the tape on stderr; SIGTERM or SIGINT stops it
cleanly (exit 0). It dies with its parent. A tape that cannot be used: one sentence on stderr, exit 2.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from adapters.process import die_with_parent


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim.servers", description="Loopback venues on 127.0.0.1.")
    parser.add_argument(
        "--tape", type=Path, help="file or folder of raw tapes; without it a seeded market is generated"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--state", type=Path, help="folder for accounts, credentials and ports")
    parser.add_argument("--symbols", default="", help="comma-separated, e.g. BTC/USDT,ETH/USDT")
    parser.add_argument("--venues", default="BINANCE,KRAKEN,FALCONX", help="comma-separated")
    parser.add_argument("--speed", type=float, default=1.0, help="2.0 plays the tape twice as fast")
    return parser.parse_args()


async def _serve(options: argparse.Namespace) -> None:
    from sim.servers.venues import start_venues

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    venues = await start_venues(
        tape=options.tape,
        seed=options.seed,
        state=options.state,
        symbols=tuple(s.strip().upper() for s in options.symbols.split(",") if s.strip()) or None,
        venues=tuple(v.strip().upper() for v in options.venues.split(",") if v.strip()),
        speed=options.speed,
        say=lambda sentence: print(f"kerb: {sentence}", file=sys.stderr, flush=True),
    )
    try:
        print(venues.ready_line(), flush=True)
        ended = await _first(stopped, venues)
        if ended is not None:
            raise ended
    finally:
        await venues.stop()


async def _first(stopped: asyncio.Event, venues: object) -> BaseException | None:
    """Wait for the signal to stop, or for a feed that failed: a venue without its market is of no use."""
    waiting = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait({waiting, venues.failed()}, return_when=asyncio.FIRST_COMPLETED)  # type: ignore[attr-defined]
    if waiting in done:
        return None
    waiting.cancel()
    return done.pop().result()


def main() -> None:
    """Run until told to stop."""
    die_with_parent()
    from sim.tape import TapeFault

    try:
        import uvloop

        uvloop.run(_serve(_options()))
    except TapeFault as fault:
        print(f"kerb: {fault}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
