"""`kerb tui`: the operator's blotter, a client of a running desk."""

from __future__ import annotations

import click


@click.command()
@click.option("--url", default=None, help="The desk's API; default http://127.0.0.1:8080, or as access.json says.")
@click.option("--key", default=None, envvar="KERB_KEY", help="Operator key id (or KERB_KEY).")
@click.option(
    "--secret", default=None, envvar="KERB_SECRET", help="Its secret; better in KERB_SECRET than on a command line."
)
@click.option(
    "--state",
    default=None,
    type=click.Path(exists=True, file_okay=False),
    help="A desk's state folder: url and operator key are read from its access.json.",
)
@click.option("--hz", default=5.0, show_default=True, type=click.FloatRange(0.5, 10), help="State updates a second.")
def tui(url: str | None, key: str | None, secret: str | None, state: str | None, hz: float) -> None:
    """The operator's blotter."""
    import sys
    from pathlib import Path

    from tui.access import AccessFault, from_state

    if state is not None:
        try:
            access = from_state(Path(state))
        except AccessFault as fault:
            raise click.UsageError(str(fault)) from None
        url, key, secret = url or access.url, key or access.operator.key, secret or access.operator.secret
    if not key or not secret:
        raise click.UsageError("an operator key is needed: --state DIR, or --key and KERB_SECRET")
    if not sys.stdout.isatty():
        raise click.UsageError("the blotter needs a terminal")

    import uvloop

    from tui.app import BlotterApp
    from tui.session import DeskSession

    app = BlotterApp(DeskSession(url or "http://127.0.0.1:8080", key, secret, hz=hz))
    uvloop.run(app.run_async())
    if app.return_code:
        sys.exit(app.return_code)
