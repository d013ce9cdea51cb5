"""`kerb route`: the choice of a route offline: directly, through a third currency, split, or by a perpetual; and why."""

from __future__ import annotations

from typing import IO

import click

from pricing.cli import Malformed


@click.command()
@click.option("--request", "source", type=click.File("rb"), required=True, help="JSON request, - for stdin.")
@click.option("--explain", is_flag=True, help="Every alternative with its parts in bps, on stderr.")
@click.option("--json", "as_json", is_flag=True, help="JSON only (always on stdout): --explain says nothing.")
def route(source: IO[bytes], explain: bool, as_json: bool) -> None:
    """Choose how to get an exposure: one book, two books through a third currency, both, or a perpetual."""
    from router.exact.request import SplitFault
    from router.routes.choice import choose
    from router.routes.request import answer, narrate, parse

    try:
        asked = parse(source.read())
        choice = choose(asked.request, asked.books, perpetuals=asked.perpetuals)
    except SplitFault as fault:
        raise Malformed(" ".join(str(fault).split())) from None
    click.echo(answer(choice, asked.refused))
    if explain and not as_json:
        for line in narrate(choice, asked.refused):
            click.echo(line, err=True)
    if choice.chosen is None:
        raise click.exceptions.Exit(1)
