"""The router stops in the middle and starts again on the desk's real ledger: nothing is sent again, nothing is booked twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapters.nautilus.outcome import OrderOutcome, OrderState, VenueFill
from desk.ledger import Ledger
from router.algos.spec import Twap, Vwap
from router.messages import CommandKind
from router.orders import ChildOrder, ChildState, ParentOrder, ParentState
from tests.conformance.router_rig import D, MemoryJournal, Rig, Step, closed, fills_whole, venue_fill

BOOKS = {
    "BINANCE": ([("59999.00", "5")], [("60000.00", "0.4"), ("60010.00", "5")]),
    "KRAKEN": ([("59998.00", "5")], [("60000.50", "0.5"), ("60002.00", "5")]),
}


class OnLedger(MemoryJournal):
    """Writes to a ledger, remembers what this run wrote."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger

    def parent(self, parent: ParentOrder, then: Callable[[], None] | None = None) -> None:
        self.ledger.parent(parent, lambda: super(OnLedger, self).parent(parent, then))

    def child(self, child: ChildOrder, then: Callable[[], None] | None = None) -> None:
        self.ledger.child(child, lambda: super(OnLedger, self).child(child, then))

    def fill(self, fill: VenueFill, parent_id: str) -> bool:
        return super().fill(fill, parent_id) and self.ledger.fill(fill, parent_id)

    def open_parents(self) -> list[tuple[ParentOrder, list[ChildOrder]]]:
        return self.ledger.open_parents()


def silent_after_a_part(order: Any, params: dict[str, Any], n: int) -> list[Step]:
    return [(5, "accept", ()), (6, "fill", ("0.20000", str(order.price), "k1"))]


def test_a_restart_finds_the_open_child_and_books_only_what_was_not_booked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(url, inline=True)
    before = Rig(
        BOOKS,
        scripted={"KRAKEN": silent_after_a_part, "BINANCE": fills_whole},
        outcomes={"KRAKEN": lambda order_id: OrderOutcome(client_order_id=order_id, state=OrderState.OPEN)},
        journal=OnLedger(ledger),
        epoch="first",
    )
    before.ask("0.9", for_ms=3_600_000)
    before.run(2_000)  # the desk dies here: one child is open with 0.2 of 0.5
    (lost,) = before.children_at("KRAKEN")
    assert (lost.state, lost.filled) == (ChildState.PARTIAL, D("0.2"))
    booked = ledger.position("BTC")
    assert booked == before.state.position("BTC") == D("0.6")
    ledger.close()

    ledger = Ledger(url, inline=True)
    fills = (
        venue_fill("KRAKEN", lost.child_id, "0.2", "k1", "60000.50"),
        venue_fill("KRAKEN", lost.child_id, "0.25", "k2", "60000.50"),
    )
    after = Rig(
        BOOKS,
        scripted={"KRAKEN": fills_whole, "BINANCE": fills_whole},
        outcomes={"KRAKEN": lambda order_id: closed(order_id, *fills)},
        journal=OnLedger(ledger),
        epoch="second",
    )
    after.state.set_position("BTC", ledger.position("BTC"))
    after.run(5_000)
    parent = after.parent()
    assert (parent.state, parent.filled) == (ParentState.DONE, D("0.9"))
    assert [fill.trade_id for fill in after.driver.fills if fill.client_order_id == lost.child_id] == ["k2"]
    assert after.journal.children[lost.child_id].filled == D("0.45")
    sent = [order.client_order_id.value for client in after.clients.values() for order, _ in client.orders]
    assert lost.child_id not in sent and len(sent) == 1
    assert sum(order.quantity.as_decimal() for client in after.clients.values() for order, _ in client.orders) == D(
        "0.05"
    )
    assert ledger.position("BTC") == after.state.position("BTC") == D("0.9")
    assert all(amount == 0 for amount in ledger.imbalance().values())
    assert ledger.open_parents() == []
    ledger.close()


def test_a_schedule_goes_on_from_the_ledger_where_it_stood(tmp_path: Path) -> None:
    """Its specification, standing and benchmark survive the disk; a pause taken before the stop still holds after it."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(url, inline=True)
    before = Rig(BOOKS, journal=OnLedger(ledger), epoch="first")
    before.ask("2", algo=Twap(interval_ms=1_000), for_ms=25_000)
    before.ask("1", algo=Vwap(interval_ms=1_000, curve=(1, 2)), for_ms=25_000, parent_id="p-2")
    before.command(5_000, CommandKind.PAUSE, "p-2")
    before.run(8_000)
    stood = {parent.parent_id: parent for parent, _ in ledger.open_parents()}
    assert 0 < stood["p-1"].filled < 2 and stood["p-2"].state is ParentState.PAUSED
    booked = ledger.position("BTC")
    ledger.close()

    ledger = Ledger(url, inline=True)
    after = Rig(BOOKS, journal=OnLedger(ledger), epoch="second")
    after.state.set_position("BTC", booked)
    after.command(12_000, CommandKind.RESUME, "p-2")
    after.run(40_000)
    for parent_id, quantity in (("p-1", D(2)), ("p-2", D(1))):
        parent = after.parent(parent_id)
        assert (parent.state, parent.filled, parent.algo) == (ParentState.DONE, quantity, stood[parent_id].algo)
        assert parent.benchmark is not None and parent.benchmark.since_ns == stood[parent_id].benchmark.since_ns
    assert after.parent("p-1").standing.since_ns == stood["p-1"].standing.since_ns
    assert (stood["p-2"].standing.turn, after.parent("p-2").standing.turn) == (0, 1)
    assert ledger.position("BTC") == after.state.position("BTC") == D(3)
    assert all(amount == 0 for amount in ledger.imbalance().values())
    assert ledger.open_parents() == []
    ledger.close()
