"""A ladder in words: the waterfall of every price as a table, and what each step changed.

The counterfactual of a step is the whole ladder priced without it, least spread, rounding and monotony included: what
the client would have been shown. It is not the step's amount: where the least spread or the tick binds, leaving a
step out may change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from pricing.ladder import NoPrice, Priced
from pricing.offline import OfflineLadder, OfflinePricer, text
from pricing.scale import EXACT
from pricing.waterfall import STEPS

Counterfactuals = dict[str, OfflineLadder]
NAMES = {"sell": "bid", "buy": "ask"}


def counterfactuals(pricer: OfflinePricer) -> Counterfactuals:
    """The ladder without each step, by step."""
    return {step: pricer.ladder(without=step) for step in STEPS}


def changes(ladder: OfflineLadder, others: Counterfactuals, rung: int, side: str) -> dict[str, Decimal | None]:
    """By step: price − price without the step; None when there is no price without it."""
    priced = ladder.rungs[rung].sides[side]
    assert isinstance(priced, Priced)
    found: dict[str, Decimal | None] = {}
    for step, other in others.items():
        without = other.rungs[rung].sides[side]
        found[step] = EXACT.subtract(priced.price, without.price) if isinstance(without, Priced) else None
    return found


def table(pricer: OfflinePricer, ladder: OfflineLadder, others: Counterfactuals) -> Iterator[str]:
    """Lines for a person, numbers aligned."""
    yield f"{pricer.request.instrument}: fair {text(ladder.fair)}, amounts in quote currency per unit of base"
    for lp, name, side in ladder.quotes:
        yield f"quote {name} of {lp}: we may {side} from it"
    for i, rung in enumerate(ladder.rungs):
        for side in ("sell", "buy"):
            priced = rung.sides.get(side)
            if priced is None:
                continue
            heading = f"{text(rung.quantity)} {NAMES[side]}"
            if isinstance(priced, NoPrice):
                yield f"{heading}: none: {priced.message}"
                continue
            yield f"{heading}: from {', '.join(priced.sources)}"
            yield from _steps(ladder.fair, priced, changes(ladder, others, i, side))


def _steps(fair: Decimal, priced: Priced, changed: dict[str, Decimal | None]) -> Iterator[str]:
    running = fair
    rows = [("step", "amount", "bps", "price so far", "without it", "it changed"), ("fair", "", "", text(fair), "", "")]
    for step, amount in priced.waterfall:
        running = EXACT.add(running, amount)
        change = changed[step]
        without = "no price" if change is None else text(EXACT.subtract(priced.price, change))
        bps = f"{amount / fair * 10_000:.3f}"
        rows.append((step, text(amount), bps, text(running), without, "" if change is None else text(change)))
    rows.append(("price", text(EXACT.subtract(priced.price, fair)), "", text(priced.price), "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield "  " + "  ".join(cells).rstrip()
