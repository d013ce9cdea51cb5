"""Sweeps over venues and LPs in waves while everything goes wrong at once, on the real engine: never too much, never twice, never dearer.

Venues and the LP accept, fill in parts, say a fill twice, cancel, refuse, fall silent, report late, refuse cancels, and answer what became
of an order truthfully; the operator pauses, resumes, amends, cancels. Seeded: a failure is found again by its number.
"""

from __future__ import annotations

import os
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from nautilus_trader.model.enums import OrderSide

from adapters.nautilus.lp import LpNoQuote, LpQuote, LpRfq
from adapters.nautilus.outcome import OrderOutcome, OrderState, VenueFill
from risk.limits import RiskLimits, SymbolLimits
from router.costs.scorecards import Scorecards, TcaParameters
from router.experience import Experience
from router.messages import CommandKind
from router.orders import ChildState, ParentState
from router.parameters import LP_ORDERS, RouterParameters
from tests.conformance.router_rig import MS, START, D, Rig, Step, venue_fill
from tests.conformance.test_router_experience import line

SEEDS = 400 if os.environ.get("KERB_LONG_TESTS") else 12
TERMINAL = {ChildState.FILLED, ChildState.CANCELLED, ChildState.REJECTED, ChildState.EXPIRED}
BOOKS = {
    "BINANCE": ([("59999.00", "0.4"), ("59990.00", "5")], [("60000.00", "0.4"), ("60009.00", "5")]),
    "KRAKEN": ([("59998.50", "0.5"), ("59989.00", "5")], [("60000.50", "0.5"), ("60010.00", "5")]),
}
LIMIT = {"buy": D("60012.00"), "sell": D("59986.00")}


class Street:
    """What really happens, and what is told of it."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.fills: dict[str, list[VenueFill]] = {}
        self.ended: set[str] = set()

    def behave(self, order: Any, params: dict[str, Any], n: int) -> list[Step]:
        order_id, quantity, price = order.client_order_id.value, order.quantity.as_decimal(), str(order.price)
        assert order_id not in self.fills, "sent twice"
        self.fills[order_id] = []
        roll = self.dice.random()
        if roll < 0.15:
            return [(self.dice.choice((5, 90)), "reject", ("no",))]
        if roll < 0.25:
            return []  # it never came in
        venue, side = order.instrument_id.venue.value, "buy" if order.side == OrderSide.BUY else "sell"
        parts = [quantity] if params.get("quote_id") else self._parts(quantity)
        silent, steps = self.dice.random() < 0.25, [(5, "accept", ())]
        for i, part in enumerate(parts):
            trade = f"{order_id}-{i}"
            self.fills[order_id].append(venue_fill(venue, order_id, f"{part}", trade, price, side))
            told = 3_500 + self.dice.randint(0, 6_000) if silent else self.dice.randint(6, 160)
            steps.append((told, "fill", (f"{part}", price, trade)))
            if self.dice.random() < 0.2:
                steps.append((told + 1, "fill", (f"{part}", price, trade)))
        if not silent and sum(parts) < quantity:
            steps.append((170, "cancel", ()))
        return steps

    def _parts(self, quantity: Decimal) -> list[Decimal]:
        share = self.dice.choice((D(0), D("0.3"), D(1), D(1)))
        first = (quantity * share * D("0.6")).quantize(D("0.00001"))
        rest = (quantity * share).quantize(D("0.00001")) - first
        return [part for part in (first, rest) if part > 0]

    def outcome(self, order_id: str) -> OrderOutcome:
        fills = tuple(self.fills[order_id])
        state = OrderState.CLOSED if fills or self.dice.random() < 0.5 else OrderState.NOT_FOUND
        return OrderOutcome(client_order_id=order_id, state=state, fills=fills)

    def quote(self, rfq: LpRfq, now: int) -> LpQuote | LpNoQuote | None:
        if self.dice.random() < 0.1:
            return None if self.dice.random() < 0.5 else LpNoQuote(lp="LPX", rfq_id=rfq.rfq_id, reason="busy")
        away = D(self.dice.randint(-30, 40))
        return LpQuote(
            lp="LPX", rfq_id=rfq.rfq_id, quote_id=f"q-{rfq.rfq_id}", symbol=rfq.symbol, bid=60_000 - 24 - away,
            ask=60_000 + 24 + away, quantity=rfq.quantity,
            valid_until_ns=now + self.dice.choice((100, 240, 500, 2_000)) * MS, ts_ns=now,
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_goes_wrong_no_more_is_taken_and_no_dearer(seed: int) -> None:
    dice = Random(seed)
    street = Street(dice)
    scores = Scorecards(TcaParameters())
    for _ in range(dice.choice((0, 5))):
        scores.child(line("0", venue="LPX", lp=True, state="rejected"))
    names = ("BINANCE", "KRAKEN", "LPX")
    rig = Rig(
        BOOKS,
        scripted=dict.fromkeys(names, street.behave),
        outcomes=dict.fromkeys(names, street.outcome),
        lps={"LPX": street.quote},
        limits=RiskLimits(default=SymbolLimits(max_child_quantity=dice.choice((D("0.6"), D(100))))),
        parameters=RouterParameters(
            lp_order=dice.choice(LP_ORDERS), lp_hold_ms=dice.choice((0, 60, 250)), child_timeout_ms=800, guard_bps=D(1),
            min_clip={"USDT": D(dice.choice((0, 3_000)))},
        ),
        experience=Experience(scores, lambda symbol: 1e-5, 20 * MS),
        seed=seed,
    )  # fmt: skip
    sides: dict[str, str] = {}
    for n in range(3):
        parent_id, at_ms = f"p-{n}", 500 + 700 * n
        sides[parent_id] = side = dice.choice(("buy", "sell"))
        rig.ask("1.1", at_ms=at_ms, side=side, parent_id=parent_id, limit=str(LIMIT[side]), for_ms=9_000)
        for kind in dice.sample(list(CommandKind), dice.randint(0, 3)):
            amended = {"quantity": D(dice.choice(("0.4", "0.9", "1.5")))} if kind is CommandKind.AMEND else {}
            rig.command(at_ms + dice.randint(1, 700), kind, parent_id, **amended)
        rig.command(at_ms + 1_500, CommandKind.RESUME, parent_id)
    rig.run(40_000)  # which checks filled + open + unknown ≤ quantity at every transition
    filled = sum((fill.quantity for fills in street.fills.values() for fill in fills), D(0))
    assert sum((fill.quantity for fill in rig.driver.fills), D(0)) == filled
    for parent in rig.journal.parents.values():
        asked = [told.quantity for told in rig.driver.parents if told.parent_id == parent.parent_id]
        assert parent.state is ParentState.DONE and parent.filled <= max(asked)
    assert {child.state for child in rig.journal.children.values()} <= TERMINAL
    assert rig.state.reservations == {}
    for child in rig.journal.children.values():
        side = sides[child.parent_id]
        assert child.limit_price <= LIMIT[side] if side == "buy" else child.limit_price >= LIMIT[side]
        assert child.quantity % D("0.00001") == 0
    assert max(child.created_ns for child in rig.journal.children.values()) < START + 13_000 * MS
