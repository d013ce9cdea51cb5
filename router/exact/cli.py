"""`kerb split`: one routing decision offline, for audit and what-if (CONTRACT section 6)."""

from __future__ import annotations

from typing import IO

import click

from pricing.cli import Malformed


@click.command()
@click.option("--request", "source", type=click.File("rb"), required=True, help="JSON request, - for stdin.")
@click.option("--gap-bps", default="0.01", show_default=True, help="Certified distance from the optimum; 0 proves it.")
@click.option("--explain", is_flag=True, help="Say on stderr why: all-in price of each child, and each venue alone.")
@click.option("--json", "as_json", is_flag=True, help="JSON only (always on stdout): --explain says nothing.")
def split(source: IO[bytes], gap_bps: str, explain: bool, as_json: bool) -> None:
    """Split one order over venue books and LP quotes at the least all-in cost."""
    from router.exact.explain import answer, narrate
    from router.exact.request import SplitFault, number, parse
    from router.exact.split import split as solve

    try:
        gap = number(gap_bps, "--gap-bps")
        request = parse(source.read())
        result = solve(request, gap_bps=gap)
    except SplitFault as fault:
        raise Malformed(" ".join(str(fault).split())) from None
    click.echo(answer(result))
    if explain and not as_json:
        for line in narrate(request, result):
            click.echo(line, err=True)
