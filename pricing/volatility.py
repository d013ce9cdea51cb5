"""`Volatility`: streaming EWMA of the mid's relative moves, as σ per √second.

S ← e·S + r², W ← e·W + Δt with e = exp(−ln2·Δt/halflife), σ² = S/W. Sampled on a time grid, never on every tick: at 0.5
bp of microstructure noise, 60 % true volatility reads 139 % on 0.1 s ticks and 62 % on a 5 s grid. Floats: a statistic,
not money.
"""

from __future__ import annotations

from math import exp, log, sqrt


class Volatility:
    """σ per √s of one mid. `halflife_s`: memory; `floor`: the least it ever says; `grid_s`: sampling interval."""

    def __init__(self, halflife_s: float = 120.0, floor: float = 5e-6, grid_s: float = 2.0) -> None:
        if halflife_s <= 0 or grid_s <= 0 or floor < 0:
            raise ValueError("volatility: halflife_s and grid_s must be positive, floor not negative")
        self._decay = log(2.0) / halflife_s
        self._grid_ns = int(grid_s * 1e9)
        self.floor = floor
        self._sum = 0.0
        self._weight = 0.0
        self._last_ns = 0
        self._last_mid = 0.0
        self.samples = 0

    def update(self, ts_ns: int, mid: float) -> float:
        """Show it the mid at `ts_ns`; returns σ. Times that go back and mids that are not positive are ignored."""
        if not mid > 0.0 or mid == float("inf"):
            return self.sigma
        if self._last_mid == 0.0:
            self._last_ns, self._last_mid = ts_ns, mid
            return self.sigma
        elapsed = ts_ns - self._last_ns
        if elapsed < self._grid_ns:
            return self.sigma
        seconds = elapsed * 1e-9
        fade = exp(-self._decay * seconds)
        move = log(mid / self._last_mid)
        self._sum = fade * self._sum + move * move
        self._weight = fade * self._weight + seconds
        self._last_ns, self._last_mid = ts_ns, mid
        self.samples += 1
        return self.sigma

    @property
    def sigma(self) -> float:
        """σ per √s, relative (1e-5 = 0.1 bp per √s); the floor until there is a sample."""
        if self._weight <= 0.0:
            return self.floor
        return max(self.floor, sqrt(self._sum / self._weight))
