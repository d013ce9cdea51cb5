"""Figures of a run of faults."""

from __future__ import annotations


def percentile(values: list[float], share: float) -> float:
    """Of values in any order; 0 of none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0
