"""An intent must make sense before anything is compared: NaN, infinite, zero, negative or absurdly long numbers go no
further.
"""

from __future__ import annotations

from risk.checks.base import ALL_STAGES, Breach, Check, Look
from risk.decision import Stage
from risk.exact import measurable

SHAPE = "a number > 0, at most 21 digits before and 18 after the point"


def run(look: Look) -> str | Breach:
    """Refuses what is not a well-formed intent."""
    intent = look.intent
    for name, number in (("quantity", intent.quantity), ("price", intent.price)):
        if not measurable(number) or number <= 0:
            seen = str(number)[:48]
            return Breach(seen, SHAPE, f"{name} {seen} is not {SHAPE}")
    if intent.side not in ("buy", "sell"):
        return Breach(str(intent.side)[:48], "buy or sell", "side is neither buy nor sell")
    if not look.pair.base:
        return Breach(str(intent.symbol)[:48], "BASE/QUOTE", "symbol does not name two currencies")
    if not intent.intent_id:
        return Breach("none", "an id", "the intent has no id")
    if intent.stage is Stage.CHILD and not intent.venue:
        return Breach("none", "a venue or LP", "the child order has no venue")
    if intent.stage is not Stage.CHILD and not intent.client_id:
        return Breach("none", "a client", "the quote or trade has no client")
    return SHAPE


CHECK = Check("finite", ALL_STAGES, "22 Decision must be total", "UMIR checklist", "none: always on", run)
