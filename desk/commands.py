"""`kerb run`, `kerb doctor` and `kerb config`. Nothing heavy is imported before a command is called."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--config", "path", type=click.Path(dir_okay=False, path_type=Path), required=True, help="desk.toml")
@click.option("--live", is_flag=True, help='Send real orders; the file must say mode = "live" as well.')
def run(path: Path, live: bool) -> int:
    """Run the desk."""
    import asyncio
    import signal

    import uvloop

    from adapters.process import die_with_parent, is_child
    from desk.config.load import load
    from desk.errors import ConfigFault
    from desk.state import open_state

    if is_child():
        die_with_parent()  # first: what follows takes seconds to load
    config = load(path).config
    if (config.mode == "live") != live:
        raise ConfigFault(
            f'{path} says mode = "{config.mode}": '
            + ("type --live as well to send orders" if config.mode == "live" else '--live needs mode = "live" in it')
        )
    state_dir = Path(config.state_dir).resolve()
    folder = open_state(state_dir, config.mode)

    from desk.logs import start_logging
    from desk.node import LiveDesk  # here, where a Ctrl-C still ends the process at once: nothing is open yet

    def say(text: str) -> None:
        click.echo(f"kerb: {text}", err=True)

    async def serve() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, stopping.set)
        start_logging(config.log_level, state_dir / "desk.log")
        desk = LiveDesk(config, state_dir)
        if config.mode == "paper":
            say("PAPER: prices are real, execution is imagined; no order leaves this machine")
        starting = asyncio.create_task(desk.start(say))
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        try:
            if starting.done():
                starting.result()
                say(f"desk up on http://{config.api.host}:{desk.port} ({config.stage}, epoch {desk.epoch})")
                await stopped
            else:
                starting.cancel()
                await asyncio.wait((starting,))
            say("desk stopping")
        finally:
            stopped.cancel()
            await desk.stop()
        say("desk stopped")

    try:
        uvloop.run(serve())
    finally:
        folder.close()
    return 0


@click.command()
@click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="desk.toml: its venues, LPs and archive are looked at too (default: ./desk.toml when it is there).",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def doctor(path: Path | None, as_json: bool) -> int:
    """Look at machine, keys, venues and archive; exit 1 when something would stop a desk."""
    import msgspec

    from desk.doctor.examine import examine, lines
    from desk.doctor.finding import Grade

    findings = examine(path or _here())
    if as_json:
        click.echo(msgspec.json.encode({"items": findings}).decode())
    else:
        click.echo("\n".join(lines(findings)))
    return 1 if any(finding.grade is Grade.FAIL for finding in findings) else 0


@click.group()
def config() -> None:
    """Show, check and start configuration files."""


_FILE = click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration (default: ./desk.toml).",
)


@config.command()
@_FILE
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def show(path: Path | None, as_json: bool) -> None:
    """Print the resolved configuration with the source of each value; secrets are never in it."""
    import json

    import msgspec

    from desk.config.load import load

    resolved = load(path or _here())
    tree = _masked(msgspec.to_builtins(resolved.config, enc_hook=str))
    if as_json:
        click.echo(json.dumps({"config": tree, "sources": resolved.sources}, default=str))
        return
    for key, value in _flatten("", tree):
        click.echo(f"{key} = {json.dumps(value, default=str)}  # {_source(key, resolved.sources)}")


@config.command()
@_FILE
def check(path: Path | None) -> None:
    """Check a configuration file; every fault is listed with its line, exit 2."""
    from desk.config.load import load

    path = path or Path("desk.toml")
    load(path)
    click.echo(f"{path}: good")


@config.command()
def schema() -> None:
    """Print the JSON Schema of desk.toml, for editors."""
    import json

    import msgspec

    from desk.config.model import DeskConfig

    click.echo(json.dumps(msgspec.json.schema(DeskConfig), indent=2))


@config.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), default=Path("desk.toml"))
def init(path: Path) -> None:
    """Write a first desk.toml to start from."""
    from desk.config.example import EXAMPLE
    from desk.errors import ConfigFault

    if path.exists():
        raise ConfigFault(f"{path} exists already; nothing was written")
    path.write_text(EXAMPLE, encoding="utf-8")
    click.echo(f"wrote {path}", err=True)


def _here() -> Path | None:
    """The configuration of this folder, if there is one."""
    path = Path("desk.toml")
    return path if path.exists() else None


def _masked(tree: object) -> object:
    """The tree without passwords in URLs."""
    from desk.config.secrets import mask_url

    if isinstance(tree, dict):
        return {key: _masked(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_masked(value) for value in tree]
    return mask_url(tree) if isinstance(tree, str) else tree


def _flatten(prefix: str, tree: object) -> list[tuple[str, object]]:
    if isinstance(tree, dict) and tree:
        return [row for key, value in tree.items() for row in _flatten(f"{prefix}.{key}" if prefix else key, value)]
    if isinstance(tree, list) and tree and isinstance(tree[0], dict):
        return [row for index, value in enumerate(tree) for row in _flatten(f"{prefix}[{index}]", value)]
    return [(prefix, tree)]


def _source(key: str, sources: dict[str, str]) -> str:
    while key and key not in sources:
        key = key.rpartition(".")[0]
    return sources.get(key, "default")
