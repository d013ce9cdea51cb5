"""What a command makes of a parent: a changed parent, nothing to change, or a refusal. Pure; the router writes it down and acts on it.

    pause     working → paused                     resume    paused → working
    cancel    working, paused → cancelling         amend     quantity, limit, deadline, end of the schedule, urgency, participation

Never below what is filled, open or unknown; never an end in the past; never a number that makes no sense.
"""

from __future__ import annotations

from copy import copy
from typing import assert_never

import msgspec

from risk.exact import measurable
from router.accounting import Work
from router.algos.spec import AlgoSpec, ArrivalPrice, Iceberg, ImplementationShortfall, Pov
from router.messages import CommandKind, CommandRefused, ParentCommand
from router.orders import ParentOrder, ParentState


def decide(command: ParentCommand, work: Work, now_ns: int) -> ParentOrder | CommandRefused | None:
    """The parent as the command wants it (a copy), why not, or None: it is so already."""
    parent = work.parent
    match parent.state:
        case ParentState.DONE:
            return _no(command, "it is done")
        case ParentState.CANCELLING:
            return None if command.kind is CommandKind.CANCEL else _no(command, f"it is being ended: {parent.stopped}")
        case ParentState.WORKING | ParentState.PAUSED:
            pass
        case _:
            assert_never(parent.state)
    changed = copy(parent)
    changed.updated_ns = now_ns
    match command.kind:
        case CommandKind.PAUSE:
            changed.state = ParentState.PAUSED
        case CommandKind.RESUME:
            changed.state = ParentState.WORKING
        case CommandKind.CANCEL:
            changed.state, changed.stopped = ParentState.CANCELLING, "cancelled"
        case CommandKind.AMEND:
            if (reason := _amend(command, work, changed, now_ns)) is not None:
                return _no(command, reason)
        case _:
            assert_never(command.kind)
    changed.updated_ns = parent.updated_ns
    if changed == parent:
        return None
    changed.updated_ns = now_ns
    return changed


def _amend(command: ParentCommand, work: Work, changed: ParentOrder, now_ns: int) -> str | None:
    """Put the amendment into `changed`; why not, if so."""
    quantity, limit = command.quantity, command.limit_price
    if quantity is not None:
        if not measurable(quantity) or quantity <= 0:
            return "a quantity is a number greater than zero"
        if quantity < work.released:
            return f"{work.released:f} is filled, open or unknown already"
        changed.quantity = quantity
    if limit is not None:
        if not measurable(limit) or limit <= 0:
            return "a limit price is a number greater than zero"
        changed.limit_price = limit
    if command.deadline_ns is not None:
        if command.deadline_ns <= now_ns:
            return "a deadline lies in the future"
        changed.deadline_ns = command.deadline_ns
    try:
        changed.algo = _amended(command, changed.algo)
    except ValueError as fault:
        return str(fault)
    if command.end_ns is not None and not now_ns < command.end_ns <= changed.deadline_ns:
        return "the end of a schedule lies in the future, and not after the deadline"
    return None


def _amended(command: ParentCommand, algo: AlgoSpec | None) -> AlgoSpec | None:
    """The spec with the new end, urgency or participation; ValueError when it has none."""
    if command.end_ns is not None:
        if algo is None:
            raise ValueError("a sweep has no schedule: amend its deadline")
        algo = msgspec.structs.replace(algo, end_ns=command.end_ns)
    if command.urgency is not None:
        match algo:
            case ArrivalPrice():
                algo = msgspec.structs.replace(algo, urgency=command.urgency)
            case ImplementationShortfall():
                algo = msgspec.structs.replace(algo, risk_aversion=command.urgency)
            case _:
                raise ValueError("only arrival and is have an urgency")
    if command.participation is not None:
        if not isinstance(algo, Pov):
            raise ValueError("only pov has a participation")
        algo = msgspec.structs.replace(algo, participation=command.participation)
    return algo


def laid_anew(before: ParentOrder, after: ParentOrder) -> bool:
    """Whether the change calls for a new schedule: other amounts, ends or numbers, or going on after a pause."""
    if after.algo is None or after.state is not ParentState.WORKING:
        return False
    resumed = before.state is ParentState.PAUSED
    ends = before.deadline_ns != after.deadline_ns and not after.algo.end_ns
    return resumed or ends or before.algo != after.algo or (before.quantity != after.quantity)


def needs_limit(algo: AlgoSpec | None) -> bool:
    """Whether the algo cannot work without a limit price."""
    return isinstance(algo, Iceberg)


def _no(command: ParentCommand, reason: str) -> CommandRefused:
    return CommandRefused(command.parent_id, reason)
