"""Arrival price: front-loaded by urgency, faster or slower as the price moves.

    due by the end of interval k = X·(1 − sinh(u(1 − (k+1)/n))/sinh u),   u = 8·clip(urgency + drift·g, 0, 1)
    g = clip(s·(arrival − fair)/arrival / drift_bps, −1, 1)               s = +1 to buy, −1 to sell: positive, the price is better

u = 0 is TWAP, u = 8 has half of it out in 9 % of the time. `drift` > 0 is the aggressive-in-the-money rule that is optimal for mean and
variance of the whole order (R. Almgren, J. Lorenz, "Adaptive arrival price", 2007), `drift` < 0 its opposite: run after a price that
runs away. What is due never falls because the price came back: what is released stays released.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from risk.exact import EXACT, times
from router.algos.schedule import Slices, slices_of
from router.algos.shortfall import held
from router.algos.spec import ArrivalPrice, Standing
from router.algos.step import Progress, View

STEEPEST = 8.0


class Arrival(Slices):
    """`Slices` whose amounts answer to the price; its times are the jittered grid."""

    def __init__(self, spec: ArrivalPrice, standing: Standing, quantity: Decimal, unit: Decimal, seed: str) -> None:
        self._n = slices_of(standing, spec.interval_ms)
        shares = [held(STEEPEST * spec.urgency, 1 - j / self._n) for j in range(self._n + 1)]
        weights = [before - after for before, after in pairwise(shares)]
        super().__init__(spec, standing, quantity, unit, weights, seed)
        self._arrival = spec
        self._quantity = quantity
        self._unit = unit

    def urgency(self, progress: Progress, view: View) -> float:
        """Urgency 0…1 at the price as it is."""
        spec = self._arrival
        if not spec.drift or view.fair is None or not progress.arrival:
            return spec.urgency
        better = float((progress.arrival - view.fair) / progress.arrival) * (1 if progress.side == "buy" else -1)
        return min(1.0, max(0.0, spec.urgency + spec.drift * min(1.0, max(-1.0, better * 1e4 / spec.drift_bps))))

    def due(self, k: int, progress: Progress, view: View) -> Decimal:
        """The laid schedule while the price does not matter; otherwise the curve of the urgency it calls for."""
        if not self._arrival.drift:
            return super().due(k, progress, view)
        if k < 0:
            return Decimal(0)
        if k + 1 >= self._n:
            return self._quantity
        share = 1 - held(STEEPEST * self.urgency(progress, view), 1 - (k + 1) / self._n)
        return times(EXACT.divide_int(times(self._quantity, Decimal(share)), self._unit), self._unit)
