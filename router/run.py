"""Parents at work: where each stands in its cycle, found by parent or child id. Finished ones are kept a while for late reports."""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal
from enum import StrEnum

import msgspec

from adapters.nautilus.lp import LpQuote
from risk.exact import ZERO
from router.accounting import Work
from router.algos.step import Algo, Step
from router.orders import ParentState

KEPT = 2_000  # finished parents; the oldest is forgotten


class Phase(StrEnum):
    """Where a parent stands. RECORDED → ASKING → SENDING → WORKING → (WAITING → ASKING …) → DONE."""

    RECORDED = "recorded"  # waits for its record to be durable
    ASKING = "asking"  # LPs have been asked for quotes
    SENDING = "sending"  # children are being made
    WORKING = "working"  # children are out
    WAITING = "waiting"  # a timer will plan the rest
    DONE = "done"


class Later(msgspec.Struct, frozen=True, kw_only=True):
    """What of a plan waits for its first children: the quotes that were not used yet, what the rest is planned without, and why."""

    quotes: tuple[LpQuote, ...]
    without: frozenset[str]
    why: str = ""


class Run(msgspec.Struct, kw_only=True):
    """A parent at work. `stop`: why nothing new may be sent for it; empty while it goes on."""

    work: Work
    phase: Phase = Phase.RECORDED
    stop: str = ""
    why_not: str = ""  # why the last plan came to nothing
    fruitless: int = 0  # plans in a row that filled nothing
    sent: bool = False  # whether the last plan made children
    filled_before: Decimal = ZERO  # when the current plan was made
    later: Later | None = None  # what of the last plan has not left yet
    held: str = ""  # why nothing may be sent just now: a command is being written down, the desk is stopping
    cancelling: set[str] = msgspec.field(default_factory=set)  # children whose cancel is under way
    tried: bool = False  # a plan was made since the algo last waited
    algo: Algo | None = None
    step: Step | None = None  # what the algo said last
    tape_volume: Decimal = ZERO  # of the instrument's tape, when the schedule's own count began
    tape_seen: tuple[Decimal, Decimal] = (ZERO, ZERO)  # volume and turnover at the last observation

    @property
    def quiet(self) -> str:
        """Why nothing new may be sent just now; empty when it may."""
        return self.held or ("paused" if self.work.parent.state is ParentState.PAUSED else "")


class Runs:
    """All runs of this start of the desk."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._working: dict[str, Run] = {}
        self._of_child: dict[str, Run] = {}
        self._finished: OrderedDict[str, None] = OrderedDict()

    def add(self, run: Run) -> None:
        """Take a run in, with the children it has."""
        self._runs[run.work.parent.parent_id] = run
        self._working[run.work.parent.parent_id] = run
        for child_id in run.work.children:
            self._of_child[child_id] = run

    def add_child(self, run: Run, child_id: str) -> None:
        """A run has a new child."""
        self._of_child[child_id] = run

    def get(self, parent_id: str) -> Run | None:
        """The run of a parent."""
        return self._runs.get(parent_id)

    def of_child(self, child_id: str) -> Run | None:
        """The run a child belongs to."""
        return self._of_child.get(child_id)

    def working(self) -> list[Run]:
        """Runs that are not done, oldest first."""
        return list(self._working.values())

    def finished(self, run: Run) -> None:
        """A run is done: remember it until there are `KEPT` newer ones."""
        self._working.pop(run.work.parent.parent_id, None)
        self._finished[run.work.parent.parent_id] = None
        while len(self._finished) > KEPT:
            gone = self._runs.pop(self._finished.popitem(last=False)[0])
            for child_id in gone.work.children:
                self._of_child.pop(child_id, None)
