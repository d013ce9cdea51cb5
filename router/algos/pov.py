"""POV: a share of what others trade. done + open ≤ ρ·V, where V is the market's volume since the start without our own executions.

Never ahead of the market, whatever else happens: no clean-up at the end, what is left is given back. Small amounts wait until a venue
takes them.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random

from risk.exact import add, times
from router.algos.spec import Pov, Standing
from router.algos.step import FOREVER, Progress, Step, View, clip

_MS = 1_000_000


class Participation:
    """`spec` at work since `standing`."""

    def __init__(self, spec: Pov, standing: Standing, seed: str) -> None:
        self.spec = spec
        self.standing = standing
        self._seed = seed

    def step(self, progress: Progress, view: View) -> Step:
        """ρ·V less what is released; looks again about once an interval (½ to 1½, from the seed)."""
        target = min(
            progress.quantity, add(self.standing.done, times(self.spec.participation, max(Decimal(0), view.volume)))
        )
        if view.now_ns >= self.standing.until_ns:
            return Step(wake_ns=FOREVER, target=target, finished="the end of its schedule")
        most = progress.free if self.spec.clip is None else self.spec.clip
        take = clip(add(target, -progress.released), most, progress, join=False)
        interval = self.spec.interval_ms * _MS
        pause = int(interval * (0.5 + Random(f"{self._seed}:{view.now_ns // interval}").random()))
        return Step(take=take, wake_ns=min(view.now_ns + pause, self.standing.until_ns), target=target)
