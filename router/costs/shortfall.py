"""What an order cost, split exactly into its causes: implementation shortfall of children and parents.

Signs: s = +1 for a buy, −1 for a sell, ours. Every part is money in the quote currency, **positive when it cost us**.
A: fair value when the parent arrived. M: fair value when the child was decided. T: the best opposite price of the
child's venue at that moment. P(q): what the levels seen at that moment ask for the quantity q, best first, what is
beyond them at the child's limit (an LP: its quote). N, q: money and quantity of the fills. E: fair value at the end.

    timing       s·(M − A)·q        the market moved between arrival and decision
    spread       s·(T − M)·q        crossing to the best price (venues)
    mark         s·(P(q) − M·q)     the LP’s price over fair value (LPs)
    impact       s·(P(q) − T·q)     walking the book beyond the best price, as planned (venues)
    fade         s·(N − P(q))       what the fills cost beyond the plan: prices that were gone, or better ones
    fees                            what venues charged, in the quote currency
    fixed                           what an order costs whatever its size
    opportunity  s·(E − A)·(Q − q)  what was not filled and the market moved away from (parents)

The sum telescopes to s·(N − A·q) + fees + fixed + opportunity: Perold's implementation shortfall ("The implementation
shortfall: paper versus reality", J. Portfolio Management 1988; timing and spread as in Kissell, "The expanded
implementation shortfall", 2006). No division anywhere, so the equality is exact in Decimal. Where a moment was not seen
(a restart in between, no fair value), its reference is the one before it, and its part is zero. Basis points are of
A·q of a child and A·Q of a parent. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum

import msgspec

from risk.exact import BPS, EXACT, ZERO, add, times

_BP = Decimal(10_000)
_SHOWN = Decimal("1e-6")  # digits of a basis point that are shown


class LineKind(StrEnum):
    """What a line is about."""

    PARENT = "parent"
    CHILD = "child"
    INTERNAL = "internal"  # crossed with the desk's own inventory: `saved` says what that spared


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen when a child was decided. `levels`: (price, quantity) within its limit, best first, as far as its
    quantity reaches; an LP's quote is one level and has no `touch`."""

    ts_ns: int
    mid: Decimal | None
    touch: Decimal | None
    levels: tuple[tuple[Decimal, Decimal], ...] = ()
    fee_bps: Decimal = ZERO
    fixed: Decimal = ZERO
    noise_bps: float = 0.0  # 0.399·σ·√(age + latency): the move that a stale view is expected to miss


class Traded(msgspec.Struct, kw_only=True):
    """What came of an order so far. `fees`: quote currency; `unpriced`: fees in currencies without a rate."""

    quantity: Decimal = ZERO
    notional: Decimal = ZERO
    fees: Decimal = ZERO
    unpriced: dict[str, Decimal] = msgspec.field(default_factory=dict)

    def fill(
        self, price: Decimal, quantity: Decimal, fee: Decimal, fee_currency: str, symbol: str, rate: Decimal | None
    ) -> None:
        """Count an execution. A fee in the base currency is worth the execution's price, others `rate` (None: not known)."""
        self.quantity = add(self.quantity, quantity)
        self.notional = add(self.notional, times(price, quantity))
        base, _, quote = symbol.partition("/")
        if fee_currency == quote:
            self.fees = add(self.fees, fee)
        elif fee_currency == base:
            self.fees = add(self.fees, times(fee, price))
        elif rate is not None:
            self.fees = add(self.fees, times(fee, rate))
        elif fee:
            self.unpriced[fee_currency] = add(self.unpriced.get(fee_currency, ZERO), fee)


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A cost by cause, in quote currency; positive: it cost us. See the module for each."""

    timing: Decimal = ZERO
    spread: Decimal = ZERO
    mark: Decimal = ZERO
    impact: Decimal = ZERO
    fade: Decimal = ZERO
    fees: Decimal = ZERO
    fixed: Decimal = ZERO
    opportunity: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """The implementation shortfall: the sum of the parts, exactly."""
        return _sum(getattr(self, name) for name in PARTS)


PARTS = Parts.__struct_fields__


class CostLine(msgspec.Struct, frozen=True, kw_only=True):
    """What one child or parent order cost. Made when it is done; a late execution makes it anew with a higher `revision`.

    Quantities in base, money in quote currency. `basis` is A·q of a child and A·Q of a parent; `expected` what the plan
    said the filled quantity would cost from its decision on, to be held against `realised`; `market_*`: public trades
    between its creation and end (ours at those venues among them). `latency_ns`: from sending to the venue's first word;
    `hold_ns`: from sending to the end (an LP's last look); −1: not known. `haircut_ppm`: of displayed depth its plan did not
    count on. `benchmark`: of a parent with an algorithm, its `router.algos.benchmark` figures.
    """

    kind: LineKind
    parent_id: str
    child_id: str = ""
    venue: str = ""
    lp: bool = False
    resting: bool = False
    quote_id: str = ""
    symbol: str
    side: str
    account: str = ""
    rfq_id: str = ""
    algo: str = ""
    state: str
    reason: str = ""
    quantity: Decimal
    filled: Decimal
    notional: Decimal
    arrival: Decimal | None
    mid: Decimal | None = None
    touch: Decimal | None = None
    end: Decimal | None = None
    basis: Decimal = ZERO
    parts: Parts = Parts()
    expected: Decimal = ZERO
    saved: Decimal = ZERO
    unpriced: dict[str, Decimal] = msgspec.field(default_factory=dict)
    market_quantity: Decimal = ZERO
    market_notional: Decimal = ZERO
    benchmark: dict[str, float] = {}
    noise_bps: float = 0.0
    latency_ns: int = -1
    hold_ns: int = -1
    haircut_ppm: int = 0
    created_ns: int
    ended_ns: int
    revision: int = 0

    @property
    def sign(self) -> int:
        """+1 for a buy, −1 for a sell."""
        return 1 if self.side == "buy" else -1

    @property
    def realised(self) -> Decimal:
        """What it cost from the decision on: everything but timing and opportunity."""
        return add(self.parts.total, -add(self.parts.timing, self.parts.opportunity))

    @property
    def vwap(self) -> Decimal | None:
        """Volume-weighted price of the market while the order was open, None when nothing traded."""
        return EXACT.divide(self.market_notional, self.market_quantity) if self.market_quantity else None

    @property
    def over_vwap(self) -> Decimal | None:
        """What the fills cost beyond the market's own average, fees apart."""
        vwap = self.vwap
        if vwap is None or not self.filled:
            return None
        return times(Decimal(self.sign), add(self.notional, -times(vwap, self.filled)))


def planned(decision: Decision | None, quantity: Decimal, limit_price: Decimal) -> Decimal:
    """P(q): what the levels of the decision ask for `quantity`, the rest at the limit."""
    left, money = quantity, ZERO
    for price, size in decision.levels if decision is not None else ():
        taken = min(size, left)
        money = add(money, times(price, taken))
        left = add(left, -taken)
        if not left:
            break
    return add(money, times(left, limit_price))


def child_parts(
    *,
    side: str,
    arrival: Decimal,
    decision: Decision | None,
    limit_price: Decimal,
    traded: Traded,
) -> tuple[Parts, Decimal]:
    """The parts of a child's cost, and what its plan expected from the decision on for the quantity that filled.

    Without a decision on record everything but fees is `fade`: nobody knows what was seen.
    """
    s, q = Decimal(1 if side == "buy" else -1), traded.quantity
    if not q:
        return Parts(fees=traded.fees), ZERO
    if decision is None:
        return Parts(fade=_signed(s, traded.notional, arrival, q), fees=traded.fees), ZERO
    mid = arrival if decision.mid is None else decision.mid
    plan = planned(decision, q, limit_price)
    walked = {"mark": _signed(s, plan, mid, q)}
    if decision.touch is not None:
        walked = {
            "spread": times(s, times(add(decision.touch, -mid), q)),
            "impact": _signed(s, plan, decision.touch, q),
        }
    parts = Parts(
        timing=times(s, times(add(mid, -arrival), q)),
        fade=times(s, add(traded.notional, -plan)),
        fees=traded.fees,
        fixed=decision.fixed,
        **walked,
    )
    fee = times(times(plan, decision.fee_bps), BPS)
    return parts, _sum((_signed(s, plan, mid, q), fee, decision.fixed))


def parent_parts(
    *, side: str, arrival: Decimal, end: Decimal | None, quantity: Decimal, children: Sequence[CostLine]
) -> Parts:
    """The parts of a parent: its children's, and the opportunity that was missed. `quantity`: what was ordered."""
    sums = {name: _sum(getattr(line.parts, name) for line in children) for name in PARTS}
    unfilled = add(quantity, -_sum(line.filled for line in children))
    if end is not None and unfilled > 0:
        s = Decimal(1 if side == "buy" else -1)
        sums["opportunity"] = times(s, times(add(end, -arrival), unfilled))
    return Parts(**sums)


def planned_slippage_bps(line: CostLine) -> float | None:
    """What a child's fills cost beyond its plan, in basis points of what they cost; None when nothing filled as planned."""
    if not line.notional or line.mid is None:
        return None
    return float(line.parts.fade / line.notional) * 1e4


def saved_by_cross(side: str, mid: Decimal, touch: Decimal, fee_bps: Decimal, quantity: Decimal) -> Decimal:
    """What crossing at `mid` spared: half spread and fee of the best venue, whose best opposite price is `touch`."""
    s = Decimal(1 if side == "buy" else -1)
    fee = times(times(touch, fee_bps), BPS)
    return times(quantity, add(times(s, add(touch, -mid)), fee))


def bps(amount: Decimal, basis: Decimal) -> Decimal | None:
    """`amount` in basis points of `basis`, to a millionth; None when there is no basis."""
    if not basis:
        return None
    return EXACT.divide(times(amount, _BP), basis).quantize(_SHOWN)


def _signed(s: Decimal, money: Decimal, price: Decimal, quantity: Decimal) -> Decimal:
    return times(s, add(money, -times(price, quantity)))


def _sum(values: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for value in values:
        total = add(total, value)
    return total
