"""The report of a demo: what the desk counted, checked against what the archive holds."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from desk.client import DeskState

_QUERY = "SELECT name, total_rows FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree%' ORDER BY name"


async def archive_rows(state: Path) -> dict[str, int]:
    """Rows per table, asked of the stopped archive through `kerb archive query`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "desk.cli",
        "archive",
        "query",
        _QUERY,
        "--state",
        str(state),
        "--format",
        "JSONCompact",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    if process.returncode:
        return {}
    return {name: int(rows) for name, rows in json.loads(out)["data"]}


def build_report(state: DeskState, folder: Path, rows: dict[str, int], client_faults: int) -> dict[str, Any]:
    """The summary that `--report` writes. `archive.tapped` is what the desk offered until its very end."""
    view = msgspec.to_builtins(state)
    tapped_path = folder / "tapped.json"
    archive = json.loads(tapped_path.read_bytes()) if tapped_path.exists() else view["archive"]
    tapped = archive["tapped"]
    return {
        "rfqs": view["rfqs"],
        "trades": state.trades,
        "hedges": view["hedges"],
        "ledger": view["ledger"],
        "inventory": view["inventory"],
        "pnl": view["pnl"],
        "archive": {
            "rows": {table: rows.get(table, 0) for table in tapped},
            "dropped": archive["dropped"],
            "tapped": tapped,
        },
        "latency_ns": view["latency_ns"],
        "risk": view["risk"],
        "books": view["books"],
        "alerts": view["alerts"],
        "faults": state.faults + client_faults,
    }
