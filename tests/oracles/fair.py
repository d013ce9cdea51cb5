"""Fair value in plain Python: median, median absolute deviation, weights; ticks."""

from __future__ import annotations

from math import sqrt
from statistics import median
from typing import NamedTuple


class Top(NamedTuple):
    """One venue's top and whether it may be used: "" or the reason why not."""

    bid: int
    bid_size: int
    ask: int
    ask_size: int
    age: int
    oldest: int
    out: str = ""


def fair(tops: list[Top]) -> tuple[float | None, list[str]]:
    """(fair value in ticks or None, verdict of each venue)."""
    verdicts = [top.out or ("STALE" if top.age > top.oldest else "USED") for top in tops]
    micros = {
        i: (top.ask * top.bid_size + top.bid * top.ask_size) / (top.bid_size + top.ask_size)
        for i, top in enumerate(tops)
        if verdicts[i] == "USED"
    }
    if not micros:
        return None, verdicts
    centre = median(micros.values())
    deviations = {i: abs(micro - centre) for i, micro in micros.items()}
    if len(micros) == 2:
        far = max(micros.values()) - min(micros.values()) > 100e-4 * centre
        outliers, disputed = set(), far
    else:
        band = 5.0 * 1.4826 * median(deviations.values())
        band = min(max(band, 10e-4 * centre), 50e-4 * centre)
        outliers = {i for i, deviation in deviations.items() if deviation > band}
        disputed = 2 * (len(micros) - len(outliers)) < len(micros)
    for i in micros:
        verdicts[i] = "DISPUTED" if disputed else "OUTLIER" if i in outliers else "USED"
    if disputed:
        return None, verdicts
    weights = {
        i: sqrt(min(tops[i].bid_size, tops[i].ask_size)) * (1 - 0.999 * max(tops[i].age, 0) / max(tops[i].oldest, 1))
        for i in micros
        if i not in outliers
    }
    return sum(weights[i] * micros[i] for i in weights) / sum(weights.values()), verdicts
