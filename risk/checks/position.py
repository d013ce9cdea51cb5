"""The hard band of inventory per currency, counting what is already promised in the same direction.

A client's quote counts every other open quote, trade and child that moves inventory its way. A trade and a child
count trades and children only: the quotes still open must not keep the desk from hedging. What reduces inventory
always fits the band. The base currency must have a band; the quote currency is held to its own where it has one
(ETH/BTC moves the desk's BTC as much as BTC/USDT does).
"""

from __future__ import annotations

from decimal import Decimal

from risk.checks.base import ALL_STAGES, Breach, Check, Look
from risk.decision import Stage
from risk.exact import add, plain, times
from risk.state import inventory_of, paid_for


def run(look: Look) -> str | Breach:
    """Refuses when |position| could pass `max_position` of a currency; a base currency without a band passes nothing."""
    intent, base, quote = look.intent, look.pair.base, look.pair.quote
    band = look.limits.max_position.get(base)
    if band is None:
        return Breach(base, "no band", f"{base} has no position limit: nothing may be traded in it")
    move = inventory_of(intent, intent.quantity)
    if not move:  # worked for somebody else
        return plain(band)
    found = _beyond(look, base, move, band)
    if found is None and (of_quote := look.limits.max_position.get(quote)) is not None:
        found = _beyond(look, quote, paid_for(move, times(intent.quantity, intent.price)), of_quote)
    return found or plain(band)


def _beyond(look: Look, currency: str, move: Decimal, band: Decimal) -> Breach | None:
    state = look.state
    ahead = add(state.firm.ahead(currency, move), abs(move))
    if look.intent.stage is Stage.QUOTE:
        ahead = add(ahead, state.quoted.ahead(currency, move))
    worst = add(state.position(currency), ahead if move > 0 else -ahead)
    if (worst <= band) if move > 0 else (worst >= -band):
        return None
    value, limit = plain(worst), plain(band)
    return Breach(value, limit, f"position {value} {currency}, all promises included, outside ±{limit}")


CHECK = Check("position", ALL_STAGES, "7 Position limit incl. pending", "FIA", "max_position", run)
