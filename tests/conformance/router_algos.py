"""What the tests of the algorithms share: books, schedules, and how a venue takes their orders."""

from __future__ import annotations

from typing import Any

from router.algos.spec import (
    AlgoSpec,
    ArrivalPrice,
    ImplementationShortfall,
    Twap,
    Vwap,
)
from router.orders import ChildOrder, ChildState
from tests.conformance.router_rig import (
    MS,
    Rig,
    Step,
)

DEEP = ([("59999.00", "50")], [("60000.00", "50"), ("60010.00", "50")])


BOTH = {"BINANCE": DEEP, "KRAKEN": ([("59998.00", "50")], [("60000.50", "50")])}


TERMINAL = {ChildState.FILLED, ChildState.CANCELLED, ChildState.REJECTED, ChildState.EXPIRED}


TWAP = Twap(interval_ms=1_000)


SLICED: list[AlgoSpec] = [
    TWAP,
    Vwap(interval_ms=1_000, curve=(1, 3, 2, 1)),
    ImplementationShortfall(interval_ms=1_000, risk_aversion=1e-5, volatility=20.0, impact=0.5),
    ArrivalPrice(interval_ms=1_000, urgency=0.4, drift=0.5),
]


def rests(order: Any, params: dict[str, Any], n: int) -> list[Step]:
    """Accepted, and then it lies there."""
    return [(5, "accept", ())]


def slow_to_cancel(rig: Rig, venue: str, after_ms: int = 200) -> None:
    """The venue takes its time with a cancel."""
    client = rig.clients[venue]

    def cancel_order(command: Any) -> None:
        client.cancels.append(command.client_order_id.value)
        order = next(order for order, _ in client.orders if order.client_order_id == command.client_order_id)
        due = rig.driver.clock.timestamp_ns() + after_ms * MS
        rig.driver.at_ns(f"cancel:{order.client_order_id}", due, lambda _: client.do(order, "cancel"))

    client.cancel_order = cancel_order


def made(rig: Rig, parent_id: str = "p-1") -> list[ChildOrder]:
    """The children of a parent in the order they were made, as they are now."""
    return [child for child in rig.journal.children.values() if child.parent_id == parent_id]
