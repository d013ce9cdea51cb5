"""What is promised of the kernels, and whether a measured row keeps it.

Times are promised on one thread, warm, for ordinary orders; ratios hold on any machine. A row without a target is there to
be known, not judged.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from benchmarks.row import Row

GCC = "gcc -O3 -march=native, the same algorithm"
SORT = "numpy concat + argsort"
MILP = "scipy milp (HiGHS)"
CCXT = "ccxt.pro"


class Promise(msgspec.Struct, frozen=True):
    """`p50_ns`, `p99_ns`, `worst_ns`: our times at most; `faster`: by peer, how many times ours its p50 is at least."""

    p50_ns: int = 0
    p99_ns: int = 0
    worst_ns: int = 0
    faster: dict[str, float] = {}


_PEERS = {SORT: 20.0, MILP: 1_000.0}
TARGETS = {
    "split.kernel 5x50+6": Promise(1_500, 10_000),
    "split.kernel 20x400+6": Promise(15_000, 120_000),
    "split.fast 5x50": Promise(faster={GCC: 1 / 1.5}),
    "split.fast 20x400": Promise(faster={GCC: 1 / 1.5}),
    "split.fast.python 5x50": Promise(600),
    "split.certified 5x50": Promise(faster=_PEERS),
    "split.certified 5x50+6": Promise(faster=_PEERS),
    "split.certified 20x400": Promise(faster=_PEERS),
    "split.certified 20x400+6": Promise(faster=_PEERS),
    "split.adversarial 5x50": Promise(worst_ns=1_200_000),
    "split.adversarial 20x400": Promise(worst_ns=1_200_000),
    "ladder 5x50": Promise(2_000),
    "book.level.kernel 5x50": Promise(40),
    "book.level.kernel 20x400": Promise(40),
    "signals.batch": Promise(20),
    "load.cpu": Promise(faster={CCXT: 1 / 1.5}),
    **{
        f"load.cpu {venue}": Promise(faster={CCXT: 1 / 1.5})
        for venue in ("BINANCE", "BINANCEUSDM", "OKX", "BYBIT", "KRAKEN", "COINBASE")
    },
    **{
        f"decode.{kind} {venue}": Promise(faster={CCXT: 2.0})
        for kind in ("depth", "top", "trade")
        for venue in ("BINANCE", "OKX", "BYBIT", "COINBASE", "KRAKEN")
    },
    "decode.depth KRAKENFUTURES": Promise(faster={CCXT: 1.0}),  # one level a message: there is little to save
    "decode.ticker KRAKENFUTURES": Promise(faster={CCXT: 2.0}),
    "decode.trade KRAKENFUTURES": Promise(faster={CCXT: 2.0}),
}


def judged(rows: Sequence[Row]) -> list[Row]:
    """The rows with their targets. Times are judged on the first row of a name, ratios on the row of their peer."""
    seen: set[str] = set()
    found = []
    for row in rows:
        promise = TARGETS.get(row.name)
        if promise is None:
            found.append(row)
            continue
        words, kept = [], []
        if row.name not in seen:
            for figure, measured, limit in (
                ("p50", row.p50_ns, promise.p50_ns),
                ("p99", row.p99_ns, promise.p99_ns),
                ("worst", row.worst_ns, promise.worst_ns),
            ):
                if limit:
                    words.append(f"{figure} ≤ {duration(limit)}")
                    kept.append(measured <= limit)
        seen.add(row.name)
        if row.peer in promise.faster:
            least = promise.faster[row.peer]
            words.append(f"≤ {1 / least:.3g} × {row.peer}" if least < 1 else f"≥ {least:,.0f} × faster")
            kept.append(row.ratio >= round(least, 2))
        found.append(msgspec.structs.replace(row, target=", ".join(words), met=all(kept)) if words else row)
    return found


def duration(ns: int) -> str:
    """A time in the unit that suits it."""
    for unit, size in (("s", 10**9), ("ms", 10**6), ("µs", 10**3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns} ns"
