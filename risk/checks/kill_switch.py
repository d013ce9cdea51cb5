"""Halted: nothing new. Reducing: only what brings inventory towards zero. Everywhere, per venue or LP, per client; the
strictest wins.
"""

from __future__ import annotations

from risk.checks.base import ALL_STAGES, Breach, Check, Look
from risk.state import TradingState


def run(look: Look) -> str | Breach:
    """Refuses while a scope of the intent is halted, or reducing and the intent does not reduce."""
    for scope, trading in look.state.scopes(look.intent):
        match trading.state:
            case TradingState.HALTED:
                return Breach("halted", "active", f"{scope} is halted: {trading.reason or 'no reason given'}")
            case TradingState.REDUCING if not look.state.reduces(look.intent):
                return Breach("reducing", "active", f"{scope} only reduces: {trading.reason or 'no reason given'}")
            case _:
                pass
    return "active"


CHECK = Check("kill_switch", ALL_STAGES, "11 Kill switch", "R6 Art 12, FIA", "RiskState.trading, venues, clients", run)
