"""Drawdown stop: once the day's loss passes its limit, only what reduces inventory goes on."""

from __future__ import annotations

from risk.checks.base import ALL_STAGES, Breach, Check, Look
from risk.exact import ZERO, plain


def run(look: Look) -> str | Breach:
    """Refuses, unless the intent reduces, when a currency's loss is more than its `max_loss`."""
    for currency, most in look.limits.max_loss.items():
        loss = -look.state.pnl.get(currency, ZERO)
        if loss > most and not look.state.reduces(look.intent):
            value, limit = plain(loss), plain(most)
            return Breach(value, limit, f"loss of the day {value} over {limit} {currency}: only reducing")
    return ", ".join(f"{plain(most)} {currency}" for currency, most in look.limits.max_loss.items()) or "off"


CHECK = Check("loss", ALL_STAGES, "16 Loss limit", "desk practice", "max_loss", run)
