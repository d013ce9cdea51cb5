"""Bugs that a desk of this kind can have, each put into a running node through a named seam and taken out again: the suite must see
every one.

price past a clear        a book that was cleared is priced from as before
reject on unknown         an order that brought no answer is taken for never having been: its rest is sent again
let go of unknown         an order that is unknown keeps no exposure reserved
book twice                an execution is booked under two ids, as by a stream and a query that name it differently
book not at all           an execution is taken for booked, and is not
leave the fee out         what a venue charges is not in the price of a sweep
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from desk.ledger.journal import RouterJournal
from pricing.consolidated import ConsolidatedBook
from risk.gate import Gate
from router.children import Children
from router.orders import ChildState
from sim.servers.faults import Fault, FaultOrder

NO_WORD = (  # neither the answer to an order nor the stream says what became of it
    FaultOrder(fault=Fault.HANG_AFTER_ACCEPT, count=3),
    FaultOrder(fault=Fault.DROP_FRAMES, count=40, scope="private"),
)
Bug = Callable[[contextlib.ExitStack], None]


def _put(stack: contextlib.ExitStack, owner: Any, name: str, value: Any) -> None:
    """Replace an attribute of a class until the stack is left."""
    stack.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)


def price_past_a_clear(stack: contextlib.ExitStack) -> None:
    """Seam: `ConsolidatedBook.clear`."""
    _put(stack, ConsolidatedBook, "clear", lambda self, venue, reason, ts_ns: None)


def reject_on_unknown(stack: contextlib.ExitStack) -> None:
    """Seam: `Children._overdue`."""

    def hasty(self: Any, run: Any, child: Any, why: str = "") -> None:
        self._finish(run, child, ChildState.REJECTED, why or "no answer")

    _put(stack, Children, "_overdue", hasty)


def let_go_of_unknown(stack: contextlib.ExitStack) -> None:
    """Seam: `Children._overdue`, which gives the reservation back."""
    overdue = Children._overdue

    def careless(self: Any, run: Any, child: Any, why: str = "") -> None:
        gate: Gate = self.gate
        gate.release(child.child_id)
        overdue(self, run, child, why)

    _put(stack, Children, "_overdue", careless)


def book_twice(stack: contextlib.ExitStack) -> None:
    """Seam: `RouterJournal.fill`."""
    fill = RouterJournal.fill

    def doubled(self: Any, execution: Any, parent_id: str) -> bool:
        fill(self, msgspec.structs.replace(execution, trade_id=f"{execution.trade_id}.0"), parent_id)
        return fill(self, execution, parent_id)

    _put(stack, RouterJournal, "fill", doubled)


def book_not_at_all(stack: contextlib.ExitStack) -> None:
    """Seam: `RouterJournal.fill`."""
    _put(stack, RouterJournal, "fill", lambda self, execution, parent_id: True)


def leave_the_fee_out(stack: contextlib.ExitStack) -> None:
    """Seam: `ConsolidatedBook.fees`."""
    _put(stack, ConsolidatedBook, "fees", lambda self: [0] * len(self.venues))


# each with the faults that bring it out, and a word of the rule that sees it
BUGS: dict[str, tuple[Bug, tuple[FaultOrder, ...], str]] = {
    "price past a clear": (price_past_a_clear, (FaultOrder(fault=Fault.DISCONNECT),), "had given up"),
    "reject on unknown": (reject_on_unknown, NO_WORD, "was to trade"),
    "let go of unknown": (let_go_of_unknown, NO_WORD, "is unknown"),
    "book twice": (book_twice, (), "no venue has it"),
    "book not at all": (book_not_at_all, (), "not booked"),
    "leave the fee out": (leave_the_fee_out, (), "the venues show"),
}
# what is put in together: one episode each
TOGETHER = (
    ("let go of unknown", "leave the fee out"),
    ("reject on unknown", "book twice"),
    ("price past a clear", "book not at all"),
)


@contextlib.contextmanager
def planted(names: tuple[str, ...]) -> Iterator[None]:
    """These bugs are in the desk while this is open."""
    with contextlib.ExitStack() as stack:
        for name in names:
            BUGS[name][0](stack)
        yield
