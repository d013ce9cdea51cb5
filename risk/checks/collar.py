"""Price collar against fair value.

QUOTE: both sides of fair (a price far off is an error, whoever it favours). TRADE: only to our harm, because a
price is firm and the market may have moved to our favour. CHILD: only through fair; a limit on the passive side
cannot do harm.
"""

from __future__ import annotations

from risk.checks.base import ALL_STAGES, Breach, Check, Look
from risk.decision import Stage
from risk.exact import BPS, EXACT, add, plain, times

NO_FAIR_VALUE = "no fair value"


def run(look: Look) -> str | Breach:
    """Refuses a price beyond the collar, or any price when there is no fair value."""
    intent, fair = look.intent, look.fair
    child = intent.stage is Stage.CHILD
    bps = look.symbol_limits.child_collar_bps if child else look.symbol_limits.quote_collar_bps
    if fair is None:
        return Breach(NO_FAIR_VALUE, f"{plain(bps)} bps", f"no fair value of {intent.symbol} to hold the price against")
    room = times(fair, times(bps, BPS))
    away = add(intent.price, -fair)  # > 0: above fair
    # our buy harms above fair, a client's buy (we sell) below it
    harm = away if (intent.side == "buy") is child else -away
    distance = abs(away) if intent.stage is Stage.QUOTE else harm
    if distance > room:
        seen = EXACT.divide(times(distance, 1 / BPS), fair)
        value, limit = f"{seen:.4f} bps", f"{plain(bps)} bps"
        return Breach(value, limit, f"price {plain(intent.price)} is {value} from fair {plain(fair)}, over {limit}")
    return f"{plain(bps)} bps"


CHECK = Check("collar", ALL_STAGES, "3 Price collar", "R6 15(1)(a), 15c3", "quote_collar_bps, child_collar_bps", run)
