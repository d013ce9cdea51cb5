"""The checks of the gate, one a file, in the order in which they are asked: sense first, then the cheap and final,
tokens last.
"""

from __future__ import annotations

from risk.checks import (
    client_notional,
    collar,
    duplicate,
    finite,
    kill_switch,
    loss,
    notional,
    open_notional,
    position,
    rate,
    size,
    staleness,
)
from risk.checks.base import Breach, Check, Look

CHECKS: tuple[Check, ...] = (
    finite.CHECK,
    kill_switch.CHECK,
    duplicate.CHECK,
    staleness.CHECK,
    size.CHECK,
    notional.CHECK,
    collar.CHECK,
    position.CHECK,
    open_notional.CHECK,
    client_notional.CHECK,
    loss.CHECK,
    rate.CHECK,
)

__all__ = ["CHECKS", "Breach", "Check", "Look"]
