"""What makes a request invalid before any price is thought of: unknown instrument, entitlement, currency, steps, sizes; and what the
gate's refusals are called."""

from __future__ import annotations

from decimal import Decimal

from desk.api.messages import RfqRequest
from desk.config.model import DeskConfig, InstrumentSection
from desk.errors import Invalid, Rejected
from desk.service import Caller
from risk.checks.collar import NO_FAIR_VALUE
from risk.decision import Refused


def instrument_for(config: DeskConfig, caller: Caller, symbol: str) -> InstrumentSection:
    """The instrument a caller may trade, or `Invalid` (unknown: 422, not entitled: 403)."""
    instrument = config.instrument(symbol)
    if instrument is None:
        raise Invalid(
            "unknown_instrument",
            f"{symbol!r} is not traded here",
            details={"instrument": symbol, "instruments": [item.symbol for item in config.instruments]},
        )
    if caller.instruments is not None and symbol not in caller.instruments:
        raise Invalid("not_entitled", f"this key may not trade {symbol}", status=403, details={"instrument": symbol})
    return instrument


def refusal_code(refused: Refused) -> str:
    """What a program is told when the gate says no: that the desk is halted, that there is no market to hold the price against, or a
    limit."""
    match refused.check:
        case "kill_switch":
            return "halted"
        case "staleness":
            return "no_live_venue"
        case "collar" if refused.value == NO_FAIR_VALUE:
            return "no_live_venue"
        case _:
            return "limit_exceeded"


def require_scope(caller: Caller, scope: str) -> None:
    """Refuse a key that lacks a scope."""
    if scope not in caller.scopes:
        raise Invalid("missing_scope", f"this key lacks scope {scope!r}", status=403, details={"scope": scope})


def size_of(instrument: InstrumentSection, request: RfqRequest) -> tuple[Decimal, str]:
    """Quantity and its currency, checked against steps and, for base sizes, the instrument's limits."""
    currency = request.currency or instrument.base
    if currency not in (instrument.base, instrument.quote):
        raise Invalid(
            "bad_currency",
            f"currency must be {instrument.base} or {instrument.quote}",
            details={"currency": currency},
        )
    quantity = Decimal(request.quantity)
    if quantity <= 0:
        raise Invalid("bad_quantity", "quantity must be above zero", details={"quantity": request.quantity})
    step = instrument.quantity_step if currency == instrument.base else Decimal(1).scaleb(-instrument.quote_precision)
    require_step(quantity, step)
    if currency == instrument.base:
        require_size(instrument, quantity)
    return quantity, currency


def require_step(quantity: Decimal, step: Decimal) -> None:
    """Refuse what is not a multiple of `step`."""
    if quantity % step:
        raise Invalid(
            "bad_quantity",
            f"quantity must be a multiple of {step:f}",
            details={"quantity": f"{quantity:f}", "step": f"{step:f}"},
        )


def require_size(instrument: InstrumentSection, quantity: Decimal) -> None:
    """Refuse base quantities outside the instrument's limits."""
    if quantity < instrument.min_quantity:
        raise Rejected(
            "limit_exceeded",
            f"quantity {quantity:f} below the minimum {instrument.min_quantity:f} {instrument.base}",
            status=422,
            details={"limit": "min_quantity", "value": f"{quantity:f}", "min": f"{instrument.min_quantity:f}"},
        )
    if quantity > instrument.max_quantity:
        raise Rejected(
            "limit_exceeded",
            f"quantity {quantity:f} over the maximum {instrument.max_quantity:f} {instrument.base}",
            status=422,
            details={"limit": "max_quantity", "value": f"{quantity:f}", "max": f"{instrument.max_quantity:f}"},
        )
