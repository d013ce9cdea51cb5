"""What a replay tells: the same numbers as a demo's report, and the `state_hash`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from sim.replay.data import TapeData
from sim.replay.run import ReplayResult
from sim.tape import TapeInfo


def summary(result: ReplayResult, data: TapeData, tapes: Sequence[TapeInfo], seed: int) -> dict[str, Any]:
    """JSON-ready. Times of the tape in ns; `throughput` is of this machine and the only part that differs between two runs."""
    state = msgspec.to_builtins(result.state)
    return {
        "state_hash": result.state_hash,
        "seed": seed,
        "tapes": [
            {
                "path": str(tape.path),
                "instrument": tape.symbol,
                "market": tape.market.value,
                "messages": tape.messages,
                "problems": [
                    {"kind": item.kind.value, "line": item.line, "message": item.message} for item in tape.problems
                ],
                "notes": list(tape.notes),
            }
            for tape in tapes
        ],
        "from_ns": data.first_ns,
        "to_ns": data.last_ns,
        "book_clears": data.clears,
        "rfqs": state["rfqs"],
        "clients": result.clients,
        "trades": result.state.trades,
        "hedges": state["hedges"],
        "ledger": state["ledger"],
        "inventory": state["inventory"],
        "pnl": state["pnl"],
        "risk": state["risk"],
        "books": state["books"],
        "alerts": [
            {key: alert[key] for key in ("severity", "source", "message", "count")} for alert in state["alerts"]
        ],
        "faults": result.state.faults + result.sim_faults,
        "throughput": {
            "events": result.throughput.events,
            "wall_s": round(result.throughput.wall_s, 3),
            "cpu_s": round(result.throughput.cpu_s, 3),
            "events_per_s": round(result.throughput.events_per_s),
        },
    }


def write(folder: Path, report: dict[str, Any]) -> None:
    """`summary.json` beside the run's `events.jsonl`."""
    (folder / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def lines(report: dict[str, Any]) -> list[str]:
    """The summary for a person."""
    rfqs, hedges, pnl = report["rfqs"], report["hedges"], report["pnl"]
    venues = ", ".join(f"{name} {venue['fills']}" for name, venue in sorted(hedges["by_venue"].items())) or "none"
    imbalance = ", ".join(f"{currency} {amount}" for currency, amount in report["ledger"]["imbalance"].items()) or "0"
    speed = report["throughput"]
    found = [
        f"tape        {', '.join(tape['instrument'] for tape in report['tapes'])}"
        f"  {(report['to_ns'] - report['from_ns']) / 1e9:.1f} s, {speed['events']:,} events, {report['book_clears']} book clears",
        f"RFQs        {rfqs['received']} received, {rfqs['quoted']} quoted, {rfqs['filled']} filled, {rfqs['rejected']} rejected,"
        f" {rfqs['expired']} expired",
        f"hedges      {hedges['parents']} parents, {hedges['children']} children, {hedges['fills']} fills (by venue: {venues})",
        f"P&L         {pnl['total']} {pnl['currency']}  (spread {pnl['spread']}, hedge {pnl['hedge']}, inventory {pnl['inventory']},"
        f" fees {pnl['fees']})",
    ]
    found += [
        f"inventory   {currency} {item['position']}  (soft band {item['soft_band']}, hard band {item['band']})"
        for currency, item in sorted(report["inventory"].items())
    ]
    if "archive" in report:
        rows, dropped = report["archive"]["rows"], report["archive"]["dropped"]
        found.append(f"archive     {sum(rows.values()):,} rows" + (f", {dropped:,} dropped" if dropped else ""))
    refused = sum(report["risk"]["refused"].values())
    found += [
        f"risk        {report['risk']['approved']} approved, {refused} refused",
        f"ledger      imbalance {imbalance}",
        f"faults      {report['faults']}",
        f"speed       {speed['events_per_s']:,} events/s ({speed['wall_s']} s)",
        f"state_hash  {report['state_hash']}",
    ]
    return found
