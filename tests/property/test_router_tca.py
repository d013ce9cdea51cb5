"""The parts of a cost add up to it exactly, whatever was seen and whatever filled; mirrored markets cost the same."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from router.costs.shortfall import PARTS, CostLine, Decision, LineKind, Traded, child_parts, parent_parts

prices = st.decimals(min_value="0.00000001", max_value="999999", places=8)
sizes = st.decimals(min_value="0.00000001", max_value="9999", places=8)
sides = st.sampled_from(["buy", "sell"])
levels = st.lists(st.tuples(prices, sizes), max_size=5).map(tuple)
fills = st.lists(st.tuples(prices, sizes, st.decimals("-5", "5", places=8)), max_size=4)


@st.composite
def decisions(draw: st.DrawFn) -> Decision | None:
    if draw(st.integers(0, 9)) == 0:
        return None
    return Decision(
        ts_ns=0,
        mid=draw(st.none() | prices),
        touch=draw(st.none() | prices),
        levels=draw(levels),
        fee_bps=draw(st.decimals("-3", "30", places=2)),
        fixed=draw(st.decimals("0", "9", places=4)),
    )


children = st.lists(st.tuples(decisions(), prices, fills), max_size=4)


def traded_of(executions: list[tuple[Decimal, Decimal, Decimal]]) -> Traded:
    traded = Traded()
    for price, quantity, fee in executions:
        traded.fill(price, quantity, fee, "USDT", "BTC/USDT", None)
    return traded


@settings(max_examples=300, deadline=None)
@given(sides, prices, st.none() | prices, sizes, children)
def test_parts_add_up_to_the_shortfall_in_rationals(
    side: str,
    arrival: Decimal,
    end: Decimal | None,
    extra: Decimal,
    drawn: list[tuple[Decision | None, Decimal, list[tuple[Decimal, Decimal, Decimal]]]],
) -> None:
    sign = 1 if side == "buy" else -1
    lines, whole, filled = [], Fraction(0), Fraction(0)
    for n, (decision, limit, executions) in enumerate(drawn):
        traded = traded_of(executions)
        parts, _ = child_parts(side=side, arrival=arrival, decision=decision, limit_price=limit, traded=traded)
        paid = sum((Fraction(price) * Fraction(quantity) for price, quantity, _ in executions), Fraction(0))
        bought = sum((Fraction(quantity) for _, quantity, _ in executions), Fraction(0))
        fees = sum((Fraction(fee) for _, _, fee in executions), Fraction(0))
        fixed = Fraction(decision.fixed) if decision is not None and executions else Fraction(0)
        shortfall = sign * (paid - Fraction(arrival) * bought) + fees + fixed
        assert Fraction(parts.total) == shortfall == sum(Fraction(getattr(parts, name)) for name in PARTS)
        whole, filled = whole + shortfall, filled + bought
        lines.append(
            CostLine(
                kind=LineKind.CHILD, parent_id="p", child_id=str(n), symbol="BTC/USDT", side=side, state="filled",
                quantity=traded.quantity, filled=traded.quantity, notional=traded.notional, arrival=arrival, parts=parts,
                created_ns=0, ended_ns=1,
            )
        )  # fmt: skip
    quantity = sum((line.filled for line in lines), extra)
    parts = parent_parts(side=side, arrival=arrival, end=end, quantity=quantity, children=lines)
    missed = Fraction(0) if end is None else sign * (Fraction(end) - Fraction(arrival)) * Fraction(extra)
    assert Fraction(parts.total) == whole + missed


@settings(max_examples=150, deadline=None)
@given(prices, decisions(), prices, fills)
def test_a_mirrored_market_costs_the_same(
    arrival: Decimal, decision: Decision | None, limit: Decimal, executions: list[tuple[Decimal, Decimal, Decimal]]
) -> None:
    top = Decimal(2_000_000)

    def mirrored(price: Decimal | None) -> Decimal | None:
        return None if price is None else top - price

    other = decision
    if decision is not None:
        other = Decision(
            ts_ns=0,
            mid=mirrored(decision.mid),
            touch=mirrored(decision.touch),
            levels=tuple((top - price, size) for price, size in decision.levels),
            fee_bps=decision.fee_bps,
            fixed=decision.fixed,
        )
    buy, _ = child_parts(
        side="buy", arrival=arrival, decision=decision, limit_price=limit, traded=traded_of(executions)
    )
    sell, _ = child_parts(
        side="sell",
        arrival=top - arrival,
        decision=other,
        limit_price=top - limit,
        traded=traded_of([(top - price, quantity, fee) for price, quantity, fee in executions]),
    )
    assert buy == sell
