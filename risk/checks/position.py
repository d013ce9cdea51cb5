"""The hard band of inventory per base currency, counting what is already promised in the same direction.

A client's quote counts every other open quote, trade and child that moves inventory its way. A trade and a child
count trades and children only: the quotes still open must not keep the desk from hedging. What reduces inventory
always fits the band.
"""

from __future__ import annotations

from risk.checks.base import ALL_STAGES, Breach, Check, Look
from risk.decision import Stage
from risk.exact import add, plain
from risk.state import inventory_of


def run(look: Look) -> str | Breach:
    """Refuses when |position| could pass `max_position` of the base currency; a currency without a band passes
    nothing.
    """
    intent, state, base = look.intent, look.state, look.pair.base
    band = look.limits.max_position.get(base)
    if band is None:
        return Breach(base, "no band", f"{base} has no position limit: nothing may be traded in it")
    move = inventory_of(intent, intent.quantity)
    if not move:  # worked for somebody else
        return plain(band)
    ahead = add(state.firm.ahead(base, move), abs(move))
    if intent.stage is Stage.QUOTE:
        ahead = add(ahead, state.quoted.ahead(base, move))
    worst = add(state.position(base), ahead if move > 0 else -ahead)
    if (worst > band) if move > 0 else (worst < -band):
        value, limit = plain(worst), plain(band)
        return Breach(value, limit, f"position {value} {base}, all promises included, outside ±{limit}")
    return plain(band)


CHECK = Check("position", ALL_STAGES, "7 Position limit incl. pending", "FIA", "max_position", run)
