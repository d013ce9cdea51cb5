"""`kerb price`: one ladder offline, with its waterfall (CONTRACT section 7)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pricing.parameters import PricingParameters

Section = Callable[[str, Path | None], object]  # (name, file) → that section of the resolved configuration


class Malformed(click.ClickException):
    """A request that cannot be understood: one line, exit 2."""

    exit_code = 2


@click.command()
@click.option("--request", "source", type=click.File("rb"), required=True, help="JSON request, - for stdin.")
@click.option(
    "--config", "path", type=click.Path(dir_okay=False, path_type=Path), help="desk.toml for what is left out."
)
@click.option("--explain", is_flag=True, help="On stderr: the waterfall as a table, and what each step changed.")
@click.option("--json", "as_json", is_flag=True, help="JSON only (always on stdout): --explain adds to it, no table.")
@click.pass_context
def price(context: click.Context, source: IO[bytes], path: Path | None, explain: bool, as_json: bool) -> None:
    """Price a ladder of sizes for one client, each price with its waterfall."""
    import msgspec

    from pricing.charges import plain as text
    from pricing.explain import NAMES, changes, counterfactuals, table
    from pricing.offers import RequestFault
    from pricing.offline import NoFairValue, OfflinePricer, answer
    from pricing.price_request import parse

    try:
        request = parse(source.read(), _configured(context, path))
        pricer = OfflinePricer(request)
        ladder = pricer.ladder()
        others = counterfactuals(pricer) if explain else {}
    except RequestFault as fault:
        raise Malformed(" ".join(str(fault).split())) from None
    except NoFairValue as fault:
        click.echo(f"kerb: no price: {fault}", err=True)
        context.exit(1)
    body = answer(pricer, ladder)
    if explain and as_json:
        for i, row in enumerate(body["rungs"]):
            row["changed"] = {
                NAMES[side]: {
                    step: None if change is None else text(change)
                    for step, change in changes(ladder, others, i, side).items()
                }
                for side in request.sides
                if row[NAMES[side]] is not None
            }
    click.echo(msgspec.json.encode(body).decode())
    if explain and not as_json:
        for line in table(pricer, ladder, others):
            click.echo(line, err=True)


def _configured(context: click.Context, path: Path | None) -> PricingParameters:
    """The `pricing` section of the configuration: the command line's root hands in who can read it; defaults without."""
    from pricing.parameters import PricingParameters

    section: Section | None = context.obj if callable(context.obj) else None
    if section is None:
        if path is not None:
            raise click.UsageError("--config: this program has no configuration")
        return PricingParameters()
    found = section("pricing", path)
    assert isinstance(found, PricingParameters)
    return found
