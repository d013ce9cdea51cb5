"""Client credit: net unsettled trades plus everything the client could still make of open quotes in the same
direction.
"""

from __future__ import annotations

from risk.checks.base import CLIENT_STAGES, Breach, Check, Look
from risk.exact import ZERO, add, plain, times


def run(look: Look) -> str | Breach:
    """Refuses when the client's exposure in the quote currency could pass its limit."""
    intent, state = look.intent, look.state
    key = (intent.client_id, look.pair.quote)
    most = look.limits.of_client(intent.client_id)
    owed = times(intent.quantity, intent.price)
    move = owed if intent.side == "buy" else -owed
    ahead = add(state.client_notional.ahead(key, move), owed)
    taken = state.quote_behind(intent)
    if taken is not None and intent.stage is CLIENT_STAGES[1]:
        ahead = add(ahead, -taken.notional)  # the quote's own reservation becomes the trade
    worst = abs(add(state.exposure.get(key, ZERO), ahead if move > 0 else -ahead))
    if worst > most:
        value, limit = plain(worst), plain(most)
        return Breach(value, limit, f"client notional {value} over {limit} {look.pair.quote}")
    return plain(most)


CHECK = Check(
    "client_notional", CLIENT_STAGES, "6 Credit thresholds per client", "15c3 (c)(1)(i)", "client_notional", run
)
