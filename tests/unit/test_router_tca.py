"""Implementation shortfall on closed cases, worked out by hand."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from router.costs.shortfall import (
    PARTS,
    CostLine,
    Decision,
    LineKind,
    Parts,
    Traded,
    bps,
    child_parts,
    parent_parts,
    planned,
    planned_slippage_bps,
    saved_by_cross,
)

# A buy of 3: arrived at 100, decided at 101, best ask 102 for 1, then 103 for 5; filled 1 at 102, 1 at 103, 1 at 104; fee 10 bp.
SEEN = Decision(
    ts_ns=5, mid=D(101), touch=D(102), levels=((D(102), D(1)), (D(103), D(5))), fee_bps=D(10), fixed=D("0.5")
)


def filled(*executions: tuple[str, str], fee: str = "0", currency: str = "USDT") -> Traded:
    traded = Traded()
    for price, quantity in executions:
        traded.fill(D(price), D(quantity), D(fee), currency, "BTC/USDT", None)
    return traded


def line(**changes: object) -> CostLine:
    base = {
        "kind": LineKind.CHILD, "parent_id": "p", "child_id": "c", "venue": "V", "symbol": "BTC/USDT", "side": "buy",
        "state": "filled", "quantity": D(3), "filled": D(3), "notional": D(309), "arrival": D(100), "created_ns": 1,
        "ended_ns": 2,
    }  # fmt: skip
    return CostLine(**(base | changes))  # type: ignore[arg-type]


def test_a_buy_at_a_venue_by_hand() -> None:
    traded = filled(("102", "1"), ("103", "1"), ("104", "1"), fee="0.1")
    parts, expected = child_parts(side="buy", arrival=D(100), decision=SEEN, limit_price=D(105), traded=traded)
    assert parts.timing == 3  # (101 − 100) × 3
    assert parts.spread == 3  # (102 − 101) × 3
    assert parts.impact == 2  # 102 + 2 × 103 = 308, less 3 × 102
    assert parts.fade == 1  # 309 paid, 308 planned
    assert parts.fees == D("0.3")
    assert parts.fixed == D("0.5")
    assert (parts.mark, parts.opportunity) == (0, 0)
    assert parts.total == 309 - 300 + D("0.3") + D("0.5")
    assert expected == 308 - 303 + D("0.308") + D("0.5")


def test_a_sell_is_the_mirror_of_a_buy() -> None:
    seen = Decision(ts_ns=5, mid=D(99), touch=D(98), levels=((D(98), D(1)), (D(97), D(5))), fixed=D("0.5"))
    traded = filled(("98", "1"), ("97", "1"), ("96", "1"), fee="0.1")
    parts, _ = child_parts(side="sell", arrival=D(100), decision=seen, limit_price=D(95), traded=traded)
    assert (parts.timing, parts.spread, parts.impact, parts.fade) == (3, 3, 2, 1)
    assert parts.total == 300 - 291 + D("0.3") + D("0.5")


def test_better_prices_than_planned_are_a_gain() -> None:
    parts, _ = child_parts(
        side="buy", arrival=D(101), decision=SEEN, limit_price=D(105), traded=filled(("101.5", "1"), ("102", "2"))
    )
    assert parts.fade == D("305.5") - 308
    assert parts.timing == 0


def test_an_lp_costs_its_mark() -> None:
    quote = Decision(ts_ns=5, mid=D(101), touch=None, levels=((D("101.2"), D(3)),))
    parts, expected = child_parts(
        side="buy", arrival=D(100), decision=quote, limit_price=D("101.3"), traded=filled(("101.2", "3"))
    )
    assert (parts.timing, parts.mark, parts.fade) == (3, D("0.6"), 0)
    assert (parts.spread, parts.impact, parts.fees) == (0, 0, 0)
    assert parts.total == D("3.6")
    assert expected == D("0.6")


def test_a_partial_fill_is_held_against_the_part_of_the_plan_that_filled() -> None:
    assert planned(SEEN, D("0.5"), D(105)) == 51
    assert planned(SEEN, D(2), D(105)) == 205
    assert planned(SEEN, D(7), D(105)) == 102 + 515 + 105  # beyond the levels: the limit
    assert planned(None, D(2), D(105)) == 210


def test_a_resting_order_earns_the_spread_back() -> None:
    seen = Decision(ts_ns=5, mid=D(101), touch=D(102))  # nothing to take within its limit of 100.5
    parts, _ = child_parts(
        side="buy", arrival=D(101), decision=seen, limit_price=D("100.5"), traded=filled(("100.5", "2"))
    )
    assert (parts.spread, parts.impact, parts.fade) == (2, -3, 0)
    assert parts.total == -1


def test_without_a_decision_on_record_everything_is_fade() -> None:
    parts, expected = child_parts(
        side="buy", arrival=D(100), decision=None, limit_price=D(105), traded=filled(("103", "2"))
    )
    assert parts == Parts(fade=D(6))
    assert expected == 0


def test_nothing_filled_costs_nothing_but_fees() -> None:
    assert child_parts(side="buy", arrival=D(100), decision=SEEN, limit_price=D(105), traded=Traded()) == (Parts(), 0)


def test_a_parent_sums_its_children_and_counts_what_it_missed() -> None:
    children = [
        line(parts=Parts(timing=D(1), fees=D("0.1")), filled=D(2)),
        line(parts=Parts(timing=D(-4), mark=D("0.25")), filled=D(3)),
    ]
    parts = parent_parts(side="buy", arrival=D(100), end=D("100.5"), quantity=D(9), children=children)
    assert parts == Parts(timing=D(-3), mark=D("0.25"), fees=D("0.1"), opportunity=D(2))  # 0.5 × 4 not bought
    assert parts.total == D("-0.65")
    assert parent_parts(side="sell", arrival=D(100), end=D("100.5"), quantity=D(9), children=children).opportunity == -2
    assert parent_parts(side="buy", arrival=D(100), end=None, quantity=D(9), children=children).opportunity == 0


@pytest.mark.parametrize(
    ("currency", "rate", "fees", "unpriced"),
    [
        ("USDT", None, "0.2", {}),
        ("BTC", None, "20.5", {}),  # 0.1 at 102 and at 103
        ("BNB", D(500), "100", {}),
        ("BNB", None, "0", {"BNB": D("0.2")}),
    ],
)
def test_a_fee_is_worth_what_its_currency_is(currency: str, rate: D | None, fees: str, unpriced: dict[str, D]) -> None:
    traded = Traded()
    for price in ("102", "103"):
        traded.fill(D(price), D(1), D("0.1"), currency, "BTC/USDT", rate)
    assert (traded.fees, traded.unpriced) == (D(fees), unpriced)
    assert (traded.quantity, traded.notional) == (2, 205)


def test_what_a_cross_spares_is_half_the_spread_and_the_fee() -> None:
    assert saved_by_cross("buy", D(100), D("100.5"), D(10), D(2)) == D("1.2010")
    assert saved_by_cross("sell", D(100), D("99.5"), D(10), D(2)) == D("1.1990")


def test_a_line_says_what_it_is_held_against() -> None:
    done = line(
        parts=Parts(timing=D(3), spread=D(3), fade=D(1), fees=D("0.3"), opportunity=D(7)),
        mid=D(101),
        market_quantity=D(4),
        market_notional=D(410),
    )
    assert done.realised == D("4.3")
    assert done.vwap == D("102.5")
    assert done.over_vwap == D("1.5")
    assert line().vwap is None and line().over_vwap is None
    assert line(side="sell", market_quantity=D(4), market_notional=D(410)).over_vwap == D("-1.5")
    assert planned_slippage_bps(done) == pytest.approx(1 / 309 * 1e4)
    assert planned_slippage_bps(line()) is None  # no decision
    assert bps(D(3), D(300)) == 100
    assert bps(D(3), D(0)) is None
    assert set(PARTS) == {"timing", "spread", "mark", "impact", "fade", "fees", "fixed", "opportunity"}
