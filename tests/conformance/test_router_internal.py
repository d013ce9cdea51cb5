"""Crosses with the desk's own inventory: before any venue, and in transaction cost analysis with what they spared."""

from __future__ import annotations

from decimal import Decimal

from adapters.nautilus import topics
from adapters.nautilus.outcome import VenueFill
from desk.market import Market
from desk.tca.actor import TcaActor
from desk.tca.memory import TcaMemory
from router.costs.scorecards import TcaParameters
from router.costs.shortfall import CostLine, LineKind
from router.messages import Cross
from router.orders import INTERNAL, ChildOrder, ChildState, ParentOrder
from tests.conformance.router_rig import SYMBOL, D, Rig

DEEP = ([("59999.00", "50")], [("60001.00", "50")])


class Inventory:
    """`router.messages.Crossing`: so much is there, at one price."""

    def __init__(self, quantity: str, price: str) -> None:
        self.left, self.price = D(quantity), D(price)

    def offer(self, symbol: str, side: str, quantity: Decimal, limit_price: Decimal | None) -> Cross | None:
        taken = min(self.left, quantity)
        self.left -= taken
        return Cross(quantity=taken, price=self.price) if taken else None


class NothingOpen:
    """A ledger after a clean stop."""

    def open_parents(self) -> list[tuple[ParentOrder, list[ChildOrder]]]:
        return []

    def fills_of(self, parent_id: str) -> list[VenueFill]:
        return []


def test_a_cross_is_told_as_any_child_and_shows_what_it_saved() -> None:
    rig = Rig({"BINANCE": DEEP}, crossing=Inventory("0.25", "60000.00"))
    memory = TcaMemory(TcaParameters())
    actor = TcaActor(memory, Market([rig.book]), NothingOpen())
    rig.engine.add_actor(actor)
    lines: list[CostLine] = []
    rig.at(1, lambda: rig.driver.bus.subscribe(topics.COST, lines.append))
    rig.ask("1", account="client:acme")
    rig.run(5_000)
    assert actor.fault_count() == 0
    crossed = [child.state for child in rig.driver.children if child.venue == INTERNAL]
    assert crossed == [ChildState.NEW, ChildState.FILLED]
    [inside] = [line for line in lines if line.kind is LineKind.INTERNAL]
    [parent] = [line for line in lines if line.kind is LineKind.PARENT]
    assert (inside.filled, inside.revision, inside.parts.total) == (D("0.25"), 0, 0)
    assert inside.saved == D("0.25") * (1 + D("60001") * 4 / 10_000)  # half the spread and the fee of the only venue
    assert parent.saved == inside.saved and parent.filled == 1
    assert memory.costs[SYMBOL].saved == inside.saved


def test_the_desks_own_orders_are_not_crossed_with_itself() -> None:
    rig = Rig({"BINANCE": DEEP}, crossing=Inventory("5", "60000.00"))
    rig.ask("1")
    rig.run(5_000)
    assert not rig.children_at(INTERNAL) and rig.parent().filled == 1
