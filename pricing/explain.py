"""A ladder in words: formulas, the waterfall of every price as a table with its inputs, and what each step changed.

The counterfactual of a step is the whole ladder priced without it, least spread, rounding and monotony included: what
the client would have been shown. It is not the step's amount: where the least spread or the tick binds, leaving a
step out may change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from pricing.charges import plain as text
from pricing.ladder import NoPrice, Priced
from pricing.offline import OfflineLadder, OfflinePricer
from pricing.scale import EXACT
from pricing.waterfall import STEPS

Counterfactuals = dict[str, OfflineLadder]
NAMES = {"sell": "bid", "buy": "ask"}
FORMULAS = {
    "sweep": "all-in VWAP of the displayed depth and LP rungs − fair; sizes in base, fees in bps of the notional",
    "impact": "VWAP of the real depth − displayed VWAP, + impact_bps × √(size / displayed) × fair; sizes in base",
    "volatility": "k × σ × √(TTL + hedge time) × fair; σ in bps per √s, times in s",
    "skew": "shift by inventory × fair, in bps: linear, GLFT or Barzykin–Bergault–Guéant; inventory in parts of the hard band",
    "adverse_selection": "(n × own markout + n₀ × tier's) / (n + n₀) × fair, at least 0; markouts as costs, in bps",
    "credit": "(credit_bps + tenor / 365 d × funding + use of the line × utilisation_bps) × fair",
    "markup": "tier × size bucket or tuned, floor to ceiling, × fair; + ticket / size; + what the least spread or a smaller size asks",
    "rounding": "to the tick, in quote currency, against the client",
}


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
    """Lines for a person, numbers aligned: formulas, then each price step by step, and what it would be without each."""
    yield f"{pricer.request.instrument}: fair {text(ladder.fair)}, amounts in quote currency per unit of base"
    for step in STEPS:
        yield f"  {step:<18}{FORMULAS[step]}"
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
            changed = changes(ladder, others, i, side)
            yield from _steps(ladder.fair, priced)
            for step, change in changed.items():
                yield f"    {_counterfactual(NAMES[side], step, priced, change)}"


def _counterfactual(name: str, step: str, priced: Priced, change: Decimal | None) -> str:
    what = step.replace("_", " ")
    if change is None:
        return f"without {what} there would be no {name}"
    if not change:
        return f"without {what} the {name} would be the same"
    without = EXACT.subtract(priced.price, change)
    return f"without {what} the {name} would be {text(without)} ({change / priced.fair * 10_000:+.3f} bps)"


def _steps(fair: Decimal, priced: Priced) -> Iterator[str]:
    running = fair
    rows = [("step", "amount", "bps", "price so far", "inputs"), ("fair", "", "", text(fair), "")]
    for (step, amount), inputs in zip(priced.waterfall, priced.inputs, strict=True):
        running = EXACT.add(running, amount)
        rows.append((step, text(amount), f"{amount / fair * 10_000:.3f}", text(running), inputs))
    total = EXACT.subtract(priced.price, fair)
    rows.append(("price", text(total), f"{total / fair * 10_000:.3f}", text(priced.price), ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in (1, 2, 3)), row[4]]
        yield "  " + "  ".join(cells).rstrip()
