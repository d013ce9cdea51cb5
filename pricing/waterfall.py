"""The waterfall: from fair value to price in eight named steps, in quote currency per unit of base.

    sweep              fee-adjusted VWAP of the displayed depth and LP rungs − fair                        `pricing.sweep`
    impact             VWAP of the depth that is real − VWAP displayed, + impact_bps·√(size/displayed)     `pricing.haircut`
    volatility         k·σ·√(TTL + hedge time)·fair: the option a firm quote gives away                    `pricing.charges`
    skew               inventory: linear, Guéant–Lehalle–Fernandez-Tapia, Barzykin–Bergault–Guéant         `pricing.skew`
    adverse_selection  expected markout of this client's flow, shrunk to its tier's                        `pricing.adverse`
    credit             fixed + tenor × funding + use of the credit line                                    `pricing.credit`
    markup             tier × size bucket or tuned, floor and ceiling, ticket/size, what the least spread and
                       smaller sizes of its ladder ask on top                                              `pricing.winning`
    rounding           to the tick, against the client

Identity, exact in decimals: fair + Σ steps = price. Steps are signed as they move the price: costs up for a client's
buy, down for a sell. Formulas and their papers stand in the modules named.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from pricing.scale import EXACT

Waterfall = tuple[tuple[str, Decimal], ...]

STEPS = ("sweep", "impact", "volatility", "skew", "adverse_selection", "credit", "markup", "rounding")


def round_against(price: Decimal, tick: Decimal, side: str) -> Decimal:
    """`price` on the grid of `tick`: up when the client buys, down when it sells."""
    whole = (price / tick).to_integral_value(ROUND_CEILING if side == "buy" else ROUND_FLOOR)
    return EXACT.multiply(whole, tick)


def build(fair: Decimal, steps: Mapping[str, Decimal], side: str, tick: Decimal) -> tuple[Decimal, Waterfall]:
    """(price, waterfall) of the given steps (all but rounding, missing ones are zero)."""
    ordered = [(step, steps.get(step, Decimal(0))) for step in STEPS[:-1]]
    raw = fair
    for _, amount in ordered:
        raw = EXACT.add(raw, amount)
    price = round_against(raw, tick, side)
    return price, (*ordered, ("rounding", EXACT.subtract(price, raw)))
