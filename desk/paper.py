"""Paper trading as the desk sees it: names of factories and plain values, in the engine's importable configuration.

Who imagines the execution is somebody else's room: the desk never imports it, the engine does, by `[paper] exchange` and `[paper] falconx`.
The accounts are files of their own in `<state>/paper/`; delete one (and the ledger) to begin again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nautilus_trader.common.config import ImportableConfig, resolve_path

from adapters.ccxt.config import MARGIN
from adapters.falconx.config import FalconXConfig
from desk.config.model import DeskConfig
from desk.errors import ConfigFault

FOLDER = "paper"


def paper_clients(
    config: DeskConfig, state_dir: Path, lps: Mapping[str, FalconXConfig]
) -> tuple[dict[str, ImportableConfig], dict[str, Any]]:
    """Execution clients for every enabled exchange and for `lps`, and the factories that make them, by the engine's keys.

    Raises `ConfigFault` for a name that is none.
    """
    paper, folder = config.paper, state_dir / FOLDER
    clients: dict[str, ImportableConfig] = {}
    for venue in config.venues:
        if venue.enabled and venue.exchange not in MARGIN:  # paper trading imagines cash accounts alone
            clients[f"PAPER-{venue.venue}"] = _client(
                paper.exchange,
                venue=venue.venue,
                symbols=config.venue_symbols(venue),
                taker_fee_bps=venue.assumed_fee_bps,
                maker_fee_bps=venue.maker_fee_bps,
                max_age_ms=venue.max_age_ms,
                latency_ms=paper.latency_ms,
                balances=paper.accounts.get(venue.venue, paper.balances),
                path=str(folder / f"{venue.venue.lower()}.jsonl"),
            )
    for lp, account in lps.items():
        clients[f"PAPERFALCONX-{lp}"] = _client(
            paper.falconx,
            falconx=account,
            latency_ms=paper.latency_ms,
            path=str(folder / f"{lp.lower()}.jsonl"),
        )
    factories = {
        "PAPER": _factory(paper.exchange, "paper.exchange"),
        "PAPERFALCONX": _factory(paper.falconx, "paper.falconx"),
    }
    return clients, factories


def _client(factory: str, **values: Any) -> ImportableConfig:
    """The configuration of a client that `factory` makes."""
    return ImportableConfig(path=_config_path(factory), config=values)


def _factory(path: str, key: str) -> Any:
    """The class itself: the engine (1.231) stumbles over a factory that it has imported for an execution client on its own."""
    if not path.endswith("Factory"):
        raise ConfigFault(f"{key} = {path!r} is no module:…Factory")
    try:
        resolve_path(_config_path(path))
        return resolve_path(path)
    except (ImportError, AttributeError, ValueError) as fault:
        raise ConfigFault(f"{key} = {path!r}: {fault}") from fault


def _config_path(factory: str) -> str:
    """Beside a `…Factory` stands the `…Config` of its clients."""
    return f"{factory.removesuffix('Factory')}Config"
