"""Concentration of one side of a book in plain Python; levels are (key, size), best first."""

from __future__ import annotations

from statistics import median


def measure(levels: list[tuple[int, int]]) -> dict[str, float]:
    """HHI, share of the five largest, median band and the largest level over it, of at most 200 levels."""
    best = levels[:200]
    total = sum(size for _, size in best)
    bands = min(16, len(best) // 4)
    sums = [0.0] * bands
    for key, size in best:
        sums[int((best[0][0] - key) * (bands / (best[0][0] - best[-1][0] + 1.0)))] += size
    band = median(value for value in sums if value > 0)
    sizes = sorted((size for _, size in best), reverse=True)
    return {
        "hhi": sum((size / total) ** 2 for _, size in best),
        "top_share": sum(sizes[:5]) / total,
        "band": band,
        "wall": sizes[0] / band,
    }
