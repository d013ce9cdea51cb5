"""Pegged: a resting order that follows its venue: the best price of its own side, the middle, or the other side, with an offset.

    buy   primary: best bid − offset · mid: middle − offset · market: best ask − offset,   never above the cap, on a tick, rounded down
    sell  the mirror image

It moves when it is off by `min_move_bps` (and at least a tick) and has lain `min_interval_ms`: pulled first, and placed anew only when
its end is proven, so that the two can never fill both. Its own size is left out of the prices it follows (`shown`: whether the venue's
book holds it), or it would follow itself. A displayed part is drawn from [display·(1 − j), display·(1 + j)] by the seed. Without a live
book of its venue it is pulled. Primary and mid never take (post-only).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from random import Random

from risk.exact import BPS, EXACT, add, times
from router.algos.spec import Peg, Pegged, Standing
from router.algos.step import FOREVER, Progress, Rest, Resting, Step, Top, View, clip, onto_tick, where_to_rest

_MS = 1_000_000
_RETRY_NS = 250 * _MS


class Following:
    """`spec` at work until `standing.until_ns`. `shown`: whether books hold our own orders (they do live, not on a tape)."""

    def __init__(self, spec: Pegged, standing: Standing, seed: str, *, shown: bool) -> None:
        self.spec = spec
        self.standing = standing
        self._seed = seed
        self._shown = shown

    def step(self, progress: Progress, view: View) -> Step:
        """Place, keep, or pull to place anew."""
        lying = next((rest for rest in progress.resting if not rest.pulled), None)
        if view.now_ns >= self.standing.until_ns:
            return Step(
                wake_ns=FOREVER, pull=() if lying is None else (lying.child_id,), finished="the end of its schedule"
            )
        if progress.resting and lying is None:
            return Step(wake_ns=view.now_ns + _RETRY_NS)  # its end must be proven first
        tops = view.tops()
        if lying is None:
            return self._place(progress, view, where_to_rest(tops, self.spec.venue, progress.side))
        top = next((top for top in tops if top.venue == lying.venue), None)
        price = None if top is None else self.price(top, progress, lying)
        if top is None or price is None:
            return Step(wake_ns=view.now_ns + _RETRY_NS, pull=(lying.child_id,))
        off = abs(price - lying.price)
        due = lying.since_ns + self.spec.min_interval_ms * _MS
        if off < max(top.tick, times(times(price, self.spec.min_move_bps), BPS)):
            return Step(wake_ns=min(view.now_ns + _RETRY_NS, self.standing.until_ns))
        if view.now_ns < due:
            return Step(wake_ns=due)
        return Step(wake_ns=view.now_ns + _RETRY_NS, pull=(lying.child_id,))

    def price(self, top: Top, progress: Progress, lying: Resting | None) -> Decimal | None:
        """Where the order should lie at `top`'s venue; None when the book does not say."""
        buy = progress.side == "buy"
        own, other = (top.bids, top.asks) if buy else (top.asks, top.bids)
        near = _without(own, lying if self._shown else None)
        if near is None or not other:
            return None
        far = other[0][0]
        match self.spec.peg:
            case Peg.PRIMARY:
                reference = near
            case Peg.MID:
                reference = EXACT.divide(add(near, far), Decimal(2))
            case Peg.MARKET:
                reference = far
        away = times(times(reference, self.spec.offset_bps), BPS)
        price = add(reference, -away if buy else away)
        if progress.limit_price is not None:
            price = min(price, progress.limit_price) if buy else max(price, progress.limit_price)
        price = onto_tick(price, top.tick, progress.side)
        if self.spec.peg is not Peg.MARKET:  # it may not take: a tick away from the other side at least
            price = min(price, far - top.tick) if buy else max(price, far + top.tick)
        return price if price > 0 else None

    def part(self, progress: Progress) -> Decimal:
        """What is displayed next: all of it, or a part whose size is drawn from the seed and the number of parts shown so far."""
        if self.spec.display is None:
            return progress.free
        dice = Random(f"{self._seed}:{progress.placed}")
        spread = Decimal(str(round(self.spec.size_jitter * (2 * dice.random() - 1), 6)))
        return times(self.spec.display, 1 + spread)

    def _place(self, progress: Progress, view: View, top: Top | None) -> Step:
        price = None if top is None else self.price(top, progress, None)
        size = max(self.part(progress), progress.least)
        quantity = clip(size, size, progress, join=True)
        if top is None or price is None or quantity <= 0:
            return Step(wake_ns=view.now_ns + _RETRY_NS)
        return Step(
            wake_ns=view.now_ns + _RETRY_NS,
            place=Rest(venue=top.venue, price=price, quantity=quantity, post_only=self.spec.peg is not Peg.MARKET),
        )


def _without(levels: Sequence[tuple[Decimal, Decimal]], lying: Resting | None) -> Decimal | None:
    """The best price of a side, our own order left out."""
    for price, size in levels:
        if lying is None or price != lying.price or size > lying.leaves:
            return price
    return None
