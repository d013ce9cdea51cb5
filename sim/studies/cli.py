"""`kerb study`: policies compared in the simulator, wins and losses alike. Nothing heavy is imported before a command is called."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from sim.cli import DURATION

if TYPE_CHECKING:
    from sim.studies.study import Study


@click.group()
def study() -> None:
    """Compare policies on recorded tapes: same orders, same seeds, paired differences."""


class Wanted(NamedTuple):
    """What every study is asked."""

    tape: Path
    seeds: int
    seed: int
    window: float
    workers: int
    json_file: click.utils.LazyFile | None
    markdown: bool

    def tell(self, run: Callable[..., Study], **arguments: Any) -> None:
        """Run a study and print what it found."""
        from sim.studies.windows import windows_of

        windows, seeds = windows_of(self.tape, self.window), range(self.seed, self.seed + self.seeds)
        _tell(run(windows, seeds, workers=self.workers, say=_say, **arguments), self.json_file, self.markdown)


def _common(seeds: int, window: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Options of every study; the command gets them as one `Wanted`, before its own."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def asked(**given: Any) -> None:
            wanted = Wanted(**{name: given.pop(name) for name in Wanted._fields})
            command(wanted, **given)

        for option in reversed(
            (
                click.option(
                    "--tape",
                    required=True,
                    type=click.Path(path_type=Path),
                    help="A recorded feed, or a folder of them.",
                ),
                click.option(
                    "--seeds",
                    type=click.IntRange(2, 10_000),
                    default=seeds,
                    show_default=True,
                    help="Runs of each policy.",
                ),
                click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The first of them."),
                click.option(
                    "--window",
                    type=DURATION,
                    default=window,
                    show_default=True,
                    help="Seeds take turns on pieces of the tape this long.",
                ),
                click.option(
                    "--workers",
                    type=click.IntRange(1, 256),
                    default=os.cpu_count() or 1,
                    show_default=True,
                    help="Processes.",
                ),
                click.option(
                    "--json", "json_file", type=click.File("w"), help="Write every figure to FILE (- for stdout)."
                ),
                click.option("--markdown", is_flag=True, help="Print Markdown tables."),
            )
        ):
            asked = option(asked)
        return asked

    return add


@study.command()
@_common(seeds=24, window=120.0)
@click.option("--lps/--no-lps", default=False, show_default=True, help="Offer simulated LP quotes to every policy.")
@click.option("--fade/--no-fade", default=True, show_default=True, help="Let the market answer our orders (a model).")
@click.option(
    "--slippage-model", default="", help="One more arm: exact, with expected slippage (prior, or a file of kerb learn)."
)
@click.option("--scorecards", is_flag=True, help="One more arm: exact, without what venues and LPs were seen to do.")
def router(
    wanted: Wanted,
    lps: bool,
    fade: bool,
    slippage_model: str,
    scorecards: bool,
) -> None:
    """The exact split against best-venue-only and pro-rata: cost of the same orders."""
    from sim.studies.router import study as run

    wanted.tell(
        run,
        lps=lps,
        fade=fade,
        slippage_model=slippage_model,
        scorecards=scorecards,
    )


@study.command()
@_common(seeds=50, window=115.0)
@click.option("--soft", default="0.25", show_default=True, help="The soft band, as a part of the hard one.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), default=1.2, show_default=True, help="Requests a second."
)
@click.option(
    "--at-bps", type=float, default=5.5, show_default=True, help="Half of the clients trade this far from fair value."
)
@click.option(
    "--model",
    "models",
    multiple=True,
    type=click.Choice(["glft", "bbg"]),
    help="Compare another skew model too; may be repeated.",
)
def skew(
    wanted: Wanted,
    soft: str,
    rate: float,
    at_bps: float,
    models: tuple[str, ...],
) -> None:
    """Skew and hedging bands against none: P&L mean and variance over seeds of price-sensitive clients."""
    from decimal import Decimal, InvalidOperation

    from sim.studies.clients import Demand
    from sim.studies.skew import study as run

    try:
        share = Decimal(soft)
    except InvalidOperation:
        share = Decimal(-1)
    if not 0 < share < 1:
        raise click.BadParameter("a part between 0 and 1", param_hint="--soft")
    wanted.tell(
        run,
        soft_share=share,
        demand=Demand(rate_per_s=rate, at_bps=at_bps),
        models=models,
    )


@study.command()
@click.option(
    "--spot", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A spot tape."
)
@click.option(
    "--perpetual", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its perpetual's."
)
@click.option("--size", "sizes", multiple=True, required=True, help="Order size in base; may be repeated.")
@click.option("--funding-rate", default="0.0001", show_default=True, help="Of the notional, per 8 hours.")
@click.option("--spot-fee-bps", default="4", show_default=True)
@click.option("--perpetual-fee-bps", default="3", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Every figure as JSON.")
def perpetual(
    spot: Path,
    perpetual: Path,
    sizes: tuple[str, ...],
    funding_rate: str,
    spot_fee_bps: str,
    perpetual_fee_bps: str,
    as_json: bool,
) -> None:
    """Spot against the perpetual of the same moment: when which is cheaper, and whether the choice was right."""
    import msgspec

    from pricing.offers import RequestFault, number
    from sim.studies.perpetual import Setup, told
    from sim.studies.perpetual import study as run
    from sim.tape import TapeFault

    try:
        setup = Setup(
            sizes=tuple(number(size, "--size", positive=True) for size in sizes),
            funding_rate=number(funding_rate, "--funding-rate", signed=True),
            spot_fee_bps=number(spot_fee_bps, "--spot-fee-bps", signed=True),
            perpetual_fee_bps=number(perpetual_fee_bps, "--perpetual-fee-bps", signed=True),
        )
    except RequestFault as fault:
        raise click.UsageError(str(fault)) from None
    try:
        found = run(spot, perpetual, setup)
    except (TapeFault, ValueError) as fault:
        raise click.ClickException(str(fault)) from None
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for line in told(found):
        click.echo(line)


@study.command()
@click.option(
    "--tape", required=True, type=click.Path(path_type=Path, exists=True), help="A recorded feed, or a folder of them."
)
@click.option(
    "--perpetual",
    "perpetuals",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A perpetual's tape of the same moment; may be repeated.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the derived exchange.")
@click.option("--json", "as_json", is_flag=True, help="Every figure as JSON.")
def fair(tape: Path, perpetuals: tuple[Path, ...], seed: int, as_json: bool) -> None:
    """Fair value as a forecast of the mid, 100 ms to 10 s later, by the books it is made of."""
    import msgspec

    from sim.studies.fair import study as run
    from sim.studies.fair import told
    from sim.tape import TapeFault, discover, scan

    try:
        by_symbol = {info.symbol: info for info in map(scan, perpetuals)}
        found = [run(info, by_symbol.get(info.symbol), seed=seed) for info in discover(tape)]
    except (TapeFault, ValueError) as fault:
        raise click.ClickException(str(fault)) from None
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for one in found:
        for line in told(one):
            click.echo(line)
        click.echo("")


@study.command()
@_common(seeds=16, window=115.0)
@click.option(
    "--for", "duration", type=DURATION, default=30.0, show_default=True, help="What an algorithm may take at most."
)
@click.option("--fade/--no-fade", default=True, show_default=True, help="Let the market answer our orders (a model).")
@click.option("--algo", "chosen", multiple=True, help="One of the algorithms only; may be repeated.")
@click.option("--alone", is_flag=True, help="Only the recorded exchange, without the one derived from it.")
def algos(
    wanted: Wanted,
    duration: float,
    fade: bool,
    chosen: tuple[str, ...],
    alone: bool,
) -> None:
    """Every execution algorithm against a sweep, and against its own benchmark."""
    from sim.studies.algos import ALGOS
    from sim.studies.algos import study as run

    if wanted.window < duration + 10.0:
        raise click.BadParameter("at least ten seconds longer than --for", param_hint="--window")
    if not set(chosen) <= set(ALGOS):
        raise click.BadParameter(f"one of {', '.join(ALGOS)}", param_hint="--algo")
    wanted.tell(
        run,
        seconds=duration,
        fade=fade,
        alone=alone,
        algos=chosen,
    )


@study.command()
@_common(seeds=24, window=55.0)
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), default=1.2, show_default=True, help="Requests a second."
)
@click.option(
    "--learning-runs", type=click.IntRange(4, 1_000), default=16, show_default=True, help="Runs to learn from."
)
@click.option(
    "--at-bps", type=float, default=5.5, show_default=True, help="Half of the clients trade this far from fair value."
)
def markup(
    wanted: Wanted,
    rate: float,
    at_bps: float,
    learning_runs: int,
) -> None:
    """A markup tuned by the fitted win probability against the flat one: learnt on earlier windows, compared on later ones."""
    from sim.studies.clients import Demand
    from sim.studies.markup import study as run

    demand = Demand(rate_per_s=rate, at_bps=at_bps)
    wanted.tell(
        run,
        demand=demand,
        learning_runs=learning_runs,
    )


def _say(sentence: str) -> None:
    click.echo(f"kerb: {sentence}", err=True)


def _tell(found: Study, json_file: click.utils.LazyFile | None, markdown: bool) -> None:
    import json

    from sim.studies import tables
    from sim.studies.study import jsonable

    if json_file is not None:
        json_file.write(json.dumps(jsonable(found), indent=2) + "\n")
        if json_file.name == "-":
            return
    for line in tables.markdown(found) if markdown else tables.lines(found):
        click.echo(line)
