"""Fat finger: the most of the quote currency (quantity × price) in one quote, trade or child."""

from __future__ import annotations

from risk.checks.base import ALL_STAGES, Breach, Check, Look
from risk.decision import Stage
from risk.exact import plain, times


def run(look: Look) -> str | Breach:
    """Refuses a value above `max_notional` (client) or `max_child_notional` (child)."""
    limits = look.symbol_limits
    most = limits.max_child_notional if look.intent.stage is Stage.CHILD else limits.max_notional
    notional = times(look.intent.quantity, look.intent.price)
    if notional > most:
        value, limit = plain(notional), plain(most)
        return Breach(value, limit, f"notional {value} over {limit} {look.pair.quote}")
    return plain(most)


CHECK = Check("notional", ALL_STAGES, "2 Max order notional", "R6 15(1)(b)", "max_notional, max_child_notional", run)
