"""Each intent is approved once: the same id at the same stage again is a fault of the sender."""

from __future__ import annotations

from risk.checks.base import ALL_STAGES, Breach, Check, Look


def run(look: Look) -> str | Breach:
    """Refuses an id that was approved before (of the last `risk.gate.REMEMBERED` approvals, and of all open
    reservations).
    """
    key = (look.intent.stage, look.intent.intent_id)
    if key in look.seen or key in look.state.reservations:
        return Breach(look.intent.intent_id, "once", f"{look.intent.stage} {look.intent.intent_id} was approved before")
    return "once"


CHECK = Check("duplicate", ALL_STAGES, "9 Duplicate order detection", "15c3 (c)(1)(ii)", "none: always on", run)
