"""VWAP: in proportion to the market's volume. The curve says when volume is to be expected, the tape how much there is of it today.

    W(t)      share of the schedule's volume that the curve expects by t
    V(t)      what others have traded so far,  E = what was expected for the whole schedule
    r(t)      = (V + κE)/(W·E + κE)            how busy today is, shrunk to 1 with weight κ (`trust`): the posterior mean of a rate
                                               whose prior is worth κ·E of volume (gamma–Poisson)
    due       = X·(V + r·E·(W(end of this interval) − W(now))) / (V + r·E·(1 − W(now)))

κ → 0 is the curve alone whatever the level of volume (due = X·W when V follows the curve), E = 0 (nothing known) as well. What a busier
or quieter market than expected does between two intervals is followed at once. The shares of intraday volume that the curve gives are
the static part of J. Białkowski, S. Darolles, G. Le Fol, "Improving VWAP strategies: a dynamic volume approach", JBF 32 (2008).
"""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate

from risk.exact import EXACT, ZERO, times
from router.algos.schedule import Slices, slices_of
from router.algos.spec import Standing, Vwap
from router.algos.step import Progress, View


class VolumeSlices(Slices):
    """`Slices` whose amounts answer to the market's volume; its times are the jittered grid."""

    def __init__(self, spec: Vwap, standing: Standing, quantity: Decimal, unit: Decimal, seed: str) -> None:
        self._n = slices_of(standing, spec.interval_ms)
        self._curve = spec.curve or (1,)
        self._sums = (0, *accumulate(self._curve))
        weights = [self.expected_by((k + 1) / self._n) - self.expected_by(k / self._n) for k in range(self._n)]
        super().__init__(spec, standing, quantity, unit, [max(0.0, weight) for weight in weights], seed)
        self._vwap = spec
        self._quantity = quantity
        self._unit = unit

    def expected_by(self, share: float) -> float:
        """W: share of the volume expected by `share` (0…1) of the time, linear within a part of the curve."""
        at = min(1.0, max(0.0, share)) * len(self._curve)
        part = min(int(at), len(self._curve) - 1)
        return (self._sums[part] + self._curve[part] * (at - part)) / self._sums[-1]

    def due(self, k: int, progress: Progress, view: View) -> Decimal:
        """The laid schedule when no volume was expected in figures; otherwise the blend."""
        spec, standing = self._vwap, self.standing
        if k < 0 or not spec.expected or k + 1 >= self._n:
            return super().due(k, progress, view)
        expected, traded = float(spec.expected), max(0.0, float(view.volume))
        passed = self.expected_by((view.now_ns - standing.since_ns) / (standing.until_ns - standing.since_ns))
        prior = spec.trust * expected
        busy = 1.0 if passed * expected + prior == 0 else (traded + prior) / (passed * expected + prior)
        total = traded + busy * expected * (1 - passed)
        if total <= 0:
            return super().due(k, progress, view)
        soon = max(0.0, self.expected_by((k + 1) / self._n) - passed)
        share = min(1.0, (traded + busy * expected * soon) / total)
        if share <= 0:
            return ZERO
        return times(EXACT.divide_int(times(self._quantity, Decimal(share)), self._unit), self._unit)
