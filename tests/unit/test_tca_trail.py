"""The trail of an order: lines when they are due, late executions, restarts, crosses, rests and fees nobody can value."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec

from adapters.nautilus.outcome import VenueFill
from desk.tca.memory import TcaMemory
from desk.tca.tape import TradedVolume
from desk.tca.trail import KEPT, Trail
from risk.exact import add
from router.costs.scorecards import TcaParameters
from router.costs.shortfall import CostLine, Decision, LineKind
from router.orders import INTERNAL, ChildOrder, ChildState, ParentOrder, ParentState

SYMBOL = "BTC/USDT"


class Sight:
    """A market that says what it is told to say."""

    def __init__(self) -> None:
        self.mid: D | None = D(101)
        self.asked: list[str] = []

    def decision(self, child: ChildOrder, now_ns: int) -> Decision:
        self.asked.append(child.child_id)
        if child.quote_id or child.venue == INTERNAL:
            return Decision(ts_ns=now_ns, mid=self.mid, touch=None, levels=((child.limit_price, child.quantity),))
        levels = ((D(102), D(1)), (D(103), D(9)))
        return Decision(ts_ns=now_ns, mid=self.mid, touch=D(102), levels=levels, fee_bps=D(10), noise_bps=0.7)

    def fair(self, symbol: str, now_ns: int) -> D | None:
        return self.mid

    def rate(self, currency: str, quote: str, now_ns: int) -> D | None:
        return D(500) if (currency, quote) == ("BNB", "USDT") else None

    def elsewhere(self, symbol: str, side: str, now_ns: int) -> tuple[D, D] | None:
        return D("101.5"), D(10)


def parent(quantity: str = "3", state: ParentState = ParentState.WORKING, **more: Any) -> ParentOrder:
    known = {"parent_id": "p", "side": "buy", "arrival_mid": D(100), "created_ns": 10} | more
    return ParentOrder(
        symbol=SYMBOL, quantity=D(quantity), limit_price=None, deadline_ns=99, reason="hedge", state=state, **known
    )


def child(n: int = 1, quantity: str = "3", state: ChildState = ChildState.NEW, **more: Any) -> ChildOrder:
    known = {"venue": "V", "side": "buy", "limit_price": D(105), "created_ns": 20} | more
    return ChildOrder(child_id=f"c{n}", parent_id="p", symbol=SYMBOL, quantity=D(quantity), state=state, **known)


def fill(
    trade: int, price: str, quantity: str = "1", of: int = 1, fee: str = "0.1", currency: str = "USDT", **more: Any
) -> VenueFill:
    known = {"venue": "V", "side": "buy"} | more
    return VenueFill(
        symbol=SYMBOL, client_order_id=f"c{of}", trade_id=f"t{trade}", price=D(price), quantity=D(quantity), fee=D(fee),
        fee_currency=currency, ts_ns=0, **known,
    )  # fmt: skip


def trail() -> tuple[Trail, Sight, TradedVolume]:
    sight, tape = Sight(), TradedVolume()
    return Trail(sight, tape), sight, tape


def trade(tape: TradedVolume, price: str, size: str) -> None:
    """A public trade, in the engine's raw numbers."""
    tape.of(SYMBOL).add(*(int(D(value).scaleb(16)) for value in (price, size)))


def test_an_order_from_arrival_to_end() -> None:
    costs, sight, tape = trail()
    trade(tape, "90", "5")  # before it arrived
    assert costs.on_parent(parent(), 10) == []
    trade(tape, "100", "1")
    assert costs.on_child(child(), 20) == []
    assert costs.on_child(child(state=ChildState.SENT), 25) == []
    trade(tape, "103", "2")
    sight.mid = D(104)  # what is seen later does not matter to the decision
    assert costs.on_fill(fill(1, "102"), 33) == []
    assert costs.on_fill(fill(2, "103.5"), 34) == []
    (line,) = costs.on_child(child(state=ChildState.CANCELLED, filled=D(2)), 40)
    assert line.kind is LineKind.CHILD
    assert (line.latency_ns, line.hold_ns, line.noise_bps) == (8, 15, 0.7)
    assert (line.filled, line.notional, line.quantity, line.state) == (2, D("205.5"), 3, "cancelled")
    parts = line.parts
    assert (parts.timing, parts.spread, parts.impact, parts.fade, parts.fees) == (2, 2, 1, D("0.5"), D("0.2"))
    assert (line.market_quantity, line.market_notional) == (2, 206)
    assert line.expected == 205 - 202 + D("0.205")
    (done,) = costs.on_parent(parent(state=ParentState.DONE, filled=D(2)), 50)
    assert done.kind is LineKind.PARENT
    assert done.parts.opportunity == 4  # one not bought, and the market went from 100 to 104
    assert done.parts.total == add(line.parts.total, D(4))
    assert (done.market_quantity, done.market_notional) == (3, 306)
    assert done.basis == 300
    assert costs.on_parent(parent(state=ParentState.DONE), 60) == []
    assert sight.asked == ["c1"]


def test_a_late_execution_makes_the_lines_anew() -> None:
    costs, _, _ = trail()
    memory = TcaMemory(TcaParameters())
    lines: list[CostLine] = []
    lines += costs.on_parent(parent("2"), 10) + costs.on_child(child(quantity="2"), 20)
    lines += costs.on_fill(fill(1, "102"), 30)
    lines += costs.on_child(child(quantity="2", state=ChildState.CANCELLED), 40)
    lines += costs.on_parent(parent("2", ParentState.DONE), 50)
    lines += costs.on_fill(fill(2, "104"), 60)
    assert [(line.kind.value, line.revision) for line in lines] == [
        ("child", 0),
        ("parent", 0),
        ("child", 1),
        ("parent", 1),
    ]
    assert [line.filled for line in lines] == [1, 1, 2, 2]
    assert lines[1].parts.opportunity == 1
    assert lines[3].parts.opportunity == 0
    assert lines[3].parts.total == lines[2].parts.total == 206 - 200 + D("0.2")
    for line, before in ((lines[1], None), (lines[3], lines[1])):
        memory.line(line, before)
    assert (memory.costs[SYMBOL].orders, memory.costs[SYMBOL].parts) == (1, lines[3].parts)


def test_a_restart_loses_what_was_seen_but_not_what_was_paid() -> None:
    costs, sight, tape = trail()
    trade(tape, "100", "1")
    open_child = child(2, state=ChildState.UNKNOWN)
    finished = child(1, state=ChildState.FILLED, updated_ns=25)
    costs.adopt(parent("6"), [finished, open_child], [fill(1, "102", "3"), fill(2, "103", "1", of=2)], 30)
    costs.on_child(open_child, 31)
    assert costs.on_fill(fill(3, "104", "2", of=2), 32) == []
    (line,) = costs.on_child(child(2, state=ChildState.FILLED), 33)
    assert line.parts.fade == 311 - 300  # nobody knows what was seen
    assert line.parts.fees == D("0.2")
    assert (line.latency_ns, line.mid) == (-1, None)
    (done,) = costs.on_parent(parent("6", ParentState.DONE), 40)
    assert done.filled == 6
    assert done.parts.total == 306 + 311 - 600 + D("0.3")
    assert (done.market_quantity, sight.asked) == (0, [])


def test_a_cross_is_a_line_of_its_own_with_what_it_saved() -> None:
    costs, sight, _ = trail()
    sight.mid = D(101)
    costs.on_parent(parent(arrival_mid=D(101)), 10)
    costs.on_child(child(venue=INTERNAL, limit_price=D(101)), 20)
    costs.on_fill(fill(1, "101", "3", fee="0", venue=INTERNAL), 20)
    (line,) = costs.on_child(child(venue=INTERNAL, state=ChildState.FILLED), 20)
    assert line.kind is LineKind.INTERNAL
    assert line.parts.total == 0
    assert line.saved == 3 * (D("0.5") + D("0.1015"))
    (done,) = costs.on_parent(parent(arrival_mid=D(101), state=ParentState.DONE), 30)
    assert done.saved == line.saved


def test_fees_in_other_currencies_are_valued_or_named() -> None:
    costs, _, _ = trail()
    costs.on_parent(parent(), 10)
    costs.on_child(child(), 20)
    costs.on_fill(fill(1, "102", fee="0.01", currency="BNB"), 30)
    costs.on_fill(fill(2, "102", fee="0.001", currency="BTC"), 30)
    costs.on_fill(fill(3, "102", fee="7", currency="KFEE"), 30)
    (line,) = costs.on_child(child(state=ChildState.FILLED), 40)
    assert line.parts.fees == 5 + D("0.102")
    assert line.unpriced == {"KFEE": D(7)}
    (done,) = costs.on_parent(parent(state=ParentState.DONE), 50)
    assert done.unpriced == {"KFEE": D(7)}


def test_without_fair_value_at_arrival_the_first_decision_counts() -> None:
    costs, sight, _ = trail()
    costs.on_parent(parent(arrival_mid=None), 10)
    costs.on_child(child(), 20)
    costs.on_fill(fill(1, "102", "3"), 30)
    (line,) = costs.on_child(child(state=ChildState.FILLED), 40)
    assert (line.arrival, line.parts.timing) == (101, 0)
    blind, sight, _ = trail()
    sight.mid = None
    blind.on_parent(parent(arrival_mid=None), 10)
    blind.on_child(child(), 20)
    blind.on_fill(fill(1, "102", "3"), 30)
    (line,) = blind.on_child(child(state=ChildState.FILLED), 40)
    assert (line.arrival, line.basis, line.parts.total) == (None, 0, D("0.1"))


def test_strangers_are_counted_and_memory_is_bounded() -> None:
    costs, _, _ = trail()
    assert costs.on_fill(fill(1, "102", of=77), 1) == []
    assert costs.on_child(child(), 1) == []
    assert costs.strays == 1
    for n in range(KEPT + 50):
        costs.on_parent(parent(parent_id=f"p{n}"), 10)
        costs.on_child(msgspec.structs.replace(child(n), parent_id=f"p{n}"), 20)
        costs.on_child(msgspec.structs.replace(child(n, state=ChildState.REJECTED), parent_id=f"p{n}"), 30)
        costs.on_parent(parent(parent_id=f"p{n}", state=ParentState.DONE), 40)
    assert "p0" not in costs._parents
    assert f"p{KEPT + 49}" in costs._parents
    assert len(costs._parents) == len(costs._of_child) == KEPT
