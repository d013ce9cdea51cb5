"""How fast is a replay of the whole desk, beside the bare engine with an empty strategy that is subscribed to the same data?

The recorded tape is used when the folder of recorded data is there (`KERB_REAL_DATA`, default `../shared/data`), a generated market
otherwise. Data is loaded before either clock starts; replay and bare engine take turns in one process.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.row import Row

ROOT = Path(__file__).resolve().parents[1]
GENERATED_S = 120.0


def replay() -> list[Row]:
    """Nanoseconds per market event, ours and the bare engine's; the ratio is of events per second."""
    from sim.replay.command import measure_ratio, prepare_generated

    folder = Path(os.environ.get("KERB_REAL_DATA", ROOT.parent / "shared" / "data")) / "tapes"
    tapes = sorted(folder.glob("spot_btc*.gz")) if folder.is_dir() else []
    if tapes:
        measured, what = measure_ratio(tapes[0]), f"of {tapes[0].name}"
    else:
        measured, what = measure_ratio(prepare_generated(GENERATED_S)), f"of a generated market, {GENERATED_S:.0f} s"
    bare, desk = measured.best
    times = sorted(run.wall_s / run.events for _, run in measured.pairs)
    return [
        Row(
            name="replay",
            question=f"one market event {what}: books, pricing, {measured.rfqs} RFQs, hedges, risk",
            p50_ns=int(times[len(times) // 2] * 1e9),
            p99_ns=int(times[-1] * 1e9),
            n=desk.events,
            peer="bare engine, empty strategy",
            peer_p50_ns=int(bare.wall_s / bare.events * 1e9),
            ratio=round(measured.ratio, 2),
            note=f"best of {len(measured.pairs)} pairs {desk.events_per_s:,.0f} to {bare.events_per_s:,.0f} events/s; 0.5 or more is good",
        )
    ]
