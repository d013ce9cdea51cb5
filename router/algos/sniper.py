"""Sniper: shows nothing and waits; takes at once, from venues only, when what it waits for is there.

    trigger_price   something can be had at this price or better, fees in it: take all that can
    depth           so much can be had within the parent's limit price: take all of it, whatever the trigger

What the trigger takes is never worse than `trigger_price` with the taker fee in it, and nothing ever rests. LPs are not asked: asking
would show interest.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from risk.exact import ZERO, add
from router.algos.spec import Sniper, Standing
from router.algos.step import FOREVER, Offer, Progress, Step, View, clip

_MS = 1_000_000


class Waiting:
    """`spec` at work until `standing.until_ns`."""

    def __init__(self, spec: Sniper, standing: Standing) -> None:
        self.spec = spec
        self.standing = standing

    def step(self, progress: Progress, view: View) -> Step:
        """Take what is there when it is what was waited for."""
        if view.now_ns >= self.standing.until_ns:
            return Step(wake_ns=FOREVER, finished="the end of its schedule")
        spec, buy, limit = self.spec, progress.side == "buy", progress.limit_price
        wake = min(view.now_ns + spec.interval_ms * _MS, self.standing.until_ns)
        within = [
            offer for offer in view.offers() if limit is None or (offer.price <= limit if buy else offer.price >= limit)
        ]
        worst = spec.trigger_price
        there = ZERO
        if worst is not None:
            there = _size(offer for offer in within if (offer.all_in <= worst if buy else offer.all_in >= worst))
        if there == 0 and spec.depth is not None and (deep := _size(within)) >= spec.depth:
            there, worst = deep, None
        most = there if spec.clip is None else min(there, spec.clip)
        take = clip(progress.free, most, progress, join=False)
        return Step(take=take, all_in=worst, ask_lps=False, wake_ns=wake)


def _size(offers: Iterable[Offer]) -> Decimal:
    total = ZERO
    for offer in offers:
        total = add(total, offer.size)
    return total
