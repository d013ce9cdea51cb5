"""`kerb keys`: make, list and revoke API keys in a desk's state folder. A running desk notices within a second."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from desk.clients.store import KeyStore

_STATE = click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("state"),
    show_default=True,
    help="State folder of the desk.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _comma_list(value: str | None) -> list[str] | None:
    return None if value is None else [part.strip() for part in value.split(",") if part.strip()]


@click.group()
def keys() -> None:
    """Make, list and revoke the keys of API clients."""


@keys.command()
@_STATE
@click.option("--client", required=True, help="The client the key speaks for.")
@click.option("--scopes", default="quote,trade,read", show_default=True, help="Of quote, trade, read, operate.")
@click.option("--tier", default="standard", show_default=True, help="Price tier: standard, silver, gold.")
@click.option("--instruments", help="Only these, comma-separated; all without it.")
@click.option("--addresses", help="Only from these IP addresses or networks, comma-separated.")
@click.option("--rate", "rate_per_s", type=click.FloatRange(min=0.1), help="Requests a second.")
@click.option("--burst", type=click.IntRange(min=1), help="Requests at once.")
@click.option("--scheme", type=click.Choice(["hmac", "ed25519"]), default="hmac", show_default=True)
@click.option("--public-key", help="Ed25519: the client's public key in hex; without it a pair is made.")
@_JSON
def new(
    state: Path,
    client: str,
    scopes: str,
    tier: str,
    instruments: str | None,
    addresses: str | None,
    rate_per_s: float | None,
    burst: int | None,
    scheme: str,
    public_key: str | None,
    as_json: bool,
) -> None:
    """Make a key. Its secret is shown this once and kept encrypted."""
    from desk.clients.keys import DEFAULT_BURST, DEFAULT_RATE_PER_S
    from desk.clients.store import KeyStore
    from pricing.parameters import TIERS

    made = KeyStore(state).new(
        client,
        _comma_list(scopes) or [],
        scheme=scheme,
        tier=tier,
        instruments=_comma_list(instruments),
        addresses=_comma_list(addresses) or [],
        rate_per_s=rate_per_s or DEFAULT_RATE_PER_S,
        burst=burst or DEFAULT_BURST,
        public_key=public_key,
    )
    if tier not in TIERS:
        click.echo(f"kerb: tier {tier} pays the standard markup unless pricing.markup_bps names it", err=True)
    if as_json:
        _print_json({"key": made.key.key_id, "secret": made.secret, "client_id": client, "scheme": scheme})
        return
    click.echo(f"key     {made.key.key_id}")
    click.echo(f"secret  {made.secret or '(yours: the desk has only the public key)'}")
    click.echo("The secret is not shown again.", err=True)


@keys.command("list")
@_STATE
@_JSON
def list_keys(state: Path, as_json: bool) -> None:
    """List the keys, without their secrets."""
    import msgspec

    found = _existing(state).keys()
    if as_json:
        _print_json({"items": [msgspec.to_builtins(key) for key in found]})
        return
    if not found:
        click.echo(f"kerb: there are no keys in {state}", err=True)
    for key in found:
        allowed = "all" if key.instruments is None else ",".join(sorted(key.instruments))
        status = "active" if key.active else "revoked"
        scopes = ",".join(sorted(key.scopes))
        click.echo(f"{key.key_id}  {status:<8} {key.client_id:<16} {key.tier:<10} {scopes:<24} {allowed}")


@keys.command()
@_STATE
@click.argument("key_id")
@_JSON
def revoke(state: Path, key_id: str, as_json: bool) -> None:
    """Make a key useless for ever."""
    key = _existing(state).revoke(key_id)
    if as_json:
        _print_json({"key": key.key_id, "active": key.active})
    else:
        click.echo(f"{key.key_id} is revoked")


def _existing(state: Path) -> KeyStore:
    """The keys of a folder that is there: looking must not make one."""
    from desk.clients.store import KeyStore
    from desk.errors import ConfigFault

    if not state.is_dir():
        raise ConfigFault(f"there is no state folder {state}: --state DIR says where the desk keeps its own")
    return KeyStore(state)


def _print_json(value: object) -> None:
    import msgspec

    click.echo(msgspec.json.encode(value).decode())
