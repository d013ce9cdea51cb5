"""What others say to the router, and what it needs from whoever owns it.

    start     bus.send(topics.ROUTER_PARENT, ParentRequest(parent_id=…, algo=Twap(interval_ms=30_000), …)); without `algo` it sweeps now
    follow    topic PARENT: a copy of `ParentOrder` at every transition, with `state` (working, paused, cancelling, done), `filled`,
              `standing` (where its schedule stands) and `benchmark` (what it is measured against); CHILD and FILL for its orders
    command   bus.send(topics.ROUTER_COMMAND, ParentCommand(parent_id=…, kind=CommandKind.PAUSE, reply=…)): answered once, when the
              change is on disk and in force, or at once when it is refused

What a client calls an order: market is no `algo` and no limit; an immediate limit no `algo` with `limit_price`; a limit order that rests
(gtc; gtd by its deadline) an `Iceberg` whose `display` is the whole quantity; twap, vwap, pov, iceberg, is: the algo of that name.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from adapters.nautilus.outcome import VenueFill
from router.algos.spec import AlgoSpec
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
    route_id: str = ""  # of the legs that make one exposure together; "" = it is worked in one instrument
    route_reason: str = ""  # why this route, in words
    account: str = ""  # whose fills these are: "" the desk's inventory, else "client:<id>" or "book:<name>"
    commission_bps: Decimal = Decimal(0)
    algo: AlgoSpec | None = None  # how it is worked; None: swept now


class CommandKind(StrEnum):
    """What may be asked of a parent that is not done."""

    PAUSE = "pause"  # send nothing new, cancel what rests; what takes ends by itself
    RESUME = "resume"  # the schedule is laid anew over what is left, to the same end
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
    """Endpoint `topics.ROUTER_COMMAND`. `reply` is called once, on the loop thread. None in an amendment: as it is.

    Asking again for what is so already is taken. While one command of a parent is being written down, another is refused.
    """

    parent_id: str
    kind: CommandKind
    reply: Callable[[CommandTaken | CommandRefused], None]
    quantity: Decimal | None = None  # AMEND: never below what is filled, open or unknown
    limit_price: Decimal | None = None
    deadline_ns: int | None = None
    end_ns: int | None = None  # AMEND: of the schedule
    urgency: float | None = None  # AMEND: of arrival; the risk aversion of is
    participation: Decimal | None = None  # AMEND: of pov


class Cross(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an order that meets the desk's own inventory."""

    quantity: Decimal  # base
    price: Decimal  # the fair value, on a tick


class Crossing(Protocol):
    """Whoever takes the other side of orders that are worked for others, before any venue is asked."""

    def offer(self, symbol: str, side: str, quantity: Decimal, limit_price: Decimal | None) -> Cross | None:
        """What is taken of `quantity` now; None: nothing. Asked right before the cross is booked."""


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
