"""The gate: every quote, trade and child order is an intent, and nothing happens without an `Approved` from here.

It promises: a decision for every intent (total), the same decisions for the same sequence of calls (no clock, no
randomness of its own), fail closed (no reference, no approval), and that what it approved counts against the limits
until it is filled, booked or released. It never blocks a cancel: cancels do not come here.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from decimal import Decimal

import msgspec

from risk.checks import CHECKS, Breach, Look
from risk.checks.rate import bucket_of, full_again_ns
from risk.decision import Approved, Decision, Intent, Refused, Stage, claim_press
from risk.limits import RiskLimits
from risk.state import References, RiskState

REMEMBERED = 200_000  # approved ids kept against duplicates; the oldest is forgotten (open reservations never are)

_mint = claim_press()


class Gate:
    """The ordered list of checks, and the only maker of `Approved`.

    `seed_id` starts every decision id: give each run of the desk its own. `listeners` hear every decision, in
    order; they must not raise. `approved` and `refused[check]` count since construction.
    """

    def __init__(self, limits: RiskLimits, state: RiskState, references: References, seed_id: str) -> None:
        self.limits = limits
        self.state = state
        self.references = references
        self.listeners: list[Callable[[Decision], None]] = []
        self.approved = 0
        self.refused: Counter[str] = Counter()
        self._seed_id = seed_id
        self._decisions = 0
        self._seen: OrderedDict[tuple[Stage, str], None] = OrderedDict()
        self._buckets: dict[tuple[Stage, str], int] = {}
        self._checks = {stage: tuple(check for check in CHECKS if stage in check.stages) for stage in Stage}

    def decide(self, intent: Intent) -> Decision:
        """Ask every check of the intent's stage in order; the first breach refuses. Approval reserves exposure."""
        self.state.expire(intent.now_ns)
        self._decisions += 1
        decision_id = f"{self._seed_id}-{self._decisions}"
        look = Look(intent, self.limits, self.state, self.references, self._seen, self._buckets)
        limits: dict[str, str] = {}
        decision: Decision
        for check in self._checks[intent.stage]:
            answer = check.run(look)
            if isinstance(answer, Breach):
                decision = Refused(
                    intent=intent,
                    decision_id=decision_id,
                    check=check.name,
                    value=answer.value,
                    limit=answer.limit,
                    message=answer.message,
                )
                self.refused[check.name] += 1
                break
            limits[check.name] = answer
        else:
            self._commit(look)
            decision = _mint(intent, decision_id, limits)
            self.approved += 1
        for listener in self.listeners:
            listener(decision)
        return decision

    def fill(self, intent_id: str, quantity: Decimal, stage: Stage = Stage.CHILD) -> bool:
        """`quantity` of a child was executed (or of a trade was booked): reserved becomes position. False: nothing is held for it."""
        held = self.state.shrink(stage, intent_id, quantity)
        if held is None:
            return False
        self.state.book(held.intent, quantity)
        return True

    def release(self, intent_id: str, unfilled: Decimal | None = None, stage: Stage = Stage.CHILD) -> None:
        """`unfilled` (default: all that is still held) will not happen any more. Unknown ids change nothing."""
        if unfilled is None:
            self.state.drop(stage, intent_id)
        elif unfilled > 0:
            self.state.shrink(stage, intent_id, unfilled)
        if stage is Stage.TRADE:
            self._seen.pop((stage, intent_id), None)  # a trade that was not booked may be tried again

    def adopt(self, intent: Intent) -> None:
        """Reserve what is already out there (an order of an earlier run, found open): no decision, no token."""
        self.state.drop(intent.stage, intent.intent_id)
        self._remember(intent)
        self.state.reserve(intent)

    def holds(self, approved: Approved) -> bool:
        """Whether the approval is this gate's and its exposure is still reserved: asked once more before an order
        leaves.
        """
        held = self.state.reservations.get((approved.intent.stage, approved.intent.intent_id))
        return held is not None and held.intent is approved.intent

    def _commit(self, look: Look) -> None:
        intent = look.intent
        self._remember(intent)
        match intent.stage:
            case Stage.QUOTE:
                self._buckets[bucket_of(intent, self.limits)[0]] = full_again_ns(look)
                if intent.reserve:
                    ends = intent.valid_until_ns or intent.now_ns + self.limits.quote_reserve_ms * 1_000_000
                    self.state.reserve(intent, ends)
            case Stage.CHILD:
                self._buckets[bucket_of(intent, self.limits)[0]] = full_again_ns(look)
                self.state.reserve(intent)
            case Stage.TRADE:
                self.state.reserve(intent)

    def _remember(self, intent: Intent) -> None:
        self._seen[(intent.stage, intent.intent_id)] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)


class ControlRow(msgspec.Struct, frozen=True):
    """One row of the control matrix."""

    check: str
    stages: str
    control: str
    limit: str
    source: str


def control_matrix() -> list[ControlRow]:
    """The checks as rows, in the order in which they are asked: the documentation is made from this."""
    return [
        ControlRow(check.name, ", ".join(check.stages), check.control, check.limit, check.source) for check in CHECKS
    ]


__all__ = ["Approved", "ControlRow", "Gate", "Intent", "Refused", "control_matrix"]
