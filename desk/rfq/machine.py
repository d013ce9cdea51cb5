"""The life of an RFQ as a closed table (CONTRACT 3.2). Nothing else decides what may follow what.

received ─→ quoted ─→ accepted ─→ filled
    │         ├─→ expired            ├─→ failed     (the trade could not be made durable: nothing happened)
    │         ├─→ cancelled          └─→ unknown    (durability not known: resolved at the next start)
    │         └─→ withdrawn  (halt)
    └─→ rejected · failed
"""

from __future__ import annotations

from desk.rfq.records import RfqRecord, RfqState

S = RfqState

TRANSITIONS: dict[RfqState, frozenset[RfqState]] = {
    S.RECEIVED: frozenset({S.QUOTED, S.REJECTED, S.FAILED}),
    S.QUOTED: frozenset({S.ACCEPTED, S.EXPIRED, S.CANCELLED, S.WITHDRAWN}),
    S.ACCEPTED: frozenset(
        {S.FILLED, S.QUOTED, S.FAILED, S.UNKNOWN}
    ),  # back to quoted: the trade was refused, the quote stands
    S.UNKNOWN: frozenset({S.FILLED, S.FAILED}),
    S.FILLED: frozenset(),
    S.REJECTED: frozenset(),
    S.EXPIRED: frozenset(),
    S.CANCELLED: frozenset(),
    S.WITHDRAWN: frozenset(),
    S.FAILED: frozenset(),
}


class IllegalTransition(RuntimeError):
    """A bug: somebody tried a step the table does not have."""


def advance(record: RfqRecord, state: RfqState, now_ns: int, reason: str = "") -> None:
    """Move a record to `state`, or raise `IllegalTransition` and leave it untouched."""
    if state not in TRANSITIONS[record.state]:
        raise IllegalTransition(f"RFQ {record.rfq_id}: {record.state} → {state}")
    record.state = state
    record.updated_ns = now_ns
    if reason:
        record.reason = reason


def terminal(state: RfqState) -> bool:
    """Whether nothing can follow."""
    return not TRANSITIONS[state]
