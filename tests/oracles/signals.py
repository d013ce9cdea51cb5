"""The streaming signals from their definitions: every event's weight is exp(−age/τ), everything is summed anew."""

from __future__ import annotations

from itertools import pairwise
from math import exp, fsum, sqrt

Event = tuple[int, int, int, int, int, int]  # ts_ns, 0 quote or 1 trade, a, b, c, d as the kernel takes them


def read(events: list[Event], tau_s: float, now_ns: int) -> dict[str, float]:
    """Order flow, queue, trade flow, drift (bps), sigma, trade concentration at `now_ns`; times may repeat and go back."""
    good = [e for e in events if e[3] > 0 and (e[1] == 1 or (0 < e[2] < e[4] and e[5] > 0))]
    clock, times = None, []
    for e in good:  # an event that comes late counts at the latest time seen
        clock = e[0] if clock is None else max(clock, e[0])
        times.append(clock)
    weights = [exp(-(now_ns - ts) * 1e-9 / tau_s) for ts in times]
    quotes = [(e[2:], w) for e, w in zip(good, weights, strict=True) if e[1] == 0]
    trades = [(e[2], float(e[3]), w) for e, w in zip(good, weights, strict=True) if e[1] == 1]
    flows, drifts, squares = [], [], []
    for ((b0, qb0, a0, qa0), _), ((b1, qb1, a1, qa1), w) in pairwise(quotes):
        flow = qb1 * (b1 >= b0) - qb0 * (b1 <= b0) - qa1 * (a1 <= a0) + qa0 * (a1 >= a0)
        flows.append((flow, w))
        mid = (b0 + a0) / 2
        drifts.append((_micro(b1, qb1, a1, qa1) - _micro(b0, qb0, a0, qa0)) / mid * w)
        squares.append((((b1 + a1) / 2 - mid) / mid) ** 2 * w)
    seconds = [
        (t1 - t0) * 1e-9 * exp(-(now_ns - t1) * 1e-9 / tau_s)
        for t0, t1 in zip(times, [*times, now_ns][1:], strict=True)
    ]
    spent = fsum(seconds)
    volume = fsum(v * w for _, v, w in trades)
    last = quotes[-1][0] if quotes else (0, 1, 0, 1)
    return {
        "order_flow": _share(fsum(f * w for f, w in flows), fsum(abs(f) * w for f, w in flows)),
        "queue_imbalance": last[1] / (last[1] + last[3]),
        "trade_flow": _share(fsum(s * v * w for s, v, w in trades), volume),
        "drift_bps": 1e4 * fsum(drifts),
        "sigma": sqrt(fsum(squares) / spent) if spent > 0 else 0.0,
        "trade_concentration": _share(fsum((v * w) ** 2 for _, v, w in trades), volume**2),
    }


def _micro(bid: int, bid_size: int, ask: int, ask_size: int) -> float:
    return (ask * bid_size + bid * ask_size) / (bid_size + ask_size)


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else 0.0
