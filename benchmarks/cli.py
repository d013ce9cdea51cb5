"""`kerb bench`: the latency suite. Each suite is a function without arguments that returns `benchmarks.row.Row`s."""

from __future__ import annotations

import click

# name → "module:function"; loaded only when asked for
SUITES: dict[str, str] = {
    "split": "benchmarks.kernels:split",
    "adversarial": "benchmarks.adversarial:adversarial",
    "ladder": "benchmarks.kernels:ladder",
    "book": "benchmarks.kernels:book_update",
    "tick": "benchmarks.kernels:tick_to_price",
    "signals": "benchmarks.signals:signals",
    "market": "benchmarks.signals:market",
    "decode": "benchmarks.decode:decode",
    "load": "benchmarks.load:load",
    "slippage": "benchmarks.slippage:predict",
    "routes": "benchmarks.routes:synthetic",
    "api": "benchmarks.api:rfq_round_trip",
    "replay": "benchmarks.replay:replay",
}


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME …]")
@click.option(
    "--json", "json_file", type=click.File("w"), help="Write machine, versions and rows to FILE (- for stdout)."
)
@click.option("--venues", help="Of the suite load: venues at once, separated by commas (default: all six).")
@click.option("--page", type=click.File("w"), help="Write machine, targets and rows to FILE as Markdown.")
def bench(
    names: tuple[str, ...],
    json_file: click.utils.LazyFile | None,
    venues: str | None,
    page: click.utils.LazyFile | None,
) -> None:
    """Measure kernels, quotes, API and replay beside peers in the same run; all suites unless some are named.

    Exit code 0 whatever is measured: `target` says of each row what is promised and whether it was met here.
    """
    from benchmarks.report import machine, markdown, present, run, table
    from benchmarks.targets import judged
    from pricing.warm import warm
    from router.warm import warm as warm_router

    unknown = sorted(set(names) - set(SUITES))
    if unknown:
        raise click.UsageError(f"no suite {', '.join(unknown)}; there are {', '.join(SUITES)}")
    options: dict[str, dict[str, object]] = {"load": {"venues": _venues(venues)}} if venues else {}
    where = machine()
    click.echo("  ".join(f"{key} {value}" for key, value in where.items()), err=True)
    wanted = names or tuple(SUITES)
    if absent := [name for name in wanted if not present(SUITES[name])]:
        raise click.ClickException(f"not part of this installation: {', '.join(absent)}")
    for load in (warm, warm_router):  # a stale kernel would be measured without a word
        load(lambda name: click.echo(f"loading {name}", err=True))
    rows = []
    for name in wanted:
        click.echo(f"measuring {name}", err=True)
        rows += judged(run(SUITES[name], **options.get(name, {})))
    if page is not None:
        page.write("\n".join(markdown(where, wanted, rows)) + "\n")
    if json_file is not None:
        import msgspec

        json_file.write(msgspec.json.format(msgspec.json.encode({"machine": where, "rows": rows}).decode()) + "\n")
    else:
        for line in table(rows):
            click.echo(line)


def _venues(text: str) -> list[str]:
    from benchmarks.load import VENUES

    names = text.upper().split(",")
    if unknown := sorted(set(names) - set(VENUES)):
        raise click.BadParameter(f"{', '.join(unknown)}: there are {', '.join(VENUES)}", param_hint="--venues")
    return names
