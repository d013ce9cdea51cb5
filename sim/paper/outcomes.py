"""What a paper account knows of an order, in the words of `adapters.nautilus.outcome`. Proven at once: the account is in this process."""

from __future__ import annotations

from adapters.nautilus.outcome import OrderOutcome, OrderState, VenueFill
from sim.paper.account import PaperOrder


def outcome_of(venue: str, client_order_id: str, order: PaperOrder | None) -> OrderOutcome:
    """`order` None: it never arrived."""
    if order is None:
        return OrderOutcome(
            client_order_id=client_order_id, state=OrderState.NOT_FOUND, reason="it never reached the paper venue"
        )
    fills = tuple(
        VenueFill(
            venue=venue,
            symbol=order.symbol,
            client_order_id=client_order_id,
            trade_id=fill.trade_id,
            side=order.side,
            price=fill.price,
            quantity=fill.quantity,
            fee=fill.fee,
            fee_currency=fill.fee_currency,
            ts_ns=order.ts_ns,
        )
        for fill in order.fills
    )
    state = OrderState.OPEN if order.resting else OrderState.CLOSED
    return OrderOutcome(client_order_id=client_order_id, state=state, fills=fills, reason=order.reason)
