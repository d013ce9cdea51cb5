"""`kerb demo`, `kerb serve`, `kerb replay`. Nothing heavy is imported before a command is called."""

from __future__ import annotations

import re
from pathlib import Path

import click


class Duration(click.ParamType):
    """A time such as `30s`, `2m`, `1h` or `45` (seconds)."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", str(value).strip())
        if match is None or float(match[1]) <= 0:
            self.fail(f"{value!r} is not a duration: 30s, 2m, 1h", param, ctx)
        return float(match[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}[match[2] or "s"]


DURATION = Duration()


@click.command()
@click.option("--headless", is_flag=True, help="No blotter: a line every few seconds instead.")
@click.option("--for", "duration", type=DURATION, help="Stop after this long, e.g. 30s, 2m (default: until Ctrl-C).")
@click.option(
    "--tape",
    type=click.Path(path_type=Path),
    help="A recorded feed, or a folder of them (default: a generated market).",
)
@click.option(
    "--seed", type=int, default=7, show_default=True, help="Of clients, second exchange, LP and generated market."
)
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to keep or continue the desk in (default: a fresh one).",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8080,
    show_default=True,
    help="Of the API; a free one when it is taken.",
)
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write a JSON summary here at the end.")
def demo(
    headless: bool,
    duration: float | None,
    tape: Path | None,
    seed: int,
    state: Path | None,
    port: int,
    report: Path | None,
) -> int:
    """Run a whole desk on simulated venues: no keys, no network."""
    import sys
    import tempfile

    import uvloop

    from desk.errors import ConfigFault
    from sim.demo.supervisor import Options, Supervisor

    if tape is not None and not tape.exists():
        raise ConfigFault(f"there is no tape at {tape}")
    if report is not None and not report.resolve().parent.is_dir():
        raise ConfigFault(f"there is no folder {report.resolve().parent} to write the report in")
    folder = (state or Path(tempfile.mkdtemp(prefix="kerb-demo-"))).resolve()
    blotter = not headless and sys.stdout.isatty() and sys.stdin.isatty()
    options = Options(
        tape=tape.resolve() if tape else None,
        seed=seed,
        state=folder,
        port=port,
        duration_s=duration,
        report=report,
        blotter=blotter,
    )
    return uvloop.run(Supervisor(options, lambda text: click.echo(f"kerb: {text}", err=True)).run())


@click.command()
@click.argument("venues", nargs=-1, metavar="[VENUE]...")
@click.option(
    "--tape", type=click.Path(path_type=Path), help="File or folder of raw tapes; a seeded market without it."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything that is not recorded.")
@click.option("--state", type=click.Path(path_type=Path), help="Folder that keeps accounts, credentials and ports.")
@click.option("--symbols", default="", help="Comma-separated, e.g. BTC/USDT,ETH/USDT (default: what the tapes hold).")
@click.option("--speed", type=float, default=1.0, show_default=True, help="2.0 plays the tape twice as fast.")
@click.option(
    "--faults", type=click.Path(dir_okay=False, path_type=Path), help="Disturb the exchanges by this schedule (TOML)."
)
@click.option("--limits", is_flag=True, help="Hold clients to the exchanges' own rate limits.")
def serve(
    venues: tuple[str, ...],
    tape: Path | None,
    seed: int,
    state: Path | None,
    symbols: str,
    speed: float,
    faults: Path | None,
    limits: bool,
) -> None:
    """Serve loopback venues on 127.0.0.1: those named, else Binance, Kraken and FalconX.

    \b
    A schedule of faults, such as for  kerb serve kraken okx --faults weather.toml
        seed = 7
        [[fault]]
        fault = "disconnect"   # every WebSocket is torn down,
        at = "10s"             # ten seconds after the start,
        every = "30s"          # and again each thirty,
        jitter = "5s"          # up to five later
        [[fault]]
        fault = "slow_rest"    # the next 20 requests wait 1.5 s
        at = "1m"
        count = 20
        ms = 1500
        venue = "OKX"          # of one exchange only
    docs/faults.md lists every fault and what the desk makes of it.
    """
    import asyncio
    import math
    import signal

    from desk.errors import ConfigFault
    from sim.servers.fault_file import read_faults
    from sim.servers.venues import DEFAULT_VENUES, EXCHANGES, VENUES, start_venues
    from sim.tape import TapeFault

    if not 0 < speed < math.inf:
        raise click.BadParameter("must be a positive number", param_hint="--speed")
    wanted = tuple(dict.fromkeys(name.upper() for name in venues)) or DEFAULT_VENUES
    if strangers := [name for name in wanted if name not in VENUES]:
        raise click.BadParameter(f"{', '.join(strangers)}: there are {', '.join(VENUES)}", param_hint="VENUE")
    listed = tuple(symbol.strip().upper() for symbol in symbols.split(",") if symbol.strip()) or None
    for symbol in listed or ():
        if not re.fullmatch(r"\w+/\w+(:\w+)?", symbol):
            raise click.BadParameter(f"{symbol!r} is no pair such as BTC/USDT", param_hint="--symbols")
    plan = read_faults(faults, tuple(name for name in EXCHANGES if name in wanted)) if faults is not None else None

    async def run() -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        running = await start_venues(
            tape=tape,
            seed=seed,
            state=state,
            symbols=listed,
            venues=wanted,
            speed=speed,
            say=lambda sentence: click.echo(sentence, err=True),
            faults=plan,
            limits=limits,
        )
        try:
            for venue, urls in running.urls.items():
                key = running.credentials[venue]
                click.echo(f"{venue:<13} REST {urls.rest}   WebSocket {urls.ws}")
                click.echo(f"{'':<13} {', '.join(running.listed.get(venue, running.symbols))}")
                click.echo(
                    f"{'':<13} key {key.key}   secret {key.secret}"
                    + (f"   passphrase {key.passphrase}" if key.passphrase else "")
                )
            click.echo(f"Serving {', '.join(running.urls)}. Ctrl-C stops.")
            await stopped.wait()
        finally:
            await running.stop()

    try:
        asyncio.run(run())
    except TapeFault as fault:
        raise ConfigFault(str(fault)) from fault
    except OSError as fault:
        raise ConfigFault(f"cannot serve: {fault}") from fault


@click.command()
@click.option("--tape", required=True, type=click.Path(path_type=Path), help="A recorded feed, or a folder of them.")
@click.option(
    "--config", type=click.Path(path_type=Path), help="The desk's configuration (default: one made for the tape)."
)
@click.option(
    "--from", "start", help="Begin here: ns since the epoch, an ISO time, or +SECONDS after the tape's start."
)
@click.option("--to", "end", help="Stop here; the same forms.")
@click.option(
    "--clients",
    type=click.Path(path_type=Path),
    help="Scripted requests, one JSON object a line (default: seeded clients).",
)
@click.option(
    "--seed", type=click.IntRange(0), default=7, show_default=True, help="Of clients, second exchange, LP and fills."
)
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep summary.json and events.jsonl in this folder.",
)
@click.option(
    "--archive",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep ticks, decisions and costs in this new folder, for kerb report and kerb archive (--state).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def replay(
    tape: Path,
    config: Path | None,
    start: str | None,
    end: str | None,
    clients: Path | None,
    seed: int,
    report: Path | None,
    archive: Path | None,
    as_json: bool,
) -> int:
    """Run the desk on a tape, in the tick-level simulator: the same tape, configuration and seed give the same state_hash."""
    import json

    from sim.replay import report as reports
    from sim.replay.command import prepare
    from sim.replay.command import replay as run

    def say(sentence: str) -> None:
        click.echo(f"kerb: {sentence}", err=True)

    say(f"reading {tape}")
    job = prepare(tape, config=config, start=start, end=end, clients=clients, seed=seed, say=say)
    say(f"replaying {job.data.messages:,} events with {len(job.requests)} requests for quote")
    found = run(job, report, archive)
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(reports.lines(found)))
    return 1 if found["faults"] else 0
