"""Parent and child orders: closed states, exact accounting, no I/O.

    child:   NEW → SENT → ACKED → PARTIAL → FILLED                 (one that rests may lie in ACKED and PARTIAL as long as it is wanted)
                      ↘ REJECTED · CANCELLED · EXPIRED (terminal, with what was filled)
                      ↘ UNKNOWN (timeout, 5xx, lost connection): reserved, queried, never re-sent; proven → terminal
    parent:  WORKING ⇄ PAUSED
                ↘ CANCELLING → DONE     (cancelled, halted, past its deadline: nothing new, waits for what is open or unknown)
                ↘ DONE                  (filled, or given back with leaves > 0)

Invariants: 0 ≤ filled ≤ quantity for each child; Σ child filled = parent filled; filled + Σ open or unknown leaves ≤ parent quantity.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from router.algos.benchmark import Benchmark
from router.algos.spec import AlgoSpec, Standing

INTERNAL = "INTERNAL"  # the venue of a cross with the desk's own inventory: no order leaves the house


class ChildState(StrEnum):
    """Where a child order stands."""

    NEW = "new"
    SENT = "sent"
    ACKED = "acked"
    PARTIAL = "partial"
    FILLED = "filled"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def terminal(self) -> bool:
        """Whether the order can fill no more."""
        return self in (ChildState.FILLED, ChildState.REJECTED, ChildState.CANCELLED, ChildState.EXPIRED)


class ParentState(StrEnum):
    """Where a parent order stands."""

    WORKING = "working"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    DONE = "done"


class ChildOrder(msgspec.Struct, kw_only=True):
    """One order at one venue or LP. `child_id` is the client order id sent to the venue."""

    child_id: str
    parent_id: str
    venue: str
    symbol: str
    side: str
    quantity: Decimal
    limit_price: Decimal
    quote_id: str = ""  # LP child: the quote it accepts
    resting: bool = False  # lies in the venue's book until it fills or is taken back
    post_only: bool = False
    state: ChildState = ChildState.NEW
    filled: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)  # Σ price × quantity of the fills
    reason: str = ""
    created_ns: int = 0
    updated_ns: int = 0
    why: str = ""  # what the plan said: its part in it, and why it left before or after the others
    haircut_ppm: int = 0  # of the displayed depth, that the plan did not count on

    @property
    def leaves(self) -> Decimal:
        """What may still fill."""
        return Decimal(0) if self.state.terminal else self.quantity - self.filled


class ParentOrder(msgspec.Struct, kw_only=True):
    """What was asked of the router, and how far it is."""

    parent_id: str
    symbol: str
    side: str
    quantity: Decimal
    limit_price: Decimal | None
    deadline_ns: int
    reason: str
    rfq_id: str = ""
    state: ParentState = ParentState.WORKING
    filled: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)
    arrival_mid: Decimal | None = None  # fair value when the parent arrived, for TCA
    created_ns: int = 0
    updated_ns: int = 0
    attempts: int = 0
    account: str = ""  # whose order this is: "" the desk's inventory, else "client:<id>" or "book:<name>"
    commission_bps: Decimal = Decimal(0)  # of each fill's notional, from `account` to the desk
    algo: AlgoSpec | None = None  # how it is worked, estimates filled in; None: swept now
    standing: Standing | None = None  # where its schedule stands
    benchmark: Benchmark | None = None  # what it is measured against, while it has an algo
    stopped: str = ""  # CANCELLING, and DONE with something left: why
    route_id: str = ""  # of the legs that make one exposure together
    route_reason: str = ""  # why this route, in words
