"""TWAP: the same amount in every interval, x(t) = X·t/T."""

from __future__ import annotations

from decimal import Decimal

from router.algos.schedule import Slices, slices_of
from router.algos.spec import Standing, Twap


def twap(spec: Twap, standing: Standing, quantity: Decimal, unit: Decimal, seed: str) -> Slices:
    """Equal weights on the jittered grid."""
    return Slices(spec, standing, quantity, unit, [1.0] * slices_of(standing, spec.interval_ms), seed)
