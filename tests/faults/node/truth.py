"""What the venues really show, kept for a moment: between which bounds the average price of a size must lie that is read from their books.

The desk hears of a venue's book with a delay of its own for each venue. Over all that each venue has shown in a span of time, `bounds`
takes for every price the most (and the least) that was on offer up to it: no sweep of books from that span is cheaper (dearer).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from decimal import Decimal
from time import time_ns
from typing import Any, NamedTuple

from sim.events import EventKind
from tests.faults.node.place import SYMBOL, Place

LEVELS = 100  # as many as the desk subscribes
KEPT_NS = 3_000_000_000
ZERO = Decimal(0)

Curve = list[tuple[Decimal, Decimal]]  # (all-in price in the taker's order, size up to it), best first


Levels = list[tuple[int, int]]  # (price, size) in the instrument's units, best first


class _Moment(NamedTuple):
    at_ns: int
    levels: dict[str, Levels]  # what a taker of a side finds


class Truth:
    """Hears every change at the venues by itself; then `bounds`."""

    def __init__(self, place: Place) -> None:
        self._cores: dict[str, Any] = {venue: place.servers[venue].core for venue in place.spot}
        self._fees = {
            section.venue: section.taker_fee_bps / 10_000
            for section in place.desk.config.venues
            if section.venue in self._cores
        }
        self._kept: dict[str, deque[_Moment]] = {venue: deque() for venue in self._cores}
        for venue, core in self._cores.items():
            self._listen(venue, core)
            self._keep(venue, core)

    def _listen(self, venue: str, core: Any) -> None:
        """After each event of the market, and each taking of ours."""
        apply = core.apply

        def applied(event: Any) -> Any:
            rows = apply(event)
            if event.symbol == SYMBOL and event.kind is not EventKind.TRADE:
                self._keep(venue, core)
            return rows

        core.apply = applied
        core.on_rows.append(lambda symbol, rows: self._keep(venue, core))

    def _keep(self, venue: str, core: Any) -> None:
        shown, kept, now_ns = core.books[SYMBOL].shown, self._kept[venue], time_ns()
        kept.append(_Moment(now_ns, {"buy": shown.asks.top(LEVELS), "sell": shown.bids.top(LEVELS)}))
        while now_ns - kept[0].at_ns > KEPT_NS:
            kept.popleft()

    def _curve(self, venue: str, side: str, levels: Levels) -> Curve:
        instrument, total, out = self._cores[venue].instruments[SYMBOL], ZERO, []
        factor = 1 + self._fees[venue] if side == "buy" else 1 - self._fees[venue]
        for price, size in levels:
            total += instrument.size(size)
            out.append((instrument.price(price) * factor, total))
        return out

    def bounds(
        self, side: str, quantity: Decimal, from_ns: int, to_ns: int, venues: tuple[str, ...]
    ) -> tuple[Decimal, Decimal]:
        """The least and the most that the average all-in price can be, in the order of cheapness for a taker of `side`."""
        spans = {venue: self._span(venue, side, from_ns, to_ns) for venue in venues}
        best = _average([_envelope(curves, max) for curves in spans.values()], side, quantity)
        worst = _average([_envelope(curves, min) for curves in spans.values()], side, quantity)
        return (best, worst) if side == "buy" else (worst, best)

    def _span(self, venue: str, side: str, from_ns: int, to_ns: int) -> list[Curve]:
        """What was shown in a span, and what stood at its beginning."""
        moments = list(self._kept[venue])
        first = max(0, bisect_left([moment.at_ns for moment in moments], from_ns) - 1)
        span = [moment.levels[side] for moment in moments[first:] if moment.at_ns <= to_ns]
        return [self._curve(venue, side, levels) for levels in span]


def _envelope(curves: list[Curve], choose: Any) -> list[tuple[Decimal, Decimal]]:
    """(price, size up to it) at every price of any curve: the most or the least of them all."""
    buying = len(curves[0]) < 2 or curves[0][0][0] <= curves[0][-1][0]
    prices = sorted({price for curve in curves for price, _ in curve}, reverse=not buying)
    at, out = [0] * len(curves), []
    for price in prices:
        sizes = []
        for number, curve in enumerate(curves):
            while at[number] < len(curve) and (
                curve[at[number]][0] <= price if buying else curve[at[number]][0] >= price
            ):
                at[number] += 1
            sizes.append(curve[at[number] - 1][1] if at[number] else ZERO)
        out.append((price, choose(sizes)))
    return out


def _average(supplies: list[Curve], side: str, quantity: Decimal) -> Decimal:
    """Average price of a size over several supplies; beyond them at a price that nobody would trade at."""
    offers = []
    for supply in supplies:
        before = ZERO
        for price, upto in supply:
            if upto > before:
                offers.append((price, upto - before))
                before = upto
    offers.sort(reverse=side == "sell")
    left, money = quantity, ZERO
    for price, size in offers:
        taken = min(left, size)
        money, left = money + taken * price, left - taken
        if not left:
            return money / quantity
    return Decimal("Infinity") if side == "buy" else ZERO
