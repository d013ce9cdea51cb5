"""What a check is: a name, the stages it guards, where the rule comes from, and a total function of a `Look`.

A check never changes anything. It returns the limit it held the intent against, as text, or a `Breach`. Sources: R6
= (EU) 2017/589 (RTS 6), 15c3 = SEC 17 CFR 240.15c3-5, FIA = FIA guide to automated trading (2015), UMIR = Canadian
UMIR 7.1.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from risk.decision import Intent, Stage
from risk.limits import RiskLimits, SymbolLimits
from risk.state import Pair, References, RiskState, pair_of

ALL_STAGES = (Stage.QUOTE, Stage.TRADE, Stage.CHILD)
CLIENT_STAGES = (Stage.QUOTE, Stage.TRADE)


class Breach(NamedTuple):
    """Why not: the value seen, the most (or least) allowed, and the sentence to show."""

    value: str
    limit: str
    message: str


class Look:
    """Everything a check may look at. `fair` and `age_ns` are asked of the references once, when first needed."""

    __slots__ = ("_age", "_fair", "buckets", "intent", "limits", "pair", "references", "seen", "state", "symbol_limits")

    def __init__(
        self,
        intent: Intent,
        limits: RiskLimits,
        state: RiskState,
        references: References,
        seen: OrderedDict[tuple[Stage, str], None],
        buckets: dict[tuple[Stage, str], int],
    ) -> None:
        self.intent = intent
        self.limits = limits
        self.state = state
        self.references = references
        self.seen = seen  # approved intents
        self.buckets = buckets  # (stage, venue or client) -> time (ns) at which its token bucket is full again
        self.symbol_limits: SymbolLimits = limits.of(intent.symbol)
        self.pair: Pair = pair_of(intent.symbol)
        self._fair: Decimal | None = None
        self._age: int | None = None

    @property
    def fair(self) -> Decimal | None:
        """Fair value of the symbol, None when there is none."""
        if self._fair is None:
            self._fair = self.references.fair(self.intent.symbol, self.intent.now_ns)
        return self._fair

    @property
    def age_ns(self) -> int | None:
        """Age of the book the intent leans on, None when none is live."""
        if self._age is None:
            self._age = self.references.book_age_ns(self.intent.symbol, self.intent.venue, self.intent.now_ns)
        return self._age


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the control matrix."""

    name: str
    stages: tuple[Stage, ...]
    control: str  # number and name of the control it implements
    source: str
    limit: str  # the fields of `RiskLimits` it reads, or what stands in for a limit
    run: Callable[[Look], str | Breach]
