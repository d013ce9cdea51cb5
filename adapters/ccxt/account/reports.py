"""A link's orders, executions and positions as the engine's reconciliation reports, and as our own messages."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.reports import FillReport, OrderStatusReport, PositionStatusReport
from nautilus_trader.model.enums import (
    LiquiditySide,
    OrderSide,
    OrderStatus,
    OrderType,
    PositionSide,
    TimeInForce,
)
from nautilus_trader.model.identifiers import AccountId, ClientOrderId, InstrumentId, TradeId, VenueOrderId

from adapters.ccxt.events import FillEvent, OrderEvent, PositionEvent, VenueOrderState
from adapters.ccxt.instruments import Scale, money
from adapters.ccxt.symbols import Market
from adapters.nautilus.outcome import VenueFill
from adapters.nautilus.perpetual import VenuePosition
from adapters.nautilus.standing import AccountStanding

_STATUS = {
    VenueOrderState.FILLED: OrderStatus.FILLED,
    VenueOrderState.CANCELED: OrderStatus.CANCELED,
    VenueOrderState.EXPIRED: OrderStatus.EXPIRED,
    VenueOrderState.REJECTED: OrderStatus.REJECTED,
}
_TIF = {"IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}


def venue_fill(fill: FillEvent, venue: str, client_order_id: str) -> VenueFill:
    """An execution for router and ledger, exact."""
    return VenueFill(
        venue=venue,
        symbol=fill.symbol,
        client_order_id=fill.client_order_id or client_order_id,
        trade_id=fill.trade_id,
        side=fill.side,
        price=fill.price,
        quantity=fill.quantity,
        fee=fill.fee,
        fee_currency=fill.fee_currency,
        ts_ns=fill.ts_event_ns,
        venue_order_id=fill.venue_order_id,
        maker=fill.maker,
    )


def standing(health: dict[str, Any]) -> AccountStanding:
    """What operators are told of an account link's health."""
    limits, switch = health["budget"].get("limits") or {}, health["dead_man"]
    name, row = max(limits.items(), key=lambda item: item[1]["used"] / item[1]["capacity"], default=("", None))
    return AccountStanding(
        venue=health["venue"],
        connected=health["connected"],
        reason=health["reason"],
        live_orders=health["live_orders"],
        orders_by=health["orders_by"],
        switch="set" if switch["armed"] else switch["reason"] or "not set",
        limit=name,
        used=row["used"] if row else 0.0,
        capacity=row["capacity"] if row else 0.0,
        refused=health["budget"].get("refused", 0),
        refusing=health["refusing"],
        external_fills=health["reconciliation"]["external_fills"],
    )


def order_status(
    order: OrderEvent, account_id: AccountId, instrument_id: InstrumentId, scale: Scale, now_ns: int
) -> OrderStatusReport:
    """The venue's view of an order."""
    filled = order.filled or Decimal(0)
    open_status = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.ACCEPTED
    ts_ns = order.ts_event_ns or now_ns
    return OrderStatusReport(
        account_id=account_id,
        instrument_id=instrument_id,
        venue_order_id=VenueOrderId(order.venue_order_id),
        client_order_id=ClientOrderId(order.client_order_id) if order.client_order_id else None,
        order_side=OrderSide.BUY if order.side == "buy" else OrderSide.SELL,
        order_type=OrderType.MARKET if order.kind == "market" else OrderType.LIMIT,
        time_in_force=_TIF.get(order.time_in_force, TimeInForce.GTC),
        order_status=_STATUS.get(order.state, open_status),
        price=scale.exact_price(order.price) if order.price else None,
        quantity=scale.exact_quantity(order.quantity or filled),
        filled_qty=scale.exact_quantity(filled),
        report_id=UUID4(),
        ts_accepted=ts_ns,
        ts_last=ts_ns,
        ts_init=now_ns,
    )


def fill(event: FillEvent, account_id: AccountId, instrument_id: InstrumentId, scale: Scale, now_ns: int) -> FillReport:
    """One execution."""
    return FillReport(
        account_id=account_id,
        instrument_id=instrument_id,
        venue_order_id=VenueOrderId(event.venue_order_id),
        trade_id=TradeId(event.trade_id),
        client_order_id=ClientOrderId(event.client_order_id) if event.client_order_id else None,
        order_side=OrderSide.BUY if event.side == "buy" else OrderSide.SELL,
        last_qty=scale.exact_quantity(event.quantity),
        last_px=scale.exact_price(event.price),
        commission=money(event.fee, event.fee_currency),
        liquidity_side=LiquiditySide.MAKER if event.maker else LiquiditySide.TAKER,
        report_id=UUID4(),
        ts_event=event.ts_event_ns or now_ns,
        ts_init=now_ns,
    )


def position_status(
    row: PositionEvent, account_id: AccountId, instrument_id: InstrumentId, scale: Scale, now_ns: int
) -> PositionStatusReport:
    """Our position in one perpetual, flat as well. Without a venue position id: the engine nets."""
    side = PositionSide.FLAT if not row.quantity else PositionSide.LONG if row.quantity > 0 else PositionSide.SHORT
    return PositionStatusReport(
        account_id=account_id,
        instrument_id=instrument_id,
        position_side=side,
        quantity=scale.exact_quantity(abs(row.quantity)),
        report_id=UUID4(),
        ts_last=row.ts_event_ns or now_ns,
        ts_init=now_ns,
        avg_px_open=row.entry if row.quantity else None,
    )


def venue_position(row: PositionEvent, market: Market) -> VenuePosition:
    """The same for the desk, with the terms of its contract."""
    assert market.contract is not None
    return VenuePosition(
        symbol=row.symbol,
        quantity=row.quantity,
        entry=row.entry,
        contract_size=market.contract.size,
        settle=market.contract.settle,
        inverse=market.contract.inverse,
        unrealised=row.unrealised,
        mark=row.mark,
        liquidation=row.liquidation,
        initial_margin=row.initial_margin,
        maintenance_margin=row.maintenance_margin,
        leverage=row.leverage,
        margin_mode=row.margin_mode,
        ts_ns=row.ts_event_ns,
    )
