"""Fat finger: the most of the base currency in one quote, trade or child."""

from __future__ import annotations

from risk.checks.base import ALL_STAGES, Breach, Check, Look
from risk.decision import Stage
from risk.exact import plain


def run(look: Look) -> str | Breach:
    """Refuses a quantity above `max_quantity` (client) or `max_child_quantity` (child)."""
    limits = look.symbol_limits
    most = limits.max_child_quantity if look.intent.stage is Stage.CHILD else limits.max_quantity
    if look.intent.quantity > most:
        value, limit = plain(look.intent.quantity), plain(most)
        return Breach(value, limit, f"quantity {value} over {limit} {look.pair.base}")
    return plain(most)


CHECK = Check(
    "size", ALL_STAGES, "1 Max order quantity", "R6 15(1)(c), 15c3 (c)(1)(ii)", "max_quantity, max_child_quantity", run
)
