"""The `kerb` command: a click group whose commands the rooms register as entry points.

`kerb --help` must answer at once, so a command's module imports nothing heavy at its top: it imports inside the function.
Exit codes: 0 done · 1 the operation failed · 2 usage or configuration · 3 temporary, try again · 130 interrupted.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import click

from desk.errors import ConfigFault, KerbError, TemporaryFault


class RoomCommands(click.Group):
    """Finds commands among the entry points of group `kerb.commands`, and loads one only when it is asked for."""

    def _points(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group="kerb.commands")}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._points())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        point = self._points().get(cmd_name)
        return point.load() if point else None


@click.command(cls=RoomCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kerb")
def cli() -> None:
    """Kerb: an OTC desk and smart order router for crypto."""


def section(name: str, path: Path | None) -> object:
    """A section of the resolved configuration (defaults and environment without a file), for rooms that may not know the desk."""
    from desk.config.load import load

    return getattr(load(path).config, name)


def main() -> None:
    """Run the command line and turn every known fault into its exit code and one clear line on stderr."""
    try:
        code = cli.main(standalone_mode=False, obj=section)
    except click.exceptions.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as fault:
        click.echo(fault.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as fault:
        where = fault.ctx.command_path if isinstance(fault, click.UsageError) and fault.ctx is not None else ""
        click.echo(f"kerb: {fault.format_message()}" + (f" See `{where} --help`." if where else ""), err=True)
        sys.exit(fault.exit_code)
    except ConfigFault as fault:
        click.echo(f"kerb: {fault}", err=True)
        sys.exit(2)
    except TemporaryFault as fault:
        click.echo(f"kerb: {fault}", err=True)
        sys.exit(3)
    except KerbError as fault:
        click.echo(f"kerb: {fault}", err=True)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
