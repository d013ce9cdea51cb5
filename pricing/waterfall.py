"""The waterfall: from fair value to price in eight named steps, in quote currency per unit of base.

    sweep              fee-adjusted sweep VWAP − fair
    impact             displayed depth is not all real: impact_bps × √(size / displayed)
    volatility         k·σ·√(TTL + hedge time)·fair: the option a firm quote gives away
    skew               −slope × inventory: the same on both sides
    adverse_selection  expected markout of this flow
    credit             settlement tenor and counterparty
    markup             the client's tier, and what the least spread asks on top
    rounding           to the tick, against the client

Identity, exact in decimals: fair + Σ steps = price. Steps are signed as they move the price: costs up for a client's
buy, down for a sell.
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
