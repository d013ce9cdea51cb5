"""Writes small raw tapes: a seeded market in Binance's wire format, with whatever fault a test asks for."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

START_NS = 1_723_161_254_000_000_000
DELAY_NS = 20_000_000  # exchange to recorder


def tape_lines(
    seed: int = 1, *, seconds: float = 20.0, price: float = 60_000.0, raw: str = "BTCUSDT", gap_at: int | None = None
) -> list[str]:
    """Lines of a tape: opening snapshot, a depth update and tops every 100 ms, a trade now and then. `gap_at`: lose that update."""
    dice = random.Random(seed)
    mid, update_id = int(price * 100), 1_000
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    lines: list[str] = []

    def refill() -> dict[str, list[list[str]]]:
        changes: dict[str, list[list[str]]] = {"b": [], "a": []}
        for name, side, sign in (("b", bids, -1), ("a", asks, 1)):
            wanted = {mid + sign * (5 + 12 * n): dice.randint(5_000, 90_000) for n in range(60)}
            for tick in [tick for tick in side if tick not in wanted]:
                del side[tick]
                changes[name].append([f"{tick / 100:.2f}", "0.00000000"])
            for tick, size in wanted.items():
                if tick not in side or dice.random() < 0.2:
                    side[tick] = size
                    changes[name].append([f"{tick / 100:.2f}", f"{size / 100_000:.8f}"])
        return changes

    changes = refill()
    snapshot = {"lastUpdateId": update_id, "bids": changes["b"], "asks": changes["a"]}
    first = {"stream": f"{raw.lower()}@bookTicker", "data": _top(raw, update_id, bids, asks)}
    lines.append(f"{START_NS} {json.dumps(first)}")
    lines.append(f"{START_NS + 1_000} {json.dumps(snapshot)}")
    for step in range(1, int(seconds * 10)):
        ts_ns = START_NS + step * 100_000_000
        event_ms = (ts_ns - DELAY_NS) // 1_000_000
        mid += dice.randint(-150, 150)
        first_id, update_id = update_id + 1, update_id + dice.randint(1, 9)
        changes = refill()
        if step != gap_at:
            depth = {"e": "depthUpdate", "E": event_ms, "s": raw, "U": first_id, "u": update_id, **changes}
            lines.append(f"{ts_ns} {json.dumps({'stream': f'{raw.lower()}@depth@100ms', 'data': depth})}")
        top = {"stream": f"{raw.lower()}@bookTicker", "data": _top(raw, update_id, bids, asks)}
        lines.append(f"{ts_ns + 1_000_000} {json.dumps(top)}")
        if dice.random() < 0.4:
            buyer_is_maker = dice.random() < 0.5
            tick = max(bids) if buyer_is_maker else min(asks)
            trade = {
                "e": "trade",
                "E": event_ms,
                "s": raw,
                "t": step,
                "p": f"{tick / 100:.2f}",
                "q": f"{dice.randint(1, 900) / 100_000:.8f}",
                "T": event_ms,
                "m": buyer_is_maker,
                "M": True,
            }
            lines.append(f"{ts_ns + 2_000_000} {json.dumps({'stream': f'{raw.lower()}@trade', 'data': trade})}")
    return lines


def _top(raw: str, update_id: int, bids: dict[int, int], asks: dict[int, int]) -> dict[str, object]:
    bid, ask = max(bids), min(asks)
    return {
        "u": update_id,
        "s": raw,
        "b": f"{bid / 100:.2f}",
        "B": f"{bids[bid] / 100_000:.8f}",
        "a": f"{ask / 100:.2f}",
        "A": f"{asks[ask] / 100_000:.8f}",
    }


def write_tape(path: Path, lines: list[str]) -> Path:
    """Lines as a gzipped tape."""
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return path
