"""What others say to the router, and what it needs from whoever owns it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from adapters.nautilus.outcome import VenueFill
from router.orders import ChildOrder, ParentOrder


class ParentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Work `quantity` of `symbol`. The router plans, asks the gate, journals, submits, re-routes.

    It answers by topics PARENT, CHILD, FILL.
    """

    parent_id: str
    symbol: str
    side: str  # "buy" | "sell"
    quantity: Decimal  # base
    limit_price: Decimal | None  # never cross this, fee excluded; None = the gate's collar only
    deadline_ns: int  # after it, what is left is given back (state "done", leaves > 0)
    reason: str  # "hedge", "operator", …
    rfq_id: str = ""
    account: str = ""  # whose fills these are: "" the desk's inventory, else "client:<id>" or "book:<name>"
    commission_bps: Decimal = Decimal(0)


class CommandKind(StrEnum):
    """What may be asked of a parent that is not done."""

    PAUSE = "pause"  # send nothing new; what is open ends by itself
    RESUME = "resume"
    CANCEL = "cancel"  # send nothing new, cancel what is open, be done when nothing of it is open or unknown
    AMEND = "amend"


class CommandTaken(msgspec.Struct, frozen=True):
    """The command is durable and in force."""

    parent_id: str


class CommandRefused(msgspec.Struct, frozen=True):
    """Nothing changed, and why."""

    parent_id: str
    reason: str


class ParentCommand(msgspec.Struct, frozen=True, kw_only=True):
    """Endpoint `topics.ROUTER_COMMAND`. `reply` is called once, on the loop thread. None in an amendment: as it is."""

    parent_id: str
    kind: CommandKind
    reply: Callable[[CommandTaken | CommandRefused], None]
    quantity: Decimal | None = None  # AMEND: never below what is filled, open or unknown
    limit_price: Decimal | None = None
    deadline_ns: int | None = None


class Journal(Protocol):
    """Durable memory of the router. `then` runs on the loop thread once the record is on disk (at once in a replay)."""

    def parent(self, parent: ParentOrder, then: Callable[[], None] | None = None) -> None:
        """Write a parent order's state."""

    def child(self, child: ChildOrder, then: Callable[[], None] | None = None) -> None:
        """Write a child order's state; the order is sent from `then`, never before."""

    def fill(self, fill: VenueFill, parent_id: str) -> bool:
        """Book an execution exactly once: the same (venue, symbol, trade_id) again changes nothing and gives False."""

    def cross(self, fill: VenueFill, parent: ParentOrder, child: ChildOrder) -> bool:
        """Book an internal cross with the child it fills and its parent, all three or none; False: booked before."""

    def open_parents(self) -> list[tuple[ParentOrder, list[ChildOrder]]]:
        """Parents not done at the last stop, with their children, for recovery."""
