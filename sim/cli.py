"""The simulator's commands. Nothing heavy is imported before a command runs."""

from __future__ import annotations

from pathlib import Path

import click

from desk.errors import ConfigFault


@click.command()
@click.option(
    "--tape", type=click.Path(path_type=Path), help="File or folder of raw tapes; a seeded market without it."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything that is not recorded.")
@click.option("--state", type=click.Path(path_type=Path), help="Folder that keeps accounts, credentials and ports.")
@click.option("--symbols", default="", help="Comma-separated, e.g. BTC/USDT,ETH/USDT (default: what the tapes hold).")
@click.option("--speed", type=float, default=1.0, show_default=True, help="2.0 plays the tape twice as fast.")
def serve(tape: Path | None, seed: int, state: Path | None, symbols: str, speed: float) -> None:
    """Serve the loopback venues: Binance, Kraken and FalconX on 127.0.0.1."""
    import asyncio
    import signal

    from sim.servers.venues import start_venues
    from sim.tape import TapeFault

    if speed <= 0:
        raise click.BadParameter("must be positive", param_hint="--speed")
    listed = tuple(symbol.strip().upper() for symbol in symbols.split(",") if symbol.strip()) or None

    async def run() -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        venues = await start_venues(
            tape=tape,
            seed=seed,
            state=state,
            symbols=listed,
            speed=speed,
            say=lambda sentence: click.echo(sentence, err=True),
        )
        try:
            for venue, urls in venues.urls.items():
                key = venues.credentials[venue]
                click.echo(f"{venue:<8} REST {urls.rest}   WebSocket {urls.ws}")
                click.echo(
                    f"{'':<8} key {key.key}   secret {key.secret}"
                    + (f"   passphrase {key.passphrase}" if key.passphrase else "")
                )
            click.echo(f"Serving {', '.join(venues.symbols)}. Ctrl-C stops.")
            await stopped.wait()
        finally:
            await venues.stop()

    try:
        asyncio.run(run())
    except TapeFault as fault:
        raise ConfigFault(str(fault)) from fault
