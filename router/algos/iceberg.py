"""Iceberg: one part of the order lies in a venue's book at the limit price; when it has filled, the next is shown a little later.

The size of a part is drawn from [display·(1 − j), display·(1 + j)], the pause before it from [min_delay, max_delay]: both are functions
of the seed and the number of parts shown so far. Nothing is shown while the last part's end is not proven. A tail that no venue would
take alone goes with the part before it.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random

from risk.exact import times
from router.algos.spec import Iceberg, Standing
from router.algos.step import FOREVER, Progress, Rest, Step, View, clip, onto_tick, where_to_rest

_MS = 1_000_000
_RETRY_NS = 250 * _MS


class Displayed:
    """`spec` at work until `standing.until_ns`."""

    def __init__(self, spec: Iceberg, standing: Standing, seed: str) -> None:
        self.spec = spec
        self.standing = standing
        self._seed = seed

    def part(self, shown: int) -> tuple[Decimal, int]:
        """Size (base) and pause (ns) of the part after `shown` others."""
        dice = Random(f"{self._seed}:{shown}")
        spread = Decimal(str(round(self.spec.size_jitter * (2 * dice.random() - 1), 6)))
        pause = dice.uniform(self.spec.min_delay_ms, self.spec.max_delay_ms)
        return times(self.spec.display, 1 + spread), 0 if shown == 0 else int(pause * _MS)

    def step(self, progress: Progress, view: View) -> Step:
        """Show the next part when nothing lies there and its time has come."""
        if view.now_ns >= self.standing.until_ns or progress.limit_price is None:
            alive = tuple(rest.child_id for rest in progress.resting if not rest.pulled)
            return Step(wake_ns=FOREVER, pull=alive, finished="the end of its schedule")
        if progress.resting:
            return Step(wake_ns=self.standing.until_ns)
        size, pause = self.part(progress.placed)
        if view.now_ns < progress.ended_ns + pause:
            return Step(wake_ns=progress.ended_ns + pause)
        size = max(size, progress.least)
        quantity = clip(size, size, progress, join=True)
        top = where_to_rest(view.tops(), self.spec.venue, progress.side)
        if top is None or quantity <= 0:
            return Step(wake_ns=view.now_ns + _RETRY_NS)
        price = onto_tick(progress.limit_price, top.tick, progress.side)
        return Step(
            wake_ns=self.standing.until_ns,
            place=Rest(venue=top.venue, price=price, quantity=quantity, post_only=self.spec.post_only),
        )
