"""`kerb learn`: what the desk learns from its own past, away from the desk. Nothing heavy is imported before a command is called."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def learn() -> None:
    """Train models on the desk's own orders; the desk reads the exported file."""


@learn.command()
@click.option(
    "--tape",
    type=click.Path(path_type=Path, exists=True),
    help="Simulate orders on a recorded feed, or a folder of them.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The archive of a desk's state folder.",
)
@click.option("--dsn", help="An archive: chdb:///path or clickhouse://user:password@host/database")
@click.option("--from", "start", help="With --tape: begin here, ns, ISO time, or +SECONDS after its start.")
@click.option("--to", "end", help="With --tape: stop here; the same forms.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 1_000),
    default=6,
    show_default=True,
    help="With --tape: simulated runs of each tape.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the training, and the first of --seeds."
)
@click.option(
    "--latency-ms",
    type=click.IntRange(0, 60_000),
    default=25,
    show_default=True,
    help="The desk's router.slippage_latency_ms.",
)
@click.option(
    "--days",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="The model expires after this long.",
)
@click.option("--workers", type=click.IntRange(1, 256), default=2, show_default=True, help="With --tape: processes.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The model file.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def slippage(
    tape: Path | None,
    state: Path | None,
    dsn: str | None,
    start: str | None,
    end: str | None,
    seeds: int,
    seed: int,
    latency_ms: int,
    days: float,
    workers: int,
    out: Path,
    as_json: bool,
) -> None:
    """Train P50 and P90 of what a marketable order costs; judged walk-forward. `router.slippage_model = FILE` uses it."""
    import json

    from desk.errors import ConfigFault
    from router.slippage.trees import save
    from sim.learn.report import lines
    from sim.learn.slippage import now_ns, train
    from sim.tape import TapeFault

    def say(sentence: str) -> None:
        click.echo(f"kerb: {sentence}", err=True)

    if sum(source is not None for source in (tape, state, dsn)) != 1:
        raise click.UsageError("give one of --tape, --state and --dsn")
    if not out.resolve().parent.is_dir():
        raise ConfigFault(f"there is no folder {out.resolve().parent} to write the model in")
    if tape is not None:
        from sim.learn.runs import examples_of

        try:
            examples = examples_of(
                tape,
                range(seed, seed + seeds),
                latency_s=latency_ms * 1e-3,
                start=start,
                end=end,
                workers=workers,
                say=say,
            )
        except TapeFault as fault:
            raise ConfigFault(str(fault)) from fault
    else:
        from sim.learn.archived import examples_of_archive

        examples = examples_of_archive(state, dsn, latency_s=latency_ms * 1e-3, say=say)
    born = now_ns()
    file = train(examples, seed=seed, created_ns=born, expires_ns=born + int(days * 86_400e9), say=say)
    model = save(file, out)
    say(f"wrote {out}")
    report = {
        "model": str(out),
        "sha256": model.file.sha256,
        "expires_ns": file.expires_ns,
        "trained_on": file.trained_on,
        **file.metrics,
    }
    click.echo(json.dumps(report, indent=2) if as_json else "\n".join(lines(report)))


@learn.command()
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The ledger of a desk's state folder.",
)
@click.option("--ledger", help="A ledger: sqlite:///path or postgresql://user:password@host/database")
@click.option("--days", type=click.FloatRange(0, min_open=True), help="Only quotes of the last days.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The model file.")
@click.option("--json", "as_json", is_flag=True, help="Print the curves as JSON.")
def winning(state: Path | None, ledger: str | None, days: float | None, out: Path, as_json: bool) -> None:
    """Fit how likely clients trade by distance from fair, from the desk's own quotes. `pricing.win_model = FILE` uses it."""
    import time

    import msgspec

    from desk.errors import ConfigFault
    from desk.rfq.outcomes import outcomes, paid
    from pricing.winning import LEAST, fit

    if (state is None) == (ledger is None):
        raise click.UsageError("give one of --state and --ledger")
    since = 0 if days is None else time.time_ns() - int(days * 86_400e9)
    url = ledger or f"sqlite:///{state / 'ledger.db'}"  # type: ignore[operator]
    seen = list(outcomes(url, since))
    model = msgspec.structs.replace(fit(seen), paid=paid(url, since))
    if not model.curves:
        raise ConfigFault(
            f"{len(seen)} one-sided quotes: no tier has {LEAST}, some won and some lost, the dearer less often"
        )
    body = msgspec.json.format(msgspec.json.encode(model), indent=2)
    try:
        out.write_bytes(body + b"\n")
    except OSError as fault:
        raise ConfigFault(f"{out}: {fault.strerror}") from fault
    click.echo(f"kerb: wrote {out} from {len(seen)} quotes", err=True)
    if as_json:
        click.echo(body.decode())
        return
    click.echo(f"{model.paid:.0%} of what prices charge beside the markup was spent on hedges and fees")
    for curve in model.curves:
        click.echo(
            f"{curve.tier}: {curve.won} of {curve.n} traded; log odds {curve.intercept:+.3f} {curve.bps:+.3f} per bp and "
            f"{curve.distance:+.3f} per volatility from fair, {curve.size:+.3f} per e-fold of size"
        )
